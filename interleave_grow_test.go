//go:build !race

package dualcache

import "testing"

// Growth (grow.go): one key of one home, which moves from the old table to the new
// one while it is set, deleted and read. Buckets are its home in the old table, its
// home in the new one, and the neighbour of the old home where it may lie.
const gOldHome, gNewHome, gNear = 0, 1, 2

const (
	gHead cell = iota // three of them
	_
	_
	gValue // of the key's place in each
	_
	_
	gTable  // c.table: 0 is the old one
	gOld    // whether the new table's old is set
	gFenced // of the new table
	gHazard // the setter's: 1 + bucket, if it may store there
	gBegun  // ghosts, as in the model of replacements
	gDone
	gSeen
)

const (
	gTag   = 1
	gLock  = 2
	gMoved = 4
	gMark  = 8
)

// A growing is a variant of the model.
type growing struct {
	ops   []int8 // what versions 2 and so on are: gSet or gDelete; version 1 is there
	near  bool   // the key lies in the neighbour
	found bool   // Get is find, as where it is not plain
	sets  bool   // and Set too
	tier  int8   // a tier's word names the place in a home: 1 + bucket
	other bool   // somebody sets another key of this home

	noBarrier      bool // and so on: what is left out or done in the wrong order
	noFenced       bool
	noStored       bool
	noSettledTable bool
	noSettledOld   bool
	noMoveHome     bool
	noMovedLook    bool
	clearFirst     bool
	newFirst       bool
	noLastLook     bool
	noGetOld       bool
	noGetHead      bool
	noGetTable     bool
	earlyGetHead   bool
	noTierNumber   bool
	noTierOld      bool
	noTierTable    bool
}

const gSet, gDelete = 1, 2

func (x growing) deleted(version int8) bool { return version > 1 && x.ops[version-2] == gDelete }

// tableOf is the table of a bucket.
func tableOf(b int8) int8 { return b & 1 }

// answer judges what a Get gives; nothing is evicted here.
func (x growing) answer(p *processor, version, least int8) {
	if version == 0 { // the first time since then that there is no key
		for version = least; version <= p.mem[gBegun] && !x.deleted(version); version++ {
		}
		if version > p.mem[gBegun] {
			p.fail("a key is missed that was there all the time")
		}
	}
	if version < least {
		p.fail("version %d is seen after version %d", version, least)
	}
	p.mem[gSeen] = max(p.mem[gSeen], version)
}

// findSteps are find, lookTier and probe. They go to found with the bucket in a
// register, or to missed. A writer publishes that it may store.
func (x growing) findSteps(n string, bucket, table, head int, writer bool, found, missed string) []step {
	at := func(p *processor, b int8) {
		*p.r(bucket) = b
		*p.r(table), *p.r(head) = 0, 0
		p.to(found)
	}
	protect := func(label string, b int8) []step {
		if !writer {
			return nil
		}
		return []step{{label + n + " protect", func(p *processor) { p.put(gHazard, 1+b) }}}
	}
	start := []step{
		{"find" + n + " load table", func(p *processor) { *p.r(table) = p.load(gTable) }},
		{"find'" + n + " load old", func(p *processor) {
			switch {
			case *p.r(table) == 0:
				p.to("old" + n)
			case p.load(gOld) == 0:
				p.to("new" + n)
			case !x.newFirst:
				p.to("old" + n)
			}
		}},
		{"first" + n + " probe the new table before the old one", func(p *processor) {
			if p.load(gHead+gNewHome)&gTag != 0 {
				at(p, gNewHome)
			}
		}},
	}
	if x.tier != 0 {
		b := x.tier - 1
		start = join(start[:1],
			[]step{{"tier" + n + " load old", func(p *processor) {
				if *p.r(table) != tableOf(b) && !x.noTierNumber ||
					tableOf(b) == 1 && p.load(gOld) != 0 && !x.noTierOld {
					p.to("find'" + n)
				}
			}}},
			protect("tier'", b),
			[]step{
				{"tag" + n + " load head", func(p *processor) {
					if p.load(gHead+cell(b))&gTag == 0 {
						p.to("find'" + n)
					}
				}},
				{"tier''" + n + " load table", func(p *processor) {
					if p.load(gTable) == *p.r(table) || x.noTierTable {
						at(p, b)
					}
				}},
			}, start[1:])
	}
	return join(start,
		[]step{{"old" + n + " probe", func(p *processor) {}}},
		protect("old'", gOldHome),
		[]step{
			{"old''" + n + " load head", func(p *processor) {
				h := p.load(gHead + gOldHome)
				switch *p.r(head) = h; {
				case h&gTag != 0:
					at(p, gOldHome)
				case h&gMark == 0:
					p.to("probed" + n)
				}
			}},
		},
		protect("next", gNear),
		[]step{
			{"next'" + n + " load head", func(p *processor) {
				if p.load(gHead+gNear)&gTag != 0 {
					at(p, gNear)
				}
			}},
			{"again" + n + " second look", func(p *processor) {
				if (p.load(gHead+gOldHome)^*p.r(head))&^gLock != 0 {
					p.to("old" + n)
				}
			}},
			{"probed" + n, func(p *processor) {
				*p.r(head) = 0
				if *p.r(table) == 0 || x.newFirst { // there is no other
					p.to("last" + n)
				}
			}},
			{"new" + n + " probe", func(p *processor) {}},
		},
		protect("new'", gNewHome),
		[]step{
			{"new''" + n + " load head", func(p *processor) {
				if p.load(gHead+gNewHome)&gTag != 0 {
					at(p, gNewHome)
				}
			}},
			{"last" + n + " load table", func(p *processor) {
				if !x.noLastLook && p.load(gTable) != *p.r(table) {
					p.to("find" + n)
					return
				}
				p.to(missed)
			}},
		},
	)
}

// getSteps are Get, twice.
func (x growing) getSteps() []step {
	const least, table, head, bucket, gets = 0, 1, 2, 3, 4
	ret := func(p *processor, version int8) {
		x.answer(p, version, *p.r(least))
		n := *p.r(gets)
		p.forget()
		if p.to("end"); n == 0 {
			*p.r(gets) = 1
			p.next = 0
		}
	}
	home := func(p *processor) int8 {
		if *p.r(table) == 0 {
			return gOldHome
		}
		return gNewHome
	}
	headLook := step{"head' load head again", func(p *processor) {
		if !x.noGetHead && p.load(gHead+cell(home(p))) != *p.r(head) {
			p.to("findR")
		}
	}}
	oldLook := step{"old load old", func(p *processor) {
		if !x.noGetOld && *p.r(table) == 1 && p.load(gOld) != 0 {
			p.to("findR")
		}
	}}
	if x.earlyGetHead {
		headLook, oldLook = oldLook, headLook
	}
	front := join(
		[]step{
			{"get load table", func(p *processor) {
				*p.r(least) = max(p.mem[gDone], p.mem[gSeen])
				*p.r(table) = p.load(gTable)
			}},
			{"head load head", func(p *processor) {
				h := p.load(gHead + cell(home(p)))
				switch *p.r(head) = h; {
				case h&gTag != 0:
					*p.r(bucket) = home(p)
					*p.r(table), *p.r(head) = 0, 0
					p.to("value")
				case h != 0: // >> marksShift
					p.to("findR")
				}
			}},
			oldLook, headLook,
			{"table load table again", func(p *processor) {
				if !x.noGetTable && p.load(gTable) != *p.r(table) {
					p.to("findR")
					return
				}
				ret(p, 0)
			}},
		},
	)
	if x.found {
		front = []step{{"get getSlow", func(p *processor) { *p.r(least) = max(p.mem[gDone], p.mem[gSeen]) }}}
	}
	return join(front,
		x.findSteps("R", bucket, table, head, false, "value", "miss"),
		[]step{
			{"miss", func(p *processor) { ret(p, 0) }},
			{"value load value", func(p *processor) { ret(p, p.load(gValue+cell(*p.r(bucket)))) }},
		},
	)
}

// moveSteps are moveHome, moveFrom and moveEntry. They go to moved, or to failed.
func (x growing) moveSteps(n, moved, failed string) []step {
	const home, at, value = 5, 6, 7
	// fromSteps are moveFrom of a bucket that is held in a register.
	fromSteps := func(label string, from cell, hold int, next string) []step {
		clear := step{"clear" + label + n + " at.publish", func(p *processor) {
			*p.r(hold) &^= gTag
			p.store(gHead+from, *p.r(hold))
		}}
		entry := []step{
			{"to" + label + n + " lock the new home", func(p *processor) {
				if !p.cas(gHead+gNewHome, 0, gLock) {
					p.wait()
				}
			}},
			{"copy" + label + n + " load value", func(p *processor) { *p.r(value) = p.load(gValue + from) }},
			{"show" + label + n + " fill, show, unlockVisible", func(p *processor) {
				p.put(gValue+gNewHome, *p.r(value))
				p.store(gHead+gNewHome, gTag)
				*p.r(value) = 0
			}},
		}
		if x.clearFirst {
			entry = join([]step{clear}, entry)
		} else {
			entry = join(entry, []step{clear})
		}
		return join([]step{{"stored" + label + n + " load hazard", func(p *processor) {
			switch {
			case p.load(gHazard) == 1+int8(from) && !x.noStored:
				if from == gNear {
					p.put(gHead+gNear, *p.r(at)&^gLock)
				}
				p.store(gHead+gOldHome, *p.r(home)&^gLock)
				*p.r(home), *p.r(at) = 0, 0
				p.to(failed)
			case *p.r(hold)&gTag == 0:
				p.to(next)
			}
		}}}, entry)
	}
	far := []step{{"near" + n, func(p *processor) {}}}
	if x.near {
		far = join(
			[]step{{"near" + n + " alsoLock", func(p *processor) {
				h := p.load(gHead + gNear)
				switch {
				case *p.r(home)&gMark == 0:
					p.to("done" + n)
				case h&gLock != 0 || !p.cas(gHead+gNear, h, h|gLock):
					p.wait()
				default:
					*p.r(at) = h | gLock
				}
			}}},
			fromSteps("1", gNear, at, "gone"+n),
			[]step{{"gone" + n + " at.unlock", func(p *processor) {
				p.put(gHead+gNear, *p.r(at)&^gLock)
				*p.r(home) &^= gMark
				*p.r(at) = 0
			}}},
		)
	}
	return join(
		[]step{
			{"move" + n + " load head", func(p *processor) {
				if p.load(gHead+gOldHome)&gMoved != 0 {
					p.to(moved)
				}
			}},
			{"fenced" + n + " load fenced", func(p *processor) {
				if p.load(gFenced) == 0 && !x.noFenced {
					p.to(failed)
				}
			}},
			{"lock" + n + " tryLock", func(p *processor) {
				h := p.load(gHead + gOldHome)
				switch {
				case h&gLock != 0 || !p.cas(gHead+gOldHome, h, h|gLock):
					p.wait()
				case h&gMoved != 0:
					p.put(gHead+gOldHome, h)
					p.to(moved)
				default:
					*p.r(home) = h | gLock
				}
			}},
		},
		fromSteps("0", gOldHome, home, "near"+n),
		far,
		[]step{
			{"done" + n + " home.unlockVisible, moved", func(p *processor) {
				p.store(gHead+gOldHome, *p.r(home)&^gLock|gMoved)
				*p.r(home) = 0
			}},
			{"nil" + n + " old.Store(nil)", func(p *processor) {
				p.store(gOld, 0)
				p.to(moved)
			}},
		},
	)
}

// growSteps are grow and moveSome.
func (x growing) growSteps() []step {
	fence := barrierSteps("W2")
	if x.noBarrier {
		fence = nil
	}
	return join(
		[]step{{"grow table.CompareAndSwap", func(p *processor) {
			p.store(gTable, 1)
			p.mem[gOld] = 1 // before the table is published
		}}},
		fence,
		[]step{
			{"fence fenced.Store", func(p *processor) { p.store(gFenced, 1) }},
			{"some moveSome: load old", func(p *processor) {
				if p.load(gOld) == 0 {
					p.to("end")
				}
			}},
		},
		x.moveSteps("G", "some", "some"),
	)
}

// setSteps are set, or remove, for one version.
func (x growing) setSteps(v int8) []step {
	const table, head, bucket, home = 0, 1, 2, 3
	n := string('0' + byte(v))
	at := func(p *processor) cell {
		if *p.r(table) == 0 {
			return gHead + gOldHome
		}
		return gHead + gNewHome
	}
	done := func(p *processor) {
		p.forget()
		p.mem[gDone] = v
	}
	front := []step{
		{"set" + n + " load table", func(p *processor) {
			p.mem[gBegun] = v
			*p.r(table) = p.load(gTable)
		}},
		{"hazard" + n + " publish the home, writerBit", func(p *processor) {
			p.put(gHazard, 1+*p.r(table)) // the home's number is the table's
		}},
		{"head" + n + " load head", func(p *processor) {
			h := p.load(at(p))
			switch *p.r(head) = h; {
			case h&gTag != 0:
				*p.r(bucket) = *p.r(table)
				p.to("settled" + n)
			case h == 0: // >> marksShift
				p.to("leave" + n)
			}
		}},
	}
	if x.sets {
		front = []step{{"set" + n + " find", func(p *processor) { p.mem[gBegun] = v }}}
	}
	inPlace := join(front,
		x.findSteps("S"+n, bucket, table, head, true, "settled"+n, "leave"+n),
		[]step{
			{"settled" + n + " load table", func(p *processor) {
				if p.load(gTable) != tableOf(*p.r(bucket)) && !x.noSettledTable {
					p.to("leave" + n)
				}
			}},
			{"settled'" + n + " load old", func(p *processor) {
				if tableOf(*p.r(bucket)) == 1 && p.load(gOld) != 0 && !x.noSettledOld {
					p.to("leave" + n)
				}
			}},
			{"store" + n + " in place", func(p *processor) { p.store(gValue+cell(*p.r(bucket)), v) }},
			{"return" + n + " leave", func(p *processor) {
				p.put(gHazard, 0)
				done(p)
				p.to("done" + n)
			}},
		},
	)
	if x.deleted(v) {
		inPlace = []step{{"remove" + n, func(p *processor) { p.mem[gBegun] = v }}}
	}
	under := []step{
		{"leave" + n + " protect without writerBit", func(p *processor) {
			p.put(gHazard, 0)
			p.forget()
		}},
		{"try" + n + " lockHome: load table", func(p *processor) {
			if *p.r(table) = p.load(gTable); *p.r(table) == 0 || x.noMoveHome {
				p.to("lock" + n)
			}
		}},
		{"try'" + n + " load old", func(p *processor) {
			if p.load(gOld) == 0 {
				p.to("lock" + n)
			}
		}},
	}
	locked := []step{
		{"lock" + n + " tryLock", func(p *processor) {
			h := p.load(at(p))
			if h&gLock != 0 || !p.cas(at(p), h, h|gLock) {
				p.wait()
			}
			if h&gMoved != 0 && !x.noMovedLook {
				p.put(at(p), h)
				p.to("try" + n)
				return
			}
			*p.r(home) = h | gLock
			*p.r(bucket) = *p.r(table)
			// locate
			switch {
			case h&gTag != 0:
			case *p.r(table) == 0 && x.near && p.mem[gHead+gNear]&gTag != 0:
				*p.r(bucket) = gNear // no one else changes it while the home is locked
			default:
				p.to("insert" + n)
			}
		}},
		{"update" + n + " updateInPlace, or takeOut", func(p *processor) {
			if !x.deleted(v) {
				p.store(gValue+cell(*p.r(bucket)), v)
				return
			}
			if *p.r(bucket) == gNear {
				p.store(gHead+gNear, 0)
				*p.r(home) &^= gMark
			} else {
				*p.r(home) &^= gTag
				p.store(at(p), *p.r(home))
			}
		}},
		{"unlock" + n + " unlockVisible", func(p *processor) {
			p.store(at(p), *p.r(home)&^gLock)
			done(p)
			p.to("done" + n)
		}},
		{"insert" + n + " fill, show, unlockVisible", func(p *processor) {
			if !x.deleted(v) {
				p.put(gValue+cell(*p.r(table)), v)
				*p.r(home) |= gTag
			}
			p.store(at(p), *p.r(home)&^gLock)
			done(p)
		}},
		{"done" + n, func(p *processor) {}},
	}
	return join(inPlace, under, x.moveSteps("S"+n, "lock"+n, "try"+n), locked)
}

// otherSteps are lockHome of another key of this home.
func (x growing) otherSteps() []step {
	return join(
		[]step{{"try lockHome: load table and old", func(p *processor) {
			if p.load(gTable) == 0 {
				p.to("lock")
			}
		}}},
		x.moveSteps("O", "lock", "try"),
		[]step{{"lock", func(p *processor) {}}},
	)
}

func (x growing) protocol() protocol {
	start := map[cell]int8{gBegun: 1, gDone: 1}
	at := cell(gOldHome)
	if x.near {
		at = gNear
		start[gHead+gOldHome] = gMark
	}
	start[gHead+at], start[gValue+at] = gTag, 1
	var sets []step
	for i := range x.ops {
		sets = append(sets, x.setSteps(int8(i)+2)...)
	}
	threads := []thread{{"grower", x.growSteps()}, {"setter", sets}, {"reader", x.getSteps()}}
	if x.other {
		threads = append(threads, thread{"other", x.otherSteps()})
	}
	return protocol{
		start:   start,
		threads: threads,
		end: func(m *machine) string {
			last := int8(len(x.ops)) + 1
			if h := m.mem[gHead+gOldHome]; h != gMoved || m.mem[gHead+gNear] != 0 {
				return "something is left in the old table"
			}
			if h := m.mem[gHead+gNewHome]; x.deleted(last) != (h == 0) || h != 0 && (h != gTag || m.mem[gValue+gNewHome] != last) {
				return "what was set last is not there in the end"
			}
			return ""
		},
	}
}

// Guards (I1) to (I3) of grow.go, settled, find and the looks of Get: while a key
// moves to a larger table nobody misses it, no value comes back, and nothing that was
// set is lost.
func TestInterleaveGrowth(t *testing.T) {
	set, remove := []int8{gSet}, []int8{gDelete}
	all := [][]int8{{gSet, gSet}, {gSet, gDelete}, {gDelete, gSet}}
	if testing.Short() {
		all = [][]int8{{gSet}, {gDelete, gSet}}
	}
	for name, x := range map[string]growing{
		"at home":                   {},
		"next door":                 {near: true},
		"not plain":                 {found: true, sets: true},
		"not plain, next door":      {found: true, sets: true, near: true},
		"a tier names the old home": {found: true, sets: true, tier: 1 + gOldHome},
		"a tier names the new home": {found: true, sets: true, tier: 1 + gNewHome},
	} {
		for _, x.ops = range all {
			holds(t, name, x.protocol())
		}
	}
	for name, x := range map[string]growing{
		"no barrier":                            {ops: set, noBarrier: true},
		"moved before the barrier":              {ops: set, other: true, noFenced: true},
		"no look at who stores":                 {ops: set, noStored: true},
		"settled without the table":             {ops: set, noSettledTable: true},
		"settled without the old table":         {ops: set, found: true, noSettledOld: true},
		"the key's home is not moved before":    {ops: remove, noMoveHome: true},
		"no look at moved":                      {ops: remove, noMovedLook: true},
		"taken out before it is shown":          {ops: set, clearFirst: true},
		"find looks into the new table first":   {ops: set, newFirst: true},
		"find does not look at the table again": {ops: set, near: true, noLastLook: true},
		"Get does not look at old":              {ops: set, noGetOld: true},
		"Get does not look at the head again":   {ops: set, noGetHead: true},
		"Get looks at the head again, then old": {ops: set, earlyGetHead: true},
	} {
		breaks(t, name, x.protocol())
	}
	// Second lines: the head of a home that has been moved, or is being moved, tells
	// Get so; a tag in a home is right whatever the tables are.
	for name, x := range map[string]growing{
		"Get does not look at the table again":       {ops: remove, noGetTable: true},
		"settled without the old table, plain":       {ops: set, noSettledOld: true},
		"settled without the old table, not plain":   {ops: set, found: true, sets: true, noSettledOld: true},
		"a tier while the table grows":               {ops: set, found: true, sets: true, tier: 1 + gNewHome, noTierOld: true},
		"a tier without the last look at the table":  {ops: set, found: true, sets: true, tier: 1 + gOldHome, noTierTable: true},
		"a tier without the last look at the table'": {ops: set, found: true, sets: true, tier: 1 + gNewHome, noTierTable: true},
	} {
		holds(t, name, x.protocol())
	}
}

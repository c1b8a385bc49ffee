//go:build !race

package dualcache

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// The index while one key is replaced (tiers.go I5 and I6). The key's home is bucket
// 0, and buckets 1 and 2 are as many steps from it. Version v of the value has a
// place of its own; that places may be written again is proven in the models of
// qsbr.go. Bits of a head: the tags of versions 1 to 3 of the key, the home's marks,
// the lock, and the tag of another key of the same home.
const (
	iHead cell = iota // three of them
	_
	_
	iFills // how often the key was replaced in another bucket, or anything put into the home
	iTier  // the slot that a tier's word names: 4 x bucket + version, or 0
	iBegun // ghost: the last version whose Set has begun
	iDone  // ghost: the last version whose Set has returned
	iSeen  // ghost: no Get that begins may give an older version
)

const (
	iMark  = 4 // << steps
	iLock  = 32
	iOther = 64
	iTags  = 7
	iMarks = 3 * iMark << 1
)

func iTag(version int8) int8 { return 1 << (version - 1) }

// version is the one whose tag a head has, or 0.
func version(head int8) int8 {
	for v := int8(1); v <= 3; v++ {
		if head&iTag(v) != 0 {
			return v
		}
	}
	return 0
}

// A replacing is a variant of the model: version i+1 of the key is in bucket in[i].
type replacing struct {
	in     []int // absent: the key was deleted, or has not been set
	other  int   // where the other key of this home lies, which leaves and comes back; 0: there is none
	strict bool  // a Get may not miss
	tiered bool
	tier   int8 // the tier's word

	oldFirst     bool // what is left out or done in the wrong order
	noLockLook   bool
	noSecondLook bool
	noSecondScan bool
	noFills      bool
	skipFirst    bool
	noOthersAt   bool
	noHomeOnly   bool
	noTagLook    bool
}

const absent = -1

// answer judges what a Get gives, version 0 being a miss. Answers have an order: 2v
// for version v, and one more for a miss while version v is the last, before the next
// Set. No Get may give less than what was given, or set, when it began.
func (x replacing) answer(p *processor, version, least int8) {
	last := least / 2
	given := 2 * version
	if version == 0 {
		switch given = 2*last + 1; {
		case least&1 != 0:
		case x.in[last-1] == absent:
			given = 2 * last
		case x.strict:
			p.fail("a key is missed that was there all the time")
		case p.mem[iBegun] <= last:
			p.fail("a key is missed that nobody sets")
		}
	}
	if given < least {
		p.fail("version %d is seen after version %d, or a miss that followed it", version, last)
	}
	p.mem[iSeen] = max(p.mem[iSeen], given)
}

// getSteps are find, probe and scan, twice: what can be wrong of two Gets, one after
// the other, can be so of two by one goroutine.
func (x replacing) getSteps() []step {
	const least, head, marks, try, gets, hit, before, filled = 0, 1, 2, 3, 4, 5, 6, 7
	ret := func(p *processor, version int8) {
		x.answer(p, version, *p.r(least))
		n := *p.r(gets)
		p.forget()
		if p.to("end"); n == 0 {
			*p.r(gets) = 1
			p.next = 0
		}
	}
	again := func(p *processor) { *p.r(try) = 1 } // and there is no last one here
	begin := func(p *processor) { *p.r(least) = max(2*p.mem[iDone], p.mem[iSeen]) }
	var tier []step
	if x.tiered {
		tier = []step{
			{"tier load word", func(p *processor) {
				begin(p)
				w := p.load(iTier)
				if *p.r(head) = w; w == 0 || w>>2 != 0 && !x.noHomeOnly {
					p.to("probe")
				}
			}},
			{"tier' load head", func(p *processor) {
				w := *p.r(head)
				if h := p.load(iHead + cell(w>>2)); h&iTag(w&3) != 0 || x.noTagLook {
					ret(p, w&3)
				}
			}},
		}
	}
	return append(tier, []step{
		{"probe load head", func(p *processor) {
			if *p.r(least) == 0 {
				begin(p)
			}
			h := p.load(iHead)
			*p.r(head), *p.r(marks) = h, h&iMarks
			switch {
			case version(h) != 0:
				ret(p, version(h))
			case h&iMarks == 0:
				ret(p, 0)
			}
		}},
		{"near load head", func(p *processor) {
			d := 1
			if *p.r(marks)&(iMark<<1) == 0 {
				d = 2
			}
			*p.r(marks) &^= iMark << d
			if h := p.load(iHead + cell(d)); version(h) != 0 {
				if *p.r(hit) = version(h); x.noLockLook {
					ret(p, version(h))
				} else {
					p.to("lock")
				}
			} else if *p.r(marks) != 0 {
				p.to("near")
			}
		}},
		{"again second look at head", func(p *processor) {
			if same := (p.load(iHead)^*p.r(head))&^iLock == 0; !(same && *p.r(try) > 0 || x.noSecondLook || x.noSecondScan && same) {
				again(p)
				p.to("fills")
			}
		}},
		{"again' second look at fills", func(p *processor) {
			if p.load(iFills) == *p.r(filled) || x.noFills || x.noSecondLook || x.noSecondScan && *p.r(try) == 0 {
				ret(p, 0)
			} else {
				again(p)
				p.to("fills")
			}
		}},
		{"lock look at head, and at the sighting before", func(p *processor) {
			if p.load(iHead)&iLock == 0 || *p.r(hit) == *p.r(before) {
				ret(p, *p.r(hit))
			} else {
				*p.r(before) = *p.r(hit)
				again(p)
			}
		}},
		{"fills load fills", func(p *processor) {
			*p.r(filled) = p.load(iFills)
			p.to("probe")
		}},
	}...)
}

const iHome, iAt, iOld = 0, 1, 2 // registers: the holds of the home, of the new place and of the old

// lockSteps are tryLock of a bucket, whose head goes into a register. Neighbours
// need no lock where there is no other writer.
func (x replacing) lockSteps(name string, b, reg int) []step {
	return []step{{name, func(p *processor) {
		a := iHead + cell(b)
		h := p.load(a)
		switch {
		case b != 0 && x.other == 0:
			*p.r(reg) = h
			return
		case h&iLock != 0 || !p.cas(a, h, h|iLock):
			p.wait()
		}
		*p.r(reg) = h | iLock
	}}}
}

// takeOutSteps are takeOut of a tag in bucket b, which is held in reg.
func (x replacing) takeOutSteps(n string, tag int8, b, reg int, v int8) []step {
	return []step{
		{"out" + n + " takeOut: at.publish", func(p *processor) {
			*p.r(reg) &^= tag
			p.store(iHead+cell(b), *p.r(reg))
		}},
		{"unlock" + n, func(p *processor) {
			if b != 0 {
				if *p.r(reg)&(iTags|iOther) == 0 || x.noOthersAt { // othersAt
					*p.r(iHome) &^= iMark << b
				}
				p.put(iHead+cell(b), *p.r(reg)&^iLock)
			}
			p.put(iHead, *p.r(iHome)&^iLock)
			p.forget()
			p.mem[iDone] = max(p.mem[iDone], v)
		}},
	}
}

// setSteps are trySet with insert or replace, or remove, for one version.
func (x replacing) setSteps(v int8) []step {
	n := string('0' + byte(v))
	from, to := x.in[v-2], x.in[v-1]
	lock := x.lockSteps("home"+n+" lockHome", 0, iHome)
	steps := []step{{lock[0].name, func(p *processor) {
		p.mem[iBegun] = v
		lock[0].do(p)
	}}}
	at, old := iHome, iHome
	if to > 0 {
		at = iAt
		steps = join(steps, x.lockSteps("at"+n+" vacantIn: tryLock", to, iAt))
	}
	if from == to {
		old = at
	} else if from > 0 {
		old = iOld
		steps = join(steps, x.lockSteps("old"+n+" alsoLock", from, iOld))
	}
	var show []step
	if to > 0 {
		show = append(show, step{"show" + n + " at.unlockVisible", func(p *processor) {
			p.store(iHead+cell(to), (*p.r(at)|iTag(v))&^iLock)
			*p.r(iHome) |= iMark << to
			*p.r(at) = 0
		}})
	}
	publish := []step{{"publish" + n + " home.publish", func(p *processor) {
		if to == 0 {
			*p.r(iHome) |= iTag(v)
		}
		p.store(iHead, *p.r(iHome))
	}}, {"skip" + n + " aside.skip", func(p *processor) {
		if !x.noFills {
			p.put(iFills, p.load(iFills)+1)
		}
	}}}
	if from == absent && to == absent {
		return nil
	}
	if from == absent { // insert
		insert := step{"insert" + n + " home.unlockVisible", func(p *processor) {
			if to == 0 {
				*p.r(iHome) |= iTag(v)
			}
			p.store(iHead, *p.r(iHome)&^iLock)
			p.forget()
			p.mem[iDone] = v
		}}
		return join(steps, show, []step{insert})
	}
	out := x.takeOutSteps(n, iTag(v-1), from, old, v)
	switch {
	case to == absent:
		return join(steps, out)
	case from == to:
		out[0].do = func(p *processor) {
			*p.r(at) = *p.r(at)&^iTag(v-1) | iTag(v)
			p.store(iHead+cell(to), *p.r(at))
		}
		return join(steps, out)
	case x.skipFirst:
		return join(steps, publish[1:], show, publish[:1], out)
	case x.oldFirst:
		return join(steps, out[:1], show, publish, out[1:])
	}
	return join(steps, show, publish, out)
}

// otherSteps are a Delete, and a Set, of the other key.
func (x replacing) otherSteps() []step {
	return join(
		x.lockSteps("home lockHome", 0, iHome), x.lockSteps("old alsoLock", x.other, iOld),
		x.takeOutSteps("", iOther, x.other, iOld, 0),
		x.lockSteps("home' lockHome", 0, iHome), x.lockSteps("at vacantIn: tryLock", x.other, iAt),
		[]step{
			{"show at.unlockVisible", func(p *processor) {
				p.store(iHead+cell(x.other), (*p.r(iAt)|iOther)&^iLock)
				*p.r(iHome) |= iMark << x.other
			}},
			{"insert home.unlockVisible", func(p *processor) {
				p.store(iHead, *p.r(iHome)&^iLock)
				p.forget()
			}},
		},
	)
}

// promoteSteps are promote, of each version's place in turn.
func (x replacing) promoteSteps() (steps []step) {
	for i, b := range x.in {
		v := int8(i + 1)
		n := string('0' + byte(v))
		if b == absent {
			continue
		}
		steps = append(steps,
			step{"look" + n + " hasTag", func(p *processor) {
				if p.load(iHead+cell(b))&iTag(v) == 0 {
					p.next++
				}
			}},
			step{"promote" + n + " word.Store", func(p *processor) { p.store(iTier, int8(4*b)+v) }},
		)
	}
	return steps
}

func (x replacing) protocol() protocol {
	start := map[cell]int8{iBegun: 1, iDone: 1, iTier: x.tier}
	put := func(m map[cell]int8, b int, tag int8) {
		if b == absent {
			return
		}
		if m[iHead+cell(b)] |= tag; b != 0 {
			m[iHead] |= iMark << b
		}
	}
	last := len(x.in) - 1
	end := map[cell]int8{}
	put(start, x.in[0], iTag(1))
	put(end, x.in[last], iTag(int8(last+1)))
	var sets []step
	for v := 2; v <= len(x.in); v++ {
		sets = append(sets, x.setSteps(int8(v))...)
	}
	threads := []thread{{"setter", sets}, {"reader", x.getSteps()}}
	if x.other != 0 {
		put(start, x.other, iOther)
		put(end, x.other, iOther)
		threads = append(threads, thread{"other", x.otherSteps()})
	}
	if x.tiered {
		threads = append(threads, thread{"pass", x.promoteSteps()})
	}
	return protocol{start: start, threads: threads, end: func(m *machine) string {
		for a := iHead; a < iHead+3; a++ {
			if m.mem[a] != end[a] {
				return fmt.Sprintf("the head of bucket %d is %b in the end, want %b", a, m.mem[a], end[a])
			}
		}
		return ""
	}}
}

// chains are all ways for a key to be set, moved and deleted, by so many steps.
func chains(steps int) (all [][]int) {
	if steps < 0 {
		return [][]int{nil}
	}
	for _, before := range chains(steps - 1) {
		for b := absent; b <= 2; b++ {
			all = append(all, append(before[:len(before):len(before)], b))
		}
	}
	return all
}

// explore explores a model for all chains, and gives those where something is wrong.
func (x replacing) explore(t *testing.T, name string, steps int) (wrong []string) {
	t.Helper()
	states := 0
	for _, x.in = range chains(steps) {
		x.strict = !slices.Contains(x.in, absent)
		for x.other = range 3 {
			v := x.protocol().explore()
			if states += v.states; v.bad != "" {
				wrong = append(wrong, fmt.Sprintf("buckets %v, another key in %d: %s\n\t%s",
					x.in, x.other, v.bad, strings.Join(v.trace, "\n\t")))
			}
		}
	}
	t.Logf("%s: %d states in %d chains; something is wrong in %d", name, states, 3*len(chains(steps)), len(wrong))
	if len(wrong) > 0 && *showTraces {
		t.Logf("\t%s", wrong[0])
	}
	return wrong
}

// Guards (I5) and (I6) of tiers.go, where a key is set, replaced or deleted once, by
// places in all buckets within its reach, with no other key about: nobody sees a new value and then
// the old, and nobody misses a key that is there all the time. (It can be missed while
// it is replaced twice, which is the truth for a moment before the second Set.)
func TestInterleaveReplacement(t *testing.T) {
	for _, in := range chains(1) {
		x := replacing{in: in, strict: in[0] != absent && in[1] != absent}
		holds(t, fmt.Sprint("buckets ", in), x.protocol())
		if x.strict && in[0] != in[1] {
			x.oldFirst = true
			breaks(t, fmt.Sprint("the old one taken out first, buckets ", in), x.protocol())
		}
	}
	for _, in := range [][]int{{2, 1}, {2, 0}, {2, 1, 2}, {2, 0, 2}, {2, 0, 1}} {
		for other := range 3 {
			x := replacing{in: in, other: other, strict: true}
			holds(t, fmt.Sprintf("buckets %v, another key in %d", in, other), x.protocol())
		}
	}
	breaks(t, "no second scan", replacing{in: []int{2, 1}, other: 1, strict: true, noSecondScan: true}.protocol())
	breaks(t, "no look at the fills", replacing{in: []int{2, 1, 2}, other: 1, strict: true, noFills: true}.protocol())
	if len(replacing{skipFirst: true}.explore(t, "the fills grow before the new one is shown", 2)) == 0 {
		t.Error("the fills grow before the new one is shown: nothing is wrong")
	}
	breaks(t, "no second look", replacing{in: []int{2, 0}, strict: true, noSecondLook: true}.protocol())
	breaks(t, "a mark goes while entries are there", replacing{in: []int{1, 1}, other: 1, strict: true, noOthersAt: true}.protocol())
}

// Guards (I7) of tiers.go. A reader keeps the marks that it has loaded. If it finds the
// key in a neighbour that was marked for another entry, or has passed the bucket that
// the old value came to meanwhile, it has come upon a new value which readers who begin
// after it do not see yet:
//
//	reader   loads the home's head: bucket 1 is marked
//	other    deletes the other key there; the mark goes
//	setter   shows the new value in bucket 1, has not published the mark
//	reader   finds the new value in bucket 1
//	reader   a second Get: no mark; finds the old value in bucket 2, or misses
//
// TestStaleMarks does that to the real code.
func TestInterleaveStaleMarks(t *testing.T) {
	if len(replacing{noLockLook: true}.explore(t, "no look at the lock", 2)) == 0 {
		t.Error("no look at the lock: nothing is wrong")
	}
	for _, bad := range (replacing{}).explore(t, "as it is", 2) {
		t.Error(bad)
	}
}

// Guards lookTier and promote: a tier's word, however old, gives out nothing that the
// index would not. Without a look at the tag it gives out what was deleted; if it may
// name a place that is not in the key's home, a new value before the old one is gone.
func TestInterleaveTiers(t *testing.T) {
	words := func(x replacing) (words []int8) {
		words = []int8{0}
		for i, b := range x.in {
			if b != absent {
				words = append(words, int8(4*b+i+1))
			}
		}
		return words
	}
	steps := 2
	if testing.Short() {
		steps = 1
	}
	wrong := func(x replacing) (wrong int, last verdict) {
		x.tiered = true
		states := 0
		for _, x.in = range chains(steps) {
			for _, x.tier = range words(x) {
				v := x.protocol().explore()
				if states += v.states; v.bad != "" {
					wrong, last = wrong+1, v
				}
			}
		}
		last.states = states
		return wrong, last
	}
	if n, v := wrong(replacing{}); n > 0 {
		t.Errorf("%d chains are wrong: %s\n\t%s", n, v.bad, strings.Join(v.trace, "\n\t"))
	} else {
		t.Logf("holds in %d states", v.states)
	}
	for name, x := range map[string]replacing{
		"no look at the tag":          {noTagLook: true},
		"a place outside of the home": {noHomeOnly: true},
	} {
		n, v := wrong(x)
		if n == 0 {
			t.Errorf("%s: nothing is found wrong in %d states", name, v.states)
		}
		t.Logf("%s: found in %d chains: %s", name, n, v.bad)
	}
}

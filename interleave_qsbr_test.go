//go:build !race

package dualcache

import "testing"

// Reclamation (qsbr.go, arena.go). One bucket with one place; A is the other bucket
// that a reader may look at before.
const (
	qHazard cell = iota // of reader 0, and of reader 1
	_
	qOps // of the same
	_
	qHead  // qTag, qLock
	qWord  // the policy word of the place: qFree, qLive, or a stamp
	qDone  // grace.done
	qGrace // grace.lock
	qBegun // grace.begun
	qWaits // grace.waiting: the hazard of each that is waited for
	_
	qWaitOps
	_
	qAll     // how many workers the registry has
	qPending // c.pending
	qLife    // ghost: how often the place has been filled
)

const (
	qBucket, qOther = 1, 2 // hazards
	qTag, qLock     = 1, 2 // in a head

	qFree, qLive = 0, 1
	qRetired     = 2  // and the stamp
	qMarked      = 40 // and the number of who frees by hand: pending
)

// A reclaim is a variant of the model.
type reclaim struct {
	readers    int
	sections   int  // of each reader
	retires    int  // of the remover, and reuses by the writer
	fenced     bool // R1 is an atomic store and W2 nothing
	next       bool // the last reader looks at another bucket first: probe
	joins      bool // the last reader joins the registry
	notes      bool // readers note a hit in the policy word: noteAccess
	noBarrier  bool // and so on: what is left out or done in the wrong order
	noScan     bool
	scanFirst  bool
	lateBegin  bool
	shortStamp bool
	earlyStamp bool
	earlyCount bool
	listOnce   bool
	trustsWord bool
}

// sectionSteps are a reader's sections: Get, or find, from protect to leave.
func (x reclaim) sectionSteps(n int) []step {
	hazard, ops := qHazard+cell(n), qOps+cell(n)
	const left, life, word, counted = 0, 1, 2, 3
	last := n == x.readers-1
	protect := func(at int8) func(p *processor) {
		return func(p *processor) {
			if x.fenced {
				p.store(hazard, at)
			} else {
				p.put(hazard, at)
			}
		}
	}
	count := func(p *processor) {
		*p.r(counted)++
		p.put(ops, *p.r(counted))
	}
	leave := func(p *processor) {
		if !x.earlyCount {
			count(p)
		}
		p.put(hazard, 0)
		*p.r(life) = 0
		if *p.r(left)++; int(*p.r(left)) < x.sections {
			p.to("R1")
		} else {
			p.forget()
			p.to("end")
		}
	}
	var steps []step
	if x.joins && last {
		steps = append(steps, step{"join registry.add", func(p *processor) { p.store(qAll, 2) }})
	}
	if x.next && last {
		steps = append(steps, step{"R0 protect(home)", protect(qOther)})
	}
	steps = append(steps,
		step{"R1 protect(bucket)", protect(qBucket)},
		step{"R2 load head", func(p *processor) {
			if p.load(qHead)&qTag == 0 {
				leave(p)
				return
			}
			*p.r(life) = p.mem[qLife]
		}},
	)
	if x.earlyCount {
		steps = append(steps, step{"early count", count})
	}
	if x.notes {
		// Before the value is read, as in Get.
		steps = append(steps,
			step{"note load word", func(p *processor) { *p.r(word) = p.load(qWord) }},
			step{"note' publish32(word)", func(p *processor) {
				if *p.r(word) == qLive {
					p.put(qWord, qLive)
				}
				*p.r(word) = 0
			}},
		)
	}
	return append(steps,
		step{"R3 checkLife; counts.hits.add; R4 leave", func(p *processor) {
			if p.mem[qLife] != *p.r(life) {
				p.fail("a place was written under its reader")
			}
			leave(p)
		}},
	)
}

// retireSteps are takeOut.
func (x reclaim) retireSteps() []step {
	const left, done = 0, 1
	stamp := func(p *processor) { *p.r(done) = p.load(qBegun) }
	word := step{"stamp grace.stamp; publish32(word); unlock", func(p *processor) {
		if !x.earlyStamp {
			stamp(p)
		}
		periods := int8(1)
		if x.shortStamp {
			periods = 0
		}
		p.put(qWord, qRetired+*p.r(done)+periods)
		p.put(qHead, 0)
		*p.r(done) = 0
		if *p.r(left)++; int(*p.r(left)) < x.retires {
			p.to("lock")
		}
	}}
	steps := []step{{"lock tryLock", func(p *processor) {
		if !p.cas(qHead, qTag, qTag|qLock) {
			p.wait()
		}
	}}}
	if x.earlyStamp {
		steps = append(steps, step{"early grace.stamp", stamp})
	}
	return append(steps, step{"W1 publish the cleared tag", func(p *processor) { p.store(qHead, qLock) }}, word)
}

// reuseSteps are an insert: vacantIn, free, fill, show. Where the code gives a place
// up and comes back, this waits for it.
func (x reclaim) reuseSteps() []step {
	const left, word, done = 0, 1, 2
	return []step{
		{"lock tryLock", func(p *processor) {
			if !p.cas(qHead, 0, qLock) {
				p.wait()
			}
		}},
		{"free load word", func(p *processor) {
			w := p.load(qWord)
			*p.r(word) = w
			switch {
			case w == qFree || w == qLive && x.trustsWord:
				p.to("fill")
			case w >= qMarked:
				p.wait()
			case w == qLive:
				p.to("stamp")
			}
		}},
		{"passed load done", func(p *processor) {
			if qRetired+p.load(qDone) < *p.r(word) {
				p.wait()
			}
			p.to("fill")
		}},
		{"stamp grace.stamp, of a late note", func(p *processor) { *p.r(done) = p.load(qBegun) }},
		{"stamp' word.Store", func(p *processor) {
			p.store(qWord, qRetired+*p.r(done)+1)
			*p.r(done), *p.r(word) = 0, 0
			p.to("free")
		}},
		{"fill; show; unlockVisible", func(p *processor) {
			p.mem[qLife]++
			p.put(qWord, qLive)
			p.store(qHead, qTag)
			*p.r(word) = 0
			if *p.r(left)++; int(*p.r(left)) < x.retires {
				p.to("lock")
			}
		}},
	}
}

// periodSteps are advance, again and again, until there have been enough periods.
// Nobody else is at it, so grace.lock is left out.
func (x reclaim) periodSteps(periods int8) []step {
	const list, ops = 0, 1
	fence := barrierSteps("W2")
	if x.noBarrier || x.fenced {
		fence = nil
	}
	var scan, left []step
	for n := range cell(x.readers) {
		label := string('0' + byte(n))
		scan = append(scan,
			step{"ops" + label + " load ops", func(p *processor) { *p.r(ops) = p.load(qOps + n) }},
			step{"W3." + label + " load hazard", func(p *processor) {
				if n == 0 && !x.listOnce {
					*p.r(list) = int8(x.readers)
				}
				if h := p.load(qHazard + n); h != 0 && !x.noScan && int8(n) < *p.r(list) {
					p.mem[qWaits+n], p.mem[qWaitOps+n] = h, *p.r(ops)
				}
				*p.r(ops) = 0
			}},
		)
		forget := func(p *processor) { p.mem[qWaits+n], p.mem[qWaitOps+n] = 0, 0 }
		left = append(left,
			step{"W4." + label + " left: load hazard", func(p *processor) {
				if h := p.load(qHazard + n); p.mem[qWaits+n] != 0 && h != p.mem[qWaits+n] {
					forget(p)
				}
				if p.mem[qWaits+n] == 0 {
					p.next++
				}
			}},
			step{"W4'." + label + " left: load ops", func(p *processor) {
				if p.load(qOps+n) != p.mem[qWaitOps+n] {
					forget(p)
				}
			}},
		)
	}
	var all []step
	if x.joins {
		all = []step{{"list workers.all.Load", func(p *processor) {
			if !x.listOnce || *p.r(list) == 0 {
				*p.r(list) = p.load(qAll)
			}
		}}}
	}
	count := []step{{"begin begun.Add", func(p *processor) { p.store(qBegun, p.load(qDone)+1) }}}
	begin := join(count, fence, all, scan)
	if x.scanFirst {
		begin = join(count, all, scan, fence)
	} else if x.lateBegin {
		begin = join(fence, count, all, scan)
	}
	return join(begin, left, []step{{"W4 done.Add", func(p *processor) {
		for n := range cell(x.readers) {
			if p.mem[qWaits+n] != 0 {
				p.to("W4.0")
				return
			}
		}
		p.store(qDone, p.load(qDone)+1)
		if !x.listOnce {
			*p.r(list) = 0
		}
		if p.mem[qDone] < periods {
			p.next = 0
		}
	}}})
}

func (x reclaim) protocol(periods int8) protocol {
	all := int8(x.readers)
	if x.joins {
		all = 1
	}
	threads := []thread{{"remover", x.retireSteps()}, {"writer", x.reuseSteps()}, {"grace", x.periodSteps(periods)}}
	for n := range x.readers {
		threads = append(threads, thread{"reader " + string('0'+byte(n)), x.sectionSteps(n)})
	}
	return protocol{
		start:   map[cell]int8{qHead: qTag, qWord: qLive, qAll: all},
		threads: threads,
		mayWait: true, // for more periods than there are
	}
}

// Guards G6 and qsbr.go: no place is written while a reader that saw its tag reads
// it. Each guard of the proof is left out in turn.
func TestInterleaveGracePeriods(t *testing.T) {
	for _, c := range []struct {
		name string
		reclaim
		periods int8
	}{
		{"one reader", reclaim{readers: 1, sections: 1, retires: 1}, 4},
		{"two readers", reclaim{readers: 2, sections: 1, retires: 1}, 3},
		{"three sections", reclaim{readers: 1, sections: 3, retires: 1}, 3},
		{"two lives", reclaim{readers: 1, sections: 2, retires: 2}, 5},
		{"fenced", reclaim{readers: 2, sections: 1, retires: 1, fenced: true}, 3},
		{"a reader goes next door", reclaim{readers: 1, sections: 2, retires: 1, next: true}, 3},
		{"a worker joins", reclaim{readers: 2, sections: 1, retires: 1, joins: true}, 3},
		{"late notes of hits", reclaim{readers: 1, sections: 2, retires: 1, notes: true}, 4},
	} {
		holds(t, c.name, c.protocol(c.periods))
	}
	for _, c := range []struct {
		name string
		reclaim
	}{
		{"no barrier", reclaim{noBarrier: true}},
		{"no look at hazards", reclaim{noScan: true}},
		{"the look before the barrier", reclaim{scanFirst: true}},
		{"the number of a period after its barrier", reclaim{lateBegin: true}},
		{"a stamp of the period in progress", reclaim{shortStamp: true}},
		{"the stamp before the tag is cleared", reclaim{earlyStamp: true}},
		{"counted before it has read", reclaim{earlyCount: true}},
		{"(I2): a list of workers that is kept", reclaim{readers: 2, joins: true, listOnce: true}},
		{"(I3) of arena.go: a live word believed free", reclaim{notes: true, trustsWord: true}},
	} {
		c.readers, c.sections, c.retires = max(c.readers, 1), 1, 1
		breaks(t, c.name, c.protocol(3))
	}
}

// A byHand is a variant of the model of freeByHand: hazard pointers to buckets.
type byHand struct {
	reclaim
	freers    int
	periods   int8 // grace periods that run meanwhile
	noHeld    bool
	heldFirst bool // the look at hazards before the barrier
	noMark    bool
	oneNumber bool
}

// freeSteps are freeByHand.
func (x byHand) freeSteps(n int) []step {
	const held, done = 0, 1
	number := int8(qMarked)
	if !x.oneNumber {
		number += int8(n)
	}
	// lock is tryLock, and reports whether the place has no tag.
	lock := func(p *processor) bool {
		h := p.load(qHead)
		if h&qLock != 0 || !p.cas(qHead, h, h|qLock) {
			p.wait()
		}
		if h&qTag != 0 {
			p.put(qHead, qTag)
		}
		return h&qTag == 0
	}
	mark := []step{
		{"lock tryLock", func(p *processor) {
			if !lock(p) {
				p.next += 2
			}
		}},
		{"mark load word", func(p *processor) {
			if p.load(qWord) == qFree || x.noMark {
				p.put(qHead, 0)
				p.next++
			}
		}},
		{"mark' word.Store(pending); unlock", func(p *processor) {
			p.store(qWord, number)
			p.put(qHead, 0)
		}},
	}
	var look []step
	for i := range cell(x.readers) {
		label := string('0' + byte(i))
		look = append(look, step{"held" + label + " load hazard", func(p *processor) {
			if p.load(qHazard+i) == qBucket && !x.noHeld {
				*p.r(held) = 1
			}
		}})
	}
	fence := barrierSteps("W2")
	if x.noBarrier {
		fence = nil
	}
	again := []step{{"lock' tryLock", func(p *processor) {
		if !lock(p) {
			p.forget()
			p.to("end")
		}
	}}}
	free := []step{
		{"free load word", func(p *processor) {
			if w := p.load(qWord); w == qFree || w != number && !x.noMark {
				p.put(qHead, 0)
				p.forget()
				p.to("end")
			} else if *p.r(held) == 0 {
				p.to("free'")
			}
		}},
		{"stamp grace.stamp", func(p *processor) { *p.r(done) = p.load(qBegun) }},
		{"free' word.Store; unlock", func(p *processor) {
			word := int8(qFree)
			if *p.r(held) != 0 {
				word = qRetired + *p.r(done) + 1
			}
			p.store(qWord, word)
			p.put(qHead, 0)
			p.forget()
		}},
	}
	if x.heldFirst {
		return join(mark, look, fence, again, free)
	}
	return join(mark, fence, again, look, free)
}

func (x byHand) protocol() protocol {
	threads := []thread{{"remover", x.retireSteps()}, {"writer", x.reuseSteps()}}
	for n := range x.freers {
		threads = append(threads, thread{"freer " + string('0'+byte(n)), x.freeSteps(n)})
	}
	for n := range x.readers {
		threads = append(threads, thread{"reader " + string('0'+byte(n)), x.sectionSteps(n)})
	}
	if x.periods > 0 {
		threads = append(threads, thread{"grace", x.periodSteps(x.periods)})
	}
	return protocol{
		start:   map[cell]int8{qHead: qTag, qWord: qLive},
		threads: threads,
		mayWait: true, // for more periods than there are
		always: func(m *machine) string {
			if m.mem[qHead] == qTag && m.mem[qWord] != qLive {
				return "an entry has the word of a place that is not live"
			}
			return ""
		},
	}
}

// Guards the same for places that are freed by hand, by one writer and by two at
// once, without grace periods and with them.
func TestInterleaveFreeByHand(t *testing.T) {
	one := reclaim{readers: 1, sections: 2, retires: 1}
	two := reclaim{readers: 2, sections: 1, retires: 1}
	notes := reclaim{readers: 1, sections: 1, retires: 1, notes: true}
	next := reclaim{readers: 1, sections: 1, retires: 2, next: true}
	for name, x := range map[string]byHand{
		"one writer":               {reclaim: one, freers: 1},
		"two readers":              {reclaim: two, freers: 1},
		"two writers":              {reclaim: one, freers: 2},
		"late notes of hits":       {reclaim: notes, freers: 2},
		"two lives, and next door": {reclaim: next, freers: 2},
		"with grace periods":       {reclaim: notes, freers: 1, periods: 3},
	} {
		holds(t, name, x.protocol())
	}
	one.sections = 1
	silent := one
	silent.noBarrier = true
	for name, x := range map[string]byHand{
		"no barrier":                  {reclaim: silent, freers: 1},
		"no look at hazards":          {reclaim: one, freers: 1, noHeld: true},
		"the look before the barrier": {reclaim: one, freers: 1, heldFirst: true},
		"no mark before the barrier":  {reclaim: one, freers: 1, noMark: true},
		"two writers with one number": {reclaim: one, freers: 2, oneNumber: true},
	} {
		breaks(t, name, x.protocol())
	}
}

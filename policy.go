package dualcache

import (
	"math/bits"
	"sync/atomic"
	"unsafe"
)

// The eviction policy: an adaptive two-region clock with timed history.
//
// New entries go into the window, a queue (second chance; the small queue of
// S3-FIFO, SOSP '23, and the window of W-TinyLFU, ToS '17). What leaves the
// window meets the next victim of main, a clock with ranks (Corbató 1968; Smith
// 1978), and the one that has been read more often stays (TinyLFU), or, among
// those read as often as is counted, the one that is read at shorter intervals
// (LIRS, SIGMETRICS '02). Who loses leaves the cache and is remembered for a
// while (filter.go). What is remembered, and how many of main's idle entries are read,
// tells whether the window should grow or shrink (ARC, FAST '03; by equal marginal gain:
// Cliffhanger, NSDI '16).
//
//	            found in history, dropped from the window a short while ago
//	           ┌──────────────────────────────────────────────┐
//	new ──► window (queue, 2% to 90%) ──► contest ──► main (clock of ranks)
//	           │   └ read: another turn      │ loser       │ hand finds rank 0
//	           └──────────── history ◄───────┴─────────────┘
//
// Time is counted in evictions: as many as the cache has entries are 256 ticks.
// An entry's word, beside its key in the bucket:
//
//	bits 0..1    rank: hits since the hand last came by, at most 3
//	bits 2..3    frequency: hits, at most 3; fades with age
//	bits 4..13   interval between the last two reads in ticks; all ones: unknown
//	bits 14..29  tick of the last read, or up to 3 before
//	bit  30      there is, or was in this life, a deadline
//	bit  31      live; a retired place holds a stamp instead (qsbr.go)
//
// Readers note their hits in the word themselves, by a plain store: the line is
// in their cache, and a hit lost to another one at the same moment is no loss.
// An entry at the highest rank and frequency that was read in these four ticks
// already has nothing to tell; in a skewed stream this is nearly every hit (G4: the
// word is written at most once for each step of the rank or of the time).
//
// The lists are arrays of (low hash, slot), in chunks that never move. An entry's
// position word names its place in them:
//
//	bits 0..27   index in the list, plus one; 0: in no list
//	bit  28      in main, else in the window
//	bits 29..31  distance of the entry from its home bucket
//
// Roles. The holder of the pass lock owns the lists. Others take entries out
// (forget) or rename them when they are replaced, at any time:
//
// (I1) Whoever changes a position word does so by an atomic operation from a value
// it has seen, or holds the home's lock and swaps it. An entry is taken out of a
// list by the one whose compare-and-swap removes the item.
// (I2) An item that names a slot whose position does not name the item is left
// over from an entry on its way out, and is passed over.
// (I3) The pass changes policy words by compare-and-swap: it is in no section, and
// the place may have been given to another entry, with a deadline.
// (I4) Insert records may be lost. An entry in no list is found by the slow hand
// that goes round all buckets, one for each eviction.
type policy struct {
	table    *atomic.Pointer[table]
	capacity int     // entries that there are when the cache is full
	most     int     // the largest capacity
	perTick  float64 // evictions in a tick
	tickRate float64 // ticks in an eviction
	evict    func(s spot, position uint32) bool
	pinned   func(s spot) bool // not to be listed
	vacated  vacated           // of the plain clock

	window, main list
	windowHead   uint64 // oldest
	windowTail   uint64 // next to be filled
	mainHand     uint64
	mainEnd      uint64 // items that have ever been used
	mainFree     uint64 // where the search for a free item of main goes on
	windowLen    int    // entries listed, less those that the pass took out itself;
	mainLen      int    // those that others forgot are in the workers' counters
	gone         [2]int // of them, as summed at the last pass: window, main
	slowHand     uint64
	toLookAt     uint64 // buckets that the slow hand has still to visit
	dropped      uint64 // insert records dropped, as summed at the last pass

	seq      uint64     // evictions
	now      uint32     // seq in ticks
	tick0    uint32     // now, when the pace changed
	seq0     uint64     // seq, when the pace changed
	share    float64    // the window's part, in entries
	steady   float64    // entries that the regions share
	evidence [2]float64 // for a larger window, for a larger main
	marked   uint64     // seq at the last adaptation
	phiAt    uint64     // seq at the last reckoning of phi
	fromMain int        // evictions from main since
	phi      float64    // main's part of the evictions

	idle     []idler // a sample of main's entries of rank 0, an eighth of the capacity ago
	idlePart float64 // of main's entries, by that sample
	looks    uint64  // where the next is looked for
}

const (
	maxRank  = 3
	maxFreq  = 3
	rankBits = 3

	freqShift  = 2
	irrShift   = 4
	irrUnknown = 1<<10 - 1
	stampShift = 14
	tickMask   = 1<<16 - 1

	policyDeadline = 1 << 30
	policyLive     = 1 << 31

	// The words of places that are not live.
	policyFree    = 0
	policyRetired = 1 << 30 // and a stamp; neither bit: pending, see freeByHand
	stampBits     = 30
	stampMask     = 1<<stampBits - 1

	// A hit on an entry that reads so, but for the interval, the last bits of the tick
	// and whether it has a deadline, has nothing to tell.
	policyQuietMask = ^uint32(irrUnknown<<irrShift | (quietTicks-1)<<stampShift | policyDeadline)
	quietTicks      = 4
	policyQuiet     = policyLive | maxFreq<<freqShift | maxRank
)

func rankOf(word uint32) uint32 { return word & rankBits }
func freqOf(word uint32) uint32 { return word >> freqShift & maxFreq }
func irrOf(word uint32) uint32  { return word >> irrShift & irrUnknown }
func ageOf(word, now uint32) uint32 {
	return (now - word>>stampShift) & tickMask
}

// effective is the frequency that counts: it halves with every fade ticks.
func effective(freq, age, fade uint32) uint32 {
	for ; age >= fade && freq > 0; age -= fade {
		freq >>= 1
	}
	return freq
}

// touched is the word of an entry after a hit.
func touched(word, now, fade uint32) uint32 {
	age := ageOf(word, now)
	freq := min(effective(freqOf(word), age, fade)+1, maxFreq)
	rank := min(rankOf(word)+1, maxRank)
	return word&(policyLive|policyDeadline) | now&tickMask<<stampShift |
		min(age, irrUnknown-1)<<irrShift | freq<<freqShift | rank
}

// usage orders entries by how much they are used: rank and frequency, then how
// lately.
func usage(word, now, fade uint32) uint64 {
	age := ageOf(word, now)
	return uint64(rankOf(word)+effective(freqOf(word), age, fade))<<16 | uint64(tickMask-age)
}

// heatOf is usage in 4 bits: twice the rank and frequency that count, and one for
// reads lately.
func heatOf(word, now uint32) uint8 {
	age := ageOf(word, now)
	heat := 2 * (rankOf(word) + effective(freqOf(word), age, fadeTicks))
	if age < ticksPerTurn {
		heat++
	}
	return uint8(heat)
}

// warmWord is the word of an entry that was as hot before.
func warmWord(heat uint8, now uint32) uint32 {
	hits := min(uint32(heat)/2, maxRank+maxFreq)
	return policyLive | now&tickMask<<stampShift | irrUnknown<<irrShift | (hits-hits/2)<<freqShift | hits/2
}

// newcomer is the word of a new entry.
func newcomer(now uint32) uint32 {
	return policyLive | now&tickMask<<stampShift | irrUnknown<<irrShift | 1<<freqShift
}

// quietAt is the word of an entry that has nothing to tell at this tick.
func quietAt(now uint32) uint32 {
	return (policyQuiet | now&tickMask<<stampShift) & policyQuietMask
}

// now16 is the tick, as readers know it.
func (c *Cache[K, V]) now16() uint32 { return c.tickNow.Load() }

// noteAccess notes a hit on an entry that its caller's section or lock protects.
func (c *Cache[K, V]) noteAccess(word *atomic.Uint32) {
	if x := word.Load(); x&policyQuietMask != c.quiet.Load() {
		c.note(word, x)
	}
}

// note notes a hit that has something to tell, on an entry whose word was x. (A place
// that has been taken out meanwhile holds a stamp.)
func (c *Cache[K, V]) note(word *atomic.Uint32, x uint32) {
	if x&policyLive != 0 {
		publish32(word, touched(x, c.now16(), fadeTicks))
	}
}

// Position words.
const (
	positionMask  = 1<<28 - 1
	positionMain  = 1 << 28
	positionDead  = positionMask // of a place without an entry
	distanceShift = 29
)

func listed(position uint32) bool      { return position&positionMask != 0 }
func distanceOf(position uint32) int   { return int(position >> distanceShift) }
func atDistance(d int) uint32          { return uint32(d) << distanceShift }
func itemIndex(position uint32) uint64 { return uint64(position&positionMask) - 1 }

// A list is an array of items, low hash << 32 | slot, 0 if empty, in chunks that
// are made when first needed.
type list struct {
	chunks []atomic.Pointer[[]atomic.Uint64]
	shift  uint
	spare  *[]atomic.Uint64
}

func (l *list) init(items int) {
	for l.shift = 5; l.shift < 12 && items>>l.shift > 16; l.shift++ {
	}
	l.chunks = make([]atomic.Pointer[[]atomic.Uint64], 1<<bits.Len(uint(items>>l.shift+2)))
}

// size is the number of items after which a list used as a ring begins again, a
// power of two.
func (l *list) size() uint64 { return uint64(len(l.chunks)) << l.shift }

// wrap is the item that a position in a ring without end stands for.
func (l *list) wrap(i uint64) uint64 { return i & (l.size() - 1) }

// at is an item, or nil if its chunk has not been made or is gone. Anyone.
func (l *list) at(i uint64) *atomic.Uint64 {
	if n := i >> l.shift; n < uint64(len(l.chunks)) {
		if chunk := l.chunks[n].Load(); chunk != nil {
			return &(*chunk)[i&(1<<l.shift-1)]
		}
	}
	return nil
}

// ensure is at, and makes the chunk. Pass only.
func (l *list) ensure(i uint64) *atomic.Uint64 {
	if item := l.at(i); item != nil {
		return item
	}
	chunk := l.spare
	if l.spare = nil; chunk == nil {
		items := make([]atomic.Uint64, 1<<l.shift)
		chunk = &items
	}
	l.chunks[i>>l.shift].Store(chunk)
	return l.at(i)
}

// release keeps the chunk of an item for later use, if that was its last item.
func (l *list) release(i uint64) {
	if i&(1<<l.shift-1) == 1<<l.shift-1 {
		if chunk := l.chunks[i>>l.shift].Swap(nil); l.spare == nil {
			l.spare = chunk
		}
	}
}

func (p *policy) init(tables *atomic.Pointer[table], capacity int, evict func(spot, uint32) bool, pinned func(spot) bool) {
	p.table, p.most, p.evict, p.pinned = tables, capacity, evict, pinned
	p.setCapacity(capacity)
	p.window.init(capacity)
	p.main.init(capacity)
	p.idle = make([]idler, 0, p.sampleSize())
	p.share = p.clampShare(windowStart * float64(capacity))
	p.phi = 0.5
}

const (
	ticksPerTurn = 256
	fadeTicks    = 32 * ticksPerTurn

	windowStart = 0.10
	windowLeast = 0.02
	windowMost  = 0.90
	shareStep   = 0.03
	steadyRise  = 256
	nearEdge    = 0.05 // of the capacity: what a slightly larger region would have kept
	evidenceMin = 8
	idleWeight  = 0.1 // of a hit on an idle entry, as evidence
	idleSample  = 64
	movesAtOnce = 64
)

// setCapacity tells how many entries there are when the cache is full. Time goes on
// from where it is, at another pace. The pass lock is held.
func (p *policy) setCapacity(n int) {
	if p.capacity != 0 {
		p.share *= float64(n) / float64(p.capacity)
	}
	p.capacity, p.tick0, p.seq0 = n, p.now, p.seq
	p.perTick, p.tickRate = float64(n)/ticksPerTurn, ticksPerTurn/float64(n)
	p.share = p.clampShare(p.share)
}

// fit takes the number of entries for the capacity where weights decide when the
// cache is full. The pass lock is held.
func (p *policy) fit(most int) {
	n := min(max(p.lenWindow()+p.lenMain(), 1), most)
	if d := n - p.capacity; 8*max(d, -d) > p.capacity {
		p.setCapacity(n)
	}
}

func (p *policy) clampShare(x float64) float64 {
	c := float64(p.capacity)
	return min(max(x, windowLeast*c, 1), max(windowMost*c, 1))
}

// wmax is the window's share in entries.
func (p *policy) wmax() int { return int(p.share) }

func (p *policy) lenWindow() int { return p.windowLen - p.gone[0] }
func (p *policy) lenMain() int   { return p.mainLen - p.gone[1] }

// begin sums what others have forgotten since the last pass.
func (p *policy) begin(workers []*worker) {
	var window, main, dropped uint64
	for _, w := range workers {
		window += w.counts.forgotWindow.load()
		main += w.counts.forgotMain.load()
		dropped += w.counts.droppedInserts.load()
	}
	p.gone = [2]int{int(window), int(main)}
	if dropped != p.dropped {
		p.dropped = dropped
		p.lookForLost()
	}
}

// spotOf is the place that a slot names, or none if its table is gone.
func (p *policy) spotOf(s slot) spot {
	for t := p.table.Load(); t != nil && s != 0; t = t.old.Load() {
		if t.number == s.table() {
			return spot{t, s.bucket(), s.place()}
		}
	}
	return spot{}
}

// An entry is an item as the pass sees it.
type entry struct {
	spot
	item uint64
	x    uint32 // position word
}

func (e *entry) low() uint32  { return uint32(e.item >> 32) }
func (e *entry) home() uint64 { return e.t.back(e.b, distanceOf(e.x)) }

// read makes an entry of an item, if its position names the item (I2).
func (p *policy) read(item uint64, region uint32, i uint64) (e entry, ok bool) {
	s := p.spotOf(slot(item))
	if !s.found() {
		return e, false
	}
	e = entry{s, item, s.position().Load()}
	return e, e.x&(positionMask|positionMain) == uint32(i+1)|region && e.word().Load()&policyLive != 0
}

// listOf is the list that a position names.
func (p *policy) listOf(position uint32) *list {
	if position&positionMain != 0 {
		return &p.main
	}
	return &p.window
}

// names reports whether the item that a position names, names the slot.
func (p *policy) names(position uint32, s slot) bool {
	item := p.listOf(position).at(itemIndex(position))
	return item != nil && slot(item.Load()) == s
}

// forget takes an entry that leaves out of its list. Its home is locked.
func (p *policy) forget(w *worker, s spot) {
	x := s.position().Swap(positionDead)
	if !listed(x) || x == positionDead {
		return
	}
	item := p.listOf(x).at(itemIndex(x))
	if item == nil {
		return
	}
	if v := item.Load(); slot(v) == s.slot() && item.CompareAndSwap(v, 0) {
		if x&positionMain != 0 {
			w.counts.forgotMain.add(1)
		} else {
			w.counts.forgotWindow.add(1)
		}
	}
}

// unlist is forget for the pass, which alone changes what it does under the home's
// lock: no atomic operation is needed.
func (p *policy) unlist(s spot, x uint32) {
	publish32(s.position(), positionDead)
	if !listed(x) {
		return
	}
	item := p.listOf(x).at(itemIndex(x))
	if item == nil || slot(item.Load()) != s.slot() {
		return // taken out of the window's queue before
	}
	publish64(item, 0)
	if x&positionMain != 0 {
		p.mainLen--
	} else {
		p.windowLen--
	}
}

// rename gives an entry's place in its list to the place that replaces it. It
// reports false if it was in none: it has to be announced. Its home is locked.
func (p *policy) rename(old, s spot) bool {
	x := old.position().Swap(positionDead)
	if !listed(x) {
		return false
	}
	distance := s.position().Load()
	publish32(s.position(), distance|x&(positionMain|positionMask))
	if item := p.listOf(x).at(itemIndex(x)); item != nil {
		v := item.Load()
		if slot(v) == old.slot() && item.CompareAndSwap(v, v&^0xffffffff|uint64(s.slot())) {
			return true
		}
	}
	publish32(s.position(), distance)
	return false
}

// moveTo lists an entry elsewhere. It reports false if it has left or changed.
func (p *policy) moveTo(e *entry, region uint32, i uint64) bool {
	l := p.listOf(region)
	item := l.ensure(i)
	publish64(item, e.item)
	x := e.x&^(positionMain|positionMask) | region | uint32(i+1)
	if !e.position().CompareAndSwap(e.x, x) {
		item.Store(0)
		return false
	}
	e.x = x
	return true
}

// toWindow appends an entry to the window.
func (p *policy) toWindow(e *entry) bool {
	if p.windowTail-p.windowHead >= p.window.size()-1<<p.window.shift {
		p.compactWindow()
	}
	if !p.moveTo(e, 0, p.window.wrap(p.windowTail)) {
		return false
	}
	p.windowTail++
	p.windowLen++
	return true
}

// compactWindow closes the gaps that entries have left which were taken out of
// the middle of the queue. There is one for every entry that it can hold beyond
// the capacity, so that it is called once in so many.
func (p *policy) compactWindow() {
	first, last := p.windowHead, p.windowTail
	p.windowTail = first
	for n := first; n != last; n++ {
		i := p.window.wrap(n)
		item := p.window.at(i)
		for v := item.Load(); v != 0; v = item.Load() { // again, if it was renamed
			e, ok := p.read(v, 0, i)
			to := p.window.wrap(p.windowTail)
			switch {
			case !ok:
				if item.CompareAndSwap(v, 0) {
					p.windowLen--
				}
				continue
			case to == i:
			case p.moveTo(&e, 0, to):
				item.Store(0)
			default:
				continue
			}
			p.windowTail++
			break
		}
	}
}

// toMain puts an entry into main, as far behind the hand as may be, without a
// contest: near the hand if an item is free there, else at the end, else where
// there is one.
func (p *policy) toMain(e *entry) bool {
	for i := range uint64(movesAtOnce) {
		if i >= p.mainEnd {
			break
		}
		at := (p.mainHand + p.mainEnd - 1 - i) % p.mainEnd
		if p.main.at(at).Load() == 0 {
			return p.inMain(e, at)
		}
	}
	if p.mainEnd < uint64(p.most) {
		if !p.inMain(e, p.mainEnd) {
			return false
		}
		p.mainEnd++
		return true
	}
	for range p.mainEnd {
		at := p.mainFree % p.mainEnd
		p.mainFree++
		if p.main.at(at).Load() == 0 {
			return p.inMain(e, at)
		}
	}
	return false
}

func (p *policy) inMain(e *entry, at uint64) bool {
	if !p.moveTo(e, positionMain, at) {
		return false
	}
	p.mainLen++
	return true
}

// inserted notes a new entry.
func (p *policy) inserted(record slot, low uint32) {
	s := p.spotOf(record)
	if !s.found() || !hasTag(s.bucket().head.Load(), s.i) {
		return
	}
	e := entry{s, uint64(low)<<32 | uint64(record), s.position().Load()}
	if listed(e.x) || e.word().Load()&policyLive == 0 || p.pinned(s) {
		return
	}
	if plainClock {
		if at, ok := p.vacated.take(); !ok || p.main.at(at).Load() != 0 || !p.inMain(&e, at) {
			p.toMain(&e)
		}
		return
	}
	if ghost, ok := s.t.aside[e.home()].ghosts.take(low); ok && p.comeBack(&e, ghost) {
		return
	}
	if !p.toWindow(&e) {
		p.lookForLost()
	}
}

// comeBack deals with a key that the history knows. It reports whether the
// entry went into main.
func (p *policy) comeBack(e *entry, ghost uint32) bool {
	age := ghostAge(ghost, p.now)
	seen := e.word().Load()
	word := seen
	freq := min(effective(ghostFrequency(ghost), age, fadeTicks)+max(freqOf(word), 1), maxFreq)
	word = word&^(maxFreq<<freqShift) | freq<<freqShift
	evictions := float64(age) * p.perTick
	edge := nearEdge * float64(p.capacity)
	if ghost&ghostMain != 0 {
		if p.phi*evictions <= edge {
			p.evidence[1]++
		}
		e.word().CompareAndSwap(seen, word)
		return false
	}
	if evictions <= float64(p.wmax())+edge {
		p.evidence[0]++
	}
	if irrOf(word) == irrUnknown {
		word = word&^(irrUnknown<<irrShift) | min(age, irrUnknown-1)<<irrShift
	}
	e.word().CompareAndSwap(seen, word)
	v, at, ok := p.victim()
	if !ok || 2*age >= ageOf(v.word().Load(), p.now) {
		return false
	}
	if !p.drop(&v, ghostMain) || !p.inMain(e, at) {
		return false
	}
	p.mainHand = at + 1
	return true
}

// victim finds main's next victim, and leaves the hand on it.
func (p *policy) victim() (e entry, at uint64, ok bool) {
	for range (maxRank+1)*p.mainEnd + 1 {
		if p.mainEnd == 0 || p.lenMain() <= 0 {
			break
		}
		if p.mainHand >= p.mainEnd {
			p.mainHand = 0
		}
		at = p.mainHand
		item := p.main.at(at)
		if v := item.Load(); p.spare(v) {
			if e, ok = p.read(v, positionMain, at); ok {
				return e, at, true
			}
			if item.CompareAndSwap(v, 0) { // (I2)
				p.mainLen--
			}
		}
		p.mainHand++
	}
	return entry{}, 0, false
}

// spare is the look of the hand at an item: it lowers the rank, if there is one,
// and reports whether the entry may have to go. That it is still there is looked
// at only then.
func (p *policy) spare(item uint64) bool {
	s := p.spotOf(slot(item))
	if !s.found() {
		return false
	}
	word := s.word()
	x := word.Load()
	if x&policyLive == 0 || rankOf(x) == 0 {
		return x&policyLive != 0
	}
	word.CompareAndSwap(x, x-1)
	return false
}

// passOver takes the oldest of the window to main. With a contest, it loses or
// wins against main's victim, and reports whether an entry was evicted; without,
// whether an entry went over.
func (p *policy) passOver(contest bool) bool {
	for turns := p.lenWindow(); ; turns-- {
		e, ok := p.oldest()
		if !ok {
			return false
		}
		word := e.word().Load()
		if rankOf(word) > 0 && turns > 0 {
			e.word().CompareAndSwap(word, word&^rankBits)
			p.toWindow(&e)
			continue
		}
		if !contest {
			e.word().CompareAndSwap(word, word&^rankBits)
			if p.toMain(&e) {
				return true
			}
			p.toWindow(&e)
			return false
		}
		v, at, ok := p.victim()
		if !ok || !p.wins(word, v.word().Load()) {
			if p.drop(&e, 0) {
				return true
			}
			p.toWindow(&e)
			return false
		}
		if !p.drop(&v, ghostMain) {
			p.toWindow(&e)
			return false
		}
		e.word().CompareAndSwap(word, word&^rankBits)
		p.inMain(&e, at)
		p.mainHand = at + 1
		return true
	}
}

// oldest takes the first entry out of the window's queue. Its position still
// names the item, which is empty: the caller lists it elsewhere, or drops it.
func (p *policy) oldest() (e entry, ok bool) {
	for p.windowHead != p.windowTail {
		i := p.window.wrap(p.windowHead)
		item := p.window.at(i)
		v := item.Load()
		e, ok = p.read(v, 0, i)
		if v != 0 && !item.CompareAndSwap(v, 0) {
			continue // renamed, or forgotten: look again
		}
		if v != 0 {
			p.windowLen--
		}
		p.window.release(i)
		p.windowHead++
		if ok {
			return e, true
		}
	}
	return entry{}, false
}

// wins decides a contest of the window's oldest against main's victim.
func (p *policy) wins(s, v uint32) bool {
	ageS, ageV := ageOf(s, p.now), ageOf(v, p.now)
	effS, effV := effective(freqOf(s), ageS, fadeTicks), effective(freqOf(v), ageV, fadeTicks)
	if effS > effV {
		return true
	}
	irr := irrOf(s)
	return effS == maxFreq && irr != irrUnknown && 5*max(irr, ageS) < ageV
}

// drop evicts an entry and remembers it.
func (p *policy) drop(e *entry, kind uint32) bool {
	word := e.word().Load()
	if !p.evict(e.spot, e.x) {
		return false
	}
	p.seq++
	p.now = p.tick0 + uint32(uint64(float64(p.seq-p.seq0)*p.tickRate))
	if plainClock {
		return true
	}
	stamp := word >> stampShift
	if kind == ghostMain {
		stamp = p.now
		p.fromMain++
	}
	freq := effective(freqOf(word), ageOf(word, p.now), fadeTicks)
	e.t.aside[e.home()].ghosts.put(e.low(), kind, freq, stamp, p.now)
	p.adapt()
	return true
}

// adapt moves the boundary between the regions to where both would gain as much
// from one entry more.
func (p *policy) adapt() {
	eighth := uint64(max(p.capacity/8, 1))
	if p.seq-p.phiAt >= eighth {
		p.phi += (float64(p.fromMain)/float64(p.seq-p.phiAt) - p.phi) / 4
		p.fromMain, p.phiAt = 0, p.seq
		p.evidence[1] += idleWeight * p.idleHits()
		p.lookForIdle()
	}
	window, main := p.evidence[0], p.evidence[1]
	if window+main >= evidenceMin && p.seq-p.marked >= eighth {
		step := shareStep * float64(p.capacity)
		p.share = p.clampShare(p.share + step*(window-main)/(window+main))
		p.evidence, p.marked = [2]float64{}, p.seq
	}
}

// Keys that come back to main are not all that speaks for a larger one: more of the keys
// that leave the window would then be let in. What these would be worth, the hits on
// main's idle entries tell, those of rank 0, which would be the next to make way for
// them. Without them a window that has grown makes ghosts of all that main cannot hold,
// and goes on growing (in loops, for one). A sample of some dozen entries tells how many
// of them are hit; as many as a slightly larger main would have more are counted.

// An idler is an item of main whose entry was idle.
type idler struct {
	item uint64
	at   uint32
	word uint32
}

func (p *policy) sampleSize() int { return min(max(p.capacity/16, 1), idleSample) }

// idleHits reckons how many idle entries were hit since the sample was taken, of as many
// as a slightly larger main would have more. Those that have left since had no hit.
func (p *policy) idleHits() float64 {
	if len(p.idle) == 0 {
		return 0
	}
	hits := 0
	for _, was := range p.idle {
		at := uint64(was.at)
		e, ok := p.read(p.main.at(at).Load(), positionMain, at)
		// Nothing but a hit changes a word of rank 0; the hand may lower the rank again.
		if ok && e.item == was.item && e.word().Load() != was.word {
			hits++
		}
	}
	idle := p.idlePart * float64(max(p.lenMain(), 0))
	return float64(hits) / float64(len(p.idle)) * min(idle, nearEdge*float64(p.capacity))
}

// lookForIdle takes a new sample.
func (p *policy) lookForIdle() {
	p.idle = p.idle[:0]
	if p.mainEnd == 0 {
		return
	}
	seen := 0
	for range p.sampleSize() {
		p.looks += 0x9e3779b97f4a7c15 // evenly spread (Weyl)
		at := p.looks >> 32 * p.mainEnd >> 32
		e, ok := p.read(p.main.at(at).Load(), positionMain, at)
		if !ok {
			continue
		}
		seen++
		if word := e.word().Load(); rankOf(word) == 0 {
			p.idle = append(p.idle, idler{e.item, uint32(at), word})
		}
	}
	p.idlePart = float64(len(p.idle)) / float64(max(seen, 1))
}

// warm asks for what the evictions after the next n will look at, so that it is there
// when they come: one by one, each would wait for memory. Half of the time of an
// eviction from a large cache is such waiting.
func (p *policy) warm(n int) {
	t := p.table.Load()
	for i := range uint64(n) {
		if at := p.windowHead + uint64(n) + i; at < p.windowTail {
			p.fetch(t, slot(p.window.at(p.window.wrap(at)).Load()))
		}
	}
	for i := range uint64(2 * n) {
		if at := p.mainHand + uint64(2*n) + i; at < p.mainEnd {
			p.fetch(t, slot(p.main.at(at).Load()))
		}
	}
}

// fetch asks for the lines of an entry.
func (p *policy) fetch(t *table, s slot) {
	if s != 0 && s.table() == t.number {
		fetch(unsafe.Pointer(t.at(s.bucket())))
		fetch(unsafe.Pointer(&t.aside[s.bucket()]))
	}
}

// warmInsert does the same for an insert record.
func (p *policy) warmInsert(s slot) { p.fetch(p.table.Load(), s) }

// plan prepares for n evictions. It reckons how many entries there are when they
// have been made: the regions share these. As room is made ahead and new entries
// are listed late, the number goes up and down; taken by its lower bound, main is
// at its share in between as well, and what leaves the window has to contend.
func (p *policy) plan(n int) {
	left := float64(p.lenWindow() + p.lenMain() - n)
	if p.seq == 0 {
		p.steady = left
	}
	p.steady = min(left, p.steady+(left-p.steady)/steadyRise)
}

// free evicts one entry, and reports whether it did. The entry that it makes room
// for counts as one of the window.
func (p *policy) free() bool {
	p.findLost()
	for range movesAtOnce {
		if p.lenWindow() < p.wmax() {
			break
		}
		if p.lenMain() > int(p.steady)-p.wmax() || !p.passOver(false) {
			return p.passOver(true)
		}
	}
	v, at, ok := p.victim()
	if !ok {
		return p.passOver(true)
	}
	if !p.drop(&v, ghostMain) {
		p.mainHand++
		return false
	}
	if plainClock {
		p.vacated.put(at)
	}
	return true
}

// lookForLost sends the slow hand round once more (I4).
func (p *policy) lookForLost() { p.toLookAt = p.table.Load().homes }

// findLost lists the entries of one bucket that are in no list (I4).
func (p *policy) findLost() {
	if p.toLookAt == 0 {
		return
	}
	p.toLookAt--
	t := p.table.Load()
	if p.slowHand++; p.slowHand >= t.homes {
		p.slowHand = 0
	}
	b := t.at(p.slowHand)
	for m := live(b.head.Load()); m != 0; m &= m - 1 {
		s := t.slot(p.slowHand, position(m))
		x := t.position(p.slowHand, position(m))
		// One that says it is listed where it is not has lost its item to a chunk
		// that was given to others meanwhile.
		if v := x.Load(); listed(v) && v != positionDead && !p.names(v, s) {
			x.CompareAndSwap(v, v&^(positionMain|positionMask))
		}
		if !listed(x.Load()) {
			p.inserted(s, 0)
		}
	}
}

package dualcache

import (
	"math/bits"
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"
)

// The write path: Set and Delete.
//
// A Set of a resident key whose value is a word changes it in place, without
// a lock: it protects the bucket as a reader does, and stores. Why that is
// sound: the store takes effect while the entry is in the index, or after it
// was taken out. In the first case it is the register's new value. In the
// second the removal, or the replacement by another Set, overlapped with this
// Set, which therefore may count as having come just before it; what it stored
// nobody will read as the key's later value, because nobody who begins now
// finds the place. Entries with a deadline are changed under the lock, because
// value and deadline are two words; and an entry without one gets one only by
// replacement, so that a store in place that comes late cannot land in an entry
// with another Set's deadline.
//
// Every other Set takes the home bucket's lock: some tens of nanoseconds for a
// search in one bucket, a few stores, and one more that publishes. An insert
// needs a permit. Permits are what bounds Len: there are Capacity of them, an
// entry holds one for as long as it is in the index, and workers keep a few. A
// writer that finds none makes room: it runs the pass if nobody does, and else
// evicts one entry of a bucket near its own.
//
// Order of a retirement: clear the tag, stamp the place (qsbr.go I1), tell the
// policy.

// set is Set with a deadline.
func (c *Cache[K, V]) set(key K, value V, deadline int64) {
	hash := c.hash(key)
	if deadline != noDeadline && !c.timed.Load() {
		c.timed.Store(true)
	}
	if c.valueKind == valueFixed || deadline != noDeadline {
		// Under the lock it is found out whether the key is resident.
		c.setLocked(c.enter(), hash, key, value, deadline, true)
		return
	}
	w := c.enter()
	var s spot
	var from tierNumber
	absent := false
	if c.plain {
		// The home bucket first, as in Get.
		t := c.table.Load()
		n := t.homeOf(hash)
		b := bucketAt[K, V](t, n)
		publishAddress(&w.hazard, uintptr(unsafe.Pointer(b))|writerBit)
		prefetch(&b.bucketHead)
		head := b.head.Load()
		for m := match(head, broadcast(hash)); m != 0; m &= m - 1 {
			if i := position(m); b.place(i).key == key {
				s = spot{t, n, i}
				break
			}
		}
		absent = head>>marksShift == 0 // or about to be moved: seen under the lock
	}
	if !s.found() && !absent {
		s, from = c.find(w, hash, key, true)
	}
	if !s.found() || s.word().Load()&(policyLive|policyDeadline) != policyLive || !c.settled(s.t) {
		c.setLocked(w, hash, key, value, deadline, s.found())
		return
	}
	if debug {
		yield(pointInPlace)
	}
	c.store(placeAt[K, V](s), value)
	wake := c.noteHit(w, hash, s, from)
	w.counts.sets.add(1)
	w.leave()
	if wake {
		c.wake()
	}
}

// settled reports whether a table is the one in force and nothing is being moved
// into it. Asked inside a section that may store: if the answer is yes, whoever
// moves entries out of it will see the section's hazard (grow.go).
func (c *Cache[K, V]) settled(t *table) bool {
	return c.table.Load() == t && t.old.Load() == nil
}

// An outcome tells what an attempt at a locked Set came to.
type outcome uint8

const (
	outcomeDone outcome = iota
	outcomeClosed
	outcomeNeedsPermit
	outcomeNeedsDeadlines // the chunk of the free place has not been made
	outcomeFull           // no free place within reach of the home
	outcomeLocked         // a lock is held for long, or the table was outgrown
)

// setLocked takes over pinned, and unpins.
func (c *Cache[K, V]) setLocked(w *worker, hash uint64, key K, value V, deadline int64, resident bool) {
	for try := 0; ; {
		if !resident && w.permits == 0 {
			w = c.getPermit(w, hash)
			continue
		}
		result, at := c.trySet(w, hash, key, value, deadline)
		if result == outcomeDone {
			c.finishSet(w)
			return
		}
		if result == outcomeNeedsPermit {
			resident = false
			continue
		}
		c.keepNoPermit(w)
		w.leave()
		switch result {
		case outcomeClosed:
			return
		case outcomeNeedsDeadlines:
			at.t.makeDeadlines(at.index())
		case outcomeFull:
			if try == supplyTries {
				c.refuse(hash, key)
				return
			}
			c.makePlace(hash, try)
			try++
		case outcomeLocked:
			c.giveWay()
		}
		w = c.enter()
	}
}

// giveWay is what a writer does, unpinned, that could not lock what it must.
func (c *Cache[K, V]) giveWay() {
	c.moveSome(c.table.Load(), 1)
	runtime.Gosched()
}

// getPermit gets a permit for an insert. It is entered pinned and returns
// pinned, but unpins in between unless there are plenty.
func (c *Cache[K, V]) getPermit(w *worker, hash uint64) *worker {
	taken := c.takePermits(w)
	t := c.table.Load()
	grow := t.hashes != nil && c.mustGrow(t)
	if taken && !grow && (c.permits.Load() >= c.lowWater || !c.crowded.Load()) {
		return w
	}
	c.keepNoPermit(w) // it may go on on another P
	w.leave()
	n := 0
	switch {
	case grow:
		c.grow(t, true)
	case taken:
		c.makeRoomAhead()
	default:
		n = c.makeRoom(hash)
	}
	w = c.enter()
	w.permits += n
	return w
}

// trySet makes one attempt under the home's lock. Pinned.
func (c *Cache[K, V]) trySet(w *worker, hash uint64, key K, value V, deadline int64) (outcome, spot) {
	t, home, ok := c.lockHome(w, hash)
	if !ok {
		return outcomeLocked, spot{}
	}
	old, resident := c.locate(w, t, home.n, home.head, hash, key)
	switch {
	case resident && c.updateInPlace(old, value, deadline):
		c.noteAccess(old.word())
		home.unlockVisible()
		return outcomeDone, spot{}
	case !resident && c.closed.Load():
		home.unlock()
		return outcomeClosed, spot{}
	case !resident && w.permits == 0:
		home.unlock()
		return outcomeNeedsPermit, spot{}
	}
	first := home.n
	if resident {
		first = old.b
	}
	s, at, ok := c.vacant(w, t, &home, first)
	if !ok {
		home.unlock()
		return outcomeFull, spot{}
	}
	result := outcomeDone
	switch {
	case deadline != noDeadline && t.deadlineChunkOf(s.index()) == nil:
		result = outcomeNeedsDeadlines
	case resident:
		word := touched(old.word().Load(), c.now16(), fadeTicks)&^policyDeadline | policyLive
		c.fill(s, &home, hash, key, value, deadline, word)
		if !c.replace(w, &home, &at, old, s, hash) {
			result = outcomeLocked
		}
	default:
		c.fill(s, &home, hash, key, value, deadline, newcomer(c.now16()))
		c.insert(w, &home, &at, s, hash)
	}
	if result != outcomeDone {
		placeAt[K, V](s).wipe()
		s.word().Store(policyFree)
		if at.n != home.n {
			at.unlock()
		}
		home.unlock()
	}
	return result, s
}

// vacant finds a free place, in bucket first if there is one, else as near to the
// home as there is one. The place's bucket is the home, or is locked in at.
func (c *Cache[K, V]) vacant(w *worker, t *table, home *hold, first uint64) (s spot, at hold, ok bool) {
	if first != home.n {
		if s, at, ok = c.vacantIn(w, t, home, first); ok {
			return s, at, true
		}
	}
	for d := 0; d <= t.reach(); d++ {
		if s, at, ok = c.vacantIn(w, t, home, t.near(home.n, d)); ok {
			return s, at, true
		}
	}
	return spot{}, hold{}, false
}

func (c *Cache[K, V]) vacantIn(w *worker, t *table, home *hold, n uint64) (s spot, at hold, ok bool) {
	at = *home
	if n != home.n {
		if empty(t.at(n).head.Load()) == 0 {
			return spot{}, hold{}, false
		}
		if at, ok = t.tryLock(n, neighbourSpins); !ok {
			return spot{}, hold{}, false
		}
		if at.head&headMoved != 0 {
			at.unlock()
			return spot{}, hold{}, false
		}
	}
	for m := empty(at.head); m != 0; m &= m - 1 {
		if i := position(m); c.free(at.b.word(i)) {
			return spot{t, n, i}, at, true
		}
	}
	if empty(at.head) != 0 {
		c.waits(w) // they all wait for a grace period
	}
	if n != home.n {
		at.unlock()
	}
	return spot{}, hold{}, false
}

const neighbourSpins = 4

// waits notes that a bucket had no place but such as wait for a grace period. One
// such meeting is luck, and the writer goes next door; a few of them, where a key
// is updated again and again, say that a barrier is worth its price. Pinned.
func (c *Cache[K, V]) waits(w *worker) {
	if w.waits++; w.waits >= waitsForGrace {
		w.waits = 0
		c.graceWanted.Store(true)
	}
}

const waitsForGrace = 8

// free reports whether a place without a tag may be written. Its bucket is
// locked.
func (c *Cache[K, V]) free(word *atomic.Uint32) bool {
	x := word.Load()
	switch {
	case x == policyFree:
		return true
	case x&(policyLive|policyRetired) == policyRetired:
		if c.grace.passed(x) {
			return true
		}
	case x&policyLive == 0 && ((c.pending.Load()|1)-x)&stampMask < 2*maxWorkers:
		// It is being freed by hand.
	default: // (I3) of arena.go
		word.Store(c.grace.stamp())
	}
	return false
}

// fill writes an entry into a free place. Nobody sees it yet.
func (c *Cache[K, V]) fill(s spot, home *hold, hash uint64, key K, value V, deadline int64, word uint32) {
	t, i := s.t, s.index()
	if debug {
		t.lives[i].Add(1)
	}
	p := placeAt[K, V](s)
	p.key, p.value = key, value
	if deadline != noDeadline {
		word |= policyDeadline
	}
	t.setDeadline(i, deadline)
	if t.hashes != nil {
		t.hashes[i] = hash
	}
	publish32(s.position(), atDistance(t.distance(home.n, s.b)))
	publish32(s.word(), word)
}

// distance is how many steps b is from a home that it can be reached from.
func (t *table) distance(home, b uint64) int {
	d := 0
	for t.near(home, d) != b {
		d++
	}
	return d
}

// show sets the tag of a filled place and, if it is not in the home, the mark.
// It ends the hold of the place's bucket if that is not the home.
func (c *Cache[K, V]) show(home, at *hold, s spot, hash uint64) {
	if s.b == home.n {
		home.head = withTag(home.head, s.i, tagOf(hash))
		return
	}
	at.head = withTag(at.head, s.i, tagOf(hash))
	at.unlockVisible()
	home.head |= mark(s.t.distance(home.n, s.b))
}

// insert puts a filled place into the index, and unlocks. The worker has a permit
// for it.
func (c *Cache[K, V]) insert(w *worker, home, at *hold, s spot, hash uint64) {
	c.show(home, at, s, hash)
	w.permits--
	w.counts.added.add(1)
	home.unlockVisible()
	s.t.noteDeadline(s.index())
	c.announce(w, s, hash)
}

// announce tells the policy of an entry that is in none of its lists.
func (c *Cache[K, V]) announce(w *worker, s spot, hash uint64) {
	if w.insertQueue.offer(hash<<32|uint64(s.slot())) == offerDropped {
		w.counts.droppedInserts.add(1)
	}
}

// replace puts a filled place into the index instead of an old one of the same
// key, and unlocks. The entry keeps its place in the policy's lists: it is not a
// new key (rule 8). It reports false, with nothing done, if it cannot get the old
// place's bucket.
func (c *Cache[K, V]) replace(w *worker, home, at *hold, old, s spot, hash uint64) bool {
	var other hold
	oldAt := at
	if old.b != at.n || old.b == home.n {
		var ok bool
		if oldAt, ok = s.t.alsoLock(home, &other, old.b); !ok {
			return false
		}
	}
	listed := c.policy.rename(old, s)
	same := oldAt.n == s.b
	if same {
		oldAt.head = withTag(oldAt.head, s.i, tagOf(hash))
	} else {
		c.show(home, at, s, hash)
		home.publish() // (I6) of tiers.go: the new one before the old one
	}
	c.takeOut(w, home, oldAt, old)
	s.t.noteDeadline(s.index())
	if !listed {
		c.announce(w, s, hash)
	}
	return true
}

// takeOut clears the tag of a place, whose bucket is held by at (which may be
// home), retires it, and unlocks both. The policy has forgotten it.
func (c *Cache[K, V]) takeOut(w *worker, home, at *hold, old spot) {
	at.head = withTag(at.head, old.i, 0)
	at.publish()
	if debug {
		yield(pointBeforeRetire)
	}
	publish32(old.word(), c.grace.stamp())
	w.counts.retired.add(1)
	if c.pointers && w.wipeQueue.offer(uint64(old.slot())) == offerDropped && !c.wipeAll.Load() {
		c.wipeAll.Store(true)
	}
	if old.b != home.n {
		if d := old.t.distance(home.n, old.b); !c.othersAt(old, at.head, d) {
			home.head &^= mark(d)
		}
		at.unlock()
	}
	if c.fenced {
		home.unlockVisible() // and what was offered, before awake is looked at
	} else {
		home.unlock()
	}
}

// othersAt reports whether a bucket holds an entry of the home d buckets before
// it. That home is locked.
func (c *Cache[K, V]) othersAt(s spot, head uint64, d int) bool {
	for m := live(head); m != 0; m &= m - 1 {
		if distanceOf(s.t.position(s.b, position(m)).Load()) == d {
			return true
		}
	}
	return false
}

// updateInPlace changes a resident entry under the lock, where value and
// deadline allow: the value first (expiry.go I2).
func (c *Cache[K, V]) updateInPlace(s spot, value V, deadline int64) bool {
	if c.valueKind == valueFixed || deadline != noDeadline && s.word().Load()&policyDeadline == 0 {
		return false
	}
	c.store(placeAt[K, V](s), value)
	s.t.setDeadline(s.index(), deadline)
	s.t.noteDeadline(s.index())
	return true
}

// removeAt takes the entry of a place out, if the place still holds one, its
// position word is the expected one (which only the pass expects), and, unless now
// is 0, its deadline has come. It reports whether it did. The permit is the caller's. Pinned.
func (c *Cache[K, V]) removeAt(w *worker, s spot, expected uint32, now int64) bool {
	n := s.t.back(s.b, distanceOf(s.position().Load()))
	w.protect(s.t.at(n), false, c.fenced)
	home, ok := s.t.tryLock(n, lockSpins)
	if !ok {
		return false
	}
	var other hold
	at, ok := s.t.alsoLock(&home, &other, s.b)
	if !ok {
		home.unlock()
		return false
	}
	x := s.position().Load()
	if !hasTag(at.head, s.i) || s.t.back(s.b, distanceOf(x)) != n || expected != anyPosition && x != expected ||
		now != 0 && !s.t.expired(s.index(), now) {
		if at != &home {
			at.unlock()
		}
		home.unlock()
		return false
	}
	if expected == anyPosition {
		c.policy.forget(w, s)
	} else {
		c.policy.unlist(s, x)
	}
	c.takeOut(w, &home, at, s)
	return true
}

const anyPosition = ^uint32(0)

// finishSet ends a Set that took effect: it hands work on, unpinned.
func (c *Cache[K, V]) finishSet(w *worker) {
	w.counts.sets.add(1)
	full := w.insertQueue.pending() >= c.drainAt
	c.keepNoPermit(w)
	w.leave()
	if full {
		c.tryDrain()
	}
	if c.graceWanted.Load() {
		c.graceWanted.Store(false)
		c.advance()
	}
	if t := c.table.Load(); t.old.Load() != nil {
		c.moveSome(t, movesPerSet)
	}
	if c.awake.Load() == 0 {
		c.wake()
	}
}

// takePermits moves some permits to the worker. Until the cache has been full
// once they are taken one by one, so that it can be filled to the last entry;
// from then on in batches. Pinned.
func (c *Cache[K, V]) takePermits(w *worker) bool {
	limit := 1
	if c.crowded.Load() {
		limit = max(int(c.workers.stock.Load()), 1)
	}
	n := c.takeSomePermits(int64(limit))
	w.permits += n
	return n > 0
}

func (c *Cache[K, V]) takeSomePermits(limit int64) int {
	for {
		have := c.permits.Load()
		n := min(have, limit)
		if n <= 0 {
			return 0
		}
		if c.permits.CompareAndSwap(have, have-n) {
			return int(n)
		}
	}
}

// keepNoPermit puts back what was taken for an insert and not used, where permits
// are taken one by one: until the cache has been full once, and always in a small
// one, whose permits could else all lie with workers that nobody uses; and what is
// above the worker's stock, which shrinks as there are more of them. It is called
// before every leave of a writer that may have one. Pinned.
func (c *Cache[K, V]) keepNoPermit(w *worker) {
	stock := 0
	if c.crowded.Load() {
		stock = int(c.workers.stock.Load())
	}
	if w.permits > stock {
		c.permits.Add(int64(w.permits - stock))
		w.permits = stock
	}
}

// returnPermit gives back the permit of an entry that was removed. Pinned.
func (c *Cache[K, V]) returnPermit(w *worker) {
	if w.permits < int(c.workers.stock.Load()) && c.crowded.Load() {
		w.permits++
		return
	}
	c.permits.Add(1)
}

// A writer gives the holder of the pass lock a few microseconds to make room; then
// it yields to others, in case one of them is the holder, or keeps it from its
// processor. Then it evicts an entry by itself, and, as the holder seems to be
// stopped, the next few without more ado (rule 16). What is evicted so is not the
// policy's choice and is not remembered.
const (
	roomSpins   = 256
	roomYields  = 64
	aloneAtOnce = 16
	idleTurns   = 64
)

// idle passes a few dozen nanoseconds.
//
//go:noinline
func idle(turns int) {
	for range turns {
	}
}

// makeRoom evicts, and returns the permits that the caller then has. Not
// pinned.
func (c *Cache[K, V]) makeRoom(hash uint64) int {
	if !c.crowded.Load() {
		c.crowded.Store(true)
	}
	for spins := 0; ; spins++ {
		if spins > 0 {
			idle(idleTurns) // and leave the lines to the holder
		}
		if c.lockPass() {
			n := c.passForRoom(c.batch)
			if c.alone.Load() != 0 {
				c.alone.Store(0)
			}
			c.unlockPass()
			if n > 0 {
				c.permits.Add(int64(n - 1))
				return 1
			}
		}
		if n := c.takeSomePermits(1); n > 0 {
			return n
		}
		switch patient := c.alone.Load()%aloneAtOnce == 0; {
		case spins < roomSpins:
		case patient && spins < roomSpins+roomYields:
			runtime.Gosched()
		case c.evictNear(hash):
			c.alone.Add(1)
			return 1
		default:
			runtime.Gosched()
		}
	}
}

// evictNear evicts an entry that is little used from within reach of the home of
// hash, or, if there is none, from the next bucket that has one. It reports whether
// it did. The permit is the caller's.
func (c *Cache[K, V]) evictNear(hash uint64) bool {
	for t := c.table.Load(); t != nil; t = t.old.Load() {
		n := t.homeOf(hash)
		if c.evictLowest(t, n, t.reach()) {
			return true
		}
		for i := range t.homes {
			if c.evictLowest(t, (n+i)%t.homes, 0) {
				return true
			}
		}
	}
	return false
}

// evictLowest evicts the entry that has been read least, and of these the one that
// was longest ago, from the buckets up to last steps from a home. It reports whether
// it did. The permit is the caller's.
func (c *Cache[K, V]) evictLowest(t *table, home uint64, last int) bool {
	var lowest spot
	best := ^uint64(0)
	now := c.now16()
	for d := range last + 1 {
		b := t.near(home, d)
		for m := live(t.at(b).head.Load()); m != 0; m &= m - 1 {
			s := spot{t, b, position(m)}
			if u := usage(s.word().Load(), now, fadeTicks); u < best {
				lowest, best = s, u
			}
		}
	}
	if !lowest.found() {
		return false
	}
	return c.evictAt(lowest, anyPosition)
}

// makePlace makes a free place near the home of a hash where retired places and
// live entries take all there are: a grace period frees the former; where a
// section lasts, they are freed by hand; and if it is too crowded for the table
// to grow, the entry of the lowest rank leaves. It is called again and again, and
// then yields, and waits. Not pinned.
func (c *Cache[K, V]) makePlace(hash uint64, try int) {
	if c.advance(); c.advance() && try == 0 {
		return // two periods, or the second that the stamps ask for
	}
	t := c.table.Load()
	home := t.homeOf(hash)
	if c.liveIn(t, home) > crowd(t) {
		if t.hashes != nil && t.old.Load() == nil {
			c.grow(t, try < supplyYields)
			runtime.Gosched()
			return
		}
		if c.evictLowest(t, home, t.reach()) {
			c.permits.Add(1)
		}
	}
	for d := 0; d <= t.reach(); d++ {
		c.freeByHand(t, t.near(home, d))
	}
	switch {
	case try > supplyYields:
		time.Sleep(supplyPause)
	case try > 2:
		runtime.Gosched()
	}
}

const (
	supplyYields = 64
	supplyTries  = supplyYields + 100
	supplyPause  = 100 * time.Microsecond
)

// crowd is how many entries within reach of a home are too many.
func crowd(t *table) int { return (t.reach()+1)*bucketPlaces - 2 }

// liveIn counts the entries within reach of a home.
func (c *Cache[K, V]) liveIn(t *table, home uint64) (n int) {
	for d := 0; d <= t.reach(); d++ {
		n += bits.OnesCount64(live(t.at(t.near(home, d)).head.Load()))
	}
	return n
}

// refuse gives up a Set for want of a place. The older value must not outlive
// it.
func (c *Cache[K, V]) refuse(hash uint64, key K) {
	c.remove(hash, key)
	w := c.enter()
	w.counts.refusals.add(1)
	w.leave()
}

// remove takes a key out of the index. It reports whether it was there, and
// the deadline that it had.
func (c *Cache[K, V]) remove(hash uint64, key K) (bool, int64) {
	for {
		w := c.enter()
		t, home, ok := c.lockHome(w, hash)
		if !ok {
			w.leave()
			c.giveWay()
			continue
		}
		s, ok := c.locate(w, t, home.n, home.head, hash, key)
		if !ok {
			home.unlock()
			w.leave()
			return false, noDeadline
		}
		var other hold
		at, ok := t.alsoLock(&home, &other, s.b)
		if !ok {
			home.unlock()
			w.leave()
			runtime.Gosched()
			continue
		}
		deadline := t.deadline(s.index())
		c.policy.forget(w, s)
		c.takeOut(w, &home, at, s)
		c.returnPermit(w)
		w.counts.deletes.add(1)
		w.leave()
		if c.awake.Load() == 0 {
			c.wake()
		}
		return true, deadline
	}
}

// clearAll empties the index, place by place: first the table that is being
// outgrown, whose entries may be on their way into the other.
func (c *Cache[K, V]) clearAll() {
	c.crowded.Store(false)
	for {
		t := c.table.Load()
		if old := t.old.Load(); old != nil {
			c.clearTable(old)
		}
		c.clearTable(t)
		if c.table.Load() == t {
			break
		}
	}
	c.wake()
}

func (c *Cache[K, V]) clearTable(t *table) {
	for b := uint64(0); b < t.homes; b++ {
		for live(t.at(b).head.Load()) != 0 {
			w := c.enter()
			n := 0
			for m := live(t.at(b).head.Load()); m != 0; m &= m - 1 {
				if c.removeAt(w, spot{t, b, position(m)}, anyPosition, 0) {
					n++
				}
			}
			w.counts.cleared.add(uint64(n))
			w.leave()
			c.permits.Add(int64(n))
			if n == 0 {
				runtime.Gosched()
			}
		}
	}
}

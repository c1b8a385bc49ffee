package dualcache

import (
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"
)

// The write path: Set, Delete, and their kin, all of which are a change to one key,
// if some condition holds.
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

// A change is what a Set, or one of its kin, wants done to one key.
type change[K comparable, V any] struct {
	hash  uint64
	key   K
	value V
	only  condition
	was   identity[V] // ifSame
	load  *ticket     // ifIntact

	now      int64 // the clock, read before the change began; 0: there are no deadlines
	deadline int64 // or noDeadline
	limit    int64 // how far reads may move the deadline; 0: without limit
	reload   int64 // when a read starts a reload; 0: never
	due      bool
	restored bool // the entry comes from a snapshot, with this policy word
	word     uint32
	weight   uint32

	reserved int64 // weight that has been taken for it
	needs    int64 // weight that it lacks
	replaced int64 // weight of the entry that it replaces
	spare    *removal[K, V]
	found    V // the value that stands in the way of ifAbsent
}

// A condition says when a change is made.
type condition uint8

const (
	always   condition = iota
	ifAbsent           // the key has no value
	ifSame             // it has the value that was read, and has had no other since
	ifIntact           // it has not been set or deleted since a load began (load.go)
)

// An outcome tells what an attempt at a change came to.
type outcome uint8

const (
	outcomeDone outcome = iota
	outcomeClosed
	outcomeUnmet   // its condition does not hold
	outcomeRefused // for want of a place, or too heavy
	outcomeNeedsPermit
	outcomeNeedsWeight
	outcomeNeedsColumns // the chunks of the free place have not been made
	outcomeNeedsReports // there is no memory to tell the listener
	outcomeNeedsSettle  // stores without the lock must end first
	outcomeFull         // no free place within reach of the home
	outcomeLocked       // a lock is held for long, or the table was outgrown
)

// setBare is Set where a configuration asks for nothing but a map that evicts.
func (c *Cache[K, V]) setBare(hash uint64, key K, value V) {
	w := c.enter()
	if c.valueKind == valueFixed {
		// Under the lock it is found out whether the key is resident.
		c.applyPinned(w, &change[K, V]{hash: hash, key: key, value: value}, true)
		return
	}
	var s spot
	var how manner
	absent := false
	t := c.table.Load()
	n := t.homeOf(hash)
	b := bucketAt[K, V](t, n)
	hazard := uintptr(unsafe.Pointer(b)) | writerBit
	if c.plain {
		publishAddress(&w.hazard, hazard)
	}
	if c.plain || c.protectHome(w, hazard) { // the home first, as in Get
		b.prefetch()
		head := b.head.Load()
		for m := match(head, broadcast(hash)); m != 0; m &= m - 1 {
			if i := position(m); b.place(i).key == key {
				s = spot{t, n, i}
				break
			}
		}
		absent = head&(headMoved|marksMask<<marksShift) == 0
	}
	if !s.found() && !absent {
		s, how = c.findToStore(w, t, n, hash, key)
	}
	if !s.found() || s.word().Load()&(policyLive|policyDeadline) != policyLive || !c.lockless.Load() || !c.settled(s.t) {
		c.applyPinned(w, &change[K, V]{hash: hash, key: key, value: value}, s.found())
		return
	}
	if debug {
		yield(pointInPlace)
	}
	c.store(placeAt[K, V](s), value)
	wake := c.noteHit(w, hash, s, how)
	w.counts.sets.add(1)
	w.leave()
	if wake {
		c.wake()
	}
}

// findToStore is find where a key that is not found is looked for again, under the lock.
func (c *Cache[K, V]) findToStore(w *worker, t *table, n, hash uint64, key K) (spot, manner) {
	if c.tiered || t.old.Load() != nil {
		return c.find(w, hash, key, true)
	}
	s, how, _ := c.scan(w, t, n, hash, key, true)
	if s.found() && s.b != n && t.at(n).head.Load()&headLock != 0 { // (I7) of tiers.go
		return spot{}, inIndex
	}
	return s, how
}

// fetchAside asks for what an insertion needs besides the bucket.
func (c *Cache[K, V]) fetchAside(hash uint64) {
	t := c.table.Load()
	fetch(unsafe.Pointer(&t.aside[t.homeOf(hash)]))
}

// settled reports whether a table is the one in force and nothing is being moved
// into it. Asked inside a section that may store: if the answer is yes, whoever
// moves entries out of it will see the section's hazard (grow.go).
func (c *Cache[K, V]) settled(t *table) bool {
	return c.table.Load() == t && t.old.Load() == nil
}

// prepare asks the clock and the callbacks for what a change needs to know. ttl is
// the caller's own if own is set. It reports false if the value is not to be kept:
// its time is up before it began. Not pinned.
func (c *Cache[K, V]) prepare(u *change[K, V], ttl time.Duration, own bool) bool {
	if !own {
		if ttl = c.ttl; c.perEntry != nil {
			ttl = c.perEntry(u.key, u.value)
		}
	}
	if c.weigher != nil {
		u.weight = c.weigher(u.key, u.value)
	}
	if ttl < 0 {
		return false
	}
	if ttl > 0 || c.idle > 0 || c.reloadTime > 0 {
		if !c.timed.Load() {
			c.timed.Store(true)
		}
	} else if !c.timed.Load() || u.only == always && c.listener == nil {
		return true
	}
	u.now = c.now()
	if ttl > 0 {
		u.deadline = after(u.now, ttl)
	}
	if c.idle > 0 {
		u.limit = u.deadline
		if idle := after(u.now, c.idle); u.deadline == noDeadline || idle < u.deadline {
			u.deadline = idle
		}
	}
	if c.reloadTime > 0 {
		u.reload = reloadAt(u.now, c.reloadTime, 0)
	}
	u.due = c.dueAt(u)
	return true
}

// dueAt tells whether an entry is due from the start.
func (c *Cache[K, V]) dueAt(u *change[K, V]) bool {
	return (u.deadline != noDeadline || u.reload != 0) &&
		(c.eager || eventOf(u.deadline, u.reload, false) <= u.now)
}

// apply makes a change. resident is what the caller believes of the key. The result
// is outcomeDone, outcomeClosed, outcomeUnmet or outcomeRefused. Not pinned.
func (c *Cache[K, V]) apply(u *change[K, V], resident bool) outcome {
	u.spare = c.spareReport()
	if c.weigher != nil && int64(u.weight) > c.maxWeight.Load() {
		result := c.refuse(u)
		c.report(u.spare)
		return result
	}
	return c.applyPinned(c.enter(), u, resident)
}

// applyPinned takes over pinned, and unpins.
func (c *Cache[K, V]) applyPinned(w *worker, u *change[K, V], resident bool) outcome {
	result := c.attempts(w, u, resident)
	if u.reserved != 0 {
		c.room.Add(u.reserved)
	}
	c.report(u.spare)
	return result
}

func (c *Cache[K, V]) attempts(w *worker, u *change[K, V], resident bool) outcome {
	if !resident {
		c.fetchAside(u.hash)
	}
	for try := 0; ; {
		w = c.awaitPermits(w)
		if !resident && w.permits == 0 {
			if w = c.getPermit(w, u.hash); w == nil {
				return c.refuse(u)
			}
			continue
		}
		result, at := c.tryChange(w, u)
		if result == outcomeDone {
			c.finishSet(w)
			return result
		}
		if result == outcomeNeedsPermit {
			resident = false
			continue
		}
		c.keepNoPermit(w)
		w.leave()
		switch result {
		case outcomeClosed, outcomeUnmet:
			return result
		case outcomeNeedsColumns:
			c.makeColumns(at)
		case outcomeNeedsSettle:
			c.settleWriters()
		case outcomeNeedsWeight:
			if !c.makeWeight(u) {
				return c.refuse(u)
			}
		case outcomeFull:
			if try == supplyTries {
				return c.refuse(u)
			}
			c.makePlace(u.hash, try)
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

// tryChange makes one attempt under the home's lock. Pinned.
func (c *Cache[K, V]) tryChange(w *worker, u *change[K, V]) (outcome, spot) {
	t, home, ok := c.lockHome(w, u.hash)
	if !ok {
		return outcomeLocked, spot{}
	}
	old, resident := c.locate(w, t, home.n, home.head, u.hash, u.key)
	result := c.mayChange(w, u, old, resident)
	if result == outcomeDone && resident {
		result = c.updateInPlace(&home, old, u)
		if result == outcomeDone {
			return result, old
		}
		if result == outcomeFull { // in this place
			result = outcomeDone
		}
	}
	if result != outcomeDone {
		home.unlock()
		return result, old
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
	switch {
	case !c.hasColumns(s, u):
		result = outcomeNeedsColumns
	case resident:
		word := touched(old.word().Load(), c.now16(), fadeTicks)&^policyDeadline | policyLive
		c.fill(s, &home, u, word)
		result = c.replace(w, &home, &at, old, s, u)
	default:
		word := newcomer(c.now16())
		if u.restored {
			word = u.word
		}
		c.fill(s, &home, u, word)
		c.insert(w, &home, &at, s, u)
	}
	if result != outcomeDone {
		placeAt[K, V](s).wipe()
		s.word().Store(policyFree)
		if at.n != home.n {
			at.unlock()
		}
		home.unlock()
		return result, s
	}
	if c.weigher != nil {
		u.settle()
	}
	return result, s
}

// settle gives back the weight that was reserved and not needed.
func (u *change[K, V]) settle() { u.reserved += u.replaced - int64(u.weight) }

// mayChange tells whether a change may be made, under the home's lock.
func (c *Cache[K, V]) mayChange(w *worker, u *change[K, V], old spot, resident bool) outcome {
	switch u.only {
	case ifAbsent:
		if resident && c.alive(old, u.now) {
			u.found = c.loadValue(placeAt[K, V](old))
			c.noteAccess(old.word())
			return outcomeUnmet
		}
	case ifSame:
		if !resident || !c.alive(old, u.now) || !c.same(old, &u.was) {
			return outcomeUnmet
		}
		if u.deadline != noDeadline && c.lockless.Load() && old.word().Load()&policyDeadline == 0 {
			return outcomeNeedsSettle
		}
	case ifIntact:
		if u.load.void.Load() || !u.load.reload && resident && c.alive(old, u.now) {
			return outcomeUnmet
		}
	}
	if !resident && c.closed.Load() {
		return outcomeClosed
	}
	if !resident && w.permits == 0 {
		return outcomeNeedsPermit
	}
	if c.weigher != nil && !c.weighs(u, old, resident) {
		return outcomeNeedsWeight
	}
	c.disturb(u.hash, u.load)
	return outcomeDone
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
			if debug {
				noteAge((c.grace.done.Load() - x) & stampMask)
			}
			return true
		}
	case x&policyLive == 0 && ((c.pending.Load()|1)-x)&stampMask < 2*maxWorkers:
		// It is being freed by hand.
	default: // (I3) of arena.go
		word.Store(c.grace.stamp())
	}
	return false
}

// makeColumns makes the chunks that a place may need. Not pinned.
func (c *Cache[K, V]) makeColumns(s spot) {
	t, i := s.t, s.index()
	if c.timed.Load() {
		t.deadlines.ensure(i)
	}
	if c.idle > 0 {
		t.limits.ensure(i)
	}
	if c.reloadTime > 0 {
		t.reloads.ensure(i)
	}
	if c.weigher != nil {
		t.weights.ensure(i)
	}
}

// hasColumns reports whether the chunks that a change needs at a place have been made.
func (c *Cache[K, V]) hasColumns(s spot, u *change[K, V]) bool {
	t, i := s.t, s.index()
	return (u.deadline == noDeadline || t.deadlines.at(i) != nil) &&
		(u.limit == 0 || t.limits.at(i) != nil) &&
		(u.reload == 0 || t.reloads.at(i) != nil) &&
		(c.weigher == nil || t.weights.at(i) != nil)
}

// date writes the times of a change beside a place, whose bucket and home are locked.
func (t *table) date(i uint64, deadline, limit, reload int64) {
	setIn(&t.deadlines, i, deadline)
	setIn(&t.limits, i, limit)
	setIn(&t.reloads, i, reload)
}

// fill writes an entry into a free place. Nobody sees it yet.
func (c *Cache[K, V]) fill(s spot, home *hold, u *change[K, V], word uint32) {
	t, i := s.t, s.index()
	if debug {
		t.lives[i].Add(1)
	}
	p := placeAt[K, V](s)
	p.key, p.value = u.key, u.value
	if u.deadline != noDeadline {
		word |= policyDeadline
	}
	if c.timed.Load() {
		t.date(i, u.deadline, u.limit, u.reload)
	}
	if c.weigher != nil {
		t.weights.at(i).Store(u.weight)
	}
	if t.hashes != nil {
		t.hashes[i] = u.hash
	}
	t.aside[s.b].count(s.i)
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
func (c *Cache[K, V]) show(home, at *hold, s spot, u *change[K, V]) {
	if s.b == home.n {
		home.tag(s.i, u.hash, u.due)
		return
	}
	at.tag(s.i, u.hash, u.due)
	at.unlockVisible()
	if debug {
		yield(pointShown)
	}
	home.head |= mark(s.t.distance(home.n, s.b))
}

func (h *hold) tag(i int, hash uint64, due bool) {
	if h.head = withTag(h.head, i, tagOf(hash)); due {
		h.head |= dueBit(i)
	}
}

// insert puts a filled place into the index, and unlocks. The worker has a permit
// for it.
func (c *Cache[K, V]) insert(w *worker, home, at *hold, s spot, u *change[K, V]) {
	if debug {
		yield(pointFilled)
	}
	u.load.used()
	c.show(home, at, s, u)
	w.permits--
	w.counts.added.add(1)
	home.unlockVisible()
	s.t.noteEvent(s.index(), u.due)
	c.announce(w, s, u)
}

// announce tells the policy of an entry that is in none of its lists. Pinned ones,
// of weight 0, are in none.
func (c *Cache[K, V]) announce(w *worker, s spot, u *change[K, V]) {
	if c.weigher != nil && u.weight == 0 {
		return
	}
	if w.insertQueue.offer(u.hash<<32|uint64(s.slot())) == offerDropped {
		w.counts.droppedInserts.add(1)
	}
}

// replace puts a filled place into the index instead of an old one of the same
// key, and unlocks. The entry keeps its place in the policy's lists: it is not a
// new key (rule 8). With nothing done it gives outcomeLocked, if it cannot get the old
// place's bucket, or outcomeUnmet.
func (c *Cache[K, V]) replace(w *worker, home, at *hold, old, s spot, u *change[K, V]) outcome {
	var other hold
	oldAt := at
	if old.b != at.n || old.b == home.n {
		var ok bool
		if oldAt, ok = s.t.alsoLock(home, &other, old.b); !ok {
			return outcomeLocked
		}
	}
	if debug {
		yield(pointJudged)
	}
	if u.only == ifSame && !c.forward(old, s, u.now) {
		if oldAt == &other {
			other.unlock()
		}
		return outcomeUnmet
	}
	if debug {
		yield(pointForwarded)
	}
	u.load.used()
	listed := false
	if c.weigher != nil && u.weight == 0 {
		c.policy.forget(w, old)
	} else {
		listed = c.policy.rename(old, s)
	}
	if oldAt.n == s.b {
		oldAt.tag(s.i, u.hash, u.due)
	} else {
		c.show(home, at, s, u)
		home.publish()           // (I6) of tiers.go: the new one before the old one
		s.t.aside[home.n].skip() // (I8)
	}
	r := leaving[K, V]{cause: CauseReplaced, now: u.now, lent: true, spare: u.spare}
	c.takeOut(w, home, oldAt, old, &r)
	u.spare = r.spare
	s.t.noteEvent(s.index(), u.due)
	if !listed {
		c.announce(w, s, u)
	}
	return outcomeDone
}

// A leaving says why and on which conditions an entry is taken out.
type leaving[K comparable, V any] struct {
	cause    Cause
	now      int64          // the clock, if an expired entry is to be told from others
	expected uint32         // position word, or anyPosition
	only     condition      // always, ifAbsent, ifSame, or ifIntact
	was      identity[V]    // ifSame
	load     *ticket        // ifIntact
	wanted   bool           // value is wanted
	spare    *removal[K, V] // to report it with
	lent     bool           // its weight goes to the value that replaces it
	unmet    bool           // its condition did not hold
	hadValue bool
	value    V
}

const anyPosition = ^uint32(0)

// takeOut clears the tag of a place, whose bucket is held by at (which may be
// home), retires it, and unlocks both. The policy has forgotten it.
func (c *Cache[K, V]) takeOut(w *worker, home, at *hold, old spot, r *leaving[K, V]) {
	c.detach(w, at, old, r)
	if old.b != home.n {
		if d := old.t.distance(home.n, old.b); !c.othersAt(old, at.head, d) {
			home.head &^= mark(d)
		}
		at.unlock()
	}
	if !c.fenced && (r.cause == CauseEvicted || r.cause == CauseExpired) {
		home.unlock() // nobody was promised that it is gone
		return
	}
	home.unlockVisible() // and what was offered, before awake is looked at
}

// detach is takeOut up to the marks and the locks.
func (c *Cache[K, V]) detach(w *worker, at *hold, old spot, r *leaving[K, V]) {
	at.head = withTag(at.head, old.i, 0)
	if c.fenced {
		at.publish()
	} else {
		publish64(&at.b.head, at.head) // (I5) of qsbr.go
	}
	if debug {
		yield(pointBeforeRetire)
	}
	c.sayGoodbye(old, r)
	publish32(old.word(), c.grace.stamp())
	w.counts.retired.add(1)
	if c.pointers && w.wipeQueue.offer(uint64(old.slot())) == offerDropped && !c.wipeAll.Load() {
		c.wipeAll.Store(true)
	}
}

// sayGoodbye takes what is wanted of an entry that leaves, under its home's lock:
// its value, its weight, and a report for the listener, in order for each key.
func (c *Cache[K, V]) sayGoodbye(old spot, r *leaving[K, V]) {
	if c.weigher != nil && !r.lent {
		c.room.Add(int64(old.t.weights.at(old.index()).Load()))
	}
	r.hadValue = true
	if c.timed.Load() {
		d := old.t.deadline(old.index())
		r.hadValue, r.cause = d >= 0, r.cause.at(d, r.now)
	}
	if !r.hadValue || !r.wanted && c.listener == nil {
		return
	}
	p := placeAt[K, V](old)
	r.value = c.loadValue(p)
	if c.listener != nil {
		c.listener.push(&r.spare, p.key, r.value, r.cause)
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

// updateInPlace changes a resident entry in its place, and unlocks, where value and
// deadline allow: the value first (expiry.go I2). outcomeFull says that they do not.
func (c *Cache[K, V]) updateInPlace(home *hold, s spot, u *change[K, V]) outcome {
	hasDeadline := s.word().Load()&policyDeadline != 0
	switch {
	case c.valueKind == valueFixed || u.deadline != noDeadline && !hasDeadline,
		c.weigher != nil && (u.weight == 0) != (u.replaced == 0),
		!c.hasColumns(s, u):
		return outcomeFull
	}
	at := home
	var other hold
	dated := hasDeadline || u.reload != 0
	if dated {
		var ok bool
		if at, ok = s.t.alsoLock(home, &other, s.b); !ok {
			return outcomeLocked
		}
	}
	old, result := c.exchange(s, u, hasDeadline && isDue(at.head, s.i))
	if result != outcomeDone {
		if at != home {
			at.unlock()
		}
		return result
	}
	i := s.index()
	if c.listener != nil {
		if d := s.t.deadline(i); d >= 0 {
			c.listener.push(&u.spare, u.key, old, CauseReplaced.at(d, u.now))
		}
	}
	if dated {
		s.t.date(i, u.deadline, u.limit, u.reload)
		if at.head &^= dueBit(s.i); u.due {
			at.head |= dueBit(s.i)
		}
		s.t.noteEvent(i, u.due)
	}
	if c.weigher != nil {
		s.t.weights.at(i).Store(u.weight)
		u.settle()
	}
	c.noteAccess(s.word())
	if at != home {
		at.unlockVisible()
	}
	home.unlockVisible()
	return outcomeDone
}

// exchange stores the value of a change in place, if its condition still holds: a
// Set that goes without the lock may have come in between. If the entry is due, its
// deadline decides, and cannot change with the value in one step (expiry.go I4).
func (c *Cache[K, V]) exchange(s spot, u *change[K, V], due bool) (old V, _ outcome) {
	p := placeAt[K, V](s)
	switch {
	case u.only != ifSame:
		u.load.used()
		if c.listener != nil {
			old = c.loadValue(p)
		}
		c.store(p, u.value)
	case due:
		return old, outcomeFull
	case !c.compareAndSwap(p, &u.was, u.value):
		return old, outcomeUnmet
	default:
		old = u.was.value
	}
	return old, outcomeDone
}

// removeAt takes the entry of a place out, if the place still holds one, and the
// leaving's conditions hold. It reports whether it did. The permit is the caller's.
// Pinned.
func (c *Cache[K, V]) removeAt(w *worker, s spot, r *leaving[K, V]) bool {
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
	if !hasTag(at.head, s.i) || s.t.back(s.b, distanceOf(x)) != n || !c.mayLeave(s, x, r) {
		if at != &home {
			at.unlock()
		}
		home.unlock()
		return false
	}
	if r.expected == anyPosition {
		c.policy.forget(w, s)
	} else {
		c.policy.unlist(s, x)
	}
	c.takeOut(w, &home, at, s, r)
	return true
}

// mayLeave tells whether the conditions hold on which an entry is taken out.
func (c *Cache[K, V]) mayLeave(s spot, position uint32, r *leaving[K, V]) bool {
	switch r.cause {
	case CauseExpired:
		return expired(s.t.deadline(s.index()), r.now)
	case CauseEvicted:
		if c.isPinned(s) {
			return false
		}
	}
	return r.expected == anyPosition || position == r.expected
}

// takeAway is removeAt with all that is around it. Not pinned.
func (c *Cache[K, V]) takeAway(s spot, r *leaving[K, V]) bool {
	r.spare = c.spareReport()
	w := c.enter()
	ok := c.removeAt(w, s, r)
	if ok {
		w.counts.left(r.cause)
	}
	w.leave()
	if c.listener != nil {
		c.listener.dispatch(r.spare)
	}
	return ok
}

// left counts an entry that was taken out.
func (n *workerCounts) left(cause Cause) {
	switch cause {
	case CauseEvicted:
		n.evictions.add(1)
	case CauseExpired:
		n.expirations.add(1)
	case CauseDeleted:
		n.deletes.add(1)
	default:
		n.cleared.add(1)
	}
}

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

// remove takes a key out of the index, if it is there and is the one that the
// leaving names, and reports whether it did. Not pinned.
func (c *Cache[K, V]) remove(hash uint64, key K, r *leaving[K, V]) bool {
	r.spare = c.spareReport()
	if (r.only == ifSame || r.wanted) && c.lockless.Load() {
		c.settleWriters() // or a store in place could be lost: it is neither seen nor left
	}
	found, again := c.tryRemove(hash, key, r)
	for again {
		c.giveWay()
		found, again = c.tryRemove(hash, key, r)
	}
	c.report(r.spare)
	if found && c.awake.Load() == 0 {
		c.wake()
	}
	return found
}

func (c *Cache[K, V]) tryRemove(hash uint64, key K, r *leaving[K, V]) (found, again bool) {
	w := c.enter()
	defer w.leave()
	t, home, ok := c.lockHome(w, hash)
	if !ok {
		return false, true
	}
	s, ok := c.locate(w, t, home.n, home.head, hash, key)
	if r.unmet = !c.mayRemove(s, ok, r); r.unmet {
		home.unlock()
		return false, false
	}
	c.disturb(hash, r.load)
	if !ok {
		home.unlock()
		return false, false
	}
	var other hold
	at, ok := t.alsoLock(&home, &other, s.b)
	if !ok {
		home.unlock()
		return false, true
	}
	if debug {
		yield(pointJudged)
	}
	c.policy.forget(w, s)
	c.takeOut(w, &home, at, s, r)
	r.unmet = r.only == ifSame && r.cause == CauseExpired // in between (expiry.go I4)
	w.counts.left(r.cause)                                // before another entry may come, or Len would count both
	c.returnPermit(w)
	return true, false
}

// mayRemove tells whether a key may be removed, under its home's lock.
func (c *Cache[K, V]) mayRemove(s spot, resident bool, r *leaving[K, V]) bool {
	switch r.only {
	case ifAbsent:
		return !resident || !c.alive(s, r.now)
	case ifSame:
		return resident && c.alive(s, r.now) && c.same(s, &r.was)
	case ifIntact:
		return !r.load.void.Load()
	}
	return true
}

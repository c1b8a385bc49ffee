package dualcache

import (
	"math"
	"sync/atomic"
	"time"
)

// Expiry. A deadline is a reading of the cache's own monotonic clock, in
// nanoseconds from 1; 0 is none. A negative one says that the entry has no value:
// what is cached, until then, is that the key is absent (load.go). Deadlines lie
// beside the buckets, in columns whose chunks are made when the first entry with
// one comes, so that other entries pay nothing.
//
// At the door (G11): an operation that finds an entry whose deadline has come
// treats it as absent. The clock is read before the entry is looked up: an
// entry that was live at the reading was live at some moment of the operation.
//
// The due bits of the bucket's head save nearly all of these readings. An entry
// whose deadline is more than dueMargin away is not due: it is live without a look
// at its deadline, let alone at the clock, so a Get of it costs what one without a
// deadline costs. The sweep sets the bit in time; from then on the clock decides.
// Should the daemon be kept from running for as long as the margin (a process
// that is stopped and continued), then entries can outlive their deadline until
// its first tick. Where no daemon marks them (headless caches, Config.Clock), and
// where reads move deadlines (ExpireAfterAccess), entries are due from the start.
//
// Removal: every 64 buckets share a chunk of deadlines, and the table knows, in one
// dense array, when the sweep has something to do in each chunk. So a sweep reads
// 8 bytes for every 270 entries, and a chunk is looked through only when an entry
// in it has become due or has expired, or would have, had it not been changed since:
// the cost of 384 words is shared out to these, and nothing is ever sorted (a
// calendar of one bucket a chunk; the alternative, a hierarchical timer wheel,
// Varghese and Lauck, SOSP '87, needs a link for each entry, and a write to a
// shared list for each Set). It needs no traffic on the key. An entry goes within
// about two sweepIntervals of its deadline.
//
//	field          written by                        read by
//	deadline       under the locks of home and       protected readers, sweep
//	               bucket; by readers inside a
//	               section, by compare-and-swap
//	limit, reload  the same                          the same
//	event          lowered after the entry is live;  sweep, daemon
//	               reset by the sweep
//
// (I1) The sweep resets a chunk's event before it scans; a writer lowers it after the
// entry is live. So either the scan sees the entry, or the event keeps it.
// (I2) An update in place stores the value before the deadline, and a due bit is
// published before the update returns: nobody gives an old value a new deadline.
// (I3) Whoever finds an entry by a head in which it is not due may take it for live:
// at that moment its deadline was some seconds away.
// (I4) That a deadline has come is one moment for all, although everyone reads the
// clock by himself: the first who acts on it makes it final (deadlineOver), and so does
// who is late not bring the value back: who moves the deadline, or takes away the value
// that he has read under a condition, looks whether it is final, in one step or after
// the tag is cleared. A Compute that replaces the value, by an earlier reading of the
// clock, cannot take its step and the new tag into one; so its step is to forward: the
// deadline names the place of the new value, to which readers go on by themselves until
// the old tag is cleared. (Readers help, as in Harris, 2001, and do not wait.)

const (
	noDeadline    = int64(0)
	deadlineOver  = int64(1) // final
	farFuture     = int64(math.MaxInt64)
	forwards      = farFuture - 1<<40 // and above, but for farFuture: to a place (I4)
	dueMargin     = 4 * time.Second
	sweepInterval = 250 * time.Millisecond
)

// expiring is what the configuration says about time.
type expiring[K comparable, V any] struct {
	ttl        time.Duration // after write
	idle       time.Duration // after access; 0: never
	grain      int64         // by how much an access has to move a deadline
	perEntry   func(K, V) time.Duration
	reloadTime time.Duration // after write; a read then starts a reload
	clock      func() time.Time
	born       time.Time
	eager      bool // entries with a deadline are due from the start
}

// now reads the cache's clock. Never called pinned.
func (x *expiring[K, V]) now() int64 {
	if x.clock != nil {
		return max(after(1, x.clock().Sub(x.born)), 1)
	}
	return int64(time.Since(x.born)) + 1
}

// after is the time d after now. It saturates.
func after(now int64, d time.Duration) int64 {
	if int64(d) >= forwards-now {
		return farFuture
	}
	return now + int64(d)
}

// wallClock is the time of day at a reading of the cache's clock.
func (x *expiring[K, V]) wallClock(at int64) time.Time {
	return x.born.Add(time.Duration(at - 1))
}

// A column holds one number for each place of a table, in chunks.
type column[T any] struct {
	chunks []atomic.Pointer[[chunkPlaces]T]
}

// chunkPlaces are the places of 64 buckets.
const chunkPlaces = 64 * bucketPlaces

func chunksOf(places uint64) uint64 { return (places + chunkPlaces - 1) / chunkPlaces }

func (c *column[T]) init(places uint64) {
	c.chunks = make([]atomic.Pointer[[chunkPlaces]T], chunksOf(places))
}

// at is the number of a place, or nil if its chunk has not been made.
func (c *column[T]) at(i uint64) *T {
	if n := i / chunkPlaces; n < uint64(len(c.chunks)) {
		if chunk := c.chunks[n].Load(); chunk != nil {
			return &chunk[i%chunkPlaces]
		}
	}
	return nil
}

// ensure makes the chunk of a place. It allocates, and is not called pinned.
func (c *column[T]) ensure(i uint64) {
	if n := i / chunkPlaces; n < uint64(len(c.chunks)) && c.chunks[n].Load() == nil {
		c.chunks[n].CompareAndSwap(nil, new([chunkPlaces]T))
	}
}

// ensureAll makes all chunks, for a table that entries are moved to.
func (c *column[T]) ensureAll() {
	for n := range c.chunks {
		c.ensure(uint64(n) * chunkPlaces)
	}
}

// deadline is that of a protected entry, or noDeadline. It does not depend on
// the hint in the policy word, which a place loses when it is retired.
func (t *table) deadline(i uint64) int64 {
	return readIn(&t.deadlines, i)
}

// expired reports whether a deadline has come.
func expired(deadline, now int64) bool {
	return deadline != noDeadline && max(deadline, -deadline) <= now
}

// hasValue reports whether an entry with this deadline has a value now.
func hasValue(deadline, now int64) bool {
	return deadline == noDeadline || deadline > max(now, deadlineOver)
}

func isForward(deadline int64) bool { return forwards <= deadline && deadline < farFuture }

// A liveness tells whether a key has a value.
type liveness uint8

const (
	dead liveness = iota
	lives
	unsettled // its entry is being moved: ask under the lock
	overtaken // it has been replaced: look again
)

// findLive finds the entry of a key, and judges it by the clock. Pinned.
func (c *Cache[K, V]) findLive(w *worker, hash uint64, key K, now int64) (spot, manner, liveness) {
	s, how := c.find(w, hash, key, true) // it may store into the deadline
	for s.found() {
		at := s.t.deadlines.at(s.index())
		if at == nil {
			return s, how, lives
		}
		d := at.Load()
		switch {
		case isForward(d):
			next := spotAt(s.t, uint64(d-forwards))
			w.protect(next.bucket(), true, c.fenced)
			// The new place is in use for as long as the old one says so, and has a tag.
			if !hasTag(s.bucket().head.Load(), s.i) || at.Load() != d || placeAt[K, V](next).key != key {
				return s, how, overtaken
			}
			s, how = next, how&^(inT1|inT2)
			if debug {
				w.life = s.t.lives[s.index()].Load()
			}
		case hasValue(d, now):
			return s, how, lives
		case d <= deadlineOver:
			return s, how, dead
		case !c.settled(s.t):
			return s, how, unsettled
		case at.CompareAndSwap(d, deadlineOver):
			return s, how, dead
		}
	}
	return s, how, dead
}

// spotAt is the place of an index.
func spotAt(t *table, i uint64) spot { return spot{t, i / bucketPlaces, int(i % bucketPlaces)} }

// endLocked deals with an answer that says neither yes nor no. Not pinned.
func (c *Cache[K, V]) endLocked(hash uint64, key K, now int64, v liveness) {
	if v == unsettled {
		c.underLock(hash, key, func(s spot, resident bool) { _ = resident && c.alive(s, now) })
	}
}

// alive reports whether an entry has a value, under its home's lock. If not, that is
// final (I4).
func (c *Cache[K, V]) alive(s spot, now int64) bool {
	at := s.t.deadlines.at(s.index())
	if at == nil {
		return true
	}
	for {
		d := at.Load()
		if hasValue(d, now) {
			return true
		}
		if d <= deadlineOver || at.CompareAndSwap(d, deadlineOver) {
			return false
		}
	}
}

// forward makes it final that the value of an entry did not expire before it was
// replaced by that of another place, which is filled, or reports that it did (I4). The
// home is locked.
func (c *Cache[K, V]) forward(old, to spot, now int64) bool {
	at := old.t.deadlines.at(old.index())
	if at == nil {
		return true
	}
	for {
		d := at.Load()
		switch {
		case d == noDeadline:
			return true
		case !hasValue(d, now):
			return false
		case at.CompareAndSwap(d, forwards+int64(to.index())):
			return true
		}
	}
}

// readIn is the number of a place in a column, or 0 if its chunk has not been made.
func readIn(column *column[atomic.Int64], i uint64) int64 {
	if x := column.at(i); x != nil {
		return x.Load()
	}
	return 0
}

func setIn(column *column[atomic.Int64], i uint64, to int64) {
	if x := column.at(i); x != nil {
		publish64i(x, to)
	}
}

// eventOf is when the sweep has something to do for an entry.
func eventOf(deadline, reload int64, due bool) int64 {
	at := farFuture
	if deadline != noDeadline {
		at = max(deadline, -deadline)
	}
	if due {
		return at
	}
	if reload != 0 {
		at = min(at, reload)
	}
	if at == farFuture {
		return at
	}
	return at - int64(dueMargin)
}

// noteEvent lets the sweep know of the deadline of a live entry (I1).
func (t *table) noteEvent(i uint64, due bool) {
	d, reload := t.deadline(i), readIn(&t.reloads, i)
	if d != noDeadline || reload != 0 {
		t.lowerEvent(i/chunkPlaces, eventOf(d, reload, due))
	}
}

func (t *table) lowerEvent(chunk uint64, at int64) {
	for event := &t.events[chunk]; ; {
		// Zero is no event; times begin at 1.
		old := event.Load()
		if at == farFuture || old != 0 && old <= at || event.CompareAndSwap(old, max(at, 1)) {
			return
		}
	}
}

// earliestEvent is when the sweep has something to do next, or farFuture.
func (c *Cache[K, V]) earliestEvent() int64 {
	earliest := farFuture
	if !c.timed.Load() {
		return earliest
	}
	for t := c.table.Load(); t != nil; t = t.old.Load() {
		for i := range t.events {
			if at := t.events[i].Load(); at != 0 {
				earliest = min(earliest, at)
			}
		}
	}
	return earliest
}

// sweep removes the entries that have expired. The pass lock is held.
func (c *Cache[K, V]) sweep(now int64) {
	if !c.timed.Load() {
		return
	}
	for t := c.table.Load(); t != nil; t = t.old.Load() {
		for i := range t.events {
			if at := t.events[i].Load(); at != 0 && at <= now {
				c.sweepChunk(t, uint64(i), now)
			}
		}
	}
}

// sweepChunk deals with the entries of one chunk, and finds out when it has to be
// looked at next.
func (c *Cache[K, V]) sweepChunk(t *table, chunk uint64, now int64) {
	t.events[chunk].Store(0)
	next := farFuture
	first := chunk * chunkPlaces
	for i := first; i < min(first+chunkPlaces, t.homes*bucketPlaces); i++ {
		d, reload := t.deadline(i), readIn(&t.reloads, i)
		if d == noDeadline && reload == 0 || isForward(d) {
			continue
		}
		s := spotAt(t, i)
		head := s.bucket().head.Load()
		if !hasTag(head, s.i) {
			continue
		}
		due := isDue(head, s.i)
		at := eventOf(d, reload, due)
		switch {
		case at > now:
		case !due && !expired(d, now):
			if at = eventOf(d, reload, true); !c.markDue(s) {
				at = now
			}
		case c.expire(s, now):
			continue
		}
		next = min(next, at)
	}
	t.lowerEvent(chunk, next)
}

// markDue sets the due bit of an entry. It reports false where it could not look.
func (c *Cache[K, V]) markDue(s spot) bool {
	w := c.enter()
	defer w.leave()
	w.protect(s.bucket(), false, c.fenced)
	h, ok := s.t.tryLock(s.b, lockSpins)
	if !ok {
		return false
	}
	if hasTag(h.head, s.i) {
		h.head |= dueBit(s.i)
	}
	h.unlockVisible()
	return true
}

// expire takes out the entry of a place if its time has come. It reports false
// where it could not look.
func (c *Cache[K, V]) expire(s spot, now int64) bool {
	r := leaving[K, V]{cause: CauseExpired, expected: anyPosition, now: now}
	if !c.takeAway(s, &r) {
		return false
	}
	c.permits.Add(1)
	return true
}

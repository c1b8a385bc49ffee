package dualcache

import (
	"math"
	"sync/atomic"
	"time"
)

// Expiry. A deadline is a reading of the cache's own monotonic clock, in
// nanoseconds from 1; 0 is none. Deadlines lie beside the buckets, in chunks
// made when the first entry with one comes, so that other entries pay nothing.
//
// At the door (G11): an operation that finds an entry whose deadline has come
// treats it as absent. The clock is read before the entry is looked up: an
// entry that was live at the reading was live at some moment of the operation.
//
// The coarse clock saves most of these readings. While the daemon runs it
// publishes the time once a tick; an entry whose deadline lies coarseMargin
// beyond the published time is live, unless the daemon has been kept from
// running for so long, which the margin is there to rule out. Only the real
// clock ever says "expired". When the daemon parks, and in headless caches,
// the coarse clock reads as the far future, and the real clock is asked.
//
// Removal: the pass looks at each chunk whose earliest deadline has come, at
// most once per sweepInterval, and takes out what has expired. It needs no
// traffic on the key. An entry goes within about two sweepIntervals of its
// deadline.
//
//	field           written by                     read by
//	chunk.at        under the home's lock          protected readers, sweep
//	chunk.earliest  lowered after the entry is     sweep, daemon
//	                live; reset by the sweep
//
// (I1) Sweep resets earliest before it scans; a writer lowers it after the
// entry is live. So either the scan sees the entry, or earliest keeps it.
// (I2) An update in place stores the value before the deadline, and readers
// load the deadline before the value: nobody gives an old value a new deadline.

const (
	noDeadline    = int64(0)
	farFuture     = int64(math.MaxInt64)
	coarseMargin  = 4 * time.Second
	sweepInterval = 250 * time.Millisecond
	// A daemon that readers want the time from stays awake so many ticks.
	clockTicks = 128
)

// A deadlineChunk has the deadlines of 64 buckets.
type deadlineChunk struct {
	earliest atomic.Int64
	at       [deadlineChunkLen]atomic.Int64
}

const deadlineChunkLen = 64 * bucketPlaces

// deadlineChunkOf gives the chunk of a place, or nil.
func (t *table) deadlineChunkOf(i uint64) *deadlineChunk {
	return t.deadlines[i/deadlineChunkLen].Load()
}

// makeDeadlines makes it. It allocates, and is not called pinned.
func (t *table) makeDeadlines(i uint64) {
	if t.deadlineChunkOf(i) == nil {
		chunk := new(deadlineChunk)
		chunk.earliest.Store(farFuture)
		t.deadlines[i/deadlineChunkLen].CompareAndSwap(nil, chunk)
	}
}

// makeAllDeadlines makes all of them, for a table that entries are moved to.
func (t *table) makeAllDeadlines() {
	for i := range t.deadlines {
		t.makeDeadlines(uint64(i) * deadlineChunkLen)
	}
}

// deadline is that of a protected entry, or noDeadline. It does not depend on
// the hint in the policy word, which a place loses when it is retired.
func (t *table) deadline(i uint64) int64 {
	if chunk := t.deadlineChunkOf(i); chunk != nil {
		return chunk.at[i%deadlineChunkLen].Load()
	}
	return noDeadline
}

// expired reports whether the deadline of an entry has come.
func (t *table) expired(i uint64, now int64) bool {
	d := t.deadline(i)
	return d != noDeadline && d <= now
}

// setDeadline sets or clears a deadline. Unless it clears, there is a chunk.
func (t *table) setDeadline(i uint64, deadline int64) {
	if chunk := t.deadlineChunkOf(i); chunk != nil {
		chunk.at[i%deadlineChunkLen].Store(deadline)
	}
}

// noteDeadline lets the sweep know of the deadline of a live entry (I1).
func (t *table) noteDeadline(i uint64) {
	if d := t.deadline(i); d != noDeadline {
		t.deadlineChunkOf(i).lower(d)
	}
}

func (s *deadlineChunk) lower(deadline int64) {
	for {
		old := s.earliest.Load()
		if old <= deadline || s.earliest.CompareAndSwap(old, deadline) {
			return
		}
	}
}

// now reads the cache's clock. Never called pinned.
func (c *Cache[K, V]) now() int64 { return int64(time.Since(c.born)) + 1 }

// deadlineAfter turns a time to live into a deadline. It saturates.
func (c *Cache[K, V]) deadlineAfter(ttl time.Duration) int64 {
	now := c.now()
	if int64(ttl) > farFuture-now {
		return farFuture
	}
	return now + int64(ttl)
}

// surelyLive answers from the coarse clock alone. Anyone may ask.
func (c *Cache[K, V]) surelyLive(deadline int64) bool {
	t := c.coarse.Load()
	return t <= farFuture-int64(coarseMargin) && deadline > t+int64(coarseMargin)
}

// eachDeadlineChunk calls f with every chunk there is.
func (c *Cache[K, V]) eachDeadlineChunk(f func(t *table, first uint64, chunk *deadlineChunk)) {
	for t := c.table.Load(); t != nil; t = t.old.Load() {
		for i := range t.deadlines {
			if chunk := t.deadlines[i].Load(); chunk != nil {
				f(t, uint64(i)*deadlineChunkLen, chunk)
			}
		}
	}
}

// earliestDeadline is when the sweep has something to do next, or farFuture.
func (c *Cache[K, V]) earliestDeadline() int64 {
	earliest := farFuture
	if c.timed.Load() {
		c.eachDeadlineChunk(func(_ *table, _ uint64, chunk *deadlineChunk) {
			earliest = min(earliest, chunk.earliest.Load())
		})
	}
	return earliest
}

// sweep removes the entries that have expired. The pass lock is held.
func (c *Cache[K, V]) sweep(now int64) {
	if !c.timed.Load() {
		return
	}
	c.eachDeadlineChunk(func(t *table, first uint64, chunk *deadlineChunk) {
		if chunk.earliest.Load() <= now {
			c.sweepChunk(t, first, chunk, now)
		}
	})
}

func (c *Cache[K, V]) sweepChunk(t *table, first uint64, chunk *deadlineChunk, now int64) {
	chunk.earliest.Store(farFuture)
	earliest := farFuture
	for i := range chunk.at {
		n := first + uint64(i)
		s := spot{t, n / bucketPlaces, int(n % bucketPlaces)}
		if s.b >= t.homes {
			break
		}
		d := chunk.at[i].Load()
		if d == noDeadline || !hasTag(s.bucket().head.Load(), s.i) {
			continue
		}
		if d > now || !c.expire(s, now) {
			earliest = min(earliest, d)
		}
	}
	chunk.lower(earliest)
}

// expire takes out the entry of a place if its time has come. It reports false
// where it could not look.
func (c *Cache[K, V]) expire(s spot, now int64) bool {
	w := c.enter()
	ok := c.removeAt(w, s, anyPosition, now)
	if ok {
		w.counts.expirations.add(1)
	}
	w.leave()
	if ok {
		c.permits.Add(1)
	}
	return ok
}

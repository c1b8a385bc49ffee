package dualcache

import (
	"math"
	"sync/atomic"
	"time"
)

// Expiry. A deadline is a reading of the cache's own monotonic clock, in
// nanoseconds from 1; 0 is none. Deadlines lie beside the slabs, in tables made
// when the first entry with one comes, so that other entries pay nothing.
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
// Removal: the pass looks at each slab whose earliest deadline has come, at
// most once per sweepInterval, and takes out what has expired. It needs no
// traffic on the key. An entry goes within about two sweepIntervals of its
// deadline.
//
//	field           written by                     read by
//	deadlines.at    under the home's lock          protected readers, sweep
//	earliest        lowered after the entry is     sweep, daemon
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

type deadlineTable struct {
	slabs []atomic.Pointer[deadlineSlab]
}

type deadlineSlab struct {
	earliest atomic.Int64
	at       []atomic.Int64
}

// deadlineSlabOf gives the table of a slot's slab, or nil.
func (a *arena) deadlineSlabOf(slot uint32) *deadlineSlab {
	t := a.deadlines.Load()
	if t == nil {
		return nil
	}
	return t.slabs[slot>>a.shift].Load()
}

// makeDeadlines makes it. It allocates, and is not called pinned.
func (a *arena) makeDeadlines(slot uint32) {
	if a.deadlines.Load() == nil {
		a.deadlines.CompareAndSwap(nil, &deadlineTable{make([]atomic.Pointer[deadlineSlab], len(a.slabs))})
	}
	i := slot >> a.shift
	slab := &deadlineSlab{at: make([]atomic.Int64, min(1<<a.shift, int(a.total)+1-int(i)<<a.shift))}
	slab.earliest.Store(farFuture)
	a.deadlines.Load().slabs[i].CompareAndSwap(nil, slab)
}

// deadline is that of a protected node, or noDeadline. It does not depend on
// the hint in the policy word, which a node loses when it dies.
func (a *arena) deadline(slot uint32) int64 {
	if slab := a.deadlineSlabOf(slot); slab != nil {
		return slab.at[slot&(1<<a.shift-1)].Load()
	}
	return noDeadline
}

// setDeadline sets or clears a deadline. Unless it clears, the slab has a table.
func (a *arena) setDeadline(slot uint32, deadline int64) {
	if slab := a.deadlineSlabOf(slot); slab != nil {
		slab.at[slot&(1<<a.shift-1)].Store(deadline)
	}
}

// noteDeadline lets the sweep know of the deadline of a live entry (I1).
func (a *arena) noteDeadline(slot uint32) {
	if d := a.deadline(slot); d != noDeadline {
		a.deadlineSlabOf(slot).lower(d)
	}
}

func (s *deadlineSlab) lower(deadline int64) {
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

// earliestDeadline is when the sweep has something to do next, or farFuture.
func (c *Cache[K, V]) earliestDeadline() int64 {
	earliest := farFuture
	if t := c.arena.deadlines.Load(); t != nil {
		for i := range t.slabs {
			if slab := t.slabs[i].Load(); slab != nil {
				earliest = min(earliest, slab.earliest.Load())
			}
		}
	}
	return earliest
}

// sweep removes the entries that have expired. The pass lock is held.
func (c *Cache[K, V]) sweep(now int64) {
	t := c.arena.deadlines.Load()
	if t == nil {
		return
	}
	for i := range t.slabs {
		if slab := t.slabs[i].Load(); slab != nil && slab.earliest.Load() <= now {
			c.sweepSlab(slab, uint32(i)<<c.arena.shift, now)
		}
	}
}

func (c *Cache[K, V]) sweepSlab(slab *deadlineSlab, first uint32, now int64) {
	slab.earliest.Store(farFuture)
	earliest := farFuture
	made := c.arena.made.Load()
	for i := range slab.at {
		slot := first + uint32(i)
		if slot == 0 || slot > made {
			continue
		}
		state := c.arena.header(slot).state.Load()
		d := slab.at[i].Load()
		if !stateLive(state) || d == noDeadline {
			continue
		}
		if d > now || !c.expire(slot, state, now) {
			earliest = min(earliest, d)
		}
	}
	slab.lower(earliest)
}

// expire takes out one entry if it is still the one that was seen and its time
// has come. It reports false where it could not look.
func (c *Cache[K, V]) expire(slot, state uint32, now int64) bool {
	w := c.enter()
	home := c.lockLife(slot, state)
	if home == nil {
		w.leave()
		return false
	}
	if d := c.arena.deadline(slot); d == noDeadline || d > now {
		home.unlock()
		w.leave()
		return false
	}
	c.unlink(w, home, slot)
	w.counts.expirations.add(1)
	w.leave()
	c.permits.Add(1)
	return true
}

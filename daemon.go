package dualcache

import (
	"context"
	"runtime"
	"time"
	"weak"
)

// Maintenance is a pass under a try-lock, not a place. The daemon makes one
// every PollInterval while there is work; a writer that needs room makes one
// itself; a headless cache's owner makes one with Tick. Only the holder of the
// pass lock evicts by policy, promotes, and expires, so all of that is
// single-threaded. Nobody waits for the holder for long, who may have been stopped:
// a writer then evicts without it (write.go).
//
// The daemon is a timer, not a goroutine. While the cache is busy it fires once
// a PollInterval; when nothing is left to do it parks, and a cache at rest costs
// nothing. The timer's function holds the cache weakly: a cache that becomes
// unreachable is collected, timer and all (G8).
//
// Parking (rule 13). The daemon announces that it parks (awake = 0), issues the
// barrier, and looks at all queues once more. An operation leaves its record,
// then looks at awake. One of the two sees the other. In fenced mode the
// barrier is missing and a hint may wait for the next operation; retired nodes
// never do, because they are pushed by an atomic operation.
//
// Deadlines arm the parked timer for the next sweep.

// A Daemon drives the maintenance of a headless cache. Its methods may be
// called by any goroutine, but the work is done by one at a time.
type Daemon[K comparable, V any] struct {
	c *Cache[K, V]
}

// Tick makes one round of maintenance: it applies records that have waited
// long enough, expires, and reclaims. It reports whether there is more to do.
// A round that somebody else is making counts as one.
func (d *Daemon[K, V]) Tick() (more bool) {
	if d.c.closed.Load() {
		return false
	}
	return d.c.tick()
}

// Run ticks every Config.PollInterval while there is work, sleeps while there
// is none, and returns ctx.Err() when ctx is done, or nil when the cache is
// closed.
func (d *Daemon[K, V]) Run(ctx context.Context) error {
	c := d.c
	timer := time.NewTimer(c.poll)
	defer timer.Stop()
	defer c.awake.Store(1) // without Run, nobody is there to be woken
	for !c.closed.Load() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-c.signal:
			timer.Reset(c.poll)
			continue
		case <-timer.C:
		}
		if c.tick() {
			timer.Reset(c.poll)
			continue
		}
		timer.Reset(c.untilSweep())
		if c.park() {
			timer.Reset(c.poll)
		}
	}
	return nil
}

// start makes the daemon of an ordinary cache, parked.
func (c *Cache[K, V]) start() {
	self := weak.Make(c)
	c.timer = time.AfterFunc(time.Duration(farFuture), func() {
		if c := self.Value(); c != nil {
			c.daemonTick()
		}
	})
	// A timer that is not set is not in the runtime's heap, and goes with the
	// cache.
	c.timer.Stop()
}

// daemonTick is what the timer runs.
func (c *Cache[K, V]) daemonTick() {
	c.running.Add(1)
	defer c.running.Add(-1)
	if c.closed.Load() {
		return
	}
	c.awake.Store(1)
	if c.tick() {
		c.timer.Reset(c.poll)
		return
	}
	if wait := c.untilSweep(); wait != time.Duration(farFuture) {
		c.timer.Reset(wait)
	}
	if c.park() {
		c.timer.Reset(c.poll)
	}
}

// park announces that nobody looks any more. It reports true if work came
// meanwhile, and the caller has to go on. Callers arm their timer for the next
// sweep before: whoever wakes the daemon arms it for earlier.
func (c *Cache[K, V]) park() (busy bool) {
	c.awake.Store(0)
	if debug {
		yield(pointBeforePark)
	}
	if !c.fenced {
		barrier()
	}
	return c.pendingWork() && c.awake.CompareAndSwap(0, 1)
}

// wake gets a parked daemon going. Not pinned.
func (c *Cache[K, V]) wake() {
	if c.awake.Load() != 0 || c.closed.Load() || !c.awake.CompareAndSwap(0, 1) {
		return
	}
	if c.timer != nil {
		c.timer.Reset(c.poll)
		if c.closed.Load() { // since the look above: Close may have stopped it before
			c.timer.Stop()
		}
		return
	}
	select {
	case c.signal <- struct{}{}:
	default:
	}
}

// untilSweep is how long a parked daemon may sleep.
func (c *Cache[K, V]) untilSweep() time.Duration {
	earliest := c.earliestEvent()
	if earliest == farFuture {
		return time.Duration(farFuture)
	}
	return max(time.Duration(earliest-c.now()), sweepInterval)
}

// pendingWork reports whether any record or place waits for the daemon.
func (c *Cache[K, V]) pendingWork() bool {
	for _, w := range *c.workers.all.Load() {
		if w.hitQueue.pending()+w.insertQueue.pending()+w.wipeQueue.pending() > 0 {
			return true
		}
	}
	return c.limboLen.Load() != 0 || c.wipeAll.Load() || c.wiping.Load() ||
		c.table.Load().old.Load() != nil
}

func (c *Cache[K, V]) lockPass() bool {
	if c.passLock.Load() != 0 || !c.passLock.CompareAndSwap(0, 1) {
		return false
	}
	if debug {
		yield(pointPass)
	}
	return true
}

func (c *Cache[K, V]) unlockPass() { c.passLock.Store(0) }

// tick is the daemon's pass. It reports whether there is more to do soon.
func (c *Cache[K, V]) tick() (more bool) {
	if !c.lockPass() {
		return true
	}
	c.passes.Add(1)
	more = c.drain(true) > 0
	if c.timed.Load() {
		c.sweepWhenDue()
	}
	c.wipe(wipesPerTick)
	c.unlockPass()
	c.tickGrace()
	c.moveSome(c.table.Load(), movesPerTick)
	if c.listener != nil {
		c.listener.dispatch(nil) // of entries crowded out by moves that nobody else reported
	}
	return more || c.pendingWork()
}

// tickGrace goes on with grace periods while there are places that wait.
func (c *Cache[K, V]) tickGrace() {
	n := uint64(0)
	for _, w := range *c.workers.all.Load() {
		n += w.counts.retired.load()
	}
	c.pending.Add(2) // places that were left pending grow old
	due := n-c.retiredSeen.Load() >= c.graceAfter || c.limboLen.Load() != 0 || c.wipeAll.Load()
	if due && c.advance() {
		c.retiredSeen.Store(n)
	}
}

const (
	movesPerTick = 1024
	wipesPerTick = 4096
	limboMost    = 4096 // and an eighth of the capacity
)

// wipe clears keys and values of retired places whose grace period has passed,
// so that the collector can free what they refer to. The places that wait are
// in limbo; where too many wait at once, wipeAll asks for a walk through all
// buckets. The pass lock is held.
func (c *Cache[K, V]) wipe(limit int) {
	if !c.pointers {
		return
	}
	kept := c.limbo[:0]
	for i, s := range c.limbo {
		if i >= limit || !c.wipePlace(s) {
			kept = append(kept, s)
		}
	}
	c.limbo = kept
	c.limboLen.Store(int64(len(kept)))
	t := c.table.Load()
	if c.wipeNext == 0 && c.wipeAll.Swap(false) {
		c.wipeNext = t.homes
	}
	c.wiping.Store(c.wipeNext > 0)
	missed := false
	for n := limit / bucketPlaces; n > 0 && c.wipeNext > 0; n-- {
		if c.wipeNext--; c.wipeNext >= t.homes {
			continue
		}
		for m := empty(t.at(c.wipeNext).head.Load()); m != 0; m &= m - 1 {
			missed = !c.wipePlace(t.slot(c.wipeNext, position(m))) || missed
		}
	}
	if missed {
		c.wipeAll.Store(true)
	}
	c.wiping.Store(c.wipeNext > 0)
}

// wipePlace wipes one place and makes it free. It reports false if it has to
// wait longer.
func (c *Cache[K, V]) wipePlace(s slot) bool {
	at := c.policy.spotOf(s)
	if !at.found() || at.word().Load() == policyFree || hasTag(at.bucket().head.Load(), at.i) {
		return true
	}
	w := c.enter()
	defer w.leave()
	w.protect(at.bucket(), false, c.fenced)
	h, ok := at.t.tryLock(at.b, lockSpins)
	if !ok {
		return false
	}
	defer h.unlock()
	if hasTag(h.head, at.i) {
		return true
	}
	if !c.free(at.word()) {
		return false
	}
	placeAt[K, V](at).wipe()
	at.word().Store(policyFree)
	return true
}

// sweepWhenDue sweeps, unless the last sweep was a short while ago.
func (c *Cache[K, V]) sweepWhenDue() {
	if now := c.now(); now-c.lastSweep >= int64(sweepInterval) || now < c.lastSweep {
		c.lastSweep = now
		c.sweep(now)
	}
}

// drain applies the records of every worker. On a daemon's tick a queue that
// is less than half full may wait, for FlushTicks ticks; otherwise none may.
// The pass lock is held.
func (c *Cache[K, V]) drain(mayWait bool) (applied int) {
	workers := *c.workers.all.Load()
	c.policy.begin(workers)
	before := c.policy.seq
	for _, w := range workers {
		if w.wipeQueue.pending() > 0 {
			w.wipeQueue.drain(c.toLimbo)
		}
		hits, inserts := w.hitQueue.pending(), w.insertQueue.pending()
		if hits+inserts == 0 {
			continue
		}
		small := hits <= len(w.hitQueue.records)/2 && inserts < c.drainAt
		if w.idle++; mayWait && small && w.idle < c.flush {
			continue
		}
		w.idle = 0
		if c.capacity > warmAbove {
			w.insertQueue.peek(c.warmInsert)
		}
		applied += w.insertQueue.drain(c.applyInsert)
		applied += w.hitQueue.drain(c.applyHit)
	}
	// Keys that came back straight into main have driven others out.
	if n := c.policy.seq - before; n > 0 {
		c.permits.Add(int64(n))
	}
	c.publishTick()
	return applied
}

func (c *Cache[K, V]) toLimbo(record uint64) {
	if len(c.limbo) >= min(limboMost, max(64, c.capacity/8)) {
		c.wipeAll.Store(true)
		return
	}
	c.limbo = append(c.limbo, slot(record))
	c.limboLen.Store(int64(len(c.limbo)))
}

// warmAbove is the capacity from which on entries are seldom in the processor's
// own cache.
const warmAbove = 10_000

func (c *Cache[K, V]) warmInsert(record uint64) { c.policy.warmInsert(slot(record)) }

func (c *Cache[K, V]) applyInsert(record uint64) {
	c.policy.inserted(slot(record), uint32(record>>32))
}

func (c *Cache[K, V]) applyHit(record uint64) { c.promote(uint32(record>>32), slot(record)) }

// publishTick tells readers the policy's time.
func (c *Cache[K, V]) publishTick() {
	now := c.policy.now & tickMask
	if c.tickNow.Load() == now {
		return
	}
	c.tickNow.Store(now)
	if q := quietAt(now); c.quiet.Load() != q {
		c.quiet.Store(q)
	}
}

// makeRoomAhead evicts ahead of need, if nobody else is in the pass. Not pinned.
func (c *Cache[K, V]) makeRoomAhead() {
	if c.lockPass() {
		n := c.passForRoom(int(c.batch.Load()))
		c.unlockPass()
		c.permits.Add(int64(n))
	}
}

// tryDrain applies all records, if nobody else is in the pass. Not pinned.
func (c *Cache[K, V]) tryDrain() {
	if c.lockPass() {
		c.passes.Add(1)
		c.drain(false)
		c.unlockPass()
	}
}

// passForRoom is a writer's pass: every record first, then the victims, less those
// that keys which came back have driven out, whose permits are there for all.
func (c *Cache[K, V]) passForRoom(n int) int {
	c.passes.Add(1)
	before := c.policy.seq
	c.drain(false)
	if n -= int(c.policy.seq - before); n <= 0 {
		return 0
	}
	return c.evict(n)
}

// evict takes out up to n entries by policy. The pass lock is held; the
// permits are the caller's.
func (c *Cache[K, V]) evict(n int) (evicted int) {
	p := &c.policy
	if c.weigher != nil {
		p.fit(int(c.size.Load()))
	}
	before := p.seq
	if c.capacity > warmAbove {
		p.warm(n)
	}
	p.plan(n)
	for range 2*n + 2 {
		if p.free(); p.seq-before >= uint64(n) {
			break
		}
	}
	c.publishTick()
	if c.sinceGrace += p.seq - before; c.sinceGrace >= c.graceAfter {
		c.sinceGrace = 0
		c.graceWanted.Store(true)
	}
	return int(p.seq - before)
}

// evictAt evicts the entry of a place, if its position word is the expected one. It
// reports whether it did. The permit is the caller's. Not pinned.
func (c *Cache[K, V]) evictAt(s spot, expected uint32) bool {
	return c.takeAway(s, &leaving[K, V]{cause: CauseEvicted, expected: expected})
}

// Sync applies everything that was handed over before it was called: records
// reach the policy, retired places are freed unless they are being read, and what
// has expired is removed. It waits for a pass in progress. Tests and
// measurements need it; programs seldom do.
func (c *Cache[K, V]) Sync() {
	c.awaitPass()
	c.passes.Add(1)
	c.drain(false)
	if c.timed.Load() {
		c.sweep(c.now())
	}
	c.unlockPass()
	c.advance()
	c.advance()
	c.syncWipe()
}

// syncWipe makes the wipes that are due. If somebody else is in the pass, they
// are left to the next.
func (c *Cache[K, V]) syncWipe() {
	if !c.pointers || !c.lockPass() {
		return
	}
	c.drain(false)
	c.wipe(limboMost)
	for n := c.wipeNext; n > 0 && c.wipeNext > 0; n-- {
		c.wipe(limboMost)
	}
	c.unlockPass()
}

// awaitLocks returns when every bucket has been seen without its lock: whoever had
// looked at closed before it was set has then put in what it had.
func (c *Cache[K, V]) awaitLocks() {
	for t := c.table.Load(); t != nil; t = t.old.Load() {
		for b := range t.homes {
			for t.at(b).head.Load()&headLock != 0 {
				runtime.Gosched()
			}
		}
	}
}

// Close empties the cache and ends its daemon: when it returns, no goroutine
// of the cache runs. Later Gets miss, and later Sets do nothing. It returns
// nil; calling it again does nothing.
func (c *Cache[K, V]) Close() error {
	if c.closed.Swap(true) {
		return nil
	}
	if c.timer != nil {
		c.timer.Stop()
	}
	for c.running.Load() != 0 {
		runtime.Gosched()
	}
	if c.timer != nil {
		c.timer.Stop() // a tick that was under way may have set it again
	}
	if c.cancel != nil {
		c.endReloads()
	}
	c.awaitLocks()
	c.clearAll()
	c.Sync()
	if c.listener != nil {
		c.listener.flush()
	}
	if c.signal != nil {
		select {
		case c.signal <- struct{}{}:
		default:
		}
	}
	return nil
}

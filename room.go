package dualcache

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"time"
)

// Room: permits for entries, weight, places, and what is done where they are short.
//
// Permits are what bounds Len: there are Capacity of them, an entry holds one for as
// long as it is in the index, and workers keep a few. Weight is what bounds Weight: a
// Set takes it before it puts its entry in, and an entry that leaves gives it back. A
// writer that lacks either evicts: it runs the pass if nobody does, and else, after a
// while, takes an entry of a bucket near its own (rule 16). An entry of weight 0 is
// pinned: it is in no list of the policy, and is not evicted.

// getPermit gets a permit for an insert. It is entered pinned and returns
// pinned, but unpins in between unless there are plenty. It returns nil, unpinned, if
// nothing can be evicted.
func (c *Cache[K, V]) getPermit(w *worker, hash uint64) *worker {
	taken := c.takePermits(w)
	t := c.table.Load()
	grow := t.hashes != nil && c.mustGrow(t)
	if taken && !grow && (c.permits.Load() >= c.lowWater.Load() || !c.crowded.Load()) {
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
		if n = c.makeRoom(hash); n == 0 {
			return nil
		}
	}
	w = c.awaitPermits(c.enter())
	w.permits += n
	return w
}

// takePermits moves some permits to the worker. Until the cache has been full
// once they are taken one by one, so that it can be filled to the last entry;
// from then on in batches. Pinned.
func (c *Cache[K, V]) takePermits(w *worker) bool {
	limit := 1
	if c.crowded.Load() {
		limit = max(int(c.workers.stock.Load()), 1)
	}
	n := int(takeSome(&c.permits, int64(limit)))
	w.permits += n
	return n > 0
}

// takeSome takes n, or what there is of it.
func takeSome(from *atomic.Int64, n int64) int64 {
	for {
		have := from.Load()
		taken := min(have, n)
		if taken <= 0 {
			return 0
		}
		if from.CompareAndSwap(have, have-taken) {
			return taken
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

// returnPermit gives back the permit of an entry that was removed, whose home has been
// locked in this section. Pinned.
func (c *Cache[K, V]) returnPermit(w *worker) {
	if !w.frozen.Load() && w.permits < int(c.workers.stock.Load()) && c.crowded.Load() {
		w.permits++
		return
	}
	c.permits.Add(1)
}

// A writer gives the holder of the pass lock a few microseconds to make room; then
// it yields to others, in case one of them is the holder, or keeps it from its
// processor; but not often where others are many and busy, and a single yield takes as
// long as they are let run. Then it evicts an entry by itself, and, as the holder seems to be
// stopped, the next few without more ado (rule 16). What is evicted so is not the
// policy's choice and is not remembered.
const (
	roomSpins     = 256
	roomYields    = 64
	roomFewYields = 4 // when they have taken
	roomPatience  = time.Millisecond
	aloneAtOnce   = 16
	idleTurns     = 64
)

// idle passes a few dozen nanoseconds.
//
//go:noinline
func idle(turns int) {
	for range turns {
	}
}

// makeRoom evicts, and returns the permits that the caller then has: none, if all
// entries are pinned. Not pinned.
func (c *Cache[K, V]) makeRoom(hash uint64) int {
	if !c.crowded.Load() {
		c.crowded.Store(true)
	}
	looks := 0          // at all entries, in vain
	var began time.Time // to yield
	for spins := 0; ; spins++ {
		if spins > 0 {
			idle(idleTurns) // and leave the lines to the holder
		}
		if takeSome(&c.permits, 1) > 0 {
			return 1
		}
		if c.lockPass() {
			n, needed := 0, c.permits.Load() <= 0 // or who waited would all evict
			if needed {
				n = c.passForRoom(int(c.batch.Load()))
				c.permits.Add(int64(max(n-1, 0)))
			}
			if c.alone.Load() != 0 {
				c.alone.Store(0)
			}
			c.unlockPass()
			if n > 0 {
				return 1
			}
			if needed && c.weigher != nil { // they may all be pinned: look at once
				spins = max(spins, roomSpins+roomYields)
			}
		}
		if spins == roomSpins {
			began = time.Now()
		}
		switch patient := c.alone.Load()%aloneAtOnce == 0; {
		case spins < roomSpins,
			patient && spins < roomSpins+roomFewYields,
			patient && spins < roomSpins+roomYields && time.Since(began) < roomPatience:
			if spins >= roomSpins {
				runtime.Gosched()
			}
		case c.evictNear(hash):
			c.alone.Add(1)
			return 1
		default:
			if looks++; looks == roomLooks && c.weigher != nil || c.allPinned() {
				return 0
			}
			if looks%backLooks == 0 {
				c.takeBack() // the permits may lie with idle workers
			}
			runtime.Gosched()
		}
	}
}

const (
	backLooks = 8
	roomLooks = 256
)

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

// allPinned reports whether pinned entries take all the capacity, and there are no
// others.
func (c *Cache[K, V]) allPinned() bool {
	if c.weigher == nil {
		return false
	}
	pinned := int64(0)
	for t := c.table.Load(); t != nil; t = t.old.Load() {
		for b := range t.homes {
			for m := live(t.at(b).head.Load()); m != 0; m &= m - 1 {
				if !c.isPinned(spot{t, b, position(m)}) {
					return false
				}
				pinned++
			}
		}
	}
	return pinned >= c.size.Load()
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
			if u := usage(s.word().Load(), now, fadeTicks); u < best && !c.isPinned(s) {
				lowest, best = s, u
			}
		}
	}
	return lowest.found() && c.evictAt(lowest, anyPosition)
}

// makePlace makes a free place near the home of a hash where retired places and
// live entries take all there are: a grace period frees the former; where a
// section lasts, they are freed by hand; and if it is too crowded for the table
// to grow, the entry of the lowest rank leaves. It is called again and again, and
// then yields, and waits. Not pinned.
func (c *Cache[K, V]) makePlace(hash uint64, try int) {
	if c.passGrace() && try == 0 {
		return
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
	c.freeByHand(t, home, t.reach())
	switch {
	case try > supplyYields:
		time.Sleep(supplyPause)
	case try > 2:
		runtime.Gosched()
	}
}

// passGrace lets pass what all places retired so far wait for: the period in progress,
// if there is one, and the next. It gives sections a microsecond or so to end, and
// reports whether they did. Not pinned.
func (c *Cache[K, V]) passGrace() bool {
	until := c.grace.begun.Load() + 1
	for range graceSpins {
		c.advance()
		if int32(c.grace.done.Load()-until) >= 0 {
			return true
		}
		idle(idleTurns)
	}
	return false
}

const (
	graceSpins   = 16
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

// refuse gives up a change for want of a place, or because its entry is heavier than
// the cache. The older value must not outlive it, unless the change would have
// left it alone.
func (c *Cache[K, V]) refuse(u *change[K, V]) outcome {
	if u.only == always || u.only == ifSame || u.only == ifIntact && u.load.reload {
		r := leaving[K, V]{cause: CauseReplaced, now: u.now, only: u.only, was: u.was, load: u.load}
		if c.remove(u.hash, u.key, &r); u.only == ifSame && r.unmet {
			return outcomeUnmet
		}
	}
	w := c.enter()
	w.counts.refusals.add(1)
	w.leave()
	if c.listener != nil && u.deadline >= 0 {
		if u.spare == nil {
			u.spare = c.listener.get()
		}
		c.listener.push(&u.spare, u.key, u.value, CauseRefused)
	}
	return outcomeRefused
}

// weighs takes the weight that a change needs, under the home's lock, and reports
// whether there was enough. An entry that is replaced lends its own.
func (c *Cache[K, V]) weighs(u *change[K, V], old spot, resident bool) bool {
	u.replaced = 0
	if resident {
		u.replaced = int64(old.t.weights.at(old.index()).Load())
	}
	u.needs = int64(u.weight) - u.replaced - u.reserved
	if u.needs <= 0 {
		return true
	}
	if c.takeWeight(u.needs) {
		u.reserved += u.needs
		return true
	}
	// Nobody waits with some in hand: two could wait for one another.
	c.room.Add(u.reserved)
	u.needs += u.reserved
	u.reserved = 0
	return false
}

// takeWeight takes all of n, or nothing.
func (c *Cache[K, V]) takeWeight(n int64) bool {
	for {
		have := c.room.Load()
		if have < n {
			return false
		}
		if c.room.CompareAndSwap(have, have-n) {
			return true
		}
	}
}

// makeWeight evicts until there is the weight that a change needs, and takes it. It
// reports false if the entry has become heavier than the cache, or if other Sets
// have kept for long what they had taken. Not pinned.
func (c *Cache[K, V]) makeWeight(u *change[K, V]) bool {
	for spins := 0; int64(u.weight) <= c.maxWeight.Load() && spins < weightTries; spins++ {
		evicted, ok := 0, false
		switch {
		case c.lockPass():
			evicted, ok = c.passForWeight(u.needs)
			c.unlockPass()
		case spins < roomSpins:
			idle(idleTurns)
			ok = c.takeWeight(u.needs)
			if !ok {
				continue
			}
		default:
			ok = c.takeWeight(u.needs)
		}
		if !ok && evicted == 0 && spins >= roomSpins && c.evictNear(u.hash) {
			evicted = 1
		}
		c.permits.Add(int64(evicted))
		if ok {
			u.reserved += u.needs
			return true
		}
		switch {
		case evicted > 0:
			spins = 0
		case spins < roomSpins+roomYields:
			runtime.Gosched()
		default:
			time.Sleep(supplyPause)
		}
	}
	return false
}

// weightTries bounds the time that a Set waits for weight that others have taken and
// not used yet to some tenths of a second.
const weightTries = roomSpins + roomYields + 2000

// passForWeight is a writer's pass that evicts until it has taken a weight, and returns
// the number of entries evicted. It keeps what it has got so far, so that smaller
// Sets do not take it away again; only one at a time does so, and gives it back if it
// is not enough. The pass lock is held.
func (c *Cache[K, V]) passForWeight(needs int64) (evicted int, ok bool) {
	c.passes.Add(1)
	c.drain(false)
	got := takeSome(&c.room, needs)
	for got < needs {
		n := c.evict(1)
		if n == 0 {
			c.room.Add(got)
			return evicted, false
		}
		evicted += n
		got += takeSome(&c.room, needs-got)
	}
	return evicted, true
}

// isPinned reports whether an entry must not be evicted.
func (c *Cache[K, V]) isPinned(s spot) bool {
	if c.weigher == nil {
		return false
	}
	weight := s.t.weights.at(s.index())
	return weight != nil && weight.Load() == 0
}

// SetCapacity changes the number of entries that the cache holds at most, to
// anything from 1 to Config.Capacity, for which its tables are made. If there are
// more, they are evicted before it returns; those that are pinned stay, and no
// new key is let in until there are fewer. It waits for a pass in progress.
func (c *Cache[K, V]) SetCapacity(n int) error {
	if n < 1 || n > c.capacity {
		return limitError("capacity", n, fmt.Sprintf("1 to Config.Capacity, %d", c.capacity))
	}
	size := sizesFor(n, runtime.GOMAXPROCS(0))
	c.awaitPass()
	c.workers.setStock(size.stock, size.stocks)
	c.batch.Store(int64(size.batch))
	c.lowWater.Store(size.lowWater)
	c.crowded.Store(false) // a larger one is filled to the last entry
	c.permits.Add(int64(n) - c.size.Swap(int64(n)))
	c.policy.setCapacity(n)
	c.unlockPass()
	c.takeBack()
	c.shrink(func() int64 { return -c.permits.Load() }, c.allPinned)
	return nil
}

// SetMaxWeight changes the weight that the cache holds at most, to anything from 1
// to Config.MaxWeight. If it holds more, entries are evicted before it returns.
// It waits for a pass in progress.
func (c *Cache[K, V]) SetMaxWeight(n uint64) error {
	switch {
	case c.weigher == nil:
		return limitError("weight", n, "a cache with a Config.Weigher")
	case n < 1 || n > c.mostWeight:
		return limitError("weight", n, fmt.Sprintf("1 to Config.MaxWeight, %d", c.mostWeight))
	}
	c.room.Add(int64(n) - c.maxWeight.Swap(int64(n)))
	c.shrink(func() int64 { return min(-c.room.Load(), 1) }, func() bool { return false })
	return nil
}

func limitError(what string, n any, limit string) error {
	return fmt.Errorf("dualcache: %s is %v, want %s", what, n, limit)
}

func (c *Cache[K, V]) awaitPass() {
	for !c.lockPass() {
		runtime.Gosched()
	}
}

// shrink evicts while there are too many entries, by as many as surplus says, or until
// nothing may be evicted. What it cannot get at is in the hands of operations that
// will end soon, or of idle workers.
func (c *Cache[K, V]) shrink(surplus func() int64, hopeless func() bool) {
	for looks := 1; !c.closed.Load(); looks++ {
		n := 0
		c.awaitPass()
		c.drain(false)
		if excess := surplus(); excess > 0 {
			n = c.evict(int(min(excess, shrinkBatch)))
		}
		c.unlockPass()
		c.permits.Add(int64(n))
		if surplus() <= 0 {
			return
		}
		switch {
		case n > 0:
		case c.evictNear(rand.Uint64()): // it was in no list
			c.permits.Add(1)
		case hopeless():
			return
		case looks%backLooks == 0:
			c.takeBack()
		default:
			runtime.Gosched()
		}
	}
}

// shrinkBatch is the number of entries that shrink evicts in one pass.
const shrinkBatch = 256

// Permits of idle workers. A worker's permits are its owner's, inside a section that
// has said so (usesPermits): it sets the hazard, then looks at frozen. Whoever takes
// them away sets frozen, and looks at the hazard after the barrier. One of the two
// sees the other. It is done where the stock has been lowered, or nothing else is
// left: workers that are in use put back by themselves what is above it.

// usesPermits says that a section is about to use its worker's permits, and reports
// whether it may. Any hazard says so. Pinned.
func (c *Cache[K, V]) usesPermits(w *worker) bool {
	if w.hazard.Load() == 0 {
		w.announce(permitHazard, c.fenced)
	}
	return !w.frozen.Load()
}

// awaitPermits begins sections, of which w's is the first, until one may use its
// worker's permits. It is entered pinned and returns pinned.
func (c *Cache[K, V]) awaitPermits(w *worker) *worker {
	for !c.usesPermits(w) {
		w.leave()
		runtime.Gosched()
		w = c.enter()
	}
	return w
}

// permitHazard is the address of no bucket.
const permitHazard = writerBit << 1

// takeBack takes the permits of idle workers. Not pinned.
func (c *Cache[K, V]) takeBack() {
	c.takingBack.Lock()
	defer c.takingBack.Unlock()
	busy := *c.workers.all.Load()
	for tries := 0; len(busy) > 0 && tries < backTries; tries++ {
		for _, w := range busy {
			w.frozen.Store(true)
		}
		fenced := c.fence()
		var rest []*worker
		for _, w := range busy {
			if fenced && w.hazard.Load() == 0 {
				c.permits.Add(int64(w.permits))
				w.permits = 0
			} else {
				rest = append(rest, w)
			}
			w.frozen.Store(false)
		}
		busy = rest
		runtime.Gosched()
	}
}

// backTries is how often takeBack waits for sections under way.
const backTries = 64

// Weight is the sum of the weights of all entries, expired ones that have not been
// removed yet included; without a Config.Weigher it is 0. What Sets in progress have
// reserved counts.
func (c *Cache[K, V]) Weight() uint64 {
	return uint64(max(0, c.maxWeight.Load()-c.room.Load()))
}

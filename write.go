package dualcache

import "runtime"

// The write path: Set and Delete.
//
// A Set of a resident key whose value is a word changes it in place, without
// a lock: it protects the node as a reader does, and stores. Why that is
// sound: the store takes effect while the node is in the index, or after it
// was taken out. In the first case it is the register's new value. In the
// second the removal, or the replacement by another Set, overlapped with this
// Set, which therefore may count as having come just before it; what it stored
// nobody will read as the key's later value, because nobody who begins now
// finds the node. Entries with a deadline are changed under the lock, because
// value and deadline are two words; and an entry without one gets one only by
// replacement, so that a store in place that comes late cannot land in an entry
// with another Set's deadline.
//
// Every other Set fills a spare node first, and then takes the home bucket's
// lock: some tens of nanoseconds for a search in one line and three stores.
// An insert needs a permit. Permits are what bounds Len: there are Capacity of
// them, an entry holds one for as long as it is in the index, and workers
// keep a few. A writer that finds none makes room: it runs the pass if nobody
// does, and else evicts one entry of a bucket near its own.
//
// Order of a retirement (rule 5): mark dead, take out of the index word,
// repair the tiers, retire.

// set is Set with a deadline.
func (c *Cache[K, V]) set(key K, value V, deadline int64) {
	hash := c.hash(key)
	w := c.enter()
	resident := false
	if slot, from := c.find(w, hash, key); slot != 0 {
		n := at[K, V](&c.arena, slot)
		word := n.policy.Load()
		if c.valueKind != valueFixed && deadline == noDeadline && word&(policyLive|policyDeadline) == policyLive {
			if debug {
				yield(pointInPlace)
			}
			c.store(n, value)
			wake := c.noteHit(w, slot, &n.nodeHeader, from)
			w.unprotect()
			w.counts.sets.add(1)
			w.leave()
			if wake {
				c.wake()
			}
			return
		}
		resident = true
	}
	w.unprotect()
	c.setLocked(w, hash, key, value, deadline, resident)
}

// An outcome tells what an attempt at a locked Set came to.
type outcome uint8

const (
	outcomeDone outcome = iota
	outcomeClosed
	outcomeNeedsPermit
	outcomeLocked // the lock is held for long, or the segment is missing
)

// setLocked takes over pinned, and unpins.
func (c *Cache[K, V]) setLocked(w *worker, hash uint64, key K, value V, deadline int64, resident bool) {
	for {
		if w.spares == 0 {
			w.leave()
			nodes := c.supply()
			if nodes == 0 {
				c.refuse(hash, key)
				return
			}
			w = c.enter()
			c.arena.giveAll(w, nodes)
			continue
		}
		slot := w.magazine[w.spares-1]
		if deadline != noDeadline && c.arena.deadlineSlabOf(slot) == nil {
			w.leave()
			c.arena.makeDeadlines(slot)
			w = c.enter()
			continue
		}
		if !resident && w.permits == 0 {
			taken := c.takePermits(w)
			if taken && (c.permits.Load() >= c.lowWater || !c.crowded.Load()) {
				continue
			}
			w.leave()
			n := 0
			if taken {
				c.makeRoomAhead()
			} else {
				n = c.makeRoom(hash)
			}
			w = c.enter()
			w.permits += n
			continue
		}
		switch c.trySet(w, slot, hash, key, value, deadline) {
		case outcomeDone:
			c.finishSet(w)
			return
		case outcomeClosed:
			c.keepNoPermit(w)
			w.leave()
			return
		case outcomeNeedsPermit:
			resident = false
		case outcomeLocked:
			c.keepNoPermit(w)
			w.leave()
			c.waitHome(hash)
			w = c.enter()
		}
	}
}

// trySet fills the spare node on top of w's magazine, and puts it into the
// index under the lock. If it comes to anything but outcomeDone, the node
// stays in the magazine, clean.
func (c *Cache[K, V]) trySet(w *worker, slot uint32, hash uint64, key K, value V, deadline int64) outcome {
	n := at[K, V](&c.arena, slot)
	n.key, n.value = key, value
	publish64(&n.hash, hash)
	policy := uint32(firstPolicy)
	if deadline != noDeadline {
		policy |= policyDeadline
	}
	c.arena.setDeadline(slot, deadline)
	home := c.lockHome(hash)
	if home == nil {
		c.unfill(n)
		return outcomeLocked
	}
	p, old := c.locate(home, hash, key)
	result := outcomeDone
	switch {
	case old != 0 && c.updateInPlace(old, value, deadline):
		home.unlock()
		c.unfill(n)
	case old != 0:
		w.spares--
		c.replace(w, home, p, old, slot, policy)
	case c.closed.Load():
		home.unlock()
		c.unfill(n)
		result = outcomeClosed
	case w.permits == 0:
		home.unlock()
		c.unfill(n)
		result = outcomeNeedsPermit
	default:
		w.spares--
		c.insert(w, home, slot, hash, policy)
	}
	return result
}

// unfill cleans a spare node that was filled and not used.
func (c *Cache[K, V]) unfill(n *node[K, V]) {
	if c.pointers {
		var key K
		var value V
		n.key, n.value = key, value
	}
}

// locate finds a key under the lock of its home.
func (c *Cache[K, V]) locate(home *bucket, hash uint64, key K) (place, uint32) {
	tag := broadcast(hash)
	for b := home; ; {
		ctrl := b.ctrl.Load()
		for m := match(b.tags.Load(), ctrl, tag); m != 0; m &= m - 1 {
			i := position(m)
			if slot := b.slot(i).Load(); slot != 0 && at[K, V](&c.arena, slot).key == key {
				return place{b, i}, slot
			}
		}
		if ctrl&ctrlLink == 0 {
			return place{}, 0
		}
		b = b.next(ctrl)
	}
}

// updateInPlace changes a resident entry under the lock, where value and
// deadline allow: the value first (expiry.go I2).
func (c *Cache[K, V]) updateInPlace(slot uint32, value V, deadline int64) bool {
	n := at[K, V](&c.arena, slot)
	if c.valueKind == valueFixed || deadline != noDeadline && n.policy.Load()&policyDeadline == 0 {
		return false
	}
	c.store(n, value)
	c.arena.setDeadline(slot, deadline)
	c.arena.noteDeadline(slot)
	return true
}

// replace puts a new node into the place of an old one of the same key. It
// inherits what the policy knows: it is not a new key (rule 8).
func (c *Cache[K, V]) replace(w *worker, home *bucket, p place, old, slot, policy uint32) {
	o, n := c.arena.header(old), c.arena.header(slot)
	publish32(&n.policy, policy|o.policy.Load()&^policyDeadline)
	c.kill(o)
	publish32(p.b.slot(p.i), slot)
	c.revive(n, slot)
	c.repairTiers(o.hash.Load(), old)
	home.unlock()
	if debug {
		yield(pointBeforeRetire)
	}
	c.arena.retire(w, old)
}

// insert puts a new node into the index. The worker has a permit for it.
func (c *Cache[K, V]) insert(w *worker, home *bucket, slot uint32, hash uint64, policy uint32) {
	n := c.arena.header(slot)
	publish32(&n.policy, policy)
	p, ok := c.index.findFree(home, hash)
	for !ok {
		// The place may be lost again with the overflow bucket it was in.
		c.unlinkLowest(w, home)
		p, ok = c.index.findFree(home, hash)
	}
	publish32(p.b.slot(p.i), slot)
	p.b.setTag(p.i, broadcast(hash))
	c.revive(n, slot)
	w.permits--
	w.counts.added.add(1)
	home.unlock()
	if w.insertQueue.offer(uint64(n.state.Load())<<32|uint64(slot)) == offerDropped {
		w.counts.droppedInserts.add(1)
	}
}

// kill marks a node dead and ends its generation. The home is locked.
func (c *Cache[K, V]) kill(n *nodeHeader) {
	n.state.Store(n.state.Load() + stateGeneration | stateDead)
}

// revive marks a node live once the index names it: tiers may give it out from
// now on, and not before.
func (c *Cache[K, V]) revive(n *nodeHeader, slot uint32) {
	publish32(&n.state, n.state.Load()&^stateDead)
	c.arena.noteDeadline(slot)
}

// unlinkLowest makes room in a chain that cannot grow: the entry of the lowest
// rank leaves. Its permit goes to the worker.
func (c *Cache[K, V]) unlinkLowest(w *worker, home *bucket) {
	var lowest uint32
	rank := uint32(maxRank + 1)
	for b := home; ; {
		for i := range b.slots {
			if slot := b.slots[i].Load(); slot != 0 {
				if r := rankOf(c.arena.header(slot).policy.Load()); r < rank {
					lowest, rank = slot, r
				}
			}
		}
		ctrl := b.ctrl.Load()
		if ctrl&ctrlLink == 0 {
			break
		}
		b = b.next(ctrl)
	}
	c.takeOut(w, home, lowest)
	w.counts.evictions.add(1)
	w.permits++
}

// takeOut removes a slot from the chain of a locked home, and retires it. A
// slot that is not there breaks (I1) of qsbr.go, and nothing can be trusted.
func (c *Cache[K, V]) takeOut(w *worker, home *bucket, slot uint32) {
	p, ok := home.findSlot(slot)
	if !ok {
		panic("dualcache: a live node is not in its bucket")
	}
	n := c.arena.header(slot)
	c.kill(n)
	p.clear(home)
	c.repairTiers(n.hash.Load(), slot)
	if debug {
		yield(pointBeforeRetire)
	}
	c.arena.retire(w, slot)
}

// unlink is takeOut, and unlocks the home.
func (c *Cache[K, V]) unlink(w *worker, home *bucket, slot uint32) {
	c.takeOut(w, home, slot)
	home.unlock()
}

func (c *Cache[K, V]) repairTiers(hash uint64, slot uint32) {
	if c.tiered {
		c.t1.forget(hash, slot)
		c.t2.forget(hash, slot)
	}
}

// lockLife locks the home of one life of a node, or returns nil if it has
// ended or the lock is held for long. Pinned.
func (c *Cache[K, V]) lockLife(slot, state uint32) *bucket {
	n := c.arena.header(slot)
	// The hash belongs to the life that state names if that is still so under
	// the lock; else the wrong bucket was locked, and does not matter.
	home := c.lockHome(n.hash.Load())
	if home == nil {
		return nil
	}
	if n.state.Load() != state {
		home.unlock()
		return nil
	}
	return home
}

// finishSet ends a Set that took effect: it hands work on, unpinned.
func (c *Cache[K, V]) finishSet(w *worker) {
	w.counts.sets.add(1)
	full := w.insertQueue.pending() == len(w.insertQueue.records)
	w.leave()
	if full {
		c.tryDrain()
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
		limit = c.workers.sizes.permits
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

// keepNoPermit puts back what takePermits took for an insert that was not done,
// as long as permits are taken one by one. Pinned.
func (c *Cache[K, V]) keepNoPermit(w *worker) {
	if w.permits > 0 && !c.crowded.Load() {
		w.permits--
		c.permits.Add(1)
	}
}

// returnPermit gives back the permit of an entry that was removed. Pinned.
func (c *Cache[K, V]) returnPermit(w *worker) {
	if limit := c.workers.sizes.permits; limit > 1 && w.permits < limit && c.crowded.Load() {
		w.permits++
		return
	}
	c.permits.Add(1)
}

// roomSpins is how long a writer waits for the holder of the pass lock to make
// room before it evicts an entry by itself: a microsecond or two.
const roomSpins = 512

// makeRoom evicts, and returns the permits that the caller then has. Not
// pinned.
func (c *Cache[K, V]) makeRoom(hash uint64) int {
	if !c.crowded.Load() {
		c.crowded.Store(true)
	}
	for spins := 0; ; spins++ {
		if c.lockPass() {
			n := c.passForRoom(c.batch)
			c.unlockPass()
			if n > 0 {
				c.permits.Add(int64(n - 1))
				return 1
			}
		}
		if n := c.takeSomePermits(1); n > 0 {
			return n
		}
		if spins >= roomSpins {
			if c.evictNear(hash) {
				return 1
			}
			runtime.Gosched()
		}
	}
}

// evictNear evicts the entry of lowest rank in the first chain, from the home
// of hash on, that has one and is not locked. It reports whether it did.
func (c *Cache[K, V]) evictNear(hash uint64) bool {
	evicted := false
	c.index.eachHomeFrom(hash, func(home *bucket) bool {
		w := c.enter()
		if home.tryLock() {
			if !home.chainEmpty() {
				c.unlinkLowest(w, home)
				w.permits-- // the caller's
				evicted = true
			}
			home.unlock()
		}
		w.leave()
		return !evicted
	})
	return evicted
}

// waitHome is what a writer does, unpinned, that could not lock a home.
func (c *Cache[K, V]) waitHome(hash uint64) {
	if c.index.segmentOf(hash) == nil {
		c.index.makeHome(hash)
		return
	}
	runtime.Gosched()
}

// refuse gives up a Set for want of a node. The older value must not outlive
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
		if c.index.segmentOf(hash) == nil {
			w.leave()
			return false, noDeadline
		}
		home := c.lockHome(hash)
		if home == nil {
			w.leave()
			c.waitHome(hash)
			continue
		}
		_, slot := c.locate(home, hash, key)
		if slot == 0 {
			home.unlock()
			w.leave()
			return false, noDeadline
		}
		deadline := c.arena.deadline(slot)
		c.unlink(w, home, slot)
		w.counts.deletes.add(1)
		c.returnPermit(w)
		w.leave()
		if c.awake.Load() == 0 {
			c.wake()
		}
		return true, deadline
	}
}

// clearAll empties the index, bucket by bucket.
func (c *Cache[K, V]) clearAll() {
	c.crowded.Store(false)
	c.index.eachHome(func(home *bucket) bool {
		for {
			w := c.enter()
			if !home.tryLock() {
				w.leave()
				runtime.Gosched()
				continue
			}
			n := c.clearChain(w, home)
			home.unlock()
			w.counts.cleared.add(uint64(n))
			w.leave()
			c.permits.Add(int64(n))
			return true
		}
	})
	c.wake()
}

// clearChain takes out every entry behind a locked home.
func (c *Cache[K, V]) clearChain(w *worker, home *bucket) (n int) {
	for {
		slot := home.lastSlot()
		if slot == 0 {
			return n
		}
		c.takeOut(w, home, slot)
		n++
	}
}

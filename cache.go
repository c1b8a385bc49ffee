package dualcache

import (
	"reflect"
	"sync/atomic"
	"time"
	"unsafe"
)

// The front. A Get is: hash, enter, match tags, protect one node, compare its
// key, leave. Everything slow has a name and lives elsewhere: write.go (Set and
// Delete), daemon.go (the maintenance pass), expiry.go, and for the structures
// tiers.go (index), arena.go (nodes), qsbr.go (reclamation).

// A Cache maps keys to values and holds at most Capacity of them. It is made
// by New, Must or NewHeadless; the zero Cache is not ready for use. All
// methods may be called by any number of goroutines at once, and after Close.
type Cache[K comparable, V any] struct {
	// Read-mostly: set by New, but for the pointers inside arena and registry
	// that change when they grow.
	hashing[K]
	valueKind valueKind
	plain     bool // Get looks into the index at once; see getSlow
	fenced    bool // readers publish by atomic stores (qsbr.go)
	tiered    bool // readers look at T1 and T2
	pointers  bool // K or V refer to memory
	workers   registry
	index     index
	arena     arena
	t1, t2    tier

	capacity  int
	ttl       time.Duration
	born      time.Time
	nodeLimit int // nodes that are made without an emergency
	reclaimAt int // retired nodes that are worth a grace period
	batch     int // entries that a pass evicts at once for a writer
	lowWater  int64
	poll      time.Duration
	flush     uint32
	timer     *time.Timer // nil if headless
	signal    chan struct{}
	closed    atomic.Bool
	coarse    atomic.Int64 // published time, or farFuture
	awake     atomic.Uint32
	crowded   atomic.Bool // the cache has been full since it was made or cleared

	_       cachePad
	permits atomic.Int64 // inserts that may be done, less those that workers hold
	_       cachePad

	// The pass lock guards policy and lastSweep.
	passLock     atomic.Uint32
	policy       policy
	lastSweep    int64
	idleTicks    int
	running      atomic.Int32 // daemon ticks in progress
	clockWanted  atomic.Bool
	leftover     atomic.Uint64 // nodeList: retired nodes that a reader held
	gracePeriods atomic.Uint64
	passes       atomic.Uint64
}

// enter begins a critical section: until the worker's leave, nothing may block,
// allocate, or run user code.
func (c *Cache[K, V]) enter() *worker {
	w := c.workers.worker(pin())
	if w == nil {
		w = c.workers.enterSlow()
	}
	return w
}

// Get returns the value of key, if the cache holds one that has not expired.
// It is wait-free and allocates nothing. It counts as an access, to the
// statistics and to the eviction policy.
func (c *Cache[K, V]) Get(key K) (value V, ok bool) {
	var hash uint64
	if unsafe.Sizeof(key) == 8 && c.kind == hashWord { // hash(key), by hand
		hash = mix(*(*uint64)(unsafe.Pointer(&key)), c.xor, c.mul)
	} else {
		hash = c.hashSlow(key)
	}
	w := c.workers.worker(pin())
	if w == nil {
		w = c.workers.enterSlow()
	}
	if !c.plain {
		return c.getSlow(w, hash, key)
	}
	b := c.index.home(hash)
	tags, ctrl := b.tags.Load(), b.ctrl.Load()
	for m := match(tags, ctrl, broadcast(hash)); m != 0; m &= m - 1 {
		word := b.slot(position(m))
		slot := word.Load()
		publish32(&w.hazard, slot) // protect: plain says how
		if debug {
			yield(pointReadCandidate)
		}
		if slot != word.Load() {
			return c.getSlow(w, hash, key)
		}
		// Slot 0, of an entry that has just left, is no entry's node: its
		// policy word is never quiet.
		n := at[K, V](&c.arena, slot)
		if debug {
			c.checkProtected(n)
		}
		if n.key != key {
			continue
		}
		if n.policy.Load()&policyQuietMask != policyQuiet {
			return c.getSlow(w, hash, key)
		}
		value = c.load(n)
		w.unprotect()
		w.counts.hits.add(1)
		w.leave()
		return value, true
	}
	if ctrl&ctrlLink != 0 {
		return c.getSlow(w, hash, key)
	}
	w.unprotect()
	w.counts.misses.add(1)
	w.leave()
	return value, false
}

// getSlow is Get where tiers are consulted or readers publish by atomic stores,
// where a writer was in the way, where the chain is longer than one bucket, and
// where the policy is told or a deadline looked at. Entered pinned.
func (c *Cache[K, V]) getSlow(w *worker, hash uint64, key K) (value V, ok bool) {
	slot, from := c.find(w, hash, key)
	if slot == 0 {
		w.unprotect()
		w.counts.misses.add(1)
		w.leave()
		return value, false
	}
	switch from {
	case inT1:
		w.counts.hitsT1.add(1)
	case inT2:
		w.counts.hitsT2.add(1)
	}
	if d := c.arena.deadline(slot); d != noDeadline && !c.surelyLive(d) {
		w.unprotect()
		w.leave()
		return c.getTimed(hash, key)
	}
	n := at[K, V](&c.arena, slot)
	value = c.load(n)
	wake := c.noteHit(w, slot, &n.nodeHeader, from)
	w.unprotect()
	w.counts.hits.add(1)
	w.leave()
	if wake {
		c.wake()
	}
	return value, true
}

// getTimed is Get by the real clock.
func (c *Cache[K, V]) getTimed(hash uint64, key K) (value V, ok bool) {
	if !c.clockWanted.Load() {
		c.clockWanted.Store(true)
	}
	c.wake()
	now := c.now()
	w := c.enter()
	slot, from := c.find(w, hash, key)
	if slot != 0 {
		d := c.arena.deadline(slot)
		if ok = d == noDeadline || d > now; ok {
			n := at[K, V](&c.arena, slot)
			value = c.load(n)
			c.noteHit(w, slot, &n.nodeHeader, from)
		}
	}
	w.unprotect()
	if ok {
		w.counts.hits.add(1)
	} else {
		w.counts.misses.add(1)
	}
	w.leave()
	return value, ok
}

// find looks a key up and returns its slot, protected, or 0. Pinned; the
// caller unprotects.
func (c *Cache[K, V]) find(w *worker, hash uint64, key K) (uint32, tierNumber) {
	if c.tiered {
		if slot, from := c.lookTiers(w, hash, key); slot != 0 {
			return slot, from
		}
	}
	b := c.index.home(hash)
	tag := broadcast(hash)
	for hops := 0; ; hops++ {
		tags, ctrl := b.tags.Load(), b.ctrl.Load()
		for m := match(tags, ctrl, tag); m != 0; m &= m - 1 {
			slot := c.hold(w, b.slot(position(m)))
			if slot != 0 && at[K, V](&c.arena, slot).key == key {
				return slot, inIndex
			}
		}
		if ctrl&ctrlLink == 0 || hops == maxChain {
			return 0, inIndex
		}
		b = b.next(ctrl)
	}
}

// hold loads a word of the index and protects the node it names.
func (c *Cache[K, V]) hold(w *worker, word *atomic.Uint32) uint32 {
	slot := word.Load()
	for range hazardRetries {
		if slot == 0 {
			return 0
		}
		w.protect(slot, c.fenced)
		if debug {
			yield(pointReadCandidate)
		}
		again := word.Load()
		if again == slot {
			if debug {
				c.checkProtected(at[K, V](&c.arena, slot))
			}
			return slot
		}
		slot = again
	}
	w.protect(hazardAll, c.fenced)
	return word.Load()
}

// checkProtected is the detector of the debug builds: a node that a reader
// holds has not been freed.
func (c *Cache[K, V]) checkProtected(n *node[K, V]) {
	if n.hash.Load() == poison {
		panic("dualcache: a reader holds a freed node")
	}
	yield(pointReadProtected)
	if n.hash.Load() == poison {
		panic("dualcache: a node was freed under its reader")
	}
}

// noteHit tells the policy of a hit on a protected node, and, where there are
// tiers and it was not found in the first, the pass, which promotes. It reports
// whether the daemon must be woken for that.
func (c *Cache[K, V]) noteHit(w *worker, slot uint32, n *nodeHeader, from tierNumber) (wake bool) {
	if word := n.policy.Load(); hitInforms(word) {
		raiseRank(n, word)
	}
	if !c.tiered || from == inT1 {
		return false
	}
	if w.hitQueue.offer(uint64(n.state.Load())<<32|uint64(slot)) == offerDropped {
		w.counts.droppedHits.add(1)
	}
	return c.awake.Load() == 0
}

// A valueKind says how values may change in place.
type valueKind uint8

const (
	valueFixed   valueKind = iota // never: an update takes a new node
	valueWord                     // an aligned word of 4 or 8 bytes without pointers
	valuePointer                  // a single pointer
)

// valueKindOf tells how values of type V may be updated. Words of one and two
// bytes have no atomic store of their own in Go.
func valueKindOf[K comparable, V any]() valueKind {
	var n node[K, V]
	t := reflect.TypeFor[V]()
	switch size := t.Size(); {
	case t.Kind() == reflect.Pointer || t.Kind() == reflect.Map || t.Kind() == reflect.Chan ||
		t.Kind() == reflect.Func || t.Kind() == reflect.UnsafePointer:
		return valuePointer
	case size != 4 && size != 8 || hasPointers(t) || unsafe.Offsetof(n.value)%size != 0:
		return valueFixed
	}
	return valueWord
}

// load reads the value of a protected node: one atomic load where it may be
// stored in place meanwhile.
func (c *Cache[K, V]) load(n *node[K, V]) V {
	p := unsafe.Pointer(&n.value)
	switch c.valueKind {
	case valueWord: // valueKindOf has checked size and alignment
		if unsafe.Sizeof(n.value) == 8 {
			x := atomic.LoadUint64((*uint64)(p))
			return *(*V)(unsafe.Pointer(&x))
		}
		if unsafe.Sizeof(n.value) == 4 {
			x := atomic.LoadUint32((*uint32)(p))
			return *(*V)(unsafe.Pointer(&x))
		}
	case valuePointer:
		if unsafe.Sizeof(n.value) == unsafe.Sizeof(uintptr(0)) {
			x := atomic.LoadPointer((*unsafe.Pointer)(p))
			return *(*V)(unsafe.Pointer(&x))
		}
	}
	return n.value
}

// store changes the value of a protected node, or of one whose home is locked,
// in place. It is a full barrier (XCHG on amd64), so the value is visible
// everywhere when the Set returns; for pointers it is the collector's write
// barrier too.
func (c *Cache[K, V]) store(n *node[K, V], value V) {
	p := unsafe.Pointer(&n.value)
	switch {
	case c.valueKind == valuePointer && unsafe.Sizeof(value) == unsafe.Sizeof(uintptr(0)):
		atomic.StorePointer((*unsafe.Pointer)(p), *(*unsafe.Pointer)(unsafe.Pointer(&value)))
	case unsafe.Sizeof(value) == 8:
		atomic.StoreUint64((*uint64)(p), *(*uint64)(unsafe.Pointer(&value)))
	case unsafe.Sizeof(value) == 4:
		atomic.StoreUint32((*uint32)(p), *(*uint32)(unsafe.Pointer(&value)))
	}
}

// Set gives key a value, for as long as Config.TTL says. The value is visible
// to every goroutine when Set returns; another entry may have been evicted for
// it. Set does not wait for the daemon or for readers, and allocates nothing
// once the cache has grown to its capacity. After Close it does nothing.
//
// A refusal (see Stats.Refusals and G2) removes the older value of the key.
func (c *Cache[K, V]) Set(key K, value V) {
	if c.ttl > 0 {
		c.set(key, value, c.deadlineAfter(c.ttl))
		return
	}
	c.set(key, value, noDeadline)
}

// SetWithTTL is Set with a time to live of its own. The entry is absent for
// every operation that begins ttl or more after SetWithTTL returned; zero means
// that it never expires, and a negative ttl removes the key. All positive
// durations are legal.
func (c *Cache[K, V]) SetWithTTL(key K, value V, ttl time.Duration) {
	switch {
	case ttl > 0:
		c.set(key, value, c.deadlineAfter(ttl))
	case ttl == 0:
		c.set(key, value, noDeadline)
	default:
		c.Delete(key)
	}
}

// Delete removes key, and reports whether it had a value that had not expired.
func (c *Cache[K, V]) Delete(key K) bool {
	hash := c.hash(key)
	removed, deadline := c.remove(hash, key)
	return removed && (deadline == noDeadline || deadline > c.now())
}

// Clear removes every entry. Each key's removal is atomic; the whole is not:
// a Set that runs at the same time takes place before or after the removal of
// its key. It visits every bucket.
func (c *Cache[K, V]) Clear() { c.clearAll() }

// Capacity is the number of entries that the cache holds at most.
func (c *Cache[K, V]) Capacity() int { return c.capacity }

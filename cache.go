package dualcache

import (
	"reflect"
	"sync/atomic"
	"time"
	"unsafe"
)

// The front. A Get is: hash, enter, protect the bucket, match tags, compare the
// key, leave. Everything slow has a name and lives elsewhere: write.go (Set and
// Delete), daemon.go (the maintenance pass), expiry.go, and for the structures
// arena.go (buckets), tiers.go (index), qsbr.go (reclamation).

// A Cache maps keys to values and holds at most Capacity of them. It is made
// by New, Must or NewHeadless; the zero Cache is not ready for use. All
// methods may be called by any number of goroutines at once, and after Close.
type Cache[K comparable, V any] struct {
	// Read-mostly: set by New, but for the table, which grows, and quiet, which
	// changes with every tick of the policy.
	hashing[K]
	valueKind valueKind
	plain     bool // Get looks into the index at once; see getSlow
	fenced    bool // readers publish by atomic stores (qsbr.go)
	tiered    bool // readers look at T1 and T2
	pointers  bool // K or V refer to memory
	workers   registry
	table     atomic.Pointer[table]
	quiet     atomic.Uint32 // the policy word of an entry that has nothing to tell
	tickNow   atomic.Uint32 // the policy's time
	t1, t2    tier

	capacity   int
	homes      uint64 // of a full cache
	load       uint64 // tenths of an entry for each home
	ttl        time.Duration
	born       time.Time
	batch      int // entries that a pass evicts at once for a writer
	drainAt    int // insert records of a worker that are worth a pass
	lowWater   int64
	graceAfter uint64 // evictions that are worth a grace period
	poll       time.Duration
	flush      uint32
	timer      *time.Timer // nil if headless
	signal     chan struct{}
	closed     atomic.Bool
	timed      atomic.Bool  // there has been a deadline
	coarse     atomic.Int64 // published time, or farFuture
	awake      atomic.Uint32
	crowded    atomic.Bool // the cache has been full since it was made or cleared

	_       cachePad
	permits atomic.Int64 // inserts that may be done, less those that workers hold
	_       cachePad

	// The pass lock guards what follows, up to the next comment.
	passLock   atomic.Uint32
	policy     policy
	lastSweep  int64
	idleTicks  int
	sinceGrace uint64
	limbo      []slot // retired places to be wiped
	wipeNext   uint64 // homes that the walk of wipe has still to visit

	// Anyone's.
	alone        atomic.Uint32 // evictions without the pass, since it was last got
	limboLen     atomic.Int64
	wipeAll      atomic.Bool // a walk is wanted
	wiping       atomic.Bool // a walk is under way
	graceWanted  atomic.Bool // a writer met a place that waits for a grace period
	retiredSeen  atomic.Uint64
	pending      atomic.Uint32 // see freeByHand
	growing      atomic.Uint32
	grace        grace
	running      atomic.Int32 // daemon ticks in progress
	clockWanted  atomic.Bool
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
	t := c.table.Load()
	b := bucketAt[K, V](t, t.homeOf(hash))
	publishAddress(&w.hazard, uintptr(unsafe.Pointer(b))) // protect: plain says how
	head := b.head.Load()
	for m := match(head, broadcast(hash)); m != 0; m &= m - 1 {
		i := position(m)
		p := b.place(i)
		if p.key != key {
			continue
		}
		if x := b.word(i).Load(); x&policyQuietMask != c.quiet.Load() && !c.noteQuickly(b.word(i), x) {
			return c.getSlow(w, hash, key)
		}
		value = c.loadValue(p)
		w.counts.hits.add(1)
		w.leave()
		return value, true
	}
	// The second look at head comes after that at old: what was moved here until the
	// older table was gone is here now (grow.go I1).
	if head>>marksShift != 0 || t.old.Load() != nil || b.head.Load() != head || c.table.Load() != t {
		return c.getSlow(w, hash, key)
	}
	w.counts.misses.add(1)
	w.leave()
	return value, false
}

// noteQuickly notes a hit on an entry without a deadline, and reports whether it
// is one.
func (c *Cache[K, V]) noteQuickly(word *atomic.Uint32, x uint32) bool {
	if x&(policyLive|policyDeadline) != policyLive {
		return false
	}
	publish32(word, touched(x, c.now16(), fadeTicks))
	return true
}

// getSlow is Get where tiers are consulted or readers publish by atomic stores,
// where entries of this home lie next door, where the table grows, and where the
// policy is told or a deadline looked at. Entered pinned.
func (c *Cache[K, V]) getSlow(w *worker, hash uint64, key K) (value V, ok bool) {
	s, from := c.find(w, hash, key, false)
	if !s.found() {
		w.counts.misses.add(1)
		w.leave()
		return value, false
	}
	if d := s.t.deadline(s.index()); d != noDeadline && !c.surelyLive(d) {
		w.leave()
		return c.getTimed(hash, key)
	}
	value = c.loadAt(w, s)
	wake := c.noteHit(w, hash, s, from)
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
	s, from := c.find(w, hash, key, false)
	if ok = s.found() && !s.t.expired(s.index(), now); ok {
		value = c.loadAt(w, s)
		c.noteHit(w, hash, s, from)
		w.counts.hits.add(1)
	} else {
		w.counts.misses.add(1)
	}
	w.leave()
	return value, ok
}

// noteHit tells the policy of a hit on a protected entry, and, where there are
// tiers and it was not found in the first, the pass, which promotes. It reports
// whether the daemon must be woken for that.
func (c *Cache[K, V]) noteHit(w *worker, hash uint64, s spot, from tierNumber) (wake bool) {
	c.noteAccess(s.word())
	switch from {
	case inT1:
		w.counts.hitsT1.add(1)
		return false
	case inT2:
		w.counts.hitsT2.add(1)
	}
	if !c.tiered {
		return false
	}
	if w.hitQueue.offer(hash<<32|uint64(s.slot())) == offerDropped {
		w.counts.droppedHits.add(1)
	}
	return c.awake.Load() == 0
}

// loadAt reads the value of a protected place.
func (c *Cache[K, V]) loadAt(w *worker, s spot) V {
	value := c.loadValue(placeAt[K, V](s))
	if debug {
		w.checkLife(s)
	}
	return value
}

// A valueKind says how values may change in place.
type valueKind uint8

const (
	valueFixed   valueKind = iota // never: an update takes a new place
	valueWord                     // an aligned word of 4 or 8 bytes without pointers
	valuePointer                  // a single pointer
)

// valueKindOf tells how values of type V may be updated. Words of one and two
// bytes have no atomic store of their own in Go.
func valueKindOf[K comparable, V any]() valueKind {
	var p place[K, V]
	t := reflect.TypeFor[V]()
	switch size := t.Size(); {
	case t.Kind() == reflect.Pointer || t.Kind() == reflect.Map || t.Kind() == reflect.Chan ||
		t.Kind() == reflect.Func || t.Kind() == reflect.UnsafePointer:
		return valuePointer
	case size != 4 && size != 8 || hasPointers(t) || unsafe.Offsetof(p.value)%size != 0:
		return valueFixed
	}
	return valueWord
}

// loadValue is one atomic load where the value may be stored in place meanwhile.
func (c *Cache[K, V]) loadValue(n *place[K, V]) V {
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

// store changes the value of a protected entry, or of one whose home is locked,
// in place. It is a full barrier (XCHG on amd64), so the value is visible
// everywhere when the Set returns; for pointers it is the collector's write
// barrier too.
func (c *Cache[K, V]) store(n *place[K, V], value V) {
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

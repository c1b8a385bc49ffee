package dualcache

import (
	"math/bits"
	"reflect"
	"sync"
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
	plain     bool // Get looks into the index at once, and publishes by a plain store
	fenced    bool // readers publish by atomic stores (qsbr.go)
	tiered    bool // readers look at T1 and T2
	pointers  bool // K or V refer to memory
	bare      bool // a Set needs neither clock nor callbacks
	workers   registry
	table     atomic.Pointer[table]
	quiet     atomic.Uint32               // the policy word of an entry that has nothing to tell
	tickNow   atomic.Uint32               // the policy's time
	lockless  atomic.Bool                 // words may be stored in place without a lock
	timed     atomic.Bool                 // there has been a deadline
	loads     atomic.Pointer[ticketLists] // see load.go; nil before the first
	t1, t2    tier

	expiring[K, V]
	loading[K, V]
	weigher    func(K, V) uint32
	codec      Codec[K, V]
	listener   *listener[K, V] // nil: nobody wants to know
	columns    columns
	capacity   int    // the largest there may be
	mostWeight uint64 // the same
	homes      uint64 // of a full cache
	load       uint64 // tenths of an entry for each home
	drainAt    int    // insert records of a worker that are worth a pass
	graceAfter uint64 // evictions that are worth a grace period
	poll       time.Duration
	flush      uint32
	timer      *time.Timer // nil if headless
	signal     chan struct{}
	batch      atomic.Int64 // entries that a pass evicts at once for a writer
	lowWater   atomic.Int64 // permits below which room is made ahead of need
	size       atomic.Int64 // the capacity at present
	maxWeight  atomic.Int64
	closed     atomic.Bool
	awake      atomic.Uint32
	crowded    atomic.Bool // the cache has been full since it was made or cleared

	_       cachePad
	permits atomic.Int64 // inserts that may be done, less those that workers hold
	_       cachePad
	room    atomic.Int64 // weight that may be added, less what is reserved
	_       cachePad

	// The pass lock guards what follows, up to the next comment.
	passLock   atomic.Uint32
	policy     policy
	lastSweep  int64
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
	takingBack   sync.Mutex
	crowdSpare   atomic.Pointer[removal[K, V]] // see crowdOut
	grace        grace
	running      atomic.Int32 // daemon ticks in progress
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
	t := c.table.Load()
	b := bucketAt[K, V](t, t.homeOf(hash))
	if c.plain { // protect, by hand
		publishAddress(&w.hazard, uintptr(unsafe.Pointer(b)))
		b.prefetch()
	} else if !c.protectHome(w, uintptr(unsafe.Pointer(b))) {
		return c.getSlow(w, hash, key)
	}
	head := b.head.Load()
	for m := match(head, broadcast(hash)); m != 0; m &= m - 1 {
		i := position(m)
		p := b.place(i)
		if p.key != key {
			continue
		}
		if head>>dueShift != 0 && isDue(head, i) {
			w.leave()
			return c.getDue(hash, key)
		}
		if x := b.word(i).Load(); x&policyQuietMask != c.quiet.Load() { // noteAccess, by hand
			c.note(b.word(i), x)
		}
		value = c.loadValue(p)
		w.counts.hits.add(1)
		w.leave()
		return value, true
	}
	// The second look at head comes after that at old: what was moved here until the
	// older table was gone is here now (grow.go I1).
	if head&(headMoved|marksMask<<marksShift) != 0 || t.old.Load() != nil || (b.head.Load()^head)&^headLock != 0 || c.table.Load() != t {
		return c.getNear(w, t, head, hash, key)
	}
	w.counts.misses.add(1)
	w.leave()
	return value, false
}

// protectHome is protect where readers publish by atomic stores. It reports false where
// the home is not the place to look first. It is no part of Get, in which there are no
// locked instructions.
//
//go:noinline
func (c *Cache[K, V]) protectHome(w *worker, hazard uintptr) bool {
	if c.tiered || debug {
		return false
	}
	w.hazard.Store(hazard)
	return true
}

// getNear is Get where entries of the home lie next door. Entered pinned.
func (c *Cache[K, V]) getNear(w *worker, t *table, head, hash uint64, key K) (value V, ok bool) {
	if value, ok = c.lookNear(w, t, head, hash, key); ok {
		w.counts.hits.add(1)
		w.leave()
		return value, true
	}
	return c.getSlow(w, hash, key)
}

// lookNear looks for a key next door to its home, whose head is given. What it does
// not find may be there all the same.
func (c *Cache[K, V]) lookNear(w *worker, t *table, head, hash uint64, key K) (value V, ok bool) {
	n := t.homeOf(hash)
	for m := head >> marksShift & marksMask; m != 0; m &= m - 1 {
		if debug {
			yield(pointBeforeNeighbour)
		}
		b := bucketAt[K, V](t, t.near(n, bits.TrailingZeros64(m)+1))
		w.protect(&b.bucketHead, false, c.fenced)
		head := b.head.Load()
		for m := match(head, broadcast(hash)); m != 0; m &= m - 1 {
			i := position(m)
			p := b.place(i)
			if p.key != key || isDue(head, i) {
				continue
			}
			if t.at(n).head.Load()&headLock != 0 { // (I7) of tiers.go
				return value, false
			}
			if x := b.word(i).Load(); x&policyQuietMask != c.quiet.Load() {
				c.note(b.word(i), x)
			}
			return c.loadValue(p), true
		}
	}
	return value, false
}

// getSlow is Get where tiers are consulted, where the table grows, and where the clock
// decides; and in debug builds. Entered pinned.
func (c *Cache[K, V]) getSlow(w *worker, hash uint64, key K) (value V, ok bool) {
	s, how := c.find(w, hash, key, false)
	if !s.found() {
		w.counts.misses.add(1)
		w.leave()
		return value, false
	}
	if how.due() {
		w.leave()
		return c.getDue(hash, key)
	}
	value = c.loadAt(w, s)
	wake := c.noteHit(w, hash, s, how)
	w.counts.hits.add(1)
	w.leave()
	if wake {
		c.wake()
	}
	return value, true
}

// getDue is Get by the clock. Not pinned.
func (c *Cache[K, V]) getDue(hash uint64, key K) (value V, ok bool) {
	for {
		now := c.now()
		w := c.enter()
		s, how, v := c.findLive(w, hash, key, now)
		if v != lives {
			if v == dead {
				w.counts.misses.add(1)
			}
			w.leave()
			if v == dead {
				return value, false
			}
			c.endLocked(hash, key, now, v)
			continue
		}
		value = c.loadAt(w, s)
		wake := c.noteHit(w, hash, s, how)
		moving := c.idle > 0 && !c.postpone(s, now)
		reload := c.reloadTime > 0 && c.claimReload(s, now)
		w.counts.hits.add(1)
		w.leave()
		if wake {
			c.wake()
		}
		if moving {
			c.postponeLocked(hash, key, now)
		}
		if reload {
			c.reload(hash, key)
		}
		return value, true
	}
}

// postpone moves the deadline of an entry that is read. The section is one that may
// store (qsbr.go), so that the entry is not moved meanwhile; where the index grows, it
// may have been, and false is returned: postponeLocked has to do it.
func (c *Cache[K, V]) postpone(s spot, now int64) bool {
	if !c.settled(s.t) {
		return false
	}
	c.postponeAt(s, now)
	return true
}

// postponeLocked is postpone under the lock of the key's home. Not pinned.
func (c *Cache[K, V]) postponeLocked(hash uint64, key K, now int64) {
	c.underLock(hash, key, func(s spot, resident bool) {
		if resident {
			c.postponeAt(s, now)
		}
	})
}

// postponeAt moves a deadline. Small steps are not worth a write to a line that others
// read.
func (c *Cache[K, V]) postponeAt(s spot, now int64) {
	i := s.index()
	at := s.t.deadlines.at(i)
	if at == nil {
		return
	}
	old, to := at.Load(), after(now, c.idle)
	if limit := readIn(&s.t.limits, i); limit != 0 {
		to = min(to, limit)
	}
	if hasValue(old, now) && to-old >= c.grain {
		at.CompareAndSwap(old, to)
	}
}

// noteHit tells the policy of a hit on a protected entry, and, where there are
// tiers and it was not found in the first, the pass, which promotes. It reports
// whether the daemon must be woken for that.
func (c *Cache[K, V]) noteHit(w *worker, hash uint64, s spot, how manner) (wake bool) {
	c.noteAccess(s.word())
	switch how.tier() {
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

// compareAndSwap is store, if the value is still the one that was read.
func (c *Cache[K, V]) compareAndSwap(n *place[K, V], was *identity[V], value V) bool {
	p := unsafe.Pointer(&n.value)
	switch {
	case c.valueKind == valuePointer && unsafe.Sizeof(value) == unsafe.Sizeof(uintptr(0)):
		return atomic.CompareAndSwapPointer((*unsafe.Pointer)(p), *(*unsafe.Pointer)(unsafe.Pointer(&was.value)), *(*unsafe.Pointer)(unsafe.Pointer(&value)))
	case unsafe.Sizeof(value) == 8:
		return atomic.CompareAndSwapUint64((*uint64)(p), was.word, *(*uint64)(unsafe.Pointer(&value)))
	case unsafe.Sizeof(value) == 4:
		return atomic.CompareAndSwapUint32((*uint32)(p), uint32(was.word), *(*uint32)(unsafe.Pointer(&value)))
	}
	return false
}

// An identity tells the value that was read from every other that its key has had
// since. A word is told by itself: who stores it again makes no difference. Other
// values do not change in their place, so the sighting of their entry tells them.
type identity[V any] struct {
	value V
	word  uint64
	sighting
}

// identify takes the value and the identity of a protected entry.
func (c *Cache[K, V]) identify(s spot) (id identity[V]) {
	n := placeAt[K, V](s)
	id.sighting = sight(s)
	if c.valueKind == valueWord {
		id.word = loadWord(n)
		if unsafe.Sizeof(id.value) == 8 {
			id.value = *(*V)(unsafe.Pointer(&id.word))
		} else if unsafe.Sizeof(id.value) == 4 {
			x := uint32(id.word)
			id.value = *(*V)(unsafe.Pointer(&x))
		}
		return id
	}
	id.value = c.loadValue(n)
	return id
}

func loadWord[K comparable, V any](n *place[K, V]) uint64 {
	if unsafe.Sizeof(n.value) == 8 {
		return atomic.LoadUint64((*uint64)(unsafe.Pointer(&n.value)))
	}
	return uint64(atomic.LoadUint32((*uint32)(unsafe.Pointer(&n.value))))
}

// same reports whether an entry has the value that was read, under its home's lock.
func (c *Cache[K, V]) same(s spot, id *identity[V]) bool {
	switch {
	case c.valueKind == valueWord:
		return loadWord(placeAt[K, V](s)) == id.word
	case c.valueKind == valuePointer && unsafe.Sizeof(id.value) == unsafe.Sizeof(uintptr(0)):
		return atomic.LoadPointer((*unsafe.Pointer)(unsafe.Pointer(&placeAt[K, V](s).value))) == *(*unsafe.Pointer)(unsafe.Pointer(&id.value))
	}
	return id.still(s)
}

// Set gives key a value, for as long as Config.TTL says. The value is visible
// to every goroutine when Set returns; another entry may have been evicted for
// it. Set does not wait for the daemon or for readers, and allocates nothing
// once the cache has grown to its capacity. After Close it does nothing.
//
// A refusal (see Stats.Refusals and G2) removes the older value of the key.
func (c *Cache[K, V]) Set(key K, value V) {
	if c.bare {
		c.setBare(c.hash(key), key, value)
		return
	}
	c.setFor(key, value, 0, false)
}

// SetWithTTL is Set with a time to live of its own, in place of Config.TTL and
// Config.Expiry. The entry is absent for every operation that begins ttl or more after
// SetWithTTL returned; zero means that it does not expire by time since the Set, and
// a negative ttl removes the key. All positive durations are legal.
func (c *Cache[K, V]) SetWithTTL(key K, value V, ttl time.Duration) {
	c.setFor(key, value, ttl, true)
}

// setFor is Set with all that a configuration may ask for.
func (c *Cache[K, V]) setFor(key K, value V, ttl time.Duration, own bool) {
	u := change[K, V]{hash: c.hash(key), key: key, value: value}
	if !c.prepare(&u, ttl, own) {
		c.remove(u.hash, key, &leaving[K, V]{cause: CauseDeleted, now: c.nowIfTimed()})
		return
	}
	c.apply(&u, true)
}

// Delete removes key, and reports whether it had a value that had not expired.
func (c *Cache[K, V]) Delete(key K) bool {
	r := leaving[K, V]{cause: CauseDeleted, now: c.nowIfTimed()}
	return c.remove(c.hash(key), key, &r) && r.cause == CauseDeleted && r.hadValue
}

// nowIfTimed is the clock, or 0 if there has been no deadline.
func (c *Cache[K, V]) nowIfTimed() int64 {
	if c.timed.Load() {
		return c.now()
	}
	return 0
}

// Clear removes every entry. Each key's removal is atomic; the whole is not:
// a Set that runs at the same time takes place before or after the removal of
// its key. It visits every bucket.
func (c *Cache[K, V]) Clear() { c.clearAll() }

// Capacity is the number of entries that the cache holds at most.
func (c *Cache[K, V]) Capacity() int { return int(c.size.Load()) }

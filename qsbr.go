package dualcache

import (
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"
)

// Safe memory reclamation: when a place of the index may be written again.
//
// A place is read without a lock, and written again once it is free. In between
// lies a grace period (QSBR; McKenney & Slingwine 1998; Fraser 2004;
// crossbeam-epoch): the time until every section that was under way when the
// entry's tag was cleared has ended. Grace periods are numbered, a retired place
// carries the number it has to wait for, and whoever wants to write it compares.
// There are no lists: a place is found by the hash of the next key that comes to
// it, which on average is long after.
//
// A section is what lies between enter and leave. It announces not a time but
// the bucket it is about to read, by a plain store made safe by an asymmetric
// fence (Dice et al., "Fast non-intrusive memory reclamation", 2016).
//
//	section                             grace period
//	R1  w.hazard = bucket (plain)       W1  a tag is cleared
//	R2  load the bucket's head          W2  barrier() on every CPU
//	R3  read the places its tags name   W3  look at every worker's hazard
//	R4  w.hazard = 0                    W4  done when those that were set have changed
//
// Proof. Take the reader's CPU at the moment W2 reaches it. If R1 was before, it
// is now visible: W3 waits for the section to end. If R1 is after, so is R2: the
// tag is seen cleared, and the place is not read. Where there is no
// membarrier(2), R1 is an atomic store, which orders it before R2, and W2 is
// nothing.
//
// A section that lasts (its thread stopped, which a library cannot prevent)
// holds up the grace period in progress. But it holds one bucket only, and says
// which. A writer that finds no free place then frees by hand: barrier, and if
// no worker's hazard is the very bucket, its retired places are free; these are
// hazard pointers (Michael, 2004) to buckets. So a stopped reader costs six places
// at most, and reads need no second look at what they have loaded: they are
// wait-free (G4).
//
// What the code refers to:
// (I1) A stamp is taken after the tag was cleared by an atomic store, and names the
// period after the latest that had begun. A period begins by its number, then comes its
// barrier. So the one that is named had its barrier after the tag was cleared. (And the
// writer may take the stamp, although rule 1 of such designs gives it to the pass.)
// (I2) The list of workers is loaded after the barrier: a worker that joins
// later begins its R1 after W1.
// (I3) A barrier that fails begins no grace period and frees nothing.
// (I4) The mode, asymmetric or fenced, is fixed when the cache is made.
// (I5) In the asymmetric mode the tag may be cleared by a plain store: the barrier of the
// period that the stamp names comes after the stamp was taken, or the stamp would be
// later, and so drains the store. In the fenced mode nothing else orders the store
// before the stamp's load.

// A worker is what one P (or, in portable builds, one critical section) has
// for itself. "Owner" is who is between enter and leave with it.
//
//	field               written by        read by           how
//	hazard              owner             graces            publish or Store; Load
//	hits, inserts,      owner             pass              lossyQueue
//	wipes
//	permits             owner; takeBack   owner             plain, inside a section that
//	                                                        has said so (room.go)
//	frozen              takeBack          owner
//	counters            owner             Stats, Len,       counter
//	                                      graces
//	owner               borrower          borrowers         CAS; only if guest
//
// A worker is one allocation whose first and last line it shares with nobody.
type worker struct {
	_ cachePad

	hazard  atomic.Uintptr // the bucket that is read; writerBit: and may be stored to
	counts  workerCounts
	guest   bool // set once: lent by the owner flag
	owner   atomic.Uint32
	permits int         // inserts that this worker may do
	frozen  atomic.Bool // its permits are being taken away (room.go)
	idle    uint32      // pass only: ticks for which a part-filled queue has waited
	waits   int         // meetings with places that wait for a grace period
	warmth  uint64      // of GetMany: nobody reads it, but it is not known to be so
	life    uint32      // debug builds: the life of the place that is read

	hitQueue    lossyQueue // for the tiers
	insertQueue lossyQueue // for the policy
	wipeQueue   lossyQueue // retired places that refer to memory

	_ cachePad
}

// writerBit in a hazard says that the section may store a value in place.
// Buckets are aligned to words.
const writerBit = 1

// A registry knows the workers of one cache.
type registry struct {
	table    atomic.Pointer[*worker]   // the first of tableLen, by P; see pin_runtime.go
	tableLen atomic.Uint64             // stored after table, loaded before it
	all      atomic.Pointer[[]*worker] // every worker there is; grows by copy under mu
	stock    atomic.Int32              // permits that each may keep
	limit    int                       // Ps with a worker of their own
	sizes    workerSizes
	mu       sync.Mutex // guards growth; never held while pinned
}

// workerSizes are the lengths of what a worker owns; they shrink with the
// capacity.
type workerSizes struct {
	hits, inserts, wipes int
	stock, stocks        int // permits of one, and of all together
}

func (r *registry) init(limit int, sizes workerSizes) {
	r.limit, r.sizes = limit, sizes
	r.all.Store(new([]*worker))
}

// add makes a worker. The caller holds mu.
func (r *registry) add(guest bool) *worker {
	w := &worker{guest: guest}
	w.hitQueue.init(r.sizes.hits)
	w.insertQueue.init(r.sizes.inserts)
	w.wipeQueue.init(r.sizes.wipes)
	old := *r.all.Load()
	next := append(old[:len(old):len(old)], w)
	r.stock.Store(int32(min(r.sizes.stock, r.sizes.stocks/len(next))))
	r.all.Store(&next)
	return w
}

// setStock changes what workers may keep of permits.
func (r *registry) setStock(one, all int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sizes.stock, r.sizes.stocks = one, all
	r.stock.Store(int32(min(one, all/max(len(*r.all.Load()), 1))))
}

// protect is R1. The caller then loads the bucket's head (R2).
func (w *worker) protect(b *bucketHead, writer, fenced bool) {
	a := uintptr(unsafe.Pointer(b))
	if writer {
		a |= writerBit
	}
	w.announce(a, fenced)
}

func (w *worker) announce(hazard uintptr, fenced bool) {
	if plainStores && !fenced {
		publishAddress(&w.hazard, hazard)
		return
	}
	if w.hazard.Load() != hazard { // or it is announced, and was before what comes now
		w.hazard.Store(hazard)
	}
}

// checkLife is the detector of the debug builds: a place that a section reads
// has not been given a new life.
func (w *worker) checkLife(s spot) {
	yield(pointReadProtected)
	if s.t.lives[s.index()].Load() != w.life {
		panic("dualcache: a place was written under its reader")
	}
}

// ops changes with every operation that a worker ends.
func (n *workerCounts) ops() uint64 {
	return n.hits.load() + n.misses.load() + n.sets.load() + n.deletes.load()
}

// A grace knows which grace periods have passed.
//
//	field     written by       read by
//	begun     holder of lock   writers, for stamps
//	done      holder of lock   writers, who want to know whether a stamp has passed
//	waiting   holder of lock   holder of lock
type grace struct {
	begun   atomic.Uint32 // the number of the latest period that has begun,
	done    atomic.Uint32 // and of the latest that has ended, which is that, or one less
	lock    atomic.Uint32
	waiting []waiter // for the sections that the period in progress waits for
}

// A waiter is a section that was under way.
type waiter struct {
	w      *worker
	hazard uintptr
	ops    uint64
}

func (x *waiter) left() bool {
	return x.w.hazard.Load() != x.hazard || x.w.counts.ops() != x.ops
}

// stamp is the policy word of a place that is retired now (I1).
func (g *grace) stamp() uint32 { return policyRetired | (g.begun.Load()+1)&stampMask }

// passed reports whether a retired place with this word is free.
func (g *grace) passed(word uint32) bool {
	return int32((g.done.Load()-word)<<(32-stampBits)) >= 0
}

// advance begins a grace period or tries to end the one that has begun, and
// reports whether one ended. It never waits: if it is being done, or a section
// lasts, it is for somebody else to go on. Not pinned.
func (c *Cache[K, V]) advance() bool {
	g := &c.grace
	if g.lock.Load() != 0 || !g.lock.CompareAndSwap(0, 1) {
		return false
	}
	if g.begun.Load() == g.done.Load() && !c.beginGrace(g) {
		g.lock.Store(0)
		return false
	}
	rest := g.waiting[:0]
	for i := range g.waiting {
		if !g.waiting[i].left() {
			rest = append(rest, g.waiting[i])
		}
	}
	g.waiting = rest
	ended := len(rest) == 0
	if ended {
		if debug {
			yield(pointGraceScanned)
		}
		g.done.Add(1)
		c.gracePeriods.Add(1)
	}
	g.lock.Store(0)
	return ended
}

// beginGrace is W2 and W3.
func (c *Cache[K, V]) beginGrace(g *grace) bool {
	g.begun.Add(1)
	if !c.fence() {
		g.begun.Store(g.done.Load())
		return false // (I3)
	}
	if !skipScan() {
		g.waiting = c.workers.sections(g.waiting, ^uintptr(0))
	}
	return true
}

// sections appends the sections under way whose hazard has any of the bits of a mask.
func (r *registry) sections(list []waiter, mask uintptr) []waiter {
	for _, w := range *r.all.Load() {
		x := waiter{w, 0, w.counts.ops()}
		if x.hazard = w.hazard.Load(); x.hazard&mask != 0 {
			list = append(list, x)
		}
	}
	return list
}

// fence is W2.
func (c *Cache[K, V]) fence() bool { return c.fenced || skipBarrier() || barrier() }

// held reports whether a section reads a bucket, other than w's own. After a
// fence: it is then told of all that could read what was retired before.
func (r *registry) held(b *bucketHead, self *worker) bool {
	a := uintptr(unsafe.Pointer(b))
	for _, w := range *r.all.Load() {
		if w != self && w.hazard.Load()&^writerBit == a {
			return true
		}
	}
	return false
}

// stored reports whether a section may be storing in place in a bucket.
func (r *registry) stored(b *bucketHead) bool {
	a := uintptr(unsafe.Pointer(b)) | writerBit
	for _, w := range *r.all.Load() {
		if w.hazard.Load() == a {
			return true
		}
	}
	return false
}

// settleWriters ends stores without a lock for good, and returns when those under way
// have ended. Not pinned.
func (c *Cache[K, V]) settleWriters() {
	c.lockless.Store(false)
	for !c.fence() {
		runtime.Gosched()
	}
	for _, x := range c.workers.sections(nil, writerBit) {
		for !x.left() {
			runtime.Gosched()
		}
	}
}

// freeByHand frees the retired places of a home, and of the buckets up to last steps
// from it, without a grace period, unless somebody reads that bucket. It marks them
// first, as pending under a number of its own; what is still so marked after the barrier
// was retired before. Not pinned.
func (c *Cache[K, V]) freeByHand(t *table, home uint64, last int) {
	pending := c.pending.Add(2)&stampMask | 1
	for d := range last + 1 {
		c.eachRetired(t, t.near(home, d), func(s spot, held bool) {
			if s.word().Load() != policyFree {
				s.word().Store(pending)
			}
		})
	}
	fenced := c.fence()
	for d := range last + 1 {
		c.eachRetired(t, t.near(home, d), func(s spot, held bool) {
			switch {
			case s.word().Load() != pending:
			case held || !fenced:
				s.word().Store(c.grace.stamp())
			default:
				if c.pointers {
					placeAt[K, V](s).wipe()
				}
				s.word().Store(policyFree)
			}
		})
	}
}

// eachRetired calls f with a bucket's places without a tag, under its lock, and with
// whether a section reads the bucket.
func (c *Cache[K, V]) eachRetired(t *table, n uint64, f func(s spot, held bool)) {
	for range supplyYields {
		w := c.enter()
		w.protect(t.at(n), false, true)
		h, ok := t.tryLock(n, lockSpins)
		if ok {
			held := !skipScan() && c.workers.held(h.b, w)
			for m := empty(h.head); m != 0; m &= m - 1 {
				f(spot{t, n, position(m)}, held)
			}
			h.unlock()
		}
		w.leave()
		if ok {
			return
		}
		runtime.Gosched()
	}
}

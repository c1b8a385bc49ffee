package dualcache

import (
	"sync"
	"sync/atomic"
)

// Safe memory reclamation: who may still be reading a node that has left the
// cache.
//
// An arena node is read without a lock, and written again once it has been
// freed. In between lies a grace period. The classic way to one is by epochs
// (QSBR; McKenney & Slingwine 1998, Fraser 2004, crossbeam-epoch): a reader
// announces its epoch, and a node is freed when every reader has been seen
// outside, or past it. One reader that is stopped inside its critical section
// (its thread descheduled, which a library cannot prevent) then holds up all
// reclamation, and memory grows or writers fail.
//
// A lookup needs but one node at a time. So a reader here publishes not the
// time but the node: a hazard (Michael, "Hazard Pointers", 2004), made cheap
// by an asymmetric fence (Dice et al., "Fast non-intrusive memory
// reclamation", 2016; folly's hazptr). A stopped reader holds one node, and no
// grace period ever waits for it.
//
//	reader                              reclaimer
//	R1  s := word.Load()                W1  take the node out of its words
//	R2  w.hazard = s  (plain store)     W2  barrier() on every CPU
//	R3  word.Load() == s, else again    W3  scan every worker's hazard
//	R4  read the node                   W4  free the nodes not found
//	R5  w.hazard = 0
//
// Proof. R2 may sit in the store buffer while R3 is done: that is the only
// reordering of TSO, and the price of a fence there is what the barrier saves.
// Take the reader's CPU at the moment W2 reaches it. If R2 was before, it is
// now visible, and W3 sees it. If R2 is after, so is R3, and W1 was before W2:
// R3 sees the word changed, and the reader does not go on to R4. A word that
// was changed and changed back to s (the node was freed and given out again
// to the same word) names a node that is live at R3, with the hazard published
// before: the reader may have it. Where there is no membarrier(2), R2 is an
// atomic store, which orders it before R3, and W2 is nothing.
//
// R3 may fail without end when writers replace the same entry again and again.
// After hazardRetries failures the reader publishes hazardAll in place of a
// slot: until it leaves, nothing at all is freed, as under read-copy-update,
// and it needs no check. So reads are wait-free (G4).
//
// Roles. Readers: Get, and writers that store a word in place. Writers that
// hold the lock of a key's home bucket need no hazard: nothing leaves the
// bucket without the lock. Reclaimer: whoever runs out of nodes, the pass, and
// the daemon; several may run at once, each on the nodes that it has taken.
//
// What the code refers to:
// (I1) A node is retired once, by whoever took it out of its index word, after
// it is in no index word and no tier (W1 before the push to w.retired).
// (I2) A reclaimer frees only nodes that it took from a retired list before
// its barrier, and loads the list of workers after it (a worker that joins
// later begins its R3 after W1).
// (I3) A barrier that fails is no grace period: everything is put back.
// (I4) The mode, asymmetric or fenced, is fixed when the cache is made.

// hazardAll in a worker's hazard protects every node.
const hazardAll = ^uint32(0)

// hazardRetries bounds the failures of R3 before a reader takes hazardAll.
const hazardRetries = 3

// A worker is what one P (or, in portable builds, one critical section) has
// for itself. "Owner" is who is between enter and leave with it.
//
//	field               written by        read by           how
//	hazard              owner             reclaimers        publish32 or Store; Load
//	retired             owner pushes,     reclaimers        CAS; Swap takes all
//	                    reclaimers take
//	hits, inserts       owner             pass              lossyQueue
//	magazine, spares,   owner             owner             plain, inside the section
//	permits
//	counters            owner             Stats, Len        counter
//	owner               borrower          borrowers         CAS; only if guest
//
// A worker is one allocation whose first and last line it shares with nobody.
type worker struct {
	_ cachePad

	hazard   atomic.Uint32
	guest    bool // set once: lent by the owner flag
	owner    atomic.Uint32
	spares   int    // nodes in magazine
	permits  int    // inserts that this worker may do
	idle     uint32 // pass only: ticks for which a part-filled queue has waited
	magazine []uint32

	hitQueue    lossyQueue
	insertQueue lossyQueue
	retired     atomic.Uint64 // nodeList

	counts workerCounts

	_ cachePad
}

// A registry knows the workers of one cache.
type registry struct {
	table    atomic.Pointer[*worker]   // the first of tableLen, by P; see pin_runtime.go
	tableLen atomic.Uint64             // stored after table, loaded before it
	all      atomic.Pointer[[]*worker] // every worker there is; grows by copy under mu
	limit    int                       // Ps with a worker of their own
	sizes    workerSizes
	mu       sync.Mutex // guards growth; never held while pinned
}

// workerSizes are the lengths of what a worker owns; they shrink with the
// capacity.
type workerSizes struct {
	hits, inserts, magazine, permits int
}

func (r *registry) init(limit int, sizes workerSizes) {
	r.limit, r.sizes = limit, sizes
	r.all.Store(new([]*worker))
}

// add makes a worker. The caller holds mu.
func (r *registry) add(guest bool) *worker {
	w := &worker{guest: guest, magazine: make([]uint32, 2*r.sizes.magazine)}
	w.hitQueue.init(r.sizes.hits)
	w.insertQueue.init(r.sizes.inserts)
	old := *r.all.Load()
	next := append(old[:len(old):len(old)], w)
	r.all.Store(&next)
	return w
}

// protect is R2: it publishes s as the node that w's owner is about to read.
// The caller then checks (R3) that the word it got s from still names it.
func (w *worker) protect(s uint32, fenced bool) {
	if plainStores && !fenced {
		publish32(&w.hazard, s)
		return
	}
	w.hazard.Store(s)
}

// unprotect is R5. A release store: what was read was read before it.
func (w *worker) unprotect() { publish32(&w.hazard, 0) }

// A hazardSet is what a scan found. The bloom word answers nearly every
// question; the list is as long as there are readers at that moment.
type hazardSet struct {
	all   bool
	bloom uint64
	slots []uint32
}

// scan is W3.
func (r *registry) scan(h *hazardSet) {
	h.all, h.bloom, h.slots = false, 0, h.slots[:0]
	for _, w := range *r.all.Load() {
		switch s := w.hazard.Load(); s {
		case 0:
		case hazardAll:
			h.all = true
		default:
			h.bloom |= 1 << (s & 63)
			h.slots = append(h.slots, s)
		}
	}
}

func (h *hazardSet) has(s uint32) bool {
	if h.all {
		return true
	}
	if h.bloom&(1<<(s&63)) == 0 {
		return false
	}
	for _, t := range h.slots {
		if s == t {
			return true
		}
	}
	return false
}

// reclaim frees the retired nodes that no reader protects, and reports how
// many. It may be called by anyone who is not pinned.
func (c *Cache[K, V]) reclaim() int {
	taken := c.takeRetired()
	if taken == 0 {
		return 0
	}
	if !c.fenced && !skipBarrier() && !barrier() {
		c.putBack(taken) // (I3)
		return 0
	}
	var h hazardSet
	if !skipScan() {
		c.workers.scan(&h)
	}
	if debug {
		yield(pointGraceScanned)
	}
	c.gracePeriods.Add(1)
	return c.freeUnprotected(taken, &h)
}

// takeRetired empties every worker's list into one.
func (c *Cache[K, V]) takeRetired() nodeList {
	var taken nodeList
	for _, w := range *c.workers.all.Load() {
		if w.retired.Load() != 0 {
			taken = c.arena.join(nodeList(w.retired.Swap(0)), taken)
		}
	}
	if c.leftover.Load() != 0 {
		taken = c.arena.join(nodeList(c.leftover.Swap(0)), taken)
	}
	return taken
}

// putBack returns nodes to the common retired list.
func (c *Cache[K, V]) putBack(l nodeList) { c.arena.push(&c.leftover, l) }

// freeUnprotected is W4.
func (c *Cache[K, V]) freeUnprotected(taken nodeList, h *hazardSet) int {
	var free, kept nodeList
	for s := taken.head(); s != 0; {
		next := c.arena.link(s).Load()
		if h.has(s) {
			kept = c.arena.prepend(kept, s)
		} else {
			c.clearNode(s)
			free = c.arena.prepend(free, s)
		}
		s = next
	}
	if kept != 0 {
		c.putBack(kept)
	}
	if free != 0 {
		c.arena.release(free)
	}
	return free.len()
}

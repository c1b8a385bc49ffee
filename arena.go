package dualcache

import (
	"reflect"
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/cpu"
)

// The arena: every entry lives in a node, every node in a slab, and a slot
// number names a node. Index, tiers, queues and lists hold slot numbers, never
// pointers, so that the garbage collector sees one object per slab instead of
// one per entry; where K and V hold no pointers it does not look into slabs at
// all.
//
// Slabs are made as entries come, up to the bound, and live as long as the
// cache. Slot 0 names no node. All arithmetic on node addresses is here.
//
// Life of a node:
//
//	fresh ─┐
//	free ──┴─► held ─► live ─► dead ─► retired ─► free
//	        (magazine)   │                 ▲
//	                     └ state: even     └ after a grace period (qsbr.go)
//
//	field    written by                     read by
//	state    under the home bucket's lock   tiers' readers, pass
//	policy   pass while live; the holder    pass, readers (rank), lists
//	         while held; as the link while
//	         dead or free
//	hash     the holder while held          pass, eviction
//	key      the holder while held          protected readers, lock holders
//	value    the holder while held; in      protected readers, lock holders
//	         place while live (write.go)
//
// (I1) A node is written by its holder only, between the magazine and the
// index word that publishes it. Its reclaimer clears it after a grace period.
// (I2) state is odd unless the node is in the index; every death raises the
// generation, so (slot, state) names one life of a node.
// (I3) While a node is in no list, the top bit of policy is set, so a policy
// word never reads as a link: a late compare-and-swap of the pass or a reader
// cannot damage a list.
//
// Free nodes wait in a stack of slot numbers (Treiber, 1986) whose head carries
// a counter against ABA, and in per-worker magazines (Bonwick & Adams, 2001).
// All operations are lock-free.

type cachePad = cpu.CacheLinePad

// nodeHeader is the part of a node that does not depend on K and V.
type nodeHeader struct {
	state  atomic.Uint32
	policy atomic.Uint32
	hash   atomic.Uint64
}

type node[K comparable, V any] struct {
	nodeHeader
	key   K
	value V
}

// State bits. The generation is in the bits above.
const (
	stateDead       = 1 << 0 // not in the index
	stateGeneration = 1 << 1
)

func stateLive(s uint32) bool { return s&stateDead == 0 }

// MaxCapacity is the largest Capacity: slot numbers leave two bits to the
// policy word.
const MaxCapacity = 1 << 29

// slabBytes is about what a slab takes: large enough that slabs are few, small
// enough that a nearly empty cache is small.
const slabBytes = 128 << 10

// chunkBytes is about how much a growing arena allocates at once in the end,
// and hugeWorth the size of a block from which huge pages are worth asking for.
const (
	chunkBytes = 16 << 20
	hugeWorth  = 1 << 20
)

// slabShift is the binary logarithm of the nodes in a slab. It is a constant
// wherever the node's size is.
func slabShift(nodeSize uintptr) uint {
	switch {
	case nodeSize <= slabBytes>>12:
		return 12
	case nodeSize <= slabBytes>>11:
		return 11
	case nodeSize <= slabBytes>>10:
		return 10
	case nodeSize <= slabBytes>>9:
		return 9
	case nodeSize <= slabBytes>>7:
		return 7
	case nodeSize <= slabBytes>>4:
		return 4
	}
	return 0
}

// An arena is the part of the node store that does not depend on K and V.
type arena struct {
	dir      unsafe.Pointer // of the first element of slabs
	shift    uint
	nodeSize uintptr
	total    uint32 // slots there may ever be
	slabs    []unsafe.Pointer
	newSlab  func(nodes int) unsafe.Pointer

	deadlines atomic.Pointer[deadlineTable] // nil until the first deadline

	_    cachePad
	made atomic.Uint32 // slots there are: 1..made
	free atomic.Uint64 // head of the free stack: counter<<32 | slot
	_    cachePad
}

func (a *arena) init(nodeSize uintptr, total int, newSlab func(nodes int) unsafe.Pointer) {
	a.shift, a.nodeSize, a.total, a.newSlab = slabShift(nodeSize), nodeSize, uint32(total), newSlab
	a.slabs = make([]unsafe.Pointer, total>>a.shift+1)
	a.dir = unsafe.Pointer(unsafe.SliceData(a.slabs))
}

// at gives the node of a slot that has been made.
func at[K comparable, V any](a *arena, slot uint32) *node[K, V] {
	const word = unsafe.Sizeof(uintptr(0))
	size := unsafe.Sizeof(node[K, V]{})
	shift := slabShift(size)
	// The directory is fixed in length, and a slot that was handed out is
	// inside it: no bounds check.
	slab := atomic.LoadPointer((*unsafe.Pointer)(unsafe.Add(a.dir, uintptr(slot>>shift)*word)))
	return (*node[K, V])(unsafe.Add(slab, uintptr(slot&(1<<shift-1))*size))
}

// header is at for code that does not know K and V.
func (a *arena) header(slot uint32) *nodeHeader {
	slab := atomic.LoadPointer(&a.slabs[slot>>a.shift])
	return (*nodeHeader)(unsafe.Add(slab, uintptr(slot&(1<<a.shift-1))*a.nodeSize))
}

// link is the word that chains a node that is dead, free or held.
func (a *arena) link(slot uint32) *atomic.Uint32 { return &a.header(slot).policy }

// makeFresh makes up to n new slots while there are no more than limit, and the
// slabs they need. It allocates and is not called pinned.
func (a *arena) makeFresh(n, limit int) nodeList {
	for {
		made := a.made.Load()
		last := min(made+uint32(n), uint32(limit))
		if last <= made {
			return 0
		}
		for i := (made + 1) >> a.shift; i <= last>>a.shift; i++ {
			a.makeSlab(int(i))
		}
		if !a.made.CompareAndSwap(made, last) {
			continue
		}
		var l nodeList
		for s := last; s > made; s-- {
			a.header(s).state.Store(stateDead)
			l = a.prepend(l, s)
		}
		return l
	}
}

// makeSlab makes sure that slab i is there, and with it as many of the
// following as there are already, up to a chunk: large caches get their memory
// in blocks that huge pages can back, small ones do not pay for it.
func (a *arena) makeSlab(i int) {
	if atomic.LoadPointer(&a.slabs[i]) != nil {
		return
	}
	slabNodes := 1 << a.shift
	slabs := min(max(i, 1), max(chunkBytes/int(a.nodeSize)>>a.shift, 1), len(a.slabs)-i)
	nodes := min(slabs<<a.shift, int(a.total)+1-i<<a.shift)
	chunk := a.newSlab(nodes)
	adviseHuge(chunk, uintptr(nodes)*a.nodeSize)
	for j := range slabs {
		slab := unsafe.Add(chunk, uintptr(j*slabNodes)*a.nodeSize)
		atomic.CompareAndSwapPointer(&a.slabs[i+j], nil, slab)
	}
}

// A nodeList is a chain of nodes: length<<32 | first slot; zero is empty.
type nodeList uint64

func (l nodeList) head() uint32 { return uint32(l) }
func (l nodeList) len() int     { return int(l >> 32) }

// prepend puts a node of the caller's before a chain of the caller's.
func (a *arena) prepend(l nodeList, slot uint32) nodeList {
	a.link(slot).Store(l.head())
	return nodeList(uint64(l.len()+1)<<32 | uint64(slot))
}

// last is the end of a chain that is not empty.
func (a *arena) last(l nodeList) uint32 {
	s := l.head()
	for n := l.len(); n > 1; n-- {
		s = a.link(s).Load()
	}
	return s
}

// join chains two lists of the caller's.
func (a *arena) join(first, second nodeList) nodeList {
	if first == 0 || second == 0 {
		return first | second
	}
	a.link(a.last(first)).Store(second.head())
	return nodeList(uint64(first.len()+second.len())<<32 | uint64(first.head()))
}

// push puts a chain on a stack that is only ever taken whole: no ABA.
func (a *arena) push(stack *atomic.Uint64, l nodeList) {
	last := a.last(l)
	for {
		old := stack.Load()
		a.link(last).Store(nodeList(old).head())
		pushed := uint64(l.len()+nodeList(old).len())<<32 | uint64(l.head())
		if stack.CompareAndSwap(old, pushed) {
			return
		}
	}
}

// retire hands a node that is out of the index and the tiers to the
// reclaimers, and reports how many wait there with it.
func (a *arena) retire(w *worker, slot uint32) int {
	if debug && a.link(slot).Load()&policyLive == 0 {
		panic("dualcache: a node is retired that is in a list")
	}
	for {
		old := w.retired.Load()
		a.link(slot).Store(nodeList(old).head())
		l := uint64(nodeList(old).len()+1)<<32 | uint64(slot)
		if w.retired.CompareAndSwap(old, l) {
			return nodeList(l).len()
		}
	}
}

// release puts a chain of clean nodes on the free stack.
func (a *arena) release(l nodeList) {
	last := a.last(l)
	for {
		old := a.free.Load()
		a.link(last).Store(uint32(old))
		if a.free.CompareAndSwap(old, (old>>32+1)<<32|uint64(l.head())) {
			return
		}
	}
}

// take pops up to n nodes from the free stack. It walks links that others may
// pop and overwrite meanwhile: what it reads then may be no slot at all, which
// (I3) and the counter tell.
func (a *arena) take(n int) nodeList {
	for {
		head := a.free.Load()
		first := uint32(head)
		if first == 0 {
			return 0
		}
		count, next := 0, first
		for count < n && next != 0 && next <= a.total {
			next = a.link(next).Load()
			count++
		}
		if next > a.total {
			continue
		}
		if a.free.CompareAndSwap(head, (head>>32+1)<<32|uint64(next)) {
			return nodeList(uint64(count)<<32 | uint64(first))
		}
	}
}

// give puts a clean node into w's magazine, or on the free stack when that is
// full. Pinned.
func (a *arena) give(w *worker, slot uint32) {
	if w.spares < len(w.magazine) {
		w.magazine[w.spares] = slot
		w.spares++
		return
	}
	a.release(a.prepend(0, slot))
}

// giveAll is give for a chain.
func (a *arena) giveAll(w *worker, l nodeList) {
	for n, s := l.len(), l.head(); n > 0; n-- {
		next := a.link(s).Load()
		a.give(w, s)
		s = next
	}
}

// supply finds nodes for a writer that has none: free ones; else what a grace
// period frees; else new ones. When there are none, because a reader has been
// stopped while it held hazardAll, or a reclaimer has with all it had taken,
// the writer yields; then makes nodes of the emergency reserve; and when those
// are used up too, waits a little longer, and gives up: an empty list. It may
// allocate and is not called pinned.
func (c *Cache[K, V]) supply() nodeList {
	n := c.workers.sizes.magazine
	for try := range supplyTries {
		if l := c.arena.take(n); l != 0 {
			return l
		}
		// New nodes are dearer than a grace period once enough wait for one.
		if c.retiredNodes() >= c.reclaimAt && c.reclaim() > 0 {
			continue
		}
		limit := c.nodeLimit
		if try >= supplyYields {
			limit = int(c.arena.total)
		}
		if l := c.arena.makeFresh(n, limit); l != 0 {
			return l
		}
		if c.reclaim() > 0 {
			continue
		}
		if try < supplyYields {
			runtime.Gosched()
		} else {
			time.Sleep(supplyPause)
		}
	}
	return 0
}

const (
	supplyYields = 64
	supplyTries  = supplyYields + 20
	supplyPause  = 100 * time.Microsecond
)

// retiredNodes counts what waits for a grace period.
func (c *Cache[K, V]) retiredNodes() int {
	n := nodeList(c.leftover.Load()).len()
	for _, w := range *c.workers.all.Load() {
		n += nodeList(w.retired.Load()).len()
	}
	return n
}

// clearNode wipes a node that nobody can reach, so that the collector can free
// what its key and value refer to.
func (c *Cache[K, V]) clearNode(slot uint32) {
	n := at[K, V](&c.arena, slot)
	if debug {
		n.hash.Store(poison)
	}
	if c.pointers || debug {
		var key K
		var value V
		n.key, n.value = key, value
	}
}

// poison is the hash of a freed node in debug builds: a reader that meets it
// holds a node that was freed under it.
const poison = 0xdeadbeefdeadbeef

// hasPointers reports whether values of type t refer to memory.
func hasPointers(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr,
		reflect.Float32, reflect.Float64, reflect.Complex64, reflect.Complex128:
		return false
	case reflect.Array:
		return t.Len() > 0 && hasPointers(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if hasPointers(t.Field(i).Type) {
				return true
			}
		}
		return false
	}
	return true
}

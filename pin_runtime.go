//go:build !race && !noprocpin && (amd64 || arm64)

package dualcache

import (
	"runtime"
	"sync/atomic"
	"unsafe"
)

// This is the only file that reaches into the Go runtime. runtime.procPin
// keeps the calling goroutine on its P until procUnpin: no other goroutine of
// that P runs meanwhile, so whatever belongs to the P's worker is the caller's
// alone. sync.Pool and sync/atomic's Value rest on the same pair. It must stay
// a real call: the compiler then keeps no value of a previous section in a
// register.
//
// Nothing may block, call user code, allocate or enter the kernel while pinned.

//go:linkname procPin runtime.procPin
func procPin() int

//go:linkname procUnpin runtime.procUnpin
func procUnpin()

// plainStores: on amd64 a plain store is a release store, and the compiler
// keeps it in program order with sync/atomic operations, which is all that
// publish32 and publish64 promise. On arm64 they are atomic stores (STLR).
const plainStores = runtime.GOARCH == "amd64"

// pin keeps the goroutine on its P until leave.
func pin() int { return procPin() }

// worker gives the worker of the P that the caller is pinned to, or nil when
// it has none: the caller then calls enterSlow, still pinned.
func (r *registry) worker(p int) *worker {
	if n, t := r.tableLen.Load(), r.table.Load(); uint64(p) < n {
		// grow stores the longer table before its length: t[p] is inside it.
		const word = unsafe.Sizeof(uintptr(0))
		return (*worker)(atomic.LoadPointer((*unsafe.Pointer)(unsafe.Add(unsafe.Pointer(t), uintptr(p)*word))))
	}
	return nil
}

// leave ends the critical section (R4). What was read was read before: a plain
// store is a release store here.
func (w *worker) leave() {
	publishAddress(&w.hazard, 0)
	publish32(&w.owner, 0) // of a guest; it means nothing to the others
	procUnpin()
}

// enterSlow finds a worker for a P that has none: it makes one, or lends a
// guest where the P is beyond the configured number. It is entered pinned and
// returns pinned, but unpins in between.
func (r *registry) enterSlow() *worker {
	for {
		procUnpin()
		r.grow()
		p := procPin()
		if p >= r.limit {
			procUnpin()
			return r.borrow()
		}
		if w := r.worker(p); w != nil {
			return w
		}
	}
}

// grow makes the table long enough for the Ps there are, up to the limit, and
// gives the current P its worker. Workers never move, and tables only grow: a
// section that still runs on an older table finds the same workers in it.
func (r *registry) grow() {
	p := procPin()
	procUnpin()
	if p >= r.limit {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	have := int(r.tableLen.Load())
	n := min(max(runtime.GOMAXPROCS(0), have, p+1), r.limit)
	slots := unsafe.Slice(r.table.Load(), have)
	if n > have {
		t := make([]*worker, n)
		copy(t, slots)
		r.table.Store(unsafe.SliceData(t))
		r.tableLen.Store(uint64(n))
		slots = t
	}
	slot := (*unsafe.Pointer)(unsafe.Pointer(&slots[p]))
	if atomic.LoadPointer(slot) == nil {
		atomic.StorePointer(slot, unsafe.Pointer(r.add(false)))
	}
}

// borrow lends a guest worker: pinned, and held by its owner flag. One is made
// when all are lent; there are at most as many as Ps without a worker.
func (r *registry) borrow() *worker {
	for {
		procPin()
		for _, w := range *r.all.Load() {
			if w.guest && w.owner.Load() == 0 && w.owner.CompareAndSwap(0, 1) {
				return w
			}
		}
		procUnpin()
		r.mu.Lock()
		r.add(true)
		r.mu.Unlock()
	}
}

// publish32 stores v such that whoever loads it also sees every earlier store
// of this goroutine (a release store). It is no fence: a later load may be
// done before it.
func publish32(p *atomic.Uint32, v uint32) {
	if plainStores {
		// atomic.Uint32 is a uint32 with methods; a plain MOV is a release
		// store under TSO and saves the XCHG of Store.
		*(*uint32)(unsafe.Pointer(p)) = v
		return
	}
	p.Store(v)
}

// publishAddress is publish32 for addresses.
func publishAddress(p *atomic.Uintptr, v uintptr) {
	if plainStores {
		*(*uintptr)(unsafe.Pointer(p)) = v
		return
	}
	p.Store(v)
}

// publish64 is publish32 for 64-bit words.
func publish64(p *atomic.Uint64, v uint64) {
	if plainStores {
		*(*uint64)(unsafe.Pointer(p)) = v
		return
	}
	p.Store(v)
}

// publish64i is publish32 for signed words.
func publish64i(p *atomic.Int64, v int64) {
	if plainStores {
		*(*int64)(unsafe.Pointer(p)) = v
		return
	}
	p.Store(v)
}

// A counter is written by its worker's owner alone, read by anyone.
type counter uint64

// Whoever sees it counted sees the operation done (qsbr.go): a release store.
func (c *counter) add(n uint64) {
	if plainStores {
		*c += counter(n)
		return
	}
	atomic.StoreUint64((*uint64)(c), uint64(*c)+n)
}

func (c *counter) load() uint64 { return atomic.LoadUint64((*uint64)(c)) }

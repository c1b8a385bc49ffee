//go:build race || noprocpin || !(amd64 || arm64)

package dualcache

import "sync/atomic"

// The portable pin: a critical section takes any worker that is free, by
// compare-and-swap on its owner flag, and gives it back at the end. All else
// is as with the runtime's pin, except that a goroutine may be descheduled
// inside a section, and so there may be more workers than Ps: as many as there
// ever were goroutines inside a section at one time. Everything is atomic, so
// that the race detector sees the whole protocol.

const plainStores = false

// pin has nothing to do where workers are lent.
func pin() int { return 0 }

// worker takes a free worker, or gives nil when all are lent: the caller then
// calls enterSlow.
func (r *registry) worker(int) *worker {
	for _, w := range *r.all.Load() {
		if w.owner.Load() == 0 && w.owner.CompareAndSwap(0, 1) {
			return w
		}
	}
	return nil
}

// leave ends the critical section (R4).
func (w *worker) leave() {
	w.hazard.Store(0)
	w.owner.Store(0)
}

// enterSlow makes a worker when all are lent.
func (r *registry) enterSlow() *worker {
	for {
		r.mu.Lock()
		r.add(true)
		r.mu.Unlock()
		if w := r.worker(0); w != nil {
			return w
		}
	}
}

// publish32 stores v such that whoever loads it also sees every earlier store
// of this goroutine (a release store).
func publish32(p *atomic.Uint32, v uint32) { p.Store(v) }

// publishAddress is publish32 for addresses.
func publishAddress(p *atomic.Uintptr, v uintptr) { p.Store(v) }

// publish64 is publish32 for 64-bit words.
func publish64(p *atomic.Uint64, v uint64) { p.Store(v) }

// publish64i is publish32 for signed words.
func publish64i(p *atomic.Int64, v int64) { p.Store(v) }

// A counter is written by its worker's owner alone, read by anyone.
type counter struct{ v atomic.Uint64 }

func (c *counter) add(n uint64) { c.v.Store(c.v.Load() + n) }

func (c *counter) load() uint64 { return c.v.Load() }

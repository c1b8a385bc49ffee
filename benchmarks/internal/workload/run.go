// There are three ways to run a load. Count performs a given number of
// operations, which is what a Go benchmark asks for. Slice runs for a given
// time, which is what comparing implementations turn by turn asks for. Both
// use as many workers as there are Ps and touch shared memory or the clock
// once per batch only. Crowd is Slice for any number of goroutines, which give
// way to each other as those of a server do.
package workload

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dualcache-ff/dualcache/benchmarks/internal/histogram"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/peers"
)

// A step performs a batch of operations.
type step func(part []uint32) peers.Tally

// Count performs n operations and returns what they saw.
func (l *Load) Count(c peers.Cache, n int) peers.Tally {
	return l.countSteps(n, func(int) step {
		return func(part []uint32) peers.Tally { return l.Step(c, part) }
	})
}

// CountTail performs n operations, timing each, and adds the times to h.
func (l *Load) CountTail(c peers.Cache, n int, h *histogram.Histogram) peers.Tally {
	own := make([]histogram.Histogram, runtime.GOMAXPROCS(0))
	tally := l.countSteps(n, func(worker int) step {
		return func(part []uint32) peers.Tally { return c.Tail(part, &own[worker]) }
	})
	merge(h, own)
	return tally
}

// countSteps performs n operations by steps that workers take from a common
// counter, so that no worker finishes long before another.
func (l *Load) countSteps(n int, steps func(worker int) step) peers.Tally {
	var next atomic.Int64
	return parallel(func(worker, workers int) peers.Tally {
		var tally peers.Tally
		do := steps(worker)
		for at := l.Start(worker, workers, 0); ; at += Batch {
			left := n - int(next.Add(Batch)-Batch)
			if left <= 0 {
				return tally
			}
			tally.Add(do(l.Part(at, min(left, Batch))))
		}
	})
}

// Slice performs operations for about the given time, from the given offset in
// the stream, and returns the nanoseconds per operation and what was seen. The
// reciprocal is the throughput of all workers together, as in a parallel Go
// benchmark. An eighth of the time is added before the clock starts, to bring
// the cache's memory and goroutines back.
func (l *Load) Slice(c peers.Cache, d time.Duration, offset int) (float64, peers.Tally) {
	return l.sliceSteps(d, offset, func(int) step {
		return func(part []uint32) peers.Tally { return l.Step(c, part) }
	})
}

// SliceTail is Slice, timing every operation into h.
func (l *Load) SliceTail(c peers.Cache, d time.Duration, offset int, h *histogram.Histogram) (float64, peers.Tally) {
	own := make([]histogram.Histogram, runtime.GOMAXPROCS(0))
	ns, tally := l.sliceSteps(d, offset, func(worker int) step {
		return func(part []uint32) peers.Tally { return c.Tail(part, &own[worker]) }
	})
	merge(h, own)
	return ns, tally
}

// sliceSteps runs steps for a lead-in that is discarded and then for d.
func (l *Load) sliceSteps(d time.Duration, offset int, steps func(worker int) step) (float64, peers.Tally) {
	speeds := make([]float64, runtime.GOMAXPROCS(0))
	tally := parallel(func(worker, workers int) peers.Tally {
		do := steps(worker)
		at := l.Start(worker, workers, offset)
		lead := l.until(d/8, at, do)
		timed := l.until(d, at+lead.ops, do)
		speeds[worker] = float64(timed.ops) / float64(timed.elapsed.Nanoseconds())
		return timed.tally
	})
	total := 0.0
	for _, speed := range speeds {
		total += speed
	}
	return 1 / total, tally
}

// crowdBatch is the number of operations after which a goroutine of a crowd
// gives way. A request of a server makes about as many before it waits for
// something.
const crowdBatch = 64

// The phases of a crowd.
const (
	leadIn int32 = iota
	timed
	over
)

// Crowd is Slice for so many goroutines, each of which yields after every few
// operations.
func (l *Load) Crowd(c peers.Cache, d time.Duration, offset, goroutines int) (float64, peers.Tally) {
	var phase atomic.Int32
	var ops atomic.Int64
	var total peers.Tally
	var mu sync.Mutex // Guards total.
	var group sync.WaitGroup
	member := func(at int) {
		defer group.Done()
		var tally peers.Tally
		n := 0
		for now := phase.Load(); now != over; now = phase.Load() {
			seen := l.Step(c, l.few(at))
			if now == timed {
				n += crowdBatch
				tally.Add(seen)
			}
			at += crowdBatch
			runtime.Gosched()
		}
		ops.Add(int64(n))
		mu.Lock()
		total.Add(tally)
		mu.Unlock()
	}
	group.Add(goroutines)
	for i := range goroutines {
		go member(offset + i*(len(l.ids)/goroutines))
	}
	time.Sleep(d / 8)
	start := time.Now()
	phase.Store(timed)
	time.Sleep(d)
	phase.Store(over)
	elapsed := time.Since(start)
	group.Wait()
	return float64(elapsed.Nanoseconds()) / float64(max(ops.Load(), 1)), total
}

// few returns the keys of one step of a crowd.
func (l *Load) few(at int) []uint32 {
	at &= len(l.ids) - crowdBatch
	return l.ids[at:][:crowdBatch]
}

// A stretch is what one worker did without interruption.
type stretch struct {
	ops     int
	elapsed time.Duration
	tally   peers.Tally
}

// until performs steps until d has passed.
func (l *Load) until(d time.Duration, at int, do step) stretch {
	var s stretch
	for start := time.Now(); s.elapsed < d; s.elapsed = time.Since(start) {
		s.tally.Add(do(l.Part(at+s.ops, Batch)))
		s.ops += Batch
	}
	return s
}

// parallel runs work once per P, at the same time, and adds up the tallies.
func parallel(work func(worker, workers int) peers.Tally) peers.Tally {
	workers := runtime.GOMAXPROCS(0)
	tallies := make([]peers.Tally, workers)
	var group sync.WaitGroup
	group.Add(workers)
	for worker := range workers {
		go func() {
			defer group.Done()
			tallies[worker] = work(worker, workers)
		}()
	}
	group.Wait()
	var total peers.Tally
	for _, tally := range tallies {
		total.Add(tally)
	}
	return total
}

// merge adds the histograms of the workers to h.
func merge(h *histogram.Histogram, own []histogram.Histogram) {
	for i := range own {
		h.Merge(&own[i])
	}
}

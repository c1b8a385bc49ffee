// Package paced performs operations at times that are fixed in advance.
//
// A loop that sends its next operation when the last one has returned waits
// while the cache does, and so leaves out the operations that a stall would have
// delayed: coordinated omission (Gil Tene, "How NOT to Measure Latency", 2013).
// Here arrivals do not care. Each goroutine has a list of them; one that is due
// is served at once, one that is overdue too, and its latency runs from when it
// was due to when it is done. So waiting counts:
//
//	(I1) the latency of an operation is its completion minus its scheduled
//	     arrival, never minus its actual beginning;
//	(I2) every scheduled arrival is counted exactly once, those that were not
//	     served before the end with what they had waited until then.
//
// The gaps between arrivals are exponential, as of many independent users, from
// a fixed seed: everyone meets the same arrivals. A goroutine with nothing to do
// looks at the clock again and again, and lets others run in between. A timer
// would be late by more than what is measured.
package paced

import (
	"math/rand/v2"
	"runtime"
	"time"

	"github.com/dualcache-ff/dualcache/benchmarks/internal/histogram"
)

// A Clock tells the time in nanoseconds.
type Clock interface {
	Now() int64
	// Wait lets others run for a moment.
	Wait()
}

// Wall is the clock of the machine, from its making on.
type Wall struct{ start time.Time }

// NewWall returns a clock that begins at zero.
func NewWall() Wall { return Wall{time.Now()} }

// Now implements Clock.
func (w Wall) Now() int64 { return int64(time.Since(w.start)) }

// Wait implements Clock.
func (Wall) Wait() { runtime.Gosched() }

// Arrivals returns the times, from zero up to d, of arrivals at so many a
// second.
func Arrivals(rate float64, d time.Duration, seed uint64) []int64 {
	random := rand.New(rand.NewPCG(seed, 1))
	gap := float64(time.Second) / rate
	times := make([]int64, 0, int(rate*d.Seconds()*1.01)+16)
	for at := gap * random.ExpFloat64(); at < float64(d); at += gap * random.ExpFloat64() {
		times = append(times, int64(at))
	}
	return times
}

// Serve performs op for each arrival, counted from start, and adds the latencies
// to h. At the end it gives up, and returns how many arrivals it had not served.
func Serve(clock Clock, start, end int64, arrivals []int64, op func(i int), h *histogram.Histogram) (unserved int) {
	now := clock.Now()
	for i, at := range arrivals {
		due := start + at
		for now < due {
			clock.Wait()
			now = clock.Now()
		}
		if now >= end {
			for _, at := range arrivals[i:] {
				h.Add(end - (start + at))
			}
			return len(arrivals) - i
		}
		op(i)
		now = clock.Now()
		h.Add(now - due)
	}
	return 0
}

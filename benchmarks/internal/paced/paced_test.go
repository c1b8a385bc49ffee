// The tests run on a clock of their own, so that a stall is exactly as long as
// it should be, whatever the machine does.
package paced

import (
	"math"
	"testing"
	"time"

	"github.com/dualcache-ff/dualcache/benchmarks/internal/histogram"
)

// A fakeClock moves only when it is waited for, or by what is served.
type fakeClock struct{ now int64 }

func (c *fakeClock) Now() int64 { return c.now }
func (c *fakeClock) Wait()      { c.now += 20 }

const (
	gap     = 10_000     // Between arrivals, in ns.
	service = 100        // What an operation takes.
	stall   = 10_000_000 // What one of them takes.
	total   = 100_000
	stalled = total / 2
)

// even returns arrivals at equal distances.
func even() []int64 {
	times := make([]int64, total)
	for i := range times {
		times[i] = int64(i) * gap
	}
	return times
}

// A cache that stalls once delays all that arrive meanwhile. Each of them must
// be seen to have waited.
func TestWaitingCounts(t *testing.T) {
	clock := new(fakeClock)
	var h, closed histogram.Histogram
	op := func(i int) {
		start := clock.now
		clock.now += service
		if i == stalled {
			clock.now += stall
		}
		closed.Add(clock.now - start)
	}
	if unserved := Serve(clock, 0, math.MaxInt64, even(), op, &h); unserved != 0 || h.Count() != total {
		t.Fatalf("%d counted, %d unserved", h.Count(), unserved)
	}
	if h.Max() < stall || h.Max() > stall+service+100 {
		t.Errorf("the longest took %d ns, want %d", h.Max(), stall+service)
	}
	// 1000 arrive during the stall, and their waits go down from 10 ms to none:
	// one operation in a hundred waited, half of them 5 ms and more.
	if got := h.Quantile(0.98); got > 2*gap {
		t.Errorf("the 98th percentile is %d ns, want none of the stall", got)
	}
	if got := h.Quantile(0.995); got < 4_500_000 || got > 5_500_000 {
		t.Errorf("the 99.5th percentile is %d ns, want about half of the stall", got)
	}
	// The same operations, timed one by one: what this package is there to avoid.
	if got := closed.Quantile(0.9999); got > 2*service {
		t.Errorf("the control shows the stall at its 99.99th percentile: %d ns", got)
	}
}

func TestOverload(t *testing.T) {
	clock := new(fakeClock)
	var h histogram.Histogram
	served := 0
	op := func(int) {
		served++
		clock.now += 4 * gap
	}
	const end = total * gap
	unserved := Serve(clock, 0, end, even(), op, &h)
	if served+unserved != total || h.Count() != total {
		t.Errorf("%d served, %d not, %d counted, want %d in all", served, unserved, h.Count(), total)
	}
	if want := total / 4; served != want {
		t.Errorf("%d served, want %d", served, want)
	}
	if got := h.Quantile(0.5); got < end/4 {
		t.Errorf("half waited %d ns at most, at four times the load that can be served", got)
	}
}

func TestIdleWaits(t *testing.T) {
	clock := &fakeClock{now: 500}
	var h histogram.Histogram
	var began []int64
	Serve(clock, 1000, math.MaxInt64, []int64{0, 300}, func(int) { began = append(began, clock.now) }, &h)
	if len(began) != 2 || began[0] != 1000 || began[1] != 1300 {
		t.Errorf("began at %v, want 1000 and 1300", began)
	}
}

func TestArrivals(t *testing.T) {
	const rate, d = 100_000.0, 2 * time.Second
	times := Arrivals(rate, d, 7)
	if want := rate * d.Seconds(); math.Abs(float64(len(times))-want) > 0.02*want {
		t.Errorf("%d arrivals, want about %.0f", len(times), want)
	}
	var mean, square float64
	for i, at := range times[1:] {
		if at < times[i] || at >= int64(d) {
			t.Fatalf("arrival %d at %d after %d", i+1, at, times[i])
		}
		x := float64(at - times[i])
		mean += x
		square += x * x
	}
	n := float64(len(times) - 1)
	mean /= n
	// Exponential gaps deviate by as much as their mean.
	if deviation := math.Sqrt(square/n - mean*mean); math.Abs(deviation/mean-1) > 0.02 {
		t.Errorf("gaps of %.0f ns deviate by %.0f", mean, deviation)
	}
	if again := Arrivals(rate, d, 7); len(again) != len(times) || again[100] != times[100] {
		t.Error("the same seed gives other arrivals")
	}
}

func TestWallMoves(t *testing.T) {
	w := NewWall()
	a := w.Now()
	w.Wait()
	if b := w.Now(); a < 0 || b < a {
		t.Errorf("the clock shows %d, then %d", a, b)
	}
}

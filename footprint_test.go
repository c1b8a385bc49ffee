package dualcache

import (
	"runtime"
	"testing"
)

// Guards the cost of an entry, and trap 16: a small cache is small. Fails if
// queues or magazines stop shrinking with the capacity.
func TestFootprintLimits(t *testing.T) {
	if debug {
		t.Skip("debug builds lend workers")
	}
	if got, n := fullCache(Config[uint64, uint64]{Capacity: 1_000_000}); got > 56*int64(n) {
		t.Errorf("1M entries take %.1f bytes each, want at most 56", float64(got)/float64(n))
	}
	if got, _ := fullCache(Config[uint64, uint64]{Capacity: 100}); got > 24<<10 {
		t.Errorf("a full cache of 100 takes %d bytes, want at most %d", got, 24<<10)
	}
}

func testFootprint[V any](t *testing.T, capacity int) {
	t.Helper()
	want := footprint[uint64, V](capacity, runtime.GOMAXPROCS(0), false)
	slack := want / 10
	if capacity <= 10_000 {
		slack = want / 4
	}
	if got, _ := fullCache(Config[uint64, V]{Capacity: capacity}); got > want+slack || got < want-want/10 {
		var v V
		t.Errorf("%T, capacity %d: %d bytes, footprint says %d", v, capacity, got, want)
	}
}

// Guards footprint against the heap, within a tenth; within a quarter for small
// caches, whose last slab has room for the emergency reserve, which footprint
// leaves out. Fails if a term of footprint goes.
func TestFootprint(t *testing.T) {
	if debug {
		t.Skip("debug builds lend workers")
	}
	for _, capacity := range []int{1000, 10_000, 100_000, 500_000} {
		testFootprint[uint64](t, capacity)
		testFootprint[string](t, capacity)
	}
	testFootprint[[100]byte](t, 30_000)
}

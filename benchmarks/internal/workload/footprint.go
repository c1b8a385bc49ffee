// What a cache costs while nobody uses it: the heap it keeps alive and the
// time it adds to a garbage collection. Both are taken with one cache alive at
// a time, and the heap as the difference of two readings after collections, so
// only what the cache itself holds is counted. Memory off the heap and stacks
// of goroutines are not.
package workload

import (
	"runtime"
	"time"

	"github.com/dualcache-ff/dualcache/benchmarks/internal/keys"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/peers"
)

// Million is the capacity at which footprints are taken.
const Million = 1_000_000

// A Footprint is the live heap of a cache and the entries found in it.
type Footprint struct {
	Bytes, Objects, Entries float64
}

// Measure returns the footprint of one full cache of the given capacity,
// averaged over several of them. One of them is made and dropped beforehand, so
// that what a program allocates but once is not charged to the cache.
func Measure(peer peers.Peer, capacity, caches int) Footprint {
	Filled(peer, capacity).Close()
	bytes, objects := Live()
	list := make([]peers.Cache, caches)
	for i := range list {
		list[i] = Filled(peer, capacity)
	}
	bytesNow, objectsNow := Live()
	n := float64(caches)
	f := Footprint{
		Bytes:   (bytesNow - bytes) / n,
		Objects: (objectsNow - objects) / n,
		Entries: float64(residents(list, capacity)) / n,
	}
	for _, c := range list {
		c.Close()
	}
	return f
}

// Filled returns a cache with capacity uint64 keys stored in it.
func Filled(peer peers.Peer, capacity int) peers.Cache {
	c := peer.Ints(capacity)
	Fill(c, capacity)
	return c
}

// residents counts the entries found in the caches.
func residents(list []peers.Cache, capacity int) int {
	found := 0
	for _, c := range list {
		found += c.Get(keys.All(capacity)).Hits
	}
	return found
}

// Live returns the bytes and objects alive after collecting everything else.
// Pools take two collections to empty; goroutines of a closed cache may take a
// moment to end.
func Live() (bytes, objects float64) {
	runtime.GC()
	time.Sleep(10 * time.Millisecond)
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return float64(stats.HeapAlloc), float64(stats.HeapObjects)
}

// Collect returns the duration of n forced collections, one by one.
func Collect(n int) []float64 {
	runtime.GC()
	times := make([]float64, n)
	for i := range times {
		start := time.Now()
		runtime.GC()
		times[i] = float64(time.Since(start).Nanoseconds())
	}
	return times
}

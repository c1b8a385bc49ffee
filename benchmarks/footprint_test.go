// What a cache costs at rest: the time it adds to a garbage collection, its
// heap per entry when large and its whole heap when small.
package benchmarks

import (
	"fmt"
	"runtime"
	"slices"
	"testing"

	"github.com/dualcache-ff/dualcache/benchmarks/internal/peers"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/workload"
)

// small is the capacity of a cache that ought to cost next to nothing.
const small = 100

// BenchmarkGC forces collections while a cache of a million uint64 entries is
// alive; ns/op is the time of one.
func BenchmarkGC(b *testing.B) {
	for _, peer := range counted() {
		var c peers.Cache
		b.Run(atRest(peer, workload.Million), func(b *testing.B) {
			if c == nil {
				c = workload.Filled(peer, workload.Million)
				runtime.GC()
			}
			b.ResetTimer()
			for range b.N {
				runtime.GC()
			}
		})
		if c != nil {
			c.Close()
		}
	}
}

// BenchmarkHeap reports the live heap per entry of a cache of a million uint64
// entries.
func BenchmarkHeap(b *testing.B) {
	footprint(b, workload.Million, 1, func(b *testing.B, f workload.Footprint) {
		b.ReportMetric(f.Bytes/f.Entries, "B/entry")
		b.ReportMetric(f.Objects/f.Entries, "objects/entry")
	})
}

// BenchmarkSmall reports the whole live heap of a cache of a hundred entries.
func BenchmarkSmall(b *testing.B) {
	footprint(b, small, 32, func(b *testing.B, f workload.Footprint) {
		b.ReportMetric(f.Bytes, "B")
		b.ReportMetric(f.Objects, "objects")
	})
}

// footprint measures full caches b.N times and reports their mean. The time it
// takes means nothing and is left out.
func footprint(b *testing.B, capacity, caches int, report func(*testing.B, workload.Footprint)) {
	for _, peer := range counted() {
		b.Run(atRest(peer, capacity), func(b *testing.B) {
			var sum workload.Footprint
			for range b.N {
				f := workload.Measure(peer, capacity, caches)
				sum.Bytes += f.Bytes / float64(b.N)
				sum.Objects += f.Objects / float64(b.N)
				sum.Entries += f.Entries / float64(b.N)
			}
			b.ReportMetric(0, "ns/op")
			report(b, sum)
		})
	}
}

// counted returns the implementations that take uint64 keys.
func counted() []peers.Peer {
	return slices.DeleteFunc(slices.Clone(peers.All), func(p peers.Peer) bool { return p.Ints == nil })
}

// atRest returns the keys and values of a sub-benchmark without a load.
func atRest(peer peers.Peer, capacity int) string {
	return fmt.Sprintf("impl=%s/key=uint64/cap=%d", peer.Name, capacity)
}

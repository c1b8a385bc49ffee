// Throughput. Each benchmark is a set of sub-benchmarks named by keys and
// values, made to be pivoted by benchstat (-col /impl). Implementations are
// innermost in order, so those to be compared run next to each other. A cache
// is built and warmed when its sub-benchmark first runs and kept for its
// repetitions; workers are as many as -cpu says.
package benchmarks

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/dualcache-ff/dualcache/benchmarks/internal/histogram"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/peers"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/workload"
)

// BenchmarkGet reads keys that are all resident.
func BenchmarkGet(b *testing.B) {
	throughput(b, workload.Gets())
}

// BenchmarkSet overwrites keys that are all resident.
func BenchmarkSet(b *testing.B) {
	throughput(b, workload.Sets())
}

// BenchmarkMixed reads and writes at random eight times as many keys as there
// is room for.
func BenchmarkMixed(b *testing.B) {
	throughput(b, workload.Mixes())
}

// BenchmarkChurn reads ten times as many keys as there is room for and writes
// those it misses.
func BenchmarkChurn(b *testing.B) {
	throughput(b, workload.Churns())
}

// BenchmarkTail times every single operation of a mixed load, on two Ps
// whatever -cpu says.
func BenchmarkTail(b *testing.B) {
	each(b, workload.Tails(), func(b *testing.B, f *fixture) {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
		var h histogram.Histogram
		c := f.cache()
		b.ResetTimer()
		f.load.CountTail(c, b.N, &h)
		b.StopTimer()
		reportQuantiles(b, &h)
	})
}

// throughput runs the workloads on every implementation.
func throughput(b *testing.B, list []workload.Workload) {
	each(b, list, func(b *testing.B, f *fixture) {
		c := f.cache()
		b.ResetTimer()
		tally := f.load.Count(c, b.N)
		b.StopTimer()
		if tally.Gets > 0 {
			b.ReportMetric(tally.HitRatio(), "hit%")
		} else {
			b.ReportMetric(100*float64(f.load.Held(c))/float64(f.work.Universe), "held%")
		}
	})
}

// each runs a sub-benchmark for every workload and implementation.
func each(b *testing.B, list []workload.Workload, run func(*testing.B, *fixture)) {
	for _, w := range list {
		f := fixture{work: w}
		for _, f.peer = range peers.All {
			if w.Excludes(f.peer) != "" {
				continue
			}
			b.Run(name(w, f.peer), func(b *testing.B) { run(b, &f) })
			f.close()
		}
	}
}

// name returns the keys and values that tell a sub-benchmark from the others.
func name(w workload.Workload, peer peers.Peer) string {
	s := fmt.Sprintf("impl=%s/dist=zipf1.01/key=%s/cap=%d", peer.Name, w.Key, w.Capacity)
	if w.Universe != w.Capacity {
		s += fmt.Sprintf("/keys=%d", w.Universe)
	}
	if w.Op == workload.Mixed {
		s += fmt.Sprintf("/reads=%d", w.Reads)
	}
	return s
}

// A fixture keeps the stream of a workload and one cache warmed with it, made
// on demand: the function of a sub-benchmark is called many times.
type fixture struct {
	work  workload.Workload
	peer  peers.Peer
	load  *workload.Load
	warm  peers.Cache
	procs int // Caches may be laid out for a number of Ps.
}

// cache returns the warm cache of the implementation in turn.
func (f *fixture) cache() peers.Cache {
	if f.load == nil {
		f.load = f.work.Load()
	}
	if procs := runtime.GOMAXPROCS(0); f.procs != procs {
		f.close()
		f.procs = procs
	}
	if f.warm == nil {
		f.warm = f.load.Build(f.peer)
		runtime.GC()
	}
	return f.warm
}

// close drops the cache but keeps the stream.
func (f *fixture) close() {
	if f.warm != nil {
		f.warm.Close()
		f.warm = nil
	}
}

// reportQuantiles reports the tail of h.
func reportQuantiles(b *testing.B, h *histogram.Histogram) {
	b.ReportMetric(float64(h.Quantile(0.50)), "p50-ns")
	b.ReportMetric(float64(h.Quantile(0.99)), "p99-ns")
	b.ReportMetric(float64(h.Quantile(0.999)), "p99.9-ns")
	b.ReportMetric(float64(h.Quantile(0.9999)), "p99.99-ns")
}

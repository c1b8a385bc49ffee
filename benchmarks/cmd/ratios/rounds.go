// The measurements taken in turns: throughput and tail.
package main

import (
	"math/rand/v2"
	"runtime"

	"github.com/dualcache-ff/dualcache/benchmarks/internal/histogram"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/peers"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/workload"
)

// A result collects what one implementation did.
type result struct {
	name  string
	ns    []float64 // By round.
	held  int       // Keys resident after the last round.
	tally peers.Tally
	times histogram.Histogram
}

// newResults returns an empty result for every implementation.
func (o *options) newResults() []result {
	results := make([]result, len(o.peers))
	for i, peer := range o.peers {
		results[i].name = peer.Name
	}
	return results
}

// throughput reports the speed of a workload for every number of Ps.
func (o *options) throughput(w workload.Workload, t *table) {
	if w.Resident() {
		w.Capacity += w.Universe / 100 * o.room
	}
	l := w.Load()
	for _, procs := range o.procs {
		results := o.newResults()
		o.turns(l, procs, results, func(i int, c peers.Cache, offset int) {
			ns, tally := l.Slice(c, o.slice, offset)
			results[i].ns = append(results[i].ns, ns)
			results[i].tally.Add(tally)
		})
		t.speeds(w, procs, results)
	}
}

// tail reports the latencies of a workload on two Ps.
func (o *options) tail(w workload.Workload, t *table) {
	const procs = 2
	l := w.Load()
	results := o.newResults()
	o.turns(l, procs, results, func(i int, c peers.Cache, offset int) {
		l.SliceTail(c, o.slice, offset, &results[i].times)
	})
	t.quantiles(w.Name, procs, results)
}

// turns builds all implementations and calls slice for each of them in every
// round. All of a round start at the same place of the stream, chosen anew for
// the next.
func (o *options) turns(l *workload.Load, procs int, results []result, slice func(i int, c peers.Cache, offset int)) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
	for range o.builds {
		caches := o.build(l)
		runtime.GC()
		for range o.rounds {
			offset := rand.IntN(1 << 30)
			for _, i := range rand.Perm(len(caches)) {
				if o.collect {
					runtime.GC()
				}
				slice(i, caches[i], offset)
				caches[i].Settle()
			}
		}
		for i, c := range caches {
			results[i].held = l.Held(c)
			c.Close()
		}
	}
}

// build makes and warms a cache of every implementation.
func (o *options) build(l *workload.Load) []peers.Cache {
	caches := make([]peers.Cache, len(o.peers))
	for _, i := range rand.Perm(len(caches)) {
		caches[i] = l.Build(o.peers[i])
	}
	return caches
}

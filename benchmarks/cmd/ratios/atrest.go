// The measurements of caches at rest, one alive at a time.
package main

import (
	"runtime"
	"slices"

	"github.com/dualcache-ff/dualcache/benchmarks/internal/peers"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/turns"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/workload"
)

// smallCaches is the number of small caches measured together, to be well
// above the size of a page.
const smallCaches = 32

// collections reports the time of a forced collection with a million entries
// alive.
func (o *options) collections(t *table) {
	procs := slices.Max(o.procs)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
	var results []turns.Result
	for _, peer := range o.counted("gc", t) {
		r := turns.Result{Name: peer.Name}
		for range o.builds {
			c := workload.Filled(peer, workload.Million)
			r.NS = append(r.NS, workload.Collect(o.rounds)...)
			c.Close()
		}
		results = append(results, r)
	}
	for i := range results {
		for at, ns := range results[i].NS {
			results[i].Ratios = append(results[i].Ratios, ns/results[0].NS[at])
		}
	}
	t.costs("gc", procs, "ms/collection", 1e6, results)
}

// counted returns the implementations that can be filled with uint64 keys, and
// prints which of those selected cannot.
func (o *options) counted(name string, t *table) []peers.Peer {
	return o.able(workload.Workload{Name: name, Shape: peers.Shape{Key: "uint64", Value: 8}}, t)
}

// heap reports the live bytes per entry at a million entries.
func (o *options) heap(t *table) {
	t.footprints("heap", "B/entry", o.footprints("heap", workload.Million, 1, t), true)
}

// small reports the live bytes of a cache of a hundred entries.
func (o *options) small(t *table) {
	t.footprints("small", "B", o.footprints("small", 100, smallCaches, t), false)
}

// A footprint is that of the named implementation.
type footprint struct {
	name string
	workload.Footprint
}

// footprints measures every implementation.
func (o *options) footprints(name string, capacity, caches int, t *table) []footprint {
	var list []footprint
	for _, peer := range o.counted(name, t) {
		list = append(list, footprint{peer.Name, workload.Measure(peer, capacity, caches)})
	}
	return list
}

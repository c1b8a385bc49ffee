// The measurements of caches at rest, one alive at a time.
package main

import (
	"runtime"
	"slices"

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
	results := o.newResults()
	for range o.builds {
		for i, peer := range o.peers {
			c := workload.Filled(peer, workload.Million)
			results[i].ns = append(results[i].ns, workload.Collect(o.rounds)...)
			c.Close()
		}
	}
	t.costs("gc", procs, "ms/collection", 1e6, results)
}

// heap reports the live bytes per entry at a million entries.
func (o *options) heap(t *table) {
	t.footprints("heap", "B/entry", o.footprints(workload.Million, 1), true)
}

// small reports the live bytes of a cache of a hundred entries.
func (o *options) small(t *table) {
	t.footprints("small", "B", o.footprints(100, smallCaches), false)
}

// A footprint is that of the named implementation.
type footprint struct {
	name string
	workload.Footprint
}

// footprints measures every implementation.
func (o *options) footprints(capacity, caches int) []footprint {
	list := make([]footprint, len(o.peers))
	for i, peer := range o.peers {
		list[i] = footprint{peer.Name, workload.Measure(peer, capacity, caches)}
	}
	return list
}

// The measurements taken in turns: throughput and tail.
package main

import (
	"fmt"

	"github.com/dualcache-ff/dualcache/benchmarks/internal/histogram"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/peers"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/turns"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/workload"
)

// schedule returns how turns are taken.
func (o *options) schedule() turns.Schedule {
	return turns.Schedule{Rounds: o.rounds, Builds: o.builds, Slice: o.slice, Collect: o.collect}
}

// able returns the implementations that have a part in a workload, and prints
// which of those selected have none.
func (o *options) able(w workload.Workload, t *table) []peers.Peer {
	var list []peers.Peer
	for _, peer := range o.peers {
		if reason := w.Excludes(peer); reason != "" {
			t.row(fmt.Sprintf("# %s: without %s: %s", w.Name, peer.Name, reason))
			continue
		}
		list = append(list, peer)
	}
	return list
}

// throughput reports the speed of a workload for every number of Ps.
func (o *options) throughput(w workload.Workload, t *table) {
	list := o.able(w, t)
	if len(list) == 0 {
		return
	}
	if w.Resident() {
		w.Capacity += w.Universe / 100 * o.room
	}
	l := w.Load()
	for _, procs := range o.procs {
		t.speeds(w, procs, o.schedule().Throughput(l, list, procs, []turns.Way{0})[0])
	}
}

// latencies are those of one implementation.
type latencies struct {
	name  string
	times histogram.Histogram
}

// tail reports the latencies of a workload on two Ps.
func (o *options) tail(w workload.Workload, t *table) {
	const procs = 2
	list := o.able(w, t)
	if len(list) == 0 {
		return
	}
	l := w.Load()
	results := make([]latencies, len(list))
	for i, peer := range list {
		results[i].name = peer.Name
	}
	o.schedule().Take(l, list, procs, func(turn turns.Turn, c peers.Cache) {
		l.SliceTail(c, o.slice, turn.Offset, &results[turn.Index].times)
	}, func(int, peers.Cache) {})
	t.quantiles(w.Name, procs, results)
}

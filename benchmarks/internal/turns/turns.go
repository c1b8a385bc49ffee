// Package turns runs implementations slice after slice in one process.
//
// On a machine with other tenants, figures taken a minute apart tell little
// about each other. So all implementations are built and warmed, and then take
// turns of some tens of milliseconds, in shuffled order, for a number of
// rounds. A round gives one ratio for each implementation, of speeds a fraction
// of a second apart: a slow minute slows both sides, a disturbed slice spoils
// one round.
//
// Where all of them together take too much memory, they are split into groups.
// The first of the list, against which the others are held, is in every group,
// built anew, so that ratios are still of slices next to each other.
package turns

import (
	"math/rand/v2"
	"runtime"
	"time"

	"github.com/dualcache-ff/dualcache/benchmarks/internal/peers"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/workload"
)

// A Schedule says how turns are taken. Rounds, Builds and Slice must be
// positive.
type Schedule struct {
	Rounds  int
	Builds  int           // Times to build the caches anew, with all rounds each.
	Slice   time.Duration // The length of a turn.
	Collect bool          // Force a collection before every turn.
	Memory  int64         // What caches alive together may take, 0 for no limit.
}

// A Turn says which implementation of the list is to run, in which round of
// all, and from where in the stream.
type Turn struct {
	Index, Round, Offset int
}

// Take builds the caches and calls slice for each of them in every round. All
// of a round start at the same place of the stream, chosen anew for the next.
// Deferred work is completed after each turn, outside its time. At the end of a
// build, last is called for every cache, and it is closed.
func (s Schedule) Take(l *workload.Load, list []peers.Peer, procs int,
	slice func(Turn, peers.Cache), last func(i int, c peers.Cache)) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
	round := 0
	for range s.Builds {
		for _, group := range s.groups(l.Workload, len(list)) {
			caches := build(l, list, group)
			for range s.Rounds {
				s.round(caches, group, round, slice)
				round++
			}
			for _, i := range group {
				last(i, caches[i])
				caches[i].Close()
			}
		}
	}
}

// build makes and warms the caches of a group.
func build(l *workload.Load, list []peers.Peer, group []int) map[int]peers.Cache {
	caches := make(map[int]peers.Cache, len(group))
	for _, at := range rand.Perm(len(group)) {
		i := group[at]
		caches[i] = l.Build(list[i])
	}
	runtime.GC()
	return caches
}

// round lets each of a group take a turn.
func (s Schedule) round(caches map[int]peers.Cache, group []int, number int, slice func(Turn, peers.Cache)) {
	offset := rand.IntN(1 << 30)
	for _, at := range rand.Perm(len(group)) {
		i := group[at]
		if s.Collect {
			runtime.GC()
		}
		slice(Turn{Index: i, Round: number, Offset: offset}, caches[i])
		caches[i].Settle()
	}
}

// perEntry is what an entry of a cache takes, generously, besides its value.
const perEntry = 250

// groups returns the indices below n, split so that each group stays within
// the memory. The first index is in all of them.
func (s Schedule) groups(w workload.Workload, n int) [][]int {
	others := n
	if s.Memory > 0 {
		each := int64(w.Capacity) * int64(perEntry+w.Value)
		others = int(min(max(s.Memory/each-1, 1), int64(n)))
	}
	groups := [][]int{{0}}
	for i := 1; i < n; i++ {
		last := len(groups) - 1
		if len(groups[last]) > others {
			groups = append(groups, []int{0})
			last++
		}
		groups[last] = append(groups[last], i)
	}
	return groups
}

// Built returns how many caches are built for n implementations: the first of
// them once for each group.
func (s Schedule) Built(w workload.Workload, n int) int {
	return s.Builds * (n + len(s.groups(w, n)) - 1)
}

// A Result is what one implementation did, by round.
type Result struct {
	Name   string
	NS     []float64 // Wall time over the operations of all workers.
	Ratios []float64 // NS over that of the first implementation in the same round.
	Held   int       // Keys resident after the last round.
	Tally  peers.Tally
	rounds []int // The rounds that NS is of.
}

// A Way is a number of goroutines, 0 for one on each P that does not yield.
type Way int

// Throughput measures the speed of a load on so many Ps, in several ways that
// share the caches. The results are by way and by implementation.
func (s Schedule) Throughput(l *workload.Load, list []peers.Peer, procs int, ways []Way) [][]Result {
	results := make([][]Result, len(ways))
	for w := range ways {
		results[w] = make([]Result, len(list))
		for i, peer := range list {
			results[w][i].Name = peer.Name
		}
	}
	slice := func(t Turn, c peers.Cache) {
		for w, way := range ways {
			ns, tally := run(l, c, s.Slice, t.Offset, way)
			r := &results[w][t.Index]
			r.NS = append(r.NS, ns)
			r.rounds = append(r.rounds, t.Round)
			r.Tally.Add(tally)
		}
	}
	s.Take(l, list, procs, slice, func(i int, c peers.Cache) {
		held := l.Held(c)
		for w := range ways {
			results[w][i].Held = held
		}
	})
	for w := range ways {
		pair(results[w])
	}
	return results
}

// run runs one turn.
func run(l *workload.Load, c peers.Cache, d time.Duration, offset int, way Way) (float64, peers.Tally) {
	if way == 0 {
		return l.Slice(c, d, offset)
	}
	return l.Crowd(c, d, offset, int(way))
}

// pair holds every speed against that of the first implementation in the same
// round.
func pair(results []Result) {
	first := make(map[int]float64)
	for at, round := range results[0].rounds {
		first[round] = results[0].NS[at]
	}
	for i := range results {
		r := &results[i]
		for at, round := range r.rounds {
			r.Ratios = append(r.Ratios, r.NS[at]/first[round])
		}
	}
}

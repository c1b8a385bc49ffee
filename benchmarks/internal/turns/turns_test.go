package turns

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/dualcache-ff/dualcache/benchmarks/internal/peers"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/workload"
)

// tiny is a load quick to build.
func tiny() *workload.Load {
	return workload.Workload{
		Name: "tiny", Op: workload.Churn, Shape: peers.Shape{Key: "uint64", Value: 8},
		Capacity: 1000, Universe: 4000, Draws: 1 << 14,
	}.Load()
}

func TestGroupsStayWithinMemory(t *testing.T) {
	w := workload.Workload{Capacity: 1000, Shape: peers.Shape{Key: "uint64", Value: 50}}
	const each = 300 * 1000
	for _, c := range []struct {
		memory int64
		want   string
	}{
		{0, "[[0 1 2 3 4]]"},
		{10 * each, "[[0 1 2 3 4]]"},
		{3 * each, "[[0 1 2] [0 3 4]]"},
		{2 * each, "[[0 1] [0 2] [0 3] [0 4]]"},
		{1, "[[0 1] [0 2] [0 3] [0 4]]"},
	} {
		if got := fmt.Sprint(Schedule{Memory: c.memory}.groups(w, 5)); got != c.want {
			t.Errorf("%d bytes: %s, want %s", c.memory, got, c.want)
		}
	}
	if got := (Schedule{Builds: 2, Memory: 2 * each}).Built(w, 5); got != 16 {
		t.Errorf("%d caches are built twice in four groups of two, want 16", got)
	}
	if got := fmt.Sprint(Schedule{Memory: 1}.groups(w, 1)); got != "[[0]]" {
		t.Errorf("one alone: %s", got)
	}
}

func TestPairIsByRound(t *testing.T) {
	results := []Result{
		{NS: []float64{10, 20, 40, 5}, rounds: []int{0, 1, 2, 3}},
		{NS: []float64{20, 60}, rounds: []int{0, 1}},
		{NS: []float64{20, 5}, rounds: []int{2, 3}},
	}
	pair(results)
	for i, want := range [][]float64{{1, 1, 1, 1}, {2, 3}, {0.5, 1}} {
		if !slices.Equal(results[i].Ratios, want) {
			t.Errorf("ratios of %d: %v, want %v", i, results[i].Ratios, want)
		}
	}
}

// Every implementation runs once a round, all of a round from the same place,
// also when they are split into groups.
func TestTakeIsFair(t *testing.T) {
	l := tiny()
	for _, memory := range []int64{0, 1} {
		s := Schedule{Rounds: 3, Builds: 2, Memory: memory}
		offsets := make(map[int]int)
		turns := make(map[[2]int]int)
		ended := make([]int, 3)
		s.Take(l, peers.All[:3], 1, func(turn Turn, c peers.Cache) {
			if at, ok := offsets[turn.Round]; ok && at != turn.Offset {
				t.Errorf("round %d starts at %d and at %d", turn.Round, at, turn.Offset)
			}
			offsets[turn.Round] = turn.Offset
			turns[[2]int{turn.Index, turn.Round}]++
		}, func(i int, c peers.Cache) { ended[i]++ })
		groups := 1
		if memory > 0 {
			groups = 2
		}
		if want := 3 * 2 * groups; len(offsets) != want {
			t.Errorf("%d rounds, want %d", len(offsets), want)
		}
		for round := range offsets {
			if n := turns[[2]int{0, round}]; n != 1 {
				t.Errorf("the first has %d turns in round %d", n, round)
			}
		}
		if want := []int{2 * groups, 2, 2}; !slices.Equal(ended, want) {
			t.Errorf("caches ended: %v, want %v", ended, want)
		}
	}
}

func TestThroughput(t *testing.T) {
	s := Schedule{Rounds: 3, Builds: 1, Slice: time.Millisecond, Memory: 1}
	results := s.Throughput(tiny(), peers.All[:3], 2, []Way{0, 5})
	for way, list := range results {
		for i, r := range list {
			want := 3
			if i == 0 {
				want = 6 // Two groups.
			}
			if len(r.NS) != want || len(r.Ratios) != want || slices.Min(r.NS) <= 0 {
				t.Errorf("way %d: %+v", way, r)
			}
			if r.Tally.Gets == 0 || r.Held == 0 || r.Name != peers.All[i].Name {
				t.Errorf("way %d: %+v", way, r)
			}
		}
	}
}

// Package start measures what it takes to build a cache.
//
// Building is the constructor alone, by capacity: its time, the live heap that
// an empty cache has, and the goroutines that it starts. Filling is storing as
// many entries as there is room for into a new cache, one goroutine, with all
// that grows and moves meanwhile. Some caches take their memory at once, others
// as entries come; the two together are fair. Caches take turns, in shuffled
// order, with a collection before each, and the figures are medians. Keys are
// strings, which all caches take.
package start

import (
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strconv"
	"time"

	"github.com/dualcache-ff/dualcache/benchmarks/internal/chart"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/keys"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/peers"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/report"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/stats"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/suite"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/workload"
)

// Command measures building.
var Command = suite.Command{
	Name:    "start",
	Columns: columns,
	Jobs:    jobs,
	Show:    show,
	Figures: figures,
}

// columns of the results.
var columns = []string{"capacity", "cache", "build_us", "heap_bytes", "goroutines", "fill_ns_per_entry", "rounds"}

// scale is how large caches are.
type scale struct {
	sizes  []int
	filled int // Larger caches are built and not filled.
	rounds int
}

var (
	full  = scale{sizes: []int{100, 1000, 10_000, 100_000, 1_000_000, 10_000_000}, filled: 1_000_000, rounds: 3}
	quick = scale{sizes: []int{100, 10_000}, filled: 10_000, rounds: 2}
)

func jobs(o *suite.Options) ([]suite.Job, error) {
	s := full
	if o.Quick {
		s = quick
	}
	if o.Rounds > 0 {
		s.rounds = o.Rounds
	}
	var list []suite.Job
	for _, size := range s.sizes {
		each := 30*time.Millisecond + time.Duration(size)*10*time.Nanosecond
		if size <= s.filled {
			each += time.Duration(size) * 1000 * time.Nanosecond
		}
		list = append(list, suite.Job{
			Name:   fmt.Sprintf("capacity=%s", workload.Short(size)),
			Expect: time.Duration(len(o.Peers)*s.rounds) * each,
			Run: func(t *report.Table) error {
				s.measure(o.Peers, size, t)
				return nil
			},
		})
	}
	return list, nil
}

// A result is what building a cache took, by round.
type result struct {
	build, heap, goroutines, fill []float64
}

// measure adds a row for every cache.
func (s scale) measure(list []peers.Peer, size int, t *report.Table) {
	var names []string
	if size <= s.filled {
		names = keys.Strings(size)
	}
	results := make([]result, len(list))
	for range s.rounds {
		for _, i := range rand.Perm(len(list)) {
			results[i].add(list[i], size, names)
		}
	}
	for i, peer := range list {
		r := &results[i]
		var fill any = ""
		if names != nil {
			fill = stats.Median(r.fill)
		}
		t.Add(size, peer.Name, stats.Median(r.build)/1000, stats.Median(r.heap), stats.Median(r.goroutines), fill, s.rounds)
	}
}

// together is the capacity of caches that are measured together: one small one
// is well below the accuracy of a reading.
const together = 10_000

// add builds a cache, or several small ones at once, and fills one if there are
// names.
func (r *result) add(peer peers.Peer, size int, names []string) {
	caches := make([]peers.Cache, max(together/size, 1))
	heap, _ := workload.Live() // Goroutines of caches before have ended by then.
	goroutines := float64(runtime.NumGoroutine())
	start := time.Now()
	for i := range caches {
		caches[i] = peer.Strings(size, names)
	}
	n := float64(len(caches))
	r.build = append(r.build, float64(time.Since(start).Nanoseconds())/n)
	heapNow, _ := workload.Live()
	r.goroutines = append(r.goroutines, (float64(runtime.NumGoroutine())-goroutines)/n)
	r.heap = append(r.heap, max(heapNow-heap, 0)/n)
	if names != nil {
		start := time.Now()
		workload.Fill(caches[0], size)
		r.fill = append(r.fill, float64(time.Since(start).Nanoseconds())/float64(size))
	}
	for _, c := range caches {
		c.Close()
	}
}

// show prints the table, shortened.
func show(t *report.Table, w io.Writer) {
	t.Rounded(3, 2).Print(w)
	fmt.Fprintln(w, "\nbuild: the constructor; heap and goroutines: of an empty cache; fill: string keys up to the capacity")
}

// figures returns one chart over the capacity.
func figures(t *report.Table) []chart.Figure {
	if len(t.Rows) == 0 {
		return nil
	}
	f := chart.Figure{Name: "start", Title: "Building a cache; less is better", Columns: 3}
	for _, p := range []struct {
		column, title, unit string
		least               float64 // What is less is drawn as this: there is no zero.
	}{
		{"build_us", "time to build", "µs", 0.01},
		{"heap_bytes", "heap of an empty cache", "bytes", 16},
		{"fill_ns_per_entry", "time to fill, per entry", "ns", 1},
	} {
		f.Panels = append(f.Panels, panel(t, p.column, p.title, p.unit, p.least))
	}
	return []chart.Figure{f}
}

func panel(t *report.Table, column, title, unit string, least float64) chart.Panel {
	p := chart.Panel{Title: title, X: "capacity", Y: unit, LogX: true, LogY: true}
	for _, capacity := range t.Values("capacity") {
		x, _ := strconv.Atoi(capacity)
		p.Ticks = append(p.Ticks, chart.Tick{At: float64(x), Label: workload.Short(x)})
	}
	for _, cache := range t.Values("cache") {
		rows := t.Where("cache", cache)
		line := chart.Line{Name: cache}
		for i := range rows.Rows {
			x, _ := rows.Number(i, "capacity")
			if y, ok := rows.Number(i, column); ok {
				line.Points = append(line.Points, chart.Point{X: x, Y: max(y, least)})
			}
		}
		if len(line.Points) > 0 {
			p.Lines = append(p.Lines, line)
		}
	}
	return p
}

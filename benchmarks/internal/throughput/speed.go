package throughput

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/dualcache-ff/dualcache/benchmarks/internal/chart"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/report"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/suite"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/turns"
)

// Speed is the command that goes through kinds of load: six workloads with
// uint64 and string keys on one P and on all, then values of three sizes,
// caches of all sizes, and numbers of goroutines.
var Speed = suite.Command{
	Name:    "speed",
	Columns: columns,
	Jobs:    speedJobs,
	Show:    show,
	Figures: speedFigures,
}

// The parts of speed.
const (
	byWork       = "workloads"
	byValue      = "values"
	byEntries    = "entries"
	byGoroutines = "goroutines"
)

// alone is one goroutine on each P.
var alone = []turns.Way{0}

func speedJobs(o *suite.Options) ([]suite.Job, error) {
	s := scaleOf(o)
	procs := suite.Procs()
	most := procs[len(procs)-1]
	var points []point
	for _, key := range []string{"uint64", "string"} {
		for _, name := range all {
			for _, p := range procs {
				points = append(points, point{byWork, s.load(name, key, 8, s.base), p, alone})
			}
		}
	}
	for _, name := range []string{read, write, aside} {
		for _, bytes := range []int{8, 64, 256} {
			points = append(points, point{byValue, s.load(name, "uint64", bytes, s.base), most, alone})
		}
	}
	for _, entries := range s.sizes {
		points = append(points, point{byEntries, s.load(read, "uint64", 8, entries), most, alone})
	}
	for _, name := range []string{read, aside} {
		points = append(points, point{byGoroutines, s.load(name, "uint64", 8, s.base), most, s.crowds})
	}
	var jobs []suite.Job
	for _, p := range points {
		jobs = append(jobs, s.job(o, p))
	}
	return jobs, nil
}

func speedFigures(t *report.Table) []chart.Figure {
	figures := []chart.Figure{}
	work := t.Where("part", byWork)
	for _, key := range work.Values("key") {
		figures = append(figures, workBars(work.Where("key", key), key))
	}
	return drawn(append(figures,
		curves(t, "speed-values", byValue, "value_bytes", "Speed over the size of values", "bytes of a value", true),
		curves(t, "speed-entries", byEntries, "entries", "Speed over the size of the cache, all keys resident", "entries", true),
		curves(t, "speed-goroutines", byGoroutines, "goroutines", "Speed over the number of goroutines", "goroutines", true))...)
}

// workBars returns a figure with a panel of bars for each workload, on as many
// Ps as there are.
func workBars(t *report.Table, key string) chart.Figure {
	procs := t.Values("procs")
	most := slices.MaxFunc(procs, func(a, b string) int {
		x, _ := strconv.Atoi(a)
		y, _ := strconv.Atoi(b)
		return x - y
	})
	f := chart.Figure{
		Name:    "speed-" + key,
		Title:   fmt.Sprintf("Million operations per second, %s keys, GOMAXPROCS=%s", key, most),
		Columns: 3,
	}
	t = t.Where("procs", most)
	for _, work := range t.Values("workload") {
		p := chart.Panel{Title: work}
		rows := t.Where("workload", work)
		for i := range rows.Rows {
			p.Bars = append(p.Bars, bar(rows, i))
		}
		f.Panels = append(f.Panels, p)
	}
	return f
}

func bar(t *report.Table, row int) chart.Bar {
	mops, _ := t.Number(row, "mops")
	return chart.Bar{Name: t.Text(row, "cache"), Value: mops, Label: report.Digits(mops, 3)}
}

package throughput

import (
	"runtime"

	"github.com/dualcache-ff/dualcache/benchmarks/internal/chart"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/report"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/suite"
)

// Scaling is the command that goes through numbers of Ps, and through sizes of
// caches that evict.
var Scaling = suite.Command{
	Name:    "scaling",
	Columns: columns,
	Jobs:    scalingJobs,
	Show:    show,
	Figures: scalingFigures,
}

// byProcs is the part of scaling that byEntries is not.
const byProcs = "procs"

func scalingJobs(o *suite.Options) ([]suite.Job, error) {
	s := scaleOf(o)
	var jobs []suite.Job
	for _, name := range []string{read, mixed, write, aside} {
		for _, procs := range doublings(runtime.NumCPU()) {
			jobs = append(jobs, s.job(o, point{byProcs, s.load(name, "uint64", 8, s.base), procs, alone}))
		}
	}
	for _, name := range []string{mixed, aside} {
		for _, entries := range s.sizes {
			if entries <= s.most {
				w := s.load(name, "uint64", 8, entries)
				jobs = append(jobs, s.job(o, point{byEntries, w, runtime.NumCPU(), alone}))
			}
		}
	}
	return jobs, nil
}

// doublings returns the powers of two below n, and n.
func doublings(n int) []int {
	var list []int
	for p := 1; p < n; p *= 2 {
		list = append(list, p)
	}
	return append(list, n)
}

func scalingFigures(t *report.Table) []chart.Figure {
	return drawn(
		curves(t, "scaling-procs", byProcs, "procs", "Speed over the number of Ps", "GOMAXPROCS", false),
		curves(t, "scaling-entries", byEntries, "entries", "Speed over the size of the cache, with evictions", "entries", true))
}

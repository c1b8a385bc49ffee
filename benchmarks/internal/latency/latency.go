// Package latency measures how long operations take that arrive at a fixed rate.
//
// Arrivals are fixed in advance (package paced) and their latency includes the
// wait for what came before, so that a pause of the cache, of the collector on
// its behalf, or of its background work, delays everything that arrives
// meanwhile and is seen at its full weight.
//
// Every cache has a process of its own, because the heap of the others would
// change how often the collector runs. The processes take turns for some rounds.
// Reported are medians over the rounds of each percentile, so that one disturbed
// round does no harm. A cache called nothing does nothing: it shows what the
// machine, the scheduler and the clock are good for, and no difference smaller
// than its figures means anything.
package latency

import (
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/dualcache-ff/dualcache/benchmarks/internal/chart"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/child"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/histogram"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/paced"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/peers"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/report"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/stats"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/suite"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/workload"
)

// Command measures latencies.
var Command = suite.Command{
	Name:    "latency",
	Columns: columns,
	Jobs:    jobs,
	Show:    show,
	Figures: figures,
}

// columns of the results. A percentile of 100 is the largest latency, and
// unserved are the arrivals that the end of a round came before.
var columns = []string{"workload", "key", "entries", "rate", "procs", "cache", "percentile", "ns", "ns_least", "ns_most", "arrivals", "unserved", "rounds"}

// percentiles that are reported.
var percentiles = []float64{50, 75, 90, 95, 99, 99.5, 99.9, 99.95, 99.99, 100}

// nothing is the name of the cache that does nothing.
const nothing = "nothing"

// A stream is a workload at a rate.
type stream struct {
	work workload.Workload
	rate float64 // Arrivals a second, of all goroutines together.
}

// scale is how large the loads are, and how long a round is.
type scale struct {
	entries, draws, rounds int
	duration               time.Duration
	rates                  []float64
}

var (
	full  = scale{entries: 100_000, draws: 1 << 20, rounds: 3, duration: 2 * time.Second, rates: []float64{100_000, 1_000_000}}
	quick = scale{entries: 2000, draws: 1 << 14, rounds: 1, duration: 50 * time.Millisecond, rates: []float64{100_000}}
)

// streams returns what is measured: reads of resident keys at the highest rate,
// and cache-aside, with ten times as many keys as there is room for.
func (s scale) streams() []stream {
	read := workload.Workload{
		Name: "read", Op: workload.Get, Shape: peers.Shape{Key: "uint64", Value: 8},
		Capacity: s.entries, Universe: s.entries, Draws: s.draws, Full: true,
	}
	aside := workload.Workload{
		Name: "cache-aside", Op: workload.Churn, Shape: peers.Shape{Key: "uint64", Value: 8},
		Capacity: s.entries, Universe: 10 * s.entries, Draws: s.draws, Full: true,
	}
	strings := aside
	strings.Key = "string"
	most := s.rates[len(s.rates)-1]
	list := []stream{{read, most}}
	for _, rate := range s.rates {
		list = append(list, stream{aside, rate})
	}
	return append(list, stream{strings, most})
}

func jobs(o *suite.Options) ([]suite.Job, error) {
	s := full
	if o.Quick {
		s = quick
	}
	if o.Rounds > 0 {
		s.rounds = o.Rounds
	}
	var list []suite.Job
	for _, stream := range s.streams() {
		names := []string{}
		for _, peer := range o.Peers {
			if stream.work.Excludes(peer) == "" {
				names = append(names, peer.Name)
			}
		}
		names = append(names, nothing)
		warm := time.Duration(s.entries+s.draws)*300*time.Nanosecond + 300*time.Millisecond
		list = append(list, suite.Job{
			Name:   fmt.Sprintf("%s/%s/rate=%s", stream.work.Name, stream.work.Key, workload.Short(int(stream.rate))),
			Expect: time.Duration(s.rounds*len(names)) * (s.duration + warm),
			Run:    func(t *report.Table) error { return s.measure(stream, names, t) },
		})
	}
	return list, nil
}

// measure lets every cache have its rounds, in shuffled order, and adds rows.
func (s scale) measure(what stream, names []string, t *report.Table) error {
	rounds := make([][]result, len(names))
	procs := runtime.NumCPU()
	for round := range s.rounds {
		for _, i := range rand.Perm(len(names)) {
			r, err := serve.Run(order{
				Cache: names[i], Work: what.work, Rate: what.rate,
				Duration: s.duration, Procs: procs, Seed: uint64(round),
			})
			if err != nil {
				return fmt.Errorf("%s: %w", names[i], err)
			}
			rounds[i] = append(rounds[i], r)
		}
	}
	for i, name := range names {
		addRows(t, what, procs, name, rounds[i])
	}
	return nil
}

// addRows adds a row for each percentile.
func addRows(t *report.Table, what stream, procs int, name string, rounds []result) {
	var arrivals, unserved int
	for _, r := range rounds {
		arrivals += r.Arrivals
		unserved += r.Unserved
	}
	for at, percentile := range percentiles {
		var ns []float64
		for _, r := range rounds {
			ns = append(ns, r.NS[at])
		}
		t.Add(what.work.Name, what.work.Key, what.work.Capacity, int(what.rate), procs, name, percentile,
			stats.Median(ns), stats.Quantile(ns, 0), stats.Quantile(ns, 1), arrivals, unserved, len(rounds))
	}
}

// An order is what a child is to measure.
type order struct {
	Cache    string
	Work     workload.Workload
	Rate     float64
	Duration time.Duration
	Procs    int
	Seed     uint64
}

// A result is that of a round: the latency of each percentile.
type result struct {
	NS                 []float64
	Arrivals, Unserved int
}

var serve = child.Register("latency", func(o order) (result, error) {
	peer, err := byName(o.Cache)
	if err != nil {
		return result{}, err
	}
	runtime.GOMAXPROCS(o.Procs)
	load := o.Work.Load()
	c := load.Build(peer)
	defer c.Close()
	runtime.GC()
	return o.run(load, c), nil
})

// byName returns the constructor of a cache.
func byName(name string) (peers.Peer, error) {
	if name == nothing {
		return peers.Peer{
			Name:    nothing,
			Ints:    func(int) peers.Cache { return idle{} },
			Strings: func(int, []string) peers.Cache { return idle{} },
		}, nil
	}
	list, err := peers.Select(name)
	if err != nil {
		return peers.Peer{}, err
	}
	return list[0], nil
}

// An idle cache does nothing.
type idle struct{}

// The methods of peers.Cache.
func (idle) Get([]uint32) peers.Tally                        { return peers.Tally{} }
func (idle) Set([]uint32) peers.Tally                        { return peers.Tally{} }
func (idle) Mixed([]uint32) peers.Tally                      { return peers.Tally{} }
func (idle) Churn([]uint32) peers.Tally                      { return peers.Tally{} }
func (idle) Tail([]uint32, *histogram.Histogram) peers.Tally { return peers.Tally{} }
func (idle) Settle()                                         {}
func (idle) Close()                                          {}

// patience is how much longer than its arrivals a round may last, as a factor.
const patience = 1.25

// run serves the arrivals with one goroutine on each P, an equal share of the
// rate each.
func (o order) run(load *workload.Load, c peers.Cache) result {
	own := make([]histogram.Histogram, o.Procs)
	unserved := make([]int, o.Procs)
	arrivals := make([][]int64, o.Procs)
	for g := range arrivals {
		arrivals[g] = paced.Arrivals(o.Rate/float64(o.Procs), o.Duration, o.Seed*1000+uint64(g))
	}
	clock := paced.NewWall()
	start := clock.Now() + int64(time.Millisecond) // Goroutines are up by then.
	end := start + int64(patience*float64(o.Duration))
	var group sync.WaitGroup
	for g := range o.Procs {
		group.Add(1)
		go func() {
			defer group.Done()
			at := load.Start(g, o.Procs, 0)
			op := func(i int) { load.Step(c, load.At(at+i)) }
			unserved[g] = paced.Serve(clock, start, end, arrivals[g], op, &own[g])
		}()
	}
	group.Wait()
	var all histogram.Histogram
	var r result
	for g := range own {
		all.Merge(&own[g])
		r.Unserved += unserved[g]
	}
	r.Arrivals = int(all.Count())
	for _, p := range percentiles {
		r.NS = append(r.NS, float64(all.Quantile(p/100)))
	}
	return r
}

// show prints a table for each stream, a line for each cache.
func show(t *report.Table, w io.Writer) {
	each(t, func(title string, rows *report.Table) {
		fmt.Fprintf(w, "%s: latency in ns by percentile, medians over the rounds\n\n", title)
		wide := rows.Pivot([]string{"cache"}, "percentile", "ns")
		wide.Rounded(3, 1).Print(w)
		for _, cache := range rows.Values("cache") {
			mine := rows.Where("cache", cache)
			arrivals, _ := mine.Number(0, "arrivals")
			if unserved, _ := mine.Number(0, "unserved"); unserved > 0 {
				fmt.Fprintf(w, "%s did not keep up: %.1f%% of the arrivals were not served in time\n",
					cache, 100*unserved/max(arrivals, 1))
			}
		}
		fmt.Fprintln(w)
	})
}

// each calls do for the rows of every stream.
func each(t *report.Table, do func(title string, rows *report.Table)) {
	for _, work := range t.Values("workload") {
		t := t.Where("workload", work)
		for _, key := range t.Values("key") {
			t := t.Where("key", key)
			for _, rate := range t.Values("rate") {
				n, _ := strconv.Atoi(rate)
				do(fmt.Sprintf("%s, %s keys, %s/s", work, key, workload.Short(n)), t.Where("rate", rate))
			}
		}
	}
}

// figures returns one chart with a panel for each stream.
func figures(t *report.Table) []chart.Figure {
	f := chart.Figure{
		Name: "latency", Columns: 2,
		Title: "Latency at a fixed rate of arrivals, waiting included",
	}
	each(t, func(title string, rows *report.Table) {
		p := chart.Panel{Title: title, X: "percentile", Y: "µs", LogX: true, LogY: true}
		for _, percentile := range rows.Values("percentile") {
			if x, label, ok := nines(percentile); ok && label != "" {
				p.Ticks = append(p.Ticks, chart.Tick{At: x, Label: label})
			}
		}
		for _, cache := range rows.Values("cache") {
			p.Lines = append(p.Lines, line(rows.Where("cache", cache), cache))
		}
		f.Panels = append(f.Panels, p)
	})
	if len(f.Panels) == 0 {
		return nil
	}
	return []chart.Figure{f}
}

// line returns the percentiles below 100 of a cache.
func line(rows *report.Table, cache string) chart.Line {
	l := chart.Line{Name: cache}
	for i := range rows.Rows {
		x, _, ok := nines(rows.Text(i, "percentile"))
		ns, _ := rows.Number(i, "ns")
		if ok {
			l.Points = append(l.Points, chart.Point{X: x, Y: math.Max(ns, 1) / 1000})
		}
	}
	return l
}

// nines returns where a percentile is on a logarithmic axis, one over the share
// above it, with a label for some. The hundredth has no place there.
func nines(percentile string) (x float64, label string, ok bool) {
	p, err := strconv.ParseFloat(percentile, 64)
	if err != nil || p >= 100 {
		return 0, "", false
	}
	switch p {
	case 50, 90, 99, 99.9, 99.99:
		label = percentile
	}
	return 1 / (1 - p/100), label, true
}

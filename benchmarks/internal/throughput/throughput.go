// Package throughput measures how many operations caches perform in a second.
//
// Every measurement is taken in turns (package turns), slice after slice in one
// process, and gives for each cache the time per operation, medians over the
// rounds, and the ratio to the first cache, of slices next to each other, with
// its quartiles. Ratios are above one where the first is the faster. They hold on
// a machine that is not quiet; the times themselves drift with it.
//
// Two commands are made of it: speed (speed.go) goes through kinds of load,
// scaling (scaling.go) through Ps and sizes.
package throughput

import (
	"fmt"
	"io"
	"math/bits"
	"strconv"
	"time"

	"github.com/dualcache-ff/dualcache/benchmarks/internal/chart"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/peers"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/report"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/stats"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/suite"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/turns"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/workload"
)

// columns of the results. A part is a series of measurements in which one thing
// varies.
var columns = []string{
	"part", "workload", "key", "value_bytes", "entries", "keys", "procs", "goroutines", "cache",
	"ns_per_op", "mops", "ratio", "ratio_q1", "ratio_q3", "hit_percent", "held", "rounds",
}

// condition are the columns that say under what a row was measured.
var condition = []string{"part", "workload", "key", "value_bytes", "entries", "procs", "goroutines"}

// scale is how large the loads are, and how long a turn is.
type scale struct {
	base   int   // Entries where nothing else is said.
	sizes  []int // Entries where they vary.
	most   int   // Entries of the largest load that evicts.
	crowds []turns.Way
	draws  int
	rounds int
	slice  time.Duration
}

var (
	full = scale{
		base: 100_000, sizes: []int{1000, 10_000, 100_000, 1_000_000, 10_000_000}, most: 1_000_000,
		crowds: []turns.Way{1, 10, 100, 1000, 10_000}, draws: 1 << 20,
		rounds: 11, slice: 20 * time.Millisecond,
	}
	quick = scale{
		base: 2000, sizes: []int{1000, 10_000}, most: 10_000,
		crowds: []turns.Way{1, 100}, draws: 1 << 13, rounds: 2, slice: time.Millisecond,
	}
)

// scaleOf returns the scale that was asked for.
func scaleOf(o *suite.Options) scale {
	s := full
	if o.Quick {
		s = quick
	}
	if o.Rounds > 0 {
		s.rounds = o.Rounds
	}
	return s
}

// The names of workloads.
const (
	read  = "read"
	mixed = "mixed"
	write = "write"
	aside = "cache-aside"
	hot   = "hot-key"
	scan  = "scan"
)

// all lists them in the order in which they are reported.
var all = []string{read, mixed, write, aside, hot, scan}

// load returns the workload of a name. What evicts starts full.
func (s scale) load(name, key string, value, entries int) workload.Workload {
	w := workload.Workload{
		Name: name, Shape: peers.Shape{Key: key, Value: value},
		Capacity: entries, Universe: entries, Full: true, Draws: s.draws,
	}
	switch name {
	case read:
		w.Op = workload.Get
	case mixed:
		w.Op, w.Reads, w.Universe = workload.Mixed, 90, 8*entries
	case write:
		w.Op = workload.Set
	case aside:
		w.Op, w.Universe = workload.Churn, 10*entries
	case hot:
		w.Op, w.Reads, w.Pattern = workload.Mixed, 99, workload.OneKey
	case scan:
		w.Op, w.Pattern, w.Universe = workload.Churn, workload.Scan, 10*entries
	default:
		panic("throughput: no workload is called " + name)
	}
	if w.Universe > w.Capacity {
		w.Draws = max(w.Draws, powerOfTwo(4*entries)) // Not all distinct keys have room.
	}
	return w
}

// powerOfTwo returns the smallest one from n on.
func powerOfTwo(n int) int { return 1 << bits.Len(uint(n-1)) }

// A point is a measurement of one workload.
type point struct {
	part  string
	work  workload.Workload
	procs int
	ways  []turns.Way
}

// job makes a job of a point.
func (s scale) job(o *suite.Options, p point) suite.Job {
	name := fmt.Sprintf("%s/%s/%s/value=%d/entries=%s/P=%d",
		p.part, p.work.Name, p.work.Key, p.work.Value, workload.Short(p.work.Capacity), p.procs)
	return suite.Job{
		Name: name, Expect: s.expect(p, o),
		Run: func(t *report.Table) error {
			s.measure(o, p, t)
			return nil
		},
	}
}

// expect estimates how long a point takes: filling and warming at some 400 ns
// an operation, twice that where all of it is out of the processor's caches, then
// the turns.
func (s scale) expect(p point, o *suite.Options) time.Duration {
	op := 400 * time.Nanosecond
	if p.work.Capacity >= 1_000_000 {
		op *= 2
	}
	each := time.Duration(p.work.Capacity+p.work.Draws) * op
	each += time.Duration(s.rounds*len(p.ways)) * s.slice * 5 / 4
	return time.Duration(s.schedule(o).Built(p.work, len(o.Peers))) * each
}

// schedule says how turns are taken.
func (s scale) schedule(o *suite.Options) turns.Schedule {
	return turns.Schedule{Rounds: s.rounds, Builds: 1, Slice: s.slice, Memory: o.Memory}
}

// measure adds the rows of a point.
func (s scale) measure(o *suite.Options, p point, t *report.Table) {
	var list []peers.Peer
	for _, peer := range o.Peers {
		if p.work.Excludes(peer) == "" {
			list = append(list, peer)
		}
	}
	if len(list) == 0 {
		return
	}
	results := s.schedule(o).Throughput(p.work.Load(), list, p.procs, p.ways)
	for i, way := range p.ways {
		goroutines := int(way)
		if way == 0 {
			goroutines = p.procs
		}
		for _, r := range results[i] {
			ns := stats.Median(r.NS)
			var hits any = ""
			if r.Tally.Gets > 0 {
				hits = r.Tally.HitRatio()
			}
			t.Add(p.part, p.work.Name, p.work.Key, p.work.Value, p.work.Capacity, p.work.Universe,
				p.procs, goroutines, r.Name, ns, 1000/ns,
				stats.Median(r.Ratios), stats.Quantile(r.Ratios, 0.25), stats.Quantile(r.Ratios, 0.75),
				hits, r.Held, len(r.NS))
		}
	}
}

// show prints speeds, ratios and hit ratios side by side.
func show(t *report.Table, w io.Writer) {
	for _, view := range []struct{ title, column string }{
		{"million operations per second, medians", "mops"},
		{"ratio: times as fast as each is the first, medians of ratios by round", "ratio"},
		{"hits in percent of the reads", "hit_percent"},
	} {
		fmt.Fprintf(w, "%s\n\n", view.title)
		t.Pivot(condition, "cache", view.column, peers.Names()...).Rounded(3, len(condition)).Print(w)
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w, "-: has no part in it. Maps never evict, so they have none where there are more keys than room;")
	fmt.Fprintln(w, "sturdyc takes string keys only. Writes alone have no hits.")
	showShort(t, w)
}

// showShort prints which caches did not hold all keys although there was room.
func showShort(t *report.Table, w io.Writer) {
	seen := make(map[string]bool)
	for i := range t.Rows {
		entries, _ := t.Number(i, "entries")
		keys, _ := t.Number(i, "keys")
		held, _ := t.Number(i, "held")
		if keys > entries || held >= 0.99*keys {
			continue
		}
		line := fmt.Sprintf("%s holds %.1f%% of %.0f keys that have room (%s, %s)",
			t.Text(i, "cache"), 100*held/keys, keys, t.Text(i, "workload"), t.Text(i, "key"))
		if !seen[line] {
			seen[line] = true
			fmt.Fprintln(w, line)
		}
	}
}

// curves returns a figure with a panel for each workload of a part, speed over
// a column. It has no panels if there are no rows.
func curves(t *report.Table, name, part, over, title, label string, log bool) chart.Figure {
	f := chart.Figure{Name: name, Title: title}
	t = t.Where("part", part)
	for _, work := range t.Values("workload") {
		rows := t.Where("workload", work)
		p := chart.Panel{Title: work, X: label, Y: "M ops/s", LogX: log, FromZero: true}
		for _, x := range rows.Values(over) {
			at, _ := strconv.Atoi(x)
			p.Ticks = append(p.Ticks, chart.Tick{At: float64(at), Label: workload.Short(at)})
		}
		for _, cache := range rows.Values("cache") {
			p.Lines = append(p.Lines, line(rows.Where("cache", cache), cache, over))
		}
		f.Panels = append(f.Panels, p)
	}
	f.Columns = min(len(f.Panels), 3)
	if len(f.Panels) == 4 {
		f.Columns = 2
	}
	return f
}

func line(rows *report.Table, cache, over string) chart.Line {
	l := chart.Line{Name: cache}
	for i := range rows.Rows {
		x, _ := rows.Number(i, over)
		y, _ := rows.Number(i, "mops")
		l.Points = append(l.Points, chart.Point{X: x, Y: y})
	}
	return l
}

// drawn leaves out figures without panels.
func drawn(figures ...chart.Figure) []chart.Figure {
	var some []chart.Figure
	for _, f := range figures {
		if len(f.Panels) > 0 {
			some = append(some, f)
		}
	}
	return some
}

// Package memory measures what caches cost besides time: memory per entry, and
// work for the garbage collector.
//
// Each cache is measured in a process of its own. It is filled to its capacity
// with keys that were there before, so that the bytes of string keys are counted
// for nobody, and then
//
//   - heap is what of the live heap the cache added, per entry found in it;
//   - resident is what it added to the resident set when garbage has been
//     collected and given back, per entry; it has what is off the heap as well;
//   - peak is the same of the largest resident set there was while it filled,
//     tables being replaced by larger ones and garbage not yet collected;
//   - collection is the time of a forced collection, the median of some, with
//     nothing else alive to speak of;
//   - collector is the share of all Ps' time that the collector took during
//     cache-aside over ten times as many keys as there is room for, flat out on
//     all Ps until it has run five times, or for four times as long as usual,
//     and what that is per operation. As faster caches make more garbage
//     in the same time, the latter is what to compare.
//
// The collector's time is from runtime/metrics, which estimates it, less what it
// did on Ps that were idle. Maps have no part in cache-aside: they never evict.
package memory

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"time"

	"github.com/dualcache-ff/dualcache/benchmarks/internal/chart"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/child"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/peers"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/report"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/stats"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/suite"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/workload"
)

// Command measures memory.
var Command = suite.Command{
	Name:    "memory",
	Columns: columns,
	Jobs:    jobs,
	Show:    show,
	Figures: figures,
}

// columns of the results.
var columns = []string{
	"key", "capacity", "cache", "entries", "heap_per_entry", "objects_per_entry", "resident_per_entry", "peak_per_entry",
	"collection_ms", "collector_percent", "collector_ns_per_op", "churn_ns_per_op",
}

// scale is how large caches are and how long they churn. Those of strings are
// small only: the table of ten times as many strings would be most of what the
// collector finds.
type scale struct {
	small       int
	large       int
	draws       int
	collections int
	churn       time.Duration
}

var (
	full  = scale{small: 100_000, large: 1_000_000, draws: 1 << 20, collections: 15, churn: 2 * time.Second}
	quick = scale{small: 5000, large: 10_000, draws: 1 << 14, collections: 2, churn: 20 * time.Millisecond}
)

func jobs(o *suite.Options) ([]suite.Job, error) {
	s := full
	if o.Quick {
		s = quick
	}
	var list []suite.Job
	for _, w := range []workload.Workload{s.load("uint64", s.small), s.load("uint64", s.large), s.load("string", s.small)} {
		var able []peers.Peer
		for _, peer := range o.Peers {
			if peer.Takes(w.Shape) {
				able = append(able, peer)
			}
		}
		each := s.churn*longestChurn/2 + time.Duration(2*w.Capacity+w.Draws)*400*time.Nanosecond + 300*time.Millisecond
		list = append(list, suite.Job{
			Name:   fmt.Sprintf("%s/entries=%s", w.Key, workload.Short(w.Capacity)),
			Expect: time.Duration(len(able)) * each,
			Run:    func(t *report.Table) error { return s.measure(w, able, t) },
		})
	}
	return list, nil
}

// load returns the cache-aside load of a size.
func (s scale) load(key string, size int) workload.Workload {
	return workload.Workload{
		Name: "cache-aside", Op: workload.Churn, Shape: peers.Shape{Key: key, Value: 8},
		Capacity: size, Universe: 10 * size, Draws: s.powerOf(size),
	}
}

// powerOf returns how many keys to draw: a power of two, and enough to evict.
func (s scale) powerOf(size int) int {
	draws := s.draws
	for draws < 4*size {
		draws *= 2
	}
	return draws
}

// measure adds a row for every cache.
func (s scale) measure(w workload.Workload, list []peers.Peer, t *report.Table) error {
	for _, peer := range list {
		r, err := weigh.Run(order{Cache: peer.Name, Work: w, Collections: s.collections, Churn: s.churn})
		if err != nil {
			return fmt.Errorf("%s: %w", peer.Name, err)
		}
		t.Add(w.Key, w.Capacity, peer.Name, r.Entries, r.Heap, r.Objects, orNone(r.Resident), orNone(r.Peak),
			stats.Median(r.Collections)/1e6, orNone(r.Share), orNone(r.PerOp), orNone(r.Churn))
	}
	return nil
}

// orNone returns an empty cell for what could not be measured.
func orNone(f *float64) any {
	if f == nil {
		return ""
	}
	return *f
}

// An order is what a child is to measure.
type order struct {
	Cache       string
	Work        workload.Workload
	Collections int
	Churn       time.Duration
}

// A result is what a cache costs, per entry. What is nil could not be measured.
type result struct {
	Entries             int
	Heap, Objects       float64
	Resident, Peak      *float64
	Collections         []float64 // In ns.
	Share, PerOp, Churn *float64  // In percent, and in ns.
}

var weigh = child.Register("memory", func(o order) (result, error) {
	list, err := peers.Select(o.Cache)
	if err != nil {
		return result{}, err
	}
	return o.weigh(list[0]), nil
})

// weigh measures one cache at rest, and another at work.
func (o order) weigh(peer peers.Peer) result {
	c, r := o.rest(peer)
	r.Collections = workload.Collect(o.Collections)
	c.Close()
	if o.Work.Excludes(peer) == "" {
		r.Share, r.PerOp, r.Churn = o.churn(peer)
	}
	return r
}

// rest fills a cache and returns it with what it holds. The keys, made before
// the first reading, are given up: strings stay alive by the cache alone.
func (o order) rest(peer peers.Peer) (peers.Cache, result) {
	w := o.Work
	w.Universe, w.Draws = w.Capacity, workload.Batch
	load := w.Load()
	rehearse(w, peer)
	heap, objects := workload.Live()
	debug.FreeOSMemory()
	forgetPeak()
	resident, measurable := memoryOf("VmRSS")

	c := load.Empty(peer)
	workload.Fill(c, w.Capacity)
	peak, _ := memoryOf("VmHWM")
	heapNow, objectsNow := workload.Live()
	debug.FreeOSMemory()
	residentNow, _ := memoryOf("VmRSS")

	r := result{Entries: load.Held(c)}
	n := float64(max(r.Entries, 1))
	r.Heap, r.Objects = (heapNow-heap)/n, (objectsNow-objects)/n
	if measurable {
		perEntry, peakPerEntry := (residentNow-resident)/n, (peak-resident)/n
		r.Resident, r.Peak = &perEntry, &peakPerEntry
	}
	return c, r
}

// rehearse fills a small cache and drops it, so that what a program takes but
// once, its code among it, is there before the first reading.
func rehearse(w workload.Workload, peer peers.Peer) {
	w.Capacity = min(w.Capacity, 1000)
	w.Universe = w.Capacity
	load := w.Load()
	c := load.Empty(peer)
	workload.Fill(c, w.Capacity)
	load.Held(c)
	c.Close()
	workload.Live()
	debug.FreeOSMemory()
}

// A cache that makes garbage churns until the collector has run so often, but
// not longer than so many times the usual.
const (
	wantedCycles = 5
	longestChurn = 4
)

// churn runs the load and returns the share of the collector in percent, its
// time per operation, and the time of an operation, of all Ps together.
func (o order) churn(peer peers.Peer) (share, perOp, ns *float64) {
	load := o.Work.Load()
	c := load.Empty(peer)
	defer c.Close()
	workload.Fill(c, o.Work.Capacity)
	runtime.GC() // What it took to make the load is not the cache's.
	slice := o.Churn / 4
	load.Slice(c, slice, 0) // To bring the cache into the state that lasts.

	before, start := readCollector(), time.Now()
	slices, ops := 0.0, 0.0
	for {
		each, _ := load.Slice(c, slice, rand.IntN(1<<30))
		slices++
		ops += float64(slice.Nanoseconds()) / each
		elapsed := time.Since(start)
		enough := elapsed >= o.Churn && readCollector().cycles-before.cycles >= wantedCycles
		if enough || elapsed >= longestChurn*o.Churn {
			break
		}
	}
	spent := readCollector().seconds - before.seconds
	procs := float64(runtime.GOMAXPROCS(0))
	part := spent / (time.Since(start).Seconds() * procs)
	each := slices * float64(slice.Nanoseconds()) / ops
	percent, took := 100*part, part*each*procs
	return &percent, &took, &each
}

// A collector is what it has done so far.
type collector struct {
	seconds float64 // CPU time, that of Ps that were idle left out.
	cycles  uint64
}

func readCollector() collector {
	samples := []metrics.Sample{
		{Name: "/cpu/classes/gc/total:cpu-seconds"},
		{Name: "/cpu/classes/gc/mark/idle:cpu-seconds"},
		{Name: "/gc/cycles/total:gc-cycles"},
	}
	metrics.Read(samples)
	return collector{
		seconds: samples[0].Value.Float64() - samples[1].Value.Float64(),
		cycles:  samples[2].Value.Uint64(),
	}
}

// memoryOf returns a size that Linux tells of this process, in bytes, and
// whether it does.
func memoryOf(name string) (float64, bool) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) == 3 && fields[0] == name+":" && fields[2] == "kB" {
			kilobytes, err := strconv.ParseFloat(fields[1], 64)
			return kilobytes * 1024, err == nil
		}
	}
	return 0, false
}

// forgetPeak makes VmHWM begin anew, where the system can. Where it cannot, the
// peak has that of preparing the load in it.
func forgetPeak() { _ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) }

// show prints the table as it is, shortened.
func show(t *report.Table, w io.Writer) {
	t.Rounded(4, 4).Print(w)
	fmt.Fprintln(w, "\nbytes and objects per entry found; collection: a forced one; collector: its share of all Ps' time,")
	fmt.Fprintln(w, "and that per operation, in cache-aside, in which maps (-) have no part as they never evict")
}

// shown are the columns that are drawn, with titles.
var shown = []struct{ column, title string }{
	{"heap_per_entry", "live heap, bytes per entry"},
	{"resident_per_entry", "resident memory, bytes per entry"},
	{"peak_per_entry", "peak while filling, bytes per entry"},
	{"collection_ms", "forced collection, ms"},
	{"collector_percent", "collector in cache-aside, % of all Ps"},
	{"collector_ns_per_op", "collector in cache-aside, ns per operation"},
}

// figures returns a chart for each type of keys, of the largest caches.
func figures(t *report.Table) []chart.Figure {
	var list []chart.Figure
	for _, key := range t.Values("key") {
		rows := t.Where("key", key)
		sizes := rows.Values("capacity")
		largest := sizes[len(sizes)-1]
		size, _ := strconv.Atoi(largest)
		rows = rows.Where("capacity", largest)
		f := chart.Figure{
			Name:    "memory-" + key,
			Title:   fmt.Sprintf("Memory and collection, %s entries of %s keys and 8-byte values; less is better", workload.Short(size), key),
			Columns: 2,
		}
		for _, s := range shown {
			p := chart.Panel{Title: s.title}
			for i := range rows.Rows {
				if value, ok := rows.Number(i, s.column); ok {
					value = max(value, 0)
					p.Bars = append(p.Bars, chart.Bar{Name: rows.Text(i, "cache"), Value: value, Label: report.Digits(value, 3)})
				}
			}
			f.Panels = append(f.Panels, p)
		}
		list = append(list, f)
	}
	return list
}

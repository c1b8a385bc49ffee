// Printing: one line per workload, number of Ps and implementation, in aligned
// columns, with the names repeated on every line so that lines can be filtered
// with grep and cut.
package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/dualcache-ff/dualcache/benchmarks/internal/stats"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/turns"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/workload"
)

// A table prints rows in aligned columns.
type table struct {
	w *tabwriter.Writer
}

func newTable(w io.Writer) *table {
	return &table{tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)}
}

// row prints one line.
func (t *table) row(cells ...string) {
	fmt.Fprintln(t.w, strings.Join(cells, "\t"))
}

// end aligns and writes the rows so far.
func (t *table) end() {
	fmt.Fprintln(t.w)
	t.w.Flush()
}

// speeds prints the results of a throughput workload, and which caches did not
// hold all keys of it although there was room.
func (t *table) speeds(w workload.Workload, procs int, results []turns.Result) {
	t.row("workload", "P", "impl", "ns/op", "ratio", "q1", "q3", "hit%")
	for _, r := range results {
		cells := []string{w.Name, fmt.Sprint(procs), r.Name, fmt.Sprintf("%.1f", stats.Median(r.NS))}
		t.row(append(append(cells, ratios(r)...), hits(r))...)
	}
	for _, r := range results {
		if w.Resident() && r.Held < w.Universe {
			t.row(fmt.Sprintf("# %s: %s held %d of %d keys", w.Name, r.Name, r.Held, w.Universe))
		}
	}
	t.end()
}

// costs prints the results of a measurement of time that is no throughput.
func (t *table) costs(name string, procs int, unit string, scale float64, results []turns.Result) {
	t.row("workload", "P", "impl", unit, "ratio", "q1", "q3")
	for _, r := range results {
		cells := []string{name, fmt.Sprint(procs), r.Name, fmt.Sprintf("%.3f", stats.Median(r.NS)/scale)}
		t.row(append(cells, ratios(r)...)...)
	}
	t.end()
}

// ratios returns the cells for the median and the quartiles of the ratios by
// round.
func ratios(r turns.Result) []string {
	cells := make([]string, 0, 3)
	for _, q := range []float64{0.5, 0.25, 0.75} {
		cells = append(cells, fmt.Sprintf("%.3f", stats.Quantile(r.Ratios, q)))
	}
	return cells
}

// hits returns the cell for the hit ratio.
func hits(r turns.Result) string {
	if r.Tally.Gets == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", r.Tally.HitRatio())
}

// quantiles prints latencies in nanoseconds.
func (t *table) quantiles(name string, procs int, results []latencies) {
	t.row("workload", "P", "impl", "p50", "p99", "p99.9", "p99.99", "max", "operations")
	for i := range results {
		h := &results[i].times
		cells := []string{name, fmt.Sprint(procs), results[i].name}
		for _, q := range []float64{0.5, 0.99, 0.999, 0.9999} {
			cells = append(cells, fmt.Sprint(h.Quantile(q)))
		}
		t.row(append(cells, fmt.Sprint(h.Max()), fmt.Sprint(h.Count()))...)
	}
	t.end()
}

// footprints prints live heaps, per entry or whole.
func (t *table) footprints(name, unit string, list []footprint, perEntry bool) {
	t.row("workload", "impl", unit, "ratio", "objects", "entries")
	share := func(f footprint) float64 {
		if perEntry {
			return f.Bytes / f.Entries
		}
		return f.Bytes
	}
	for _, f := range list {
		t.row(name, f.name, fmt.Sprintf("%.1f", share(f)), fmt.Sprintf("%.3f", share(f)/share(list[0])),
			fmt.Sprintf("%.0f", f.Objects), fmt.Sprintf("%.0f", f.Entries))
	}
	t.end()
}

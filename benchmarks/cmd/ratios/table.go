// Printing: one line per workload, number of Ps and implementation, in aligned
// columns, with the names repeated on every line so that lines can be filtered
// with grep and cut.
package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

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
func (t *table) speeds(w workload.Workload, procs int, results []result) {
	t.row("workload", "P", "impl", "ns/op", "ratio", "q1", "q3", "hit%")
	for _, r := range results {
		cells := []string{w.Name, fmt.Sprint(procs), r.name, fmt.Sprintf("%.1f", quantile(r.ns, 0.5))}
		t.row(append(append(cells, ratios(r, results[0])...), hits(r))...)
	}
	for _, r := range results {
		if w.Resident() && r.held < w.Universe {
			t.row(fmt.Sprintf("# %s: %s held %d of %d keys", w.Name, r.name, r.held, w.Universe))
		}
	}
	t.end()
}

// costs prints the results of a measurement of time that is no throughput.
func (t *table) costs(name string, procs int, unit string, scale float64, results []result) {
	t.row("workload", "P", "impl", unit, "ratio", "q1", "q3")
	for _, r := range results {
		cells := []string{name, fmt.Sprint(procs), r.name, fmt.Sprintf("%.3f", quantile(r.ns, 0.5)/scale)}
		t.row(append(cells, ratios(r, results[0])...)...)
	}
	t.end()
}

// ratios returns the cells for the median and the quartiles of the ratios by
// round.
func ratios(r, first result) []string {
	byRound := make([]float64, len(r.ns))
	for i := range byRound {
		byRound[i] = r.ns[i] / first.ns[i]
	}
	cells := make([]string, 0, 3)
	for _, q := range []float64{0.5, 0.25, 0.75} {
		cells = append(cells, fmt.Sprintf("%.3f", quantile(byRound, q)))
	}
	return cells
}

// hits returns the cell for the hit ratio.
func hits(r result) string {
	if r.tally.Gets == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", r.tally.HitRatio())
}

// quantiles prints latencies in nanoseconds.
func (t *table) quantiles(name string, procs int, results []result) {
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

// quantile returns the value below which a share q of the list lies,
// interpolated between neighbours.
func quantile(list []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(list))
	at := q * float64(len(sorted)-1)
	low := int(at)
	high := min(low+1, len(sorted)-1)
	return sorted[low] + (at-float64(low))*(sorted[high]-sorted[low])
}

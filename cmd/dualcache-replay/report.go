package main

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/dualcache-ff/dualcache"
)

// result is what was measured of one cache.
type result struct {
	capacity int
	requests uint64
	hits     uint64
	entries  int
	elapsed  time.Duration
	stats    dualcache.Stats
}

// reportTitle says what was replayed, and all that the table does not show.
func reportTitle(lines *lineReader, requests uint64, incomplete bool) string {
	title := fmt.Sprintf("%s: %s", lines.title, count(requests, "request"))
	if lines.blank > 0 {
		title += fmt.Sprintf(", %s skipped", count(lines.blank, "blank line"))
	}
	if incomplete {
		title += ", incomplete"
	}
	return title
}

// formatReport returns all that is printed of one trace.
func formatReport(title string, results []result, withStats bool) string {
	var out strings.Builder
	out.WriteString(title + "\n")
	writeResults(&out, results)
	if withStats {
		out.WriteString("\n")
		writeStats(&out, results)
	}
	out.WriteString("\n")
	return out.String()
}

// writeResults writes one line for each result. Nothing can fail: the writer
// is memory.
func writeResults(out *strings.Builder, results []result) {
	table := newTable(out)
	fmt.Fprintln(table, "capacity\trequests\thits\tmisses\thit-ratio\tentries\tns/request\trequests/s\t")
	for _, r := range results {
		fmt.Fprintf(table, "%d\t%d\t%d\t%d\t%s\t%d\t%s\t%s\t\n",
			r.capacity, r.requests, r.hits, r.requests-r.hits,
			ratio(4, float64(r.hits), float64(r.requests)), r.entries,
			ratio(1, float64(r.elapsed.Nanoseconds()), float64(r.requests)),
			ratio(0, float64(r.requests), r.elapsed.Seconds()))
	}
	table.Flush()
}

// statsField is one line of the table of statistics.
type statsField struct {
	name string
	get  func(dualcache.Stats) uint64
}

// statsFields are the lines of that table, in order.
var statsFields = []statsField{
	{"hits", func(s dualcache.Stats) uint64 { return s.Hits }},
	{"misses", func(s dualcache.Stats) uint64 { return s.Misses }},
	{"sets", func(s dualcache.Stats) uint64 { return s.Sets }},
	{"deletes", func(s dualcache.Stats) uint64 { return s.Deletes }},
	{"evictions", func(s dualcache.Stats) uint64 { return s.Evictions }},
	{"expirations", func(s dualcache.Stats) uint64 { return s.Expirations }},
	{"hits-t1", func(s dualcache.Stats) uint64 { return s.HitsT1 }},
	{"hits-t2", func(s dualcache.Stats) uint64 { return s.HitsT2 }},
	{"dropped-hits", func(s dualcache.Stats) uint64 { return s.DroppedHits }},
	{"dropped-inserts", func(s dualcache.Stats) uint64 { return s.DroppedInserts }},
	{"grace-periods", func(s dualcache.Stats) uint64 { return s.GracePeriods }},
	{"passes", func(s dualcache.Stats) uint64 { return s.Passes }},
	{"refusals", func(s dualcache.Stats) uint64 { return s.Refusals }},
}

// writeStats writes the caches' own statistics, one column for each cache.
func writeStats(out *strings.Builder, results []result) {
	table := newTable(out)
	fmt.Fprint(table, "capacity\t")
	for _, r := range results {
		fmt.Fprintf(table, "%d\t", r.capacity)
	}
	fmt.Fprintln(table)
	for _, field := range statsFields {
		fmt.Fprintf(table, "%s\t", field.name)
		for _, r := range results {
			fmt.Fprintf(table, "%d\t", field.get(r.stats))
		}
		fmt.Fprintln(table)
	}
	table.Flush()
}

// newTable returns a writer that lines up columns to the right, as numbers are
// read.
func newTable(out *strings.Builder) *tabwriter.Writer {
	return tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
}

// ratio formats a/b, or a dash if there is nothing to divide by.
func ratio(decimals int, a, b float64) string {
	if b == 0 {
		return "-"
	}
	return fmt.Sprintf("%.*f", decimals, a/b)
}

// count returns the number and what it is a number of.
func count(n uint64, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}

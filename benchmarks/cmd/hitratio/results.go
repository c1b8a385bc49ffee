package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
)

// results are what all replays gave.
type results struct {
	goroutines int
	caches     []contender
	rows       []row
}

// A row is a stream and a capacity.
type row struct {
	stream                       string
	requests, distinct, capacity int
	hits                         []float64 // by cache
}

// ratio returns the hits per hundred requests of the i-th cache.
func (r row) ratio(i int) float64 { return 100 * r.hits[i] / float64(r.requests) }

// percent returns the capacity per hundred distinct keys.
func (r row) percent() float64 { return 100 * float64(r.capacity) / float64(r.distinct) }

// print writes an aligned table, one line a row.
func (rs *results) print(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "stream\tsize\tentries\t")
	for _, c := range rs.caches {
		fmt.Fprint(t, c.name, "\t")
	}
	fmt.Fprintln(t)
	for _, r := range rs.rows {
		fmt.Fprintf(t, "%s\t%.3g%%\t%d\t", r.stream, r.percent(), r.capacity)
		for i := range rs.caches {
			fmt.Fprintf(t, "%.2f\t", r.ratio(i))
		}
		fmt.Fprintln(t)
	}
	t.Flush()
}

// summaryFrom is the capacity below which a row is left out of the summary:
// there, caches that round up or split into shards differ by how, not by what
// they keep.
const summaryFrom = 500

// summarize writes how far the subject is ahead of the best other real cache.
func (rs *results) summarize(w io.Writer, subject string) {
	at := rs.find(subject)
	if at < 0 {
		return
	}
	var sum float64
	var worst row
	n, least, rival := 0, 0.0, ""
	for _, r := range rs.rows {
		best, name := rs.bestOther(r, at)
		if name == "" || r.capacity < summaryFrom {
			continue
		}
		lead := r.ratio(at) - best
		if n++; n == 1 || lead < least {
			least, worst, rival = lead, r, name
		}
		sum += lead
	}
	if n == 0 {
		fmt.Fprintf(w, "%s: no rows of %d entries and more with another real cache\n", subject, summaryFrom)
		return
	}
	fmt.Fprintf(w, "%s minus the best other real cache, mean over %d rows of %d entries and more: %+.2f points; worst: %+.2f to %s (%s, %.3g%%)\n",
		subject, n, summaryFrom, sum/float64(n), least, rival, worst.stream, worst.percent())
}

// find returns the index of a cache, -1 if it was not replayed.
func (rs *results) find(name string) int {
	for i, c := range rs.caches {
		if c.name == name {
			return i
		}
	}
	return -1
}

// bestOther returns the best real cache in a row, but for the subject and, as
// it is no rival of its own model, dualcache.
func (rs *results) bestOther(r row, subject int) (ratio float64, name string) {
	for i, c := range rs.caches {
		if i == subject || !c.real || c.name == "dualcache" {
			continue
		}
		if name == "" || r.ratio(i) > ratio {
			ratio, name = r.ratio(i), c.name
		}
	}
	return ratio, name
}

// writeCSV writes one record for each cache of each row.
func (rs *results) writeCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	records := [][]string{{"stream", "requests", "distinct", "capacity", "percent", "cache", "goroutines", "hits", "hit_ratio"}}
	for _, r := range rs.rows {
		for i, c := range rs.caches {
			records = append(records, []string{
				r.stream, strconv.Itoa(r.requests), strconv.Itoa(r.distinct), strconv.Itoa(r.capacity),
				fmt.Sprintf("%.4g", r.percent()), c.name, strconv.Itoa(rs.goroutinesOf(c)),
				strconv.FormatFloat(r.hits[i], 'f', -1, 64), fmt.Sprintf("%.4f", r.ratio(i)/100),
			})
		}
	}
	return out.WriteAll(records)
}

func (rs *results) goroutinesOf(c contender) int {
	if !c.real {
		return 1
	}
	return rs.goroutines
}

// readCSV reads what writeCSV wrote.
func readCSV(r io.Reader) (*results, error) {
	records, err := csv.NewReader(r).ReadAll()
	if err != nil {
		return nil, err
	}
	rs := new(results)
	for n, record := range records {
		if n == 0 {
			continue
		}
		if err := rs.addRecord(record); err != nil {
			return nil, fmt.Errorf("record %d: %w", n, err)
		}
	}
	if len(rs.rows) == 0 {
		return nil, errors.New("no results")
	}
	for _, r := range rs.rows {
		if len(r.hits) != len(rs.caches) {
			return nil, fmt.Errorf("%d of %d caches at %s, %d entries", len(r.hits), len(rs.caches), r.stream, r.capacity)
		}
	}
	return rs, nil
}

// addRecord adds the hits of one cache to the row they belong to. Caches come
// in the same order in all rows.
func (rs *results) addRecord(record []string) error {
	if len(record) != 9 {
		return fmt.Errorf("%d fields, want 9", len(record))
	}
	var numbers [3]int
	for i := range numbers {
		var err error
		if numbers[i], err = strconv.Atoi(record[i+1]); err != nil {
			return err
		}
	}
	hits, err := strconv.ParseFloat(record[7], 64)
	if err != nil {
		return err
	}
	last := len(rs.rows) - 1
	if last < 0 || rs.rows[last].stream != record[0] || rs.rows[last].capacity != numbers[2] {
		rs.rows = append(rs.rows, row{stream: record[0], requests: numbers[0], distinct: numbers[1], capacity: numbers[2]})
		last++
	}
	r := &rs.rows[last]
	switch at := len(r.hits); {
	case last == 0:
		rs.caches = append(rs.caches, contender{name: record[5]})
	case at >= len(rs.caches) || rs.caches[at].name != record[5]:
		return fmt.Errorf("%s out of turn", record[5])
	}
	r.hits = append(r.hits, hits)
	return nil
}

// Command hitratio replays key streams through caches and prints hit ratios.
//
// A stream is a trace file, one decimal key a line and gzipped or not, or the
// name of a generator. Every cache is built with its capacity alone and asked
// for one key after another, as fast as it goes: a Get, and on a miss a Set. A
// cache that defers work, samples its hits or drops Sets under load is measured
// with what that costs it. Next to the real caches are policies of the
// simulator, which do nothing of that, and the optimum, which no cache can beat.
//
// Hits are counted from the first request on, when caches are still empty.
//
//	go run ./cmd/hitratio /path/to/traces/*.gz
//	go run ./cmd/hitratio -caches dualcache,otter,optimum -sizes 5 zipf news:period=20
//	go run ./cmd/hitratio -goroutines 8 -csv ratios.csv -charts charts moving
//	go run ./cmd/hitratio -from ratios.csv -charts charts
//
// The last line of the output compares the subject, by default dualcache, with
// the best of the other real caches, row by row.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"strconv"
	"strings"

	"github.com/dualcache-ff/dualcache/benchmarks/internal/streams"
)

// options are the flags, parsed.
type options struct {
	caches     []contender
	subject    string
	streams    []string
	percents   []float64
	capacities []int
	goroutines int
	runs       int
	csv        string
	charts     string
	from       string
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("hitratio: ")
	o, err := parse(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		err = o.run(os.Stdout, os.Stderr)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// parse reads the command line.
func parse(args []string, stderr io.Writer) (*options, error) {
	o := new(options)
	set := flag.NewFlagSet("hitratio", flag.ContinueOnError)
	set.SetOutput(stderr)
	set.Usage = func() { usage(set) }
	caches := set.String("caches", strings.Join(allNames(), ","), "replay through these, a comma-separated `list`")
	sizes := set.String("sizes", "1,5,10,20", "capacities in percent of the distinct keys, a `list`")
	capacities := set.String("capacities", "", "capacities in entries, a `list`, in place of -sizes")
	set.StringVar(&o.subject, "subject", "dualcache", "compare the cache of this `name` with the best of the others")
	set.IntVar(&o.goroutines, "goroutines", 1, "how many share a stream, in batches; the simulator always has one")
	set.IntVar(&o.runs, "runs", 1, "replay through each real cache so many times and take the mean")
	set.StringVar(&o.csv, "csv", "", "write all results to this `file`")
	set.StringVar(&o.charts, "charts", "", "draw a chart per stream, SVG and PNG, into this `directory`")
	set.StringVar(&o.from, "from", "", "replay nothing: draw the -charts of the results in this `file`")
	if err := set.Parse(args); err != nil {
		return nil, err
	}
	o.streams = set.Args()
	if o.from != "" {
		if o.charts == "" || len(o.streams) > 0 {
			return nil, errors.New("-from needs -charts and no streams")
		}
		return o, nil
	}
	if len(o.streams) == 0 {
		return nil, errors.New("no streams given; see -help")
	}
	if o.goroutines < 1 || o.runs < 1 {
		return nil, errors.New("-goroutines and -runs must be 1 or more")
	}
	var err error
	if o.caches, err = selectContenders(*caches); err != nil {
		return nil, err
	}
	if *capacities != "" {
		o.capacities, err = numbers(*capacities, strconv.Atoi)
	} else {
		o.percents, err = numbers(*sizes, func(s string) (float64, error) { return strconv.ParseFloat(s, 64) })
	}
	return o, err
}

func usage(set *flag.FlagSet) {
	w := set.Output()
	fmt.Fprintf(w, "usage: hitratio [flags] stream...\n\nA stream is a trace file or one of\n")
	for _, name := range streams.Names() {
		fmt.Fprintf(w, "  %s\n", streams.Describe(name))
	}
	fmt.Fprintf(w, "with settings after a colon, as in zipf:n=5000,s=1.1\n\nflags:\n")
	set.PrintDefaults()
}

// numbers parses a comma-separated list of positive numbers.
func numbers[N int | float64](list string, parse func(string) (N, error)) ([]N, error) {
	var all []N
	for _, field := range strings.Split(list, ",") {
		n, err := parse(strings.TrimSpace(field))
		if err != nil || !(n > 0) || float64(n) > streams.MaxLength {
			return nil, fmt.Errorf("%q is not a positive number", field)
		}
		all = append(all, n)
	}
	return all, nil
}

// run replays everything. Output files are opened before the work begins, so
// that none is done in vain.
func (o *options) run(stdout, stderr io.Writer) error {
	if o.from != "" {
		return o.redraw()
	}
	if err := o.checkFiles(); err != nil {
		return err
	}
	var csv *os.File
	if o.csv != "" {
		var err error
		if csv, err = os.Create(o.csv); err != nil {
			return err
		}
		defer csv.Close()
	}
	if o.charts != "" {
		if err := os.MkdirAll(o.charts, 0o777); err != nil {
			return err
		}
	}
	results, err := o.replayAll(stderr)
	if err != nil {
		return err
	}
	results.print(stdout)
	results.summarize(stdout, o.subject)
	if csv != nil {
		if err := results.writeCSV(csv); err != nil {
			return err
		}
	}
	if o.charts != "" {
		return results.drawAll(o.charts)
	}
	return nil
}

// redraw draws the charts of results that were written before.
func (o *options) redraw() error {
	file, err := os.Open(o.from)
	if err != nil {
		return err
	}
	defer file.Close()
	rs, err := readCSV(file)
	if err != nil {
		return fmt.Errorf("%s: %w", o.from, err)
	}
	if err := os.MkdirAll(o.charts, 0o777); err != nil {
		return err
	}
	return rs.drawAll(o.charts)
}

// checkFiles reports every stream that is a file and cannot be opened.
func (o *options) checkFiles() error {
	var errs []error
	for _, spec := range o.streams {
		if err := streams.Check(spec); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// replayAll replays stream by stream, as a stream takes memory.
func (o *options) replayAll(stderr io.Writer) (*results, error) {
	all := &results{goroutines: o.goroutines, caches: o.caches}
	for i, spec := range o.streams {
		fmt.Fprintf(stderr, "[%d/%d] %s\n", i+1, len(o.streams), spec)
		s, err := streams.Load(spec)
		if err != nil {
			return nil, err
		}
		for _, capacity := range o.capacitiesOf(s) {
			r := row{
				stream: s.Name, requests: len(s.IDs), distinct: s.Distinct, capacity: capacity,
				hits: make([]float64, len(o.caches)),
			}
			for j, c := range o.caches {
				r.hits[j] = o.mean(c, s, capacity)
				fmt.Fprintf(stderr, "    %9d entries  %-12s  %6.2f%%\n", capacity, c.name, r.ratio(j))
			}
			all.rows = append(all.rows, r)
		}
	}
	return all, nil
}

// capacitiesOf returns the capacities to replay a stream with.
func (o *options) capacitiesOf(s *streams.Stream) []int {
	if o.capacities != nil {
		return o.capacities
	}
	all := make([]int, len(o.percents))
	for i, percent := range o.percents {
		all[i] = s.Capacity(percent)
	}
	return all
}

// mean returns the mean number of hits of all runs.
func (o *options) mean(c contender, s *streams.Stream, capacity int) float64 {
	runs := o.runs
	if !c.real {
		runs = 1
	}
	hits := 0
	for range runs {
		hits += c.replay(s.IDs, capacity, o.goroutines)
	}
	return float64(hits) / float64(runs)
}

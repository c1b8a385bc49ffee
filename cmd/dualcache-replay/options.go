package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/dualcache-ff/dualcache"
)

// options is what the command line asked for.
type options struct {
	capacities capacityList
	strings    bool
	stats      bool
	progress   time.Duration
	traces     []string
}

// flags returns a flag set that fills o, which then holds the defaults.
func (o *options) flags() *flag.FlagSet {
	o.capacities = capacityList{1000, 5000, 20000}
	fs := flag.NewFlagSet(program, flag.ContinueOnError)
	// The flag set would print its errors, and the usage after each of them. The
	// caller prints errors, in one style with all others.
	fs.SetOutput(io.Discard)
	fs.Usage = func() {}
	fs.Var(&o.capacities, "capacity", "replay at each capacity of this comma-separated `list`, in entries")
	fs.BoolVar(&o.strings, "strings", false, "treat every line as a string, not as a number")
	fs.BoolVar(&o.stats, "stats", false, "also print the statistics each cache kept of itself")
	fs.DurationVar(&o.progress, "progress", 5*time.Second,
		"the `interval` of progress reports on standard error; 0 for none")
	return fs
}

// parseOptions reads the command line. Its error names the flag, the value and
// what the value should have been; it is flag.ErrHelp if help was asked for.
func parseOptions(args []string) (*options, error) {
	o := new(options)
	fs := o.flags()
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	if o.progress < 0 {
		return nil, fmt.Errorf("invalid value %q for flag -progress: the interval must not be negative", o.progress)
	}
	o.traces = fs.Args()
	if len(o.traces) == 0 {
		o.traces = []string{builtinName}
	}
	return o, checkTraceNames(o.traces)
}

// checkTraceNames rejects what can only be a mistake: standard input can be
// read once, so a second "-" would silently be an empty trace.
func checkTraceNames(names []string) error {
	seen := false
	for _, name := range names {
		if name != stdinName {
			continue
		}
		if seen {
			return errors.New(`the trace "-", standard input, is given more than once`)
		}
		seen = true
	}
	return nil
}

// printUsage explains the command line.
func printUsage(w io.Writer) {
	fmt.Fprintf(w, `Usage: %s [flags] [trace ...]

Replays traces of keys, one key a line, plain or gzipped, through caches of
each capacity and prints hit ratio and throughput. The trace "-" is standard
input; without a trace, the built-in %s is replayed.

Flags:
`, program, builtinFile)
	fs := new(options).flags()
	fs.SetOutput(w)
	fs.PrintDefaults()
}

// capacityList is the value of -capacity.
type capacityList []int

// String returns the list the way Set reads it.
func (l *capacityList) String() string {
	texts := make([]string, len(*l))
	for i, capacity := range *l {
		texts[i] = strconv.Itoa(capacity)
	}
	return strings.Join(texts, ",")
}

// Set replaces the list, as for any flag the last one given counts.
func (l *capacityList) Set(text string) error {
	var list capacityList
	for item := range strings.SplitSeq(text, ",") {
		capacity, err := parseCapacity(strings.TrimSpace(item))
		if err != nil {
			return err
		}
		list = append(list, capacity)
	}
	*l = list
	return nil
}

// parseCapacity reads one item of the list.
func parseCapacity(text string) (int, error) {
	capacity, err := strconv.Atoi(text)
	if errors.Is(err, strconv.ErrRange) {
		return 0, fmt.Errorf("capacity %s is out of range: the least is 1, the most %d", text, dualcache.MaxCapacity)
	}
	if err != nil {
		return 0, fmt.Errorf("capacity %q is not a whole number", text)
	}
	if capacity < 1 || capacity > dualcache.MaxCapacity {
		return 0, fmt.Errorf("capacity %d is out of range: the least is 1, the most %d", capacity, dualcache.MaxCapacity)
	}
	return capacity, nil
}

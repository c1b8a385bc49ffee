// Command ratios compares implementations turn by turn in one process.
//
// On a machine with other tenants, a figure drifts by more than the difference
// it is meant to show, and two figures taken a minute apart tell little about
// each other. This command never compares figures taken far apart. For every
// workload it builds and warms all implementations, then goes round them many
// times in shuffled order, a slice of some tens of milliseconds each. Every
// round yields one ratio per implementation, of speeds a fraction of a second
// apart, and what is printed is the median of the ratios with its quartiles. A
// slow minute slows both sides of a ratio; a disturbed slice spoils one round.
//
// A ratio above one means that the first implementation of -impl, by default
// dualcache, is the faster. ns/op is the median over the rounds, wall time over
// the operations of all workers together.
//
// Maps never evict, so they have no part in loads of more keys than there is
// room for; and an implementation that takes strings only has none in the
// others. A line says so.
//
// Besides throughput there are reports of another kind: tail (latency of
// single operations on two Ps, in the same turns), gc (time of a forced
// collection), heap and small (live heap of a large and a small cache). The
// last three have one cache alive at a time, and their ratios are of costs, so
// that above one again speaks for the first implementation.
//
// The collector runs at its default setting. With all caches of a workload
// alive the heap is larger and collections are rarer than with one, and one
// that starts in the slice of an implementation that allocates may end in the
// slice of another that does not. -collect forces a collection before every
// slice, which hides the cost of garbage instead of spreading it. Likewise,
// deferred work is completed after each slice, outside its time, and the
// lead-in before the clock starts lasts an eighth of a slice.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dualcache-ff/dualcache/benchmarks/internal/peers"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/workload"
)

// options are the flags, parsed.
type options struct {
	work    *regexp.Regexp
	peers   []peers.Peer
	procs   []int
	rounds  int
	builds  int
	room    int
	slice   time.Duration
	collect bool
	list    bool
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("ratios: ")
	o, err := parse(os.Args[1:])
	if err != nil {
		log.Fatal(err)
	}
	if o.list {
		for _, name := range o.names() {
			fmt.Println(name)
		}
		return
	}
	if err := o.run(newTable(os.Stdout)); err != nil {
		log.Fatal(err)
	}
}

// parse reads the command line.
func parse(args []string) (*options, error) {
	o := new(options)
	set := flag.NewFlagSet("ratios", flag.ExitOnError)
	work := set.String("work", ".", "measure workloads whose names match this `regexp`")
	impl := set.String("impl", "dualcache,otter,map",
		"compare the first of this `list` with the others; known: "+peers.List())
	procs := set.String("p", "1,2", "values of GOMAXPROCS, a comma-separated `list`")
	set.IntVar(&o.rounds, "rounds", 41, "slices per implementation, or collections in gc")
	set.IntVar(&o.builds, "builds", 1, "times to build the caches anew, with -rounds each")
	set.IntVar(&o.room, "room", 0, "make caches of get and set larger than their keys by this `percentage`")
	set.DurationVar(&o.slice, "slice", 40*time.Millisecond, "length of a slice")
	set.BoolVar(&o.collect, "collect", false, "force a garbage collection before every slice")
	set.BoolVar(&o.list, "list", false, "print the names of the workloads and exit")
	if err := set.Parse(args); err != nil {
		return nil, err
	}
	if set.NArg() > 0 || o.rounds < 1 || o.builds < 1 || o.room < 0 || o.slice <= 0 {
		return nil, fmt.Errorf("bad arguments; see -help")
	}
	var err error
	if o.work, err = regexp.Compile(*work); err != nil {
		return nil, err
	}
	if o.peers, err = peers.Select(*impl); err != nil {
		return nil, err
	}
	o.procs, err = positive(*procs)
	return o, err
}

// positive parses a comma-separated list of positive numbers.
func positive(list string) ([]int, error) {
	var numbers []int
	for _, field := range strings.Split(list, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(field))
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%q is not a positive number", field)
		}
		numbers = append(numbers, n)
	}
	return numbers, nil
}

// A report measures something and prints it.
type report struct {
	name string
	run  func(o *options, t *table)
}

// reports returns everything that can be measured, in order.
func reports() []report {
	var list []report
	for _, w := range workload.All() {
		list = append(list, report{w.Name, func(o *options, t *table) { o.throughput(w, t) }})
	}
	for _, w := range workload.Tails() {
		list = append(list, report{w.Name, func(o *options, t *table) { o.tail(w, t) }})
	}
	return append(list,
		report{"gc", (*options).collections},
		report{"heap", (*options).heap},
		report{"small", (*options).small})
}

// names returns the names of the selected reports.
func (o *options) names() []string {
	var names []string
	for _, r := range reports() {
		if o.work.MatchString(r.name) {
			names = append(names, r.name)
		}
	}
	return names
}

// run measures what is selected, one thing at a time.
func (o *options) run(t *table) error {
	names := o.names()
	if len(names) == 0 {
		return fmt.Errorf("no workload matches %q", o.work)
	}
	fmt.Fprintf(t.w, "# %s %s/%s, %d CPUs; %d rounds of %v on %d builds; ratio: %s against impl, median and quartiles\n",
		runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(),
		o.rounds, o.slice, o.builds, o.peers[0].Name)
	for _, r := range reports() {
		if slices.Contains(names, r.name) {
			r.run(o, t)
			runtime.GC()
		}
	}
	return nil
}

// Command policysearch compares variants of the two-region policy on sets of
// streams, in the simulator.
//
//	go run ./cmd/policysearch -traces /path/to/traces Step=0.05 Step=0.05,Window=0.01 Fade=16
//
// A variant names the fields of sim.Params in which it differs from the base.
// For each set the output has the mean hit ratio of the base, and by how much
// each variant changes it, with the worst change of all. Streams weigh the same
// whatever their lengths, and so do sizes.
//
// A variant is tuned on one set; what it is worth, the others tell. Of these
// "held" are traces, "generated" and "fresh" are made up.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/dualcache-ff/dualcache/benchmarks/internal/sim"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/streams"
)

// sizes are the capacities, in percent of the distinct keys.
var sizes = []float64{0.5, 1, 2, 5, 10, 20, 40}

// sets are files below the directory of traces, without their ending, or
// generators.
var sets = map[string][]string{
	"tuned": {"arc-oltp", "clickbench", "domains", "lirs-multi2", "lirs-gli", "mooncake-conversation"},
	"held":  {"c2k-web07", "corda", "adaptsize", "lirs-2_pools", "lirs-sprite", "lirs-loop"},
	"generated": {
		"zipf:n=20000,length=300000",
		"zipf:n=20000,s=0.7,length=300000",
		"moving:n=20000,period=20,length=300000",
		"moving:n=20000,period=5,length=300000",
		"moving:n=20000,s=1.1,period=4000,jump=2000,length=300000",
		"scan:n=20000,gap=15000,scan=5000,length=300000",
		"loop:n=20000,loop=4000,length=300000",
		"loop:n=20000,loop=1000,part=0.3,length=300000",
		"wonders:n=20000,length=300000",
		"news:n=20000,length=300000",
		"news:n=20000,s=0.8,period=30,length=300000",
	},
	"fresh": {
		"zipf:n=50000,s=1,length=500000,seed=7",
		"zipf:n=50000,s=0.8,length=500000,seed=8",
		"moving:n=50000,s=0.8,period=12,length=500000,seed=9",
		"moving:n=30000,s=1,period=100,length=500000,seed=9",
		"moving:n=50000,s=0.9,period=20000,jump=17000,length=500000,seed=10",
		"scan:n=50000,s=1,gap=5000,scan=5000,length=500000,seed=11",
		"scan:n=30000,s=0.8,gap=60000,scan=20000,length=500000,seed=12",
		"loop:n=50000,loop=8000,part=0.7,length=500000,seed=13",
		"loop:n=30000,loop=2500,part=0.2,length=500000,seed=14",
		"wonders:n=50000,s=1,part=0.3,length=500000,seed=15",
		"wonders:n=20000,s=0.8,part=0.7,length=500000,seed=16",
		"news:n=50000,s=0.9,period=15,length=500000,seed=17",
		"news:n=5000,s=0.6,period=50,length=500000,seed=18",
	},
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("policysearch: ")
	directory := flag.String("traces", ".", "`directory` of the traces")
	list := flag.String("sets", "tuned,held,generated,fresh", "sets of streams, a comma-separated `list`")
	prescribed := flag.Bool("prescribed", false, "the base is policy.md, not the default")
	duel := flag.Bool("duel", false, "variants have miniature caches that duel, the base has not")
	verbose := flag.Bool("v", false, "print the changes stream by stream, at each size")
	flag.Parse()
	base := sim.DefaultParams()
	if *prescribed {
		base = sim.PrescribedParams()
	}
	s := search{out: os.Stdout, verbose: *verbose}
	if err := s.load(*directory, strings.Split(*list, ",")); err != nil {
		log.Fatal(err)
	}
	s.measureBase(base)
	for _, text := range flag.Args() {
		params, err := variant(base, text)
		if err != nil {
			log.Fatal(err)
		}
		s.compare(text, func(capacity int) sim.Policy {
			if *duel {
				return sim.NewDuel(capacity, params)
			}
			return sim.NewTwoRegion(capacity, params)
		})
	}
}

var assignment = regexp.MustCompile(`(\w+)=`)

// variant returns base with the fields that text assigns to changed.
func variant(base sim.Params, text string) (sim.Params, error) {
	object := "{" + assignment.ReplaceAllString(text, `"$1":`) + "}"
	decoder := json.NewDecoder(strings.NewReader(object))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&base); err != nil {
		return base, fmt.Errorf("variant %q: %w", text, err)
	}
	return base, nil
}

// A search compares variants with a base.
type search struct {
	out     io.Writer
	verbose bool
	sets    []set
}

// A set of streams, and the hit ratios of the base on each, by size.
type set struct {
	name    string
	streams []*streams.Stream
	base    [][]float64
}

func (s *search) load(directory string, names []string) error {
	for _, name := range names {
		specs, ok := sets[name]
		if !ok {
			return fmt.Errorf("unknown set %q", name)
		}
		loaded := set{name: name}
		for _, spec := range specs {
			if !strings.Contains(spec, ":") {
				spec = filepath.Join(directory, spec+".txt.gz")
			}
			stream, err := streams.Load(spec)
			if err != nil {
				return err
			}
			loaded.streams = append(loaded.streams, stream)
		}
		s.sets = append(s.sets, loaded)
	}
	return nil
}

// measureBase measures what the variants are compared with.
func (s *search) measureBase(params sim.Params) {
	fmt.Fprintf(s.out, "%-40s", "base")
	for i := range s.sets {
		set := &s.sets[i]
		mean := 0.0
		for _, stream := range set.streams {
			ratios := measure(stream, func(capacity int) sim.Policy { return sim.NewTwoRegion(capacity, params) })
			for _, ratio := range ratios {
				mean += ratio / float64(len(ratios)*len(set.streams))
			}
			set.base = append(set.base, ratios)
		}
		fmt.Fprintf(s.out, "  %s %.3f", set.name, mean)
	}
	fmt.Fprintln(s.out)
}

// measure returns the hit ratio in percent at each size.
func measure(stream *streams.Stream, build func(capacity int) sim.Policy) []float64 {
	var ratios []float64
	for _, size := range sizes {
		hits := sim.Replay(build(stream.Capacity(size)), stream.IDs)
		ratios = append(ratios, 100*float64(hits)/float64(len(stream.IDs)))
	}
	return ratios
}

// compare measures a variant and prints how it differs.
func (s *search) compare(name string, build func(capacity int) sim.Policy) {
	var details strings.Builder
	fmt.Fprintf(s.out, "%-40s", name)
	for _, set := range s.sets {
		mean, worst, where := 0.0, 0.0, "none"
		for i, stream := range set.streams {
			ratios := measure(stream, build)
			fmt.Fprintf(&details, "    %-60s", stream.Name)
			for j, ratio := range ratios {
				change := ratio - set.base[i][j]
				mean += change / float64(len(ratios)*len(set.streams))
				if change < worst {
					worst, where = change, fmt.Sprintf("%s at %g%%", stream.Name, sizes[j])
				}
				fmt.Fprintf(&details, " %+6.2f", change)
			}
			fmt.Fprintln(&details)
		}
		fmt.Fprintf(s.out, "  %s %+.3f (worst %+.2f, %s)", set.name, mean, worst, where)
	}
	fmt.Fprintln(s.out)
	if s.verbose {
		fmt.Fprint(s.out, details.String())
	}
}

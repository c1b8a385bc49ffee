package streams

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// A generator makes streams of one kind.
type generator struct {
	about    string
	defaults settings
	// start returns a function that gives the i-th key, for 0, 1, 2 and so on.
	start func(s settings, r *rand.Rand) (next func(i int) uint64)
}

// settings are the numbers that a generator can be given, by name.
type settings map[string]float64

// common settings: n is the number of keys that popularity is spread over, s
// the exponent of the Zipf law, length that of the stream.
func common(extra settings) settings {
	all := settings{"n": 100_000, "s": 0.9, "length": 1_000_000, "seed": 1}
	maps.Copy(all, extra)
	return all
}

// fresh is the lowest of the keys that are not among the n.
const fresh = 1 << 40

var generators = map[string]generator{
	"zipf": {
		"popularity after Zipf, for ever the same",
		common(nil), makeZipf,
	},
	"moving": {
		"Zipf; every period requests all keys move up by jump ranks, and those on top become the last",
		common(settings{"period": 50, "jump": 1}), makeMoving,
	},
	"scan": {
		"Zipf; after every gap requests, a run of scan keys that are never seen again",
		common(settings{"gap": 40_000, "scan": 10_000}), makeScan,
	},
	"loop": {
		"Zipf, but part of the requests go round a loop of loop other keys",
		common(settings{"loop": 20_000, "part": 0.5}), makeLoop,
	},
	"wonders": {
		"Zipf, but part of the requests are for keys that are never seen again",
		common(settings{"part": 0.5}), makeWonders,
	},
	"news": {
		"every period requests an item is born, and the newer it is the more it is read (Zipf over age)",
		common(settings{"s": 1.1, "period": 10}), makeNews,
	},
}

// Names returns the names of the generators.
func Names() []string { return slices.Sorted(maps.Keys(generators)) }

// Describe returns a line about a generator: what it makes, and its settings.
func Describe(name string) string {
	g := generators[name]
	var fields []string
	for _, key := range slices.Sorted(maps.Keys(g.defaults)) {
		fields = append(fields, fmt.Sprintf("%s=%g", key, g.defaults[key]))
	}
	return fmt.Sprintf("%s: %s (%s)", name, g.about, strings.Join(fields, ","))
}

// generates reports whether spec begins with the name of a generator.
func generates(spec string) bool {
	name, _, _ := strings.Cut(spec, ":")
	_, ok := generators[name]
	return ok
}

// Generate makes the stream that spec asks for: the name of a generator, and
// optionally settings that differ from its defaults, as in "zipf:n=5000,s=1.1".
func Generate(spec string) (*Stream, error) {
	name, list, _ := strings.Cut(spec, ":")
	g, ok := generators[name]
	if !ok {
		return nil, fmt.Errorf("unknown generator %q", name)
	}
	s, err := parseSettings(list, g.defaults)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", spec, err)
	}
	next := g.start(s, rand.New(rand.NewPCG(uint64(s["seed"]), uint64(s["n"]))))
	keys := make([]uint64, int(s["length"]))
	for i := range keys {
		keys[i] = next(i)
	}
	return renumber(spec, keys), nil
}

func parseSettings(list string, defaults settings) (settings, error) {
	s := maps.Clone(defaults)
	if list == "" {
		return s, nil
	}
	for _, field := range strings.Split(list, ",") {
		key, text, _ := strings.Cut(field, "=")
		if _, ok := defaults[key]; !ok {
			return nil, fmt.Errorf("unknown setting %q", key)
		}
		value, err := strconv.ParseFloat(text, 64)
		if err != nil || value < 0 {
			return nil, fmt.Errorf("%s is %q, want a number from 0", key, text)
		}
		s[key] = value
	}
	return s, s.validate()
}

// whole are the settings that count something, and most is the largest count.
var whole = []string{"n", "length", "period", "jump", "gap", "scan", "loop"}

const most = 1 << 30

func (s settings) validate() error {
	var errs []error
	for _, key := range whole {
		if v, ok := s[key]; ok && (v < 1 || v > most || v != math.Trunc(v)) {
			errs = append(errs, fmt.Errorf("%s is %g, want a whole number from 1 to %d", key, v, most))
		}
	}
	if s["part"] > 1 {
		errs = append(errs, fmt.Errorf("part is %g, want 0 to 1", s["part"]))
	}
	return errors.Join(errs...)
}

// zipf draws ranks from 0 whose probabilities are proportional to 1/(rank+1)^s.
type zipf struct {
	upTo []float64 // probability of this rank or a lower one, times the last
	r    *rand.Rand
}

func newZipf(s settings, r *rand.Rand) zipf {
	z := zipf{make([]float64, int(s["n"])), r}
	sum := 0.0
	for rank := range z.upTo {
		sum += math.Pow(float64(rank+1), -s["s"])
		z.upTo[rank] = sum
	}
	return z
}

func (z zipf) draw() uint64 {
	x := z.r.Float64() * z.upTo[len(z.upTo)-1]
	rank, _ := slices.BinarySearch(z.upTo, x)
	return uint64(min(rank, len(z.upTo)-1))
}

func makeZipf(s settings, r *rand.Rand) func(int) uint64 {
	z := newZipf(s, r)
	return func(int) uint64 { return z.draw() }
}

func makeMoving(s settings, r *rand.Rand) func(int) uint64 {
	z := newZipf(s, r)
	n, period, jump := uint64(s["n"]), int(s["period"]), uint64(s["jump"])
	return func(i int) uint64 { return (z.draw() + jump*uint64(i/period)) % n }
}

func makeScan(s settings, r *rand.Rand) func(int) uint64 {
	z := newZipf(s, r)
	gap, scan := int(s["gap"]), int(s["scan"])
	return func(i int) uint64 {
		if i%(gap+scan) < gap {
			return z.draw()
		}
		return fresh + uint64(i)
	}
}

func makeLoop(s settings, r *rand.Rand) func(int) uint64 {
	z := newZipf(s, r)
	loop, at := uint64(s["loop"]), uint64(0)
	return func(int) uint64 {
		if r.Float64() >= s["part"] {
			return z.draw()
		}
		at++
		return fresh + at%loop
	}
}

func makeWonders(s settings, r *rand.Rand) func(int) uint64 {
	z := newZipf(s, r)
	return func(i int) uint64 {
		if r.Float64() >= s["part"] {
			return z.draw()
		}
		return fresh + uint64(i)
	}
}

func makeNews(s settings, r *rand.Rand) func(int) uint64 {
	z := newZipf(s, r)
	period := int(s["period"])
	return func(i int) uint64 { return fresh + uint64(i/period) - z.draw() }
}

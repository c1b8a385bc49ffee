// Package workload says what is measured and drives it.
//
// A workload is an operation on keys of one type, drawn from a universe of
// keys, on a cache of one capacity. The same list serves the benchmarks and
// the ratio command, so that both mean the same thing by a name. Loading a
// workload makes its key stream; building it makes one cache and warms it with
// that stream, never in the order of popularity, which would hand every policy
// its answer.
package workload

import (
	"fmt"
	"slices"

	"github.com/dualcache-ff/dualcache/benchmarks/internal/keys"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/peers"
)

// Batch is the number of operations between two looks at the clock.
const Batch = 1024

// fillBatch is the number of keys stored between two settlings when filling;
// it stays below the length of every queue that drops.
const fillBatch = 16 * Batch

// An Op is what a workload does with each key of its stream.
type Op int

// The operations: reading, writing, reading and writing at random, and reading
// with a write on every miss.
const (
	Get Op = iota
	Set
	Mixed
	Churn
)

// A Pattern is the order in which keys are asked for.
type Pattern int

// Zipf draws keys by popularity. OneKey asks for the same key always. Scan is,
// at random, one half Zipf on a hot set of half the capacity, and one half a
// walk through all other keys, one after another.
const (
	Zipf Pattern = iota
	OneKey
	Scan
)

// theKey is the number of the key that OneKey asks for.
const theKey = 1

// A Workload describes one measurement.
type Workload struct {
	Name string
	Op   Op
	peers.Shape
	Pattern  Pattern
	Capacity int
	Universe int  // The number of distinct keys.
	Reads    int  // For Mixed, the reads in a hundred operations.
	Draws    int  // The length of the stream, a power of two, or 0 for a good one.
	Full     bool // Start full, even if not all keys have room, and warm in one pass.
}

// Gets returns the workloads that read resident keys.
func Gets() []Workload {
	var list []Workload
	for _, key := range []string{"uint64", "string"} {
		for _, capacity := range []int{10_000, 100_000, 1_000_000} {
			list = append(list, resident("get", Get, key, capacity))
		}
	}
	return list
}

// Sets returns the workloads that write resident keys.
func Sets() []Workload {
	return []Workload{
		resident("set", Set, "uint64", 10_000),
		resident("set", Set, "uint64", 1_000_000),
	}
}

// Mixes returns the workloads that read and write with evictions.
func Mixes() []Workload {
	return []Workload{mixed("mixed", 90), mixed("mixed", 50), mixed("mixed", 10)}
}

// Churns returns the cache-aside workload.
func Churns() []Workload {
	return []Workload{{
		Name: "churn", Op: Churn, Shape: ints,
		Capacity: 100_000, Universe: 1_000_000,
	}}
}

// Tails returns the workloads whose latencies are examined.
func Tails() []Workload {
	return []Workload{mixed("tail", 90), mixed("tail", 50)}
}

// All returns the workloads whose throughput is measured.
func All() []Workload {
	list := append(Gets(), Sets()...)
	list = append(list, Mixes()...)
	return append(list, Churns()...)
}

// ints is the shape of most workloads.
var ints = peers.Shape{Key: "uint64", Value: 8}

func resident(name string, op Op, key string, capacity int) Workload {
	return Workload{
		Name: fmt.Sprintf("%s/%s/%s", name, key, Short(capacity)), Op: op, Shape: peers.Shape{Key: key, Value: 8},
		Capacity: capacity, Universe: capacity,
	}
}

func mixed(name string, reads int) Workload {
	const capacity = 131_072
	return Workload{
		Name: fmt.Sprintf("%s/%d", name, reads), Op: Mixed, Shape: ints,
		Capacity: capacity, Universe: 8 * capacity, Reads: reads,
	}
}

// Short writes a capacity the short way, as 10k or 1m.
func Short(n int) string {
	switch {
	case n >= 1_000_000 && n%1_000_000 == 0:
		return fmt.Sprintf("%dm", n/1_000_000)
	case n >= 1000 && n%1000 == 0:
		return fmt.Sprintf("%dk", n/1000)
	}
	return fmt.Sprint(n)
}

// A Load is a workload with its key stream.
type Load struct {
	Workload
	ids   []uint32 // Its length is a power of two.
	names []string // The string keys, if it has any.
}

// Load makes the key stream.
func (w Workload) Load() *Load {
	draws := w.Draws
	if draws == 0 {
		draws = streamLength(w.Universe)
	}
	l := &Load{Workload: w, ids: w.stream(draws)}
	if w.Op == Mixed {
		keys.MarkWrites(l.ids, w.Reads)
	}
	if w.Key == "string" {
		l.names = keys.Strings(w.Universe)
	}
	return l
}

// stream returns the numbers of the keys to ask for.
func (w Workload) stream(draws int) []uint32 {
	switch w.Pattern {
	case OneKey:
		return slices.Repeat([]uint32{theKey}, draws)
	case Scan:
		return keys.Scan(w.Capacity/2, w.Universe, draws)
	}
	return keys.Zipf(w.Universe, draws)
}

// streamLength returns how many keys to draw: enough that few of the rarer
// keys are left out.
func streamLength(universe int) int {
	if universe < 1_000_000 {
		return 1 << 20
	}
	return 1 << 22
}

// Resident reports whether all keys of the workload have room in the cache.
func (w Workload) Resident() bool { return w.Universe <= w.Capacity }

// Excludes returns why an implementation has no part in the workload, or
// nothing if it has.
func (w Workload) Excludes(p peers.Peer) string {
	switch {
	case p.Floor && !w.Resident():
		return "it never evicts"
	case !p.Takes(w.Shape):
		return fmt.Sprintf("it does not take %s keys with values of %d bytes", w.Key, w.Value)
	}
	return ""
}

// Build makes a cache of the given implementation and warms it. The pass that
// stores what it misses comes second, for caches that make room a little early
// and would otherwise be left without some key or other of great popularity.
func (l *Load) Build(peer peers.Peer) peers.Cache {
	c := l.Empty(peer)
	if l.Resident() || l.Full {
		Fill(c, min(l.Capacity, l.Universe))
	}
	l.passAside(c)
	if !l.Full {
		l.pass(c)
	}
	c.Settle()
	return c
}

// Held returns how many keys of the workload are in the cache.
func (l *Load) Held(c peers.Cache) int {
	held := 0
	ids := make([]uint32, min(l.Universe, fillBatch))
	for first := 0; first < l.Universe; first += fillBatch {
		held += c.Get(numbers(ids, first, l.Universe)).Hits
	}
	return held
}

// numbers fills ids with the numbers from first on, below n.
func numbers(ids []uint32, first, n int) []uint32 {
	ids = ids[:min(len(ids), n-first)]
	for i := range ids {
		ids[i] = uint32(first + i)
	}
	return ids
}

// Empty makes a cache with nothing in it.
func (l *Load) Empty(peer peers.Peer) peers.Cache {
	return peer.New(l.Capacity, l.Shape, l.names)
}

// Fill stores the numbers below n, in an order unrelated to popularity.
func Fill(c peers.Cache, n int) {
	ids := make([]uint32, min(n, fillBatch))
	for first := 0; first < n; first += fillBatch {
		c.Set(numbers(ids, first, n))
		c.Settle()
	}
}

// passAside goes through the stream once as a cache-aside reader.
func (l *Load) passAside(c peers.Cache) {
	var plain [Batch]uint32
	for at := 0; at < len(l.ids); at += Batch {
		for i, id := range l.Part(at, Batch) {
			plain[i] = id &^ keys.WriteBit
		}
		c.Churn(plain[:])
	}
}

// pass goes through the stream once as the workload does.
func (l *Load) pass(c peers.Cache) {
	for at := 0; at < len(l.ids); at += Batch {
		l.Step(c, l.Part(at, Batch))
	}
}

// Part returns n keys of the stream, at most Batch, from position at rounded
// down to a batch. The stream repeats itself without end.
func (l *Load) Part(at, n int) []uint32 {
	at &= len(l.ids) - Batch
	return l.ids[at:][:n]
}

// At returns the key at a position of the stream, which repeats itself.
func (l *Load) At(at int) []uint32 {
	at &= len(l.ids) - 1
	return l.ids[at:][:1]
}

// Step performs the operation on every key of part.
func (l *Load) Step(c peers.Cache, part []uint32) peers.Tally {
	switch l.Op {
	case Get:
		return c.Get(part)
	case Set:
		return c.Set(part)
	case Mixed:
		return c.Mixed(part)
	default:
		return c.Churn(part)
	}
}

// Start returns where in the stream one of several workers begins: workers are
// spread evenly, all shifted by the same offset.
func (l *Load) Start(worker, workers, offset int) int {
	return offset + worker*(len(l.ids)/workers)
}

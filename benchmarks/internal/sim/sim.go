// Package sim replays key streams through eviction policies, exactly.
//
// A policy here is the bare decision of which keys to keep: one thread, no
// values, no deadlines, no hit that comes late or gets lost. What a concurrent
// cache loses against its own policy in here is the price of its concurrency.
//
// Every policy is made for a capacity in entries and is then asked for one key
// after another. A request is cache-aside: it looks for the key, and puts it in
// if it is not there. Replay counts the hits.
//
// Policies find a key's entry by way of a directory, which is fastest when keys
// are small numbers; package streams renumbers them so.
package sim

import (
	"fmt"
	"strings"
)

// A Policy keeps at most as many keys as its capacity.
type Policy interface {
	// Request asks for a key and reports whether it was there. If not, it may
	// be from now on.
	Request(key uint64) (hit bool)
	// Len returns the number of keys that are there.
	Len() int
}

// A Maker makes policies of one kind.
type Maker struct {
	Name string
	// New makes an empty policy. Only the optimum looks at the keys, which
	// must be all those that it will be asked for, in order.
	New func(capacity int, keys []uint32) Policy
}

// Makers lists the policies in the order in which they are reported.
var Makers = []Maker{
	{"sim-lru", func(capacity int, _ []uint32) Policy { return NewLRU(capacity) }},
	{"sim-s3fifo", func(capacity int, _ []uint32) Policy { return NewS3FIFO(capacity) }},
	{"sim-wtinylfu", func(capacity int, _ []uint32) Policy { return NewWTinyLFU(capacity) }},
	{"sim-prescribed", func(capacity int, _ []uint32) Policy { return NewTwoRegion(capacity, PrescribedParams()) }},
	{"sim-tworegion", func(capacity int, _ []uint32) Policy { return NewTwoRegion(capacity, DefaultParams()) }},
	{"sim-duel", func(capacity int, _ []uint32) Policy { return NewDuel(capacity, DefaultParams()) }},
	{"optimum", func(capacity int, keys []uint32) Policy { return NewOptimum(capacity, keys) }},
}

// Select returns the makers of a comma-separated list of names, in the order of
// the list.
func Select(list string) ([]Maker, error) {
	var selected []Maker
	for _, name := range strings.Split(list, ",") {
		m, ok := Find(strings.TrimSpace(name))
		if !ok {
			return nil, fmt.Errorf("unknown policy %q", name)
		}
		selected = append(selected, m)
	}
	return selected, nil
}

// Find returns the maker of the given name.
func Find(name string) (Maker, bool) {
	for _, m := range Makers {
		if m.Name == name {
			return m, true
		}
	}
	return Maker{}, false
}

// Replay asks for all keys in order and returns the number of hits.
func Replay(p Policy, keys []uint32) (hits int) {
	for _, key := range keys {
		if p.Request(uint64(key)) {
			hits++
		}
	}
	return hits
}

// none stands for no slot.
const none = -1

// mustCapacity refuses what no cache can be built for: a mistake in the
// program, as the command line has been checked before.
func mustCapacity(capacity int) {
	if capacity < 1 {
		panic(fmt.Sprintf("sim: capacity is %d, want 1 or more", capacity))
	}
}

// hash scatters a key over 64 bits: three rounds of shifting and multiplying by
// odd constants (the finaliser of SplitMix, OOPSLA '14).
func hash(key uint64) uint64 {
	key += 0x9e3779b97f4a7c15
	key = (key ^ key>>30) * 0xbf58476d1ce4e5b9
	key = (key ^ key>>27) * 0x94d049bb133111eb
	return key ^ key>>31
}

// scale maps a hash evenly to the numbers below n, by way of its high half.
func scale(h uint64, n int) int { return int(h >> 32 * uint64(n) >> 32) }

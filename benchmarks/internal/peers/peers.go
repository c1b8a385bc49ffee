// Package peers puts every measured implementation behind one interface.
//
// The interface is crossed once per thousand operations, not once per
// operation: each method runs a whole batch in a loop written out for the
// concrete type (loops.go, made by gen). What differs between implementations
// beyond spelling is how they are built, which is what this file and its
// neighbours document. All are built with nothing but their capacity, as their
// documentation suggests, and every entry has a cost of one.
//
// Statistics: dualcache and theine always count hits and misses. Otter and
// ristretto count only on request, and are left at that default.
package peers

import (
	"fmt"
	"strings"

	"github.com/dualcache-ff/dualcache/benchmarks/internal/histogram"
)

//go:generate go run ./gen

// A Cache runs batches of operations on the keys of the given numbers.
type Cache interface {
	// Get reads every key.
	Get(ids []uint32) Tally
	// Set writes every key.
	Set(ids []uint32) Tally
	// Mixed writes the keys marked with keys.WriteBit and reads the others.
	Mixed(ids []uint32) Tally
	// Churn reads every key and writes those it misses.
	Churn(ids []uint32) Tally
	// Tail is Mixed, timing every single operation into h.
	Tail(ids []uint32, h *histogram.Histogram) Tally
	// Settle waits until deferred work, if there is any, has been done.
	Settle()
	// Close stops background goroutines, if there are any.
	Close()
}

// Tally is what a batch saw: reads, hits among them, and the sum of the values
// read, which keeps the compiler from leaving out the loads.
type Tally struct {
	Gets, Hits int
	Sum        uint64
}

// Add adds the counts of other.
func (t *Tally) Add(other Tally) {
	t.Gets += other.Gets
	t.Hits += other.Hits
	t.Sum += other.Sum
}

// HitRatio returns the hits per hundred reads, 0 if there were none.
func (t Tally) HitRatio() float64 {
	if t.Gets == 0 {
		return 0
	}
	return 100 * float64(t.Hits) / float64(t.Gets)
}

// A Peer is one implementation.
type Peer struct {
	Name    string
	Ints    func(capacity int) Cache
	Strings func(capacity int, names []string) Cache
}

// All lists the implementations in the order in which they are reported.
var All = []Peer{dualPeer, otterPeer, theinePeer, ristrettoPeer, xsyncPeer}

// Select returns the implementations of a comma-separated list of names, in
// the order of the list.
func Select(list string) ([]Peer, error) {
	var selected []Peer
	for _, name := range strings.Split(list, ",") {
		peer, err := find(strings.TrimSpace(name))
		if err != nil {
			return nil, err
		}
		selected = append(selected, peer)
	}
	return selected, nil
}

// find returns the implementation of the given name.
func find(name string) (Peer, error) {
	for _, peer := range All {
		if peer.Name == name {
			return peer, nil
		}
	}
	return Peer{}, fmt.Errorf("unknown implementation %q", name)
}

// must returns c and panics on err: the configurations are constants, and a
// refused one leaves nothing to measure.
func must[C any](c C, err error) C {
	if err != nil {
		panic(err)
	}
	return c
}

// Package peers puts every measured implementation behind one interface.
//
// The interface is crossed once per thousand operations, not once per
// operation: each method runs a whole batch in a loop written out for the
// concrete type (loops_*.go, made by gen). What differs between implementations
// beyond spelling is how they are built, which is what this file and its
// neighbours document. All are built with nothing but their capacity, as their
// documentation suggests, and every entry has a cost of one.
//
// Not every implementation can do everything. A Floor never evicts, and one may
// take keys of one type only; Takes and Floor say so, and what an
// implementation cannot do it is left out of.
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

// Values of more than a word are arrays, so that they have a size of their own
// and are copied in and out by everyone. The first word is the key's number.
type (
	Value64  [8]uint64
	Value256 [32]uint64
)

// A Shape is what keys and values look like.
type Shape struct {
	Key   string // "uint64" or "string".
	Value int    // The bytes of a value: 8, 64 or 256, beside strings only 8.
}

// A Peer is one implementation.
type Peer struct {
	Name   string
	Module string // Where it is from, empty for what is made of the standard library.
	Floor  bool   // It is no cache but a map, and never evicts.

	// One constructor a Shape, nil if there is none.
	Ints, Ints64, Ints256 func(capacity int) Cache
	Strings               func(capacity int, names []string) Cache
}

// New returns an empty cache. The names are those of the keys, if they are
// strings. It panics if the implementation does not take the shape.
func (p Peer) New(capacity int, s Shape, names []string) Cache {
	if s.Key == "string" {
		return p.Strings(capacity, names)
	}
	return p.ints(s.Value)(capacity)
}

// Takes reports whether the implementation takes keys and values of a shape.
func (p Peer) Takes(s Shape) bool {
	if s.Key == "string" {
		return p.Strings != nil && s.Value == 8
	}
	return p.ints(s.Value) != nil
}

// ints returns the constructor for uint64 keys and values of so many bytes.
func (p Peer) ints(bytes int) func(capacity int) Cache {
	switch bytes {
	case 8:
		return p.Ints
	case 64:
		return p.Ints64
	case 256:
		return p.Ints256
	}
	return nil
}

// All lists the implementations in the order in which they are reported.
var All = []Peer{
	dualPeer, otterPeer, theinePeer, ristrettoPeer,
	lruPeer, twoQueuePeer, arcPeer, ttlPeer, sturdycPeer,
	xsyncPeer, mutexPeer, syncPeer,
}

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

// Names returns the names of all implementations.
func Names() []string {
	names := make([]string, len(All))
	for i, peer := range All {
		names[i] = peer.Name
	}
	return names
}

// List is Names in one line.
func List() string { return strings.Join(Names(), ", ") }

// find returns the implementation of the given name; "map" is short for the
// first of the maps.
func find(name string) (Peer, error) {
	if name == "map" {
		name = xsyncPeer.Name
	}
	for _, peer := range All {
		if peer.Name == name {
			return peer, nil
		}
	}
	return Peer{}, fmt.Errorf("unknown implementation %q; there are %s", name, List())
}

// must returns c and panics on err: the configurations are constants, and a
// refused one leaves nothing to measure.
func must[C any](c C, err error) C {
	if err != nil {
		panic(err)
	}
	return c
}

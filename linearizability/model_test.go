package linearizability

import (
	"fmt"
	"math"
	"time"

	"github.com/anishathalye/porcupine"
)

// The model: one register for each key.
//
// G1 promises a register that may become empty by itself. Call it R. Between
// any two operations R may step from a value to empty, and nobody sees the
// step. R is nondeterministic, and a checker that followed it would have to try
// an eviction at every point of every order. It need not. Let D be the
// deterministic register that evicts as late as it can, namely when an
// operation finds nothing:
//
//	Set v          always legal          then holds v
//	Get, hit v     legal if D holds v    then holds v
//	Get, miss      always legal          then empty
//	Delete, true   legal if D holds      then empty
//	Delete, false  always legal          then empty
//	Clear          always legal          then empty
//
// Claim: R and D accept the same sequences of operations, so the same
// concurrent histories are linearizable against either (a history is
// linearizable when some order of its operations, true to real time, is
// accepted; the evictions are no operations and are bound to no time).
//
// What D accepts, R accepts: let R evict just before each miss or false Delete
// that meets a value, and at no other time; then both are in the same state
// throughout.
//
// What R accepts, D accepts: run D beside R's accepting run. At every moment R
// is empty, or both hold the same value (J). This holds at the start. A Set
// makes both hold v. A hit v means that R holds v; by (J) so does D, and
// accepts. A miss leaves both empty; D always accepts it. A true Delete means
// that R holds a value, so D does; both end empty. A false Delete and a Clear
// leave both empty. An eviction empties R, and leaves D as it is: (J) allows
// that. TestModelIsExact holds D against R as a porcupine
// NondeterministicModel, on random histories of both verdicts.
//
// The point of it all is the word "then empty" behind a miss. The lenient
// model, in which a miss changes nothing because "anything may be evicted",
// accepts a key that is missed and found again without a Set: a flicker. It
// suits a test that has no better one; here it serves as the control that shows
// what would slip through (rules.flickers).
//
// Caches that have room for all their keys are held to the strict register,
// which becomes empty by Delete, Clear and expiry only (rules.evicts is false).
//
// Deadlines. A Set with a time to live fixes a deadline D somewhere between
// call+ttl and return+ttl; where, only the cache knows. From it the model
// takes two bounds, by the same monotonic clock that the cache reads: an
// operation that begins at return+ttl or later must not find the value (G11);
// under the strict register, an operation that ends before call+ttl must. In
// between the first that finds nothing empties the register, which makes the
// deadline one moment and not several. Every test looks at one operation's own
// interval, so a correct cache is never rejected; that bounds of several
// overlapping operations might contradict each other is not looked for.
//
// Keys are independent objects, and linearizability is local (Herlihy and Wing,
// 1990): a history is linearizable when each key's part of it is. Clear is
// promised to be atomic for each key only; so it takes part in each key's
// history as an operation of its own, with the interval of the whole Clear.
//
// Values are unique among the Sets of a key, so that a hit names its Set.

type kind uint8

const (
	opGet kind = iota
	opSet
	opSetWithTTL
	opDelete
	opClear
)

// everyKey is the key of a Clear.
const everyKey = -1

// A record is one operation of a history: its arguments and, once it has
// returned, its results.
type record struct {
	client int
	kind   kind
	key    int
	id     uint64        // of the value set or found; 0 is none
	ttl    time.Duration // of a Set; 0 is for ever, and less deletes

	ok        bool // of Get and Delete
	torn      bool // a Get found a value that no Set wrote
	call, ret int64
}

// rules are the variants of the model.
type rules struct {
	evicts   bool // values may leave by themselves
	flickers bool // control: a miss says nothing
	timeless bool // control: a value may be found after its deadline
}

// step is D. held is the record of the Set whose value the register holds, or
// nil.
func (m rules) step(held, r *record) (legal bool, then *record) {
	switch r.kind {
	case opGet:
		if r.ok {
			return held != nil && held.id == r.id && m.mayLive(held, r), held
		}
		if m.flickers {
			return true, held
		}
		return m.mayBeAbsent(held, r), nil
	case opSet:
		return true, r
	case opSetWithTTL:
		if r.ttl < 0 {
			return true, nil
		}
		return true, r
	case opDelete:
		if r.ok {
			return held != nil && m.mayLive(held, r), nil
		}
		return m.mayBeAbsent(held, r), nil
	default:
		return true, nil
	}
}

// mayLive reports whether r may find what held has set: it does not begin at
// the last possible deadline or later.
func (m rules) mayLive(held, r *record) bool {
	return m.timeless || held.ttl == 0 || r.call < after(held.ret, held.ttl)
}

// mayBeAbsent reports whether r may find nothing.
func (m rules) mayBeAbsent(held, r *record) bool {
	return held == nil || m.evicts || held.ttl != 0 && r.ret >= after(held.call, held.ttl)
}

// after adds without overflow.
func after(at int64, d time.Duration) int64 {
	if int64(d) > math.MaxInt64-at {
		return math.MaxInt64
	}
	return at + int64(d)
}

// model is D for porcupine. Its states are *record, so that == compares them.
func (m rules) model() porcupine.Model {
	return porcupine.Model{
		Partition: partition,
		Init:      func() any { return (*record)(nil) },
		Step: func(state, input, _ any) (bool, any) {
			legal, then := m.step(state.(*record), input.(*record))
			return legal, then
		},
		DescribeOperation: func(input, _ any) string { return input.(*record).String() },
		DescribeState:     describeState,
	}
}

// nondeterministic is R: any state may also be left for empty, before the
// operation.
func (m rules) nondeterministic() porcupine.Model {
	strict := rules{timeless: m.timeless}
	nm := porcupine.NondeterministicModel{
		Init: func() []any { return []any{(*record)(nil)} },
		Step: func(state, input, _ any) (states []any) {
			for _, held := range []*record{state.(*record), nil} {
				if legal, then := strict.step(held, input.(*record)); legal {
					states = append(states, then)
				}
			}
			return states
		},
	}
	return nm.ToModel()
}

// partition gives each key its operations and every Clear.
func partition(history []porcupine.Operation) [][]porcupine.Operation {
	var clears []porcupine.Operation
	var parts [][]porcupine.Operation
	place := map[int]int{}
	for _, op := range history {
		key := op.Input.(*record).key
		if key == everyKey {
			clears = append(clears, op)
			continue
		}
		i, ok := place[key]
		if !ok {
			i = len(parts)
			place[key] = i
			parts = append(parts, nil)
		}
		parts[i] = append(parts[i], op)
	}
	for i := range parts {
		parts[i] = append(parts[i], clears...)
	}
	return parts
}

func operations(records []*record) []porcupine.Operation {
	ops := make([]porcupine.Operation, len(records))
	for i, r := range records {
		ops[i] = porcupine.Operation{ClientId: r.client, Input: r, Call: r.call, Output: r, Return: r.ret}
	}
	return ops
}

func (r *record) String() string {
	switch r.kind {
	case opGet:
		switch {
		case r.torn:
			return fmt.Sprintf("Get(%d): torn value", r.key)
		case r.ok:
			return fmt.Sprintf("Get(%d): %d", r.key, r.id)
		}
		return fmt.Sprintf("Get(%d): miss", r.key)
	case opSet:
		if r.ttl != 0 {
			return fmt.Sprintf("Set(%d, %d) for %v", r.key, r.id, r.ttl)
		}
		return fmt.Sprintf("Set(%d, %d)", r.key, r.id)
	case opSetWithTTL:
		return fmt.Sprintf("SetWithTTL(%d, %d, %v)", r.key, r.id, r.ttl)
	case opDelete:
		return fmt.Sprintf("Delete(%d): %v", r.key, r.ok)
	default:
		return "Clear"
	}
}

func describeState(state any) string {
	if held := state.(*record); held != nil {
		return fmt.Sprint(held.id)
	}
	return "empty"
}

package linearizability

import (
	"fmt"
	"math"
	"slices"
	"strings"
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
// Values are unique among the writes of a key, so that a hit names its write.
//
// Operations that read and write are one step: Compute holds what its function was
// given (last) to be the register's value, or absence, at the moment of its write. An
// operation on many keys promises no more than each key's own part of it, so it is
// recorded as one operation for each, with the interval of the whole. DeleteFunc is a
// read of each entry until its function is called with it, and from then to the next
// call a removal of that very value, if it is still there. An iteration is a read of
// each key: a key that it does not show must have been absent at some moment of it.
//
// Loads. The register has, beside its value, the key's current load, or none.
//
//	begin L        legal where a miss is     then empty, L is current
//	begin L again  (a Refresh) always legal  L is current
//	finish L       always legal              then holds what L loaded, if L is current
//	joined L       legal if L is current     unchanged
//
// and every write, Delete and Clear leaves no load current. Begin and finish are
// operations of their own: begin lies between the call of GetOrLoad or Refresh and
// that of the loader, finish between the loader's return and theirs. So a load stores
// only if nothing has come since it began, and nobody who comes later joins it (G12):
// both exactly. A load may be joined until its leader returns. A load that is current
// need not store what it got, because keys may be taken for one another (load.go);
// this is a second state that the register may be in, and the model is run on the set
// of both. A register that is empty and one that has just been given a value differ
// by an eviction only, so where there are evictions the one is left out.
//
// ExpireAfterAccess puts the deadline off: the state then has the latest access too.

type kind uint8

const (
	opGet kind = iota
	opPeek
	opContains
	opSet
	opSetWithTTL
	opDelete
	opGetAndDelete
	opClear
	opCompute
	opGetOrSet
	opGetOrLoad // in a model: one whose loader did not run
	opRefresh   // the same

	// Made of others, see step.parts.
	opGetMany
	opSetMany
	opGetOrLoadMany
	opDeleteFunc
	opAll
	kinds

	// Parts.
	opBegin
	opFinish
	opDeleteIf
	opTouch // perhaps an access, whose result is not known
)

// everyKey is the key of a Clear.
const everyKey = -1

// What a Compute does.
type doing uint8

const (
	doSet doing = iota
	doKeep
	doDelete
)

// A fate is how a loader ends.
type fate uint8

const (
	fateValue fate = iota
	fateAbsent
	fateError
	fatePanic
)

// A record is one operation of a history: its arguments and, once it has
// returned, its results.
type record struct {
	client int
	kind   kind
	key    int
	id     uint64        // of the value set or found; 0 is none. Of a load that failed: its own
	ttl    time.Duration // of what is set; 0 is for ever, and less deletes
	heavy  bool          // what is set is heavier than the cache
	does   doing         // of Compute
	fate   fate          // of a load
	reload bool          // a load by Refresh

	ok        bool    // of reads, Delete, GetOrSet; of Compute: the key has a value then
	was       uint64  // what Compute or GetOrSet found; 0 is nothing
	sure      bool    // DeleteIf is known to have removed the value
	load      *record // of a finish: the begin
	until     int64   // of a begin: when its leader returned
	seen      int64   // of a Set that is carried over: the last access
	odd       string  // a result that no order of operations explains
	call, ret int64
}

// rules are the variants of the model.
type rules struct {
	evicts   bool            // values may leave by themselves
	refuses  bool            // and may not be let in: all that are there are pinned
	idle     time.Duration   // ExpireAfterAccess
	flickers bool            // control: a miss says nothing
	timeless bool            // control: a value may be found after its deadline
	stale    map[uint64]bool // control: loads that are always current, by id
}

// A state is what a register may be in.
type state struct {
	held    *record // what wrote the value, or nil
	load    *record // the begin of the current load, or nil
	touched *record // the access that returned last, if accesses count
}

// step is D: it adds the states after r to a list.
func (m rules) step(s state, r *record, to []state) []state {
	absent := m.mayBeAbsent(s.held, r)
	hit := func(id uint64) bool { return s.held != nil && s.held.id == id && m.mayLive(s, r) }
	written := state{held: r}
	if r.heavy || r.ttl < 0 {
		written.held = nil
	}
	switch r.kind {
	case opGet, opPeek:
		switch {
		case r.ok && hit(r.id):
			return append(to, m.touch(s, r))
		case !r.ok && absent:
			return append(to, m.gone(s))
		}
	case opContains:
		switch {
		case r.ok && s.held != nil && m.mayLive(s, r):
			return append(to, s)
		case !r.ok && absent:
			return append(to, m.gone(s))
		}
	case opSet, opSetWithTTL:
		return append(to, written)
	case opDelete:
		if r.ok && s.held != nil && m.mayLive(s, r) || !r.ok && absent {
			return append(to, state{})
		}
	case opGetAndDelete:
		if r.ok && hit(r.id) || !r.ok && absent {
			return append(to, state{})
		}
	case opClear:
		return append(to, state{})
	case opCompute:
		if r.was != 0 && hit(r.was) || r.was == 0 && absent {
			return append(to, m.computed(s, r, written))
		}
	case opGetOrSet:
		switch {
		case r.ok && hit(r.was):
			return append(to, m.touch(s, r))
		case !r.ok && absent && written.held == nil:
			return append(to, m.gone(s)) // it changes nothing
		case !r.ok && absent && m.refuses:
			return append(to, written, m.gone(s))
		case !r.ok && absent:
			return append(to, written)
		}
	case opDeleteIf:
		return m.deleteIf(s, r, to)
	case opTouch:
		return append(to, m.touch(s, r))
	case opGetOrLoad, opRefresh:
		switch {
		case r.kind == opGetOrLoad && r.ok && hit(r.id):
			return append(to, m.touch(s, r))
		case m.stale[r.id] || s.load != nil && s.load.id == r.id && r.call <= s.load.until:
			return append(to, s)
		}
	case opBegin:
		if r.reload {
			s.load = r
			return append(to, s)
		}
		if absent {
			s = m.gone(s)
			s.load = r
			return append(to, s)
		}
	case opFinish:
		return m.finish(s, r, to)
	}
	return to
}

// gone is the state after a miss.
func (m rules) gone(s state) state {
	if !m.flickers {
		s.held, s.touched = nil, nil
	}
	return s
}

// touch is the state after a hit.
func (m rules) touch(s state, r *record) state {
	if m.idle > 0 && r.kind != opPeek && (s.touched == nil || s.touched.ret < r.ret) {
		s.touched = r
	}
	return s
}

// computed is the state after a Compute that was given what the register had.
func (m rules) computed(s state, r *record, written state) state {
	switch {
	case r.does == doKeep && r.was != 0:
		return m.touch(s, r)
	case r.does == doSet && r.ok:
		return written
	case r.was != 0 || r.does == doDelete || r.ttl < 0:
		return state{}
	default: // nothing was there, and nothing is
		return m.gone(s)
	}
}

// deleteIf: if the value may have been evicted before, the load may be current still.
func (m rules) deleteIf(s state, r *record, to []state) []state {
	if s.held == nil || s.held.id != r.id {
		if r.sure {
			return to
		}
		return append(to, s)
	}
	to = append(to, state{})
	if s.load != nil && !r.sure {
		to = append(to, state{load: s.load})
	}
	return to
}

// finish ends a load: it stores, if it may, and if it is not taken for disturbed.
func (m rules) finish(s state, r *record, to []state) []state {
	current := s.load == r.load || m.stale[r.id]
	worthless := r.fate == fateAbsent || r.fate == fateValue && (r.heavy || r.ttl < 0)
	if current && worthless && r.load.reload { // it takes the value out
		return append(to, s, state{load: s.load})
	}
	if !current || r.fate != fateValue || r.heavy || r.ttl < 0 {
		return append(to, s)
	}
	if s.held != nil || !m.evicts {
		to = append(to, s)
	}
	return append(to, state{held: r, load: s.load})
}

// mayLive reports whether r may find what the register holds: it does not begin at
// the last possible deadline or later.
func (m rules) mayLive(s state, r *record) bool {
	if m.timeless {
		return true
	}
	if m.idle > 0 {
		last := max(s.held.ret, s.held.seen)
		if s.touched != nil {
			last = max(last, s.touched.ret)
		}
		if r.call >= after(last, m.idle) {
			return false
		}
	}
	return s.held.ttl == 0 || r.call < after(s.held.ret, s.held.ttl)
}

// mayBeAbsent reports whether r may find nothing.
func (m rules) mayBeAbsent(held, r *record) bool {
	return held == nil || m.evicts || held.ttl != 0 && r.ret >= after(held.call, held.ttl) ||
		m.idle > 0 && r.ret >= after(held.call, m.idle)
}

// after adds without overflow.
func after(at int64, d time.Duration) int64 {
	if int64(d) > math.MaxInt64-at {
		return math.MaxInt64
	}
	return at + int64(d)
}

// model is D for porcupine. Its states are sets of states.
func (m rules) model() porcupine.Model {
	return porcupine.Model{
		Partition: partition,
		Init:      func() any { return []state{{}} },
		Step: func(from, input, _ any) (bool, any) {
			var to []state
			for _, s := range from.([]state) {
				to = m.step(s, input.(*record), to)
			}
			return len(to) > 0, distinct(to)
		},
		Equal:             func(a, b any) bool { return slices.Equal(a.([]state), b.([]state)) },
		DescribeOperation: func(input, _ any) string { return input.(*record).String() },
		DescribeState:     describeState,
	}
}

// distinct leaves out what has been there before.
func distinct(all []state) []state {
	n := 0
	for _, s := range all {
		if !slices.Contains(all[:n], s) {
			all[n] = s
			n++
		}
	}
	return all[:n]
}

// nondeterministic is R: any state may also be left for empty, before the
// operation.
func (m rules) nondeterministic() porcupine.Model {
	strict := rules{timeless: m.timeless}
	nm := porcupine.NondeterministicModel{
		Init: func() []any { return []any{state{}} },
		Step: func(from, input, _ any) (states []any) {
			s := from.(state)
			for _, s := range []state{s, {load: s.load}} {
				for _, then := range strict.step(s, input.(*record), nil) {
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
	if r.odd != "" {
		return fmt.Sprintf("%s(%d): %s", names[r.kind], r.key, r.odd)
	}
	result := "nothing"
	if r.ok {
		result = fmt.Sprint(r.id)
	}
	life := ""
	if r.ttl != 0 {
		life = fmt.Sprintf(" for %v", r.ttl)
	}
	if r.heavy {
		life += ", too heavy"
	}
	switch r.kind {
	case opGet, opPeek, opGetAndDelete:
		return fmt.Sprintf("%s(%d): %s", names[r.kind], r.key, result)
	case opContains, opDelete:
		return fmt.Sprintf("%s(%d): %v", names[r.kind], r.key, r.ok)
	case opSet, opSetWithTTL:
		return fmt.Sprintf("%s(%d, %d)%s", names[r.kind], r.key, r.id, life)
	case opCompute:
		what := [...]string{fmt.Sprintf("set %d%s", r.id, life), "keep", "delete"}[r.does]
		return fmt.Sprintf("Compute(%d): was %d, %s: %v", r.key, r.was, what, r.ok)
	case opGetOrSet:
		return fmt.Sprintf("GetOrSet(%d, %d)%s: was %d", r.key, r.id, life, r.was)
	case opGetOrLoad, opRefresh:
		if !r.ok {
			return fmt.Sprintf("%s(%d): failed with load %d", names[r.kind], r.key, r.id)
		}
		return fmt.Sprintf("%s(%d): %d", names[r.kind], r.key, r.id)
	case opBegin:
		if r.reload {
			return fmt.Sprintf("Refresh(%d) begins load %d", r.key, r.id)
		}
		return fmt.Sprintf("GetOrLoad(%d) begins load %d", r.key, r.id)
	case opFinish:
		how := [...]string{"a value" + life, "absence", "an error", "a panic"}[r.fate]
		return fmt.Sprintf("load %d of %d ends with %s", r.id, r.key, how)
	case opDeleteIf:
		return fmt.Sprintf("DeleteFunc deletes %d if it is %d (sure: %v)", r.key, r.id, r.sure)
	default:
		return names[r.kind]
	}
}

var names = map[kind]string{
	opGet: "Get", opPeek: "Peek", opContains: "Contains", opSet: "Set", opSetWithTTL: "SetWithTTL",
	opDelete: "Delete", opGetAndDelete: "GetAndDelete", opClear: "Clear", opCompute: "Compute",
	opGetOrSet: "GetOrSet", opGetOrLoad: "GetOrLoad", opRefresh: "Refresh", opGetMany: "GetMany",
	opSetMany: "SetMany", opGetOrLoadMany: "GetOrLoadMany", opDeleteFunc: "DeleteFunc", opAll: "All",
	opBegin: "begin", opFinish: "finish", opDeleteIf: "DeleteFunc", opTouch: "touch",
}

func describeState(states any) string {
	var all []string
	for _, s := range states.([]state) {
		text := "empty"
		if s.held != nil {
			text = fmt.Sprint(s.held.id)
		}
		if s.load != nil {
			text += fmt.Sprintf(", loading %d", s.load.id)
		}
		all = append(all, text)
	}
	return strings.Join(all, " or ")
}

package linearizability

import (
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Seeded bugs: a checker is worth what it catches.
//
// Each fault is a wrapper around a real cache that goes wrong now and then, in
// a way that published caches have gone wrong. It plays the same histories as
// TestHistories, through the same harness, until one is rejected, and the
// diagnosis must name the rule that the fault breaks. A fault that survives
// for faultTime fails the test.
//
// The other way round, wrappers that do odd things within the contract (yield,
// evict at random, do everything twice as slowly) must never be rejected.
//
// Handwritten histories (TestVerdicts) pin the model down operation by
// operation, and show by the lenient model what an absence of "then empty"
// would let through.

// faultTime bounds the search for one fault; most take a few histories.
const faultTime = 20 * time.Second

// A rare is true once in so many calls.
type rare struct{ calls atomic.Uint64 }

func (r *rare) now(period uint64) bool { return r.calls.Add(1)%period == 0 }

// staleReads remembers the value before the last, and sometimes returns it
// although the newer Set has returned.
type staleReads[K comparable, V any] struct {
	registers[K, V]
	mu           sync.Mutex
	newest, last map[K]V
	rare         rare
}

func (c *staleReads[K, V]) Set(key K, value V) {
	c.registers.Set(key, value)
	c.mu.Lock()
	defer c.mu.Unlock()
	if v, ok := c.newest[key]; ok {
		c.last[key] = v
	}
	c.newest[key] = value
}

func (c *staleReads[K, V]) Get(key K) (V, bool) {
	if c.rare.now(20) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if v, ok := c.last[key]; ok {
			return v, true
		}
	}
	return c.registers.Get(key)
}

// lostUpdates sometimes leaves a resident key as it is.
type lostUpdates[K comparable, V any] struct {
	registers[K, V]
	rare rare
}

func (c *lostUpdates[K, V]) Set(key K, value V) {
	if c.rare.now(20) {
		if _, ok := c.registers.Get(key); ok {
			return
		}
	}
	c.registers.Set(key, value)
}

// flickers sometimes misses what is there, and stays there.
type flickers[K comparable, V any] struct {
	registers[K, V]
	rare rare
}

func (c *flickers[K, V]) Get(key K) (value V, ok bool) {
	if c.rare.now(20) {
		return value, false
	}
	return c.registers.Get(key)
}

// lateSets return before the value can be seen.
type lateSets[K comparable, V any] struct {
	registers[K, V]
	rare rare
}

func (c *lateSets[K, V]) Set(key K, value V) {
	if c.rare.now(20) {
		go func() {
			time.Sleep(20 * time.Microsecond)
			c.registers.Set(key, value)
		}()
		return
	}
	c.registers.Set(key, value)
}

// lostDeletes sometimes say that they have removed what is still there.
type lostDeletes[K comparable, V any] struct {
	registers[K, V]
	rare rare
}

func (c *lostDeletes[K, V]) Delete(key K) bool {
	if c.rare.now(4) {
		if _, ok := c.registers.Get(key); ok {
			return true
		}
	}
	return c.registers.Delete(key)
}

// keptByClear survives it: one key that was set of late.
type keptByClear[K comparable, V any] struct {
	registers[K, V]
	last atomic.Pointer[K]
}

func (c *keptByClear[K, V]) Set(key K, value V) {
	c.last.Store(&key)
	c.registers.Set(key, value)
}

func (c *keptByClear[K, V]) Clear() {
	key := c.last.Load()
	if key == nil {
		c.registers.Clear()
		return
	}
	value, ok := c.registers.Get(*key)
	c.registers.Clear()
	if ok {
		c.registers.Set(*key, value)
	}
}

// tornReads mixes a value with the one that was read before it.
type tornReads[K comparable] struct {
	registers[K, quad]
	last atomic.Pointer[quad]
	rare rare
}

func (c *tornReads[K]) Get(key K) (quad, bool) {
	value, ok := c.registers.Get(key)
	if !ok {
		return value, ok
	}
	last := c.last.Swap(&value)
	if last != nil && c.rare.now(20) {
		value.sum = last.sum
	}
	return value, ok
}

// crossedReads sometimes find another key's value.
type crossedReads[V any] struct {
	registers[uint64, V]
	last atomic.Pointer[V]
	rare rare
}

func (c *crossedReads[V]) Get(key uint64) (V, bool) {
	value, ok := c.registers.Get(key)
	if !ok {
		return value, ok
	}
	if last := c.last.Swap(&value); last != nil && c.rare.now(20) {
		return *last, true
	}
	return value, ok
}

// deafToTTL keeps entries for ever.
type deafToTTL[K comparable, V any] struct{ registers[K, V] }

func (c *deafToTTL[K, V]) SetWithTTL(key K, value V, ttl time.Duration) {
	c.registers.SetWithTTL(key, value, min(ttl, 0))
}

// hasty expires entries in half their time.
type hasty[K comparable, V any] struct{ registers[K, V] }

func (c *hasty[K, V]) SetWithTTL(key K, value V, ttl time.Duration) {
	if ttl > 0 {
		ttl = max(ttl/2, 1)
	}
	c.registers.SetWithTTL(key, value, ttl)
}

// forgetful loses a key now and then: no fault in a cache that evicts.
type forgetful[K comparable, V any] struct {
	registers[K, V]
	rare rare
}

func (c *forgetful[K, V]) Get(key K) (V, bool) {
	if c.rare.now(20) {
		c.registers.Delete(key)
	}
	return c.registers.Get(key)
}

// leisurely yields before and after everything.
type leisurely[K comparable, V any] struct{ registers[K, V] }

func (c *leisurely[K, V]) Get(key K) (V, bool) {
	runtime.Gosched()
	defer runtime.Gosched()
	return c.registers.Get(key)
}

func (c *leisurely[K, V]) Set(key K, value V) {
	runtime.Gosched()
	defer runtime.Gosched()
	c.registers.Set(key, value)
}

func (c *leisurely[K, V]) Delete(key K) bool {
	runtime.Gosched()
	defer runtime.Gosched()
	return c.registers.Delete(key)
}

type wordRegisters = registers[uint64, uint64]

func wordFault(f func(wordRegisters) wordRegisters) pairing { return pair(wordKeys, words, f) }

// roomy never evicts; tight does all the time.
var (
	roomy = spec{capacity: 64}
	tight = spec{capacity: 4, evicts: true}
)

var faults = []struct {
	name   string
	spec   spec
	make   pairing
	reason string // of the diagnosis, or several; "" is a wrapper that keeps the contract
}{
	{"stale read, roomy", roomy, wordFault(func(c wordRegisters) wordRegisters {
		return &staleReads[uint64, uint64]{registers: c, newest: map[uint64]uint64{}, last: map[uint64]uint64{}}
	}), wrongValue},
	{"stale read, tight", tight, wordFault(func(c wordRegisters) wordRegisters {
		return &staleReads[uint64, uint64]{registers: c, newest: map[uint64]uint64{}, last: map[uint64]uint64{}}
	}), wrongValue},
	{"lost update, roomy", roomy, wordFault(func(c wordRegisters) wordRegisters {
		return &lostUpdates[uint64, uint64]{registers: c}
	}), wrongValue},
	{"lost update, tight", tight, wordFault(func(c wordRegisters) wordRegisters {
		return &lostUpdates[uint64, uint64]{registers: c}
	}), wrongValue},
	{"resurrected key, tight", tight, wordFault(func(c wordRegisters) wordRegisters {
		return &flickers[uint64, uint64]{registers: c}
	}), flickered + " or, across histories, " + wrongValue},
	{"late Set, tight", tight, wordFault(func(c wordRegisters) wordRegisters {
		return &lateSets[uint64, uint64]{registers: c}
	}), wrongValue + " or " + flickered},
	{"lost Delete, tight", tight, wordFault(func(c wordRegisters) wordRegisters {
		return &lostDeletes[uint64, uint64]{registers: c}
	}), wrongValue},
	{"key kept by Clear, roomy", roomy, wordFault(func(c wordRegisters) wordRegisters {
		return &keptByClear[uint64, uint64]{registers: c}
	}), wrongValue},
	{"torn read, roomy", roomy, pair(wordKeys, quads, func(c registers[uint64, quad]) registers[uint64, quad] {
		return &tornReads[uint64]{registers: c}
	}), "torn"},
	{"another key's value, tight", tight, wordFault(func(c wordRegisters) wordRegisters {
		return &crossedReads[uint64]{registers: c}
	}), wrongValue},
	{"TTL ignored, roomy", roomy, wordFault(func(c wordRegisters) wordRegisters {
		return &deafToTTL[uint64, uint64]{c}
	}), outlived},
	{"TTL cut short, roomy", roomy, wordFault(func(c wordRegisters) wordRegisters {
		return &hasty[uint64, uint64]{c}
	}), vanished},
	{"lost key, roomy", roomy, wordFault(func(c wordRegisters) wordRegisters {
		return &forgetful[uint64, uint64]{registers: c}
	}), vanished},

	{"control: random evictions", tight, wordFault(func(c wordRegisters) wordRegisters {
		return &forgetful[uint64, uint64]{registers: c}
	}), ""},
	{"control: yields, tight", tight, wordFault(func(c wordRegisters) wordRegisters {
		return &leisurely[uint64, uint64]{c}
	}), ""},
	{"control: yields, roomy", roomy, wordFault(func(c wordRegisters) wordRegisters {
		return &leisurely[uint64, uint64]{c}
	}), ""},
}

func TestFaults(t *testing.T) {
	seed := drawSeed(t)
	for i, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
			s, err := f.make.make(f.spec)
			if err != nil {
				t.Fatal(err)
			}
			defer s.close()
			patience := faultTime
			if f.reason == "" {
				patience = 200 * time.Millisecond
			}
			h := newHistory(s, f.spec, 2, rand.New(rand.NewPCG(seed, uint64(i))))
			n := 0
			for end := time.Now().Add(patience); time.Now().Before(end); {
				n++
				if !h.play() {
					t.Fatalf("history %d: operations have not returned after %v:\n%s", n, stallLimit, stacksInCache())
				}
				v := h.check(f.spec.rules())
				if v == nil {
					h.carry()
					continue
				}
				switch {
				case f.reason == "":
					h.fail(t, v, n)
				case !strings.Contains(f.reason, v.reason) && !strings.Contains(v.reason, f.reason):
					t.Errorf("rejected for another reason, want %q: %v", f.reason, v)
				default:
					t.Logf("caught by history %d: %v", n, v)
				}
				return
			}
			if f.reason != "" {
				t.Errorf("not caught in %d histories", n)
			}
		})
	}
}

// at gives an operation its interval.
func (r record) at(call, ret int64) *record {
	r.call, r.ret = call, ret
	return &r
}

func set(id uint64) record      { return record{kind: opSet, id: id} }
func hit(id uint64) record      { return record{kind: opGet, id: id, ok: true} }
func miss() record              { return record{kind: opGet} }
func deleted(found bool) record { return record{kind: opDelete, ok: found} }
func clear() record             { return record{kind: opClear, key: everyKey} }

func timed(id uint64, ttl time.Duration) record {
	return record{kind: opSetWithTTL, id: id, ttl: ttl}
}

// TestVerdicts: the model on histories of one key. Where strict is left out, it
// is as evicting.
func TestVerdicts(t *testing.T) {
	type verdicts struct{ evicting, strict, lenient bool }
	all, none := verdicts{true, true, true}, verdicts{}
	for _, test := range []struct {
		name    string
		history []*record
		legal   verdicts
	}{
		{"read back", []*record{set(1).at(0, 1), hit(1).at(2, 3)}, all},
		{"stale read", []*record{set(1).at(0, 1), set(2).at(2, 3), hit(1).at(4, 5)}, none},
		{"old value during the Set", []*record{set(1).at(0, 1), set(2).at(2, 9), hit(1).at(4, 5)}, all},
		{"new, then old during the Set", []*record{set(1).at(0, 1), set(2).at(2, 9), hit(2).at(3, 4), hit(1).at(5, 6)}, none},
		{"two Sets at once, either lasts", []*record{set(1).at(0, 5), set(2).at(0, 5), hit(1).at(6, 7)}, all},
		{"two Sets at once, both last", []*record{set(1).at(0, 5), set(2).at(0, 5), hit(1).at(6, 7), hit(2).at(8, 9)}, none},
		{"two readers disagree on the order", []*record{set(1).at(0, 20), set(2).at(0, 20),
			hit(1).at(1, 2), hit(2).at(3, 4), hit(1).at(5, 6)}, none},
		{"evicted", []*record{set(1).at(0, 1), miss().at(2, 3)}, verdicts{true, false, true}},
		{"resurrected", []*record{set(1).at(0, 1), miss().at(2, 3), hit(1).at(4, 5)}, verdicts{false, false, true}},
		{"resurrected, seen by two at once", []*record{set(1).at(0, 1), miss().at(2, 9), hit(1).at(3, 8)}, verdicts{true, false, true}},
		{"resurrected by another Set", []*record{set(1).at(0, 1), miss().at(2, 3), set(2).at(4, 5), hit(2).at(6, 7)}, verdicts{true, false, true}},
		{"older value after an eviction", []*record{set(1).at(0, 1), set(2).at(2, 3), miss().at(4, 5), hit(1).at(6, 7)}, none},
		{"deleted", []*record{set(1).at(0, 1), deleted(true).at(2, 3), hit(1).at(4, 5)}, none},
		{"deleted twice", []*record{set(1).at(0, 1), deleted(true).at(2, 3), deleted(true).at(4, 5)}, none},
		{"Delete finds what was missed", []*record{set(1).at(0, 1), miss().at(2, 3), deleted(true).at(4, 5)}, verdicts{false, false, true}},
		{"Delete finds nothing", []*record{set(1).at(0, 1), deleted(false).at(2, 3)}, verdicts{true, false, true}},
		{"Delete finds nothing, a Get does", []*record{set(1).at(0, 1), deleted(false).at(2, 3), hit(1).at(4, 5)}, none},
		{"cleared", []*record{set(1).at(0, 1), clear().at(2, 3), hit(1).at(4, 5)}, none},
		{"Set during a Clear", []*record{clear().at(0, 9), set(1).at(2, 3), hit(1).at(10, 11)}, all},
		{"found before its deadline", []*record{timed(1, 100).at(0, 10), hit(1).at(109, 120)}, all},
		{"found at its deadline", []*record{timed(1, 100).at(0, 10), hit(1).at(110, 120)}, none},
		{"absent before its deadline", []*record{timed(1, 100).at(0, 10), miss().at(20, 99)}, verdicts{true, false, true}},
		{"absent at its deadline", []*record{timed(1, 100).at(0, 10), miss().at(20, 100)}, all},
		{"absent, then not yet expired", []*record{timed(1, 100).at(0, 10), miss().at(99, 101), hit(1).at(103, 104)}, verdicts{false, false, true}},
		{"deleted after its deadline", []*record{timed(1, 100).at(0, 10), deleted(true).at(110, 111)}, none},
		{"never expires", []*record{timed(1, 0).at(0, 10), hit(1).at(1<<50, 1<<51)}, all},
		{"the longest time to live", []*record{timed(1, 1<<63-1).at(5, 10), hit(1).at(1<<50, 1<<51)}, all},
		{"negative time to live", []*record{set(1).at(0, 1), timed(2, -1).at(2, 3), hit(1).at(4, 5)}, none},
		{"found without a Set", []*record{hit(7).at(0, 1)}, none},
	} {
		for _, m := range []struct {
			name  string
			rules rules
			want  bool
		}{
			{"evicting", rules{evicts: true}, test.legal.evicting},
			{"strict", rules{}, test.legal.strict},
			{"lenient", rules{evicts: true, flickers: true}, test.legal.lenient},
		} {
			v := checkRecords(m.rules, test.history)
			if got := v == nil; got != m.want {
				t.Errorf("%s, %s model: legal is %v, want %v", test.name, m.name, got, m.want)
			}
		}
	}
}

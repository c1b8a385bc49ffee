package linearizability

import (
	"context"
	"iter"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dualcache-ff/dualcache"
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

// lostComputes read, ask and write, and are not atomic.
type lostComputes[K comparable, V any] struct{ registers[K, V] }

func (c *lostComputes[K, V]) Compute(key K, f func(V, bool) (V, dualcache.Op)) (value V, ok bool) {
	old, found := c.registers.Peek(key)
	next, op := f(old, found)
	runtime.Gosched()
	switch {
	case op == dualcache.OpKeep:
		return old, found
	case op == dualcache.OpDelete:
		c.registers.Delete(key)
		return value, false
	case op == dualcache.OpSet:
		c.registers.Set(key, next)
	default:
		c.registers.SetWithTTL(key, next, time.Duration(op))
	}
	return next, true
}

// endlessComputes do not hear of SetFor.
type endlessComputes[K comparable, V any] struct{ registers[K, V] }

func (c *endlessComputes[K, V]) Compute(key K, f func(V, bool) (V, dualcache.Op)) (V, bool) {
	return c.registers.Compute(key, func(old V, found bool) (V, dualcache.Op) {
		next, op := f(old, found)
		return next, min(op, dualcache.OpSet)
	})
}

// twoWinners let two callers of GetOrSet both store.
type twoWinners[K comparable, V any] struct{ registers[K, V] }

func (c *twoWinners[K, V]) GetOrSet(key K, value V) (V, bool) {
	if v, ok := c.registers.Get(key); ok {
		return v, true
	}
	runtime.Gosched()
	c.registers.Set(key, value)
	return value, false
}

// takenTwice give one value to two callers of GetAndDelete.
type takenTwice[K comparable, V any] struct{ registers[K, V] }

func (c *takenTwice[K, V]) GetAndDelete(key K) (V, bool) {
	v, ok := c.registers.Get(key)
	runtime.Gosched()
	c.registers.Delete(key)
	return v, ok
}

// overwritingLoads store what they got, whatever has happened meanwhile.
type overwritingLoads[K comparable, V any] struct{ registers[K, V] }

func (c *overwritingLoads[K, V]) GetOrLoad(ctx context.Context, key K, load func(context.Context, K) (V, error)) (V, error) {
	if v, ok := c.registers.Get(key); ok {
		return v, nil
	}
	v, err := load(ctx, key)
	if err == nil {
		c.registers.Set(key, v)
	}
	return v, err
}

// overwritingRefreshes store once more, a little later.
type overwritingRefreshes[K comparable, V any] struct{ registers[K, V] }

func (c *overwritingRefreshes[K, V]) Refresh(ctx context.Context, key K) (V, error) {
	v, err := c.registers.Refresh(ctx, key)
	if err == nil {
		runtime.Gosched()
		c.registers.Set(key, v)
	}
	return v, err
}

// staleJoins let any load be joined that is under way, however old.
type staleJoins[K comparable, V any] struct {
	registers[K, V]
	mu    sync.Mutex
	calls map[K]*staleCall[V]
}

type staleCall[V any] struct {
	done  chan struct{}
	value V
	err   error
}

func (c *staleJoins[K, V]) GetOrLoad(ctx context.Context, key K, load func(context.Context, K) (V, error)) (V, error) {
	if v, ok := c.registers.Get(key); ok {
		return v, nil
	}
	c.mu.Lock()
	if call := c.calls[key]; call != nil {
		c.mu.Unlock()
		if <-call.done; call.err == nil {
			return call.value, nil
		}
		return c.registers.GetOrLoad(ctx, key, load)
	}
	call := &staleCall[V]{done: make(chan struct{}), err: context.Canceled} // should it panic
	c.calls[key] = call
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.calls, key)
		c.mu.Unlock()
		close(call.done)
	}()
	call.value, call.err = c.registers.GetOrLoad(ctx, key, load)
	return call.value, call.err
}

// blindIterations miss an entry now and then.
type blindIterations[K comparable, V any] struct {
	registers[K, V]
	rare rare
}

func (c *blindIterations[K, V]) All() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		for key, value := range c.registers.All() {
			if !c.rare.now(20) && !yield(key, value) {
				return
			}
		}
	}
}

// repeatingIterations show an entry twice.
type repeatingIterations[K comparable, V any] struct {
	registers[K, V]
	rare rare
}

func (c *repeatingIterations[K, V]) All() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		for key, value := range c.registers.All() {
			if !yield(key, value) || c.rare.now(20) && !yield(key, value) {
				return
			}
		}
	}
}

// carelessDeletes delete what has changed since they looked.
type carelessDeletes[K comparable, V any] struct{ registers[K, V] }

func (c *carelessDeletes[K, V]) DeleteFunc(f func(K, V) bool) (n int) {
	var doomed []K
	c.registers.DeleteFunc(func(key K, value V) bool {
		if f(key, value) {
			doomed = append(doomed, key)
		}
		return false
	})
	for _, key := range doomed { // whatever they have become
		if c.registers.Delete(key) {
			n++
		}
	}
	return n
}

// crossedMany mix up the values of two keys.
type crossedMany[K comparable, V any] struct{ registers[K, V] }

func (c *crossedMany[K, V]) GetMany(keys []K, values []V, found []bool) int {
	n := c.registers.GetMany(keys, values, found)
	if len(found) > 1 && found[0] && found[1] {
		values[0], values[1] = values[1], values[0]
	}
	return n
}

// shortMany forget the last key.
type shortMany[K comparable, V any] struct{ registers[K, V] }

func (c *shortMany[K, V]) SetMany(keys []K, values []V) {
	c.registers.SetMany(keys[:len(keys)-1], values)
}

// hopeful find keys that have been deleted.
type hopeful[K comparable, V any] struct {
	registers[K, V]
	rare rare
}

func (c *hopeful[K, V]) Contains(key K) bool { return c.registers.Contains(key) || c.rare.now(4) }

// stalePeeks remember the value that was deleted last.
type stalePeeks[K comparable, V any] struct {
	registers[K, V]
	mu   sync.Mutex
	last map[K]V
}

func (c *stalePeeks[K, V]) GetAndDelete(key K) (V, bool) {
	v, ok := c.registers.GetAndDelete(key)
	if ok {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.last[key] = v
	}
	return v, ok
}

func (c *stalePeeks[K, V]) Peek(key K) (V, bool) {
	v, ok := c.registers.Peek(key)
	if !ok {
		c.mu.Lock()
		defer c.mu.Unlock()
		v, ok = c.last[key]
	}
	return v, ok
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

	roomyLoader = spec{setting: setting{loader: true}, capacity: 64}
	tightLoader = spec{setting: setting{loader: true}, capacity: 4, evicts: true}
)

type fault struct {
	name   string
	spec   spec
	make   pairing
	reason string // which the diagnosis gives, or several of which it gives one; "" is a wrapper that keeps the contract
}

// shownBy reports whether a diagnosis fits the fault. What is lost or stale also shows as
// a load that it should have ended, or as what was missed before.
func (f *fault) shownBy(reason string) bool {
	if strings.Contains(f.reason, wrongValue) && (reason == staleLoad || reason == flickered || reason == vanished) {
		return true
	}
	return strings.Contains(f.reason, reason) || strings.Contains(reason, f.reason)
}

var faults = []fault{
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
	}), wrongValue + " or " + flickered},
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
	{"Compute loses an update, roomy", roomy, wordFault(func(c wordRegisters) wordRegisters {
		return &lostComputes[uint64, uint64]{c}
	}), wrongValue + " or " + vanished},
	{"Compute loses an update, tight", tight, wordFault(func(c wordRegisters) wordRegisters {
		return &lostComputes[uint64, uint64]{c}
	}), wrongValue},
	{"SetFor ignored, roomy", roomy, wordFault(func(c wordRegisters) wordRegisters {
		return &endlessComputes[uint64, uint64]{c}
	}), outlived},
	// Where entries may be evicted, so may be the first winner's.
	{"GetOrSet with two winners, roomy", roomy, wordFault(func(c wordRegisters) wordRegisters {
		return &twoWinners[uint64, uint64]{c}
	}), vanished + " or " + wrongValue},
	{"GetAndDelete gives a value twice, roomy", roomy, wordFault(func(c wordRegisters) wordRegisters {
		return &takenTwice[uint64, uint64]{c}
	}), wrongValue + " or " + vanished},
	{"GetAndDelete gives a value twice, tight", tight, wordFault(func(c wordRegisters) wordRegisters {
		return &takenTwice[uint64, uint64]{c}
	}), wrongValue},
	{"a load overwrites a later Set, roomy", roomy, wordFault(func(c wordRegisters) wordRegisters {
		return &overwritingLoads[uint64, uint64]{c}
	}), staleLoad},
	{"a load overwrites a later Set, tight", tight, wordFault(func(c wordRegisters) wordRegisters {
		return &overwritingLoads[uint64, uint64]{c}
	}), staleLoad},
	{"a load is joined after a Delete, roomy", roomy, wordFault(func(c wordRegisters) wordRegisters {
		return &staleJoins[uint64, uint64]{registers: c, calls: map[uint64]*staleCall[uint64]{}}
	}), staleLoad},
	{"a load is joined after a Delete, tight", tight, wordFault(func(c wordRegisters) wordRegisters {
		return &staleJoins[uint64, uint64]{registers: c, calls: map[uint64]*staleCall[uint64]{}}
	}), staleLoad},
	{"a Refresh overwrites a newer Set, roomy", roomyLoader, wordFault(func(c wordRegisters) wordRegisters {
		return &overwritingRefreshes[uint64, uint64]{c}
	}), staleLoad + " or " + outlived + " or " + flickered + " or " + wrongValue},
	{"a Refresh overwrites a newer Set, tight", tightLoader, wordFault(func(c wordRegisters) wordRegisters {
		return &overwritingRefreshes[uint64, uint64]{c}
	}), staleLoad + " or " + outlived + " or " + flickered + " or " + wrongValue},
	{"All misses a key, roomy", roomy, wordFault(func(c wordRegisters) wordRegisters {
		return &blindIterations[uint64, uint64]{registers: c}
	}), vanished + " or " + flickered},
	{"All misses a key, tight", tight, wordFault(func(c wordRegisters) wordRegisters {
		return &blindIterations[uint64, uint64]{registers: c}
	}), flickered + " or, across histories, " + wrongValue},
	{"All repeats a key, tight", tight, wordFault(func(c wordRegisters) wordRegisters {
		return &repeatingIterations[uint64, uint64]{registers: c}
	}), seenTwice},
	{"DeleteFunc deletes what has changed, roomy", roomy, wordFault(func(c wordRegisters) wordRegisters {
		return &carelessDeletes[uint64, uint64]{c}
	}), vanished + " or " + wrongValue},
	{"GetMany mixes values up, tight", tight, wordFault(func(c wordRegisters) wordRegisters {
		return &crossedMany[uint64, uint64]{c}
	}), wrongValue},
	{"SetMany forgets a key, tight", tight, wordFault(func(c wordRegisters) wordRegisters {
		return &shortMany[uint64, uint64]{c}
	}), wrongValue},
	{"Contains what was deleted, tight", tight, wordFault(func(c wordRegisters) wordRegisters {
		return &hopeful[uint64, uint64]{registers: c}
	}), wrongValue + " or " + flickered + " or " + outlived},
	{"Peek finds what was deleted, tight", tight, wordFault(func(c wordRegisters) wordRegisters {
		return &stalePeeks[uint64, uint64]{registers: c, last: map[uint64]uint64{}}
	}), wrongValue},

	{"control: random evictions", tight, wordFault(func(c wordRegisters) wordRegisters {
		return &forgetful[uint64, uint64]{registers: c}
	}), ""},
	{"control: yields, tight", tight, wordFault(func(c wordRegisters) wordRegisters {
		return &leisurely[uint64, uint64]{c}
	}), ""},
	{"control: yields, roomy", roomy, wordFault(func(c wordRegisters) wordRegisters {
		return &leisurely[uint64, uint64]{c}
	}), ""},
	{"control: yields, loader, tight", tightLoader, wordFault(func(c wordRegisters) wordRegisters {
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
				case !slices.ContainsFunc(v.reasons, f.shownBy):
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

func peeked(id uint64) record    { return record{kind: opPeek, id: id, ok: id != 0} }
func contains(found bool) record { return record{kind: opContains, ok: found} }
func taken(id uint64) record     { return record{kind: opGetAndDelete, id: id, ok: id != 0} }
func deletedIf(id uint64) record { return record{kind: opDeleteIf, id: id, sure: true} }

// got is a GetOrLoad that loaded nothing itself; failedWith one that joined a load.
func got(id uint64) record        { return record{kind: opGetOrLoad, id: id, ok: true} }
func failedWith(id uint64) record { return record{kind: opGetOrLoad, id: id, fate: fateError} }

func computed(was uint64, does doing, id uint64) record {
	return record{kind: opCompute, was: was, does: does, id: id, ok: does == doSet || does == doKeep && was != 0}
}

func getOrSet(was, id uint64) record {
	return record{kind: opGetOrSet, was: was, id: id, ok: was != 0}
}

// load is a load's begin and end.
func load(id uint64, reload bool, call, started, ended, ret int64) []*record {
	begin := record{kind: opBegin, id: id, reload: reload, until: ret}.at(call, started)
	return []*record{begin, record{kind: opFinish, id: id, load: begin}.at(ended, ret)}
}

func joinedUp(lists ...any) (all []*record) {
	for _, l := range lists {
		switch l := l.(type) {
		case *record:
			all = append(all, l)
		case []*record:
			all = append(all, l...)
		}
	}
	return all
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

		{"Compute of the value", []*record{set(1).at(0, 1), computed(1, doSet, 2).at(2, 3), hit(2).at(4, 5)}, all},
		{"two Computes of one value", []*record{set(1).at(0, 1), computed(1, doSet, 2).at(2, 9), computed(1, doSet, 3).at(2, 9)}, none},
		{"a Compute that keeps beside one that sets", []*record{set(1).at(0, 1), computed(1, doKeep, 1).at(2, 9), computed(1, doSet, 3).at(2, 9)}, all},
		{"Compute deletes", []*record{set(1).at(0, 1), computed(1, doDelete, 2).at(2, 3), hit(1).at(4, 5)}, none},
		{"Compute of nothing finds it gone for good", []*record{set(1).at(0, 1), computed(0, doKeep, 2).at(2, 3), hit(1).at(4, 5)}, verdicts{false, false, true}},
		{"Compute of what was overwritten", []*record{set(1).at(0, 1), set(2).at(2, 3), computed(1, doKeep, 1).at(4, 5)}, none},
		{"GetOrSet finds", []*record{set(1).at(0, 1), getOrSet(1, 2).at(2, 3), hit(1).at(4, 5)}, all},
		{"GetOrSet finds, and stores all the same", []*record{set(1).at(0, 1), getOrSet(1, 2).at(2, 3), hit(2).at(4, 5)}, none},
		{"GetOrSet with one winner", []*record{getOrSet(0, 1).at(0, 9), getOrSet(1, 2).at(0, 9)}, all},
		{"GetOrSet with two winners", []*record{getOrSet(0, 1).at(0, 9), getOrSet(0, 2).at(0, 9), hit(1).at(10, 11), hit(2).at(12, 13)}, none},
		{"taken", []*record{set(1).at(0, 1), taken(1).at(2, 9), taken(0).at(2, 9)}, all},
		{"taken twice", []*record{set(1).at(0, 1), taken(1).at(2, 9), taken(1).at(2, 9)}, none},
		{"seen by an iteration", []*record{set(1).at(0, 1), peeked(1).at(2, 5), hit(1).at(6, 7)}, all},
		{"missed by an iteration", []*record{set(1).at(0, 1), peeked(0).at(2, 5), hit(1).at(6, 7)}, verdicts{false, false, true}},
		{"contained after a Delete", []*record{set(1).at(0, 1), deleted(true).at(2, 3), contains(true).at(4, 5)}, none},
		{"DeleteFunc deletes what it saw", []*record{set(1).at(0, 1), peeked(1).at(2, 3), deletedIf(1).at(3, 5), contains(false).at(6, 7)}, all},
		{"DeleteFunc leaves what has changed", []*record{set(1).at(0, 1), peeked(1).at(2, 3), set(2).at(4, 5), record{kind: opDeleteIf, id: 1}.at(3, 6), hit(2).at(7, 8)}, all},
		{"DeleteFunc has deleted, and it is there", []*record{set(1).at(0, 1), deletedIf(1).at(3, 5), hit(1).at(6, 7)}, none},

		{"loaded", joinedUp(load(1, false, 0, 2, 4, 6), hit(1).at(7, 8)), all},
		{"loaded and not kept", joinedUp(load(1, false, 0, 2, 4, 6), miss().at(7, 8)), all},
		{"loaded, found before the end", joinedUp(load(1, false, 0, 2, 4, 9), hit(1).at(5, 6)), all},
		{"found before it was loaded", joinedUp(load(1, false, 0, 2, 8, 9), hit(1).at(5, 6)), none},
		{"loaded in spite of a value", joinedUp(set(1).at(0, 1), load(2, false, 2, 3, 4, 5)), verdicts{true, false, true}},
		{"found after a load began", joinedUp(set(1).at(0, 1), load(2, false, 2, 3, 7, 8), hit(1).at(4, 5)), verdicts{false, false, true}},
		{"a load overwrites a Set", joinedUp(load(1, false, 0, 2, 6, 7), set(2).at(3, 4), hit(1).at(8, 9)), none},
		{"a load leaves a Set", joinedUp(load(1, false, 0, 2, 6, 7), set(2).at(3, 4), hit(2).at(8, 9)), all},
		{"a load comes before a Set", joinedUp(load(1, false, 0, 2, 4, 9), set(2).at(3, 9), hit(1).at(5, 6), hit(2).at(10, 11)), all},
		{"a load stores after a Delete", joinedUp(load(1, false, 0, 2, 6, 7), deleted(false).at(3, 4), hit(1).at(8, 9)), none},
		{"a load stores after a Clear", joinedUp(load(1, false, 0, 2, 6, 7), clear().at(3, 4), hit(1).at(8, 9)), none},
		{"a load stores after an idle DeleteFunc", joinedUp(load(1, false, 0, 2, 6, 7), record{kind: opDeleteIf, id: 9}.at(3, 4), hit(1).at(8, 9)), all},
		{"a load is joined", joinedUp(load(1, false, 0, 2, 8, 9), got(1).at(3, 10)), all},
		{"a load that failed is joined", joinedUp(load(1, false, 0, 2, 8, 9), failedWith(1).at(3, 10)), all},
		{"a load is joined after a Delete", joinedUp(load(1, false, 0, 2, 8, 9), deleted(false).at(3, 4), got(1).at(5, 10)), none},
		{"a load is joined before a Delete", joinedUp(load(1, false, 0, 2, 8, 9), deleted(false).at(3, 4), got(1).at(3, 10)), all},
		{"a load is joined after the next began", joinedUp(load(1, false, 0, 2, 20, 21), deleted(false).at(3, 4),
			load(2, false, 5, 6, 20, 21), got(1).at(7, 22)), none},
		{"a load is joined after its end, and an eviction", joinedUp(load(1, false, 0, 2, 4, 5), miss().at(6, 7), got(1).at(8, 9)), verdicts{false, false, true}},
		{"Refresh replaces", joinedUp(set(1).at(0, 1), load(2, true, 2, 3, 6, 7), hit(1).at(4, 5), hit(2).at(8, 9)), all},
		{"Refresh replaces, and is undone", joinedUp(set(1).at(0, 1), load(2, true, 2, 3, 4, 5), hit(2).at(6, 7), hit(1).at(8, 9)), none},
		{"Refresh overwrites a newer Set", joinedUp(set(1).at(0, 1), load(2, true, 2, 3, 6, 7), set(3).at(4, 5), hit(2).at(8, 9)), none},
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

package dualcache

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A paddedWord is changed in place, padding and all; a paddedPair never is.
type (
	paddedWord struct {
		a uint8
		b uint32
	}
	paddedPair struct {
		a uint8
		b uint64
		c uint8
	}
	large struct{ a, b, c, d, e, f, g, h uint64 }
)

// A kindOfValue makes values of one type from numbers, and takes them back.
type kindOfValue[V any] struct {
	of func(int) V
	n  func(V) int
}

// eachKind runs a test for values of every kind (cache.go, valueKind).
func eachKind(t *testing.T, f func(t *testing.T, v kindTest)) {
	for _, v := range []kindTest{
		kindOfValue[uint64]{func(n int) uint64 { return uint64(n) }, func(v uint64) int { return int(v) }},
		kindOfValue[int32]{func(n int) int32 { return int32(n) }, func(v int32) int { return int(v) }},
		kindOfValue[uint16]{func(n int) uint16 { return uint16(n) }, func(v uint16) int { return int(v) }},
		kindOfValue[*int]{func(n int) *int { return &n }, func(v *int) int {
			if v == nil {
				return 0
			}
			return *v
		}},
		kindOfValue[string]{func(n int) string { return fmt.Sprint(n) }, func(v string) (n int) {
			fmt.Sscan(v, &n)
			return n
		}},
		kindOfValue[large]{
			func(n int) large { x := uint64(n); return large{x, x, x, x, x, x, x, x} },
			func(v large) int {
				if v != (large{v.a, v.a, v.a, v.a, v.a, v.a, v.a, v.a}) {
					panic("a torn value")
				}
				return int(v.a)
			},
		},
		kindOfValue[paddedWord]{func(n int) paddedWord { return paddedWord{1, uint32(n)} }, func(v paddedWord) int { return int(v.b) }},
		kindOfValue[paddedPair]{
			func(n int) paddedPair { return paddedPair{uint8(n), uint64(n), uint8(n)} },
			func(v paddedPair) int {
				if v.a != v.c || v.a != uint8(v.b) {
					panic("a torn value")
				}
				return int(v.b)
			},
		},
	} {
		t.Run(v.name(), func(t *testing.T) { f(t, v) })
	}
}

// A kindTest is a kindOfValue, whatever its type.
type kindTest interface {
	name() string
	counters(t *testing.T, growing bool)
	handovers(t *testing.T)
	winners(t *testing.T)
	overlaps(t *testing.T)
	ops(t *testing.T)
}

func (v kindOfValue[V]) name() string { return fmt.Sprintf("%T", *new(V)) }

func (v kindOfValue[V]) counters(t *testing.T, growing bool) {
	const keys, goroutines = 5, 4
	rounds := 2000
	if debug || testing.Short() {
		rounds = 500
	}
	cfg := Config[int, V]{Capacity: 100}
	if growing {
		cfg.Capacity = 100_000
	}
	c := Must(cfg)
	defer c.Close()
	var wg sync.WaitGroup
	for g := range goroutines {
		spawn(&wg, func() {
			for i := range rounds {
				op := OpSet
				if i%3 == 0 {
					op = SetFor(time.Hour)
				}
				value, ok := c.Compute(-1-(g+i)%keys, func(old V, found bool) (V, Op) { return v.of(v.n(old) + 1), op })
				if !ok || v.n(value) < 1 {
					t.Errorf("Compute = %v, %v", value, ok)
				}
			}
		})
	}
	if growing {
		spawn(&wg, func() {
			for i := range 20_000 {
				c.Set(i, v.of(i%1000))
			}
		})
	}
	wg.Wait()
	sum := 0
	for k := range keys {
		value, _ := c.Peek(-1 - k)
		sum += v.n(value)
	}
	if want := goroutines * rounds; sum != want {
		t.Errorf("the counters sum to %d, want %d", sum, want)
	}
	invariants(t, c)
}

// Guards G1: Compute is atomic, for values of every kind, with and without a
// deadline, also while entries move to a larger table: counters are exact. Fails
// without the test of same in mayChange, if exchange stores and does not compare, or
// without fills in the identity (strings and structs).
func TestComputeCounts(t *testing.T) {
	eachKind(t, func(t *testing.T, v kindTest) {
		v.counters(t, false)
		v.counters(t, true)
	})
}

// handovers counts with Compute, takes away with GetAndDelete, Compute and DeleteFunc,
// and loses nothing.
func (v kindOfValue[V]) handovers(t *testing.T) {
	const keys, goroutines = 3, 2
	rounds := 3000
	if debug || testing.Short() {
		rounds = 600
	}
	c := Must(Config[int, V]{Capacity: 100})
	defer c.Close()
	var taken atomic.Int64
	var stop atomic.Bool
	var adding, taking sync.WaitGroup
	for g := range goroutines {
		spawn(&adding, func() {
			for i := range rounds {
				c.Compute((g+i)%keys, func(old V, _ bool) (V, Op) { return v.of(v.n(old) + 1), OpSet })
			}
		})
		spawn(&taking, func() {
			for i := 0; !stop.Load(); i++ {
				key := i % keys
				if g == 0 {
					if value, ok := c.GetAndDelete(key); ok {
						taken.Add(int64(v.n(value)))
					}
					continue
				}
				n := 0
				if _, ok := c.Compute(key, func(old V, found bool) (V, Op) {
					n = v.n(old)
					return old, OpDelete
				}); ok {
					t.Error("there is a value after OpDelete")
				}
				taken.Add(int64(n))
				runtime.Gosched()
			}
		})
	}
	adding.Wait()
	stop.Store(true)
	taking.Wait()
	for key := range keys {
		value, _ := c.GetAndDelete(key)
		taken.Add(int64(v.n(value)))
	}
	if want := goroutines * rounds; taken.Load() != int64(want) {
		t.Errorf("%d were taken, want %d", taken.Load(), want)
	}
	invariants(t, c)
}

// Guards G1: what Compute adds, GetAndDelete and OpDelete take away, once. Fails if
// mayRemove does not look at same.
func TestComputeHandsOver(t *testing.T) {
	eachKind(t, func(t *testing.T, v kindTest) { v.handovers(t) })
}

// Guards G1: GetAndDelete and OpDelete never lose a store in place: it is either what
// they return, or stays. compound_debug_test.go makes the window wide.
func TestTakingLosesNoStoreInPlace(t *testing.T) {
	rounds := 3000
	if debug || testing.Short() {
		rounds = 500
	}
	take := map[string]func(c *Cache[int, int]) int{
		"GetAndDelete": func(c *Cache[int, int]) int { v, _ := c.GetAndDelete(1); return v },
		"Compute": func(c *Cache[int, int]) (v int) {
			c.Compute(1, func(old int, _ bool) (int, Op) { v = old; return 0, OpDelete })
			return v
		},
		"DeleteFunc": func(c *Cache[int, int]) (v int) {
			if c.DeleteFunc(func(_, value int) bool { v = value; return true }) == 0 {
				return 0
			}
			return v
		},
	}
	for name, take := range take {
		t.Run(name, func(t *testing.T) {
			for range rounds {
				c := headless(t, Config[int, int]{Capacity: 10})
				c.Set(1, 1)
				var wg sync.WaitGroup
				got := 0
				spawn(&wg, func() {
					for got == 0 {
						got = take(c)
					}
				})
				for i := 2; i < 10; i++ {
					c.Set(1, i)
				}
				wg.Wait()
				rest, _ := c.Get(1)
				if got != 9 && rest != 9 || got == 9 && rest != 0 {
					t.Fatalf("%d was taken and %d is left of 1 to 9, set in order", got, rest)
				}
			}
		})
	}
}

// Guards G1: Compute gives an entry its first deadline, which takes a new place, and
// no Set that is stored in the old place meanwhile is lost. compound_debug_test.go makes
// the window wide.
func TestComputeSetForAgainstSetsInPlace(t *testing.T) {
	rounds := 2000
	if debug || testing.Short() {
		rounds = 400
	}
	for range rounds {
		c := headless(t, Config[int, int]{Capacity: 10})
		c.Set(1, 0)
		var wg sync.WaitGroup
		spawn(&wg, func() {
			c.Compute(1, func(old int, _ bool) (int, Op) { return old + 1, SetFor(time.Hour) })
		})
		for n := 2; n < 40; n += 2 {
			c.Set(1, n)
			if got, ok := c.Get(1); !ok || got != n && got != n+1 {
				t.Fatalf("Get after Set of %d = %d, %v", n, got, ok)
			}
		}
		wg.Wait()
	}
}

// winners lets goroutines race for a key.
func (v kindOfValue[V]) winners(t *testing.T) {
	const goroutines = 4
	rounds := 500
	if debug || testing.Short() {
		rounds = 100
	}
	c := Must(Config[int, V]{Capacity: 10_000})
	defer c.Close()
	for key := range rounds {
		if key%3 == 0 {
			c.SetWithTTL(key, v.of(99), 1) // expired at once
		}
		var won atomic.Int64
		var values [goroutines]int
		var wg sync.WaitGroup
		for g := range goroutines {
			spawn(&wg, func() {
				var actual V
				loaded := false
				if key%2 == 0 {
					actual, loaded = c.GetOrSet(key, v.of(g))
				} else {
					actual, loaded = c.GetOrSetWithTTL(key, v.of(g), time.Hour)
				}
				if values[g] = v.n(actual); !loaded {
					won.Add(1)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Fatalf("%d goroutines have set the value, want 1", won.Load())
		}
		for _, n := range values {
			if n != values[0] {
				t.Fatalf("GetOrSet returned %v, want one value", values)
			}
		}
	}
}

// Guards G1: of those who call GetOrSet for a key at once, exactly one sets it, and
// all get its value. Fails without ifAbsent in mayChange.
func TestGetOrSetHasOneWinner(t *testing.T) {
	eachKind(t, func(t *testing.T, v kindTest) { v.winners(t) })
}

// overlaps runs everything at once in a cache that is too small.
func (v kindOfValue[V]) overlaps(t *testing.T) {
	const keys = 40
	rounds := 6000
	if debug || testing.Short() {
		rounds = 1500
	}
	c := Must(Config[int, V]{Capacity: 20, TTL: time.Hour, OnRemoval: func(r Removal[int, V]) {
		if v.n(r.Value)%keys != r.Key {
			t.Errorf("key %d had the value of key %d", r.Key, v.n(r.Value)%keys)
		}
	}})
	defer c.Close()
	check := func(key int, value V, ok bool) {
		if ok && v.n(value)%keys != key {
			t.Errorf("key %d has the value of key %d", key, v.n(value)%keys)
		}
	}
	var wg sync.WaitGroup
	for g := range 3 {
		spawn(&wg, func() {
			r := rand.New(rand.NewPCG(1, uint64(g)))
			for i := range rounds {
				key := r.IntN(keys)
				value := v.of(key + keys*r.IntN(50))
				switch r.IntN(12) {
				case 0, 1, 2:
					op := [...]Op{OpSet, OpKeep, OpDelete, SetFor(1), SetFor(time.Hour)}[r.IntN(5)]
					got, ok := c.Compute(key, func(old V, found bool) (V, Op) {
						check(key, old, found)
						return value, op
					})
					check(key, got, ok)
				case 3:
					c.Set(key, value)
				case 4:
					c.SetWithTTL(key, value, time.Microsecond)
				case 5:
					c.Delete(key)
				case 6:
					got, loaded := c.GetOrSet(key, value)
					check(key, got, loaded)
				case 7:
					got, ok := c.GetAndDelete(key)
					check(key, got, ok)
				case 8:
					if i%40 == 0 {
						c.Clear()
					}
				case 9:
					if i%40 == 0 {
						c.DeleteFunc(func(key int, value V) bool { check(key, value, true); return key%2 == 0 })
					}
				case 10:
					e, ok := c.GetEntry(key)
					check(key, e.Value, ok)
				default:
					got, ok := c.Get(key)
					check(key, got, ok)
				}
			}
		})
	}
	wg.Wait()
	invariants(t, c)
}

// Guards G1 and G3: Compute and its kin against Set, Delete, eviction, expiry and
// Clear: no key ever has another's value, and nothing is lost track of.
func TestCompoundOperationsOverlap(t *testing.T) {
	eachKind(t, func(t *testing.T, v kindTest) { v.overlaps(t) })
}

// ops runs through what each operation returns.
func (v kindOfValue[V]) ops(t *testing.T) {
	c := headless(t, Config[int, V]{Capacity: 100})
	want := func(what string, value V, ok bool, n int) {
		t.Helper()
		if ok != (n != 0) || ok && v.n(value) != n {
			t.Errorf("%s = %v, %v, want %d", what, value, ok, n)
		}
	}
	to := func(n int, op Op) func(V, bool) (V, Op) { return func(V, bool) (V, Op) { return v.of(n), op } }
	value, ok := c.Compute(1, to(1, OpKeep))
	want("OpKeep of an absent key", value, ok, 0)
	value, ok = c.Compute(1, to(1, OpDelete))
	want("OpDelete of an absent key", value, ok, 0)
	value, ok = c.Compute(1, to(1, OpSet))
	want("OpSet", value, ok, 1)
	value, ok = c.Get(1)
	want("Get", value, ok, 1)
	value, ok = c.Compute(1, to(2, OpKeep))
	want("OpKeep", value, ok, 1)
	value, ok = c.Compute(1, to(2, SetFor(time.Hour)))
	want("SetFor", value, ok, 2)
	if e, ok := c.GetEntry(1); !ok || v.n(e.Value) != 2 || e.Key != 1 || time.Until(e.ExpiresAt) < time.Minute {
		t.Errorf("GetEntry = %+v, %v", e, ok)
	}
	value, ok = c.Compute(1, to(3, OpSet))
	want("OpSet", value, ok, 3)
	if e, ok := c.GetEntry(1); !ok || v.n(e.Value) != 3 || !e.ExpiresAt.IsZero() {
		t.Errorf("GetEntry = %+v, %v, want no deadline", e, ok)
	}
	before := c.Stats()
	value, ok = c.Peek(1)
	want("Peek", value, ok, 3)
	if !c.Contains(1) || c.Contains(2) {
		t.Error("Contains is wrong")
	}
	if after := c.Stats(); after.Hits != before.Hits || after.Misses != before.Misses {
		t.Error("Peek or Contains are in the statistics")
	}
	value, ok = c.Compute(1, to(4, SetFor(0)))
	want("SetFor(0)", value, ok, 0)
	value, ok = c.Get(1)
	want("Get", value, ok, 0)
	value, ok = c.GetAndDelete(1)
	want("GetAndDelete of an absent key", value, ok, 0)
	c.SetMany([]int{1, 2, 3}, []V{v.of(5), v.of(6)})
	values, found := make([]V, 4), make([]bool, 4)
	if n := c.GetMany([]int{3, 2, 1, 2}, values, found); n != 3 || found[0] || v.n(values[1])+v.n(values[2])+v.n(values[3]) != 17 {
		t.Errorf("GetMany = %d: %v, %v", n, values, found)
	}
	value, ok = c.GetAndDelete(2)
	want("GetAndDelete", value, ok, 6)
	if n := c.DeleteFunc(func(key int, value V) bool { return v.n(value) == 5 }); n != 1 || c.Len() != 0 {
		t.Errorf("DeleteFunc = %d, Len %d, want 1 and 0", n, c.Len())
	}
	c.Set(1, v.of(1))
	c.Close()
	value, ok = c.Compute(1, func(old V, found bool) (V, Op) {
		want("the old value after Close", old, found, 0)
		return v.of(1), OpSet
	})
	want("Compute after Close", value, ok, 0)
	if _, loaded := c.GetOrSet(1, v.of(1)); loaded || c.Len() != 0 {
		t.Error("GetOrSet after Close sets")
	}
}

// Guards the contract of each compound operation, for values of every kind.
func TestCompoundOperations(t *testing.T) {
	eachKind(t, func(t *testing.T, v kindTest) { v.ops(t) })
}

// Guards G7: the function of a Compute may panic, end its goroutine, and call the
// cache on the same key. In the last case it is called again, with what it has set.
func TestComputeCallback(t *testing.T) {
	c := headless(t, Config[int, int]{Capacity: 100})
	c.Set(1, 1)
	if !panics(func() { c.Compute(1, func(int, bool) (int, Op) { panic("no") }) }) {
		t.Error("the panic is swallowed")
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.Compute(1, func(int, bool) (int, Op) { runtime.Goexit(); return 0, OpSet })
		t.Error("Compute returned")
	}()
	<-done
	calls := 0
	value, ok := c.Compute(1, func(old int, found bool) (int, Op) {
		if calls++; calls == 1 {
			c.Set(1, 10)
			c.Delete(2)
			c.Get(1)
		}
		return old + 1, OpSet
	})
	if value != 11 || !ok || calls != 2 {
		t.Errorf("Compute = %d, %v after %d calls, want 11 after 2", value, ok, calls)
	}
	invariants(t, c)
}

// Guards G1: a Compute that is overtaken calls its function again, whoever overtakes
// it. The first call of each is overtaken from within.
func TestComputeIsOvertaken(t *testing.T) {
	for _, test := range []struct {
		name     string
		overtake func(c *Cache[int, string])
		want     string
	}{
		{"Set", func(c *Cache[int, string]) { c.Set(1, "b") }, "b+"},
		{"Set of an equal value", func(c *Cache[int, string]) { c.Set(1, "a") }, "a+"},
		{"Delete", func(c *Cache[int, string]) { c.Delete(1) }, "+"},
		{"Delete and Set", func(c *Cache[int, string]) { c.Delete(1); c.Set(1, "a") }, "a+"},
		{"Clear", func(c *Cache[int, string]) { c.Clear() }, "+"},
		{"expiry", func(c *Cache[int, string]) { c.SetWithTTL(1, "b", 1) }, "+"},
		{"eviction", func(c *Cache[int, string]) { c.evictAt(lookFor(c, 1), anyPosition); c.permits.Add(1) }, "+"},
	} {
		for _, op := range []Op{OpSet, OpDelete, SetFor(time.Hour)} {
			c := headless(t, Config[int, string]{Capacity: 100})
			c.Set(1, "a")
			var olds []string
			got, ok := c.Compute(1, func(old string, found bool) (string, Op) {
				if olds = append(olds, old); len(olds) == 1 {
					test.overtake(c)
				}
				return old + "+", op
			})
			want := test.want
			if op == OpDelete {
				want = ""
			}
			if len(olds) != 2 || got != want || ok != (op != OpDelete) || c.Contains(1) != ok {
				t.Errorf("%s, %v: calls with %q, Compute = %q, %v, want %q", test.name, op, olds, got, ok, want)
			}
			invariants(t, c)
		}
	}
}

// Guards G1: DeleteFunc removes what its function said yes to, and nothing else: a
// value that it has not seen stays, and what comes next door makes no difference.
// Fails if DeleteFunc does not look again.
func TestDeleteFuncDecidesByTheValue(t *testing.T) {
	c := headless(t, Config[int, string]{Capacity: 1000})
	for i := range 500 {
		c.Set(i, "a")
	}
	seen := map[int]int{}
	deleted := c.DeleteFunc(func(key int, value string) bool {
		if seen[key]++; seen[key] == 1 && key%2 == 0 {
			c.Set(key, "b")
		}
		return value == "a"
	})
	if deleted != 250 || c.Len() != 250 || len(seen) != 500 {
		t.Errorf("%d deleted, %d left, %d seen, want 250, 250 and 500", deleted, c.Len(), len(seen))
	}
	for i := range 500 {
		if c.Contains(i) != (i%2 == 0) {
			t.Errorf("key %d: there is %v", i, c.Contains(i))
		}
	}
	invariants(t, c)
}

// Guards G1: GetMany finds what Get finds, in a cache that grows, with entries next
// door, with deadlines, and with more keys than go under one pin.
func TestGetManyIsManyGets(t *testing.T) {
	for _, capacity := range []int{100, 5000, 40_000} {
		c := headless(t, Config[int, int]{Capacity: capacity})
		for i := range capacity {
			switch {
			case i%7 == 0:
				c.SetWithTTL(i, i, 1)
			case i%5 == 0:
				c.SetWithTTL(i, i, time.Hour)
			default:
				c.Set(i, i)
			}
			if i%(capacity/10) != 0 {
				continue
			}
			keys := make([]int, 300)
			for n := range keys {
				keys[n] = n * (i + 10) / 250
			}
			values, found := make([]int, len(keys)), make([]bool, len(keys))
			before := c.Stats()
			hits := c.GetMany(keys, values, found)
			counted := c.Stats().Sub(before)
			if int(counted.Hits) != hits || int(counted.Misses) != len(keys)-hits {
				t.Errorf("%d hits of %d are counted as %d and %d misses", hits, len(keys), counted.Hits, counted.Misses)
			}
			for n, key := range keys {
				if value, ok := c.Get(key); ok != found[n] || value != values[n] {
					t.Fatalf("capacity %d: GetMany says %d, %v of key %d, Get %d, %v", capacity, values[n], found[n], key, value, ok)
				}
			}
		}
	}
}

// Guards G5: what is called often allocates nothing at steady state.
func TestCompoundAllocations(t *testing.T) {
	if debug {
		t.Skip("debug builds allocate")
	}
	plain := Must(Config[int, int]{Capacity: 2000})
	dated := Must(Config[int, int]{Capacity: 2000, TTL: time.Hour})
	near := Must(Config[int, int]{Capacity: 2000, TTL: time.Second, ExpireAfterAccess: time.Second})
	strings := Must(Config[int, string]{Capacity: 2000, TTL: time.Hour})
	keys, values, found := make([]int, 64), make([]int, 64), make([]bool, 64)
	for i := range 10_000 {
		for _, c := range []*Cache[int, int]{plain, dated, near} {
			c.Set(i, i)
		}
		strings.Set(i, "a")
	}
	defer func() {
		for _, c := range []*Cache[int, int]{plain, dated, near} {
			c.Close()
		}
		strings.Close()
	}()
	next := 20_000
	check := func(what string, f func()) {
		t.Helper()
		if got := testing.AllocsPerRun(2000, f); got != 0 {
			t.Errorf("%s allocates %v times, want 0", what, got)
		}
	}
	add := func(old int, _ bool) (int, Op) { return old + 1, OpSet }
	addFor := func(old int, _ bool) (int, Op) { return old + 1, SetFor(time.Hour) }
	load := func(context.Context, int) (int, error) { return 1, nil }
	ctx := context.Background()
	for name, c := range map[string]*Cache[int, int]{"plain": plain, "dated": dated, "near": near} {
		check(name+": Set and Get", func() { c.Set(1, 1); c.Get(1) })
		check(name+": Set of a new key", func() { next++; c.Set(next, 1) })
		check(name+": SetWithTTL and Get", func() { c.SetWithTTL(2, 1, time.Minute); c.Get(2) })
		check(name+": Compute", func() { c.Compute(3, add) })
		check(name+": Compute with SetFor", func() { c.Compute(4, addFor) })
		check(name+": GetOrSet", func() { c.GetOrSet(5, 1) })
		check(name+": GetOrLoad", func() { c.GetOrLoad(ctx, 5, load) })
		check(name+": Peek and Contains", func() { c.Peek(5); c.Contains(5) })
		check(name+": GetAndDelete and GetOrSet", func() { c.GetAndDelete(6); c.GetOrSet(6, 1) })
		check(name+": GetMany", func() { c.GetMany(keys, values, found) })
	}
	check("strings: Set and Get", func() { strings.Set(1, "b"); strings.Get(1) })
	check("strings: Compute", func() { strings.Compute(1, func(string, bool) (string, Op) { return "c", OpSet }) })
}

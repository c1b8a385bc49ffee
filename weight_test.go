package dualcache

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// weighByValue makes a configuration where a value is its own weight.
func weighByValue(capacity int, most uint64) Config[int, uint64] {
	return Config[int, uint64]{
		Capacity:  capacity,
		MaxWeight: most,
		Weigher:   func(_ int, v uint64) uint32 { return uint32(v) },
	}
}

// weighByLength is the same for values that do not change in place.
func weighByLength(capacity int, most uint64) Config[int, string] {
	return Config[int, string]{
		Capacity:  capacity,
		MaxWeight: most,
		Weigher:   func(_ int, v string) uint32 { return uint32(len(v)) },
	}
}

// wantSize fails unless a cache that nobody uses has so much weight and so many entries.
func wantSize[K comparable, V any](t *testing.T, c *Cache[K, V], what string, weight uint64, entries int) {
	t.Helper()
	if w, n := c.Weight(), c.Len(); w != weight || n != entries {
		t.Errorf("%s: weight %d of %d entries, want %d of %d", what, w, n, weight, entries)
	}
	invariants(t, c)
}

func weightUnderFire[V any](t *testing.T, cfg Config[int, V], value func(weight int) V) {
	rounds := 40_000
	switch {
	case debug:
		rounds = 1500
	case testing.Short():
		rounds = 5000
	}
	c := Must(cfg)
	defer c.Close()
	most := int(cfg.MaxWeight)
	var stop atomic.Bool
	var watch, wg sync.WaitGroup
	spawn(&watch, func() {
		for !stop.Load() {
			if w := c.Weight(); w > uint64(most) {
				t.Errorf("Weight is %d, MaxWeight %d", w, most)
				return
			}
			runtime.Gosched()
		}
	})
	for g := range 4 {
		spawn(&wg, func() {
			r := rand.New(rand.NewPCG(uint64(g), 1))
			for n := range rounds {
				k := r.IntN(2 * cfg.Capacity)
				v := value(r.IntN(max(2, most/20)))
				switch r.IntN(16) {
				case 0:
					c.Delete(k)
				case 1:
					c.SetWithTTL(k, v, time.Duration(1+r.IntN(2_000_000)))
				case 2:
					c.GetOrSet(k, v)
				case 3:
					c.Compute(k, func(V, bool) (V, Op) { return v, []Op{OpSet, OpKeep, OpDelete}[n%3] })
				case 4:
					if n%200 == 0 {
						c.Clear()
					}
				case 5:
					if n%100 == 0 {
						c.Set(k, value(most+1))
					}
				case 6:
					if n%20 == 0 {
						c.Set(k, value(most-r.IntN(most/2)))
					}
				default:
					c.Set(k, v)
				}
			}
		})
	}
	wg.Wait()
	stop.Store(true)
	watch.Wait()
	invariants(t, c)
	c.Clear()
	wantSize(t, c, "cleared", 0, 0)
}

// Guards G3: Weight never exceeds MaxWeight, whatever Sets of random weights do at
// once, and the sum is exact when they have ended. Fails if a refused entry's older
// value keeps its weight (shown), and without settle in tryChange (shown).
func TestWeightIsBounded(t *testing.T) {
	for _, capacity := range []int{10, 300, 6000} {
		t.Run(fmt.Sprint("word/", capacity), func(t *testing.T) {
			weightUnderFire(t, weighByValue(capacity, 2000), func(w int) uint64 { return uint64(w) })
		})
		t.Run(fmt.Sprint("string/", capacity), func(t *testing.T) {
			text := strings.Repeat("x", 2001)
			weightUnderFire(t, weighByLength(capacity, 2000), func(w int) string { return text[:w] })
		})
	}
}

func weightsChange[V any](t *testing.T, cfg Config[int, V], value func(weight int) V) {
	c := Must(cfg)
	defer c.Close()
	c.Set(1, value(10))
	wantSize(t, c, "set", 10, 1)
	c.Set(1, value(30))
	wantSize(t, c, "grown", 30, 1)
	c.Set(1, value(5))
	wantSize(t, c, "shrunk", 5, 1)
	c.Set(1, value(0))
	wantSize(t, c, "pinned", 0, 1)
	c.Set(1, value(0))
	wantSize(t, c, "pinned again", 0, 1)
	c.Set(1, value(7))
	wantSize(t, c, "no longer pinned", 7, 1)
	if e, ok := c.GetEntry(1); !ok || e.Weight != 7 {
		t.Errorf("GetEntry gives weight %d, %v, want 7", e.Weight, ok)
	}
	c.Set(2, value(3))
	wantSize(t, c, "another", 10, 2)
	c.Compute(2, func(V, bool) (V, Op) { return value(4), OpSet })
	wantSize(t, c, "computed", 11, 2)
	c.GetOrSet(3, value(1))
	c.GetOrSet(3, value(50))
	wantSize(t, c, "set if absent", 12, 3)
	c.Delete(1)
	wantSize(t, c, "deleted", 5, 2)
	c.GetAndDelete(2)
	wantSize(t, c, "deleted by GetAndDelete", 1, 1)
	c.SetWithTTL(4, value(9), time.Hour)
	wantSize(t, c, "with a deadline", 10, 2)
	c.SetWithTTL(4, value(2), 1)
	time.Sleep(time.Millisecond)
	c.Sync()
	wantSize(t, c, "expired", 1, 1)
	for k := range 500 { // the index grows
		c.Set(100+k, value(k%3))
	}
	wantSize(t, c, "many", 500, 501)
	if n := c.DeleteFunc(func(k int, _ V) bool { return k%3 == 0 }); n == 0 || c.Len() != 501-n {
		t.Errorf("DeleteFunc deletes %d, and %d are left of 501", n, c.Len())
	}
	invariants(t, c)
	c.Clear()
	wantSize(t, c, "cleared", 0, 0)
}

// Guards G3: every operation keeps the sum of the weights, in place or with a new
// place, to and from weight 0, and through the growth of the index. Fails without the
// change of place between 0 and another weight in updateInPlace (shown: the entry is
// in a list and pinned).
func TestWeightsChange(t *testing.T) {
	text := strings.Repeat("x", 100)
	t.Run("word", func(t *testing.T) {
		weightsChange(t, weighByValue(2000, 10_000), func(w int) uint64 { return uint64(w) })
	})
	t.Run("string", func(t *testing.T) {
		weightsChange(t, weighByLength(2000, 10_000), func(w int) string { return text[:w] })
	})
	t.Run("pointer", func(t *testing.T) {
		weightsChange(t, Config[int, *uint32]{
			Capacity:  2000,
			MaxWeight: 10_000,
			Weigher:   func(_ int, v *uint32) uint32 { return *v },
		}, func(w int) *uint32 { x := uint32(w); return &x })
	})
}

// Guards G2: an entry that is heavier than the cache is refused, by every operation
// that would put it in, and counted; the older value goes, but where the operation
// would have left it alone. Fails without the removal in refuse (shown).
func TestTooHeavyIsRefused(t *testing.T) {
	c := Must(weighByValue(100, 50))
	defer c.Close()
	refused := func(what string, f func()) {
		t.Helper()
		c.Set(1, 5)
		c.Set(2, 6)
		before := c.Stats().Refusals
		f()
		if got := c.Stats().Refusals - before; got != 1 {
			t.Errorf("%s: %d refusals, want 1", what, got)
		}
		if v, ok := c.Get(2); !ok || v != 6 {
			t.Errorf("%s: another key's value is %d, %v", what, v, ok)
		}
	}
	refused("Set", func() { c.Set(1, 51) })
	wantSize(t, c, "Set", 6, 1)
	refused("SetWithTTL", func() { c.SetWithTTL(1, 51, time.Hour) })
	wantSize(t, c, "SetWithTTL", 6, 1)
	refused("Compute", func() {
		if v, ok := c.Compute(1, func(uint64, bool) (uint64, Op) { return 51, OpSet }); ok {
			t.Errorf("Compute = %d, true", v)
		}
	})
	wantSize(t, c, "Compute", 6, 1)
	refused("Set of a new key", func() { c.Set(3, 1000) })
	wantSize(t, c, "Set of a new key", 11, 2)
	refused("GetOrSet", func() {
		if v, loaded := c.GetOrSet(4, 51); v != 51 || loaded {
			t.Errorf("GetOrSet = %d, %v", v, loaded)
		}
	})
	wantSize(t, c, "GetOrSet", 11, 2)
	c.Set(1, 44)
	wantSize(t, c, "as heavy as the cache", 50, 2)
}

// Guards "weight 0 pins" against every way out but the explicit ones: the policy,
// eviction without it, and a crowded neighbourhood. Fails without the look at the
// weight in mayLeave and evictLowest (shown, both; without the latter alone it hangs),
// and in inserted (shown).
func TestPinnedEntriesStay(t *testing.T) {
	for _, degenerate := range []bool{false, true} {
		cfg := weighByValue(400, 1_000_000)
		if degenerate {
			cfg.Hasher = func(k int) uint64 { return uint64(k % 8) }
		}
		c := Must(cfg)
		const pinned = 40
		for k := range pinned {
			c.Set(k, 0)
		}
		r := rand.New(rand.NewPCG(1, 2))
		rounds := 20_000
		if debug {
			rounds = 3000
		}
		for n := range rounds {
			if n%1000 == 0 {
				c.awaitPass()
				c.policy.lookForLost() // the slow hand comes by
				c.unlockPass()
			}
			k := pinned + r.IntN(3000)
			c.Set(k, 1+uint64(n%5))
			switch {
			case n%50 == 0:
				if c.evictNear(c.hash(n % pinned)) {
					c.permits.Add(1)
				}
			case n%51 == 0:
				tb := c.table.Load()
				if c.evictLowest(tb, tb.homeOf(c.hash(n%pinned)), tb.reach()) {
					c.permits.Add(1)
				}
			}
		}
		for k := range pinned {
			if _, ok := c.Get(k); !ok {
				t.Errorf("degenerate %v: the pinned key %d is gone", degenerate, k)
			}
		}
		if c.Stats().Evictions == 0 {
			t.Error("nothing was evicted")
		}
		invariants(t, c)
		for k := range pinned {
			if !c.Delete(k) {
				t.Errorf("Delete(%d) = false", k)
			}
		}
		invariants(t, c)
		c.Close()
	}
}

// Guards G5 and "a cache full of pinned entries refuses new keys at once": each
// refusal costs a few passes, updates and deletes work, and one entry that leaves
// makes room for another. Fails without allPinned (shown: hundreds of passes).
func TestFullOfPinned(t *testing.T) {
	for _, capacity := range []int{1, 2, 10, 100, 5000} {
		c := Must(weighByValue(capacity, 100))
		for k := range 2 * capacity { // full, by ordinary ones
			c.Set(-1-k, 1)
		}
		kept := 0
		for k := range capacity {
			c.Set(k, 0)
			if c.Contains(k) {
				kept++
			}
		}
		if kept < capacity-spill(capacity) {
			t.Fatalf("%d of %d pinned entries were let in", kept, capacity)
		}
		// Those that found no place within reach left their permits.
		for k := capacity; c.Len() < capacity; k++ {
			c.Set(k, 0)
		}
		before := c.Stats()
		const tries = 20
		for k := range tries {
			c.Set(1_000_000+k, uint64(k%2))
			if v, loaded := c.GetOrSet(2_000_000+k, 1); loaded || v != 1 {
				t.Errorf("capacity %d: GetOrSet = %d, %v", capacity, v, loaded)
			}
		}
		s := c.Stats().Sub(before)
		if s.Refusals != 2*tries || s.Evictions != 0 {
			t.Errorf("capacity %d: %d refusals and %d evictions, want %d and 0", capacity, s.Refusals, s.Evictions, 2*tries)
		}
		if s.Passes > 2*tries*20 {
			t.Errorf("capacity %d: %d passes for %d refusals", capacity, s.Passes, s.Refusals)
		}
		var some int
		for k := range c.Keys() {
			some = k
			break
		}
		c.Set(some, 0)
		if c.Stats().Refusals != before.Refusals+s.Refusals || !c.Contains(some) {
			t.Errorf("capacity %d: an update was refused", capacity)
		}
		c.Delete(some)
		room := 3_000_000 // there is, for the first key that finds a place within reach
		for c.Set(room, 1); !c.Contains(room) && room < 3_000_000+spill(capacity); room++ {
			c.Set(room+1, 1)
		}
		if v, ok := c.Get(room); !ok || v != 1 {
			t.Errorf("capacity %d: Get of a key that there was room for = %d, %v", capacity, v, ok)
		}
		invariants(t, c)
		c.Close()
	}
}

// Guards makeWeight against Sets that wait for one another: big ones, new keys and
// updates, with little ones that take away what has been freed, all end and none is
// refused. TestNobodyWaitsWithWeightInHand makes the deadlock that there could be.
func TestBigSetsAtOnce(t *testing.T) {
	rounds := 1500
	if testing.Short() || debug {
		rounds = 300
	}
	for _, capacity := range []int{4, 1000} {
		c := Must(weighByValue(capacity, 1000))
		var wg sync.WaitGroup
		for g := range 6 {
			spawn(&wg, func() {
				r := rand.New(rand.NewPCG(3, uint64(g)))
				for range rounds {
					c.Set(r.IntN(4), 500+uint64(r.IntN(501)))
					c.Set(4+r.IntN(1000), uint64(1+r.IntN(5)))
				}
			})
		}
		wg.Wait()
		if n := c.Stats().Refusals; n != 0 {
			t.Errorf("capacity %d: %d refusals", capacity, n)
		}
		invariants(t, c)
		c.Close()
	}
}

// Guards "nobody waits for weight with some in hand": two updates that have each
// lost the entry which would have lent them weight, one after the other, both end.
// Fails if weighs keeps what was taken when it is not enough (shown).
func TestNobodyWaitsWithWeightInHand(t *testing.T) {
	c := headless(t, weighByValue(100, 100))
	c.Set(1, 50)
	c.Set(2, 50)
	changes := [2]change[int, uint64]{
		{hash: c.hash(1), key: 1, value: 100, weight: 100, needs: 50},
		{hash: c.hash(2), key: 2, value: 100, weight: 100, needs: 50},
	}
	for i := range changes {
		c.Delete(i + 1)
		if !c.makeWeight(&changes[i]) || changes[i].reserved != 50 {
			t.Fatalf("%d has %d", i, changes[i].reserved)
		}
	}
	for i := range changes {
		w := c.enter()
		ok := c.weighs(&changes[i], spot{}, false)
		w.leave()
		if want := i == 1; ok != want {
			t.Errorf("%d has its weight: %v, want %v", i, ok, want)
		}
	}
	if got := [2]int64{changes[0].reserved, changes[1].reserved}; got != [2]int64{0, 100} || c.Weight() != 100 {
		t.Errorf("they have %d, and Weight is %d", got, c.Weight())
	}
	c.room.Add(changes[1].reserved)
	wantSize(t, c, "in the end", 0, 0)
}

// Guards G7: a weigher that panics is seen by the caller, and nothing has happened.
func TestWeigherPanics(t *testing.T) {
	cfg := weighByValue(100, 100)
	cfg.Weigher = func(_ int, v uint64) uint32 {
		if v == 13 {
			panic("weigher")
		}
		return uint32(v)
	}
	c := Must(cfg)
	defer c.Close()
	c.Set(1, 5)
	if !panics(func() { c.Set(1, 13) }) || !panics(func() { c.GetOrSet(2, 13) }) {
		t.Error("the panic did not reach the caller")
	}
	if v, ok := c.Get(1); !ok || v != 5 {
		t.Errorf("Get = %d, %v, want 5", v, ok)
	}
	wantSize(t, c, "after panics", 5, 1)
}

// zipfRatio is the hit ratio of a cache used on the way to a store.
func zipfRatio(c *Cache[int, uint64], draws int, weight func(k int) uint64) float64 {
	r := rand.New(rand.NewPCG(7, 8))
	zipf := rand.NewZipf(r, 1.01, 1, 200_000)
	var before Stats
	for n := range draws {
		if n == draws/4 {
			before = c.Stats()
		}
		k := int(uint32(zipf.Uint64() * 0x9e3779b9))
		if _, ok := c.Get(k); !ok {
			c.Set(k, weight(k))
		}
	}
	return c.Stats().Sub(before).HitRatio()
}

// Guards G9 and policy.fit: where weights decide when the cache is full, its hit ratio
// is that of a cache which holds as many entries at most. Fails without fit (shown).
func TestWeightedHitRatio(t *testing.T) {
	oneP(t)
	draws := 600_000
	switch {
	case debug:
		t.Skip("slow, and of one goroutine")
	case testing.Short():
		draws = 400_000
	}
	const entries = 2000
	plain := seeded(t, Config[int, uint64]{Capacity: entries})
	want := zipfRatio(plain, draws, func(int) uint64 { return 100 })
	for _, capacity := range []int{5 * entries, 100 * entries} {
		c := seeded(t, weighByValue(capacity, 100*entries))
		got := zipfRatio(c, draws, func(int) uint64 { return 100 })
		if got < want-0.01 {
			t.Errorf("capacity %d: hit ratio %.4f, want %.4f, that of a cache of %d entries", capacity, got, want, entries)
		}
		if n := c.Len(); n < entries*9/10 || n > entries {
			t.Errorf("capacity %d: %d entries, want %d", capacity, n, entries)
		}
		invariants(t, c)
		// Other weights, as many entries on average.
		mixed := seeded(t, weighByValue(capacity, 100*entries))
		got = zipfRatio(mixed, draws, func(k int) uint64 { return 50 + uint64(k>>8)%101 })
		if got < want-0.01 {
			t.Errorf("capacity %d, mixed weights: hit ratio %.4f, want %.4f", capacity, got, want)
		}
		invariants(t, mixed)
	}
}

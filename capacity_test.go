package dualcache

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// setNew sets n keys that nobody has set before, from first on.
func setNew(c *Cache[int, int], first, n int) {
	for k := range n {
		c.Set(first+k, k)
	}
}

// Guards G3 for SetCapacity: fewer entries at once, no fewer than asked for, and then
// as many as there may be, to the last one; nothing is evicted on the way up. Fails
// without shrink (shown), and, on the way up, without the change of crowded (shown:
// permits stay with workers).
func TestSetCapacity(t *testing.T) {
	for _, most := range []int{1, 2, 10, 100, scaled(40_000)} {
		c := Must(Config[int, int]{Capacity: most})
		next := 0
		fill := func(n int) {
			t.Helper()
			before := c.Stats().Evictions
			for c.Len() < n && c.Stats().Evictions <= before+uint64(spill(most)) {
				c.Set(next, next)
				next++
			}
			if got := c.Len(); got < n-spill(most) || got > n {
				t.Fatalf("%d: filled with %d entries, want %d; %d evictions", most, got, n, c.Stats().Evictions-before)
			}
		}
		setNew(c, -3*most, 3*most)
		for _, n := range []int{most, (most + 1) / 2, 1, (most + 9) / 10, most, 1, most} {
			before := c.Len()
			if err := c.SetCapacity(n); err != nil {
				t.Fatal(err)
			}
			if got := c.Len(); c.Capacity() != n || got > n || got < min(before, n)-spill(most) {
				t.Fatalf("%d: Capacity is %d and Len %d after SetCapacity(%d), and was %d", most, c.Capacity(), got, n, before)
			}
			fill(n)
			invariants(t, c)
			setNew(c, next, n)
			next += n
			if got := c.Len(); got > n {
				t.Fatalf("%d: Len is %d, capacity %d", most, got, n)
			}
			c.Set(next, 7)
			if v, ok := c.Get(next); !ok || v != 7 {
				t.Errorf("%d: Get after Set = %d, %v", most, v, ok)
			}
			next++
			invariants(t, c)
		}
		c.Close()
	}
}

// Guards G3 for SetCapacity under fire: what it promises holds when it returns, and
// goes on holding. Fails if shrink gives up after some attempts (shown).
func TestSetCapacityUnderFire(t *testing.T) {
	rounds := 120
	if testing.Short() || debug {
		rounds = 60
	}
	for _, most := range []int{20, 3000, scaled(20_000)} {
		c := Must(Config[int, string]{Capacity: most})
		var stop atomic.Bool
		var wg sync.WaitGroup
		for g := range 3 {
			spawn(&wg, func() {
				r := rand.New(rand.NewPCG(uint64(g), 5))
				for !stop.Load() {
					k := r.IntN(2 * most)
					c.Set(k, "value")
					if v, ok := c.Get(k / 2); ok && v != "value" {
						t.Errorf("Get = %q", v)
					}
					if k%50 == 0 {
						c.Delete(k / 3)
					}
				}
			})
		}
		r := rand.New(rand.NewPCG(9, 9))
		for range rounds {
			n := 1 + r.IntN(most)
			if err := c.SetCapacity(n); err != nil {
				t.Fatal(err)
			}
			for range 5 {
				if got := c.Len(); got > n {
					t.Errorf("Len is %d after SetCapacity(%d)", got, n)
				}
				runtime.Gosched()
			}
		}
		stop.Store(true)
		wg.Wait()
		invariants(t, c)
		c.Close()
	}
}

// Guards against what is left of two SetCapacity at once: one of them has come last,
// in all that it sets. Fails without the pass lock round it.
func TestSetCapacityTwiceAtOnce(t *testing.T) {
	most := scaled(50_000)
	c := Must(Config[int, int]{Capacity: most})
	defer c.Close()
	setNew(c, 0, 2*most)
	var wg sync.WaitGroup
	for g := range 4 {
		spawn(&wg, func() {
			for n := range 100 {
				if err := c.SetCapacity(1 + (n*7919+g*10_007)%most); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	size := sizesFor(c.Capacity(), runtime.GOMAXPROCS(0))
	if got := c.batch.Load(); got != int64(size.batch) || c.workers.sizes.stock != size.stock || c.lowWater.Load() != size.lowWater {
		t.Errorf("capacity %d: batch %d, stock %d, low water %d, want %d, %d, %d", c.Capacity(), got, c.workers.sizes.stock, c.lowWater.Load(), size.batch, size.stock, size.lowWater)
	}
	if c.Len() > c.Capacity() {
		t.Errorf("Len is %d, capacity %d", c.Len(), c.Capacity())
	}
	setNew(c, 200_000, most)
	invariants(t, c)
}

// idleWorker is a worker that nobody uses and that keeps n permits.
func idleWorker(t *testing.T, c *Cache[int, int], n int64) *worker {
	t.Helper()
	c.workers.mu.Lock()
	w := c.workers.add(true)
	c.workers.mu.Unlock()
	w.owner.Store(1) // not to be borrowed
	if w.permits = int(takeSome(&c.permits, n)); w.permits == 0 {
		t.Fatal("there are no permits")
	}
	return w
}

// Guards G3 and G5 against permits that lie with a worker which nobody uses: a smaller
// capacity is there for those who set, and a writer without hope takes them back.
// Without takeBack in SetCapacity it evicts more than it has to (shown); without any
// it hangs (shown).
func TestPermitsOfIdleWorkers(t *testing.T) {
	c := Must(Config[int, int]{Capacity: 10_000})
	defer c.Close()
	setNew(c, 0, 30_000)
	for range 20 {
		c.Delete(anyKey(t, c))
	}
	w := idleWorker(t, c, 16)
	if err := c.SetCapacity(8); err != nil {
		t.Fatal(err)
	}
	if w.permits != 0 || c.Len() != 8 {
		t.Errorf("the idle worker has %d permits, and Len is %d, want 0 and 8", w.permits, c.Len())
	}
	for range 8 {
		c.Delete(anyKey(t, c))
	}
	w.permits = int(takeSome(&c.permits, 8))
	c.Set(1, 1)
	if v, ok := c.Get(1); !ok || v != 1 {
		t.Errorf("Get = %d, %v, want 1", v, ok)
	}
	w.owner.Store(0)
	invariants(t, c)
}

// anyKey is a key that the cache holds.
func anyKey[K comparable, V any](t *testing.T, c *Cache[K, V]) (key K) {
	t.Helper()
	for key = range c.Keys() {
		return key
	}
	t.Fatal("the cache is empty")
	return key
}

// Guards takeBack against workers in use: permits are neither lost nor doubled while
// others use theirs, and the race detector sees the two sides of the protocol.
func TestTakeBackUnderFire(t *testing.T) {
	c := Must(Config[int, int]{Capacity: 5000})
	defer c.Close()
	setNew(c, 0, 10_000)
	var stop atomic.Bool
	var wg sync.WaitGroup
	for g := range 3 {
		spawn(&wg, func() {
			r := rand.New(rand.NewPCG(uint64(g), 6))
			for !stop.Load() {
				k := r.IntN(20_000)
				if c.Set(k, k); k%4 == 0 {
					c.Delete(k)
				}
			}
		})
	}
	rounds := 1000
	if testing.Short() || debug {
		rounds = 300
	}
	for range rounds {
		c.takeBack()
	}
	stop.Store(true)
	wg.Wait()
	invariants(t, c)
}

// Guards G3 against Deletes that are counted late: Len never exceeds Capacity, because
// an entry that leaves is counted before another may come. Fails if tryRemove gives
// the permit back first (shown, with a pause between the two).
func TestLenWhileOthersDelete(t *testing.T) {
	rounds := 100_000
	if testing.Short() || debug {
		rounds = 20_000
	}
	const capacity = 8
	c := Must(Config[int, int]{Capacity: capacity})
	defer c.Close()
	var stop atomic.Bool
	var watch, wg sync.WaitGroup
	spawn(&watch, func() {
		for !stop.Load() {
			if n := c.Len(); n > capacity {
				t.Errorf("Len is %d, capacity %d", n, capacity)
				return
			}
			runtime.Gosched()
		}
	})
	for g := range 3 {
		spawn(&wg, func() {
			r := rand.New(rand.NewPCG(uint64(g), 3))
			for range rounds {
				c.Set(r.IntN(20), 1)
				c.Delete(r.IntN(20))
			}
		})
	}
	wg.Wait()
	stop.Store(true)
	watch.Wait()
	invariants(t, c)
}

// Guards "errors name field, value, limit".
func TestLimitErrors(t *testing.T) {
	c := Must(weighByValue(100, 500))
	defer c.Close()
	bare := Must(Config[int, int]{Capacity: 100})
	defer bare.Close()
	for _, test := range []struct {
		err  error
		want []string
	}{
		{c.SetCapacity(0), []string{"capacity", " 0,", "1 to", "100"}},
		{c.SetCapacity(-5), []string{"capacity", "-5", "1 to", "100"}},
		{c.SetCapacity(101), []string{"capacity", "101", "1 to", "100"}},
		{c.SetMaxWeight(0), []string{"weight", " 0,", "1 to", "500"}},
		{c.SetMaxWeight(501), []string{"weight", "501", "1 to", "500"}},
		{c.SetMaxWeight(1 << 63), []string{"weight", "9223372036854775808", "1 to", "500"}},
		{bare.SetMaxWeight(1), []string{"weight", " 1,", "Config.Weigher"}},
	} {
		for _, part := range test.want {
			if test.err == nil || !strings.Contains(test.err.Error(), part) {
				t.Errorf("the error is %v, want it to name %q", test.err, part)
			}
		}
	}
	if c.Capacity() != 100 || c.SetCapacity(100) != nil || c.SetMaxWeight(500) != nil {
		t.Error("the limits themselves are refused, or have changed")
	}
	c.Close()
	if err := c.SetCapacity(50); err != nil || c.Capacity() != 50 || c.SetMaxWeight(10) != nil {
		t.Errorf("after Close: %v, capacity %d", err, c.Capacity())
	}
}

// Guards the policy's time through SetCapacity: it goes on from where it was, and a
// capacity of evictions takes as many ticks as before. Fails if setCapacity reckons
// from the first eviction again (shown: the ages jump).
func TestTimeGoesOn(t *testing.T) {
	if debug {
		t.Skip("it is all one goroutine, and long")
	}
	oneP(t)
	c := seeded(t, Config[int, int]{Capacity: 20_000})
	defer c.Close()
	setNew(c, 0, 100_000)
	next := 100_000
	for _, n := range []int{20_000, 1000, 5000, 300, 20_000} {
		before := c.policy.now
		if err := c.SetCapacity(n); err != nil {
			t.Fatal(err)
		}
		if d := c.policy.now - before; d > 256*20 || int32(d) < 0 {
			t.Errorf("capacity %d: %d ticks in SetCapacity", n, int32(d))
		}
		setNew(c, next, n) // to be full
		next += n
		before = c.policy.now
		setNew(c, next, n)
		next += n
		if d := c.policy.now - before; d < ticksPerTurn*9/10 || d > ticksPerTurn*11/10 {
			t.Errorf("capacity %d: a turn took %d ticks, want %d", n, d, ticksPerTurn)
		}
		invariants(t, c)
	}
}

// Guards G3 for SetMaxWeight: at once, as little as has to be, and up again.
// Fails without shrink (shown).
func TestSetMaxWeight(t *testing.T) {
	c := Must(weighByValue(5000, 10_000))
	defer c.Close()
	next := 0
	fill := func(weight uint64) {
		t.Helper()
		for range 3 * weight {
			c.Set(next, 1+uint64(next%7))
			next++
		}
		if w := c.Weight(); w > weight || w+7 < weight {
			t.Fatalf("Weight is %d, want %d or a little less", w, weight)
		}
	}
	fill(10_000)
	for _, n := range []uint64{5000, 4999, 10_000, 50, 8, 700, 10_000} {
		before := c.Weight()
		if err := c.SetMaxWeight(n); err != nil {
			t.Fatal(err)
		}
		if w := c.Weight(); w > n || w+7 < min(before, n) {
			t.Errorf("Weight is %d after SetMaxWeight(%d), and was %d", w, n, before)
		}
		invariants(t, c)
		if n < 10_000 {
			before := c.Stats().Refusals
			c.Set(-1, n+1)
			if c.Stats().Refusals != before+1 {
				t.Errorf("an entry of %d was not refused by a cache of %d", n+1, n)
			}
		}
		fill(n)
		invariants(t, c)
	}
}

// Guards G3 for SetMaxWeight under fire.
func TestSetMaxWeightUnderFire(t *testing.T) {
	rounds := 300
	if testing.Short() || debug {
		rounds = 60
	}
	c := Must(weighByValue(2000, 5000))
	defer c.Close()
	var stop atomic.Bool
	var wg sync.WaitGroup
	for g := range 3 {
		spawn(&wg, func() {
			r := rand.New(rand.NewPCG(uint64(g), 5))
			for !stop.Load() {
				c.Set(r.IntN(3000), uint64(r.IntN(40)))
				if r.IntN(50) == 0 {
					c.Set(r.IntN(3000), uint64(r.IntN(5000)))
				}
			}
		})
	}
	r := rand.New(rand.NewPCG(9, 9))
	for range rounds {
		n := uint64(1 + r.IntN(5000))
		if err := c.SetMaxWeight(n); err != nil {
			t.Fatal(err)
		}
		for range 5 {
			if got := c.Weight(); got > n {
				t.Errorf("Weight is %d after SetMaxWeight(%d)", got, n)
			}
			runtime.Gosched()
		}
	}
	stop.Store(true)
	wg.Wait()
	invariants(t, c)
}

// Guards "pinned entries stay" against SetCapacity: they are more than it allows, no
// new key is let in, and the cache is as before when there are fewer.
func TestSetCapacityBelowThePinned(t *testing.T) {
	c := Must(weighByValue(100, 100))
	defer c.Close()
	for k := range 20 {
		c.Set(k, 0)
		c.Set(100+k, 1)
	}
	if err := c.SetCapacity(10); err != nil {
		t.Fatal(err)
	}
	if n := c.Len(); n != 20 {
		t.Errorf("Len is %d, want the 20 that are pinned", n)
	}
	c.Set(200, 1)
	if _, ok := c.Get(200); ok || c.Stats().Refusals != 1 {
		t.Errorf("a new key is there: %v, %d refusals, want 1", ok, c.Stats().Refusals)
	}
	for k := range 12 {
		c.Delete(k)
	}
	for k := range 5 {
		c.Set(300+k, 1)
	}
	if n := c.Len(); n != 10 {
		t.Errorf("Len is %d, want 10", n)
	}
	invariants(t, c)
}

// Guards the choice of the policy at another capacity: hot entries outlive SetCapacity.
func TestSetCapacityKeepsTheHot(t *testing.T) {
	oneP(t)
	c := seeded(t, Config[int, string]{Capacity: 4000})
	defer c.Close()
	for round := range 20 {
		for k := range 100 {
			if _, ok := c.Get(k); !ok {
				c.Set(k, "hot")
			}
		}
		for k := range 1000 {
			c.Set(1000+1000*round+k, fmt.Sprint(k))
		}
	}
	if err := c.SetCapacity(200); err != nil {
		t.Fatal(err)
	}
	hot := 0
	for k := range 100 {
		if c.Contains(k) {
			hot++
		}
	}
	if hot < 90 {
		t.Errorf("%d of 100 hot keys are left in a cache of 200", hot)
	}
	invariants(t, c)
}

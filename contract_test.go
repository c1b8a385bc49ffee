package dualcache

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	rtdebug "runtime/debug"
	"sync"
	"sync/atomic"
	"testing"
)

// TestModel runs random operations against a map: the cache may miss, but never
// gives a value that was not the last one set. The degenerate hasher makes all
// keys meet in few buckets. Guards: key comparison after a tag match (trap 3),
// the removal of the old value in every branch of trySet (trap 9).
func TestModel(t *testing.T) {
	for _, degenerate := range []bool{false, true} {
		for _, capacity := range []int{1, 2, 10, 100, 5000} {
			t.Run(fmt.Sprintf("degenerate=%v/cap=%d", degenerate, capacity), func(t *testing.T) {
				cfg := Config[int, string]{Capacity: capacity}
				if degenerate {
					cfg.Hasher = func(k int) uint64 { return uint64(k % 8) }
				}
				modelRun(t, cfg, scaled(60_000))
				cfg.T1Slots, cfg.T2Slots = 16, 64
				modelRun(t, cfg, scaled(20_000))
			})
		}
	}
}

func modelRun(t *testing.T, cfg Config[int, string], operations int) {
	c := Must(cfg)
	defer c.Close()
	model := map[int]string{}
	r := rand.New(rand.NewPCG(uint64(cfg.Capacity), 7))
	for i := range operations {
		key := r.IntN(3*cfg.Capacity + 3)
		switch r.IntN(12) {
		case 0, 1, 2, 3:
			value := fmt.Sprint(key, "/", i)
			c.Set(key, value)
			model[key] = value
			if got, ok := c.Get(key); !ok || got != value {
				t.Fatalf("operation %d: Get right after Set is %q, %v", i, got, ok)
			}
		case 4:
			c.Delete(key)
			delete(model, key)
		case 5:
			if i%50 == 0 {
				c.Clear()
				clear(model)
			}
		default:
			if got, ok := c.Get(key); ok && got != model[key] {
				t.Fatalf("operation %d: Get(%d) = %q, want %q or a miss", i, key, got, model[key])
			}
		}
		if n := c.Len(); n > cfg.Capacity {
			t.Fatalf("Len %d, capacity %d", n, cfg.Capacity)
		}
	}
	c.Sync()
	invariants(t, c)
}

// TestFillsToCapacity: nothing is evicted before the cache is full, whichever
// Ps the keys come from. Guard: permits one by one until crowded.
func TestFillsToCapacity(t *testing.T) {
	for _, capacity := range []int{1, 10, 1000, 50000} {
		c := Must(Config[int, int]{Capacity: capacity})
		var wg sync.WaitGroup
		for g := range 4 {
			spawn(&wg, func() {
				for k := g; k < capacity; k += 4 {
					c.Set(k, k)
				}
			})
		}
		wg.Wait()
		if got := c.Len(); got < capacity-spill(capacity) {
			t.Errorf("Len is %d after %d keys: %+v", got, capacity, c.Stats())
		}
		missing := 0
		for k := range capacity {
			if _, ok := c.Get(k); !ok {
				missing++
			}
		}
		// Now and then a key finds all buckets within its reach full.
		if missing > spill(capacity) {
			t.Errorf("%d of %d keys are missing", missing, capacity)
		}
		invariants(t, c)
		c.Close()
	}
}

type versioned struct{ a, b, c, d uint64 }

// TestCoherent (G1, G2): versions of a key never go backwards, values are never
// torn, and a finished Set is seen. Guards: the order of a retirement, the
// hazard, a place of its own for each value.
func TestCoherent(t *testing.T) {
	for _, procs := range []int{1, 2, 8} {
		for _, tiers := range []int{-1, 64} {
			t.Run(fmt.Sprintf("procs=%d/tiers=%d", procs, tiers), func(t *testing.T) {
				defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
				coherent(t, tiers)
			})
		}
	}
}

func coherent(t *testing.T, tiers int) {
	const keys = 64
	words := Must(Config[int, uint64]{Capacity: 48, T1Slots: tiers, T2Slots: tiers})
	wide := Must(Config[int, versioned]{Capacity: 2000, T1Slots: tiers, T2Slots: tiers})
	defer words.Close()
	defer wide.Close()
	var done [keys]atomic.Uint64
	var stop atomic.Bool
	var wg sync.WaitGroup
	rounds := 30000
	if testing.Short() || debug {
		rounds = 4000
	}
	for g := range 2 {
		spawn(&wg, func() {
			for n := uint64(1); n < uint64(rounds); n++ {
				k := g + 2*int(n*7%(keys/2))
				v := done[k].Load() + 1
				words.Set(k, v)
				wide.Set(k, versioned{v, v, v, v})
				done[k].Store(v)
				if n%97 == 0 {
					words.Delete(k)
					wide.Delete(k)
				}
			}
			stop.Store(true)
		})
	}
	for g := range 2 {
		spawn(&wg, func() {
			var last [2][keys]uint64
			r := rand.New(rand.NewPCG(1, uint64(g)))
			for !stop.Load() {
				k := r.IntN(keys)
				least := done[k].Load()
				if v, ok := words.Get(k); ok {
					if v < least || v < last[0][k] {
						t.Errorf("word: version %d after %d and %d", v, least, last[0][k])
						return
					}
					last[0][k] = v
				}
				least = done[k].Load()
				if v, ok := wide.Get(k); ok {
					if v.a != v.b || v.b != v.c || v.c != v.d {
						t.Errorf("torn: %v", v)
						return
					}
					if v.a < least || v.a < last[1][k] {
						t.Errorf("wide: version %d after %d and %d", v.a, least, last[1][k])
						return
					}
					last[1][k] = v.a
				}
			}
		})
	}
	wg.Wait()
	words.Sync()
	wide.Sync()
	invariants(t, words)
	invariants(t, wide)
}

// TestStalls (G3, G5, G6): with a reader stopped inside its critical section,
// then with the holder of the pass lock stopped, every Set completes and is
// seen, and Len keeps its bound.
// Guards: freeByHand beside grace periods; evictNear.
func TestStalls(t *testing.T) {
	for _, capacity := range []int{10, max(scaled(10_000), 2000)} {
		t.Run(fmt.Sprint("reader/", capacity), func(t *testing.T) {
			c := Must(Config[int, string]{Capacity: capacity})
			defer c.Close()
			c.Set(-1, "held")
			release := holdReader(c, -1)
			defer release()
			stalledSets(t, c)
		})
		t.Run(fmt.Sprint("pass/", capacity), func(t *testing.T) {
			c := Must(Config[int, string]{Capacity: capacity})
			defer c.Close()
			if !c.lockPass() {
				t.Fatal("the pass lock is taken")
			}
			defer c.unlockPass()
			stalledSets(t, c)
		})
	}
}

// holdReader keeps a reader inside its section, with the key's node protected,
// on a P of its own, until release is called. The collector must not run.
func holdReader(c *Cache[int, string], key int) (release func()) {
	percent := rtdebug.SetGCPercent(-1)
	procs := runtime.GOMAXPROCS(4)
	hash := c.hash(key)
	var held, stop atomic.Bool
	finished := make(chan struct{})
	go func() {
		w := c.enter()
		c.find(w, hash, key, false)
		held.Store(true)
		for !stop.Load() {
		}
		w.leave()
		close(finished)
	}()
	for !held.Load() {
		runtime.Gosched()
	}
	return func() {
		stop.Store(true)
		<-finished
		runtime.GOMAXPROCS(procs)
		rtdebug.SetGCPercent(percent)
	}
}

func stalledSets(t *testing.T, c *Cache[int, string]) {
	for i := range 4 * c.capacity {
		key := i % (2 * c.capacity)
		value := [...]string{"a", "b", "c"}[i%3]
		c.Set(key, value)
		if got, ok := c.Get(key); !ok || got != value {
			t.Errorf("Set %d is not seen: %q, %v", i, got, ok)
			return
		}
		if n := c.Len(); n > c.capacity {
			t.Errorf("Len %d, capacity %d", n, c.capacity)
			return
		}
	}
	if t2 := c.table.Load(); t2.homes != c.homes {
		t.Errorf("a full cache has %d buckets, want %d", t2.homes, c.homes)
	}
	if n := c.Stats().Refusals; n != 0 {
		t.Errorf("%d refusals", n)
	}
}

// spawn runs f in a goroutine of the group.
func spawn(wg *sync.WaitGroup, f func()) {
	wg.Add(1)
	go func() {
		defer wg.Done()
		f()
	}()
}

// spill is how many keys of a full cache may have found no place (doc.go): mostly none,
// but where a home has none, it has none for the next of its keys either.
func spill(capacity int) int {
	if capacity < 100 {
		return 0
	}
	return 8 + capacity/10_000
}

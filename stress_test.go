package dualcache

import (
	"context"
	"errors"
	"flag"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var stressFlag = flag.Duration("stress", 0, "run each storm of TestStress for so long")

// A storm is a cache under one kind of load, with somebody who disturbs it.
type storm struct {
	name       string
	cfg        Config[int, versioned]
	keys       int
	goroutines int  // beside the two that set, the two that read, and the one that disturbs
	hot        int  // keys that are most in demand; 0: all alike
	full       bool // there are always more keys than the capacity
	disturb    func(x *stormy)
}

// stormy is a storm under way.
type stormy struct {
	c    *Cache[int, versioned]
	r    *rand.Rand
	stop atomic.Bool
	done []atomic.Uint64 // by key: a version that no Get which begins now may fall behind
}

func (x *stormy) key(r *rand.Rand, s *storm) int {
	if s.hot > 0 && r.IntN(4) > 0 {
		return r.IntN(s.hot)
	}
	return r.IntN(s.keys)
}

// get checks a value: whole, of its key, and not older than what was there before.
func (x *stormy) get(t *testing.T, k int) {
	least := x.done[k].Load()
	if v, ok := x.c.Get(k); ok {
		x.check(t, k, v, least)
	}
}

func (x *stormy) check(t *testing.T, k int, v versioned, least uint64) {
	if v.a != uint64(k) || v.c != v.a^v.b || v.d != ^v.b {
		t.Errorf("key %d has the value %x", k, v)
		x.stop.Store(true)
	} else if v.b < least {
		t.Errorf("key %d has version %d after %d", k, v.b, least)
		x.stop.Store(true)
	}
}

func versionOf(k int, n uint64) versioned { return versioned{uint64(k), n, uint64(k) ^ n, ^n} }

// set is done to a key by one goroutine alone.
func (x *stormy) set(t *testing.T, r *rand.Rand, k int) {
	n := x.done[k].Load() + 1
	v := versionOf(k, n)
	switch r.IntN(16) {
	case 0:
		x.c.Delete(k)
	case 1:
		x.c.SetWithTTL(k, v, time.Duration(r.IntN(3_000_000)))
	case 2:
		x.c.Compute(k, func(old versioned, found bool) (versioned, Op) {
			if found {
				x.check(t, k, old, n-1)
			}
			return v, OpSet
		})
	case 3:
		x.c.GetAndDelete(k)
	case 4:
		if _, loaded := x.c.GetOrSet(k, v); loaded {
			return
		}
	case 5:
		load := func(context.Context, int) (versioned, error) { return v, nil }
		if got, err := x.c.GetOrLoad(context.Background(), k, load); err != nil || got.b != n {
			x.check(t, k, got, n-1)
			return
		}
	default:
		x.c.Set(k, v)
	}
	x.done[k].Store(n)
}

// other is what is done to keys that nobody checks for age.
func (x *stormy) other(r *rand.Rand, keys int) {
	k := keys + r.IntN(keys)
	if v, ok := x.c.Get(k); !ok {
		x.c.Set(k, versionOf(k, 1))
	} else if v != versionOf(k, 1) {
		panic("a foreign value")
	}
}

func storms() []storm {
	pause := func(d time.Duration, f func(x *stormy)) func(x *stormy) {
		return func(x *stormy) {
			f(x)
			time.Sleep(d)
		}
	}
	boom := func(x int) {
		switch x % 64 {
		case 0:
			panic("boom")
		case 1:
			time.Sleep(10 * time.Microsecond)
		}
	}
	jump := new(atomic.Int64)
	weigh := func(k int, _ versioned) uint32 { return uint32(k % 7) }
	return []storm{
		{name: "hot keys", cfg: Config[int, versioned]{Capacity: 2000}, keys: 1500, hot: 4},
		{name: "hot keys in a small cache", cfg: Config[int, versioned]{Capacity: 10}, keys: 64, hot: 2},
		{name: "scans", cfg: Config[int, versioned]{Capacity: 1500}, keys: 2000, hot: 100, full: true, disturb: func(x *stormy) {
			for k := range 20_000 {
				x.c.Set(1_000_000+k, versionOf(1_000_000+k, 1))
			}
		}},
		{name: "hostile hasher", cfg: Config[int, versioned]{Capacity: 500, Hasher: func(k int) uint64 { return uint64(k % 8) }}, keys: 300},
		{name: "ten thousand goroutines", cfg: Config[int, versioned]{Capacity: 1500}, keys: 2000, goroutines: 10_000, full: true},
		{name: "Ps come and go", cfg: Config[int, versioned]{Capacity: 1500, Workers: 2}, keys: 2000, goroutines: 4, full: true,
			disturb: pause(time.Millisecond, func(x *stormy) { runtime.GOMAXPROCS(1 + x.r.IntN(8)) })},
		{name: "collections in a loop", cfg: Config[int, versioned]{Capacity: 1500}, keys: 2000, disturb: func(*stormy) { runtime.GC() }},
		{name: "Clear", cfg: Config[int, versioned]{Capacity: 1500}, keys: 2000, disturb: pause(100*time.Microsecond, func(x *stormy) { x.c.Clear() })},
		{name: "SetCapacity", cfg: Config[int, versioned]{Capacity: 3000}, keys: 4000,
			disturb: pause(100*time.Microsecond, func(x *stormy) { _ = x.c.SetCapacity(1 + x.r.IntN(3000)) })},
		{name: "SetMaxWeight", cfg: Config[int, versioned]{Capacity: 3000, MaxWeight: 4000, Weigher: weigh}, keys: 4000,
			disturb: pause(100*time.Microsecond, func(x *stormy) { _ = x.c.SetMaxWeight(1 + x.r.Uint64N(4000)) })},
		{name: "DeleteFunc and iterations", cfg: Config[int, versioned]{Capacity: 1500}, keys: 2000,
			disturb: func(x *stormy) {
				for k, v := range x.c.All() {
					if v.a != uint64(k) {
						panic("a foreign value")
					}
				}
				x.c.DeleteFunc(func(k int, _ versioned) bool { return k%16 == 0 })
			}},
		{name: "callbacks that panic, sleep and call back", keys: 700, cfg: Config[int, versioned]{
			Capacity: 500, MaxWeight: 1000, Weigher: weigh,
			OnRemoval: func(r Removal[int, versioned]) { boom(int(r.Value.b)) },
			Expiry:    func(_ int, v versioned) time.Duration { return time.Duration(v.b%5) * time.Millisecond },
		}, disturb: pause(50*time.Microsecond, func(x *stormy) {
			defer func() { _ = recover() }()
			x.c.Compute(-1, func(versioned, bool) (versioned, Op) {
				x.c.Set(-2, versioned{})
				boom(x.r.IntN(3))
				return versioned{}, OpSet
			})
			load := func(context.Context, int) (versioned, error) { boom(x.r.IntN(3)); return versioned{}, errors.New("no") }
			_, _ = x.c.GetOrLoad(context.Background(), -3, load)
		})},
		{name: "the clock jumps", keys: 2000, cfg: Config[int, versioned]{
			Capacity: 1500, TTL: time.Minute, ExpireAfterAccess: time.Second,
			Clock: func() time.Time { return time.Unix(1000, jump.Load()) },
		}, disturb: pause(50*time.Microsecond, func(x *stormy) { jump.Add(x.r.Int64N(int64(2 * time.Second))) })},
		{name: "Close", cfg: Config[int, versioned]{Capacity: 1500}, keys: 2000, goroutines: 4, disturb: func(x *stormy) {
			time.Sleep(50 * time.Millisecond)
			x.c.Close()
		}},
	}
}

// run lets it blow.
func (s storm) run(t *testing.T, d time.Duration) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	x := &stormy{c: Must(s.cfg), r: rand.New(rand.NewPCG(5, 5)), done: make([]atomic.Uint64, s.keys)}
	defer x.c.Close()
	var wg sync.WaitGroup
	loop := func(seed uint64, f func(r *rand.Rand)) {
		spawn(&wg, func() {
			for r := rand.New(rand.NewPCG(7, seed)); !x.stop.Load(); {
				f(r)
			}
		})
	}
	for g := range 2 { // each sets half of the keys
		loop(uint64(g), func(r *rand.Rand) {
			if k := x.key(r, &s); k&1 == g {
				x.set(t, r, k)
			}
		})
		loop(uint64(10+g), func(r *rand.Rand) { x.get(t, x.key(r, &s)) })
	}
	for g := range s.goroutines {
		loop(uint64(100+g), func(r *rand.Rand) { x.other(r, s.keys) })
	}
	if s.disturb != nil {
		loop(0, func(*rand.Rand) { s.disturb(x) })
	}
	begun := func() bool { // not all starve
		stats := x.c.Stats()
		return stats.Sets > 0 && stats.Hits > 0 && (!s.full || stats.Evictions > 0)
	}
	for end := time.Now().Add(d); !x.stop.Load() && (time.Now().Before(end) || !begun()); {
		time.Sleep(min(d, 5*time.Millisecond))
	}
	x.stop.Store(true)
	wg.Wait()
	invariants(t, x.c)
	n, size, stats := x.c.Len(), x.c.Capacity(), x.c.Stats()
	if n > size {
		t.Errorf("Len %d, capacity %d", n, size)
	}
	if s.full && n < size*3/4 {
		t.Errorf("Len is %d of %d: more was evicted than had to be", n, size)
	}
	t.Logf("%d entries, %+v", n, stats)
}

// TestStress is all of the contract under loads that are meant to break it. What a Get
// finds is whole, its key's, and not older than a Set or Delete that had returned; and
// afterwards every entry is reached once, and permits, weights and lists add up. With
// -stress each storm lasts as long as that says. Fails without the hazards
// (TestPoisonControl), and with values updated in place that are no words (shown).
func TestStress(t *testing.T) {
	d := 250 * time.Millisecond
	if testing.Short() {
		d = 80 * time.Millisecond
	}
	if *stressFlag > 0 {
		d = *stressFlag
	}
	for _, s := range storms() {
		t.Run(strings.ReplaceAll(s.name, ",", ""), func(t *testing.T) { s.run(t, d) })
	}
}

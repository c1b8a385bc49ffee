package dualcache_test

import (
	"fmt"
	"time"

	"github.com/dualcache-ff/dualcache"
)

// This is the program of README.md.
func Example() {
	cache := dualcache.Must(dualcache.Config[string, int]{Capacity: 10_000})
	defer cache.Close()

	cache.Set("answer", 42)
	value, ok := cache.Get("answer")
	fmt.Println(value, ok)

	cache.Delete("answer")
	value, ok = cache.Get("answer")
	fmt.Println(value, ok)
	// Output:
	// 42 true
	// 0 false
}

func ExampleNew() {
	cache, err := dualcache.New(dualcache.Config[string, int]{Capacity: 10_000})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer cache.Close()
	fmt.Println(cache.Len(), cache.Capacity())
	// Output: 0 10000
}

// The error names every field that is out of its limits.
func ExampleNew_invalid() {
	_, err := dualcache.New(dualcache.Config[string, int]{Capacity: 100, T1Slots: 100, TTL: -time.Second})
	fmt.Println(err)
	// Output:
	// dualcache: Config.T1Slots is 100, want a power of two, at most 4096
	// dualcache: Config.TTL is -1s, want 0 (never) or more
}

func ExampleCache_Get() {
	cache := dualcache.Must(dualcache.Config[string, []string]{Capacity: 100})
	defer cache.Close()
	lookup := func(host string) []string {
		if addrs, ok := cache.Get(host); ok {
			return addrs
		}
		addrs := []string{"192.0.2.1"} // what was slow to find
		cache.Set(host, addrs)
		return addrs
	}
	fmt.Println(lookup("example.org"), lookup("example.org"))
	fmt.Println("hits:", cache.Stats().Hits)
	// Output:
	// [192.0.2.1] [192.0.2.1]
	// hits: 1
}

func ExampleCache_Set() {
	cache := dualcache.Must(dualcache.Config[string, int]{Capacity: 100})
	defer cache.Close()
	cache.Set("a", 1)
	cache.Set("a", 2)
	fmt.Println(cache.Get("a"))
	fmt.Println(cache.Len())
	// Output:
	// 2 true
	// 1
}

func ExampleCache_SetWithTTL() {
	cache := dualcache.Must(dualcache.Config[string, int]{Capacity: 100})
	defer cache.Close()
	cache.SetWithTTL("session", 1, time.Hour)
	cache.SetWithTTL("ticket", 2, time.Microsecond)
	cache.SetWithTTL("constant", 3, 0) // never expires, whatever Config.TTL says
	time.Sleep(time.Millisecond)
	for _, key := range []string{"session", "ticket", "constant"} {
		value, ok := cache.Get(key)
		fmt.Println(key, value, ok)
	}
	// Output:
	// session 1 true
	// ticket 0 false
	// constant 3 true
}

func ExampleCache_Delete() {
	cache := dualcache.Must(dualcache.Config[string, int]{Capacity: 100})
	defer cache.Close()
	cache.Set("a", 1)
	fmt.Println(cache.Delete("a"), cache.Delete("a"))
	// Output: true false
}

func ExampleCache_Clear() {
	cache := dualcache.Must(dualcache.Config[string, int]{Capacity: 100})
	defer cache.Close()
	cache.Set("a", 1)
	cache.Set("b", 2)
	fmt.Println(cache.Len())
	cache.Clear()
	fmt.Println(cache.Len())
	// Output:
	// 2
	// 0
}

// Sync removes what has expired at once. Without it, this happens in the
// background.
func ExampleCache_Sync() {
	cache, _, err := dualcache.NewHeadless(dualcache.Config[string, int]{
		Capacity: 100,
		TTL:      time.Microsecond,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer cache.Close()
	cache.Set("a", 1)
	time.Sleep(time.Millisecond)
	fmt.Println(cache.Len()) // expired, and not removed yet
	cache.Sync()
	fmt.Println(cache.Len())
	// Output:
	// 1
	// 0
}

func ExampleCache_Stats() {
	cache := dualcache.Must(dualcache.Config[string, int]{Capacity: 100})
	defer cache.Close()
	cache.Set("a", 1)
	cache.Get("a")
	cache.Get("b")
	before := cache.Stats()
	fmt.Println(before.Hits, before.Misses, before.HitRatio())
	cache.Get("a")
	fmt.Println("since then:", cache.Stats().Sub(before).HitRatio())
	// Output:
	// 1 1 0.5
	// since then: 1
}

func ExampleStats_HitRatio() {
	stats := dualcache.Stats{Hits: 3, Misses: 1}
	fmt.Println(stats.HitRatio())
	// Output: 0.75
}

// The caller drives the maintenance, here tick by tick.
func ExampleNewHeadless() {
	cache, daemon, err := dualcache.NewHeadless(dualcache.Config[string, int]{Capacity: 100})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer cache.Close()
	cache.Set("a", 1)
	for daemon.Tick() {
	}
	fmt.Println("more to do:", daemon.Tick())
	fmt.Println(cache.Get("a"))
	// Output:
	// more to do: false
	// 1 true
}

// The capacity depends on the sizes of key and value and on the number of
// processors.
func ExampleWithMemoryBudget() {
	small := dualcache.WithMemoryBudget[uint64, uint64](8<<20, 0)
	large := dualcache.WithMemoryBudget[uint64, uint64](64<<20, 0)
	large.FlushTicks = 2 // the other fields are still free to choose
	cache := dualcache.Must(large)
	defer cache.Close()
	fmt.Println(small.Capacity > 0, large.Capacity > 2*small.Capacity)
	fmt.Println(cache.Capacity() == large.Capacity)
	// Output:
	// true true
	// true
}

// Equal keys must give equal hashes. The cache mixes in a seed of its own.
func ExampleConfig_hasher() {
	type point struct{ x, y float64 }
	cache := dualcache.Must(dualcache.Config[point, string]{
		Capacity: 100,
		Hasher:   func(p point) uint64 { return uint64(int64(p.x))*31 + uint64(int64(p.y)) },
	})
	defer cache.Close()
	cache.Set(point{1, 2}, "here")
	fmt.Println(cache.Get(point{1, 2}))
	// Output: here true
}

package dualcache_test

import (
	"fmt"
	"time"

	"github.com/dualcache-ff/dualcache"
)

func Example() {
	cache := dualcache.Must(dualcache.Config[string, int]{Capacity: 10_000})
	defer cache.Close()
	cache.Set("answer", 42)
	value, ok := cache.Get("answer")
	fmt.Println(value, ok)
	// Output: 42 true
}

func ExampleNew() {
	_, err := dualcache.New(dualcache.Config[string, int]{Capacity: 0})
	fmt.Println(err)
	// Output: dualcache: Config.Capacity is 0, want 1 to 536870912
}

func ExampleCache_SetWithTTL() {
	cache := dualcache.Must(dualcache.Config[string, int]{Capacity: 100})
	defer cache.Close()
	cache.SetWithTTL("session", 1, time.Hour)
	_, ok := cache.Get("session")
	cache.SetWithTTL("session", 1, -1)
	_, still := cache.Get("session")
	fmt.Println(ok, still)
	// Output: true false
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
	cache.Clear()
	fmt.Println(cache.Len(), cache.Capacity())
	// Output: 0 100
}

func ExampleCache_Stats() {
	cache := dualcache.Must(dualcache.Config[string, int]{Capacity: 100})
	defer cache.Close()
	cache.Set("a", 1)
	cache.Get("a")
	cache.Get("b")
	stats := cache.Stats()
	fmt.Println(stats.Hits, stats.Misses, stats.HitRatio())
	// Output: 1 1 0.5
}

func ExampleNewHeadless() {
	cache, daemon, err := dualcache.NewHeadless(dualcache.Config[string, int]{Capacity: 100})
	if err != nil {
		panic(err)
	}
	defer cache.Close()
	cache.Set("a", 1)
	for daemon.Tick() {
	}
	fmt.Println(cache.Stats().DroppedInserts)
	// Output: 0
}

func ExampleWithMemoryBudget() {
	cfg := dualcache.WithMemoryBudget[uint64, uint64](1<<20, 0)
	cache := dualcache.Must(cfg)
	defer cache.Close()
	fmt.Println(cfg.Capacity > 10_000, cfg.Capacity < 1<<20/32)
	// Output: true true
}

func ExampleCache_Sync() {
	cache := dualcache.Must(dualcache.Config[string, int]{Capacity: 100})
	defer cache.Close()
	cache.Set("a", 1)
	cache.Sync() // what was recorded has reached the policy
	fmt.Println(cache.Len())
	// Output: 1
}

func ExampleConfig_hasher() {
	cache := dualcache.Must(dualcache.Config[[2]float64, string]{
		Capacity: 100,
		Hasher:   func(p [2]float64) uint64 { return uint64(p[0])*31 + uint64(p[1]) },
	})
	defer cache.Close()
	cache.Set([2]float64{1, 2}, "here")
	fmt.Println(cache.Get([2]float64{1, 2}))
	// Output: here true
}

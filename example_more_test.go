package dualcache_test

import (
	"expvar"
	"fmt"
	"slices"
	"strings"

	"github.com/dualcache-ff/dualcache"
)

// The weights of entries are bounded by MaxWeight, and their number by Capacity. One
// that is heavier than the cache is refused.
func ExampleConfig_weigher() {
	cache := dualcache.Must(dualcache.Config[string, string]{
		Capacity:  10_000,
		MaxWeight: 1 << 20,
		Weigher:   func(key, value string) uint32 { return uint32(len(key) + len(value)) },
	})
	defer cache.Close()
	cache.Set("page", strings.Repeat("x", 1000))
	fmt.Println(cache.Weight())
	cache.Set("page", "short")
	fmt.Println(cache.Weight())
	cache.Set("page", strings.Repeat("x", 2<<20))
	fmt.Println(cache.Contains("page"), cache.Weight(), cache.Stats().Refusals)
	// Output:
	// 1004
	// 9
	// false 0 1
}

// An entry of weight 0 is pinned: others are evicted for new ones.
func ExampleConfig_pinned() {
	type page struct {
		text   string
		pinned bool
	}
	cache := dualcache.Must(dualcache.Config[string, page]{
		Capacity:  100,
		MaxWeight: 1000,
		Weigher: func(_ string, p page) uint32 {
			if p.pinned {
				return 0
			}
			return uint32(len(p.text))
		},
	})
	defer cache.Close()
	cache.Set("home", page{"welcome", true})
	for i := range 10_000 {
		cache.Set(fmt.Sprint("page", i), page{"some text", false})
	}
	fmt.Println(cache.Contains("home"), cache.Weight() <= 1000)
	// Output: true true
}

func ExampleCache_SetCapacity() {
	cache := dualcache.Must(dualcache.Config[int, int]{Capacity: 1000})
	defer cache.Close()
	for i := range 1000 {
		cache.Set(i, i)
	}
	if err := cache.SetCapacity(10); err != nil {
		fmt.Println(err)
	}
	fmt.Println(cache.Len(), cache.Capacity())
	fmt.Println(cache.SetCapacity(2000))
	// Output:
	// 10 10
	// dualcache: capacity is 2000, want 1 to Config.Capacity, 1000
}

func ExampleCache_SetMaxWeight() {
	cache := dualcache.Must(dualcache.Config[int, []byte]{
		Capacity:  1000,
		MaxWeight: 10_000,
		Weigher:   func(_ int, value []byte) uint32 { return uint32(len(value)) },
	})
	defer cache.Close()
	for i := range 100 {
		cache.Set(i, make([]byte, 100))
	}
	fmt.Println(cache.Weight())
	if err := cache.SetMaxWeight(500); err != nil {
		fmt.Println(err)
	}
	fmt.Println(cache.Weight())
	// Output:
	// 10000
	// 500
}

func ExampleConfig_onRemoval() {
	cache := dualcache.Must(dualcache.Config[string, int]{
		Capacity: 100,
		OnRemoval: func(r dualcache.Removal[string, int]) {
			fmt.Println(r.Key, r.Value, r.Cause)
		},
	})
	cache.Set("a", 1)
	cache.Set("a", 2)
	cache.Delete("a")
	cache.Set("b", 3)
	cache.Close() // waits until everything has been reported
	// Output:
	// a 1 replaced
	// a 2 deleted
	// b 3 cleared
}

func ExampleCause_String() {
	fmt.Println(dualcache.CauseEvicted, dualcache.CauseExpired)
	// Output: evicted expired
}

func ExampleCache_All() {
	cache := dualcache.Must(dualcache.Config[string, int]{Capacity: 100})
	defer cache.Close()
	cache.Set("a", 1)
	cache.Set("b", 2)
	sum := 0
	for key, value := range cache.All() {
		sum += value
		cache.Delete(key) // the loop may do anything with the cache
	}
	fmt.Println(sum, cache.Len())
	// Output: 3 0
}

func ExampleCache_Keys() {
	cache := dualcache.Must(dualcache.Config[string, int]{Capacity: 100})
	defer cache.Close()
	cache.Set("a", 1)
	cache.Set("b", 2)
	fmt.Println(slices.Sorted(cache.Keys()))
	// Output: [a b]
}

func ExampleCache_Values() {
	cache := dualcache.Must(dualcache.Config[string, int]{Capacity: 100})
	defer cache.Close()
	cache.Set("a", 1)
	cache.Set("b", 2)
	fmt.Println(slices.Sorted(cache.Values()))
	// Output: [1 2]
}

func ExampleCache_Hottest() {
	cache := dualcache.Must(dualcache.Config[string, int]{Capacity: 100})
	defer cache.Close()
	for _, key := range []string{"a", "b", "c"} {
		cache.Set(key, 0)
	}
	cache.Get("b")
	cache.Get("b")
	cache.Get("c")
	for _, e := range cache.Hottest(2) {
		fmt.Println(e.Key)
	}
	// Output:
	// b
	// c
}

func ExampleCache_Coldest() {
	cache := dualcache.Must(dualcache.Config[string, int]{Capacity: 100})
	defer cache.Close()
	cache.Set("read", 1)
	cache.Set("never read", 2)
	cache.Get("read")
	fmt.Println(cache.Coldest(1)[0].Key)
	// Output: never read
}

// Counts of an interval are the difference of two readings.
func ExampleStats_Sub() {
	cache := dualcache.Must(dualcache.Config[string, int]{Capacity: 100})
	defer cache.Close()
	cache.Get("a")
	before := cache.Stats()
	cache.Set("a", 1)
	cache.Get("a")
	lately := cache.Stats().Sub(before)
	fmt.Println(lately.Sets, lately.Hits, lately.Misses)
	// Output: 1 1 0
}

// Statistics are published by expvar as they are asked for.
func ExampleCache_Stats_expvar() {
	cache := dualcache.Must(dualcache.Config[string, int]{Capacity: 100})
	defer cache.Close()
	expvar.Publish("cache", expvar.Func(func() any { return cache.Stats() }))
	cache.Set("a", 1)
	cache.Get("a")
	fmt.Println(strings.Contains(expvar.Get("cache").String(), `"Hits":1,`))
	// Output: true
}

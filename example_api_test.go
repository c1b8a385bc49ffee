package dualcache_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/dualcache-ff/dualcache"
)

func ExampleCache_GetOrLoad() {
	cache := dualcache.Must(dualcache.Config[string, int]{Capacity: 100})
	defer cache.Close()
	load := func(ctx context.Context, key string) (int, error) {
		fmt.Println("loading", key)
		return len(key), nil
	}
	for range 2 {
		fmt.Println(cache.GetOrLoad(context.Background(), "seven", load))
	}
	// Output:
	// loading seven
	// 5 <nil>
	// 5 <nil>
}

func ExampleCache_GetOrLoadMany() {
	cache := dualcache.Must(dualcache.Config[string, int]{Capacity: 100})
	defer cache.Close()
	cache.Set("a", 1)
	values, err := cache.GetOrLoadMany(context.Background(), []string{"a", "b", "c"},
		func(ctx context.Context, missing []string) (map[string]int, error) {
			fmt.Println("loading", missing)
			return map[string]int{"b": 2}, nil // there is no c
		})
	fmt.Println(values, err)
	// Output:
	// loading [b c]
	// map[a:1 b:2] <nil>
}

func ExampleCache_Refresh() {
	version := 1
	cache := dualcache.Must(dualcache.Config[string, int]{
		Capacity:     100,
		RefreshAfter: time.Hour, // a Get after that returns what there is, and reloads
		Loader:       func(context.Context, string) (int, error) { return version, nil },
	})
	defer cache.Close()
	fmt.Println(cache.GetOrLoad(context.Background(), "a", nil))
	version = 2
	fmt.Println(cache.Get("a"))
	fmt.Println(cache.Refresh(context.Background(), "a")) // now, without waiting for that
	fmt.Println(cache.Get("a"))
	// Output:
	// 1 <nil>
	// 1 true
	// 2 <nil>
	// 2 true
}

// It is remembered that there is no such user.
func ExampleConfig_negativeTTL() {
	cache := dualcache.Must(dualcache.Config[string, int]{
		Capacity:    100,
		NegativeTTL: time.Minute,
		Loader: func(_ context.Context, user string) (int, error) {
			fmt.Println("asking for", user)
			return 0, fmt.Errorf("no user %s: %w", user, dualcache.ErrNotFound)
		},
	})
	defer cache.Close()
	for range 2 {
		_, err := cache.GetOrLoad(context.Background(), "nobody", nil)
		fmt.Println(errors.Is(err, dualcache.ErrNotFound))
	}
	// Output:
	// asking for nobody
	// true
	// true
}

// A loader says how long its value is good.
func ExampleLoadTTL() {
	cache := dualcache.Must(dualcache.Config[string, string]{Capacity: 100, TTL: time.Hour})
	defer cache.Close()
	cache.GetOrLoad(context.Background(), "token", func(ctx context.Context, _ string) (string, error) {
		dualcache.LoadTTL(ctx, time.Minute)
		return "abc", nil
	})
	entry, _ := cache.GetEntry("token")
	fmt.Println(time.Until(entry.ExpiresAt).Round(time.Minute))
	// Output: 1m0s
}

func ExampleCache_Compute() {
	cache := dualcache.Must(dualcache.Config[string, int]{Capacity: 100})
	defer cache.Close()
	count := func(old int, found bool) (int, dualcache.Op) {
		if !found {
			return 1, dualcache.SetFor(time.Minute) // a new count, for a minute
		}
		return old + 1, dualcache.OpSet
	}
	for range 3 {
		fmt.Println(cache.Compute("visits", count))
	}
	// Output:
	// 1 true
	// 2 true
	// 3 true
}

func ExampleCache_GetOrSet() {
	cache := dualcache.Must(dualcache.Config[string, int]{Capacity: 100})
	defer cache.Close()
	fmt.Println(cache.GetOrSet("a", 1))
	fmt.Println(cache.GetOrSet("a", 2))
	// Output:
	// 1 false
	// 1 true
}

func ExampleCache_GetAndDelete() {
	cache := dualcache.Must(dualcache.Config[string, int]{Capacity: 100})
	defer cache.Close()
	cache.Set("a", 1)
	fmt.Println(cache.GetAndDelete("a"))
	fmt.Println(cache.GetAndDelete("a"))
	// Output:
	// 1 true
	// 0 false
}

func ExampleCache_Peek() {
	cache := dualcache.Must(dualcache.Config[string, int]{Capacity: 100})
	defer cache.Close()
	cache.Set("a", 1)
	fmt.Println(cache.Peek("a"))
	fmt.Println("hits:", cache.Stats().Hits)
	// Output:
	// 1 true
	// hits: 0
}

func ExampleCache_GetEntry() {
	cache := dualcache.Must(dualcache.Config[string, int]{Capacity: 100})
	defer cache.Close()
	cache.SetWithTTL("a", 1, time.Hour)
	cache.Set("b", 2)
	for _, key := range []string{"a", "b"} {
		entry, ok := cache.GetEntry(key)
		fmt.Println(entry.Key, entry.Value, ok, "expires:", !entry.ExpiresAt.IsZero())
	}
	// Output:
	// a 1 true expires: true
	// b 2 true expires: false
}

func ExampleCache_GetMany() {
	cache := dualcache.Must(dualcache.Config[string, int]{Capacity: 100})
	defer cache.Close()
	cache.SetMany([]string{"a", "c"}, []int{1, 3})
	keys := []string{"a", "b", "c"}
	values, found := make([]int, len(keys)), make([]bool, len(keys))
	hits := cache.GetMany(keys, values, found)
	fmt.Println(hits, values, found)
	// Output: 2 [1 0 3] [true false true]
}

func ExampleCache_SetMany() {
	cache := dualcache.Must(dualcache.Config[string, int]{Capacity: 100})
	defer cache.Close()
	cache.SetMany([]string{"a", "b"}, []int{1, 2})
	fmt.Println(cache.Len())
	// Output: 2
}

func ExampleCache_DeleteFunc() {
	cache := dualcache.Must(dualcache.Config[int, int]{Capacity: 100})
	defer cache.Close()
	for i := range 10 {
		cache.Set(i, i*i)
	}
	fmt.Println(cache.DeleteFunc(func(key, value int) bool { return value >= 25 }), cache.Len())
	// Output: 5 5
}

// Clock is for tests: time passes when they say so.
func ExampleConfig_clock() {
	begin := time.Now()
	var passed atomic.Int64 // the daemon asks for the time as well
	cache := dualcache.Must(dualcache.Config[string, int]{
		Capacity: 100,
		TTL:      time.Minute,
		Clock:    func() time.Time { return begin.Add(time.Duration(passed.Load())) },
	})
	defer cache.Close()
	cache.Set("a", 1)
	passed.Store(int64(time.Minute - 1))
	fmt.Println(cache.Get("a"))
	passed.Store(int64(time.Minute))
	fmt.Println(cache.Get("a"))
	// Output:
	// 1 true
	// 0 false
}

func ExampleConfig_expireAfterAccess() {
	begin := time.Now()
	var passed atomic.Int64
	cache := dualcache.Must(dualcache.Config[string, int]{
		Capacity:          100,
		ExpireAfterAccess: time.Minute,
		Clock:             func() time.Time { return begin.Add(time.Duration(passed.Load())) },
	})
	defer cache.Close()
	cache.Set("a", 1)
	for range 3 {
		passed.Add(int64(50 * time.Second))
		fmt.Println(cache.Get("a"))
	}
	passed.Add(int64(time.Minute))
	fmt.Println(cache.Get("a"))
	// Output:
	// 1 true
	// 1 true
	// 1 true
	// 0 false
}

// Each entry has a time to live that depends on it.
func ExampleConfig_expiry() {
	cache := dualcache.Must(dualcache.Config[string, int]{
		Capacity: 100,
		Expiry: func(_ string, value int) time.Duration {
			if value == 0 {
				return -1 // is not kept
			}
			return time.Duration(value) * time.Hour
		},
	})
	defer cache.Close()
	cache.Set("long", 24)
	cache.Set("none", 0)
	entry, _ := cache.GetEntry("long")
	fmt.Println(time.Until(entry.ExpiresAt).Round(time.Hour), cache.Contains("none"))
	// Output: 24h0m0s false
}

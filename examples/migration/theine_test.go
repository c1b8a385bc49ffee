package migration

import (
	"bytes"
	"context"
	"maps"
	"testing"
	"time"

	"github.com/Yiling-J/theine-go"
	"github.com/dualcache-ff/dualcache"
)

func TestTheine(t *testing.T) {
	var oldLog, newLog journal

	old, err := theine.NewBuilder[string, int](10_000).
		RemovalListener(func(key string, value int, reason theine.RemoveReason) {
			oldLog.tell(key, value, reason)
		}).Build()
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()

	cache, err := dualcache.New(dualcache.Config[string, int]{
		Capacity: 10_000,
		OnRemoval: func(r dualcache.Removal[string, int]) {
			if r.Cause != dualcache.CauseReplaced {
				newLog.tell(r.Key, r.Value, r.Cause)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer cache.Close()

	key, value := "a", 1
	old.Set(key, value, 1)
	cache.Set(key, value)
	same(t, "Get")(old.Get(key))(cache.Get(key))

	old.SetWithTTL(key, value, 1, time.Minute)
	cache.SetWithTTL(key, value, time.Minute)
	same(t, "Get with a TTL")(old.Get(key))(cache.Get(key))

	visited := map[string]int{}
	old.Range(func(key string, value int) bool { visited[key] = value; return true })
	for key, value := range cache.All() {
		if visited[key] != value {
			t.Error(key, value)
		}
	}
	if got := maps.Collect(cache.All()); !maps.Equal(got, visited) {
		t.Error(got, visited)
	}

	old.Wait()
	cache.Sync()
	if old.Len() != 1 || cache.Len() != 1 {
		t.Error(old.Len(), cache.Len())
	}
	if old.Stats().HitRatio() != cache.Stats().HitRatio() {
		t.Error(old.Stats().HitRatio(), cache.Stats().HitRatio())
	}
	var w bytes.Buffer
	if err := old.SaveCache(1, &w); err != nil {
		t.Error(err)
	}
	if err := old.LoadCache(1, &w); err != nil {
		t.Error(err)
	}
	w.Reset()
	if _, err := cache.WriteTo(&w); err != nil {
		t.Error(err)
	}
	if _, err := cache.ReadFrom(&w); err != nil {
		t.Error(err)
	}
	old.Delete(key)
	cache.Delete(key)
	same(t, "Get after Delete")(old.Get(key))(cache.Get(key))
	oldLog.expect(t, "a 1 0")
	newLog.expect(t, "a 1 deleted")
}

// A Set without a TTL leaves the deadline of an entry that has one as it is, in
// theine. Here the entry gets Config.TTL, which is none.
func TestTheineKeepsDeadline(t *testing.T) {
	old, err := theine.NewBuilder[string, int](100).Build()
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	cache := dualcache.Must(dualcache.Config[string, int]{Capacity: 100})
	defer cache.Close()
	old.SetWithTTL("a", 1, 1, 20*time.Millisecond)
	old.Set("a", 2, 1)
	cache.SetWithTTL("a", 1, 20*time.Millisecond)
	cache.Set("a", 2)
	time.Sleep(40 * time.Millisecond)
	if _, ok := old.Get("a"); ok {
		t.Error("theine has given the entry a new deadline")
	}
	if _, ok := cache.Get("a"); !ok {
		t.Error("the entry has kept its deadline")
	}
}

func TestTheineCost(t *testing.T) {
	old, err := theine.NewBuilder[string, []byte](1 << 20).
		Cost(func(value []byte) int64 { return int64(len(value)) }).Build()
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	cache := dualcache.Must(dualcache.Config[string, []byte]{
		Capacity:  10_000,
		MaxWeight: 1 << 20,
		Weigher:   func(key string, value []byte) uint32 { return uint32(len(value)) },
	})
	defer cache.Close()
	old.Set("a", make([]byte, 1000), 0)
	cache.Set("a", make([]byte, 1000))
	old.Wait()
	if old.EstimatedSize() != 1000 || cache.Weight() != 1000 {
		t.Error(old.EstimatedSize(), cache.Weight())
	}
	if old.Set("b", make([]byte, 2<<20), 0) {
		t.Error("theine has taken what is too large")
	}
	cache.Set("b", make([]byte, 2<<20))
	if cache.Contains("b") || cache.Stats().Refusals != 1 {
		t.Error(cache.Stats().Refusals, "refusals")
	}
}

func TestTheineLoading(t *testing.T) {
	ctx, key := context.Background(), "abc"

	old, err := theine.NewBuilder[string, int](10_000).BuildWithLoader(
		func(ctx context.Context, key string) (theine.Loaded[int], error) {
			return theine.Loaded[int]{Value: len(key), Cost: 1, TTL: time.Minute}, nil
		})
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()

	cache, err := dualcache.New(dualcache.Config[string, int]{
		Capacity: 10_000,
		Loader: func(ctx context.Context, key string) (int, error) {
			dualcache.LoadTTL(ctx, time.Minute)
			return len(key), nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer cache.Close()

	same(t, "loading")(ok(old.Get(ctx, key)))(ok(cache.GetOrLoad(ctx, key, nil)))
	e, _ := cache.GetEntry(key)
	if left := time.Until(e.ExpiresAt); left > time.Minute || left < 30*time.Second {
		t.Error("what was loaded has a TTL of", left)
	}
}

package migration

import (
	"testing"
	"time"

	"github.com/dgraph-io/ristretto/v2"
	"github.com/dualcache-ff/dualcache"
)

func TestRistretto(t *testing.T) {
	old, err := ristretto.NewCache(&ristretto.Config[string, int]{
		NumCounters:        100_000,
		MaxCost:            10_000,
		BufferItems:        64,
		IgnoreInternalCost: true,
		Metrics:            true,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()

	cache, err := dualcache.New(dualcache.Config[string, int]{Capacity: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	defer cache.Close()

	key, value := "a", 1
	old.Set(key, value, 1)
	old.Wait()
	cache.Set(key, value)
	same(t, "Get")(old.Get(key))(cache.Get(key))

	old.SetWithTTL(key, value, 1, time.Minute)
	cache.SetWithTTL(key, value, time.Minute)
	ttl, _ := old.GetTTL(key)
	e, _ := cache.GetEntry(key)
	if d := time.Until(e.ExpiresAt) - ttl; d.Abs() > 30*time.Second {
		t.Errorf("the deadlines are %v apart", d)
	}

	// A negative TTL: the old value stays, or goes.
	old.SetWithTTL(key, 2, 1, -1)
	cache.SetWithTTL(key, 2, -1)
	if _, ok := old.Get(key); !ok || cache.Contains(key) {
		t.Error("a negative TTL does not do what the page says")
	}
	cache.Set(key, value)

	old.IterValues(func(v int) (stop bool) { return v != value })
	for v := range cache.Values() {
		if v != value {
			t.Error(v)
		}
	}
	if old.Metrics.Ratio() == 0 || cache.Stats().HitRatio() == 0 {
		t.Error(old.Metrics.Ratio(), cache.Stats().HitRatio())
	}
	old.Del(key)
	cache.Delete(key)
	same(t, "Get after Delete")(old.Get(key))(cache.Get(key))
	old.Clear()
	cache.Clear()
}

func TestRistrettoCost(t *testing.T) {
	var oldLog, newLog journal
	old, err := ristretto.NewCache(&ristretto.Config[string, string]{
		NumCounters: 100_000,
		MaxCost:     1 << 20,
		BufferItems: 64,
		Cost:        func(value string) int64 { return int64(len(value)) },
		OnExit:      func(value string) { oldLog.tell(value) },
	})
	if err != nil {
		t.Fatal(err)
	}
	cache := dualcache.Must(dualcache.Config[string, string]{
		Capacity:  10_000,
		MaxWeight: 1 << 20,
		Weigher:   func(key, value string) uint32 { return uint32(len(value)) },
		OnRemoval: func(r dualcache.Removal[string, string]) { newLog.tell(r.Value) },
	})
	old.Set("a", "abc", 0)
	old.Wait()
	cache.Set("a", "abc")
	if old.RemainingCost() >= 1<<20-3 || cache.Weight() != 3 {
		t.Error("no cost of its own:", old.RemainingCost(), cache.Weight())
	}
	old.UpdateMaxCost(1 << 10)
	if err := cache.SetMaxWeight(1 << 10); err != nil {
		t.Error(err)
	}
	old.Close()
	cache.Close()
	oldLog.expect(t, "abc")
	newLog.expect(t, "abc")
}

// ShouldUpdate becomes Compute.
func TestRistrettoShouldUpdate(t *testing.T) {
	type versioned struct{ version int }
	old, err := ristretto.NewCache(&ristretto.Config[string, versioned]{
		NumCounters:  1000,
		MaxCost:      1 << 20,
		BufferItems:  64,
		ShouldUpdate: func(cur, prev versioned) bool { return cur.version > prev.version },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	cache := dualcache.Must(dualcache.Config[string, versioned]{Capacity: 100})
	defer cache.Close()

	key := "a"
	for _, value := range []versioned{{2}, {1}, {3}} {
		old.Set(key, value, 1)
		old.Wait()

		cache.Compute(key, func(prev versioned, found bool) (versioned, dualcache.Op) {
			if found && value.version <= prev.version {
				return prev, dualcache.OpKeep
			}
			return value, dualcache.OpSet
		})

		theirs, _ := old.Get(key)
		if ours, _ := cache.Get(key); ours != theirs {
			t.Error(ours, theirs)
		}
	}
}

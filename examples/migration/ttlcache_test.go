package migration

import (
	"context"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/dualcache-ff/dualcache"
	"github.com/jellydator/ttlcache/v3"
)

func TestTTLCache(t *testing.T) {
	var oldLog, newLog journal

	old := ttlcache.New(
		ttlcache.WithCapacity[string, int](10_000),
		ttlcache.WithTTL[string, int](time.Hour),
		ttlcache.WithDisableTouchOnHit[string, int](),
	)
	old.OnEviction(func(ctx context.Context, reason ttlcache.EvictionReason, item *ttlcache.Item[string, int]) {
		oldLog.tell(item.Key(), item.Value(), reason)
	})
	go old.Start()
	defer old.Stop()

	cache := dualcache.Must(dualcache.Config[string, int]{
		Capacity: 10_000,
		TTL:      time.Hour,
		OnRemoval: func(r dualcache.Removal[string, int]) {
			newLog.tell(r.Key, r.Value, r.Cause)
		},
	})
	defer cache.Close()

	key, value := "a", 1
	old.Set(key, value, ttlcache.DefaultTTL)
	cache.Set(key, value)
	theirs := func() (int, bool) {
		if item := old.Get(key); item != nil {
			return item.Value(), true
		}
		return 0, false
	}
	same(t, "Get")(theirs())(cache.Get(key))
	until := func(old time.Time, e dualcache.Entry[string, int], ok bool) {
		t.Helper()
		if d := old.Sub(e.ExpiresAt); d.Abs() > 30*time.Second || !ok {
			t.Errorf("the deadlines are %v apart", d)
		}
	}
	e, ok := cache.GetEntry(key)
	until(old.Get(key).ExpiresAt(), e, ok)

	old.Set(key, value, time.Minute)
	cache.SetWithTTL(key, value, time.Minute)
	e, ok = cache.GetEntry(key)
	until(old.Get(key).ExpiresAt(), e, ok)

	old.Set(key, value, ttlcache.NoTTL)
	cache.SetWithTTL(key, value, 0)
	e, ok = cache.GetEntry(key)
	until(old.Get(key).ExpiresAt(), e, ok)

	item, found := old.GetOrSet(key, 2)
	actual, loaded := cache.GetOrSet(key, 2)
	if item.Value() != actual || found != loaded {
		t.Error(item.Value(), found, actual, loaded)
	}
	if !old.Has(key) || !cache.Contains(key) {
		t.Error("it is not there")
	}
	if got, want := slices.Collect(cache.Keys()), old.Keys(); !slices.Equal(got, want) {
		t.Error(got, want)
	}
	copied := maps.Collect(cache.All())
	if items := old.Items(); len(items) != len(copied) || items[key].Value() != copied[key] {
		t.Error(items, copied)
	}
	old.Range(func(item *ttlcache.Item[string, int]) bool { return item.Value() == value })
	for _, v := range cache.All() {
		if v != value {
			t.Error(v)
		}
	}
	old.DeleteExpired()
	cache.Sync()
	if old.Len() != 1 || cache.Len() != 1 {
		t.Error(old.Len(), cache.Len())
	}
	if old.Metrics().Hits == 0 || cache.Stats().Hits == 0 {
		t.Error(old.Metrics().Hits, cache.Stats().Hits)
	}

	old.GetAndDelete(key)
	cache.GetAndDelete(key)
	old.Delete(key)
	cache.Delete(key)
	old.Set("b", 2, ttlcache.DefaultTTL)
	cache.Set("b", 2)
	old.DeleteAll()
	cache.Clear()
	oldLog.expect(t, "a 1 1", "b 2 1")
	newLog.expect(t, "a 1 replaced", "a 1 replaced", "a 1 deleted", "b 2 cleared")
}

// A read prolongs an entry, as it does in ttlcache without WithDisableTouchOnHit.
func TestTTLCacheTouch(t *testing.T) {
	old := ttlcache.New(ttlcache.WithTTL[string, int](time.Hour))
	cache := dualcache.Must(dualcache.Config[string, int]{
		Capacity:          10_000,
		ExpireAfterAccess: time.Hour,
	})
	defer cache.Close()
	key := "a"
	old.Set(key, 1, ttlcache.DefaultTTL)
	cache.Set(key, 1)
	deadline := func() time.Time {
		e, _ := cache.GetEntry(key)
		return e.ExpiresAt
	}
	before := deadline()
	time.Sleep(5 * time.Millisecond)
	_ = old.Get(key, ttlcache.WithDisableTouchOnHit[string, int]())
	cache.Peek(key)
	if !deadline().Equal(before) {
		t.Error("Peek has moved the deadline")
	}
	old.Touch(key)
	cache.Get(key)
	// Config.ExpireAfterAccess is moved in steps of at least a thousandth: 3.6 s here.
	if deadline().Before(before) {
		t.Error("Get has moved the deadline back")
	}
}

func TestTTLCacheLoading(t *testing.T) {
	ctx, key := context.Background(), "abc"

	old := ttlcache.New(ttlcache.WithLoader(ttlcache.NewSuppressedLoader(
		ttlcache.LoaderFunc[string, int](func(c *ttlcache.Cache[string, int], key string) *ttlcache.Item[string, int] {
			return c.Set(key, len(key), time.Minute)
		}), nil)))

	cache := dualcache.Must(dualcache.Config[string, int]{
		Capacity: 10_000,
		Loader: func(ctx context.Context, key string) (int, error) {
			dualcache.LoadTTL(ctx, time.Minute)
			return len(key), nil
		},
	})
	defer cache.Close()

	item := old.Get(key)
	value, err := cache.GetOrLoad(ctx, key, nil)
	if err != nil || item.Value() != value {
		t.Error(item.Value(), value, err)
	}
}

func TestTTLCacheCost(t *testing.T) {
	old := ttlcache.New(ttlcache.WithMaxCost(1<<20,
		func(item ttlcache.CostItem[string, string]) uint64 { return uint64(len(item.Value)) }))
	cache := dualcache.Must(dualcache.Config[string, string]{
		Capacity:  10_000,
		MaxWeight: 1 << 20,
		Weigher:   func(key, value string) uint32 { return uint32(len(value)) },
	})
	defer cache.Close()
	old.Set("a", "abc", ttlcache.DefaultTTL)
	cache.Set("a", "abc")
	if e, _ := cache.GetEntry("a"); old.Get("a").Cost() != uint64(e.Weight) {
		t.Error(e.Weight)
	}
}

package migration

import (
	"context"
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dualcache-ff/dualcache"
	"github.com/maypok86/otter/v2"
	"github.com/maypok86/otter/v2/stats"
)

func TestOtter(t *testing.T) {
	var oldLog, newLog journal

	old := otter.Must(&otter.Options[string, int]{
		MaximumSize:      10_000,
		ExpiryCalculator: otter.ExpiryWriting[string, int](time.Hour),
		StatsRecorder:    stats.NewCounter(),
		OnDeletion: func(e otter.DeletionEvent[string, int]) {
			oldLog.tell(e.Key, e.Value, e.Cause.String())
		},
	})
	defer old.StopAllGoroutines()

	cache := dualcache.Must(dualcache.Config[string, int]{
		Capacity: 10_000,
		TTL:      time.Hour,
		OnRemoval: func(r dualcache.Removal[string, int]) {
			newLog.tell(r.Key, r.Value, r.Cause.String())
		},
	})
	defer cache.Close()

	key, value := "a", 1
	old.Set(key, value)
	cache.Set(key, value)
	same(t, "Get")(old.GetIfPresent(key))(cache.Get(key))
	same(t, "Get of what is not there")(old.GetIfPresent("none"))(cache.Get("none"))

	theirs, _ := old.GetEntryQuietly(key)
	ours, _ := cache.GetEntry(key)
	if d := theirs.ExpiresAt().Sub(ours.ExpiresAt); d.Abs() > time.Minute {
		t.Errorf("the deadlines are %v apart", d)
	}

	// The second result has the opposite sense.
	_, set := old.SetIfAbsent(key, 2)
	actual, loaded := cache.GetOrSet(key, 2)
	if set || actual != value || !loaded {
		t.Error(set, actual, loaded)
	}

	old.Set("b", 2)
	old.SetExpiresAfter("b", time.Minute)
	cache.SetWithTTL("b", 2, time.Minute)
	theirs, _ = old.GetEntryQuietly("b")
	ours, _ = cache.GetEntry("b")
	if d := theirs.ExpiresAt().Sub(ours.ExpiresAt); d.Abs() > 30*time.Second {
		t.Errorf("the deadlines are %v apart", d)
	}

	old.Compute(key, func(v int, found bool) (int, otter.ComputeOp) { return v + 1, otter.WriteOp })
	cache.Compute(key, func(v int, found bool) (int, dualcache.Op) { return v + 1, dualcache.OpSet })
	same(t, "Get after Compute")(old.GetIfPresent(key))(cache.Get(key))
	old.Compute(key, func(v int, found bool) (int, otter.ComputeOp) { return 0, otter.CancelOp })
	cache.Compute(key, func(v int, found bool) (int, dualcache.Op) { return 0, dualcache.OpKeep })
	same(t, "Get after Compute that changes nothing")(old.GetIfPresent(key))(cache.Get(key))

	if got, want := maps.Collect(cache.All()), maps.Collect(old.All()); !maps.Equal(got, want) {
		t.Errorf("All gives %v and %v", got, want)
	}
	if got, want := slices.Sorted(cache.Keys()), slices.Sorted(old.Keys()); !slices.Equal(got, want) {
		t.Errorf("Keys gives %v and %v", got, want)
	}
	for e := range old.Hottest() {
		_ = e.Key
	}
	for _, e := range cache.Hottest(10) {
		_ = e.Key
	}

	old.CleanUp()
	cache.Sync()
	if old.EstimatedSize() != 2 || cache.Len() != 2 {
		t.Error(old.EstimatedSize(), cache.Len())
	}
	old.SetMaximum(5_000)
	if err := cache.SetCapacity(5_000); err != nil {
		t.Error(err)
	}
	if old.Stats().HitRatio() == 0 || cache.Stats().HitRatio() == 0 {
		t.Error(old.Stats().HitRatio(), cache.Stats().HitRatio())
	}

	same(t, "Delete")(old.Invalidate(key))(cache.GetAndDelete(key))
	old.InvalidateAll()
	cache.Clear()
	oldLog.expect(t, "a 1 Replacement", "a 2 Invalidation", "b 2 Invalidation")
	newLog.expect(t, "a 1 replaced", "a 2 deleted", "b 2 cleared")
}

func TestOtterLoading(t *testing.T) {
	ctx, key := context.Background(), "abc"
	load := func(ctx context.Context, key string) (int, error) { return len(key), nil }
	loadMany := func(ctx context.Context, keys []string) (map[string]int, error) {
		found := map[string]int{}
		for _, key := range keys {
			found[key] = len(key)
		}
		return found, nil
	}

	old := otter.Must(&otter.Options[string, int]{
		MaximumSize:       10_000,
		RefreshCalculator: otter.RefreshWriting[string, int](time.Minute),
	})
	cache := dualcache.Must(dualcache.Config[string, int]{
		Capacity:     10_000,
		RefreshAfter: time.Minute,
		Loader:       load,
	})
	defer cache.Close()

	same(t, "loading")(ok(old.Get(ctx, key, otter.LoaderFunc[string, int](load))))(ok(cache.GetOrLoad(ctx, key, load)))
	keys := []string{"abc", "d"}
	theirs, err := old.BulkGet(ctx, keys, otter.BulkLoaderFunc[string, int](loadMany))
	if err != nil {
		t.Error(err)
	}
	ours, err := cache.GetOrLoadMany(ctx, keys, loadMany)
	if err != nil || !maps.Equal(theirs, ours) {
		t.Error(theirs, ours, err)
	}

	result := <-old.Refresh(ctx, key, otter.LoaderFunc[string, int](load))
	value, err := cache.Refresh(ctx, key)
	if result.Err != nil || err != nil || result.Value != value {
		t.Error(result, value, err)
	}

	absent := func(context.Context, string) (int, error) { return 0, dualcache.ErrNotFound }
	if _, err := cache.GetOrLoad(ctx, "none", absent); !errors.Is(err, dualcache.ErrNotFound) {
		t.Error(err)
	}
}

// A Set during a load: it stays, and who had been waiting gets what was loaded.
func TestOtterSetDuringLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, key := context.Background(), "abc"
		load := func(context.Context, string) (int, error) {
			time.Sleep(time.Second)
			return 1, nil
		}
		old := otter.Must(&otter.Options[string, int]{MaximumSize: 100})
		cache := dualcache.Must(dualcache.Config[string, int]{Capacity: 100})
		defer cache.Close()
		var group sync.WaitGroup
		for range 2 {
			group.Go(func() {
				if got, err := old.Get(ctx, key, otter.LoaderFunc[string, int](load)); got != 2 || err != nil {
					t.Error("otter:", got, err)
				}
			})
			group.Go(func() {
				if got, err := cache.GetOrLoad(ctx, key, load); got != 1 || err != nil {
					t.Error("dualcache:", got, err)
				}
			})
		}
		synctest.Wait()
		old.Set(key, 2)
		cache.Set(key, 2)
		group.Wait()
		same(t, "Get after the load")(old.GetIfPresent(key))(cache.Get(key))
	})
}

func TestOtterSnapshot(t *testing.T) {
	path := filepath.Join(t.TempDir(), "snapshot")
	old := otter.Must(&otter.Options[string, int]{MaximumSize: 100})
	cache := dualcache.Must(dualcache.Config[string, int]{Capacity: 100})
	defer cache.Close()
	old.Set("a", 1)
	cache.Set("a", 1)
	if err := otter.SaveCacheToFile(old, path); err != nil {
		t.Error(err)
	}
	old.InvalidateAll()
	if err := otter.LoadCacheFromFile(old, path); err != nil {
		t.Error(err)
	}
	if err := cache.SaveFile(path); err != nil {
		t.Error(err)
	}
	cache.Clear()
	if err := cache.LoadFile(path); err != nil {
		t.Error(err)
	}
	same(t, "Get after loading")(old.GetIfPresent("a"))(cache.Get("a"))
}

func TestOtterWeight(t *testing.T) {
	old := otter.Must(&otter.Options[string, []byte]{
		MaximumWeight: 1 << 20,
		Weigher:       func(key string, value []byte) uint32 { return uint32(len(value)) },
	})
	cache := dualcache.Must(dualcache.Config[string, []byte]{
		Capacity:  10_000,
		MaxWeight: 1 << 20,
		Weigher:   func(key string, value []byte) uint32 { return uint32(len(value)) },
	})
	defer cache.Close()
	old.Set("a", make([]byte, 1000))
	cache.Set("a", make([]byte, 1000))
	old.CleanUp()
	if old.WeightedSize() != 1000 || cache.Weight() != 1000 {
		t.Error(old.WeightedSize(), cache.Weight())
	}
	old.SetMaximum(1 << 10)
	if err := cache.SetMaxWeight(1 << 10); err != nil {
		t.Error(err)
	}
}

func TestOtterExpiry(t *testing.T) {
	idle := otter.Must(&otter.Options[string, int]{
		ExpiryCalculator: otter.ExpiryAccessing[string, int](time.Hour),
	})
	defer idle.StopAllGoroutines()
	sliding := dualcache.Must(dualcache.Config[string, int]{
		Capacity:          10_000,
		ExpireAfterAccess: time.Hour,
	})
	defer sliding.Close()

	old := otter.Must(&otter.Options[string, int]{
		ExpiryCalculator: otter.ExpiryWritingFunc(func(e otter.Entry[string, int]) time.Duration {
			return time.Duration(e.Value) * time.Second
		}),
	})
	defer old.StopAllGoroutines()
	cache := dualcache.Must(dualcache.Config[string, int]{
		Capacity: 10_000,
		Expiry:   func(key string, value int) time.Duration { return time.Duration(value) * time.Second },
	})
	defer cache.Close()
	old.Set("a", 100)
	cache.Set("a", 100)
	theirs, _ := old.GetEntryQuietly("a")
	ours, _ := cache.GetEntry("a")
	if d := theirs.ExpiresAt().Sub(ours.ExpiresAt); d.Abs() > 30*time.Second {
		t.Errorf("the deadlines are %v apart", d)
	}
}

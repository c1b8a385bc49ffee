package migration

import (
	"slices"
	"testing"
	"time"

	"github.com/dualcache-ff/dualcache"
	"github.com/hashicorp/golang-lru/v2"
	"github.com/hashicorp/golang-lru/v2/expirable"
)

func TestGolangLRU(t *testing.T) {
	var oldLog, newLog journal

	old, err := lru.NewWithEvict(10_000, func(key string, value int) { oldLog.tell(key, value) })
	if err != nil {
		t.Fatal(err)
	}

	cache, err := dualcache.New(dualcache.Config[string, int]{
		Capacity: 10_000,
		OnRemoval: func(r dualcache.Removal[string, int]) {
			if r.Cause != dualcache.CauseReplaced {
				newLog.tell(r.Key, r.Value)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer cache.Close()

	key, value := "a", 1
	old.Add(key, value)
	cache.Set(key, value)
	old.Add(key, value)
	cache.Set(key, value)
	same(t, "Get")(old.Get(key))(cache.Get(key))
	same(t, "Peek")(old.Peek(key))(cache.Peek(key))
	if !old.Contains(key) || !cache.Contains(key) {
		t.Error("it is not there")
	}
	previous, ok, _ := old.PeekOrAdd(key, 2)
	actual, loaded := cache.GetOrSet(key, 2)
	if previous != actual || ok != loaded {
		t.Error(previous, ok, actual, loaded)
	}
	if there, _ := old.ContainsOrAdd(key, 2); !there {
		t.Error("it is not there")
	}
	if got, want := slices.Collect(cache.Keys()), old.Keys(); !slices.Equal(got, want) {
		t.Error(got, want)
	}
	if got, want := slices.Collect(cache.Values()), old.Values(); !slices.Equal(got, want) {
		t.Error(got, want)
	}
	oldest, _, _ := old.GetOldest()
	if coldest := cache.Coldest(1); len(coldest) != 1 || coldest[0].Key != oldest {
		t.Error(coldest, oldest)
	}
	old.Resize(5_000)
	if err := cache.SetCapacity(5_000); err != nil {
		t.Error(err)
	}
	if old.Len() != 1 || cache.Len() != 1 {
		t.Error(old.Len(), cache.Len())
	}
	old.Remove(key)
	cache.Delete(key)
	old.Add("b", 2)
	cache.Set("b", 2)
	old.Purge()
	cache.Clear()
	oldLog.expect(t, "a 1", "b 2")
	newLog.expect(t, "a 1", "b 2")
}

func TestGolangLRUExpirable(t *testing.T) {
	old := expirable.NewLRU[string, int](10_000, nil, time.Hour)

	cache := dualcache.Must(dualcache.Config[string, int]{
		Capacity: 10_000,
		TTL:      time.Hour,
	})
	defer cache.Close()

	key, value := "a", 1
	old.Add(key, value)
	cache.Set(key, value)
	same(t, "Get")(old.Get(key))(cache.Get(key))
}

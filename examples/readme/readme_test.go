package readme

import (
	"bytes"
	"context"
	"expvar"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dualcache-ff/dualcache"
)

type User struct{ Name string }

func findUser(_ context.Context, id int64) (User, error) {
	if id != 7 {
		return User{}, dualcache.ErrNotFound
	}
	return User{"Ada"}, nil
}

func TestLoading(t *testing.T) {
	ctx := context.Background()
	cache := dualcache.Must(dualcache.Config[int64, User]{
		Capacity:    10_000,
		TTL:         10 * time.Minute,
		NegativeTTL: time.Minute, // remember who does not exist
		Loader: func(ctx context.Context, id int64) (User, error) {
			return findUser(ctx, id) // or dualcache.ErrNotFound
		},
	})
	user, err := cache.GetOrLoad(ctx, 7, nil)
	if err != nil || user.Name != "Ada" {
		t.Error(user, err)
	}
	if expvar.Get("users") != nil {
		return // with -count; a name can be published once
	}
	expvar.Publish("users", expvar.Func(func() any { return cache.Stats() }))
	if got := expvar.Get("users").String(); !strings.Contains(got, `"Loads":1`) {
		t.Error(got)
	}
}

func TestBudget(t *testing.T) {
	cfg := dualcache.WithMemoryBudget[uint64, uint64](64<<20, 10*time.Minute)
	cache, err := dualcache.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	before := cache.Stats()
	// ...
	ratio := cache.Stats().Sub(before).HitRatio()
	if ratio != 0 {
		t.Error(ratio)
	}
}

func TestHeadless(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	start := func() error {
		cache, daemon, err := dualcache.NewHeadless(dualcache.Config[string, int]{Capacity: 10_000})
		if err != nil {
			return err
		}
		go daemon.Run(ctx)

		cache.Set("a", 1)
		return cache.Close()
	}
	if err := start(); err != nil {
		t.Error(err)
	}
}

// The calls of the table of needs.
func TestCalls(t *testing.T) {
	ctx, key, value := context.Background(), "a", 1
	keys, values, found := []string{"a", "b"}, []int{1, 2}, make([]bool, 2)
	load := func(ctx context.Context, key string) (int, error) { return len(key), nil }
	loadMany := func(ctx context.Context, keys []string) (map[string]int, error) { return nil, nil }
	f := func(old int, found bool) (int, dualcache.Op) { return old + 1, dualcache.OpSet }
	rule := func(key string, value int) bool { return key == "b" }
	cache := dualcache.Must(dualcache.Config[string, int]{
		Capacity:  10_000,
		MaxWeight: 10 << 20,
		Weigher:   func(string, int) uint32 { return 1 },
		Loader:    load,
	})
	defer cache.Close()

	cache.Set(key, value)
	cache.SetWithTTL(key, value, time.Minute)
	cache.GetOrSet(key, value)
	cache.Compute(key, f)
	cache.SetMany(keys, values)
	if hits := cache.GetMany(keys, values, found); hits != 2 {
		t.Error(hits)
	}
	if got, ok := cache.Get(key); got != value || !ok {
		t.Error(got, ok)
	}
	if got, ok := cache.Peek(key); got != value || !ok || !cache.Contains(key) {
		t.Error(got, ok)
	}
	if e, ok := cache.GetEntry(key); e.Value != value || !ok {
		t.Error(e, ok)
	}
	if got, err := cache.GetOrLoad(ctx, key, load); got != value || err != nil {
		t.Error(got, err)
	}
	if got, err := cache.GetOrLoadMany(ctx, keys, loadMany); len(got) != 2 || err != nil {
		t.Error(got, err)
	}
	if got, err := cache.Refresh(ctx, key); got != 1 || err != nil {
		t.Error(got, err)
	}
	n := 0
	for range cache.All() {
		n++
	}
	for range cache.Keys() {
		n++
	}
	for range cache.Values() {
		n++
	}
	if n += len(cache.Hottest(10)) + len(cache.Coldest(10)); n != 10 {
		t.Error(n)
	}
	if err := cache.SetCapacity(5_000); err != nil {
		t.Error(err)
	}
	if err := cache.SetMaxWeight(1 << 20); err != nil {
		t.Error(err)
	}
	if cache.Len() != 2 || cache.Weight() != 2 || cache.Stats().Sets == 0 {
		t.Error(cache.Len(), cache.Weight(), cache.Stats())
	}
	path := filepath.Join(t.TempDir(), "snapshot")
	if err := cache.SaveFile(path); err != nil {
		t.Error(err)
	}
	if err := cache.LoadFile(path); err != nil {
		t.Error(err)
	}
	w := new(bytes.Buffer)
	r := w
	if _, err := cache.WriteTo(w); err != nil {
		t.Error(err)
	}
	if _, err := cache.ReadFrom(r); err != nil {
		t.Error(err)
	}
	if n := cache.DeleteFunc(rule); n != 1 {
		t.Error(n)
	}
	cache.Delete(key)
	cache.GetAndDelete(key)
	cache.Clear()
}

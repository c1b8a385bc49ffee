package dualcache

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A heldLoad is a loader that waits to be told what to return, whatever its context.
type heldLoad[V any] struct {
	begun  chan struct{}
	result chan V
	err    error
}

func holdLoad[V any]() *heldLoad[V] {
	return &heldLoad[V]{begun: make(chan struct{}, 1), result: make(chan V, 1)}
}

func (h *heldLoad[V]) load(context.Context, int) (V, error) {
	h.begun <- struct{}{}
	return <-h.result, h.err
}

// start calls get, which calls the loader, and returns when that has begun. wait is for
// what get returns.
func (h *heldLoad[V]) start(get func() (V, error)) (wait func() (V, error)) {
	var value V
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		value, err = get()
	}()
	<-h.begun
	return func() (V, error) { <-done; return value, err }
}

// noLoads fails if a load has left something behind.
func noLoads[K comparable, V any](t *testing.T, c *Cache[K, V]) {
	t.Helper()
	if calls := c.calls.Load(); calls != nil {
		for i := range calls.stripes {
			if n := len(calls.stripes[i].calls); n != 0 {
				t.Errorf("%d calls are left", n)
			}
		}
	}
	if lists := c.loads.Load(); lists != nil {
		for i := range *lists {
			if (*lists)[i].Load() != nil {
				t.Error("a ticket is left")
			}
		}
	}
	invariants(t, c)
}

var ctx0 = context.Background()

// loads makes a loader of one value, and counts.
func loads[V any](value V, n *atomic.Int64) func(context.Context, int) (V, error) {
	return func(context.Context, int) (V, error) { n.Add(1); return value, nil }
}

// An overtaking is something that a load must not overwrite. want is the value that the
// key has after, or 0.
type overtaking[V any] struct {
	name string
	do   func(c *Cache[int, V], key int)
	want int
}

func overtakings[V any](v kindOfValue[V]) []overtaking[V] {
	to := func(op Op) func(V, bool) (V, Op) { return func(V, bool) (V, Op) { return v.of(7), op } }
	return []overtaking[V]{
		{"Set", func(c *Cache[int, V], key int) { c.Set(key, v.of(7)) }, 7},
		{"SetWithTTL", func(c *Cache[int, V], key int) { c.SetWithTTL(key, v.of(7), time.Hour) }, 7},
		{"negative TTL", func(c *Cache[int, V], key int) { c.SetWithTTL(key, v.of(7), -1) }, 0},
		{"Delete", func(c *Cache[int, V], key int) { c.Delete(key) }, 0},
		{"Clear", func(c *Cache[int, V], key int) { c.Clear() }, 0},
		{"GetAndDelete", func(c *Cache[int, V], key int) { c.GetAndDelete(key) }, 0},
		{"OpSet", func(c *Cache[int, V], key int) { c.Compute(key, to(OpSet)) }, 7},
		{"SetFor", func(c *Cache[int, V], key int) { c.Compute(key, to(SetFor(time.Hour))) }, 7},
		{"OpDelete", func(c *Cache[int, V], key int) { c.Compute(key, to(OpDelete)) }, 0},
		{"Set and eviction", func(c *Cache[int, V], key int) {
			c.Set(key, v.of(7))
			c.evictAt(lookFor(c, key), anyPosition)
			c.permits.Add(1)
		}, 0},
		{"Set and Delete", func(c *Cache[int, V], key int) { c.Set(key, v.of(7)); c.Delete(key) }, 0},
	}
}

func testOvertaken[V any](t *testing.T, v kindOfValue[V]) {
	for _, growing := range []bool{false, true} {
		for _, refresh := range []bool{false, true} {
			if debug && growing && refresh {
				continue // it takes long
			}
			for _, test := range overtakings(v) {
				name := fmt.Sprintf("%s, growing %v, refresh %v", test.name, growing, refresh)
				h := holdLoad[V]()
				c := Must(Config[int, V]{Capacity: 20_000, Loader: h.load})
				get := func() (V, error) { return c.GetOrLoad(ctx0, -1, nil) }
				if refresh {
					c.Set(-1, v.of(3))
					get = func() (V, error) { return c.Refresh(ctx0, -1) }
				}
				fill := func(from, to int) {
					for i := from; growing && i < to; i++ {
						c.Set(i, v.of(1))
					}
				}
				fill(0, 1000)
				wait := h.start(get)
				fill(1000, 3000)
				test.do(c, -1)
				fill(3000, 5000)
				h.result <- v.of(5)
				if value, err := wait(); err != nil || v.n(value) != 5 {
					t.Errorf("%s: the load returned %v, %v", name, value, err)
				}
				if value, ok := c.Get(-1); ok != (test.want != 0) || ok && v.n(value) != test.want {
					t.Errorf("%s: Get = %v, %v after it, want %d", name, value, ok, test.want)
				}
				noLoads(t, c)
				c.Close()
			}
		}
	}
}

// Guards G12: a load stores nothing if its key was set or deleted after it began,
// whether the index grows meanwhile or not. Fails without void in mayChange, or disturb
// in it, in tryRemove, or for an absent key.
func TestLoadNeverOverwrites(t *testing.T) {
	t.Run("word", func(t *testing.T) {
		testOvertaken(t, kindOfValue[uint64]{func(n int) uint64 { return uint64(n) }, func(v uint64) int { return int(v) }})
	})
	t.Run("string", func(t *testing.T) {
		testOvertaken(t, kindOfValue[string]{func(n int) string { return fmt.Sprint(n) }, func(v string) (n int) {
			fmt.Sscan(v, &n)
			return n
		}})
	})
}

// Guards G12: whoever asks after a Set, Delete or Clear does not join a load that
// began before; and the load that it begins is kept, and joined, although the other
// lasts. Fails if join does not ask whether the call stands, and if tickets of one key
// shared their fate.
func TestLoadAfterDeleteIsNew(t *testing.T) {
	for name, remove := range map[string]func(c *Cache[int, int]){
		"Delete": func(c *Cache[int, int]) { c.Delete(1) },
		"Clear":  func(c *Cache[int, int]) { c.Clear() },
		"Set":    func(c *Cache[int, int]) { c.Set(1, 9); c.Delete(1) },
	} {
		c := Must(Config[int, int]{Capacity: 100})
		first, second := holdLoad[int](), holdLoad[int]()
		wait1 := first.start(func() (int, error) { return c.GetOrLoad(ctx0, 1, first.load) })
		remove(c)
		wait2 := second.start(func() (int, error) { return c.GetOrLoad(ctx0, 1, second.load) })
		joined := make(chan int)
		misses := c.Stats().Misses
		go func() {
			var n atomic.Int64
			value, _ := c.GetOrLoad(ctx0, 1, loads(3, &n))
			joined <- value
		}()
		soon(t, "a third one asks", func() bool { return c.Stats().Misses > misses })
		second.result <- 2
		if value, err := wait2(); value != 2 || err != nil {
			t.Errorf("%s: the second load returned %d, %v", name, value, err)
		}
		if value := <-joined; value != 2 {
			t.Errorf("%s: who joined got %d, want 2", name, value)
		}
		first.result <- 1
		if value, err := wait1(); value != 1 || err != nil {
			t.Errorf("%s: the first load returned %d, %v", name, value, err)
		}
		if value, ok := c.Get(1); value != 2 || !ok {
			t.Errorf("%s: Get = %d, %v, want 2", name, value, ok)
		}
		noLoads(t, c)
		c.Close()
	}
}

// Guards trap 15: one load at once for each key, and all who ask get its value.
func TestSingleFlight(t *testing.T) {
	const goroutines = 20
	c := Must(Config[int, string]{Capacity: 100})
	defer c.Close()
	for round := range 50 {
		var n atomic.Int64
		before := c.Stats().Misses
		var wg sync.WaitGroup
		for range goroutines {
			spawn(&wg, func() {
				value, err := c.GetOrLoad(ctx0, round, func(_ context.Context, key int) (string, error) {
					n.Add(1)
					for c.Stats().Misses-before < goroutines {
						runtime.Gosched()
					}
					return fmt.Sprint(key), nil
				})
				if err != nil || value != fmt.Sprint(round) {
					t.Errorf("GetOrLoad = %q, %v", value, err)
				}
			})
		}
		wg.Wait()
		if n.Load() != 1 {
			t.Fatalf("%d loads of one key, want 1", n.Load())
		}
	}
	if s := c.Stats(); s.Loads != 50 || s.LoadFailures != 0 {
		t.Errorf("%d loads and %d failures are counted, want 50 and 0", s.Loads, s.LoadFailures)
	}
	noLoads(t, c)
}

// Guards trap 15: a waiter whose context ends goes, and leaves the load to others.
func TestWaitersFollowTheirContext(t *testing.T) {
	c := Must(Config[int, int]{Capacity: 100})
	defer c.Close()
	h := holdLoad[int]()
	wait := h.start(func() (int, error) { return c.GetOrLoad(ctx0, 1, h.load) })
	ctx, cancel := context.WithCancelCause(ctx0)
	done := make(chan error)
	go func() {
		_, err := c.GetOrLoad(ctx, 1, h.load)
		done <- err
	}()
	soon(t, "the second asks", func() bool { return c.Stats().Misses == 2 })
	cancel(errors.New("enough"))
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("the waiter got %v", err)
	}
	if _, err := c.GetOrLoad(ctx, 1, h.load); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that has ended: %v", err)
	}
	h.result <- 1
	if value, err := wait(); value != 1 || err != nil {
		t.Errorf("the load returned %d, %v", value, err)
	}
	if value, err := c.GetOrLoad(ctx, 1, nil); value != 1 || err != nil {
		t.Errorf("a hit with a context that has ended = %d, %v", value, err)
	}
	noLoads(t, c)
}

// Guards trap 15: if the context of the leader ends, a waiter takes over, at once if
// the loader does not look at its context; what the first load then returns is not kept.
// Fails without the third case in wait.
func TestWaiterTakesOver(t *testing.T) {
	for _, heeds := range []bool{false, true} {
		c := Must(Config[int, int]{Capacity: 100})
		ctx, cancel := context.WithCancel(ctx0)
		h := holdLoad[int]()
		wait := h.start(func() (int, error) {
			return c.GetOrLoad(ctx, 1, func(ctx context.Context, key int) (int, error) {
				if !heeds {
					return h.load(ctx, key)
				}
				h.begun <- struct{}{}
				<-ctx.Done()
				return 0, ctx.Err()
			})
		})
		var n atomic.Int64
		var wg sync.WaitGroup
		for range 5 {
			spawn(&wg, func() {
				if value, err := c.GetOrLoad(ctx0, 1, loads(2, &n)); value != 2 || err != nil {
					t.Errorf("heeds %v: a waiter got %d, %v", heeds, value, err)
				}
			})
		}
		soon(t, "five wait", func() bool { return c.Stats().Misses == 6 })
		cancel()
		wg.Wait()
		h.result <- 1
		if value, err := wait(); heeds == (err == nil) || !heeds && value != 1 {
			t.Errorf("heeds %v: the leader got %d, %v", heeds, value, err)
		}
		if value, ok := c.Get(1); value != 2 || !ok || n.Load() != 1 {
			t.Errorf("heeds %v: Get = %d, %v after %d more loads, want 2 after 1", heeds, value, ok, n.Load())
		}
		noLoads(t, c)
		c.Close()
	}
}

// Guards trap 15: a loader that panics or ends its goroutine is seen by its caller
// alone; those who wait load for themselves, and nothing is left behind. Fails without
// again, or without the deferred end.
func TestLoaderThatDoesNotReturn(t *testing.T) {
	for name, quit := range map[string]func(){"panic": func() { panic("no") }, "Goexit": runtime.Goexit} {
		for _, many := range []bool{false, true} {
			c := Must(Config[int, int]{Capacity: 100})
			panicked, returned := false, false
			begun := make(chan struct{})
			var leader, waiters sync.WaitGroup
			spawn(&leader, func() {
				defer func() { panicked = recover() != nil }()
				fail := func() {
					close(begun)
					for c.Stats().Misses < 4 {
						runtime.Gosched()
					}
					quit()
				}
				if many {
					c.GetOrLoadMany(ctx0, []int{1}, func(context.Context, []int) (map[int]int, error) { fail(); return nil, nil })
				} else {
					c.GetOrLoad(ctx0, 1, func(context.Context, int) (int, error) { fail(); return 0, nil })
				}
				returned = true
			})
			<-begun
			var n atomic.Int64
			for range 3 {
				spawn(&waiters, func() {
					if value, err := c.GetOrLoad(ctx0, 1, loads(2, &n)); value != 2 || err != nil {
						t.Errorf("%s: a waiter got %d, %v", name, value, err)
					}
				})
			}
			leader.Wait()
			waiters.Wait()
			if panicked != (name == "panic") || returned || n.Load() != 1 {
				t.Errorf("%s, many %v: panicked %v, returned %v, %d more loads", name, many, panicked, returned, n.Load())
			}
			if s := c.Stats(); s.LoadFailures != 1 || s.Loads != 1 {
				t.Errorf("%s: %d loads and %d failures are counted, want 1 and 1", name, s.Loads, s.LoadFailures)
			}
			noLoads(t, c)
			c.Close()
		}
	}
}

// Guards the contract of GetOrLoad: errors are returned and not cached, nor are keys
// that are not found, if NegativeTTL does not say so; without a loader there is an error.
func TestLoadErrors(t *testing.T) {
	c := Must(Config[int, int]{Capacity: 100})
	defer c.Close()
	bad := errors.New("bad")
	for _, want := range []error{bad, fmt.Errorf("wrapped: %w", ErrNotFound), ErrNotFound} {
		for range 2 {
			calls := 0
			_, err := c.GetOrLoad(ctx0, 1, func(context.Context, int) (int, error) { calls++; return 5, want })
			if err != want || calls != 1 || c.Len() != 0 {
				t.Errorf("GetOrLoad: %v after %d calls, Len %d, want %v after 1", err, calls, c.Len(), want)
			}
		}
	}
	if s := c.Stats(); s.Loads != 4 || s.LoadFailures != 2 {
		t.Errorf("%d loads and %d failures are counted, want 4 and 2", s.Loads, s.LoadFailures)
	}
	if _, err := c.GetOrLoad(ctx0, 1, nil); err != ErrNoLoader {
		t.Errorf("without a loader: %v", err)
	}
	if _, err := c.Refresh(ctx0, 1); err != ErrNoLoader {
		t.Errorf("Refresh without a loader: %v", err)
	}
	c.Close()
	var n atomic.Int64
	if value, err := c.GetOrLoad(ctx0, 1, loads(1, &n)); value != 1 || err != nil || c.Len() != 0 {
		t.Errorf("GetOrLoad after Close = %d, %v, Len %d", value, err, c.Len())
	}
	noLoads(t, c)
}

// Guards NegativeTTL: what is cached is an absence: no operation finds a value, every
// one may set one, and Delete lets the next load begin.
func TestCachedAbsence(t *testing.T) {
	for _, negative := range []error{ErrNotFound, fmt.Errorf("wrapped: %w", ErrNotFound)} {
		eachKindOf := func(name string, do func(c *Cache[int, string]), value string, loaded int64) {
			t.Helper()
			c := headless(t, Config[int, string]{Capacity: 100, NegativeTTL: time.Hour})
			c.GetOrLoad(ctx0, 1, func(context.Context, int) (string, error) { return "x", negative })
			if c.Len() != 1 {
				t.Errorf("Len is %d, want 1", c.Len())
			}
			do(c)
			var n atomic.Int64
			got, err := c.GetOrLoad(ctx0, 1, loads("loaded", &n))
			if n.Load() != loaded || got != value || (err == nil) == (value == "") || err != nil && err != ErrNotFound {
				t.Errorf("%s: GetOrLoad = %q, %v after %d loads, want %q after %d", name, got, err, n.Load(), value, loaded)
			}
			noLoads(t, c)
		}
		eachKindOf("nothing", func(*Cache[int, string]) {}, "", 0)
		eachKindOf("reads", func(c *Cache[int, string]) {
			_, got := c.Get(1)
			_, peeked := c.Peek(1)
			_, entry := c.GetEntry(1)
			_, taken := c.GetAndDelete(2)
			if got || peeked || entry || taken || c.Contains(1) || c.GetMany([]int{1}, make([]string, 1), make([]bool, 1)) != 0 {
				t.Error("an absence has a value")
			}
			for range c.All() {
				t.Error("an absence is iterated over")
			}
		}, "", 0)
		eachKindOf("Set", func(c *Cache[int, string]) { c.Set(1, "a") }, "a", 0)
		eachKindOf("SetWithTTL", func(c *Cache[int, string]) { c.SetWithTTL(1, "a", time.Minute) }, "a", 0)
		eachKindOf("Delete", func(c *Cache[int, string]) {
			if c.Delete(1) {
				t.Error("Delete of an absence is true")
			}
		}, "loaded", 1)
		eachKindOf("GetAndDelete", func(c *Cache[int, string]) {
			if _, ok := c.GetAndDelete(1); ok {
				t.Error("GetAndDelete of an absence is true")
			}
		}, "loaded", 1)
		eachKindOf("GetOrSet", func(c *Cache[int, string]) {
			if value, loaded := c.GetOrSet(1, "a"); value != "a" || loaded {
				t.Errorf("GetOrSet = %q, %v", value, loaded)
			}
		}, "a", 0)
		eachKindOf("Compute", func(c *Cache[int, string]) {
			c.Compute(1, func(old string, found bool) (string, Op) {
				if found || old != "" {
					t.Errorf("Compute: the old value is %q, %v", old, found)
				}
				return "a", OpSet
			})
		}, "a", 0)
		eachKindOf("OpDelete", func(c *Cache[int, string]) {
			c.Compute(1, func(string, bool) (string, Op) { return "", OpDelete })
		}, "loaded", 1)
		eachKindOf("OpKeep", func(c *Cache[int, string]) {
			c.Compute(1, func(string, bool) (string, Op) { return "", OpKeep })
		}, "", 0)
	}
}

// Guards Refresh: it replaces the value; an error leaves it; ErrNotFound, a negative
// TTL, and a weight that is refused take it away; LoadTTL and LoadWeight count.
func TestRefresh(t *testing.T) {
	var result func(ctx context.Context) (string, error)
	c := headless(t, Config[int, string]{
		Capacity: 100, MaxWeight: 50, Weigher: func(int, string) uint32 { return 1 },
		Loader: func(ctx context.Context, _ int) (string, error) { return result(ctx) },
	})
	bad := errors.New("bad")
	for _, test := range []struct {
		name   string
		result func(ctx context.Context) (string, error)
		want   string
		weight uint32
		dated  bool
	}{
		{"value", func(context.Context) (string, error) { return "b", nil }, "b", 1, false},
		{"error", func(context.Context) (string, error) { return "b", bad }, "a", 1, false},
		{"not found", func(context.Context) (string, error) { return "b", ErrNotFound }, "", 0, false},
		{"TTL", func(ctx context.Context) (string, error) { LoadTTL(ctx, time.Hour); return "b", nil }, "b", 1, true},
		{"negative TTL", func(ctx context.Context) (string, error) { LoadTTL(ctx, -1); return "b", nil }, "", 0, false},
		{"weight", func(ctx context.Context) (string, error) { LoadWeight(ctx, 7); return "b", nil }, "b", 7, false},
		{"too heavy", func(ctx context.Context) (string, error) { LoadWeight(ctx, 51); return "b", nil }, "", 0, false},
	} {
		c.Set(1, "a")
		result = test.result
		c.Refresh(ctx0, 1)
		e, ok := c.GetEntry(1)
		if ok != (test.want != "") || e.Value != test.want || e.Weight != test.weight || e.ExpiresAt.IsZero() == test.dated {
			t.Errorf("%s: %+v, %v, want %q", test.name, e, ok, test.want)
		}
		noLoads(t, c)
	}
}

// Guards the contract of GetOrLoadMany: one call for what is missing, duplicates once,
// what others load is waited for, what is not returned is not found.
func TestGetOrLoadMany(t *testing.T) {
	c := Must(Config[int, int]{Capacity: 100, NegativeTTL: time.Hour})
	defer c.Close()
	c.Set(1, 10)
	h := holdLoad[int]()
	wait := h.start(func() (int, error) { return c.GetOrLoad(ctx0, 2, h.load) })
	calls := 0
	result, err := c.GetOrLoadMany(ctx0, []int{1, 2, 3, 3, 4, 1, 2}, func(ctx context.Context, keys []int) (map[int]int, error) {
		if calls++; len(keys) != 2 || keys[0] != 3 || keys[1] != 4 {
			t.Errorf("asked to load %v, want 3 and 4", keys)
		}
		if LoadTTL(ctx, 1) || LoadWeight(ctx, 1) {
			t.Error("LoadTTL or LoadWeight claim to have had an effect")
		}
		h.result <- 20
		return map[int]int{3: 30, 99: 99}, nil
	})
	wait()
	if fmt.Sprint(result) != "map[1:10 2:20 3:30]" || err != nil || calls != 1 {
		t.Errorf("GetOrLoadMany = %v, %v after %d calls", result, err, calls)
	}
	result, err = c.GetOrLoadMany(ctx0, []int{1, 2, 3, 4}, nil)
	if fmt.Sprint(result) != "map[1:10 2:20 3:30]" || err != nil || c.Contains(99) {
		t.Errorf("GetOrLoadMany = %v, %v", result, err)
	}
	bad := errors.New("bad")
	result, err = c.GetOrLoadMany(ctx0, []int{1, 5, 6}, func(context.Context, []int) (map[int]int, error) {
		return map[int]int{5: 50}, bad
	})
	if fmt.Sprint(result) != "map[1:10 5:50]" || err != bad || !c.Contains(5) || c.Contains(6) {
		t.Errorf("a load that fails in part: %v, %v", result, err)
	}
	if result, err = c.GetOrLoadMany(ctx0, []int{1, 7}, nil); err != ErrNoLoader || len(result) != 1 {
		t.Errorf("without a loader: %v, %v", result, err)
	}
	noLoads(t, c)
}

// Guards LoadTTL: a loader that hands its context on to GetOrLoadMany is not taken for
// the one whose value is meant.
func TestLoadTTLIsForOneLoader(t *testing.T) {
	c := headless(t, Config[int, int]{Capacity: 100})
	c.GetOrLoad(ctx0, 1, func(ctx context.Context, _ int) (int, error) {
		c.GetOrLoadMany(ctx, []int{2}, func(ctx context.Context, _ []int) (map[int]int, error) {
			if LoadTTL(ctx, time.Hour) {
				t.Error("LoadTTL is true in GetOrLoadMany")
			}
			return map[int]int{2: 2}, nil
		})
		c.GetOrLoad(ctx, 3, func(ctx context.Context, _ int) (int, error) { LoadTTL(ctx, time.Hour); return 3, nil })
		return 1, nil
	})
	for key := 1; key <= 3; key++ {
		if e, ok := c.GetEntry(key); !ok || e.ExpiresAt.IsZero() == (key == 3) {
			t.Errorf("key %d expires at %v", key, e.ExpiresAt)
		}
	}
	if LoadTTL(ctx0, 1) || LoadWeight(ctx0, 1) {
		t.Error("LoadTTL or LoadWeight claim to have had an effect outside")
	}
}

// Guards G1 and G12 under load: one goroutine for each key says what is true, before it
// deletes, and many load. Nobody who begins after the Delete gets what was true before.
func TestLoadsOverlap(t *testing.T) {
	const keys = 4
	rounds := 2000
	if debug || testing.Short() {
		rounds = 500
	}
	c := Must(Config[int, uint64]{Capacity: 2000, TTL: time.Hour, Loader: nil})
	defer c.Close()
	var truth, floor [keys]atomic.Uint64
	load := func(_ context.Context, key int) (uint64, error) {
		value := truth[key].Load()
		runtime.Gosched()
		return value, nil
	}
	loadMany := func(ctx context.Context, missing []int) (map[int]uint64, error) {
		values := map[int]uint64{}
		for _, key := range missing {
			values[key], _ = load(ctx, key)
		}
		return values, nil
	}
	var stop atomic.Bool
	var writers, readers sync.WaitGroup
	for key := range keys {
		spawn(&writers, func() {
			for n := range uint64(rounds) {
				truth[key].Store(n)
				switch n % 4 {
				case 0:
					c.Set(key, n)
				case 1:
					c.Compute(key, func(uint64, bool) (uint64, Op) { return 0, OpDelete })
				case 2:
					c.Clear()
				default:
					c.Delete(key)
				}
				floor[key].Store(n)
				runtime.Gosched()
			}
		})
	}
	for g := range 3 {
		spawn(&readers, func() {
			all := []int{0, 1, 2, 3}
			for i := g; !stop.Load(); i++ {
				key := i % keys
				least := floor[key].Load()
				value, err := uint64(0), error(nil)
				if i%5 == 0 {
					var values map[int]uint64
					values, err = c.GetOrLoadMany(ctx0, all, loadMany)
					value = values[key]
				} else {
					value, err = c.GetOrLoad(ctx0, key, load)
				}
				if value < least || err != nil {
					t.Errorf("key %d: %d, %v, after %d was known to be outdated", key, value, err, least-1)
					return
				}
			}
		})
	}
	writers.Wait()
	stop.Store(true)
	readers.Wait()
	noLoads(t, c)
}

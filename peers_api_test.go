//go:build go1.25

package dualcache

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestPeersLoad, TestPeersCompute, TestPeersIterate, TestPeersRemoval, TestPeersWeight
// and TestPeersClock go on with TestPeers for loads, conditional writes, iteration,
// listeners, weights and clocks. Most run in bubbles: whoever waits for what does not
// come is told so at once.

type peersTest struct {
	situation string
	run       func(*testing.T)
}

func runInBubbles(t *testing.T, tests []peersTest) {
	for _, test := range tests {
		t.Run(test.situation, func(t *testing.T) { synctest.Test(t, test.run) })
	}
}

type textCache = Cache[int, string]

// sameHash makes all keys meet.
func sameHash(int) uint64 { return 7 }

// load gives a loader of one value.
func load(value string) func(context.Context, int) (string, error) {
	return func(context.Context, int) (string, error) { return value, nil }
}

// held gives a loader that waits for release, and says when it has begun.
func held(value string) (loader func(context.Context, int) (string, error), begun, release chan struct{}) {
	begun, release = make(chan struct{}), make(chan struct{})
	var once sync.Once
	return func(context.Context, int) (string, error) {
		once.Do(func() { close(begun) })
		<-release
		return value, nil
	}, begun, release
}

// wantGet fails unless Get gives this value; an empty one stands for a miss.
func wantGet(t *testing.T, c *textCache, key int, want string) {
	t.Helper()
	if v, ok := c.Get(key); v != want || ok != (want != "") {
		t.Errorf("Get(%d) = %q, %v, want %q", key, v, ok, want)
	}
}

// wantLoad fails unless GetOrLoad of key 1 gives this value.
func wantLoad(t *testing.T, c *textCache, loader func(context.Context, int) (string, error), want string) {
	t.Helper()
	if v, err := c.GetOrLoad(context.Background(), 1, loader); v != want || err != nil {
		t.Errorf("GetOrLoad = %q, %v, want %q", v, err, want)
	}
}

// attempt runs f on a goroutine of its own, which may panic or end, and waits for it.
func attempt(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { _ = recover() }()
		f()
	}()
	<-done
}

func TestPeersLoad(t *testing.T) {
	runInBubbles(t, []peersTest{
		{"loader is called once for many", loaderCalledOnce},
		{"load does not overwrite a newer write", loadDoesNotOverwrite},
		{"get after a write does not join an older load", laterGetDoesNotJoin},
		{"waiter follows its own context", waiterFollowsItsContext},
		{"context of the first ends", firstContextEnds},
		{"loader panics or exits", loaderPanicsOrExits},
		{"nil loader and nil context", nilLoaderAndContext},
		{"eviction does not cancel a load", evictionDoesNotCancelLoad},
		{"kept by compute during a load", keptByComputeDuringLoad},
		{"expired entry is loaded again", expiredIsLoadedAgain},
		{"slow load holds up nobody", slowLoadHoldsUpNobody},
		{"loader calls the cache", loaderCallsCache},
		{"error is not kept", errorIsNotKept},
		{"load after close", loadAfterClose},
	})
}

// Guards G12: one loader for all who come while it runs.
func loaderCalledOnce(t *testing.T) {
	c := Must(Config[int, string]{Capacity: 100})
	defer c.Close()
	var calls atomic.Int32
	loader := func(context.Context, int) (string, error) {
		calls.Add(1)
		time.Sleep(time.Second)
		return "loaded", nil
	}
	var wg sync.WaitGroup
	for n := range 20 {
		spawn(&wg, func() {
			time.Sleep(time.Duration(n) * 10 * time.Millisecond)
			wantLoad(t, c, loader, "loaded")
		})
	}
	wg.Wait()
	wantLoad(t, c, loader, "loaded")
	if n := calls.Load(); n != 1 {
		t.Errorf("%d calls of the loader, want 1", n)
	}
}

// writes are the ways to write key 1 while it is being loaded, and what they leave.
var writes = []struct {
	name  string
	write func(c *textCache)
	left  string
}{
	{"Set", func(c *textCache) { c.Set(1, "set") }, "set"},
	{"SetWithTTL", func(c *textCache) { c.SetWithTTL(1, "set", time.Hour) }, "set"},
	{"Delete", func(c *textCache) { c.Delete(1) }, ""},
	{"negative TTL", func(c *textCache) { c.SetWithTTL(1, "no", -1) }, ""},
	{"Clear", func(c *textCache) { c.Clear() }, ""},
	{"GetOrSet", func(c *textCache) { c.GetOrSet(1, "set") }, "set"},
	{"Compute, set", func(c *textCache) { c.Compute(1, func(string, bool) (string, Op) { return "set", OpSet }) }, "set"},
	{"Compute, delete", func(c *textCache) { c.Compute(1, func(string, bool) (string, Op) { return "", OpDelete }) }, ""},
	{"Set and Delete", func(c *textCache) { c.Set(1, "set"); c.Delete(1) }, ""},
	{"Set and Clear", func(c *textCache) { c.Set(1, "set"); c.Clear() }, ""},
}

// Guards G12: what was written while a load ran stays, and so does its absence.
func loadDoesNotOverwrite(t *testing.T) {
	for _, w := range writes {
		c := Must(Config[int, string]{Capacity: 100})
		loader, begun, release := held("old")
		var wg sync.WaitGroup
		spawn(&wg, func() {
			if _, err := c.GetOrLoad(context.Background(), 1, loader); err != nil {
				t.Errorf("%s: GetOrLoad = %v", w.name, err)
			}
		})
		<-begun
		w.write(c)
		wantGet(t, c, 1, w.left)
		close(release)
		wg.Wait()
		if v, ok := c.Get(1); v != w.left || ok != (w.left != "") {
			t.Errorf("%s: Get = %q, %v after the load, want %q", w.name, v, ok, w.left)
		}
		c.Close()
	}
}

// Guards G12: a load that began before a write is none of a later Get's.
func laterGetDoesNotJoin(t *testing.T) {
	for _, w := range writes {
		if w.left != "" {
			continue
		}
		c := Must(Config[int, string]{Capacity: 100})
		loader, begun, release := held("old")
		var wg sync.WaitGroup
		spawn(&wg, func() { _, _ = c.GetOrLoad(context.Background(), 1, loader) })
		<-begun
		w.write(c)
		wantLoad(t, c, load("new"), "new") // joins nobody, or it would wait for ever
		close(release)
		wg.Wait()
		if v, ok := c.Get(1); v != "new" || !ok {
			t.Errorf("%s: Get = %q, %v, want new", w.name, v, ok)
		}
		c.Close()
	}
}

// Guards G12: a waiter leaves when its context ends, and the load goes on.
func waiterFollowsItsContext(t *testing.T) {
	c := Must(Config[int, string]{Capacity: 100})
	defer c.Close()
	loader, begun, release := held("loaded")
	var wg sync.WaitGroup
	spawn(&wg, func() { wantLoad(t, c, loader, "loaded") })
	<-begun
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	start := time.Now()
	if _, err := c.GetOrLoad(ctx, 1, load("other")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("GetOrLoad of a waiter = %v, want %v", err, context.DeadlineExceeded)
	}
	if waited := time.Since(start); waited != time.Second {
		t.Errorf("the waiter left after %v, want a second", waited)
	}
	close(release)
	wg.Wait()
	wantGet(t, c, 1, "loaded")
}

// Guards G12: where the load of the first fails with its context, a waiter whose own
// is alive gets a value all the same.
func firstContextEnds(t *testing.T) {
	c := Must(Config[int, string]{Capacity: 100})
	defer c.Close()
	ctx, cancel := context.WithCancel(context.Background())
	begun := make(chan struct{})
	var wg sync.WaitGroup
	spawn(&wg, func() {
		_, err := c.GetOrLoad(ctx, 1, func(ctx context.Context, _ int) (string, error) {
			close(begun)
			select {
			case <-ctx.Done():
			case <-time.After(time.Hour): // where loads do not have the caller's context
			}
			return "", ctx.Err()
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("GetOrLoad of the first = %v, want %v", err, context.Canceled)
		}
	})
	<-begun
	spawn(&wg, func() { wantLoad(t, c, load("second"), "second") })
	synctest.Wait()
	cancel()
	wg.Wait()
	wantGet(t, c, 1, "second")
}

// Guards G7: a load that does not come back in the usual way leaves nobody waiting and
// no key taken.
func loaderPanicsOrExits(t *testing.T) {
	for name, end := range map[string]func(){"panic": func() { panic("loader") }, "Goexit": runtime.Goexit} {
		c := Must(Config[int, string]{Capacity: 100})
		begun := make(chan struct{})
		var wg sync.WaitGroup
		spawn(&wg, func() {
			attempt(func() {
				_, _ = c.GetOrLoad(context.Background(), 1, func(context.Context, int) (string, error) {
					close(begun)
					time.Sleep(time.Second)
					end()
					return "never", nil
				})
			})
		})
		<-begun
		for range 3 {
			spawn(&wg, func() {
				attempt(func() {
					if v, err := c.GetOrLoad(context.Background(), 1, load("again")); err == nil && v != "again" {
						t.Errorf("%s: a waiter got %q", name, v)
					}
				})
			})
		}
		wg.Wait()
		wantLoad(t, c, load("again"), "again")
		c.Set(1, "set")
		wantGet(t, c, 1, "set")
		c.Close()
	}
}

// Guards the same for callers that pass nil.
func nilLoaderAndContext(t *testing.T) {
	c := Must(Config[int, string]{Capacity: 100})
	defer c.Close()
	var none context.Context
	attempt(func() {
		if _, err := c.GetOrLoad(context.Background(), 1, nil); err == nil {
			t.Error("GetOrLoad without a loader gives no error")
		}
	})
	wantLoad(t, c, load("first"), "first")
	c.Delete(1)
	attempt(func() { _, _ = c.GetOrLoad(none, 1, load("second")) })
	c.Delete(1)
	wantLoad(t, c, load("third"), "third")
}

// Guards loads against evictions: what comes and goes meanwhile is other keys' matter.
func evictionDoesNotCancelLoad(t *testing.T) {
	c := Must(Config[int, string]{Capacity: 10})
	defer c.Close()
	loader, begun, release := held("loaded")
	var calls atomic.Int32
	counted := func(ctx context.Context, k int) (string, error) {
		calls.Add(1)
		return loader(ctx, k)
	}
	var wg sync.WaitGroup
	spawn(&wg, func() { wantLoad(t, c, counted, "loaded") })
	<-begun
	for k := range 100 {
		c.Set(100+k, "other")
	}
	spawn(&wg, func() { wantLoad(t, c, counted, "loaded") })
	synctest.Wait()
	close(release)
	wg.Wait()
	if n := calls.Load(); n != 1 || c.Stats().Evictions == 0 {
		t.Errorf("%d calls of the loader, %d evictions, want 1 and some", n, c.Stats().Evictions)
	}
	wantGet(t, c, 1, "loaded")
}

// Guards loads against a Compute that changes nothing.
func keptByComputeDuringLoad(t *testing.T) {
	c := Must(Config[int, string]{Capacity: 10})
	defer c.Close()
	c.SetWithTTL(1, "expired", time.Second)
	time.Sleep(time.Second)
	loader, begun, release := held("loaded")
	var wg sync.WaitGroup
	spawn(&wg, func() { wantLoad(t, c, loader, "loaded") })
	<-begun
	c.Compute(1, func(_ string, found bool) (string, Op) {
		if found {
			t.Error("Compute finds the expired entry")
		}
		return "", OpKeep
	})
	close(release)
	wg.Wait()
	wantGet(t, c, 1, "loaded")
}

// Guards G11 for loads, and the deadline of what they give.
func expiredIsLoadedAgain(t *testing.T) {
	c := Must(Config[int, string]{Capacity: 10, TTL: time.Minute})
	defer c.Close()
	c.Set(1, "set")
	time.Sleep(time.Minute - 1)
	wantLoad(t, c, load("first"), "set")
	time.Sleep(time.Nanosecond)
	slow := func(context.Context, int) (string, error) {
		time.Sleep(time.Second)
		return "second", nil
	}
	wantLoad(t, c, slow, "second")
	time.Sleep(time.Minute - 1)
	wantLoad(t, c, load("third"), "second")
	time.Sleep(time.Nanosecond)
	wantLoad(t, c, load("third"), "third")
}

// Guards G5 and G7: no lock is held while a loader runs. All keys have one hash.
func slowLoadHoldsUpNobody(t *testing.T) {
	c := Must(Config[int, string]{Capacity: 30, Hasher: sameHash})
	defer c.Close()
	loader, begun, release := held("loaded")
	var wg sync.WaitGroup
	spawn(&wg, func() { wantLoad(t, c, loader, "loaded") })
	<-begun
	for k := 2; k < 50; k++ {
		c.Set(k, "other")
		wantGet(t, c, k, "other")
		c.Delete(k)
		if v, err := c.GetOrLoad(context.Background(), k, load("another")); v != "another" || err != nil {
			t.Errorf("GetOrLoad(%d) = %q, %v", k, v, err)
		}
	}
	c.Compute(2, func(string, bool) (string, Op) { return "computed", OpSet })
	for range c.All() {
	}
	c.Sync()
	if n := c.Len(); n == 0 || n > 30 {
		t.Errorf("Len = %d, want 1 to 30", n)
	}
	close(release)
	wg.Wait()
}

// Guards G7: a loader may use the cache, its own key included.
func loaderCallsCache(t *testing.T) {
	c := Must(Config[int, string]{Capacity: 100, Hasher: sameHash})
	defer c.Close()
	wantLoad(t, c, func(ctx context.Context, k int) (string, error) {
		if v, ok := c.Get(k); ok {
			t.Errorf("Get of the key that is loaded = %q", v)
		}
		c.Set(k+1, "next")
		c.Sync()
		v, err := c.GetOrLoad(ctx, k+2, load("inner"))
		return v + " and outer", err
	}, "inner and outer")
	wantGet(t, c, 2, "next")
	wantGet(t, c, 3, "inner")
	c.Clear()
	wantLoad(t, c, func(_ context.Context, k int) (string, error) {
		c.Set(k, "set by the loader")
		return "loaded", nil
	}, "loaded")
	wantGet(t, c, 1, "set by the loader")
}

// Guards loads that fail: the error reaches the caller, and nothing is stored.
func errorIsNotKept(t *testing.T) {
	c := Must(Config[int, string]{Capacity: 100})
	defer c.Close()
	failure := errors.New("no")
	for range 3 {
		_, err := c.GetOrLoad(context.Background(), 1, func(context.Context, int) (string, error) { return "half", failure })
		if !errors.Is(err, failure) {
			t.Errorf("GetOrLoad = %v, want %v", err, failure)
		}
		wantGet(t, c, 1, "")
	}
	if n := c.Len(); n != 0 {
		t.Errorf("Len = %d, want 0", n)
	}
	wantLoad(t, c, load("yes"), "yes")
}

// Guards G8: a load that ends after Close stores nothing, nor does one that begins then.
func loadAfterClose(t *testing.T) {
	c := Must(Config[int, string]{Capacity: 100})
	loader, begun, release := held("late")
	var wg sync.WaitGroup
	spawn(&wg, func() { _, _ = c.GetOrLoad(context.Background(), 1, loader) })
	<-begun
	c.Close()
	close(release)
	wg.Wait()
	_, _ = c.GetOrLoad(context.Background(), 2, load("later"))
	wantGet(t, c, 1, "")
	wantGet(t, c, 2, "")
	if n := c.Len(); n != 0 {
		t.Errorf("Len = %d after Close, want 0", n)
	}
}

func TestPeersCompute(t *testing.T) {
	for _, test := range []peersTest{
		{"function panics or exits", computePanicsOrExits},
		{"function calls the cache", computeCallsCache},
		{"what compute leaves", whatComputeLeaves},
		{"increments are not lost", incrementsAreNotLost},
		{"one of many sets", oneOfManySets},
		{"one of many deletes", oneOfManyDeletes},
		{"every method after close", apiAfterClose},
	} {
		t.Run(test.situation, test.run)
	}
}

// Guards G7: the entry is as it was, and no lock is left, of its own or its neighbours'.
func computePanicsOrExits(t *testing.T) {
	for name, end := range map[string]func(){"panic": func() { panic("compute") }, "Goexit": runtime.Goexit} {
		c := headless(t, Config[int, string]{Capacity: 100, Hasher: sameHash})
		c.Set(1, "before")
		for _, key := range []int{1, 2} {
			attempt(func() {
				c.Compute(key, func(string, bool) (string, Op) {
					end()
					return "never", OpSet
				})
			})
		}
		wantGet(t, c, 1, "before")
		wantGet(t, c, 2, "")
		for k := range 20 {
			c.Set(k, name)
			wantGet(t, c, k, name)
		}
		c.Compute(1, func(string, bool) (string, Op) { return "after", OpSet })
		wantGet(t, c, 1, "after")
		invariants(t, c)
	}
}

// Guards G7: the function runs under no lock.
func computeCallsCache(t *testing.T) {
	c := headless(t, Config[int, string]{Capacity: 100, Hasher: sameHash})
	c.Compute(1, func(string, bool) (string, Op) {
		c.Set(2, "neighbour")
		c.Delete(3)
		c.Sync()
		for range c.All() {
		}
		v, _ := c.Get(2)
		return v + " seen", OpSet
	})
	wantGet(t, c, 1, "neighbour seen")
	invariants(t, c)
}

// Guards the three outcomes, over an entry and over none.
func whatComputeLeaves(t *testing.T) {
	for _, test := range []struct {
		before string
		op     Op
		want   string
	}{
		{"", OpKeep, ""}, {"", OpSet, "new"}, {"", OpDelete, ""},
		{"old", OpKeep, "old"}, {"old", OpSet, "new"}, {"old", OpDelete, ""},
	} {
		c := headless(t, Config[int, string]{Capacity: 100})
		if test.before != "" {
			c.Set(1, test.before)
		}
		v, ok := c.Compute(1, func(old string, found bool) (string, Op) {
			if old != test.before || found != (test.before != "") {
				t.Errorf("function called with %q, %v, want %q", old, found, test.before)
			}
			return "new", test.op
		})
		if ok != (test.want != "") || ok && v != test.want {
			t.Errorf("%q, %v: Compute = %q, %v, want %q", test.before, test.op, v, ok, test.want)
		}
		wantGet(t, c, 1, test.want)
		invariants(t, c)
	}
}

// Guards G1: nothing comes between what the function saw and what it left, also where
// neighbours come and go in the same bucket.
func incrementsAreNotLost(t *testing.T) {
	rounds := 5000
	if debug || testing.Short() {
		rounds = 1000
	}
	const keys, workers = 3, 4
	for _, hasher := range []func(int) uint64{nil, sameHash} {
		c := Must(Config[int, int]{Capacity: 1000, Hasher: hasher})
		var wg sync.WaitGroup
		for g := range workers {
			spawn(&wg, func() {
				for i := range rounds {
					c.Compute(i%keys, func(old int, _ bool) (int, Op) { return old + 1, OpSet })
					c.Set(10+g, i)
					c.Delete(10 + g)
				}
			})
		}
		wg.Wait()
		sum := 0
		for k := range keys {
			v, _ := c.Get(k)
			sum += v
		}
		if n := c.Stats().Evictions; sum != workers*rounds || n != 0 {
			t.Errorf("the sum is %d after %d increments and %d evictions", sum, workers*rounds, n)
		}
		invariants(t, c)
		c.Close()
	}
}

// Guards GetOrSet: of many, one stores, and all get what it stored.
func oneOfManySets(t *testing.T) {
	c := Must(Config[int, int]{Capacity: 1000})
	defer c.Close()
	const workers = 4
	for round := range 300 {
		var got [workers]int
		var stored atomic.Int32
		var wg sync.WaitGroup
		for g := range workers {
			spawn(&wg, func() {
				v, loaded := c.GetOrSet(round, g+1)
				if got[g] = v; !loaded {
					stored.Add(1)
				}
			})
		}
		wg.Wait()
		if now, ok := c.Get(round); stored.Load() != 1 || !ok || got != [workers]int{now, now, now, now} {
			t.Fatalf("%d have stored; they got %v, Get = %d, %v", stored.Load(), got, now, ok)
		}
	}
}

// Guards GetAndDelete: of many, one gets the value.
func oneOfManyDeletes(t *testing.T) {
	c := Must(Config[int, string]{Capacity: 1000})
	defer c.Close()
	for round := range 300 {
		c.Set(round, "value")
		var got atomic.Int32
		var wg sync.WaitGroup
		for range 4 {
			spawn(&wg, func() {
				switch v, ok := c.GetAndDelete(round); {
				case ok && v == "value":
					got.Add(1)
				case ok || v != "":
					t.Errorf("GetAndDelete = %q, %v", v, ok)
				}
			})
		}
		wg.Wait()
		if got.Load() != 1 {
			t.Fatalf("%d goroutines got the value, want 1", got.Load())
		}
		wantGet(t, c, round, "")
	}
}

// Guards G8 for the rest of the methods.
func apiAfterClose(t *testing.T) {
	c := Must(Config[int, string]{Capacity: 100})
	c.Set(1, "before")
	c.Close()
	c.GetOrSet(1, "late")
	c.Compute(1, func(_ string, found bool) (string, Op) {
		if found {
			t.Error("Compute finds an entry after Close")
		}
		return "late", OpSet
	})
	if v, ok := c.GetAndDelete(1); ok {
		t.Errorf("GetAndDelete = %q after Close", v)
	}
	if v, ok := c.Peek(1); ok || c.Contains(1) {
		t.Errorf("Peek = %q after Close, Contains %v", v, c.Contains(1))
	}
	for k := range c.All() {
		t.Errorf("All gives %d after Close", k)
	}
	_ = c.SetCapacity(10)
	if n := c.Len(); n != 0 || c.Weight() != 0 {
		t.Errorf("Len, Weight = %d, %d after Close, want 0", n, c.Weight())
	}
}

func TestPeersIterate(t *testing.T) {
	for _, test := range []peersTest{
		{"keys are replaced during an iteration", replacedDuringIteration},
		{"loop body calls the cache", loopBodyCallsCache},
	} {
		t.Run(test.situation, test.run)
	}
}

// Guards All against entries that change their place: a key that is there throughout
// is seen, once, with one of its values.
func replacedDuringIteration(t *testing.T) {
	const keys = 500
	c := Must(Config[int, string]{Capacity: 4000})
	defer c.Close()
	for k := range keys {
		c.Set(k, fmt.Sprint(k))
	}
	var stop atomic.Bool
	var wg sync.WaitGroup
	spawn(&wg, func() {
		for i := 0; !stop.Load(); i++ {
			k := i % keys
			c.Set(k, fmt.Sprint(k))
		}
	})
	for range 50 {
		seen := map[int]int{}
		for k, v := range c.All() {
			seen[k]++
			if v != fmt.Sprint(k) {
				t.Errorf("All gives %d, %q", k, v)
			}
		}
		for k := range keys {
			if seen[k] != 1 {
				t.Errorf("All gives %d %d times, want once", k, seen[k])
			}
		}
		if t.Failed() {
			break
		}
	}
	stop.Store(true)
	wg.Wait()
}

// Guards G7 for loop bodies, which may write, and leave.
func loopBodyCallsCache(t *testing.T) {
	c := headless(t, Config[int, string]{Capacity: 200, Hasher: sameHash})
	fill := func() {
		for k := range 20 {
			c.Set(k, "value")
		}
	}
	fill()
	n := 0
	for k := range c.All() {
		if n++; n > 1000 {
			t.Fatal("All does not end where its body sets keys")
		}
		c.Delete(k)
		c.Set(100+k%50, "other")
		c.Sync()
	}
	c.Clear()
	fill()
	for k := range c.Keys() {
		c.Clear()
		c.Set(k, "kept")
		break
	}
	if n := c.Len(); n != 1 {
		t.Errorf("Len = %d, want 1", n)
	}
	attempt(func() {
		for range c.Values() {
			panic("body")
		}
	})
	fill()
	invariants(t, c)
}

// removals collects what a listener is told.
type removals[V any] struct {
	mu  sync.Mutex
	all []Removal[int, V]
}

func (r *removals[V]) note(removal Removal[int, V]) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, removal)
}

func (r *removals[V]) take() []Removal[int, V] {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.all
	r.all = nil
	return all
}

func TestPeersRemoval(t *testing.T) {
	runInBubbles(t, []peersTest{
		{"every text leaves once", func(t *testing.T) { leavesOnce(t, func(n int) string { return fmt.Sprint(n) }) }},
		{"every word leaves once", func(t *testing.T) { leavesOnce(t, func(n int) uint64 { return uint64(n) }) }},
		{"causes", causesOfRemoval},
		{"listener calls the cache", listenerCallsCache},
		{"listener panics", listenerPanics},
		{"refused entry", refusedEntry},
		{"delete of an expired entry is counted once", expiredDeleteIsCounted},
	})
}

// Guards trap 14: of all values set, each is in the cache, or has been reported once,
// with its key. Values that change in place and values that do not.
func leavesOnce[V comparable](t *testing.T, value func(int) V) {
	var told removals[V]
	c := Must(Config[int, V]{Capacity: 40, OnRemoval: told.note})
	defer c.Close()
	r := rand.New(rand.NewPCG(1, 2))
	keyOf := map[V]int{}
	for n := range 20_000 {
		k := r.IntN(120)
		switch r.IntN(10) {
		case 0:
			c.Delete(k)
		case 1:
			keyOf[value(n)] = k
			c.SetWithTTL(k, value(n), time.Duration(1+r.IntN(1000))*time.Millisecond)
		case 2:
			if n%50 == 0 {
				c.Clear()
			}
		case 3:
			time.Sleep(10 * time.Millisecond)
		case 4:
			keyOf[value(n)] = k
			c.Compute(k, func(V, bool) (V, Op) { return value(n), OpSet })
		default:
			keyOf[value(n)] = k
			c.Set(k, value(n))
		}
	}
	c.Sync()
	time.Sleep(time.Second) // nothing has a deadline after this
	times := map[V]int{}
	for _, v := range c.All() {
		times[v]++
	}
	c.Sync()
	time.Sleep(time.Second)
	synctest.Wait()
	causes := map[any]uint64{}
	for _, removal := range told.take() {
		times[removal.Value]++
		causes[removal.Cause]++
		if k, ok := keyOf[removal.Value]; !ok || k != removal.Key {
			t.Fatalf("%v was reported of key %d, want %d, %v", removal.Value, removal.Key, k, ok)
		}
	}
	for v, k := range keyOf {
		if times[v] != 1 {
			t.Errorf("value %v of key %d has left or stayed %d times, want once", v, k, times[v])
		}
	}
	for _, cause := range []any{CauseEvicted, CauseExpired, CauseDeleted, CauseReplaced, CauseCleared} {
		if causes[cause] == 0 {
			t.Errorf("no removal by cause %v", cause)
		}
	}
}

// Guards the cause of each way out. What has expired has expired, whoever takes it out.
func causesOfRemoval(t *testing.T) {
	for _, test := range []struct {
		name  string
		leave func(c *textCache)
		want  any
	}{
		{"Delete", func(c *textCache) { c.Delete(1) }, CauseDeleted},
		{"negative TTL", func(c *textCache) { c.SetWithTTL(1, "", -1) }, CauseDeleted},
		{"GetAndDelete", func(c *textCache) { c.GetAndDelete(1) }, CauseDeleted},
		{"Compute, delete", func(c *textCache) { c.Compute(1, func(string, bool) (string, Op) { return "", OpDelete }) }, CauseDeleted},
		{"Set", func(c *textCache) { c.Set(1, "next") }, CauseReplaced},
		{"SetWithTTL", func(c *textCache) { c.SetWithTTL(1, "next", time.Hour) }, CauseReplaced},
		{"Compute, set", func(c *textCache) { c.Compute(1, func(string, bool) (string, Op) { return "next", OpSet }) }, CauseReplaced},
		{"Clear", func(c *textCache) { c.Clear() }, CauseCleared},
		{"expiry", func(c *textCache) { time.Sleep(time.Hour) }, CauseExpired},
		{"Delete, expired", func(c *textCache) { time.Sleep(time.Minute); c.Delete(1) }, CauseExpired},
		{"Set, expired", func(c *textCache) { time.Sleep(time.Minute); c.Set(1, "next") }, CauseExpired},
		{"smaller capacity", func(c *textCache) { c.Set(2, "more"); c.Get(2); _ = c.SetCapacity(1) }, CauseEvicted},
	} {
		var told removals[string]
		c := Must(Config[int, string]{Capacity: 100, OnRemoval: told.note})
		c.SetWithTTL(1, "value", time.Minute)
		c.Sync()
		test.leave(c)
		c.Sync()
		time.Sleep(time.Second)
		synctest.Wait()
		all := told.take()
		if len(all) != 1 || all[0].Cause != test.want || test.name != "smaller capacity" && (all[0].Key != 1 || all[0].Value != "value") {
			t.Errorf("%s: told %+v, want key 1, value, cause %v, once", test.name, all, test.want)
		}
		c.Close()
	}
}

// Guards G7: a listener may use the cache.
func listenerCallsCache(t *testing.T) {
	var c *textCache
	calls := 0
	c = Must(Config[int, string]{Capacity: 20, Hasher: sameHash, OnRemoval: func(r Removal[int, string]) {
		calls++
		c.Len()
		c.Get(r.Key)
		if r.Key < 1000 {
			c.Set(r.Key+1000, "again")
			c.Delete(r.Key + 1000)
			c.Sync()
		}
	}})
	defer c.Close()
	for k := range 100 {
		c.Set(k, "value")
	}
	for k := range 100 {
		c.Delete(k)
	}
	c.SetWithTTL(1, "value", time.Second)
	time.Sleep(2 * time.Second)
	c.Clear()
	c.Sync()
	time.Sleep(time.Second)
	synctest.Wait()
	if calls < 100 {
		t.Errorf("%d calls of the listener, want 100 or more", calls)
	}
}

// Guards G7: a panic of a listener wedges nothing, and costs no other removal.
func listenerPanics(t *testing.T) {
	var calls atomic.Int32
	c := Must(Config[int, string]{Capacity: 20, OnRemoval: func(r Removal[int, string]) {
		calls.Add(1)
		panic("listener")
	}})
	defer c.Close()
	for k := range 50 {
		attempt(func() { c.Set(k, "value") })
		attempt(func() { c.Set(k, "again") })
		attempt(func() { c.Delete(k) })
	}
	attempt(func() { c.SetWithTTL(1, "value", time.Second) })
	time.Sleep(2 * time.Second)
	for k := range 10 {
		c.Set(k, "value")
	}
	attempt(c.Clear)
	attempt(c.Sync)
	time.Sleep(time.Second)
	synctest.Wait()
	if n := calls.Load(); n != 111 {
		t.Errorf("%d calls of the listener, want 111", n)
	}
	if n := c.Len(); n != 0 {
		t.Errorf("Len = %d, want 0", n)
	}
	attempt(func() { c.Set(5, "value") })
	wantGet(t, c, 5, "value")
}

// Guards G2: what is heavier than the cache is refused, counted and reported, and does
// not leave the older value behind.
func refusedEntry(t *testing.T) {
	var told removals[string]
	c := Must(Config[int, string]{Capacity: 100, MaxWeight: 10, OnRemoval: told.note,
		Weigher: func(_ int, v string) uint32 { return uint32(len(v)) }})
	defer c.Close()
	c.Set(1, "light")
	c.Set(2, "other")
	c.Set(1, "much too heavy")
	wantGet(t, c, 1, "")
	wantGet(t, c, 2, "other")
	c.Sync()
	time.Sleep(time.Second)
	synctest.Wait()
	refused, older := 0, 0
	for _, removal := range told.take() {
		switch {
		case removal.Value == "much too heavy" && removal.Cause == CauseRefused:
			refused++
		case removal.Value == "light" && removal.Key == 1:
			older++
		default:
			t.Errorf("told %+v", removal)
		}
	}
	if n := c.Stats().Refusals; refused != 1 || older != 1 || n != 1 || c.Weight() != 5 {
		t.Errorf("%d refused, %d older, %d counted, Weight %d, want 1, 1, 1, 5", refused, older, n, c.Weight())
	}
}

// Guards what Stats says of itself: Delete of an expired entry is an expiration and no
// Delete. It needs nothing new, and fails at present: remove counts it as a Delete.
func expiredDeleteIsCounted(t *testing.T) {
	c := headless(t, Config[int, string]{Capacity: 10})
	c.SetWithTTL(1, "value", time.Second)
	time.Sleep(time.Second)
	if c.Delete(1) {
		t.Error("Delete of an expired entry = true")
	}
	if s := c.Stats(); s.Deletes != 0 || s.Expirations != 1 {
		t.Errorf("Deletes, Expirations = %d, %d, want 0, 1", s.Deletes, s.Expirations)
	}
}

func TestPeersWeight(t *testing.T) {
	for _, test := range []peersTest{
		{"weight follows the entries", weightFollowsEntries},
		{"heaviest weights", heaviestWeights},
		{"no weight at all", noWeightAtAll},
		{"weigher panics", weigherPanics},
		{"maximum is lowered", maximumIsLowered},
		{"capacity is changed", capacityIsChanged},
	} {
		t.Run(test.situation, test.run)
	}
}

func byLength(_ int, v string) uint32 { return uint32(len(v)) }

// weighed is the sum of what is there.
func weighed(c *textCache) (sum uint64) {
	for _, v := range c.All() {
		sum += uint64(len(v))
	}
	return sum
}

// Guards G3 for weights: at rest the weight is that of what is there, whichever way
// the others left, and at most the maximum.
func weightFollowsEntries(t *testing.T) {
	c := headless(t, Config[int, string]{Capacity: 200, MaxWeight: 300, Weigher: byLength})
	r := rand.New(rand.NewPCG(5, 6))
	const text = "abcdefghijklmnopqrstuvwxyz"
	for n := range 20_000 {
		k, v := r.IntN(300), text[:r.IntN(len(text))]
		switch r.IntN(8) {
		case 0:
			c.Delete(k)
		case 1:
			c.SetWithTTL(k, v, time.Microsecond)
		case 2:
			c.Compute(k, func(string, bool) (string, Op) { return v, OpSet })
		case 3:
			if n%100 == 0 {
				c.Clear()
			}
		default:
			c.Set(k, v)
			wantGetText(t, c, k, v)
		}
		if w := c.Weight(); w > 300 {
			t.Fatalf("Weight = %d, want at most 300", w)
		}
	}
	time.Sleep(time.Millisecond)
	c.Sync()
	if got, want := c.Weight(), weighed(c); got != want || want == 0 {
		t.Errorf("Weight = %d, and the entries weigh %d", got, want)
	}
	if e, ok := c.GetEntry(someKey(c)); !ok || e.Weight != uint32(len(e.Value)) {
		t.Errorf("GetEntry = %+v, %v, want its weight", e, ok)
	}
	c.Clear()
	c.Sync()
	if w := c.Weight(); w != 0 {
		t.Errorf("Weight = %d after Clear, want 0", w)
	}
	invariants(t, c)
}

// wantGetText is wantGet for values that may be empty.
func wantGetText(t *testing.T, c *textCache, key int, want string) {
	t.Helper()
	if v, ok := c.Get(key); !ok || v != want {
		t.Errorf("Get(%d) = %q, %v, want %q", key, v, ok, want)
	}
}

func someKey(c *textCache) int {
	for k := range c.Keys() {
		return k
	}
	return -1
}

// Guards sums of weights: the largest do not overflow.
func heaviestWeights(t *testing.T) {
	heavy := func(int, int) uint32 { return math.MaxUint32 }
	c := headless(t, Config[int, int]{Capacity: 100, MaxWeight: math.MaxInt64, Weigher: heavy})
	for k := range 100 {
		c.Set(k, k)
	}
	if w := c.Weight(); w != uint64(c.Len())*math.MaxUint32 || c.Len() < 99 {
		t.Errorf("Weight = %d, Len = %d, want Len times %d", w, c.Len(), uint32(math.MaxUint32))
	}
	c = headless(t, Config[int, int]{Capacity: 100, MaxWeight: 3 * math.MaxUint32, Weigher: heavy})
	for k := range 100 {
		c.Set(k, k)
		if v, ok := c.Get(k); !ok || v != k {
			t.Errorf("Get(%d) = %d, %v", k, v, ok)
		}
	}
	c.Sync()
	if n := c.Len(); n < 1 || n > 3 {
		t.Errorf("Len = %d, want 1 to 3", n)
	}
}

// Guards eviction where every second entry weighs nothing, and such may not be evicted:
// it ends, and what finds no room is refused and counted.
func noWeightAtAll(t *testing.T) {
	c := headless(t, Config[int, int]{Capacity: 50, MaxWeight: 1, Weigher: func(k, _ int) uint32 { return uint32(k % 2) }})
	for k := range 500 {
		before := c.Stats().Refusals
		c.Set(k, k)
		if v, ok := c.Get(k); ok && v != k || !ok && c.Stats().Refusals == before {
			t.Errorf("Get(%d) = %d, %v", k, v, ok)
		}
		if n, w := c.Len(), c.Weight(); n > 50 || w > 1 {
			t.Fatalf("Len, Weight = %d, %d, want at most 50, 1", n, w)
		}
	}
	invariants(t, c)
}

// Guards G7: a weigher's panic reaches the caller and changes nothing.
func weigherPanics(t *testing.T) {
	c := headless(t, Config[int, string]{Capacity: 100, MaxWeight: 1000, Hasher: sameHash, Weigher: func(_ int, v string) uint32 {
		if v == "bad" {
			panic("weigher")
		}
		return 1
	}})
	c.Set(1, "good")
	for _, f := range []func(){
		func() { c.Set(1, "bad") }, func() { c.SetWithTTL(1, "bad", time.Hour) }, func() { c.Set(2, "bad") },
		func() { c.Compute(1, func(string, bool) (string, Op) { return "bad", OpSet }) },
	} {
		if !panics(f) {
			t.Error("the weigher's panic does not reach the caller")
		}
	}
	wantGet(t, c, 1, "good")
	wantGet(t, c, 2, "")
	c.Set(2, "good")
	wantGet(t, c, 2, "good")
	if w := c.Weight(); w != 2 {
		t.Errorf("Weight = %d, want 2", w)
	}
	invariants(t, c)
}

// Guards SetMaxWeight: what is too much leaves, and later there is room again.
func maximumIsLowered(t *testing.T) {
	c := headless(t, Config[int, string]{Capacity: 100, MaxWeight: 100, Weigher: byLength})
	fill := func() {
		for k := range 50 {
			c.Set(k, "ab")
		}
		c.Sync()
	}
	fill()
	if err := c.SetMaxWeight(20); err != nil {
		t.Fatal(err)
	}
	c.Sync()
	if w := c.Weight(); w > 20 || w != weighed(c) {
		t.Errorf("Weight = %d, the entries weigh %d, want at most 20", w, weighed(c))
	}
	fill()
	if w := c.Weight(); w > 20 {
		t.Errorf("Weight = %d, want at most 20", w)
	}
	if err := c.SetMaxWeight(100); err != nil {
		t.Fatal(err)
	}
	fill()
	if w := c.Weight(); w < 90 || w > 100 {
		t.Errorf("Weight = %d, want about 100", w)
	}
	invariants(t, c)
}

// Guards SetCapacity in the same way.
func capacityIsChanged(t *testing.T) {
	c := headless(t, Config[int, string]{Capacity: 500})
	for _, n := range []int{500, 10, 1, 300, 500, 20} {
		if err := c.SetCapacity(n); err != nil {
			t.Fatalf("SetCapacity(%d) = %v", n, err)
		}
		if got := c.Len(); got > n || c.Capacity() != n {
			t.Errorf("Len, Capacity = %d, %d after SetCapacity(%d)", got, c.Capacity(), n)
		}
		for k := range 1000 {
			c.Set(k, "value")
			if got := c.Len(); got > n {
				t.Fatalf("Len = %d, capacity %d", got, n)
			}
			wantGet(t, c, k, "value")
		}
		if got := c.Len(); got < n-n/8 {
			t.Errorf("Len = %d after 1000 keys, capacity %d", got, n)
		}
		invariants(t, c)
	}
	for _, n := range []int{0, -1} {
		if err := c.SetCapacity(n); err == nil || c.Capacity() != 20 {
			t.Errorf("SetCapacity(%d) = %v, Capacity = %d, want an error and 20", n, err, c.Capacity())
		}
	}
}

func TestPeersClock(t *testing.T) {
	runInBubbles(t, []peersTest{
		{"expired entry is absent for everybody", expiredForEverybody},
		{"reads put the deadline off", readsPutOff},
		{"only reads put the deadline off", onlyReadsPutOff},
		{"longest time since a read", longestSinceRead},
		{"clock of any epoch", clockOfAnyEpoch},
		{"clock that goes back", clockGoesBack},
		{"get or set keeps the deadline", getOrSetKeepsDeadline},
	})
}

// Guards G11 in every operation, where nothing has removed the entry.
func expiredForEverybody(t *testing.T) {
	expired := func() *textCache {
		c := headless(t, Config[int, string]{Capacity: 100})
		c.SetWithTTL(1, "old", time.Minute)
		time.Sleep(time.Minute - 1)
		if v, ok := c.Peek(1); !ok || v != "old" || !c.Contains(1) {
			t.Errorf("Peek = %q, %v before the deadline", v, ok)
		}
		if e, ok := c.GetEntry(1); !ok || e.Key != 1 || e.Value != "old" || time.Until(e.ExpiresAt) != 1 {
			t.Errorf("GetEntry = %+v, %v a nanosecond before the deadline", e, ok)
		}
		time.Sleep(time.Nanosecond)
		return c
	}
	if v, ok := expired().Peek(1); ok || v != "" {
		t.Errorf("Peek = %q, %v", v, ok)
	}
	if expired().Contains(1) {
		t.Error("Contains = true")
	}
	if e, ok := expired().GetEntry(1); ok {
		t.Errorf("GetEntry = %+v", e)
	}
	if v, ok := expired().GetAndDelete(1); ok || v != "" {
		t.Errorf("GetAndDelete = %q, %v", v, ok)
	}
	if v, loaded := expired().GetOrSet(1, "new"); loaded || v != "new" {
		t.Errorf("GetOrSet = %q, %v, want new, false", v, loaded)
	}
	for k, v := range expired().All() {
		t.Errorf("All gives %d, %q", k, v)
	}
	for k := range expired().Keys() {
		t.Errorf("Keys gives %d", k)
	}
	for v := range expired().Values() {
		t.Errorf("Values gives %q", v)
	}
	c := expired()
	c.Compute(1, func(old string, found bool) (string, Op) {
		if found || old != "" {
			t.Errorf("Compute finds %q, %v", old, found)
		}
		return "", OpKeep
	})
	wantGet(t, c, 1, "")
}

// Guards ExpireAfterAccess: a Get puts the deadline off, and a Get at the deadline
// does not. The time since the Set counts beside it.
func readsPutOff(t *testing.T) {
	c := Must(Config[int, string]{Capacity: 100, ExpireAfterAccess: 10 * time.Second})
	defer c.Close()
	c.Set(1, "value")
	for range 50 {
		time.Sleep(10*time.Second - 1)
		wantGet(t, c, 1, "value")
	}
	time.Sleep(10 * time.Second)
	for range 3 {
		wantGet(t, c, 1, "")
	}
	time.Sleep(time.Second)
	if n := c.Len(); n != 0 {
		t.Errorf("Len = %d, want 0", n)
	}
	both := Must(Config[int, string]{Capacity: 100, TTL: 25 * time.Second, ExpireAfterAccess: 10 * time.Second})
	defer both.Close()
	both.Set(1, "value")
	for range 4 {
		time.Sleep(6 * time.Second)
		wantGet(t, both, 1, "value")
	}
	time.Sleep(time.Second)
	wantGet(t, both, 1, "")
}

// Guards the ways to look that are no accesses.
func onlyReadsPutOff(t *testing.T) {
	for name, look := range map[string]func(c *textCache){
		"Peek":     func(c *textCache) { c.Peek(1) },
		"Contains": func(c *textCache) { c.Contains(1) },
		"GetEntry": func(c *textCache) { c.GetEntry(1) },
		"All": func(c *textCache) {
			for range c.All() {
			}
		},
		"Get of another": func(c *textCache) { c.Get(2) },
	} {
		c := Must(Config[int, string]{Capacity: 100, Hasher: sameHash, ExpireAfterAccess: time.Minute})
		c.Set(1, "value")
		c.Set(2, "value")
		time.Sleep(time.Minute - 1)
		look(c)
		time.Sleep(time.Nanosecond)
		if v, ok := c.Get(1); ok {
			t.Errorf("%s: Get = %q a minute after the Set", name, v)
		}
		c.Close()
	}
}

// Guards the sum of a reading and the longest duration, at each read.
func longestSinceRead(t *testing.T) {
	for _, d := range []time.Duration{math.MaxInt64, math.MaxInt64 - 1} {
		c := Must(Config[int, string]{Capacity: 100, ExpireAfterAccess: d})
		c.Set(1, "value")
		for range 30 {
			time.Sleep(365 * 24 * time.Hour)
			wantGet(t, c, 1, "value")
		}
		c.Close()
	}
}

// Guards Config.Clock: no reading is special, neither the zero Time, nor those before
// 1970, nor the passage through zero.
func clockOfAnyEpoch(t *testing.T) {
	for name, start := range map[string]time.Time{
		"zero":    {},
		"before":  time.Unix(-1<<40, 0),
		"through": time.Unix(0, -500),
		"at":      time.Unix(0, 0),
		"after":   time.Unix(1<<33, 0),
	} {
		var age atomic.Int64
		c := headless(t, Config[int, string]{Capacity: 100, Clock: func() time.Time { return start.Add(time.Duration(age.Load())) }})
		c.SetWithTTL(1, "value", 1000)
		c.SetWithTTL(2, "value", time.Hour)
		c.Set(3, "value")
		wantGet(t, c, 1, "value")
		age.Store(999)
		if v, ok := c.Get(1); !ok || v != "value" {
			t.Errorf("%s: Get = %q, %v before the deadline", name, v, ok)
		}
		age.Store(1000)
		wantGet(t, c, 1, "")
		wantGet(t, c, 2, "value")
		c.Sync()
		if n := c.Len(); n != 2 {
			t.Errorf("%s: Len = %d after Sync, want 2", name, n)
		}
		age.Store(int64(time.Hour))
		wantGet(t, c, 2, "")
		wantGet(t, c, 3, "value")
	}
}

// Guards G1 against clocks that are set back: what was missed stays missed, and what
// the sweep has taken out is not missing from any sum.
func clockGoesBack(t *testing.T) {
	var age atomic.Int64
	start := time.Unix(1<<30, 0)
	c := headless(t, Config[int, string]{Capacity: 100, Clock: func() time.Time { return start.Add(time.Duration(age.Load())) }})
	for k := range 50 {
		c.SetWithTTL(k, "value", time.Minute)
	}
	for _, step := range []time.Duration{time.Minute, time.Second, 2 * time.Minute, -time.Hour, time.Minute} {
		age.Store(int64(step))
		for k := range 50 {
			if v, ok := c.Get(k); ok {
				t.Errorf("clock at %v: Get(%d) = %q, and it was missed before", step, k, v)
			}
		}
		c.Sync()
	}
	c.Set(1, "new")
	wantGet(t, c, 1, "new")
	invariants(t, c)
}

// Guards GetOrSet and Compute with OpKeep: a value that stays keeps its deadline.
func getOrSetKeepsDeadline(t *testing.T) {
	c := Must(Config[int, string]{Capacity: 100, TTL: time.Hour})
	defer c.Close()
	c.SetWithTTL(1, "value", time.Minute)
	time.Sleep(30 * time.Second)
	if v, loaded := c.GetOrSet(1, "other"); !loaded || v != "value" {
		t.Errorf("GetOrSet = %q, %v, want value, true", v, loaded)
	}
	c.Compute(1, func(string, bool) (string, Op) { return "other", OpKeep })
	time.Sleep(30*time.Second - 1)
	wantGet(t, c, 1, "value")
	time.Sleep(time.Nanosecond)
	wantGet(t, c, 1, "")
	c.GetOrSet(1, "third")
	time.Sleep(time.Hour - 1)
	wantGet(t, c, 1, "third")
	time.Sleep(time.Nanosecond)
	wantGet(t, c, 1, "")
}

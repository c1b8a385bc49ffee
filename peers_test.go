package dualcache

import (
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"weak"
)

// TestPeers: what other caches have mended, tried here. Where each situation was a
// bug, with version or issue, is in TESTING.md. "Shown" means that the test has
// been seen to fail with the named guard taken out. What needs a clock is in
// peers_synctest_test.go.
func TestPeers(t *testing.T) {
	for _, test := range []struct {
		situation string
		run       func(*testing.T)
	}{
		{"set twice before the insert is applied", setTwiceBeforeApplied},
		{"deleted before the insert is applied", deletedBeforeApplied},
		{"one key set and deleted for ever", setAndDeletedForEver},
		{"updates while all queues are full", updatesAtFullQueues},
		{"clear while keys are replaced", clearWhileReplaced},
		{"clear meets get and set", clearMeetsGetAndSet},
		{"many sync at once", manySyncAtOnce},
		{"many close at once", manyCloseAtOnce},
		{"every method after close", methodsAfterClose},
		{"close in a callback", closeInCallback},
		{"goexit in a callback", goexitInCallback},
		{"callback that refers to its cache", callbackRefersToCache},
		{"nil and zero are values", nilAndZeroAreValues},
		{"the wall clock is set", wallClockIsSet},
		{"no test code in users' programs", noTestCodeInPrograms},
	} {
		t.Run(test.situation, test.run)
	}
}

// Guards the announcement of a replacement whose predecessor is in no list yet: each
// entry ends up in one list, and can be evicted. Fails without the look at listed in
// replace (shown).
func setTwiceBeforeApplied(t *testing.T) {
	c := headless(t, Config[int, string]{Capacity: 2000})
	const keys = 20
	for k := range keys {
		c.Set(k, "first")
		c.Set(k, "second")
		c.SetWithTTL(k, "third", time.Hour)
	}
	c.Sync()
	if n, lost, dropped := c.Len(), unlisted(c), c.Stats().DroppedInserts; n != keys || lost != 0 || dropped != 0 {
		t.Errorf("Len = %d, %d entries in no list, %d records dropped, want %d, 0, 0", n, lost, dropped, keys)
	}
	invariants(t, c)
	for k := range 6000 {
		c.Set(keys+k, "other")
	}
	if n := c.Len(); n > c.capacity {
		t.Errorf("Len = %d, capacity %d", n, c.capacity)
	}
	invariants(t, c)
}

// Guards trap 10: a record that is applied after its entry has left brings nothing
// back, and lists nothing. Fails without what the policy's inserted looks at (shown: the
// tag, the live bit and the position, each of which would do here).
func deletedBeforeApplied(t *testing.T) {
	for name, remove := range map[string]func(c *Cache[int, string], key int){
		"Delete":       func(c *Cache[int, string], key int) { c.Delete(key) },
		"negative TTL": func(c *Cache[int, string], key int) { c.SetWithTTL(key, "late", -1) },
		"Clear":        func(c *Cache[int, string], key int) { c.Clear() },
	} {
		c := headless(t, Config[int, string]{Capacity: 2000})
		for k := range 20 {
			c.Set(k, "value")
			remove(c, k)
			if v, ok := c.Get(k); ok {
				t.Errorf("%s: Get(%d) = %q right after", name, k, v)
			}
		}
		c.Sync()
		for k := range 20 {
			if v, ok := c.Get(k); ok {
				t.Errorf("%s: Get(%d) = %q after Sync", name, k, v)
			}
		}
		if n := c.Len(); n != 0 || c.policy.lenWindow() != 0 || c.policy.lenMain() != 0 {
			t.Errorf("%s: Len = %d, window %d, main %d, want 0", name, n, c.policy.lenWindow(), c.policy.lenMain())
		}
		invariants(t, c)
	}
}

// Guards G3 where nothing is ever evicted: neither the window's queue nor what waits
// for a grace period grows with the number of operations. Hangs if remove gives no
// permit back (shown).
func setAndDeletedForEver(t *testing.T) {
	rounds := 100_000
	if debug || testing.Short() {
		rounds = 20_000
	}
	c := headless(t, Config[int, string]{Capacity: 100})
	run := func(n int) int64 {
		for i := range n {
			c.Set(i%3, "value")
			c.SetWithTTL(i%3, "value", time.Hour)
			if !c.Delete(i % 3) {
				t.Fatalf("Delete = false in round %d: %+v", i, c.Stats())
			}
		}
		c.Sync()
		return heapNow()
	}
	before := run(2000)
	if grown := run(rounds) - before; grown > 32<<10 {
		t.Errorf("%d rounds take %d bytes more than 2000", rounds, grown)
	}
	if n := c.Stats().Evictions; n != 0 {
		t.Errorf("%d evictions from a cache that is never full", n)
	}
	invariants(t, c)
	runtime.KeepAlive(c)
}

// Guards G2 and trap 9: where the pass is held up and every queue is full, records
// are dropped, and no Set is. Both ways to store have their turn. Fails if a Set whose
// record finds no room does nothing (shown).
func updatesAtFullQueues(t *testing.T) {
	words := headless(t, Config[int, int]{Capacity: 2000})
	texts := headless(t, Config[int, string]{Capacity: 2000})
	if !words.lockPass() || !texts.lockPass() {
		t.Fatal("the pass lock is taken")
	}
	const keys = 600
	for version := range 3 {
		for k := range keys {
			words.Set(k, version)
			texts.Set(k, fmt.Sprint(version))
		}
		for k := range keys {
			if v, ok := words.Get(k); !ok || v != version {
				t.Errorf("word: Get(%d) = %d, %v, want %d", k, v, ok, version)
			}
			if v, ok := texts.Get(k); !ok || v != fmt.Sprint(version) {
				t.Errorf("text: Get(%d) = %q, %v, want %d", k, v, ok, version)
			}
		}
	}
	words.unlockPass()
	texts.unlockPass()
	if a, b := words.Stats().DroppedInserts, texts.Stats().DroppedInserts; a == 0 || b == 0 {
		t.Errorf("%d and %d records dropped: the queues were not full", a, b)
	}
	invariants(t, words)
	invariants(t, texts)
}

// Guards clearAll against entries that move meanwhile, to another place or to a
// larger table: what was set before a Clear began is not found after it. Fails if
// clearAll passes over the table that is being outgrown (shown); the wrong order of
// the two tables opens a window of nanoseconds that it has not hit.
func clearWhileReplaced(t *testing.T) {
	rounds := 60
	if debug || testing.Short() {
		rounds = 15
	}
	const keys = 8
	for range rounds {
		c := Must(Config[int, string]{Capacity: 20_000, Hasher: func(k int) uint64 { return uint64(k) }})
		var done [keys]atomic.Int64
		var stop atomic.Bool
		var wg sync.WaitGroup
		spawn(&wg, func() { // versions of a few keys
			for v := int64(1); !stop.Load(); v++ {
				k := int(v) % keys
				c.Set(k, fmt.Sprint(v))
				done[k].Store(v)
			}
		})
		spawn(&wg, func() { // keys that are set once, and growth
			for k := keys; k < 4000; k++ {
				c.Set(k, "once")
			}
		})
		for range 20 {
			var before [keys]int64
			for k := range keys {
				before[k] = done[k].Load()
			}
			c.Clear()
			for k := range keys {
				v, ok := c.Get(k)
				var version int64
				fmt.Sscan(v, &version)
				if ok && version <= before[k] {
					t.Errorf("Get(%d) = version %d after Clear, and %d was set before", k, version, before[k])
				}
			}
		}
		stop.Store(true)
		wg.Wait()
		c.Clear()
		if n := c.Len(); n != 0 {
			t.Errorf("Len = %d after Clear, want 0", n)
		}
		invariants(t, c)
		c.Close()
		if t.Failed() {
			return
		}
	}
}

// Guards G1 and the bookkeeping of Clear under contention, with keys that all meet in
// two buckets. Fails, in runs with more than one P, if removeAt does not look at the
// tag under the lock (shown).
func clearMeetsGetAndSet(t *testing.T) {
	rounds := 20_000
	if debug || testing.Short() {
		rounds = 3000
	}
	c := Must(Config[int, string]{Capacity: 50, Hasher: func(k int) uint64 { return uint64(k % 2) }})
	defer c.Close()
	var wg sync.WaitGroup
	for g := range 4 {
		spawn(&wg, func() {
			for i := range rounds {
				k := (i + g) % 70
				switch {
				case i%64 == 63:
					c.Clear()
				case i%3 == 0:
					c.Set(k, fmt.Sprint(k))
				default:
					if v, ok := c.Get(k); ok && v != fmt.Sprint(k) {
						t.Errorf("Get(%d) = %q", k, v)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	if n := c.Len(); n > 50 {
		t.Errorf("Len = %d, capacity 50", n)
	}
	invariants(t, c)
}

// Guards Sync: every call returns, whoever else calls it and clears the cache
// meanwhile. Hangs if Sync does not unlock the pass (shown).
func manySyncAtOnce(t *testing.T) {
	c := Must(Config[int, string]{Capacity: 500})
	defer c.Close()
	var wg sync.WaitGroup
	for g := range 16 {
		spawn(&wg, func() {
			for i := range 30 {
				c.Set(100*g+i, "value")
				if i%10 == 9 {
					c.Clear()
				}
				c.Sync()
			}
		})
	}
	wg.Wait()
	invariants(t, c)
}

// Guards G8: Close may be called by many at once, with the daemon at work, and when
// all have returned it is empty and its timer stopped. Fails without clearAll, and if
// neither Stop is there (both shown).
func manyCloseAtOnce(t *testing.T) {
	for range 50 {
		c := Must(Config[int, string]{Capacity: 500, TTL: time.Hour})
		var wg sync.WaitGroup
		for g := range 4 {
			spawn(&wg, func() {
				for i := range 50 {
					c.Set(100*g+i, "value")
				}
				if err := c.Close(); err != nil {
					t.Errorf("Close = %v", err)
				}
			})
		}
		wg.Wait()
		if n := c.Len(); n != 0 {
			t.Fatalf("Len = %d after Close, want 0", n)
		}
		if c.timer.Stop() {
			t.Fatal("the timer is armed after Close")
		}
	}
}

// Guards G8: after Close nothing panics, nothing is stored, nothing is found. Fails
// without the look at closed in trySet (shown).
func methodsAfterClose(t *testing.T) {
	c, d, err := NewHeadless(Config[string, []byte]{Capacity: 10})
	if err != nil {
		t.Fatal(err)
	}
	c.Set("a", []byte("value"))
	before := c.Stats()
	for range 2 {
		if err := c.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
		c.Set("a", []byte("late"))
		c.SetWithTTL("b", []byte("late"), time.Hour)
		c.SetWithTTL("c", nil, -1)
		for _, k := range []string{"a", "b", "c"} {
			if v, ok := c.Get(k); ok || v != nil {
				t.Errorf("Get(%s) = %q, %v after Close", k, v, ok)
			}
			if c.Delete(k) {
				t.Errorf("Delete(%s) = true after Close", k)
			}
		}
		c.Clear()
		c.Sync()
		if d.Tick() {
			t.Error("Tick has more to do after Close")
		}
		if n := c.Len(); n != 0 || c.Capacity() != 10 {
			t.Errorf("Len, Capacity = %d, %d after Close, want 0, 10", n, c.Capacity())
		}
	}
	if got := c.Stats().Sub(before); got.Sets != 0 || got.Hits != 0 || got.Misses != 6 {
		t.Errorf("Sets, Hits, Misses = %d, %d, %d after Close, want 0, 0, 6", got.Sets, got.Hits, got.Misses)
	}
	invariants(t, c)
}

// Guards G7: a callback may close the cache that called it. Hangs if Close waits for
// operations, and Get runs the Hasher inside what counts as one.
func closeInCallback(t *testing.T) {
	for _, operation := range []string{"Get", "Set", "Delete"} {
		var c *Cache[int, string]
		calls := 0
		c = Must(Config[int, string]{Capacity: 100, Hasher: func(k int) uint64 {
			if k == 1 {
				calls++
				c.Close()
			}
			return uint64(k)
		}})
		c.Set(0, "value")
		switch operation {
		case "Get":
			c.Get(1)
		case "Set":
			c.Set(1, "value")
		case "Delete":
			c.Delete(1)
		}
		if _, ok := c.Get(0); ok || calls == 0 || c.Len() != 0 {
			t.Errorf("%s: Get finds %v, Len %d, %d calls; want a closed cache", operation, ok, c.Len(), calls)
		}
	}
}

// Guards G7: a callback that ends its goroutine leaves no lock, no pin and no worker
// behind. Fails, fatally, if hash is called pinned (shown for Delete).
func goexitInCallback(t *testing.T) {
	exits := 0
	c := Must(Config[int, string]{Capacity: 100, Hasher: func(k int) uint64 {
		if k < 0 {
			exits++
			runtime.Goexit()
		}
		return uint64(k % 4)
	}})
	defer c.Close()
	const rounds = 50
	for range rounds {
		var wg sync.WaitGroup
		for _, f := range []func(){
			func() { c.Get(-1) }, func() { c.Set(-1, "value") }, func() { c.SetWithTTL(-1, "value", 1) },
			func() { c.Delete(-1) },
		} {
			spawn(&wg, f)
			wg.Wait()
		}
	}
	if exits != 4*rounds {
		t.Errorf("%d exits, want %d", exits, 4*rounds)
	}
	for k := range 300 {
		c.Set(k, "value")
		if v, ok := c.Get(k); !ok || v != "value" {
			t.Fatalf("Get(%d) = %q, %v", k, v, ok)
		}
	}
	if n := len(*c.workers.all.Load()); n > runtime.GOMAXPROCS(0)+10 {
		t.Errorf("%d workers for one goroutine at a time", n)
	}
	invariants(t, c)
}

// Guards G8: a callback that refers to its cache does not keep it from being
// collected. Fails if the timer's function holds the cache (shown).
func callbackRefersToCache(t *testing.T) {
	w := func() weak.Pointer[Cache[int, string]] {
		var c *Cache[int, string]
		c = Must(Config[int, string]{Capacity: 100, TTL: time.Hour, Hasher: func(k int) uint64 { return uint64(k + c.Len()*0) }})
		c.Set(1, "value")
		return weak.Make(c)
	}()
	for range 500 {
		runtime.GC()
		if w.Value() == nil {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Error("the cache is not collected")
}

// Guards the second result of Get: nil and zero are values like others. Fails if an
// empty value counts as none.
func nilAndZeroAreValues(t *testing.T) {
	pointers := headless(t, Config[string, *int]{Capacity: 10})
	pointers.Set("", nil)
	if v, ok := pointers.Get(""); !ok || v != nil {
		t.Errorf("pointer: Get = %v, %v, want nil, true", v, ok)
	}
	words := headless(t, Config[int, int]{Capacity: 10})
	words.SetWithTTL(0, 0, time.Hour)
	if v, ok := words.Get(0); !ok || v != 0 {
		t.Errorf("word: Get = %d, %v, want 0, true", v, ok)
	}
	anything := headless(t, Config[any, any]{Capacity: 10})
	anything.Set(nil, nil)
	if v, ok := anything.Get(nil); !ok || v != nil {
		t.Errorf("interface: Get = %v, %v, want nil, true", v, ok)
	}
	empty := headless(t, Config[struct{}, struct{}]{Capacity: 1})
	if _, ok := empty.Get(struct{}{}); ok {
		t.Error("an empty key is found before it is set")
	}
	empty.Set(struct{}{}, struct{}{})
	if _, ok := empty.Get(struct{}{}); !ok || !empty.Delete(struct{}{}) || empty.Len() != 0 {
		t.Error("an empty key is not kept")
	}
}

// Guards the clock: it is monotonic, so that setting the time of day moves no
// deadline. Fails if born is stripped of its monotonic reading (shown).
func wallClockIsSet(t *testing.T) {
	c := headless(t, Config[int, int]{Capacity: 1})
	if s := c.born.String(); !strings.Contains(s, " m=") {
		t.Errorf("the clock counts from %s, want a monotonic reading", s)
	}
}

// Guards the file names: package testing is in no program that imports the cache.
// Fails with a file that imports it and is not called _test.go.
func noTestCodeInPrograms(t *testing.T) {
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("no go command")
	}
	out, err := exec.Command(tool, "list", "-deps", ".").CombinedOutput()
	if err != nil {
		t.Skipf("go list: %v\n%s", err, out)
	}
	all := strings.Fields(string(out))
	if len(all) < 10 {
		t.Errorf("%d dependencies: %s", len(all), out)
	}
	for _, path := range all {
		if path == "testing" || strings.HasPrefix(path, "testing/") {
			t.Errorf("%s is linked into users' programs", path)
		}
	}
}

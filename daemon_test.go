package dualcache

import (
	"context"
	"errors"
	"testing"
	"time"
)

// soon waits for a condition.
func soon(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for begin := time.Now(); !ok(); time.Sleep(time.Millisecond) {
		if time.Since(begin) > 10*time.Second {
			t.Fatalf("not so: %s", what)
		}
	}
}

// atRest reports whether nothing waits for the daemon, and it has parked.
func atRest[K comparable, V any](c *Cache[K, V]) bool {
	return c.awake.Load() == 0 && c.running.Load() == 0 && !c.pendingWork()
}

// Guards Run: it does the work, sleeps when there is none, is woken, ends with its
// context's error, may be run again, and ends with nil when the cache is closed.
// Fails without the signal of wake (shown) or that of Close (shown).
func TestRun(t *testing.T) {
	c, d, err := NewHeadless(Config[int, string]{Capacity: 2000})
	if err != nil {
		t.Fatal(err)
	}
	run := func(ctx context.Context) chan error {
		result := make(chan error, 1)
		go func() { result <- d.Run(ctx) }()
		return result
	}
	ctx, cancel := context.WithCancel(context.Background())
	result := run(ctx)
	for round := range 3 {
		for k := range 50 {
			c.Set(1000*round+k, "value")
			c.Delete(1000*round + k - 1)
		}
		soon(t, "Run does the work and parks", func() bool { return atRest(c) })
	}
	passes := c.Stats().Passes
	time.Sleep(20 * time.Millisecond)
	if n := c.Stats().Passes - passes; n != 0 {
		t.Errorf("%d passes while there is no work, want 0", n)
	}
	c.SetWithTTL(1, "timed", time.Millisecond)
	soon(t, "Run removes what has expired", func() bool { return c.Stats().Expirations == 1 })
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("Run = %v, want %v", err, context.Canceled)
	}
	if err := d.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Run with a context that is done = %v, want %v", err, context.Canceled)
	}
	c.Set(5000, "value")
	result = run(context.Background())
	soon(t, "a second Run does the work", func() bool { return atRest(c) })
	c.Close()
	if err := <-result; err != nil {
		t.Errorf("Run = %v after Close, want nil", err)
	}
	if err := d.Run(context.Background()); err != nil {
		t.Errorf("Run of a closed cache = %v, want nil", err)
	}
	if d.Tick() {
		t.Error("Tick of a closed cache has more to do")
	}
	invariants(t, c)
}

// Guards rule 13 and G8 end to end: every kind of work wakes a daemon that has
// parked, and is done. Fails if remove, or finishSet, does not call wake (both shown).
func TestDaemonIsWokenByWork(t *testing.T) {
	for _, capacity := range []int{100, 3000} {
		c := Must(Config[int, string]{Capacity: capacity})
		for name, work := range map[string]func(){
			"insert":      func() { c.Set(1, "a") },
			"replacement": func() { c.Set(1, "b") },
			"delete":      func() { c.Delete(1) },
			"clear":       func() { c.Set(2, "c"); c.Clear() },
		} {
			c.Set(1, "x")
			soon(t, "the daemon parks", func() bool { return atRest(c) })
			work()
			soon(t, name+" is seen to", func() bool { return atRest(c) })
			for tb, b := c.table.Load(), uint64(0); b < tb.homes; b++ {
				for i := range bucketPlaces {
					if s := (spot{tb, b, i}); !hasTag(s.bucket().head.Load(), i) && placeAt[int, string](s).value != "" {
						t.Errorf("%s: capacity %d: a retired place still has %q", name, capacity, placeAt[int, string](s).value)
					}
				}
			}
		}
		c.Close()
	}
}

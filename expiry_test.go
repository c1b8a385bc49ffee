package dualcache

import (
	"math"
	"runtime"
	"testing"
	"time"
	"weak"
)

// Guards trap 8: deadlines saturate, and every positive duration is legal.
// Fails without the test in after: the sum overflows into the past.
func TestDeadlinesSaturate(t *testing.T) {
	c := headless(t, Config[int, int]{Capacity: 100})
	if got := after(c.now(), math.MaxInt64); got != farFuture {
		t.Errorf("after MaxInt64: %d, want %d", got, farFuture)
	}
	if got := after(5, 1); got != 6 {
		t.Errorf("1 after 5: %d, want 6", got)
	}
	for i, ttl := range []time.Duration{math.MaxInt64, math.MaxInt64 - 1, time.Hour, math.MaxInt64 / 2} {
		c.SetWithTTL(i, i, ttl)
		c.Sync()
		if v, ok := c.Get(i); !ok || v != i {
			t.Errorf("Get of an entry with TTL %v = %d, %v", ttl, v, ok)
		}
	}
}

// Guards trap 8: zero means never, negative means gone.
func TestZeroAndNegativeTTL(t *testing.T) {
	c := headless(t, Config[int, string]{Capacity: 100, TTL: time.Nanosecond})
	c.SetWithTTL(1, "a", 0)
	time.Sleep(time.Millisecond)
	c.Sync()
	if v, ok := c.Get(1); !ok || v != "a" {
		t.Errorf("Get with TTL 0 = %q, %v, want a", v, ok)
	}
	c.SetWithTTL(1, "b", -1)
	if v, ok := c.Get(1); ok || c.Len() != 0 {
		t.Errorf("Get with a negative TTL = %q, %v, Len %d, want none", v, ok, c.Len())
	}
	c.SetWithTTL(2, "c", math.MinInt64)
	if _, ok := c.Get(2); ok {
		t.Error("an entry with the least TTL is found")
	}
	c.Set(3, "d")
	time.Sleep(time.Microsecond)
	if _, ok := c.Get(3); ok {
		t.Error("Config.TTL is ignored")
	}
	c.Sync()
	if n := c.Len(); n != 0 {
		t.Errorf("Len = %d after Sync, want 0", n)
	}
	invariants(t, c)
}

// Guards expiry.go (I3): an entry is due from the start where the clock has to
// decide before the sweep is sure to come by. Fails without either half of dueAt, or
// without the margin in eventOf.
func TestDueFromTheStart(t *testing.T) {
	c := Must(Config[int, int]{Capacity: 100})
	defer c.Close()
	const now = int64(1000)
	margin := int64(dueMargin)
	for _, test := range []struct {
		deadline, reload int64
		eager, want      bool
	}{
		{0, 0, false, false}, {0, 0, true, false},
		{now + 1, 0, false, true}, {now + margin, 0, false, true}, {now + margin + 1, 0, false, false},
		{now + margin + 1, 0, true, true}, {farFuture, 0, false, false},
		{-(now + margin + 1), 0, false, false}, {-(now + 1), 0, false, true},
		{0, now + margin, false, true}, {0, now + margin + 1, false, false},
		{farFuture, now + margin, false, true}, {now + margin, farFuture, false, true},
	} {
		c.eager = test.eager
		u := change[int, int]{now: now, deadline: test.deadline, reload: test.reload}
		if got := c.dueAt(&u); got != test.want {
			t.Errorf("deadline %d, reload %d, eager %v: due %v, want %v", test.deadline, test.reload, test.eager, got, test.want)
		}
	}
	c.eager = false
}

// Guards G8: a cache that is unreachable is collected, deadlines and armed
// timer or not. Fails if the timer's function holds the cache.
func TestUnreachableCacheIsCollected(t *testing.T) {
	w := func() weak.Pointer[Cache[int, int]] {
		c := Must(Config[int, int]{Capacity: 100})
		c.SetWithTTL(1, 1, time.Hour)
		c.Set(2, 2)
		return weak.Make(c)
	}()
	for range 500 {
		runtime.GC()
		if w.Value() == nil {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Error("an unreachable cache is not collected")
}

package dualcache

import (
	"math"
	"runtime"
	"testing"
	"time"
	"weak"
)

// Guards trap 8: deadlines saturate, and every positive duration is legal.
// Fails without the test in deadlineAfter: the sum overflows into the past.
func TestDeadlinesSaturate(t *testing.T) {
	c := headless(t, Config[int, int]{Capacity: 100})
	if got := c.deadlineAfter(math.MaxInt64); got != farFuture {
		t.Errorf("deadlineAfter(MaxInt64) = %d, want %d", got, farFuture)
	}
	if got := c.deadlineAfter(1); got <= noDeadline || got > c.now()+1 {
		t.Errorf("deadlineAfter(1) = %d, want soon", got)
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

// Guards rule 14: the coarse clock says "live" only beyond its margin, and
// nothing when it is parked. Fails without either half of surelyLive.
func TestSurelyLive(t *testing.T) {
	c := headless(t, Config[int, int]{Capacity: 100})
	const now = int64(1000)
	for _, test := range []struct {
		coarse, deadline int64
		want             bool
	}{
		{now, now, false}, {now, now + 1, false}, {now, now + int64(coarseMargin), false},
		{now, now + int64(coarseMargin) + 1, true}, {now, farFuture, true},
		{farFuture, farFuture, false}, {farFuture, now, false},
		{farFuture - 1, farFuture, false}, {farFuture - int64(coarseMargin), farFuture, false},
	} {
		c.coarse.Store(test.coarse)
		if got := c.surelyLive(test.deadline); got != test.want {
			t.Errorf("coarse %d: surelyLive(%d) = %v, want %v", test.coarse, test.deadline, got, test.want)
		}
	}
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

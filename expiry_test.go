package dualcache

import (
	"context"
	"math"
	"math/bits"
	"runtime"
	"sync/atomic"
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

// A setClock is a clock for tests. The daemon looks at it too.
type setClock struct{ at atomic.Pointer[time.Time] }

func (c *setClock) set(at time.Time) { c.at.Store(&at) }
func (c *setClock) now() time.Time   { return *c.at.Load() }

// Guards G11 and Config.Clock: the clock may jump, however far, and what has expired is
// absent at once, for every operation. Fails if now does not saturate.
func TestClockJumps(t *testing.T) {
	clock := new(setClock)
	clock.set(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC))
	c := Must(Config[int, int]{Capacity: 100, TTL: time.Hour, Clock: clock.now})
	defer c.Close()
	for _, jump := range []time.Duration{time.Hour, 24 * time.Hour, 100 * 365 * 24 * time.Hour, math.MaxInt64} {
		c.Set(1, 1)
		if e, ok := c.GetEntry(1); !ok || jump != math.MaxInt64 && !e.ExpiresAt.Equal(clock.now().Add(time.Hour)) {
			t.Errorf("GetEntry = %+v, %v at %v", e, ok, clock.now())
		}
		clock.set(clock.now().Add(jump))
		values, found := make([]int, 1), make([]bool, 1)
		_, got := c.Get(1)
		_, entry := c.GetEntry(1)
		if got || entry || c.Contains(1) || c.GetMany([]int{1}, values, found) != 0 || c.Delete(1) {
			t.Errorf("there is a value %v later", jump)
		}
	}
}

// Guards G11: Config.Expiry decides for every operation that sets, and may say never,
// the longest time, or that the value is not kept.
func TestExpiryFunction(t *testing.T) {
	clock := new(setClock)
	clock.set(time.Now())
	c := Must(Config[int, int64]{
		Capacity: 100, TTL: time.Second, Clock: clock.now,
		Expiry: func(_ int, value int64) time.Duration { return time.Duration(value) },
	})
	defer c.Close()
	sets := map[string]func(value int64){
		"Set":      func(value int64) { c.Set(1, value) },
		"GetOrSet": func(value int64) { c.Delete(1); c.GetOrSet(1, value) },
		"Compute":  func(value int64) { c.Compute(1, func(int64, bool) (int64, Op) { return value, OpSet }) },
		"GetOrLoad": func(value int64) {
			c.Delete(1)
			c.GetOrLoad(ctx0, 1, func(context.Context, int) (int64, error) { return value, nil })
		},
	}
	for name, set := range sets {
		for _, value := range []int64{0, 1, int64(time.Hour), math.MaxInt64, -1, math.MinInt64} {
			c.SetWithTTL(1, 5, time.Minute)
			set(value)
			if c.Contains(1) != (value >= 0) {
				t.Errorf("%s: an Expiry of %d: there is %v", name, value, c.Contains(1))
			}
			clock.set(clock.now().Add(time.Hour))
			if want := value == 0 || value == math.MaxInt64; c.Contains(1) != want {
				t.Errorf("%s: an Expiry of %d: there is %v after an hour, want %v", name, value, !want, want)
			}
		}
	}
}

// Guards expiry.go: the sweep looks through a chunk only if an entry in it becomes due
// or expires: counted for a million entries of mixed deadlines. So an entry costs two
// looks at a chunk at most.
func TestSweepLooksThroughNoChunkInVain(t *testing.T) {
	entries := 1_000_000
	if debug || testing.Short() {
		entries = scaled(200_000)
	}
	c := headless(t, Config[int, int]{Capacity: entries})
	c.eager = false
	for i := range entries {
		c.SetWithTTL(i, i, time.Duration(1+i%100)*time.Minute)
	}
	c.moveSome(c.table.Load(), int(c.homes))
	tb := c.table.Load()
	due := func(chunk int) (n int) {
		for b := chunk * 64; b < min(chunk*64+64, int(tb.homes)); b++ {
			n += bits.OnesCount64(tb.at(uint64(b)).head.Load() >> dueShift)
		}
		return n
	}
	scans, dealt := 0, 0
	for at := c.now(); c.Len() > 0 && at < int64(3*time.Hour); at += int64(7 * time.Second) {
		var waking []int
		before := c.Len()
		marked := 0
		for i := range tb.events {
			if event := tb.events[i].Load(); event != 0 && event <= at {
				waking = append(waking, i)
				marked -= due(i)
			}
		}
		c.sweep(at)
		for _, i := range waking {
			marked += due(i)
		}
		gone := before - c.Len()
		if len(waking) > 2*gone+marked {
			t.Fatalf("%d chunks were looked through for %d entries that have gone and %d that are due", len(waking), gone, marked)
		}
		scans += len(waking)
		dealt += gone
	}
	if c.Len() != 0 || scans > 2*entries {
		t.Errorf("%d entries are left; %d chunks were looked through, for %d entries", c.Len(), scans, dealt)
	}
}

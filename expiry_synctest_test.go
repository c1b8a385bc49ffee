//go:build go1.25

package dualcache

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// Guards G11 and trap 8: an entry is there until the last nanosecond before its
// deadline, and absent at it. Fails with >= for > in hasValue or
// expired, and if markDue does nothing.
func TestExpiryIsExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := Must(Config[int, int]{Capacity: 100})
		defer c.Close()
		for i, ttl := range []time.Duration{1, time.Millisecond, 3 * time.Second, dueMargin, dueMargin + 1, 2 * dueMargin, time.Hour} {
			c.SetWithTTL(i, i, ttl)
			time.Sleep(ttl - 1)
			if v, ok := c.Get(i); !ok || v != i {
				t.Errorf("TTL %v: Get before the deadline = %d, %v, want %d", ttl, v, ok, i)
			}
			time.Sleep(1 * time.Nanosecond)
			if v, ok := c.Get(i); ok {
				t.Errorf("TTL %v: Get at the deadline = %d", ttl, v)
			}
			c.SetWithTTL(i, i, ttl)
			time.Sleep(ttl)
			if c.Delete(i) {
				t.Errorf("TTL %v: Delete at the deadline = true", ttl)
			}
		}
	})
}

// Guards expiry.go (I3): a sweep that is late, because somebody holds the pass lock,
// is still in time. Fails with a margin of a second.
func TestLateSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := Must(Config[int, int]{Capacity: 100})
		defer c.Close()
		c.SetWithTTL(1, 1, 10*time.Second)
		time.Sleep(5 * time.Second)
		if !c.lockPass() {
			t.Fatal("somebody is in the pass at rest")
		}
		time.Sleep(4 * time.Second)
		if v, ok := c.Get(1); !ok || v != 1 {
			t.Errorf("Get before the deadline = %d, %v", v, ok)
		}
		c.unlockPass()
		time.Sleep(1 * time.Second)
		if v, ok := c.Get(1); ok {
			t.Errorf("Get of an expired entry = %d", v)
		}
	})
}

func testDeadlineChanges[V comparable](t *testing.T, value func(int) V) {
	for _, first := range []time.Duration{0, time.Hour, 3 * time.Hour} {
		for _, second := range []time.Duration{0, time.Hour, 3 * time.Hour} {
			synctest.Test(t, func(t *testing.T) {
				c := Must(Config[int, V]{Capacity: 100})
				defer c.Close()
				c.SetWithTTL(1, value(1), first)
				c.SetWithTTL(1, value(2), second)
				if v, ok := c.Get(1); !ok || v != value(2) {
					t.Errorf("%v, then %v: Get = %v, %v", first, second, v, ok)
				}
				for _, wait := range []time.Duration{time.Hour - 1, 1, 2*time.Hour - 1, 1} {
					time.Sleep(wait)
					age := c.now() - 1
					_, ok := c.Get(1)
					if want := second == 0 || age < int64(second); ok != want {
						t.Errorf("%v, then %v: found after %v = %v, want %v", first, second, time.Duration(age), ok, want)
					}
				}
				time.Sleep(time.Second)
				want := 0
				if second == 0 {
					want = 1
				}
				if n := c.Len(); n != want {
					t.Errorf("%v, then %v: Len = %d in the end, want %d", first, second, n, want)
				}
			})
		}
	}
}

// Guards trap 8: the last Set alone decides the deadline, in place or with a
// new node, and a deadline moved earlier is noticed by the sweep. Fails without
// setDeadline in trySet or updateInPlace, or noteDeadline in either.
func TestDeadlineChanges(t *testing.T) {
	t.Run("word", func(t *testing.T) { testDeadlineChanges(t, func(i int) uint64 { return uint64(i) }) })
	t.Run("string", func(t *testing.T) { testDeadlineChanges(t, func(i int) string { return fmt.Sprint(i) }) })
}

// Guards G11: expired entries leave memory within a second without traffic.
// Fails if untilSweep does not arm the timer, or the sweep skips a slab.
func TestExpiredEntriesLeaveWithoutTraffic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := Must(Config[int, int]{Capacity: 10_000})
		defer c.Close()
		for i := range 6000 {
			c.SetWithTTL(i, i, time.Duration(1+i%3)*time.Minute)
		}
		c.Set(-1, -1)
		for i, want := range []int{4001, 2001, 1} {
			time.Sleep(time.Duration(i+1)*time.Minute - time.Second - time.Duration(c.now()))
			before := c.Len()
			time.Sleep(2 * time.Second)
			if n := c.Len(); n != want || before <= want {
				t.Errorf("Len = %d a second before, %d a second after the deadline, want %d", before, n, want)
			}
		}
		c.Sync()
		invariants(t, c)
	})
}

// Guards G8 and rule 13: the daemon parks, a parked daemon fires no timer, and the
// next Set wakes it; after Close nothing runs. Fails if tick reports work for ever, or wake does not
// reset the timer.
func TestDaemonParksAndWakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := Must(Config[int, int]{Capacity: 5000})
		rest := func(when string) {
			t.Helper()
			time.Sleep(10 * time.Second)
			synctest.Wait()
			if a := c.awake.Load(); a != 0 {
				t.Errorf("%s: awake %d, want parked", when, a)
			}
			before := c.Stats().Passes
			time.Sleep(time.Hour)
			synctest.Wait()
			if got := c.Stats().Passes - before; got != 0 {
				t.Errorf("%s: %d passes in an hour, want 0", when, got)
			}
		}
		rest("new")
		for round := range 3 {
			before := c.Stats().Passes
			for i := range 100 {
				c.Set(i, round)
				c.Delete(i)
				c.Set(i, round)
			}
			if c.awake.Load() == 0 {
				t.Error("a Set does not wake the daemon")
			}
			time.Sleep(100 * time.Millisecond)
			if c.Stats().Passes == before {
				t.Error("no pass after a Set")
			}
			if n := c.limboLen.Load(); n != 0 {
				t.Errorf("%d nodes wait for a grace period, want 0", n)
			}
			rest("after work")
		}
		c.SetWithTTL(1, 1, 10*time.Hour)
		rest("with a far deadline")
		c.Set(2, 2)
		c.Close()
		before := c.Stats().Passes
		time.Sleep(24 * time.Hour)
		c.Set(1, 1)
		time.Sleep(time.Hour)
		if got := c.Stats().Passes - before; got != 0 {
			t.Errorf("%d passes after Close, want 0", got)
		}
		if c.timer.Stop() {
			t.Error("the timer is armed after Close")
		}
	})
}

//go:build go1.25

package dualcache

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Guards RefreshAfter: a read past it returns the value at once and starts one reload,
// whose value counts from then on. Fails without the claim.
func TestRefreshAfter(t *testing.T) {
	for _, after := range []time.Duration{time.Second, time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			var loads atomic.Int64
			c := Must(Config[int, string]{Capacity: 100, RefreshAfter: after, Loader: func(context.Context, int) (string, error) {
				loads.Add(1)
				time.Sleep(time.Second)
				return "new", nil
			}})
			defer c.Close()
			want := func(value string, n int64) {
				t.Helper()
				if got, ok := c.Get(1); got != value || !ok {
					t.Errorf("after %v: Get = %q, %v, want %q", time.Duration(c.now()), got, ok, value)
				}
				synctest.Wait()
				if loads.Load() != n {
					t.Errorf("after %v: %d loads, want %d", time.Duration(c.now()), loads.Load(), n)
				}
			}
			c.Set(1, "old")
			time.Sleep(after - time.Microsecond)
			want("old", 0)
			time.Sleep(time.Microsecond)
			c.Peek(1)
			for range 5 {
				want("old", 1)
			}
			time.Sleep(time.Second - 1)
			want("old", 1)
			time.Sleep(1 * time.Nanosecond)
			synctest.Wait()
			want("new", 1)
			time.Sleep(after - time.Microsecond)
			want("new", 1)
			time.Sleep(time.Microsecond)
			want("new", 2)
		})
	}
}

// Guards RefreshAfter: a reload that fails, panics or ends its goroutine keeps the value
// until its deadline, and the next waits an eighth of RefreshAfter, then twice that, and
// so on; a Set begins anew. Fails if the low bits of a reload's time are not cleared at
// first.
func TestFailingReloadsBackOff(t *testing.T) {
	for _, how := range []func() error{
		func() error { return errors.New("bad") },
		func() error { panic("bad") },
	} {
		synctest.Test(t, func(t *testing.T) {
			var loads atomic.Int64
			c := Must(Config[int, int]{Capacity: 100, TTL: time.Hour, RefreshAfter: 8 * time.Minute, Loader: func(context.Context, int) (int, error) {
				loads.Add(1)
				return 0, how()
			}})
			defer c.Close()
			time.Sleep(5 * time.Nanosecond)
			c.Set(1, 1)
			begin := time.Now()
			read := func(at time.Duration, n int64) {
				t.Helper()
				time.Sleep(time.Until(begin.Add(at)))
				if value, ok := c.Get(1); value != 1 || !ok {
					t.Errorf("after %v: Get = %d, %v", at, value, ok)
				}
				synctest.Wait()
				if loads.Load() != n {
					t.Errorf("after %v: %d loads, want %d", at, loads.Load(), n)
				}
			}
			at := 8 * time.Minute
			wait := time.Minute
			for n := int64(1); at < time.Hour; n++ {
				read(at-time.Second, n-1)
				read(at, n)
				at += wait
				wait *= 2
			}
			time.Sleep(time.Until(begin.Add(time.Hour)))
			if value, ok := c.Get(1); ok {
				t.Errorf("Get at the deadline = %d", value)
			}
			n := loads.Load()
			c.Set(1, 1)
			begin = time.Now()
			read(8*time.Minute-time.Second, n)
			read(8*time.Minute, n+1)
			read(9*time.Minute, n+2)
			if got := c.Stats().LoadFailures; got != uint64(n+2) {
				t.Errorf("%d failures are counted, want %d", got, n+2)
			}
		})
	}
}

// Guards RefreshAfter: a reload that fails after a Set does not touch the new value's
// times; one that Delete has overtaken stores nothing; and one whose value was not
// stored, although the entry is there, is not the last. Fails if reloadLater does not
// look whether the entry is claimed.
func TestReloadIsOvertaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var loads atomic.Int64
		var fail atomic.Bool
		c := Must(Config[int, int]{Capacity: 100, RefreshAfter: time.Minute, Loader: func(context.Context, int) (int, error) {
			loads.Add(1)
			time.Sleep(time.Second)
			if fail.Load() {
				return 0, errors.New("bad")
			}
			return 2, nil
		}})
		defer c.Close()
		fail.Store(true)
		c.Set(1, 1)
		time.Sleep(time.Minute)
		c.Get(1)
		synctest.Wait()
		c.Set(1, 3)
		time.Sleep(time.Minute - 1000)
		v, _ := c.Get(1)
		synctest.Wait()
		if v != 3 || loads.Load() != 1 {
			t.Errorf("Get = %d after %d loads, want 3 after 1", v, loads.Load())
		}
		time.Sleep(1000)
		fail.Store(false)
		c.Get(1)
		synctest.Wait()
		c.Delete(1)
		time.Sleep(time.Minute)
		if v, ok := c.Get(1); ok || loads.Load() != 2 {
			t.Errorf("Get = %d, %v after %d loads, want none after 2", v, ok, loads.Load())
		}
		c.Set(1, 4)
		time.Sleep(time.Minute)
		c.Get(1)
		synctest.Wait()
		c.disturb(c.hash(1), nil) // as if another's bookkeeping had voided it
		time.Sleep(time.Minute)
		if v, _ := c.Get(1); v != 4 {
			t.Errorf("Get = %d, want 4", v)
		}
		time.Sleep(time.Minute)
		c.Get(1)
		time.Sleep(time.Second)
		synctest.Wait()
		if v, _ := c.Get(1); v != 2 || loads.Load() < 4 {
			t.Errorf("Get = %d after %d loads, want 2", v, loads.Load())
		}
	})
}

// Guards G8: Close ends the context of background reloads and waits for them; one of
// them may call it itself.
func TestCloseWithReloadsUnderWay(t *testing.T) {
	for _, self := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var ended atomic.Int64
			var c *Cache[int, int]
			c = Must(Config[int, int]{Capacity: 100, RefreshAfter: time.Minute, Loader: func(ctx context.Context, key int) (int, error) {
				defer ended.Add(1)
				if self && key == 0 {
					time.Sleep(time.Second) // the others have begun
					c.Close()
				}
				<-ctx.Done()
				return 0, ctx.Err()
			}})
			for key := range 3 {
				c.Set(key, key)
			}
			time.Sleep(time.Minute)
			for key := range 3 {
				c.Get(2 - key)
			}
			synctest.Wait()
			if !self {
				c.Close()
				if ended.Load() != 3 {
					t.Errorf("Close returned when %d reloads of 3 had ended", ended.Load())
				}
			}
			time.Sleep(2 * time.Second)
			if ended.Load() != 3 || c.Len() != 0 {
				t.Errorf("%d reloads of 3 have ended, Len is %d", ended.Load(), c.Len())
			}
		})
	}
}

// Guards NegativeTTL: an absence is cached until the nanosecond of its deadline, and
// leaves memory by itself.
func TestNegativeTTLIsExact(t *testing.T) {
	for _, ttl := range []time.Duration{1, time.Second, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			c := Must(Config[int, int]{Capacity: 100, NegativeTTL: ttl})
			defer c.Close()
			calls := 0
			load := func(context.Context, int) (int, error) { calls++; return 0, ErrNotFound }
			for n := 1; n <= 3; n++ {
				c.GetOrLoad(ctx0, 1, load)
				time.Sleep(ttl - 1)
				if _, err := c.GetOrLoad(ctx0, 1, load); err != ErrNotFound || calls != n {
					t.Errorf("%v: %v after %d calls, want %d", ttl, err, calls, n)
				}
				time.Sleep(1 * time.Nanosecond)
			}
			time.Sleep(time.Second)
			if n := c.Len(); n != 0 {
				t.Errorf("Len is %d a second after the deadline", n)
			}
		})
	}
}

// Guards LoadTTL against the clock, and loads of expired entries.
func TestLoadTTLIsExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := Must(Config[int, int]{Capacity: 100, TTL: time.Hour})
		defer c.Close()
		calls := 0
		load := func(ctx context.Context, _ int) (int, error) {
			calls++
			LoadTTL(ctx, time.Minute)
			return calls, nil
		}
		for n := 1; n <= 3; n++ {
			c.GetOrLoad(ctx0, 1, load)
			time.Sleep(time.Minute - 1)
			if v, err := c.GetOrLoad(ctx0, 1, load); v != n || err != nil {
				t.Errorf("GetOrLoad = %d, %v, want %d", v, err, n)
			}
			time.Sleep(1 * time.Nanosecond)
		}
	})
}

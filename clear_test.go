package dualcache

import (
	"context"
	"sync"
	"testing"
)

// Guards G1: for each key a Clear is one moment. A Compute that is given a value from
// before the Clear is cleared too, although it may put its own into another bucket.
// Fails, mostly, if Clear goes bucket by bucket, each entry under a lock of its own (shown).
func TestClearIsOneMoment(t *testing.T) {
	const keys = 2 * bucketPlaces
	for range scaled(8000) {
		c := headless(t, Config[int, string]{Capacity: 100, Hasher: func(int) uint64 { return 1 }})
		for k := range keys {
			c.Set(k, "old")
		}
		c.Delete(0) // and its place is free, before those of the others
		c.Sync()
		c.Sync()
		var given [keys]bool
		var wg sync.WaitGroup
		spawn(&wg, func() {
			for k := range keys {
				c.Compute(k, func(_ string, found bool) (string, Op) {
					given[k] = found
					return "new", OpSet
				})
			}
		})
		c.Clear()
		wg.Wait()
		for k := 1; k < keys; k++ {
			if v, ok := c.Get(k); ok && given[k] {
				t.Fatalf("Get(%d) = %q after Clear, which came after the value that this was made of", k, v)
			} else if !ok && !given[k] {
				t.Fatalf("Get(%d): what was set after the Clear has gone", k)
			}
		}
		invariants(t, c)
	}
}

// Guards G12 for Clear: a reload that began before a Clear stores nothing after it, and
// a load that begins after the key was cleared does. Fails without disturbRange (shown).
func TestClearDisturbsLoads(t *testing.T) {
	ctx := context.Background()
	for _, capacity := range []int{10, 100, 5000} {
		var c *Cache[int, int]
		c = headless(t, Config[int, int]{Capacity: capacity, Loader: func(_ context.Context, k int) (int, error) {
			if k >= 0 {
				c.Clear()
			}
			return 1, nil
		}})
		for k := range 50 {
			c.Set(k, 0)
			if v, err := c.Refresh(ctx, k); v != 1 || err != nil {
				t.Errorf("Refresh(%d) = %d, %v", k, v, err)
			}
			if v, ok := c.Get(k); ok {
				t.Errorf("Get(%d) = %d: a load from before a Clear was stored after it", k, v)
			}
			if _, err := c.GetOrLoad(ctx, -1-k, nil); err != nil {
				t.Error(err)
			}
			if v, ok := c.Get(-1 - k); !ok || v != 1 {
				t.Errorf("Get(%d) = %d, %v after a load", -1-k, v, ok)
			}
		}
		invariants(t, c)
	}
}

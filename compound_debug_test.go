//go:build race || cachedebug

package dualcache

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// Guards G1: what takes a value away, or gives it its first deadline, waits for a store
// in place that is under way, so that this is neither lost nor undone. The Set is held
// between its look and its store. Fails without settleWriters in remove, or without
// outcomeNeedsSettle.
func TestStoresInPlaceAreWaitedFor(t *testing.T) {
	if runtime.GOMAXPROCS(0) < 2 {
		t.Skip("the Set is held under its pin")
	}
	for name, take := range map[string]func(c *Cache[int, int]) int{
		"GetAndDelete": func(c *Cache[int, int]) int { v, _ := c.GetAndDelete(1); return v },
		"OpDelete": func(c *Cache[int, int]) (v int) {
			c.Compute(1, func(old int, _ bool) (int, Op) { v = old; return 0, OpDelete })
			return v
		},
		"SetFor": func(c *Cache[int, int]) (v int) {
			c.Compute(1, func(old int, _ bool) (int, Op) { v = old; return -1, SetFor(time.Hour) })
			return v
		},
	} {
		for range 10 {
			c := headless(t, Config[int, int]{Capacity: 100})
			c.Set(1, 1)
			var held, taken atomic.Bool
			hook := func() {
				held.Store(true)
				for begin := time.Now(); !taken.Load() && time.Since(begin) < 5*time.Millisecond; {
				}
			}
			hooks[pointInPlace].Store(&hook)
			got := make(chan int)
			go func() {
				for !held.Load() {
					runtime.Gosched()
				}
				v := take(c)
				taken.Store(true)
				got <- v
			}()
			c.Set(1, 2)
			hooks[pointInPlace].Store(nil)
			v := <-got
			rest, _ := c.Peek(1)
			if v != 2 && rest != 2 {
				t.Fatalf("%s: %d was taken and %d is left, the last Set was of 2", name, v, rest)
			}
		}
	}
}

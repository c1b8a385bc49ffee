//go:build race || cachedebug

package dualcache

import (
	"runtime"
	rtdebug "runtime/debug"
	"sync/atomic"
	"testing"
)

// A baton is passed between goroutines that are held at yield points, where they may
// not block: in sections. It only counts up.
type baton struct{ at atomic.Int32 }

func (b *baton) await(n int32) {
	for b.at.Load() < n {
	}
}

// Guards (I5) and (I7) of tiers.go, and so G1: what a reader has found next door, by
// marks that are no longer there, readers who begin after it find too, or something
// newer. The reader is held between the home and its neighbour, and the writer when
// it has shown the new entry and not yet unlocked the home. Fails if probe does not
// look at the home's lock, and, in the case of lookNear, if that does not (both shown).
func TestStaleMarks(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	// A collection would wait for those who are held, and they for the world.
	defer rtdebug.SetGCPercent(rtdebug.SetGCPercent(-1))
	const key, other = 100, 6
	constant := func(int) uint64 { return 1 }
	lookups := map[string]func(c *Cache[int, string]) (string, bool){
		"Get": func(c *Cache[int, string]) (string, bool) { return c.Get(key) },
		"lookNear": func(c *Cache[int, string]) (value string, ok bool) {
			w := c.enter()
			defer w.leave()
			hash, t := c.hash(key), c.table.Load()
			home := t.at(t.homeOf(hash))
			w.protect(home, false, c.fenced)
			value, ok = c.lookNear(w, t, home.head.Load(), hash, key)
			return value, ok
		},
	}
	for name, lookup := range lookups {
		for _, replaced := range []bool{false, true} {
			for _, capacity := range []int{100, 3000} {
				if name == "lookNear" && capacity < fencedBelow {
					continue // it is not used there
				}
				c := headless(t, Config[int, string]{Capacity: capacity, Hasher: constant})
				for k := range other + 1 { // the last one lies next door
					c.Set(k, "other")
				}
				if replaced { // there is a place in the home
					c.Delete(0)
					c.Sync()
					c.Sync()
				}
				var b baton
				readerHeld := func() {
					if b.at.CompareAndSwap(0, 1) {
						b.await(2)
					}
				}
				hooks[pointBeforeNeighbour].Store(&readerHeld)
				type result struct {
					value string
					ok    bool
				}
				first := make(chan result, 1)
				go func() {
					value, ok := lookup(c)
					first <- result{value, ok}
				}()
				b.await(1)
				c.Delete(other) // and the mark goes
				if replaced {   // the key comes to the home, behind the reader
					c.Set(key, "old")
				}
				writerHeld := func() {
					if b.at.CompareAndSwap(1, 2) {
						b.await(3)
					}
				}
				hooks[pointShown].Store(&writerHeld)
				set := make(chan bool)
				go func() {
					c.Set(key, "new")
					close(set)
				}()
				b.await(2)
				seen := <-first
				value, ok := c.Get(key)
				b.at.Store(3)
				<-set
				hooks[pointBeforeNeighbour].Store(nil)
				hooks[pointShown].Store(nil)
				if seen.ok && seen.value == "new" && value != "new" {
					t.Errorf("%s, capacity %d, replaced %v: the first sees the new value, and then a Get gives %q, %v",
						name, capacity, replaced, value, ok)
				}
				if after, ok := c.Get(key); !ok || after != "new" {
					t.Errorf("%s: Get = %q, %v after the Set", name, after, ok)
				}
				t.Logf("%s, capacity %d, replaced %v: first %v, then %q, %v", name, capacity, replaced, seen, value, ok)
				invariants(t, c)
			}
		}
	}
}

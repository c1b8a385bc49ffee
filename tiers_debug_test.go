//go:build race || cachedebug

package dualcache

import "testing"

// Guards (I5) and (I7) of tiers.go, and so G1: what a reader has found next door, by
// marks that are no longer there, readers who begin after it find too, or something
// newer. The reader is held between the home and its neighbour, and the writer when
// it has shown the new entry and not yet unlocked the home. Fails if probe does not
// look at the home's lock, and, in the case of lookNear, if that does not (both shown).
func TestStaleMarks(t *testing.T) {
	window(t)
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
				reader := holdAt(t, pointBeforeNeighbour)
				type result struct {
					value string
					ok    bool
				}
				first := make(chan result, 1)
				go func() {
					value, ok := lookup(c)
					first <- result{value, ok}
				}()
				reader.await(1)
				c.Delete(other) // and the mark goes
				if replaced {   // the key comes to the home, behind the reader
					c.Set(key, "old")
				}
				writer := holdAt(t, pointShown)
				set := make(chan bool)
				go func() {
					c.Set(key, "new")
					close(set)
				}()
				writer.await(1)
				reader.at.Store(2)
				seen := <-first
				value, ok := c.Get(key)
				writer.at.Store(2)
				<-set
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

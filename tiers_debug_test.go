//go:build race || cachedebug

package dualcache

import "testing"

// Guards rules 5 and 6: an entry that dies while the pass promotes it, before
// or after the pass's store, is in no tier afterwards, because the pass looks
// at the mark after its store and takes it back. Fails without that look.
func TestPromotionOfADeadNodeTakesItsStoreBack(t *testing.T) {
	for name, point := range map[string]yieldPoint{"before": pointBeforePromote, "after": pointAfterPromote} {
		for _, leave := range []string{"delete", "replace"} {
			c := headless(t, Config[uint64, string]{Capacity: 100, T1Slots: 64, T2Slots: 256})
			c.Set(1, "old")
			for range maxRank {
				c.Get(1)
			}
			ran := 0
			hook := func() {
				if ran++; ran > 1 {
					return
				}
				if leave == "delete" {
					c.Delete(1)
				} else {
					c.Set(1, "new")
				}
			}
			hooks[point].Store(&hook)
			c.Sync()
			hooks[point].Store(nil)
			if ran == 0 {
				t.Errorf("%s, %s: the hook did not run", name, leave)
			}
			if t1, t2 := tierWords(c, c.hash(1)); t1 != 0 || t2 != 0 {
				t.Errorf("%s, %s: words of a dead node stay in the tiers: %x, %x", name, leave, t1, t2)
			}
			v, ok := c.Get(1)
			if leave == "delete" && ok || leave == "replace" && v != "new" {
				t.Errorf("%s, %s: Get = %q, %v", name, leave, v, ok)
			}
			c.Sync()
			checkConserved(t, c)
		}
	}
}

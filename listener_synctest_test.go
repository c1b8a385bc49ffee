//go:build go1.25

package dualcache

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// Guards the causes, one by one.
func TestCauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		c := Must(Config[int, string]{
			Capacity:  2,
			MaxWeight: 10,
			Weigher:   func(_ int, v string) uint32 { return uint32(len(v)) },
			OnRemoval: func(r Removal[int, string]) { got = append(got, fmt.Sprint(r.Key, r.Value, " ", r.Cause)) },
		})
		want := func(what string, list ...string) {
			t.Helper()
			synctest.Wait()
			if fmt.Sprint(got) != fmt.Sprint(list) {
				t.Errorf("%s: %v, want %v", what, got, list)
			}
			got = nil
		}
		c.Set(1, "a")
		c.Set(1, "b")
		want("Set", "1a replaced")
		c.Delete(1)
		c.Delete(1)
		want("Delete", "1b deleted")
		c.SetWithTTL(1, "c", time.Minute)
		time.Sleep(2 * time.Minute)
		want("a deadline", "1c expired")
		c.SetWithTTL(1, "d", 1)
		time.Sleep(1 * time.Nanosecond)
		c.Set(1, "e")
		want("Set after a deadline", "1d expired")
		c.SetWithTTL(1, "f", 1)
		time.Sleep(1 * time.Nanosecond)
		c.Delete(1)
		want("Delete after a deadline", "1e replaced", "1f expired")
		c.Set(1, "g")
		c.Set(1, "12345678901")
		want("a heavy one", "1g replaced", "112345678901 refused")
		c.Set(1, "h")
		c.Compute(1, func(string, bool) (string, Op) { return "i", OpSet })
		c.Compute(1, func(string, bool) (string, Op) { return "", OpDelete })
		want("Compute", "1h replaced", "1i deleted")
		c.Set(1, "j")
		c.SetWithTTL(1, "k", -1)
		want("a negative TTL", "1j deleted")
		c.Set(1, "l")
		if err := c.SetCapacity(1); err != nil {
			t.Error(err)
		}
		c.Set(2, "m")
		want("a full cache", "1l evicted")
		c.DeleteFunc(func(int, string) bool { return true })
		want("DeleteFunc", "2m deleted")
		c.Set(1, "n")
		c.Clear()
		want("Clear", "1n cleared")
		c.Set(1, "o")
		c.Close()
		want("Close", "1o cleared")
		c.Set(1, "p")
		c.Clear()
		want("after Close")
	})
	for _, cause := range []Cause{CauseRefused + 1, 255} {
		if s := cause.String(); s != "unknown" {
			t.Errorf("Cause(%d) is %q", cause, s)
		}
	}
}

// Guards G5 and G7: a listener that does not return stops nobody: not Sets, not the
// pass, not Clear. When too many reports wait, every Set, Delete and removal by Clear
// pauses for a millisecond, and no more; the holder of the pass lock and the
// listener itself do not. Fails if takeAway pauses (shown), and without isCaller in
// pause (shown).
func TestSlowListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		calls := 0
		var self time.Duration
		var c *Cache[int, string]
		c = Must(Config[int, string]{Capacity: 1000, OnRemoval: func(Removal[int, string]) {
			if calls++; calls > 1 {
				return
			}
			<-release
			begin := time.Now()
			for k := range 100 {
				c.Set(-k, "by the listener")
			}
			self = time.Since(begin)
		}})
		begin := time.Now()
		n := 0
		set := func() { c.Set(n, "value"); n++ }
		for range backlogMost + 1000 {
			set()
		}
		if d := time.Since(begin); d > time.Second {
			t.Errorf("Sets took %v while less than %d reports were waiting", d, backlogMost)
		}
		for c.listener.waiting.Load() <= backlogMost {
			set()
		}
		begin = time.Now()
		for range 50 {
			set()
		}
		if d := time.Since(begin); d < 50*backlogPause || d > 60*backlogPause {
			t.Errorf("50 Sets took %v, want a pause of %v each", d, backlogPause)
		}
		begin = time.Now()
		if err := c.SetCapacity(100); err != nil {
			t.Error(err)
		}
		c.Sync()
		if d := time.Since(begin); d != 0 {
			t.Errorf("SetCapacity and Sync took %v", d)
		}
		if c.Len() > 100 {
			t.Errorf("Len is %d", c.Len())
		}
		close(release)
		synctest.Wait()
		if self != 0 {
			t.Errorf("the listener's own Sets took %v", self)
		}
		c.Close()
		if want := n + 100; calls != want {
			t.Errorf("%d calls, want %d", calls, want)
		}
	})
}

// Guards G8 and G11: a cache with a listener works in testing/synctest, and what
// expires is reported without traffic.
func TestListenerInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		c := Must(Config[int, int]{Capacity: 100, TTL: time.Minute, OnRemoval: func(Removal[int, int]) { calls++ }})
		for k := range 100 {
			c.Set(k, k)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if calls != 100 {
			t.Errorf("%d calls after the deadline of 100", calls)
		}
		c.Close()
	})
}

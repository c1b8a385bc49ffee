//go:build go1.25

package dualcache

import (
	"fmt"
	"math"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

// TestPeersOnTime is TestPeers for what needs a clock: the one of a synctest bubble,
// where time passes only while everybody sleeps.
func TestPeersOnTime(t *testing.T) {
	for _, test := range []struct {
		situation string
		run       func(*testing.T)
	}{
		{"update resets the deadline", updateResetsDeadline},
		{"update moves the deadline earlier", updateMovesDeadlineEarlier},
		{"update removes the deadline", updateRemovesDeadline},
		{"deadline of an entry that has left", deadlineOfDeparted},
		{"longest durations mean never", longestMeansNever},
		{"deadlines near and far", deadlinesNearAndFar},
		{"deadline that has passed at once", deadlinePassedAtOnce},
		{"nobody sweeps for a day", nobodySweepsForADay},
		{"expired but not removed", expiredNotRemoved},
		{"read just before the deadline", readJustBeforeDeadline},
		{"one key that expires again and again", oneKeyExpiresAgain},
		{"equal hashes keep their own deadlines", equalHashesOwnDeadlines},
		{"deadlines of the evicted", deadlinesOfTheEvicted},
		{"evictions and expirations told apart", evictionsAndExpirations},
	} {
		t.Run(test.situation, func(t *testing.T) { synctest.Test(t, test.run) })
	}
	// This one watches what is left of a bubble.
	t.Run("caches left behind in a bubble", cachesLeftInBubble)
}

// bubbled makes caches of both kinds of values for f: those that change in place, and
// those that take a new place for each Set.
func bubbled(t *testing.T, f func(t *testing.T, set func(key, version int, ttl time.Duration), get func(key int) (version int, ok bool), length func() int)) {
	words := Must(Config[int, int]{Capacity: 100})
	defer words.Close()
	f(t, words.SetWithTTL, words.Get, words.Len)
	texts := Must(Config[int, string]{Capacity: 100})
	defer texts.Close()
	set := func(key, version int, ttl time.Duration) { texts.SetWithTTL(key, fmt.Sprint(version), ttl) }
	get := func(key int) (version int, ok bool) {
		v, ok := texts.Get(key)
		fmt.Sscan(v, &version)
		return version, ok
	}
	f(t, set, get, texts.Len)
}

// Guards the deadline of a Set over a resident key: it is the last Set's. Fails
// without setDeadline in updateInPlace (shown) or in fill (shown).
func updateResetsDeadline(t *testing.T) {
	bubbled(t, func(t *testing.T, set func(int, int, time.Duration), get func(int) (int, bool), length func() int) {
		for version := range 20 {
			set(1, version, time.Second)
			time.Sleep(time.Second - 1)
			if v, ok := get(1); !ok || v != version {
				t.Errorf("Get = %d, %v before the last deadline, want %d", v, ok, version)
			}
		}
		time.Sleep(1 * time.Nanosecond)
		if v, ok := get(1); ok {
			t.Errorf("Get = %d at the last deadline", v)
		}
	})
}

// Guards noteDeadline after a Set in place: the sweep learns of the earlier deadline,
// and memory follows without traffic. Fails without it in updateInPlace (shown) or in
// replace (shown).
func updateMovesDeadlineEarlier(t *testing.T) {
	bubbled(t, func(t *testing.T, set func(int, int, time.Duration), get func(int) (int, bool), length func() int) {
		set(1, 1, 1000*time.Hour)
		time.Sleep(time.Minute)
		set(1, 2, time.Minute)
		if v, ok := get(1); !ok || v != 2 {
			t.Errorf("Get = %d, %v, want 2", v, ok)
		}
		time.Sleep(time.Minute + time.Second)
		if n := length(); n != 0 {
			t.Errorf("Len = %d a second after the earlier deadline, want 0", n)
		}
	})
}

// Guards the Set without a TTL over an entry that had one. Fails if fill leaves the
// old deadline, or updateInPlace does (both shown).
func updateRemovesDeadline(t *testing.T) {
	bubbled(t, func(t *testing.T, set func(int, int, time.Duration), get func(int) (int, bool), length func() int) {
		for k := range 60 {
			set(k, 1, time.Minute)
			set(k, 2, 0)
		}
		time.Sleep(time.Hour)
		for k := range 60 {
			if v, ok := get(k); !ok || v != 2 {
				t.Errorf("Get(%d) = %d, %v an hour later, want 2", k, v, ok)
			}
		}
	})
}

// Guards the reuse of a place whose entry had a deadline: whichever way that left, a
// new one has its own. Fails if fill keeps the old deadline where the new entry has
// none (shown).
func deadlineOfDeparted(t *testing.T) {
	const keys = 40
	for name, leave := range map[string]func(c *Cache[int, string]){
		"Delete": func(c *Cache[int, string]) {
			for k := range keys {
				c.Delete(k)
			}
		},
		"Clear": func(c *Cache[int, string]) { c.Clear() },
		"eviction": func(c *Cache[int, string]) {
			for k := range 20 * keys {
				c.SetWithTTL(1000+k, "other", 30*time.Minute)
			}
			c.Clear()
		},
		"expiry": func(c *Cache[int, string]) { time.Sleep(2 * time.Hour) },
	} {
		c := Must(Config[int, string]{Capacity: keys, Hasher: func(k int) uint64 { return uint64(k % 3) }})
		for k := range keys {
			c.SetWithTTL(k, "old", time.Hour)
		}
		leave(c)
		c.Sync()
		before := c.Stats()
		for k := range keys / 2 {
			c.Set(k, "new")
		}
		time.Sleep(3 * time.Hour)
		for k := range keys / 2 {
			if v, ok := c.Get(k); !ok || v != "new" {
				t.Errorf("%s: Get(%d) = %q, %v hours later, want new", name, k, v, ok)
			}
		}
		if s := c.Stats().Sub(before); s.Expirations != 0 {
			t.Errorf("%s: %d expirations of entries without a deadline", name, s.Expirations)
		}
		c.Close()
	}
}

// Guards deadlineAfter: sums saturate, for a cache as for an entry, and also when the
// clock has gone on for years. Fails without the look at the sum (shown).
func longestMeansNever(t *testing.T) {
	for i, ttl := range []time.Duration{math.MaxInt64, math.MaxInt64 - 1, math.MaxInt64 / 2} {
		c := Must(Config[int, int]{Capacity: 10, TTL: ttl})
		for year := range 40 {
			c.Set(1, year)
			c.SetWithTTL(2, year, ttl)
			time.Sleep(365 * 24 * time.Hour)
			for k := 1; k <= 2; k++ {
				if v, ok := c.Get(k); !ok || v != year {
					t.Errorf("TTL %d: Get(%d) = %d, %v after year %d", i, k, v, ok, year)
				}
			}
		}
		c.Close()
	}
}

// Guards the sweep over deadlines of all sizes, where a timer wheel has its seams: no
// entry leaves before, and none is in memory a second after. Fails if untilSweep
// sleeps a second longer (shown).
func deadlinesNearAndFar(t *testing.T) {
	c := Must(Config[time.Duration, int]{Capacity: 10_000})
	defer c.Close()
	var ttls []time.Duration
	for ttl := time.Duration(1); ttl < 100*24*time.Hour; ttl *= 2 {
		ttls = append(ttls, ttl, ttl+ttl/2)
	}
	for _, unit := range []time.Duration{time.Millisecond, time.Second, time.Minute, time.Hour, 24 * time.Hour} {
		ttls = append(ttls, unit-1, unit, unit+1, 64*unit, 63*unit+unit/2)
	}
	for _, ttl := range ttls {
		c.SetWithTTL(ttl, 1, ttl)
		time.Sleep(ttl - 1)
		if _, ok := c.Get(ttl); !ok {
			t.Errorf("TTL %v: absent before its deadline", ttl)
		}
		time.Sleep(1 + time.Second)
		if n := c.Len(); n != 0 {
			t.Errorf("TTL %v: Len = %d a second after its deadline, want 0", ttl, n)
		}
	}
	// And all at once.
	begin := time.Now()
	want := map[time.Duration]bool{}
	for _, ttl := range ttls {
		c.SetWithTTL(ttl, 1, ttl)
		want[ttl] = true
	}
	for len(want) > 0 {
		time.Sleep(time.Since(begin)/4 + time.Millisecond)
		age := time.Since(begin)
		for ttl := range want {
			if _, ok := c.Get(ttl); ok != (ttl > age) {
				t.Errorf("TTL %v: found %v after %v", ttl, ok, age)
			}
			if ttl <= age {
				delete(want, ttl)
			}
		}
		if n := c.Len(); n < len(want) {
			t.Errorf("Len = %d after %v, want %d or more", n, age, len(want))
		}
	}
	time.Sleep(time.Second)
	if n := c.Len(); n != 0 {
		t.Errorf("Len = %d in the end, want 0", n)
	}
}

// Guards the sweep against deadlines that have come before it hears of them. Fails if
// untilSweep takes one that has passed for none (shown).
func deadlinePassedAtOnce(t *testing.T) {
	c := Must(Config[int, string]{Capacity: 1000})
	defer c.Close()
	for k := range 500 {
		c.SetWithTTL(k, "value", time.Duration(1+k%3))
	}
	time.Sleep(1 * time.Nanosecond)
	if v, ok := c.Get(0); ok {
		t.Errorf("Get = %q after a nanosecond, want none", v)
	}
	time.Sleep(time.Second)
	if n := c.Len(); n != 0 {
		t.Errorf("Len = %d after a second, want 0", n)
	}
}

// Guards the sweep against a daemon that was held up: one round removes all that has
// expired, however long ago. Fails if sweep looks only at chunks whose deadline came
// within the last hour (shown).
func nobodySweepsForADay(t *testing.T) {
	c := headless(t, Config[int, string]{Capacity: 5000})
	for k := range 3000 {
		c.SetWithTTL(k, "value", time.Duration(1+k)*10*time.Second)
	}
	c.Set(-1, "stays")
	time.Sleep(24 * time.Hour)
	for k := range 3000 {
		if v, ok := c.Get(k); ok {
			t.Fatalf("Get(%d) = %q after a day", k, v)
		}
	}
	if n := c.Len(); n != 3001 {
		t.Errorf("Len = %d before the sweep, want 3001", n)
	}
	c.Sync()
	if n := c.Len(); n != 1 {
		t.Errorf("Len = %d after Sync, want 1", n)
	}
	invariants(t, c)
}

// Guards G11 where nothing has removed the entry yet: Get gives no value and says so,
// Delete reports none, a Set makes it live again. Fails if getTimed returns the value
// that it found (shown).
func expiredNotRemoved(t *testing.T) {
	c := headless(t, Config[int, *int]{Capacity: 100})
	value := new(int)
	for k := range 3 {
		c.SetWithTTL(k, value, time.Minute)
	}
	time.Sleep(time.Minute)
	if v, ok := c.Get(0); ok || v != nil {
		t.Errorf("Get of an expired entry = %v, %v, want nil, false", v, ok)
	}
	if c.Delete(1) {
		t.Error("Delete of an expired entry = true")
	}
	c.SetWithTTL(2, value, time.Minute)
	time.Sleep(time.Minute - 1)
	if v, ok := c.Get(2); !ok || v != value {
		t.Errorf("Get of an entry set again = %v, %v, want it", v, ok)
	}
	if n := c.Len(); n != 2 {
		t.Errorf("Len = %d, want 2: the expired one and the one set again", n)
	}
}

// Guards the absence of anything that a read could extend: reads up to the last
// nanosecond do not move the deadline, and reads at it bring nothing back. Fails if
// surelyLive has no margin (shown): the coarse clock is late.
func readJustBeforeDeadline(t *testing.T) {
	for n := range 8 {
		// Deadlines between two ticks, at different moments of the daemon's rest.
		ttl := 5*time.Second + time.Duration(n)*37*time.Millisecond + 300*time.Microsecond
		c := Must(Config[int, int]{Capacity: 100, TTL: ttl})
		c.Set(1, 1)
		for left := ttl; left > 1; {
			step := min(left-1, 7*time.Millisecond)
			time.Sleep(step)
			left -= step
			if _, ok := c.Get(1); !ok {
				t.Errorf("Get misses %v before the deadline", left)
			}
		}
		for age := range 20 {
			time.Sleep(1 * time.Nanosecond)
			if v, ok := c.Get(1); ok {
				t.Errorf("Get = %d, %d ns after the deadline", v, age)
			}
		}
		c.Close()
	}
}

// Guards the sweep against entries that were set again while it was due, with a
// reader that sets on each miss. A peer's sweeper panicked here. Fails if what the sweep
// takes out need not have expired (shown: without both looks at the deadline).
func oneKeyExpiresAgain(t *testing.T) {
	c := Must(Config[int, string]{Capacity: 100})
	defer c.Close()
	var set time.Time
	hits := 0
	for range 5000 {
		age := time.Since(set)
		v, ok := c.Get(1)
		if ok != (age < time.Second) || ok && v != set.String() {
			t.Fatalf("Get = %q, %v, set %v ago", v, ok, age)
		}
		if ok {
			hits++
		} else {
			set = time.Now()
			c.SetWithTTL(1, set.String(), time.Second)
		}
		time.Sleep(90 * time.Millisecond)
	}
	if hits == 0 {
		t.Error("no Get has found the key")
	}
	if n := c.Len(); n > 1 {
		t.Errorf("Len = %d, want 1 at most", n)
	}
}

// Guards trap 3 for deadlines: a Set touches neither value nor deadline of another
// key with the same hash. Fails if search takes a tag for the key (shown).
func equalHashesOwnDeadlines(t *testing.T) {
	c := Must(Config[int, int]{Capacity: 100, Hasher: func(int) uint64 { return 1 }})
	defer c.Close()
	c.SetWithTTL(1, 1, time.Minute)
	c.SetWithTTL(2, 2, 3*time.Minute)
	c.Set(3, 3)
	for minute, want := range [][]bool{{true, true, true}, {false, true, true}, {false, true, true}, {false, false, true}} {
		for i, found := range want {
			if v, ok := c.Get(i + 1); ok != found || ok && v != i+1 {
				t.Errorf("minute %d: Get(%d) = %d, %v, want found: %v", minute, i+1, v, ok, found)
			}
		}
		time.Sleep(time.Minute)
	}
}

// Guards G3 for deadlines: those of entries that were evicted or replaced take no
// memory, however far they are. Fails where deadlines are listed apart from places.
func deadlinesOfTheEvicted(t *testing.T) {
	c := Must(Config[int, string]{Capacity: 500, TTL: 1000 * time.Hour})
	defer c.Close()
	run := func(n int) int64 {
		for i := range n {
			c.Set(i, "value")
		}
		c.Sync()
		return heapNow()
	}
	before := run(5000)
	if grown := run(100_000) - before; grown > 64<<10 {
		t.Errorf("100000 evicted deadlines take %d bytes more than 5000", grown)
	}
	if n := c.Len(); n > 500 {
		t.Errorf("Len = %d, capacity 500", n)
	}
	if s := c.Stats(); s.Evictions == 0 || s.Expirations != 0 {
		t.Errorf("%d evictions, %d expirations, want some and none", s.Evictions, s.Expirations)
	}
}

// Guards Stats: what left for want of room and what left by its deadline have a count
// each. Fails if expire counts an eviction (shown).
func evictionsAndExpirations(t *testing.T) {
	c := Must(Config[int, string]{Capacity: 50})
	defer c.Close()
	for k := range 50 {
		c.SetWithTTL(k, "value", time.Minute)
	}
	time.Sleep(2 * time.Minute)
	if s := c.Stats(); s.Expirations != 50 || s.Evictions != 0 {
		t.Errorf("Expirations, Evictions = %d, %d after the deadlines, want 50, 0", s.Expirations, s.Evictions)
	}
	for k := range 150 {
		c.Set(k, "value")
	}
	s := c.Stats()
	if got := int(s.Evictions) + c.Len(); got != 150 || s.Expirations != 50 || s.Deletes != 0 {
		t.Errorf("Evictions + Len, Expirations, Deletes = %d, %d, %d after 150 keys, want 150, 50, 0", got, s.Expirations, s.Deletes)
	}
}

// Guards G8 in bubbles: neither a cache that was closed nor one that was forgotten
// keeps a goroutine, or the bubble would not end; and collecting them from outside
// touches no timer of the bubble, or the process would end. Fails with a goroutine for
// each cache, and with a clean-up function that stops the timer (both shown).
func cachesLeftInBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for i := range 100 {
			c := Must(Config[int, string]{Capacity: 100, TTL: time.Hour})
			c.Set(i, "value")
			if i%2 == 0 {
				time.Sleep(time.Second)
				c.Close()
			}
		}
	})
	for range 3 {
		runtime.GC()
	}
}

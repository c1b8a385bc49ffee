//go:build go1.25

package dualcache

import (
	"math"
	"testing"
	"testing/synctest"
	"time"
)

// Guards ExpireAfterAccess: an entry lives for that long after each read, within the
// grain; TTL bounds it. Peek and Contains are no reads. Fails without postpone.
func TestExpireAfterAccess(t *testing.T) {
	reads := map[string]func(c *Cache[int, int]) bool{
		"Get":       func(c *Cache[int, int]) bool { _, ok := c.Get(1); return ok },
		"GetMany":   func(c *Cache[int, int]) bool { return c.GetMany([]int{1}, make([]int, 1), make([]bool, 1)) == 1 },
		"GetOrLoad": func(c *Cache[int, int]) bool { _, err := c.GetOrLoad(ctx0, 1, nil); return err == nil },
		"Compute": func(c *Cache[int, int]) bool {
			_, ok := c.Compute(1, func(old int, found bool) (int, Op) { return old, OpKeep })
			return ok
		},
	}
	for name, read := range reads {
		synctest.Test(t, func(t *testing.T) {
			const idle = 10 * time.Second
			c := Must(Config[int, int]{Capacity: 100, ExpireAfterAccess: idle, TTL: time.Minute})
			defer c.Close()
			c.Set(1, 1)
			for n := range 4 {
				time.Sleep(idle - 1)
				c.Peek(1)
				c.Contains(1)
				if !read(c) {
					t.Errorf("%s: absent before its time, after %d reads", name, n)
				}
			}
			for _, wait := range []time.Duration{3, 3, 7} {
				time.Sleep(wait * time.Second)
				read(c)
			}
			// The deadline is that of the TTL now.
			time.Sleep(time.Minute - 4*(idle-1) - 13*time.Second - 1)
			if !read(c) {
				t.Errorf("%s: absent before its TTL", name)
			}
			time.Sleep(1 * time.Nanosecond)
			if read(c) {
				t.Errorf("%s: there at its TTL", name)
			}
			c.SetWithTTL(1, 1, 0)
			for range 20 {
				time.Sleep(idle - time.Second)
				if !read(c) {
					t.Errorf("%s: absent, although read", name)
				}
			}
			time.Sleep(idle - time.Millisecond)
			if !c.Contains(1) {
				t.Errorf("%s: absent before its time", name)
			}
			time.Sleep(time.Millisecond)
			if read(c) {
				t.Errorf("%s: there, although idle", name)
			}
			time.Sleep(time.Second)
			if n := c.Len(); n != 0 {
				t.Errorf("%s: Len is %d in the end", name, n)
			}
		})
	}
}

// Guards ExpireAfterAccess where the index grows: a read of an entry that is on its way
// counts.
func TestReadsCountWhileTheIndexGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const idle = 10 * time.Second
		c := headless(t, Config[int, int]{Capacity: 20_000, ExpireAfterAccess: idle})
		n := 0
		for n < 50 || c.table.Load().old.Load() == nil {
			c.Set(n, n)
			n++
		}
		time.Sleep(idle / 2)
		for i := range n {
			c.Get(i)
		}
		for c.table.Load().old.Load() != nil {
			c.moveSome(c.table.Load(), 8)
		}
		time.Sleep(idle/2 + time.Second)
		for i := range n {
			if !c.Contains(i) {
				t.Fatalf("key %d of %d is absent, although read", i, n)
			}
		}
		invariants(t, c)
	})
}

// Guards G11: whatever gives an entry its deadline, the last one counts, be it earlier
// or later.
func TestEveryOperationMovesTheDeadline(t *testing.T) {
	ops := map[string]func(c *Cache[int, int], ttl time.Duration){
		"SetWithTTL": func(c *Cache[int, int], ttl time.Duration) { c.SetWithTTL(1, 1, ttl) },
		"SetFor": func(c *Cache[int, int], ttl time.Duration) {
			c.Compute(1, func(int, bool) (int, Op) { return 1, SetFor(ttl) })
		},
		"GetOrSetWithTTL": func(c *Cache[int, int], ttl time.Duration) {
			c.Delete(1)
			c.GetOrSetWithTTL(1, 1, ttl)
		},
	}
	ttls := []time.Duration{time.Nanosecond, time.Second, time.Hour, math.MaxInt64}
	for name, op := range ops {
		for _, first := range ttls {
			for _, second := range ttls {
				synctest.Test(t, func(t *testing.T) {
					c := Must(Config[int, int]{Capacity: 100})
					defer c.Close()
					op(c, first)
					op(c, second)
					if second == math.MaxInt64 {
						time.Sleep(24 * time.Hour)
						if !c.Contains(1) {
							t.Errorf("%s, %v, then for ever: absent", name, first)
						}
						return
					}
					time.Sleep(second - 1)
					if _, ok := c.Get(1); !ok {
						t.Errorf("%s, %v, then %v: absent before the deadline", name, first, second)
					}
					time.Sleep(1 * time.Nanosecond)
					if _, ok := c.Get(1); ok {
						t.Errorf("%s, %v, then %v: there at the deadline", name, first, second)
					}
					time.Sleep(time.Second)
					if n := c.Len(); n != 0 {
						t.Errorf("%s, %v, then %v: Len is %d", name, first, second, n)
					}
				})
			}
		}
	}
}

// Guards expiry.go: entries with far deadlines are not due, and so are as fast to get
// as others, until a sweep in time makes them so.
func TestFarEntriesAreNotDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := Must(Config[int, int]{Capacity: 1000})
		defer c.Close()
		for i := range 500 {
			c.SetWithTTL(i, i, time.Duration(10+i%2*10)*time.Second)
		}
		due := func() (n int) {
			for i := range 500 {
				if s := lookFor(c, i); s.found() && isDue(s.bucket().head.Load(), s.i) {
					n++
				}
			}
			return n
		}
		for _, test := range []struct {
			wait time.Duration
			want int
		}{{0, 0}, {5500 * time.Millisecond, 0}, {time.Second, 250}, {5 * time.Second, 0}, {5 * time.Second, 250}, {5 * time.Second, 0}} {
			time.Sleep(test.wait)
			if got := due(); got != test.want {
				t.Errorf("after %v: %d entries are due, want %d", time.Duration(c.now()), got, test.want)
			}
		}
	})
}

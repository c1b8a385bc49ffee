package dualcache

import (
	"runtime"
	"sync"
	"testing"
)

// TestMoreProcs (rule 4): GOMAXPROCS rises after New, and Ps beyond
// Config.Workers share guests. Guards: grow, and the owner flag of borrow.
func TestMoreProcs(t *testing.T) {
	for _, workers := range []int{0, 1, 3} {
		procs := runtime.GOMAXPROCS(1)
		c := Must(Config[int, string]{Capacity: 500, Workers: workers})
		c.Set(-1, "first")
		runtime.GOMAXPROCS(8)
		hammer(t, c)
		runtime.GOMAXPROCS(2)
		hammer(t, c)
		runtime.GOMAXPROCS(procs)
		c.Sync()
		invariants(t, c)
		s := c.Stats()
		if got, want := s.Hits+s.Misses, uint64(2*8*scaled(5000)); got != want {
			t.Errorf("Workers %d: %d Gets counted, want %d", workers, got, want)
		}
		c.Close()
	}
}

func hammer(t *testing.T, c *Cache[int, string]) {
	var wg sync.WaitGroup
	for g := range 8 {
		spawn(&wg, func() {
			for i := range scaled(5000) {
				key := (i*31 + g) % 900
				if v, ok := c.Get(key); ok && v != "value" {
					t.Errorf("Get(%d) = %q", key, v)
				}
				c.Set(key, "value")
			}
		})
	}
	wg.Wait()
}

// TestCloseRaces (G8, trap 12): after Close nothing is left, whatever ran
// meanwhile. Guard: closed is looked at under the bucket's lock.
func TestCloseRaces(t *testing.T) {
	for range 20 {
		c := Must(Config[int, string]{Capacity: 500})
		var wg sync.WaitGroup
		for g := range 4 {
			spawn(&wg, func() {
				for i := range 2000 {
					c.Set(i*7+g, "value")
					c.Get(i)
				}
			})
		}
		c.Close()
		wg.Wait()
		c.Close()
		c.Set(1, "late")
		if _, ok := c.Get(1); ok || c.Len() != 0 {
			t.Fatalf("after Close: Get finds %v, Len %d", ok, c.Len())
		}
		invariants(t, c)
	}
}

package linearizability

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"
)

// What can be said without a checker.
//
// TestHistories checks Len, and evictions from roomy caches, in passing
// (checkRest). Here is what needs a quiet cache: with one goroutine and no
// daemon nobody can evict an entry between its Set and the next Get, so that
// Get must find it, in the smallest cache too (G2: no key is refused for being
// new). With a daemon a miss must have an eviction to show for it.

func TestOwnSetIsSeen(t *testing.T) {
	for _, s := range settings {
		if s.ttl != 0 {
			continue
		}
		for _, p := range pairings {
			for _, size := range sizes {
				c := combination{p, spec{s, size.capacity, size.evicts}, 0, 0}
				t.Run(fmt.Sprintf("setting=%s/key=%s/value=%s/cap=%d-%v", s.name, p.keys, p.values, size.capacity, size.evicts), c.readBack)
			}
		}
	}
}

// readBack sets keys and reads them at once.
func (c combination) readBack(t *testing.T) {
	s, err := c.make(c.spec)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	turns := 500
	if testing.Short() {
		turns = 100
	}
	for i := range turns {
		set := step{record: record{kind: opSet, key: i % c.keyCount(), id: uint64(i + 1)}}
		get := step{record: record{kind: opGet, key: set.key}}
		s.fill(i, i%4)
		before := s.rest()
		s.do(&set)
		s.do(&get)
		if get.ok && get.id == set.id && get.odd == "" {
			continue
		}
		after := s.rest()
		for end := time.Now().Add(time.Second); !c.headless && after.Evictions == before.Evictions && time.Now().Before(end); {
			time.Sleep(time.Millisecond) // counted once done
			after = s.rest()
		}
		if get.ok || get.odd != "" || c.headless || !c.evicts || after.Evictions == before.Evictions {
			t.Fatalf("turn %d: %v, then %v; evictions %d, then %d; refusals %d, then %d", i, &set.record, &get.record,
				before.Evictions, after.Evictions, before.Refusals, after.Refusals)
		}
	}
	if n := s.rest().length; n > c.capacity {
		t.Errorf("Len is %d, Capacity %d", n, c.capacity)
	}
}

// TestSetReturns: a Set needs nothing from goroutines or Ps that rest (G5). A
// burst from many leaves each P with what it keeps for itself, at a time when
// the cache is small enough for that to be all there is. Then one goroutine,
// after some Deletes and on fewer Ps, goes on alone.
func TestSetReturns(t *testing.T) {
	share := 40 * time.Millisecond
	if testing.Short() {
		share = 10 * time.Millisecond
	}
	for _, s := range settings {
		for _, capacity := range []int{1, 2, 4, 16} {
			for _, procs := range []int{1, 8} {
				t.Run(fmt.Sprintf("setting=%s/cap=%d/procs=8-then-%d", s.name, capacity, procs), func(t *testing.T) {
					defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(8))
					c, err := pair(wordKeys, words, nil).make(spec{s, capacity, true})
					if err != nil {
						t.Fatal(err)
					}
					end := time.Now().Add(share)
					for round := 0; round < 3 || time.Now().Before(end); round++ {
						runtime.GOMAXPROCS(8)
						if !returns(func() { burst(c) }) {
							t.Fatalf("round %d: in a burst, operations have not returned after %v:\n%s", round, stallLimit, stacksInCache())
						}
						runtime.GOMAXPROCS(procs)
						if !returns(func() { alone(c) }) {
							t.Fatalf("round %d: with nobody else about, a Set has not returned after %v:\n%s", round, stallLimit, stacksInCache())
						}
					}
					c.close()
				})
				if t.Failed() {
					return // what still runs would disturb the rest
				}
			}
		}
	}
}

// burst sets and deletes a few keys from eight goroutines at once.
func burst(c subject) {
	var all sync.WaitGroup
	for g := range 8 {
		all.Add(1)
		go func() {
			defer all.Done()
			for i := range 20 {
				c.do(&step{record: record{kind: opSet, key: (g + i) % 3, id: uint64(i + 1)}})
				if i%3 == 0 {
					c.do(&step{record: record{kind: opDelete, key: (g + i) % 3}})
				}
			}
		}()
	}
	all.Wait()
}

// alone empties the cache from one goroutine and sets keys.
func alone(c subject) {
	for key := range 3 {
		c.do(&step{record: record{kind: opDelete, key: key}})
	}
	c.fill(0, 20)
}

// returns reports whether f does, within stallLimit.
func returns(f func()) bool {
	done := make(chan struct{})
	go func() {
		f()
		close(done)
	}()
	select {
	case <-done:
		return true
	case <-time.After(stallLimit):
		return false
	}
}

package linearizability

import (
	"fmt"
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
	turns := 2*c.capacity + 100
	if testing.Short() {
		turns = 100
	}
	for i := range turns {
		set := record{kind: opSet, key: i % c.keyCount(), id: uint64(i + 1)}
		get := record{kind: opGet, key: set.key}
		s.fill(i, i%4)
		_, before := s.stats()
		s.do(&set)
		s.do(&get)
		if get.ok && get.id == set.id && !get.torn {
			continue
		}
		_, after := s.stats()
		for end := time.Now().Add(time.Second); !c.headless && after.Evictions == before.Evictions && time.Now().Before(end); {
			time.Sleep(time.Millisecond) // counted once done
			_, after = s.stats()
		}
		if get.ok || get.torn || c.headless || !c.evicts || after.Evictions == before.Evictions {
			t.Fatalf("turn %d: %v, then %v; evictions %d, then %d; refusals %d, then %d", i, &set, &get,
				before.Evictions, after.Evictions, before.Refusals, after.Refusals)
		}
	}
	if n, _ := s.stats(); n > c.capacity {
		t.Errorf("Len is %d, Capacity %d", n, c.capacity)
	}
}

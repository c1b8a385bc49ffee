package dualcache

import (
	"fmt"
	"runtime"
	rtdebug "runtime/debug"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// holdSection keeps a section at a key's place, on a P of its own, until release is
// called; it then runs last, inside the section. The collector must not run.
func holdSection[K comparable, V any](c *Cache[K, V], key K, writer bool, last func(s spot)) (s spot, release func()) {
	percent := rtdebug.SetGCPercent(-1)
	procs := runtime.GOMAXPROCS(4)
	hash := c.hash(key)
	held, finished := make(chan spot, 1), make(chan struct{})
	var at spot
	var inside, stop atomic.Bool
	go func() {
		w := c.enter()
		at, _ = c.find(w, hash, key, writer)
		inside.Store(true)
		for !stop.Load() {
		}
		if last != nil {
			last(at)
		}
		w.leave()
		close(finished)
	}()
	for !inside.Load() {
		runtime.Gosched()
	}
	held <- at
	return <-held, func() {
		stop.Store(true)
		<-finished
		runtime.GOMAXPROCS(procs)
		rtdebug.SetGCPercent(percent)
	}
}

// fullSize fails unless the growth of a table is complete.
func fullSize[K comparable, V any](t *testing.T, c *Cache[K, V]) {
	t.Helper()
	for range 10_000 {
		c.moveSome(c.table.Load(), movesPerTick)
	}
	if tb := c.table.Load(); tb.homes != c.homes || tb.old.Load() != nil || tb.hashes != nil {
		t.Errorf("the table has %d homes, want %d; an older one: %v", tb.homes, c.homes, tb.old.Load() != nil)
	}
}

// Guards grow.go I1 to I3 through every step of growth: readers never miss a key
// that is there throughout, versions of a value that is changed in place never go
// back, deletes stay done, and deadlines come along. Fails if moveEntry forgets the
// deadline (shown), and, once in some runs, without the second look at the head in
// Get (seen when it was missing). The look at settled in set, the order of the two
// tables in find, and that of the two tags in moveEntry close windows of nanoseconds
// that this test has not hit without them.
func TestGrowthKeepsWhatIsThere(t *testing.T) {
	capacity := 60_000
	if debug || testing.Short() {
		capacity = 20_000
	}
	for _, timed := range []bool{false, true} {
		c := Must(Config[uint64, uint64]{Capacity: capacity})
		const kept, own = 100, 8
		set := func(k, v uint64) {
			if timed && k%2 == 0 {
				c.SetWithTTL(k, v, time.Hour)
			} else {
				c.Set(k, v)
			}
		}
		for k := range uint64(kept) {
			set(k, 1)
		}
		var done [own]atomic.Uint64
		var stop atomic.Bool
		var wg sync.WaitGroup
		spawn(&wg, func() { // versions, in the first few keys
			for v := uint64(2); !stop.Load(); v++ {
				k := v % own
				set(k, v)
				done[k].Store(v)
				runtime.Gosched()
			}
		})
		for range 2 {
			spawn(&wg, func() {
				var last [own]uint64
				for n := uint64(0); !stop.Load(); n++ {
					k := n * 7 % kept
					least := uint64(1)
					if k < own {
						least = max(done[k].Load(), last[k], 1)
					}
					v, ok := c.Get(k)
					if !ok || v < least {
						t.Errorf("Get(%d) = %d, %v, want %d or more", k, v, ok, least)
						return
					}
					if k < own {
						last[k] = v
					}
				}
			})
		}
		tables := map[*table]bool{}
		for k := uint64(kept); k < uint64(capacity); k++ {
			set(k, k)
			if k%5 == 0 && k-3 >= kept {
				if !c.Delete(k - 3) {
					t.Fatalf("Delete(%d) = false", k-3)
				}
				if v, ok := c.Get(k - 3); ok {
					t.Fatalf("Get(%d) = %d after Delete", k-3, v)
				}
			}
			tables[c.table.Load()] = true
		}
		stop.Store(true)
		wg.Wait()
		missing := 0
		for k := uint64(kept); k < uint64(capacity); k++ {
			v, ok := c.Get(k)
			deleted := (k+3)%5 == 0 && k+3 < uint64(capacity)
			if ok && (deleted || v != k) {
				t.Errorf("Get(%d) = %d, deleted: %v", k, v, deleted)
			}
			if !ok && !deleted {
				missing++
			}
		}
		if missing > capacity/1000 || len(tables) < 3 {
			t.Errorf("%d of %d keys are missing after %d tables", missing, capacity, len(tables))
		}
		for k := range uint64(kept) {
			if s := lookFor(c, k); !s.found() || s.t.deadline(s.index()) != noDeadline != (timed && k%2 == 0) {
				t.Errorf("key %d: found %v, timed %v: not as it was set", k, s.found(), timed)
			}
		}
		fullSize(t, c)
		invariants(t, c)
		c.Close()
		emptyIndex(t, c)
	}
}

// Guards "growing never waits" for a reader: one that is stopped in the old table
// does not hold up the growth, and reads what it had found. Fails if moves look for
// readers too (shown: with held for stored in moveFrom).
func TestGrowthWithAReaderHeld(t *testing.T) {
	c := headless(t, Config[uint64, string]{Capacity: 10_000})
	c.Set(1, "held")
	first := c.table.Load()
	var read string
	s, release := holdSection(c, 1, false, func(s spot) { read = c.loadValue(placeAt[uint64, string](s)) })
	for k := range uint64(9000) {
		c.Set(2+k, fmt.Sprint(k))
	}
	fullSize(t, c)
	c.Set(1, "new")
	release()
	if s.t != first || read != "held" {
		t.Errorf("the reader has %q, of the first table: %v, want what it found there", read, s.t == first)
	}
	if v, ok := c.Get(1); !ok || v != "new" {
		t.Errorf("Get = %q, %v, want new", v, ok)
	}
	invariants(t, c)
}

// Guards (I3) of grow.go: while a writer is about to store in place, its home stays
// in the old table, and what it stores is not lost; the other homes move. Fails
// without the look at stored in moveFrom (shown), and without writerBit in set.
func TestGrowthWithAWriterInPlaceHeld(t *testing.T) {
	c := headless(t, Config[uint64, uint64]{Capacity: 2000})
	c.Set(1, 1)
	old := c.table.Load()
	// Only the writer's store is to be new.
	s, release := holdSection(c, 1, true, func(s spot) { c.store(placeAt[uint64, uint64](s), 77) })
	mine := func(home uint64) bool {
		for d := range maxDistance + 1 {
			if old.near(home, d) == s.b {
				return true
			}
		}
		return false
	}
	var others []uint64
	for k := uint64(2); len(others) < 1400; k++ {
		if !mine(old.homeOf(c.hash(k))) {
			others = append(others, k)
			c.Set(k, k)
		}
	}
	tb := c.table.Load()
	for range 100 {
		c.moveSome(tb, int(old.homes))
	}
	moved := old.moved.Load()
	if tb == old || tb.old.Load() != old || moved == 0 || moved == old.homes || !hasTag(s.bucket().head.Load(), s.i) {
		t.Errorf("grown: %v; %d of %d homes moved; want all but those of bucket %d", tb != old, moved, old.homes, s.b)
	}
	if v, ok := c.Get(1); !ok || v != 1 {
		t.Errorf("Get before the store = %d, %v, want 1", v, ok)
	}
	release()
	if v, ok := c.Get(1); !ok || v != 77 {
		t.Errorf("Get after the store = %d, %v, want 77", v, ok)
	}
	fullSize(t, c)
	if v, ok := c.Get(1); !ok || v != 77 {
		t.Errorf("Get after the growth = %d, %v, want 77", v, ok)
	}
	for _, k := range others {
		if v, ok := c.Get(k); !ok || v != k {
			t.Errorf("Get(%d) = %d, %v", k, v, ok)
		}
	}
	invariants(t, c)
}

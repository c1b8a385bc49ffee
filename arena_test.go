package dualcache

import (
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"
)

// Guards the packing of slots: fails if table, bucket and place overlap, or if a
// place of a table could be slot 0.
func TestSlotsGiveBackWhatTheyName(t *testing.T) {
	for _, number := range []uint32{0, 1, 7, maxTables - 1} {
		for _, b := range []uint64{0, 1, 2, 1000, 1 << 20, maxHomes - 2, maxHomes - 1} {
			for i := range bucketPlaces {
				tb := &table{number: number}
				s := tb.slot(b, i)
				if s == 0 || s.table() != number || s.bucket() != b || s.place() != i || s.index() != index(b, i) {
					t.Fatalf("slot %x of table %d, bucket %d, place %d: %d, %d, %d, index %d",
						s, number, b, i, s.table(), s.bucket(), s.place(), s.index())
				}
			}
		}
	}
	if homes := homesFor(MaxCapacity, 16); homes > maxHomes {
		t.Errorf("a full cache has %d homes, want at most %d", homes, maxHomes)
	}
	for first, n := firstTable(homesFor(MaxCapacity, 16)), 1; ; n++ {
		if first = min(first*growth, homesFor(MaxCapacity, 16)); first == homesFor(MaxCapacity, 16) {
			break
		} else if n == maxTables {
			t.Fatal("more tables than slots have numbers for")
		}
	}
}

// checkSteps holds near, back, distance and reach of a table against one another.
func checkSteps(t *testing.T, homes uint64, buckets []uint64) {
	t.Helper()
	tb := &table{homes: homes, offset: steps(homes)}
	for _, b := range buckets {
		seen := map[uint64]bool{}
		for d := 0; d <= tb.reach(); d++ {
			at := tb.near(b, d)
			if at >= homes || seen[at] || d == 0 && at != b {
				t.Fatalf("%d homes: step %d from %d leads to %d", homes, d, b, at)
			}
			seen[at] = true
			if got := tb.back(at, d); got != b {
				t.Fatalf("%d homes: back(%d, %d) = %d, want %d", homes, at, d, got, b)
			}
			if got := tb.distance(b, at); got != d {
				t.Fatalf("%d homes: distance(%d, %d) = %d, want %d", homes, b, at, got, d)
			}
		}
	}
}

// Guards steps, near and back: the steps of a home lead to different buckets, all in
// the table, and back again. Fails with any step as long as the table (shown: with
// the threshold of the default case lowered).
func TestStepsLeadBack(t *testing.T) {
	for homes := uint64(minHomes); homes <= 300; homes++ {
		var all []uint64
		for b := range homes {
			all = append(all, b)
		}
		checkSteps(t, homes, all)
	}
	for _, homes := range []uint64{1000, 4097, 238_096, 1 << 20, homesFor(MaxCapacity, 16), maxHomes} {
		checkSteps(t, homes, []uint64{0, 1, 126, 127, 128, homes / 2, homes - 128, homes - 127, homes - 2, homes - 1})
	}
}

// Guards the arithmetic of at and bucketAt, and of homeOf at its ends.
func TestBucketAddresses(t *testing.T) {
	tb := newTable[uint64, [3]uint64](37, 0, false, columns{})
	size := unsafe.Sizeof(bucket[uint64, [3]uint64]{})
	for b := range tb.homes {
		want := uintptr(tb.base) + uintptr(b)*size
		if got := uintptr(unsafe.Pointer(tb.at(b))); got != want {
			t.Fatalf("bucket %d is at %x, want %x", b, got, want)
		}
		p := bucketAt[uint64, [3]uint64](tb, b)
		if got := uintptr(unsafe.Pointer(p)); got != want {
			t.Fatalf("bucket %d is at %x, want %x", b, got, want)
		}
		for i := range bucketPlaces {
			if p.place(i) != &p.places[i] || p.word(i) != &p.policy[i] {
				t.Fatalf("place %d or its word is elsewhere", i)
			}
		}
	}
	if got := tb.homeOf(0); got != 0 {
		t.Errorf("home of the least hash = %d, want 0", got)
	}
	if got := tb.homeOf(1<<64 - 1); got != 36 {
		t.Errorf("home of the greatest hash = %d, want 36", got)
	}
}

// Guards "memory is taken as entries come": fails if the first table is of full size
// (shown), or the policy's lists are.
func TestLargeCapacityStartsSmall(t *testing.T) {
	before := heapNow()
	c := Must(Config[uint64, uint64]{Capacity: 10_000_000})
	for i := range uint64(10) {
		c.Set(i, i)
	}
	if got := heapNow() - before; got >= 2<<20 {
		t.Errorf("a cache for 10M entries with 10 takes %d bytes, want less than 2 MiB", got)
	}
	if n := c.Len(); n != 10 {
		t.Errorf("Len = %d, want 10", n)
	}
	c.Close()
}

// collected reports whether a flag that a clean-up sets comes up.
func collected(gone *atomic.Bool) bool {
	for range 200 {
		runtime.GC()
		if gone.Load() {
			return true
		}
		time.Sleep(time.Millisecond)
	}
	return false
}

// Guards wipe: what a key and a value refer to is collectable once the entry has left
// and Sync has returned. Each way out has its case. Fails if takeOut does not put the
// place into wipeQueue (shown), or if wipePlace does not wipe (shown).
func TestRemovedEntriesAreCollectable(t *testing.T) {
	type big struct{ _ [64]byte }
	type cache = Cache[string, *big]
	for _, test := range []struct {
		name  string
		leave func(c *cache, key string)
		keyIn bool // the key is still in the cache
	}{
		{name: "delete", leave: func(c *cache, key string) { c.Delete(key) }},
		{name: "clear", leave: func(c *cache, key string) { c.Clear() }},
		{name: "evict", leave: func(c *cache, key string) {
			for i := range 1000 {
				c.Set(strings.Repeat("x", i), nil)
			}
		}},
		{name: "store in place", leave: func(c *cache, key string) { c.Set(key, nil) }, keyIn: true},
		{name: "replacement", leave: func(c *cache, key string) { c.SetWithTTL(strings.Clone(key), nil, time.Hour) }},
		{name: "expiry", leave: func(c *cache, key string) {
			c.SetWithTTL(key, new(big), time.Nanosecond)
			time.Sleep(time.Microsecond)
		}},
		{name: "negative TTL", leave: func(c *cache, key string) { c.SetWithTTL(key, nil, -1) }},
		{name: "full queues", leave: func(c *cache, key string) {
			for range 600 {
				c.Set("other", nil)
				c.Delete("other")
			}
			c.Delete(key)
		}},
		{name: "growth", leave: func(c *cache, key string) {
			for i := range 1800 {
				c.Set(strings.Repeat("x", i), nil)
			}
			c.Delete(key)
		}},
		{name: "close", leave: func(c *cache, key string) { c.Close() }},
	} {
		capacity := 100
		if test.name == "growth" {
			capacity = 2000
		}
		c := headless(t, Config[string, *big]{Capacity: capacity})
		var keyGone, valueGone atomic.Bool
		func() {
			key, value := strings.Repeat("k", 100), new(big)
			runtime.AddCleanup(unsafe.StringData(key), func(f *atomic.Bool) { f.Store(true) }, &keyGone)
			runtime.AddCleanup(value, func(f *atomic.Bool) { f.Store(true) }, &valueGone)
			c.Set(key, value)
			test.leave(c, key)
		}()
		c.Sync()
		if !collected(&valueGone) {
			t.Errorf("%s: the value is still referred to", test.name)
		}
		if !test.keyIn && !collected(&keyGone) {
			t.Errorf("%s: the key is still referred to", test.name)
		}
		runtime.KeepAlive(c)
	}
}

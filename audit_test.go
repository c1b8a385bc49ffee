package dualcache

import (
	"math/bits"
	"runtime"
	"testing"
	"time"
)

// headless makes a cache whose maintenance only the test and writers do.
func headless[K comparable, V any](t testing.TB, cfg Config[K, V]) *Cache[K, V] {
	t.Helper()
	c, _, err := NewHeadless(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// scaled is n, or a tenth of it in debug builds, where each step costs as much as ten.
func scaled(n int) int {
	if debug {
		return n / 10
	}
	return n
}

// heapNow is the live heap.
func heapNow() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// invariants checks a cache that nobody uses: every permit is somewhere (rule
// 16); every tag is reached from its home, by marks that are exact (tiers.go I4,
// I5); no lock is held; every entry is in one list of the policy, and every item
// names one entry (traps 4, 6, 10 and 11).
func invariants[K comparable, V any](t testing.TB, c *Cache[K, V]) {
	t.Helper()
	// A tick under way may hold locks.
	begin := time.Now()
	for c.running.Load() != 0 || c.timer != nil && c.awake.Load() != 0 && !c.closed.Load() {
		if time.Since(begin) > 20*time.Second {
			tb := c.table.Load()
			t.Fatalf("the daemon does not come to rest: running %d, limbo %d, wipeAll %v, next %d, growing %v",
				c.running.Load(), c.limboLen.Load(), c.wipeAll.Load(), c.wipeNext, tb.old.Load() != nil)
		}
		runtime.Gosched()
	}
	c.Sync()
	permits := int(c.permits.Load())
	for _, w := range *c.workers.all.Load() {
		permits += w.permits
	}
	entries := 0
	items := map[uint64]slot{}
	for tb := c.table.Load(); tb != nil; tb = tb.old.Load() {
		entries += auditTable(t, c, tb, items)
	}
	if c.Len() != entries {
		t.Fatalf("Len is %d, the index has %d", c.Len(), entries)
	}
	if permits+entries != c.Capacity() {
		t.Fatalf("%d permits and %d entries, want %d together", permits, entries, c.Capacity())
	}
	p := &c.policy
	p.begin(*c.workers.all.Load())
	named := 0
	for n := range p.window.size() {
		named += auditItem(t, c, &p.window, n, 0, items)
	}
	window := named
	for n := range p.main.size() {
		named += auditItem(t, c, &p.main, n, 1<<32, items)
	}
	if named != len(items) {
		t.Fatalf("%d items in the policy's lists, %d entries that are listed", named, len(items))
	}
	if p.lenWindow() != window || p.lenMain() != named-window {
		t.Fatalf("window and main have %d and %d items, and count %d and %d",
			window, named-window, p.lenWindow(), p.lenMain())
	}
	if pinned := auditWeights(t, c); len(items)+pinned != entries && c.Stats().DroppedInserts == 0 {
		t.Fatalf("%d entries are listed and %d pinned, of %d", len(items), pinned, entries)
	}
}

// auditTable checks the buckets of a table, counts its entries, and collects the
// items that they say they are named by.
func auditTable[K comparable, V any](t testing.TB, c *Cache[K, V], tb *table, items map[uint64]slot) (entries int) {
	t.Helper()
	marks := make([]uint64, tb.homes)
	for b := range tb.homes {
		head := tb.at(b).head.Load()
		if head&headLock != 0 {
			t.Fatalf("bucket %d is locked", b)
		}
		for m := empty(head); m != 0; m &= m - 1 {
			if i := position(m); isDue(head, i) {
				t.Fatalf("bucket %d place %d is due and empty", b, i)
			}
		}
		for m := live(head); m != 0; m &= m - 1 {
			entries++
			s := spot{tb, b, position(m)}
			x := s.position().Load()
			d := distanceOf(x)
			home := tb.back(b, d)
			if d > 0 {
				marks[home] |= mark(d)
			}
			if s.word().Load()&policyLive == 0 {
				t.Fatalf("bucket %d place %d: the policy word of an entry is %x", b, s.i, s.word().Load())
			}
			key := placeAt[K, V](s).key
			if key == key { // not a NaN
				if hash := c.hash(key); tb.homeOf(hash) != home || head>>(8*s.i)&tagBits != tagOf(hash) {
					t.Fatalf("bucket %d place %d, distance %d: not where its key belongs, bucket %d", b, s.i, d, tb.homeOf(hash))
				}
			}
			auditTimes(t, c, s, isDue(head, s.i))
			if listed(x) {
				i := itemIndex(x)
				if x&positionMain != 0 {
					i |= 1 << 32
				}
				if other, ok := items[i]; ok {
					t.Fatalf("slots %x and %x have one position, %x", other, s.slot(), x)
				}
				items[i] = s.slot()
			}
		}
	}
	for b := range tb.homes {
		if got := tb.at(b).head.Load() >> marksShift & marksMask << marksShift; got != marks[b] {
			t.Fatalf("home %d has marks %b, want %b", b, got>>marksShift, marks[b]>>marksShift)
		}
	}
	return entries
}

// auditTimes checks that an entry that is not due has time (expiry.go I3), and that the
// sweep will come by.
func auditTimes[K comparable, V any](t testing.TB, c *Cache[K, V], s spot, due bool) {
	t.Helper()
	d := s.t.deadline(s.index())
	if d == noDeadline || d == deadlineOver {
		return
	}
	if !due && eventOf(d, 0, true) < c.now()+int64(dueMargin/2) {
		t.Fatalf("%x has %v left, and is not due", s.slot(), time.Duration(d-c.now()))
	}
	if event, want := s.t.events[s.index()/chunkPlaces].Load(), eventOf(d, 0, due); want != farFuture && (event == 0 || event > want) {
		t.Fatalf("%x has an event at %d, its chunk at %d", s.slot(), want, event)
	}
}

// auditWeights checks the sum of the weights, and counts the entries that are pinned.
func auditWeights[K comparable, V any](t testing.TB, c *Cache[K, V]) (pinned int) {
	t.Helper()
	if c.weigher == nil {
		return 0
	}
	sum := uint64(0)
	for tb := c.table.Load(); tb != nil; tb = tb.old.Load() {
		for b := range tb.homes {
			for m := live(tb.at(b).head.Load()); m != 0; m &= m - 1 {
				weight := tb.weights.at(index(b, position(m))).Load()
				if sum += uint64(weight); weight == 0 {
					pinned++
				}
			}
		}
	}
	if sum != c.Weight() || sum > uint64(c.maxWeight.Load()) {
		t.Fatalf("the weights sum to %d, Weight is %d, the limit %d", sum, c.Weight(), c.maxWeight.Load())
	}
	return pinned
}

// auditItem checks one item of a list, and counts it if it is not empty.
func auditItem[K comparable, V any](t testing.TB, c *Cache[K, V], l *list, n, region uint64, items map[uint64]slot) int {
	t.Helper()
	item := l.at(n)
	if item == nil || item.Load() == 0 {
		return 0
	}
	if got, want := slot(item.Load()), items[n|region]; got != want {
		t.Fatalf("item %x names slot %x, want %x", n|region, got, want)
	}
	return 1
}

// emptyIndex fails if a bucket has a tag or a mark.
func emptyIndex[K comparable, V any](t testing.TB, c *Cache[K, V]) {
	t.Helper()
	bad := 0
	for tb := c.table.Load(); tb != nil; tb = tb.old.Load() {
		for b := range tb.homes {
			bad += bits.OnesCount64(tb.at(b).head.Load() &^ headMoved)
		}
	}
	if bad != 0 {
		t.Errorf("%d bits are set in the heads of an empty index", bad)
	}
}

package dualcache

import (
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"
)

type memoryBlock struct {
	from, to uintptr
	keep     any
}

// arenaOf makes an arena for nodes of K and V, and a record of its blocks.
func arenaOf[K comparable, V any](total int) (*arena, *[]memoryBlock) {
	a, blocks := new(arena), new([]memoryBlock)
	a.init(unsafe.Sizeof(node[K, V]{}), total, func(n int) unsafe.Pointer {
		s := make([]node[K, V], n)
		p := unsafe.Pointer(unsafe.SliceData(s))
		*blocks = append(*blocks, memoryBlock{uintptr(p), uintptr(p) + uintptr(n)*unsafe.Sizeof(s[0]), s})
		return p
	})
	return a, blocks
}

func (a *arena) slotsOf(l nodeList) (slots []uint32) {
	s := l.head()
	for range l.len() {
		slots = append(slots, s)
		s = a.link(s).Load()
	}
	return slots
}

// nodeCount walks a cache at rest: nodes that are free, in magazines, retired.
func nodeCount[K comparable, V any](c *Cache[K, V]) (free, magazines, retired int) {
	for s := uint32(c.arena.free.Load()); s != 0; s = c.arena.link(s).Load() {
		free++
	}
	for _, w := range *c.workers.all.Load() {
		magazines += w.spares
	}
	return free, magazines, c.retiredNodes()
}

// checkConserved holds the conservation laws against a cache at rest: every
// permit is the pool's, a worker's or an entry's; every node made is free, in a
// magazine, retired or an entry's.
func checkConserved[K comparable, V any](t *testing.T, c *Cache[K, V]) {
	t.Helper()
	permits := int(c.permits.Load())
	for _, w := range *c.workers.all.Load() {
		permits += w.permits
	}
	if got := permits + c.Len(); got != c.capacity {
		t.Errorf("permits %d + Len %d = %d, want the capacity, %d", permits, c.Len(), got, c.capacity)
	}
	free, magazines, retired := nodeCount(c)
	if got, want := free+magazines+retired+c.Len(), int(c.arena.made.Load()); got != want {
		t.Errorf("free %d + magazines %d + retired %d + Len %d = %d nodes, want the %d made",
			free, magazines, retired, c.Len(), got, want)
	}
}

// Guards the list operations: fails if prepend, join, push, release or take
// loses a link or miscounts.
func TestArenaLists(t *testing.T) {
	a, _ := arenaOf[uint64, uint64](100)
	l := a.makeFresh(5, 100)
	if got, want := a.slotsOf(l), []uint32{1, 2, 3, 4, 5}; !slices.Equal(got, want) {
		t.Fatalf("makeFresh gave %v, want %v", got, want)
	}
	m := a.makeFresh(3, 100)
	if got, want := a.slotsOf(a.join(m, l)), []uint32{6, 7, 8, 1, 2, 3, 4, 5}; !slices.Equal(got, want) {
		t.Fatalf("join gave %v, want %v", got, want)
	}
	if a.join(0, l) != l || a.join(l, 0) != l || a.join(0, 0) != 0 {
		t.Error("join with an empty list changes the other")
	}
	a.release(nodeList(uint64(8)<<32 | uint64(m.head())))
	first := a.take(3)
	if got, want := a.slotsOf(first), []uint32{6, 7, 8}; !slices.Equal(got, want) {
		t.Fatalf("take(3) gave %v, want %v", got, want)
	}
	rest := a.take(100)
	if got, want := a.slotsOf(rest), []uint32{1, 2, 3, 4, 5}; !slices.Equal(got, want) {
		t.Fatalf("take(100) gave %v, want %v", got, want)
	}
	if got := a.take(1); got != 0 {
		t.Fatalf("take of an empty stack gave %v, want none", a.slotsOf(got))
	}
	var stack atomic.Uint64
	a.push(&stack, first)
	a.push(&stack, rest)
	if got, want := a.slotsOf(nodeList(stack.Load())), []uint32{1, 2, 3, 4, 5, 6, 7, 8}; !slices.Equal(got, want) {
		t.Fatalf("two pushes gave %v, want %v", got, want)
	}
}

// Guards the limit of makeFresh, and that slot 0 names no node: fails if last
// is not bounded by limit, or counting starts at 0.
func TestArenaMakeFreshToItsLimit(t *testing.T) {
	a, _ := arenaOf[uint64, uint64](20_000)
	seen := make(map[uint32]bool)
	for {
		l := a.makeFresh(7, 9_999)
		if l == 0 {
			break
		}
		for _, s := range a.slotsOf(l) {
			if s == 0 || s > 9_999 || seen[s] {
				t.Fatalf("slot %d given, want 1 to 9999, each once", s)
			}
			if stateLive(a.header(s).state.Load()) {
				t.Fatalf("fresh slot %d is live", s)
			}
			seen[s] = true
		}
	}
	if len(seen) != 9_999 {
		t.Errorf("%d slots given, want 9999", len(seen))
	}
	if got := a.makeFresh(1, 10_000); got.head() != 10_000 {
		t.Errorf("makeFresh after a higher limit gave slot %d, want 10000", got.head())
	}
}

// Guards against ABA in take (the counter in free) and against walking links
// that are policy words (I3): each slot has one owner at a time.
func TestArenaConcurrentTakeAndRelease(t *testing.T) {
	const slots = 12
	a, _ := arenaOf[uint64, uint64](slots)
	a.release(a.makeFresh(slots, slots))
	rounds := 100_000
	if debug {
		rounds = 10_000
	}
	var owned [slots + 1]atomic.Int32
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range rounds {
				list := a.slotsOf(a.take(1 + (i+g)%4))
				for _, s := range list {
					if s == 0 || owned[s].Add(1) != 1 {
						t.Errorf("slot %d taken twice", s)
						return
					}
					a.link(s).Store(firstPolicy | uint32(i)&maxRank)
				}
				var back nodeList
				for _, s := range list {
					owned[s].Add(-1)
				}
				for _, s := range list {
					back = a.prepend(back, s)
				}
				if back != 0 {
					a.release(back)
				}
			}
		}()
	}
	wg.Wait()
	rest := a.slotsOf(a.take(slots + 1))
	slices.Sort(rest)
	if got, want := len(slices.Compact(rest)), slots; got != want {
		t.Errorf("%d slots left, want %d", got, want)
	}
}

func checkAddresses[K comparable, V any](t *testing.T, total int) {
	t.Helper()
	a, blocks := arenaOf[K, V](total)
	size := unsafe.Sizeof(node[K, V]{})
	var at0 []uintptr
	for n := 0; n < total; {
		l := a.makeFresh(3, total)
		for _, s := range a.slotsOf(l) {
			p := uintptr(unsafe.Pointer(at[K, V](a, s)))
			if h := uintptr(unsafe.Pointer(a.header(s))); h != p {
				t.Fatalf("size %d: slot %d: header at %x, node at %x", size, s, h, p)
			}
			if !slices.ContainsFunc(*blocks, func(b memoryBlock) bool { return b.from <= p && p+size <= b.to }) {
				t.Fatalf("size %d: slot %d is outside its block", size, s)
			}
			at0 = append(at0, p)
		}
		n += l.len()
	}
	slices.Sort(at0)
	for i := 1; i < len(at0); i++ {
		if at0[i]-at0[i-1] < size {
			t.Fatalf("size %d: two nodes are %d bytes apart", size, at0[i]-at0[i-1])
		}
	}
}

// Guards the arithmetic of at, header, slabShift and makeSlab, the end of the
// last slab included: nodes neither overlap nor leave their block.
func TestArenaAddresses(t *testing.T) {
	checkAddresses[uint8, uint8](t, 10_000)
	checkAddresses[uint64, uint64](t, 4096)
	checkAddresses[uint64, uint64](t, 8191)
	checkAddresses[uint64, [48]byte](t, 5000)
	checkAddresses[uint64, [100]byte](t, 3001)
	checkAddresses[string, [200]byte](t, 2049)
	checkAddresses[uint64, [1000]byte](t, 300)
	checkAddresses[uint64, [8000]byte](t, 100)
	checkAddresses[uint64, [200_000]byte](t, 9)
}

// Guards the size classes of slabs: a slab takes at most about slabBytes.
func TestSlabShift(t *testing.T) {
	for _, size := range []uintptr{24, 32, 33, 64, 65, 128, 129, 256, 257, 1024, 1025, 8192, 8193, 1 << 20} {
		if got := size << slabShift(size); got > slabBytes && slabShift(size) != 0 {
			t.Errorf("a slab of nodes of %d bytes takes %d, want at most %d", size, got, slabBytes)
		}
	}
}

func heapNow() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Guards "memory is taken as entries come": fails if makeSlab or makeHome
// starts with a whole chunk.
func TestLargeCapacityStartsSmall(t *testing.T) {
	before := heapNow()
	c := Must(Config[uint64, uint64]{Capacity: 10_000_000})
	for i := range uint64(10) {
		c.Set(i, i)
	}
	got := heapNow() - before
	if got >= 2<<20 {
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

// Guards clearNode and unfill: what a key and a value refer to is collectable
// once the entry has left and Sync has returned. Each way out has its case.
func TestRemovedEntriesAreCollectable(t *testing.T) {
	type big struct{ _ [64]byte }
	cases := []struct {
		name  string
		leave func(c *Cache[string, *big], key string)
	}{
		{"delete", func(c *Cache[string, *big], key string) { c.Delete(key) }},
		{"clear", func(c *Cache[string, *big], key string) { c.Clear() }},
		{"evict", func(c *Cache[string, *big], key string) {
			for i := range 400 {
				c.Set(strings.Repeat("x", i), nil)
			}
		}},
		{"update with deadline, delete", func(c *Cache[string, *big], key string) {
			c.SetWithTTL(key, nil, time.Hour) // a replacement
			v := new(big)
			c.SetWithTTL(key, v, time.Hour) // in place, by way of a filled spare
			c.Delete(key)
		}},
		{"negative TTL", func(c *Cache[string, *big], key string) { c.SetWithTTL(key, nil, -1) }},
		{"close", func(c *Cache[string, *big], key string) { c.Close() }},
	}
	for _, test := range cases {
		c, _, err := NewHeadless(Config[string, *big]{Capacity: 100})
		if err != nil {
			t.Fatal(err)
		}
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
		if !collected(&keyGone) {
			t.Errorf("%s: the key is still referred to", test.name)
		}
		runtime.KeepAlive(c)
	}
}

// Guards unfill by itself: a spare node that was filled for an update that
// took place in the old node does not keep what it was filled with.
func TestUnusedSpareIsCleaned(t *testing.T) {
	type big struct{ _ [64]byte }
	c, _, err := NewHeadless(Config[uint64, *big]{Capacity: 100})
	if err != nil {
		t.Fatal(err)
	}
	var gone atomic.Bool
	func() {
		value := new(big)
		runtime.AddCleanup(value, func(f *atomic.Bool) { f.Store(true) }, &gone)
		c.SetWithTTL(1, new(big), time.Hour)
		c.SetWithTTL(1, value, time.Hour) // in place
		c.SetWithTTL(1, new(big), time.Hour)
	}()
	if !collected(&gone) {
		t.Error("an overwritten value is still referred to")
	}
	runtime.KeepAlive(c)
}

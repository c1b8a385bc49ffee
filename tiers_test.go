package dualcache

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"unsafe"
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

// randomTags makes the tags of one bucket: 7-bit values, few of them.
func randomTags(r *rand.Rand) (tags, ctrl uint64, list [bucketPlaces]byte) {
	for i := range list {
		switch r.IntN(4) {
		case 0:
		case 1:
			list[i] = byte(r.IntN(3) + 1)
		default:
			list[i] = byte(r.IntN(128))
		}
		if i < placesInTags {
			tags |= uint64(list[i]) << (8 * i)
		} else {
			ctrl |= uint64(list[i]) << (8 * (i - placesInTags))
		}
	}
	return tags, ctrl | uint64(r.Uint32())<<32, list
}

// Guards match, position and broadcast against a loop over bytes: fails with
// any of the masks changed. The upper half of ctrl is noise on purpose.
func TestMatchIsExact(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 2000 {
		tags, ctrl, list := randomTags(r)
		for low := range uint64(128) {
			tag := broadcast(r.Uint64()&^0x7f | low)
			if tag != tag&0xff*everyByte || tag&0xff == 0 || tag&0xff > 127 {
				t.Fatalf("broadcast(%d) = %x, want one byte of 1 to 127 in all eight", low, tag)
			}
			var got, want uint
			for m := match(tags, ctrl, tag); m != 0; m &= m - 1 {
				p := position(m)
				if got&(1<<p) != 0 {
					t.Fatalf("position %d twice", p)
				}
				got |= 1 << p
			}
			for i, b := range list {
				if b == byte(tag) {
					want |= 1 << i
				}
			}
			if got != want {
				t.Fatalf("tags %x ctrl %x tag %x: places %b, want %b", tags, ctrl, byte(tag), got, want)
			}
		}
	}
}

// Guards freePlace and setTag: fails if a taken place is called free, a free
// one missed, or a neighbour's tag or the control bits change.
func TestFreePlaceAndSetTag(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for range 20_000 {
		tags, ctrl, list := randomTags(r)
		var b bucket
		b.tags.Store(tags)
		b.ctrl.Store(ctrl)
		full := true
		for _, x := range list {
			full = full && x != 0
		}
		p, ok := b.freePlace()
		if ok == full || ok && list[p.i] != 0 {
			t.Fatalf("freePlace of %v = %d, %v", list, p.i, ok)
		}
		i, tag := r.IntN(bucketPlaces), byte(r.IntN(128))
		b.setTag(i, uint64(tag)*everyByte)
		list[i] = tag
		for j, want := range list {
			got := byte(b.tags.Load() >> (8 * j))
			if j >= placesInTags {
				got = byte(b.ctrl.Load() >> (8 * (j - placesInTags)))
			}
			if got != want {
				t.Fatalf("tag %d = %d after setTag(%d), want %d", j, got, i, want)
			}
		}
		if got, want := b.ctrl.Load()>>32, ctrl>>32; got != want {
			t.Fatalf("control bits %x after setTag, want %x", got, want)
		}
	}
}

// eachBucket visits every bucket there is, with whether it is a home.
func eachBucket(x *index, f func(b *bucket, home bool)) {
	for i := range x.segments {
		segment := x.segment(uint64(i))
		for j := uint64(0); segment != nil && j < x.homes+x.pool; j++ {
			f((*bucket)(unsafe.Add(segment, uintptr(j)*bucketBytes)), j < x.homes)
		}
	}
}

// checkIndexEmpty fails unless every bucket is as it was when it was made.
func checkIndexEmpty(t *testing.T, x *index) {
	t.Helper()
	bad := 0
	eachBucket(x, func(b *bucket, home bool) {
		if b.tags.Load() != 0 || b.ctrl.Load() != 0 {
			bad++
		}
		for i := range b.slots {
			if b.slots[i].Load() != 0 {
				bad++
			}
		}
	})
	if bad != 0 {
		t.Errorf("%d words of an empty index are not zero", bad)
	}
}

// chainLength counts the buckets behind a hash's home, the home not included.
func chainLength(x *index, hash uint64) (n int) {
	for b := x.home(hash); b.ctrl.Load()&ctrlLink != 0; n++ {
		b = b.next(b.ctrl.Load())
	}
	return n
}

// Guards G1, G2, G3 and rule 16 under a hasher of eight values, where every
// operation works in long chains: never a wrong value, what was just set is
// there, Len is bounded, and permits and nodes are conserved. Fails without
// the key comparison in find or locate, or if unlinkLowest forgets its permit.
func TestDegenerateHasherAgainstModel(t *testing.T) {
	for _, capacity := range []int{20, 150, 1000, 5000} {
		c := headless(t, Config[uint64, uint64]{Capacity: capacity, Hasher: func(k uint64) uint64 { return k % 8 }})
		r := rand.New(rand.NewPCG(3, uint64(capacity)))
		model := make(map[uint64]uint64)
		steps := 60_000
		if debug {
			steps = 15_000
		}
		for i := range uint64(steps) {
			k := r.Uint64N(700)
			switch r.IntN(8) {
			case 0, 1, 2:
				c.Set(k, i)
				model[k] = i
				if v, ok := c.Get(k); !ok || v != i {
					t.Fatalf("capacity %d: Get(%d) just after Set = %d, %v, want %d", capacity, k, v, ok, i)
				}
			case 3:
				_, had := model[k]
				if c.Delete(k) && !had {
					t.Fatalf("capacity %d: Delete(%d) = true for an absent key", capacity, k)
				}
				delete(model, k)
			default:
				v, ok := c.Get(k)
				if want, had := model[k]; ok && (!had || v != want) {
					t.Fatalf("capacity %d: Get(%d) = %d, want %d, %v", capacity, k, v, want, had)
				} else if !ok {
					delete(model, k) // evicted: it must not come back
				}
			}
			if n := c.Len(); n > capacity {
				t.Fatalf("Len = %d, want at most %d", n, capacity)
			}
			if i%5000 == 0 {
				checkConserved(t, c)
			}
		}
		checkConserved(t, c)
		c.Clear()
		c.Sync()
		if n := c.Len(); n != 0 {
			t.Errorf("Len = %d after Clear, want 0", n)
		}
		checkConserved(t, c)
		checkIndexEmpty(t, &c.index)
	}
}

// Guards I4, rule 16 and trap 11 with the ordinary hash: permits and nodes are
// conserved through growth, eviction, deletion and Clear.
func TestConservation(t *testing.T) {
	for _, capacity := range []int{1, 2, 10, 100, 3000, 20_000} {
		c := headless(t, Config[uint64, string]{Capacity: capacity})
		r := rand.New(rand.NewPCG(4, uint64(capacity)))
		for round := range 3 {
			for range 2 * capacity {
				k := r.Uint64N(uint64(3 * capacity))
				c.Set(k, "value")
				if r.IntN(4) == 0 {
					c.Delete(r.Uint64N(uint64(3 * capacity)))
				}
			}
			checkConserved(t, c)
			c.Clear()
			c.Sync()
			if n := c.Len(); n != 0 {
				t.Errorf("capacity %d, round %d: Len = %d after Clear, want 0", capacity, round, n)
			}
			checkConserved(t, c)
			checkIndexEmpty(t, &c.index)
		}
	}
}

// Guards I3: chains grow with their keys and shrink without them, and every
// overflow bucket goes back to the pool. Fails without shorten in clear.
func TestChainsLengthenAndShorten(t *testing.T) {
	c := headless(t, Config[uint64, uint64]{Capacity: 4000, Hasher: func(k uint64) uint64 { return k / 1000 }})
	for k := range uint64(40) {
		c.Set(k, k)
	}
	hash := c.hash(0)
	if got := chainLength(&c.index, hash); got != 3 {
		t.Errorf("40 keys of one hash have %d overflow buckets, want 3", got)
	}
	owned := 0
	eachBucket(&c.index, func(b *bucket, home bool) {
		if b.ctrl.Load()&ctrlOwned != 0 {
			owned++
		}
	})
	if owned != 3 {
		t.Errorf("%d buckets are owned, want 3", owned)
	}
	// From the middle: a bucket in the middle stays, the last ones go.
	for k := range uint64(40) {
		k = (k + 20) % 40
		if !c.Delete(k) {
			t.Fatalf("Delete(%d) = false, want true", k)
		}
		for j := range uint64(40) {
			_, ok := c.Get(j)
			if want := (j+20)%40 > (k+20)%40; ok != want {
				t.Fatalf("after Delete(%d): Get(%d) found = %v, want %v", k, j, ok, want)
			}
		}
	}
	checkIndexEmpty(t, &c.index)
	checkConserved(t, c)
}

// Guards I4 and trap 4: when a chain is full, the newcomer takes the place of
// one of its own chain; keys of other homes stay, and nothing leaks. Fails if
// insert gives up, evicts elsewhere, or unlinkLowest does not look at ranks.
func TestFullChainEvictsItsOwn(t *testing.T) {
	c := headless(t, Config[uint64, uint64]{Capacity: 1000, Hasher: func(k uint64) uint64 { return k >> 32 }})
	other := uint64(1)
	for c.index.home(c.hash(other<<32)) == c.index.home(c.hash(0)) {
		other++
	}
	for i := range uint64(10) {
		c.Set(other<<32|i, i)
	}
	c.Set(0, 0)
	for range 3 {
		c.Get(0) // the highest rank of its chain
	}
	const added = 500
	for k := uint64(1); k < added; k++ {
		c.Set(k, k)
		if v, ok := c.Get(k); !ok || v != k {
			t.Fatalf("Get(%d) = %d, %v just after Set", k, v, ok)
		}
	}
	for i := range uint64(10) {
		if v, ok := c.Get(other<<32 | i); !ok || v != i {
			t.Errorf("key %d of another home: %d, %v, want it untouched", i, v, ok)
		}
	}
	if got, want := c.Len(), 10+evictionPlaces; got != want {
		t.Errorf("Len = %d, want %d", got, want)
	}
	if got, want := c.Stats().Evictions, uint64(added-evictionPlaces); got != want {
		t.Errorf("Evictions = %d, want %d", got, want)
	}
	checkConserved(t, c)
}

// Guards claim where the pool is empty before the chains are at their longest:
// one of the own chain leaves, overflow buckets are owned once.
func TestPoolExhaustion(t *testing.T) {
	c := headless(t, Config[uint64, uint64]{Capacity: 1000, Hasher: func(k uint64) uint64 { return k % 40 }})
	for k := range uint64(990) {
		c.Set(k, k)
		if v, ok := c.Get(k); !ok || v != k {
			t.Fatalf("Get(%d) = %d, %v just after Set", k, v, ok)
		}
	}
	used := map[*bucket]int{}
	eachBucket(&c.index, func(b *bucket, home bool) {
		for n := 0; home && b.ctrl.Load()&ctrlLink != 0; n++ {
			b = b.next(b.ctrl.Load())
			used[b]++
			if used[b] > 1 || n >= maxChain {
				t.Fatal("an overflow bucket is in two chains, or a chain too long")
			}
		}
	})
	if got := uint64(len(used)); got > c.index.pool*c.index.count {
		t.Errorf("%d overflow buckets in use, want at most %d", got, c.index.pool)
	}
	if c.Stats().Evictions == 0 {
		t.Error("no evictions: the pool was not exhausted")
	}
	checkConserved(t, c)
	c.Clear()
	checkIndexEmpty(t, &c.index)
	checkConserved(t, c)
}

// Guards I5 and trap 4: no tombstones. After a million distinct keys have come
// and gone the index is as new, and so misses cost what they cost at first.
func TestNoTombstones(t *testing.T) {
	c := headless(t, Config[uint64, uint64]{Capacity: 500})
	n := uint64(1_000_000)
	if debug {
		n = 50_000
	}
	for k := range n {
		c.Set(k, k)
		if k >= 100 {
			if !c.Delete(k - 100) {
				t.Fatalf("Delete(%d) = false, want true", k-100)
			}
		}
	}
	for k := n - 100; k < n; k++ {
		c.Delete(k)
	}
	if got := c.Len(); got != 0 {
		t.Errorf("Len = %d, want 0", got)
	}
	checkIndexEmpty(t, &c.index)
	checkConserved(t, c)
}

func testEqualHashes[K comparable](t *testing.T, key func(int) K) {
	c := headless(t, Config[K, int]{Capacity: 1000, Hasher: func(K) uint64 { return 7 }})
	for i := range 40 {
		c.Set(key(i), i)
	}
	for i := range 40 {
		if v, ok := c.Get(key(i)); !ok || v != i {
			t.Errorf("Get(%d) = %d, %v", i, v, ok)
		}
	}
	if _, ok := c.Get(key(1000)); ok {
		t.Error("Get of an absent key with the hash of others finds something")
	}
	if c.Delete(key(1000)) {
		t.Error("Delete of an absent key with the hash of others removes something")
	}
	for i := 1; i < 40; i += 2 {
		c.Delete(key(i))
		c.Set(key(i-1), -i)
	}
	for i := range 40 {
		v, ok := c.Get(key(i))
		if want := i%2 == 0; ok != want || ok && v != -i-1 {
			t.Errorf("Get(%d) = %d, %v, want %d, %v", i, v, ok, -i-1, want)
		}
	}
	if n := c.Len(); n != 20 {
		t.Errorf("Len = %d, want 20", n)
	}
}

// Guards trap 3: a tag, and even a whole hash, is not the key. Fails without
// the key comparison in Get, find or locate.
func TestEqualHashesOfDifferentKeys(t *testing.T) {
	t.Run("uint64", func(t *testing.T) { testEqualHashes(t, func(i int) uint64 { return uint64(i) }) })
	t.Run("string", func(t *testing.T) { testEqualHashes(t, func(i int) string { return fmt.Sprint("key", i) }) })
}

// tierWords gives the words of both tiers that name a hash, or 0.
func tierWords[K comparable, V any](c *Cache[K, V], hash uint64) (t1, t2 uint64) {
	t1, t2 = c.t1.word(hash).Load(), c.t2.word(hash).Load()
	if t1>>32 != hash&0xffffffff {
		t1 = 0
	}
	if t2>>32 != hash&0xffffffff {
		t2 = 0
	}
	return t1, t2
}

// promoteKey reads a key until it is in both tiers. It lowers the entry's rank
// before, as the hand would: a replacement inherits the rank, and hits on an
// entry of the highest rank are not recorded.
func promoteKey[K comparable, V any](t *testing.T, c *Cache[K, V], key K) {
	t.Helper()
	home := c.index.home(c.hash(key))
	if _, slot := c.locate(home, c.hash(key), key); slot != 0 {
		c.arena.header(slot).policy.And(^uint32(rankBits))
	}
	for range maxRank {
		c.Get(key)
	}
	c.Sync()
	if t1, t2 := tierWords(c, c.hash(key)); t1 == 0 || t2 == 0 {
		t.Fatalf("words of a hot key in T1 and T2: %x, %x, want both", t1, t2)
	}
}

func testTiers[V comparable](t *testing.T, value func(int) V) {
	c := headless(t, Config[uint64, V]{Capacity: 100, T1Slots: 64, T2Slots: 256})
	c.Set(1, value(1))
	c.Get(1)
	c.Sync()
	if t1, t2 := tierWords(c, c.hash(1)); t1 != 0 || t2 == 0 {
		t.Errorf("words after one hit: %x in T1, %x in T2, want it in T2 alone", t1, t2)
	}
	c.Get(1)
	if s := c.Stats(); s.HitsT1 != 0 || s.HitsT2 != 1 {
		t.Errorf("HitsT1 %d, HitsT2 %d, want 0, 1", s.HitsT1, s.HitsT2)
	}
	promoteKey(t, c, 1)
	before := c.Stats()
	c.Get(1)
	if s := c.Stats().Sub(before); s.HitsT1 != 1 || s.HitsT2 != 0 || s.Hits != 1 {
		t.Errorf("HitsT1 %d, HitsT2 %d, Hits %d, want 1, 0, 1", s.HitsT1, s.HitsT2, s.Hits)
	}

	// Trap 1: an update is seen at once, in T1 and after it.
	for i := range 50 {
		c.Set(1, value(i))
		if v, ok := c.Get(1); !ok || v != value(i) {
			t.Fatalf("Get after update %d of a promoted key = %v, %v", i, v, ok)
		}
		if w1, w2 := tierWords(c, c.hash(1)); c.valueKind == valueFixed && w1|w2 != 0 {
			t.Fatalf("words after a replacement: %x, %x, want none", w1, w2)
		}
		if i%3 == 0 {
			c.Sync() // the nodes of the old values are given out again
		}
		if i%5 == 0 {
			promoteKey(t, c, 1)
		}
	}

	// Delete: gone, and out of both tiers.
	promoteKey(t, c, 1)
	hash := c.hash(1)
	t1, t2 := tierWords(c, hash)
	if !c.Delete(1) {
		t.Error("Delete of a promoted key = false, want true")
	}
	if w1, w2 := tierWords(c, hash); w1 != 0 || w2 != 0 {
		t.Errorf("words after Delete: %x, %x, want none", w1, w2)
	}
	if v, ok := c.Get(1); ok {
		t.Errorf("Get after Delete = %v", v)
	}
	// A stale word proves nothing: readers look at the mark.
	c.t1.word(hash).Store(t1)
	c.t2.word(hash).Store(t2)
	if v, ok := c.Get(1); ok {
		t.Errorf("Get by way of a stale word = %v", v)
	}
	c.t1.word(hash).Store(0)
	c.t2.word(hash).Store(0)

	// Eviction and Clear.
	for _, leave := range []func(){func() {
		for k := range uint64(2000) {
			c.Set(1000+k, value(0))
		}
	}, c.Clear} {
		c.Set(1, value(1))
		promoteKey(t, c, 1)
		leave()
		if w1, w2 := tierWords(c, hash); w1 != 0 || w2 != 0 {
			t.Errorf("words of an entry that left: %x, %x, want none", w1, w2)
		}
		if v, ok := c.Get(1); ok {
			t.Errorf("Get of an entry that left = %v", v)
		}
	}
	c.Sync()
	for _, tier := range []*tier{&c.t1, &c.t2} {
		for i := range tier.words {
			if w := tier.words[i].Load(); w != 0 {
				t.Errorf("a tier of an empty cache holds %x", w)
			}
		}
	}
	checkConserved(t, c)
}

// Guards trap 1 and rules 5 and 6, with the tiers forced on, for values that
// change in place and values that take a new node. Fails without repairTiers
// in replace or takeOut, or without the look at state in lookTier.
func TestTiers(t *testing.T) {
	t.Run("word", func(t *testing.T) { testTiers(t, func(i int) uint64 { return uint64(i) }) })
	t.Run("string", func(t *testing.T) { testTiers(t, func(i int) string { return fmt.Sprint("value", i) }) })
}

// Guards G1 with tiers against a map model: fails if any path leaves a word in
// a tier that outlives its entry.
func TestTiersAgainstModel(t *testing.T) {
	c := headless(t, Config[uint64, string]{Capacity: 200, T1Slots: 16, T2Slots: 64})
	r := rand.New(rand.NewPCG(5, 5))
	model := map[uint64]string{}
	for i := range 60_000 {
		k := uint64(r.ExpFloat64() * 60)
		switch r.IntN(12) {
		case 0:
			model[k] = fmt.Sprint(i)
			c.Set(k, model[k])
		case 1:
			c.Delete(k)
			delete(model, k)
		case 2:
			c.Sync()
		default:
			v, ok := c.Get(k)
			if want, had := model[k]; ok && (!had || v != want) {
				t.Fatalf("Get(%d) = %q, want %q, %v", k, v, want, had)
			} else if !ok {
				delete(model, k)
			}
		}
	}
	if s := c.Stats(); s.HitsT1 == 0 || s.HitsT2 == 0 {
		t.Errorf("HitsT1 %d, HitsT2 %d, want some of both", s.HitsT1, s.HitsT2)
	}
	checkConserved(t, c)
}

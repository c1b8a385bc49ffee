package dualcache

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"testing"
)

// randomHead makes a head of few different tags, with noise above them, and gives
// its bytes.
func randomHead(r *rand.Rand) (head uint64, list [bucketPlaces]byte) {
	head = uint64(r.Uint32()) << marksShift
	for i := range list {
		switch r.IntN(4) {
		case 0:
		case 1:
			list[i] = byte(r.IntN(3)) | liveBit
		default:
			list[i] = byte(r.IntN(128)) | liveBit
		}
		head |= uint64(list[i]) << (8 * i)
	}
	return head, list
}

// Guards match, position and broadcast against a loop over bytes: fails with any of
// the masks changed (shown for the carry: without everyLowBits in match's sum).
func TestMatchIsExact(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 2000 {
		head, list := randomHead(r)
		for low := range uint64(128) {
			hash := r.Uint64()&^(everyTagBit<<25) | low<<25
			tag := broadcast(hash)
			if want := (low | liveBit) * everyByte; tag != want || tagOf(hash) != want&tagBits {
				t.Fatalf("broadcast %x, tag %x, want %x", tag, tagOf(hash), want)
			}
			var got, want uint
			for m := match(head, tag); m != 0; m &= m - 1 {
				if p := position(m); got&(1<<p) != 0 || p >= bucketPlaces {
					t.Fatalf("position %d of head %x", p, head)
				}
				got |= 1 << position(m)
			}
			for i, b := range list {
				if b == byte(tag) {
					want |= 1 << i
				}
			}
			if got != want {
				t.Fatalf("head %x tag %x: places %b, want %b", head, byte(tag), got, want)
			}
		}
	}
}

// Guards live, empty, hasTag, withTag and mark: fails if one of them changes a
// neighbour's tag, or the bits above the tags but the due bit of its place.
func TestTagWords(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for range 20_000 {
		head, list := randomHead(r)
		i, tag := r.IntN(bucketPlaces), uint64(r.IntN(128))|liveBit
		if r.IntN(3) == 0 {
			tag = 0
		}
		next := withTag(head, i, tag)
		list[i] = byte(tag)
		if next>>marksShift != head&^dueBit(i)>>marksShift {
			t.Fatalf("withTag changes the bits above: %x, want %x", next>>marksShift, head>>marksShift)
		}
		if live(next)|empty(next) != everyHighBit || live(next)&empty(next) != 0 {
			t.Fatalf("head %x: live %x, empty %x", next, live(next), empty(next))
		}
		for j, b := range list {
			if byte(next>>(8*j)) != b || hasTag(next, j) != (b != 0) || live(next)>>(8*j+7)&1 != uint64(b>>7) {
				t.Fatalf("place %d of head %x: want tag %x", j, next, b)
			}
		}
	}
	seen := uint64(headLock | headMoved | 1<<marksShift - 1)
	for d := 1; d <= maxDistance; d++ {
		if m := mark(d); bits.OnesCount64(m) != 1 || seen&m != 0 || bits.TrailingZeros64(m>>marksShift&marksMask)+1 != d {
			t.Errorf("mark(%d) = %x", d, m)
		}
		seen |= mark(d)
	}
}

// Guards G1, G2, G3 and rule 16 under a hasher of eight values, where most entries
// lie away from their home: never a wrong value, what was just set is there, marks
// are exact, and permits are conserved. Fails without the key comparison in search
// or locate (shown for search), without othersAt (shown: a mark goes while entries
// are there), and without the permit of makePlace's victim (shown).
func TestDegenerateHasherAgainstModel(t *testing.T) {
	for _, capacity := range []int{20, 150, 1000, 5000} {
		c := headless(t, Config[uint64, string]{Capacity: capacity, Hasher: func(k uint64) uint64 { return k % 8 }})
		r := rand.New(rand.NewPCG(3, uint64(capacity)))
		model := make(map[uint64]string)
		steps := 30_000
		if debug || testing.Short() {
			steps = 6000
		}
		for i := range uint64(steps) {
			k := r.Uint64N(700)
			switch r.IntN(8) {
			case 0, 1, 2:
				model[k] = fmt.Sprint(i)
				c.Set(k, model[k])
				if v, ok := c.Get(k); !ok || v != model[k] {
					t.Fatalf("capacity %d: Get(%d) just after Set = %q, %v, want %q", capacity, k, v, ok, model[k])
				}
			case 3:
				if _, had := model[k]; c.Delete(k) && !had {
					t.Fatalf("capacity %d: Delete(%d) = true for an absent key", capacity, k)
				}
				delete(model, k)
			default:
				v, ok := c.Get(k)
				if want, had := model[k]; ok && (!had || v != want) {
					t.Fatalf("capacity %d: Get(%d) = %q, want %q, %v", capacity, k, v, want, had)
				} else if !ok {
					delete(model, k) // evicted: it must not come back
				}
			}
			if n := c.Len(); n > capacity {
				t.Fatalf("Len = %d, want at most %d", n, capacity)
			}
			if i%3000 == 0 {
				invariants(t, c)
			}
		}
		invariants(t, c)
		c.Clear()
		invariants(t, c)
		emptyIndex(t, c)
	}
}

// Guards trap 4: no tombstones. After many distinct keys have come and gone the
// index is as new. Fails if takeOut leaves a mark (shown).
func TestNoTombstones(t *testing.T) {
	c := headless(t, Config[uint64, uint64]{Capacity: 500})
	n := uint64(1_000_000)
	if debug || testing.Short() {
		n = 50_000
	}
	for k := range n {
		c.Set(k, k)
		if k >= 400 {
			c.Delete(k - 400)
		}
	}
	for k := range uint64(400) {
		c.Delete(n - 400 + k)
	}
	if got := c.Len(); got != 0 {
		t.Errorf("Len = %d, want 0", got)
	}
	emptyIndex(t, c)
	invariants(t, c)
}

func testEqualHashes[K comparable](t *testing.T, key func(int) K) {
	c := headless(t, Config[K, int]{Capacity: 1000, Hasher: func(K) uint64 { return 7 }})
	const keys = 40
	for i := range keys {
		c.Set(key(i), i)
	}
	for i := range keys {
		if v, ok := c.Get(key(i)); !ok || v != i {
			t.Errorf("Get(%d) = %d, %v", i, v, ok)
		}
	}
	if v, ok := c.Get(key(1000)); ok {
		t.Errorf("Get of an absent key with the hash of others = %d", v)
	}
	if c.Delete(key(1000)) {
		t.Error("Delete of an absent key with the hash of others removes something")
	}
	for i := 1; i < keys; i += 2 {
		c.Delete(key(i))
		c.Set(key(i-1), -i)
	}
	for i := range keys {
		v, ok := c.Get(key(i))
		if want := i%2 == 0; ok != want || ok && v != -i-1 {
			t.Errorf("Get(%d) = %d, %v, want %d, %v", i, v, ok, -i-1, want)
		}
	}
	if n := c.Len(); n != keys/2 {
		t.Errorf("Len = %d, want %d", n, keys/2)
	}
	invariants(t, c)
}

// Guards trap 3: a tag, and even a whole hash, is not the key. Fails without the
// key comparison in Get, search or locate (shown for search and locate).
func TestEqualHashesOfDifferentKeys(t *testing.T) {
	t.Run("uint64", func(t *testing.T) { testEqualHashes(t, func(i int) uint64 { return uint64(i) }) })
	t.Run("string", func(t *testing.T) { testEqualHashes(t, func(i int) string { return fmt.Sprint("key", i) }) })
}

// tierWords gives the words of both tiers that are of a hash, or 0.
func tierWords[K comparable, V any](c *Cache[K, V], hash uint64) (t1, t2 uint64) {
	low := uint32(hash)
	t1, t2 = c.t1.word(low).Load(), c.t2.word(low).Load()
	if t1>>32 != uint64(low) {
		t1 = 0
	}
	if t2>>32 != uint64(low) {
		t2 = 0
	}
	return t1, t2
}

// promoteKey reads a key until it is in both tiers. A hit in the first is not told,
// so what is there of it, or of another key, goes before.
func promoteKey[K comparable, V any](t *testing.T, c *Cache[K, V], key K) {
	t.Helper()
	low := uint32(c.hash(key))
	c.t1.word(low).Store(0)
	c.t2.word(low).Store(0)
	for range maxRank + 2 {
		c.Get(key)
		c.Sync()
	}
	if t1, t2 := tierWords(c, c.hash(key)); t1 == 0 || t2 == 0 {
		t.Fatalf("words of a hot key in T1 and T2: %x, %x, want both", t1, t2)
	}
}

func testTiers[V comparable](t *testing.T, value func(int) V) {
	c := headless(t, Config[uint64, V]{Capacity: 100, T1Slots: 64, T2Slots: 256})
	hash := c.hash(1)
	c.Set(1, value(1))
	promoteKey(t, c, 1)
	before := c.Stats()
	c.Get(1)
	if s := c.Stats().Sub(before); s.HitsT1 != 1 || s.HitsT2 != 0 || s.Hits != 1 {
		t.Errorf("HitsT1 %d, HitsT2 %d, Hits %d, want 1, 0, 1", s.HitsT1, s.HitsT2, s.Hits)
	}
	// Trap 1: an update is seen at once, by way of the word of the old place too.
	for i := range 50 {
		c.Set(1, value(i))
		if v, ok := c.Get(1); !ok || v != value(i) {
			t.Fatalf("Get after update %d of a promoted key = %v, %v", i, v, ok)
		}
		if i%3 == 0 {
			c.Sync() // the places of old values are given out again
		}
		if i%5 == 0 {
			promoteKey(t, c, 1)
		}
	}
	// A stale word proves nothing.
	for name, leave := range map[string]func(){
		"delete": func() { c.Delete(1) },
		"clear":  c.Clear,
		"evict": func() {
			for lookFor(c, 1).found() {
				if c.evictNear(hash) {
					c.permits.Add(1)
				}
			}
		},
	} {
		c.Set(1, value(1))
		promoteKey(t, c, 1)
		t1, t2 := tierWords(c, hash)
		leave()
		c.t1.word(uint32(hash)).Store(t1)
		c.t2.word(uint32(hash)).Store(t2)
		if v, ok := c.Get(1); ok {
			t.Errorf("%s: Get by way of a stale word = %v", name, v)
		}
		// The place has another's entry.
		c.Sync()
		for k := range uint64(400) {
			c.Set(9000+k, value(2))
			if v, ok := c.Get(1); ok {
				t.Fatalf("%s: Get by way of a stale word = %v, another key's", name, v)
			}
		}
	}
	c.Sync()
	invariants(t, c)
}

// Guards trap 1 and rules 5 and 6, with the tiers forced on, for values that change
// in place and values that take a new place. Fails if lookTier believes a word
// (shown: without the comparison of the tag and without that of the key).
func TestTiers(t *testing.T) {
	t.Run("word", func(t *testing.T) { testTiers(t, func(i int) uint64 { return uint64(i) }) })
	t.Run("string", func(t *testing.T) { testTiers(t, func(i int) string { return fmt.Sprint("value", i) }) })
}

// Guards G1 with tiers against a map model, while the table grows too: fails if
// lookTier gives out what the index would not.
func TestTiersAgainstModel(t *testing.T) {
	for _, capacity := range []int{200, 3000} {
		c := headless(t, Config[uint64, string]{Capacity: capacity, T1Slots: 16, T2Slots: 64})
		r := rand.New(rand.NewPCG(5, 5))
		model := map[uint64]string{}
		steps := 60_000
		if debug || testing.Short() {
			steps = 20_000
		}
		for i := range steps {
			k := uint64(r.ExpFloat64() * float64(capacity) / 3)
			switch r.IntN(12) {
			case 0, 1:
				model[k] = fmt.Sprint(i)
				c.Set(k, model[k])
			case 2:
				c.Delete(k)
				delete(model, k)
			case 3:
				if r.IntN(50) == 0 {
					c.Sync()
				}
			default:
				v, ok := c.Get(k)
				if want, had := model[k]; ok && (!had || v != want) {
					t.Fatalf("Get(%d) = %q, want %q, %v", k, v, want, had)
				} else if !ok {
					delete(model, k)
				}
			}
		}
		if s := c.Stats(); s.HitsT1+s.HitsT2 == 0 {
			t.Errorf("HitsT1 %d, HitsT2 %d, want some", s.HitsT1, s.HitsT2)
		}
		invariants(t, c)
	}
}

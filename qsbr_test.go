package dualcache

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// oneHome makes a cache whose keys all have one home, in a table large enough that
// nothing is evicted.
func oneHome(t *testing.T) *Cache[uint64, versioned] {
	return headless(t, Config[uint64, versioned]{Capacity: 1000, Hasher: func(uint64) uint64 { return 5 }})
}

// Guards G6 exactly: a retired place is not written while its reader is inside, by
// whichever way writers look for places; and it is written when the reader has left.
// Fails if a place is free after one period without its readers (shown: without the
// hazards in beginGrace), if freeByHand does not look at them (shown), and if a
// stamp is not compared (shown: with free always true).
func TestRetiredPlaceWaitsForItsReader(t *testing.T) {
	c := oneHome(t)
	c.Set(1, versioned{a: 1})
	s, release := holdSection(c, 1, false, nil)
	p := placeAt[uint64, versioned](s)
	write := func(rounds uint64) (reused bool) {
		for n := range rounds {
			c.Set(1, versioned{a: 100 + n})
			if n%3 == 0 {
				c.Delete(1)
				c.Set(1, versioned{a: 100 + n})
			}
			c.advance()
			c.advance()
			if n >= rounds/2 {
				c.freeByHand(s.t, s.b, 0) // which gives new stamps
			}
			reused = reused || hasTag(s.bucket().head.Load(), s.i)
		}
		return reused
	}
	if write(200) || p.key != 1 || p.value.a != 1 {
		t.Errorf("the place of a held reader has key %d, value %v, want 1 and its own", p.key, p.value)
	}
	release()
	if !write(20) || p.value.a < 100 {
		t.Errorf("the place is not used again after its reader has left: %v", p.value)
	}
	invariants(t, c)
}

// Guards freeByHand: with a reader stopped in one bucket, and so no grace period
// that ends, the retired places of other buckets become free, and those of its own
// do not. Fails if it asks for any hazard at all, or for none (both shown).
func TestFreeByHand(t *testing.T) {
	c := oneHome(t)
	for k := range uint64(2 * bucketPlaces) {
		c.Set(k, versioned{})
	}
	s, release := holdSection(c, 0, false, nil)
	other := s.t.near(s.b, 1)
	for k := range uint64(2 * bucketPlaces) {
		c.Delete(k)
	}
	c.advance()
	if c.advance() {
		t.Error("a grace period ends while a reader is held")
	}
	count := func(b uint64) (free int) {
		for i := range bucketPlaces {
			if s.t.at(b).word(i).Load() == policyFree {
				free++
			}
		}
		return free
	}
	for _, b := range []uint64{s.b, other} {
		if n := count(b); n != 0 {
			t.Errorf("%d retired places of bucket %d are free, want 0", n, b)
		}
		c.freeByHand(s.t, b, 0)
	}
	if n := count(s.b); n != 0 {
		t.Errorf("%d places of the reader's bucket are free, want 0", n)
	}
	if n := count(other); n != bucketPlaces {
		t.Errorf("%d places of another bucket are free, want %d", n, bucketPlaces)
	}
	release()
	c.freeByHand(s.t, s.b, 0)
	if n := count(s.b); n != bucketPlaces {
		t.Errorf("%d places are free when the reader has left, want %d", n, bucketPlaces)
	}
	invariants(t, c)
}

// Guards stamp and passed: one period on from the latest that had begun, across the
// wraparound of 30 and of 32 bits. Fails without that one (shown), or if the
// difference is not taken of 30 bits (shown).
func TestStampsWrap(t *testing.T) {
	for _, start := range []uint32{0, 5, 1<<29 - 1, 1<<29 - 2, 1<<30 - 3, 1<<30 - 2, 1<<30 - 1, 1 << 30, 1<<31 - 2, 1<<32 - 3, 1<<32 - 2, 1<<32 - 1} {
		var g grace
		g.begun.Store(start)
		word := g.stamp()
		if word&(policyLive|policyRetired) != policyRetired || word == policyFree {
			t.Errorf("done %d: the stamp is %x", start, word)
		}
		for n := uint32(0); n < 1<<29; n = n*3/2 + 1 {
			g.done.Store(start + n)
			if got, want := g.passed(word), n >= 1; got != want {
				t.Errorf("done %d: passed after %d periods: %v, want %v", start, n, got, want)
			}
		}
	}
}

// Guards the same in a cache: what is retired before the wraparound is free after it.
func TestReuseAcrossTheWraparound(t *testing.T) {
	for _, start := range []uint32{1<<30 - 10, 1<<32 - 10} {
		c := headless(t, Config[uint64, string]{Capacity: 50})
		c.grace.begun.Store(start)
		c.grace.done.Store(start)
		r := rand.New(rand.NewPCG(1, 2))
		for i := range 5000 {
			k, v := r.Uint64N(80), fmt.Sprint(i)
			c.Set(k, v)
			if got, ok := c.Get(k); !ok || got != v {
				t.Fatalf("Get just after Set = %q, %v, want %q", got, ok, v)
			}
			if i%200 == 0 {
				c.Sync()
			}
		}
		if n := c.grace.done.Load() - start; n < 20 {
			t.Errorf("%d periods, want enough to pass the wraparound", n)
		}
		if n := c.Stats().Refusals; n != 0 {
			t.Errorf("%d refusals", n)
		}
		invariants(t, c)
	}
}

// Guards freeByHand against writers that look at the place meanwhile: they leave it
// pending. Fails if the age of the mark is not taken of 30 bits, or of the even
// number below it (both shown).
func TestPendingPlacesAreLeftAlone(t *testing.T) {
	c := headless(t, Config[uint64, string]{Capacity: 100})
	for _, start := range []uint32{0, 2000, 1<<30 - 4, 1 << 31, 1<<32 - 4} {
		c.pending.Store(start)
		word := new(bucketHead).word(0)
		mark := c.pending.Add(2)&stampMask | 1
		word.Store(mark)
		for range 10 {
			if c.free(word) || word.Load() != mark {
				t.Errorf("from %d: a pending place is %x, want %x", start, word.Load(), mark)
			}
			c.pending.Add(2) // others are at it as well
		}
		c.pending.Add(2 * maxWorkers) // it was left so
		if c.free(word) || word.Load()&policyRetired == 0 {
			t.Errorf("from %d: an old pending place is %x, want a stamp", start, word.Load())
		}
	}
}

// Guards the wipe in freeByHand: what it makes free, the pass passes over. Fails
// without it (shown).
func TestFreeByHandWipes(t *testing.T) {
	c := headless(t, Config[uint64, string]{Capacity: 100})
	c.Set(1, "value")
	s := lookFor(c, 1)
	c.Delete(1)
	c.freeByHand(s.t, s.b, 0)
	if p := placeAt[uint64, string](s); s.word().Load() != policyFree || p.value != "" {
		t.Errorf("the place has word %x and value %q, want none", s.word().Load(), p.value)
	}
}

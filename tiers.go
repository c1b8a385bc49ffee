package dualcache

import (
	"math/bits"
	"sync/atomic"
)

// The index (L3) and the two tiers before it.
//
// The index is the truth: a key is in the cache exactly when a place within
// reach of its home bucket has its tag and holds it. Everything else is advice.
//
// A bucket has six places and one head word:
//
//	bits 0..47    six bytes: seven bits of tag and one that says "entry"; else 0
//	bits 48..54   marks: entries of this home lie 1..7 steps from it
//	bit  56       lock
//	bit  57       moved: the table has been outgrown (grow.go)
//	bits 58..63   due: the clock decides about the entry of this place (expiry.go)
//
// All six tags are compared at once (SWAR; the Swiss tables of Abseil and Go do
// so with more). The home of a hash is found by multiplication, not by masking,
// so that the number of buckets follows the capacity. With 4.2 entries to a
// bucket on average one home in seven is overfull, and its surplus lies next
// door, or a few steps further on. That is open addressing in buckets, with two
// differences. The home's marks say where to look, exactly, so that a miss seldom
// looks further than the home; and they go with the entries, so that there are no
// tombstones.
//
// Invariants.
// (I1) An entry never moves while it lives, but into a larger table.
// (I2) A tag is set only while its place holds an entry: it is stored last and
// cleared first. A bucket's lock guards its head and its free places.
// (I3) The home's lock guards the key, wherever its entry lies, and the home's
// marks. Of several locks all but the first are tried, never waited for.
// (I4) An entry lies at most maxDistance steps from its home, so an operation
// visits at most maxDistance+1 buckets, whatever the keys (G10). Its distance is
// kept in its position word (policy.go), so that no key need be hashed again.
// (I5) A mark is set after the tag it leads to, and cleared after the last one.
// (I6) Readers look at the home first, and then at the marked buckets in order.
// A replacement that lies in another bucket than the old entry is published
// before the old one is taken out; whichever comes first in that order hides
// the other, so nobody sees the new value and then the old.
// (I7) But the marks that a reader goes by may be old: it may come upon a new entry
// next door that readers who begin later do not see yet, for the old one is in the
// home, or nearer to it, where it was not when this reader looked. Then the Set has
// not returned and holds the home's lock. So a reader who finds its key next door
// looks whether the home is locked. If it is, it looks through all again, and an
// entry that it finds a second time is the first in the order of (I6): what hid it
// would have been there all the while.
//
// (I8) When a key is replaced in another bucket, the number of entries ever put into the
// home (aside.fills) grows after the new one is published, before the old one goes.
//
// Why a reader that misses is right. A key that was in one place all the time had its
// tag and the mark set, so it was seen. If it was replaced by an entry in another place,
// the home's head has changed, or that number (I8), which does not come back to what it
// was, as a head may; if it was moved to another table, the reader looks there
// afterwards. So a reader that misses scans again where there are marks, until neither
// has changed. That ends (G4) after probeTries: a key would have to be replaced
// from bucket to bucket during each of so many scans to be missed then. (Where one of
// these changes is a Set the miss is true even so, of a moment before it; Compute
// brings a value that could not be there if the older one was not.)
//
// The tiers T1 and T2 are direct-mapped tables of words (low hash, slot). The
// pass promotes into them; readers look there first. A word proves nothing: the
// reader goes to the bucket it names, and believes the tag and the key. So they
// need no repair, and can never give out what the index would not. They are off
// unless configured: DESIGN.md shows what they cost.

const (
	everyByte    = 0x010101010101
	everyHighBit = 0x808080808080
	everyLowBits = 0x7f7f7f7f7f7f
	tagBits      = 0xff
	everyTagBit  = 0x7f
	liveBit      = 0x80
	marksShift   = 48
	marksMask    = 1<<maxDistance - 1
	headLock     = 1 << 56
	headMoved    = 1 << 57
	dueShift     = 58
	maxDistance  = 7
	probeTries   = 64
	lockSpins    = 64 // with lockIdle, a microsecond or so
	lockIdle     = 24
)

// tagOf is the tag of a hash. It is made of the top bits of the low half: the
// lowest bits of a folded product are uneven for a few seeds.
func tagOf(hash uint64) uint64 { return hash>>25&everyTagBit | liveBit }

// broadcast puts a hash's tag into each tag's byte.
func broadcast(hash uint64) uint64 { return hash>>25&everyTagBit*everyByte | everyHighBit }

// match gives the places that have the broadcast tag: bit 8i+7 for place i. The
// high bit of a byte of the sum is clear exactly where the low bits are equal, and
// no byte carries; the high bits are equal where there is an entry.
func match(head, tag uint64) uint64 {
	x := head ^ tag
	return ^(x&everyLowBits + everyLowBits | x) & everyHighBit
}

// position is the place that the lowest bit of a match stands for.
func position(m uint64) int { return bits.TrailingZeros64(m) >> 3 }

// live gives the places that hold an entry, and empty the others.
func live(head uint64) uint64  { return head & everyHighBit }
func empty(head uint64) uint64 { return ^head & everyHighBit }

func hasTag(head uint64, i int) bool { return head>>(8*i)&liveBit != 0 }

// withTag sets or, with 0, clears a tag. The place is not due then.
func withTag(head uint64, i int, tag uint64) uint64 {
	return head&^(tagBits<<(8*i)|dueBit(i)) | tag<<(8*i)
}

func dueBit(i int) uint64           { return 1 << (dueShift + i) }
func isDue(head uint64, i int) bool { return head>>((dueShift+i)&63)&1 != 0 }

func mark(d int) uint64 { return 1 << (marksShift + d - 1) }

// A spot is a place of the index.
type spot struct {
	t *table
	b uint64
	i int
}

func (s spot) found() bool         { return s.t != nil }
func (s spot) slot() slot          { return s.t.slot(s.b, s.i) }
func (s spot) index() uint64       { return index(s.b, s.i) }
func (s spot) bucket() *bucketHead { return s.t.at(s.b) }
func (s spot) word() *atomic.Uint32 {
	return s.t.at(s.b).word(s.i)
}
func (s spot) position() *atomic.Uint32 { return s.t.position(s.b, s.i) }

func placeAt[K comparable, V any](s spot) *place[K, V] {
	return bucketAt[K, V](s.t, s.b).place(s.i)
}

// find looks a key up and returns its place, which the caller's section
// protects. writer says that the caller may store there in place. Pinned.
func (c *Cache[K, V]) find(w *worker, hash uint64, key K, writer bool) (spot, manner) {
	for {
		t := c.table.Load()
		if c.tiered {
			if s, how := c.lookTiers(w, t, hash, key, writer); s.found() {
				return s, how
			}
		}
		// An entry on its way is in the new table before it leaves the old one.
		if old := t.old.Load(); old != nil {
			if s, how := c.probe(w, old, hash, key, writer); s.found() {
				return s, how
			}
			if debug {
				yield(pointBetweenTables)
			}
		}
		if s, how := c.probe(w, t, hash, key, writer); s.found() {
			return s, how
		}
		if c.table.Load() == t {
			return spot{}, inIndex
		}
	}
}

// probe is find in one table.
func (c *Cache[K, V]) probe(w *worker, t *table, hash uint64, key K, writer bool) (spot, manner) {
	n := t.homeOf(hash)
	home, fills := t.at(n), &t.aside[n].fills
	var before sighting
	var filled uint32
	for try := 0; ; try++ {
		marked := home.head.Load()&(marksMask<<marksShift) != 0
		if marked {
			filled = fills.Load()
		}
		s, how, head := c.scan(w, t, n, hash, key, writer)
		switch {
		case s.b == n && s.found():
			return s, how
		case s.found(): // (I7)
			if home.head.Load()&headLock == 0 || before.still(s) {
				return s, how
			}
			before = sight(s)
		case head&(marksMask<<marksShift) == 0,
			marked && (home.head.Load()^head)&^headLock == 0 && fills.Load() == filled: // (I8)
			return spot{}, inIndex
		}
		if try == probeTries {
			return spot{}, inIndex
		}
	}
}

// scan looks once for a key, in its home and in the buckets that this marks, and gives
// the home's head as it was.
func (c *Cache[K, V]) scan(w *worker, t *table, n, hash uint64, key K, writer bool) (spot, manner, uint64) {
	w.protect(t.at(n), writer, c.fenced)
	home := t.at(n).head.Load()
	if i := c.search(w, t, n, home, hash, key); i >= 0 {
		return spot{t, n, i}, dueIn(home, i), home
	}
	for m := home >> marksShift & marksMask; m != 0; m &= m - 1 {
		if debug {
			yield(pointBeforeNeighbour)
		}
		at := t.near(n, bits.TrailingZeros64(m)+1)
		w.protect(t.at(at), writer, c.fenced)
		head := t.at(at).head.Load()
		if i := c.search(w, t, at, head, hash, key); i >= 0 {
			return spot{t, at, i}, dueIn(head, i), home
		}
	}
	return spot{}, inIndex, home
}

// A sighting tells an entry that was seen in a place from those that came there since, by
// the number of the entry that was put there last. Of that only a few bits are kept: it
// proves nothing if it could be that of an entry which came since; then the entry is
// taken for another one.
type sighting struct {
	at    spot
	fills uint32 // of its bucket
	last  uint32 // of its place
}

// sight takes the sighting of a protected entry.
func sight(s spot) sighting {
	a := &s.t.aside[s.b]
	return sighting{s, a.fills.Load(), a.last(s.i)}
}

// still reports whether an entry, which is protected or locked, is the one that was seen.
func (x *sighting) still(s spot) bool {
	if s != x.at {
		return false
	}
	a := &s.t.aside[s.b]
	since := a.fills.Load() - x.fills
	return a.last(s.i) == x.last && since <= recentMask && (x.last-x.fills-1)&recentMask >= since
}

// search looks for a key in one bucket that is protected or locked.
func (c *Cache[K, V]) search(w *worker, t *table, n, head, hash uint64, key K) int {
	b := bucketAt[K, V](t, n)
	for m := match(head, broadcast(hash)); m != 0; m &= m - 1 {
		i := position(m)
		if debug {
			w.life = t.lives[index(n, i)].Load()
			yield(pointReadCandidate)
		}
		same := b.place(i).key == key
		if debug {
			w.checkLife(spot{t, n, i})
		}
		if same {
			return i
		}
	}
	return -1
}

// locate finds a key under the lock of its home, whose head is given.
func (c *Cache[K, V]) locate(w *worker, t *table, home, head, hash uint64, key K) (spot, bool) {
	if i := c.search(w, t, home, head, hash, key); i >= 0 {
		return spot{t, home, i}, true
	}
	for m := head >> marksShift & marksMask; m != 0; m &= m - 1 {
		at := t.near(home, bits.TrailingZeros64(m)+1)
		b := bucketAt[K, V](t, at)
		// Entries of this home stay while its lock is held; others that come
		// and go have other keys, and may be half written: only the distance
		// tells which are worth a look.
		head := b.head.Load()
		for m := match(head, broadcast(hash)); m != 0; m &= m - 1 {
			s := spot{t, at, position(m)}
			if t.back(at, distanceOf(s.position().Load())) == home && b.place(s.i).key == key {
				return s, true
			}
		}
	}
	return spot{}, false
}

// A hold is a bucket whose lock is held. head is what it will be, lock included.
type hold struct {
	b    *bucketHead
	n    uint64
	head uint64
}

// tryLock takes the lock of a bucket. Pinned. It gives up after a microsecond
// or so: a stop-the-world may be waiting for a pinned spinner while the lock's
// holder waits for the world to start (rule 10).
func (t *table) tryLock(n uint64, spins int) (hold, bool) {
	b := t.at(n)
	for try := range spins {
		if try > 0 {
			idle(lockIdle)
		}
		head := b.head.Load()
		if head&headLock == 0 && b.head.CompareAndSwap(head, head|headLock) {
			if debug {
				yield(pointBucketLocked)
			}
			return hold{b, n, head | headLock}, true
		}
	}
	return hold{}, false
}

// alsoLock gives the hold of bucket n, where home's is held: home's own, or that of
// a neighbour, which it locks into other.
func (t *table) alsoLock(home, other *hold, n uint64) (at *hold, ok bool) {
	if n == home.n {
		return home, true
	}
	*other, ok = t.tryLock(n, lockSpins)
	return other, ok
}

// publish makes the changes visible to all and keeps the lock. It is a full
// barrier (XCHG on amd64).
func (h *hold) publish() { h.b.head.Store(h.head) }

// unlock ends the hold; changes since publish become visible at some time soon.
func (h *hold) unlock() { publish64(&h.b.head, h.head&^headLock) }

// unlockVisible is publish and unlock in one: what was changed is visible
// everywhere before it returns (G2).
func (h *hold) unlockVisible() { h.b.head.Store(h.head &^ headLock) }

// lockHome locks the home of a hash in the table in force, after moving there
// what the table before still has of it. If it fails the caller unpins, yields,
// and starts again from scratch. Pinned.
func (c *Cache[K, V]) lockHome(w *worker, hash uint64) (*table, hold, bool) {
	t := c.table.Load()
	if old := t.old.Load(); old != nil && !c.moveHome(w, old, t, old.homeOf(hash)) {
		return nil, hold{}, false
	}
	n := t.homeOf(hash)
	w.protect(t.at(n), false, c.fenced)
	h, ok := t.tryLock(n, lockSpins)
	if ok && h.head&headMoved != 0 {
		h.unlock()
		return nil, hold{}, false
	}
	return t, h, ok
}

// A tier is a direct-mapped table of words: low half of the hash << 32 | slot.
type tier struct {
	words []atomic.Uint64
}

func (t *tier) init(slots int) {
	if slots > 0 {
		t.words = make([]atomic.Uint64, slots)
	}
}

func (t *tier) word(low uint32) *atomic.Uint64 {
	return &t.words[uint64(low)*uint64(len(t.words))>>32]
}

// promote stores an entry into a tier.
func (t *tier) promote(low uint32, s slot) {
	if len(t.words) == 0 {
		return
	}
	if word, v := t.word(low), uint64(low)<<32|uint64(s); word.Load() != v {
		word.Store(v)
	}
}

// A manner tells how an entry was found: where, and whether it is due by the head
// that led to it. (A later look at the head would not do: who takes a place out
// clears the bit.)
type manner uint8

const (
	inIndex manner = iota
	inT1
	inT2
	foundDue manner = 4
)

func (m manner) tier() manner { return m &^ foundDue }
func (m manner) due() bool    { return m&foundDue != 0 }

func dueIn(head uint64, i int) manner { return manner(head>>((dueShift+i)&63)&1) * foundDue }

// lookTiers looks for a key in T1 and T2.
func (c *Cache[K, V]) lookTiers(w *worker, t *table, hash uint64, key K, writer bool) (spot, manner) {
	if s, due := c.lookTier(w, &c.t1, t, hash, key, writer); s.found() {
		return s, inT1 | due
	}
	if s, due := c.lookTier(w, &c.t2, t, hash, key, writer); s.found() {
		return s, inT2 | due
	}
	return spot{}, inIndex
}

func (c *Cache[K, V]) lookTier(w *worker, tier *tier, t *table, hash uint64, key K, writer bool) (spot, manner) {
	if len(tier.words) == 0 {
		return spot{}, inIndex
	}
	v := tier.word(uint32(hash)).Load()
	s := slot(v)
	if v>>32 != hash&0xffffffff || s == 0 || s.table() != t.number || t.old.Load() != nil {
		return spot{}, inIndex
	}
	// A key that hides an older place of its own is in the home, or before it in
	// the order of (I6): the tier may only speak for an entry in its home.
	n := s.bucket()
	if n != t.homeOf(hash) {
		return spot{}, inIndex
	}
	b := bucketAt[K, V](t, n)
	w.protect(&b.bucketHead, writer, c.fenced)
	i := s.place()
	head := b.head.Load()
	if head>>(8*i)&tagBits != tagOf(hash) || b.place(i).key != key || c.table.Load() != t {
		return spot{}, inIndex
	}
	if debug {
		w.life = t.lives[index(n, i)].Load()
	}
	return spot{t, n, i}, dueIn(head, i)
}

// promote puts an entry that is read again into T2, and one of the highest rank
// into T1, if the place still holds an entry. The pass lock is held.
func (c *Cache[K, V]) promote(low uint32, s slot) {
	at := c.policy.spotOf(s)
	if !at.found() || !hasTag(at.bucket().head.Load(), at.i) {
		return
	}
	c.t2.promote(low, s)
	if rankOf(at.word().Load()) == maxRank {
		c.t1.promote(low, s)
	}
}

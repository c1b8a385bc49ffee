package dualcache

import (
	"math/bits"
	"sync/atomic"
	"unsafe"
)

// The index (L3) and the two tiers before it.
//
// The index is the truth: a key is in the cache exactly when a word of its
// home bucket, or of the chain behind it, names its node. Everything else is
// advice.
//
// A bucket is one cache line: twelve one-byte tags, a control part, and twelve
// slot numbers. Tags are compared eight at a time in a register (SWAR; as in
// Go's and Abseil's Swiss tables, and xsync's map), so that a lookup touches
// the bucket's line and, nearly always, no node but the right one. The home of
// a hash is found by multiplication, not by masking, so that the number of
// buckets follows the capacity. With eight entries to a bucket on average one
// in sixteen is overfull; it gets overflow buckets from a pool in the same
// segment, chained behind it.
//
//	field          written by                 read by
//	tags, ctrl     under the home's lock      readers
//	slots          under the home's lock      readers
//	the lock bit   whoever locks (CAS)        lockers
//	owned          claim (CAS), under the     claimers
//	               home's lock
//
// Invariants.
// (I1) An entry never moves between places while it lives.
// (I2) A tag is set only while its slot word names a node: a new entry writes
// the slot first and the tag last, a removal clears the tag first, a
// replacement changes the slot alone.
// (I3) The home bucket's lock guards its chain. Only an empty last bucket
// leaves a chain. It may join another one at once: a reader that is still
// there compares keys with nodes of other homes, and finds nothing.
// (I4) A chain has at most maxChain overflow buckets. So an operation visits
// at most maxChain+1 lines, whatever the keys (G10). When chain and pool are
// full, the newcomer takes the place of the entry of lowest rank in its chain.
// (I5) There are no tombstones: a cleared tag is a free place.
//
// Why a reader that misses is right. It loads tags, then ctrl, and looks at
// every match. A key that was there all the time was in one place all the time
// (I1), its tag was set (I2), so it was seen. If a word that matched has
// changed to another node, the reader looks again; if it has become 0, that
// entry was taken out while the reader ran.
//
// Segments of at most segmentBuckets buckets are made when the first key of
// one of their homes comes, so that a large cache that is nearly empty is
// small.
//
// The tiers T1 and T2 are direct-mapped tables of words (low hash, slot). The
// pass promotes into them; readers look there first. They are off unless
// configured: DESIGN.md shows where they would pay. A tier never holds the
// only way to a live entry, and a word in it proves nothing: see lookTiers.

const (
	bucketPlaces   = 12
	placesInTags   = 8
	bucketLoad     = 8   // entries to a home bucket at full capacity
	segmentHomes   = 448 // homes in a segment of a large index, and
	segmentPool    = 64  // overflow buckets; together 32 KiB
	minPool        = 16
	maxChain       = 3
	claimTries     = 64
	lockSpins      = 256 // a microsecond or so
	bucketBytes    = 64
	tagsInCtrl     = 0xffffffff
	tagsFull       = everyByte // no place free
	ctrlFull       = everyByte
	ctrlLocked     = 1 << 32
	ctrlOwned      = 1 << 33
	ctrlLinkShift  = 48
	ctrlLink       = 0xffff << ctrlLinkShift
	everyByte      = 0x0101010101010101
	everyHighBit   = 0x8080808080808080
	everyLowBits   = 0x7f7f7f7f7f7f7f7f
	ctrlHighBits   = 0x80808080
	evictionPlaces = bucketPlaces * (maxChain + 1)
)

type bucket struct {
	tags  atomic.Uint64               // tags of places 0 to 7
	ctrl  atomic.Uint64               // tags of places 8 to 11, lock, owned, link
	slots [bucketPlaces]atomic.Uint32 // node of each place
}

// The bucket is one line.
var _ [bucketBytes - unsafe.Sizeof(bucket{})]struct{}
var _ [unsafe.Sizeof(bucket{}) - bucketBytes]struct{}

// A place is where an entry is, or could be.
type place struct {
	b *bucket
	i int
}

// slot is the word of place i < bucketPlaces; callers get i from a match.
func (b *bucket) slot(i int) *atomic.Uint32 {
	return (*atomic.Uint32)(unsafe.Add(unsafe.Pointer(&b.slots), uintptr(i)*unsafe.Sizeof(b.slots[0])))
}

// broadcast puts the tag of a hash, 1 to 127, into each byte of a word. It is
// made of the top bits of the low half: the lowest bits of a folded product are
// uneven for a few seeds.
func broadcast(hash uint64) uint64 { return (hash>>25&0x7f*0x7f>>7 + 1) * everyByte }

// match gives the places that have the broadcast tag: bit 8i+6 for place i < 8,
// bit 8(i-8)+7 for the others. A tag has seven bits, so a byte of the sum has
// its high bit clear exactly where the tags are equal, and none carries.
func match(tags, ctrl, tag uint64) uint64 {
	x := ((tags ^ tag) + everyLowBits) & everyHighBit
	y := ((ctrl ^ tag) + everyLowBits) & ctrlHighBits
	return (x>>1 | y) ^ (everyHighBit>>1 | ctrlHighBits)
}

// position is the place that the lowest bit of a match stands for.
func position(m uint64) int {
	z := bits.TrailingZeros64(m)
	return z>>3 + z&1*placesInTags
}

// next is the bucket behind b in its chain; link is relative to b.
func (b *bucket) next(ctrl uint64) *bucket {
	return (*bucket)(unsafe.Add(unsafe.Pointer(b), int(int64(ctrl)>>ctrlLinkShift)*bucketBytes))
}

// setTag changes one tag. The home's lock is held.
func (b *bucket) setTag(i int, tag uint64) {
	word := &b.tags
	if i >= placesInTags {
		word, i = &b.ctrl, i-placesInTags
	}
	shift := uint(i) * 8
	publish64(word, word.Load()&^(0xff<<shift)|tag&0xff<<shift)
}

// tryLock takes the lock of a home bucket. Pinned.
func (b *bucket) tryLock() bool {
	for range lockSpins {
		ctrl := b.ctrl.Load()
		if ctrl&ctrlLocked == 0 && b.ctrl.CompareAndSwap(ctrl, ctrl|ctrlLocked) {
			return true
		}
	}
	return false
}

// unlock is a full barrier (XCHG on amd64): what was published under the lock
// is visible everywhere before the operation returns (G2).
func (b *bucket) unlock() { b.ctrl.Store(b.ctrl.Load() &^ ctrlLocked) }

// empty reports whether no place of an overflow bucket is taken.
func (b *bucket) empty() bool { return b.tags.Load() == 0 && b.ctrl.Load()&tagsInCtrl == 0 }

// freePlace finds a free place in one bucket.
func (b *bucket) freePlace() (place, bool) {
	tags, ctrl := b.tags.Load(), b.ctrl.Load()
	if m := match(tags, ctrlFull, 0); m != 0 {
		return place{b, position(m)}, true
	}
	m := match(tagsFull, ctrl, 0)
	return place{b, position(m)}, m != 0
}

type index struct {
	dir      unsafe.Pointer // of the first element of segments
	count    uint64         // segments
	homes    uint64         // home buckets in each
	pool     uint64         // overflow buckets behind them
	segments []unsafe.Pointer
	made     atomic.Int64 // segments made one by one
}

// measure decides the numbers for a capacity.
func (x *index) measure(capacity int) {
	homes := uint64(capacity+bucketLoad-1) / bucketLoad
	x.count = (homes + segmentHomes - 1) / segmentHomes
	x.homes = (homes + x.count - 1) / x.count
	x.pool = max(segmentPool*x.homes/segmentHomes, min(x.homes, minPool))
}

func (x *index) init(capacity int) {
	x.measure(capacity)
	x.segments = make([]unsafe.Pointer, x.count)
	for i := range x.segments {
		x.segments[i] = unsafe.Pointer(&noSegment)
	}
	x.dir = unsafe.Pointer(unsafe.SliceData(x.segments))
}

// noSegment stands for the segments that have not been made: it is empty for
// ever, so that readers need not ask.
var noSegment [segmentHomes]bucket

// home finds the home bucket of a hash.
func (x *index) home(hash uint64) *bucket {
	const word = unsafe.Sizeof(uintptr(0))
	n := hash >> 32 * x.count
	// n>>32 < count, the length of the directory.
	segment := atomic.LoadPointer((*unsafe.Pointer)(unsafe.Add(x.dir, uintptr(n>>32)*word)))
	return (*bucket)(unsafe.Add(segment, uintptr(n&0xffffffff*x.homes>>32)*bucketBytes))
}

// segment gives the made segment of number i, or nil.
func (x *index) segment(i uint64) unsafe.Pointer {
	if p := atomic.LoadPointer(&x.segments[i]); p != unsafe.Pointer(&noSegment) {
		return p
	}
	return nil
}

// segmentOf is segment for a hash.
func (x *index) segmentOf(hash uint64) unsafe.Pointer { return x.segment(hash >> 32 * x.count >> 32) }

// makeHome is home for writers: it makes the segment. The first sixteenth of
// the segments are made one by one, then the rest in one block, which huge
// pages can back. It allocates, and is not called pinned.
func (x *index) makeHome(hash uint64) {
	if x.segmentOf(hash) != nil {
		return
	}
	i := hash >> 32 * x.count >> 32
	n := int(x.homes + x.pool)
	if x.made.Add(1) <= int64(x.count/16) {
		atomic.CompareAndSwapPointer(&x.segments[i], unsafe.Pointer(&noSegment), newSegment(n))
		return
	}
	block := newSegment(n * int(x.count))
	for j := range x.segments {
		segment := unsafe.Add(block, j*n*bucketBytes)
		atomic.CompareAndSwapPointer(&x.segments[j], unsafe.Pointer(&noSegment), segment)
	}
}

// newSegment makes n buckets on a cache line boundary. The allocator's size
// classes give that by themselves for all sizes but the odd one.
func newSegment(n int) unsafe.Pointer {
	b := make([]bucket, n)
	if uintptr(unsafe.Pointer(&b[0]))%bucketBytes != 0 {
		words := make([]uint64, (n+1)*bucketBytes/8)
		off := -uintptr(unsafe.Pointer(&words[0])) % bucketBytes
		return unsafe.Pointer(&words[off/8])
	}
	adviseHuge(unsafe.Pointer(&b[0]), uintptr(n)*bucketBytes)
	return unsafe.Pointer(&b[0])
}

// eachHome calls f with every home bucket there is, until it returns false.
func (x *index) eachHome(f func(*bucket) bool) {
	for i := range x.segments {
		segment := x.segment(uint64(i))
		for j := uint64(0); segment != nil && j < x.homes; j++ {
			if !f((*bucket)(unsafe.Add(segment, uintptr(j)*bucketBytes))) {
				return
			}
		}
	}
}

// eachHomeFrom is eachHome from the home of a hash on, all the way round.
func (x *index) eachHomeFrom(hash uint64, f func(*bucket) bool) {
	n := hash >> 32 * x.count
	first, from := n>>32, n&0xffffffff*x.homes>>32
	for i := range x.count {
		segment := x.segment((first + i) % x.count)
		for j := uint64(0); segment != nil && j < x.homes; j++ {
			if !f((*bucket)(unsafe.Add(segment, uintptr((from+j)%x.homes)*bucketBytes))) {
				return
			}
		}
	}
}

// chainEmpty reports whether there is no entry behind a locked home.
func (b *bucket) chainEmpty() bool {
	for {
		ctrl := b.ctrl.Load()
		if b.tags.Load() != 0 || ctrl&tagsInCtrl != 0 {
			return false
		}
		if ctrl&ctrlLink == 0 {
			return true
		}
		b = b.next(ctrl)
	}
}

// lastSlot is the slot of some entry behind a locked home, the last one in the
// chain, or 0.
func (b *bucket) lastSlot() (slot uint32) {
	for {
		for i := range b.slots {
			if s := b.slots[i].Load(); s != 0 {
				slot = s
			}
		}
		ctrl := b.ctrl.Load()
		if ctrl&ctrlLink == 0 {
			return slot
		}
		b = b.next(ctrl)
	}
}

// findSlot finds the place that names a slot in the chain of a home whose lock
// is held.
func (b *bucket) findSlot(slot uint32) (place, bool) {
	for {
		for i := range b.slots {
			if b.slots[i].Load() == slot {
				return place{b, i}, true
			}
		}
		ctrl := b.ctrl.Load()
		if ctrl&ctrlLink == 0 {
			return place{}, false
		}
		b = b.next(ctrl)
	}
}

// findFree finds a free place in the chain of a home whose lock is held, the
// nearest to the home, and makes the chain longer where it must and can.
func (x *index) findFree(home *bucket, hash uint64) (place, bool) {
	b := home
	for n := 0; ; n++ {
		if p, ok := b.freePlace(); ok {
			return p, true
		}
		ctrl := b.ctrl.Load()
		if ctrl&ctrlLink != 0 {
			b = b.next(ctrl)
			continue
		}
		if n == maxChain {
			return place{}, false
		}
		over := x.claim(hash)
		if over == nil {
			return place{}, false
		}
		distance := (int64(uintptr(unsafe.Pointer(over))) - int64(uintptr(unsafe.Pointer(b)))) / bucketBytes
		publish64(&b.ctrl, ctrl|uint64(distance)<<ctrlLinkShift)
		return place{over, 0}, true
	}
}

// claim takes an overflow bucket out of the pool of the hash's segment.
func (x *index) claim(hash uint64) *bucket {
	n := hash >> 32 * x.count
	segment := atomic.LoadPointer(&x.segments[n>>32])
	start := n & 0xffffffff * x.homes >> 32 * x.pool / x.homes
	for i := range min(x.pool, claimTries) {
		j := start + i
		if j >= x.pool {
			j -= x.pool
		}
		b := (*bucket)(unsafe.Add(segment, uintptr(x.homes+j)*bucketBytes))
		if b.ctrl.Load() == 0 && b.ctrl.CompareAndSwap(0, ctrlOwned) {
			return b
		}
	}
	return nil
}

// clearPlace takes an entry out of its place, and an overflow bucket that it
// leaves empty at the end of the chain out of the chain. The lock is held.
func (p place) clear(home *bucket) {
	p.b.setTag(p.i, 0)
	publish32(p.b.slot(p.i), 0)
	if p.b != home && p.b.empty() {
		home.shorten()
	}
}

// shorten gives the empty buckets at the end of a chain back to the pool.
func (b *bucket) shorten() {
	for {
		prev, last := b, b
		for {
			ctrl := last.ctrl.Load()
			if ctrl&ctrlLink == 0 {
				break
			}
			prev, last = last, last.next(ctrl)
		}
		if last == b || !last.empty() {
			return
		}
		publish64(&prev.ctrl, prev.ctrl.Load()&^ctrlLink)
		last.ctrl.Store(0)
	}
}

// lockHome finds and locks the home bucket of a hash. It is called pinned. A
// nil result means that the lock is held for long or the segment has not been
// made: the caller unpins, calls waitHome, and starts again from scratch. (A
// stop-the-world may be waiting for a pinned spinner while the lock's holder
// waits for the world to start; rule 10.)
func (c *Cache[K, V]) lockHome(hash uint64) *bucket {
	if c.index.segmentOf(hash) == nil { // before home: noSegment must not be locked
		return nil
	}
	b := c.index.home(hash)
	if !b.tryLock() {
		return nil
	}
	if debug {
		yield(pointBucketLocked)
	}
	return b
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

func (t *tier) word(hash uint64) *atomic.Uint64 {
	return &t.words[hash>>32*uint64(len(t.words))>>32]
}

// forget takes a slot out of the tier (rule: mark dead, unlink, then repair).
func (t *tier) forget(hash uint64, slot uint32) {
	if len(t.words) == 0 {
		return
	}
	word := t.word(hash)
	if v := word.Load(); uint32(v) == slot {
		word.CompareAndSwap(v, 0)
	}
}

// promote stores an entry into a tier, and takes its own store back if the
// entry has died meanwhile: the store comes before the look at state, as a
// retirement's mark comes before its look at the tier; one of the two sees the
// other. The node cannot be freed in between: promote is called pinned, with
// the node protected.
func (t *tier) promote(hash uint64, slot, state uint32, n *nodeHeader) {
	if len(t.words) == 0 {
		return
	}
	word, v := t.word(hash), hash<<32|uint64(slot)
	if word.Load() == v {
		return
	}
	if debug {
		yield(pointBeforePromote)
	}
	word.Store(v)
	if debug {
		yield(pointAfterPromote)
	}
	if n.state.Load() != state {
		word.CompareAndSwap(v, 0)
	}
}

// A tierNumber tells where a hit was found.
type tierNumber uint8

const (
	inIndex tierNumber = iota
	inT1
	inT2
)

// lookTiers looks for a key in T1 and T2. It returns its slot, protected, or
// 0. A tier's word may be stale, so the mark is looked at after the hazard is
// published and the word checked: a node that is live then was not retired
// before, and the reclaimer sees the hazard. It may be another life of the
// node, of any key, which the key tells.
func (c *Cache[K, V]) lookTiers(w *worker, hash uint64, key K) (uint32, tierNumber) {
	if slot := c.lookTier(w, &c.t1, hash, key); slot != 0 {
		return slot, inT1
	}
	if slot := c.lookTier(w, &c.t2, hash, key); slot != 0 {
		return slot, inT2
	}
	return 0, inIndex
}

func (c *Cache[K, V]) lookTier(w *worker, t *tier, hash uint64, key K) uint32 {
	if len(t.words) == 0 {
		return 0
	}
	word := t.word(hash)
	v := word.Load()
	if v>>32 != hash&0xffffffff || v == 0 {
		return 0
	}
	slot := uint32(v)
	w.protect(slot, c.fenced)
	if word.Load() != v {
		return 0
	}
	n := at[K, V](&c.arena, slot)
	if !stateLive(n.state.Load()) || n.key != key {
		return 0
	}
	return slot
}

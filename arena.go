package dualcache

import (
	"reflect"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/cpu"
)

// The arena: where entries are. Keys and values lie in the buckets of the index
// themselves, as in the sets of a processor's cache, so that a lookup touches
// one place in memory and follows no pointer. A table is one block of buckets;
// where K and V hold no pointers, the collector does not look into it.
//
//	bucket   head: six tags, marks, lock (tiers.go)     8 bytes
//	         policy: a word for each place              24 bytes
//	         places: six keys and values                6 x (K, V)
//
// A bucket of uint64 pairs is two cache lines, and the first holds all that
// decides and two of the six entries. DESIGN.md has the measurements that led
// here from nodes behind slot numbers.
//
// Life of a place:
//
//	free ──► live ──► retired ──► free
//	     (tag set) (tag cleared)  └ after a grace period (qsbr.go)
//
//	field     written by                        read by
//	head      holder of the bucket's lock       readers, lockers
//	policy    holder of the bucket's lock;      readers, pass, holder
//	          while live also readers (hits)
//	          and the pass
//	key       holder of the lock, while free    readers inside a section
//	value     the same; in place while live     readers inside a section
//	          (write.go)
//	position  holder of the home's lock; the    pass, holder
//	          pass, by compare-and-swap
//
// (I1) A place is written only while it is free, by the holder of the bucket's
// lock; its tag, stored last, publishes it.
// (I2) A place is free only when a grace period has passed since its tag was
// cleared: no reader can still be comparing or copying.
// (I3) A late store of a reader that noted a hit may land in the policy word of
// a retired place. The word then reads as live under a cleared tag, and the
// next to look gives it a new stamp: it waits for another grace period.
//
// Slots. A slot number names a place of one table: table (4 bits), bucket (25),
// place (3). 0 names none. A table's number is never used again, so a slot of a
// table that is gone is known as such.
//
// All arithmetic on the addresses of buckets is here.

type cachePad = cpu.CacheLinePad

const (
	bucketPlaces = 6
	placeBits    = 3
	tableShift   = 28
	maxTables    = 1 << (32 - tableShift)
	maxHomes     = 1 << (tableShift - placeBits)
)

// MaxCapacity is the largest Capacity: what the numbers of places and of items in
// the policy's lists have room for.
const MaxCapacity = 100_000_000

// Entries to a bucket when the cache is full, in tenths. The more, the less
// memory, and the more entries lie next door. Large entries are dear in memory
// and cheap, by comparison, to look for.
const (
	loadTenths      = 42
	loadTenthsLarge = 50
	largePlace      = 64
)

// bucketHead is the part of a bucket that does not depend on K and V.
type bucketHead struct {
	head   atomic.Uint64
	policy [bucketPlaces]atomic.Uint32
}

type place[K comparable, V any] struct {
	key   K
	value V
}

type bucket[K comparable, V any] struct {
	bucketHead
	places [bucketPlaces]place[K, V]
}

// place is that of index i < bucketPlaces; callers get i from a match.
func (b *bucket[K, V]) place(i int) *place[K, V] {
	return (*place[K, V])(unsafe.Add(unsafe.Pointer(&b.places), uintptr(i)*unsafe.Sizeof(place[K, V]{})))
}

// word is the policy word of place i < bucketPlaces.
func (b *bucketHead) word(i int) *atomic.Uint32 {
	return (*atomic.Uint32)(unsafe.Add(unsafe.Pointer(&b.policy), uintptr(i)*unsafe.Sizeof(b.policy[0])))
}

// prefetch loads a word of each line of a bucket after the first, if there are but two, so
// that they are on their way from memory while the first one, which tells which of them is
// needed, is as well. Only where Get is plain: the race detector would not like it.
func (b *bucket[K, V]) prefetch() {
	if size := unsafe.Sizeof(*b); lineBytes < size && size <= 3*lineBytes {
		_ = (*atomic.Uint32)(unsafe.Add(unsafe.Pointer(b), lineBytes)).Load()
		if size > 2*lineBytes {
			_ = (*atomic.Uint32)(unsafe.Add(unsafe.Pointer(b), 2*lineBytes)).Load()
		}
	}
}

const lineBytes = 64

// A table is one block of buckets. Its fields do not change once it is
// published, but for old, moved and cursor (grow.go).
type table struct {
	base   unsafe.Pointer
	homes  uint64
	offset [maxDistance + 1]uint64
	stride uintptr
	number uint32
	keep   any // the block, for the collector's type information

	aside     []aside              // by bucket
	hashes    []uint64             // by index; only in a table that will be outgrown
	deadlines column[atomic.Int64] // by index, as are these
	limits    column[atomic.Int64]
	reloads   column[atomic.Int64]
	weights   column[atomic.Uint32]
	events    []atomic.Int64  // by chunk: when the sweep has something to do; 0: never
	lives     []atomic.Uint32 // by index; debug builds count the lives of a place

	old    atomic.Pointer[table] // the table that this one replaces, until it is empty
	timed  atomic.Bool           // all chunks of columns have been made
	fenced atomic.Bool           // the barrier before the first move has been made
	moved  atomic.Uint64         // homes that have been moved out of this table
	cursor atomic.Uint64         // next home to be moved
}

// newTable makes a table. It allocates, and is not called pinned.
func newTable[K comparable, V any](homes uint64, number uint32, outgrown bool, columns columns) *table {
	spare := uint64(0)
	if unsafe.Sizeof(bucket[K, V]{}) <= lineBytes {
		spare = 2 // prefetch reads behind the last one
	}
	b := make([]bucket[K, V], homes, homes+spare)
	places := homes * bucketPlaces
	t := &table{
		base:   unsafe.Pointer(unsafe.SliceData(b)),
		homes:  homes,
		offset: steps(homes),
		stride: unsafe.Sizeof(b[0]),
		number: number,
		keep:   b,
		aside:  make([]aside, homes),
		events: make([]atomic.Int64, chunksOf(places)),
	}
	t.deadlines.init(places)
	if columns.limits {
		t.limits.init(places)
	}
	if columns.reloads {
		t.reloads.init(places)
	}
	if columns.weights {
		t.weights.init(places)
	}
	if outgrown {
		t.hashes = make([]uint64, places)
	}
	if debug {
		t.lives = make([]atomic.Uint32, places)
	}
	adviseHuge(t.base, uintptr(homes)*t.stride)
	return t
}

// aside is what only writers and the pass need of a bucket: where the policy has
// listed its entries, and what it remembers of keys that have left (filter.go). It
// is one line of memory.
type aside struct {
	position [bucketPlaces]atomic.Uint32
	fills    atomic.Uint32 // entries ever put into the bucket, and see (I8) of tiers.go
	recent   atomic.Uint32 // by place, in 5 bits: the number, of these, of its last one
	ghosts   ghosts        // of a table of full size
}

// count notes that an entry is put into a place. The bucket is locked.
func (a *aside) count(i int) {
	n := a.fills.Load() + 1
	publish32(&a.recent, a.recent.Load()&^(recentMask<<(recentBits*i))|n&recentMask<<(recentBits*i))
	publish32(&a.fills, n)
}

// skip has the numbers of entries go on, although none is put there. The bucket is locked.
func (a *aside) skip() { publish32(&a.fills, a.fills.Load()+1) }

// last is the number of the last entry of a place, in its lowest bits.
func (a *aside) last(i int) uint32 { return a.recent.Load() >> (recentBits * i) & recentMask }

const (
	recentBits = 5
	recentMask = 1<<recentBits - 1
)

// columns are what the configuration asks for beside the deadlines.
type columns struct {
	limits, reloads, weights bool
}

// position is the position word of a place (policy.go).
func (t *table) position(b uint64, i int) *atomic.Uint32 { return &t.aside[b].position[i] }

// homeOf is the number of the home bucket of a hash.
func (t *table) homeOf(hash uint64) uint64 { return hash >> 32 * t.homes >> 32 }

// at gives bucket b < homes.
func (t *table) at(b uint64) *bucketHead {
	return (*bucketHead)(unsafe.Add(t.base, uintptr(b)*t.stride))
}

// near is the bucket d steps from b: where entries of the home b go that do not
// fit into it or the steps before.
func (t *table) near(b uint64, d int) uint64 {
	if b += t.offset[d]; b >= t.homes {
		b -= t.homes
	}
	return b
}

// back is the home that bucket b is d steps from.
func (t *table) back(b uint64, d int) uint64 {
	if b < t.offset[d] {
		b += t.homes
	}
	return b - t.offset[d]
}

// reach is how many steps from its home an entry may lie.
func (t *table) reach() int { return int(min(maxDistance, t.homes-1)) }

// steps gives the offset of each step. The first is next door, and the others are
// further and further away: neighbours tend to be full together. No set of buckets
// is closed under the steps, or it could be full while others are empty.
func steps(homes uint64) (offset [maxDistance + 1]uint64) {
	for d := range uint64(len(offset)) {
		switch {
		case homes > 1<<maxDistance:
			offset[d] = 1<<d - 1
		case d > 0 && homes > maxDistance*(maxDistance-1)/2+1:
			offset[d] = d*(d-1)/2 + 1
		default:
			offset[d] = d
		}
	}
	return offset
}

// bucketAt is at with the types.
func bucketAt[K comparable, V any](t *table, b uint64) *bucket[K, V] {
	return (*bucket[K, V])(unsafe.Add(t.base, uintptr(b)*unsafe.Sizeof(bucket[K, V]{})))
}

// A slot names a place. See above.
type slot uint32

func (t *table) slot(b uint64, i int) slot {
	return slot(t.number<<tableShift | uint32(b)<<placeBits | uint32(i) + 1)
}

func (s slot) table() uint32  { return uint32(s) >> tableShift }
func (s slot) bucket() uint64 { return uint64(uint32(s) & (1<<tableShift - 1) >> placeBits) }
func (s slot) place() int     { return int(s&(1<<placeBits-1)) - 1 }
func (s slot) index() uint64  { return s.bucket()*bucketPlaces + uint64(s.place()) }

func index(b uint64, i int) uint64 { return b*bucketPlaces + uint64(i) }

// homesFor is the number of buckets of a full cache.
func homesFor(capacity int, placeSize uintptr) uint64 {
	load := loadFor(placeSize)
	return max(minHomes, (uint64(capacity)*10+load-1)/load)
}

func loadFor(placeSize uintptr) uint64 {
	if placeSize > largePlace {
		return loadTenthsLarge
	}
	return loadTenths
}

const (
	// minHomes leaves room for retired places in the smallest caches.
	minHomes = 4
	// hugeWorth is the size of a block from which huge pages are worth asking for.
	hugeWorth = 1 << 20
)

// wipe clears the key and value of a place that nobody can reach, so that the
// collector can free what they refer to.
func (p *place[K, V]) wipe() { *p = place[K, V]{} }

// hasPointers reports whether values of type t refer to memory.
func hasPointers(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr,
		reflect.Float32, reflect.Float64, reflect.Complex64, reflect.Complex128:
		return false
	case reflect.Array:
		return t.Len() > 0 && hasPointers(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if hasPointers(t.Field(i).Type) {
				return true
			}
		}
		return false
	}
	return true
}

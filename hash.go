package dualcache

import (
	"hash/maphash"
	"math/bits"
	"math/rand/v2"
	"reflect"
	"unsafe"

	"github.com/zeebo/xxh3"
)

// Hashing. A key's 64-bit hash is used twice: the high half tells where (home
// bucket, tier slots), the low half tells what (tags). Every cache has seeds
// of its own, so that keys that collide in one do not in another, and nobody
// who chooses keys can make them collide (G10).
//
//	integers of 1 to 8 bytes     one folded 128-bit multiply (wyhash, Wang Yi)
//	strings                      xxh3
//	other plain memory           xxh3 over its bytes
//	the rest                     maphash.Comparable
//	Config.Hasher                its result, mixed as an integer
//
// Plain memory is what == compares byte by byte: no padding, no blank fields,
// no floats, strings, pointers or interfaces.

// A hashKind says how a cache hashes its keys.
type hashKind uint8

const (
	hashComparable hashKind = iota
	hashWord                // plain memory of 8 bytes
	hashInteger             // an integer of 1, 2 or 4 bytes
	hashString
	hashMemory
	hashCustom
)

type hashing[K comparable] struct {
	kind      hashKind
	mayPanic  bool // == on keys may panic: they hold interfaces
	xor, mul  uint64
	comparing maphash.Seed
	custom    func(K) uint64
}

func (x *hashing[K]) init(custom func(K) uint64) {
	x.xor, x.mul = rand.Uint64(), rand.Uint64()|1
	x.comparing = maphash.MakeSeed()
	t := reflect.TypeFor[K]()
	x.kind, x.mayPanic = kindOf(t), holdsInterface(t)
	if custom != nil {
		x.kind, x.custom = hashCustom, custom
	}
}

func kindOf(t reflect.Type) hashKind {
	switch k := t.Kind(); {
	case k == reflect.String:
		return hashString
	case !plainMemory(t) || t.Size() == 0:
		return hashComparable
	case t.Size() == 8:
		return hashWord
	case k >= reflect.Bool && k <= reflect.Uintptr:
		return hashInteger
	}
	return hashMemory
}

func plainMemory(t reflect.Type) bool {
	switch k := t.Kind(); {
	case k >= reflect.Bool && k <= reflect.Uintptr:
		return true
	case k == reflect.Array:
		return plainMemory(t.Elem())
	case k == reflect.Struct:
		var end uintptr
		for i := range t.NumField() {
			f := t.Field(i)
			if f.Offset != end || f.Name == "_" || !plainMemory(f.Type) {
				return false
			}
			end += f.Type.Size()
		}
		return end == t.Size()
	}
	return false
}

func holdsInterface(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Interface:
		return true
	case reflect.Array:
		return holdsInterface(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if holdsInterface(t.Field(i).Type) {
				return true
			}
		}
	}
	return false
}

// hash is inlined where keys are words; the others take the call. It may run
// user code and is not called pinned.
func (x *hashing[K]) hash(key K) uint64 {
	if unsafe.Sizeof(key) == 8 && x.kind == hashWord {
		// K is 8 bytes of plain memory.
		return mix(*(*uint64)(unsafe.Pointer(&key)), x.xor, x.mul)
	}
	return x.hashSlow(key)
}

func (x *hashing[K]) hashSlow(key K) uint64 {
	if unsafe.Sizeof(key) == unsafe.Sizeof("") && x.kind == hashString {
		return xxh3.HashStringSeed(*(*string)(unsafe.Pointer(&key)), x.xor)
	}
	if x.mayPanic {
		// A key whose dynamic type cannot be compared panics here, in the
		// caller's frame, and not later under a pin.
		_ = equal(key, key)
	}
	// The sizes are checked by kindOf.
	p := unsafe.Pointer(&key)
	switch x.kind {
	case hashInteger:
		return mix(integer(p, unsafe.Sizeof(key)), x.xor, x.mul)
	case hashMemory:
		return xxh3.HashSeed(unsafe.Slice((*byte)(p), unsafe.Sizeof(key)), x.xor)
	case hashCustom:
		return mix(x.custom(key), x.xor, x.mul)
	}
	return maphash.Comparable(x.comparing, key)
}

func integer(p unsafe.Pointer, size uintptr) uint64 {
	switch size {
	case 1:
		return uint64(*(*uint8)(p))
	case 2:
		return uint64(*(*uint16)(p))
	case 4:
		return uint64(*(*uint32)(p))
	}
	return *(*uint64)(p)
}

//go:noinline
func equal[K comparable](a, b K) bool { return a == b }

// mix folds the 128-bit product of the seeded word and a seed of its own. The
// second multiply spreads what the fold leaves in the middle to the high bits,
// which choose the bucket.
func mix(x, xor, mul uint64) uint64 {
	hi, lo := bits.Mul64(x^xor, mul)
	return (hi ^ lo) * 0x9e3779b97f4a7c15
}

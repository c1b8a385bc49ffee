package dualcache

import (
	"fmt"
	"math"
	"math/bits"
	"reflect"
	"testing"
	"unsafe"
)

type (
	namedInt    int
	namedString string
	padded      struct {
		a uint8
		b uint64
	}
	blank struct {
		a uint32
		_ uint32
		b uint64
	}
	plainPair struct{ a, b uint32 }
	plainLong struct {
		a, b uint64
		c    [3]uint16
		d    uint16
	}
	holder struct {
		n int
		v any
	}
)

// Guards kindOf: only what == compares byte by byte may be hashed as memory.
// Fails if plainMemory lets padding, blank fields, floats or references pass.
func TestHashKinds(t *testing.T) {
	word := hashWord // is of 8 bytes
	if bits.UintSize == 32 {
		word = hashInteger
	}
	for _, test := range []struct {
		key  any
		want hashKind
	}{
		{int(0), word}, {uint64(0), hashWord}, {namedInt(0), word}, {uintptr(0), word},
		{plainPair{}, hashWord}, {[2]uint32{}, hashWord}, {[8]byte{}, hashWord},
		{int32(0), hashInteger}, {uint16(0), hashInteger}, {int8(0), hashInteger}, {true, hashInteger},
		{"", hashString}, {namedString(""), hashString},
		{[16]byte{}, hashMemory}, {plainLong{}, hashMemory}, {[3]byte{}, hashMemory}, {[5]plainPair{}, hashMemory},
		{padded{}, hashComparable}, {blank{}, hashComparable}, {[2]padded{}, hashComparable},
		{float64(0), hashComparable}, {float32(0), hashComparable}, {complex64(0), hashComparable},
		{[1]float64{}, hashComparable}, {struct{ f float64 }{}, hashComparable},
		{struct{ s string }{}, hashComparable}, {[2]string{}, hashComparable}, {new(int), hashComparable},
		{make(chan int), hashComparable}, {holder{}, hashComparable},
		{struct{}{}, hashComparable}, {[0]int{}, hashComparable},
	} {
		if got := kindOf(reflect.TypeOf(test.key)); got != test.want {
			t.Errorf("kind of %T = %d, want %d", test.key, got, test.want)
		}
	}
	if got := kindOf(reflect.TypeFor[any]()); got != hashComparable {
		t.Errorf("kind of any = %d, want %d", got, hashComparable)
	}
	for typ, want := range map[reflect.Type]bool{
		reflect.TypeFor[any](): true, reflect.TypeFor[error](): true, reflect.TypeFor[holder](): true,
		reflect.TypeFor[[2]holder](): true, reflect.TypeFor[*holder](): false, reflect.TypeFor[string](): false,
		reflect.TypeFor[padded](): false,
	} {
		if got := holdsInterface(typ); got != want {
			t.Errorf("holdsInterface(%v) = %v, want %v", typ, got, want)
		}
	}
}

func chiSquare(bins []int, n int) (x float64) {
	want := float64(n) / float64(len(bins))
	for _, b := range bins {
		x += (float64(b) - want) * (float64(b) - want) / want
	}
	return x
}

// Guards G10 and the quality of mix: the high half, which chooses the bucket,
// is spread as if by chance for keys that differ in few bits. The low seven
// bits, which make the tag, need less: two keys have the same tag at most twice
// as often as by chance (chi-square up to the number of keys). Three seeds in
// sixteen may exceed the bounds. Fails without the second multiply (buckets) or
// without the fold (tags).
func TestHashQuality(t *testing.T) {
	const keys, bins, tags = 1 << 15, 1024, 128
	patterns := map[string]func(uint64) uint64{
		"sequential":  func(i uint64) uint64 { return i },
		"stride 8":    func(i uint64) uint64 { return i * 8 },
		"stride 4096": func(i uint64) uint64 { return i << 12 },
		"stride 1000": func(i uint64) uint64 { return i * 1000 },
		"high bits":   func(i uint64) uint64 { return i << 48 },
		"middle bits": func(i uint64) uint64 { return i << 24 },
		"two halves":  func(i uint64) uint64 { return i&0xff | i>>8<<40 },
		"negative":    func(i uint64) uint64 { return -i },
	}
	check := func(name string, hash func(uint64) uint64) {
		t.Helper()
		var bucketBins [bins]int
		var tagBins [tags]int
		for i := range uint64(keys) {
			h := hash(i)
			bucketBins[h>>32*bins>>32]++
			tagBins[h&0x7f]++
		}
		b, g := chiSquare(bucketBins[:], keys), chiSquare(tagBins[:], keys)
		if b > 1500 || g > 300 {
			t.Errorf("%s: chi-square %.0f of %d buckets, %.0f of %d tags", name, b, bins, g, tags)
		}
	}
	for name, pattern := range patterns {
		bad := 0
		for range 16 {
			var x hashing[uint64]
			x.init(nil)
			var bucketBins [bins]int
			var tagBins [tags]int
			for i := range uint64(keys) {
				h := x.hash(pattern(i))
				bucketBins[h>>32*bins>>32]++
				tagBins[h&0x7f]++
			}
			if b, g := chiSquare(bucketBins[:], keys), chiSquare(tagBins[:], keys); b > 1500 || g > keys {
				t.Logf("%s: chi-square %.0f of %d buckets, %.0f of %d tags, seeds %x %x", name, b, bins, g, tags, x.xor, x.mul)
				bad++
			}
		}
		if bad > 3 {
			t.Errorf("%s: %d seeds of 16 spread badly, want at most 3", name, bad)
		}
	}
	var s hashing[string]
	s.init(nil)
	check("strings", func(i uint64) uint64 { return s.hash(fmt.Sprint("user:", i)) })
	var m hashing[[16]byte]
	m.init(nil)
	check("arrays", func(i uint64) uint64 { return m.hash([16]byte{5: byte(i), 11: byte(i >> 8)}) })
	var f hashing[float64]
	f.init(nil)
	check("floats", func(i uint64) uint64 { return f.hash(float64(i)) })
}

func checkSeeded[K comparable](t *testing.T, custom func(K) uint64, key func(int) K) {
	t.Helper()
	var a, b hashing[K]
	a.init(custom)
	b.init(custom)
	same := 0
	for i := range 100 {
		if a.hash(key(i)) == b.hash(key(i)) {
			same++
		}
		first, again := a.hash(key(i)), a.hash(key(i))
		if first != again {
			t.Errorf("%T: a key has two hashes", key(i))
		}
	}
	if same > 1 {
		t.Errorf("%T: %d of 100 keys have equal hashes under two seeds, want 0", key(0), same)
	}
}

// Guards G10: seeds are the cache's own, for every kind of key. Fails where a
// branch of hash leaves the seed out.
func TestHashIsSeeded(t *testing.T) {
	checkSeeded(t, nil, func(i int) int { return i })
	checkSeeded(t, nil, func(i int) uint16 { return uint16(i) })
	checkSeeded(t, nil, func(i int) string { return fmt.Sprint(i) })
	checkSeeded(t, nil, func(i int) [16]byte { return [16]byte{byte(i)} })
	checkSeeded(t, nil, func(i int) float64 { return float64(i) })
	checkSeeded(t, func(k int) uint64 { return uint64(k) }, func(i int) int { return i })
}

// Guards hash and hashSlow against each other, and Get's hash by hand: a key
// is found under the hash that it was stored under, for all sizes.
func TestEveryKeyTypeIsFound(t *testing.T) {
	checkHashes(t, func(i int) int8 { return int8(i) })
	checkHashes(t, func(i int) uint16 { return uint16(i) })
	checkHashes(t, func(i int) int32 { return int32(-i) })
	testFound(t, func(i int) int64 { return int64(-i) })
	checkHashes(t, func(i int) plainPair { return plainPair{uint32(i), 1} })
	checkHashes(t, func(i int) plainLong { return plainLong{a: uint64(i), d: 9} })
	testFound(t, func(i int) [3]byte { return [3]byte{0, 0, byte(i)} })
	testFound(t, func(i int) string { return fmt.Sprint(i) })
	checkHashes(t, func(i int) float32 { return float32(i) / 3 })
	checkHashes(t, func(i int) complex128 { return complex(float64(i), 1) })
	testFound(t, func(i int) any { return []any{i, fmt.Sprint(i), float64(i)}[i%3] })
	testFound(t, func(i int) holder { return holder{i, fmt.Sprint(i)} })
}

// checkHashes holds that a key has one hash, whichever way it is got, and different keys
// have different ones.
func checkHashes[K comparable](t *testing.T, key func(int) K) {
	t.Helper()
	var x hashing[K]
	x.init(nil)
	seen := map[uint64]bool{}
	for i := range 100 {
		k, again := key(i), key(i)
		if x.hash(k) != x.hash(again) {
			t.Errorf("%T: %v has two hashes", k, k)
		}
		seen[x.hash(k)] = true
	}
	if len(seen) != 100 {
		t.Errorf("%T: %d hashes of 100 keys", key(0), len(seen))
	}
}

func testFound[K comparable](t *testing.T, key func(int) K) {
	t.Helper()
	c := headless(t, Config[K, int]{Capacity: 200})
	for i := range 100 {
		c.Set(key(i), i)
	}
	for i := range 100 {
		if v, ok := c.Get(key(i)); !ok || v != i {
			t.Errorf("%T: Get(%v) = %d, %v, want %d", key(i), key(i), v, ok, i)
		}
	}
	if n := c.Len(); n != 100 {
		t.Errorf("%T: Len = %d, want 100", key(0), n)
	}
}

// Guards hashComparable for floats: +0 and -0 are one key. Fails if floats
// count as plain memory.
func TestZerosAreOneKey(t *testing.T) {
	minus := math.Copysign(0, -1)
	c := headless(t, Config[float64, int]{Capacity: 100})
	c.Set(0, 1)
	c.Set(minus, 2)
	if v, ok := c.Get(0); !ok || v != 2 || c.Len() != 1 {
		t.Errorf("Get(0) = %d, %v with Len %d, want 2, true, 1", v, ok, c.Len())
	}
	var a hashing[[2]float64]
	a.init(nil)
	if a.hash([2]float64{minus, 1}) != a.hash([2]float64{0, 1}) {
		t.Error("an array with -0 and one with 0 are equal, and have two hashes")
	}
	type point struct{ x, y float32 }
	var s hashing[point]
	s.init(nil)
	if s.hash(point{float32(minus), 1}) != s.hash(point{0, 1}) {
		t.Error("a struct with -0 and one with 0 are equal, and have two hashes")
	}
}

// Guards rule 3: NaN keys are stored, never found, and evicted, cleared and
// expired by slot and stored hash. Fails if eviction compares keys or hashes
// them again: takeOut panics, or the cache fills up for ever.
func TestNaNKeys(t *testing.T) {
	c := headless(t, Config[float64, int]{Capacity: 64})
	nan := math.NaN()
	for i := range 1000 {
		c.Set(nan, i)
		if v, ok := c.Get(nan); ok {
			t.Fatalf("Get(NaN) = %d", v)
		}
		if n := c.Len(); n > 64 {
			t.Fatalf("Len = %d, want at most 64", n)
		}
	}
	if n := c.Len(); n < 32 {
		t.Errorf("Len = %d, want most of 64", n)
	}
	if c.Delete(nan) {
		t.Error("Delete(NaN) = true, want false")
	}
	invariants(t, c)
	for i := range 1000 {
		c.Set(float64(i), i)
		if v, ok := c.Get(float64(i)); !ok || v != i {
			t.Fatalf("Get(%d) = %d, %v", i, v, ok)
		}
	}
	c.Set(nan, 1)
	c.Clear()
	c.Sync()
	if n := c.Len(); n != 0 {
		t.Errorf("Len = %d after Clear, want 0", n)
	}
	invariants(t, c)
	emptyIndex(t, c)
	c.SetWithTTL(nan, 1, 1)
	c.Sync()
	if n := c.Len(); n != 0 {
		t.Errorf("Len = %d after expiry, want 0", n)
	}
}

func panics(f func()) (panicked bool) {
	defer func() { panicked = recover() != nil }()
	f()
	return false
}

// Guards rule 3 and G7: a key that cannot be compared panics in the caller's
// frame, before the pin, and the cache goes on. Fails without the comparison
// in hashSlow where the hasher does not panic by itself.
func TestUncomparableKeys(t *testing.T) {
	for name, custom := range map[string]func(any) uint64{"built in": nil, "custom": func(any) uint64 { return 1 }} {
		c := headless(t, Config[any, int]{Capacity: 100, Hasher: custom})
		c.Set("a", 1)
		c.Set(1, 2)
		c.Set(int64(1), 3)
		bad := any([]int{1})
		for i, f := range []func(){
			func() { c.Get(bad) },
			func() { c.Set(bad, 1) },
			func() { c.SetWithTTL(bad, 1, 1) },
			func() { c.Delete(bad) },
			func() { c.Set([1]any{bad}, 1) },
		} {
			if !panics(f) {
				t.Errorf("%s: operation %d on an uncomparable key does not panic", name, i)
			}
		}
		for key, want := range map[any]int{"a": 1, 1: 2, int64(1): 3} {
			if v, ok := c.Get(key); !ok || v != want {
				t.Errorf("%s: Get(%v) = %d, %v, want %d", name, key, v, ok, want)
			}
		}
		if n := c.Len(); n != 3 {
			t.Errorf("%s: Len = %d, want 3", name, n)
		}
		for i := range 300 {
			c.Set(i, i)
		}
		c.Sync()
		invariants(t, c)
	}
	c := headless(t, Config[holder, int]{Capacity: 100, Hasher: func(holder) uint64 { return 1 }})
	c.Set(holder{1, 1}, 1)
	if !panics(func() { c.Get(holder{1, func() {}}) }) {
		t.Error("Get of a struct with an uncomparable field does not panic")
	}
	if v, ok := c.Get(holder{1, 1}); !ok || v != 1 {
		t.Errorf("Get = %d, %v, want 1", v, ok)
	}
}

// Guards hashComparable for structs: bytes that == does not look at do not
// change the hash. Fails if such structs count as plain memory.
func TestPaddingAndBlanksDoNotCount(t *testing.T) {
	dirty := func(p unsafe.Pointer, from, to uintptr) {
		for i := from; i < to; i++ {
			*(*byte)(unsafe.Add(p, i)) = 0xa5
		}
	}
	p, q := padded{1, 2}, padded{1, 2}
	dirty(unsafe.Pointer(&q), 1, unsafe.Offsetof(q.b))
	var x hashing[padded]
	x.init(nil)
	if p != q || x.hash(p) != x.hash(q) {
		t.Error("padding changes the hash")
	}
	b, d := blank{a: 1, b: 2}, blank{a: 1, b: 2}
	dirty(unsafe.Pointer(&d), 4, 8)
	var y hashing[blank]
	y.init(nil)
	if b != d || y.hash(b) != y.hash(d) {
		t.Error("a blank field changes the hash")
	}
}

// Guards G7 and rule 2: a Hasher runs outside the pin, so it may call the
// cache and may panic. Fails (with a fatal error) if hash is called pinned.
func TestHasherMayPanicAndCallTheCache(t *testing.T) {
	var c *Cache[int, int]
	calls := 0
	c = headless(t, Config[int, int]{Capacity: 100, Hasher: func(k int) uint64 {
		if k == 13 {
			panic("thirteen")
		}
		if k < 1000 && c != nil {
			calls++
			c.Set(k+1000, k)
			c.Get(k + 1000)
			c.Len()
		}
		return uint64(k)
	}})
	for k := range 40 {
		if k == 13 {
			for _, f := range []func(){
				func() { c.Set(k, k) }, func() { c.Get(k) }, func() { c.Delete(k) },
			} {
				if !panics(f) {
					t.Error("the Hasher's panic does not reach the caller")
				}
			}
			continue
		}
		c.Set(k, k)
		if v, ok := c.Get(k); !ok || v != k {
			t.Fatalf("Get(%d) = %d, %v", k, v, ok)
		}
		if v, ok := c.Get(k + 1000); !ok || v != k {
			t.Fatalf("Get(%d), set by the Hasher, = %d, %v, want %d", k+1000, v, ok, k)
		}
	}
	if calls == 0 {
		t.Error("the Hasher was not called")
	}
	c.Clear()
	c.Sync()
	invariants(t, c)
}

var _ = plainLong{b: 1, c: [3]uint16{1}} // there for their size

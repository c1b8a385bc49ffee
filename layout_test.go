package dualcache

import (
	"reflect"
	"testing"
	"unsafe"
)

// fieldsOf gives where the first of a struct's fields that have a name begins, and
// where the last ends.
func fieldsOf(typ reflect.Type) (first, end uintptr) {
	first = typ.Size()
	for i := range typ.NumField() {
		if f := typ.Field(i); f.Name != "_" {
			first, end = min(first, f.Offset), max(end, f.Offset+f.Type.Size())
		}
	}
	return first, end
}

// Guards against false sharing: what a worker's owner writes shares no line with
// anything else. Fails without the pads in worker.
func TestWorkerIsPadded(t *testing.T) {
	first, end := fieldsOf(reflect.TypeFor[worker]())
	if first < lineBytes {
		t.Errorf("the first field is at %d, want %d or more", first, lineBytes)
	}
	if got := unsafe.Sizeof(worker{}) - end; got < lineBytes {
		t.Errorf("%d bytes after the last field, want %d or more", got, lineBytes)
	}
}

// Guards the pads round what writers contend for. Fails without them (shown): every
// Get would miss the line of the fields it reads.
func TestPermitsAreApart(t *testing.T) {
	typ := reflect.TypeFor[Cache[uint64, uint64]]()
	permits, _ := typ.FieldByName("permits")
	for i := range typ.NumField() {
		f := typ.Field(i)
		if f.Name == "permits" || f.Name == "_" || f.Type.Size() == 0 {
			continue
		}
		if end := f.Offset + f.Type.Size(); f.Offset < permits.Offset && permits.Offset-end < lineBytes-permits.Type.Size() ||
			f.Offset > permits.Offset && f.Offset-permits.Offset < lineBytes {
			t.Errorf("permits, at %d, may share a line with %s, at %d", permits.Offset, f.Name, f.Offset)
		}
	}
}

// Guards "a bucket of uint64 pairs is two lines, and what is beside it one": fails
// if a field is added to either.
func TestBucketsAreLines(t *testing.T) {
	if got := unsafe.Sizeof(bucket[uint64, uint64]{}); got != 2*lineBytes {
		t.Errorf("bucket[uint64, uint64] takes %d bytes, want %d", got, 2*lineBytes)
	}
	if got := unsafe.Sizeof(aside{}); got != lineBytes {
		t.Errorf("aside takes %d bytes, want %d", got, lineBytes)
	}
	if got := unsafe.Offsetof(bucket[uint64, uint64]{}.places); got != 32 {
		t.Errorf("the places begin at %d, want 32", got)
	}
	// What is loaded by 64-bit operations is aligned, on 32-bit platforms too.
	if got := unsafe.Alignof(bucket[uint32, uint64]{}); got != 8 {
		t.Errorf("a bucket is aligned to %d, want 8", got)
	}
	for homes := uint64(minHomes); homes < 300; homes += 7 {
		tb := newTable[uint64, uint64](homes, 0, true, columns{})
		if a := uintptr(tb.base); homes > 32 && a%lineBytes != 0 || a%8 != 0 {
			t.Errorf("a table of %d homes begins at %x", homes, a)
		}
	}
}

// Guards the addresses that valueWord is allowed for: those of all places are
// multiples of its size. (On 386 a uint64 in a struct need not be.)
func TestValuesInPlaceAreAligned(t *testing.T) {
	aligned(t, uint8(0), uint32(0))
	aligned(t, [3]uint32{}, uint32(0))
	aligned(t, uint32(0), uint64(0))
	aligned(t, uint64(0), uint64(0))
	aligned(t, [2]uint32{}, float64(0))
	aligned(t, [3]uint32{}, [2]int32{})
	aligned(t, "", uint64(0))
	aligned(t, [5]byte{}, [8]byte{})
}

func aligned[K comparable, V any](t *testing.T, key K, value V) {
	t.Helper()
	if valueKindOf[K, V]() != valueWord {
		return
	}
	tb := newTable[K, V](5, 0, false, columns{})
	for b := range tb.homes {
		for i := range bucketPlaces {
			if a := uintptr(unsafe.Pointer(&bucketAt[K, V](tb, b).place(i).value)); a%unsafe.Sizeof(value) != 0 {
				t.Errorf("%T to %T: a value at %x", key, value, a)
			}
		}
	}
}

// Guards the point of the arena: where K and V refer to nothing, the collector sees
// no pointer in a table. Fails if a bucket gets a pointer field.
func TestBucketsWithoutPointers(t *testing.T) {
	for _, test := range []struct {
		typ  reflect.Type
		want bool
	}{
		{reflect.TypeFor[bucketHead](), false},
		{reflect.TypeFor[aside](), false},
		{reflect.TypeFor[bucket[uint64, uint64]](), false},
		{reflect.TypeFor[bucket[[16]byte, [100]byte]](), false},
		{reflect.TypeFor[bucket[plainLong, float32]](), false},
		{reflect.TypeFor[bucket[uint64, [0]*int]](), false},
		{reflect.TypeFor[bucket[string, uint64]](), true},
		{reflect.TypeFor[bucket[uint64, *int]](), true},
		{reflect.TypeFor[bucket[uint64, any]](), true},
		{reflect.TypeFor[bucket[uint64, struct{ f func() }]](), true},
		{reflect.TypeFor[bucket[uint64, [2]map[int]int]](), true},
	} {
		if got := hasPointers(test.typ); got != test.want {
			t.Errorf("hasPointers(%v) = %v, want %v", test.typ, got, test.want)
		}
	}
}

// Guards the conditions of storing in place: an aligned word without pointers, or a
// single pointer. Fails if valueKindOf lets anything else pass.
func TestValueKinds(t *testing.T) {
	for name, got := range map[string][2]valueKind{
		"uint64":         {valueKindOf[uint64, uint64](), valueWord},
		"uint32":         {valueKindOf[uint8, uint32](), valueWord},
		"float64":        {valueKindOf[uint64, float64](), valueWord},
		"two uint32":     {valueKindOf[uint64, plainPair](), valueWord},
		"[8]byte, odd":   {valueKindOf[uint32, [8]byte](), valueFixed},
		"[8]byte, even":  {valueKindOf[uint64, [8]byte](), valueWord},
		"uint16":         {valueKindOf[uint64, uint16](), valueFixed},
		"bool":           {valueKindOf[uint64, bool](), valueFixed},
		"string":         {valueKindOf[uint64, string](), valueFixed},
		"any":            {valueKindOf[uint64, any](), valueFixed},
		"pointer":        {valueKindOf[uint64, *int](), valuePointer},
		"map":            {valueKindOf[uint64, map[int]int](), valuePointer},
		"func":           {valueKindOf[uint64, func()](), valuePointer},
		"struct pointer": {valueKindOf[uint64, struct{ p *int }](), valueFixed},
		"nothing":        {valueKindOf[uint64, struct{}](), valueFixed},
	} {
		if got[0] != got[1] {
			t.Errorf("%s: value kind %d, want %d", name, got[0], got[1])
		}
	}
}

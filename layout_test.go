package dualcache

import (
	"reflect"
	"testing"
	"unsafe"
)

// Guards against false sharing: what a worker's owner writes shares no line
// with anything else. Fails without the pads in worker.
func TestWorkerIsPadded(t *testing.T) {
	const line = 64
	var w worker
	first := uintptr(1 << 20)
	for i := range reflect.TypeFor[worker]().NumField() {
		if f := reflect.TypeFor[worker]().Field(i); f.Name != "_" {
			first = min(first, f.Offset)
		}
	}
	if first < line {
		t.Errorf("the first field is at %d, want %d or more", first, line)
	}
	end := uintptr(0)
	for i := range reflect.TypeFor[worker]().NumField() {
		if f := reflect.TypeFor[worker]().Field(i); f.Name != "_" {
			end = max(end, f.Offset+f.Type.Size())
		}
	}
	if got := unsafe.Sizeof(w) - end; got < line {
		t.Errorf("%d bytes after the last field, want %d or more", got, line)
	}
}

// apart reports whether the named fields of t share no line with others.
func apart(t *testing.T, typ reflect.Type, names ...string) {
	t.Helper()
	const line = 64
	own := make(map[string]bool)
	from, to := uintptr(1<<30), uintptr(0)
	for _, name := range names {
		f, ok := typ.FieldByName(name)
		if !ok {
			t.Fatalf("%v has no field %s", typ, name)
		}
		own[name] = true
		from, to = min(from, f.Offset), max(to, f.Offset+f.Type.Size())
	}
	for i := range typ.NumField() {
		f := typ.Field(i)
		if own[f.Name] || f.Name == "_" || f.Type.Size() == 0 {
			continue
		}
		if f.Offset < from && from-(f.Offset+f.Type.Size()) < line || f.Offset >= to && f.Offset-to < line {
			t.Errorf("%v: %s shares a line with %s", typ, names[0], f.Name)
		}
	}
}

// Guards the pads round what writers contend for: the permits, and the head of
// the free list. Fails without them: every Get would miss its line.
func TestContendedFieldsAreApart(t *testing.T) {
	apart(t, reflect.TypeFor[Cache[uint64, uint64]](), "permits")
	apart(t, reflect.TypeFor[arena](), "made", "free")
}

// Guards "a bucket is one cache line": fails if newSegment does not align.
func TestBucketsAreLines(t *testing.T) {
	if got := unsafe.Sizeof(bucket{}); got != 64 {
		t.Errorf("a bucket takes %d bytes, want 64", got)
	}
	for n := 1; n < 700; n++ {
		for range 3 {
			if p := uintptr(newSegment(n)); p%64 != 0 {
				t.Fatalf("a segment of %d buckets is at %x", n, p)
			}
		}
	}
}

// Guards the point of the arena: where K and V refer to nothing, the collector
// sees no pointer in a slab. Fails if a node gets a pointer field.
func TestNodeLayout(t *testing.T) {
	if got := unsafe.Sizeof(node[uint64, uint64]{}); got != 32 {
		t.Errorf("node[uint64, uint64] takes %d bytes, want 32", got)
	}
	for _, test := range []struct {
		typ  reflect.Type
		want bool
	}{
		{reflect.TypeFor[node[uint64, uint64]](), false},
		{reflect.TypeFor[node[[16]byte, [100]byte]](), false},
		{reflect.TypeFor[node[plainLong, float32]](), false},
		{reflect.TypeFor[node[string, uint64]](), true},
		{reflect.TypeFor[node[uint64, *int]](), true},
		{reflect.TypeFor[node[uint64, any]](), true},
		{reflect.TypeFor[node[uint64, [0]*int]](), false},
		{reflect.TypeFor[bucket](), false},
	} {
		if got := hasPointers(test.typ); got != test.want {
			t.Errorf("hasPointers(%v) = %v, want %v", test.typ, got, test.want)
		}
	}
}

// Guards the conditions of storing in place: an aligned word without pointers,
// or a single pointer. Fails if valueKindOf lets anything else pass.
func TestValueKinds(t *testing.T) {
	for name, got := range map[string][2]valueKind{
		"uint64":         {valueKindOf[uint64, uint64](), valueWord},
		"uint32":         {valueKindOf[uint8, uint32](), valueWord},
		"float64":        {valueKindOf[string, float64](), valueWord},
		"two uint32":     {valueKindOf[uint64, plainPair](), valueWord},
		"[8]byte, odd":   {valueKindOf[uint32, [8]byte](), valueFixed},
		"[8]byte, even":  {valueKindOf[uint64, [8]byte](), valueWord},
		"uint16":         {valueKindOf[uint64, uint16](), valueFixed},
		"bool":           {valueKindOf[uint64, bool](), valueFixed},
		"string":         {valueKindOf[uint64, string](), valueFixed},
		"any":            {valueKindOf[uint64, any](), valueFixed},
		"pointer":        {valueKindOf[uint64, *int](), valuePointer},
		"map":            {valueKindOf[uint64, map[int]int](), valuePointer},
		"struct pointer": {valueKindOf[uint64, struct{ p *int }](), valueFixed},
		"nothing":        {valueKindOf[uint64, struct{}](), valueFixed},
	} {
		if got[0] != got[1] {
			t.Errorf("%s: value kind %d, want %d", name, got[0], got[1])
		}
	}
}

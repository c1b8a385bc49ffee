package dualcache

import (
	"bytes"
	"testing"
)

// What FuzzSnapshot makes of its bytes.
const (
	fuzzRaw   = iota // a snapshot
	fuzzSeal         // a snapshot, whose checksums are then made right
	fuzzFlat         // the records of a block of flat types
	fuzzGob          // a gob, as the value of a record
	fuzzModes = iota
)

// FuzzSnapshot reads bytes that anyone may have made into caches of several types.
// None may panic, or take more memory than in proportion to their length; and what has
// been restored can be written and read again.
func FuzzSnapshot(f *testing.F) {
	flat, gobs, anys := snapshotOf(f, smallCache(f), 30), snapshotOf(f, gobCache(f), 300), snapshotOf(f, anyCache(f), blockLimit)
	for _, b := range [][]byte{flat, gobs, anys} {
		f.Add(uint8(fuzzRaw), b)
		f.Add(uint8(fuzzSeal), b)
	}
	f.Add(uint8(fuzzFlat), sections(flat)[1][blockHeadLen:])
	f.Add(uint8(fuzzGob), gobOf(f, profile{Tags: map[string]int{"a": 1}, Any: []any{1, []float64{2}}}))
	f.Add(uint8(fuzzGob), gobOf(f, map[string]any{"a": map[string]any{"b": nil}, "c": []any{"d"}}))
	f.Fuzz(func(t *testing.T, mode uint8, b []byte) {
		snapshots := [3][]byte{b, b, b}
		switch mode % fuzzModes {
		case fuzzSeal:
			b = reseal(b)
			snapshots = [3][]byte{b, b, b}
		case fuzzFlat:
			snapshots[0] = forgeRecords(smallCache(t), b)
			snapshots[1] = forgeRecords(gobCache(t), b)
			snapshots[2] = forgeRecords(anyCache(t), b)
		case fuzzGob:
			snapshots[1] = forgeGob(gobCache(t), b)
			snapshots[2] = forgeGob(anyCache(t), b)
		}
		fuzzRead[string, uint64](t, snapshots[0])
		fuzzRead[string, profile](t, snapshots[1])
		fuzzRead[any, map[string]any](t, snapshots[2])
	})
}

// forgeRecords makes a snapshot of records that are as many as they seem to be.
func forgeRecords[K comparable, V any](c *Cache[K, V], records []byte) []byte {
	count := 0
	for b := records; len(b) > 1; count++ {
		n, rest := takeUvarint(b[1:])
		b = rest[min(n, uint64(len(rest))):]
	}
	return forge(c, uint32(len(records)), uint32(max(1, count)), records)
}

func gobOf[V any](t testing.TB, v V) []byte {
	t.Helper()
	var half gobHalf[V]
	if _, err := half.encode(nil, &v); err != nil {
		t.Fatal(err)
	}
	return bytes.Clone(half.out.Bytes())
}

func fuzzRead[K comparable, V any](t *testing.T, b []byte) {
	c := headless(t, Config[K, V]{Capacity: 1000})
	var n int64
	var err error
	got := allocated(func() { n, err = c.ReadFrom(bytes.NewReader(b)) })
	if limit := uint64(4<<20 + 200*len(b)); got > limit {
		t.Errorf("%d bytes of input allocate %d, want at most %d (%v)", len(b), got, limit, err)
	}
	if n > int64(len(b)) || err != nil && !isSnapshotError(err) {
		t.Errorf("ReadFrom of %d bytes = %d, %v", len(b), n, err)
	}
	if c.Len() == 0 {
		return
	}
	var again bytes.Buffer
	if _, err := c.WriteTo(&again); err != nil {
		t.Fatalf("what was read cannot be written: %v", err)
	}
	if _, err := headless(t, Config[K, V]{Capacity: 1000}).ReadFrom(&again); err != nil {
		t.Fatalf("what was read and written cannot be read: %v", err)
	}
}

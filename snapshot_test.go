package dualcache

import (
	"bytes"
	"encoding/binary"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"math/big"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zeebo/xxh3"
)

// withCodec makes a headless cache with a codec.
func withCodec[K comparable, V any](t testing.TB, capacity int, codec Codec[K, V]) *Cache[K, V] {
	t.Helper()
	c := headless(t, Config[K, V]{Capacity: capacity})
	c.codec = codec
	return c
}

// snapshotOf writes a snapshot in blocks of a limit.
func snapshotOf[K comparable, V any](t testing.TB, c *Cache[K, V], limit int) []byte {
	t.Helper()
	var b bytes.Buffer
	n, err := c.writeSnapshot(&b, limit)
	if err != nil || n != int64(b.Len()) {
		t.Fatalf("WriteTo = %d, %v, and %d bytes were written", n, err, b.Len())
	}
	return b.Bytes()
}

// entriesOf are those that a cache holds.
func entriesOf[K comparable, V any](c *Cache[K, V]) map[K]V {
	m := map[K]V{}
	c.eachEntry(func(e Entry[K, V]) bool {
		m[e.Key] = e.Value
		return true
	})
	return m
}

// roundTrip holds that a snapshot of values gives them back.
func roundTrip[K comparable, V any](t *testing.T, values map[K]V) {
	t.Helper()
	t.Run(fmt.Sprintf("%T", values), func(t *testing.T) {
		for _, limit := range []int{blockLimit, 40} {
			from := headless(t, Config[K, V]{Capacity: 100})
			to := headless(t, Config[K, V]{Capacity: 100})
			for k, v := range values {
				from.Set(k, v)
			}
			b := snapshotOf(t, from, limit)
			r := bytes.NewReader(append(b, "more"...))
			if n, err := to.ReadFrom(r); err != nil || n != int64(len(b)) || r.Len() != 4 {
				t.Fatalf("ReadFrom of %d bytes = %d, %v", len(b), n, err)
			}
			if got := entriesOf(to); !reflect.DeepEqual(got, values) {
				t.Errorf("read %v, want %v", got, values)
			}
		}
	})
}

// encodeAndDecode is roundTrip without a cache: the codec alone.
func encodeAndDecode[K comparable, V any](t *testing.T, values map[K]V) {
	t.Helper()
	encoder, err := blockCodecFor[K, V](nil)
	decoder, err2 := blockCodecFor[K, V](nil)
	if err != nil || err2 != nil || encoder.identity() != decoder.identity() {
		t.Fatalf("%T: %v, %v", values, err, err2)
	}
	for range 2 { // blocks
		got := map[K]V{}
		encoder.begin()
		decoder.begin()
		for k, v := range values {
			b, err := encoder.encode(nil, &k, &v)
			if err != nil {
				t.Fatalf("%T: encode: %v", values, err)
			}
			var key K
			var value V
			if err := decoder.decode(b, &key, &value); err != nil {
				t.Fatalf("%T: decode: %v", values, err)
			}
			got[key] = value
		}
		if !reflect.DeepEqual(got, values) {
			t.Errorf("decoded %v, want %v", got, values)
		}
	}
}

func init() {
	gob.Register([]float64{})
	gob.Register([]any{})
	gob.Register(map[string]any{})
}

type (
	userID  uint32
	pointXY struct{ x, y float32 }
	flatKey struct {
		tenant string
		_      int
		ID     userID
		flags  [3]bool
		sum    [20]byte
	}
	profile struct {
		Name   string
		Emails []string
		Tags   map[string]int
		Born   time.Time
		Boss   *profile2
		Any    any
	}
	profile2 struct{ Name string }
	node     struct{ Next *node }
)

func TestSnapshotRoundTrip(t *testing.T) {
	roundTrip(t, map[uint64]uint64{0: 1, 1<<64 - 1: 2, 5: 1 << 63})
	encodeAndDecode(t, map[int]int{-1: math.MaxInt, 7: math.MinInt})
	encodeAndDecode(t, map[uint]uintptr{1: math.MaxUint})
	encodeAndDecode(t, map[int8]int16{-128: -32768, 127: 1})
	encodeAndDecode(t, map[uint16]int32{9: -9, 65535: 1 << 30})
	encodeAndDecode(t, map[uint8]uint32{200: 1 << 31})
	encodeAndDecode(t, map[bool]bool{true: false, false: true})
	encodeAndDecode(t, map[float64]float32{0.1: 0.2, -3: 1e30})
	encodeAndDecode(t, map[complex128]complex64{complex(1, 2): complex(3, 4)})
	roundTrip(t, map[string]string{"": "empty", "a": "", "long": strings.Repeat("x", 300)})
	encodeAndDecode(t, map[string][]byte{"nil": nil, "empty": {}, "some": []byte("some")})
	encodeAndDecode(t, map[userID]time.Duration{1: time.Hour})
	encodeAndDecode(t, map[string]struct{}{"a": {}, "b": {}})
	encodeAndDecode(t, map[[16]byte][2]int64{{1, 2}: {3, -4}, {}: {}})
	encodeAndDecode(t, map[pointXY]pointXY{{1, 2}: {3, 4}})
	encodeAndDecode(t, map[flatKey]*flatKey2{{"t", 0, 3, [3]bool{true}, [20]byte{19: 1}}: {A: 1}})
	encodeAndDecode(t, map[netip.Addr]string{netip.MustParseAddr("192.0.2.1"): "v4", netip.MustParseAddr("fe80::1%eth0"): "v6"})
	roundTrip(t, map[string][]string{"a": {"b", "c"}, "none": nil})
	encodeAndDecode(t, map[string]map[string][]int{"a": {"b": {1, 2}}, "none": nil})
	encodeAndDecode(t, map[string]*string{"nil": nil, "a": new(string)})
	encodeAndDecode(t, map[string]*flatKey{"nil": nil, "zero": {}, "some": {tenant: "t", ID: 1}})
	encodeAndDecode(t, map[string]*profile{"nil": nil, "zero": {}, "some": {Name: "A", Emails: []string{"a"}}})
	encodeAndDecode(t, map[int]any{1: []any{[]float64{1}, []any{"x", []float64{2}}, 3, 4, 5, 6, 7, 8}, 2: map[string]any{"x": []any{1}}})
	encodeAndDecode(t, map[string]any{"int": 5, "string": "s", "nil": nil, "floats": []float64{1, 2}})
	encodeAndDecode(t, map[any]int{"string": 1, 7: 2})
	encodeAndDecode(t, map[string]*big.Int{"a": big.NewInt(1e18)})
	encodeAndDecode(t, map[string][300]int32{"a": {299: -1}})
	roundTrip(t, map[int]profile{
		1: {Name: "A", Emails: []string{"a@example.org"}, Tags: map[string]int{"x": 1},
			Born: time.Unix(1, 2).UTC(), Boss: &profile2{"B"}, Any: "any"},
		2: {},
	})
}

type flatKey2 struct{ A int }

// Fails without the distinction of blocks by size: a value longer than a block.
func TestSnapshotLargeValues(t *testing.T) {
	values := map[string]string{}
	for _, n := range []int{0, 1, blockLimit - 10, blockLimit, blockLimit + 1, 10 * blockLimit} {
		values[fmt.Sprint(n)] = strings.Repeat("v", n)
	}
	roundTrip(t, values)
}

func TestSnapshotEmpty(t *testing.T) { roundTrip(t, map[uint64]uint64{}) }

func TestSnapshotUnfitTypes(t *testing.T) {
	unfit(t, func() {}, "func")
	unfit(t, make(chan int), "chan int")
	unfit(t, []chan int{}, "chan int")
	unfit(t, struct{ B []*strings.Builder }{}, "leaves out the field")
	unfit(t, &node{}, "refers to itself")
	unfit(t, []*int{}, "nil of a *int")
	unfit(t, new(*string), "nil of a **string")
	unfit(t, map[*int]int{}, "pointers")
	unfit(t, []struct{}{}, "struct {}")
	c := headless(t, Config[*int, int]{Capacity: 10})
	if _, err := c.WriteTo(io.Discard); !errors.Is(err, ErrSnapshotType) {
		t.Errorf("a snapshot of pointers as keys: %v", err)
	}
	if _, err := c.ReadFrom(strings.NewReader("")); !errors.Is(err, ErrSnapshotType) {
		t.Errorf("ReadFrom with pointers as keys: %v", err)
	}
}

func unfit[V any](t *testing.T, _ V, why string) {
	t.Helper()
	if _, err := blockCodecFor[int, V](nil); !errors.Is(err, ErrSnapshotType) || !strings.Contains(err.Error(), why) {
		t.Errorf("values of type %v: %v, want ErrSnapshotType and %q", reflect.TypeFor[V](), err, why)
	}
}

// smallCache holds a few entries, one of which expires.
func smallCache(t testing.TB) *Cache[string, uint64] {
	c := headless(t, Config[string, uint64]{Capacity: 16})
	c.Set("one", 1)
	c.Set("two", 2)
	c.SetWithTTL("hour", 3, time.Hour)
	c.Set("", 4)
	return c
}

// readSmall reads what smallCache or something like it wrote, into a cache that has
// an entry already. No value may be other than smallCache's, blocks are whole, and
// the cache's own entry stays.
func readSmall(t *testing.T, what string, b []byte, want map[string]uint64) (restored int, err error) {
	t.Helper()
	c := headless(t, Config[string, uint64]{Capacity: 16})
	c.Set("own", 5)
	n, err := c.ReadFrom(bytes.NewReader(b))
	if n > int64(len(b)) {
		t.Fatalf("%s: read %d of %d bytes", what, n, len(b))
	}
	got := entriesOf(c)
	if got["own"] != 5 {
		t.Fatalf("%s: the cache's own entry is %d", what, got["own"])
	}
	delete(got, "own")
	for k, v := range got {
		if w, ok := want[k]; !ok || v != w {
			t.Fatalf("%s: %q is %d, want %d, %v (error %v)", what, k, v, w, ok, err)
		}
	}
	if err == nil && len(got) != len(want) {
		t.Fatalf("%s: no error, and %d entries of %d", what, len(got), len(want))
	}
	if err != nil && !strings.Contains(err.Error(), fmt.Sprintf("%d entries restored", len(got))) {
		t.Fatalf("%s: %d entries, and the error is %v", what, len(got), err)
	}
	return len(got), err
}

// Every prefix is an error that says so, and leaves whole blocks, the more the
// longer it is.
func TestSnapshotTruncated(t *testing.T) {
	from := smallCache(t)
	want := entriesOf(from)
	for _, limit := range []int{1, 30, blockLimit} { // 4, 2 and 1 blocks
		b := snapshotOf(t, from, limit)
		last := 0
		for n := range b {
			restored, err := readSmall(t, fmt.Sprintf("%d of %d bytes", n, len(b)), b[:n], want)
			if !errors.Is(err, ErrSnapshotCorrupt) || !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatalf("%d of %d bytes: error %v", n, len(b), err)
			}
			if restored < last {
				t.Fatalf("%d bytes: %d entries, and %d before", n, restored, last)
			}
			last = restored
		}
		if last != len(want) {
			t.Errorf("all but one byte: %d entries", last)
		}
	}
}

// Every value of every byte.
func TestSnapshotCorrupted(t *testing.T) {
	from := smallCache(t)
	want := entriesOf(from)
	for _, limit := range []int{30, blockLimit} {
		b := snapshotOf(t, from, limit)
		for i := range b {
			for x := 1; x < 256; x++ {
				if testing.Short() && x&(x-1) != 0 {
					continue
				}
				b[i] ^= byte(x)
				_, err := readSmall(t, fmt.Sprintf("byte %d changed by %#x", i, x), b, want)
				switch {
				case err == nil:
					t.Fatalf("byte %d changed by %#x: no error", i, x)
				case !errors.Is(err, ErrSnapshotCorrupt) && !(errors.Is(err, ErrSnapshotVersion) && (i == 8 || i == 9)):
					t.Fatalf("byte %d changed by %#x: %v", i, x, err)
				}
				b[i] ^= byte(x)
			}
		}
	}
}

// Blocks that are lost, doubled, exchanged, or from elsewhere. Fails without the
// chain of checksums.
func TestSnapshotBlocksMoved(t *testing.T) {
	from := smallCache(t)
	want := entriesOf(from)
	parts := sections(snapshotOf(t, from, 1))
	from.Set("one", 77)
	others := sections(snapshotOf(t, from, 1))
	head, b, trailer := parts[0], parts[1:len(parts)-1], parts[len(parts)-1]
	if len(b) != 4 {
		t.Fatalf("%d blocks, want 4", len(b))
	}
	for _, parts := range [][][]byte{
		{head, b[0], b[1], b[2], trailer},
		{head, b[0], b[0], b[1], b[2], b[3], trailer},
		{head, b[1], b[0], b[2], b[3], trailer},
		{head, trailer},
		{head, b[0], b[1], b[2], b[3], others[len(others)-1]},
		append([][]byte{head}, others[1:]...),
		{head, b[0], head, b[1]},
	} {
		_, err := readSmall(t, "moved blocks", bytes.Join(parts, nil), want)
		if !errors.Is(err, ErrSnapshotCorrupt) {
			t.Errorf("%d parts of %d: %v", len(parts), len(b)+2, err)
		}
	}
}

// sections cuts a snapshot into header, blocks and trailer.
func sections(b []byte) (parts [][]byte) {
	n := fixedHeadLen + variedHeadLen
	n += int(binary.LittleEndian.Uint16(b[n-2:])) + sumLen
	for len(b) > 0 {
		parts = append(parts, b[:n:n])
		if b = b[n:]; len(b) > 0 {
			n = blockHeadLen + int(binary.LittleEndian.Uint32(b)) + sumLen
		}
	}
	return parts
}

// reseal gives every part of a snapshot the checksum that it should have, as far as
// lengths make sense.
func reseal(b []byte) []byte {
	b = slices.Clone(b)
	if len(b) < fixedHeadLen+variedHeadLen {
		return b
	}
	sum := uint64(0)
	n := fixedHeadLen + variedHeadLen + int(binary.LittleEndian.Uint16(b[fixedHeadLen+variedHeadLen-2:]))
	for rest := b; n+sumLen <= len(rest); {
		sum = xxh3.HashSeed(rest[:n], sum)
		binary.LittleEndian.PutUint64(rest[n:], sum)
		if rest = rest[n+sumLen:]; len(rest) < blockHeadLen {
			break
		}
		n = blockHeadLen + int(min(binary.LittleEndian.Uint32(rest), recordLimit))
	}
	return b
}

// Every byte of a forged snapshot, whose checksums are right.
func TestSnapshotForged(t *testing.T) {
	caches := []struct {
		name     string
		snapshot []byte
		read     func(b []byte) error
	}{
		{"flat", snapshotOf(t, smallCache(t), 30), readForged[string, uint64](t)},
		{"gob", snapshotOf(t, gobCache(t), blockLimit), readForged[string, profile](t)},
		{"any", snapshotOf(t, anyCache(t), blockLimit), readForged[any, map[string]any](t)},
	}
	for _, c := range caches {
		for i := range c.snapshot {
			for _, x := range []byte{1, 2, 4, 8, 16, 32, 64, 128, 0x55, 0xff} {
				b := slices.Clone(c.snapshot)
				b[i] ^= x
				if err := c.read(reseal(b)); err != nil && !isSnapshotError(err) {
					t.Fatalf("%s, byte %d changed by %#x: %v", c.name, i, x, err)
				}
			}
		}
	}
}

func isSnapshotError(err error) bool {
	return errors.Is(err, ErrSnapshotCorrupt) || errors.Is(err, ErrSnapshotType) || errors.Is(err, ErrSnapshotVersion)
}

func gobCache(t testing.TB) *Cache[string, profile] {
	c := headless(t, Config[string, profile]{Capacity: 16})
	c.Set("a", profile{Name: "A", Emails: []string{"a", "b"}, Tags: map[string]int{"x": 1, "y": 2}, Any: []byte("any")})
	c.Set("b", profile{Born: time.Unix(5, 5), Boss: &profile2{"C"}, Any: 2.5})
	return c
}

func anyCache(t testing.TB) *Cache[any, map[string]any] {
	c := headless(t, Config[any, map[string]any]{Capacity: 16})
	c.Set("a", map[string]any{"x": 1, "y": "z", "f": []float64{1, 2}})
	c.Set(2.5, nil)
	return c
}

// readForged reads into a cache, with the memory that this takes within bounds.
func readForged[K comparable, V any](t testing.TB) func(b []byte) error {
	c := headless(t, Config[K, V]{Capacity: 16})
	return func(b []byte) (err error) {
		got := allocated(func() { _, err = c.ReadFrom(bytes.NewReader(b)) })
		if limit := uint64(1<<20 + 100*len(b)); got > limit {
			t.Fatalf("%d bytes of input allocate %d, want at most %d (%v)", len(b), got, limit, err)
		}
		return err
	}
}

func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// forge makes a snapshot of one block, with right checksums.
func forge[K comparable, V any](c *Cache[K, V], length, count uint32, records []byte) []byte {
	codec, err := blockCodecFor(c.codec)
	if err != nil {
		panic(err)
	}
	var b bytes.Buffer
	s := &snapshotWriter[K, V]{to: &b, codec: codec}
	s.header()
	s.buf = append(s.buf, records...)
	s.head(0, 0, 0)
	binary.LittleEndian.PutUint32(s.buf, length)
	binary.LittleEndian.PutUint32(s.buf[4:], count)
	s.seal()
	s.total = uint64(count)
	s.finish()
	return b.Bytes()
}

// Lengths and counts that promise far more than there is. (The bound fails, by
// gigabytes, without the steps of fill and without gobGuard.)
func TestSnapshotHostileLengths(t *testing.T) {
	flat := headless(t, Config[string, string]{Capacity: 16})
	gobs := headless(t, Config[uint8, map[string]int]{Capacity: 16})
	huge := binary.AppendUvarint(nil, 1<<60)
	cat := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	cases := []struct {
		name string
		got  error
	}{
		{"a block of 4 GB", readInto(t, flat, forge(flat, 1<<32-1, 1, nil))},
		{"a block of the largest size", readInto(t, flat, forge(flat, recordLimit, 1, nil))},
		{"a large block of many", readInto(t, flat, forge(flat, blockLimit+1, 2, make([]byte, blockLimit+1)))},
		{"more entries than bytes", readInto(t, flat, forge(flat, 4, 1<<32-1, make([]byte, 4)))},
		{"a block of no entries", readInto(t, flat, forge(flat, 4, 0, make([]byte, 4)))},
		{"a block of no bytes", readInto(t, flat, forge(flat, 0, 1, nil))},
		{"a long record", readInto(t, flat, forge(flat, 10, 1, cat([]byte{0}, huge)))},
		{"a long key", readInto(t, flat, forge(flat, 11, 1, cat([]byte{0, 9}, huge)))},
		{"a long time to live", readInto(t, flat, forge(flat, 13, 1, cat([]byte{recordTTL}, binary.AppendUvarint(nil, 1<<63), []byte{2, 0, 0})))},
		{"a time to live of zero", readInto(t, flat, forge(flat, 5, 1, []byte{recordTTL, 0, 2, 0, 0}))},
		{"a large weight", readInto(t, flat, forge(flat, 9, 1, cat([]byte{recordWeight}, binary.AppendUvarint(nil, 1<<32), []byte{2, 0, 0})))},
		{"an unknown mark", readInto(t, flat, forge(flat, 4, 1, []byte{1 << 6, 2, 0, 0}))},
		{"bytes after the value", readInto(t, flat, forge(flat, 5, 1, []byte{0, 3, 0, 0, 0}))},
		{"bytes after the record", readInto(t, flat, forge(flat, 5, 1, []byte{0, 2, 0, 0, 0}))},
		{"a large map", readInto(t, gobs, forgeGob(gobs, hostileMap(t)))},
	}
	for _, c := range cases {
		if !errors.Is(c.got, ErrSnapshotCorrupt) && !errors.Is(c.got, ErrSnapshotType) {
			t.Errorf("%s: %v", c.name, c.got)
		}
	}
	if n := flat.Len() + gobs.Len(); n != 0 {
		t.Errorf("%d entries were restored", n)
	}
}

func readInto[K comparable, V any](t *testing.T, c *Cache[K, V], b []byte) (err error) {
	t.Helper()
	if got := allocated(func() { _, err = c.ReadFrom(bytes.NewReader(b)) }); got > 1<<20 {
		t.Errorf("%d bytes of input allocate %d", len(b), got)
	}
	return err
}

// forgeGob makes a snapshot of a gob as a value, with a byte for a key.
func forgeGob[K comparable, V any](c *Cache[K, V], value []byte) []byte {
	value = append(binary.AppendUvarint([]byte{7}, uint64(len(value))), value...)
	record := append(binary.AppendUvarint([]byte{0}, uint64(len(value))), value...)
	return forge(c, uint32(len(record)), 1, record)
}

// hostileMap is the gob of a map that claims to have 2^40 elements.
func hostileMap(t *testing.T) []byte {
	t.Helper()
	var half gobHalf[map[string]int]
	v := map[string]int{"key": 1}
	if _, err := half.encode(nil, &v); err != nil {
		t.Fatal(err)
	}
	b := half.out.Bytes()
	at := bytes.Index(b, []byte("\x01\x03key")) // the count, and the first key
	start := at - 1                             // of the message: its length is right
	for int(b[start]) != len(b)-start-1 {
		start--
	}
	large := slices.Concat(b[:at], []byte{0xfa, 1, 0, 0, 0, 0, 0}, b[at+1:])
	large[start] += 6
	return large
}

// The control of the test before: gob alone makes the map.
func TestSnapshotGobControl(t *testing.T) {
	large := bytes.Replace(hostileMap(t), []byte{0xfa, 1, 0, 0, 0, 0, 0}, []byte{0xfa, 0, 0, 0, 0x10, 0, 0}, 1)
	var box gobBox[map[string]int]
	var err error
	got := allocated(func() { err = gob.NewDecoder(bytes.NewReader(large)).Decode(&box) })
	if err == nil || got < 1<<20 {
		t.Errorf("gob allocates %d for a map that says it has 2^20 elements (%v): is the guard still needed?", got, err)
	}
	if new(gobGuard).pass(large) {
		t.Error("the guard lets it pass")
	}
}

// Values nested so deep that gob would overflow the stack.
func TestSnapshotGobDepth(t *testing.T) {
	var v any = 1
	for range gobDepth / 2 {
		v = []any{v}
	}
	c := headless(t, Config[int, any]{Capacity: 10})
	c.Set(1, v)
	if _, err := c.WriteTo(io.Discard); err == nil || !strings.Contains(err.Error(), "deep") {
		t.Errorf("WriteTo of a value that cannot be read again: %v", err)
	}
}

func TestSnapshotVersion(t *testing.T) {
	b := snapshotOf(t, smallCache(t), blockLimit)
	c := headless(t, Config[string, uint64]{Capacity: 16})
	for _, change := range []func(b []byte){
		func(b []byte) { b[8] = snapshotVersion + 1 },
		func(b []byte) { b[9] = 1 },
		func(b []byte) { b[10] = 1 }, // a flag
	} {
		newer := slices.Clone(b)
		change(newer)
		if _, err := c.ReadFrom(bytes.NewReader(reseal(newer))); !errors.Is(err, ErrSnapshotVersion) {
			t.Errorf("a newer version: %v", err)
		}
	}
	// Whatever follows may be anything, or nothing.
	if _, err := c.ReadFrom(strings.NewReader(snapshotMagic + "\x02\x00")); !errors.Is(err, ErrSnapshotVersion) {
		t.Errorf("a newer version of another form: %v", err)
	}
	old := slices.Clone(b)
	old[8] = 0
	if _, err := c.ReadFrom(bytes.NewReader(reseal(old))); !errors.Is(err, ErrSnapshotCorrupt) {
		t.Errorf("version 0: %v", err)
	}
	if c.Len() != 0 {
		t.Errorf("%d entries were restored", c.Len())
	}
}

func TestSnapshotOtherTypes(t *testing.T) {
	from := headless(t, Config[uint64, uint64]{Capacity: 16})
	from.Set(1, 2)
	b := snapshotOf(t, from, blockLimit)
	for _, err := range []error{
		readAs[uint64, int64](t, b), readAs[userID, uint64](t, b), readAs[uint64, string](t, b),
		readAs[string, uint64](t, b), readAs[uint64, struct{ A uint64 }](t, b), readAs[uint64, []uint64](t, b),
	} {
		if !errors.Is(err, ErrSnapshotType) {
			t.Errorf("a snapshot of other types: %v", err)
		}
	}
	c := withCodec(t, 16, Codec[uint64, uint64](pairCodec{}))
	if _, err := c.ReadFrom(bytes.NewReader(b)); !errors.Is(err, ErrSnapshotType) {
		t.Errorf("a snapshot of another codec: %v", err)
	}
}

func readAs[K comparable, V any](t *testing.T, b []byte) error {
	c := headless(t, Config[K, V]{Capacity: 16})
	_, err := c.ReadFrom(bytes.NewReader(b))
	if c.Len() != 0 {
		t.Errorf("an entry of another type was restored: %v", entriesOf(c))
	}
	return err
}

// Types of one name and another make are others, if they are flat; long names are
// kept apart.
func TestSnapshotIdentity(t *testing.T) {
	names := map[string]bool{}
	add := func(name string, err error) {
		if err != nil || names[name] || len(name) > 3*identityLimit {
			t.Errorf("identity %q of %d bytes: not the only one of this name, or %v", name, len(name), err)
		}
		names[name] = true
	}
	add(identityOf[int, struct{ A, B int }]())
	add(identityOf[int, struct{ A, C int }]())
	add(identityOf[int, struct {
		A int
		C uint
	}]())
	add(identityOf[int, [2]int]())
	add(identityOf[int, userID]())
	add(identityOf[int, uint32]())
	add(identityOf[int, map[string][]userID]())
	add(identityOf[int, map[string][]uint32]())
	add(identityOf[int, [300]uint32]())
	long := []reflect.StructField{}
	for i := range 100 {
		long = append(long, reflect.StructField{Name: fmt.Sprintf("Field%040d", i), Type: reflect.TypeFor[int]()})
	}
	add(clipName(flatName(reflect.StructOf(long))), nil)
	long[99].Type = reflect.TypeFor[uint]()
	add(clipName(flatName(reflect.StructOf(long))), nil)
}

func identityOf[K comparable, V any]() (string, error) {
	codec, err := blockCodecFor[K, V](nil)
	if err != nil {
		return "", err
	}
	return codec.identity(), nil
}

// pairCodec is a codec of its own, that can be told to fail.
type pairCodec struct{ encode, decode func() error }

func (c pairCodec) Encode(dst []byte, key, value uint64) ([]byte, error) {
	if c.encode != nil {
		if err := c.encode(); err != nil {
			return nil, err
		}
	}
	return binary.AppendUvarint(binary.AppendUvarint(dst, key), value), nil
}

func (c pairCodec) Decode(src []byte) (key, value uint64, err error) {
	if c.decode != nil {
		if err := c.decode(); err != nil {
			return 0, 0, err
		}
	}
	key, n := binary.Uvarint(src)
	value, _ = binary.Uvarint(src[n:])
	return key, value, nil
}

type namedCodec struct {
	pairCodec
	name string
}

func (c namedCodec) Name() string { return c.name }

func TestSnapshotCodec(t *testing.T) {
	from := withCodec(t, 100, Codec[uint64, uint64](pairCodec{}))
	want := map[uint64]uint64{}
	for i := range uint64(50) {
		from.Set(i, i*i)
		want[i] = i * i
	}
	b := snapshotOf(t, from, 50)
	to := withCodec(t, 100, Codec[uint64, uint64](pairCodec{}))
	if _, err := to.ReadFrom(bytes.NewReader(b)); err != nil || !maps.Equal(entriesOf(to), want) {
		t.Errorf("ReadFrom: %v, %d entries", err, to.Len())
	}
}

// A name of its own stands for codec and types.
func TestSnapshotCodecName(t *testing.T) {
	from := withCodec(t, 10, Codec[uint64, uint64](namedCodec{name: "pairs 1"}))
	from.Set(1, 2)
	b := snapshotOf(t, from, blockLimit)
	for name, fits := range map[string]bool{"pairs 1": true, "pairs 2": false, strings.Repeat("x", 1<<20): false} {
		to := withCodec(t, 10, Codec[uint64, uint64](namedCodec{name: name}))
		if _, err := to.ReadFrom(bytes.NewReader(b)); fits && err != nil || !fits && !errors.Is(err, ErrSnapshotType) {
			t.Errorf("ReadFrom with another codec: %v, want fit %v", err, fits)
		}
	}
}

// Errors and panics of a codec, in the middle of a snapshot (S1).
func TestSnapshotCodecFails(t *testing.T) {
	failure := errors.New("failure")
	for name, fail := range map[string]func() error{
		"error":         func() error { return failure },
		"panic":         func() error { panic("failure") },
		"runtime error": func() error { return []error{}[len(t.Name()):][0] },
	} {
		calls := 0
		third := func() error {
			if calls++; calls == 3 {
				return fail()
			}
			return nil
		}
		from := withCodec(t, 100, Codec[uint64, uint64](pairCodec{encode: third}))
		for i := range uint64(10) {
			from.Set(i, i)
		}
		if _, err := from.WriteTo(io.Discard); err == nil || name == "error" && !errors.Is(err, failure) {
			t.Errorf("%s of Encode: %v", name, err)
		}
		calls = 10
		b := snapshotOf(t, from, 9) // two entries of 4 bytes each
		to := withCodec(t, 100, Codec[uint64, uint64](pairCodec{decode: third}))
		calls = -1
		_, err := to.ReadFrom(bytes.NewReader(b))
		if !errors.Is(err, ErrSnapshotType) || name == "error" && !errors.Is(err, failure) {
			t.Errorf("%s of Decode: %v", name, err)
		}
		if to.Len() != 2 || !strings.Contains(err.Error(), "entry 3") || !strings.Contains(err.Error(), "2 entries restored") {
			t.Errorf("%s of Decode at the fourth entry: %d entries, %v", name, to.Len(), err)
		}
	}
}

// An error of the reader is its own, and not taken for corruption.
func TestSnapshotReaderFails(t *testing.T) {
	failure := errors.New("failure")
	b := snapshotOf(t, smallCache(t), 1)
	for n := range b {
		c := headless(t, Config[string, uint64]{Capacity: 16})
		r := io.MultiReader(bytes.NewReader(b[:n]), failing{failure})
		got, err := c.ReadFrom(r)
		if !errors.Is(err, failure) || got != int64(n) {
			t.Fatalf("a failure after %d bytes: %d, %v", n, got, err)
		}
		if errors.Is(err, ErrSnapshotCorrupt) {
			t.Fatalf("a failure after %d bytes is taken for corruption: %v", n, err)
		}
	}
}

func TestSnapshotWriterFails(t *testing.T) {
	c := smallCache(t)
	failure := errors.New("failure")
	length := len(snapshotOf(t, c, 1))
	for n := range length {
		w := &limited{n: n, err: failure}
		got, err := c.writeSnapshot(w, 1)
		if !errors.Is(err, failure) || got != int64(n) {
			t.Fatalf("a failure after %d bytes: %d, %v", n, got, err)
		}
	}
	if _, err := c.WriteTo(&limited{n: 3}); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("a short write: %v", err)
	}
}

// failing is a reader and a writer that do nothing but fail.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error)  { return 0, f.err }
func (f failing) Write([]byte) (int, error) { return 0, f.err }

// limited takes n bytes.
type limited struct {
	n   int
	err error
}

func (l *limited) Write(b []byte) (int, error) {
	if len(b) <= l.n {
		l.n -= len(b)
		return len(b), nil
	}
	n := l.n
	l.n = 0
	return n, l.err
}

// One byte at a time.
func TestSnapshotSlowReader(t *testing.T) {
	from := smallCache(t)
	b := snapshotOf(t, from, blockLimit)
	c := headless(t, Config[string, uint64]{Capacity: 16})
	if _, err := c.ReadFrom(oneByte{bytes.NewReader(b)}); err != nil || !maps.Equal(entriesOf(c), entriesOf(from)) {
		t.Errorf("ReadFrom: %v, %v", err, entriesOf(c))
	}
}

type oneByte struct{ io.Reader }

func (r oneByte) Read(b []byte) (int, error) { return r.Reader.Read(b[:min(len(b), 1)]) }

// What the cache holds wins (S2).
func TestSnapshotKeepsOwn(t *testing.T) {
	b := snapshotOf(t, smallCache(t), blockLimit)
	c := headless(t, Config[string, uint64]{Capacity: 16})
	c.Set("one", 11)
	c.SetWithTTL("two", 22, time.Hour)
	c.SetWithTTL("", 44, time.Nanosecond) // expired: not there
	time.Sleep(time.Microsecond)
	if _, err := c.ReadFrom(bytes.NewReader(b)); err != nil {
		t.Fatal(err)
	}
	want := map[string]uint64{"one": 11, "two": 22, "hour": 3, "": 4}
	if got := entriesOf(c); !maps.Equal(got, want) {
		t.Errorf("after ReadFrom: %v, want %v", got, want)
	}
}

// Weight and heat are handed on. The engine's part of it is its own matter.
func TestSnapshotRecord(t *testing.T) {
	for _, want := range []snapshotRecord[string, string]{
		{"key", "value", 0, 1, 0},
		{"", "", 1, 0, 15},
		{"key", "value", 1<<63 - 1, 1<<32 - 1, 9},
	} {
		codec, err := blockCodecFor[string, string](nil)
		if err != nil {
			t.Fatal(err)
		}
		w := snapshotWriter[string, string]{codec: codec, buf: make([]byte, blockHeadLen)}
		e := Entry[string, string]{Key: want.key, Value: want.value, Weight: want.weight, Heat: want.heat}
		if want.ttl > 0 {
			e.ExpiresAt = time.Now().Add(want.ttl)
		}
		if want.ttl == 1 {
			e.ExpiresAt = time.Now().Add(time.Minute)
			want.ttl = time.Minute
		}
		if err := w.add(e); err != nil {
			t.Fatal(err)
		}
		r := snapshotReader[string, string]{codec: codec}
		if err := r.decode(w.buf[blockHeadLen:], 1); err != nil {
			t.Fatal(err)
		}
		got := r.records[0]
		if d := want.ttl - got.ttl; d < 0 || d > time.Second {
			t.Errorf("time to live %v, want %v", got.ttl, want.ttl)
		}
		if got.ttl = want.ttl; got != want {
			t.Errorf("read %v, want %v", got, want)
		}
	}
}

// A snapshot of a cache that has been closed would be empty, or half of it.
func TestSnapshotClosed(t *testing.T) {
	c := smallCache(t)
	b := snapshotOf(t, c, blockLimit)
	c.Close()
	if _, err := c.WriteTo(io.Discard); err == nil {
		t.Error("WriteTo after Close succeeds")
	}
	if _, err := c.ReadFrom(bytes.NewReader(b)); err != nil || c.Len() != 0 {
		t.Errorf("ReadFrom after Close: %v, Len %d", err, c.Len())
	}
	path := t.TempDir() + "/snapshot"
	if err := smallCache(t).SaveFile(path); err != nil {
		t.Fatal(err)
	}
	if err := c.SaveFile(path); err == nil {
		t.Error("SaveFile after Close succeeds")
	}
	if err := smallCache(t).LoadFile(path); err != nil {
		t.Errorf("the file after a SaveFile after Close: %v", err)
	}
}

// Snapshots are written and read while the cache is in use: values are never other
// than the key's.
func TestSnapshotWhileInUse(t *testing.T) {
	c := Must(Config[uint64, [2]uint64]{Capacity: 2000})
	defer c.Close()
	var stop atomic.Bool
	var wg sync.WaitGroup
	for g := range uint64(2) {
		spawn(&wg, func() {
			for i := g; !stop.Load(); i += 7 {
				key := i % 3000
				c.Set(key, [2]uint64{key, ^key})
				if i%11 == 0 {
					c.Delete(key + 1)
				}
				if i%1024 == 0 {
					runtime.Gosched()
				}
			}
		})
	}
	defer wg.Wait()
	defer stop.Store(true)
	for range 20 {
		var b bytes.Buffer
		if _, err := c.writeSnapshot(&b, 1000); err != nil {
			t.Fatal(err)
		}
		other := headless(t, Config[uint64, [2]uint64]{Capacity: 2000})
		for _, to := range []*Cache[uint64, [2]uint64]{other, c} {
			if _, err := to.ReadFrom(bytes.NewReader(b.Bytes())); err != nil {
				t.Fatal(err)
			}
		}
		for k, v := range entriesOf(other) {
			if v[0] != k || v[1] != ^k {
				t.Fatalf("the value of %d is %v", k, v)
			}
		}
	}
}

// A service that restarts from a snapshot hits as before, to within two points; and
// one with a tenth of the capacity about as one of that size does.
func TestSnapshotWarm(t *testing.T) {
	if debug {
		t.Skip("it is all one goroutine, and long")
	}
	const capacity, requests = 20_000, 400_000
	z := rand.NewZipf(rand.New(rand.NewPCG(1, 2)), 1.07, 1, 10*capacity)
	run := func(c *Cache[uint64, uint64], requests int) float64 {
		before := c.Stats()
		for range requests {
			key := z.Uint64() * 0x9e3779b97f4a7c15
			if _, ok := c.Get(key); !ok {
				c.Set(key, key)
			}
		}
		return c.Stats().Sub(before).HitRatio()
	}
	for _, x := range []struct {
		capacity int
		points   float64
	}{{capacity, 2}, {capacity / 10, 5}} {
		from := headless(t, Config[uint64, uint64]{Capacity: capacity})
		run(from, 2*requests)
		like := headless(t, Config[uint64, uint64]{Capacity: x.capacity})
		run(like, 2*requests)
		to := headless(t, Config[uint64, uint64]{Capacity: x.capacity})
		if _, err := to.ReadFrom(bytes.NewReader(snapshotOf(t, from, blockLimit))); err != nil {
			t.Fatal(err)
		}
		want, got := run(like, requests/10), run(to, requests/10)
		t.Logf("capacity %d: hit ratio %.3f after the restart, %.3f without", x.capacity, got, want)
		if got < want-x.points/100 {
			t.Errorf("capacity %d: hit ratio %.3f after the restart, want %.3f", x.capacity, got, want)
		}
	}
}

func BenchmarkSnapshot(b *testing.B) {
	const n = 100_000
	c := headless(b, Config[uint64, uint64]{Capacity: n})
	for i := range uint64(n) {
		c.Set(i, i)
	}
	entries := make([]Entry[uint64, uint64], 0, n)
	c.eachEntry(func(e Entry[uint64, uint64]) bool {
		entries = append(entries, e)
		return true
	})
	var out bytes.Buffer
	c.WriteTo(&out)
	codec, _ := blockCodecFor(c.codec)
	b.Run("op=write", func(b *testing.B) { // without the engine
		b.ReportAllocs()
		for b.Loop() {
			s := &snapshotWriter[uint64, uint64]{to: io.Discard, codec: codec, limit: blockLimit, created: time.Now()}
			s.header()
			for _, e := range entries {
				s.add(e)
			}
			s.finish()
		}
		reportEntries(b, len(entries), out.Len())
	})
	b.Run("op=decode", func(b *testing.B) { // without the engine
		b.ReportAllocs()
		for b.Loop() {
			s := &snapshotReader[uint64, uint64]{from: bytes.NewReader(out.Bytes()), cache: closedCache, codec: codec}
			err := s.header()
			for more := true; more && err == nil; {
				s.fill(blockHeadLen)
				length, count := binary.LittleEndian.Uint32(s.buf), binary.LittleEndian.Uint32(s.buf[4:])
				s.fill(int(length) + sumLen)
				records := s.buf[blockHeadLen : len(s.buf)-sumLen]
				if err = s.verify(); err == nil && length > 0 {
					err = s.decode(records, int(count))
				}
				more = length > 0
			}
			if err != nil {
				b.Fatal(err)
			}
		}
		reportEntries(b, len(entries), out.Len())
	})
	b.Run("op=WriteTo", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c.WriteTo(io.Discard)
		}
		reportEntries(b, len(entries), out.Len())
	})
	b.Run("op=ReadFrom", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			to := headless(b, Config[uint64, uint64]{Capacity: n})
			if _, err := to.ReadFrom(bytes.NewReader(out.Bytes())); err != nil {
				b.Fatal(err)
			}
		}
		reportEntries(b, len(entries), out.Len())
	})
}

var closedCache = Must(Config[uint64, uint64]{Capacity: 1})

func reportEntries(b *testing.B, entries, bytes int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(entries), "ns/entry")
	b.ReportMetric(float64(bytes)/float64(entries), "B/entry")
}

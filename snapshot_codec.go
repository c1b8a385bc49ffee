package dualcache

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"unsafe"

	"github.com/zeebo/xxh3"
)

// How snapshots encode keys and values. A Config.Codec does both at once. By default
// each of the two has a half of its own, chosen by its type:
//
//	flat   numbers, booleans, strings, byte slices, structs and short arrays
//	       of them, unexported fields included, and as values pointers to all
//	       these: in the order of their declaration, of fixed size or preceded
//	       by their length (here)
//	gob    the rest, if gob keeps it as it is (snapshot_gob.go)
//
// The identity of flat types spells out their fields: nothing else in a snapshot
// tells what the bytes mean. That of gob types is their name, for a gob describes
// itself, and gob can cope with fields that have come or gone.
//
// Decoders are given bytes whose checksum is right. They still trust nothing: a
// length is held against what is there, and a byte of a bool must be 0 or 1.

// A Codec encodes the entries of a cache for snapshots; see Config.Codec. It is used
// by one goroutine at a time for each snapshot that is being written or read, and by
// several if there are several. Its methods are not called under a lock, and may use
// the cache. A panic of theirs is reported as an error.
//
// Without one, numbers, strings, byte slices, structs and short arrays of them, and
// values that are pointers to these, are copied exactly, unexported fields included.
// Other types are encoded by encoding/gob, which makes no difference between empty and
// nil slices and maps, and has to be told of the types that interfaces hold, by
// gob.Register. Types that gob cannot give back as they were are refused, with
// ErrSnapshotType, and need a Codec: those with unexported fields (and no GobEncode or
// MarshalBinary method), pointers to other things than structs, channels, functions,
// types that refer to themselves, and keys with pointers. What interfaces hold is not
// looked at so closely.
//
// A snapshot can be read by a cache whose K, V and Codec have the same type names. A
// Codec with a method
//
//	Name() string
//
// answers for that itself: then the name alone, at most a thousand bytes of it, must
// be the same.
type Codec[K comparable, V any] interface {
	// Encode appends the encoding of an entry to dst, and returns the extended slice.
	Encode(dst []byte, key K, value V) ([]byte, error)

	// Decode is given what Encode appended for one entry. It must not keep src, nor
	// anything that shares its memory. If snapshots come from where they can be
	// forged, src can be anything.
	Decode(src []byte) (K, V, error)
}

// A blockCodec is what the writer and the reader of a snapshot use. begin comes
// before the first entry of every block. An entry can be decoded when those before it
// in its block have been.
type blockCodec[K comparable, V any] interface {
	identity() string
	begin()
	encode(dst []byte, key *K, value *V) ([]byte, error)
	decode(src []byte, key *K, value *V) error
}

// identityLimit leaves an identity of two types and a codec far below the 65,535
// bytes that its length can count.
const identityLimit = 1000

// blockCodecFor gives the codec of the configuration, or the default if that is nil.
func blockCodecFor[K comparable, V any](own Codec[K, V]) (blockCodec[K, V], error) {
	if own != nil {
		return ownCodec[K, V]{own}, nil
	}
	key, err := halfFor[K](true)
	if err != nil {
		return nil, err
	}
	value, err := halfFor[V](false)
	if err != nil {
		return nil, err
	}
	return &halves[K, V]{key, value}, nil
}

// ownCodec is a Config.Codec.
type ownCodec[K comparable, V any] struct{ Codec[K, V] }

func (c ownCodec[K, V]) identity() string {
	if named, ok := c.Codec.(interface{ Name() string }); ok {
		return "codec " + clipName(named.Name())
	}
	return clipName(fullName(reflect.TypeFor[K]())) + ", " + clipName(fullName(reflect.TypeFor[V]())) +
		", codec " + clipName(fullName(reflect.TypeOf(c.Codec)))
}

func (c ownCodec[K, V]) begin() {}

func (c ownCodec[K, V]) encode(dst []byte, key *K, value *V) ([]byte, error) {
	return c.Encode(dst, *key, *value)
}

func (c ownCodec[K, V]) decode(src []byte, key *K, value *V) (err error) {
	*key, *value, err = c.Decode(src)
	return err
}

// halves is the default codec.
type halves[K comparable, V any] struct {
	key   half[K]
	value half[V]
}

// A half encodes keys, or values. What it appends tells its own length.
type half[T any] interface {
	identity() string
	begin()
	encode(dst []byte, v *T) ([]byte, error)
	decode(src []byte, v *T) (rest []byte, err error)
}

func (c *halves[K, V]) identity() string {
	return clipName(c.key.identity()) + ", " + clipName(c.value.identity())
}

func (c *halves[K, V]) begin() {
	c.key.begin()
	c.value.begin()
}

func (c *halves[K, V]) encode(dst []byte, key *K, value *V) ([]byte, error) {
	dst, err := c.key.encode(dst, key)
	if err != nil {
		return nil, err
	}
	return c.value.encode(dst, value)
}

func (c *halves[K, V]) decode(src []byte, key *K, value *V) error {
	src, err := c.key.decode(src, key)
	if err != nil {
		return err
	}
	src, err = c.value.decode(src, value)
	if err == nil && len(src) > 0 {
		err = errors.New("bytes after the value")
	}
	return err
}

func halfFor[T any](isKey bool) (half[T], error) {
	t := reflect.TypeFor[T]()
	f := new(flatHalf[T])
	if t.Kind() == reflect.Pointer && !isKey {
		f.pointer, t = true, t.Elem()
	}
	if f.compile(t, 0) {
		f.name = flatName(reflect.TypeFor[T]())
		return f, nil
	}
	t = reflect.TypeFor[T]()
	if why := gobUnfit(t, isKey, nil); why != "" {
		return nil, fmt.Errorf("%w: %s needs a Config.Codec: %s", ErrSnapshotType, t, why)
	}
	return &gobHalf[T]{name: fullName(t)}, nil
}

// clipName shortens long names and keeps them different.
func clipName(name string) string {
	if len(name) <= identityLimit {
		return name
	}
	return fmt.Sprintf("%s... %016x", name[:identityLimit-20], xxh3.HashString(name))
}

// fullName is the name of a type with the whole path of its package.
func fullName(t reflect.Type) string {
	switch {
	case t.Name() != "" && t.PkgPath() != "":
		return t.PkgPath() + "." + t.Name()
	case t.Name() != "":
		return t.Name()
	}
	switch t.Kind() {
	case reflect.Pointer:
		return "*" + fullName(t.Elem())
	case reflect.Slice:
		return "[]" + fullName(t.Elem())
	case reflect.Array:
		return fmt.Sprintf("[%d]%s", t.Len(), fullName(t.Elem()))
	case reflect.Map:
		return "map[" + fullName(t.Key()) + "]" + fullName(t.Elem())
	}
	return t.String()
}

// flatName is fullName with what the type is made of.
func flatName(t reflect.Type) string {
	name := fullName(t)
	switch {
	case t.Kind() == reflect.Struct:
		var b strings.Builder
		for i := range t.NumField() {
			fmt.Fprintf(&b, "%s %s; ", t.Field(i).Name, flatName(t.Field(i).Type))
		}
		return name + "{" + strings.TrimSuffix(b.String(), "; ") + "}"
	case t.Kind() == reflect.Pointer:
		return name + "=*" + flatName(t.Elem())
	case t.Kind() == reflect.Array:
		return fmt.Sprintf("%s=[%d]%s", name, t.Len(), flatName(t.Elem()))
	case t.Name() != "" && t.PkgPath() != "":
		return name + "=" + t.Kind().String()
	}
	return name
}

// flatHalf is the half of flat types, and of pointers to them.
type flatHalf[T any] struct {
	name    string
	pointer bool // it is preceded by 1, or is 0 for nil
	fields  []flatField
}

// A flatField is a piece of memory of a flat type.
type flatField struct {
	offset uintptr
	size   uintptr
	kind   reflect.Kind // Array is a run of single bytes
}

// flatLimit is the number of fields from which gob is as good.
const flatLimit = 256

// compile lists the fields of t at an offset. It reports false if t is not flat.
func (f *flatHalf[T]) compile(t reflect.Type, offset uintptr) bool {
	kind := t.Kind()
	switch {
	case len(f.fields) == flatLimit:
		return false
	case kind == reflect.Struct:
		for i := range t.NumField() {
			field := t.Field(i)
			if field.Name != "_" && !f.compile(field.Type, offset+field.Offset) {
				return false
			}
		}
		return true
	case kind == reflect.Array && !isByte(t.Elem()):
		return f.compileArray(t, offset)
	case kind == reflect.Slice && !isByte(t.Elem()):
		return false
	case kind == reflect.Complex64 || kind == reflect.Complex128:
		part, size := reflect.Float32+(kind-reflect.Complex64), t.Size()/2
		f.fields = append(f.fields, flatField{offset, size, part}, flatField{offset + size, size, part})
		return true
	case kind >= reflect.Bool && kind <= reflect.Float64,
		kind == reflect.String, kind == reflect.Slice, kind == reflect.Array:
		f.fields = append(f.fields, flatField{offset, t.Size(), kind})
		return true
	}
	return false
}

func (f *flatHalf[T]) compileArray(t reflect.Type, offset uintptr) bool {
	if t.Len() > flatLimit {
		return false
	}
	for i := range t.Len() {
		if !f.compile(t.Elem(), offset+uintptr(i)*t.Elem().Size()) {
			return false
		}
	}
	return true
}

func isByte(t reflect.Type) bool { return t.Kind() == reflect.Uint8 || t.Kind() == reflect.Int8 }

func (f *flatHalf[T]) identity() string { return f.name }
func (f *flatHalf[T]) begin()           {}

func (f *flatHalf[T]) encode(dst []byte, v *T) ([]byte, error) {
	p := unsafe.Pointer(v)
	if f.pointer {
		if p = *(*unsafe.Pointer)(p); p == nil {
			return append(dst, 0), nil
		}
		dst = append(dst, 1)
	}
	for i := range f.fields {
		dst = f.fields[i].append(dst, unsafe.Add(p, f.fields[i].offset))
	}
	return dst, nil
}

func (f *flatHalf[T]) decode(src []byte, v *T) (rest []byte, err error) {
	p := unsafe.Pointer(v)
	if f.pointer {
		if len(src) == 0 || src[0] > 1 {
			return nil, errors.New("bytes that are no pointer")
		}
		if src[0] == 0 {
			return src[1:], nil
		}
		reflect.ValueOf(v).Elem().Set(reflect.New(reflect.TypeFor[T]().Elem()))
		src, p = src[1:], *(*unsafe.Pointer)(p)
	}
	for i := range f.fields {
		var ok bool
		src, ok = f.fields[i].take(src, unsafe.Add(p, f.fields[i].offset))
		if !ok {
			return nil, fmt.Errorf("bytes that are no %s", f.fields[i].kind)
		}
	}
	return src, nil
}

// append appends the field that p points to.
func (f *flatField) append(dst []byte, p unsafe.Pointer) []byte {
	switch f.kind {
	case reflect.Int:
		return binary.LittleEndian.AppendUint64(dst, uint64(*(*int)(p)))
	case reflect.Uint, reflect.Uintptr:
		return binary.LittleEndian.AppendUint64(dst, uint64(*(*uint)(p)))
	case reflect.Int64, reflect.Uint64, reflect.Float64:
		return binary.LittleEndian.AppendUint64(dst, *(*uint64)(p))
	case reflect.Int32, reflect.Uint32, reflect.Float32:
		return binary.LittleEndian.AppendUint32(dst, *(*uint32)(p))
	case reflect.Int16, reflect.Uint16:
		return binary.LittleEndian.AppendUint16(dst, *(*uint16)(p))
	case reflect.Bool, reflect.Int8, reflect.Uint8:
		return append(dst, *(*byte)(p))
	case reflect.String:
		s := *(*string)(p)
		return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
	case reflect.Slice: // its length plus one; 0: nil
		b := *(*[]byte)(p)
		if b == nil {
			return append(dst, 0)
		}
		return append(binary.AppendUvarint(dst, uint64(len(b))+1), b...)
	default: // Array
		return append(dst, unsafe.Slice((*byte)(p), f.size)...)
	}
}

// take takes the field from the front of src and stores it where p points to.
func (f *flatField) take(src []byte, p unsafe.Pointer) (rest []byte, ok bool) {
	switch f.kind {
	case reflect.String:
		n, src := takeUvarint(src)
		if n > uint64(len(src)) {
			return nil, false
		}
		*(*string)(p) = string(src[:n])
		return src[n:], src != nil
	case reflect.Slice:
		n, src := takeUvarint(src)
		if n > uint64(len(src))+1 {
			return nil, false
		}
		if n > 0 {
			*(*[]byte)(p) = append(make([]byte, 0, n-1), src[:n-1]...)
			src = src[n-1:]
		}
		return src, src != nil
	case reflect.Int, reflect.Uint, reflect.Uintptr:
		return f.takeInt(src, p)
	}
	if uintptr(len(src)) < f.size {
		return nil, false
	}
	f.takeFixed(src, p)
	return src[f.size:], f.kind != reflect.Bool || src[0] <= 1
}

// takeInt takes an integer whose size depends on the machine.
func (f *flatField) takeInt(src []byte, p unsafe.Pointer) (rest []byte, ok bool) {
	if len(src) < 8 {
		return nil, false
	}
	x := binary.LittleEndian.Uint64(src)
	if f.kind == reflect.Int {
		*(*int)(p) = int(x)
		return src[8:], int64(x) >= math.MinInt && int64(x) <= math.MaxInt
	}
	*(*uint)(p) = uint(x)
	return src[8:], x <= math.MaxUint
}

func (f *flatField) takeFixed(src []byte, p unsafe.Pointer) {
	switch f.kind {
	case reflect.Array:
		copy(unsafe.Slice((*byte)(p), f.size), src)
	case reflect.Bool:
		*(*bool)(p) = src[0] != 0
	case reflect.Int8, reflect.Uint8:
		*(*byte)(p) = src[0]
	case reflect.Int16, reflect.Uint16:
		*(*uint16)(p) = binary.LittleEndian.Uint16(src)
	case reflect.Int32, reflect.Uint32, reflect.Float32:
		*(*uint32)(p) = binary.LittleEndian.Uint32(src)
	case reflect.Int64, reflect.Uint64, reflect.Float64:
		*(*uint64)(p) = binary.LittleEndian.Uint64(src)
	}
}

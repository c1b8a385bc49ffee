package dualcache

import (
	"bytes"
	"encoding"
	"encoding/binary"
	"encoding/gob"
	"errors"
	"fmt"
	"reflect"
)

// The gob half of the default codec. Each block has a stream of gobs of its own, so
// that the description of the types is there once in a block, and a block can be
// decoded without those before it.
//
// Two things keep gob from doing harm.
//
// gobUnfit refuses types that gob would not give back as they were, or that could
// make it recurse without end. One hole is left: a dynamic type of an interface, which
// it does not see.
//
// gobGuard looks at bytes before gob does. Gob makes a map as large as the input says,
// whether or not there are as many bytes, and recurses as deep as the input says. The
// guard follows the format, as the package documentation of encoding/gob has it, and
// lets pass only where
//
// (I1) every count of elements and every length is at most the number of bytes left,
// and as every element takes a byte or more, gob allocates in proportion to the input;
//
// (I2) values are nested less than gobDepth deep;
//
// (I3) every type is built in or defined before, once, and nothing follows the value.

// gobHalf is the half of other types. One goroutine uses it.
type gobHalf[T any] struct {
	name  string
	box   gobBox[T]
	out   bytes.Buffer
	enc   *gob.Encoder // nil at the beginning of a block
	in    bytes.Reader
	dec   *gob.Decoder // likewise
	guard gobGuard
}

// A gobBox lets gob have nil pointers and interfaces, as fields.
type gobBox[T any] struct{ X T }

func (g *gobHalf[T]) identity() string { return g.name + " by gob" }

func (g *gobHalf[T]) begin() {
	g.enc, g.dec = nil, nil
	clear(g.guard.types)
}

func (g *gobHalf[T]) encode(dst []byte, v *T) ([]byte, error) {
	if g.enc == nil {
		g.enc = gob.NewEncoder(&g.out)
	}
	g.out.Reset()
	g.box.X = *v
	defer func() { g.box = gobBox[T]{} }()
	if err := g.enc.Encode(&g.box); err != nil {
		return nil, err
	}
	if !g.guard.pass(g.out.Bytes()) {
		return nil, errors.New("the value is nested too deep")
	}
	dst = binary.AppendUvarint(dst, uint64(g.out.Len()))
	return append(dst, g.out.Bytes()...), nil
}

func (g *gobHalf[T]) decode(src []byte, v *T) (rest []byte, err error) {
	n, src := takeUvarint(src)
	if src == nil || n > uint64(len(src)) || !g.guard.pass(src[:n]) {
		return nil, errors.New("bytes that are no gob")
	}
	if g.dec == nil {
		g.dec = gob.NewDecoder(&g.in)
	}
	g.in.Reset(src[:n])
	g.box = gobBox[T]{}
	defer func() { g.box = gobBox[T]{} }()
	if err := g.dec.Decode(&g.box); err != nil {
		return nil, err
	}
	if g.in.Len() > 0 {
		return nil, errors.New("bytes after a gob")
	}
	*v = g.box.X
	return src[n:], nil
}

var (
	gobEncoderType      = reflect.TypeFor[gob.GobEncoder]()
	gobDecoderType      = reflect.TypeFor[gob.GobDecoder]()
	binaryMarshalerType = reflect.TypeFor[encoding.BinaryMarshaler]()
	binaryUnmarshaler   = reflect.TypeFor[encoding.BinaryUnmarshaler]()
)

// encodesItself reports whether gob leaves a type to its own methods.
func encodesItself(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return p.Implements(gobEncoderType) && p.Implements(gobDecoderType) ||
		p.Implements(binaryMarshalerType) && p.Implements(binaryUnmarshaler)
}

// gobUnfit tells why gob cannot keep values of a type as they are, or nothing. within
// are the types that t is a part of.
func gobUnfit(t reflect.Type, isKey bool, within []reflect.Type) string {
	for _, outer := range within {
		if t == outer {
			return fmt.Sprintf("%s refers to itself", t)
		}
	}
	if encodesItself(t) {
		return ""
	}
	within = append(within, t)
	switch t.Kind() {
	case reflect.Chan, reflect.Func, reflect.UnsafePointer:
		return fmt.Sprintf("gob leaves out %s", t)
	case reflect.Pointer:
		if isKey {
			return "pointers do not survive as keys"
		}
		if t.Elem().Kind() != reflect.Struct && !encodesItself(t.Elem()) {
			return fmt.Sprintf("gob makes nil of a %s to zero", t)
		}
		return gobUnfit(t.Elem(), isKey, within)
	case reflect.Map:
		if why := gobUnfit(t.Key(), true, within); why != "" {
			return why
		}
		return gobUnfit(t.Elem(), isKey, within)
	case reflect.Slice, reflect.Array:
		return gobUnfit(t.Elem(), isKey, within)
	case reflect.Struct:
		return gobUnfitStruct(t, isKey, within)
	}
	return ""
}

func gobUnfitStruct(t reflect.Type, isKey bool, within []reflect.Type) string {
	seen := 0
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Name == "_" {
			continue
		}
		seen++
		if !f.IsExported() {
			return fmt.Sprintf("gob leaves out the field %s of %s", f.Name, t)
		}
		if why := gobUnfit(f.Type, isKey, within); why != "" {
			return why
		}
	}
	if seen == 0 {
		return fmt.Sprintf("gob has no way to write %s", t)
	}
	return ""
}

// A gobGuard walks through the messages of a stream, which pass is given one after
// the other.
type gobGuard struct {
	types map[int64]gobType
	src   []byte // what is left of the message
	rest  []byte // the messages after it
	bad   bool
	depth int
}

// A gobType is a type that the stream has defined.
type gobType struct {
	kind   int     // number of a field of gob's wireType
	key    int64   // of a map
	elem   int64   // of an array, a slice, a map
	fields []int64 // of a struct
}

// The fields of gob's wireType. What comes after the map is bytes by a method of the
// type's own.
const (
	gobArray = iota
	gobSlice
	gobStruct
	gobMap
	gobKinds = gobMap + 4
)

// The numbers of the types that are built in.
const (
	gobBool      = 1
	gobFloat     = 4
	gobBytes     = 5
	gobString    = 6
	gobComplex   = 7
	gobInterface = 8
	gobFirstOwn  = 64
)

const gobDepth = 500

// pass reports whether gob may see a run of messages that make up a value.
func (g *gobGuard) pass(messages []byte) bool {
	if g.types == nil {
		g.types = make(map[int64]gobType)
	}
	g.bad, g.depth = false, 0
	g.src, g.rest = nil, messages
	g.top(g.typeOfNext())
	return !g.bad && len(g.src) == 0 && len(g.rest) == 0
}

// fail makes everything that follows read as zero.
func (g *gobGuard) fail() {
	g.bad, g.src, g.rest = true, nil, nil
}

// next goes on to the next message.
func (g *gobGuard) next() {
	g.src, g.rest = g.rest, nil
	n := g.uint()
	if n > uint64(len(g.src)) {
		g.fail()
		return
	}
	g.src, g.rest = g.src[:n:n], g.src[n:]
}

// typeOfNext reads definitions of types, and the number of the type of the value
// that follows. A definition may end a message. If it does not, what follows is
// preceded by a length again.
func (g *gobGuard) typeOfNext() (id int64) {
	for !g.bad {
		if len(g.src) == 0 {
			g.next()
		}
		if id = g.int(); id >= 0 {
			return id
		}
		g.define(-id)
		if len(g.src) > 0 {
			g.uint()
		}
	}
	return 0
}

func (g *gobGuard) uint() (x uint64) {
	if len(g.src) == 0 {
		g.fail()
		return 0
	}
	b := g.src[0]
	g.src = g.src[1:]
	if b < 0x80 {
		return uint64(b)
	}
	n := -int(int8(b))
	if n > 8 || n > len(g.src) {
		g.fail()
		return 0
	}
	for _, b := range g.src[:n] {
		x = x<<8 | uint64(b)
	}
	g.src = g.src[n:]
	return x
}

func (g *gobGuard) int() int64 {
	x := g.uint()
	if x&1 != 0 {
		return ^int64(x >> 1)
	}
	return int64(x >> 1)
}

// count reads a number of elements of a byte or more. They may go on in the next
// message (I1).
func (g *gobGuard) count() int {
	n := g.uint()
	if n > uint64(len(g.src)+len(g.rest)) {
		g.fail()
		return 0
	}
	return int(n)
}

// skip reads bytes preceded by their number.
func (g *gobGuard) skip() (n uint64) {
	if n = g.uint(); n > uint64(len(g.src)) {
		g.fail()
		return 0
	}
	g.src = g.src[n:]
	return n
}

// fields calls f with the number of each field of a struct that is there.
func (g *gobGuard) fields(limit int, f func(i int)) {
	for i := -1; !g.bad; {
		delta := g.uint()
		if delta == 0 {
			return
		}
		if delta >= uint64(limit-i) {
			g.fail()
			return
		}
		i += int(delta)
		f(i)
	}
}

// define reads a wireType: one of several structs, whose first field is a struct of
// name and number.
func (g *gobGuard) define(id int64) {
	t := gobType{kind: -1}
	g.fields(gobKinds, func(kind int) {
		if t.kind >= 0 {
			g.fail()
		}
		t.kind = kind
		g.fields(3, func(i int) {
			switch {
			case i == 0:
				g.name()
			case kind == gobStruct && i == 1:
				for range g.count() {
					t.fields = append(t.fields, g.name())
				}
			case kind == gobMap && i == 1:
				t.key = g.int()
			case kind == gobMap || i == 1:
				t.elem = g.int()
			default:
				g.int() // length of an array
			}
		})
	})
	if _, twice := g.types[id]; twice || t.kind < 0 || id < gobFirstOwn {
		g.fail()
		return
	}
	g.types[id] = t
}

// name reads a struct of a name and the number of a type.
func (g *gobGuard) name() (id int64) {
	g.fields(2, func(i int) {
		if i == 0 {
			g.skip()
		} else {
			id = g.int()
		}
	})
	return id
}

// top reads a value that is not part of another. If it is no struct, a zero comes
// first.
func (g *gobGuard) top(id int64) {
	if t, ok := g.types[id]; (!ok || t.kind != gobStruct) && g.uint() != 0 {
		g.fail()
		return
	}
	g.value(id)
}

func (g *gobGuard) value(id int64) {
	if g.depth++; g.depth == gobDepth {
		g.fail() // (I2)
	}
	defer func() { g.depth-- }()
	switch {
	case g.bad:
	case id >= gobBool && id <= gobFloat:
		g.uint()
	case id == gobBytes || id == gobString:
		g.skip()
	case id == gobComplex:
		g.uint()
		g.uint()
	case id == gobInterface:
		g.dynamic()
	default:
		t, ok := g.types[id]
		if !ok {
			g.fail() // (I3)
			return
		}
		g.compound(t)
	}
}

func (g *gobGuard) compound(t gobType) {
	switch t.kind {
	case gobStruct:
		g.fields(len(t.fields), func(i int) { g.value(t.fields[i]) })
	case gobArray, gobSlice, gobMap:
		for n := g.count(); n > 0 && !g.bad; n-- {
			if t.kind == gobMap {
				g.value(t.key)
			}
			g.value(t.elem)
		}
	default:
		g.skip()
	}
}

// dynamic reads the value of an interface: the name of its type, or nothing for nil,
// the type, the length of the value, which gob ignores as well, and the value.
func (g *gobGuard) dynamic() {
	if g.skip() == 0 {
		return
	}
	id := g.typeOfNext()
	g.uint()
	g.top(id)
}

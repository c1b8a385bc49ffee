package linearizability

import (
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/dualcache-ff/dualcache"
)

// Subjects: caches of all shapes behind one interface.
//
// A history knows keys by small numbers and values by their id. A subject turns
// these into keys and values of its types, calls the cache and stamps the call.
// What the translation costs lies outside the stamps, because an interval that
// is too long hides faults.
//
// The key types: words; strings; and words under a Hasher of eight values, with
// which pairs of keys share everything that depends on the hash. The value
// types: words, which the cache may update in place; structs of 32 bytes whose
// fields must agree; strings of different lengths; pointers to structs whose
// fields must agree.
//
// Every Get is decoded in full, so that a value that is half of one Set and
// half of another shows.

// registers is the part of the cache's API that histories use. *Cache has it,
// and so do the seeded bugs of faults_test.go, which wrap one.
type registers[K comparable, V any] interface {
	Get(K) (V, bool)
	Set(K, V)
	SetWithTTL(K, V, time.Duration)
	Delete(K) bool
	Clear()
}

// A subject is a cache under test.
type subject interface {
	do(*record)                    // carries an operation out, and stamps it
	fill(from, n int)              // sets keys that are not recorded
	tick()                         // drives the daemon of a headless cache
	look()                         // calls what readers of statistics call
	stats() (int, dualcache.Stats) // Len first
	close()
}

// A setting is what of a configuration does not depend on types.
type setting struct {
	name     string
	t1, t2   int
	workers  int
	ttl      time.Duration
	headless bool
}

// settings: T1 and T2 are small, so that keys displace each other. One worker
// makes all Ps but one share guests.
var settings = []setting{
	{name: "default"},
	{name: "tiers", t1: 4, t2: 8},
	{name: "headless", headless: true},
	{name: "headless-tiers", headless: true, t1: 2, t2: 4},
	{name: "guests", workers: 1, t1: 4, t2: 8},
	{name: "expiring", ttl: 30 * time.Microsecond},
}

// A spec is all there is to say of a subject but its types.
type spec struct {
	setting
	capacity int
	evicts   bool // there are more keys than fit
}

// keyCount is the number of recorded keys: a few more than fit, but no more
// than a history can visit often.
func (s spec) keyCount() int {
	if !s.evicts {
		return 10
	}
	return min(s.capacity+2, 8)
}

// fillerCount is the number of keys that are set and not recorded. They evict.
// A cache that is to keep everything gets a few, to have neighbours.
func (s spec) fillerCount() int {
	if s.evicts {
		return 2*s.capacity + 8
	}
	return 16
}

// A pairing is a subject's types, and how to make one.
type pairing struct {
	keys, values string
	make         func(spec) (subject, error)
}

var pairings = joined(pairsOf(wordKeys), pairsOf(textKeys), pairsOf(crowdedKeys))

func pairsOf[K comparable](k keyType[K]) []pairing {
	return []pairing{pair(k, words, nil), pair(k, quads, nil), pair(k, texts, nil), pair(k, pointers, nil)}
}

func joined(lists ...[]pairing) (all []pairing) {
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

// pair makes a pairing. wrap, if not nil, puts something between the history
// and the cache.
func pair[K comparable, V any](k keyType[K], v valueType[V], wrap func(registers[K, V]) registers[K, V]) pairing {
	return pairing{k.name, v.name, func(s spec) (subject, error) { return newSubject(s, k, v, wrap) }}
}

type keyType[K comparable] struct {
	name   string
	key    func(int) K
	hasher func(K) uint64
}

var (
	wordKeys = keyType[uint64]{
		name: "word",
		key:  func(i int) uint64 { return uint64(i+1) * 0x9e3779b97f4a7c15 },
	}
	textKeys = keyType[string]{
		name: "text",
		key:  func(i int) string { return "key " + strconv.Itoa(i) },
	}
	crowdedKeys = keyType[uint64]{
		name:   "crowded",
		key:    func(i int) uint64 { return uint64(i) },
		hasher: func(k uint64) uint64 { return k / 2 % 8 },
	}
)

// A valueType writes an id as a value, and reads it; whole is false if no
// write can have given the value.
type valueType[V any] struct {
	name   string
	encode func(id uint64) V
	decode func(V) (id uint64, whole bool)
}

// A quad is four words that name one id in four ways.
type quad struct{ plain, inverse, product, sum uint64 }

const quadFactor = 0xbf58476d1ce4e5b9

func quadOf(id uint64) quad { return quad{id, ^id, id * quadFactor, id + quadFactor} }

func (q quad) read() (uint64, bool) { return q.plain, q == quadOf(q.plain) }

var (
	words = valueType[uint64]{
		name:   "word",
		encode: func(id uint64) uint64 { return id },
		decode: func(v uint64) (uint64, bool) { return v, true },
	}
	quads = valueType[quad]{name: "quad", encode: quadOf, decode: quad.read}
	texts = valueType[string]{name: "text", encode: textOf, decode: readText}
	// pointers: the target is written before the Set, and never again.
	pointers = valueType[*quad]{
		name: "pointer",
		encode: func(id uint64) *quad {
			q := quadOf(id)
			return &q
		},
		decode: func(v *quad) (uint64, bool) {
			if v == nil {
				return 0, false
			}
			return v.read()
		},
	}
)

// textOf is the id's number and some letters, as many as the id says.
func textOf(id uint64) string {
	const letters = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz"
	return strconv.FormatUint(id, 10) + letters[id%26:id%26+id%7]
}

func readText(s string) (uint64, bool) {
	end := strings.TrimRight(s, "abcdefghijklmnopqrstuvwxyz")
	id, err := strconv.ParseUint(end, 10, 64)
	return id, err == nil && s == textOf(id)
}

// cacheSubject is the subject made of a dualcache.Cache.
type cacheSubject[K comparable, V any] struct {
	front   registers[K, V] // the cache, or a wrapper of it
	cache   *dualcache.Cache[K, V]
	daemon  *dualcache.Daemon[K, V] // nil unless headless
	ttl     time.Duration
	keys    []K // recorded ones first, fillers after them
	values  valueType[V]
	fillers int
	filler  V
}

func newSubject[K comparable, V any](s spec, k keyType[K], v valueType[V], wrap func(registers[K, V]) registers[K, V]) (subject, error) {
	cfg := dualcache.Config[K, V]{
		Capacity: s.capacity,
		T1Slots:  s.t1,
		T2Slots:  s.t2,
		Workers:  s.workers,
		TTL:      s.ttl,
		Hasher:   k.hasher,
	}
	c := &cacheSubject[K, V]{ttl: s.ttl, values: v, fillers: s.fillerCount(), filler: v.encode(fillerID)}
	if !s.evicts && k.hasher != nil {
		c.fillers = 0 // crowded keys evict each other when there are many
	}
	for i := range s.keyCount() + c.fillers {
		c.keys = append(c.keys, k.key(i))
	}
	var err error
	if s.headless {
		c.cache, c.daemon, err = dualcache.NewHeadless(cfg)
	} else {
		c.cache, err = dualcache.New(cfg)
	}
	c.front = c.cache
	if wrap != nil {
		c.front = wrap(c.cache)
	}
	return c, err
}

// fillerID is the id of all values that are not recorded. A Get of a recorded
// key must never find it.
const fillerID = 1 << 40

func (c *cacheSubject[K, V]) do(r *record) {
	switch r.kind {
	case opGet:
		key := c.keys[r.key]
		r.call = now()
		v, ok := c.front.Get(key)
		r.ret = now()
		r.ok = ok
		if ok {
			id, whole := c.values.decode(v)
			r.id, r.torn = id, !whole
		}
	case opSet:
		key, value := c.keys[r.key], c.values.encode(r.id)
		r.ttl = c.ttl
		r.call = now()
		c.front.Set(key, value)
		r.ret = now()
	case opSetWithTTL:
		key, value := c.keys[r.key], c.values.encode(r.id)
		r.call = now()
		c.front.SetWithTTL(key, value, r.ttl)
		r.ret = now()
	case opDelete:
		key := c.keys[r.key]
		r.call = now()
		r.ok = c.front.Delete(key)
		r.ret = now()
	case opClear:
		r.call = now()
		c.front.Clear()
		r.ret = now()
	}
}

func (c *cacheSubject[K, V]) fill(from, n int) {
	if c.fillers == 0 {
		return
	}
	first := len(c.keys) - c.fillers
	for i := range n {
		c.cache.Set(c.keys[first+(from+i)%c.fillers], c.filler)
	}
}

func (c *cacheSubject[K, V]) tick() {
	if c.daemon != nil {
		c.daemon.Tick()
	}
}

func (c *cacheSubject[K, V]) look() {
	c.cache.Len()
	c.cache.Stats()
	c.cache.Sync()
}

func (c *cacheSubject[K, V]) stats() (int, dualcache.Stats) { return c.cache.Len(), c.cache.Stats() }

func (c *cacheSubject[K, V]) close() {
	c.cache.Close()
	runtime.KeepAlive(c.cache)
}

// now reads the monotonic clock. It is the vDSO's on Linux: reading it orders
// nothing between CPUs, so that a Set whose store is late is seen to be late. A
// shared counter would be exact too, but each reading would be a fence, which
// mends what is to be found. TestClock looks whether CPUs agree on the time.
func now() int64 { return int64(time.Since(birth)) }

var birth = time.Now()

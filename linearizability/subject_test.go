package linearizability

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
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
	Peek(K) (V, bool)
	GetEntry(K) (dualcache.Entry[K, V], bool)
	Contains(K) bool
	GetMany([]K, []V, []bool) int
	All() iter.Seq2[K, V]
	Set(K, V)
	SetWithTTL(K, V, time.Duration)
	SetMany([]K, []V)
	GetOrSet(K, V) (V, bool)
	GetOrSetWithTTL(K, V, time.Duration) (V, bool)
	Compute(K, func(V, bool) (V, dualcache.Op)) (V, bool)
	Delete(K) bool
	GetAndDelete(K) (V, bool)
	DeleteFunc(func(K, V) bool) int
	Clear()
	GetOrLoad(context.Context, K, func(context.Context, K) (V, error)) (V, error)
	GetOrLoadMany(context.Context, []K, func(context.Context, []K) (map[K]V, error)) (map[K]V, error)
	Refresh(context.Context, K) (V, error)
}

// A subject is a cache under test.
type subject interface {
	do(*step)                                    // carries an operation out, and stamps it
	fill(from, n int)                            // sets keys that are not recorded
	tick()                                       // drives the daemon of a headless cache
	look()                                       // calls what readers of statistics call
	resize(to int)                               // changes the capacity
	rest() rest                                  // what can be said of a cache at rest
	background(joined map[uint64]bool) []*record // begins and ends of loads that no client asked for
	close()
}

// A rest is what a cache says of itself, when nobody does anything.
type rest struct {
	length           int
	weight, heaviest uint64
	dualcache.Stats
}

// A setting is what of a configuration does not depend on types.
type setting struct {
	name      string
	t1, t2    int
	workers   int
	ttl, idle time.Duration
	headless  bool
	loader    bool          // there is a Config.Loader, so that Refresh is tried
	reload    time.Duration // RefreshAfter; needs renew
	weighs    bool
	listens   bool
	resizes   bool // the capacity changes, down to half
	grows     bool // there are many fillers, and none is evicted
	renew     int  // histories that one cache serves for; 0 is all
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

// furtherSettings are of what costs more, or changes how Set goes about it. They are
// combined with fewer types and sizes.
var furtherSettings = []setting{
	{name: "loader", loader: true},
	{name: "loader-expiring", loader: true, ttl: 50 * time.Microsecond, headless: true},
	{name: "reloading", loader: true, reload: 20 * time.Microsecond, renew: 1},
	{name: "idle", idle: 50 * time.Microsecond},
	{name: "idle-ttl", idle: 50 * time.Microsecond, ttl: 80 * time.Microsecond, loader: true},
	{name: "weights", weighs: true},
	{name: "weights-all", weighs: true, listens: true, loader: true, ttl: 100 * time.Microsecond},
	{name: "listener", listens: true},
	{name: "listener-tiers", listens: true, loader: true, t1: 4, t2: 8},
	{name: "resizing", resizes: true},
	{name: "growing", grows: true, renew: 3},
	{name: "growing-loader", grows: true, renew: 3, loader: true, listens: true},
}

// A spec is all there is to say of a subject but its types.
type spec struct {
	setting
	capacity int
	evicts   bool // there are more keys than fit
}

// rules are the model's for such a cache. Weights evict.
func (s spec) rules() rules {
	return rules{evicts: s.evicts || s.weighs, refuses: s.weighs, idle: s.idle}
}

// Weights: an id's is from 0, which pins, to 3, but some are heavier than the cache.
const (
	heavyEvery  = 29
	usualWeight = 2
	mostWeight  = 3
)

func (s spec) maxWeight() uint64 { return uint64(s.capacity) * usualWeight }

func (s spec) heavy(id uint64) bool { return s.weighs && id%heavyEvery == 0 }

func (s spec) weight(id uint64) uint32 {
	switch {
	case id == fillerID:
		return 1
	case s.heavy(id):
		return uint32(s.maxWeight()) + 1
	}
	return uint32(id % (mostWeight + 1))
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
	if s.grows {
		return s.capacity / 2
	}
	return 16
}

// A pairing is a subject's types, and how to make one.
type pairing struct {
	keys, values string
	make         func(spec) (subject, error)
}

var pairings = joined(pairsOf(wordKeys), pairsOf(textKeys), pairsOf(crowdedKeys))

// fewPairings have each type of keys and of values.
var fewPairings = []pairing{
	pair(wordKeys, words, nil), pair(wordKeys, pointers, nil), pair(textKeys, texts, nil),
	pair(wordKeys, quads, nil), pair(crowdedKeys, words, nil), pair(crowdedKeys, texts, nil),
}

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
	spec    spec
	front   registers[K, V] // the cache, or a wrapper of it
	cache   *dualcache.Cache[K, V]
	daemon  *dualcache.Daemon[K, V] // nil unless headless
	keys    []K                     // recorded ones first, fillers after them
	index   map[K]int               // of recorded ones
	values  valueType[V]
	fillers int
	filler  V
	told    atomic.Uint64 // calls of the listener

	mu        sync.Mutex
	unasked   []*record   // guarded by mu
	unaskedOf map[int]int // by key; the same
	nextID    uint64      // guarded by mu
}

func newSubject[K comparable, V any](s spec, k keyType[K], v valueType[V], wrap func(registers[K, V]) registers[K, V]) (subject, error) {
	cfg := dualcache.Config[K, V]{
		Capacity:          s.capacity,
		T1Slots:           s.t1,
		T2Slots:           s.t2,
		Workers:           s.workers,
		TTL:               s.ttl,
		ExpireAfterAccess: s.idle,
		RefreshAfter:      s.reload,
		Hasher:            k.hasher,
	}
	c := &cacheSubject[K, V]{
		spec:      s,
		values:    v,
		fillers:   s.fillerCount(),
		filler:    v.encode(fillerID),
		index:     map[K]int{},
		nextID:    backgroundID,
		unaskedOf: map[int]int{},
	}
	if !s.evicts && k.hasher != nil {
		c.fillers = 0 // crowded keys evict each other when there are many
	}
	for i := range s.keyCount() + c.fillers {
		c.keys = append(c.keys, k.key(i))
	}
	for i := range s.keyCount() {
		c.index[c.keys[i]] = i
	}
	if s.loader {
		cfg.Loader = c.load
	}
	if s.listens {
		cfg.OnRemoval = func(dualcache.Removal[K, V]) { c.told.Add(1) }
	}
	if s.weighs {
		cfg.MaxWeight = s.maxWeight()
		cfg.Weigher = func(_ K, value V) uint32 {
			id, _ := v.decode(value)
			return s.weight(id)
		}
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
// key must never find it. The ids of background loads begin at backgroundID.
const (
	fillerID     = 1 << 40
	backgroundID = 1 << 32
)

// found stores what a read has found.
func (c *cacheSubject[K, V]) found(r *record, v V, ok bool) {
	if r.ok = ok; !ok {
		return
	}
	var whole bool
	if r.id, whole = c.values.decode(v); !whole {
		r.odd = tornValue
	}
}

const tornValue = "a value that no Set wrote: torn"

func (c *cacheSubject[K, V]) do(s *step) {
	r := &s.record
	var key K
	if r.key != everyKey {
		key = c.keys[r.key]
	}
	switch r.kind {
	case opGet:
		r.call = now()
		v, ok := c.front.Get(key)
		r.ret = now()
		c.found(r, v, ok)
	case opPeek:
		var v V
		var ok bool
		if s.from%2 == 0 {
			r.call = now()
			v, ok = c.front.Peek(key)
			r.ret = now()
		} else {
			var e dualcache.Entry[K, V]
			r.call = now()
			e, ok = c.front.GetEntry(key)
			r.ret = now()
			v = e.Value
		}
		c.found(r, v, ok)
	case opContains:
		r.call = now()
		r.ok = c.front.Contains(key)
		r.ret = now()
	case opSet:
		value := c.values.encode(r.id)
		r.ttl = c.spec.ttl
		r.call = now()
		c.front.Set(key, value)
		r.ret = now()
	case opSetWithTTL:
		value := c.values.encode(r.id)
		r.call = now()
		c.front.SetWithTTL(key, value, r.ttl)
		r.ret = now()
	case opDelete:
		r.call = now()
		r.ok = c.front.Delete(key)
		r.ret = now()
	case opGetAndDelete:
		r.call = now()
		v, ok := c.front.GetAndDelete(key)
		r.ret = now()
		c.found(r, v, ok)
	case opClear:
		r.call = now()
		c.front.Clear()
		r.ret = now()
	case opCompute:
		c.compute(s, key)
	case opGetOrSet:
		c.getOrSet(r, key)
	case opGetOrLoad, opRefresh:
		c.getOrLoad(s, key)
	case opGetMany:
		c.getMany(s)
	case opSetMany:
		c.setMany(s)
	case opGetOrLoadMany:
		c.getOrLoadMany(s)
	case opDeleteFunc:
		c.deleteFunc(s)
	case opAll:
		c.all(s)
	}
}

// compute records, beside the Compute, a Get for each call of its function: it is an
// access, be it that the value is replaced later, or that another was quicker.
func (c *cacheSubject[K, V]) compute(s *step, key K) {
	r := &s.record
	value, op := c.values.encode(r.id), dualcache.OpSet
	switch {
	case r.does == doKeep:
		op = dualcache.OpKeep
	case r.does == doDelete:
		op = dualcache.OpDelete
	case r.ttl != 0:
		op = dualcache.SetFor(r.ttl)
	default:
		r.ttl = c.spec.ttl
	}
	var was V
	var there bool
	var look *record
	s.parts = nil
	r.call = now()
	got, ok := c.front.Compute(key, func(old V, found bool) (V, dualcache.Op) {
		if look != nil {
			s.parts = append(s.parts, look)
			r.call = look.ret
		}
		look = &record{client: r.client, kind: opGet, key: r.key, call: r.call, ret: now()}
		c.found(look, old, found)
		was, there = old, found
		return value, op
	})
	r.ret = now()
	if look != nil && r.does != doKeep {
		s.parts = append(s.parts, look)
	}
	if s.parts != nil {
		s.parts = append(s.parts, r)
	}
	if c.found(r, got, ok); ok {
		want := r.id
		r.id, _ = c.values.decode(value)
		if r.does == doKeep {
			r.id, _ = c.values.decode(was)
		}
		if want != r.id || r.does == doDelete || r.heavy && r.does == doSet {
			r.odd = "it returns what it should not"
		}
	}
	if there {
		var whole bool
		if r.was, whole = c.values.decode(was); !whole {
			r.odd = tornValue
		}
	}
	if r.does == doKeep && ok != there {
		r.odd = "it keeps what was not there, or the other way round"
	}
}

func (c *cacheSubject[K, V]) getOrSet(r *record, key K) {
	value := c.values.encode(r.id)
	var got V
	if r.ttl != 0 {
		r.call = now()
		got, r.ok = c.front.GetOrSetWithTTL(key, value, r.ttl)
		r.ret = now()
	} else {
		r.ttl = c.spec.ttl
		r.call = now()
		got, r.ok = c.front.GetOrSet(key, value)
		r.ret = now()
	}
	id, whole := c.values.decode(got)
	switch {
	case !whole:
		r.odd = tornValue
	case r.ok:
		r.was = id
	case id != r.id:
		r.odd = fmt.Sprintf("it returns %d as stored", id)
	}
}

// A task is what a client wants of a loader, for one key.
type task struct {
	id    uint64
	fate  fate
	ttl   time.Duration // by LoadTTL, if not 0
	pause int

	runs          int
	begin, finish record
}

type taskKey struct{}

// A loadError is how loads fail. One of many keys has an id for each.
type loadError struct {
	id   uint64
	fate fate
	ids  map[int]uint64 // by key
}

func (e *loadError) Error() string { return fmt.Sprintf("load %d failed", e.id) }

func (e *loadError) Unwrap() error {
	if e.fate == fateAbsent {
		return dualcache.ErrNotFound
	}
	return nil
}

// load is Config.Loader, and what is given to GetOrLoad. Without a task it reloads in
// the background.
func (c *cacheSubject[K, V]) load(ctx context.Context, key K) (value V, err error) {
	t, _ := ctx.Value(taskKey{}).(*task)
	if t == nil {
		return c.loadUnasked(key)
	}
	t.runs++
	value = c.values.encode(t.id)
	if t.ttl != 0 && !dualcache.LoadTTL(ctx, t.ttl) {
		t.ttl = 0
	}
	t.begin.ret = now()
	linger(t.pause)
	t.finish.call = now()
	switch t.fate {
	case fateAbsent, fateError:
		return value, &loadError{id: t.id, fate: t.fate}
	case fatePanic:
		panic(&loadError{id: t.id, fate: t.fate})
	}
	return value, nil
}

// linger passes some time.
func linger(pause int) {
	switch {
	case pause%4 == 1:
		runtime.Gosched()
	case pause%4 == 2:
		for end := now() + int64(pause%2048); now() < end; {
		}
	case pause%4 == 3:
		time.Sleep(time.Duration(pause % 32768))
	}
}

// loadUnasked knows when the load began and when it ended no better than that it was in
// this history, so the checker has to try them in many orders. After the first few of a
// key they fail, and store nothing.
func (c *cacheSubject[K, V]) loadUnasked(key K) (value V, err error) {
	i, ok := c.index[key]
	if !ok {
		return c.filler, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nextID++
	begin := &record{client: unaskedClient, kind: opBegin, key: i, id: c.nextID, reload: true, until: math.MaxInt64, ret: now()}
	finish := *begin
	finish.kind, finish.load, finish.ttl, finish.heavy = opFinish, begin, c.spec.ttl, c.spec.heavy(begin.id)
	if c.unaskedOf[i]++; c.unaskedOf[i] > mostUnasked {
		finish.fate, err = fateError, &loadError{id: begin.id, fate: fateError}
	}
	finish.call, finish.ret = now(), math.MaxInt64
	c.unasked = append(c.unasked, begin, &finish)
	return c.values.encode(begin.id), err
}

const (
	unaskedClient = 100
	mostUnasked   = 3 // that store, of a key
)

// background leaves out the loads that failed and that nobody joined: the register is
// the same without them, but for an older load that they may have come after, which the
// model then takes for current.
func (c *cacheSubject[K, V]) background(joined map[uint64]bool) (all []*record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := 0; i < len(c.unasked); i += 2 {
		if begin, finish := c.unasked[i], c.unasked[i+1]; finish.fate == fateValue || joined[begin.id] {
			all = append(all, begin, finish)
		}
	}
	return all
}

// parts makes the records of a load whose loader ran.
func (t *task) parts(r *record, ttl time.Duration, heavy bool) []*record {
	if t.ttl != 0 {
		ttl = t.ttl
	}
	begin, finish := &t.begin, &t.finish
	begin.client, begin.kind, begin.key, begin.id = r.client, opBegin, r.key, t.id
	begin.reload, begin.call, begin.until = r.kind == opRefresh, r.call, r.ret
	finish.client, finish.kind, finish.key, finish.id = r.client, opFinish, r.key, t.id
	finish.load, finish.fate, finish.ttl, finish.heavy, finish.ret = begin, t.fate, ttl, heavy, r.ret
	if t.runs > 1 {
		finish.odd = "the loader ran twice"
	}
	return []*record{begin, finish}
}

func (c *cacheSubject[K, V]) getOrLoad(s *step, key K) {
	r, t := &s.record, &s.tasks[0]
	ctx := context.WithValue(context.Background(), taskKey{}, t)
	var v V
	var err error
	f := func() { v, err = c.front.GetOrLoad(ctx, key, c.load) }
	if r.kind == opRefresh {
		f = func() { v, err = c.front.Refresh(ctx, key) }
	}
	r.call = now()
	panicked := panics(f)
	r.ret = now()
	var failure *loadError
	switch {
	case panicked:
		failure = &loadError{id: t.id, fate: fatePanic}
	case errors.As(err, &failure):
	case errors.Is(err, dualcache.ErrNotFound) && t.runs == 0:
		s.parts = []*record{} // it joined a load of many keys, which does not say who it is
		return
	case err != nil:
		r.odd = err.Error()
	}
	if failure != nil {
		r.id, r.fate = failure.id, failure.fate
		if failure.ids != nil {
			r.id = failure.ids[r.key]
		}
	} else {
		c.found(r, v, err == nil)
	}
	switch {
	case t.runs == 0 && panicked:
		r.odd = "another's panic"
	case t.runs > 0 && (r.id != t.id || r.fate != t.fate):
		r.odd = fmt.Sprintf("it loaded %d and returns %d", t.id, r.id)
	}
	if t.runs > 0 && r.odd == "" {
		s.parts = t.parts(r, c.spec.ttl, c.spec.heavy(t.id))
	}
}

// panics reports whether f does, with a loadError.
func panics(f func()) (did bool) {
	defer func() {
		if p := recover(); p != nil {
			if _, ok := p.(*loadError); !ok {
				panic(p)
			}
			did = true
		}
	}()
	f()
	return false
}

// part is the record of one key's part of an operation.
func (s *step) part(kind kind, key int) *record {
	return &record{client: s.client, kind: kind, key: key, call: s.call, ret: s.ret}
}

func (c *cacheSubject[K, V]) keysOf(s *step) (keys []K) {
	for _, key := range s.keys {
		keys = append(keys, c.keys[key])
	}
	return keys
}

func (c *cacheSubject[K, V]) getMany(s *step) {
	keys := c.keysOf(s)
	values, found := make([]V, len(keys)), make([]bool, len(keys))
	s.call = now()
	hits := c.front.GetMany(keys, values, found)
	s.ret = now()
	for i, key := range s.keys {
		r := s.part(opGet, key)
		if c.found(r, values[i], found[i]); found[i] {
			hits--
		}
		s.parts = append(s.parts, r)
	}
	if hits != 0 {
		s.parts[0].odd = "GetMany miscounts"
	}
}

func (c *cacheSubject[K, V]) setMany(s *step) {
	keys := c.keysOf(s)
	var values []V
	for _, t := range s.tasks {
		values = append(values, c.values.encode(t.id))
	}
	s.call = now()
	c.front.SetMany(keys, values)
	s.ret = now()
	for i, key := range s.keys {
		r := s.part(opSet, key)
		r.id, r.ttl, r.heavy = s.tasks[i].id, c.spec.ttl, c.spec.heavy(s.tasks[i].id)
		s.parts = append(s.parts, r)
	}
}

func (c *cacheSubject[K, V]) getOrLoadMany(s *step) {
	keys := c.keysOf(s)
	shared := &s.tasks[0] // how the loader ends
	var values map[K]V
	var err error
	f := func() {
		values, err = c.front.GetOrLoadMany(context.Background(), keys, func(_ context.Context, missing []K) (map[K]V, error) {
			loaded := map[K]V{}
			var led []*task
			for _, key := range missing {
				t := &s.tasks[slices.Index(keys, key)]
				t.runs++
				led = append(led, t)
				if t.fate != fateAbsent {
					loaded[key] = c.values.encode(t.id)
				}
				t.begin.ret = now()
			}
			failure := &loadError{fate: shared.fate, ids: map[int]uint64{}}
			for i, t := range s.tasks {
				failure.ids[s.keys[i]] = t.id
			}
			linger(shared.pause)
			end := now()
			for _, t := range led {
				t.finish.call = end
				if shared.fate != fateValue {
					t.fate = shared.fate
				}
			}
			switch shared.fate {
			case fateAbsent, fateError:
				return nil, failure
			case fatePanic:
				panic(failure)
			}
			return loaded, nil
		})
	}
	s.parts = []*record{}
	s.call = now()
	panics(f)
	s.ret = now()
	var failure *loadError
	if err != nil && !errors.As(err, &failure) {
		s.parts = append(s.parts, &record{client: s.client, kind: s.kind, odd: err.Error()})
	}
	for i, key := range s.keys {
		t := &s.tasks[i]
		r := s.part(opGetOrLoad, key)
		v, ok := values[keys[i]]
		if ok {
			c.found(r, v, true)
		}
		switch {
		case t.runs > 0 && ok && r.id != t.id:
			r.odd = fmt.Sprintf("it loaded %d and returns %d", t.id, r.id)
			s.parts = append(s.parts, r)
		case t.runs > 0:
			s.parts = append(s.parts, t.parts(r, c.spec.ttl, c.spec.heavy(t.id))...)
		case ok:
			s.parts = append(s.parts, r)
		default: // it joined a load that failed, and does not say which, or another key's panicked
			r.kind = opTouch
			s.parts = append(s.parts, r)
		}
	}
}

// deleteFunc deletes the recorded keys that are even, or odd.
func (c *cacheSubject[K, V]) deleteFunc(s *step) {
	s.parts = make([]*record, 0, 4*len(c.index))
	seen := make([]int, len(c.index))
	var last *record // the removal that is under way
	wanted := 0
	s.call = now()
	n := c.front.DeleteFunc(func(key K, value V) bool {
		at := now()
		i, ok := c.index[key]
		if last != nil {
			if last.ret = at; ok && last.key == i { // it was not deleted for certain, and nor is it counted
				s.parts = s.parts[:len(s.parts)-1]
				wanted--
			}
			last = nil
		}
		if !ok {
			return false
		}
		r := &record{client: s.client, kind: opPeek, key: i, call: s.call, ret: at}
		c.found(r, value, true)
		s.parts = append(s.parts, r)
		linger(s.from)
		if i%2 != s.from>>2%2 {
			seen[i]++
			return false
		}
		seen[i] = 1 // it is asked again about what was replaced before it could be deleted
		last = &record{client: s.client, kind: opDeleteIf, key: i, id: r.id, call: at}
		s.parts = append(s.parts, last)
		wanted++
		return true
	})
	s.ret = now()
	if last != nil {
		last.ret = s.ret
	}
	for _, r := range s.parts {
		r.sure = r.kind == opDeleteIf && n == wanted
	}
	s.unseen(seen)
	if n > wanted {
		s.parts[0].odd = "DeleteFunc says that it deleted more than it was told to"
	}
}

func (c *cacheSubject[K, V]) all(s *step) {
	s.parts = make([]*record, 0, 2*len(c.index))
	seen := make([]int, len(c.index))
	s.call = now()
	for key, value := range c.front.All() {
		at := now()
		i, ok := c.index[key]
		if !ok {
			continue
		}
		r := &record{client: s.client, kind: opPeek, key: i, call: s.call, ret: at}
		c.found(r, value, true)
		s.parts = append(s.parts, r)
		seen[i]++
		linger(s.from)
	}
	s.ret = now()
	s.unseen(seen)
}

// unseen adds what an iteration says of the keys that it has not shown.
func (s *step) unseen(seen []int) {
	for key, n := range seen {
		if n == 1 {
			continue
		}
		r := s.part(opPeek, key)
		if n > 1 {
			r.odd = seenTwice
		}
		s.parts = append(s.parts, r)
	}
}

const seenTwice = "an iteration shows it twice"

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
	c.cache.Weight()
	c.cache.Stats()
	c.cache.Sync()
}

func (c *cacheSubject[K, V]) resize(to int) {
	if err := c.cache.SetCapacity(to); err != nil {
		panic(err)
	}
}

func (c *cacheSubject[K, V]) rest() rest {
	return rest{c.cache.Len(), c.cache.Weight(), c.spec.maxWeight(), c.cache.Stats()}
}

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

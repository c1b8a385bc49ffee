//go:build go1.25

package dualcache

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Fuzzing. FuzzOperations reads bytes as a cache and a stream of operations, carries
// them out on one goroutine, and compares each with a plain map. The cache is
// headless and the clock that of a bubble, so that the same bytes always do the
// same. What the map says of a cache that may forget:
//
//	(I1) A value that is found is that of the key's last Set, and its deadline has
//	     not come.
//	(I2) A key that was missed is absent until it is set again.
//	(I3) A key that was set and not deleted is missed only if there has been an
//	     eviction since, or its deadline has come.
//	(I4) What was just set is found.
//	(I5) Len is at most Capacity; in the end it is the number of keys that are found.
//	(I6) Hits, misses and Sets are counted exactly.
//
// The first three bytes choose the cache (fuzzShape), each operation takes one, and
// as many as it has arguments. What is missing reads as 0.

// fuzzOperations is the table of operations. Append only: the corpus names them by
// their place. The first fuzzBasic stand for the places that are not taken.
func fuzzOperations[V any]() []fuzzOperation[V] {
	return []fuzzOperation[V]{
		{"Get", (*fuzzMachine[V]).get},
		{"Set", (*fuzzMachine[V]).set},
		{"SetWithTTL", (*fuzzMachine[V]).setWithTTL},
		{"Delete", (*fuzzMachine[V]).delete},
		{"Tick", (*fuzzMachine[V]).tick},
		{"sleep", (*fuzzMachine[V]).sleep},
		{"Set many", (*fuzzMachine[V]).setMany},
		{"Get all", (*fuzzMachine[V]).getAll},
		{"Sync", (*fuzzMachine[V]).sync},
		{"Clear", (*fuzzMachine[V]).clear},
		{"check", (*fuzzMachine[V]).check},
	}
}

const (
	fuzzBasic  = 8
	fuzzPlaces = 32 // an operation is a byte modulo this
	fuzzLength = 1 << 12
)

type fuzzOperation[V any] struct {
	name string
	do   func(*fuzzMachine[V])
}

// A fuzzEntry is what the map knows of a key that may be in the cache.
type fuzzEntry struct {
	version   uint64
	deadline  time.Time // zero: none
	evictions uint64    // there had been so many when it was set
}

type fuzzMachine[V any] struct {
	t      *testing.T
	c      *Cache[uint64, V]
	daemon *Daemon[uint64, V]
	values fuzzValues[V]

	input    []byte
	doing    string // the operation and its arguments
	versions uint64 // given so far
	model    map[uint64]fuzzEntry
	counts   Stats // only Hits, Misses and Sets
}

// fuzzValues makes a value of a version, and reads it; ok is false if no Set can have
// given the value.
type fuzzValues[V any] struct {
	encode func(version uint64) V
	decode func(V) (version uint64, ok bool)
}

// A fuzzShape is a configuration without types.
type fuzzShape struct {
	capacity, t1, t2 int
	ttl              time.Duration
	hasher           func(uint64) uint64
}

// The last two capacities are for caches that grow, and for readers without fences.
var (
	fuzzCapacities = []int{1, 2, 3, 4, 5, 7, 10, 16, 33, 64, 300, 1200}
	fuzzHashers    = []func(uint64) uint64{
		nil, func(uint64) uint64 { return 0 }, func(k uint64) uint64 { return k % 2 },
		func(k uint64) uint64 { return k % 8 },
	}
	fuzzTTLs = []time.Duration{
		0, -1, 1, time.Millisecond, 250 * time.Millisecond, time.Second, 4 * time.Second, time.Hour, math.MaxInt64, math.MinInt64,
	}
	fuzzSleeps = []time.Duration{
		1, time.Millisecond - 1, time.Millisecond, 250 * time.Millisecond, time.Second - 1, time.Second, 4 * time.Second, time.Hour,
	}
)

func FuzzOperations(f *testing.F) {
	oneP(f)
	f.Fuzz(func(t *testing.T, input []byte) {
		if len(input) > fuzzLength {
			t.Skip("too long")
		}
		synctest.Test(t, func(t *testing.T) {
			kind, input := fuzzByte(input)
			switch kind % 5 {
			case 0:
				fuzzRun(t, input, fuzzValues[uint64]{
					func(n uint64) uint64 { return n }, func(v uint64) (uint64, bool) { return v, true }})
			case 1:
				fuzzRun(t, input, fuzzValues[string]{
					func(n uint64) string { return fmt.Sprint(n) },
					func(v string) (n uint64, ok bool) {
						_, err := fmt.Sscan(v, &n)
						return n, err == nil
					}})
			case 2:
				fuzzRun(t, input, fuzzValues[versioned]{
					func(n uint64) versioned { return versioned{n, n, n, n} },
					func(v versioned) (uint64, bool) { return v.a, v == versioned{v.a, v.a, v.a, v.a} }})
			case 3:
				fuzzRun(t, input, fuzzValues[*uint64]{
					func(n uint64) *uint64 { return &n },
					func(v *uint64) (uint64, bool) {
						if v == nil {
							return 0, false
						}
						return *v, true
					}})
			case 4:
				fuzzRun(t, input, fuzzValues[uint32]{
					func(n uint64) uint32 { return uint32(n) }, func(v uint32) (uint64, bool) { return uint64(v), true }})
			}
		})
	})
}

// fuzzByte takes a byte from the input.
func fuzzByte(input []byte) (byte, []byte) {
	if len(input) == 0 {
		return 0, nil
	}
	return input[0], input[1:]
}

func fuzzRun[V any](t *testing.T, input []byte, values fuzzValues[V]) {
	m := &fuzzMachine[V]{t: t, values: values, input: input, model: map[uint64]fuzzEntry{}}
	s := m.shape()
	c, d, err := NewHeadless(Config[uint64, V]{
		Capacity: s.capacity, T1Slots: s.t1, T2Slots: s.t2, TTL: s.ttl, Hasher: s.hasher})
	if err != nil {
		t.Fatal(err)
	}
	c.xor, c.mul = 0x5be0cd19137e2179, 0x9b05688c2b3e6c1f // see seeded
	m.c, m.daemon = c, d
	operations := fuzzOperations[V]()
	for len(m.input) > 0 {
		n := int(m.byte() % fuzzPlaces)
		if n >= len(operations) {
			n %= fuzzBasic
		}
		m.doing = operations[n].name
		operations[n].do(m)
		if n := c.Len(); n > c.capacity {
			m.fail("Len = %d, Capacity %d", n, c.capacity)
		}
		if testing.Verbose() {
			t.Log(m.doing)
		}
	}
	m.doing = "end"
	m.check()
	c.Close()
	if c.Len() != 0 {
		m.fail("Len = %d after Close", c.Len())
	}
}

func (m *fuzzMachine[V]) byte() (b byte) {
	b, m.input = fuzzByte(m.input)
	return b
}

func (m *fuzzMachine[V]) shape() fuzzShape {
	capacity, flags := m.byte(), m.byte()
	s := fuzzShape{
		capacity: fuzzCapacities[int(capacity)%len(fuzzCapacities)],
		hasher:   fuzzHashers[int(flags)%len(fuzzHashers)],
	}
	if flags&8 != 0 {
		s.t1, s.t2 = 4, 16
	}
	if flags&16 != 0 {
		s.ttl = time.Second
	}
	if testing.Verbose() {
		m.t.Logf("capacity %d, hasher %d, tiers %d and %d, TTL %v", s.capacity, int(flags)%len(fuzzHashers), s.t1, s.t2, s.ttl)
	}
	return s
}

// key takes one. There are about as many as fill the larger of the small caches.
func (m *fuzzMachine[V]) key() uint64 {
	k := uint64(m.byte() % 80)
	m.doing += fmt.Sprintf(" %d", k)
	return k
}

// choose takes one of several values.
func choose[T, V any](m *fuzzMachine[V], from []T) T {
	x := from[int(m.byte())%len(from)]
	m.doing += fmt.Sprintf(" %v", x)
	return x
}

func (m *fuzzMachine[V]) fail(format string, args ...any) {
	m.t.Helper()
	m.t.Fatalf("%s: %s", m.doing, fmt.Sprintf(format, args...))
}

// live is what the map has of a key. What has expired is forgotten.
func (m *fuzzMachine[V]) live(key uint64) (fuzzEntry, bool) {
	e, ok := m.model[key]
	if ok && !e.deadline.IsZero() && !time.Now().Before(e.deadline) {
		delete(m.model, key)
		return fuzzEntry{}, false
	}
	return e, ok
}

// found notes that an operation has found a value (I1).
func (m *fuzzMachine[V]) found(key uint64, value V) {
	m.t.Helper()
	version, ok := m.values.decode(value)
	switch e, live := m.live(key); {
	case !ok:
		m.fail("key %d has %v, which nobody has set", key, value)
	case !live:
		m.fail("key %d has version %d, want none", key, version)
	case version != e.version:
		m.fail("key %d has version %d, want %d", key, version, e.version)
	}
}

// missed notes that an operation has not found a key (I2, I3).
func (m *fuzzMachine[V]) missed(key uint64) {
	m.t.Helper()
	if e, live := m.live(key); live && m.evictions() == e.evictions {
		m.fail("key %d, version %d, is gone without an eviction", key, e.version)
	}
	delete(m.model, key)
}

func (m *fuzzMachine[V]) evictions() uint64 {
	s := m.c.Stats()
	return s.Evictions + s.Refusals
}

// wrote notes that an operation has stored the newest version (I4).
func (m *fuzzMachine[V]) wrote(key uint64, ttl time.Duration) {
	e := fuzzEntry{version: m.versions, evictions: m.evictions()}
	if ttl > 0 {
		if e.deadline = time.Now().Add(ttl); e.deadline.Before(time.Now()) {
			e.deadline = time.Time{}
		}
	}
	m.model[key] = e
	if key%2 == 0 {
		m.look(key)
		if _, ok := m.model[key]; !ok {
			m.fail("key %d is not found just after", key)
		}
	}
}

// version makes the next value.
func (m *fuzzMachine[V]) version() V {
	m.versions++
	return m.values.encode(m.versions)
}

// look is Get.
func (m *fuzzMachine[V]) look(key uint64) {
	m.t.Helper()
	if v, ok := m.c.Get(key); ok {
		m.counts.Hits++
		m.found(key, v)
	} else {
		m.counts.Misses++
		m.missed(key)
	}
}

func (m *fuzzMachine[V]) get() { m.look(m.key()) }

func (m *fuzzMachine[V]) set() { m.setKey(m.key()) }

func (m *fuzzMachine[V]) setKey(key uint64) {
	m.c.Set(key, m.version())
	m.counts.Sets++
	m.wrote(key, m.c.ttl)
}

func (m *fuzzMachine[V]) setWithTTL() {
	key, ttl := m.key(), choose(m, fuzzTTLs)
	m.c.SetWithTTL(key, m.version(), ttl)
	if ttl < 0 {
		delete(m.model, key)
		m.look(key)
		return
	}
	m.counts.Sets++
	m.wrote(key, ttl)
}

func (m *fuzzMachine[V]) delete() {
	key := m.key()
	_, live := m.live(key)
	switch removed := m.c.Delete(key); {
	case removed && !live:
		m.fail("removed a value, want none")
	case !removed:
		m.missed(key)
	}
	delete(m.model, key)
}

func (m *fuzzMachine[V]) tick() { m.daemon.Tick() }

func (m *fuzzMachine[V]) sync() { m.c.Sync() }

func (m *fuzzMachine[V]) sleep() { time.Sleep(choose(m, fuzzSleeps)) }

func (m *fuzzMachine[V]) setMany() {
	first, n := 8*m.key(), uint64(m.byte()%128)
	m.doing += fmt.Sprintf(" %d", n)
	for k := range n {
		m.setKey(first + k)
	}
}

func (m *fuzzMachine[V]) keys() (keys []uint64) {
	for k := range m.model {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func (m *fuzzMachine[V]) getAll() {
	for _, k := range m.keys() {
		m.look(k)
	}
}

func (m *fuzzMachine[V]) clear() {
	m.c.Clear()
	clear(m.model)
	if n := m.c.Len(); n != 0 {
		m.fail("Len = %d, want 0", n)
	}
}

// check looks at everything (I5, I6), from inside too.
func (m *fuzzMachine[V]) check() {
	m.getAll()
	invariants(m.t, m.c)
	if m.t.Failed() {
		m.fail("the invariants do not hold")
	}
	if n := m.c.Len(); n != len(m.model) {
		m.fail("Len = %d, and %d keys are found", n, len(m.model))
	}
	s, want := m.c.Stats(), m.counts
	if s.Hits != want.Hits || s.Misses != want.Misses || s.Sets != want.Sets {
		m.fail("Hits, Misses, Sets = %d, %d, %d, want %d, %d, %d", s.Hits, s.Misses, s.Sets, want.Hits, want.Misses, want.Sets)
	}
}

// FuzzConfig: any configuration gives an error that names what is wrong with it, and
// only that, or a cache that works.
func FuzzConfig(f *testing.F) {
	f.Fuzz(func(t *testing.T, capacity, t1, t2 int, ttl, poll int64, flush, workers int, hasher uint8, budget int64) {
		cfg := Config[uint64, string]{
			Capacity: capacity, T1Slots: t1, T2Slots: t2, TTL: time.Duration(ttl), PollInterval: time.Duration(poll),
			FlushTicks: flush, Workers: workers, Hasher: fuzzHashers[int(hasher)%len(fuzzHashers)],
		}
		bad := map[string]bool{
			"Capacity":     capacity < 1 || capacity > 100_000_000,
			"T1Slots":      t1 > 0 && (t1&(t1-1) != 0 || t1 > 4096),
			"T2Slots":      t2 > 0 && (t2&(t2-1) != 0 || t2 > 1<<26),
			"TTL":          ttl < 0,
			"PollInterval": poll < 0,
			"FlushTicks":   flush < 0 || flush > math.MaxInt32,
			"Workers":      workers < 0,
		}
		wrong := 0
		for _, is := range bad {
			if is {
				wrong++
			}
		}
		if wrong == 0 && t2 > 1<<12 {
			t.Skip("too large")
		}
		fuzzBudget(t, budget, time.Duration(ttl))
		c, d, err := NewHeadless(cfg)
		if (err != nil) != (wrong > 0) || (c == nil) != (err != nil) || (d == nil) != (err != nil) {
			t.Fatalf("NewHeadless = %v, %v, %v; %d fields are bad", c != nil, d != nil, err, wrong)
		}
		if err != nil {
			for field, is := range bad {
				if strings.Contains(err.Error(), "Config."+field+" ") != is {
					t.Errorf("error %q; Config.%s is bad: %v", err, field, is)
				}
			}
			if _, again := New(cfg); again == nil || again.Error() != err.Error() || !panics(func() { Must(cfg) }) {
				t.Errorf("New = %v, NewHeadless gives %v", again, err)
			}
			return
		}
		fuzzWorks(t, cfg, c, cfg.TTL == 0 || cfg.TTL >= time.Hour)
		if capacity <= 100_000 { // it looks at every place there could be
			invariants(t, c)
		}
		c.Close()
		c = Must(cfg)
		fuzzWorks(t, cfg, c, false)
		c.Close()
	})
}

// fuzzWorks uses a cache a little. What was just set is kept where no deadline comes
// in between, nor a daemon.
func fuzzWorks(t *testing.T, cfg Config[uint64, string], c *Cache[uint64, string], kept bool) {
	for k := range uint64(100) {
		for _, value := range []string{fmt.Sprint(k), "again"} {
			c.Set(k, value)
			if v, ok := c.Get(k); ok && v != value || kept && !ok {
				t.Fatalf("Get(%d) = %q, %v just after Set", k, v, ok)
			}
		}
		if k%3 == 0 {
			if removed := c.Delete(k); kept && !removed {
				t.Fatalf("Delete(%d) = false just after Set", k)
			}
			if v, ok := c.Get(k); ok {
				t.Fatalf("Get(%d) = %q after Delete", k, v)
			}
		}
		c.SetWithTTL(k, "timed", time.Minute)
		if n := c.Len(); n > cfg.Capacity || n > int(k)+1 {
			t.Fatalf("Len = %d after %d keys, Capacity %d", n, k+1, cfg.Capacity)
		}
	}
	c.Sync()
	if c.Capacity() != cfg.Capacity {
		t.Errorf("Capacity = %d, want %d", c.Capacity(), cfg.Capacity)
	}
}

func fuzzBudget(t *testing.T, budget int64, ttl time.Duration) {
	cfg := WithMemoryBudget[uint64, string](budget, ttl)
	if cfg.Capacity < 0 || cfg.Capacity > MaxCapacity || cfg.TTL != ttl || budget <= 0 && cfg.Capacity != 0 {
		t.Errorf("WithMemoryBudget(%d, %v) = %+v", budget, ttl, cfg)
	}
	if n := WithMemoryBudget[uint64, string](budget/2, ttl).Capacity; budget > 0 && n > cfg.Capacity {
		t.Errorf("half of %d bytes gives a capacity of %d, more than %d", budget, n, cfg.Capacity)
	}
}

package dualcache

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"reflect"
	"runtime"
	"time"
	"unsafe"
)

// Config says what cache to make. The zero value of every field but Capacity
// is a good choice.
type Config[K comparable, V any] struct {
	// Capacity is the number of entries that the cache holds at most, from 1
	// to MaxCapacity. It must be given, or derived by WithMemoryBudget.
	// Memory is taken as entries come.
	Capacity int

	// T1Slots and T2Slots are the sizes of the two tiers of hot entries
	// before the index: powers of two, at most MaxT1Slots and MaxT2Slots. Zero lets
	// the cache decide, which at present means off: the index alone has been
	// faster on every load measured (see DESIGN.md). Negative means off.
	T1Slots int
	T2Slots int

	// TTL is the time to live of an entry after Set: from then on it is
	// absent. Zero means for ever.
	TTL time.Duration

	// ExpireAfterAccess is the time that an entry lives after it was set or last
	// read; TTL, Expiry and SetWithTTL bound it further. Zero means that reads make
	// no difference. A read that would move a deadline by less than a thousandth, or
	// by less than a millisecond, does not. Every read asks the clock.
	ExpireAfterAccess time.Duration

	// Expiry gives each entry a time to live of its own, in place of TTL. Zero means
	// for ever; if it is negative the value is not kept, and the older one is removed.
	Expiry func(key K, value V) time.Duration

	// RefreshAfter is the age from which on a read of an entry starts one reload by
	// Loader in the background, and returns the present value at once. A reload that
	// fails leaves it as it is; the next is tried after an eighth of RefreshAfter,
	// then after twice that, up to eight times RefreshAfter. Close ends the context
	// of such reloads, and waits for them. Zero means never.
	RefreshAfter time.Duration

	// Loader is what GetOrLoad, Refresh and RefreshAfter load with.
	Loader func(ctx context.Context, key K) (V, error)

	// NegativeTTL is how long it is remembered that a loader returned ErrNotFound:
	// GetOrLoad then returns ErrNotFound at once, and Get finds nothing. Such a key
	// counts as an entry. Zero means not at all.
	NegativeTTL time.Duration

	// Weigher gives the weight of an entry, in units of its own, such as bytes. It is
	// asked once for each Set. An entry of weight 0 is pinned: it is not evicted. One
	// that is heavier than MaxWeight is refused; see Stats.Refusals.
	Weigher func(key K, value V) uint32

	// MaxWeight is the sum of the weights of all entries at most. It needs a Weigher.
	// Capacity bounds their number all the same.
	MaxWeight uint64

	// OnRemoval is called once for each value that leaves the cache, or was refused,
	// from one goroutine, in order for each key, some time after. It may call the
	// cache. A panic in it is counted, and goes no further. If it is so slow that
	// 65,536 calls are waiting, every Set and Delete pauses for a millisecond.
	OnRemoval func(Removal[K, V])

	// Codec encodes keys and values in snapshots. Nil means a plain binary form for
	// numbers, strings and byte slices, and encoding/gob for the rest.
	Codec Codec[K, V]

	// Clock is read in place of the system's, in tests. It must not go back. The
	// daemon's timers are not driven by it: expired entries are absent at once, but
	// are removed from memory by the next Tick, Sync or maintenance pass.
	Clock func() time.Time

	// PollInterval is how often a busy daemon looks for work. It is clamped
	// to MinPollInterval and MaxPollInterval; zero means the former.
	PollInterval time.Duration

	// FlushTicks is the number of daemon ticks that a part-filled batch of
	// records may wait before it is applied. At least 1, which zero means.
	FlushTicks int

	// Workers is the number of Ps that get per-P state of their own, which
	// is made when a P first uses the cache. Others share, correctly and more
	// slowly. Zero means all that a process can have.
	Workers int

	// Hasher overrides the hash function. Equal keys must give equal hashes.
	// The result is mixed with the cache's seed, so that plain ones will do;
	// one that gives few different values makes few buckets do all the work,
	// and entries that fall into them are evicted early. It may call the
	// cache, and may panic, which the caller of the cache's method then sees.
	Hasher func(K) uint64
}

const (
	// MaxT1Slots and MaxT2Slots are the largest T1Slots and T2Slots.
	MaxT1Slots = 4096
	MaxT2Slots = 1 << 26

	// MinPollInterval and MaxPollInterval bound Config.PollInterval.
	MinPollInterval = time.Millisecond
	MaxPollInterval = 10 * time.Millisecond

	maxWorkers = 1024 // Ps that the Go runtime has at most
)

// validate reports every field that is out of its limits.
func (cfg *Config[K, V]) validate() error {
	var errs []error
	reject := func(field string, value any, limit string) {
		errs = append(errs, fmt.Errorf("dualcache: Config.%s is %v, want %s", field, value, limit))
	}
	if cfg.Capacity < 1 || cfg.Capacity > MaxCapacity {
		reject("Capacity", cfg.Capacity, fmt.Sprintf("1 to %d", MaxCapacity))
	}
	if s := cfg.T1Slots; s > 0 && (s > MaxT1Slots || s&(s-1) != 0) {
		reject("T1Slots", s, fmt.Sprintf("a power of two, at most %d", MaxT1Slots))
	}
	if s := cfg.T2Slots; s > 0 && (s > MaxT2Slots || s&(s-1) != 0) {
		reject("T2Slots", s, fmt.Sprintf("a power of two, at most %d", MaxT2Slots))
	}
	if cfg.TTL < 0 {
		reject("TTL", cfg.TTL, "0 (never) or more")
	}
	for _, d := range []struct {
		field string
		value time.Duration
	}{{"ExpireAfterAccess", cfg.ExpireAfterAccess}, {"RefreshAfter", cfg.RefreshAfter}, {"NegativeTTL", cfg.NegativeTTL}} {
		if d.value < 0 {
			reject(d.field, d.value, "0 (never) or more")
		}
	}
	if cfg.RefreshAfter > 0 && cfg.Loader == nil {
		reject("RefreshAfter", cfg.RefreshAfter, "0, as there is no Config.Loader")
	}
	if (cfg.MaxWeight != 0) != (cfg.Weigher != nil) || cfg.MaxWeight > math.MaxInt64 {
		reject("MaxWeight", cfg.MaxWeight, "1 to 9223372036854775807 with a Config.Weigher, and 0 without")
	}
	if cfg.PollInterval < 0 {
		reject("PollInterval", cfg.PollInterval, "0 or more")
	}
	if cfg.FlushTicks < 0 || cfg.FlushTicks > math.MaxInt32 {
		reject("FlushTicks", cfg.FlushTicks, "at least 1, or 0 for that, and at most 2147483647")
	}
	if cfg.Workers < 0 {
		reject("Workers", cfg.Workers, "at least 1, or 0 for as many as Ps")
	}
	return errors.Join(errs...)
}

// New makes a cache. It returns an error that names every field of cfg that is
// out of its limits. The cache needs no Close: one that has become unreachable
// is collected.
func New[K comparable, V any](cfg Config[K, V]) (*Cache[K, V], error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	c := construct(cfg)
	c.start()
	return c, nil
}

// Must is New for configurations that are known to be right: it panics where
// New would return an error.
func Must[K comparable, V any](cfg Config[K, V]) *Cache[K, V] {
	c, err := New(cfg)
	if err != nil {
		panic(err)
	}
	return c
}

// NewHeadless makes a cache whose maintenance the caller drives, by Run in a
// goroutine of its own or Tick by Tick. Without any, writers still make room
// by themselves; expired entries then stay in memory until they are evicted
// or Sync is called.
func NewHeadless[K comparable, V any](cfg Config[K, V]) (*Cache[K, V], *Daemon[K, V], error) {
	if err := cfg.validate(); err != nil {
		return nil, nil, err
	}
	c := construct(cfg)
	c.awake.Store(1)
	c.eager = true // nobody marks entries as due between ticks
	c.signal = make(chan struct{}, 1)
	return c, &Daemon[K, V]{c}, nil
}

// construct makes a cache, without a daemon, of a valid configuration.
func construct[K comparable, V any](cfg Config[K, V]) *Cache[K, V] {
	var key K
	var value V
	c := &Cache[K, V]{
		capacity:  cfg.Capacity,
		poll:      min(max(cfg.PollInterval, MinPollInterval), MaxPollInterval),
		flush:     uint32(max(cfg.FlushTicks, 1)),
		valueKind: valueKindOf[K, V](),
		pointers:  hasPointers(reflect.TypeOf(&key).Elem()) || hasPointers(reflect.TypeOf(&value).Elem()),
	}
	size := sizesFor(cfg.Capacity, runtime.GOMAXPROCS(0))
	c.size.Store(int64(cfg.Capacity))
	c.batch.Store(int64(size.batch))
	c.lowWater.Store(size.lowWater)
	c.graceAfter = size.graceAfter
	c.configureTime(cfg)
	c.configureCallbacks(cfg)
	c.drainAt = size.drainAt
	c.fenced = cfg.Capacity < fencedBelow || !asymmetric()
	c.hashing.init(cfg.Hasher)
	c.t1.init(cfg.T1Slots)
	c.t2.init(cfg.T2Slots)
	c.tiered = cfg.T1Slots > 0 || cfg.T2Slots > 0
	c.plain = !c.tiered && !c.fenced && plainStores && !debug
	if !c.tiered {
		size.hits = 0
	}
	if !c.pointers {
		size.wipes = 0
	}
	c.workers.init(min(orElse(cfg.Workers, maxWorkers), maxWorkers), size.workerSizes)
	placeSize := unsafe.Sizeof(place[K, V]{})
	c.homes, c.load = homesFor(cfg.Capacity, placeSize), loadFor(placeSize)
	first := firstTable(c.homes)
	c.table.Store(newTable[K, V](first, 0, first < c.homes, c.columns))
	c.permits.Store(int64(cfg.Capacity))
	c.policy.init(&c.table, cfg.Capacity, c.evictAt, c.isPinned)
	c.quiet.Store(quietAt(0))
	return c
}

func (c *Cache[K, V]) configureTime(cfg Config[K, V]) {
	c.born = time.Now()
	if cfg.Clock != nil {
		c.born = cfg.Clock()
	}
	c.ttl, c.idle, c.perEntry = cfg.TTL, cfg.ExpireAfterAccess, cfg.Expiry
	c.grain = min(int64(time.Millisecond), int64(c.idle/1000))
	c.reloadTime, c.clock = cfg.RefreshAfter, cfg.Clock
	c.eager = c.clock != nil || c.idle > 0
	c.columns.limits = c.idle > 0
	c.columns.reloads = c.reloadTime > 0
	if c.ttl > 0 || c.idle > 0 || c.reloadTime > 0 {
		c.timed.Store(true)
	}
}

func (c *Cache[K, V]) configureCallbacks(cfg Config[K, V]) {
	c.loader, c.negativeTTL, c.codec = cfg.Loader, cfg.NegativeTTL, cfg.Codec
	if c.reloadTime > 0 {
		c.ctx, c.cancel = context.WithCancel(context.Background())
	}
	if c.weigher = cfg.Weigher; c.weigher != nil {
		c.columns.weights = true
		c.mostWeight = cfg.MaxWeight
		c.maxWeight.Store(int64(cfg.MaxWeight))
		c.room.Store(int64(cfg.MaxWeight))
	}
	if cfg.OnRemoval != nil {
		c.listener = &listener[K, V]{f: cfg.OnRemoval}
	}
	c.bare = c.ttl == 0 && c.idle == 0 && c.perEntry == nil && c.reloadTime == 0 && c.weigher == nil && c.listener == nil
	c.lockless.Store(c.bare && c.loader == nil && c.valueKind != valueFixed)
}

func orElse(n, other int) int {
	if n == 0 {
		return other
	}
	return n
}

// fencedBelow is the capacity under which readers publish by atomic stores: a
// grace period of a handful of places is not worth a barrier (rule 17).
const fencedBelow = 1024

// sizes are what the capacity and the number of Ps decide.
type sizes struct {
	workerSizes
	drainAt    int    // insert records of one worker that are worth a pass by themselves
	batch      int    // entries evicted at once for a writer
	lowWater   int64  // permits below which a writer makes room ahead of need
	graceAfter uint64 // evictions that are worth a grace period
}

// sizesFor keeps what lies unused within bounds: records that have not been
// applied, at most about an eighth of the capacity; permits that workers keep,
// a thirty-second; places that wait for a grace period, where a third of all
// places is free, about as much.
func sizesFor(capacity, procs int) sizes {
	s := sizes{
		workerSizes: workerSizes{
			hits:    powerOfTwo(capacity/(8*procs), 4, 64),
			inserts: powerOfTwo(capacity/(8*procs), 4, 256),
			wipes:   powerOfTwo(capacity/procs, 8, 256),
		},
		batch:      min(max(capacity/128, 1), 128),
		graceAfter: uint64(min(max(capacity/32, 8), 8192)),
	}
	if s.drainAt = s.inserts; s.inserts > 32 {
		s.drainAt = s.inserts / 4 * 3
	}
	if capacity >= 4096 {
		s.stock, s.stocks = 16, capacity/32
		s.lowWater = int64(min(s.batch, 64))
	}
	return s
}

// powerOfTwo is the largest one not above n, within low and high.
func powerOfTwo(n, low, high int) int {
	if n < low {
		return low
	}
	return min(1<<(bits.Len(uint(n))-1), high)
}

// WithMemoryBudget derives a configuration from the memory that the cache may
// take: the largest Capacity whose entries and, if ttl is not 0, deadlines fit into
// budget bytes. What keys and values refer to (the bytes of strings,
// the targets of pointers) is not counted. A budget too small for one entry
// gives Capacity 0, which New reports.
func WithMemoryBudget[K comparable, V any](budget int64, ttl time.Duration) Config[K, V] {
	procs := runtime.GOMAXPROCS(0)
	low, high := 0, MaxCapacity
	for low < high {
		mid := low + (high-low+1)/2
		if footprint[K, V](mid, procs, ttl != 0) <= budget {
			low = mid
		} else {
			high = mid - 1
		}
	}
	return Config[K, V]{Capacity: low, TTL: ttl}
}

// footprint is what a full cache takes, in bytes of heap. TestFootprint holds
// it against measurement.
func footprint[K comparable, V any](capacity, procs int, deadlines bool) int64 {
	s := sizesFor(capacity, procs)
	homes := int64(homesFor(capacity, unsafe.Sizeof(place[K, V]{})))
	perHome := int64(unsafe.Sizeof(bucket[K, V]{}) + unsafe.Sizeof(aside{}))
	if deadlines {
		perHome += bucketPlaces * 8
	}
	worker := int64(unsafe.Sizeof(worker{})) + int64(8*(s.hits+s.inserts+s.wipes))
	lists := int64(capacity) * 9 // main and a window of a tenth, in chunks
	return int64(unsafe.Sizeof(Cache[K, V]{})) + homes*perHome + lists + 1024 + int64(procs)*worker
}

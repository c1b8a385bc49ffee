package dualcache

import (
	"context"
	"errors"
	"math/bits"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

// Loading: a value that is missing is fetched by a function of the user's, once for
// all who ask for it meanwhile (singleflight, after groupcache), in the goroutine of
// the first, under no lock and no pin.
//
// Two structures. The table of calls, in stripes under mutexes, is where those who
// ask meet. It is hints only: what may be stored is decided by the tickets. A load
// takes one under the lock of its key's home, before its loader is called, and it
// lies in a list by the key's hash. Set, Delete and Compute, under the same lock,
// void the tickets of their key (disturb), and Clear those of a home's keys when it
// clears that. The load stores what it got under the same lock again, and only if its ticket is good. So a load that began
// before a Set, Delete or Clear never overwrites it, and nobody who comes later joins
// it (G12); and a load that begins after is not hindered by one that began before. A
// load that stores voids the other tickets of its key, as a Set does.
// Those who never load pay for one comparison with nil.
//
// The lists do not change: who adds or takes out a ticket puts another list in place
// by compare-and-swap. So a list that is the same has the same tickets.
//
// (I1) A ticket is taken, voided and looked at under the lock of the key's home, so
// these are in one order for each key.
// (I2) Whoever leads a call closes it, whatever becomes of the loader: it may fail,
// panic, or end its goroutine.

// A Loader fetches the value of a key. It may call LoadTTL and LoadWeight with the
// context that it is given. It returns ErrNotFound, or an error that wraps it, for a
// key that has no value.
type Loader[K comparable, V any] func(ctx context.Context, key K) (V, error)

var (
	// ErrNotFound is what a Loader returns for a key that has no value. See
	// Config.NegativeTTL.
	ErrNotFound = errors.New("dualcache: not found")

	// ErrNoLoader is returned where a value had to be loaded, and there was neither a
	// loader in the call nor a Config.Loader.
	ErrNoLoader = errors.New("dualcache: Config.Loader is nil, and no loader was given")
)

// loading is what a cache that loads needs.
type loading[K comparable, V any] struct {
	loader      Loader[K, V]
	negativeTTL time.Duration
	calls       atomic.Pointer[callTable[K, V]]
	loaded      atomic.Uint64
	failed      atomic.Uint64
	loadTime    atomic.Int64
	reloading   sync.Map        // goroutines of background reloads, by goroutineID
	reloads     atomic.Int64    // how many there are
	ctx         context.Context // of background reloads
	cancel      context.CancelFunc
}

// A ticket lets a load store its result.
//
//	field     written by                        read by
//	hash,     who takes it, before              all
//	reload
//	void      under the lock of the key's       under that lock
//	          home, when the load has stored
//	          or the key is set, deleted or
//	          cleared
type ticket struct {
	hash   uint64
	reload bool // it may replace a value
	void   atomic.Bool
}

// used makes void the ticket of a load that stores: who comes later finds what it has
// stored, or what has become of that, and does not join it.
func (t *ticket) used() {
	if t != nil {
		t.void.Store(true)
	}
}

// A ticketList is a list of tickets. Its fields do not change.
type ticketList struct {
	ticket *ticket
	next   *ticketList
}

// without is the list less one ticket.
func (l *ticketList) without(t *ticket) *ticketList {
	switch {
	case l == nil:
		return nil
	case l.ticket == t:
		return l.next
	}
	return &ticketList{l.ticket, l.next.without(t)}
}

// ticketLists are the tickets that have been taken, by hash.
type ticketLists []atomic.Pointer[ticketList]

func (l ticketLists) of(hash uint64) *atomic.Pointer[ticketList] {
	hi, _ := bits.Mul64(hash, uint64(len(l)))
	return &l[hi]
}

// There is a list for each home, within these limits.
const (
	leastLists  = 1 << 10
	mostLists   = 1 << 16
	callStripes = 64
)

// startLoads makes what the first load needs.
func (c *Cache[K, V]) startLoads() *callTable[K, V] {
	if t := c.calls.Load(); t != nil {
		return t
	}
	lists := make(ticketLists, min(max(c.homes, leastLists), mostLists))
	c.loads.CompareAndSwap(nil, &lists)
	c.calls.CompareAndSwap(nil, new(callTable[K, V]))
	return c.calls.Load()
}

// disturb tells the loads of a key, other than the one that does it, if one does,
// that it has been set or deleted. Its home is locked.
func (c *Cache[K, V]) disturb(hash uint64, by *ticket) {
	if lists := c.loads.Load(); lists != nil {
		for l := lists.of(hash).Load(); l != nil; l = l.next {
			if l.ticket.hash == hash && l.ticket != by {
				l.ticket.void.Store(true)
			}
		}
	}
}

// disturbRange does so for all keys of a home, whose hashes are in a range of upper
// halves. It is locked.
func (c *Cache[K, V]) disturbRange(first, next uint64) {
	lists := c.loads.Load()
	if lists == nil {
		return
	}
	for i := first * uint64(len(*lists)) >> 32; i < uint64(len(*lists)); i++ {
		for l := (*lists)[i].Load(); l != nil; l = l.next {
			if upper := l.ticket.hash >> 32; upper >= first && upper < next {
				l.ticket.void.Store(true)
			}
		}
		if (i+1)<<32 >= next*uint64(len(*lists)) {
			return
		}
	}
}

// open files a ticket, under the lock of the key's home. node is for that.
func (c *Cache[K, V]) open(node *ticketList) {
	for list := c.loads.Load().of(node.ticket.hash); ; {
		node.next = list.Load()
		if list.CompareAndSwap(node.next, node) {
			return
		}
	}
}

// shut takes a ticket out.
func (c *Cache[K, V]) shut(t *ticket) {
	for list := c.loads.Load().of(t.hash); ; {
		old := list.Load()
		if list.CompareAndSwap(old, old.without(t)) {
			return
		}
	}
}

// A finding is what there was of a key when a load wanted to begin.
type finding[V any] struct {
	value  V
	found  bool
	absent bool // it is cached that there is none
}

// underLock calls f with what there is of a key, under its home's lock.
func (c *Cache[K, V]) underLock(hash uint64, key K, f func(s spot, resident bool)) {
	for {
		w := c.enter()
		t, home, ok := c.lockHome(w, hash)
		if ok {
			f(c.locate(w, t, home.n, home.head, hash, key))
			home.unlock()
		}
		w.leave()
		if ok {
			return
		}
		c.giveWay()
	}
}

// begin takes a ticket for a key, unless there is a value already that will do.
func (c *Cache[K, V]) begin(t *ticket, key K) (there finding[V]) {
	now, node := c.nowIfTimed(), &ticketList{ticket: t}
	c.underLock(t.hash, key, func(s spot, resident bool) {
		if resident && !t.reload {
			d := s.t.deadline(s.index())
			there.found, there.absent = c.alive(s, now), d < 0 && !expired(d, now)
			if there.found {
				there.value = c.loadValue(placeAt[K, V](s))
			}
		}
		if !there.found && !there.absent {
			c.open(node)
		}
	})
	return there
}

// stands reports whether a call that is under way may be joined.
func (c *Cache[K, V]) stands(call *call[K, V]) (ok bool) {
	c.underLock(call.ticket.hash, call.key, func(spot, bool) { ok = !call.ticket.void.Load() })
	return ok
}

// A call is one run of a loader.
//
//	field     written by                       read by
//	left      who takes over; stripe's lock    leader, at the end
//	value,    leader, before done is closed    waiters, after
//	err,
//	again
type call[K comparable, V any] struct {
	key    K
	ticket ticket
	ctx    context.Context // the leader's
	done   chan struct{}
	value  V
	err    error
	again  bool // it came to nothing: waiters start again; true until the loader returns
	left   bool // a waiter has taken over, because the leader's context ended
}

// A callTable has the calls under way.
type callTable[K comparable, V any] struct {
	stripes [callStripes]callStripe[K, V]
}

type callStripe[K comparable, V any] struct {
	mu    sync.Mutex
	calls map[K]*call[K, V]
	_     [40]byte
}

func (t *callTable[K, V]) stripe(hash uint64) *callStripe[K, V] {
	return &t.stripes[hash>>8%callStripes]
}

// join finds the call of a key, or begins one, which the caller then leads; or finds
// that there is no need. old is a call whose leader is not to be waited for.
func (c *Cache[K, V]) join(ctx context.Context, hash uint64, key K, reload bool, old *call[K, V]) (x *call[K, V], leads bool, there finding[V]) {
	s := c.startLoads().stripe(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if x = s.calls[key]; x != nil && x != old && c.stands(x) {
		return x, false, there
	}
	x = &call[K, V]{key: key, ctx: ctx, again: true}
	x.ticket.hash, x.ticket.reload = hash, reload
	if there = c.begin(&x.ticket, key); there.found || there.absent {
		return nil, false, there
	}
	x.done = make(chan struct{})
	if former := s.calls[key]; former != nil {
		former.left = true
	}
	if key == key { // a key that does not equal itself would stay for ever
		if s.calls == nil {
			s.calls = make(map[K]*call[K, V])
		}
		s.calls[key] = x
	}
	return x, true, there
}

// end ends a call. Those who wait go on.
func (c *Cache[K, V]) end(x *call[K, V]) {
	s := c.calls.Load().stripe(x.ticket.hash)
	s.mu.Lock()
	if s.calls[x.key] == x {
		delete(s.calls, x.key)
	}
	s.mu.Unlock()
	c.shut(&x.ticket)
	close(x.done)
}

// taken reports whether somebody has taken a call over.
func (c *Cache[K, V]) taken(x *call[K, V]) bool {
	s := c.calls.Load().stripe(x.ticket.hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	return x.left
}

// GetOrLoad returns the value of key, if the cache holds one, and otherwise what
// load returns, or Config.Loader if load is nil, which it keeps. At most one load of
// a key is current. Those who ask for the key while it runs wait for it, but not
// for one that began before the key was set, deleted or cleared: such a load
// stores nothing. Everyone waits as long as its own context allows. If the context of
// the one whose loader runs ends, another takes over. Errors are returned to all who
// wait and are not cached, but for ErrNotFound; see Config.NegativeTTL. If the loader
// panics or ends its goroutine, its caller sees that, and those who wait load for
// themselves. The loader may call the cache, but would wait for itself if it loaded
// its own key.
//
// A hit costs what Get costs.
func (c *Cache[K, V]) GetOrLoad(ctx context.Context, key K, load func(ctx context.Context, key K) (V, error)) (V, error) {
	// As in Get, hash and enter by hand: their calls are a tenth of the time of a hit.
	var hash uint64
	if unsafe.Sizeof(key) == 8 && c.kind == hashWord {
		hash = mix(*(*uint64)(unsafe.Pointer(&key)), c.xor, c.mul)
	} else {
		hash = c.hashSlow(key)
	}
	w := c.workers.worker(pin())
	if w == nil {
		w = c.workers.enterSlow()
	}
	t := c.table.Load()
	b := bucketAt[K, V](t, t.homeOf(hash))
	var value V
	ok := false
	if c.plain {
		publishAddress(&w.hazard, uintptr(unsafe.Pointer(b)))
	} else if !c.protectHome(w, uintptr(unsafe.Pointer(b))) {
		if value, ok = c.getSlow(w, hash, key); ok {
			return value, nil
		}
		return c.load1(ctx, hash, key, load, false)
	}
	head := b.head.Load()
	for m := match(head, broadcast(hash)); m != 0; m &= m - 1 { // the home first
		i := position(m)
		p := b.place(i)
		if p.key != key || head>>dueShift != 0 && isDue(head, i) {
			continue
		}
		if x := b.word(i).Load(); x&policyQuietMask != c.quiet.Load() {
			c.note(b.word(i), x)
		}
		value = c.loadValue(p)
		w.counts.hits.add(1)
		w.leave()
		return value, nil
	}
	if value, ok = c.getNear(w, t, head, hash, key); ok {
		return value, nil
	}
	return c.load1(ctx, hash, key, load, false)
}

// Refresh loads the value of key by Config.Loader and keeps it in place of the present
// one, unless the key is set, deleted or cleared meanwhile. It joins a load that is
// under way. If the loader fails, the present value stays; if it returns ErrNotFound,
// it goes.
func (c *Cache[K, V]) Refresh(ctx context.Context, key K) (V, error) {
	return c.load1(ctx, c.hash(key), key, nil, true)
}

// load1 loads one key.
func (c *Cache[K, V]) load1(ctx context.Context, hash uint64, key K, load Loader[K, V], reload bool) (value V, err error) {
	if load == nil {
		load = c.loader
	}
	if load == nil {
		return value, ErrNoLoader
	}
	var old *call[K, V]
	for {
		if err := ctx.Err(); err != nil {
			return value, err
		}
		x, leads, there := c.join(ctx, hash, key, reload, old)
		switch {
		case there.found:
			return there.value, nil
		case there.absent:
			return value, ErrNotFound
		case leads:
			return c.lead(x, load)
		}
		if old, err = x.wait(ctx); old == nil && (err != nil || !x.again) {
			if err == nil {
				return x.value, x.err
			}
			return value, err
		}
	}
}

// wait waits for a call. It returns the call if it has to be taken over, and an error
// if the caller's own context ended.
func (x *call[K, V]) wait(ctx context.Context) (over *call[K, V], err error) {
	select {
	case <-x.done:
		return nil, nil
	default:
	}
	select {
	case <-x.done:
		return nil, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-x.ctx.Done():
		return x, nil
	}
}

// lead runs the loader of a call, and stores what it returns (I2).
func (c *Cache[K, V]) lead(x *call[K, V], load Loader[K, V]) (V, error) {
	defer c.end(x)
	options := &loadOptions{}
	done := c.countLoads(1)
	defer done(errEnded)
	value, err := load(context.WithValue(x.ctx, loadKey{}, options), x.key)
	done(err)
	x.value, x.err = value, err
	x.again = err != nil && x.ctx.Err() != nil
	if !c.taken(x) {
		c.keep(x, options)
	}
	return value, err
}

// countLoads begins to count n loads. Its result ends that, the first time that it is
// called.
func (c *Cache[K, V]) countLoads(n uint64) (done func(error)) {
	begin, over := time.Now(), false
	return func(err error) {
		switch {
		case over:
			return
		case err != nil && !errors.Is(err, ErrNotFound):
			c.failed.Add(n)
		default:
			c.loaded.Add(n)
		}
		over = true
		c.loadTime.Add(int64(time.Since(begin)))
	}
}

// errEnded stands for a loader that does not return.
var errEnded = errors.New("dualcache: the loader has panicked, or ended its goroutine")

// keep stores what a call came to, if its ticket allows it. A reload that finds that
// the key has no value any more, or that its time is up, takes the old one out.
func (c *Cache[K, V]) keep(x *call[K, V], options *loadOptions) {
	u := change[K, V]{hash: x.ticket.hash, key: x.key, only: ifIntact, load: &x.ticket}
	switch {
	case x.err == nil:
		u.value = x.value
		if !c.prepare(&u, options.ttl, options.ttlSet) {
			c.dropReloaded(&u)
			return
		}
		if options.weightSet && c.weigher != nil {
			u.weight = options.weight
		}
		c.apply(&u, x.ticket.reload)
	case errors.Is(x.err, ErrNotFound):
		c.keepAbsent(&u)
	}
}

// dropReloaded takes out the value that a reload finds to be no more.
func (c *Cache[K, V]) dropReloaded(u *change[K, V]) {
	if u.load.reload {
		r := leaving[K, V]{cause: CauseDeleted, now: c.nowIfTimed(), only: ifIntact, load: u.load}
		c.remove(u.hash, u.key, &r)
	}
}

// keepAbsent stores that a key has no value.
func (c *Cache[K, V]) keepAbsent(u *change[K, V]) {
	c.dropReloaded(u)
	if c.negativeTTL <= 0 {
		return
	}
	c.timed.Store(true)
	u.now = c.now()
	u.deadline, u.due = -after(u.now, c.negativeTTL), true
	if c.weigher != nil {
		u.weight = 1
	}
	c.apply(u, false)
}

// loadOptions is what a loader says of its value.
type loadOptions struct {
	ttl       time.Duration
	ttlSet    bool
	weight    uint32
	weightSet bool
}

type loadKey struct{}

// LoadTTL gives the value that a loader is about to return a time to live of its own,
// as SetWithTTL does. ctx is what the loader was given. It reports whether
// it was: in GetOrLoadMany, and elsewhere, it does nothing.
func LoadTTL(ctx context.Context, ttl time.Duration) bool {
	options, ok := ctx.Value(loadKey{}).(*loadOptions)
	if ok {
		options.ttl, options.ttlSet = ttl, true
	}
	return ok
}

// LoadWeight gives the value that a loader is about to return a weight, in place of
// what Config.Weigher says. Otherwise it is as LoadTTL.
func LoadWeight(ctx context.Context, weight uint32) bool {
	options, ok := ctx.Value(loadKey{}).(*loadOptions)
	if ok {
		options.weight, options.weightSet = weight, true
	}
	return ok
}

// GetOrLoadMany returns the values of keys: those that the cache holds, and for the
// others what load returns, which is called once for all that nobody else is loading,
// and is waited for where somebody is. A key that is missing in what load returns
// has no value: it is not in the result, and is treated as by ErrNotFound. If load
// fails, or ctx ends, its error is returned with the values that there are. Config.Loader
// is not asked: a nil load gives ErrNoLoader if a value is missing.
func (c *Cache[K, V]) GetOrLoadMany(ctx context.Context, keys []K, load func(ctx context.Context, keys []K) (map[K]V, error)) (map[K]V, error) {
	result := make(map[K]V, len(keys))
	var missing []wanted[K, V]
	asked := make(map[K]bool)
	for _, key := range keys {
		if value, ok := c.Get(key); ok {
			result[key] = value
		} else if !asked[key] {
			asked[key] = true
			missing = append(missing, wanted[K, V]{key: key, hash: c.hash(key)})
		}
	}
	var failure error
	for len(missing) > 0 {
		if err := ctx.Err(); err != nil {
			return result, err
		}
		led, joined := c.joinMany(ctx, missing, result)
		if len(led) > 0 {
			if load == nil {
				c.endMany(led)
				return result, ErrNoLoader
			}
			if err := c.leadMany(ctx, led, load, result); err != nil {
				failure = err
			}
		}
		missing = missing[:0]
		for _, x := range joined {
			old, err := x.wait(ctx)
			switch {
			case err != nil:
				return result, err
			case old != nil || x.again:
				missing = append(missing, wanted[K, V]{x.key, x.ticket.hash, old})
			case x.err == nil:
				result[x.key] = x.value
			case !errors.Is(x.err, ErrNotFound):
				failure = x.err
			}
		}
	}
	return result, failure
}

// A wanted key is one that GetOrLoadMany has still to get. old is a call of it whose
// leader is not to be waited for.
type wanted[K comparable, V any] struct {
	key  K
	hash uint64
	old  *call[K, V]
}

// joinMany finds or begins the calls of keys.
func (c *Cache[K, V]) joinMany(ctx context.Context, keys []wanted[K, V], result map[K]V) (led, joined []*call[K, V]) {
	for _, want := range keys {
		x, leads, there := c.join(ctx, want.hash, want.key, false, want.old)
		switch {
		case there.found:
			result[want.key] = there.value
		case there.absent:
		case leads:
			led = append(led, x)
		default:
			joined = append(joined, x)
		}
	}
	return led, joined
}

// leadMany runs the loader for all the calls that the caller leads.
func (c *Cache[K, V]) leadMany(ctx context.Context, led []*call[K, V], load func(context.Context, []K) (map[K]V, error), result map[K]V) error {
	keys := make([]K, len(led))
	for i, x := range led {
		keys[i] = x.key
	}
	defer c.endMany(led)
	done := c.countLoads(uint64(len(led)))
	defer done(errEnded)
	values, err := load(context.WithValue(ctx, loadKey{}, nil), keys) // LoadTTL is not for it
	done(err)
	for _, x := range led {
		value, ok := values[x.key]
		switch {
		case ok:
			x.value, result[x.key] = value, value
		case err != nil:
			x.err = err
		default:
			x.err = ErrNotFound
		}
		x.again = x.err != nil && err != nil && ctx.Err() != nil
		if !c.taken(x) {
			c.keep(x, &loadOptions{})
		}
	}
	return err
}

func (c *Cache[K, V]) endMany(led []*call[K, V]) {
	for _, x := range led {
		c.end(x)
	}
}

// Reloading. An entry that is read when its time for a reload has come is returned
// at once, and reloaded in the background, once: the reader claims it by a
// compare-and-swap of that time, whose lowest bits count the failures so far. After
// each failure the wait is twice as long. When the reload has ended, and the entry is
// still claimed, it is given another time: nothing was stored.

const (
	reloadFails = 7 // counted in three bits
	reloadFloor = time.Millisecond

	reloadClaimed = farFuture &^ reloadFails
)

// reloadAt is the time of a reload, at most 7 ns early, after so many failures.
func reloadAt(now int64, wait time.Duration, fails int64) int64 {
	return max(after(now, wait)&^reloadFails, reloadFails+1) | fails
}

// claimReload reports whether the caller has to reload a protected entry.
func (c *Cache[K, V]) claimReload(s spot, now int64) bool {
	at := s.t.reloads.at(s.index())
	if at == nil {
		return false
	}
	old := at.Load()
	return old != 0 && old <= now && at.CompareAndSwap(old, reloadClaimed|old&reloadFails)
}

// reload starts a background reload. Not pinned.
func (c *Cache[K, V]) reload(hash uint64, key K) {
	c.loading.reloads.Add(1) // before closed is looked at; Close does so the other way round
	if c.closed.Load() {
		c.loading.reloads.Add(-1)
		return
	}
	go func() {
		id := string(goroutineID())
		c.reloading.Store(id, true)
		defer c.loading.reloads.Add(-1)
		defer c.reloading.Delete(id)
		failed := true
		defer func() {
			if failed {
				_ = recover() // there is no caller to see it; it is counted as a failure
			}
			c.reloadLater(hash, key, failed)
		}()
		_, err := c.load1(c.ctx, hash, key, nil, true)
		failed = err != nil && !errors.Is(err, ErrNotFound)
	}()
}

// reloadLater sets the time of the next reload of an entry that is still claimed.
func (c *Cache[K, V]) reloadLater(hash uint64, key K, failed bool) {
	now := c.now()
	c.underLock(hash, key, func(s spot, resident bool) {
		if !resident {
			return
		}
		at := s.t.reloads.at(s.index())
		if at == nil || at.Load() < reloadClaimed {
			return
		}
		if !failed {
			at.Store(reloadAt(now, c.reloadTime, 0))
			return
		}
		fails := min(at.Load()&reloadFails, reloadFails-1)
		at.Store(reloadAt(now, max(c.reloadTime/8, reloadFloor)<<fails, fails+1))
	})
}

// endReloads waits for the background reloads, whose context has ended, unless one of
// them is the caller.
func (c *Cache[K, V]) endReloads() {
	c.cancel()
	if _, self := c.reloading.Load(string(goroutineID())); self {
		return
	}
	for c.loading.reloads.Load() != 0 {
		runtime.Gosched()
		time.Sleep(flushPause)
	}
}

package dualcache

import "time"

// Operations that read and write in one, and those on many keys.
//
// Compute is optimistic: it reads the value, calls the function under no lock, and
// stores the result if the key still has the very value that was read; else it calls
// the function again. So nobody ever waits for a user's function, it may call
// the cache, and it may panic. It is lock-free: whoever has to call again was
// overtaken by somebody who got through. (Caffeine and otter hold a lock meanwhile,
// and xsync's map does; there a slow function stops its neighbours.) What tells one
// value from another is in cache.go (identity).

// An Op says what Compute does with a key: OpSet, OpKeep, OpDelete, or what SetFor
// returns.
type Op int64

const (
	OpSet    Op = 0  // give it the value returned, and the time to live that Set would
	OpKeep   Op = -1 // leave it as it is
	OpDelete Op = -2 // remove it
)

// SetFor is OpSet with a time to live, as in SetWithTTL, of at least 1 ns. A shorter
// one is OpDelete.
func SetFor(ttl time.Duration) Op {
	if ttl <= 0 {
		return OpDelete
	}
	return Op(ttl)
}

// Compute changes the value of key as f says, atomically: between the value that f
// is called with and the one it returns the key has no other. f gets the present value
// and whether there is one. Compute returns the value that the key has then, and
// whether it has one.
//
// f runs under no lock: it may call the cache, and may panic. It is called again if
// the key was changed meanwhile, so it should have no effects beside its results.
// It counts as an access, not as a Hit or a Miss.
func (c *Cache[K, V]) Compute(key K, f func(old V, found bool) (V, Op)) (value V, ok bool) {
	hash := c.hash(key)
	for {
		was, now, found := c.look(hash, key, true)
		next, op := f(was.value, found)
		if op == OpKeep {
			return was.value, found
		}
		u := change[K, V]{hash: hash, key: key, value: next, only: ifAbsent, was: was}
		if found {
			u.only = ifSame
		}
		// Config.Expiry may say that its time is up.
		if op < 0 || !c.prepare(&u, time.Duration(op), op > 0) {
			r := leaving[K, V]{cause: CauseDeleted, now: now, was: was, only: ifSame}
			if !found {
				r.only = ifAbsent // no load that began before may bring it back
			}
			if c.remove(hash, key, &r); !r.unmet {
				return value, false
			}
			continue
		}
		switch c.apply(&u, found) {
		case outcomeDone:
			return next, true
		case outcomeClosed, outcomeRefused:
			return value, false
		}
	}
}

// look takes the value and the identity of a key, as of a moment in the call. access
// says that it is one. Not pinned.
func (c *Cache[K, V]) look(hash uint64, key K, access bool) (id identity[V], now int64, found bool) {
	for {
		now = c.nowIfTimed()
		id, v, moving := c.lookPinned(hash, key, now, access)
		if moving {
			c.postponeLocked(hash, key, now)
		}
		if v == dead || v == lives {
			return id, now, v == lives
		}
		c.endLocked(hash, key, now, v)
	}
}

// lookPinned is look with a pin. moving says that the deadline has still to be moved.
func (c *Cache[K, V]) lookPinned(hash uint64, key K, now int64, access bool) (id identity[V], v liveness, moving bool) {
	w := c.enter()
	defer w.leave()
	s, _, v := c.findLive(w, hash, key, now)
	if v != lives {
		return id, v, false
	}
	id = c.identify(s)
	if debug {
		w.checkLife(s)
	}
	if access {
		c.noteAccess(s.word())
		moving = c.idle > 0 && !c.postpone(s, now)
	}
	return id, v, moving
}

// GetOrSet returns the value of key, if it has one, and true; otherwise it gives it
// value, as Set does, and returns that and false. It is atomic.
func (c *Cache[K, V]) GetOrSet(key K, value V) (actual V, loaded bool) {
	return c.getOrSet(key, value, 0, false)
}

// GetOrSetWithTTL is GetOrSet with a time to live, as in SetWithTTL.
func (c *Cache[K, V]) GetOrSetWithTTL(key K, value V, ttl time.Duration) (actual V, loaded bool) {
	return c.getOrSet(key, value, ttl, true)
}

func (c *Cache[K, V]) getOrSet(key K, value V, ttl time.Duration, own bool) (actual V, loaded bool) {
	if actual, loaded = c.Get(key); loaded {
		return actual, true
	}
	u := change[K, V]{hash: c.hash(key), key: key, value: value, only: ifAbsent}
	if c.prepare(&u, ttl, own) && c.apply(&u, false) == outcomeUnmet {
		return u.found, true
	}
	return value, false
}

// GetAndDelete removes key, and returns the value that it had, if it had one that had
// not expired. It is atomic.
func (c *Cache[K, V]) GetAndDelete(key K) (value V, ok bool) {
	r := leaving[K, V]{cause: CauseDeleted, now: c.nowIfTimed(), wanted: true}
	if c.remove(c.hash(key), key, &r) && r.cause == CauseDeleted && r.hadValue {
		return r.value, true
	}
	return value, false
}

// Peek is Get without being an access: neither the statistics nor the policy are
// told, and ExpireAfterAccess is not put off.
func (c *Cache[K, V]) Peek(key K) (value V, ok bool) {
	id, _, ok := c.look(c.hash(key), key, false)
	return id.value, ok
}

// Contains reports whether Peek would find a value.
func (c *Cache[K, V]) Contains(key K) bool {
	_, _, ok := c.look(c.hash(key), key, false)
	return ok
}

// An Entry is what there is to know of a key.
type Entry[K comparable, V any] struct {
	Key       K
	Value     V
	ExpiresAt time.Time // zero: never
	Weight    uint32    // as Config.Weigher said; without one, 0
	Heat      uint8     // 0 to 15: how much the eviction policy thinks that it is used
}

// GetEntry is Peek that also tells the deadline, the weight and the heat.
func (c *Cache[K, V]) GetEntry(key K) (e Entry[K, V], ok bool) {
	hash, now := c.hash(key), c.nowIfTimed()
	c.underLock(hash, key, func(s spot, resident bool) {
		if resident && c.alive(s, now) {
			e, ok = c.entryAt(s), true
		}
	})
	return e, ok
}

// entryAt is what there is to know of an entry, whose home is locked.
func (c *Cache[K, V]) entryAt(s spot) Entry[K, V] {
	p, i := placeAt[K, V](s), s.index()
	e := Entry[K, V]{Key: p.key, Value: c.loadValue(p)}
	if d := s.t.deadline(i); d != noDeadline {
		e.ExpiresAt = c.wallClock(d)
	}
	if x := s.t.weights.at(i); x != nil {
		e.Weight = x.Load()
	}
	e.Heat = heatOf(s.word().Load(), c.now16())
	return e
}

// GetMany looks up keys and stores what it finds: values[i] and found[i] are what
// Get(keys[i]) would return. It handles as many keys as the shortest of the three
// slices has room for, and returns the number of values found. It is faster than as
// many Gets where the entries are not in the processor's cache: the memory is asked
// for all of them at once.
func (c *Cache[K, V]) GetMany(keys []K, values []V, found []bool) (hits int) {
	n := min(len(keys), len(values), len(found))
	keys, values, found = keys[:n], values[:n], found[:n]
	var hashes [manyAtOnce]uint64
	for len(keys) > 0 {
		n := min(len(keys), manyAtOnce)
		for i, key := range keys[:n] {
			hashes[i] = c.hash(key)
		}
		hits += c.getSome(hashes[:n], keys[:n], values[:n], found[:n])
		keys, values, found = keys[n:], values[n:], found[n:]
	}
	return hits
}

// manyAtOnce is how many lookups are made under one pin: some microseconds.
const manyAtOnce = 64

// getSome is GetMany under one pin. What cannot be answered at once is left to Get.
func (c *Cache[K, V]) getSome(hashes []uint64, keys []K, values []V, found []bool) (hits int) {
	if c.tiered || debug {
		for i, key := range keys {
			if values[i], found[i] = c.Get(key); found[i] {
				hits++
			}
		}
		return hits
	}
	w := c.enter()
	t := c.table.Load()
	warmth := uint64(0)
	for _, hash := range hashes {
		b := bucketAt[K, V](t, t.homeOf(hash))
		warmth += b.head.Load()
		b.prefetch()
	}
	w.warmth = warmth
	rest := 0
	for i, hash := range hashes {
		b := bucketAt[K, V](t, t.homeOf(hash))
		w.protect(&b.bucketHead, false, c.fenced)
		head := b.head.Load()
		found[i] = false
		for m := match(head, broadcast(hash)); m != 0; m &= m - 1 {
			at := position(m)
			p := b.place(at)
			if p.key != keys[i] || isDue(head, at) {
				continue
			}
			if x := b.word(at).Load(); x&policyQuietMask != c.quiet.Load() {
				c.note(b.word(at), x)
			}
			values[i], found[i] = c.loadValue(p), true
			break
		}
		if !found[i] && head>>marksShift&marksMask != 0 {
			values[i], found[i] = c.lookNear(w, t, head, hash, keys[i])
		}
		if found[i] {
			hits++
		} else {
			hashes[rest], rest = uint64(i), rest+1
		}
	}
	w.counts.hits.add(uint64(hits))
	w.leave()
	for _, i := range hashes[:rest] {
		if values[i], found[i] = c.Get(keys[i]); found[i] {
			hits++
		}
	}
	return hits
}

// SetMany is Set for each of keys with the value of the same index, one after the
// other. It handles as many as the shorter slice has.
func (c *Cache[K, V]) SetMany(keys []K, values []V) {
	n := min(len(keys), len(values))
	for i, key := range keys[:n] {
		c.Set(key, values[i])
	}
}

// DeleteFunc removes the entries for which f returns true, and returns how many. f
// is called, under no lock, with every entry that is there throughout. One that changes
// after f has seen it stays; where that cannot be known for sure, f is called again.
func (c *Cache[K, V]) DeleteFunc(f func(key K, value V) bool) (deleted int) {
	c.eachHome(true, func(e *visited[K, V]) bool {
		was, found := e.id, true
		for tries := 0; found && tries < askedAgain && f(e.Key, was.value); tries++ {
			r := leaving[K, V]{cause: CauseDeleted, now: c.nowIfTimed(), was: was, only: ifSame}
			if c.remove(e.hash, e.Key, &r) && !r.unmet {
				deleted++
			}
			if !r.unmet || c.valueKind != valueFixed {
				break // it is gone, or has changed for sure
			}
			was, _, found = c.look(e.hash, e.Key, false)
		}
		return true
	})
	return deleted
}

const askedAgain = 8

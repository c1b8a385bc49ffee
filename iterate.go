package dualcache

import (
	"cmp"
	"container/heap"
	"iter"
	"slices"
	"time"
)

// Looking in: iteration, and the hottest and coldest entries.
//
// An iteration goes through the homes of the index in order. All keys of a home are
// copied under its lock, and given to the caller after: so a key that is there
// throughout is seen exactly once, whatever is done to it and to others meanwhile,
// and no lock is held while the caller's code runs. A home's lock is held for some
// tens of nanoseconds for each of its entries, of which there are four or so.
//
// Homes are ranges of hashes, in order, in every table. When the index grows in the
// middle of an iteration, it goes on in the new table at the hash that it has reached.
// Entries of the old table are moved first, as a Set would move them.

// A visited entry is what an iteration sees.
type visited[K comparable, V any] struct {
	Entry[K, V]
	hash  uint64      // if identified
	id    identity[V] // if identified
	usage uint64
}

// eachHome calls f with every entry that has a value, until it returns false.
// identified says that f needs the identities.
func (c *Cache[K, V]) eachHome(identified bool, f func(*visited[K, V]) bool) {
	var entries []visited[K, V]
	for from := uint64(0); from < 1<<32; { // hashes below have been visited
		now := c.nowIfTimed()
		var first, next uint64
		var ok bool
		if entries, first, next, ok = c.copyHome(entries[:0], from, now, identified); !ok {
			c.giveWay()
			continue
		}
		// The first home after the table has grown may have been visited in part.
		partly := first < from
		for i := range entries {
			e := &entries[i]
			if partly || identified {
				e.hash = c.hash(e.Key)
			}
			if partly && e.hash>>32 < from {
				continue
			}
			if !f(e) {
				return
			}
		}
		from = next
	}
}

// copyHome copies the entries of the home that the upper half of a hash leads to, and
// tells where it begins and where the next one does. It reports false if it could not
// lock.
func (c *Cache[K, V]) copyHome(entries []visited[K, V], from uint64, now int64, identified bool) (_ []visited[K, V], first, next uint64, ok bool) {
	if cap(entries) < (maxDistance+1)*bucketPlaces {
		entries = make([]visited[K, V], 0, (maxDistance+1)*bucketPlaces) // not under the pin
	}
	w := c.enter()
	defer w.leave()
	t, home, first, next, ok := c.lockRange(w, from)
	if !ok {
		return entries, 0, 0, false
	}
	defer home.unlock()
	n := home.n
	for d := 0; d <= t.reach(); d++ {
		if d > 0 && home.head&mark(d) == 0 {
			continue
		}
		at := t.near(n, d)
		for m := live(t.at(at).head.Load()); m != 0; m &= m - 1 {
			s := spot{t, at, position(m)}
			if distanceOf(s.position().Load()) != d || t.back(at, d) != n || !hasValue(t.deadline(s.index()), now) {
				continue
			}
			e := visited[K, V]{Entry: c.entryAt(s), usage: usage(s.word().Load(), c.now16(), fadeTicks)}
			if identified {
				e.id = c.identify(s)
				e.Value = e.id.value
			}
			entries = append(entries, e)
		}
	}
	return entries, first, next, true
}

// lockRange locks the home that the upper half of a hash leads to, when its entries have
// come there from the table that is being outgrown. It tells the upper halves of the
// first hash of this home and of the next. Pinned.
func (c *Cache[K, V]) lockRange(w *worker, from uint64) (t *table, home hold, first, next uint64, ok bool) {
	t = c.table.Load()
	n := from * t.homes >> 32
	first, next = startOf(t, n), startOf(t, n+1)
	if old := t.old.Load(); old != nil {
		for m := old.homeOf(from << 32); m <= min(old.homeOf((next-1)<<32), old.homes-1); m++ {
			if !c.moveHome(w, old, t, m) {
				return nil, hold{}, 0, 0, false
			}
		}
	}
	w.protect(t.at(n), false, c.fenced)
	if home, ok = t.tryLock(n, lockSpins); ok && home.head&headMoved != 0 {
		home.unlock()
		ok = false
	}
	return t, home, first, next, ok
}

// startOf is the upper half of the first hash of a home.
func startOf(t *table, n uint64) uint64 { return (n<<32 + t.homes - 1) / t.homes }

// All iterates over the entries of the cache, in no order. It is weakly consistent:
// an entry that is there throughout is seen exactly once; one that comes, goes or
// changes meanwhile may be seen, as it is when the iteration gets there, or not.
// It is no access. The loop's body may do anything with the cache.
func (c *Cache[K, V]) All() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		c.eachHome(false, func(e *visited[K, V]) bool { return yield(e.Key, e.Value) })
	}
}

// Keys iterates over the keys; see All.
func (c *Cache[K, V]) Keys() iter.Seq[K] {
	return func(yield func(K) bool) {
		c.eachHome(false, func(e *visited[K, V]) bool { return yield(e.Key) })
	}
}

// Values iterates over the values; see All.
func (c *Cache[K, V]) Values() iter.Seq[V] {
	return func(yield func(V) bool) {
		c.eachHome(false, func(e *visited[K, V]) bool { return yield(e.Value) })
	}
}

// Hottest returns up to n entries that the eviction policy thinks are used most,
// the hottest first: by reads lately, then by the time of the last one. It visits
// every entry.
func (c *Cache[K, V]) Hottest(n int) []Entry[K, V] {
	return c.extreme(n, func(a, b uint64) bool { return a < b })
}

// Coldest returns up to n entries that the eviction policy thinks are used least, the
// coldest first. It visits every entry.
func (c *Cache[K, V]) Coldest(n int) []Entry[K, V] {
	return c.extreme(n, func(a, b uint64) bool { return a > b })
}

// extreme finds the n entries whose usage is last in an order, the last one first.
func (c *Cache[K, V]) extreme(n int, before func(a, b uint64) bool) []Entry[K, V] {
	if n <= 0 {
		return nil
	}
	h := &ranking[K, V]{before: before}
	c.eachHome(false, func(e *visited[K, V]) bool {
		switch {
		case len(h.list) < n:
			heap.Push(h, *e)
		case before(h.list[0].usage, e.usage):
			h.list[0] = *e
			heap.Fix(h, 0)
		}
		return true
	})
	result := make([]Entry[K, V], len(h.list))
	for i := range slices.Backward(result) {
		result[i] = heap.Pop(h).(visited[K, V]).Entry
	}
	return result
}

// A ranking is a heap of entries by usage, for container/heap.
type ranking[K comparable, V any] struct {
	list   []visited[K, V]
	before func(a, b uint64) bool
}

func (h *ranking[K, V]) Len() int           { return len(h.list) }
func (h *ranking[K, V]) Less(i, j int) bool { return h.before(h.list[i].usage, h.list[j].usage) }
func (h *ranking[K, V]) Swap(i, j int)      { h.list[i], h.list[j] = h.list[j], h.list[i] }
func (h *ranking[K, V]) Push(x any)         { h.list = append(h.list, x.(visited[K, V])) }
func (h *ranking[K, V]) Pop() any {
	last := len(h.list) - 1
	x := h.list[last]
	h.list = h.list[:last]
	return x
}

// eachEntry calls f with every entry that has a value, from the coldest to the hottest,
// until f returns false. It is as weakly consistent as All; the order is that of its
// beginning. It takes memory for all keys.
func (c *Cache[K, V]) eachEntry(f func(e Entry[K, V]) bool) {
	type ranked struct {
		key   K
		usage uint64
	}
	var order []ranked
	c.eachHome(false, func(e *visited[K, V]) bool {
		order = append(order, ranked{e.Key, e.usage})
		return true
	})
	slices.SortFunc(order, func(a, b ranked) int { return cmp.Compare(a.usage, b.usage) })
	for i := range order {
		e, ok := c.GetEntry(order[i].key)
		if c.weigher == nil {
			e.Weight = 1
		}
		if ok && !f(e) {
			return
		}
	}
}

// restore puts an entry in as a snapshot has it, unless its key has a value. ttl 0 is
// for ever. It reports whether it did.
func (c *Cache[K, V]) restore(key K, value V, ttl time.Duration, weight uint32, heat uint8) bool {
	u := change[K, V]{hash: c.hash(key), key: key, value: value, only: ifAbsent, restored: true}
	u.word = warmWord(heat, c.now16())
	if !c.prepare(&u, ttl, true) {
		return false
	}
	if c.weigher != nil {
		u.weight = weight
	}
	return c.apply(&u, false) == outcomeDone
}

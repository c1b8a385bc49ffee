package dualcache

// Growth. A cache takes memory as entries come: it begins with a small table and
// goes over to one four times as large when that is full, until there is room for
// Capacity. Entries move with the writers that come after, a few homes with each
// Set (incremental rehashing; Larson, "Dynamic Hash Tables", 1988, does so too),
// so that no Set pays for all of it. A table of full size stays for ever.
//
// While entries move there are two tables, old and new, and c.table is the new
// one.
//
// (I1) Under the old home's lock an entry is shown in the new table before it is
// taken out of the old one. Readers look into the old table first, so they miss
// it in neither; or find it in the new one at once, where it has the same value.
// (I2) Nothing is put into an old home once it is marked as moved, which whoever
// locks it looks at. Set and Delete move the key's own home before they begin. So
// a new value never stands in the new table beside an older one in the old.
// (I3) A store in place may only go on if the table is settled (write.go). Whoever
// moves an entry looks, after the barrier that followed the new table, for a
// section that may store in its bucket, and leaves that home for later. One of
// the two sees the other.
// (I4) The hash of a key is kept beside it in tables that will be outgrown, so that
// no key is hashed again.
//
// Growing does not wait. A section that is stopped in the middle of a store in place
// holds up the move of one home, and with it the end of this growth, and the Sets
// and Deletes of keys of this home yield until it goes on; lookups of absent keys
// look into both tables until then.

const (
	firstHomes  = 64
	growth      = 4
	movesPerSet = 4
)

// firstTable is the number of homes to begin with: the full number, divided by
// the growth as often as it takes.
func firstTable(full uint64) uint64 {
	for full > firstHomes*growth {
		full = (full + growth - 1) / growth
	}
	return full
}

// mustGrow reports whether there are more entries than the table is made for.
func (c *Cache[K, V]) mustGrow(t *table) bool {
	entries := uint64(c.size.Load() - c.permits.Load())
	return entries*10 > t.homes*c.load/8*7 && t.old.Load() == nil
}

// grow puts a larger table into force, unless another goroutine is at it, and may
// be trusted to be done soon: two tables are made where one would do if it is not.
// Not pinned.
func (c *Cache[K, V]) grow(t *table, trusting bool) {
	if !c.growing.CompareAndSwap(0, 1) && trusting {
		return
	}
	defer c.growing.Store(0)
	if c.table.Load() != t || t.old.Load() != nil || t.hashes == nil {
		return
	}
	homes := min(t.homes*growth, c.homes)
	next := newTable[K, V](homes, t.number+1, homes < c.homes, c.columns)
	next.old.Store(t)
	if c.table.CompareAndSwap(t, next) {
		c.fenceMoves(next)
	}
}

// fenceMoves is the barrier of (I3). Until it has succeeded nothing is moved.
func (c *Cache[K, V]) fenceMoves(t *table) bool {
	if !t.fenced.Load() && c.fence() {
		t.fenced.Store(true)
	}
	return t.fenced.Load()
}

// moveSome moves the next n homes that have not been moved. Not pinned.
func (c *Cache[K, V]) moveSome(t *table, n int) {
	old := t.old.Load()
	if old == nil || !c.fenceMoves(t) {
		return
	}
	if (c.timed.Load() || c.weigher != nil) && !t.timed.Load() {
		t.deadlines.ensureAll()
		t.limits.ensureAll()
		t.reloads.ensureAll()
		t.weights.ensureAll()
		t.timed.Store(true)
	}
	if c.listener != nil && c.crowdSpare.Load() == nil {
		c.crowdSpare.Store(c.listener.get())
	}
	for range n {
		home := (old.cursor.Add(1) - 1) % old.homes
		w := c.enter()
		c.moveHome(w, old, t, home)
		w.leave()
	}
}

// moveHome moves the entries of one home of the old table, and reports whether
// they have all been moved. Pinned.
func (c *Cache[K, V]) moveHome(w *worker, old, t *table, n uint64) bool {
	if old.at(n).head.Load()&headMoved != 0 {
		return true
	}
	if !t.fenced.Load() {
		return false
	}
	w.protect(old.at(n), false, c.fenced)
	home, ok := old.tryLock(n, lockSpins)
	if !ok {
		return false
	}
	if home.head&headMoved != 0 {
		home.unlock()
		return true
	}
	for d := 0; d <= old.reach() && ok; d++ {
		if d == 0 || home.head&mark(d) != 0 {
			ok = c.moveFrom(w, old, t, &home, d)
		}
	}
	if ok {
		home.head |= headMoved
	}
	home.unlockVisible()
	if ok && old.moved.Add(1) == old.homes {
		t.old.Store(nil)
	}
	return ok
}

// moveFrom moves the entries of a home that lie d buckets further on.
func (c *Cache[K, V]) moveFrom(w *worker, old, t *table, home *hold, d int) bool {
	var other hold
	at, ok := old.alsoLock(home, &other, old.near(home.n, d))
	if !ok {
		return false
	}
	ok = !c.workers.stored(at.b)
	for m := live(at.head); m != 0 && ok; m &= m - 1 {
		s := spot{old, at.n, position(m)}
		if distanceOf(s.position().Load()) == d {
			ok = c.moveEntry(w, at, s, t)
		}
	}
	if ok && d > 0 {
		home.head &^= mark(d)
	}
	if at != home {
		at.unlock()
	}
	return ok
}

// moveEntry moves one entry, whose bucket and home are locked.
func (c *Cache[K, V]) moveEntry(w *worker, at *hold, s spot, t *table) bool {
	u := c.asChange(s, isDue(at.head, s.i))
	home, ok := t.tryLock(t.homeOf(u.hash), lockSpins)
	if !ok {
		return false
	}
	to, toAt, ok := c.vacant(w, t, &home, home.n)
	if !ok && c.liveIn(t, home.n) > crowd(t) {
		// Only a hasher of few values crowds a larger table.
		home.unlock()
		return c.crowdOut(w, at, s)
	}
	if !ok || !c.hasColumns(to, &u) {
		if ok && toAt.n != home.n {
			toAt.unlock()
		}
		home.unlock()
		return false
	}
	c.fill(to, &home, &u, s.word().Load()&^policyDeadline)
	listed := c.policy.rename(s, to)
	c.show(&home, &toAt, to, &u)
	home.unlockVisible()
	if debug {
		yield(pointMoved)
	}
	at.head = withTag(at.head, s.i, 0)
	at.publish()
	t.noteEvent(to.index(), u.due)
	if !listed {
		c.announce(w, to, &u)
	}
	return true
}

// asChange is the change that would put an entry in as it is.
func (c *Cache[K, V]) asChange(s spot, due bool) change[K, V] {
	t, i, p := s.t, s.index(), placeAt[K, V](s)
	u := change[K, V]{hash: t.hashes[i], key: p.key, value: p.value, due: due}
	u.deadline, u.limit, u.reload = t.deadline(i), readIn(&t.limits, i), readIn(&t.reloads, i)
	if x := t.weights.at(i); x != nil {
		u.weight = x.Load()
	}
	return u
}

// crowdOut evicts an entry for which there is no place.
func (c *Cache[K, V]) crowdOut(w *worker, at *hold, s spot) bool {
	r := leaving[K, V]{cause: CauseEvicted}
	if c.listener != nil {
		if r.spare = c.crowdSpare.Swap(nil); r.spare == nil {
			return false // moveSome makes one
		}
	}
	c.policy.forget(w, s)
	at.head = withTag(at.head, s.i, 0)
	at.publish()
	c.sayGoodbye(s, &r)
	w.counts.left(r.cause)
	c.permits.Add(1)
	return true
}

package dualcache

// Clear. The keys of one home are removed together: under its lock, and those of the
// buckets that its entries have been put into, the loads of these keys are disturbed and
// their entries taken out. So for each key a Clear is one moment (G1), as it must be for
// those who read and write in one: a Compute may not carry a value from a bucket that
// has not been visited to one that has. All locks of a home are taken before the first
// entry goes, or none, so that no key is cleared twice.
//
// Homes are visited in the order of their hashes, as by an iteration (iterate.go). What
// is set behind it stays. Only a home that straddles the point where a growth of the
// index found the Clear may be visited twice.

// clearAll removes all entries. Not pinned.
func (c *Cache[K, V]) clearAll() {
	c.crowded.Store(false)
	var reports []*removal[K, V]
	now := c.nowIfTimed()
	for from := uint64(0); from < 1<<32; { // hashes below have been visited
		left, next, result := c.clearHome(from, now, &reports)
		c.permits.Add(int64(left))
		switch result {
		case outcomeLocked:
			c.giveWay()
		case outcomeNeedsReports:
			for range (maxDistance + 1) * bucketPlaces {
				reports = append(reports, c.listener.get())
			}
		default:
			from = next
		}
		if left > 0 {
			c.report(nil)
		}
	}
	for _, r := range reports {
		c.listener.dispatch(r)
	}
	c.wake()
}

// clearHome removes the keys of the home that the upper half of a hash leads to, and
// tells how many entries they had, and where the next home begins. Not pinned.
func (c *Cache[K, V]) clearHome(from uint64, now int64, reports *[]*removal[K, V]) (left int, next uint64, _ outcome) {
	w := c.enter()
	defer w.leave()
	if next, ok := c.nothingAt(from); ok {
		return 0, next, outcomeDone
	}
	t, home, first, next, ok := c.lockRange(w, from)
	if !ok {
		return 0, from, outcomeLocked
	}
	held := reachHolds{t: t}
	held.at[0] = home
	if !held.lockMarked() {
		return 0, from, outcomeLocked
	}
	result := outcomeNeedsReports
	if c.listener == nil || held.entries() <= len(*reports) {
		result = outcomeDone
		c.disturbRange(max(first, from), next)
		held.each(func(at *hold, s spot) {
			r := leaving[K, V]{cause: CauseCleared, now: now}
			if c.listener != nil {
				last := len(*reports) - 1
				r.spare, *reports = (*reports)[last], (*reports)[:last]
			}
			c.policy.forget(w, s)
			c.detach(w, at, s, &r)
			w.counts.left(r.cause)
			left++
			if r.spare != nil { // it was no value
				*reports = append(*reports, r.spare)
			}
		})
		held.at[0].head &^= marksMask << marksShift
	}
	held.unlock()
	return left, next, result
}

// nothingAt reports that a home has neither entries nor loads, and where the next one
// begins. Pinned.
func (c *Cache[K, V]) nothingAt(from uint64) (next uint64, ok bool) {
	t := c.table.Load()
	n := from * t.homes >> 32
	head := t.at(n).head.Load()
	if t.old.Load() != nil || head&(headLock|headMoved|marksMask<<marksShift) != 0 || live(head) != 0 {
		return 0, false
	}
	return startOf(t, n+1), c.loads.Load() == nil
}

// reachHolds are the holds of a home and of the buckets that it marks, by distance. One
// without a bucket is none.
type reachHolds struct {
	t  *table
	at [maxDistance + 1]hold
}

// lockMarked locks what the home marks, which is locked. If it cannot, it unlocks all.
func (h *reachHolds) lockMarked() (ok bool) {
	home := &h.at[0]
	for d := 1; d <= h.t.reach(); d++ {
		if home.head&mark(d) == 0 {
			continue
		}
		if h.at[d], ok = h.t.tryLock(h.t.near(home.n, d), lockSpins); !ok {
			h.unlock()
			return false
		}
	}
	return true
}

// each calls f with the entries of the home.
func (h *reachHolds) each(f func(at *hold, s spot)) {
	for d := range h.at {
		at := &h.at[d]
		if at.b == nil {
			continue
		}
		for m := live(at.head); m != 0; m &= m - 1 {
			if s := (spot{h.t, at.n, position(m)}); distanceOf(s.position().Load()) == d {
				f(at, s)
			}
		}
	}
}

func (h *reachHolds) entries() (n int) {
	h.each(func(*hold, spot) { n++ })
	return n
}

// unlock unlocks the home last.
func (h *reachHolds) unlock() {
	for d := maxDistance; d >= 0; d-- {
		if h.at[d].b != nil {
			h.at[d].unlockVisible()
		}
	}
}

//go:build race || cachedebug

package dualcache

import (
	"runtime"
	rtdebug "runtime/debug"
	"sync/atomic"
	"testing"
	"time"
)

// Each test here holds somebody in the one window that a guard closes, and says which
// guard that is. It has been seen to fail without it.

// A baton is passed between goroutines that are held at yield points, where they may
// not block: in sections. It only counts up.
type baton struct{ at atomic.Int32 }

func (b *baton) await(n int32) {
	for b.at.Load() < n {
	}
}

// window has GOMAXPROCS to hold goroutines with, and no collections, which would wait
// for them.
func window(t *testing.T) {
	procs, percent := runtime.GOMAXPROCS(4), rtdebug.SetGCPercent(-1)
	t.Cleanup(func() {
		rtdebug.SetGCPercent(percent)
		runtime.GOMAXPROCS(procs)
	})
}

// holdAt has the first goroutine that comes to a point wait there: the baton is then at 1,
// and it goes on at 2.
func holdAt(t *testing.T, p yieldPoint) *baton { return holdAtNth(t, p, 1) }

// holdAtNth is holdAt for one that comes there n times.
func holdAtNth(t *testing.T, p yieldPoint, n int32) *baton {
	b := new(baton)
	var came atomic.Int32
	hook := func() {
		if came.Add(1) >= n && b.at.CompareAndSwap(0, 1) {
			b.await(2)
		}
	}
	hooks[p].Store(&hook)
	t.Cleanup(func() { hooks[p].Store(nil) })
	return b
}

// crowdedHome is a cache of keys of one home: 0 to 5 were put there, 6 to 11 next door,
// and key 0 has left a place in the home.
func crowdedHome(t *testing.T, capacity int) *Cache[int, string] {
	c := headless(t, Config[int, string]{Capacity: capacity, Hasher: func(int) uint64 { return 1 }})
	for k := range 2 * bucketPlaces {
		c.Set(k, "old")
	}
	c.Delete(0)
	c.Sync()
	c.Sync()
	return c
}

const nextDoor = 2*bucketPlaces - 1

// Guards (I8) of tiers.go: a key that Compute moves from next door to next door, there and
// back during each scan of a reader, is found, although the home's head tells nothing of
// it, or tells the same again. Without the second scan it is missed by the first, and
// without the number in (I8) by the second. (Both shown.)
func TestMovedNextDoorIsFound(t *testing.T) {
	window(t)
	for _, capacity := range []int{100, 3000} {
		c := headless(t, Config[int, string]{Capacity: capacity, Hasher: func(int) uint64 { return 1 }})
		for k := range 3 * bucketPlaces {
			c.Set(k, "old")
		}
		const key = 2 * bucketPlaces // two steps from its home
		c.Delete(bucketPlaces)       // which leaves a place one step from it
		c.Sync()
		c.Sync()
		move := func(from, to int) {
			t.Helper()
			w := c.enter()
			s, _ := c.find(w, c.hash(key), key, false)
			w.leave()
			n := s.t.homeOf(c.hash(key))
			if s.b != s.t.near(n, from) {
				t.Fatalf("the key does not lie %d steps from its home", from)
			}
			c.Compute(key, func(string, bool) (string, Op) { return "new", OpSet })
			c.freeByHand(s.t, s.b, 0) // so that it can go back
			w = c.enter()
			s, _ = c.find(w, c.hash(key), key, false)
			w.leave()
			if s.b != s.t.near(n, to) {
				t.Fatalf("the key has not gone %d steps from its home", to)
			}
		}
		b := holdAtNth(t, pointBeforeNeighbour, 2) // the reader has seen the home, and one step
		found := make(chan bool)
		go func() {
			_, ok := c.Get(key)
			found <- ok
		}()
		goOn := func() {
			next := holdAt(t, pointBeforeNeighbour)
			b.at.Store(2)
			for b = next; b.at.Load() < 1; {
				select {
				case <-found:
					t.Fatalf("capacity %d: the reader has ended before its last scan", capacity)
				default:
				}
			}
		}
		b.await(1)
		move(2, 1)
		goOn() // to the second scan, before the first step
		move(1, 2)
		goOn() // before the second
		move(2, 1)
		b.at.Store(2)
		if !<-found {
			t.Errorf("capacity %d: a key that was there all the time is missed", capacity)
		}
		invariants(t, c)
	}
}

// Guards probe's second look at the home's head: a key that goes home from next door,
// behind a reader who has looked at the home, is found. (Shown.)
func TestSecondLookAtTheHome(t *testing.T) {
	window(t)
	for _, capacity := range []int{100, 3000} {
		c := crowdedHome(t, capacity)
		b := holdAt(t, pointBeforeNeighbour)
		found := make(chan bool)
		go func() {
			_, ok := c.Get(nextDoor)
			found <- ok
		}()
		b.await(1)
		c.Set(nextDoor, "new") // no place next door
		b.at.Store(2)
		if !<-found {
			t.Errorf("capacity %d: a key that was there all the time is missed", capacity)
		}
		w := c.enter()
		if s, _ := c.find(w, c.hash(nextDoor), nextDoor, false); s.b != c.table.Load().homeOf(c.hash(nextDoor)) {
			t.Error("the key has not come home")
		}
		w.leave()
		invariants(t, c)
	}
}

// Guards (I6) of tiers.go, home.publish in replace: the new entry is there before the
// old one is gone. The writer is held when it has taken the old one out. (Shown.)
func TestReplacedAndFoundAllTheTime(t *testing.T) {
	window(t)
	for _, capacity := range []int{100, 3000} {
		c := crowdedHome(t, capacity)
		b := holdAt(t, pointBeforeRetire)
		set := make(chan bool)
		go func() {
			c.Set(nextDoor, "new")
			close(set)
		}()
		b.await(1)
		if v, ok := c.Get(nextDoor); !ok || v != "new" {
			t.Errorf("capacity %d: Get = %q, %v while the key is replaced", capacity, v, ok)
		}
		b.at.Store(2)
		<-set
		invariants(t, c)
	}
}

// aboutToMove is a cache whose entries are about to move: there are two tables, and
// that of the key has not moved.
func aboutToMove(t *testing.T, cfg Config[uint64, uint64], key uint64) *Cache[uint64, uint64] {
	cfg.Capacity = 20_000
	c := headless(t, cfg)
	c.Set(key, 1)
	for k := uint64(1000); ; k++ {
		tb := c.table.Load()
		if old := tb.old.Load(); old != nil {
			if old.at(old.homeOf(c.hash(key))).head.Load()&headMoved == 0 {
				return c
			}
			c.moveSome(tb, int(old.homes)) // too late: the next time
		}
		if k > 15_000 { // each growth had moved the key at once
			return aboutToMove(t, cfg, key)
		}
		c.Set(k, 1)
	}
}

// Guards the order of tables in find (grow.go I1): the old one first. All entries move
// while the reader is between the two. (Shown.)
func TestOldTableFirst(t *testing.T) {
	window(t)
	for key := range uint64(20) {
		c := aboutToMove(t, Config[uint64, uint64]{}, key)
		b := holdAt(t, pointBetweenTables)
		result := make(chan bool, 1)
		go func() {
			_, ok := c.Get(key)
			result <- ok
		}()
		var ok, answered bool
		for !answered && b.at.Load() != 1 {
			select {
			case ok = <-result: // found in the first
				answered = true
			default:
			}
		}
		if !answered {
			tb := c.table.Load()
			c.moveSome(tb, int(tb.old.Load().homes))
			b.at.Store(2)
			ok = <-result
		}
		if !ok {
			t.Fatal("a key that was there all the time is missed")
		}
	}
}

// moveAnd moves a key's home, and begins f when the key is in both tables. The mover is
// held until f has ended, or waits for it. What f itself moves is held for a moment too.
func moveAnd(t *testing.T, c *Cache[uint64, uint64], key uint64, f func()) {
	hash := c.hash(key)
	tb := c.table.Load()
	old := tb.old.Load()
	var b baton // odd: a mover is held
	hook := func() {
		if n := b.at.Load(); n&1 == 0 && b.at.CompareAndSwap(n, n+1) {
			b.await(n + 2)
		}
	}
	hooks[pointMoved].Store(&hook)
	defer hooks[pointMoved].Store(nil)
	moved, done := make(chan bool, 1), make(chan bool)
	go func() {
		w := c.enter()
		ok := c.moveHome(w, old, tb, old.homeOf(hash))
		w.leave()
		moved <- ok
	}()
	under := false // the key itself is under way
	for mover, other := true, false; mover || other; {
		select {
		case ok := <-moved:
			if mover = false; !ok {
				t.Error("nothing has moved")
			}
			continue
		case <-done:
			other, done = false, nil
			continue
		default:
		}
		if b.at.Load()&1 == 0 {
			runtime.Gosched()
			continue
		}
		w := c.enter()
		s, _ := c.probe(w, tb, hash, key, false)
		w.leave()
		if s.found() && !under {
			under, other = true, true
			ended := done
			go func() {
				f()
				close(ended)
			}()
			select {
			case <-ended:
			case <-time.After(20 * time.Millisecond): // it waits for the mover
			}
		}
		b.at.Add(1)
	}
	if !under {
		t.Fatal("the key has not moved")
	}
}

// Guards settled in setBare (grow.go I3): nothing is stored in place in an entry that is
// on its way. (Shown.)
func TestNothingIsStoredInWhatMoves(t *testing.T) {
	window(t)
	const key = 7
	c := aboutToMove(t, Config[uint64, uint64]{}, key)
	moveAnd(t, c, key, func() { c.Set(key, 2) })
	if v, ok := c.Get(key); !ok || v != 2 {
		t.Errorf("Get = %d, %v after Set(2)", v, ok)
	}
}

// dated is a configuration with a clock that a test sets, at 1 ns to begin with.
func dated[K comparable, V any](ttl time.Duration) (Config[K, V], *atomic.Int64) {
	now, start := new(atomic.Int64), time.Now()
	now.Store(1)
	return Config[K, V]{TTL: ttl, Clock: func() time.Time { return start.Add(time.Duration(now.Load())) }}, now
}

// Guards settled in findLive (expiry.go I4): that an entry has expired is not noted
// beside a place that it is about to leave. Who reads the clock late is played by a
// clock that goes back. (Shown.)
func TestWhatExpiresOnItsWayStaysSo(t *testing.T) {
	window(t)
	const key = 7
	cfg, now := dated[uint64, uint64](10)
	c := aboutToMove(t, cfg, key)
	now.Store(20)
	moveAnd(t, c, key, func() {
		if _, ok := c.Get(key); ok {
			t.Error("found after its deadline")
		}
	})
	now.Store(1)
	if _, ok := c.Get(key); ok {
		t.Error("found after it was missed")
	}
	if _, ok := c.Peek(key); ok {
		t.Error("found after it was missed")
	}
}

// Guards (I4) of expiry.go: a Compute that has read the clock before the deadline does
// not replace or delete what a Get has missed after it. It is held when it has found the
// value alive, under the lock. (Shown, without forward, and without unmet in tryRemove.)
func TestMissedIsNotComputed(t *testing.T) {
	window(t)
	for _, op := range []Op{OpSet, OpDelete} {
		cfg, now := dated[int, int](10)
		cfg.Capacity = 3000
		c := headless(t, cfg)
		c.Set(1, 1)
		b := holdAt(t, pointJudged)
		var found []bool
		done := make(chan bool)
		go func() {
			c.Compute(1, func(_ int, ok bool) (int, Op) {
				found = append(found, ok)
				return 2, op
			})
			close(done)
		}()
		b.await(1)
		now.Store(20)
		if v, ok := c.Get(1); ok {
			t.Errorf("Get = %d after the deadline", v)
		}
		b.at.Store(2)
		<-done
		if len(found) != 2 || found[1] {
			t.Errorf("Op %d: Compute was given a value: %v", op, found)
		}
		if v, ok := c.Get(1); ok != (op == OpSet) {
			t.Errorf("Op %d: Get = %d, %v", op, v, ok)
		}
		c.Sync()
		invariants(t, c)
	}
}

// Guards (I4) of expiry.go: from the moment that a Compute is known to have been in time
// until it shows its value, readers find that value, whatever the clock says. (Shown:
// they miss it without the way from the old place to the new one.)
func TestComputedInTime(t *testing.T) {
	window(t)
	for _, capacity := range []int{10, 3000} {
		cfg, now := dated[int, int](10)
		cfg.Capacity = capacity
		c := headless(t, cfg)
		c.Set(1, 1)
		b := holdAt(t, pointForwarded)
		done := make(chan bool)
		go func() {
			c.Compute(1, func(int, bool) (int, Op) { return 2, SetFor(100) })
			close(done)
		}()
		b.await(1)
		now.Store(20)
		if v, ok := c.Get(1); !ok || v != 2 {
			t.Errorf("Get = %d, %v", v, ok)
		}
		if v, ok := c.Peek(1); !ok || v != 2 {
			t.Errorf("Peek = %d, %v", v, ok)
		}
		now.Store(200)
		if v, ok := c.Get(1); ok {
			t.Errorf("Get = %d after both deadlines", v)
		}
		b.at.Store(2)
		<-done
		now.Store(20)
		if v, ok := c.Get(1); ok {
			t.Errorf("Get = %d after it was missed", v)
		}
		invariants(t, c)
	}
}

// Guards awaitLocks: what an insert shows that had looked whether the cache is closed
// before it was, Close takes out. (Shown.)
func TestCloseWaitsForInserts(t *testing.T) {
	window(t)
	c := Must(Config[int, string]{Capacity: 3000})
	b := holdAt(t, pointFilled)
	set := make(chan bool)
	go func() {
		c.Set(1, "late")
		close(set)
	}()
	b.await(1)
	closed := make(chan bool)
	go func() {
		c.Close()
		close(closed)
	}()
	select {
	case <-closed:
	case <-time.After(20 * time.Millisecond):
	}
	b.at.Store(2)
	<-set
	<-closed
	if n := c.Len(); n != 0 {
		t.Errorf("%d entries after Close", n)
	}
}

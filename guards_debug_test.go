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
func holdAt(t *testing.T, p yieldPoint) *baton {
	b := new(baton)
	hook := func() {
		if b.at.CompareAndSwap(0, 1) {
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
func aboutToMove(t *testing.T, key uint64) *Cache[uint64, uint64] {
	c := headless(t, Config[uint64, uint64]{Capacity: 20_000})
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
			return aboutToMove(t, key)
		}
		c.Set(k, 1)
	}
}

// Guards the order of tables in find (grow.go I1): the old one first. All entries move
// while the reader is between the two. (Shown.)
func TestOldTableFirst(t *testing.T) {
	window(t)
	for key := range uint64(20) {
		c := aboutToMove(t, key)
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

// Guards settled in setBare (grow.go I3): nothing is stored in place in an entry that is
// on its way. The mover is held when the entry is in both tables. (Shown.)
func TestNothingIsStoredInWhatMoves(t *testing.T) {
	window(t)
	const key = 7
	c := aboutToMove(t, key)
	hash := c.hash(key)
	tb := c.table.Load()
	old := tb.old.Load()
	var b baton // odd: the mover is held
	hook := func() {
		if n := b.at.Load(); n&1 == 0 && b.at.CompareAndSwap(n, n+1) {
			b.await(n + 2)
		}
	}
	hooks[pointMoved].Store(&hook)
	defer hooks[pointMoved].Store(nil)
	moved, set := make(chan bool, 1), make(chan bool)
	go func() {
		w := c.enter()
		ok := c.moveHome(w, old, tb, old.homeOf(hash))
		w.leave()
		moved <- ok
	}()
	under := false // the key itself is under way
	for ended := false; !ended; {
		select {
		case ok := <-moved:
			if ended = true; !ok {
				t.Error("nothing has moved")
			}
			continue
		default:
		}
		if b.at.Load()&1 == 0 {
			continue
		}
		w := c.enter()
		s, _ := c.probe(w, tb, hash, key, false)
		w.leave()
		if s.found() && !under {
			under = true
			go func() {
				c.Set(key, 2)
				close(set)
			}()
			select {
			case <-set:
			case <-time.After(20 * time.Millisecond): // it waits for the mover
			}
		}
		b.at.Add(1)
	}
	if !under {
		t.Fatal("the key has not moved")
	}
	<-set
	if v, ok := c.Get(key); !ok || v != 2 {
		t.Errorf("Get = %d, %v after Set(2)", v, ok)
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

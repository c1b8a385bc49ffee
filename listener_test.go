package dualcache

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A ledger checks what becomes of values that are all different, numbered from 0: how
// often each was reported, and why. The listener alone writes what was reported.
type ledger struct {
	in       []bool // let in, or refused: by the goroutine that the number belongs to
	deleted  []bool // taken out by an operation that returned it
	mortal   []bool // had a deadline
	reported []uint8
	cause    []Cause
	inside   atomic.Int32
	overlaps int
}

func newLedger(n int) *ledger {
	return &ledger{in: make([]bool, n), deleted: make([]bool, n), mortal: make([]bool, n), reported: make([]uint8, n), cause: make([]Cause, n)}
}

// The weights in a ledger's test: a few are pinned, a few too heavy.
const ledgerMost = 10_000

func ledgerWeight(n int) uint32 {
	switch {
	case n%1009 == 7:
		return ledgerMost + 1
	case n%997 == 3:
		return 0
	}
	return 1 + uint32(n%8)
}

func (l *ledger) told(n int, cause Cause) {
	if l.inside.Add(1) != 1 {
		l.overlaps++
	}
	l.reported[n]++
	l.cause[n] = cause
	l.inside.Add(-1)
}

func (l *ledger) check(t *testing.T, cleared bool) {
	t.Helper()
	if l.overlaps != 0 {
		t.Errorf("%d calls while another was under way", l.overlaps)
	}
	var causes [CauseRefused + 1]int
	bad := 0
	for n := range l.in {
		want := uint8(0)
		if l.in[n] {
			want = 1
		}
		cause := l.cause[n]
		wrong := ""
		switch {
		case l.reported[n] != want:
			wrong = fmt.Sprintf("reported %d times, want %d", l.reported[n], want)
		case want == 0:
			continue
		case (cause == CauseRefused) != (ledgerWeight(n) > ledgerMost):
			wrong = "refused, or not"
		case l.deleted[n] && cause != CauseDeleted:
			wrong = "deleted"
		case cause == CauseExpired && !l.mortal[n]:
			wrong = "without a deadline"
		case cause == CauseCleared && !cleared:
			wrong = "there was no Clear"
		case cause == CauseEvicted && ledgerWeight(n) == 0:
			wrong = "pinned"
		}
		if causes[cause]++; wrong != "" {
			if bad++; bad < 10 {
				t.Errorf("value %d, weight %d, cause %v: %s", n, ledgerWeight(n), cause, wrong)
			}
		}
	}
	if bad > 0 {
		t.Errorf("%d values in all", bad)
	}
	for cause, n := range causes {
		if n == 0 {
			t.Errorf("no value was %v", Cause(cause))
		}
	}
	t.Logf("evicted, expired, deleted, replaced, cleared, refused: %v", causes)
}

// exactlyOnce runs a mix of all operations, with values that are all different.
func exactlyOnce[V any](t *testing.T, capacity, operations int, value func(int) V, number func(V) int) {
	const goroutines = 4
	l := newLedger(operations)
	c := Must(Config[int, V]{
		Capacity:  capacity,
		MaxWeight: ledgerMost,
		Weigher:   func(_ int, v V) uint32 { return ledgerWeight(number(v)) },
		OnRemoval: func(r Removal[int, V]) { l.told(number(r.Value), r.Cause) },
	})
	var wg sync.WaitGroup
	for g := range goroutines {
		spawn(&wg, func() {
			r := rand.New(rand.NewPCG(uint64(g), uint64(capacity)))
			for n := g; n < operations; n += goroutines {
				// Few keys at first, more later: the index grows on the way.
				k := r.IntN(min(2*capacity, 100+n/4))
				v := value(n)
				switch r.IntN(20) {
				case 0, 1:
					c.Delete(k)
				case 2:
					if old, ok := c.GetAndDelete(k); ok {
						l.deleted[number(old)] = true
					}
				case 3, 4:
					ttl := time.Duration(1 + r.IntN(3_000_000))
					l.in[n], l.mortal[n] = true, true
					c.SetWithTTL(k, v, ttl)
				case 5:
					c.SetWithTTL(k, v, -1)
				case 6, 7:
					_, loaded := c.GetOrSet(k, v)
					l.in[n] = !loaded
				case 8, 9:
					var seen V
					var had bool
					op := []Op{OpSet, OpKeep, OpDelete, SetFor(time.Duration(1 + r.IntN(1_000_000)))}[r.IntN(4)]
					l.mortal[n] = op > 0
					_, ok := c.Compute(k, func(old V, found bool) (V, Op) {
						seen, had = old, found
						return v, op
					})
					switch {
					case op == OpKeep:
					case op == OpDelete:
						// The value that f saw last went, if it was not over before.
						_, _ = seen, had
					default:
						l.in[n] = ok || ledgerWeight(n) > ledgerMost
					}
				case 10:
					if n%400 == 0 {
						c.DeleteFunc(func(_ int, v V) bool { return number(v)%3 == 0 })
					}
				case 11:
					if n%(operations/4) < 20 {
						c.Clear()
					}
				case 12:
					if n%1000 < 10 {
						if err := c.SetCapacity(capacity/2 + r.IntN(capacity/2+1)); err != nil {
							t.Error(err)
						}
					}
				case 13:
					c.Get(k)
				default:
					l.in[n] = true
					c.Set(k, v)
				}
			}
		})
	}
	wg.Wait()
	if err := c.SetCapacity(1); err != nil { // evicts, even if there was always room
		t.Error(err)
	}
	invariants(t, c)
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if n := c.listener.waiting.Load(); n != 0 {
		t.Errorf("%d reports are waiting after Close", n)
	}
	l.check(t, true)
}

// Guards the listener's promise: every value that was let in, or refused, is reported
// once, with the right cause where it can be known, by one goroutine at a time, through
// every way out there is. Fails if replace, updateInPlace or refuse does not push
// (shown, each).
func TestEveryValueIsReportedOnce(t *testing.T) {
	operations := 10_000_000
	switch {
	case debug:
		operations = 200_000
	case testing.Short():
		operations = 400_000
	}
	for _, capacity := range []int{50, 3000, 20_000} {
		t.Run(fmt.Sprint("word/", capacity), func(t *testing.T) {
			exactlyOnce(t, capacity, operations/6, func(n int) int { return n }, func(v int) int { return v })
		})
		t.Run(fmt.Sprint("string/", capacity), func(t *testing.T) {
			exactlyOnce(t, capacity, operations/6, strconv.Itoa, func(v string) int {
				n, err := strconv.Atoi(v)
				if err != nil {
					t.Error(err)
				}
				return n
			})
		})
	}
}

// testReportsInOrder: one goroutine gives each key rising versions, while
// others evict, delete and clear.
func testReportsInOrder[V any](t *testing.T, value func(int) V, number func(V) int) {
	const own, writers = 50, 3
	rounds := 100_000
	if testing.Short() || debug {
		rounds = 20_000
	}
	var last [own * writers]int
	var wrong atomic.Int32
	c := Must(Config[int, V]{Capacity: 100, OnRemoval: func(r Removal[int, V]) {
		if r.Key >= 0 {
			if n := number(r.Value); n <= last[r.Key] {
				wrong.Add(1)
			} else {
				last[r.Key] = n
			}
		}
	}})
	var wg sync.WaitGroup
	for g := range writers {
		spawn(&wg, func() {
			r := rand.New(rand.NewPCG(uint64(g), 4))
			for n := 1; n < rounds; n++ {
				k := g*own + r.IntN(own)
				switch r.IntN(10) {
				case 0:
					c.Delete(r.IntN(own * writers))
				case 1:
					c.SetWithTTL(k, value(n), time.Duration(r.IntN(100_000)+1))
				case 2:
					c.Compute(k, func(V, bool) (V, Op) { return value(n), OpSet })
				case 3:
					c.Set(-1-r.IntN(1000), value(n))
				default:
					c.Set(k, value(n))
				}
				if n%5000 == 0 {
					c.Clear()
				}
			}
		})
	}
	wg.Wait()
	invariants(t, c)
	c.Close()
	if n := wrong.Load(); n != 0 {
		t.Errorf("%d reports came before an older one of their key", n)
	}
}

// Guards "in order for each key". Fails if the push comes after the home is unlocked
// (shown, with a pause between the two).
func TestReportsAreInOrder(t *testing.T) {
	t.Run("word", func(t *testing.T) {
		testReportsInOrder(t, func(n int) int { return n }, func(v int) int { return v })
	})
	t.Run("string", func(t *testing.T) {
		testReportsInOrder(t, strconv.Itoa, func(v string) int { n, _ := strconv.Atoi(v); return n })
	})
}

// Guards "a panic is counted and goes no further", also where the listener ends its
// goroutine: every other report is delivered, once, in order. Fails without the second
// goroutine in deliver (shown: Close hangs), and crashes without recover.
func TestListenerPanics(t *testing.T) {
	var got []int
	c := Must(Config[int, int]{Capacity: 10_000, OnRemoval: func(r Removal[int, int]) {
		switch got = append(got, r.Value); {
		case r.Value%10 == 3:
			panic(r.Value)
		case r.Value%10 == 7:
			runtime.Goexit()
		case r.Value%10 == 9:
			got[len(got)+1]++ // a panic of the runtime's
		}
	}})
	const n = 1000
	for v := range n + 1 {
		c.Set(1, v)
	}
	c.Close()
	if got := c.Stats().ListenerPanics; got != 3*n/10 {
		t.Errorf("%d panics are counted, want %d", got, 3*n/10)
	}
	if len(got) != n+1 {
		t.Fatalf("%d calls, want %d", len(got), n+1)
	}
	for v, g := range got {
		if g != v {
			t.Fatalf("call %d was of %d", v, g)
		}
	}
}

// Guards G7: the listener may call the cache, even so that it causes reports.
func TestListenerCallsTheCache(t *testing.T) {
	var c *Cache[int, string]
	calls := 0
	c = Must(Config[int, string]{Capacity: 100, OnRemoval: func(r Removal[int, string]) {
		calls++
		c.Get(r.Key)
		c.Delete(r.Key + 1)
		for range c.All() {
			break
		}
		c.Sync()
		c.Stats()
		if r.Cause == CauseEvicted && calls < 5000 {
			c.Set(r.Key+100_000, r.Value)
		}
		if calls%100 == 0 {
			if err := c.SetCapacity(50 + calls%51); err != nil {
				t.Error(err)
			}
		}
		if calls == 1000 {
			c.Clear()
		}
	}})
	for k := range 3000 {
		c.Set(k, "value")
	}
	c.Close()
	invariants(t, c)
	if calls < 3000 {
		t.Errorf("%d calls, want 3000 or more", calls)
	}
}

// Guards Close against its own listener: it does not wait for itself, and what it
// empties is reported after. Fails without isCaller in flush (shown: it hangs).
func TestListenerCloses(t *testing.T) {
	var c *Cache[int, int]
	var calls atomic.Int32
	c = Must(Config[int, int]{Capacity: 100, OnRemoval: func(Removal[int, int]) {
		if calls.Add(1) == 1 {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
	}})
	for k := range 50 {
		c.Set(k, k)
	}
	c.Delete(0)
	soon(t, "all 50 are reported", func() bool { return calls.Load() == 50 })
	c.Set(1, 1)
	if c.Len() != 0 {
		t.Errorf("Len is %d after Close", c.Len())
	}
}

// Guards "Close flushes, and leaves no goroutine": what was pushed before is delivered
// when it returns, however slow the listener is.
func TestCloseFlushes(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 20 {
		n := 0
		c := Must(Config[int, string]{Capacity: 100, OnRemoval: func(Removal[int, string]) {
			if n++; n%50 == 0 {
				time.Sleep(time.Millisecond)
			}
		}})
		for k := range 300 {
			c.Set(k, "value")
		}
		c.Close()
		if n != 300 {
			t.Fatalf("%d calls when Close returned, want 300", n)
		}
	}
	soon(t, "the goroutines have ended", func() bool { return runtime.NumGoroutine() <= before })
}

// Guards the report of a refusal, and of what moves crowd out, with nobody to do
// anything else afterwards. Fails without report in apply (shown) and dispatch in tick
// (shown).
func TestReportsNeedNoFurtherOperation(t *testing.T) {
	var calls atomic.Int32
	cfg := weighByValue(100, 10)
	cfg.OnRemoval = func(Removal[int, uint64]) { calls.Add(1) }
	c := Must(cfg)
	defer c.Close()
	c.Set(1, 11)
	soon(t, "the refusal is reported", func() bool { return calls.Load() == 1 })
	c.Compute(1, func(uint64, bool) (uint64, Op) { return 11, OpSet })
	soon(t, "that of Compute is", func() bool { return calls.Load() == 2 })
	c.GetOrSet(1, 11)
	soon(t, "that of GetOrSet is", func() bool { return calls.Load() == 3 })

	// What somebody else's move has pushed.
	soon(t, "the daemon parks", func() bool { return atRest(c) })
	spare := c.listener.get()
	c.listener.push(&spare, 5, 5, CauseEvicted)
	c.wake()
	soon(t, "the daemon delivers", func() bool { return calls.Load() == 4 })
}

// Guards exactly once where many keys share few homes, and entries leave for want of a
// place, while the index grows.
func TestReportsFromCrowdedHomes(t *testing.T) {
	l := newLedger(30_000)
	c := Must(Config[int, int]{
		Capacity: 20_000,
		Hasher: func(k int) uint64 {
			if k%2 == 0 {
				return uint64(k % 64)
			}
			return uint64(k)
		},
		OnRemoval: func(r Removal[int, int]) { l.reported[r.Value]++ },
	})
	for n := range l.in {
		c.Set(n, n)
	}
	invariants(t, c)
	c.Close()
	for n, times := range l.reported {
		if times != 1 {
			t.Fatalf("value %d was reported %d times", n, times)
		}
	}
}

// Guards "no cost without a listener": Sets of words go without the lock, and nothing
// allocates. With one they must not, or a value would leave unseen. Fails without the
// listener in c.bare (shown).
func TestNoCostWithoutListener(t *testing.T) {
	c := Must(Config[int, int]{Capacity: 2000})
	defer c.Close()
	if !c.lockless.Load() || !c.bare {
		t.Error("Sets of words take the lock, without a listener")
	}
	told := Must(Config[int, int]{Capacity: 2000, OnRemoval: func(Removal[int, int]) {}})
	defer told.Close()
	if told.lockless.Load() || told.bare {
		t.Error("Sets of words go without the lock, with a listener")
	}
	if debug {
		return // debug builds allocate
	}
	for k := range 5000 {
		c.Set(k, k)
	}
	n := 5000
	if got := testing.AllocsPerRun(1000, func() { n++; c.Set(n, n); c.Set(n, 1); c.Delete(n) }); got != 0 {
		t.Errorf("%v allocations without a listener", got)
	}
}

// Guards G8: a cache that nobody can reach any more is collected though it has a
// listener.
func TestListenerIsCollected(t *testing.T) {
	gone := make(chan bool)
	func() {
		c := Must(Config[int, int]{Capacity: 100, OnRemoval: func(Removal[int, int]) {}})
		for k := range 1000 {
			c.Set(k, k)
		}
		runtime.AddCleanup(c, func(done chan bool) { close(done) }, gone)
	}()
	soon(t, "the cache is collected", func() bool {
		runtime.GC()
		select {
		case <-gone:
			return true
		default:
			return false
		}
	})
}

package linearizability

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dualcache-ff/dualcache"
)

// Violations that the histories have found, each cut down to the few calls that show it.
// They have been mended; each test failed before that.

// An entry was taken for changed when its bucket got another one.
func TestDeleteFuncSparesNothing(t *testing.T) {
	c := dualcache.Must(dualcache.Config[int, string]{Capacity: 64, Hasher: func(int) uint64 { return 0 }})
	defer c.Close()
	c.Set(1, "a")
	n := c.DeleteFunc(func(key int, _ string) bool {
		c.Set(2, "b")
		return key == 1
	})
	if v, ok := c.Get(1); ok || n != 1 {
		t.Errorf("deleted %d, and then found %q, %v", n, v, ok)
	}
}

// briefly is how long to look for what happens seldom.
const briefly = time.Second

func weighted(load func(context.Context, int) (int, error)) *dualcache.Cache[int, int] {
	return dualcache.Must(dualcache.Config[int, int]{
		Capacity: 64, MaxWeight: 10, Weigher: func(_, v int) uint32 { return uint32(v) }, Loader: load,
	})
}

// The weight of the older value, which a refusal removes, was never given back.
func TestRefusalGivesWeightBack(t *testing.T) {
	c := weighted(nil)
	defer c.Close()
	c.Set(1, 5)
	c.Set(1, 100)
	if got, want := c.Weight(), uint64(0); got != want {
		t.Errorf("Weight of an empty cache is %d, want %d; Len is %d", got, want, c.Len())
	}
}

// A Compute that was refused did not ask again if the key had been changed meanwhile.
func TestRefusedComputeIsAtomic(t *testing.T) {
	c := weighted(nil)
	defer c.Close()
	c.Set(1, 5)
	calls, last := 0, 0
	_, ok := c.Compute(1, func(old int, _ bool) (int, dualcache.Op) {
		if calls, last = calls+1, old; calls == 1 {
			c.Set(1, 6)
		}
		return 100, dualcache.OpSet
	})
	if v, there := c.Get(1); ok != there {
		t.Errorf("Compute was given %d last, and says that the key has no value; it has %d", last, v)
	}
}

// A Compute that deleted a key without a value left a load of it that was under way
// (G12).
func TestComputeDeleteEndsLoads(t *testing.T) {
	c := dualcache.Must(dualcache.Config[int, int]{Capacity: 64})
	defer c.Close()
	begun, goOn, done := make(chan bool), make(chan bool), make(chan bool)
	go func() {
		defer close(done)
		c.GetOrLoad(context.Background(), 1, func(context.Context, int) (int, error) {
			close(begun)
			<-goOn
			return 1, nil
		})
	}()
	<-begun
	c.Compute(1, func(int, bool) (int, dualcache.Op) { return 0, dualcache.OpDelete })
	close(goOn)
	<-done
	if v, ok := c.Get(1); ok {
		t.Errorf("a load that began before the key was deleted has stored %d", v)
	}
}

// A Refresh whose value was refused left the older one (G2).
func TestRefusedRefreshRemoves(t *testing.T) {
	c := weighted(func(context.Context, int) (int, error) { return 100, nil })
	defer c.Close()
	c.Set(1, 5)
	v, err := c.Refresh(context.Background(), 1)
	if old, ok := c.Get(1); ok {
		t.Errorf("Refresh returned %d, %v; then Get returned %d", v, err, old)
	}
}

// A Set in place, without the lock, did not disturb a load that had stored and not ended
// (G12).
func TestSetEndsLoadThatHasStored(t *testing.T) {
	const n = 20_000
	c := dualcache.Must(dualcache.Config[uint64, uint64]{Capacity: 2048})
	defer c.Close()
	keys := make([]uint64, n)
	for i := range keys {
		keys[i] = uint64(i)
	}
	for end := time.Now().Add(briefly); time.Now().Before(end); {
		c.Clear()
		done := make(chan bool)
		go func() {
			defer close(done)
			c.GetOrLoadMany(context.Background(), keys, func(_ context.Context, keys []uint64) (map[uint64]uint64, error) {
				m := make(map[uint64]uint64, len(keys))
				for _, key := range keys {
					m[key] = 1
				}
				return m, nil
			})
		}()
		ended := func() bool {
			select {
			case <-done:
				return true
			default:
				return false
			}
		}
		stored := false
		for !stored && !ended() {
			stored = c.Contains(keys[0])
		}
		c.Set(keys[0], 2)
		if err := c.SetCapacity(1); err != nil { // to evict it
			t.Fatal(err)
		}
		v, _ := c.GetOrLoad(context.Background(), keys[0], func(context.Context, uint64) (uint64, error) { return 3, nil })
		<-done
		if err := c.SetCapacity(2048); err != nil {
			t.Fatal(err)
		}
		if v == 1 {
			t.Fatal("after Set(0, 2) and an eviction, GetOrLoad returned 1, from a load that began before the Set")
		}
	}
}

// A reader that had read the clock before the deadline put it off after others had found
// nothing (G1).
func TestExpiredEntryIsNotPutOff(t *testing.T) {
	var mu sync.Mutex
	start := time.Now()
	at := start
	var hold, held chan bool
	clock := func() time.Time {
		mu.Lock()
		now, h, e := at, hold, held
		hold = nil
		mu.Unlock()
		if h != nil {
			close(e)
			<-h
		}
		return now
	}
	set := func(d time.Duration, h chan bool) {
		mu.Lock()
		defer mu.Unlock()
		at, hold = start.Add(d), h
	}
	c, _, err := dualcache.NewHeadless(dualcache.Config[int, int]{Capacity: 64, ExpireAfterAccess: time.Second, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Set(1, 1)
	held = make(chan bool)
	goOn := make(chan bool)
	set(900*time.Millisecond, goOn)
	reader := make(chan string)
	go func() {
		v, ok := c.Get(1)
		reader <- fmt.Sprint(v, ok)
	}()
	<-held // it has read 0.9 s
	set(time.Second, nil)
	_, before := c.Get(1)
	close(goOn)
	slow := <-reader
	if v, after := c.Get(1); !before && after {
		t.Errorf("Get missed at the deadline; a Get that had begun before it returned %s; then Get returned %d", slow, v)
	}
}

// A key that was set after a Clear under way had removed it might be removed once more.
func TestClearRemovesOnce(t *testing.T) {
	c := dualcache.Must(dualcache.Config[int, string]{Capacity: 4096, Hasher: func(int) uint64 { return 0 }})
	defer c.Close()
	var started atomic.Int64
	var over atomic.Bool
	var wait sync.WaitGroup
	wait.Add(1)
	go func() {
		defer wait.Done()
		for !over.Load() {
			started.Add(1)
			c.Clear()
		}
	}()
	defer wait.Wait()
	defer over.Store(true)
	gone := func() {
		for {
			if _, ok := c.Get(1); !ok {
				return
			}
		}
	}
	for end := time.Now().Add(briefly); time.Now().Before(end); {
		for key := range 12 {
			c.Set(key, "a")
		}
		before := started.Load()
		if _, ok := c.Get(1); !ok {
			continue
		}
		gone()
		c.Set(1, "b")
		if v, ok := c.Get(1); !ok || v != "b" {
			continue
		}
		gone()
		if n := c.Stats().Evictions; n == 0 && started.Load() == before {
			t.Fatal("one Clear has removed two values of a key, the second of which was set and read after the first had gone")
		}
	}
}

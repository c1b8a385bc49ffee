// The driver must perform what it is asked for, count it right, and warm every
// cache to the state its workload assumes.
package workload

import (
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/dualcache-ff/dualcache/benchmarks/internal/histogram"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/keys"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/peers"
)

// tiny is a workload quick to build.
func tiny(op Op, key string) Workload {
	w := Workload{Name: "tiny", Op: op, Shape: peers.Shape{Key: key, Value: 8}, Capacity: 1000, Universe: 1000, Draws: 1 << 14}
	if op == Mixed {
		w.Reads = 50
	}
	return w
}

func TestNamesDistinct(t *testing.T) {
	seen := make(map[string]bool)
	for _, w := range append(All(), Tails()...) {
		if seen[w.Name] {
			t.Errorf("two workloads are called %s", w.Name)
		}
		seen[w.Name] = true
	}
	for _, name := range []string{"get/uint64/10k", "get/string/1m", "set/uint64/10k", "mixed/90", "churn"} {
		if !seen[name] {
			t.Errorf("no workload is called %s", name)
		}
	}
}

func TestResidentKeysAreHit(t *testing.T) {
	for _, key := range []string{"uint64", "string"} {
		l := tiny(Get, key).Load()
		for _, peer := range peers.All {
			if l.Excludes(peer) != "" {
				continue
			}
			c := l.Build(peer)
			least := 99.0
			if peer.Name == "sturdyc" {
				least = 80 // Its shards fill unevenly, and evict by tenths.
			}
			if got := l.Count(c, 5000); got.Gets != 5000 || got.HitRatio() < least {
				t.Errorf("%s, %s keys: %d reads, %.1f%% hits", peer.Name, key, got.Gets, got.HitRatio())
			}
			c.Close()
		}
	}
}

func TestPartRepeats(t *testing.T) {
	l := tiny(Get, "uint64").Load()
	for _, at := range []int{0, Batch, len(l.ids) - Batch, 3*len(l.ids) + Batch, -Batch} {
		part := l.Part(at, Batch)
		if len(part) != Batch {
			t.Fatalf("%d keys at %d, want %d", len(part), at, Batch)
		}
		if again := l.Part(at+len(l.ids), Batch); &again[0] != &part[0] {
			t.Errorf("the stream does not repeat at %d", at)
		}
	}
}

func TestAtIsTheStream(t *testing.T) {
	l := tiny(Get, "uint64").Load()
	for _, at := range []int{0, 1, len(l.ids) - 1, len(l.ids) + 5} {
		if got := l.At(at); len(got) != 1 || &got[0] != &l.ids[at%len(l.ids)] {
			t.Errorf("the wrong key at %d", at)
		}
	}
}

func TestFillStoresAll(t *testing.T) {
	const n = fillBatch + 5
	c := &seenCache{stored: make(map[uint32]int)}
	Fill(c, n)
	if len(c.stored) != n || c.stored[0] != 1 || c.stored[n-1] != 1 {
		t.Errorf("%d keys stored, want %d once each", len(c.stored), n)
	}
}

func TestFullCachesEvict(t *testing.T) {
	w := tiny(Churn, "uint64")
	w.Universe, w.Draws, w.Full = 100_000, Batch, true
	l := w.Load()
	for _, peer := range peers.All[:2] {
		c := l.Build(peer)
		if held := l.Held(c); held < w.Capacity*9/10 || held > w.Capacity {
			t.Errorf("%s begins with %d entries of %d", peer.Name, held, w.Capacity)
		}
		c.Close()
	}
}

func TestWorkersStartApart(t *testing.T) {
	l := tiny(Get, "uint64").Load()
	if a, b := l.Part(l.Start(0, 2, 0), 1), l.Part(l.Start(1, 2, 0), 1); &a[0] == &b[0] {
		t.Error("two workers start at the same place")
	}
}

func TestSliceLasts(t *testing.T) {
	const d = 5 * time.Millisecond
	l := tiny(Get, "uint64").Load()
	c := &slowCache{}
	start := time.Now()
	ns, tally := l.Slice(c, d, 0)
	if elapsed := time.Since(start); elapsed < d {
		t.Errorf("a slice of %v took %v", d, elapsed)
	}
	if tally.Gets == 0 || ns < 1000/float64(runtime.GOMAXPROCS(0)) {
		t.Errorf("%d reads at %.0f ns of an operation that takes 1000 ns", tally.Gets, ns)
	}
}

func TestTailsAddUp(t *testing.T) {
	l := tiny(Mixed, "uint64").Load()
	c := l.Build(peers.All[0])
	defer c.Close()
	var h histogram.Histogram
	if tally := l.CountTail(c, 5000, &h); h.Count() != 5000 || tally.Gets < 2000 || tally.Gets > 3000 {
		t.Errorf("%d operations timed, %d of them reads", h.Count(), tally.Gets)
	}
}

func TestFootprint(t *testing.T) {
	f := Measure(peers.All[1], 10_000, 2)
	if f.Entries < 9_900 || f.Bytes < 16*f.Entries {
		t.Errorf("%.0f entries in %.0f bytes", f.Entries, f.Bytes)
	}
}

func TestCrowdTakesTurns(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	const many, d = 50, 20 * time.Millisecond
	w := tiny(Get, "uint64")
	l := w.Load()
	c := &seenCache{first: make(map[*uint32]bool)}
	start := time.Now()
	ns, tally := l.Crowd(c, d, 0, many)
	if elapsed := time.Since(start); elapsed < d {
		t.Errorf("a slice of %v took %v", d, elapsed)
	}
	if len(c.first) < many {
		t.Errorf("%d places of the stream were read by %d goroutines", len(c.first), many)
	}
	if total := float64(tally.Gets) * ns; tally.Gets == 0 || total < float64(d) || total > 100*float64(d) {
		t.Errorf("%d reads of %.0f ns in a slice of %v", tally.Gets, ns, d)
	}
}

// A seenCache remembers where batches of reads began, and what was stored.
type seenCache struct {
	peers.Cache
	mu     sync.Mutex
	first  map[*uint32]bool
	stored map[uint32]int
}

func (c *seenCache) Set(ids []uint32) peers.Tally {
	for _, id := range ids {
		c.stored[id]++
	}
	return peers.Tally{}
}

func (c *seenCache) Settle() {}

func (c *seenCache) Get(ids []uint32) peers.Tally {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.first[&ids[0]] = true
	return peers.Tally{Gets: len(ids)}
}

func TestExcludes(t *testing.T) {
	ours, floor, strings := named(t, "dualcache"), named(t, "map"), named(t, "sturdyc")
	resident, evicting := tiny(Get, "uint64"), tiny(Churn, "string")
	evicting.Universe *= 10
	for _, c := range []struct {
		w    Workload
		peer peers.Peer
		want bool
	}{
		{resident, ours, false}, {resident, floor, false}, {resident, strings, true},
		{evicting, ours, false}, {evicting, floor, true}, {evicting, strings, false},
	} {
		if got := c.w.Excludes(c.peer); (got != "") != c.want {
			t.Errorf("%s is excluded from %d keys of %s in %d: %q", c.peer.Name, c.w.Universe, c.w.Key, c.w.Capacity, got)
		}
	}
}

// named returns an implementation.
func named(t *testing.T, name string) peers.Peer {
	t.Helper()
	list, err := peers.Select(name)
	if err != nil {
		t.Fatal(err)
	}
	return list[0]
}

// A slowCache takes a microsecond for every operation of a batch.
type slowCache struct{ peers.Cache }

func (*slowCache) Get(ids []uint32) peers.Tally {
	time.Sleep(time.Duration(len(ids)) * time.Microsecond)
	return peers.Tally{Gets: len(ids)}
}

func TestMixedStreamIsMarked(t *testing.T) {
	writes := 0
	l := tiny(Mixed, "uint64").Load()
	for _, id := range l.ids {
		writes += int(id / keys.WriteBit)
	}
	if share := float64(writes) / float64(len(l.ids)); share < 0.49 || share > 0.51 {
		t.Errorf("%.2f of the operations are writes, want a half", share)
	}
}

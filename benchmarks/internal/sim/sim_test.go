// Exact answers where they are known, from textbooks or by trying everything,
// and invariants everywhere else.
package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// textbook is the reference string of many lectures on paging; with 3 frames
// LRU faults 12 times and the optimum, which must load every page, 9 times.
var textbook = []uint32{7, 0, 1, 2, 0, 3, 0, 4, 2, 3, 0, 3, 2, 1, 2, 0, 1, 7, 0, 1}

func TestLRUKnown(t *testing.T) {
	if got, want := Replay(NewLRU(3), textbook), len(textbook)-12; got != want {
		t.Errorf("textbook: %d hits, want %d", got, want)
	}
	loop := []uint32{0, 1, 2, 0, 1, 2, 0, 1, 2}
	if got := Replay(NewLRU(2), loop); got != 0 {
		t.Errorf("loop of 3 in 2: %d hits, want 0", got)
	}
	if got := Replay(NewLRU(3), loop); got != 6 {
		t.Errorf("loop of 3 in 3: %d hits, want 6", got)
	}
}

func TestOptimumKnown(t *testing.T) {
	// The optimum here may refuse keys, and so may save faults.
	if got, want := Replay(NewOptimum(3, textbook), textbook), len(textbook)-9; got < want {
		t.Errorf("textbook: %d hits, want at least %d", got, want)
	}
	loop := []uint32{0, 1, 2, 0, 1, 2, 0, 1, 2}
	if got := Replay(NewOptimum(2, loop), loop); got != 4 {
		t.Errorf("loop of 3 in 2: %d hits, want 4", got)
	}
}

func TestOptimumAgainstAllChoices(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		keys := make([]uint32, 12)
		for i := range keys {
			keys[i] = uint32(r.IntN(5))
		}
		capacity := 1 + r.IntN(3)
		got, want := Replay(NewOptimum(capacity, keys), keys), mostHits(keys, capacity, 0)
		if got != want {
			t.Fatalf("%v in %d: %d hits, want %d", keys, capacity, got, want)
		}
	}
}

// mostHits tries everything: held is the set of keys in the cache, as bits.
func mostHits(keys []uint32, capacity int, held uint) int {
	if len(keys) == 0 {
		return 0
	}
	key := uint(1) << keys[0]
	if held&key != 0 {
		return 1 + mostHits(keys[1:], capacity, held)
	}
	best := mostHits(keys[1:], capacity, held)
	members := 0
	for bit := uint(1); bit <= held; bit <<= 1 {
		if held&bit != 0 {
			members++
			best = max(best, mostHits(keys[1:], capacity, held&^bit|key))
		}
	}
	if members < capacity {
		best = max(best, mostHits(keys[1:], capacity, held|key))
	}
	return best
}

// mixed is a stream with hot keys, cold keys and a loop.
func mixed(n int) []uint32 {
	r := rand.New(rand.NewPCG(3, uint64(n)))
	keys := make([]uint32, 40*n)
	for i := range keys {
		switch r.IntN(3) {
		case 0:
			keys[i] = uint32(r.IntN(n/4 + 1))
		case 1:
			keys[i] = uint32(r.IntN(3 * n))
		default:
			keys[i] = uint32(3*n + i%(2*n))
		}
	}
	return keys
}

func TestEveryCapacity(t *testing.T) {
	capacities := []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 16, 17, 31, 64, 100, 255, 256, 511, 512, 513, 1000}
	for _, m := range Makers {
		t.Run(m.Name, func(t *testing.T) {
			for _, capacity := range capacities {
				keys := mixed(max(capacity, 4))
				p := m.New(capacity, keys)
				for i, key := range keys {
					p.Request(uint64(key))
					if n := p.Len(); n > capacity {
						t.Fatalf("capacity %d: %d entries after %d requests", capacity, n, i+1)
					}
				}
			}
		})
	}
}

func TestAmpleCapacityMissesOnce(t *testing.T) {
	keys := mixed(50)
	distinct := len(slices.Compact(slices.Sorted(slices.Values(keys))))
	for _, m := range Makers {
		if got, want := Replay(m.New(distinct, keys), keys), len(keys)-distinct; got != want {
			t.Errorf("%s: %d hits, want %d", m.Name, got, want)
		}
	}
}

func TestNobodyBeatsTheOptimum(t *testing.T) {
	for _, capacity := range []int{1, 3, 10, 77, 300} {
		keys := mixed(200)
		best := Replay(NewOptimum(capacity, keys), keys)
		for _, m := range Makers {
			if got := Replay(m.New(capacity, keys), keys); got > best {
				t.Errorf("%s in %d: %d hits, the optimum has %d", m.Name, capacity, got, best)
			}
		}
	}
}

// A hit is a key that was there: a policy that holds on to keys must not report
// others.
func TestLargeKeys(t *testing.T) {
	for _, m := range Makers[:len(Makers)-1] {
		p := m.New(4, nil)
		for i := range uint64(100) {
			if p.Request(^i) {
				t.Errorf("%s: hit on a key that is new", m.Name)
			}
			if !p.Request(^i) {
				t.Errorf("%s: miss on the key just put in", m.Name)
			}
		}
	}
}

func TestSelect(t *testing.T) {
	got, err := Select("optimum, sim-lru")
	if err != nil || len(got) != 2 || got[0].Name != "optimum" || got[1].Name != "sim-lru" {
		t.Errorf("Select: %v, %v", got, err)
	}
	if _, err := Select("none"); err == nil {
		t.Error("an unknown name is accepted")
	}
}

func TestNoCapacityPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a capacity of 0 is accepted")
		}
	}()
	NewLRU(0)
}

func BenchmarkRequest(b *testing.B) {
	for _, m := range Makers[:len(Makers)-1] {
		b.Run(fmt.Sprintf("policy=%s", m.Name), func(b *testing.B) {
			keys := mixed(10_000)
			p := m.New(10_000, nil)
			i := 0
			for b.Loop() {
				p.Request(uint64(keys[i]))
				if i++; i == len(keys) {
					i = 0
				}
			}
		})
	}
}

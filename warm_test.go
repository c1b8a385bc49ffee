package dualcache

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// Guards warmWord against heatOf: what is read back is as hot as it was, but for the bit
// that says that it was read lately, which all are. Fails if either mixes its bits up.
func TestWarmWord(t *testing.T) {
	for rank := range uint32(maxRank + 1) {
		for freq := range uint32(maxFreq + 1) {
			heat := heatOf(policyWord(rank, freq, 5, 1000), 1000)
			word := warmWord(heat, 77)
			if got := heatOf(word, 77); got != heat {
				t.Errorf("rank %d, frequency %d: heat %d, and %d when read back", rank, freq, heat, got)
			}
			if rankOf(word) > maxRank || word&(policyLive|policyDeadline) != policyLive || ageOf(word, 77) != 0 {
				t.Errorf("heat %d gives the word %x", heat, word)
			}
		}
	}
}

// Holds that a restart from a snapshot costs few hits: a cache that was restored and the
// one that it was written from read on, and the first differs by less than two points
// from the second. Fails if restore drops what it is given.
func TestWarmRestart(t *testing.T) {
	const capacity, keys = 5000, 100_000
	r := rand.New(rand.NewPCG(1, 1))
	zipf := rand.NewZipf(r, 1.1, 1, keys-1)
	before := Must(Config[uint64, uint64]{Capacity: capacity})
	defer before.Close()
	ratio := func(caches ...*Cache[uint64, uint64]) (ratios []float64) {
		hits := make([]int, len(caches))
		const reads = 50_000
		for range reads {
			key := zipf.Uint64()
			for i, c := range caches {
				if _, ok := c.Get(key); ok {
					hits[i]++
				} else {
					c.Set(key, key)
				}
			}
		}
		for _, n := range hits {
			ratios = append(ratios, 100*float64(n)/reads)
		}
		return ratios
	}
	for range 10 {
		ratio(before)
	}
	var snapshot bytes.Buffer
	if _, err := before.WriteTo(&snapshot); err != nil {
		t.Fatal(err)
	}
	after, cold := Must(Config[uint64, uint64]{Capacity: capacity}), Must(Config[uint64, uint64]{Capacity: capacity})
	defer after.Close()
	defer cold.Close()
	if _, err := after.ReadFrom(&snapshot); err != nil {
		t.Fatal(err)
	}
	got := ratio(before, after, cold)
	t.Logf("hits in percent: %.2f before, %.2f after a warm restart, %.2f after a cold one", got[0], got[1], got[2])
	if got[1] < got[0]-2 {
		t.Errorf("hits in percent: %.2f before, %.2f after a restart", got[0], got[1])
	}
	if got[2] > got[0]-2 {
		t.Errorf("a cold restart costs nothing: the test shows nothing")
	}
}

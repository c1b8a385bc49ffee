// The streams are the ground every figure stands on. These tests compare the
// drawn frequencies with the Zipf law they claim to follow, and check that
// numbers map to keys one to one and that popularity is independent of order.
package keys

import (
	"math"
	"slices"
	"testing"
)

func TestZipfFrequencies(t *testing.T) {
	const n, length = 1000, 1 << 20
	counts := make([]float64, n)
	for _, id := range Zipf(n, length) {
		counts[id]++
	}
	slices.Sort(counts)
	slices.Reverse(counts)
	total := 0.0
	for k := 1; k <= n; k++ {
		total += math.Pow(float64(k), -Exponent)
	}
	for _, k := range []int{1, 2, 5, 10, 50, 100} {
		want := math.Pow(float64(k), -Exponent) / total * length
		if got := counts[k-1]; math.Abs(got-want) > 0.08*want {
			t.Errorf("rank %d drawn %.0f times, want about %.0f", k, got, want)
		}
	}
}

func TestZipfScatters(t *testing.T) {
	const n = 1000
	low := 0
	ids := Zipf(n, 1<<16)
	for _, id := range ids {
		if id >= n {
			t.Fatalf("number %d out of range", id)
		}
		if id < n/10 {
			low++
		}
	}
	if share := float64(low) / float64(len(ids)); share > 0.4 {
		t.Errorf("the lowest tenth of the numbers has %.0f%% of the draws", 100*share)
	}
}

func TestScanPassesAHotSet(t *testing.T) {
	const hot, n, length = 100, 1000, 10_000
	last, walked := hot-1, 0
	for _, id := range Scan(hot, n, length) {
		if id < hot {
			continue
		}
		if last++; last == n {
			last = hot
		}
		if walked++; int(id) != last {
			t.Fatalf("%d follows %d", id, last-1)
		}
	}
	if walked < 0.48*length || walked > 0.52*length {
		t.Errorf("%d of %d keys belong to the scan, want a half", walked, length)
	}
}

func TestKeysDistinct(t *testing.T) {
	const n = 100_000
	ints := make(map[uint64]bool, n)
	texts := make(map[string]bool, n)
	for id, name := range Strings(n) {
		ints[Uint64(uint32(id))] = true
		texts[name] = true
		if len(name) != 23 {
			t.Fatalf("key %q has %d bytes, want 23", name, len(name))
		}
	}
	if len(ints) != n || len(texts) != n {
		t.Errorf("%d and %d distinct keys, want %d", len(ints), len(texts), n)
	}
}

func TestMarkWrites(t *testing.T) {
	ids := All(100_000)
	MarkWrites(ids, 90)
	writes := 0
	for i, id := range ids {
		if id&^WriteBit != uint32(i) {
			t.Fatalf("element %d became %d", i, id&^WriteBit)
		}
		if id&WriteBit != 0 {
			writes++
		}
	}
	if writes < 9_500 || writes > 10_500 {
		t.Errorf("%d writes, want about 10000", writes)
	}
}

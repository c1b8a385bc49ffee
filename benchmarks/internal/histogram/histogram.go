// Package histogram counts latencies in a table of fixed size.
//
// A tail can only be seen by keeping every observation, and can only be seen
// undisturbed if keeping one costs the same few instructions each time. The
// table therefore has a bucket for each nanosecond below 32 and 32 buckets for
// each doubling above, which bounds the error of a quantile by 1/32, and never
// allocates. Its 15 kB disturb the processor's caches equally for everyone.
package histogram

import "math/bits"

const (
	bitsKept = 5
	perTwice = 1 << bitsKept
	buckets  = (64 - bitsKept + 1) * perTwice
)

// Histogram counts durations in nanoseconds. The zero value is empty.
type Histogram struct {
	counts [buckets]uint64
	max    uint64
}

// Add counts one observation.
func (h *Histogram) Add(ns int64) {
	v := uint64(max(ns, 0))
	h.counts[bucket(v)]++
	h.max = max(h.max, v)
}

// Merge adds the observations of other.
func (h *Histogram) Merge(other *Histogram) {
	for i, n := range other.counts {
		h.counts[i] += n
	}
	h.max = max(h.max, other.max)
}

// Count returns the number of observations.
func (h *Histogram) Count() uint64 {
	total := uint64(0)
	for _, n := range h.counts {
		total += n
	}
	return total
}

// Max returns the largest observation.
func (h *Histogram) Max() uint64 { return h.max }

// Quantile returns the value that a share q of the observations does not
// exceed, rounded up to the end of its bucket, or 0 if there are none.
func (h *Histogram) Quantile(q float64) uint64 {
	rank := uint64(q * float64(h.Count()))
	seen := uint64(0)
	for i, n := range h.counts {
		seen += n
		if n > 0 && seen >= rank {
			return min(upper(i), h.max)
		}
	}
	return h.max
}

// bucket returns the index of the bucket of v.
func bucket(v uint64) int {
	shift := max(bits.Len64(v)-bitsKept-1, 0)
	return shift<<bitsKept + int(v>>shift)
}

// upper returns the largest value in bucket i.
func upper(i int) uint64 {
	if i < 2*perTwice {
		return uint64(i)
	}
	shift := i>>bitsKept - 1
	first := uint64(i - shift<<bitsKept)
	return (first+1)<<shift - 1
}

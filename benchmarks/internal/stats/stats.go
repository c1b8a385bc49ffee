// Package stats reduces repeated measurements to what is reported: the median
// and the quartiles, which a few disturbed ones do not move.
package stats

import "slices"

// Quantile returns the value below which a share q of the list lies,
// interpolated between neighbours, or 0 for an empty list.
func Quantile(list []float64, q float64) float64 {
	if len(list) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(list))
	at := q * float64(len(sorted)-1)
	low := int(at)
	high := min(low+1, len(sorted)-1)
	return sorted[low] + (at-float64(low))*(sorted[high]-sorted[low])
}

// Median is the quantile of a half.
func Median(list []float64) float64 { return Quantile(list, 0.5) }

package stats

import (
	"math"
	"testing"
)

func TestQuantile(t *testing.T) {
	list := []float64{4, 1, 3, 2, 5}
	for q, want := range map[float64]float64{0: 1, 0.25: 2, 0.5: 3, 0.625: 3.5, 1: 5} {
		if got := Quantile(list, q); math.Abs(got-want) > 1e-9 {
			t.Errorf("quantile %g is %g, want %g", q, got, want)
		}
	}
	if got := Median(nil); got != 0 {
		t.Errorf("the median of nothing is %g", got)
	}
}

// The buckets must cover every value without gap or overlap, and a quantile
// must be off by no more than the width of its bucket.
package histogram

import "testing"

func TestBucketsAreContiguous(t *testing.T) {
	for i := range buckets - 1 {
		last := upper(i)
		if bucket(last) != i || bucket(last+1) != i+1 {
			t.Fatalf("bucket %d ends at %d, which falls into %d, the next value into %d",
				i, last, bucket(last), bucket(last+1))
		}
	}
	if got := bucket(1<<64 - 1); got != buckets-1 {
		t.Errorf("the largest value falls into bucket %d of %d", got, buckets)
	}
}

func TestQuantiles(t *testing.T) {
	var a, b Histogram
	for v := int64(1); v <= 100_000; v += 2 {
		a.Add(v)
		b.Add(v + 1)
	}
	a.Merge(&b)
	if a.Count() != 100_000 || a.Max() != 100_000 {
		t.Fatalf("count %d, max %d, want 100000 of both", a.Count(), a.Max())
	}
	for _, q := range []float64{0.001, 0.5, 0.99, 0.9999} {
		want := q * 100_000
		if got := float64(a.Quantile(q)); got < want || got > want*(1+1.0/perTwice)+1 {
			t.Errorf("quantile %g is %.0f, want about %.0f", q, got, want)
		}
	}
}

func TestEmpty(t *testing.T) {
	var h Histogram
	if h.Quantile(0.99) != 0 {
		t.Error("an empty histogram has a quantile")
	}
}

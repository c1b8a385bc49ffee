// The command's own arithmetic and one tiny run of every kind of report.
package main

import (
	"bytes"
	"math"
	"strings"
	"testing"
)

func TestQuantile(t *testing.T) {
	list := []float64{4, 1, 3, 2, 5}
	for q, want := range map[float64]float64{0: 1, 0.25: 2, 0.5: 3, 0.625: 3.5, 1: 5} {
		if got := quantile(list, q); math.Abs(got-want) > 1e-9 {
			t.Errorf("quantile %g is %g, want %g", q, got, want)
		}
	}
}

func TestRatiosPairByRound(t *testing.T) {
	first := result{ns: []float64{10, 20, 40}}
	other := result{ns: []float64{20, 40, 80}}
	if got := strings.Join(ratios(other, first), " "); got != "2.000 2.000 2.000" {
		t.Errorf("got %s, want a ratio of two in every round", got)
	}
}

func TestParseRejects(t *testing.T) {
	for _, args := range [][]string{
		{"-impl", "none"}, {"-p", "0"}, {"-work", "("}, {"-rounds", "0"}, {"extra"},
	} {
		if _, err := parse(args); err == nil {
			t.Errorf("%q is accepted", args)
		}
	}
}

func TestReports(t *testing.T) {
	if testing.Short() {
		t.Skip("builds caches")
	}
	o, err := parse([]string{"-work", "^(get/uint64/10k|tail/50|small)$", "-rounds", "2", "-slice", "1ms", "-p", "1"})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := o.run(newTable(&out)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"get/uint64/10k", "tail/50", "small"} {
		if n := strings.Count(out.String(), "\n"+name+" "); n != 3 {
			t.Errorf("%d lines for %s, want 3:\n%s", n, name, out.String())
		}
	}
}

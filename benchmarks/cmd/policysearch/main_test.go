package main

import (
	"strings"
	"testing"

	"github.com/dualcache-ff/dualcache/benchmarks/internal/sim"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/streams"
)

func TestVariant(t *testing.T) {
	base := sim.PrescribedParams()
	got, err := variant(base, "Step=0.5,Fade=7")
	want := base
	want.Step, want.Fade = 0.5, 7
	if err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	for _, text := range []string{"Stap=1", "Fade=x", "Fade", "Fade=0.5"} {
		if _, err := variant(base, text); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
}

func TestAllGeneratorsAreKnown(t *testing.T) {
	for name, specs := range sets {
		for _, spec := range specs {
			if strings.Contains(spec, ":") {
				if err := streams.Check(spec); err != nil {
					t.Errorf("set %s: %v", name, err)
				}
			}
		}
	}
}

func TestTheBaseDoesNotDifferFromItself(t *testing.T) {
	stream, err := streams.Generate("loop:n=500,loop=100,length=5000")
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	s := search{out: &out, sets: []set{{name: "one", streams: []*streams.Stream{stream}}}}
	params := sim.DefaultParams()
	s.measureBase(params)
	s.compare("same", func(capacity int) sim.Policy { return sim.NewTwoRegion(capacity, params) })
	if !strings.Contains(out.String(), "one +0.000 (worst +0.00, none)") {
		t.Errorf("got %s", out.String())
	}
}

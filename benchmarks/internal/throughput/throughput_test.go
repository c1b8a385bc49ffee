package throughput

import (
	"strings"
	"testing"
	"time"

	"github.com/dualcache-ff/dualcache/benchmarks/internal/peers"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/report"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/suite"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/turns"
)

// tiny is smaller than quick.
var tiny = scale{base: 500, sizes: []int{500}, most: 500, draws: 1 << 12, rounds: 2, slice: 100 * time.Microsecond}

// measured returns the rows of one measurement.
func measured(name, key string, value int, ways []turns.Way) *report.Table {
	t := report.New(columns...)
	tiny.measure(&suite.Options{Peers: peers.All}, point{"test", tiny.load(name, key, value, tiny.base), 2, ways}, t)
	return t
}

func TestEveryoneHasARow(t *testing.T) {
	for _, name := range all {
		for _, key := range []string{"uint64", "string"} {
			table := measured(name, key, 8, alone)
			want := len(peers.All)
			if key != "string" {
				want-- // sturdyc
			}
			if name == mixed || name == aside || name == scan {
				want -= 3 // Maps.
			}
			if len(table.Rows) != want {
				t.Errorf("%s, %s: %d rows, want %d", name, key, len(table.Rows), want)
			}
			for i := range table.Rows {
				ns, _ := table.Number(i, "ns_per_op")
				mops, _ := table.Number(i, "mops")
				ratio, _ := table.Number(i, "ratio")
				if ns <= 0 || mops*ns < 999 || mops*ns > 1001 || ratio <= 0 {
					t.Errorf("%s, %s: %v", name, key, table.Rows[i])
				}
				if _, ok := table.Number(i, "hit_percent"); ok == (name == write) {
					t.Errorf("%s, %s: %v", name, key, table.Rows[i])
				}
			}
			if ratio, _ := table.Number(0, "ratio"); ratio != 1 || table.Text(0, "cache") != "dualcache" {
				t.Errorf("the first is not held against itself: %v", table.Rows[0])
			}
		}
	}
}

func TestValuesAndCrowds(t *testing.T) {
	table := measured(read, "uint64", 256, []turns.Way{1, 20})
	if got := table.Values("goroutines"); len(got) != 2 || got[1] != "20" {
		t.Errorf("goroutines %q", got)
	}
	if got := table.Values("value_bytes"); len(got) != 1 || got[0] != "256" {
		t.Errorf("values of %q bytes", got)
	}
}

func TestScanSparesTheHotSet(t *testing.T) {
	table := measured(scan, "uint64", 8, alone).Where("cache", "dualcache")
	if hits, _ := table.Number(0, "hit_percent"); hits < 35 || hits > 75 {
		t.Errorf("%.1f%% hits, want about the half that is hot", hits)
	}
}

func TestJobs(t *testing.T) {
	for _, c := range []suite.Command{Speed, Scaling} {
		var times [2]time.Duration
		for i, quick := range []bool{false, true} {
			jobs, err := c.Jobs(&suite.Options{Quick: quick, Peers: peers.All})
			if err != nil {
				t.Fatal(err)
			}
			seen := make(map[string]bool)
			for _, job := range jobs {
				if seen[job.Name] || strings.Contains(job.Name, " ") || job.Expect <= 0 {
					t.Errorf("%s: %v expected", job.Name, job.Expect)
				}
				seen[job.Name] = true
				times[i] += job.Expect
			}
		}
		if times[0] < time.Minute || times[0] > 12*time.Minute || times[1] > 20*time.Second {
			t.Errorf("%s takes %v, quick %v", c.Name, times[0], times[1])
		}
	}
}

// Charts and tables are made of rows of every part.
func TestShown(t *testing.T) {
	speed, scaling := report.New(columns...), report.New(columns...)
	for _, part := range []string{byWork, byValue, byEntries, byGoroutines, byProcs} {
		for _, cache := range []string{"dualcache", "sturdyc"} {
			for _, n := range []int{1, 2} {
				for _, table := range []*report.Table{speed, scaling} {
					table.Add(part, read, "string", 8*n, 1000*n, 1000*n, n, n, cache, 10.0, 100.0, 1.0, 0.9, 1.1, 99.0, 900*n, 5)
				}
			}
		}
	}
	directory := t.TempDir()
	for name, want := range map[string]int{"speed": 4, "scaling": 2} {
		figures := speedFigures(speed)
		if name == "scaling" {
			figures = scalingFigures(scaling)
		}
		if len(figures) != want {
			t.Errorf("%d charts of %s, want %d", len(figures), name, want)
		}
		for _, f := range figures {
			if !strings.HasPrefix(f.Name, name) {
				t.Errorf("%s has a chart called %s", name, f.Name)
			}
			if err := f.Save(directory); err != nil {
				t.Error(err)
			}
		}
	}
	var out strings.Builder
	show(speed, &out)
	for _, want := range []string{"million operations", "times as fast", "sturdyc holds 90.0% of 1000 keys"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	if figures := speedFigures(report.New(columns...)); len(figures) != 0 {
		t.Errorf("%d charts of nothing", len(figures))
	}
}

func TestDoublings(t *testing.T) {
	for n, want := range map[int]int{1: 1, 2: 2, 6: 4, 64: 7} {
		if got := doublings(n); len(got) != want || got[len(got)-1] != n {
			t.Errorf("up to %d: %v", n, got)
		}
	}
}

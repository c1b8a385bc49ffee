package start

import (
	"strings"
	"testing"
	"time"

	"github.com/dualcache-ff/dualcache/benchmarks/internal/peers"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/report"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/suite"
)

func TestKnownCaches(t *testing.T) {
	table := report.New(columns...)
	list, err := peers.Select("dualcache,ristretto,mutex-map")
	if err != nil {
		t.Fatal(err)
	}
	s := scale{filled: 10_000, rounds: 2}
	for _, size := range []int{1000, 20_000} {
		s.measure(list, size, table)
	}
	if len(table.Rows) != 6 {
		t.Fatalf("%d rows, want 6", len(table.Rows))
	}
	number := func(cache, capacity, column string) float64 {
		f, _ := table.Where("cache", cache).Where("capacity", capacity).Number(0, column)
		return f
	}
	// Ristretto takes ten counters of four bits an entry, four times over.
	if heap := number("ristretto", "20000", "heap_bytes"); heap < 20_000*10/2 {
		t.Errorf("an empty ristretto of 20000 has %g bytes", heap)
	}
	if heap := number("mutex-map", "20000", "heap_bytes"); heap > 1000 {
		t.Errorf("an empty map has %g bytes", heap)
	}
	if n := number("ristretto", "1000", "goroutines"); n < 1 {
		t.Errorf("ristretto starts %g goroutines", n)
	}
	if n := number("mutex-map", "1000", "goroutines"); n != 0 {
		t.Errorf("a map starts %g goroutines", n)
	}
	for i := range table.Rows {
		build, _ := table.Number(i, "build_us")
		_, filled := table.Number(i, "fill_ns_per_entry")
		if build <= 0 || filled != (table.Text(i, "capacity") == "1000") {
			t.Errorf("%v", table.Rows[i])
		}
	}
	var out strings.Builder
	show(table, &out)
	if !strings.Contains(out.String(), "ristretto") {
		t.Errorf("table:\n%s", out.String())
	}
	charts := figures(table)
	if len(charts) != 1 || len(charts[0].Panels) != 3 {
		t.Fatalf("charts: %+v", charts)
	}
	if err := charts[0].Save(t.TempDir()); err != nil {
		t.Error(err)
	}
}

func TestJobs(t *testing.T) {
	for quick, most := range map[bool]time.Duration{false: 3 * time.Minute, true: 10 * time.Second} {
		list, err := jobs(&suite.Options{Quick: quick, Peers: peers.All})
		if err != nil || len(list) == 0 {
			t.Fatal(err)
		}
		total := time.Duration(0)
		for _, job := range list {
			total += job.Expect
		}
		if total > most {
			t.Errorf("quick %v: %v", quick, total)
		}
	}
}

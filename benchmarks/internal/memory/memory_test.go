package memory

import (
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/dualcache-ff/dualcache/benchmarks/internal/child"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/peers"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/report"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/suite"
)

func TestMain(m *testing.M) {
	child.Serve()
	os.Exit(m.Run())
}

var tiny = scale{draws: 1 << 12, collections: 1, churn: 10 * time.Millisecond}

// The figures are those of known structures: an entry of a map takes its key,
// its value and a byte at least, and less than twice that and some; a string
// key's bytes are not counted.
func TestKnownSizes(t *testing.T) {
	table := report.New(columns...)
	list, err := peers.Select("mutex-map,golang-lru")
	if err != nil {
		t.Fatal(err)
	}
	for key, least := range map[string]float64{"uint64": 17, "string": 25} {
		if err := tiny.measure(tiny.load(key, 10_000), list, table); err != nil {
			t.Fatal(err)
		}
		rows := table.Where("key", key)
		if heap, _ := rows.Number(0, "heap_per_entry"); heap < least || heap > 4*least {
			t.Errorf("%s: a map takes %g bytes an entry", key, heap)
		}
		if entries, _ := rows.Number(0, "entries"); entries != 10_000 {
			t.Errorf("%s: %g entries in the map", key, entries)
		}
		if objects, _ := rows.Number(1, "objects_per_entry"); objects < 0.9 || objects > 2.1 {
			t.Errorf("%s: golang-lru has %g objects an entry", key, objects)
		}
		if _, ok := rows.Number(0, "collector_percent"); ok {
			t.Errorf("%s: a map took part in cache-aside", key)
		}
		if share, ok := rows.Number(1, "collector_percent"); !ok || share < 0 || share > 100 {
			t.Errorf("%s: %g%% for the collector", key, share)
		}
		if runtime.GOOS != "linux" {
			continue
		}
		// Pages round up, and the runtime keeps some of them.
		heap, _ := rows.Number(1, "heap_per_entry")
		resident, ok := rows.Number(1, "resident_per_entry")
		if !ok || resident < heap/2 || resident > 3*heap+100 {
			t.Errorf("%s: golang-lru has %g bytes resident and %g on the heap, an entry", key, resident, heap)
		}
	}
	var out strings.Builder
	show(table, &out)
	if !strings.Contains(out.String(), "golang-lru") {
		t.Errorf("table:\n%s", out.String())
	}
	charts := figures(table)
	if len(charts) != 2 || len(charts[0].Panels) != len(shown) {
		t.Fatalf("charts: %+v", charts)
	}
	for _, f := range charts {
		if err := f.Save(t.TempDir()); err != nil {
			t.Error(err)
		}
	}
}

// Collections are seen in the time of the collector.
func TestCollectorIsSeen(t *testing.T) {
	before := readCollector()
	for range 5 {
		runtime.GC()
	}
	if after := readCollector(); after.seconds <= before.seconds || after.cycles < before.cycles+5 {
		t.Errorf("from %+v to %+v in five collections", before, after)
	}
}

func TestJobs(t *testing.T) {
	for quick, most := range map[bool]time.Duration{false: 8 * time.Minute, true: 20 * time.Second} {
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

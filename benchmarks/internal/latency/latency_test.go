package latency

import (
	"os"
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

// tiny is smaller than quick.
var tiny = scale{entries: 500, draws: 1 << 12, rounds: 1, duration: 20 * time.Millisecond, rates: []float64{10_000}}

func TestEveryPercentileOfEveryone(t *testing.T) {
	names := []string{"dualcache", "golang-lru", nothing}
	table := report.New(columns...)
	streams := tiny.streams()
	for _, s := range []stream{streams[0], streams[len(streams)-1]} {
		if err := tiny.measure(s, names, table); err != nil {
			t.Fatal(err)
		}
	}
	if want := 2 * len(names) * len(percentiles); len(table.Rows) != want {
		t.Fatalf("%d rows, want %d", len(table.Rows), want)
	}
	last := 0.0
	for i := range table.Rows {
		ns, _ := table.Number(i, "ns")
		if table.Text(i, "percentile") != "50" && ns < last {
			t.Errorf("%v comes after %g ns", table.Rows[i], last)
		}
		last = ns
		if n, _ := table.Number(i, "arrivals"); n < 100 || n > 300 {
			t.Errorf("%.0f arrivals, want about 200", n)
		}
	}
	var out strings.Builder
	show(table, &out)
	for _, want := range append(names, "99.99", "read, uint64 keys, 10k/s", "cache-aside, string keys") {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	list := figures(table)
	if len(list) != 1 || len(list[0].Panels) != 2 || len(list[0].Panels[0].Lines) != len(names) {
		t.Fatalf("charts: %+v", list)
	}
	if err := list[0].Save(t.TempDir()); err != nil {
		t.Error(err)
	}
}

// A pausing cache is idle but for one pause.
type pausing struct {
	idle
	once chan struct{}
}

func (p pausing) Get([]uint32) peers.Tally {
	select {
	case <-p.once:
		time.Sleep(30 * time.Millisecond)
	default:
	}
	return peers.Tally{}
}

// One pause of 30 ms in 100 ms delays what arrives meanwhile, which is seen far
// below the highest percentile.
func TestPauseDelaysOthers(t *testing.T) {
	o := order{
		Work: tiny.streams()[0].work, Rate: 10_000, Duration: 100 * time.Millisecond, Procs: 1,
	}
	p := pausing{once: make(chan struct{}, 1)}
	p.once <- struct{}{}
	r := o.run(o.Work.Load(), p)
	for i, percentile := range percentiles {
		if percentile >= 90 && r.NS[i] < 5e6 {
			t.Errorf("the %g-th percentile is %.0f ns, want a part of the pause", percentile, r.NS[i])
		}
	}
	if r.Unserved != 0 {
		t.Errorf("%d not served", r.Unserved)
	}
}

// A slow cache cannot keep up.
type slow struct{ idle }

func (slow) Get([]uint32) peers.Tally {
	time.Sleep(10 * time.Millisecond)
	return peers.Tally{}
}

func TestWhatIsNotServedIsReported(t *testing.T) {
	o := order{Work: tiny.streams()[0].work, Rate: 1000, Duration: 50 * time.Millisecond, Procs: 2}
	r := o.run(o.Work.Load(), slow{})
	if r.Unserved < r.Arrivals/2 || r.Arrivals < 25 {
		t.Errorf("%d of %d not served at twenty times the load", r.Unserved, r.Arrivals)
	}
	table := report.New(columns...)
	addRows(table, tiny.streams()[0], 2, "slow", []result{r})
	var out strings.Builder
	show(table, &out)
	if !strings.Contains(out.String(), "slow did not keep up") {
		t.Errorf("the table does not tell:\n%s", out.String())
	}
}

func TestJobs(t *testing.T) {
	for quick, most := range map[bool]time.Duration{false: 9 * time.Minute, true: 30 * time.Second} {
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

func TestUnknown(t *testing.T) {
	if err := tiny.measure(tiny.streams()[0], []string{"none"}, report.New(columns...)); err == nil {
		t.Error("an unknown cache is accepted")
	}
}

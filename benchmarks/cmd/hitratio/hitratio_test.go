package main

import (
	"encoding/csv"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dualcache-ff/dualcache/benchmarks/internal/peers"
)

// writeTrace makes a trace of 20 keys, asked for in turn.
func writeTrace(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tiny.txt")
	text := strings.Repeat("1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n13\n14\n15\n16\n17\n18\n19\n20\n", 50)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// run runs the command and returns what it prints.
func run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	o, err := parse(args, io.Discard)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	err = o.run(&out, io.Discard)
	return out.String(), err
}

func TestKnownRatios(t *testing.T) {
	// A loop: LRU has none of it, or all but the first turn.
	for capacity, want := range map[string]string{"19": "0.00", "20": "98.00"} {
		out, err := run(t, "-caches", "golang-lru,sim-lru", "-capacities", capacity, writeTrace(t))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Fields(strings.Split(out, "\n")[1]); got[3] != want || got[4] != want {
			t.Errorf("%s entries: got %v, want %s twice", capacity, got, want)
		}
	}
}

func TestAllContenders(t *testing.T) {
	directory := t.TempDir()
	table := filepath.Join(directory, "ratios.csv")
	out, err := run(t, "-goroutines", "3", "-runs", "2", "-csv", table, "-charts", directory,
		"-sizes", "1,10", writeTrace(t), "zipf:n=8000,length=30000")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range append(allNames(), "tiny", "zipf:n=8000,length=30000", "minus the best other real cache, mean over 1 rows") {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in the output:\n%s", want, out)
		}
	}
	for _, name := range []string{"tiny", "zipf_n_8000_length_30000"} {
		for _, format := range []string{".svg", ".png"} {
			if info, err := os.Stat(filepath.Join(directory, name+format)); err != nil || info.Size() < 1000 {
				t.Errorf("chart %s%s: %v, %v", name, format, info, err)
			}
		}
	}
	file, err := os.Open(table)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	records, err := csv.NewReader(file).ReadAll()
	if want := 1 + 4*len(allNames()); err != nil || len(records) != want {
		t.Errorf("CSV: %d records, want %d (%v)", len(records), want, err)
	}
}

func TestRedraw(t *testing.T) {
	directory := t.TempDir()
	table := filepath.Join(directory, "ratios.csv")
	if _, err := run(t, "-caches", "otter,sim-lru", "-csv", table, "-sizes", "5,10", writeTrace(t), "zipf:n=800,length=3000"); err != nil {
		t.Fatal(err)
	}
	if _, err := run(t, "-from", table, "-charts", directory); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"tiny.svg", "zipf_n_800_length_3000.png"} {
		if _, err := os.Stat(filepath.Join(directory, name)); err != nil {
			t.Error(err)
		}
	}
	for _, text := range []string{"", "a\n", "s,1,1,1,1,c,1,1\n", "h,,,,,,,,\ns,1,x,1,1,c,1,1,1\n",
		"h,,,,,,,,\ns,1,1,1,1,c,1,1,1\ns,1,1,2,1,d,1,1,1\n"} {
		if _, err := readCSV(strings.NewReader(text)); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
}

func TestSummary(t *testing.T) {
	rs := &results{
		caches: []contender{{name: "dualcache", real: true}, {name: "otter", real: true}, {name: "sim-lru"}},
		rows: []row{
			{stream: "small", requests: 100, distinct: 100, capacity: 499, hits: []float64{0, 99, 99}},
			{stream: "good", requests: 100, distinct: 1000, capacity: 500, hits: []float64{60, 50, 99}},
			{stream: "bad", requests: 100, distinct: 1000, capacity: 500, hits: []float64{45, 50, 99}},
		},
	}
	var out strings.Builder
	rs.summarize(&out, "dualcache")
	want := "over 2 rows of 500 entries and more: +2.50 points; worst: -5.00 to otter (bad, 50%)"
	if !strings.Contains(out.String(), want) {
		t.Errorf("got %q, want %q in it", out.String(), want)
	}
}

func TestShareVisitsAllOnce(t *testing.T) {
	ids := make([]uint32, 1000)
	for i := range ids {
		ids[i] = uint32(i)
	}
	selected, err := peers.Select("golang-lru")
	if err != nil {
		t.Fatal(err)
	}
	c := selected[0].Ints(len(ids))
	if got := share(c, ids, 7); got != 0 {
		t.Errorf("%d hits on new keys", got)
	}
	if got := share(c, ids, 7); got != len(ids) {
		t.Errorf("%d hits, want all %d", got, len(ids))
	}
}

func TestMissingFile(t *testing.T) {
	_, err := run(t, "-caches", "sim-lru", writeTrace(t), "nowhere.gz")
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "nowhere.gz") {
		t.Errorf("a missing file: %v", err)
	}
}

func TestRefused(t *testing.T) {
	for _, args := range []string{
		"", "-caches none zipf", "-sizes 0 zipf", "-sizes x zipf", "-capacities 1.5 zipf", "-sizes NaN zipf",
		"-goroutines 0 zipf", "-from x.csv", "-from x.csv -charts y zipf", "-runs 0 zipf", "zipf:x=1", "-unknown zipf",
	} {
		if _, err := run(t, strings.Fields(args)...); err == nil {
			t.Errorf("%q is accepted", args)
		}
	}
}

func TestPercent(t *testing.T) {
	r := row{requests: 8, distinct: 200, capacity: 10, hits: []float64{2}}
	if math.Abs(r.percent()-5) > 1e-9 || math.Abs(r.ratio(0)-25) > 1e-9 {
		t.Errorf("got %v%% and %v%%, want 5 and 25", r.percent(), r.ratio(0))
	}
}

package suite

import (
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dualcache-ff/dualcache/benchmarks/internal/chart"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/report"
)

// count is a command of two jobs, which add a row each.
func count(name string, fail error) Command {
	job := func(cell string) Job {
		return Job{Name: cell, Expect: time.Second, Run: func(t *report.Table) error {
			t.Add(cell)
			return fail
		}}
	}
	return Command{
		Name: name, Columns: []string{"job"},
		Flags: func(set *flag.FlagSet) { set.Int("level", 0, "") },
		Jobs:  func(*Options) ([]Job, error) { return []Job{job("one"), job("two")}, nil },
		Show:  func(t *report.Table, w io.Writer) { t.Print(w) },
		Figures: func(t *report.Table) []chart.Figure {
			var bars []chart.Bar
			for _, name := range t.Values("job") {
				bars = append(bars, chart.Bar{Name: name, Value: 1})
			}
			return []chart.Figure{{Name: name + "-bars", Panels: []chart.Panel{{Bars: bars}}}}
		},
	}
}

// run runs commands and returns what they print.
func run(t *testing.T, commands []Command, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, complaints strings.Builder
	err = Run("test", args, &out, &complaints, commands...)
	return out.String(), complaints.String(), err
}

func TestRunWritesEverything(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "new")
	out, progress, err := run(t, []Command{count("a", nil)}, "-out", directory, "-level", "3")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"one\ntwo\n", "dualcache", "maypok86/otter/v2"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if want := "[2/2] 0s gone, about 1s left: a/two\n2 jobs in 0s\n"; !strings.HasSuffix(progress, want) {
		t.Errorf("progress is\n%s, want\n%s at the end", progress, want)
	}
	for _, name := range []string{"a.csv", "machine.csv", "a-bars.svg", "a-bars.png"} {
		if _, err := os.Stat(filepath.Join(directory, name)); err != nil {
			t.Error(err)
		}
	}
}

func TestOnlyWhatMatches(t *testing.T) {
	commands := []Command{count("a", nil)}
	out, _, err := run(t, commands, "-out", t.TempDir(), "-work", "a/two")
	if err != nil || strings.Contains(out, "one\n") || !strings.Contains(out, "two\n") {
		t.Errorf("%v\n%s", err, out)
	}
	if out, _, err := run(t, commands, "-list"); err != nil || out != "      1s  a/one\n      1s  a/two\n      2s  in all\n" {
		t.Errorf("-list: %q, %v", out, err)
	}
	if _, _, err := run(t, commands, "-work", "none"); err == nil {
		t.Error("nothing to do, and no error")
	}
}

func TestRedraw(t *testing.T) {
	directory := t.TempDir()
	commands := []Command{count("a", nil)}
	if _, _, err := run(t, commands, "-out", directory); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(directory, "a-bars.svg")
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, _, err := run(t, commands, "-out", directory, "-draw"); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != string(want) {
		t.Errorf("another chart than before, %v", err)
	}
	if _, _, err := run(t, commands, "-out", t.TempDir(), "-draw"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file to draw from: %v", err)
	}
}

func TestErrorsNameTheJob(t *testing.T) {
	failure := errors.New("no more memory")
	_, _, err := run(t, []Command{count("a", failure)}, "-out", t.TempDir())
	if !errors.Is(err, failure) || !strings.Contains(err.Error(), "a/one") {
		t.Errorf("got %v", err)
	}
}

func TestPartialResultsStayAway(t *testing.T) {
	for args, want := range map[string]string{
		"": fullOut, "-quick": partOut, "-work a": partOut, "-impl otter": partOut, "-quick -out x": "x",
	} {
		o, err := parse("test", strings.Fields(args), io.Discard, nil)
		if err != nil || o.out != want {
			t.Errorf("%q writes to %q, want %q (%v)", args, o.out, want, err)
		}
	}
}

func TestRefused(t *testing.T) {
	for _, args := range []string{"extra", "-rounds -1", "-memory 0", "-work (", "-impl none", "-unknown"} {
		if _, err := parse("test", strings.Fields(args), io.Discard, nil); err == nil {
			t.Errorf("%q is accepted", args)
		}
	}
}

// The estimate starts from what was expected, and follows what is seen.
func TestEstimate(t *testing.T) {
	job := Job{Expect: 100 * time.Second}
	p := newProgress(io.Discard, []plan{{jobs: []Job{job, job, job}}})
	now := p.start
	p.now = func() time.Time { return now }
	if got := p.left(); got != 300*time.Second {
		t.Errorf("%v left at first, want 300s", got)
	}
	now = now.Add(50 * time.Second)
	p.end(job)
	if got := p.left(); got < 100*time.Second || got > 120*time.Second {
		t.Errorf("%v left at twice the speed, want a little over 100s", got)
	}
}

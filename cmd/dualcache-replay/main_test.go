package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dualcache-ff/dualcache"
)

// outcome is what a run of the command left behind.
type outcome struct {
	status         int
	stdout, stderr string
}

// runWith runs the command on the given standard input.
func runWith(stdin string, args ...string) outcome {
	var stdout, stderr strings.Builder
	status := run(args, strings.NewReader(stdin), &stdout, &stderr)
	return outcome{status, stdout.String(), stderr.String()}
}

// writeTrace writes a file and returns its name.
func writeTrace(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// gzipped returns text as a gzip stream.
func gzipped(t *testing.T, text string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// counts returns, for each result in the output, capacity, requests, hits and
// misses: the columns that do not depend on the clock.
func counts(stdout string) string {
	var rows []string
	for line := range strings.Lines(stdout) {
		fields := strings.Fields(line)
		if len(fields) != 8 {
			continue
		}
		if _, err := strconv.Atoi(fields[0]); err == nil {
			rows = append(rows, strings.Join(fields[:4], " "))
		}
	}
	return strings.Join(rows, "; ")
}

// wantClean fails the test unless all went well and the counts are these.
func (o outcome) wantClean(t *testing.T, want string) {
	t.Helper()
	if o.status != statusOK || o.stderr != "" {
		t.Errorf("status %d, stderr %q, want status 0 and no error", o.status, o.stderr)
	}
	if got := counts(o.stdout); got != want {
		t.Errorf("results %q, want %q, in output\n%s", got, want, o.stdout)
	}
}

// wantError fails the test unless the run failed with this status and message
// and still printed these counts.
func (o outcome) wantError(t *testing.T, status int, message, want string) {
	t.Helper()
	if o.status != status {
		t.Errorf("status %d, want %d", o.status, status)
	}
	if !strings.Contains(o.stderr, message) {
		t.Errorf("stderr %q, want it to contain %q", o.stderr, message)
	}
	if got := counts(o.stdout); got != want {
		t.Errorf("results %q, want %q, in output\n%s", got, want, o.stdout)
	}
}

func TestPlainFile(t *testing.T) {
	path := writeTrace(t, "keys.txt", []byte("7\n8\n7\n18446744073709551615\n7\n"))
	got := runWith("", "-capacity", "100", path)
	got.wantClean(t, "100 5 2 3")
	if want := path + ": 5 requests\n"; !strings.HasPrefix(got.stdout, want) {
		t.Errorf("output begins %.80q, want %q", got.stdout, want)
	}
	if !strings.Contains(got.stdout, "0.4000") {
		t.Errorf("no hit ratio 0.4000 in output\n%s", got.stdout)
	}
}

func TestGzipIsToldFromContent(t *testing.T) {
	zipped := writeTrace(t, "keys.txt", gzipped(t, "1\n2\n1\n"))
	runWith("", "-capacity", "100", zipped).wantClean(t, "100 3 1 2")
	plain := writeTrace(t, "keys.txt.gz", []byte("1\n2\n1\n"))
	runWith("", "-capacity", "100", plain).wantClean(t, "100 3 1 2")
}

func TestGzipOfSeveralMembersIsOneTrace(t *testing.T) {
	joined := append(gzipped(t, "1\n2"), gzipped(t, "3\n1\n2\n")...)
	runWith(string(joined), "-capacity", "100", "-").wantClean(t, "100 4 1 3")
}

func TestStandardInput(t *testing.T) {
	runWith("5\n5\n", "-capacity", "100", "-").wantClean(t, "100 2 1 1")
	runWith(string(gzipped(t, "5\n5\n")), "-capacity", "100", "-").wantClean(t, "100 2 1 1")
}

func TestStandardInputIsNotReadUnasked(t *testing.T) {
	path := writeTrace(t, "keys.txt", []byte("1\n"))
	runWith("not a number\n", "-capacity", "100", path).wantClean(t, "100 1 0 1")
}

func TestSeveralCapacities(t *testing.T) {
	got := runWith("1\n1\n2\n", "-capacity", "100, 200,300", "-")
	got.wantClean(t, "100 3 1 2; 200 3 1 2; 300 3 1 2")
}

func TestLargerCapacityHitsMoreOften(t *testing.T) {
	// A random-like walk over more keys than the small cache holds.
	var text strings.Builder
	for i, k := 0, uint64(1); i < 3*batchKeys; i++ {
		k = k*6364136223846793005 + 1442695040888963407
		fmt.Fprintln(&text, k>>33%1000)
	}
	got := runWith(text.String(), "-capacity", "100,2000", "-")
	if got.status != statusOK {
		t.Fatalf("status %d: %s", got.status, got.stderr)
	}
	var small, large [4]int
	_, err := fmt.Sscanf(counts(got.stdout), "%d %d %d %d; %d %d %d %d",
		&small[0], &small[1], &small[2], &small[3], &large[0], &large[1], &large[2], &large[3])
	if err != nil {
		t.Fatalf("%v in output\n%s", err, got.stdout)
	}
	if small[2] >= large[2] {
		t.Errorf("%d hits at capacity 100, %d at 2000", small[2], large[2])
	}
	if want := 3*batchKeys - 1000; large[2] != want {
		t.Errorf("%d hits where all keys fit, want %d", large[2], want)
	}
}

func TestBuiltinTraceIsTheDefault(t *testing.T) {
	got := runWith("not a number\n", "-capacity", "40000")
	got.wantClean(t, "40000 76118 55634 20484")
	if want := "c2k-web07.txt.gz (built in): 76118 requests\n"; !strings.HasPrefix(got.stdout, want) {
		t.Errorf("output begins %.80q, want %q", got.stdout, want)
	}
}

func TestTracesAreReplayedApart(t *testing.T) {
	path := writeTrace(t, "keys.txt", []byte("1\n2\n"))
	got := runWith("1\n2\n2\n", "-capacity", "100", path, "-", path)
	got.wantClean(t, "100 2 0 2; 100 3 1 2; 100 2 0 2")
}

func TestLineEndings(t *testing.T) {
	for _, text := range []string{"1\r\n2\r\n1\r\n", "1\n2\r\n1", "1\r\n2\r\n1\r", "1\n2\n1\n"} {
		runWith(text, "-capacity", "100", "-").wantClean(t, "100 3 1 2")
		runWith(text, "-capacity", "100", "-strings", "-").wantClean(t, "100 3 1 2")
	}
}

func TestBlankLinesAreSkippedAndCounted(t *testing.T) {
	got := runWith("\n1\n\r\n1\n\n", "-capacity", "100", "-")
	got.wantClean(t, "100 2 1 1")
	if want := "standard input: 2 requests, 3 blank lines skipped\n"; !strings.HasPrefix(got.stdout, want) {
		t.Errorf("output begins %.80q, want %q", got.stdout, want)
	}
	got = runWith("1\n\n", "-capacity", "100", "-")
	if want := "standard input: 1 request, 1 blank line skipped\n"; !strings.HasPrefix(got.stdout, want) {
		t.Errorf("output begins %.80q, want %q", got.stdout, want)
	}
	got = runWith("\n1\n\r\nx\n", "-capacity", "100", "-")
	got.wantError(t, statusFailed, "line 4:", "100 1 0 1")
}

func TestEmptyInput(t *testing.T) {
	for _, text := range []string{"", "\n", string(gzipped(t, ""))} {
		got := runWith(text, "-capacity", "100", "-")
		got.wantClean(t, "100 0 0 0")
		if strings.Contains(got.stdout, "NaN") {
			t.Errorf("NaN in output\n%s", got.stdout)
		}
	}
}

func TestStringKeys(t *testing.T) {
	got := runWith("a b\n-1\na b\n \na  b\n", "-capacity", "100", "-strings", "-")
	got.wantClean(t, "100 5 1 4")
}

func TestBadLineKeepsResults(t *testing.T) {
	tests := []struct{ line, message string }{
		{"12x", `key "12x" is not an unsigned decimal integer`},
		{"-1", `key "-1" is not an unsigned decimal integer`},
		{"+1", `key "+1" is not an unsigned decimal integer`},
		{"1_0", `key "1_0" is not an unsigned decimal integer`},
		{" 1", `key " 1" is not an unsigned decimal integer`},
		{"18446744073709551616", `key "18446744073709551616" is above the limit of 2^64-1`},
		{strings.Repeat("y", 100), `key "` + strings.Repeat("y", 40) + `"... is not`},
	}
	for _, test := range tests {
		got := runWith("1\n2\n1\n"+test.line+"\n1\n", "-capacity", "100,200", "-")
		got.wantError(t, statusFailed,
			"dualcache-replay: standard input: line 4: "+test.message, "100 3 1 2; 200 3 1 2")
		if !strings.HasPrefix(got.stdout, "standard input: 3 requests, incomplete\n") {
			t.Errorf("output begins %.80q, want it marked incomplete", got.stdout)
		}
	}
}

func TestBadLineAfterManyBatches(t *testing.T) {
	const good = 2*batchKeys + 17
	got := runWith(strings.Repeat("1\n", good)+"x\n", "-capacity", "100", "-")
	got.wantError(t, statusFailed, fmt.Sprintf("line %d:", good+1),
		fmt.Sprintf("100 %d %d 1", good, good-1))
}

func TestBadTraceDoesNotEndTheOthers(t *testing.T) {
	bad := writeTrace(t, "bad.txt", []byte("1\nx\n"))
	good := writeTrace(t, "good.txt", []byte("1\n1\n"))
	missing := filepath.Join(t.TempDir(), "missing.txt")
	got := runWith("", "-capacity", "100", bad, missing, good)
	got.wantError(t, statusFailed, bad+": line 2:", "100 1 0 1; 100 2 1 1")
	if !strings.Contains(got.stderr, missing) {
		t.Errorf("stderr %q does not name %s", got.stderr, missing)
	}
}

func TestLongLines(t *testing.T) {
	longest := strings.Repeat("k", maxLine)
	for _, ending := range []string{"\n", "\r\n", ""} {
		text := "a\n" + longest + "\r\n" + longest + ending
		runWith(text, "-capacity", "100", "-strings", "-").wantClean(t, "100 3 1 2")
		text = "a\n" + longest + "k" + ending
		got := runWith(text, "-capacity", "100", "-strings", "-")
		got.wantError(t, statusFailed,
			"standard input: line 2: the line is longer than the limit of 65536 bytes", "100 1 0 1")
	}
}

func TestLongKeysAreReplayedInSmallBatches(t *testing.T) {
	var text strings.Builder
	for i := range 3 * batchBytes / maxLine {
		fmt.Fprintf(&text, "%0*d\n", maxLine, i)
	}
	lines, err := newLineReader("test", strings.NewReader(text.String()))
	if err != nil {
		t.Fatal(err)
	}
	r := &replayer[string]{lines: lines, parse: parseString}
	batch, err := r.fill(nil)
	if want := batchBytes / maxLine; len(batch) != want || err != nil {
		t.Errorf("a batch of %d keys, error %v, want %d and none", len(batch), err, want)
	}
}

func TestTruncatedGzipKeepsResults(t *testing.T) {
	// What remains of a cut stream is not known to the line: a short text is
	// decoded whole before the missing checksum is.
	whole := gzipped(t, "1\n2\n1\n")
	got := runWith(string(whole[:len(whole)-3]), "-capacity", "100", "-")
	got.wantError(t, statusFailed,
		"standard input: after line 3: the gzip data is cut short", "100 3 1 2")
	got = runWith(string(whole[:5]), "-capacity", "100", "-")
	got.wantError(t, statusFailed, "standard input: the gzip data is cut short", "")
}

func TestTruncatedGzipDoesNotReplayHalfALine(t *testing.T) {
	half := builtinTrace[:len(builtinTrace)/2]
	got := runWith("", "-capacity", "40000", writeTrace(t, "half.gz", half))
	var line, capacity, requests int
	_, after, _ := strings.Cut(got.stderr, "after line ")
	if _, err := fmt.Sscan(after, &line); err != nil {
		t.Fatalf("no line number in stderr %q", got.stderr)
	}
	if _, err := fmt.Sscan(counts(got.stdout), &capacity, &requests); err != nil {
		t.Fatalf("no result in output\n%s", got.stdout)
	}
	if got.status != statusFailed || line < 1000 || requests != line {
		t.Errorf("status %d, %d requests, after line %d, want status 1 and as many requests as lines",
			got.status, requests, line)
	}
}

func TestDamagedGzipKeepsResults(t *testing.T) {
	damaged := gzipped(t, "1\n2\n1\n")
	damaged[len(damaged)-8] ^= 1 // the checksum
	got := runWith(string(damaged), "-capacity", "100", "-")
	got.wantError(t, statusFailed, "after line 3: gzip: invalid checksum", "100 3 1 2")
}

func TestUnreadableFiles(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing.txt")
	runWith("", missing).wantError(t, statusFailed, missing, "")
	directory := t.TempDir()
	got := runWith("", "-capacity", "100", directory)
	if got.status != statusFailed || !strings.Contains(got.stderr, directory) {
		t.Errorf("status %d, stderr %q, want status 1 and the name %s", got.status, got.stderr, directory)
	}
}

func TestWrongValuesAreReported(t *testing.T) {
	lanes, err := newLanes[uint64]([]int{100})
	if err != nil {
		t.Fatal(err)
	}
	lanes[0].cache.Set(1, 2)
	lanes[0].replay([]uint64{1, 3, 3, 1})
	results, err := finishLanes(lanes)
	if want := "at capacity 100, 2 hits had another key's value"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	if got := results[0]; got.requests != 4 || got.hits != 3 {
		t.Errorf("%d requests, %d hits, want 4 and 3", got.requests, got.hits)
	}
}

func TestCapacityTheLibraryRejects(t *testing.T) {
	var stderr strings.Builder
	c := &command{
		opts:   &options{capacities: capacityList{100, -1}, traces: []string{builtinName, builtinName}},
		stdout: io.Discard,
		stderr: &stderr,
	}
	if status := c.replayAll(context.Background()); status != statusUsage {
		t.Errorf("status %d, want 2", status)
	}
	want := "dualcache-replay: invalid value for flag -capacity: -1: "
	if got := stderr.String(); !strings.HasPrefix(got, want) || strings.Count(got, "\n") != 1 {
		t.Errorf("stderr %q, want one line beginning %q", got, want)
	}
}

func TestUsageErrors(t *testing.T) {
	tests := []struct {
		args    string
		message string
	}{
		{"-capacity 0", `invalid value "0" for flag -capacity: capacity 0 is out of range: the least is 1`},
		{"-capacity -5", `capacity -5 is out of range: the least is 1, the most 100000000`},
		{"-capacity 100,2000000000", `capacity 2000000000 is out of range`},
		{"-capacity 99999999999999999999", `capacity 99999999999999999999 is out of range`},
		{"-capacity 1e3", `for flag -capacity: capacity "1e3" is not a whole number`},
		{"-capacity 10,,20", `capacity "" is not a whole number`},
		{"-capacity=", `capacity "" is not a whole number`},
		{"-capacity", `flag needs an argument: -capacity`},
		{"-progress -1s", `invalid value "-1s" for flag -progress: the interval must not be negative`},
		{"-progress soon", `invalid value "soon" for flag -progress`},
		{"-strings=maybe", `invalid boolean value "maybe" for -strings`},
		{"-unknown", `flag provided but not defined: -unknown`},
		{"- -", `the trace "-", standard input, is given more than once`},
	}
	for _, test := range tests {
		got := runWith("1\n", strings.Fields(test.args)...)
		got.wantError(t, statusUsage, test.message, "")
		if got.stdout != "" {
			t.Errorf("%s: output %q, want none", test.args, got.stdout)
		}
	}
}

func TestHelp(t *testing.T) {
	got := runWith("", "-help")
	if got.status != statusOK || got.stderr != "" {
		t.Errorf("status %d, stderr %q, want 0 and nothing", got.status, got.stderr)
	}
	for _, want := range []string{"-capacity list", "1000,5000,20000", "-strings", "-stats", "-progress interval"} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("no %q in help\n%s", want, got.stdout)
		}
	}
}

func TestLastCapacityFlagCounts(t *testing.T) {
	got := runWith("1\n", "-capacity", "100", "-capacity", "200,300", "-")
	got.wantClean(t, "200 1 0 1; 300 1 0 1")
}

func TestStats(t *testing.T) {
	got := runWith("1\n1\n2\n", "-capacity", "100,200", "-stats", "-")
	got.wantClean(t, "100 3 1 2; 200 3 1 2")
	var rows []string
	for line := range strings.Lines(got.stdout) {
		rows = append(rows, strings.Join(strings.Fields(line), " "))
	}
	all := strings.Join(rows, "\n")
	for _, want := range []string{"capacity 100 200", "hits 1 1", "misses 2 2", "sets 2 2", "evictions 0 0", "refusals 0 0"} {
		if !strings.Contains(all, "\n"+want+"\n") {
			t.Errorf("no line %q in output\n%s", want, all)
		}
	}
}

func TestStatsFieldsAreComplete(t *testing.T) {
	// Each field holds its own number, so that no two can be mixed up.
	var stats dualcache.Stats
	fields := reflect.ValueOf(&stats).Elem()
	// A replay neither loads nor listens.
	left := []string{"Loads", "LoadFailures", "LoadTime", "ListenerPanics"}
	for i := range fields.NumField() {
		if field := fields.Field(i); field.CanUint() {
			field.SetUint(uint64(i) + 1)
		}
	}
	if want := fields.NumField() - len(left); len(statsFields) != want {
		t.Fatalf("%d fields are printed, want %d", len(statsFields), want)
	}
	for _, field := range statsFields {
		name := strings.ReplaceAll(field.name, "-", "")
		want := fields.FieldByNameFunc(func(s string) bool { return strings.EqualFold(s, name) })
		if !want.IsValid() {
			t.Errorf("no field of dualcache.Stats is called %s", field.name)
			continue
		}
		if got := field.get(stats); got != want.Uint() {
			t.Errorf("%s shows another field: got %d, want %d", field.name, got, want.Uint())
		}
	}
}

func TestResultsThatCannotBeWritten(t *testing.T) {
	var stderr strings.Builder
	c := &command{
		opts:   &options{capacities: capacityList{100}, traces: []string{stdinName}},
		stdin:  strings.NewReader("1\n"),
		stdout: brokenWriter{},
		stderr: &stderr,
	}
	if status := c.replayAll(context.Background()); status != statusFailed {
		t.Errorf("status %d, want 1", status)
	}
	if !strings.Contains(stderr.String(), "no space") {
		t.Errorf("stderr %q, want it to say what failed", stderr.String())
	}
}

// brokenWriter is a full disk.
type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("no space") }

// stallingReader gives some text and then, instead of an end, an interrupt.
type stallingReader struct {
	text      io.Reader
	interrupt func()
	never     chan struct{}
}

func (r *stallingReader) Read(p []byte) (int, error) {
	n, err := r.text.Read(p)
	if err == io.EOF {
		r.interrupt()
		<-r.never
	}
	return n, err
}

func TestInterruptKeepsResults(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	stdin := &stallingReader{strings.NewReader("1\n2\n1\n12"), cancel, make(chan struct{})}
	defer close(stdin.never)
	var stdout, stderr strings.Builder
	c := &command{
		opts:   &options{capacities: capacityList{100}, traces: []string{stdinName, builtinName}},
		stdin:  stdin,
		stdout: &stdout,
		stderr: &stderr,
	}
	got := outcome{status: c.replayAll(ctx)}
	got.stdout, got.stderr = stdout.String(), stderr.String()
	got.wantError(t, statusInterrupted, "standard input: after line 3: interrupted", "100 3 1 2")
}

func TestNothingIsReadAfterAnInterrupt(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	source := strings.NewReader("1\n")
	n, err := (&interruptibleReader{ctx: ctx, source: source}).Read(make([]byte, 10))
	if n != 0 || err != errInterrupted {
		t.Errorf("read %d bytes, error %v, want none and an interrupt", n, err)
	}
	if source.Len() != 2 {
		t.Errorf("the source was read")
	}
}

func TestSignalInterrupts(t *testing.T) {
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	signal := func() {
		if err := self.Signal(os.Interrupt); err != nil {
			t.Skipf("no interrupt can be sent here: %v", err)
		}
	}
	stdin := &stallingReader{strings.NewReader("1\n1\n"), signal, make(chan struct{})}
	defer close(stdin.never)
	var stdout, stderr strings.Builder
	status := run([]string{"-capacity", "100", "-"}, stdin, &stdout, &stderr)
	got := outcome{status, stdout.String(), stderr.String()}
	got.wantError(t, statusInterrupted, "interrupted", "100 2 1 1")
}

func TestReadErrorKeepsResults(t *testing.T) {
	text := io.MultiReader(strings.NewReader("1\n1\n12"), failingReader{})
	var stdout, stderr strings.Builder
	status := run([]string{"-capacity", "100", "-"}, text, &stdout, &stderr)
	got := outcome{status, stdout.String(), stderr.String()}
	got.wantError(t, statusFailed, "standard input: after line 2: the cable is out", "100 2 1 1")
}

// failingReader is a device that has gone away.
type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, errors.New("the cable is out") }

func TestProgress(t *testing.T) {
	var out strings.Builder
	p := newProgress(&out, "keys.txt", time.Hour)
	p.update(10)
	if out.Len() > 0 {
		t.Errorf("output %q before the first interval was over", out.String())
	}
	p.next = time.Now()
	p.update(20)
	p.update(30)
	if got, want := out.String(), "dualcache-replay: keys.txt: 20 requests after 0s\n"; got != want {
		t.Errorf("output %q, want %q", got, want)
	}
}

func TestProgressCanBeOff(t *testing.T) {
	got := runWith(strings.Repeat("1\n", 2*batchKeys), "-capacity", "100", "-progress", "0", "-")
	got.wantClean(t, fmt.Sprintf("100 %d %d 1", 2*batchKeys, 2*batchKeys-1))
	got = runWith(strings.Repeat("1\n", 2*batchKeys), "-capacity", "100", "-progress", "1ns", "-")
	if !strings.Contains(got.stderr, "standard input: 4096 requests after") {
		t.Errorf("stderr %q, want progress after each batch", got.stderr)
	}
}

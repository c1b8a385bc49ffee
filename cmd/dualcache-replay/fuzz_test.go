package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
)

// FuzzTrace reads any bytes as a trace, as they are or gzipped, and compares what
// comes out with a reader that has all of it in memory: the same lines, the same
// counts, an error in the same line. Then it replays the trace.
func FuzzTrace(f *testing.F) {
	f.Fuzz(func(t *testing.T, source []byte, zipped bool) {
		if len(source) > 1<<17 {
			t.Skip("too long")
		}
		if zipped {
			source = gzipped(t, string(source))
		}
		want, ok := readWhole(source)
		if !ok {
			t.Skip("too long when unpacked")
		}
		lines := want.compare(t, source)
		for _, line := range lines {
			checkDecimal(t, line)
		}
		want.replay(t, source, len(lines))
	})
}

// wholeTrace is what a trace should read as.
type wholeTrace struct {
	lines  []string // without endings, up to the first that is too long
	blank  uint64
	failed bool
	bad    uint64 // the line that is too long, or 0
}

// readWhole reports false if the trace is a small one of a very large text.
func readWhole(source []byte) (w wholeTrace, ok bool) {
	text := source
	if bytes.HasPrefix(source, []byte("\x1f\x8b")) {
		const most = 4 << 20
		r, err := gzip.NewReader(bytes.NewReader(source))
		text = nil
		if err == nil {
			text, err = io.ReadAll(io.LimitReader(r, most))
		}
		if len(text) == most {
			return w, false
		}
		if err != nil {
			w.failed = true
			// Half a line is no line.
			text = text[:bytes.LastIndexByte(text, '\n')+1]
		}
	}
	number := uint64(0)
	for line := range strings.Lines(string(text)) {
		number++
		line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		switch {
		case len(line) > maxLine:
			w.failed, w.bad = true, number
			return w, true
		case line == "":
			w.blank++
		default:
			w.lines = append(w.lines, line)
		}
	}
	return w, true
}

// compare reads the trace with the reader under test, and returns the lines.
func (w wholeTrace) compare(t *testing.T, source []byte) (lines []string) {
	l, err := newLineReader("fuzz", bytes.NewReader(source))
	for err == nil {
		var line []byte
		if line, err = l.next(); err == nil {
			lines = append(lines, string(line))
		}
	}
	if failed := !errors.Is(err, io.EOF); failed != w.failed {
		t.Fatalf("error %v, want one: %v", err, w.failed)
	}
	if w.failed && !strings.HasPrefix(err.Error(), "fuzz: ") {
		t.Errorf("error %q does not name the trace", err)
	}
	if w.bad != 0 && !strings.HasPrefix(err.Error(), fmt.Sprintf("fuzz: line %d: ", w.bad)) {
		t.Errorf("error %q, want it to name line %d", err, w.bad)
	}
	if len(lines) != len(w.lines) {
		t.Fatalf("%d lines, want %d", len(lines), len(w.lines))
	}
	for i, line := range lines {
		if line != w.lines[i] {
			t.Fatalf("line that is not blank %d is %.80q, want %.80q", i, line, w.lines[i])
		}
	}
	if l != nil && l.blank != w.blank {
		t.Errorf("%d blank lines, want %d", l.blank, w.blank)
	}
	return lines
}

// checkDecimal: a number is read as it would be written, or it is an error of a
// bounded length.
func checkDecimal(t *testing.T, line string) {
	digits := strings.Trim(line, "0123456789") == ""
	switch n, err := parseDecimal([]byte(line)); {
	case err != nil && len(err.Error()) > 300:
		t.Errorf("an error of %d bytes", len(err.Error()))
	case err != nil && digits && len(strings.TrimLeft(line, "0")) < len("18446744073709551615"):
		t.Errorf("%q is refused: %v", line, err)
	case err == nil && strconv.FormatUint(n, 10) != strings.TrimLeft(line, "0") && (n != 0 || !digits):
		t.Errorf("%q is read as %d", line, n)
	}
}

// replay runs the command, with the trace on its standard input.
func (w wholeTrace) replay(t *testing.T, source []byte, lines int) {
	got := runWith(string(source), "-capacity", "3", "-progress", "0", "-strings", "-")
	if got.status != statusOK && got.status != statusFailed {
		t.Fatalf("status %d: %s", got.status, got.stderr)
	}
	if failed := got.status == statusFailed; failed != w.failed || failed != (got.stderr != "") {
		t.Fatalf("status %d, stderr %q, want a failure: %v", got.status, got.stderr, w.failed)
	}
	row := counts(got.stdout)
	if row == "" && w.failed && lines == 0 {
		return // nothing could be read
	}
	var capacity, requests, hits, misses int
	if _, err := fmt.Sscan(row, &capacity, &requests, &hits, &misses); err != nil {
		t.Fatalf("%v in output\n%s", err, got.stdout)
	}
	if requests != lines || hits+misses != requests {
		t.Errorf("%d requests, %d hits, %d misses, want %d requests", requests, hits, misses, lines)
	}
}

package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
)

const (
	// stdinName is the trace name that stands for standard input.
	stdinName = "-"
	// builtinName is the trace name that stands for the built-in trace. No
	// argument can be mistaken for it: arguments hold no zero bytes.
	builtinName = "\x00"
	// builtinFile is the file the built-in trace was made from.
	builtinFile = "c2k-web07.txt.gz"
	// maxLine is the longest line accepted, without its ending. Without a limit
	// a file with no line endings, most likely not a trace at all, would be read
	// into memory whole.
	maxLine = 64 << 10
	// maxQuoted is how much of a bad line an error shows.
	maxQuoted = 40
)

// builtinTrace is in the command itself so that it is found wherever the
// command is run.
//
//go:embed testdata/c2k-web07.txt.gz
var builtinTrace []byte

// errInterrupted is the read error by which an interrupt ends a trace.
var errInterrupted = errors.New("interrupted")

// trace is an open trace, and what to call it.
type trace struct {
	io.ReadCloser
	title string
}

// open opens the named trace. Its error names the trace.
func (c *command) open(name string) (*trace, error) {
	switch name {
	case stdinName:
		return &trace{io.NopCloser(c.stdin), "standard input"}, nil
	case builtinName:
		return &trace{io.NopCloser(bytes.NewReader(builtinTrace)), builtinFile + " (built in)"}, nil
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	return &trace{file, name}, nil
}

// interruptibleReader reads from source until ctx is done, also when the source
// is a terminal or a pipe that has nothing to give: then the read goes on in a
// goroutine whose result nobody will see. Once it has failed it keeps failing
// the same way, so that the end of a terminal's input has to be typed once only.
type interruptibleReader struct {
	ctx    context.Context
	source io.Reader
	buffer []byte
	err    error
}

// readResult is what a Read returned.
type readResult struct {
	n   int
	err error
}

// Read implements io.Reader. The source reads into a buffer of its own: p may
// have another use by the time an abandoned read fills it.
func (r *interruptibleReader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		r.err = errInterrupted
	}
	if r.err != nil {
		return 0, r.err
	}
	if len(r.buffer) < len(p) {
		r.buffer = make([]byte, len(p))
	}
	buffer := r.buffer[:len(p)]
	done := make(chan readResult, 1)
	go func() {
		n, err := r.source.Read(buffer)
		done <- readResult{n, err}
	}()
	result := r.wait(done)
	r.err = result.err
	return copy(p, buffer[:result.n]), result.err
}

// wait returns the result of the read, or an interrupt if that comes first. If
// both are there the result counts, as nothing that was read may be lost: the
// interrupt will end the next read.
func (r *interruptibleReader) wait(done <-chan readResult) readResult {
	select {
	case result := <-done:
		return result
	case <-r.ctx.Done():
	}
	select {
	case result := <-done:
		return result
	default:
		return readResult{err: errInterrupted}
	}
}

// lineReader reads the lines of a trace that hold something, and keeps count
// of them all.
type lineReader struct {
	title string
	in    *bufio.Reader
	line  uint64 // lines read to their end
	blank uint64 // how many of those were blank
}

// newLineReader returns a reader of the lines in source, plain or gzipped.
func newLineReader(title string, source io.Reader) (*lineReader, error) {
	// A line and its ending, at most CRLF, must fit in the buffer.
	l := &lineReader{title: title, in: bufio.NewReaderSize(source, maxLine+2)}
	// A failure to peek is not lost: reading on meets it again. No line of text
	// begins with these two bytes, in UTF-8 they are not even characters.
	if magic, _ := l.in.Peek(2); string(magic) != "\x1f\x8b" {
		return l, nil
	}
	unzipped, err := gzip.NewReader(l.in)
	if err != nil {
		return nil, l.readError(err)
	}
	l.in = bufio.NewReaderSize(unzipped, maxLine+2)
	return l, nil
}

// next returns the next line that is not blank, without its ending, or io.EOF.
// The line is valid until the next call.
func (l *lineReader) next() ([]byte, error) {
	for {
		line, err := l.in.ReadSlice('\n')
		if err == io.EOF && len(line) > 0 {
			err = nil // the last line, which need not have an ending
		}
		if err == io.EOF {
			return nil, err
		}
		if err != nil && err != bufio.ErrBufferFull {
			return nil, l.readError(err)
		}
		l.line++
		line = bytes.TrimSuffix(line, []byte("\n"))
		line = bytes.TrimSuffix(line, []byte("\r"))
		if err == bufio.ErrBufferFull || len(line) > maxLine {
			return nil, l.lineError(fmt.Errorf("the line is longer than the limit of %d bytes", maxLine))
		}
		if len(line) > 0 {
			return line, nil
		}
		l.blank++
	}
}

// lineError reports what is wrong with the line last read.
func (l *lineReader) lineError(err error) error {
	return fmt.Errorf("%s: line %d: %w", l.title, l.line, err)
}

// readError reports that no line could be read after the last one.
func (l *lineReader) readError(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("the gzip data is cut short: %w", err)
	}
	if l.line == 0 {
		return fmt.Errorf("%s: %w", l.title, err)
	}
	return fmt.Errorf("%s: after line %d: %w", l.title, l.line, err)
}

// parseDecimal reads a key that is a number.
func parseDecimal(line []byte) (uint64, error) {
	number, err := strconv.ParseUint(string(line), 10, 64)
	if errors.Is(err, strconv.ErrRange) {
		return 0, fmt.Errorf("key %s is above the limit of 2^64-1", quote(line))
	}
	if err != nil {
		return 0, fmt.Errorf("key %s is not an unsigned decimal integer (-strings accepts any key)", quote(line))
	}
	return number, nil
}

// parseString reads a key that is a string. It copies the line, which the
// caches may keep for long.
func parseString(line []byte) (string, error) {
	return string(line), nil
}

// quote shows a line, or the beginning of a long one.
func quote(line []byte) string {
	if len(line) > maxQuoted {
		return fmt.Sprintf("%q...", line[:maxQuoted])
	}
	return fmt.Sprintf("%q", line)
}

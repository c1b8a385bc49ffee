// Dualcache-replay replays traces of keys through caches of one or several
// capacities, and prints how often each cache hit and how fast it answered.
//
// Usage:
//
//	dualcache-replay [flags] [trace ...]
//
// The replay is cache-aside, the way most programs use a cache: every key of
// the trace is looked up with Get, and one that is missing is stored with
// Set(key, key). A hit must return the very key it was stored under; one that
// does not is a fault in the cache, and is reported as an error.
//
// # Traces
//
// A trace is a file of keys, one a line, plain or gzipped. Which of the two is
// told from the first bytes, never from the name. The name "-" stands for
// standard input. With no trace at all the one built into the command is
// replayed: c2k-web07, 76,118 requests for the product pages of a web shop (its
// source and licence are in testdata/README.md).
//
// Several traces are replayed one after the other, each into caches that start
// empty, and each with a table of its own. To replay the parts of one long
// trace as one, join them: "cat part1.gz part2.gz | dualcache-replay -".
//
// A key is an unsigned decimal integer below 2^64, digits only; with -strings
// it is the line as it stands. A line ends with LF or CRLF, and the last one
// may end with the file. Blank lines hold no key, wherever they are: they are
// counted as lines, but skipped, and the table's title says how many there
// were. A line may be 65,536 bytes long without its ending.
//
// Each trace is read once, as a stream. All capacities are served from that one
// reading, a batch of keys at a time, so memory holds the caches and one batch
// however long the trace is.
//
// # Flags
//
//	-capacity list
//		the capacities, in entries, separated by commas: each is a whole
//		number from 1 to dualcache.MaxCapacity (default 1000,5000,20000)
//	-strings
//		treat every line as a string, not as a number
//	-stats
//		also print the statistics each cache kept of itself
//	-progress interval
//		on a long trace, say on standard error every so often how far the
//		replay has come; 0 never does (default 5s)
//
// # Output
//
// Each trace gives a table with one line for each capacity:
//
//	capacity      the number of entries the cache may hold
//	requests      the keys looked up
//	hits          the requests that found their key
//	misses        the requests that did not, each followed by a Set
//	hit-ratio     hits / requests
//	entries       the entries held at the end
//	ns/request    the cache's own time, divided by the requests
//	requests/s    the same as a rate
//
// The cache's own time is what its Gets and Sets took, and the Sync at the end
// that makes it catch up with whatever it had put off. Reading the trace and
// the other caches' turns are not in it. The replay is a single goroutine's.
// From one run to the next hits and entries may differ by a little where the
// keys do not all fit, because eviction is not deterministic.
//
// With -stats a second table follows, one line for each field of
// dualcache.Stats and one column for each capacity.
//
// # Errors
//
// Nothing that was read is lost to an error: when a line is bad, a gzip stream
// is cut short or a read fails, the table of all requests before that point is
// still printed, marked as incomplete, and the error follows on standard error
// with the line's number. A line cut off by such an error is not replayed,
// because a part of a key is another key. The traces that follow are replayed
// all the same. An interrupt (SIGINT) prints what was measured so far in the
// same way, and ends the command; a second one ends it at once.
//
// The exit status is 0 if all went well, 1 if a trace could not be replayed to
// its end or a result could not be written, 2 if the command line is wrong, and
// 130 after an interrupt.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
)

// program is the name errors are reported under.
const program = "dualcache-replay"

// The exit statuses.
const (
	statusOK          = 0
	statusFailed      = 1
	statusUsage       = 2
	statusInterrupted = 130 // 128 + SIGINT, as shells have it
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is the whole command, but for the process around it: it returns the exit
// status.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	opts, err := parseOptions(args)
	if errors.Is(err, flag.ErrHelp) {
		printUsage(stdout)
		return statusOK
	}
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v\nRun '%s -help' for the flags.\n", program, err, program)
		return statusUsage
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	// The first interrupt asks for the results so far. From then on the signal
	// has its usual effect again, so that a second one ends the process.
	context.AfterFunc(ctx, stop)
	c := &command{opts: opts, stdin: stdin, stdout: stdout, stderr: stderr}
	return c.replayAll(ctx)
}

// command is one run of the program.
type command struct {
	opts           *options
	stdin          io.Reader
	stdout, stderr io.Writer
}

// replayAll replays every trace, and returns the exit status. An error ends the
// trace it is about and not the others: only an interrupt, or capacities no
// cache can be made with, would meet every other trace as well.
func (c *command) replayAll(ctx context.Context) int {
	status := statusOK
	for _, name := range c.opts.traces {
		err := c.replayTrace(ctx, name)
		if err == nil {
			continue
		}
		fmt.Fprintf(c.stderr, "%s: %v\n", program, err)
		if errors.Is(err, errInterrupted) {
			return statusInterrupted
		}
		if errors.Is(err, errCapacity) {
			return statusUsage
		}
		status = statusFailed
	}
	return status
}

// replayTrace replays one trace and prints its table.
func (c *command) replayTrace(ctx context.Context, name string) error {
	source, err := c.open(name)
	if err != nil {
		return err
	}
	defer source.Close() // it was only read: there is nothing a failure could lose
	lines, err := newLineReader(source.title, &interruptibleReader{ctx: ctx, source: source})
	if err != nil {
		return err
	}
	if c.opts.strings {
		return replayLines(c, lines, parseString)
	}
	return replayLines(c, lines, parseDecimal)
}

// replayLines replays the lines, and prints what came of it also when they end
// in an error.
func replayLines[K key](c *command, lines *lineReader, parse func([]byte) (K, error)) error {
	lanes, err := newLanes[K](c.opts.capacities)
	if err != nil {
		return err
	}
	r := &replayer[K]{
		lines:    lines,
		parse:    parse,
		lanes:    lanes,
		progress: newProgress(c.stderr, lines.title, c.opts.progress),
	}
	readErr := r.replay()
	results, finishErr := finishLanes(lanes)
	report := formatReport(reportTitle(lines, r.requests, readErr != nil), results, c.opts.stats)
	_, writeErr := io.WriteString(c.stdout, report)
	return errors.Join(readErr, finishErr, writeErr)
}

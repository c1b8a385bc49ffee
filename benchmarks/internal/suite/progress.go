package suite

import (
	"fmt"
	"io"
	"os"
	"time"
)

// A progress tells how far a run is: before each job, one line, which replaces
// the last on a terminal. Nothing is written while a job runs.
type progress struct {
	w        io.Writer
	terminal bool
	now      func() time.Time
	start    time.Time
	jobs     int
	begun    int
	expected time.Duration // Of all jobs.
	done     time.Duration // Expected of those that have ended.
}

// unsure is how long, in expected time, an estimate leans on the expectation
// rather than on what the run has shown.
const unsure = 20 * time.Second

func newProgress(w io.Writer, plans []plan) *progress {
	p := &progress{w: w, now: time.Now, start: time.Now()}
	if file, ok := w.(*os.File); ok {
		info, err := file.Stat()
		p.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	for _, plan := range plans {
		p.jobs += len(plan.jobs)
		for _, job := range plan.jobs {
			p.expected += job.Expect
		}
	}
	return p
}

// left estimates the time that remains.
func (p *progress) left() time.Duration {
	pace := float64(p.now().Sub(p.start)+unsure) / float64(p.done+unsure)
	return time.Duration(pace * float64(p.expected-p.done))
}

func (p *progress) begin(job Job) {
	p.begun++
	p.clear()
	fmt.Fprintf(p.w, "[%d/%d] %v gone, about %v left: %s",
		p.begun, p.jobs, p.now().Sub(p.start).Round(time.Second), p.left().Round(time.Second), job.Name)
	if !p.terminal {
		fmt.Fprintln(p.w)
	}
}

func (p *progress) end(job Job) { p.done += job.Expect }

// clear removes the line.
func (p *progress) clear() {
	if p.terminal {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}

func (p *progress) close() {
	p.clear()
	fmt.Fprintf(p.w, "%d jobs in %v\n", p.jobs, p.now().Sub(p.start).Round(time.Second))
}

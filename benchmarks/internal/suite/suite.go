// Package suite runs measuring commands.
//
// A command is a list of jobs that fill one table, and a way to show it. The
// suite parses the flags, runs the jobs one after another with a word on
// progress, prints the tables, and writes for each command NAME a NAME.csv and
// its charts. Several commands given together are one run with one estimate of
// the time that remains.
package suite

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"time"

	"github.com/dualcache-ff/dualcache/benchmarks/internal/chart"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/child"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/peers"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/report"
)

// A Command measures one thing.
type Command struct {
	Name    string
	Columns []string
	// Flags adds those of this command alone. It may be nil.
	Flags func(set *flag.FlagSet)
	// Jobs returns what is to be done.
	Jobs func(o *Options) ([]Job, error)
	// Show prints the results for people.
	Show func(t *report.Table, w io.Writer)
	// Figures returns the charts of the results.
	Figures func(t *report.Table) []chart.Figure
}

// A Job is a part of a command that takes some seconds and adds rows.
type Job struct {
	Name   string
	Expect time.Duration // Only compared with those of other jobs.
	Run    func(t *report.Table) error
}

// Options are the flags that all commands have.
type Options struct {
	Quick  bool
	Peers  []peers.Peer
	Rounds int // 0 for what is usual.
	Memory int64

	work *regexp.Regexp
	out  string
	list bool
	draw bool
}

// Where results go. What is cut short or in part only stays away from the
// documentation.
const (
	fullOut = "../docs"
	partOut = "results"
)

// Main is the main function of a program of the given name.
func Main(name string, commands ...Command) {
	child.Serve()
	log.SetFlags(0)
	log.SetPrefix(name + ": ")
	if err := Run(name, os.Args[1:], os.Stdout, os.Stderr, commands...); err != nil {
		log.Fatal(err)
	}
}

// Run does what the arguments ask for.
func Run(name string, args []string, stdout, stderr io.Writer, commands ...Command) error {
	o, err := parse(name, args, stderr, commands)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	return o.run(commands, stdout, stderr)
}

// parse reads the command line.
func parse(name string, args []string, stderr io.Writer, commands []Command) (*Options, error) {
	o := new(Options)
	set := flag.NewFlagSet(name, flag.ContinueOnError)
	set.SetOutput(stderr)
	set.BoolVar(&o.Quick, "quick", false, "small loads and short times, to try the command out; the figures mean little")
	set.BoolVar(&o.list, "list", false, "print the names of the jobs, and what time they are expected to take, and exit")
	set.BoolVar(&o.draw, "draw", false, "measure nothing: draw the charts anew from the CSV files in -out")
	work := set.String("work", "", "do only the jobs whose names match this `regexp`")
	impl := set.String("impl", "", "measure only this `list`, the first against the others; there are "+peers.List())
	set.StringVar(&o.out, "out", "", "write CSV and charts into this `directory` (default "+fullOut+", or "+partOut+" with -quick, -work or -impl)")
	set.IntVar(&o.Rounds, "rounds", 0, "repeat every measurement so often (default: as is usual for each)")
	gigabytes := set.Float64("memory", 4, "`GiB` that caches alive together may take; more are measured in groups")
	for _, c := range commands {
		if c.Flags != nil {
			c.Flags(set)
		}
	}
	if err := set.Parse(args); err != nil {
		return nil, err
	}
	if set.NArg() > 0 || o.Rounds < 0 || !(*gigabytes > 0) {
		return nil, errors.New("bad arguments; see -help")
	}
	o.Memory = int64(*gigabytes * (1 << 30))
	if o.out == "" {
		o.out = fullOut
		if o.Quick || *work != "" || *impl != "" {
			o.out = partOut
		}
	}
	var err error
	if o.work, err = regexp.Compile(*work); err != nil {
		return nil, err
	}
	o.Peers = peers.All
	if *impl != "" {
		o.Peers, err = peers.Select(*impl)
	}
	return o, err
}

// run does what the command line asks for.
func (o *Options) run(commands []Command, stdout, stderr io.Writer) error {
	if o.draw {
		return o.redraw(commands)
	}
	plans, err := o.plan(commands)
	if err != nil {
		return err
	}
	if o.list {
		printJobs(plans, stdout)
		return nil
	}
	if err := os.MkdirAll(o.out, 0o777); err != nil {
		return err
	}
	host := machine()
	if err := o.write("machine", host); err != nil {
		return err
	}
	host.Print(stdout)
	return o.measure(plans, stdout, newProgress(stderr, plans))
}

// printJobs lists what would be done.
func printJobs(plans []plan, w io.Writer) {
	total := time.Duration(0)
	for _, p := range plans {
		for _, job := range p.jobs {
			fmt.Fprintf(w, "%8v  %s\n", job.Expect.Round(time.Second), job.Name)
			total += job.Expect
		}
	}
	fmt.Fprintf(w, "%8v  in all\n", total.Round(time.Second))
}

// A plan is a command with the jobs that were selected.
type plan struct {
	Command
	jobs []Job
}

// plan returns what there is to do.
func (o *Options) plan(commands []Command) ([]plan, error) {
	var plans []plan
	for _, c := range commands {
		jobs, err := c.Jobs(o)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.Name, err)
		}
		for i := range jobs {
			jobs[i].Name = c.Name + "/" + jobs[i].Name
		}
		jobs = slices.DeleteFunc(jobs, func(j Job) bool { return !o.work.MatchString(j.Name) })
		if len(jobs) > 0 {
			plans = append(plans, plan{c, jobs})
		}
	}
	if len(plans) == 0 {
		return nil, fmt.Errorf("no job matches %q; see -list", o.work)
	}
	return plans, nil
}

// measure runs all jobs. Results are written when a command is done.
func (o *Options) measure(plans []plan, stdout io.Writer, p *progress) error {
	for _, plan := range plans {
		t := report.New(plan.Columns...)
		for _, job := range plan.jobs {
			p.begin(job)
			if err := job.Run(t); err != nil {
				return fmt.Errorf("%s: %w", job.Name, err)
			}
			p.end(job)
			debug.FreeOSMemory() // Jobs begin alike.
		}
		p.clear()
		fmt.Fprintf(stdout, "\n%s\n\n", plan.Name)
		plan.Show(t, stdout)
		if err := o.write(plan.Name, t); err != nil {
			return err
		}
		if err := save(plan.Figures(t), o.out); err != nil {
			return err
		}
	}
	p.close()
	return nil
}

// write writes a table.
func (o *Options) write(name string, t *report.Table) error {
	file, err := os.Create(filepath.Join(o.out, name+".csv"))
	if err != nil {
		return err
	}
	if err := t.WriteCSV(file); err != nil {
		file.Close()
		return err
	}
	return file.Close()
}

func save(figures []chart.Figure, directory string) error {
	for _, f := range figures {
		if err := f.Save(directory); err != nil {
			return err
		}
	}
	return nil
}

// redraw draws the charts of results that were written before.
func (o *Options) redraw(commands []Command) error {
	for _, c := range commands {
		file, err := os.Open(filepath.Join(o.out, c.Name+".csv"))
		if err != nil {
			return err
		}
		t, err := report.ReadCSV(file, c.Columns...)
		file.Close()
		if err != nil {
			return fmt.Errorf("%s: %w", file.Name(), err)
		}
		if err := save(c.Figures(t), o.out); err != nil {
			return err
		}
	}
	return nil
}

// Procs returns the numbers of Ps to measure with: one, and all there are.
func Procs() []int {
	if n := runtime.NumCPU(); n > 1 {
		return []int{1, n}
	}
	return []int{1}
}

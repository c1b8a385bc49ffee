// Package child runs a measurement in a process of its own.
//
// What a process holds, its resident memory above all, cannot be told apart by
// who asked for it, and a large heap of one cache changes how often the collector
// runs for the next. So the program starts itself again, with the name of a task
// in the environment and its arguments on standard input, and reads the result
// from standard output. Main calls Serve first of all, tests do so in TestMain.
package child

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// variable holds the name of the task in the environment of a child.
const variable = "DUALCACHE_BENCHMARK_TASK"

// tasks has what can be run, by name. It is written by package variables and
// only read later.
var tasks = make(map[string]func(args []byte) (any, error))

// A Task takes arguments and returns a result, both of which JSON can express.
type Task[A, R any] struct{ name string }

// Register makes a task known. It is for package variables: parent and child
// must both have it.
func Register[A, R any](name string, run func(A) (R, error)) Task[A, R] {
	if tasks[name] != nil {
		panic("child: two tasks are called " + name)
	}
	tasks[name] = func(text []byte) (any, error) {
		var args A
		if err := json.Unmarshal(text, &args); err != nil {
			return nil, err
		}
		return run(args)
	}
	return Task[A, R]{name}
}

// Run runs the task in a child and waits for it.
func (t Task[A, R]) Run(args A) (result R, err error) {
	program, err := os.Executable()
	if err != nil {
		return result, err
	}
	text, err := json.Marshal(args)
	if err != nil {
		return result, err
	}
	var out, complaints bytes.Buffer
	command := exec.Command(program)
	command.Env = append(os.Environ(), variable+"="+t.name)
	command.Stdin, command.Stdout, command.Stderr = bytes.NewReader(text), &out, &complaints
	if err := command.Run(); err != nil {
		return result, fmt.Errorf("%s: %w: %s", t.name, err, strings.TrimSpace(complaints.String()))
	}
	return result, json.Unmarshal(out.Bytes(), &result)
}

// Serve runs the task that the environment names, if there is one, and ends the
// process.
func Serve() {
	name := os.Getenv(variable)
	if name == "" {
		return
	}
	if err := serve(name); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func serve(name string) error {
	run, ok := tasks[name]
	if !ok {
		return fmt.Errorf("no task is called %q", name)
	}
	var args bytes.Buffer
	if _, err := args.ReadFrom(os.Stdin); err != nil {
		return err
	}
	result, err := run(args.Bytes())
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(result)
}

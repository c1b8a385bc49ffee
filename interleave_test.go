//go:build !race

package dualcache

import (
	"flag"
	"fmt"
	"hash/maphash"
	"strings"
	"testing"
	"unsafe"
)

// Every interleaving of the protocols, as small state machines (model checking;
// Holzmann, "The Model Checker SPIN", 1997; loom does so for Rust). The stress tests
// hit a window of nanoseconds now and then; here every window is entered, but in a
// copy of the protocol. Each step says which line of the code it stands for.
//
// A machine has a memory and a few threads. A step of a thread makes at most one
// access to what is shared. The memory is that of x86-TSO (Sewell et al., 2010): a
// plain store goes into the thread's store buffer and reaches memory, in order, at
// any time; an atomic store or compare-and-swap empties the buffer first; a load sees
// the thread's own stores. That is what publish32 and friends are on amd64, and what
// is weaker elsewhere is an atomic store there. The asymmetric fence empties each
// thread's buffer at some time between its call and its return, at one time for this
// thread, at another for that.
//
// What is not modelled: the compiler, time, and sizes. Each model is a few threads
// and one or two keys; all that they can do is looked at, in every order.
//
// The race detector has nothing to find in one goroutine, and would slow it down.

const (
	machineCells   = 28
	machineThreads = 5
	machineRegs    = 8
	machineStores  = 4
)

// A cell is a word of memory. Some are ghosts: no thread of the real code has them,
// and a step may touch them besides its access.
type cell int8

// A machine is a state of the model. States are compared as a whole.
type machine struct {
	mem     [machineCells]int8
	threads [machineThreads]threadState
}

type threadState struct {
	pc     int8
	owed   uint8 // threads that this one's barrier has not reached yet
	stores int8  // in the buffer, oldest first
	buffer [machineStores]bufferedStore
	reg    [machineRegs]int8
}

type bufferedStore struct {
	at cell
	v  int8
}

// A step has a name, whose first word is its label, and a body.
type step struct {
	name string
	do   func(p *processor)
}

func (s step) label() string { return strings.TrimRight(strings.Fields(s.name)[0], ",;:") }

// A thread is a list of steps.
type thread struct {
	name  string
	steps []step
}

// A protocol is a model to be explored.
type protocol struct {
	start   map[cell]int8
	threads []thread
	always  func(m *machine) string // asked in every state: what is wrong, or ""
	end     func(m *machine) string // asked where nothing can happen any more
	mayWait bool                    // threads may wait for ever; else that is wrong
}

// A processor is what a step sees: the machine, and where its thread goes on.
type processor struct {
	*machine
	id     int
	next   int8
	waits  bool
	bad    string
	labels map[string]int8
}

func (p *processor) self() *threadState { return &p.threads[p.id] }

// r is a register of the thread.
func (p *processor) r(i int) *int8 { return &p.self().reg[i] }

// forget clears all registers, so that states that differ in nothing else are one.
func (p *processor) forget() { p.self().reg = [machineRegs]int8{} }

// to goes on at a label. Without it the thread goes on with the next step.
func (p *processor) to(label string) {
	n, ok := p.labels[label]
	if !ok {
		panic("no step " + label)
	}
	p.next = n
}

// wait says that the step cannot be done now: the thread spins. What it did is undone.
func (p *processor) wait() { p.waits = true }

// fail says that the protocol has been found wrong.
func (p *processor) fail(format string, args ...any) { p.bad = fmt.Sprintf(format, args...) }

// load is a load, plain or atomic.
func (p *processor) load(a cell) int8 {
	for i := p.self().stores - 1; i >= 0; i-- {
		if s := p.self().buffer[i]; s.at == a {
			return s.v
		}
	}
	return p.mem[a]
}

// put is a plain store: publish32, publish64, publishAddress.
func (p *processor) put(a cell, v int8) {
	t := p.self()
	if t.stores == machineStores {
		p.drain(p.id) // as the hardware does when its buffer is full
	}
	t.buffer[t.stores] = bufferedStore{a, v}
	t.stores++
}

// store is an atomic store: XCHG.
func (p *processor) store(a cell, v int8) {
	p.drain(p.id)
	p.mem[a] = v
}

// cas is a compare-and-swap.
func (p *processor) cas(a cell, old, v int8) bool {
	p.drain(p.id)
	if p.mem[a] != old {
		return false
	}
	p.mem[a] = v
	return true
}

// flush takes the oldest store of a thread's buffer to memory.
func (m *machine) flush(id int) {
	t := &m.threads[id]
	m.mem[t.buffer[0].at] = t.buffer[0].v
	copy(t.buffer[:], t.buffer[1:])
	t.stores--
	t.buffer[t.stores] = bufferedStore{}
}

func (m *machine) drain(id int) {
	for m.threads[id].stores > 0 {
		m.flush(id)
	}
}

// barrierSteps are the two steps of the asymmetric fence: its call, and its return
// when it has been at every thread. One with nothing in its buffer has been reached.
func barrierSteps(label string) []step {
	return []step{
		{label + " barrier", func(p *processor) {
			p.drain(p.id)
			for i := range p.threads {
				if p.threads[i].stores > 0 {
					p.self().owed |= 1 << i
				}
			}
		}},
		{label + "' barrier returns", func(p *processor) {
			if p.self().owed != 0 {
				p.wait()
			}
		}},
	}
}

// join makes one list of steps of several.
func join(parts ...[]step) (all []step) {
	for _, part := range parts {
		all = append(all, part...)
	}
	return all
}

// An event is what leads from one state to the next.
type event struct {
	from   int32
	thread int8
	what   int8 // a step, or one of these
}

const (
	eventFlush   = -1
	eventBarrier = -2
)

// A verdict is what exploring a protocol has come to.
type verdict struct {
	states int
	bad    string   // "" if nothing is wrong
	trace  []string // a shortest way there
}

// explore visits every state that can be reached, breadth first, each once.
func (pr protocol) explore() verdict {
	var start machine
	for a, v := range pr.start {
		start.mem[a] = v
	}
	labels := make([]map[string]int8, len(pr.threads))
	for i, t := range pr.threads {
		labels[i] = map[string]int8{}
		for n, s := range t.steps {
			if _, ok := labels[i][s.label()]; ok {
				panic("two steps " + s.label() + " in " + t.name)
			}
			labels[i][s.label()] = int8(n)
		}
		labels[i]["end"] = int8(len(t.steps))
	}
	// A state is remembered by 128 bits of hash: no two of some millions share them.
	seeds := [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}
	name := func(m *machine) (h [2]uint64) {
		b := (*[unsafe.Sizeof(*m)]byte)(unsafe.Pointer(m))[:] // it has no padding
		return [2]uint64{maphash.Bytes(seeds[0], b), maphash.Bytes(seeds[1], b)}
	}
	seen := map[[2]uint64]struct{}{name(&start): {}}
	events := []event{{from: -1}}
	type item struct {
		m  machine
		id int32
	}
	frontier := []item{{start, 0}}
	done := func(bad string, last int32) verdict {
		return verdict{len(seen), bad, pr.trace(events, last)}
	}
	for len(frontier) > 0 {
		var next []item
		for _, at := range frontier {
			moved := false
			visit := func(m machine, e event) (bad string, id int32) {
				moved = true
				h := name(&m)
				if _, ok := seen[h]; ok {
					return "", 0
				}
				seen[h] = struct{}{}
				events = append(events, e)
				id = int32(len(events) - 1)
				next = append(next, item{m, id})
				if pr.always != nil {
					bad = pr.always(&m)
				}
				return bad, id
			}
			ended := true
			for i, t := range pr.threads {
				state := &at.m.threads[i]
				if state.stores > 0 {
					m := at.m
					m.flush(i)
					if bad, id := visit(m, event{at.id, int8(i), eventFlush}); bad != "" {
						return done(bad, id)
					}
				}
				for j := range pr.threads {
					if at.m.threads[j].owed&(1<<i) != 0 {
						m := at.m
						m.drain(i)
						m.threads[j].owed &^= 1 << i
						if bad, id := visit(m, event{at.id, int8(i), eventBarrier}); bad != "" {
							return done(bad, id)
						}
					}
				}
				if int(state.pc) == len(t.steps) {
					continue
				}
				ended = false
				m := at.m
				p := processor{machine: &m, id: i, next: state.pc + 1, labels: labels[i]}
				t.steps[state.pc].do(&p)
				if p.waits {
					continue
				}
				m.threads[i].pc = p.next
				bad, id := visit(m, event{at.id, int8(i), state.pc})
				if p.bad != "" {
					if id == 0 {
						events = append(events, event{at.id, int8(i), state.pc})
						id = int32(len(events) - 1)
					}
					return done(p.bad, id)
				}
				if bad != "" {
					return done(bad, id)
				}
			}
			if !moved {
				if !ended && !pr.mayWait {
					return done("stuck: no thread can go on", at.id)
				}
				if pr.end != nil {
					if bad := pr.end(&at.m); bad != "" {
						return done(bad, at.id)
					}
				}
			}
		}
		frontier = next
	}
	return verdict{states: len(seen)}
}

// trace tells the way to a state.
func (pr protocol) trace(events []event, last int32) (lines []string) {
	for ; last > 0; last = events[last].from {
		e := events[last]
		line := pr.threads[e.thread].name + ": "
		switch e.what {
		case eventFlush:
			line += "(its oldest store reaches memory)"
		case eventBarrier:
			line += "(the barrier empties its buffer)"
		default:
			line += pr.threads[e.thread].steps[e.what].name
		}
		lines = append([]string{line}, lines...)
	}
	return lines
}

var showTraces = flag.Bool("traces", false, "tell how the negative controls of the interleaving tests go wrong")

// holds fails unless nothing is found wrong with a protocol.
func holds(t *testing.T, name string, pr protocol) {
	t.Helper()
	v := pr.explore()
	if v.bad != "" {
		t.Errorf("%s: %s\n\t%s", name, v.bad, strings.Join(v.trace, "\n\t"))
		return
	}
	t.Logf("%s: holds in %d states", name, v.states)
}

// breaks is the negative control: it fails unless something is found wrong.
func breaks(t *testing.T, name string, pr protocol) {
	t.Helper()
	v := pr.explore()
	if v.bad == "" {
		t.Errorf("%s: nothing is found wrong in %d states", name, v.states)
		return
	}
	t.Logf("%s: found after %d states: %s", name, v.states, v.bad)
	if *showTraces {
		t.Logf("\t%s", strings.Join(v.trace, "\n\t"))
	}
}

// Guards the machine itself by the litmus test of store buffering: two threads store
// and then look at the other's word. With plain stores both may see nothing; with
// atomic ones, or with a plain store on one side and the barrier on the other, one
// of the two sees the other.
func TestInterleaveStoreBuffering(t *testing.T) {
	const x, y, sawX, sawY cell = 0, 1, 2, 3
	look := func(at, saw cell) step {
		return step{"look", func(p *processor) { p.mem[saw] = 1 + p.load(at) }}
	}
	plain := func(at cell) []step {
		return []step{{"store", func(p *processor) { p.put(at, 1) }}}
	}
	atomic := func(at cell) []step {
		return []step{{"store", func(p *processor) { p.store(at, 1) }}}
	}
	run := func(a, b []step) protocol {
		return protocol{
			threads: []thread{{"A", append(a, look(y, sawY))}, {"B", append(b, look(x, sawX))}},
			end: func(m *machine) string {
				if m.mem[sawX] == 1 && m.mem[sawY] == 1 {
					return "neither sees the other"
				}
				return ""
			},
		}
	}
	holds(t, "atomic stores", run(atomic(x), atomic(y)))
	holds(t, "plain store, barrier", run(plain(x), join(plain(y), barrierSteps("W"))))
	breaks(t, "plain stores", run(plain(x), plain(y)))
	breaks(t, "one plain store", run(plain(x), atomic(y)))
	breaks(t, "the barrier first", run(plain(x), join(barrierSteps("W"), plain(y))))
}

// Guards the machine: stores reach memory in order, a thread sees its own, a lock
// excludes, and a thread that waits for what never comes is found.
func TestInterleaveMachine(t *testing.T) {
	const x, y, lock, inside cell = 0, 1, 2, 3
	holds(t, "message passing", protocol{threads: []thread{
		{"writer", []step{
			{"x", func(p *processor) { p.put(x, 1) }},
			{"y", func(p *processor) {
				if p.load(x) != 1 {
					p.fail("a thread does not see its own store")
				}
				p.put(y, 1)
			}},
		}},
		{"reader", []step{
			{"y", func(p *processor) { *p.r(0) = p.load(y) }},
			{"x", func(p *processor) {
				if *p.r(0) == 1 && p.load(x) == 0 {
					p.fail("the stores are seen out of order")
				}
			}},
		}},
	}})
	enter := func(cas bool) []step {
		return []step{
			{"lock", func(p *processor) {
				if cas && !p.cas(lock, 0, 1) || !cas && p.load(lock) != 0 {
					p.wait()
				}
			}},
			{"set", func(p *processor) {
				if !cas {
					p.store(lock, 1)
				}
				if p.mem[inside]++; p.mem[inside] > 1 {
					p.fail("two hold the lock")
				}
			}},
			{"unlock", func(p *processor) {
				p.mem[inside]--
				p.put(lock, 0)
			}},
		}
	}
	two := func(cas bool) protocol {
		return protocol{threads: []thread{{"A", enter(cas)}, {"B", enter(cas)}}}
	}
	holds(t, "lock", two(true))
	breaks(t, "look, then lock", two(false))
	breaks(t, "wait for nothing", protocol{threads: []thread{
		{"A", []step{{"wait", func(p *processor) {
			if p.load(x) == 0 {
				p.wait()
			}
		}}}},
	}})
}

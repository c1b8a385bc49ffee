package linearizability

import (
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dualcache-ff/dualcache"
)

// Histories: scripts, clients and company.
//
// A history is written before it is played: each client's operations, with
// their keys, values and pauses. Playing it then costs no randomness and no
// allocation but the values'. The clients meet before they start, so that
// scripts of some microseconds do overlap, and in many histories again before
// each operation. (Not in all: to meet is a fence, which may mend what is to be
// found.) Between operations a client may yield, and may set keys that are not
// recorded (fillers), which evict. Those keys are registers of their own, and
// leaving them all out leaves the history of the others whole.
//
// Beside the clients there may be company, which keeps the runtime or the cache
// busy: collections, stops of the world, a GOMAXPROCS that changes, Sync and
// Stats, and the tick of a headless cache.
//
// A cache plays one history after another and is not emptied between them.
// When all clients have returned, the last one reads every key. These Gets
// belong to the history, and say what the next one starts from: nothing where
// there was a miss, by the model's rule, and where there was a hit the Set that
// the value came from. That Set is carried over, as it was, to the next history.
// This drops operations, but no constraint: all of them came before those Gets.

// stallLimit is how long a history may take. They take a millisecond, or some
// tens where the machine has fewer CPUs than Ps; the rest is for other load.
const stallLimit = 10 * time.Second

// A mix says how often a history does what.
type mix struct {
	name                           string
	get, set, timed, remove, clear int  // weights of the operations
	hot                            int  // of ten operations, those on two keys only
	fill                           int  // fillers before an operation, at most
	owners                         bool // each key has one writer, which reads what it wrote
}

var mixes = []mix{
	{name: "even", get: 5, set: 4, timed: 1, remove: 1, hot: 5, fill: 2},
	{name: "hot", get: 6, set: 4, remove: 1, hot: 10, fill: 1},
	{name: "reads", get: 12, set: 2, hot: 7, fill: 4},
	{name: "writes", get: 3, set: 8, timed: 2, remove: 2, hot: 8},
	{name: "evicting", get: 5, set: 4, hot: 6, fill: 60},
	{name: "clearing", get: 6, set: 6, remove: 1, clear: 2, hot: 6, fill: 1},
	{name: "timed", get: 8, set: 1, timed: 5, remove: 1, hot: 8, fill: 1},
	{name: "owned", get: 5, set: 5, timed: 1, remove: 1, hot: 4, fill: 4, owners: true},
}

// A step is an operation and what its client does before it.
type step struct {
	record
	yield      bool
	fill, from int
	readBack   bool // a Get by a key's only writer, right after its Set
}

// A history is one cache's present history. Its owner is the goroutine of the
// test; clients have their own script each while it is played.
type history struct {
	subject subject
	spec    spec
	rand    *rand.Rand
	procs   int

	nextID  uint64
	carried []*record // by key: what the register holds, or nil

	mix     mix
	company string
	scripts [][]step
	closing []record // the Gets at the end, one for each key
	length  int      // Len at rest, before those Gets
	stats   dualcache.Stats

	lockstep bool
	parties  int32
	_        [64]byte
	arrived  atomic.Int32
	_        [64]byte
}

func newHistory(s subject, sp spec, procs int, r *rand.Rand) *history {
	return &history{subject: s, spec: sp, rand: r, procs: procs, carried: make([]*record, sp.keyCount())}
}

// play writes a history, and has it played to the end. It reports false if
// some operation does not return (G4, G5). Its goroutine then still has the
// script and the cache, which must not be touched any more.
func (h *history) play() bool {
	h.write()
	h.parties = int32(len(h.scripts))
	h.arrived.Store(0)
	var clients, company sync.WaitGroup
	var over atomic.Bool
	for _, f := range h.invite() {
		company.Add(1)
		go func() {
			defer company.Done()
			for turns := 1; !over.Load(); turns++ {
				f()
				if turns%8 == 0 {
					time.Sleep(time.Microsecond) // leave the CPU to clients
				}
			}
		}()
	}
	for _, script := range h.scripts {
		clients.Add(1)
		go func() {
			defer clients.Done()
			h.client(script)
		}()
	}
	if !returns(clients.Wait) {
		return false
	}
	over.Store(true)
	company.Wait()
	h.length, h.stats = h.subject.stats()
	for i := range h.closing {
		h.subject.do(&h.closing[i])
	}
	return true
}

// client plays a script. In lockstep it waits for the others before each
// operation, otherwise only before the first.
func (h *history) client(script []step) {
	h.meet(0)
	for i := range script {
		s := &script[i]
		if s.yield {
			runtime.Gosched()
		}
		h.subject.fill(s.from, s.fill)
		if h.lockstep {
			h.meet(int32(i + 1))
		}
		h.subject.do(&s.record)
	}
}

// meet waits until every client has come to its meeting of this number. It
// spins, so that those who have a CPU leave within some tens of nanoseconds, and
// sleeps when one has none, which may be the sleeper's.
func (h *history) meet(number int32) {
	h.arrived.Add(1)
	all := (number + 1) * h.parties
	for spins := 1; h.arrived.Load() < all; spins++ {
		switch {
		case spins%4096 == 0:
			time.Sleep(time.Microsecond)
		case spins%64 == 0 || h.procs == 1:
			runtime.Gosched()
		}
	}
}

// invite chooses the company of a history.
func (h *history) invite() (company []func()) {
	if h.spec.headless && h.rand.IntN(4) != 0 {
		company = append(company, func() { h.subject.tick(); runtime.Gosched() })
	}
	h.company = ""
	switch h.rand.IntN(40) {
	case 0:
		h.company = "collector"
		company = append(company, runtime.GC)
	case 1, 2, 3:
		h.company = "stopper"
		var m runtime.MemStats
		company = append(company, func() { runtime.ReadMemStats(&m); runtime.Gosched() })
	case 4, 5, 6:
		h.company = "looker"
		company = append(company, func() { h.subject.look(); runtime.Gosched() })
	case 7:
		h.company = "juggler"
		company = append(company, func() {
			runtime.GOMAXPROCS(h.procs + 1)
			runtime.Gosched()
			runtime.GOMAXPROCS(h.procs)
			runtime.Gosched()
		})
	case 8, 9, 10, 11:
		h.company = "filler"
		at := h.rand.IntN(1 << 20)
		company = append(company, func() { h.subject.fill(at, 8); at += 8; runtime.Gosched() })
	}
	return company
}

// write makes the scripts.
func (h *history) write() {
	h.mix = mixes[h.rand.IntN(len(mixes))]
	// As many as can run at once overlap most; more than that are stopped in
	// the middle more often.
	clients := max(2, min(h.procs, runtime.NumCPU(), 4))
	if h.rand.IntN(3) == 0 {
		clients = 2 + h.rand.IntN(7)
	}
	h.lockstep = clients <= min(h.procs, runtime.NumCPU()) && h.rand.IntN(3) != 0
	length := 8 + h.rand.IntN(16)
	if !h.lockstep && h.rand.IntN(8) == 0 {
		length *= 4
	}
	h.scripts = make([][]step, clients)
	for i := range h.scripts {
		h.scripts[i] = h.writeScript(i, clients, length)
	}
	h.closing = make([]record, len(h.carried))
	for key := range h.closing {
		h.closing[key] = record{kind: opGet, key: key, client: clients}
	}
}

func (h *history) writeScript(client, clients, length int) []step {
	script := make([]step, 0, length)
	yields := h.rand.IntN(3)   // none, some, many
	for len(script) < length { // all scripts have the same length (meet)
		s := step{yield: h.rand.IntN(8) < yields*2, from: h.rand.IntN(1 << 20)}
		if h.mix.fill > 0 {
			s.fill = max(0, h.rand.IntN(2*h.mix.fill+1)-h.mix.fill)
		}
		s.record = record{client: client, kind: h.draw(), key: h.drawKey()}
		if h.mix.owners && s.kind != opGet {
			s.key = s.key / clients * clients
			if s.key += client; s.key >= len(h.carried) {
				continue
			}
		}
		switch s.kind {
		case opClear:
			s.key = everyKey
		case opSetWithTTL:
			s.ttl = h.drawTTL()
			fallthrough
		case opSet:
			h.nextID++
			s.id = h.nextID
		}
		script = append(script, s)
		if h.mix.owners && s.kind == opSet && len(script) < length {
			script = append(script, step{readBack: true, record: record{client: client, kind: opGet, key: s.key}})
		}
	}
	return script
}

// draw chooses an operation.
func (h *history) draw() kind {
	m := h.mix
	kinds := [...]kind{opGet, opSet, opSetWithTTL, opDelete}
	n := h.rand.IntN(m.get + m.set + m.timed + m.remove + m.clear)
	for i, weight := range []int{m.get, m.set, m.timed, m.remove} {
		if n < weight {
			return kinds[i]
		}
		n -= weight
	}
	return opClear
}

func (h *history) drawKey() int {
	if h.rand.IntN(10) < h.mix.hot {
		return h.rand.IntN(2)
	}
	return h.rand.IntN(len(h.carried))
}

// drawTTL favours what ends while a history is played.
func (h *history) drawTTL() time.Duration {
	switch h.rand.IntN(8) {
	case 0:
		return 0
	case 1:
		return -1
	case 2:
		return time.Duration(math.MaxInt64 - h.rand.IntN(2))
	case 3:
		return time.Hour
	case 4:
		return 1
	default:
		return time.Duration(1 << (8 + h.rand.IntN(12))) // 256 ns to 0.5 ms
	}
}

// records gives all operations of the history that was played, and the Sets
// that it started from.
func (h *history) records() []*record {
	var all []*record
	for _, r := range h.carried {
		if r != nil {
			all = append(all, r)
		}
	}
	for _, script := range h.scripts {
		for i := range script {
			all = append(all, &script[i].record)
		}
	}
	for i := range h.closing {
		all = append(all, &h.closing[i])
	}
	return all
}

// carry finds what the next history starts from. It reports false if a value
// was found that no Set wrote, which the checker has rejected by then.
func (h *history) carry() bool {
	byID := map[uint64]*record{}
	for _, r := range h.records() {
		if r.kind == opSet || r.kind == opSetWithTTL {
			byID[r.id] = r
		}
	}
	for key, get := range h.closing {
		h.carried[key] = nil
		if get.ok {
			set := byID[get.id]
			if set == nil {
				return false
			}
			kept := *set // not a pointer into the script, which can go
			h.carried[key] = &kept
		}
	}
	return true
}

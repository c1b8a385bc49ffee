package linearizability

import (
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
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
	name   string
	odds   odds // of the operations
	hot    int  // of ten operations, those on two keys only
	fill   int  // fillers before an operation, at most
	owners bool // each key has one writer, which reads what it wrote
}

type odds [kinds]int

var mixes = []mix{
	{name: "even", odds: odds{opGet: 5, opSet: 4, opSetWithTTL: 1, opDelete: 1}, hot: 5, fill: 2},
	{name: "hot", odds: odds{opGet: 6, opSet: 4, opDelete: 1}, hot: 10, fill: 1},
	{name: "reads", odds: odds{opGet: 12, opSet: 2}, hot: 7, fill: 4},
	{name: "writes", odds: odds{opGet: 3, opSet: 8, opSetWithTTL: 2, opDelete: 2}, hot: 8},
	{name: "evicting", odds: odds{opGet: 5, opSet: 4}, hot: 6, fill: 60},
	{name: "clearing", odds: odds{opGet: 6, opSet: 6, opDelete: 1, opClear: 2}, hot: 6, fill: 1},
	{name: "timed", odds: odds{opGet: 8, opSet: 1, opSetWithTTL: 5, opDelete: 1}, hot: 8, fill: 1},
	{name: "owned", odds: odds{opGet: 5, opSet: 5, opSetWithTTL: 1, opDelete: 1}, hot: 4, fill: 4, owners: true},

	{name: "compound", odds: odds{opGet: 3, opPeek: 1, opContains: 1, opSet: 2, opDelete: 1,
		opCompute: 5, opGetOrSet: 3, opGetAndDelete: 2}, hot: 7, fill: 2},
	{name: "computing", odds: odds{opGet: 2, opSet: 1, opCompute: 8}, hot: 9, fill: 1},
	{name: "taking", odds: odds{opGet: 2, opSet: 4, opGetOrSet: 4, opGetAndDelete: 4, opCompute: 1}, hot: 9},
	{name: "loading", odds: odds{opGet: 3, opSet: 2, opDelete: 1, opGetOrLoad: 8}, hot: 8, fill: 3},
	{name: "loads against changes", odds: odds{opGet: 2, opSet: 3, opSetWithTTL: 1, opDelete: 2, opGetAndDelete: 1, opCompute: 2,
		opGetOrSet: 1, opGetOrLoad: 6, opRefresh: 2}, hot: 9, fill: 1},
	{name: "refreshing", odds: odds{opGet: 5, opSet: 3, opDelete: 1, opGetOrLoad: 3, opRefresh: 5}, hot: 8, fill: 1},
	{name: "many", odds: odds{opGet: 2, opSet: 2, opDelete: 1, opGetMany: 3, opSetMany: 2, opGetOrLoadMany: 3, opGetOrLoad: 2}, hot: 6, fill: 1},
	{name: "looking in", odds: odds{opGet: 2, opPeek: 1, opSet: 5, opSetWithTTL: 1, opDelete: 2, opCompute: 1, opDeleteFunc: 2, opAll: 4}, hot: 5, fill: 1},
	{name: "everything", odds: odds{opGet: 6, opPeek: 2, opContains: 2, opSet: 4, opSetWithTTL: 2, opDelete: 2, opGetAndDelete: 2,
		opClear: 1, opCompute: 4, opGetOrSet: 2, opGetOrLoad: 4, opRefresh: 2, opGetMany: 2, opSetMany: 1, opGetOrLoadMany: 1,
		opDeleteFunc: 1, opAll: 1}, hot: 6, fill: 2},
}

// A step is an operation and what its client does before it.
type step struct {
	record
	yield      bool
	fill, from int
	readBack   bool // a Get by a key's only writer, right after its Set

	keys  []int     // of an operation on many
	tasks []task    // for loaders, and values for SetMany; as many as keys, or one
	parts []*record // what it came to, if that is not the record itself
}

// records are what a step is for the model.
func (s *step) records() []*record {
	if s.parts != nil {
		return s.parts
	}
	return []*record{&s.record}
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
	closing []step // the Gets at the end, one for each key
	rest    rest   // before those Gets
	played  int    // histories, by this subject
	make    func() (subject, error)

	lockstep bool
	parties  int32
	_        [64]byte
	arrived  atomic.Int32
	_        [64]byte
}

func newHistory(s subject, sp spec, procs int, r *rand.Rand) *history {
	return &history{subject: s, spec: sp, rand: r, procs: procs, carried: make([]*record, sp.keyCount())}
}

// renew replaces a cache that has served for long enough.
func (h *history) renew() error {
	if h.spec.renew == 0 || h.make == nil || h.played < h.spec.renew {
		return nil
	}
	h.subject.close()
	s, err := h.make()
	h.subject, h.carried, h.played = s, make([]*record, h.spec.keyCount()), 0
	return err
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
	if h.spec.resizes {
		h.subject.resize(h.spec.capacity)
	}
	h.rest = h.subject.rest()
	for i := range h.closing {
		h.subject.do(&h.closing[i])
	}
	if h.spec.reload > 0 {
		h.subject.close() // and wait for reloads; renew makes another
	}
	h.played++
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
		h.subject.do(s)
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
	if h.spec.resizes {
		company = append(company, func() {
			h.subject.resize((h.spec.capacity + 1) / 2)
			runtime.Gosched()
			h.subject.resize(h.spec.capacity)
			runtime.Gosched()
		})
	}
	if h.spec.grows {
		at := h.played * h.spec.fillerCount() / h.spec.renew
		company = append(company, func() { h.subject.fill(at, 16); at += 16; runtime.Gosched() })
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
	h.closing = make([]step, len(h.carried))
	for key := range h.closing {
		h.closing[key].record = record{kind: opGet, key: key, client: clients}
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
		h.writeArguments(&s)
		script = append(script, s)
		if h.mix.owners && s.kind == opSet && len(script) < length {
			script = append(script, step{readBack: true, record: record{client: client, kind: opGet, key: s.key}})
		}
	}
	return script
}

// writeArguments draws what an operation needs beside its key.
func (h *history) writeArguments(s *step) {
	switch s.kind {
	case opClear, opDeleteFunc, opAll:
		s.key = everyKey
	case opSetWithTTL:
		s.ttl = h.drawTTL()
		fallthrough
	case opSet:
		s.id = h.newID()
	case opCompute:
		s.id = h.newID()
		switch h.rand.IntN(8) {
		case 0:
			s.does = doKeep
		case 1, 2:
			s.does = doDelete
		case 3:
			s.ttl = h.drawTTL()
		}
	case opGetOrSet:
		s.id = h.newID()
		if h.rand.IntN(4) == 0 {
			s.ttl = h.drawTTL()
		}
	case opGetOrLoad, opRefresh:
		s.tasks = []task{h.drawTask()}
	case opGetMany, opSetMany, opGetOrLoadMany:
		s.keys = h.drawKeys(s.kind == opGetMany)
		for i := range s.keys {
			t := h.drawTask() // the first says how the loader of all ends
			if t.ttl = 0; i > 0 && t.fate != fateAbsent {
				t.fate = fateValue
			}
			s.tasks = append(s.tasks, t)
		}
		s.key = everyKey
	}
	s.heavy = h.spec.heavy(s.id)
}

func (h *history) newID() uint64 {
	h.nextID++
	return h.nextID
}

func (h *history) drawTask() task {
	t := task{id: h.newID(), pause: h.rand.IntN(1 << 16)}
	switch h.rand.IntN(16) {
	case 0:
		t.fate = fateAbsent
	case 1:
		t.fate = fateError
	case 2:
		t.fate = fatePanic
	case 3:
		if ttl := h.drawTTL(); ttl != 0 {
			t.ttl = ttl
		}
	}
	return t
}

// drawKeys draws some keys, in random order, and now and then one of them twice.
func (h *history) drawKeys(twice bool) []int {
	keys := h.rand.Perm(len(h.carried))[:1+h.rand.IntN(min(5, len(h.carried)))]
	if twice && h.rand.IntN(4) == 0 {
		keys = append(keys, keys[0])
	}
	return keys
}

// draw chooses an operation.
func (h *history) draw() kind {
	sum := 0
	for _, n := range h.mix.odds {
		sum += n
	}
	k, n := kind(0), h.rand.IntN(sum)
	for n >= h.mix.odds[k] {
		n -= h.mix.odds[k]
		k++
	}
	if k == opRefresh && !h.spec.loader {
		return opGetOrLoad
	}
	return k
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
			all = append(all, script[i].records()...)
		}
	}
	for i := range h.closing {
		all = append(all, &h.closing[i].record)
	}
	joined := map[uint64]bool{}
	for _, r := range all {
		if r.kind == opGetOrLoad || r.kind == opRefresh {
			joined[r.id] = true
		}
	}
	return append(all, h.subject.background(joined)...)
}

// carry finds what the next history starts from. It reports false if a value
// was found that no Set wrote, which the checker has rejected by then.
func (h *history) carry() bool {
	byID := map[uint64]*record{}
	for _, r := range h.records() {
		if r.writes() {
			byID[r.id] = r
		}
	}
	for key, get := range h.closing {
		h.carried[key] = nil
		if get.ok {
			write := byID[get.id]
			if write == nil {
				return false
			}
			// As a Set, whatever it was, and not a pointer into the script, which can go.
			h.carried[key] = &record{client: write.client, kind: opSet, key: key, id: write.id,
				ttl: write.ttl, call: write.call, ret: write.ret, seen: get.ret}
		}
	}
	return true
}

// writes reports whether r may give its key the value id.
func (r *record) writes() bool {
	switch r.kind {
	case opSet, opSetWithTTL:
		return true
	case opGetOrSet:
		return !r.ok
	case opCompute:
		return r.does == doSet
	case opFinish:
		return r.fate == fateValue
	}
	return false
}

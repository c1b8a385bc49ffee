//go:build !race

package dualcache

import "testing"

// Parking (daemon.go, rule 13). The timer may fire while a tick it began before is
// still under way, so there are two goroutines that tick. Two workers hand records
// over and look at awake.
const (
	dWritePos cell = iota // of each worker's queue
	_
	dReadPos
	_
	dHead // of a bucket, whose unlockVisible is a barrier
	dAwake
	dPassLock
	dTimer // ghost: how the timer is set
)

const (
	dNever = iota
	dPoll  // it fires in a PollInterval
	dSweep // it fires when the next sweep is due, which may be long after
)

// A parking is a variant of the model.
type parking struct {
	workers  int
	records  int8 // of each
	fenced   bool // there is no barrier
	atomic   bool // an atomic store follows the record, as where wipes are offered
	deadline bool // there are deadlines, so the timer is set for the next sweep

	noBarrier bool // and so on: what is left out or done in the wrong order
	noLook    bool
	lookFirst bool
	earlyWake bool
	lateTimer bool
}

// offerSteps are an operation that leaves a record, and wake.
func (x parking) offerSteps(n int) []step {
	const done = 0
	pos := dWritePos + cell(n)
	offer := step{"offer publish64(writePos)", func(p *processor) { p.put(pos, p.load(pos)+1) }}
	visible := step{"unlockVisible", func(p *processor) {
		if x.atomic {
			p.store(dHead, 0)
		}
	}}
	look := step{"look load awake", func(p *processor) {
		if p.load(dAwake) != 0 {
			p.next += 2
		}
	}}
	wake := step{"wake awake.CompareAndSwap", func(p *processor) {
		if !p.cas(dAwake, 0, 1) {
			p.next++
		}
	}}
	set := step{"wake' timer.Reset(poll)", func(p *processor) { p.mem[dTimer] = dPoll }}
	again := step{"again", func(p *processor) {
		if *p.r(done)++; *p.r(done) < x.records {
			p.next = 0
		} else {
			p.forget()
		}
	}}
	if x.earlyWake {
		return []step{look, wake, set, offer, visible, again}
	}
	return []step{offer, visible, look, wake, set, again}
}

// tickSteps are daemonTick, tick, park and pendingWork, whenever the timer fires.
func (x parking) tickSteps() []step {
	const more = 0
	reset := func(p *processor, to int8) { p.mem[dTimer] = to }
	var drain, look []step
	for n := range cell(x.workers) {
		label := string('0' + byte(n))
		drain = append(drain, step{"drain" + label + " load writePos", func(p *processor) {
			if end := p.load(dWritePos + n); end != p.mem[dReadPos+n] {
				p.mem[dReadPos+n] = end // nobody else looks
				*p.r(more) = 1
			}
		}})
		look = append(look, step{"look" + label + " load writePos", func(p *processor) {
			if p.load(dWritePos+n) != p.mem[dReadPos+n] {
				*p.r(more) = 1
			}
		}})
	}
	// The look of tick's own pendingWork is left out: work that comes later is as good.
	fire := []step{
		{"fire", func(p *processor) {
			if p.mem[dTimer] == dNever {
				p.wait()
			}
			p.mem[dTimer] = dNever
		}},
		{"awake awake.Store(1)", func(p *processor) { p.store(dAwake, 1) }},
		{"tick lockPass", func(p *processor) {
			if !p.cas(dPassLock, 0, 1) {
				*p.r(more) = 1
				p.to("more")
			}
		}},
	}
	rest := []step{
		{"unlock unlockPass", func(p *processor) { p.store(dPassLock, 0) }},
		{"more", func(p *processor) {
			if *p.r(more) != 0 {
				reset(p, dPoll)
				p.forget()
				p.to("fire")
			}
		}},
		{"sweep timer.Reset(untilSweep)", func(p *processor) {
			if x.deadline && !x.lateTimer {
				reset(p, dSweep)
			}
		}},
	}
	announce := step{"park awake.Store(0)", func(p *processor) { p.store(dAwake, 0) }}
	fence := barrierSteps("W2")
	if x.fenced || x.noBarrier {
		fence = nil
	}
	park := join([]step{announce}, fence, look)
	if x.lookFirst {
		park = join(look, []step{announce}, fence)
	}
	end := []step{
		{"busy", func(p *processor) {
			if *p.r(more) == 0 || x.noLook {
				p.forget()
				p.to("last")
			}
		}},
		{"busy' awake.CompareAndSwap", func(p *processor) {
			if !p.cas(dAwake, 0, 1) {
				p.forget()
				p.to("last")
			}
		}},
		{"busy'' timer.Reset(poll)", func(p *processor) {
			reset(p, dPoll)
			p.forget()
			p.to("fire")
		}},
		{"last", func(p *processor) {
			if x.deadline && x.lateTimer {
				reset(p, dSweep)
			}
			p.to("fire")
		}},
	}
	return join(fire, drain, rest, park, end)
}

func (x parking) protocol() protocol {
	threads := []thread{{"timer 0", x.tickSteps()}, {"timer 1", x.tickSteps()}}
	for n := range x.workers {
		threads = append(threads, thread{"worker " + string('0'+byte(n)), x.offerSteps(n)})
	}
	return protocol{
		threads: threads,
		mayWait: true, // timers are parked in the end
		always: func(m *machine) string {
			for i, t := range threads {
				s := &m.threads[i]
				if s.stores > 0 || i >= 2 && int(s.pc) < len(t.steps) || i < 2 && s.pc != 0 {
					return ""
				}
			}
			for n := range cell(x.workers) {
				if m.mem[dWritePos+n] != m.mem[dReadPos+n] && m.mem[dTimer] != dPoll {
					return "a record waits, and the daemon is parked"
				}
			}
			return ""
		},
	}
}

// Guards rule 13 and wake: when all operations are done and no tick is under way, no
// record waits for a daemon that has parked, or sleeps until the next sweep.
func TestInterleaveParking(t *testing.T) {
	for name, x := range map[string]parking{
		"one worker":                      {workers: 1, records: 3},
		"two workers":                     {workers: 2, records: 1},
		"deadlines":                       {workers: 1, records: 2, deadline: true},
		"fenced, where wipes are offered": {workers: 1, records: 2, fenced: true, atomic: true, deadline: true},
	} {
		holds(t, name, x.protocol())
	}
	for name, x := range map[string]parking{
		"no barrier":                       {noBarrier: true},
		"no last look":                     {noLook: true},
		"the look before it is announced":  {lookFirst: true},
		"the record after the look":        {earlyWake: true},
		"the sweep's timer is set late":    {deadline: true, lateTimer: true},
		"fenced: a hint may wait (intent)": {fenced: true},
	} {
		x.workers, x.records = 1, 2
		breaks(t, name, x.protocol())
	}
}

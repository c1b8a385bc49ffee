package linearizability

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestHistories: the caches themselves.
//
// Every pair of key and value types, under every setting, of every size, on
// each number of Ps, gets its share of the time, in random order, and plays as
// many histories as fit into it, at least one. A cache serves for the whole share, so that it is
// full and long past its first entries most of the time; now and then a
// history's Clears empty it.
//
// A test that finds nothing must show that it looked. At the end the totals are
// logged, and a run in which nothing overlapped, nothing was evicted, or no
// value was found again fails (tally.idle).

// Sizes of caches. From 1024 entries on, readers publish without a fence on
// Linux; there, fillers evict.
var sizes = []size{
	{1, true}, {2, true}, {4, true}, {10, true}, {64, true}, {1024, true},
	{64, false}, {4096, false},
}

type size struct {
	capacity int
	evicts   bool
}

// procCounts are the numbers of Ps, and their shares of the time. On one P,
// operations overlap only where the cache yields.
var procCounts = []struct {
	procs  int
	weight time.Duration
}{{1, 1}, {2, 5}, {8, 3}}

const (
	usualTime  = 25 * time.Second
	shortTime  = 5 * time.Second
	longShare  = 50 * time.Millisecond // per weight, of one combination in a long run
	maxFailing = 5                     // combinations that fail before the test gives up
)

// A combination is all that distinguishes one subtest from another.
type combination struct {
	pairing
	spec
	procs  int
	weight time.Duration
}

func (c combination) name() string {
	size := fmt.Sprint(c.capacity)
	if !c.evicts {
		size += "-roomy"
	}
	return fmt.Sprintf("procs=%d/setting=%s/key=%s/value=%s/cap=%s", c.procs, c.setting.name, c.keys, c.values, size)
}

func combinations() (all []combination) {
	for _, n := range procCounts {
		for _, s := range settings {
			for _, p := range pairings {
				for _, size := range sizes {
					all = append(all, combination{p, spec{s, size.capacity, size.evicts}, n.procs, n.weight})
				}
			}
		}
		for _, s := range furtherSettings {
			for _, p := range fewPairings {
				for _, size := range s.sizes() {
					if s.grows && p.keys == crowdedKeys.name {
						continue // crowded keys evict each other when there are many
					}
					all = append(all, combination{p, spec{s, size.capacity, size.evicts}, n.procs, n.weight})
				}
			}
		}
	}
	return all
}

// sizes are those that a further setting is combined with.
func (s setting) sizes() []size {
	switch {
	case s.grows:
		return []size{{8192, false}}
	case s.resizes:
		return []size{{2, true}, {10, true}, {1024, true}}
	}
	return []size{{2, true}, {4, true}, {10, true}, {1024, true}, {64, false}}
}

func TestHistories(t *testing.T) {
	all := combinations()
	total := usualTime
	if testing.Short() {
		total = shortTime
	}
	weights := time.Duration(0)
	for _, c := range all {
		weights += c.weight
	}
	share := total / weights
	if *longFlag > 0 {
		total, share = *longFlag, longShare
		if end, ok := t.Deadline(); ok && time.Until(end) < total {
			t.Fatal("-long needs a longer -timeout; 0 is none")
		}
	}
	seed := drawSeed(t)
	sum := &tally{}
	start := time.Now()
	late := total + total/5 // a busy machine does not get through all in time
	if *longFlag > 0 {
		late = total
	}
	for round := uint64(0); round == 0 || *longFlag > 0 && time.Since(start) < total; round++ {
		r := rand.New(rand.NewPCG(seed, round))
		r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		for i, c := range all {
			if time.Since(start) >= late {
				t.Logf("round %d: no time left for %d of %d combinations", round, len(all)-i, len(all))
				break
			}
			t.Run(c.name(), func(t *testing.T) {
				c.run(t, seed, round<<16|uint64(i+1), c.weight*share, sum)
			})
			if sum.failing == maxFailing {
				t.Fatalf("giving up: %v", sum)
			}
		}
	}
	t.Log(sum)
	if !t.Failed() && sum.histories >= len(all) {
		if why := sum.idle(); why != "" {
			t.Errorf("the test shows nothing: %s", why)
		}
	}
}

// drawSeed also names the seed, in the log that a failure shows.
func drawSeed(t *testing.T) uint64 {
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-seed %d", seed)
	return seed
}

// run plays a combination's share.
func (c combination) run(t *testing.T, seed, stream uint64, share time.Duration, sum *tally) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(c.procs))
	end := time.Now().Add(share)
	s, err := c.make(c.spec)
	if err != nil {
		t.Fatal(err)
	}
	h := newHistory(s, c.spec, c.procs, rand.New(rand.NewPCG(seed, stream)))
	h.make = func() (subject, error) { return c.make(c.spec) }
	for n := 1; n == 1 || time.Now().Before(end); n++ {
		if err := h.renew(); err != nil {
			t.Fatal(err)
		}
		if !h.play() {
			sum.failing = maxFailing // what still runs would disturb the rest
			t.Fatalf("history %d, mix %s, company %q: operations have not returned after %v:\n%s",
				n, h.mix.name, h.company, stallLimit, stacksInCache())
		}
		sum.add(h)
		if v := h.check(c.rules()); v != nil {
			sum.failing++
			h.fail(t, v, n)
			break
		}
		h.carry()
	}
	sum.addStats(h)
	h.subject.close()
}

// stacksInCache shows the goroutines that are in a method of a cache.
func stacksInCache() string {
	stacks := make([]byte, 1<<20)
	var in []string
	for _, stack := range strings.Split(string(stacks[:runtime.Stack(stacks, true)]), "\n\n") {
		if strings.Contains(stack, "dualcache.(*Cache") {
			in = append(in, stack)
		}
	}
	return strings.Join(in, "\n\n")
}

// fail reports a violation and writes its picture.
func (h *history) fail(t *testing.T, v *violation, n int) {
	t.Helper()
	path, err := v.save(t.Name())
	if err != nil {
		t.Errorf("no picture: %v", err)
	}
	t.Errorf("history %d, mix %s, company %q, stats %+v: %v\tpicture: %s", n, h.mix.name, h.company, h.rest, v, path)
}

// A tally counts what a run has done. One goroutine writes it.
type tally struct {
	histories, operations, overlapping int
	of                                 [kinds]int
	hits, misses                       int
	readBacks, readBackMisses          int
	computed, loads, joins, stored     int
	evictions, expirations             uint64
	promoted, refusals                 uint64
	failing                            int
}

func (s *tally) add(h *history) {
	s.histories++
	loaded := map[uint64]bool{}
	for _, script := range h.scripts {
		for i := range script {
			op := &script[i]
			s.operations++
			s.of[op.kind]++
			if op.readBack {
				s.readBacks++
				if !op.ok {
					s.readBackMisses++
				}
			}
			for _, r := range op.records() {
				s.addRecord(r, loaded)
			}
			if h.overlaps(&op.record) {
				s.overlapping++
			}
		}
	}
}

// addRecord counts a part. loaded has the ids of loads that ended.
func (s *tally) addRecord(r *record, loaded map[uint64]bool) {
	switch {
	case r.kind == opGet && r.ok:
		s.hits++
		if loaded[r.id] {
			s.stored++
		}
	case r.kind == opGet:
		s.misses++
	case r.kind == opCompute && r.was != 0:
		s.computed++
	case r.kind == opFinish:
		s.loads++
		loaded[r.id] = true
	case r.kind == opRefresh:
		s.joins++
	}
}

// overlaps reports whether an operation of another client on the same key was
// under way at the same time.
func (h *history) overlaps(r *record) bool {
	for client, script := range h.scripts {
		if client == r.client {
			continue
		}
		for i := range script {
			o := &script[i].record
			if o.key == r.key && o.call <= r.ret && r.call <= o.ret {
				return true
			}
		}
	}
	return false
}

func (s *tally) addStats(h *history) {
	n := h.subject.rest()
	s.evictions += n.Evictions
	s.expirations += n.Expirations
	s.promoted += n.HitsT1 + n.HitsT2
	s.refusals += n.Refusals
}

// idle names what has not happened at all.
func (s *tally) idle() string {
	switch {
	case s.overlapping == 0 && runtime.NumCPU() > 1:
		return "no two operations on a key overlapped"
	case s.hits == 0 || s.misses == 0:
		return "no Get hit, or none missed"
	case s.evictions == 0:
		return "nothing was evicted"
	case s.expirations == 0:
		return "nothing expired"
	case s.refusals == 0:
		return "nothing was refused"
	case s.promoted == 0:
		return "no tier was hit"
	case s.readBacks == 0:
		return "no writer read what it had written"
	case s.computed == 0:
		return "no Compute was given a value"
	case s.loads == 0 || s.stored == 0 || s.joins == 0:
		return "nothing was loaded, or found again, or no load was joined"
	}
	for k, n := range s.of {
		if n == 0 {
			return "no " + names[kind(k)]
		}
	}
	return ""
}

func (s *tally) String() string {
	var of strings.Builder
	for k, n := range s.of {
		fmt.Fprintf(&of, " %s %d", names[kind(k)], n)
	}
	return fmt.Sprintf("%d histories, %d operations, %d overlapping on a key; Gets: %d hits, %d misses, %d hits in tiers; "+
		"own Sets read back: %d, %d of them missed; Computes of a value: %d; loads: %d, stored and found: %d, Refreshes that joined: %d; "+
		"%d evictions, %d expirations, %d refusals;%s",
		s.histories, s.operations, s.overlapping, s.hits, s.misses, s.promoted,
		s.readBacks, s.readBackMisses, s.computed, s.loads, s.stored, s.joins,
		s.evictions, s.expirations, s.refusals, &of)
}

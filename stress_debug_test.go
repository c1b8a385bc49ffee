//go:build race || cachedebug

package dualcache

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// poisonStress has readers hold places for a while that writers replace, delete and
// evict, with delays of random length at every yield point. checkLife panics when a held
// place is given a new life.
func poisonStress(rounds int, cfg Config[int, versioned]) {
	c := Must(cfg)
	defer c.Close()
	pause := func() {
		if x := rand.Uint32(); x%4 == 0 {
			idle(int(x >> 8 % 1024))
		}
	}
	for point := range pointCount {
		hooks[point].Store(&pause)
		defer hooks[point].Store(nil)
	}
	var wg sync.WaitGroup
	for g := range 4 {
		spawn(&wg, func() {
			r := rand.New(rand.NewPCG(3, uint64(g)))
			for n := range uint64(rounds) {
				k := r.IntN(96)
				switch r.IntN(16) {
				case 0, 1, 2, 3, 4:
					c.Set(k, versioned{n, n, n, n})
				case 5:
					c.SetWithTTL(k, versioned{n, n, n, n}, time.Duration(r.IntN(100_000)))
				case 6:
					c.Delete(k)
				case 7:
					c.Compute(k, func(old versioned, _ bool) (versioned, Op) {
						return versioned{n, n, n, n}, []Op{OpSet, OpDelete, OpKeep}[n%3]
					})
				default:
					c.Get(k)
				}
				if n%16 == 0 {
					c.advance()
				}
			}
		})
	}
	wg.Wait()
}

// Guards G6 and rule 1: no reader ever finds a place in its hands that has been
// given a new life. Fails without the hazards in beginGrace (TestPoisonControl), or
// with a stamp of one period.
func TestPoison(t *testing.T) {
	rounds := 40_000
	if testing.Short() {
		rounds = 10_000
	}
	for name, cfg := range map[string]Config[int, versioned]{
		"fenced":     {Capacity: 64},
		"asymmetric": {Capacity: fencedBelow, Hasher: func(k int) uint64 { return uint64(k%4) << 62 }}, // 24 keys for a home
		"tiers":      {Capacity: 64, T1Slots: 16, T2Slots: 64},
	} {
		t.Run(name, func(t *testing.T) {
			var before, periods [len(ages)]uint64
			for i := range ages {
				before[i] = ages[i].Load()
			}
			poisonStress(rounds, cfg)
			all := uint64(0)
			for i := range ages {
				periods[i] = ages[i].Load() - before[i]
				all += periods[i]
			}
			t.Logf("places written again after 0, 1, ... more grace periods than they waited for: %d", periods)
			if all == 0 {
				t.Error("no place has waited for a grace period")
			}
		})
	}
}

// TestPoisonControl proves that TestPoison can fail: without the look at hazards,
// the detector stops the process.
func TestPoisonControl(t *testing.T) {
	const key = "DUALCACHE_CONTROL"
	if os.Getenv(key) != "" {
		controlNoScan.Store(true)
		// Mostly the first round is stopped; where the Ps take turns on one processor it
		// may take a few.
		for begin := time.Now(); time.Since(begin) < 30*time.Second; {
			poisonStress(200_000, Config[int, versioned]{Capacity: 64})
		}
		return
	}
	child := exec.Command(os.Args[0], "-test.run=^TestPoisonControl$")
	child.Env = append(os.Environ(), key+"=1", "GORACE=halt_on_error=1")
	out, err := child.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "written under its reader") && !strings.Contains(string(out), "DATA RACE") {
		t.Fatalf("without the scan nothing was noticed: %v\n%.400s", err, out)
	}
}

// Guards rule 13: a record that is offered when the daemon has announced that it
// parks, by an operation that had seen it awake before, is not lost. Fails without
// the last look in park (shown).
func TestRecordOfferedWhileParking(t *testing.T) {
	for _, capacity := range []int{100, 3000} {
		c := Must(Config[int, string]{Capacity: capacity})
		c.Set(1, "value")
		hash := c.hash(1)
		var offered atomic.Int32
		hook := func() {
			if offered.Add(1) != 1 {
				return
			}
			w := c.enter()
			if s, _ := c.find(w, hash, 1, false); s.found() {
				c.announce(w, s, &change[int, string]{hash: hash})
			}
			w.leave()
		}
		hooks[pointBeforePark].Store(&hook)
		c.Set(2, "value")
		soon(t, "the daemon parks, and has seen the record", func() bool { return offered.Load() > 0 && atRest(c) })
		hooks[pointBeforePark].Store(nil)
		invariants(t, c)
		c.Close()
	}
}

// Guards rules 5 and 6: an entry that leaves while the pass is about to promote it
// is not found by way of the tiers. Fails if lookTier believes a word (shown in
// TestTiers).
func TestPromotionOfADeadEntry(t *testing.T) {
	for _, leave := range []string{"delete", "replace"} {
		c := headless(t, Config[uint64, string]{Capacity: 100, T1Slots: 64, T2Slots: 256})
		c.Set(1, "old")
		for range maxRank {
			c.Get(1)
		}
		ran := 0
		hook := func() {
			if ran++; ran > 1 {
				return
			}
			if leave == "delete" {
				c.Delete(1)
			} else {
				c.Set(1, "new")
			}
		}
		hooks[pointPass].Store(&hook)
		c.Sync()
		hooks[pointPass].Store(nil)
		if ran == 0 {
			t.Errorf("%s: the hook did not run", leave)
		}
		if v, ok := c.Get(1); leave == "delete" && ok || leave == "replace" && v != "new" {
			t.Errorf("%s: Get = %q, %v", leave, v, ok)
		}
		invariants(t, c)
	}
}

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
)

// poisonStress has readers hold nodes for a while that writers replace, delete
// and evict. checkProtected panics when a held node is freed.
func poisonStress(rounds int) {
	c := Must(Config[int, versioned]{Capacity: 64})
	defer c.Close()
	pause := func() {
		for range 200 {
			spinSink.Add(1)
		}
	}
	hooks[pointReadProtected].Store(&pause)
	defer hooks[pointReadProtected].Store(nil)
	var wg sync.WaitGroup
	for g := range 4 {
		spawn(&wg, func() {
			r := rand.New(rand.NewPCG(3, uint64(g)))
			for n := range uint64(rounds) {
				k := r.IntN(96)
				switch r.IntN(8) {
				case 0, 1, 2:
					c.Set(k, versioned{n, n, n, n})
				case 3:
					c.Delete(k)
				default:
					c.Get(k)
				}
				if n%16 == 0 {
					c.reclaim()
				}
			}
		})
	}
	wg.Wait()
}

var spinSink atomic.Uint64

// TestPoison (G6, rule 1): no reader ever finds a freed node in its hands.
// Guards: the hazard, the check after it, the scan before the free.
func TestPoison(t *testing.T) {
	poisonStress(20000)
}

// TestPoisonControl proves that TestPoison can fail: without the scan, the
// detector stops the process.
func TestPoisonControl(t *testing.T) {
	const key = "DUALCACHE_CONTROL"
	if os.Getenv(key) != "" {
		controlNoScan.Store(true)
		poisonStress(200000)
		return
	}
	child := exec.Command(os.Args[0], "-test.run=^TestPoisonControl$")
	child.Env = append(os.Environ(), key+"=1")
	out, err := child.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "freed") && !strings.Contains(string(out), "DATA RACE") {
		t.Fatalf("without the scan nothing was noticed: %v\n%.400s", err, out)
	}
}

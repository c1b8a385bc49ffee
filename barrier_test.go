//go:build linux && amd64 && !race && !noprocpin

package dualcache

import (
	"runtime"
	"sync/atomic"
	"testing"
)

// litmus plays R2, R3 against W1, W2, W3 of qsbr.go and counts the rounds in
// which neither side saw the other: a node freed under its reader.
func litmus(rounds int, fence func()) (violations int) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	var w worker
	var b bucketHead
	var word atomic.Uint32
	var turn, answer atomic.Uint64 // each on lines that the other side spins on
	var sawWord atomic.Uint32
	go func() {
		for n := uint64(1); n <= uint64(rounds); n++ {
			for turn.Load() < n {
			}
			w.protect(&b, false, false)
			sawWord.Store(word.Load())
			answer.Store(n)
		}
	}()
	for n := uint64(1); n <= uint64(rounds); n++ {
		w.hazard.Store(0)
		word.Store(0)
		turn.Store(n)
		for range n % 97 {
			_ = turn.Load()
		}
		word.Store(1)
		fence()
		hazard := w.hazard.Load()
		for answer.Load() < n {
		}
		if hazard == 0 && sawWord.Load() == 0 {
			violations++
		}
	}
	return violations
}

// TestBarrier (rule 2, trap 2): with the barrier, one side always sees the
// other. TestBarrierControl shows that without it they miss each other.
func TestBarrier(t *testing.T) {
	if !asymmetric() || runtime.NumCPU() < 2 {
		t.Skip("needs membarrier and two CPUs")
	}
	if n := litmus(20000, func() { barrier() }); n != 0 {
		t.Errorf("%d violations with the barrier", n)
	}
}

func TestBarrierControl(t *testing.T) {
	if !asymmetric() || runtime.NumCPU() < 2 {
		t.Skip("needs membarrier and two CPUs")
	}
	for range 20 {
		if n := litmus(200000, func() {}); n > 0 {
			t.Logf("%d violations without the barrier", n)
			return
		}
	}
	t.Error("the litmus test saw no violation without the barrier")
}

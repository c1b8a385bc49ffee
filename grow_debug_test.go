//go:build race || cachedebug

package dualcache

import (
	"runtime"
	"sync/atomic"
	"testing"
)

// Guards grow.go I1: an entry is shown in the new table before it leaves the old
// one. The mover is held between the two, and every key must be found meanwhile.
// Fails if moveEntry clears the old tag first (shown).
func TestKeysAreFoundWhileTheyMove(t *testing.T) {
	window(t)
	c := headless(t, Config[uint64, uint64]{Capacity: 20_000})
	const free, held, seen = 0, 1, 2
	var state atomic.Int32
	var moves, missed int
	hook := func() {
		if moves++; moves%50 != 1 {
			return
		}
		state.Store(held)
		for state.Load() != seen { // in a section: it may not block
		}
		state.Store(free)
	}
	var keys atomic.Uint64
	var stop atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		for !stop.Load() {
			if state.Load() != held {
				runtime.Gosched()
				continue
			}
			for k := range keys.Load() {
				if _, ok := c.Get(k); !ok {
					missed++
				}
			}
			state.Store(seen)
		}
	}()
	hooks[pointMoved].Store(&hook)
	for k := range uint64(3000) {
		c.Set(k, k)
		keys.Store(k + 1)
	}
	hooks[pointMoved].Store(nil)
	stop.Store(true)
	<-done
	if moves == 0 {
		t.Error("nothing has moved")
	}
	if missed != 0 {
		t.Errorf("%d Gets missed keys that were there", missed)
	}
	invariants(t, c)
}

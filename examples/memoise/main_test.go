package main

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestRun(t *testing.T) {
	var out strings.Builder
	if err := run(&out); err != nil {
		t.Fatal(err)
	}
	want := `ways to place 9 queens: 352
81 calls, of which computed: 10
ways through a grid of 16 by 16: 601080390
of 17 * 17 cells computed: 288
`
	if out.String() != want {
		t.Errorf("got:\n%swant:\n%s", &out, want)
	}
}

func TestOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		double := Memoise(10, func(n int) int {
			calls.Add(1)
			time.Sleep(time.Second)
			return 2 * n
		})
		begin := time.Now()
		var group sync.WaitGroup
		for i := range 100 {
			group.Go(func() {
				if got := double(i % 2); got != 2*(i%2) {
					t.Errorf("double(%d) = %d", i%2, got)
				}
			})
		}
		group.Wait()
		if calls.Load() != 2 || time.Since(begin) != time.Second {
			t.Errorf("%d calls in %v, want 2 in 1s", calls.Load(), time.Since(begin))
		}
	})
}

// A panic reaches the caller, and the argument can be tried again.
func TestPanic(t *testing.T) {
	fail := true
	f := Memoise(10, func(int) int {
		if fail {
			panic("no")
		}
		return 1
	})
	func() {
		defer func() {
			if recover() != "no" {
				t.Error("the panic did not reach the caller")
			}
		}()
		f(0)
	}()
	fail = false
	if got := f(0); got != 1 {
		t.Errorf("after a panic f(0) = %d, want 1", got)
	}
}

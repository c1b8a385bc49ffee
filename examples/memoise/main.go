// Command memoise remembers what an expensive function returned. Goroutines that need
// the same result at the same time have it computed once.
//
//	go run ./memoise
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"sync"
	"sync/atomic"

	"github.com/dualcache-ff/dualcache"
)

func main() {
	if err := run(os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// Memoise returns f with a memory for the results of up to capacity arguments. f must
// depend on its argument alone. It may call the new function for other arguments.
func Memoise[K comparable, V any](capacity int, f func(K) V) func(K) V {
	results := dualcache.Must(dualcache.Config[K, V]{Capacity: capacity})
	compute := func(_ context.Context, arg K) (V, error) { return f(arg), nil }
	return func(arg K) V {
		result, _ := results.GetOrLoad(context.Background(), arg, compute) // f does not fail
		return result
	}
}

func run(out io.Writer) error {
	var calls atomic.Int64
	solve := Memoise(100, func(n int) int {
		calls.Add(1)
		return queens(n, 0, 0, 0)
	})
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for n := range 10 {
				solve(n)
			}
		})
	}
	group.Wait()
	fmt.Fprintf(out, "ways to place 9 queens: %d\n", solve(9))
	fmt.Fprintf(out, "81 calls, of which computed: %d\n", calls.Load())

	// A function that calls itself gets its own results from the cache.
	calls.Store(0)
	var paths func(cell) int
	paths = Memoise(10_000, func(c cell) int {
		calls.Add(1)
		if c.x == 0 || c.y == 0 {
			return 1
		}
		return paths(cell{c.x - 1, c.y}) + paths(cell{c.x, c.y - 1})
	})
	fmt.Fprintf(out, "ways through a grid of 16 by 16: %d\n", paths(cell{16, 16}))
	fmt.Fprintf(out, "of 17 * 17 cells computed: %d\n", calls.Load())
	return nil
}

type cell struct{ x, y int }

// queens counts the ways to place queens on the rows left of an n by n board, so that
// none attacks another. The bits are the columns and diagonals that are taken.
func queens(n int, columns, left, right uint) (ways int) {
	all := uint(1)<<n - 1
	if columns == all {
		return 1
	}
	for free := all &^ (columns | left | right); free != 0; free &= free - 1 {
		place := free & -free
		ways += queens(n, columns|place, (left|place)<<1, (right|place)>>1)
	}
	return ways
}

// Command ratelimit allows each client so many requests in a window of time, with one
// counter for each client that has been here lately.
//
//	go run ./ratelimit
package main

import (
	"fmt"
	"io"
	"log"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dualcache-ff/dualcache"
)

func main() {
	if err := run(os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// A Limiter allows limit requests in each window. A client's window begins with its
// first request.
type Limiter struct {
	limit   int
	length  time.Duration
	windows *dualcache.Cache[string, window]
}

type window struct {
	requests int
	ends     time.Time
}

// NewLimiter makes a limiter for about so many clients at a time. If there are more,
// some of them are forgotten early, and begin again.
func NewLimiter(clients, limit int, length time.Duration) *Limiter {
	return &Limiter{limit, length, dualcache.Must(dualcache.Config[string, window]{Capacity: clients})}
}

// Close forgets all clients.
func (l *Limiter) Close() { l.windows.Close() }

// Allow reports whether a client may make a request, and counts it if so.
func (l *Limiter) Allow(client string) (allowed bool) {
	// The function is called again if another request of this client came between.
	l.windows.Compute(client, func(w window, found bool) (window, dualcache.Op) {
		now := time.Now()
		if !found || !now.Before(w.ends) {
			w = window{ends: now.Add(l.length)}
		}
		if allowed = w.requests < l.limit; !allowed {
			return w, dualcache.OpKeep // a client that is refused costs no write
		}
		w.requests++
		return w, dualcache.SetFor(w.ends.Sub(now)) // the counter goes when the window ends
	})
	return allowed
}

func run(out io.Writer) error {
	const length = 500 * time.Millisecond
	limiter := NewLimiter(10_000, 100, length)
	defer limiter.Close()
	for round := range 2 {
		for _, client := range []string{"192.0.2.1", "192.0.2.2"} {
			var allowed atomic.Int64
			var group sync.WaitGroup
			for range 8 {
				group.Go(func() {
					for range 50 {
						if limiter.Allow(client) {
							allowed.Add(1)
						}
					}
				})
			}
			group.Wait()
			fmt.Fprintf(out, "round %d, %s: %d of 400 requests allowed\n", round+1, client, allowed.Load())
		}
		time.Sleep(length)
	}
	return nil
}

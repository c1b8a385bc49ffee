package main

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/dualcache-ff/dualcache/benchmarks/internal/peers"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/sim"
)

// A contender is a cache or a simulated policy.
type contender struct {
	name string
	real bool
	// replay asks an empty cache for all keys, in order, and returns the number
	// of hits.
	replay func(ids []uint32, capacity, goroutines int) int
}

// A churner is as much of a cache as a replay needs. A peers.Cache is one.
type churner interface {
	// Churn reads every key and writes those it misses.
	Churn(ids []uint32) peers.Tally
	Close()
}

// contenders lists all there are, in the order in which they are reported.
func contenders() []contender {
	var all []contender
	for _, name := range []string{"dualcache", "otter", "theine", "ristretto", "golang-lru", "2q", "arc", "ttlcache"} {
		selected, err := peers.Select(name)
		if err != nil {
			panic(err) // The names are constants.
		}
		build := selected[0].Ints
		all = append(all, realCache(name, func(capacity int) churner { return build(capacity) }))
	}
	for _, m := range sim.Makers {
		all = append(all, contender{
			name: m.Name,
			replay: func(ids []uint32, capacity, _ int) int {
				return sim.Replay(m.New(capacity, ids), ids)
			},
		})
	}
	return all
}

func realCache(name string, build func(capacity int) churner) contender {
	return contender{
		name: name,
		real: true,
		replay: func(ids []uint32, capacity, goroutines int) int {
			c := build(capacity)
			defer c.Close()
			return share(c, ids, goroutines)
		},
	}
}

// batch is how many keys a goroutine takes at a time. Small enough for the
// stream to stay in order, but for what a real server would mix up as well.
const batch = 64

// share lets goroutines work through the keys together.
func share(c churner, ids []uint32, goroutines int) int {
	if goroutines == 1 {
		return c.Churn(ids).Hits
	}
	var next, hits atomic.Int64
	var group sync.WaitGroup
	for range goroutines {
		group.Add(1)
		go func() {
			defer group.Done()
			for {
				end := int(next.Add(batch))
				start := end - batch
				if start >= len(ids) {
					return
				}
				hits.Add(int64(c.Churn(ids[start:min(end, len(ids))]).Hits))
			}
		}()
	}
	group.Wait()
	return int(hits.Load())
}

// allNames returns the names of all contenders.
func allNames() []string {
	var names []string
	for _, c := range contenders() {
		names = append(names, c.name)
	}
	return names
}

// selectContenders returns those of a comma-separated list of names, in the
// order of the list.
func selectContenders(list string) ([]contender, error) {
	byName := make(map[string]contender)
	for _, c := range contenders() {
		byName[c.name] = c
	}
	var selected []contender
	for _, name := range strings.Split(list, ",") {
		c, ok := byName[strings.TrimSpace(name)]
		if !ok {
			return nil, fmt.Errorf("unknown cache %q; there are %s", name, strings.Join(allNames(), ", "))
		}
		selected = append(selected, c)
	}
	return selected, nil
}

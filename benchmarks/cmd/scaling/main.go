// Command scaling measures operations per second over the number of Ps, and
// over the size of caches that evict, all caches in turn.
package main

import (
	"github.com/dualcache-ff/dualcache/benchmarks/internal/suite"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/throughput"
)

func main() { suite.Main("scaling", throughput.Scaling) }

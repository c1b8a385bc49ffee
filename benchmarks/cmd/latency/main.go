// Command latency measures percentiles of the time that operations take which
// arrive at a fixed rate, waiting included.
package main

import (
	"github.com/dualcache-ff/dualcache/benchmarks/internal/latency"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/suite"
)

func main() { suite.Main("latency", latency.Command) }

// Command memory measures live heap and resident memory by entry, the time of a
// collection, and the collector's share of the CPU under churn.
package main

import (
	"github.com/dualcache-ff/dualcache/benchmarks/internal/memory"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/suite"
)

func main() { suite.Main("memory", memory.Command) }

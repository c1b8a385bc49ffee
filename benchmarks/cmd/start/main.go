// Command start measures the time and the memory that it takes to build a cache
// and to fill it.
package main

import (
	"github.com/dualcache-ff/dualcache/benchmarks/internal/start"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/suite"
)

func main() { suite.Main("start", start.Command) }

// Command speed measures operations per second, all caches in turn, slice after
// slice in one process: reading, a mix, writing, cache-aside, one hot key, and a
// scan; uint64 and string keys; values of 8, 64 and 256 bytes; 1k to 10M
// entries; one P and all; 1 to 10,000 goroutines.
package main

import (
	"github.com/dualcache-ff/dualcache/benchmarks/internal/suite"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/throughput"
)

func main() { suite.Main("speed", throughput.Speed) }

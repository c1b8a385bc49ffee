// Command all makes all measurements but hit ratios: speed, scaling, latency,
// memory and start, one after another, with their tables, CSV files and charts.
//
//	go run ./cmd/all           # into ../docs
//	go run ./cmd/all -quick    # to try it out, into results
//	go run ./cmd/all -draw     # charts anew, from the CSV files
package main

import (
	"github.com/dualcache-ff/dualcache/benchmarks/internal/latency"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/memory"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/start"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/suite"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/throughput"
)

// commands are in the order in which they run: those that need the most quiet
// first.
var commands = []suite.Command{
	latency.Command, throughput.Speed, throughput.Scaling, memory.Command, start.Command,
}

func main() { suite.Main("all", commands...) }

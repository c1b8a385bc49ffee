// Package benchmarks compares dualcache with other in-memory caches for Go.
//
// It is a module of its own, so that the library depends on none of them. The
// package holds nothing but Go benchmarks; the command cmd/ratios runs the same
// workloads turn by turn in one process, which is the better choice on a
// machine that is not quiet. README.md explains what is measured and how to
// read it.
package benchmarks

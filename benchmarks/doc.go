// Package benchmarks compares dualcache with other in-memory caches for Go.
//
// It is a module of its own, so that the library depends on none of them. The
// package holds nothing but Go benchmarks. The commands below cmd measure more,
// and are the better choice on a machine that is not quiet: they run caches turn
// by turn. README.md explains what is measured and how to read it.
package benchmarks

// Package linearizability holds the caches of package dualcache to the register
// that their guarantees promise, by porcupine's linearizability checker. It is
// a module of its own, so that the library depends on no checker, and it uses
// the library's public API only. There is nothing in it but tests.
//
//	go test ./...                          about half a minute
//	go test -short ./...                   a few seconds
//	go test -race ./...                    the portable pin, poison and yield points
//	go test -tags cachedebug ./...         poison and yield points without the race detector
//	go test -timeout 0 -run Histories -long 1h
//
// Flags (after the package, or before it with a single package):
//
//	-long d        run TestHistories for d
//	-seed n        seed of the histories; 0, the default, draws one
//	-artifacts d   directory for histories that fail; default: the system's
//	               directory for temporary files
//
// A history that fails is written as an HTML page by porcupine, and the path is
// in the test's message, with the history in words, cut down to the operations
// that are needed to see the fault. A seed gives the same operations again, but
// the interleaving is the machine's.
//
// What is checked, with the numbers of the library's guarantees:
//
//	G1   each key is one register that may become empty and never un-empties
//	     without a Set; no torn value; no value of another key
//	G2   a Set is seen by its own goroutine and all others once it has returned
//	G3   Len is at most Capacity at rest, and no fewer than the keys then found
//	G11  an entry is absent from its deadline on, and not before
//	     (the latter in caches that never evict)
//	G12  a load or Refresh stores only if its key has not been changed since it
//	     began, and is joined by nobody who came after a change
//
// for Get, Peek, GetEntry, Contains, GetMany, All, Set, SetWithTTL, SetMany, GetOrSet,
// Compute, Delete, GetAndDelete, DeleteFunc, Clear, GetOrLoad, GetOrLoadMany, Refresh
// and RefreshAfter, with eviction, weights, both kinds of expiry, a listener, a
// capacity that changes and an index that grows.
//
// Files:
//
//	model_test.go            the register, and why a deterministic one will do
//	history_test.go          random histories: scripts, clients, company
//	subject_test.go          caches of all shapes behind one interface
//	checker_test.go          partition, verdict, diagnosis, artifacts
//	linearizability_test.go  TestHistories: the caches themselves
//	mended_test.go           violations that have been found, and mended
//	invariants_test.go       what can be said without a checker
//	faults_test.go           seeded bugs that the checker has to catch
//	instrument_test.go       tests of the clock and of the model
package linearizability

// Package dualcache is an in-process cache: a bounded concurrent map that
// forgets what is used least.
//
//	cache := dualcache.Must(dualcache.Config[string, int]{Capacity: 10_000})
//	cache.Set("answer", 42)
//	value, ok := cache.Get("answer")
//
// # Guarantees
//
// Code and tests refer to these numbers.
//
//   - G1 Coherent. A key is one linearizable register that may become empty by
//     itself (eviction, expiry). Once a Set, Delete or Clear has returned, no Get
//     that begins later returns an older value. A key that was missed is not
//     found again without a new Set. Values are never torn.
//   - G2 Visible. A Set is visible to every goroutine before it returns, and no
//     new key is refused for being new. A Set that finds the reserve of nodes
//     exhausted, because a reader's thread has been stopped for long, is refused,
//     counted, and removes the older value.
//   - G3 Bounded. Len never exceeds Capacity. No queue or table grows without
//     limit.
//   - G4 Wait-free reads. Get finishes in a bounded number of steps, allocates
//     nothing, takes no lock, and writes to no line shared with other Ps but, at
//     most once per rank step, the entry's rank.
//   - G5 Writers never wait for the daemon, for a reader or for user code. Set and
//     Delete allocate nothing once the cache has grown. The queues to the daemon
//     carry hints only; losses are counted.
//   - G6 Safe reclamation. A node is written again only after a grace period.
//   - G7 The hasher never runs inside a critical section, may call the cache, and
//     may panic.
//   - G8 Life cycle. No goroutine survives Close, nor a cache that has become
//     unreachable. All methods are safe after Close. A cache at rest costs no CPU.
//   - G9 Config{Capacity: n} is a good cache.
//   - G10 Hostile keys. Hashes are seeded per cache; no keys make an operation
//     slower than its bounded probe.
//   - G11 Expiry is exact at the door: an entry is absent from its deadline on.
//     Its memory follows within about half a second.
//
// # What it does not do
//
// There are no loaders, no listeners, no weights and no snapshots. Eviction is by
// a clock with ranks 0 to 3.
//
// # Terms
//
// Hazard: what a reader publishes to keep a node (Michael, 2004). Grace period:
// the time after which no reader can hold what was retired before it. Retire: to
// hand an unlinked node to the reclaimers. Pin: to stay on one P. Rank: how often
// the clock hand passes an entry by. Tag: seven bits of a hash, compared eight at
// a time.
//
// # Files
//
//	cache.go       Get, and the values of nodes
//	write.go       Set, Delete, Clear
//	config.go      Config, New, sizes
//	hash.go        hashing of keys
//	tiers.go       index, T1 and T2
//	arena.go       nodes, slabs, free lists
//	qsbr.go        workers, hazards, grace periods
//	pin_*.go       the pin, of the runtime and portable
//	barrier_*.go   membarrier(2)
//	hugepage_*.go  advice on large blocks
//	lossyqueue.go  records for the pass
//	daemon.go      the pass, the timer, Sync, Close
//	policy.go      the clock
//	expiry.go      deadlines
//	stats.go       Stats, Len
//	debug_*.go     poison and yield points of debug builds
package dualcache

// Package dualcache is an in-process cache: a bounded map for any number of
// goroutines that evicts what has been read least of late. Entries live in
// large blocks, so that the garbage collector does not look at them one by one.
//
//	cache := dualcache.Must(dualcache.Config[string, int]{Capacity: 10_000})
//	defer cache.Close()
//	cache.Set("answer", 42)
//	value, ok := cache.Get("answer")
//
// # Guarantees
//
// Code and tests refer to these numbers.
//
//   - G1 Coherent. Each key is one linearizable register that may become empty
//     by itself (eviction, expiry). Once a Set, Delete or Clear has returned, no
//     Get that begins later, in any goroutine, returns an older value. A key
//     that was missed is not found again without a new Set. Values are never
//     torn.
//   - G2 Visible. A Set is visible to every goroutine before it returns. No key
//     is refused for being new. A Set is refused in one case only: spare nodes
//     have run out and cannot be reclaimed, because a reader's thread has been
//     stopped in the middle of a Get. The writer then reclaims and yields, adds
//     nodes up to a fixed limit, and tries on for some milliseconds before it
//     gives up. A refusal removes the older value of the key and is counted in
//     Stats.Refusals.
//   - G3 Bounded. Len never exceeds Capacity, not even while Sets run. Memory is
//     bounded too: there are at most Capacity nodes and a reserve, which is at
//     most 2048 and 132 for each P, and no queue or table grows without limit.
//     A cache that has been full keeps a few places free, so as to have room
//     before it is needed.
//   - G4 Wait-free reads. Get finishes in a bounded number of steps whatever
//     other goroutines do. It allocates nothing and takes no lock. It writes
//     to memory of its own P only, and to the entry's rank, at most three times
//     between two visits of the clock's hand.
//   - G5 Independent writers. Set and Delete wait neither for the daemon, nor for
//     readers, nor for user code. Writers to one bucket share a lock that is held
//     for some tens of nanoseconds. Set and Delete allocate nothing once the
//     cache has grown. What is queued for the daemon is hints: losing them costs
//     hit ratio, never an entry. Losses are counted in Stats.
//   - G6 Safe reclamation. The memory of an entry is used again only when no
//     reader can hold it any more. Debug builds (-tags cachedebug, or the race
//     detector) stop the process where this is broken.
//   - G7 Callbacks. Config.Hasher, the only one so far, never runs under an
//     internal lock or pin. It may call the cache. If it panics, the caller sees
//     the panic, and the cache goes on working.
//   - G8 Life cycle. No goroutine survives Close, nor a cache that has become
//     unreachable; so Close is optional. Every method may be called after Close:
//     Gets miss, Sets do nothing. A cache at rest costs no CPU. It works inside a
//     testing/synctest bubble.
//   - G9 Sensible by default. Config{Capacity: n} needs nothing added.
//   - G10 Hostile keys. Hashes are seeded for each cache. To look a key up
//     takes at most four buckets, whatever the keys. A Config.Hasher that gives
//     many keys the same hash gives this protection up: those keys share a few
//     buckets and evict each other.
//   - G11 Exact expiry. Every operation treats an entry as absent from its
//     deadline on. Its memory follows within about half a second, without traffic
//     on the key; in a headless cache this takes a Tick or a Sync. All durations
//     are legal, up to the longest. Len counts an expired entry until it is
//     removed. To save readings of the clock, a Get may rely on the time that a
//     busy daemon publishes each tick, with a margin of four seconds: only where
//     the daemon's timer is held up for longer, as in a process that is stopped
//     and continued, may the first Gets afterwards still return an entry that
//     has expired in between.
//
// # What it does not do
//
// There is no loader, no listener for removals, no weight or cost of entries, no
// refresh, no iteration and no snapshot. Expiry is by time since the Set, not
// since the last Get. Eviction is by a clock with ranks 0 to 3; it does not
// adapt to the load, and has no memory of keys that have left. The capacity is
// fixed when the cache is made, and slabs are kept until the cache is collected.
// Clear is atomic for each key, not as a whole. A key that does not equal itself,
// such as a NaN, can be set and is never found, as in a map.
//
// # Terms
//
//   - P: a processor of the Go runtime; there are GOMAXPROCS of them.
//   - Pin: to keep a goroutine on its P for the length of a critical section, as
//     sync.Pool does.
//   - Worker: what one P has for itself: counters, queues, spare nodes, a hazard.
//   - Node, slab, slot: an entry's memory, a block of nodes, and a node's number.
//     The index holds slots, never pointers.
//   - Magazine: a worker's own stock of spare nodes (Bonwick and Adams,
//     "Magazines and Vmem", 2001). The common stock is a Treiber stack (Treiber,
//     "Systems Programming: Coping with Parallelism", 1986), with a counter
//     against ABA.
//   - Tag: seven bits of a hash, kept in a byte of the bucket. Eight are compared
//     at once in a register: SWAR, SIMD within a register (Fisher and Dietz,
//     1998), as in the Swiss tables of Abseil and Go.
//   - Hazard: the slot that a reader publishes to keep its node (Michael, "Hazard
//     Pointers: Safe Memory Reclamation for Lock-Free Objects", 2004).
//   - Asymmetric fence: readers use plain stores, and the reclaimer makes every
//     CPU pass a fence, by membarrier(2) (Dice, Herlihy and Kogan, "Fast
//     Non-intrusive Memory Reclamation for Highly-Concurrent Data Structures",
//     2016). Where it is not to be had, readers use atomic stores.
//   - Retire, grace period: to hand over a node that has been unlinked, and the
//     time until no reader can hold it.
//   - Clock, hand, rank: the eviction policy. A hand goes round the nodes and
//     takes the first of rank 0; others lose a rank. A hit raises it. (Corbató,
//     "A Paging Experiment with the Multics System", 1968; with more than one
//     bit: Smith, "Sequentiality and Prefetching in Database Systems", 1978.)
//   - Permit: the right to one entry in the index. There are Capacity of them.
//   - Pass: one round of maintenance, under a try-lock, by the daemon or by a
//     writer that needs room.
//   - Tiers T1 and T2: small direct-mapped tables of hot entries before the index.
//     They are off unless configured.
//   - Headless: without a daemon of its own; the caller drives maintenance.
//
// # Files
//
//	cache.go          Cache and Get; how values are read and stored
//	write.go          Set, Delete, Clear; permits and making room
//	config.go         Config, New, sizes, WithMemoryBudget
//	hash.go           hashing of keys
//	tiers.go          the index, and the tiers T1 and T2
//	arena.go          nodes, slabs, free nodes
//	hugepage_*.go     asking for huge pages
//	qsbr.go           workers, hazards, grace periods
//	barrier_*.go      membarrier(2), or nothing
//	pin_runtime.go    the pin by the Go runtime
//	pin_portable.go   the pin by lent workers
//	lossyqueue.go     queues of hints
//	daemon.go         the pass, the timer, headless caches, Sync, Close
//	policy.go         the eviction policy
//	expiry.go         deadlines and their removal
//	stats.go          Stats and Len
//	debug_*.go        poison and yield points of debug builds
package dualcache

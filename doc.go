// Package dualcache is an in-process cache: a bounded map for any number of
// goroutines that evicts what is least likely to be read again. Entries live in
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
//     is refused for being new. A Set is refused in one case only: all places
//     within reach of its key wait for a reader whose thread has been stopped in
//     the middle of a Get. The writer then frees what can be freed, yields, and
//     tries on for some ten milliseconds before it gives up. A refusal removes the
//     older value of the key and is counted in Stats.Refusals.
//   - G3 Bounded. Len never exceeds Capacity, not even while Sets run. Memory is
//     bounded too, by about what a full cache takes; while a cache grows, it takes
//     a quarter more at most. No queue and no table grows without limit. A cache
//     that has been full keeps a few places free, so as to have room before it is
//     needed.
//   - G4 Wait-free reads. Get finishes in a bounded number of steps whatever
//     other goroutines do. It allocates nothing and takes no lock. It writes
//     to memory of its own P only, and to the entry's policy word, once for each
//     step of its rank and once in each 64th of a capacity of evictions at most.
//   - G5 Independent writers. Set and Delete wait neither for the daemon, nor for
//     readers, nor for user code. Writers to one bucket share a lock that is held
//     for some tens of nanoseconds. Set and Delete allocate nothing once the
//     cache has grown. What is queued for the daemon is hints: losing them costs
//     hit ratio, never an entry. Losses are counted in Stats.
//   - G6 Safe reclamation. The memory of an entry is used again only after a grace
//     period: when no reader can hold it any more. Debug builds (-tags cachedebug, or the race
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
//     takes at most eight buckets, whatever the keys, and nearly always one. A
//     Config.Hasher that gives many keys the same hash gives this protection up:
//     those keys share a few buckets and evict each other.
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
// since the last Get. The capacity is fixed when the cache is made, and its tables
// are kept until the cache is collected. Clear is atomic for each key, not as a
// whole. A key that does not equal itself, such as a NaN, can be set and is never
// found, as in a map. About one key in 100,000 of a completely full cache finds no
// place within its reach, and replaces an entry there.
//
// # Terms
//
//   - P: a processor of the Go runtime; there are GOMAXPROCS of them.
//   - Pin: to keep a goroutine on its P for the length of a critical section, as
//     sync.Pool does.
//   - Worker: what one P has for itself: counters, queues, a hazard.
//   - Bucket, home, place: six entries with a head word; the bucket that a key's
//     hash names; one of the six. A slot is a place's number. (As the sets of a
//     processor's cache, with open addressing between them: Knuth, vol. 3, 6.4.)
//   - Tag: seven bits of a hash, kept in a byte of the head. Six are compared at
//     once in a register: SWAR, SIMD within a register (Fisher and Dietz, 1998), as
//     in the Swiss tables of Abseil and Go.
//   - Mark: a bit of the home's head that says that entries of this home lie so many
//     steps from it.
//   - Section: what lies between pin and unpin (a critical section of RCU).
//   - Retire, grace period: to unlink an entry, and the time until every section
//     that could have seen it has ended (McKenney and Slingwine, 1998; Fraser, 2004).
//   - Hazard: the bucket that a section reads (Michael, "Hazard Pointers: Safe Memory
//     Reclamation for Lock-Free Objects", 2004).
//   - Asymmetric fence: readers use plain stores, and the reclaimer makes every
//     CPU pass a fence, by membarrier(2) (Dice, Herlihy and Kogan, "Fast
//     Non-intrusive Memory Reclamation for Highly-Concurrent Data Structures",
//     2016). Where it is not to be had, readers use atomic stores.
//   - Window, main, ghost, rank, contest: the parts of the eviction policy, see
//     policy.go, with their sources.
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
//	arena.go          buckets, tables, slots
//	tiers.go          the index, and the tiers T1 and T2
//	grow.go           larger tables, and the way there
//	hugepage_*.go     asking for huge pages
//	qsbr.go           workers, hazards, grace periods
//	barrier_*.go      membarrier(2), or nothing
//	pin_runtime.go    the pin by the Go runtime
//	pin_portable.go   the pin by lent workers
//	lossyqueue.go     queues of hints
//	daemon.go         the pass, the timer, headless caches, Sync, Close
//	policy.go         the eviction policy
//	filter.go         what it remembers of keys that have left
//	expiry.go         deadlines and their removal
//	stats.go          Stats and Len
//	debug_*.go        poison and yield points of debug builds
package dualcache

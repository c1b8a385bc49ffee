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
//     by itself (eviction, expiry). Once a Set, Delete, Compute or Clear has
//     returned, no Get that begins later, in any goroutine, returns an older value. A key
//     that was missed is not found again without a new Set. Values are never
//     torn.
//   - G2 Visible. A Set is visible to every goroutine before it returns. No key
//     is refused for being new. A Set is refused in three cases: its entry is heavier
//     than Config.MaxWeight; all entries that could make room for it are pinned, by
//     weight 0; or all places within reach of its key wait for a reader whose
//     thread has been stopped in the middle of a Get. In the last case the writer
//     frees what can be freed, yields, and tries on for some ten milliseconds before
//     it gives up. A refusal removes the older value of the key and is counted in
//     Stats.Refusals.
//   - G3 Bounded. Len never exceeds Capacity, and Weight never exceeds
//     Config.MaxWeight, not even while Sets run. Memory is bounded too, by about
//     what a full cache takes; while a cache grows, it takes a quarter more at most.
//     No queue and no table grows without limit; reports to a listener that is too
//     slow slow the writers down. A cache that has been full keeps a few places
//     free, so as to have room before it is needed.
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
//   - G7 Callbacks. Functions of the user (Hasher, Expiry, Weigher, Loader,
//     OnRemoval, Clock, and what is given to Compute, DeleteFunc and iterations)
//     never run under an internal lock or pin. They may call the cache. If one
//     panics, the caller of the cache's method sees the panic, and the cache goes on
//     working; panics of OnRemoval and of background reloads, which have no caller,
//     are counted.
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
//     removed. To save readings of the clock, an entry whose deadline is more than
//     four seconds away is taken for live until the daemon has marked it: only where
//     the daemon's timer is held up for longer than that, as in a process that is
//     stopped and continued, may the first Gets afterwards still return an entry
//     that has expired in between.
//   - G12 Loads. At most one current load runs for a key; a call that begins after
//     a Set, Delete, Compute or Clear never joins a load that began before it. A
//     load that began before a Set, Delete, Compute or Clear of its key never
//     overwrites it. Those who wait follow their own context.
//
// # What it does not do
//
// Tables are made for the Capacity of the configuration and are kept until the cache
// is collected; SetCapacity makes them smaller in use, not in memory. Clear is
// atomic for each key, not as a whole. A key that does not equal itself, such as a
// NaN, can be set and is never found, as in a map. About one key in 100,000 of a
// completely full cache finds no place within its reach, and replaces an entry there.
// Eviction weighs how entries are used, not how heavy they are.
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
//   - Due: said of an entry about which the clock decides, because its deadline is
//     near. A bit in its bucket's head.
//   - Pinned: said of an entry of weight 0, which is not evicted.
//   - Ticket: what lets a load store its result, unless its key has been set or
//     deleted since the load began.
//   - Pass: one round of maintenance, under a try-lock, by the daemon or by a
//     writer that needs room.
//   - Tiers T1 and T2: small direct-mapped tables of hot entries before the index.
//     They are off unless configured.
//   - Headless: without a daemon of its own; the caller drives maintenance.
//
// # Files
//
//	cache.go          Cache and Get; how values are read and stored
//	write.go          the change of one key, which Set, Delete and the others are; Clear
//	room.go           permits, weights, making room; SetCapacity
//	compound.go       Compute, GetOrSet, Peek, GetMany and others
//	load.go           GetOrLoad, Refresh, reloads in the background
//	listener.go       Config.OnRemoval
//	iterate.go        All, Keys, Values, Hottest, Coldest
//	snapshot.go       WriteTo, ReadFrom, SaveFile, LoadFile
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
//	expiry.go         deadlines, due entries, and their removal
//	stats.go          Stats and Len
//	debug_*.go        poison and yield points of debug builds
package dualcache

// Dualcache is built with its capacity alone; every other field keeps its
// default. Its statistics cannot be turned off and are part of every figure.
// Sync is what settles it: it returns when pending accesses and writes have
// reached the policy.
package peers

import "github.com/dualcache-ff/dualcache"

var dualPeer = Peer{
	Name:   "dualcache",
	Module: "github.com/dualcache-ff/dualcache",
	Ints: func(capacity int) Cache {
		return dualInts{newDual[uint64, uint64](capacity)}
	},
	Ints64: func(capacity int) Cache {
		return dualInts64{newDual[uint64, Value64](capacity)}
	},
	Ints256: func(capacity int) Cache {
		return dualInts256{newDual[uint64, Value256](capacity)}
	},
	Strings: func(capacity int, names []string) Cache {
		return dualStrings{newDual[string, uint64](capacity), names}
	},
}

func newDual[K comparable, V any](capacity int) *dualcache.Cache[K, V] {
	return must(dualcache.New(dualcache.Config[K, V]{Capacity: capacity}))
}

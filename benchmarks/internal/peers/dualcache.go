// Dualcache is built with its capacity alone; every other field keeps its
// default. Its statistics cannot be turned off and are part of every figure.
// Sync is what settles it: it returns when pending accesses and writes have
// reached the policy.
package peers

import "github.com/dualcache-ff/dualcache"

var dualPeer = Peer{
	Name: "dualcache",
	Ints: func(capacity int) Cache {
		return dualInts{newDual[uint64](capacity)}
	},
	Strings: func(capacity int, names []string) Cache {
		return dualStrings{newDual[string](capacity), names}
	},
}

func newDual[K comparable](capacity int) *dualcache.Cache[K, uint64] {
	return must(dualcache.New(dualcache.Config[K, uint64]{Capacity: capacity}))
}

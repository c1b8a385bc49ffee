// Theine is built by its builder's defaults: no doorkeeper, no entry pool. It
// always counts hits and misses. Every entry has a cost of one.
package peers

import "github.com/Yiling-J/theine-go"

var theinePeer = Peer{
	Name:   "theine",
	Module: "github.com/Yiling-J/theine-go",
	Ints: func(capacity int) Cache {
		return theineInts{newTheine[uint64, uint64](capacity)}
	},
	Ints64: func(capacity int) Cache {
		return theineInts64{newTheine[uint64, Value64](capacity)}
	},
	Ints256: func(capacity int) Cache {
		return theineInts256{newTheine[uint64, Value256](capacity)}
	},
	Strings: func(capacity int, names []string) Cache {
		return theineStrings{newTheine[string, uint64](capacity), names}
	},
}

func newTheine[K comparable, V any](capacity int) *theine.Cache[K, V] {
	return must(theine.NewBuilder[K, V](int64(capacity)).Build())
}

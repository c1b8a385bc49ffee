// Theine is built by its builder's defaults: no doorkeeper, no entry pool. It
// always counts hits and misses. Every entry has a cost of one.
package peers

import "github.com/Yiling-J/theine-go"

var theinePeer = Peer{
	Name: "theine",
	Ints: func(capacity int) Cache {
		return theineInts{newTheine[uint64](capacity)}
	},
	Strings: func(capacity int, names []string) Cache {
		return theineStrings{newTheine[string](capacity), names}
	},
}

func newTheine[K comparable](capacity int) *theine.Cache[K, uint64] {
	return must(theine.NewBuilder[K, uint64](int64(capacity)).Build())
}

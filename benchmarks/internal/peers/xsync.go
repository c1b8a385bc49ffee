// The map of xsync is no cache: it evicts nothing, counts nothing and ignores
// its capacity. It is here as the ceiling, the price of looking up and storing
// in a concurrent hash table with no policy at all. In loads of more keys than
// the capacity it ends up holding all of them, so its hit ratio is that of an
// unbounded cache.
package peers

import "github.com/puzpuzpuz/xsync/v4"

var xsyncPeer = Peer{
	Name: "map",
	Ints: func(int) Cache {
		return xsyncInts{xsync.NewMap[uint64, uint64]()}
	},
	Strings: func(_ int, names []string) Cache {
		return xsyncStrings{xsync.NewMap[string, uint64](), names}
	},
}

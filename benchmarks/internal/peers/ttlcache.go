// Ttlcache is built with its capacity and no time to live, as everyone here.
// Its loop for expired entries has nothing to do then, and is not started. A
// Get takes the one lock and moves the entry to the front of an LRU list.
package peers

import "github.com/jellydator/ttlcache/v3"

var ttlPeer = Peer{
	Name:   "ttlcache",
	Module: "github.com/jellydator/ttlcache/v3",
	Ints: func(capacity int) Cache {
		return ttlInts{newTTL[uint64, uint64](capacity)}
	},
	Ints64: func(capacity int) Cache {
		return ttlInts64{newTTL[uint64, Value64](capacity)}
	},
	Ints256: func(capacity int) Cache {
		return ttlInts256{newTTL[uint64, Value256](capacity)}
	},
	Strings: func(capacity int, names []string) Cache {
		return ttlStrings{newTTL[string, uint64](capacity), names}
	},
}

// A ttlCache gives its methods the form that the loops call.
type ttlCache[K comparable, V any] struct{ c *ttlcache.Cache[K, V] }

func newTTL[K comparable, V any](capacity int) ttlCache[K, V] {
	return ttlCache[K, V]{ttlcache.New(ttlcache.WithCapacity[K, V](uint64(capacity)))}
}

func (t ttlCache[K, V]) find(key K) (value V, ok bool) {
	item := t.c.Get(key)
	if item == nil {
		return value, false
	}
	return item.Value(), true
}

func (t ttlCache[K, V]) put(key K, value V) { t.c.Set(key, value, ttlcache.NoTTL) }

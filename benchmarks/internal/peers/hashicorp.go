// The three caches of golang-lru are built by their plain constructors: an LRU,
// 2Q with its default shares (a quarter for recent entries, ghosts for half the
// capacity), and ARC, with ghosts for once the capacity. Each has one lock
// for all, taken by reads as well, and evicts at once.
package peers

import (
	"github.com/hashicorp/golang-lru/arc/v2"
	lru "github.com/hashicorp/golang-lru/v2"
)

var lruPeer = Peer{
	Name:   "golang-lru",
	Module: "github.com/hashicorp/golang-lru/v2",
	Ints: func(capacity int) Cache {
		return lruInts{must(lru.New[uint64, uint64](capacity))}
	},
	Ints64: func(capacity int) Cache {
		return lruInts64{must(lru.New[uint64, Value64](capacity))}
	},
	Ints256: func(capacity int) Cache {
		return lruInts256{must(lru.New[uint64, Value256](capacity))}
	},
	Strings: func(capacity int, names []string) Cache {
		return lruStrings{must(lru.New[string, uint64](capacity)), names}
	},
}

var twoQueuePeer = Peer{
	Name:   "2q",
	Module: "github.com/hashicorp/golang-lru/v2",
	Ints: func(capacity int) Cache {
		return twoQueueInts{newTwoQueue[uint64, uint64](capacity)}
	},
	Ints64: func(capacity int) Cache {
		return twoQueueInts64{newTwoQueue[uint64, Value64](capacity)}
	},
	Ints256: func(capacity int) Cache {
		return twoQueueInts256{newTwoQueue[uint64, Value256](capacity)}
	},
	Strings: func(capacity int, names []string) Cache {
		return twoQueueStrings{newTwoQueue[string, uint64](capacity), names}
	},
}

// newTwoQueue makes a cache of at least two entries: one of one has no room for
// a ghost, and is refused.
func newTwoQueue[K comparable, V any](capacity int) *lru.TwoQueueCache[K, V] {
	return must(lru.New2Q[K, V](max(capacity, 2)))
}

var arcPeer = Peer{
	Name:   "arc",
	Module: "github.com/hashicorp/golang-lru/arc/v2",
	Ints: func(capacity int) Cache {
		return arcInts{must(arc.NewARC[uint64, uint64](capacity))}
	},
	Ints64: func(capacity int) Cache {
		return arcInts64{must(arc.NewARC[uint64, Value64](capacity))}
	},
	Ints256: func(capacity int) Cache {
		return arcInts256{must(arc.NewARC[uint64, Value256](capacity))}
	},
	Strings: func(capacity int, names []string) Cache {
		return arcStrings{must(arc.NewARC[string, uint64](capacity)), names}
	},
}

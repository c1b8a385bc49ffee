// Otter is built with its maximum size alone. Statistics are off, its default:
// it counts only if given a StatsRecorder. It is not given an initial capacity
// either; its table has grown to size by the time anything is measured.
package peers

import "github.com/maypok86/otter/v2"

var otterPeer = Peer{
	Name:   "otter",
	Module: "github.com/maypok86/otter/v2",
	Ints: func(capacity int) Cache {
		return otterInts{newOtter[uint64, uint64](capacity)}
	},
	Ints64: func(capacity int) Cache {
		return otterInts64{newOtter[uint64, Value64](capacity)}
	},
	Ints256: func(capacity int) Cache {
		return otterInts256{newOtter[uint64, Value256](capacity)}
	},
	Strings: func(capacity int, names []string) Cache {
		return otterStrings{newOtter[string, uint64](capacity), names}
	},
}

func newOtter[K comparable, V any](capacity int) *otter.Cache[K, V] {
	return must(otter.New(&otter.Options[K, V]{MaximumSize: capacity}))
}

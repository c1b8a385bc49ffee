// Otter is built with its maximum size alone. Statistics are off, its default:
// it counts only if given a StatsRecorder. It is not given an initial capacity
// either; its table has grown to size by the time anything is measured.
package peers

import "github.com/maypok86/otter/v2"

var otterPeer = Peer{
	Name: "otter",
	Ints: func(capacity int) Cache {
		return otterInts{newOtter[uint64](capacity)}
	},
	Strings: func(capacity int, names []string) Cache {
		return otterStrings{newOtter[string](capacity), names}
	},
}

func newOtter[K comparable](capacity int) *otter.Cache[K, uint64] {
	return must(otter.New(&otter.Options[K, uint64]{MaximumSize: capacity}))
}

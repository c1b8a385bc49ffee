// Ristretto is built with the ten counters per entry and the read buffers of
// 64 items its documentation recommends, every entry at a cost of one with no
// internal cost added, and statistics off, its default.
//
// Its figures need care. Set only queues a new key: the entry appears later,
// or never, because a full queue drops the Set and so may the admission
// policy. Set of a resident key stores the value at once, but may drop the
// news of it on its way to the policy. Reads are sampled and likewise dropped
// under load. A loop of Sets hence measures how fast it takes requests, not
// how fast it serves them, and its hit ratio has to be read along.
package peers

import "github.com/dgraph-io/ristretto/v2"

var ristrettoPeer = Peer{
	Name:   "ristretto",
	Module: "github.com/dgraph-io/ristretto/v2",
	Ints: func(capacity int) Cache {
		return ristrettoInts{newRistretto[uint64, uint64](capacity)}
	},
	Ints64: func(capacity int) Cache {
		return ristrettoInts64{newRistretto[uint64, Value64](capacity)}
	},
	Ints256: func(capacity int) Cache {
		return ristrettoInts256{newRistretto[uint64, Value256](capacity)}
	},
	Strings: func(capacity int, names []string) Cache {
		return ristrettoStrings{newRistretto[string, uint64](capacity), names}
	},
}

func newRistretto[K ristretto.Key, V any](capacity int) *ristretto.Cache[K, V] {
	return must(ristretto.NewCache(&ristretto.Config[K, V]{
		NumCounters:        10 * int64(capacity),
		MaxCost:            int64(capacity),
		BufferItems:        64,
		IgnoreInternalCost: true,
	}))
}

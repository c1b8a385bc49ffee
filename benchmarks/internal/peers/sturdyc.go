// Sturdyc is built as its documentation shows: ten shards, of which each evicts
// a tenth of its entries, the oldest, when a Set finds it full, even one of a
// key it has. Where keys are as many as there is room for, shards that get more
// than their share evict, so it holds a few percent less. It insists on a time
// to live, which is given as a day, and the goroutine that looks for expired
// entries, which cannot be stopped, is turned off. It takes string keys only
// and has no part in loads of others.
package peers

import (
	"time"

	"github.com/viccon/sturdyc"
)

const (
	sturdycShards  = 10
	sturdycEvicted = 10 // Percent.
	sturdycTTL     = 24 * time.Hour
)

var sturdycPeer = Peer{
	Name:   "sturdyc",
	Module: "github.com/viccon/sturdyc",
	Strings: func(capacity int, names []string) Cache {
		return sturdycStrings{
			sturdyc.New[uint64](capacity, sturdycShards, sturdycTTL, sturdycEvicted,
				sturdyc.WithNoContinuousEvictions()),
			names,
		}
	},
}

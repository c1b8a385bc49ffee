package dualcache

// The history: what is remembered of keys that have left (the ghosts of 2Q,
// VLDB '94, and ARC, FAST '03; with times, as in LIRS, SIGMETRICS '02). A key
// that comes back is told from one that is new, and how long it was away tells
// whether a larger window or a larger main region would have kept it. It takes
// the place of a frequency sketch, and of a filter that refuses: a new key is
// never refused here, it only starts in the window.
//
// There is a set of eight records for each home of the index, about two for each
// entry of the cache. It shares a line of memory with the positions of the bucket
// of that number (arena.go): who looks at one mostly needs the other. A record is
// 32 bits:
//
//	bits 16..31  fingerprint, of the low half of the hash
//	bit  15      dropped from main, else from the window
//	bits 13..14  frequency
//	bits 0..12   tick at which it was last read (window) or dropped (main)
//
// The home is given by the high half of the hash, so two keys of the same home
// are taken for one another once in 65,536 pairs; this costs a misplaced entry.
//
// Only the holder of the pass lock uses it.
type ghosts [ghostWays]uint32

const (
	ghostWays    = 8
	ghostMain    = 1 << 15
	ghostFreq    = 13
	ghostStamp   = 1<<13 - 1
	ghostPrintAt = 16
)

// take finds a key's record, and takes it out.
func (g *ghosts) take(low uint32) (ghost uint32, ok bool) {
	for i, r := range g {
		if r>>ghostPrintAt == low&0xffff && r != 0 {
			g[i] = 0
			return r, true
		}
	}
	return 0, false
}

// put adds a record in an empty place, or in that of the oldest. kind is
// ghostMain or 0.
func (g *ghosts) put(low, kind, freq, stamp, now uint32) {
	at, oldest := 0, uint32(0)
	for i, r := range g {
		if r == 0 {
			at = i
			break
		}
		if age := ghostAge(r, now); age >= oldest {
			at, oldest = i, age
		}
	}
	g[at] = low&0xffff<<ghostPrintAt | kind | freq<<ghostFreq | stamp&ghostStamp
}

func ghostAge(ghost, now uint32) uint32 { return (now - ghost) & ghostStamp }

func ghostFrequency(ghost uint32) uint32 { return ghost >> ghostFreq & maxFreq }

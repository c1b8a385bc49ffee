package sim

// A history remembers keys that were evicted, roughly: by fingerprints, in
// buckets of eight that are a cache line's half. A new one takes an empty way of
// its bucket, else the oldest. Two keys of one bucket are taken for each other
// once in 65,535 cases.
//
// Each ghost is a word: fingerprint (16 bits, never 0), kind (1), frequency (2),
// stamp (13). 0 is an empty way.
type history struct {
	ways []uint32
}

const (
	historyWays   = 8
	ghostTicks    = 1<<13 - 1 // mask of a stamp
	ghostFreqBits = 13
	ghostKindBit  = 15
	ghostTagBits  = 16
)

// A ghostKind says what a key was evicted from.
type ghostKind uint8

const (
	fromWindow ghostKind = iota
	fromMain
)

// A ghost is what is remembered of a key.
type ghost struct {
	kind ghostKind
	freq uint8
	age  tick // of its last access, if fromWindow, or of its eviction
}

func (h *history) init(entries int) {
	buckets := max((entries+historyWays-1)/historyWays, 1)
	h.ways = make([]uint32, buckets*historyWays)
}

// bucket returns a key's bucket and its fingerprint, which do not depend on each
// other.
func (h *history) bucket(key uint64) (ways []uint32, tag uint32) {
	sum := hash(key)
	at := historyWays * scale(sum, len(h.ways)/historyWays)
	return h.ways[at : at+historyWays], max(uint32(sum&0xffff), 1)
}

// add remembers a key that is not there now.
func (h *history) add(key uint64, kind ghostKind, freq uint8, stamp, now tick) {
	ways, tag := h.bucket(key)
	oldest := 0
	var most tick
	for i, w := range ways {
		if w == 0 {
			oldest = i
			break
		}
		if age := (now - tick(w)) & ghostTicks; age >= most {
			oldest, most = i, age
		}
	}
	ways[oldest] = tag<<ghostTagBits | uint32(kind)<<ghostKindBit |
		uint32(freq)<<ghostFreqBits | uint32(stamp&ghostTicks)
}

// take forgets a key, and returns what was remembered of it.
func (h *history) take(key uint64, now tick) (g ghost, ok bool) {
	ways, tag := h.bucket(key)
	for i, w := range ways {
		if w>>ghostTagBits == tag {
			ways[i] = 0
			return ghost{
				kind: ghostKind(w >> ghostKindBit & 1),
				freq: uint8(w >> ghostFreqBits & maxFreq),
				age:  (now - tick(w)) & ghostTicks,
			}, true
		}
	}
	return ghost{}, false
}

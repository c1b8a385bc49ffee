package dualcache

// The eviction policy: which entry leaves when a place is needed.
//
// A clock with ranks (Corbató 1968; generalised, Smith 1978): a hand goes round
// the arena; an entry of rank 0 under it leaves, any other loses a rank and
// stays. A hit raises the rank, to maxRank at most. A new entry starts at rank
// 0 in a slot that the hand has just left, and so has a whole turn to be
// read.
//
// Roles. Only the holder of the pass lock calls the methods, so there is no
// concurrency in the policy but one: nodes die and are given out again under
// it. Every change to a policy word is a compare-and-swap from what was looked
// at; a change that comes late fails, or, if the new life's word looks the
// same, changes a hint.
//
// The state of an entry is one word in its node, and this file alone knows
// what is in it: rank (bits 0 and 1), region (bits 30 and 31; zero in a list,
// see arena.go). A replacement inherits the word (rule 8).
type policy struct {
	arena *arena
	hand  uint32 // the slot looked at last; 1..made
}

const (
	maxRank      = 3
	rankBits     = 3
	regionMain   = 1 << 30
	firstPolicy  = regionMain // the word of a new entry
	policyRegion = 3 << 30
)

// hitInforms reports whether a hit on an entry with this policy word tells the
// policy anything. In a skewed stream it seldom does, and readers then record
// nothing. It may be called by anyone.
func hitInforms(word uint32) bool { return word&rankBits < maxRank }

func rankOf(word uint32) uint32 { return word & rankBits }

// hit notes an access to an entry, if it still is the one that was accessed.
// It reports its rank then. A record may name a node that was dead already when
// its reader left it: the word is then a link, which must not be touched.
func (p *policy) hit(slot, state uint32) (rank uint32, ok bool) {
	n := p.arena.header(slot)
	word := n.policy.Load()
	if !stateLive(state) || word&policyRegion == 0 || n.state.Load() != state {
		return 0, false
	}
	if !hitInforms(word) {
		return rankOf(word), true
	}
	return rankOf(word + 1), n.policy.CompareAndSwap(word, word+1)
}

// inserted notes a new entry.
func (p *policy) inserted(slot, state uint32) {}

// victim chooses the next entry to leave, and names the life it means. Slot 0
// says that the hand has found no live entry in all its turns.
func (p *policy) victim() (slot, state uint32) {
	made := p.arena.made.Load()
	for range (maxRank + 1) * (uint64(made) + 1) {
		if p.hand++; p.hand > made {
			p.hand = 1
		}
		if made == 0 {
			break
		}
		n := p.arena.header(p.hand)
		state, word := n.state.Load(), n.policy.Load()
		if !stateLive(state) || word&policyRegion == 0 {
			continue
		}
		if rankOf(word) == 0 {
			return p.hand, state
		}
		n.policy.CompareAndSwap(word, word-1)
	}
	return 0, 0
}

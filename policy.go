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
// concurrency in the policy but two: nodes die and are given out again under
// it, and readers raise ranks. Every change to a policy word is a compare-and-swap from what was looked
// at; a change that comes late fails, or, if the new life's word looks the
// same, changes a hint.
//
// The state of an entry is one word in its node, and this file alone knows
// what is in it: the rank (bits 0 and 1), a hint that there is a deadline (bit 30),
// and a bit that says that the word is one, and not a link (bit 31; arena.go
// I3). A replacement inherits the rank: it is not a new key (rule 8).
type policy struct {
	arena *arena
	hand  uint32 // the slot looked at last; 1..made
}

const (
	maxRank  = 3
	rankBits = 3

	policyLive     = 1 << 31 // the node is in no list
	policyDeadline = 1 << 30 // there is, or was in this life, a deadline

	firstPolicy = policyLive // the word of a new entry

	// A hit on an entry that reads so has nothing to tell and nothing to check.
	policyQuiet     = policyLive | maxRank
	policyQuietMask = policyLive | policyDeadline | rankBits
)

// hitInforms reports whether a hit on an entry with this policy word tells the
// policy anything. In a skewed stream it seldom does, and readers then write
// nothing. A word that is not live is a link: the node has just died.
func hitInforms(word uint32) bool { return word&rankBits < maxRank && word&policyLive != 0 }

// raiseRank notes a hit on a protected node whose word was just read. Readers
// do this themselves, at most maxRank times between two turns of the hand (G4):
// the node's line is in their cache, and would not be in the pass's. When
// another has changed the word meanwhile, the hit goes unnoticed.
func raiseRank(n *nodeHeader, word uint32) { n.policy.CompareAndSwap(word, word+1) }

func rankOf(word uint32) uint32 { return word & rankBits }

// rank is that of an entry, if this life of it still lasts.
func (p *policy) rank(slot, state uint32) (rank uint32, ok bool) {
	n := p.arena.header(slot)
	word := n.policy.Load()
	return rankOf(word), stateLive(state) && n.state.Load() == state
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
		if !stateLive(state) || word&policyLive == 0 {
			continue
		}
		if rankOf(word) == 0 {
			return p.hand, state
		}
		n.policy.CompareAndSwap(word, word-1)
	}
	return 0, 0
}

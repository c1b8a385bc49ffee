package sim

import "math"

// Duel is TwoRegion with a second opinion on where the border should be. Ghosts
// tell whether a little more window would be better; they cannot see that a
// window of nearly everything would be, when everything in between is worse. So
// two miniature caches replay a sample of the keys, one with a small window for
// ever and one with a large one, and while one of them is ahead by more than
// chance explains, the border moves to where that one's is (miniature
// simulations: Waldspurger et al., ATC '17; samples by hash: SHARDS, FAST '15;
// duels: Qureshi et al., ISCA '07).
//
// It is a study of what is left to gain. The miniatures take a thirty-second of
// the capacity each.
type Duel struct {
	*TwoRegion
	small, large       *TwoRegion // the miniatures, by their windows
	sample             uint64     // part of the keys, of 2^32
	forSmall, forLarge float64    // hits that the other missed, fading
	lastStep           uint64
}

const (
	duelSmall, duelLarge = 0.05, 0.90
	duelPart             = 32
	duelLeast            = 64  // entries in a miniature
	duelFrom             = 500 // capacity below which there are none
	duelStep             = 0.03
	duelFade             = 0.9 // a period
	duelSigmas           = 3   // of the difference, to be believed
)

// NewDuel returns an empty Duel.
func NewDuel(capacity int, params Params) *Duel {
	d := &Duel{TwoRegion: NewTwoRegion(capacity, params)}
	if capacity < duelFrom {
		return d
	}
	mini := min(max(capacity/duelPart, duelLeast), capacity)
	d.sample = uint64(mini) << 32 / uint64(capacity)
	still := params
	still.Step, still.WindowMin, still.WindowMax = 0, 0, 1
	still.Window = duelSmall
	d.small = NewTwoRegion(mini, still)
	still.Window = duelLarge
	d.large = NewTwoRegion(mini, still)
	return d
}

// Request implements Policy.
func (d *Duel) Request(key uint64) (hit bool) {
	// The history uses the hash of the key itself.
	if hash(^key)&(1<<32-1) < d.sample {
		d.play(key)
	}
	hit = d.TwoRegion.Request(key)
	if d.sample > 0 && float64(d.seq-d.lastStep) >= d.Period*float64(d.capacity) {
		d.lastStep = d.seq
		d.step()
	}
	return hit
}

func (d *Duel) play(key uint64) {
	switch small, large := d.small.Request(key), d.large.Request(key); {
	case small && !large:
		d.forSmall++
	case large && !small:
		d.forLarge++
	}
}

func (d *Duel) step() {
	c, b := float64(d.capacity), &d.border
	switch lead := (d.forLarge - d.forSmall) / math.Sqrt(d.forLarge+d.forSmall+1); {
	case lead > duelSigmas:
		b.window += max(0, min(duelStep*c, duelLarge*c-b.window))
	case lead < -duelSigmas:
		b.window -= max(0, min(duelStep*c, b.window-duelSmall*c))
	}
	d.forSmall *= duelFade
	d.forLarge *= duelFade
}

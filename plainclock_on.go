//go:build plainclock

package dualcache

// plainClock is true in builds that exist to be measured against: entries are in a clock
// with ranks and nothing else (Corbató 1968), without window, contest and history, in the
// engine as it is. What the policy costs, and what it is worth, is the difference:
//
//	go test -run '^$' -bench 'Get|Set|Mixed|Churn' -count 10 . > policy.txt
//	go test -tags plainclock -run '^$' -bench 'Get|Set|Mixed|Churn' -count 10 . > clock.txt
//
// in turns, and then benchstat. As nothing comes into the window, free turns to the clock
// at once. The tests of the policy do not hold in these builds.
const plainClock = true

// vacated are the items of main that victims have left: a new entry takes the latest, and
// so is as far from the hand as can be.
type vacated []uint64

func (v *vacated) put(at uint64) { *v = append(*v, at) }

func (v *vacated) take() (at uint64, ok bool) {
	last := len(*v) - 1
	if last < 0 {
		return 0, false
	}
	at, *v = (*v)[last], (*v)[:last]
	return at, true
}

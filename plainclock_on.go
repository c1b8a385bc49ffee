//go:build plainclock

package dualcache

// plainClock is true in builds that exist to be measured against: entries are in a clock
// with ranks and nothing else (Corbató 1968), without window, contest and history, in the
// engine as it is. What the policy costs, and what it is worth, is the difference:
//
//	go test -run '^$' -bench 'Get|Set|Mixed|Churn' -count 10 . > policy.txt
//	go test -tags plainclock -run '^$' -bench 'Get|Set|Mixed|Churn' -count 10 . > clock.txt
//
// in turns, and then benchstat. The tests of the policy do not hold in these builds.
const plainClock = true

// vacated are the items of main that victims have left: a new entry takes the latest, and
// so is as far from the hand as can be.
type vacated []uint64

func (p *policy) enterClock(e *entry) {
	if last := len(p.vacated) - 1; last >= 0 {
		at := p.vacated[last]
		p.vacated = p.vacated[:last]
		if p.main.at(at).Load() == 0 {
			p.inMain(e, at)
			return
		}
	}
	p.toMain(e)
}

func (p *policy) freeByClock() bool {
	v, at, ok := p.victim()
	if !ok {
		return false
	}
	p.mainHand++
	if !p.drop(&v, ghostMain) {
		return false
	}
	p.vacated = append(p.vacated, at)
	return true
}

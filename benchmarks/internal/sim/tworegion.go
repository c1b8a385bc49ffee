package sim

// TwoRegion is the policy of dualcache: an adaptive two-region clock with timed
// history.
//
// New keys enter the window, a queue. A key that leaves it meets the next
// victim of the main region, a clock with ranks; one of the two stays, the one
// with the higher frequency, or the one with the shorter interval between
// accesses. Keys that were evicted are remembered for a while, with the time:
// one that comes back soon enough goes straight into main, and how soon keys
// come back says which region should grow.
//
// Sources: the queue before the clock and the history from 2Q (VLDB '94) and
// S3-FIFO (SOSP '23), ranks from the generalised clock (Smith 1978), the contest
// of candidate and victim from TinyLFU (ToS '17), intervals as a measure of
// worth from LIRS (SIGMETRICS '02), ghosts that move a border from ARC (FAST
// '03), equal marginal gain from Cliffhanger (NSDI '16).
//
// The numbers, and the few rules that policy.md does not have, are in Params.
// DefaultParams is the best that is known, PrescribedParams is policy.md to the
// letter.
//
// Time goes by evictions: seq counts them, a tick is some of them (EvenTicks), and the
// age of a stamp is now minus stamp in ticks, in as many bits as the stamp has.
// A stamp that is older than its bits can tell looks young again. Shares and
// distances are counted in entries, and so in evictions.
//
// (I1) An entry is in one region, and that region's ring has its slot once.
// (I2) There are never more than capacity entries.
// (I3) Main's oldest, where its hand is, has rank 0 after victim.
// (I4) A new key gets its place: it is never the one that leaves.
type TwoRegion struct {
	Params
	capacity int
	span     uint64 // evictions in ticksPerCapacity ticks
	seq      uint64 // evictions so far

	where   directory
	entries []entry // by slot
	window  ring    // the oldest leaves first
	main    ring    // the oldest is under the hand
	history history

	border border
	idle   sample
}

// An entry is what is known of one key. Here every part is a field; in the
// cache they share a word of 32 bits, whose widths they keep to.
type entry struct {
	key    uint64
	rank   uint8 // 2 bits: hits that the hand has not yet taken off
	freq   uint8 // 2 bits: hits, fading
	region uint8 // 2 bits
	irr    tick  // 10 bits: between the last two accesses
	stamp  tick  // 16 bits: of the last access
}

// A tick is a time, or a distance between two.
type tick uint32

const (
	regionFree = iota
	regionWindow
	regionWindowAgain // has had its additional turn
	regionMain
)

const (
	maxRank    = 3
	maxFreq    = 3
	stampMask  = 1<<16 - 1
	irrUnknown = 1<<10 - 1
	firstFreq  = 1 // of a key that is not known

	ticksPerCapacity = 256
	maxMoves         = 64 // from window to main without contest, in one step
)

// Turns says when an entry at the window's end that was read there goes round
// once more.
type Turns uint8

const (
	TurnAlways  Turns = iota // each time
	TurnOnce                 // the first time
	TurnPerStep              // if it is the first to be looked at for this eviction
	TurnNever
)

// Params are the constants of the policy. Those that are lengths are parts of
// the capacity.
type Params struct {
	Window, WindowMin, WindowMax float64 // the window at first, and its bounds
	Turns                        Turns

	History float64 // entries remembered
	Fade    int     // capacities after which a frequency has halved
	MaxRank uint8

	EvenTicks bool // see spanOf

	Readmit float64 // a ghost's age, times this, below that of main's victim: into main; 0 is never
	Irr     float64 // an interval, times this, below the age of main's victim wins; 0 is never
	Stale   float64 // a victim older than its interval, times this, counts half; 0 is never

	Margin      float64 // how much larger a region is imagined to be
	Resident    float64 // weight of hits on main's idle entries as evidence; 0 is none
	Looks       float64 // at main's entries, to find idle ones; sampleMost at most
	Step        float64 // by which the window grows at most
	MinEvidence int     // ghosts that have come back before a step
	Period      float64 // evictions between two steps
}

// PrescribedParams are those of policy.md.
func PrescribedParams() Params {
	return Params{
		Window: 0.10, WindowMin: 0.02, WindowMax: 0.90,
		Turns:   TurnOnce,
		History: 2, Fade: 16, MaxRank: maxRank,
		Readmit: 2, Irr: 5,
		Margin: 0.05, Step: 0.02, MinEvidence: 8, Period: 1.0 / 8,
	}
}

// DefaultParams are the best found. Taken together, the differences from
// policy.md won on the traces they were tuned on, on traces that they were not
// (there, on loops above all), and on generated streams. Command policysearch
// repeats the comparison. Nearby values do about as well.
func DefaultParams() Params {
	p := PrescribedParams()
	p.Turns = TurnAlways // and no bit to remember the first by
	p.Fade = 32          // loops of up to so many capacities keep their place
	p.Resident = 0.1     // see border
	p.Looks = 1.0 / 16   // twice as many say no more
	p.Step = 0.03
	p.EvenTicks = true  // or of two sizes of a cache one measures twice as finely
	p.History = 8 / 4.2 // a set of eight for each bucket of the real cache, 4.2 entries to a bucket
	return p
}

// NewTwoRegion returns an empty TwoRegion.
func NewTwoRegion(capacity int, params Params) *TwoRegion {
	mustCapacity(capacity)
	p := &TwoRegion{
		Params:   params,
		capacity: capacity,
		entries:  make([]entry, capacity),
		window:   newRing(capacity),
		main:     newRing(capacity),
	}
	p.span = spanOf(capacity, params.EvenTicks)
	p.history.init(int(params.History * float64(capacity)))
	p.border.init(capacity, params)
	return p
}

// spanOf gives the evictions in as many ticks as a capacity should have. It is the
// capacity, if they are even; else a tick is a power of two of evictions, the largest with
// which a capacity has no fewer, or one.
func spanOf(capacity int, even bool) uint64 {
	if even {
		return uint64(capacity)
	}
	span := uint64(ticksPerCapacity)
	for 2*span <= uint64(capacity) {
		span *= 2
	}
	return span
}

// Len implements Policy.
func (p *TwoRegion) Len() int { return p.window.n + p.main.n }

// Window returns the share of the window, in entries.
func (p *TwoRegion) Window() int { return p.border.share() }

// Request implements Policy.
func (p *TwoRegion) Request(key uint64) (hit bool) {
	if slot := p.where.find(key); slot != none {
		p.hit(&p.entries[slot])
		return true
	}
	p.insert(key)
	return false
}

// now is the present tick, before it is cut to the width of a stamp.
func (p *TwoRegion) now() tick { return tick(p.seq * ticksPerCapacity / p.span) }

// age is that of an entry's last access, in ticks.
func (p *TwoRegion) age(e *entry) tick { return (p.now() - e.stamp) & stampMask }

// evictions turns ticks into a number of evictions.
func (p *TwoRegion) evictions(t tick) int { return int(t) * int(p.span) / ticksPerCapacity }

// eff is a frequency as it has faded with age. Nothing has to be reset.
func (p *TwoRegion) eff(freq uint8, age tick) uint8 {
	return freq >> min(maxFreq, p.evictions(age)/(p.Fade*p.capacity))
}

// hit notes an access to an entry.
func (p *TwoRegion) hit(e *entry) {
	age := p.age(e)
	e.freq = min(p.eff(e.freq, age)+1, maxFreq)
	e.irr = min(age, irrUnknown-1)
	e.stamp = p.now() & stampMask
	e.rank = min(e.rank+1, p.MaxRank)
}

// insert puts in a key that is not there. What the history knows of it decides
// where.
func (p *TwoRegion) insert(key uint64) {
	e := entry{key: key, freq: firstFreq, irr: irrUnknown, region: regionWindow}
	if g, ok := p.history.take(key, p.now()); ok {
		e.freq = min(p.eff(g.freq, g.age)+1, maxFreq)
		p.border.observe(g.kind, p.evictions(g.age))
		if g.kind == fromWindow {
			e.irr = min(g.age, irrUnknown-1)
			if p.readmits(g.age) {
				e.region = regionMain
			}
		}
	}
	slot := int32(p.Len())
	if p.Len() == p.capacity {
		slot = p.makeRoom(e.region)
	}
	e.stamp = p.now() & stampMask
	p.entries[slot] = e
	p.where.put(key, slot)
	if e.region == regionMain {
		p.promote(slot)
	} else {
		p.window.push(slot)
	}
}

// readmits reports whether a key that left the window so long ago goes straight
// into main: if its interval is shorter than the time for which main's next
// victim has not been read, by far.
func (p *TwoRegion) readmits(age tick) bool {
	if p.Readmit == 0 || p.Len() < p.capacity || p.main.n == 0 {
		return false
	}
	victim := &p.entries[p.victim()]
	return p.Readmit*float64(age) < float64(p.age(victim))
}

// victim moves main's hand to the next entry of rank 0, and leaves it there.
func (p *TwoRegion) victim() int32 {
	for {
		slot := p.main.oldest()
		e := &p.entries[slot]
		if e.rank == 0 {
			return slot
		}
		e.rank--
		p.main.push(p.main.pop())
	}
}

// makeRoom evicts one entry of a full cache and returns its slot. The new key,
// which is to enter region, counts as if it were there, but cannot be evicted.
func (p *TwoRegion) makeRoom(region uint8) int32 {
	if region == regionMain {
		return p.evictMain()
	}
	share := p.border.share()
	turns, moves := 0, 0
	for p.window.n+1 > share {
		slot := p.window.pop()
		s := &p.entries[slot]
		switch {
		case s.rank > 0 && p.turns(s, turns):
			turns++
			s.rank = 0
			s.region = regionWindowAgain
			p.window.push(slot)
		case p.main.n < p.capacity-share && moves < maxMoves:
			moves++
			p.promote(slot)
		case p.main.n > 0 && p.wins(s, &p.entries[p.victim()]):
			loser := p.evictMain()
			s.rank = 0
			p.promote(slot)
			return loser
		default:
			return p.evict(slot, fromWindow)
		}
	}
	return p.evictMain()
}

// turns reports whether an entry that was read in the window gets another turn
// in it.
func (p *TwoRegion) turns(s *entry, before int) bool {
	switch p.Turns {
	case TurnOnce:
		return s.region == regionWindow
	case TurnPerStep:
		return before == 0
	case TurnAlways:
		return true
	default:
		return false
	}
}

// promote puts an entry that is in no ring into main, behind all others.
func (p *TwoRegion) promote(slot int32) {
	p.entries[slot].region = regionMain
	p.main.push(slot)
}

// wins reports whether s, from the window, is worth more than v, in main: it was
// asked for more often, or it is asked for so regularly that it will be back
// long before the time for which v has not been.
func (p *TwoRegion) wins(s, v *entry) bool {
	sAge, vAge := p.age(s), p.age(v)
	sFreq, vFreq := p.eff(s.freq, sAge), p.eff(v.freq, vAge)
	if p.stale(v, vAge) {
		vFreq /= 2
	}
	if sFreq > vFreq {
		return true
	}
	return p.Irr > 0 && sFreq == maxFreq && s.irr != irrUnknown &&
		p.Irr*float64(max(s.irr, sAge)) < float64(vAge)
}

// stale reports whether an entry has not been asked for during many times its
// last interval, and at least as many capacities: it was popular once. An
// interval that is too long to be known exactly proves nothing.
func (p *TwoRegion) stale(e *entry, age tick) bool {
	if p.Stale == 0 || e.irr >= irrUnknown-1 {
		return false
	}
	return float64(p.evictions(age)) > p.Stale*float64(max(p.evictions(e.irr), p.capacity))
}

// evictMain evicts main's victim.
func (p *TwoRegion) evictMain() int32 {
	p.victim()
	return p.evict(p.main.pop(), fromMain)
}

// evict forgets the entry of a slot that is in no ring any more, but for the
// history. A key that was in the window is remembered as of its last access:
// when it comes back, the interval shows what a larger window would have been
// worth. One that was in main is remembered as of now.
func (p *TwoRegion) evict(slot int32, kind ghostKind) int32 {
	e := &p.entries[slot]
	freq, stamp := e.freq, e.stamp
	if kind == fromMain {
		freq, stamp = p.eff(freq, p.age(e)), p.now()
	}
	p.history.add(e.key, kind, freq, stamp, p.now())
	p.where.drop(e.key)
	e.region = regionFree
	p.seq++
	if p.border.evicted(kind) {
		p.border.forMain += p.Resident * p.idleHits()
		p.lookForIdle()
	}
	p.border.move()
	return slot
}

// A sample of main's idle entries tells how many of them are hit.
type sample struct {
	part  float64 // of main's entries that are idle
	seen  []seen
	looks uint64 // ever
}

// seen is an entry when it got into the sample.
type seen struct {
	slot int32
	entry
}

// sampleMost is how many entries are looked at, at most, to find idle ones.
const sampleMost = 64

// idleHits reckons how many idle entries were hit since the sample was taken, of as
// many as a margin's worth. An entry that has left since had no hit.
func (p *TwoRegion) idleHits() float64 {
	if len(p.idle.seen) == 0 {
		return 0
	}
	hits := 0
	for _, before := range p.idle.seen {
		// Nothing but a hit changes an entry of rank 0; the hand may lower the rank again.
		if e := p.entries[before.slot]; e != before.entry && e.key == before.key {
			hits++
		}
	}
	idle := p.idle.part * float64(p.main.n)
	return float64(hits) / float64(len(p.idle.seen)) * min(idle, p.Margin*float64(p.capacity))
}

// lookForIdle takes a new sample.
func (p *TwoRegion) lookForIdle() {
	p.idle.seen = p.idle.seen[:0]
	looks := 0
	if p.Resident > 0 && p.main.n > 0 {
		looks = min(max(1, int(p.Looks*float64(p.capacity))), sampleMost)
	}
	for range looks {
		p.idle.looks++
		slot := p.main.slots[p.main.at(scale(hash(p.idle.looks), p.main.n))]
		if e := p.entries[slot]; e.rank == 0 {
			p.idle.seen = append(p.idle.seen, seen{slot, e})
		}
	}
	p.idle.part = float64(len(p.idle.seen)) / float64(max(looks, 1))
}

// The border between window and main moves to where a little more of one would
// be worth as much as a little more of the other. Ghosts tell: one that comes
// back so soon that the region it left would still have had it, had it been
// larger by the margin, speaks for that region. That is not all that speaks for
// main: a larger one would also let in more. What these would be worth, hits on
// main's idle entries tell, those of rank 0, which are the ones to leave next: as many
// as a margin's worth of them had, and a part of that, as the idle are not all equally
// idle. Without them a window that has grown makes ghosts of what main cannot hold,
// and goes on growing. A sample of some dozen entries is enough to know.
type border struct {
	Params
	capacity int
	window   float64 // share of the window, in entries

	forWindow, forMain float64 // what spoke since the last step
	sinceStep          int     // evictions

	mainPart              float64 // of evictions, an average
	evictions, evictsMain int     // since the average was taken
}

// evidenceWeight is that of the last period in the average of mainPart.
const evidenceWeight = 0.25

func (b *border) init(capacity int, params Params) {
	*b = border{Params: params, capacity: capacity, window: params.Window * float64(capacity)}
}

// share is the window's, in whole entries: at least one, for the new key.
func (b *border) share() int { return max(1, int(b.window)) }

// observe notes that a ghost has come back.
func (b *border) observe(kind ghostKind, age int) {
	margin := b.Margin * float64(b.capacity)
	switch {
	case kind == fromWindow && float64(age) <= b.window+margin:
		b.forWindow++
	case kind == fromMain && b.mainPart*float64(age) <= margin:
		b.forMain++
	}
}

// evicted counts an eviction, and reports whether a period has ended.
func (b *border) evicted(kind ghostKind) bool {
	b.sinceStep++
	b.evictions++
	if kind == fromMain {
		b.evictsMain++
	}
	if b.evictions < b.period() {
		return false
	}
	b.mainPart += evidenceWeight * (float64(b.evictsMain)/float64(b.evictions) - b.mainPart)
	b.evictions, b.evictsMain = 0, 0
	return true
}

func (b *border) period() int { return max(1, int(b.Period*float64(b.capacity))) }

// move moves the border, if it is time and enough has spoken for it.
func (b *border) move() {
	if b.sinceStep < b.period() || b.forWindow+b.forMain < float64(b.MinEvidence) {
		return
	}
	c := float64(b.capacity)
	balance := (b.forWindow - b.forMain) / (b.forWindow + b.forMain)
	b.window = min(max(b.window+b.Step*c*balance, b.WindowMin*c), b.WindowMax*c)
	b.forWindow, b.forMain, b.sinceStep = 0, 0, 0
}

package sim

import "math/rand/v2"

// WTinyLFU keeps new keys in a window, an LRU; a key that leaves it takes the
// place of the next victim of the main region if it was asked for more often in
// the recent past, by the word of a sketch (Einziger, Friedman and Manes,
// TinyLFU, ToS '17). The main region is a segmented LRU, four fifths of it
// protected. The window starts at a hundredth of the capacity and climbs with
// the hit ratio (Einziger et al., Adaptive software cache management, Middleware
// '18), with the constants of Caffeine 3, which otter and theine follow.
type WTinyLFU struct {
	capacity int
	where    directory
	keys     []uint64
	region   []uint8 // by slot

	window, probation, protected list
	windowShare, protectedShare  int

	sketch  sketch
	climber climber
	random  *rand.Rand
}

const (
	inWindow = iota
	inProbation
	inProtected
)

const (
	windowPart    = 0.01
	protectedPart = 0.80

	// A key that loses, but not by being unknown, is now and then let in all
	// the same, lest the sketch's collisions be used against the cache.
	warm       = 6
	warmChance = 128
)

// NewWTinyLFU returns an empty WTinyLFU.
func NewWTinyLFU(capacity int) *WTinyLFU {
	mustCapacity(capacity)
	l := newLinks(capacity)
	p := &WTinyLFU{
		capacity:  capacity,
		keys:      make([]uint64, capacity),
		region:    make([]uint8, capacity),
		window:    newList(l),
		probation: newList(l),
		protected: newList(l),
		random:    rand.New(rand.NewPCG(1, uint64(capacity))),
	}
	main := int((1 - windowPart) * float64(capacity))
	p.windowShare = capacity - main
	p.protectedShare = int(protectedPart * float64(main))
	p.sketch.init(capacity)
	p.climber.init(capacity)
	return p
}

// Len implements Policy.
func (p *WTinyLFU) Len() int { return p.window.n + p.probation.n + p.protected.n }

// Request implements Policy.
func (p *WTinyLFU) Request(key uint64) (hit bool) {
	p.sketch.add(key)
	slot := p.where.find(key)
	hit = slot != none
	if hit {
		p.touch(slot)
	} else {
		p.insert(key)
	}
	if delta := p.climber.step(hit, p.Len() >= p.capacity/2); delta != 0 {
		p.resize(delta)
	}
	return hit
}

func (p *WTinyLFU) touch(slot int32) {
	switch p.region[slot] {
	case inWindow:
		p.window.touch(slot)
	case inProtected:
		p.protected.touch(slot)
	case inProbation:
		p.probation.remove(slot)
		p.enter(&p.protected, slot, inProtected)
		p.demote()
	}
}

// demote keeps the protected part within its share.
func (p *WTinyLFU) demote() {
	for p.protected.n > p.protectedShare {
		p.enter(&p.probation, p.protected.pop(), inProbation)
	}
}

func (p *WTinyLFU) enter(l *list, slot int32, region uint8) {
	p.region[slot] = region
	l.push(slot)
}

// insert puts a new key into the window. When there is no room, the window's
// oldest meets the main region's, and the loser makes place.
func (p *WTinyLFU) insert(key uint64) {
	slot := int32(p.Len())
	if p.Len() == p.capacity {
		slot = p.victim()
		p.where.drop(p.keys[slot])
	}
	p.keys[slot] = key
	p.where.put(key, slot)
	p.enter(&p.window, slot, inWindow)
	for p.window.n > p.windowShare {
		p.enter(&p.probation, p.window.pop(), inProbation)
	}
}

// victim takes one slot out of the lists of a full cache. The key for which
// there has to be room counts as the window's newest already.
func (p *WTinyLFU) victim() int32 {
	var main *list
	switch {
	case p.probation.n > 0:
		main = &p.probation
	case p.protected.n > 0:
		main = &p.protected
	}
	if p.window.n < p.windowShare && main != nil {
		return main.pop()
	}
	if p.window.n == 0 || main != nil && p.admits(p.keys[p.window.oldest], p.keys[main.oldest]) {
		return main.pop()
	}
	return p.window.pop()
}

// admits reports whether the candidate is worth more than the victim.
func (p *WTinyLFU) admits(candidate, victim uint64) bool {
	c, v := p.sketch.estimate(candidate), p.sketch.estimate(victim)
	return c > v || c >= warm && p.random.IntN(warmChance) == 0
}

// resize moves the border between window and main region by delta entries, as
// far as it goes, and entries with it.
func (p *WTinyLFU) resize(delta int) {
	if delta > 0 {
		delta = min(delta, p.protectedShare)
		p.windowShare += delta
		p.protectedShare -= delta
		p.demote()
		for p.window.n < p.windowShare && p.probation.n+p.protected.n > 0 {
			from := &p.probation
			if from.n == 0 {
				from = &p.protected
			}
			p.enter(&p.window, from.pop(), inWindow)
		}
		return
	}
	delta = min(-delta, p.windowShare-1)
	p.windowShare -= delta
	p.protectedShare += delta
	for p.window.n > p.windowShare {
		p.enter(&p.probation, p.window.pop(), inProbation)
	}
}

// A climber moves a border in the direction that raised the hit ratio last. Its
// steps shrink while little changes, and are large again after a jump.
type climber struct {
	period         int
	requests, hits int
	last           float64 // hit ratio of the period before
	stride, full   float64
	rest           float64 // part of an entry not yet moved
}

const (
	climbPeriod  = 10 // capacities
	climbStride  = 0.0625
	climbDecay   = 0.98
	climbRestart = 0.05
)

func (c *climber) init(capacity int) {
	c.period = climbPeriod * capacity
	c.full = climbStride * float64(capacity)
	c.stride = -c.full
}

// step counts a request to a cache that is at least half filled or not, and
// returns by how many entries the window is to grow.
func (c *climber) step(hit, filled bool) int {
	if !filled {
		return 0
	}
	c.requests++
	if hit {
		c.hits++
	}
	if c.requests < c.period {
		return 0
	}
	ratio := float64(c.hits) / float64(c.requests)
	change := ratio - c.last
	if change < 0 {
		c.stride = -c.stride
	}
	delta := c.stride + c.rest
	c.rest = delta - float64(int(delta))
	c.last, c.requests, c.hits = ratio, 0, 0
	switch {
	case max(change, -change) < climbRestart:
		c.stride *= climbDecay
	case c.stride < 0:
		c.stride = -c.full
	default:
		c.stride = c.full
	}
	return int(delta)
}

// A sketch counts how often keys were asked for, about, and halves all counts
// now and then (count-min with small counters, aged as TinyLFU does).
type sketch struct {
	rows   [sketchRows][]uint8
	mask   uint64
	adds   int
	period int
}

const (
	sketchRows   = 4
	sketchWidth  = 4 // counters a row and entry
	sketchMax    = 15
	sketchPeriod = 10 // capacities
)

func (s *sketch) init(capacity int) {
	width := 1
	for width < capacity {
		width *= 2
	}
	width *= sketchWidth
	for i := range s.rows {
		s.rows[i] = make([]uint8, width)
	}
	s.mask = uint64(width - 1)
	s.period = sketchPeriod * capacity
}

// place returns the counter of a hash in a row.
func (s *sketch) place(h uint64, row int) *uint8 {
	return &s.rows[row][hash(h+uint64(row))&s.mask]
}

func (s *sketch) add(key uint64) {
	h := hash(key)
	grown := false
	for row := range sketchRows {
		if c := s.place(h, row); *c < sketchMax {
			*c++
			grown = true
		}
	}
	if !grown {
		return
	}
	if s.adds++; s.adds >= s.period {
		s.halve()
	}
}

func (s *sketch) halve() {
	odd := 0
	for _, row := range s.rows {
		for i := range row {
			odd += int(row[i] & 1)
			row[i] /= 2
		}
	}
	s.adds = (s.adds - odd/sketchRows) / 2
}

func (s *sketch) estimate(key uint64) uint8 {
	h := hash(key)
	least := uint8(sketchMax)
	for row := range sketchRows {
		least = min(least, *s.place(h, row))
	}
	return least
}

package sim

// S3FIFO keeps new keys in a small queue, and lets those that were asked for
// again there into a large one; keys that leave the small queue unread are
// remembered for a while, and enter the large one when they come back (Yang et
// al., FIFO queues are all you need for cache eviction, SOSP '23). The small
// queue takes a tenth of the capacity, the ghosts are as many as the large
// queue has entries, and a key needs two hits to be promoted, as in the paper.
type S3FIFO struct {
	capacity, smallShare int
	where                directory
	entries              []s3Entry // by slot
	free                 []int32
	small, main          ring
	ghosts               ghostQueue
}

type s3Entry struct {
	key  uint64
	freq uint8
	main bool
}

const (
	s3MaxFreq = 3
	s3Promote = 2 // hits in the small queue that make a key stay
)

// NewS3FIFO returns an empty S3FIFO.
func NewS3FIFO(capacity int) *S3FIFO {
	mustCapacity(capacity)
	p := &S3FIFO{
		capacity:   capacity,
		smallShare: max(capacity/10, 1),
		entries:    make([]s3Entry, capacity),
		small:      newRing(capacity),
		main:       newRing(capacity),
	}
	p.ghosts.init(max(capacity-p.smallShare, 1))
	for slot := range int32(capacity) {
		p.free = append(p.free, slot)
	}
	return p
}

// Len implements Policy.
func (p *S3FIFO) Len() int { return p.small.n + p.main.n }

// Request implements Policy.
func (p *S3FIFO) Request(key uint64) (hit bool) {
	if slot := p.where.find(key); slot != none {
		e := &p.entries[slot]
		e.freq = min(e.freq+1, s3MaxFreq)
		return true
	}
	ghost := p.ghosts.take(key)
	for len(p.free) == 0 {
		p.evict()
	}
	slot := p.free[len(p.free)-1]
	p.free = p.free[:len(p.free)-1]
	p.entries[slot] = s3Entry{key: key, main: ghost}
	p.where.put(key, slot)
	if ghost {
		p.main.push(slot)
	} else {
		p.small.push(slot)
	}
	return false
}

// evict looks at the queue that has more than its share, and drops a key unless
// that queue has none to drop.
func (p *S3FIFO) evict() {
	if p.small.n >= p.smallShare || p.main.n == 0 {
		p.evictSmall()
	} else {
		p.evictMain()
	}
}

func (p *S3FIFO) evictSmall() {
	for p.small.n > 0 {
		slot := p.small.pop()
		e := &p.entries[slot]
		if e.freq < s3Promote {
			p.ghosts.add(e.key)
			p.drop(slot)
			return
		}
		e.freq, e.main = 0, true
		p.main.push(slot)
	}
}

func (p *S3FIFO) evictMain() {
	for {
		slot := p.main.pop()
		e := &p.entries[slot]
		if e.freq == 0 {
			p.drop(slot)
			return
		}
		e.freq--
		p.main.push(slot)
	}
}

func (p *S3FIFO) drop(slot int32) {
	p.where.drop(p.entries[slot].key)
	p.free = append(p.free, slot)
}

// A ghostQueue remembers the keys added last, exactly.
type ghostQueue struct {
	keys  []uint64
	where directory // place in keys
	next  int       // where the next key goes
}

func (q *ghostQueue) init(n int) { q.keys = make([]uint64, n) }

// add remembers a key, in place of the oldest.
func (q *ghostQueue) add(key uint64) {
	if old := q.keys[q.next]; q.where.find(old) == int32(q.next) {
		q.where.drop(old)
	}
	q.keys[q.next] = key
	q.where.put(key, int32(q.next))
	if q.next++; q.next == len(q.keys) {
		q.next = 0
	}
}

// take forgets a key and reports whether it was remembered.
func (q *ghostQueue) take(key uint64) bool {
	if q.where.find(key) == none {
		return false
	}
	q.where.drop(key)
	return true
}

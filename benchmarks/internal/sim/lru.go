package sim

// LRU keeps the keys that were asked for last.
type LRU struct {
	capacity int
	where    directory
	keys     []uint64 // by slot
	order    list
}

// NewLRU returns an empty LRU.
func NewLRU(capacity int) *LRU {
	mustCapacity(capacity)
	return &LRU{
		capacity: capacity,
		keys:     make([]uint64, capacity),
		order:    newList(newLinks(capacity)),
	}
}

// Len implements Policy.
func (p *LRU) Len() int { return p.order.n }

// Request implements Policy.
func (p *LRU) Request(key uint64) (hit bool) {
	if slot := p.where.find(key); slot != none {
		p.order.touch(slot)
		return true
	}
	slot := int32(p.order.n)
	if p.order.n == p.capacity {
		slot = p.order.pop()
		p.where.drop(p.keys[slot])
	}
	p.keys[slot] = key
	p.where.put(key, slot)
	p.order.push(slot)
	return false
}

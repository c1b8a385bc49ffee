package sim

import (
	"container/heap"
	"math"
)

// Optimum keeps the keys that will be asked for soonest, for which it has to
// know the future (Belady, A study of replacement algorithms for a
// virtual-storage computer, 1966). It may refuse a new key, as some caches do,
// so none can have more hits.
//
// A key is known by the time of its next request, which no other key shares.
// The heap has the latest on top; entries whose time has passed are left in it,
// as they can only come up when nothing else is there.
type Optimum struct {
	capacity int
	keys     []uint32
	next     []int32 // by request: when the same key comes again
	now      int
	resident directory
	n        int
	latest   timeHeap
}

// NewOptimum returns an empty Optimum for exactly these requests.
func NewOptimum(capacity int, keys []uint32) *Optimum {
	mustCapacity(capacity)
	p := &Optimum{capacity: capacity, keys: keys, next: make([]int32, len(keys))}
	var seen directory
	for i := len(keys) - 1; i >= 0; i-- {
		p.next[i] = math.MaxInt32
		if later := seen.find(uint64(keys[i])); later != none {
			p.next[i] = later
		}
		seen.put(uint64(keys[i]), int32(i))
	}
	return p
}

// Len implements Policy.
func (p *Optimum) Len() int { return p.n }

// Request implements Policy. The key must be the one that was announced.
func (p *Optimum) Request(key uint64) (hit bool) {
	if uint64(p.keys[p.now]) != key {
		panic("sim: the optimum was promised another key")
	}
	next := p.next[p.now]
	p.now++
	hit = p.resident.find(key) != none
	if hit {
		p.resident.drop(key)
		p.n--
	}
	if next == math.MaxInt32 {
		return hit // It will not be missed.
	}
	if p.n == p.capacity {
		if next > p.latest[0] {
			return hit
		}
		p.resident.drop(uint64(p.keys[heap.Pop(&p.latest).(int32)]))
		p.n--
	}
	heap.Push(&p.latest, next)
	p.resident.put(key, next)
	p.n++
	return hit
}

// A timeHeap has the latest time on top.
type timeHeap []int32

func (h timeHeap) Len() int           { return len(h) }
func (h timeHeap) Less(i, j int) bool { return h[i] > h[j] }
func (h timeHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *timeHeap) Push(x any)        { *h = append(*h, x.(int32)) }
func (h *timeHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}

package sim

// A ring is a queue of slot numbers in a flat array that is never full: it has
// a place for every slot there is.
type ring struct {
	slots   []int32
	readPos int // of the oldest
	n       int
}

func newRing(places int) ring { return ring{slots: make([]int32, places)} }

// at returns the place that lies i after the oldest.
func (r *ring) at(i int) int {
	if i += r.readPos; i >= len(r.slots) {
		i -= len(r.slots)
	}
	return i
}

// oldest returns the slot that has been here longest. The ring is not empty.
func (r *ring) oldest() int32 { return r.slots[r.readPos] }

// push puts in the newest.
func (r *ring) push(slot int32) {
	r.slots[r.at(r.n)] = slot
	r.n++
}

// pop takes out the oldest. The ring is not empty.
func (r *ring) pop() int32 {
	slot := r.slots[r.readPos]
	r.readPos = r.at(1)
	r.n--
	return slot
}

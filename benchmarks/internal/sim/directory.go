package sim

// A directory says in which slot a key is. It is a table for small keys and a
// map for all others.
type directory struct {
	small []int32 // slot + 1; 0 is none
	large map[uint64]int32
}

// smallKeys bounds the table to 64 MiB.
const smallKeys = 1 << 24

// find returns the slot of a key, or none.
func (d *directory) find(key uint64) int32 {
	if key < uint64(len(d.small)) {
		return d.small[key] - 1
	}
	return d.large[key] - 1
}

// put notes that key is in slot.
func (d *directory) put(key uint64, slot int32) {
	if key >= smallKeys {
		if d.large == nil {
			d.large = make(map[uint64]int32)
		}
		d.large[key] = slot + 1
		return
	}
	if key >= uint64(len(d.small)) {
		grown := make([]int32, min(max(2*key, 1024), smallKeys))
		copy(grown, d.small)
		d.small = grown
	}
	d.small[key] = slot + 1
}

// drop forgets a key.
func (d *directory) drop(key uint64) {
	if key < uint64(len(d.small)) {
		d.small[key] = 0
		return
	}
	delete(d.large, key)
}

package sim

// links are the neighbours of slots in doubly linked lists. A slot is in one
// list at most, so all lists over the same slots share them.
type links struct {
	before, after []int32
}

func newLinks(slots int) *links {
	return &links{make([]int32, slots), make([]int32, slots)}
}

// A list is an order of slots, the oldest first.
type list struct {
	*links
	oldest, newest int32
	n              int
}

func newList(l *links) list { return list{links: l, oldest: none, newest: none} }

// push puts a slot that is in no list at the newest end.
func (l *list) push(slot int32) {
	l.before[slot], l.after[slot] = l.newest, none
	if l.newest == none {
		l.oldest = slot
	} else {
		l.after[l.newest] = slot
	}
	l.newest = slot
	l.n++
}

// remove takes out a slot of this list.
func (l *list) remove(slot int32) {
	before, after := l.before[slot], l.after[slot]
	if before == none {
		l.oldest = after
	} else {
		l.after[before] = after
	}
	if after == none {
		l.newest = before
	} else {
		l.before[after] = before
	}
	l.n--
}

// pop takes out the oldest slot of a list that is not empty.
func (l *list) pop() int32 {
	slot := l.oldest
	l.remove(slot)
	return slot
}

// touch moves a slot of this list to the newest end.
func (l *list) touch(slot int32) {
	l.remove(slot)
	l.push(slot)
}

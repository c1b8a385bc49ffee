package dualcache

import (
	"bytes"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Listening: Config.OnRemoval is told of each value that leaves, once, in order for
// each key, from one goroutine at a time, outside every lock.
//
// Whoever takes a value out pushes a report, while it holds the lock of the key's
// home, onto a list that is taken whole and turned round (Treiber, 1986; as it is
// never popped, there is no ABA). So the order of the pushes is that of the
// removals, key by key. Memory for the report is got before the lock, because
// nothing may allocate under a pin. The push is lock-free; a writer that finds more
// than backlogMost reports waiting pauses once, for backlogPause: a listener that is
// too slow slows the writers down, but never stops them, and loses nothing.
//
// There is no goroutine at rest: whoever finds reports and nobody delivering starts
// one, which ends when the list is empty.
//
// (I1) delivering is 1 while a goroutine delivers; only it takes the list.
// (I2) It looks at the list once more after it has set delivering to 0; whoever
// pushed looks at delivering after the push. One of the two sees the other.

// A Cause tells why a value left the cache.
type Cause uint8

const (
	CauseEvicted  Cause = iota // to make room
	CauseExpired               // its time was up
	CauseDeleted               // by Delete, GetAndDelete, DeleteFunc or Compute
	CauseReplaced              // by another value of its key
	CauseCleared               // by Clear or Close
	CauseRefused               // it was never let in; see Stats.Refusals
)

func (c Cause) String() string {
	names := [...]string{"evicted", "expired", "deleted", "replaced", "cleared", "refused"}
	if int(c) < len(names) {
		return names[c]
	}
	return "unknown"
}

// at is the cause for which a value with a deadline leaves: it may have expired. now is
// the clock, or 0 if that is not asked.
func (c Cause) at(deadline, now int64) Cause {
	if deadline == deadlineOver || now != 0 && expired(deadline, now) {
		return CauseExpired
	}
	return c
}

// A Removal is what Config.OnRemoval is told.
type Removal[K comparable, V any] struct {
	Key   K
	Value V
	Cause Cause
}

// A removal is a report on its way.
type removal[K comparable, V any] struct {
	Removal[K, V]
	next *removal[K, V]
}

// A listener delivers reports.
type listener[K comparable, V any] struct {
	f          func(Removal[K, V])
	list       atomic.Pointer[removal[K, V]] // latest first
	waiting    atomic.Int64
	delivering atomic.Uint32
	panics     atomic.Uint64
	spares     sync.Pool

	batch *removal[K, V] // the deliverer's: what it has taken, in order
	id    atomic.Pointer[[]byte]
}

const (
	backlogMost  = 1 << 16
	backlogPause = time.Millisecond
)

// get makes a report, to be filled later. Not pinned.
func (l *listener[K, V]) get() *removal[K, V] {
	if r, ok := l.spares.Get().(*removal[K, V]); ok {
		return r
	}
	return new(removal[K, V])
}

// push files a report, and takes the memory for it.
func (l *listener[K, V]) push(spare **removal[K, V], key K, value V, cause Cause) {
	r := *spare
	*spare = nil
	r.Removal = Removal[K, V]{key, value, cause}
	l.waiting.Add(1)
	for {
		first := l.list.Load()
		r.next = first
		if l.list.CompareAndSwap(first, r) {
			return
		}
	}
}

// dispatch sees to it that reports are delivered, and takes memory back that was
// not needed. Not pinned.
func (l *listener[K, V]) dispatch(spare *removal[K, V]) {
	if spare != nil {
		l.spares.Put(spare)
	}
	if l.list.Load() == nil {
		return
	}
	if l.delivering.Load() == 0 && l.delivering.CompareAndSwap(0, 1) {
		go l.deliver()
	}
}

// pause lets a listener that is far behind catch up. Whoever holds the pass lock does
// not call it, and it does nothing for the listener itself.
func (l *listener[K, V]) pause() {
	if l.waiting.Load() > backlogMost && !l.isCaller() {
		time.Sleep(backlogPause)
	}
}

// spareReport is memory for the report of a value that may leave, if there is a
// listener. Not pinned.
func (c *Cache[K, V]) spareReport() *removal[K, V] {
	if c.listener == nil {
		return nil
	}
	return c.listener.get()
}

// report ends an operation that may have pushed reports: dispatch and pause. Not
// pinned.
func (c *Cache[K, V]) report(spare *removal[K, V]) {
	if c.listener != nil {
		c.listener.dispatch(spare)
		c.listener.pause()
	}
}

// deliver calls the listener until there are no reports.
func (l *listener[K, V]) deliver() {
	id := goroutineID()
	l.id.Store(&id)
	done := false
	defer func() {
		if !done { // the listener has ended the goroutine
			l.panics.Add(1)
			go l.deliver()
		}
	}()
	for {
		for l.take(); l.batch != nil; {
			r := l.batch
			l.batch = r.next
			told := r.Removal
			*r = removal[K, V]{}
			l.spares.Put(r)
			l.waiting.Add(-1)
			l.call(told)
		}
		l.id.Store(nil)
		l.delivering.Store(0)
		if l.list.Load() == nil || !l.delivering.CompareAndSwap(0, 1) { // (I2)
			done = true
			return
		}
		l.id.Store(&id)
	}
}

// take takes the list, and appends it to the batch in the order of the pushes.
func (l *listener[K, V]) take() {
	if l.batch != nil {
		return // left over by a goroutine that was ended
	}
	for r := l.list.Swap(nil); r != nil; {
		next := r.next
		r.next = l.batch
		l.batch, r = r, next
	}
}

// call contains and counts panics of the listener.
func (l *listener[K, V]) call(told Removal[K, V]) {
	defer func() {
		if recover() != nil {
			l.panics.Add(1)
		}
	}()
	l.f(told)
}

// flush returns when everything that was pushed before has been delivered, or at once
// if it is called by the listener itself.
func (l *listener[K, V]) flush() {
	for l.list.Load() != nil || l.delivering.Load() != 0 {
		if l.isCaller() {
			return
		}
		l.dispatch(nil)
		time.Sleep(flushPause)
	}
}

// isCaller reports whether the listener is what calls.
func (l *listener[K, V]) isCaller() bool {
	id := l.id.Load()
	return id != nil && bytes.Equal(*id, goroutineID())
}

const flushPause = 50 * time.Microsecond

// goroutineID is "goroutine 123" of the caller, as a stack trace begins. A listener
// may call Close, which must not wait for it; nothing else tells it from others.
func goroutineID() []byte {
	var stack [64]byte
	text := stack[:runtime.Stack(stack[:], false)]
	if i := bytes.IndexByte(text, '['); i > 0 {
		text = text[:i]
	}
	return bytes.Clone(text)
}

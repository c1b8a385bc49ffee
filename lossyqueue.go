package dualcache

import "sync/atomic"

// A lossyQueue carries hints from a worker to the maintenance pass. It is one
// of many: every worker has its own, and the one pass reads them all, so that
// producers never meet (a many-to-one queue striped by producer, after
// Caffeine's read buffer; the single ring is Lamport's, "Specifying Concurrent
// Program Modules", 1983).
//
// Roles. The producer is the owner of the worker, inside its critical section.
// The consumer is the holder of the pass lock.
//
// What may be lost: any record, at the moment it is offered. A full queue
// refuses it; nothing that was accepted is lost or given twice. Records are
// hints: losing every one of them costs hit ratio, never an entry.
//
//	field     written by   read by    how
//	writePos  producer     both       publish64 after the record; atomic load
//	readPos   consumer     both       atomic store after the record was taken
//	records   producer     consumer   atomic word, before writePos
//
// (I1) readPos <= writePos <= readPos + len(records).
// (I2) Records in [readPos, writePos) belong to the consumer, the others to
// the producer. There are no holes: a position is filled before it is counted,
// so a producer that stops midway leaves the queue as it was.
//
// Both ends are wait-free. Positions are 64 bits and never wrap.
type lossyQueue struct {
	writePos atomic.Uint64
	records  []atomic.Uint64 // length a power of two
	readPos  atomic.Uint64
}

// An offerResult tells what became of a record.
type offerResult uint8

const (
	offerAccepted offerResult = iota
	offerHalfFull             // accepted, and the queue is now half full or more
	offerDropped              // the queue was full
)

func (q *lossyQueue) init(size int) {
	q.records = make([]atomic.Uint64, size)
}

// offer appends a record unless the queue is full. Producer only.
func (q *lossyQueue) offer(record uint64) offerResult {
	pos := q.writePos.Load()
	pending := pos - q.readPos.Load()
	size := uint64(len(q.records))
	if pending >= size {
		return offerDropped
	}
	publish64(&q.records[pos&(size-1)], record)
	publish64(&q.writePos, pos+1)
	if pending+1 >= size/2 {
		return offerHalfFull
	}
	return offerAccepted
}

// pending is the number of records waiting; anyone may ask.
func (q *lossyQueue) pending() int {
	read := q.readPos.Load() // before writePos, so that the difference is not negative
	return int(q.writePos.Load() - read)
}

// peek shows all records that are there and takes none. Consumer only.
func (q *lossyQueue) peek(look func(record uint64)) {
	mask := uint64(len(q.records) - 1)
	for n, end := q.readPos.Load(), q.writePos.Load(); n != end; n++ {
		look(q.records[n&mask].Load())
	}
}

// drain takes all records that were there when it began. Consumer only.
func (q *lossyQueue) drain(take func(record uint64)) int {
	pos, end := q.readPos.Load(), q.writePos.Load()
	mask := uint64(len(q.records) - 1)
	for n := pos; n != end; n++ {
		take(q.records[n&mask].Load())
	}
	if pos != end {
		q.readPos.Store(end)
	}
	return int(end - pos)
}

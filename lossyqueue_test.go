package dualcache

import (
	"math"
	"runtime"
	"slices"
	"testing"
)

func drained(q *lossyQueue) (got []uint64) {
	q.drain(func(r uint64) { got = append(got, r) })
	return got
}

// Guards the queue's order and I1. Without the size check in offer the ninth
// record overwrites the first; without readPos.Store in drain the second drain
// gives records again. Positions start at several places, the last ones such
// that they pass 1<<64-1: all arithmetic is on differences.
func TestLossyQueueOrderAndDrop(t *testing.T) {
	for _, start := range []uint64{0, 1, 1<<32 - 3, 1<<63 - 2, math.MaxUint64 - 3, math.MaxUint64} {
		var q lossyQueue
		q.init(8)
		q.writePos.Store(start)
		q.readPos.Store(start)
		for round := range 5 {
			var want []uint64
			for i := range uint64(8) {
				wantResult := offerAccepted
				if i+1 >= 4 {
					wantResult = offerHalfFull
				}
				record := uint64(round)*100 + i
				if got := q.offer(record); got != wantResult {
					t.Fatalf("start %d: offer %d = %v, want %v", start, i, got, wantResult)
				}
				want = append(want, record)
			}
			for range 3 {
				if got := q.offer(99999); got != offerDropped {
					t.Fatalf("start %d: offer to a full queue = %v, want %v", start, got, offerDropped)
				}
			}
			if got := q.pending(); got != 8 {
				t.Fatalf("start %d: pending = %d, want 8", start, got)
			}
			if got := drained(&q); !slices.Equal(got, want) {
				t.Fatalf("start %d: drained %v, want %v", start, got, want)
			}
			if got := drained(&q); len(got) != 0 || q.pending() != 0 {
				t.Fatalf("start %d: second drain gave %v, pending %d", start, got, q.pending())
			}
		}
	}
}

// Guards trap 5 and I2: a producer that stops after it has written a record,
// and before it has counted it, leaves no hole. Fails if offer counts first.
func TestLossyQueueStoppedProducerLeavesNoHole(t *testing.T) {
	var q lossyQueue
	q.init(4)
	q.offer(1)
	pos := q.writePos.Load()
	publish64(&q.records[pos&3], 42) // and no further
	if got := q.pending(); got != 1 {
		t.Errorf("pending = %d, want 1", got)
	}
	if got := drained(&q); !slices.Equal(got, []uint64{1}) {
		t.Errorf("drained %v, want [1]", got)
	}
	for i := range uint64(4) {
		q.offer(10 + i)
	}
	if got, want := drained(&q), []uint64{10, 11, 12, 13}; !slices.Equal(got, want) {
		t.Errorf("drained %v, want %v", got, want)
	}
}

// Guards I2: drain takes what was there when it began; what its callback
// causes to be offered stays for the next. Fails if drain reads writePos anew.
func TestLossyQueueDrainTakesWhatWasThere(t *testing.T) {
	var q lossyQueue
	q.init(8)
	q.offer(1)
	q.offer(2)
	n := q.drain(func(r uint64) { q.offer(r + 10) })
	if n != 2 {
		t.Errorf("drain = %d, want 2", n)
	}
	if got, want := drained(&q), []uint64{11, 12}; !slices.Equal(got, want) {
		t.Errorf("drained %v, want %v", got, want)
	}
}

// Guards trap 5 and "nothing that was accepted is lost or given twice", with a
// producer and a consumer that run at once. Fails if offer publishes writePos
// before the record, or drain readPos before it has taken.
func TestLossyQueueConcurrent(t *testing.T) {
	var q lossyQueue
	q.init(16)
	offers := 300_000
	if debug {
		offers = 50_000
	}
	accepted := make(chan []uint64, 1)
	go func() {
		var list []uint64
		for i := range offers {
			if q.offer(uint64(i)*0x9e3779b97f4a7c15) != offerDropped {
				list = append(list, uint64(i)*0x9e3779b97f4a7c15)
			} else {
				runtime.Gosched()
			}
		}
		accepted <- list
	}()
	var got, want []uint64
	for want == nil {
		select {
		case want = <-accepted:
		default:
			if n := q.pending(); n < 0 || n > 16 {
				t.Errorf("pending = %d, want 0 to 16", n)
			}
			if q.drain(func(r uint64) { got = append(got, r) }) == 0 {
				runtime.Gosched()
			}
		}
	}
	got = append(got, drained(&q)...)
	if !slices.Equal(got, want) {
		t.Errorf("%d records taken, want the %d accepted ones in order", len(got), len(want))
	}
}

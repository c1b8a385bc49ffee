package dualcache

import "testing"

// Guards the layout of a record: what is put is what is taken, and only once.
// Fails if two of the fields overlap.
func TestGhostsTakeWhatWasPut(t *testing.T) {
	for _, test := range []struct {
		low, kind, freq, stamp, now uint32
		age                         uint32
	}{
		{0x0001, 0, 1, 0, 0, 0},
		{0xffff, ghostMain, 3, 100, 100, 0},
		{0xabcd1234, 0, 2, 100, 250, 150},
		{0x8000, ghostMain, 0, 1<<16 - 1, 1 << 16, 1},     // the tick has wrapped
		{0x7fff, 0, 3, ghostStamp, ghostStamp + 5, 5},     // 13 bits have
		{0x1234, 0, 1, 1, 1 + ghostStamp, ghostStamp},     // the greatest age
		{0x1234, 0, 1, 1, 1 + ghostStamp + 1, 0},          // looks young again
		{0x5678, ghostMain, 2, 1<<32 - 3, 1<<32 - 1, 2},   // whatever the high bits
		{0x5678, ghostMain, 2, 5<<13 | 7, 9<<13 | 10, 3},  // of the two are
		{0x4321, ghostMain, 3, ghostStamp, ghostStamp, 0}, // all ones
	} {
		var g ghosts
		g.put(test.low, test.kind, test.freq, test.stamp, test.now)
		if _, ok := g.take(test.low + 1); ok {
			t.Errorf("%+v: another key's record is taken", test)
		}
		r, ok := g.take(test.low ^ 0xa5a5<<16) // the high half does not count
		if !ok {
			t.Errorf("%+v: not found", test)
			continue
		}
		if got := r & ghostMain; got != test.kind {
			t.Errorf("%+v: kind %#x, want %#x", test, got, test.kind)
		}
		if got := ghostFrequency(r); got != test.freq {
			t.Errorf("%+v: frequency %d, want %d", test, got, test.freq)
		}
		if got := ghostAge(r, test.now); got != test.age {
			t.Errorf("%+v: age %d, want %d", test, got, test.age)
		}
		if _, ok := g.take(test.low); ok {
			t.Errorf("%+v: taken twice", test)
		}
	}
}

// Guards the choice in put: an empty place, else the oldest record's, across the
// wraparound of the stamps. Fails if stamps are compared instead of ages.
func TestGhostsReplaceTheOldest(t *testing.T) {
	for _, begin := range []uint32{0, 5000, ghostStamp - 3, 1<<16 - 4, 1<<32 - 5} {
		var g ghosts
		const records = 3 * ghostWays
		for i := range uint32(records) {
			g.put(i+1, 0, 1, begin+i, begin+i)
		}
		for i := range uint32(records) {
			_, ok := g.take(i + 1)
			if want := i >= records-ghostWays; ok != want {
				t.Errorf("from tick %d: record %d of %d is there: %v, want %v", begin, i, records, ok, want)
			}
		}
		// One place is emptied, and is the next to be filled.
		for i := range uint32(ghostWays) {
			g.put(i+1, 0, 1, begin+i, begin+i)
		}
		g.take(5)
		g.put(100, ghostMain, 1, begin+100, begin+100)
		for i := range uint32(ghostWays) {
			if _, ok := g.take(i + 1); ok == (i+1 == 5) {
				t.Errorf("from tick %d: record %d is there: %v", begin, i+1, ok)
			}
		}
		if _, ok := g.take(100); !ok {
			t.Errorf("from tick %d: the last record is not there", begin)
		}
	}
}

// Guards take: an empty place is no record of fingerprint 0, and fingerprint 0
// can be remembered.
func TestGhostsOfFingerprintZero(t *testing.T) {
	var g ghosts
	if r, ok := g.take(0x10000); ok {
		t.Errorf("an empty history knows %#x", r)
	}
	g.put(0x10000, 0, 1, 7, 7)
	if r, ok := g.take(0); !ok || ghostAge(r, 9) != 2 || ghostFrequency(r) != 1 {
		t.Errorf("take = %#x, %v, want frequency 1 of age 2", r, ok)
	}
}

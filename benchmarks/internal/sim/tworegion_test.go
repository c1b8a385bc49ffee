package sim

import (
	"fmt"
	"testing"
)

// check reports the first of the invariants of tworegion.go that does not hold.
func (p *TwoRegion) check() error {
	if p.Len() > p.capacity {
		return fmt.Errorf("I2: %d entries in a capacity of %d", p.Len(), p.capacity)
	}
	seen := make(map[int32]bool)
	for _, r := range []struct {
		*ring
		regions []uint8
	}{
		{&p.window, []uint8{regionWindow, regionWindowAgain}},
		{&p.main, []uint8{regionMain, regionMain}},
	} {
		for i := range r.n {
			slot := r.slots[r.at(i)]
			e := &p.entries[slot]
			if seen[slot] {
				return fmt.Errorf("I1: slot %d is in the rings twice", slot)
			}
			seen[slot] = true
			if e.region != r.regions[0] && e.region != r.regions[1] {
				return fmt.Errorf("I1: slot %d is in the ring of %v, but in region %d", slot, r.regions, e.region)
			}
			if p.where.find(e.key) != slot {
				return fmt.Errorf("I1: key %d of slot %d is at %d", e.key, slot, p.where.find(e.key))
			}
			if e.rank > maxRank || e.freq > maxFreq || e.irr > irrUnknown || e.stamp > stampMask {
				return fmt.Errorf("slot %d does not fit its word: %+v", slot, e)
			}
		}
	}
	if w := p.border.window; w < p.WindowMin*float64(p.capacity) || w > p.WindowMax*float64(p.capacity) {
		return fmt.Errorf("the window's share is %v of %d", w, p.capacity)
	}
	return nil
}

func TestTwoRegionInvariants(t *testing.T) {
	variants := []Params{DefaultParams(), PrescribedParams()}
	for _, turns := range []Turns{TurnPerStep, TurnNever} {
		v := DefaultParams()
		v.Turns = turns
		variants = append(variants, v)
	}
	for i, capacity := range []int{1, 1, 1, 1, 2, 3, 5, 8, 10, 20, 21, 22, 23, 100, 101, 700} {
		p := NewTwoRegion(capacity, variants[i%len(variants)])
		for i, key := range mixed(max(capacity, 4)) {
			hit := p.Request(uint64(key))
			if !p.Request(uint64(key)) {
				t.Fatalf("I4: capacity %d, request %d: key %d left at once (hit %v)", capacity, i, key, hit)
			}
			if i%7 == 0 || capacity < 30 {
				if err := p.check(); err != nil {
					t.Fatalf("capacity %d, request %d: %v", capacity, i, err)
				}
			}
		}
	}
}

func TestTwoRegionKeepsMainThroughScan(t *testing.T) {
	p := NewTwoRegion(100, DefaultParams())
	for range 10 {
		for key := range uint64(50) {
			p.Request(key)
		}
	}
	for key := range uint64(1000) { // 10 capacities: frequencies have not faded yet
		p.Request(1000 + key)
	}
	kept := 0
	for key := range uint64(50) {
		if p.where.find(key) != none {
			kept++
		}
	}
	if kept < 45 {
		t.Errorf("%d of 50 hot keys survive a scan of 1000", kept)
	}
}

func TestEffFades(t *testing.T) {
	p := NewTwoRegion(1000, PrescribedParams())
	for _, c := range []struct {
		capacities int
		want       uint8
	}{{0, 3}, {15, 3}, {16, 1}, {31, 1}, {32, 0}, {1000, 0}} {
		age := tick(c.capacities * 1000 * ticksPerCapacity / int(p.span))
		if got := p.eff(3, age); got != c.want {
			t.Errorf("3 after %d capacities: %d, want %d", c.capacities, got, c.want)
		}
	}
}

func TestTickWidth(t *testing.T) {
	for capacity, want := range map[int]uint{1: 0, 256: 0, 511: 0, 512: 1, 1023: 1, 1024: 2, 1 << 20: 12} {
		if got := NewTwoRegion(capacity, PrescribedParams()).evictions(1); got != 1<<want {
			t.Errorf("capacity %d: a tick is %d evictions, want 2^%d", capacity, got, want)
		}
		if got := NewTwoRegion(capacity, DefaultParams()).evictions(ticksPerCapacity); got != capacity {
			t.Errorf("capacity %d: %d ticks are %d evictions", capacity, ticksPerCapacity, got)
		}
	}
}

func TestBorderFollowsTheEvidence(t *testing.T) {
	for kind, want := range map[ghostKind]float64{fromWindow: 120, fromMain: 80} {
		var b border
		b.init(1000, PrescribedParams())
		for range 8 {
			b.observe(kind, 1)
		}
		for range 125 {
			b.evicted(fromWindow)
			b.move()
		}
		if b.window != want {
			t.Errorf("kind %d: window %v, want %v", kind, b.window, want)
		}
	}
}

func TestHitsOnIdleEntries(t *testing.T) {
	for _, test := range []struct {
		every    int // one entry of main of so many is hit; 0: none
		from, to float64
	}{{0, 0, 0}, {1, 50, 50}, {2, 15, 35}} {
		p := NewTwoRegion(1000, DefaultParams())
		for key := range uint64(2000) {
			p.Request(key)
		}
		p.lookForIdle()
		for i := range p.main.n {
			if e := &p.entries[p.main.slots[p.main.at(i)]]; test.every > 0 && i%test.every == 0 {
				p.hit(e)
				e.rank = 0 // the hand has been there
			}
		}
		if got := p.idleHits(); got < test.from || got > test.to {
			t.Errorf("one of %d hit: %v, want %v to %v", test.every, got, test.from, test.to)
		}
	}
}

func TestHistory(t *testing.T) {
	var h history
	h.init(64)
	h.add(1, fromMain, 3, 100, 100)
	h.add(2, fromWindow, 1, 90, 100)
	if g, ok := h.take(1, 150); !ok || g != (ghost{fromMain, 3, 50}) {
		t.Errorf("key 1: %+v, %v", g, ok)
	}
	if _, ok := h.take(1, 150); ok {
		t.Error("key 1 is there twice")
	}
	// A stamp wraps around; its age does not notice.
	if g, ok := h.take(2, 90+ghostTicks); !ok || g != (ghost{fromWindow, 1, ghostTicks}) {
		t.Errorf("key 2: %+v, %v", g, ok)
	}
}

func TestHistoryDropsTheOldest(t *testing.T) {
	var h history
	h.init(8)
	for key := range uint64(9) {
		h.add(key, fromWindow, 1, tick(key), tick(key))
	}
	for key := range uint64(9) {
		if _, ok := h.take(key, 9); ok != (key > 0) {
			t.Errorf("key %d: remembered is %v", key, ok)
		}
	}
}

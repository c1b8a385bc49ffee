package dualcache

import (
	"fmt"
	"testing"
)

func testAllocs[K comparable, V any](t *testing.T, key func(int) K, value V) {
	t.Helper()
	const capacity = 2000
	c := Must(Config[K, V]{Capacity: capacity})
	defer c.Close()
	keys := make([]K, 10*capacity)
	for i := range keys {
		keys[i] = key(i)
	}
	next := 0
	advance := func() K {
		if next++; next == len(keys) {
			next = 0
		}
		return keys[next]
	}
	for range 2 * len(keys) {
		c.Set(advance(), value)
	}
	check := func(what string, f func()) {
		t.Helper()
		if got := testing.AllocsPerRun(5000, f); got != 0 {
			t.Errorf("%T to %T: %s allocates %v times, want 0", keys[0], value, what, got)
		}
	}
	check("Set of a new key that evicts", func() { c.Set(advance(), value) })
	resident := keys[next]
	check("Get hit", func() { c.Get(resident) })
	check("Set of a resident key", func() { c.Set(resident, value) })
	check("Delete and Set", func() { c.Delete(resident); c.Set(resident, value) })
	c.Delete(resident)
	check("Get miss", func() { c.Get(resident) })
	check("Delete of an absent key", func() { c.Delete(resident) })
}

// Guards G4 and G5: nothing allocates at steady state. Fails if hash lets the
// key escape, if reclaim makes a list, or supply makes slabs for ever.
func TestAllocationFree(t *testing.T) {
	if debug {
		t.Skip("debug builds allocate")
	}
	testAllocs(t, func(i int) uint64 { return uint64(i) }, uint64(1))
	testAllocs(t, func(i int) uint64 { return uint64(i) }, "value")
	testAllocs(t, func(i int) string { return fmt.Sprint("key", i) }, uint64(1))
	testAllocs(t, func(i int) string { return fmt.Sprint("key", i) }, "value")
	testAllocs(t, func(i int) [16]byte { return [16]byte{byte(i), byte(i >> 8)} }, uint64(1))
	testAllocs(t, func(i int) struct{ a, b string } {
		return struct{ a, b string }{"x", fmt.Sprint(i)}
	}, [100]byte{})
}

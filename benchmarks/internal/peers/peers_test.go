// The loops come from one template, so what these tests look for are mistakes
// that would spoil every figure alike: an operation that is not performed, a
// hit that is not counted, a value that is not the key's. And caches must hold
// the capacity they are given, or what is compared is not alike.
package peers

import (
	"fmt"
	"testing"

	"github.com/dualcache-ff/dualcache/benchmarks/internal/histogram"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/keys"
)

const few = 1000

// shapes are all there are.
var shapes = []Shape{{"uint64", 8}, {"uint64", 64}, {"uint64", 256}, {"string", 8}}

// each runs test on an empty cache of every implementation and shape, with
// ample capacity.
func each(t *testing.T, test func(t *testing.T, c Cache)) {
	names := keys.Strings(few)
	for _, peer := range All {
		for _, shape := range shapes {
			if !peer.Takes(shape) {
				continue
			}
			t.Run(fmt.Sprintf("impl=%s/key=%s/value=%d", peer.Name, shape.Key, shape.Value), func(t *testing.T) {
				c := peer.New(10*few, shape, names)
				defer c.Close()
				test(t, c)
			})
		}
	}
}

func TestGetSeesSet(t *testing.T) {
	each(t, func(t *testing.T, c Cache) {
		ids := keys.All(few)
		if got := c.Get(ids); got != (Tally{Gets: few}) {
			t.Errorf("empty cache: %+v", got)
		}
		c.Set(ids)
		c.Settle()
		want := Tally{Gets: few, Hits: few, Sum: few * (few - 1) / 2}
		if got := c.Get(ids); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

func TestChurnFills(t *testing.T) {
	each(t, func(t *testing.T, c Cache) {
		ids := keys.All(few)
		c.Churn(ids)
		c.Settle()
		if got := c.Churn(ids); got.Hits != few {
			t.Errorf("%d hits after filling, want %d", got.Hits, few)
		}
	})
}

func TestMixedWritesMarked(t *testing.T) {
	each(t, func(t *testing.T, c Cache) {
		mixed := keys.All(few)
		for i := range few / 2 {
			mixed[i] |= keys.WriteBit
		}
		if got := c.Mixed(mixed); got.Gets != few/2 || got.Hits != 0 {
			t.Errorf("mixed: %+v", got)
		}
		c.Settle()
		if got := c.Get(keys.All(few)); got.Hits != few/2 {
			t.Errorf("%d resident, want %d", got.Hits, few/2)
		}
	})
}

func TestTailCountsEveryOperation(t *testing.T) {
	each(t, func(t *testing.T, c Cache) {
		var h histogram.Histogram
		ids := keys.All(few)
		keys.MarkWrites(ids, 50)
		c.Tail(ids, &h)
		if h.Count() != few {
			t.Errorf("%d operations timed, want %d", h.Count(), few)
		}
	})
}

func TestWritesAreReplaced(t *testing.T) {
	each(t, func(t *testing.T, c Cache) {
		ids := keys.All(few)
		for range 3 {
			c.Set(ids)
			c.Settle()
		}
		if got := c.Get(ids); got.Hits != few || got.Sum != few*(few-1)/2 {
			t.Errorf("%+v after writing all keys thrice", got)
		}
	})
}

// Ten times as many keys are written as there is room for. What is still found
// is at most the capacity, except in maps, which keep all.
func TestCapacityIsHeld(t *testing.T) {
	ids := keys.All(10 * few)
	names := keys.Strings(10 * few)
	for _, peer := range All {
		for _, shape := range shapes {
			if !peer.Takes(shape) {
				continue
			}
			t.Run(fmt.Sprintf("impl=%s/key=%s/value=%d", peer.Name, shape.Key, shape.Value), func(t *testing.T) {
				c := peer.New(few, shape, names)
				defer c.Close()
				for at := 0; at < len(ids); at += few / 10 {
					c.Set(ids[at:][:few/10])
					c.Settle()
				}
				low, high := few/2, few
				if peer.Floor {
					low, high = len(ids), len(ids)
				}
				if found := c.Get(ids).Hits; found < low || found > high {
					t.Errorf("%d entries in a cache of %d, want %d to %d", found, few, low, high)
				}
			})
		}
	}
}

func TestShapes(t *testing.T) {
	for _, peer := range All {
		for _, shape := range shapes {
			if want := peer.Name != "sturdyc" || shape.Key == "string"; peer.Takes(shape) != want {
				t.Errorf("%s takes %v: %v, want %v", peer.Name, shape, !want, want)
			}
		}
		for _, shape := range []Shape{{"uint64", 9}, {"string", 64}} {
			if peer.Takes(shape) {
				t.Errorf("%s takes %v, which there is not", peer.Name, shape)
			}
		}
	}
}

func TestSelect(t *testing.T) {
	got, err := Select("map, otter")
	if err != nil || len(got) != 2 || got[0].Name != "xsync.Map" || got[1].Name != "otter" {
		t.Errorf("Select: %v, %v", got, err)
	}
	if _, err := Select("none"); err == nil {
		t.Error("an unknown name is accepted")
	}
}

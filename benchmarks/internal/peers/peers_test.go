// The loops come from one template, so what these tests look for are mistakes
// that would spoil every figure alike: an operation that is not performed, a
// hit that is not counted, a value that is not the key's.
package peers

import (
	"testing"

	"github.com/dualcache-ff/dualcache/benchmarks/internal/histogram"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/keys"
)

const few = 1000

// each runs test on an empty cache of every implementation and key type, with
// ample capacity.
func each(t *testing.T, test func(t *testing.T, c Cache)) {
	names := keys.Strings(few)
	for _, peer := range All {
		t.Run("impl="+peer.Name+"/key=uint64", func(t *testing.T) {
			c := peer.Ints(10 * few)
			defer c.Close()
			test(t, c)
		})
		t.Run("impl="+peer.Name+"/key=string", func(t *testing.T) {
			c := peer.Strings(10*few, names)
			defer c.Close()
			test(t, c)
		})
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

func TestSelect(t *testing.T) {
	got, err := Select("map, otter")
	if err != nil || len(got) != 2 || got[0].Name != "map" || got[1].Name != "otter" {
		t.Errorf("Select: %v, %v", got, err)
	}
	if _, err := Select("none"); err == nil {
		t.Error("an unknown name is accepted")
	}
}

package dualcache

import (
	"math/rand/v2"
	"sync"
	"testing"
)

func TestSmoke(t *testing.T) {
	for _, capacity := range []int{1, 2, 10, 100, scaled(50_000)} {
		c := Must(Config[uint64, uint64]{Capacity: capacity})
		for i := range uint64(3 * capacity) {
			c.Set(i, i*7)
			if v, ok := c.Get(i); !ok || v != i*7 {
				t.Fatalf("cap %d: Get(%d) = %d, %v", capacity, i, v, ok)
			}
			if n := c.Len(); i%97 == 0 && n > capacity {
				t.Fatalf("Len %d > %d", n, capacity)
			}
		}
		t.Logf("cap %d len %d %+v", capacity, c.Len(), c.Stats())
		c.Close()
	}
}

func TestSmokeParallel(t *testing.T) {
	c := Must(Config[uint64, string]{Capacity: 2000})
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			r := rand.New(rand.NewPCG(1, uint64(g)))
			for range scaled(200_000) {
				k := uint64(r.ExpFloat64() * 1000)
				if _, ok := c.Get(k); !ok {
					c.Set(k, "v")
				}
				if r.IntN(50) == 0 {
					c.Delete(k)
				}
			}
		}()
	}
	wg.Wait()
	t.Logf("len %d %+v", c.Len(), c.Stats())
}

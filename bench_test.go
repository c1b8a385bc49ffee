package dualcache

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// The microbenchmarks of this package alone: names are keyed, for benchstat. What
// other caches do on the same streams is measured in benchmarks/, in turns and in
// one process, which is the only way to compare on a machine that is not quiet.
//
// Keys are drawn by Zipf's law of exponent 1.01 over as many ranks as there are
// keys, and ranks are scattered over the key space.

const benchDraws = 1 << 20

// zipfKeys draws from n keys.
func zipfKeys(n int) []uint64 {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	ranks := r.Perm(n)
	zipf := rand.NewZipf(r, 1.01, 1, uint64(n-1))
	keys := make([]uint64, benchDraws)
	for i := range keys {
		keys[i] = uint64(ranks[zipf.Uint64()]) * 0x9e3779b97f4a7c15
	}
	return keys
}

// benchParallel runs op with keys of the stream and where they are in it, from a place of
// its own on each P.
func benchParallel(b *testing.B, keys []uint64, op func(i int, key uint64)) {
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := rand.IntN(len(keys)); pb.Next(); i++ {
			op(i, keys[i&(benchDraws-1)])
		}
	})
}

// warmCache is a cache that has seen the stream, cache-aside, and is at rest.
func warmCache(cfg Config[uint64, uint64], keys []uint64) *Cache[uint64, uint64] {
	c := Must(cfg)
	for range 2 {
		for _, key := range keys {
			if _, ok := c.Get(key); !ok {
				c.Set(key, key)
			}
		}
		c.Sync()
	}
	return c
}

// BenchmarkGet reads resident keys, with and without the tiers.
func BenchmarkGet(b *testing.B) {
	for _, n := range []int{10_000, 100_000, 1_000_000} {
		keys := zipfKeys(n)
		for name, tiers := range map[string][2]int{"off": {-1, -1}, "t1": {2048, -1}, "t2": {-1, 1 << 17}, "t1+t2": {2048, 1 << 17}} {
			b.Run(fmt.Sprintf("dist=zipf1.01/cap=%d/tiers=%s", n, name), func(b *testing.B) {
				c := warmCache(Config[uint64, uint64]{Capacity: n + n/20, T1Slots: tiers[0], T2Slots: tiers[1]}, keys)
				defer c.Close()
				before := c.Stats()
				b.ResetTimer()
				benchParallel(b, keys, func(_ int, key uint64) { c.Get(key) })
				s := c.Stats().Sub(before)
				b.ReportMetric(100*float64(s.HitsT1)/float64(s.Hits), "t1%")
				b.ReportMetric(100*float64(s.HitsT2)/float64(s.Hits), "t2%")
			})
		}
	}
}

// BenchmarkSet overwrites resident keys in place.
func BenchmarkSet(b *testing.B) {
	for _, n := range []int{10_000, 1_000_000} {
		keys := zipfKeys(n)
		b.Run(fmt.Sprintf("dist=zipf1.01/cap=%d", n), func(b *testing.B) {
			c := warmCache(Config[uint64, uint64]{Capacity: n + n/20}, keys)
			defer c.Close()
			b.ResetTimer()
			benchParallel(b, keys, func(_ int, key uint64) { c.Set(key, key) })
		})
	}
}

// BenchmarkReplace overwrites resident keys whose values take a new place.
func BenchmarkReplace(b *testing.B) {
	const n = 10_000
	keys := zipfKeys(n)
	b.Run(fmt.Sprintf("dist=zipf1.01/cap=%d", n), func(b *testing.B) {
		c := Must(Config[uint64, [4]uint64]{Capacity: n + n/20})
		defer c.Close()
		benchParallel(b, keys, func(_ int, key uint64) { c.Set(key, [4]uint64{key}) })
	})
}

// BenchmarkMixed is so many Sets in a hundred operations, the others Gets, over eight times
// as many keys as there is room for.
func BenchmarkMixed(b *testing.B) {
	const n = 131_072
	keys := zipfKeys(8 * n)
	for _, sets := range []int{10, 50, 90} {
		b.Run(fmt.Sprintf("dist=zipf1.01/cap=%d/sets=%d", n, sets), func(b *testing.B) {
			c := warmCache(Config[uint64, uint64]{Capacity: n}, keys)
			defer c.Close()
			before := c.Stats()
			b.ResetTimer()
			benchParallel(b, keys, func(i int, key uint64) {
				if i*37%100 < sets {
					c.Set(key, key)
				} else {
					c.Get(key)
				}
			})
			b.ReportMetric(100*c.Stats().Sub(before).HitRatio(), "hit%")
		})
	}
}

// BenchmarkChurn is cache-aside over ten times as many keys as there is room for.
func BenchmarkChurn(b *testing.B) {
	for _, n := range []int{1000, 100_000} {
		keys := zipfKeys(10 * n)
		b.Run(fmt.Sprintf("dist=zipf1.01/cap=%d", n), func(b *testing.B) {
			c := warmCache(Config[uint64, uint64]{Capacity: n}, keys)
			defer c.Close()
			before := c.Stats()
			b.ResetTimer()
			benchParallel(b, keys, func(_ int, key uint64) {
				if _, ok := c.Get(key); !ok {
					c.Set(key, key)
				}
			})
			b.ReportMetric(100*c.Stats().Sub(before).HitRatio(), "hit%")
		})
	}
}

// BenchmarkTTL reads and sets resident keys with a time to live, beside those without.
func BenchmarkTTL(b *testing.B) {
	for _, n := range []int{10_000, 1_000_000} {
		keys := zipfKeys(n)
		for _, ttl := range []time.Duration{0, time.Second, time.Hour} {
			c := warmCache(Config[uint64, uint64]{Capacity: n, TTL: ttl}, keys)
			b.Run(fmt.Sprintf("op=get/dist=zipf1.01/cap=%d/ttl=%v", n, ttl), func(b *testing.B) {
				benchParallel(b, keys, func(_ int, key uint64) { c.Get(key) })
			})
			b.Run(fmt.Sprintf("op=set/dist=zipf1.01/cap=%d/ttl=%v", n, ttl), func(b *testing.B) {
				benchParallel(b, keys, func(_ int, key uint64) { c.Set(key, key) })
			})
			c.Close()
		}
		c := warmCache(Config[uint64, uint64]{Capacity: n, ExpireAfterAccess: time.Hour}, keys)
		b.Run(fmt.Sprintf("op=get/dist=zipf1.01/cap=%d/idle=1h", n), func(b *testing.B) {
			benchParallel(b, keys, func(_ int, key uint64) { c.Get(key) })
		})
		c.Close()
	}
}

// BenchmarkGetMany looks 64 keys up at once, and one by one; a reported operation is one
// key.
func BenchmarkGetMany(b *testing.B) {
	for _, n := range []int{10_000, 100_000, 1_000_000} {
		keys := zipfKeys(n)
		c := warmCache(Config[uint64, uint64]{Capacity: n}, keys)
		values, found := make([]uint64, 64), make([]bool, 64)
		b.Run(fmt.Sprintf("op=many/dist=zipf1.01/cap=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; i < b.N; i += 64 {
				at := i & (benchDraws - 1)
				c.GetMany(keys[at:at+64], values, found)
			}
		})
		b.Run(fmt.Sprintf("op=gets/dist=zipf1.01/cap=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; i < b.N; i += 64 {
				at := i & (benchDraws - 1)
				for j, key := range keys[at : at+64] {
					values[j], found[j] = c.Get(key)
				}
			}
		})
		c.Close()
	}
}

// BenchmarkCompound measures the operations that are made of others, on resident keys.
func BenchmarkCompound(b *testing.B) {
	const n = 10_000
	keys := zipfKeys(n)
	c := warmCache(Config[uint64, uint64]{Capacity: n}, keys)
	defer c.Close()
	load := func(context.Context, uint64) (uint64, error) { return 0, ErrNotFound }
	ctx := context.Background()
	for _, op := range []struct {
		name string
		run  func(_ int, key uint64)
	}{
		{"get", func(_ int, key uint64) { c.Get(key) }},
		{"getorload", func(_ int, key uint64) { _, _ = c.GetOrLoad(ctx, key, load) }},
		{"getorset", func(_ int, key uint64) { c.GetOrSet(key, key) }},
		{"peek", func(_ int, key uint64) { c.Peek(key) }},
		{"getentry", func(_ int, key uint64) { c.GetEntry(key) }},
		{"compute", func(_ int, key uint64) {
			c.Compute(key, func(old uint64, _ bool) (uint64, Op) { return old + 1, OpSet })
		}},
		{"set", func(_ int, key uint64) { c.Set(key, key) }},
	} {
		b.Run(fmt.Sprintf("op=%s/dist=zipf1.01/cap=%d", op.name, n), func(b *testing.B) { benchParallel(b, keys, op.run) })
	}
}

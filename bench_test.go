package dualcache

import (
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

// benchParallel runs op with keys of the stream, from a place of its own on each P.
func benchParallel(b *testing.B, keys []uint64, op func(key uint64)) {
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := rand.IntN(len(keys)); pb.Next(); i++ {
			op(keys[i&(benchDraws-1)])
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
				benchParallel(b, keys, func(key uint64) { c.Get(key) })
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
			benchParallel(b, keys, func(key uint64) { c.Set(key, key) })
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
		benchParallel(b, keys, func(key uint64) { c.Set(key, [4]uint64{key}) })
	})
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
			benchParallel(b, keys, func(key uint64) {
				if _, ok := c.Get(key); !ok {
					c.Set(key, key)
				}
			})
			b.ReportMetric(100*c.Stats().Sub(before).HitRatio(), "hit%")
		})
	}
}

// BenchmarkTTL reads resident keys with a deadline far away, and without one.
func BenchmarkTTL(b *testing.B) {
	const n = 10_000
	keys := zipfKeys(n)
	for name, ttl := range map[string]time.Duration{"none": 0, "hour": time.Hour} {
		b.Run(fmt.Sprintf("dist=zipf1.01/cap=%d/ttl=%s", n, name), func(b *testing.B) {
			c := warmCache(Config[uint64, uint64]{Capacity: n + n/20, TTL: ttl}, keys)
			defer c.Close()
			b.ResetTimer()
			benchParallel(b, keys, func(key uint64) { c.Get(key) })
		})
	}
}

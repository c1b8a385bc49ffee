package dualcache

import (
	"math/rand/v2"
	"testing"
)

func zipfKeys(n int) []uint32 {
	r := rand.New(rand.NewPCG(1, 2))
	z := rand.NewZipf(r, 1.01, 1, uint64(n-1))
	keys := make([]uint32, 1<<20)
	perm := r.Perm(n)
	for i := range keys {
		keys[i] = uint32(perm[z.Uint64()])
	}
	return keys
}

func BenchmarkGetQuick(b *testing.B) {
	keys := zipfKeys(10000)
	c := Must(Config[uint64, uint64]{Capacity: 10000})
	for i := range uint64(10000) {
		c.Set(i*0x9e3779b97f4a7c15, i)
	}
	for range 3 {
		for _, k := range keys {
			c.Get(uint64(k) * 0x9e3779b97f4a7c15)
		}
	}
	b.ResetTimer()
	for i := 0; i < b.N; i++ {
		c.Get(uint64(keys[i&(1<<20-1)]) * 0x9e3779b97f4a7c15)
	}
}

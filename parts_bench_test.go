package dualcache

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"
)

// What an operation is made of, each part alone and with everything it touches in the
// processor's first cache, beside what the machine takes for a load and for a locked
// instruction. docs/costs.md adds them up.

var partSink uint64

// BenchmarkMachine measures loads that depend on one another, over so much memory, and
// locked instructions on a line that nobody else has.
func BenchmarkMachine(b *testing.B) {
	for _, kilobytes := range []int{16, 512, 16 << 10, 256 << 10} {
		b.Run(fmt.Sprintf("op=load/memory=%dkB", kilobytes), func(b *testing.B) {
			type line struct {
				next int
				_    [56]byte
			}
			lines := make([]line, kilobytes<<10/64)
			order := rand.New(rand.NewPCG(1, 1)).Perm(len(lines))
			for i, at := range order {
				lines[at].next = order[(i+1)%len(order)]
			}
			b.ResetTimer()
			at := 0
			for range b.N {
				at = lines[at].next
			}
			partSink += uint64(at)
		})
	}
	var word atomic.Uint64
	b.Run("op=exchange", func(b *testing.B) {
		for i := range b.N {
			word.Store(uint64(i))
		}
	})
	b.Run("op=compare-and-swap", func(b *testing.B) {
		word.Store(0)
		for i := range uint64(b.N) {
			word.CompareAndSwap(i, i+1)
		}
	})
}

// BenchmarkPart measures the parts of operations on 64 keys.
func BenchmarkPart(b *testing.B) {
	const hot = 64
	var keys [hot]uint64
	var texts [hot]string
	for i := range keys {
		keys[i], texts[i] = uint64(i), fmt.Sprintf("key:%019d", i)
	}
	made := func(cfg Config[uint64, uint64]) *Cache[uint64, uint64] {
		c := Must(cfg)
		b.Cleanup(func() { c.Close() })
		for range 4 { // read again and again: the pass promotes
			for _, k := range keys {
				c.Set(k, k)
				c.Get(k)
			}
			c.Sync()
		}
		return c
	}
	plain := made(Config[uint64, uint64]{Capacity: 10_000})
	var x hashing[string]
	x.init(nil)
	each := func(name string, f func(i int)) {
		b.Run(name, func(b *testing.B) {
			for i := range b.N {
				f(i % hot)
			}
		})
	}
	each("part=loop", func(i int) { partSink += keys[i] })
	each("part=hash/key=uint64", func(i int) { partSink += plain.hash(keys[i]) })
	each("part=hash/key=23bytes", func(i int) { partSink += x.hash(texts[i]) })
	each("part=section", func(int) { plain.enter().leave() })
	each("part=hit", func(i int) { v, _ := plain.Get(keys[i]); partSink += v })
	each("part=miss", func(i int) { v, _ := plain.Get(keys[i] + 1<<40); partSink += v })
	each("part=set", func(i int) { plain.Set(keys[i], uint64(i)) })
	for name, cfg := range map[string]Config[uint64, uint64]{
		"t1": {Capacity: 10_000, T1Slots: 1024},
		"t2": {Capacity: 10_000, T2Slots: 1024},
	} {
		c := made(cfg)
		before := c.Stats()
		each("part=hit/tier="+name, func(i int) { v, _ := c.Get(keys[i]); partSink += v })
		if s := c.Stats().Sub(before); s.HitsT1+s.HitsT2 < s.Hits/2 {
			b.Errorf("tier %s: %d of %d hits", name, s.HitsT1+s.HitsT2, s.Hits)
		}
	}
	b.Run("part=offer", func(b *testing.B) {
		var q lossyQueue
		q.init(256)
		for i := range b.N {
			if q.offer(uint64(i)) == offerDropped {
				q.drain(func(record uint64) { partSink += record })
			}
		}
	})
	b.Run("part=pass", func(b *testing.B) { benchPass(b, 10_000) })
	b.Run("part=pass/entries=1m", func(b *testing.B) { benchPass(b, 1_000_000) })
}

// benchPass measures what the pass takes for an entry that comes and one that leaves:
// to apply its record, and to find, take out and remember a victim.
func benchPass(b *testing.B, capacity int) {
	c := headless(b, Config[uint64, uint64]{Capacity: capacity})
	r := rand.New(rand.NewPCG(2, 2))
	for range 3 * capacity {
		c.Set(r.Uint64(), 1)
	}
	const batch = 32
	var took time.Duration
	entries := 0
	b.ResetTimer()
	for entries < b.N {
		if !c.lockPass() {
			b.Fatal("the pass is taken")
		}
		begin := time.Now()
		n := c.passForRoom(batch)
		took += time.Since(begin)
		c.unlockPass()
		c.permits.Add(int64(n))
		for range n {
			c.Set(r.Uint64(), 1)
		}
		entries += max(n, 1)
	}
	b.ReportMetric(float64(took)/float64(entries), "ns/entry")
}

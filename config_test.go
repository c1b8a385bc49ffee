package dualcache

import (
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"
)

// Guards validate: each bad field is refused with its name, its value and its
// limit. Fails if one of the checks goes.
func TestBadConfigs(t *testing.T) {
	type config = Config[int, int]
	for _, test := range []struct {
		cfg  config
		want []string
	}{
		{config{}, []string{"Config.Capacity", "is 0", "1 to 100000000"}},
		{config{Capacity: -5}, []string{"Config.Capacity", "is -5", "1 to"}},
		{config{Capacity: MaxCapacity + 1}, []string{"Config.Capacity", "is 100000001", "1 to 100000000"}},
		{config{Capacity: 1, T1Slots: 100}, []string{"Config.T1Slots", "is 100", "power of two", "4096"}},
		{config{Capacity: 1, T1Slots: 8192}, []string{"Config.T1Slots", "is 8192", "power of two", "4096"}},
		{config{Capacity: 1, T2Slots: 3}, []string{"Config.T2Slots", "is 3", "power of two"}},
		{config{Capacity: 1, TTL: -time.Second}, []string{"Config.TTL", "is -1s", "0"}},
		{config{Capacity: 1, ExpireAfterAccess: -1}, []string{"Config.ExpireAfterAccess", "is -1ns", "0"}},
		{config{Capacity: 1, NegativeTTL: -1}, []string{"Config.NegativeTTL", "is -1ns", "0"}},
		{config{Capacity: 1, RefreshAfter: 1}, []string{"Config.RefreshAfter", "is 1ns", "no Config.Loader"}},
		{config{Capacity: 1, MaxWeight: 5}, []string{"Config.MaxWeight", "is 5", "Config.Weigher"}},
		{config{Capacity: 1, Weigher: func(int, int) uint32 { return 1 }}, []string{"Config.MaxWeight", "is 0", "1 to"}},
		{config{Capacity: 1, PollInterval: -1}, []string{"Config.PollInterval", "is -1ns", "0"}},
		{config{Capacity: 1, FlushTicks: -2}, []string{"Config.FlushTicks", "is -2", "at least 1"}},
		{config{Capacity: 1, FlushTicks: -2}, []string{"Config.FlushTicks", "is -2", "at most 2147483647"}},
		{config{Capacity: 1, Workers: -1}, []string{"Config.Workers", "is -1", "at least 1"}},
		{config{T1Slots: 5, TTL: -1}, []string{"Config.Capacity", "Config.T1Slots", "Config.TTL", "\n"}},
	} {
		c, err := New(test.cfg)
		_, _, err2 := NewHeadless(test.cfg)
		if c != nil || err == nil || err2 == nil || !panics(func() { Must(test.cfg) }) {
			t.Errorf("%+v: accepted", test.cfg)
			continue
		}
		for _, want := range test.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%+v: error %q, want it to say %q", test.cfg, err, want)
			}
		}
	}
	good := config{Capacity: MaxCapacity, T1Slots: MaxT1Slots, T2Slots: MaxT2Slots, TTL: math.MaxInt64,
		PollInterval: math.MaxInt64, FlushTicks: math.MaxInt32, Workers: math.MaxInt}
	if err := good.validate(); err != nil {
		t.Errorf("the largest configuration is refused: %v", err)
	}
	off := config{Capacity: 1, T1Slots: -1, T2Slots: -7}
	if err := off.validate(); err != nil {
		t.Errorf("negative tier sizes, which mean off, are refused: %v", err)
	}
}

// Guards the clamps in construct.
func TestConfigClamps(t *testing.T) {
	for given, want := range map[time.Duration]time.Duration{
		0: MinPollInterval, 1: MinPollInterval, 5 * time.Millisecond: 5 * time.Millisecond, time.Hour: MaxPollInterval,
	} {
		if got := headless(t, Config[int, int]{Capacity: 1, PollInterval: given}).poll; got != want {
			t.Errorf("PollInterval %v is taken as %v, want %v", given, got, want)
		}
	}
	c := headless(t, Config[int, int]{Capacity: 1, T1Slots: -1, T2Slots: -1})
	if c.tiered || c.flush != 1 || c.workers.limit != maxWorkers {
		t.Errorf("tiered %v, flush %d, workers %d, want false, 1, %d", c.tiered, c.flush, c.workers.limit, maxWorkers)
	}
}

// Guards trap 16 and rule 17 at the lower end: caches of any small capacity
// hold as many entries as they say, and what was just set.
func TestSmallCapacities(t *testing.T) {
	for capacity := 1; capacity <= 20; capacity++ {
		c := headless(t, Config[string, int]{Capacity: capacity})
		for i := range 50 * capacity {
			key := fmt.Sprint(i)
			c.Set(key, i)
			if v, ok := c.Get(key); !ok || v != i {
				t.Fatalf("capacity %d: Get(%s) just after Set = %d, %v", capacity, key, v, ok)
			}
			if n := c.Len(); n > capacity || i >= capacity && n < (capacity+1)/2 {
				t.Fatalf("capacity %d: Len = %d", capacity, n)
			}
		}
		c.Sync()
		invariants(t, c)
	}
}

// fullCache measures the live heap of a full cache, and how many entries it has.
func fullCache[V any](cfg Config[uint64, V]) (bytes int64, entries int) {
	before := heapNow()
	c := Must(cfg)
	var value V
	for i := range uint64(2*cfg.Capacity + 2000) {
		c.Set(i, value)
	}
	c.Sync()
	bytes, entries = heapNow()-before, c.Len()
	runtime.KeepAlive(c)
	c.Close()
	return bytes, entries
}

func testBudget[V any](t *testing.T, budget int64, ttl time.Duration) {
	t.Helper()
	cfg := WithMemoryBudget[uint64, V](budget, ttl)
	got, n := fullCache(cfg)
	slack := budget / 10
	if budget < 1<<20 {
		slack = budget / 4 // see TestFootprint
	}
	if got > budget+slack || got < budget*3/4 {
		var v V
		t.Errorf("%T, ttl %v: a cache of %d of %d entries takes %d bytes, want about the budget, %d",
			v, ttl, n, cfg.Capacity, got, budget)
	}
}

// Guards footprint and WithMemoryBudget against the heap.
func TestMemoryBudget(t *testing.T) {
	if debug {
		t.Skip("debug builds lend workers")
	}
	testBudget[uint64](t, 128<<10, 0)
	testBudget[uint64](t, 8<<20, 0)
	testBudget[uint64](t, 8<<20, time.Hour)
	testBudget[string](t, 20<<20, 0)
	testBudget[[200]byte](t, 10<<20, 0)
	if got := WithMemoryBudget[uint64, uint64](10, 0).Capacity; got != 0 {
		t.Errorf("Capacity for 10 bytes = %d, want 0", got)
	}
	if got := WithMemoryBudget[uint64, uint64](math.MaxInt64, 0).Capacity; got != MaxCapacity {
		t.Errorf("Capacity for all memory = %d, want %d", got, MaxCapacity)
	}
}

package dualcache

import "time"

// workerCounts are a worker's statistics; see counter.
type workerCounts struct {
	hits, misses, hitsT1, hitsT2    counter
	sets, refusals                  counter
	added                           counter // entries put into the index
	evictions, expirations, deletes counter // entries taken out of it, by cause
	cleared                         counter
	droppedHits, droppedInserts     counter
	forgotWindow, forgotMain        counter // entries that left the policy's lists
	retired                         counter // places that wait for a grace period
}

// Stats are counts since the cache was made. Each is exact once the operations
// it counts have returned; while operations run, the counts are not of one
// moment.
type Stats struct {
	Hits        uint64 // Gets that found a value
	Misses      uint64 // Gets that did not, expired entries included
	Sets        uint64 // Sets that took effect
	Deletes     uint64 // Deletes that removed a value
	Evictions   uint64 // entries removed to make room
	Expirations uint64 // expired entries removed, by the daemon or by Delete

	HitsT1 uint64 // hits found in tier T1; included in Hits
	HitsT2 uint64 // hits found in tier T2; included in Hits

	// Records are hints to the eviction policy. A dropped one costs accuracy,
	// never an entry.
	DroppedHits    uint64 // hit records dropped at a full queue
	DroppedInserts uint64 // insert records dropped at a full queue

	GracePeriods uint64 // rounds of memory reclamation
	Passes       uint64 // rounds of maintenance
	Refusals     uint64 // Sets refused; see G2

	Loads          uint64        // values that loaders returned, or that they did not find
	LoadFailures   uint64        // loads that failed with another error
	LoadTime       time.Duration // spent in loaders
	ListenerPanics uint64        // calls of Config.OnRemoval that did not return
}

// HitRatio is the share of Gets that found a value, or 0 before the first.
func (s Stats) HitRatio() float64 {
	if s.Hits+s.Misses == 0 {
		return 0
	}
	return float64(s.Hits) / float64(s.Hits+s.Misses)
}

// Sub gives the counts between an earlier reading and s.
func (s Stats) Sub(earlier Stats) Stats {
	return Stats{
		Hits:           s.Hits - earlier.Hits,
		Misses:         s.Misses - earlier.Misses,
		Sets:           s.Sets - earlier.Sets,
		Deletes:        s.Deletes - earlier.Deletes,
		Evictions:      s.Evictions - earlier.Evictions,
		Expirations:    s.Expirations - earlier.Expirations,
		HitsT1:         s.HitsT1 - earlier.HitsT1,
		HitsT2:         s.HitsT2 - earlier.HitsT2,
		DroppedHits:    s.DroppedHits - earlier.DroppedHits,
		DroppedInserts: s.DroppedInserts - earlier.DroppedInserts,
		GracePeriods:   s.GracePeriods - earlier.GracePeriods,
		Passes:         s.Passes - earlier.Passes,
		Refusals:       s.Refusals - earlier.Refusals,
		Loads:          s.Loads - earlier.Loads,
		LoadFailures:   s.LoadFailures - earlier.LoadFailures,
		LoadTime:       s.LoadTime - earlier.LoadTime,
		ListenerPanics: s.ListenerPanics - earlier.ListenerPanics,
	}
}

// Stats sums the workers' counters. It costs a few loads for each P that has
// used the cache and may be called at any time.
func (c *Cache[K, V]) Stats() Stats {
	s := Stats{
		GracePeriods: c.gracePeriods.Load(),
		Passes:       c.passes.Load(),
		Loads:        c.loaded.Load(),
		LoadFailures: c.failed.Load(),
		LoadTime:     time.Duration(c.loadTime.Load()),
	}
	if c.listener != nil {
		s.ListenerPanics = c.listener.panics.Load()
	}
	for _, w := range *c.workers.all.Load() {
		n := &w.counts
		s.Hits += n.hits.load()
		s.Misses += n.misses.load()
		s.Sets += n.sets.load()
		s.Deletes += n.deletes.load()
		s.Evictions += n.evictions.load()
		s.Expirations += n.expirations.load()
		s.HitsT1 += n.hitsT1.load()
		s.HitsT2 += n.hitsT2.load()
		s.DroppedHits += n.droppedHits.load()
		s.DroppedInserts += n.droppedInserts.load()
		s.Refusals += n.refusals.load()
	}
	return s
}

// Len is the number of entries, expired ones that have not been removed yet
// included. It never exceeds Capacity. It costs a few loads for each P that
// has used the cache.
func (c *Cache[K, V]) Len() int {
	var added, removed uint64
	workers := *c.workers.all.Load()
	// All additions are read before any removal: an entry that is added or
	// moved on meanwhile may be missed, but none is counted twice.
	for _, w := range workers {
		added += w.counts.added.load()
	}
	for _, w := range workers {
		n := &w.counts
		removed += n.evictions.load() + n.expirations.load() + n.deletes.load() + n.cleared.load()
	}
	return max(0, int(added-removed))
}

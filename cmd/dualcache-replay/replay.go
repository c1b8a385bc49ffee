package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/dualcache-ff/dualcache"
)

const (
	// batchKeys is how many keys each cache is given in its turn: enough that
	// reading the clock twice a turn does not show in the time measured.
	batchKeys = 4096
	// batchBytes ends a batch of long string keys early, so that its memory is
	// bounded too.
	batchBytes = 1 << 20
)

// errCapacity is in the error about a capacity the library does not accept.
var errCapacity = errors.New("invalid value for flag -capacity")

// key is what a trace can be made of.
type key interface {
	uint64 | string
}

// lane is one cache, and what was measured of it.
type lane[K key] struct {
	cache    *dualcache.Cache[K, K]
	requests uint64
	hits     uint64
	wrong    uint64 // hits with a value that was stored for another key
	elapsed  time.Duration
}

// newLanes makes a lane with an empty cache for each capacity.
func newLanes[K key](capacities []int) ([]*lane[K], error) {
	var lanes []*lane[K]
	for _, capacity := range capacities {
		cache, err := dualcache.New(dualcache.Config[K, K]{Capacity: capacity})
		if err != nil {
			_, closeErr := finishLanes(lanes)
			return nil, errors.Join(fmt.Errorf("%w: %d: %w", errCapacity, capacity, err), closeErr)
		}
		lanes = append(lanes, &lane[K]{cache: cache})
	}
	return lanes, nil
}

// replay looks up each key of the batch, and stores those that are missing.
func (l *lane[K]) replay(batch []K) {
	start := time.Now()
	for _, k := range batch {
		value, ok := l.cache.Get(k)
		if !ok {
			l.cache.Set(k, k)
			continue
		}
		l.hits++
		if value != k {
			l.wrong++
		}
	}
	l.elapsed += time.Since(start)
	l.requests += uint64(len(batch))
}

// finish lets the cache catch up, closes it and returns the result, which is
// complete also if there is an error.
func (l *lane[K]) finish() (result, error) {
	start := time.Now()
	l.cache.Sync()
	l.elapsed += time.Since(start)
	r := result{
		capacity: l.cache.Capacity(),
		requests: l.requests,
		hits:     l.hits,
		entries:  l.cache.Len(),
		elapsed:  l.elapsed,
		stats:    l.cache.Stats(),
	}
	err := l.cache.Close()
	if l.wrong > 0 {
		err = errors.Join(err, fmt.Errorf("at capacity %d, %d hits had another key's value", r.capacity, l.wrong))
	}
	return r, err
}

// finishLanes finishes all lanes, whatever their errors.
func finishLanes[K key](lanes []*lane[K]) ([]result, error) {
	var results []result
	var errs []error
	for _, l := range lanes {
		r, err := l.finish()
		results = append(results, r)
		errs = append(errs, err)
	}
	return results, errors.Join(errs...)
}

// replayer drives all lanes from one reading of a trace.
type replayer[K key] struct {
	lines    *lineReader
	parse    func([]byte) (K, error)
	lanes    []*lane[K]
	progress *progress
	requests uint64
}

// replay replays the trace to its end, or to the first error. All keys read
// before the error are replayed before it is returned.
func (r *replayer[K]) replay() error {
	batch := make([]K, 0, batchKeys)
	for {
		var err error
		batch, err = r.fill(batch[:0])
		for _, l := range r.lanes {
			l.replay(batch)
		}
		r.requests += uint64(len(batch))
		r.progress.update(r.requests)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// fill appends keys to batch until it is full. With an error it returns the
// keys before it.
func (r *replayer[K]) fill(batch []K) ([]K, error) {
	for size := 0; len(batch) < batchKeys && size < batchBytes; {
		line, err := r.lines.next()
		if err != nil {
			return batch, err
		}
		k, err := r.parse(line)
		if err != nil {
			return batch, r.lines.lineError(err)
		}
		batch = append(batch, k)
		size += len(line)
	}
	return batch, nil
}

// progress says now and then how far a replay has come.
type progress struct {
	out      io.Writer
	title    string
	interval time.Duration
	start    time.Time
	next     time.Time
}

// newProgress starts the clock: the first report is an interval away, so that
// there is none on a trace that is soon done.
func newProgress(out io.Writer, title string, interval time.Duration) *progress {
	now := time.Now()
	return &progress{out: out, title: title, interval: interval, start: now, next: now.Add(interval)}
}

// update reports the number of requests replayed, if it is time to.
func (p *progress) update(requests uint64) {
	now := time.Now()
	if p.interval == 0 || now.Before(p.next) {
		return
	}
	p.next = now.Add(p.interval)
	fmt.Fprintf(p.out, "%s: %s: %d requests after %v\n",
		program, p.title, requests, now.Sub(p.start).Round(100*time.Millisecond))
}

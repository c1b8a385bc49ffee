//go:build go1.25

package dualcache

import (
	"bytes"
	"encoding/binary"
	"io"
	"maps"
	"testing"
	"testing/synctest"
	"time"
)

// Times to live go on running while nobody looks, and do not grow when the wall
// clock is set back.
func TestSnapshotTime(t *testing.T) {
	const minute = time.Minute
	for _, x := range []struct {
		name   string
		passed time.Duration // by the monotonic clock
		set    time.Duration // back
		want   map[string]time.Duration
	}{
		{"at once", 0, 0, map[string]time.Duration{"short": minute, "long": 60 * minute, "never": 0}},
		{"later", 59 * time.Second, 0, map[string]time.Duration{"short": time.Second, "long": 59*minute + time.Second, "never": 0}},
		{"too late", minute + 1, 0, map[string]time.Duration{"long": 59 * minute, "never": 0}},
		{"a day later", 24 * time.Hour, 0, map[string]time.Duration{"never": 0}},
		{"yesterday", 0, 24 * time.Hour, map[string]time.Duration{"short": minute, "long": 60 * minute, "never": 0}},
		{"in another age", 0, 200 * 365 * 24 * time.Hour, map[string]time.Duration{"short": minute, "long": 60 * minute, "never": 0}},
		{"an age later", 0, -200 * 365 * 24 * time.Hour, map[string]time.Duration{"never": 0}},
	} {
		t.Run(x.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				from := headless(t, Config[string, int]{Capacity: 16})
				from.SetWithTTL("short", 1, minute)
				from.SetWithTTL("long", 2, time.Hour)
				from.SetWithTTL("never", 3, 0)
				b := snapshotOf(t, from, blockLimit)
				at := fixedHeadLen + 2
				binary.LittleEndian.PutUint64(b[at:], binary.LittleEndian.Uint64(b[at:])+uint64(x.set))
				b = reseal(b)
				time.Sleep(x.passed)
				to := headless(t, Config[string, int]{Capacity: 16})
				if _, err := to.ReadFrom(bytes.NewReader(b)); err != nil {
					t.Fatal(err)
				}
				if got := remaining(to); !maps.Equal(got, x.want) {
					t.Errorf("remaining times to live %v, want %v", got, x.want)
				}
			})
		})
	}
}

func remaining(c *Cache[string, int]) map[string]time.Duration {
	m := map[string]time.Duration{}
	c.eachEntry(func(e Entry[string, int]) bool {
		m[e.Key] = 0
		if !e.ExpiresAt.IsZero() {
			m[e.Key] = time.Until(e.ExpiresAt).Round(time.Second)
		}
		return true
	})
	return m
}

// The longest time to live, and an entry that expires while the snapshot is written.
func TestSnapshotTimeLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from := headless(t, Config[string, int]{Capacity: 16})
		from.SetWithTTL("longest", 1, 1<<63-1)
		from.SetWithTTL("second", 2, time.Second)
		var b bytes.Buffer
		if _, err := from.writeSnapshot(slowWriter{&b, 2 * time.Second}, blockLimit); err != nil {
			t.Fatal(err)
		}
		to := headless(t, Config[string, int]{Capacity: 16})
		if _, err := to.ReadFrom(&b); err != nil {
			t.Fatal(err)
		}
		if got := entriesOf(to); !maps.Equal(got, map[string]int{"longest": 1}) {
			t.Errorf("read %v", got)
		}
	})
}

type slowWriter struct {
	io.Writer
	pause time.Duration
}

func (w slowWriter) Write(b []byte) (int, error) {
	time.Sleep(w.pause)
	return w.Writer.Write(b)
}

package dualcache

import (
	"encoding/csv"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var (
	soakFlag    = flag.Duration("soak", 0, "run TestSoak for so long")
	soakOutFlag = flag.String("soak.out", "", "`directory` of TestSoak's soak.csv and soak.svg; none: a temporary one")
)

const (
	soakSamples = 200 // at most
	soakEvery   = 64  // operations; one of so many is timed
	soakTTL     = 2 * time.Second
)

// soakFields are what a sample has, and how much the last quarter of the samples may
// differ from the second: by a factor, or by so much.
var soakFields = [...]struct {
	name           string
	factor, spread float64
}{
	{"heap, MB", 1.15, 4},
	{"goroutines", 1, 3}, // of the listener, and of a tick of the daemon
	{"hit ratio, %", 1, 3},
	{"p99.9, us", 3, 20},
}

type soakSample [len(soakFields)]float64

// TestSoak runs a constant mix, with a time to live, deletes, replacements and loads of
// keys that move on, for as long as -soak says, and looks for drift: of the live heap,
// of goroutines, of the hit ratio and of the slowest operations. A few seconds of it are
// run in any case.
func TestSoak(t *testing.T) {
	d := *soakFlag
	if d == 0 {
		if testing.Short() || debug {
			t.Skip("it takes some seconds")
		}
		d = 4 * time.Second
	}
	c := Must(Config[int, versioned]{Capacity: 50_000, TTL: soakTTL})
	defer c.Close()
	var stop atomic.Bool
	var wg sync.WaitGroup
	var mu sync.Mutex
	var times []time.Duration
	for g := range 2 {
		spawn(&wg, func() {
			r := rand.New(rand.NewPCG(9, uint64(g)))
			z := rand.NewZipf(r, 1.1, 10, 400_000)
			var own []time.Duration
			for n := 0; !stop.Load(); n++ {
				k := int(z.Uint64()) + n>>14
				timed := n%soakEvery == 0
				var begin time.Time
				if timed {
					begin = time.Now()
				}
				switch v := versionOf(k, uint64(n)); {
				case n%101 == 0:
					c.Delete(k)
				case n%53 == 0:
					c.SetWithTTL(k, v, time.Duration(1+n%1000)*time.Millisecond)
				case n%11 == 0:
					c.Set(k, v)
				default:
					if _, ok := c.Get(k); !ok {
						c.Set(k, v)
					}
				}
				if timed {
					own = append(own, time.Since(begin))
				}
				if len(own) == 1<<12 {
					mu.Lock()
					times = append(times, own...)
					mu.Unlock()
					own = own[:0]
				}
			}
		})
	}
	var samples []soakSample
	before := c.Stats()
	number := min(soakSamples, int(d/(100*time.Millisecond)))
	for begin := time.Now(); len(samples) < number; {
		time.Sleep(time.Until(begin.Add(d * time.Duration(len(samples)+1) / time.Duration(number))))
		mu.Lock()
		own := slices.Clone(times)
		times = times[:0]
		mu.Unlock()
		s := c.Stats()
		x := soakSample{0, float64(runtime.NumGoroutine()), 100 * s.Sub(before).HitRatio(), 0}
		before = s
		if slices.Sort(own); len(own) > 0 {
			x[3] = float64(own[len(own)*999/1000]) / 1e3
		}
		x[0] = float64(heapNow()) / 1e6
		samples = append(samples, x)
	}
	stop.Store(true)
	wg.Wait()
	soon(t, "all is expired, and removed", func() bool { return c.Len() == 0 && atRest(c) })
	invariants(t, c)
	quarter := number / 4
	for i, f := range soakFields {
		early, late := soakMedian(samples[quarter:2*quarter], i), soakMedian(samples[3*quarter:], i)
		t.Logf("%s: %.1f in the second quarter, %.1f in the last", f.name, early, late)
		// The slowest operations are another process's affair where there is one: -soak
		// says that there is none.
		if i == len(soakFields)-1 && *soakFlag == 0 {
			continue
		}
		if low, high := early/f.factor-f.spread, early*f.factor+f.spread; late < low || late > high {
			t.Errorf("%s drifts: %.1f, then %.1f", f.name, early, late)
		}
	}
	dir := *soakOutFlag
	if dir == "" {
		dir = t.TempDir()
	}
	if err := writeSoak(dir, d, samples); err != nil {
		t.Fatal(err)
	}
}

func soakMedian(samples []soakSample, field int) float64 {
	var x []float64
	for _, s := range samples {
		x = append(x, s[field])
	}
	slices.Sort(x)
	return x[len(x)/2]
}

// writeSoak writes the samples as a table, and as a chart: one panel for each field,
// from zero to the greatest.
func writeSoak(dir string, d time.Duration, samples []soakSample) error {
	f, err := os.Create(filepath.Join(dir, "soak.csv"))
	if err != nil {
		return err
	}
	defer f.Close()
	w := csv.NewWriter(f)
	row := []string{"seconds"}
	for _, field := range soakFields {
		row = append(row, field.name)
	}
	_ = w.Write(row)
	for n, s := range samples {
		row = []string{strconv.FormatFloat(d.Seconds()*float64(n+1)/float64(len(samples)), 'f', 2, 64)}
		for _, x := range s {
			row = append(row, strconv.FormatFloat(x, 'f', 3, 64))
		}
		_ = w.Write(row)
	}
	if w.Flush(); w.Error() != nil {
		return w.Error()
	}
	const width, height, left, top = 720, 110, 70, 28
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="12" fill="#777">`,
		width+left+10, len(soakFields)*(height+top)+30)
	for i, field := range soakFields {
		most := 1e-9
		for _, s := range samples {
			most = max(most, s[i])
		}
		y := i*(height+top) + top
		fmt.Fprintf(&b, `<text x="%d" y="%d">%s</text><text x="4" y="%d">%.4g</text><text x="4" y="%d">0</text>`,
			left, y-8, field.name, y+10, most, y+height)
		fmt.Fprintf(&b, `<path d="M%d %dv%dh%d" fill="none" stroke="#999"/><polyline fill="none" stroke="#1f77b4" stroke-width="1.5" points="`, left, y, height, width)
		for n, s := range samples {
			fmt.Fprintf(&b, "%d,%d ", left+width*n/len(samples), y+height-int(s[i]/most*height))
		}
		b.WriteString(`"/>`)
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d">%v, %d samples</text></svg>`, left, len(soakFields)*(height+top)+20, d, len(samples))
	return os.WriteFile(filepath.Join(dir, "soak.svg"), []byte(b.String()), 0o666)
}

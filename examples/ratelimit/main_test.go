package main

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		if err := run(&out); err != nil {
			t.Fatal(err)
		}
		want := `round 1, 192.0.2.1: 100 of 400 requests allowed
round 1, 192.0.2.2: 100 of 400 requests allowed
round 2, 192.0.2.1: 100 of 400 requests allowed
round 2, 192.0.2.2: 100 of 400 requests allowed
`
		if out.String() != want {
			t.Errorf("got:\n%swant:\n%s", &out, want)
		}
	})
}

// The window begins with the first request, and later ones do not move its end.
func TestWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limiter := NewLimiter(10, 2, time.Minute)
		defer limiter.Close()
		begin := time.Now()
		for _, step := range []struct {
			at   time.Duration
			want bool
		}{
			{0, true},
			{59 * time.Second, true},
			{59 * time.Second, false},
			{time.Minute - 1, false},
			{time.Minute, true},
			{time.Minute, true},
			{2*time.Minute - 1, false},
			{2 * time.Minute, true},
		} {
			time.Sleep(time.Until(begin.Add(step.at)))
			if got := limiter.Allow("a"); got != step.want {
				t.Errorf("at %v allowed is %v, want %v", step.at, got, step.want)
			}
		}
		time.Sleep(2 * time.Minute)
		if n := limiter.windows.Len(); n != 0 {
			t.Errorf("%d counters are left over", n)
		}
	})
}

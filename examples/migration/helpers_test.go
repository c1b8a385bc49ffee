package migration

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

// same compares what the old and the new call return: same(t, what)(old())(new()).
func same(t *testing.T, what string) func(int, bool) func(int, bool) {
	return func(old int, oldOK bool) func(int, bool) {
		return func(value int, ok bool) {
			t.Helper()
			if value != old || ok != oldOK {
				t.Errorf("%s: %v, %v; it was %v, %v", what, value, ok, old, oldOK)
			}
		}
	}
}

// ok turns an error into what Get has in its place.
func ok[V any](value V, err error) (V, bool) { return value, err == nil }

// A journal is what listeners were told.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) tell(args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, fmt.Sprintln(args...))
}

// expect waits until the listeners have been told all that is wanted, in any order,
// and a little longer, in case there is more.
func (j *journal) expect(t *testing.T, want ...string) {
	t.Helper()
	for i := range want {
		want[i] += "\n"
	}
	slices.Sort(want)
	var got []string
	for range 500 {
		j.mu.Lock()
		got = slices.Sorted(slices.Values(j.lines))
		j.mu.Unlock()
		if len(got) >= len(want) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if !slices.Equal(got, want) {
		t.Errorf("listeners were told %q, want %q", got, want)
	}
}

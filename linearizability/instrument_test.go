package linearizability

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// Tests of the instrument: the clock that stamps operations, the model, and the
// way from a verdict to a file. If one of these fails, what TestHistories says
// is worth nothing on this machine.

// TestClock: two goroutines pass a token to and fro, each with the time. A time
// that is before one that is known to have been read earlier would make up
// violations.
func TestClock(t *testing.T) {
	var token atomic.Int64 // the time, even from one side, odd from the other
	var over atomic.Bool
	var turns, wrong int64
	done := make(chan struct{})
	pass := func(side int64) (n, bad int64) {
		for !over.Load() {
			got := token.Load()
			if got&1 == side {
				continue
			}
			at := now()
			if at < got>>1 {
				bad++
			}
			token.Store(at<<1 | side)
			n++
		}
		return n, bad
	}
	time.AfterFunc(200*time.Millisecond, func() { over.Store(true) })
	go func() {
		defer close(done)
		turns, wrong = pass(1)
	}()
	n, bad := pass(0)
	<-done
	if turns += n; turns < 2 {
		t.Error("the token did not move")
	}
	if wrong += bad; wrong > 0 {
		t.Errorf("in %d of %d turns the clock went back: CPUs disagree on the time", wrong, turns)
	}
}

// TestModelIsExact: the deterministic register against the one that evicts
// whenever it likes, on random histories of one key.
func TestModelIsExact(t *testing.T) {
	r := rand.New(rand.NewPCG(drawSeed(t), 0))
	m := rules{evicts: true}
	exact, nondeterministic, lenient := m.model(), m.nondeterministic(), rules{evicts: true, flickers: true}
	n := 20000
	if testing.Short() {
		n = 4000
	}
	legal, caught := 0, 0
	for range n {
		history := randomHistory(r)
		ops := operations(history)
		got, want := porcupine.CheckOperations(exact, ops), porcupine.CheckOperations(nondeterministic, ops)
		if got != want {
			t.Fatalf("legal is %v, want %v: %v", got, want, &violation{part: history})
		}
		if got {
			legal++
		} else if porcupine.CheckOperations(lenient.model(), ops) {
			caught++
		}
	}
	t.Logf("%d histories, %d legal; the lenient model accepts %d of the others", n, legal, caught)
	if legal < n/20 || legal > n-n/20 || caught == 0 {
		t.Error("the histories are too much alike to show anything")
	}
}

// randomHistory is a few operations with results that may be right. Half of
// them last long and overlap.
func randomHistory(r *rand.Rand) (history []*record) {
	sets := uint64(0)
	for i := range 3 + r.IntN(6) {
		var op record
		switch r.IntN(8) {
		case 0, 1, 2:
			sets++
			op = set(sets)
		case 3, 4, 5:
			op = miss()
			if n := r.Uint64N(sets + 1); n > 0 {
				op = hit(n)
			}
		case 6:
			op = deleted(r.IntN(2) == 0)
		default:
			op = clear()
			op.key = 0 // as one key's register sees it
		}
		op.client = i
		call := int64(4*i + r.IntN(4))
		history = append(history, op.at(call, call+1+r.Int64N(12)))
	}
	return history
}

// TestArtifact: a rejected history becomes a page and a few lines.
func TestArtifact(t *testing.T) {
	old := *artifactsFlag
	*artifactsFlag = t.TempDir()
	defer func() { *artifactsFlag = old }()
	history := []*record{set(1).at(0, 1), hit(1).at(2, 3), set(2).at(4, 5), set(3).at(4, 6), hit(3).at(7, 8), miss().at(9, 10), hit(3).at(11, 12)}
	v := checkRecords(rules{evicts: true}, history)
	if v == nil {
		t.Fatal("accepted")
	}
	path, err := v.save("a/b")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Dir(path) != *artifactsFlag || !strings.Contains(string(page), "Get(0): 3") {
		t.Errorf("%s does not show the history", path)
	}
	words := v.String()
	if !strings.Contains(words, flickered) || !strings.Contains(words, "3 of 7 operations") {
		t.Errorf("the history is not cut to Set, miss, hit: %s", words)
	}
}

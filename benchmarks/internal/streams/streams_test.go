package streams

import (
	"bytes"
	"compress/gzip"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const tiny = "17\n4\n\n17\r\n18446744073709551615\n4"

func TestReadPlainAndGzipped(t *testing.T) {
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	if _, err := w.Write([]byte(tiny)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{tiny, zipped.String()} {
		s, err := Read("tiny", strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if want := []uint32{0, 1, 0, 2, 1}; !slices.Equal(s.IDs, want) || s.Distinct != 3 {
			t.Errorf("got %v of %d, want %v of 3", s.IDs, s.Distinct, want)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	for _, text := range []string{"", "\n\n", "x\n", "1\n-2\n", "18446744073709551616\n", "\x1f\x8bnot gzip"} {
		if s, err := Read("bad", strings.NewReader(text)); err == nil {
			t.Errorf("%q: got %v, want an error", text, s.IDs)
		}
	}
}

func TestReadFileNames(t *testing.T) {
	path := filepath.Join(t.TempDir(), "some.trace.txt")
	if _, err := Load(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	if err := os.WriteFile(path, []byte(tiny), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Load(path)
	if err != nil || s.Name != "some" {
		t.Errorf("got %+v, %v", s, err)
	}
}

func TestGenerate(t *testing.T) {
	for _, name := range Names() {
		spec := name + ":n=1000,length=20000"
		a, err := Load(spec)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := Load(spec)
		if !slices.Equal(a.IDs, b.IDs) {
			t.Errorf("%s: not the same every time", name)
		}
		if len(a.IDs) != 20000 || a.Distinct < 500 || int(slices.Max(a.IDs)) != a.Distinct-1 {
			t.Errorf("%s: %d keys, %d of them distinct", name, len(a.IDs), a.Distinct)
		}
		c, _ := Load(spec + ",seed=2")
		if slices.Equal(a.IDs, c.IDs) {
			t.Errorf("%s: the seed changes nothing", name)
		}
	}
}

func TestGenerateRefuses(t *testing.T) {
	for _, spec := range []string{
		"none", "zipf:m=3", "zipf:n", "zipf:n=0", "zipf:n=1.5", "zipf:n=-1", "zipf:n=NaN",
		"zipf:length=1e20", "loop:part=2", "zipf:period=3",
	} {
		if _, err := Generate(spec); err == nil {
			t.Errorf("%s is accepted", spec)
		}
	}
}

func TestZipfIsSkewed(t *testing.T) {
	s, err := Generate("zipf:n=100,s=1,length=100000")
	if err != nil {
		t.Fatal(err)
	}
	counts := make([]int, s.Distinct)
	for _, id := range s.IDs {
		counts[id]++
	}
	slices.Sort(counts)
	// The first of 100 ranks has 1/H(100) = 19.3% of all requests.
	if top := counts[len(counts)-1]; top < 18_500 || top > 20_000 {
		t.Errorf("the hottest key is asked for %d times in 100000, want about 19280", top)
	}
}

func TestCapacity(t *testing.T) {
	s := &Stream{Distinct: 1011}
	for percent, want := range map[float64]int{0.01: 1, 1: 10, 20: 202, 100: 1011} {
		if got := s.Capacity(percent); got != want {
			t.Errorf("%g%%: %d, want %d", percent, got, want)
		}
	}
}

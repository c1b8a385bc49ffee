package report

import (
	"math"
	"slices"
	"strings"
	"testing"
)

// sample has two workloads and two caches, and one cell that is missing.
func sample() *Table {
	t := New("work", "cache", "mops")
	t.Add("read", "a", 12.0)
	t.Add("read", "b, c", 3.25)
	t.Add("write", "a", 1e-3)
	return t
}

func TestCSVComesBack(t *testing.T) {
	want := sample()
	var text strings.Builder
	if err := want.WriteCSV(&text); err != nil {
		t.Fatal(err)
	}
	got, err := ReadCSV(strings.NewReader(text.String()), want.Columns...)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.EqualFunc(got.Rows, want.Rows, slices.Equal) {
		t.Errorf("got %q, want %q", got.Rows, want.Rows)
	}
	for _, bad := range []string{"", "work,cache\na,b\n", "work,cache,mops\na\n"} {
		if _, err := ReadCSV(strings.NewReader(bad), want.Columns...); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func TestPivot(t *testing.T) {
	var text strings.Builder
	sample().Pivot([]string{"work"}, "cache", "mops").Print(&text)
	want := "work   a      b, c\nread   12     3.25\nwrite  0.001  -\n"
	if text.String() != want {
		t.Errorf("got\n%s, want\n%s", text.String(), want)
	}
}

func TestPivotOrder(t *testing.T) {
	got := sample().Pivot([]string{"work"}, "cache", "mops", "x", "b, c").Columns
	if want := []string{"work", "b, c", "a"}; !slices.Equal(got, want) {
		t.Errorf("columns %q, want %q", got, want)
	}
}

func TestSelection(t *testing.T) {
	s := sample()
	if got := s.Values("work"); !slices.Equal(got, []string{"read", "write"}) {
		t.Errorf("values: %q", got)
	}
	some := s.Where("work", "write")
	if f, ok := some.Number(0, "mops"); len(some.Rows) != 1 || !ok || f != 0.001 {
		t.Errorf("%q: %g, %v", some.Rows, f, ok)
	}
	if _, ok := s.Number(0, "cache"); ok {
		t.Error("a name is a number")
	}
}

func TestDigits(t *testing.T) {
	for f, want := range map[float64]string{
		0: "0", 123456789: "123460000", 0.000123456: "0.00012346", 1.5: "1.5", -2: "-2", 99999.6: "100000",
	} {
		if got := Digits(f, 5); got != want {
			t.Errorf("%g: %s, want %s", f, got, want)
		}
	}
	if got := Digits(math.Inf(1), 5); got != "+Inf" {
		t.Errorf("infinity: %q", got)
	}
}

func TestRounded(t *testing.T) {
	s := New("entries", "ns")
	s.Add(1234567, 1234.5)
	if got := s.Rounded(3, 1).Rows[0]; !slices.Equal(got, []string{"1234567", "1230"}) {
		t.Errorf("got %q", got)
	}
}

func TestWrongRowPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a row with a cell too few is accepted")
		}
	}()
	sample().Add("read", "a")
}

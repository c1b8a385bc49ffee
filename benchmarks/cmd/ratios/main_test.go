// What the command refuses, and one tiny run of every kind of report.
package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestParseRejects(t *testing.T) {
	for _, args := range [][]string{
		{"-impl", "none"}, {"-p", "0"}, {"-work", "("}, {"-rounds", "0"}, {"extra"},
	} {
		if _, err := parse(args); err == nil {
			t.Errorf("%q is accepted", args)
		}
	}
}

func TestReports(t *testing.T) {
	if testing.Short() {
		t.Skip("builds caches")
	}
	o, err := parse([]string{"-work", "^(get/uint64/10k|tail/50|small)$", "-rounds", "2", "-slice", "1ms", "-p", "1"})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := o.run(newTable(&out)); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{"get/uint64/10k": 3, "tail/50": 2, "small": 3} {
		if n := strings.Count(out.String(), "\n"+name+" "); n != want {
			t.Errorf("%d lines for %s, want %d:\n%s", n, name, want, out.String())
		}
	}
	if want := "# tail/50: without xsync.Map: it never evicts"; !strings.Contains(out.String(), want) {
		t.Errorf("no %q:\n%s", want, out.String())
	}
}

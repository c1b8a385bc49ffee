package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	var out strings.Builder
	if err := run(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"before the restart: ", "snapshot: ", "after a cold start: ", "after a warm start: "} {
		if strings.Count(out.String(), want) != 1 {
			t.Errorf("no %q in:\n%s", want, &out)
		}
	}
}

func TestWarm(t *testing.T) {
	before, cold, warm, err := demonstrate(io.Discard, filepath.Join(t.TempDir(), "snapshot"))
	if err != nil {
		t.Fatal(err)
	}
	if warm < before-0.02 || warm < cold+0.05 {
		t.Errorf("hit ratio %.3f before, %.3f after a cold start, %.3f after a warm one", before, cold, warm)
	}
}

// A snapshot that is damaged does not keep the service from starting.
func TestDamaged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "snapshot")
	if err := os.WriteFile(path, []byte("no snapshot"), 0o600); err != nil {
		t.Fatal(err)
	}
	service, err := Start(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := service.Article(1); got != "the text of article 1" {
		t.Error(got)
	}
	if err := service.Stop(); err != nil {
		t.Error(err)
	}
}

package main

import (
	"bytes"
	"encoding/csv"
	"encoding/xml"
	"errors"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dualcache-ff/dualcache/benchmarks/internal/child"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/suite"
)

func TestMain(m *testing.M) {
	child.Serve()
	os.Exit(m.Run())
}

// A full run is expected to end in half an hour, a quick one in a minute.
func TestTime(t *testing.T) {
	for flags, most := range map[string]time.Duration{"-list": 30 * time.Minute, "-list -quick": time.Minute} {
		var out bytes.Buffer
		if err := suite.Run("all", strings.Fields(flags), &out, io.Discard, commands...); err != nil {
			t.Fatal(err)
		}
		text := strings.Fields(strings.TrimSuffix(out.String(), "in all\n"))
		total, err := time.ParseDuration(text[len(text)-1])
		if err != nil || total > most || total < most/10 {
			t.Errorf("%s: %v in all, want at most %v (%v)", flags, total, most, err)
		}
	}
}

// A quick run of everything leaves tables and charts that can be opened.
func TestQuick(t *testing.T) {
	if testing.Short() {
		t.Skip("runs every command")
	}
	directory := t.TempDir()
	var out, progress bytes.Buffer
	if err := suite.Run("all", []string{"-quick", "-out", directory}, &out, &progress, commands...); err != nil {
		t.Fatalf("%v\n%s", err, progress.String())
	}
	for _, c := range commands {
		if rows := readCSV(t, filepath.Join(directory, c.Name+".csv")); len(rows) < 10 {
			t.Errorf("%s has %d rows", c.Name, len(rows))
		}
		charts, err := filepath.Glob(filepath.Join(directory, c.Name+"*.svg"))
		if err != nil || len(charts) == 0 {
			t.Errorf("%s has no chart (%v)", c.Name, err)
		}
		for _, path := range charts {
			open(t, path)
		}
	}
	if err := suite.Run("all", []string{"-draw", "-out", directory}, &out, &progress, commands...); err != nil {
		t.Error(err)
	}
}

func readCSV(t *testing.T, path string) [][]string {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Errorf("%s: %v", path, err)
	}
	return rows
}

// open reads a chart, an SVG, and the PNG beside it.
func open(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	decoder := xml.NewDecoder(bytes.NewReader(text))
	for err == nil {
		_, err = decoder.Token()
	}
	if !errors.Is(err, io.EOF) {
		t.Errorf("%s: %v", path, err)
	}
	file, err := os.Open(strings.TrimSuffix(path, ".svg") + ".png")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := png.Decode(file); err != nil {
		t.Errorf("%s: %v", file.Name(), err)
	}
}

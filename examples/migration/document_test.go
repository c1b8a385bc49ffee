package migration

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Everything that docs/migration.md and README.md show as Go code is in a file that is
// compiled and run: whole blocks, and in tables all calls, and the code of the first
// two cells if both have some.
func TestDocuments(t *testing.T) {
	for document, sources := range map[string][]string{
		"../../docs/migration.md": {"*_test.go"},
		"../../README.md":         {"../readme/*_test.go", "../../example_test.go"},
	} {
		var code strings.Builder
		for _, pattern := range sources {
			paths, err := filepath.Glob(pattern)
			if err != nil || len(paths) == 0 {
				t.Fatalf("no files %s: %v", pattern, err)
			}
			for _, path := range paths {
				text, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				code.WriteString(squeeze(string(text)))
			}
		}
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		pieces := snippets(string(text))
		if len(pieces) < 5 {
			t.Errorf("%s: only %d pieces of code found", document, len(pieces))
		}
		for _, piece := range pieces {
			if !strings.Contains(code.String(), squeeze(piece)) {
				t.Errorf("%s: this is not tested:\n%s", document, piece)
			}
		}
	}
}

var (
	blockOfGo = regexp.MustCompile("(?ms)^```go\n(.*?)^```$")
	row       = regexp.MustCompile(`(?m)^\|.*\|$`)
	codeSpan  = regexp.MustCompile("`([^`]*)`")
)

// snippets are the pieces of Go code of a document.
func snippets(text string) (pieces []string) {
	for _, m := range blockOfGo.FindAllStringSubmatch(text, -1) {
		if !strings.HasPrefix(m[1], "package main") { // that is an Example
			pieces = append(pieces, m[1])
		}
	}
	for _, row := range row.FindAllString(text, -1) {
		cells := strings.Split(row, "|")[1:]
		both := len(cells) > 1 && codeSpan.MatchString(cells[0]) && codeSpan.MatchString(cells[1])
		for i, cell := range cells {
			for _, m := range codeSpan.FindAllStringSubmatch(cell, -1) {
				if both && i < 2 || strings.HasPrefix(m[1], "cache.") {
					pieces = append(pieces, m[1])
				}
			}
		}
	}
	return pieces
}

// squeeze takes out what gofmt decides on.
func squeeze(code string) string { return strings.Join(strings.Fields(code), " ") }

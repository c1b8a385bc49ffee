package dualcache

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Guards TESTING.md: every test that it names exists, by its whole name, and every
// subtest.
func TestDocumentedTestsExist(t *testing.T) {
	text, err := os.ReadFile("TESTING.md")
	if err != nil {
		t.Skip("the tests do not run where the sources are: ", err)
	}
	var code strings.Builder
	for _, pattern := range []string{"*_test.go", "linearizability/*_test.go", "cmd/*/*_test.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(files), err)
		}
		for _, name := range files {
			file, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			code.Write(file)
		}
	}
	names := regexp.MustCompile("`((?:Test|Fuzz|Benchmark)[A-Za-z0-9]*)(?:/([^`]+))?`").FindAllStringSubmatch(string(text), -1)
	for _, name := range names {
		if !strings.Contains(code.String(), "func "+name[1]+"(") {
			t.Errorf("TESTING.md names %s, which does not exist", name[1])
		}
		if sub := strings.ReplaceAll(name[2], "_", " "); sub != "" && !strings.Contains(code.String(), `"`+sub+`"`) {
			t.Errorf("TESTING.md names %s/%s, and no test has such a part", name[1], name[2])
		}
	}
	if len(names) < 100 {
		t.Errorf("%d tests are named, want more than a hundred", len(names))
	}
}

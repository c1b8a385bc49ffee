//go:build linux && amd64 && !race && !noprocpin && !cachedebug

package dualcache

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unsafe"
)

// Guards rule 2, in what the compiler makes of Get: procPin is a real call, the
// hazard is stored before the bucket's head is loaded, and the fast path has no
// locked instruction. Fails if Get loads the head before protect, or publishes by
// Store (both shown).
func TestGetInMachineCode(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a test binary")
	}
	tool, err := exec.LookPath("go")
	if err != nil || exec.Command(tool, "tool", "-n", "objdump").Run() != nil {
		t.Skip("needs go tool objdump")
	}
	binary := filepath.Join(t.TempDir(), "cache.test")
	if out, err := exec.Command(tool, "test", "-c", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("go test -c: %v\n%.400s", err, out)
	}
	out, err := exec.Command(tool, "tool", "objdump", "-s", `dualcache\.\(\*Cache\[go\.shape\.uint64,go\.shape\.uint64\]\)\.Get$`, binary).Output()
	if err != nil {
		t.Fatal(err)
	}
	var code []string
	for line := range strings.Lines(string(out)) {
		if f := strings.Split(strings.TrimSpace(line), "\t"); len(f) > 3 {
			code = append(code, strings.TrimSpace(f[len(f)-1]))
		}
	}
	find := func(from int, pattern string) int {
		re := regexp.MustCompile(pattern)
		for i := from; i < len(code); i++ {
			if re.MatchString(code[i]) {
				return i
			}
		}
		t.Fatalf("no %s after instruction %d of %d:\n%s", pattern, from, len(code), strings.Join(code, "\n"))
		return -1
	}
	pinned := find(0, `^CALL runtime\.procPin`)
	hazard := find(pinned, fmt.Sprintf(`^MOVQ [A-Z0-9]+, %#x\(`, unsafe.Offsetof(worker{}.hazard)))
	address := regexp.MustCompile(`^MOVQ ([A-Z0-9]+),`).FindStringSubmatch(code[hazard])[1]
	for i := hazard - 8; i < hazard; i++ { // it may have been copied
		if copied := regexp.MustCompile(`^MOVQ ` + address + `, ([A-Z0-9]+)$`).FindStringSubmatch(code[i]); copied != nil {
			address = "(?:" + address + "|" + copied[1] + ")"
			break
		}
	}
	ofBucket := regexp.MustCompile(`^MOV[A-Z]* [x0-9a-f]*\(` + address + `\)`)
	for i := pinned; i < hazard; i++ {
		if ofBucket.MatchString(code[i]) {
			t.Errorf("%q, of the bucket, before the hazard is stored", code[i])
		}
	}
	head := find(hazard, `^MOVQ 0\(`+address+`\), `)
	if head-hazard > 40 { // the call of protectHome lies between
		t.Errorf("the head is loaded %d instructions after the hazard is stored: another one?", head-hazard)
	}
	for _, line := range code {
		if strings.HasPrefix(line, "LOCK") || strings.HasPrefix(line, "XCHG") {
			t.Errorf("%q in Get", line)
		}
	}
	find(head, `^CALL .*(runtime\.procUnpin|worker\)\.leave)\(`)
}

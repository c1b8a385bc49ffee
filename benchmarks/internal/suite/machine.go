package suite

import (
	"bufio"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/dualcache-ff/dualcache/benchmarks/internal/peers"
	"github.com/dualcache-ff/dualcache/benchmarks/internal/report"
)

// machine says what was measured, on what, and when.
func machine() *report.Table {
	t := report.New("what", "value")
	t.Add("date", time.Now().UTC().Format(time.DateOnly))
	t.Add("go", runtime.Version())
	t.Add("platform", runtime.GOOS+"/"+runtime.GOARCH)
	t.Add("processor", processor())
	t.Add("CPUs", runtime.NumCPU())
	versions := make(map[string]string)
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range info.Deps {
			versions[module.Path] = module.Version
		}
	}
	for _, peer := range peers.All {
		version := versions[peer.Module]
		switch {
		case peer.Module == "":
			version = runtime.Version()
		case peer.Name == peers.All[0].Name:
			version = "this repository"
		}
		t.Add(peer.Name, strings.TrimSpace(peer.Module+" "+version))
	}
	return t
}

// processor returns the name of the processor, where the system tells it.
func processor() string {
	file, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return "unknown"
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

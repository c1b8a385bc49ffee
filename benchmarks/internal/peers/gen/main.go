// Command gen writes the measured loops of package peers.
//
// At ten nanoseconds an operation, a call through an interface or through the
// dictionary of a generic function is a tenth of what is measured, and it is a
// larger tenth for the faster cache. So each implementation has loops of its
// own, over concrete types, in which the compiler sees every call and may
// inline it, as it may in the program of a user. Writing them by hand would
// invite small differences; one template for all rules them out.
package main

import (
	"bytes"
	_ "embed"
	"go/format"
	"log"
	"os"
	"strings"
	"text/template"
)

//go:embed loops.tmpl
var loops string

// peer says how one implementation spells the operations of a loop.
type peer struct {
	Name, Import  string // Import is empty for a type of package peers.
	Type          string // Its generic type.
	KeyOfType     bool   // The key's type is a parameter of it.
	Get, Set      string
	More          string // Further arguments of Set.
	Settle, Close string // Statements, empty if there is no need.
	StringsOnly   bool
}

var peers = []peer{
	{
		Name: "dual", Import: "github.com/dualcache-ff/dualcache", Type: "*dualcache.Cache", KeyOfType: true,
		Get: "Get", Set: "Set", Settle: "a.c.Sync()", Close: "_ = a.c.Close()",
	},
	{
		Name: "otter", Import: "github.com/maypok86/otter/v2", Type: "*otter.Cache", KeyOfType: true,
		Get: "GetIfPresent", Set: "Set", Settle: "a.c.CleanUp()", Close: "a.c.StopAllGoroutines()",
	},
	{
		Name: "theine", Import: "github.com/Yiling-J/theine-go", Type: "*theine.Cache", KeyOfType: true,
		Get: "Get", Set: "Set", More: ", 1", Settle: "a.c.Wait()", Close: "a.c.Close()",
	},
	{
		Name: "ristretto", Import: "github.com/dgraph-io/ristretto/v2", Type: "*ristretto.Cache", KeyOfType: true,
		Get: "Get", Set: "Set", More: ", 1", Settle: "a.c.Wait()", Close: "a.c.Close()",
	},
	{
		Name: "lru", Import: "github.com/hashicorp/golang-lru/v2", Type: "*lru.Cache", KeyOfType: true,
		Get: "Get", Set: "Add",
	},
	{
		Name: "twoQueue", Import: "github.com/hashicorp/golang-lru/v2", Type: "*lru.TwoQueueCache", KeyOfType: true,
		Get: "Get", Set: "Add",
	},
	{
		Name: "arc", Import: "github.com/hashicorp/golang-lru/arc/v2", Type: "*arc.ARCCache", KeyOfType: true,
		Get: "Get", Set: "Add",
	},
	{Name: "ttl", Type: "ttlCache", KeyOfType: true, Get: "find", Set: "put"},
	{Name: "sturdyc", Import: "github.com/viccon/sturdyc", Type: "*sturdyc.Client", Get: "Get", Set: "Set", StringsOnly: true},
	{Name: "xsync", Import: "github.com/puzpuzpuz/xsync/v4", Type: "*xsync.Map", KeyOfType: true, Get: "Load", Set: "Store"},
	{Name: "mutex", Type: "*mutexMap", KeyOfType: true, Get: "find", Set: "put"},
	{Name: "sync", Type: "*syncMap", KeyOfType: true, Get: "find", Set: "put"},
}

// shape says how a loop turns a number into a key and a value, and the value
// back into a number.
type shape struct {
	Name             string
	Key, Load        string
	Value, Make, Sum string
	Table            bool
}

var shapes = []shape{
	{Name: "Ints", Key: "uint64", Load: "keys.Uint64(id)", Value: "uint64", Make: "uint64(id)", Sum: "v"},
	{Name: "Ints64", Key: "uint64", Load: "keys.Uint64(id)", Value: "Value64", Make: "Value64{uint64(id)}", Sum: "v[0]"},
	{Name: "Ints256", Key: "uint64", Load: "keys.Uint64(id)", Value: "Value256", Make: "Value256{uint64(id)}", Sum: "v[0]"},
	{Name: "Strings", Key: "string", Load: "a.names[id]", Value: "uint64", Make: "uint64(id)", Sum: "v", Table: true},
}

// of returns the shapes that an implementation has loops for.
func (p peer) of() []shape {
	var list []shape
	for _, s := range shapes {
		if s.Key == "string" || !p.StringsOnly {
			list = append(list, s)
		}
	}
	return list
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("gen: ")
	tmpl := template.Must(template.New("loops").Parse(loops))
	for _, p := range peers {
		var out bytes.Buffer
		if err := tmpl.Execute(&out, map[string]any{"Peer": p, "Shapes": p.of(), "Ints": !p.StringsOnly}); err != nil {
			log.Fatal(err)
		}
		source, err := format.Source(out.Bytes())
		if err != nil {
			log.Fatal(err)
		}
		if err := os.WriteFile("loops_"+strings.ToLower(p.Name)+".go", source, 0o644); err != nil {
			log.Fatal(err)
		}
	}
}

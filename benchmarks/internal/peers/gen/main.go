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
	"text/template"
)

//go:embed loops.tmpl
var loops string

// peer says how one implementation spells the operations of a loop.
type peer struct {
	Name, Package, Import string
	Type                  string // The name of its generic type.
	Get, Set, Cost        string
	Settle, Close         string // Statements, empty if there is no need.
}

var peers = []peer{
	{
		Name: "dual", Package: "dualcache", Import: "github.com/dualcache-ff/dualcache",
		Type: "Cache", Get: "Get", Set: "Set", Settle: "a.c.Sync()", Close: "_ = a.c.Close()",
	},
	{
		Name: "otter", Package: "otter", Import: "github.com/maypok86/otter/v2",
		Type: "Cache", Get: "GetIfPresent", Set: "Set", Settle: "a.c.CleanUp()",
		Close: "a.c.StopAllGoroutines()",
	},
	{
		Name: "theine", Package: "theine", Import: "github.com/Yiling-J/theine-go",
		Type: "Cache", Get: "Get", Set: "Set", Cost: ", 1", Settle: "a.c.Wait()", Close: "a.c.Close()",
	},
	{
		Name: "ristretto", Package: "ristretto", Import: "github.com/dgraph-io/ristretto/v2",
		Type: "Cache", Get: "Get", Set: "Set", Cost: ", 1", Settle: "a.c.Wait()", Close: "a.c.Close()",
	},
	{
		Name: "xsync", Package: "xsync", Import: "github.com/puzpuzpuz/xsync/v4",
		Type: "Map", Get: "Load", Set: "Store",
	},
}

// key says how a loop turns a number into a key.
type key struct {
	Name, Type, Load string
	Table            bool
}

var kinds = []key{
	{Name: "Ints", Type: "uint64", Load: "keys.Uint64(id)"},
	{Name: "Strings", Type: "string", Load: "a.names[id]", Table: true},
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("gen: ")
	var out bytes.Buffer
	tmpl := template.Must(template.New("loops").Parse(loops))
	if err := tmpl.Execute(&out, map[string]any{"Peers": peers, "Keys": kinds}); err != nil {
		log.Fatal(err)
	}
	source, err := format.Source(out.Bytes())
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile("loops.go", source, 0o644); err != nil {
		log.Fatal(err)
	}
}

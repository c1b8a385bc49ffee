package dualcache_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/dualcache-ff/dualcache"
)

// A service that restarts begins with what it had.
func ExampleCache_SaveFile() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "cache.snapshot")

	start := func() *dualcache.Cache[string, int] {
		cache := dualcache.Must(dualcache.Config[string, int]{Capacity: 1000})
		switch err := cache.LoadFile(path); {
		case errors.Is(err, fs.ErrNotExist):
			fmt.Println("the first start")
		case err != nil:
			fmt.Println("cold, or half warm:", err)
		}
		return cache
	}
	cache := start()
	cache.SetWithTTL("answer", 42, time.Hour)
	if err := cache.SaveFile(path); err != nil { // before Close
		fmt.Println(err)
	}
	cache.Close()

	cache = start()
	defer cache.Close()
	fmt.Println(cache.Get("answer"))
	// Output:
	// the first start
	// 42 true
}

func ExampleCache_LoadFile() {
	cache := dualcache.Must(dualcache.Config[string, int]{Capacity: 1000})
	defer cache.Close()
	err := cache.LoadFile("no such file")
	fmt.Println(errors.Is(err, fs.ErrNotExist))
	// Output: true
}

// A snapshot can go anywhere that bytes can, here into memory.
func ExampleCache_WriteTo() {
	cache := dualcache.Must(dualcache.Config[string, []string]{Capacity: 100})
	defer cache.Close()
	cache.Set("example.org", []string{"192.0.2.1", "192.0.2.2"})

	var snapshot bytes.Buffer
	n, err := cache.WriteTo(&snapshot)
	fmt.Println(n == int64(snapshot.Len()), err)

	other := dualcache.Must(dualcache.Config[string, []string]{Capacity: 100})
	defer other.Close()
	if _, err := other.ReadFrom(&snapshot); err != nil {
		fmt.Println(err)
	}
	fmt.Println(other.Get("example.org"))
	// Output:
	// true <nil>
	// [192.0.2.1 192.0.2.2] true
}

// What is no snapshot, or one of another cache, does no harm.
func ExampleCache_ReadFrom() {
	cache := dualcache.Must(dualcache.Config[int, string]{Capacity: 100})
	defer cache.Close()
	cache.Set(1, "one")
	var snapshot bytes.Buffer
	if _, err := cache.WriteTo(&snapshot); err != nil {
		fmt.Println(err)
	}

	_, err := cache.ReadFrom(bytes.NewReader(snapshot.Bytes()[:snapshot.Len()-1]))
	fmt.Println("cut short:", errors.Is(err, dualcache.ErrSnapshotCorrupt))

	_, err = cache.ReadFrom(bytes.NewReader([]byte("something else")))
	fmt.Println(err)

	other := dualcache.Must(dualcache.Config[int, int]{Capacity: 100})
	defer other.Close()
	_, err = other.ReadFrom(&snapshot)
	fmt.Println(err)
	// Output:
	// cut short: true
	// dualcache: corrupt snapshot: it does not begin as snapshots do (block 0, at byte 0; 0 entries restored)
	// dualcache: snapshot does not fit the types: it holds "int, string", and the cache "int, int" (block 0, at byte 0; 0 entries restored)
}

package dualcache

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

func TestSaveFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "snapshot")
	from := smallCache(t)
	for range 2 { // the second replaces the first
		if err := from.SaveFile(path); err != nil {
			t.Fatal(err)
		}
		to := headless(t, Config[string, uint64]{Capacity: 16})
		if err := to.LoadFile(path); err != nil || !maps.Equal(entriesOf(to), entriesOf(from)) {
			t.Fatalf("LoadFile: %v, %v", err, entriesOf(to))
		}
		from.Set("three", 3)
	}
	onlyFile(t, path)
}

// onlyFile holds that nothing lies beside a file.
func onlyFile(t *testing.T, path string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 || entries[0].Name() != filepath.Base(path) {
		t.Errorf("the directory has %v, %v", entries, err)
	}
}

func TestSaveFileMode(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("permissions are other there")
	}
	path := filepath.Join(t.TempDir(), "snapshot")
	for _, want := range []fs.FileMode{0o600, 0o644, 0o666, 0o640} {
		if want != 0o600 { // what it is where there is no file
			if err := os.Chmod(path, want); err != nil {
				t.Fatal(err)
			}
		}
		if err := smallCache(t).SaveFile(path); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode() != want {
			t.Errorf("mode %v, %v, want %v", info.Mode(), err, want)
		}
	}
}

func TestSaveFileSymlink(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	target, link := filepath.Join(dir, "sub", "snapshot"), filepath.Join(dir, "link")
	if err := os.WriteFile(target, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, link); err != nil {
		t.Skip(err)
	}
	if err := smallCache(t).SaveFile(link); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link has been replaced: %v, %v", info.Mode(), err)
	}
	if err := smallCache(t).LoadFile(target); err != nil {
		t.Error(err)
	}
	onlyFile(t, target)
}

// Whatever step fails, the old file stays, and nothing beside it.
func TestReplaceFileFails(t *testing.T) {
	failure := errors.New("failure")
	for name, write := range map[string]func(w io.Writer) error{
		"write": func(w io.Writer) error {
			w.Write([]byte("half"))
			return failure
		},
		"sync": func(w io.Writer) error { return w.(*os.File).Close() },
	} {
		path := filepath.Join(t.TempDir(), "snapshot")
		if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := replaceFile(path, write); err == nil || name == "write" && !errors.Is(err, failure) {
			t.Errorf("%s: error %v", name, err)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != "old" {
			t.Errorf("%s: the old file is %q, %v", name, b, err)
		}
		onlyFile(t, path)
	}
}

// A panic, too, takes the temporary file with it.
func TestReplaceFilePanics(t *testing.T) {
	path := filepath.Join(t.TempDir(), "snapshot")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if recover() == nil {
			t.Error("the panic is lost")
		}
		onlyFile(t, path)
	}()
	replaceFile(path, func(io.Writer) error { panic("failure") })
}

// The rename fails, since a directory has taken the name meanwhile.
func TestReplaceFileRenameFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "snapshot")
	err := replaceFile(path, func(io.Writer) error { return os.MkdirAll(filepath.Join(path, "full"), 0o700) })
	if err == nil {
		t.Error("no error")
	}
	onlyFile(t, path)
}

func TestSaveFileBadPath(t *testing.T) {
	dir := t.TempDir()
	c := smallCache(t)
	if err := c.SaveFile(dir); err == nil {
		t.Error("SaveFile replaces a directory")
	}
	if err := c.SaveFile(filepath.Join(dir, "missing", "snapshot")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("SaveFile in a directory that is missing: %v", err)
	}
	if runtime.GOOS == "linux" {
		if err := c.SaveFile(os.DevNull); err == nil {
			t.Error("SaveFile replaces a device")
		}
	}
}

// A codec that fails in the middle.
func TestSaveFileCodecFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "snapshot")
	fail := false
	c := withCodec(t, 10, Codec[uint64, uint64](pairCodec{encode: func() error {
		if fail {
			panic("failure")
		}
		return nil
	}}))
	c.Set(1, 2)
	if err := c.SaveFile(path); err != nil {
		t.Fatal(err)
	}
	fail = true
	if err := c.SaveFile(path); err == nil {
		t.Error("no error")
	}
	onlyFile(t, path)
	c.Clear()
	if err := c.LoadFile(path); err != nil || c.Len() != 1 {
		t.Errorf("the old file: %v, %d entries", err, c.Len())
	}
}

func TestLoadFileFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "snapshot")
	c := headless(t, Config[string, uint64]{Capacity: 16})
	if err := c.LoadFile(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is missing: %v", err)
	}
	b := snapshotOf(t, smallCache(t), blockLimit)
	for _, x := range []struct {
		content []byte
		entries int
	}{
		{nil, 0}, {b[:len(b)-1], 4}, {append(bytes.Clone(b), 0), 4}, {append(bytes.Clone(b), b...), 4},
	} {
		if err := os.WriteFile(path, x.content, 0o600); err != nil {
			t.Fatal(err)
		}
		c.Clear()
		err := c.LoadFile(path)
		if !errors.Is(err, ErrSnapshotCorrupt) || !strings.Contains(err.Error(), path) || c.Len() != x.entries {
			t.Errorf("a file of %d bytes, where %d are right: %v, %d entries", len(x.content), len(b), err, c.Len())
		}
	}
	if err := c.LoadFile(filepath.Dir(path)); err == nil {
		t.Error("a directory is loaded")
	}
}

// Whoever reads the path while it is being replaced finds a whole snapshot.
func TestSaveFileWhileLoading(t *testing.T) {
	path := filepath.Join(t.TempDir(), "snapshot")
	from := headless(t, Config[uint64, uint64]{Capacity: 1000})
	for i := range uint64(500) {
		from.Set(i, i)
	}
	if err := from.SaveFile(path); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var stop atomic.Bool
	for range 2 {
		spawn(&wg, func() {
			for i := 0; i < 10; i++ {
				if err := from.SaveFile(path); err != nil {
					t.Error(err)
				}
			}
			stop.Store(true)
		})
	}
	for !stop.Load() {
		to := headless(t, Config[uint64, uint64]{Capacity: 1000})
		if err := to.LoadFile(path); err != nil || to.Len() != 500 {
			t.Error(fmt.Errorf("LoadFile: %w, %d entries", err, to.Len()))
		}
	}
	wg.Wait()
	onlyFile(t, path)
}

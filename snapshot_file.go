package dualcache

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
)

// Snapshots in files. A new file is written beside the old one, made durable, and
// renamed over it; so whatever fails, and whenever the machine stops, the path names
// either the old snapshot or the new one, whole.
//
// What may be left behind is a temporary file, .dualcache-*.tmp, where the process
// was killed in the middle.

// SaveFile writes a snapshot (see WriteTo) to a file, in place of the one that may be
// there. If it returns an error, the old file is as it was, unless the error is of the
// last step, to make the new name durable. The file can be read by its owner
// only, unless there was one, whose permissions it takes over. A symbolic link is
// followed. The directory must be writable, and have room for both files. The file is
// flushed to the disk before SaveFile returns.
//
// Of several calls for one path at a time, the last to end prevails. After Close,
// SaveFile returns an error and leaves the file as it is.
func (c *Cache[K, V]) SaveFile(path string) error {
	return replaceFile(path, func(w io.Writer) error {
		_, err := c.WriteTo(w)
		return err
	})
}

// LoadFile restores the entries of a file that SaveFile wrote; see ReadFrom for what
// that means and for the errors. If there is no such file, the error is
// fs.ErrNotExist, to be found by errors.Is. Bytes after the snapshot are
// ErrSnapshotCorrupt; its entries have been restored then.
func (c *Cache[K, V]) LoadFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("dualcache: %w", err)
	}
	defer f.Close()
	n, err := c.ReadFrom(f)
	if err == nil {
		if m, _ := f.Read(make([]byte, 1)); m > 0 {
			err = corruptSnapshot("bytes after its end at byte %d; all entries restored", n)
		}
	}
	if err != nil {
		return fmt.Errorf("%w: %s", err, path)
	}
	return nil
}

// replaceFile gives a file the content that write writes.
func replaceFile(path string, write func(io.Writer) error) (err error) {
	path, mode, err := replaceable(path)
	if err != nil {
		return fmt.Errorf("dualcache: %w", err)
	}
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".dualcache-*.tmp")
	if err != nil {
		return fmt.Errorf("dualcache: %w", err)
	}
	renamed := false
	defer func() {
		if !renamed {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if err := write(f); err != nil {
		return err
	}
	if err := commit(f, path, mode); err != nil {
		return fmt.Errorf("dualcache: %w", err)
	}
	renamed = true
	if err := syncDir(dir); err != nil {
		return fmt.Errorf("dualcache: %w", err)
	}
	return nil
}

// replaceable gives the path that a rename can replace, and the permissions of the
// file there.
func replaceable(path string) (string, fs.FileMode, error) {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return path, 0o600, nil
	case err != nil:
		return path, 0, err
	case !info.Mode().IsRegular():
		return path, 0, fmt.Errorf("%s is no regular file", path)
	}
	return path, info.Mode().Perm(), nil
}

// commit makes a temporary file durable, closes it, and renames it.
func commit(f *os.File, path string, mode fs.FileMode) error {
	if mode != 0o600 {
		if err := f.Chmod(mode); err != nil {
			return err
		}
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// syncDir makes a rename durable where the system can.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return nil // a directory that may be written to, and not read
	}
	defer d.Close()
	err = d.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return err
}

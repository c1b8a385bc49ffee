//go:build amd64 || arm64

package dualcache

import "unsafe"

// fetch asks for a line of memory that will be needed soon (PREFETCHT0, PRFM). Unlike a
// load, it holds nothing up: not even a locked instruction waits for it.
//
//go:noescape
func fetch(p unsafe.Pointer)

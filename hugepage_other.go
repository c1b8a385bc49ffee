//go:build !linux

package dualcache

import "unsafe"

// adviseHuge does nothing where there is no such advice.
func adviseHuge(unsafe.Pointer, uintptr) {}

//go:build race || noprocpin || !linux || !amd64

package dualcache

// Without membarrier(2), and wherever the pin is portable, readers publish by
// atomic stores and the reclaimer needs no barrier.

func asymmetric() bool { return false }

func barrier() bool { return true }

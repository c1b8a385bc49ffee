//go:build !plainclock

package dualcache

// plainClock is false: see plainclock_on.go.
const plainClock = false

type vacated struct{}

func (*vacated) put(uint64) {}

func (*vacated) take() (uint64, bool) { return 0, false }

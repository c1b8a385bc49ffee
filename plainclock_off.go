//go:build !plainclock

package dualcache

// plainClock is false: see plainclock_on.go.
const plainClock = false

type vacated struct{}

func (p *policy) enterClock(*entry) {}

func (p *policy) freeByClock() bool { return false }

//go:build !race && !noprocpin

package dualcache

import (
	"sync"
	"syscall"
)

// membarrier(2), commands of include/uapi/linux/membarrier.h.
const (
	sysMembarrier            = 324
	membarrierQuery          = 0
	membarrierExpedited      = 1 << 3
	membarrierRegisterExpedi = 1 << 4
)

// asymmetric reports, once per process, whether the kernel offers expedited
// private barriers: it is asked, the process registers, and one real call must
// succeed. Seccomp profiles refuse any of the three.
var asymmetric = sync.OnceValue(func() bool {
	offered, ok := membarrier(membarrierQuery)
	const need = membarrierExpedited | membarrierRegisterExpedi
	if !ok || offered&need != need {
		return false
	}
	if _, ok = membarrier(membarrierRegisterExpedi); !ok {
		return false
	}
	_, ok = membarrier(membarrierExpedited)
	return ok
})

// barrier makes every thread of the process pass a full memory fence before it
// returns. A false result means that it did not happen. Never called pinned.
func barrier() bool {
	_, ok := membarrier(membarrierExpedited)
	return ok
}

// membarrier is a raw system call: it returns in a few microseconds and does
// not need the scheduler's help.
func membarrier(command uintptr) (uintptr, bool) {
	r, _, errno := syscall.RawSyscall(sysMembarrier, command, 0, 0)
	return r, errno == 0
}

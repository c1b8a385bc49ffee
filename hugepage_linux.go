package dualcache

import (
	"os"
	"syscall"
	"unsafe"
)

// adviseHuge asks the kernel to back a large block by huge pages. A cache far
// larger than the processor's caches reads two lines of it at random per
// lookup; with 4 KiB pages each costs a walk of the page table as well. The
// advice changes no content, and where it is refused nothing is lost. It is
// best given before the block is touched.
func adviseHuge(p unsafe.Pointer, size uintptr) {
	const madvHugepage = 14 // MADV_HUGEPAGE of madvise(2)
	if size < hugeWorth {
		return
	}
	page := uintptr(os.Getpagesize())
	skip := -uintptr(p) & (page - 1)
	block := unsafe.Slice((*byte)(unsafe.Add(p, skip)), (size-skip)&^(page-1))
	_ = syscall.Madvise(block, madvHugepage)
}

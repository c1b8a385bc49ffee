module github.com/dualcache-ff/dualcache

go 1.24.0

require (
	github.com/zeebo/xxh3 v1.1.0
	golang.org/x/sys v0.41.0
)

require github.com/klauspost/cpuid/v2 v2.2.10 // indirect

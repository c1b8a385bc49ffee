module github.com/dualcache-ff/dualcache/linearizability

go 1.24.0

require (
	github.com/anishathalye/porcupine v1.3.1
	github.com/dualcache-ff/dualcache v0.0.0
)

require (
	github.com/klauspost/cpuid/v2 v2.2.10 // indirect
	github.com/zeebo/xxh3 v1.1.0 // indirect
	golang.org/x/sys v0.41.0 // indirect
)

replace github.com/dualcache-ff/dualcache => ../

// Maps are no caches: they evict nothing, count nothing and ignore their
// capacity. They are here as floors, the price of looking up and storing with
// no policy at all: the concurrent map of xsync, the sync.Map of the standard
// library, and a map behind a mutex. Where there are more keys than room, a map
// would keep them all, which is another task, so they have no part in it.
package peers

import (
	"sync"

	"github.com/puzpuzpuz/xsync/v4"
)

var xsyncPeer = Peer{
	Name:   "xsync.Map",
	Module: "github.com/puzpuzpuz/xsync/v4",
	Floor:  true,
	Ints:   func(int) Cache { return xsyncInts{xsync.NewMap[uint64, uint64]()} },
	Ints64: func(int) Cache { return xsyncInts64{xsync.NewMap[uint64, Value64]()} },
	Ints256: func(int) Cache {
		return xsyncInts256{xsync.NewMap[uint64, Value256]()}
	},
	Strings: func(_ int, names []string) Cache {
		return xsyncStrings{xsync.NewMap[string, uint64](), names}
	},
}

var mutexPeer = Peer{
	Name:    "mutex-map",
	Floor:   true,
	Ints:    func(int) Cache { return mutexInts{newMutexMap[uint64, uint64]()} },
	Ints64:  func(int) Cache { return mutexInts64{newMutexMap[uint64, Value64]()} },
	Ints256: func(int) Cache { return mutexInts256{newMutexMap[uint64, Value256]()} },
	Strings: func(_ int, names []string) Cache {
		return mutexStrings{newMutexMap[string, uint64](), names}
	},
}

var syncPeer = Peer{
	Name:    "sync.Map",
	Floor:   true,
	Ints:    func(int) Cache { return syncInts{new(syncMap[uint64, uint64])} },
	Ints64:  func(int) Cache { return syncInts64{new(syncMap[uint64, Value64])} },
	Ints256: func(int) Cache { return syncInts256{new(syncMap[uint64, Value256])} },
	Strings: func(_ int, names []string) Cache {
		return syncStrings{new(syncMap[string, uint64]), names}
	},
}

// A mutexMap is a map that one goroutine uses at a time.
type mutexMap[K comparable, V any] struct {
	mu sync.Mutex
	m  map[K]V // Guarded by mu.
}

func newMutexMap[K comparable, V any]() *mutexMap[K, V] {
	return &mutexMap[K, V]{m: make(map[K]V)}
}

func (m *mutexMap[K, V]) find(key K) (value V, ok bool) {
	m.mu.Lock()
	value, ok = m.m[key]
	m.mu.Unlock()
	return value, ok
}

func (m *mutexMap[K, V]) put(key K, value V) {
	m.mu.Lock()
	m.m[key] = value
	m.mu.Unlock()
}

// A syncMap is a sync.Map of keys and values of one type each.
type syncMap[K comparable, V any] struct{ m sync.Map }

func (m *syncMap[K, V]) find(key K) (value V, ok bool) {
	found, ok := m.m.Load(key)
	if !ok {
		return value, false
	}
	return found.(V), true
}

func (m *syncMap[K, V]) put(key K, value V) { m.m.Store(key, value) }

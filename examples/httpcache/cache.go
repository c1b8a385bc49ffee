package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/dualcache-ff/dualcache"
)

// A Cache is a handler with a cache before it. It keeps what everybody may see: the
// answers to GET requests without credentials that Cache-Control gives some time. (A
// part of RFC 9111: there is no revalidation, and no Vary.)
type Cache struct {
	next      http.Handler
	responses *dualcache.Cache[string, *response]
}

// New puts a cache of so many bytes before a handler.
func New(next http.Handler, maxBytes uint64) *Cache {
	return &Cache{next, dualcache.Must(dualcache.Config[string, *response]{
		Capacity:  100_000,
		MaxWeight: maxBytes,
		Weigher: func(key string, r *response) uint32 {
			return uint32(len(key) + r.size()) // one that is too large is not kept
		},
	})}
}

// Close empties the cache.
func (c *Cache) Close() { c.responses.Close() }

// Purge forgets all responses.
func (c *Cache) Purge() { c.responses.Clear() }

var errNotShared = errors.New("this response is for one client only")

// ServeHTTP answers from the cache, or by the handler. Clients that ask for the same
// page at the same time share one call of the handler. If it turns out that its
// response is not to be shared, each of the others gets a call of its own.
func (c *Cache) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !shareable(r) {
		c.next.ServeHTTP(w, r)
		return
	}
	var own *response // what the handler answered to this very request
	shared, err := c.responses.GetOrLoad(r.Context(), r.Host+r.URL.RequestURI(),
		func(ctx context.Context, _ string) (*response, error) {
			own = record(c.next, r)
			ttl := own.lifetime()
			if ttl <= 0 {
				return nil, errNotShared
			}
			dualcache.LoadTTL(ctx, ttl)
			return own, nil
		})
	switch {
	case own != nil:
		own.writeTo(w, "miss")
	case err == nil:
		shared.writeTo(w, "hit")
	default:
		c.next.ServeHTTP(w, r)
	}
}

func shareable(r *http.Request) bool {
	h := r.Header
	return r.Method == http.MethodGet && h.Get("Authorization") == "" && h.Get("Cookie") == "" && h.Get("Range") == ""
}

// A response is one that the handler gave. It does not change any more.
type response struct {
	status int
	header http.Header
	body   []byte
	at     time.Time
}

func (r *response) size() int {
	n := len(r.body)
	for name, values := range r.header {
		for _, value := range values {
			n += len(name) + len(value)
		}
	}
	return n
}

// lifetime is how long a response may be given to others: 0 is not at all.
func (r *response) lifetime() time.Duration {
	if r.status != http.StatusOK || r.header.Get("Set-Cookie") != "" || r.header.Get("Vary") != "" {
		return 0
	}
	seconds, shared := 0, false
	for _, directive := range strings.Split(strings.Join(r.header.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.ToLower(strings.TrimSpace(directive)), "=")
		n, err := strconv.Atoi(value)
		switch {
		case name == "no-store" || name == "no-cache" || name == "private":
			return 0
		case err != nil:
		case name == "s-maxage": // for shared caches, it comes before max-age
			seconds, shared = n, true
		case name == "max-age" && !shared:
			seconds = n
		}
	}
	return time.Duration(seconds) * time.Second
}

func (r *response) writeTo(w http.ResponseWriter, cache string) {
	maps.Copy(w.Header(), r.header)
	w.Header().Set("X-Cache", cache)
	w.Header().Set("Age", fmt.Sprint(int(time.Since(r.at).Seconds())))
	w.WriteHeader(r.status)
	w.Write(r.body)
}

// record calls a handler and keeps what it writes.
func record(h http.Handler, r *http.Request) *response {
	w := &recorder{header: http.Header{}, status: http.StatusOK}
	h.ServeHTTP(w, r)
	return &response{w.status, w.header, w.body.Bytes(), time.Now()}
}

// A recorder is a ResponseWriter that writes to memory.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *recorder) Header() http.Header         { return w.header }
func (w *recorder) WriteHeader(status int)      { w.status = status }
func (w *recorder) Write(p []byte) (int, error) { return w.body.Write(p) }

package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestRun(t *testing.T) {
	var out strings.Builder
	if err := run(&out); err != nil {
		t.Fatal(err)
	}
	want := `/news        6 bytes  miss
/news        6 bytes  hit
/ticker      3 bytes  miss
/me         14 bytes  miss
/me         14 bytes  miss
/film     5000 bytes  miss
/film     5000 bytes  miss
a second later
/news        6 bytes  hit
/ticker      3 bytes  miss
50 clients at once, handler calls: 1
`
	if out.String() != want {
		t.Errorf("got:\n%swant:\n%s", &out, want)
	}
}

func TestLifetime(t *testing.T) {
	for _, c := range []struct {
		header string
		want   time.Duration
	}{
		{"", 0},
		{"Cache-Control: max-age=60", time.Minute},
		{"Cache-Control: public, Max-Age=60", time.Minute},
		{"Cache-Control: s-maxage=5, max-age=60", 5 * time.Second},
		{"Cache-Control: max-age=60, s-maxage=5", 5 * time.Second},
		{"Cache-Control: max-age=60, s-maxage=0", 0},
		{"Cache-Control: max-age=60, private", 0},
		{"Cache-Control: no-store", 0},
		{"Cache-Control: max-age=soon", 0},
		{"Cache-Control: max-age=60\nSet-Cookie: a=b", 0},
		{"Cache-Control: max-age=60\nVary: Accept-Language", 0},
	} {
		r := &response{status: http.StatusOK, header: http.Header{}}
		for line := range strings.Lines(c.header) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
			r.header.Add(name, value)
		}
		if got := r.lifetime(); got != c.want {
			t.Errorf("%q: %v, want %v", c.header, got, c.want)
		}
	}
}

// What one client may see is never given to another, not even to one that waits for
// the same call.
func TestPrivate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		cache := New(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			calls.Add(1)
			time.Sleep(time.Second)
			io.WriteString(w, r.Header.Get("X-User"))
		}), 1<<20)
		defer cache.Close()
		var group sync.WaitGroup
		for _, user := range []string{"ann", "bob", "cid"} {
			group.Go(func() {
				r := httptest.NewRequest("GET", "/me", nil)
				r.Header.Set("X-User", user)
				w := httptest.NewRecorder()
				cache.ServeHTTP(w, r)
				if got := w.Body.String(); got != user {
					t.Errorf("%s got the page of %s", user, got)
				}
			})
		}
		group.Wait()
		if calls.Load() != 3 {
			t.Errorf("%d calls, want 3", calls.Load())
		}
	})
}

// Requests with credentials go past the cache.
func TestCredentials(t *testing.T) {
	calls := 0
	cache := New(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls++
		w.Header().Set("Cache-Control", "max-age=60")
	}), 1<<20)
	defer cache.Close()
	for _, name := range []string{"Authorization", "Cookie", "Range"} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set(name, "x")
		cache.ServeHTTP(httptest.NewRecorder(), r)
	}
	cache.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/", nil))
	if calls != 4 || cache.responses.Len() != 0 {
		t.Errorf("%d calls and %d responses kept, want 4 and none", calls, cache.responses.Len())
	}
}

func TestBound(t *testing.T) {
	cache := New(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Write(make([]byte, 1000))
	}), 10_000)
	defer cache.Close()
	for i := range 100 {
		r := httptest.NewRequest("GET", "/"+strings.Repeat("x", i), nil)
		cache.ServeHTTP(httptest.NewRecorder(), r)
	}
	if got := cache.responses.Weight(); got > 10_000 || got == 0 {
		t.Errorf("%d bytes kept", got)
	}
}

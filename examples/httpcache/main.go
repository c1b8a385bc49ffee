// Command httpcache puts a cache before an HTTP handler: responses are kept for as
// long as their Cache-Control allows, in a bounded number of bytes.
//
//	go run ./httpcache
package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

func main() {
	if err := run(os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(out io.Writer) error {
	var calls atomic.Int64 // of the pages below
	pages := http.NewServeMux()
	page := func(pattern, cacheControl, body string) {
		pages.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			calls.Add(1)
			time.Sleep(10 * time.Millisecond) // it is slow
			w.Header().Set("Cache-Control", cacheControl)
			io.WriteString(w, body)
		})
	}
	page("/news", "public, max-age=60", "News.\n")
	page("/ticker", "max-age=1", "42\n")
	page("/me", "private", "Your account.\n")
	page("/film", "max-age=60", strings.Repeat("film ", 1000))

	cache := New(pages, 4<<10)
	defer cache.Close()
	server := httptest.NewServer(cache)
	defer server.Close()

	get := func(path string) error {
		response, err := http.Get(server.URL + path)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		n, err := io.Copy(io.Discard, response.Body)
		fmt.Fprintf(out, "%-8s %5d bytes  %s\n", path, n, response.Header.Get("X-Cache"))
		return err
	}
	for _, path := range []string{"/news", "/news", "/ticker", "/me", "/me", "/film", "/film"} {
		if err := get(path); err != nil {
			return err
		}
	}
	time.Sleep(1100 * time.Millisecond)
	fmt.Fprintln(out, "a second later")
	for _, path := range []string{"/news", "/ticker"} {
		if err := get(path); err != nil {
			return err
		}
	}

	cache.Purge()
	before := calls.Load()
	var group sync.WaitGroup
	for range 50 {
		group.Go(func() {
			if response, err := http.Get(server.URL + "/news"); err == nil {
				response.Body.Close()
			}
		})
	}
	group.Wait()
	fmt.Fprintln(out, "50 clients at once, handler calls:", calls.Load()-before)
	return nil
}

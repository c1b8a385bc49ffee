// Command warmrestart shows what a snapshot is good for: a service that saves its
// cache when it ends, and loads it when it begins, has its hit ratio at once.
//
//	go run ./warmrestart
package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/dualcache-ff/dualcache"
)

func main() {
	if err := run(os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// A Service looks articles up in a slow place, by way of a cache.
type Service struct {
	articles *dualcache.Cache[uint64, string]
	snapshot string // the path of a file; none: do without
}

// Start begins with what the last one had, if it left anything.
func Start(snapshot string) (*Service, error) {
	s := &Service{
		articles: dualcache.Must(dualcache.Config[uint64, string]{Capacity: 10_000}),
		snapshot: snapshot,
	}
	if snapshot == "" {
		return s, nil
	}
	err := s.articles.LoadFile(snapshot)
	switch {
	case errors.Is(err, fs.ErrNotExist): // the first start
	case errors.Is(err, dualcache.ErrSnapshotCorrupt), errors.Is(err, dualcache.ErrSnapshotType),
		errors.Is(err, dualcache.ErrSnapshotVersion):
		log.Print("starting cold: ", err) // a cache is no reason not to start
	case err != nil:
		return nil, err
	}
	return s, nil
}

// Stop saves the cache before it closes it: afterwards it is empty.
func (s *Service) Stop() error {
	defer s.articles.Close()
	if s.snapshot == "" {
		return nil
	}
	return s.articles.SaveFile(s.snapshot)
}

// Article returns an article.
func (s *Service) Article(id uint64) string {
	if text, ok := s.articles.Get(id); ok {
		return text
	}
	text := fmt.Sprint("the text of article ", id) // what is slow to find
	s.articles.Set(id, text)
	return text
}

// serve answers n requests of readers, some articles being far more popular than
// others, and returns the share of them that the cache answered.
func (s *Service) serve(readers *rand.Zipf, n int) float64 {
	before := s.articles.Stats()
	for range n {
		s.Article(readers.Uint64())
	}
	return s.articles.Stats().Sub(before).HitRatio()
}

func run(out io.Writer) error {
	dir, err := os.MkdirTemp("", "warmrestart")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	_, _, _, err = demonstrate(out, filepath.Join(dir, "articles.snapshot"))
	return err
}

func demonstrate(out io.Writer, path string) (before, cold, warm float64, err error) {
	const many, first = 1_000_000, 10_000
	readers := rand.NewZipf(rand.New(rand.NewPCG(1, 2)), 1.1, 10, 1_000_000)

	service, err := Start(path)
	if err != nil {
		return
	}
	service.serve(readers, many)
	before = service.serve(readers, first)
	fmt.Fprintf(out, "before the restart: %4.1f%% hits\n", 100*before)
	if err = service.Stop(); err != nil {
		return
	}
	file, err := os.Stat(path)
	if err != nil {
		return
	}
	fmt.Fprintf(out, "snapshot: %d KiB\n", file.Size()>>10)

	for _, start := range []struct {
		name, path string
		hits       *float64
	}{{"cold", "", &cold}, {"warm", path, &warm}} {
		if service, err = Start(start.path); err != nil {
			return
		}
		*start.hits = service.serve(readers, first)
		fmt.Fprintf(out, "after a %s start: %4.1f%% hits in the first %d requests\n", start.name, 100**start.hits, first)
		if err = service.Stop(); err != nil {
			return
		}
	}
	return
}

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/dualcache-ff/dualcache"
)

func TestRun(t *testing.T) {
	var out strings.Builder
	if err := run(&out); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{
		"user 1 Ada queries: 1",
		"user 1 again Ada queries: 0",
		"user 2, from 100 goroutines at once Grace queries: 1",
		"users 1, 2, 3 and 99 (1 and 2 cached) 3 found queries: 1",
		"user 99, known to be absent dualcache: not found queries: 0",
		"user 1, after a write Ada Lovelace queries: 1",
		"user 99, after a write Barbara queries: 1",
	} {
		lines := strings.Split(out.String(), "\n")
		if got := strings.Join(strings.Fields(lines[i]), " "); got != want {
			t.Errorf("line %d is %q, want %q", i+1, got, want)
		}
	}
}

func open(t *testing.T) *Users {
	users, err := Open(context.Background(), filepath.Join(t.TempDir(), "users.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := users.Close(); err != nil {
			t.Error(err)
		}
	})
	return users
}

// Whoever reads after a write sees it, whatever loads are under way.
func TestReadYourWrites(t *testing.T) {
	users, ctx := open(t), context.Background()
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					users.Get(ctx, 1)
				}
			}
		})
	}
	for i := range 20 {
		want := User{ID: 1, Name: fmt.Sprint("name ", i)}
		if err := users.Put(ctx, want); err != nil {
			t.Error(err)
			break
		}
		if got, err := users.Get(ctx, 1); err != nil || got != want {
			t.Errorf("after the write of %v: %v, %v", want, got, err)
			break
		}
	}
	close(done)
	readers.Wait()
}

// An error of the database is not cached.
func TestFailure(t *testing.T) {
	users, ctx := open(t), context.Background()
	if err := users.Put(ctx, User{ID: 1, Name: "Ada"}); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := users.Get(ended, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: %v", err)
	}
	if user, err := users.Get(ctx, 1); err != nil || user.Name != "Ada" {
		t.Errorf("afterwards: %v, %v", user, err)
	}
	if _, err := users.Get(ctx, 2); !errors.Is(err, dualcache.ErrNotFound) {
		t.Errorf("a user who does not exist: %v", err)
	}
}

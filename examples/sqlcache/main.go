// Command sqlcache keeps rows of a SQL database in a cache: reads go through it, and
// writes go to the database and then throw out what is no longer true.
//
//	go run ./sqlcache
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"sync"

	"github.com/dualcache-ff/dualcache"
)

func main() {
	if err := run(os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(out io.Writer) error {
	dir, err := os.MkdirTemp("", "sqlcache")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	users, err := Open(ctx, filepath.Join(dir, "users.db"))
	if err != nil {
		return err
	}
	defer users.Close()

	// tell prints what a step came to, and how many queries it took.
	asked := users.Queries()
	tell := func(step string, result any) {
		n := users.Queries()
		fmt.Fprintf(out, "%-38s %-28v queries: %d\n", step, result, n-asked)
		asked = n
	}
	for id, name := range []string{"Ada", "Grace", "Edsger"} {
		if err := users.Put(ctx, User{ID: int64(id + 1), Name: name}); err != nil {
			return err
		}
	}
	get := func(id int64) any {
		user, err := users.Get(ctx, id)
		if err != nil {
			return err
		}
		return user.Name
	}

	tell("user 1", get(1))
	tell("user 1 again", get(1))

	var group sync.WaitGroup
	for range 100 {
		group.Go(func() { get(2) })
	}
	group.Wait()
	tell("user 2, from 100 goroutines at once", get(2))

	page, err := users.GetMany(ctx, []int64{1, 2, 3, 99})
	if err != nil {
		return err
	}
	tell("users 1, 2, 3 and 99 (1 and 2 cached)", fmt.Sprintf("%d found", len(page)))
	tell("user 99, known to be absent", get(99))

	if err := users.Put(ctx, User{ID: 1, Name: "Ada Lovelace"}); err != nil {
		return err
	}
	if err := users.Put(ctx, User{ID: 99, Name: "Barbara"}); err != nil {
		return err
	}
	tell("user 1, after a write", get(1))
	tell("user 99, after a write", get(99))

	if _, err := users.Get(ctx, 100); !errors.Is(err, dualcache.ErrNotFound) {
		return fmt.Errorf("user 100: %v", err)
	}
	return nil
}

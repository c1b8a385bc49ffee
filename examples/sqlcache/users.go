package main

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"github.com/dualcache-ff/dualcache"
	_ "modernc.org/sqlite" // the driver "sqlite", in pure Go
)

// A User is a row.
type User struct {
	ID   int64
	Name string
}

// Users is a table of users with a cache before it.
type Users struct {
	db      *sql.DB
	cache   *dualcache.Cache[int64, User]
	queries atomic.Int64
}

// Open makes the table, in a file.
func Open(ctx context.Context, path string) (*Users, error) {
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(WAL)&_pragma=busy_timeout(5000)")
	if err != nil {
		return nil, err
	}
	if _, err := db.ExecContext(ctx, `CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL)`); err != nil {
		db.Close()
		return nil, err
	}
	u := &Users{db: db}
	u.cache = dualcache.Must(dualcache.Config[int64, User]{
		Capacity:    10_000,
		TTL:         10 * time.Minute, // others may write to the database as well
		NegativeTTL: time.Minute,      // for ids that do not exist
		Loader:      u.load,
	})
	return u, nil
}

// Close closes the cache and the database.
func (u *Users) Close() error {
	u.cache.Close()
	return u.db.Close()
}

// Queries is the number of SELECTs so far.
func (u *Users) Queries() int64 { return u.queries.Load() }

// Get returns a user, or dualcache.ErrNotFound. However many goroutines ask for a user
// who is not in the cache, the database is asked once.
func (u *Users) Get(ctx context.Context, id int64) (User, error) {
	return u.cache.GetOrLoad(ctx, id, nil)
}

// GetMany returns those users that exist, with one query for all that are not in the
// cache.
func (u *Users) GetMany(ctx context.Context, ids []int64) (map[int64]User, error) {
	return u.cache.GetOrLoadMany(ctx, ids, u.loadMany)
}

// Put writes a user. The entry goes when the database has the new row: a load that
// began before then may have read the old one, and is not kept.
func (u *Users) Put(ctx context.Context, user User) error {
	_, err := u.db.ExecContext(ctx, `INSERT INTO users (id, name) VALUES (?, ?)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name`, user.ID, user.Name)
	u.cache.Delete(user.ID) // after an error too: who knows what it wrote
	return err
}

func (u *Users) load(ctx context.Context, id int64) (User, error) {
	u.queries.Add(1)
	user := User{ID: id}
	err := u.db.QueryRowContext(ctx, `SELECT name FROM users WHERE id = ?`, id).Scan(&user.Name)
	if errors.Is(err, sql.ErrNoRows) {
		err = dualcache.ErrNotFound
	}
	return user, err
}

func (u *Users) loadMany(ctx context.Context, ids []int64) (map[int64]User, error) {
	u.queries.Add(1)
	args := make([]any, len(ids))
	for i, id := range ids {
		args[i] = id
	}
	marks := strings.Repeat(", ?", len(ids))[2:]
	rows, err := u.db.QueryContext(ctx, `SELECT id, name FROM users WHERE id IN (`+marks+`)`, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	found := make(map[int64]User, len(ids))
	for rows.Next() {
		var user User
		if err := rows.Scan(&user.ID, &user.Name); err != nil {
			return nil, err
		}
		found[user.ID] = user
	}
	return found, rows.Err()
}

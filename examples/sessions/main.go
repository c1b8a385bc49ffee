// Command sessions keeps the sessions of a web service: one ends when it has not been
// used for a while, or has become too old, whichever comes first.
//
//	go run ./sessions
package main

import (
	"crypto/rand"
	"fmt"
	"io"
	"log"
	"os"
	"sync"
	"time"

	"github.com/dualcache-ff/dualcache"
)

func main() {
	if err := run(os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// A Session is what is known of somebody who has signed in.
type Session struct {
	User  string
	Since time.Time
}

// Sessions are all that are open.
type Sessions struct {
	open *dualcache.Cache[string, Session]
}

// NewSessions makes room for so many sessions. A session ends after idle without use,
// and after longest in any case. ended is called for each of them, from one goroutine,
// some time after.
func NewSessions(most int, idle, longest time.Duration, ended func(Session, string)) *Sessions {
	return &Sessions{dualcache.Must(dualcache.Config[string, Session]{
		Capacity:          most,
		ExpireAfterAccess: idle,
		TTL:               longest,
		OnRemoval: func(r dualcache.Removal[string, Session]) {
			ended(r.Value, r.Cause.String())
		},
	})}
}

// Close ends all sessions. When it returns, ended has been called for all of them.
func (s *Sessions) Close() { s.open.Close() }

// SignIn opens a session, and returns the token for it.
func (s *Sessions) SignIn(user string) (token string) {
	token = rand.Text()
	s.open.Set(token, Session{user, time.Now()})
	return token
}

// SignOut ends a session.
func (s *Sessions) SignOut(token string) { s.open.Delete(token) }

// User is the user of a session. To ask for it keeps the session open.
func (s *Sessions) User(token string) (name string, ok bool) {
	session, ok := s.open.Get(token)
	return session.User, ok
}

// Left is how long a session stays open if it is not used. To ask for it does not
// prolong it.
func (s *Sessions) Left(token string) time.Duration {
	e, ok := s.open.GetEntry(token)
	if !ok {
		return 0
	}
	return time.Until(e.ExpiresAt)
}

func run(out io.Writer) error {
	var mu sync.Mutex // ended sessions are told of from another goroutine
	say := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(out, format+"\n", args...)
	}
	const second = 100 * time.Millisecond // the demonstration is in a hurry
	sessions := NewSessions(100_000, 3*second, 10*second, func(s Session, cause string) {
		say("  the session of %s has ended: %s", s.User, cause)
	})
	tokens := map[string]string{}
	for _, user := range []string{"ann", "bob", "cid", "dee"} {
		tokens[user] = sessions.SignIn(user)
	}
	say("four have signed in; cid signs out; ann comes back every 2 seconds")
	sessions.SignOut(tokens["cid"])
	for i := 2; i <= 12; i += 2 {
		time.Sleep(2 * second)
		if i <= 4 {
			sessions.User(tokens["dee"])
		}
		_, open := sessions.User(tokens["ann"])
		say("after %2d seconds the session of ann is open: %v", i, open)
	}
	sessions.SignIn("eve")
	say("the service ends")
	sessions.Close()
	return nil
}

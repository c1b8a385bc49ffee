package main

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		if err := run(&out); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{
			"after 10 seconds the session of ann is open: false\n",
			"after  8 seconds the session of ann is open: true\n",
			"  the session of ann has ended: expired\n",
			"  the session of bob has ended: expired\n",
			"  the session of cid has ended: deleted\n",
			"  the session of dee has ended: expired\n",
			"  the session of eve has ended: cleared\n",
		} {
			if strings.Count(out.String(), want) != 1 {
				t.Errorf("no %q, or several, in:\n%s", want, &out)
			}
		}
	})
}

func TestDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		causes := map[string]string{}
		sessions := NewSessions(10, 30*time.Minute, 8*time.Hour, func(s Session, cause string) {
			causes[s.User] = cause
		})
		idle, busy := sessions.SignIn("idle"), sessions.SignIn("busy")
		time.Sleep(30*time.Minute - 1)
		for range 2 {
			if left := sessions.Left(idle); left != 1 {
				t.Errorf("a session has %v left, want 1ns", left)
			}
		}
		if _, ok := sessions.User(busy); !ok {
			t.Error("a session has ended before its time")
		}
		time.Sleep(time.Nanosecond)
		if _, ok := sessions.User(idle); ok {
			t.Error("an idle session is open")
		}
		for range 15 {
			if _, ok := sessions.User(busy); !ok {
				t.Error("a busy session has ended before its time")
			}
			time.Sleep(30*time.Minute - time.Second)
		}
		if left := sessions.Left(busy); left > time.Minute {
			t.Errorf("a session of nearly eight hours has %v left", left)
		}
		time.Sleep(time.Minute)
		if _, ok := sessions.User(busy); ok {
			t.Error("a session is older than it may become")
		}
		sessions.Close()
		if causes["idle"] != "expired" || causes["busy"] != "expired" {
			t.Errorf("causes: %v", causes)
		}
	})
}

package child

import (
	"errors"
	"os"
	"strings"
	"testing"
)

var double = Register("double", func(n int) ([2]int, error) {
	if n < 0 {
		return [2]int{}, errors.New("a negative number")
	}
	return [2]int{2 * n, os.Getpid()}, nil
})

func TestMain(m *testing.M) {
	Serve()
	os.Exit(m.Run())
}

func TestRunsElsewhere(t *testing.T) {
	got, err := double.Run(21)
	if err != nil || got[0] != 42 {
		t.Fatalf("got %v, %v, want 42", got, err)
	}
	if got[1] == os.Getpid() {
		t.Error("the task ran in this process")
	}
}

func TestErrorsComeBack(t *testing.T) {
	if _, err := double.Run(-1); err == nil || !strings.Contains(err.Error(), "a negative number") {
		t.Errorf("got %v", err)
	}
	if _, err := (Task[int, int]{"unheard of"}).Run(1); err == nil || !strings.Contains(err.Error(), "unheard of") {
		t.Errorf("got %v", err)
	}
}

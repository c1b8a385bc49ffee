// Package streams has the key streams that hit ratios are measured on: traces
// of real systems, read from files, and made-up ones, each of which asks one
// question. All are the same every time.
//
// The keys of a stream are numbered anew, in order of their first appearance.
// So a stream is small, any implementation can be given its numbers, and the
// simulator can use them as indices.
package streams

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// A Stream is a sequence of keys, by their numbers.
type Stream struct {
	Name     string
	IDs      []uint32 // all below Distinct
	Distinct int
}

// MaxLength is the length of the longest stream.
const MaxLength = math.MaxInt32

// Capacity returns the capacity that is percent of the distinct keys, 1 at
// least.
func (s *Stream) Capacity(percent float64) int {
	return max(1, int(math.Round(percent/100*float64(s.Distinct))))
}

// renumber makes a stream of keys.
func renumber(name string, keys []uint64) *Stream {
	s := &Stream{Name: name, IDs: make([]uint32, len(keys))}
	number := make(map[uint64]uint32)
	for i, key := range keys {
		id, ok := number[key]
		if !ok {
			id = uint32(len(number))
			number[key] = id
		}
		s.IDs[i] = id
	}
	s.Distinct = len(number)
	return s
}

// Load returns the stream of a generator, if spec begins with the name of one
// (see Generate), or else that of a file.
func Load(spec string) (*Stream, error) {
	if generates(spec) {
		return Generate(spec)
	}
	return ReadFile(spec)
}

// ReadFile reads a trace: one decimal key a line, plain or gzipped. Empty lines
// are skipped.
func ReadFile(path string) (*Stream, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	name, _, _ := strings.Cut(filepath.Base(path), ".")
	s, err := Read(name, file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// Read reads a trace from r.
func Read(name string, r io.Reader) (*Stream, error) {
	in := bufio.NewReader(r)
	// Text does not begin with these two bytes, whatever it says.
	if magic, _ := in.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		unzipped, err := gzip.NewReader(in)
		if err != nil {
			return nil, err
		}
		in = bufio.NewReader(unzipped)
	}
	keys, err := parse(bufio.NewScanner(in))
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, errors.New("there are no keys in it")
	}
	return renumber(name, keys), nil
}

// parse reads all keys.
func parse(lines *bufio.Scanner) ([]uint64, error) {
	var keys []uint64
	number := 0
	for lines.Scan() {
		number++
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		key, err := strconv.ParseUint(string(line), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		if len(keys) == MaxLength {
			return nil, fmt.Errorf("line %d: more than %d keys", number, MaxLength)
		}
		keys = append(keys, key)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("after line %d: %w", number, err)
	}
	return keys, nil
}

// Check reports whether Load can be expected to work, at little cost.
func Check(spec string) error {
	if generates(spec) {
		name, list, _ := strings.Cut(spec, ":")
		if _, err := parseSettings(list, generators[name].defaults); err != nil {
			return fmt.Errorf("%s: %w", spec, err)
		}
		return nil
	}
	file, err := os.Open(spec)
	if err != nil {
		return fmt.Errorf("%w, and no generator is called so (%s)", err, strings.Join(Names(), ", "))
	}
	return file.Close()
}

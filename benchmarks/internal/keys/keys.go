// Package keys makes the key streams of the benchmarks.
//
// A cache is judged by the keys it is asked for, so they are made with care.
// Popularity follows a true Zipf law of exponent 1.01 over exactly n ranks,
// drawn by rejection-inversion. A rank is then sent through a random
// permutation, so a key's number says nothing about its popularity: filling a
// cache in the order of the numbers loads hot and cold keys alike, and hot
// keys do not share cache lines. All draws are made beforehand and kept as
// 32-bit numbers, so that reading the stream costs the measured loop little
// bandwidth; the key itself is computed from its number (uint64) or looked up
// in a table (string). Every stream is a fixed function of its arguments, so
// all implementations and all runs see the same one.
package keys

import (
	"fmt"
	"math/rand/v2"
)

// Exponent is the exponent of the Zipf law of every stream.
const Exponent = 1.01

// WriteBit marks an element of a mixed stream as a write.
const WriteBit = 1 << 31

// scatter is an odd constant, 2^64 over the golden ratio.
const scatter = 0x9e3779b97f4a7c15

// Uint64 returns the uint64 key of a number. Distinct numbers have distinct
// keys, spread over the whole 64 bits.
func Uint64(id uint32) uint64 {
	x := uint64(id) * scatter
	return x ^ x>>32
}

// Strings returns the string keys of the numbers below n, 23 bytes each.
func Strings(n int) []string {
	names := make([]string, n)
	for id := range names {
		names[id] = fmt.Sprintf("object:%016x", Uint64(uint32(id)))
	}
	return names
}

// Zipf returns length numbers below n, drawn independently, where the number
// of rank k (from 1) has a probability proportional to 1/k^Exponent.
func Zipf(n, length int) []uint32 {
	random := rand.New(rand.NewPCG(uint64(n), uint64(length)))
	number := permutation(random, n)
	zipf := rand.NewZipf(random, Exponent, 1, uint64(n-1))
	ids := make([]uint32, length)
	for i := range ids {
		ids[i] = number[zipf.Uint64()]
	}
	return ids
}

// All returns the numbers below n in increasing order, which by way of the
// permutation is a random order of popularity.
func All(n int) []uint32 {
	ids := make([]uint32, n)
	for i := range ids {
		ids[i] = uint32(i)
	}
	return ids
}

// Scan returns length numbers below n: at random, one half Zipf on the numbers
// below hot, and one half the others in increasing order, again and again.
func Scan(hot, n, length int) []uint32 {
	random := rand.New(rand.NewPCG(uint64(hot), uint64(length)))
	ids := Zipf(hot, length)
	next := hot
	for i := range ids {
		if random.IntN(2) == 0 {
			ids[i] = uint32(next)
			if next++; next == n {
				next = hot
			}
		}
	}
	return ids
}

// MarkWrites sets WriteBit on the elements of ids at random, leaving reads
// percent of them alone.
func MarkWrites(ids []uint32, reads int) {
	random := rand.New(rand.NewPCG(uint64(len(ids)), uint64(reads)))
	for i := range ids {
		if random.IntN(100) >= reads {
			ids[i] |= WriteBit
		}
	}
}

// permutation returns a random bijection from ranks to numbers.
func permutation(random *rand.Rand, n int) []uint32 {
	number := All(n)
	random.Shuffle(n, func(i, j int) {
		number[i], number[j] = number[j], number[i]
	})
	return number
}

package simulation

import (
	"math/rand/v2"
)

// dice are what a schedule is drawn with.
type dice struct{ *rand.Rand }

func newDice(seed uint64) dice { return dice{rand.New(rand.NewPCG(seed, 0x5eed))} }

// chance reports true in so many of 100 cases.
func (d dice) chance(percent int) bool { return d.IntN(100) < percent }

// between returns a number from least to most.
func (d dice) between(least, most int) int { return least + d.IntN(most-least+1) }

// pick returns one of several values.
func pick[T any](d dice, values ...T) T { return values[d.IntN(len(values))] }

// draw returns a number that depends on its arguments alone. What is decided by it while runs are
// at work is the same in whatever order their goroutines come.
func draw(seed uint64, words ...string) uint64 {
	const offset, prime = 14695981039346656037, 1099511628211 // FNV-1a.
	h := uint64(offset) ^ seed*prime
	for _, word := range words {
		for i := range len(word) {
			h = (h ^ uint64(word[i])) * prime
		}
		h = (h ^ 0xff) * prime
	}
	h ^= h >> 30 // The finalizer of SplitMix64.
	h *= 0xbf58476d1ce4e5b9
	h ^= h >> 27
	h *= 0x94d049bb133111eb
	return h ^ h>>31
}

// share returns the same as a number from 0 to less than 1.
func share(seed uint64, words ...string) float64 {
	return float64(draw(seed, words...)>>11) / (1 << 53)
}

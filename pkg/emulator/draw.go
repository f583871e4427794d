package emulator

import (
	"crypto/sha256"
	"encoding/binary"
	"io"
)

// Draw returns a number from 0 to less than 1 that depends on its arguments alone, and on each of
// them. What a simulation decides by it is the same in every run of the same seed, in whatever
// order its goroutines come.
func Draw(seed uint64, words ...string) float64 {
	h := sha256.New()
	var number [8]byte
	write := func(n uint64) {
		binary.BigEndian.PutUint64(number[:], n)
		_, _ = h.Write(number[:]) // A hash takes everything.
	}
	write(seed)
	for _, word := range words {
		write(uint64(len(word)))
		_, _ = io.WriteString(h, word)
	}
	return float64(binary.BigEndian.Uint64(h.Sum(nil))>>11) / (1 << 53)
}

// Package ami is the vocabulary of the janitor: images, snapshots, the evidence of their use and what became of them.
// It holds no decisions and needs nothing but the standard library.
package ami

// Package ami is the vocabulary of the janitor: images, snapshots, the evidence of their use, and
// what a run did with them. It holds no decisions and needs only the standard library.
package ami

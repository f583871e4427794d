// Package speed measures whole runs: how long they take beside what EC2's request limits allow, and how much memory the
// function's process takes. Nothing but tests is here.
package speed

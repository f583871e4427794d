// Package speed measures entire runs: their duration compared with EC2's request limits, and the
// memory of the function's process. It contains only tests.
package speed

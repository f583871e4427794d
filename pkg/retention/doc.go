// Package retention decides which images go and which stay.
//
// It is pure: it reads no clock and talks to nobody, and the same images in any order give the same
// plan. The policy is a table of keep rules (rules.go). An image is removed when no rule keeps it;
// a rule that is in doubt keeps. What the rules know comes from package inventory (facts) and
// package usage (evidence of use).
package retention

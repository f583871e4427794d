// Package retention decides which images to remove and which to keep.
//
// It is pure: it reads no clock and talks to nobody, and the same images in any order give the same
// plan. The policy is a table of keep rules (rules.go). An image is removed if no rule keeps it; in
// doubt, a rule keeps. Facts come from package inventory, and evidence of use from package usage.
package retention

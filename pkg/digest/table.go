package digest

import (
	"slices"

	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// What follows is for a reader who sees a table of the run besides.

// Problems returns what a person should look at, the gravest first.
func Problems(of record.Run) []Problem {
	r := run{of}
	return slices.Concat(r.lead(), r.problems())
}

// Count says a number of things: "1 AMI", "1,200 AMIs".
func Count[N int | int64](n N, one string) string { return count(n, one) }

// Thousands says a number with commas between its thousands.
func Thousands(n int64) string { return thousands(n) }

// Money says an amount of US dollars, such as "$1,200.00".
func Money(dollars float64) string { return money(dollars) }

// List joins items as a person does: "a, b and c".
func List(items []string) string { return list(items) }

package digest

import (
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/ami-janitor/ami-janitor/pkg/plain"
)

// count says a number of things: "1 AMI", "1,200 AMIs". One is the singular; its plural ends in
// "s".
func count[N int | int64](n N, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return thousands(int64(n)) + " " + one + "s"
}

func thousands(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

func money(dollars float64) string {
	whole, cents, _ := strings.Cut(strconv.FormatFloat(dollars, 'f', 2, 64), ".")
	n, _ := strconv.ParseInt(whole, 10, 64)
	return "$" + thousands(n) + "." + cents
}

func price(dollars float64) string {
	return "$" + strconv.FormatFloat(dollars, 'f', -1, 64)
}

// dayOn is day for a date such as 2026-01-31. Anything else stays as it is.
func dayOn(date string) string {
	at, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return plain.Text(date)
	}
	return day(at)
}

// shortDay is a day of about now.
func shortDay(at time.Time) string { return at.UTC().Format("2 Jan") }

// shortDayOn is shortDay for a date such as 2026-01-31. Anything else stays as it is.
func shortDayOn(date string) string {
	at, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return plain.Text(date)
	}
	return shortDay(at)
}

func day(at time.Time) string    { return at.UTC().Format("Monday 2 January 2006") }
func minute(at time.Time) string { return at.UTC().Format("15:04 UTC") }

// list joins items as a person does: "a", "a and b", "a, b and c".
func list(items []string) string {
	if len(items) < 2 {
		return strings.Join(items, "")
	}
	last := len(items) - 1
	return strings.Join(items[:last], ", ") + " and " + items[last]
}

// sentence gives a phrase its capital letter and its full stop.
func sentence(phrase string) string {
	first, size := utf8.DecodeRuneInString(phrase)
	if size == 0 {
		return ""
	}
	return string(unicode.ToUpper(first)) + strings.TrimSuffix(phrase[size:], ".") + "."
}

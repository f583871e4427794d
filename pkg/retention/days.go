package retention

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Day is the unit of every configured duration.
const Day = 24 * time.Hour

// maxDays limits a configured duration: a hundred years, well within a time.Duration.
const maxDays = 36500

// Days is a duration in whole days, written "<n>d".
type Days time.Duration

// ParseDays reads a duration such as "180d".
func ParseDays(text string) (Days, error) {
	digits, ok := strings.CutSuffix(text, "d")
	n, err := strconv.ParseUint(digits, 10, 32)
	if !ok || err != nil {
		return 0, fmt.Errorf("%q is not a number of days such as 180d", text)
	}
	if n > maxDays {
		return 0, fmt.Errorf("%q is more than %dd", text, maxDays)
	}
	return Days(time.Duration(n) * Day), nil
}

// UnmarshalText reads what ParseDays reads.
func (d *Days) UnmarshalText(text []byte) (err error) {
	*d, err = ParseDays(string(text))
	return err
}

func (d Days) String() string {
	return strconv.Itoa(wholeDays(time.Duration(d))) + "d"
}

func (d Days) inWords() string { return daysInWords(time.Duration(d)) }

func wholeDays(d time.Duration) int { return int(d / Day) }

func daysInWords(d time.Duration) string {
	if n := wholeDays(d); n != 1 {
		return strconv.Itoa(n) + " days"
	}
	return "1 day"
}

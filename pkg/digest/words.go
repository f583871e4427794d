package digest

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"ami-janitor/pkg/plain"
)

// width is the column at which the text is wrapped. Words longer than that stay whole.
const width = 92

// count says a number of things: "1 AMI", "1,200 AMIs". One is the singular; its plural ends in "s".
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

// dayOn is day for a date such as 2026-01-31. What is no such date stays as it is.
func dayOn(date string) string {
	at, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return plain.Text(date)
	}
	return day(at)
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

// page is a plain text of paragraphs and items, wrapped.
type page struct{ strings.Builder }

func (p *page) heading(title string) {
	p.WriteString("\n" + strings.ToUpper(title) + "\n")
}

// headingOf says how many images its section is about.
func (p *page) headingOf(title string, images int) {
	p.heading(title + " (" + thousands(int64(images)) + ")")
}

func (p *page) paragraph(text string) { p.wrapped("", "", text) }

// advice is a paragraph in which every second line is a command.
func (p *page) advice(text string) {
	for i, line := range strings.Split(text, "\n") {
		switch {
		case i%2 == 1:
			p.command(line)
		case line != "":
			p.paragraph(line)
		}
	}
}

func (p *page) item(text string) { p.wrapped("- ", "  ", text) }

// detail continues an item.
func (p *page) detail(text string) { p.wrapped("  ", "  ", text) }

// command stands on a line of its own and is not wrapped, so that it can be copied.
func (p *page) command(text string) { p.WriteString("    " + text + "\n") }

// wrapped writes a paragraph whose first line begins with first, and all others with rest.
func (p *page) wrapped(first, rest, text string) {
	column := 0
	for i, word := range strings.Fields(text) {
		size := utf8.RuneCountInString(word)
		switch {
		case i == 0:
			p.WriteString(first)
			column = len(first)
		case column+1+size > width:
			p.WriteString("\n" + rest)
			column = len(rest)
		default:
			p.WriteByte(' ')
			column++
		}
		p.WriteString(word)
		column += size
	}
	p.WriteByte('\n')
}

package digest

import (
	"strings"
	"unicode/utf8"

	"github.com/ami-janitor/ami-janitor/pkg/plain"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// How many characters a line has at most. A longer word stays whole.
const (
	mailWidth = 78
	fullWidth = 92
)

// Text is the digest as plain text for an e-mail: what a person wants to know in half a minute.
func Text(of record.Run) string {
	r := run{of}
	return r.asConfigured(text(r.mail(), mailWidth))
}

// Full is all that there is to say about a run, as plain text.
func Full(of record.Run) string {
	r := run{of}
	return r.asConfigured(text(r.sections(), fullWidth))
}

// text lays out sections as paragraphs, items and columns, wrapped.
func text(sections []Section, width int) string {
	p := &page{width: width}
	for _, s := range sections {
		p.section(s)
	}
	return p.String()
}

// page is a plain text.
type page struct {
	strings.Builder
	width int
}

func (p *page) section(s Section) {
	title := strings.ToUpper(s.Title)
	if s.Count > 0 {
		title += " (" + thousands(int64(s.Count)) + ")"
	}
	switch {
	case title != "":
		p.WriteString("\n" + title + "\n")
	case p.Len() > 0:
		p.WriteByte('\n')
	}
	for i, problem := range s.Problems {
		if i > 0 {
			p.WriteByte('\n')
		}
		p.problem(problem)
	}
	p.lines("", s.Intro)
	widths := columnWidths(s.Groups)
	for _, g := range s.Groups {
		p.group(g, widths)
	}
}

func (p *page) problem(problem Problem) {
	p.paragraph(problem.What)
	p.lines("", advised("What to do: "+problem.Todo))
	for _, c := range problem.Cases {
		if len(c.Subjects) == 1 && c.More == 0 {
			p.item(c.Subjects[0] + ": " + c.Fault)
			continue
		}
		p.paragraph("Error: " + c.Fault)
		for _, subject := range c.Subjects {
			p.item(subject)
		}
		p.more(c.More, "")
	}
	if problem.More > 0 {
		p.item("and " + count(problem.More, "more error") + " of this kind")
	}
}

// more says how many items of a list are left out.
func (p *page) more(n int, besides string) {
	if n > 0 {
		p.item("and " + thousands(int64(n)) + " more" + besides + "; the run record has all of them")
	}
}

func (p *page) group(g Group, widths []int) {
	if g.Region != "" {
		p.paragraph(g.Region + ":")
	}
	p.lines("", g.Intro)
	p.columns(g.Columns, widths)
	for _, i := range g.Items {
		what := i.name(g.Region)
		if i.Says != "" {
			what += ": " + i.Says
		}
		p.item(what)
		p.lines("  ", i.Details)
	}
	p.more(g.More, g.MoreOf)
}

// lines writes paragraphs behind an indent.
func (p *page) lines(indent string, lines []Line) {
	for _, line := range lines {
		if line.IsCommand {
			p.command(line.Text)
		} else {
			p.wrapped(indent, indent, line.Text)
		}
	}
}

// command writes a command so that it can be copied. One that is too long goes on after a
// backslash.
func (p *page) command(text string) {
	const indent, more = "    ", " \\\n      "
	column := len(indent)
	p.WriteString(indent)
	for i, part := range argumentsOf(text) {
		size := utf8.RuneCountInString(part)
		switch {
		case i == 0:
		case column+1+size+len(" \\") > p.width:
			p.WriteString(more)
			column = len("      ")
		default:
			p.WriteByte(' ')
			column++
		}
		p.WriteString(part)
		column += size
	}
	p.WriteByte('\n')
}

// argumentsOf splits a command, and leaves a flag and its first value together.
func argumentsOf(text string) []string {
	var parts []string
	afterFlag := false
	for word := range strings.SplitSeq(text, " ") {
		isFlag := strings.HasPrefix(word, "--")
		if afterFlag && !isFlag {
			parts[len(parts)-1] += " " + word
		} else {
			parts = append(parts, word)
		}
		afterFlag = isFlag
	}
	return parts
}

func (p *page) paragraph(text string) { p.wrapped("", "", text) }

func (p *page) item(text string) { p.wrapped("- ", "  ", text) }

// wrapped writes a paragraph: its first line begins with first, all others with rest.
func (p *page) wrapped(first, rest, text string) {
	column := 0
	for i, word := range strings.Fields(text) {
		size := utf8.RuneCountInString(word)
		switch {
		case i == 0:
			p.WriteString(first)
			column = utf8.RuneCountInString(first)
		case column+1+size > p.width:
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

// asConfigured restores the places that the operator has named where errors repeat them.
func (r run) asConfigured(text string) string {
	for _, setting := range []string{"keepList", "records"} {
		if where := r.Policy[setting]; where != "" {
			text = strings.ReplaceAll(text, plain.Text(where), plain.Location(where))
		}
	}
	return text
}

package digest

import (
	"strings"
	"unicode/utf8"

	"github.com/ami-janitor/ami-janitor/pkg/plain"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// width is the column at which the text is wrapped. Words longer than that stay whole.
const width = 92

// Text is the digest as plain text for an e-mail.
func Text(of record.Run) string {
	r := run{of}
	return r.asConfigured(text(r.sections()))
}

// text lays out sections as paragraphs and items, wrapped.
func text(sections []Section) string {
	p := &page{}
	for _, s := range sections {
		p.section(s)
	}
	return p.String()
}

// page is a plain text.
type page struct{ strings.Builder }

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
	for _, g := range s.Groups {
		p.group(g)
	}
}

func (p *page) problem(problem Problem) {
	p.paragraph(problem.What)
	p.lines("", advised("What to do: "+problem.Todo))
	for _, c := range problem.Cases {
		if len(c.Subjects) == 1 {
			p.item(c.Subjects[0] + ": " + c.Fault)
			continue
		}
		p.paragraph("Error: " + c.Fault)
		for _, subject := range c.Subjects {
			p.item(subject)
		}
	}
}

func (p *page) group(g Group) {
	if g.Region != "" {
		p.paragraph(g.Region + ":")
	}
	p.lines("", g.Intro)
	for _, i := range g.Items {
		what := i.name(g.Region)
		if i.Says != "" {
			what += ": " + i.Says
		}
		p.item(what)
		p.lines("  ", i.Details)
	}
	if g.More > 0 {
		p.item("and " + thousands(int64(g.More)) + " more; the run record has all of them")
	}
}

// lines writes paragraphs behind an indent. A command is not wrapped, so that it can be copied.
func (p *page) lines(indent string, lines []Line) {
	for _, line := range lines {
		if line.IsCommand {
			p.WriteString("    " + line.Text + "\n")
		} else {
			p.wrapped(indent, indent, line.Text)
		}
	}
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

// asConfigured restores the places that the operator has named where errors repeat them.
func (r run) asConfigured(text string) string {
	for _, setting := range []string{"keepList", "records"} {
		if where := r.Policy[setting]; where != "" {
			text = strings.ReplaceAll(text, plain.Text(where), plain.Location(where))
		}
	}
	return text
}

package digest

import (
	"strings"
	"unicode/utf8"
)

// Columns are rows whose cells stand below each other. All but the last cell are short, and written
// by us; a row whose last cell has no room goes on below.
type Columns struct {
	Heads []string // Empty without a heading.
	Align string   // A letter for each column: l or r, for left or right.
	Rows  [][]string
}

const gutter = "  "

// mostIndent is how far a last cell may begin from the left, to be wrapped below itself.
const mostIndent = 20

// columns lays out rows in columns of given widths.
func (p *page) columns(c Columns, widths []int) {
	for _, row := range c.all() {
		last := len(row) - 1
		var line strings.Builder
		for i, cell := range row[:last] {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if c.Align[i] == 'r' {
				line.WriteString(pad + cell + gutter)
			} else {
				line.WriteString(cell + pad + gutter)
			}
		}
		p.row(line.String(), row[last])
	}
}

// row writes the cells of a row, and behind or below them the last one.
func (p *page) row(cells, last string) {
	if utf8.RuneCountInString(cells+last) <= p.width {
		p.WriteString(strings.TrimRight(cells+last, " ") + "\n")
		return
	}
	if indent := strings.Repeat(" ", utf8.RuneCountInString(cells)); len(indent) <= mostIndent {
		p.wrapped(cells, indent, last)
		return
	}
	p.WriteString(strings.TrimRight(cells, " ") + "\n")
	indent := gutter // To the right, so that it is read with the row above.
	if room := p.width - utf8.RuneCountInString(last); room > len(gutter) {
		indent = strings.Repeat(" ", room)
	}
	p.wrapped(indent, gutter, last)
}

// all are the rows with their heading.
func (c Columns) all() [][]string {
	if len(c.Rows) > 0 && len(c.Heads) > 0 {
		return append([][]string{c.Heads}, c.Rows...)
	}
	return c.Rows
}

// columnWidths are those of the widest cells of all groups, so that their columns stand below each
// other.
func columnWidths(groups []Group) []int {
	var widths []int
	for _, g := range groups {
		for _, row := range g.Columns.all() {
			for i, cell := range row {
				if i == len(widths) {
					widths = append(widths, 0)
				}
				widths[i] = max(widths[i], utf8.RuneCountInString(cell))
			}
		}
	}
	return widths
}

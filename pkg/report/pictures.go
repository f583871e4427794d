package report

import (
	"fmt"
	"strconv"
	"strings"
)

// bar is a horizontal bar. Its parts are placed in percent, so that it has the width of its table.
type bar struct {
	Title string // What it shows, in words.
	Parts []part
}

type part struct{ From, Width, Class string }

// stacked is a bar of parts side by side, against the longest bar of its table.
func stacked(title string, longest float64, classes []string, values ...float64) bar {
	b, at := bar{Title: title}, 0.0
	for n, v := range values {
		if v > 0 {
			b.Parts = append(b.Parts, part{percent(at, longest), percent(v, longest), classes[n]})
			at += v
		}
	}
	return b
}

// chart is a picture over nights: one column a night, from the first day to the last. It has no
// text in it, so that it can be stretched to any width.
type chart struct {
	Name, Title        string
	Wide, High, Middle int // Middle is where zero is.
	Shapes             []shape
	Top, Bottom        string // What its highest and its lowest point stand for.
	From, To           string
	Keys               []legend
}

type legend struct{ Class, Words string }

// shape is a part of a chart, with its outline as an SVG path.
type shape struct{ Class, Path string }

const (
	column = 10  // How wide a night is.
	high   = 100 // How high a chart is.
)

// columns is the path of one rectangle for each night that has a height. From is where they stand.
func columns(from, heights []float64) string {
	var path strings.Builder
	for n, h := range heights {
		if h > 0 {
			_, _ = fmt.Fprintf(&path, "M%d %sv%sh%dv%sz", n*column+1, coordinate(from[n]), coordinate(-h), column-2, coordinate(h))
		}
	}
	return path.String()
}

// area is the path between zero and a line through the middles of nights. It ends where a value is
// missing, and begins again behind it.
func area(zero float64, values []float64, isKnown []bool) string {
	var path strings.Builder
	for n := 0; n < len(values); n++ {
		if !isKnown[n] {
			continue
		}
		_, _ = fmt.Fprintf(&path, "M%d %s", n*column, coordinate(zero))
		for ; n < len(values) && isKnown[n]; n++ {
			_, _ = fmt.Fprintf(&path, "V%sH%d", coordinate(zero-values[n]), (n+1)*column)
		}
		path.WriteString("V" + coordinate(zero) + "z")
	}
	return path.String()
}

func coordinate(v float64) string {
	return strings.TrimSuffix(strings.TrimRight(strconv.FormatFloat(v, 'f', 2, 64), "0"), ".")
}

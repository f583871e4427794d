package report

import (
	"bufio"
	"crypto/sha256"
	_ "embed" // The page, its style and its script.
	"encoding/base64"
	"html/template"
	"io"
	"strconv"
	"strings"
	"sync"
)

//go:embed page.html
var layout string

//go:embed style.css
var style string

//go:embed script.js
var script string

// page is what the template lays out.
type page struct {
	Title   string
	Notices []string
	Index   *indexPage
	Trend   *trendPage
	Nights  []nightPage

	Organization *organizationPage
}

// IsEmpty reports whether there is nothing to lay out.
func (p page) IsEmpty() bool {
	return len(p.Notices)+len(p.Nights) == 0 && p.Index == nil && p.Trend == nil && p.Organization == nil
}

// parsed is the template with its style and its script, whose hashes are all that its Content
// Security Policy lets in. They are part of its text, so that no type has to call them safe.
var parsed = sync.OnceValues(func() (*template.Template, error) {
	return template.New("page").Parse(strings.NewReplacer(
		"STYLE_HASH", hash(style), "SCRIPT_HASH", hash(script), "/*STYLE*/", style, "/*SCRIPT*/", script,
	).Replace(layout))
})

func hash(source string) string {
	sum := sha256.Sum256([]byte(source))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// HTML writes the page: one file that asks nobody for anything.
func (r *Report) HTML(w io.Writer) error {
	p := page{Title: r.title(), Trend: r.trend()}
	for n, run := range r.Latest() {
		p.Nights = append(p.Nights, newNight("night"+strconv.Itoa(n+1), run))
	}
	return p.write(w)
}

const product = "AMI Janitor"

func (r *Report) title() string {
	if latest := r.Latest(); len(latest) == 1 {
		return product + ", account " + account(latest[0])
	}
	return product
}

func (p page) write(w io.Writer) error {
	layout, err := parsed()
	if err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	if err := layout.Execute(out, p); err != nil {
		return err
	}
	return out.Flush()
}

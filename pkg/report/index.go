package report

import (
	"io"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/digest"
)

// Listed is a run in an index.
type Listed struct {
	Run    string
	Record string // Where the record is kept, in a bucket.
	// Page is where the page about the run is, as seen from the index; empty if there is none.
	Page string
}

// How many runs an index lists, and how many of them it shows at once.
const (
	mostListed = 1000
	mostShown  = 14
)

// indexPage is what the page shows of all runs, the newest first.
type indexPage struct {
	Latest, Earlier []indexRow
	More            int
}

type indexRow struct{ Began, Run, Page, Console string }

// Index writes the page about all runs of a bucket in a region: a list with links, the newest
// first, and the trend over those that were added. Notices say what is missing.
func (r *Report) Index(w io.Writer, runs []Listed, region string, notices ...string) error {
	index := &indexPage{}
	for n, listed := range runs {
		if n == mostListed {
			index.More = len(runs) - n
			break
		}
		row := indexRow{Began: moment(ami.RunID(listed.Run).Began()), Run: name(listed.Run), Page: listed.Page}
		if listed.Page != "" {
			row.Console = digest.PageLink(listed.Record, region)
		}
		if n < mostShown {
			index.Latest = append(index.Latest, row)
		} else {
			index.Earlier = append(index.Earlier, row)
		}
	}
	return page{Title: r.title(), Index: index, Trend: r.trend(), Notices: texts(notices)}.write(w)
}

// Unreadable writes the page about a run whose record cannot be shown, and why.
func Unreadable(w io.Writer, run, why string) error {
	return page{Title: product, Notices: []string{"The record of run " + name(run) + " cannot be shown: " + text(why) + "."}}.write(w)
}

func texts(all []string) []string {
	var shown []string
	for _, each := range all {
		shown = append(shown, text(each))
	}
	return shown
}

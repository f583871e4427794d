package digest

import "github.com/ami-janitor/ami-janitor/pkg/record"

// What follows is for a page about a run that has a layout of its own.

// RestoreLines say how to get an image back; empty if the run has removed none.
func RestoreLines(of record.Run) []Line { return run{of}.howToRestore().Intro }

// LookupText says where use was looked up, and what limits that.
func LookupText(of record.Run) string { return run{of}.lookedUp() }

// Uncovered are the uses that no source of the run covers.
func Uncovered(of record.Run) []string {
	var uses []string
	for _, item := range (run{of}).uncoveredUses() {
		uses = append(uses, item.Label)
	}
	return uses
}

// Advice says what to do about the problem.
func (p Problem) Advice() []Line { return advised(p.Todo) }

// AboutOrganization is what a page says of a run over an organization beside its figures.
type AboutOrganization struct {
	Ended      []Problem // What ended the run before its end, or why nothing was removed.
	Stay       string    // How many images stay because accounts could not be counted.
	NotCounted []Problem
	NeedsYou   []Problem // What went wrong in the accounts.
	Undo       []Line
}

// NewAboutOrganization says it. Long lists are cut: the record has all.
func NewAboutOrganization(of record.Organization) AboutOrganization {
	o := newOrganization(of)
	return AboutOrganization{Ended: o.ended(), Stay: o.stayUncounted(), NotCounted: onPage(o.notCounted), NeedsYou: onPage(o.causes), Undo: o.undo()}
}

// onPage limits what one problem lists on a page.
func onPage(problems []Problem) []Problem {
	const mostOnPage = 100
	for i := range problems {
		problems[i].clip(mostOnPage)
		for j := range problems[i].Cases {
			problems[i].Cases[j].clip(mostOnPage)
		}
	}
	return problems
}

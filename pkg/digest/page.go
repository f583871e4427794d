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

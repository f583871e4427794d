package digest

import (
	"github.com/ami-janitor/ami-janitor/pkg/plain"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// CopyLines says in sentences what a copy lacks, and which files in it were not read; nothing about
// a complete copy, or a real account (nil).
func CopyLines(c *record.Copy) []string {
	if c == nil {
		return nil
	}
	var lines []string
	if len(c.Lacks) > 0 {
		lines = append(lines, "The copy lacks evidence: "+plain.Printable(list(c.Lacks))+". What is missing counts as empty, so a rehearsal may remove what a real run keeps.")
	}
	if len(c.NotRead) > 0 {
		lines = append(lines, "Not read, because no file of a copy has such a name: "+plain.Printable(list(c.NotRead))+".")
	}
	return lines
}

func (r run) lacksEvidence() bool { return r.Copy != nil && len(r.Copy.Lacks) > 0 }

func (r run) aboutTheCopy() Section {
	lines := says(CopyLines(r.Copy)...)
	if len(lines) == 0 {
		return Section{}
	}
	return Section{Title: "About the copy", Intro: lines}
}

package report

// Copy is what there is to say of the copy of an account on which a run was rehearsed.
type Copy struct {
	Lacks   []string `json:"lacks,omitempty"`   // The evidence of use that is not in the copy, by the names of its files.
	NotRead []string `json:"notRead,omitempty"` // The files and folders in it that mean nothing to a rehearsal.
}

// Lines says in sentences what a copy lacks, and what in it was not read; nothing of one that is whole.
func (c Copy) Lines() []string {
	var lines []string
	if len(c.Lacks) > 0 {
		lines = append(lines, "The copy lacks evidence: "+Printable(list(c.Lacks))+". What is missing counts as empty, so a rehearsal may remove what a real run keeps.")
	}
	if len(c.NotRead) > 0 {
		lines = append(lines, "Not read, because no file of a copy has such a name: "+Printable(list(c.NotRead))+".")
	}
	return lines
}

// CopyLines is what there is to say of the copy of an account; nothing of a real one.
func (r Run) CopyLines() []string {
	if r.Copy == nil {
		return nil
	}
	return r.Copy.Lines()
}

func (r Run) lacksEvidence() bool { return r.Copy != nil && len(r.Copy.Lacks) > 0 }

func (r Run) writeCopy(p *page) {
	lines := r.CopyLines()
	if len(lines) == 0 {
		return
	}
	p.heading("About the copy")
	for _, line := range lines {
		p.paragraph(line)
	}
}

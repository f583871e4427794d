package record

// Copy describes the copy of an account on which a run was rehearsed.
type Copy struct {
	// Lacks is the evidence of use that is not in the copy, by the names of its files.
	Lacks []string `json:"lacks,omitempty"`
	// NotRead are the files and folders in it that mean nothing to a rehearsal.
	NotRead []string `json:"notRead,omitempty"`
}

package record

// Copy describes the copy of an account on which a run was rehearsed.
type Copy struct {
	Lacks   []string `json:"lacks,omitempty"`   // The evidence of use that is not in the copy, by the names of its files.
	NotRead []string `json:"notRead,omitempty"` // The files and folders in it that mean nothing to a rehearsal.
}

package trial

import (
	"regexp"
	"slices"
	"strings"
	"time"
)

// Schema is the version of the report: it grows with every change that a reader could trip over.
const Schema = 1

// Report is what a trial has learnt. It has no account and no id but those of what the trial made
// itself, so that it can be attached to an issue.
type Report struct {
	Schema      int       `json:"schema"`
	Trial       string    `json:"trial"`
	Region      string    `json:"region"`
	BeganAt     time.Time `json:"beganAt"`
	EndedAt     time.Time `json:"endedAt"`
	Interrupted bool      `json:"interrupted,omitempty"`

	Steps        []Step        `json:"steps"`        // In their order.
	Measurements []Measurement `json:"measurements"` // In the order in which they were made.

	Left  []Left     `json:"left"`  // What may be there still; empty after a clean trial.
	InBin []Retained `json:"inBin"` // What the Recycle Bin holds.
}

// Step is a step of the trial.
type Step struct {
	Name    string  `json:"name"`
	Status  Status  `json:"status"`
	Why     string  `json:"why,omitempty"` // Why it failed or was skipped.
	Seconds float64 `json:"seconds"`
}

// Status says how a step ended.
type Status string

// A step is done, has failed, or was skipped because it needs one that was not done.
const (
	Done    Status = "done"
	Failed  Status = "failed"
	Skipped Status = "skipped"
)

// The steps of a trial, in their order.
const (
	StepMake     = "make"
	StepLists    = "empty lists"
	StepIAM      = "permissions"
	StepAnnounce = "announce"
	StepUnmark   = "unmark"
	StepRemove   = "remove"
	StepBin      = "recycle bin"
	StepUndo     = "undo"
	StepCompare  = "compare"
	StepAgain    = "remove again"
	StepTwice    = "deregister twice"
)

// Measurement is the answer to one question that AWS's documents leave open.
type Measurement struct {
	Name   string `json:"name"`   // Of the question; docs/trial.md has them all.
	Answer string `json:"answer"` // For people.
	// How long it took; 0 for what is no time, and for what was there at the first look.
	Seconds float64 `json:"seconds,omitempty"`
	Seen    bool    `json:"seen,omitempty"` // What was waited for was seen.
	Wire    string  `json:"wire,omitempty"` // AWS's answer, without the id of the request.
}

// Left is something that a trial may have left behind.
type Left struct {
	ID  string `json:"id,omitempty"` // Empty if it is not known.
	Why string `json:"why"`

	passes bool // A later look may find it otherwise.
	goes   bool // EC2 has accepted its removal.
}

// Retained is something that the Recycle Bin holds.
type Retained struct {
	ID    string    `json:"id"`
	Until time.Time `json:"until"`
}

// OK reports whether no step has failed, and nothing is left. A step that needs the Recycle Bin is
// skipped where that takes in nothing and need not.
func (r Report) OK() bool {
	failed := slices.ContainsFunc(r.Steps, func(s Step) bool { return s.Status == Failed })
	return !failed && len(r.Left) == 0 && !r.Interrupted
}

// Measured returns the measurement of a name; the zero value if it was not made.
func (r Report) Measured(name string) Measurement {
	for _, m := range r.Measurements {
		if m.Name == name {
			return m
		}
	}
	return Measurement{}
}

// caller is who is not authorized, or which policy forbids it, as AWS's messages name it (IAM User
// Guide, "Troubleshoot access denied error messages").
var caller = regexp.MustCompile(`arn:[a-z-]+:(?:iam|sts|organizations)::\S+`)

// anAccount is an account id, which may be that of another account: of a key, or of a policy.
var anAccount = regexp.MustCompile(`\b\d{12}\b`)

// anonymous takes out of a report what names an account or a person, as the path of the ledgers
// does. The rest of an answer of AWS stays.
func (r *Report) anonymous(ledgers string) {
	hide := func(text *string) {
		*text = strings.ReplaceAll(*text, ledgers, "LEDGERS")
		*text = anAccount.ReplaceAllString(caller.ReplaceAllString(*text, "arn:…"), "ACCOUNT")
	}
	for i := range r.Steps {
		hide(&r.Steps[i].Why)
	}
	for i := range r.Measurements {
		hide(&r.Measurements[i].Answer)
		hide(&r.Measurements[i].Wire)
	}
	for i := range r.Left {
		hide(&r.Left[i].Why)
	}
}

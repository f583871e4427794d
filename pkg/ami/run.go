package ami

import (
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"
)

// RunID is the id of a run: its start time, and six random hexadecimal digits. Ids sort by time.
type RunID string

const beganLayout = "20060102T150405Z"

// NewRunID returns the id of a run that starts now.
func NewRunID(now time.Time, random io.Reader) RunID {
	suffix := make([]byte, 3)
	// Two runs in one second may then have the same id, which is better than no run.
	_, _ = io.ReadFull(random, suffix)
	return RunID(fmt.Sprintf("%s-%x", now.UTC().Format(beganLayout), suffix))
}

// The suffix may be longer than what NewRunID makes: people name the runs of tests and rehearsals.
var validRunID = regexp.MustCompile(`^[0-9]{8}T[0-9]{6}Z-[0-9a-z]{1,32}$`)

// Valid reports whether an id has the form of a run id. Only a valid id becomes a part of a key.
func (r RunID) Valid() bool { return validRunID.MatchString(string(r)) }

// Began returns the start time of a run; zero if its id does not start with a time. The rest of the
// id may be anything: tags are claims.
func (r RunID) Began() time.Time {
	began, _, _ := strings.Cut(string(r), "-")
	at, _ := time.Parse(beganLayout, began)
	return at
}

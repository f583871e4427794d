package ami

import (
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"
)

// RunID is the id of a run: when it began, and six random hexadecimal digits. Ids sort by the time.
type RunID string

const beganLayout = "20060102T150405Z"

// NewRunID returns the id of a run that begins now.
func NewRunID(now time.Time, random io.Reader) RunID {
	suffix := make([]byte, 3)
	_, _ = io.ReadFull(random, suffix) // Two runs in one second may then have the same id, which is better than no run.
	return RunID(fmt.Sprintf("%s-%x", now.UTC().Format(beganLayout), suffix))
}

// The suffix is wider than what NewRunID makes: people name the runs of tests and rehearsals.
var validRunID = regexp.MustCompile(`^[0-9]{8}T[0-9]{6}Z-[0-9a-z]{1,32}$`)

// Valid reports whether an id has the form of one of a run. Only such an id becomes a part of a
// key.
func (r RunID) Valid() bool { return validRunID.MatchString(string(r)) }

// Began returns when a run began; zero if its id does not begin with a time. The rest of the id may
// be anything: tags are claims.
func (r RunID) Began() time.Time {
	began, _, _ := strings.Cut(string(r), "-")
	at, _ := time.Parse(beganLayout, began)
	return at
}

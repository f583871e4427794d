package retention

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// The tags that people set for the janitor to read.
const (
	keepTag       = "ami-janitor:keep"        // Any value but "false" keeps; on images and snapshots.
	staleAfterTag = "ami-janitor:stale-after" // Days; takes the place of Policy.StaleAfter and NeverLaunchedAfter.
)

// The tags that the janitor writes. An image carries no more than two of them at a time, and no more than four while it is
// being removed: what has announced it, and what declares that.
const (
	// DueTag has the day, as 2006-01-02, on which an image that is marked for removal is due.
	DueTag = "ami-janitor:due"
	// RunTag has the id of the run that marked the image. It stands beside DueTag, so that a person who takes the latter
	// off is noticed. Beside IntentTag it has the id of the run that declared the removal.
	RunTag = "ami-janitor:run"
	// DisabledTag takes the place of RunTag on an image that the janitor has disabled, or is about to.
	DisabledTag = "ami-janitor:disabled"
	// RestoredTag has the day on which a person brought the image back, or objected to its removal: a use.
	RestoredTag = "ami-janitor:restored"
	// IntentTag, with the value Intent, declares that the run in RunTag means to remove the image or the snapshot. IAM allows
	// no removal of a resource without it, and the rules of the Recycle Bin match it.
	IntentTag = "ami-janitor:intent"
	// Intent is the one value of IntentTag.
	Intent = "remove"
)

// ownTags are what the janitor's own tags say of a resource. EC2 tells the case of tag keys apart, and takes blanks around
// them for a part; people do neither.
type ownTags struct {
	keep       string // The key of the tag that keeps, as it is written; empty if none does.
	staleAfter *Days
	restored   time.Time
	due        time.Time // The day on which the image is due for removal; zero if that is not known.
	hasDue     bool      // DueTag is there.
	hasRun     bool      // RunTag is there.
	disabled   bool      // DisabledTag is there.
	announced  time.Time // When the run began that marked the image, the first of several; zero if that is not known.
	intent     bool      // IntentTag is there, with the value Intent.
	run        string    // The value of RunTag, the latest of several; empty if there is none.
	runAt      time.Time // When that run began; zero if that is not known.
	faults     []string  // What cannot be read; sorted.
}

// isMarked reports whether a resource carries a tag with which its removal has been announced. The run that declares a
// removal announces none.
func (o *ownTags) isMarked() bool { return o.hasDue || o.disabled || o.hasRun && !o.intent }

const ownPrefix = "ami-janitor:"

// nameOf returns the name of a tag, whatever its spelling.
func nameOf(key string) string { return strings.ToLower(strings.TrimSpace(key)) }

// noOwnTags are those of a resource without any.
var noOwnTags ownTags

// readOwnTags never returns nil. What it returns is not to be changed.
func readOwnTags(tags map[string]string) *ownTags {
	own := &noOwnTags
	for key, value := range tags {
		if !strings.Contains(key, ":") { // Most keys are none of ours, and soon passed over.
			continue
		}
		name := nameOf(key)
		if !strings.HasPrefix(name, ownPrefix) {
			continue
		}
		if own == &noOwnTags {
			own = &ownTags{}
		}
		if name == keepTag && !strings.EqualFold(value, "false") && (own.keep == "" || key < own.keep) {
			own.keep = key
		}
		if err := own.read(name, strings.TrimSpace(value)); err != nil {
			own.faults = append(own.faults, name+": "+err.Error())
		}
	}
	slices.Sort(own.faults)
	return own
}

// read takes in one tag. A tag that the janitor does not know may be a misspelt wish to keep.
func (o *ownTags) read(name, value string) error {
	switch name {
	case keepTag:
		return nil
	case staleAfterTag:
		return o.readStaleAfter(value)
	case RestoredTag:
		return latest(&o.restored, value)
	case DueTag:
		o.hasDue = true
		return latest(&o.due, value)
	case RunTag:
		o.readRun(value)
		return nil
	case DisabledTag:
		o.disabled = true
		o.readAnnounced(beginOf(value))
		return nil
	case IntentTag:
		return o.readIntent(value)
	default:
		return errors.New("the janitor knows no such tag")
	}
}

func (o *ownTags) readRun(value string) {
	begun := beginOf(value)
	if !o.hasRun || byTimeThenID(begun, value, o.runAt, o.run) > 0 {
		o.run, o.runAt = value, begun
	}
	o.hasRun = true
	o.readAnnounced(begun)
}

func (o *ownTags) readAnnounced(at time.Time) {
	if !at.IsZero() && (o.announced.IsZero() || at.Before(o.announced)) {
		o.announced = at
	}
}

func (o *ownTags) readIntent(value string) error {
	if value != Intent {
		return fmt.Errorf("%q is not %q", value, Intent)
	}
	o.intent = true
	return nil
}

// beginOf returns when a run began, which its id begins with; zero if it is another kind of id.
func beginOf(run string) time.Time {
	begin, _, _ := strings.Cut(run, "-")
	at, _ := time.Parse("20060102T150405Z", begin)
	return at
}

func (o *ownTags) readStaleAfter(value string) error {
	limit, err := ParseDays(value)
	switch {
	case err != nil:
		return err
	case limit < Floor:
		return fmt.Errorf("%q is below the floor of %s", value, Floor)
	case o.staleAfter == nil || limit > *o.staleAfter:
		o.staleAfter = &limit
	}
	return nil
}

// latest reads a date, and keeps it if it is later than the one that was read before.
func latest(known *time.Time, value string) error {
	at, err := parseDate(value)
	if at.After(*known) {
		*known = at
	}
	return err
}

// parseDate reads a day, or a moment in RFC 3339.
func parseDate(text string) (time.Time, error) {
	if day, err := time.Parse(time.DateOnly, text); err == nil {
		return day, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is not a date such as 2026-01-31", text)
	}
	return at, nil
}

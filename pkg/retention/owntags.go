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

// The tags that the janitor writes. No image carries more than two of them at a time.
const (
	// DueTag has the day, as 2006-01-02, on which an image that is marked for removal is due.
	DueTag = "ami-janitor:due"
	// RunTag has the id of the run that marked the image. It stands beside DueTag, so that a person who takes the latter
	// off is noticed.
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
	hasRun     bool      // RunTag or DisabledTag is there.
	disabled   bool      // DisabledTag is there.
	announced  time.Time // When the run began that marked the image, the first of several; zero if that is not known.
	faults     []string  // What cannot be read; sorted.
}

const ownPrefix = "ami-janitor:"

// readOwnTags returns nil for a resource without any.
func readOwnTags(tags map[string]string) *ownTags {
	var own *ownTags
	for key, value := range tags {
		if !strings.Contains(key, ":") { // Most keys are none of ours, and soon passed over.
			continue
		}
		name := strings.ToLower(strings.TrimSpace(key))
		if !strings.HasPrefix(name, ownPrefix) {
			continue
		}
		if own == nil {
			own = &ownTags{}
		}
		if name == keepTag && !strings.EqualFold(value, "false") && (own.keep == "" || key < own.keep) {
			own.keep = key
		}
		if err := own.read(name, strings.TrimSpace(value)); err != nil {
			own.faults = append(own.faults, name+": "+err.Error())
		}
	}
	if own != nil {
		slices.Sort(own.faults)
	}
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
	case RunTag, DisabledTag:
		o.hasRun = true
		o.disabled = o.disabled || name == DisabledTag
		if at := beginOf(value); !at.IsZero() && (o.announced.IsZero() || at.Before(o.announced)) {
			o.announced = at
		}
		return nil
	default:
		return errors.New("the janitor knows no such tag")
	}
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

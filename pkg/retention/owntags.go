package retention

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
)

// ownTags are the janitor's own tags on a resource. EC2 distinguishes upper and lower case and
// surrounding blanks in tag keys; people do not.
type ownTags struct {
	keep       string // The key of the tag that keeps, as it is written; empty if there is none.
	staleAfter *Days
	restored   time.Time
	due        time.Time // The day on which the image is due for removal; zero if unknown.
	hasDue     bool      // DueTag is present.
	by         announcer // The content of AnnouncedByTag, of several the earliest run.
	hasBy      bool      // AnnouncedByTag is present.
	disabled   bool      // DisabledTag is present.
	disabledBy ami.RunID // Its run, the earliest of several; empty if it names none.
	hasRun     bool      // RunTag is present.
	intent     bool      // IntentTag is present, with the value Intent.
	run        string    // The value of RunTag, the latest of several; empty if there is none.
	runAt      time.Time // When that run started; zero if unknown.
	faults     []string  // What cannot be read; sorted.
}

// announcer is who announced a removal, according to a tag. The zero value is an unreadable tag.
type announcer struct {
	run    ami.RunID
	policy string
}

// isMarked reports whether a resource carries a tag of an announcement.
func (o *ownTags) isMarked() bool { return o.hasDue || o.hasBy || o.disabled }

// announcedIn returns the run that announced the removal, or else the one that disabled the image;
// empty if no tag names one.
func (o *ownTags) announcedIn() ami.RunID { return cmp.Or(o.by.run, o.disabledBy) }

// announcedBefore is the latest time at which a removal can have been announced, according to the
// runs in the tags: a run announces a removal before any run declares it. Zero if no tag names a
// run.
func (o *ownTags) announcedBefore() time.Time {
	if at := o.announcedIn().Began(); !at.IsZero() {
		return at
	}
	return o.runAt
}

// isOldForm reports whether an announcement has the form of the time before policies had names:
// RunTag beside DueTag.
func (o *ownTags) isOldForm() bool {
	return o.hasDue && !o.hasBy && !o.disabled && o.hasRun && !o.intent
}

// isDeclaredBy reports whether the tags declare a removal by a run.
func (o *ownTags) isDeclaredBy(run string) bool { return o.intent && o.run == run }

// nameOf returns the name of a tag, whatever its spelling.
func nameOf(key string) string { return strings.ToLower(strings.TrimSpace(key)) }

// noOwnTags are those of a resource without any.
var noOwnTags ownTags

// readOwnTags never returns nil. Its result must not be changed.
func readOwnTags(tags map[string]string) *ownTags {
	own := &noOwnTags
	for key, value := range tags {
		if !strings.Contains(key, ":") { // Most keys are not ours; skip them fast.
			continue
		}
		name := nameOf(key)
		if !strings.HasPrefix(name, ami.TagPrefix) {
			continue
		}
		if own == &noOwnTags {
			own = &ownTags{}
		}
		if IsKeepTag(key, value) && (own.keep == "" || key < own.keep) {
			own.keep = key
		}
		if err := own.read(name, strings.TrimSpace(value)); err != nil {
			own.faults = append(own.faults, name+": "+err.Error())
		}
	}
	slices.Sort(own.faults)
	return own
}

// read adds one tag. An unknown tag with the janitor's prefix may be a misspelt keep tag.
func (o *ownTags) read(name, value string) error {
	switch name {
	case ami.KeepTag:
		return nil
	case ami.StaleAfterTag:
		return o.readStaleAfter(value)
	case ami.RestoredTag:
		return o.readRestored(value)
	case ami.DueTag:
		o.hasDue = true
		return latest(&o.due, value)
	case ami.AnnouncedByTag:
		o.readAnnouncer(value)
		return nil
	case ami.DisabledTag:
		o.readDisabler(value)
		return nil
	case ami.RunTag:
		o.readRun(value)
		return nil
	case ami.IntentTag:
		return o.readIntent(value)
	default:
		return errors.New("the janitor knows no such tag")
	}
}

func (o *ownTags) readRun(value string) {
	begun := ami.RunID(value).Began()
	if !o.hasRun || byTimeThenID(begun, value, o.runAt, o.run) > 0 {
		o.run, o.runAt = value, begun
	}
	o.hasRun = true
}

func (o *ownTags) readDisabler(value string) {
	o.disabled = true
	if run := ami.RunID(value); isRun(run) && (o.disabledBy == "" || run < o.disabledBy) {
		o.disabledBy = run
	}
}

func (o *ownTags) readAnnouncer(value string) {
	o.hasBy = true
	run, policy, _ := strings.Cut(value, " ")
	by := announcer{ami.RunID(run), strings.TrimSpace(policy)}
	if isRun(by.run) && (o.by.run == "" || cmp.Or(cmp.Compare(by.run, o.by.run), cmp.Compare(by.policy, o.by.policy)) < 0) {
		o.by = by
	}
}

// IsKeepTag reports whether a tag is the janitor's own one that keeps, whatever its spelling.
func IsKeepTag(key, value string) bool {
	return nameOf(key) == ami.KeepTag && !strings.EqualFold(value, "false")
}

// KeepTagKeys returns the keys of the janitor's own tags that keep an image, as they are written,
// sorted.
func KeepTagKeys(image ami.Image) []string {
	var keys []string
	for key, value := range image.Tags {
		if IsKeepTag(key, value) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// isRun reports whether an id starts as that of a run.
func isRun(id ami.RunID) bool { return !id.Began().IsZero() }

// AnnouncedBy is the value of AnnouncedByTag.
func AnnouncedBy(run, policy string) string { return run + " " + policy }

// Announcer returns the run that announced the removal of an image, according to its tags; empty if
// they name none.
func Announcer(image ami.Image) string { return string(readOwnTags(image.Tags).announcedIn()) }

func (o *ownTags) readIntent(value string) error {
	if value != ami.Intent {
		return fmt.Errorf("%q is not %q", value, ami.Intent)
	}
	o.intent = true
	return nil
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

// readRestored takes a day for its end: the restore may have come then, and no idle time may be
// shorter than it says.
func (o *ownTags) readRestored(value string) error {
	at, err := parseDate(value)
	if at.Equal(at.Truncate(Day)) && !at.IsZero() {
		at = at.Add(Day - time.Nanosecond)
	}
	if at.After(o.restored) {
		o.restored = at
	}
	return err
}

// latest reads a date, and keeps the later one of it and the known date.
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

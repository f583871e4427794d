package retention

import (
	"fmt"
	"slices"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
)

// GraceAction is what is done to an image from the day on which its removal is announced.
type GraceAction string

const (
	// Announce tags the image, and tells people in the digest.
	Announce GraceAction = "announce"
	// Deprecate deprecates the image as well, from the day on which it is due. A public image is only announced: EC2
	// deprecates those by itself, and refuses later dates (EC2 API Reference, EnableImageDeprecation).
	Deprecate GraceAction = "deprecate"
	// Disable disables the image as well: launches fail, and one command brings it back. An image that is shared is only
	// announced, because disabling drops its launch permissions for good (EC2 User Guide, "Disable an Amazon EC2 AMI").
	Disable GraceAction = "disable"
)

// UnmarshalText refuses anything but the three actions.
func (a *GraceAction) UnmarshalText(text []byte) error {
	switch *a = GraceAction(text); *a {
	case Announce, Deprecate, Disable:
		return nil
	default:
		return fmt.Errorf("%q is none of announce, deprecate, disable", text)
	}
}

// inWords continues "announced".
func (a GraceAction) inWords() string {
	switch a {
	case Deprecate:
		return ", and deprecated on that day if they have no date"
	case Disable:
		return ", and disabled until then if they are not shared"
	default:
		return ""
	}
}

// oldAnnouncement is how long after its day an announcement still counts. Who was told so long ago has to be told again:
// the janitor may have been switched off, or the image may be a copy that has inherited its tags.
const oldAnnouncement = 90 * Day

// announce decides on an image that no rule keeps. One that has been announced goes when it is due; without a time of grace
// all others go at once, and with one they are announced first: no more than that where no records are kept, because nobody could
// take back what was done besides. One that an earlier announcement has disabled stays so, and the
// record of the next one has to say that the janitor did it.
func (r *regionFacts) announce(v *Verdict, image *imageFacts) {
	why := r.whyStale(image)
	v.Due = r.due(image)
	switch {
	case r.now.Before(v.Due):
		v.Action = r.done(image)
		why = Reason{ami.ReasonAnnounced, "due on " + date(v.Due) + "; " + why.Detail}
	case !v.Due.IsZero():
		v.Decision = Deregister
		why.Detail += "; its removal was announced for " + date(v.Due)
	case r.policy.Grace <= 0:
		v.Decision = Deregister
	default:
		v.Decision, v.Action = Mark, r.actionOn(image)
		v.Due = r.now.Add(time.Duration(r.policy.Grace)).UTC()
	}
	v.Reasons = []Reason{why}
}

// actionOn returns what is done to an image besides announcing its removal.
func (r *regionFacts) actionOn(image *imageFacts) GraceAction {
	action := r.policy.GraceAction
	isShared := len(r.evidence[r.Region].Images[image.ID].SharedWith) > 0
	isDeprecated := !image.DeprecatedAt.IsZero() && !r.hasDeprecated(image) // The date of an owner stays whatever becomes of the announcement.
	switch {
	case image.State == "disabled":
		return Disable
	case image.Public || r.History.Announced == nil || action == Disable && isShared || action == Deprecate && isDeprecated:
		return Announce
	default:
		return action
	}
}

// done says what this policy has done besides to an image that it has announced, as far as the journal bears it out and EC2 shows it still.
func (r *regionFacts) done(image *imageFacts) GraceAction {
	switch {
	case r.hasDisabled(image):
		return Disable
	case r.hasDeprecated(image):
		return Deprecate
	default:
		return Announce
	}
}

// due returns when an image is due by an announcement of this policy that counts; zero if there is none. It is not before the
// time of grace is over, to the second, nor before the day on the image, which people may put off.
func (r *regionFacts) due(image *imageFacts) time.Time {
	recorded, _ := r.recorded(image.ID, image.own)
	due := recorded.Due
	if image.own.due.After(due) {
		due = image.own.due
	}
	if image.standing != ours || r.now.Sub(due) >= oldAnnouncement {
		return time.Time{}
	}
	return due
}

// onMark says what becomes of a mark because of a reason.
var onMark = func() map[Code]Unmark {
	marks := map[Code]Unmark{}
	for _, rule := range slices.Concat(factRules, evidenceRules) {
		marks[rule.Code] = rule.mark
	}
	return marks
}()

// Marked reports whether an image carries a tag with which its removal has been announced.
func Marked(image ami.Image) bool { return readOwnTags(image.Tags).isMarked() }

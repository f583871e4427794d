package retention

import (
	"fmt"
	"slices"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
)

// GraceAction is what happens to an image when its removal is announced.
type GraceAction string

const (
	// Announce tags the image, and tells people in the digest.
	Announce GraceAction = "announce"
	// Deprecate also deprecates the image, from the day on which it is due. A public image is only
	// announced: EC2 deprecates those by itself, and refuses later dates (EC2 API Reference,
	// EnableImageDeprecation).
	Deprecate GraceAction = "deprecate"
	// Disable also disables the image: launches fail, and one command enables it again. A shared
	// image is only announced, because disabling drops its launch permissions permanently (EC2 User
	// Guide, "Disable an Amazon EC2 AMI").
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

// oldAnnouncement is how long after its day an announcement still counts. People who were told so
// long ago must be told again: the janitor may have been switched off, or the image may be a copy
// with inherited tags.
const oldAnnouncement = 90 * Day

// announce decides on an image that no rule keeps. An announced image is removed when it is due.
// Others are removed at once without a grace period, and announced with one. Without records an
// announcement has no action, because nobody could take that back. An image that an earlier
// announcement disabled stays so, and the record of the next one has to say that the janitor
// disabled it.
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
	case r.grace(image) <= 0:
		v.Decision = Deregister
	default:
		v.Decision, v.Action = Mark, r.actionOn(image)
		v.Due = r.now.Add(time.Duration(r.grace(image))).UTC()
	}
	v.Reasons = []Reason{why}
}

// actionOn returns the grace action for an image.
func (r *regionFacts) actionOn(image *imageFacts) GraceAction {
	action := r.policy.GraceAction
	isShared := len(r.evidence[r.Region].Images[image.ID].SharedWith) > 0
	// An owner's deprecation date always stays.
	isDeprecated := !image.DeprecatedAt.IsZero() && !r.hasDeprecated(image)
	switch {
	case image.State == "disabled":
		return Disable
	// EC2 disables only what is available (EC2 User Guide, "Disable an Amazon EC2 AMI"), and does
	// not say what it deprecates.
	case image.State == failed:
		return Announce
	case image.Public || r.History.Announced == nil || action == Disable && isShared || action == Deprecate && isDeprecated:
		return Announce
	default:
		return action
	}
}

// done is the grace action that this policy applied to an announced image, if the journal confirms
// it and EC2 still shows it.
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

// due returns when an image is due by a valid announcement of this policy; zero if there is none.
// That is at the end of the grace period, to the second, or at the day on the image if that is
// later: people may postpone it.
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

// onMark says what a reason does to a mark.
var onMark = func() map[Code]Unmark {
	marks := map[Code]Unmark{}
	for _, rule := range slices.Concat(factRules, evidenceRules) {
		marks[rule.Code] = rule.mark
	}
	return marks
}()

// Marked reports whether an image carries a tag of an announcement.
func Marked(image ami.Image) bool { return readOwnTags(image.Tags).isMarked() }

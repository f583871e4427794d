package retention

import (
	"slices"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
)

// standing says whose announcement an image carries, as far as that can be known. Tags are claims:
// anybody who may tag can write them. An announcement that the journal confirms is a fact.
type standing int

const (
	// unannounced means that the image carries no tag of an announcement.
	unannounced standing = iota
	// ours means that a run of this policy announced the removal, according to the journal.
	ours
	// unrecorded means that the image carries tags of an announcement that no record of this policy
	// confirms.
	unrecorded
	// anothers means that another policy announced the removal, according to the image.
	anothers
	// nobodys means that nobody will carry out the announcement: its policy no longer cares for it,
	// or its tags are older than the image, and were copied from another one.
	nobodys
)

// abandoned is how long after its day another policy's announcement is left to that policy, if no
// newer one of it is seen.
const abandoned = 30 * Day

func (r *regionFacts) standing(image *ami.Image, own *ownTags) standing {
	if !own.isMarked() {
		return unannounced
	}
	recorded, isRecorded := r.recorded(image.ID, own)
	switch {
	case isRecorded && recorded.Policy == r.policy.Name:
		return ours
	case isCopied(image, own):
		return nobodys
	// Clocks do not differ by this much.
	case r.announcer(image.ID, own) == "" || own.announcedIn().Began().After(r.now.Add(Day)):
		return unrecorded
	case r.isAbandoned(image.ID, own):
		return nobodys
	default:
		return anothers
	}
}

// recorded returns what the journal says about the announcement that an image carries. The
// announcement of a removal does not record that the run disabled the image: a DisabledTag alone is
// confirmed only if that run planned to disable it.
func (r *regionFacts) recorded(imageID string, own *ownTags) (ami.Announcement, bool) {
	recorded, run := r.History.Announced[imageID], string(own.announcedIn())
	isIt := run != "" && recorded.Run == run && !recorded.Due.IsZero()
	if !isIt || own.by.run == "" && GraceAction(recorded.Action) != Disable {
		return ami.Announcement{}, false
	}
	return recorded, true
}

// announcer returns the name of the other policy that announced the removal of an image; empty if
// there is none. The journal overrules the image.
func (r *regionFacts) announcer(imageID string, own *ownTags) string {
	policy := own.by.policy
	if recorded, ok := r.recorded(imageID, own); ok {
		policy = recorded.Policy
	}
	if policy == r.policy.Name {
		return ""
	}
	return policy
}

// isCopied reports whether the tags of an announcement are older than the image that carries them:
// CopyImage can copy an image's tags (EC2 API Reference, CopyImage: CopyImageTags), and so can
// build tools.
func isCopied(image *ami.Image, own *ownTags) bool {
	return own.isMarked() && isOlder(own.announcedBefore(), image)
}

// isDeclarationCopied is isCopied for the tags that declare a removal.
func isDeclarationCopied(image *ami.Image, own *ownTags) bool {
	return own.hasRun && isOlder(own.runAt, image)
}

// isOlder reports whether a run started too early to have announced or removed an image: it takes
// only images as old as Floor, minus a day for clocks that differ.
func isOlder(begun time.Time, image *ami.Image) bool {
	return !begun.IsZero() && image.CreatedAt.After(begun.Add(-Day))
}

// longestGrace is how far after its announcement a due day counts: anybody who may tag can write
// any day.
const longestGrace = 365 * Day

// isAbandoned reports whether the day of another policy's announcement is long past, and no later
// announcement of that policy is seen in the region. An announcement without a day counts from its
// run.
func (r *regionFacts) isAbandoned(imageID string, own *ownTags) bool {
	made := own.announcedIn().Began()
	day := own.due
	switch last := made.Add(time.Duration(longestGrace)); {
	case made.IsZero():
	case day.IsZero():
		day = made
	case day.After(last):
		day = last
	}
	return r.now.Sub(day) >= abandoned && !r.seen[r.announcer(imageID, own)].After(day)
}

// latestAnnouncements returns when each policy made its last announcement, according to the images
// of the region.
func latestAnnouncements(images []ami.Image, now time.Time) map[string]time.Time {
	latest := map[string]time.Time{}
	for i := range images {
		by := readOwnTags(images[i].Tags).by
		if at := by.run.Began(); at.After(latest[by.policy]) && !at.After(now.Add(Day)) {
			latest[by.policy] = at
		}
	}
	return latest
}

// saysDisabled reports whether the tags of a disabled image say that the janitor disabled it,
// although nobody will enable it again: without a notice it would stay disabled forever.
func (r *regionFacts) saysDisabled(image *imageFacts) bool {
	isLeft := image.standing == unrecorded || image.standing == nobodys && !isCopied(image.Image, image.own)
	return isLeft && image.own.disabled && image.State == "disabled"
}

// hasDisabled reports whether the janitor disabled an image: the image says so, and the journal
// confirms it.
func (r *regionFacts) hasDisabled(image *imageFacts) bool {
	return image.own.disabled && image.State == "disabled" && r.plannedToDisable(image)
}

// hasDeprecated reports whether an announcement of this policy set the deprecation of an image,
// according to the journal.
func (r *regionFacts) hasDeprecated(image *imageFacts) bool {
	recorded, _ := r.recorded(image.ID, image.own)
	return image.standing == ours && GraceAction(recorded.Action) == Deprecate && isDeprecatedOn(image.Image, recorded.Due)
}

// plannedToDisable reports whether this policy's announcement of an image disables it, according to
// the journal.
func (r *regionFacts) plannedToDisable(image *imageFacts) bool {
	recorded, _ := r.recorded(image.ID, image.own)
	return image.standing == ours && GraceAction(recorded.Action) == Disable
}

// unmark says what happens to the announcement that a kept image carries.
//
// This policy takes back its own announcement for every reason, and an objection comes first.
// Another policy's announcement, and an unconfirmed one, is taken back only because of facts of the
// image: never because of this policy's own scope, limit, family or cap. Tags of another account's
// image are never changed. A restore is noted on the image, announced or not.
func (r *regionFacts) unmark(reasons []Reason, image *imageFacts) Unmark {
	has := func(is func(Reason) bool) bool { return slices.ContainsFunc(reasons, is) }
	switch {
	case notOwned(r, image) != "":
		return LeaveMark
	case has(func(r Reason) bool { return r.Code == ami.ReasonRestored }):
		return Veto
	case image.standing == ours:
		return unmarkOurs(reasons)
	case isCopied(image.Image, image.own):
		return unmarkCopied(image)
	case r.isObjectedTo(image) && has(func(r Reason) bool { return isFact(r, image) }):
		return Veto
	case image.standing == nobodys && (!image.own.disabled || image.State != "disabled"):
		return ClearMark
	default:
		return LeaveMark
	}
}

// unmarkOurs says what happens to an announcement of this policy.
func unmarkOurs(reasons []Reason) Unmark {
	for _, becomes := range []Unmark{Veto, ClearMark} {
		if slices.ContainsFunc(reasons, func(r Reason) bool { return onMark[r.Code] == becomes }) {
			return becomes
		}
	}
	return LeaveMark
}

// unmarkCopied says what happens to an announcement that was copied from another image: nobody can
// object to it. A tag that says the image is disabled stays while that is so.
func unmarkCopied(image *imageFacts) Unmark {
	if image.own.disabled && image.State == "disabled" {
		return LeaveMark
	}
	return ClearMark
}

// isObjectedTo reports whether an announcement that is not known to be this policy's still has a
// part that can be taken off.
func (r *regionFacts) isObjectedTo(image *imageFacts) bool {
	return image.own.hasDue || image.standing == unrecorded && image.own.hasBy
}

// isFact reports whether a reason to keep an image would hold for every policy.
func isFact(reason Reason, image *imageFacts) bool {
	switch reason.Code {
	case ami.ReasonProtected, ami.ReasonInUse, ami.ReasonVetoed:
		return true
	case ami.ReasonKeepTag:
		return image.own.keep != "" // Otherwise it is one of KEEP_TAGS.
	default:
		return false
	}
}

// undo says how to take an announcement back. Without a record of its own the janitor neither
// enables an image nor ends its deprecation. Another policy's announcement only loses its day: that
// policy sees the objection, and does the rest.
func (r *regionFacts) undo(becomes Unmark, image *imageFacts) Undo {
	if becomes == LeaveMark {
		return Undo{}
	}
	u := Undo{Enable: r.hasDisabled(image), EndDeprecation: r.hasDeprecated(image)}
	u.Keys = carried(image.Tags, ami.DueTag)
	if image.standing != anothers {
		u.Keys = append(u.Keys, carried(image.Tags, ami.AnnouncedByTag)...)
		if image.State != "disabled" || u.Enable {
			u.Keys = append(u.Keys, carried(image.Tags, ami.DisabledTag)...)
		}
	}
	// A run at work, or another policy, needs its declaration.
	if becomes == Veto && !r.isClaimed(image.ID, image.own) {
		u.Keys = append(u.Keys, carried(image.Tags, ami.IntentTag, ami.RunTag)...)
	}
	return u
}

// UndoAsked is how to take back an image's announcement if a person names the image: that person's
// word replaces a record.
func UndoAsked(image ami.Image) Undo {
	own := readOwnTags(image.Tags)
	return Undo{
		Keys:           carried(image.Tags, ami.DueTag, ami.AnnouncedByTag, ami.DisabledTag, ami.IntentTag, ami.RunTag),
		Enable:         own.disabled && image.State == "disabled",
		EndDeprecation: own.hasDue && isDeprecatedOn(&image, own.due),
	}
}

// isDeprecatedOn reports whether an image is deprecated exactly from the start of a day.
func isDeprecatedOn(image *ami.Image, day time.Time) bool {
	return !image.DeprecatedAt.IsZero() && image.DeprecatedAt.Truncate(time.Minute).Equal(day.UTC().Truncate(Day))
}

// carried returns the keys of some of the janitor's tags on a resource, as they are written: in the
// order of the names, and sorted for each.
func carried(tags map[string]string, names ...string) []string {
	var keys []string
	for _, name := range names {
		from := len(keys)
		for key := range tags {
			if nameOf(key) == name {
				keys = append(keys, key)
			}
		}
		slices.Sort(keys[from:])
	}
	return keys
}

// unrecordedMark keeps an image with an unconfirmed announcement: anybody could have written it.
func unrecordedMark(r *regionFacts, image *imageFacts) string {
	why := "no record of this policy says that"
	if r.History.Announced == nil {
		why = "there are no records that say that"
	}
	switch {
	case r.saysDisabled(image) && image.standing == nobodys:
		return "policy " + r.announcer(image.ID, image.own) + " has disabled it, as its tags say, and has announced nothing in this region since"
	case image.standing != unrecorded || vetoed(r, image) != "":
		return ""
	case r.saysDisabled(image):
		return "it is disabled, and " + why + " the janitor did it"
	case image.own.disabled:
		return "its tag " + ami.DisabledTag + " says that the janitor has disabled it, and " + why
	case image.own.due.IsZero():
		return "its tags say that its removal was announced, and " + why
	default:
		return "its tags say that its removal was announced for " + date(image.own.due) + ", and " + why
	}
}

// announcedElsewhere leaves an image to the policy that announced its removal.
func announcedElsewhere(r *regionFacts, image *imageFacts) string {
	by := "policy " + r.announcer(image.ID, image.own) + " has announced its removal"
	if image.own.hasDue {
		by += " for " + date(image.own.due)
	}
	switch {
	case image.standing == anothers:
		return by
	case image.standing != nobodys || isCopied(image.Image, image.own):
		return ""
	default:
		return by + ", and has announced nothing in this region since"
	}
}

// copiedTags keeps an image that carries only tags of another image's removal, until they are off.
func copiedTags(r *regionFacts, image *imageFacts) string {
	switch {
	case notOwned(r, image) != "":
		return ""
	case image.standing == nobodys && isCopied(image.Image, image.own):
		return "its tags say that its removal was announced, and are older than the image: they were copied from another one"
	case image.standing == unannounced && isDeclarationCopied(image.Image, image.own):
		return "its tags name run " + image.own.run + ", and are older than the image: they were copied from another one"
	default:
		return ""
	}
}

package digest

import (
	"cmp"
	"slices"
	"strings"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/plain"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// announcement is an image that is announced, by this run or before.
type announcement struct {
	region record.Region
	image  record.Image
}

func (a announcement) owner() string { return strings.TrimSpace(a.image.Owner) }

// announcements returns the announced images that are as wanted, by the day on which they are due.
func (r run) announcements(wanted func(record.Image) bool) []announcement {
	var found []announcement
	r.Each(wanted, func(region record.Region, image record.Image) { found = append(found, announcement{region, image}) })
	slices.SortStableFunc(found, func(a, b announcement) int { return strings.Compare(a.image.DueOn, b.image.DueOn) })
	return found
}

// announced says who loses what on which day: all that this run announces, and the next of those
// that wait.
func (r run) announced() Section {
	fresh, before := r.announcements(record.Image.IsNew), r.announcements(record.Image.Announced)
	if len(fresh)+len(before) == 0 {
		return Section{}
	}
	title, remedy := "Announced", ""
	switch {
	case !r.DryRun || len(fresh) == 0:
	case len(before) == 0:
		title, remedy = "Would be announced", " To keep one, launch it, or tag it "+keepTag+"."
	default:
		title = "Announced, or to be announced"
	}
	shown := min(mostListed, len(before))
	groups := r.byOwner(slices.Concat(fresh, before[:shown]))
	groups[len(groups)-1].More = len(before) - shown
	return listing(title, r.nothingFound()+" They are removed once they are due, unless somebody objects before."+remedy, groups...)
}

// byOwner groups announced images by owner, in alphabetical order, those without an owner last. If
// none has an owner, there are no headings.
func (r run) byOwner(images []announcement) []Group {
	images = sortedByOwner(images)
	var groups []Group
	for i, a := range images {
		if i == 0 || a.owner() != images[i-1].owner() {
			groups = append(groups, Group{Intro: says(ownedBy(a.owner(), i == 0))})
		}
		last := &groups[len(groups)-1]
		last.Items = append(last.Items, r.announcement(a))
	}
	return groups
}

// sortedByOwner sorts announced images by owner, those without an owner last, and by day.
func sortedByOwner(images []announcement) []announcement {
	slices.SortStableFunc(images, func(a, b announcement) int {
		return cmp.Or(
			strings.Compare(strings.ToLower(a.owner()), strings.ToLower(b.owner())),
			strings.Compare(a.owner(), b.owner()),
			strings.Compare(a.image.DueOn, b.image.DueOn),
		)
	})
	if owned := slices.IndexFunc(images, func(a announcement) bool { return a.owner() != "" }); owned > 0 {
		images = slices.Concat(images[owned:], images[:owned])
	}
	return images
}

// ownedBy is the heading of an owner's images. Images without an owner come first only if there are
// no others.
func ownedBy(owner string, isFirst bool) string {
	switch {
	case owner != "":
		return "Owner " + plain.Clip(plain.Text(owner), 128) + ":"
	case isFirst:
		return ""
	default:
		return "Without an owner:"
	}
}

func (r run) announcement(a announcement) Item {
	image := a.image
	due, why := "Due on "+dayOn(image.DueOn), image.MainReason().Detail
	switch {
	case image.ToBeMarked():
		due = "Would be due on " + dayOn(image.DueOn)
	case image.Marked():
		due += ", announced by this run"
	default:
		why = strings.TrimPrefix(why, "due on "+image.DueOn+"; ")
	}
	return Item{
		Label: idAndName(image), Region: r.name(a.region),
		Details: append(says(due+". "+sentence(plain.Text(why))), untilDue(a)...),
	}
}

// untilDue says what happens to an image from its announcement to the day on which it is due.
func untilDue(a announcement) []Line {
	image := a.image
	var lines []Line
	switch {
	case image.Action == retention.Disable:
		lines = disabled(a)
	case image.Action == retention.Deprecate && image.ToBeMarked():
		lines = says("EC2 would show it as deprecated from that day.")
	case image.Action == retention.Deprecate:
		lines = says("EC2 shows it as deprecated from " + dayOn(image.DeprecatedOn) + ".")
	}
	if image.DeprecatedOn != "" && image.Action != retention.Deprecate {
		lines = append(lines, Line{Text: "Its deprecation date, " + dayOn(image.DeprecatedOn) + ", was set already, and stays."})
	}
	return lines
}

func disabled(a announcement) []Line {
	since := "Disabled: launches fail."
	switch {
	case !a.image.IsNew() || a.image.WasDisabled:
	case a.image.ToBeMarked():
		return says("It would be disabled at once: launches would fail.")
	default:
		since = "Disabled: launches fail from today."
	}
	return append(says(since+" This brings it back, which also is an objection:"),
		command("aws ec2 enable-image --region "+plain.Text(a.region.Region)+" --image-id "+plain.Text(a.image.ImageID)))
}

// waysToObject is how a person objects to the removal of an image with the means of EC2.
const waysToObject = "launch the image, tag it " + keepTag + ", remove its tag " + ami.DueTag + ", enable it if it is disabled,"

// howToObject is about images that are announced. A dry run announces nothing.
func (r run) howToObject() Section {
	if r.Count(record.Image.Marked)+r.Count(record.Image.Announced) == 0 {
		return Section{}
	}
	unmark := r.Reader.Command("unmark IMAGE_ID")
	intro := append(says("Before its day, "+waysToObject+" or run:"), command(unmark))
	return Section{
		Title: "How to object",
		Intro: append(intro, Line{Text: "Any of these starts its idle time anew; only " + keepTag + " keeps it for good. EC2 reports a launch " +
			"up to a day late, so do not leave it to the last day."}),
		Brief: "To object to a removal that is announced: " + waysToObject + " or run: " + unmark,
	}
}

// taggedNoMore are the images that lose tags of a removal, or have lost them.
func (r run) taggedNoMore() []Section {
	marks, day, tags := "their marks are taken off", "the tag with the day is taken off", "These are taken off"
	if r.DryRun {
		marks, day = "a run that is no dry run takes their marks off", "a run that is no dry run takes the tag with the day off"
		tags = "A run that is no dry run takes these off"
	}
	return []Section{
		r.objections(),
		r.off("Objected to for other policies", record.Image.ObjectedElsewhere, "Other policies have announced their removal. They are in use, protected or kept: "+
			day+", so that these policies hear of it, and their idle time starts anew."),
		r.off("No longer due", record.Image.Cleared, "Their removal was announced, and is off: "+marks+"."),
		r.off("Copied tags", record.Image.Copied, "They carry tags of other AMIs' removals, as CopyImage and build tools copy them. "+tags+
			". Nobody has announced the removal of these AMIs, and their idle time does not start anew."),
		r.backAgain(),
		r.off("Announced by an earlier version", record.Image.IsOldForm, "Their announcements do not count any more. "+r.keptFromToday()),
	}
}

// objections lists the images whose announced removal is off because somebody wants to keep them
// after all.
func (r run) objections() Section {
	marks := "their marks are taken off"
	if r.DryRun {
		marks = "a run that is no dry run takes their marks off"
	}
	return r.off("Objections heard", record.Image.Vetoed, "They stay: "+marks+", and their idle time starts anew.")
}

// backAgain lists the images that exist although a run has removed them, or may have.
func (r run) backAgain() Section {
	return r.off("Back again", record.Image.IsBack, "Earlier runs removed these images, or may have, but they exist again. "+r.keptFromToday())
}

func (r run) keptFromToday() string {
	if r.DryRun {
		return "They are kept: a real run notes the day on them, and their idle time starts over."
	}
	return "They are kept, and their idle time starts over today."
}

func (r run) off(title string, wanted func(record.Image) bool, what string) Section {
	return listing(title, what, Group{Items: r.images(wanted, r.said(objection))})
}

// objection says why an image is kept after its removal was announced, or why it only looks
// announced.
func objection(region record.Region, i record.Image) string {
	if i.Copied() {
		return plain.Text(i.CopiedTags) + staleFault(region, i.ImageID)
	}
	details := make([]string, len(i.Reasons))
	for n, reason := range i.Reasons {
		details[n] = plain.Text(reason.Detail)
	}
	return strings.Join(details, "; ")
}

// dueInShort says in a few words when an image is due, what happens until then, and whose it is.
func dueInShort(i record.Image) string {
	words := []string{"due " + plain.Text(i.DueOn)}
	switch i.Action {
	case retention.Disable:
		words = append(words, "disabled until then")
	case retention.Deprecate:
		words = append(words, "deprecated from "+plain.Text(i.DeprecatedOn))
	default:
	}
	if i.DeprecatedOn != "" && i.Action != retention.Deprecate {
		words = append(words, "its deprecation date "+plain.Text(i.DeprecatedOn)+" stays")
	}
	if owner := strings.TrimSpace(i.Owner); owner != "" {
		words = append(words, "owner "+plain.Text(owner))
	}
	return strings.Join(words, ", ")
}

package digest

import (
	"cmp"
	"slices"
	"strings"

	"ami-janitor/pkg/plain"
	"ami-janitor/pkg/record"
	"ami-janitor/pkg/retention"
)

// announcement is an image that is announced, by this run or before.
type announcement struct {
	region record.Region
	image  record.Image
}

func (a announcement) owner() string { return strings.TrimSpace(a.image.Owner) }

// announcements returns the announced images that are as wanted, those that are due first first.
func (r run) announcements(wanted func(record.Image) bool) []announcement {
	var found []announcement
	r.Each(wanted, func(region record.Region, image record.Image) { found = append(found, announcement{region, image}) })
	slices.SortStableFunc(found, func(a, b announcement) int { return strings.Compare(a.image.DueOn, b.image.DueOn) })
	return found
}

// writeAnnounced says who loses what on which day: all that this run announces, and the next of those that wait.
func (r run) writeAnnounced(p *page) {
	fresh, before := r.announcements(record.Image.IsNew), r.announcements(record.Image.Announced)
	n := len(fresh) + len(before)
	if n == 0 {
		return
	}
	title, remedy := "Announced", ""
	switch {
	case !r.DryRun || len(fresh) == 0:
	case len(before) == 0:
		title, remedy = "Would be announced", " To keep one, launch it, or tag it ami-janitor:keep=true."
	default:
		title = "Announced, or to be announced"
	}
	p.headingOf(title, n)
	p.paragraph(r.nothingFound() + " They are removed once they are due, unless somebody objects before." + remedy)
	r.writeByOwner(p, slices.Concat(fresh, before[:min(mostListed, len(before))]))
	writeMore(p, len(before)-mostListed)
	if remedy == "" {
		r.writeHowToObject(p)
	}
}

// writeByOwner lists announced images under their owners, in alphabetical order, and those without an owner last. Where
// none has an owner, there are no headings.
func (r run) writeByOwner(p *page, images []announcement) {
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
	for i, a := range images {
		switch first := i == 0 || a.owner() != images[i-1].owner(); {
		case first && a.owner() != "":
			p.paragraph("Owner " + plain.Clip(plain.Text(a.owner()), 128) + ":")
		case first && i > 0:
			p.paragraph("Without an owner:")
		}
		r.writeAnnouncement(p, a)
	}
}

func (r run) writeAnnouncement(p *page, a announcement) {
	image := a.image
	p.item(r.label(a.region, image))
	due, why := "Due on "+dayOn(image.DueOn), image.MainReason().Detail
	switch {
	case image.ToBeMarked():
		due = "Would be due on " + dayOn(image.DueOn)
	case image.Marked():
		due += ", announced by this run"
	default:
		why = strings.TrimPrefix(why, "due on "+image.DueOn+"; ")
	}
	p.detail(due + ". " + sentence(plain.Text(why)))
	writeUntilDue(p, a)
}

// writeUntilDue says what happens to an image from its announcement to the day on which it is due.
func writeUntilDue(p *page, a announcement) {
	image := a.image
	switch {
	case image.Action == retention.Disable:
		writeDisabled(p, a)
	case image.Action == retention.Deprecate && image.ToBeMarked():
		p.detail("EC2 would show it as deprecated from that day.")
	case image.Action == retention.Deprecate:
		p.detail("EC2 shows it as deprecated from " + dayOn(image.DeprecatedOn) + ".")
	}
	if image.DeprecatedOn != "" && image.Action != retention.Deprecate {
		p.detail("Its deprecation date, " + dayOn(image.DeprecatedOn) + ", was set already, and stays.")
	}
}

func writeDisabled(p *page, a announcement) {
	since := "Disabled: launches fail."
	switch {
	case !a.image.IsNew() || a.image.WasDisabled:
	case a.image.ToBeMarked():
		p.detail("It would be disabled at once: launches would fail.")
		return
	default:
		since = "Disabled: launches fail from today."
	}
	p.detail(since + " This brings it back, which also is an objection:")
	p.command("aws ec2 enable-image --region " + plain.Text(a.region.Region) + " --image-id " + plain.Text(a.image.ImageID))
}

// waysToObject is how a person objects to the removal of an image with the means of EC2.
const waysToObject = "launch the image, tag it ami-janitor:keep=true, remove its tag ami-janitor:due, enable it if it is disabled,"

func (r run) writeHowToObject(p *page) {
	p.heading("How to object")
	p.paragraph("Before its day, " + waysToObject + " or run:")
	p.command(r.Reader.Command("unmark IMAGE_ID"))
	p.paragraph("Any of these starts its idle time anew; only ami-janitor:keep=true keeps it for good. EC2 reports a launch " +
		"up to a day late, so do not leave it to the last day.")
}

// writeObjections lists the images whose announced removal is off: those that somebody wants to keep after all, and those
// that the policy does not remove any more.
func (r run) writeObjections(p *page) {
	marks, day, tags := "their marks are taken off", "the tag with the day is taken off", "These are taken off"
	if r.DryRun {
		marks, day = "a run that is no dry run takes their marks off", "a run that is no dry run takes the tag with the day off"
		tags = "A run that is no dry run takes these off"
	}
	r.writeOff(p, "Objections heard", record.Image.Vetoed, "They stay: "+marks+", and their idle time starts anew.")
	r.writeOff(p, "Objected to for other policies", record.Image.ObjectedElsewhere, "Other policies have announced their removal. They are in use, protected or kept: "+
		day+", so that these policies hear of it, and their idle time starts anew.")
	r.writeOff(p, "No longer due", record.Image.Cleared, "Their removal was announced, and is off: "+marks+".")
	r.writeOff(p, "Copied tags", record.Image.Copied, "They carry tags of other AMIs' removals, as CopyImage and build tools copy them. "+tags+
		". Nobody has announced the removal of these AMIs, and their idle time does not start anew.")
}

// writeBack lists the images that are there although a run has removed them, or may have.
func (r run) writeBack(p *page) {
	noted := "the day is noted on them, and their idle time counts anew"
	if r.DryRun {
		noted = "a run that is no dry run notes the day on them, and their idle time counts anew"
	}
	r.writeOff(p, "Back again", record.Image.IsBack, "Earlier runs removed them, or may have, and they are there. They stay: "+noted+".")
	r.writeOff(p, "Announced by an earlier version", record.Image.IsOldForm, "Their announcements do not count any more. They stay: "+noted+".")
}

func (r run) writeOff(p *page, title string, wanted func(record.Image) bool, what string) {
	n := r.Count(wanted)
	if n == 0 {
		return
	}
	p.headingOf(title, n)
	p.paragraph(what)
	r.Each(wanted, func(region record.Region, image record.Image) {
		p.item(r.label(region, image) + ": " + objection(region, image))
	})
}

// objection says why an image is kept after its removal was announced, or why it carries tags as if it had been.
func objection(region record.Region, i record.Image) string {
	if i.Copied() {
		return plain.Text(i.CopiedTags) + strayFault(region, i.ImageID)
	}
	details := make([]string, len(i.Reasons))
	for n, reason := range i.Reasons {
		details[n] = plain.Text(reason.Detail)
	}
	return strings.Join(details, "; ")
}

// dueInShort says in a few words when an image is due, what happens until then, and whose it is.
func dueInShort(_ record.Region, i record.Image) string {
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

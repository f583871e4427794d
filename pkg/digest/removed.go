package digest

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/plain"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

func (r run) removed() Section {
	intro := fmt.Sprintf("Deregistered on %s by run %s, the stalest first. %s", day(r.FinishedAt), plain.Printable(r.Run.Run), r.nothingFound())
	return listing("Removed", intro, byRegion(r.images(record.Image.Removed, r.goingImage))...)
}

func (r run) wouldBeRemoved() Section {
	intro := "The stalest first. " + r.nothingFound() + " To keep one for good, tag it " + keepTag + "."
	return listing("Would be removed", intro, byRegion(r.images(record.Image.Planned, r.goingImage))...)
}

func (r run) nothingFound() string {
	if len(r.Sources.LookedUp) == 0 {
		return "Whether anything refers to them was not looked up."
	}
	if r.lacksEvidence() {
		return "No lookup found anything that refers to them, in a copy that lacks evidence."
	}
	return "No lookup found anything that refers to them."
}

// howToTurnOn is for the dry run of a function that has something to do.
func (r run) howToTurnOn() Section {
	if !r.DryRun || r.Reader.CommandLine || r.Totals.WouldDeregister+r.Totals.Marked == 0 {
		return Section{}
	}
	return Section{
		Title: "How to turn removal on",
		Intro: says(r.words("To let the function carry out what it plans, deploy it with {DRY_RUN}=false, and invoke it with an event " +
			"that does not ask for a dry run.")),
		Brief: r.words("To let the function carry out its plan, deploy it with {DRY_RUN}=false."),
	}
}

// goingImage says all there is to know about an image that is removed, or would be.
func (r run) goingImage(region record.Region, image record.Image) Item {
	details := append(says(sentence(mainDetail(region, image))), snapshotLines(image)...)
	details = append(details, says(Bundle(image))...)
	return Item{
		Label: idAndName(image), Region: r.name(region),
		Details: append(details, r.restorable(image)...),
	}
}

// snapshotLines says what becomes of the snapshots of an image: one line for all that go, and one
// for each reason why others stay.
func snapshotLines(i record.Image) []Line {
	sizes := map[string]int64{}
	for _, s := range i.Snapshots {
		sizes[s.SnapshotID] = s.SizeGiB
	}
	var phrases []string
	ids := map[string][]string{}
	gib := map[string]int64{}
	for _, s := range snapshotPhrases(i) {
		if ids[s.phrase] == nil {
			phrases = append(phrases, s.phrase)
		}
		ids[s.phrase] = append(ids[s.phrase], plain.Text(s.id))
		gib[s.phrase] += sizes[s.id]
	}
	lines := make([]Line, len(phrases))
	for n, phrase := range phrases {
		size := ""
		if gib[phrase] > 0 {
			size = fmt.Sprintf(" (%s GiB)", thousands(gib[phrase]))
		}
		lines[n] = Line{Text: phrase + ": " + list(ids[phrase]) + size}
	}
	return lines
}

// snapshotPhrase says what becomes of one snapshot.
type snapshotPhrase struct{ id, phrase string }

// snapshotPhrases words the outcome if there is one, and else the plan.
func snapshotPhrases(i record.Image) []snapshotPhrase {
	var phrases []snapshotPhrase
	if i.Outcome == nil {
		for _, s := range i.Snapshots {
			phrase := "Snapshots that would go with it"
			switch {
			case s.Verdict == record.KeepSnapshot:
				phrase = because("Snapshots that would stay", s.Detail)
			case s.Detail != "":
				phrase = because("Snapshots that would go with a later image", s.Detail)
			}
			phrases = append(phrases, snapshotPhrase{s.SnapshotID, phrase})
		}
		return phrases
	}
	plan := map[string]string{}
	for _, s := range i.Snapshots {
		plan[s.SnapshotID] = s.Detail
	}
	for _, s := range i.Outcome.Snapshots {
		phrase := ""
		switch s.Status {
		case ami.SnapshotDeleted:
			phrase = because("Snapshots deleted", cmp.Or(plan[s.SnapshotID], s.Detail))
		case ami.SnapshotKept:
			phrase = because("Snapshots left", s.Detail)
		default:
			phrase = "Snapshots not confirmed as deleted, see above"
		}
		phrases = append(phrases, snapshotPhrase{s.SnapshotID, phrase})
	}
	return phrases
}

func because(what, detail string) string {
	if detail == "" {
		return what
	}
	return what + " (" + faultText(detail) + ")"
}

// unattachedSnapshots were deleted although this run did not see their image deregistered: an
// earlier run may have done it, or the answer was lost.
func (r run) unattachedSnapshots() Section {
	items := r.images(hasUnattachedSnapshot, func(region record.Region, image record.Image) Item {
		return Item{Label: idAndName(image), Region: r.name(region), Details: snapshotLines(image)}
	})
	s := listing("Snapshots deleted, with their AMI not confirmed by this run", "", Group{Items: items})
	s.Count = 0 // It would be that of the images.
	return s
}

func hasUnattachedSnapshot(i record.Image) bool {
	return (i.Failed() || i.Skipped()) && slices.ContainsFunc(i.Outcome.Snapshots, func(s ami.SnapshotResult) bool {
		return s.Status == ami.SnapshotDeleted
	})
}

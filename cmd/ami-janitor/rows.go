package main

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/plain"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// row is one image of a run, or a snapshot that no longer has an image.
type row struct {
	kind   kind
	region string
	id     string
	name   string
	image  record.Image // Empty for a snapshot.

	snapshots     int // Those that go, or would; of what stays all that it has.
	gib, archived int64
	monthly       float64 // What they cost in a month at most, in US dollars.

	why     string // In a few words.
	warning string // What must not be missed; empty for most.
	detail  string // All that there is to say.
}

// kind says what becomes of a row's image, or of its snapshot.
type kind int

// The kinds, in the order in which they are shown.
const (
	kindRemoved kind = iota
	kindAnnounced
	kindTakenBack
	kindCorrected // Tags that say what is not so come off, or the day of a restore is noted.
	kindLeftover
	kindFailed
	kindLeftAlone
	kindWaiting
	kindKept
	kindOrphan
	kindJudged // An orphan where the policy removes some.
)

// kinds are the headings of the kinds, of a dry run and of a real one, and the word for each row
// where a table has no headings.
var kinds = []struct{ dry, done, dryWord, word string }{
	kindRemoved:   {"Would be removed", "Removed", "would remove", "removed"},
	kindAnnounced: {"Would be announced", "Announced", "would announce", "announced"},
	kindTakenBack: {"Announcements to be taken back", "Announcements taken back", "would take back", "taken back"},
	kindCorrected: {"Tags to be corrected", "Tags corrected", "would correct tags", "tags corrected"},
	kindLeftover:  {"Snapshots that earlier runs have left", "Snapshots that earlier runs have left", "would finish", "finished"},
	kindFailed:    {"Failed", "Failed", "failed", "failed"},
	kindLeftAlone: {"Would be left alone", "Left alone", "would leave alone", "left alone"},
	kindWaiting:   {"Left for a later run", "Left for a later run", "wait", "wait"},
	kindKept:      {"Kept", "Kept", "keep", "keep"},
	kindOrphan:    {"Snapshots whose image is gone: reported, never deleted", "Snapshots whose image is gone: reported, never deleted", "orphan", "orphan"},
	kindJudged:    {"Snapshots whose image is gone", "Snapshots whose image is gone", "orphan", "orphan"},
}

func (k kind) heading(dry bool) string {
	if dry {
		return kinds[k].dry
	}
	return kinds[k].done
}

func (k kind) word(dry bool) string {
	if dry {
		return kinds[k].dryWord
	}
	return kinds[k].word
}

// rowsOf are all rows of a run, by region.
func rowsOf(run record.Run) []row {
	var rows []row
	for _, region := range run.Regions {
		goes := goingWith(region)
		for _, image := range region.Images {
			rows = append(rows, imageRow(region, image, goes))
		}
		for _, l := range region.Leftovers {
			rows = append(rows, leftoverRow(region, l))
		}
		for _, o := range region.Orphans {
			r := row{kind: kindOrphan, region: region.Region, id: o.SnapshotID, snapshots: 1, gib: o.SizeGiB, why: "made for " + plain.Printable(o.ImageID)}
			if o.Imported {
				r.why = "made by VM Import"
			}
			if o.Archived {
				r.archived = o.SizeGiB
			}
			if o.Verdict != "" {
				r.kind = kindJudged
				r.why += ": " + plain.Printable(cmp.Or(string(o.Status), string(o.Verdict)))
				if o.Detail != "" {
					r.why += ": " + plain.Printable(o.Detail)
				}
			}
			r.detail = r.why
			rows = append(rows, r)
		}
	}
	for i := range rows {
		rows[i].monthly = run.Monthly(rows[i].gib, rows[i].archived)
	}
	return rows
}

// goingWith returns the image with which each snapshot goes, or has gone, by its id: the last of
// those that share it, so that it counts once.
func goingWith(region record.Region) map[string]string {
	with := map[string]string{}
	for _, image := range region.Images {
		gone := map[string]bool{}
		if image.Outcome != nil {
			for _, s := range image.Outcome.Snapshots {
				gone[s.SnapshotID] = s.Status == ami.SnapshotDeleted
			}
		}
		for _, s := range image.Snapshots {
			if image.Removed() && gone[s.SnapshotID] || image.Planned() && s.Verdict == record.DeleteSnapshot {
				with[s.SnapshotID] = image.ImageID
			}
		}
	}
	return with
}

func imageRow(region record.Region, image record.Image, goes map[string]string) row {
	r := row{
		kind: kindOf(region, image), region: region.Region, id: plain.Printable(image.ImageID), name: plain.Printable(image.Name), image: image,
		snapshots: image.SnapshotCount, gib: image.SizeGiB, archived: image.ArchivedGiB,
	}
	switch r.kind {
	case kindRemoved:
		r.snapshots, r.gib, r.archived = 0, 0, 0
		for _, s := range image.Snapshots {
			if goes[s.SnapshotID] != image.ImageID {
				continue
			}
			r.snapshots, r.gib = r.snapshots+1, r.gib+s.SizeGiB
			if s.Archived {
				r.archived += s.SizeGiB
			}
		}
	case kindAnnounced, kindWaiting, kindLeftAlone, kindFailed:
		r.snapshots, r.gib, r.archived = image.FreeableCount, image.FreeableGiB, image.FreeableArchivedGiB
	default:
	}
	r.why, r.warning, r.detail = whyOf(region, r), warningOf(image), detailOf(image)
	return r
}

func kindOf(region record.Region, image record.Image) kind {
	switch {
	case image.Failed():
		return kindFailed
	case image.Removed():
		return kindRemoved
	case image.Marked():
		return kindAnnounced
	case image.Skipped() || region.IsOnlyPlanned() && image.LeftAlone():
		return kindLeftAlone
	case image.Planned():
		return kindRemoved
	case image.ToBeMarked():
		return kindAnnounced
	case image.Deferred():
		return kindWaiting
	default:
		return kindOfKept(image)
	}
}

func kindOfKept(image record.Image) kind {
	switch {
	case image.IsNoted() || image.Copied():
		return kindCorrected
	case image.Vetoed() || image.ObjectedElsewhere() || image.Cleared():
		return kindTakenBack
	default:
		return kindKept
	}
}

// whyOf says in a few words why something becomes of an image.
func whyOf(region record.Region, r row) string {
	image := r.image
	main := image.MainReason()
	switch r.kind {
	case kindRemoved, kindAnnounced:
		return idle(image)
	case kindFailed:
		return plain.Printable(image.Outcome.Error)
	case kindLeftAlone:
		if image.Outcome != nil {
			return plain.Printable(image.Outcome.Error)
		}
		return plain.Printable(region.WhyUnreached())
	case kindWaiting:
		last := image.Reasons[len(image.Reasons)-1]
		return plain.Printable(string(last.Code) + ": " + last.Detail)
	case kindCorrected:
		if image.Copied() {
			return plain.Printable(image.CopiedTags)
		}
	default:
	}
	return plain.Printable(string(main.Code) + ": " + main.Detail)
}

// idle says for how long nobody has used an image.
func idle(image record.Image) string {
	switch image.MainReason().Code {
	case ami.ReasonNeverLaunched, ami.ReasonStale:
		return digest.LastUse(image)
	default:
		return plain.Printable(string(image.MainReason().Code))
	}
}

// noWayBack is said of what the Recycle Bin does not take.
const noWayBack = "cannot be restored"

// perhapsNoWayBack is said of what comes back only if the Recycle Bin holds a snapshot that the
// account does not have.
const perhapsNoWayBack = "perhaps not restorable"

func warningOf(image record.Image) string {
	switch {
	case image.IsLost():
		return noWayBack + ": " + plain.Printable(image.Outcome.NotRestorable)
	case (image.Planned() || image.IsNew()) && cannotBeRestored(image):
		return noWayBack
	case !image.IsRestorable() && (image.Planned() || image.Removed()) && lacksSnapshot(image):
		return perhapsNoWayBack
	case image.IsNew() && image.Action == retention.Disable:
		return "launches fail until then"
	default:
		return ""
	}
}

// cannotBeRestored reports whether the Recycle Bin takes no image of this kind.
func cannotBeRestored(image record.Image) bool {
	return image.S3Location != "" || image.SnapshotCount == 0
}

// lacksSnapshot reports whether an image maps a snapshot that is not among the account's.
func lacksSnapshot(image record.Image) bool {
	return slices.ContainsFunc(image.Snapshots, func(s record.PlannedSnapshot) bool {
		return s.Verdict == record.KeepSnapshot && s.Detail == retention.NotListed
	})
}

// detailOf is all that there is to say of an image on one line: the error, if there is one, and all
// reasons with their codes.
func detailOf(image record.Image) string {
	var details []string
	if o := image.Outcome; o != nil {
		if o.Error != "" {
			details = append(details, o.Error)
		}
		if !o.RestorableUntil.IsZero() {
			details = append(details, "restorable until "+o.RestorableUntil.Format(time.RFC3339))
		}
	}
	for _, reason := range image.Reasons {
		details = append(details, string(reason.Code)+": "+reason.Detail)
	}
	if warning := warningOf(image); warning != "" {
		details = append(details, warning)
	}
	return plain.Printable(strings.Join(details, "; "))
}

func leftoverRow(region record.Region, l record.Leftover) row {
	r := row{kind: kindLeftover, region: region.Region, id: plain.Printable(l.SnapshotID), snapshots: 1, gib: l.SizeGiB}
	if l.Archived {
		r.archived = l.SizeGiB
	}
	what := map[record.SnapshotVerdict]string{record.DeleteSnapshot: "would be deleted", record.KeepSnapshot: "stays"}[l.Verdict]
	switch l.Status {
	case "":
	case ami.SnapshotFailed:
		r.kind, what = kindFailed, "not deleted"
	default:
		what = string(l.Status)
	}
	r.why = what + ": left by run " + l.Run
	if l.Detail != "" {
		r.why += "; " + l.Detail
	}
	r.why = plain.Printable(r.why)
	r.detail = r.why
	return r
}

// dearestFirst sorts rows by what they cost, then by size.
func dearestFirst(a, b row) int {
	return cmp.Or(cmp.Compare(b.monthly, a.monthly), largestFirst(a, b))
}

// largestFirst sorts rows by size, then by region and id.
func largestFirst(a, b row) int {
	return cmp.Or(cmp.Compare(b.gib, a.gib), strings.Compare(a.region, b.region), strings.Compare(a.id, b.id))
}

// ofKind are the rows of a kind.
func ofKind(rows []row, k kind) []row {
	return slices.DeleteFunc(slices.Clone(rows), func(r row) bool { return r.kind != k })
}

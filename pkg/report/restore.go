package report

import (
	"time"

	"ami-janitor/pkg/ami"
	"ami-janitor/pkg/retention"
)

// noteRestorable notes of every removed image until when an undo brings it back with all that it needs, or why it does not: as far as that
// is known. The first of its snapshots that leaves the Recycle Bin takes the image along.
func (g Region) noteRestorable() {
	results := g.snapshotResults()
	for i := range g.Images {
		if outcome := g.Images[i].Outcome; removed(g.Images[i]) {
			var lost string
			if outcome.RestorableUntil, lost = wayBack(g.Images[i], results); lost != "" && g.BinRead {
				outcome.NotRestorable = "the Recycle Bin does not hold " + lost
			}
		}
	}
}

// wayBack returns until when a removed image can be brought back; zero if it cannot, or if that is not known. Lost is the first of the
// things that it needs and that were not seen in the Recycle Bin, if any. A snapshot may have gone with another image of the region, or
// be left by an earlier run. Of one whose deletion is not confirmed, and of one that the account never listed, nobody knows whether it
// is there.
func wayBack(i Image, results map[string]snapshotResult) (until time.Time, lost string) {
	if until = i.Outcome.InBinUntil; until.IsZero() {
		return time.Time{}, "the image"
	}
	isKnown := true
	for _, s := range i.Outcome.Snapshots {
		switch r := results[s.SnapshotID]; {
		case r.status == ami.SnapshotDeleted && r.until.IsZero():
			return time.Time{}, "its snapshot " + s.SnapshotID
		case r.status == ami.SnapshotDeleted && r.until.Before(until):
			until = r.until
		case r.status == ami.SnapshotFailed, s.Detail == retention.NotListed:
			isKnown = false
		}
	}
	if !isKnown {
		return time.Time{}, ""
	}
	return until, ""
}

// proviso limits the promise for an image of which snapshots stay: with the last image that uses one it may go, and leave the
// Recycle Bin earlier.
func proviso(i Image) string {
	for _, s := range i.Outcome.Snapshots {
		if s.Status == ami.SnapshotKept {
			return ", unless a snapshot that was left is deleted before"
		}
	}
	return ""
}

// isLost reports whether it is known that a removed image cannot be brought back.
func isLost(i Image) bool { return removed(i) && i.Outcome.NotRestorable != "" }

// isRestorable reports whether it is known that a removed image can be brought back with all that it needs.
func isRestorable(i Image) bool { return removed(i) && !i.Outcome.RestorableUntil.IsZero() }

// writeRestorable says until when a removed image can be brought back, and how, or that it cannot.
func (r Run) writeRestorable(p *page, i Image) {
	if isRestorable(i) {
		until := i.Outcome.RestorableUntil
		p.detail("Restorable until " + day(until) + ", " + minute(until) + proviso(i) + ":")
		p.command(r.Reader.Command("undo --image " + neutral(i.ImageID)))
		return
	}
	if isLost(i) {
		p.detail("It cannot be restored: " + neutral(i.Outcome.NotRestorable) + ".")
	}
}

// lost counts the removed images that cannot be brought back, as far as that is known.
func (r Run) lost() int { return r.count(isLost) }

// writeRestore says how to get an image back, and when that is not possible.
func (r Run) writeRestore(p *page) {
	restorable, lost := r.Totals.Restorable, r.lost()
	p.heading("How to get one back")
	if lost == r.Totals.Deregistered {
		p.paragraph("None can be restored: the Recycle Bin does not hold them. What was removed is gone for good.")
		return
	}
	if restorable > 0 {
		p.paragraph("This brings back all AMIs that this run removed and the Recycle Bin holds, with their snapshots, and notes the day " +
			"on each, from which its idle time counts anew:")
		p.command(r.Reader.Command("undo " + Printable(r.Run)))
	}
	region := r.regionOrPlaceholder()
	switch unclear := r.Totals.Deregistered - restorable - lost; {
	case unclear > 0:
		whether := "From the Recycle Bin, if"
		if restorable+lost > 0 {
			whether = "Where nothing is said of one, it can be restored if"
		}
		p.paragraph(whether + " a rule of the account covered both the image and its snapshots in that region. Without such a rule, " +
			"what was deleted is gone for good. See what is there:")
		p.command("aws ec2 list-images-in-recycle-bin --region " + region)
		p.command("aws ec2 list-snapshots-in-recycle-bin --region " + region)
		p.paragraph("Restore all of its snapshots first, then the image:")
	default:
		p.paragraph("By hand, restore all of its snapshots first, then the image:")
	}
	p.command("aws ec2 restore-snapshot-from-recycle-bin --region " + region + " --snapshot-id SNAPSHOT_ID")
	p.command("aws ec2 restore-image-from-recycle-bin --region " + region + " --image-id IMAGE_ID")
	p.paragraph("The next run sees by its tags that it was restored, and keeps it until it has been idle for its whole time again. " +
		"To keep it for good, tag it " + keepTag + ".")
}

// regionOrPlaceholder is the region of the run for a command, if there is just one.
func (r Run) regionOrPlaceholder() string {
	if len(r.Regions) == 1 {
		return neutral(r.Regions[0].Region)
	}
	return "REGION"
}

// restorableInShort says until when a removed image can be brought back, and then what else there is to say of it.
func restorableInShort(region Region, i Image) string {
	words := mainDetail(region, i)
	if isRestorable(i) {
		until := i.Outcome.RestorableUntil
		return "restorable until " + until.UTC().Format(time.DateOnly) + " " + minute(until) + proviso(i) + "; " + words
	}
	if isLost(i) {
		return "cannot be restored; " + words
	}
	return words
}

// restoreInShort says how to get images back; it is empty if that is not possible.
func (r Run) restoreInShort() string {
	switch {
	case r.Totals.Restorable > 0:
		return "To bring back the AMIs that this run removed and the Recycle Bin holds: " + r.Reader.Command("undo "+neutral(r.Run))
	case r.Totals.Deregistered > r.lost():
		return "To get an image back, see whether the Recycle Bin has it (aws ec2 list-images-in-recycle-bin), and " +
			"restore its snapshots first. Without a rule of the Recycle Bin that covered it, it is gone."
	default:
		return ""
	}
}

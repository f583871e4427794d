package digest

import (
	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/plain"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// proviso limits the promise for an image with kept snapshots: a kept snapshot may be deleted later
// with another image, so the restore date is not certain.
func proviso(i record.Image) string {
	for _, s := range i.Outcome.Snapshots {
		if s.Status == ami.SnapshotKept {
			return ", unless a snapshot that was left is deleted before"
		}
	}
	return ""
}

// restorable says until when a removed image can be brought back, and how, or that it cannot.
func (r run) restorable(i record.Image) []Line {
	switch {
	case i.IsRestorable():
		until := i.Outcome.RestorableUntil
		return append(says("Restorable until "+day(until)+", "+minute(until)+proviso(i)+":"),
			command(r.Reader.Command("undo --image "+plain.Text(i.ImageID))))
	case i.IsLost():
		return says("It cannot be restored: " + plain.Text(i.Outcome.NotRestorable) + ".")
	default:
		return nil
	}
}

// lost counts the removed images that cannot be brought back, as far as that is known.
func (r run) lost() int { return r.Count(record.Image.IsLost) }

// howToRestore says how to get an image back, and when that is not possible.
func (r run) howToRestore() Section {
	s := Section{Title: "How to get one back"}
	switch removed := r.Totals.Deregistered; {
	case removed == 0:
		return Section{}
	case removed == r.lost():
		s.Intro = says("None can be restored: the Recycle Bin does not hold them. What was removed is gone for good.")
		return s
	}
	if r.Totals.Restorable > 0 {
		s.Intro = append(says("This brings back all AMIs that this run removed and the Recycle Bin holds, with their snapshots, and notes the day "+
			"on each, from which its idle time counts anew:"), command(r.Reader.Command("undo "+plain.Printable(r.Run.Run))))
	}
	s.Intro = append(s.Intro, r.restoreByHand()...)
	return s
}

func (r run) restoreByHand() []Line {
	region, known := r.regionOrPlaceholder(), r.Totals.Restorable+r.lost()
	lines := says("By hand, restore all of its snapshots first, then the image:")
	if r.Totals.Deregistered > known {
		whether := "From the Recycle Bin, if"
		if known > 0 {
			whether = "Where nothing is said of one, it can be restored if"
		}
		lines = says(whether + " a rule of the account covered both the image and its snapshots in that region. Without such a rule, " +
			"what was deleted is gone for good. See what is there:")
		lines = append(lines,
			command("aws ec2 list-images-in-recycle-bin --region "+region),
			command("aws ec2 list-snapshots-in-recycle-bin --region "+region),
			Line{Text: "Restore all of its snapshots first, then the image:"})
	}
	return append(lines,
		command("aws ec2 restore-snapshot-from-recycle-bin --region "+region+" --snapshot-id SNAPSHOT_ID"),
		command("aws ec2 restore-image-from-recycle-bin --region "+region+" --image-id IMAGE_ID"),
		Line{Text: "The next run sees by its tags that it was restored, and keeps it until it has been idle for its whole time again. " +
			"To keep it for good, tag it " + keepTag + "."})
}

// regionOrPlaceholder is the region of the run for a command, if there is just one.
func (r run) regionOrPlaceholder() string {
	if len(r.Regions) == 1 {
		return plain.Text(r.Regions[0].Region)
	}
	return "REGION"
}

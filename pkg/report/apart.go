package report

import (
	"strings"

	"ami-janitor/pkg/retention"
)

// apart is a snapshot that stays for a life of its own, or because it may have one, although its images go.
type apart struct {
	region Region
	PlannedSnapshot
}

// snapshotsApart returns these snapshots of images that are gone, or would be, each once.
func (r Run) snapshotsApart() []apart {
	var all []apart
	seen := map[string]bool{}
	r.each(func(i Image) bool { return planned(i) || removed(i) }, func(region Region, image Image) {
		for _, s := range image.Snapshots {
			if s.Apart && !seen[region.Region+s.SnapshotID] {
				seen[region.Region+s.SnapshotID] = true
				all = append(all, apart{region, s})
			}
		}
	})
	return all
}

// writeApart lists the snapshots that stay for a life of their own, each with the command that deletes it.
func (r Run) writeApart(p *page) {
	all := r.snapshotsApart()
	if len(all) == 0 {
		return
	}
	p.headingOf("Snapshots that stay", len(all))
	p.paragraph("They have a life of their own, or may have, so that they stay although no AMI needs them once the above are gone. Look at what one holds before you delete it:")
	for _, s := range all[:min(mostListed, len(all))] {
		what := neutral(s.SnapshotID) + ", " + thousands(s.SizeGiB) + " GiB"
		if s.Archived {
			what += ", archived"
		}
		p.item(r.inRegion(what, s.region) + ": " + faultText(s.Detail))
		p.command("aws ec2 delete-snapshot --region " + neutral(s.region.Region) + " --snapshot-id " + neutral(s.SnapshotID))
	}
	writeMore(p, len(all)-mostListed)
}

// sharingProblems complains about the snapshots that stay because nobody knows with whom they are shared.
func (r Run) sharingProblems() []problem {
	var complaints []complaint
	for _, s := range r.acting().snapshotsApart() {
		if fault, isUnknown := strings.CutPrefix(s.Detail, retention.SharingUnknown); isUnknown {
			complaints = append(complaints, complaint{r.inRegion(neutral(s.SnapshotID), s.region), s.SnapshotID, fault})
		}
	}
	remedy := adviceOr("Begin with the error. The AMIs go all the same, so that no later run comes back for these snapshots: they are listed below.",
		"ec2:DescribeSnapshotAttribute")
	return grouped(complaints, remedy, func(n int) string {
		stay := " stay"
		if r.DryRun {
			stay = " would stay"
		} else if n == 1 {
			stay = " stays"
		}
		return count(n, "snapshot") + stay + " although the AMIs go: whether another account uses them could not be looked up."
	})
}

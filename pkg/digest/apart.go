package digest

import (
	"ami-janitor/pkg/plain"
	"ami-janitor/pkg/record"
)

// apart is a snapshot that stays for a life of its own, although its images go.
type apart struct {
	region record.Region
	record.PlannedSnapshot
}

// snapshotsApart returns these snapshots of images that are gone, or would be, each once, and those that only a person can delete.
func (r run) snapshotsApart() []apart {
	var all []apart
	seen := map[string]bool{}
	r.Each(func(i record.Image) bool { return i.Planned() || i.Removed() }, func(region record.Region, image record.Image) {
		for _, s := range image.Snapshots {
			if s.Apart && !seen[region.Region+s.SnapshotID] {
				seen[region.Region+s.SnapshotID] = true
				all = append(all, apart{region, s})
			}
		}
	})
	r.EachLeftover(func(region record.Region, f record.Leftover) {
		if f.Apart && !seen[region.Region+f.SnapshotID] {
			seen[region.Region+f.SnapshotID] = true
			all = append(all, apart{region, record.PlannedSnapshot{SnapshotID: f.SnapshotID, SizeGiB: f.SizeGiB, Archived: f.Archived, Detail: f.Detail}})
		}
	})
	return all
}

// writeApart lists the snapshots that stay for a life of their own, each with the command that deletes it.
func (r run) writeApart(p *page) {
	all := r.snapshotsApart()
	if len(all) == 0 {
		return
	}
	p.headingOf("Snapshots that stay", len(all))
	p.paragraph("They have a life of their own, so that they stay although no AMI needs them, once the above are gone. Look at what one holds before you delete it:")
	for _, s := range all[:min(mostListed, len(all))] {
		what := plain.Text(s.SnapshotID) + ", " + thousands(s.SizeGiB) + " GiB"
		if s.Archived {
			what += ", archived"
		}
		p.item(r.inRegion(what, s.region) + ": " + faultText(s.Detail))
		p.command("aws ec2 delete-snapshot --region " + plain.Text(s.region.Region) + " --snapshot-id " + plain.Text(s.SnapshotID))
	}
	writeMore(p, len(all)-mostListed)
}

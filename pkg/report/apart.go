package report

// apart is a snapshot that stays for a life of its own, although its images go.
type apart struct {
	region Region
	PlannedSnapshot
}

// snapshotsApart returns these snapshots of images that are gone, or would be, each once, and those that only a person can delete.
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
	r.eachLeftover(func(region Region, f Finished) {
		if f.Apart && !seen[region.Region+f.SnapshotID] {
			seen[region.Region+f.SnapshotID] = true
			all = append(all, apart{region, PlannedSnapshot{SnapshotID: f.SnapshotID, SizeGiB: f.SizeGiB, Archived: f.Archived, Detail: f.Detail}})
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
	p.paragraph("They have a life of their own, so that they stay although no AMI needs them, once the above are gone. Look at what one holds before you delete it:")
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

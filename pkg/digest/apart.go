package digest

import (
	"github.com/ami-janitor/ami-janitor/pkg/plain"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// snapshotsThatStay were made on their own, so they stay although their images go; or only a person
// can delete them. Each is listed once, with the command that deletes it.
func (r run) snapshotsThatStay() Section {
	return listing("Snapshots that stay", "They have a life of their own, so that they stay although no AMI needs them, once the above are gone. "+
		"Look at what one holds before you delete it:", listed(r.snapshotsApart()))
}

func (r run) snapshotsApart() []Item {
	var items []Item
	seen := map[string]bool{}
	add := func(region record.Region, s record.PlannedSnapshot) {
		if s.Apart && !seen[region.Region+s.SnapshotID] {
			seen[region.Region+s.SnapshotID] = true
			items = append(items, r.apart(region, s))
		}
	}
	r.Each(func(i record.Image) bool { return i.Planned() || i.Removed() }, func(region record.Region, image record.Image) {
		for _, s := range image.Snapshots {
			add(region, s)
		}
	})
	r.EachLeftover(func(region record.Region, l record.Leftover) {
		add(region, record.PlannedSnapshot{SnapshotID: l.SnapshotID, SizeGiB: l.SizeGiB, Archived: l.Archived, Detail: l.Detail, Apart: l.Apart})
	})
	return items
}

func (r run) apart(region record.Region, s record.PlannedSnapshot) Item {
	id := plain.Text(s.SnapshotID)
	return Item{
		Label: id, Size: sizeOf(s.SizeGiB, s.Archived), Region: r.name(region), Says: faultText(s.Detail),
		Details: []Line{command("aws ec2 delete-snapshot --region " + plain.Text(region.Region) + " --snapshot-id " + id)},
	}
}

func sizeOf(gib int64, isArchived bool) string {
	if isArchived {
		return thousands(gib) + " GiB, archived"
	}
	return thousands(gib) + " GiB"
}

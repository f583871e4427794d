package digest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"ami-janitor/pkg/plain"
	"ami-janitor/pkg/record"
)

// mostOrphans is how many of the orphans are listed.
const mostOrphans = 5

// orphanedIn is an orphan with its region.
type orphanedIn struct {
	region record.Region
	record.Orphan
}

// largestOrphans returns the largest orphans of all regions, of those that were looked at.
func (r run) largestOrphans() []orphanedIn {
	var largest []orphanedIn
	for _, region := range r.Regions {
		for _, o := range region.Orphans {
			if !o.NotLookedAt {
				largest = append(largest, orphanedIn{region, o})
			}
		}
	}
	slices.SortStableFunc(largest, func(a, b orphanedIn) int { return cmp.Compare(b.SizeGiB, a.SizeGiB) })
	return largest[:min(mostOrphans, len(largest))]
}

// orphansInShort says how many orphans there are, and what they cost at most.
func (r run) orphansInShort() string {
	t := r.Totals
	made := "were made for AMIs that are gone"
	if t.OrphanedSnapshots == 1 {
		made = "was made for an AMI that is gone"
	}
	if t.OrphansNotLookedAt > 0 {
		made += ", " + thousands(int64(t.OrphansNotLookedAt)) + " of them not looked at"
	}
	return fmt.Sprintf("%s (%s GiB, up to %s a month) %s", count(t.OrphanedSnapshots, "snapshot"), thousands(t.GiBOrphaned),
		money(record.Dollars(t.GiBOrphaned, r.SnapshotPrice)), made)
}

func (r run) writeOrphans(p *page) {
	r.writeFoundOrphans(p)
	gaps := r.orphansGaps()
	if len(gaps) == 0 {
		return
	}
	if r.Totals.OrphanedSnapshots == 0 {
		p.heading("Orphaned snapshots")
	}
	p.paragraph(orphansNotLookedFor)
	for _, gap := range gaps {
		p.item(gap)
	}
}

const orphansNotLookedFor = "Snapshots whose AMI is gone were not looked for everywhere. Nothing else depends on that:"

// orphansGaps says why orphans were not looked for, by region.
func (r run) orphansGaps() []string {
	var gaps []string
	for _, region := range r.Regions {
		if region.OrphansGap != "" {
			gaps = append(gaps, plain.Text(region.Region)+": "+faultText(region.OrphansGap))
		}
	}
	return gaps
}

func (r run) writeFoundOrphans(p *page) {
	if r.Totals.OrphanedSnapshots == 0 {
		return
	}
	p.headingOf("Orphaned snapshots", r.Totals.OrphanedSnapshots)
	words, largest := r.orphansInShort()+". The janitor never deletes them: whether somebody needs one is not on record."+r.notLookedAt(), r.largestOrphans()
	if len(largest) == 0 {
		p.paragraph(words + " The run record has all of them.")
	} else {
		p.paragraph(words + " The largest:")
		r.writeLargest(p, largest)
	}
	p.paragraph(r.words("{ORPHANED_SNAPSHOTS}=ignore leaves this section out."))
}

func (r run) writeLargest(p *page, largest []orphanedIn) {
	for _, o := range largest {
		p.item(r.orphan(o))
	}
	writeMore(p, r.Totals.OrphanedSnapshots-len(largest))
	p.paragraph("See what one holds before you delete it:")
	first := largest[0]
	p.command("aws ec2 describe-snapshots --region " + plain.Text(first.region.Region) + " --snapshot-ids " + plain.Text(first.SnapshotID))
}

// notLookedAt says what is not known of the orphans that were not looked at.
func (r run) notLookedAt() string {
	if r.Totals.OrphansNotLookedAt == 0 {
		return ""
	}
	return " A run looks at the largest in each region. Of the others it knows their description alone: another account may share one."
}

func (r run) orphan(o orphanedIn) string {
	size := thousands(o.SizeGiB) + " GiB"
	if o.Archived {
		size += ", archived"
	}
	words := fmt.Sprintf("%s, %s, for %s", plain.Text(o.SnapshotID), size, cmp.Or(plain.Text(o.ImageID), "an AMI without an id"))
	if since, _, _ := strings.Cut(o.StartedAt, "T"); since != "" {
		words += ", since " + plain.Text(since)
	}
	return r.inRegion(words, o.region)
}

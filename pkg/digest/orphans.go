package digest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/ami-janitor/ami-janitor/pkg/plain"
	"github.com/ami-janitor/ami-janitor/pkg/record"
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
		money(r.Monthly(t.GiBOrphaned, t.GiBOrphanedArchived)), made)
}

func (r run) orphans() Section {
	s := Section{Title: "Orphaned snapshots", Count: r.Totals.OrphanedSnapshots}
	if s.Count > 0 {
		s.Intro, s.Groups = r.foundOrphans()
	}
	if gaps := r.orphansGaps(); len(gaps) > 0 {
		s.Groups = append(s.Groups, Group{Intro: says(orphansNotLookedFor), Items: gaps})
	}
	return s
}

const orphansNotLookedFor = "Snapshots whose AMI is gone were not looked for everywhere. Nothing else depends on that:"

// orphansGaps says why orphans were not looked for, by region.
func (r run) orphansGaps() []Item {
	var gaps []Item
	for _, region := range r.Regions {
		if region.OrphansGap != "" {
			gaps = append(gaps, Item{Label: plain.Text(region.Region), Says: faultText(region.OrphansGap)})
		}
	}
	return gaps
}

func (r run) foundOrphans() ([]Line, []Group) {
	words := r.orphansInShort() + ". The janitor never deletes them: whether somebody needs one is not on record." + r.notLookedAt()
	ignore := Group{Intro: says(r.words("{ORPHANED_SNAPSHOTS}=ignore leaves this section out."))}
	largest := r.largestOrphans()
	if len(largest) == 0 {
		return says(words + " The run record has all of them."), []Group{ignore}
	}
	group := Group{More: r.Totals.OrphanedSnapshots - len(largest)}
	for _, o := range largest {
		group.Items = append(group.Items, r.orphan(o))
	}
	first := largest[0]
	look := append(says("See what one holds before you delete it:"),
		command("aws ec2 describe-snapshots --region "+plain.Text(first.region.Region)+" --snapshot-ids "+plain.Text(first.SnapshotID)))
	return says(words + " The largest:"), []Group{group, {Intro: look}, ignore}
}

// notLookedAt says what is not known of the orphans that were not looked at.
func (r run) notLookedAt() string {
	if r.Totals.OrphansNotLookedAt == 0 {
		return ""
	}
	return " A run looks at the largest in each region. Of the others it knows their description alone: another account may share one."
}

func (r run) orphan(o orphanedIn) Item {
	item := Item{
		Label: plain.Text(o.SnapshotID), Size: sizeOf(o.SizeGiB, o.Archived), Region: r.name(o.region),
		Facts: []string{"for " + cmp.Or(plain.Text(o.ImageID), "an AMI without an id")},
	}
	if since, _, _ := strings.Cut(o.StartedAt, "T"); since != "" {
		item.Facts = append(item.Facts, "since "+plain.Text(since))
	}
	return item
}

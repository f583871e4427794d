package digest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/plain"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
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
			if !o.NotLookedAt && !o.IsDeleted() {
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
	s.Groups = r.orphansChanged()
	if s.Count > 0 {
		intro, groups := r.foundOrphans()
		if len(s.Groups) == 0 {
			s.Intro = intro
		} else {
			s.Groups = append(s.Groups, Group{Intro: intro})
		}
		s.Groups = append(s.Groups, groups...)
	}
	if gaps := r.orphansGaps(); len(gaps) > 0 {
		s.Groups = append(s.Groups, Group{Intro: says(orphansNotLookedFor), Items: gaps})
	}
	return s
}

// removesOrphans reports whether the policy removes orphans.
func (r run) removesOrphans() bool { return r.Policy["orphanedSnapshots"] == "remove" }

// orphansChanged lists what was deleted or announced, or would be, what was taken back, and what
// failed.
func (r run) orphansChanged() []Group {
	of := func(wanted func(record.Orphan) bool) []Item {
		var items []Item
		for _, region := range r.Regions {
			for _, o := range region.Orphans {
				if o.Verdict != "" && wanted(o) {
					items = append(items, r.orphan(orphanedIn{region, o}))
				}
			}
		}
		return items
	}
	var groups []Group
	add := func(intro string, items []Item) {
		if len(items) > 0 {
			groups = append(groups, listed(items, intro))
		}
	}
	if r.DryRun {
		add("Would be deleted:", of(func(o record.Orphan) bool { return o.Verdict == retention.Deregister }))
		add("Would be announced:", of(func(o record.Orphan) bool { return o.Verdict == retention.Mark }))
	} else {
		deleted := of(record.Orphan.IsDeleted)
		if add("Deleted:", deleted); len(deleted) > 0 {
			restore := Group{Intro: says("What the Recycle Bin holds comes back with:")}
			restore.Intro = append(restore.Intro, command(r.Reader.Command("undo "+plain.Printable(r.Run.Run))))
			groups = append(groups, restore)
		}
		add("Announced. Tag a snapshot ami-janitor:keep to keep it:", of(func(o record.Orphan) bool { return o.Status == ami.OrphanAnnounced }))
		add("Not confirmed:", of(func(o record.Orphan) bool { return o.Status == ami.OrphanFailed }))
		add("Kept after all:", of(func(o record.Orphan) bool { return o.Status == ami.OrphanKept }))
	}
	add("Announced by an earlier run:", of(func(o record.Orphan) bool { return o.Verdict == retention.Keep && o.DueOn != "" }))
	var back []Item
	for _, region := range r.Regions {
		for _, u := range region.OrphanUnmarks {
			back = append(back, Item{
				Label: plain.Text(u.SnapshotID), Region: r.name(region), Says: plain.Text(because(u.Why, u.Detail)),
			})
		}
	}
	intro := "Announcements that were taken back:"
	if r.DryRun {
		intro = "Announcements to be taken back:"
	}
	add(intro, back)
	return groups
}

// orphansMoney says in a line what the deletion of orphans saves; empty if none is deleted or
// announced.
func (r run) orphansMoney() string {
	t := r.Totals.Orphans
	if t == nil {
		return ""
	}
	var parts []string
	add := func(n int, what string) {
		if n > 0 {
			parts = append(parts, thousands(int64(n))+" "+what)
		}
	}
	saves := fmt.Sprintf(" (%s GiB, up to %s a month)", thousands(t.GiBDeleted), money(t.MonthlySavingsUpTo))
	add(t.Deleted, "deleted"+saves)
	add(t.WouldDelete, "would be deleted"+saves)
	if r.DryRun {
		add(t.Announced, "would be announced")
	} else {
		add(t.Announced, "announced")
	}
	add(t.Due, "due later")
	add(t.Deferred, "deferred by {MAX_ORPHANED_SNAPSHOTS}")
	add(t.Failed, "failed")
	if len(parts) == 0 {
		return ""
	}
	return r.words("Orphaned snapshots, besides: " + list(parts) + ".")
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
	if r.removesOrphans() {
		words = r.orphansInShort() + ". One goes if a second sign says so, nothing needs it, and it was announced." + r.notLookedAt()
	}
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
		Says:  plain.Text(o.Detail),
	}
	if o.Imported {
		item.Facts = []string{"by VM Import"}
	}
	if o.DueOn != "" && !o.IsDeleted() {
		item.Facts = append(item.Facts, "due on "+dayOn(o.DueOn))
	}
	if !o.RestorableUntil.IsZero() {
		item.Facts = append(item.Facts, "restorable until "+day(o.RestorableUntil))
	}
	if since, _, _ := strings.Cut(o.StartedAt, "T"); since != "" {
		item.Facts = append(item.Facts, "since "+plain.Text(since))
	}
	return item
}

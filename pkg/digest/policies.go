package digest

import (
	"maps"
	"slices"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/plain"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// unrecordedProblems says that announcements without records come to nothing.
func (r run) unrecordedProblems() []Problem {
	if records, known := r.Policy["records"]; !known || records != "" {
		return nil
	}
	var lost []complaint
	r.Each(record.Image.IsNew, func(region record.Region, image record.Image) {
		lost = append(lost, complaint{r.label(region, image), "", r.words("{RECORDS} is not set")})
	})
	return grouped(lost, func(string) string { return keepRecords }, func(n int) string {
		return count(n, "AMI") + " announced for removal, and no record says so: no later run will remove them."
	})
}

const (
	whoseTags = "If a run announced it whose records are kept elsewhere, set {RECORDS} to that place. Else somebody wrote these tags by hand: take them off,\n" +
		"aws ec2 delete-tags --resources IMAGE_ID --tags Key=" + ami.DueTag + " Key=" + ami.AnnouncedByTag + " Key=" + ami.DisabledTag + "\n" +
		"and find out who may tag images. What is disabled, enable yourself if it is needed."
	keepRecords = "Set {RECORDS} to a bucket or a directory that outlives the run. Only by its own records can a run tell its announcement from tags that " +
		"anybody can write."
)

// announcedElsewhere says how many images other policies have announced. Their own digests have the
// rest.
func (r run) announcedElsewhere() Section {
	type announced struct {
		images int
		next   string // The first day on which one is due, as 2006-01-02; empty if none says so.
	}
	policies := map[string]announced{}
	r.Each(record.Image.AnnouncedElsewhere, func(_ record.Region, image record.Image) {
		of := policies[image.AnnouncedBy]
		of.images++
		if image.DueOn != "" && (of.next == "" || image.DueOn < of.next) {
			of.next = image.DueOn
		}
		policies[image.AnnouncedBy] = of
	})
	if len(policies) == 0 {
		return Section{}
	}
	var items []Item
	for _, name := range slices.Sorted(maps.Keys(policies)) {
		of := policies[name]
		item := Item{Label: plain.Clip(plain.Text(name), 128), Says: count(of.images, "AMI")}
		if of.next != "" {
			item.Says += ", the first due on " + dayOn(of.next)
		}
		items = append(items, item)
	}
	return Section{
		Title: "Announced by other policies", Count: r.Count(record.Image.AnnouncedElsewhere),
		Intro:  says("They are left to these policies, unless somebody uses, protects or keeps them."),
		Groups: []Group{{Items: items}},
	}
}

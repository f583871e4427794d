package report

import (
	"maps"
	"slices"

	"ami-janitor/pkg/ami"
	"ami-janitor/pkg/retention"
)

// unrecordedProblems says that announcements without records come to nothing.
func (r Run) unrecordedProblems() []problem {
	if records, known := r.Policy["records"]; !known || records != "" {
		return nil
	}
	var lost []complaint
	r.each(isNew, func(region Region, image Image) {
		lost = append(lost, complaint{r.label(region, image), "", r.Reader.Words("{RECORDS} is not set")})
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

// elsewhere images are announced for removal by another policy.
func elsewhere(i Image) bool {
	return kept(i) && i.AnnouncedBy != "" && i.Unmark == retention.LeaveMark
}

// objectedElsewhere images are announced by another policy, and this run objects to that.
func objectedElsewhere(i Image) bool {
	return kept(i) && i.AnnouncedBy != "" && i.Unmark == retention.Veto && !isNoted(i)
}

// writeElsewhere says how many images other policies have announced. Their own digests have the rest.
func (r Run) writeElsewhere(p *page) {
	type policy struct {
		images int
		next   string // The first day on which one is due, as 2006-01-02; empty if none says so.
	}
	policies := map[string]policy{}
	r.each(elsewhere, func(_ Region, image Image) {
		of := policies[image.AnnouncedBy]
		of.images++
		if image.DueOn != "" && (of.next == "" || image.DueOn < of.next) {
			of.next = image.DueOn
		}
		policies[image.AnnouncedBy] = of
	})
	if len(policies) == 0 {
		return
	}
	p.headingOf("Announced by other policies", r.count(elsewhere))
	p.paragraph("They are left to these policies, unless somebody uses, protects or keeps them.")
	for _, name := range slices.Sorted(maps.Keys(policies)) {
		of := policies[name]
		item := clip(neutral(name), 128) + ": " + count(of.images, "AMI")
		if of.next != "" {
			item += ", the first due on " + dayOn(of.next)
		}
		p.item(item)
	}
}

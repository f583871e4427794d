package report

import (
	"fmt"
	"maps"
	"slices"

	"ami-janitor/pkg/retention"
)

// unrecordedCode is the reason of an image whose announcement no record bears out.
const unrecordedCode retention.Code = "unrecorded"

// unrecorded images carry tags of an announcement that may be anybody's.
func unrecorded(i Image) bool {
	_, ok := i.reason(unrecordedCode)
	return ok && kept(i)
}

// unrecordedProblems says which images carry tags of an announcement that no record bears out, and what to do about them; and that
// announcements without records come to nothing.
func (r Run) unrecordedProblems() []problem {
	keepsRecords := r.Policy["records"] != ""
	var complaints []complaint
	r.each(unrecorded, func(region Region, image Image) {
		reason, _ := image.reason(unrecordedCode)
		complaints = append(complaints, complaint{r.label(region, image), "", reason.Detail})
	})
	remedy := "If a run announced it whose records are kept elsewhere, set RECORDS to that place. Else somebody wrote these tags by hand: find out " +
		"who may tag images, and take the tags off: aws ec2 delete-tags --resources IMAGE_ID --tags Key=ami-janitor:due Key=ami-janitor:announced-by " +
		"Key=ami-janitor:disabled. What is disabled, enable yourself if it is needed."
	if !keepsRecords {
		remedy = "Set RECORDS to a bucket or a directory that outlives the run. Only from its own records can a run tell its announcement from a tag that " +
			"anybody can write."
	}
	problems := grouped(complaints, func(string) string { return remedy }, func(n int) string {
		return count(n, "AMI") + " stayed, as they are: no record bears out what their tags say of an announcement."
	})
	if announces := r.count(isNew); announces > 0 && !keepsRecords && len(problems) == 0 {
		problems = append(problems, problem{
			what: fmt.Sprintf("%s announced for removal without a record: no later run will remove them.", countIs(announces, "AMI")),
			todo: remedy,
		})
	}
	return problems
}

func countIs(n int, what string) string {
	if n == 1 {
		return count(n, what) + " is"
	}
	return count(n, what) + " are"
}

// elsewhere images are announced for removal by another policy.
func elsewhere(i Image) bool {
	return kept(i) && i.AnnouncedBy != "" && i.Unmark == retention.LeaveMark
}

// objectedElsewhere images are announced by another policy, and this run objects to that.
func objectedElsewhere(i Image) bool {
	return kept(i) && i.AnnouncedBy != "" && i.Unmark == retention.Veto && !isBack(i)
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

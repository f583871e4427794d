package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/plain"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// question says all that a plan is going to do, and how it can be undone, each on a line.
func question(plan record.Run) []string {
	t, a := plan.Totals, plan.Totals.Amounts.WouldRemove
	lines := []string{fmt.Sprintf("Deregister %s and delete %s of %s in %s: %s GiB, up to %s a month.",
		digest.Count(t.WouldDeregister, "image"), digest.Count(t.SnapshotsWouldDelete, "snapshot"), accountOf(plan), digest.List(fewRegions(plan)),
		digest.Thousands(a.GiB), digest.Money(a.MonthlyUpTo))}
	lines = append(lines, wayBack(plan)...)
	add := func(n int, what string) {
		if n > 0 {
			lines = append(lines, what+" "+digest.Count(n, "image")+".")
		}
	}
	announced, restored, copied := tagged(plan)
	add(t.Marked, "Announce the removal of")
	add(announced, "Take back the announced removal of")
	add(restored, "Note the return of")
	add(copied, "Take copied tags off")
	if left := leftoversToDelete(plan); left > 0 {
		lines = append(lines, "Of the snapshots, earlier runs have left "+digest.Thousands(int64(left))+".")
	}
	return lines
}

// wayBack says how many of the images that go cannot be restored, and how the others can: the
// command is behind a line break.
func wayBack(plan record.Run) []string {
	if plan.Totals.WouldDeregister == 0 {
		return nil
	}
	var lines []string
	lost := plan.Acting().Count(func(i record.Image) bool { return i.Planned() && cannotBeRestored(i) })
	doubtful := plan.Acting().Count(func(i record.Image) bool { return i.Planned() && lacksSnapshot(i) })
	rest := plan.Totals.WouldDeregister - lost - doubtful
	if lost > 0 {
		lines = append(lines, digest.Count(lost, "image")+" CANNOT BE RESTORED: the Recycle Bin takes only images that are backed by EBS.")
	}
	undo := "\n" + plan.Reader.Command("undo "+plain.Printable(plan.Run))
	switch {
	case doubtful == 1:
		lines = append(lines, "1 image is "+perhapsNoWayBack+": a snapshot of it is not among the account's.")
	case doubtful > 1:
		lines = append(lines, digest.Count(doubtful, "image")+" are "+perhapsNoWayBack+": a snapshot of each is not among the account's.")
	}
	the := "The "
	if lost+doubtful > 0 {
		the += "other "
	}
	days, _ := strconv.Atoi(plan.Policy["recycleBinDays"])
	switch {
	case rest == 0 && doubtful > 0:
		lines[len(lines)-1] += " What comes back does so with:" + undo
	case rest == 0:
	case plan.Policy["requireRecycleBin"] != "true":
		lines = append(lines, "Nobody has looked whether the Recycle Bin holds "+strings.ToLower(the)+
			digest.Count(rest, "image")+" ("+record.Flag("REQUIRE_RECYCLE_BIN")+"=false). What it holds comes back with:"+undo)
	case days == 0:
		lines = append(lines, the+digest.Count(rest, "image")+" can be restored as long as the Recycle Bin holds them:"+undo)
	default:
		lines = append(lines, the+digest.Count(rest, "image")+" can be restored until "+
			plan.StartedAt.AddDate(0, 0, days).UTC().Format("2 January 2006")+" at least:"+undo)
	}
	return lines
}

// tagged counts the kept images whose tags a plan changes: it takes back an announced removal,
// notes that an image was restored, or takes copied tags off. Regions that are left to another run
// do not count.
func tagged(plan record.Run) (announced, restored, copied int) {
	for _, region := range plan.Regions {
		for _, image := range region.Images {
			switch {
			case region.Busy:
			case image.IsNoted():
				restored++
			case image.CopiedTags != "":
				copied++
			case image.Unmark != retention.LeaveMark:
				announced++
			}
		}
	}
	return announced, restored, copied
}

// leftoversToDelete counts the snapshots of earlier runs that a plan deletes, without regions that
// are only planned.
func leftoversToDelete(plan record.Run) int {
	n := 0
	plan.EachLeftover(func(region record.Region, l record.Leftover) {
		if l.Verdict == record.DeleteSnapshot && region.Hold == "" {
			n++
		}
	})
	return n
}

// typeYes ends every question.
const typeYes = "Type yes to do this: "

// ask writes the table of all that changes, the policy, what of an approved plan is left alone, and
// the question.
func ask(plan record.Run, changed string, width int, colour bool) string {
	s := newSheet(width, colour)
	_, listed, _ := unfiltered.rows(plan)
	s.tables(plan, listed)
	s.problems(plan)
	s.WriteByte('\n')
	s.paragraph("", "Policy: "+strings.TrimSpace(plain.Printable(plan.PolicySentence)))
	s.WriteByte('\n')
	if changed != "" {
		s.paragraph("", changed)
	}
	for _, line := range question(plan) {
		s.withCommand(line)
	}
	s.WriteString(typeYes)
	return s.String()
}

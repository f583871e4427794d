package digest

import (
	"strings"

	"github.com/ami-janitor/ami-janitor/pkg/plain"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// besides says in a line each, for so many things, what else the run saw or did. Full has the
// details.
func (r run) besides(most int) Section {
	var items []Item
	add := func(lines ...string) {
		for _, line := range lines {
			if line != "" {
				items = append(items, Item{Label: plain.Clip(line, longestLine)})
			}
		}
	}
	add(r.keptInBrief(), r.unasked())
	add(r.skippedInBrief()...)
	add(r.leftToOthers()...)
	add(r.copiedInBrief(), r.unattachedInBrief(), r.ownersInBrief())
	add(r.leftoversInBrief()...)
	add(r.bundlesInBrief()...)
	if r.Totals.OrphanedSnapshots > 0 {
		add(r.orphansInShort() + ".")
	}
	for i, gap := range r.orphansGaps() {
		if i < mostInShort {
			add("Snapshots whose AMI is gone were not looked for in " + gap.Label + ": " + gap.Says)
		}
	}
	if len(items) == 0 {
		return Section{}
	}
	shown := min(most, len(items))
	return Section{Title: "Besides", Groups: []Group{{Items: items[:shown], More: len(items) - shown}}}
}

// longestLine is the room for something that is said besides, in bytes.
const longestLine = 300

// skippedInBrief says why images that were due were left alone, a line for each reason. What a hold
// or a stop is about is among the problems.
func (r run) skippedInBrief() []string {
	var lines []string
	reasons := r.acting().skippedByReason()
	for i, reason := range reasons {
		if i == mostInShort {
			lines = append(lines, "AMIs were skipped for "+count(len(reasons)-i, "more reason")+".")
			break
		}
		if len(reason.images) == 1 {
			one := reason.images[0]
			lines = append(lines, strings.TrimSuffix(one.name("")+" was skipped: "+reason.why+": "+one.Says, ": ")+".")
		} else {
			lines = append(lines, count(len(reason.images), "AMI")+" were skipped: "+reason.why+".")
		}
	}
	return lines
}

// leftToOthers names the regions that were left to another run. Regions on hold are among the
// problems.
func (r run) leftToOthers() []string {
	var regions []string
	alone := 0
	for _, region := range r.Regions {
		if region.Busy {
			regions = append(regions, plain.Text(region.Region))
			alone += region.Count(record.Image.LeftAlone)
		}
	}
	if len(regions) == 0 {
		return nil
	}
	line := "Another run was at work in " + fewRegions(regions)
	if alone > 0 {
		line += ", and " + r.wereLeftAlone(alone) + " there"
	}
	return []string{line + "."}
}

// leftoversInBrief says what became of the snapshots that earlier runs had left.
func (r run) leftoversInBrief() []string {
	if r.Totals.LeftoversFinished+leftoversToDelete(r.Run) == 0 {
		return nil
	}
	if r.DryRun {
		return []string{count(leftoversToDelete(r.Run), "snapshot") + " that earlier runs left would be deleted."}
	}
	return []string{thousands(int64(r.Totals.LeftoversFinished)) + " of " + count(leftoversToDelete(r.Run), "snapshot") + " that earlier runs left were deleted."}
}

func (r run) copiedInBrief() string {
	n := r.Count(record.Image.Copied)
	switch {
	case n == 0:
		return ""
	case r.DryRun:
		return "Copied tags would come off " + count(n, "AMI") + "."
	default:
		return "Copied tags come off " + count(n, "AMI") + "."
	}
}

func (r run) unattachedInBrief() string {
	n := r.Count(hasUnattachedSnapshot)
	if n == 0 {
		return ""
	}
	return "Snapshots were deleted of " + count(n, "AMI") + " whose deregistration this run has not seen confirmed."
}

// snapshotsToLookAt are the first of the snapshots that stay until a person deletes them.
func (r run) snapshotsToLookAt() Section {
	s := r.acting().snapshotsThatStay()
	for i := range s.Groups {
		g := &s.Groups[i]
		if more := len(g.Items) - mostSubjects; more > 0 {
			g.Items, g.More = g.Items[:mostSubjects], g.More+more
		}
	}
	if !s.isEmpty() {
		s.Intro = says("No AMI needs them any more, and they have a life of their own. Look at what one holds, then:")
	}
	return s
}

// uncoveredAtFirst says what no source looks at, in the first digest.
func (r run) uncoveredAtFirst(room room) Section {
	if !r.FirstRun || room == roomInLongest {
		return Section{}
	}
	return Section{
		Title:  "What no lookup covers",
		Intro:  says("Tag what is used only there " + keepTag + ":"),
		Groups: []Group{{Items: r.uncoveredUses()}},
	}
}

// aboutInBrief says by which policy the run judged, and where the rest is.
func (r run) aboutInBrief() Section {
	rows := r.links()
	if r.Reader.Stack+r.Reader.Function != "" {
		rows = append(rows, []string{"Why", r.Reader.Command("explain IMAGE_ID")})
	}
	rows = append(rows, []string{"Policy", r.policyInBrief()})
	return Section{Groups: []Group{{Columns: Columns{Align: "ll", Rows: rows}}}}
}

// policyInBrief says how the policy differs from the defaults.
func (r run) policyInBrief() string {
	if r.Changed == nil {
		return plain.Printable(r.PolicySentence) + whosePolicy(r.Reader)
	}
	var changed []string
	for _, s := range r.Changed {
		changed = append(changed, r.Reader.Setting(s.Variable)+"="+plain.Clip(plain.Location(s.Value), shortest))
	}
	if len(changed) == 0 {
		return "the defaults." + whosePolicy(r.Reader)
	}
	return "the defaults, but for " + strings.Join(changed, ", ") + "." + whosePolicy(r.Reader)
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

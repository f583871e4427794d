package report

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"time"

	"ami-janitor/pkg/ami"
	"ami-janitor/pkg/retention"
)

// unproven images stay only for want of a proof that nothing needs them, or of a way back. One that only waits for a usage report is
// none of them: the run has asked for that, and nobody else has to do anything.
func unproven(i Image) bool {
	if skipped(i) {
		return retention.Code(i.Outcome.Code).IsUnproven()
	}
	return kept(i) && i.whyUnproven().Code != "" && !slices.ContainsFunc(i.Reasons, func(reason retention.Reason) bool { return !reason.Code.IsUnproven() })
}

// whyUnproven is the first reason for which an image stays unproven, but that a usage report is awaited.
func (i Image) whyUnproven() retention.Reason {
	at := slices.IndexFunc(i.Reasons, func(reason retention.Reason) bool {
		return reason.Code.IsUnproven() && reason.Code != ami.ReasonUsageReportPending
	})
	if at < 0 {
		return retention.Reason{}
	}
	return i.Reasons[at]
}

// unproven counts the unproven images of a region. One that is left to another run is that run's to prove.
func (g Region) unproven() int {
	if g.Busy {
		return 0
	}
	return countImages(g.Images, unproven)
}

// nothingProven reports whether a run could prove nothing in a region: there were candidates, and all of them are unproven.
func nothingProven(g Region) bool {
	return g.unproven() > 0 && !slices.ContainsFunc(g.Images, func(i Image) bool {
		return !unproven(i) && (i.Verdict != retention.Keep || i.mainReason().Code.IsOfCandidates())
	})
}

// LacksProof reports whether a run, dry or not, has left something alone for want of a proof or of a way back: images, snapshots whose
// images are gone, the regions that could only be planned, or a region that another policy, or a run that began more than a day ago, has kept for itself. A
// person has to do something about it, and until then it looks as if there were nothing to do.
func (r Run) LacksProof() bool {
	return r.Totals.Unproven > 0 || r.count(launchDataMissing) > 0 || r.HeldRegions() > 0 ||
		r.countRegions(func(g Region) bool { return r.isKeptFrom(g) || g.remainsUnproven() || g.leavesApart() }) > 0
}

// remainsUnproven reports whether it is not known of some snapshots, whose images are gone, what needs them.
func (g Region) remainsUnproven() bool { return g.RemainsGap != "" && !g.Busy }

// leavesApart reports whether an earlier run has left a snapshot that only a person can delete.
func (g Region) leavesApart() bool {
	return !g.Busy && slices.ContainsFunc(g.Finished, func(f Finished) bool { return f.Apart })
}

// remainsProblems says what to do about the snapshots of which that is not known.
func (r Run) remainsProblems() []problem {
	var complaints []complaint
	for _, region := range r.Regions {
		if region.remainsUnproven() {
			complaints = append(complaints, complaint{neutral(region.Region), "", region.RemainsGap})
		}
	}
	return grouped(complaints, lookupRemedy, func(int) string {
		return "Snapshots whose AMIs are gone were left out of account: a lookup failed, so nobody knows what needs them."
	})
}

// isKeptFrom reports whether a region is left to a run that may do so every night: to one of another policy, or to one that began more
// than a day before this one, because none is at work for so long.
func (r Run) isKeptFrom(g Region) bool { return g.Busy && (g.BusyPolicy != "" || r.isBusyForLong(g)) }

func (r Run) isBusyForLong(g Region) bool {
	return retention.BeganBefore(g.BusyRun, r.StartedAt.Add(-24*time.Hour))
}

// leads reports whether the digest begins with what could not be proven: where a region could prove nothing, and where that is all
// there is to say, because nothing was done.
func (r Run) leads() bool { return r.countRegions(nothingProven) > 0 || len(r.deeds()) == 0 }

// lead is what the digest begins with. That launch data is missing is the first thing to know in any case.
func (r Run) lead() []problem {
	if !r.leads() {
		return r.worded(r.launchDataProblems())
	}
	return r.worded(slices.Concat(r.failedProblems(), r.launchDataProblems(), r.heldProblems(), r.busyProblems(), r.unprovenProblems(), r.remainsProblems()))
}

// busyProblems says what to do about the regions that another run keeps for itself.
func (r Run) busyProblems() []problem {
	var problems []problem
	for _, region := range r.Regions {
		if !r.isKeptFrom(region) {
			continue
		}
		name, run := neutral(region.Region), neutral(region.BusyRun)
		p := problem{cases: []problemCase{{faultText(region.whyUnreached()), []string{name}}}}
		if r.isBusyForLong(region) {
			p.what = name + " is left to run " + run + " for more than a day, and nothing was done there."
			p.todo = "See whether that run is still at work. If it is not, the date in its lock is wrong: move locks/" + name + ".json away from " +
				"where {RECORDS} says."
			p.short = "Region left to a run for over a day"
		} else {
			p.what = name + " was left to run " + run + " of policy " + faultText(region.BusyPolicy) + ", and nothing was done there."
			p.todo = "Schedule the two policies at different hours: the records that they share allow one run at a time in a region."
			p.short = "Region left to another policy"
		}
		problems = append(problems, p)
	}
	return problems
}

// unprovenProblems makes one problem of all unproven images that have the same remedy, and of each error one case; what keeps most
// images comes first.
func (r Run) unprovenProblems() []problem {
	var problems []problem
	for _, rule := range retention.Rules() {
		if rule.Code != ami.ReasonLaunchDataMissing { // It has a problem of its own.
			problems = append(problems, r.unprovenFor(rule)...)
		}
	}
	slices.SortStableFunc(problems, func(a, b problem) int { return b.keeps - a.keeps })
	return problems
}

// unprovenFor are the problems of the images that one rule keeps.
func (r Run) unprovenFor(rule retention.Rule) []problem {
	total, stayed := map[string]int{}, map[string]map[[2]int]bool{} // By error, and by what to do about it: once for each image.
	var complaints []complaint
	remedy := adviceOr(otherwise(rule), whatWasDenied)
	for n, region := range r.Regions {
		for _, gap := range region.Gaps {
			if gap.Code != rule.Code {
				continue
			}
			complaints = append(complaints, complaint{r.inRegion(gap.subject(region), region), "", gap.Detail})
			total[gap.Detail] += gap.Images
			todo := remedy(gap.Detail)
			if stayed[todo] == nil {
				stayed[todo] = map[[2]int]bool{}
			}
			for _, at := range gap.at {
				stayed[todo][[2]int{n, at}] = true
			}
		}
	}
	slices.SortStableFunc(complaints, func(a, b complaint) int {
		return cmp.Or(total[b.fault]-total[a.fault], strings.Compare(a.fault, b.fault))
	})
	problems := grouped(complaints, remedy, func(int) string { return "" })
	for i := range problems {
		p := &problems[i]
		p.keeps = len(stayed[p.todo])
		p.what = count(p.keeps, "stale AMI") + " stayed: " + whyStayed(rule, strings.HasPrefix(p.todo, soAgain))
		if more := len(p.cases) - mostErrors; more > 0 {
			p.cases = append(p.cases[:mostErrors], problemCase{count(more, "more error") + " of this kind", []string{"and"}})
		}
	}
	return problems
}

// mostErrors is how many errors are listed for each remedy.
const mostErrors = 10

// itsSnapshot begins a detail that is the same for other images, but for a snapshot.
var itsSnapshot = regexp.MustCompile(`^(its snapshot )?snap-[0-9a-z]+: `)

// whyStayed says in a sentence why images stayed, after "stayed:". Late says that there was no time to look them up.
func whyStayed(rule retention.Rule, late bool) string {
	switch {
	case late:
		return "the time for lookups was up, so non-use is not proven."
	case rule.Code == ami.ReasonUnknownUse:
		return "a lookup failed, so non-use is not proven."
	case rule.Code == ami.ReasonNotRestorable:
		return "none could be restored from the Recycle Bin."
	default:
		return "each " + strings.TrimSuffix(rule.Meaning, ".") + "."
	}
}

// lookAgain is what to do about a lookup that has failed where the error says nothing better.
const lookAgain = "The next run looks again. If the lookup fails again, begin with the error."

func lookupRemedy(fault string) string { return adviceOr(lookAgain, whatWasDenied)(fault) }

// otherwise is what to do where the error says nothing better.
func otherwise(rule retention.Rule) string {
	if rule.Code == ami.ReasonUnknownUse {
		return lookAgain
	}
	return "They stay until " + rule.Until + "."
}

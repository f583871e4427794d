package digest

import (
	"cmp"
	"slices"
	"strings"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/plain"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// remainsProblems says what to do about snapshots without an image that could not be looked up.
func (r run) remainsProblems() []Problem {
	var complaints []complaint
	for _, region := range r.Regions {
		if region.RemainsUnproven() {
			complaints = append(complaints, complaint{plain.Text(region.Region), "", region.RemainsGap})
		}
	}
	return grouped(complaints, lookupRemedy, func(int) string {
		return "Snapshots whose AMIs are gone were left out of account: a lookup failed, so nobody knows what needs them."
	})
}

// leads reports whether the digest begins with what could not be proven: a region could prove
// nothing, or nothing was done.
func (r run) leads() bool {
	return r.CountRegions(record.Region.NothingProven) > 0 || len(r.actions()) == 0
}

// lead is what the digest begins with. Missing launch data comes first in any case.
func (r run) lead() []Problem {
	if !r.leads() {
		return r.worded(r.launchDataProblems())
	}
	return r.worded(slices.Concat(r.failedProblems(), r.launchDataProblems(), r.heldProblems(), r.busyProblems(), r.unprovenProblems(), r.remainsProblems()))
}

// busyProblems says what to do about the regions that another run keeps for itself.
func (r run) busyProblems() []Problem {
	var problems []Problem
	for _, region := range r.Regions {
		if !r.IsKeptFrom(region) {
			continue
		}
		name, run := plain.Text(region.Region), plain.Text(region.BusyRun)
		p := Problem{Cases: []Case{{Fault: faultText(region.WhyUnreached()), Subjects: []string{name}}}}
		if r.IsBusyForLong(region) {
			p.What = name + " is left to run " + run + " for more than a day, and nothing was done there."
			p.Todo = "See whether that run is still at work. If it is not, the date in its lock is wrong: move locks/" + name + ".json away from " +
				"where {RECORDS} says."
			p.Short = "Region left to a run for over a day"
		} else {
			p.What = name + " was left to run " + run + " of policy " + faultText(region.BusyPolicy) + ", and nothing was done there."
			p.Todo = "Schedule the two policies at different hours: the records that they share allow one run at a time in a region."
			p.Short = "Region left to another policy"
		}
		problems = append(problems, p)
	}
	return problems
}

// unprovenProblems makes one problem of all unproven images with the same remedy, and one case of
// each error; what keeps most images comes first.
func (r run) unprovenProblems() []Problem {
	var problems []Problem
	for _, rule := range retention.Rules() {
		if rule.Code != ami.ReasonLaunchDataMissing { // It has a problem of its own.
			problems = append(problems, r.unprovenFor(rule)...)
		}
	}
	slices.SortStableFunc(problems, func(a, b Problem) int { return b.n - a.n })
	return problems
}

// unprovenFor are the problems of the images that one rule keeps.
func (r run) unprovenFor(rule retention.Rule) []Problem {
	// By error, and by what to do about it: once for each image.
	total, stayed := map[string]int{}, map[string]map[[2]int]bool{}
	var complaints []complaint
	remedy := adviceOr(otherwise(rule), whatWasDenied)
	for n, region := range r.Regions {
		for _, gap := range region.Gaps {
			if gap.Code != rule.Code {
				continue
			}
			complaints = append(complaints, complaint{r.inRegion(subject(gap, region), region), "", gap.Detail})
			total[gap.Detail] += gap.Images
			todo := remedy(gap.Detail)
			if stayed[todo] == nil {
				stayed[todo] = map[[2]int]bool{}
			}
			for _, at := range gap.At {
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
		p.n = len(stayed[p.Todo])
		p.says = func(n int) string {
			return count(n, "stale AMI") + " stayed: " + whyStayed(n, rule, strings.HasPrefix(p.Todo, soAgain))
		}
		p.What = p.says(p.n)
		p.clip(mostErrors)
	}
	return problems
}

// mostErrors is how many errors are listed for each remedy.
const mostErrors = 10

// whyStayed says in a sentence why so many images stayed, after "stayed:". Late means that there
// was no time to look them up.
func whyStayed(n int, rule retention.Rule, late bool) string {
	switch {
	case late:
		return "the time for lookups was up, so use is not ruled out."
	case rule.Code == ami.ReasonUnknownUse:
		return "a lookup failed, so use is not ruled out."
	case rule.Code == ami.ReasonNotRestorable:
		return "the Recycle Bin would not hold " + map[bool]string{true: "it", false: "them"}[n == 1] + "."
	default:
		return "each " + strings.TrimSuffix(rule.Meaning, ".") + "."
	}
}

// lookAgain is what to do about a lookup that failed, if the error says nothing better.
const lookAgain = "The next run looks again. If the lookup fails again, begin with the error."

func lookupRemedy(fault string) string { return adviceOr(lookAgain, whatWasDenied)(fault) }

// otherwise is what to do if the error says nothing better.
func otherwise(rule retention.Rule) string {
	if rule.Code == ami.ReasonUnknownUse {
		return lookAgain
	}
	return "They stay until " + rule.Until + "."
}

package retention

import (
	"slices"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
)

// LookUpNext returns, by region, the images that EC2 has to be asked about before plans can be
// carried out: those within the caps that are not looked up, and those that are announced. With
// them come the originals of copies. Where any are needed, further images that wait make up the
// number to atLeast. In each region at least one is asked about: so a run tells of every missing
// right. The stalest come first. It is empty once the plans remove and announce what they would if
// all candidates were looked up.
func (a *Account) LookUpNext(evidence map[string]ami.Evidence, plans []Plan, atLeast int) map[string][]string {
	type place struct{ region, id string }
	next, isNext := map[string][]string{}, map[place]bool{}
	add := func(region, id string) {
		if at := (place{region, id}); !isNext[at] {
			next[region], isNext[at] = append(next[region], id), true
		}
	}
	for i, r := range a.with(evidence) {
		wasAsked := false
		for n := range r.images {
			wasAsked = wasAsked || evidence[r.Region].Images[r.images[n].ID].Asked
		}
		for _, isWanted := range []func(*Verdict) bool{
			func(v *Verdict) bool { return v.LookUp },
			func(v *Verdict) bool {
				return v.Awaits != "" && 0 < len(next[r.Region]) && len(next[r.Region]) < atLeast
			},
			func(v *Verdict) bool { return !wasAsked && len(next[r.Region]) == 0 && !isLate(v) },
		} {
			for n := range plans[i].Verdicts {
				if isWanted(&plans[i].Verdicts[n]) {
					r.addUnasked(&r.images[n], add)
				}
			}
		}
	}
	return next
}

// isLate reports whether there was no time for a listing: there is none for an image either.
func isLate(v *Verdict) bool {
	return slices.ContainsFunc(v.Gaps, func(gap ami.Gap) bool { return gap.Err == ami.NotReached })
}

// addUnasked adds an image, and the one that it is a copy of, if EC2 has to be asked about them.
func (r *regionFacts) addUnasked(image *imageFacts, add func(region, id string)) {
	if isToAsk(ami.Everywhere(r.evidence, r.Region, image.ID)) {
		add(r.Region, image.ID)
	}
	if id, region, ok := image.CopiedFrom(r.Region); ok && isToAsk(ami.Everywhere(r.evidence, region, id)) {
		add(region, id)
	}
}

// isToAsk reports whether EC2 can be asked about an image that nothing is known to name.
func isToAsk(finding ami.Finding) bool { return finding.MayAsk && usedBy(finding) == "" }

// mayBeObjectedTo reports whether an answer of EC2 may still take back what announces an image.
func (r *regionFacts) mayBeObjectedTo(image *imageFacts) bool {
	isOpen := false
	if image.own.isMarked() {
		r.addUnasked(image, func(string, string) { isOpen = true })
	}
	return isOpen
}

// notLookedUp says of an image that listings do not name that EC2 has to be asked about it, or
// about the image that it is a copy of; empty if EC2 was asked.
func (r *regionFacts) notLookedUp(image *imageFacts) string {
	if isUnasked(ami.Everywhere(r.evidence, r.Region, image.ID)) {
		return "what refers to it is looked up when it is its turn"
	}
	if id, region := r.unaskedOriginal(image); id != "" {
		return "what refers to " + id + " in " + region + ", of which it is a copy, is looked up when it is its turn"
	}
	return ""
}

func isUnasked(finding ami.Finding) bool { return finding.Use == ami.Unasked && len(finding.Gaps) == 0 }

// unaskedOriginal returns the original of a copy, and its region, if EC2 has to be asked about it.
func (r *regionFacts) unaskedOriginal(image *imageFacts) (id, region string) {
	if id, region, ok := image.CopiedFrom(r.Region); ok && isUnasked(ami.Everywhere(r.evidence, region, id)) {
		return id, region
	}
	return "", ""
}

// await defers an image that no rule keeps until it is looked up, if there is something to wait
// for. An announcement whose day has not come stays. What EC2 has refused is looked up: it is told
// of every night.
func (v *Verdict) await(lookup string) {
	if lookup == "" {
		return
	}
	v.LookUp = v.LookUp || v.Decision == Defer
	if v.Decision == Deregister || v.Decision == Mark {
		v.Awaits = v.Decision
		v.postpone()
	}
	v.Reasons = append(v.Reasons, Reason{ami.ReasonNotLookedUp, lookup})
}

// postpone leaves an image to a later run.
func (v *Verdict) postpone() {
	if v.Decision == Mark {
		v.Due, v.Action = time.Time{}, ""
	}
	v.Decision = Defer
}

package retention

import (
	"cmp"
	"slices"
	"time"

	"ami-janitor/pkg/ami"
)

// Explanation is all that the policy has to say of one image.
type Explanation struct {
	Verdict   Verdict // Its snapshots are those that the image has, whatever becomes of it.
	Hearings  []Hearing
	Gaps      []ami.Gap // All lookups that could not be completed, whatever else keeps the image.
	LastUse   string    // For example "last launched 2026-01-02, 325 days ago".
	StaleFrom time.Time // When the image has been idle for longer than its limit; zero if it has no readable date.
	Hold      string    // Why nothing of the plan of its region may be carried out, whatever the verdict; empty if it may be.
}

// Hearing is what one keep rule says of an image. Its detail is empty if the rule has nothing to say.
type Hearing struct {
	Rule
	Detail string
}

// Explain lets every keep rule speak on one image of a region, those too that a plan does not come to. The evidence has to
// cover the image, whether it is a candidate or not. It reports false if the region has no such image.
func (a *Account) Explain(evidence map[string]ami.Evidence, region, imageID string) (Explanation, bool) {
	regions := a.with(evidence)
	plans := a.plan(regions)
	for i, d := range regions {
		at := slices.IndexFunc(plans[i].Verdicts, func(v Verdict) bool { return d.Region == region && v.Image.ID == imageID })
		if at >= 0 {
			explanation := d.explain(plans[i].Verdicts, at)
			explanation.Hold = plans[i].Hold
			return explanation, true
		}
	}
	return Explanation{}, false
}

// detail is what a verdict says for a reason: with whom snapshots are shared no rule knows.
func (v *Verdict) detail(code Code) string {
	at := slices.IndexFunc(v.Reasons, func(reason Reason) bool { return reason.Code == code })
	if at < 0 {
		return ""
	}
	return v.Reasons[at].Detail
}

func (d *docket) explain(verdicts []Verdict, at int) Explanation {
	verdict := verdicts[at]
	if verdict.Decision != Deregister {
		gone := slices.Clone(verdicts)
		gone[at].Decision = Deregister
		d.judgeSnapshots(gone)
		verdict.Snapshots = gone[at].Snapshots
	}
	image := &d.images[at]
	e := Explanation{Verdict: verdict, LastUse: image.last.ago(d.now)}
	if last := image.last.at; !last.IsZero() {
		e.StaleFrom = last.Add(time.Duration(d.policy.idleLimit(image)))
	} else {
		e.LastUse = "no date on record"
	}
	for _, rule := range slices.Concat(factRules, evidenceRules) {
		e.Hearings = append(e.Hearings, Hearing{rule.Rule, cmp.Or(rule.speak(d, image), verdict.detail(rule.Code))})
	}
	if e.Gaps = verdict.Gaps; len(e.Gaps) == 0 && unknownUse(d, image) != "" {
		e.Gaps = d.gaps(image)
	}
	return e
}

package retention

import (
	"cmp"
	"slices"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
)

// Explanation is all that the policy has to say of one image.
type Explanation struct {
	Verdict   Verdict // Its snapshots are those that the image has, whatever becomes of it.
	Results   []RuleResult
	Gaps      []ami.Gap // All lookups that could not be completed, whatever else keeps the image.
	LastUse   string    // For example "last launched 2026-01-02, 325 days ago".
	StaleFrom time.Time // When the image has been idle for longer than its limit; zero if it has no readable date.
	Hold      string    // Why nothing of the plan of its region may be carried out, whatever the verdict; empty if it may be.
}

// RuleResult is what one keep rule says of an image. Its detail is empty if the rule does not keep
// it.
type RuleResult struct {
	Rule
	Detail string
}

// Explain applies every keep rule to one image of a region, those too that a plan does not come to.
// The evidence has to cover the image, whether it is a candidate or not. It reports false if the
// region has no such image.
func (a *Account) Explain(evidence map[string]ami.Evidence, region, imageID string) (Explanation, bool) {
	regions := a.with(evidence)
	plans := a.plan(regions)
	for i, r := range regions {
		at := slices.IndexFunc(plans[i].Verdicts, func(v Verdict) bool { return r.Region == region && v.Image.ID == imageID })
		if at >= 0 {
			explanation := r.explain(plans[i].Verdicts, at)
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

func (r *regionFacts) explain(verdicts []Verdict, at int) Explanation {
	verdict := verdicts[at]
	if verdict.Decision != Deregister {
		gone := slices.Clone(verdicts)
		gone[at].Decision = Deregister
		r.judgeSnapshots(gone)
		verdict.Snapshots = gone[at].Snapshots
	}
	image := &r.images[at]
	e := Explanation{Verdict: verdict, LastUse: image.last.ago(r.now)}
	if last := image.last.at; !last.IsZero() {
		e.StaleFrom = last.Add(time.Duration(r.policy.idleLimit(image)))
	} else {
		e.LastUse = "no date on record"
	}
	for _, rule := range slices.Concat(factRules, evidenceRules) {
		e.Results = append(e.Results, RuleResult{rule.Rule, cmp.Or(rule.keeps(r, image), verdict.detail(rule.Code))})
	}
	if e.Gaps = verdict.Gaps; len(e.Gaps) == 0 && unknownUse(r, image) != "" {
		e.Gaps = r.gaps(image)
	}
	return e
}

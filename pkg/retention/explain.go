package retention

import (
	"cmp"
	"slices"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
)

// Explanation is everything that the policy says about one image.
type Explanation struct {
	Verdict Verdict // It includes the image's snapshots, whatever the decision.
	Results []RuleResult
	Gaps    []ami.Gap // All lookups that could not be completed, whatever else keeps the image.
	LastUse string    // For example "last launched 2026-01-02, 325 days ago".
	// When the image has been idle for longer than its limit, and, if failed images are judged, it
	// has been failed for so long; zero if it has no readable date.
	StaleFrom time.Time
	Hold      string // Why nothing of the region's plan may be carried out; empty if it may.
}

// RuleResult is the result of one keep rule for an image. Its detail is empty if the rule does not
// keep it.
type RuleResult struct {
	Rule
	Detail string
}

// Explain applies every keep rule to one image of a region, also those that a plan does not reach.
// The evidence must cover the image, even if it is no candidate. It reports false if the region has
// no such image.
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

// detail is the verdict's text for a reason. With whom snapshots are shared is known to no rule.
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
		if verdict.Image.S3Location != "" && r.policy.DeleteBundles {
			verdict.Bundle = r.judgeBundle(verdict.Image.ID, verdict.Image.S3Location)
		}
	}
	image := &r.images[at]
	e := Explanation{Verdict: verdict, LastUse: image.last.ago(r.now)}
	if last := image.last.at; !last.IsZero() {
		e.StaleFrom = last.Add(time.Duration(r.policy.idleLimit(image)))
		if r.policy.JudgeFailed && image.State == failed && !image.CreatedAt.IsZero() {
			e.StaleFrom = slices.MaxFunc([]time.Time{e.StaleFrom, r.policy.failedLongEnough(image)}, time.Time.Compare)
		}
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

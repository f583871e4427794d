package retention

import "github.com/ami-janitor/ami-janitor/pkg/ami"

// refusedFor is how long an image waits after EC2 refused its removal. Tried in every run, some
// images that a policy or AWS Backup protects would use up the cap forever, and two minutes each. A
// week is short enough for an operator who lifts the deny; until then, every digest shows the
// image.
const refusedFor = 7 * Day

// yield sorts images last that could not be removed in their turn, and defers those whose removal
// EC2 refused.
func (r *regionFacts) yield(v *Verdict) {
	refusal, ok := r.History.Refused[v.Image.ID]
	if !ok || v.Decision != Deregister {
		return
	}
	v.Yields = true
	if again := refusal.At.Truncate(Day).Add(refusedFor); refusal.ByEC2 && r.now.Before(again) && r.now.Sub(refusal.At) > -refusedFor {
		v.Decision = Defer
		v.Reasons = append(v.Reasons, Reason{ami.ReasonRefused, "on " + date(refusal.At) + ", tried again from " + date(again) + ": " + refusal.Error})
	}
}

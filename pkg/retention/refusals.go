package retention

import "github.com/ami-janitor/ami-janitor/pkg/ami"

// refusedFor is how long an image waits whose removal EC2 has refused. Tried every night, some images that a policy or AWS Backup protects would take
// the cap for good, and two minutes each. A week is short enough for whoever has lifted the deny, and as long as nobody does, the
// image is told of every night all the same.
const refusedFor = 7 * Day

// yield has the images go behind all others that could not be removed when it was their turn, and those wait for a while whose
// removal EC2 has refused.
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

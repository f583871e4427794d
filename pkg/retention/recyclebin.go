package retention

import (
	"cmp"
	"fmt"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
)

// whyHeld says why nothing of a region's plan may be carried out; empty if it may.
func (r *regionFacts) whyHeld() string {
	if r.History.Busy != "" {
		return "run " + r.History.Busy + " was at work here at the same time"
	}
	return r.binGap
}

// hold puts a plan on hold. A plan with nothing to do is not held, unless another run is at work.
func (r *regionFacts) hold(plan *Plan) {
	plan.Busy, plan.BusyRun = r.History.Busy != "", r.History.Busy
	if r.History.BusyPolicy != r.policy.Name {
		plan.BusyPolicy = r.History.BusyPolicy
	}
	if plan.Busy || plan.wouldRemove() {
		plan.Hold = r.whyHeld()
	}
}

func (p *Plan) wouldRemove() bool {
	for i := range p.Verdicts {
		if v := &p.Verdicts[i]; v.Decision != Keep && v.Awaits == "" {
			return true
		}
	}
	for i := range p.Orphans {
		if o := &p.Orphans[i]; o.Decision == Deregister || o.Decision == Mark {
			return true
		}
	}
	for _, leftover := range p.Leftovers {
		if leftover.Delete {
			return true
		}
	}
	return false
}

// findBinGap says why the Recycle Bin of a region retains nothing that is removed there; empty if
// it does, or need not. Only the tag that declares a removal counts, because every removed resource
// has it.
func (p Policy) findBinGap(bin ami.RecycleBin) string {
	const gap = "no Recycle Bin rule covers what is to be removed: none is for "
	switch {
	case !p.RequireRecycleBin:
		return ""
	case !bin.Read:
		return cmp.Or(bin.Err, "the Recycle Bin was not looked at")
	case daysInBin(bin, ofImages, nil) == 0:
		return gap + "images tagged " + ami.IntentTag + "=" + ami.Intent
	case p.DeleteSnapshots && daysInBin(bin, ofSnapshots, nil) == 0:
		return gap + "snapshots tagged " + ami.IntentTag + "=" + ami.Intent
	default:
		return ""
	}
}

// notRestorable keeps an image that the Recycle Bin would not retain for long enough. An image
// cannot be restored without its snapshots; those that stay need no bin. If the bin retains nothing
// at all, the region is held instead.
func notRestorable(r *regionFacts, image *imageFacts) string {
	switch {
	case !r.policy.RequireRecycleBin:
		return ""
	case image.S3Location != "":
		return "its root device is an instance store, and the Recycle Bin takes only images that are backed by EBS"
	case len(image.SnapshotIDs) == 0 && image.State == failed:
		return "it failed before it had a snapshot, and AWS does not say whether the Recycle Bin takes in such an image"
	case len(image.SnapshotIDs) == 0:
		return "it has no snapshot, and the Recycle Bin takes only images that are backed by EBS"
	case r.binGap != "":
		return ""
	}
	days := daysInBin(r.Bin, ofImages, image.Tags)
	if fault := tooFew(r.Bin, ofImages, image.Tags, r.policy.RecycleBinDays); fault != "" {
		return fault
	}
	for _, id := range image.SnapshotIDs {
		fault := tooFew(r.Bin, ofSnapshots, r.snapshot(id).Tags, days)
		if fault != "" && r.keepsSnapshot(id) == "" {
			return "its snapshot " + id + ": " + fault
		}
	}
	return ""
}

// tooFew says why the Recycle Bin retains a resource with these tags and a declaration for fewer
// days than required; empty if it does not. 0 days are never enough.
func tooFew(bin ami.RecycleBin, ofImages bool, tags map[string]string, least int) string {
	switch days := daysInBin(bin, ofImages, tags); {
	case days <= 0:
		for _, rule := range bin.Rules {
			if tag := excludes(rule, tags); rule.Images == ofImages && tag.Key != "" {
				value, _ := declared(tags, tag.Key)
				return fmt.Sprintf("no Recycle Bin rule covers it, with the tags that it has: rule %s excludes %s=%s", rule.ID, tag.Key, value)
			}
		}
		return "no Recycle Bin rule covers it, with the tags that it has"
	case days < least:
		return fmt.Sprintf("the Recycle Bin would hold it for %s only, and not for %d", daysInWords(time.Duration(days)*Day), least)
	default:
		return ""
	}
}

// The resource type of a rule of the Recycle Bin.
const (
	ofImages    = true
	ofSnapshots = false
)

// daysInBin returns for how many days the Recycle Bin retains a resource with these tags and a
// declaration; 0 if it does not retain it.
func daysInBin(bin ami.RecycleBin, ofImages bool, tags map[string]string) int {
	days := 0
	for _, rule := range bin.Rules {
		if rule.Images == ofImages && covers(rule, tags) {
			days = max(days, rule.Days)
		}
	}
	return days
}

// covers is in doubt about rules for a key without a value, and reads them as the narrower ones.
func covers(rule ami.BinRule, tags map[string]string) bool {
	if excludes(rule, tags).Key != "" {
		return false
	}
	for _, tag := range rule.Tags {
		if value, ok := declared(tags, tag.Key); ok && tag.Value == value {
			return true
		}
	}
	return len(rule.Tags) == 0
}

// excludes returns the tag that excludes a resource with these tags from a rule; the zero value if
// there is none.
func excludes(rule ami.BinRule, tags map[string]string) ami.Tag {
	for _, tag := range rule.Excluded {
		if value, ok := declared(tags, tag.Key); ok && (tag.Value == "" || tag.Value == value) {
			return tag
		}
	}
	return ami.Tag{}
}

// declared returns the value of a tag once the removal of its resource is declared.
func declared(tags map[string]string, key string) (value string, ok bool) {
	if key == ami.IntentTag {
		return ami.Intent, true
	}
	value, ok = tags[key]
	return value, ok
}

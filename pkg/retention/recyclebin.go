package retention

import (
	"cmp"
	"fmt"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
)

// whyHeld says why nothing that is planned for a region may be carried out; empty if it may be.
func (r *regionFacts) whyHeld() string {
	if r.History.Busy != "" {
		return "run " + r.History.Busy + " was at work here at the same time"
	}
	return r.binGap
}

// hold holds a plan. One with nothing to do is none to hold, unless another run is at work.
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
		if p.Verdicts[i].Decision != Keep {
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

// findBinGap says why the Recycle Bin of a region takes in nothing of what is removed there; empty if it does, or need not.
// What matters is what the tag alone brings there that declares a removal.
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

// notRestorable keeps what the Recycle Bin would not hold for as long as it has to. Without its snapshots an image cannot be
// restored; those that stay anyway need no bin. Where the bin takes in nothing at all, the region is held instead.
func notRestorable(r *regionFacts, image *imageFacts) string {
	switch {
	case !r.policy.RequireRecycleBin:
		return ""
	case image.S3Location != "":
		return "its root device is an instance store, and the Recycle Bin takes only images that are backed by EBS"
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

// tooFew says why the Recycle Bin holds a resource with these tags, once its removal is declared, for fewer days than it has to; empty
// if it does not. None are never enough.
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

// What a rule of the Recycle Bin is for.
const (
	ofImages    = true
	ofSnapshots = false
)

// daysInBin returns for how many days the Recycle Bin holds a resource with these tags and the one that declares its
// removal; 0 if it does not take it.
func daysInBin(bin ami.RecycleBin, ofImages bool, tags map[string]string) int {
	days := 0
	for _, rule := range bin.Rules {
		if rule.Images == ofImages && covers(rule, tags) {
			days = max(days, rule.Days)
		}
	}
	return days
}

// covers is in doubt about rules for a key without a value, and takes them for what saves less.
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

// excludes returns the tag for which a rule leaves a resource with these tags out; the zero value if it does not.
func excludes(rule ami.BinRule, tags map[string]string) ami.Tag {
	for _, tag := range rule.Excluded {
		if value, ok := declared(tags, tag.Key); ok && (tag.Value == "" || tag.Value == value) {
			return tag
		}
	}
	return ami.Tag{}
}

// declared returns the value of a tag once the removal of its resource has been declared.
func declared(tags map[string]string, key string) (value string, ok bool) {
	if key == ami.IntentTag {
		return ami.Intent, true
	}
	value, ok = tags[key]
	return value, ok
}

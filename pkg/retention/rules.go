package retention

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"ami-janitor/pkg/ami"
)

// Code is the stable name of a reason.
type Code string

// Rule is a reason for which an image is kept, deferred or removed.
type Rule struct {
	Code    Code
	Meaning string // Continues "the image …".
}

// keepRule speaks for keeping an image. It returns a phrase that says why, or an empty string if it has nothing to say.
type keepRule struct {
	Rule
	speak func(*docket, *ami.Image) string
}

// factRules are the keep rules that the inventory alone can decide. An image that none of them keeps is a candidate.
var factRules = []keepRule{
	{Rule{"not-owned", "does not belong to the account"}, notOwned},
	{Rule{"not-available", "is pending, failed or disabled"}, notAvailable},
	{Rule{"unreadable", "has a fact that cannot be read"}, unreadable},
	{Rule{"future-dated", "was created or used at a time that has not come yet"}, futureDated},
	{Rule{"protected", "is protected against deregistration"}, protected},
	{Rule{"managed", "is managed by AWS Backup or another service"}, managed},
	{Rule{"public", "is public"}, public},
	{Rule{"keep-tag", "carries a keep tag"}, keepTagged},
	{Rule{"unreadable-tag", "carries a tag of the janitor that cannot be read or is out of bounds"}, unreadableTag},
	{Rule{"out-of-scope", "is outside what the janitor is told to judge"}, outOfScope},
	{Rule{"recently-used", "was created, launched, copied or restored not long ago"}, recentlyUsed},
	{Rule{"newest-of-family", "is among the newest of its family"}, newestOfFamily},
	{Rule{"snapshot-unclear", "has a snapshot whose facts cannot be read"}, snapshotUnclear},
	{Rule{"snapshot-locked", "has a locked snapshot, which would be left behind"}, snapshotLocked},
}

// evidenceRules are the keep rules that need evidence of use, which is collected of candidates alone.
var evidenceRules = []keepRule{
	{Rule{"shared", "may be launched by other accounts"}, shared},
	{Rule{"in-use", "is in use"}, inUse},
	{Rule{"unknown-use", "may be in use: a lookup could not be completed"}, unknownUse},
}

// The reasons of images that no rule keeps.
var (
	stale         = Rule{"stale", "has not been used for longer than the policy allows, and nothing refers to it"}
	neverLaunched = Rule{"never-launched", "was never launched for longer than the policy allows, and nothing refers to it"}
	overCap       = Rule{"over-cap", "has to wait for a later run: this one has reached its cap"}
)

// Rules returns every reason that a verdict can have.
func Rules() []Rule {
	var rules []Rule
	for _, r := range append(factRules, evidenceRules...) {
		rules = append(rules, r.Rule)
	}
	return append(rules, stale, neverLaunched, overCap)
}

func notOwned(d *docket, image *ami.Image) string {
	switch image.OwnerID {
	case "":
		return "its owner is not known"
	case d.account:
		return ""
	default:
		return "owned by account " + image.OwnerID
	}
}

func notAvailable(_ *docket, image *ami.Image) string {
	switch image.State {
	case "available":
		return ""
	case "":
		return "its state is not known"
	default:
		return "in state " + image.State
	}
}

func unreadable(d *docket, image *ami.Image) string {
	facts := image.Unreadable
	if copied, ok := d.copied[image.ID]; ok && copied.CreatedAt.IsZero() {
		facts = append(slices.Clip(facts), "the creation date of its copy "+copied.ID)
	}
	if image.CreatedAt.IsZero() && len(facts) == 0 {
		facts = []string{"no creation date"}
	}
	return strings.Join(facts, "; ")
}

func futureDated(d *docket, image *ami.Image) string {
	if last := d.lastUse(image); last.at.After(d.now) {
		return fmt.Sprintf("%s %s, which is in the future", last.event, last.at.Format(time.RFC3339))
	}
	return ""
}

// protected trusts nothing but "disabled" and an absent value: during the 24 hours of a protection's cooldown EC2 says
// "disabled after …" and still refuses (EC2 User Guide, "Protect an AMI from deregistration").
func protected(_ *docket, image *ami.Image) string {
	if image.Protection == "" || image.Protection == "disabled" {
		return ""
	}
	return "deregistration protection: " + image.Protection
}

func managed(d *docket, image *ami.Image) string {
	if manager := managerOf(image); manager != "" {
		return manager
	}
	for _, id := range image.SnapshotIDs {
		if manager := managerOfImageBySnapshot(d.snapshots[id]); manager != "" {
			return manager
		}
	}
	return ""
}

func public(_ *docket, image *ami.Image) string {
	if image.Public {
		return "everyone may launch it"
	}
	return ""
}

func keepTagged(d *docket, image *ami.Image) string { return d.policy.keptByTag(image.Tags) }

func unreadableTag(_ *docket, image *ami.Image) string {
	if own := readOwnTags(image.Tags); own != nil {
		return strings.Join(own.faults, "; ")
	}
	return ""
}

func outOfScope(d *docket, image *ami.Image) string {
	switch {
	case !d.policy.OnlyTags.all(image.Tags):
		return "its tags do not match " + d.policy.OnlyTags.String()
	case !d.policy.Names.match(image.Name):
		return "its name does not match " + d.policy.Names.String()
	default:
		return ""
	}
}

func recentlyUsed(d *docket, image *ami.Image) string {
	limit, last := d.policy.idleLimit(image), d.lastUse(image)
	undecided := last.at.IsZero() || last.at.After(d.now) || unreadableTag(d, image) != ""
	if undecided || d.now.Sub(last.at) > time.Duration(limit) {
		return ""
	}
	return last.ago(d.now)
}

func newestOfFamily(d *docket, image *ami.Image) string {
	family, ok := d.newest[image.ID]
	if !ok {
		return ""
	}
	if d.policy.KeepNewest == 1 {
		return "the newest of family " + family
	}
	return fmt.Sprintf("among the newest %d of family %s", d.policy.KeepNewest, family)
}

func snapshotUnclear(d *docket, image *ami.Image) string {
	for _, id := range image.SnapshotIDs {
		if fault := d.snapshots[id].Unreadable; fault != "" {
			return id + ": " + fault
		}
	}
	return ""
}

func snapshotLocked(d *docket, image *ami.Image) string {
	for _, id := range image.SnapshotIDs {
		if snapshot := d.snapshots[id]; snapshot.Locked() {
			return id + " is locked (" + snapshot.Lock + ")"
		}
	}
	return ""
}

func shared(d *docket, image *ami.Image) string {
	if with := d.evidence[image.ID].SharedWith; len(with) > 0 {
		return "shared with " + summary(with)
	}
	return ""
}

func inUse(d *docket, image *ami.Image) string {
	finding := d.evidence[image.ID]
	arns := make([]string, len(finding.References))
	for i, reference := range finding.References {
		arns[i] = reference.ARN
	}
	switch {
	case len(arns) > 0:
		return "named by " + summary(arns)
	case finding.Use == ami.Used:
		return "something names it"
	default:
		return ""
	}
}

// unknownUse fails closed: only a finding that says "unused", and that has no gap, is a proof.
func unknownUse(d *docket, image *ami.Image) string {
	finding := d.evidence[image.ID]
	gaps := make([]string, len(finding.Gaps))
	for i, gap := range finding.Gaps {
		gaps[i] = gap.Source + ": " + gap.Err
	}
	switch {
	case finding.Use == ami.Used:
		return ""
	case len(gaps) > 0:
		return summary(gaps)
	case finding.Use != ami.Unused:
		return "its use has not been looked up"
	default:
		return ""
	}
}

// summary joins the first few items and counts the rest.
func summary(items []string) string {
	const most = 3
	if len(items) <= most {
		return strings.Join(items, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(items[:most], ", "), len(items)-most)
}

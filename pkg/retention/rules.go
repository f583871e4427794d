package retention

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
)

// Code is the stable name of a reason.
type Code string

// Rule is a reason to keep, defer or remove an image.
type Rule struct {
	Code    Code
	Meaning string // Continues "the image …".
	// Continues "it stays until …": what would have to change, a setting in braces: {KEEP_NEWEST}.
	// Empty for a reason that keeps nothing.
	Until string
}

// keepRule keeps images.
type keepRule struct {
	Rule
	// Returns a phrase that says why, or an empty string if it does not keep the image.
	keeps func(*regionFacts, *imageFacts) string
	mark  Unmark // What it does to the mark of an announced image.
}

// factRules are the keep rules that need only the inventory. An image that none of them keeps is a
// candidate.
var factRules = []keepRule{
	{Rule{ami.ReasonNotOwned, "does not belong to the account", "another account lets go of it"}, notOwned, LeaveMark},
	{Rule{ami.ReasonNotAvailable, "is pending, failed, or disabled by somebody else", "it is available, or has failed for long and {FAILED_IMAGES} is judge"}, notAvailable, ClearMark},
	{Rule{ami.ReasonUnreadable, "has a fact that cannot be read", "EC2 shows that fact in a form that can be read"}, unreadable, LeaveMark},
	{Rule{ami.ReasonFutureDated, "was created or used at a time that has not come yet", "that time is past"}, futureDated, LeaveMark},
	{Rule{ami.ReasonProtected, "is protected against deregistration", "the protection is off, its cooldown included"}, protected, Veto},
	{Rule{ami.ReasonManaged, "is managed by AWS Backup or another service", "that service lets go of it"}, managed, ClearMark},
	{
		Rule{ami.ReasonMarketplace, "carries the product code of an AWS Marketplace product", "nobody else may launch it, and {MARKETPLACE_IMAGES} is judge"},
		marketplace, ClearMark,
	},
	{Rule{ami.ReasonPublic, "is public", "it is private, or {SHARED_IMAGES} is report"}, public, Veto},
	{Rule{ami.ReasonKeepTag, "carries a keep tag", "the tag is taken off"}, keepTagged, Veto},
	{Rule{ami.ReasonKeepList, "is on the keep list", "the entry is taken off the list"}, keepListed, Veto},
	{Rule{ami.ReasonUnreadableTag, "carries a tag of the janitor that cannot be read or is out of bounds", "the tag is corrected"}, unreadableTag, LeaveMark},
	{Rule{ami.ReasonOutOfScope, "is outside what the janitor is told to judge", "{ONLY_TAGS} and {NAMES} cover it"}, outOfScope, ClearMark},
	{Rule{ami.ReasonClaimed, "is declared for removal by another run, which may be at work, or by another policy", "that run is over, or began 12 hours ago, or 30 days if it is another policy's"}, claimed, LeaveMark},
	{Rule{ami.ReasonRestored, "was removed by a run, or may have been, and is there; or carries an announcement that no longer counts", "it has been idle for its whole time again"}, restored, Veto},
	{Rule{ami.ReasonVetoed, "was announced for removal, and somebody objected", "it has been idle for its whole time again"}, vetoed, Veto},
	{Rule{ami.ReasonUnrecorded, "carries tags of an announcement that no record confirms", "these tags are taken off"}, unrecordedMark, LeaveMark},
	{Rule{ami.ReasonRecentlyUsed, "was created, launched, copied or restored not long ago", "it has been idle for longer than its limit"}, recentlyUsed, ClearMark},
	{Rule{ami.ReasonNewestOfFamily, "is among the newest of its family", "newer images of the family are there, or {KEEP_NEWEST} is lower"}, newestOfFamily, ClearMark},
	{Rule{ami.ReasonNoRoomForTags, "has no room, or a snapshot without room, for the tags that a removal takes", "some tags are taken off"}, noRoomForTags, ClearMark},
	{Rule{ami.ReasonSnapshotUnclear, "has a snapshot whose facts cannot be read", "EC2 shows them in a form that can be read"}, snapshotUnclear, LeaveMark},
	{
		Rule{ami.ReasonSnapshotInDoubt, "shares a snapshot with an image that a run has just removed, and that is still listed", "12 hours after that run began"},
		snapshotInDoubt, LeaveMark,
	},
	{Rule{ami.ReasonSnapshotLocked, "has a locked snapshot, which would be left behind", "the lock has expired"}, snapshotLocked, ClearMark},
	{
		Rule{ami.ReasonNotRestorable, "could not be restored from the Recycle Bin", "the bin's rules hold it for long enough, or {REQUIRE_RECYCLE_BIN} is false"},
		notRestorable, ClearMark,
	},
}

// evidenceRules are the keep rules that need evidence of use, which is collected for candidates
// only.
var evidenceRules = []keepRule{
	{Rule{ami.ReasonShared, "may be launched by other accounts", "it is not shared any more, or {SHARED_IMAGES} is report and it carries no product code"}, shared, Veto},
	{Rule{ami.ReasonInUse, "is in use", "nothing names it any more"}, inUse, Veto},
	{Rule{ami.ReasonCopyOfUsed, "is a copy of an image that is in use", "nothing uses the image that it was copied from"}, copyOfUsed, ClearMark},
	{Rule{ami.ReasonAnnouncedElsewhere, "is announced for removal by another policy", "that policy removes it, or takes that back"}, announcedElsewhere, LeaveMark},
	{Rule{ami.ReasonCopiedTags, "carries tags of another image's removal, which were copied", "these tags are off, which a run that is no dry run sees to"}, copiedTags, LeaveMark},
	{Rule{ami.ReasonUnknownUse, "may be in use: a lookup could not be completed", "every lookup is answered"}, unknownUse, LeaveMark},
	{
		Rule{ami.ReasonUsageReportPending, "is public or shared, and no fresh report says whether other accounts use it", "a fresh usage report finds no use of it"},
		usageReportPending, LeaveMark,
	},
	{
		Rule{
			ami.ReasonCensusTooYoung, "may be launched by other accounts of the organization, which have not been counted for long enough",
			"these accounts have been counted every night for as long as {SEEN_NIGHTS} says",
		},
		censusTooYoung, LeaveMark,
	},
	{
		Rule{ami.ReasonLaunchDataMissing, "has no launch on record, like every other image of its region, although instances were launched", "EC2 reports launches again"},
		launchDataMissing, LeaveMark,
	},
}

// unprovenCodes are the reasons that keep an image only because a proof that nothing needs it, or a
// way to restore it, is missing. They are the only list of these: reports ask IsUnproven.
var unprovenCodes = []Code{
	ami.ReasonUnrecorded, ami.ReasonNotRestorable, ami.ReasonUnknownUse, ami.ReasonUsageReportPending, ami.ReasonCensusTooYoung,
	ami.ReasonLaunchDataMissing,
}

// IsUnproven reports whether a reason keeps an image only because a proof that nothing needs it, or
// a way to restore it, is missing.
func (c Code) IsUnproven() bool { return slices.Contains(unprovenCodes, c) }

// IsOfCandidates reports whether only candidates can have a reason.
func (c Code) IsOfCandidates() bool {
	return c == ami.ReasonAnnounced || slices.ContainsFunc(evidenceRules, func(rule keepRule) bool { return rule.Code == c })
}

// otherRules are the reasons of images that no rule keeps. The last two come up while a plan is
// carried out.
var otherRules = []Rule{
	{ami.ReasonAnnounced, "is announced for removal on a day that has not come yet", "that day has come, unless somebody objects"},
	{Code: ami.ReasonStale, Meaning: "has not been used for longer than the policy allows, and nothing refers to it"},
	{Code: ami.ReasonNeverLaunched, Meaning: "was never launched for longer than the policy allows, and nothing refers to it"},
	{Code: ami.ReasonRefused, Meaning: "has to wait for a week: EC2 has refused its removal"},
	{Code: ami.ReasonOverCap, Meaning: "has to wait for a later run: this one has reached its cap"},
	{Code: ami.ReasonNotLookedUp, Meaning: "looks stale, and waits to be looked up: a run looks up the stalest first, until it has enough to remove"},
	{Code: ami.ReasonNotApproved, Meaning: "is not in the plan that was approved, or has changed since"},
	{Code: ami.ReasonUsedSincePlanned, Meaning: "was found to be in use just before its removal"},
	{Code: ami.ReasonChangedSincePlanned, Meaning: "was changed after the plan was made"},
}

// Rules returns every reason that a verdict can have.
func Rules() []Rule {
	var rules []Rule
	for _, r := range slices.Concat(factRules, evidenceRules) {
		rules = append(rules, r.Rule)
	}
	return append(rules, otherRules...)
}

func notOwned(r *regionFacts, image *imageFacts) string {
	switch image.OwnerID {
	case "":
		return "its owner is not known"
	case r.Account:
		return ""
	default:
		return "owned by account " + image.OwnerID
	}
}

func notAvailable(r *regionFacts, image *imageFacts) string {
	switch image.State {
	case "available":
		return ""
	case "":
		return "its state is not known"
	case failed:
		return r.failedNotLongAgo(image)
	case "disabled":
		if r.hasDisabled(image) || r.saysDisabled(image) {
			return "" // By the janitor itself, as part of an announcement, according to the tags.
		}
	}
	return "in state " + image.State
}

// failed is the state of an image that could not be made, and never will be.
const failed = "failed"

// longestPending is how long it may take until an image has failed. EC2 does not say since when it
// has, only when it was created. An image is pending until its snapshots are complete, which may
// take hours (EBS User Guide, "Create an Amazon EBS snapshot").
const longestPending = 7 * Day

// failedNotLongAgo keeps a failed image, unless the policy judges it and it has failed for longer
// than its limit. One without a date of its own is kept by another rule.
func (r *regionFacts) failedNotLongAgo(image *imageFacts) string {
	switch {
	case !r.policy.JudgeFailed:
		return "in state failed"
	case !r.now.After(r.policy.failedLongEnough(image)):
		return "in state failed, since when is not known; created " + date(image.CreatedAt)
	default:
		return ""
	}
}

// failedLongEnough returns when a failed image has been failed for longer than its limit, even if
// it took long until it had.
func (p Policy) failedLongEnough(image *imageFacts) time.Time {
	return image.CreatedAt.Add(time.Duration(p.idleLimit(image)) + longestPending)
}

func unreadable(r *regionFacts, image *imageFacts) string {
	facts := image.Unreadable
	if copied, ok := r.copied[image.ID]; ok && copied.CreatedAt.IsZero() {
		facts = append(slices.Clip(facts), "the creation date of its copy "+copied.ID)
	}
	if image.CreatedAt.IsZero() && len(facts) == 0 {
		facts = []string{"no creation date"}
	}
	return strings.Join(facts, "; ")
}

func futureDated(r *regionFacts, image *imageFacts) string {
	if image.last.at.After(r.now) {
		return fmt.Sprintf("%s %s, which is in the future", image.last.event, image.last.at.Format(time.RFC3339))
	}
	return ""
}

// protected trusts only "disabled" and an absent value: during the 24 hours of a protection's
// cooldown EC2 says "disabled after …" and still refuses (EC2 User Guide, "Protect an AMI from
// deregistration").
func protected(_ *regionFacts, image *imageFacts) string {
	if image.Protection == "" || image.Protection == "disabled" {
		return ""
	}
	return "deregistration protection: " + image.Protection
}

func managed(r *regionFacts, image *imageFacts) string {
	if manager := r.policy.managerOf(image.Image); manager != "" {
		return manager
	}
	for _, id := range image.SnapshotIDs {
		if manager := managerOfImageBySnapshot(r.snapshot(id)); manager != "" {
			return manager
		}
	}
	return ""
}

// marketplace keeps images with a product code. Most are a buyer's own: what is made from a product
// keeps its code (AWS says so in github.com/awsdocs/amazon-ec2-user-guide/pull/133). One that
// others may launch may be a seller's.
func marketplace(r *regionFacts, image *imageFacts) string {
	switch {
	case !image.Marketplace:
		return ""
	case image.Public:
		return "everyone may launch it, and it carries the product code of an AWS Marketplace product"
	case !r.policy.JudgeMarketplace:
		return "it carries the product code of an AWS Marketplace product, as images do that are made from instances of one"
	default:
		return ""
	}
}

func public(r *regionFacts, image *imageFacts) string {
	if image.Public && !r.policy.JudgeShared {
		return "everyone may launch it"
	}
	return ""
}

func keepTagged(r *regionFacts, image *imageFacts) string {
	return r.policy.keptByTag(image.own, image.Tags)
}

func keepListed(r *regionFacts, image *imageFacts) string {
	if entry, ok := r.policy.KeepList.find(image.ID, image.Name); ok {
		return "listed as " + entry
	}
	return ""
}

func unreadableTag(_ *regionFacts, image *imageFacts) string {
	return strings.Join(image.own.faults, "; ")
}

func outOfScope(r *regionFacts, image *imageFacts) string {
	switch {
	case !r.policy.OnlyTags.all(image.Tags):
		return "its tags do not match " + r.policy.OnlyTags.String()
	case !r.policy.Names.match(image.Name):
		return "its name does not match " + r.policy.Names.String()
	default:
		return ""
	}
}

// vetoed notices that somebody undid a part of an announcement, or used the image since. EC2
// reports a launch up to a day late.
func vetoed(r *regionFacts, image *imageFacts) string {
	own := image.own
	switch {
	case len(own.faults) > 0:
		return ""
	case image.standing == unrecorded:
		if own.disabled {
			return "" // It may be a claim, and not a part of an announcement.
		}
		return undonePart(r, image)
	case image.standing != ours:
		return ""
	}
	if undone := undonePart(r, image); undone != "" {
		return undone
	}
	if last := r.lastUseUntil(image.Image, own, r.now); last.at.After(own.announcedIn().Began().Add(-Day)) {
		return last.ago(r.now) + ", since its removal was announced"
	}
	return ""
}

// undonePart says which part of an announcement somebody undid, or may have; empty if it is
// complete. An image that the announcement disabled must say so, and must still be disabled.
func undonePart(r *regionFacts, image *imageFacts) string {
	own := image.own
	disables := r.plannedToDisable(image)
	switch {
	case !own.hasDue:
		return "somebody took the tag " + ami.DueTag + " off"
	case own.isOldForm():
		return "it has no tag " + ami.AnnouncedByTag
	case own.by.run == "" || own.by.policy != r.policy.Name:
		return "somebody took the tag " + ami.AnnouncedByTag + " off, or changed it"
	case (own.disabled || disables) && image.State == "available":
		return "somebody enabled it"
	case disables && !own.disabled:
		return "somebody took the tag " + ami.DisabledTag + " off"
	default:
		return ""
	}
}

func recentlyUsed(r *regionFacts, image *imageFacts) string {
	at := image.last.at
	undecided := at.IsZero() || at.After(r.now) || len(image.own.faults) > 0
	if undecided || r.now.Sub(at) > time.Duration(r.policy.idleLimit(image)) {
		return ""
	}
	return image.last.ago(r.now)
}

func newestOfFamily(r *regionFacts, image *imageFacts) string {
	place, ok := r.newest[image.ID]
	if !ok {
		return ""
	}
	detail := "the newest of family " + place.family
	if r.policy.KeepNewest > 1 {
		detail = fmt.Sprintf("among the newest %d of family %s", r.policy.KeepNewest, place.family)
	}
	if place.inForce {
		detail += ", without those that are deprecated"
	}
	return detail
}

// noRoomForTags counts the tags that declare the removal, on the image and its snapshots, and those
// that announce it before.
func noRoomForTags(r *regionFacts, image *imageFacts) string {
	if fault := crowded(image.Tags, r.announcement(image)); fault != "" {
		return "it carries " + fault
	}
	for _, id := range image.SnapshotIDs {
		if fault := crowded(r.snapshot(id).Tags, nil); fault != "" && r.keepsSnapshot(id) == "" {
			return id + " carries " + fault
		}
	}
	return ""
}

// announcement returns the keys of the tags that announce the removal of an image; none if it is
// announced already, or will not be.
func (r *regionFacts) announcement(image *imageFacts) []string {
	switch {
	case r.policy.Grace <= 0 && !r.policy.JudgeByCensus || !r.due(image).IsZero():
		return nil
	case r.policy.GraceAction == Disable || image.State == "disabled":
		return []string{ami.DueTag, ami.AnnouncedByTag, ami.DisabledTag}
	default:
		return []string{ami.DueTag, ami.AnnouncedByTag}
	}
}

// crowded says why there is no room for the tags that declare a removal, and for others with the
// given keys. It counts as EC2 does: tags with the prefix "aws:" do not count against the limit
// (EC2 User Guide, "Tag your Amazon EC2 resources").
func crowded(tags map[string]string, others []string) string {
	const most, declaration = 50, 2
	if len(tags)+declaration+len(others) <= most {
		return ""
	}
	carried, missing := 0, 0
	for key := range tags {
		if !strings.HasPrefix(key, "aws:") {
			carried++
		}
	}
	for _, key := range append([]string{ami.IntentTag, ami.RunTag}, others...) {
		if _, ok := tags[key]; !ok {
			missing++
		}
	}
	if carried+missing <= most {
		return ""
	}
	return fmt.Sprintf("%d tags of at most %d, and a removal takes %d more", carried, most, missing)
}

func snapshotUnclear(r *regionFacts, image *imageFacts) string {
	for _, id := range image.SnapshotIDs {
		if fault := r.snapshot(id).Unreadable; fault != "" {
			return id + ": " + fault
		}
	}
	return ""
}

func snapshotLocked(r *regionFacts, image *imageFacts) string {
	for _, id := range image.SnapshotIDs {
		if snapshot := r.snapshot(id); snapshot.Locked() {
			return id + " is locked (" + snapshot.Lock + ")"
		}
	}
	return ""
}

// isShared reports whether other accounts may launch an image, as far as EC2 was asked.
func (r *regionFacts) isShared(image *imageFacts) bool {
	return image.Public || len(r.evidence[r.Region].Images[image.ID].SharedWith) > 0
}

func shared(r *regionFacts, image *imageFacts) string {
	with := r.evidence[r.Region].Images[image.ID].SharedWith
	switch {
	case len(with) == 0 || r.policy.JudgeShared && !image.Marketplace:
		return ""
	case image.Marketplace:
		return "shared with " + summary(ami.Names(with)) + ", and it carries the product code of an AWS Marketplace product"
	default:
		return "shared with " + summary(ami.Names(with))
	}
}

func inUse(r *regionFacts, image *imageFacts) string {
	return usedBy(ami.Everywhere(r.evidence, r.Region, image.ID))
}

// usedBy says what uses an image; empty if nothing is known to.
func usedBy(finding ami.Finding) string {
	if finding.Use != ami.Used && len(finding.References) == 0 {
		return ""
	}
	var named, others []string
	for _, reference := range finding.References {
		by := &named
		if reference.Account != "" {
			by = &others
		}
		// Several sources may see the same.
		if words := reference.String(); !slices.Contains(*by, words) {
			*by = append(*by, words)
		}
	}
	var phrases []string
	switch {
	case len(named) > 0:
		phrases = append(phrases, "named by "+summary(named))
	case len(others) == 0:
		phrases = append(phrases, "named by something")
	}
	if len(others) > 0 {
		phrases = append(phrases, "used by "+summary(others)+byReport(finding.Report))
	}
	return strings.Join(phrases, "; ")
}

// byReport continues what a usage report says.
func byReport(report *ami.UsageReport) string {
	if report == nil {
		return ""
	}
	return ", as usage report " + report.ID + " of " + date(report.CreatedAt) + " says"
}

// copyOfUsed keeps copies (CopyImage) of an image in use: the copy in another region is the
// fallback. An image that was created from an instance of another image is no copy.
func copyOfUsed(r *regionFacts, image *imageFacts) string {
	id, region, ok := image.CopiedFrom(r.Region)
	if !ok {
		return ""
	}
	what := "it is a copy of " + id + " in " + region
	if original := r.originals[id]; original != nil && r.recentlyLaunched(original) {
		return what + ", which was last launched " + date(original.LastLaunchedAt)
	}
	if used, ok := r.abroad[id]; ok && r.now.Sub(used.At) <= time.Duration(r.policy.idleLimit(image)) {
		return what + ", which account " + used.Account + " used on " + date(used.At)
	}
	if used := usedBy(ami.Everywhere(r.evidence, region, id)); used != "" {
		return what + ", which is " + used
	}
	return ""
}

// doubtfulOriginal says why it is not known whether the original of a copy is in use; empty if it
// is known, or if the image is no copy. An original is looked up in its own region; if that region
// is part of the run, the original is in doubt until then.
func doubtfulOriginal(r *regionFacts, image *imageFacts) string {
	id, region, ok := image.CopiedFrom(r.Region)
	if _, inRun := r.evidence[region]; !ok || !inRun {
		return ""
	}
	what := "the use of " + id + " in " + region + ", of which it is a copy"
	finding := ami.Everywhere(r.evidence, region, id)
	switch original := r.originals[id]; {
	case original != nil && len(original.Unreadable) > 0:
		return what + ": " + strings.Join(original.Unreadable, "; ")
	case len(finding.Gaps) > 0:
		return what + ": " + gaps(finding.Gaps)
	case finding.Use != ami.Unused && finding.Use != ami.Used && !isUnasked(finding):
		return what + ", has not been looked up"
	default:
		return ""
	}
}

func (r *regionFacts) recentlyLaunched(image *ami.Image) bool {
	limit := r.policy.idleLimit(&imageFacts{Image: image, own: readOwnTags(image.Tags)})
	return !image.LastLaunchedAt.IsZero() && r.now.Sub(image.LastLaunchedAt) <= time.Duration(limit)
}

func unknownUse(r *regionFacts, image *imageFacts) string {
	finding := ami.Everywhere(r.evidence, r.Region, image.ID)
	if finding.Use == ami.Used {
		return ""
	}
	if why := missingProof(finding); why != "" && !isUnasked(finding) {
		return why
	}
	return doubtfulOriginal(r, image)
}

// missingProof fails closed: only a finding that says "unused" and has no gap is a proof.
func missingProof(finding ami.Finding) string {
	switch {
	case finding.Use == ami.Used:
		return ""
	case len(finding.Gaps) > 0:
		return gaps(finding.Gaps)
	case finding.Use != ami.Unused:
		return "its use has not been looked up"
	default:
		return ""
	}
}

// gaps says which lookups of an image could not be completed, and why.
func gaps(all []ami.Gap) string {
	var gaps []string
	for _, gap := range all {
		gaps = append(gaps, gap.Source+": "+gap.Err)
	}
	return summary(gaps)
}

// gaps are the lookups of an image that could not be completed, or else those of its original.
func (r *regionFacts) gaps(image *imageFacts) []ami.Gap {
	if own := ami.Everywhere(r.evidence, r.Region, image.ID).Gaps; len(own) > 0 {
		return own
	}
	id, region, ok := image.CopiedFrom(r.Region)
	if _, inRun := r.evidence[region]; !ok || !inRun {
		return nil
	}
	var found []ami.Gap
	for _, gap := range ami.Everywhere(r.evidence, region, id).Gaps {
		gap.Err += " (the use of " + id + " in " + region + ", of which it is a copy)"
		found = append(found, gap)
	}
	return found
}

// launchDataMissing keeps images whose missing launches prove nothing.
func launchDataMissing(r *regionFacts, image *imageFacts) string {
	if !image.LastLaunchedAt.IsZero() {
		return ""
	}
	return r.launchGap
}

// findLaunchGap says why missing launches prove nothing in a region; empty if they do. They do if
// EC2 has a launch on record for some image, or if no instance of an own image was launched longer
// ago than EC2's delay in reporting launches, 24 hours (EC2 User Guide, "Check when an Amazon EC2
// AMI was last used"), and as much again.
func findLaunchGap(inventory *ami.Inventory, evidence ami.Evidence, now time.Time) string {
	const delay = 48 * time.Hour
	var launched string // The image with a gap that has the first id.
	for i := range inventory.Images {
		image := &inventory.Images[i]
		if !image.LastLaunchedAt.IsZero() {
			return ""
		}
		at := evidence.Images[image.ID].LaunchedAt
		if image.OwnerID == inventory.Account && !at.IsZero() && now.Sub(at) > delay && (launched == "" || image.ID < launched) {
			launched = image.ID
		}
	}
	if launched == "" {
		return ""
	}
	return fmt.Sprintf("no image of %s has a launch on record, although an instance of %s was launched %s",
		inventory.Region, launched, date(evidence.Images[launched].LaunchedAt))
}

// summary joins the first few items and counts the rest.
func summary(items []string) string {
	const most = 3
	if len(items) <= most {
		return strings.Join(items, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(items[:most], ", "), len(items)-most)
}

package retention

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
)

// Account is what a policy judges: the images and snapshots of one account in all regions that
// could be read.
type Account struct {
	policy  Policy
	now     time.Time
	regions []*regionFacts
}

// Open takes the inventories of one account and run, one for each region that could be read.
func (p Policy) Open(inventories []ami.Inventory, now time.Time) *Account {
	account := &Account{policy: p, now: now, regions: make([]*regionFacts, len(inventories))}
	copied, originals, abroad := copies(inventories), originals(inventories), abroad(inventories)
	for i := range inventories {
		inventory := &inventories[i]
		r := &regionFacts{
			policy: p, now: now, Inventory: inventory, copied: copied, originals: originals, abroad: abroad,
			snapshots: snapshotsByID(inventory), binGap: p.findBinGap(inventory.Bin), seen: latestAnnouncements(inventory.Images, now),
		}
		r.images = r.sortedImages(inventory.Images)
		r.firstUsed = r.findFirstUses()
		r.ofOthers = r.findOthersOfFailed()
		r.recentlyRemoved = r.findRecentlyRemoved()
		r.newest = r.findNewest()
		account.regions[i] = r
	}
	return account
}

// with returns the facts together with evidence.
func (a *Account) with(evidence map[string]ami.Evidence) []*regionFacts {
	regions := make([]*regionFacts, len(a.regions))
	for i, facts := range a.regions {
		r := *facts
		r.evidence, r.launchGap = evidence, findLaunchGap(r.Inventory, evidence[r.Region], a.now)
		regions[i] = &r
	}
	return regions
}

// Candidates returns, by region, the images that only evidence of use can still keep, stalest
// first.
func (a *Account) Candidates() map[string][]ami.Image {
	candidates := map[string][]ami.Image{}
	for _, r := range a.regions {
		var open []*ami.Image
		for i := range r.images {
			if len(r.apply(factRules, &r.images[i])) == 0 {
				open = append(open, r.images[i].Image)
			}
		}
		if len(open) == 0 {
			continue
		}
		images := make([]ami.Image, len(open))
		for i, image := range open {
			images[i] = *image
		}
		candidates[r.Region] = images
	}
	return candidates
}

// Plan returns the verdict on every image, one plan for each inventory and in that order. Evidence
// is given by region; missing evidence means unproven, so that nothing is removed without any. A
// region that is part of the run, but could not be read, has evidence without findings.
//
// The caps hold over all plans. Plans on hold are counted separately: they cannot be carried out,
// and must not use up the caps.
func (a *Account) Plan(evidence map[string]ami.Evidence) []Plan { return a.plan(a.with(evidence)) }

func (a *Account) plan(regions []*regionFacts) []Plan {
	plans := make([]Plan, len(regions))
	var free, held []Plan
	for i, r := range regions {
		plans[i] = Plan{Account: r.Account, Region: r.Region, Verdicts: r.judge()}
		if r.whyHeld() == "" {
			free = append(free, plans[i])
		} else {
			held = append(held, plans[i])
		}
	}
	for i, r := range regions {
		r.keepWhatMayBeShared(plans[i].Verdicts)
	}
	for _, together := range [][]Plan{free, held} {
		a.policy.deferOverCap(together, Deregister)
		a.policy.deferOverCap(together, Mark)
	}
	for i, r := range regions {
		plan := &plans[i]
		r.judgeSnapshots(plan.Verdicts)
		r.orderReports(plan)
		plan.Stale = r.staleDeclarations(plan.Verdicts)
		r.judgeUnattached(plan)
	}
	a.judgeOrphans(regions, plans)
	for i, r := range regions {
		r.judgeBundles(&plans[i])
	}
	for i, r := range regions {
		plan := &plans[i]
		r.measure(plan)
		r.hold(plan)
	}
	return plans
}

// regionFacts are the facts that the rules may use for the images of one region.
type regionFacts struct {
	*ami.Inventory

	policy Policy
	now    time.Time
	images []imageFacts // Stalest first.
	// The newest own image made from an image, by the id of the latter.
	copied map[string]*ami.Image
	// The account's images, of any region, that have copies, by id; nil for those of others.
	originals map[string]*ami.Image
	abroad    map[string]ami.UseAbroad // Of all regions, by the id of the image.
	newest    map[string]place         // The images that are the newest of their families, by id.
	snapshots map[string]*ami.Snapshot // By id.
	// When the first image that maps a snapshot was made, by the id of the snapshot; only for
	// snapshots that were not made for an image.
	firstUsed map[string]time.Time
	// Why the snapshots stay that failed images map and were not made for, by id.
	ofOthers map[string]string
	// The images that a run removed recently and that are still listed, by the ids of their
	// snapshots.
	recentlyRemoved map[string]string
	// Why the bin retains nothing that is removed; empty if it does, or need not.
	binGap string
	// When each policy made its last announcement here, by its name.
	seen map[string]time.Time

	evidence  map[string]ami.Evidence // Of all regions of the run.
	launchGap string                  // Why missing launches prove nothing; empty if they do.
}

// sortedImages returns the images, the stalest first.
func (r *regionFacts) sortedImages(images []ami.Image) []imageFacts {
	sorted := make([]imageFacts, len(images))
	families := map[string]string{} // Its images share the text.
	for i := range images {
		sorted[i] = r.imageFacts(&images[i])
		family := r.policy.family(&images[i])
		if _, known := families[family]; !known {
			families[family] = family
		}
		sorted[i].family = families[family]
	}
	slices.SortFunc(sorted, func(a, b imageFacts) int {
		return cmp.Or(byTimeThenID(a.last.at, a.ID, b.last.at, b.ID), strings.Compare(a.Name, b.Name))
	})
	return sorted
}

// usable reports whether an image counts as one of its family: whether it can be launched, belongs
// to the account, is not managed by a service and not kept for its product code, and whether its
// facts are readable and not in the future.
func (r *regionFacts) usable(image *imageFacts) bool {
	for _, keeps := range []func(*regionFacts, *imageFacts) string{notOwned, unreadable, futureDated, managed, marketplace} {
		if keeps(r, image) != "" {
			return false
		}
	}
	return image.State == "available"
}

// isDeprecated reports whether an image is deprecated by now. Who looks for the newest image of a
// family does not see it (EC2 User Guide, "Deprecate an Amazon EC2 AMI").
func (r *regionFacts) isDeprecated(image *imageFacts) bool {
	return !image.DeprecatedAt.IsZero() && !image.DeprecatedAt.After(r.now)
}

// mayHaveDeprecated reports whether a run may have set the date of a deprecated image, as its tags
// or the journal say. An image that is brought back keeps that date.
func (r *regionFacts) mayHaveDeprecated(image *imageFacts) bool {
	isRecorded := GraceAction(r.History.Announced[image.ID].Action) == Deprecate
	switch image.standing {
	case ours:
		return isRecorded
	case unannounced:
		return isRecorded || !image.own.restored.IsZero()
	default:
		return true
	}
}

// judge applies the rules to every image: first those about facts, and those about evidence only to
// images that these do not keep. The verdicts have the order of the images.
func (r *regionFacts) judge() []Verdict {
	verdicts := make([]Verdict, len(r.images))
	for i := range r.images {
		r.decide(&verdicts[i], &r.images[i])
	}
	return verdicts
}

func (r *regionFacts) decide(v *Verdict, image *imageFacts) {
	v.Image, v.Decision, v.LastUse, v.Family = *image.Image, Keep, image.last.at, image.family
	v.IdleDays = image.idleDays(r.now)
	waits := ""
	if v.Reasons = r.apply(factRules, image); len(v.Reasons) == 0 {
		v.Reasons = r.apply(evidenceRules, image)
		waits = r.notLookedUp(image)
		v.LookUp = r.mayBeObjectedTo(image)
	}
	if v.detail(ami.ReasonUnknownUse) != "" {
		v.Gaps = r.gaps(image)
	}
	if len(v.Reasons) == 0 {
		r.announce(v, image)
		r.yield(v)
		v.await(waits)
	} else {
		v.Unmark = r.unmark(v.Reasons, image)
		v.Undo = r.undo(v.Unmark, image)
		if v.Unmark == ClearMark || r.isStale(image) {
			v.CopiedTags = copiedTags(r, image)
		}
	}
	if image.standing == anothers {
		v.AnnouncedBy, v.Due = r.announcer(image.ID, image.own), image.own.due
	}
}

// apply returns the reasons of the rules that keep an image.
func (r *regionFacts) apply(rules []keepRule, image *imageFacts) []Reason {
	var reasons []Reason
	for i := range rules {
		if detail := rules[i].keeps(r, image); detail != "" {
			reasons = append(reasons, Reason{rules[i].Code, detail})
		}
	}
	return reasons
}

// deferOverCap defers images over the cap for one decision. It counts over all plans, the stalest
// first, and images that yield last. An image that is not looked up has its place in this order
// until something is found that keeps it: so it goes if it would if all were looked up. Those
// within the cap are looked up next.
func (p Policy) deferOverCap(plans []Plan, decision Decision) {
	type removal struct {
		*Verdict
		region string
	}
	var due []removal
	for _, plan := range plans {
		for i := range plan.Verdicts {
			if v := &plan.Verdicts[i]; v.Decision == decision || v.Awaits == decision {
				due = append(due, removal{v, plan.Region})
			}
		}
	}
	slices.SortFunc(due, func(a, b removal) int {
		return cmp.Or(behind(a.Yields)-behind(b.Yields), byTimeThenID(a.LastUse, a.Image.ID, b.LastUse, b.Image.ID), strings.Compare(a.region, b.region))
	})
	limit := min(max(p.MaxDeregistrations, 0), len(due))
	for n, v := range due[:min(2*limit, len(due))] {
		v.LookUp = v.LookUp || v.Awaits != "" && n < limit
		v.IsAhead = v.Awaits != "" && n >= limit
	}
	if limit == len(due) {
		return
	}
	later := Reason{ami.ReasonOverCap, fmt.Sprintf("at most %d a run, the stalest first", limit)}
	if due[len(due)-1].Yields {
		later.Detail += ", and behind the others what could not be removed before"
	}
	for _, v := range due[limit:] {
		if v.Awaits == "" {
			v.postpone()
			v.Reasons = append(v.Reasons, later)
		}
	}
}

// behind sorts true after false.
func behind(is bool) int {
	if is {
		return 1
	}
	return 0
}

// keepWhatMayBeShared keeps the images with snapshots to delete for which EC2 did not say with whom
// they are shared: no later run would come back for a snapshot that is left behind. Other images
// take their places in the cap.
func (r *regionFacts) keepWhatMayBeShared(verdicts []Verdict) {
	for i := range verdicts {
		v := &verdicts[i]
		if v.Decision != Deregister && v.Awaits != Deregister {
			continue
		}
		for _, id := range v.Image.SnapshotIDs {
			if why := sharingUnknown(r.sharingOf(id)); why != "" && r.keepsSnapshot(id) == "" {
				v.Decision, v.Awaits, v.Due = Keep, "", time.Time{}
				v.Gaps = append(v.Gaps, ami.Gap{Source: id, Err: why})
				v.Reasons = []Reason{{ami.ReasonUnknownUse, gaps(v.Gaps)}}
			}
		}
	}
}

// judgeSnapshots decides on the snapshots of images to be deregistered. A snapshot that several of
// them share goes with the last of them.
func (r *regionFacts) judgeSnapshots(verdicts []Verdict) {
	last := map[string]string{} // The image that each snapshot goes with, by its id.
	for i := range verdicts {
		for _, id := range verdicts[i].Image.SnapshotIDs {
			if verdicts[i].Decision == Deregister {
				last[id] = verdicts[i].Image.ID
			}
		}
	}
	staying := r.staying(last, verdicts)
	for i := range verdicts {
		v := &verdicts[i]
		if v.Decision != Deregister {
			continue
		}
		for _, id := range slices.Compact(slices.Sorted(slices.Values(v.Image.SnapshotIDs))) {
			snapshot := r.snapshot(id)
			s := SnapshotVerdict{SnapshotID: id, SizeGiB: snapshot.SizeGiB, Archived: snapshot.Archived}
			if s.Why = cmp.Or(r.othersSnapshot(id), staying[id], r.namedBy(id), sharingUnknown(r.sharingOf(id))); s.Why == "" {
				s.Why = cmp.Or(r.takenByHand(id), r.ofOthers[id], r.sharedSnapshot(id))
				s.Apart = s.Why != ""
			}
			if s.Why == "" {
				s.Delete, s.LastImageID = true, last[id]
			}
			v.Snapshots = append(v.Snapshots, s)
		}
	}
}

// staying says, by id, which kept image still needs a snapshot.
func (r *regionFacts) staying(going map[string]string, verdicts []Verdict) map[string]string {
	if len(going) == 0 {
		return nil
	}
	staying := map[string]string{}
	for i := range verdicts {
		v := &verdicts[i]
		for _, id := range v.Image.SnapshotIDs {
			if _, goes := going[id]; goes && v.Decision != Deregister {
				staying[id] = cmp.Or(v.Image.ID, "an image without an id") + " still uses it"
			}
		}
	}
	return staying
}

// namedBy says what names a snapshot: of several the first in alphabetical order. It is empty if
// nothing is known to.
func (r *regionFacts) namedBy(id string) string {
	named := ""
	for _, reference := range r.evidence[r.Region].Snapshots[id].References {
		if by := "named by " + cmp.Or(reference.ARN, "something"); named == "" || by < named {
			named = by
		}
	}
	return named
}

// keepsSnapshot says why a snapshot stays, whatever happens to the images that use it, according to
// its facts; empty if it goes with them. Sharing is not among these facts: it is looked up for
// snapshots to delete, after the images are decided.
func (r *regionFacts) keepsSnapshot(id string) string {
	return cmp.Or(r.othersSnapshot(id), r.takenByHand(id), r.ofOthers[id])
}

// NotListed is why a snapshot stays that an image maps although it is not listed as the account's
// own.
const NotListed = "not among this account's snapshots"

// othersSnapshot says who else manages a snapshot; empty if nobody does.
func (r *regionFacts) othersSnapshot(id string) string {
	snapshot, listed := r.snapshots[id]
	switch {
	case !listed:
		return NotListed
	case !r.policy.DeleteSnapshots:
		return ami.KeepsAllSnapshots
	}
	if manager := r.policy.managerByTags(snapshot.Tags); manager != "" {
		return manager
	}
	return r.policy.keptByTag(readOwnTags(snapshot.Tags), snapshot.Tags)
}

// longBefore is how much older than its image a snapshot is at least if it was not taken for the
// image. Registering an image from a new snapshot takes some hours at most.
const longBefore = Day

// findFirstUses returns when the first image that maps a snapshot was made, by the id of the
// snapshot. It covers the snapshots that EC2 did not make for an image, according to their
// descriptions.
func (r *regionFacts) findFirstUses() map[string]time.Time {
	first := map[string]time.Time{}
	for i := range r.images {
		image := r.images[i].Image
		for _, id := range image.SnapshotIDs {
			if snapshot := r.snapshot(id); snapshot.ImageID != "" || snapshot.Imported || image.CreatedAt.IsZero() {
				continue
			}
			if known, ok := first[id]; !ok || image.CreatedAt.Before(known) {
				first[id] = image.CreatedAt
			}
		}
	}
	return first
}

// takenByHand says since when a snapshot has existed that somebody took, or copied, long before any
// image mapped it; empty for others. EC2 always says when a snapshot was started.
func (r *regionFacts) takenByHand(id string) string {
	first, taken := r.firstUsed[id], r.snapshot(id).StartedAt
	if first.IsZero() || taken.IsZero() || first.Sub(taken) <= longBefore {
		return ""
	}
	return fmt.Sprintf("somebody took it on %s for no image: the first one with it was made on %s", date(taken), date(first))
}

// findOthersOfFailed returns why the snapshots stay that failed images map and were not made for,
// by the id of the snapshot. RegisterImage takes snapshots that exist already, and EC2 does not say
// which of an image's snapshots are whole if the image has failed.
func (r *regionFacts) findOthersOfFailed() map[string]string {
	others := map[string]string{}
	if !r.policy.JudgeFailed {
		return others
	}
	for i := range r.images {
		image := r.images[i].Image
		if image.State != failed {
			continue
		}
		for _, id := range image.SnapshotIDs {
			why := image.ID + " has failed, and " + ami.NotMadeForIt
			if known, ok := others[id]; !isMadeFor(r.snapshot(id), image) && (!ok || why < known) {
				others[id] = why
			}
		}
	}
	return others
}

// isMadeFor reports whether a snapshot was made by the very call that made an image, according to
// its description and its date. CreateImage and CopyImage name the image, whose id nobody knows
// before. VM Import names its task, which anybody may give to an image and a snapshot: that is no
// proof.
func isMadeFor(snapshot *ami.Snapshot, image *ami.Image) bool {
	isNamed := snapshot.ImageID != "" && snapshot.ImageID == image.ID
	return isNamed && !snapshot.StartedAt.IsZero() && image.CreatedAt.Sub(snapshot.StartedAt) <= longBefore
}

// sharingOf says with whom a snapshot is shared. It is empty if nobody has asked, or says why
// nobody will.
func (r *regionFacts) sharingOf(id string) ami.Sharing {
	if sharing, ok := r.evidence[r.Region].Sharing[id]; ok {
		return sharing
	}
	return ami.Sharing{Err: r.evidence[r.Region].SharingGap}
}

// sharingUnknown says why it is not known with whom a snapshot is shared; empty if it is, or if
// nobody has asked yet.
func sharingUnknown(sharing ami.Sharing) string {
	if sharing.Err == "" {
		return ""
	}
	return "with whom it is shared is not known: " + sharing.Err
}

// sharedSnapshot says with whom a snapshot is known to be shared; empty if with nobody.
func (r *regionFacts) sharedSnapshot(id string) string {
	if sharing := r.evidence[r.Region].Sharing[id]; len(sharing.With) > 0 {
		return "shared with " + summary(sharing.Names())
	}
	return ""
}

// keptByTag says which keep tag a resource carries; empty if it carries none.
func (p Policy) keptByTag(own *ownTags, tags map[string]string) string {
	if own.keep != "" {
		return ami.KeptByTagWords + own.keep + reasonOf(tags[own.keep])
	}
	if match, ok := p.KeepTags.any(tags); ok {
		return ami.KeptByTagWords + match.String()
	}
	return ""
}

// reasonOf is what the value of a keep tag adds to its key: a reason, unless it says no more than
// that the resource is kept.
func reasonOf(value string) string {
	if value = strings.TrimSpace(value); value == "" || strings.EqualFold(value, "true") {
		return ""
	}
	return ": " + value
}

// KeptByTag says which keep tag an image carries, the janitor's own or one of the policy, and the
// reason in it; empty if it carries none.
func (p Policy) KeptByTag(image ami.Image) string {
	return p.keptByTag(readOwnTags(image.Tags), image.Tags)
}

func snapshotsByID(inventory *ami.Inventory) map[string]*ami.Snapshot {
	byID := make(map[string]*ami.Snapshot, len(inventory.Snapshots))
	for i := range inventory.Snapshots {
		byID[inventory.Snapshots[i].ID] = &inventory.Snapshots[i]
	}
	return byID
}

// snapshot returns what is known about a snapshot: nothing if the account does not list it.
func (r *regionFacts) snapshot(id string) *ami.Snapshot {
	if snapshot, listed := r.snapshots[id]; listed {
		return snapshot
	}
	return &ami.Snapshot{}
}

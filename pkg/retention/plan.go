package retention

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"ami-janitor/pkg/ami"
)

// Candidates returns, by region, the images that only evidence of use can still keep, stalest first. The inventories are
// those of one account and run, one for each region that could be read.
func (p Policy) Candidates(inventories []ami.Inventory, now time.Time) map[string][]ami.Image {
	candidates := map[string][]ami.Image{}
	for _, d := range p.dockets(inventories, nil, now) {
		open := slices.DeleteFunc(d.judge(nil), func(v Verdict) bool { return v.Decision == Keep && v.Reasons[0].Code != announced.Code })
		if len(open) == 0 {
			continue
		}
		images := make([]ami.Image, len(open))
		for i := range open {
			images[i] = open[i].Image
		}
		candidates[d.region] = images
	}
	return candidates
}

// Plan returns the verdict on every image, one plan for each inventory and in that order. Evidence is given by region;
// what is missing from it is not proven, so that without any evidence nothing is removed. A region that is part of the run,
// but could not be read, has evidence without any finding. The caps hold over all plans.
func (p Policy) Plan(inventories []ami.Inventory, evidence map[string]ami.Evidence, now time.Time) []Plan {
	dockets := p.dockets(inventories, evidence, now)
	plans := make([]Plan, len(dockets))
	for i, d := range dockets {
		plans[i] = Plan{Account: d.account, Region: d.region, Verdicts: d.judge(evidenceRules)}
	}
	p.deferOverCap(plans, Deregister)
	p.deferOverCap(plans, Mark)
	for i, d := range dockets {
		d.judgeSnapshots(plans[i].Verdicts)
		d.orderReports(&plans[i])
	}
	return plans
}

// docket is what the rules may look at while they judge the images of one region.
type docket struct {
	policy    Policy
	now       time.Time
	account   string
	region    string
	images    []ami.Image
	copied    map[string]ami.Image    // The newest own image made from an image, by the id of the latter.
	originals map[string]*ami.Image   // The own images, of any region, of which there are copies, by id.
	newest    map[string]string       // The families of those images that are the newest of theirs.
	snapshots map[string]ami.Snapshot // By id.
	evidence  map[string]ami.Evidence // Of all regions of the run.
	launchGap string                  // Why launches that are not on record prove nothing; empty if they do.
}

func (p Policy) dockets(inventories []ami.Inventory, evidence map[string]ami.Evidence, now time.Time) []*docket {
	copied, originals := copies(inventories), originals(inventories)
	dockets := make([]*docket, len(inventories))
	for i, inventory := range inventories {
		d := &docket{
			policy: p, now: now, account: inventory.Account, region: inventory.Region, images: inventory.Images,
			copied: copied, originals: originals, snapshots: snapshotsByID(inventory),
			evidence: evidence,
		}
		d.launchGap = findLaunchGap(inventory, evidence[inventory.Region], now)
		d.newest = p.newest(inventory.Images, d.usable)
		dockets[i] = d
	}
	return dockets
}

// usable reports whether an image counts as one of its family.
func (d *docket) usable(image *ami.Image) bool {
	for _, speaks := range []func(*docket, *ami.Image) string{notOwned, unreadable, futureDated, managed} {
		if speaks(d, image) != "" {
			return false
		}
	}
	return image.State == "available"
}

// judge lets the rules speak on every image: those of the facts, and the given ones on what these do not keep. The
// verdicts come stalest first.
func (d *docket) judge(further []keepRule) []Verdict {
	verdicts := make([]Verdict, len(d.images))
	for i := range d.images {
		d.decide(&verdicts[i], &d.images[i], further)
	}
	slices.SortFunc(verdicts, func(a, b Verdict) int {
		return cmp.Or(byTimeThenID(a.LastUse, a.Image.ID, b.LastUse, b.Image.ID), strings.Compare(a.Image.Name, b.Image.Name))
	})
	return verdicts
}

func (d *docket) decide(v *Verdict, image *ami.Image, further []keepRule) {
	v.Image, v.Decision, v.LastUse = *image, Keep, d.lastUse(image).at
	if v.Reasons = d.hear(factRules, image); len(v.Reasons) == 0 {
		v.Reasons = d.hear(further, image)
	}
	if len(v.Reasons) == 0 {
		d.announce(v)
	} else {
		v.Unmark = d.unmark(v)
	}
}

// hear returns what the rules have to say for an image.
func (d *docket) hear(rules []keepRule, image *ami.Image) []Reason {
	var reasons []Reason
	for i := range rules {
		if detail := rules[i].speak(d, image); detail != "" {
			reasons = append(reasons, Reason{rules[i].Code, detail})
		}
	}
	return reasons
}

func (d *docket) whyStale(image *ami.Image) Reason {
	detail := fmt.Sprintf("%s; the limit is %s", d.lastUse(image).ago(d.now), d.policy.idleLimit(image).inWords())
	if image.LastLaunchedAt.IsZero() {
		return Reason{neverLaunched.Code, "no launch on record; " + detail}
	}
	return Reason{stale.Code, detail}
}

// use is an event that counts as a use of an image.
type use struct {
	event string // "created", "last launched", …
	at    time.Time
}

// endOfTime is later than every date that can be written.
var endOfTime = time.Date(10000, time.January, 1, 0, 0, 0, 0, time.UTC)

// lastUse returns the latest use of an image that is on record. Its time is zero if there is none.
func (d *docket) lastUse(image *ami.Image) use { return d.lastUseUntil(image, endOfTime) }

// lastUseUntil returns the latest use of an image that is not after a time.
func (d *docket) lastUseUntil(image *ami.Image, until time.Time) use {
	last := use{event: "created"}
	consider := func(event string, at time.Time) {
		if at.After(last.at) && !at.After(until) {
			last = use{event, at}
		}
	}
	consider("created", image.CreatedAt)
	consider("last launched", image.LastLaunchedAt)
	if copied, ok := d.copied[image.ID]; ok {
		consider("copied as "+copied.ID, copied.CreatedAt)
	}
	if own := readOwnTags(image.Tags); own != nil {
		consider("restored", own.restored)
	}
	return last
}

func (u use) ago(now time.Time) string {
	return fmt.Sprintf("%s %s, %s ago", u.event, u.at.UTC().Format(time.DateOnly), daysInWords(now.Sub(u.at)))
}

// copies returns the newest own image that was made from each image, in any region: being copied is a use. A copy whose
// date is not known counts as the newest, because it may be.
func copies(inventories []ami.Inventory) map[string]ami.Image {
	newest := map[string]ami.Image{}
	for _, inventory := range inventories {
		for _, image := range inventory.Images {
			known, ok := newest[image.SourceImageID]
			if image.SourceImageID == "" || image.SourceImageID == image.ID || ok && !newerCopy(image, known) {
				continue
			}
			newest[image.SourceImageID] = image
		}
	}
	return newest
}

// originals returns the own images, of any region, of which there are copies, by id.
func originals(inventories []ami.Inventory) map[string]*ami.Image {
	found := map[string]*ami.Image{}
	for _, inventory := range inventories {
		for _, image := range inventory.Images {
			if id, _, ok := image.CopiedFrom(inventory.Region); ok {
				found[id] = nil
			}
		}
	}
	for _, inventory := range inventories {
		for i := range inventory.Images {
			if image := &inventory.Images[i]; image.ID != "" {
				if _, ok := found[image.ID]; ok {
					found[image.ID] = image
				}
			}
		}
	}
	maps.DeleteFunc(found, func(_ string, image *ami.Image) bool { return image == nil })
	return found
}

func newerCopy(image, known ami.Image) bool {
	if image.CreatedAt.IsZero() != known.CreatedAt.IsZero() {
		return image.CreatedAt.IsZero()
	}
	return byTimeThenID(image.CreatedAt, image.ID, known.CreatedAt, known.ID) > 0
}

// deferOverCap defers what exceeds the cap for one decision, counted over all plans with the stalest first.
func (p Policy) deferOverCap(plans []Plan, decision Decision) {
	type removal struct {
		*Verdict
		region string
	}
	var due []removal
	for _, plan := range plans {
		for i := range plan.Verdicts {
			if v := &plan.Verdicts[i]; v.Decision == decision {
				due = append(due, removal{v, plan.Region})
			}
		}
	}
	slices.SortFunc(due, func(a, b removal) int {
		return cmp.Or(byTimeThenID(a.LastUse, a.Image.ID, b.LastUse, b.Image.ID), strings.Compare(a.region, b.region))
	})
	limit := max(p.MaxDeregistrations, 0)
	for _, v := range due[min(limit, len(due)):] {
		if decision == Mark {
			v.Due, v.Action = time.Time{}, ""
		}
		v.Decision = Defer
		v.Reasons = append(v.Reasons, Reason{overCap.Code, fmt.Sprintf("at most %d a run, the stalest first", limit)})
	}
}

// judgeSnapshots decides on the snapshots of the images that are to be deregistered. A snapshot that several of them
// share goes with the last of them.
func (d *docket) judgeSnapshots(verdicts []Verdict) {
	staying, last := map[string]string{}, map[string]string{} // By snapshot id: why it stays, and the image that it goes with.
	for _, v := range verdicts {
		for _, reference := range d.evidence[d.region][v.Image.ID].Snapshots {
			staying[reference.SnapshotID] = "named by " + cmp.Or(reference.ARN, "something")
		}
	}
	for _, v := range verdicts {
		for _, id := range v.Image.SnapshotIDs {
			if v.Decision == Deregister {
				last[id] = v.Image.ID
			} else {
				staying[id] = cmp.Or(v.Image.ID, "an image without an id") + " still uses it"
			}
		}
	}
	for i := range verdicts {
		v := &verdicts[i]
		if v.Decision != Deregister {
			continue
		}
		for _, id := range slices.Compact(slices.Sorted(slices.Values(v.Image.SnapshotIDs))) {
			s := SnapshotVerdict{SnapshotID: id, SizeGiB: d.snapshots[id].SizeGiB, Archived: d.snapshots[id].Archived}
			if s.Why = cmp.Or(d.keepsSnapshot(id), staying[id]); s.Why == "" {
				s.Delete, s.LastImageID = true, last[id]
			}
			v.Snapshots = append(v.Snapshots, s)
		}
	}
}

// keepsSnapshot says why a snapshot stays, whatever becomes of the images that use it; empty if it goes with them.
func (d *docket) keepsSnapshot(id string) string {
	snapshot, listed := d.snapshots[id]
	switch manager := d.policy.managerByTags(snapshot.Tags); {
	case !listed:
		return "not among this account's snapshots"
	case !d.policy.DeleteSnapshots:
		return "DELETE_SNAPSHOTS is false"
	case manager != "":
		return manager
	default:
		return d.policy.keptByTag(snapshot.Tags)
	}
}

// keptByTag says which keep tag a resource carries; empty if it carries none.
func (p Policy) keptByTag(tags map[string]string) string {
	if own := readOwnTags(tags); own != nil && own.keep != "" {
		return "tagged " + own.keep
	}
	if match, ok := p.KeepTags.any(tags); ok {
		return "tagged " + match.String()
	}
	return ""
}

func snapshotsByID(inventory ami.Inventory) map[string]ami.Snapshot {
	byID := make(map[string]ami.Snapshot, len(inventory.Snapshots))
	for _, snapshot := range inventory.Snapshots {
		byID[snapshot.ID] = snapshot
	}
	return byID
}

package retention

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
)

// Approved is what a person has approved of the plans of an account. A later plan is narrowed to
// it, and never gains anything by it, whatever it says: it may come from a file that anybody wrote.
type Approved struct {
	Account string                    `json:"account"`
	Regions map[string]ApprovedRegion `json:"regions"`

	// Reports says that usage reports may be asked for, and deleted.
	Reports bool `json:"reports,omitempty"`
}

// ApprovedRegion is what is approved in one region.
type ApprovedRegion struct {
	Images map[string]ApprovedImage `json:"images"` // By id.

	// Leftovers are the snapshots that earlier runs have left; sorted.
	Leftovers []string `json:"leftovers,omitempty"`

	// Orphans are the snapshots without an image that are deleted or announced, by id.
	Orphans map[string]Decision `json:"orphans,omitempty"`
	// OrphansUnmarked are those whose announcement is taken back; sorted.
	OrphansUnmarked []string `json:"orphansUnmarked,omitempty"`

	// OverCap are the images that are left to a later run, by a cap over several accounts; sorted.
	OverCap []string `json:"overCap,omitempty"`
}

// ApprovedImage is what is approved of one image.
type ApprovedImage struct {
	Decision  Decision    `json:"decision"`
	Action    GraceAction `json:"action,omitempty"`
	Unmark    Unmark      `json:"unmark,omitempty"`
	Snapshots []string    `json:"snapshots,omitempty"` // Those that go; sorted.

	// Facts is a digest of what was known of the image when it was judged.
	Facts string `json:"facts"`
}

// OverCapOfAll is why an image waits that a cap over several accounts leaves to a later run.
const OverCapOfAll = "the stalest of the whole organization come first"

// Approve returns all that plans would do: what a person who approves of them has approved.
func Approve(plans []Plan) Approved {
	approved := Approved{Regions: map[string]ApprovedRegion{}}
	for i := range plans {
		plan := &plans[i]
		approved.Account = plan.Account // One for all.
		region := ApprovedRegion{Images: map[string]ApprovedImage{}}
		for j := range plan.Verdicts {
			if v := &plan.Verdicts[j]; plan.acts(v) {
				region.Images[v.Image.ID] = v.approved()
			}
		}
		for _, leftover := range plan.Leftovers {
			if leftover.Delete && plan.Hold == "" && !plan.Busy {
				region.Leftovers = append(region.Leftovers, leftover.SnapshotID)
			}
		}
		region.addOrphans(plan)
		slices.Sort(region.Leftovers)
		region.Leftovers = slices.Compact(region.Leftovers)
		approved.Regions[plan.Region] = region
	}
	return approved
}

// Without returns what is approved without some images, by region: they are left to a later run.
func (a Approved) Without(overCap map[string][]string) Approved {
	a.Regions = maps.Clone(a.Regions)
	for name, ids := range overCap {
		region := a.Regions[name]
		region.Images, region.OverCap = maps.Clone(region.Images), slices.Sorted(slices.Values(ids))
		for _, id := range ids {
			delete(region.Images, id)
		}
		a.Regions[name] = region
	}
	return a
}

// acts reports whether carrying out the plan changes the image. A held region only loses marks.
func (p *Plan) acts(v *Verdict) bool {
	switch {
	case p.Busy:
		return false
	case v.Decision == Deregister || v.Decision == Mark:
		return p.Hold == ""
	default:
		return v.Unmark != LeaveMark || v.CopiedTags != ""
	}
}

func (v *Verdict) approved() ApprovedImage {
	approved := ApprovedImage{Decision: v.Decision, Action: v.Action, Unmark: v.Unmark, Facts: factsOf(v.Image)}
	for _, snapshot := range v.Snapshots {
		if snapshot.Delete {
			approved.Snapshots = append(approved.Snapshots, snapshot.SnapshotID)
		}
	}
	slices.Sort(approved.Snapshots)
	return approved
}

// factsOf is a digest of all that is known of an image.
func factsOf(image ami.Image) string {
	text, err := json.Marshal(image)
	if err != nil {
		return "" // Texts, times and lists have a form in JSON.
	}
	digest := sha256.Sum256(text)
	return hex.EncodeToString(digest[:])
}

// Narrow returns the plans without all that is not approved: such images stay as they are, and so
// do the snapshots that they use. A person is shown no usage reports, and approves of none. The
// tags of removals that are over still come off: that changes no image's fate.
func (a Approved) Narrow(plans []Plan) []Plan {
	narrowed := slices.Clone(plans)
	for i := range narrowed {
		plan := &narrowed[i]
		region := a.Regions[plan.Region]
		if plan.Account != a.Account {
			region = ApprovedRegion{}
		}
		if !a.Reports {
			plan.ReportsWanted, plan.ReportsDone = nil, nil
		}
		region.narrowImages(plan)
		region.narrowLeftovers(plan)
		region.narrowOrphans(plan)
	}
	return narrowed
}

func (a *ApprovedRegion) addOrphans(plan *Plan) {
	if plan.Hold != "" || plan.Busy {
		return
	}
	for i := range plan.Orphans {
		if o := &plan.Orphans[i]; o.Decision == Deregister || o.Decision == Mark {
			if a.Orphans == nil {
				a.Orphans = map[string]Decision{}
			}
			a.Orphans[o.SnapshotID] = o.Decision
		}
	}
	for _, u := range plan.Unmarkings {
		a.OrphansUnmarked = append(a.OrphansUnmarked, u.SnapshotID)
	}
	slices.Sort(a.OrphansUnmarked)
}

// narrowOrphans leaves the journal as it is about an orphan that stays after all.
func (a ApprovedRegion) narrowOrphans(plan *Plan) {
	plan.Orphans, plan.OrphansSeen = slices.Clone(plan.Orphans), maps.Clone(plan.OrphansSeen)
	for i := range plan.Orphans {
		o := &plan.Orphans[i]
		if (o.Decision == Deregister || o.Decision == Mark) && a.Orphans[o.SnapshotID] != o.Decision {
			if o.Decision == Deregister && plan.OrphansSeen != nil {
				plan.OrphansSeen[o.SnapshotID] = o.Seen
			}
			o.Decision, o.Why, o.Due = Keep, "not in the approved plan", time.Time{}
		}
	}
	plan.Unmarkings = slices.DeleteFunc(slices.Clone(plan.Unmarkings), func(u Unmarking) bool {
		return !slices.Contains(a.OrphansUnmarked, u.SnapshotID)
	})
}

func (a ApprovedRegion) narrowImages(plan *Plan) {
	plan.Verdicts = slices.Clone(plan.Verdicts)
	staying := map[string]string{} // The image that keeps a snapshot, by the id of the latter.
	for i := range plan.Verdicts {
		v := &plan.Verdicts[i]
		why := a.refuses(v)
		if why == "" {
			continue
		}
		if v.Decision == Deregister {
			for _, id := range v.Image.SnapshotIDs {
				staying[id] = v.Image.ID
			}
		}
		if slices.Contains(a.OverCap, v.Image.ID) && (v.Decision == Deregister || v.Decision == Mark) {
			v.postpone()
			v.Snapshots, v.Reasons = nil, append(slices.Clip(v.Reasons), Reason{ami.ReasonOverCap, OverCapOfAll})
		} else {
			v.leave(why)
		}
	}
	for i := range plan.Verdicts {
		v := &plan.Verdicts[i]
		v.Snapshots = slices.Clone(v.Snapshots)
		for j := range v.Snapshots {
			if s := &v.Snapshots[j]; s.Delete && staying[s.SnapshotID] != "" {
				s.Delete, s.LastImageID, s.Why = false, "", staying[s.SnapshotID]+" still uses it"
			}
		}
	}
}

// refuses says why nothing may be done to an image although the plan has something to do; empty if
// that is approved, or if there is nothing.
func (a ApprovedRegion) refuses(v *Verdict) string {
	approved, known := a.Images[v.Image.ID]
	now := v.approved()
	switch {
	case v.Decision != Deregister && v.Decision != Mark && v.Unmark == LeaveMark && v.CopiedTags == "":
		return ""
	case !known:
		return "it is not in the approved plan"
	case approved.Facts != now.Facts:
		return "its facts have changed since the plan was approved"
	case approved.Decision != now.Decision || approved.Action != now.Action || approved.Unmark != now.Unmark:
		return "the approved plan does something else to it"
	case !slices.Equal(approved.Snapshots, now.Snapshots):
		return "other snapshots would go with it than in the approved plan"
	default:
		return ""
	}
}

// leave makes of a verdict one that leaves its image as it is.
func (v *Verdict) leave(why string) {
	if v.Decision == Deregister || v.Decision == Mark {
		v.Decision, v.Reasons = Keep, []Reason{{ami.ReasonNotApproved, why}}
		v.Due, v.Action, v.Snapshots = time.Time{}, "", nil
	} else {
		v.Reasons = append(slices.Clip(v.Reasons), Reason{ami.ReasonNotApproved, why})
	}
	v.Unmark, v.Undo, v.CopiedTags = LeaveMark, Undo{}, ""
}

func (a ApprovedRegion) narrowLeftovers(plan *Plan) {
	plan.Leftovers = slices.Clone(plan.Leftovers)
	for i := range plan.Leftovers {
		if l := &plan.Leftovers[i]; l.Delete && !slices.Contains(a.Leftovers, l.SnapshotID) {
			l.Delete, l.Undecided, l.Why = false, true, "not in the approved plan"
		}
	}
}

package retention_test

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// check tries a property on many worlds.
func check(t *testing.T, property func(*rapid.T, world)) {
	t.Helper()
	checkTimes(t, 1, property)
}

// checkTimes tries a property on n times as many. One call of rapid.Check draws them all: two with
// one seed draw the same.
func checkTimes(t *testing.T, n int, property func(*rapid.T, world)) {
	t.Helper()
	rapid.Check(t, func(t *rapid.T) {
		for range n {
			property(t, anyWorld.Draw(t, "world"))
		}
	})
}

// Every image of the inventory is judged exactly once, in the plan of its region, with at least one
// reason that is in the table.
func TestEveryImageIsJudgedOnce(t *testing.T) {
	known := map[retention.Code]bool{}
	for _, rule := range retention.Rules() {
		known[rule.Code] = true
	}
	check(t, func(t *rapid.T, w world) {
		plans := w.plan()
		if len(plans) != len(w.inventories) {
			t.Fatalf("%d plans of %d inventories", len(plans), len(w.inventories))
		}
		for i, plan := range plans {
			var want, got []string
			for _, image := range w.inventories[i].Images {
				want = append(want, image.ID)
			}
			for _, v := range plan.Verdicts {
				got = append(got, v.Image.ID)
				if len(v.Reasons) == 0 {
					t.Errorf("%s: no reason", v.Image.ID)
				}
				for _, reason := range v.Reasons {
					if !known[reason.Code] || reason.Detail == "" {
						t.Errorf("%s: reason %q", v.Image.ID, reason)
					}
				}
				if v.Decision != retention.Deregister && len(v.Snapshots) > 0 {
					t.Errorf("%s: %s, with verdicts on its snapshots", v.Image.ID, v.Decision)
				}
			}
			slices.Sort(want)
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("judged %v, want %v", got, want)
			}
		}
	})
}

// An image is removed, announced or deferred exactly if no promise forbids it; and the announcement
// of a kept image is treated as the promises say. An oracle that does not know the rules judges.
func TestExactlyWhatNoPromiseForbidsIsCondemned(t *testing.T) {
	seen, unmarks := map[retention.Decision]int{}, map[retention.Unmark]int{}
	kept, standings := map[string]int{}, map[string]int{}
	enabled, undeprecated := 0, 0
	property := func(t *rapid.T, w world) {
		for i, plan := range w.plan() {
			for _, v := range plan.Verdicts {
				want := w.judge(w.inventories[i], v.Image)
				kept[want.promise]++
				seen[v.Decision]++
				unmarks[v.Unmark]++
				whose, _ := w.whose(w.inventories[i], v.Image)
				standings[whose]++
				undo := undoing{strings.Join(slices.Sorted(slices.Values(v.Undo.Keys)), ","), v.Undo.Enable, v.Undo.EndDeprecation}
				if undo.enable {
					enabled++
				}
				if undo.undeprecated {
					undeprecated++
				}
				got := sentence{want.promise, v.Decision, v.Due.UTC(), v.Action, v.Unmark, undo, v.AnnouncedBy}
				if v.Decision == retention.Defer && want.decision != retention.Keep {
					if want.decision == retention.Mark {
						want.due, want.action = time.Time{}, ""
					}
					got.decision = want.decision
				}
				if got != want {
					t.Errorf("%s: %+v because of %q, want %+v: %+v", v.Image.ID, got, v.Reasons, want, v.Image)
				}
				if isAnnounced := codes(v)[0] == "announced"; isAnnounced != (want.decision == retention.Keep && want.promise == "") {
					t.Errorf("%s: %s because of %q, want %+v", v.Image.ID, v.Decision, v.Reasons, want)
				}
			}
		}
	}
	checkTimes(t, 20, property) // It is the property that matters most.
	t.Logf("decisions %v; marks %v; kept %v; announcements %v; enabled %d, undeprecated %d", seen, unmarks, kept, standings, enabled, undeprecated)
	for _, whose := range []string{"ours", "unrecorded", "another's", "nobody's"} {
		if standings[whose] == 0 || enabled == 0 || undeprecated == 0 {
			t.Errorf("no announcement of any world is %s, or none was taken back: the property says too little", whose)
		}
	}
	if seen[retention.Deregister] == 0 || seen[retention.Mark] == 0 || unmarks[retention.Veto] == 0 || unmarks[retention.ClearMark] == 0 || kept["may be shared"] == 0 {
		t.Error("something has never happened in any world: the property says too little")
	}
}

// What a verdict says about an announcement is consistent, and only images of the account are ever
// touched.
func TestVerdictsHangTogether(t *testing.T) {
	check(t, func(t *rapid.T, w world) {
		for i, plan := range w.plan() {
			for _, v := range plan.Verdicts {
				marks, keeps := v.Decision == retention.Mark, v.Decision == retention.Keep
				says := marks || keeps && codes(v)[0] == "announced"
				if (v.Action != "") != says || marks && v.Due.IsZero() || v.Unmark != "" && !keeps {
					t.Errorf("%s: %s, with %q, %q, due on %s", v.Image.ID, v.Decision, v.Action, v.Unmark, v.Due)
				}
				if keeps && v.AnnouncedBy == "" && (v.Due.IsZero() == (codes(v)[0] == "announced") || !v.Due.IsZero() && !v.Due.After(now)) {
					t.Errorf("%s: stays because of %q, due on %s", v.Image.ID, v.Reasons, v.Due)
				}
				if marks && (!v.Due.Equal(now.Add(time.Duration(w.policy.Grace))) || v.Due.Location() != time.UTC) {
					t.Errorf("%s: is announced for %s", v.Image.ID, v.Due)
				}
				if v.Image.OwnerID != account && (!keeps || v.Unmark != "") {
					t.Errorf("%s: %s, %q, but belongs to %q", v.Image.ID, v.Decision, v.Unmark, v.Image.OwnerID)
				}
				if w.policy.Grace <= 0 && marks {
					t.Errorf("%s: is announced, without a grace period", v.Image.ID)
				}
				recorded, isRecorded := w.inventories[i].History.Announced[v.Image.ID]
				run, by := oracleAnnouncer(v.Image.Tags)
				bornOut := isRecorded && recorded.Policy == w.policy.Name && recorded.Run == run && by == w.policy.Name
				if w.policy.Grace > 0 && v.Decision == retention.Deregister && (!bornOut || !oracleHas(v.Image.Tags, "due") || recorded.Due.After(now) || oracleTagDue(v.Image.Tags).After(now)) {
					t.Errorf("%s: goes without an announcement, due on %s: %v, %v", v.Image.ID, v.Due, v.Image.Tags, recorded)
				}
				if bornOut = isRecorded && recorded.Policy == w.policy.Name; v.Undo.Enable && (!bornOut || recorded.Action != "disable") || v.Undo.EndDeprecation && (!bornOut || recorded.Action != "deprecate") {
					t.Errorf("%s: %+v, and the journal has %+v", v.Image.ID, v.Undo, recorded)
				}
				if v.Unmark == "" && (len(v.Undo.Keys) > 0 || v.Undo.Enable || v.Undo.EndDeprecation) || v.AnnouncedBy != "" && (!keeps || v.AnnouncedBy == w.policy.Name) {
					t.Errorf("%s: unmark %q, undo %+v, announced by %q", v.Image.ID, v.Unmark, v.Undo, v.AnnouncedBy)
				}
			}
		}
	})
}

// The caps hold over all plans, and over all that are held; they are used up, and no removed image
// is fresher than a deferred one. Announcements have a cap of their own.
func TestTheCapHolds(t *testing.T) {
	refused := 0
	check(t, func(t *rapid.T, w world) {
		type group struct {
			meant retention.Decision
			held  bool
		}
		goes, waits := map[group][]retention.Verdict{}, map[group][]retention.Verdict{}
		// Images that stay because a snapshot may be shared: no others replace them.
		shared := map[group]int{}
		yields := func(v retention.Verdict) int { return slices.Index([]bool{false, true}, v.Yields) }
		for i, plan := range w.plan() {
			held := w.oracleHeld(w.inventories[i])
			for _, v := range plan.Verdicts {
				switch v.Decision {
				case retention.Deregister, retention.Mark:
					goes[group{v.Decision, held}] = append(goes[group{v.Decision, held}], v)
				case retention.Defer:
					if w.oracleWaits(w.inventories[i], v.Image.ID) {
						refused++
						continue // Whether there is room or not.
					}
					meant := group{w.judge(w.inventories[i], v.Image).decision, held}
					waits[meant] = append(waits[meant], v)
				default:
					if strings.Contains(details(v), "with whom it is shared is not known") {
						shared[group{retention.Deregister, held}]++
					}
				}
			}
		}
		limit := max(w.policy.MaxDeregistrations, 0)
		for _, decision := range []group{{retention.Deregister, false}, {retention.Mark, false}, {retention.Deregister, true}, {retention.Mark, true}} {
			goes, waits := goes[decision], waits[decision]
			if len(goes) > limit || len(waits) > 0 && len(goes)+shared[decision] < limit {
				t.Errorf("%v: %d go and %d wait with a cap of %d", decision, len(goes), len(waits), limit)
			}
			for _, first := range goes {
				for _, later := range waits {
					if cmp.Or(yields(first)-yields(later), first.LastUse.Compare(later.LastUse), strings.Compare(first.Image.ID, later.Image.ID)) > 0 {
						t.Errorf("%s (%s) goes before %s (%s)", first.Image.ID, first.LastUse, later.Image.ID, later.LastUse)
					}
				}
			}
		}
	})
	if refused == 0 {
		t.Error("EC2 has refused nothing in any world: the property says too little")
	}
}

// An image that EC2 refused recently is deferred if nothing keeps it, and the verdict says so;
// nothing else is deferred for it. Images that could not be removed yield.
func TestExactlyWhatEC2HasRefusedWaits(t *testing.T) {
	check(t, func(t *rapid.T, w world) {
		for i, plan := range w.plan() {
			for _, v := range plan.Verdicts {
				here := w.inventories[i]
				goes := w.judge(here, v.Image).decision == retention.Deregister
				waits := goes && w.oracleWaits(here, v.Image.ID)
				if slices.Contains(codes(v), "refused") != waits || waits && v.Decision != retention.Defer {
					t.Errorf("%s: %s because of %v, with %+v", v.Image.ID, v.Decision, v.Reasons, here.History.Refused[v.Image.ID])
				}
				if _, left := here.History.Refused[v.Image.ID]; v.Yields != (left && goes) {
					t.Errorf("%s: %s, yields %t, with %+v", v.Image.ID, v.Decision, v.Yields, here.History.Refused[v.Image.ID])
				}
			}
		}
	})
}

// No snapshot is deleted that a kept image maps, that is not listed, or that must be kept; and a
// shared one goes with the last of its images.
func TestNoSnapshotIsDeletedThatIsNeeded(t *testing.T) {
	deleted, ofFailed := 0, 0
	checkTimes(t, 40, func(t *rapid.T, w world) {
		for i, plan := range w.plan() {
			listed := map[string]ami.Snapshot{}
			for _, s := range w.inventories[i].Snapshots {
				listed[s.ID] = s
			}
			for at, v := range plan.Verdicts {
				for _, s := range v.Snapshots {
					if s.Delete != (s.Why == "") || s.Delete != (s.LastImageID != "") {
						t.Errorf("%+v is neither deleted nor kept", s)
					}
					if !s.Delete {
						continue
					}
					if deleted++; v.Image.State == "failed" {
						ofFailed++
					}
					if len(w.evidence[plan.Region].Snapshots[s.SnapshotID].References) > 0 {
						t.Errorf("%s is deleted, but something names it", s.SnapshotID)
					}
					snapshot, ok := listed[s.SnapshotID]
					if oracleByHand(w.inventories[i], snapshot) || w.oracleOfOthers(w.inventories[i], snapshot) || w.oracleSharing(w.inventories[i], s.SnapshotID) != "private" {
						t.Errorf("%+v is deleted, and has a life of its own", snapshot)
					}
					if !ok || !w.policy.DeleteSnapshots || w.oracleKeepTag(snapshot.Tags) || snapshot.Tags["aws:backup:source-resource"] != "" {
						t.Errorf("%s is deleted: listed %t, %+v", s.SnapshotID, ok, snapshot)
					}
					for place, other := range plan.Verdicts {
						maps := slices.Contains(other.Image.SnapshotIDs, s.SnapshotID)
						if maps && other.Decision != retention.Deregister {
							t.Errorf("%s is deleted, but %s (%s) maps it", s.SnapshotID, other.Image.ID, other.Decision)
						}
						if maps && place > at && s.LastImageID == v.Image.ID {
							t.Errorf("%s goes with %s, but %s comes later and maps it", s.SnapshotID, v.Image.ID, other.Image.ID)
						}
					}
				}
				if v.Decision == retention.Deregister && len(v.Snapshots) != len(v.Image.SnapshotIDs) {
					t.Errorf("%s: %d verdicts on %d snapshots", v.Image.ID, len(v.Snapshots), len(v.Image.SnapshotIDs))
				}
			}
		}
	})
	if deleted == 0 || ofFailed == 0 {
		t.Errorf("%d snapshots of all worlds were deleted, %d of failed images: the property says too little", deleted, ofFailed)
	}
}

// Sharing never adds a removal: the plan that says which snapshots to ask about is carried out,
// minus the images with snapshots of unknown sharing, minus what is shared or belongs to these
// images, too. That others take their places in the cap is shown separately.
func TestSharingOnlySpares(t *testing.T) {
	shared, unknown := 0, 0
	property := func(t *rapid.T, w world) {
		w.policy.MaxDeregistrations = 1000
		after := w.plan()
		for i, before := range w.unasked().plan() {
			here := w.inventories[i]
			stays := map[string]bool{} // The snapshots that do.
			for at, v := range before.Verdicts {
				got := after[i].Verdicts[at]
				if v.Decision == retention.Deregister && w.oracleMayBeShared(here, v.Image) {
					unknown++
					for _, id := range v.Image.SnapshotIDs {
						stays[id] = true
					}
					if got.Decision != retention.Keep || !got.Due.IsZero() || len(got.Snapshots) > 0 || codes(got)[0] != "unknown-use" {
						t.Errorf("%s may be shared: %+v", v.Image.ID, got)
					}
					continue
				}
				got.Snapshots, v.Snapshots = nil, nil
				if diff := gocmp.Diff(v, got); diff != "" {
					t.Errorf("%s", diff)
				}
			}
			if before.Hold != "" {
				continue
			}
			goes := slices.DeleteFunc(before.SnapshotsToDelete(), func(id string) bool {
				sharing := w.oracleSharing(here, id)
				if sharing == "shared" {
					shared++
				}
				return sharing != "private" || stays[id]
			})
			if after[i].Hold != "" || !slices.Equal(goes, after[i].SnapshotsToDelete()) {
				t.Errorf("%s deletes %v, want %v", before.Region, after[i].SnapshotsToDelete(), goes)
			}
		}
	}
	checkTimes(t, 20, property) // Few worlds delete any snapshot.
	if shared == 0 || unknown == 0 {
		t.Errorf("spared: %d shared snapshots, %d images: the property says too little", shared, unknown)
	}
}

// A region is held if another run is at work in it, or if the Recycle Bin would not retain
// removals, and there is anything to hold.
func TestWhatIsHeld(t *testing.T) {
	held := 0
	check(t, func(t *rapid.T, w world) {
		for i, plan := range w.plan() {
			here := w.inventories[i]
			leftover := slices.ContainsFunc(plan.Leftovers, func(l retention.LeftoverVerdict) bool { return l.Delete })
			busy, goes := here.History.Busy != "", len(touched([]retention.Plan{plan})) > 0 || leftover
			if want := busy || w.oracleHeld(here) && goes; plan.Busy != busy || (plan.Hold != "") != want {
				t.Errorf("%s: hold %q, busy %t; want %t, %t", plan.Region, plan.Hold, plan.Busy, want, busy)
			}
			if plan.Hold != "" {
				held++
			}
		}
	})
	if held == 0 {
		t.Error("no region of any world was held: the property says nothing")
	}
}

// A leftover is deleted exactly if nothing needs it, and waits for what may be known another night.
func TestExactlyWhatNobodyNeedsIsFinished(t *testing.T) {
	seen := map[string]int{}
	property := func(t *rapid.T, w world) {
		for i, plan := range w.plan() {
			here := w.inventories[i]
			if len(plan.Leftovers) != len(here.History.Leftovers) {
				t.Errorf("%d verdicts on %d leftovers", len(plan.Leftovers), len(here.History.Leftovers))
			}
			for _, l := range plan.Leftovers {
				want := w.judgeLeftover(here, l.Leftover)
				got := map[bool]string{true: "deleted", false: "decided"}[l.Delete]
				if l.Undecided {
					got = "undecided"
				}
				if seen[got]++; got != want || l.Delete != (l.Why == "") {
					t.Errorf("%+v is %s, want %s", l, got, want)
				}
			}
		}
	}
	checkTimes(t, 5, property)
	if t.Logf("%v", seen); seen["deleted"] == 0 || seen["decided"] == 0 || seen["undecided"] == 0 {
		t.Error("something has never happened in any world: the property says too little")
	}
}

// A declaration is taken off exactly if no run needs it.
func TestExactlyWhatIsOverIsStale(t *testing.T) {
	stale := 0
	property := func(t *rapid.T, w world) {
		for i, plan := range w.plan() {
			here := w.inventories[i]
			want := map[string]int{} // The number of tags, by id.
			for _, v := range plan.Verdicts {
				tags := v.Image.Tags
				isOver := oracleIntent(tags) && !oracleClaimed(here, v.Image.ID, tags) ||
					oracleCopiedDeclaration(v.Image) && (oracleIntent(tags) || !oracleBadTag(v.Image))
				if isOver && v.Image.OwnerID == account && v.Unmark != retention.Veto {
					want[v.Image.ID] = len(oracleValues(tags, "intent")) + len(oracleValues(tags, "run"))
				}
			}
			for _, s := range here.Snapshots {
				isLeftover := slices.ContainsFunc(here.History.Leftovers, func(l ami.Leftover) bool { return l.SnapshotID == s.ID && l.Run == oracleRunOf(s.Tags) })
				if oracleIntent(s.Tags) && !oracleClaimed(here, s.ID, s.Tags) && !isLeftover && !oracleMayBeAnothers(here, s) {
					want[s.ID] = len(oracleValues(s.Tags, "intent")) + len(oracleValues(s.Tags, "run"))
				}
			}
			got := map[string]int{}
			for _, declaration := range plan.Stale {
				got[declaration.ID] = len(declaration.Keys)
				stale++
			}
			if !maps.Equal(got, want) || !slices.IsSortedFunc(plan.Stale, func(a, b retention.StaleDeclaration) int { return strings.Compare(a.ID, b.ID) }) {
				t.Errorf("%s: stale %v, want %v", plan.Region, got, want)
			}
		}
	}
	checkTimes(t, 5, property)
	if stale == 0 {
		t.Error("no stale declaration in any world: the property says nothing")
	}
}

// An orphan is exactly a snapshot that nobody is known to need, and nobody may need.
func TestExactlyWhatNobodyKnowsIsAnOrphan(t *testing.T) {
	orphans := 0
	property := func(t *rapid.T, w world) {
		for i, plan := range w.plan() {
			var want, got []string
			for _, s := range w.inventories[i].Snapshots {
				if w.oracleOrphan(w.inventories[i], s) {
					want = append(want, s.ID)
				}
			}
			last := int64(100)
			for _, orphan := range plan.Orphans {
				got = append(got, orphan.SnapshotID)
				if orphan.SizeGiB > last {
					t.Errorf("%s comes later and is larger", orphan.SnapshotID)
				}
				last = orphan.SizeGiB
				orphans++
			}
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("%s: orphans %v, want %v", plan.Region, got, want)
			}
		}
	}
	checkTimes(t, 5, property)
	if orphans == 0 {
		t.Error("no orphan in any world: the property says nothing")
	}
}

// The order of the input never matters: the same account gives the same plans, byte for byte.
func TestTheOrderOfTheInputNeverMatters(t *testing.T) {
	check(t, func(t *rapid.T, w world) {
		want, wantCandidates := encode(t, w.plan()), encode(t, w.candidates())
		shuffled := w.clone()
		shuffled.inventories = rapid.Permutation(shuffled.inventories).Draw(t, "regions")
		for i := range shuffled.inventories {
			here := &shuffled.inventories[i]
			here.Images = rapid.Permutation(here.Images).Draw(t, "images")
			here.Snapshots = rapid.Permutation(here.Snapshots).Draw(t, "snapshots")
			here.Bin.Rules = rapid.Permutation(here.Bin.Rules).Draw(t, "rules")
			here.History.Leftovers = rapid.Permutation(here.History.Leftovers).Draw(t, "leftovers")
		}
		plans := shuffled.plan()
		slices.SortFunc(plans, func(a, b retention.Plan) int { return w.place(a.Region) - w.place(b.Region) })
		if diff := gocmp.Diff(want, encode(t, plans)); diff != "" {
			t.Errorf("the plan depends on the order of its input (-sorted +shuffled):\n%s", diff)
		}
		if diff := gocmp.Diff(wantCandidates, encode(t, shuffled.candidates())); diff != "" {
			t.Errorf("the candidates depend on the order of the input (-sorted +shuffled):\n%s", diff)
		}
	})
}

func (w world) place(region string) int {
	return slices.IndexFunc(w.inventories, func(i ami.Inventory) bool { return i.Region == region })
}

func encode(t rapid.TB, value any) string {
	text, err := json.MarshalIndent(value, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Images that facts keep need no evidence, except for the dates of launches, for originals, for
// declarations, and for snapshots without an image.
func TestEvidenceForCandidatesIsEnough(t *testing.T) {
	check(t, func(t *rapid.T, w world) {
		all := w.plan()
		asked := map[string]bool{}
		for _, candidates := range w.candidates() {
			for _, image := range candidates {
				asked[image.ID] = true
				for _, id := range image.SnapshotIDs {
					asked[id] = true
				}
				if original, _, ok := image.CopiedFrom(""); ok {
					asked[original] = true
				}
			}
		}
		for _, here := range w.inventories {
			unattached := w.policy.Open([]ami.Inventory{here}, now).Unattached()[here.Region]
			for _, id := range unattached.IDs {
				asked[id] = true
			}
		}
		for region, evidence := range w.clone().evidence {
			maps.DeleteFunc(evidence.Snapshots, func(id string, _ ami.SnapshotFinding) bool { return !asked[id] })
			w.evidence[region] = evidence
			for id, finding := range evidence.Images {
				if !asked[id] {
					finding = ami.Finding{LaunchedAt: finding.LaunchedAt, Report: finding.Report}
				}
				w.evidence[region].Images[id] = finding
			}
		}
		if diff := gocmp.Diff(encode(t, all), encode(t, w.plan())); diff != "" {
			t.Errorf("the plan depends on evidence for what nobody asks about (-all +asked for only):\n%s", diff)
		}
	})
}

// Every removed or announced image was a candidate, so that evidence for it was collected; and with
// proof for all, all candidates are, except for copies and shared images, which need more proof.
func TestCandidatesAreWhatCanBeCondemned(t *testing.T) {
	check(t, func(t *rapid.T, w world) {
		w = w.unasked() // Candidates are looked up before anybody asks.
		candidates, plain := []string{}, []string{}
		for _, inventory := range w.inventories {
			for _, image := range w.candidates()[inventory.Region] {
				candidates = append(candidates, image.ID)
				if _, _, copied := image.CopiedFrom(region); !copied && !image.Public && !w.oracleElsewhere(inventory, image) && !oracleCopiedMark(image) && !oracleCopiedDeclaration(image) {
					plain = append(plain, image.ID)
				}
			}
		}
		condemned := func() []string {
			var ids []string
			for _, plan := range w.plan() {
				for _, v := range plan.Verdicts {
					if v.Decision != retention.Keep || codes(v)[0] == "announced" {
						ids = append(ids, v.Image.ID)
					}
				}
			}
			return ids
		}
		for _, id := range condemned() {
			if !slices.Contains(candidates, id) {
				t.Errorf("%s is condemned, but was no candidate", id)
			}
		}
		w.evidence = unused(w.inventories...)
		got := condemned()
		for _, id := range plain {
			if !slices.Contains(got, id) {
				t.Errorf("%s stays, but was a candidate, and is proven to be unused", id)
			}
		}
	})
}

// touched returns the ids of the images to remove or announce, now or when the cap allows it.
func touched(plans []retention.Plan) []string {
	return decided(plans, retention.Deregister, retention.Mark, retention.Defer)
}

// A gap never adds a removal. It keeps its own image, and copies of that, and nothing else.
func TestAGapNeverAddsARemoval(t *testing.T) {
	check(t, func(t *rapid.T, w world) {
		w.policy.MaxDeregistrations = 1000
		before := touched(w.plan())
		if len(before) == 0 {
			t.Skip("nothing is condemned")
		}
		lost := rapid.SampledFrom(before).Draw(t, "image")
		for _, evidence := range w.evidence {
			if finding, ok := evidence.Images[lost]; ok {
				finding.Gaps = append(finding.Gaps, aGap)
				evidence.Images[lost] = finding
			}
		}
		got := touched(w.plan())
		if slices.Contains(got, lost) {
			t.Errorf("%s is condemned although it has a gap", lost)
		}
		for _, id := range got {
			if !slices.Contains(before, id) {
				t.Errorf("%s is condemned because of a gap for %s", id, lost)
			}
		}
		for id, v := range verdicts(w.plan()) {
			if id != lost && v.Image.SourceImageID != lost && slices.Contains(before, id) && !slices.Contains(got, id) {
				t.Errorf("%s stays because of a gap for %s", id, lost)
			}
		}
	})
}

// Less evidence never adds a removal: an image nobody asked about, or a region that could not be
// read. What the latter says about another region's images, their copies and their names, is not
// seen that night: docs/design/0007.
func TestLessEvidenceNeverAddsARemoval(t *testing.T) {
	check(t, func(t *rapid.T, w world) {
		w.policy.MaxDeregistrations = 1000
		before, whole := touched(w.plan()), w.clone()
		here := rapid.SampledFrom(w.inventories).Draw(t, "region").Region
		if rapid.Bool().Draw(t, "whole region") {
			w.evidence[here] = ami.Evidence{}
			if rapid.Bool().Draw(t, "listing too") {
				w.inventories = slices.DeleteFunc(w.inventories, func(i ami.Inventory) bool { return i.Region == here })
			}
		} else if ids := slices.Sorted(maps.Keys(w.evidence[here].Images)); len(ids) > 0 {
			id := rapid.SampledFrom(ids).Draw(t, "image")
			if finding := w.evidence[here].Images[id]; finding.LaunchedAt.IsZero() && !whole.named(id) {
				delete(w.evidence[here].Images, id)
			}
		}
		for id, v := range verdicts(w.plan()) {
			if v.Decision == retention.Keep || slices.Contains(before, id) {
				continue
			}
			named := len(whole.evidence[here].Images[id].References)+len(whole.evidence[here].Images[v.Image.SourceImageID].References) > 0
			copied := len(whole.made(v.Image)) > len(w.made(v.Image))
			// If nothing was read, nothing says that text was not.
			unread := len(whole.evidence[here].Gaps) > 0
			if !named && !copied && !unread {
				t.Errorf("%s is condemned because less is known of %s", id, here)
			}
		}
	})
}

// Without any evidence nothing is removed or announced, nothing is deferred, and no usage report is
// requested or deleted.
func TestNoEvidenceRemovesNothing(t *testing.T) {
	check(t, func(t *rapid.T, w world) {
		for _, w.evidence = range []map[string]ami.Evidence{nil, {}, {failedRegion: {}}} {
			plans := w.plan()
			if got := touched(plans); len(got) > 0 {
				t.Errorf("condemned without evidence: %v", got)
			}
			for _, plan := range plans {
				if len(plan.ReportsWanted)+len(plan.ReportsDone) > 0 {
					t.Errorf("reports: %v wanted, %v done, without evidence", plan.ReportsWanted, plan.ReportsDone)
				}
				if slices.ContainsFunc(plan.Leftovers, func(l retention.LeftoverVerdict) bool { return l.Delete }) || len(plan.Orphans) > 0 {
					t.Errorf("without evidence: leftovers %+v, orphans %+v", plan.Leftovers, plan.Orphans)
				}
			}
		}
	})
}

// An additional keep rule never removes another image.
func TestAKeepTagNeverCondemnsAnother(t *testing.T) {
	check(t, func(t *rapid.T, w world) {
		before := touched(w.plan())
		if len(before) == 0 {
			t.Skip("nothing is condemned")
		}
		lucky := rapid.SampledFrom(before).Draw(t, "image")
		for i := range w.inventories {
			for j := range w.inventories[i].Images {
				if image := &w.inventories[i].Images[j]; image.ID == lucky {
					image.Tags = cloneTags(image.Tags)
					if image.Tags == nil {
						image.Tags = map[string]string{}
					}
					image.Tags["ami-janitor:keep"] = "yes"
				}
			}
		}
		want := slices.DeleteFunc(slices.Clone(before), func(id string) bool { return id == lucky })
		if got := touched(w.plan()); !slices.Equal(got, want) {
			t.Errorf("with a keep tag on %s condemned are %v, want %v", lucky, got, want)
		}
	})
}

// Neither function writes to what it is given, spare capacity included.
func TestTheInputIsNotModified(t *testing.T) {
	check(t, func(t *rapid.T, w world) {
		before := w.clone()
		w.candidates()
		w.plan()
		if diff := gocmp.Diff(before.inventories, w.inventories); diff != "" {
			t.Errorf("the inventories are modified (-before +after):\n%s", diff)
		}
		if diff := gocmp.Diff(before.evidence, w.evidence); diff != "" {
			t.Errorf("the evidence is modified (-before +after):\n%s", diff)
		}
		if diff := gocmp.Diff(before.spare(), w.spare()); diff != "" {
			t.Errorf("the room behind a slice is modified (-before +after):\n%s", diff)
		}
	})
}

// Images without an id cannot be distinguished by it, but their order does not depend on the
// listing's either.
func TestTheOrderOfImagesWithoutAnID(t *testing.T) {
	var images []ami.Image
	for _, name := range []string{"a", "b", "c"} {
		images = append(images, idle("", named(name), func(i *ami.Image) { i.Unreadable = []string{"no image id"} }))
	}
	want := encode(t, policy().Open([]ami.Inventory{inventory(region, images...)}, now).Plan(nil))
	slices.Reverse(images)
	got := encode(t, policy().Open([]ami.Inventory{inventory(region, images...)}, now).Plan(nil))
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("the plan depends on the order of its input (-forwards +backwards):\n%s", diff)
	}
}

// The note about an undated copy is not appended to the facts of its source.
func TestWhatIsUnreadableIsNotModified(t *testing.T) {
	faults := make([]string, 1, 2)
	faults[0] = "this"
	source := idle(subject, func(i *ami.Image) { i.Unreadable = faults })
	undated := idle("ami-2", copyOf(subject), created(time.Time{}))
	if got, want := details(judge(t, policy(), inventory(region, source, undated))[subject]), "this; the creation date of its copy ami-2\n"; got != want {
		t.Errorf("says %q, want %q", got, want)
	}
	if behind := faults[:2][1]; behind != "" {
		t.Errorf("written behind the facts: %q", behind)
	}
}

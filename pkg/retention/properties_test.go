package retention_test

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"ami-janitor/pkg/ami"
	"ami-janitor/pkg/retention"
)

// check tries a property on many worlds.
func check(t *testing.T, property func(*rapid.T, world)) {
	t.Helper()
	rapid.Check(t, func(t *rapid.T) { property(t, anyWorld.Draw(t, "world")) })
}

// Every image of the inventory is judged exactly once, in the plan of its region, with at least one reason that is in
// the table.
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

// An image is condemned, now or when the cap allows it, exactly if no promise forbids it. An oracle that does not know
// the rules judges the promises.
func TestExactlyWhatNoPromiseForbidsIsCondemned(t *testing.T) {
	condemned, kept := 0, map[string]int{}
	property := func(t *rapid.T, w world) {
		for i, plan := range w.plan() {
			for _, v := range plan.Verdicts {
				promise := w.mustStay(w.inventories[i], v.Image)
				kept[promise]++
				switch {
				case v.Decision != retention.Keep && promise != "":
					t.Errorf("%s: %s because of %q, but it is %s: %+v", v.Image.ID, v.Decision, v.Reasons, promise, v.Image)
				case v.Decision == retention.Keep && promise == "":
					t.Errorf("%s: stays because of %q, but no promise keeps it: %+v", v.Image.ID, v.Reasons, v.Image)
				case v.Decision == retention.Deregister:
					condemned++
				}
			}
		}
	}
	for range 5 { // It is the property that matters most.
		check(t, property)
	}
	t.Logf("%d images condemned; kept: %v", condemned, kept)
	if condemned == 0 {
		t.Error("no image of any world was condemned: the property says nothing")
	}
}

// The cap holds over all plans, all of it is used, and none that goes is fresher than one that waits.
func TestTheCapHolds(t *testing.T) {
	check(t, func(t *rapid.T, w world) {
		var goes, waits []retention.Verdict
		for _, plan := range w.plan() {
			for _, v := range plan.Verdicts {
				switch v.Decision {
				case retention.Deregister:
					goes = append(goes, v)
				case retention.Defer:
					waits = append(waits, v)
				default:
				}
			}
		}
		limit := max(w.policy.MaxDeregistrations, 0)
		if len(goes) > limit || len(waits) > 0 && len(goes) < limit {
			t.Errorf("%d go and %d wait with a cap of %d", len(goes), len(waits), limit)
		}
		for _, first := range goes {
			for _, later := range waits {
				if cmp.Or(first.LastUse.Compare(later.LastUse), strings.Compare(first.Image.ID, later.Image.ID)) > 0 {
					t.Errorf("%s (%s) goes before %s (%s)", first.Image.ID, first.LastUse, later.Image.ID, later.LastUse)
				}
			}
		}
	})
}

// No snapshot is deleted that an image which stays maps, that is not listed, or that is to be kept; and one that several
// images share goes with the last of them.
func TestNoSnapshotIsDeletedThatIsNeeded(t *testing.T) {
	deleted := 0
	check(t, func(t *rapid.T, w world) {
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
					deleted++
					snapshot, ok := listed[s.SnapshotID]
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
	if deleted == 0 {
		t.Error("no snapshot of any world was deleted: the property says nothing")
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

// Evidence on what the facts keep changes nothing: it need not be looked up.
func TestEvidenceForCandidatesIsEnough(t *testing.T) {
	check(t, func(t *rapid.T, w world) {
		want := encode(t, w.plan())
		enough := map[string]ami.Evidence{}
		for region, candidates := range w.candidates() {
			enough[region] = ami.Evidence{}
			for _, image := range candidates {
				if finding, ok := w.evidence[region][image.ID]; ok {
					enough[region][image.ID] = finding
				}
			}
		}
		w.evidence = enough
		if diff := gocmp.Diff(want, encode(t, w.plan())); diff != "" {
			t.Errorf("the plan depends on evidence for what is no candidate (-all +candidates only):\n%s", diff)
		}
	})
}

// Whatever is condemned was a candidate, so that evidence for it was looked up; and with proof for all, all candidates are.
func TestCandidatesAreWhatCanBeCondemned(t *testing.T) {
	check(t, func(t *rapid.T, w world) {
		candidates := []string{}
		for _, inventory := range w.inventories {
			for _, image := range w.candidates()[inventory.Region] {
				candidates = append(candidates, image.ID)
			}
		}
		for _, id := range decided(w.plan(), retention.Deregister, retention.Defer) {
			if !slices.Contains(candidates, id) {
				t.Errorf("%s is condemned, but was no candidate", id)
			}
		}
		w.evidence = unused(w.inventories...)
		if got := decided(w.plan(), retention.Deregister, retention.Defer); !slices.Equal(got, candidates) {
			t.Errorf("condemned %v, candidates %v", got, candidates)
		}
	})
}

// C1: a gap never adds a removal. It takes its own image out of what is condemned, and nothing else happens.
func TestAGapNeverAddsARemoval(t *testing.T) {
	check(t, func(t *rapid.T, w world) {
		w.policy.MaxDeregistrations = 1000
		before := decided(w.plan(), retention.Deregister)
		if len(before) == 0 {
			t.Skip("nothing is condemned")
		}
		lost := rapid.SampledFrom(before).Draw(t, "image")
		for _, evidence := range w.evidence {
			if finding, ok := evidence[lost]; ok {
				finding.Gaps = append(finding.Gaps, aGap)
				evidence[lost] = finding
			}
		}
		want := slices.DeleteFunc(slices.Clone(before), func(id string) bool { return id == lost })
		if got := decided(w.plan(), retention.Deregister); !slices.Equal(got, want) {
			t.Errorf("with a gap for %s removed are %v, want %v", lost, got, want)
		}
	})
}

// C1: without any evidence nothing is removed, and nothing waits to be.
func TestNoEvidenceRemovesNothing(t *testing.T) {
	check(t, func(t *rapid.T, w world) {
		w.evidence = nil
		if got := decided(w.plan(), retention.Deregister, retention.Defer); len(got) > 0 {
			t.Errorf("condemned without evidence: %v", got)
		}
	})
}

// A keep rule that is added never condemns another image.
func TestAKeepTagNeverCondemnsAnother(t *testing.T) {
	check(t, func(t *rapid.T, w world) {
		before := decided(w.plan(), retention.Deregister, retention.Defer)
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
		if got := decided(w.plan(), retention.Deregister, retention.Defer); !slices.Equal(got, want) {
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

// Images without an id cannot be told apart by it, but their order does not depend on the listing's all the same.
func TestTheOrderOfImagesWithoutAnID(t *testing.T) {
	var images []ami.Image
	for _, name := range []string{"a", "b", "c"} {
		images = append(images, idle("", named(name), func(i *ami.Image) { i.Unreadable = []string{"no image id"} }))
	}
	want := encode(t, policy().Plan([]ami.Inventory{inventory(region, images...)}, nil, now))
	slices.Reverse(images)
	got := encode(t, policy().Plan([]ami.Inventory{inventory(region, images...)}, nil, now))
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("the plan depends on the order of its input (-forwards +backwards):\n%s", diff)
	}
}

// What is said of an undated copy is not written behind the facts of its source.
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

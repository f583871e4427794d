package digest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// fate is what became of a snapshot over all images of a region, and of what earlier runs had left
// there.
type fate struct {
	deleted, failed bool
	until           time.Time
}

func fates(region record.Region) map[string]fate {
	found := map[string]fate{}
	add := func(id string, status ami.SnapshotStatus, until time.Time) {
		f := found[id]
		f.deleted, f.failed = f.deleted || status == ami.SnapshotDeleted, f.failed || status == ami.SnapshotFailed
		if until.After(f.until) {
			f.until = until
		}
		found[id] = f
	}
	for _, f := range region.Leftovers {
		add(f.SnapshotID, f.Status, f.RestorableUntil)
	}
	for _, image := range region.Images {
		if image.Outcome != nil {
			for _, s := range image.Outcome.Snapshots {
				add(s.SnapshotID, s.Status, s.RestorableUntil)
			}
		}
	}
	return found
}

// An image is said to be restorable if the bin holds it and all of its snapshots that are gone,
// whichever image these went with, and until the first of them leaves it. If one of them is not
// there it is said to be lost, where the bin was read. Else nothing is said.
func TestOnlyWhatIsInTheBinAsAWholeIsRestorable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := anyRun(t)
		text, n := digest.Full(r), 0
		for _, region := range r.Regions {
			all := fates(region)
			for _, image := range region.Images {
				if image.Outcome == nil || image.Outcome.Status != ami.Deregistered {
					continue
				}
				first, lost, doubtful := image.Outcome.InBinUntil, image.Outcome.InBinUntil.IsZero(), false
				for _, s := range image.Outcome.Snapshots {
					f := all[s.SnapshotID]
					lost = lost || f.deleted && f.until.IsZero()
					doubtful = doubtful || !f.deleted && f.failed
					if f.deleted && f.until.Before(first) {
						first = f.until
					}
				}
				whole := !lost && !doubtful
				section, _, _ := strings.Cut(text[strings.Index(text, "- "+image.ImageID):], "\n- ")
				if len(r.Regions) == 1 {
					checkSection(t, section, image, first, whole, lost && region.BinRead)
				}
				if whole {
					n++
				}
				if image.Outcome.RestorableUntil.IsZero() == whole || whole && !image.Outcome.RestorableUntil.Equal(first) || (image.Outcome.NotRestorable != "") != (lost && region.BinRead) {
					t.Fatalf("whole %v until %v, lost %v, but the record says %+v", whole, first, lost, image.Outcome)
				}
			}
		}
		if r.Totals.Restorable != n {
			t.Fatalf("%d restorable, totals %+v", n, r.Totals)
		}
	})
}

// checkSection takes no notice of where the lines are wrapped.
func checkSection(t *rapid.T, section string, image record.Image, first time.Time, whole, lost bool) {
	section = strings.Join(strings.Fields(section), " ")
	proviso := ""
	if slices.ContainsFunc(image.Outcome.Snapshots, func(s ami.SnapshotResult) bool { return s.Status == ami.SnapshotKept }) {
		proviso = ", unless a snapshot that was left is deleted before"
	}
	until := fmt.Sprintf("Restorable until %s%s: ami-janitor undo --image %s", first.Format("Monday 2 January 2006, 15:04 UTC"), proviso, image.ImageID)
	if strings.Contains(section, until) != whole {
		t.Fatalf("whole %v, %q is not in %q", whole, until, section)
	}
	if strings.Contains(section, "cannot be restored") != lost {
		t.Fatalf("whole %v, lost %v: %q", whole, lost, section)
	}
}

// Two images share a snapshot, which goes with the second of them. Without it neither can be
// restored, and the digest says so of both. Of a snapshot whose deletion is not confirmed, or that
// the account never listed, nobody knows whether it is there: nothing is promised.
func TestWhatRestoringNeedsBesidesTheImage(t *testing.T) {
	stays := result(1, ami.SnapshotKept, "shared with "+id("ami", 2))
	for name, c := range map[string]struct {
		first, second    ami.Outcome
		restorable, lost int
	}{
		"the shared one is in the bin":      {inBin(1, 14, stays), inBin(2, 14, binned(1, 14)), 2, 0},
		"the shared one is not":             {inBin(1, 14, stays), inBin(2, 14, result(1, ami.SnapshotDeleted, "")), 0, 2},
		"its deletion is not confirmed":     {inBin(1, 14, stays), inBin(2, 14, result(1, ami.SnapshotFailed, "time ran out")), 0, 0},
		"the account does not list one":     {inBin(1, 14, result(9, ami.SnapshotKept, retention.NotListed)), inBin(2, 14, binned(2, 14)), 1, 0},
		"one image is not in the bin":       {outcome(1, ami.Deregistered, "", stays), inBin(2, 14, binned(1, 14)), 1, 1},
		"the first to leave takes it along": {inBin(1, 14, stays), inBin(2, 14, binned(1, 7)), 2, 0},
	} {
		t.Run(name, func(t *testing.T) {
			p := plan("eu-west-1", stale(1, "a"), stale(2, "b"))
			r := newRun(false, record.NewRegion(p, ami.SweepResult{Outcomes: []ami.Outcome{c.first, c.second}, BinRead: true}, ""))
			text := digest.Full(r)
			if got := strings.Count(text, "Restorable until"); got != c.restorable || r.Totals.Restorable != c.restorable || strings.Count(text, "cannot be restored") != c.lost {
				t.Errorf("%d restorable, totals %+v:\n%s", got, r.Totals, text)
			}
			if name == "the first to leave takes it along" && strings.Count(text, "Restorable until "+exit(7).Format("Monday 2 January 2006, 15:04 UTC")) != 2 {
				t.Error(text)
			}
		})
	}
}

// What earlier runs had left belongs to their images, and comes back with them and not with this
// run.
func TestLeftoversComeBackWithTheRunThatLeftThem(t *testing.T) {
	p := plan("eu-west-1")
	p.Leftovers = []retention.LeftoverVerdict{leftover(anotherLeft, 1, 8, ""), leftover(leavingRun, 2, 8, ""), leftover(leavingRun, 3, 8, "")}
	for _, c := range []struct {
		name    string
		results []ami.SnapshotResult
		undo    []string
	}{
		{"in the bin", []ami.SnapshotResult{binned(1, 14), binned(2, 14), binned(3, 14)}, []string{leavingRun, anotherLeft}},
		{"not in the bin", []ami.SnapshotResult{result(1, ami.SnapshotDeleted, ""), binned(2, 14)}, []string{leavingRun}},
		{"not deleted", []ami.SnapshotResult{result(2, ami.SnapshotFailed, "no")}, nil},
	} {
		r := newRun(false, record.NewRegion(p, ami.SweepResult{Leftovers: c.results}, ""))
		text, slack, phrases := "", "", []string{}
		for _, run := range c.undo {
			text += "    ami-janitor undo " + run + "\n"
			phrases = append(phrases, "ami-janitor undo "+run)
		}
		if len(phrases) > 0 {
			text = "comes back with the AMIs of its run, as far as the Recycle Bin holds them:\n" + text
			// Each can be copied by itself.
			slack = "To bring them back: `" + strings.Join(phrases, "` and `") + "`"
		}
		for said, want := range map[string]string{digest.Full(r): text, string(digest.Slack(r)): slack} {
			if !strings.Contains(said, want) || strings.Count(said, "ami-janitor undo") != len(c.undo) {
				t.Errorf("%s: %q is not in\n%s", c.name, want, said)
			}
		}
	}
}

func TestSavingsAreFullOnceTheLastSnapshotLeavesTheBin(t *testing.T) {
	p := plan("eu-west-1", stale(1, "a", goes(1, 8, 1), goes(2, 8, 1)))
	p.Leftovers = append(p.Leftovers, leftover(leavingRun, 3, 10, ""))
	for _, c := range []struct {
		name     string
		first    ami.SnapshotResult
		leftover ami.SnapshotResult
		from     time.Time
		gib      int64
	}{
		{"none in the bin", result(1, ami.SnapshotDeleted, ""), result(3, ami.SnapshotDeleted, ""), time.Time{}, 26},
		{"the image's last", binned(1, 14), binned(3, 7), exit(14), 26},
		{"the leftover last", binned(1, 7), binned(3, 30), exit(30), 26},
		{"failed ones do not count", ami.SnapshotResult{SnapshotID: id("snap", 1), Status: ami.SnapshotFailed, RestorableUntil: exit(9)}, binned(3, 7), exit(7), 18},
	} {
		r := newRun(false, record.NewRegion(p, ami.SweepResult{
			Outcomes: []ami.Outcome{inBin(1, 60, c.first, result(2, ami.SnapshotDeleted, ""))}, Leftovers: []ami.SnapshotResult{c.leftover},
		}, "Team"))
		if got := r.Totals; !got.SavingsFrom.Equal(c.from.Truncate(time.Second)) || got.GiBDeleted != c.gib || got.LeftoversFinished != 1 {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

func TestHowManyNightsAreNeeded(t *testing.T) {
	for _, c := range []struct{ removed, left, nights int }{
		{0, 0, 0}, {5, 0, 0}, {0, 7, 0}, {3, 1, 1}, {3, 3, 1}, {3, 4, 2}, {100, 1312, 14},
	} {
		r := many(c.removed, c.left)
		text := digest.Full(r)
		if r.Totals.Left != c.left || r.Totals.NightsNeeded != c.nights || strings.Contains(text, "What is left") != (c.nights > 0) {
			t.Errorf("%d removed, %d left: %+v\n%s", c.removed, c.left, r.Totals, strings.SplitN(text, "\n\n", 2)[0])
		}
	}
}

// What there was no time to look up is left, too. What a listing keeps that takes too long is not:
// later runs get no further.
func TestWhatWasNotLookedUpIsLeft(t *testing.T) {
	r := situations()["not looked up"]
	if r.Totals.Left != 11 || r.Totals.NightsNeeded != 11 {
		t.Errorf("%+v", r.Totals)
	}
	text := digest.Full(r)
	for _, todo := range []string{"EC2_SHARE", "NAMES", "LAUNCH_TEMPLATE_VERSIONS"} {
		if !strings.Contains(text, todo) {
			t.Errorf("no advice names %s:\n%s", todo, text)
		}
	}
	if strings.Contains(text, "MAX_DEREGISTRATIONS") || strings.Contains(text, "timeout") {
		t.Errorf("advice that does not help:\n%s", text)
	}
}

func TestHeldImagesAreNeitherRemovedNorLeftForTheNextNight(t *testing.T) {
	all := situations()
	if c := all["held everywhere"].Totals; c.Skipped != 4 || c.Left != 0 || c.Deferred != 1 {
		t.Errorf("%+v", c)
	}
	if c := all["held everywhere, dry"].Totals; c.Skipped != 3 || c.WouldDeregister != 0 || c.Marked != 0 || c.SnapshotsWouldDelete != 0 {
		t.Errorf("%+v", c)
	}
	p := plan("eu-west-1", stale(1, "a"))
	p.Hold = noRule
	image := newRun(false, newRegion(p, nil)).Regions[0].Images[0]
	if image.Outcome.Status != ami.Skipped || image.Outcome.Error != noRule || image.Outcome.Code != "held" {
		t.Errorf("%+v", image.Outcome)
	}
}

func TestCodesThatAreNoReasons(t *testing.T) {
	for _, code := range []string{"not-reached", "held", "stopped"} {
		o := outcome(1, ami.Skipped, "why")
		o.Code = code
		if reasons := newRegion(plan("eu-west-1", stale(1, "a")), []ami.Outcome{o}).Images[0].Reasons; len(reasons) != 1 {
			t.Errorf("%+v", reasons)
		}
	}
}

func TestARecordDoesNotChangeThePlanItSharesReasonsWith(t *testing.T) {
	v := stale(1, "a")
	v.Reasons = append(make([]retention.Reason, 0, 4), v.Reasons...)
	p := plan("eu-west-1", v)
	newRegion(p, []ami.Outcome{coded(1, "used-since-planned", "named by x")})
	if spare := p.Verdicts[0].Reasons[:2][1]; spare.Code != "" {
		t.Errorf("%+v", spare)
	}
}

func TestAnAnswerHasRoomForAllThatIsLeftBehind(t *testing.T) {
	p := plan("eu-west-1", stale(1, "a", goes(1, 8, 1)))
	for n := range 100_000 {
		p.Leftovers = append(p.Leftovers, leftover(leavingRun, n, 8, ""))
		p.Orphans = append(p.Orphans, retention.Orphan{SnapshotID: id("snap", n), ImageID: id("ami", n), SizeGiB: 8})
		p.Stale = append(p.Stale, retention.StaleDeclaration{ID: id("ami", n), Run: leavingRun})
	}
	r := newRun(false, newRegion(p, nil))
	answer := record.Result(r)
	region := answer.Regions[0]
	if size := len(marshalled(t, answer)); size > 10_000 || answer.Truncated > 0 {
		t.Errorf("%d bytes, %d images left out", size, answer.Truncated)
	}
	if region.Leftovers[ami.SnapshotKept] != 100_000 || region.Stale[record.StaleSkipped] != 100_000 || region.Orphans != 100_000 {
		t.Errorf("%+v", region)
	}
	slack(t, r)
	if text := digest.Full(r); len(text) > 10_000 || !strings.Contains(text, "and 99,980 more") {
		t.Errorf("%d bytes", len(text))
	}
}

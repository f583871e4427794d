package retention_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

const announcingRun = "20260201T020000Z-3f9c1a"

// orphanWorld is a region with one orphan, which is due.
type orphanWorld struct {
	policy   retention.Policy
	here     ami.Inventory
	evidence map[string]ami.Evidence
}

func dueOrphan() *orphanWorld {
	since := now.Add(-200 * 24 * time.Hour)
	w := &orphanWorld{
		policy: policy(func(p *retention.Policy) {
			p.Name, p.ReportOrphans, p.RemoveOrphans, p.RequireRecycleBin, p.DeleteSnapshots = "web", true, true, true, true
			p.OrphanedAfter, p.MaxOrphans, p.RecycleBinDays = retention.Days(90*retention.Day), 5, 7
		}),
		evidence: map[string]ami.Evidence{region: {Snapshots: map[string]ami.SnapshotFinding{"snap-1": {LookedUp: true}}}},
	}
	run := ami.NewRunID(now.Add(-20*24*time.Hour), strings.NewReader("\x3f\x9c\x1a"))
	due := now.Add(-6 * 24 * time.Hour)
	w.here = ami.Inventory{
		Account: account, Region: region,
		Snapshots: []ami.Snapshot{{
			ID: "snap-1", ImageID: goneImage, SizeGiB: 8, StartedAt: now.AddDate(-2, 0, 0), NamesVolume: true,
			Tags: map[string]string{ami.DueTag: due.Format(time.DateOnly), ami.AnnouncedByTag: retention.AnnouncedBy(string(run), "web")},
		}},
		Bin: ami.RecycleBin{Read: true, Images: map[string]time.Time{}, Snapshots: map[string]time.Time{}, Rules: []ami.BinRule{
			{ID: "images", Images: true, Days: 14}, {ID: "snapshots", Days: 14},
		}},
		History: ami.History{Strangers: map[string]bool{}, Orphans: &ami.Orphans{
			Seen:     map[string]ami.SeenOrphan{"snap-1": {ImageID: goneImage, Since: since, SeenAt: now.Add(-24 * time.Hour), Run: string(run), Due: due}},
			Removals: map[string][]ami.PastRemoval{},
		}},
	}
	return w
}

func (w *orphanWorld) plan() retention.Plan {
	return w.policy.Open([]ami.Inventory{w.here}, now).Plan(w.evidence)[0]
}

func (w *orphanWorld) snapshot() *ami.Snapshot { return &w.here.Snapshots[0] }

func (w *orphanWorld) seen(change func(*ami.SeenOrphan)) {
	seen := w.here.History.Orphans.Seen["snap-1"]
	change(&seen)
	w.here.History.Orphans.Seen["snap-1"] = seen
}

func (w *orphanWorld) find(change func(*ami.SnapshotFinding)) {
	finding := w.evidence[region].Snapshots["snap-1"]
	change(&finding)
	w.evidence[region].Snapshots["snap-1"] = finding
}

// removed adds what a run noted about the removal of an image.
func (w *orphanWorld) removed(image string, removal ami.PastRemoval) {
	w.here.History.Orphans.Removals[image] = append(w.here.History.Orphans.Removals[image], removal)
}

// guards are what keeps an orphan that is due, each by itself.
var guards = map[string]func(*orphanWorld){
	"the policy only reports":    func(w *orphanWorld) { w.policy.RemoveOrphans = false },
	"the policy keeps snapshots": func(w *orphanWorld) { w.policy.DeleteSnapshots = false },
	"the bin is not required":    func(w *orphanWorld) { w.policy.RequireRecycleBin = false },
	"no records":                 func(w *orphanWorld) { w.here.History.Orphans = nil },
	"nothing is noted":           func(w *orphanWorld) { w.here.History.Orphans.Seen = map[string]ami.SeenOrphan{} },
	"noted for another image":    func(w *orphanWorld) { w.seen(func(s *ami.SeenOrphan) { s.ImageID = "ami-2" }) },
	"seen too short":             func(w *orphanWorld) { w.seen(func(s *ami.SeenOrphan) { s.Since = now.Add(-90*24*time.Hour + 1) }) },
	"not seen for long":          func(w *orphanWorld) { w.seen(func(s *ami.SeenOrphan) { s.SeenAt = now.Add(-16 * 24 * time.Hour) }) },
	"seen in the future":         func(w *orphanWorld) { w.seen(func(s *ami.SeenOrphan) { s.SeenAt = now.Add(1) }) },
	"announced by nobody":        func(w *orphanWorld) { w.seen(func(s *ami.SeenOrphan) { s.Run, s.Due = "", time.Time{} }) },
	"announced by another run":   func(w *orphanWorld) { w.seen(func(s *ami.SeenOrphan) { s.Run = announcingRun }) },
	"not due":                    func(w *orphanWorld) { w.seen(func(s *ami.SeenOrphan) { s.Due = now.Add(1) }) },
	"due long ago": func(w *orphanWorld) {
		run := string(ami.NewRunID(now.AddDate(0, 0, -104), strings.NewReader("\x3f\x9c\x1a")))
		w.seen(func(s *ami.SeenOrphan) { s.Run, s.Due = run, now.AddDate(0, 0, -90) })
		w.snapshot().Tags = map[string]string{ami.DueTag: "2026-08-25", ami.AnnouncedByTag: retention.AnnouncedBy(run, "web")}
	},
	"announced for less than 14 days": func(w *orphanWorld) {
		run := string(ami.NewRunID(now.Add(-14*24*time.Hour+time.Minute), strings.NewReader("\x3f\x9c\x1a")))
		w.seen(func(s *ami.SeenOrphan) { s.Run = run })
		w.snapshot().Tags[ami.AnnouncedByTag] = retention.AnnouncedBy(run, "web")
	},
	"postponed":       func(w *orphanWorld) { w.snapshot().Tags[ami.DueTag] = now.AddDate(0, 0, 2).Format(time.DateOnly) },
	"no due tag":      func(w *orphanWorld) { delete(w.snapshot().Tags, ami.DueTag) },
	"no announcer":    func(w *orphanWorld) { delete(w.snapshot().Tags, ami.AnnouncedByTag) },
	"no announcement": func(w *orphanWorld) { w.snapshot().Tags = map[string]string{} },
	"another policy's": func(w *orphanWorld) {
		w.snapshot().Tags[ami.AnnouncedByTag] = strings.ReplaceAll(w.snapshot().Tags[ami.AnnouncedByTag], "web", "db")
	},
	"restored": func(w *orphanWorld) {
		w.snapshot().Tags[ami.RestoredTag] = now.AddDate(0, 0, -80).Format(time.DateOnly)
	},
	"restored some day": func(w *orphanWorld) { w.snapshot().Tags[ami.RestoredTag] = "2100-01-01" },
	"a keep tag":        func(w *orphanWorld) { w.snapshot().Tags[ami.KeepTag] = "true" },
	"another keep tag": func(w *orphanWorld) {
		w.policy.KeepTags = retention.Tags{{Key: "stage"}}
		w.snapshot().Tags["stage"] = "prod"
	},
	"other tags":                  func(w *orphanWorld) { w.policy.OnlyTags = retention.Tags{{Key: "team"}} },
	"names":                       func(w *orphanWorld) { _ = w.policy.Names.UnmarshalText([]byte("web-*")) },
	"the keep list":               func(w *orphanWorld) { w.policy.KeepList, _ = retention.ParseKeepList("golden-*, snap-1") },
	"the keep list has its image": func(w *orphanWorld) { w.policy.KeepList, _ = retention.ParseKeepList(goneImage) },
	"AWS Backup":                  func(w *orphanWorld) { w.snapshot().Tags["aws:backup:source-resource"] = "i-1" },
	"Data Lifecycle Manager":      func(w *orphanWorld) { w.snapshot().Tags["dlm:managed"] = "true" },
	"Image Builder, whose images are judged": func(w *orphanWorld) {
		w.policy.JudgeImageBuilder = true
		w.snapshot().Tags["CreatedBy"] = "EC2 Image Builder"
	},
	"the archive tier":   func(w *orphanWorld) { w.snapshot().Archived = true },
	"a limit of its own": func(w *orphanWorld) { w.snapshot().Tags[ami.StaleAfterTag] = "201d" },
	"not completed":      func(w *orphanWorld) { w.snapshot().Special = "recovering" },
	"the EBS CSI driver": func(w *orphanWorld) { w.snapshot().Tags["CSIVolumeSnapshotName"] = "x" },
	"an unknown service": func(w *orphanWorld) { w.snapshot().Tags["aws:new-service:x"] = "" },
	"an unknown tag":     func(w *orphanWorld) { w.snapshot().Tags["ami-janitor:kep"] = "" },
	"disabled":           func(w *orphanWorld) { w.snapshot().Tags[ami.DisabledTag] = announcingRun },
	"declared": func(w *orphanWorld) {
		w.snapshot().Tags[ami.IntentTag] = ami.Intent
		w.snapshot().Tags[ami.RunTag] = announcingRun
	},
	"half declared": func(w *orphanWorld) { w.snapshot().Tags[ami.RunTag] = announcingRun },
	"locked":        func(w *orphanWorld) { w.snapshot().Lock = "governance" },
	"unreadable":    func(w *orphanWorld) { w.snapshot().Unreadable = "listed twice" },
	"young":         func(w *orphanWorld) { w.snapshot().StartedAt = now.Add(-7 * 24 * time.Hour) },
	"of an import": func(w *orphanWorld) {
		w.snapshot().ImageID, w.snapshot().Imported = "", true
		w.seen(func(s *ami.SeenOrphan) { s.ImageID = "" })
	},
	"only a description": func(w *orphanWorld) { w.snapshot().NamesVolume = false },
	"its image was not removed": func(w *orphanWorld) {
		w.snapshot().NamesVolume = false
		w.removed(goneImage, ami.PastRemoval{Run: announcingRun, Kept: []string{"snap-1"}})
	},
	"another snapshot was kept": func(w *orphanWorld) {
		w.snapshot().NamesVolume = false
		w.removed(goneImage, ami.PastRemoval{Run: announcingRun, Confirmed: true, Kept: []string{"snap-2"}})
	},
	"a run has deleted it": func(w *orphanWorld) {
		w.removed(goneImage, ami.PastRemoval{Run: announcingRun, Confirmed: true, Going: []string{"snap-1"}})
	},
	"a policy has kept it": func(w *orphanWorld) {
		w.removed(goneImage, ami.PastRemoval{Run: announcingRun, Confirmed: true, Kept: []string{"snap-1"}, OnPurpose: map[string]string{"snap-1": ami.KeepsAllSnapshots}})
	},
	"a policy has kept it, and only this one still knows": func(w *orphanWorld) {
		w.seen(func(s *ami.SeenOrphan) { s.Stays = ami.KeepsAllSnapshots })
	},
	"that, after a long time": func(w *orphanWorld) {
		w.seen(func(s *ami.SeenOrphan) { s.Stays, s.SeenAt = ami.KeepsAllSnapshots, now.AddDate(0, 0, -100) })
	},
	"an unfinished run": func(w *orphanWorld) {
		w.here.History.Leftovers = []ami.Leftover{{Run: announcingRun, ImageID: goneImage, SnapshotID: "snap-2"}}
	},
	"its image is there": func(w *orphanWorld) { w.here.Images = append(w.here.Images, idle(goneImage)) },
	"an image maps it":   func(w *orphanWorld) { w.here.Images = append(w.here.Images, idle("ami-2", mapping("snap-1"))) },
	"a disabled image maps it": func(w *orphanWorld) {
		w.here.Images = append(w.here.Images, idle("ami-2", mapping("snap-1"), func(i *ami.Image) { i.State = "disabled" }))
	},
	"its image is in the bin":        func(w *orphanWorld) { w.here.Bin.Images[goneImage] = now },
	"an unknown image is in the bin": func(w *orphanWorld) { w.here.Bin.Images["ami-2"] = now },
	"an image in the bin maps it": func(w *orphanWorld) {
		w.here.Bin.Images["ami-2"] = now
		w.removed("ami-2", ami.PastRemoval{Run: announcingRun, Confirmed: true, Kept: []string{"snap-1"}})
	},
	"an image in the bin was not removed by a run": func(w *orphanWorld) {
		w.here.Bin.Images["ami-2"] = now
		w.removed("ami-2", ami.PastRemoval{Run: announcingRun, Kept: []string{"snap-2"}})
	},
	"the bin has it":       func(w *orphanWorld) { w.here.Bin.Snapshots["snap-1"] = now },
	"the bin was not read": func(w *orphanWorld) { w.here.Bin.Read = false },
	"no rule":              func(w *orphanWorld) { w.here.Bin.Rules = w.here.Bin.Rules[:1] },
	"a short rule":         func(w *orphanWorld) { w.here.Bin.Rules[1].Days = 6 },
	"a rule without it":    func(w *orphanWorld) { w.here.Bin.Rules[1].Excluded = []ami.Tag{{Key: ami.DueTag}} },
	"not looked up":        func(w *orphanWorld) { w.find(func(f *ami.SnapshotFinding) { f.LookedUp = false }) },
	"named": func(w *orphanWorld) {
		w.find(func(f *ami.SnapshotFinding) { f.References = []ami.Reference{{ARN: "x"}} })
	},
	"shared": func(w *orphanWorld) {
		w.find(func(f *ami.SnapshotFinding) { f.SharedWith = []ami.Grantee{{Account: "111122223333"}} })
	},
	"a gap": func(w *orphanWorld) {
		w.find(func(f *ami.SnapshotFinding) { f.Gaps = []ami.Gap{{Source: "cloudformation", Err: "denied"}} })
	},
	"shared by now": func(w *orphanWorld) {
		e := w.evidence[region]
		e.Sharing = map[string]ami.Sharing{"snap-1": {With: []ami.Grantee{{Account: "111122223333"}}}}
		w.evidence[region] = e
	},
	"sharing is unknown by now": func(w *orphanWorld) {
		e := w.evidence[region]
		e.Sharing = map[string]ami.Sharing{"snap-1": {Err: "denied"}}
		w.evidence[region] = e
	},
	"a region that failed": func(w *orphanWorld) { w.evidence["eu-central-1"] = ami.Evidence{} },
	"no evidence":          func(w *orphanWorld) { w.evidence = nil },
	"the cap":              func(w *orphanWorld) { w.policy.MaxOrphans = 0 },
	"another run":          func(w *orphanWorld) { w.here.History.Busy = announcingRun },
}

// Without any guard an orphan that is due goes; each guard keeps it by itself.
func TestWhatKeepsAnOrphan(t *testing.T) {
	if plan := dueOrphan().plan(); len(plan.Orphans) != 1 || plan.Orphans[0].Decision != retention.Deregister || plan.Hold != "" || !slices.Equal(plan.SnapshotsToDelete(), []string{"snap-1"}) || len(plan.Unmarkings) > 0 {
		t.Fatalf("%+v", plan)
	}
	for name, guard := range guards {
		w := dueOrphan()
		guard(w)
		plan := w.plan()
		if going := plan.SnapshotsToDelete(); len(going) > 0 {
			t.Errorf("%s: %v go", name, going)
		}
		if plan.Hold != "" {
			continue
		}
		for _, o := range plan.Orphans {
			if w.policy.RemoveOrphans && (o.Decision == retention.Deregister || o.Why == "" && o.Decision != retention.Mark) {
				t.Errorf("%s: %+v", name, o)
			}
			if seen := plan.OrphansSeen[o.SnapshotID]; o.Decision == retention.Mark && seen.Run != "" {
				t.Errorf("%s: %+v", name, seen)
			}
		}
	}
}

// What is noted by a run is a second sign, and an image in the Recycle Bin that a run removed tells
// what it maps.
func TestWhatTheJournalProvesOfAnOrphan(t *testing.T) {
	w := dueOrphan()
	w.snapshot().NamesVolume = false
	w.removed(goneImage, ami.PastRemoval{Run: announcingRun, Confirmed: true, Kept: []string{"snap-1"}})
	w.here.Bin.Images["ami-2"] = now
	w.removed("ami-2", ami.PastRemoval{Run: announcingRun, Confirmed: true, Kept: []string{"snap-7"}, Going: []string{"snap-8"}})
	if plan := w.plan(); !slices.Equal(plan.SnapshotsToDelete(), []string{"snap-1"}) {
		t.Errorf("%+v", plan.Orphans)
	}
}

// With any guards together nothing goes that one of them keeps; and whatever the switch, the
// verdicts on images are the same, and at the default nothing goes.
func TestGuardsOfOrphansTogether(t *testing.T) {
	names := slices.Sorted(maps.Keys(guards))
	rapid.Check(t, func(t *rapid.T) {
		w := dueOrphan()
		chosen := rapid.SliceOfNDistinct(rapid.SampledFrom(names), 1, 4, rapid.ID).Draw(t, "guards")
		for _, name := range chosen {
			if w.here.History.Orphans == nil || w.evidence == nil || len(w.snapshot().Tags) == 0 {
				break // What follows changes what is not there.
			}
			guards[name](w)
		}
		plan := w.plan()
		if going := plan.SnapshotsToDelete(); len(going) > 0 {
			t.Errorf("%v: %v go", chosen, going)
		}
		w.policy.RemoveOrphans = false
		if plan := w.plan(); len(plan.SnapshotsToDelete()) > 0 || plan.OrphansSeen != nil || plan.Unmarkings != nil {
			t.Errorf("%v: %+v", chosen, plan)
		}
	})
}

// Whatever is in an account, the switch changes nothing about images, nor about the snapshots that
// go with them; and the orphans that go are orphans without it, too.
func TestRemovingOrphansChangesNothingElse(t *testing.T) {
	property := func(t *rapid.T, w world) {
		w.policy.RemoveOrphans = false
		before := w.plan()
		w.policy.ReportOrphans, w.policy.RemoveOrphans, w.policy.MaxOrphans = true, true, 3
		for i := range w.inventories {
			h := &w.inventories[i].History
			h.Orphans = &ami.Orphans{Seen: map[string]ami.SeenOrphan{}, Removals: map[string][]ami.PastRemoval{}}
			for _, s := range w.inventories[i].Snapshots {
				h.Orphans.Seen[s.ID] = ami.SeenOrphan{ImageID: s.ImageID, Since: now.AddDate(-1, 0, 0), SeenAt: now.Add(-time.Hour), Run: announcingRun, Due: now.AddDate(0, 0, -1)}
			}
		}
		after := w.plan()
		for i := range after {
			if diff := gocmp.Diff(before[i].Verdicts, after[i].Verdicts, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s: images (-without +with the switch):\n%s", after[i].Region, diff)
			}
			if diff := gocmp.Diff(before[i].Leftovers, after[i].Leftovers, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s: leftovers: %s", after[i].Region, diff)
			}
			for _, o := range after[i].Orphans {
				s := w.inventories[i].Snapshots[slices.IndexFunc(w.inventories[i].Snapshots, func(s ami.Snapshot) bool { return s.ID == o.SnapshotID })]
				if o.Decision != retention.Keep && o.Decision != retention.Defer && !w.oracleOrphan(w.inventories[i], s) {
					t.Errorf("%s: %s of %s, which is no orphan", after[i].Region, o.Decision, o.SnapshotID)
				}
			}
		}
	}
	checkTimes(t, 5, property)
}

// The cap counts over all regions, removals and announcements apart, and those that were seen first
// go first.
func TestTheCapOfOrphans(t *testing.T) {
	w := dueOrphan()
	other := dueOrphan().here
	other.Region = "eu-central-1"
	w.evidence[other.Region] = ami.Evidence{Snapshots: map[string]ami.SnapshotFinding{}}
	add := func(here *ami.Inventory, n int, announced bool, since time.Time) {
		s := here.Snapshots[0]
		s.ID = fmt.Sprint("snap-", n)
		seen := here.History.Orphans.Seen["snap-1"]
		if seen.Since = since; !announced {
			s.Tags, seen.Run, seen.Due = nil, "", time.Time{}
		}
		here.Snapshots = append(here.Snapshots, s)
		here.History.Orphans.Seen[s.ID] = seen
	}
	for n := 2; n < 6; n++ {
		add(&w.here, n, n%2 == 0, now.AddDate(-1, n, 0))
		add(&other, n+10, n%2 == 0, now.AddDate(-2, n, 0))
	}
	for _, s := range slices.Concat(w.here.Snapshots, other.Snapshots) {
		for _, r := range []string{region, other.Region} {
			w.evidence[r].Snapshots[s.ID] = ami.SnapshotFinding{LookedUp: true}
		}
	}
	w.policy.MaxOrphans = 2
	got := map[retention.Decision][]string{}
	for _, plan := range w.policy.Open([]ami.Inventory{w.here, other}, now).Plan(w.evidence) {
		for _, o := range plan.Orphans {
			got[o.Decision] = append(got[o.Decision], o.SnapshotID)
		}
	}
	for _, ids := range got {
		slices.Sort(ids)
	}
	want := map[retention.Decision][]string{
		retention.Deregister: {"snap-12", "snap-14"}, retention.Mark: {"snap-13", "snap-15"}, retention.Defer: {"snap-1", "snap-1", "snap-2", "snap-3", "snap-4", "snap-5"},
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What a run deletes is not noted, so that it starts over if it is there again.
func TestWhatIsNotedOfOrphans(t *testing.T) {
	w := dueOrphan()
	if plan := w.plan(); plan.OrphansSeen == nil || len(plan.OrphansSeen) > 0 || plan.Orphans[0].Seen.Run == "" {
		t.Errorf("to delete: %+v", plan)
	}
	for name, noted := range map[string]bool{
		"a gap": true, "the cap": true, "not due": true, "an unknown image is in the bin": true, "no due tag": true, "only a description": true,
		"named": false, "shared": false, "a keep tag": false, "its image is there": false, "an image maps it": false, "its image is in the bin": false,
	} {
		w := dueOrphan()
		guards[name](w)
		seen, isNoted := w.plan().OrphansSeen["snap-1"]
		if isNoted != noted || isNoted && !seen.SeenAt.Equal(now) {
			t.Errorf("%s: noted %v, %+v", name, isNoted, seen)
		}
		if name == "no due tag" && (seen.Run != "" || !seen.Since.Equal(now)) {
			t.Errorf("%s: %+v", name, seen)
		}
	}
}

// What a run did on purpose with a snapshot is noted for good: its own note expires with the
// records. It stays noted through a night on which something names the snapshot, until that is
// gone.
func TestWhatARunDidOnPurposeIsNotedForGood(t *testing.T) {
	for why, removal := range map[string]ami.PastRemoval{
		"run " + announcingRun + " has left it on purpose when it removed an image: tagged env=prod": {
			Run: announcingRun, Confirmed: true, Kept: []string{"snap-1"}, OnPurpose: map[string]string{"snap-1": "tagged env=prod"},
		},
		"run " + announcingRun + " has deleted it with an image, or was to, and it is there again or still": {
			Run: announcingRun, Confirmed: true, Going: []string{"snap-1"},
		},
	} {
		for _, isNoted := range []bool{true, false} {
			w := dueOrphan()
			if !isNoted {
				clear(w.here.History.Orphans.Seen)
			}
			w.removed(goneImage, removal)
			for _, guard := range []string{"", "named", "an image maps it", "a gap", ""} {
				next := *w
				if guard != "" {
					next.evidence = map[string]ami.Evidence{region: {Snapshots: map[string]ami.SnapshotFinding{"snap-1": {LookedUp: true}}}}
					guards[guard](&next)
				}
				plan := next.plan()
				if len(plan.Orphans) > 0 && plan.Orphans[0].Decision != retention.Keep || plan.OrphansSeen["snap-1"].Stays != why {
					t.Fatalf("%s: %+v, %+v", guard, plan.Orphans, plan.OrphansSeen)
				}
				// The run's note has expired.
				w.here.History.Orphans = &ami.Orphans{Seen: plan.OrphansSeen}
			}
			w.here.Snapshots = nil
			if plan := w.plan(); len(plan.OrphansSeen) > 0 {
				t.Errorf("it is gone: %+v", plan.OrphansSeen)
			}
		}
	}
}

// A policy removes another image that maps the snapshot, and keeps that on purpose: this is seen
// while the image is in the Recycle Bin, and counts when it has left it.
func TestWhatAPolicyKeptOfAnotherImage(t *testing.T) {
	w := dueOrphan()
	w.here.Bin.Images["ami-2"] = now
	w.removed("ami-2", ami.PastRemoval{Run: announcingRun, Confirmed: true, Kept: []string{"snap-1"}, OnPurpose: map[string]string{"snap-1": ami.KeepsAllSnapshots}})
	seen := w.plan().OrphansSeen
	clear(w.here.Bin.Images)
	seenBefore := w.here.History.Orphans.Seen["snap-1"]
	seenBefore.Stays = seen["snap-1"].Stays
	w.here.History.Orphans = &ami.Orphans{Seen: map[string]ami.SeenOrphan{"snap-1": seenBefore}}
	if plan := w.plan(); plan.Orphans[0].Decision != retention.Keep || !strings.HasSuffix(plan.Orphans[0].Why, ami.KeepsAllSnapshots) {
		t.Errorf("%+v", plan.Orphans)
	}
}

// An objection takes an announcement back and is noted; a change of policy takes it back; a doubt
// does neither.
func TestWhatTakesTheAnnouncementOfAnOrphanBack(t *testing.T) {
	for name, want := range map[string]string{
		"a keep tag": "veto", "no due tag": "veto", "no announcer": "veto", "named": "veto", "shared": "veto", "its image is there": "veto", "an image maps it": "veto", "locked": "veto",
		"names": "clear", "other tags": "clear", "the keep list": "clear", "only a description": "clear", "seen too short": "clear", "due long ago": "clear", "another keep tag": "clear",
		"announced by nobody": "clear", "AWS Backup": "clear",
		"a gap": "", "no evidence": "", "a region that failed": "", "an unknown image is in the bin": "", "the bin was not read": "", "sharing is unknown by now": "", "postponed": "", "the cap": "",
		"another policy's": "", "no rule": "", "unreadable": "",
	} {
		w := dueOrphan()
		guards[name](w)
		got := ""
		plan := w.plan()
		for _, u := range plan.Unmarkings {
			if got = "clear"; u.Veto {
				got = "veto"
			}
			if u.Why == "" || len(u.Keys) == 0 {
				t.Errorf("%s: %+v", name, u)
			}
		}
		if got != want {
			t.Errorf("%s: %q, want %q: %+v, %+v", name, got, want, plan.Unmarkings, plan.Orphans)
		}
	}
}

// A gap of more than 15 days starts the time over, also if the first run after it is in doubt.
func TestADoubtAfterALongGapStartsOver(t *testing.T) {
	w := dueOrphan()
	w.seen(func(s *ami.SeenOrphan) { s.SeenAt = now.Add(-19 * 24 * time.Hour) })
	guards["a gap"](w)
	first := w.plan()
	if s := first.OrphansSeen["snap-1"]; s.Run != "" || !s.Since.Equal(now) {
		t.Errorf("noted: %+v", s)
	}
	// The next night the lookup works again.
	w.here.History.Orphans.Seen = first.OrphansSeen
	w.find(func(f *ami.SnapshotFinding) { f.Gaps = nil })
	next := w.policy.Open([]ami.Inventory{w.here}, now.Add(24*time.Hour)).Plan(w.evidence)[0]
	if ids := next.SnapshotsToDelete(); len(ids) > 0 {
		t.Errorf("the next night %v go", ids)
	}
}

// A clock that was ahead, and a doubt: what is noted can be read by the next run.
func TestADoubtAfterAClockAhead(t *testing.T) {
	w := dueOrphan()
	w.seen(func(s *ami.SeenOrphan) {
		s.Since, s.SeenAt, s.Run, s.Due = now.Add(time.Hour), now.Add(time.Hour), "", time.Time{}
	})
	guards["a gap"](w)
	if s := w.plan().OrphansSeen["snap-1"]; s.SeenAt.Before(s.Since) || !s.Since.Equal(now) {
		t.Errorf("noted so that the journal refuses to read it: %+v", s)
	}
}

// CloudFormation of another region may name it; a gap there is a doubt as a reference is a use.
func TestAGapElsewhereKeepsAnOrphan(t *testing.T) {
	for _, source := range []string{ami.TextSource, "cloudformation"} {
		w := dueOrphan()
		other := ami.Inventory{Account: account, Region: "eu-central-1", Bin: w.here.Bin, History: ami.History{Strangers: map[string]bool{}, Orphans: &ami.Orphans{}}}
		w.evidence[other.Region] = ami.Evidence{Snapshots: map[string]ami.SnapshotFinding{"snap-1": {LookedUp: true, Gaps: []ami.Gap{{Source: source, Err: "denied"}}}}}
		for _, p := range w.policy.Open([]ami.Inventory{w.here, other}, now).Plan(w.evidence) {
			if ids := p.SnapshotsToDelete(); len(ids) > 0 {
				t.Errorf("%s: %v go", source, ids)
			}
		}
	}
}

// The name of the image is unknown, so a keep list that has names may mean it; the Name tag says
// which entry. Ids of other images keep nothing.
func TestTheKeepListOfOrphansHasNames(t *testing.T) {
	for _, c := range []struct {
		list, name, says string
	}{
		{"golden-*", "golden-7", "on the keep list: golden-*"},
		{"golden-7", "golden-7", "on the keep list: golden-7"},
		{"golden-*", "", "the keep list has names, and the name of its image is not known"},
		{"golden-7", "web", "the keep list has names, and the name of its image is not known"},
		{"ami-0123456789abcdef0, snap-0123456789abcdef0", "web", ""},
	} {
		w := dueOrphan()
		w.snapshot().Tags["Name"] = c.name
		w.policy.KeepList, _ = retention.ParseKeepList(c.list)
		w.policy.KeepList.Add(retention.KeepList{})
		if o := w.plan().Orphans[0]; o.Why != c.says || (o.Decision == retention.Deregister) != (c.says == "") {
			t.Errorf("%s, %q: %+v", c.list, c.name, o)
		}
	}
}

// An entry may name several snapshots: each stays.
func TestAnEntryOfAKeepListNamesSnapshots(t *testing.T) {
	const entry = "snap-0123456789abcdef0 and SNAP-0FEDCBA9876543210"
	for _, id := range []string{"snap-0123456789abcdef0", "snap-0fedcba9876543210"} {
		w := dueOrphan()
		w.snapshot().ID = id
		w.here.History.Orphans.Seen[id] = w.here.History.Orphans.Seen["snap-1"]
		w.evidence[region].Snapshots[id] = w.evidence[region].Snapshots["snap-1"]
		if o := w.plan().Orphans[0]; o.Decision != retention.Deregister {
			t.Fatalf("%s stays without a list: %s", id, o.Why)
		}
		var err error
		if w.policy.KeepList, err = retention.ParseKeepList(entry); err != nil {
			t.Fatal(err)
		}
		if o := w.plan().Orphans[0]; o.Decision == retention.Deregister || o.Why != "on the keep list: "+entry {
			t.Errorf("%s: %+v", id, o)
		}
	}
}

// Another policy deleted it and a person restored it in the console: the time of this policy
// starts over.
func TestTagsOfARemovalStartAnOrphanOver(t *testing.T) {
	w := dueOrphan()
	w.seen(func(s *ami.SeenOrphan) { s.Run, s.Due = "", time.Time{} })
	w.snapshot().Tags = map[string]string{ami.IntentTag: ami.Intent, ami.RunTag: string(ami.NewRunID(now.Add(-3*24*time.Hour), strings.NewReader("\x3f\x9c\x1a")))}
	p := w.plan()
	if s, ok := p.OrphansSeen["snap-1"]; ok && s.Since.Before(now) {
		t.Errorf("still counts since %v", s.Since)
	}
}

// A night on which the bin cannot be read does not start all over.
func TestABinThatIsNotReadKeepsTheTimeOfOrphans(t *testing.T) {
	w := dueOrphan()
	w.seen(func(s *ami.SeenOrphan) { s.Due = now.Add(48 * time.Hour) })
	w.here.Bin = ami.RecycleBin{Err: "throttled"}
	p := w.plan()
	if p.OrphansSeen != nil || len(p.Unmarkings) > 0 {
		t.Errorf("%+v, %+v", p.OrphansSeen, p.Unmarkings)
	}
}

// Of many orphans that may go, those that the cap takes are looked at, whatever their size.
func TestTheFirstSeenOrphansAreLookedAt(t *testing.T) {
	w := dueOrphan()
	first, seen := *w.snapshot(), w.here.History.Orphans.Seen["snap-1"]
	for n := range 60 {
		s := first
		s.ID, s.SizeGiB, seen.Since = fmt.Sprint("snap-2", n), int64(100+n), now.AddDate(0, 0, -110)
		w.here.Snapshots = append(w.here.Snapshots, s)
		w.here.History.Orphans.Seen[s.ID] = seen
		w.evidence[region].Snapshots[s.ID] = ami.SnapshotFinding{LookedUp: true}
	}
	w.policy.MaxOrphans = 1
	if p := w.plan(); !slices.Equal(p.SnapshotsToDelete(), []string{"snap-1"}) {
		t.Errorf("%v", p.SnapshotsToDelete())
	}
}

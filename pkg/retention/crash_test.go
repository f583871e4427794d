package retention_test

import (
	"maps"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// crashes say what kills runs before they finish, and what the journal records about them.
type crashes struct {
	journaled  bool                          // Otherwise nobody knows the result of a run.
	never      bool                          // Runs come to their end.
	removed    map[string]string             // The run that has tried to remove each image.
	unfinished map[begun]map[string][]string // By image, the snapshots planned to go with it.

	killed, finished, restored, stale int
}

// begun is a run in one region.
type begun struct{ run, region string }

// snapshot is one in an account over many nights.
type snapshot struct {
	ami.Snapshot
	region string
	gone   bool
}

func newCrashes(t *rapid.T) crashes {
	return crashes{
		journaled: rapid.SampledFrom(rare(1, 4)).Draw(t, "journaled") != 0,
		removed:   map[string]string{}, unfinished: map[begun]map[string][]string{},
	}
}

func (l *life) run() string { return l.now.UTC().Format("20060102T150405Z") + "-3f9c1a" }

func (l *life) find(imageID string) *thing {
	at := slices.IndexFunc(l.things, func(x *thing) bool { return x.ID == imageID })
	if at < 0 {
		return nil
	}
	return l.things[at]
}

// listing are the snapshots of a region.
func (l *life) listing(region string) []ami.Snapshot {
	var listed []ami.Snapshot
	for _, id := range slices.Sorted(maps.Keys(l.snapshots)) {
		if s := l.snapshots[id]; s.region == region && !s.gone {
			twin := s.Snapshot
			twin.Tags = maps.Clone(s.Tags)
			listed = append(listed, twin)
		}
	}
	return listed
}

// history is what the journal says about a region.
func (l *life) history(region string) ami.History {
	h := ami.History{Removed: map[string]string{}, NotAttempted: map[string][]string{}, Planned: map[string][]string{}}
	if l.recorded {
		h.Announced = map[string]ami.Announcement{}
	}
	for _, x := range l.things {
		if recorded, ok := l.plans[retention.Announcer(x.Image)][x.ID]; ok && l.recorded && x.region == region {
			h.Announced[x.ID] = recorded
		}
		if run := l.crashes.removed[x.ID]; run != "" && x.region == region {
			h.Removed[x.ID] = run
		}
	}
	for begun, declared := range l.crashes.unfinished {
		if begun.region != region {
			continue
		}
		for image, snapshots := range declared {
			h.Planned[begun.run] = append(h.Planned[begun.run], image)
			if l.find(image) == nil {
				for _, id := range snapshots {
					h.Leftovers = append(h.Leftovers, ami.Leftover{Run: begun.run, ImageID: image, SnapshotID: id})
				}
			} else if l.crashes.removed[image] != begun.run {
				for _, id := range append([]string{image}, snapshots...) {
					h.NotAttempted[id] = append(h.NotAttempted[id], begun.run)
				}
			}
		}
	}
	return h
}

// tidy takes stale declarations off, and finishes the work of earlier runs.
func (l *life) tidy(plan retention.Plan) {
	for _, declaration := range plan.Stale {
		l.say("%s: declaration of %s, without %v", declaration.ID, declaration.Run, declaration.Keys)
		l.crashes.stale++
		for _, key := range declaration.Keys {
			if x := l.find(declaration.ID); x != nil {
				delete(x.Tags, key)
			} else {
				delete(l.snapshots[declaration.ID].Tags, key)
			}
		}
	}
	waiting := map[string]bool{}
	for _, v := range plan.Leftovers {
		l.say("%s: leftover of %s: %q", v.SnapshotID, v.Run, v.Why)
		waiting[v.Run] = waiting[v.Run] || v.Undecided
		if v.Delete {
			l.crashes.finished++
			l.mayBeDeleted(v.SnapshotID)
		}
	}
	maps.DeleteFunc(l.crashes.unfinished, func(begun begun, _ map[string][]string) bool {
		return begun.region == plan.Region && !waiting[begun.run]
	})
}

// remove is what a run does to the images to remove, as far as it gets.
func (l *life) remove(plan retention.Plan, failed string) {
	var goes []retention.Verdict
	for _, v := range plan.Verdicts {
		if v.Decision == retention.Deregister {
			goes = append(goes, v)
		}
	}
	steps := 1 << 30
	if !l.crashes.never && len(goes) > 0 && rapid.SampledFrom(rare(1, 3)).Draw(l.t, "killed") == 0 {
		steps = rapid.IntRange(0, 4*len(goes)).Draw(l.t, "after")
		l.crashes.killed++
	}
	alive := func() bool {
		steps--
		return steps >= 0
	}
	declared := map[string][]string{}
	for _, v := range goes {
		declared[v.Image.ID] = nil
		for _, s := range v.Snapshots {
			if s.Delete && s.LastImageID == v.Image.ID {
				declared[v.Image.ID] = append(declared[v.Image.ID], s.SnapshotID)
			}
		}
	}
	if l.crashes.journaled && len(goes) > 0 {
		l.crashes.unfinished[begun{l.run(), plan.Region}] = declared
	}
	for _, v := range goes {
		if !alive() {
			return
		}
		l.declare(v.Image.ID, declared[v.Image.ID])
	}
	for _, v := range goes {
		if !l.removeOne(v.Image.ID, declared[v.Image.ID], failed, alive) {
			l.say("the run is killed at %s", v.Image.ID)
			return
		}
	}
	delete(l.crashes.unfinished, begun{l.run(), plan.Region})
}

func (l *life) declare(imageID string, snapshots []string) {
	x := l.find(imageID)
	x.Tags[ami.IntentTag], x.Tags[ami.RunTag] = ami.Intent, l.run()
	for _, id := range snapshots {
		l.snapshots[id].Tags[ami.IntentTag], l.snapshots[id].Tags[ami.RunTag] = ami.Intent, l.run()
	}
}

// removeOne reports whether the run survived it.
func (l *life) removeOne(imageID string, snapshots []string, failed string, alive func() bool) bool {
	if !alive() {
		return false
	}
	if l.crashes.journaled {
		l.crashes.removed[imageID] = l.run()
	}
	if !alive() {
		return false
	}
	x := l.find(imageID)
	l.removed++
	l.mayGo(x, failed)
	l.things = slices.DeleteFunc(l.things, func(other *thing) bool { return other == x })
	l.bin = append(l.bin, x)
	if !alive() {
		return false
	}
	for _, id := range snapshots {
		l.mayBeDeleted(id)
	}
	return true
}

// mayBeDeleted deletes a snapshot, and checks that nobody needs it.
func (l *life) mayBeDeleted(id string) {
	s := l.snapshots[id]
	if slices.ContainsFunc(l.things, func(x *thing) bool { return slices.Contains(x.SnapshotIDs, id) }) {
		l.t.Errorf("%s is deleted, but an image uses it", id)
	}
	if s.gone || s.Tags[ami.IntentTag] != ami.Intent || !l.policy.DeleteSnapshots {
		l.t.Errorf("%s is deleted: gone %t, tags %v", id, s.gone, s.Tags)
	}
	s.gone = true
}

// restore is a person who restores what was removed last, instead of doing something to an image.
func (l *life) restore(*thing) {
	if len(l.bin) == 0 {
		return
	}
	x := l.bin[len(l.bin)-1]
	l.bin = l.bin[:len(l.bin)-1]
	x.announced, x.back, x.noted, x.touched, x.enabled, x.quiet = time.Time{}, l.now, false, false, false, false
	l.snapshots[x.SnapshotIDs[0]].gone = false
	l.things = append(l.things, x)
	l.crashes.restored++
	l.say("%s is restored: %v", x.ID, x.Tags)
	if rapid.SampledFrom(rare(1, 4)).Draw(l.t, "by undo") == 0 {
		delete(x.Tags, ami.IntentTag)
		delete(x.Tags, ami.DueTag)
		delete(x.Tags, ami.AnnouncedByTag)
		delete(x.Tags, ami.RunTag)
		if _, disabled := x.Tags[ami.DisabledTag]; disabled {
			x.State, x.disabled = "available", false
			delete(x.Tags, ami.DisabledTag)
		}
		x.Tags[ami.RestoredTag], x.restored, x.noted = l.now.UTC().Format(time.DateOnly), l.now.UTC().Truncate(retention.Day), true
		x.back = x.restored
	}
}

// settle lets some nights pass without crashes and people. After them nothing declares a removal,
// and with a journal no snapshot of a removed image is left. Without a journal it takes 30 days
// until a snapshot without an image no longer belongs to another policy.
func (l *life) settle() {
	l.crashes.never = true
	nights := 8
	if !l.crashes.journaled {
		nights = 32
	}
	for range nights {
		l.now = l.now.UTC().Truncate(retention.Day).Add(retention.Day + 2*time.Hour)
		l.night()
	}
	for _, x := range l.things {
		if _, declared := x.Tags[ami.IntentTag]; declared && len(x.Unreadable) == 0 {
			l.t.Errorf("%s still declares its removal: %v", x.ID, x.Tags)
		}
	}
	for id, s := range l.snapshots {
		if _, declared := s.Tags[ami.IntentTag]; declared && !s.gone {
			l.t.Errorf("%s still declares its removal: %v", id, s.Tags)
		}
		used := slices.ContainsFunc(l.things, func(x *thing) bool { return slices.Contains(x.SnapshotIDs, id) })
		if !used && !s.gone && l.crashes.journaled && l.policy.DeleteSnapshots {
			l.t.Errorf("%s is left of what was removed", id)
		}
	}
	if l.t.Failed() {
		for _, line := range l.log {
			l.t.Log(line)
		}
		l.t.FailNow()
	}
}

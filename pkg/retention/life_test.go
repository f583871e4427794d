package retention_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// life is an account over many nights: the janitor runs nearly every night, and carries out its
// plan; between the nights people do what they like.
type life struct {
	t      *rapid.T
	policy retention.Policy
	now    time.Time
	things []*thing
	listed []string // What the keep list names.
	made   int
	log    []string

	// Announcements are recorded; otherwise none of them counts.
	recorded  bool
	plans     map[string]map[string]ami.Announcement // By run and image.
	crashes   crashes
	snapshots map[string]*snapshot
	bin       []*thing // What was removed, and may be restored.

	removed, announced, objected, forged int
}

// thing is an image in such an account, with its true state, whether the janitor can see it or not.
type thing struct {
	ami.Image
	region string

	launches []time.Time // Each is reported up to a day late.
	running  time.Time   // When the instance was launched that is there; zero if there is none.
	shared   bool
	abroad   time.Time // Since when another account uses it.
	report   *ami.UsageReport
	reported bool // The report has seen the use by the other account.
	gap      bool // A lookup fails.

	// What this test knows of its announcement, which it keeps to itself: tags can be lost.
	announced time.Time
	known     time.Time // The last launch that was known then.
	touched   bool      // Somebody has taken a part of it off since.
	enabled   bool      // Somebody has enabled it since, and it still is.
	disabled  bool      // The janitor has disabled it, and has not enabled it since.
	putOff    time.Time // The day to which somebody has put its removal off.
	// An announcement was taken back, and nothing was done to the image since.
	quiet    bool
	restored time.Time        // When an objection was noted on it, which is a use.
	becomes  retention.Unmark // What an objection, tonight, does to its mark.
	back     time.Time        // When a person has restored it from the Recycle Bin.
	noted    bool             // The janitor has seen that.
}

func TestALifeOfAnAccount(t *testing.T) {
	removed, announced, objected, forged := 0, 0, 0, 0
	var seen crashes
	rapid.Check(t, func(t *rapid.T) {
		for range 3 {
			l := newLife(t)
			for range rapid.IntRange(20, 70).Draw(t, "nights") {
				l.day()
				l.night()
				if t.Failed() {
					for _, line := range l.log {
						t.Log(line)
					}
					t.FailNow()
				}
			}
			l.settle()
			removed, announced, objected, forged = removed+l.removed, announced+l.announced, objected+l.objected, forged+l.forged
			seen.killed, seen.finished, seen.restored, seen.stale = seen.killed+l.crashes.killed, seen.finished+l.crashes.finished, seen.restored+l.crashes.restored, seen.stale+l.crashes.stale
		}
	})
	t.Logf("%d removed, %d announced, %d objected to, %d forged; %d runs killed, %d snapshots finished, %d images restored, %d stale",
		removed, announced, objected, forged, seen.killed, seen.finished, seen.restored, seen.stale)
	if removed == 0 || announced == 0 || objected == 0 || forged == 0 || seen.killed == 0 || seen.finished == 0 || seen.restored == 0 || seen.stale == 0 {
		t.Error("something never happened: the property says too little")
	}
}

func newLife(t *rapid.T) *life {
	l := &life{t: t, now: now, crashes: newCrashes(t), snapshots: map[string]*snapshot{}, plans: map[string]map[string]ami.Announcement{}, policy: retention.Policy{
		Name:               ours,
		AllowShorter:       rapid.Bool().Draw(t, "allowShorter"),
		DeleteSnapshots:    rapid.SampledFrom(rare(1, 4)).Draw(t, "deleteSnapshots") != 0,
		StaleAfter:         limit(rapid.SampledFrom([]int{7, 10, 20}).Draw(t, "staleAfter")),
		KeepNewest:         rapid.SampledFrom([]int{0, 0, 0, 1}).Draw(t, "keepNewest"),
		MaxDeregistrations: rapid.SampledFrom([]int{1, 2, 100}).Draw(t, "cap"),
		Grace:              limit(rapid.SampledFrom([]int{1, 2, 5, 14}).Draw(t, "grace")),
		GraceAction:        rapid.SampledFrom([]retention.GraceAction{retention.Announce, retention.Deprecate, retention.Disable, retention.Disable}).Draw(t, "action"),
		JudgeShared:        rapid.Bool().Draw(t, "judgeShared"),
	}}
	l.policy.NeverLaunchedAfter = l.policy.StaleAfter
	l.recorded = rapid.SampledFrom(rare(1, 6)).Draw(t, "recorded") != 0
	for range rapid.IntRange(2, 5).Draw(t, "images") {
		l.build(rapid.SampledFrom([]string{region, "us-east-1"}).Draw(t, "region"), l.now.AddDate(0, 0, -rapid.IntRange(0, 40).Draw(t, "age")))
	}
	return l
}

func (l *life) say(format string, args ...any) {
	l.log = append(l.log, l.now.Format(time.DateTime+" ")+fmt.Sprintf(format, args...))
}

func (l *life) build(region string, at time.Time) *thing {
	l.made++
	x := &thing{region: region, Image: ami.Image{
		ID: fmt.Sprintf("ami-%08x", l.made), Name: rapid.SampledFrom([]string{"golden", fmt.Sprintf("web-%d", l.made)}).Draw(l.t, "name"),
		OwnerID: account, State: "available", CreatedAt: at, Tags: map[string]string{},
	}}
	x.SnapshotIDs = []string{fmt.Sprintf("snap-%08x", l.made)}
	l.snapshots[x.SnapshotIDs[0]] = &snapshot{Snapshot: ami.Snapshot{ID: x.SnapshotIDs[0], ImageID: x.ID, Tags: map[string]string{}}, region: region}
	l.things = append(l.things, x)
	l.say("%s is made in %s", x.ID, region)
	return x
}

// day lets people do what they like.
func (l *life) day() {
	l.now = l.now.Add(time.Hour)
	for range rapid.SampledFrom([]int{0, 0, 0, 0, 1, 1, 2}).Draw(l.t, "acts") {
		if len(l.things) == 0 {
			l.build(region, l.now)
		}
		x := rapid.SampledFrom(l.things).Draw(l.t, "thing")
		act := rapid.SampledFrom(acts).Draw(l.t, "act")
		l.say("%s: %s", x.ID, act.name)
		x.quiet = false
		act.do(l, x)
	}
	// To the next night, a little earlier or later than the last.
	l.now = l.now.UTC().Truncate(retention.Day).Add(retention.Day).Add(time.Duration(rapid.SampledFrom([]int{0, 2, 2, 2, 23}).Draw(l.t, "hour")) * time.Hour)
	if rapid.SampledFrom(rare(1, 15)).Draw(l.t, "off") == 0 {
		l.now = l.now.AddDate(0, 0, rapid.SampledFrom([]int{1, 3, 10, 40, 100, 400}).Draw(l.t, "nights off"))
	}
}

var acts = []struct {
	name string
	do   func(*life, *thing)
}{
	{"launched", func(l *life, x *thing) {
		if x.State == "available" {
			x.launches, x.running = append(x.launches, l.now), l.now
		}
	}},
	{"launched for a moment", func(l *life, x *thing) {
		if x.State == "available" {
			x.launches = append(x.launches, l.now)
		}
	}},
	{"terminated", func(_ *life, x *thing) { x.running = time.Time{} }},
	{"terminated", func(_ *life, x *thing) { x.running = time.Time{} }},
	{"keep tag on", func(_ *life, x *thing) { x.Tags["ami-janitor:keep"] = "" }},
	{"keep tag off", func(_ *life, x *thing) { delete(x.Tags, "ami-janitor:keep") }},
	{"keep tag off", func(_ *life, x *thing) { delete(x.Tags, "ami-janitor:keep") }},
	{"on the list", func(l *life, x *thing) { l.listed = append(l.listed, x.ID) }},
	{"off the list", func(l *life, _ *thing) { l.listed = nil }},
	{"off the list", func(l *life, _ *thing) { l.listed = nil }},
	{"protected", func(_ *life, x *thing) { x.Protection = "enabled-without-cooldown" }},
	{"not protected", func(_ *life, x *thing) { x.Protection = "disabled" }},
	{"not protected", func(_ *life, x *thing) { x.Protection = "disabled" }},
	{"shared", func(_ *life, x *thing) { x.shared = x.State == "available" }},
	{"public", func(_ *life, x *thing) { x.Public = x.State == "available" }},
	{"private", func(_ *life, x *thing) { x.shared, x.Public, x.abroad = false, false, time.Time{} }},
	{"used abroad", func(l *life, x *thing) {
		if (x.shared || x.Public) && x.State == "available" {
			x.abroad = l.now
		}
	}},
	{"not used abroad", func(_ *life, x *thing) { x.abroad = time.Time{} }},
	{"due tag off", func(_ *life, x *thing) { x.untag(ami.DueTag) }},
	{"announcer off", func(_ *life, x *thing) { x.untag(ami.AnnouncedByTag) }},
	{"run tag off", func(_ *life, x *thing) { x.untag(ami.RunTag) }},
	{"disabled tag off", func(_ *life, x *thing) { x.untag(ami.DisabledTag) }},
	{"announcer changed", func(_ *life, x *thing) {
		if _, ok := x.Tags[ami.AnnouncedByTag]; ok {
			x.Tags[ami.AnnouncedByTag], x.touched = "by hand", true
		}
	}},
	{"due moved forward", func(l *life, x *thing) {
		if _, ok := x.Tags[ami.DueTag]; ok {
			x.Tags[ami.DueTag], x.putOff = l.now.AddDate(0, 0, -1).Format(time.DateOnly), time.Time{}
		}
	}},
	{"due put off", func(l *life, x *thing) {
		if _, ok := x.Tags[ami.DueTag]; ok {
			x.putOff = l.now.UTC().Truncate(retention.Day).AddDate(0, 0, 20)
			x.Tags[ami.DueTag] = x.putOff.Format(time.DateOnly)
		}
	}},
	{"forged", func(l *life, x *thing) {
		if !x.marked() {
			l.forged++
			run := l.now.AddDate(0, 0, -15).UTC().Format("20060102T150405Z") + "-3f9c1a"
			for other, plan := range l.plans { // One that is known, of another image.
				if _, ok := plan[x.ID]; !ok && (other < run || run == "") {
					run = other
				}
			}
			x.Tags[ami.DueTag], x.Tags[ami.AnnouncedByTag] = l.now.AddDate(0, 0, -1).Format(time.DateOnly), retention.AnnouncedBy(run, ours)
		}
	}},
	{"forged as disabled", func(l *life, x *thing) {
		if !x.marked() {
			l.forged++
			x.Tags[ami.DisabledTag] = l.run()
			x.State, x.shared, x.Public = "disabled", false, false
		}
	}},
	{"intent tag off", func(l *life, x *thing) {
		if l.crashes.journaled || x.back.IsZero() { // It alone says that the image was removed.
			x.untag(ami.IntentTag)
		}
	}},
	{"restored", (*life).restore},
	{"restored", (*life).restore},
	{"enabled", func(l *life, x *thing) {
		if x.State == "disabled" {
			x.State, x.enabled = "available", x.enabled || x.disabled
			if rapid.Bool().Draw(l.t, "and tidied up") {
				x.untag(ami.DisabledTag)
			}
		}
	}},
	{"disabled", func(_ *life, x *thing) { x.State, x.enabled, x.shared, x.Public = "disabled", false, false, false }},
	{"copied", func(l *life, x *thing) { l.copy(x, nil) }},
	{"copied with its tags", func(l *life, x *thing) { l.copy(x, maps.Clone(x.Tags)) }},
	{"gap", func(_ *life, x *thing) { x.gap = true }},
	{"unreadable", func(_ *life, x *thing) { x.Unreadable = []string{"this"} }},
	{"readable", func(_ *life, x *thing) { x.gap, x.Unreadable = false, nil }},
	{"readable", func(_ *life, x *thing) { x.gap, x.Unreadable = false, nil }},
	{"built", func(l *life, x *thing) { l.build(x.region, l.now) }},
	{"tags of the janitor off", func(_ *life, x *thing) {
		x.untag(ami.DueTag, ami.AnnouncedByTag, ami.RunTag, ami.RestoredTag)
		x.restored, x.back = time.Time{}, time.Time{}
	}},
	{"stale-after tag", func(_ *life, x *thing) { x.Tags["ami-janitor:stale-after"] = "30d" }},
	{"no stale-after tag", func(_ *life, x *thing) { delete(x.Tags, "ami-janitor:stale-after") }},
}

// untag takes tags off. The remaining ones may be a part of an announcement.
func (x *thing) untag(keys ...string) {
	for _, key := range keys {
		delete(x.Tags, key)
	}
	has := func(key string) bool {
		_, ok := x.Tags[key]
		return ok
	}
	if x.marked() && (!has(ami.DueTag) || !has(ami.AnnouncedByTag) || x.disabled && !has(ami.DisabledTag)) {
		x.touched = true
	}
	if !x.marked() {
		x.announced = time.Time{} // Nothing says so now.
	}
}

func (x *thing) marked() bool {
	has := func(key string) bool {
		_, ok := x.Tags[key]
		return ok
	}
	return has(ami.DueTag) || has(ami.DisabledTag) || has(ami.AnnouncedByTag)
}

func (l *life) copy(x *thing, tags map[string]string) {
	if x.State != "available" {
		return
	}
	copied := l.build(rapid.SampledFrom([]string{region, "us-east-1"}).Draw(l.t, "to"), l.now)
	copied.SourceImageID, copied.SourceRegion = x.ID, x.region
	if maps.Copy(copied.Tags, tags); tags != nil {
		copied.restored = x.restored
	}
}

// limit is how long an image may be idle, in simple words.
func (l *life) limit(x *thing) time.Duration {
	if x.Tags["ami-janitor:stale-after"] == "30d" { // It is longer than the policy's.
		return days(30)
	}
	return time.Duration(l.policy.StaleAfter)
}

// night is one run of the janitor.
func (l *life) night() {
	failed := rapid.SampledFrom([]string{"", "", "", "", "", "", "", "", region, "us-east-1"}).Draw(l.t, "failed")
	inventories, evidence := l.account(failed)
	l.policy.KeepList = retention.KeepList{}
	if len(l.listed) > 0 {
		text := ""
		for _, id := range l.listed {
			text += id + "\n"
		}
		l.policy.KeepList = keepList(l.t, text)
	}
	for _, x := range l.things {
		x.becomes = retention.LeaveMark
		if objection, becomes := l.objection(x, failed); objection != "" && x.region != failed && !x.announced.IsZero() {
			l.say("%s: objection: %s", x.ID, objection)
			// A fact takes off an announcement without a record, and leaves the image as it is.
			everybodys := (objection == "keep tag" || objection == "protected") && (x.Tags[ami.DueTag] != "" || x.Tags[ami.AnnouncedByTag] != "")
			if x.marked() && (l.recorded || everybodys) {
				x.becomes = becomes
			}
			x.announced = time.Time{}
			l.objected++
		}
		if l.crashes.journaled && !x.back.IsZero() && !x.noted && x.region != failed {
			x.becomes = retention.Veto
		}
	}
	for _, plan := range l.policy.Open(inventories, l.now).Plan(evidence) {
		l.tidy(plan)
		for _, v := range plan.Verdicts {
			x := l.things[slices.IndexFunc(l.things, func(x *thing) bool { return x.ID == v.Image.ID })]
			l.say("%s: %s %s%s because of %v", x.ID, v.Decision, v.Action, v.Unmark, v.Reasons)
			l.sweep(x, v)
		}
		l.remove(plan, failed)
		for _, x := range l.things {
			if x.report != nil && slices.Contains(plan.ReportsDone, x.report.ID) {
				x.report = nil
			}
			if slices.Contains(plan.ReportsWanted, x.ID) {
				l.made++
				x.report = &ami.UsageReport{ID: fmt.Sprint("amiur-", l.made), State: "pending", CreatedAt: l.now, Complete: true}
				x.reported = !x.abroad.IsZero() && x.abroad.Before(l.now.Add(-retention.Day))
			}
		}
	}
}

// account is what the janitor can see of the account tonight.
func (l *life) account(failed string) ([]ami.Inventory, map[string]ami.Evidence) {
	evidence := unused(inventory(region), inventory("us-east-1"))
	byRegion := map[string]ami.Inventory{region: inventory(region), "us-east-1": inventory("us-east-1")}
	for _, x := range l.things {
		for _, launch := range x.launches {
			if l.now.Sub(launch) >= 20*time.Hour && launch.After(x.LastLaunchedAt) {
				x.LastLaunchedAt = launch
			}
		}
		if x.report != nil && x.report.State == "pending" && l.now.Sub(x.report.CreatedAt) > time.Hour && rapid.Bool().Draw(l.t, "made") {
			x.report.State = "available"
		}
		if x.region == failed {
			continue
		}
		here := byRegion[x.region]
		image := x.Image
		image.Tags = maps.Clone(x.Tags)
		here.Images = append(here.Images, image)
		if l.snapshots[x.SnapshotIDs[0]].gone {
			l.t.Errorf("%s has lost its snapshot", x.ID)
		}
		byRegion[x.region] = here
		finding := ami.Finding{Use: ami.Unused, LaunchedAt: x.running, Report: x.report}
		if !x.running.IsZero() {
			finding.References = append(finding.References, ami.Reference{ARN: "arn:instance"})
		}
		if x.report != nil && x.report.State == "available" && x.reported {
			finding.References = append(finding.References, ami.Reference{ARN: "account 999999999999"})
		}
		if len(finding.References) > 0 {
			finding.Use = ami.Used
		}
		if x.shared {
			finding.SharedWith = []ami.Grantee{{Account: "999999999999"}}
		}
		if x.gap {
			finding.Gaps = []ami.Gap{aGap}
			if finding.Use == ami.Unused {
				finding.Use = ami.Unknown
			}
		}
		evidence[x.region].Images[x.ID] = finding
	}
	var inventories []ami.Inventory
	for _, name := range []string{region, "us-east-1"} {
		if name == failed {
			continue
		}
		here := byRegion[name]
		here.Snapshots, here.History = l.listing(name), l.history(name)
		inventories = append(inventories, here)
		unattached := l.policy.Open([]ami.Inventory{here}, l.now).Unattached()[here.Region]
		for _, id := range unattached.IDs {
			evidence[name].Snapshots[id] = ami.SnapshotFinding{LookedUp: true}
		}
	}
	// An image that is gone is looked up like any other original.
	for _, x := range l.things {
		if _, ok := evidence[x.SourceRegion].Images[x.SourceImageID]; x.SourceRegion != "" && x.SourceRegion != failed && !ok {
			evidence[x.SourceRegion].Images[x.SourceImageID] = ami.Finding{Use: ami.Unused}
		}
	}
	return inventories, evidence
}

// objection says what people have against the removal of an image, as far as the janitor can see it
// tonight, and at least what happens to its mark: if the image is used or launched again, or
// shared, other rules may apply first.
func (l *life) objection(x *thing, failed string) (why string, becomes retention.Unmark) {
	_, kept := x.Tags["ami-janitor:keep"]
	disabled := x.State == "disabled" && (x.Tags[ami.DisabledTag] == "" || !x.disabled)
	doubtful := len(x.Unreadable) > 0 || disabled // A kept image is not looked up.
	switch {
	case kept:
		return "keep tag", retention.Veto
	case slices.Contains(l.listed, x.ID):
		return "keep list", retention.Veto
	case x.Protection != "" && x.Protection != "disabled":
		return "protected", retention.Veto
	case x.Public && !l.policy.JudgeShared:
		return "public", retention.Veto
	case x.touched:
		return "a part of it taken off", retention.Veto
	case x.enabled:
		return "enabled", retention.Veto
	case !x.LastLaunchedAt.Equal(x.known):
		return "launched", retention.Veto
	case l.copiedSince(x, failed):
		return "copied", retention.Veto
	case disabled:
		return "disabled by somebody", retention.ClearMark
	case x.shared && !l.policy.JudgeShared && !doubtful:
		return "shared", retention.ClearMark
	case !x.running.IsZero() && !doubtful:
		return "running", retention.ClearMark
	default:
		return "", retention.LeaveMark
	}
}

// copiedSince does not know of copies in a region that cannot be read tonight.
func (l *life) copiedSince(x *thing, failed string) bool {
	return slices.ContainsFunc(l.things, func(other *thing) bool {
		return other.SourceImageID == x.ID && other.region != failed && other.CreatedAt.After(x.announced)
	})
}

// sweep does to an image what its verdict says.
func (l *life) sweep(x *thing, v retention.Verdict) {
	id := l.run()
	if x.becomes == retention.Veto && v.Unmark != retention.Veto || x.becomes == retention.ClearMark && v.Unmark == retention.LeaveMark {
		l.t.Errorf("%s: somebody objects, but its mark is left: %q, want %q", x.ID, v.Unmark, x.becomes)
	}
	switch v.Decision {
	case retention.Mark:
		l.announced++
		if x.marked() && x.announced.IsZero() {
			l.t.Errorf("%s is announced, although it carries tags that nobody knows: %v", x.ID, x.Tags)
		}
		x.announced, x.known, x.touched, x.enabled, x.putOff, x.quiet = l.now, x.LastLaunchedAt, false, false, time.Time{}, false
		x.Tags[ami.DueTag], x.Tags[ami.AnnouncedByTag] = v.Due.Format(time.DateOnly), retention.AnnouncedBy(id, l.policy.Name)
		if l.plans[id] == nil {
			l.plans[id] = map[string]ami.Announcement{}
		}
		l.plans[id][x.ID] = ami.Announcement{Run: id, Policy: l.policy.Name, Due: v.Due, Action: string(v.Action)}
		switch {
		case v.Action == retention.Disable:
			x.Tags[ami.DisabledTag] = id
			if x.shared || x.Public {
				l.t.Errorf("%s is disabled, and loses who it is shared with", x.ID)
			}
			x.State, x.disabled = "disabled", true
		case v.Action == retention.Deprecate && x.DeprecatedAt.IsZero():
			x.DeprecatedAt = v.Due.Truncate(retention.Day)
		}
	case retention.Keep:
		if v.Unmark != retention.LeaveMark {
			if x.quiet {
				l.t.Errorf("%s: %s, although nothing was done to it since the last time", x.ID, v.Unmark)
			}
			l.unmark(x, v.Undo)
			x.announced, x.quiet = time.Time{}, true
		}
		if v.Unmark == retention.Veto {
			x.noted = true
			x.Tags[ami.RestoredTag], x.restored = l.now.UTC().Format(time.DateOnly), l.now.UTC().Truncate(retention.Day)
		}
	default:
	}
}

// unmark checks that nothing is undone but what the janitor has done.
func (l *life) unmark(x *thing, undo retention.Undo) {
	if undo.Enable && (!x.disabled || !l.recorded) || undo.EndDeprecation && (x.DeprecatedAt.IsZero() || !l.recorded) {
		l.t.Errorf("%s: the janitor has not done what it undoes: %+v", x.ID, undo)
	}
	if undo.Enable {
		x.State, x.disabled = "available", false
	}
	if undo.EndDeprecation {
		x.DeprecatedAt = time.Time{}
	}
	for _, key := range undo.Keys {
		delete(x.Tags, key)
	}
	if x.State == "available" {
		x.disabled = false
	}
}

// mayGo checks that an image to remove was announced in time, that nobody objected, and that nobody
// uses it or its original.
func (l *life) mayGo(x *thing, failed string) {
	if x.announced.IsZero() || !l.recorded {
		l.t.Errorf("%s goes, but its removal is not announced, or not recorded, or somebody has objected", x.ID)
	} else if waited := l.now.Sub(x.announced); waited < time.Duration(l.policy.Grace) {
		l.t.Errorf("%s goes %s after it was announced", x.ID, waited)
	}
	if l.now.Before(x.putOff) {
		l.t.Errorf("%s goes, but somebody has put its removal off to %s", x.ID, x.putOff)
	}
	if !x.back.IsZero() && l.now.Sub(x.back) <= l.limit(x) {
		l.t.Errorf("%s goes, but somebody restored it on %s", x.ID, x.back)
	}
	if objection, _ := l.objection(x, failed); objection != "" || x.gap || len(x.Unreadable) > 0 {
		l.t.Errorf("%s goes, but it is %s, gap %t", x.ID, objection, x.gap)
	}
	if last := slices.MaxFunc([]time.Time{x.CreatedAt, x.LastLaunchedAt, x.restored}, time.Time.Compare); l.now.Sub(last) <= l.limit(x) {
		l.t.Errorf("%s goes, last used %s", x.ID, last)
	}
	if (x.shared || x.Public) && !x.abroad.IsZero() && l.now.Sub(x.abroad) > days(4) {
		l.t.Errorf("%s goes, but another account has used it since %s", x.ID, x.abroad)
	}
	for _, original := range l.things {
		if original.ID != x.SourceImageID {
			continue
		}
		launched := !original.LastLaunchedAt.IsZero() && l.now.Sub(original.LastLaunchedAt) <= l.limit(original)
		if original.region == failed || !original.running.IsZero() || original.gap || launched || len(original.Unreadable) > 0 {
			l.t.Errorf("%s goes, but it is a copy of %s", x.ID, original.ID)
		}
	}
}

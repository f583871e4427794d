package simulation

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/janitor"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
	"github.com/ami-janitor/ami-janitor/pkg/undo"
)

// tooLate reports whether somebody did something about an image or a snapshot when a run had looked
// at it once more, just before it removed it. A look may be as stale as the night says. Without a
// look nothing is too late.
func (s *simulation) tooLate(at time.Time, r *run, id string) bool {
	look := r.looks[id]
	seen := look.facts
	if look.isImage && look.use.Before(seen) {
		seen = look.use
	}
	return !at.IsZero() && !seen.IsZero() && at.After(seen.Add(-r.night.stale))
}

// look is when a run looked once more at an image or a snapshot.
type look struct {
	facts, use time.Time
	isImage    bool
}

// noteLook notes what a request looks at once more. The declaration of a removal comes before that.
func (r *run) noteLook(q emulator.Request) {
	now := time.Now()
	if q.Action == "DescribeTags" {
		r.readTags = now
	}
	isAgain := q.Action == "DescribeImages" || q.Action == "DescribeSnapshots"
	for name, values := range q.Form {
		id, kind := values[0], name[:max(strings.IndexByte(name, '.'), 0)]
		look := r.looks[id]
		look.isImage = strings.HasPrefix(id, "ami-")
		switch {
		case kind == "ResourceId" && q.Action == "CreateTags" && q.Form.Get("Tag.1.Key") == intentTag:
			look.facts, look.use, r.declared = time.Time{}, time.Time{}, now
		// Without it, it is looked for what is gone.
		case kind == "Filter" && isAgain && q.Form.Has("MaxResults"):
			look.facts = now
		case kind == "ImageId" && q.Action == "DescribeImageReferences", kind == "Filter" && q.Action == "DescribeInstances":
			look.use = now
		default:
			continue
		}
		r.looks[id] = look
	}
}

// checkRemoval checks what is promised of an image that a run has just deregistered, before that.
func (s *simulation) checkRemoval(r *run, i *image) {
	total := 0
	for _, n := range r.removed {
		total += n
	}
	if total > r.policy.limit {
		s.violate("budget", "%s has removed %d images, and the cap is %d", r.id, total, r.policy.limit)
	}
	if r.policy.config.Policy.RequireRecycleBin && r.lost[i.region] > 1 {
		s.violate("restorable", "%s has removed %d images of %s that the Recycle Bin does not hold", r.id, r.lost[i.region], i.region)
	}
	// Without a journal of both nothing keeps two runs apart.
	if i.tags[intentTag] != "remove" || i.tags[runTag] != r.id && !s.tooLate(i.touched, r, i.id) && !r.unlocked {
		s.violate("declared", "%s removes %s, whose tags are %v", r.id, i.id, i.tags)
	}
	for _, why := range s.keeps(r, i) {
		if s.tooLate(i.touched, r, i.id) {
			s.trace("%s: %s, too late", i.id, why)
			continue
		}
		s.violate("never touched", "%s removes %s, %s", r.id, i.id, why)
	}
}

// keeps says why an image stays, as far as the promises go.
func (s *simulation) keeps(r *run, i *image) []string {
	var why []string
	add := func(is bool, format string, arguments ...any) {
		if is {
			why = append(why, fmt.Sprintf(format, arguments...))
		}
	}
	now := time.Now()
	add(!i.there, "which is not there")
	add(i.protection != "" && i.protection != "disabled", "which is protected")
	add(i.managed, "which is managed")
	add(i.public || i.shared, "which is shared")
	add(r.policy.isKeptAsProduct(i), "which carries a product code")
	keep, tagged := i.tags[keepTag]
	add(tagged && keep != "false", "which is tagged to be kept")
	isAnothers := i.announcedBy != "" && i.announcedBy != r.policy.name
	cameLate := isAnothers && s.tooLate(i.markedAt, r, i.id)
	// Disabled as it was announced.
	mayBeOff := i.disabledBy == r.policy.name || s.forged.announced[i.id] || cameLate && i.disabledBy == i.announcedBy
	add(i.state != "available" && (i.state != "disabled" || !mayBeOff) && !r.hasFailedLongAgo(i), "which is %s by %q", i.state, i.disabledBy)
	add(i.usedBy+i.launchedBy != "", "which is in use by %s%s", i.usedBy, i.launchedBy)
	for _, id := range i.snapshots {
		add(s.world.snapshot(id).locked, "whose snapshot is locked")
	}
	last, limit := s.lastUse(r, i), r.policy.idleLimit(i)
	add(now.Sub(last)+r.night.slack() <= limit, "which was used %v, and may be idle for %v", last, limit)
	add(r.policy.leavesOut(i), "which is outside what the policy is told to judge")
	add(s.isNewest(r, i), "which is among the newest of its family")
	if source := s.world.image(i.source); source != nil && source.region == i.sourceRegion {
		add(source.usedBy+source.launchedBy != "" && !s.later(source.touched, r), "whose original is in use")
	}
	remover := s.runs[i.removedBy]
	wasRemoved := remover != nil
	inJournal := wasRemoved && remover.policy == r.policy && r.policy.hasRecords()
	known := inJournal && !s.forged.images[i.id] || !i.plain && !s.wasBeside(i.removedBy)
	add(known && wasRemoved && !i.restoredAt.IsZero() && now.Sub(i.restoredAt) <= limit, "which was restored %v by %s", i.restoredAt, i.restoredBy)
	add(r.policy.config.Policy.RequireRecycleBin && (!s.world.rules || i.instanceStore || len(i.snapshots) == 0), "which the Recycle Bin does not take")
	add(isAnothers && !cameLate, "whose removal %s has announced", i.announcedBy)
	if grace := graceOf(r.policy.settings); grace > 0 {
		due, err := time.Parse(time.DateOnly, i.tags[dueTag])
		add(err != nil || now.Add(r.night.slack()).Before(due), "which is due on %q", i.tags[dueTag])
		// By tags and records: nobody can tell.
		isForged := s.forged.announced[i.id] || s.wasPlanned(r, i)
		add(!isForged && (i.announcedBy != r.policy.name || now.Add(r.night.slack()+i.slack).Before(i.due(r.policy.settings))), "which %q announced %v", i.announcedBy, i.announced)
		add(!r.policy.hasRecords(), "whose announcement no record confirms")
	}
	return why
}

// wasBeside reports whether another run was at work beside one. Without a journal that one may take
// the tags of both off.
func (s *simulation) wasBeside(run string) bool {
	r := s.runs[run]
	return r != nil && r.unlocked
}

// later reports whether something happened after a run had begun: what a run reads once, it does
// not read again.
func (s *simulation) later(at time.Time, r *run) bool {
	return !at.IsZero() && at.After(r.started.Add(-r.night.stale))
}

// leavesOut reports whether an image has a name that a policy does not judge.
func (p *policy) leavesOut(i *image) bool {
	matches, only := false, false
	for glob := range strings.SplitSeq(p.settings["NAMES"], ",") {
		isOut := strings.HasPrefix(glob, "!")
		is, _ := path.Match(strings.TrimPrefix(glob, "!"), i.name)
		if isOut && is {
			return true
		}
		only, matches = only || !isOut && glob != "", matches || !isOut && is
	}
	return only && !matches
}

// idleLimit is for how long an image may be idle. The tag makes it longer, and never shorter.
func (p *policy) idleLimit(i *image) time.Duration {
	days, own := 0, 0
	_, _ = fmt.Sscanf(p.settings["STALE_AFTER"], "%dd", &days)
	_, _ = fmt.Sscanf(i.tags[staleAfterTag], "%dd", &own)
	return time.Duration(max(days, own)) * day
}

// lastUse is when an image was used last, as far as a run could know.
func (s *simulation) lastUse(r *run, i *image) time.Time {
	last := i.created
	use := func(at time.Time) {
		if at.After(last) {
			last = at
		}
	}
	use(i.launched)
	if noted, err := time.Parse(time.DateOnly, i.tags[restoredTag]); err == nil {
		if end := noted.Add(24*time.Hour - 1); end.After(r.started) && !noted.After(r.started) {
			use(r.started) // Of today.
		} else {
			use(end) // It may have come as late as that.
		}
	}
	for _, other := range s.world.images {
		// A region that fails leaves the others alone; a forged lock can make it fail.
		fails := r.night.faults.any() || r.night.deadline > 0 || len(s.forged.locks) > 0
		mayBeUnread := other.region != i.region && fails
		if other.source == i.id && other.sourceRegion == i.region && other.there && !s.later(other.restoredAt, r) && !mayBeUnread {
			use(other.created)
		}
	}
	return last
}

// wasThere reports whether an image was there when a run began, and cannot have seemed to be gone.
func (s *simulation) wasThere(r *run, i *image) bool {
	return (i.there || s.later(i.goneAt, r)) && !s.later(i.restoredAt, r)
}

func (s *simulation) isNewest(r *run, i *image) bool {
	if i.family == "" || i.state != "available" {
		return false // Only what can be launched counts.
	}
	newer, newerInForce := 0, 0
	for _, other := range s.world.images {
		isNewer := other.created.After(i.created) || other.created.Equal(i.created) && other.id > i.id
		same := other.region == i.region && other.family == i.family && other != i
		if same && isNewer && !other.managed && r.policy.mayDisplace(other) && (i.kind == product) == (other.kind == product) && (other.state == "available" || s.later(other.touched, r)) && (other.there || s.later(other.goneAt, r)) {
			if newer++; !r.isSurelyDeprecated(other) {
				newerInForce++
			}
		}
	}
	most, isInForce := r.policy.config.Policy.KeepNewest, i.deprecated.IsZero() && i.deprecatedBy == ""
	return newer < most || isInForce && newerInForce < most
}

// checkDeletion checks what is promised of a snapshot that a run has just deleted, before that.
func (s *simulation) checkDeletion(r *run, sn *snapshot) {
	violate := func(is bool, format string, arguments ...any) {
		if is {
			s.violate("never touched", "%s deletes %s, %s", r.id, sn.id, fmt.Sprintf(format, arguments...))
		}
	}
	keep, tagged := sn.tags[keepTag]
	violate(!sn.there, "which is not there")
	violate(tagged && keep != "false" && !s.tooLate(sn.touched, r, sn.id), "which is tagged to be kept")
	violate(sn.managed, "which is managed")
	violate(sn.locked, "which is locked")
	violate(sn.own && !slices.ContainsFunc(s.world.images, func(i *image) bool { return slices.Contains(i.snapshots, sn.id) && !isTakenLongBefore(i) }),
		"which a person took long before there was an image with it")
	violate(s.isOfOthers(sn, func(actor string) bool { return actor == r.id }), "which belongs to another image than the failed one")
	if sn.due != nil {
		s.checkOrphan(r, sn)
	}
	violate(sn.orphanOf != "" && sn.due == nil, "which somebody else has left")
	violate(sn.named && r.policy.settings["USAGE_SOURCES"] != "references", "which a launch template maps")
	violate(!r.policy.config.Policy.DeleteSnapshots, "although DELETE_SNAPSHOTS is false")
	for _, i := range s.world.images {
		violate(slices.Contains(i.snapshots, sn.id) && i.there, "which %s maps", i.id)
	}
	violate(sn.due == nil && !s.mayGo(sn), "of which no run has removed an image since it was restored %v", sn.restoredAt)
	run := sn.tags[runTag]
	isForged := s.forged.images[s.world.madeFor(sn)] || s.tooLate(sn.touched, r, sn.id)
	if sn.tags[intentTag] != "remove" || run != r.id && s.runs[run] == nil && !isForged {
		s.violate("declared", "%s deletes %s, whose tags are %v", r.id, sn.id, sn.tags)
	}
}

// isTakenLongBefore reports whether an image was made more than a day after its snapshots.
func isTakenLongBefore(i *image) bool { return i.created.Sub(takenAt) > day }

// mayGo reports whether a run has removed, or may have removed, an image of a snapshot, and nobody
// who could be noticed has brought the snapshot back since.
//
// Three things nobody can tell: whether an image that is gone was removed by a run that was killed,
// had no answer, or could not note it, or by a person just before that run would have done so;
// whether a snapshot that is there was deleted by a run that was killed, and restored by a person
// who has left the tags of its removal on it; and whether an image that a run has removed, but not
// its snapshots, was there again between two runs.
func (s *simulation) mayGo(sn *snapshot) bool {
	left := s.runs[sn.tags[runTag]]
	if sn.orphanOf == "" && s.forged.images[s.world.madeFor(sn)] {
		// A plan and a removal for the very image that the snapshot was made for: nobody can tell
		// these from real ones.
		return true
	}
	return slices.ContainsFunc(s.world.images, func(i *image) bool {
		if !slices.Contains(i.snapshots, sn.id) {
			return false
		}
		_, byRun := s.runs[s.remover(i)]
		wasTried := left != nil && (left.record == nil || left.isUnsureOf(i) || left.unnoted[noteKey(left, i)]) && s.wasTried(left, i)
		return byRun && i.goneAt.After(sn.restoredAt) || wasTried
	})
}

// wasTried reports whether the journal says that a run was about to remove an image; without one,
// whether it cannot know if it has.
func (s *simulation) wasTried(r *run, i *image) bool {
	if !r.policy.hasRecords() {
		return s.disturbed[r.id+i.id]
	}
	note := s.account.Objects(bucketName)[noteKey(r, i)]
	// Of the image: its snapshots and its bundle have their own.
	var noted struct{ Status ami.Status }
	if json.Unmarshal(note, &noted) != nil {
		return note != nil
	}
	return noted.Status != ami.Skipped && noted.Status != ami.Failed
}

func noteKey(r *run, i *image) string {
	return prefixOf(r.policy.settings) + "removals/" + i.region + "/" + i.id + "/" + r.id + ".json"
}

// remover is who removed a missing image, as far as that could be noticed: if a person did so after
// a restore, and no run has noticed the restore in between, it is who had removed it before.
func (s *simulation) remover(i *image) string {
	_, byRun := s.runs[i.goneBy]
	// Maybe at the same instant.
	wasBack := !i.restoredAt.IsZero() && !i.goneAt.Before(i.restoredAt)
	if first := s.runs[i.removedBy]; !byRun && wasBack && first != nil {
		if !slices.ContainsFunc(s.order, func(r *run) bool { return r.noticesRestore(first, i) }) {
			return i.removedBy
		}
	}
	return i.goneBy
}

// longest is how long a run may be at work, at most. Until then an image that it has removed may
// still be listed.
const longest = 12 * time.Hour

// noticesRestore reports whether a run must have seen that an image was back that another one had
// removed, before it was removed once more, and nothing kept the run from writing that down.
func (r *run) noticesRestore(other *run, i *image) bool {
	isBetween := r.started.After(i.restoredAt.Add(r.night.stale)) && r.started.Before(i.goneAt)
	if !isBetween || r.policy != other.policy || r.started.Sub(other.started) < longest || r.record == nil || r.night.dry || r.night.faults.any() || r.night.deadline > 0 {
		return false
	}
	return slices.ContainsFunc(r.record.Regions, func(region record.Region) bool {
		return region.Region == i.region && region.Error == "" && region.Hold == "" && !region.Busy
	})
}

// isUnsureOf reports whether the record of a run says that it does not know what became of an
// image.
func (r *run) isUnsureOf(i *image) bool {
	return slices.ContainsFunc(r.record.Regions, func(region record.Region) bool {
		return slices.ContainsFunc(region.Images, func(recorded record.Image) bool {
			return recorded.ImageID == i.id && isUnsure(recorded.Outcome)
		})
	})
}

func isUnsure(o *ami.Outcome) bool {
	return o != nil && o.Status == ami.Failed && strings.Contains(o.Error, "may or may not")
}

func (s *simulation) checkTagging(actor, action string, keys []string) {
	if len(keys) == 0 || slices.ContainsFunc(keys, func(key string) bool { return !slices.Contains(ownTags, key) }) {
		s.violate("own tags only", "%s: %s of %q", actor, action, keys)
	}
}

// checkEnable checks that a run enables only what runs of its policy have disabled.
func (s *simulation) checkEnable(actor string, i *image) {
	if r := s.runs[actor]; r != nil && i.state == "disabled" && i.disabledBy != r.policy.name && !s.forged.announced[i.id] {
		s.violate("on nobody's word", "%s enables %s, which %q has disabled", actor, i.id, i.disabledBy)
	}
}

// checkEndOfDeprecation checks that a run ends only a deprecation that runs of its policy have
// begun.
func (s *simulation) checkEndOfDeprecation(actor string, i *image) {
	// Else it is asked once more, after a lost answer.
	isDeprecated := i.deprecatedBy != "" || !i.deprecated.IsZero()
	if r := s.runs[actor]; r != nil && isDeprecated && i.deprecatedBy != r.policy.name && !s.forged.announced[i.id] {
		s.violate("on nobody's word", "%s ends the deprecation of %s, which %q has deprecated", actor, i.id, i.deprecatedBy)
	}
}

// wasPlanned reports whether an image carries the forged tags of an announcement that a killed run
// of the same policy may have planned, so that its record confirms them.
func (s *simulation) wasPlanned(r *run, i *image) bool {
	id, _, _ := strings.Cut(i.tags[announcedByTag], " ")
	planner := s.runs[id]
	if !i.forged || planner == nil || planner.policy != r.policy || !planner.way.dead {
		return false
	}
	planned := *i
	planned.announced = planner.started
	return !time.Now().Add(r.night.slack()).Before(planned.due(r.policy.settings))
}

// checkTakenBack checks that a run takes back what another policy has announced for no reason but
// facts of the image.
func (s *simulation) checkTakenBack(actor string, i *image) {
	r := s.runs[actor]
	if r == nil || i.announcedBy == "" || i.announcedBy == r.policy.name || s.isObjection(r, i) {
		return
	}
	s.violate("each its own", "%s takes back what %s has announced of %s, and nothing speaks against it: %v", actor, i.announcedBy, i.id, i.tags)
}

// checkDeclaration checks that a run takes the tags of no removal off that a run of another policy
// has declared, and may come back for.
func (s *simulation) checkDeclaration(actor, id string, before, after map[string]string) {
	r, other := s.runs[actor], s.runs[before[runTag]]
	if r == nil || other == nil || before[intentTag] == "" || after[intentTag] != "" {
		return
	}
	// A run without a journal cannot tell whether an image is back. It leaves snapshots alone that
	// no image maps.
	canTell := r.policy.hasRecords() || s.world.snapshot(id) != nil && !s.isMapped(id)
	i, sn := s.world.image(id), s.world.snapshot(id)
	// A forged record may say that the run whose tags it read was one of its own policy.
	isForged := i != nil && i.forged || sn != nil && sn.forged || len(s.forged.runs) > 0
	isUnseen := r.night.stale > 0 && other.aliveBeside && r.aliveBeside
	// It had just read the tags when the other one wrote them. EC2 takes off what nobody read, too.
	isUnseen = isUnseen || other.declared.After(r.readTags) && time.Since(r.readTags) < 5*time.Second
	if other.policy != r.policy && other.policy.hasRecords() && canTell && !isForged && !isUnseen {
		s.violate("each its own", "%s takes off %s that %s, of another policy, has declared its removal", actor, id, other.id)
	}
}

// isMapped reports whether an image that is there maps a snapshot.
func (s *simulation) isMapped(id string) bool {
	return slices.ContainsFunc(s.world.images, func(i *image) bool { return i.there && slices.Contains(i.snapshots, id) })
}

// isObjection reports whether a fact of an image speaks against its removal, whatever the policy;
// or did when a run read it.
func (s *simulation) isObjection(r *run, i *image) bool {
	keep, isKept := i.tags[keepTag]
	isProtected := i.protection != "" && i.protection != "disabled"
	source := s.world.image(i.source)
	isCopyOfUsed := source != nil && source.usedBy+source.launchedBy != ""
	isForged := i.forged || s.forged.images[i.id]
	mayBeBack := slices.ContainsFunc(s.order, func(other *run) bool { return other.policy == r.policy && s.wasTried(other, i) })
	return isForged || mayBeBack || isKept && keep != "false" || isProtected || i.usedBy+i.launchedBy != "" || isCopyOfUsed ||
		!i.restoredAt.IsZero() || i.tags[intentTag] != "" || i.tags[runTag] != "" || s.tooLate(i.touched, r, i.id) || s.later(i.touched, r)
}

// checkAnnouncement checks that a run announces no removal that another policy has announced, and
// does not do so again and again.
func (s *simulation) checkAnnouncement(r *run, i *image) {
	if i.announcedBy != "" && i.announcedBy != r.policy.name && !s.later(i.markedAt, r) {
		s.violate("each its own", "%s announces the removal of %s, which %s has announced", r.id, i.id, i.announcedBy)
	}
	if i.announcements++; i.announcements > mostAnnouncements {
		s.violate("nothing flaps", "%s announces the removal of %s for the %dth time", r.id, i.id, i.announcements)
	}
}

// mostAnnouncements is how often the removal of one image may be announced. A person who objects, a
// run that is killed and other troubles start it again, and some do so in each night of a schedule.
const mostAnnouncements = 6

func (s *simulation) checkDisable(actor string, i *image) {
	if r := s.runs[actor]; r == nil || s.tooLate(i.touched, r, i.id) || s.later(i.markedAt, r) && i.announcedBy != r.policy.name {
		return
	}
	isOurs := i.announcedBy == s.policyOf(actor) && i.tags[disabledTag] != "" && i.tags[dueTag] != ""
	if i.public || i.shared || i.protection != "" && i.protection != "disabled" || i.managed || !isOurs {
		s.violate("never touched", "%s disables %s, %+v", actor, i.id, *i)
	}
}

// checkRecord checks the record of a run that has just ended against what the witness has seen of
// it.
func (s *simulation) checkRecord(r *run) {
	violate := func(format string, arguments ...any) {
		s.violate("truthful record", "%s: %s", r.id, fmt.Sprintf(format, arguments...))
	}
	removed, deleted := map[string]effect{}, map[string]effect{}
	for _, e := range s.effects {
		switch {
		case e.actor != r.id:
		case e.what == "deregister":
			removed[e.id] = e
		case e.what == "delete":
			deleted[e.id] = e
		}
	}
	said := s.checkOutcomes(r, removed, violate)
	for id := range removed {
		if !said.images[id] {
			violate("%s was removed, and the record does not say so", id)
		}
	}
	for id := range deleted {
		if !said.snapshots[id] {
			violate("%s was deleted, and the record does not say so", id)
		}
	}
	s.checkSnapshotResults(r, deleted, violate)
	s.checkInventory(r, violate)
	s.checkWithdrawn(r)
	if r.record.RecordError != "" && !r.night.faults.any() && r.night.deadline == 0 {
		violate("no record was kept: %s", r.record.RecordError)
	}
}

// checkWithdrawn checks that what a run has declared, and not removed, carries the declaration no
// more. A snapshot that was to go and did not keeps it for the next run.
func (s *simulation) checkWithdrawn(r *run) {
	// By a wrong clock, or without its lock, it takes nothing back.
	if r.night.faults.any() || r.night.deadline > 0 || r.aliveBeside || !r.way.wrong.IsZero() || r.way.stands || len(s.forged.locks) > 0 {
		return
	}
	for _, i := range s.world.images {
		if i.there && i.tags[intentTag] != "" && i.tags[runTag] == r.id && !i.forged && !s.later(i.restoredAt, r) {
			s.violate("withdrawn", "%s leaves its declaration on %s: %v", r.id, i.id, i.tags)
		}
	}
	for _, sn := range s.world.snapshots {
		mapped := slices.ContainsFunc(s.world.images, func(i *image) bool {
			return i.there && !s.later(i.restoredAt, r) && slices.Contains(i.snapshots, sn.id)
		})
		if sn.there && mapped && sn.tags[intentTag] != "" && sn.tags[runTag] == r.id && !sn.forged && !s.later(sn.restoredAt, r) {
			s.violate("withdrawn", "%s leaves its declaration on %s, which is in use", r.id, sn.id)
		}
	}
}

// told is what a record says to be gone, or not to know of.
type told struct{ images, snapshots map[string]bool }

func (s *simulation) checkOutcomes(r *run, removed map[string]effect, violate func(string, ...any)) told {
	said := told{map[string]bool{}, map[string]bool{}}
	for _, region := range r.record.Regions {
		for _, recorded := range region.Images {
			o := recorded.Outcome
			if o == nil {
				continue
			}
			e, ok := removed[recorded.ImageID]
			switch {
			case o.Status == ami.Deregistered:
				said.images[recorded.ImageID] = true
				i := s.world.image(recorded.ImageID)
				if !ok && (!s.disturbed[r.id+i.id] || i.there) {
					violate("%s is said to be deregistered, and was not by this run", i.id)
				}
				if !ok { // A person was quicker, while this run tried.
					e = effect{id: i.id, inBin: !i.exit.IsZero()}
				}
				if !i.restoredAt.After(e.at) { // Else it is another time that it is in the bin.
					s.checkExit(e, o.InBinUntil, i.exit, violate)
				}
			case isUnsure(o) && s.disturbed[r.id+recorded.ImageID]:
				said.images[recorded.ImageID] = true
				for _, id := range s.world.image(recorded.ImageID).snapshots {
					said.snapshots[id] = true
				}
			}
			for _, result := range o.Snapshots {
				s.noteSaid(said, r, result.SnapshotID, recorded.ImageID, result.Status)
			}
		}
		for _, f := range region.Leftovers {
			s.noteSaid(said, r, f.SnapshotID, "", f.Status)
		}
		for _, o := range region.Orphans {
			s.noteSaid(said, r, o.SnapshotID, "", ami.SnapshotStatus(o.Status)) // The same words.
		}
	}
	return said
}

func (s *simulation) noteSaid(said told, r *run, id, image string, status ami.SnapshotStatus) {
	uncertain := s.disturbed[r.id+id] || image != "" && s.disturbed[r.id+image]
	if status == ami.SnapshotDeleted || status == ami.SnapshotFailed && uncertain {
		said.snapshots[id] = true
	}
}

func (s *simulation) checkExit(e effect, said, exit time.Time, violate func(string, ...any)) {
	if said.IsZero() {
		return
	}
	if !e.inBin || !said.Equal(exit.UTC().Truncate(time.Second)) {
		violate("%s is said to be restorable until %v; in the bin: %v, until %v", e.id, said, e.inBin, exit)
	}
}

// checkSnapshotResults checks what a record says to be deleted.
func (s *simulation) checkSnapshotResults(r *run, deleted map[string]effect, violate func(string, ...any)) {
	check := func(id, imageID, detail string, until time.Time) {
		sn := s.world.snapshot(id)
		e, ok := deleted[id]
		if ok {
			if !sn.restoredAt.After(e.at) {
				s.checkExit(e, until, sn.exit, violate)
			}
			return
		}
		if uncertain := s.disturbed[r.id+id] || s.disturbed[r.id+imageID]; !uncertain || sn.there && !s.later(sn.restoredAt, r) {
			violate("%s is said to be deleted (%s), and was not by this run", id, detail)
		}
	}
	for _, region := range r.record.Regions {
		for _, recorded := range region.Images {
			if recorded.Outcome == nil {
				continue
			}
			for _, result := range recorded.Outcome.Snapshots {
				if result.Status == ami.SnapshotDeleted {
					check(result.SnapshotID, recorded.ImageID, result.Detail, result.RestorableUntil)
				}
			}
		}
		for _, f := range region.Leftovers {
			if f.Status == ami.SnapshotDeleted {
				check(f.SnapshotID, f.ImageID, f.Detail, f.RestorableUntil)
			}
		}
		for _, o := range region.Orphans {
			if o.IsDeleted() {
				check(o.SnapshotID, "", o.Detail, o.RestorableUntil)
			}
		}
	}
}

// checkInventory checks that every image is in a record exactly once, and that the counts add up.
func (s *simulation) checkInventory(r *run, violate func(string, ...any)) {
	seen := map[string]int{}
	failed := map[string]bool{}
	total := 0
	if regions := r.record.Regions; len(regions) == 1 && regions[0].Error != "" {
		return // Not even the account or its regions could be found out.
	}
	for _, region := range r.record.Regions {
		failed[region.Region] = region.Error != ""
		for _, i := range region.Images {
			seen[region.Region+i.ImageID]++
			total++
			todo := i.Verdict == retention.Deregister || i.Verdict == retention.Mark
			if todo && !r.night.dry && i.Outcome == nil {
				violate("%s has no outcome", i.ImageID)
			}
		}
	}
	for _, i := range s.world.images {
		n := seen[i.region+i.id]
		stable := s.wasThere(r, i) && (i.there || i.goneBy == r.id)
		if n > 1 || n == 0 && stable && !failed[i.region] {
			violate("%s is in the record %d times", i.id, n)
		}
	}
	c := r.record.Totals
	if sum := c.Kept + c.Deregistered + c.WouldDeregister + c.Deferred + c.Marked + c.Failed + c.Skipped; sum != c.Images || sum != total {
		violate("the counts add up to %d, not %d; the record has %d images", sum, c.Images, total)
	}
}

// checkClean checks a run of a night in which nothing goes wrong.
func (s *simulation) checkClean(r *run) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := janitor.Err(*r.record); err != nil {
		s.violate("nothing blocks", "%s: %v", r.id, err)
	}
	for _, region := range r.record.Regions {
		if region.Busy {
			s.violate("nothing blocks", "%s: %s is busy: %s", r.id, region.Region, region.Hold)
		}
		if region.Hold != "" && !r.policy.keepsAll(s.world) {
			s.violate("nothing blocks", "%s: %s is held: %s", r.id, region.Region, region.Hold)
		}
	}
	s.checkBlocked(r)
}

// heldOf are what the Recycle Bin holds of a run, and can give back.
func (s *simulation) heldOf(run string) []string {
	now := time.Now()
	var held []string
	for _, sn := range s.world.snapshots {
		if !sn.there && sn.inBin && sn.exit.After(now) && sn.tags[runTag] == run {
			held = append(held, sn.id)
		}
	}
	for _, i := range s.world.images {
		whole := !slices.ContainsFunc(i.snapshots, func(id string) bool { return !s.world.snapshot(id).there && !s.binned(id) })
		isDeclared := i.tags[runTag] == run && i.tags[intentTag] != "" // Else a person was quicker.
		if !i.there && i.inBin && i.exit.After(now) && isDeclared && whole {
			held = append(held, i.id)
		}
	}
	return held
}

func (s *simulation) checkUndo(r *run, held []string, undone undo.Report, err error) {
	violate := func(format string, arguments ...any) {
		s.violate("undo", "%s: %s", r.id, fmt.Sprintf(format, arguments...))
	}
	if err != nil && len(held) > 0 {
		violate("%v, although the Recycle Bin holds %v", err, held)
	}
	back := map[string]string{}
	for _, region := range undone.Regions {
		if region.Error != "" {
			violate("%s: %s", region.Region, region.Error)
		}
		for _, i := range region.Images {
			back[i.ImageID] = string(i.Status)
			for _, sn := range i.Snapshots {
				back[sn.SnapshotID] = string(sn.Status)
			}
		}
		for _, sn := range region.Snapshots {
			back[sn.SnapshotID] = string(sn.Status)
		}
	}
	for _, id := range held {
		// Without a record nobody knows that a failed image had failed before.
		i := s.world.image(id)
		isInDoubt := i != nil && i.kind == failed && (r.record == nil || !r.policy.hasRecords()) && back[id] == "incomplete"
		if back[id] != "restored" && !isInDoubt {
			violate("%s was in the Recycle Bin, and is %q", id, back[id])
		}
	}
	incomplete := func(id string) bool {
		return slices.ContainsFunc(s.world.images, func(i *image) bool { return back[i.id] == "incomplete" && slices.Contains(i.snapshots, id) })
	}
	for id, status := range back {
		there, tags := false, map[string]string{}
		if i := s.world.image(id); i != nil {
			there, tags = i.there, i.tags
		} else if sn := s.world.snapshot(id); sn != nil {
			there, tags = sn.there, sn.tags
		}
		if is := status == "restored" || status == "present" || status == "incomplete"; is != there {
			violate("%s is said to be %s; it is there: %v", id, status, there)
		}
		if (status == "restored" || status == "present") && tags[intentTag] != "" && tags[runTag] == r.id && !incomplete(id) {
			violate("%s is %s, and its tags are %v", id, status, tags)
		}
	}
}

// checkEnd checks an account at the end of all nights.
func (s *simulation) checkEnd() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.checkReports()
	for _, i := range s.world.images {
		if i.there && i.tags[intentTag] != "" && !i.forged {
			s.violate("no declaration stays", "%s carries %v", i.id, i.tags)
		}
	}
	for _, sn := range s.world.snapshots {
		// Without a journal nobody can tell whether its policy finishes it.
		left := s.runs[sn.tags[runTag]]
		if sn.there && sn.tags[intentTag] != "" && !sn.forged && !s.isApart(sn) && (left == nil || left.policy.hasRecords() || s.isMapped(sn.id)) {
			s.violate("no declaration stays", "%s carries %v", sn.id, sn.tags)
		}
		if why := s.orphaned(sn); why != "" {
			s.violate("no orphans", "%s is left: %s", sn.id, why)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(s.account.Objects(bucketName))) {
		for _, p := range s.policies {
			// Nothing is finished where all is kept, nor as long as nobody has put tags right that
			// cannot be read.
			isOpen := p.keepsAll(s.world) || slices.ContainsFunc(s.world.snapshots, func(sn *snapshot) bool {
				return sn.forged && sn.there || s.isApart(sn) && strings.HasSuffix(key, "/"+sn.tags[runTag])
			})
			if strings.HasPrefix(key, prefixOf(p.settings)+"unfinished/") && !isOpen {
				s.violate("a finished journal", "%s is left in the journal", key)
			}
		}
	}
	s.checkModel()
}

// orphaned says why a snapshot should have gone with its images; empty if it need not.
func (s *simulation) orphaned(sn *snapshot) string {
	if !sn.there {
		return ""
	}
	_, isKept := sn.tags[keepTag]
	_, isBack := sn.tags[restoredTag] // Somebody has undone its removal before it had come to that.
	isForged := sn.forged || slices.ContainsFunc(s.world.images, func(i *image) bool { return s.forged.images[i.id] && slices.Contains(i.snapshots, sn.id) })
	if isForged || isKept || isBack || sn.managed || sn.locked || sn.named || sn.untagged || !sn.restoredAt.IsZero() {
		return ""
	}
	if sn.own && slices.ContainsFunc(s.world.images, func(i *image) bool { return slices.Contains(i.snapshots, sn.id) && isTakenLongBefore(i) }) {
		return "" // By a person.
	}
	if s.isOfOthers(sn, func(actor string) bool { return s.runs[actor] != nil }) {
		return "" // Nothing says that it was made for the failed image.
	}
	var last *image
	for _, i := range s.world.images {
		switch {
		case !slices.Contains(i.snapshots, sn.id):
		case i.there:
			return ""
		case last == nil || i.goneAt.After(last.goneAt):
			last = i
		}
	}
	if last == nil || s.runs[last.goneBy] == nil {
		return "" // Whoever removes the last image by hand has left it.
	}
	r := s.runs[last.goneBy]
	if !r.policy.hasRecords() || !r.policy.config.Policy.DeleteSnapshots {
		return ""
	}
	if s.isToldAsLeft(r, sn) && !s.isPlanned(r, s.world.madeFor(sn)) {
		return "" // Nothing in it says that it was made for what that run has removed.
	}
	if r.unlocked && s.isToldAsLeft(r, sn) {
		return "" // Two policies were at work on it at the same moment, and it is told.
	}
	for _, i := range s.world.images {
		other := s.runs[i.goneBy]
		isApart := i.goneBy == "person" || other != nil && other.policy != r.policy
		if slices.Contains(i.snapshots, sn.id) && isApart && s.later(i.goneAt, r) {
			// The run had read that another image needs it. It is reported after a week, as one
			// that others have left.
			return ""
		}
	}
	return last.goneBy + " has removed " + last.id
}

// isApart reports whether a snapshot is there that a run has left and that only a person can
// delete, because nothing in it says for which image it was made; the record of a later run has to
// say so.
func (s *simulation) isApart(sn *snapshot) bool {
	return sn.there && (sn.own || sn.task != "") && slices.ContainsFunc(s.order, func(later *run) bool {
		return later.record != nil && slices.ContainsFunc(later.record.Regions, func(region record.Region) bool {
			return slices.ContainsFunc(region.Leftovers, func(f record.Leftover) bool { return f.Apart && f.Run == sn.tags[runTag] && f.SnapshotID == sn.id })
		})
	})
}

// isToldAsLeft reports whether the record of a later run says that a snapshot which a run has left
// stays.
func (s *simulation) isToldAsLeft(r *run, sn *snapshot) bool {
	return slices.ContainsFunc(s.order, func(later *run) bool {
		return later.record != nil && slices.ContainsFunc(later.record.Regions, func(region record.Region) bool {
			return slices.ContainsFunc(region.Leftovers, func(f record.Leftover) bool {
				return f.Run == r.id && f.SnapshotID == sn.id && f.Status != ami.SnapshotDeleted
			})
		})
	})
}

// isPlanned reports whether a run had planned to remove an image, as its journal says.
func (s *simulation) isPlanned(r *run, image string) bool {
	i := s.world.image(image)
	if i == nil {
		return false
	}
	plan := s.account.Objects(bucketName)[prefixOf(r.policy.settings)+"runs/"+r.id+"/plan-"+i.region+".json"]
	var document struct {
		Declared []struct {
			ImageID string `json:"imageId"`
		} `json:"declared"`
	}
	_ = json.Unmarshal(plan, &document)
	return slices.ContainsFunc(document.Declared, func(declared struct {
		ImageID string `json:"imageId"`
	},
	) bool {
		return declared.ImageID == image
	})
}

// isDisturbed reports whether any run cannot know what became of a request for a resource.
func (s *simulation) isDisturbed(id string) bool {
	for key := range s.disturbed {
		if strings.HasSuffix(key, id) {
			return true
		}
	}
	return false
}

// checkReports checks that all records together tell of no effect twice.
func (s *simulation) checkReports() {
	happened, reported := map[string]int{}, map[string]int{}
	for _, e := range s.effects {
		if e.what != "restore" {
			happened[e.id]++
		}
	}
	for _, r := range s.order {
		if r.record == nil {
			continue
		}
		deleted := map[string]bool{}
		for _, region := range r.record.Regions {
			for _, i := range region.Images {
				if i.Outcome == nil {
					continue
				}
				if i.Outcome.Status == ami.Deregistered {
					reported[i.ImageID]++
				}
				for _, result := range i.Outcome.Snapshots {
					deleted[result.SnapshotID] = deleted[result.SnapshotID] || result.Status == ami.SnapshotDeleted
				}
			}
			for _, f := range region.Leftovers {
				deleted[f.SnapshotID] = deleted[f.SnapshotID] || f.Status == ami.SnapshotDeleted
			}
		}
		for id, is := range deleted {
			if is {
				reported[id]++
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(reported)) {
		// Without a journal nobody can tell which of two runs has done what neither has an answer
		// to.
		beside := s.isDisturbed(id) && slices.ContainsFunc(s.order, func(r *run) bool { return r.unlocked })
		if reported[id] > happened[id] && !beside {
			s.violate("truthful record", "%s was removed %d times, and is reported %d times", id, happened[id], reported[id])
		}
	}
}

var (
	idsOfImages    = regexp.MustCompile(`<imageId>(ami-[0-9a-f]+)<`)
	idsOfSnapshots = regexp.MustCompile(`<snapshotId>(snap-[0-9a-f]+)<`)
	idsInBin       = regexp.MustCompile(`<(?:imageId|snapshotId)>((?:ami|snap)-[0-9a-f]+)<`)
)

// checkModel checks that the witness has not lost sight of the account.
func (s *simulation) checkModel() {
	for _, region := range s.world.regions {
		_, body := s.ask(region, url.Values{"Action": {"DescribeImages"}, "Version": {"2016-11-15"}, "IncludeDisabled": {"true"}})
		there := map[string]bool{}
		for _, m := range idsOfImages.FindAllSubmatch(body, -1) {
			there[string(m[1])] = true
		}
		_, body = s.ask(region, url.Values{"Action": {"DescribeSnapshots"}, "Version": {"2016-11-15"}})
		for _, m := range idsOfSnapshots.FindAllSubmatch(body, -1) {
			there[string(m[1])] = true
		}
		for _, action := range []string{"ListImagesInRecycleBin", "ListSnapshotsInRecycleBin"} {
			for range 6 { // What was removed in a night of lags may not be listed at once.
				_, body = s.ask(region, url.Values{"Action": {action}, "Version": {"2016-11-15"}})
			}
			for _, m := range idsInBin.FindAllSubmatch(body, -1) {
				there["bin "+string(m[1])] = true
			}
		}
		now := time.Now()
		for _, i := range s.world.images {
			if i.region == region && (i.there != there[i.id] || !i.there && (i.inBin && i.exit.After(now)) != there["bin "+i.id]) {
				s.violate("the simulation itself", "%s: there %v, in the bin %v until %v; the account says %v, %v", i.id, i.there, i.inBin, i.exit, there[i.id], there["bin "+i.id])
			}
		}
		for _, sn := range s.world.snapshots {
			if sn.region == region && (sn.there != there[sn.id] || !sn.there && (sn.inBin && sn.exit.After(now)) != there["bin "+sn.id]) {
				s.violate("the simulation itself", "%s: there %v, in the bin %v; the account says %v, %v", sn.id, sn.there, sn.inBin, there[sn.id], there["bin "+sn.id])
			}
		}
	}
}

// checkBlocked checks that images which EC2 refuses to remove take the cap from others no longer
// than until each of them was tried. Without a journal nobody remembers them.
func (s *simulation) checkBlocked(r *run) {
	c := r.record.Totals
	isAside := func(region record.Region) bool { return region.Hold != "" || region.Busy }
	p := r.policy
	if c.Deregistered+c.Marked > 0 || c.Deferred == c.Refused || p.limit == 0 || !p.hasRecords() || slices.ContainsFunc(r.record.Regions, isAside) {
		p.blocked = 0
		return
	}
	banned := 0
	for _, i := range s.world.images {
		if s.ban.isOf(i) {
			banned++
		}
	}
	if p.blocked++; p.blocked*p.limit > banned+p.limit {
		s.violate("nothing blocks", "%s: for %d nights nothing was removed under a cap of %d, with %d images refused, and %d wait for the cap",
			r.id, p.blocked, p.limit, banned, c.Deferred-c.Refused)
	}
}

// isOf reports whether an image is one of those that EC2 refuses to remove.
func (b ban) isOf(i *image) bool {
	var n int
	_, _ = fmt.Sscanf(i.id, "ami-%x", &n)
	return b.nights > 0 && b.which>>(n%64)&1 == 1
}

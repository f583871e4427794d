package retention_test

import (
	"slices"
	"strings"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// The oracle: the promises of the design in the simplest words, for the worlds of anyWorld. It does
// not know the rules.

// ground is a promise that forbids the removal of an image, and what it does to the announcement of
// that removal.
type ground struct {
	promise string
	mark    retention.Unmark
}

// sentence is what has to happen to an image.
type sentence struct {
	promise  string // Why it is kept; empty if nothing keeps it, or only that its day has not come.
	decision retention.Decision
	due      time.Time
	action   retention.GraceAction
	unmark   retention.Unmark
	undo     undoing
	by       string // The other policy whose announcement it is.
}

// undoing is how to take an announcement back.
type undoing struct {
	off          string // The keys of the tags to take off, sorted.
	enable       bool
	undeprecated bool
}

// judge says what has to happen to an image if there is no cap.
func (w world) judge(here ami.Inventory, image ami.Image) sentence {
	grounds := w.facts(here, image)
	if len(grounds) == 0 {
		grounds = w.doubts(here, image) // Nobody asks about a kept image.
	}
	if len(grounds) > 0 {
		s := sentence{promise: grounds[0].promise, decision: retention.Keep, unmark: w.oracleUnmark(here, image, grounds)}
		s.undo = w.oracleUndo(here, image, s.unmark)
		if whose, policy := w.whose(here, image); whose == "another's" {
			s.by = policy
			// For people, who may want to know.
			for _, value := range oracleValues(image.Tags, "due") {
				if due := oracleDues[value]; due.After(s.due) {
					s.due = due
				}
			}
		}
		return s
	}
	due := w.oracleDue(here, image)
	switch {
	case !due.IsZero() && now.Before(due):
		return sentence{decision: retention.Keep, due: due, action: w.oracleDone(here, image)}
	case (!due.IsZero() || w.policy.Grace <= 0) && w.oracleMayBeShared(here, image):
		return sentence{promise: "may be shared", decision: retention.Keep}
	case !due.IsZero() || w.policy.Grace <= 0:
		return sentence{decision: retention.Deregister, due: due}
	}
	action := w.policy.GraceAction
	if image.Public || action == retention.Disable && len(w.evidence[here.Region].Images[image.ID].SharedWith) > 0 {
		action = retention.Announce
	}
	if action == retention.Deprecate && !image.DeprecatedAt.IsZero() && !w.oracleDeprecatedIt(here, image) {
		action = retention.Announce // The owner's own date stays.
	}
	if here.History.Announced == nil {
		action = retention.Announce // Nobody could take anything else back.
	}
	switch image.State {
	case "disabled":
		action = retention.Disable // It was, and stays so.
	case "failed":
		action = retention.Announce // Nobody can use it anyhow.
	}
	return sentence{decision: retention.Mark, due: now.AddDate(0, 0, int(time.Duration(w.policy.Grace).Hours()/24)), action: action}
}

// whose says whose announcement an image carries, and another policy's name. Tags count only if the
// journal says the same, except that another policy's are left to that policy.
func (w world) whose(here ami.Inventory, image ami.Image) (whose, policy string) {
	if !oracleMarked(image.Tags) {
		return "nobody says so", ""
	}
	run, policy := oracleAnnouncer(image.Tags)
	what := here.History.Announced[image.ID]
	isRecorded := run != "" && what.Run == run
	if run == "" { // Then it says at most that a run has disabled it.
		run = oracleDisabler(image.Tags)
		isRecorded = run != "" && what.Run == run && what.Action == "disable"
	}
	if isRecorded = isRecorded && !what.Due.IsZero(); isRecorded {
		policy = what.Policy
	}
	begun := oracleBeginOf(run)
	switch {
	case isRecorded && policy == w.policy.Name:
		return "ours", ""
	case oracleCopiedMark(image):
		return "nobody's", ""
	// Nobody announces from the future.
	case policy == "" || policy == w.policy.Name || begun.After(now.AddDate(0, 0, 1)):
		return "unrecorded", ""
	}
	last := begun
	if day := oracleTagDue(image.Tags); !day.IsZero() {
		last = day
	}
	// Anybody can write a day far ahead.
	if longest := begun.AddDate(0, 0, 365); last.After(longest) {
		last = longest
	}
	isSeen := slices.ContainsFunc(here.Images, func(other ami.Image) bool {
		by, its := oracleAnnouncer(other.Tags)
		return its == policy && oracleBeginOf(by).After(last) && !oracleBeginOf(by).After(now.AddDate(0, 0, 1))
	})
	if !last.AddDate(0, 0, 30).After(now) && !isSeen {
		return "nobody's", ""
	}
	return "another's", policy
}

// oracleCopiedMark reports whether the tags of an announcement were copied from another image: no
// run announces one that is not a week old.
func oracleCopiedMark(image ami.Image) bool {
	run, _ := oracleAnnouncer(image.Tags)
	for _, other := range []string{oracleDisabler(image.Tags), oracleRunOf(image.Tags)} {
		if oracleBeginOf(run).IsZero() {
			run = other
		}
	}
	return oracleMarked(image.Tags) && oracleTooYoung(image, run)
}

// oracleCopiedDeclaration is the same for the tags that declare a removal.
func oracleCopiedDeclaration(image ami.Image) bool {
	return oracleTooYoung(image, oracleRunOf(image.Tags))
}

// oracleTooYoung reports whether an image was not there when a run began, with a day for clocks
// that differ.
func oracleTooYoung(image ami.Image, run string) bool {
	begun := oracleBeginOf(run)
	return !begun.IsZero() && image.CreatedAt.After(begun.AddDate(0, 0, -1))
}

// oracleUnmark says what happens to an announcement. A policy takes its own back for every reason,
// and anybody's for reasons that would keep the image from everybody.
func (w world) oracleUnmark(here ami.Inventory, image ami.Image, grounds []ground) retention.Unmark {
	whose, _ := w.whose(here, image)
	says := func(is func(ground) bool) bool { return slices.ContainsFunc(grounds, is) }
	if says(func(g ground) bool { return g.promise == "not owned" }) {
		return retention.LeaveMark
	}
	if says(func(g ground) bool { return g.promise == "there again" }) {
		return retention.Veto
	}
	if whose == "ours" {
		for _, becomes := range []retention.Unmark{retention.Veto, retention.ClearMark} {
			if says(func(g ground) bool { return g.mark == becomes }) {
				return becomes
			}
		}
		return retention.LeaveMark
	}
	kept := slices.ContainsFunc(oracleValues(image.Tags, "keep"), func(value string) bool { return strings.ToLower(value) != "false" })
	everybody := says(func(g ground) bool {
		return g.promise == "protected" || g.promise == "in use" || g.promise == "objected to" || g.promise == "kept by a tag" && kept
	})
	left := oracleHas(image.Tags, "due") || whose == "unrecorded" && oracleHas(image.Tags, "announced-by")
	isDisabled := oracleHas(image.Tags, "disabled") && image.State == "disabled"
	switch {
	case oracleCopiedMark(image) && isDisabled:
		return retention.LeaveMark
	case oracleCopiedMark(image): // Nobody can object to what nobody has announced for this image.
		return retention.ClearMark
	case whose != "nobody says so" && everybody && left:
		return retention.Veto
	case whose == "nobody's" && !isDisabled:
		return retention.ClearMark
	default:
		return retention.LeaveMark
	}
}

// oracleUndo says what is undone: only what this policy did according to the journal. An image
// stays disabled with the tag that says so; and another policy has to find the rest of its
// announcement.
func (w world) oracleUndo(here ami.Inventory, image ami.Image, unmark retention.Unmark) undoing {
	if unmark == retention.LeaveMark {
		return undoing{}
	}
	whose, _ := w.whose(here, image)
	what := here.History.Announced[image.ID]
	var u undoing
	if whose == "ours" {
		u.enable = w.oracleDisabledIt(here, image)
		day := time.Date(what.Due.Year(), what.Due.Month(), what.Due.Day(), 0, 0, 0, 0, time.UTC)
		u.undeprecated = what.Action == "deprecate" && !image.DeprecatedAt.Before(day) && image.DeprecatedAt.Before(day.Add(time.Minute))
	}
	names := []string{"due"}
	if whose != "another's" {
		names = append(names, "announced-by")
		if image.State != "disabled" || u.enable {
			names = append(names, "disabled")
		}
	}
	if unmark == retention.Veto && !oracleClaimed(here, image.ID, image.Tags) {
		names = append(names, "intent", "run")
	}
	var keys []string
	for key := range image.Tags {
		name, isOurs := strings.CutPrefix(strings.ToLower(strings.Trim(key, " ")), "ami-janitor:")
		if isOurs && slices.Contains(names, name) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	u.off = strings.Join(keys, ",")
	return u
}

// oracleDone is what this policy has done to an image that it has announced.
func (w world) oracleDone(here ami.Inventory, image ami.Image) retention.GraceAction {
	switch {
	case w.oracleDisabledIt(here, image):
		return retention.Disable
	case w.oracleDeprecatedIt(here, image):
		return retention.Deprecate
	default:
		return retention.Announce
	}
}

// oracleDisabledIt reports whether this policy has disabled an image, and it still is.
func (w world) oracleDisabledIt(here ami.Inventory, image ami.Image) bool {
	whose, _ := w.whose(here, image)
	return whose == "ours" && here.History.Announced[image.ID].Action == "disable" && oracleHas(image.Tags, "disabled") && image.State == "disabled"
}

// oracleDeprecatedIt reports whether this policy has set the date on which an image is deprecated,
// as the journal says.
func (w world) oracleDeprecatedIt(here ami.Inventory, image ami.Image) bool {
	whose, _ := w.whose(here, image)
	what := here.History.Announced[image.ID]
	day := what.Due.UTC().Truncate(24 * time.Hour)
	return whose == "ours" && what.Action == "deprecate" && !image.DeprecatedAt.Before(day) && image.DeprecatedAt.Before(day.Add(time.Minute))
}

// facts are the grounds that can be seen in the listings of the account.
func (w world) facts(here ami.Inventory, image ami.Image) []ground {
	return broken([]claim{
		{"not owned", retention.LeaveMark, image.OwnerID != account},
		{"not available", retention.ClearMark, image.State != "available" && !w.oracleFailedLongAgo(image) && !w.oracleDisabledIt(here, image) && !w.oracleClaimsDisabled(here, image)},
		{"unreadable", retention.LeaveMark, len(image.Unreadable) > 0 || slices.ContainsFunc(w.made(image), time.Time.IsZero)},
		{"of the future", retention.LeaveMark, slices.ContainsFunc(w.uses(image), now.Before)},
		{"protected", retention.Veto, image.Protection != "" && image.Protection != "disabled"},
		{"managed", retention.ClearMark, w.oracleManaged(image)},
		{"public", retention.Veto, image.Public && !w.policy.JudgeShared},
		{"kept by a tag", retention.Veto, w.oracleKeepTag(image.Tags)},
		{"on the keep list", retention.Veto, w.oracleListed(image)},
		{"bad tag", retention.LeaveMark, oracleBadTag(image)},
		{"out of scope", retention.ClearMark, !w.oracleInScope(image)},
		{"of another run", retention.LeaveMark, oracleClaimed(here, image.ID, image.Tags) && !oracleCopiedDeclaration(image)},
		{"there again", retention.Veto, oracleThereAgain(here, image)},
		{"objected to", retention.Veto, w.oracleObjection(here, image)},
		{"unrecorded", retention.LeaveMark, w.oracleUnrecorded(here, image) && !w.oracleObjection(here, image) || w.oracleClaimsDisabled(here, image)},
		{"used not long ago", retention.ClearMark, w.oracleRecent(image)},
		{"newest", retention.ClearMark, w.oracleNewest(here, image)},
		{"without room", retention.ClearMark, w.oracleCrowded(here, image)},
		{"not restorable", retention.ClearMark, w.oracleLost(here, image)},
		{"unclear snapshot", retention.LeaveMark, oracleSnapshot(here, image, func(s ami.Snapshot) bool { return s.Unreadable != "" })},
		{"snapshot in doubt", retention.LeaveMark, oracleRecentlyRemoved(here, image)},
		{"locked snapshot", retention.ClearMark, oracleSnapshot(here, image, func(s ami.Snapshot) bool { return s.Lock == "governance" || s.Lock == "compliance" })},
	})
}

// doubts are the grounds in the evidence of use, or in its gaps.
func (w world) doubts(here ami.Inventory, image ami.Image) []ground {
	finding, looked := w.evidence[here.Region].Images[image.ID]
	proven := looked && finding.Use == ami.Unused && len(finding.Gaps) == 0 && !w.oracleUnreadText(here.Region)
	copied, inDoubt := w.oracleCopy(here, image)
	whose, _ := w.whose(here, image)
	return broken([]claim{
		{"shared", retention.Veto, len(finding.SharedWith) > 0 && (image.Marketplace || !w.policy.JudgeShared)},
		{"in use", retention.Veto, w.named(image.ID)},
		{"a copy of what is used", retention.ClearMark, copied},
		{"another's", retention.LeaveMark, w.oracleElsewhere(here, image)},
		{"copied tags", retention.LeaveMark, whose == "nobody's" && oracleCopiedMark(image) || whose == "nobody says so" && oracleCopiedDeclaration(image)},
		{"a copy of what may be used", retention.LeaveMark, inDoubt},
		{"not proven", retention.LeaveMark, !proven},
		{"without a report", retention.LeaveMark, !w.oracleReported(image, finding)},
		{"without launches", retention.LeaveMark, image.LastLaunchedAt.IsZero() && w.oracleDark(here)},
	})
}

// claim is a ground that may apply or not.
type claim struct {
	promise string
	mark    retention.Unmark
	applies bool
}

func broken(claims []claim) []ground {
	var grounds []ground
	for _, c := range claims {
		if c.applies {
			grounds = append(grounds, ground{c.promise, c.mark})
		}
	}
	return grounds
}

// oracleValues returns the values of a tag of the janitor, in whatever spelling.
func oracleValues(tags map[string]string, name string) []string {
	var values []string
	for key, value := range tags {
		if strings.ToLower(strings.Trim(key, " ")) == "ami-janitor:"+name {
			values = append(values, value)
		}
	}
	return values
}

func oracleHas(tags map[string]string, name string) bool { return len(oracleValues(tags, name)) > 0 }

func (w world) oracleUnrecorded(here ami.Inventory, image ami.Image) bool {
	whose, _ := w.whose(here, image)
	return whose == "unrecorded"
}

// oracleClaimsDisabled reports whether an image only claims that the janitor disabled it, and
// nobody comes back for it.
func (w world) oracleClaimsDisabled(here ami.Inventory, image ami.Image) bool {
	return (w.oracleUnrecorded(here, image) || w.oracleLeft(here, image)) && oracleHas(image.Tags, "disabled") && image.State == "disabled"
}

// oracleLeft reports whether another policy has announced the removal of an image, and has been
// gone for long.
func (w world) oracleLeft(here ami.Inventory, image ami.Image) bool {
	whose, _ := w.whose(here, image)
	return whose == "nobody's" && !oracleCopiedMark(image)
}

// oracleElsewhere reports whether an announcement is for another policy to carry out, or was.
func (w world) oracleElsewhere(here ami.Inventory, image ami.Image) bool {
	whose, _ := w.whose(here, image)
	return whose == "another's" || w.oracleLeft(here, image)
}

// oracleTagDue is the last of the days that an image says it is due on.
func oracleTagDue(tags map[string]string) time.Time {
	var latest time.Time
	for _, value := range oracleValues(tags, "due") {
		if due := oracleDues[value]; due.After(latest) {
			latest = due
		}
	}
	return latest
}

// oracleDue is when an image is due: what the journal says, or the day on the image if that is
// later. It is zero if no announcement of this policy counts.
func (w world) oracleDue(here ami.Inventory, image ami.Image) time.Time {
	if whose, _ := w.whose(here, image); whose != "ours" {
		return time.Time{}
	}
	due := here.History.Announced[image.ID].Due
	if day := oracleTagDue(image.Tags); day.After(due) {
		due = day
	}
	if !due.After(now.AddDate(0, 0, -90)) {
		return time.Time{}
	}
	return due
}

// oracleRuns are the ids of the runs that have marked images, and when these began.
var oracleRuns = map[string]time.Time{
	"20261101T020000Z-3f9c1a": time.Date(2026, 11, 1, 2, 0, 0, 0, time.UTC),
	// When the oldest images were made.
	" 20250711T020000Z-3f9c1a ": time.Date(2025, 7, 11, 2, 0, 0, 0, time.UTC),
	"20250710T020000Z-3f9c1a":   time.Date(2025, 7, 10, 2, 0, 0, 0, time.UTC),
	"20261123T010000Z-3f9c1a":   time.Date(2026, 11, 23, 1, 0, 0, 0, time.UTC),
	"20261122T140001Z-3f9c1a":   time.Date(2026, 11, 22, 14, 0, 1, 0, time.UTC),
	"20261122T140000Z-3f9c1a":   time.Date(2026, 11, 22, 14, 0, 0, 0, time.UTC),
	"20261123T135959Z-3f9c1a":   time.Date(2026, 11, 23, 13, 59, 59, 0, time.UTC),
	"20261124T020000Z-3f9c1a":   time.Date(2026, 11, 24, 2, 0, 0, 0, time.UTC),
	"":                          {},
	"by hand":                   {},
}

func oracleMarked(tags map[string]string) bool {
	return oracleHas(tags, "due") || oracleHas(tags, "disabled") || oracleHas(tags, "announced-by")
}

// oracleAnnouncer is the run that has announced a removal, as the tags say, and the name of its
// policy. Of several the earliest counts; what does not begin with a run that is known does not.
func oracleAnnouncer(tags map[string]string) (run, policy string) {
	for _, value := range oracleValues(tags, "announced-by") {
		words := strings.Fields(value)
		if len(words) == 0 || oracleBeginOf(words[0]).IsZero() {
			continue
		}
		its := strings.Join(words[1:], " ")
		begun, known := oracleBeginOf(words[0]), oracleBeginOf(run)
		if run == "" || begun.Before(known) || begun.Equal(known) && its < policy {
			run, policy = words[0], its
		}
	}
	return run, policy
}

// oracleDisabler is the run that has disabled an image, as its tags say, the earliest of several.
func oracleDisabler(tags map[string]string) string {
	first := ""
	for _, value := range oracleValues(tags, "disabled") {
		begun := oracleBeginOf(value)
		if !begun.IsZero() && (first == "" || begun.Before(oracleBeginOf(first))) {
			first = strings.TrimSpace(value)
		}
	}
	return first
}

// oracleIntent reports whether the removal of a resource is declared.
func oracleIntent(tags map[string]string) bool {
	return slices.ContainsFunc(oracleValues(tags, "intent"), func(value string) bool { return strings.TrimSpace(value) == "remove" })
}

// oracleRunOf is the run that a resource names, the latest of several; empty if it names none.
func oracleRunOf(tags map[string]string) string {
	latest := ""
	for _, run := range oracleValues(tags, "run") {
		begun, known := oracleBeginOf(run), oracleBeginOf(latest)
		if run = strings.TrimSpace(run); begun.After(known) || begun.Equal(known) && run > latest {
			latest = run
		}
	}
	return latest
}

func oracleBeginOf(run string) time.Time {
	for id, begun := range oracleRuns {
		if strings.TrimSpace(id) == strings.TrimSpace(run) {
			return begun
		}
	}
	return time.Time{}
}

// oracleClaimed reports whether a run that has declared a removal may be at work: it is known to
// be, or it began not long ago and is not known to be over.
func oracleClaimed(here ami.Inventory, id string, tags map[string]string) bool {
	run := oracleRunOf(tags)
	if !oracleIntent(tags) || run == "" {
		return false
	}
	begun := oracleBeginOf(run)
	late := begun.After(now.Add(-12*time.Hour)) && begun.Before(now.Add(12*time.Hour))
	known := slices.Contains(here.History.NotAttempted[id], run) || here.History.Removed[id] == run
	return run == here.History.Busy || !known && (late || here.History.Strangers[run] && oracleComesBack(run))
}

// oracleComesBack reports whether another policy, whose run has declared a removal, may still
// finish that: for 30 days.
func oracleComesBack(run string) bool {
	begun := oracleBeginOf(run)
	return !begun.IsZero() && begun.After(now.AddDate(0, 0, -30)) && begun.Before(now.AddDate(0, 0, 30))
}

// oracleMayBeAnothers reports whether a snapshot whose image is gone may be one that another policy
// finishes: without records nobody knows.
func oracleMayBeAnothers(here ami.Inventory, s ami.Snapshot) bool {
	return here.History.Strangers == nil && !oracleIsUsed(here, s.ID) && oracleComesBack(oracleRunOf(s.Tags))
}

// oracleRecentlyRemoved reports whether a snapshot of an image is one of another image, too, which
// a run of these hours has removed.
func oracleRecentlyRemoved(here ami.Inventory, image ami.Image) bool {
	return slices.ContainsFunc(here.Images, func(other ami.Image) bool {
		begun := oracleBeginOf(here.History.Removed[other.ID])
		late := begun.After(now.Add(-12*time.Hour)) && begun.Before(now.Add(12*time.Hour))
		shares := slices.ContainsFunc(image.SnapshotIDs, func(id string) bool { return slices.Contains(other.SnapshotIDs, id) })
		return late && shares && other.ID != image.ID
	})
}

// oracleThereAgain reports whether an image was removed, or may have been, and whether nobody has
// noted since that it is there again.
func oracleThereAgain(here ami.Inventory, image ami.Image) bool {
	if by := here.History.Removed[image.ID]; by != "" {
		begun := oracleBeginOf(by)
		midnight := time.Date(begun.Year(), begun.Month(), begun.Day(), 0, 0, 0, 0, time.UTC)
		noted := slices.ContainsFunc(oracleRestores(image.Tags), func(at time.Time) bool { return !at.Before(midnight) })
		if begun.IsZero() || !noted {
			return true
		}
	}
	if oracleCopiedDeclaration(image) {
		return false
	}
	if oracleHas(image.Tags, "run") && !oracleIntent(image.Tags) && !oracleBadTag(image) {
		return true // A part of a declaration is left.
	}
	run := oracleRunOf(image.Tags)
	notBegun := run != "" && slices.Contains(here.History.NotAttempted[image.ID], run)
	return oracleIntent(image.Tags) && !notBegun && !oracleClaimed(here, image.ID, image.Tags)
}

// oracleCrowded reports whether a resource has no room for a tag that its removal needs.
func (w world) oracleCrowded(here ami.Inventory, image ami.Image) bool {
	crowded := func(tags map[string]string, keys ...string) bool {
		n := oracleTagCount(tags)
		for _, key := range keys {
			if _, ok := tags["ami-janitor:"+key]; !ok {
				n++
			}
		}
		return n > 50
	}
	keys := []string{"intent", "run"}
	if w.policy.Grace > 0 && w.oracleDue(here, image).IsZero() {
		if keys = append(keys, "due", "announced-by"); w.policy.GraceAction == retention.Disable || image.State == "disabled" {
			keys = append(keys, "disabled")
		}
	}
	return crowded(image.Tags, keys...) || oracleSnapshot(here, image, func(s ami.Snapshot) bool {
		return w.oracleGoes(here, s) && crowded(s.Tags, "intent", "run")
	})
}

// oracleGoes reports whether nothing about a snapshot itself keeps it.
func (w world) oracleGoes(here ami.Inventory, s ami.Snapshot) bool {
	return w.policy.DeleteSnapshots && !w.oracleKeepTag(s.Tags) && s.Tags["aws:backup:source-resource"] == "" && !oracleByHand(here, s) && !w.oracleOfOthers(here, s)
}

// oracleFailedLongAgo reports whether an image has failed for longer than its limit, even if it
// took a week to do so.
func (w world) oracleFailedLongAgo(image ami.Image) bool {
	return w.policy.JudgeFailed && image.State == "failed" && image.CreatedAt.Before(now.AddDate(0, 0, -7).Add(-w.oracleLimit(image)))
}

// oracleStaleFrom is when an image counts as stale.
func (w world) oracleStaleFrom(image ami.Image) time.Time {
	from := slices.MaxFunc(w.uses(image), time.Time.Compare).Add(w.oracleLimit(image))
	if failed := image.CreatedAt.AddDate(0, 0, 7).Add(w.oracleLimit(image)); w.policy.JudgeFailed && image.State == "failed" && failed.After(from) {
		return failed
	}
	return from
}

// oracleOfOthers reports whether a failed image has a snapshot that EC2 does not say it has made
// for that very image, in these days.
func (w world) oracleOfOthers(here ami.Inventory, s ami.Snapshot) bool {
	return w.policy.JudgeFailed && slices.ContainsFunc(here.Images, func(i ami.Image) bool {
		isUnnamed := s.ImageID != i.ID || s.ImageID == ""
		isOld := s.StartedAt.IsZero() || s.StartedAt.Before(i.CreatedAt.AddDate(0, 0, -1))
		return i.State == "failed" && slices.Contains(i.SnapshotIDs, s.ID) && (isUnnamed || isOld)
	})
}

// oracleByHand reports whether somebody took a snapshot long before there was any image with it.
func oracleByHand(here ami.Inventory, s ami.Snapshot) bool {
	if s.ImageID != "" || s.Imported || s.StartedAt.IsZero() {
		return false
	}
	images, older := 0, 0
	for _, i := range here.Images {
		if slices.Contains(i.SnapshotIDs, s.ID) && !i.CreatedAt.IsZero() {
			images++
			if s.StartedAt.Before(i.CreatedAt.AddDate(0, 0, -1)) {
				older++
			}
		}
	}
	return images > 0 && older == images
}

// oracleSharing says what is known of with whom a snapshot is shared: "private", "shared" or
// "unknown". As long as nobody has asked the plan is made as if it was private.
func (w world) oracleSharing(here ami.Inventory, id string) string {
	sharing, asked := w.evidence[here.Region].Sharing[id]
	switch {
	case !asked || sharing.Err == "" && len(sharing.With) == 0:
		return "private"
	case sharing.Err == "":
		return "shared"
	default:
		return "unknown"
	}
}

// oracleMayBeShared reports whether a snapshot would be deleted with an image, and nobody could
// find out with whom it is shared. Nobody asks about any that stays.
func (w world) oracleMayBeShared(here ami.Inventory, image ami.Image) bool {
	return slices.ContainsFunc(image.SnapshotIDs, func(id string) bool { return w.oracleSharing(here, id) == "unknown" })
}

// oracleDays is for how many days the Recycle Bin would hold a resource that is removed.
func oracleDays(here ami.Inventory, images bool, tags map[string]string) int {
	longest := 0
	for _, rule := range here.Bin.Rules {
		covered := len(rule.Tags) == 0
		for _, tag := range rule.Tags {
			covered = covered || tag.Key == "ami-janitor:intent" || tags[tag.Key] == tag.Value && tag.Key == "team"
		}
		for _, tag := range rule.Excluded {
			env, has := tags["env"]
			excluded := tag.Key == "ami-janitor:intent" || has && (tag.Value == "" || tag.Value == env)
			covered = covered && !excluded
		}
		if covered && rule.Images == images && rule.Days > longest {
			longest = rule.Days
		}
	}
	return longest
}

// oracleBinIsUseless reports whether a region cannot keep the promise that what is removed can be
// restored.
func (w world) oracleBinIsUseless(here ami.Inventory) bool {
	useless := !here.Bin.Read || oracleDays(here, true, nil) == 0 || oracleDays(here, false, nil) == 0 && w.policy.DeleteSnapshots
	return w.policy.RequireRecycleBin && useless
}

// oracleLost reports whether an image could not be restored, where others can.
func (w world) oracleLost(here ami.Inventory, image ami.Image) bool {
	if !w.policy.RequireRecycleBin {
		return false
	}
	held := oracleDays(here, true, image.Tags)
	short := held == 0 || held < w.policy.RecycleBinDays || oracleSnapshot(here, image, func(s ami.Snapshot) bool {
		return w.oracleGoes(here, s) && oracleDays(here, false, s.Tags) < held
	})
	return image.S3Location != "" || len(image.SnapshotIDs) == 0 || short && !w.oracleBinIsUseless(here)
}

// oracleHeld reports whether nothing may be done in a region.
func (w world) oracleHeld(here ami.Inventory) bool {
	return here.History.Busy != "" || w.oracleBinIsUseless(here)
}

// oracleIsUsed reports whether any image of a region has a snapshot.
func oracleIsUsed(here ami.Inventory, snapshotID string) bool {
	return slices.ContainsFunc(here.Images, func(i ami.Image) bool { return slices.Contains(i.SnapshotIDs, snapshotID) })
}

func oracleIsThere(here ami.Inventory, imageID string) bool {
	return slices.ContainsFunc(here.Images, func(i ami.Image) bool { return i.ID == imageID })
}

// oracleObjection reports whether a part of an announcement is missing, or says something else than
// it did; whether an image should be disabled and is not, or does not say so; or whether the image
// has been used since. Launches come to be known up to a day late. Nobody knows what tags mean of
// which one cannot be read, nor what a use is that has not come yet.
//
// Of an announcement that nobody has recorded only the tags can be missing; and that an image was
// disabled is no more than said.
func (w world) oracleObjection(here ami.Inventory, image ami.Image) bool {
	whose, _ := w.whose(here, image)
	if oracleBadTag(image) || whose != "ours" && whose != "unrecorded" {
		return false
	}
	run, policy := oracleAnnouncer(image.Tags)
	says := oracleHas(image.Tags, "disabled")
	partly := !oracleHas(image.Tags, "due") || run == "" || policy != w.policy.Name
	if whose == "unrecorded" {
		return partly && !says
	}
	was := here.History.Announced[image.ID].Action == "disable"
	if partly || image.State == "available" && (says || was) || was && !says {
		return true
	}
	begun := oracleBeginOf(run)
	return slices.ContainsFunc(w.uses(image), func(use time.Time) bool { return use.After(begun.AddDate(0, 0, -1)) && !use.After(now) })
}

func oracleTagCount(tags map[string]string) int {
	n := 0
	for key := range tags {
		if len(key) < 4 || key[:4] != "aws:" {
			n++
		}
	}
	return n
}

func (w world) oracleManaged(image ami.Image) bool {
	for key, value := range image.Tags {
		isAWS := len(key) >= 4 && key[:4] == "aws:"
		if isAWS && key != "aws:cloudformation:stack-name" && key != "aws:cloudformation:stack-id" || key == "dlm:managed" || value == "EC2 Fast Launch" {
			return true
		}
		if (key == "Ec2ImageBuilderArn" || value == "EC2 Image Builder") && !w.policy.JudgeImageBuilder {
			return true
		}
	}
	return strings.Contains(image.Name, "AwsBackup_") || image.OwnerAlias != "" || image.Marketplace && (image.Public || !w.policy.JudgeMarketplace)
}

func (w world) oracleKeepTag(tags map[string]string) bool {
	for _, value := range oracleValues(tags, "keep") {
		if strings.ToLower(value) != "false" {
			return true
		}
	}
	_, pinned := tags["pinned"]
	return len(w.policy.KeepTags) > 0 && (pinned || tags["env"] == "prod")
}

func (w world) oracleListed(image ami.Image) bool {
	for _, entry := range w.keepList {
		if globMatches([]rune(entry), []rune(image.ID)) || globMatches([]rune(entry), []rune(image.Name)) {
			return true
		}
	}
	return false
}

func (w world) oracleInScope(image ami.Image) bool {
	_, env := image.Tags["env"]
	if len(w.policy.OnlyTags) > 0 && (!env || image.Tags["team"] != "a" && image.Tags["team"] != "b") {
		return false
	}
	narrowed := w.policy.Names.String() != ""
	return !narrowed || image.Name == "golden" || image.Name[:4] == "web-" && image.Name[4] != '2'
}

func oracleBadTag(image ami.Image) bool {
	for _, value := range oracleValues(image.Tags, "due") {
		if oracleDues[value].IsZero() && value != "0001-01-01" {
			return true
		}
	}
	for _, value := range oracleValues(image.Tags, "restored") {
		if value == "" || value == "yesterday" {
			return true
		}
	}
	for _, value := range oracleValues(image.Tags, "intent") {
		if strings.TrimSpace(value) != "remove" {
			return true
		}
	}
	stale, hasStale := image.Tags["ami-janitor:stale-after"]
	return hasStale && (stale == "6d" || stale == "" || stale == "soon") || oracleHas(image.Tags, "dew") || oracleHas(image.Tags, "keeep")
}

// made are the moments at which an image, and what was made from it, came to be; zero where nobody
// knows.
func (w world) made(image ami.Image) []time.Time {
	moments := []time.Time{image.CreatedAt}
	for _, inventory := range w.inventories {
		for _, other := range inventory.Images {
			if other.SourceImageID == image.ID && other.ID != image.ID {
				moments = append(moments, other.CreatedAt)
			}
		}
	}
	return moments
}

// uses are the last moments at which an image was used in each way. Of several copies the last one
// counts, and that is one without a date if there is any.
func (w world) uses(image ami.Image) []time.Time {
	uses := append([]time.Time{image.CreatedAt, image.LastLaunchedAt}, oracleRestores(image.Tags)...)
	if copied := w.made(image)[1:]; len(copied) > 0 && !slices.ContainsFunc(copied, time.Time.IsZero) {
		uses = append(uses, slices.MaxFunc(copied, time.Time.Compare))
	}
	return uses
}

// oracleRestores is the restore that is noted, of several the last; that of a day came at its end.
func oracleRestores(tags map[string]string) []time.Time {
	var uses []time.Time
	for _, value := range oracleValues(tags, "restored") {
		switch value {
		case "2020-01-01":
			uses = append(uses, time.Date(2020, 1, 1, 23, 59, 59, 999_999_999, time.UTC))
		case "2026-10-24":
			uses = append(uses, time.Date(2026, 10, 24, 23, 59, 59, 999_999_999, time.UTC))
		case "2026-11-22":
			uses = append(uses, time.Date(2026, 11, 22, 23, 59, 59, 999_999_999, time.UTC))
		case "2026-11-24":
			uses = append(uses, time.Date(2026, 11, 24, 23, 59, 59, 999_999_999, time.UTC))
		case "2026-11-22T10:00:00+01:00":
			uses = append(uses, time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC))
		}
	}
	if len(uses) == 0 {
		return nil
	}
	return []time.Time{slices.MaxFunc(uses, time.Time.Compare)}
}

// oracleLimit is how long an image may be idle.
func (w world) oracleLimit(image ami.Image) time.Duration {
	limit := max(w.policy.StaleAfter, retention.Floor)
	if image.LastLaunchedAt.IsZero() {
		limit = max(w.policy.NeverLaunchedAfter, retention.Floor)
	}
	var own int
	switch image.Tags["ami-janitor:stale-after"] {
	case "7d":
		own = 7
	case "30d":
		own = 30
	case "600d":
		own = 600
	}
	wish := time.Duration(own) * 24 * time.Hour
	if wish > time.Duration(limit) || own > 0 && w.policy.AllowShorter {
		return wish
	}
	return time.Duration(limit)
}

// oracleRecent reports whether a use of an image is within its limit, as far as that can be told:
// not if its limit or its last use is unclear, which is a ground of its own.
func (w world) oracleRecent(image ami.Image) bool {
	if oracleBadTag(image) || slices.ContainsFunc(w.uses(image), now.Before) {
		return false
	}
	fresh := now.Add(-w.oracleLimit(image)) // At this moment or later.
	return slices.ContainsFunc(w.uses(image), func(use time.Time) bool { return !use.Before(fresh) })
}

// oracleFamily is the family of an image that anyImage draws.
func (w world) oracleFamily(image ami.Image) string {
	needs := ""
	if image.Marketplace {
		needs = " and a subscription"
	}
	if role := image.Tags["role"]; w.policy.FamilyTag != "" && role != "" {
		return "role " + role + " " + image.Architecture + needs
	}
	stem, _, versioned := strings.Cut(image.Name, "-")
	switch {
	case !versioned:
		return ""
	case stem == "import" && image.Name != "import-ami-20250101" && !w.before: // That is a date.
		stem = image.Name
	}
	return stem + " " + image.Architecture + needs
}

// oracleIsOver reports whether an image is deprecated by now.
func oracleIsOver(image ami.Image) bool {
	return !image.DeprecatedAt.IsZero() && !image.DeprecatedAt.After(now)
}

// oracleMayBeByUs reports whether a run may have deprecated an image: by this policy if the journal
// says so, by anybody else if its tags say that its removal was announced, or that it was restored.
func (w world) oracleMayBeByUs(here ami.Inventory, image ami.Image) bool {
	whose, _ := w.whose(here, image)
	isAnothers := whose != "ours" && whose != "nobody says so"
	isBack := whose == "nobody says so" && len(oracleRestores(image.Tags)) > 0
	return isAnothers || isBack || here.History.Announced[image.ID].Action == "deprecate"
}

// oracleDeprecated reports whether the owner of an image has deprecated it.
func (w world) oracleDeprecated(here ami.Inventory, image ami.Image) bool {
	return oracleIsOver(image) && !w.oracleMayBeByUs(here, image)
}

// oracleNewest reports whether fewer than KeepNewest usable images of the family of an image are
// newer than it, or, if it is not deprecated, fewer that are not; or, if a run may have deprecated
// it, fewer that nobody else has.
func (w world) oracleNewest(here ami.Inventory, image ami.Image) bool {
	usable := func(i ami.Image) bool {
		return i.OwnerID == account && i.State == "available" && len(i.Unreadable) == 0 && !slices.ContainsFunc(w.made(i), time.Time.IsZero) &&
			!slices.ContainsFunc(w.uses(i), now.Before) && !w.oracleManaged(i)
	}
	family := w.oracleFamily(image)
	if family == "" || !usable(image) {
		return false
	}
	newer, inForce, notByOwner := 0, 0, 0
	for _, other := range here.Images {
		if w.oracleFamily(other) != family || !usable(other) {
			continue
		}
		if other.CreatedAt.After(image.CreatedAt) || other.CreatedAt.Equal(image.CreatedAt) && other.ID > image.ID {
			newer++
			if !oracleIsOver(other) {
				inForce++
			}
			if !w.oracleDeprecated(here, other) {
				notByOwner++
			}
		}
	}
	most := w.policy.KeepNewest
	isKeptToo := !oracleIsOver(image) && inForce < most || !w.oracleDeprecated(here, image) && notByOwner < most
	return newer < most || isKeptToo && !w.before
}

func oracleSnapshot(here ami.Inventory, image ami.Image, odd func(ami.Snapshot) bool) bool {
	return slices.ContainsFunc(here.Snapshots, func(s ami.Snapshot) bool { return slices.Contains(image.SnapshotIDs, s.ID) && odd(s) })
}

// named reports whether anything in any region of the run is known to name an image.
func (w world) named(id string) bool {
	for _, evidence := range w.evidence {
		if finding := evidence.Images[id]; finding.Use == ami.Used || len(finding.References) > 0 {
			return true
		}
	}
	return false
}

// oracleUnreadText reports whether text in another region, which may name images of this one, could
// not be read.
func (w world) oracleUnreadText(here string) bool {
	for region, evidence := range w.evidence {
		isText := func(gap ami.Gap) bool { return gap.Source == ami.TextSource }
		if region != here && slices.ContainsFunc(evidence.Gaps, isText) {
			return true
		}
	}
	return false
}

// oracleCopy reports whether an image is a copy of one that is used, and of one that may be, as far
// as the run could know.
func (w world) oracleCopy(here ami.Inventory, image ami.Image) (used, inDoubt bool) {
	if image.SourceImageID == "" || image.SourceInstanceID != "" {
		return false, false
	}
	for _, inventory := range w.inventories {
		for _, original := range inventory.Images { // Wherever it is.
			launched := !original.LastLaunchedAt.IsZero() && !original.LastLaunchedAt.Before(now.Add(-w.oracleLimit(original)))
			if original.ID == image.SourceImageID && launched {
				used = true
			}
			if original.ID == image.SourceImageID && len(original.Unreadable) > 0 {
				inDoubt = true
			}
		}
	}
	region := image.SourceRegion
	if region == "" {
		region = here.Region
	}
	evidence, inRun := w.evidence[region]
	finding := evidence.Images[image.SourceImageID]
	known := finding.Use == ami.Used || finding.Use == ami.Unused
	used = used || w.named(image.SourceImageID)
	return used, inRun && (inDoubt || !known || len(finding.Gaps) > 0 || w.oracleUnreadText(region))
}

// oracleReported reports whether other accounts are known not to use an image, or whether nobody
// has to ask.
func (w world) oracleReported(image ami.Image, finding ami.Finding) bool {
	if !w.policy.JudgeShared || !image.Public && len(finding.SharedWith) == 0 {
		return true
	}
	report := finding.Report
	if report == nil || report.State != "available" || !report.Complete || report.CreatedAt.After(now) || report.CreatedAt.Before(now.AddDate(0, 0, -3)) {
		return false
	}
	return !slices.ContainsFunc(w.uses(image), func(use time.Time) bool { return use.AddDate(0, 0, 7).After(report.CreatedAt) })
}

// oracleDark reports whether EC2 says of no image of a region that it was launched, although one
// was, two days ago or more.
func (w world) oracleDark(here ami.Inventory) bool {
	launched := func(i ami.Image) bool { return !i.LastLaunchedAt.IsZero() }
	seen := func(i ami.Image) bool {
		at := w.evidence[here.Region].Images[i.ID].LaunchedAt
		return i.OwnerID == account && !at.IsZero() && at.Before(now.Add(-48*time.Hour))
	}
	return !slices.ContainsFunc(here.Images, launched) && slices.ContainsFunc(here.Images, seen)
}

// judgeLeftover says what has to happen to a leftover: "deleted", "decided" or "undecided".
func (w world) judgeLeftover(here ami.Inventory, l ami.Leftover) string {
	at := slices.IndexFunc(here.Snapshots, func(s ami.Snapshot) bool { return s.ID == l.SnapshotID })
	if at < 0 {
		return "decided"
	}
	s := here.Snapshots[at]
	finding := w.evidence[here.Region].Snapshots[s.ID]
	held := oracleDays(here, false, s.Tags)
	switch {
	case s.Unreadable != "" || oracleBadTag(ami.Image{Tags: s.Tags}):
		return "undecided"
	case oracleIsThere(here, l.ImageID) || oracleIsUsed(here, s.ID) || !w.oracleGoes(here, s) || s.Lock == "governance" || s.Lock == "compliance":
		return "decided"
	case !oracleIntent(s.Tags) || oracleRunOf(s.Tags) != l.Run:
		return "decided"
	case s.ImageID == "" || !slices.Contains(here.History.Planned[l.Run], s.ImageID):
		return "decided" // It may be anybody's.
	case w.policy.RequireRecycleBin && !w.oracleBinIsUseless(here) && (held == 0 || held < w.policy.RecycleBinDays):
		return "undecided"
	case w.oracleNamed(here, s.ID):
		return "decided"
	case len(finding.Gaps) > 0 || !finding.LookedUp || w.oracleSharing(here, s.ID) == "unknown":
		return "undecided"
	case w.oracleSharing(here, s.ID) == "shared":
		return "decided"
	default:
		return "deleted"
	}
}

// oracleNamed reports whether anything names a snapshot.
func (w world) oracleNamed(here ami.Inventory, snapshotID string) bool {
	return len(w.evidence[here.Region].Snapshots[snapshotID].References) > 0
}

func (w world) oracleOrphan(here ami.Inventory, s ami.Snapshot) bool {
	_, inBin := here.Bin.Images[s.ImageID]
	lookedAfter := w.oracleKeepTag(s.Tags) || s.Tags["aws:backup:source-resource"] != "" || s.Lock == "governance" || s.Lock == "compliance" || s.Unreadable != ""
	isLeftover := slices.ContainsFunc(here.History.Leftovers, func(l ami.Leftover) bool { return l.SnapshotID == s.ID })
	needed := oracleIsUsed(here, s.ID) || isLeftover || oracleClaimed(here, s.ID, s.Tags)
	finding := w.evidence[here.Region].Snapshots[s.ID]
	shared := len(finding.SharedWith) > 0
	unknown := len(finding.Gaps) > 0 || !finding.LookedUp || !here.Bin.Read
	isOld := !s.StartedAt.IsZero() && s.StartedAt.Before(now.AddDate(0, 0, -7))
	isImport := s.ImageID == "" && s.Imported && len(here.Bin.Images) == 0
	isGone := isImport || s.ImageID != "" && !oracleIsThere(here, s.ImageID) && !inBin
	return w.policy.ReportOrphans && isGone && isOld && !lookedAfter && !needed && !shared && !unknown && !w.oracleNamed(here, s.ID)
}

// oracleWaits reports whether EC2 has refused the removal of an image on one of the last seven
// days, or on one that a wrong clock says is less than a week away.
func (w world) oracleWaits(here ami.Inventory, id string) bool {
	refusal, ok := here.History.Refused[id]
	midnight := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, time.UTC)
	return ok && refusal.ByEC2 && !refusal.At.Before(midnight.AddDate(0, 0, -6)) && refusal.At.Before(now.AddDate(0, 0, 7))
}

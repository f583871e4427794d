package organization

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ami-janitor/ami-janitor/internal/testaccount"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

const (
	dueTag    = "ami-janitor:due"
	intentTag = "ami-janitor:intent"
)

// witness sees what a request has done.
func (s *simulation) witness(w *way, q emulator.Request) {
	key := q.Form.Get("Key")
	switch {
	case q.Session != "" && !emulator.IsRead(q.Action):
		s.witnessWrite(w, q)
	case q.Action == "PutObject" && w.step == "census" && strings.HasSuffix(key, "/census/"+w.account+".json"):
		w.execution.counted[w.account] = !w.hasGap && !w.wasDenied
		w.execution.answered[w.account] = !w.wasDenied
	case q.Action == "PutObject" && w.step == "gather" && strings.HasSuffix(key, "org/seen.json"):
		s.remember(w.execution)
	}
}

// remember notes that a run has remembered its censuses.
func (s *simulation) remember(e *execution) {
	now := time.Now()
	before := s.answered
	s.answered = 0
	for account, answered := range e.answered {
		if answered {
			s.answered++
		}
		if !e.counted[account] {
			continue
		}
		if s.since[account].IsZero() || now.Sub(s.last[account]) > 36*time.Hour {
			s.since[account] = now
		}
		s.last[account] = now
	}
	if !e.isRemembered {
		e.isTooFew = float64(s.answered) < 0.9*float64(before)
	}
	e.isRemembered, e.rememberedAt = true, now
	for _, u := range s.world.uses {
		if u.isThere(s.night) && e.counted[u.account] && u.account != u.image.owner {
			u.image.sighted = now
		}
	}
}

// witnessWrite sees a change in an account.
func (s *simulation) witnessWrite(w *way, q emulator.Request) {
	e := w.execution
	s.trace("%s: %s", w, subjectOf(q))
	switch {
	case !e.isAllotted:
		s.violate("nothing changes before everything is allotted", "%s: %s", w, q.Action)
	case e.dry:
		s.violate("a dry run changes nothing", "%s: %s", w, q.Action)
	case e.isShort && (e.known || len(e.hiddenIn) < 2):
		s.violate("a list that lacks an account ends the run", "%s: %s", w, q.Action)
	case e.isTooFew:
		s.violate("too few answers end the run", "%s: %s", w, q.Action)
	case w.step != "sweep" || !slices.Contains(e.swept, w.account) || s.organization.AccountOf(q) != w.account:
		s.violate("a sweep changes its own account", "%s: %s in %s", w, q.Action, s.organization.AccountOf(q))
	case w.stopped && s.world.settings["STOP_PARAMETER"] != "":
		s.violate("what somebody has stopped changes nothing", "%s: %s", w, q.Action)
	}
	switch q.Action {
	case "DeregisterImage":
		s.witnessRemoval(w, s.image(q.Form.Get("ImageId")))
	case "CreateImageUsageReport":
		i := s.image(q.Form.Get("ImageId"))
		i.reports = append(i.reports, time.Now())
	case "CreateTags":
		for name, values := range q.Form {
			if strings.HasPrefix(name, "Tag.") && strings.HasSuffix(name, ".Key") && values[0] == dueTag {
				s.witnessMark(e, q)
			}
		}
	}
}

func (s *simulation) image(id string) *image {
	return s.world.images[slices.IndexFunc(s.world.images, func(i *image) bool { return i.id == id })]
}

// witnessMark sees an announcement.
func (s *simulation) witnessMark(e *execution, q emulator.Request) {
	for name, values := range q.Form {
		if !strings.HasPrefix(name, "ResourceId.") || !strings.HasPrefix(values[0], "ami-") {
			continue
		}
		if i := s.image(values[0]); i.announced.IsZero() {
			i.announced = time.Now()
			if e.marked++; e.marked > s.limit(e) {
				s.violate("no run announces more than its cap", "%s: %d images", e.run, e.marked)
			}
		}
	}
}

// limit is how many images an execution may remove.
func (s *simulation) limit(e *execution) int {
	if e.isFirst {
		return min(10, s.config.Organization.MaxDeregistrations)
	}
	return s.config.Organization.MaxDeregistrations
}

// witnessRemoval judges a removal by what is true.
func (s *simulation) witnessRemoval(w *way, i *image) {
	e, all := w.execution, 0
	i.removed = true
	e.removed[w.account]++
	for _, n := range e.removed {
		all += n
	}
	if all > s.limit(e) || e.removed[w.account] > s.config.Policy.MaxDeregistrations {
		s.violate("no run removes more than its cap", "%s: %d images, %d in %s", e.run, all, e.removed[w.account], w.account)
	}
	for what, at := range map[string]time.Time{"made": i.created, "launched": i.launched, "seen in use": i.sighted} {
		isLater := at.After(e.rememberedAt) // An execution beside has seen it since.
		if time.Since(at) < idleLimit && !isLater {
			s.violate("what goes is stale", "%s: %s was %s at %v", w, i.id, what, at)
		}
	}
	isShared := len(i.sharesAt(s.night)) > 0
	for _, u := range s.world.uses {
		m := s.world.member(u.account)
		isThere := u.isThere(s.night) && (m.id == i.owner || e.counted[m.id])
		wasThere := i.reaches(m, s.night) && e.members[m.id] && u.from <= s.night
		if u.image == i && (isThere || wasThere) {
			s.violate("what somebody uses stays", "%s: %s is used by %s from night %d to %d", w, i.id, u.account, u.from, u.to)
		}
	}
	if isShared {
		s.tally.shared++
		s.witnessShared(w, i)
	} else {
		s.tally.private++
	}
}

// witnessShared judges the removal of an image that other accounts may launch.
func (s *simulation) witnessShared(w *way, i *image) {
	e, now := w.execution, time.Now()
	for _, m := range s.world.members {
		if !e.members[m.id] || !i.reaches(m, s.night) {
			continue
		}
		if !e.counted[m.id] {
			s.violate("whoever may launch an image was counted", "%s: %s, and %s was not counted", w, i.id, m.id)
		}
		if since := s.since[m.id]; since.IsZero() || now.Sub(since) < idleLimit {
			s.violate("the censuses reach back far enough", "%s: %s, and %s was counted since %v", w, i.id, m.id, since)
		}
	}
	isFresh := func(at time.Time) bool { return now.Sub(at) > 5*time.Minute && now.Sub(at) < 4*day }
	switch {
	case i.usedOutside:
		s.violate("what an outsider uses stays", "%s: %s", w, i.id)
	case !slices.ContainsFunc(i.reports, isFresh):
		s.violate("a usage report shows no use", "%s: %s has reports of %v", w, i.id, i.reports)
	case i.announced.IsZero() || now.Sub(i.announced) < 20*time.Hour:
		s.violate("the removal of a shared image is announced", "%s: %s at %v", w, i.id, i.announced)
	}
}

// checkRecord compares the record of a run with what has happened.
func (s *simulation) checkRecord(e *execution, told *record.Organization, step string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tally.executions++
	if e.isShort {
		s.tally.short++
	}
	if told.NotSwept != "" {
		s.tally.notSwept++
	}
	s.trace("%s ends: error %q, not swept %q, %d accounts, %d removed", e.run, told.Error, told.NotSwept, len(told.Accounts), told.Totals.Deregistered)
	if told.Error == "" && told.NotSwept == "" && !e.dry {
		s.isEnded = true
	}
	if e.disturbed["collect"] {
		return
	}
	seen := map[string]bool{}
	for _, account := range told.Accounts {
		if seen[account.Account] {
			s.violate("each account is told of once", "%s: %s", e.run, account.Account)
		}
		seen[account.Account] = true
	}
	for id, is := range e.members {
		isHidden := len(e.hiddenIn) == 2 && s.world.members[e.hidden].id == id
		if is != seen[id] && !isHidden {
			s.violate("each account is told of once", "%s: %s is a member %t, and told of %t", e.run, id, is, seen[id])
		}
	}
	if step != "" && told.Error == "" {
		s.violate("a run that fails says so", "%s failed in %s", e.run, step)
	}
	// The state machine never repeats a sweep: its second record would lack what went before.
	if !e.disturbed["sweep"] && len(e.failed) == 0 {
		s.compare(e, told)
	}
}

// compare compares the counts of removals.
func (s *simulation) compare(e *execution, told *record.Organization) {
	all := 0
	for _, account := range told.Accounts {
		n := 0
		if account.Record != nil {
			n = account.Record.Totals.Deregistered
		}
		if n != e.removed[account.Account] {
			s.violate("the record counts what went", "%s: %d images of %s, and the record says %d", e.run, e.removed[account.Account], account.Account, n)
		}
		all += e.removed[account.Account]
	}
	if told.Totals.Deregistered != all {
		s.violate("the record counts what went", "%s: %d images, and the record says %d", e.run, all, told.Totals.Deregistered)
	}
	s.tally.compared++
}

// checkEnd looks for what runs have left behind after two nights in which nothing went wrong.
func (s *simulation) checkEnd(ctx context.Context) {
	removals := 0
	for _, call := range s.organization.Calls() {
		if call.Action == "DeregisterImage" && call.Status < 300 {
			removals++
		}
	}
	if removals != s.tally.private+s.tally.shared {
		s.violate("the simulation works", "%d images went, and it has seen %d", removals, s.tally.private+s.tally.shared)
	}
	for id, account := range s.organization.Accounts() {
		if m := s.world.member(id); m.left || m.suspended {
			continue
		}
		for _, region := range s.world.regions {
			config := testaccount.Config(account.Client())
			config.Region = region
			s.checkRegion(ctx, id, ec2.NewFromConfig(config))
		}
	}
}

func (s *simulation) checkRegion(ctx context.Context, account string, client *ec2.Client) {
	images, err := client.DescribeImages(ctx, &ec2.DescribeImagesInput{Owners: []string{"self"}, IncludeDisabled: aws.Bool(true)})
	if err != nil {
		s.violate("the simulation works", "%v", err)
		return
	}
	snapshots, err := client.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}})
	if err != nil {
		s.violate("the simulation works", "%v", err)
		return
	}
	held := map[string]bool{}
	for _, i := range images.Images {
		if hasIntent(i.Tags) {
			s.violate("no intent is left", "%s in %s", aws.ToString(i.ImageId), account)
		}
		held[s.image(aws.ToString(i.ImageId)).snapshot] = true
	}
	for _, snapshot := range snapshots.Snapshots {
		id := aws.ToString(snapshot.SnapshotId)
		if hasIntent(snapshot.Tags) {
			s.violate("no intent is left", "%s in %s", id, account)
		}
		if !held[id] && !s.isForRestoring(id) {
			s.violate("no snapshot is left behind", "%s in %s", id, account)
		}
	}
}

// isForRestoring reports whether an image in the Recycle Bin may need a snapshot: it was removed
// when another image used that, too.
func (s *simulation) isForRestoring(snapshot string) bool {
	users := 0
	for _, i := range s.world.images {
		if i.snapshot == snapshot {
			users++
		}
	}
	return s.world.bins && users > 1
}

func hasIntent(tags []types.Tag) bool {
	return slices.ContainsFunc(tags, func(tag types.Tag) bool { return aws.ToString(tag.Key) == intentTag })
}

package retention_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// world is everything a plan is made from.
type world struct {
	policy      retention.Policy
	keepList    []string // The entries of the policy's keep list, for the oracle.
	before      bool     // The oracle judges as version 0.1.0 did.
	inventories []ami.Inventory
	evidence    map[string]ami.Evidence
}

func (w world) plan() []retention.Plan { return w.policy.Open(w.inventories, now).Plan(w.evidence) }

func (w world) candidates() map[string][]ami.Image {
	return w.policy.Open(w.inventories, now).Candidates()
}

// rare lists numbers; those below cases are rare: one each among all.
func rare(cases, all int) []int {
	numbers := make([]int, all)
	for i := range numbers {
		numbers[i] = cases
	}
	for i := range cases {
		numbers[all-1-i] = i
	}
	return numbers
}

// anyMoment is a moment around those that matter: the floor, the limits, now; or none.
var anyMoment = rapid.Custom(func(t *rapid.T) time.Time {
	if rapid.SampledFrom(rare(1, 30)).Draw(t, "none") == 0 {
		return time.Time{}
	}
	around := rapid.SampledFrom([]int{0, 1, 7, 30, 60, 90, 180, 400, 5000}).Draw(t, "days")
	by := rapid.SampledFrom([]time.Duration{-time.Hour, -1, 0, 1, time.Hour, 30 * time.Hour}).Draw(t, "by")
	return ago(days(around) + by)
})

// oldMoment is well before all limits.
var oldMoment = rapid.Custom(func(t *rapid.T) time.Time {
	return ago(days(rapid.IntRange(500, 503).Draw(t, "days")))
})

// place is an image by id and region.
type place struct{ id, region string }

const (
	failedRegion  = "sa-east-1"  // Part of some runs, but could not be read.
	outsideRegion = "eu-south-1" // Never part of a run.
)

// anyWorld draws a policy, up to three regions with up to ten images each, and evidence. Most
// images are old and unremarkable but for one thing or two, so that rules are seen alone.
var anyWorld = rapid.Custom(func(t *rapid.T) world {
	w := world{policy: anyPolicy.Draw(t, "policy"), evidence: map[string]ami.Evidence{}}
	regions := []string{"eu-west-1", "us-east-1", "ap-south-1"}[:rapid.IntRange(1, 3).Draw(t, "regions")]
	var known []place
	for _, region := range append(slices.Clone(regions), failedRegion, outsideRegion) {
		known = append(known, place{oracleGone(region), region})
	}
	number := 0
	for _, region := range regions {
		here := ami.Inventory{Account: account, Region: region, Snapshots: anySnapshots(t, region), Bin: anyBin(t, region)}
		dark := rapid.SampledFrom(rare(1, 4)).Draw(t, "dark") == 0 // EC2 reports no launches.
		for range rapid.SampledFrom([]int{0, 1, 2, 5, 8, 10}).Draw(t, "images") {
			number++
			// Not in the order in which they are made.
			id := fmt.Sprintf("ami-%017x", number*7919%1000)
			known = append(known, place{id, region})
			here.Images = append(here.Images, anyImage(t, id, region, known, dark))
		}
		makeForFailed(t, here)
		here.History = anyHistory(t, here)
		w.inventories = append(w.inventories, here)
	}
	w.drawEvidence(t, known)
	if rapid.SampledFrom(rare(1, 4)).Draw(t, "keepList") == 0 {
		w.keepList = rapid.SampledFrom([][]string{{"golden"}, {"web-1*", "api-?"}, {"nothing", known[len(known)-1].id}, {"ami-*1f"}}).Draw(t, "entries")
		list, err := retention.ParseKeepList(strings.Join(w.keepList, "\n"))
		if err != nil {
			t.Fatal(err)
		}
		w.policy.KeepList = list
	}
	for i, plan := range w.plan() {
		w.know(i, func(e *ami.Evidence) { e.Sharing = anySharing(t, plan.SnapshotsToDelete()) })
	}
	return w
})

// drawEvidence draws what is known of the images of all regions of the run, and of the originals of
// copies.
func (w *world) drawEvidence(t *rapid.T, known []place) {
	for _, here := range w.inventories {
		w.evidence[here.Region] = anyEvidence(t, here)
	}
	for _, gone := range known {
		if evidence, ok := w.evidence[gone.region]; ok && strings.Contains(gone.id, "dead") && rapid.SampledFrom(rare(1, 3)).Draw(t, "goneUnknown") != 0 {
			evidence.Images[gone.id] = ami.Finding{Use: rapid.SampledFrom([]ami.Use{ami.Unused, ami.Unused, ami.Used, ami.Unknown}).Draw(t, "goneUse")}
		}
	}
	if rapid.SampledFrom(rare(1, 4)).Draw(t, "failedRegion") == 0 {
		w.evidence[failedRegion] = ami.Evidence{}
	}
	// A listing of one region cannot be read, or only in part.
	if rapid.SampledFrom(rare(1, 10)).Draw(t, "unreadListing") == 0 {
		gap := ami.Gap{Source: rapid.SampledFrom([]string{ami.TextSource, ami.TextSource, "instances"}).Draw(t, "listing"), Err: "denied"}
		unread := rapid.SampledFrom(w.inventories).Draw(t, "unread").Region
		evidence := w.evidence[unread]
		evidence.Gaps = []ami.Gap{gap}
		w.evidence[unread] = evidence
	}
	// A listing of one region names an image of another.
	if rapid.SampledFrom(rare(1, 5)).Draw(t, "namedFromAfar") == 0 {
		image := rapid.SampledFrom(known).Draw(t, "named")
		far := rapid.SampledFrom(w.inventories).Draw(t, "far").Region
		if far != image.region {
			w.evidence[far].Images[image.id] = ami.Finding{Use: ami.Used, References: []ami.Reference{{Source: "ssm-text", ARN: "arn:far"}}}
		}
	}
}

// anySnapshotFinding draws what names a snapshot, and with whom it is shared, if anybody has asked.
func anySnapshotFinding(t *rapid.T) ami.SnapshotFinding {
	finding := ami.SnapshotFinding{LookedUp: true}
	switch rapid.SampledFrom(rare(4, 16)).Draw(t, "snapshotFinding") {
	case 0:
		finding.LookedUp = false
	case 1:
		finding.References = []ami.Reference{{ARN: rapid.SampledFrom([]string{"arn:template", ""}).Draw(t, "template")}}
	case 2:
		finding.SharedWith = []ami.Grantee{{Account: "111122223333"}}
	case 3:
		finding.Gaps = []ami.Gap{aGap}
	}
	return finding
}

var anyPolicy = rapid.Custom(func(t *rapid.T) retention.Policy {
	mostly := func(usual, other, label string) string {
		if rapid.SampledFrom(rare(1, 5)).Draw(t, label) == 0 {
			return other
		}
		return usual
	}
	p := retention.Policy{
		Name:               ours,
		AllowShorter:       rapid.Bool().Draw(t, "allowShorter"),
		StaleAfter:         limit(rapid.SampledFrom([]int{0, 7, 90, 180, 400}).Draw(t, "staleAfter")),
		NeverLaunchedAfter: limit(rapid.SampledFrom([]int{0, 7, 30, 90, 400}).Draw(t, "neverLaunchedAfter")),
		KeepNewest:         rapid.SampledFrom([]int{0, 0, 1, 1, 2}).Draw(t, "keepNewest"),
		FamilyTag:          mostly("", "role", "familyTag"),
		MaxDeregistrations: rapid.SampledFrom([]int{-1, 0, 1, 2, 3, 5, 100, 100, 100}).Draw(t, "cap"),
		DeleteSnapshots:    rapid.SampledFrom(rare(1, 5)).Draw(t, "deleteSnapshots") != 0,
		JudgeShared:        rapid.Bool().Draw(t, "judgeShared"),
		JudgeImageBuilder:  rapid.Bool().Draw(t, "judgeImageBuilder"),
		JudgeMarketplace:   rapid.Bool().Draw(t, "judgeMarketplace"),
		JudgeFailed:        rapid.Bool().Draw(t, "judgeFailed"),
		RequireRecycleBin:  rapid.SampledFrom(rare(1, 4)).Draw(t, "requireBin") == 0,
		RecycleBinDays:     rapid.SampledFrom([]int{0, 0, 7, 14}).Draw(t, "binDays"),
		ReportOrphans:      rapid.Bool().Draw(t, "reportOrphans"),
		Grace:              limit(rapid.SampledFrom([]int{-1, 0, 0, 0, 1, 14, 30, 30}).Draw(t, "grace")),
		GraceAction:        rapid.SampledFrom([]retention.GraceAction{retention.Announce, retention.Deprecate, retention.Disable}).Draw(t, "graceAction"),
	}
	for _, setting := range []struct {
		value string
		read  func([]byte) error
	}{
		{mostly("", "pinned,env=prod", "keepTags"), p.KeepTags.UnmarshalText},
		{mostly("", "team=a,team=b,env", "onlyTags"), p.OnlyTags.UnmarshalText},
		{mostly("", "web-*,golden,!web-2*", "names"), p.Names.UnmarshalText},
	} {
		if err := setting.read([]byte(setting.value)); err != nil {
			t.Fatal(err)
		}
	}
	return p
})

func anySnapshots(t *rapid.T, region string) []ami.Snapshot {
	var snapshots []ami.Snapshot
	for i := range 9 { // No image has the last three.
		s := ami.Snapshot{ID: fmt.Sprintf("snap-%d", i), SizeGiB: int64(i / 2), Tags: map[string]string{}}
		if i >= 6 || rapid.SampledFrom(rare(1, 3)).Draw(t, "made") == 0 {
			s.ImageID = rapid.SampledFrom([]string{oracleGone(region), oracleGone(region), "ami-gone", "ami-0000000000000001f"}).Draw(t, "madeFor")
			s.StartedAt = rapid.SampledFrom([]time.Time{ago(days(30)), ago(days(30)), ago(days(7) + 1), ago(days(7)), ago(days(1)), {}}).Draw(t, "started")
		}
		if s.ImageID == "" && rapid.SampledFrom(rare(1, 4)).Draw(t, "taken") == 0 {
			s.StartedAt = rapid.SampledFrom([]time.Time{ago(days(30)), ago(days(501)), ago(days(502) + 1), ago(days(505)), ago(days(6000)), {}}).Draw(t, "takenAt")
			s.Imported = rapid.SampledFrom(rare(1, 5)).Draw(t, "imported") == 0
		}
		if rapid.SampledFrom(rare(1, 3)).Draw(t, "declared") == 0 {
			declareAny(t, s.Tags)
		}
		switch rapid.SampledFrom(rare(6, 60)).Draw(t, "snapshot") {
		case 0:
			s.Lock = rapid.SampledFrom([]string{"governance", "compliance", "expired"}).Draw(t, "lock")
		case 1:
			s.Unreadable = "listed twice"
		case 2:
			s.Tags["ami-janitor:keep"] = rapid.SampledFrom([]string{"", "false"}).Draw(t, "keep")
		case 3:
			s.Tags["aws:backup:source-resource"] = "x"
		case 4:
			s.Tags["env"] = "prod"
			for n := rapid.IntRange(46, 50).Draw(t, "tags"); len(s.Tags) < n; {
				s.Tags[fmt.Sprintf("t%d", len(s.Tags))] = ""
			}
		case 5:
			continue // Not listed.
		}
		snapshots = append(snapshots, s)
	}
	return snapshots
}

// makeForFailed makes most snapshots of failed images ones that EC2 says it has made for them.
func makeForFailed(t *rapid.T, here ami.Inventory) {
	for _, image := range here.Images {
		for at := range here.Snapshots {
			s := &here.Snapshots[at]
			if image.State != "failed" || !slices.Contains(image.SnapshotIDs, s.ID) || rapid.SampledFrom(rare(1, 4)).Draw(t, "ofAnother") == 0 {
				continue
			}
			s.ImageID, s.Imported = image.ID, false
			if strings.HasPrefix(image.Name, "import-ami-") {
				s.ImageID, s.Imported = "", true
			}
			s.StartedAt = image.CreatedAt.Add(rapid.SampledFrom([]time.Duration{0, time.Hour, -days(1), -days(1) - 1}).Draw(t, "begun"))
		}
	}
}

// anySharing draws with whom the snapshots are shared that a plan deletes: nobody asks about
// others. Now and then nobody has asked yet.
func anySharing(t *rapid.T, toDelete []string) map[string]ami.Sharing {
	if len(toDelete) == 0 || rapid.SampledFrom(rare(1, 3)).Draw(t, "unasked") == 0 {
		return nil
	}
	sharing := map[string]ami.Sharing{}
	for _, id := range toDelete {
		switch rapid.SampledFrom(rare(3, 6)).Draw(t, "shared") {
		case 0:
			sharing[id] = ami.Sharing{With: []ami.Grantee{{Account: "111122223333"}}}
		case 1:
			sharing[id] = ami.Sharing{Err: "denied"}
		case 2:
			sharing[id] = ami.Sharing{With: []ami.Grantee{{Everybody: true}}, Err: "cut"}
		default:
			sharing[id] = ami.Sharing{}
		}
	}
	return sharing
}

// unasked is the world as it is when nobody has asked yet with whom snapshots are shared.
func (w world) unasked() world {
	w.evidence = maps.Clone(w.evidence)
	for i := range w.inventories {
		w.know(i, func(e *ami.Evidence) { e.Sharing = nil })
	}
	return w
}

// know changes what is known of a region.
func (w world) know(i int, change func(*ami.Evidence)) {
	known := w.evidence[w.inventories[i].Region]
	change(&known)
	w.evidence[w.inventories[i].Region] = known
}

// oracleGone is an image of a region that was deregistered long ago, or was somebody else's.
func oracleGone(region string) string { return "ami-00000000000dead-" + region }

// declareAny gives a resource the tags that declare its removal, or some of them.
func declareAny(t *rapid.T, tags map[string]string) {
	tags[spelt(t, "intent")] = rapid.SampledFrom(append(slices.Repeat([]string{"remove"}, 30), " remove ", "keep", "")).Draw(t, "intent")
	if rapid.SampledFrom(rare(1, 10)).Draw(t, "noRun") != 0 {
		tags[spelt(t, "run")] = anyRun.Draw(t, "declaredBy")
	}
}

// anyBin draws what the Recycle Bin of a region is told to hold. Most are told to hold what is
// removed.
func anyBin(t *rapid.T, region string) ami.RecycleBin {
	bin := ami.RecycleBin{Read: rapid.SampledFrom(rare(1, 10)).Draw(t, "binUnread") != 0, Images: map[string]time.Time{}}
	if !bin.Read {
		bin.Err = "denied"
	}
	add := func(images bool, rules ...ami.BinRule) {
		for _, rule := range rules {
			rule.Images = images
			bin.Rules = append(bin.Rules, rule)
		}
	}
	intent := ami.Tag{Key: "ami-janitor:intent", Value: "remove"}
	for _, images := range []bool{true, false} {
		length := func() int { return rapid.SampledFrom([]int{14, 14, 14, 14, 7, 30}).Draw(t, "held") }
		if rapid.SampledFrom(rare(1, 10)).Draw(t, "noRule") != 0 {
			add(images, ami.BinRule{Days: length(), Tags: []ami.Tag{{Key: "x", Value: "y"}, intent}})
		}
		switch rapid.SampledFrom(rare(3, 12)).Draw(t, "further") {
		case 0:
			add(images, ami.BinRule{Days: length(), Tags: []ami.Tag{{Key: "team", Value: "a"}}})
		case 1:
			add(images, ami.BinRule{Days: length(), Excluded: []ami.Tag{{Key: "env", Value: rapid.SampledFrom([]string{"dev", "prod", ""}).Draw(t, "excluded")}}})
		case 2:
			add(images, ami.BinRule{Days: length(), Excluded: []ami.Tag{intent}})
		}
	}
	if rapid.SampledFrom(rare(1, 4)).Draw(t, "inBin") == 0 {
		bin.Images[oracleGone(region)] = now
	}
	return bin
}

// anyHistory draws what the journal says of a region. It knows of most declarations what has become
// of them.
func anyHistory(t *rapid.T, here ami.Inventory) ami.History {
	h := ami.History{Removed: map[string]string{}, Refused: map[string]ami.Refusal{}, NotAttempted: map[string][]string{}, Planned: map[string][]string{}}
	if rapid.SampledFrom(rare(1, 12)).Draw(t, "no records") != 0 {
		h.Announced, h.Strangers = map[string]ami.Announcement{}, map[string]bool{}
	}
	say := func(id string, tags map[string]string) {
		run := oracleRunOf(tags)
		if run == "" || rapid.SampledFrom(rare(1, 15)).Draw(t, "of another") == 0 {
			run = strings.TrimSpace(anyRun.Draw(t, "run"))
		}
		known := rare(2, 60)
		if h.Strangers != nil && oracleIntent(tags) && rapid.SampledFrom(rare(1, 6)).Draw(t, "a stranger") == 0 {
			h.Strangers[run] = true
		}
		if oracleIntent(tags) {
			known = []int{0, 1, 1, 2}
		}
		switch rapid.SampledFrom(known).Draw(t, "known") {
		case 0:
			h.Removed[id] = run
		case 1:
			h.NotAttempted[id] = []string{run}
		}
	}
	for _, image := range here.Images {
		say(image.ID, image.Tags)
		if h.Removed[image.ID] == "" && rapid.SampledFrom(rare(1, 6)).Draw(t, "refused") == 0 {
			since := rapid.SampledFrom([]time.Duration{-days(400), -1, 0, days(1), days(6), days(7), days(8), days(30)}).Draw(t, "since")
			h.Refused[image.ID] = ami.Refusal{Run: "20261101T020000Z-3f9c1a", At: ago(since), Error: "AuthFailure", ByEC2: rapid.Bool().Draw(t, "by EC2")}
		}
		if h.Announced != nil {
			recordAny(t, h.Announced, image)
		}
	}
	for _, s := range here.Snapshots {
		if say(s.ID, s.Tags); oracleIntent(s.Tags) && rapid.Bool().Draw(t, "leftover") {
			l := ami.Leftover{Run: oracleRunOf(s.Tags), ImageID: s.ImageID, SnapshotID: s.ID}
			if l.ImageID == "" || rapid.SampledFrom(rare(1, 10)).Draw(t, "another image") == 0 {
				l.ImageID = oracleGone(here.Region)
			}
			h.Leftovers = append(h.Leftovers, l)
			if rapid.SampledFrom(rare(1, 10)).Draw(t, "not planned") != 0 {
				h.Planned[l.Run] = append(h.Planned[l.Run], "ami-1", s.ImageID)
			}
		}
	}
	if rapid.SampledFrom(rare(1, 20)).Draw(t, "unlistedLeftover") == 0 {
		h.Leftovers = append(h.Leftovers, ami.Leftover{Run: "20261101T020000Z-3f9c1a", ImageID: oracleGone(here.Region), SnapshotID: "snap-77"})
	}
	if rapid.SampledFrom(rare(1, 12)).Draw(t, "busy") == 0 {
		h.Busy = rapid.SampledFrom([]string{"20261123T010000Z-3f9c1a", "20261101T020000Z-3f9c1a"}).Draw(t, "by")
	}
	return h
}

// recordAny draws what the journal says of the announcement of an image: mostly what bears it out,
// and else nothing, or something of another run, of another policy, or of another day.
func recordAny(t *rapid.T, announced map[string]ami.Announcement, image ami.Image) {
	run, policy := oracleAnnouncer(image.Tags)
	if run == "" {
		run = oracleDisabler(image.Tags)
	}
	if policy == "" || rapid.SampledFrom(rare(1, 10)).Draw(t, "of another policy") == 0 {
		policy = rapid.SampledFrom([]string{ours, ours, theirs, "team-c"}).Draw(t, "recorded policy")
	}
	action := rapid.SampledFrom([]string{"announce", "deprecate", "disable"}).Draw(t, "recorded action")
	if oracleHas(image.Tags, "disabled") && rapid.SampledFrom(rare(1, 6)).Draw(t, "of another action") != 0 {
		action = "disable"
	}
	a := ami.Announcement{Run: run, Policy: policy, Action: action, Due: oracleTagDue(image.Tags)}
	if due := oracleDues[anyDue.Draw(t, "recorded due")]; a.Due.IsZero() || rapid.SampledFrom(rare(1, 4)).Draw(t, "of another day") == 0 {
		a.Due = due
	}
	if hours := rapid.SampledFrom([]int{0, 2, 2, 3, 26}).Draw(t, "recorded hour"); !a.Due.IsZero() {
		a.Due = a.Due.Add(time.Duration(hours) * time.Hour)
	}
	switch rapid.SampledFrom(rare(2, 10)).Draw(t, "recorded") {
	case 0:
		return
	case 1:
		a.Run = strings.TrimSpace(anyRun.Draw(t, "recorded run"))
	}
	announced[image.ID] = a
}

// anyImage draws an image; known are the images that it can be a copy of.
func anyImage(t *rapid.T, id, region string, known []place, dark bool) ami.Image {
	image := idle(id, named(anyName.Draw(t, "name")), func(i *ami.Image) {
		i.CreatedAt, i.LastLaunchedAt = oldMoment.Draw(t, "created"), time.Time{}
		i.Tags["team"], i.Tags["env"] = rapid.SampledFrom([]string{"a", "b"}).Draw(t, "team"), "dev"
		i.Architecture = rapid.SampledFrom([]string{"x86_64", "x86_64", "arm64", ""}).Draw(t, "architecture")
	})
	// Spare capacity, which nobody may write into.
	snapshots := rapid.SliceOfNDistinct(rapid.IntRange(0, 5), 0, 3, rapid.ID[int]).Draw(t, "snapshots")
	slices.Sort(snapshots)
	image.SnapshotIDs = make([]string, 0, len(snapshots)+2)
	for _, n := range snapshots {
		image.SnapshotIDs = append(image.SnapshotIDs, fmt.Sprintf("snap-%d", n))
	}
	image.Unreadable = make([]string, 0, 4)
	if rapid.Bool().Draw(t, "launched") && !dark {
		image.LastLaunchedAt = oldMoment.Draw(t, "lastLaunched")
	}
	if rapid.SampledFrom(rare(1, 3)).Draw(t, "marked") == 0 {
		markImage(t, &image)
	}
	if rapid.SampledFrom(rare(1, 5)).Draw(t, "declared") == 0 {
		declareAny(t, image.Tags)
	}
	if rapid.SampledFrom(rare(1, 20)).Draw(t, "runAlone") == 0 {
		image.Tags[spelt(t, "run")] = anyRun.Draw(t, "begun")
	}
	for range rapid.SampledFrom([]int{0, 0, 0, 1, 1, 2}).Draw(t, "oddities") {
		odd(t, &image, region, known)
	}
	return image
}

// spelt is how people write a tag of the janitor.
func spelt(t *rapid.T, name string) string {
	return rapid.SampledFrom([]string{
		"ami-janitor:" + name, "ami-janitor:" + name, "ami-janitor:" + name,
		"AMI-Janitor:" + strings.ToUpper(name[:1]) + name[1:], " ami-janitor:" + name + " ",
	}).Draw(t, "spelling")
}

// oracleDues are the days on which images are due, and what they mean. Only those that cannot be
// read mean nothing.
var oracleDues = map[string]time.Time{
	"":                          {},
	"soon":                      {},
	"23.11.2026":                {},
	"0001-01-01":                time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC),
	"2020-01-01":                time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC),
	"2026-08-24":                time.Date(2026, 8, 24, 0, 0, 0, 0, time.UTC),
	"2026-08-25T01:59:59Z":      time.Date(2026, 8, 25, 1, 59, 59, 0, time.UTC),
	"2026-08-25T02:00:01Z":      time.Date(2026, 8, 25, 2, 0, 1, 0, time.UTC),
	"2026-08-26":                time.Date(2026, 8, 26, 0, 0, 0, 0, time.UTC),
	"2026-10-24":                time.Date(2026, 10, 24, 0, 0, 0, 0, time.UTC),
	"2026-10-24T02:00:00Z":      time.Date(2026, 10, 24, 2, 0, 0, 0, time.UTC),
	"2026-10-24T02:00:01Z":      time.Date(2026, 10, 24, 2, 0, 1, 0, time.UTC),
	"2026-11-22":                time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC),
	" 2026-11-23 ":              time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC),
	"2026-11-23":                time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC),
	"2026-11-23T03:00:00+01:00": time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC),
	"2026-11-23T02:00:01Z":      time.Date(2026, 11, 23, 2, 0, 1, 0, time.UTC),
	"2026-11-24":                time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC),
	"2027-02-01":                time.Date(2027, 2, 1, 0, 0, 0, 0, time.UTC),
	"9999-12-31":                time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC),
}

var anyDue = rapid.SampledFrom(slices.Sorted(maps.Keys(oracleDues)))

var anyRun = rapid.SampledFrom(slices.Sorted(maps.Keys(oracleRuns)))

// markImage gives an image some of the tags of an announcement, and what comes with them.
func markImage(t *rapid.T, image *ami.Image) {
	due := func() { image.Tags[spelt(t, "due")] = anyDue.Draw(t, "due") }
	by := func() {
		policy := rapid.SampledFrom([]string{ours, ours, ours, ours, theirs, theirs, "team-c", "", " " + ours + " "}).Draw(t, "policy")
		image.Tags[spelt(t, "announced-by")] = anyRun.Draw(t, "begun") + " " + policy
	}
	disabled := func() { image.Tags[spelt(t, "disabled")] = anyRun.Draw(t, "begun") }
	off := func() { image.State = "disabled" }
	marks := [][]func(){
		{due, by},
		{due, by},
		{due, by},
		{due, by},
		{due, by, disabled, off},
		{due, by, disabled, off},
		{due, by, disabled, off},
		{due, disabled, off},
		{by, disabled, off},
		{due, by, disabled},
		{due, disabled},
		{by},
		{disabled},
		{disabled, off},
		{due},
		{due, due, by},
		{due, by, by},
		{due, by, disabled, disabled, off},
		{due, by, off},
	}
	for _, do := range rapid.SampledFrom(marks).Draw(t, "mark") {
		do()
	}
	if rapid.SampledFrom(rare(1, 3)).Draw(t, "deprecated") == 0 {
		day := oracleTagDue(image.Tags)
		image.DeprecatedAt = time.Date(day.Year(), day.Month(), day.Day(), 0, 0, 0, 0, time.UTC).Add(rapid.SampledFrom([]time.Duration{0, 0, time.Second, time.Minute, -time.Second}).Draw(t, "deprecatedAt"))
	}
}

// anyName is a one-off, or one of few families; see oracleFamily.
var anyName = rapid.Custom(func(t *rapid.T) string {
	stem := rapid.SampledFrom([]string{"golden", "web", "web", "web", "api", "api", "import"}).Draw(t, "stem")
	switch stem {
	case "golden":
		return stem
	case "import":
		return rapid.SampledFrom([]string{"import-ami-0123456789abcdef0", "import-ami-fg4d51t0", "import-ami-20250101"}).Draw(t, "task")
	}
	return fmt.Sprintf("%s-%d", stem, rapid.IntRange(1, 30).Draw(t, "version"))
})

// odd makes one thing about an image remarkable.
func odd(t *rapid.T, image *ami.Image, region string, known []place) {
	source := func() {
		original := rapid.SampledFrom(known).Draw(t, "source")
		image.SourceImageID, image.SourceRegion = original.id, original.region
		if original.region == region && rapid.Bool().Draw(t, "unsaid") {
			image.SourceRegion = ""
		}
		if rapid.SampledFrom(rare(1, 4)).Draw(t, "ofInstance") == 0 {
			image.SourceInstanceID = "i-1"
		}
	}
	oddities := []func(){
		func() { image.OwnerID = rapid.SampledFrom([]string{"", "999999999999"}).Draw(t, "owner") },
		func() { image.OwnerAlias = "amazon" },
		func() { image.S3Location = "bucket/image.manifest.xml" },
		func() {
			image.State = rapid.SampledFrom([]string{"", "pending", "disabled", "failed"}).Draw(t, "state")
		},
		func() { image.State = "failed" },
		func() {
			image.State, image.CreatedAt = "failed", anyMoment.Draw(t, "created")
		},
		func() { image.Public = true },
		func() { image.Public = true },
		func() { image.Marketplace = true },
		func() { image.Marketplace = true },
		func() { image.Marketplace, image.Public = true, rapid.Bool().Draw(t, "public") },
		func() { image.Protection = anyProtection.Draw(t, "protection") },
		func() { image.CreatedAt = anyMoment.Draw(t, "created") },
		func() { image.LastLaunchedAt = anyMoment.Draw(t, "launched") },
		func() { image.DeprecatedAt = anyMoment.Draw(t, "deprecated") },
		func() { image.DeprecatedAt = anyMoment.Draw(t, "deprecated") },
		source,
		source,
		func() {
			source()
			image.CreatedAt = anyMoment.Draw(t, "created")
		},
		func() { image.Unreadable = append(image.Unreadable, "this") },
		func() { image.Name = "AwsBackup_" + image.Name },
		func() { image.Tags = nil },
		func() {
			image.Tags[rapid.SampledFrom([]string{
				"aws:backup:source-resource", "aws:cloudformation:stack-name", "Ec2ImageBuilderArn", "Ec2ImageBuilderArn", "aws:x", "dlm:managed", "awsx",
			}).Draw(t, "mark")] = "x"
		},
		func() {
			image.Tags["CreatedBy"] = rapid.SampledFrom([]string{"EC2 Image Builder", "EC2 Image Builder", "EC2 Fast Launch", "alice"}).Draw(t, "createdBy")
		},
		func() {
			image.Tags["aws:cloudformation:stack-id"] = "x"
			for n := rapid.IntRange(45, 50).Draw(t, "tags"); oracleTagCount(image.Tags) < n; {
				image.Tags[fmt.Sprintf("t%d", len(image.Tags))] = ""
			}
		},
		func() {
			image.Tags["ami-janitor:"+rapid.SampledFrom([]string{"dew", "keeep"}).Draw(t, "misspelt")] = "x"
		},
		func() {
			image.Tags[rapid.SampledFrom([]string{"ami-janitor:keep", "AMI-Janitor:keep", "pinned", "env"}).Draw(t, "keepTag")] = rapid.SampledFrom([]string{"", "true", "false", "FALSE", "prod"}).Draw(t, "keep")
		},
		func() {
			image.Tags["ami-janitor:stale-after"] = rapid.SampledFrom([]string{"7d", "30d", "600d", "6d", "", "soon"}).Draw(t, "staleAfter")
		},
		func() {
			image.Tags[spelt(t, "restored")] = rapid.SampledFrom([]string{
				"2020-01-01", "2026-10-24", "2026-11-22", "2026-11-24", "2026-11-22T10:00:00+01:00", "", "yesterday",
			}).Draw(t, "restored")
		},
		func() { image.Tags["role"] = rapid.SampledFrom([]string{"", "x", "y"}).Draw(t, "role") },
		func() { image.Tags["team"] = "c" },
		func() { delete(image.Tags, "env") },
	}
	if image.Tags == nil {
		image.Tags = map[string]string{}
	}
	rapid.SampledFrom(oddities).Draw(t, "oddity")()
}

var anyProtection = rapid.SampledFrom([]string{
	"disabled", "disabled after 2026-11-24T02:00:00Z", "enabled-with-cooldown", "enabled-without-cooldown", "DISABLED",
})

// anyEvidence draws what is known of images and snapshots; most are proven unused.
func anyEvidence(t *rapid.T, here ami.Inventory) ami.Evidence {
	evidence := ami.Evidence{Images: findings{}, Snapshots: map[string]ami.SnapshotFinding{}}
	for _, s := range here.Snapshots {
		evidence.Snapshots[s.ID] = anySnapshotFinding(t)
	}
	for _, image := range here.Images {
		finding := ami.Finding{Use: ami.Unused}
		switch rapid.SampledFrom(rare(7, 30)).Draw(t, "finding") {
		case 0:
			continue // Not looked up.
		case 1:
			finding.Use = rapid.SampledFrom([]ami.Use{ami.Unknown, ami.Used}).Draw(t, "use")
		case 2:
			finding.Gaps = []ami.Gap{aGap}
			finding.Use = rapid.SampledFrom([]ami.Use{ami.Unknown, ami.Unused}).Draw(t, "use")
		case 3:
			finding.References = []ami.Reference{{ARN: "arn:x"}}
			finding.Use = rapid.SampledFrom([]ami.Use{ami.Unknown, ami.Unused, ami.Used}).Draw(t, "use")
		case 4:
			finding.SharedWith = []ami.Grantee{{Everybody: true}}
		case 5:
			finding.SharedWith = []ami.Grantee{{Account: "999999999999"}}
		case 6:
			finding.LaunchedAt = ago(rapid.SampledFrom([]time.Duration{0, 47 * time.Hour, 48 * time.Hour, 48*time.Hour + 1, days(100)}).Draw(t, "instance"))
			if rapid.Bool().Draw(t, "running") {
				finding.Use, finding.References = ami.Used, []ami.Reference{{ARN: "arn:instance"}}
			}
		}
		if image.Public || len(finding.SharedWith) > 0 || rapid.SampledFrom(rare(1, 10)).Draw(t, "needless") == 0 {
			finding.Report = anyReport(t, image.ID)
		}
		evidence.Images[image.ID] = finding
	}
	return evidence
}

// anyReport draws a usage report about an image, or none. Most of them prove something.
func anyReport(t *rapid.T, id string) *ami.UsageReport {
	report := &ami.UsageReport{ID: "amiur-" + id, State: "available", Complete: true, CreatedAt: ago(days(1))}
	switch rapid.SampledFrom(rare(5, 10)).Draw(t, "report") {
	case 0:
		return nil
	case 1:
		report.State = rapid.SampledFrom([]string{"pending", "error", "", "Available"}).Draw(t, "state")
	case 2:
		report.Complete = false
	case 3, 4:
		report.CreatedAt = ago(rapid.SampledFrom([]time.Duration{-1, 0, days(3), days(3) + 1, days(4)}).Draw(t, "reported"))
		report.State = rapid.SampledFrom([]string{"available", "available", "pending"}).Draw(t, "state")
	}
	for n := range rapid.SampledFrom([]int{0, 0, 1, 2}).Draw(t, "superseded") {
		report.Superseded = append(report.Superseded, fmt.Sprintf("amiur-%s-old-%d", id, n))
	}
	return report
}

var aGap = ami.Gap{Source: "references", Err: "denied"}

// clone copies a world, the spare capacity of its slices included.
func (w world) clone() world {
	twin := world{policy: w.policy, keepList: w.keepList, evidence: map[string]ami.Evidence{}}
	for _, inventory := range w.inventories {
		inventory.Images = slices.Clone(inventory.Images)
		inventory.Snapshots = slices.Clone(inventory.Snapshots)
		for i := range inventory.Images {
			image := &inventory.Images[i]
			image.SnapshotIDs = cloneWithSpare(image.SnapshotIDs)
			image.Unreadable = cloneWithSpare(image.Unreadable)
			image.Tags = cloneTags(image.Tags)
		}
		for i := range inventory.Snapshots {
			inventory.Snapshots[i].Tags = cloneTags(inventory.Snapshots[i].Tags)
		}
		inventory.Bin.Rules = slices.Clone(inventory.Bin.Rules)
		inventory.Bin.Images = maps.Clone(inventory.Bin.Images)
		inventory.History.Leftovers = slices.Clone(inventory.History.Leftovers)
		inventory.History.Refused = maps.Clone(inventory.History.Refused)
		inventory.History.Removed, inventory.History.NotAttempted = cloneTags(inventory.History.Removed), maps.Clone(inventory.History.NotAttempted)
		inventory.History.Planned, inventory.History.Announced = maps.Clone(inventory.History.Planned), maps.Clone(inventory.History.Announced)
		twin.inventories = append(twin.inventories, inventory)
	}
	for region, evidence := range w.evidence {
		copied := ami.Evidence{Images: maps.Clone(evidence.Images), Snapshots: maps.Clone(evidence.Snapshots), Gaps: slices.Clone(evidence.Gaps), Sharing: maps.Clone(evidence.Sharing), SharingGap: evidence.SharingGap}
		for id, finding := range evidence.Snapshots {
			finding.Gaps, finding.References, finding.SharedWith = slices.Clone(finding.Gaps), slices.Clone(finding.References), slices.Clone(finding.SharedWith)
			copied.Snapshots[id] = finding
		}
		for id, finding := range evidence.Images {
			finding.Gaps = slices.Clone(finding.Gaps)
			finding.References = slices.Clone(finding.References)
			finding.SharedWith = slices.Clone(finding.SharedWith)
			if report := finding.Report; report != nil {
				finding.Report = &ami.UsageReport{ID: report.ID, State: report.State, CreatedAt: report.CreatedAt, Superseded: slices.Clone(report.Superseded), Complete: report.Complete}
			}
			copied.Images[id] = finding
		}
		twin.evidence[region] = copied
	}
	return twin
}

func cloneWithSpare(texts []string) []string {
	if texts == nil {
		return nil
	}
	return slices.Clone(texts[:cap(texts)])[:len(texts):cap(texts)]
}

func cloneTags(tags map[string]string) map[string]string {
	if tags == nil {
		return nil
	}
	twin := map[string]string{}
	maps.Copy(twin, tags)
	return twin
}

// spare returns what lies beyond the end of the slices of a world.
func (w world) spare() []string {
	var texts []string
	for _, inventory := range w.inventories {
		for _, image := range inventory.Images {
			texts = slices.Concat(texts, image.SnapshotIDs[:cap(image.SnapshotIDs)], image.Unreadable[:cap(image.Unreadable)])
		}
	}
	return texts
}

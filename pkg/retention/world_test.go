package retention_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"ami-janitor/pkg/ami"
	"ami-janitor/pkg/retention"
)

// world is everything a plan is made from.
type world struct {
	policy      retention.Policy
	inventories []ami.Inventory
	evidence    map[string]ami.Evidence
}

func (w world) plan() []retention.Plan { return w.policy.Plan(w.inventories, w.evidence, now) }

func (w world) candidates() map[string][]ami.Image { return w.policy.Candidates(w.inventories, now) }

// rare lists numbers of which those below cases are rare: one each among all.
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

// anyWorld draws a policy, up to three regions with up to ten images each, and evidence. Most images are old and
// unremarkable but for one thing or two, so that rules are seen alone.
var anyWorld = rapid.Custom(func(t *rapid.T) world {
	w := world{policy: anyPolicy.Draw(t, "policy"), evidence: map[string]ami.Evidence{}}
	var ids []string
	number := 0
	for _, region := range []string{"eu-west-1", "us-east-1", "ap-south-1"}[:rapid.IntRange(1, 3).Draw(t, "regions")] {
		here := ami.Inventory{Account: account, Region: region, Snapshots: anySnapshots(t)}
		for range rapid.SampledFrom([]int{0, 1, 2, 5, 8, 10}).Draw(t, "images") {
			number++
			id := fmt.Sprintf("ami-%017x", number*7919%1000) // Not in the order in which they are made.
			ids = append(ids, id)
			here.Images = append(here.Images, anyImage(t, id, ids))
		}
		w.inventories = append(w.inventories, here)
		w.evidence[region] = anyEvidence(t, here.Images)
	}
	return w
})

var anyPolicy = rapid.Custom(func(t *rapid.T) retention.Policy {
	mostly := func(usual, other, label string) string {
		if rapid.SampledFrom(rare(1, 5)).Draw(t, label) == 0 {
			return other
		}
		return usual
	}
	p := retention.Policy{
		StaleAfter:         limit(rapid.SampledFrom([]int{0, 7, 90, 180, 400}).Draw(t, "staleAfter")),
		NeverLaunchedAfter: limit(rapid.SampledFrom([]int{0, 7, 30, 90, 400}).Draw(t, "neverLaunchedAfter")),
		KeepNewest:         rapid.SampledFrom([]int{0, 0, 1, 1, 2}).Draw(t, "keepNewest"),
		FamilyTag:          mostly("", "role", "familyTag"),
		MaxDeregistrations: rapid.SampledFrom([]int{-1, 0, 1, 2, 3, 5, 100, 100, 100}).Draw(t, "cap"),
		DeleteSnapshots:    rapid.SampledFrom(rare(1, 5)).Draw(t, "deleteSnapshots") != 0,
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

func anySnapshots(t *rapid.T) []ami.Snapshot {
	var snapshots []ami.Snapshot
	for i := range 6 {
		s := ami.Snapshot{ID: fmt.Sprintf("snap-%d", i), SizeGiB: int64(i), Tags: map[string]string{}}
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
		case 5:
			continue // Not listed.
		}
		snapshots = append(snapshots, s)
	}
	return snapshots
}

// anyImage draws an image; known are the ids of images that it can be a copy of.
func anyImage(t *rapid.T, id string, known []string) ami.Image {
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
	if rapid.Bool().Draw(t, "launched") {
		image.LastLaunchedAt = oldMoment.Draw(t, "lastLaunched")
	}
	for range rapid.SampledFrom([]int{0, 0, 0, 1, 1, 2}).Draw(t, "oddities") {
		odd(t, &image, known)
	}
	return image
}

// anyName is a one-off, or one of few families; see oracleFamily.
var anyName = rapid.Custom(func(t *rapid.T) string {
	stem := rapid.SampledFrom([]string{"golden", "web", "web", "api"}).Draw(t, "stem")
	if stem == "golden" {
		return stem
	}
	return fmt.Sprintf("%s-%d", stem, rapid.IntRange(1, 30).Draw(t, "version"))
})

// odd makes one thing about an image remarkable.
func odd(t *rapid.T, image *ami.Image, known []string) {
	oddities := []func(){
		func() { image.OwnerID = rapid.SampledFrom([]string{"", "999999999999"}).Draw(t, "owner") },
		func() { image.OwnerAlias = "amazon" },
		func() {
			image.State = rapid.SampledFrom([]string{"", "pending", "disabled", "failed"}).Draw(t, "state")
		},
		func() { image.Public = true },
		func() { image.Marketplace = true },
		func() { image.Protection = anyProtection.Draw(t, "protection") },
		func() { image.CreatedAt = anyMoment.Draw(t, "created") },
		func() { image.LastLaunchedAt = anyMoment.Draw(t, "launched") },
		func() { image.SourceImageID = rapid.SampledFrom(known).Draw(t, "source") },
		func() {
			image.SourceImageID = rapid.SampledFrom(known).Draw(t, "source")
			image.CreatedAt = anyMoment.Draw(t, "created")
		},
		func() { image.Unreadable = append(image.Unreadable, "this") },
		func() { image.Name = "AwsBackup_" + image.Name },
		func() { image.Tags = nil },
		func() {
			image.Tags[rapid.SampledFrom([]string{
				"aws:backup:source-resource", "aws:cloudformation:stack-name", "Ec2ImageBuilderArn", "aws:x", "dlm:managed", "awsx",
			}).Draw(t, "mark")] = "x"
		},
		func() {
			image.Tags[rapid.SampledFrom([]string{"ami-janitor:keep", "AMI-Janitor:keep", "pinned", "env"}).Draw(t, "keepTag")] = rapid.SampledFrom([]string{"", "true", "false", "FALSE", "prod"}).Draw(t, "keep")
		},
		func() {
			image.Tags["ami-janitor:stale-after"] = rapid.SampledFrom([]string{"7d", "30d", "600d", "6d", "", "soon"}).Draw(t, "staleAfter")
		},
		func() {
			image.Tags["ami-janitor:restored"] = rapid.SampledFrom([]string{
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

// anyEvidence draws what is known of the images; three in four are proven unused.
func anyEvidence(t *rapid.T, images []ami.Image) ami.Evidence {
	evidence := ami.Evidence{}
	for _, image := range images {
		finding := ami.Finding{Use: ami.Unused}
		switch rapid.SampledFrom(rare(5, 25)).Draw(t, "finding") {
		case 0:
			continue // Not looked up.
		case 1:
			finding.Use = rapid.SampledFrom([]ami.Use{ami.Unknown, ami.Used}).Draw(t, "use")
		case 2:
			finding.Gaps = []ami.Gap{aGap}
		case 3:
			finding.References = []ami.Reference{{ARN: "arn:x"}}
			finding.Use = rapid.SampledFrom([]ami.Use{ami.Unknown, ami.Unused, ami.Used}).Draw(t, "use")
		case 4:
			finding.SharedWith = []string{"all"}
		}
		evidence[image.ID] = finding
	}
	return evidence
}

var aGap = ami.Gap{Source: "references", Err: "denied"}

// clone copies a world, the spare capacity of its slices included.
func (w world) clone() world {
	twin := world{policy: w.policy, evidence: map[string]ami.Evidence{}}
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
		twin.inventories = append(twin.inventories, inventory)
	}
	for region, evidence := range w.evidence {
		twin.evidence[region] = ami.Evidence{}
		for id, finding := range evidence {
			finding.Gaps = slices.Clone(finding.Gaps)
			finding.References = slices.Clone(finding.References)
			finding.SharedWith = slices.Clone(finding.SharedWith)
			twin.evidence[region][id] = finding
		}
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

// The oracle: the promises of the design in the simplest words, for worlds that anyWorld draws. It knows nothing of
// the rules.

// mustStay says which promise forbids the removal of an image; empty if none does.
func (w world) mustStay(here ami.Inventory, image ami.Image) string {
	for promise, broken := range map[string]bool{
		"not owned":        image.OwnerID != account,
		"not available":    image.State != "available",
		"unreadable":       len(image.Unreadable) > 0 || image.CreatedAt.IsZero(),
		"protected":        image.Protection != "" && image.Protection != "disabled",
		"managed":          oracleManaged(image),
		"public":           image.Public,
		"kept by a tag":    w.oracleKeepTag(image.Tags),
		"out of scope":     !w.oracleInScope(image),
		"bad tag":          oracleBadTag(image),
		"used or future":   w.oracleUsed(image),
		"newest":           w.oracleNewest(here, image),
		"unclear snapshot": oracleSnapshot(here, image),
		"not proven":       !w.oracleProven(here.Region, image.ID),
	} {
		if broken {
			return promise
		}
	}
	return ""
}

func oracleManaged(image ami.Image) bool {
	for key := range image.Tags {
		isAWS := len(key) >= 4 && key[:4] == "aws:"
		if isAWS && key != "aws:cloudformation:stack-name" || key == "Ec2ImageBuilderArn" || key == "dlm:managed" {
			return true
		}
	}
	return strings.Contains(image.Name, "AwsBackup_") || image.OwnerAlias != "" || image.Marketplace
}

func (w world) oracleKeepTag(tags map[string]string) bool {
	for key, value := range tags {
		if strings.ToLower(key) == "ami-janitor:keep" && strings.ToLower(value) != "false" {
			return true
		}
	}
	_, pinned := tags["pinned"]
	return len(w.policy.KeepTags) > 0 && (pinned || tags["env"] == "prod")
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
	stale, hasStale := image.Tags["ami-janitor:stale-after"]
	restored, hasRestored := image.Tags["ami-janitor:restored"]
	return hasStale && (stale == "6d" || stale == "" || stale == "soon") ||
		hasRestored && (restored == "" || restored == "yesterday")
}

// oracleUsed reports whether any use of an image is after its limit, in the future, or at a time nobody knows.
func (w world) oracleUsed(image ami.Image) bool {
	limit := w.policy.StaleAfter
	if image.LastLaunchedAt.IsZero() {
		limit = w.policy.NeverLaunchedAfter
	}
	switch image.Tags["ami-janitor:stale-after"] {
	case "7d":
		limit = 7 * retention.Days(24*time.Hour)
	case "30d":
		limit = 30 * retention.Days(24*time.Hour)
	case "600d":
		limit = 600 * retention.Days(24*time.Hour)
	}
	if limit < 7*retention.Days(24*time.Hour) {
		limit = 7 * retention.Days(24*time.Hour)
	}
	fresh := now.Add(-time.Duration(limit)) // At this moment or later.
	uses := []time.Time{image.CreatedAt, image.LastLaunchedAt}
	switch image.Tags["ami-janitor:restored"] {
	case "2026-10-24":
		uses = append(uses, time.Date(2026, 10, 24, 0, 0, 0, 0, time.UTC))
	case "2026-11-22":
		uses = append(uses, time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC))
	case "2026-11-24":
		uses = append(uses, time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC))
	case "2026-11-22T10:00:00+01:00":
		uses = append(uses, time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC))
	}
	for _, inventory := range w.inventories {
		for _, other := range inventory.Images {
			if other.SourceImageID == image.ID && other.ID != image.ID {
				if other.CreatedAt.IsZero() {
					return true
				}
				uses = append(uses, other.CreatedAt)
			}
		}
	}
	for _, use := range uses {
		if !use.Before(fresh) {
			return true
		}
	}
	return false
}

// oracleFamily is the family of an image that anyImage draws.
func (w world) oracleFamily(image ami.Image) string {
	if role := image.Tags["role"]; w.policy.FamilyTag != "" && role != "" {
		return "role " + role + " " + image.Architecture
	}
	stem, _, versioned := strings.Cut(image.Name, "-")
	if !versioned {
		return ""
	}
	return stem + " " + image.Architecture
}

// oracleNewest reports whether fewer than KeepNewest usable images of the family of an image are newer than it.
func (w world) oracleNewest(here ami.Inventory, image ami.Image) bool {
	usable := func(i ami.Image) bool {
		undated := i.CreatedAt.IsZero()
		for _, other := range w.copiesOf(i) {
			undated = undated || other.CreatedAt.IsZero()
		}
		return i.OwnerID == account && i.State == "available" && len(i.Unreadable) == 0 && !undated &&
			!w.oracleFuture(i) && !oracleManaged(i)
	}
	family := w.oracleFamily(image)
	if family == "" || !usable(image) {
		return false
	}
	newer := 0
	for _, other := range here.Images {
		if w.oracleFamily(other) != family || !usable(other) {
			continue
		}
		if other.CreatedAt.After(image.CreatedAt) || other.CreatedAt.Equal(image.CreatedAt) && other.ID > image.ID {
			newer++
		}
	}
	return newer < w.policy.KeepNewest
}

func (w world) copiesOf(image ami.Image) []ami.Image {
	var copies []ami.Image
	for _, inventory := range w.inventories {
		for _, other := range inventory.Images {
			if other.SourceImageID == image.ID && other.ID != image.ID {
				copies = append(copies, other)
			}
		}
	}
	return copies
}

func (w world) oracleFuture(image ami.Image) bool {
	future := image.CreatedAt.After(now) || image.LastLaunchedAt.After(now) || image.Tags["ami-janitor:restored"] == "2026-11-24"
	for _, other := range w.copiesOf(image) {
		future = future || other.CreatedAt.After(now)
	}
	return future
}

func oracleSnapshot(here ami.Inventory, image ami.Image) bool {
	for _, s := range here.Snapshots {
		if slices.Contains(image.SnapshotIDs, s.ID) && (s.Unreadable != "" || s.Lock == "governance" || s.Lock == "compliance") {
			return true
		}
	}
	return false
}

func (w world) oracleProven(region, id string) bool {
	finding, looked := w.evidence[region][id]
	return looked && finding.Use == ami.Unused && len(finding.Gaps)+len(finding.References)+len(finding.SharedWith) == 0
}

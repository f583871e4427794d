package retention_test

import (
	"encoding/json"
	"maps"
	"testing"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

const (
	account = "123456789012"
	region  = "eu-west-1"
	subject = "ami-00000000000000001" // The image that a case is about.

	ours, theirs = "team-a", "team-b" // The policy that a case is about, and another one.
)

var now = time.Date(2026, time.November, 23, 2, 0, 0, 0, time.UTC)

func days(n int) time.Duration { return time.Duration(n) * retention.Day }

func ago(d time.Duration) time.Time { return now.Add(-d) }

func limit(n int) retention.Days { return retention.Days(days(n)) }

// policy removes what is idle for more than 180 days, or 90 if it was never launched.
func policy(changes ...func(*retention.Policy)) retention.Policy {
	p := retention.Policy{
		Name:               ours,
		StaleAfter:         limit(180),
		NeverLaunchedAfter: limit(90),
		KeepNewest:         1,
		MaxDeregistrations: 100,
		DeleteSnapshots:    true,
	}
	for _, change := range changes {
		change(&p)
	}
	return p
}

// idle makes an image that no rule keeps: a one-off that was last launched 300 days ago.
func idle(id string, changes ...func(*ami.Image)) ami.Image {
	image := ami.Image{
		ID:             id,
		Name:           "golden",
		OwnerID:        account,
		State:          "available",
		Architecture:   "x86_64",
		CreatedAt:      ago(days(400)),
		LastLaunchedAt: ago(days(300)),
		Tags:           map[string]string{},
	}
	for _, change := range changes {
		change(&image)
	}
	return image
}

func tagged(key, value string) func(*ami.Image) {
	return func(image *ami.Image) { image.Tags[key] = value }
}

func named(name string) func(*ami.Image) {
	return func(image *ami.Image) { image.Name = name }
}

// created makes an image that was never launched.
func created(at time.Time) func(*ami.Image) {
	return func(image *ami.Image) { image.CreatedAt, image.LastLaunchedAt = at, time.Time{} }
}

func launched(at time.Time) func(*ami.Image) {
	return func(image *ami.Image) { image.LastLaunchedAt = at }
}

func mapping(snapshotIDs ...string) func(*ami.Image) {
	return func(image *ami.Image) { image.SnapshotIDs = snapshotIDs }
}

func copyOf(source string) func(*ami.Image) {
	return func(image *ami.Image) { image.SourceImageID = source }
}

// inventory moves the records of cases into the journal; see record.
func inventory(region string, images ...ami.Image) ami.Inventory {
	here := ami.Inventory{Account: account, Region: region, History: ami.History{Announced: map[string]ami.Announcement{}}}
	for _, image := range images {
		if text, ok := image.Tags[recordTag]; ok {
			var recorded ami.Announcement
			if err := json.Unmarshal([]byte(text), &recorded); err != nil {
				panic(err)
			}
			here.History.Announced[image.ID] = recorded
			image.Tags = maps.Clone(image.Tags)
			delete(image.Tags, recordTag)
		}
		here.Images = append(here.Images, image)
	}
	return here
}

// past adds a history to a region, besides its records of announcements.
func past(here ami.Inventory, h ami.History) ami.Inventory {
	h.Announced = here.History.Announced
	here.History = h
	return here
}

// recordTag never reaches the janitor: inventory takes it off, and puts its content into the
// journal.
const recordTag = "record"

// record has the journal say that a run announced the removal of an image. If the day cannot be
// read the record has another.
func record(run, policy, due string, action retention.GraceAction) func(*ami.Image) {
	return func(i *ami.Image) {
		moment, err := time.Parse(time.RFC3339, due)
		if err != nil {
			moment, err = time.Parse(time.DateOnly, due)
		}
		if err != nil {
			moment = now.Add(days(8))
		}
		text, err := json.Marshal(ami.Announcement{Run: run, Policy: policy, Due: moment, Action: string(action)})
		if err != nil {
			panic(err)
		}
		i.Tags[recordTag] = string(text)
	}
}

// noRecord has the journal say nothing about an image.
func noRecord(i *ami.Image) { delete(i.Tags, recordTag) }

// findings are the findings about images, by id.
type findings = map[string]ami.Finding

// unused is the proof that nothing uses any of the images of the inventories.
func unused(inventories ...ami.Inventory) map[string]ami.Evidence {
	evidence := map[string]ami.Evidence{}
	for _, inventory := range inventories {
		evidence[inventory.Region] = ami.Evidence{Images: findings{}, Snapshots: map[string]ami.SnapshotFinding{}}
		for _, image := range inventory.Images {
			evidence[inventory.Region].Images[image.ID] = ami.Finding{Use: ami.Unused}
		}
	}
	return evidence
}

// verdicts returns the verdicts of all plans by image id.
func verdicts(plans []retention.Plan) map[string]retention.Verdict {
	byID := map[string]retention.Verdict{}
	for _, plan := range plans {
		for _, v := range plan.Verdicts {
			byID[v.Image.ID] = v
		}
	}
	return byID
}

// judge plans with the proof that nothing is used, and returns the verdicts by image id.
func judge(t *testing.T, p retention.Policy, inventories ...ami.Inventory) map[string]retention.Verdict {
	t.Helper()
	return verdicts(p.Open(inventories, now).Plan(unused(inventories...)))
}

func codes(v retention.Verdict) []retention.Code {
	var codes []retention.Code
	for _, reason := range v.Reasons {
		codes = append(codes, reason.Code)
	}
	return codes
}

// details returns what is said for the reasons, one per line.
func details(v retention.Verdict) string {
	var text string
	for _, reason := range v.Reasons {
		text += reason.Detail + "\n"
	}
	return text
}

// decided returns the ids of the images with one of the decisions, in the order of the plans.
func decided(plans []retention.Plan, decisions ...retention.Decision) []string {
	ids := []string{}
	for _, plan := range plans {
		for _, v := range plan.Verdicts {
			for _, decision := range decisions {
				if v.Decision == decision {
					ids = append(ids, v.Image.ID)
				}
			}
		}
	}
	return ids
}

// Package janitor is the whole run: it reads every region, looks for evidence of use, makes the plan, carries it out,
// and tells people. Both binaries call it; its configuration comes from a lookup function (config.go).
package janitor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"

	"ami-janitor/pkg/ami"
	"ami-janitor/pkg/notify"
	"ami-janitor/pkg/report"
	"ami-janitor/pkg/retention"
	"ami-janitor/pkg/sweep"
	"ami-janitor/pkg/usage"
	"ami-janitor/pkg/wire"
)

// Janitor is what runs need from outside.
type Janitor struct {
	Config  Config
	AWS     aws.Config // Its region is the one that is judged if Config names none.
	Clock   func() time.Time
	Version string

	Watch   func(stage string, done, total int) // Called as a run goes on; may be nil.
	Confirm func(plan report.Run) bool          // Asked before anything is removed, with the record as of a dry run; may be nil.
}

// Run judges every image of the account, removes what no rule keeps, and returns the record of it all. A dry run stops
// after the plan. There is no error beside the record: what went wrong is in it.
//
// No image is begun once ctx is done; one that has been begun is finished.
func (j *Janitor) Run(ctx context.Context, id string, dryRun bool) report.Run {
	now, policy := j.Clock(), j.Config.Policy()
	limits := timeLimits(ctx, now)
	defer limits.cancel()

	inventories, failed := j.survey(limits.look)
	evidence := j.lookUp(limits.look, policy.Candidates(inventories, now))
	plans := policy.Plan(inventories, evidence, now)

	record := j.record(id, now, failed, plans, nil)
	if dryRun || j.Confirm != nil && !j.Confirm(record) {
		return record
	}
	return j.record(id, now, failed, plans, j.sweep(limits, plans))
}

// NewRunID returns the id of a run: when it began, and six random hexadecimal digits.
func NewRunID(now time.Time, random io.Reader) string {
	suffix := make([]byte, 3)
	_, _ = io.ReadFull(random, suffix) // Two runs in one second may then have the same id, which is better than no run.
	return fmt.Sprintf("%s-%x", now.UTC().Format("20060102T150405Z"), suffix)
}

// record puts together what happened. Outcomes are given by region; without any the record is that of a dry run.
func (j *Janitor) record(
	id string, now time.Time, failed []report.Region, plans []retention.Plan, outcomes map[string][]ami.Outcome,
) report.Run {
	record := report.Run{
		Run:            id,
		Version:        j.Version,
		DryRun:         outcomes == nil,
		StartedAt:      now,
		Policy:         j.Config.describe(),
		PolicySentence: j.Config.Policy().String(),
		Sources:        report.Sources{LookedUp: j.Config.UsageSources, SwitchedOff: j.Config.UsageSources.off()},
		Regions:        slices.Clone(failed),
	}
	for _, plan := range plans {
		record.Regions = append(record.Regions, report.NewRegion(plan, outcomes[plan.Region]))
	}
	slices.SortFunc(record.Regions, func(a, b report.Region) int { return strings.Compare(a.Region, b.Region) })
	record.Finish(j.Clock(), float64(j.Config.SnapshotPrice))
	return record
}

// lookUp collects the evidence of use of all candidates, by region.
func (j *Janitor) lookUp(ctx context.Context, candidates map[string][]ami.Image) map[string]ami.Evidence {
	evidence := map[string]ami.Evidence{}
	for region, images := range candidates {
		client := wire.EC2(j.AWS, region)
		evidence[region] = usage.Look(ctx, client, images, j.Config.UsageSources, j.watch("Looking up"))
	}
	return evidence
}

// sweep carries out the plans, one region after the other, and returns what was confirmed, by region.
func (j *Janitor) sweep(limits limits, plans []retention.Plan) map[string][]ami.Outcome {
	outcomes := map[string][]ami.Outcome{}
	for _, plan := range plans {
		client := wire.EC2(j.AWS, plan.Region)
		outcomes[plan.Region] = sweep.Run(limits.finish, limits.begin, client, plan, j.watch("Removing"))
	}
	return outcomes
}

// Tell publishes the digest of a run, if there is a topic and the run is one to be told of.
func (j *Janitor) Tell(ctx context.Context, record report.Run) error {
	if !j.Config.NotifyOn.includes(record) {
		return nil
	}
	client := sns.NewFromConfig(j.AWS)
	var mail, chat error
	if topic := string(j.Config.TopicARN); topic != "" {
		mail = notify.Email(ctx, client, topic, report.Subject(record), report.Text(record))
	}
	if topic := string(j.Config.ChatTopicARN); topic != "" {
		chat = notify.Chat(ctx, client, topic, report.Slack(record))
	}
	return errors.Join(mail, chat)
}

// Err returns an error if a region of a run failed.
func Err(record report.Run) error {
	var errs []error
	for _, region := range record.Regions {
		if region.Error != "" {
			errs = append(errs, fmt.Errorf("%s: %s", region.Region, region.Error))
		}
	}
	return errors.Join(errs...)
}

func (n NotifyOn) includes(record report.Run) bool {
	switch n {
	case NotifyAlways:
		return true
	case NotifyFailures:
		return record.Failed()
	default:
		return record.Failed() || record.Changes()
	}
}

func (j *Janitor) watch(stage string) func(done, total int) {
	if j.Watch == nil {
		return func(int, int) {}
	}
	return func(done, total int) { j.Watch(stage, done, total) }
}

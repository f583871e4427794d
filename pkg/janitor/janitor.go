// Package janitor is the whole run: it reads every region, looks for evidence of use, makes the
// plan, carries it out, and tells people. Both binaries call it.
package janitor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/census"
	"github.com/ami-janitor/ami-janitor/pkg/config"
	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/journal"
	"github.com/ami-janitor/ami-janitor/pkg/notify"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// Janitor is what runs need from outside.
type Janitor struct {
	Config config.Config
	AWS    aws.Config // Its region is the one that is judged if Config names none.

	// Home is where the journal, the keep lists, the texts in S3 and the topics are, if that is not
	// the account that is judged; else nil.
	Home *aws.Config

	// Only is the account that AWS must lead to; empty for any.
	Only string

	// Abroad is what the other accounts of the organization use; nil outside of its run.
	Abroad *census.View

	// Stopped says why a run must stop, if somebody has asked for that; it may be nil.
	Stopped func(context.Context) error

	Clock   func() time.Time
	Version string

	// Copy says what a copy of an account lacks; nil for a real account, or for a complete copy.
	Copy *record.Copy

	// ReadFile reads a keep list if Config names a file, and says when that was changed; may be
	// nil.
	ReadFile func(path string) (text []byte, modified time.Time, err error)

	// RecordsOf returns where the records of an account are if Config does not say; empty for
	// nowhere. It may be nil.
	RecordsOf func(account string) string

	// BorrowedRecords says that Config.Records belong to a function, and this is the command line:
	// a dry run reads them, and writes nothing there.
	BorrowedRecords bool

	Reader record.Reader // Who reads the texts about runs.

	Watch func(stage string, done, total int) // Called as a run goes on; may be nil.

	// Confirm is asked before anything is removed, with a record like that of a dry run; may be
	// nil.
	Confirm func(plan record.Run) bool

	// Approved is all that a run may do; nil for whatever its policy finds.
	Approved *retention.Approved

	// Complete asks EC2 about every candidate, and not only about those that a run has room for.
	Complete bool

	// Planned is called with the plans of a run before anything is done; may be nil.
	Planned func([]retention.Plan)

	watchdog *journal.Watchdog // Of the current run.
}

// Run judges every image of the account, removes those that no rule keeps, and returns the record.
// A dry run stops after the plan. There is no separate error: the record holds what went wrong.
//
// Once ctx is done the run starts on no further image, but finishes those that it has started on.
func (j *Janitor) Run(ctx context.Context, id ami.RunID, dryRun bool) record.Run {
	watchdog := journal.NewWatchdog(j.Clock)
	watched := *j
	watchdog.Stopped = j.Stopped
	watched.AWS, watched.watchdog = watchdog.Over(j.AWS), watchdog
	return watched.run(ctx, id, dryRun)
}

// home is the AWS configuration of the account in which the janitor lives.
func (j *Janitor) home() aws.Config {
	if j.Home != nil {
		return *j.Home
	}
	return j.AWS
}

func (j *Janitor) run(ctx context.Context, id ami.RunID, dryRun bool) record.Run {
	limits := timeLimits(ctx, j.Clock())
	defer limits.cancel()
	run, kept, past := j.carryOut(limits, id, dryRun)
	j.archive(limits.record, kept, &run)
	past.addUp(limits.record, kept, run)
	return run
}

// carryOut makes a plan and carries it out, unless the run is a dry one. What it has read of the
// account is no longer needed when it returns: the text of the record takes as much memory.
func (j *Janitor) carryOut(limits limits, id ami.RunID, dryRun bool) (record.Run, *journal.Journal, pastRuns) {
	plan := j.makePlan(limits, id)
	if j.Planned != nil {
		j.Planned(plan.regions)
	}
	if !dryRun && j.Confirm != nil {
		plan, dryRun = j.confirm(limits, id, plan)
	}
	var done map[string]ami.SweepResult
	if !dryRun {
		done = j.sweep(limits, string(id), &plan)
	}
	run := j.newRecord(id, plan, done)
	run.Since = plan.since(run)
	return run, plan.journal, plan.pastRuns
}

// plan is what a run will do.
type plan struct {
	survey
	regions []retention.Plan
	asked   map[string]record.Lookups // By region.
}

// makePlan reads the account, looks for evidence of use, and judges. Each plan may ask about more
// images, and with whom more snapshots are shared, and then there is another one.
func (j *Janitor) makePlan(limits limits, run ami.RunID) plan {
	survey := j.readAccount(limits.look, run)
	account := survey.policy.Open(survey.inventories, survey.now)
	candidates := account.Candidates()
	found := j.list(limits.look, survey, candidates, account.Unattached())
	if j.Complete {
		j.lookUp(limits.look, found, idsOf(candidates))
	}
	regions := j.planOf(limits.look, account, &found)
	for round := range sharingRounds + 1 {
		if !j.askSharing(limits.ask, found.evidence, regions, round == sharingRounds) {
			break
		}
		regions = j.planOf(limits.look, account, &found)
	}
	if j.askBundles(limits.ask, found.evidence, regions) {
		regions = j.planOf(limits.look, account, &found)
	}
	if j.Approved != nil {
		regions = j.Approved.Narrow(regions)
	}
	return plan{survey, regions, found.asked()}
}

// sharingRounds is how often a plan may replace images because nobody could find out with whom
// their snapshots are shared.
const sharingRounds = 3

// confirm asks a person about a plan, and plans again after a yes, because the answer may have
// taken hours. If the new plan removes something that the person has not seen, it asks again. It
// reports whether the run remains a dry one.
func (j *Janitor) confirm(limits limits, id ami.RunID, planned plan) (confirmed plan, dryRun bool) {
	for len(planned.removals()) > 0 {
		if !j.Confirm(j.newRecord(id, planned, nil)) {
			return planned, true
		}
		seen := planned.removals()
		j.watchdog.Reset()
		planned = j.makePlan(limits, id)
		unseen := planned.removals()
		maps.DeleteFunc(unseen, func(removal string, _ bool) bool { return seen[removal] })
		if len(unseen) == 0 {
			break
		}
	}
	return planned, false
}

// removals are the images and snapshots that a plan removes, those that earlier runs left among
// them, and the images whose removal it announces or takes back. In a region on hold it only takes
// back; in a region where another run is at work it does nothing.
func (p plan) removals() map[string]bool {
	removals := map[string]bool{}
	for _, region := range p.regions {
		for _, verdict := range region.Verdicts {
			if verdict.Unmark != retention.LeaveMark && !region.Busy {
				removals[region.Region+verdict.Image.ID+string(verdict.Unmark)] = true
			}
			if (verdict.Decision == retention.Deregister || verdict.Decision == retention.Mark) && region.Hold == "" {
				removals[region.Region+verdict.Image.ID+string(verdict.Decision)] = true
			}
		}
		for _, id := range region.SnapshotsToDelete() {
			removals[region.Region+id] = true
		}
		for _, location := range region.BundlesToDelete() {
			removals[region.Region+location] = true
		}
		for _, o := range region.Orphans {
			if o.Decision == retention.Mark && region.Hold == "" {
				removals[region.Region+o.SnapshotID+string(o.Decision)] = true
			}
		}
	}
	return removals
}

// newRecord puts together what happened. The results are by region; if there are none at all, it is
// the record of a dry run.
func (j *Janitor) newRecord(id ami.RunID, plan plan, done map[string]ami.SweepResult) record.Run {
	run := record.Run{
		Run:            string(id),
		Version:        j.Version,
		DryRun:         done == nil,
		FirstRun:       plan.isFirst,
		StartedAt:      plan.now,
		AccountAlias:   plan.alias,
		Policy:         j.Config.Describe(),
		PolicySentence: plan.policy.String(),
		Sources:        record.Sources{SwitchedOff: j.Config.SourcesOff(), OtherAccounts: j.Config.Policy.JudgeShared},
		Copy:           j.Copy,
		Regions:        slices.Clone(plan.failed),
		Reader:         j.Reader,
		Changed:        j.Config.Changed(),
	}
	for _, region := range plan.regions {
		judged := record.NewRegion(region, done[region.Region], j.Config.OwnerTag)
		judged.Lookups = plan.asked[region.Region]
		run.Regions = append(run.Regions, judged)
	}
	for _, source := range j.Config.UsageSources {
		if slices.ContainsFunc(run.Regions, func(g record.Region) bool { return slices.Contains(g.LookedUp, source) }) {
			run.Sources.LookedUp = append(run.Sources.LookedUp, source)
		}
	}
	slices.SortFunc(run.Regions, func(a, b record.Region) int { return strings.Compare(a.Region, b.Region) })
	run.Finish(j.Clock(), j.Config.SnapshotPrice)
	digest.Advise(&run)
	return run
}

// Tell publishes the digest of a run, if there is a topic and the run is one to be told of, and
// tells the owners of images.
func (j *Janitor) Tell(ctx context.Context, run record.Run) error {
	client := sns.NewFromConfig(j.home())
	var messages []digest.OwnerMessage
	if j.Config.OwnersTopicARN != "" {
		messages, run.OwnersUntold = digest.Owners(run)
	}
	var digests error
	var told sync.WaitGroup // A topic that hangs keeps no owner from being told.
	if IsTold(run, j.Config.NotifyOn) {
		told.Go(func() { digests = j.tellAll(ctx, client, run) })
	}
	owners := j.tellOwners(ctx, client, messages)
	told.Wait()
	return errors.Join(digests, owners)
}

// tellAll publishes the digest of a run to the topics that there are.
func (j *Janitor) tellAll(ctx context.Context, client *sns.Client, run record.Run) error {
	var mail, chat error
	if topic := j.Config.TopicARN; topic != "" {
		mail = notify.Email(ctx, client, topic, digest.Subject(run), digest.Text(run))
	}
	if topic := j.Config.ChatTopicARN; topic != "" {
		chat = notify.Chat(ctx, client, topic, digest.Slack(run))
	}
	return errors.Join(mail, chat)
}

// Err returns an error if a region of a run failed, or if its record could not be kept.
func Err(run record.Run) error {
	var errs []error
	for _, region := range run.Regions {
		if region.Error != "" {
			errs = append(errs, fmt.Errorf("%s: %s", region.Region, region.Error))
		}
	}
	if run.RecordError != "" {
		errs = append(errs, fmt.Errorf("the record could not be kept: %s", run.RecordError))
	}
	return errors.Join(errs...)
}

// IsTold reports whether the digest of a run is sent. That of the first run always is, and that of
// a run that lacked a proof: it would look like one with nothing to do.
func IsTold(run record.Run, on config.NotifyOn) bool {
	return on == config.NotifyAlways || run.FirstRun || run.Failed() || run.LacksProof() || on == config.NotifyChanges && run.Changes()
}

package trial

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/inventory"
	"github.com/ami-janitor/ami-janitor/pkg/journal"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
	"github.com/ami-janitor/ami-janitor/pkg/sweep"
	"github.com/ami-janitor/ami-janitor/pkg/undo"
	"github.com/ami-janitor/ami-janitor/pkg/usage"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// The time limits of what a trial waits for.
const (
	readyLimit = 10 * time.Minute // Until what was made can be used.
	tagsLimit  = 5 * time.Minute  // Until tags are seen.
	binLimit   = 20 * time.Minute // Until the Recycle Bin shows what it received.
	sweepLimit = 10 * time.Minute // For a step of the product's own code.
)

// journey is the state of a trial.
type journey struct {
	*Trial
	ledger *ledger
	fence  *fence
	tap    *tap
	aws    aws.Config // Fenced and tapped.
	ec2    *ec2.Client
	ebs    *ebs.Client

	estimate Estimate
	report   Report

	image, snapshot *thing      // Nil until both are made.
	original        types.Image // As it was before its first removal.
	done            map[string]bool
	isHeld          bool                 // IAM allows no removal that is not declared.
	isGone          bool                 // Its removal came last, and is confirmed.
	restoring       time.Time            // When the request to bring it back was about to be made.
	removal         int                  // The number of the first call of its last removal.
	exits           map[string]time.Time // Of the bin, by id.
	removed         []string             // By a clean-up.
	cleansFrom      time.Time            // Until then the trial may have changed something.
}

// journey starts the work on a ledger.
func (t *Trial) journey(l *ledger) *journey {
	j := &journey{Trial: t, ledger: l, tap: &tap{clock: t.Clock}, done: map[string]bool{}, removed: []string{}}
	j.fence = &fence{trial: l.trial, region: l.region, ids: map[string]bool{}}
	j.aws = t.AWS.Copy()
	j.aws.Region = l.region
	j.aws = j.fence.over(j.tap.over(j.aws))
	j.ec2 = wire.EC2(j.aws, l.region)
	j.ebs = ebs.NewFromConfig(j.aws)
	return j
}

// step is a step of a trial.
type step struct {
	name  string
	says  string
	needs string // The step that it needs; empty for none.
	do    func(context.Context) error
}

func (j *journey) steps() []step {
	return []step{
		{StepMake, "Making a snapshot and an image", "", j.make},
		{StepLists, "Looking at empty lists", "", j.lookAtLists},
		{StepIAM, "Asking IAM before anything is declared", StepMake, j.askBefore},
		{StepAnnounce, "Announcing the removal, and disabling the image", StepMake, j.announce},
		{StepUnmark, "Taking the announcement back, and enabling the image", StepAnnounce, j.unmark},
		{StepRemove, "Declaring the removal, and removing the image with its snapshot", StepMake, j.remove},
		{StepBin, "Waiting for the Recycle Bin", StepRemove, j.awaitBin},
		{StepUndo, "Bringing both back", StepBin, j.undo},
		{StepCompare, "Comparing with before", StepUndo, j.compare},
		{StepAgain, "Removing both again, and measuring", StepUndo, j.removeAgain},
		{StepTwice, "Asking once more for the removal of what is gone", StepRemove, j.removeTwice},
	}
}

// run takes the steps, and notes in the report how each ended.
func (j *journey) run(ctx context.Context) {
	for _, s := range j.steps() {
		result := Step{Name: s.name, Status: Done}
		begun := j.Clock()
		switch {
		case ctx.Err() != nil:
			result.Status, result.Why = Skipped, "interrupted"
		case s.needs != "" && !j.done[s.needs]:
			result.Status, result.Why = Skipped, "it needs the step "+s.needs
		default:
			j.tell(s.says)
			err := j.ledger.step(s.name, begun)
			if err == nil {
				err = s.do(ctx)
			}
			if errors.As(err, new(skipError)) {
				result.Status, result.Why = Skipped, err.Error()
			} else if err != nil {
				result.Status, result.Why = Failed, err.Error()
			}
			j.done[s.name] = err == nil
		}
		result.Seconds = j.Clock().Sub(begun).Seconds()
		j.report.Steps = append(j.report.Steps, result)
	}
}

// skipError says why a step was not taken.
type skipError struct{ string }

func (e skipError) Error() string { return e.string }

// prove proves once more that the image and the snapshot are the trial's own, and returns the
// image. Nothing is changed without that.
func (j *journey) prove(ctx context.Context) (types.Image, error) {
	var proven types.Image
	err := j.await(ctx, tagsLimit, func() error {
		_, found, err := wire.FindImage(ctx, j.ec2, j.image.id)
		if err != nil {
			return err
		}
		_, its, err := wire.FindSnapshot(ctx, j.ec2, j.snapshot.id)
		if err != nil {
			return err
		}
		proven = found
		return errors.Join(j.ledger.ownImage(j.image, &found), j.ledger.ownSnapshot(j.snapshot, &its))
	})
	return proven, explained(err)
}

// explained puts an error of the SDK into a line; nil stays nil.
func explained(err error) error {
	if err == nil {
		return nil
	}
	return errors.New(wire.ExplainLookup(err))
}

// carryOut carries out a plan of the trial's own making, which holds its image and nothing else,
// with the code of a run. There is no journal: no other run goes by what the trial does.
func (j *journey) carryOut(ctx context.Context, decide func(ami.Image) retention.Verdict) (ami.Outcome, error) {
	if _, err := j.prove(ctx); err != nil {
		return ami.Outcome{}, err
	}
	images, err := inventory.ImagesAgain(ctx, j.ec2, []string{j.image.id})
	if err != nil {
		return ami.Outcome{}, err
	}
	snapshots, err := inventory.SnapshotsAgain(ctx, j.ec2, []string{j.snapshot.id})
	if err != nil {
		return ami.Outcome{}, err
	}
	if len(images) != 1 || len(snapshots) != 1 {
		return ami.Outcome{}, fmt.Errorf("EC2 lists %d of its images and %d of its snapshots", len(images), len(snapshots))
	}
	now := j.Clock()
	limit, stop := context.WithTimeout(ctx, sweepLimit)
	defer stop()
	_, result := sweep.Run(sweep.Limits{Cutoff: limit, Deadline: limit, Record: limit}, sweep.Region{
		Plan:      retention.Plan{Account: j.ledger.account, Region: j.ledger.region, Verdicts: []retention.Verdict{decide(images[0])}},
		Inventory: ami.Inventory{Account: j.ledger.account, Region: j.ledger.region, Images: images, Snapshots: snapshots},
		Run:       string(ami.NewRunID(now, j.Random)), Policy: "trial", Now: now,
		Clients: usage.Clients{
			AWS: j.aws, EC2: j.ec2, AutoScaling: wire.AutoScaling(j.aws, j.ledger.region), SSM: wire.SSM(j.aws, j.ledger.region),
		},
		Lookup:     usage.Lookup{Account: j.ledger.account, Region: j.ledger.region},
		RequireBin: j.RequireBin, Watchdog: journal.NewWatchdog(j.Clock), Step: func(int, int) {},
	})
	if len(result.Outcomes) != 1 {
		return ami.Outcome{}, fmt.Errorf("the sweep returned %d outcomes", len(result.Outcomes))
	}
	return result.Outcomes[0], nil
}

// announce announces the removal of the image, and disables it.
func (j *journey) announce(ctx context.Context) error {
	outcome, err := j.carryOut(ctx, func(i ami.Image) retention.Verdict {
		return retention.Verdict{Image: i, Decision: retention.Mark, Action: retention.Disable, Due: j.Clock().AddDate(0, 0, 7)}
	})
	if err != nil || outcome.Status != ami.Marked {
		return ended(outcome, err)
	}
	begun := j.Clock()
	err = j.awaitImage(ctx, func(i *types.Image) error {
		if i.State != types.ImageStateDisabled || valueOf(i.Tags, ami.DueTag) == "" || valueOf(i.Tags, ami.AnnouncedByTag) == "" || valueOf(i.Tags, ami.DisabledTag) == "" {
			return errors.New("EC2 does not show that the image is announced and disabled")
		}
		return nil
	})
	j.measure(MeasureAnnounced, begun, err)
	return err
}

// unmark takes the announcement back, and enables the image.
func (j *journey) unmark(ctx context.Context) error {
	found, err := j.prove(ctx)
	if err != nil {
		return err
	}
	images, err := inventory.ImagesAgain(ctx, j.ec2, []string{j.image.id})
	if err != nil || len(images) != 1 {
		return errors.Join(err, fmt.Errorf("EC2 lists %d of its images, of which the first is %s", len(images), found.State))
	}
	if err := sweep.Unmark(ctx, j.ec2, images[0], true, retention.UndoAsked(images[0]), j.Clock()); err != nil {
		return err
	}
	begun := j.Clock()
	err = j.awaitImage(ctx, func(i *types.Image) error {
		if i.State != types.ImageStateAvailable || valueOf(i.Tags, ami.DueTag)+valueOf(i.Tags, ami.AnnouncedByTag)+valueOf(i.Tags, ami.DisabledTag) != "" {
			return errors.New("EC2 does not show that the image is enabled and no longer announced")
		}
		return nil
	})
	j.measure(MeasureUnmarked, begun, err)
	return err
}

// awaitImage waits until EC2 shows the image as wanted.
func (j *journey) awaitImage(ctx context.Context, wanted func(*types.Image) error) error {
	return j.await(ctx, tagsLimit, func() error {
		_, found, err := wire.FindImage(ctx, j.ec2, j.image.id)
		if err != nil {
			return explained(err)
		}
		return wanted(&found)
	})
}

// remove declares the removal, and removes the image with its snapshot as a run does.
func (j *journey) remove(ctx context.Context) error {
	var err error
	if j.original, err = j.prove(ctx); err != nil {
		return err
	}
	from := j.tap.now()
	outcome, err := j.carryOut(ctx, j.deregister)
	if err == nil {
		j.observe(from)
	}
	if err != nil || outcome.Status != ami.Deregistered {
		return ended(outcome, err)
	}
	j.removal, j.isGone = from, true
	for _, s := range outcome.Snapshots {
		if s.Status != ami.SnapshotDeleted {
			return fmt.Errorf("%s is %s: %s", s.SnapshotID, s.Status, s.Detail)
		}
	}
	return nil
}

func (j *journey) deregister(i ami.Image) retention.Verdict {
	return retention.Verdict{Image: i, Decision: retention.Deregister, Snapshots: []retention.SnapshotVerdict{
		{SnapshotID: j.snapshot.id, SizeGiB: sizeGiB, Delete: true, LastImageID: i.ID},
	}}
}

// ended says how the product's own code ended.
func ended(outcome ami.Outcome, err error) error {
	if err != nil {
		return err
	}
	return fmt.Errorf("%s: %s", outcome.Status, outcome.Error)
}

// awaitBin waits until the Recycle Bin shows both.
func (j *journey) awaitBin(ctx context.Context) error {
	if e := j.estimate; e.BinGap == "" && (e.ImageDays == 0 || e.SnapshotDays == 0) {
		return skipError{ErrNoRule.Error() + ", and none is required"}
	}
	err := j.untilInBin(ctx)
	j.measureBin(MeasureBin, err)
	return err
}

// undo brings both back from the Recycle Bin, as ami-janitor undo does.
func (j *journey) undo(ctx context.Context) error {
	bin, err := undo.Look(ctx, j.ec2)
	if err != nil {
		return err
	}
	j.isGone = false
	j.restoring = j.Clock()
	result, err := undo.Run(ctx, j.ec2, bin, undo.Request{Today: j.Clock(), Images: []undo.Removed{{
		ImageID: j.image.id, Name: j.image.key, Recorded: true, Snapshots: []string{j.snapshot.id},
	}}})
	if err != nil {
		return err
	}
	for _, i := range result.Images {
		if !i.Status.Back() {
			return fmt.Errorf("%s is %s: %s", i.ImageID, i.Status, i.Why)
		}
	}
	return nil
}

// compare compares the image with what it was before its removal. EC2 may show tags late.
func (j *journey) compare(ctx context.Context) error {
	err := j.awaitImage(ctx, func(i *types.Image) error {
		if declares(i.Tags) {
			return errors.New("EC2 shows the declaration of its removal still")
		}
		if differs := differences(j.original, *i); len(differs) > 0 {
			return fmt.Errorf("the image came back different: %s", strings.Join(differs, ", "))
		}
		return nil
	})
	j.measure(MeasureRestored, j.restoring, err)
	return err
}

// removeAgain removes both a second time, after it has measured when the declaration is seen.
func (j *journey) removeAgain(ctx context.Context) error {
	if err := j.measureDeclaration(ctx); err != nil {
		return err
	}
	from := j.tap.now()
	outcome, err := j.carryOut(ctx, j.deregister)
	if err != nil || outcome.Status != ami.Deregistered {
		return ended(outcome, err)
	}
	j.removal, j.isGone = from, true
	err = j.untilInBin(ctx)
	j.measureBin(MeasureBinAgain, err)
	return err
}

// removeTwice asks once more for the removal of what is gone.
func (j *journey) removeTwice(ctx context.Context) error {
	if !j.isGone {
		return skipError{"the image is not removed"}
	}
	_, err := j.ec2.DeregisterImage(ctx, &ec2.DeregisterImageInput{ImageId: aws.String(j.image.id)}, once)
	j.say(MeasureTwice, saying(err))
	_, err = j.ec2.DeleteSnapshot(ctx, &ec2.DeleteSnapshotInput{SnapshotId: aws.String(j.snapshot.id)}, once)
	j.say(MeasureDeleteTwice, saying(err))
	seen, _, err := wire.FindImage(ctx, j.ec2, j.image.id)
	j.say(MeasureGone, map[wire.Presence]string{wire.Gone: "does not exist, or deregistered", wire.Empty: "an empty list", wire.Present: "the image", wire.Unknown: unseen(err)}[seen])
	return nil
}

// once is for requests whose first answer counts.
func once(o *ec2.Options) { o.Retryer = aws.NopRetryer{} }

func saying(err error) string {
	if err == nil {
		return "accepted"
	}
	return wire.Explain(err)
}

// differences returns the fields in which two images differ. The tag with the day of a restore is
// no difference: an undo writes it.
func differences(a, b types.Image) []string {
	for _, i := range []*types.Image{&a, &b} {
		i.Tags = slices.DeleteFunc(slices.Clone(i.Tags), func(tag types.Tag) bool { return aws.ToString(tag.Key) == ami.RestoredTag })
		slices.SortFunc(i.Tags, func(x, y types.Tag) int { return strings.Compare(aws.ToString(x.Key), aws.ToString(y.Key)) })
	}
	return fieldsThatDiffer(a, b)
}

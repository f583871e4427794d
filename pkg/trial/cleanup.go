package trial

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/recyclebin"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

const (
	// settled is how long after the last change of a trial a listing may lack what was made or
	// brought back.
	settled = time.Minute
	// longestStep is how long after its line in the ledger a step may still change something.
	longestStep = time.Hour
	// cleanLimit is how long a clean-up tries.
	cleanLimit = 15 * time.Minute
	// cleanPause is how long it waits between two looks.
	cleanPause = 5 * time.Second
)

// clear removes what a trial has left in the account, and ends its ledger if nothing is left. It
// does without the code of a run, which refuses to remove what it is in doubt about: the trial's
// own proof is enough here. It returns what may be there still, and what the Recycle Bin holds.
func (j *journey) clear(ctx context.Context) ([]Left, []Retained) {
	begun := j.Clock()
	if j.cleansFrom = j.ledger.last; begun.Sub(j.ledger.last) < longestStep {
		j.cleansFrom = begun
	}
	until := begun.Add(cleanLimit)
	left := j.clearOnce(ctx)
	for !j.isSettled(left) && j.Clock().Before(until) && sleep(ctx, cleanPause) == nil {
		left = j.clearOnce(ctx)
	}
	if j.ledger.fault != "" {
		left = append(left, Left{Why: j.ledger.fault + ": nothing was done about that line and what follows"})
	}
	retained, err := j.retained(ctx)
	if err != nil {
		left = append(left, Left{Why: "the Recycle Bin was not read: " + err.Error()})
	}
	if len(left) == 0 {
		if err := j.ledger.end(j.Clock()); err != nil {
			left = append(left, Left{Why: err.Error()})
		}
	}
	return left, retained
}

// isSettled reports whether no later look can find it otherwise.
func (j *journey) isSettled(left []Left) bool {
	isOld := j.isGone || j.quiet() > settled
	return isOld && !slices.ContainsFunc(left, func(l Left) bool { return l.passes })
}

// quiet is for how long nothing was made or brought back.
func (j *journey) quiet() time.Duration {
	return min(j.Clock().Sub(j.ledger.last), j.Clock().Sub(j.cleansFrom))
}

// clearOnce looks once at everything, and removes what is proven to be the trial's own.
func (j *journey) clearOnce(ctx context.Context) []Left {
	left := []Left{}
	for _, s := range j.ledger.of(snapshot) {
		if s.id == "" {
			left = append(left, j.findSnapshot(ctx, s)...)
		}
	}
	for _, i := range j.ledger.of(image) {
		if i.id == "" {
			left = append(left, j.findImage(ctx, i)...)
		}
	}
	for _, i := range j.ledger.of(image) {
		left = append(left, j.clearImage(ctx, i)...)
	}
	imageStays := slices.ContainsFunc(left, func(l Left) bool { return !l.goes })
	for _, s := range j.ledger.of(snapshot) {
		if imageStays && s.id != "" {
			left = append(left, Left{ID: s.id, Why: "left alone: its image stays"})
			continue
		}
		left = append(left, j.clearSnapshot(ctx, s)...)
	}
	return left
}

// findSnapshot looks for a snapshot whose id was not noted, by its description. Among several that
// are proven none is taken.
func (j *journey) findSnapshot(ctx context.Context, s *thing) []Left {
	listed, err := j.ec2.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{
		OwnerIds: []string{"self"}, Filters: []types.Filter{{Name: aws.String("description"), Values: []string{describe(s.key)}}},
	})
	if err != nil {
		return unlisted("snapshots", err)
	}
	proofs := map[string]error{}
	for n := range listed.Snapshots {
		found := &listed.Snapshots[n]
		proofs[aws.ToString(found.SnapshotId)] = j.ledger.ownSnapshot(s, found)
	}
	return j.take(s, proofs)
}

// findImage is findSnapshot for an image, by its name.
func (j *journey) findImage(ctx context.Context, i *thing) []Left {
	listed, err := j.ec2.DescribeImages(ctx, &ec2.DescribeImagesInput{
		Owners: []string{"self"}, Filters: []types.Filter{{Name: aws.String("name"), Values: []string{i.key}}}, IncludeDisabled: aws.Bool(true),
	})
	if err != nil {
		return unlisted("images", err)
	}
	proofs := map[string]error{}
	for n := range listed.Images {
		found := &listed.Images[n]
		proofs[aws.ToString(found.ImageId)] = j.ledger.ownImage(i, found)
	}
	return j.take(i, proofs)
}

// unlisted is for a listing that failed. One without its list says that there is nothing.
func unlisted(what string, err error) []Left {
	if wire.LacksList(err) {
		return nil
	}
	return []Left{{Why: "the " + what + " of the trial could not be looked for: " + wire.Explain(err), passes: true}}
}

// take notes the id of what is proven to be the trial's, if it is one.
func (j *journey) take(t *thing, proofs map[string]error) []Left {
	var left []Left
	var proven []string
	for _, id := range slices.Sorted(maps.Keys(proofs)) {
		if err := proofs[id]; err == nil {
			proven = append(proven, id)
		} else {
			left = append(left, j.unproven(id, err)...)
		}
	}
	switch {
	case len(proven) > 1:
		for _, id := range proven {
			left = append(left, Left{ID: id, Why: fmt.Sprintf("left alone: it may be the trial's %s, as may %d more", t.kind, len(proven)-1)})
		}
	case len(proven) == 1:
		if err := j.ledger.made(t, proven[0], j.Clock()); err != nil {
			left = append(left, Left{ID: proven[0], Why: err.Error()})
		}
	}
	return left
}

// unseen says why it is not known whether something is there.
func unseen(err error) string {
	if err == nil {
		return "EC2 answered with something else than what was asked for"
	}
	return wire.Explain(err)
}

// clearImage removes an image if it is there.
func (j *journey) clearImage(ctx context.Context, i *thing) []Left {
	if i.id == "" {
		return nil
	}
	seen, found, err := wire.FindImage(ctx, j.ec2, i.id)
	switch {
	case seen == wire.Gone, seen == wire.Empty, wire.LacksList(err):
		return nil
	case seen != wire.Present:
		return []Left{{ID: i.id, Why: unseen(err), passes: true}}
	}
	if err := j.ledger.ownImage(i, &found); err != nil {
		return j.unproven(i.id, err)
	}
	j.fence.admit(i.id)
	if err := j.declare(ctx, i.id, found.Tags); err != nil {
		return []Left{{ID: i.id, Why: saying(err), passes: true}}
	}
	_, err = j.ec2.DeregisterImage(ctx, &ec2.DeregisterImageInput{ImageId: aws.String(i.id)})
	return j.removing(i.id, err)
}

// clearSnapshot removes a snapshot if it is there.
func (j *journey) clearSnapshot(ctx context.Context, s *thing) []Left {
	if s.id == "" {
		return nil
	}
	seen, found, err := wire.FindSnapshot(ctx, j.ec2, s.id)
	switch {
	case seen == wire.Gone, seen == wire.Empty, wire.LacksList(err):
		return nil
	case seen != wire.Present:
		return []Left{{ID: s.id, Why: unseen(err), passes: true}}
	}
	if err := j.ledger.ownSnapshot(s, &found); err != nil {
		return j.unproven(s.id, err)
	}
	j.fence.admit(s.id)
	if err := j.declare(ctx, s.id, found.Tags); err != nil {
		return []Left{{ID: s.id, Why: saying(err), passes: true}}
	}
	_, err = j.ec2.DeleteSnapshot(ctx, &ec2.DeleteSnapshotInput{SnapshotId: aws.String(s.id)})
	return j.removing(s.id, err)
}

// unproven is for what is not proven to be the trial's own. EC2 may show the tag late.
func (j *journey) unproven(id string, err error) []Left {
	isYoung := j.quiet() < tagsLimit
	return []Left{{ID: id, Why: "left alone: " + err.Error(), passes: isYoung && errors.As(err, new(untaggedError))}}
}

// declare declares the removal of something, so that IAM allows it and the Recycle Bin takes it in,
// and waits until that is seen.
func (j *journey) declare(ctx context.Context, id string, tags []types.Tag) error {
	if declares(tags) {
		return nil
	}
	run := string(ami.NewRunID(j.Clock(), j.Random))
	if err := wire.Tag(ctx, j.ec2, []string{id}, map[string]string{ami.IntentTag: ami.Intent, ami.RunTag: run}); err != nil {
		return err
	}
	return j.await(ctx, tagsLimit, func() error { return j.seesTags(ctx, []string{id}, run) })
}

// removing notes how a removal ended. It says that something is left in any case: only the next
// look sees whether it is gone.
func (j *journey) removing(id string, err error) []Left {
	if err != nil {
		return []Left{{ID: id, Why: wire.Explain(err), passes: mayPass(err)}}
	}
	if !slices.Contains(j.removed, id) {
		j.removed = append(j.removed, id)
	}
	return []Left{{ID: id, Why: "EC2 shows it still", passes: true, goes: true}}
}

// mayPass reports whether a refusal may not last: IAM sees tags late, an image may still be in the
// making, and a snapshot counts as in use for a while after its image is gone.
func mayPass(err error) bool {
	code := wire.Code(err)
	return wire.IsNoImage(err) || wire.IsNoSnapshot(err) ||
		slices.Contains([]string{"", unauthorized, "InvalidSnapshot.InUse", "RequestLimitExceeded", "InternalError"}, code)
}

// retained returns what the Recycle Bin holds of the trial; sorted.
func (j *journey) retained(ctx context.Context) ([]Retained, error) {
	held := []Retained{}
	var images, snapshots []string
	for _, i := range j.ledger.of(image) {
		if i.id != "" {
			images = append(images, i.id)
		}
	}
	for _, s := range j.ledger.of(snapshot) {
		if s.id != "" {
			snapshots = append(snapshots, s.id)
		}
	}
	exits, err := recyclebin.Exits(ctx, j.ec2, images, snapshots)
	if err != nil && !wire.LacksList(err) {
		return held, explained(err)
	}
	for id, until := range exits {
		held = append(held, Retained{ID: id, Until: until.UTC()})
	}
	slices.SortFunc(held, func(a, b Retained) int { return cmp.Compare(a.ID, b.ID) })
	return held, nil
}

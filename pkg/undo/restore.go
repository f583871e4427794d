package undo

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"golang.org/x/sync/errgroup"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// Pauses grow from the first to the longest, each twice as long as the one before.
const (
	firstPause   = time.Second
	longestPause = 15 * time.Second
)

// Timeouts of the loops that wait for EC2.
const (
	refusalTimeout   = time.Minute      // EC2 may not see restored snapshots at once.
	listingTimeout   = 2 * time.Minute  // What was restored may not be listed at once.
	availableTimeout = 10 * time.Minute // Until a restored image is available.
)

// inFlight is how many calls are made at a time.
const inFlight = 10

// each calls do for all items, several at a time.
func each[T any](items []T, do func(T)) {
	var group errgroup.Group
	group.SetLimit(inFlight)
	for _, item := range items {
		group.Go(func() error {
			do(item)
			return nil
		})
	}
	_ = group.Wait() // Faults are kept with the items.
}

// sleep waits, and reports whether there is still time.
func sleep(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// repeat calls done until it returns true, with pauses that grow. It gives up once the pauses add
// up to the limit.
func repeat(ctx context.Context, limit time.Duration, done func() bool) {
	pause, waited := firstPause, time.Duration(0)
	for !done() && waited < limit && sleep(ctx, pause) {
		waited += pause
		pause = min(2*pause, longestPause)
	}
}

// restoreSnapshots restores those snapshots that are in the bin. A refusal may be wrong, because an
// earlier attempt took effect and its answer was lost. So a snapshot counts as restored if it is
// there now and was not before, or if the bin listed it and no longer does.
func (u *undoing) restoreSnapshots(ctx context.Context, snapshots []*snapshot) {
	open := slices.DeleteFunc(slices.Clone(snapshots), func(s *snapshot) bool { return !s.inBin })
	each(open, func(s *snapshot) {
		_, s.refused = u.api.RestoreSnapshotFromRecycleBin(ctx, &ec2.RestoreSnapshotFromRecycleBinInput{SnapshotId: aws.String(s.id)})
	})
	if !slices.ContainsFunc(open, func(s *snapshot) bool { return s.refused != nil }) {
		return
	}
	bin, unlisted := listSnapshotsInBin(ctx, u.api)
	there, unseen := u.listSnapshots(ctx)
	for _, s := range open {
		if hasLeft(u.bin.snapshots, bin, unlisted, s.id) || unseen == nil && s.was == nil && there[s.id] != nil {
			s.refused = nil
		}
	}
}

// hasLeft reports whether something was listed in the bin, and no longer is.
func hasLeft(before, now map[string]item, unlisted error, id string) bool {
	_, was := before[id]
	_, is := now[id]
	return unlisted == nil && was && !is
}

// restoreRefused tries once more to restore snapshots.
func (u *undoing) restoreRefused(ctx context.Context) {
	var refused []*snapshot
	for _, s := range u.snapshots {
		if s.refused != nil && worthAnotherTry(s.refused) {
			refused = append(refused, s)
		}
	}
	u.restoreSnapshots(ctx, refused)
}

// restoreImages restores those images that are in the bin. If a refusal names a snapshot that is in
// the bin, that is restored, too: without a record this may be the only way to learn of it.
func (u *undoing) restoreImages(ctx context.Context) {
	open := slices.DeleteFunc(slices.Clone(u.images), func(i *image) bool { return !i.inBin })
	repeat(ctx, refusalTimeout, func() bool {
		u.restoreRefused(ctx)
		each(open, func(i *image) {
			_, i.refused = u.api.RestoreImageFromRecycleBin(ctx, &ec2.RestoreImageFromRecycleBinInput{ImageId: aws.String(i.ImageID)})
		})
		u.askBin(ctx, open)
		open = slices.DeleteFunc(open, func(i *image) bool { return !worthAnotherTry(i.refused) })
		u.restoreNamed(ctx, open)
		open = slices.DeleteFunc(open, u.isHopeless)
		return len(open) == 0
	})
}

// askBin drops the refusals of images that were restored nevertheless, as restoreSnapshots does.
func (u *undoing) askBin(ctx context.Context, images []*image) {
	if !slices.ContainsFunc(images, func(i *image) bool { return i.refused != nil }) {
		return
	}
	bin, unlisted := listImagesInBin(ctx, u.api)
	there, unseen := listImages(ctx, u.api, ids(images))
	for _, i := range images {
		if hasLeft(u.bin.images, bin, unlisted, i.ImageID) || unseen == nil && i.was == nil && there[i.ImageID] != nil {
			i.refused = nil
		}
	}
}

// worthAnotherTry reports whether a refusal may be temporary. The client has already retried errors
// without a code of AWS, and throttling; a missing permission stays missing.
func worthAnotherTry(err error) bool {
	code := wire.Code(err)
	return code != "" && code != "UnauthorizedOperation" && code != "AuthFailure"
}

var snapshotIDs = regexp.MustCompile(`\bsnap-[0-9a-z]+\b`)

// restoreNamed restores the snapshots in the bin that refusals name.
func (u *undoing) restoreNamed(ctx context.Context, images []*image) {
	var named []*snapshot
	for _, i := range images {
		for _, id := range snapshotIDs.FindAllString(i.refused.Error(), -1) {
			if u.snapshots[id] == nil {
				named = append(named, u.snapshot(id))
				i.Snapshots = append(i.Snapshots, id)
			}
		}
	}
	u.restoreSnapshots(ctx, named)
}

// isHopeless reports whether a refusal names a snapshot that neither the account nor the bin has
// held since the undo began, or a snapshot that may not be restored.
func (u *undoing) isHopeless(i *image) bool {
	return slices.ContainsFunc(snapshotIDs.FindAllString(i.refused.Error(), -1), func(id string) bool {
		s := u.snapshots[id]
		return s != nil && (!s.inBin && s.was == nil || s.refused != nil && !worthAnotherTry(s.refused))
	})
}

// filterValues is how many values a filter takes (EC2 User Guide, "List and filter your
// resources").
const filterValues = 200

// listImages returns those of some images that the account holds, by id. It asks by a filter,
// because one id that does not exist would fail a call that asks by ids. A deregistered image may
// still be listed for a while, in that state (EC2 API Reference, DescribeImages).
func listImages(ctx context.Context, api ec2.DescribeImagesAPIClient, ids []string) (map[string]*types.Image, error) {
	listed := map[string]*types.Image{}
	for chunk := range slices.Chunk(ids, filterValues) {
		pages := ec2.NewDescribeImagesPaginator(api, &ec2.DescribeImagesInput{
			Owners:          []string{"self"},
			Filters:         []types.Filter{{Name: aws.String("image-id"), Values: chunk}},
			IncludeDisabled: aws.Bool(true),
			MaxResults:      aws.Int32(pageSize),
		})
		err := wire.EachPage(ctx, pages, func(page *ec2.DescribeImagesOutput) *string {
			for _, image := range page.Images {
				if image.State != types.ImageStateDeregistered {
					listed[aws.ToString(image.ImageId)] = &image
				}
			}
			return page.NextToken
		})
		if err != nil {
			return nil, fmt.Errorf("listing images: %s", wire.Explain(err))
		}
	}
	return listed, nil
}

// awaitImages waits until the images are listed and in a final state. It waits less long for an
// image that is not listed.
func (u *undoing) awaitImages(ctx context.Context) {
	expected := slices.DeleteFunc(slices.Clone(u.images), func(i *image) bool { return i.refused != nil || !i.inBin && i.was == nil })
	u.await(ctx, expected, listingTimeout, func(*image) bool { return true })
	listed := slices.DeleteFunc(expected, func(i *image) bool { return i.now == nil })
	u.await(ctx, listed, availableTimeout, func(i *image) bool { return isFinal(i.now) })
}

// isFinal reports whether an image is in a state that does not change by itself.
func isFinal(image *types.Image) bool {
	return image.State != types.ImageStatePending && image.State != types.ImageStateTransient
}

// await lists images until all of them are as they should be, or until the limit is over.
func (u *undoing) await(ctx context.Context, images []*image, limit time.Duration, done func(*image) bool) {
	open := slices.Clone(images)
	repeat(ctx, limit, func() bool {
		listed, err := listImages(ctx, u.api, ids(open))
		for _, i := range open {
			if i.unseen = err; listed[i.ImageID] != nil {
				i.now = listed[i.ImageID]
			}
		}
		open = slices.DeleteFunc(open, func(i *image) bool { return i.unseen == nil && i.now != nil && done(i) })
		u.wanted.Step(len(images)-len(open), len(images))
		return len(open) == 0
	})
}

// enable enables those images that the janitor has disabled. An image that somebody else has
// disabled stays disabled.
func (u *undoing) enable(ctx context.Context) {
	disabled := slices.DeleteFunc(slices.Clone(u.images), func(i *image) bool {
		return !i.isBack() || i.announced() || i.now.State != types.ImageStateDisabled || !hasTag(i.now.Tags, ami.DisabledTag)
	})
	each(disabled, func(i *image) {
		_, i.disabled = u.api.EnableImage(ctx, &ec2.EnableImageInput{ImageId: aws.String(i.ImageID)})
	})
	isEnabled := func(i *image) bool { return i.now.State == types.ImageStateAvailable }
	// The answer to an attempt that took effect may have been lost.
	u.await(ctx, slices.DeleteFunc(slices.Clone(disabled), func(i *image) bool { return i.disabled == nil }), 0, isEnabled)
	u.await(ctx, slices.DeleteFunc(slices.Clone(disabled), func(i *image) bool { return i.disabled != nil }), listingTimeout, isEnabled)
	for _, i := range disabled {
		if i.enabled = isEnabled(i); !i.enabled {
			i.fault("it is disabled, and could not be enabled", because(i.disabled))
		}
	}
}

// because is the end of a sentence that says what happened.
func because(err error) string {
	if err == nil {
		return ""
	}
	return ": " + wire.Explain(err)
}

// checkSnapshots lists the snapshots, and those that images turn out to map, which it restores if
// they are in the bin. A snapshot that is shared from another account is listed like the account's
// own.
func (u *undoing) checkSnapshots(ctx context.Context) {
	var unknown []*snapshot
	for _, i := range u.images {
		for _, id := range i.snapshotIDs() {
			if u.snapshots[id] == nil {
				unknown = append(unknown, u.snapshot(id))
			}
		}
	}
	u.restoreSnapshots(ctx, unknown)
	repeat(ctx, refusalTimeout, func() bool {
		u.restoreRefused(ctx)
		listed, err := u.listSnapshots(ctx)
		missing := u.note(listed, err)
		return err == nil && !slices.ContainsFunc(missing, func(s *snapshot) bool {
			return s.inBin && (s.refused == nil || worthAnotherTry(s.refused))
		})
	})
}

// note takes in a listing of the snapshots, and returns those that are not there.
func (u *undoing) note(listed map[string]*types.Snapshot, err error) []*snapshot {
	var missing []*snapshot
	for id, s := range u.snapshots {
		switch s.now = listed[id]; {
		case s.now != nil && s.refused == nil:
			s.fault = ""
		case s.refused != nil:
			s.fault = "it could not be restored" + because(s.refused)
		case err != nil:
			s.fault = "it could not be looked at: " + err.Error()
		default:
			s.fault = "neither the account nor the Recycle Bin holds it"
		}
		if s.fault != "" {
			missing = append(missing, s)
		}
	}
	return missing
}

func (u *undoing) listSnapshots(ctx context.Context) (map[string]*types.Snapshot, error) {
	return listSnapshots(ctx, u.api, slices.Sorted(maps.Keys(u.snapshots)))
}

// listSnapshots returns those of some snapshots that there are, by id. It asks by a filter, as
// listImages does.
func listSnapshots(ctx context.Context, api ec2.DescribeSnapshotsAPIClient, ids []string) (map[string]*types.Snapshot, error) {
	listed := map[string]*types.Snapshot{}
	for chunk := range slices.Chunk(ids, filterValues) {
		pages := ec2.NewDescribeSnapshotsPaginator(api, &ec2.DescribeSnapshotsInput{
			Filters:    []types.Filter{{Name: aws.String("snapshot-id"), Values: chunk}},
			MaxResults: aws.Int32(pageSize),
		})
		err := wire.EachPage(ctx, pages, func(page *ec2.DescribeSnapshotsOutput) *string {
			for _, snapshot := range page.Snapshots {
				listed[aws.ToString(snapshot.SnapshotId)] = &snapshot
			}
			return page.NextToken
		})
		if err != nil {
			return nil, errors.New(wire.Explain(err))
		}
	}
	return listed, nil
}

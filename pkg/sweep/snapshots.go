package sweep

import (
	"cmp"
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/journal"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

const (
	// alreadyGone is for a snapshot that somebody else deleted.
	alreadyGone = "was already gone"
	// afterLostAnswer is for a snapshot that this run most probably deleted.
	afterLostAnswer = "seen to be gone after a lost answer"
)

// deleteSnapshot deletes one snapshot whose image is gone. EC2 may say for a while that the image
// still uses it, which is retried, and so is a lost answer: a snapshot that is not found is
// deleted.
//
// The SDK's own retries are off, as for deregister: only by counting the attempts can we tell our
// own deletion from somebody else's.
//
// The answer is that to the deregistration of its image, which may include the snapshot's result,
// or was lost.
func (s *sweep) deleteSnapshot(ctx context.Context, id string, deregistered answer) (ami.SnapshotStatus, string) {
	var err error
	gone := deregistered.whoseDeletion()
	for attempt, tries := 1, attempts; attempt <= tries; attempt++ {
		if late := s.await(ctx, attempt); late != nil {
			err = cmp.Or(err, late)
			break
		}
		_, err = s.api.DeleteSnapshot(ctx, &ec2.DeleteSnapshotInput{SnapshotId: aws.String(id)}, func(o *ec2.Options) { o.Retryer = aws.NopRetryer{} })
		switch {
		case err == nil:
			return ami.SnapshotDeleted, ""
		case wire.IsNoSnapshot(err):
			return ami.SnapshotDeleted, gone
		case mayHaveTakenEffect(err):
			gone = afterLostAnswer
		case isForAWhile(err):
			tries = eventualAttempts
		case !mayPass(err):
			return ami.SnapshotFailed, failure(deregistered.codes[id], err)
		}
	}
	if gone == afterLostAnswer && s.isGone(ctx, id) {
		return ami.SnapshotDeleted, afterLostAnswer
	}
	return ami.SnapshotFailed, failure(deregistered.codes[id], err)
}

// await waits until an attempt may be made, counted from 1, or says why it may not.
func (s *sweep) await(ctx context.Context, attempt int) error {
	if attempt > 1 && !pause(ctx, attempt-1) {
		return ctx.Err()
	}
	return s.session.MayContinue(ctx, journal.WithinChunk)
}

// mayHaveDeleted reports whether the snapshots of an image may have been deleted with it, without a
// confirmation.
func (a answer) mayHaveDeleted() bool { return a.lost && a.along }

// whoseDeletion says how a snapshot was deleted that is gone before its first deletion request,
// given the answer to the deregistration of its image.
func (a answer) whoseDeletion() string {
	if a.mayHaveDeleted() {
		return afterLostAnswer
	}
	return alreadyGone
}

// mayPass reports whether there was no connection, or EC2 still says that the missing image uses
// the snapshot.
func mayPass(err error) bool { return neverArrived(err) || wire.Code(err) == "InvalidSnapshot.InUse" }

func failure(code types.SnapshotReturnCodes, err error) string {
	if code == "" || code == types.SnapshotReturnCodesWarnSkipped {
		return wire.Explain(err)
	}
	return fmt.Sprintf("%s; then %s", code, wire.Explain(err))
}

// isGone reports whether EC2 says that a snapshot does not exist.
func (s *sweep) isGone(ctx context.Context, id string) bool {
	seen, _, _ := wire.FindSnapshot(ctx, s.api, id)
	return seen == wire.Gone
}

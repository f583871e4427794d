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
	// alreadyGone is said of a snapshot that somebody else has deleted.
	alreadyGone = "was already gone"
	// afterLostAnswer is said of one that this run has deleted, as far as anybody can know.
	afterLostAnswer = "seen to be gone after a lost answer"
)

// deleteSnapshot deletes one snapshot whose image is gone. EC2 may go on saying for a while that the image uses it, which
// is worth a few more attempts, as is an answer that was lost: a snapshot that is not found is deleted.
//
// The SDK's own retries are off, as they are for deregister: only who counts the attempts can tell one's own deletion from that of
// somebody else.
//
// The answer is the one to the deregistration of its image, which may have said what became of the snapshot, or was lost.
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
			tries = patience
		case !mayPass(err):
			return ami.SnapshotFailed, failure(deregistered.codes[id], err)
		}
	}
	if gone == afterLostAnswer && s.isGone(ctx, id) {
		return ami.SnapshotDeleted, afterLostAnswer
	}
	return ami.SnapshotFailed, failure(deregistered.codes[id], err)
}

// await waits until an attempt may be made, the first of which is 1, or says why it may not.
func (s *sweep) await(ctx context.Context, attempt int) error {
	if attempt > 1 && !pause(ctx, attempt-1) {
		return ctx.Err()
	}
	return s.session.MayContinue(ctx, journal.WithinChunk)
}

// mayHaveDeleted reports whether the snapshots of an image may have gone along without a word.
func (a answer) mayHaveDeleted() bool { return a.lost && a.along }

// whoseDeletion says of a snapshot that is gone before anybody was asked to delete it how that came about, given the answer to the
// deregistration of its image.
func (a answer) whoseDeletion() string {
	if a.mayHaveDeleted() {
		return afterLostAnswer
	}
	return alreadyGone
}

// mayPass reports whether there was no connection, or EC2 goes on saying that an image uses the snapshot which is gone.
func mayPass(err error) bool { return neverArrived(err) || wire.Code(err) == "InvalidSnapshot.InUse" }

func failure(code types.SnapshotReturnCodes, err error) string {
	if code == "" || code == types.SnapshotReturnCodesWarnSkipped {
		return wire.Explain(err)
	}
	return fmt.Sprintf("%s; then %s", code, wire.Explain(err))
}

// isGone reports whether EC2 says of a snapshot that there is none.
func (s *sweep) isGone(ctx context.Context, id string) bool {
	seen, _, _ := wire.FindSnapshot(ctx, s.api, id)
	return seen == wire.Gone
}

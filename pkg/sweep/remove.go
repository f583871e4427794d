package sweep

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"ami-janitor/pkg/ami"
	"ami-janitor/pkg/retention"
	"ami-janitor/pkg/wire"
)

// removalAPI is what removals need of EC2.
type removalAPI interface {
	ec2.DescribeImagesAPIClient
	ec2.DescribeSnapshotsAPIClient
	DeregisterImage(context.Context, *ec2.DeregisterImageInput, ...func(*ec2.Options)) (*ec2.DeregisterImageOutput, error)
	DeleteSnapshot(context.Context, *ec2.DeleteSnapshotInput, ...func(*ec2.Options)) (*ec2.DeleteSnapshotOutput, error)
}

// batch is how many images are looked at again before they are removed: as many as DescribeImageReferences takes at a
// time (EC2 API Reference).
const batch = 10

// remove removes the images that the plan deregisters, one after the other. Each batch of them is looked at again first:
// much may have happened since the plan was made, and what has come into use meanwhile stays.
func (s *sweep) remove(ctx, begin context.Context) {
	var due []int
	for i, verdict := range s.plan.Verdicts {
		if verdict.Decision != retention.Deregister {
			continue
		}
		due = append(due, i)
		for _, snapshot := range verdict.Snapshots {
			s.users[snapshot.SnapshotID] = append(s.users[snapshot.SnapshotID], verdict.Image.ID)
		}
	}
	for some := range slices.Chunk(due, batch) {
		var stay map[string]retention.Reason
		if begin.Err() == nil {
			stay = s.recheck(ctx, some)
		}
		s.each(begin, some, stay, func(verdict retention.Verdict) ami.Outcome { return s.removeImage(ctx, verdict) })
	}
	s.settleShared()
}

// recheck returns the reasons for those of the images that have to stay after all.
func (s *sweep) recheck(ctx context.Context, verdicts []int) map[string]retention.Reason {
	images := make([]ami.Image, len(verdicts))
	for n, i := range verdicts {
		images[n] = s.plan.Verdicts[i].Image
	}
	return s.orders.Recheck(ctx, images)
}

// removeImage deregisters one image and deletes those of its snapshots that go with it.
func (s *sweep) removeImage(ctx context.Context, verdict retention.Verdict) ami.Outcome {
	doomed := s.doomed(verdict)
	answer := deregister(ctx, s.api, verdict.Image.ID, len(doomed) > 0 && len(doomed) == len(verdict.Snapshots))
	switch {
	case answer.gone:
		return untouched(verdict, ami.Skipped, "gone before this run came to it: "+wire.Explain(answer.err))
	case answer.err != nil && answer.lost:
		return unconfirmed(verdict, "may or may not be deregistered: "+wire.Explain(answer.err))
	case answer.err != nil:
		return untouched(verdict, ami.Failed, wire.Explain(answer.err))
	}
	s.gone[verdict.Image.ID] = true
	var absent map[string]bool
	if answer.lost {
		absent = findAbsent(ctx, s.api, doomed)
	}
	outcome := ami.Outcome{ImageID: verdict.Image.ID, Status: ami.Deregistered, Snapshots: []ami.SnapshotResult{}}
	for _, snapshot := range verdict.Snapshots {
		result := ami.SnapshotResult{SnapshotID: snapshot.SnapshotID}
		switch {
		case !slices.Contains(doomed, snapshot.SnapshotID):
			result.Status, result.Detail = ami.SnapshotKept, s.whyKept(verdict.Image.ID, snapshot)
		case answer.codes[snapshot.SnapshotID] == types.SnapshotReturnCodesSuccess:
			result.Status = ami.SnapshotDeleted
		case absent[snapshot.SnapshotID]:
			result.Status, result.Detail = ami.SnapshotDeleted, "seen to be gone after a lost answer"
		default:
			result.Status, result.Detail = deleteSnapshot(ctx, s.api, snapshot.SnapshotID, answer.codes[snapshot.SnapshotID])
		}
		outcome.Snapshots = append(outcome.Snapshots, result)
	}
	return outcome
}

// doomed returns the snapshots that go with an image: those that the plan deletes with it, unless another image of the
// plan that uses them is still there.
func (s *sweep) doomed(verdict retention.Verdict) []string {
	var ids []string
	for _, snapshot := range verdict.Snapshots {
		if s.whyKept(verdict.Image.ID, snapshot) == "" {
			ids = append(ids, snapshot.SnapshotID)
		}
	}
	return ids
}

// whyKept says why a snapshot stays when an image goes; empty if it goes with that image.
func (s *sweep) whyKept(imageID string, snapshot retention.SnapshotVerdict) string {
	if !snapshot.Delete {
		return snapshot.Why
	}
	if snapshot.LastImageID != imageID {
		return "goes with " + snapshot.LastImageID
	}
	for _, user := range s.users[snapshot.SnapshotID] {
		if user != imageID && !s.gone[user] {
			return "left alone: nothing confirms that this run removed " + user + ", which is mapped to it"
		}
	}
	return ""
}

// untouched is the outcome of an image of which this run has removed nothing.
func untouched(verdict retention.Verdict, status ami.Status, why string) ami.Outcome {
	return outcomeForAll(verdict, status, why, func(snapshot retention.SnapshotVerdict) ami.SnapshotResult {
		detail := snapshot.Why
		if snapshot.Delete {
			detail = "left alone: " + verdict.Image.ID + " was not removed by this run"
		}
		return ami.SnapshotResult{SnapshotID: snapshot.SnapshotID, Status: ami.SnapshotKept, Detail: detail}
	})
}

// unconfirmed is the outcome of an image whose deregistration may have taken effect.
func unconfirmed(verdict retention.Verdict, why string) ami.Outcome {
	return outcomeForAll(verdict, ami.Failed, why, func(snapshot retention.SnapshotVerdict) ami.SnapshotResult {
		if !snapshot.Delete {
			return ami.SnapshotResult{SnapshotID: snapshot.SnapshotID, Status: ami.SnapshotKept, Detail: snapshot.Why}
		}
		detail := "it is not known whether it went with " + verdict.Image.ID
		return ami.SnapshotResult{SnapshotID: snapshot.SnapshotID, Status: ami.SnapshotFailed, Detail: detail}
	})
}

func outcomeForAll(
	verdict retention.Verdict, status ami.Status, why string, result func(retention.SnapshotVerdict) ami.SnapshotResult,
) ami.Outcome {
	outcome := ami.Outcome{ImageID: verdict.Image.ID, Status: status, Error: why, Snapshots: []ami.SnapshotResult{}}
	for _, snapshot := range verdict.Snapshots {
		outcome.Snapshots = append(outcome.Snapshots, result(snapshot))
	}
	return outcome
}

// settleShared gives every image of the plan that shares a snapshot the result of the image it was to go with, so that
// the record says one thing of one snapshot.
func (s *sweep) settleShared() {
	type key struct{ imageID, snapshotID string }
	results := map[key]ami.SnapshotResult{}
	for _, outcome := range s.outcomes {
		for _, result := range outcome.Snapshots {
			results[key{outcome.ImageID, result.SnapshotID}] = result
		}
	}
	for i, verdict := range s.plan.Verdicts {
		if verdict.Decision != retention.Deregister {
			continue
		}
		for j, snapshot := range verdict.Snapshots {
			if snapshot.Delete && snapshot.LastImageID != verdict.Image.ID {
				s.outcomes[i].Snapshots[j] = results[key{snapshot.LastImageID, snapshot.SnapshotID}]
			}
		}
	}
}

// Package sweep carries out a plan: it deregisters images, deletes their snapshots, and returns what EC2 confirmed. It
// decides nothing, except to leave alone what turns out not to be as planned.
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

// API is what the sweep needs of EC2.
type API interface {
	ec2.DescribeImagesAPIClient
	ec2.DescribeSnapshotsAPIClient
	DeregisterImage(context.Context, *ec2.DeregisterImageInput, ...func(*ec2.Options)) (*ec2.DeregisterImageOutput, error)
	DeleteSnapshot(context.Context, *ec2.DeleteSnapshotInput, ...func(*ec2.Options)) (*ec2.DeleteSnapshotOutput, error)
}

// notReached is why an image was skipped for which there was no time.
const notReached = "not reached before the time of this run was up; the next run will find it again"

// Run removes the images that the plan deregisters, one after the other, and returns one outcome for each of them, in
// the order of the plan. A failure never stops the next image.
//
// No image is begun once begin is done; one that has been begun is finished, with its snapshots, as long as ctx lasts.
// After each image step is called with the number of images done and to be done.
func Run(ctx, begin context.Context, api API, plan retention.Plan, step func(done, total int)) []ami.Outcome {
	s := sweep{api: api, users: map[string][]string{}, gone: map[string]bool{}}
	var due []retention.Verdict
	for _, verdict := range plan.Verdicts {
		if verdict.Decision != retention.Deregister {
			continue
		}
		due = append(due, verdict)
		for _, snapshot := range verdict.Snapshots {
			s.users[snapshot.SnapshotID] = append(s.users[snapshot.SnapshotID], verdict.Image.ID)
		}
	}
	outcomes := make([]ami.Outcome, 0, len(due))
	for i, verdict := range due {
		if begin.Err() != nil {
			outcomes = append(outcomes, untouched(verdict, ami.Skipped, notReached))
			continue
		}
		outcomes = append(outcomes, s.remove(ctx, verdict))
		step(i+1, len(due))
	}
	settleShared(due, outcomes)
	return outcomes
}

// sweep is the state of one Run.
type sweep struct {
	api   API
	users map[string][]string // The images of the plan that use a snapshot, by its id.
	gone  map[string]bool     // The images whose deregistration is confirmed.
}

// remove deregisters one image and deletes those of its snapshots that go with it.
func (s *sweep) remove(ctx context.Context, verdict retention.Verdict) ami.Outcome {
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
func settleShared(due []retention.Verdict, outcomes []ami.Outcome) {
	type key struct{ imageID, snapshotID string }
	results := map[key]ami.SnapshotResult{}
	for _, outcome := range outcomes {
		for _, result := range outcome.Snapshots {
			results[key{outcome.ImageID, result.SnapshotID}] = result
		}
	}
	for i, verdict := range due {
		for j, snapshot := range verdict.Snapshots {
			if snapshot.Delete && snapshot.LastImageID != verdict.Image.ID {
				outcomes[i].Snapshots[j] = results[key{snapshot.LastImageID, snapshot.SnapshotID}]
			}
		}
	}
}

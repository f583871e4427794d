package sweep

import (
	"ami-janitor/pkg/ami"
	"ami-janitor/pkg/retention"
)

// stayed is the outcome of an image that has to stay after all.
func stayed(verdict retention.Verdict, reason retention.Reason) ami.Outcome {
	outcome := untouched(verdict, ami.Skipped, string(reason.Code)+": "+reason.Detail)
	outcome.Code = string(reason.Code)
	return outcome
}

// skipped is the outcome of an image that this run did not come to.
func skipped(verdict retention.Verdict) ami.Outcome {
	outcome := untouched(verdict, ami.Skipped, notReached)
	outcome.Code = NotReached
	return outcome
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

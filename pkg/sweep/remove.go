package sweep

import (
	"context"
	"errors"
	"regexp"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"golang.org/x/sync/errgroup"

	"ami-janitor/pkg/ami"
	"ami-janitor/pkg/journal"
	"ami-janitor/pkg/retention"
	"ami-janitor/pkg/wire"
)

// removalAPI is what removals need of EC2.
type removalAPI interface {
	ec2.DescribeImagesAPIClient
	ec2.DescribeSnapshotsAPIClient
	ec2.DescribeTagsAPIClient
	DeregisterImage(context.Context, *ec2.DeregisterImageInput, ...func(*ec2.Options)) (*ec2.DeregisterImageOutput, error)
	DeleteSnapshot(context.Context, *ec2.DeleteSnapshotInput, ...func(*ec2.Options)) (*ec2.DeleteSnapshotOutput, error)
}

const (
	// batch is how many images are looked at again before they are removed: as many as DescribeImageReferences takes at a
	// time (EC2 API Reference).
	batch = 10
	// chunkSize is how many images are declared, and their facts read again, before the next ones: as many as EC2
	// deregisters in 20 seconds.
	chunkSize = 100
	// inFlight is how many removals are on their way at a time: at five a second (EC2 Developer Guide, "Request throttling")
	// enough for answers that take some seconds, and for the time between two chunks to be made up.
	inFlight = 40
	// enoughDenied is how many images have to be refused for want of a permission, all for the same reason, until no further one
	// is tried.
	enoughDenied = 3
)

// remove removes the images that the plan deregisters.
func (s *sweep) remove(ctx context.Context) {
	due := s.decided(retention.Deregister)
	slices.SortStableFunc(due, func(a, b int) int { return s.behind(a) - s.behind(b) })
	for _, i := range due {
		verdict := s.Plan.Verdicts[i]
		for _, id := range doomed(verdict) {
			s.users[id] = append(s.users[id], verdict.Image.ID)
		}
	}
	if s.RequireBin {
		s.canaryFirst(due)
	}
	for some := range slices.Chunk(due, chunkSize) {
		s.removeChunk(ctx, some)
	}
	s.removeShared(ctx)
	s.withdraw(ctx, func(string) bool { return true })
}

// removeChunk declares the removal of some images, looks at them again, because much may have happened since the plan was
// made, and removes those that need not stay: one by one, until an image and a snapshot have been seen in the Recycle Bin if they
// have to be.
func (s *sweep) removeChunk(ctx context.Context, some []int) {
	if !s.goesOn(ctx) {
		s.skip(some)
		return
	}
	ready := s.declareChunk(ctx, some)
	clear(s.waited) // IAM has not seen these tags yet.
	for first := true; len(ready) > 0; first = false {
		if !first && !s.goesOn(ctx) {
			s.skip(ready)
			break
		}
		now := len(ready)
		if !s.isProven(ready) {
			s.canaryFirst(ready)
			now = 1
		}
		s.removeReady(ctx, ready[:now])
		s.stopIfDenied(ctx, ready[:now])
		s.proveAll(ctx, ready[:now])
		ready = ready[now:]
	}
	s.tidyUp(ctx, some)
}

// goesOn reports whether there is time to remove further images, and nothing speaks against it.
func (s *sweep) goesOn(ctx context.Context) bool {
	if s.stopped != "" || s.isLate() {
		return false
	}
	if err := s.session.MayContinue(ctx, journal.BetweenChunks); err != nil {
		s.stopped = err.Error()
	}
	return s.stopped == ""
}

// removeReady removes images that have been declared, a few batches of them at a time. Each batch is looked at again first:
// what has come into use meanwhile stays.
func (s *sweep) removeReady(ctx context.Context, ready []int) {
	look := s.recheck.of(s.imagesOf(ready))
	var batches errgroup.Group
	batches.SetLimit(max(s.inFlight/batch, 1))
	for some := range slices.Chunk(ready, batch) {
		batches.Go(func() error {
			var stay map[string]retention.Reason
			if !s.isLate() {
				stay = look.again(ctx, s.imagesOf(some))
			}
			var removals errgroup.Group
			removals.SetLimit(s.inFlight)
			for _, i := range some {
				removals.Go(func() error {
					s.removeOne(ctx, i, stay)
					return nil
				})
			}
			return removals.Wait()
		})
	}
	_ = batches.Wait()
}

// skip leaves images alone for which there is no time, or that must not be removed any more.
func (s *sweep) skip(some []int) {
	for _, i := range some {
		s.outcomes[i] = skipped(s.Plan.Verdicts[i])
		if s.stopped != "" {
			s.outcomes[i] = untouched(s.Plan.Verdicts[i], ami.Skipped, s.stopped)
			s.outcomes[i].Code = Stopped
		}
	}
}

// removeOne removes one image of a chunk, unless it has to stay or there is no time.
func (s *sweep) removeOne(ctx context.Context, i int, stay map[string]retention.Reason) {
	verdict := s.Plan.Verdicts[i]
	outcome := skipped(verdict)
	switch reason, stays := stay[verdict.Image.ID]; {
	case stays:
		outcome = stayed(verdict, reason)
		s.settle(outcome)
	case !s.isLate():
		outcome = s.removeImage(ctx, verdict)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.outcomes[i] = outcome
	s.gone[verdict.Image.ID] = outcome.Status == ami.Deregistered
	if outcome.Code != NotReached {
		s.step()
	}
}

// declareChunk declares the removal of images and of the snapshots that go with them, and returns the images that may be
// removed: without the declaration IAM refuses, and a snapshot would be left behind. Should the time be up before a declaration
// is seen, its image has not been reached.
func (s *sweep) declareChunk(ctx context.Context, some []int) (ready []int) {
	var ids []string
	for _, i := range some {
		ids = append(ids, s.Plan.Verdicts[i].Image.ID)
		ids = append(ids, doomed(s.Plan.Verdicts[i])...)
	}
	slices.Sort(ids)
	failed := s.declare(ctx, slices.Compact(ids))
	for _, i := range some {
		verdict := s.Plan.Verdicts[i]
		obstacle := failed[verdict.Image.ID]
		s.noteDeclared(verdict.Image.ID, obstacle)
		for _, id := range doomed(verdict) {
			s.noteDeclared(id, failed[id])
			if obstacle == nil && failed[id] != nil && !isAbsent(failed[id]) { // One that is gone already need not be declared.
				obstacle = snapshotError{id, failed[id]}
			}
		}
		if obstacle == nil {
			ready = append(ready, i)
			continue
		}
		if s.outcomes[i] = undeclared(verdict, obstacle, s.isLate()); s.outcomes[i].Code != NotReached {
			s.step()
		}
	}
	s.settleUndeclared(ctx, some, len(ready) == 0 && len(some) >= enoughDenied)
	return ready
}

// settleUndeclared notes which images of a chunk could not be declared. That EC2 has refused all of them says nothing of any.
func (s *sweep) settleUndeclared(ctx context.Context, some []int, all bool) {
	for _, i := range some {
		if outcome := &s.outcomes[i]; outcome.Status == ami.Failed {
			outcome.Refused = outcome.Refused && !all
			s.settle(*outcome)
		}
	}
}

// snapshotError is why the removal of a snapshot is not declared.
type snapshotError struct {
	id string
	error
}

func (e snapshotError) Unwrap() error { return e.error }

// undeclared is the outcome of an image whose removal is not declared: because it is gone, because a run beside this one was
// quicker, because the time was up, or because EC2 refuses.
func undeclared(verdict retention.Verdict, obstacle error, late bool) ami.Outcome {
	why := wire.Explain(obstacle)
	if of, ok := errors.AsType[snapshotError](obstacle); ok {
		why = of.id + ": " + why
	}
	claimed, isClaimed := errors.AsType[claimedError](obstacle)
	switch {
	case isAbsent(obstacle):
		return untouched(verdict, ami.Skipped, "gone before this run came to it: "+why)
	case isClaimed:
		return stayed(verdict, retention.Reason{Code: "claimed", Detail: claimed.Error()})
	case late && isLate(obstacle):
		return skipped(verdict)
	default:
		outcome := untouched(verdict, ami.Failed, "its removal could not be declared: "+why)
		outcome.Refused = isRefusal(obstacle)
		return outcome
	}
}

// noteDeclared notes what carries a declaration, or may carry one. That of a run beside this one is not for this one to take off.
func (s *sweep) noteDeclared(id string, refusal error) {
	if _, isClaimed := errors.AsType[claimedError](refusal); !isClaimed && !isAbsent(refusal) {
		s.declared[id] = true
	}
}

// doomed returns the snapshots that are to go when an image goes, or with another one that shares them.
func doomed(verdict retention.Verdict) []string {
	var ids []string
	for _, snapshot := range verdict.Snapshots {
		if snapshot.Delete {
			ids = append(ids, snapshot.SnapshotID)
		}
	}
	return ids
}

// stopIfDenied stops the region if EC2 has allowed no removal until now, and has refused enough of them for want of the same
// permission: it is going to refuse all others, after minutes of patience. A policy may protect one image or another.
func (s *sweep) stopIfDenied(ctx context.Context, some []int) {
	for _, i := range some {
		switch s.outcomes[i].Status {
		case ami.Deregistered:
			s.allowed = true
		case ami.Failed:
			s.failed++
		default:
		}
	}
	for _, images := range s.denied {
		if s.stopped == "" && !s.allowed && len(images) >= enoughDenied {
			s.stopped = "not tried: EC2 has refused every removal before it, for want of a permission"
			s.acquit(ctx, images)
		}
	}
}

// acquit notes that EC2 has refused images together with all others: that says nothing of these, unless they could not be removed
// before either.
func (s *sweep) acquit(ctx context.Context, images []string) {
	for i := range s.outcomes {
		if outcome := &s.outcomes[i]; outcome.Refused && s.behind(i) == 0 && slices.Contains(images, outcome.ImageID) {
			outcome.Refused = false
			s.settle(*outcome)
		}
	}
}

// reasonOf is what a refusal says, the same for every image that is refused for the same reason.
func reasonOf(err error) string { return resourceID.ReplaceAllString(wire.Explain(err), "ID") }

var resourceID = regexp.MustCompile(`\b(ami|snap)-[0-9a-f]+\b`)

// noteDenied notes it if EC2 has refused the removal of an image for want of a permission, however often it was asked.
func (s *sweep) noteDenied(imageID string, answer answer) {
	if !answer.isRefused() || wire.Code(answer.err) != unauthorized {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	reason := reasonOf(answer.err)
	s.denied[reason] = append(s.denied[reason], imageID)
	s.waited[reason] = true
}

// patienceFor returns how often EC2 is asked while it refuses for a while only. IAM may take some time to see the tags of a chunk;
// once one image of it was refused all that time, the same refusal of another one has no such reason, and minutes for each
// image that a policy protects would take the night.
func (s *sweep) patienceFor(err error) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waited[reasonOf(err)] {
		return attempts
	}
	return patience
}

// proveAll looks for images that were removed in the Recycle Bin, as long as that is to be proven.
func (s *sweep) proveAll(ctx context.Context, some []int) {
	for _, i := range some {
		if outcome := s.outcomes[i]; outcome.Status == ami.Deregistered {
			s.prove(ctx, outcome.ImageID, slices.DeleteFunc(deletedHere(outcome.Snapshots), s.isShared))
		}
	}
}

// tidyUp takes the declaration off what stays after a chunk. A snapshot that was to go and did not keeps its tags if the next
// run is going to finish it. So do an image that may be gone, and its snapshots: in the Recycle Bin an undo finds them by these,
// and if they are there, they are kept.
func (s *sweep) tidyUp(ctx context.Context, some []int) {
	for _, i := range some {
		for _, result := range s.outcomes[i].Snapshots {
			if !s.isShared(result.SnapshotID) {
				s.forget(result)
			}
		}
		id := s.outcomes[i].ImageID
		if s.unsure[id] {
			for _, snapshot := range doomed(s.Plan.Verdicts[i]) {
				if !s.isShared(snapshot) {
					delete(s.declared, snapshot)
				}
			}
		}
		if s.unsure[id] || s.outcomes[i].Status == ami.Deregistered {
			delete(s.declared, id)
		}
	}
	s.withdraw(ctx, func(id string) bool { return !s.isShared(id) })
}

// forget strikes a snapshot off what carries a declaration that has to be taken off.
func (s *sweep) forget(result ami.SnapshotResult) {
	if result.Status == ami.SnapshotDeleted || result.Status == ami.SnapshotFailed && s.session.IsRecorded() {
		delete(s.declared, result.SnapshotID)
	}
}

// isShared reports whether several images of the plan that are to be deregistered use a snapshot.
func (s *sweep) isShared(snapshotID string) bool { return len(s.users[snapshotID]) > 1 }

// removeImage deregisters one image and deletes those of its snapshots that go with it alone.
func (s *sweep) removeImage(ctx context.Context, verdict retention.Verdict) ami.Outcome {
	var alone []string
	for _, id := range doomed(verdict) {
		if !s.isShared(id) {
			alone = append(alone, id)
		}
	}
	if err := s.session.Attempt(ctx, declaration(verdict)); err != nil {
		return untouched(verdict, ami.Failed, "not removed: "+err.Error())
	}
	answer := s.deregister(ctx, verdict.Image.ID, len(alone) > 0 && len(alone) == len(verdict.Snapshots))
	s.noteDenied(verdict.Image.ID, answer)
	outcome := s.whatBecame(ctx, verdict, answer, alone)
	if answer.lost && outcome.Status != ami.Deregistered { // Nobody knows.
		s.mu.Lock()
		defer s.mu.Unlock()
		s.unsure[verdict.Image.ID] = true
		return outcome
	}
	s.settle(outcome)
	return outcome
}

func (s *sweep) whatBecame(ctx context.Context, verdict retention.Verdict, answer answer, alone []string) ami.Outcome {
	switch {
	case answer.gone:
		return untouched(verdict, ami.Skipped, "gone before this run came to it: "+wire.Explain(answer.err))
	case answer.err != nil && answer.lost:
		return unconfirmed(verdict, "may or may not be deregistered: "+wire.Explain(answer.err))
	case answer.err != nil:
		return failed(verdict, answer)
	}
	var absent map[string]bool
	if answer.mayHaveDeleted() {
		absent = findAbsent(ctx, s.api, alone)
	}
	outcome := ami.Outcome{ImageID: verdict.Image.ID, Status: ami.Deregistered, Snapshots: []ami.SnapshotResult{}}
	for _, snapshot := range verdict.Snapshots {
		result := ami.SnapshotResult{SnapshotID: snapshot.SnapshotID}
		switch {
		case !snapshot.Delete:
			result.Status, result.Detail = ami.SnapshotKept, snapshot.Why
		case s.isShared(snapshot.SnapshotID):
			result.Status, result.Detail = ami.SnapshotFailed, waiting
		case answer.codes[snapshot.SnapshotID] == types.SnapshotReturnCodesSuccess:
			result.Status = ami.SnapshotDeleted
		case absent[snapshot.SnapshotID]:
			result.Status, result.Detail = ami.SnapshotDeleted, afterLostAnswer
		default:
			result.Status, result.Detail = s.deleteSnapshot(ctx, snapshot.SnapshotID, answer)
		}
		outcome.Snapshots = append(outcome.Snapshots, result)
	}
	return outcome
}

// failed is the outcome of an image that EC2 does not deregister, or that no attempt was in time for.
func failed(verdict retention.Verdict, answer answer) ami.Outcome {
	if isLate(answer.err) && !neverArrived(answer.err) { // A connection that times out says the same.
		return skipped(verdict)
	}
	outcome := untouched(verdict, ami.Failed, wire.Explain(answer.err))
	outcome.Refused = answer.isRefused()
	return outcome
}

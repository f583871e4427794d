package sweep

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"ami-janitor/pkg/journal"
	"ami-janitor/pkg/retention"
	"ami-janitor/pkg/wire"
)

// EC2 takes at most 1,000 resources in one call of CreateTags or DeleteTags (EC2 API Reference, CreateTags), and 200 values
// in one filter (EC2 User Guide, "List and filter your resources").
const (
	taggedAtOnce = 1000
	filterValues = 200
)

// declare writes the tags with which this run declares that it means to remove images and snapshots, and reads them back:
// EC2 shows changes late, and IAM judges by what it sees. It returns why each resource that is not declared is not. Nothing is
// read back any more once it is too late to begin: there is no time left for what the declaration is for.
func (s *sweep) declare(ctx context.Context, ids []string) map[string]error {
	failed := inBatches(ids, func(batch []string) error {
		_, err := s.api.CreateTags(ctx, &ec2.CreateTagsInput{Resources: batch, Tags: []types.Tag{
			{Key: aws.String(retention.IntentTag), Value: aws.String(retention.Intent)},
			{Key: aws.String(retention.RunTag), Value: aws.String(s.Run)},
		}})
		return err
	})
	written := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return failed[id] != nil })
	maps.Copy(failed, s.awaitTags(s.limits.Begin, written))
	return failed
}

// errUnseen is what a declaration fails with that cannot be read back.
var errUnseen = errors.New("the tags that declare the removal cannot be read back")

// claimedError says that a run beside this one has declared the removal since.
type claimedError struct{ by string }

func (e claimedError) Error() string { return "run " + e.by + " has declared its removal" }

// isLate reports whether an error says no more than that the time was up.
func isLate(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// awaitTags waits until all resources are seen to carry this run's declaration, and returns why others do not.
func (s *sweep) awaitTags(ctx context.Context, ids []string) map[string]error {
	unseen := map[string]error{}
	for _, id := range ids {
		unseen[id] = errUnseen
	}
	for try := range patience {
		for some := range slices.Chunk(slices.Sorted(maps.Keys(unseen)), filterValues) {
			s.lookForTags(ctx, some, unseen)
		}
		if len(unseen) == 0 || try+1 == patience || ctx.Err() != nil {
			break
		}
		pause(ctx, try+1) // Should the time be up, the next look says so.
	}
	return unseen
}

// lookForTags looks at some resources once. Of those that are not seen to carry the declaration it notes why; that the time is
// up says less than what came before.
func (s *sweep) lookForTags(ctx context.Context, some []string, unseen map[string]error) {
	carriers, err := s.carriers(ctx, some)
	for _, id := range some {
		switch {
		case carriers[id] == s.Run:
			delete(unseen, id)
		case retention.MayBeAtWork(carriers[id], s.Now):
			unseen[id] = claimedError{carriers[id]}
		case err == nil:
			unseen[id] = errUnseen
		case ctx.Err() == nil:
			unseen[id] = errors.New(errUnseen.Error() + ": " + wire.ExplainLookup(err))
		case errors.Is(unseen[id], errUnseen):
			unseen[id] = ctx.Err()
		}
	}
}

// carriers returns, by id, the runs whose declarations the resources carry.
func (s *sweep) carriers(ctx context.Context, ids []string) (map[string]string, error) {
	declared, runs := map[string]bool{}, map[string]string{}
	pages := ec2.NewDescribeTagsPaginator(s.api, &ec2.DescribeTagsInput{
		Filters: []types.Filter{
			{Name: aws.String("resource-id"), Values: ids},
			{Name: aws.String("key"), Values: []string{retention.IntentTag, retention.RunTag}},
		},
		MaxResults: aws.Int32(taggedAtOnce),
	})
	err := wire.EachPage(ctx, pages, func(page *ec2.DescribeTagsOutput) *string {
		for _, tag := range page.Tags {
			switch id, value := aws.ToString(tag.ResourceId), aws.ToString(tag.Value); aws.ToString(tag.Key) {
			case retention.IntentTag:
				declared[id] = value == retention.Intent
			case retention.RunTag:
				runs[id] = value
			}
		}
		return page.NextToken
	})
	if err != nil {
		return nil, err
	}
	maps.DeleteFunc(runs, func(id, _ string) bool { return !declared[id] })
	return runs, nil
}

// withdraw takes this run's declaration off what still carries it, as far as it is to. What is gone carries nothing any more. The next
// run finds what could not be done, and what nobody can see the tags of: a run of another policy may have declared it since.
func (s *sweep) withdraw(ctx context.Context, concerns func(id string) bool) {
	ids := slices.DeleteFunc(slices.Sorted(maps.Keys(s.declared)), func(id string) bool { return !concerns(id) })
	if len(ids) == 0 {
		return
	}
	if err := s.session.MayContinue(ctx, journal.BetweenChunks); err != nil { // Another run may be at work on them by now.
		s.stillDeclared = true
		return
	}
	own := map[string]string{}
	for _, id := range ids {
		own[id] = s.Run
	}
	since, err := s.declaredSince(ctx, own)
	if err != nil {
		s.stillDeclared = true
		return
	}
	var off []string
	for _, id := range ids {
		s.stillDeclared = s.stillDeclared || since[id] != "" // What is seen may be of before.
		if since[id] == "" {
			off = append(off, id)
		}
		delete(s.declared, id)
	}
	for _, err := range dropTags(ctx, s.api, off, []string{retention.IntentTag, retention.RunTag}) {
		s.stillDeclared = s.stillDeclared || !isAbsent(err)
	}
}

// declaredSince returns, by id, the runs that have since declared resources which another run is known to have declared, as far as can
// be seen. They may have removed them, and their tags are what an undo finds these by in the Recycle Bin.
func (s *sweep) declaredSince(ctx context.Context, declaredBy map[string]string) (map[string]string, error) {
	since := map[string]string{}
	var failed error
	for some := range slices.Chunk(slices.Sorted(maps.Keys(declaredBy)), filterValues) {
		runs, err := s.carriers(ctx, some)
		failed = cmp.Or(failed, err)
		for id, run := range runs {
			if run != declaredBy[id] && retention.MayBeAtWork(run, s.Now) { // Else what is seen is of before.
				since[id] = run
			}
		}
	}
	return since, failed
}

// dropStrays takes declarations off that an earlier run has left on images and snapshots. If another run may be at work, they may be
// that one's by now.
func (s *sweep) dropStrays(ctx context.Context) {
	declaredBy := map[string]string{}
	for _, stray := range s.Plan.Strays {
		declaredBy[stray.ID] = stray.Run
	}
	if len(declaredBy) == 0 {
		return
	}
	if err := s.session.MayContinue(ctx, journal.BetweenChunks); err != nil {
		s.leaveStrays(err.Error())
		return
	}
	since, err := s.declaredSince(ctx, declaredBy)
	if err != nil {
		s.leaveStrays(wire.ExplainLookup(err))
		return
	}
	byKeys := map[string][]string{}
	for _, stray := range s.Plan.Strays {
		if run := since[stray.ID]; run != "" {
			s.strays[stray.ID] = claimedError{run}.Error()
			continue
		}
		set := strings.Join(stray.Keys, "\n")
		byKeys[set] = append(byKeys[set], stray.ID)
	}
	s.clearStrays(ctx, byKeys)
}

// clearStrays takes tags off strays, which are given by the keys of these.
func (s *sweep) clearStrays(ctx context.Context, byKeys map[string][]string) {
	for _, set := range slices.Sorted(maps.Keys(byKeys)) {
		failed := map[string]error{}
		if !s.isLate() {
			failed = dropTags(ctx, s.api, byKeys[set], strings.Split(set, "\n"))
		}
		for _, id := range byKeys[set] {
			switch err := failed[id]; {
			case s.isLate():
				s.strays[id] = notReached
			case err != nil && !isAbsent(err):
				s.strays[id] = wire.Explain(err)
			default:
				s.strays[id] = ""
			}
		}
	}
}

func (s *sweep) leaveStrays(why string) {
	for _, stray := range s.Plan.Strays {
		s.strays[stray.ID] = why
	}
}

// dropTags takes tags off by their keys, whatever their values, and returns why each resource that may still carry them does.
// Without any key it does nothing: EC2 would take off all the tags that users have set (EC2 API Reference, DeleteTags).
func dropTags(ctx context.Context, api markAPI, ids, keys []string) map[string]error {
	if len(keys) == 0 || keys[0] == "" {
		return nil
	}
	tags := make([]types.Tag, len(keys))
	for i, key := range keys {
		tags[i].Key = aws.String(key)
	}
	return inBatches(ids, func(batch []string) error {
		_, err := api.DeleteTags(ctx, &ec2.DeleteTagsInput{Resources: batch, Tags: tags})
		return err
	})
}

// inBatches calls for many resources at once. EC2 refuses a whole call for one resource that it refuses, so that a batch is
// halved until that one is found. It returns the error of each resource for which the call was not confirmed.
func inBatches(ids []string, call func(batch []string) error) map[string]error {
	failed := map[string]error{}
	for batch := range slices.Chunk(ids, taggedAtOnce) {
		inHalves(batch, call, failed)
	}
	return failed
}

func inHalves(batch []string, call func([]string) error, failed map[string]error) {
	err := call(batch)
	if err == nil {
		return
	}
	if len(batch) == 1 || wire.Code(err) == "" || isThrottle(err) { // Nothing that one resource is to blame for.
		for _, id := range batch {
			failed[id] = err
		}
		return
	}
	inHalves(batch[:len(batch)/2], call, failed)
	inHalves(batch[len(batch)/2:], call, failed)
}

// isAbsent reports whether EC2 has refused because an image or a snapshot is not there.
func isAbsent(err error) bool {
	code := wire.Code(err)
	return wire.IsNoImage(err) || wire.IsNoSnapshot(err) || code == "InvalidID"
}

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

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/journal"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
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
		return wire.Tag(ctx, s.api, batch, map[string]string{ami.IntentTag: ami.Intent, ami.RunTag: s.Run})
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
			{Name: aws.String("key"), Values: []string{ami.IntentTag, ami.RunTag}},
		},
		MaxResults: aws.Int32(taggedAtOnce),
	})
	err := wire.EachPage(ctx, pages, func(page *ec2.DescribeTagsOutput) *string {
		for _, tag := range page.Tags {
			switch id, value := aws.ToString(tag.ResourceId), aws.ToString(tag.Value); aws.ToString(tag.Key) {
			case ami.IntentTag:
				declared[id] = value == ami.Intent
			case ami.RunTag:
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

// tagged is an image or a snapshot that carries this run's declaration, or may, and has to lose it.
type tagged struct {
	id       string
	isShared bool
	declared *bool
}

// allDeclared returns all that is tagged, by id.
func (s *sweep) allDeclared() []tagged {
	var all []tagged
	for _, i := range s.images {
		if i.declared {
			all = append(all, tagged{i.Image.ID, false, &i.declared})
		}
	}
	for id, snapshot := range s.snapshots {
		if snapshot.declared {
			all = append(all, tagged{id, snapshot.isShared(), &snapshot.declared})
		}
	}
	slices.SortFunc(all, func(a, b tagged) int { return strings.Compare(a.id, b.id) })
	return all
}

// withdraw takes this run's declaration off. The next run finds what could not be done.
func (s *sweep) withdraw(ctx context.Context, all []tagged) {
	own := make([]declaration, len(all))
	for n, t := range all {
		own[n] = declaration{t.id, s.Run, []string{ami.IntentTag, ami.RunTag}}
	}
	left, err := s.takeOff(ctx, ctx, own)
	s.stillDeclared = s.stillDeclared || err != nil || len(left) > 0
	if err != nil {
		return
	}
	for _, t := range all {
		*t.declared = false
	}
}

// dropStrays takes declarations off that an earlier run has left on images and snapshots.
func (s *sweep) dropStrays(ctx context.Context) {
	strays := make([]declaration, len(s.Plan.Strays))
	for n, stray := range s.Plan.Strays {
		strays[n] = declaration{stray.ID, stray.Run, stray.Keys}
	}
	left, err := s.takeOff(ctx, s.limits.Begin, strays)
	for _, stray := range strays {
		s.strays[stray.id] = left[stray.id]
		if err != nil {
			s.strays[stray.id] = err.Error()
		}
	}
}

// declaration are the tags by which a run has declared the removal of an image or a snapshot.
type declaration struct {
	id, run string
	keys    []string
}

// takeOff takes declarations off, and returns why others may still be there, by id; what is gone
// carries nothing any more. It leaves those alone that another run may have written since: that one
// may have removed what carries them, and an undo finds it by them in the Recycle Bin. It leaves all
// of them alone if nobody can see that, or if the run may not continue. Nothing is begun once begin
// is done.
func (s *sweep) takeOff(ctx, begin context.Context, declarations []declaration) (left map[string]string, err error) {
	if len(declarations) == 0 {
		return nil, nil
	}
	if err := s.session.MayContinue(ctx, journal.BetweenChunks); err != nil {
		return nil, err
	}
	since, err := s.declaredSince(ctx, declarations)
	if err != nil {
		return nil, errors.New(wire.ExplainLookup(err))
	}
	left, byKeys := map[string]string{}, map[string][]string{}
	for _, d := range declarations {
		if run := since[d.id]; run != "" {
			left[d.id] = claimedError{run}.Error()
			continue
		}
		set := strings.Join(d.keys, "\n")
		byKeys[set] = append(byKeys[set], d.id)
	}
	for _, set := range slices.Sorted(maps.Keys(byKeys)) {
		if begin.Err() != nil {
			for _, id := range byKeys[set] {
				left[id] = notReached
			}
			continue
		}
		untag := func(batch []string) error { return wire.Untag(ctx, s.api, batch, strings.Split(set, "\n")) }
		for id, err := range inBatches(byKeys[set], untag) {
			if !isAbsent(err) {
				left[id] = wire.Explain(err)
			}
		}
	}
	return left, nil
}

// declaredSince returns, by id, the runs that have since declared what another run is known to have
// declared, as far as can be seen.
func (s *sweep) declaredSince(ctx context.Context, declarations []declaration) (map[string]string, error) {
	declaredBy := map[string]string{}
	for _, d := range declarations {
		declaredBy[d.id] = d.run
	}
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

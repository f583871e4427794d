package sweep

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/journal"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// EC2 takes at most 1,000 resources in one call of CreateTags or DeleteTags (EC2 API Reference,
// CreateTags), and 200 values in one filter (EC2 User Guide, "List and filter your resources").
const (
	taggedAtOnce = 1000
	filterValues = 200
)

// declare writes the tags that declare the removal of images and snapshots by this run, and reads
// them back: EC2 shows changes late, and IAM judges by what it sees. It returns, for each resource
// that is not declared, why. After the cutoff nothing is read back: there is no time left for the
// removals.
func (s *sweep) declare(ctx context.Context, ids []string) map[string]error {
	failed := inBatches(ids, func(batch []string) error {
		return wire.Tag(ctx, s.api, batch, map[string]string{ami.IntentTag: ami.Intent, ami.RunTag: s.Run})
	})
	written := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return failed[id] != nil })
	maps.Copy(failed, s.awaitTags(s.limits.Cutoff, written))
	return failed
}

// errUnseen is the error of a declaration that cannot be read back.
var errUnseen = errors.New("the tags that declare the removal cannot be read back")

// claimedError says that a concurrent run has declared the removal since.
type claimedError struct{ by string }

func (e claimedError) Error() string { return "run " + e.by + " has declared its removal" }

// isLate reports whether an error says only that time ran out.
func isLate(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// awaitTags waits until all resources show this run's declaration, and returns why others do not.
func (s *sweep) awaitTags(ctx context.Context, ids []string) map[string]error {
	missing := map[string]error{}
	for _, id := range ids {
		missing[id] = errUnseen
	}
	for try := range eventualAttempts {
		for some := range slices.Chunk(slices.Sorted(maps.Keys(missing)), filterValues) {
			s.readTags(ctx, some, missing)
		}
		if len(missing) == 0 || try+1 == eventualAttempts || ctx.Err() != nil {
			break
		}
		pause(ctx, try+1) // If time is up, the next reading says so.
	}
	return missing
}

// readTags reads the tags of some resources once, and notes why some do not show the declaration.
// An expired time replaces no earlier reason.
func (s *sweep) readTags(ctx context.Context, some []string, missing map[string]error) {
	carriers, err := s.carriers(ctx, some)
	for _, id := range some {
		switch {
		case carriers[id] == s.Run:
			delete(missing, id)
		case retention.MayBeAtWork(carriers[id], s.Now):
			missing[id] = claimedError{carriers[id]}
		case err == nil:
			missing[id] = errUnseen
		case ctx.Err() == nil:
			missing[id] = errors.New(errUnseen.Error() + ": " + wire.ExplainLookup(err))
		case errors.Is(missing[id], errUnseen):
			missing[id] = ctx.Err()
		}
	}
}

// carriers returns, by id, the runs whose declarations the resources carry.
func (s *sweep) carriers(ctx context.Context, ids []string) (map[string]string, error) {
	these := types.Filter{Name: aws.String("resource-id"), Values: ids}
	found, err := wire.FindTags(ctx, s.api, these, ami.IntentTag, ami.RunTag)
	runs := map[string]string{}
	for id, tags := range found {
		if tags[ami.IntentTag] == ami.Intent {
			runs[id] = tags[ami.RunTag]
		}
	}
	return runs, err
}

// tagged is an image or a snapshot that carries this run's declaration, or may, and must lose it.
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

// withdraw removes this run's declarations. The next run finds declarations that stay behind.
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

// clearStale removes declarations that earlier runs left on images and snapshots.
func (s *sweep) clearStale(ctx context.Context) {
	stale := make([]declaration, len(s.Plan.Stale))
	for n, declared := range s.Plan.Stale {
		stale[n] = declaration{declared.ID, declared.Run, declared.Keys}
	}
	left, err := s.takeOff(ctx, s.limits.Cutoff, stale)
	for _, declared := range stale {
		s.stale[declared.id] = left[declared.id]
		if err != nil {
			s.stale[declared.id] = err.Error()
		}
	}
}

// declaration is the tags with which a run declared the removal of an image or a snapshot.
type declaration struct {
	id, run string
	keys    []string
}

// takeOff removes declarations, and returns why others may still be there, by id; missing resources
// carry none. It spares a declaration that another run may have written since: that run may have
// removed the resource, and an undo finds it by its declaration in the Recycle Bin. It spares all
// if that cannot be seen, or if the run may not continue. Nothing is started after the cutoff.
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
			// Otherwise the reading is out of date.
			if run != declaredBy[id] && retention.MayBeAtWork(run, s.Now) {
				since[id] = run
			}
		}
	}
	return since, failed
}

// inBatches calls for many resources at once. EC2 refuses an entire call because of one bad
// resource, so a refused batch is halved until that one is found. It returns the error of each
// resource whose call was not confirmed.
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
	// No single resource is to blame.
	if len(batch) == 1 || wire.Code(err) == "" || isThrottle(err) {
		for _, id := range batch {
			failed[id] = err
		}
		return
	}
	inHalves(batch[:len(batch)/2], call, failed)
	inHalves(batch[len(batch)/2:], call, failed)
}

// isAbsent reports whether EC2 refused because an image or a snapshot does not exist.
func isAbsent(err error) bool {
	code := wire.Code(err)
	return wire.IsNoImage(err) || wire.IsNoSnapshot(err) || code == "InvalidID"
}

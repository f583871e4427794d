package undo

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/bundle"
	"github.com/ami-janitor/ami-janitor/pkg/journal"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// Account is the account from which runs have removed something.
type Account struct {
	AWS     aws.Config
	Clock   func() time.Time
	Watch   func(stage string, done, total int) // Called as images come back; may be nil.
	Regions func(context.Context) ([]string, error)

	// CheckClock returns an error if Clock is wrong: an undo writes the day into a tag.
	CheckClock func(context.Context) error

	// Bundles returns where the bundles of the account are.
	Bundles func(context.Context) (*bundle.Store, error)

	// Journal opens the journal that holds the records of runs; nil if none is kept.
	Journal func(context.Context) (*journal.Journal, error)
}

// ErrUnknownRun says that no trace of a run was found, neither a record nor a tag.
var ErrUnknownRun = errors.New("no such run")

var imageID = regexp.MustCompile(`^ami-[0-9a-z]+$`)

// Run brings back all that a run has removed, as far as the Recycle Bin holds it. It goes by the
// run's record, if there is one, and by the tags with which the run declared what it removes. An
// error means that there is no such run.
func (a *Account) Run(ctx context.Context, run string) (Report, error) {
	if !ami.RunID(run).Valid() {
		return Report{}, fmt.Errorf("%q is not the id of a run", run)
	}
	report := Report{Run: run, Gone: []Image{}}
	regions, err := a.regions(ctx)
	if err != nil {
		report.Regions = []RegionReport{a.failed(err)}
		return report, nil
	}
	recorded, known, err := a.record(ctx, run)
	if err != nil {
		report.Warning = fmt.Sprintf("the record of the run could not be read, so only the tags were used: %s", wire.Explain(err))
	}
	report.Regions = wire.InRegions(regions, func(region string) RegionReport {
		report := a.undo(ctx, region, func(*Bin) Request {
			return Request{Run: run, Images: removedBy(recorded, region)}
		})
		return a.withBundles(ctx, report, func(kept *journal.Journal) ([]journal.DeletedBundle, error) { return kept.BundlesOf(ctx, region, run) })
	})
	for _, region := range recorded.Regions {
		removed := len(removedBy(recorded, region.Region))
		if removed > 0 && !slices.Contains(regions, region.Region) {
			report.Regions = append(report.Regions, failedRegion(region.Region, fmt.Errorf(
				"the run has removed images there, %d in number, but it is not among the regions that are judged", removed,
			)))
		}
	}
	slices.SortFunc(report.Regions, func(a, b RegionReport) int { return strings.Compare(a.Region, b.Region) })
	if !known && report.Warning == "" && report.IsEmpty() {
		return Report{}, fmt.Errorf("%w: nothing in %s carries the tags of %q, and there is no record of it", ErrUnknownRun, strings.Join(regions, ", "), run)
	}
	report.Unrecorded = !known
	return report, nil
}

// Images brings back some images, as far as the Recycle Bin holds them, each with its snapshots:
// those that the record of its run names. Without a record these are the snapshots whose
// descriptions name the image. An error means that an id is not the id of an image.
func (a *Account) Images(ctx context.Context, ids []string) (Report, error) {
	for _, id := range ids {
		if !imageID.MatchString(id) {
			return Report{}, fmt.Errorf("%q is not the id of an image", id)
		}
	}
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	report := Report{Gone: []Image{}}
	regions, err := a.regions(ctx)
	if err != nil {
		report.Regions = []RegionReport{a.failed(err)}
		return report, nil
	}
	records := a.newRecords()
	report.Regions = wire.InRegions(regions, func(region string) RegionReport {
		report := a.undo(ctx, region, func(bin *Bin) Request {
			return Request{Images: records.removed(ctx, bin, region, ids)}
		})
		return a.withBundles(ctx, report, func(kept *journal.Journal) ([]journal.DeletedBundle, error) {
			return kept.BundlesOfImages(ctx, region, ids)
		})
	})
	report.Warning = records.warning()
	report.gather(ids)
	return report, nil
}

// regions returns the regions in which something may be brought back.
func (a *Account) regions(ctx context.Context) ([]string, error) {
	if err := a.CheckClock(ctx); err != nil {
		return nil, err
	}
	return a.Regions(ctx)
}

// undo brings back in one region what is asked of its bin.
func (a *Account) undo(ctx context.Context, region string, ask func(*Bin) Request) RegionReport {
	client := wire.EC2(a.AWS, region)
	bin, err := Look(ctx, client)
	if err != nil {
		return failedRegion(region, err)
	}
	request := ask(bin)
	request.Today = a.Clock()
	if a.Watch != nil {
		request.Step = func(done, total int) { a.Watch("Restoring in "+region, done, total) }
	}
	result, err := Run(ctx, client, bin, request)
	if err != nil {
		return failedRegion(region, err)
	}
	return RegionReport{Region: region, Result: result}
}

// failed stands for all regions, where not even their names are known.
func (a *Account) failed(err error) RegionReport { return failedRegion(a.AWS.Region, err) }

// Restorable returns what runs have removed and the Recycle Bin still holds, in all regions, and
// how much of it an undo brings back.
func (a *Account) Restorable(ctx context.Context) Restorable {
	all := Restorable{Removals: []Removal{}, Failed: []UnreadRegion{}}
	regions, err := a.Regions(ctx)
	if err != nil {
		all.Failed = append(all.Failed, UnreadRegion{a.AWS.Region, err.Error()})
		return all
	}
	type listing struct {
		removals []Removal
		err      error
	}
	records := a.newRecords()
	for i, listed := range wire.InRegions(regions, func(region string) listing {
		client := wire.EC2(a.AWS, region)
		bin, err := Look(ctx, client)
		if err != nil {
			return listing{err: err}
		}
		removals, err := bin.Removals(ctx, client, region, records.removed(ctx, bin, region, bin.Images()))
		return listing{removals, err}
	}) {
		if listed.err != nil {
			all.Failed = append(all.Failed, UnreadRegion{regions[i], listed.err.Error()})
		}
		all.Removals = append(all.Removals, listed.removals...)
	}
	all.Warning = records.warning()
	slices.SortStableFunc(all.Removals, func(a, b Removal) int { return strings.Compare(b.Run, a.Run) })
	return all
}

package janitor

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/census"
	"github.com/ami-janitor/ami-janitor/pkg/inventory"
	"github.com/ami-janitor/ami-janitor/pkg/usage"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// Count takes the census of the account: what it uses, in the regions that are judged anywhere, and
// does not own. It never fails: what could not be looked up is a gap.
func (j *Janitor) Count(ctx context.Context, run string) census.Census {
	now := j.Clock().UTC()
	account, err := j.Account(ctx)
	if err != nil {
		return census.Failed(run, j.Only, now, err.Error())
	}
	names, err := j.countedRegions(ctx)
	if err != nil {
		return census.Failed(run, account, now, err.Error())
	}
	counted := census.Census{Run: run, Account: account, At: now, Regions: names}
	room := usage.NewRoom()
	for _, found := range wire.InRegions(names, func(region string) census.Census { return j.countRegion(ctx, account, region, room) }) {
		counted.Uses = append(counted.Uses, found.Uses...)
		counted.Copies = append(counted.Copies, found.Copies...)
		counted.Gaps = append(counted.Gaps, found.Gaps...)
	}
	return counted
}

// countedRegions are the regions to be judged that the account can use: in others it has nothing.
func (j *Janitor) countedRegions(ctx context.Context) ([]string, error) {
	names, err := j.RegionNames(ctx)
	if err != nil || j.Config.Regions.All {
		return names, err
	}
	everywhere := *j
	everywhere.Config.Regions.All, everywhere.Config.Regions.Names = true, nil
	enabled, err := everywhere.RegionNames(ctx)
	return slices.DeleteFunc(names, func(name string) bool { return !slices.Contains(enabled, name) }), err
}

// countRegion takes the census of one region. If the account's own images cannot be listed, any use
// may be one of those.
func (j *Janitor) countRegion(ctx context.Context, account, region string, room *usage.Room) census.Census {
	var found census.Census
	gap := func(source, err string) {
		found.Gaps = append(found.Gaps, census.Gap{Account: account, Region: region, Source: source, Err: err})
	}
	own := map[string]bool{}
	images, err := inventory.Images(ctx, wire.EC2(j.AWS, region))
	if err != nil {
		gap("images", err.Error())
	}
	for i := range images {
		own[images[i].ID] = true
	}
	for i := range images {
		if original := images[i].SourceImageID; original != "" && !own[original] {
			found.Copies = append(found.Copies, census.Copy{ImageID: original, Account: account, CopyID: images[i].ID, At: images[i].CreatedAt})
		}
	}
	lookup := j.lookup(account, region, nil)
	lookup.Room = room
	// The texts are the hub's own, and read with each plan.
	lookup.Names = slices.DeleteFunc(lookup.Names, func(name string) bool { return name == usage.S3TextSource })
	references, gaps := usage.Count(ctx, j.clients(region), lookup)
	for _, missing := range gaps {
		gap(missing.Source, missing.Err)
	}
	for _, id := range slices.Sorted(maps.Keys(references)) {
		if !own[id] {
			found.Uses = append(found.Uses, usesOf(id, account, references[id], err != nil)...)
		}
	}
	return found
}

// usesOf are the uses of an image by an account, one for each source and kind of resource.
func usesOf(id, account string, references []ami.Reference, mayBeOwn bool) []census.Use {
	var uses []census.Use
	for _, reference := range references {
		same := func(use census.Use) bool { return use.Source == reference.Source && use.Type == reference.Type }
		if at := slices.IndexFunc(uses, same); at >= 0 {
			uses[at].More++
			continue
		}
		uses = append(uses, census.Use{
			ImageID: id, Account: account, Source: reference.Source, Type: reference.Type, ARN: reference.ARN, MayBeOwn: mayBeOwn,
		})
	}
	slices.SortFunc(uses, func(a, b census.Use) int { return cmp.Or(cmp.Compare(a.ARN, b.ARN), cmp.Compare(a.Source, b.Source)) })
	return uses
}

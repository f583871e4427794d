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
	own, isKnown := j.ownImages(ctx, &counted)
	room := usage.NewRoom()
	for _, found := range wire.InRegions(names, func(region string) census.Census { return j.countRegion(ctx, account, region, room) }) {
		for _, use := range found.Uses {
			if use.MayBeOwn = !isKnown; !own[use.ImageID] {
				counted.Uses = append(counted.Uses, use)
			}
		}
		counted.Gaps = append(counted.Gaps, found.Gaps...)
	}
	return counted
}

// ownImages returns the ids of the account's images in all regions, and whether these are all: a
// region may name an image of another one. It notes which of them are made from images of others.
func (j *Janitor) ownImages(ctx context.Context, counted *census.Census) (own map[string]bool, isKnown bool) {
	type listed struct {
		images []ami.Image
		err    error
	}
	own, isKnown = map[string]bool{}, true
	regions := wire.InRegions(counted.Regions, func(region string) (l listed) {
		l.images, l.err = inventory.Images(ctx, wire.EC2(j.AWS, region))
		return l
	})
	for i, region := range regions {
		if region.err != nil {
			isKnown = false
			counted.Gaps = append(counted.Gaps, census.Gap{Account: counted.Account, Region: counted.Regions[i], Source: "images", Err: region.err.Error()})
		}
		for n := range region.images {
			own[region.images[n].ID] = true
		}
	}
	for _, region := range regions {
		for n := range region.images {
			if made := &region.images[n]; made.SourceImageID != "" && !own[made.SourceImageID] {
				counted.Copies = append(counted.Copies, census.Copy{ImageID: made.SourceImageID, Account: counted.Account, CopyID: made.ID, At: made.CreatedAt})
			}
		}
	}
	return own, isKnown
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

// countRegion takes the census of one region.
func (j *Janitor) countRegion(ctx context.Context, account, region string, room *usage.Room) census.Census {
	var found census.Census
	lookup := j.lookup(account, region, nil)
	lookup.Room, lookup.Names = room, counting(lookup.Names)
	references, gaps := usage.Count(ctx, j.clients(region), lookup)
	for _, missing := range gaps {
		found.Gaps = append(found.Gaps, census.Gap{Account: account, Region: region, Source: missing.Source, Err: missing.Err})
	}
	for _, id := range slices.Sorted(maps.Keys(references)) {
		found.Uses = append(found.Uses, usesOf(id, account, references[id])...)
	}
	return found
}

// counting are the sources of a census: those that are on, and in any case those that see what EC2
// itself says of the owner's references, which nobody can ask for in another account. Texts in S3
// are the hub's own, and read with each plan.
func counting(on []string) []string {
	names := slices.DeleteFunc(slices.Clone(on), func(name string) bool { return name == usage.S3TextSource })
	for _, name := range usage.SeenByReferences() {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// usesOf are the uses of an image by an account, one for each source and kind of resource.
func usesOf(id, account string, references []ami.Reference) []census.Use {
	var uses []census.Use
	for _, reference := range references {
		same := func(use census.Use) bool { return use.Source == reference.Source && use.Type == reference.Type }
		if at := slices.IndexFunc(uses, same); at >= 0 {
			uses[at].More++
			continue
		}
		uses = append(uses, census.Use{ImageID: id, Account: account, Source: reference.Source, Type: reference.Type, ARN: reference.ARN})
	}
	slices.SortFunc(uses, func(a, b census.Use) int { return cmp.Or(cmp.Compare(a.ARN, b.ARN), cmp.Compare(a.Source, b.Source)) })
	return uses
}

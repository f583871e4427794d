package janitor

import (
	"context"
	"maps"
	"slices"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
	"github.com/ami-janitor/ami-janitor/pkg/usage"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// findings are the evidence of a run as it is collected, by region.
type findings struct {
	evidence    map[string]ami.Evidence
	collections map[string]*usage.Collection // Of the regions where something was asked.
	done        func(region string, n, of int)
	wasAsked    bool // About single images.
}

// list makes the listings of all regions, about the candidates, the originals of copies, and
// snapshots without an image. Text is searched for candidates in every region. A region that failed
// contributes no more than what text names there; if even that cannot be read, the others are
// unaffected (design 0007).
func (j *Janitor) list(
	ctx context.Context, survey survey, candidates map[string][]ami.Image, unattached map[string]retention.Unattached,
) findings {
	lookups := j.lookups(survey, candidates, unattached)
	room := usage.NewRoom()
	texts := usage.NewTexts(ctx, j.home(), j.Config.TextObjects, j.Config.Policy.RemoveOrphans)
	found := findings{map[string]ami.Evidence{}, map[string]*usage.Collection{}, j.watch("Looking up"), false}
	regions := slices.Sorted(maps.Keys(lookups))
	type listed struct {
		collection *usage.Collection
		evidence   ami.Evidence
	}
	for i, listed := range wire.InRegions(regions, func(region string) (l listed) {
		if len(lookups[region].Names) == 0 {
			return listed{}
		}
		lookup := lookups[region]
		lookup.Room, lookup.Texts = room, texts
		l.collection = usage.List(ctx, j.clients(region), lookup)
		l.evidence = l.collection.Evidence()
		usage.AddSnapshotSharing(ctx, j.clients(region), unattached[region].ToAsk, l.evidence)
		return l
	}) {
		found.evidence[regions[i]] = listed.evidence
		if listed.collection != nil {
			found.collections[regions[i]] = listed.collection
		}
	}
	for _, failed := range survey.failed {
		known := found.evidence[failed.Region]
		known.Gaps = nil
		found.evidence[failed.Region] = known
	}
	return found
}

// lookUp asks EC2 about some candidates, by region.
func (j *Janitor) lookUp(ctx context.Context, found findings, ids map[string][]string) {
	regions := slices.Sorted(maps.Keys(ids))
	regions = slices.DeleteFunc(regions, func(region string) bool { return found.collections[region] == nil })
	wire.InRegions(regions, func(region string) bool {
		found.collections[region].LookUp(ctx, ids[region], func(n, of int) { found.done(region, n, of) })
		return true
	})
	for _, region := range regions {
		for _, id := range ids[region] {
			found.evidence[region].Images[id] = found.collections[region].Finding(id)
		}
	}
}

// together is how many images of a region are looked up at least once those that a plan asked for
// first were not enough: EC2 answers as many without a pause (docs/performance.md).
const together = 100

// planOf looks up what a plan needs, until it can be carried out: the stalest images first, as many
// as the caps allow. Of images that something refers to, others take the places. When time is up,
// what has not been looked up stays.
func (j *Janitor) planOf(ctx context.Context, account *retention.Account, found *findings) []retention.Plan {
	for atLeast := 0; ; atLeast = max(together, 2*atLeast) {
		plans := account.Plan(found.evidence)
		next := account.LookUpNext(found.evidence, plans, atLeast)
		if len(next) == 0 || ctx.Err() != nil && found.wasAsked {
			return plans
		}
		found.wasAsked = true // Without time, too: that is told of.
		j.lookUp(ctx, *found, next)
	}
}

// idsOf returns the ids of images, by region.
func idsOf(all map[string][]ami.Image) map[string][]string {
	ids := map[string][]string{}
	for region, images := range all {
		for i := range images {
			ids[region] = append(ids[region], images[i].ID)
		}
	}
	return ids
}

// asked says, by region, which sources were asked.
func (f findings) asked() map[string]record.Lookups {
	asked := map[string]record.Lookups{}
	for region, collection := range f.collections {
		sources, incomplete := collection.Asked(f.evidence[region])
		asked[region] = record.Lookups{LookedUp: sources, Incomplete: incomplete}
	}
	return asked
}

// lookups says what must be looked up, by region.
func (j *Janitor) lookups(survey survey, candidates map[string][]ami.Image, unattached map[string]retention.Unattached) map[string]usage.Lookup {
	originals := originalsOf(survey, candidates)
	lookups := map[string]usage.Lookup{}
	var everywhere []string // Text of any region may name a snapshot that goes.
	if j.Config.Policy.RemoveOrphans {
		for _, region := range slices.Sorted(maps.Keys(unattached)) {
			everywhere = append(everywhere, unattached[region].IDs...)
		}
	}
	for _, inventory := range survey.inventories {
		lookup := j.lookup(inventory.Account, inventory.Region, candidates[inventory.Region])
		lookup.Originals, lookup.Snapshots = originals[inventory.Region], unattached[inventory.Region].IDs
		if len(everywhere) > 0 {
			lookup.Snapshots = everywhere
		}
		switch {
		case len(lookup.Images)+len(lookup.Originals)+len(lookup.Snapshots) > 0:
		case len(candidates) > 0:
			lookup.Names = textSources(lookup.Names)
		default:
			lookup.Names = nil // There is no image or snapshot that a source could name.
		}
		lookups[inventory.Region] = lookup
	}
	for _, failed := range survey.failed {
		lookup := j.lookup(failed.Account, failed.Region, nil)
		lookup.Names, lookup.Reports = textSources(lookup.Names), false
		if len(candidates) == 0 {
			lookup.Names = nil
		}
		lookups[failed.Region] = lookup
	}
	return lookups
}

// textSources returns those of the sources that can name images of other regions.
func textSources(names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return name != ami.TextSource })
}

func (j *Janitor) lookup(account, region string, images []ami.Image) usage.Lookup {
	return usage.Lookup{
		Account:          account,
		Region:           region,
		Images:           images,
		Names:            j.Config.SourcesOn(),
		TemplateVersions: j.Config.TemplateVersions,
		Reports:          j.Config.Policy.JudgeShared,
		StackTemplates:   j.Config.StackTemplates,
		Abroad:           j.Abroad,

		SnapshotsInText: j.Config.Policy.RemoveOrphans,
	}
}

func (j *Janitor) clients(region string) usage.Clients {
	return usage.Clients{AWS: j.AWS, EC2: wire.EC2(j.AWS, region), AutoScaling: wire.AutoScaling(j.AWS, region), SSM: wire.SSM(j.AWS, region)}
}

// originalsOf returns the images that candidates are copies of, by the region of the originals, in
// the order of their ids. An original that is in no inventory has only an id.
func originalsOf(survey survey, candidates map[string][]ami.Image) map[string][]ami.Image {
	found := map[string]map[string]ami.Image{}
	for region, images := range candidates {
		for _, image := range images {
			if id, from, ok := image.CopiedFrom(region); ok {
				if found[from] == nil {
					found[from] = map[string]ami.Image{}
				}
				found[from][id] = ami.Image{ID: id}
			}
		}
	}
	for _, inventory := range survey.inventories {
		for _, image := range inventory.Images {
			if _, ok := found[inventory.Region][image.ID]; ok {
				found[inventory.Region][image.ID] = image
			}
		}
	}
	images := map[string][]ami.Image{}
	for region, byID := range found {
		for _, id := range slices.Sorted(maps.Keys(byID)) {
			images[region] = append(images[region], byID[id])
		}
	}
	return images
}

// askSharing adds to the evidence with whom the snapshots are shared that plans delete, and reports
// whether it had not asked about some of them before. It takes one call for each, so that only
// these are asked about. If it must ask about no more, it notes that instead.
func (j *Janitor) askSharing(ctx context.Context, evidence map[string]ami.Evidence, plans []retention.Plan, noMore bool) bool {
	unasked, regions := map[string][]string{}, []string{}
	for i := range plans {
		known := evidence[plans[i].Region].Sharing
		ids := slices.DeleteFunc(plans[i].SnapshotsToDelete(), func(id string) bool { _, isKnown := known[id]; return isKnown })
		if len(ids) > 0 {
			unasked[plans[i].Region] = ids
			regions = append(regions, plans[i].Region)
		}
	}
	if noMore && len(regions) > 0 {
		// The cap is for all regions together, so the next image may be in any of them.
		for region, known := range evidence {
			known.SharingGap = firstGap(known.Sharing)
			evidence[region] = known
		}
		return true
	}
	for i, found := range wire.InRegions(regions, func(region string) map[string]ami.Sharing {
		return usage.SnapshotSharing(ctx, j.clients(region), unasked[region], ami.SharingNotReached)
	}) {
		known := evidence[regions[i]]
		maps.Copy(found, known.Sharing)
		known.Sharing = found
		evidence[regions[i]] = known
	}
	return len(regions) > 0
}

// firstGap returns why no more snapshots are asked about: the first failure to find out with whom
// one is shared.
func firstGap(sharing map[string]ami.Sharing) string {
	for _, id := range slices.Sorted(maps.Keys(sharing)) {
		if err := sharing[id].Err; err != "" {
			return "not asked, because nobody could find it out of " + id + ": " + err
		}
	}
	return "not asked, because too many others came up"
}

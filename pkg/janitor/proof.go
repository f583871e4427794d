package janitor

import (
	"context"
	"maps"
	"slices"

	"ami-janitor/pkg/ami"
	"ami-janitor/pkg/inventory"
	"ami-janitor/pkg/retention"
	"ami-janitor/pkg/usage"
	"ami-janitor/pkg/wire"
)

// lookUp collects the evidence of use of all candidates, by region, and of the images that some of them are copies of,
// where these are. Text is searched for candidates in every region. Every region of the run has evidence; of one that failed
// there is no more than what text names there, and that its text cannot be read either leaves the others alone, like the
// failure itself.
func (j *Janitor) lookUp(ctx context.Context, survey survey, candidates map[string][]ami.Image) map[string]ami.Evidence {
	originals := originals(survey, candidates)
	evidence := map[string]ami.Evidence{}
	for _, inventory := range survey.inventories { // Sorted: which of them a deadline cuts off is no accident.
		lookup := j.lookup(inventory.Account, inventory.Region, candidates[inventory.Region])
		lookup.Originals = originals[inventory.Region]
		if len(lookup.Images)+len(lookup.Originals) == 0 {
			lookup.Names = textSources(lookup.Names)
		}
		evidence[inventory.Region] = ami.Evidence{}
		if len(candidates) > 0 && len(lookup.Names) > 0 {
			evidence[inventory.Region] = usage.Look(ctx, j.clients(inventory.Region), lookup, j.watch("Looking up"))
		}
	}
	for _, failed := range survey.failed { // Last: what fails there takes no time from the others.
		evidence[failed.Region] = ami.Evidence{}
		if lookup := j.lookup(failed.Account, failed.Region, nil); len(candidates) > 0 {
			lookup.Names, lookup.Reports = textSources(lookup.Names), false
			evidence[failed.Region] = usage.Look(ctx, j.clients(failed.Region), lookup, j.watch("Looking up"))
			delete(evidence[failed.Region], ami.EveryOther)
		}
	}
	return evidence
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
		Names:            j.Config.UsageSources,
		TemplateVersions: int(j.Config.LaunchTemplateVersions),
		Reports:          bool(j.Config.SharedImages),
	}
}

func (j *Janitor) clients(region string) usage.Clients {
	return usage.Clients{EC2: wire.EC2(j.AWS, region), AutoScaling: wire.AutoScaling(j.AWS, region), SSM: wire.SSM(j.AWS, region)}
}

// originals returns the images that candidates are copies of, by the region of the former, in the order of their ids. Of
// those that no inventory has, no more than the id is known.
func originals(survey survey, candidates map[string][]ami.Image) map[string][]ami.Image {
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

// factsAtOnce is how many images are read anew with one call, before the first of them is removed.
const factsAtOnce = 100

// recheck returns the function that looks again at images of a plan just before they are removed or disabled. What refers to them is
// looked up for each batch; their facts are read for several batches at once.
func (j *Janitor) recheck(plan retention.Plan) func(context.Context, []ami.Image) map[string]retention.Reason {
	due := slices.Concat(decided(plan, retention.Deregister), decided(plan, retention.Mark)) // The order of the sweep.
	clients := j.clients(plan.Region)
	var facts map[string]*ami.Image
	var unread error
	read := 0
	return func(ctx context.Context, batch []ami.Image) map[string]retention.Reason {
		last := slices.Index(due, batch[len(batch)-1].ID)
		if last >= read {
			first := slices.Index(due, batch[0].ID)
			read = min(first+factsAtOnce, len(due))
			facts, unread = readAgain(ctx, clients, due[first:read])
		}
		evidence := usage.Recheck(ctx, clients, j.lookup(plan.Account, plan.Region, batch))
		stay := map[string]retention.Reason{}
		for _, image := range batch {
			finding := evidence[image.ID]
			if unread != nil {
				finding.Use = ami.Unknown
				finding.Gaps = append(finding.Gaps, ami.Gap{Source: "facts", Err: wire.Explain(unread)})
			}
			if reason, stays := retention.Recheck(image, facts[image.ID], finding); stays {
				stay[image.ID] = reason
			}
		}
		return stay
	}
}

func decided(plan retention.Plan, decision retention.Decision) []string {
	var ids []string
	for _, verdict := range plan.Verdicts {
		if verdict.Decision == decision {
			ids = append(ids, verdict.Image.ID)
		}
	}
	return ids
}

func readAgain(ctx context.Context, clients usage.Clients, ids []string) (map[string]*ami.Image, error) {
	images, err := inventory.Again(ctx, clients.EC2, ids)
	facts := map[string]*ami.Image{}
	for i := range images {
		facts[images[i].ID] = &images[i]
	}
	return facts, err
}

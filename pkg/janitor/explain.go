package janitor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
	"github.com/ami-janitor/ami-janitor/pkg/usage"
)

// Explain plans a run and explains the verdicts on some images, each given by its id, its name or a
// glob for names: what every rule and every source of evidence has found, what would have to change
// for the verdict to change, and what earlier runs did. Images that are gone are explained by what
// the journal says of them. Nothing changes in the account. The error says which images were not
// found, or have a name that several have; the others are explained in the order given.
func (j *Janitor) Explain(ctx context.Context, given []string) ([]digest.Explanation, error) {
	// Nothing is written under this id.
	survey := j.readAccount(ctx, ami.NewRunID(j.Clock(), strings.NewReader("\x00\x00\x00")))
	account := survey.policy.Open(survey.inventories, survey.now)
	candidates := account.Candidates()
	var found []place
	var missing []error
	asked := map[string]string{}    // The regions of the images, by id.
	wanted := map[string][]string{} // They and their originals, by region.
	for _, name := range given {
		places, err := survey.find(name)
		if len(places) == 0 {
			var unread error
			if survey.mayBeGone(name) {
				places, unread = j.findGone(ctx, survey, name)
			}
			if len(places) == 0 {
				missing = append(missing, cmp.Or(unread, err))
			}
		}
		for _, at := range places {
			found = append(found, at)
			if at.gone {
				continue
			}
			asked[at.image.ID] = at.region
			wanted[at.region] = append(wanted[at.region], at.image.ID)
			if id, region, ok := at.image.CopiedFrom(at.region); ok {
				wanted[region] = append(wanted[region], id)
			}
			isSame := func(candidate ami.Image) bool { return candidate.ID == at.image.ID }
			if !slices.ContainsFunc(candidates[at.region], isSame) {
				candidates[at.region] = append(candidates[at.region], at.image)
			}
		}
	}
	if len(found) == 0 {
		return nil, errors.Join(missing...)
	}
	var evidence map[string]ami.Evidence
	if len(asked) > 0 {
		listed := j.list(ctx, survey, candidates, account.Unattached())
		j.lookUp(ctx, listed, wanted)
		j.planOf(ctx, account, &listed)
		evidence = listed.evidence
		j.askSharingOf(ctx, account, evidence, asked)
		j.askBundlesOf(ctx, survey, evidence, found)
	}
	explanations := make([]digest.Explanation, len(found))
	for i, at := range found {
		history, actions, err := j.past(ctx, survey, at)
		if err != nil {
			missing = append(missing, err)
		}
		if at.gone {
			explanations[i] = j.explainGone(ctx, survey, at, history, actions)
			continue
		}
		explained, _ := account.Explain(evidence, at.region, at.image.ID)
		explanations[i] = digest.NewExplanation(at.region, explained, j.sourceFindings(ami.Everywhere(evidence, at.region, at.image.ID)), j.Config.OwnerTag, j.Reader)
		explanations[i].History = history
	}
	return explanations, errors.Join(missing...)
}

// askBundlesOf adds to the evidence what S3 has of images, whether they go or not.
func (j *Janitor) askBundlesOf(ctx context.Context, survey survey, evidence map[string]ami.Evidence, places []place) {
	locations := map[string]map[string]string{}
	for _, at := range places {
		if !at.gone && at.image.S3Location != "" && survey.policy.DeleteBundles {
			addLocation(locations, at.region, at.image)
		}
	}
	if len(survey.inventories) > 0 {
		j.findBundles(ctx, survey.inventories[0].Account, evidence, locations)
	}
}

// place is an image, and the region that it is in. Of one that is gone only the id is known.
type place struct {
	image  ami.Image
	region string
	gone   bool
}

// find returns the images with an id, a name or a name that a glob matches. An id wins over a name,
// which anybody can choose. In an account a name is unique within a region, but may be taken in
// several regions.
func (s survey) find(given string) ([]place, error) {
	var globs retention.Names
	isGlob := strings.ContainsAny(given, "*?") && globs.UnmarshalText([]byte(given)) == nil
	var named []place
	var ids []string
	for _, inventory := range s.inventories {
		for _, image := range inventory.Images {
			switch {
			case given == image.ID:
				return []place{{image, inventory.Region, false}}, nil
			case given == image.Name, isGlob && globs.Match(image.Name):
				named = append(named, place{image, inventory.Region, false})
				ids = append(ids, image.ID+" in "+inventory.Region)
			}
		}
	}
	switch {
	case given == "" || len(named) == 0:
		return nil, s.notFound(given)
	case len(named) > 1 && !isGlob:
		return nil, fmt.Errorf("%d images have the name %s: %s. Give one of these ids", len(named), given, strings.Join(ids, ", "))
	default:
		return named, nil
	}
}

// mayBeGone reports whether an image that was not found may be gone. A name says so only if every
// region was read and no image has it: else another image than the one that is meant would be
// explained.
func (s survey) mayBeGone(given string) bool {
	isNamed := slices.ContainsFunc(s.inventories, func(inventory ami.Inventory) bool {
		return slices.ContainsFunc(inventory.Images, func(image ami.Image) bool { return image.Name == given })
	})
	return imageID.MatchString(given) || len(s.failed) == 0 && !isNamed
}

// askSharingOf adds to the evidence with whom the snapshots are shared that would be deleted with
// some images, given with their regions.
func (j *Janitor) askSharingOf(ctx context.Context, account *retention.Account, evidence map[string]ami.Evidence, images map[string]string) {
	var plans []retention.Plan
	for id, region := range images {
		explained, _ := account.Explain(evidence, region, id)
		at := slices.IndexFunc(plans, func(p retention.Plan) bool { return p.Region == region })
		if at < 0 {
			at = len(plans)
			plans = append(plans, retention.Plan{Region: region})
		}
		plans[at].Verdicts = append(plans[at].Verdicts, explained.Verdict)
	}
	j.askSharing(ctx, evidence, plans, false)
}

func (s survey) notFound(given string) error {
	var regions, failures []string
	for _, inventory := range s.inventories {
		regions = append(regions, inventory.Region)
	}
	for _, failed := range s.failed {
		failures = append(failures, fmt.Sprintf("; %s could not be read: %s. What to do: %s", failed.Region, strings.TrimSuffix(failed.Error, "."), digest.RegionRemedy(s.reader, failed.Error)))
	}
	if len(regions) == 0 {
		return fmt.Errorf("no region could be read%s", strings.Join(failures, ""))
	}
	return fmt.Errorf("no image of the account has the id or the name %s in %s%s", cmp.Or(given, "\"\""), strings.Join(regions, ", "), strings.Join(failures, ""))
}

// sourceFindings says what each source of evidence has found about an image.
func (j *Janitor) sourceFindings(finding ami.Finding) []digest.SourceFinding {
	var findings []digest.SourceFinding
	for _, source := range append(usage.Sources(), usage.ReportsSource) {
		found := sourceFinding(source, finding)
		switch {
		case j.Config.IsIdle(source):
			found.Answer = "not asked"
		case slices.Contains(j.Config.SourcesOff(), source), source == usage.ReportsSource && !j.Config.Policy.JudgeShared:
			found.Answer = "switched off"
		case source != usage.ReportsSource || found.Answer != ami.Unused.String():
		case finding.Report == nil:
			found.Answer = "no report"
		case finding.Report.State != "available":
			found.Answer = "report " + finding.Report.State
		}
		findings = append(findings, found)
	}
	if report, last := finding.Report, &findings[len(findings)-1]; report != nil && last.Answer == ami.Used.String() {
		last.Detail += ", report " + report.ID + " of " + report.CreatedAt.UTC().Format(time.DateOnly)
	}
	return append(findings, sharingFinding(finding))
}

// sharingFinding says with whom an image is shared, as far as that is known.
func sharingFinding(finding ami.Finding) digest.SourceFinding {
	sharing := sourceFinding(usage.PermissionsSource, finding)
	switch {
	case len(finding.SharedWith) > 0:
		sharing.Answer, sharing.Detail = "shared", strings.Join(ami.Names(finding.SharedWith), ", ")
	case sharing.Detail == "":
		sharing.Answer = "not shared"
	}
	return sharing
}

func sourceFinding(source string, finding ami.Finding) digest.SourceFinding {
	answer := ami.Unused
	var details []string
	for _, reference := range finding.References {
		if reference.Source == source {
			answer = ami.Used
			details = append(details, reference.String())
		}
	}
	for _, gap := range finding.Gaps {
		if gap.Source == source || strings.HasPrefix(gap.Source, source+" in ") {
			if answer != ami.Used {
				answer = ami.Unknown
			}
			details = append(details, gap.Err)
		}
	}
	return digest.SourceFinding{Source: source, Answer: answer.String(), Detail: strings.Join(details, ", ")}
}

package janitor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"ami-janitor/pkg/ami"
	"ami-janitor/pkg/report"
	"ami-janitor/pkg/retention"
	"ami-janitor/pkg/usage"
)

// Explain plans a run, and says all there is to say of some images: what every rule and every source of evidence has found,
// and what would have to change for the verdict to change. It changes nothing. An image that is not found is an error.
func (j *Janitor) Explain(ctx context.Context, ids []string) ([]report.Explanation, error) {
	survey := j.survey(ctx, NewRunID(j.Clock(), strings.NewReader("\x00\x00\x00"))) // It is no run, and writes nothing.
	candidates := survey.policy.Candidates(survey.inventories, survey.now)
	asked := map[string]string{} // The regions of the images, by id.
	for _, inventory := range survey.inventories {
		for _, image := range inventory.Images {
			if !slices.Contains(ids, image.ID) {
				continue
			}
			asked[image.ID] = inventory.Region
			isSame := func(candidate ami.Image) bool { return candidate.ID == image.ID }
			if !slices.ContainsFunc(candidates[inventory.Region], isSame) {
				candidates[inventory.Region] = append(candidates[inventory.Region], image)
			}
		}
	}
	for _, id := range ids {
		if asked[id] == "" {
			return nil, survey.notFound(id)
		}
	}
	evidence := j.lookUp(ctx, survey, candidates)
	j.askSharingOf(ctx, survey, evidence, asked)
	explanations := make([]report.Explanation, len(ids))
	for i, id := range ids {
		region := asked[id]
		explained, _ := survey.policy.Explain(survey.inventories, evidence, region, id, survey.now)
		explanations[i] = report.NewExplanation(region, explained, j.sourceFindings(ami.Everywhere(evidence, region, id)), j.Config.OwnerTag, j.Reader)
	}
	return explanations, nil
}

// askSharingOf adds to the inventories with whom the snapshots are shared that would go with images, given with their regions.
func (j *Janitor) askSharingOf(ctx context.Context, survey survey, evidence map[string]ami.Evidence, images map[string]string) {
	var plans []retention.Plan
	for id, region := range images {
		explained, _ := survey.policy.Explain(survey.inventories, evidence, region, id, survey.now)
		at := slices.IndexFunc(plans, func(p retention.Plan) bool { return p.Region == region })
		if at < 0 {
			at = len(plans)
			plans = append(plans, retention.Plan{Region: region})
		}
		plans[at].Verdicts = append(plans[at].Verdicts, explained.Verdict)
	}
	j.askSharing(ctx, survey, plans, false)
}

func (s survey) notFound(id string) error {
	var regions, failures []string
	for _, inventory := range s.inventories {
		regions = append(regions, inventory.Region)
	}
	for _, failed := range s.failed {
		failures = append(failures, fmt.Sprintf("; %s could not be read: %s", failed.Region, failed.Error))
	}
	return fmt.Errorf("there is no image %s among the account's own in %s%s", id, strings.Join(regions, ", "), strings.Join(failures, ""))
}

// sourceFindings says what each source of evidence has found about an image.
func (j *Janitor) sourceFindings(finding ami.Finding) []report.SourceFinding {
	var findings []report.SourceFinding
	for _, source := range append(usage.Sources(), usage.ReportsSource) {
		found := sourceFinding(source, finding)
		switch {
		case slices.Contains(j.Config.UsageSources.off(), source), source == usage.ReportsSource && !bool(j.Config.SharedImages):
			found.Answer = "switched off"
		case source != usage.ReportsSource || found.Answer != ami.Unused.String():
		case finding.Report == nil:
			found.Answer = "no report"
		case finding.Report.State != "available":
			found.Answer = "report " + finding.Report.State
		}
		findings = append(findings, found)
	}
	sharing := sourceFinding(usage.PermissionsSource, finding)
	switch {
	case len(finding.SharedWith) > 0:
		sharing.Answer, sharing.Detail = "shared", strings.Join(finding.SharedWith, ", ")
	case sharing.Detail == "":
		sharing.Answer = "not shared"
	}
	return append(findings, sharing)
}

func sourceFinding(source string, finding ami.Finding) report.SourceFinding {
	answer := ami.Unused
	var details []string
	for _, reference := range finding.References {
		if reference.Source == source {
			answer = ami.Used
			details = append(details, reference.ARN)
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
	return report.SourceFinding{Source: source, Answer: answer.String(), Detail: strings.Join(details, ", ")}
}

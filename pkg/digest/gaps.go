package digest

import (
	"slices"
	"strings"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// subject counts the images of a region that a gap keeps, and names them if they are few.
func subject(g record.Gap, region record.Region) string {
	const few = 3
	what := count(g.Images, "AMI")
	if g.Images > few {
		return what
	}
	var names []string
	for _, n := range g.At {
		if n >= 0 {
			names = append(names, idAndName(region.Images[n]))
		}
	}
	if len(names) == 0 { // The record leaves them out.
		return what
	}
	return what + " (" + strings.Join(names, "; ") + ")"
}

// explainedGaps are the missing proofs of one image, whatever else keeps it.
func explainedGaps(region string, explained retention.Explanation, reader record.Reader) []record.Gap {
	var found []record.Gap
	for _, h := range explained.Results {
		if h.Detail == "" || !h.Code.IsUnproven() || h.Code == ami.ReasonUsageReportPending {
			continue
		}
		details := []string{h.Detail}
		if h.Code == ami.ReasonUnknownUse && len(explained.Gaps) > 0 {
			details = record.GapTexts(explained.Gaps)
		}
		for _, detail := range details {
			found = append(found, record.Gap{Code: h.Code, Detail: detail, Remedy: Words(reader, remedyOf(h.Code, region, detail))})
		}
	}
	return found
}

// remedyOf says what to do about what keeps images for a reason in a region.
func remedyOf(code retention.Code, region, fault string) string {
	if code == ami.ReasonLaunchDataMissing {
		return launchDataRemedy(region)
	}
	rules := retention.Rules()
	at := slices.IndexFunc(rules, func(rule retention.Rule) bool { return rule.Code == code })
	if at < 0 {
		return advice(fault, whatWasDenied)
	}
	return adviceOr(otherwise(rules[at]), whatWasDenied)(fault)
}

package report

import (
	"cmp"
	"slices"
	"strings"

	"ami-janitor/pkg/ami"
	"ami-janitor/pkg/retention"
)

// Gap is something without which it is not proven that nothing needs an image, or that there is a way back, and what to do about it.
type Gap struct {
	Code   retention.Code `json:"code"`   // The reason for which images stay because of it, such as "unknown-use".
	Detail string         `json:"detail"` // What could not be found out, of what, and why. It is the same for other images, but for a snapshot.
	Remedy string         `json:"remedy"`

	// Of a region: how many images stay for want of that alone, or of other proof besides, and the ids of the first of them.
	Images   int      `json:"images,omitempty"`
	ImageIDs []string `json:"imageIds,omitempty"`

	at []int // Where these images are among those of the region.
}

// mostIDs is how many ids of images a gap has in the record. A listing that fails keeps all of a region.
const mostIDs = 20

// noteGaps notes what keeps those images of a region that stay only for want of a proof, or of a way back; what keeps most of them comes
// first. The verdicts are those on the images, in their order.
func (g *Region) noteGaps(verdicts []retention.Verdict) {
	type key struct {
		code   retention.Code
		detail string
	}
	byKey := map[key]*Gap{}
	for n, i := range g.Images {
		if g.Busy || !unproven(i) {
			continue
		}
		code, details := gapsOf(i, verdicts[n].Gaps)
		for _, detail := range details {
			same := key{code, itsSnapshot.ReplaceAllString(detail, "a snapshot of it: ")}
			if byKey[same] == nil {
				byKey[same] = &Gap{Code: code, Detail: detail, Remedy: remedyOf(code, g.Region, detail)}
			}
			byKey[same].add(n, i.ImageID, same.detail)
		}
	}
	for _, gap := range byKey {
		g.Gaps = append(g.Gaps, *gap)
	}
	slices.SortFunc(g.Gaps, func(a, b Gap) int {
		return cmp.Or(b.Images-a.Images, strings.Compare(string(a.Code), string(b.Code)), strings.Compare(a.Detail, b.Detail))
	})
}

// gapsOf returns what keeps an image that stays only for want of a proof, or of a way back, and the code of the reason.
func gapsOf(i Image, found []ami.Gap) (retention.Code, []string) {
	reason, details := i.whyUnproven(), []string(nil)
	if skipped(i) {
		reason = cameUp(*i.Outcome)
	} else if reason.Code == ami.ReasonUnknownUse {
		details = gapTexts(found)
	}
	if len(details) == 0 {
		details = []string{reason.Detail}
	}
	return reason.Code, details
}

// add counts an image, given by its place, once however many of its snapshots the gap is about. The detail is that of several.
func (g *Gap) add(n int, imageID, detail string) {
	switch {
	case g.Images > 0 && g.at[g.Images-1] == n:
		return
	case g.Images > 0:
		g.Detail = detail
	}
	g.Images, g.at = g.Images+1, append(g.at, n)
	if len(g.ImageIDs) < mostIDs {
		g.ImageIDs = append(g.ImageIDs, imageID)
	}
}

// subject counts the images of a region that stay because of a gap, and names them as long as they are few.
func (g Gap) subject(region Region) string {
	const few = 3
	what := count(g.Images, "AMI")
	if g.Images > few {
		return what
	}
	var names []string
	for _, n := range g.at {
		names = append(names, idAndName(region.Images[n]))
	}
	return what + " (" + strings.Join(names, "; ") + ")"
}

// gapTexts words gaps, each once.
func gapTexts(gaps []ami.Gap) []string {
	var texts []string
	for _, gap := range gaps {
		if text := gap.Source + ": " + gap.Err; !slices.Contains(texts, text) {
			texts = append(texts, text)
		}
	}
	return texts
}

// explainedGaps are what is not proven of one image, whatever else keeps it.
func explainedGaps(region string, explained retention.Explanation) []Gap {
	var found []Gap
	for _, h := range explained.Results {
		if h.Detail == "" || !h.Code.IsUnproven() || h.Code == ami.ReasonUsageReportPending {
			continue
		}
		details := []string{h.Detail}
		if h.Code == ami.ReasonUnknownUse && len(explained.Gaps) > 0 {
			details = gapTexts(explained.Gaps)
		}
		for _, detail := range details {
			found = append(found, Gap{Code: h.Code, Detail: detail, Remedy: remedyOf(h.Code, region, detail)})
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

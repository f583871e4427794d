package digest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// explained makes the explanation of a verdict, in which the rules of its reasons speak, and all
// others are silent.
func explained(v retention.Verdict, sources ...digest.SourceFinding) digest.Explanation {
	e := retention.Explanation{
		Verdict:   v,
		LastUse:   fmt.Sprintf("last launched %s, %d days ago", v.LastUse.Format(time.DateOnly), int(startedAt.Sub(v.LastUse).Hours()/24)),
		StaleFrom: v.LastUse.AddDate(0, 0, 180),
	}
	if v.Image.LastLaunchedAt.IsZero() {
		e.LastUse = "created 2025-12-01, 357 days ago"
	}
	for _, rule := range retention.Rules() {
		if rule.Until == "" || rule.Code == "announced" {
			continue
		}
		h := retention.RuleResult{Rule: rule}
		for _, reason := range v.Reasons {
			if reason.Code == rule.Code {
				h.Detail = reason.Detail
			}
		}
		e.Results = append(e.Results, h)
	}
	return digest.NewExplanation("eu-west-1", e, sources, "Team", record.Reader{})
}

// asked are findings of the first sources; nothing else names the image.
func asked(first ...digest.SourceFinding) []digest.SourceFinding {
	findings := slices.Clone(first)
	for _, source := range sources[len(first):] {
		findings = append(findings, digest.SourceFinding{Source: source, Answer: "unused"})
	}
	return findings
}

// explanations are what the golden files of explanations are made of.
func explanations() map[string][]digest.Explanation {
	const arn = "arn:aws:ec2:eu-west-1:123456789012:instance/i-1234567890abcdef0"
	throttled := "RequestLimitExceeded: Request limit exceeded."
	used := owned("platform", kept(1, "in-use", "named by "+arn))
	used.Image.Name = "web-2025-11-02"
	used.Reasons = append(used.Reasons, retention.Reason{Code: "unknown-use", Detail: "launch-templates: " + throttled})
	used.Snapshots = []retention.SnapshotVerdict{goes(1, 8, 1), stays(2, 50, "tagged ami-janitor:keep")}

	bundle := stale(5, "legacy-store-2019")
	bundle.Image.LastLaunchedAt = time.Time{}
	bundle.Reasons = []retention.Reason{{Code: "never-launched", Detail: "no launch on record; created 2025-12-01, 357 days ago; the limit is 180 days"}}
	bundle.Decision, bundle.Due, bundle.Action = retention.Mark, dayIn(14), retention.Disable

	cleared := kept(8, "newest-of-family", "the newest of family web")
	cleared.Unmark = retention.ClearMark

	back := vetoes(10, "restored", "run 20261121T020000Z-5b1d0e has removed it, or may have, and it is there again")
	onHold := explained(kept(11, "not-restorable", "its snapshot snap-00000011example: no Recycle Bin rule covers it, with the tags that it has"), asked()...)
	onHold.Hold, onHold.Remedy = noRule, "Give the region two rules of the Recycle Bin."

	hostile := owned(nasty, kept(9, "in-use", nasty))
	hostile.Image.Name = nasty
	nastily := explained(hostile, asked(digest.SourceFinding{Source: "references", Answer: "used", Detail: nasty})...)
	nastily.Region, nastily.LastUse, nastily.Changes, nastily.Hold = nasty, nasty, []string{nasty}, nasty

	return map[string][]digest.Explanation{
		"in use": {explained(used, asked(
			digest.SourceFinding{Source: "references", Answer: "used", Detail: arn},
			digest.SourceFinding{Source: "instances", Answer: "used", Detail: arn},
			digest.SourceFinding{Source: "launch-templates", Answer: "unknown", Detail: throttled},
			digest.SourceFinding{Source: "launch-configurations", Answer: "switched off"},
		)...)},
		"refused": {explained(refused(4, "golden-2025-01", explicitDeny), asked()...)},
		"removal": {explained(stale(3, "worker-2025-12-09", goes(3, 100, 3)), asked()...)},
		"several": {
			explained(deferred(4, ""), asked()...),
			explained(bundle, asked()...),
			explained(waits(6, "win-2019-base", 9), asked()...),
			explained(vetoes(7, "keep-tag", "tagged ami-janitor:keep"), asked()...),
			explained(cleared),
		},
		"recycle bin": {explained(back, asked()...), onHold},
		"nasty names": {nastily},
	}
}

func TestAnExplanationSaysThatItsRegionIsOnHold(t *testing.T) {
	e := digest.NewExplanation("eu-west-1", retention.Explanation{Verdict: stale(1, "web"), Hold: noRule}, nil, "", record.Reader{})
	if e.Hold != noRule || !strings.Contains(e.Remedy, "Deploy the stack in the region, or recycle-bin.yaml") {
		t.Errorf("%q, %q", e.Hold, e.Remedy)
	}
}

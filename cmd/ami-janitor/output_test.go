package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

func TestTheTableShowsWhatIsNoImage(t *testing.T) {
	removed := retention.Verdict{Image: ami.Image{ID: "ami-0123456789example"}, Decision: retention.Deregister}
	outcome := ami.Outcome{ImageID: removed.Image.ID, Status: ami.Deregistered, InBinUntil: tonight.AddDate(0, 0, 14)}
	plan := retention.Plan{
		Region: "eu-west-1", Verdicts: []retention.Verdict{removed}, Orphans: make([]retention.Orphan, 3),
		Leftovers: []retention.LeftoverVerdict{
			{Leftover: ami.Leftover{Run: "run-1", SnapshotID: "snap-0123456789example"}, Delete: true},
			{Leftover: ami.Leftover{Run: "run-1", SnapshotID: "snap-1234567890example"}, Why: "named by \x1b[31m"},
		},
	}
	record := record.Run{Run: "run-2", Record: "s3://amzn-s3-demo-bucket/run-2/record.json", Regions: []record.Region{
		record.NewRegion(plan, ami.SweepResult{
			Outcomes:  []ami.Outcome{outcome},
			Leftovers: []ami.SnapshotResult{{SnapshotID: "snap-0123456789example", Status: ami.SnapshotDeleted}},
		}, ""),
		record.NewRegion(retention.Plan{Region: "us-east-1", Hold: "no Recycle Bin rule covers what is to be removed"}, ami.SweepResult{}, ""),
	}}
	record.Finish(tonight.Add(time.Minute), 0.05)
	shown := imageTable(record) + "\n" + digest.BelowTheTable(record)
	for _, want := range []string{
		"3 snapshots whose image is gone", "snap-0123456789example", "deleted", "left by run run-1", "snap-1234567890example", "kept", "named by",
		"only planned", "no Recycle Bin rule covers what is to be removed", "restorable until 2026-12-07T02:00:00Z",
		"ami-janitor undo run-2\n", "The full record: s3://amzn-s3-demo-bucket/run-2/record.json\n",
	} {
		if !strings.Contains(shown, want) {
			t.Errorf("%q is not in:\n%s", want, shown)
		}
	}
	if strings.Contains(shown, "named by \x1b") {
		t.Errorf("%q", shown)
	}
}

// What a person copies from the table stands on one line, however long it is.
func TestTheTableBreaksNoWord(t *testing.T) {
	const arn = "arn:aws:autoscaling:eu-west-1:123456789012:autoScalingGroup:930d940e-891e-4781-a11a-7b0acd480f03:autoScalingGroupName/payments"
	name := strings.Repeat("golden-base-image-", 7)
	plan := retention.Plan{Region: "eu-west-1", Verdicts: []retention.Verdict{{
		Image: ami.Image{ID: "ami-0123456789example", Name: name}, Decision: retention.Keep,
		Reasons: []retention.Reason{{Code: "in-use", Detail: "named by " + arn}, {Code: "recently-used", Detail: "last launched 2026-11-02, 21 days ago"}},
	}}}
	shown := imageTable(record.Run{Regions: []record.Region{record.NewRegion(plan, ami.SweepResult{}, "")}})
	for _, want := range []string{arn, name, "last launched 2026-11-02, 21 days ago"} {
		if !strings.Contains(shown, want) {
			t.Errorf("%q is not in:\n%s", want, shown)
		}
	}
	if longest := slices.MaxFunc(strings.Split(shown, "\n"), func(a, b string) int { return len(a) - len(b) }); len(longest) > 600 {
		t.Errorf("%d bytes in a line: %q", len(longest), longest)
	}
}

package report_test

import (
	"errors"
	"fmt"
	"time"

	"ami-janitor/pkg/ami"
	"ami-janitor/pkg/report"
	"ami-janitor/pkg/retention"
)

var (
	startedAt  = time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)
	finishedAt = startedAt.Add(3*time.Minute + 12*time.Second)
)

// denial is what the SDK says when the role may not do something.
const denial = "operation error EC2: DeregisterImage, https response error StatusCode: 403, RequestID: " +
	"59dbff89-35bd-4eac-99ed-be587EXAMPLE, api error UnauthorizedOperation: You are not authorized to perform this " +
	"operation. User: arn:aws:sts::123456789012:assumed-role/ami-janitor/run is not authorized to perform: " +
	"ec2:DeregisterImage on resource: arn:aws:ec2:eu-west-1::image/ami-0123456789example. Encoded authorization " +
	"failure message: 4GIOHlTkIaWHQD0Q0m6XSnuUMCm-abcdefg_EXAMPLE"

// newRun makes a finished record of regions.
func newRun(dryRun bool, regions ...report.Region) report.Run {
	r := report.Run{
		Run:       "20261123T020000Z-3f9c1a",
		Version:   "1.0.0",
		DryRun:    dryRun,
		StartedAt: startedAt,
		Policy:    map[string]string{"staleAfter": "180d", "maxDeregistrations": "100"},
		PolicySentence: "Images idle for more than 180 days that nothing refers to are deregistered and their snapshots " +
			"deleted, the stalest first and at most 100 a run; the newest 1 of each family always stays.",
		Sources: report.Sources{LookedUp: []string{"references", "instances", "launch-templates"}},
		Regions: regions,
	}
	r.Finish(finishedAt, 0.05)
	return r
}

func plan(region string, verdicts ...retention.Verdict) retention.Plan {
	return retention.Plan{Account: "123456789012", Region: region, Verdicts: verdicts}
}

// id returns the n-th id of a kind, "ami" or "snap".
func id(kind string, n int) string { return fmt.Sprintf("%s-%08dexample", kind, n) }

func stale(n int, name string, snapshots ...retention.SnapshotVerdict) retention.Verdict {
	launched := startedAt.AddDate(0, 0, -300+n)
	return retention.Verdict{
		Image: ami.Image{
			ID: id("ami", n), Name: name,
			CreatedAt: launched.AddDate(0, -2, 0), LastLaunchedAt: launched,
		},
		Decision: retention.Deregister,
		Reasons: []retention.Reason{{Code: "stale", Detail: fmt.Sprintf(
			"last launched %s, %d days ago; the limit is 180 days", launched.Format(time.DateOnly), 300-n)}},
		LastUse:   launched,
		Snapshots: snapshots,
	}
}

func deferred(n int, name string) retention.Verdict {
	v := stale(n, name)
	v.Decision = retention.Defer
	v.Reasons = append(v.Reasons, retention.Reason{Code: "over-cap", Detail: "at most 100 a run, the stalest first"})
	return v
}

func kept(n int, code retention.Code, detail string) retention.Verdict {
	v := stale(n, fmt.Sprintf("web-%d", n))
	v.Decision = retention.Keep
	v.Reasons = []retention.Reason{{Code: code, Detail: detail}}
	return v
}

func keptMany(from, number int, code retention.Code, detail string) []retention.Verdict {
	verdicts := make([]retention.Verdict, number)
	for i := range verdicts {
		verdicts[i] = kept(from+i, code, detail)
	}
	return verdicts
}

func goes(snapshot int, gib int64, with int) retention.SnapshotVerdict {
	return retention.SnapshotVerdict{SnapshotID: id("snap", snapshot), SizeGiB: gib, Delete: true, LastImageID: id("ami", with)}
}

func stays(snapshot int, gib int64, why string) retention.SnapshotVerdict {
	return retention.SnapshotVerdict{SnapshotID: id("snap", snapshot), SizeGiB: gib, Why: why}
}

func outcome(n int, status ami.Status, fault string, snapshots ...ami.SnapshotResult) ami.Outcome {
	return ami.Outcome{ImageID: id("ami", n), Status: status, Error: fault, Snapshots: snapshots}
}

func result(snapshot int, status ami.SnapshotStatus, detail string) ami.SnapshotResult {
	return ami.SnapshotResult{SnapshotID: id("snap", snapshot), Status: status, Detail: detail}
}

// ordinary is a plan with something of everything, and its outcomes.
func ordinary() (retention.Plan, []ami.Outcome) {
	bundle := stale(4, "legacy-store-2019")
	bundle.Image.S3Location = "images-bucket/legacy/image.manifest.xml"
	bundle.Image.LastLaunchedAt = time.Time{}
	bundle.Reasons = []retention.Reason{{
		Code:   "never-launched",
		Detail: "no launch on record; created 2025-12-01, 357 days ago; the limit is 180 days",
	}}
	verdicts := []retention.Verdict{
		stale(1, "web-2025-11-02", goes(1, 8, 1), goes(2, 50, 1)),
		stale(2, "web-2025-12-09", goes(3, 100, 3), stays(4, 20, "tagged ami-janitor:keep")),
		stale(3, "worker-2025-12-09", goes(3, 100, 3)),
		bundle,
		deferred(5, "batch-1.4.2"),
		deferred(6, "batch-1.4.3"),
	}
	verdicts = append(verdicts, keptMany(100, 30, "recently-used", "last launched 2026-11-02, 21 days ago")...)
	verdicts = append(verdicts, keptMany(200, 3, "in-use", "named by arn:aws:ec2:eu-west-1:123456789012:instance/i-1234567890abcdef0")...)
	verdicts = append(verdicts, keptMany(300, 1, "protected", "deregistration protection: enabled-with-cooldown")...)
	return plan("eu-west-1", verdicts...), []ami.Outcome{
		outcome(1, ami.Deregistered, "", result(1, ami.SnapshotDeleted, ""), result(2, ami.SnapshotDeleted, "")),
		outcome(2, ami.Deregistered, "", result(3, ami.SnapshotDeleted, ""),
			result(4, ami.SnapshotKept, "tagged ami-janitor:keep")),
		outcome(3, ami.Deregistered, "", result(3, ami.SnapshotDeleted, "")),
		outcome(4, ami.Deregistered, ""),
	}
}

// nasty is a name that tries everything.
const nasty = "<@U012AB3CD> @here <!channel> *bold* `code` https://example.com/a www.example.com &lt; " +
	"\r\nREMOVED: 9 AMIs\n\x1b[31m\u202egnp.\u2066x\u2069\u200b\ufeff\u2028end\xff"

// situations are the runs that the golden files are made of.
func situations() map[string]report.Run {
	all := map[string]report.Run{}

	ordinaryPlan, outcomes := ordinary()
	all["ordinary"] = newRun(false, report.NewRegion(ordinaryPlan, outcomes))
	all["dry run"] = newRun(true, report.NewRegion(ordinaryPlan, nil))

	nothing := newRun(false, report.NewRegion(plan("eu-west-1",
		keptMany(100, 12, "recently-used", "last launched 2026-11-02, 21 days ago")...), nil))
	nothing.Sources.SwitchedOff = []string{"shares"}
	all["nothing to do"] = nothing
	all["no images"] = newRun(false, report.NewRegion(plan("eu-west-1"), nil))

	all["failures"] = newRun(false, report.NewRegion(plan("eu-west-1",
		stale(1, "web-2025-11-02", goes(1, 8, 1), goes(2, 50, 1)),
		stale(2, "web-2025-12-09", goes(3, 8, 2)),
		stale(3, "web-2026-01-13", goes(4, 8, 3)),
		stale(4, "worker-2026-01-14", goes(5, 30, 4)),
		stale(5, "worker-2026-01-15", goes(6, 30, 5)),
	), []ami.Outcome{
		outcome(1, ami.Deregistered, "", result(1, ami.SnapshotDeleted, ""), result(2, ami.SnapshotFailed,
			"operation error EC2: DeleteSnapshot, https response error StatusCode: 400, api error InvalidSnapshot.InUse: "+
				"The snapshot snap-00000002example is currently in use by ami-00000099example")),
		outcome(2, ami.Failed, denial, result(3, ami.SnapshotKept, "left alone: its image was not removed by this run")),
		outcome(3, ami.Failed, denial, result(4, ami.SnapshotKept, "left alone: its image was not removed by this run")),
		outcome(4, ami.Failed, "may or may not be deregistered: connection reset by peer",
			result(5, ami.SnapshotFailed, "it is not known whether it went with "+id("ami", 4))),
		outcome(5, ami.Skipped, "gone before this run came to it: InvalidAMIID.Unavailable: The image ID 'ami-00000005example' is no longer available"),
	}))

	all["finished an earlier run"] = newRun(false, report.NewRegion(plan("eu-west-1", stale(1, "web-2025-11-02", goes(1, 8, 1))),
		[]ami.Outcome{outcome(1, ami.Skipped, "gone before this run came to it: InvalidAMIID.Unavailable", result(1, ami.SnapshotDeleted, ""))}))

	all["region failed"] = newRun(false,
		report.NewRegion(plan("eu-west-1", stale(1, "web-2025-11-02", goes(1, 8, 1))),
			[]ami.Outcome{outcome(1, ami.Deregistered, "", result(1, ami.SnapshotDeleted, ""))}),
		report.FailedRegion("123456789012", "ap-east-1", errors.New("listing images: "+
			"AuthFailure: AWS was not able to validate the provided access credentials")),
	)
	all["every region failed"] = newRun(false,
		report.FailedRegion("", "eu-west-1", errors.New("operation error STS: GetCallerIdentity, exceeded maximum number "+
			"of attempts, 3, dial tcp: lookup sts.eu-west-1.amazonaws.com: no such host")))

	unknownUse := keptMany(1, 8, "unknown-use", "references: UnauthorizedOperation: You are not authorized to "+
		"perform this operation. User: arn:aws:sts::123456789012:assumed-role/ami-janitor/run is not authorized to perform: "+
		"ec2:DescribeImageReferences because no identity-based policy allows the ec2:DescribeImageReferences action")
	unknownUse = append(unknownUse, keptMany(9, 2, "unknown-use", "references: RequestLimitExceeded: Request limit exceeded.")...)
	all["everything unknown"] = newRun(false, report.NewRegion(plan("eu-west-1", unknownUse...), nil))

	late := make([]retention.Verdict, 30)
	for i := range late {
		late[i] = stale(i+1, fmt.Sprintf("web-build-%d", i+1), goes(i+1, 8, i+1))
	}
	results := []ami.Outcome{
		outcome(1, ami.Deregistered, "", result(1, ami.SnapshotDeleted, "")),
		outcome(2, ami.Deregistered, "", result(2, ami.SnapshotDeleted, "")),
	}
	for n := 3; n <= 25; n++ {
		results = append(results, outcome(n, ami.Skipped, "not reached before the time of this run was up; the next run will find it again"))
	}
	all["time ran out"] = newRun(false, report.NewRegion(plan("eu-west-1", late...), results))

	all["nasty names"] = newRun(false, report.NewRegion(plan("eu-west-1",
		stale(1, nasty, goes(1, 8, 1)), stale(2, nasty), deferred(3, nasty)),
		[]ami.Outcome{
			outcome(1, ami.Deregistered, "", result(1, ami.SnapshotDeleted, "")),
			outcome(2, ami.Failed, "refused: "+nasty),
		}))

	virginia := plan("us-east-1", stale(50, "web-2026-01-20", goes(50, 1200, 50)), deferred(51, "web-2026-01-21"))
	all["several regions"] = newRun(false,
		report.NewRegion(ordinaryPlan, outcomes),
		report.NewRegion(virginia, []ami.Outcome{outcome(50, ami.Deregistered, "", result(50, ami.SnapshotDeleted, ""))}),
		report.NewRegion(plan("us-west-2", keptMany(400, 2, "public", "everyone may launch it")...), nil),
	)
	return all
}

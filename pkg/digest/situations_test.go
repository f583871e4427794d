package digest_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
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

// sources are the names of the sources of evidence.
var sources = []string{
	"references", "instances", "launch-templates", "launch-configurations", "auto-scaling-groups", "spot-fleets",
	"spot-requests", "ssm-text", "fast-launch", "fast-snapshot-restore",
}

// newRegion records a region where the tag Team names the owners.
func newRegion(plan retention.Plan, outcomes []ami.Outcome) record.Region {
	return record.NewRegion(plan, ami.SweepResult{Outcomes: outcomes}, "Team")
}

// newRun makes a finished record of regions.
func newRun(dryRun bool, regions ...record.Region) record.Run {
	r := record.Run{
		Run:       "20261123T020000Z-3f9c1a",
		Version:   "1.0.0",
		DryRun:    dryRun,
		StartedAt: startedAt,
		Policy:    map[string]string{"staleAfter": "180d", "maxDeregistrations": "100"},
		PolicySentence: "Images idle for more than 180 days that nothing refers to are deregistered and their snapshots " +
			"deleted, the stalest first and at most 100 a run; the newest 1 of each family always stays.",
		Sources: record.Sources{LookedUp: slices.Clone(sources)},
		Regions: regions,
	}
	for i := range r.Regions {
		if r.Regions[i].Error == "" && len(r.Regions[i].Images) > 0 {
			r.Regions[i].LookedUp = r.Sources.LookedUp
		}
	}
	r.Finish(finishedAt, 0.05)
	digest.Advise(&r)
	return r
}

func plan(region string, verdicts ...retention.Verdict) retention.Plan {
	p := retention.Plan{Account: "123456789012", Region: region, Verdicts: verdicts}
	measure(&p)
	return p
}

// measure says what the snapshots take that the verdicts of a plan name.
func measure(p *retention.Plan) {
	users, sizes := map[string][]string{}, map[string]retention.SnapshotVerdict{}
	for _, v := range p.Verdicts {
		for _, s := range v.Snapshots {
			users[s.SnapshotID], sizes[s.SnapshotID] = append(users[s.SnapshotID], v.Image.ID), s
		}
	}
	for i := range p.Verdicts {
		v := &p.Verdicts[i]
		v.Stored, v.Freeable = retention.Storage{}, retention.Storage{}
		for _, s := range v.Snapshots {
			v.Stored.Add(s.SizeGiB, s.Archived)
			if s.Delete && len(users[s.SnapshotID]) == 1 {
				v.Freeable.Add(s.SizeGiB, s.Archived)
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(users)) {
		if s := sizes[id]; len(users[id]) > 1 {
			p.Shared = append(p.Shared, retention.SharedSnapshot{SnapshotID: id, SizeGiB: s.SizeGiB, Archived: s.Archived, ImageIDs: users[id]})
		}
	}
}

// id returns the n-th id of a kind, "ami" or "snap".
func id(kind string, n int) string { return fmt.Sprintf("%s-%08dexample", kind, n) }

func stale(n int, name string, snapshots ...retention.SnapshotVerdict) retention.Verdict {
	launched := startedAt.AddDate(0, 0, -300+n)
	return retention.Verdict{
		Image: ami.Image{
			ID: id("ami", n), Name: name, Architecture: "x86_64",
			CreatedAt: launched.AddDate(0, -2, 0), LastLaunchedAt: launched,
		},
		Decision: retention.Deregister,
		Reasons: []retention.Reason{{Code: "stale", Detail: fmt.Sprintf(
			"last launched %s, %d days ago; the limit is 180 days", launched.Format(time.DateOnly), 300-n)}},
		LastUse:   launched,
		IdleDays:  300 - n,
		Snapshots: snapshots,
	}
}

func deferred(n int, name string) retention.Verdict {
	v := stale(n, name)
	v.Decision = retention.Defer
	v.Reasons = append(v.Reasons, retention.Reason{Code: "over-cap", Detail: "at most 100 a run, the stalest first"})
	return v
}

// unasked is the verdict on an image that waits to be looked up.
func unasked(n int) retention.Verdict {
	v := stale(n, fmt.Sprintf("build-%d", n))
	v.Decision, v.Awaits = retention.Defer, retention.Deregister
	v.Reasons = append(v.Reasons, retention.Reason{Code: "not-looked-up", Detail: "what refers to it is looked up when it is its turn"})
	v.Stored, v.Freeable = retention.Storage{Snapshots: 1, GiB: 8}, retention.Storage{Snapshots: 1, GiB: 8}
	return v
}

// refused is the verdict on an image that waits because EC2 has refused its removal.
func refused(n int, name, fault string) retention.Verdict {
	v := stale(n, name)
	v.Decision, v.Yields = retention.Defer, true
	v.Reasons = append(v.Reasons, retention.Reason{Code: "refused", Detail: "on 2026-11-20, tried again from 2026-11-27: " + strings.ReplaceAll(fault, "ami-0123456789example", v.Image.ID)})
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

// owned gives the image of a verdict an owner.
func owned(owner string, v retention.Verdict) retention.Verdict {
	v.Image.Tags = map[string]string{"Team": owner}
	return v
}

// announce is the verdict on an image whose removal will be announced, so many days before.
func announce(n int, name string, days int, action retention.GraceAction) retention.Verdict {
	v := stale(n, name)
	v.Decision, v.Action, v.Due = retention.Mark, action, dayIn(days)
	return v
}

// waits is the verdict on an image that was announced before, and is due in so many days.
func waits(n int, name string, days int) retention.Verdict {
	v := stale(n, name)
	v.Decision, v.Due, v.Action = retention.Keep, dayIn(days), retention.Announce
	v.Reasons = []retention.Reason{{Code: "announced", Detail: "due on " + v.Due.Format(time.DateOnly) + "; " + v.Reasons[0].Detail}}
	return v
}

func dayIn(days int) time.Time { return startedAt.Truncate(24*time.Hour).AddDate(0, 0, days) }

// vetoes is the verdict on an image to whose removal somebody objected.
func vetoes(n int, code retention.Code, detail string) retention.Verdict {
	v := kept(n, code, detail)
	v.Unmark = retention.Veto
	return v
}

func coded(n int, code, detail string) ami.Outcome {
	o := outcome(n, ami.Skipped, code+": "+detail)
	o.Code = code
	return o
}

// unreached is the outcome of an image for which there was no time.
func unreached(n int) ami.Outcome {
	o := outcome(n, ami.Skipped, "not reached before the time of this run was up; the next run will find it again")
	o.Code = "not-reached"
	return o
}

// inBin is the outcome of an image that is in the Recycle Bin for so many days, with its snapshots.
func inBin(n, days int, snapshots ...ami.SnapshotResult) ami.Outcome {
	o := outcome(n, ami.Deregistered, "", snapshots...)
	o.InBinUntil = exit(days)
	return o
}

// binned is the result of a snapshot that is in the Recycle Bin for so many days.
func binned(snapshot, days int) ami.SnapshotResult {
	s := result(snapshot, ami.SnapshotDeleted, "")
	s.RestorableUntil = exit(days)
	return s
}

// exit is the time of an exit from the Recycle Bin, with milliseconds, as EC2 gives it.
func exit(days int) time.Time { return finishedAt.AddDate(0, 0, days).Add(345 * time.Millisecond) }

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
func situations() map[string]record.Run {
	all := map[string]record.Run{}

	ordinaryPlan, outcomes := ordinary()
	all["ordinary"] = newRun(false, newRegion(ordinaryPlan, outcomes))
	all["dry run"] = newRun(true, newRegion(ordinaryPlan, nil))

	lacking := newRun(true, newRegion(plan("eu-west-1", stale(1, "web-2025-11-02", goes(1, 8, 1))), nil))
	lacking.Copy = &record.Copy{
		Lacks:   []string{"describe-fleets.json", "describe-launch-permissions.json for 2 of 40 images", "get-parameters.json"},
		NotRead: []string{"cloudformation-describe-stacks.json", "notes.txt"},
	}
	all["copy that lacks evidence, dry"] = lacking

	nothing := newRun(false, newRegion(plan("eu-west-1",
		keptMany(100, 12, "recently-used", "last launched 2026-11-02, 21 days ago")...), nil))
	nothing.Sources.LookedUp, nothing.Sources.SwitchedOff = []string{}, sources[8:]
	nothing.Regions[0].Lookups = record.Lookups{}
	all["nothing to do"] = nothing
	noImages := newRun(true, newRegion(plan("eu-west-1"), nil))
	noImages.Sources.LookedUp = []string{}
	all["no images"] = noImages
	inPart := newRun(false,
		newRegion(plan("eu-west-1", stale(1, "web-2025-11-02"), kept(2, "unknown-use", "references: RequestLimitExceeded: Request limit exceeded.")), []ami.Outcome{outcome(1, ami.Deregistered, "")}),
		newRegion(plan("us-east-1", keptMany(100, 2, "recently-used", "last launched 2026-11-02, 21 days ago")...), nil),
		record.FailedRegion("123456789012", "us-west-2", errors.New("listing images: RequestLimitExceeded: Request limit exceeded")))
	inPart.Sources.LookedUp, inPart.Sources.SwitchedOff = sources[:8], sources[8:]
	inPart.Regions[0].Lookups = record.Lookups{LookedUp: sources[:8], Incomplete: sources[:1]}
	inPart.Regions[1].Lookups = record.Lookups{}
	all["looked up in part"] = inPart

	all["failures"] = newRun(false, newRegion(plan("eu-west-1",
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

	addRefusals(all)

	all["finished an earlier run"] = newRun(false, newRegion(plan("eu-west-1", stale(1, "web-2025-11-02", goes(1, 8, 1))),
		[]ami.Outcome{outcome(1, ami.Skipped, "gone before this run came to it: InvalidAMIID.Unavailable", result(1, ami.SnapshotDeleted, ""))}))

	all["region failed"] = newRun(false,
		newRegion(plan("eu-west-1", stale(1, "web-2025-11-02", goes(1, 8, 1))),
			[]ami.Outcome{outcome(1, ami.Deregistered, "", result(1, ami.SnapshotDeleted, ""))}),
		record.FailedRegion("123456789012", "ap-east-1", errors.New("listing images: "+
			"AuthFailure: AWS was not able to validate the provided access credentials")),
	)
	all["every region failed"] = newRun(false,
		record.FailedRegion("", "eu-west-1", errors.New("operation error STS: GetCallerIdentity, exceeded maximum number "+
			"of attempts, 3, dial tcp: lookup sts.eu-west-1.amazonaws.com: no such host")))

	unknownUse := keptMany(1, 8, "unknown-use", "references: UnauthorizedOperation: You are not authorized to "+
		"perform this operation. User: arn:aws:sts::123456789012:assumed-role/ami-janitor/run is not authorized to perform: "+
		"ec2:DescribeImageReferences because no identity-based policy allows the ec2:DescribeImageReferences action")
	unknownUse = append(unknownUse, keptMany(9, 2, "unknown-use", "references: RequestLimitExceeded: Request limit exceeded.")...)
	all["everything unknown"] = newRun(false, newRegion(plan("eu-west-1", unknownUse...), nil))

	late := make([]retention.Verdict, 30)
	for i := range late {
		late[i] = stale(i+1, fmt.Sprintf("web-build-%d", i+1), goes(i+1, 8, i+1))
	}
	results := []ami.Outcome{
		outcome(1, ami.Deregistered, "", result(1, ami.SnapshotDeleted, "")),
		outcome(2, ami.Deregistered, "", result(2, ami.SnapshotDeleted, "")),
	}
	for n := 3; n <= 25; n++ {
		results = append(results, unreached(n))
	}
	all["time ran out"] = newRun(false, newRegion(plan("eu-west-1", late...), results))

	notLookedUp := []retention.Verdict{stale(1, "web-build-1", goes(1, 8, 1)), deferred(2, "web-build-2")}
	notLookedUp = append(notLookedUp, keptMany(3, 7, "unknown-use", "launch permissions: "+ami.NotReached)...)
	notLookedUp = append(notLookedUp, keptMany(10, 3, "unknown-use", "launch permissions: "+ami.NotReached+", references: "+ami.NotReached)...)
	notLookedUp = append(notLookedUp, keptMany(13, 2, "unknown-use", "launch permissions: "+ami.NotReached+", launch-templates: "+ami.NotReached)...)
	notLookedUp = append(notLookedUp, keptMany(15, 1, "unknown-use", "ssm-text: "+ami.NotReached)...)
	notLookedUp = append(notLookedUp, keptMany(16, 1, "unknown-use", "references: RequestLimitExceeded: Request limit exceeded.")...)
	all["not looked up"] = newRun(false, newRegion(plan("eu-west-1", notLookedUp...), []ami.Outcome{
		outcome(1, ami.Deregistered, "", result(1, ami.SnapshotDeleted, "")),
	}))

	waiting := []retention.Verdict{stale(1, "web-build-1", goes(1, 8, 1)), deferred(2, "web-build-2")}
	for n := 10; n < 50; n++ {
		waiting = append(waiting, unasked(n))
	}
	waiting = append(waiting, keptMany(100, 3, "recently-used", "last launched 2026-11-02, 21 days ago")...)
	all["their turn comes"] = newRun(false, newRegion(plan("eu-west-1", waiting...), []ami.Outcome{
		outcome(1, ami.Deregistered, "", result(1, ami.SnapshotDeleted, "")),
	}))
	all["their turn comes dry"] = newRun(true, newRegion(plan("eu-west-1", waiting...), nil))
	all["its turn comes"] = newRun(true, newRegion(plan("eu-west-1", stale(1, "web-build-1", goes(1, 8, 1)), unasked(2)), nil))

	foreign := func(template string) ami.Gap {
		return ami.Gap{Source: "launch-templates", Err: "launch template " + template + ", names SSM parameter arn:aws:ssm:eu-west-1:111122223333:parameter/golden, which is not shared with this account, or not there"}
	}
	one, other := foreign("lt-01238c059e3466abc (web), version 3"), foreign("lt-0abcdef1234567890 (db), version 7 and 2 more")
	all["foreign parameter"] = newRun(false, newRegion(plan("eu-west-1", slices.Concat(
		unlooked(keptMany(1, 4, "unknown-use", one.Source+": "+one.Err), one),
		unlooked(keptMany(5, 1, "unknown-use", one.Source+": "+one.Err+", "+other.Source+": "+other.Err), one, other),
		keptMany(6, 1, "unknown-use", "ssm-text: SSM parameter /secure/db cannot be read: AccessDeniedException: User: arn:aws:sts::123456789012:assumed-role/ami-janitor "+
			"is not authorized to perform: ssm:GetParameters on resource: arn:aws:ssm:eu-west-1:123456789012:parameter/secure/db"),
	)...), nil))

	all["lists without images"] = newRun(false, newRegion(plan("eu-west-1", slices.Concat(
		keptMany(1, 3, "unknown-use", "instances: arn:aws:ec2:eu-west-1:123456789012:instance/i-1234567890abcdef0 is listed without its image"),
		keptMany(4, 1, "unknown-use", `instances: arn:aws:ec2:eu-west-1:123456789012:instance/i-1234567890abcdef0 names its image by "AMI-1", which is no id of an image`),
		keptMany(5, 1, "unknown-use", "ssm-text: SSM parameter /golden cannot be read: SSM answered without its value"),
		keptMany(6, 1, "unknown-use", "launch-templates: launch template lt-01238c059e3466abc, version 3, names SSM parameter /golden, which cannot be read: "+
			"SSM answered without its value"),
	)...), nil))

	all["nasty names"] = newRun(false, newRegion(plan("eu-west-1",
		stale(1, nasty, goes(1, 8, 1)), stale(2, nasty), deferred(3, nasty)),
		[]ami.Outcome{
			outcome(1, ami.Deregistered, "", result(1, ami.SnapshotDeleted, "")),
			outcome(2, ami.Failed, "refused: "+nasty),
		}))

	virginia := plan("us-east-1", stale(50, "web-2026-01-20", goes(50, 1200, 50)), deferred(51, "web-2026-01-21"))
	all["several regions"] = newRun(false,
		newRegion(ordinaryPlan, outcomes),
		newRegion(virginia, []ami.Outcome{outcome(50, ami.Deregistered, "", result(50, ami.SnapshotDeleted, ""))}),
		newRegion(plan("us-west-2", keptMany(400, 2, "public", "everyone may launch it")...), nil),
	)

	addAnnouncements(all)
	addSurprises(all)
	addRecycleBin(all)
	addHolds(all)
	addRemains(all)
	return all
}

// addAnnouncements adds the situations of a policy with a grace period.
func addAnnouncements(all map[string]record.Run) {
	verdicts := []retention.Verdict{
		stale(1, "web-2025-11-02", goes(1, 8, 1)),
		owned("payments", announce(2, "ledger-2026-01-04", 14, retention.Announce)),
		owned("Media", announce(3, "encoder-2026-01-05", 14, retention.Announce)),
		announce(4, "bench-tmp", 14, retention.Announce),
		owned("payments", waits(5, "ledger-2025-12-21", 4)),
		waits(6, "win-2019-base", 9),
		owned("", waits(7, "win-2016-base", 8)),
		deferred(8, "batch-1.4.2"),
	}
	outcomes := []ami.Outcome{
		outcome(1, ami.Deregistered, "", result(1, ami.SnapshotDeleted, "")),
		outcome(2, ami.Marked, ""), outcome(3, ami.Marked, ""), outcome(4, ami.Marked, ""),
	}
	all["announcing"] = newRun(false, newRegion(plan("eu-west-1", verdicts...), outcomes))
	all["announcing, dry"] = newRun(true, newRegion(plan("eu-west-1", verdicts...), nil))
	all["announcing only, dry"] = newRun(true, newRegion(plan("eu-west-1", verdicts[1:4]...), nil))

	many := make([]retention.Verdict, 22)
	for i := range many {
		many[i] = waits(i+1, fmt.Sprintf("web-build-%d", i+1), 1+i/2)
	}
	many = append(many, keptMany(100, 12, "recently-used", "last launched 2026-11-02, 21 days ago")...)
	all["waiting only"] = newRun(false, newRegion(plan("eu-west-1", many...), nil))

	disabled := owned("payments", waits(3, "ledger-2025-12-21", 4))
	disabled.Image.State, disabled.Action = "disabled", retention.Disable
	deprecated := waits(4, "win-2019-base", 9)
	deprecated.Image.DeprecatedAt, deprecated.Action = deprecated.Due, retention.Deprecate
	disabling := []retention.Verdict{
		owned("payments", announce(1, "ledger-2026-01-04", 14, retention.Disable)),
		announce(2, "shared-base", 14, retention.Announce),
		disabled,
		deprecated,
		announce(5, "bench-tmp", 14, retention.Disable),
	}
	all["disabling"] = newRun(false, newRegion(plan("eu-west-1", disabling...), []ami.Outcome{
		outcome(1, ami.Marked, ""), outcome(2, ami.Marked, ""),
		outcome(5, ami.Failed, "marked, but not disabled: "+strings.Replace(denial, "DeregisterImage", "DisableImage", 2)),
	}))
	all["disabling, dry"] = newRun(true, newRegion(plan("eu-west-1", disabling...), nil))
	long, ago := announce(1, "web-2025-11-02", 14, retention.Announce), announce(2, "web-2025-12-09", 14, retention.Announce)
	later, again := waits(3, "web-2026-01-13", 9), announce(4, "web-2026-01-14", 14, retention.Disable)
	long.Image.DeprecatedAt, ago.Image.DeprecatedAt, later.Image.DeprecatedAt = dayIn(500), dayIn(-500), dayIn(30)
	again.Image.State = "disabled"
	dated := []retention.Verdict{long, ago, later, again, announce(5, "web-2026-01-15", 14, retention.Deprecate)}
	all["deprecated by their owners"] = newRun(false, newRegion(plan("eu-west-1", dated...), []ami.Outcome{
		outcome(1, ami.Marked, ""), outcome(2, ami.Marked, ""), outcome(4, ami.Marked, ""), outcome(5, ami.Marked, ""),
	}))
	all["deprecated by their owners, dry"] = newRun(true, newRegion(plan("eu-west-1", dated...), nil))
	all["several owners, regions"] = newRun(false,
		newRegion(plan("eu-west-1", owned("@here Team <b>", announce(1, nasty, 14, retention.Deprecate)), announce(2, "web-1", 14, retention.Deprecate)),
			[]ami.Outcome{outcome(1, ami.Marked, ""), unreached(2)}),
		newRegion(plan("us-east-1", owned("@here Team <b>", waits(3, "web-2", 3))), nil))

	objections := []retention.Verdict{
		vetoes(1, "vetoed", "its tag ami-janitor:due was taken off"),
		vetoes(2, "in-use", "named by arn:aws:ec2:eu-west-1:123456789012:instance/i-1234567890abcdef0"),
		vetoes(3, "keep-tag", "tagged ami-janitor:keep"),
		vetoes(4, "vetoed", "somebody enabled it"),
	}
	objections[2].Reasons = append(objections[2].Reasons, retention.Reason{Code: "recently-used", Detail: "last launched 2026-11-22, 1 day ago"})
	cleared := kept(5, "newest-of-family", "the newest of family web")
	cleared.Unmark = retention.ClearMark
	objections = append(objections, cleared)
	all["objections"] = newRun(false, newRegion(plan("eu-west-1", objections...), []ami.Outcome{
		outcome(4, ami.Failed, strings.Replace(strings.ReplaceAll(denial, "DeregisterImage", "DeleteTags"), "ami-0123456789example", id("ami", 4), 1)),
	}))
	all["objections, dry"] = newRun(true, newRegion(plan("eu-west-1", objections...), nil))
	addCopiedTags(all)
}

// addCopiedTags adds images that carry tags of other images' removals, and one that was announced
// before policies had names.
func addCopiedTags(all map[string]record.Run) {
	announced := kept(1, "recently-used", "created 2026-11-20, 3 days ago")
	announced.Unmark, announced.CopiedTags = retention.ClearMark, "its tags say that its removal was announced, and are older than the image: they were copied from another one"
	declared := kept(2, "copied-tags", "its tags name run 20261020T020000Z-77aa01, and are older than the image: they were copied from another one")
	declared.CopiedTags = declared.Reasons[0].Detail
	unclear := kept(3, "in-use", "named by arn:aws:ec2:eu-west-1:123456789012:instance/i-1234567890abcdef0")
	unclear.CopiedTags = declared.CopiedTags
	old := vetoes(4, "restored", retention.OldForm)
	p := plan("eu-west-1", announced, declared, unclear, old)
	p.Stale = []retention.StaleDeclaration{{ID: id("ami", 2), Run: "20261020T020000Z-77aa01"}, {ID: id("ami", 3), Run: "20261020T020000Z-77aa01"}}
	all["copied tags"] = newRun(false, record.NewRegion(p, ami.SweepResult{Stale: map[string]string{
		id("ami", 2): "", id("ami", 3): strings.Replace(denial, "DeregisterImage", "DeleteTags", 2),
	}}, "Team"))
	all["copied tags, dry"] = newRun(true, newRegion(p, nil))
}

// addSurprises adds what evidence can say beyond used and unused.
func addSurprises(all map[string]record.Run) {
	missing := keptMany(1, 12, "launch-data-missing", "no image of eu-west-1 has a launch on record, although an instance of ami-00000099example was launched 2026-11-18")
	all["launch data missing"] = newRun(false,
		newRegion(plan("eu-west-1", append(missing, stale(50, "web-2025-11-02", goes(1, 8, 50)))...),
			[]ami.Outcome{outcome(50, ami.Deregistered, "", result(1, ami.SnapshotDeleted, ""))}))
	elsewhere := keptMany(20, 2, "launch-data-missing", "no image of us-east-1 has a launch on record, although an instance of ami-00000098example was launched 2026-11-20")
	all["launch data missing, dry"] = newRun(true, newRegion(plan("eu-west-1", missing...), nil), newRegion(plan("us-east-1", elsewhere...), nil))

	all["used since planned"] = newRun(false, newRegion(plan("eu-west-1",
		stale(1, "web-2025-11-02", goes(1, 8, 1)), stale(2, "web-2025-12-09", goes(2, 8, 2)), stale(3, "web-2026-01-13", goes(3, 8, 3)),
		stale(4, "worker-1"), stale(5, "worker-2"), stale(6, "worker-3"),
		announce(7, "worker-4", 14, retention.Announce),
	), []ami.Outcome{
		outcome(1, ami.Deregistered, "", result(1, ami.SnapshotDeleted, "")),
		coded(2, "used-since-planned", "named by arn:aws:ec2:eu-west-1:123456789012:instance/i-1234567890abcdef0"),
		coded(3, "used-since-planned", "named by arn:aws:ec2:eu-west-1:123456789012:launch-template/lt-0abcd290751193123"),
		coded(4, "unknown-use", "instances: RequestLimitExceeded: Request limit exceeded."),
		coded(5, "unknown-use", "instances: RequestLimitExceeded: Request limit exceeded."),
		coded(6, "changed-since-planned", "its tags have changed"),
		coded(7, "changed-since-planned", "a launch is on record now, of 2026-11-23"),
	}))

	short := keptMany(1, 7, "not-restorable", "the Recycle Bin would hold it for 7 days only, and not for 14")
	short = append(short,
		kept(8, "not-restorable", "its snapshot snap-00000008example: no Recycle Bin rule covers it, with the tags that it has"),
		kept(9, "not-restorable", "its snapshot snap-00000009example: no Recycle Bin rule covers it, with the tags that it has"),
		kept(10, "not-restorable", "its root device is an instance store, and the Recycle Bin takes only images that are backed by EBS"))
	all["not restorable"] = newRun(false, newRegion(plan("eu-west-1", short...), nil))

	lacking := keptMany(1, 4, "unknown-use", "spot-fleets: EC2 answered DescribeSpotFleetRequests without <spotFleetRequestConfigSet>")
	partly := append(lacking[:2:2], stale(50, "web-2025-11-02", goes(1, 8, 50)))
	all["an answer lacks its list"] = newRun(true, newRegion(plan("eu-west-1", lacking...), nil))
	all["unknown in part, dry"] = newRun(true, newRegion(plan("eu-west-1", partly...), nil))
	all["unknown in one of two regions, dry"] = newRun(true, newRegion(plan("eu-west-1", partly[2]), nil), newRegion(plan("us-east-1", lacking...), nil))

	first := newRun(true, newRegion(plan("eu-west-1", keptMany(100, 12, "recently-used", "last launched 2026-11-02, 21 days ago")...), nil))
	first.FirstRun = true
	all["first run, dry"] = recorded(first)

	pending := keptMany(1, 3, "usage-report-pending", "shared with account 111122223333; its usage report, asked for 2026-11-23, is not there yet")
	reports := newRun(false, newRegion(plan("eu-west-1", append(pending, kept(9, "in-use", "shared with account 111122223333, which uses it"))...), nil))
	reports.Sources.OtherAccounts = true
	all["shared reports pending"] = reports
}

// recorded gives a run a place for its record.
func recorded(r record.Run) record.Run {
	r.Record = "s3://amzn-s3-demo-bucket/janitor/runs/" + r.Run + "/record.json"
	return r
}

// addRecycleBin adds what is said of images that can, and that cannot, be restored.
func addRecycleBin(all map[string]record.Run) {
	bundle := stale(4, "legacy-store-2019")
	bundle.Image.S3Location = "images-bucket/legacy/image.manifest.xml"
	p := plan("eu-west-1",
		stale(1, "web-2025-11-02", goes(1, 8, 1), goes(2, 50, 1)),
		stale(2, "web-2025-12-09", goes(3, 100, 2), stays(4, 20, "tagged ami-janitor:keep")),
		stale(3, "worker-2025-12-09", goes(5, 30, 3)),
		bundle,
	)
	outcomes := []ami.Outcome{
		inBin(1, 14, binned(1, 14), binned(2, 14)),
		inBin(2, 14, binned(3, 7), result(4, ami.SnapshotKept, "tagged ami-janitor:keep")),
		inBin(3, 14, result(5, ami.SnapshotDeleted, "was already gone")),
		outcome(4, ami.Deregistered, ""),
	}
	all["restorable"] = recorded(newRun(false, record.NewRegion(p, ami.SweepResult{Outcomes: outcomes, BinRead: true}, "Team")))
	all["restorable in one of two regions"] = recorded(newRun(false,
		record.NewRegion(plan("eu-west-1", p.Verdicts[0]), ami.SweepResult{Outcomes: outcomes[:1], BinRead: true}, "Team"),
		newRegion(plan("us-east-1", stale(9, "web-2026-01-20", goes(9, 12, 9))), []ami.Outcome{outcome(9, ami.Deregistered, "", result(9, ami.SnapshotDeleted, ""))})))
	all["nothing restorable"] = newRun(false, record.NewRegion(plan("eu-west-1", p.Verdicts[2], p.Verdicts[3]),
		ami.SweepResult{Outcomes: []ami.Outcome{outcome(3, ami.Deregistered, "", result(5, ami.SnapshotDeleted, "")), outcomes[3]}, BinRead: true}, "Team"))

	back := vetoes(1, "restored", "run 20261121T020000Z-5b1d0e has removed it, or may have, and it is there again")
	all["back again"] = recorded(newRun(false, newRegion(plan("eu-west-1", back,
		kept(2, "claimed", "run 20261122T020000Z-77aa01 has declared its removal"),
		kept(3, "not-restorable", "its snapshot snap-00000003example: no Recycle Bin rule covers it, with the tags that it has"),
	), nil)))
	all["back again, dry"] = newRun(true, newRegion(plan("eu-west-1", back), nil))

	stopped := []ami.Outcome{outcome(1, ami.Deregistered, "", result(1, ami.SnapshotDeleted, ""), result(2, ami.SnapshotDeleted, ""))}
	for n := 2; n <= 4; n++ {
		o := outcome(n, ami.Skipped, "left alone: what this run removed first has not turned up in the Recycle Bin within two minutes")
		o.Code = "stopped"
		stopped = append(stopped, o)
	}
	all["stopped"] = newRun(false, record.NewRegion(p, ami.SweepResult{Outcomes: stopped, BinRead: true}, "Team"))
}

// held makes outcomes of a region whose plan was not carried out, and the plan that says so.
func held(p retention.Plan, hold string, busy bool) (retention.Plan, []ami.Outcome) {
	p.Hold, p.Busy = hold, busy
	if busy {
		p.BusyRun = "20261123T015800Z-0c7e55"
	}
	var outcomes []ami.Outcome
	for _, v := range p.Verdicts {
		if v.Decision == retention.Deregister || v.Decision == retention.Mark {
			outcomes = append(outcomes, ami.Outcome{ImageID: v.Image.ID, Code: "held", Status: ami.Skipped, Error: hold})
		}
	}
	return p, outcomes
}

const (
	noRule      = "no Recycle Bin rule covers what is to be removed: none is for images tagged ami-janitor:intent=remove"
	noJournal   = "the journal cannot be read: operation error S3: GetObject, https response error StatusCode: 403, RequestID: 656c76696E6727732072657175657374, api error AccessDenied: Access Denied"
	anotherRun  = "run 20261123T015800Z-0c7e55 was at work here at the same time"
	leavingRun  = "20261121T020000Z-5b1d0e"
	anotherLeft = "20261122T020000Z-77aa01"
)

// addHolds adds regions that are only planned.
func addHolds(all map[string]record.Run) {
	dublin := plan("eu-west-1", append([]retention.Verdict{
		stale(1, "web-2025-11-02", goes(1, 8, 1)), stale(2, "web-2025-12-09", goes(2, 8, 2)), announce(3, "bench-tmp", 14, retention.Announce),
		deferred(4, "batch-1.4.2"),
	}, keptMany(100, 5, "recently-used", "last launched 2026-11-02, 21 days ago")...)...)
	virginia := plan("us-east-1", stale(50, "web-2026-01-20", goes(50, 1200, 50)))
	acted := newRegion(virginia, []ami.Outcome{outcome(50, ami.Deregistered, "", result(50, ami.SnapshotDeleted, ""))})

	withoutRule, left := held(dublin, noRule, false)
	all["held"] = newRun(false, newRegion(withoutRule, left), acted)
	all["held, dry"] = newRun(true, newRegion(withoutRule, nil), newRegion(virginia, nil))
	all["held everywhere"] = newRun(false, newRegion(held(dublin, noJournal, false)), newRegion(held(virginia, noJournal, false)))
	all["held everywhere, dry"] = newRun(true, newRegion(withoutRule, nil))
	all["held with nothing due"] = newRun(false, newRegion(held(plan("eu-west-1", dublin.Verdicts[4:]...), noRule, false)))
	all["busy"] = newRun(false, newRegion(held(dublin, anotherRun, true)), newRegion(held(plan("us-east-1"), anotherRun, true)))
	forDays, alone := held(dublin, strings.Replace(anotherRun, "20261123T0158", "20261121T0158", 1), true)
	forDays.BusyRun = "20261121T015800Z-0c7e55"
	all["busy for days"] = newRun(false, newRegion(forDays, alone))
	all["busy for days in one of two regions"] = newRun(false, newRegion(forDays, alone), acted)
	all["busy in one of two regions"] = newRun(false, newRegion(held(dublin, anotherRun, true)), acted)
}

// leftover is the verdict on a snapshot that a run has left behind.
func leftover(run string, snapshot int, gib int64, why string) retention.LeftoverVerdict {
	return retention.LeftoverVerdict{
		Leftover: ami.Leftover{Run: run, ImageID: id("ami", 90), SnapshotID: id("snap", snapshot)},
		SizeGiB:  gib, Delete: why == "", Why: why,
	}
}

// addRemains adds what earlier runs, and other people, have left behind.
func addRemains(all map[string]record.Run) {
	p := plan("eu-west-1", append([]retention.Verdict{stale(1, "web-2025-11-02", goes(1, 8, 1))},
		keptMany(100, 2, "recently-used", "last launched 2026-11-02, 21 days ago")...)...)
	p.Leftovers = []retention.LeftoverVerdict{
		leftover(leavingRun, 61, 8, ""), leftover(leavingRun, 62, 8, ""), leftover(leavingRun, 63, 8, ""),
		leftover(leavingRun, 64, 20, "named by arn:aws:ec2:eu-west-1:123456789012:launch-template/lt-0abcd290751193123"),
		leftover(anotherLeft, 65, 100, ""), leftover(anotherLeft, 66, 100, ""),
	}
	p.Stale = []retention.StaleDeclaration{
		{ID: id("ami", 100), Run: anotherLeft, Keys: []string{"ami-janitor:intent", "ami-janitor:run"}},
		{ID: id("snap", 70), Run: anotherLeft},
		{ID: id("snap", 71)},
	}
	denied := strings.Replace(strings.ReplaceAll(denial, "DeregisterImage", "DeleteSnapshot"), "image/ami-0123456789example", "snapshot/"+id("snap", 65), 1)
	all["leftovers"] = recorded(newRun(false, record.NewRegion(p, ami.SweepResult{
		Outcomes:  []ami.Outcome{inBin(1, 14, binned(1, 14))},
		Leftovers: []ami.SnapshotResult{binned(61, 14), binned(62, 14), result(63, ami.SnapshotDeleted, "was already gone"), result(65, ami.SnapshotFailed, denied)},
		Stale:     map[string]string{id("ami", 100): "", id("snap", 70): strings.Replace(denial, "DeregisterImage", "DeleteTags", 2)},
		BinRead:   true,
	}, "Team")))
	all["leftovers, dry"] = newRun(true, newRegion(p, nil))
	remains := plan("eu-west-1", p.Verdicts[1:]...)
	remains.Leftovers = p.Leftovers[:2]
	all["leftovers only"] = newRun(false, record.NewRegion(remains, ami.SweepResult{Leftovers: []ami.SnapshotResult{binned(61, 14), binned(62, 14)}, BinRead: true}, "Team"))
	remains.Leftovers = p.Leftovers[3:4]
	all["leftovers that stay"] = newRun(false, newRegion(remains, nil))

	dublin, virginia := plan("eu-west-1", p.Verdicts[1:]...), plan("us-east-1")
	for n := range 7 {
		dublin.Orphans = append(dublin.Orphans, retention.Orphan{
			SnapshotID: id("snap", 80+n), ImageID: id("ami", 80+n), SizeGiB: int64(500 - 60*n), StartedAt: startedAt.AddDate(-2, n, 0),
		})
	}
	virginia.Orphans = []retention.Orphan{{SnapshotID: id("snap", 95), ImageID: id("ami", 95), SizeGiB: 400, Archived: true}}
	unasked := plan("eu-west-1", p.Verdicts[1:]...)
	unasked.RemainsGap = "snapshot permissions: ec2:DescribeSnapshotAttribute: UnauthorizedOperation: You are not authorized to perform this operation."
	unsought := plan("us-east-1")
	unsought.OrphansGap = "the Recycle Bin did not answer within 5s, and was not waited for"
	all["orphans not looked for"] = newRun(false, newRegion(plan("eu-west-1", p.Verdicts[1:]...), nil), newRegion(unsought, nil))
	all["orphans unknown"] = newRun(false, newRegion(unasked, nil))
	all["orphans"] = recorded(newRun(false, newRegion(dublin, nil), newRegion(virginia, nil)))

	manyOrphans, unseen := plan("eu-west-1", p.Verdicts[1:]...), plan("eu-west-1", p.Verdicts[1:]...)
	for n := range 60 {
		orphan := retention.Orphan{
			SnapshotID: id("snap", 100+n), ImageID: id("ami", 100+n), SizeGiB: int64(500 - n), StartedAt: startedAt.AddDate(-2, 0, 0), NotLookedAt: n >= 50,
		}
		if n != 1 && n != 3 { // Shared.
			manyOrphans.Orphans = append(manyOrphans.Orphans, orphan)
		}
		if n >= 58 { // All that were looked at are shared.
			unseen.Orphans = append(unseen.Orphans, orphan)
		}
	}
	all["many orphans"] = newRun(false, newRegion(manyOrphans, nil))
	all["orphans that nobody looked at"] = newRun(false, newRegion(unseen, nil))

	unkept := newRun(false, newRegion(plan("eu-west-1", p.Verdicts[1:]...), nil))
	unkept.RecordError = strings.Replace(strings.TrimPrefix(noJournal, "the journal cannot be read: "), "GetObject", "PutObject", 1)
	all["record not kept"] = unkept

	night := plan("eu-west-1", stale(1, "web-2025-11-02"), stale(2, "web-2025-12-09"), stale(3, "web-2026-01-13"))
	outcomes := []ami.Outcome{outcome(1, ami.Deregistered, ""), outcome(2, ami.Deregistered, ""), outcome(3, ami.Deregistered, "")}
	for n := range 25 {
		night.Verdicts = append(night.Verdicts, deferred(10+n, fmt.Sprintf("batch-%d", n)))
	}
	all["many nights"] = newRun(false, newRegion(night, outcomes))
	all["many nights, dry"] = newRun(true, newRegion(night, nil))
}

// What EC2 says of removals that it refuses, as pkg/sweep words it.
const (
	explicitDeny = "UnauthorizedOperation: You are not authorized to perform this operation. User: arn:aws:sts::123456789012:assumed-role/ami-janitor/run is not " +
		"authorized to perform: ec2:DeregisterImage on resource: arn:aws:ec2:eu-west-1::image/ami-0123456789example with an explicit deny in a service control policy."
	noAllow = "UnauthorizedOperation: You are not authorized to perform this operation. User: arn:aws:sts::123456789012:assumed-role/ami-janitor/run is not " +
		"authorized to perform: ec2:DeregisterImage on resource: arn:aws:ec2:eu-west-1::image/ami-0123456789example because no identity-based policy allows the ec2:DeregisterImage action."
	ofBackup = "AuthFailure: This image is managed by AWS Backup and cannot be deleted via EC2 APIs. To delete this image, please use the AWS Backup APIs, CLI, or console."
)

// addRefusals adds what EC2 refuses, tonight or on a night before.
func addRefusals(all map[string]record.Run) {
	of := func(n int, fault string) ami.Outcome {
		return outcome(n, ami.Failed, strings.ReplaceAll(fault, "ami-0123456789example", id("ami", n)))
	}
	tonight := []retention.Verdict{stale(1, "web-2025-11-02"), stale(2, "golden-2025-01"), stale(3, "golden-2025-02"), stale(4, "vault-1"), stale(5, "shield-1")}
	before := []retention.Verdict{
		refused(11, "golden-2024-01", explicitDeny), refused(12, "golden-2024-02", explicitDeny), refused(13, "vault-2", ofBackup), refused(14, "web-2025-01-02", noAllow),
		refused(15, "full", "its removal could not be declared: TagLimitExceeded: More than 50 tags specified"), deferred(20, "batch-1.4.2"), deferred(21, "batch-1.4.3"),
	}
	failures := []ami.Outcome{of(2, explicitDeny), of(3, noAllow), of(4, ofBackup), of(5, "OperationNotPermitted: You may not.")}
	all["some refused"] = newRun(false, newRegion(plan("eu-west-1", slices.Concat(tonight, before)...), append([]ami.Outcome{outcome(1, ami.Deregistered, "")}, failures...)))
	all["all refused"] = newRun(false, newRegion(plan("eu-west-1", tonight[2]), failures[1:2]))
	all["refused before, dry"] = newRun(true, newRegion(plan("eu-west-1", before...), nil))

	many := make([]retention.Verdict, 25)
	for n := range many {
		many[n] = refused(n+1, fmt.Sprintf("golden-2024-%d", n), noAllow)
	}
	all["refused before"] = newRun(false, newRegion(plan("eu-west-1", many...), nil))
}

// unlooked are verdicts on images. Some lookups for them could not be completed.
func unlooked(verdicts []retention.Verdict, gaps ...ami.Gap) []retention.Verdict {
	for i := range verdicts {
		verdicts[i].Gaps = gaps
	}
	return verdicts
}

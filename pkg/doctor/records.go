package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/middleware"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/journal"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// asDeployed is the remedy for a bucket that is not as the template makes it.
const asDeployed = "Set it as template.yaml does; stack drift detection shows what else was changed."

// checkBucket compares the bucket of the records with what the template makes of it.
func (e *examination) checkBucket(ctx context.Context) {
	const check = "records bucket"
	name := e.stack.id("RecordsBucket")
	if name == "" {
		return
	}
	// An answer that lacks a setting is one without it.
	client := wire.S3(e.Janitor.AWS, e.Deployment.Region, func(*middleware.Stack) error { return nil })
	before := len(e.report.Findings)
	e.setting(check, func() (string, error) {
		out, err := client.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: &name})
		if err == nil && out.Status != types.BucketVersioningStatusEnabled {
			return name + " keeps no versions: what is overwritten by mistake is lost", nil
		}
		return "", err
	})
	e.setting(check, func() (string, error) {
		out, err := client.GetBucketEncryption(ctx, &s3.GetBucketEncryptionInput{Bucket: &name})
		isOff := wire.Code(err) == "ServerSideEncryptionConfigurationNotFoundError"
		if isOff || err == nil && (out.ServerSideEncryptionConfiguration == nil || len(out.ServerSideEncryptionConfiguration.Rules) == 0) {
			return name + " does not encrypt by default", nil
		}
		return "", err
	})
	e.setting(check, func() (string, error) {
		out, err := client.GetPublicAccessBlock(ctx, &s3.GetPublicAccessBlockInput{Bucket: &name})
		if wire.Code(err) == "NoSuchPublicAccessBlockConfiguration" || err == nil && !blocksAll(out.PublicAccessBlockConfiguration) {
			return name + " does not block all public access", nil
		}
		return "", err
	})
	if len(e.report.Findings) == before {
		e.add(Finding{Level: Good, Check: check, Found: name + " keeps versions, encrypts and blocks public access"})
	}
}

func blocksAll(block *types.PublicAccessBlockConfiguration) bool {
	return block != nil && aws.ToBool(block.BlockPublicAcls) && aws.ToBool(block.BlockPublicPolicy) &&
		aws.ToBool(block.IgnorePublicAcls) && aws.ToBool(block.RestrictPublicBuckets)
}

// setting adds a finding if a setting of the bucket is not as it should be, or cannot be read.
func (e *examination) setting(check string, look func() (fault string, err error)) {
	switch fault, err := look(); {
	case err != nil && isMissing(err):
		e.add(Finding{Level: Wrong, Check: check, Found: "it is gone: " + wire.ExplainLookup(err), Remedy: "Without records nothing can be undone or finished: find out who deleted it, and deploy again."})
	case err != nil:
		e.add(notChecked(check, "", err))
	case fault != "":
		e.add(Finding{Level: Wrong, Check: check, Found: fault, Remedy: asDeployed})
	}
}

// checkRecords looks at the last run, and at what holds up the next one.
func (e *examination) checkRecords(ctx context.Context) {
	if !e.settings() {
		return // Where the records are is one of them.
	}
	kept, err := e.Janitor.Journal(e.account)
	switch {
	case err != nil:
		e.add(Finding{Level: Wrong, Check: "records", Found: err.Error(), Remedy: "Name the place of the records that the runs use."})
	case kept == nil && e.Deployment != nil:
		e.add(Finding{Level: Wrong, Check: "records", Found: "the function keeps none: nothing that it removes can be undone", Remedy: "Deploy the template again: sam deploy."})
	case kept == nil:
	default:
		e.checkLastRun(ctx, kept)
	}
}

// most is how many records are read to find the last run that was completed.
const most = 20

func (e *examination) checkLastRun(ctx context.Context, kept *journal.Journal) {
	const check = "last run"
	runs, err := kept.Recorded(ctx)
	if err != nil {
		e.add(explained(check, "", err.Error()))
		return
	}
	for _, one := range runs[:min(most, len(runs))] {
		text, err := kept.Record(ctx, one.Run)
		var run record.Run
		if err == nil {
			run, err = record.Parse(text)
		}
		switch {
		case errors.Is(err, journal.ErrNotFound):
		case err != nil:
			e.add(explained(check, "", err.Error()))
			return
		case !run.AllFailed():
			e.add(e.ofLastRun(check, run))
			return
		}
	}
	f := Finding{Level: Note, Check: check, Found: "no run has been completed", Remedy: "Start one: the stack's output RunNow has the command."}
	if e.Deployment != nil && len(runs) > 0 {
		f.Level, f.Found = Wrong, "none of the last "+count(min(most, len(runs)), "run")+" has been completed in any region"
		f.Remedy = "Read the digest or the log of the last one: aws logs tail, as the output FollowLog has it."
	}
	e.add(f)
}

func (e *examination) ofLastRun(check string, run record.Run) Finding {
	ended := run.FinishedAt
	f := Finding{Level: Good, Check: check, Found: fmt.Sprintf("%s, completed %s", run.Run, ended.UTC().Format("2006-01-02 15:04 UTC"))}
	if run.DryRun {
		f.Found += ", dry"
	}
	if failed := run.FailedRegions(); failed > 0 {
		f.Level, f.Found, f.Remedy = Wrong, f.Found+"; "+count(failed, "region")+" failed", "Its digest says why, and what to do."
	}
	if e.stack == nil || e.stack.parameters["ScheduleState"] == "DISABLED" {
		return f
	}
	hours, err := strconv.Atoi(e.stack.parameters["AlarmAfterHours"])
	if age := e.Janitor.Clock().Sub(ended); err == nil && age > time.Duration(hours)*time.Hour {
		f.Level, f.Remedy = Wrong, "docs/playbooks/runs-missing.md says where to look."
		f.Found += fmt.Sprintf(", %d hours ago; AlarmAfterHours is %d", int(age.Hours()), hours)
	}
	return f
}

// checkLock looks whether the lock of a region would keep a run out.
func (e *examination) checkLock(ctx context.Context, region string) []Finding {
	kept, err := e.Janitor.Journal(e.account)
	if err != nil || kept == nil {
		return nil // It is told of already.
	}
	now := e.Janitor.Clock()
	busy, err := kept.Holder(ctx, region, now)
	f := Finding{Level: Good, Check: "lock", Region: region, Found: "free"}
	switch {
	case err != nil && isDenied(err.Error()):
		return []Finding{explained("lock", region, err.Error())}
	case err != nil:
		f.Level, f.Found, f.Remedy = Wrong, err.Error(), "Until it is right, runs only plan here."
	case busy != "":
		f.Level, f.Found, f.Remedy = Note, "run "+busy+" is at work", "Wait: a run that died is no longer waited for after half an hour."
	}
	return []Finding{f}
}

// checkKeepList reads the keep list as a run does.
func (e *examination) checkKeepList(ctx context.Context) {
	if !e.settings() || len(e.Janitor.Config.KeepLists) == 0 {
		return
	}
	f := Finding{Level: Good, Check: "keep list", Found: e.Janitor.Config.KeepLists.String() + " is read and understood"}
	if _, err := e.Janitor.KeepList(ctx); err != nil {
		f = Finding{Level: Wrong, Check: "keep list", Found: err.Error(), Remedy: "Mend the list, or take it out of {KEEP_LIST}: until then nothing is removed."}
		f = e.asCaller(f)
	}
	e.add(f)
}

// checkBin says what the Recycle Bin of a region would hold for how long.
func (e *examination) checkBin(ctx context.Context, region string) []Finding {
	f := Finding{Level: Good, Check: "Recycle Bin", Region: region}
	bin := e.Janitor.Bin(ctx, region)
	policy := e.Janitor.Config.Policy
	if !bin.Read {
		f.Level, f.Found, f.Remedy = Note, bin.Err, "Not needed: {REQUIRE_RECYCLE_BIN} is false."
		if policy.RequireRecycleBin {
			f.Level, f.Remedy = Wrong, "Until the Recycle Bin answers, runs only plan here."
			f = e.asCaller(f)
		}
		return []Finding{f}
	}
	images, snapshots := retention.BinDays(bin)
	f.Found = fmt.Sprintf("%s would hold removed images for %s and snapshots for %s", rules(bin), days(images), days(snapshots))
	makeRules := "Deploy recycle-bin.yaml in " + region + ", with RecycleBinDays=" + strconv.Itoa(max(policy.RecycleBinDays, 1)) + " or more."
	switch {
	case policy.BinGap(bin) != "":
		f.Level, f.Remedy = Wrong, makeRules+" Until then, runs only plan here."
	case policy.RequireRecycleBin && (images < policy.RecycleBinDays || policy.DeleteSnapshots && snapshots < max(policy.RecycleBinDays, images)):
		f.Level, f.Remedy = Wrong, makeRules+" Images stay not-restorable if it, or the rule for snapshots, is shorter."
	case !policy.RequireRecycleBin && min(images, snapshots) == 0:
		f.Level, f.Remedy = Note, makeRules+" Until then, what a run removes here is gone: {REQUIRE_RECYCLE_BIN} is false."
	}
	return []Finding{f}
}

func rules(bin ami.RecycleBin) string {
	var ids []string
	for _, rule := range bin.Rules {
		ids = append(ids, rule.ID)
	}
	return cmp.Or(strings.Join(ids, ", "), "no rule: it")
}

func days(n int) string {
	if n == 0 {
		return "no time"
	}
	return count(n, "day")
}

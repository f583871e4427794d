package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
)

// export copies the account that the rest of the command line talks to, and a rehearsal on the copy
// needs no region.
func TestExportAndRehearse(t *testing.T) {
	account := serving(t, func(doer emulator.Doer) emulator.Doer { return doer })
	dir := filepath.Join(t.TempDir(), "copy")
	got := cli(t, nil, "export", dir)
	if got.status != exitRemovalFailed || !strings.Contains(got.out, dir+": account 123456789012, us-east-1\nRead from 20") || strings.Contains(got.out, "NOT OF ONE TIME") {
		t.Errorf("status %d: %s%s", got.status, got.out, got.err)
	}
	if !strings.Contains(got.err, "us-east-1: describe-launch-permissions.json: ami-0ec0ffee") {
		t.Errorf("what was refused is not told of: %s", got.err)
	}
	for _, call := range account.Calls() {
		if call.Region != "us-east-1" {
			t.Errorf("%s in %s", call.Action, call.Region)
		}
	}
	rehearsed := cli(t, nil, "rehearse", "--account", dir, "--dry-run", "--output", "json", "--require-recycle-bin=false").record(t)
	planned := cli(t, []string{"RECORDS=" + t.TempDir()}, "plan", "--output", "json", "--require-recycle-bin=false").record(t)
	if diff := cmp.Diff(planned.Totals, rehearsed.Totals); diff != "" || planned.Totals.WouldDeregister == 0 {
		t.Errorf("planned (-), rehearsed (+): %s", diff)
	}

	// Once it is complete, nothing is read again, and what AWS has refused is told nevertheless.
	calls := len(account.Calls())
	again := cli(t, nil, "export", dir)
	if again.status != exitRemovalFailed || again.err != got.err || len(account.Calls()) > calls+20 {
		t.Errorf("status %d: %s%s", again.status, again.out, again.err)
	}
}

// A copy knows its region: it is not taken for that of another one.
func TestACopyKnowsItsRegion(t *testing.T) {
	serving(t, func(doer emulator.Doer) emulator.Doer { return doer })
	dir := t.TempDir()
	if got := cli(t, nil, "export", dir, "--regions", "us-east-1,us-west-2", "--except-regions", "us-east-1"); got.status != 0 {
		t.Errorf("status %d: %s%s", got.status, got.out, got.err)
	}
	var manifest struct{ Region string }
	data, err := os.ReadFile(filepath.Join(dir, "export.json"))
	if err == nil {
		err = json.Unmarshal(data, &manifest)
	}
	if err != nil || manifest.Region != "us-west-2" {
		t.Errorf("region %q, %v", manifest.Region, err)
	}
	if record := cli(t, nil, "rehearse", "--account", dir, "--dry-run", "--output", "json").record(t); record.Regions[0].Region != "us-west-2" || record.Regions[0].Error != "" {
		t.Errorf("%+v", record.Regions)
	}
	got := cli(t, []string{"AWS_REGION=us-east-1"}, "rehearse", "--account", dir, "--dry-run", "--output", "json")
	if record := got.record(t); got.status != exitRegionFailed || !strings.Contains(record.Regions[0].Error, "This copy of an account has no region us-east-1") {
		t.Errorf("status %d: %+v", got.status, record.Regions)
	}
}

func TestExportRefuses(t *testing.T) {
	serving(t, func(doer emulator.Doer) emulator.Doer { return disturb.Deny(doer, "GetCallerIdentity") })
	dir := t.TempDir()
	for says, args := range map[string][]string{
		"accepts 1 arg(s), received 0": {"export"}, "--ec2-share: ": {"export", dir, "--ec2-share", "2"}, "unknown flag: --stale-after": {"export", dir, "--stale-after", "90d"},
	} {
		if got := cli(t, nil, args...); got.status != exitUsage || !strings.Contains(got.err, says) {
			t.Errorf("%v: status %d: %s", args, got.status, got.err)
		}
	}
	if got := cli(t, nil, "export", dir); got.status != exitRegionFailed || !strings.Contains(got.err, "asking for the account: sts:GetCallerIdentity: AccessDenied") {
		t.Errorf("status %d: %s", got.status, got.err)
	}
	serving(t, func(doer emulator.Doer) emulator.Doer { return doer })
	write(t, dir, "mine.txt", "")
	if got := cli(t, nil, "export", dir); got.status != exitUsage || !strings.Contains(got.err, "is not empty, and no export was begun in it") {
		t.Errorf("status %d: %s", got.status, got.err)
	}
}

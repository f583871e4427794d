package export_test

import (
	"context"
	"encoding/json"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/export"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// policies are settings under which a run looks at different things.
var policies = []map[string]string{
	{"REGIONS": "all", "REQUIRE_RECYCLE_BIN": "false"},
	{"REGIONS": home, "REQUIRE_RECYCLE_BIN": "true", "ORPHANED_SNAPSHOTS": "report"},
	{"REGIONS": "all", "SHARED_IMAGES": "report", "LAUNCH_TEMPLATE_VERSIONS": "1", "IMAGE_BUILDER_IMAGES": "judge", "GRACE": "14d", "REQUIRE_RECYCLE_BIN": "false"},
	{"REGIONS": "all", "USAGE_SOURCES": "references", "REQUIRE_RECYCLE_BIN": "false"},
}

// A rehearsal on a copy of the sample account comes to the same verdicts, reasons and evidence as a
// run on the sample itself.
func TestARehearsalOnACopyOfTheSample(t *testing.T) {
	original := loadSample(t)
	copied, summary := copied(t, original.Client(), t.TempDir())
	if len(summary.Refused) != 1 || !strings.HasPrefix(summary.Refused[0], "us-east-1: describe-launch-permissions.json: ami-") {
		t.Errorf("one image of the sample hides its launch permissions: %q", summary.Refused)
	}
	seen := map[retention.Decision]bool{}
	for _, settings := range policies {
		record := wantSame(t, original.Client(), copied.Client(), settings)
		for _, region := range record.Regions {
			for _, image := range region.Images {
				seen[image.Verdict] = true
			}
		}
	}
	for _, verdict := range []retention.Decision{retention.Keep, retention.Deregister, retention.Mark} {
		if !seen[verdict] {
			t.Errorf("no image has the verdict %s", verdict)
		}
	}
}

// The same of any account and any policy, whatever may not be read.
func TestARehearsalOnACopyOfAnyAccount(t *testing.T) {
	actions := []string{
		"DescribeSnapshots", "DescribeLockedSnapshots", "DescribeImageAttribute", "DescribeSnapshotAttribute", "DescribeImageReferences", "DescribeInstances", "DescribeLaunchTemplates",
		"DescribeLaunchTemplateVersions", "DescribeLaunchConfigurations", "DescribeAutoScalingGroups", "DescribeFleets", "DescribeSpotFleetRequests", "DescribeSpotInstanceRequests",
		"DescribeFastLaunchImages", "DescribeFastSnapshotRestores", "DescribeImageUsageReports", "DescribeImageUsageReportEntries", "DescribeParameters", "GetParameters",
		"ListImagesInRecycleBin", "ListSnapshotsInRecycleBin", "ListRules", "GetRule", "DescribeImages",
	}
	rapid.Check(t, func(rt *rapid.T) {
		here, there := anyRegion(rt, home), anyRegion(rt, away)
		here["get-caller-identity.json"] = object{"Account": accountID, "Arn": "arn:aws:iam::" + accountID + ":user/export", "UserId": "AIDAIOSFODNN7EXAMPLE"}
		denied := rapid.SliceOfNDistinct(rapid.SampledFrom(actions), 0, 2, rapid.ID[string]).Draw(rt, "denied")
		original := disturb.Deny(account(rt, here, there).Client(), denied...)
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		copied, _ := copied(rt, original, dir)
		settings := anySettings(rt)
		if slices.Contains(denied, "DescribeParameters") {
			// The copy has no parameter that is not listed, but for those that launch templates
			// name.
			settings["KEEP_LIST"] = ""
		}
		isOfTemplates := func(action string) bool {
			return strings.HasPrefix(action, "DescribeLaunchTemplate") || action == "GetParameters"
		}
		if slices.ContainsFunc(denied, isOfTemplates) {
			// EC2's references do not say by which version.
			settings["LAUNCH_TEMPLATE_VERSIONS"] = "all"
		}
		wantSame(rt, original, copied.Client(), settings)
		secrets(rt, dir)
	})
}

// secrets looks for what must not be in a copy.
func secrets(t rapid.TB, dir string) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(dir, name))
		for _, secret := range []string{"cGFzc3dvcmQ=", "UserData"} {
			if strings.Contains(string(data), secret) {
				t.Errorf("%s has %s in it", name, secret)
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// Whatever a run reads is in the copy: it makes no call that no export makes. The regions and the
// tags of a copy follow from the rest.
func TestEveryActionThatARunReads(t *testing.T) {
	original := loadSample(t)
	for _, settings := range policies {
		judged(t, original.Client(), settings)
	}
	exported := loadSample(t)
	copied(t, exported.Client(), t.TempDir())
	made := append(reads(exported), "ec2:DescribeRegions")
	read := reads(original)
	if len(read) < 20 {
		t.Errorf("%d actions are read: %q", len(read), read)
	}
	for _, action := range read {
		if !slices.Contains(made, action) {
			t.Errorf("a run calls %s, and an export does not", action)
		}
	}
	for _, call := range exported.Calls() {
		if !strings.HasPrefix(call.Action, "Describe") && !strings.HasPrefix(call.Action, "Get") && !strings.HasPrefix(call.Action, "List") {
			t.Errorf("an export calls %s", call.Action)
		}
	}
}

// Calls that AWS refuses because of a missing permission are denied in the copy, reported, and
// refused by the emulated account, too.
func TestWhatIsRefusedIsDeniedInTheCopy(t *testing.T) {
	for action, want := range map[string]string{
		"DescribeFleets": "ec2:DescribeFleets", "DescribeImageReferences": "ec2:DescribeImageReferences", "DescribeLaunchTemplateVersions": "ec2:DescribeLaunchTemplateVersions",
		"DescribeAutoScalingGroups": "autoscaling:DescribeAutoScalingGroups", "GetParameters": "ssm:GetParameters", "GetRule": "rbin:GetRule", "ListRules": "rbin:ListRules", "ListAccountAliases": "iam:ListAccountAliases",
		"DescribeImageAttribute": "ec2:DescribeImageAttribute", "DescribeSnapshotAttribute": "ec2:DescribeSnapshotAttribute", "DescribeImages": "ec2:DescribeImages",
	} {
		t.Run(action, func(t *testing.T) {
			t.Parallel()
			original := disturb.Deny(loadSample(t).Client(), action)
			dir := t.TempDir()
			again, summary := copied(t, original, dir)
			var denied []string
			data, err := os.ReadFile(filepath.Join(dir, "denied.json"))
			if err == nil {
				err = json.Unmarshal(data, &denied)
			}
			if err != nil || !slices.Equal(denied, []string{want}) {
				t.Errorf("denied: %q, %v", denied, err)
			}
			if !contains(summary.Refused, want+": ") {
				t.Errorf("told: %q", summary.Refused)
			}
			wantSame(t, original, again.Client(), policies[0])

			// Once the permission is there, the same export reads what it was for, and nothing
			// else.
			whole := loadSample(t)
			after, summary := copied(t, whole.Client(), dir)
			if action == "GetRule" { // The file is there, from what could be listed.
				return
			}
			if contains(summary.Refused, want+": AccessDenied") || strings.Contains(filesOf(t, dir)["denied.json"], want) {
				t.Errorf("still denied: %q", summary.Refused)
			}
			for _, call := range whole.Calls() {
				isNeeded := call.Action == action || strings.HasPrefix(call.Action, "GetCallerIdentity") ||
					action == "DescribeImages" && (call.Action == "DescribeImageAttribute" || call.Action == "DescribeImageReferences") ||
					action == "DescribeAutoScalingGroups" && call.Action == "DescribeInstanceRefreshes" ||
					action == "ListRules" && call.Action == "GetRule" || action == "DescribeLaunchTemplateVersions" && call.Action == "GetParameters"
				if !isNeeded {
					t.Errorf("%s is called again", call.Action)
				}
			}
			wantSame(t, loadSample(t).Client(), after.Client(), policies[0])
		})
	}
}

// An export that fails somewhere says where, and its copy cannot be rehearsed on. The same export
// again reads what is missing.
func TestAFailureIsToldAndMended(t *testing.T) {
	for action, files := range map[string]int{"DescribeFleets": 1, "DescribeInstances": 1, "DescribeImages": 3, "DescribeLaunchTemplateVersions": 2, "GetParameters": 1, "DescribeImageAttribute": 1, "GetRule": 1} {
		t.Run(action, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			broken := disturb.Fail(loadSample(t).Client(), action, nil, http.StatusBadRequest, "InvalidRequest", "Not like this.")
			summary, err := run(t.Context(), broken, dir)
			if err != nil {
				t.Fatal(err)
			}
			here := slices.DeleteFunc(slices.Clone(summary.Failed), func(s string) bool { return !strings.HasPrefix(s, home) })
			if len(here) != files || !contains(here, ".json: ") || !contains(here, "InvalidRequest: Not like this.") {
				t.Errorf("failed: %q", here)
			}
			if _, err := emulator.Load(os.DirFS(dir), emulator.Options{Now: clock}); err == nil || !strings.Contains(err.Error(), "export.json: the export has not come to its end") {
				t.Errorf("the copy can be rehearsed on: %v", err)
			}
			copied(t, loadSample(t).Client(), dir)
			whole := t.TempDir()
			copied(t, loadSample(t).Client(), whole)
			if diff := cmp.Diff(filesOf(t, whole), filesOf(t, dir)); diff != "" {
				t.Errorf("in one go (-), in two (+):\n%s", diff)
			}
		})
	}
}

// An export that was ended in the middle of its many calls goes on where it was, and says that the
// copy is not of one time.
func TestAnEndedExportGoesOn(t *testing.T) {
	const enough, atOnce = 25, 16 // Calls side by side: as many may not be noted yet.
	dir := t.TempDir()
	ctx, end := context.WithCancel(t.Context())
	var calls atomic.Int64
	first := loadSample(t)
	slow := emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
		q, err := emulator.Inspect(r)
		if err == nil && q.Action == "DescribeImageAttribute" && calls.Add(1) == enough {
			end()
		}
		return first.Client().Do(r)
	})
	summary, err := run(ctx, slow, dir, home)
	if err != nil || !contains(summary.Failed, "describe-launch-permissions.json: interrupted") {
		t.Fatalf("%v; %q", err, summary.Failed)
	}
	journal := filepath.Join(dir, ".export-describe-launch-permissions.jsonl")
	data, err := os.ReadFile(journal)
	if err != nil {
		t.Fatal(err)
	}
	answered := strings.Count(string(data), "\n")
	if answered < enough-atOnce || answered >= enough {
		t.Errorf("%d answers were noted", answered)
	}
	// As if killed while it wrote.
	if err := os.WriteFile(journal, []byte(strings.TrimSuffix(string(data), "\n")[:len(data)-20]), 0o600); err != nil {
		t.Fatal(err)
	}

	second, later := loadSample(t), now.Add(time.Hour)
	e := export.Export{AWS: configuration(second.Client()), Regions: []string{home}, Directory: dir, Clock: func() time.Time { return later }}
	summary, err = e.Run(t.Context())
	if err != nil || len(summary.Failed) > 0 {
		t.Fatalf("%v; %q", err, summary.Failed)
	}
	asked := 0
	for _, call := range second.Calls() {
		switch call.Action {
		case "DescribeImageAttribute":
			asked++
		case "DescribeImages", "DescribeSnapshots", "DescribeInstances":
			t.Errorf("%s is called again", call.Action)
		}
	}
	images := len(strings.Split(filesOf(t, dir)["describe-launch-permissions.json"], "\"ami-")) - 1
	// One answer was cut; one image refuses, and is asked about again.
	if want := images - answered + 1; asked != want && asked != want+1 {
		t.Errorf("of %d images %d were asked about after %d answers", images, asked, answered)
	}
	for file, start := range map[string]int{"describe-images.json": 1, "describe-launch-permissions.json": 2} {
		if part := summary.Parts[file]; part.Start != start || !part.Began.Equal(now) {
			t.Errorf("%s: %+v", file, part)
		}
	}
	wantSame(t, loadSample(t).Client(), load(t, dir).Client(), policies[1])
	if _, err := os.Stat(journal); err == nil {
		t.Error("the journal is still there")
	}

	// Of a copy that is complete nothing is read again.
	third := loadSample(t)
	copied(t, third.Client(), dir, home)
	if got := reads(third); !slices.Equal(got, []string{"sts:GetCallerIdentity"}) {
		t.Errorf("read again: %q", got)
	}
}

// A directory that holds anything else is left alone.
func TestADirectoryInUseIsLeftAlone(t *testing.T) {
	write := func(t *testing.T, dir, name, content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, test := range map[string]struct {
		prepare func(t *testing.T, dir string)
		regions []string
		says    string
	}{
		"a_file":         {func(t *testing.T, dir string) { t.Helper(); write(t, dir, "notes.txt", "mine") }, nil, "is not empty"},
		"a_copy_by_hand": {func(t *testing.T, dir string) { t.Helper(); write(t, dir, "describe-images.json", "{}") }, nil, "is not empty"},
		"an_other_account": {func(t *testing.T, dir string) {
			t.Helper()
			write(t, dir, "export.json", `{"Account": "111122223333", "Region": "us-east-1"}`)
		}, nil, "copy of account 111122223333"},
		"an_other_region": {func(t *testing.T, dir string) { t.Helper(); copied(t, loadSample(t).Client(), dir, home) }, []string{away}, "copy of us-east-1"},
		"more_regions":    {func(t *testing.T, dir string) { t.Helper(); copied(t, loadSample(t).Client(), dir, home) }, nil, "copy of us-east-1"},
		"no_export":       {func(t *testing.T, dir string) { t.Helper(); write(t, dir, "export.json", `[]`) }, nil, "export.json in "},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			test.prepare(t, dir)
			before := filesOf(t, dir)
			_, err := run(t.Context(), loadSample(t).Client(), dir, test.regions...)
			if !isUsage(err) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("error %v", err)
			}
			if diff := cmp.Diff(before, filesOf(t, dir)); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("a_file_that_came_meanwhile", func(t *testing.T) {
		dir := t.TempDir()
		broken := disturb.Fail(loadSample(t).Client(), "DescribeFleets", nil, http.StatusBadRequest, "InvalidRequest", "Not like this.")
		if _, err := run(t.Context(), broken, dir, home); err != nil {
			t.Fatal(err)
		}
		write(t, dir, "describe-fleets.json", "mine")
		summary, err := run(t.Context(), loadSample(t).Client(), dir, home)
		if err != nil || len(summary.Failed) != 1 || !strings.Contains(summary.Failed[0], "describe-fleets.json is there already, and not from this export") {
			t.Errorf("%v; %q", err, summary.Failed)
		}
		if got := filesOf(t, dir)["describe-fleets.json"]; got != "mine" {
			t.Errorf("it was written over: %s", got)
		}
	})
	t.Run("a_link_that_leads_out", func(t *testing.T) {
		dir, outside := t.TempDir(), t.TempDir()
		broken := disturb.Fail(loadSample(t).Client(), "DescribeFleets", nil, http.StatusBadRequest, "InvalidRequest", "Not like this.")
		if _, err := run(t.Context(), broken, dir, home); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join(outside, "target"), filepath.Join(dir, ".export-describe-fleets.json")); err != nil {
			t.Fatal(err)
		}
		if summary, err := run(t.Context(), loadSample(t).Client(), dir, home); err == nil && len(summary.Failed) == 0 {
			t.Error("it was followed")
		}
		if left := filesOf(t, outside); len(left) > 0 {
			t.Errorf("written outside: %v", left)
		}
	})
}

// The copy is for its owner alone, and without credentials nothing is written.
func TestModesAndCredentials(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "copy")
	denied := disturb.Fail(loadSample(t).Client(), "GetCallerIdentity", nil, http.StatusForbidden, "InvalidClientTokenId", "The security token included in the request is invalid.")
	if _, err := run(t.Context(), denied, dir); err == nil || isUsage(err) || !strings.Contains(err.Error(), "asking for the account: ") {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("there is a directory")
	}
	copied(t, loadSample(t).Client(), dir)
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		want := fs.FileMode(0o600)
		if entry.IsDir() {
			want = 0o700
		}
		if err == nil && info.Mode().Perm() != want {
			t.Errorf("%s: %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// A region that an export has left out is not taken for an empty one.
func TestARegionThatIsNotInTheCopy(t *testing.T) {
	copied, summary := copied(t, loadSample(t).Client(), t.TempDir(), away)
	if summary.Home != away || copied.Home() != away {
		t.Errorf("home: %s, %s", summary.Home, copied.Home())
	}
	record, _ := judged(t, copied.Client(), map[string]string{"REGIONS": away + "," + home, "REQUIRE_RECYCLE_BIN": "false"})
	for _, region := range record.Regions {
		isFailed := strings.Contains(region.Error, "This copy of an account has no region us-east-1")
		if isFailed != (region.Region == home) || (region.Region == away) != (len(region.Images) > 0) {
			t.Errorf("%s: %d images, error %q", region.Region, len(region.Images), region.Error)
		}
	}
}

// What goes away while it is copied hides nothing else, and nobody takes it for something that is
// not shared or names nothing.
func TestWhatGoesAwayMeanwhile(t *testing.T) {
	here := directory{"get-caller-identity.json": object{"Account": accountID}}
	for n := range 3 {
		here.add("describe-images.json", "Images", object{"ImageId": imageID(n), "Name": "db", "OwnerId": accountID, "State": "available", "CreationDate": daysAgo(400 + n)})
	}
	here.add("describe-snapshots.json", "Snapshots", object{"SnapshotId": snapshotID(1), "OwnerId": accountID, "State": "completed"})
	here.add("describe-image-references.json", "ImageReferences", object{"ImageId": imageID(2), "ResourceType": "imagebuilder:ImageRecipe", "Arn": "arn:aws:imagebuilder:us-east-1:123456789012:image-recipe/web/1.0.0"})
	for n := range 2 {
		id := []string{"lt-00000000000000000", "lt-00000000000000001"}[n]
		here.add("describe-launch-templates.json", "LaunchTemplates", object{"LaunchTemplateId": id, "LatestVersionNumber": 2})
		here.add("describe-launch-template-versions.json", "LaunchTemplateVersions", object{"LaunchTemplateId": id, "VersionNumber": 2, "DefaultVersion": true, "LaunchTemplateData": object{}})
	}
	names := func(field, id string) func(int, emulator.Request) bool {
		return func(_ int, q emulator.Request) bool {
			for name, values := range q.Form {
				if strings.HasPrefix(name, field) && slices.Contains(values, id) {
					return true
				}
			}
			return false
		}
	}
	var doer emulator.Doer = account(t, here, nil).Client()
	for action, gone := range map[string][]string{
		"DescribeImageAttribute": {"ImageId", imageID(0), "InvalidAMIID.NotFound"}, "DescribeImageReferences": {"ImageId", imageID(0), "InvalidAMIID.NotFound"},
		"DescribeSnapshotAttribute": {"SnapshotId", snapshotID(1), "InvalidSnapshot.NotFound"}, "DescribeLaunchTemplateVersions": {"LaunchTemplateId", "lt-00000000000000000", "InvalidLaunchTemplateId.NotFound"},
	} {
		doer = disturb.Fail(doer, action, names(gone[0], gone[1]), http.StatusBadRequest, gone[2], "It is gone.")
	}
	dir := t.TempDir()
	copied, summary := copied(t, doer, dir, home)
	for _, says := range []string{
		"describe-launch-permissions.json: " + imageID(0) + ": ec2:DescribeImageAttribute: InvalidAMIID.NotFound: It is gone.", "describe-create-volume-permissions.json: " + snapshotID(1),
		"describe-launch-template-versions.json: lt-00000000000000000",
	} {
		if !contains(summary.Refused, says) {
			t.Errorf("%q is not told: %q", says, summary.Refused)
		}
	}
	files := filesOf(t, dir)
	if files["denied.json"] != "[]\n" || !strings.Contains(files["describe-launch-permissions.json"], imageID(0)+`": null`) || !strings.Contains(files["describe-image-references.json"], "image-recipe/web") {
		t.Errorf("%s%s%s", files["denied.json"], files["describe-launch-permissions.json"], files["describe-image-references.json"])
	}
	record, _ := judged(t, copied.Client(), map[string]string{"REQUIRE_RECYCLE_BIN": "false", "KEEP_NEWEST": "0"})
	for _, image := range record.Regions[0].Images {
		if image.Verdict != retention.Keep {
			t.Errorf("%s: %s", image.ImageID, image.Verdict)
		}
	}
}

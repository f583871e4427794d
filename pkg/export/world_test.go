package export_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/ami-janitor/ami-janitor/pkg/config"
	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/emulator/sample"
	"github.com/ami-janitor/ami-janitor/pkg/export"
	"github.com/ami-janitor/ami-janitor/pkg/janitor"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

const (
	accountID = "123456789012"
	home      = "us-east-1"
	away      = "eu-west-1"
)

var now = time.Date(2026, time.November, 23, 2, 0, 0, 0, time.UTC)

func clock() time.Time { return now }

type object = map[string]any

// directory is what a region of an account holds: the content of the files, by name.
type directory map[string]object

// add adds an object to the list of a file.
func (d directory) add(file, list string, o object) {
	if d[file] == nil {
		d[file] = object{list: []object{}}
	}
	d[file][list] = append(d[file][list].([]object), o)
}

func (d directory) files(t rapid.TB) fstest.MapFS {
	t.Helper()
	files := fstest.MapFS{}
	for name, content := range d {
		data, err := json.Marshal(content)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = &fstest.MapFile{Data: data}
	}
	return files
}

// account is an account with two regions.
func account(t rapid.TB, here, there directory) *emulator.Account {
	t.Helper()
	a, err := emulator.Load(here.files(t), emulator.Options{Now: clock})
	if err == nil && there != nil {
		err = a.AddRegion(away, there.files(t))
	}
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func loadSample(t rapid.TB) *emulator.Account {
	t.Helper()
	a, err := sample.Load(emulator.Options{Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func configuration(doer emulator.Doer) aws.Config {
	return aws.Config{Region: home, HTTPClient: doer, Credentials: credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "secret", "")}
}

// run exports both regions of an account, or those that are named, into a directory.
func run(ctx context.Context, doer emulator.Doer, dir string, regions ...string) (export.Summary, error) {
	if len(regions) == 0 {
		regions = []string{away, home}
	}
	e := export.Export{AWS: configuration(doer), Regions: regions, Directory: dir, Clock: clock}
	return e.Run(ctx)
}

// copied exports an account, and loads the copy.
func copied(t rapid.TB, doer emulator.Doer, dir string, regions ...string) (*emulator.Account, export.Summary) {
	t.Helper()
	summary, err := run(context.Background(), doer, dir, regions...)
	if err != nil || len(summary.Failed) > 0 {
		t.Fatalf("%v; failed: %q", err, summary.Failed)
	}
	return load(t, dir), summary
}

func load(t rapid.TB, dir string) *emulator.Account {
	t.Helper()
	a, err := emulator.Load(os.DirFS(dir), emulator.Options{Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// judged is what a dry run says of an account, and what it says of each image when it is asked to
// explain it.
func judged(t rapid.TB, doer emulator.Doer, settings map[string]string) (record.Run, []digest.Explanation) {
	t.Helper()
	parsed, err := config.Parse(func(variable string) string { return settings[variable] })
	if err != nil {
		t.Fatal(err)
	}
	j := janitor.Janitor{Config: parsed, AWS: configuration(doer), Clock: clock}
	record := j.Run(context.Background(), "20261123T020000Z-0123ab", true)
	var ids []string
	for _, region := range record.Regions {
		for _, image := range region.Images {
			ids = append(ids, image.ImageID)
		}
	}
	explanations, err := j.Explain(context.Background(), ids)
	if err != nil {
		t.Fatal(err)
	}
	return record, explanations
}

// wantSame compares a rehearsal on a copy with a run on the original.
func wantSame(t rapid.TB, original, copied emulator.Doer, settings map[string]string) record.Run {
	t.Helper()
	want, explained := judged(t, original, settings)
	got, explainedAgain := judged(t, copied, settings)
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(record.Gap{})); diff != "" {
		t.Errorf("%v: the record of the original (-) and of the copy (+):\n%s", settings, diff)
	}
	if diff := cmp.Diff(explained, explainedAgain, cmpopts.IgnoreUnexported(record.Gap{})); diff != "" {
		t.Errorf("%v: the explanations of the original (-) and of the copy (+):\n%s", settings, diff)
	}
	return got
}

func imageID(n int) string    { return fmt.Sprintf("ami-%017x", n) }
func snapshotID(n int) string { return fmt.Sprintf("snap-%017x", n) }

func daysAgo(days int) string { return now.AddDate(0, 0, -days).Format(time.RFC3339) }

// anyRegion draws a small region with some of everything that a run looks at.
func anyRegion(t *rapid.T, region string) directory {
	d := directory{}
	images := rapid.IntRange(0, 9).Draw(t, "images")
	anyImage := func() string { return imageID(rapid.IntRange(0, 10).Draw(t, "image")) }
	anySnapshot := func() string { return snapshotID(rapid.IntRange(0, 12).Draw(t, "snapshot")) }
	some := func(what string, most int, add func(n int)) {
		for n := range rapid.IntRange(0, most).Draw(t, what) {
			add(n)
		}
	}
	launch, volume := object{}, object{}
	permissions := func(of object, id, group string) {
		switch rapid.IntRange(0, 5).Draw(t, "permissions") {
		case 0:
			of[id] = nil
		case 1:
			of[id] = []object{{"UserId": "111122223333"}}
		case 2:
			of[id] = []object{{"Group": group}}
		case 3:
			of[id] = []object{}
		}
	}
	d["describe-images.json"] = object{"Images": []object{}}
	for n := range images {
		mappings := []object{}
		for _, s := range rapid.SliceOfNDistinct(rapid.IntRange(0, 12), 0, 2, rapid.ID[int]).Draw(t, "mapped") {
			mappings = append(mappings, object{"DeviceName": fmt.Sprint("/dev/sd", s), "Ebs": object{"SnapshotId": snapshotID(s), "Encrypted": false, "VolumeSize": s + 1}})
		}
		image := object{
			"ImageId": imageID(n), "Name": rapid.SampledFrom([]string{"web-2026-01-03", "web-2026-02-11", "ä <b> & \u2028", "db"}).Draw(t, "name"), "OwnerId": accountID,
			"State":        rapid.SampledFrom([]string{"available", "available", "available", "disabled", "pending"}).Draw(t, "state"),
			"CreationDate": daysAgo(rapid.SampledFrom([]int{3, 190, 400, 900}).Draw(t, "age")), "BlockDeviceMappings": mappings,
			"Public": rapid.SampledFrom([]bool{false, false, true}).Draw(t, "public"), "RootDeviceType": "ebs",
			"Tags": []object{{"Key": rapid.SampledFrom([]string{"Team", "ami-janitor:keep", "aws:backup:source-resource"}).Draw(t, "tag"), "Value": ""}},
		}
		if rapid.Bool().Draw(t, "launched") {
			image["LastLaunchedTime"] = daysAgo(rapid.SampledFrom([]int{2, 200}).Draw(t, "launch"))
		}
		d.add("describe-images.json", "Images", image)
		permissions(launch, imageID(n), "all")
	}
	some("snapshots", 13, func(n int) {
		d.add("describe-snapshots.json", "Snapshots", object{
			"SnapshotId": snapshotID(n), "OwnerId": accountID, "State": "completed", "StartTime": daysAgo(200 + n), "VolumeSize": 8,
			"Description": fmt.Sprintf("Created by CreateImage(i-0123456789abcdef0) for %s", anyImage()),
		})
		permissions(volume, snapshotID(n), "all")
	})
	d["describe-launch-permissions.json"], d["describe-create-volume-permissions.json"] = launch, volume
	some("instances", 2, func(n int) {
		d.add("describe-instances.json", "Reservations", object{"ReservationId": fmt.Sprint("r-", n), "Instances": []object{{
			"InstanceId": fmt.Sprintf("i-%017x", n), "ImageId": anyImage(), "State": object{"Name": "terminated", "Code": 48}, "LaunchTime": daysAgo(n),
			"Operator": object{"Managed": n == 1},
		}}})
	})
	names := []string{
		"resolve:ssm:web", "resolve:ssm:/db/image:3", "resolve:ssm:/db/image:old", "resolve:ssm:secret", "resolve:ssm:gone", "resolve:ssm:a b", "resolve:x",
		"resolve:ssm:arn:aws:ssm:" + region + ":" + accountID + ":parameter/web", "resolve:ssm:arn:aws:ssm:" + region + ":111122223333:parameter/theirs",
	}
	some("templates", 3, func(n int) {
		versions := rapid.IntRange(1, 3).Draw(t, "versions")
		id, name := fmt.Sprintf("lt-%017x", n), fmt.Sprint("template", n)
		d.add("describe-launch-templates.json", "LaunchTemplates", object{"LaunchTemplateId": id, "LaunchTemplateName": name, "DefaultVersionNumber": 1, "LatestVersionNumber": versions})
		for number := range versions {
			data := object{"UserData": "cGFzc3dvcmQ="}
			if image := rapid.SampledFrom(append(names, anyImage(), "")).Draw(t, "of template"); image != "" {
				data["ImageId"] = image
			}
			d.add("describe-launch-template-versions.json", "LaunchTemplateVersions", object{
				"LaunchTemplateId": id, "LaunchTemplateName": name, "VersionNumber": number + 1, "DefaultVersion": number == 0, "LaunchTemplateData": data,
			})
		}
	})
	some("configurations", 1, func(int) {
		d.add("describe-launch-configurations.json", "LaunchConfigurations", object{
			"LaunchConfigurationName": "lc", "ImageId": anyImage(), "UserData": "cGFzc3dvcmQ=",
			"BlockDeviceMappings": []object{{"DeviceName": "/dev/sdf", "Ebs": object{"SnapshotId": anySnapshot()}}},
		})
	})
	specification := object{"LaunchTemplateId": "lt-00000000000000000", "Version": "1"}
	some("groups", 1, func(int) {
		d.add("describe-auto-scaling-groups.json", "AutoScalingGroups", object{"AutoScalingGroupName": "asg", "MixedInstancesPolicy": object{"LaunchTemplate": object{
			"LaunchTemplateSpecification": specification, "Overrides": []object{{"ImageId": anyImage()}},
		}}})
	})
	some("refreshes", 1, func(int) {
		d.add("describe-instance-refreshes.json", "InstanceRefreshes", object{"AutoScalingGroupName": "asg", "InstanceRefreshId": "refresh", "Status": "InProgress", "DesiredConfiguration": object{
			"MixedInstancesPolicy": object{"LaunchTemplate": object{"LaunchTemplateSpecification": specification, "Overrides": []object{{"ImageId": anyImage()}}}},
		}})
	})
	some("exports", 1, func(int) {
		d.add("describe-export-image-tasks.json", "ExportImageTasks", object{"ExportImageTaskId": "export-ami-1", "ImageId": anyImage(), "Status": "active"})
	})
	some("storage", 1, func(int) {
		d.add("describe-store-image-tasks.json", "StoreImageTaskResults", object{"AmiId": anyImage(), "StoreTaskState": "InProgress"})
	})
	some("replacements", 1, func(int) {
		d.add("describe-replace-root-volume-tasks.json", "ReplaceRootVolumeTasks", object{
			"ReplaceRootVolumeTaskId": "replacevol-1", "ImageId": anyImage(), "SnapshotId": anySnapshot(), "TaskState": "pending",
		})
	})
	some("fleets", 1, func(int) {
		d.add("describe-fleets.json", "Fleets", object{
			"FleetId": "fleet-1", "FleetState": "active", "Type": "maintain",
			"LaunchTemplateConfigs": []object{{"LaunchTemplateSpecification": specification, "Overrides": []object{{"ImageId": anyImage()}}}},
		})
	})
	some("spot fleets", 1, func(int) {
		d.add("describe-spot-fleet-requests.json", "SpotFleetRequestConfigs", object{
			"SpotFleetRequestId":     "sfr-1",
			"SpotFleetRequestState":  rapid.SampledFrom([]string{"active", "cancelled"}).Draw(t, "fleet state"),
			"SpotFleetRequestConfig": object{"LaunchSpecifications": []object{{"ImageId": anyImage(), "UserData": "cGFzc3dvcmQ="}}},
		})
	})
	some("spot requests", 1, func(int) {
		d.add("describe-spot-instance-requests.json", "SpotInstanceRequests", object{
			"SpotInstanceRequestId": "sir-1",
			"State":                 rapid.SampledFrom([]string{"open", "closed"}).Draw(t, "request state"), "LaunchSpecification": object{"ImageId": anyImage()},
		})
	})
	some("fast launches", 1, func(int) {
		d.add("describe-fast-launch-images.json", "FastLaunchImages", object{"ImageId": anyImage(), "State": "enabled", "OwnerId": accountID})
	})
	some("fast restores", 1, func(int) {
		d.add("describe-fast-snapshot-restores.json", "FastSnapshotRestores", object{"SnapshotId": anySnapshot(), "State": "enabled", "AvailabilityZone": region + "a"})
	})
	some("locks", 1, func(int) {
		d.add("describe-locked-snapshots.json", "Snapshots", object{"SnapshotId": anySnapshot(), "LockState": "governance"})
	})
	d["describe-parameters.json"], d["get-parameters.json"] = object{"Parameters": []object{}}, object{"Parameters": []object{}}
	for _, p := range []object{
		{"Name": "web", "Type": "String", "Version": 1, "DataType": "aws:ec2:image"},
		{"Name": "/db/image", "Type": "String", "Version": 4},
		{"Name": "list", "Type": "StringList", "Version": 1},
		{"Name": "secret", "Type": "SecureString", "Version": 1},
	} {
		d.add("describe-parameters.json", "Parameters", maps.Clone(p))
		p["Value"] = rapid.SampledFrom([]any{"a", "b", nil}).Draw(t, "value")
		if p["Value"] == "a" || p["Type"] == "SecureString" {
			p["Value"] = anyImage()
		}
		d.add("get-parameters.json", "Parameters", p)
	}
	for _, p := range []object{
		{"Name": "/db/image", "Type": "String", "Version": 3, "Selector": ":3"},
		{"Name": "/db/image", "Type": "String", "Version": 2, "Selector": ":old"},
		{"Name": "theirs", "ARN": "arn:aws:ssm:" + region + ":111122223333:parameter/theirs", "Type": "String", "Version": 2},
	} {
		if rapid.Bool().Draw(t, "there") {
			p["Value"] = anyImage()
			if rapid.IntRange(0, 3).Draw(t, "unreadable") == 0 {
				p["Value"] = nil
			}
			d.add("get-parameters.json", "Parameters", p)
		}
	}
	some("references", 1, func(int) {
		d.add("describe-image-references.json", "ImageReferences", object{
			"ImageId": anyImage(), "ResourceType": "imagebuilder:ImageRecipe",
			"Arn": "arn:aws:imagebuilder:" + region + ":" + accountID + ":image-recipe/web/1.0.0",
		})
	})
	some("reports", 2, func(n int) {
		id, image := fmt.Sprintf("amiur-%017x", n), anyImage()
		d.add("describe-image-usage-reports.json", "ImageUsageReports", object{
			"ReportId": id, "ImageId": image, "State": "available", "CreationTime": daysAgo(2),
			"ResourceTypes": []object{{"ResourceType": "ec2:Instance"}, {"ResourceType": "ec2:LaunchTemplate", "ResourceTypeOptions": []object{{"OptionName": "version-depth", "OptionValues": []string{"10000"}}}}},
			"Tags":          []object{{"Key": "ami-janitor:run", "Value": "20261121T020000Z-3f9c1a"}},
		})
		if rapid.Bool().Draw(t, "used") {
			d.add("describe-image-usage-report-entries.json", "ImageUsageReportEntries", object{"ReportId": id, "ImageId": image, "AccountId": "111122223333", "ResourceType": "ec2:Instance", "UsageCount": 0 + n})
		}
	})
	some("rules", 2, func(n int) {
		d.add("list-rules.json", "Rules", object{
			"Identifier": fmt.Sprint("rule", n), "ResourceType": []string{"EC2_IMAGE", "EBS_SNAPSHOT"}[n], "Status": "available",
			"RetentionPeriod": object{"RetentionPeriodValue": 14, "RetentionPeriodUnit": "DAYS"}, "ResourceTags": []object{{"ResourceTagKey": "ami-janitor:intent", "ResourceTagValue": "remove"}},
		})
	})
	some("binned", 1, func(int) {
		d.add("list-snapshots-in-recycle-bin.json", "Snapshots", object{"SnapshotId": snapshotID(20), "RecycleBinEnterTime": daysAgo(1), "RecycleBinExitTime": daysAgo(-5)})
	})
	return d
}

// anySettings draws a policy.
func anySettings(t *rapid.T) map[string]string {
	settings := map[string]string{"REGIONS": "all"}
	choices := map[string][]string{
		"REQUIRE_RECYCLE_BIN": {"true", "false"}, "SHARED_IMAGES": {"keep", "report"}, "LAUNCH_TEMPLATE_VERSIONS": {"all", "1", "2"}, "KEEP_NEWEST": {"0", "1"},
		"ORPHANED_SNAPSHOTS": {"report", "ignore"}, "GRACE": {"0d", "14d"}, "STALE_AFTER": {"180d", "30d"}, "KEEP_LIST": {"", "ssm:list"}, "USAGE_SOURCES": {"all", "all", "references"},
	}
	for _, variable := range slices.Sorted(maps.Keys(choices)) {
		settings[variable] = rapid.SampledFrom(choices[variable]).Draw(t, variable)
	}
	return settings
}

// filesOf are the contents of the files in a directory, by their path, without those that say when
// it was read.
func filesOf(t testing.TB, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || name == "export.json" {
			return err
		}
		data, err := os.ReadFile(filepath.Join(dir, name))
		found[name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// reads are the actions of an account's calls, sorted.
func reads(a *emulator.Account) []string {
	found := map[string]bool{}
	for _, call := range a.Calls() {
		found[call.Service+":"+call.Action] = true
	}
	return slices.Sorted(maps.Keys(found))
}

func contains(texts []string, part string) bool {
	return slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(text, part) })
}

func isUsage(err error) bool {
	_, ok := errors.AsType[export.UsageError](err)
	return ok
}

package emulator_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/emulator/sample"
)

var recorded = filepath.Join("..", "..", "..", "shared", "recorded")

var files = []string{
	"describe-auto-scaling-groups.json", "describe-create-volume-permissions.json", "describe-fast-launch-images.json", "describe-fast-snapshot-restores.json", "describe-fleets.json",
	"describe-image-usage-report-entries.json", "describe-image-usage-reports.json", "describe-images.json", "describe-instances.json",
	"describe-launch-configurations.json",
	"describe-launch-permissions.json", "describe-launch-template-versions.json", "describe-launch-templates.json",
	"describe-locked-snapshots.json", "describe-parameters.json", "describe-snapshots.json", "describe-spot-fleet-requests.json",
	"describe-spot-instance-requests.json", "get-caller-identity.json", "get-parameters.json", "list-images-in-recycle-bin.json",
	"list-rules.json", "describe-image-references.json", "list-snapshots-in-recycle-bin.json",
	"describe-instance-refreshes.json", "describe-export-image-tasks.json", "describe-store-image-tasks.json", "describe-replace-root-volume-tasks.json",
	"cloudformation-describe-stacks.json", "cloudformation-get-template.json",
	"batch-describe-compute-environments.json", "pcs-list-clusters.json", "pcs-get-compute-node-group.json", "rds-describe-db-engine-versions.json",
	"emr-list-clusters.json", "emr-describe-cluster.json", "sagemaker-list-clusters.json", "sagemaker-describe-cluster.json",
	"imagebuilder-list-image-recipes.json", "imagebuilder-list-container-recipes.json",
	"elasticbeanstalk-describe-applications.json", "elasticbeanstalk-describe-environments.json", "elasticbeanstalk-describe-configuration-settings.json",
	"elasticbeanstalk-list-platform-versions.json", "elasticbeanstalk-describe-platform-version.json",
	"cloudformation-describe-stack-resource.json", "iam-list-account-aliases.json", "lambda-get-function-configuration.json",
	"cloudformation-describe-stack-resources.json", "cloudwatch-describe-alarms.json", "iam-get-account-authorization-details.json",
	"s3api-get-bucket-encryption.json", "s3api-get-public-access-block.json", "scheduler-get-schedule.json",
	"sns-list-subscriptions-by-topic.json",
}

func save(t testing.TB, a *emulator.Account) fs.FS {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "new", "account")
	if err := a.Save(dir); err != nil {
		t.Fatal(err)
	}
	return os.DirFS(dir)
}

func content(t testing.TB, files fs.FS, name string) []byte {
	t.Helper()
	data, err := fs.ReadFile(files, name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestLoadErrors(t *testing.T) {
	const file, functions = "describe-images.json", "lambda-get-function-configuration.json"
	tests := []struct{ name, file, content, want string }{
		{"syntax", file, "{\n \"Images\": [\n  {]\n", file + ":3:4: invalid character ']'"},
		{"cut off", file, "{\"Images\": [\n", file + ":1:13: unexpected end"},
		{"garbage after the object", file, "{\"Images\": []}\n x", file + ":2:2: invalid character 'x'"},
		{"two objects", file, "{}{}", file + ":1:3: invalid character '{'"},
		{"empty", file, "", file + ":1:1: the file is empty"},
		{"blank", file, " \n\t", file + ":1:1: the file is empty"},
		{"nothing but a byte order mark", file, "\ufeff", file + ":1:1: the file is empty"},
		{"no object", file, "\n[]", file + ":2:1: must be a JSON object"},
		{"null", file, "null", file + ":1:1: must be a JSON object"},
		{"images that are no list", file, "{\n\t\"Other\": \"x\",\n\t\"Images\" : {}\n}", file + `:3:13: "Images" must be a list`},
		{"images that are null", file, `{"Images": null}`, file + `:1:12: "Images" must be a list`},
		{"an image that is no object", file, "{\"Images\": [\n{\"a\": {}},\n \"ami-1\"]}", file + ":3:2: Images[1] must be an object"},
		{"an image that is null", file, `{"Images": [null]}`, file + ":1:13: Images[0] must be an object"},
		{"instances that are no list", "describe-instances.json", `{"Reservations": [{"Instances": {}}]}`, "describe-instances.json:1:19: Reservations[0].Instances must be a list of objects"},
		{"an instance that is no object", "describe-instances.json", `{"Reservations": [{"Instances": ["i-1"]}]}`, "describe-instances.json:1:19: Reservations[0].Instances[0] must be an object"},
		{"permissions that are no list", "describe-launch-permissions.json", "{\"ami-1\": null,\n\"ami-2\": {}}", `describe-launch-permissions.json:2:10: "ami-2" must be a list of objects`},
		{"permissions of an image without an id", "describe-launch-permissions.json", `{"": "x"}`, `describe-launch-permissions.json:1:6: "" must be a list of objects`},
		{"accounts that are no list", "describe-image-usage-reports.json", `{"ImageUsageReports": [{"AccountIds": {}}]}`, "describe-image-usage-reports.json:1:24: ImageUsageReports[0].AccountIds must be a list of strings"},
		{"an account that is no string", "describe-image-usage-reports.json", `{"ImageUsageReports": [{"AccountIds": ["1", {}]}]}`, "describe-image-usage-reports.json:1:24: ImageUsageReports[0].AccountIds[1] must be a string"},
		{"no images", file, "\n{}", file + `:2:1: has no "Images", the list`},
		{"images by another name", file, `{"images": []}`, file + `:1:12: has "images" where the AWS CLI prints "Images"`},
		{"instances without reservations", "describe-instances.json", `{"Instances": []}`, `describe-instances.json:1:1: has no "Reservations", the list`},
		{"a part of the images", file, "{\"Images\": [],\n\"NextToken\": \"x\"}", file + ":2:14: is only a part of the listing: it has a NextToken"},
		{"a part of the permissions", "describe-launch-permissions.json", `{"NextToken": []}`, "describe-launch-permissions.json:1:15: is only a part of the listing: it has a NextToken"},
		{"a function outside of the list", functions, "\n{}", functions + ":2:1: must be a JSON array"},
		{"a function that is no object", functions, `[{}, "x"]`, functions + ":1:6: [1] must be an object"},
		{"variables that are no object", functions, `[{"Environment": {"Variables": []}}]`, functions + ":1:2: [0].Environment.Variables must be an object"},
		{"no account", "get-caller-identity.json", "{}", "get-caller-identity.json: no Account"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := emulator.Load(directory(test.file, test.content), options())
			if err == nil || !strings.HasPrefix(err.Error(), test.want) {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
		})
	}

	_, err := emulator.Load(os.DirFS(filepath.Join(t.TempDir(), "absent")), options())
	if err == nil || !strings.HasPrefix(err.Error(), "get-caller-identity.json: missing") {
		t.Errorf("an absent directory: %v", err)
	}
	_, err = emulator.Load(fstest.MapFS{"get-caller-identity.json/x": {}}, options())
	if err == nil || !strings.HasPrefix(err.Error(), "get-caller-identity.json: ") {
		t.Errorf("a directory in place of a file: %v", err)
	}
	if _, err := emulator.Load(directory(), emulator.Options{}); err == nil {
		t.Error("an account needs no clock")
	}
}

// A field that is understood is what AWS says it is, or the whole directory is refused: nobody can
// tell what it was meant to say.
func TestLoadRefusesOtherShapes(t *testing.T) {
	const (
		aString, aBoolean, anInteger, aTimestamp = "a string", "true or false", "an integer", "a string or a number"
		anObject, aList                          = "an object", "a list of objects"
	)
	// What is of no other kind than the one it stands under.
	samples := map[string]string{aString: `"x"`, aBoolean: "true", anInteger: "8", aTimestamp: "1.5", anObject: "{}", aList: "[{}]"}
	fits := func(sample, kind string) bool {
		return sample == kind || kind == aTimestamp && (sample == aString || sample == anInteger)
	}
	// Each path leads to the value, %s in the content, of the only entry of the file.
	tests := []struct{ file, content, path, kind string }{
		{"images", `{"Images": [{"Tags": %s}]}`, "Images[0].Tags", aList},
		{"images", `{"Images": [{"Tags": [%s]}]}`, "Images[0].Tags[0]", anObject},
		{"images", `{"Images": [{"Tags": [{}, {"Key": %s}]}]}`, "Images[0].Tags[1].Key", aString},
		{"images", `{"Images": [{"Tags": [{"Key": "k", "Value": %s}]}]}`, "Images[0].Tags[0].Value", aString},
		{"images", `{"Images": [{"Public": %s}]}`, "Images[0].Public", aBoolean},
		{"images", `{"Images": [{"BlockDeviceMappings": %s}]}`, "Images[0].BlockDeviceMappings", aList},
		{"images", `{"Images": [{"BlockDeviceMappings": [%s]}]}`, "Images[0].BlockDeviceMappings[0]", anObject},
		{"images", `{"Images": [{"BlockDeviceMappings": [{"Ebs": %s}]}]}`, "Images[0].BlockDeviceMappings[0].Ebs", anObject},
		{"images", `{"Images": [{"BlockDeviceMappings": [{"Ebs": {"SnapshotId": %s}}]}]}`, "Images[0].BlockDeviceMappings[0].Ebs.SnapshotId", aString},
		{"images", `{"Images": [{"BlockDeviceMappings": [{"Ebs": {"VolumeSize": %s}}]}]}`, "Images[0].BlockDeviceMappings[0].Ebs.VolumeSize", anInteger},
		{"images", `{"Images": [{"ProductCodes": %s}]}`, "Images[0].ProductCodes", aList},
		{"images", `{"Images": [{"ProductCodes": [{"ProductCodeType": %s}]}]}`, "Images[0].ProductCodes[0].ProductCodeType", aString},
		{"snapshots", `{"Snapshots": [{"SnapshotId": %s}]}`, "Snapshots[0].SnapshotId", aString},
		{"snapshots", `{"Snapshots": [{"OwnerId": %s}]}`, "Snapshots[0].OwnerId", aString},
		{"snapshots", `{"Snapshots": [{"StorageTier": %s}]}`, "Snapshots[0].StorageTier", aString},
		{"snapshots", `{"Snapshots": [{"VolumeSize": %s}]}`, "Snapshots[0].VolumeSize", anInteger},
		{"images", `{"Images": [{"CreationDate": %s}]}`, "Images[0].CreationDate", aTimestamp},
		{"images", `{"Images": [{"LastLaunchedTime": %s}]}`, "Images[0].LastLaunchedTime", aTimestamp},
		{"snapshots", `{"Snapshots": [{"StartTime": %s}]}`, "Snapshots[0].StartTime", aTimestamp},
		{"snapshots", `{"Snapshots": [{"Tags": %s}]}`, "Snapshots[0].Tags", aList},
		{"locked-snapshots", `{"Snapshots": [{"LockState": %s}]}`, "Snapshots[0].LockState", aString},
		{"instances", `{"Reservations": [{"Instances": %s}]}`, "Reservations[0].Instances", aList},
		{"instances", `{"Reservations": [{"Instances": [{"InstanceId": %s}]}]}`, "Reservations[0].Instances[0].InstanceId", aString},
		{"instances", `{"Reservations": [{"Instances": [{"ImageId": %s}]}]}`, "Reservations[0].Instances[0].ImageId", aString},
		{"instances", `{"Reservations": [{"Instances": [{"State": %s}]}]}`, "Reservations[0].Instances[0].State", anObject},
		{"launch-templates", `{"LaunchTemplates": [{"LaunchTemplateId": %s}]}`, "LaunchTemplates[0].LaunchTemplateId", aString},
		{"launch-template-versions", `{"LaunchTemplateVersions": [{"LaunchTemplateData": %s}]}`, "LaunchTemplateVersions[0].LaunchTemplateData", anObject},
		{"launch-template-versions", `{"LaunchTemplateVersions": [{"LaunchTemplateData": {"ImageId": %s}}]}`, "LaunchTemplateVersions[0].LaunchTemplateData.ImageId", aString},
		{"launch-template-versions", `{"LaunchTemplateVersions": [{"VersionNumber": %s}]}`, "LaunchTemplateVersions[0].VersionNumber", anInteger},
		{"launch-template-versions", `{"LaunchTemplateVersions": [{"DefaultVersion": %s}]}`, "LaunchTemplateVersions[0].DefaultVersion", aBoolean},
		{"launch-template-versions", `{"LaunchTemplateVersions": [{"LaunchTemplateData": {"BlockDeviceMappings": [{"Ebs": {"SnapshotId": %s}}]}}]}`, "LaunchTemplateVersions[0].LaunchTemplateData.BlockDeviceMappings[0].Ebs.SnapshotId", aString},
		{"instances", `{"Reservations": [{"Instances": [{"LaunchTime": %s}]}]}`, "Reservations[0].Instances[0].LaunchTime", aTimestamp},
		{"auto-scaling-groups", `{"AutoScalingGroups": [{"LaunchConfigurationName": %s}]}`, "AutoScalingGroups[0].LaunchConfigurationName", aString},
		{"auto-scaling-groups", `{"AutoScalingGroups": [{"LaunchTemplate": {"Version": %s}}]}`, "AutoScalingGroups[0].LaunchTemplate.Version", aString},
		{"auto-scaling-groups", `{"AutoScalingGroups": [{"MixedInstancesPolicy": %s}]}`, "AutoScalingGroups[0].MixedInstancesPolicy", anObject},
		{"auto-scaling-groups", `{"AutoScalingGroups": [{"MixedInstancesPolicy": {"LaunchTemplate": {"Overrides": %s}}}]}`, "AutoScalingGroups[0].MixedInstancesPolicy.LaunchTemplate.Overrides", aList},
		{"auto-scaling-groups", `{"AutoScalingGroups": [{"MixedInstancesPolicy": {"LaunchTemplate": {"Overrides": [{"ImageId": %s}]}}}]}`, "AutoScalingGroups[0].MixedInstancesPolicy.LaunchTemplate.Overrides[0].ImageId", aString},
		{"auto-scaling-groups", `{"AutoScalingGroups": [{"CreatedTime": %s}]}`, "AutoScalingGroups[0].CreatedTime", aTimestamp},
		{"launch-configurations", `{"LaunchConfigurations": [{"ImageId": %s}]}`, "LaunchConfigurations[0].ImageId", aString},
		{"launch-configurations", `{"LaunchConfigurations": [{"BlockDeviceMappings": [{"Ebs": {"SnapshotId": %s}}]}]}`, "LaunchConfigurations[0].BlockDeviceMappings[0].Ebs.SnapshotId", aString},
		{"spot-fleet-requests", `{"SpotFleetRequestConfigs": [{"SpotFleetRequestState": %s}]}`, "SpotFleetRequestConfigs[0].SpotFleetRequestState", aString},
		{"spot-fleet-requests", `{"SpotFleetRequestConfigs": [{"SpotFleetRequestConfig": {"LaunchSpecifications": [{"ImageId": %s}]}}]}`, "SpotFleetRequestConfigs[0].SpotFleetRequestConfig.LaunchSpecifications[0].ImageId", aString},
		{"spot-fleet-requests", `{"SpotFleetRequestConfigs": [{"SpotFleetRequestConfig": {"LaunchTemplateConfigs": [{"LaunchTemplateSpecification": {"LaunchTemplateId": %s}}]}}]}`, "SpotFleetRequestConfigs[0].SpotFleetRequestConfig.LaunchTemplateConfigs[0].LaunchTemplateSpecification.LaunchTemplateId", aString},
		{"spot-instance-requests", `{"SpotInstanceRequests": [{"LaunchSpecification": {"ImageId": %s}}]}`, "SpotInstanceRequests[0].LaunchSpecification.ImageId", aString},
		{"spot-instance-requests", `{"SpotInstanceRequests": [{"State": %s}]}`, "SpotInstanceRequests[0].State", aString},
		{"fleets", `{"Fleets": [{"LaunchTemplateConfigs": [{"Overrides": [{"ImageId": %s}]}]}]}`, "Fleets[0].LaunchTemplateConfigs[0].Overrides[0].ImageId", aString},
		{"fast-launch-images", `{"FastLaunchImages": [{"ImageId": %s}]}`, "FastLaunchImages[0].ImageId", aString},
		{"fast-snapshot-restores", `{"FastSnapshotRestores": [{"SnapshotId": %s}]}`, "FastSnapshotRestores[0].SnapshotId", aString},
		{"image-usage-reports", `{"ImageUsageReports": [{"State": %s}]}`, "ImageUsageReports[0].State", aString},
		{"image-usage-report-entries", `{"ImageUsageReportEntries": [{"UsageCount": %s}]}`, "ImageUsageReportEntries[0].UsageCount", anInteger},
		{"parameters", `{"Parameters": [{"DataType": %s}]}`, "Parameters[0].DataType", aString},
		{"parameters", `{"Parameters": [{"Version": %s}]}`, "Parameters[0].Version", anInteger},
		{"parameters", `{"Parameters": [{"LastModifiedDate": %s}]}`, "Parameters[0].LastModifiedDate", aTimestamp},
		{"launch-permissions", `{"ami-1": %s}`, `"ami-1"`, aList},
		{"launch-permissions", `{"ami-1": [{"UserId": %s}]}`, `"ami-1"[0].UserId`, aString},
	}
	for _, key := range []string{
		"ImageId", "Name", "OwnerId", "ImageOwnerAlias", "State", "Architecture", "DeregistrationProtection", "SourceImageId", "RootDeviceType", "ImageLocation",
	} {
		tests = append(tests, struct{ file, content, path, kind string }{"images", `{"Images": [{"` + key + `": %s}]}`, "Images[0]." + key, aString})
	}
	for _, test := range tests {
		t.Run(test.file+" "+test.path, func(t *testing.T) {
			name := "describe-" + test.file + ".json"
			for kind, sample := range samples {
				_, err := emulator.Load(directory(name, fmt.Sprintf(test.content, sample)), options())
				switch {
				case fits(kind, test.kind) && err != nil:
					t.Errorf("%s: %v", sample, err)
				case !fits(kind, test.kind) && (err == nil || !strings.HasPrefix(err.Error(), name+":1:") || !strings.HasSuffix(err.Error(), ": "+test.path+" must be "+test.kind)):
					t.Errorf("%s: %v, want %s must be %s", sample, err, test.path, test.kind)
				}
			}
			_, err := emulator.Load(directory(name, fmt.Sprintf(test.content, "null")), options())
			isNeeded := strings.HasSuffix(test.path, "]") || test.path == "Reservations[0].Instances"
			if (err != nil) != isNeeded {
				t.Errorf("null: %v", err)
			}
		})
	}
}

// Every file that has a list must have it.
func TestLoadRefusesFilesWithoutTheirList(t *testing.T) {
	for _, name := range files {
		if name == "get-caller-identity.json" || name == "describe-launch-permissions.json" || name == "describe-create-volume-permissions.json" ||
			name == "cloudformation-describe-stack-resource.json" || name == "iam-list-account-aliases.json" || name == "lambda-get-function-configuration.json" {
			continue
		}
		_, err := emulator.Load(directory(name, "{}"), options())
		lacks := name + `:1:1: has no "`
		if strings.HasSuffix(name, "-describe-cluster.json") || name == "pcs-get-compute-node-group.json" || name == "cloudformation-get-template.json" ||
			name == "elasticbeanstalk-describe-configuration-settings.json" || name == "elasticbeanstalk-describe-platform-version.json" ||
			strings.HasPrefix(name, "s3api-") || name == "scheduler-get-schedule.json" {
			lacks = name + `:1:1: must be a JSON array`
		}
		if err == nil || !strings.HasPrefix(err.Error(), lacks) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLoadTakesThingsAsTheyAre(t *testing.T) {
	a := load(t, directory(
		"describe-images.json", "\ufeff"+`{"NextToken": null, "Images": [{}, {"ImageId": null, "Public": null, "Tags": null, "StateReason": null},
			{"ImageId": "ami-1", "CreationDate": "yesterday", "BlockDeviceMappings": [{}, {"Ebs": null}, {"Ebs": {"SnapshotId": null, "VolumeSize": null}}]},
			{"ImageId": "ami-1", "Tags": [{}, {"Key": null}, {"Key": "k", "Value": null, "Color": 7}], "New": [1, null, []]}]}`,
		"describe-snapshots.json", `{"NextToken": "", "Snapshots": [{"SnapshotId": "snap-1", "StartTime": "yesterday"}, {"SnapshotId": "snap-1", "StartTime": 1.5}]}`,
		"describe-instances.json", `{"Reservations": [{"Instances": []}]}`,
		"describe-auto-scaling-groups.json", `{"AutoScalingGroups": [{"TrafficSources": "not read here"}]}`,
		"describe-launch-permissions.json", `{"ami-absent": []}`,
		"notes.txt", "{", "describe-vpcs.json", "{",
	))
	equal(t, "images", left(t, a), 4)
	equal(t, "error code", code(deregister(t.Context(), ec2Client(a.Client()), "ami-1")), "")
	equal(t, "images after one that is there twice is gone", left(t, a), 2)
}

// recordsOf are the records of an account directory, by name.
func recordsOf(t *testing.T, dir fs.FS) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := fs.WalkDir(dir, emulator.RecordsBucket, func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			found[name] = string(content(t, dir, name))
		}
		return nil // Not every directory has records.
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// The records of a copy are objects of a bucket; what a run leaves there is saved in the place of
// what was there.
func TestRecordsOfACopy(t *testing.T) {
	a := load(t, directory("records/account.json", "{}", "records/unfinished/us-east-1/r", "x"))
	client := s3Client(a.Client())
	bucket := aws.String(emulator.RecordsBucket)
	got, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: bucket, Key: aws.String("account.json")})
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(got.Body)
	equal(t, "an object", string(body), "{}")
	if err == nil {
		_, err = client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket, Key: aws.String("runs/1/record.json"), Body: strings.NewReader("1")})
	}
	if err == nil {
		_, err = client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: bucket, Key: aws.String("unfinished/us-east-1/r")})
	}
	dir := t.TempDir()
	for range 2 { // The second time, the files of the first are there.
		if err == nil {
			err = a.Save(dir)
		}
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "records", "declaration"), nil, 0o600)
	}
	if err == nil {
		err = a.Save(dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "records", recordsOf(t, os.DirFS(dir)), map[string]string{"records/account.json": "{}", "records/runs/1/record.json": "1"})
}

// What is saved can be read again, says the same, and is saved the same.
func TestSaveAndLoadAgain(t *testing.T) {
	tests := map[string]fs.FS{
		"nothing but the identity": directory(),
		"the sample":               sample.Files(now, "us-east-1"),
		"unknown fields": directory(
			"get-caller-identity.json", `{"Account": 123456789012, "Extra": {"deep": [1.50, 1e3]}}`,
			"describe-images.json", `{"Images": [{"ImageId": "ami-00000001", "New": 12345678901234567890.10, "HTML": "<&>", "Null": null}], "More": [1]}`,
			"get-parameters.json", `{"Parameters": [], "InvalidParameters": ["x"]}`,
			"describe-launch-permissions.json", `{"ami-00000001": null, "ami-00000002": []}`,
			"lambda-get-function-configuration.json", `[{"FunctionName": "f", "MemorySize": 256, "Environment": {"Variables": {"A": "<&>"}}}]`),
	}
	if _, err := os.Stat(recorded); err == nil {
		tests["the recorded account"] = os.DirFS(recorded)
	}
	for name, original := range tests {
		t.Run(name, func(t *testing.T) {
			saved := save(t, load(t, original))
			again := save(t, load(t, saved))
			for _, name := range files {
				equal(t, name, string(content(t, again, name)), string(content(t, saved, name)))
				if before, err := fs.ReadFile(original, name); err == nil {
					equal(t, name, decoded(t, content(t, saved, name)), decoded(t, before))
				}
			}
			entries, err := fs.Glob(saved, "*-*.json")
			entries = slices.DeleteFunc(entries, func(name string) bool { return name == "s3-buckets.json" })
			if err != nil || len(entries) != len(files) {
				t.Errorf("%d files saved, want %d; %v", len(entries), len(files), err)
			}
			equal(t, "records", recordsOf(t, saved), recordsOf(t, original))
		})
	}

	for _, token := range []string{"null", `""`} {
		saved := save(t, load(t, directory("describe-images.json", `{"NextToken": `+token+`, "Images": [], "Other": 1}`)))
		equal(t, "a complete listing", decoded(t, content(t, saved, "describe-images.json")), decoded(t, []byte(`{"Images": [], "Other": 1}`)))
	}
	empty := save(t, load(t, directory()))
	equal(t, "a file without entries", string(content(t, empty, "describe-images.json")), "{\n    \"Images\": []\n}\n")
	equal(t, "launch permissions without entries", string(content(t, empty, "describe-launch-permissions.json")), "{}\n")
}

func decoded(t testing.TB, data []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestSaveShowsWhatHappened(t *testing.T) {
	a := load(t, directory(
		"describe-images.json", `{"Images": [{"ImageId": "ami-00000001", "BlockDeviceMappings": [{"Ebs": {"SnapshotId": "snap-00000001"}}]},
			{"ImageId": "ami-00000002", "OwnerId": "999988887777"}, {"ImageId": "ami-00000003"}]}`,
		"describe-snapshots.json", `{"Snapshots": [{"SnapshotId": "snap-00000001"}, {"SnapshotId": "snap-00000002"}]}`,
		"describe-locked-snapshots.json", `{"Snapshots": [{"SnapshotId": "snap-00000001", "LockState": "expired"}]}`,
		"describe-launch-permissions.json", `{"ami-00000001": [], "ami-00000003": null}`,
	))
	client := ec2Client(a.Client())
	if _, err := client.DeregisterImage(t.Context(), &ec2.DeregisterImageInput{ImageId: aws.String("ami-00000001"), DeleteAssociatedSnapshots: aws.Bool(true)}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.CreateTags(t.Context(), &ec2.CreateTagsInput{Resources: []string{"ami-00000003"}, Tags: tagList("k", "v")}); err != nil {
		t.Fatal(err)
	}
	saved := save(t, a)
	for name, want := range map[string]string{
		"describe-images.json":             `{"Images": [{"ImageId": "ami-00000002", "OwnerId": "999988887777"}, {"ImageId": "ami-00000003", "Tags": [{"Key": "k", "Value": "v"}]}]}`,
		"describe-snapshots.json":          `{"Snapshots": [{"SnapshotId": "snap-00000002"}]}`,
		"describe-locked-snapshots.json":   `{"Snapshots": []}`,
		"describe-launch-permissions.json": `{"ami-00000003": null}`,
	} {
		equal(t, name, decoded(t, content(t, saved, name)), decoded(t, []byte(want)))
	}
}

func FuzzLoad(f *testing.F) {
	for _, seed := range []string{
		"", "\ufeff{}", "{", `{"Images": [{"ImageId": "ami-1", "Tags": [{"Key": "a"}]}]}`, `{"Images": [[]], "Reservations": [{"Instances": []}]}`,
		`{"ami-1": null, "ami-2": [{"UserId": "1"}], "": []}`, "{\"Images\": [\n{}\n,\n1]}", `{"Account": 1e400}`, strings.Repeat("[", 20000),
		`{"Parameters": [{"Name": "a", "DataType": "aws:ec2:image", "Value": {}}]}`,
	} {
		for i := range files {
			f.Add(i, []byte(seed))
		}
	}
	f.Fuzz(func(t *testing.T, i int, data []byte) {
		if i < 0 || i >= len(files) {
			return
		}
		a, err := emulator.Load(directory(files[i], string(data)), options())
		if err != nil {
			if !strings.HasPrefix(err.Error(), files[i]+":") {
				t.Errorf("the error does not name %s: %v", files[i], err)
			}
			return
		}
		saved := save(t, a)
		again := save(t, load(t, saved))
		for _, name := range files {
			equal(t, name, string(content(t, again, name)), string(content(t, saved, name)))
		}
	})
}

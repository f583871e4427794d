package emulator_test

import (
	"encoding/binary"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"unicode/utf16"

	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/emulator/sample"
)

// A file under a name that is almost one of those that are read would be left out without a word.
func TestLoadRefusesNamesThatAreAlmostRight(t *testing.T) {
	for name, meant := range map[string]string{
		"describe_instances.json":          "describe-instances.json",
		"Describe-Instances.JSON":          "describe-instances.json",
		"describe-instances.json.txt":      "describe-instances.json",
		"describe-instances":               "describe-instances.json",
		"describe-instances (1).json":      "describe-instances.json",
		"describe-instances-2.json":        "describe-instances.json",
		"describe-instances.json.gz":       "describe-instances.json",
		"describeInstances.json":           "describe-instances.json",
		"ec2-describe-instances.json":      "describe-instances.json",
		"ssm-get-parameters.json":          "get-parameters.json",
		"rbin-list-rules.json":             "list-rules.json",
		"Records/runs/1/record.json":       "records",
		"lacking.txt":                      "lacking.json",
		"._describe-images.json":           "", // What macOS leaves in an archive is noted.
		"describe-instance-status.json":    "",
		"appstream-describe-images.json":   "", // Another service.
		"cloudformation-list-exports.json": "",
		"regions/eu-west-1/x.json":         "",
	} {
		_, err := emulator.Load(directory(name, "{}"), options())
		first, _, _ := strings.Cut(name, "/")
		switch {
		case meant == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case meant != "" && (err == nil || !strings.HasPrefix(err.Error(), first+": ") || !strings.Contains(err.Error(), "if it is "+meant+",")):
			t.Errorf("%s: %v, want one that names %s", name, err, meant)
		}
	}
}

func TestLoadNamesWhatItDoesNotRead(t *testing.T) {
	a := load(t, directory("notes.txt", "{", "denied.json", "[]", "describe-images.json", `{"Images": []}`))
	if err := a.AddRegion("eu-west-1", directory("s3/bucket/key", "")); err != nil {
		t.Fatal(err)
	}
	equal(t, "not read", a.NotRead(), []string{"notes.txt", "eu-west-1/s3"})
	equal(t, "not read of the sample", loadSample(t).NotRead(), []string(nil))
}

func loadSample(t testing.TB) *emulator.Account {
	t.Helper()
	a, err := sample.Load(options())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// An account directory may have few files. The evidence that is not in it is said, and goes on
// being so when the account is saved.
func TestLoadSaysWhatIsMissing(t *testing.T) {
	noEvidence := []string{
		"describe-image-usage-reports.json", "describe-images.json", "get-caller-identity.json", "list-images-in-recycle-bin.json", "list-rules.json",
		"list-snapshots-in-recycle-bin.json", "lambda-get-function-configuration.json", "cloudformation-describe-stack-resource.json",
		"iam-list-account-aliases.json", "cloudformation-describe-stack-resources.json", "cloudwatch-describe-alarms.json", "iam-get-account-authorization-details.json",
		"s3api-get-bucket-encryption.json", "s3api-get-public-access-block.json", "scheduler-get-schedule.json",
		"sns-list-subscriptions-by-topic.json",
	}
	// A feature that is not used, where the file is missing.
	unused := []string{
		"describe-instance-refreshes.json", "describe-export-image-tasks.json", "describe-store-image-tasks.json", "describe-replace-root-volume-tasks.json",
		"cloudformation-describe-stacks.json", "cloudformation-get-template.json",
		"batch-describe-compute-environments.json", "pcs-list-clusters.json", "pcs-get-compute-node-group.json", "rds-describe-db-engine-versions.json",
		"emr-list-clusters.json", "emr-describe-cluster.json", "sagemaker-list-clusters.json", "sagemaker-describe-cluster.json",
		"imagebuilder-list-image-recipes.json", "imagebuilder-list-container-recipes.json",
		"elasticbeanstalk-describe-applications.json", "elasticbeanstalk-describe-environments.json", "elasticbeanstalk-describe-configuration-settings.json",
		"elasticbeanstalk-list-platform-versions.json", "elasticbeanstalk-describe-platform-version.json",
	}
	everything := slices.DeleteFunc(slices.Clone(files), func(name string) bool { return slices.Contains(append(unused, noEvidence...), name) })
	slices.Sort(everything)
	equal(t, "nothing but the identity", load(t, directory()).Lacks(), everything)
	equal(t, "the sample", loadSample(t).Lacks(), []string(nil))

	a := load(t, directory("describe-instances.json", `{"Reservations": []}`, "get-parameters.json", `{"Parameters": []}`))
	lacks := slices.DeleteFunc(slices.Clone(everything), func(name string) bool {
		return name == "describe-instances.json" || name == "get-parameters.json"
	})
	equal(t, "two files", a.Lacks(), lacks)
	dir := filepath.Join(t.TempDir(), "account")
	for range 2 {
		if err := a.Save(dir); err != nil {
			t.Fatal(err)
		}
		a = load(t, os.DirFS(dir))
		equal(t, "after it was saved", a.Lacks(), lacks)
	}
	if err := os.WriteFile(filepath.Join(dir, "describe-fleets.json"), []byte(`{"Fleets": [{"FleetId": "fleet-1"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if slices.Contains(load(t, os.DirFS(dir)).Lacks(), "describe-fleets.json") {
		t.Error("a file that has come is still lacking")
	}
	if err := loadSample(t).Save(dir); err != nil {
		t.Fatal(err)
	}
	equal(t, "a whole account in the same place", load(t, os.DirFS(dir)).Lacks(), []string(nil))

	for content, want := range map[string]string{
		`["describe-instance.json"]`: `lacking.json: "describe-instance.json" is no file`, `{}`: "lacking.json: json: ", "": "lacking.json: ",
	} {
		if _, err := emulator.Load(directory("lacking.json", content), options()); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", content, err, want)
		}
	}
}

// A file that does not speak of every image or snapshot, or in which something was lost, lacks the
// rest.
func TestLoadSaysWhatIsMissingInPart(t *testing.T) {
	whole := fstest.MapFS{}
	for _, name := range files {
		if data, err := fs.ReadFile(sample.Files(now, "us-east-1"), name); err == nil {
			whole[name] = &fstest.MapFile{Data: data}
		}
	}
	for name, data := range map[string]string{
		"describe-images.json": `{"Images": [{"ImageId": "ami-1", "OwnerId": "123456789012", "Public": false}, {"ImageId": "ami-2", "OwnerId": "123456789012"},
			{"ImageId": "ami-3", "OwnerId": "999988887777"}]}`,
		"describe-snapshots.json":                 `{"Snapshots": [{"SnapshotId": "snap-1", "OwnerId": "123456789012"}]}`,
		"describe-launch-permissions.json":        `{"ami-1": null}`,
		"describe-create-volume-permissions.json": `{"snap-2": []}`,
		"describe-fleets.json":                    "{\"Fleets\": [\n{\"FleetId\": \"fleet-\ufffd\"}]}",
	} {
		whole[name] = &fstest.MapFile{Data: []byte(data)}
	}
	equal(t, "lacking", load(t, whole).Lacks(), []string{
		"a character in line 2 of describe-fleets.json",
		"describe-create-volume-permissions.json for 1 of 1 snapshots",
		`describe-images.json for 1 of 2 images, which have no "Public"`,
		"describe-launch-permissions.json for 1 of 2 images",
	})
}

// JSON is UTF-8. PowerShell's UTF-16 says what it is by its mark; what else there is can only be
// guessed.
func TestEncodings(t *testing.T) {
	const file = "describe-images.json"
	utf16Of := func(order binary.AppendByteOrder, text string) string {
		var b []byte
		for _, unit := range utf16.Encode([]rune(text)) {
			b = order.AppendUint16(b, unit)
		}
		return string(b)
	}
	const text = "{\"Images\": [\n{\"ImageId\": \"ami-00000001\", \"Name\": \"Schützen 💾\"}]}"
	for name, data := range map[string]string{
		"UTF-8":                                   text,
		"UTF-8 with a byte order mark":            "\ufeff" + text,
		"UTF-16, the little end first":            "\xff\xfe" + utf16Of(binary.LittleEndian, text),
		"UTF-16, the big end first":               "\xfe\xff" + utf16Of(binary.BigEndian, text),
		"UTF-16 with line ends as on Windows":     "\xff\xfe" + utf16Of(binary.LittleEndian, strings.ReplaceAll(text, "\n", "\r\n")),
		"a file of which the end is a line break": text + "\n",
	} {
		saved := save(t, load(t, directory(file, data)))
		if got := string(content(t, saved, file)); !strings.Contains(got, `"Name": "Schützen 💾"`) {
			t.Errorf("%s: %s", name, got)
		}
	}
	for name, test := range map[string]struct{ data, want string }{
		"Windows-1252":                {"{\"Images\": [\n{\"Name\": \"Sch\xfctzen\"}]}", file + ":2:14: is not UTF-8: the byte 0xFC"},
		"a character that is cut off": {"{\"Images\": [], \"x\": \"\xe2\x82\"}", file + ":1:22: is not UTF-8: the byte 0xE2"},
		"at the end":                  {"{\"Images\": []}\n\xff", file + ":2:1: is not UTF-8: the byte 0xFF"},
		"UTF-16 without a mark":       {utf16Of(binary.LittleEndian, text), file + ":1:1: is neither UTF-8 nor UTF-16 with a byte order mark"},
		"the other one":               {utf16Of(binary.BigEndian, text), file + ":1:1: is neither UTF-8 nor UTF-16 with a byte order mark"},
		"half a character in UTF-16":  {"\xff\xfe" + utf16Of(binary.LittleEndian, text)[1:], file + ": begins as UTF-16"},
		"half a pair in UTF-16":       {"\xff\xfe\x3d\xd8", file + ": begins as UTF-16"},
		"UTF-16 that is no JSON":      {"\xff\xfe" + utf16Of(binary.LittleEndian, "{\n]"), file + ":2:1: invalid character ']'"},
		"nothing but a mark":          {"\xff\xfe", file + ":1:1: the file is empty"},
	} {
		if _, err := emulator.Load(directory(file, test.data), options()); err == nil || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%s: %v, want %s", name, err, test.want)
		}
	}
}

// What a decoder would let pass without a word is refused, with the place.
func TestLoadRefusesWhatWouldBeLost(t *testing.T) {
	const images, instances = "describe-images.json", "describe-instances.json"
	for name, test := range map[string]struct{ file, content, want string }{
		"a list twice":                     {images, "{\"Images\": [],\n \"Images\": []}", `:2:2: "Images" is there twice`},
		"tags twice":                       {images, `{"Images": [{"Tags": [], "Tags": []}]}`, `:1:26: "Tags" is there twice`},
		"a key twice that nobody knows":    {images, `{"Images": [{"a": 1}, {"b": {"a": {"a": []}, "a": 2}}]}`, `:1:46: "a" is there twice`},
		"an image's permissions twice":     {"describe-launch-permissions.json", `{"ami-1": [], "ami-1": [{"Group": "all"}]}`, `:1:15: "ami-1" is there twice`},
		"an escaped key":                   {images, `{"Images": [{"Tags": [], "T\u0061gs": []}]}`, `:1:26: "Tags" is there twice`},
		"tags in another case":             {images, `{"Images": [{"tags": []}]}`, `:1:13: Images[0] has "tags" where the AWS CLI prints "Tags"`},
		"a field deep inside":              {images, `{"Images": [{"Tags": [{"key": "Keep"}]}]}`, `:1:13: Images[0].Tags[0] has "key" where the AWS CLI prints "Key"`},
		"an image id in another case":      {instances, `{"Reservations": [{"Instances": [{"imageId": "ami-1"}]}]}`, `Reservations[0].Instances[0] has "imageId" where`},
		"a permission in another case":     {"describe-launch-permissions.json", `{"ami-1": [{"userId": "1"}]}`, `"ami-1"[0] has "userId" where the AWS CLI prints "UserId"`},
		"a token in another case":          {images, `{"Images": [], "nextToken": "x"}`, `:1:29: has "nextToken" where the AWS CLI prints "NextToken"`},
		"instances without reservations":   {instances, `{"Reservations": [{"InstanceId": "i-1", "ImageId": "ami-1"}]}`, `:1:19: Reservations[0] has no "Instances"`},
		"pages one after the other":        {instances, "{\"Reservations\": []}\n{\"Reservations\": []}", ":2:1: invalid character '{'"},
		"pages in a list":                  {instances, `[{"Reservations": []}]`, ":1:1: must be a JSON object"},
		"an image id with a space":         {images, `{"Images": [{}, {"ImageId": "ami-1 "}]}`, `:1:17: Images[1].ImageId "ami-1 " is no id as AWS writes it`},
		"an image id in capitals":          {images, `{"Images": [{"ImageId": "AMI-1"}]}`, `.ImageId "AMI-1" is no id`},
		"a mapped snapshot with a space":   {images, `{"Images": [{"BlockDeviceMappings": [{"Ebs": {"SnapshotId": " snap-1"}}]}]}`, `.BlockDeviceMappings.Ebs.SnapshotId " snap-1" is no id`},
		"a locked snapshot in capitals":    {"describe-locked-snapshots.json", `{"Snapshots": [{"SnapshotId": "SNAP-1"}]}`, `"SNAP-1" is no id`},
		"a template's snapshot in a space": {"describe-launch-template-versions.json", `{"LaunchTemplateVersions": [{"LaunchTemplateData": {"BlockDeviceMappings": [{}, {"Ebs": {"SnapshotId": "snap- 1"}}]}}]}`, `"snap- 1" is no id`},
		"permissions of capitals":          {"describe-launch-permissions.json", `{"AMI-1": []}`, `:1:11: "AMI-1" is no id`},
		"records that are no folder":       {"records", "{}", ": must be a folder"},
	} {
		if _, err := emulator.Load(directory(test.file, test.content), options()); err == nil || !strings.HasPrefix(err.Error(), test.file+":") || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %s", name, err, test.want)
		}
	}

	dir := t.TempDir()
	if err := os.CopyFS(dir, directory()); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere.json", filepath.Join(dir, instances)); err != nil {
		t.Fatal(err)
	}
	if _, err := emulator.Load(os.DirFS(dir), options()); err == nil || !strings.HasPrefix(err.Error(), instances+": ") {
		t.Errorf("a link that leads nowhere: %v", err)
	}
	if _, err := emulator.Load(os.DirFS(filepath.Join(dir, "get-caller-identity.json")), options()); err == nil {
		t.Error("a file is no account directory")
	}
	var none fs.FS = fstest.MapFS{}
	if _, err := emulator.Load(none, options()); err == nil || !strings.HasPrefix(err.Error(), "get-caller-identity.json: missing") {
		t.Errorf("an empty directory: %v", err)
	}
}

// A parameter that is described is there. Without its value in the copy nobody knows what it names.
func TestAParameterWithoutItsValue(t *testing.T) {
	client := ssmClient(load(t, directory("describe-parameters.json", `{"Parameters": [{"Name": "/golden", "Type": "String", "Version": 7}, {"Name": "/other"}]}`,
		"get-parameters.json", `{"Parameters": [{"Name": "/other", "Value": "x", "Version": 2}]}`)).Client())
	const arn = "arn:aws:ssm:us-east-1:123456789012:parameter/golden"
	names := []string{"/golden", "/golden:3", arn, "/other", "/other:1", "/absent"}
	out, err := client.GetParameters(t.Context(), &ssm.GetParametersInput{Names: names})
	if err != nil {
		t.Fatal(err)
	}
	var shown []string
	for _, p := range out.Parameters {
		value := "no value"
		if p.Value != nil {
			value = *p.Value
		}
		shown = append(shown, *p.Name+" "+value)
	}
	equal(t, "shown", shown, []string{"/golden no value", "/golden no value", "/golden no value", "/other x"})
	equal(t, "not there", out.InvalidParameters, []string{"/other:1", "/absent"})
}

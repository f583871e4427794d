package export_test

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/internal/testaccount"
	"github.com/ami-janitor/ami-janitor/pkg/config"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/export"
	"github.com/ami-janitor/ami-janitor/pkg/janitor"
	"github.com/ami-janitor/ami-janitor/pkg/usage"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

var objectSettings = map[string]string{
	"REGIONS": home, "KEEP_LIST": "s3://lists/keep/,s3://lists/one.txt", "KEEP_LIST_MAX_AGE": "7d", "TEXT_OBJECTS": "s3://states/*.tfstate", "REQUIRE_RECYCLE_BIN": "false",
	"USAGE_SOURCES": "references,instances,s3-text",
}

// withObjects is an account with five stale images: one is on a keep list, one in a state.
func withObjects(t *testing.T, objects map[string]string) *emulator.Account {
	t.Helper()
	here := directory{"get-caller-identity.json": object{"Account": accountID}}
	for n := range 5 {
		here.add("describe-images.json", "Images", object{"ImageId": imageID(n), "Name": string(rune('a' + n)), "OwnerId": accountID, "State": "available", "CreationDate": daysAgo(400), "Public": false})
	}
	files := here.files(t)
	for name, content := range objects {
		files["s3/"+name] = &fstest.MapFile{Data: []byte(content), ModTime: now.AddDate(0, 0, -6)}
	}
	a, err := emulator.Load(files, emulator.Options{Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// exportObjects is an export with the objects of the settings.
func exportObjects(t *testing.T, doer emulator.Doer, dir string) export.Summary {
	t.Helper()
	texts, err := usage.ParseTextObjects(objectSettings["TEXT_OBJECTS"])
	if err != nil {
		t.Fatal(err)
	}
	e := export.Export{
		AWS: configuration(doer), Regions: []string{home}, Directory: dir, Clock: clock,
		Lists: []export.List{{Bucket: "lists", Key: "keep/"}, {Bucket: "lists", Key: "one.txt"}}, TextObjects: []usage.TextObjects{texts},
	}
	summary, err := e.Run(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return summary
}

var s3Objects = map[string]string{
	"lists/keep/web": imageID(1) + " # main.tf:1\n", "lists/one.txt": "of-nobody", "lists/other": "x",
	"states/a/prod.tfstate": `{"image_id": "` + imageID(2) + `", "password": "cGFzc3dvcmQ="}`, "states/b.tfstate": "{}", "states/b.zip": "PK",
}

// A rehearsal on a copy sees the same lists and the same ids; of a state, the copy has no more.
func TestObjectsInTheCopy(t *testing.T) {
	dir := t.TempDir()
	original := withObjects(t, s3Objects)
	for range 2 {
		if summary := exportObjects(t, original.Client(), dir); len(summary.Failed)+len(summary.Refused) > 0 {
			t.Fatalf("%+v", summary)
		}
	}
	wantSame(t, original.Client(), load(t, dir).Client(), objectSettings)
	secrets(t, dir)
	found := map[string]string{}
	for name, content := range filesOf(t, dir) {
		if strings.HasPrefix(name, "s3/") {
			found[name] = content
		}
	}
	if diff := cmp.Diff(map[string]string{
		"s3/lists/keep/web": s3Objects["lists/keep/web"], "s3/lists/one.txt": "of-nobody",
		"s3/states/a/prod.tfstate": "# The image ids in s3://states/a/prod.tfstate.\n" + imageID(2) + "\n", "s3/states/b.tfstate": "# The image ids in s3://states/b.tfstate.\n\n",
	}, found); diff != "" {
		t.Error(diff)
	}
	if info, err := os.Stat(filepath.Join(dir, "s3/lists/one.txt")); err != nil || !info.ModTime().Equal(now.AddDate(0, 0, -6)) {
		t.Errorf("%v, %v", info, err)
	}
}

// What cannot be read, or not as a whole, keeps in the copy what it keeps in the account.
func TestObjectsThatAreNotInTheCopy(t *testing.T) {
	encrypted := maps.Clone(s3Objects)
	encrypted["states/b.tfstate"] = `{"encrypted_data": ""}`
	is := func(key string) func(int, emulator.Request) bool {
		return func(_ int, q emulator.Request) bool { return q.Form.Get("Key")+q.Form.Get("prefix") == key }
	}
	for name, c := range map[string]struct {
		objects map[string]string
		fault   func(emulator.Doer) emulator.Doer
		refused string
		failed  string
		stopped bool // The run fails.
	}{
		"encrypted": {objects: encrypted, refused: "s3://states/b.tfstate is encrypted"},
		"a state denied": {fault: func(d emulator.Doer) emulator.Doer {
			return disturb.Fail(d, "GetObject", is("b.tfstate"), 403, "AccessDenied", "No.")
		}, refused: "s3://states/b.tfstate cannot be read: s3:GetObject: AccessDenied: No."},
		"states denied": {fault: func(d emulator.Doer) emulator.Doer {
			return disturb.Fail(d, "ListObjectsV2", is(""), 403, "AccessDenied", "No.")
		}, refused: "s3://states/*.tfstate cannot be listed: s3:ListBucket: AccessDenied: No."},
		"a list denied": {fault: func(d emulator.Doer) emulator.Doer {
			return disturb.Fail(d, "GetObject", is("one.txt"), 403, "AccessDenied", "No.")
		}, refused: "s3://lists/one.txt cannot be read: s3:GetObject: AccessDenied: No.", stopped: true},
		"lists denied": {fault: func(d emulator.Doer) emulator.Doer {
			return disturb.Fail(d, "ListObjectsV2", is("keep/"), 403, "AccessDenied", "No.")
		}, refused: "s3://lists/keep/ cannot be read: s3:ListBucket: AccessDenied: No.", stopped: true},
		"garbled":        {fault: func(d emulator.Doer) emulator.Doer { return disturb.Garble(d, "ListObjectsV2", is("")) }, failed: "not a complete answer"},
		"a list garbled": {fault: func(d emulator.Doer) emulator.Doer { return disturb.Garble(d, "GetObject", is("one.txt")) }, failed: "s3://lists/one.txt cannot be read: "},
	} {
		t.Run(name, func(t *testing.T) {
			objects := c.objects
			if objects == nil {
				objects = s3Objects
			}
			var doer emulator.Doer = withObjects(t, objects).Client()
			if c.fault != nil {
				doer = c.fault(doer)
			}
			dir := t.TempDir()
			summary := exportObjects(t, doer, dir)
			if c.failed != "" {
				if len(summary.Failed) != 1 || !strings.Contains(summary.Failed[0], c.failed) {
					t.Errorf("%+v", summary)
				}
				return
			}
			if len(summary.Failed) > 0 || !slices.Equal(summary.Refused, []string{c.refused}) {
				t.Errorf("%+v", summary)
			}
			parsed, err := config.Parse(func(variable string) string { return objectSettings[variable] })
			if err != nil {
				t.Fatal(err)
			}
			j := janitor.Janitor{Config: parsed, AWS: configuration(load(t, dir).Client()), Clock: clock}
			record := j.Run(t.Context(), "20261123T020000Z-0123ab", true)
			if (record.FailedRegions() > 0) != c.stopped || record.Totals.WouldDeregister > 0 {
				t.Errorf("%+v", record.Totals)
			}
		})
	}
}

// A key that no file can have is not left out in silence.
func TestAnObjectThatNoFileCanBe(t *testing.T) {
	original := withObjects(t, s3Objects)
	for _, key := range []string{"a//b.tfstate", "../b.tfstate"} {
		err := wire.OpenBucket(configuration(original.Client()), "states").Write(t.Context(), key, []byte("x"))
		if err != nil {
			t.Fatal(err)
		}
		if summary := exportObjects(t, original.Client(), t.TempDir()); len(summary.Failed) == 0 || !strings.Contains(summary.Failed[0], "is no name of a file") {
			t.Errorf("%s: %+v", key, summary)
		}
	}
}

// A rehearsal that searches templates sees those of the original, in JSON and in YAML, if the
// export was asked for them. A stack that was only proposed has none.
func TestTemplatesInTheCopy(t *testing.T) {
	templates := []object{
		{"StackName": "json", "TemplateBody": object{"ImageId": imageID(1)}},
		{"StackName": "yaml", "TemplateBody": "ImageId: " + imageID(2) + "\n"},
	}
	stacks := []object{{"StackName": "proposed", "StackStatus": "REVIEW_IN_PROGRESS"}}
	for _, template := range templates {
		stacks = append(stacks, object{"StackName": template["StackName"], "StackStatus": "CREATE_COMPLETE"})
	}
	for i := range stacks {
		stacks[i]["CreationTime"] = "2026-01-02T03:04:05Z"
	}
	files := testaccount.Files{"cloudformation-describe-stacks.json": object{"Stacks": stacks}, "cloudformation-get-template.json": templates}
	account := files.Load(t, emulator.Options{Now: clock})
	for _, wanted := range []bool{true, false} {
		dir := t.TempDir()
		e := export.Export{AWS: configuration(account.Client()), Regions: []string{home}, Directory: dir, Clock: clock, StackTemplates: wanted}
		if summary, err := e.Run(t.Context()); err != nil || len(summary.Failed)+len(summary.Refused) > 0 {
			t.Fatalf("%v: %+v", err, summary)
		}
		content := filesOf(t, dir)["cloudformation-get-template.json"]
		for _, want := range []string{`"ImageId": "` + imageID(1) + `"`, `"ImageId: ` + imageID(2) + `\n"`, `"StackName": "yaml"`} {
			if strings.Contains(content, want) != wanted {
				t.Errorf("wanted: %v; %s in %s", wanted, want, content)
			}
		}
	}
}

// Of settings in Elastic Beanstalk, the copy has those that name an image: others may be secret.
func TestSettingsInTheCopy(t *testing.T) {
	option := func(name, value string) object {
		return object{"Namespace": "aws:elasticbeanstalk:application:environment", "OptionName": name, "Value": value}
	}
	files := testaccount.Files{
		"elasticbeanstalk-describe-applications.json": object{"Applications": []object{{"ApplicationName": "web", "ConfigurationTemplates": []string{"large", "gone"}}}},
		"elasticbeanstalk-describe-environments.json": object{"Environments": []object{{"ApplicationName": "web", "EnvironmentName": "prod", "Status": "Ready"}}},
		"elasticbeanstalk-describe-configuration-settings.json": []object{
			{"ConfigurationSettings": []object{{"ApplicationName": "web", "TemplateName": "large", "OptionSettings": []object{option("ImageId", "resolve:ssm:/x"), option("PASSWORD", "secret-1")}}}},
			{"ConfigurationSettings": []object{{"ApplicationName": "web", "EnvironmentName": "prod", "OptionSettings": []object{option("WORKERS", imageID(2)), option("PASSWORD", "secret-2")}}}},
		},
	}
	dir := t.TempDir()
	e := export.Export{AWS: configuration(files.Load(t, emulator.Options{Now: clock}).Client()), Regions: []string{home}, Directory: dir, Clock: clock}
	if summary, err := e.Run(t.Context()); err != nil || len(summary.Failed)+len(summary.Refused) > 0 {
		t.Fatalf("%v: %+v", err, summary)
	}
	content := filesOf(t, dir)["elasticbeanstalk-describe-configuration-settings.json"]
	for text, want := range map[string]bool{"resolve:ssm:/x": true, imageID(2): true, "PASSWORD": false, "secret": false} {
		if strings.Contains(content, text) != want {
			t.Errorf("%s: want %v in %s", text, want, content)
		}
	}
}

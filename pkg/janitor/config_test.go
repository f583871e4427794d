package janitor_test

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/janitor"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

func TestDefaults(t *testing.T) {
	config := settings{}.parse(t)
	for name, c := range map[string]struct{ got, want any }{
		"STALE_AFTER":          {config.StaleAfter.String(), "180d"},
		"NEVER_LAUNCHED_AFTER": {config.NeverLaunchedAfter.String(), "180d"},
		"KEEP_NEWEST":          {int(config.KeepNewest), 1},
		"FAMILY_TAG":           {config.FamilyTag, ""},
		"KEEP_TAGS":            {config.KeepTags.String(), ""},
		"ONLY_TAGS":            {config.OnlyTags.String(), ""},
		"NAMES":                {config.Names.String(), ""},
		"MAX_DEREGISTRATIONS":  {int(config.MaxDeregistrations), 100},
		"DELETE_SNAPSHOTS":     {bool(config.DeleteSnapshots), true},
		"USAGE_SOURCES":        {config.UsageSources.String(), allSources},
		"REGIONS":              {config.Regions.String(), ""},
		"EXCEPT_REGIONS":       {config.ExceptRegions.String(), ""},
		"SNAPSHOT_PRICE":       {float64(config.SnapshotPrice), 0.05},
		"DRY_RUN":              {bool(config.DryRun), true},
		"TOPIC_ARN":            {string(config.TopicARN), ""},
		"CHAT_TOPIC_ARN":       {string(config.ChatTopicARN), ""},
		"NOTIFY_ON":            {config.NotifyOn, janitor.NotifyChanges},

		"LAUNCH_TEMPLATE_VERSIONS": {config.LaunchTemplateVersions.String(), "all"},
		"KEEP_LIST":                {string(config.KeepList), ""},
		"SHARED_IMAGES":            {config.SharedImages.String(), "keep"},
		"IMAGE_BUILDER_IMAGES":     {config.ImageBuilderImages.String(), "keep"},
		"GRACE":                    {config.Grace.String(), "0d"},
		"GRACE_ACTION":             {config.GraceAction, retention.Announce},
		"OWNER_TAG":                {config.OwnerTag, ""},
		"RECYCLE_BIN_DAYS":         {int(config.RecycleBinDays), 14},
		"REQUIRE_RECYCLE_BIN":      {bool(config.RequireRecycleBin), true},
		"ORPHANED_SNAPSHOTS":       {config.OrphanedSnapshots.String(), "report"},
		"EC2_SHARE":                {float64(config.EC2Share), 0.5},
		"RECORDS":                  {string(config.Records), ""},
		"POLICY_NAME":              {string(config.PolicyName), "cli"},
		"ALLOW_SHORTER":            {bool(config.AllowShorter), false},
		"STACK_NAME":               {string(config.StackName), ""},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v, want %v", name, c.got, c.want)
		}
	}
	if n := len(janitor.Settings()); n != 32 {
		t.Errorf("%d settings, want 32: add the default of a new one to TestDefaults in config_test.go", n)
	}
	want := retention.Policy{
		StaleAfter: retention.Days(180 * retention.Day), NeverLaunchedAfter: retention.Days(180 * retention.Day), KeepNewest: 1,
		MaxDeregistrations: 100, DeleteSnapshots: true, ReportOrphans: true, GraceAction: retention.Announce, RequireRecycleBin: true, RecycleBinDays: 14,
	}
	if got, want := fmt.Sprintf("%+v", config.Policy()), fmt.Sprintf("%+v", want); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

const allSources = "references,instances,launch-templates,launch-configurations,auto-scaling-groups,spot-fleets,spot-requests,ssm-text," +
	"fast-launch,fast-snapshot-restore"

// Every setting that judges reaches the policy, and the policy alone knows the rest.
func TestThePolicyOfAConfiguration(t *testing.T) {
	p := settings{
		"STALE_AFTER": "90d", "NEVER_LAUNCHED_AFTER": "30d", "KEEP_NEWEST": "3", "FAMILY_TAG": "Family", "KEEP_TAGS": "a=b", "ONLY_TAGS": "c", "NAMES": "web-*",
		"MAX_DEREGISTRATIONS": "7", "DELETE_SNAPSHOTS": "false", "SHARED_IMAGES": "report", "IMAGE_BUILDER_IMAGES": "judge", "GRACE": "14d", "GRACE_ACTION": "disable",
	}.parse(t).Policy()
	got := fmt.Sprint(p.StaleAfter, p.NeverLaunchedAfter, p.KeepNewest, p.FamilyTag, p.KeepTags, p.OnlyTags, p.Names, p.MaxDeregistrations, p.DeleteSnapshots,
		p.JudgeShared, p.JudgeImageBuilder, p.Grace, p.GraceAction)
	if want := fmt.Sprint("90d", "30d", 3, "Family", "a=b", "c", "web-*", 7, false, true, true, "14d", "disable"); strings.Join(strings.Fields(got), "") != strings.Join(strings.Fields(want), "") {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestBlankIsNotSet(t *testing.T) {
	for _, blank := range []string{"", " ", "\t\n "} {
		blanks := settings{}
		for _, setting := range janitor.Settings() {
			blanks[setting.Variable] = blank
		}
		if got, want := fmt.Sprintf("%+v", blanks.parse(t)), fmt.Sprintf("%+v", settings{}.parse(t)); got != want {
			t.Errorf("%q: %s, want %s", blank, got, want)
		}
	}
}

func TestNeverLaunchedFollowsStale(t *testing.T) {
	for _, c := range []struct{ stale, never, want string }{
		{"", "", "180d"}, {"90d", "", "90d"}, {"90d", "30d", "30d"}, {"", "30d", "30d"}, {" 90d ", "", "90d"}, {"7d", "7d", "7d"}, {"36500d", "", "36500d"},
	} {
		if got := (settings{"STALE_AFTER": c.stale, "NEVER_LAUNCHED_AFTER": c.never}).parse(t).NeverLaunchedAfter.String(); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

// faults are values that cannot be meant.
var faults = map[string][]string{
	"STALE_AFTER":          {"6d", "0d", "180", "-180d", "180h", "1.5d", "d", "99999999d", "180 d", "36501d", "180D", "0x10d", "١٨٠d"},
	"NEVER_LAUNCHED_AFTER": {"6d", "never", "1w"},
	"KEEP_NEWEST":          {"-1", "one", "1.0", "99999999999", "+1", "1e3"},
	"KEEP_TAGS":            {"=value", "a,=b"},
	"ONLY_TAGS":            {"=value"},
	"MAX_DEREGISTRATIONS":  {"-1", "all", "10%", "3000000000"},
	"DELETE_SNAPSHOTS":     {"yes", "no", "on", "2"},
	"USAGE_SOURCES":        {"none", "reference", "references,launch-configuration", "references launch-templates", ",", "all,references", "References", "launch permissions", "usage-reports"},
	"REGIONS":              {"Ireland", "eu-west-1;eu-west-2", "all,eu-west-1", "eu-west-1,all", "EU-WEST-1"},
	"EXCEPT_REGIONS":       {"Ireland", "eu_west_1", "all"},
	"SNAPSHOT_PRICE":       {"$0.05", "-1", "NaN", "Inf", "1e309", "free"},
	"DRY_RUN":              {"no", "yes", "off", "tru"},
	"TOPIC_ARN":            {"digest", "arn:aws:sqs:us-east-1:123456789012:q", "arn:aws:sns::123456789012:t", "arn:aws:sns:us-east-1:123456789012:"},
	"CHAT_TOPIC_ARN":       {"digest"},
	"NOTIFY_ON":            {"never", "Always", "change", "changes,failures"},

	"LAUNCH_TEMPLATE_VERSIONS": {"0", "-1", "10001", "newest", "All", "1.5", "99999999999999999999"},
	"KEEP_LIST": {
		"ssm:", "ssm: ", "ssm:a b", "ssm:/a//b", "ssm:/keep/", "ssm:keep:3", "ssm:{{keep}}", "arn:aws:s3:::bucket/keep", "arn:aws:ssm:us-east-1:123456789012:document/keep",
		"arn:aws:ssm:us-east-1:123456789012:parameter", "arn:aws:ssm::123456789012:parameter/keep", "arn:aws:ssm:us-east-1:12345:parameter/keep", "arn:",
		"arn:aws:ssm:us-east-1:123456789012:parameter/keep:3",
	},
	"RECYCLE_BIN_DAYS":     {"x", "-1", "14d", "1.5", "366"},
	"SHARED_IMAGES":        {"judge", "true", "Keep", "reports"},
	"IMAGE_BUILDER_IMAGES": {"report", "false", "Judge"},
	"GRACE":                {"14", "-1d", "two weeks", "1.5d", "99999999d", "d"},
	"GRACE_ACTION":         {"delete", "Disable", "none", "announce,disable"},
	"POLICY_NAME":          {"two words", "-web", "a/b", "a,b", "ä", strings.Repeat("a", 129)},
	"ALLOW_SHORTER":        {"yes", "1", "30d"},
}

func TestEveryFaultNamesItsVariable(t *testing.T) {
	for variable, values := range faults {
		for _, value := range values {
			_, err := janitor.ParseConfig(func(name string) string {
				if name == variable {
					return value
				}
				return ""
			})
			if err == nil {
				t.Errorf("%s=%s is taken", variable, value)
				continue
			}
			if !strings.HasPrefix(err.Error(), variable+": ") || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s=%s: %v", variable, value, err)
			}
		}
	}
}

// All faults are reported together: who deploys does not want to be told of them one by one.
func TestAllFaultsAtOnce(t *testing.T) {
	_, err := janitor.ParseConfig(func(variable string) string {
		if values := faults[variable]; len(values) > 0 {
			return values[0]
		}
		return ""
	})
	lines := strings.Split(fmt.Sprint(err), "\n")
	if len(lines) != len(faults) {
		t.Errorf("%d faults, want %d: %v", len(lines), len(faults), err)
	}
	for variable := range faults {
		if !strings.Contains("\n"+fmt.Sprint(err), "\n"+variable+": ") {
			t.Errorf("no word of %s: %v", variable, err)
		}
	}
}

func TestWordsThatAreTaken(t *testing.T) {
	for variable, values := range map[string][]string{
		"DRY_RUN":          {"true", "false", "TRUE", "False"},
		"DELETE_SNAPSHOTS": {"true", "false"},
		"NOTIFY_ON":        {"always", "changes", "failures"},
		"USAGE_SOURCES":    {"all", "references", " references , ", "ssm-text,instances", allSources},

		"LAUNCH_TEMPLATE_VERSIONS": {"all", "1", "10000", " 5 "},
		"KEEP_LIST": {
			"ssm:keep", "ssm:/ami/keep.list-1_2", "arn:aws:ssm:eu-west-1:123456789012:parameter/ami/keep", "arn:aws-us-gov:ssm:us-gov-west-1:123456789012:parameter/keep",
			"keep.txt", "/etc/keep list", "SSM:keep",
		},
		"RECYCLE_BIN_DAYS":     {"0", "1", "365"},
		"SHARED_IMAGES":        {"keep", "report"},
		"IMAGE_BUILDER_IMAGES": {"keep", "judge"},
		"GRACE":                {"0d", "1d", "14d", "36500d"},
		"GRACE_ACTION":         {"announce", "deprecate", "disable"},
		"POLICY_NAME":          {"cli", "ami-janitor", "Web_2.old", "7", strings.Repeat("a", 128)},
		"ALLOW_SHORTER":        {"true", "False"},
		"OWNER_TAG":            {"Team", "a:b"},
		"REGIONS":              {"all", "eu-west-1", "us-gov-west-1, us-iso-east-1", "mx-central-1"},
		"EXCEPT_REGIONS":       {"eu-west-1,eu-west-2"},
		"STALE_AFTER":          {"7d", "180d", "36500d"},
		"KEEP_NEWEST":          {"0", "1", "50"},
		"MAX_DEREGISTRATIONS":  {"0", "100000"},
		"SNAPSHOT_PRICE":       {"0", "0.05", "0.1"},
		"KEEP_TAGS":            {"Name", "Env=prod,Owner", "a=b=c", "a="},
		"ONLY_TAGS":            {"Env=prod,Env=stage"},
		"NAMES":                {"web-*,!*-golden", "!x", "[a-b]*"},
		"FAMILY_TAG":           {"Family"},
		"TOPIC_ARN":            {"arn:aws:sns:us-east-1:123456789012:digest", "arn:aws-us-gov:sns:us-gov-west-1:123456789012:x"},
		"NEVER_LAUNCHED_AFTER": {"30d"},
	} {
		for _, value := range values {
			settings{variable: value}.parse(t)
		}
	}
	for value, dry := range map[string]bool{"true": true, "TRUE": true, "false": false, "False": false} {
		if got := (settings{"DRY_RUN": value}).parse(t).DryRun; bool(got) != dry {
			t.Errorf("DRY_RUN=%s is %v", value, got)
		}
	}
}

// The record says the policy in words and values.
func TestTheRecordSaysThePolicy(t *testing.T) {
	account := world{}.load(t)
	record := run(t, account.Client(), settings{"STALE_AFTER": "90d", "KEEP_TAGS": "a=b", "REGIONS": "us-east-1", "TOPIC_ARN": mailTopic}, true)
	for key, want := range map[string]string{
		"staleAfter": "90d", "neverLaunchedAfter": "90d", "keepNewest": "1", "keepTags": "a=b", "maxDeregistrations": "100", "deleteSnapshots": "true",
		"usageSources": allSources, "regions": "us-east-1", "exceptRegions": "", "snapshotPrice": "0.05", "names": "", "onlyTags": "", "familyTag": "",
		"launchTemplateVersions": "all", "keepList": "", "sharedImages": "keep", "imageBuilderImages": "keep", "grace": "0d", "graceAction": "announce", "ownerTag": "",
		"recycleBinDays": "0", "requireRecycleBin": "false", "orphanedSnapshots": "report", "ec2Share": "0.5", "records": "",
		"policyName": "cli", "allowShorter": "false",
	} {
		if got, ok := record.Policy[key]; !ok || got != want {
			t.Errorf("%s: %q (there: %v), want %q", key, got, ok, want)
		}
	}
	if len(record.Policy) != 27 {
		t.Errorf("%v", record.Policy)
	}
	if !strings.Contains(record.PolicySentence, "90 days") {
		t.Errorf("%q", record.PolicySentence)
	}
}

// Whatever is taken as a configuration gives a run that respects the floor and the cap, and a record that can be written.
// A record that cannot be marshalled ends the function after the removals, and before anybody is told.
func FuzzConfig(f *testing.F) {
	variables := []string{}
	for _, setting := range janitor.Settings() {
		variables = append(variables, setting.Variable)
	}
	for i, variable := range variables {
		for _, value := range faults[variable] {
			f.Add(i, value)
		}
		f.Add(i, "")
	}
	f.Add(slices.Index(variables, "SNAPSHOT_PRICE"), "1e308")
	f.Add(slices.Index(variables, "NAMES"), "*[!,?")
	w := mixed()
	files := w.files(f)
	f.Fuzz(func(t *testing.T, i int, value string) {
		variable := variables[int(uint(i)%uint(len(variables)))]
		config, err := janitor.ParseConfig(func(name string) string {
			if name == variable {
				return value
			}
			return bare[name]
		})
		if err != nil {
			if !strings.HasPrefix(err.Error(), variable+": ") {
				t.Errorf("%s=%q: %v", variable, value, err)
			}
			return
		}
		if !strings.HasPrefix(string(config.KeepList), "ssm:") && !strings.HasPrefix(string(config.KeepList), "arn:") {
			config.KeepList = "" // No fuzzer is to choose what is read from this machine.
		}
		if p := config.Policy(); p.StaleAfter < retention.Floor || p.NeverLaunchedAfter < retention.Floor || p.MaxDeregistrations < 0 || p.KeepNewest < 0 || p.Grace < 0 {
			t.Errorf("%s=%q: %+v", variable, value, p)
		}
		if len(config.UsageSources) == 0 || math.IsNaN(float64(config.SnapshotPrice)) {
			t.Errorf("%s=%q: %+v", variable, value, config)
		}
		account := fuzzAccount(t, files)
		j := newJanitor(t, account.Client(), nil)
		j.Config = config
		run := j.Run(t.Context(), "run", false)
		checkRecord(t, run, int(config.MaxDeregistrations))
		if _, err := json.Marshal(run); err != nil {
			t.Errorf("%s=%q: the record cannot be written: %v", variable, value, err)
			return
		}
		_, _, _ = record.Result(run), digest.Slack(run), digest.Text(run)
	})
}

func fuzzAccount(t *testing.T, files fstest.MapFS) *emulator.Account {
	t.Helper()
	account, err := emulator.Load(files, emulator.Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	return account
}

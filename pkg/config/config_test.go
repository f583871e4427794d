package config_test

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/ami-janitor/ami-janitor/pkg/config"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
	"github.com/ami-janitor/ami-janitor/pkg/usage"
)

// settings are values of the configuration by variable.
type settings map[string]string

func (s settings) parse(t rapid.TB) config.Config {
	t.Helper()
	parsed, err := config.Parse(func(variable string) string { return s[variable] })
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func TestDefaults(t *testing.T) {
	parsed := settings{}.parse(t)
	p := &parsed.Policy
	for name, c := range map[string]struct{ got, want any }{
		"STALE_AFTER":          {p.StaleAfter.String(), "180d"},
		"NEVER_LAUNCHED_AFTER": {p.NeverLaunchedAfter.String(), "180d"},
		"KEEP_NEWEST":          {p.KeepNewest, 1},
		"FAMILY_TAG":           {p.FamilyTag, ""},
		"KEEP_TAGS":            {p.KeepTags.String(), ""},
		"ONLY_TAGS":            {p.OnlyTags.String(), ""},
		"NAMES":                {p.Names.String(), ""},
		"MAX_DEREGISTRATIONS":  {p.MaxDeregistrations, 100},
		"DELETE_SNAPSHOTS":     {p.DeleteSnapshots, true},
		"USAGE_SOURCES":        {strings.Join(parsed.UsageSources, ","), allSources},
		"REGIONS":              {parsed.Regions.String(), ""},
		"EXCEPT_REGIONS":       {len(parsed.ExceptRegions), 0},
		"SNAPSHOT_PRICE":       {parsed.SnapshotPrice, 0.05},
		"DRY_RUN":              {parsed.DryRun, true},
		"TOPIC_ARN":            {parsed.TopicARN, ""},
		"CHAT_TOPIC_ARN":       {parsed.ChatTopicARN, ""},
		"OWNERS_TOPIC_ARN":     {parsed.OwnersTopicARN, ""},
		"NOTIFY_ON":            {parsed.NotifyOn, config.NotifyChanges},

		"LAUNCH_TEMPLATE_VERSIONS": {parsed.TemplateVersions, 0},
		"KEEP_LIST":                {parsed.KeepLists.String(), ""},
		"KEEP_LIST_MAX_AGE":        {parsed.KeepListMaxAge, retention.Days(0)},
		"CLOUDFORMATION_TEMPLATES": {parsed.StackTemplates, false},
		"TEXT_OBJECTS":             {len(parsed.TextObjects), 0},
		"SHARED_IMAGES":            {p.JudgeShared, false},
		"IMAGE_BUILDER_IMAGES":     {p.JudgeImageBuilder, false},
		"MARKETPLACE_IMAGES":       {p.JudgeMarketplace, false},
		"FAILED_IMAGES":            {p.JudgeFailed, false},
		"GRACE":                    {p.Grace.String(), "0d"},
		"GRACE_ACTION":             {p.GraceAction, retention.Announce},
		"OWNER_TAG":                {parsed.OwnerTag, ""},
		"RECYCLE_BIN_DAYS":         {p.RecycleBinDays, 14},
		"REQUIRE_RECYCLE_BIN":      {p.RequireRecycleBin, true},
		"ORPHANED_SNAPSHOTS":       {p.ReportOrphans, true},
		"ORPHANED_AFTER":           {p.OrphanedAfter.String(), "90d"},
		"MAX_ORPHANED_SNAPSHOTS":   {p.MaxOrphans, 20},
		"BUNDLES":                  {p.DeleteBundles, false},
		"BUNDLE_BUCKETS":           {len(p.BundleBuckets), 0},
		"EC2_SHARE":                {parsed.EC2Share, 0.5},
		"RECORDS":                  {parsed.Records, ""},
		"POLICY_NAME":              {p.Name, "cli"},
		"ALLOW_SHORTER":            {p.AllowShorter, false},
		"STACK_NAME":               {parsed.StackName, ""},
		"REPORT_PAGES":             {parsed.ReportPages, false},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v, want %v", name, c.got, c.want)
		}
	}
	if n := len(config.Settings()); n != 43 {
		t.Errorf("%d settings, want 43: add the default of a new one to TestDefaults in config_test.go", n)
	}
	want := retention.Policy{
		Name: "cli", StaleAfter: retention.Days(180 * retention.Day), NeverLaunchedAfter: retention.Days(180 * retention.Day), KeepNewest: 1,
		MaxDeregistrations: 100, DeleteSnapshots: true, ReportOrphans: true, GraceAction: retention.Announce, RequireRecycleBin: true, RecycleBinDays: 14,
		OrphanedAfter: retention.Days(90 * retention.Day), MaxOrphans: 20,
	}
	if !reflect.DeepEqual(*p, want) {
		t.Errorf("%#v, want %#v", *p, want)
	}
}

var allSources = strings.Join(usage.DefaultSources(), ",")

// Every setting that judges reaches the policy, and the policy alone knows the rest.
func TestThePolicyOfAConfiguration(t *testing.T) {
	p := settings{
		"STALE_AFTER": "90d", "NEVER_LAUNCHED_AFTER": "30d", "KEEP_NEWEST": "3", "FAMILY_TAG": "Family", "KEEP_TAGS": "a=b", "ONLY_TAGS": "c", "NAMES": "web-*",
		"MAX_DEREGISTRATIONS": "7", "DELETE_SNAPSHOTS": "false", "SHARED_IMAGES": "report", "IMAGE_BUILDER_IMAGES": "judge", "MARKETPLACE_IMAGES": "judge", "FAILED_IMAGES": "judge", "GRACE": "14d", "GRACE_ACTION": "disable",
	}.parse(t).Policy
	got := fmt.Sprint(p.StaleAfter, p.NeverLaunchedAfter, p.KeepNewest, p.FamilyTag, p.KeepTags, p.OnlyTags, p.Names, p.MaxDeregistrations, p.DeleteSnapshots,
		p.JudgeShared, p.JudgeImageBuilder, p.JudgeMarketplace, p.JudgeFailed, p.Grace, p.GraceAction)
	if want := fmt.Sprint("90d", "30d", 3, "Family", "a=b", "c", "web-*", 7, false, true, true, true, true, "14d", "disable"); strings.Join(strings.Fields(got), "") != strings.Join(strings.Fields(want), "") {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestBlankIsNotSet(t *testing.T) {
	for _, blank := range []string{"", " ", "\t\n "} {
		blanks := settings{}
		for _, setting := range config.Settings() {
			blanks[setting.Variable] = blank
		}
		if got, want := blanks.parse(t), (settings{}).parse(t); !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %#v, want %#v", blank, got, want)
		}
	}
}

func TestNeverLaunchedFollowsStale(t *testing.T) {
	for _, c := range []struct{ stale, never, want string }{
		{"", "", "180d"}, {"90d", "", "90d"}, {"90d", "30d", "30d"}, {"", "30d", "30d"}, {" 90d ", "", "90d"}, {"7d", "7d", "7d"}, {"36500d", "", "36500d"},
	} {
		if got := (settings{"STALE_AFTER": c.stale, "NEVER_LAUNCHED_AFTER": c.never}).parse(t).Policy.NeverLaunchedAfter.String(); got != c.want {
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
	"USAGE_SOURCES":        {"none", "reference", "references,launch-configuration", "references launch-templates", ",", "all,references", "elastic-beanstalk,all", "all,all", "References", "launch permissions", "usage-reports"},
	"REGIONS":              {"Ireland", "eu-west-1;eu-west-2", "all,eu-west-1", "eu-west-1,all", "EU-WEST-1"},
	"EXCEPT_REGIONS":       {"Ireland", "eu_west_1", "all"},
	"SNAPSHOT_PRICE":       {"$0.05", "-1", "NaN", "Inf", "1e309", "free"},
	"DRY_RUN":              {"no", "yes", "off", "tru"},
	"TOPIC_ARN":            {"digest", "arn:aws:sqs:us-east-1:123456789012:q", "arn:aws:sns::123456789012:t", "arn:aws:sns:us-east-1:123456789012:"},
	"CHAT_TOPIC_ARN":       {"digest"},
	"OWNERS_TOPIC_ARN":     {"owners", "arn:aws:sqs:us-east-1:123456789012:q"},
	"NOTIFY_ON":            {"never", "Always", "change", "changes,failures"},

	"LAUNCH_TEMPLATE_VERSIONS": {"0", "-1", "10001", "newest", "All", "1.5", "99999999999999999999"},
	"KEEP_LIST": {
		"ssm:", "ssm: ", "ssm:a b", "ssm:/a//b", "ssm:/keep/", "ssm:keep:3", "ssm:{{keep}}", "arn:aws:s3:::bucket/keep", "arn:aws:ssm:us-east-1:123456789012:document/keep",
		"arn:aws:ssm:us-east-1:123456789012:parameter", "arn:aws:ssm::123456789012:parameter/keep", "arn:aws:ssm:us-east-1:12345:parameter/keep", "arn:",
		"arn:aws:ssm:us-east-1:123456789012:parameter/keep:3", ",", "keep.txt,ssm:", "s3://bucket", "s3://Bucket/keep.txt", "s3://bucket/*.txt", "S3://bucket/keep.txt", "s3:bucket/keep",
		"https://bucket/keep.txt", "s3://bucket/a\nb",
	},
	"KEEP_LIST_MAX_AGE":        {"0d", "7", "-1d", "week"},
	"CLOUDFORMATION_TEMPLATES": {"yes", "all"},
	"TEXT_OBJECTS":             {",", "bucket/prefix", "s3://bucket", "s3://b/x", "s3://bucket/a\x00b", "s3://bucket/ok,arn:aws:s3:::bucket/x", "/etc/states"},
	"RECYCLE_BIN_DAYS":         {"x", "-1", "14d", "1.5", "366"},
	"ORPHANED_SNAPSHOTS":       {"delete", "true", "Remove", "report,remove"},
	"ORPHANED_AFTER":           {"29d", "0d", "90", "-30d"},
	"MAX_ORPHANED_SNAPSHOTS":   {"-1", "all", "1e3"},
	"SHARED_IMAGES":            {"judge", "true", "Keep", "reports"},
	"IMAGE_BUILDER_IMAGES":     {"report", "false", "Judge"},
	"MARKETPLACE_IMAGES":       {"report", "true", "Keep", "keep,judge"},
	"FAILED_IMAGES":            {"remove", "true", "Judge"},
	"GRACE":                    {"14", "-1d", "two weeks", "1.5d", "99999999d", "d"},
	"GRACE_ACTION":             {"delete", "Disable", "none", "announce,disable"},
	"POLICY_NAME":              {"two words", "-web", "a/b", "a,b", "ä", strings.Repeat("a", 129)},
	"ALLOW_SHORTER":            {"yes", "1", "30d"},
}

func TestEveryFaultNamesItsVariable(t *testing.T) {
	for variable, values := range faults {
		for _, value := range values {
			_, err := config.Parse(func(name string) string {
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
	_, err := config.Parse(func(variable string) string {
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
		"USAGE_SOURCES":    {"all", "references", " references , ", "ssm-text,instances", allSources, "all,elastic-beanstalk", "all , elastic-beanstalk,", "elastic-beanstalk"},

		"LAUNCH_TEMPLATE_VERSIONS": {"all", "1", "10000", " 5 "},
		"KEEP_LIST": {
			"ssm:keep", "ssm:/ami/keep.list-1_2", "arn:aws:ssm:eu-west-1:123456789012:parameter/ami/keep", "arn:aws-us-gov:ssm:us-gov-west-1:123456789012:parameter/keep",
			"keep.txt", "/etc/keep list", "SSM:keep", "s3://bucket/keep.txt", "s3://bucket/", "s3://my.bucket/keep lists/, ssm:keep ,keep.txt,",
		},
		"KEEP_LIST_MAX_AGE":        {"1d", "7d"},
		"CLOUDFORMATION_TEMPLATES": {"true", "false"},
		"TEXT_OBJECTS":             {"s3://bucket/", "s3://bucket/prefix", "s3://bucket/env/*.tfstate, s3://other/[1]/state?.json"},
		"RECYCLE_BIN_DAYS":         {"0", "1", "365"},
		"SHARED_IMAGES":            {"keep", "report"},
		"IMAGE_BUILDER_IMAGES":     {"keep", "judge"},
		"MARKETPLACE_IMAGES":       {"keep", "judge"},
		"FAILED_IMAGES":            {"keep", "judge"},
		"GRACE":                    {"0d", "1d", "14d", "36500d"},
		"GRACE_ACTION":             {"announce", "deprecate", "disable"},
		"POLICY_NAME":              {"cli", "ami-janitor", "Web_2.old", "7", strings.Repeat("a", 128)},
		"ALLOW_SHORTER":            {"true", "False"},
		"OWNER_TAG":                {"Team", "a:b"},
		"REGIONS":                  {"all", "eu-west-1", "us-gov-west-1, us-iso-east-1", "mx-central-1"},
		"EXCEPT_REGIONS":           {"eu-west-1,eu-west-2"},
		"STALE_AFTER":              {"7d", "180d", "36500d"},
		"KEEP_NEWEST":              {"0", "1", "50"},
		"MAX_DEREGISTRATIONS":      {"0", "100000"},
		"SNAPSHOT_PRICE":           {"0", "0.05", "0.1"},
		"KEEP_TAGS":                {"Name", "Env=prod,Owner", "a=b=c", "a="},
		"ONLY_TAGS":                {"Env=prod,Env=stage"},
		"NAMES":                    {"web-*,!*-golden", "!x", "[a-b]*"},
		"FAMILY_TAG":               {"Family"},
		"TOPIC_ARN":                {"arn:aws:sns:us-east-1:123456789012:digest", "arn:aws-us-gov:sns:us-gov-west-1:123456789012:x"},
		"NEVER_LAUNCHED_AFTER":     {"30d"},
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

// A configuration that is accepted respects the floor, and its numbers are numbers.
func FuzzParse(f *testing.F) {
	variables := []string{}
	for _, setting := range config.Settings() {
		variables = append(variables, setting.Variable)
	}
	for i, variable := range variables {
		for _, value := range faults[variable] {
			f.Add(i, value)
		}
		f.Add(i, "")
	}
	f.Fuzz(func(t *testing.T, i int, value string) {
		variable := variables[int(uint(i)%uint(len(variables)))]
		parsed, err := config.Parse(func(name string) string {
			if name == variable {
				return value
			}
			return ""
		})
		if err != nil {
			if !strings.HasPrefix(err.Error(), variable+": ") {
				t.Errorf("%s=%q: %v", variable, value, err)
			}
			return
		}
		if p := parsed.Policy; p.StaleAfter < retention.Floor || p.NeverLaunchedAfter < retention.Floor || p.MaxDeregistrations < 0 || p.KeepNewest < 0 || p.Grace < 0 {
			t.Errorf("%s=%q: %+v", variable, value, p)
		}
		if len(parsed.UsageSources) == 0 || math.IsNaN(parsed.SnapshotPrice) {
			t.Errorf("%s=%q: %+v", variable, value, parsed)
		}
	})
}

// What is off by default is on if it is named, by itself or beside all. Nobody has switched it off.
func TestASourceThatIsOffByDefault(t *testing.T) {
	const beanstalk = "elastic-beanstalk"
	for value, isOn := range map[string]bool{"": false, "all": false, "all,elastic-beanstalk": true, "instances,elastic-beanstalk": true, "instances": false} {
		c := settings{"USAGE_SOURCES": value}.parse(t)
		isAll := !strings.HasPrefix(value, "instances")
		if slices.Contains(c.SourcesOn(), beanstalk) != isOn || c.IsIdle(beanstalk) == isOn || slices.Contains(c.SourcesOff(), beanstalk) {
			t.Errorf("%q: on %q, off %q", value, c.SourcesOn(), c.SourcesOff())
		}
		if (len(c.SourcesOff()) == 0) != isAll {
			t.Errorf("%q: off %q", value, c.SourcesOff())
		}
	}
}

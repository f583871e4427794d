package template_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"

	"github.com/ami-janitor/ami-janitor/pkg/config"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/usage"
)

// places are the variables whose values are resources, or pseudo parameters, and not parameters:
// the type of each, and what a value looks like.
var places = map[string]struct{ kind, example string }{
	"TOPIC_ARN":      {"AWS::SNS::Topic", "arn:aws:sns:eu-west-1:123456789012:ami-janitor-DigestTopic-ABCDEFGHIJKL"},
	"CHAT_TOPIC_ARN": {"AWS::SNS::Topic", "arn:aws:sns:eu-west-1:123456789012:ami-janitor-ChatTopic-ABCDEFGHIJKL"},
	"RECORDS":        {"AWS::S3::Bucket", "s3://ami-janitor-recordsbucket-abcdefghijkl"},
	"POLICY_NAME":    {"", "ami-janitor"}, // The name of the stack.
	"STACK_NAME":     {"", "ami-janitor"},
	"REPORT_PAGES":   {"", "true"}, // By default the stack has the function that draws them.
}

// byVariable returns the parameter, or the resource, of each variable of the function.
func (t template) byVariable() map[string]string {
	parameters := map[string]string{}
	for variable, value := range at(t.function().properties, "Environment", "Variables").(object) {
		value = t.decided(value)
		parameters[variable] = strings.Trim(filled(value), "<>")
		if _, name, ok := strings.Cut(filled(value), "s3://"); ok {
			parameters[variable] = strings.Trim(name, "<>")
		}
	}
	return parameters
}

func TestEveryVariableHasAParameter(t *testing.T) {
	tpl := load(t)
	parameters := tpl.byVariable()
	for _, setting := range config.Settings() {
		name, ok := parameters[setting.Variable]
		delete(parameters, setting.Variable)
		place, isPlace := places[setting.Variable]
		switch {
		case !ok:
			t.Errorf("%s is not set: add a parameter to template.yaml, and set the variable from it in the Environment of JanitorFunction", setting.Variable)
		case isPlace && record.Parameter(setting.Variable) != "":
			t.Errorf("%s has no parameter, and people are told %q", setting.Variable, record.Parameter(setting.Variable))
		case isPlace:
			if kind := at(tpl.section("Resources"), name, "Type"); kind != place.kind && name != place.example {
				t.Errorf("%s is %s, a %v", setting.Variable, name, kind)
			}
		default:
			if got := at(tpl.section("Parameters"), name, "Default"); got != setting.Default {
				t.Errorf("%s is by default %q in the template, and %q in the code", name, got, setting.Default)
			}
			if got := record.Parameter(setting.Variable); got != name {
				t.Errorf("%s is set by %s, and people are told %q", setting.Variable, name, got)
			}
		}
	}
	if len(parameters) > 0 {
		t.Errorf("the code knows nothing of %v", parameters)
	}
}

func TestDefaultsAreAValidConfiguration(t *testing.T) {
	tpl := load(t)
	parameters := tpl.byVariable()
	parsed, err := config.Parse(func(variable string) string {
		if place, ok := places[variable]; ok {
			return place.example
		}
		value, _ := at(tpl.section("Parameters"), parameters[variable], "Default").(string)
		return value
	})
	if err != nil || !parsed.DryRun {
		t.Errorf("dry run: %v, error: %v", parsed.DryRun, err)
	}
}

// parse parses a configuration with one variable set, and what that value needs.
func parse(variable, value string) error {
	_, err := config.Parse(func(v string) string {
		if v == variable {
			return value
		}
		if v == "BUNDLE_BUCKETS" && variable == "BUNDLES" && value == "delete" {
			return "amzn-s3-demo-bucket"
		}
		if v == "CLOUDFORMATION_TEMPLATES" && variable == "ORPHANED_SNAPSHOTS" && value == "remove" {
			return "true"
		}
		return ""
	})
	return err
}

// TestWhatTheTemplateAllowsTheCodeTakes is what keeps a deployment from succeeding with a function
// that cannot start.
func TestWhatTheTemplateAllowsTheCodeTakes(t *testing.T) {
	tpl := load(t)
	for variable, name := range tpl.byVariable() {
		definition := tpl.section("Parameters")[name]
		for _, value := range list(at(definition, "AllowedValues")) {
			if err := parse(variable, value.(string)); err != nil {
				t.Errorf("%s allows %q: %v", name, value, err)
			}
		}
		pattern, ok := at(definition, "AllowedPattern").(string)
		if !ok {
			continue
		}
		t.Run(name, rapid.MakeCheck(func(t *rapid.T) {
			// Nobody types control characters, or what is blank to Unicode alone.
			odd := func(r rune) bool { return unicode.IsControl(r) || r > unicode.MaxASCII && unicode.IsSpace(r) }
			typed := func(s string) bool { return !strings.ContainsFunc(s, odd) }
			value := rapid.StringMatching(pattern).Filter(typed).Draw(t, "value")
			if err := parse(variable, value); err != nil {
				t.Fatalf("%s allows %q: %v", name, value, err)
			}
		}))
	}
}

// TestWhatPeopleWriteIsAllowed has values that a person may well want, and that the code takes.
func TestWhatPeopleWriteIsAllowed(t *testing.T) {
	good := map[string][]string{
		"STALE_AFTER":          {"7d", "30d", "180d", "3650d"},
		"NEVER_LAUNCHED_AFTER": {"", "7d", "90d"},
		"KEEP_NEWEST":          {"0", "1", "25"},
		"MAX_DEREGISTRATIONS":  {"0", "1", "10000"},
		"FAMILY_TAG":           {"", "Family", "Équipe", "my:family/x"},
		"KEEP_TAGS":            {"", "Retain", "Retain=true", "Retain,Stage=production", "Retain, Stage=", "Équipe=a b"},
		"ONLY_TAGS":            {"", "Team=platform,Team=search"},
		"NAMES":                {"", "web-*", "web-*,!web-golden-*", "web-?, [x] (y) it's @_/."},
		"REGIONS":              {"", "all", "eu-west-1", "eu-west-1,us-gov-east-1", "eu-west-1, cn-northwest-1"},
		"EXCEPT_REGIONS":       {"", "ap-southeast-2,eu-isoe-west-1"},
		"USAGE_SOURCES":        append(usage.Sources(), "all", strings.Join(usage.Sources(), ","), "references, instances", "all,elastic-beanstalk", "all, elastic-beanstalk", "elastic-beanstalk,instances"),
		"SNAPSHOT_PRICE":       {"0", "0.05", "0.053", "1"},
		"KEEP_LIST":            {"", "ssm:keep", "ssm:/amis/keep", "arn:aws:ssm:eu-west-1:123456789012:parameter/amis/keep", "arn:aws-us-gov:ssm:us-gov-east-1:123456789012:parameter/keep", "s3://bucket/keep.txt", "s3://my.bucket/keep/,ssm:keep, s3://bucket/env:/a"},
		"KEEP_LIST_MAX_AGE":    {"", "1d", "7d", "365d"},
		"TEXT_OBJECTS":         {"", "s3://bucket/", "s3://bucket/prefix", "s3://bucket/env:/prod/*.tfstate, s3://other/x?", "s3://abc/,s3://abd/,s3://abe/,s3://abf/,s3://abg/"},
		"GRACE":                {"0d", "1d", "14d", "365d"},
		"OWNER_TAG":            {"", "Owner", "Équipe", "cost:owner"},
		"RECYCLE_BIN_DAYS":     {"0", "1", "7", "14", "99", "100", "299", "300", "365"},
		"OWNERS_TOPIC_ARN":     {"", "arn:aws:sns:eu-west-1:111122223333:owners", "arn:aws-us-gov:sns:us-gov-east-1:123456789012:ami_owners-1"},
		"ORPHANED_AFTER":       {"30d", "90d", "365d"},
		"BUNDLE_BUCKETS":       {"", "abc", "amzn-s3-demo-bucket", "a.b-c,def,ghi,jkl,mno"},
		"EC2_SHARE":            {"0.5", "0.25", "0.05", "0.0001", "0.9", "0.50", "1", "1.0"},

		"LAUNCH_TEMPLATE_VERSIONS": {"all", "1", "5", "10000"},
		"MAX_ORPHANED_SNAPSHOTS":   {"0", "1", "20", "10000"},
	}
	bad := map[string][]string{
		"STALE_AFTER":          {"", "6d", "0d", "180", "1y", "-7d", " 7d"},
		"NEVER_LAUNCHED_AFTER": {"6d", "never"},
		"KEEP_NEWEST":          {"", "-1", "one"},
		"MAX_DEREGISTRATIONS":  {"", "-1", "1e3"},
		"KEEP_TAGS":            {"=x", ",", "a,,b"},
		"ONLY_TAGS":            {"=x"},
		"REGIONS":              {"all,eu-west-1", "EU-WEST-1", "*"},
		"EXCEPT_REGIONS":       {"all"},
		"USAGE_SOURCES":        {"", "none", "references,", "all,references", "elastic-beanstalk,all", "all,elastic-beanstalk,instances", "references instances"},
		"SNAPSHOT_PRICE":       {"", "-1", "free", "0,05", "Inf"},
		"KEEP_LIST":            {"keep.txt", "/amis/keep", "ssm:", "ssm://keep", "ssm:/keep/", "ssm:a b", "s3://bucket", "s3://bucket/*", "S3://bucket/keep", "s3://bucket/${aws:username}", "ssm:a,ssm:b,ssm:c,ssm:d", "arn:aws:s3:::bucket/keep", "arn:aws:ssm:eu-west-1:123456789012:document/keep"},
		"KEEP_LIST_MAX_AGE":    {"0d", "7", "-1d"},
		"TEXT_OBJECTS":         {"bucket/prefix", "s3://bucket", "s3://b/", "s3://bucket/a b", "s3://bucket/,", "s3://bucket/${aws:username}", "s3://abc/,s3://abd/,s3://abe/,s3://abf/,s3://abg/,s3://abh/"},
		"GRACE":                {"", "14", "two weeks", "-1d", "014d"},
		"RECYCLE_BIN_DAYS":     {"", "-1", "14d", "014", "366", "400", "1000", "1.5"},
		"OWNERS_TOPIC_ARN":     {"owners", "*", "arn:aws:sns:eu-west-1:123456789012:*", "arn:aws:sqs:eu-west-1:123456789012:owners", "arn:aws:sns:eu-west-1:123456789012:owners:*"},
		"ORPHANED_AFTER":       {"", "29d", "0d", "90", "030d"},
		"BUNDLE_BUCKETS":       {"ab", "Bucket", "a/b", "abc, def", "abc,", "*", "abc,def,ghi,jkl,mno,pqr", "s3://abc"},
		"EC2_SHARE":            {"", "0", "0.0", "1.1", "2", "-0.5", "50%", "0,5", ".5", "NaN", "1e-3"},

		"LAUNCH_TEMPLATE_VERSIONS": {"", "0", "10001", "latest", "$Latest"},
		"MAX_ORPHANED_SNAPSHOTS":   {"", "-1", "all"},
	}
	tpl := load(t)
	for variable, name := range tpl.byVariable() {
		pattern, ok := at(tpl.section("Parameters"), name, "AllowedPattern").(string)
		if !ok {
			continue
		}
		if good[variable] == nil {
			t.Errorf("%s: add values that people write to good in this test", variable)
		}
		// CloudFormation matches the whole value.
		allows := regexp.MustCompile(`^(?:` + pattern + `)$`).MatchString
		for _, value := range good[variable] {
			if err := parse(variable, value); !allows(value) || err != nil {
				t.Errorf("%s: %q is allowed: %v; the code says: %v", name, value, allows(value), err)
			}
		}
		for _, value := range bad[variable] {
			if allows(value) {
				t.Errorf("%s allows %q", name, value)
			}
		}
	}
}

// allows reports whether a parameter takes a value. CloudFormation matches the whole of it.
func (t template) allows(parameter, value string) bool {
	definition := t.section("Parameters")[parameter]
	if values := texts(at(definition, "AllowedValues")); len(values) > 0 {
		return slices.Contains(values, value)
	}
	return regexp.MustCompile(`^(?:` + at(definition, "AllowedPattern").(string) + `)$`).MatchString(value)
}

// TestWhatDoesNotGoTogetherIsRefused looks at the rules about several parameters.
func TestWhatDoesNotGoTogetherIsRefused(t *testing.T) {
	refused := map[string][]map[string]string{
		"SlackNeedsBoth":        {{"SlackWorkspaceId": "T0123ABCDEF"}},
		"GraceActionNeedsGrace": {{"GraceAction": "disable"}},
		"BundlesNeedBuckets":    {{"Bundles": "delete"}},
		"OrphansNeedTheBin": {
			{"OrphanedSnapshots": "remove", "CloudFormationTemplates": "true", "RequireRecycleBin": "false"},
			{"OrphanedSnapshots": "remove", "CloudFormationTemplates": "true", "DeleteSnapshots": "false"},
			{"OrphanedSnapshots": "remove"}, // Without CloudFormationTemplates.
			{"OrphanedSnapshots": "remove", "CloudFormationTemplates": "true", "LaunchTemplateVersions": "1"},
		},
		"OneOwnersTopic": {{"MakeOwnersTopic": "true", "OwnersTopicArn": "arn:aws:sns:us-east-1:123456789012:owners"}},
	}
	for name, rule := range load(t).section("Rules") {
		accepts := func(parameters map[string]string) bool {
			return !slices.ContainsFunc(list(at(rule, "Assertions")), func(assertion any) bool {
				return !load(t).with(parameters).holds(at(assertion, "Assert"))
			})
		}
		for variant, parameters := range variants {
			if !accepts(parameters) {
				t.Errorf("%s refuses: %s", name, variant)
			}
		}
		if refused[name] == nil || slices.ContainsFunc(refused[name], accepts) {
			t.Errorf("%s: no test knows what it refuses", name)
		}
	}
}

func TestParametersSpeakToPeople(t *testing.T) {
	tpl := load(t)
	face := tpl.section("Metadata")["AWS::CloudFormation::Interface"]
	grouped := map[string]int{}
	for _, group := range list(at(face, "ParameterGroups")) {
		if at(group, "Label", "default") == nil {
			t.Errorf("a group has no label: %v", group)
		}
		for _, name := range texts(at(group, "Parameters")) {
			grouped[name]++
		}
	}
	for name, definition := range tpl.section("Parameters") {
		if grouped[name] != 1 || at(face, "ParameterLabels", name, "default") == nil {
			t.Errorf("%s is in %d ParameterGroups of template.yaml, want 1; it has the ParameterLabel %v", name, grouped[name], at(face, "ParameterLabels", name))
		}
		delete(grouped, name)
		description := fmt.Sprint(at(definition, "Description"))
		if !strings.HasSuffix(description, ".") || len(description) < 20 {
			t.Errorf("%s is described by no sentence: %q", name, description)
		}
		bounded := at(definition, "AllowedValues") != nil || at(definition, "AllowedPattern") != nil ||
			at(definition, "MinValue") != nil && at(definition, "MaxValue") != nil
		if !bounded || at(definition, "Default") == nil {
			t.Errorf("%s takes anything, or has no default", name)
		}
		if at(definition, "AllowedPattern") != nil && at(definition, "ConstraintDescription") == nil {
			t.Errorf("%s refuses without saying what it wants", name)
		}
	}
	if len(grouped) > 0 {
		t.Errorf("there are no such parameters: %v", grouped)
	}
}

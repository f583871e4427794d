package digest_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/config"
	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// Every digest there is, for every reader: settings by the names that the reader knows, commands
// that judge by the same policy, and to who sits at a command line nothing about a function.
func TestDigestsSpeakToTheirReaders(t *testing.T) {
	var names []string
	for _, setting := range config.Settings() {
		names = append(names, setting.Variable)
	}
	variable := regexp.MustCompile(`\b(` + strings.Join(names, "|") + `)\b`)
	command := regexp.MustCompile(`ami-janitor (?:undo|unmark|explain)\b[^\n.;]*`)
	braces := regexp.MustCompile(`\{[A-Za-z][A-Za-z0-9_]*\}`)
	for name, run := range situations() {
		if name == "nasty names" {
			continue // They name what they like.
		}
		for kind, reader := range map[string]record.Reader{
			"stack": {Stack: "ami-janitor", Function: "f"}, "function": {Function: "janitor"}, "command line": {CommandLine: true},
			"command line with a stack": {CommandLine: true, Stack: "ami-janitor"},
		} {
			run.Reader = reader
			text := digest.Text(run) + digest.Full(run) + string(digest.Slack(run))
			if found := braces.FindString(text); found != "" {
				t.Errorf("%s, %s: %s has no word", name, kind, found)
			}
			if found := variable.FindString(text); found != "" && found != "RECORDS" && reader != (record.Reader{Function: "janitor"}) {
				t.Errorf("%s, %s: speaks of %s", name, kind, found)
			}
			suffix := map[string]string{"stack": " --stack ami-janitor", "function": " --function janitor", "command line with a stack": " --stack ami-janitor"}[kind]
			for _, found := range command.FindAllString(text, -1) {
				if !strings.Contains(found, suffix) {
					t.Errorf("%s, %s: %q judges by another policy", name, kind, found)
				}
			}
			ofFunctions := regexp.MustCompile(`function|schedule|every night|deployed? it`)
			if found := ofFunctions.FindString(strings.ReplaceAll(text, "a deployed function", "")); found != "" && reader.CommandLine {
				t.Errorf("%s, %s: speaks of a %s", name, kind, found)
			}
		}
	}
}

// What others write is not taken for a setting.
func TestNamesAreNotReworded(t *testing.T) {
	const name = "RECORDS DRY_RUN"
	verdict := stale(1, name)
	region := record.NewRegion(retention.Plan{Account: "123456789012", Region: "eu-west-1", Verdicts: []retention.Verdict{verdict}}, ami.SweepResult{}, "")
	run := record.Run{Run: "r", DryRun: true, Regions: []record.Region{region}, Reader: record.Reader{Stack: "ami-janitor"}}
	run.Finish(startedAt, 0)
	for _, say := range []func(record.Run) string{digest.Text, digest.Full} {
		run.Reader = record.Reader{Stack: "ami-janitor"}
		if text := say(run); !strings.Contains(text, name) || !strings.Contains(text, "deploy it with DryRun=false") {
			t.Errorf("%s", text)
		}
		run.Reader = record.Reader{CommandLine: true}
		if text := say(run); !strings.Contains(text, name) || strings.Contains(text, "deploy it with") {
			t.Errorf("%s", text)
		}
	}
}

// What would change a verdict is said by the reader's names, too.
func TestExplanationsSpeakToTheirReaders(t *testing.T) {
	var public retention.Rule
	for _, rule := range retention.Rules() {
		if rule.Code == "public" {
			public = rule
		}
	}
	explained := retention.Explanation{
		Verdict: retention.Verdict{Decision: retention.Keep, Reasons: []retention.Reason{{Code: "public", Detail: "it is public"}}},
		Results: []retention.RuleResult{{Rule: public, Detail: "it is public"}},
	}
	for want, reader := range map[string]record.Reader{
		"It stays until it is private, or --shared-images is report.": {CommandLine: true, Stack: "ami-janitor"},
		"It stays until it is private, or SharedImages is report.":    {Stack: "ami-janitor"},
		"It stays until it is private, or SHARED_IMAGES is report.":   {Function: "janitor"},
	} {
		if got := digest.NewExplanation("eu-west-1", explained, nil, "", reader).Changes; len(got) != 1 || got[0] != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// An error of a region says what is so; what to do about it is said by the reader's names.
func TestErrorsOfRegionsAreAdvisedOn(t *testing.T) {
	for fault, want := range map[string]string{
		"no region is left to be judged": "Name a region in --regions that --except-regions does not take out.",
		"listing images: none is listed, but by its description snap-1 is a snapshot of ami-1: EC2 does not say that it is gone": "If the images of this region are gone for good, " +
			"delete their snapshots, or take the region out with --except-regions.",
		"listing images: none is listed, but by its description snap-1 is a snapshot of ami-1: ec2:DescribeImages: UnauthorizedOperation: No.": "Allow ec2:DescribeImages to the role or " +
			"the user that runs this command.",
		"asking for the account: dial tcp: connection refused": "AWS could not be reached. Check the way from this machine to the endpoints of this region, and AWS_ENDPOINT_URL if it is set.",
		"listing images: RequestLimitExceeded: No.":            "AWS throttled the calls. If it does so each time, run the command at a quieter hour.",
		"listing snapshots: time ran out":                      "If the time runs out again, raise --ec2-share, or judge fewer regions at a time (--regions).",
	} {
		run := record.Run{Run: "r", Reader: record.Reader{CommandLine: true}, Regions: []record.Region{record.FailedRegion("123456789012", "eu-west-1", errors.New(fault))}}
		run.Finish(startedAt, 0)
		if text := strings.Join(strings.Fields(digest.Text(run)), " "); !strings.Contains(text, "What to do: "+want) {
			t.Errorf("%s:\n%s\nwant %s", fault, text, want)
		}
	}
}

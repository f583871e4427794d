package digest_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/plain"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// What a person copies is in the digest as it is. Only what a mail program takes for a link is not,
// where somebody else has chosen it.
func TestOnlyWhatCouldBecomeALinkIsNeutralised(t *testing.T) {
	for text, want := range map[string]string{
		"amzn-s3-demo-bucket/2012/ubuntu-12.04.manifest.xml": "",
		"build-2024.11.tar.gz":                               "",
		"rhel-9.2.0_HVM-20240503-x86_64-49-Hourly2-GP3":      "",
		"InvalidAMIID.NotFound":                              "",
		"missing.txt":                                        "",
		"keep-list.yaml":                                     "",
		"web.internal":                                       "",
		"s3://amzn-s3-demo-bucket/janitor/plan.json":         "",
		"arn:aws:ssm:eu-west-1:123456789012:parameter/golden.web/ami.id-1": "arn:aws:ssm:eu-west-1:123456789012:parameter/golden.web/ami[.]id-1",
		"registry.example.com/app-1.2":                                     "registry.example[.]com/app-1.2",
		"app.example.io":                                                   "app.example[.]io",
		"www.example.com-image":                                            "www[.]example[.]com-image",
		"http://example.com/x":                                             "http[:]//example[.]com/x",
		"EXAMPLE.COM":                                                      "EXAMPLE[.]COM",
		"node.py":                                                          "node[.]py",
		"пример.рф":                                                        "пример[.]рф",
		"example.xn--p1ai":                                                 "example[.]xn--p1ai",
		"someone@example.com":                                              "someone＠example[.]com",
	} {
		if want == "" {
			want = text
		}
		bundle := stale(1, text)
		bundle.Image.S3Location = text
		used := kept(2, "in-use", "named by "+text)
		used.Unmark = retention.Veto
		r := newRun(false, newRegion(plan("eu-west-1", bundle, used), []ami.Outcome{outcome(1, ami.Deregistered, "")}),
			record.FailedRegion("123456789012", "us-east-1", errors.New("it is "+text+" that failed")))
		for _, c := range []struct {
			text string
			says []string
		}{
			{digest.Full(r), []string{"- ami-00000001example, " + want + " ", "is yours to delete: " + want + " ", "named by " + want + " ", "it is " + want + " that failed"}},
			{digest.Text(r), []string{"ami-00000001example " + plain.Clip(want, 60), "(named by " + plain.Clip(want, 50)[:len(plain.Clip(want, 50))-3], "it is " + want + " that failed"}},
			{string(digest.Slack(r)), []string{"`ami-00000001example, " + want, "it is " + want + " that failed"}},
		} {
			for _, says := range c.says {
				if text := strings.Join(strings.Fields(c.text), " "); !strings.Contains(text, says) {
					t.Errorf("%q is not in\n%s", says, text)
				}
			}
		}
	}
}

// The places that an operator has named are in errors as they are named.
func TestThePlacesOfAnOperatorAreCopyable(t *testing.T) {
	for _, where := range []string{"keep.example.com.txt", "/srv/keep.sh", "s3://records.example.com/janitor", "missing.txt"} {
		r := newRun(true, record.FailedRegion("123456789012", "us-east-1", errors.New("reading "+where+"/plan.json: AccessDenied")))
		r.Policy["keepList"], r.Policy["records"] = where, where
		for name, text := range map[string]string{"mail": digest.Text(r), "Slack": string(digest.Slack(r))} {
			if !strings.Contains(text, where+"/plan.json") {
				t.Errorf("%s: %q is not in\n%s", name, where, text)
			}
		}
	}
}

// A command stands on a line of its own, whole.
func TestCommandsStandOnLinesOfTheirOwn(t *testing.T) {
	for name, run := range situations() {
		for line := range strings.SplitSeq(digest.Text(run)+digest.Full(run), "\n") {
			for _, command := range []string{"aws ec2 ", "ami-janitor undo ", "ami-janitor unmark "} {
				if at := strings.Index(line, command); at >= 0 && at != len("    ") {
					t.Errorf("%s: %q", name, line)
				}
			}
		}
	}
}

package digest_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// fitsAMail checks that no line is wider than 78 characters, unless it is one long word behind its
// bullet or label, and that there are no more lines than a person scrolls through.
func fitsAMail(t rapid.TB, name, mail string) {
	t.Helper()
	for line := range strings.Lines(mail) {
		line = strings.TrimSuffix(line, "\n")
		if utf8.RuneCountInString(line) > 78 && len(strings.Fields(line)) > 2 {
			t.Errorf("%s: %d characters: %q", name, utf8.RuneCountInString(line), line)
		}
	}
	if lines := strings.Count(mail, "\n"); lines > 120 {
		t.Errorf("%s: %d lines:\n%s", name, lines, mail)
	}
}

func TestAMailFitsItsReader(t *testing.T) {
	for name, run := range situations() {
		fitsAMail(t, name, digest.Text(run))
	}
	rapid.Check(t, func(t *rapid.T) { fitsAMail(t, "any run", digest.Text(anyRun(t))) })
}

// aThousand is a run with a cap of 100 over 1,000 candidates, in so many regions, with names as
// long as EC2 allows.
func aThousand(dry, grace bool, regions int) record.Run {
	var judged []record.Region
	for region := range regions {
		p := plan(fmt.Sprintf("eu-west-%d", region+1))
		var done ami.SweepResult
		for n := range 1000 / regions {
			name := fmt.Sprintf("%0128d", n)
			owner := fmt.Sprintf("team-%d", n%40)
			switch {
			case n >= 100/regions:
				p.Verdicts = append(p.Verdicts, owned(owner, deferred(n, name)))
			case grace && n%2 == 0:
				p.Verdicts = append(p.Verdicts, owned(owner, announce(n, name, 14, retention.Disable)))
				done.Outcomes = append(done.Outcomes, outcome(n, ami.Marked, ""))
			default:
				p.Verdicts = append(p.Verdicts, owned(owner, stale(n, name, goes(n, 8, n))))
				done.Outcomes = append(done.Outcomes, inBin(n, 14, binned(n, 14)))
			}
		}
		if dry {
			done = ami.SweepResult{}
		}
		judged = append(judged, record.NewRegion(p, done, "Team"))
	}
	return newRun(dry, judged...)
}

// At the cap a mail still fits: it says how many more there are, and what they come to.
func TestAMailAtTheCapFits(t *testing.T) {
	for _, dry := range []bool{true, false} {
		for _, grace := range []bool{true, false} {
			for _, regions := range []int{1, 4} {
				name := fmt.Sprintf("dry %t, grace %t, %d regions", dry, grace, regions)
				mail := digest.Text(aThousand(dry, grace, regions))
				fitsAMail(t, name, mail)
				removed := 100
				if grace {
					removed = 50
				}
				if regions == 4 && grace {
					removed = 48
				}
				shown := strings.Count(mail, " days ago")
				more := fmt.Sprintf("- and %d more, %d GiB, up to $%.2f a month; the run record has\n  all of them\n", removed-shown, 8*(removed-shown), 0.4*float64(removed-shown))
				if oneLine := strings.ReplaceAll(more, "\n ", ""); !strings.Contains(mail, more) && !strings.Contains(mail, oneLine) {
					t.Errorf("%s: not %q:\n%s", name, oneLine, mail)
				}
			}
		}
	}
}

// The subject begins with whose account it is, unless it begins with a cause. An alias is shown as
// printable ASCII, and not at any length.
func TestTheSubjectSaysWhoseItIs(t *testing.T) {
	for alias, want := range map[string]string{
		"":                      "123456789012: 4 AMIs removed, -$8/mo",
		"prod":                  "prod 123456789012: 4 AMIs removed, -$8/mo",
		"a\nb <@here> é":        "a?b?",
		strings.Repeat("x", 63): "xxxxxxxxxxxxxxxxx... 123456789012: 4 AMIs removed, -$8/mo",
	} {
		r := situations()["ordinary"]
		r.AccountAlias = alias
		if got := digest.Subject(r); !strings.HasPrefix(got, want) || !asciiLine.MatchString(got) {
			t.Errorf("%q: %q", alias, got)
		}
	}
	r := situations()["everything unknown"]
	r.AccountAlias = "prod"
	if got := digest.Subject(r); !strings.HasPrefix(got, "ec2:DescribeImageReferences denied - 123456789012: Nothing removed") {
		t.Errorf("%q", got)
	}
}

// A mail links to the consoles that it knows, and to no others.
func TestLinksToTheConsole(t *testing.T) {
	for region, want := range map[string]string{
		"eu-west-1":     "Console    https://console.aws.amazon.com/ec2/home?region=eu-west-1#Images:\n",
		"cn-north-1":    "Console    https://console.amazonaws.cn/ec2/home?region=cn-north-1#Images:\n",
		"us-gov-west-1": "Console    https://console.amazonaws-us-gov.com/ec2/home?region=us-gov-west-1#Images:\n",
		"us-iso-east-1": "",
		"a.example/#":   "",
	} {
		r := newRun(true, newRegion(plan(region, stale(1, "web")), nil))
		r.Reader = record.Reader{Stack: "janitor", Home: "eu-west-1"}
		mail := digest.Text(r)
		if !strings.Contains(mail, want) || strings.Contains(mail, "Console") != (want != "") {
			t.Errorf("%s:\n%s", region, mail)
		}
		if link := "https://console.aws.amazon.com/cloudwatch/home?region=eu-west-1#dashboards/dashboard/janitor-eu-west-1\n"; !strings.Contains(mail, link) {
			t.Errorf("no %s in\n%s", link, mail)
		}
	}
}

// A digest links to the page about the run if there will be one: to one that a region's console
// shows.
func TestLinksToThePage(t *testing.T) {
	const record1 = "s3://amzn-s3-demo-bucket/team/(a)/runs/20261123T020000Z-3f9c1a/record.json"
	const page = "/s3/object/amzn-s3-demo-bucket?region=eu-west-1&prefix=team/%28a%29/runs/20261123T020000Z-3f9c1a/report.html"
	for name, c := range map[string]struct{ home, kept, want string }{
		"in a bucket":         {"eu-west-1", record1, "https://console.aws.amazon.com" + page},
		"in China":            {"cn-north-1", record1, "https://console.amazonaws.cn" + strings.Replace(page, "eu-west-1", "cn-north-1", 1)},
		"in a directory":      {"eu-west-1", "/srv/runs/20261123T020000Z-3f9c1a/record.json", ""},
		"not kept":            {"eu-west-1", "", ""},
		"something else":      {"eu-west-1", "s3://amzn-s3-demo-bucket/runs/<b>/record.json", ""},
		"in no known console": {"us-iso-east-1", record1, ""},
		"in no region":        {"", record1, ""},
	} {
		for _, hasPages := range []bool{true, false} {
			r := newRun(true, newRegion(plan("eu-west-1", stale(1, "web")), nil))
			r.Record, r.Reader = c.kept, record.Reader{Stack: "janitor", Home: c.home, HasPages: hasPages}
			for kind, text := range map[string]string{
				"Report     ": digest.Text(r), "about a minute after this message: ": slack(t, r).Content.Description, "after this message:\n": digest.Full(r),
			} {
				is, has := hasPages && c.want != "", strings.Contains(text, kind+c.want+"\n") || strings.HasSuffix(text, kind+c.want)
				if has != is && c.want != "" || strings.Contains(text, "report.html") != is || strings.Contains(text, "about a minute after this") != is {
					t.Errorf("%s, %v: %q:\n%s", name, hasPages, kind+c.want, text)
				}
			}
		}
	}
}

// The policy is said by what differs from the defaults, in the reader's names.
func TestThePolicyIsSaidByItsDifferences(t *testing.T) {
	r := situations()["ordinary"]
	r.Reader = record.Reader{Stack: "janitor"}
	for want, changed := range map[string][]record.Setting{
		"the defaults.": {},
		"the defaults, but for StaleAfter=90d, Names=web-‹b›.": {{Variable: "STALE_AFTER", Value: "90d"}, {Variable: "NAMES", Value: "web-<b>"}},
	} {
		r.Changed = changed
		if mail := digest.Text(r); !strings.HasSuffix(strings.TrimSpace(mail), " "+want) {
			t.Errorf("%q is not in\n%s", want, mail)
		}
	}
}

// Where more goes wrong than a mail has room for, it still tells every cause, to whom it happened,
// and what to do first.
func TestNoCauseIsDropped(t *testing.T) {
	p := plan("eu-west-1")
	for n, source := range sources {
		p.Verdicts = append(p.Verdicts, kept(n, "unknown-use", source+": ec2:Describe"+strings.Repeat("X", n+1)+": UnauthorizedOperation: You are not authorized to perform this operation."))
	}
	mail := strings.Join(strings.Fields(digest.Text(newRun(true, newRegion(p, nil)))), " ")
	for n, source := range sources {
		for _, want := range []string{source + ": ec2:", "Allow ec2:Describe" + strings.Repeat("X", n+1) + " to the role", id("ami", n)} {
			if !strings.Contains(mail, want) {
				t.Errorf("%q is not in\n%s", want, mail)
			}
		}
	}
}

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

// fitsAMail checks that no line is wider than 78 characters, unless it is one long word behind its bullet or label, and that there are no
// more lines than a person scrolls through.
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

// aThousand is a run with a cap of 100 over 1,000 candidates, in so many regions, with names as long as EC2 allows.
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

package digest_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// ownersOf are a run with news for three owners, and for the images that have none.
func ownersOf() record.Run {
	run := newRun(false,
		newRegion(plan("eu-west-1",
			owned("payments", stale(1, "ledger-2025-11-02", goes(1, 8, 1))),
			owned(" payments ", announce(2, "ledger-2026-01-04", 14, retention.Announce)),
			owned("Media", announce(3, "encoder-2026-01-05", 14, retention.Disable)),
			announce(4, "bench-tmp", 14, retention.Announce),
			owned("payments", waits(5, "ledger-2025-12-21", 4)),
			owned("search", waits(6, "index-2025-12-21", 4)),
			owned("web", stale(7, "web-2025-11-02", goes(7, 40, 7), goes(9, 20, 9))),
			owned("web", stale(8, "web-2025-11-03", goes(8, 100, 8))),
			owned("payments", stale(9, "shared-with-web", goes(9, 20, 9))),
			owned("search", stale(10, "index-2025-11-02")),
		), []ami.Outcome{
			inBin(1, 14, binned(1, 14)), outcome(2, ami.Marked, ""), outcome(3, ami.Marked, ""), outcome(4, ami.Marked, ""),
			inBin(7, 14, binned(7, 14)), inBin(8, 7, binned(8, 7)), inBin(9, 14, binned(9, 14)), outcome(10, ami.Failed, denial),
		}),
		newRegion(plan("us-east-1", owned("payments", announce(20, "ledger-2026-01-07", 14, retention.Announce))), []ami.Outcome{outcome(20, ami.Marked, "")}),
	)
	for i := range run.Regions[0].Images {
		run.Regions[0].Images[i].FreeableGiB = int64(16 * i)
	}
	run.AccountAlias = "prod"
	run.Reader.Stack = "ami-janitor"
	return run
}

func TestEveryOwnerIsTold(t *testing.T) {
	messages, more := digest.Owners(ownersOf())
	got := ""
	for _, m := range messages {
		got += fmt.Sprintf("%q %s %v\nSubject: %s\n\n%s\n----\n", m.Owner, m.Account, m.Kinds, m.Subject, m.Text)
	}
	golden(t, filepath.Join("testdata", "owners"), "messages.txt", []byte(got))
	if more != 0 {
		t.Errorf("%d owners are left out", more)
	}
}

func TestADryRunHasNoNewsForOwners(t *testing.T) {
	for name, run := range situations() {
		if messages, more := digest.Owners(run); run.DryRun && len(messages)+more > 0 {
			t.Errorf("%s: %d messages, and %d more", name, len(messages), more)
		}
	}
}

// Nobody is told of what was left undone.
func TestOnlyWhatIsConfirmedIsNews(t *testing.T) {
	verdicts := []retention.Verdict{owned("payments", stale(1, "a")), owned("payments", announce(2, "b", 14, retention.Announce)), owned("payments", waits(3, "c", 4))}
	aside, _ := held(plan("us-east-1", verdicts...), "no rule of the Recycle Bin", false)
	run := newRun(false, newRegion(plan("eu-west-1", verdicts...), []ami.Outcome{unreached(1), unreached(2)}), newRegion(aside, nil))
	if messages, more := digest.Owners(run); len(messages)+more > 0 {
		t.Errorf("%+v, and %d more", messages, more)
	}
}

// An owner may know nothing of the janitor's defaults: the message says for how long an image has
// to be idle.
func TestAnOwnerReadsThePolicy(t *testing.T) {
	p := plan("eu-west-1")
	p.Verdicts = append(p.Verdicts, owned("data", stale(1, "web", goes(1, 8, 1))))
	r := newRun(false, newRegion(p, []ami.Outcome{inBin(1, 14, binned(1, 14))}))
	r.Changed = []record.Setting{{Variable: "OWNER_TAG", Value: "Team"}}
	messages, _ := digest.Owners(r)
	if len(messages) != 1 || !strings.Contains(strings.Join(strings.Fields(messages[0].Text), " "), "Policy "+r.PolicySentence) {
		t.Errorf("%+v", messages)
	}
	if mail := digest.Text(r); !strings.Contains(mail, "the defaults, but for ") {
		t.Error(mail)
	}
}

// Slack gets the last use in words that follow one another.
func TestTheLastUseInSlack(t *testing.T) {
	p := plan("eu-west-1")
	p.Verdicts = append(p.Verdicts, stale(1, "web", goes(1, 8, 1)), stale(2, "api", goes(2, 8, 2)))
	r := newRun(false, newRegion(p, []ami.Outcome{inBin(1, 14, binned(1, 14)), inBin(2, 14, binned(2, 14))}))
	for i := range r.Regions[0].Images {
		if r.Regions[0].Images[i].Name == "web" {
			r.Regions[0].Images[i].LastLaunchedAt = ""
		}
	}
	got := string(digest.Slack(r))
	for _, want := range []string{", web` 8 GiB, $0.40/mo, no launch in 299 days", ", api` 8 GiB, $0.40/mo, last use 298 days ago"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in %s", want, got)
		}
	}
}

// An owner of many images with the longest of names reads one screen, and how much more there is.
func TestAMessageToAnOwnerFitsOnAScreen(t *testing.T) {
	p := plan("eu-west-1")
	var outcomes []ami.Outcome
	for n := range 120 {
		if n < 60 {
			p.Verdicts, outcomes = append(p.Verdicts, stale(n, strings.Repeat("n", 128), goes(n, 8, n))), append(outcomes, inBin(n, 14, binned(n, 14)))
		} else {
			p.Verdicts, outcomes = append(p.Verdicts, announce(n, strings.Repeat("n", 128), 14, retention.Disable)), append(outcomes, outcome(n, ami.Marked, ""))
		}
	}
	messages, _ := digest.Owners(newRun(false, newRegion(p, outcomes)))
	if len(messages) != 1 {
		t.Fatalf("%d messages", len(messages))
	}
	text := messages[0].Text
	if lines := strings.Count(text, "\n"); lines > 60 || lines < 50 {
		t.Errorf("%d lines:\n%s", lines, text)
	}
	fitsAMail(t, "the longest", text)
	removed := strings.Count(text, "$0.40")
	if more := fmt.Sprintf("- and %d more, %d GiB, up to $%.2f a month;", 60-removed, 8*(60-removed), 0.4*float64(60-removed)); !strings.Contains(text, more) {
		t.Errorf("not %q:\n%s", more, text)
	}
}

// The first message may be lost, or nobody had subscribed by then: owners are told again, seven
// days and one day before an image is due, and not in between.
func TestOwnersAreReminded(t *testing.T) {
	for days, told := range map[int]bool{14: false, 8: false, 7: true, 6: false, 2: false, 1: true} {
		run := newRun(false, newRegion(plan("eu-west-1", owned("payments", waits(1, "web", days)), owned("data", waits(2, "etl", 30))), nil))
		messages, _ := digest.Owners(run)
		if isTold := len(messages) == 1 && messages[0].Owner == "payments" && slices.Equal(messages[0].Kinds, []string{"announced"}); isTold != told || len(messages) > 1 {
			t.Errorf("%d days before: %+v", days, messages)
		}
		if told && (!strings.Contains(messages[0].Subject, "1 AMI due soon (payments)") || !strings.Contains(messages[0].Text, "reminds you of the removal of 1 AMI") || !strings.Contains(messages[0].Text, "ami-janitor unmark")) {
			t.Errorf("%s\n%s", messages[0].Subject, messages[0].Text)
		}
	}
}

// newsOf counts what AWS confirmed of an owner's images, and what is due soon.
func newsOf(run record.Run, owner string) (announced, removed int) {
	for _, region := range run.Regions {
		for _, i := range region.Images {
			switch {
			case strings.TrimSpace(i.Owner) != owner:
			case i.Announced() && (i.DueOn == dayIn(7).Format(time.DateOnly) || i.DueOn == dayIn(1).Format(time.DateOnly)):
				announced++
			case i.Outcome == nil:
			case i.Outcome.Status == ami.Marked:
				announced++
			case i.Outcome.Status == ami.Deregistered:
				removed++
			}
		}
	}
	return announced, removed
}

// Each owner with news, and nobody else, gets one message with the right kinds. It fits on a
// screen, its subject is taken, and no text of others does harm in it.
func TestMessagesToOwnersHold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		run := anyRun(t)
		run.AccountAlias = untrusted(t)
		owners := map[string]bool{}
		for _, region := range run.Regions {
			for _, i := range region.Images {
				owners[strings.TrimSpace(i.Owner)] = true
			}
		}
		messages, more := digest.Owners(run)
		for _, m := range messages {
			announced, removed := newsOf(run, m.Owner)
			var kinds []string
			if announced > 0 {
				kinds = append(kinds, "announced")
			}
			if removed > 0 {
				kinds = append(kinds, "removed")
			}
			if run.DryRun || len(kinds) == 0 || !slices.Equal(m.Kinds, kinds) || !owners[m.Owner] {
				t.Errorf("%q: kinds %v, want %v; dry %t, or told twice", m.Owner, m.Kinds, kinds, run.DryRun)
			}
			delete(owners, m.Owner)
			if lines := strings.Count(m.Text, "\n"); lines > 60 {
				t.Errorf("%d lines:\n%s", lines, m.Text)
			}
			fitsAMail(t, m.Owner, m.Text)
			if !asciiLine.MatchString(m.Subject) {
				t.Errorf("subject %q", m.Subject)
			}
			text := withoutLinks(m.Text)
			if rest, found := strings.CutSuffix(run.Record, "/record.json"); found {
				text = strings.ReplaceAll(text, rest, "") // An s3:// URL has to stay one.
			}
			isPlain(t, text)
		}
		for owner := range owners {
			if announced, removed := newsOf(run, owner); !run.DryRun && announced+removed > 0 && more == 0 {
				t.Errorf("%q is not told", owner)
			}
		}
	})
}

// manyOwners is a run that announces, and removes, an image of each of so many owners.
func manyOwners(n int) record.Run {
	p := plan("eu-west-1")
	var outcomes []ami.Outcome
	for i := range n {
		if i%2 == 0 {
			p.Verdicts = append(p.Verdicts, owned(fmt.Sprint("a-removed-", i), stale(i, "web")))
			outcomes = append(outcomes, outcome(i, ami.Deregistered, ""))
		} else {
			p.Verdicts = append(p.Verdicts, owned(fmt.Sprint("announced-", i), announce(i, "web", 14, retention.Announce)))
			outcomes = append(outcomes, outcome(i, ami.Marked, ""))
		}
	}
	return newRun(false, newRegion(p, outcomes))
}

// Above the cap those who can still object are told, and the digest says that others are not.
func TestTooManyOwners(t *testing.T) {
	run := manyOwners(250)
	messages, more := digest.Owners(run)
	announced := slices.IndexFunc(messages, func(m digest.OwnerMessage) bool { return !strings.HasPrefix(m.Owner, "announced-") })
	if len(messages) != 200 || more != 50 || announced != 125 {
		t.Errorf("%d messages, the first %d to those who can object, and %d more", len(messages), announced, more)
	}
	const said = "50 more owners got no message: a run sends at most 200 messages to owners."
	told := func() bool { return strings.Contains(strings.Join(strings.Fields(digest.Text(run)), " "), said) }
	if told() {
		t.Error("the digest speaks of owners, whom nobody tells")
	}
	if run.OwnersUntold = more; !told() {
		t.Errorf("not %q:\n%s", said, digest.Text(run))
	}
}

// The sums over all owners come to what the run has removed.
func TestOwnersShareTheSavings(t *testing.T) {
	messages, _ := digest.Owners(ownersOf())
	all := ""
	for _, m := range messages {
		all += m.Text
	}
	for _, row := range []string{" 8  $0.40  299", " 20  $1.00  291", " 40  $2.00  293", "\n100  $5.00  292"} {
		if strings.Count(all, row) != 1 {
			t.Errorf("not once: %q\n%s", row, all)
		}
	}
}

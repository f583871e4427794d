package janitor_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
)

const ownersTopic = "arn:aws:sns:eu-west-1:123456789012:owners"

// teams are the settings under which owners are told by the tag Team.
var teams = settings{"TOPIC_ARN": mailTopic, "OWNERS_TOPIC_ARN": ownersTopic, "OWNER_TAG": "Team", "KEEP_NEWEST": "0"}

// ofTeams is a world with a stale image of each owner, in this order.
func ofTeams(owners ...string) world {
	var w world
	for i, owner := range owners {
		one := image(i+1, 400, 0, i+1)
		if owner != "" {
			one = tagged(one, "Team", owner)
		}
		w.images = append(w.images, one)
	}
	return w
}

// toOwners are the messages on the topic of the owners, by the attribute owner, and how many are on
// other topics.
func toOwners(account *emulator.Account) (messages map[string]emulator.Message, others int) {
	messages = map[string]emulator.Message{}
	for _, m := range account.Published() {
		if m.TopicARN == ownersTopic {
			messages[m.Attributes["owner"]] = m
		} else {
			others++
		}
	}
	return messages, others
}

// publishTo matches messages with one of these attributes.
func publishTo(owners ...string) func(int, emulator.Request) bool {
	return func(_ int, q emulator.Request) bool {
		for _, values := range q.Form {
			if slices.ContainsFunc(values, func(v string) bool { return slices.Contains(owners, v) }) {
				return true
			}
		}
		return false
	}
}

// Whatever NOTIFY_ON says, an owner has one message about what happened to theirs, and the digest's
// topic has one at most.
func TestOwnersAreTold(t *testing.T) {
	for _, c := range []struct {
		grace, on, did, kind string
		digests              int
	}{
		{"0d", "changes", "removed", `["removed"]`, 1},
		{"14d", "changes", "announced", `["announced"]`, 1},
		{"14d", "failures", "announced", `["announced"]`, 0},
	} {
		account := ofTeams("payments", "web", "payments", "", "team 🐧").load(t)
		j := newJanitor(t, account.Client(), teams.and(settings{"GRACE": c.grace, "NOTIFY_ON": c.on, "RECORDS": t.TempDir()}))
		run := j.Run(t.Context(), "20261123T020000Z-3f9c1a", false)
		run.FirstRun = false // That has a digest in any case.
		if err := j.Tell(t.Context(), run); err != nil {
			t.Fatal(err)
		}
		messages, digests := toOwners(account)
		if got := slices.Sorted(maps.Keys(messages)); fmt.Sprint(got) != "[ payments web]" || len(account.Published()) != 4+digests || digests != c.digests {
			t.Errorf("%+v: owners %q, %d digests, %d messages", c, got, digests, len(account.Published()))
		}
		for owner, m := range messages {
			if m.Attributes["account"] != accountID || m.Attributes["kind"] != c.kind || !strings.Contains(m.Subject, c.did) {
				t.Errorf("%+v: to %q: %q, %v", c, owner, m.Subject, m.Attributes)
			}
		}
		text := messages["payments"].Message
		if !strings.Contains(text, imageID(1)) || !strings.Contains(text, imageID(3)) || strings.Contains(text, imageID(2)) {
			t.Errorf("%+v: payments reads\n%s", c, text)
		}
	}
}

// A dry run has done nothing to object to, and without the topic there is nobody to tell.
func TestOwnersAreNotTold(t *testing.T) {
	for name, c := range map[string]struct {
		settings settings
		dry      bool
	}{
		"dry run":  {teams, true},
		"no topic": {teams.and(settings{"OWNERS_TOPIC_ARN": ""}), false},
	} {
		account := ofTeams("payments", "web").load(t)
		j := newJanitor(t, account.Client(), c.settings)
		if err := j.Tell(t.Context(), j.Run(t.Context(), "run", c.dry)); err != nil {
			t.Fatal(err)
		}
		if published := account.Published(); len(published) != 1 || published[0].TopicARN != mailTopic {
			t.Errorf("%s: published %+v", name, published)
		}
	}
}

// A message that fails stops no other, and the fault is one of the run.
func TestOneOwnerWhoCannotBeTold(t *testing.T) {
	account := ofTeams("payments", "web", "", "search").load(t)
	denied := disturb.Fail(account.Client(), "Publish", publishTo("web", ""), http.StatusForbidden, "AuthorizationError", "No.")
	j := newJanitor(t, denied, teams)
	err := j.Tell(t.Context(), j.Run(t.Context(), "20261123T020000Z-3f9c1a", false))
	if err == nil || !strings.Contains(err.Error(), "owner web is not told: publishing to "+ownersTopic) || strings.Contains(err.Error(), "payments") {
		t.Errorf("error %v", err)
	}
	messages, digests := toOwners(account)
	if len(messages) != 3 || messages["web"].Message != "" || digests != 1 {
		t.Errorf("told %v, %d digests", slices.Sorted(maps.Keys(messages)), digests)
	}
}

// An error names a few owners, and counts the others.
func TestNoOwnerCanBeTold(t *testing.T) {
	account := ofTeams("", "b\x1b[31m", "c", "d", "e", "f", "g").load(t)
	denied := disturb.Fail(account.Client(), "Publish", publishTo(ownersTopic), http.StatusForbidden, "AuthorizationError", "No.")
	j := newJanitor(t, denied, teams)
	err := j.Tell(t.Context(), j.Run(t.Context(), "20261123T020000Z-3f9c1a", false))
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"whoever takes care of images without an owner is not told: ", "owner e is not told: ", "\nand 2 more owners are not told", "allow sns:Publish"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	if n := strings.Count(err.Error(), "\n"); n != 5 || strings.Contains(err.Error(), "\x1b") {
		t.Errorf("%d line breaks: %v", n, err)
	}
	if _, digests := toOwners(account); digests != 1 {
		t.Errorf("%d digests", digests)
	}
}

// Owners take ten seconds at most, and less where a deadline is near: then there is time for the
// log.
func TestOwnersAreToldInTime(t *testing.T) {
	for deadline, most := range map[time.Duration]time.Duration{0: 10 * time.Second, time.Minute: 10 * time.Second, 8 * time.Second: 5 * time.Second, time.Second: 0} {
		bubble(t, func(t *testing.T) {
			account := ofTeams("a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l").load(t)
			hangs := emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
				if q, err := emulator.Inspect(r); err == nil && publishTo(ownersTopic)(0, q) && !publishTo("l")(0, q) {
					return slow(account.Client(), map[string]time.Duration{"Publish": time.Hour}).Do(r)
				}
				return account.Client().Do(r)
			})
			j := newJanitor(t, hangs, teams)
			j.Clock = time.Now
			run := j.Run(t.Context(), "20261123T020000Z-3f9c1a", false)
			ctx, cancel := context.Context(t.Context()), context.CancelFunc(func() {})
			if deadline > 0 {
				ctx, cancel = contextWithTimeout(t, deadline)
			}
			defer cancel()
			began := time.Now()
			err := j.Tell(ctx, run)
			if took := time.Since(began); took != most || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("deadline %v: %v after %v, want %v", deadline, err, took, most)
			}
			if _, digests := toOwners(account); digests != 1 {
				t.Errorf("deadline %v: %d digests", deadline, digests)
			}
		})
	}
}

// Where there are too many owners the digest says so.
func TestTheDigestCountsOwnersWhoAreNotTold(t *testing.T) {
	owners := make([]string, 210)
	for i := range owners {
		owners[i] = fmt.Sprint("team-", i)
	}
	account := ofTeams(owners...).load(t)
	j := newJanitor(t, account.Client(), teams.and(settings{"MAX_DEREGISTRATIONS": "300", "GRACE": "14d", "RECORDS": t.TempDir()}))
	if err := j.Tell(t.Context(), j.Run(t.Context(), "20261123T020000Z-3f9c1a", false)); err != nil {
		t.Fatal(err)
	}
	messages, _ := toOwners(account)
	published := account.Published()
	mail := published[slices.IndexFunc(published, func(m emulator.Message) bool { return m.TopicARN == mailTopic })]
	if len(messages) != 200 || !strings.Contains(mail.Message, "10 more owners got no message") {
		t.Errorf("%d owners are told\n%s", len(messages), mail.Message)
	}
}

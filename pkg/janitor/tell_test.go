package janitor_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/pkg/config"
	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/janitor"
)

const (
	mailTopic = "arn:aws:sns:us-east-1:123456789012:mail"
	chatTopic = "arn:aws:sns:eu-central-1:123456789012:chat"
)

func TestNotifyOn(t *testing.T) {
	quiet := world{images: []object{image(1, 20, 0, 1)}}
	busy := world{images: []object{image(1, 400, 0, 1)}}
	for name, c := range map[string]struct {
		world     world
		dry       bool
		deny      []string
		cap       string
		told      map[config.NotifyOn]bool
		wantError bool
	}{
		"nothing to do":               {quiet, false, nil, "", map[config.NotifyOn]bool{"always": true}, false},
		"nothing to do, dry":          {quiet, true, nil, "", map[config.NotifyOn]bool{"always": true}, false},
		"something done":              {busy, false, nil, "", map[config.NotifyOn]bool{"always": true, "changes": true}, false},
		"something to do, dry":        {busy, true, nil, "", map[config.NotifyOn]bool{"always": true, "changes": true}, false},
		"something deferred":          {busy, false, nil, "0", map[config.NotifyOn]bool{"always": true, "changes": true}, false},
		"a removal that failed":       {busy, false, []string{"DeregisterImage"}, "", map[config.NotifyOn]bool{"always": true, "changes": true, "failures": true}, false},
		"a region that failed":        {quiet, false, []string{"DescribeImages"}, "", map[config.NotifyOn]bool{"always": true, "changes": true, "failures": true}, true},
		"a region that failed, dry":   {quiet, true, []string{"DescribeSnapshots"}, "", map[config.NotifyOn]bool{"always": true, "changes": true, "failures": true}, true},
		"the account cannot be asked": {quiet, true, []string{"GetCallerIdentity"}, "", map[config.NotifyOn]bool{"always": true, "changes": true, "failures": true}, true},
	} {
		for _, on := range []config.NotifyOn{"always", "changes", "failures"} {
			t.Run(fmt.Sprint(name, ", ", on), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					account := c.world.load(t)
					j := newJanitor(t, disturb.Deny(account.Client(), c.deny...), settings{"TOPIC_ARN": mailTopic, "NOTIFY_ON": string(on), "MAX_DEREGISTRATIONS": c.cap})
					record := j.Run(t.Context(), "run", c.dry)
					if err := j.Tell(t.Context(), record); err != nil {
						t.Fatal(err)
					}
					if told := len(account.Published()) == 1; told != c.told[on] {
						t.Errorf("told %v, want %v", told, c.told[on])
					}
					if err := janitor.Err(record); (err != nil) != c.wantError {
						t.Errorf("error %v", err)
					}
				})
			})
		}
	}
}

// An unknown image is not a change: what stays unknown night after night would wake people every
// morning. It is in the digest of every run that sends one.
func TestBothTopicsAreTold(t *testing.T) {
	account := mixed().load(t)
	j := newJanitor(t, account.Client(), settings{"TOPIC_ARN": mailTopic, "CHAT_TOPIC_ARN": chatTopic})
	record := j.Run(t.Context(), "run", false)
	if err := j.Tell(t.Context(), record); err != nil {
		t.Fatal(err)
	}
	published := account.Published()
	if len(published) != 2 || published[0].TopicARN != mailTopic || published[1].TopicARN != chatTopic {
		t.Fatalf("published %+v", published)
	}
	if published[0].Subject != digest.Subject(record) || published[0].Message != digest.Text(record) {
		t.Errorf("mail %+v", published[0])
	}
	if !json.Valid([]byte(published[1].Message)) || !strings.Contains(published[1].Message, `"custom"`) {
		t.Errorf("chat %+v", published[1])
	}
}

func TestNoTopicIsNoError(t *testing.T) {
	account := mixed().load(t)
	j := newJanitor(t, account.Client(), settings{"NOTIFY_ON": "always"})
	if err := j.Tell(t.Context(), j.Run(t.Context(), "run", true)); err != nil || calls(account, "Publish") > 0 {
		t.Errorf("error %v, %d published", err, calls(account, "Publish"))
	}
}

// One topic that fails does not keep the other from being told, and both faults are known.
func TestEveryFaultOfTellingIsReturned(t *testing.T) {
	denying := func(next emulator.Doer, topics ...string) emulator.Doer {
		return disturb.Fail(next, "Publish", func(_ int, q emulator.Request) bool {
			return strings.Contains(strings.Join(topics, " "), q.Form.Get("TopicArn"))
		}, http.StatusForbidden, "AuthorizationError", "No.")
	}
	for _, failing := range [][]string{{mailTopic}, {chatTopic}, {mailTopic, chatTopic}} {
		account := mixed().load(t)
		j := newJanitor(t, denying(account.Client(), failing...), settings{"TOPIC_ARN": mailTopic, "CHAT_TOPIC_ARN": chatTopic})
		err := j.Tell(t.Context(), j.Run(t.Context(), "run", true))
		if err == nil {
			t.Fatalf("%v: no error", failing)
		}
		for _, topic := range []string{mailTopic, chatTopic} {
			fails := strings.Contains(strings.Join(failing, " "), topic)
			if strings.Contains(err.Error(), topic) != fails {
				t.Errorf("%v fails: %v", failing, err)
			}
		}
		if len(account.Published()) != 2-len(failing) {
			t.Errorf("%v fails: %d published", failing, len(account.Published()))
		}
	}
}

// A digest is about a run that is over: it is sent even if the context of the run has been
// interrupted… but not for ever.
func TestTellGivesUpWithItsContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		account := mixed().load(t)
		j := newJanitor(t, slow(account.Client(), map[string]time.Duration{"Publish": time.Hour}), settings{"TOPIC_ARN": mailTopic})
		record := j.Run(t.Context(), "run", true)
		ctx, cancel := contextWithTimeout(t, time.Minute)
		defer cancel()
		began := time.Now()
		if err := j.Tell(ctx, record); err == nil || time.Since(began) > time.Minute {
			t.Errorf("error %v after %v", err, time.Since(began))
		}
	})
}

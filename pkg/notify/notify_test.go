package notify_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"pgregory.net/rapid"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/notify"
)

const topic = "arn:aws:sns:eu-west-1:123456789012:ami-janitor"

// account returns an emulated account, which refuses whatever SNS refuses.
func account(t rapid.TB) *emulator.Account {
	t.Helper()
	a, err := emulator.Load(fstest.MapFS{
		"get-caller-identity.json": {Data: []byte(`{"Account": "123456789012", "Arn": "arn:aws:iam::123456789012:root", "UserId": "123456789012"}`)},
	}, emulator.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// client returns the SDK's client, made for another region than the topic's.
func client(doer emulator.Doer) *sns.Client {
	return sns.New(sns.Options{
		Region:     "us-east-1",
		HTTPClient: doer,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIAIOSFODNN7EXAMPLE", SecretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}, nil
		}),
		RetryMaxAttempts: 1,
	})
}

// recorder is a publisher that keeps the last message. It answers with the given message id, and is
// fast enough for a hundred messages of 256 KiB.
type recorder struct {
	id      string
	message string
}

func (r *recorder) Publish(_ context.Context, in *sns.PublishInput, _ ...func(*sns.Options)) (*sns.PublishOutput, error) {
	r.message = *in.Message
	return &sns.PublishOutput{MessageId: &r.id}, nil
}

func TestEmailArrivesAsItIs(t *testing.T) {
	a := account(t)
	if err := notify.Email(t.Context(), client(a.Client()), topic, "4 AMIs deregistered", "Deregistered 4 AMIs …\n"); err != nil {
		t.Fatal(err)
	}
	want := emulator.Message{TopicARN: topic, Subject: "4 AMIs deregistered", Message: "Deregistered 4 AMIs …\n"}
	if got := a.Published(); len(got) != 1 || fmt.Sprint(got[0]) != fmt.Sprint(want) {
		t.Errorf("published %+v, want %+v", got, want)
	}
	for _, call := range a.Calls() {
		if call.Region != "eu-west-1" {
			t.Errorf("called in %s, not in the topic's region", call.Region)
		}
	}
}

func TestOwnersAreAddressedByAttributes(t *testing.T) {
	const noOwner = "\nThe message has no attribute owner, because SNS cannot filter by such a name.\n"
	both := notify.Addressee{Account: "123456789012", Kinds: []string{"announced", "removed"}}
	for name, c := range map[string]struct{ owner, attribute, says string }{
		"an owner":                 {"payments", "payments", ""},
		"a mail address":           {"web+ops@example.com", "web+ops@example.com", ""},
		"letters":                  {"Größe あ, two words", "Größe あ, two words", ""},
		"no owner":                 {"", "", ""},
		"a surrogate pair":         {"team 🐧", "", noOwner},
		"a quotation mark":         {`team "A"`, "", noOwner},
		"a backslash":              {`corp\payments`, "", noOwner},
		"a line break":             {"team\nA", "", noOwner},
		"something invisible":      {"team\u200bA", "", noOwner},
		"no UTF-8":                 {"team\xff", "", noOwner},
		"the longest value":        {strings.Repeat("あ", 256), strings.Repeat("あ", 256), ""},
		"longer than a tag can be": {strings.Repeat("x", 100_000), "", noOwner},
	} {
		t.Run(name, func(t *testing.T) {
			a, to := account(t), both
			to.Owner = c.owner
			if err := notify.Owner(t.Context(), client(a.Client()), topic, to, "2 AMIs", "text\n"); err != nil {
				t.Fatal(err)
			}
			attributes := map[string]string{"account": "123456789012", "kind": `["announced","removed"]`}
			if c.attribute != "" {
				attributes["owner"] = c.attribute
			}
			want := emulator.Message{TopicARN: topic, Subject: "2 AMIs", Message: "text\n" + c.says, Attributes: attributes}
			if got := a.Published(); len(got) != 1 || fmt.Sprint(got[0]) != fmt.Sprint(want) {
				t.Errorf("published %+v, want %+v", got, want)
			}
		})
	}
}

func TestAttributesCountWithTheMessage(t *testing.T) {
	a := account(t)
	to := notify.Addressee{Owner: strings.Repeat("あ", 256), Account: "123456789012", Kinds: []string{"removed"}}
	if err := notify.Owner(t.Context(), client(a.Client()), topic, to, "subject", strings.Repeat("x\n", 200_000)); err != nil {
		t.Fatal(err)
	}
	if got := a.Published()[0].Message; !strings.HasSuffix(got, " more lines\n") {
		t.Errorf("ends in %q", got[len(got)-100:])
	}
}

func TestNobodyKnowsTheAccount(t *testing.T) {
	a := account(t)
	if err := notify.Owner(t.Context(), client(a.Client()), topic, notify.Addressee{Kinds: []string{"removed"}}, "subject", "text"); err != nil {
		t.Fatal(err)
	}
	if got := a.Published()[0].Attributes; len(got) != 1 || got["kind"] != `["removed"]` {
		t.Errorf("attributes %v", got)
	}
}

func TestChatSendsTheNotificationAsItIs(t *testing.T) {
	a := account(t)
	notification := []byte(`{"version":"1.0","source":"custom","content":{"description":"…"}}`)
	if err := notify.Chat(t.Context(), client(a.Client()), topic, notification); err != nil {
		t.Fatal(err)
	}
	got := a.Published()
	if len(got) != 1 || got[0].Message != string(notification) || got[0].Subject != "" || !json.Valid([]byte(got[0].Message)) {
		t.Errorf("published %+v", got)
	}
}

var notice = regexp.MustCompile(`(?:^|\n)… and ([0-9]+) more lines?\n$`)

func TestLongTextsAreCutAtALine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		line := rapid.SampledFrom([]string{"", "a", "å", "あ", "𝕏", "\xff"}).Draw(t, "character")
		line = strings.Repeat(line, rapid.IntRange(0, 2000).Draw(t, "width")) + "\n"
		text := strings.Repeat(line, rapid.IntRange(260_000, 266_000).Draw(t, "size")/len(line))
		text += rapid.SampledFrom([]string{"", "the end", "the end\n", strings.Repeat("あ", 10_000)}).Draw(t, "end")

		r := &recorder{id: "567910cd-659e-55d4-8ccb-5aaf14679dc0"}
		if err := notify.Email(context.Background(), r, topic, "subject", text); err != nil {
			t.Fatal(err)
		}
		got := r.message
		text = strings.ToValidUTF8(text, "\ufffd")
		if !utf8.ValidString(got) || len(got) > 262144 {
			t.Fatalf("%d bytes, valid UTF-8: %v", len(got), utf8.ValidString(got))
		}
		if len(text) <= 262144-len("subject") {
			if got != text {
				t.Fatal("a text that fits was changed")
			}
			return
		}
		match := notice.FindStringSubmatchIndex(got)
		if match == nil {
			t.Fatalf("ends in %q", got[max(0, len(got)-100):])
		}
		head := got[:strings.LastIndex(strings.TrimSuffix(got, "\n"), "\n")+1]
		rest, ok := strings.CutPrefix(text, head)
		if !ok {
			t.Fatal("what is left is not the beginning of the text")
		}
		lines := strings.Count(strings.TrimSuffix(rest, "\n"), "\n") + 1
		if said, _ := strconv.Atoi(got[match[2]:match[3]]); said != lines {
			t.Fatalf("says %d lines are left out, there are %d", said, lines)
		}
		first, _, _ := strings.Cut(rest, "\n")
		if room := 262144 - len("subject") - len(got); room > len(first)+len("\n")+len("100000") {
			t.Fatalf("%d bytes are left, and the next line has %d", room, len(first)+1)
		}
	})
}

func TestSNSTakesWhatIsLeftOfALongText(t *testing.T) {
	a := account(t)
	text := strings.Repeat(strings.Repeat("あ", 30)+"\n", 10_000)
	if err := notify.Email(t.Context(), client(a.Client()), topic, "subject", text); err != nil {
		t.Fatal(err)
	}
	if got := a.Published()[0].Message; !strings.HasSuffix(got, "あ\n… and 7120 more lines\n") {
		t.Errorf("ends in %q", got[len(got)-100:])
	}
}

func TestEverySubjectIsTaken(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := account(t)
		subject := "s" + rapid.String().Draw(t, "subject") + strings.Repeat("x", rapid.IntRange(0, 200).Draw(t, "tail"))
		if err := notify.Email(context.Background(), client(a.Client()), topic, subject, "text"); err != nil {
			t.Fatal(err)
		}
		if got := a.Published()[0].Subject; !regexp.MustCompile(`^[ -~]{1,99}$`).MatchString(got) {
			t.Fatalf("%q", got)
		}
	})
}

func TestErrorsNameTheTopicAndWhatToDo(t *testing.T) {
	fail := func(status int, code string) func(emulator.Doer) emulator.Doer {
		return func(next emulator.Doer) emulator.Doer {
			return disturb.Fail(next, "Publish", nil, status, code, "Refused.")
		}
	}
	for _, c := range []struct {
		name  string
		topic string
		fault func(emulator.Doer) emulator.Doer
		wants []string
	}{
		{"denied", topic, func(next emulator.Doer) emulator.Doer { return disturb.Deny(next, "Publish") }, []string{topic, "AuthorizationError", "allow sns:Publish"}},
		{"no such topic", topic, fail(http.StatusNotFound, "NotFound"), []string{topic, "NotFound", "correct its ARN"}},
		{"no key", topic, fail(http.StatusBadRequest, "KMSAccessDenied"), []string{topic, "KMSAccessDenied", "kms:GenerateDataKey"}},
		{"throttled", topic, fail(http.StatusBadRequest, "Throttled"), []string{topic, "Throttled", "the next run"}},
		{"refused", topic, fail(http.StatusBadRequest, "InvalidParameter"), []string{topic, "InvalidParameter"}},
		{"lost answer", topic, func(next emulator.Doer) emulator.Doer { return disturb.LoseAnswer(next, "Publish", nil) }, []string{topic, "connection reset"}},
		{"no answer of SNS", topic, func(next emulator.Doer) emulator.Doer { return disturb.Garble(next, "Publish", nil) }, []string{topic}},
		{"not an ARN", "ami-janitor", nil, []string{`"ami-janitor"`, "arn:aws:sns:"}},
		{"of another service", "arn:aws:sqs:eu-west-1:123456789012:queue", nil, []string{"sqs", "arn:aws:sns:"}},
		{"no region", "arn:aws:sns::123456789012:topic", nil, []string{"arn:aws:sns::", "eu-west-1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var doer emulator.Doer = account(t).Client()
			if c.fault != nil {
				doer = c.fault(doer)
			}
			err := notify.Email(t.Context(), client(doer), c.topic, "subject", "text")
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range c.wants {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
		})
	}
}

func TestAnAnswerWithoutMessageIDIsNoConfirmation(t *testing.T) {
	if err := notify.Chat(t.Context(), &recorder{}, topic, []byte("{}")); err == nil || !strings.Contains(err.Error(), topic) {
		t.Errorf("error %v", err)
	}
}

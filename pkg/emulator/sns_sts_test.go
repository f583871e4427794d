package emulator_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/ami-janitor/ami-janitor/pkg/emulator"
)

const topic = "arn:aws:sns:us-east-1:123456789012:digest"

func attributes(name, value string) map[string]types.MessageAttributeValue {
	return map[string]types.MessageAttributeValue{name: {DataType: aws.String("String"), StringValue: &value}}
}

func TestPublish(t *testing.T) {
	text := func(change func(*sns.PublishInput)) sns.PublishInput {
		input := sns.PublishInput{TopicArn: aws.String(topic), Message: aws.String("hello")}
		change(&input)
		return input
	}
	structured := func(message string) sns.PublishInput {
		return text(func(i *sns.PublishInput) { i.Message, i.MessageStructure = &message, aws.String("json") })
	}
	subject := func(s string) sns.PublishInput { return text(func(i *sns.PublishInput) { i.Subject = &s }) }
	sized := func(n int) sns.PublishInput {
		return text(func(i *sns.PublishInput) { i.Message = aws.String(strings.Repeat("x", n)) })
	}
	withAttribute := func(input sns.PublishInput) sns.PublishInput {
		input.MessageAttributes = attributes("kind", "digest") // 4, 6 and 6 bytes.
		return input
	}
	attributed := func(name, kind, value string) sns.PublishInput {
		return text(func(i *sns.PublishInput) {
			i.MessageAttributes = map[string]types.MessageAttributeValue{name: {DataType: &kind, StringValue: &value}}
		})
	}
	tests := []struct {
		name  string
		input sns.PublishInput
		code  string
	}{
		{"plain", text(func(*sns.PublishInput) {}), ""},
		{"no topic", text(func(i *sns.PublishInput) { i.TopicArn = nil }), "InvalidParameter"},
		{"a topic that is none", text(func(i *sns.PublishInput) { i.TopicArn = aws.String("digest") }), "InvalidParameter"},
		{"a topic of another service", text(func(i *sns.PublishInput) { i.TopicArn = aws.String("arn:aws:sqs:us-east-1:123456789012:digest") }), "InvalidParameter"},
		{"a topic of another region", text(func(i *sns.PublishInput) { i.TopicArn = aws.String("arn:aws:sns:eu-west-1:123456789012:digest") }), "InvalidParameter"},
		{"empty", sized(0), "InvalidParameter"},
		{"the largest", sized(262144), ""},
		{"too large", sized(262145), "InvalidParameter"},
		{"the largest with an attribute", withAttribute(sized(262144 - 16)), ""},
		{"too large with an attribute", withAttribute(sized(262144 - 15)), "InvalidParameter"},
		{"bytes count, not characters", text(func(i *sns.PublishInput) { i.Message = aws.String(strings.Repeat("é", 131073)) }), "InvalidParameter"},
		{"an empty attribute", text(func(i *sns.PublishInput) { i.MessageAttributes = attributes("kind", "") }), "InvalidParameter"},
		{"an attribute with surrogate pairs", attributed("owner", "String", "🐧"), "InvalidParameter"},
		{"an attribute that is no UTF-8", attributed("owner", "String", "\xff"), "InvalidParameter"},
		{"an attribute of letters", attributed("owner", "String", "Größe あ"), ""},
		{"an attribute with a list", attributed("kind", "String.Array", `["a","b"]`), ""},
		{"an attribute with a list that is none", attributed("kind", "String.Array", "a,b"), "InvalidParameter"},
		{"an attribute of a type that is none", attributed("kind", "Text", "a"), "InvalidParameter"},
		{"an attribute with a name that is none", attributed("the kind", "String", "a"), "InvalidParameter"},
		{"the longest subject", subject(strings.Repeat("é", 99)), ""},
		{"a subject that is too long", subject(strings.Repeat("x", 100)), "InvalidParameter"},
		{"a subject of two lines", subject("a\nb"), "InvalidParameter"},
		{"a subject with a tab", subject("a\tb"), "InvalidParameter"},
		{"a subject with a separator of lines", subject("a\u2028b"), "InvalidParameter"},
		{"a subject that is not UTF-8", subject("a\xff"), "InvalidParameter"},
		{"an empty subject", subject(""), "InvalidParameter"},
		{"a text per protocol", structured(`{"default": "a", "email": "b", "unknown": 1}`), ""},
		{"no default", structured(`{"email": "b"}`), "InvalidParameter"},
		{"a default that is no text", structured(`{"default": 1}`), "InvalidParameter"},
		{"a key twice", structured(`{"default": "a", "default": "b"}`), "InvalidParameter"},
		{"no object", structured(`["default"]`), "InvalidParameter"},
		{"no JSON", structured(`{"default": "a"`), "InvalidParameter"},
		{"JSON and more", structured(`{"default": "a"} {}`), "InvalidParameter"},
		{"an unknown structure", text(func(i *sns.PublishInput) { i.MessageStructure = aws.String("xml") }), "InvalidParameter"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a := load(t, directory())
			out, err := snsClient(a.Client()).Publish(t.Context(), &test.input)
			equal(t, "error code", code(err), test.code)
			if published := len(a.Published()); published == 1 != (err == nil) {
				t.Errorf("%d messages published, error %v", published, err)
			}
			if err == nil && aws.ToString(out.MessageId) == "" {
				t.Error("no message id")
			}
		})
	}
}

func TestPublished(t *testing.T) {
	a := load(t, directory())
	client := snsClient(a.Client())
	for _, input := range []sns.PublishInput{
		{TopicArn: aws.String(topic), Subject: aws.String("s"), Message: aws.String("<é>\r\n"), MessageAttributes: attributes("kind", "digest")},
		{TopicArn: aws.String(topic), Message: aws.String(`{"default":"d"}`), MessageStructure: aws.String("json"), MessageAttributes: attributes("kind", "digest")},
	} {
		if _, err := client.Publish(t.Context(), &input); err != nil {
			t.Fatal(err)
		}
	}
	want := []emulator.Message{
		{TopicARN: topic, Subject: "s", Message: "<é>\r\n", Attributes: map[string]string{"kind": "digest"}},
		// SNS drops the attributes.
		{TopicARN: topic, Message: `{"default":"d"}`, MessageStructure: "json"},
	}
	equal(t, "published", a.Published(), want)

	w := httptest.NewRecorder()
	a.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/_ami-janitor/messages", nil))
	var got []emulator.Message
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	equal(t, "published, over HTTP", got, want)
	w = httptest.NewRecorder()
	a.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/_ami-janitor/messages", nil))
	equal(t, "status of a POST", w.Code, http.StatusMethodNotAllowed)
}

func TestGetCallerIdentity(t *testing.T) {
	out, err := stsClient(load(t, directory()).Client()).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "account", *out.Account, self)
	equal(t, "user", *out.UserId, "AIDAEXAMPLE")
	equal(t, "ARN", *out.Arn, "arn:aws:iam::123456789012:user/example")
}

// Package notify publishes what package digest words, through SNS. Only this package knows SNS's
// limits.
package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/smithy-go"
)

// SNS's limits on what it sends to e-mail and HTTPS subscribers (Amazon SNS API Reference,
// Publish).
const (
	maxMessage = 256 << 10 // Bytes, not characters.
	maxSubject = 99        // Characters; printable ASCII is safe in every mail program.
	maxOwner   = 1 << 10   // Bytes; the value of a tag has 256 characters.
)

// Publisher publishes a message to a topic; the SDK's client is one.
type Publisher interface {
	Publish(context.Context, *sns.PublishInput, ...func(*sns.Options)) (*sns.PublishOutput, error)
}

// Email publishes a text with a subject to a topic. If SNS's limit is exceeded, lines at the end
// are left out, and the text says how many.
func Email(ctx context.Context, api Publisher, topicARN, subject, text string) error {
	subject = fitSubject(subject)
	return publish(ctx, api, &sns.PublishInput{
		TopicArn: &topicARN,
		Subject:  &subject,
		Message:  aws.String(fit(text, maxMessage-len(subject))),
	})
}

// Addressee is who a message is for. Subscribers choose messages by it, in filter policies.
type Addressee struct {
	Owner   string // Of images; empty for those without an owner.
	Account string
	Kinds   []string // What happened to the images.
}

// Owner publishes a text as Email does, with the message attributes owner, account and kind. Where
// a filter policy could not match the owner, that attribute is left out, and the text says so: a
// policy with {"owner": [{"exists": false}]} gets it.
func Owner(ctx context.Context, api Publisher, topicARN string, to Addressee, subject, text string) error {
	if to.Owner != "" && !isMatchable(to.Owner) {
		to.Owner = ""
		text += "\nThe message has no attribute owner, because SNS cannot filter by such a name.\n"
	}
	return send(ctx, api, topicARN, to.attributes(), subject, text)
}

// Digest publishes a text as Email does, with the message attribute account.
func Digest(ctx context.Context, api Publisher, topicARN, account, subject, text string) error {
	return send(ctx, api, topicARN, map[string]types.MessageAttributeValue{
		"account": {DataType: aws.String("String"), StringValue: &account},
	}, subject, text)
}

func send(ctx context.Context, api Publisher, topicARN string, attributes map[string]types.MessageAttributeValue, subject, text string) error {
	size := 0
	for name, value := range attributes {
		size += len(name) + len(*value.DataType) + len(*value.StringValue)
	}
	subject = fitSubject(subject)
	return publish(ctx, api, &sns.PublishInput{
		TopicArn:          &topicARN,
		Subject:           &subject,
		Message:           aws.String(fit(text, maxMessage-len(subject)-size)),
		MessageAttributes: attributes,
	})
}

// attributes are the message attributes, without those that would be empty, which SNS refuses. The
// kinds are a list: a filter policy matches if it has one of them.
func (a Addressee) attributes() map[string]types.MessageAttributeValue {
	attributes := map[string]types.MessageAttributeValue{}
	add := func(name, kind, value string) {
		if value != "" {
			attributes[name] = types.MessageAttributeValue{DataType: &kind, StringValue: &value}
		}
	}
	kinds, _ := json.Marshal(a.Kinds) // Strings can always be written.
	add("owner", "String", a.Owner)
	add("account", "String", a.Account)
	add("kind", "String.Array", string(kinds))
	return attributes
}

// isMatchable reports whether SNS takes a value as a message attribute, and a filter policy can
// name it as it is. Values have no surrogate pairs, and quotation marks and backslashes would have
// to be escaped twice (SNS Developer Guide, "Amazon SNS message attributes", "Filter policy
// constraints").
func isMatchable(value string) bool {
	return len(value) <= maxOwner && !strings.ContainsFunc(value, func(r rune) bool {
		return r > 0xFFFF || r == utf8.RuneError || !unicode.IsPrint(r) || r == '"' || r == '\\'
	})
}

// Chat publishes a custom notification of Amazon Q Developer in chat applications to a topic. It is
// JSON and must not be cut; package digest keeps it within its own limits, far below those of SNS.
func Chat(ctx context.Context, api Publisher, topicARN string, notification []byte) error {
	return publish(ctx, api, &sns.PublishInput{TopicArn: &topicARN, Message: aws.String(string(notification))})
}

// publish sends a message in the region of its topic, which may differ from the client's.
func publish(ctx context.Context, api Publisher, input *sns.PublishInput) error {
	topic, err := arn.Parse(*input.TopicArn)
	if err != nil || topic.Service != "sns" || topic.Region == "" {
		return fmt.Errorf("publishing to %q: this is not the ARN of an SNS topic; set the topic to one such as "+
			"arn:aws:sns:eu-west-1:123456789012:ami-janitor", *input.TopicArn)
	}
	output, err := api.Publish(ctx, input, func(o *sns.Options) { o.Region = topic.Region })
	switch {
	case err != nil:
		return fmt.Errorf("publishing to %s: %w%s", *input.TopicArn, err, advice(err))
	case aws.ToString(output.MessageId) == "":
		return fmt.Errorf("publishing to %s: SNS answered without a message id, so it is not known whether the message "+
			"was taken; look at the topic's metric NumberOfMessagesPublished", *input.TopicArn)
	}
	return nil
}

// advice says what to do about an error of SNS; empty if there is no advice.
func advice(err error) string {
	var fault smithy.APIError
	if !errors.As(err, &fault) {
		return ""
	}
	code := fault.ErrorCode()
	switch {
	case strings.HasPrefix(code, "KMS"):
		return " (allow kms:GenerateDataKey and kms:Decrypt on the topic's key to the role that the janitor runs with)"
	case strings.HasPrefix(code, "AuthorizationError"), strings.HasPrefix(code, "AccessDenied"):
		return " (allow sns:Publish on the topic to the role that the janitor runs with, in its own policy and in the topic's)"
	case strings.HasPrefix(code, "NotFound"):
		return " (create the topic, or correct its ARN in the configuration)"
	case strings.HasPrefix(code, "Throttl"):
		return " (SNS throttled the call; the next run publishes its own digest)"
	default:
		return ""
	}
}

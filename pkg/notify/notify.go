// Package notify publishes what package digest words, through SNS. Only this package knows SNS's
// limits.
package notify

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/smithy-go"
)

// SNS's limits on what it sends to e-mail and HTTPS subscribers (Amazon SNS API Reference,
// Publish).
const (
	maxMessage = 256 << 10 // Bytes, not characters.
	maxSubject = 99        // Characters; printable ASCII is safe in every mail program.
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

package journal

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// bucket is a store in S3 (or a compatible server), with ETags as versions. The role needs
// s3:GetObject, s3:PutObject and s3:DeleteObject below the prefix, and s3:ListBucket: without the
// latter, S3 answers 403 instead of 404 for a missing document.
type bucket struct {
	client       *s3.Client
	name, prefix string
}

func openBucket(config aws.Config, name, prefix string) *bucket {
	return &bucket{wire.S3(config, config.Region, refusePartialAnswers), name, prefix}
}

func (b *bucket) where(key string) string { return scheme + b.name + "/" + b.prefix + key }

func (b *bucket) get(ctx context.Context, key string) (data []byte, version string, err error) {
	output, err := b.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.name, Key: aws.String(b.prefix + key)}, triesOf(key))
	if err != nil {
		return nil, "", b.explain(key, "read", err)
	}
	defer output.Body.Close() //nolint:errcheck // It was read before, as a whole; there is nothing to be lost.
	if data, err = io.ReadAll(output.Body); err != nil {
		return nil, "", b.explain(key, "read", err)
	}
	return data, aws.ToString(output.ETag), nil
}

// triesOf is how often a request about a document is sent. The sums are only shown: no run waits
// for them for minutes.
func triesOf(key string) func(*s3.Options) {
	return func(o *s3.Options) {
		if key == sumsKey {
			o.RetryMaxAttempts = 2
		}
	}
}

func (b *bucket) put(ctx context.Context, key string, data []byte) error {
	_, err := b.write(ctx, key, data, func(*s3.PutObjectInput) {})
	return err
}

func (b *bucket) putIfAbsent(ctx context.Context, key string, data []byte) (string, error) {
	return b.writeIf(ctx, key, data, func(input *s3.PutObjectInput) { input.IfNoneMatch = aws.String("*") })
}

func (b *bucket) putIfVersion(ctx context.Context, key string, data []byte, version string) (string, error) {
	return b.writeIf(ctx, key, data, func(input *s3.PutObjectInput) { input.IfMatch = &version })
}

// writeIf writes conditionally. If the document is missing, S3 answers NoSuchKey.
func (b *bucket) writeIf(ctx context.Context, key string, data []byte, condition func(*s3.PutObjectInput)) (string, error) {
	version, err := b.write(ctx, key, data, condition)
	return version, b.explainCondition(key, err)
}

// contentType is what a browser takes a document for.
func contentType(key string) string {
	if strings.HasSuffix(key, ".html") {
		return "text/html; charset=utf-8"
	}
	return "application/json"
}

// write sends a checksum, as buckets with Object Lock require.
func (b *bucket) write(ctx context.Context, key string, data []byte, condition func(*s3.PutObjectInput)) (string, error) {
	sum := sha256.Sum256(data)
	input := s3.PutObjectInput{
		Bucket: &b.name, Key: aws.String(b.prefix + key), Body: bytes.NewReader(data),
		ContentType: aws.String(contentType(key)), ChecksumSHA256: aws.String(base64.StdEncoding.EncodeToString(sum[:])),
	}
	condition(&input)
	output, err := b.client.PutObject(ctx, &input, triesOf(key))
	if err != nil {
		return "", b.explain(key, "written", err)
	}
	return aws.ToString(output.ETag), nil
}

func (b *bucket) remove(ctx context.Context, key string) error {
	_, err := b.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.name, Key: aws.String(b.prefix + key)})
	if err = b.explain(key, "removed", err); errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

func (b *bucket) list(ctx context.Context, prefix string) ([]listed, error) {
	var all []listed
	var tokens wire.Tokens
	whole := b.prefix + prefix
	input := s3.ListObjectsV2Input{Bucket: &b.name, Prefix: &whole}
	for {
		page, err := b.client.ListObjectsV2(ctx, &input)
		if err == nil {
			err = tokens.See(page.NextContinuationToken)
		}
		if err != nil {
			return nil, b.explain(prefix, "listed", err)
		}
		for _, object := range page.Contents {
			key, isBelow := strings.CutPrefix(aws.ToString(object.Key), whole)
			if !isBelow {
				return nil, fmt.Errorf("%s cannot be listed: the listing has %q", b.where(prefix), aws.ToString(object.Key))
			}
			if !strings.HasSuffix("/"+key, "/") { // Consoles make folders, which are empty objects.
				all = append(all, listed{prefix + key, aws.ToInt64(object.Size)})
			}
		}
		input.ContinuationToken = page.NextContinuationToken
		switch isLast := aws.ToString(input.ContinuationToken) == ""; {
		case isLast && aws.ToBool(page.IsTruncated):
			return nil, fmt.Errorf("%s cannot be listed: the listing ends although there is more", b.where(prefix))
		case isLast:
			return all, nil
		}
	}
}

// explain words an error of S3; nil stays nil.
func (b *bucket) explain(key, done string, err error) error {
	switch code := wire.Code(err); {
	case err == nil:
		return nil
	case code == "NoSuchKey":
		return fmt.Errorf("%s: %w", b.where(key), ErrNotFound)
	case code == "PreconditionFailed" || code == "ConditionalRequestConflict":
		return fmt.Errorf("%s: %w", b.where(key), errChanged)
	case isNotImplemented(err):
		return fmt.Errorf("%s cannot be %s: the server does not support it (%s); runs are kept apart by conditional writes, "+
			"without which the journal cannot be kept there", b.where(key), done, wire.ExplainLookup(err))
	}
	return fmt.Errorf("%s cannot be %s: %s", b.where(key), done, wire.ExplainLookup(err))
}

// explainCondition is explain for a conditional write. A write to a missing document is a version
// conflict.
func (b *bucket) explainCondition(key string, err error) error {
	if errors.Is(err, ErrNotFound) {
		return fmt.Errorf("%s: %w", b.where(key), errChanged)
	}
	return err
}

func isNotImplemented(err error) bool {
	refused, ok := errors.AsType[*smithyhttp.ResponseError](err)
	return ok && refused.HTTPStatusCode() == http.StatusNotImplemented || wire.Code(err) == "NotImplemented"
}

// partialAnswerError is the error for an incomplete answer.
type partialAnswerError struct{ action, missing string }

func (e partialAnswerError) Error() string {
	return fmt.Sprintf("not a complete answer to %s: %s", e.action, e.missing)
}

// refusePartialAnswers adds a check of every successful answer, because the SDK accepts any: it
// reads an HTML page as an empty listing, or as the confirmation of a write. Bodies are read to
// their end here, so that a failed read can be retried.
func refusePartialAnswers(stack *middleware.Stack) error {
	check := func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (
		middleware.DeserializeOutput, middleware.Metadata, error,
	) {
		out, metadata, err := next.HandleDeserialize(ctx, in)
		response, ok := out.RawResponse.(*smithyhttp.Response)
		if err != nil || !ok || response.StatusCode >= 300 {
			return out, metadata, err
		}
		body, err := io.ReadAll(response.Body)
		response.Body = io.NopCloser(bytes.NewReader(body))
		if action := awsmiddleware.GetOperationName(ctx); err == nil {
			if missing := missingFrom(action, response, body); missing != "" {
				err = partialAnswerError{action, missing}
			}
		}
		return out, metadata, err
	}
	return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("RefusePartialAnswers", check), middleware.After)
}

// missingFrom says what a successful answer lacks; empty if it is complete (S3 API Reference, by
// action). Whether a document itself is complete shows when it is parsed.
func missingFrom(action string, response *smithyhttp.Response, body []byte) string {
	switch action {
	case "GetObject", "PutObject":
		if response.Header.Get("ETag") == "" {
			return "it has no ETag"
		}
	case "DeleteObject":
		if response.StatusCode != http.StatusNoContent {
			return fmt.Sprintf("its HTTP status is %d", response.StatusCode)
		}
	case "ListObjectsV2":
		if !wire.IsWholeListing(body) {
			return fmt.Sprintf("it begins with %q", body[:min(len(body), 40)])
		}
	}
	return ""
}

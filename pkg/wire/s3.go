package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Bucket reads and writes the objects of a bucket in S3, in whichever region it is. It retries
// often and refuses incomplete answers. It is safe for concurrent use.
type Bucket struct {
	config aws.Config
	name   string
	client atomic.Pointer[s3.Client]
}

// OpenBucket returns a bucket. It is not accessed yet.
func OpenBucket(config aws.Config, name string) *Bucket {
	b := &Bucket{config: config, name: name}
	b.client.Store(s3Client(config, config.Region))
	return b
}

// Object is an object as a listing has it.
type Object struct {
	Key      string
	Size     int64
	Modified time.Time // Zero if S3 does not say.
}

// List returns all objects whose keys have a prefix, in the order of their keys. After an error it
// returns the objects so far.
func (b *Bucket) List(ctx context.Context, prefix string) ([]Object, error) {
	var objects []Object
	var tokens Tokens
	input := s3.ListObjectsV2Input{Bucket: &b.name, Prefix: &prefix}
	for {
		page, err := inItsRegion(b, func(client *s3.Client) (*s3.ListObjectsV2Output, error) { return client.ListObjectsV2(ctx, &input) })
		if err != nil {
			return objects, err
		}
		for _, object := range page.Contents {
			if !strings.HasPrefix(aws.ToString(object.Key), prefix) {
				return objects, errors.New("s3:ListBucket: the listing has keys without the prefix")
			}
			objects = append(objects, Object{aws.ToString(object.Key), aws.ToInt64(object.Size), aws.ToTime(object.LastModified)})
		}
		input.ContinuationToken = page.NextContinuationToken
		err = tokens.See(input.ContinuationToken)
		switch isLast := aws.ToString(input.ContinuationToken) == ""; {
		case err != nil:
			return objects, errors.New("s3:ListBucket: " + err.Error())
		case isLast && aws.ToBool(page.IsTruncated):
			return objects, errors.New("s3:ListBucket: the listing ends although there is more")
		case isLast:
			return objects, nil
		}
	}
}

// readAttempts is how often an object is read if its content breaks off. The SDK retries only until
// the answer begins.
const readAttempts = 3

// Read gives the content of an object to a function, which reads it to its end. If the content
// breaks off, Read starts again, with the same function. It returns when the object was changed; a
// zero time if S3 does not say.
func (b *Bucket) Read(ctx context.Context, key string, take func(io.Reader) error) (modified time.Time, err error) {
	for range readAttempts {
		var broken bool
		if modified, broken, err = b.readOnce(ctx, key, take); !broken || ctx.Err() != nil {
			break
		}
	}
	return modified, err
}

// readOnce is Read without another attempt. It reports whether the content broke off.
func (b *Bucket) readOnce(ctx context.Context, key string, take func(io.Reader) error) (modified time.Time, broken bool, err error) {
	input := s3.GetObjectInput{Bucket: &b.name, Key: &key}
	output, err := inItsRegion(b, func(client *s3.Client) (*s3.GetObjectOutput, error) { return client.GetObject(ctx, &input) })
	if err != nil {
		return time.Time{}, false, err
	}
	defer output.Body.Close() //nolint:errcheck // What counts was read before.
	content := &whole{body: output.Body, left: output.ContentLength}
	err = take(content)
	if content.err != nil {
		err = content.err // And not what the function made of it.
	}
	return aws.ToTime(output.LastModified), content.err != nil, err
}

// Write puts a text under a key, in the place of one that is there.
func (b *Bucket) Write(ctx context.Context, key string, text []byte) error {
	_, err := inItsRegion(b, func(client *s3.Client) (*s3.PutObjectOutput, error) {
		return client.PutObject(ctx, &s3.PutObjectInput{Bucket: &b.name, Key: &key, Body: bytes.NewReader(text), ContentType: aws.String("text/plain; charset=utf-8")})
	})
	return err
}

// whole is a body that is an error if it ends before its announced length.
type whole struct {
	body io.Reader
	left *int64
	err  error // Why it broke off.
}

func (w *whole) Read(into []byte) (int, error) {
	n, err := w.body.Read(into)
	if w.left != nil {
		*w.left -= int64(n)
	}
	if errors.Is(err, io.EOF) && w.left != nil && *w.left != 0 {
		err = errors.New("s3:GetObject: its content has another length than S3 says")
	}
	if err != nil && !errors.Is(err, io.EOF) {
		w.err = err
	}
	return n, err
}

// inItsRegion makes a call in the region of a bucket, which S3 says if it is another one.
func inItsRegion[T any](b *Bucket, call func(*s3.Client) (T, error)) (T, error) {
	client := b.client.Load()
	out, err := call(client)
	if region := bucketRegion(err); region != "" && region != client.Options().Region {
		client = s3Client(b.config, region)
		b.client.Store(client)
		return call(client)
	}
	return out, err
}

var regionName = regexp.MustCompile(`^[a-z]{2,}(-[a-z]+)+-[0-9]+$`)

// bucketRegion returns the region in which S3 says that a bucket is, when it refuses a call; empty
// if it does not say.
func bucketRegion(err error) string {
	refused, ok := errors.AsType[*smithyhttp.ResponseError](err)
	if !ok || refused.Response == nil {
		return ""
	}
	if region := refused.Response.Header.Get("X-Amz-Bucket-Region"); regionName.MatchString(region) {
		return region
	}
	return ""
}

func s3Client(config aws.Config, region string) *s3.Client {
	return S3(config, region, refusePartialObjects)
}

// S3 returns a client for one region that retries often, and checks each answer.
func S3(config aws.Config, region string, check func(*middleware.Stack) error) *s3.Client {
	return s3.NewFromConfig(config, func(o *s3.Options) {
		o.Region, o.Retryer = region, newRetryer()
		// Servers other than AWS's have no host name for each bucket.
		o.UsePathStyle = o.BaseEndpoint != nil
		o.DisableLogOutputChecksumValidationSkipped = true // Not every writer gives one.
		o.APIOptions = append(o.APIOptions, check)
	})
}

// IsWholeListing reports whether S3 has answered ListObjectsV2 in full.
func IsWholeListing(body []byte) bool {
	return bytes.Contains(body, []byte("<ListBucketResult")) && bytes.Contains(body, []byte("<IsTruncated")) &&
		bytes.HasSuffix(bytes.TrimSpace(body), []byte("</ListBucketResult>"))
}

// refusePartialObjects checks every successful answer of S3, because the SDK takes a web page for
// an object, or for an empty listing. An object's content is not read here.
func refusePartialObjects(stack *middleware.Stack) error {
	check := func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (
		middleware.DeserializeOutput, middleware.Metadata, error,
	) {
		out, metadata, err := next.HandleDeserialize(ctx, in)
		response, ok := out.RawResponse.(*smithyhttp.Response)
		if err != nil || !ok || response.StatusCode >= 300 {
			return out, metadata, err
		}
		switch action := awsmiddleware.GetOperationName(ctx); action {
		case "GetObject", "PutObject":
			if response.Header.Get("ETag") == "" {
				err = lackingAnswerError{"S3", action, "ETag"}
			}
		case "ListObjectsV2":
			var body []byte
			body, err = io.ReadAll(response.Body)
			response.Body = io.NopCloser(bytes.NewReader(body))
			if err == nil && !IsWholeListing(body) {
				err = partialAnswerError{action, string(body[:min(len(body), 40)])}
			}
		case "DeleteObject", "GetBucketVersioning", "GetBucketLifecycleConfiguration", "ListObjectVersions":
			err = checkVersioned(action, response)
		default:
			err = fmt.Errorf("nobody knows what a complete answer to %s is", action)
		}
		return out, metadata, err
	}
	return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("RefusePartialObjects", check), middleware.After)
}

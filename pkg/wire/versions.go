package wire

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// VersionedBucket is a bucket of one account whose objects have versions. S3 refuses every request
// if the bucket belongs to another account.
type VersionedBucket struct {
	*Bucket
	owner string // The id of the account.
}

// OpenVersioned returns a bucket of an account. It is not accessed yet.
func OpenVersioned(config aws.Config, name, owner string) VersionedBucket {
	return VersionedBucket{OpenBucket(config, name), owner}
}

// Version is a version of an object, or a delete marker.
type Version struct {
	Key, ID  string
	ETag     string // In quotation marks; empty for a delete marker.
	Size     int64
	Modified time.Time
	IsLatest bool
	IsMarker bool
}

// Versioning says whether the objects of the bucket get versions, and whether a version can only be
// deleted with a second factor.
func (b VersionedBucket) Versioning(ctx context.Context) (enabled, mfa bool, err error) {
	out, err := inItsRegion(b.Bucket, func(client *s3.Client) (*s3.GetBucketVersioningOutput, error) {
		return client.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: &b.name, ExpectedBucketOwner: &b.owner})
	})
	if err != nil {
		return false, false, err
	}
	return out.Status == types.BucketVersioningStatusEnabled, out.MFADelete == types.MFADeleteStatusEnabled, nil
}

// Lifecycle returns the rules by which S3 itself ends objects; none if there are none.
func (b VersionedBucket) Lifecycle(ctx context.Context) ([]types.LifecycleRule, error) {
	out, err := inItsRegion(b.Bucket, func(client *s3.Client) (*s3.GetBucketLifecycleConfigurationOutput, error) {
		return client.GetBucketLifecycleConfiguration(ctx, &s3.GetBucketLifecycleConfigurationInput{Bucket: &b.name, ExpectedBucketOwner: &b.owner})
	})
	if Code(err) == "NoSuchLifecycleConfiguration" {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return out.Rules, nil
}

// Versions returns all versions, and delete markers, of the objects whose keys have a prefix: those
// of one key together, the newest first. More than most are an error.
func (b VersionedBucket) Versions(ctx context.Context, prefix string, most int) ([]Version, error) {
	const action = "s3:ListBucketVersions: "
	var versions []Version
	var tokens Tokens
	input := s3.ListObjectVersionsInput{Bucket: &b.name, Prefix: &prefix, ExpectedBucketOwner: &b.owner}
	for {
		page, err := inItsRegion(b.Bucket, func(client *s3.Client) (*s3.ListObjectVersionsOutput, error) {
			return client.ListObjectVersions(ctx, &input)
		})
		if err != nil {
			return nil, err
		}
		for i := range page.Versions {
			v := &page.Versions[i]
			versions = append(versions, Version{
				Key: aws.ToString(v.Key), ID: aws.ToString(v.VersionId), ETag: aws.ToString(v.ETag), Size: aws.ToInt64(v.Size),
				Modified: aws.ToTime(v.LastModified), IsLatest: aws.ToBool(v.IsLatest),
			})
		}
		for i := range page.DeleteMarkers {
			m := &page.DeleteMarkers[i]
			versions = append(versions, Version{
				Key: aws.ToString(m.Key), ID: aws.ToString(m.VersionId), Modified: aws.ToTime(m.LastModified), IsLatest: aws.ToBool(m.IsLatest), IsMarker: true,
			})
		}
		for _, v := range versions {
			if !strings.HasPrefix(v.Key, prefix) || v.ID == "" {
				return nil, errors.New(action + "the listing has keys without the prefix, or without a version")
			}
		}
		if len(versions) > most {
			return nil, errors.New(action + "there are too many versions")
		}
		next := aws.ToString(page.NextKeyMarker) + "\x00" + aws.ToString(page.NextVersionIdMarker)
		switch {
		case !aws.ToBool(page.IsTruncated):
			return versions, nil
		case next == "\x00":
			return nil, errors.New(action + "the listing ends although there is more")
		}
		if err := tokens.See(&next); err != nil {
			return nil, errors.New(action + err.Error())
		}
		input.KeyMarker, input.VersionIdMarker = page.NextKeyMarker, page.NextVersionIdMarker
	}
}

// ReadVersion reads a small object, and says which version it is. More than most bytes are an
// error.
func (b VersionedBucket) ReadVersion(ctx context.Context, key string, most int64) (content []byte, versionID, etag string, err error) {
	input := s3.GetObjectInput{Bucket: &b.name, Key: &key, ExpectedBucketOwner: &b.owner}
	for range readAttempts {
		var output *s3.GetObjectOutput
		output, err = inItsRegion(b.Bucket, func(client *s3.Client) (*s3.GetObjectOutput, error) { return client.GetObject(ctx, &input) })
		if err != nil {
			return nil, "", "", err
		}
		body := &whole{body: output.Body, left: output.ContentLength}
		content, err = io.ReadAll(io.LimitReader(body, most+1))
		_ = output.Body.Close() // What counts was read before.
		if int64(len(content)) > most {
			return nil, "", "", errors.New("s3:GetObject: it is too large")
		}
		if err == nil {
			return content, aws.ToString(output.VersionId), aws.ToString(output.ETag), nil
		}
	}
	return nil, "", "", err
}

// Hide puts a delete marker in front of an object if its current version has an ETag, and returns
// the id of the marker. S3 keeps all versions (S3 User Guide, "Working with delete markers",
// "Conditional deletes"). inDoubt reports whether S3 may have done it although there is an error.
//
// Only what has had no effect is tried again. After a lost answer, S3 would refuse the next attempt
// as if a person had deleted the object meanwhile; so a refusal here is never ours.
func (b VersionedBucket) Hide(ctx context.Context, key, etag string) (marker string, inDoubt bool, err error) {
	out, err := inItsRegion(b.Bucket, func(client *s3.Client) (*s3.DeleteObjectOutput, error) {
		return client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.name, Key: &key, IfMatch: &etag, ExpectedBucketOwner: &b.owner}, retryRefused)
	})
	if err != nil {
		return "", !hadNoEffect(err), err
	}
	if !aws.ToBool(out.DeleteMarker) || aws.ToString(out.VersionId) == "" {
		return "", true, lackingAnswerError{"S3", "DeleteObject", "delete marker"}
	}
	return *out.VersionId, false, nil
}

// retryRefused retries only throttling, and connections that could not be made.
func retryRefused(o *s3.Options) {
	o.Retryer = retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts, o.MaxBackoff, o.RateLimiter = maxAttempts, maxBackoff, ratelimit.None
		o.Retryables = []retry.IsErrorRetryable{retry.IsErrorRetryableFunc(func(err error) aws.Ternary {
			return aws.BoolTernary(isThrottled(err) || neverArrived(err))
		})}
	})
}

// hadNoEffect reports whether S3 certainly did nothing: it refused the request, or never saw it.
func hadNoEffect(err error) bool {
	refused, ok := errors.AsType[*smithyhttp.ResponseError](err)
	return ok && refused.HTTPStatusCode() >= 400 && refused.HTTPStatusCode() < 500 || isThrottled(err) || neverArrived(err)
}

func isThrottled(err error) bool {
	return retry.IsErrorThrottles(retry.DefaultThrottles).IsErrorThrottle(err) == aws.TrueTernary
}

func neverArrived(err error) bool {
	network, ok := errors.AsType[*net.OpError](err)
	return ok && network.Op == "dial"
}

// Show takes a delete marker away. No version of the object is touched.
func (b VersionedBucket) Show(ctx context.Context, key, marker string) error {
	_, err := inItsRegion(b.Bucket, func(client *s3.Client) (*s3.DeleteObjectOutput, error) {
		return client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.name, Key: &key, VersionId: &marker, ExpectedBucketOwner: &b.owner})
	})
	return err
}

// isWhole reports whether an XML document is there from its root element to its end.
func isWhole(body []byte, root string) bool {
	body = bytes.TrimSpace(body)
	return bytes.Contains(body, []byte("<"+root)) &&
		(bytes.HasSuffix(body, []byte("</"+root+">")) || bytes.HasSuffix(body, []byte("/>")))
}

// checkVersioned returns an error if a successful answer about versions is not complete.
func checkVersioned(action string, response *smithyhttp.Response) error {
	roots := map[string]string{
		"GetBucketVersioning": "VersioningConfiguration", "GetBucketLifecycleConfiguration": "LifecycleConfiguration", "ListObjectVersions": "ListVersionsResult",
	}
	if action == "DeleteObject" {
		if response.StatusCode != http.StatusNoContent {
			return lackingAnswerError{"S3", action, "status 204"}
		}
		return nil
	}
	body, err := io.ReadAll(response.Body)
	response.Body = io.NopCloser(bytes.NewReader(body))
	if err == nil && (!isWhole(body, roots[action]) || action == "ListObjectVersions" && !bytes.Contains(body, []byte("<IsTruncated"))) {
		err = partialAnswerError{action, string(body[:min(len(body), 40)])}
	}
	return err
}

package emulator_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/ami-janitor/ami-janitor/pkg/emulator"
)

func s3Of(a *emulator.Account) *s3.Client {
	return s3.NewFromConfig(aws.Config{Region: "us-east-1", HTTPClient: a.Client(), Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")})
}

// versioned is a bucket whose objects have versions, with a deletion, an older version and a rule.
func versioned(t *testing.T) *emulator.Account {
	t.Helper()
	a := load(t, directory(
		"s3/bucket/a", "first", "s3/bucket/b", "b",
		"s3-buckets.json", `{"Buckets": [{"Name": "bucket", "Versioning": {"Status": "Enabled"}, "Rules": [{"ID": "one", "Status": "Enabled",
			"Filter": {"And": {"Prefix": "x", "Tags": [{"Key": "k", "Value": "v"}]}}, "NoncurrentVersionExpiration": {"NoncurrentDays": 3}}]}]}`,
	))
	client := s3Of(a)
	if _, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("bucket"), Key: aws.String("a"), Body: strings.NewReader("second")}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String("bucket"), Key: aws.String("a")}); err != nil {
		t.Fatal(err)
	}
	return a
}

// A deletion hides an object, and takes nothing away; what is saved and loaded again is the same.
func TestVersions(t *testing.T) {
	a := versioned(t)
	for range 2 {
		versions := a.Versions("bucket")["a"]
		if len(versions) != 3 || !versions[0].IsMarker || versions[1].IsMarker || versions[2].ID == "null" || len(a.Objects("bucket")) != 1 {
			t.Fatalf("%v, %v", versions, a.Objects("bucket"))
		}
		saved := load(t, save(t, a))
		equal(t, "versions", saved.Versions("bucket"), a.Versions("bucket"))
		client := s3Of(saved)
		rules, err := client.GetBucketLifecycleConfiguration(t.Context(), &s3.GetBucketLifecycleConfigurationInput{Bucket: aws.String("bucket")})
		if err != nil || len(rules.Rules) != 1 || *rules.Rules[0].Filter.And.Prefix != "x" || *rules.Rules[0].Filter.And.Tags[0].Key != "k" || *rules.Rules[0].NoncurrentVersionExpiration.NoncurrentDays != 3 {
			t.Fatalf("%+v, %v", rules, err)
		}
		a = saved
	}
	client := s3Of(a)
	marker := a.Versions("bucket")["a"][0].ID
	if _, err := client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String("bucket"), Key: aws.String("a"), VersionId: &marker}); err != nil {
		t.Fatal(err)
	}
	equal(t, "content", string(a.Objects("bucket")["a"]), "second")
	second := a.Versions("bucket")["a"][0].ID
	if _, err := client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String("bucket"), Key: aws.String("a"), VersionId: &second}); err != nil {
		t.Fatal(err)
	}
	equal(t, "content", string(a.Objects("bucket")["a"]), "first")
}

// The listing of versions comes in pages, and says which is the latest.
func TestVersionsAreListedInPages(t *testing.T) {
	client := s3Of(versioned(t))
	for _, size := range []int32{1, 2, 3, 1000} {
		var listed []string
		input := s3.ListObjectVersionsInput{Bucket: aws.String("bucket"), MaxKeys: &size}
		for {
			page, err := client.ListObjectVersions(t.Context(), &input)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range page.DeleteMarkers {
				listed = append(listed, "marker "+*m.Key)
			}
			for _, v := range page.Versions {
				latest := ""
				if *v.IsLatest {
					latest = "latest "
				}
				listed = append(listed, latest+*v.Key)
			}
			if !*page.IsTruncated {
				break
			}
			input.KeyMarker, input.VersionIdMarker = page.NextKeyMarker, page.NextVersionIdMarker
		}
		slices.Sort(listed)
		equal(t, "listing", listed, []string{"a", "a", "latest b", "marker a"})
	}
}

// Suspended, a deletion replaces the version that has no id, for good.
func TestSuspendedVersions(t *testing.T) {
	a := load(t, directory("s3/bucket/a", "first"))
	client := s3Of(a)
	a.SetVersioning("bucket", "Suspended")
	if _, err := client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String("bucket"), Key: aws.String("a")}); err != nil {
		t.Fatal(err)
	}
	if versions := a.Versions("bucket")["a"]; len(versions) != 1 || !versions[0].IsMarker || versions[0].ID != "null" {
		t.Errorf("%v", versions)
	}
}

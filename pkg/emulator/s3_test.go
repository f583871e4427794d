package emulator_test

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
)

const records = "amzn-s3-demo-bucket"

// s3Client sends checksums after the body, and wants them with the answer, as the SDK's default
// configuration does.
func s3Client(client emulator.Doer, options ...func(*s3.Options)) *s3.Client {
	c := config(client)
	c.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenSupported
	c.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenSupported
	return s3.NewFromConfig(c, options...)
}

func pathStyle(o *s3.Options) { o.UsePathStyle = true }

func put(t testing.TB, client *s3.Client, key, content string, options ...func(*s3.PutObjectInput)) (*s3.PutObjectOutput, error) {
	t.Helper()
	in := &s3.PutObjectInput{Bucket: aws.String(records), Key: &key, Body: strings.NewReader(content)}
	for _, option := range options {
		option(in)
	}
	return client.PutObject(t.Context(), in)
}

func get(t testing.TB, client *s3.Client, key string) (string, *s3.GetObjectOutput, error) {
	t.Helper()
	out, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(records), Key: &key})
	if err != nil {
		return "", nil, err
	}
	content, err := io.ReadAll(out.Body)
	return string(content), out, err
}

func must[T any](t testing.TB) func(T, error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// Keys that a bad reader of paths would lose.
var difficultKeys = []string{
	"a", "a/b", "/a", "a//b", "a/", "a b+c%20d", "ä/€/😀", "../x", "a?b=c&d#e", "~!*'()", "plan-eu-west-1.json", "=:@,;$",
}

func TestObjectsInEveryStyle(t *testing.T) {
	server := func(a *emulator.Account, host string) func(*s3.Options) {
		s := httptest.NewServer(a)
		t.Cleanup(s.Close)
		return func(o *s3.Options) {
			o.HTTPClient = s.Client()
			u := must[*url.URL](t)(url.Parse(s.URL))
			o.BaseEndpoint = aws.String("http://" + host + ":" + u.Port())
			o.UsePathStyle = true
		}
	}
	endpoint := func(e string) func(*emulator.Account) func(*s3.Options) {
		return func(*emulator.Account) func(*s3.Options) {
			return func(o *s3.Options) { o.BaseEndpoint = aws.String(e) }
		}
	}
	for name, option := range map[string]func(*emulator.Account) func(*s3.Options){
		"virtual host": func(*emulator.Account) func(*s3.Options) { return func(*s3.Options) {} },
		"path":         func(*emulator.Account) func(*s3.Options) { return pathStyle },
		"dual stack": func(*emulator.Account) func(*s3.Options) {
			return func(o *s3.Options) { o.EndpointOptions.UseDualStackEndpoint = aws.DualStackEndpointStateEnabled }
		},
		"China":                    func(*emulator.Account) func(*s3.Options) { return func(o *s3.Options) { o.Region = "cn-north-1" } },
		"host of a local endpoint": endpoint("http://localhost:8080"),
		"loopback":                 endpoint("http://127.0.0.1:8080"),
		"over a socket":            func(a *emulator.Account) func(*s3.Options) { return server(a, "127.0.0.1") },
		"without checksums": func(*emulator.Account) func(*s3.Options) {
			return func(o *s3.Options) { o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired }
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := load(t, directory())
			client := s3Client(a.Client(), option(a))
			want := map[string]string{}
			for i, key := range difficultKeys {
				content := strings.Repeat(key, 1+i*3000)
				must[*s3.PutObjectOutput](t)(put(t, client, key, content))
				want[key] = content
				got, out, err := get(t, client, key)
				if err != nil || got != content {
					t.Errorf("%q: %d bytes of %d, %v", key, len(got), len(content), err)
				}
				equal(t, "length", aws.ToInt64(out.ContentLength), int64(len(content)))
				if !out.LastModified.Equal(now) {
					t.Errorf("last modified %s", out.LastModified)
				}
				head := must[*s3.HeadObjectOutput](t)(client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String(records), Key: &key}))
				equal(t, "length in the head", aws.ToInt64(head.ContentLength), int64(len(content)))
				equal(t, "ETag", aws.ToString(head.ETag), aws.ToString(out.ETag))
			}
			held := map[string]string{} // Of strings, which compare faster than slices of bytes.
			for key, content := range a.Objects(records) {
				held[key] = string(content)
			}
			equal(t, "objects", held, want)
			listed := must[*s3.ListObjectsV2Output](t)(client.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String(records)}))
			equal(t, "keys", keys(listed), slices.Sorted(maps.Keys(want)))
			for key := range want {
				must[*s3.DeleteObjectOutput](t)(client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String(records), Key: &key}))
				_, _, err := get(t, client, key)
				if _, ok := errors.AsType[*types.NoSuchKey](err); !ok {
					t.Errorf("%q after its deletion: %v", key, err)
				}
			}
			equal(t, "what is left", len(a.Objects(records)), 0)
		})
	}
}

func keys(out *s3.ListObjectsV2Output) []string {
	var names []string
	for _, o := range out.Contents {
		names = append(names, aws.ToString(o.Key))
	}
	return names
}

func TestObjectsAreCopies(t *testing.T) {
	a := load(t, directory())
	must[*s3.PutObjectOutput](t)(put(t, s3Client(a.Client()), "k", "content"))
	a.Objects(records)["k"][0] = 'X'
	equal(t, "content", string(a.Objects(records)["k"]), "content")
	equal(t, "another bucket", len(a.Objects("another-bucket")), 0)
}

func TestConditionalWrites(t *testing.T) {
	absent := func(in *s3.PutObjectInput) { in.IfNoneMatch = aws.String("*") }
	a := load(t, directory())
	client := s3Client(a.Client())
	first := must[*s3.PutObjectOutput](t)(put(t, client, "lock", "one", absent))
	_, err := put(t, client, "lock", "two", absent)
	equal(t, "a second creation", code(err), "PreconditionFailed")
	equal(t, "its status", status(err), http.StatusPreconditionFailed)

	same := func(etag *string) func(*s3.PutObjectInput) { return func(in *s3.PutObjectInput) { in.IfMatch = etag } }
	second := must[*s3.PutObjectOutput](t)(put(t, client, "lock", "two", same(first.ETag)))
	_, err = put(t, client, "lock", "three", same(first.ETag))
	equal(t, "a change of what has changed", code(err), "PreconditionFailed")
	_, err = put(t, client, "another", "x", same(first.ETag))
	equal(t, "a change of what is not there", code(err), "NoSuchKey")
	_, err = put(t, client, "lock", "x", func(in *s3.PutObjectInput) { in.IfNoneMatch = first.ETag })
	equal(t, "a condition that S3 does not take", code(err), "NotImplemented")
	equal(t, "content", string(a.Objects(records)["lock"]), "two")

	remove := func(key string, etag *string) error {
		_, err := client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String(records), Key: &key, IfMatch: etag})
		return err
	}
	equal(t, "a deletion of what has changed", code(remove("lock", first.ETag)), "PreconditionFailed")
	equal(t, "a deletion on condition", remove("lock", second.ETag), nil)
	equal(t, "a deletion of what is gone, on condition", code(remove("lock", second.ETag)), "NoSuchKey")
	equal(t, "a deletion of what is gone", remove("lock", nil), nil)
	must[*s3.PutObjectOutput](t)(put(t, client, "lock", "three", absent))
}

// Reads are conditional, too, and may be partial.
func TestReads(t *testing.T) {
	a := load(t, directory())
	client := s3Client(a.Client())
	stored := must[*s3.PutObjectOutput](t)(put(t, client, "k", "0123456789", func(in *s3.PutObjectInput) {
		in.ContentType, in.Metadata = aws.String("application/json"), map[string]string{"run": "r1"}
	}))
	read := func(option func(*s3.GetObjectInput)) (string, string) {
		in := &s3.GetObjectInput{Bucket: aws.String(records), Key: aws.String("k")}
		option(in)
		out, err := client.GetObject(t.Context(), in)
		if err != nil {
			return "", code(err)
		}
		content, err := io.ReadAll(out.Body)
		return string(content), code(err)
	}
	for spec, want := range map[string][2]string{
		"bytes=0-3": {"0123"}, "bytes=8-": {"89"}, "bytes=8-99": {"89"}, "bytes=-3": {"789"}, "bytes=-99": {"0123456789"},
		"bytes=10-": {"", "InvalidRange"}, "bytes=-0": {"", "InvalidRange"}, "bytes=3-2": {"0123456789"}, "bytes=0-1,3-4": {"0123456789"}, "lines=1": {"0123456789"},
	} {
		content, failed := read(func(in *s3.GetObjectInput) { in.Range = aws.String(spec) })
		equal(t, spec, [2]string{content, failed}, want)
	}
	_, failed := read(func(in *s3.GetObjectInput) { in.IfNoneMatch = stored.ETag })
	equal(t, "unchanged", failed, "NotModified")
	_, failed = read(func(in *s3.GetObjectInput) { in.IfMatch = aws.String(`"0"`) })
	equal(t, "changed", failed, "PreconditionFailed")
	_, failed = read(func(in *s3.GetObjectInput) { in.VersionId = aws.String("1") })
	equal(t, "a version", failed, "NotImplemented")
	_, out, err := get(t, client, "k")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "content type", aws.ToString(out.ContentType), "application/json")
	equal(t, "encoding", aws.ToString(out.ContentEncoding), "")
	equal(t, "metadata", out.Metadata, map[string]string{"run": "r1"})
	if out.ChecksumCRC32 == nil {
		t.Error("no checksum of the kind that was sent")
	}
	_, err = client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String(records), Key: aws.String("absent")})
	if _, ok := errors.AsType[*types.NotFound](err); !ok {
		t.Errorf("the head of what is not there: %v", err)
	}
}

func TestListingsGoByUTF8AndInPages(t *testing.T) {
	a := load(t, directory())
	client := s3Client(a.Client())
	var all []string
	for i := range 2100 {
		all = append(all, fmt.Sprintf("runs/%d", i))
	}
	all = append(all, "runs/\uff5e", "runs/😀", "runs", "removals/eu-west-1/ami-1/r1.json", "removals/eu-west-1/ami-2/r1.json", "removals/x")
	for _, key := range all {
		must[*s3.PutObjectOutput](t)(put(t, client, key, ""))
	}
	// Go's order of strings is that of their UTF-8 bytes; in UTF-16, an emoji came first.
	slices.Sort(all)
	list := func(in s3.ListObjectsV2Input) (keys, prefixes []string, pages int) {
		in.Bucket = aws.String(records)
		for p := s3.NewListObjectsV2Paginator(client, &in); p.HasMorePages(); pages++ {
			out, err := p.NextPage(t.Context())
			if err != nil || pages > len(all) {
				t.Fatalf("page %d: %v", pages+1, err)
			}
			equal(t, "key count", int(aws.ToInt32(out.KeyCount)), len(out.Contents)+len(out.CommonPrefixes))
			for _, o := range out.Contents {
				keys = append(keys, aws.ToString(o.Key))
			}
			for _, p := range out.CommonPrefixes {
				prefixes = append(prefixes, aws.ToString(p.Prefix))
			}
		}
		return keys, prefixes, pages
	}
	got, _, pages := list(s3.ListObjectsV2Input{})
	equal(t, "all", got, all)
	equal(t, "pages", pages, 3)
	got, _, pages = list(s3.ListObjectsV2Input{MaxKeys: aws.Int32(1 << 20), EncodingType: types.EncodingTypeUrl})
	equal(t, "pages of more than 1,000", pages, 3)
	equal(t, "with encoded names", len(got), len(all))
	got, _, _ = list(s3.ListObjectsV2Input{Prefix: aws.String("runs/20"), StartAfter: aws.String("runs/2095")})
	equal(t, "after a key", got, []string{"runs/2096", "runs/2097", "runs/2098", "runs/2099"})
	got, prefixes, pages := list(s3.ListObjectsV2Input{Delimiter: aws.String("/"), MaxKeys: aws.Int32(1)})
	equal(t, "keys at the top", got, []string{"runs"})
	equal(t, "prefixes at the top", prefixes, []string{"removals/", "runs/"})
	equal(t, "pages of one", pages, 3)
	_, prefixes, _ = list(s3.ListObjectsV2Input{Delimiter: aws.String("/"), Prefix: aws.String("removals/eu-west-1/")})
	equal(t, "below", prefixes, []string{"removals/eu-west-1/ami-1/", "removals/eu-west-1/ami-2/"})
	got, _, pages = list(s3.ListObjectsV2Input{Prefix: aws.String("nothing")})
	equal(t, "nothing", len(got)+pages, 1)
	out := must[*s3.ListObjectsV2Output](t)(client.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String(records), MaxKeys: aws.Int32(0)}))
	equal(t, "zero keys", len(out.Contents)+int(aws.ToInt32(out.KeyCount)), 0)
	equal(t, "more than zero keys", aws.ToBool(out.IsTruncated), false)
	_, err := client.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String(records), ContinuationToken: aws.String("x")})
	equal(t, "a token of somebody else's", code(err), "InvalidArgument")
}

// A bucket is in the region where it got its first object.
func TestABucketIsInOneRegion(t *testing.T) {
	a := load(t, directory())
	there := s3Client(a.Client(), func(o *s3.Options) { o.Region = "eu-west-1" })
	out := must[*s3.ListObjectsV2Output](t)(s3Client(a.Client()).ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String(records)}))
	equal(t, "a bucket that has never been named", len(out.Contents), 0)
	must[*s3.PutObjectOutput](t)(put(t, there, "k", "x"))
	_, _, err := get(t, s3Client(a.Client()), "k")
	equal(t, "from another region", code(err), "PermanentRedirect")
	_, err = there.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(records), Key: aws.String("k"), ExpectedBucketOwner: aws.String(other)})
	equal(t, "of another owner", code(err), "AccessDenied")
	_, err = there.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(records), Key: aws.String("k"), ExpectedBucketOwner: aws.String(self)})
	equal(t, "of the owner", code(err), "")
}

func TestFaultsOfS3(t *testing.T) {
	a := load(t, directory())
	plain := s3Client(a.Client())
	must[*s3.PutObjectOutput](t)(put(t, plain, "k", "old"))
	_, err := put(t, s3Client(disturb.Deny(a.Client(), "PutObject")), "k", "new")
	equal(t, "denied", code(err), "AccessDenied")
	_, err = s3Client(disturb.Deny(a.Client(), "HeadObject")).HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String(records), Key: aws.String("k")})
	equal(t, "a denied head, which has no body", code(err), "Forbidden")
	_, err = put(t, s3Client(disturb.Fail(a.Client(), "PutObject", func(_ int, r emulator.Request) bool {
		return r.Form.Get("Key") == "k" && r.Form.Get("Bucket") == records && r.Service == "s3" && r.Region == "us-east-1"
	}, http.StatusConflict, "ConditionalRequestConflict", "A conflict.")), "k", "new")
	equal(t, "failed", code(err), "ConditionalRequestConflict")
	equal(t, "content after what had no effect", string(a.Objects(records)["k"]), "old")
	if _, err = put(t, s3Client(disturb.LoseAnswer(a.Client(), "PutObject", nil)), "k", "new"); err == nil {
		t.Error("the answer was not lost")
	}
	equal(t, "content after a lost answer", string(a.Objects(records)["k"]), "new")
	if _, err = plain.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String(records)}); err != nil {
		t.Error(err)
	}
	if _, err = s3Client(disturb.Garble(a.Client(), "ListObjectsV2", nil)).ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String(records)}); err == nil {
		t.Error("a web page was taken for a listing")
	}
	calls := a.Calls()
	equal(t, "the last call", calls[len(calls)-1], emulator.Call{Service: "s3", Region: "us-east-1", Action: "ListObjectsV2", Status: 200})
}

// racing is a body that somebody else's write overtakes.
type racing struct {
	io.Reader
	write func()
}

func (r racing) Read(p []byte) (int, error) {
	r.write()
	return r.Reader.Read(p)
}

func s3Request(method, target string, body io.Reader, header ...string) *http.Request {
	r := httptest.NewRequest(method, target, body)
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261123/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

func s3Answer(t testing.TB, a http.Handler, r *http.Request) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	if w.Code < 300 || r.Method == http.MethodHead || w.Code == http.StatusNotModified {
		return w.Code, ""
	}
	var e struct {
		XMLName xml.Name `xml:"Error"`
		Code    string
	}
	if err := xml.Unmarshal(w.Body.Bytes(), &e); err != nil || e.Code == "" {
		t.Errorf("%s %s: %d %s: %v", r.Method, r.URL, w.Code, w.Body, err)
	}
	return w.Code, e.Code
}

func TestAConflictDuringAnUpload(t *testing.T) {
	a := load(t, directory())
	other := func() {
		must[*s3.PutObjectOutput](t)(put(t, s3Client(a.Client()), "k", "theirs"))
	}
	slow := s3Request("PUT", "/"+records+"/k", racing{strings.NewReader("ours"), other}, "If-None-Match", "*")
	slow.ContentLength = 4
	_, failed := s3Answer(t, a, slow)
	equal(t, "the slower one", failed, "ConditionalRequestConflict")
	equal(t, "content", string(a.Objects(records)["k"]), "theirs")
}

func TestUploads(t *testing.T) {
	const unsigned = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	tests := map[string]struct {
		body   string
		header []string
		want   string // "" for success
	}{
		"plain":                     {"hello", nil, ""},
		"its MD5":                   {"hello", []string{"Content-MD5", "XUFAKrxLKna5cZ2REBfFkg=="}, ""},
		"another MD5":               {"hellx", []string{"Content-MD5", "XUFAKrxLKna5cZ2REBfFkg=="}, "BadDigest"},
		"no MD5":                    {"hello", []string{"Content-MD5", "x"}, "InvalidDigest"},
		"its SHA-256":               {"hello", []string{"X-Amz-Content-Sha256", "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"}, ""},
		"another SHA-256":           {"hellx", []string{"X-Amz-Content-Sha256", "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"}, "XAmzContentSHA256Mismatch"},
		"its CRC32":                 {"hello", []string{"X-Amz-Checksum-Crc32", "NhCmhg=="}, ""},
		"another CRC32":             {"hellx", []string{"X-Amz-Checksum-Crc32", "NhCmhg=="}, "BadDigest"},
		"a CRC32 that is too short": {"hello", []string{"X-Amz-Checksum-Crc32", "NhCm"}, "InvalidRequest"},
		"its CRC64NVME":             {"123456789", []string{"X-Amz-Checksum-Crc64nvme", "rosUhgp5mIg="}, ""},
		"its CRC32C":                {"123456789", []string{"X-Amz-Checksum-Crc32c", "4waSgw=="}, ""},
		"two checksums":             {"hello", []string{"X-Amz-Checksum-Crc32", "NhCmhg==", "X-Amz-Checksum-Crc32c", "mnG7TA=="}, "InvalidRequest"},
		"a checksum unknown here":   {"hello", []string{"X-Amz-Checksum-Xxhash64", "AAAAAAAAAAA="}, "NotImplemented"},
		"chunks with a trailer": {
			"3\r\nhel\r\n2\r\nlo\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n",
			[]string{"X-Amz-Content-Sha256", unsigned, "X-Amz-Decoded-Content-Length", "5", "X-Amz-Trailer", "x-amz-checksum-crc32", "Content-Encoding", "aws-chunked"},
			"",
		},
		"chunks with signatures": {
			"5;chunk-signature=0\r\nhello\r\n0;chunk-signature=0\r\n\r\n",
			[]string{"X-Amz-Content-Sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "X-Amz-Decoded-Content-Length", "5", "Content-Encoding", "aws-chunked"},
			"",
		},
		"another trailer": {
			"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n",
			[]string{"X-Amz-Content-Sha256", unsigned, "X-Amz-Decoded-Content-Length", "5", "X-Amz-Trailer", "x-amz-checksum-crc32"},
			"BadDigest",
		},
		"no trailer": {
			"5\r\nhello\r\n0\r\n\r\n",
			[]string{"X-Amz-Content-Sha256", unsigned, "X-Amz-Decoded-Content-Length", "5", "X-Amz-Trailer", "x-amz-checksum-crc32"},
			"MalformedTrailerError",
		},
		"chunks that end too soon": {
			"5\r\nhel", []string{"X-Amz-Content-Sha256", unsigned, "X-Amz-Decoded-Content-Length", "5"}, "IncompleteBody",
		},
		"no last chunk": {
			"5\r\nhello\r\n", []string{"X-Amz-Content-Sha256", unsigned, "X-Amz-Decoded-Content-Length", "5"}, "IncompleteBody",
		},
		"another length": {
			"5\r\nhello\r\n0\r\n\r\n", []string{"X-Amz-Content-Sha256", unsigned, "X-Amz-Decoded-Content-Length", "6"}, "IncompleteBody",
		},
		"what is not emulated": {"hello", []string{"X-Amz-Acl", "public-read"}, "NotImplemented"},
		"a copy":               {"", []string{"X-Amz-Copy-Source", "a/b"}, "NotImplemented"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			a := load(t, directory())
			_, failed := s3Answer(t, a, s3Request("PUT", "/"+records+"/k", strings.NewReader(test.body), test.header...))
			equal(t, "error", failed, test.want)
			got := string(a.Objects(records)["k"])
			if want := "hello"; failed == "" && got != want && got != "123456789" || failed != "" && got != "" {
				t.Errorf("stored %q", got)
			}
		})
	}
}

func TestWhatS3Refuses(t *testing.T) {
	tests := map[string]struct {
		method, target string
		status         int
		code, action   string
	}{
		"no bucket":             {"GET", "/", 501, "NotImplemented", "REST.GET.SERVICE"},
		"a bucket's settings":   {"GET", "/" + records + "?acl", 501, "NotImplemented", "REST.GET.BUCKET"},
		"an object's tags":      {"GET", "/" + records + "/k?tagging", 501, "NotImplemented", "GetObject"},
		"many at once":          {"POST", "/" + records + "?delete", 501, "NotImplemented", "REST.POST.BUCKET"},
		"parts":                 {"POST", "/" + records + "/k?uploads", 501, "NotImplemented", "REST.POST.OBJECT"},
		"a name in capitals":    {"GET", "/Records/k", 400, "InvalidBucketName", "GetObject"},
		"a name that is short":  {"GET", "/ab/k", 400, "InvalidBucketName", "GetObject"},
		"a key that is long":    {"GET", "/" + records + "/" + strings.Repeat("k", 1025), 400, "KeyTooLongError", "GetObject"},
		"a count that is none":  {"GET", "/" + records + "?list-type=2&max-keys=x", 400, "InvalidArgument", "ListObjectsV2"},
		"an encoding":           {"GET", "/" + records + "?list-type=2&encoding-type=x", 400, "InvalidArgument", "ListObjectsV2"},
		"the owners of objects": {"GET", "/" + records + "?list-type=2&fetch-owner=true", 501, "NotImplemented", "ListObjectsV2"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			a := load(t, directory())
			status, failed := s3Answer(t, a, s3Request(test.method, test.target, nil))
			equal(t, "status", status, test.status)
			equal(t, "code", failed, test.code)
			equal(t, "call", a.Calls()[0], emulator.Call{Service: "s3", Region: "us-east-1", Action: test.action, Status: test.status, Code: test.code})
		})
	}
}

// A body whose length is not known has to be chunked as AWS does it.
func TestALengthIsNeeded(t *testing.T) {
	a := load(t, directory())
	r := s3Request("PUT", "/"+records+"/k", strings.NewReader("x"))
	r.ContentLength = -1
	status, failed := s3Answer(t, a, r)
	equal(t, "status", status, http.StatusLengthRequired)
	equal(t, "code", failed, "MissingContentLength")
	r = s3Request("PUT", "/"+records+"/k", strings.NewReader("x"))
	r.ContentLength = 2
	_, failed = s3Answer(t, a, r)
	equal(t, "a connection that breaks", failed, "IncompleteBody")
}

// Of several that create the same object at once, one does.
func TestOneOfManyCreates(t *testing.T) {
	a := load(t, directory())
	server := httptest.NewServer(a)
	defer server.Close()
	won := make(chan string, 8)
	for i := range cap(won) {
		go func() {
			client := s3Client(server.Client(), pathStyle, func(o *s3.Options) { o.BaseEndpoint = aws.String(server.URL) })
			who := fmt.Sprint(i)
			_, err := client.PutObject(context.Background(), &s3.PutObjectInput{
				Bucket: aws.String(records), Key: aws.String("lock"), Body: strings.NewReader(who), IfNoneMatch: aws.String("*"),
			})
			switch code(err) {
			case "":
				won <- who
			case "PreconditionFailed", "ConditionalRequestConflict":
				won <- ""
			default:
				t.Error(err)
				won <- ""
			}
		}()
	}
	var winners []string
	for range cap(won) {
		if who := <-won; who != "" {
			winners = append(winners, who)
		}
	}
	if len(winners) != 1 || string(a.Objects(records)["lock"]) != winners[0] {
		t.Errorf("won by %v, held by %s", winners, a.Objects(records)["lock"])
	}
}

func FuzzS3Requests(f *testing.F) {
	f.Add("GET", "/amzn-s3-demo-bucket/k", "Range: bytes=0-3", []byte(nil))
	f.Add("GET", "/amzn-s3-demo-bucket?list-type=2&prefix=a&delimiter=/&max-keys=1&encoding-type=url&start-after=%00", "", []byte(nil))
	f.Add("GET", "/amzn-s3-demo-bucket?list-type=2&continuation-token=YWZ0ZXIgYQ==", "Host: x.s3.amazonaws.com", []byte(nil))
	f.Add("PUT", "/amzn-s3-demo-bucket/a/b%00%ff", "If-None-Match: *", []byte("x"))
	f.Add("PUT", "/amzn-s3-demo-bucket/k", "X-Amz-Content-Sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER\nX-Amz-Decoded-Content-Length: 5\nX-Amz-Trailer: x-amz-checksum-crc32",
		[]byte("5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n"))
	f.Add("DELETE", "/k", "Host: amzn-s3-demo-bucket.s3.us-east-1.amazonaws.com\nIf-Match: \"0\"", []byte(nil))
	f.Add("POST", "/amzn-s3-demo-bucket?delete", "Content-MD5: x", []byte("<Delete/>"))
	f.Fuzz(func(t *testing.T, method, target, header string, body []byte) {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			return
		}
		a := load(t, directory())
		must[*s3.PutObjectOutput](t)(put(t, s3Client(a.Client()), "a/\u0001\ufffe", "0123456789"))
		must[*s3.PutObjectOutput](t)(put(t, s3Client(a.Client()), "k", "0123456789"))
		r := s3Request("GET", "/", bytes.NewReader(body))
		r.Method, r.URL = method, u
		for line := range strings.SplitSeq(header, "\n") {
			if name, value, ok := strings.Cut(line, ":"); ok && !strings.EqualFold(name, "Authorization") {
				r.Header.Set(name, strings.TrimSpace(value))
			}
		}
		r.Host = r.Header.Get("Host")
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r)
		if strings.HasPrefix(u.Path, "/_ami-janitor/") {
			return
		}
		logged := a.Calls()[2]
		if logged.Service != "s3" || logged.Action == "" || logged.Status != w.Code || (logged.Code == "") != (w.Code < 300) {
			t.Errorf("%d, logged as %+v", w.Code, logged)
		}
		if w.Body.Len() == 0 || w.Code < 300 && logged.Action != "ListObjectsV2" {
			return
		}
		var read struct {
			XMLName xml.Name
			Code    string
		}
		if err := xml.Unmarshal(w.Body.Bytes(), &read); err != nil || (w.Code >= 300) != (read.XMLName.Local == "Error") || read.Code != logged.Code {
			t.Errorf("%d %s: %v", w.Code, w.Body, err)
		}
		_, again := s3Answer(t, a, s3Request("GET", "/"+records+"/k", nil))
		if again != "" && again != "NoSuchKey" {
			t.Errorf("the next request: %s", again)
		}
	})
}

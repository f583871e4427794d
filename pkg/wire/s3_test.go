package wire_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

var made = time.Date(2026, time.November, 23, 2, 0, 0, 0, time.UTC)

// inBuckets is an account with objects in S3.
func inBuckets(t *testing.T, objects map[string]string) *emulator.Account {
	t.Helper()
	files := fstest.MapFS{"get-caller-identity.json": {Data: []byte(`{"Account": "123456789012"}`)}}
	for name, content := range objects {
		files["s3/"+name] = &fstest.MapFile{Data: []byte(content)}
	}
	a, err := emulator.Load(files, emulator.Options{Now: func() time.Time { return made }})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// bucketOf is the bucket "states", seen from a region.
func bucketOf(doer emulator.Doer, region string) *wire.Bucket {
	return wire.OpenBucket(aws.Config{
		Region: region, HTTPClient: doer, Credentials: credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "secret", ""),
	}, "states")
}

// pagesOfTwo makes every listing page after two keys.
func pagesOfTwo(next emulator.Doer) emulator.Doer {
	return emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
		if query := r.URL.Query(); query.Get("list-type") == "2" {
			query.Set("max-keys", "2")
			r = r.Clone(r.Context())
			r.URL.RawQuery = query.Encode()
		}
		return next.Do(r)
	})
}

func read(t *testing.T, b *wire.Bucket, key string) (string, error) {
	t.Helper()
	var text string
	_, err := b.Read(t.Context(), key, func(content io.Reader) error {
		data, err := io.ReadAll(content)
		text = string(data)
		return err
	})
	return text, err
}

// A bucket is read in its own region, to the end of its listing, and of each object.
func TestABucketIsReadToItsEnd(t *testing.T) {
	objects := map[string]string{"states/b": "other"}
	for n := range 7 {
		objects[fmt.Sprint("states/a/", n)] = fmt.Sprint("text ", n)
	}
	a := inBuckets(t, objects)
	for _, region := range []string{"us-east-1", "eu-west-1"} {
		b := bucketOf(pagesOfTwo(a.Client()), region)
		listed, err := b.List(t.Context(), "a/")
		if err != nil || len(listed) != 7 || listed[6].Key != "a/6" || listed[6].Size != 6 || !listed[6].Modified.Equal(made) {
			t.Errorf("%s: %+v, %v", region, listed, err)
		}
		if text, err := read(t, bucketOf(a.Client(), region), "a/3"); text != "text 3" || err != nil {
			t.Errorf("%s: %q, %v", region, text, err)
		}
		if listed, err := b.List(t.Context(), "none/"); err != nil || len(listed) != 0 {
			t.Errorf("%s: %+v, %v", region, listed, err)
		}
	}
}

// Whatever is not the whole listing, or the whole object, is an error.
func TestABucketThatIsNotReadToItsEnd(t *testing.T) {
	objects := map[string]string{"states/a/1": "text", "states/a/2": "text", "states/a/3": "text"}
	second := func(n int, _ emulator.Request) bool { return n > 1 }
	cut := func(next emulator.Doer) emulator.Doer {
		return emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
			response, err := next.Do(r)
			if err == nil {
				response.Body = io.NopCloser(io.LimitReader(response.Body, 2))
			}
			return response, err
		})
	}
	for name, c := range map[string]struct {
		fault      func(emulator.Doer) emulator.Doer
		list, read string // What the errors say; empty if there is none.
	}{
		"denied": {func(d emulator.Doer) emulator.Doer { return disturb.Deny(d, "ListObjectsV2", "GetObject") }, "s3:ListBucket: AccessDenied", "s3:GetObject: AccessDenied"},
		"garbled": {func(d emulator.Doer) emulator.Doer {
			return disturb.Garble(disturb.Garble(d, "GetObject", nil), "ListObjectsV2", nil)
		}, "not a complete answer", "without ETag"},
		"cut": {cut, "not a complete answer", "another length"},
		"throttled at page 2": {func(d emulator.Doer) emulator.Doer {
			return disturb.Fail(d, "ListObjectsV2", second, 503, "SlowDown", "Please reduce your request rate.")
		}, "SlowDown", ""},
		"garbled at page 2": {func(d emulator.Doer) emulator.Doer { return disturb.Garble(d, "ListObjectsV2", second) }, "not a complete answer", ""},
		"denied at page 2": {func(d emulator.Doer) emulator.Doer {
			return disturb.Fail(d, "ListObjectsV2", second, 403, "AccessDenied", "Access Denied")
		}, "AccessDenied", ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := bucketOf(c.fault(pagesOfTwo(inBuckets(t, objects).Client())), "us-east-1")
			_, err := b.List(t.Context(), "a/")
			if err == nil || !strings.Contains(wire.ExplainLookup(err), c.list) {
				t.Errorf("%s: listing: %v, want %s", name, err, c.list)
			}
			text, err := read(t, b, "a/1")
			if (err == nil) != (c.read == "") || err != nil && !strings.Contains(wire.ExplainLookup(err), c.read) {
				t.Errorf("%s: reading: %q, %v, want %s", name, text, err, c.read)
			}
		})
	}
}

// Content that breaks off once is read again.
func TestAnObjectThatBreaksOff(t *testing.T) {
	a := inBuckets(t, map[string]string{"states/a": "0123456789"})
	var calls atomic.Int32
	doer := emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
		response, err := a.Client().Do(r)
		if calls.Add(1) == 1 && err == nil {
			response.Body = io.NopCloser(io.LimitReader(response.Body, 4))
		}
		return response, err
	})
	if text, err := read(t, bucketOf(doer, "us-east-1"), "a"); text != "0123456789" || err != nil || calls.Load() != 2 {
		t.Errorf("%q after %d calls, %v", text, calls.Load(), err)
	}
	if _, err := read(t, bucketOf(a.Client(), "us-east-1"), "none"); wire.Code(err) != "NoSuchKey" {
		t.Errorf("%v", err)
	}
}

package emulator_test

import (
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/ami-janitor/ami-janitor/pkg/emulator"
)

// The files in the folder s3 are objects of buckets, as old as the files; what is saved is the
// same.
func TestObjectsOfACopy(t *testing.T) {
	old := now.AddDate(0, 0, -30)
	files := fstest.MapFS{
		"get-caller-identity.json": {Data: []byte(`{"Account": "123456789012"}`)},
		"s3/states/prod/a.tfstate": {Data: []byte("ami-0123456789abcdef0"), ModTime: old},
		"s3/states/b":              {Data: []byte("b")},
		"s3/lists/keep.txt":        {Data: []byte("golden-*"), ModTime: old},
	}
	a := load(t, files)
	equal(t, "not read", len(a.NotRead()), 0)
	dir := t.TempDir()
	for range 2 {
		client := s3Client(a.Client())
		listed, err := client.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("states")})
		if err != nil || len(listed.Contents) != 2 {
			t.Fatalf("%+v, %v", listed, err)
		}
		got, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("states"), Key: aws.String("prod/a.tfstate")})
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(got.Body)
		if string(body) != "ami-0123456789abcdef0" || !aws.ToTime(got.LastModified).Equal(old) || err != nil {
			t.Errorf("%s of %s, %v", body, got.LastModified, err)
		}
		if fresh := aws.ToTime(listed.Contents[0].LastModified); *listed.Contents[0].Key != "b" || !fresh.Equal(now) {
			t.Errorf("%s is of %s", *listed.Contents[0].Key, fresh)
		}
		if err := a.Save(dir); err != nil {
			t.Fatal(err)
		}
		a = load(t, os.DirFS(dir))
	}
	info, err := os.Stat(filepath.Join(dir, "s3/states/prod/a.tfstate"))
	if err != nil || !info.ModTime().Equal(old) {
		t.Errorf("%v, %v", info, err)
	}
}

func TestWhatCannotBeObjectsOfACopy(t *testing.T) {
	for name, want := range map[string]string{
		"s3/UPPER/key": "s3/UPPER: not the name of a bucket",
		"s3/file":      "s3/file: must be a folder",
	} {
		_, err := emulator.Load(directory(name, "x"), emulator.Options{Now: func() time.Time { return now }})
		if err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
	a := load(t, directory())
	client := s3Client(a.Client())
	for _, key := range []string{"../x", "a//b", "folder/"} {
		if _, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("states"), Key: &key}); err != nil {
			t.Fatal(err)
		}
		if err := a.Save(t.TempDir()); err == nil {
			t.Errorf("%q was saved", key)
		}
		if _, err := client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String("states"), Key: &key}); err != nil {
			t.Fatal(err)
		}
	}
}

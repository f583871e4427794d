// Package testaccount builds the emulated accounts of tests.
package testaccount

import (
	"encoding/json"
	"fmt"
	"maps"
	"testing/fstest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/ami-janitor/ami-janitor/pkg/emulator"
)

// ID is the account's, and AWS's own example.
const ID = "123456789012"

// Object is a JSON object, as the AWS CLI prints it.
type Object = map[string]any

// ImageID is the id of an image by its number.
func ImageID(n int) string { return fmt.Sprintf("ami-%017x", n) }

// SnapshotID is the id of a snapshot by its number.
func SnapshotID(n int) string { return fmt.Sprintf("snap-%017x", n) }

// TB is a test, or a check of a property.
type TB interface {
	Helper()
	Fatal(args ...any)
}

// Files are the contents of an account directory, by name. A string is a file's text, anything else
// its JSON.
type Files map[string]any

// FS are the files as a file system.
func (f Files) FS(t TB) fstest.MapFS {
	t.Helper()
	files := fstest.MapFS{}
	for name, content := range f {
		data, err := json.Marshal(content)
		if text, ok := content.(string); ok {
			data, err = []byte(text), nil
		}
		if err != nil {
			t.Fatal(err)
		}
		files[name] = &fstest.MapFile{Data: data}
	}
	return files
}

// Load loads an account from the files, which need not say whose it is. Its clock is the real one
// if none is given.
func (f Files) Load(t TB, o emulator.Options) *emulator.Account {
	t.Helper()
	files := Files{"get-caller-identity.json": Object{"Account": ID, "Arn": "arn:aws:iam::" + ID + ":root"}}
	maps.Copy(files, f)
	if o.Now == nil {
		o.Now = time.Now
	}
	account, err := emulator.Load(files.FS(t), o)
	if err != nil {
		t.Fatal(err)
	}
	return account
}

// Config is the configuration of the account's clients, with the credentials of AWS's
// documentation.
func Config(client emulator.Doer) aws.Config {
	return aws.Config{
		Region: "us-east-1", HTTPClient: client,
		Credentials: credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "secret", ""),
	}
}

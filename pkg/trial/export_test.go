package trial

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// Made is a line pair of a ledger: what a trial was about to make, and its id if AWS has answered.
type Made struct {
	IsImage bool
	Key, ID string
}

// WriteLedger writes the ledger of a trial that was killed.
func WriteLedger(dir, trial, account, region string, at time.Time, all ...Made) error {
	b, err := openBook(dir)
	if err != nil {
		return err
	}
	defer b.close() //nolint:errcheck // Of a test.
	l, err := b.begin(trial, account, region, at)
	if err != nil {
		return err
	}
	for _, m := range all {
		of := snapshot
		if m.IsImage {
			of = image
		}
		t, err := l.will(of, m.Key, at)
		if err == nil && m.ID != "" {
			err = l.made(t, m.ID, at)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Describe is the description that the trial gives.
var Describe = describe

// Await is await.
var Await = (*Trial).await

// Fenced returns a configuration whose clients may change only what a trial has made.
func Fenced(config aws.Config, trial, region, expected string, ids ...string) aws.Config {
	f := &fence{trial: trial, region: region, ids: map[string]bool{}}
	f.expect(expected)
	for _, id := range ids {
		f.admit(id)
	}
	return f.over(config)
}

// Proves returns what proves an image to be the trial's own, given the id in its ledger.
func Proves(trial, account, key, id, snapshotID string, asked time.Time) func(*types.Image) error {
	made := &thing{kind: image, key: key, id: id, asked: asked}
	l := &ledger{trial: trial, account: account, things: []*thing{made, {kind: snapshot, id: snapshotID}}}
	return func(found *types.Image) error { return l.ownImage(made, found) }
}

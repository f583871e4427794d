package trial

import (
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// The tolerances of the time at which AWS made something, from the line in the ledger: the clocks
// differ, and a request may be tried again for some minutes.
const (
	before = 5 * time.Minute
	after  = 15 * time.Minute
)

// ownImage returns why an image is not proven to be the one that a trial has made; nil if it is.
// Everything must agree: the id in the ledger, if the ledger has one, the tag, the owner, the time,
// the name, and the snapshot; and nobody keeps it by a tag.
func (l *ledger) ownImage(t *thing, found *types.Image) error {
	id := aws.ToString(found.ImageId)
	if err := l.own(t, id, found.Tags, aws.ToString(found.OwnerId)); err != nil {
		return err
	}
	at, err := time.Parse(time.RFC3339, aws.ToString(found.CreationDate))
	if err != nil || !t.isTime(at) {
		return fmt.Errorf("%s was made at %q, and the trial asked for it at %s", id, aws.ToString(found.CreationDate), stamp(t.asked))
	}
	if name := aws.ToString(found.Name); name != t.key {
		return fmt.Errorf("the name of %s is %q, and not %q", id, name, t.key)
	}
	if len(found.BlockDeviceMappings) != 1 || found.BlockDeviceMappings[0].Ebs == nil {
		return fmt.Errorf("%s maps other devices than the trial's one", id)
	}
	mapped := aws.ToString(found.BlockDeviceMappings[0].Ebs.SnapshotId)
	for _, made := range l.of(snapshot) {
		if mapped != "" && made.id == mapped {
			return nil
		}
	}
	return fmt.Errorf("%s maps the snapshot %q, which is not of this trial", id, mapped)
}

// ownSnapshot is ownImage for a snapshot, which has a description in place of a name.
func (l *ledger) ownSnapshot(t *thing, found *types.Snapshot) error {
	id := aws.ToString(found.SnapshotId)
	if err := l.own(t, id, found.Tags, aws.ToString(found.OwnerId)); err != nil {
		return err
	}
	switch at, text := aws.ToTime(found.StartTime), aws.ToString(found.Description); {
	case !t.isTime(at):
		return fmt.Errorf("%s was started at %s, and the trial asked for it at %s", id, stamp(at), stamp(t.asked))
	case text != describe(t.key):
		return fmt.Errorf("the description of %s is %q, and not %q", id, text, describe(t.key))
	case aws.ToInt32(found.VolumeSize) != sizeGiB:
		return fmt.Errorf("%s is of %d GiB, and the trial's of %d", id, aws.ToInt32(found.VolumeSize), sizeGiB)
	}
	return nil
}

// own checks what images and snapshots have in common.
func (l *ledger) own(t *thing, id string, tags []types.Tag, owner string) error {
	switch value := valueOf(tags, Tag); {
	case id == "" || t.id != "" && t.id != id:
		return fmt.Errorf("%q is not in the ledger, which has %q", id, t.id)
	case value == "":
		return untaggedError{id}
	case value != l.trial:
		return fmt.Errorf("the tag %s of %s is %q, and not %q", Tag, id, value, l.trial)
	case owner != l.account:
		return fmt.Errorf("%s is of account %q, and not of %s", id, owner, l.account)
	case isKept(tags):
		return fmt.Errorf("somebody has given %s the tag %s", id, ami.KeepTag)
	}
	return nil
}

// untaggedError says that something lacks the tag of the trial. EC2 may show it late.
type untaggedError struct{ id string }

func (e untaggedError) Error() string { return e.id + " does not carry the tag " + Tag }

// isKept reports whether somebody keeps something by the tag that keeps images from runs, too.
func isKept(tags []types.Tag) bool {
	return slices.ContainsFunc(tags, func(tag types.Tag) bool {
		return retention.IsKeepTag(aws.ToString(tag.Key), aws.ToString(tag.Value))
	})
}

func (t *thing) isTime(at time.Time) bool {
	return !at.Before(t.asked.Add(-before)) && !at.After(t.asked.Add(after))
}

func valueOf(tags []types.Tag, key string) string {
	for _, tag := range tags {
		if aws.ToString(tag.Key) == key {
			return aws.ToString(tag.Value)
		}
	}
	return ""
}

func stamp(at time.Time) string { return at.UTC().Format(time.RFC3339) }

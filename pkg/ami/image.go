package ami

import (
	"cmp"
	"time"
)

// Inventory is everything one region of one account holds that the janitor judges: all images the account owns and
// all of its snapshots. An Inventory is complete; where a page could not be read there is none.
type Inventory struct {
	Account   string // 12 digits.
	Region    string // For example "eu-west-1".
	Images    []Image
	Snapshots []Snapshot

	Bin     RecycleBin
	History History
}

// Image is an AMI, as far as the janitor needs to know it.
type Image struct {
	ID           string
	Name         string // Untrusted text: whoever builds the image chooses it.
	OwnerID      string
	OwnerAlias   string // "amazon", "aws-backup-vault" or "aws-marketplace"; empty for an ordinary image.
	State        string // One of EC2's image states; "available" is the only one that can be launched.
	Architecture string
	Public       bool
	Marketplace  bool // A product code of the AWS Marketplace is attached.

	// Protection is EC2's DeregistrationProtection, a free string: only "disabled" and the empty string allow a
	// deregistration. During the cooldown it begins with "disabled after ".
	Protection string

	CreatedAt      time.Time // Zero if EC2 did not say, or said it unreadably.
	LastLaunchedAt time.Time // Zero if no launch is on record. EC2 reports a launch up to 24 hours late.

	DeprecatedAt time.Time // When EC2 deprecates the image, or has done so; zero if never.

	SourceImageID    string // The image this one was made from, in any region; empty if not on record.
	SourceRegion     string // The region of SourceImageID; empty if not on record.
	SourceInstanceID string // The instance this image was made from (CreateImage); empty for a copy (CopyImage).

	SnapshotIDs []string
	S3Location  string // The manifest of an image whose root device is an instance store; else empty.
	Tags        map[string]string

	// Unreadable names every fact of the image that could not be understood, each as a short phrase. An image with
	// such a fact is kept.
	Unreadable []string
}

// CopiedFrom returns the image of which this one, in the given region, is a copy, and the region of that. It reports false
// if the image is no copy: one that was made from an instance is not.
func (i Image) CopiedFrom(region string) (id, from string, ok bool) {
	return i.SourceImageID, cmp.Or(i.SourceRegion, region), i.SourceImageID != "" && i.SourceInstanceID == ""
}

// Snapshot is an EBS snapshot that the account owns.
type Snapshot struct {
	ID       string
	SizeGiB  int64 // The size of the volume: the most that deleting the snapshot can free.
	Archived bool  // In the archive tier.

	// ImageID is the image that the snapshot was made for, by its description: EC2 writes one when it creates an image from
	// an instance, and when it copies one. Empty if it says nothing of that kind.
	ImageID   string
	Imported  bool      // VM Import made it for an image, by its description, which does not name that.
	StartedAt time.Time // When the snapshot was begun; zero if EC2 did not say.

	Lock string
	Tags map[string]string

	// Unreadable says which fact of the snapshot could not be understood, or is not known. It is empty for an ordinary snapshot.
	Unreadable string
}

// ImageNotAsked is what is not known of a snapshot in a region that lists no images, of which too many have left snapshots for
// EC2 to be asked about each.
const ImageNotAsked = "EC2 was not asked whether its image is gone"

// Locked reports whether a snapshot lock forbids the deletion. EC2's only lock state that allows it is "expired".
func (s Snapshot) Locked() bool {
	return s.Lock != "" && s.Lock != "expired"
}

package ami

import (
	"cmp"
	"time"
)

// Inventory is everything the janitor judges in one region of one account: all its images and
// snapshots. An Inventory is complete; if a page could not be read, there is no Inventory.
type Inventory struct {
	Account   string // 12 digits.
	Region    string // For example "eu-west-1".
	Images    []Image
	Snapshots []Snapshot

	Bin     RecycleBin
	History History

	// Abroad is when another account of the organization was last seen to use an image, by the id
	// of the image; nil outside of an organization's run.
	Abroad map[string]UseAbroad
}

// UseAbroad is a use of an image by another account of the organization, on an earlier night.
type UseAbroad struct {
	Account string
	At      time.Time
}

// Image is an AMI, with the facts that the janitor needs.
type Image struct {
	ID      string
	Name    string // Untrusted text: whoever builds the image chooses it.
	OwnerID string
	// "amazon", "aws-backup-vault" or "aws-marketplace"; empty for an ordinary image.
	OwnerAlias string
	// One of EC2's image states; "available" is the only one that can be launched.
	State        string
	Architecture string
	Public       bool
	Marketplace  bool // A product code of the AWS Marketplace is attached.

	// Protection is EC2's DeregistrationProtection, a free string: only "disabled" and the empty
	// string allow a deregistration. During the cooldown it starts with "disabled after ".
	Protection string

	CreatedAt time.Time // Zero if EC2 gave no date, or an unreadable one.
	// Zero if no launch is on record. EC2 reports a launch up to 24 hours late.
	LastLaunchedAt time.Time

	DeprecatedAt time.Time // When EC2 deprecates the image, or has done so; zero if never.

	// The image this one was made from, in any region; empty if not on record.
	SourceImageID string
	SourceRegion  string // The region of SourceImageID; empty if not on record.
	// The instance this image was made from (CreateImage); empty for a copy (CopyImage).
	SourceInstanceID string

	SnapshotIDs []string
	// The manifest of an image whose root device is an instance store; else empty.
	S3Location string
	Tags       map[string]string

	// Unreadable names every fact of the image that could not be understood, each as a short
	// phrase. Such an image is kept.
	Unreadable []string
}

// CopiedFrom returns the source image of a copy, and its region. The given region is that of the
// copy. It reports false if the image is no copy: an image that was made from an instance is not.
func (i Image) CopiedFrom(region string) (id, from string, ok bool) {
	return i.SourceImageID, cmp.Or(i.SourceRegion, region), i.SourceImageID != "" && i.SourceInstanceID == ""
}

// Snapshot is an EBS snapshot that the account owns.
type Snapshot struct {
	ID       string
	SizeGiB  int64 // The size of the volume: deleting the snapshot frees at most this.
	Archived bool  // In the archive tier.

	// ImageID is the image for which the snapshot was made, according to its description: EC2
	// writes one when it creates an image from an instance, and when it copies an image. Else
	// empty.
	ImageID string
	// VM Import made it for an image, according to its description, which does not name the image.
	Imported  bool
	StartedAt time.Time // When the snapshot was started; zero if EC2 did not say.

	// NamesVolume says that the description is exactly that of CreateImage, and names the volume
	// that the snapshot was taken of, as EC2 says: a copy, or a later snapshot with the same
	// description, has another volume.
	NamesVolume bool

	// Special says why this is no completed snapshot of the account's own in its region: who
	// manages it, its state, or where else it is kept. It is empty for an ordinary one.
	Special string

	Lock string
	Tags map[string]string

	// Unreadable says which fact of the snapshot could not be understood, or is unknown. It is
	// empty for an ordinary snapshot.
	Unreadable string
}

// ImageNotAsked marks a snapshot whose image was not looked up. It occurs in a region without
// images where too many images have left snapshots to ask EC2 about each.
const ImageNotAsked = "EC2 was not asked whether its image is gone"

// Locked reports whether a snapshot lock forbids the deletion. EC2's only lock state that allows it
// is "expired".
func (s Snapshot) Locked() bool {
	return s.Lock != "" && s.Lock != "expired"
}

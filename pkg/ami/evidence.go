package ami

import (
	"fmt"
	"slices"
	"time"
)

// Evidence is what is known about the use of the images and snapshots of one region.
type Evidence struct {
	// Images holds the findings about images, by id. An image that is missing was not looked up,
	// and its use is Unknown.
	Images map[string]Finding

	// Snapshots holds the findings about snapshots, by id: those without an image that were looked
	// up, and those of images that something names.
	Snapshots map[string]SnapshotFinding

	// Sharing says with whom each snapshot that a plan deletes is shared, by id. It is looked up
	// for a first plan, which assumes that all are private.
	Sharing    map[string]Sharing
	SharingGap string // Why no further snapshots are looked up; empty while they are.

	// Bundles says what S3 has of images that a plan deregisters, by the id of the image.
	Bundles map[string]BundleFinding

	// Gaps are the listings that could not be completed. What they did not show may name any image,
	// also one of another region. The findings about what was looked up include these gaps.
	Gaps []Gap
}

// NotReached is the gap of an image that was not looked up in time: reading and looking up may take
// half of a run's time.
const NotReached = "not reached before half of the run's time was up"

// SharingNotReached is the error of a snapshot whose sharing was not looked up in time: that
// happens after the plan, and leaves time to remove images.
const SharingNotReached = "not reached in the time for snapshots"

// TextSource is the source of evidence that can name images of other regions: text.
const TextSource = "ssm-text"

// Everywhere returns what is known about an image of one region, given the evidence of all regions.
// SSM text of other regions counts too: a parameter may hold the image ids of every region.
func Everywhere(evidence map[string]Evidence, region, imageID string) Finding {
	var others []string
	for other, there := range evidence {
		if other != region && (len(there.Images[imageID].References) > 0 || len(there.Gaps) > 0) {
			others = append(others, other)
		}
	}
	slices.Sort(others)
	finding := evidence[region].Images[imageID]
	for _, other := range others {
		finding.References = append(slices.Clip(finding.References), evidence[other].Images[imageID].References...)
		for _, gap := range evidence[other].Gaps {
			if gap.Source == TextSource {
				gap.Source += " in " + other
				finding.Gaps = append(slices.Clip(finding.Gaps), gap)
			}
		}
	}
	return finding
}

// Use says whether an image is used.
type Use int

const (
	// Unknown is the use of an image without a complete proof. It is the zero value, so that an
	// image that was never looked up counts as unknown.
	Unknown Use = iota
	// Unused means that every enabled source has answered, and none names the image.
	Unused
	// Used means that something names the image.
	Used
	// Unasked means that every listing has answered, and none names the image. What has to be asked
	// image by image has not been asked about it: that is no proof.
	Unasked
)

func (u Use) String() string {
	switch u {
	case Unused:
		return "unused"
	case Used:
		return "used"
	case Unasked:
		return "not asked"
	default:
		return "unknown"
	}
}

// Finding is what the lookups found out about one image.
type Finding struct {
	Use        Use
	References []Reference // What names the image; sorted.
	SharedWith []Grantee   // Who may launch it besides the account; sorted.
	Gaps       []Gap       // The lookups that could not be completed; sorted.

	Asked  bool // EC2 was asked about the image itself,
	MayAsk bool // or can be, and was not.

	// LaunchedAt is when the oldest instance of the image that is still there was launched; zero if
	// there is none.
	LaunchedAt time.Time

	// Counted says how long the accounts of the organization have been counted that may launch the
	// image; nil outside of an organization's run, and until it is known who may launch the image.
	Counted *Counted

	// Report is the janitor's newest image usage report about the image; nil without one, or if
	// reports were not read.
	Report *UsageReport
}

// Counted says how long the accounts of the organization have been counted that may launch an
// image. It is about the account with the shortest unbroken series of nightly censuses.
type Counted struct {
	Account string    // Empty if no other account may launch the image in its region.
	Since   time.Time // When the series began; zero if there is none.
}

// Reference is something that names an image: an instance, a launch template, an SSM parameter.
type Reference struct {
	Source string // The source of evidence that found it.
	Type   string // The kind of resource, as AWS spells it: "ec2:Instance".
	ARN    string

	// The other account that uses the image, according to a usage report; else empty.
	Account string
	// How many resources of this kind that account uses it with; 0 if they are not counted.
	Count int64
}

// String names the reference for people: its ARN, or "3 instances of account 111122223333".
func (r Reference) String() string {
	if r.Account == "" {
		return r.ARN
	}
	kind := r.Type
	switch r.Type {
	case "ec2:Instance":
		kind = "instance"
	case "ec2:LaunchTemplate":
		kind = "launch template"
	case "":
		kind = "resource"
	}
	switch r.Count {
	case 0:
		return "an unknown number of " + kind + "s of account " + r.Account
	case 1:
		return "1 " + kind + " of account " + r.Account
	default:
		return fmt.Sprintf("%d %ss of account %s", r.Count, kind, r.Account)
	}
}

// SnapshotFinding is what the lookups found out about one snapshot.
type SnapshotFinding struct {
	LookedUp bool // The listings were asked what names it.
	// What names the snapshot; sorted. A named snapshot stays when its image is removed.
	References []Reference
	SharedWith []Grantee // Who may use it besides the account, if that was looked up; sorted.
	Gaps       []Gap     // The lookups that could not be completed; sorted.
}

// UsageReport is an image usage report: what EC2 says about the use of an image by all accounts.
// Once it is available, the references of the finding include what it found.
type UsageReport struct {
	ID        string
	State     string // "pending", "available" or "error".
	CreatedAt time.Time
	// Superseded are the ids of older reports of the janitor about the same image; sorted.
	Superseded []string
	// It covers all accounts, instances and launch templates, and as many of their versions as
	// count.
	Complete bool
}

// Gap is a lookup that could not be completed, so that non-use is not proven.
type Gap struct {
	Source string
	Err    string // Why, in words a person can act on.
}

package ami

import (
	"fmt"
	"slices"
	"time"
)

// Evidence is what is known of the use of the images and snapshots of one region.
type Evidence struct {
	// Images has what was found out about images, by id. An image that is missing has not been
	// looked up, and its use is Unknown.
	Images map[string]Finding

	// Snapshots has what was found out about snapshots, by id: those without an image that were
	// looked up, and those of images that something names.
	Snapshots map[string]SnapshotFinding

	// Sharing says with whom the snapshots are shared that a plan deletes, by id. It is asked about
	// a first plan, which takes all for private.
	Sharing    map[string]Sharing
	SharingGap string // Why no other snapshots are asked about; empty as long as they are.

	// Gaps are the listings that could not be completed. What they did not show may name any image,
	// one of another region too. The findings about what was looked up have these gaps already.
	Gaps []Gap
}

// NotReached is the gap of what there was no time to look up: a run spends half of its time on reading and looking up, at most.
const NotReached = "not reached before half of the run's time was up"

// SharingNotReached is the error of a snapshot for which there was no time to ask with whom it is shared: that is asked when the plan
// is made, and has three quarters of the run's time.
const SharingNotReached = "not reached before three quarters of the run's time were up"

// TextSource is the source of evidence that can name images of other regions: text.
const TextSource = "ssm-text"

// Everywhere returns what is known of an image of one region, given the evidence of all. Text of the others counts, too: a
// parameter in one region may hold the ids of images in all.
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
	// Unknown is the use of an image for which no complete proof exists. It is the zero value, so that whatever nobody
	// looked up counts as unknown.
	Unknown Use = iota
	// Unused means that every source that is switched on has answered, and that none names the image.
	Unused
	// Used means that something names the image.
	Used
)

func (u Use) String() string {
	switch u {
	case Unused:
		return "unused"
	case Used:
		return "used"
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

	// LaunchedAt is when the oldest instance of the image that is still there was launched; zero if there is none.
	LaunchedAt time.Time

	// Report is the janitor's newest image usage report about the image; nil if there is none, or none was looked for.
	Report *UsageReport
}

// Reference is something that names an image: an instance, a launch template, an SSM parameter.
type Reference struct {
	Source string // The source of evidence that found it.
	Type   string // The kind of resource, as AWS spells it: "ec2:Instance".
	ARN    string

	Account string // The other account that uses the image, of which a usage report tells; else empty.
	Count   int64  // How many resources of this kind that account uses it with; 0 if they are not counted.
}

// String names the reference for people: by its ARN, or as "3 instances of account 111122223333".
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
	LookedUp   bool        // The listings were asked what names it.
	References []Reference // What names the snapshot; sorted. Such a snapshot stays when its image goes.
	SharedWith []Grantee   // Who may use it besides the account, as far as that was asked; sorted.
	Gaps       []Gap       // The lookups that could not be completed; sorted.
}

// UsageReport is an image usage report: what EC2 says of the use of an image by all accounts. What it has found is among
// the references of the finding, once it is available.
type UsageReport struct {
	ID        string
	State     string // "pending", "available" or "error".
	CreatedAt time.Time
	// Superseded are the ids of older reports of the janitor about the same image; sorted.
	Superseded []string
	Complete   bool // It covers all accounts, instances and launch templates, and as many of their versions as are to count.
}

// Gap is a lookup that could not be completed, so that non-use is not proven.
type Gap struct {
	Source string
	Err    string // Why, in words a person can act on.
}

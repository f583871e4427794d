package retention

import (
	"fmt"
	"strings"
	"time"
)

// Floor is the shortest idle time after which an image can be stale. No configuration and no tag
// goes below it: EC2 reports launches up to 24 hours late, and a new build without a launch is not
// stale.
const Floor = Days(7 * Day)

// Policy is an operator's configuration. Its zero value removes nothing.
type Policy struct {
	// Distinguishes the announcements of this policy from those of others; without blanks.
	Name string

	StaleAfter         Days // Idle for longer than this is stale.
	NeverLaunchedAfter Days // The same for images with no launch on record.
	AllowShorter       bool // An image's own tag may shorten its limit.

	KeepNewest int // How many of the newest usable images of each family are always kept.
	// The tag whose value names the family; empty, or missing from an image: the name decides.
	FamilyTag string
	KeepTags  Tags  // Each of them keeps an image or a snapshot.
	OnlyTags  Tags  // Only images that carry these are judged; one value of each key is enough.
	Names     Names // Only images with these names are judged.

	// The most images that one run removes, and the most that it marks, over all regions.
	MaxDeregistrations int
	DeleteSnapshots    bool

	KeepList KeepList // Images on an external list.
	// Judge public and shared images, too, by image usage reports; otherwise they are kept.
	JudgeShared bool
	// Judge shared images by censuses of the organization's accounts, too. It implies JudgeShared.
	JudgeByCensus bool
	// How long the accounts that may launch a shared image must have been counted every night; 0
	// for as long as the image's own idle limit. Never below SeenFloor.
	SeenNights Days
	// Judge the images of Image Builder like others; otherwise they are kept.
	JudgeImageBuilder bool
	// Judge the account's own images that carry a product code of the AWS Marketplace, unless they
	// are public or shared; otherwise they are kept.
	JudgeMarketplace bool
	// Judge images that have been failed for longer than their limit; otherwise they are kept.
	JudgeFailed bool

	RequireRecycleBin bool // Remove only what the Recycle Bin retains, so that it can be restored.
	RecycleBinDays    int  // How long the Recycle Bin must retain it then; 0 for any time.
	ReportOrphans     bool // Look for snapshots whose image is gone.

	DeleteBundles bool     // Delete the bundles of removed instance-store images.
	BundleBuckets []string // In these buckets only.

	RemoveOrphans bool // Remove some of these snapshots; it implies ReportOrphans.
	OrphanedAfter Days // How long they must have been seen so; never below OrphanFloor.
	// The most that one run removes of them, and the most that it announces, over all regions.
	MaxOrphans int

	Grace       Days // How long images are marked before they are removed; 0 removes them at once.
	GraceAction GraceAction
}

// String words the policy as one sentence.
func (p Policy) String() string {
	var s strings.Builder
	fmt.Fprintf(&s, "Images idle for more than %s", p.StaleAfter.inWords())
	if p.NeverLaunchedAfter != p.StaleAfter {
		fmt.Fprintf(&s, " (%s if never launched)", p.NeverLaunchedAfter.inWords())
	}
	s.WriteString(" that nothing refers to are deregistered")
	if p.DeleteSnapshots {
		s.WriteString(" and their snapshots deleted")
	}
	fmt.Fprintf(&s, ", the stalest first and at most %d a run", p.MaxDeregistrations)
	if p.Grace > 0 {
		fmt.Fprintf(&s, ", %s after they were announced%s", p.Grace.inWords(), p.GraceAction.inWords())
	}
	if exceptions := p.exceptions(); len(exceptions) > 0 {
		s.WriteString(", except " + strings.Join(exceptions, " and "))
	}
	if scope := p.scope(); len(scope) > 0 {
		s.WriteString("; only images " + strings.Join(scope, " and ") + " are judged")
	}
	s.WriteString(".")
	switch {
	case p.JudgeByCensus:
		s.WriteString(" Public and shared images are judged, too, by image usage reports and censuses of the organization.")
	case p.JudgeShared:
		s.WriteString(" Public and shared images are judged, too, by image usage reports.")
	}
	if p.JudgeImageBuilder {
		s.WriteString(" Images made by Image Builder are judged, too.")
	}
	if p.JudgeMarketplace {
		s.WriteString(" Images with a Marketplace product code are judged, too, unless they are public or shared.")
	}
	if p.JudgeFailed {
		s.WriteString(" Images that have failed are judged, too.")
	}
	if p.RequireRecycleBin {
		s.WriteString(" Only what the Recycle Bin holds")
		if p.RecycleBinDays > 0 {
			s.WriteString(" for at least " + Days(time.Duration(p.RecycleBinDays)*Day).inWords())
		}
		s.WriteString(" is removed.")
	}
	if p.DeleteBundles {
		s.WriteString(" The bundles of instance-store images in " + strings.Join(p.BundleBuckets, ", ") + " are deleted with them, behind delete markers.")
	}
	if p.RemoveOrphans {
		fmt.Fprintf(&s, " Snapshots that are seen without their image for %s are deleted, at most %d a run, %s after they were announced.",
			max(p.OrphanedAfter, OrphanFloor).inWords(), p.MaxOrphans, p.orphanGrace().inWords())
	}
	return s.String()
}

func (p Policy) exceptions() []string {
	var exceptions []string
	if p.KeepNewest > 0 {
		newest := "the newest"
		if p.KeepNewest > 1 {
			newest += fmt.Sprintf(" %d", p.KeepNewest)
		}
		if newest += " of each family"; p.FamilyTag != "" {
			newest += " (tag " + p.FamilyTag + ", else the name)"
		}
		exceptions = append(exceptions, newest)
	}
	if len(p.KeepTags) > 0 {
		exceptions = append(exceptions, "what is tagged "+p.KeepTags.String())
	}
	if n := p.KeepList.size; n > 0 {
		exceptions = append(exceptions, fmt.Sprintf("what the keep list names (%d)", n))
	}
	return exceptions
}

func (p Policy) scope() []string {
	var scope []string
	if len(p.OnlyTags) > 0 {
		scope = append(scope, "tagged "+p.OnlyTags.String())
	}
	if len(p.Names.globs) > 0 {
		scope = append(scope, "named "+p.Names.String())
	}
	return scope
}

// idleLimit returns how long an image may be idle: the policy's limit, or that of its own tag.
// Anybody who may tag an image can lengthen its limit, and shorten it only if the policy allows
// that.
func (p Policy) idleLimit(image *imageFacts) Days {
	limit := max(p.StaleAfter, Floor)
	if image.LastLaunchedAt.IsZero() && !image.isAbroad {
		limit = max(p.NeverLaunchedAfter, Floor)
	}
	if tag := image.own.staleAfter; tag != nil && (*tag > limit || p.AllowShorter) {
		return *tag
	}
	return limit
}

// isShortened reports whether an image's own tag asks for a shorter limit than it gets.
func (p Policy) isShortened(image *imageFacts) bool {
	return image.own.staleAfter != nil && *image.own.staleAfter < p.idleLimit(image)
}

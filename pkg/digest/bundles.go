package digest

import (
	"fmt"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/plain"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// Bundle says what becomes of the bundle of an instance-store image; empty if it has none.
func Bundle(i record.Image) string {
	at := plain.Text(i.S3Location)
	var done *ami.BundleResult
	if i.Outcome != nil {
		done = i.Outcome.Bundle
	}
	switch {
	case i.S3Location == "":
		return ""
	case done != nil && done.Status == ami.BundleDeleted:
		return because("Its bundle is deleted, as by ec2-delete-bundle", done.Detail) + ": s3://" + at + ", " + hidden(done.Objects, done.Bytes)
	case done != nil && done.Status == ami.BundleFailed:
		return because("Its bundle is not confirmed as deleted, and the next run goes on", done.Detail) + ": s3://" + at
	case done != nil:
		return because("Its bundle stays behind in S3", done.Detail) + ", and is yours to delete: " + at
	case i.Bundle != nil && i.Outcome == nil && i.Bundle.Verdict == record.DeleteSnapshot:
		return "Its bundle would be deleted, as by ec2-delete-bundle: s3://" + at + ", " + objects(i.Bundle.Objects, i.Bundle.Bytes)
	case i.Bundle != nil && i.Outcome == nil:
		return because("Its bundle would stay behind in S3", i.Bundle.Detail) + ", and is yours to delete: " + at
	default:
		return "Its bundle stays behind in S3, and is yours to delete: " + at
	}
}

// bundleInShort is the same in a few words.
func bundleInShort(i record.Image) string {
	switch {
	case i.S3Location == "":
		return ""
	case i.Outcome == nil && i.Bundle != nil && i.Bundle.Verdict == record.DeleteSnapshot:
		return "with its bundle in S3"
	case i.Outcome != nil && i.Outcome.Bundle != nil && i.Outcome.Bundle.Status == ami.BundleDeleted:
		return "with its bundle in S3"
	case i.Outcome != nil && i.Outcome.Bundle != nil && i.Outcome.Bundle.Status == ami.BundleFailed:
		return "its bundle is not confirmed as deleted"
	default:
		return "its bundle stays in S3"
	}
}

func objects(n int, bytes int64) string { return count(n, "object") + ", " + size(bytes) }

// hidden says what the deletion has freed: nothing, as long as S3 keeps the versions.
func hidden(n int, bytes int64) string {
	return objects(n, bytes) + ", behind delete markers. S3 bills them until a lifecycle rule ends noncurrent versions"
}

// size is a number of bytes in the units in which S3 bills.
func size(bytes int64) string {
	const unit = 1 << 10
	value, name := float64(bytes), "bytes"
	for _, next := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if value < unit {
			break
		}
		value, name = value/unit, next
	}
	if name == "bytes" {
		return count(bytes, "byte")
	}
	return fmt.Sprintf("%.1f %s", value, name)
}

// bundlesInBrief names the bundles that were deleted, or would be, and what that frees.
func (r run) bundlesInBrief() []string {
	var lines []string
	r.Each(func(i record.Image) bool { return bundleInShort(i) == "with its bundle in S3" }, func(_ record.Region, i record.Image) {
		if i.Outcome == nil {
			lines = append(lines, "Bundle to be deleted: s3://"+plain.Text(i.S3Location)+", "+objects(i.Bundle.Objects, i.Bundle.Bytes)+".")
		} else {
			lines = append(lines, "Bundle deleted: s3://"+plain.Text(i.S3Location)+", "+hidden(i.Outcome.Bundle.Objects, i.Outcome.Bundle.Bytes)+".")
		}
	})
	for _, region := range r.Regions {
		for _, b := range region.Bundles {
			lines = append(lines, "Bundle that run "+plain.Text(b.Run)+" left: "+leftBundle(b)+".")
		}
	}
	if n := len(lines) - mostInShort; n > 1 {
		lines = append(lines[:mostInShort:mostInShort], "And "+count(n, "more bundle")+".")
	}
	return lines
}

// leftBundle says what became of a bundle that an earlier run left.
func leftBundle(b record.LeftBundle) string {
	at := "s3://" + plain.Text(b.Location)
	switch {
	case b.Status == ami.BundleDeleted:
		return because("deleted", b.Detail) + ": " + at + ", " + hidden(b.Objects, b.Bytes)
	case b.Status == ami.BundleFailed:
		return because("not confirmed as deleted", b.Detail) + ": " + at
	case b.Status == "" && b.Verdict == record.DeleteSnapshot:
		return "would be deleted: " + at
	default:
		return because("stays", b.Detail) + ": " + at
	}
}

// bundleProblems complains about the bundles whose deletion is not confirmed.
func (r run) bundleProblems() []Problem {
	var complaints []complaint
	for _, region := range r.Regions {
		for i := range region.Images {
			if o := region.Images[i].Outcome; o != nil && o.Bundle != nil && o.Bundle.Status == ami.BundleFailed {
				complaints = append(complaints, complaint{"s3://" + plain.Text(region.Images[i].S3Location), region.Images[i].ImageID, o.Bundle.Detail})
			}
		}
		for _, b := range region.Bundles {
			if b.Status == ami.BundleFailed {
				complaints = append(complaints, complaint{"s3://" + plain.Text(b.Location), b.ImageID, b.Detail})
			}
		}
	}
	remedy := adviceOr("The next run goes on. If it fails again, begin with the error.", whatWasDenied)
	return grouped(complaints, remedy, func(n int) string {
		return count(n, "bundle") + " of instance-store AMIs could not be deleted: AWS did not confirm it."
	})
}

// leftBundles is what became of the bundles that earlier runs left.
func (r run) leftBundles() Group {
	var items []Item
	for _, region := range r.Regions {
		for _, b := range region.Bundles {
			items = append(items, Item{Label: plain.Text(b.ImageID) + " of run " + plain.Text(b.Run), Region: r.name(region), Says: leftBundle(b)})
		}
	}
	if len(items) == 0 {
		return Group{}
	}
	return listed(items, "These runs were ended before they had deleted all bundles of the AMIs that they removed:")
}

// undoOfBundles says how deleted bundles come back.
func (r run) undoOfBundles() []Line {
	if r.DryRun || len(r.bundlesInBrief()) == 0 || r.Totals.Restorable > 0 {
		return nil
	}
	return append(says("This takes the delete markers of bundles away, and says how to register an AMI of each:"),
		command(r.Reader.Command("undo "+plain.Printable(r.Run.Run))))
}

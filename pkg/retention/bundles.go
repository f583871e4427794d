package retention

import (
	"slices"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
)

// BundleVerdict is the decision on the bundle of an image to be deregistered.
type BundleVerdict struct {
	ami.Bundle // Without objects if it stays.

	Delete bool
	Why    string // Why it stays; empty if it is deleted.

	// WasNotAsked says that nobody has looked at the bundle yet.
	WasNotAsked bool
}

// BundleLeftover is the decision on a bundle that an earlier run left.
type BundleLeftover struct {
	ami.LeftoverBundle

	Delete bool   // Unless something has come up since, which the sweep finds out.
	Why    string // Why it stays for good; empty if it is deleted, or left to a later run.
}

// keepsBundles is why a bundle stays that an earlier run left, once the policy has changed.
const keepsBundles = "the policy keeps all bundles"

// judgeBundles decides on the bundles of images to be deregistered, and on those that earlier runs
// left.
func (r *regionFacts) judgeBundles(plan *Plan) {
	for i := range plan.Verdicts {
		if v := &plan.Verdicts[i]; v.Decision == Deregister && v.Image.S3Location != "" && r.policy.DeleteBundles {
			v.Bundle = r.judgeBundle(v.Image.ID, v.Image.S3Location)
		}
	}
	here := make(map[string]bool, len(r.images))
	for i := range r.images {
		here[r.images[i].ID] = true
	}
	for _, left := range r.History.Bundles {
		v := BundleLeftover{LeftoverBundle: left}
		switch {
		case here[left.ImageID]: // EC2 may show removals late, or somebody has brought it back.
		case !r.policy.DeleteBundles:
			v.Why = keepsBundles
		case !slices.Contains(r.policy.BundleBuckets, left.Bucket()):
			v.Why = "its bucket is not among those of the policy"
		default:
			v.Delete = true
		}
		plan.Bundles = append(plan.Bundles, v)
	}
}

func (r *regionFacts) judgeBundle(imageID, location string) *BundleVerdict {
	v := &BundleVerdict{Bundle: ami.Bundle{Location: location}}
	found, isKnown := r.evidence[r.Region].Bundles[imageID]
	switch {
	case r.History.Strangers == nil:
		v.Why = "no journal is kept, so that an undo could not bring it back"
	case !isKnown:
		v.Why, v.WasNotAsked = "nobody has looked at it", true
	case found.Why != "":
		v.Why = found.Why
	default:
		v.Bundle, v.Delete = found.Bundle, true
	}
	return v
}

// BundlesToDelete returns the locations of the bundles that a plan deletes, leftovers included. A
// plan on hold deletes none.
func (p *Plan) BundlesToDelete() []string {
	if p.Hold != "" {
		return nil
	}
	var locations []string
	for i := range p.Verdicts {
		if b := p.Verdicts[i].Bundle; b != nil && b.Delete {
			locations = append(locations, b.Location)
		}
	}
	for _, left := range p.Bundles {
		if left.Delete {
			locations = append(locations, left.Location)
		}
	}
	return locations
}

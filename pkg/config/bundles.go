package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// bundles says whether the bundles of removed images are deleted.
type bundles bool

// The words for it.
const (
	keepBundles   = "keep"
	deleteBundles = "delete"
)

func (b *bundles) UnmarshalText(text []byte) error {
	switch word := string(text); word {
	case keepBundles, deleteBundles:
		*b = word == deleteBundles
		return nil
	default:
		return fmt.Errorf("%q is neither %s nor %s", text, keepBundles, deleteBundles)
	}
}

func (b bundles) String() string {
	if b {
		return deleteBundles
	}
	return keepBundles
}

// buckets are the names of buckets.
type buckets []string

// bucketName is S3's rule for the names of buckets (S3 User Guide, "General purpose bucket naming
// rules").
var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

func (b *buckets) UnmarshalText(text []byte) error {
	var names []string
	for name := range strings.SplitSeq(string(text), ",") {
		name = strings.TrimSpace(name)
		if !bucketName.MatchString(name) {
			return fmt.Errorf("%q is not the name of a bucket", name)
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	*b = names
	return nil
}

func (b buckets) String() string { return strings.Join(b, ",") }

// refusesBundles says why bundles cannot be deleted with the other settings, whose names are in
// braces; empty if they can, or if nobody wants that.
func (c *Config) refusesBundles() string {
	switch {
	case !c.Policy.DeleteBundles:
		return ""
	case c.Organization.Namespace != "": // It always has one.
		return "delete is not for a run over an organization: its roles have no rights to buckets of the accounts"
	case len(c.Policy.BundleBuckets) == 0:
		return "delete needs {BUNDLE_BUCKETS}"
	}
	return ""
}

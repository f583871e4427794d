package bundle

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// endedBy says which rule of a bucket ends objects with a prefix, or their noncurrent versions
// before a number of days has passed; empty if none does. A rule counts that may match: those with
// tags or sizes do, whatever the objects have.
func endedBy(rules []types.LifecycleRule, prefix string, days int) string {
	for i := range rules {
		rule := &rules[i]
		if rule.Status == types.ExpirationStatusDisabled || !mayMatch(rule, prefix) {
			continue
		}
		name := fmt.Sprintf("lifecycle rule %q ", clip(aws.ToString(rule.ID)))
		if rule.Expiration != nil && (rule.Expiration.Date != nil || aws.ToInt32(rule.Expiration.Days) > 0) {
			return name + "ends its objects"
		}
		if noncurrent := rule.NoncurrentVersionExpiration; noncurrent != nil {
			if kept := aws.ToInt32(noncurrent.NoncurrentDays); int(kept) < max(days, 1) {
				return name + fmt.Sprintf("ends noncurrent versions after %d days, and not %d", kept, max(days, 1))
			}
		}
		if slices.ContainsFunc(rule.NoncurrentVersionTransitions, func(t types.NoncurrentVersionTransition) bool {
			isArchive := t.StorageClass == types.TransitionStorageClassGlacier || t.StorageClass == types.TransitionStorageClassDeepArchive
			return isArchive && int(aws.ToInt32(t.NoncurrentDays)) < max(days, 1)
		}) {
			return name + "archives noncurrent versions"
		}
	}
	return ""
}

// mayMatch reports whether a rule may match an object with a prefix.
func mayMatch(rule *types.LifecycleRule, prefix string) bool {
	of := aws.ToString(rule.Prefix) //nolint:staticcheck // Old buckets still have it.
	if filter := rule.Filter; filter != nil {
		of = aws.ToString(filter.Prefix)
		if filter.And != nil {
			of = aws.ToString(filter.And.Prefix)
		}
	}
	return strings.HasPrefix(prefix, of) || strings.HasPrefix(of, prefix)
}

package janitor

import (
	"context"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/bundle"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// bundles is where the bundles of an account are.
func (j *Janitor) bundles(account string) *bundle.Store {
	return &bundle.Store{
		AWS: j.AWS, Account: account, Buckets: j.Config.Policy.BundleBuckets, Days: j.Config.Policy.RecycleBinDays,
		Regions: func(ctx context.Context) ([]string, error) { return enabledRegions(ctx, wire.EC2(j.AWS, j.AWS.Region)) },
	}
}

// askBundles adds to the evidence what S3 has of the images that plans deregister, and reports
// whether that is new.
func (j *Janitor) askBundles(ctx context.Context, evidence map[string]ami.Evidence, plans []retention.Plan) bool {
	var users []bundle.User
	var unknown error
	isAsked := false
	for i := range plans {
		for _, v := range plans[i].Verdicts {
			if v.Bundle == nil || !v.Bundle.WasNotAsked {
				continue
			}
			store := j.bundles(plans[i].Account)
			if !isAsked {
				isAsked = true
				users, unknown = store.Users(ctx)
			}
			found := ami.BundleFinding{Bundle: ami.Bundle{Location: v.Image.S3Location}, Unknown: true}
			if unknown != nil {
				found.Why = unknown.Error()
			} else {
				found = store.Find(ctx, v.Image.ID, v.Image.S3Location, users)
			}
			known := evidence[plans[i].Region]
			if known.Bundles == nil {
				known.Bundles = map[string]ami.BundleFinding{}
			}
			known.Bundles[v.Image.ID] = found
			evidence[plans[i].Region] = known
		}
	}
	return isAsked
}

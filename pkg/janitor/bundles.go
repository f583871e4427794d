package janitor

import (
	"cmp"
	"context"
	"maps"
	"slices"

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
	account, locations := "", map[string]map[string]string{}
	for i := range plans {
		account = cmp.Or(account, plans[i].Account)
		for k := range plans[i].Verdicts {
			if v := &plans[i].Verdicts[k]; v.Bundle != nil && v.Bundle.WasNotAsked {
				addLocation(locations, plans[i].Region, v.Image)
			}
		}
	}
	j.findBundles(ctx, account, evidence, locations)
	return len(locations) > 0
}

func addLocation(locations map[string]map[string]string, region string, image ami.Image) {
	if locations[region] == nil {
		locations[region] = map[string]string{}
	}
	locations[region][image.ID] = image.S3Location
}

// findBundles adds to the evidence what S3 has of images, whose locations are given by region and
// id.
func (j *Janitor) findBundles(ctx context.Context, account string, evidence map[string]ami.Evidence, locations map[string]map[string]string) {
	if len(locations) == 0 {
		return
	}
	store := j.bundles(account)
	users, unknown := store.Users(ctx)
	for _, region := range slices.Sorted(maps.Keys(locations)) {
		images, known := locations[region], evidence[region]
		known.Bundles = maps.Clone(known.Bundles)
		if known.Bundles == nil {
			known.Bundles = map[string]ami.BundleFinding{}
		}
		for _, id := range slices.Sorted(maps.Keys(images)) {
			location := images[id]
			if unknown != nil {
				known.Bundles[id] = ami.BundleFinding{Bundle: ami.Bundle{Location: location}, Why: unknown.Error(), Unknown: true}
			} else {
				known.Bundles[id] = store.Find(ctx, id, location, users)
			}
		}
		evidence[region] = known
	}
}

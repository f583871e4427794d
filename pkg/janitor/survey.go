package janitor

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"ami-janitor/pkg/ami"
	"ami-janitor/pkg/inventory"
	"ami-janitor/pkg/report"
	"ami-janitor/pkg/retention"
	"ami-janitor/pkg/wire"
)

// survey is what a run is about: the policy, and what the account holds.
type survey struct {
	now         time.Time
	policy      retention.Policy
	inventories []ami.Inventory
	failed      []report.Region // The regions that could not be read.
}

// survey reads the keep list, and the inventory of every region. A region that fails is left out of the run, and recorded.
// Without the keep list every region fails.
func (j *Janitor) survey(ctx context.Context) survey {
	s := survey{now: j.Clock(), policy: j.Config.Policy()}
	account, err := j.account(ctx)
	if err != nil {
		s.fail("", j.AWS.Region, err)
		return s
	}
	names, err := j.regionNames(ctx)
	if err != nil {
		s.fail(account, j.AWS.Region, err)
		return s
	}
	var unlisted error
	s.policy.KeepList, unlisted = j.readKeepList(ctx)
	for i, name := range names {
		j.watch("Listing")(i, len(names))
		if unlisted != nil {
			s.fail(account, name, unlisted)
			continue
		}
		inventory, err := inventory.Read(ctx, wire.EC2(j.AWS, name), account, name)
		if err != nil {
			s.fail(account, name, err)
			continue
		}
		s.inventories = append(s.inventories, inventory)
	}
	return s
}

func (s *survey) fail(account, region string, err error) {
	s.failed = append(s.failed, report.FailedRegion(account, region, err))
}

var accountID = regexp.MustCompile(`^[0-9]{12}$`)

func (j *Janitor) account(ctx context.Context) (string, error) {
	out, err := sts.NewFromConfig(j.AWS).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return "", fmt.Errorf("asking for the account: %s", wire.Explain(err))
	}
	account := aws.ToString(out.Account)
	if !accountID.MatchString(account) {
		return "", fmt.Errorf("asking for the account: %q is not an account id", account)
	}
	return account, nil
}

// regionNames returns the regions to be judged, each once.
func (j *Janitor) regionNames(ctx context.Context) ([]string, error) {
	names := slices.Clone(j.Config.Regions.regions)
	switch {
	case j.Config.Regions.all:
		enabled, err := enabledRegions(ctx, wire.EC2(j.AWS, j.AWS.Region))
		if err != nil {
			return nil, fmt.Errorf("listing the regions: %s", wire.Explain(err))
		}
		names = enabled
	case len(names) == 0:
		names = regions{j.AWS.Region}
	}
	names = slices.DeleteFunc(names, func(name string) bool { return slices.Contains(j.Config.ExceptRegions, name) })
	slices.Sort(names)
	if names = slices.Compact(names); len(names) == 0 {
		return nil, errors.New("no region is left to be judged: see REGIONS and EXCEPT_REGIONS")
	}
	return names, nil
}

// enabledRegions lists the regions that the account can use; those that it has not opted into are not listed.
func enabledRegions(ctx context.Context, client *ec2.Client) ([]string, error) {
	out, err := client.DescribeRegions(ctx, &ec2.DescribeRegionsInput{})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, region := range out.Regions {
		names = append(names, aws.ToString(region.RegionName))
	}
	return names, nil
}

package janitor

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

var accountID = regexp.MustCompile(`^[0-9]{12}$`)

// Account returns the id of the account on which runs work.
func (j *Janitor) Account(ctx context.Context) (string, error) {
	asked := j.Clock()
	out, err := sts.NewFromConfig(j.AWS).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return "", fmt.Errorf("asking for the account: %s", wire.ExplainLookup(err))
	}
	account := aws.ToString(out.Account)
	if !accountID.MatchString(account) {
		return "", fmt.Errorf("asking for the account: %q is not an account id", account)
	}
	if j.Only != "" && account != j.Only {
		return "", fmt.Errorf("the credentials are those of account %s, and not of %s", account, j.Only)
	}
	return account, j.compareClocks(asked, out.ResultMetadata)
}

// RegionNames returns the regions to be judged, each once.
func (j *Janitor) RegionNames(ctx context.Context) ([]string, error) {
	names := slices.Clone(j.Config.Regions.Names)
	switch {
	case j.Config.Regions.All:
		enabled, err := enabledRegions(ctx, wire.EC2(j.AWS, j.AWS.Region))
		if err != nil {
			return nil, fmt.Errorf("listing the regions: %s", wire.ExplainLookup(err))
		}
		names = enabled
	case len(names) == 0:
		names = []string{j.AWS.Region}
	}
	names = slices.DeleteFunc(names, func(name string) bool { return slices.Contains(j.Config.ExceptRegions, name) })
	slices.Sort(names)
	if names = slices.Compact(names); len(names) == 0 {
		return nil, errors.New("no region is left to be judged")
	}
	return names, nil
}

// enabledRegions lists the regions that the account can use, without those that it has not opted
// into.
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

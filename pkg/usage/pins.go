package usage

import (
	"cmp"
	"context"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	autoscaling "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// pins are the numbers of launch template versions to which something is pinned, by the id or the
// name of the template. $Latest and $Default, the default, refer to versions that count anyway.
type pins map[string][]int64

func (p pins) of(t *template) []int64 {
	return slices.Concat(p[t.id], p[t.name])
}

func (p pins) add(id, name, version *string) {
	number, err := strconv.ParseInt(aws.ToString(version), 10, 64)
	if template := cmp.Or(aws.ToString(id), aws.ToString(name)); err == nil && template != "" {
		p[template] = append(p[template], number)
	}
}

func (p pins) addFleet(pinned *types.FleetLaunchTemplateSpecification) {
	if pinned != nil {
		p.add(pinned.LaunchTemplateId, pinned.LaunchTemplateName, pinned.Version)
	}
}

// addGroup adds the versions to which an Auto Scaling group is pinned: by its launch template, or
// by that of its mixed instances policy and its overrides.
func (p pins) addGroup(group *autoscaling.AutoScalingGroup) {
	pinned := []*autoscaling.LaunchTemplateSpecification{group.LaunchTemplate}
	if policy := group.MixedInstancesPolicy; policy != nil && policy.LaunchTemplate != nil {
		pinned = append(pinned, policy.LaunchTemplate.LaunchTemplateSpecification)
		for _, override := range policy.LaunchTemplate.Overrides {
			pinned = append(pinned, override.LaunchTemplateSpecification)
		}
	}
	for _, template := range pinned {
		if template != nil {
			p.add(template.LaunchTemplateId, template.LaunchTemplateName, template.Version)
		}
	}
}

// pins finds the versions to which Auto Scaling groups, EC2 fleets and unfinished Spot fleets are
// pinned. If all versions count, nothing is asked. After an error it returns the pins so far.
func (s *search) pins(ctx context.Context) (pins, error) {
	found := pins{}
	if s.TemplateVersions == 0 {
		return found, nil
	}
	groups, groupsErr := s.groups()
	for i := range groups {
		found.addGroup(&groups[i])
	}
	fleets, spotErr := s.spotFleetConfigs()
	for i := range fleets {
		if config := fleets[i].SpotFleetRequestConfig; config != nil && !isFinished(&fleets[i]) {
			for _, template := range config.LaunchTemplateConfigs {
				found.addFleet(template.LaunchTemplateSpecification)
			}
		}
	}
	return found, cmp.Or(groupsErr, spotErr, s.readFleets(ctx, found))
}

// readFleets adds the versions to which EC2 fleets are pinned. Fleets of the type instant are not
// listed; they will launch nothing more. Only those may override the image of a template (EC2 API
// Reference, DescribeFleets and FleetLaunchTemplateOverridesRequest); if another one does, that is
// a use.
func (s *search) readFleets(ctx context.Context, found pins) error {
	pages := ec2.NewDescribeFleetsPaginator(s.EC2, &ec2.DescribeFleetsInput{MaxResults: aws.Int32(longPage)})
	return wire.EachPage(ctx, pages, func(page *ec2.DescribeFleetsOutput) *string {
		for _, fleet := range page.Fleets {
			by := ami.Reference{Source: templatesSource, Type: "ec2:Fleet", ARN: s.arn("ec2", "fleet/"+aws.ToString(fleet.FleetId))}
			for _, template := range fleet.LaunchTemplateConfigs {
				found.addFleet(template.LaunchTemplateSpecification)
				for _, override := range template.Overrides {
					s.use(by, override.ImageId)
				}
			}
		}
		return page.NextToken
	})
}

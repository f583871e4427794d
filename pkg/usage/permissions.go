package usage

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
)

// PermissionsSource names the lookup of launch permissions in a gap. It cannot be switched off:
// whether launches by other accounts update an image's LastLaunchedTime is not documented.
const PermissionsSource = "launch permissions"

// lookUpPermissions finds out with whom the candidates are shared. EC2 has no listing of launch
// permissions: it takes one call for each image.
func (s *search) lookUpPermissions(ctx context.Context, breaker *circuitBreaker, ids []string, step func()) {
	eachUntil(ctx, breaker, inFlight, slices.Values(ids), s.permissionsOf, func(id string, grantees []ami.Grantee, err error) {
		finding := s.finding(id)
		finding.SharedWith = append(finding.SharedWith, grantees...)
		if err != nil {
			s.gap(PermissionsSource, err, id)
		}
		step()
	})
}

func (s *search) permissionsOf(ctx context.Context, id string) (grantees []ami.Grantee, err error) {
	out, err := s.EC2.DescribeImageAttribute(ctx, &ec2.DescribeImageAttributeInput{
		ImageId:   aws.String(id),
		Attribute: types.ImageAttributeNameLaunchPermission,
	})
	if err != nil {
		return nil, err
	}
	if other := aws.ToString(out.ImageId); other != id {
		return nil, fmt.Errorf("ec2:DescribeImageAttribute: EC2 answered for %q, which was not asked about", other)
	}
	for _, permission := range out.LaunchPermissions {
		with := grantee(permission.UserId, permission.Group)
		if with == (ami.Grantee{}) {
			with.Organization, with.Unit = aws.ToString(permission.OrganizationArn), aws.ToString(permission.OrganizationalUnitArn)
		}
		grantees = append(grantees, with)
	}
	return grantees, nil
}

// grantee is an account or a group; the zero value if a permission names neither.
func grantee(account *string, group types.PermissionGroup) ami.Grantee {
	switch {
	case account != nil:
		return ami.Grantee{Account: *account}
	case group == types.PermissionGroupAll:
		return ami.Grantee{Everybody: true}
	default:
		return ami.Grantee{Group: string(group)}
	}
}

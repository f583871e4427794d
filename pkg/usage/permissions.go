package usage

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"ami-janitor/pkg/ami"
)

// PermissionsSource names the lookup of launch permissions in a gap. It cannot be switched off: whether the launches of
// other accounts move an image's LastLaunchedTime is not documented.
const PermissionsSource = "launch permissions"

// lookUpPermissions finds out with whom the candidates are shared. EC2 has no listing of launch permissions: it takes one
// call for each image.
func (s *search) lookUpPermissions(ctx context.Context, step func(done, total int)) {
	for i, image := range s.Images {
		if err := s.permissionsOf(ctx, image.ID, s.finding(image.ID)); err != nil {
			s.gap(PermissionsSource, err, image.ID)
		}
		step(i+1, len(s.Images))
	}
}

func (s *search) permissionsOf(ctx context.Context, imageID string, finding *ami.Finding) error {
	out, err := s.EC2.DescribeImageAttribute(ctx, &ec2.DescribeImageAttributeInput{
		ImageId:   aws.String(imageID),
		Attribute: types.ImageAttributeNameLaunchPermission,
	})
	if err != nil {
		return err
	}
	if aws.ToString(out.ImageId) != imageID {
		return errors.New("EC2 answered for another image")
	}
	for _, permission := range out.LaunchPermissions {
		finding.SharedWith = append(finding.SharedWith, grantee(permission))
	}
	return nil
}

func grantee(permission types.LaunchPermission) string {
	switch {
	case permission.UserId != nil:
		return "account " + *permission.UserId
	case permission.OrganizationArn != nil:
		return *permission.OrganizationArn
	case permission.OrganizationalUnitArn != nil:
		return *permission.OrganizationalUnitArn
	case permission.Group != "":
		return string(permission.Group)
	default:
		return "somebody"
	}
}

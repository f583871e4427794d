package usage

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"ami-janitor/pkg/ami"
)

// permissionsSource names the lookup of launch permissions in a gap. It cannot be switched off: whether the launches of
// other accounts move an image's LastLaunchedTime is not documented.
const permissionsSource = "launch permissions"

// lookUpPermissions finds out with whom an image is shared. EC2 has no listing of launch permissions: it takes one call
// for each image.
func lookUpPermissions(ctx context.Context, api API, imageID string, finding *ami.Finding) {
	out, err := api.DescribeImageAttribute(ctx, &ec2.DescribeImageAttributeInput{
		ImageId:   aws.String(imageID),
		Attribute: types.ImageAttributeNameLaunchPermission,
	})
	if err == nil && aws.ToString(out.ImageId) != imageID {
		err = errors.New("EC2 answered for another image")
	}
	if err != nil {
		add(finding, permissionsSource, answer{err: err})
		return
	}
	for _, permission := range out.LaunchPermissions {
		finding.SharedWith = append(finding.SharedWith, grantee(permission))
	}
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

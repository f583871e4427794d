package usage

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// parameterPage is the longest page of DescribeParameters (AWS Systems Manager API Reference).
const parameterPage = 50

// parameterTexts looks for the ids of images in the text of all SSM parameters of the account
// except secrets, including parameters of type aws:ec2:image.
func parameterTexts(ctx context.Context, s *search) error {
	arns, err := s.listParameters(ctx)
	// Without duplicates: a listing that changes while it is read may repeat one.
	names := slices.Sorted(maps.Keys(arns))
	parameters := s.readParameters(ctx, names)
	err = cmp.Or(err, s.stillListed(ctx, parameters))
	var unread []string
	var readErr error
	for _, name := range names {
		found := parameters[name]
		by := ami.Reference{Source: ami.TextSource, Type: "ssm:Parameter", ARN: arns[name]}
		for _, id := range found.images {
			s.use(by, &id)
		}
		for _, id := range found.snapshots {
			s.useSnapshot(by, &id)
		}
		if isOfParameter(found.err) {
			unread = append(unread, "SSM parameter "+name+" cannot be read: "+s.why(found))
		} else {
			readErr = cmp.Or(readErr, found.err)
		}
	}
	return cmp.Or(err, readErr, firstOf(unread, "nor can %d more"))
}

// stillListed lists the parameters once more if SSM says that some are missing. Those that are
// listed again were not deleted meanwhile, so that they have a value that was not read.
func (s *search) stillListed(ctx context.Context, parameters map[string]parameter) error {
	isGone := func(p parameter) bool { return !p.exists && p.err == nil }
	if !slices.ContainsFunc(slices.Collect(maps.Values(parameters)), isGone) {
		return nil
	}
	listed, err := s.listParameters(ctx)
	for name, found := range parameters {
		if _, isListed := listed[name]; isListed && isGone(found) {
			parameters[name] = parameter{err: errNotThere}
		}
	}
	return err
}

// listParameters returns the ARNs of the parameters by their names. After an error it returns the
// parameters so far.
func (s *search) listParameters(ctx context.Context) (map[string]string, error) {
	arns := map[string]string{}
	pages := ssm.NewDescribeParametersPaginator(s.SSM, &ssm.DescribeParametersInput{
		MaxResults: aws.Int32(parameterPage),
		ParameterFilters: []types.ParameterStringFilter{{
			Key: aws.String("Type"), Option: aws.String("Equals"), Values: []string{"String", "StringList"},
		}},
	})
	err := wire.EachPage(ctx, pages, func(page *ssm.DescribeParametersOutput) *string {
		for _, parameter := range page.Parameters {
			name := aws.ToString(parameter.Name)
			arns[name] = cmp.Or(aws.ToString(parameter.ARN), s.arn("ssm", "parameter/"+strings.TrimPrefix(name, "/")))
		}
		return page.NextToken
	})
	return arns, err
}

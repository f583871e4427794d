package usage

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticbeanstalk"
	"github.com/aws/aws-sdk-go-v2/service/elasticbeanstalk/types"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

const beanstalkSource = "elastic-beanstalk"

// configurations ask for the settings of environments and saved configurations, by the ARN of each.
type configurations map[string]*elasticbeanstalk.DescribeConfigurationSettingsInput

// beanstalk looks at the images of Elastic Beanstalk's environments, saved configurations and
// custom platforms. The settings of an environment may be two: those deployed, and a draft.
func beanstalk(ctx context.Context, s *search) error {
	client := elasticbeanstalk.NewFromConfig(wire.In(s.AWS, s.Region))
	asked := configurations{}
	err := cmp.Or(s.listEnvironments(ctx, client, asked), s.listSavedConfigurations(ctx, client, asked))
	read := func(ctx context.Context, arn string) (map[string][]types.ConfigurationSettingsDescription, error) {
		settings, err := readSettings(ctx, client, asked[arn])
		return map[string][]types.ConfigurationSettingsDescription{arn: settings}, err
	}
	err = cmp.Or(err, ofEach(ctx, "the settings of", slices.Sorted(maps.Keys(asked)), read, func(found map[string][]types.ConfigurationSettingsDescription) {
		for arn, settings := range found {
			by := ami.Reference{Source: beanstalkSource, Type: "elasticbeanstalk:Environment", ARN: arn}
			if asked[arn].TemplateName != nil {
				by.Type = "elasticbeanstalk:ConfigurationTemplate"
			}
			s.useBySettings(by, settings)
		}
	}))
	return cmp.Or(err, customPlatforms(ctx, s, client))
}

// listEnvironments adds the environments that are not terminated. Elastic Beanstalk lists all at
// once to who asks for no pages (API Reference, DescribeEnvironments).
func (s *search) listEnvironments(ctx context.Context, client *elasticbeanstalk.Client, asked configurations) error {
	out, err := client.DescribeEnvironments(ctx, &elasticbeanstalk.DescribeEnvironmentsInput{IncludeDeleted: aws.Bool(false)})
	if err != nil {
		return err
	}
	for i := range out.Environments {
		environment := &out.Environments[i]
		if environment.Status == types.EnvironmentStatusTerminated {
			continue
		}
		name := aws.ToString(environment.ApplicationName) + "/" + aws.ToString(environment.EnvironmentName)
		asked[cmp.Or(aws.ToString(environment.EnvironmentArn), s.arn("elasticbeanstalk", "environment/"+name))] = &elasticbeanstalk.DescribeConfigurationSettingsInput{
			ApplicationName: environment.ApplicationName, EnvironmentName: environment.EnvironmentName,
		}
	}
	if aws.ToString(out.NextToken) != "" {
		return errors.New("elasticbeanstalk:DescribeEnvironments: Elastic Beanstalk listed only a part of the environments")
	}
	return nil
}

// listSavedConfigurations adds the saved configurations of all applications.
func (s *search) listSavedConfigurations(ctx context.Context, client *elasticbeanstalk.Client, asked configurations) error {
	out, err := client.DescribeApplications(ctx, &elasticbeanstalk.DescribeApplicationsInput{})
	if err != nil {
		return err
	}
	for i := range out.Applications {
		application := out.Applications[i].ApplicationName
		for _, template := range out.Applications[i].ConfigurationTemplates {
			arn := s.arn("elasticbeanstalk", "configurationtemplate/"+aws.ToString(application)+"/"+template)
			asked[arn] = &elasticbeanstalk.DescribeConfigurationSettingsInput{ApplicationName: application, TemplateName: &template}
		}
	}
	return nil
}

// readSettings reads the settings of an environment or a saved configuration. One that was deleted
// since it was listed is a gap for a night: Elastic Beanstalk documents no error that says so.
func readSettings(
	ctx context.Context, client *elasticbeanstalk.Client, asked *elasticbeanstalk.DescribeConfigurationSettingsInput,
) ([]types.ConfigurationSettingsDescription, error) {
	out, err := client.DescribeConfigurationSettings(ctx, asked)
	switch {
	case err != nil:
		return nil, err
	case len(out.ConfigurationSettings) == 0:
		return nil, errors.New("elasticbeanstalk:DescribeConfigurationSettings: Elastic Beanstalk showed no settings")
	default:
		return out.ConfigurationSettings, nil
	}
}

// useBySettings records the images that settings name: in the option for the image, and anywhere
// else.
func (s *search) useBySettings(by ami.Reference, settings []types.ConfigurationSettingsDescription) {
	for i := range settings {
		for _, option := range settings[i].OptionSettings {
			if aws.ToString(option.Namespace) == "aws:autoscaling:launchconfiguration" && aws.ToString(option.OptionName) == "ImageId" {
				s.use(by, option.Value)
			}
			s.useByText(by, aws.ToString(option.Value))
		}
	}
}

// customPlatforms looks at the images of the platforms that the account has made.
func customPlatforms(ctx context.Context, s *search, client *elasticbeanstalk.Client) error {
	var platforms []string
	pages := elasticbeanstalk.NewListPlatformVersionsPaginator(client, &elasticbeanstalk.ListPlatformVersionsInput{
		Filters:    []types.PlatformFilter{{Type: aws.String("PlatformOwner"), Operator: aws.String("="), Values: []string{"self"}}},
		MaxRecords: aws.Int32(servicePage),
	})
	err := wire.EachPage(ctx, pages, func(page *elasticbeanstalk.ListPlatformVersionsOutput) *string {
		for i := range page.PlatformSummaryList {
			if page.PlatformSummaryList[i].PlatformStatus != types.PlatformStatusDeleted {
				platforms = append(platforms, aws.ToString(page.PlatformSummaryList[i].PlatformArn))
			}
		}
		return page.NextToken
	})
	describe := func(ctx context.Context, arn string) (*types.PlatformDescription, error) {
		out, err := client.DescribePlatformVersion(ctx, &elasticbeanstalk.DescribePlatformVersionInput{PlatformArn: &arn})
		if err != nil {
			return &types.PlatformDescription{}, err
		}
		return out.PlatformDescription, nil
	}
	return cmp.Or(err, ofEach(ctx, "platform", platforms, describe, func(platform *types.PlatformDescription) {
		for _, image := range platform.CustomAmiList {
			s.use(ami.Reference{Source: beanstalkSource, Type: "elasticbeanstalk:Platform", ARN: aws.ToString(platform.PlatformArn)}, image.ImageId)
		}
	}))
}

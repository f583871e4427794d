package export

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticbeanstalk"
	"github.com/aws/aws-sdk-go-v2/service/elasticbeanstalk/types"

	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

const (
	environmentsFile = "elasticbeanstalk-describe-environments.json"
	applicationsFile = "elasticbeanstalk-describe-applications.json"
	settingsFile     = "elasticbeanstalk-describe-configuration-settings.json"
	platformsFile    = "elasticbeanstalk-list-platform-versions.json"
)

// beanstalkEnvironments lists the environments that are not terminated.
func beanstalkEnvironments(ctx context.Context, r *region) (any, time.Time, error) {
	out, err := elasticbeanstalk.NewFromConfig(r.aws).DescribeEnvironments(ctx, &elasticbeanstalk.DescribeEnvironmentsInput{IncludeDeleted: aws.Bool(false)})
	if err != nil {
		return nil, time.Time{}, err
	}
	return encode(out), time.Time{}, nil
}

func beanstalkApplications(ctx context.Context, r *region) (any, time.Time, error) {
	out, err := elasticbeanstalk.NewFromConfig(r.aws).DescribeApplications(ctx, &elasticbeanstalk.DescribeApplicationsInput{})
	if err != nil {
		return nil, time.Time{}, err
	}
	return encode(out), time.Time{}, nil
}

// beanstalkSettings reads the settings of environments and saved configurations, each by its
// application and its name.
func beanstalkSettings(ctx context.Context, r *region) (any, time.Time, error) {
	asked := map[string]*elasticbeanstalk.DescribeConfigurationSettingsInput{}
	environments, err := r.items(environmentsFile, "Environments")
	if err != nil {
		return nil, time.Time{}, err
	}
	for _, environment := range environments {
		application, _ := environment["ApplicationName"].(string)
		name, _ := environment["EnvironmentName"].(string)
		asked["environment/"+application+"/"+name] = &elasticbeanstalk.DescribeConfigurationSettingsInput{ApplicationName: &application, EnvironmentName: &name}
	}
	applications, err := r.items(applicationsFile, "Applications")
	if err != nil {
		return nil, time.Time{}, err
	}
	for _, item := range applications {
		application, _ := item["ApplicationName"].(string)
		templates, _ := item["ConfigurationTemplates"].([]any)
		for _, template := range templates {
			name, _ := template.(string)
			asked["configurationtemplate/"+application+"/"+name] = &elasticbeanstalk.DescribeConfigurationSettingsInput{ApplicationName: &application, TemplateName: &name}
		}
	}
	return r.answersAbout(ctx, settingsFile, slices.Sorted(maps.Keys(asked)), func(ctx context.Context, r *region, key string) ([]any, error) {
		return settingsOf(ctx, r, asked[key])
	})
}

// settingsOf reads settings, and leaves out those that name no image: they may be secrets. What was
// deleted since it was listed has none.
func settingsOf(ctx context.Context, r *region, asked *elasticbeanstalk.DescribeConfigurationSettingsInput) ([]any, error) {
	out, err := elasticbeanstalk.NewFromConfig(r.aws).DescribeConfigurationSettings(ctx, asked)
	switch {
	case wire.Code(err) == "InvalidParameterValue":
		return nil, nil
	case err != nil:
		return nil, err
	}
	for i := range out.ConfigurationSettings {
		settings := &out.ConfigurationSettings[i]
		settings.OptionSettings = slices.DeleteFunc(settings.OptionSettings, func(option types.ConfigurationOptionSetting) bool {
			return aws.ToString(option.OptionName) != "ImageId" && !strings.Contains(strings.ToLower(aws.ToString(option.Value)), "ami-")
		})
	}
	return []any{encode(out)}, nil
}

// beanstalkPlatform reads a platform that the account has made.
func beanstalkPlatform(ctx context.Context, r *region, arn string) ([]any, error) {
	out, err := elasticbeanstalk.NewFromConfig(r.aws).DescribePlatformVersion(ctx, &elasticbeanstalk.DescribePlatformVersionInput{PlatformArn: &arn})
	if err != nil {
		return nil, err
	}
	return []any{encode(out)}, nil
}

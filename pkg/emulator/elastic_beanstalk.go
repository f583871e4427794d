package emulator

import "slices"

// beanstalkActions are the emulated actions of Elastic Beanstalk.
var beanstalkActions = map[string]action{
	"DescribeApplications":          {describeApplications, nil},
	"DescribeConfigurationSettings": {describeConfigurationSettings, []string{"ApplicationName", "EnvironmentName", "TemplateName"}},
	"DescribeEnvironments":          {describeBeanstalkEnvironments, []string{"IncludeDeleted", "MaxRecords", "NextToken"}},
	"DescribePlatformVersion":       {describePlatformVersion, []string{"PlatformArn"}},
	"ListPlatformVersions":          {listPlatformVersions, []string{"Filters", "MaxRecords", "NextToken"}},
}

// describeApplications lists all applications, which have no pages.
func describeApplications(c *call) (object, error) {
	return listing("Applications", c.region.items(applicationsFile), ""), nil
}

// describeBeanstalkEnvironments lists environments: all of them to who asks for no pages.
func describeBeanstalkEnvironments(c *call) (object, error) {
	environments := slices.Clone(c.region.items(beanstalkEnvironmentsFile))
	if !c.flag("IncludeDeleted") {
		environments = slices.DeleteFunc(environments, func(o object) bool { return text(o, "Status") == "Terminated" })
	}
	environments, token, err := page(c, environments, paging{least: 1, most: 1000})
	return listing("Environments", environments, token), err
}

// describeConfigurationSettings shows the settings of an environment, or those of a saved
// configuration.
func describeConfigurationSettings(c *call) (object, error) {
	application, environment, template := c.text("ApplicationName"), c.text("EnvironmentName"), c.text("TemplateName")
	if (environment == "") == (template == "") {
		return nil, refuse("InvalidParameterCombination", "Either EnvironmentName or TemplateName must be given")
	}
	for _, answer := range c.region.items(settingsFile) {
		if slices.ContainsFunc(objects(answer, "ConfigurationSettings"), func(o object) bool {
			return text(o, "ApplicationName") == application && text(o, "EnvironmentName") == environment && text(o, "TemplateName") == template
		}) {
			return answer, nil
		}
	}
	isListed := func(o object) bool {
		return text(o, "ApplicationName") == application && text(o, "EnvironmentName") == environment
	}
	isApplication := func(o object) bool {
		return text(o, "ApplicationName") == application && slices.Contains(values(o, "ConfigurationTemplates"), template)
	}
	switch {
	case environment != "" && !slices.ContainsFunc(c.region.items(beanstalkEnvironmentsFile), isListed):
		return nil, c.invalid("No Environment found for EnvironmentName = '%s'.", environment)
	case template != "" && !slices.ContainsFunc(c.region.items(applicationsFile), isApplication):
		return nil, c.invalid("No Configuration Template named '%s/%s' found.", application, template)
	}
	return nil, c.invalid("The settings of %s%s were not copied", environment, template)
}

// listPlatformVersions lists the platforms that the account has made: the account directory has no
// others.
func listPlatformVersions(c *call) (object, error) {
	platforms := slices.Clone(c.region.items(platformsFile))
	for _, filter := range members(c.Form, "Filters.member") {
		if filter.Get("Type") != "PlatformOwner" || filter.Get("Operator") != "=" {
			return nil, c.invalid("The filter %s %s is not supported", filter.Get("Type"), filter.Get("Operator"))
		}
		if !slices.Contains(list(filter, "Values.member"), "self") {
			platforms = nil
		}
	}
	platforms, token, err := page(c, platforms, paging{least: 1, most: 1000, usual: 100})
	return listing("PlatformSummaryList", platforms, token), err
}

// describePlatformVersion shows a platform.
func describePlatformVersion(c *call) (object, error) {
	arn := c.text("PlatformArn")
	for _, answer := range c.region.items(platformFile) {
		if text(child(answer, "PlatformDescription"), "PlatformArn") == arn {
			return answer, nil
		}
	}
	return nil, c.invalid("No Platform named '%s' found.", arn)
}

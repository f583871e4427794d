package usage

import "strings"

// partitions are AWS's partitions besides "aws", by the prefixes of their regions.
var partitions = []struct{ prefix, name string }{
	{"cn-", "aws-cn"},
	{"us-gov-", "aws-us-gov"},
	{"us-iso-", "aws-iso"},
	{"us-isob-", "aws-iso-b"},
	{"eu-isoe-", "aws-iso-e"},
	{"us-isof-", "aws-iso-f"},
	{"eusc-", "aws-eusc"},
}

// partition is the partition of the region.
func (l Lookup) partition() string {
	for _, partition := range partitions {
		if strings.HasPrefix(l.Region, partition.prefix) {
			return partition.name
		}
	}
	return "aws"
}

// arn is the ARN of a resource of the account.
func (l Lookup) arn(service, resource string) string {
	return "arn:" + l.partition() + ":" + service + ":" + l.Region + ":" + l.Account + ":" + resource
}

// sharedARN is the ARN of an image or a snapshot: it names no account (Service Authorization
// Reference, "Actions, resources, and condition keys for Amazon EC2").
func (l Lookup) sharedARN(resource string) string {
	return "arn:" + l.partition() + ":ec2:" + l.Region + "::" + resource
}

package pace

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
)

// size is the size of a token bucket: how many requests it holds, and how many it gets back each
// second.
type size struct{ burst, refill float64 }

// The sizes by category, and those of actions with their own (EC2 Developer Guide, "Request
// throttling for the Amazon EC2 API"): of these, all that concern images, snapshots, tags and Spot
// fleets.
var (
	reading           = size{100, 20}
	readingUnfiltered = size{50, 10} // Neither filtered nor paginated.
	changing          = size{50, 5}

	own = map[string]size{
		"CopyImage":                     {100, 1},
		"CreateRestoreImageTask":        {50, 0.1},
		"CreateSnapshot":                {100, 5},
		"CreateSnapshots":               {100, 5},
		"CreateStoreImageTask":          {50, 0.1},
		"CreateTags":                    {100, 10},
		"DeleteSnapshot":                {100, 5},
		"DeleteTags":                    {100, 10},
		"DeregisterImage":               {100, 5},
		"DescribeSpotFleetInstances":    {100, 5},
		"DescribeSpotFleetRequests":     {50, 3},
		"DescribeStoreImageTasks":       {50, 0.5},
		"DisableFastLaunch":             {5, 2},
		"DisableImageBlockPublicAccess": {1, 0.1},
		"EnableFastLaunch":              {5, 2},
		"EnableImageBlockPublicAccess":  {1, 0.1},
		"ModifyImageAttribute":          {100, 5},
		"ModifySnapshotAttribute":       {100, 5},
	}

	// large are the actions for which unfiltered requests have a bucket of their own.
	large = []string{
		"DescribeInstances", "DescribeInstanceStatus", "DescribeNetworkInterfaces", "DescribeSecurityGroups", "DescribeSnapshots",
		"DescribeSpotInstanceRequests", "DescribeVolumes",
	}
)

// parameterValues is the rate of requests for the values of parameters in a region, 40 a second,
// unless the account pays for a higher throughput: GetParameter, GetParameters and
// GetParametersByPath together (AWS General Reference, "AWS Systems Manager endpoints and quotas",
// Parameter Store, maximum throughput). No burst is published, so the bucket holds only the refill
// of one second.
var (
	parameterValues    = size{40, 40}
	valuesOfParameters = []string{"GetParameters", "GetParameter", "GetParametersByPath"}
)

// templates is how fast templates of stacks are read: CloudFormation publishes no rate, and
// throttles clients that call five times a second.
var templates = size{4, 4}

const getTemplate = "GetTemplate"

// sizeOf is the size of the bucket of a kind.
func sizeOf(kind kind) size {
	switch kind.service {
	case ssm.ServiceID:
		return parameterValues
	case cloudformation.ServiceID:
		return templates
	}
	action, unfiltered := kind.action, kind.unfiltered
	if size, ok := own[action]; ok {
		return size
	}
	isReading := slices.ContainsFunc([]string{"Describe", "Get", "List", "Search"}, func(verb string) bool {
		return strings.HasPrefix(action, verb)
	})
	switch {
	case !isReading:
		return changing
	case unfiltered:
		return readingUnfiltered
	default:
		return reading
	}
}

// isUnfiltered reports whether a request asks for everything at once: without a filter, and not in
// pages. If that cannot be told for an action, it counts as unfiltered.
func isUnfiltered(action string, parameters any) bool {
	switch input := parameters.(type) {
	case *ec2.DescribeInstancesInput:
		return len(input.Filters) == 0 && input.MaxResults == nil
	case *ec2.DescribeSnapshotsInput:
		return len(input.Filters) == 0 && input.MaxResults == nil
	case *ec2.DescribeSpotInstanceRequestsInput:
		return len(input.Filters) == 0 && input.MaxResults == nil
	default:
		return slices.Contains(large, action)
	}
}

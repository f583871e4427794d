package emulator

import "slices"

// cloudFormationActions are the emulated actions of CloudFormation.
var cloudFormationActions = map[string]action{
	"DescribeStackResource": {describeStackResource, []string{"LogicalResourceId", "StackName"}},
}

// describeStackResource shows a resource of a stack, which is named by its name or its id
// (CloudFormation API Reference, DescribeStackResource). A stack that the account directory has no
// answer about does not exist.
func describeStackResource(c *call) (object, error) {
	stack, resource := c.text("StackName"), c.text("LogicalResourceId")
	for _, name := range []string{"StackName", "LogicalResourceId"} {
		if c.text(name) == "" {
			return nil, c.invalid("1 validation error detected: Value null at '%s' failed to satisfy constraint: Member must not be null", name)
		}
	}
	answers := slices.DeleteFunc(slices.Clone(c.region.items(stackResourcesFile)), func(answer object) bool {
		detail := child(answer, "StackResourceDetail")
		return text(detail, "StackName") != stack && text(detail, "StackId") != stack
	})
	if len(answers) == 0 {
		return nil, c.invalid("Stack '%s' does not exist", stack)
	}
	for _, answer := range answers {
		if text(child(answer, "StackResourceDetail"), "LogicalResourceId") == resource {
			return answer, nil
		}
	}
	return nil, c.invalid("Resource %s does not exist for stack %s", resource, stack)
}

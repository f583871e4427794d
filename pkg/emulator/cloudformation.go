package emulator

import "slices"

// cloudFormationActions are the emulated actions of CloudFormation.
var cloudFormationActions = map[string]action{
	"DescribeStacks":        {describeStacks, []string{"NextToken", "StackName"}},
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

// describeStacks lists stacks, or shows the one of a name or an id. How long a page is is not
// documented.
func describeStacks(c *call) (object, error) {
	stacks := c.region.items(stacksFile)
	if name := c.text("StackName"); name != "" {
		stacks = slices.DeleteFunc(slices.Clone(stacks), func(o object) bool { return text(o, "StackName") != name && text(o, "StackId") != name })
		if len(stacks) == 0 {
			return nil, c.invalid("Stack with id %s does not exist", name)
		}
	}
	stacks, token, err := page(c, stacks, paging{least: 1, most: 100, usual: 100})
	return listing("Stacks", stacks, token), err
}

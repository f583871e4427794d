package emulator

import (
	"bytes"
	"encoding/json"
	"slices"
)

// cloudFormationActions are the emulated actions of CloudFormation.
var cloudFormationActions = map[string]action{
	"DescribeStacks":        {describeStacks, []string{"NextToken", "StackName"}},
	"GetTemplate":           {getTemplate, []string{"StackName", "TemplateStage"}},
	"DescribeStackResource": {describeStackResource, []string{"LogicalResourceId", "StackName"}},

	"DescribeStackResources": {describeStackResources, []string{"StackName"}},
}

// describeStackResources lists the resources of a stack, 100 of them at most (CloudFormation API
// Reference, DescribeStackResources).
func describeStackResources(c *call) (object, error) {
	const most = 100
	stack := c.text("StackName")
	found := slices.DeleteFunc(slices.Clone(c.region.items(resourcesOfStacksFile)), func(o object) bool {
		return text(o, "StackName") != stack && text(o, "StackId") != stack
	})
	if len(found) == 0 {
		return nil, c.invalid("Stack with id %s does not exist", stack)
	}
	return object{"StackResources": found[:min(most, len(found))]}, nil
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

// getTemplate shows the template of a stack, which is named by its name or its id. The CLI prints
// one in JSON as JSON.
func getTemplate(c *call) (object, error) {
	name := c.text("StackName")
	isThis := func(o object) bool { return text(o, "StackName") == name || text(o, "StackId") == name }
	names := []string{name}
	if i := slices.IndexFunc(c.region.items(stacksFile), isThis); i >= 0 {
		names = append(names, text(c.region.items(stacksFile)[i], "StackName"), text(c.region.items(stacksFile)[i], "StackId"))
	} else {
		return nil, c.invalid("Stack with id %s does not exist", name)
	}
	for _, template := range c.region.items(templatesOfStacksFile) {
		if slices.Contains(names, text(template, "StackName")) {
			body, err := templateBody(template["TemplateBody"])
			return object{"TemplateBody": body, "StagesAvailable": []any{"Original", "Processed"}}, err
		}
	}
	return nil, c.invalid("The template of stack %s was not copied", name)
}

func templateBody(body any) (string, error) {
	if text, isText := body.(string); isText {
		return text, nil
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(body)
	return b.String(), err
}

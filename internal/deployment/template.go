// Package deployment makes account directories in which a stack of template.yaml is deployed, for
// the tests of other packages.
package deployment

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// object is a mapping of a template. Short forms of functions are written out.
type object = map[string]any

// template is a template with its parameters and the values of references to its resources.
type template struct {
	sections   object
	parameters map[string]string
	region     string
}

// decode makes objects, lists and scalars of a node.
func decode(node *yaml.Node) any {
	var value any
	switch node.Kind {
	case yaml.MappingNode:
		members := object{}
		for i := 0; i < len(node.Content); i += 2 {
			members[node.Content[i].Value] = decode(node.Content[i+1])
		}
		value = members
	case yaml.SequenceNode:
		items := []any{}
		for _, item := range node.Content {
			items = append(items, decode(item))
		}
		value = items
	default:
		value = node.Value
		if !strings.HasPrefix(node.Tag, "!") || strings.HasPrefix(node.Tag, "!!") {
			_ = node.Decode(&value) // A scalar is decodable.
		}
	}
	function, isFunction := strings.CutPrefix(node.Tag, "!")
	switch {
	case !isFunction || strings.HasPrefix(function, "!"):
		return value
	case function == "Ref" || function == "Condition":
		return object{function: value}
	case function == "GetAtt":
		return object{"Fn::GetAtt": strings.SplitN(value.(string), ".", 2)}
	default:
		return object{"Fn::" + function: value}
	}
}

func (t template) section(name string) object {
	section, _ := t.sections[name].(object)
	return section
}

// nothing is what AWS::NoValue comes to.
type nothing struct{}

// eval works out all functions in a value, as CloudFormation does. What comes to nothing is left
// out of objects and lists.
func (t template) eval(node any) any {
	switch value := node.(type) {
	case object:
		if len(value) == 1 {
			for name, argument := range value {
				if result, isFunction := t.call(name, argument); isFunction {
					return result
				}
			}
		}
		members := object{}
		for key, member := range value {
			if result := t.eval(member); !isNothing(result) {
				members[key] = result
			}
		}
		return members
	case []any:
		items := []any{}
		for _, item := range value {
			if result := t.eval(item); !isNothing(result) {
				items = append(items, result)
			}
		}
		return items
	default:
		return value
	}
}

func isNothing(value any) bool {
	_, is := value.(nothing)
	return is
}

// call works out a function; it reports false for anything else.
func (t template) call(name string, argument any) (any, bool) {
	list, _ := argument.([]any)
	switch name {
	case "Ref":
		return t.ref(argument.(string)), true
	case "Condition":
		condition, isName := argument.(string)
		return isName && t.holds(argument), isName && t.section("Conditions")[condition] != nil
	case "Fn::GetAtt":
		parts := argument.([]string)
		return t.attribute(parts[0], parts[1]), true
	case "Fn::If":
		if t.holds(list[0]) {
			return t.eval(list[1]), true
		}
		return t.eval(list[2]), true
	case "Fn::Sub":
		return t.substitute(argument), true
	case "Fn::Select":
		index, _ := strconv.Atoi(fmt.Sprint(list[0]))
		return t.eval(list[1]).([]any)[index], true
	case "Fn::Split":
		items := []any{}
		for part := range strings.SplitSeq(fmt.Sprint(t.eval(list[1])), list[0].(string)) {
			items = append(items, part)
		}
		return items, true
	case "Fn::FindInMap":
		keys := t.eval(argument).([]any)
		return t.section("Mappings")[keys[0].(string)].(object)[keys[1].(string)].(object)[keys[2].(string)], true
	default:
		return nil, false
	}
}

// holds reports whether a condition holds, which is named or written out.
func (t template) holds(condition any) bool {
	if name, ok := condition.(string); ok {
		condition = t.section("Conditions")[name]
	}
	for function, argument := range condition.(object) {
		list, _ := argument.([]any)
		switch function {
		case "Condition":
			return t.holds(argument)
		case "Fn::Equals":
			return fmt.Sprint(t.eval(list[0])) == fmt.Sprint(t.eval(list[1]))
		case "Fn::Not":
			return !t.holds(list[0])
		case "Fn::And":
			return !slices.ContainsFunc(list, func(one any) bool { return !t.holds(one) })
		case "Fn::Or":
			return slices.ContainsFunc(list, t.holds)
		}
	}
	panic(fmt.Sprintf("the condition %v is not understood", condition))
}

// substitute fills in a text of Fn::Sub.
func (t template) substitute(argument any) string {
	variables := object{}
	if list, ok := argument.([]any); ok {
		argument, variables = list[0], list[1].(object)
	}
	var filled strings.Builder
	rest := argument.(string)
	for {
		before, after, found := strings.Cut(rest, "${")
		filled.WriteString(before)
		if !found {
			return filled.String()
		}
		var name string
		name, rest, _ = strings.Cut(after, "}")
		if variable, ok := variables[name]; ok {
			fmt.Fprint(&filled, t.eval(variable))
		} else if of, attribute, ok := strings.Cut(name, "."); ok {
			filled.WriteString(t.attribute(of, attribute))
		} else {
			fmt.Fprint(&filled, t.ref(name))
		}
	}
}

// has reports whether the template makes a resource, with these parameters.
func (t template) has(name string) bool {
	definition, ok := t.section("Resources")[name].(object)
	return ok && (definition["Condition"] == nil || t.holds(definition["Condition"]))
}

func (t template) kind(name string) string {
	definition, _ := t.section("Resources")[name].(object)
	kind, _ := definition["Type"].(string)
	if kind == "AWS::Serverless::Function" {
		kind = "AWS::Lambda::Function"
	}
	return kind
}

func (t template) properties(name string) object {
	definition, _ := t.section("Resources")[name].(object)
	properties, _ := t.eval(definition["Properties"]).(object)
	return properties
}

func (t template) ref(name string) any {
	switch name {
	case "AWS::NoValue":
		return nothing{}
	case "AWS::AccountId":
		return account
	case "AWS::Partition":
		return "aws"
	case "AWS::Region":
		return t.region
	case "AWS::StackName":
		return Stack
	}
	if value, ok := t.parameters[name]; ok {
		return value
	}
	return t.id(name)
}

// physical is the name that CloudFormation gives a resource.
func physical(name string) string { return Stack + "-" + name + "-EXAMPLE" }

func (t template) arn(service, resource string) string {
	return "arn:aws:" + service + ":" + t.region + ":" + account + ":" + resource
}

// id is the physical id of a resource.
func (t template) id(name string) string {
	switch t.kind(name) {
	case "AWS::SNS::Topic":
		return t.arn("sns", physical(name))
	case "AWS::SQS::Queue":
		return "https://sqs." + t.region + ".amazonaws.com/" + account + "/" + physical(name)
	case "AWS::S3::Bucket":
		return strings.ToLower(physical(name))
	case "AWS::Logs::LogGroup":
		definition := t.section("Resources")[name].(object)["Properties"].(object)
		return fmt.Sprint(t.eval(definition["LogGroupName"]))
	case "AWS::IAM::ManagedPolicy":
		return "arn:aws:iam::" + account + ":policy/" + physical(name)
	default:
		return physical(name)
	}
}

// attribute is what GetAtt returns. A resource that the conditions leave out has none that is used.
func (t template) attribute(name, attribute string) string {
	id := physical(name)
	switch kind := t.kind(name); {
	case attribute == "QueueName":
		return id
	case kind == "AWS::IAM::Role":
		return "arn:aws:iam::" + account + ":role" + t.parameters["RolePath"] + id
	case kind == "AWS::Lambda::Function":
		return t.arn("lambda", "function:"+id)
	case kind == "AWS::SQS::Queue":
		return t.arn("sqs", id)
	case kind == "AWS::S3::Bucket":
		return "arn:aws:s3:::" + strings.ToLower(id)
	case kind == "AWS::Logs::LogGroup":
		return t.arn("logs", "log-group:"+t.id(name)+":*")
	case kind == "AWS::CloudWatch::Alarm":
		return t.arn("cloudwatch", "alarm:"+id)
	case kind == "AWS::Events::Rule":
		return t.arn("events", "rule/"+id)
	default:
		return id
	}
}

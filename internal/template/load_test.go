// Package template_test reads the templates, and the definition of the state machine, as a reviewer
// would: from an alarm to whoever is told, from a role to what it may do and what the code does. It
// holds nothing but tests.
package template_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// root is the directory of the repository.
const root = "../.."

// object is a mapping in a template. The short forms of intrinsic functions are written out: !Ref x
// is {"Ref": "x"}.
type object = map[string]any

// resource is a resource of a template.
type resource struct {
	name, kind string
	properties object
}

// template is a template, read again each time, so that a test can change it.
type template struct {
	object
	file   string
	chosen map[string]string // Parameters that are not as by default; see with.
}

// load reads template.yaml.
func load(t *testing.T) template {
	t.Helper()
	return read(t, "template.yaml")
}

func read(t *testing.T, name string) template {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	return template{object: decode(t, document.Content[0]).(object), file: name}
}

// decode makes objects, lists and scalars of a node.
func decode(t *testing.T, node *yaml.Node) any {
	t.Helper()
	var value any
	switch node.Kind {
	case yaml.MappingNode:
		members := object{}
		for i := 0; i < len(node.Content); i += 2 {
			members[node.Content[i].Value] = decode(t, node.Content[i+1])
		}
		value = members
	case yaml.SequenceNode:
		items := []any{}
		for _, item := range node.Content {
			items = append(items, decode(t, item))
		}
		value = items
	case yaml.ScalarNode:
		if function, ok := strings.CutPrefix(node.Tag, "!"); ok && !strings.HasPrefix(function, "!") {
			value = node.Value
		} else if err := node.Decode(&value); err != nil {
			t.Fatal(err)
		}
	case yaml.DocumentNode, yaml.AliasNode:
		t.Fatalf("line %d: neither a mapping nor a list nor a scalar", node.Line)
	}
	function, ok := strings.CutPrefix(node.Tag, "!")
	switch {
	case !ok || strings.HasPrefix(function, "!"):
		return value
	case function == "Ref" || function == "Condition":
		return object{function: value}
	case function == "GetAtt":
		name, attribute, _ := strings.Cut(value.(string), ".")
		return object{"Fn::GetAtt": []any{name, attribute}}
	default:
		return object{"Fn::" + function: value}
	}
}

// section returns a section of the template, such as "Parameters".
func (t template) section(name string) object { return t.object[name].(object) }

func (t template) properties(name string) object {
	return t.section("Resources")[name].(object)["Properties"].(object)
}

// resources returns the resources of some types, or all of them, by name.
func (t template) resources(kinds ...string) []resource {
	var found []resource
	for name, definition := range t.section("Resources") {
		kind := definition.(object)["Type"].(string)
		if len(kinds) == 0 || slices.Contains(kinds, kind) {
			found = append(found, resource{name, kind, definition.(object)["Properties"].(object)})
		}
	}
	slices.SortFunc(found, func(a, b resource) int { return strings.Compare(a.name, b.name) })
	return found
}

// at follows keys into a value; nil if there is nothing.
func at(value any, keys ...string) any {
	for _, key := range keys {
		members, ok := value.(object)
		if !ok {
			return nil
		}
		value = members[key]
	}
	return value
}

// list is what a template writes as a list, or as its only item.
func list(value any) []any {
	switch value := value.(type) {
	case nil:
		return nil
	case []any:
		return value
	default:
		return []any{value}
	}
}

func texts(value any) []string {
	var found []string
	for _, item := range list(value) {
		found = append(found, item.(string))
	}
	return found
}

// target is the resource that a value refers to by Ref or GetAtt; empty if it refers to none.
func target(value any) string {
	if name, ok := at(value, "Ref").(string); ok {
		return name
	}
	if parts, ok := at(value, "Fn::GetAtt").([]any); ok {
		return parts[0].(string)
	}
	return ""
}

// function is the janitor's function.
func (t template) function() resource {
	return resource{"JanitorFunction", "AWS::Serverless::Function", t.properties("JanitorFunction")}
}

// reporter is the function that draws pages.
func (t template) reporter() resource {
	return resource{"ReporterFunction", "AWS::Serverless::Function", t.properties("ReporterFunction")}
}

// walk calls visit for every scalar of a value, with the path that leads there.
func walk(value any, path string, visit func(path string, scalar any)) {
	switch value := value.(type) {
	case object:
		for key, member := range value {
			walk(member, path+"/"+key, visit)
		}
	case []any:
		for _, item := range value {
			walk(item, path, visit)
		}
	default:
		visit(path, value)
	}
}

package references

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// selectorKey is the key of Karpenter's EC2NodeClass under which it says how images are selected,
// and what stands before it in its line. It is looked for in any text, because the manifest may be
// one in YAML or JSON, or a text in a source of Terraform, a ConfigMap or a chart.
var selectorKey = regexp.MustCompile(`(?m)^(.*?)["']?\bamiSelectorTerms\b["']?[ \t]*([:=])`)

// beforeKey is what may stand before a key: its indentation, the mark of a list, or the beginning
// of a mapping in braces.
var beforeKey = regexp.MustCompile(`^[ \t]*(- +)?$|[{,][ \t]*$`)

// addSelectors adds what the terms of EC2NodeClasses select.
func (f *Found) addSelectors(file string, content []byte, add func(entry string, line int)) {
	for rest, line := content, 1; ; {
		at := selectorKey.FindSubmatchIndex(rest)
		if at == nil {
			return
		}
		before, sign := string(rest[at[2]:at[3]]), rest[at[4]]
		line += bytes.Count(rest[:at[0]], []byte("\n"))
		after := rest[at[1]:]
		if beforeKey.MatchString(before) && !isProse(before) {
			where := Place{file, line}
			terms, err := parseTerms(indentation(before), sign, after)
			if err != nil {
				f.Unread = append(f.Unread, fmt.Sprintf("%s: amiSelectorTerms %s", where, err))
			}
			f.addTerms(terms, where, add)
		}
		rest = after
	}
}

// isProse reports whether a line is a comment.
func isProse(before string) bool {
	before = strings.TrimSpace(before)
	return strings.HasPrefix(before, "#") || strings.HasPrefix(before, "//")
}

// indentation is how far a key is indented. The mark of a list counts as blanks.
func indentation(before string) int { return len(before) }

// term is a term of amiSelectorTerms (Karpenter's API karpenter.k8s.aws/v1, AMISelectorTerm).
type term struct {
	node *yaml.Node
	keys map[string]*yaml.Node
}

// text is the value of a key; empty if it has none.
func (t term) text(key string) string {
	if node := t.keys[key]; node != nil {
		return node.Value
	}
	return ""
}

var (
	errNotYAML   = errors.New("are not YAML or JSON by themselves")
	errNotTerms  = errors.New("are no list of terms")
	errWrittenIn = errors.New("are written in another language than YAML or JSON")
)

// parseTerms reads the value that follows the key. A schema, which describes the key, has no terms.
func parseTerms(indented int, sign byte, after []byte) ([]term, error) {
	if sign == '=' {
		return nil, errWrittenIn
	}
	text, isWhole := valueOf(indented, string(after))
	if !isWhole {
		return nil, errNotYAML
	}
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(text), &document); err != nil {
		return nil, errNotYAML
	}
	if len(document.Content) == 0 {
		return nil, nil
	}
	value := document.Content[0]
	switch {
	case value.Kind == yaml.ScalarNode && value.Tag == "!!null", value.Kind == yaml.MappingNode && isSchema(value):
		return nil, nil
	case value.Kind != yaml.SequenceNode:
		return nil, errNotTerms
	}
	var terms []term
	for _, node := range value.Content {
		if node.Kind != yaml.MappingNode {
			return terms, errNotTerms
		}
		terms = append(terms, term{node, keysOf(node)})
	}
	return terms, nil
}

func keysOf(node *yaml.Node) map[string]*yaml.Node {
	keys := map[string]*yaml.Node{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		keys[node.Content[i].Value] = node.Content[i+1]
	}
	return keys
}

// isSchema reports whether a mapping describes the key, as the definition of the resource does.
func isSchema(node *yaml.Node) bool {
	keys := keysOf(node)
	return keys["description"] != nil || keys["type"] != nil || keys["items"] != nil
}

// valueOf returns the value that follows a key: what is in brackets, or the lines that are indented
// further, where those of a list need not be. It reports false if a bracket has no end, or if the
// lines end at a directive of a template: more of the value may follow. The lines
// before the value stay, so that the numbers of lines can be counted.
func valueOf(indented int, after string) (value string, isWhole bool) {
	first, rest, _ := strings.Cut(after, "\n")
	if opened := strings.TrimSpace(first); strings.HasPrefix(opened, "[") {
		end := endOfBrackets(after)
		return after[:max(end, 0)], end > 0
	}
	var lines strings.Builder
	lines.WriteString(first + "\n")
	for line := range strings.Lines(rest) {
		bare := strings.TrimLeft(line, " \t")
		depth := len(line) - len(bare)
		isBlank := strings.TrimSpace(bare) == "" || strings.HasPrefix(bare, "#")
		if !isBlank && depth <= indented && (depth < indented || !strings.HasPrefix(bare, "- ")) {
			return lines.String(), !isDirective(bare)
		}
		lines.WriteString(line)
	}
	return lines.String(), true
}

// isDirective reports whether a line is one of a template: of Go and Helm, Terraform, or Jinja.
func isDirective(line string) bool {
	return slices.ContainsFunc([]string{"{{", "%{", "{%"}, func(mark string) bool { return strings.HasPrefix(line, mark) })
}

// endOfBrackets returns where the first bracket of a text is closed; 0 if it is not.
func endOfBrackets(text string) int {
	open, quote := 0, byte(0)
	for i := range len(text) {
		c := text[i]
		switch {
		case quote != 0:
			if c == quote && text[i-1] != '\\' {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '[' || c == '{':
			open++
		case c == ']' || c == '}':
			if open--; open == 0 {
				return i + 1
			}
		}
	}
	return 0
}

// ofOthers are the owners whose images are never the account's own.
var ofOthers = []string{"amazon", "aws-marketplace", "aws-backup-vault"}

// addTerms adds what terms select. Aliases are for images of AWS, and parameters are read as text.
func (f *Found) addTerms(terms []term, key Place, add func(entry string, line int)) {
	for _, t := range terms {
		at := Place{key.File, key.Line + t.node.Line - 1}
		for _, name := range []string{"id", "name"} {
			entry := t.text(name)
			if t.keys[name] == nil || name == "name" && slices.Contains(ofOthers, t.text("owner")) {
				continue
			}
			if !isEntry(entry) || t.keys[name].Kind != yaml.ScalarNode {
				f.Unread = append(f.Unread, fmt.Sprintf("%s: amiSelectorTerms have %q as %s, which no image can have", at, entry, name))
				continue
			}
			if name == "id" {
				entry = strings.ToLower(entry)
			}
			add(entry, key.Line+t.keys[name].Line-1)
		}
		if tags := t.keys["tags"]; tags != nil && t.text("id") == "" && t.text("name") == "" {
			f.NotListed = append(f.NotListed, fmt.Sprintf("%s selects images by tags (%s), which no keep list can name", at, strings.Join(slices.Sorted(maps.Keys(keysOf(tags))), ", ")))
		}
	}
}

// isEntry reports whether a text is one entry of a keep list.
func isEntry(text string) bool {
	_, err := retention.ParseKeepList(text)
	return err == nil && !strings.ContainsAny(text, ",#\n")
}

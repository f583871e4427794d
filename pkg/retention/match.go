package retention

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Tags matches resources by their tags. It is written as a comma-separated list of "key" or
// "key=value"; keys and values are matched exactly, as EC2 does.
type Tags []TagMatch

// TagMatch matches a tag by its key, and by its value if Value is not nil.
type TagMatch struct {
	Key   string
	Value *string
}

// UnmarshalText reads a comma-separated list of "key" or "key=value"; blanks around either do not
// count.
func (t *Tags) UnmarshalText(text []byte) error {
	items, err := nonEmptyList(text)
	if err != nil {
		return err
	}
	*t = nil
	for _, item := range items {
		key, value, valued := strings.Cut(item, "=")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if key == "" {
			return fmt.Errorf("%q has no tag key", item)
		}
		match := TagMatch{Key: key}
		if valued {
			match.Value = &value
		}
		*t = append(*t, match)
	}
	return nil
}

func (t Tags) String() string {
	items := make([]string, len(t))
	for i, match := range t {
		items[i] = match.String()
	}
	return strings.Join(items, ",")
}

func (m TagMatch) String() string {
	if m.Value == nil {
		return m.Key
	}
	return m.Key + "=" + *m.Value
}

func (m TagMatch) matches(tags map[string]string) bool {
	value, ok := tags[m.Key]
	return ok && (m.Value == nil || *m.Value == strings.TrimSpace(value))
}

// any returns the first match that the tags satisfy.
func (t Tags) any(tags map[string]string) (TagMatch, bool) {
	i := slices.IndexFunc(t, func(m TagMatch) bool { return m.matches(tags) })
	if i < 0 {
		return TagMatch{}, false
	}
	return t[i], true
}

// all reports whether the tags satisfy the matches the way EC2's own filters do: one value of each
// key.
func (t Tags) all(tags map[string]string) bool {
	for _, match := range t {
		sameKey := func(other TagMatch) bool { return other.Key == match.Key && other.matches(tags) }
		if !slices.ContainsFunc(t, sameKey) {
			return false
		}
	}
	return true
}

// Names matches image names by globs, written as a comma-separated list. "*" stands for any
// characters, "?" for one; a glob that starts with "!" excludes names. Everything else is literal,
// as in EC2's filters.
type Names struct {
	globs       []string
	takes, bars []*regexp.Regexp
}

// UnmarshalText reads a comma-separated list of globs.
func (n *Names) UnmarshalText(text []byte) error {
	if !utf8.Valid(text) {
		return fmt.Errorf("%q is not UTF-8", text)
	}
	globs, err := nonEmptyList(text)
	if err != nil {
		return err
	}
	*n = Names{globs: globs}
	for _, glob := range n.globs {
		bar, barred := strings.CutPrefix(glob, "!")
		switch bar = strings.TrimSpace(bar); {
		case bar == "":
			return fmt.Errorf("%q names nothing to take out", glob)
		case barred:
			n.bars = append(n.bars, compileGlob(bar))
		default:
			n.takes = append(n.takes, compileGlob(glob))
		}
	}
	return nil
}

func (n Names) String() string { return strings.Join(n.globs, ",") }

// Match reports whether the globs take an image with this name.
func (n Names) Match(name string) bool { return n.match(name) }

func (n Names) match(name string) bool {
	matches := func(glob *regexp.Regexp) bool { return glob.MatchString(name) }
	return (len(n.takes) == 0 || slices.ContainsFunc(n.takes, matches)) && !slices.ContainsFunc(n.bars, matches)
}

func compileGlob(glob string) *regexp.Regexp {
	pattern := strings.NewReplacer(`\*`, `.*`, `\?`, `.`).Replace(regexp.QuoteMeta(glob))
	return regexp.MustCompile(`(?s)^` + pattern + `$`)
}

// nonEmptyList refuses a list that consists only of commas: it was meant to say something.
func nonEmptyList(text []byte) ([]string, error) {
	items := List(string(text))
	if len(items) == 0 && len(text) > 0 {
		return nil, fmt.Errorf("%q names nothing", text)
	}
	return items, nil
}

// List splits a comma-separated list and drops what is blank.
func List(text string) []string {
	var items []string
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

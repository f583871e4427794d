package emulator

import (
	"slices"
	"strings"
)

// AWS's limits on filters (EC2 User Guide, "List and filter your resources").
const (
	maxFilters      = 50
	maxFilterValues = 200
)

// filter keeps the objects that match every Filter of the request. Paths says where a filter finds
// its values; the filters on tags are the same for all resources.
func (c *call) filter(items []object, paths map[string]string) ([]object, error) {
	return c.filterBy(items, func(name string) (func(object) []string, bool) { return finder(name, paths) })
}

// filterBy keeps the objects that match every Filter of the request. Each Filter has a function
// that finds its values.
func (c *call) filterBy(items []object, find func(name string) (func(object) []string, bool)) ([]object, error) {
	filters := members(c.Form, "Filter")
	if len(filters) > maxFilters {
		return nil, refuse("FilterLimitExceeded", "The maximum number of filters specified on a single call is %d", maxFilters)
	}
	for _, f := range filters {
		name, patterns := f.Get("Name"), list(f, "Value")
		if len(patterns) > maxFilterValues {
			return nil, refuse("FilterLimitExceeded", "The maximum number of filter values specified on a single call is %d", maxFilterValues)
		}
		if len(patterns) == 0 {
			return nil, refuse("InvalidParameterValue", "The filter '%s' has no values", name)
		}
		found, ok := find(name)
		if !ok {
			return nil, refuse("InvalidParameterValue", "The filter '%s' is invalid", name)
		}
		matches := matcher(patterns)
		items = slices.DeleteFunc(slices.Clone(items), func(o object) bool { return !matches(found(o)) })
	}
	return items, nil
}

// finder returns the function that finds an object's values for a filter.
func finder(name string, paths map[string]string) (func(object) []string, bool) {
	if key, ok := strings.CutPrefix(name, "tag:"); ok {
		return func(o object) []string {
			if tag := first(objects(o, "Tags"), "Key", key); tag != nil {
				return []string{text(tag, "Value")}
			}
			return nil
		}, true
	}
	path, ok := paths[name]
	if name == "tag-key" {
		path, ok = "Tags.Key", true
	}
	return func(o object) []string { return values(o, path) }, ok
}

// isLiteral reports whether a filter's value stands for itself alone.
func isLiteral(pattern string) bool { return !strings.ContainsAny(pattern, `*?\`) }

func allLiteral(patterns []string) bool {
	return !slices.ContainsFunc(patterns, func(pattern string) bool { return !isLiteral(pattern) })
}

// matcher returns the function that reports whether any value matches any pattern.
func matcher(patterns []string) func(values []string) bool {
	literals, others := map[string]bool{}, []string{}
	for _, pattern := range patterns {
		if isLiteral(pattern) {
			literals[pattern] = true
		} else {
			others = append(others, pattern)
		}
	}
	return func(values []string) bool {
		return slices.ContainsFunc(values, func(value string) bool {
			return literals[value] || slices.ContainsFunc(others, func(pattern string) bool { return matchesPattern(value, pattern) })
		})
	}
}

// matchesPattern compares as EC2 does: case counts, * stands for any characters, ? for one, and a
// backslash takes the meaning from what follows it.
func matchesPattern(value, pattern string) bool {
	v, p := []rune(value), []rune(pattern)
	atV, atP := 0, 0
	starV, starP := 0, -1 // Where to go on if the last * has to take one character more.
	for atV < len(v) {
		width, ok := matchesOne(v[atV], p[atP:])
		switch {
		case atP < len(p) && p[atP] == '*':
			starV, starP = atV, atP
			atP++
		case ok:
			atV++
			atP += width
		case starP >= 0:
			starV++
			atV, atP = starV, starP+1
		default:
			return false
		}
	}
	return strings.Trim(string(p[atP:]), "*") == ""
}

// matchesOne compares one character with the pattern's next, and returns how much of the pattern
// that is.
func matchesOne(v rune, p []rune) (int, bool) {
	switch {
	case len(p) == 0:
		return 0, false
	case p[0] == '\\' && len(p) > 1:
		return 2, p[1] == v
	default:
		return 1, p[0] == '?' || p[0] == v
	}
}

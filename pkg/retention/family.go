package retention

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"time"

	"ami-janitor/pkg/ami"
)

// newest returns the ids of the images that are the newest of their families, each with the name of its family. Only
// usable images count: those that can be launched, that are the account's own to look after, and whose facts are
// readable and not in the future.
func (p Policy) newest(images []ami.Image, usable func(*ami.Image) bool) map[string]string {
	if p.KeepNewest <= 0 {
		return nil
	}
	families := map[string][]*ami.Image{}
	for i := range images {
		if family := p.family(&images[i]); family != "" {
			families[family] = append(families[family], &images[i])
		}
	}
	newest := map[string]string{}
	for family, members := range families {
		slices.SortFunc(members, func(a, b *ami.Image) int {
			return byTimeThenID(b.CreatedAt, b.ID, a.CreatedAt, a.ID)
		})
		kept := 0
		for _, member := range members {
			if kept == p.KeepNewest {
				break
			}
			if usable(member) {
				newest[member.ID] = family
				kept++
			}
		}
	}
	return newest
}

// family returns the name of the family that an image belongs to, or an empty string for a one-off. Images of one family
// replace one another; an image for another architecture does not.
func (p Policy) family(image *ami.Image) string {
	family := image.Tags[p.FamilyTag]
	if p.FamilyTag == "" || family == "" {
		family = familyName(image.Name)
	}
	if family != "" && image.Architecture != "" {
		family += " (" + image.Architecture + ")"
	}
	return family
}

// familyName replaces every run of dates, versions and hashes in a name by "*". A name with nothing of that kind in it
// has no family. Digits that are part of a word, as in "web1", "ec2" or "x86_64", are not a version, unless there are
// four or more of them, as in "Ubuntu1404" or "app20260102".
func familyName(name string) string {
	family := name
	if len(family) >= len("b8d1a1f2-0000-4000-8000-000000000000") && strings.Count(family, "-") >= 4 {
		family = uuid.ReplaceAllString(family, "*")
	}
	if family = mapWords(family, generalize); family == name {
		return ""
	}
	return runs.ReplaceAllString(family, "*")
}

// generalize replaces what changes in a word from one build to the next.
func generalize(word string) string {
	switch {
	case word == "x86_64" || !strings.ContainsAny(word, digits):
		return word
	case strings.Trim(word, digits) == "" || varying.MatchString(word):
		return "*"
	default:
		return longNumber.ReplaceAllString(word, "*")
	}
}

const digits = "0123456789"

// mapWords replaces every word of a text, a word being a run of letters and digits, or "x86_64".
func mapWords(text string, replace func(word string) string) string {
	var mapped strings.Builder
	for text != "" {
		end := 0
		for end < len(text) && isAlphanumeric(text[end]) {
			end++
		}
		if text[:end] == "x86" && strings.HasPrefix(text, "x86_64") {
			end = len("x86_64")
		}
		if end == 0 {
			mapped.WriteByte(text[0])
			text = text[1:]
			continue
		}
		mapped.WriteString(replace(text[:end]))
		text = text[end:]
	}
	return mapped.String()
}

func isAlphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

var (
	uuid       = regexp.MustCompile(`\b[[:xdigit:]]{8}(?:-[[:xdigit:]]{4}){3}-[[:xdigit:]]{12}\b`)
	longNumber = regexp.MustCompile(`[0-9]{4,}`)
	runs       = regexp.MustCompile(`\*(?:[^[:alnum:]*]+\*)+`)

	// varying matches the words that change from one build to the next: numbers, times such as 02T030405Z, versions
	// such as v2 or rc1, and hashes. Types of instances such as t2 and p4 are none of them.
	varying = regexp.MustCompile(`(?i)^(?:[0-9]+(?:t[0-9]+)?z?|(?:v|rc|rev|ver|version|build|release|alpha|beta)[0-9]+|[0-9a-f]{7,})$`)
)

func byTimeThenID(a time.Time, aID string, b time.Time, bID string) int {
	return cmp.Or(a.Compare(b), strings.Compare(aID, bID))
}

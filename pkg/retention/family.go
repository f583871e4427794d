package retention

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
)

// place is the place of an image among the newest of its family.
type place struct {
	family string // Its name.
	// It is among the newest of those that their owner has not deprecated, and not among all.
	inForce bool
}

// findNewest returns the images that are the newest of their families, by id: of all that are
// usable, and of those of them that their owner has not deprecated. What the janitor may have
// deprecated displaces nothing that is not deprecated, and is displaced as it would be without its
// date: so no date of the janitor makes an image go.
func (r *regionFacts) findNewest() map[string]place {
	most := r.policy.KeepNewest
	if most <= 0 {
		return nil
	}
	families := map[string][]*imageFacts{}
	for i := range r.images {
		if family := r.images[i].family; family != "" && r.usable(&r.images[i]) {
			families[family] = append(families[family], &r.images[i])
		}
	}
	newest := map[string]place{}
	for family, members := range families {
		slices.SortFunc(members, func(a, b *imageFacts) int {
			return byTimeThenID(b.CreatedAt, b.ID, a.CreatedAt, a.ID)
		})
		inForce, inDoubt := 0, 0
		for i, member := range members {
			stays := false
			switch {
			case !r.isDeprecated(member):
				stays = inForce < most
				inForce++
			case r.mayHaveDeprecated(member):
				stays = inForce+inDoubt < most
				inDoubt++
			}
			if i < most || stays {
				newest[member.ID] = place{family, i >= most}
			}
		}
	}
	return newest
}

// family returns the name of the family that an image belongs to, or an empty string for a one-off.
// Images of one family replace one another; an image for another architecture does not, nor one
// that can be launched only with a subscription to an AWS Marketplace product.
func (p Policy) family(image *ami.Image) string {
	family := image.Tags[p.FamilyTag]
	switch {
	case p.FamilyTag != "" && family != "":
	case isImport(image.Name):
		family = image.Name
	default:
		family = familyName(image.Name)
	}
	if family != "" && image.Architecture != "" {
		family += " (" + image.Architecture + ")"
	}
	if family != "" && image.Marketplace {
		family += ", with a product code"
	}
	return family
}

// familyName replaces every run of dates, versions and hashes in a name by "*". A name without any
// of these has no family. Digits that are part of a word, as in "web1", "ec2" or "x86_64", are not
// a version, unless there are four or more of them, as in "Ubuntu1404" or "app20260102".
//
// The ids of instances, volumes and accounts say what an image was made from: a name with an id has
// a family, even if nothing else in it changes. Only if none of this applies, a last word that
// looks random counts as a version: so it can only create families, and never merges two.
func familyName(name string) string {
	family := name
	if len(family) >= len("b8d1a1f2-0000-4000-8000-000000000000") && strings.Count(family, "-") >= 4 {
		family = uuid.ReplaceAllString(family, "*")
	}
	hasID := false
	family = mapWords(family, func(before, word string) string {
		general, isID := generalize(before, word)
		hasID = hasID || isID
		return general
	})
	switch rest := strings.TrimRightFunc(name, isAlphanumeric); {
	case family != name || hasID:
		return collapse(family)
	case isRandom(name[len(rest):]) && strings.ContainsFunc(rest, isAlphanumeric):
		return rest + "*"
	default:
		return ""
	}
}

// isImport reports whether a name is nothing but the id of an import task, which VM Import gives to
// the image that it makes. Each of them is another machine, and replaces no other one.
func isImport(name string) bool {
	task, ok := strings.CutPrefix(name, "import-ami-")
	return ok && importTask.MatchString(task) && !isDate("20060102", task)
}

// importTask is the id of an import task after its prefix, in the forms that are in use: 17
// hexadecimal digits (EC2 API Reference, "ImportImage"), 16 and a letter, or, before 2018, an f and
// 7 letters or digits (both seen in public accounts). 8 hexadecimal digits are what other ids of
// that time had.
var importTask = regexp.MustCompile(`^(?:[0-9a-f]{16}[0-9a-z]|[0-9a-f]{8}|f[0-9a-z]{7})$`)

// isID reports whether a word is the id of an account, or ends the id of a resource such as
// i-0123456789abcdef0. A possible date is no id.
func isID(before, word string) bool {
	if len(word) != len("1234abcd") && len(word) != len("0123456789abcdef0") || !isHexadecimal(word) || isDate("20060102", word) {
		return isAccountID(word)
	}
	prefix, isThere := strings.CutSuffix(before, "-")
	kind := prefix[len(strings.TrimRightFunc(prefix, isAlphanumeric)):]
	return isThere && slices.Contains(kindsOfIDs, strings.ToLower(kind))
}

func isAccountID(word string) bool {
	return len(word) == len("123456789012") && strings.Trim(word, digits) == "" && !isDate("200601021504", word)
}

// kindsOfIDs are the prefixes of the ids of resources that images are made from or for (EC2 User
// Guide, "Resource IDs": 8 or 17 hexadecimal digits follow). Image ids are not among them: they may
// be those of the builds.
var kindsOfIDs = []string{"eni", "i", "lt", "sg", "snap", "subnet", "vol", "vpc"}

// isDate reports whether a number is a date of AWS's time, in a layout of package time.
func isDate(layout, number string) bool {
	at, err := time.Parse(layout, number)
	return err == nil && at.Year() >= 2000 && at.Year() < 2100
}

// isRandom reports whether a word looks random: alternating letters and digits, as in "k3j9x2q", or
// letters after digits if it is long. A word followed by a number, such as "ubuntu22", does not,
// nor does a word as short as "k8s" or "t3a".
func isRandom(word string) bool {
	turns := 0
	for i := 1; i < len(word); i++ {
		if isDigit(word[i]) != isDigit(word[i-1]) {
			turns++
		}
	}
	return turns >= 2 && len(word) >= 5 || turns == 1 && isDigit(word[0]) && len(word) >= 7
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// collapse merges several "*" with only punctuation between them.
func collapse(family string) string {
	parts := strings.Split(family, "*")
	last := len(parts) - 1
	if last < 2 {
		return family
	}
	end := parts[last]
	between := slices.DeleteFunc(parts[1:last], func(part string) bool {
		return !strings.ContainsFunc(part, isAlphanumeric)
	})
	return strings.Join(append(parts[:1+len(between)], end), "*")
}

// generalize replaces what changes in a word between builds, and reports whether there is an id in
// the word.
func generalize(before, word string) (general string, hasID bool) {
	switch {
	case word == "x86_64" || !strings.ContainsAny(word, digits):
		return word, false
	case isID(before, word):
		return word, true
	case isTime(word) || isVersion(word) || isHash(word):
		return "*", false
	case len(word) <= fewDigits:
		return word, false
	}
	general = longNumber.ReplaceAllStringFunc(word, func(number string) string {
		if isAccountID(number) {
			hasID = true
			return number
		}
		return "*"
	})
	return general, hasID
}

// isTime reports whether a word is a number, or a time such as 02T030405Z.
func isTime(word string) bool {
	rest := strings.TrimLeft(word, digits)
	if len(rest) == len(word) {
		return false
	}
	rest = strings.TrimSuffix(strings.ToLower(rest), "z")
	clock, isClock := strings.CutPrefix(rest, "t")
	return rest == "" || isClock && clock != "" && strings.Trim(clock, digits) == ""
}

// isVersion reports whether a word is a version such as v2 or rc1. Instance types such as t2 and p4
// are not.
func isVersion(word string) bool {
	name := strings.TrimRight(word, digits)
	if len(name) == len(word) {
		return false
	}
	switch strings.ToLower(name) {
	case "v", "rc", "rev", "ver", "version", "build", "release", "alpha", "beta":
		return true
	default:
		return false
	}
}

// isHash reports whether a word is a hexadecimal number, at least as long as an abbreviated commit
// hash.
func isHash(word string) bool {
	return len(word) >= 7 && isHexadecimal(word)
}

func isHexadecimal(word string) bool { return strings.Trim(word, "0123456789abcdefABCDEF") == "" }

const digits = "0123456789"

// mapWords replaces every word of a text, a word being a run of letters and digits, or "x86_64".
// replace also gets the text before the word.
func mapWords(full string, replace func(before, word string) string) string {
	var mapped strings.Builder
	text := full
	for text != "" {
		end := 0
		for end < len(text) && isAlphanumeric(rune(text[end])) {
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
		mapped.WriteString(replace(full[:len(full)-len(text)], text[:end]))
		text = text[end:]
	}
	return mapped.String()
}

func isAlphanumeric(c rune) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

var (
	uuid       = regexp.MustCompile(`\b[[:xdigit:]]{8}(?:-[[:xdigit:]]{4}){3}-[[:xdigit:]]{12}\b`)
	longNumber = regexp.MustCompile(`[0-9]{4,}`)
)

// Up to fewDigits digits are part of a word.
const fewDigits = 3

func byTimeThenID(a time.Time, aID string, b time.Time, bID string) int {
	return cmp.Or(a.Compare(b), strings.Compare(aID, bID))
}

package retention

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"strings"
)

// KeepList is a list of image ids and of globs for image names, which people or other tools keep
// outside of AWS's tags.
type KeepList struct {
	size     int
	literals map[string]string // The ids, and the names without wildcards, with their entries.
	globs    []keepGlob
	hasNames bool // An entry has no id, so that it is the name of an image.
}

// keepGlob is an entry with a wildcard. It is matched with ids and with names.
type keepGlob struct {
	entry string
	glob  *regexp.Regexp
}

var (
	// imageNameGlob is EC2's rule for the name of an image (EC2 API Reference, CreateImage), plus
	// the two wildcards.
	imageNameGlob = regexp.MustCompile(`^[A-Za-z0-9()\[\] ./'@_*?-]+$`)

	// truncatedID looks like an image id, but may be none: EC2's have 8 or 17 digits.
	truncatedID = regexp.MustCompile(`(?i)^ami-[0-9a-f]*$`)

	// words are the parts of an entry between blanks, brackets, quotes and the like.
	words = regexp.MustCompile(`(?i)[a-z0-9_./*?-]+`)

	// longID ends a word that is, or has behind a wildcard, what looks like the id of an image.
	longID = regexp.MustCompile(`(?i)(?:^|[*?])(ami-[0-9a-f]{9,})$`)

	// imageIDs are the ids in an entry: an entry with an id means that image, whatever surrounds
	// the id.
	imageIDs = regexp.MustCompile(`(?i)ami[-_](?:[0-9a-f]{17}|[0-9a-f]{8})`)

	// snapshotIDs are the ids of snapshots in an entry.
	snapshotIDs = regexp.MustCompile(`(?i)snap-(?:[0-9a-f]{17}|[0-9a-f]{8})`)
)

// ParseKeepList reads a list: one entry per line, or several with commas between them; "#" starts a
// comment. A JSON array of strings is accepted, too. An entry that can be neither an id nor the
// name of an image is an error: it was meant to keep something. An empty list is an error as well:
// it may be the rest of a longer one.
func ParseKeepList(text string) (KeepList, error) {
	entries, err := keepEntries(strings.TrimSpace(strings.TrimPrefix(text, "\ufeff")))
	if err != nil {
		return KeepList{}, err
	}
	list := KeepList{size: len(entries), literals: map[string]string{}}
	for _, entry := range entries {
		if err := list.add(entry); err != nil {
			return KeepList{}, err
		}
	}
	if list.size == 0 {
		return KeepList{}, ErrNamesNothing
	}
	return list, nil
}

// ErrNamesNothing says that a keep list has no entry.
var ErrNamesNothing = errors.New("it names nothing")

// EmptyOnPurpose is the comment in a list that names nothing because there was nothing to name.
const EmptyOnPurpose = "# empty on purpose"

// IsEmptyOnPurpose reports whether a list says so of itself.
func IsEmptyOnPurpose(text string) bool {
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) == EmptyOnPurpose {
			return true
		}
	}
	return false
}

// Add adds the entries of another list.
func (l *KeepList) Add(more KeepList) {
	if l.literals == nil {
		l.literals = map[string]string{}
	}
	maps.Copy(l.literals, more.literals)
	l.globs = append(l.globs, more.globs...)
	l.size += more.size
	l.hasNames = l.hasNames || more.hasNames
}

// IsEmpty reports whether a list has no entry.
func (l KeepList) IsEmpty() bool { return l.size == 0 }

func keepEntries(text string) ([]string, error) {
	var entries []string
	array, ok := strings.CutPrefix(text, "[")
	if array = strings.TrimSpace(array); ok && (array == "" || array[0] == '"' || array[0] == ']') {
		if err := json.Unmarshal([]byte(text), &entries); err != nil {
			return nil, fmt.Errorf("it is not a JSON array of strings: %w", err)
		}
		for i := range entries {
			entries[i] = strings.TrimSpace(entries[i])
		}
		return entries, nil
	}
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		entries = append(entries, List(line)...)
	}
	return entries, nil
}

func (l *KeepList) add(entry string) error {
	digits := len(entry) - len("ami-")
	if !imageNameGlob.MatchString(entry) || truncatedID.MatchString(entry) && digits != 8 && digits != 17 {
		return fmt.Errorf("%q is neither the id of an image nor a glob for names", entry)
	}
	for _, word := range words.FindAllString(entry, -1) {
		if id := longID.FindStringSubmatch(word); id != nil && len(id[1])-len("ami-") != 17 {
			return fmt.Errorf("%q is not the id of an image", id[1])
		}
	}
	l.hasNames = l.hasNames || !imageIDs.MatchString(entry) && !snapshotIDs.MatchString(entry)
	for _, id := range imageIDs.FindAllString(entry, -1) {
		l.literals[strings.ReplaceAll(strings.ToLower(id), "_", "-")] = entry
	}
	for _, id := range snapshotIDs.FindAllString(entry, -1) {
		l.literals[strings.ToLower(id)] = entry
	}
	if strings.ContainsAny(entry, "*?") {
		l.globs = append(l.globs, keepGlob{entry, compileGlob(entry)})
	} else {
		l.literals[entry] = entry
	}
	return nil
}

// find returns an entry that an image matches.
func (l KeepList) find(id, name string) (entry string, ok bool) {
	for _, text := range []string{id, name} {
		if entry, ok := l.literals[text]; ok {
			return entry, true
		}
	}
	for _, g := range l.globs {
		if g.glob.MatchString(id) || g.glob.MatchString(name) {
			return g.entry, true
		}
	}
	return "", false
}

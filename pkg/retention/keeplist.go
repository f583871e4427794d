package retention

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// KeepList is a list of image ids and of globs for image names, which people or other tools keep outside of AWS's tags.
type KeepList struct{ entries []keepEntry }

// keepEntry is an entry of the list. Its glob is matched with ids and with names.
type keepEntry struct {
	text string
	glob *regexp.Regexp
}

// imageNameGlob is what EC2 allows in the name of an image (EC2 API Reference, CreateImage), and the two wildcards.
var imageNameGlob = regexp.MustCompile(`^[A-Za-z0-9()\[\] ./'@_*?-]+$`)

// truncatedID is what looks like an image id, and is none: EC2's have 8 or 17 digits.
var truncatedID = regexp.MustCompile(`^ami-[0-9a-f]*$`)

// ParseKeepList reads a list: one entry a line, or several with commas between them; "#" begins a comment. A JSON array of
// strings is taken, too. What cannot be an id or the name of an image is an error: it was meant to keep something. So is a list
// that names nothing: it may be what is left of another.
func ParseKeepList(text string) (KeepList, error) {
	var entries []string
	if strings.HasPrefix(strings.TrimSpace(text), "[\"") {
		if err := json.Unmarshal([]byte(text), &entries); err != nil {
			return KeepList{}, fmt.Errorf("not a JSON array of strings: %w", err)
		}
	} else {
		for line := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) {
			line, _, _ = strings.Cut(line, "#")
			entries = append(entries, List(line)...)
		}
	}
	var list KeepList
	for _, entry := range entries {
		digits := len(entry) - len("ami-")
		if !imageNameGlob.MatchString(entry) || truncatedID.MatchString(entry) && digits != 8 && digits != 17 {
			return KeepList{}, fmt.Errorf("%q is neither the id of an image nor a glob for names", entry)
		}
		list.entries = append(list.entries, keepEntry{entry, compileGlob(entry)})
	}
	if len(list.entries) == 0 {
		return KeepList{}, errors.New("names nothing")
	}
	return list, nil
}

// find returns the first entry that an image matches.
func (l KeepList) find(id, name string) (entry string, ok bool) {
	for _, e := range l.entries {
		if e.glob.MatchString(id) || e.glob.MatchString(name) {
			return e.text, true
		}
	}
	return "", false
}

package emulator

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// lackingFile is this project's own: a JSON list of the files that the copy lacked which Save has
// written out. Save writes every file, and an empty one in the place of one that was missing would
// pass for an answer.
const lackingFile = "lacking.json"

// Lacks says which evidence of use the account directory lacks, sorted: the names of the files that
// are missing, what files of permissions leave out ("describe-launch-permissions.json for 2 of 40
// images"), and where a character was lost. What a missing file would have shown is not seen by
// anybody who asks the account. What further regions lack begins with "REGION/".
func (a *Account) Lacks() []string {
	if a.export != nil {
		// A complete export has read everything, or was refused it, which the account says when it
		// is asked.
		return nil
	}
	return a.ofRegions(func(r *region) []string { return r.lacks })
}

// NotRead names the files and folders of the account directory that mean nothing here, sorted, like
// Lacks.
func (a *Account) NotRead() []string {
	return a.ofRegions(func(r *region) []string { return r.notRead })
}

func (a *Account) ofRegions(files func(*region) []string) []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := slices.Clone(files(a.regions[a.home]))
	for _, name := range a.regionNames() {
		for _, file := range files(a.regions[name]) {
			if name != a.home {
				all = append(all, name+"/"+file)
			}
		}
	}
	return all
}

// readElsewhere are the names of what loadBuckets, loadVersions, readDenied, readExport, readRoles
// and loadRegions read.
var readElsewhere = []string{RecordsBucket, bucketsFile, deniedFile, exportFile, rolesFile, regionsFolder}

// readDirectory reads the files of an account directory. A name that means nothing is noted, but
// one that is as good as that of a file or a folder that is known is refused: whoever wrote it
// takes it for read.
func (r *region) readDirectory(files fs.FS) error {
	entries, err := fs.ReadDir(files, ".")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	saved, present := map[string]bool{}, map[string]bool{}
	for _, entry := range entries {
		switch name := entry.Name(); {
		case isFormat(name):
			present[name] = true
			err = r.readFile(files, name)
		case name == lackingFile:
			saved, err = readLacking(files)
		case slices.Contains(readElsewhere, name):
		default:
			if meant := meantBy(name); meant != "" {
				return fmt.Errorf("%s: an account directory has no file of this name; if it is %s, rename it, or else move it elsewhere", name, meant)
			}
			r.notRead = append(r.notRead, name)
		}
		if err != nil {
			return err
		}
	}
	r.findLacks(present, saved)
	return nil
}

// findLacks notes what is lacking, given the names of the files that are there, and of those that
// an earlier Save has written in the place of files that were not.
func (r *region) findLacks(present, saved map[string]bool) {
	for _, f := range formats {
		d := r.documents[f.file]
		isMissing := !present[f.file] || saved[f.file] && len(d.items)+len(d.fields) == 0
		if isMissing && !slices.Contains(noEvidence, f.file) && !slices.Contains(unused, f.file) {
			r.lacks = append(r.lacks, f.file)
		}
		if d.damaged > 0 {
			r.lacks = append(r.lacks, fmt.Sprintf("a character in line %d of %s", d.damaged, f.file))
		}
	}
}

// readFile reads a file that is there. A link that leads nowhere is an error, and not a file that
// is missing.
func (r *region) readFile(files fs.FS, name string) error {
	data, err := fs.ReadFile(files, name)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	f := formats[slices.IndexFunc(formats, func(f format) bool { return f.file == name })]
	r.documents[name], err = parse(f, data)
	return err
}

func isFormat(name string) bool {
	return slices.ContainsFunc(formats, func(f format) bool { return f.file == name })
}

func readLacking(files fs.FS) (map[string]bool, error) {
	data, err := fs.ReadFile(files, lackingFile)
	var names []string
	if err == nil {
		err = json.Unmarshal(data, &names)
	}
	lacking := map[string]bool{}
	for _, name := range names {
		if lacking[name] = true; err == nil && !isFormat(name) {
			err = fmt.Errorf("%q is no file of an account directory", name)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", lackingFile, err)
	}
	return lacking, nil
}

// addPartly adds to what is lacking the files that do not say everything of each image or snapshot
// of the account. Whoever asks for the permissions of one that is left out hears that it is not
// shared; and the AWS CLI prints Public of every image, so that one without it was cut.
func (r *region) addPartly(account string) {
	for _, kind := range []struct {
		file, items, id, things, why string
	}{
		{launchPermissionsFile, imagesFile, "ImageId", "images", ""},
		{volumePermissionsFile, snapshotsFile, "SnapshotId", "snapshots", ""},
		{imagesFile, imagesFile, "Public", "images", `, which have no "Public"`},
	} {
		own, missing := 0, 0
		for _, item := range r.items(kind.items) {
			if text(item, "OwnerId") != account {
				continue
			}
			own++
			said := item[kind.id] != nil
			if kind.file != imagesFile {
				_, said = r.documents[kind.file].fields[text(item, kind.id)]
			}
			if !said {
				missing++
			}
		}
		if missing > 0 && !slices.Contains(r.lacks, kind.file) {
			r.lacks = append(r.lacks, fmt.Sprintf("%s for %d of %d %s%s", kind.file, missing, own, kind.things, kind.why))
		}
	}
	slices.Sort(r.lacks)
}

// meantBy returns the file or folder that a name is likely to be meant for: it has the same letters
// up to its first dot, in any case, maybe after one of the services whose commands go without. It
// is empty if there is none.
func meantBy(name string) string {
	meant := letters(name)
	for _, service := range []string{"", "ec2", "autoscaling", "ssm", "sts", "rbin"} {
		for _, known := range append(fileNames(), RecordsBucket, lackingFile) {
			if meant == letters(service+known) {
				return known
			}
		}
	}
	return ""
}

func fileNames() []string {
	names := make([]string, len(formats))
	for i, f := range formats {
		names[i] = f.file
	}
	return names
}

// letters are those of a name up to its first dot, in lower case.
func letters(name string) string {
	name, _, _ = strings.Cut(name, ".")
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, name)
}

// The byte order marks of UTF-8, and of UTF-16 in both orders.
const (
	markUTF8    = "\xef\xbb\xbf"
	markUTF16LE = "\xff\xfe"
	markUTF16BE = "\xfe\xff"
)

// decoded returns the text of a file in UTF-8 and without a byte order mark. UTF-16 is read where
// it has one, as PowerShell writes it. Any other encoding is refused: JSON is UTF-8 (RFC 8259), and
// a decoder puts a character of replacement in the place of what it cannot read.
func decoded(file string, data []byte) ([]byte, error) {
	switch text := string(data[:min(len(data), len(markUTF8))]); {
	case strings.HasPrefix(text, markUTF16LE):
		return decodedUTF16(file, data[len(markUTF16LE):], binary.LittleEndian)
	case strings.HasPrefix(text, markUTF16BE):
		return decodedUTF16(file, data[len(markUTF16BE):], binary.BigEndian)
	case strings.HasPrefix(text, markUTF8):
		data = data[len(markUTF8):]
	case strings.Contains(text, "\x00"):
		return nil, placed(file, data, 0, "is neither UTF-8 nor UTF-16 with a byte order mark; write it again in UTF-8")
	}
	for at := 0; at < len(data); {
		r, size := utf8.DecodeRune(data[at:])
		if r == utf8.RuneError && size == 1 {
			return nil, placed(file, data, at, fmt.Sprintf(
				"is not UTF-8: the byte 0x%X begins no character; convert the file from the code page in which it was written", data[at]))
		}
		at += size
	}
	return data, nil
}

func decodedUTF16(file string, data []byte, order binary.ByteOrder) ([]byte, error) {
	units := make([]uint16, len(data)/2)
	for i := range units {
		units[i] = order.Uint16(data[2*i:])
	}
	runes := utf16.Decode(units)
	// A half of a pair is decoded as something else.
	if len(data)%2 != 0 || !slices.Equal(utf16.Encode(runes), units) {
		return nil, fmt.Errorf("%s: begins as UTF-16, and is not all of that; write it again in UTF-8", file)
	}
	return []byte(string(runes)), nil
}

// repeated finds the first key that an object of valid JSON has twice, and where: a decoder would
// take the last of them.
func repeated(data []byte) (at int, key string) {
	p := &parser{data: data, decoder: json.NewDecoder(strings.NewReader(string(data)))}
	// The keys of each object that is open; nil for a list, and for the whole.
	open := []map[string]bool{nil}
	isKey := false
	for {
		at = p.next()
		token, err := p.decoder.Token()
		if err != nil {
			return 0, "" // The end.
		}
		keys := open[len(open)-1]
		name, isText := token.(string)
		switch {
		case isText && isKey && keys[name]:
			return at, name
		case isText && isKey:
			keys[name], isKey = true, false
			continue
		case token == json.Delim('{'):
			open = append(open, map[string]bool{})
		case token == json.Delim('['):
			open = append(open, nil)
		case token == json.Delim('}'), token == json.Delim(']'):
			open = open[:len(open)-1]
		}
		isKey = open[len(open)-1] != nil
	}
}

// wrongCase is what is wrong with such a key.
func wrongCase(key, meant string) string {
	return fmt.Sprintf("has %q where the AWS CLI prints %q", key, meant)
}

// miscased returns the first key of an object that is a known one in another case, and the one that
// is meant; empty if there is none.
func miscased(o object, known []string) (key, meant string) {
	for k := range o {
		for _, name := range known {
			if k != name && strings.EqualFold(k, name) && (key == "" || k < key) {
				key, meant = k, name
			}
		}
	}
	return key, meant
}

// saveLacking writes lacking.json, or removes one that no longer says anything true.
func (r *region) saveLacking(dir string) error {
	path := filepath.Join(dir, lackingFile)
	missing := slices.DeleteFunc(slices.Clone(r.lacks), func(file string) bool { return !isFormat(file) })
	if len(missing) == 0 {
		if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	data, err := json.MarshalIndent(missing, "", "    ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o600)
}

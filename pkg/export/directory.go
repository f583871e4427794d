package export

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// manifestFile describes the copy and its progress. A rehearsal refuses an incomplete copy.
const manifestFile = "export.json"

// unfinished is the prefix of files that are not part of the copy: one that is being written, and
// the journals.
const unfinished = ".export-"

// manifest is the content of manifestFile.
type manifest struct {
	Account  string
	Region   string   // The region whose files are at the top level.
	Regions  []string // All regions of the copy, sorted.
	Starts   int      // How often the export was started.
	Complete bool     // Everything was read, or AWS refused it because of a missing permission.

	// Parts are the existing files, by their path in the directory.
	Parts map[string]Part
}

// directory is the copy on disk. It is safe for concurrent use. Only the owner may read the files.
type directory struct {
	name string
	root *os.Root // Confines all access to the directory, also through symbolic links.

	mu       sync.Mutex
	manifest manifest
}

// UsageError is a problem with a directory. Nothing was written.
type UsageError struct{ error }

// Unwrap returns the problem.
func (e UsageError) Unwrap() error { return e.error }

func refuse(format string, arguments ...any) error {
	return UsageError{fmt.Errorf(format, arguments...)}
}

// openDirectory returns a directory for a copy: one that is new or empty, or one with an unfinished
// export of the same account and the same regions.
func openDirectory(name string, want manifest) (*directory, error) {
	if err := os.MkdirAll(name, 0o700); err != nil {
		return nil, UsageError{err}
	}
	root, err := os.OpenRoot(name)
	if err != nil {
		return nil, UsageError{err}
	}
	d := &directory{name: name, root: root, manifest: want}
	data, err := root.ReadFile(manifestFile)
	switch {
	case err == nil:
		err = d.takeUp(data)
	case errors.Is(err, fs.ErrNotExist):
		err = d.begin()
	default:
		err = UsageError{err}
	}
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return d, nil
}

// begin starts a new copy.
func (d *directory) begin() error {
	entries, err := fs.ReadDir(d.root.FS(), ".")
	if err != nil {
		return UsageError{err}
	}
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), unfinished) {
			return refuse("%s is not empty, and no export was begun in it: export into a new directory", d.name)
		}
	}
	d.manifest.Starts, d.manifest.Parts = 1, map[string]Part{}
	return errors.Join(d.root.Chmod(".", 0o700), d.save())
}

// takeUp continues an unfinished copy.
func (d *directory) takeUp(data []byte) error {
	want := d.manifest
	d.manifest = manifest{}
	if err := json.Unmarshal(data, &d.manifest); err != nil {
		return refuse("%s in %s: %w", manifestFile, d.name, err)
	}
	have := &d.manifest
	switch {
	case have.Account != want.Account:
		return refuse("%s is a copy of account %s, and these are credentials of account %s: export into a new directory", d.name, have.Account, want.Account)
	case have.Region != want.Region || !slices.Equal(have.Regions, want.Regions):
		return refuse("%s is a copy of %s, the region of its top level being %s, and not of %s with %s: export into a new directory",
			d.name, strings.Join(have.Regions, ", "), have.Region, strings.Join(want.Regions, ", "), want.Region)
	}
	have.Starts++
	if have.Complete = false; have.Parts == nil {
		have.Parts = map[string]Part{}
	}
	return nil
}

// start returns the number of this start.
func (d *directory) start() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.manifest.Starts
}

// parts returns when each file was read.
func (d *directory) parts() map[string]Part {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.manifest.Parts)
}

// has reports whether a part is there.
func (d *directory) has(name string) bool {
	_, isNoted := d.parts()[name]
	return isNoted && d.exists(name)
}

func (d *directory) exists(name string) bool {
	_, err := d.root.Lstat(filepath.FromSlash(name))
	return err == nil
}

// put adds a part. It is noted before it is written, so that a file without a note never belongs to
// this export.
func (d *directory) put(name string, content any, read Part) error {
	text, err := inJSON(content)
	if err != nil {
		return err
	}
	return d.putText(name, text, read)
}

// putText is put for a file that is no JSON.
func (d *directory) putText(name string, content []byte, read Part) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, isNoted := d.manifest.Parts[name]; !isNoted && d.exists(name) {
		return fmt.Errorf("%s is there already, and not from this export", filepath.Join(d.name, filepath.FromSlash(name)))
	}
	d.manifest.Parts[name] = read
	return errors.Join(d.save(), d.write(name, content))
}

// read decodes a part that is there.
func (d *directory) read(name string, into any) error {
	data, err := d.root.ReadFile(filepath.FromSlash(name))
	if err == nil {
		err = json.Unmarshal(data, into)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func (d *directory) save() error {
	text, err := inJSON(d.manifest)
	if err != nil {
		return err
	}
	return d.write(manifestFile, text)
}

// inJSON is content in the AWS CLI's JSON format.
func inJSON(content any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "    ")
	err := encoder.Encode(content)
	return b.Bytes(), err
}

// write writes a file atomically.
func (d *directory) write(name string, content []byte) error {
	file, err := d.open(beside(name, ""), os.O_WRONLY|os.O_TRUNC)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	return d.root.Rename(filepath.FromSlash(beside(name, "")), filepath.FromSlash(name))
}

// open opens a file, and may create it and its folder.
func (d *directory) open(name string, flags int) (*os.File, error) {
	if err := d.root.MkdirAll(filepath.FromSlash(path.Dir(name)), 0o700); err != nil {
		return nil, err
	}
	return d.root.OpenFile(filepath.FromSlash(name), flags|os.O_CREATE, 0o600)
}

// beside is the name of an unfinished file that belongs to a part.
func beside(name, suffix string) string {
	return path.Join(path.Dir(name), unfinished+path.Base(name)+suffix)
}

// journalSuffix ends the names of the journals.
const journalSuffix = "l"

// finish removes the unfinished files of this start and earlier ones. It marks a complete copy as
// such; otherwise the journals stay for the next start.
func (d *directory) finish(isComplete bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	err := fs.WalkDir(d.root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		isJournal := strings.HasSuffix(name, journalSuffix)
		if err != nil || entry.IsDir() || !strings.HasPrefix(entry.Name(), unfinished) || isJournal && !isComplete {
			return err
		}
		return d.root.Remove(filepath.FromSlash(name))
	})
	if err == nil && isComplete {
		d.manifest.Complete = true
		err = d.save()
	}
	return errors.Join(err, d.root.Close())
}

// answer is AWS's answer for one item of a part that needs a call for each.
type answer struct {
	Key     string
	At      time.Time
	Value   json.RawMessage `json:",omitempty"` // AWS's answer; absent if it refused.
	Refused string          `json:",omitempty"` // Why it refused.
	// The action that it refused because of a missing permission.
	Action string `json:",omitempty"`
}

// journal is the answers of an unfinished part, one per line: another start of the export continues
// from them.
type journal struct {
	file *os.File
	mu   sync.Mutex
}

// openJournal returns the journal of a part, and its answers. An incomplete line is ignored.
func (d *directory) openJournal(name string) (*journal, map[string]answer, error) {
	name = beside(name, journalSuffix)
	file, err := d.open(name, os.O_WRONLY|os.O_APPEND)
	if err != nil {
		return nil, nil, err
	}
	data, err := d.root.ReadFile(filepath.FromSlash(name))
	if err == nil && len(data) > 0 && !bytes.HasSuffix(data, []byte("\n")) {
		_, err = file.WriteString("\n")
	}
	if err != nil {
		return nil, nil, errors.Join(err, file.Close())
	}
	answers := map[string]answer{}
	for line := range bytes.Lines(data) {
		var a answer
		if json.Unmarshal(line, &a) == nil && a.Key != "" {
			answers[a.Key] = a
		}
	}
	return &journal{file: file}, answers, nil
}

func (j *journal) note(a answer) error {
	line, err := json.Marshal(a)
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	_, err = j.file.Write(append(line, '\n'))
	return err
}

func (j *journal) close() { _ = j.file.Close() } // Each line was already written.

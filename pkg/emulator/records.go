package emulator

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// RecordsBucket is the bucket whose objects an account directory holds, as files under the folder
// of the same name: the journal of rehearsals on that copy. It is in the home region.
const RecordsBucket = "records"

// loadRecords reads the objects of RecordsBucket from an account directory, which need not have
// any.
func (a *Account) loadRecords(files fs.FS) error {
	err := fs.WalkDir(files, RecordsBucket, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case name == RecordsBucket && errors.Is(err, fs.ErrNotExist):
			return fs.SkipAll
		case err != nil || entry.IsDir():
			return err
		case name == RecordsBucket:
			return errors.New("must be a folder")
		}
		content, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		body := upload{content, checksum{defaultChecksum, base64.StdEncoding.EncodeToString(digest(hashes[defaultChecksum], content))}}
		a.put(RecordsBucket, a.home, strings.TrimPrefix(name, RecordsBucket+"/"), body, storedHeader(nil))
		return nil
	})
	if err != nil {
		return fmt.Errorf("%s: %w", RecordsBucket, err)
	}
	return nil
}

// saveRecords writes the objects of RecordsBucket into an account directory, in the place of those
// that are there.
func (a *Account) saveRecords(dir string) error {
	root := filepath.Join(dir, RecordsBucket)
	held := map[string]*stored{}
	if b := a.buckets[RecordsBucket]; b != nil {
		held = b.objects
	}
	if err := removeOthers(root, held); err != nil {
		return err
	}
	for key, object := range held {
		if !filepath.IsLocal(key) {
			return fmt.Errorf("%s: %q is no name of a file", RecordsBucket, key)
		}
		path := filepath.Join(root, filepath.FromSlash(key))
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			return err
		}
		if err := os.WriteFile(path, object.content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// removeOthers removes the files under a folder that are not among the objects.
func removeOthers(root string, objects map[string]*stored) error {
	var others []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case path == root && errors.Is(err, fs.ErrNotExist):
			return fs.SkipAll
		case err != nil || entry.IsDir():
			return err
		}
		key, err := filepath.Rel(root, path)
		if objects[filepath.ToSlash(key)] == nil {
			others = append(others, path)
		}
		return err
	})
	for _, path := range slices.Backward(others) {
		if err == nil {
			err = os.Remove(path)
		}
	}
	return err
}

package emulator

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// RecordsBucket is the bucket whose objects an account directory holds, as files under the folder
// of the same name: the journal of rehearsals on that copy. It is in the home region.
const RecordsBucket = "records"

// objectsFolder is the folder of an account directory that holds the objects of all other buckets,
// as files BUCKET/KEY, which were changed when the file was. They are in the home region.
const objectsFolder = "s3"

// loadBuckets reads the objects of S3 from an account directory, which need not have any.
func (a *Account) loadBuckets(files fs.FS) error {
	if err := a.loadBucket(files, RecordsBucket, RecordsBucket); err != nil {
		return err
	}
	entries, err := fs.ReadDir(files, objectsFolder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	home := a.regions[a.home]
	if home.notRead = slices.DeleteFunc(home.notRead, func(name string) bool { return name == objectsFolder }); len(home.notRead) == 0 {
		home.notRead = nil
	}
	for _, entry := range entries {
		if folder := path.Join(objectsFolder, entry.Name()); err == nil && !bucketName.MatchString(entry.Name()) {
			err = fmt.Errorf("%s: not the name of a bucket", folder)
		} else if err == nil {
			err = a.loadBucket(files, folder, entry.Name())
		}
	}
	return err
}

// loadBucket reads the objects of one bucket from its folder.
func (a *Account) loadBucket(files fs.FS, folder, bucket string) error {
	err := fs.WalkDir(files, folder, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case name == folder && errors.Is(err, fs.ErrNotExist):
			return fs.SkipAll
		case err != nil || entry.IsDir():
			return err
		case name == folder:
			return errors.New("must be a folder")
		}
		content, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		body := upload{content, checksum{defaultChecksum, base64.StdEncoding.EncodeToString(digest(hashes[defaultChecksum], content))}}
		o := a.put(bucket, a.home, strings.TrimPrefix(name, folder+"/"), body, storedHeader(nil))
		if !info.ModTime().IsZero() && bucket != RecordsBucket {
			o.modified = info.ModTime().UTC().Truncate(time.Millisecond)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("%s: %w", folder, err)
	}
	return nil
}

// saveBuckets writes the objects of S3 into an account directory, in the place of those that are
// there.
func (a *Account) saveBuckets(dir string) error {
	if err := a.saveBucket(filepath.Join(dir, RecordsBucket), RecordsBucket); err != nil {
		return err
	}
	for name := range a.buckets {
		if name == RecordsBucket {
			continue
		}
		if err := a.saveBucket(filepath.Join(dir, objectsFolder, name), name); err != nil {
			return err
		}
	}
	return nil
}

func (a *Account) saveBucket(root, name string) error {
	held := map[string]*stored{}
	if b := a.buckets[name]; b != nil {
		held = b.objects
	}
	if err := removeOthers(root, held); err != nil {
		return err
	}
	for key, object := range held {
		if !filepath.IsLocal(key) || path.Clean(key) != key {
			return fmt.Errorf("%s: %q is no name of a file", name, key)
		}
		file := filepath.Join(root, filepath.FromSlash(key))
		if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
			return err
		}
		if err := os.WriteFile(file, object.content, 0o600); err != nil {
			return err
		}
		if err := os.Chtimes(file, object.modified, object.modified); err != nil {
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

package journal

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// directory is a store in a directory that only its owner and group may enter. Versions are hashes
// of the content.
type directory struct {
	name string
	root *os.Root // Confines all access to the directory, also through symbolic links.
}

// mutexFile is locked through the operating system while a document is compared and replaced; the
// lock of a killed process is released.
const mutexFile = ".mutex"

// pause is the wait for another process that compares and replaces a document, which takes
// milliseconds.
const pause = 5 * time.Millisecond

func openDirectory(name string) (*directory, error) {
	if err := os.MkdirAll(name, 0o750); err != nil {
		return nil, fmt.Errorf("the journal's directory cannot be made: %w", err)
	}
	root, err := os.OpenRoot(name)
	if err != nil {
		return nil, fmt.Errorf("the journal's directory cannot be opened: %w", err)
	}
	return &directory{name, root}, nil
}

func (d *directory) where(key string) string { return filepath.Join(d.name, filepath.FromSlash(key)) }

func (d *directory) get(ctx context.Context, key string) (data []byte, version string, err error) {
	if err := ctx.Err(); err != nil {
		return nil, "", d.explain(key, "read", err)
	}
	data, err = d.root.ReadFile(filepath.FromSlash(key))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", fmt.Errorf("%s: %w", d.where(key), ErrNotFound)
	}
	return data, versionOf(data), d.explain(key, "read", err)
}

func versionOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func (d *directory) put(ctx context.Context, key string, data []byte) error {
	if err := ctx.Err(); err != nil {
		return d.explain(key, "written", err)
	}
	return d.explain(key, "written", d.replace(key, data))
}

func (d *directory) putIfAbsent(ctx context.Context, key string, data []byte) (string, error) {
	return versionOf(data), d.ifVersion(ctx, key, "", func() error { return d.replace(key, data) })
}

func (d *directory) putIfVersion(ctx context.Context, key string, data []byte, version string) (string, error) {
	return versionOf(data), d.ifVersion(ctx, key, version, func() error { return d.replace(key, data) })
}

func (d *directory) remove(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return d.explain(key, "removed", err)
	}
	return d.explain(key, "removed", d.takeAway(key))
}

func (d *directory) takeAway(key string) error {
	err := d.root.Remove(filepath.FromSlash(key))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return also(err, d.sync(path.Dir(key)))
}

// ifVersion changes a document if it has a version; an empty version means that it does not exist.
// Nobody else changes a document through ifVersion at the same time.
func (d *directory) ifVersion(ctx context.Context, key, version string, change func() error) error {
	mutex, err := d.root.OpenFile(mutexFile, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return d.explain(key, "written", err)
	}
	defer mutex.Close() //nolint:errcheck // Nothing was written to it. The lock goes with it.
	if err := waitFor(ctx, mutex); err != nil {
		return d.explain(key, "written", err)
	}
	_, found, err := d.get(ctx, key)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	if found != version {
		return fmt.Errorf("%s: %w", d.where(key), errChanged)
	}
	return d.explain(key, "written", change())
}

// waitFor locks a file as soon as no other process has it locked.
func waitFor(ctx context.Context, mutex *os.File) error {
	for {
		isLocked, err := TryLock(mutex)
		if isLocked || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// replace writes a document beside the old one, and renames it when all of it is on the disk.
func (d *directory) replace(key string, data []byte) error {
	folder := path.Dir(key)
	if err := d.makeFolder(folder); err != nil {
		return err
	}
	name := path.Join(folder, "."+rand.Text())
	err := d.writeNew(name, data)
	if err == nil {
		err = d.root.Rename(filepath.FromSlash(name), filepath.FromSlash(key))
	}
	if err != nil {
		return also(err, d.takeAway(name))
	}
	return d.sync(folder)
}

func (d *directory) writeNew(name string, data []byte) error {
	file, err := d.root.OpenFile(filepath.FromSlash(name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	return also(err, file.Close())
}

// makeFolder makes a folder and its parents, each synced to the disk before the next level.
func (d *directory) makeFolder(folder string) error {
	err := d.root.Mkdir(filepath.FromSlash(folder), 0o750)
	if errors.Is(err, fs.ErrNotExist) && folder != "." {
		if err = d.makeFolder(path.Dir(folder)); err == nil {
			err = d.root.Mkdir(filepath.FromSlash(folder), 0o750)
		}
	}
	switch {
	case err == nil:
		return d.sync(path.Dir(folder))
	case errors.Is(err, fs.ErrExist):
		return nil
	}
	return err
}

// sync makes changes to the entries of a folder durable.
func (d *directory) sync(folder string) error {
	opened, err := d.root.Open(filepath.FromSlash(folder))
	if err != nil {
		return err
	}
	return also(opened.Sync(), opened.Close())
}

// list skips names that start with a dot: unfinished documents, and the files of file managers.
func (d *directory) list(ctx context.Context, prefix string) ([]listed, error) {
	var all []listed
	top := strings.TrimSuffix(prefix, "/")
	// The journal itself must exist; a part of it need not.
	if _, err := os.Stat(d.name); err != nil {
		return nil, d.explain(prefix, "listed", err)
	}
	err := fs.WalkDir(d.root.FS(), top, func(name string, entry fs.DirEntry, err error) error {
		switch isHidden := strings.HasPrefix(path.Base(name), "."); {
		case errors.Is(err, fs.ErrNotExist) && name == top:
			return nil
		case err != nil:
			return err
		case isHidden && entry.IsDir():
			return fs.SkipDir
		case !isHidden && !entry.IsDir():
			all, err = addListed(all, name, entry)
		}
		return cmp.Or(err, ctx.Err())
	})
	return all, d.explain(prefix, "listed", err)
}

// addListed adds a file, unless it has gone since the directory was read.
func addListed(all []listed, name string, entry fs.DirEntry) ([]listed, error) {
	info, err := entry.Info()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return all, nil
	case err != nil:
		return all, err
	}
	return append(all, listed{name, info.Size()}), nil
}

// explain words an error of the file system; nil stays nil.
func (d *directory) explain(key, done string, err error) error {
	switch pathError, ok := errors.AsType[*fs.PathError](err); {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s cannot be %s: time ran out", d.where(key), done)
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("%s cannot be %s: interrupted", d.where(key), done)
	case ok:
		return fmt.Errorf("%s cannot be %s: %w", d.where(key), done, pathError.Err)
	}
	return fmt.Errorf("%s cannot be %s: %w", d.where(key), done, err)
}

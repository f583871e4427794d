package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/spf13/cobra"

	"github.com/ami-janitor/ami-janitor/pkg/config"
	"github.com/ami-janitor/ami-janitor/pkg/plain"
	"github.com/ami-janitor/ami-janitor/pkg/references"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// packerManifest is what Packer's manifest post-processor writes: every build there ever was.
const packerManifest = "packer-manifest.json"

func referencesCommand(std streams, lookup func(string) string) *cobra.Command {
	command := &cobra.Command{
		Use:   "references DIR...",
		Short: "List the images that source code names, as a keep list",
		Long: `Lists the image ids in the files of directories, and the ids and names in the
amiSelectorTerms of Karpenter's EC2NodeClasses, with file and line, as a keep
list. Of a git work tree it reads the files that git tracks, of any other
directory all. It writes nothing if it cannot read everything.

Exit status:
  0  the list is whole, but for selectors by tags, which are told of
  1  it could not be written
  2  wrong usage, a file or a selector that cannot be read, or an empty list
     without --allow-empty; nothing was written`,
		Example: examples(
			"references . --write keep.txt",
			"references infra charts --write s3://my-lists/keep/infra.txt",
		),
		Args: cobra.MinimumNArgs(1),
	}
	flags := command.Flags()
	location := flags.String("write", "", "where to write the list: a file, s3://bucket/key, ssm:NAME or the ARN of an SSM parameter")
	allowEmpty := flags.Bool("allow-empty", false, "write the list even if nothing names an image")
	manifests := flags.Bool("packer-manifests", false, "read "+packerManifest+" as well, which names every build")
	except := flags.StringArray("except", nil, "leave out files whose path or name matches this glob; may be given more than once")
	profile, region := addAccount(command)
	command.RunE = func(command *cobra.Command, directories []string) error {
		to, err := listLocation(*location)
		if err != nil {
			return err
		}
		for _, glob := range *except {
			if _, err := path.Match(glob, ""); err != nil {
				return fmt.Errorf("--except: %q is no glob: %w", glob, err)
			}
		}
		s := scan{except: *except, manifests: *manifests}
		for _, directory := range directories {
			if err := s.directory(command.Context(), directory); err != nil {
				return err
			}
		}
		if err := s.incomplete(*allowEmpty); err != nil {
			return err
		}
		for _, why := range s.found.NotListed {
			std.say("not in the list: %s", plain.Printable(why))
		}
		if to == "" {
			_, err := io.WriteString(std.out, s.found.KeepList())
			return err
		}
		account := settings{lookup: lookup, profile: profile, region: region}
		if err := writeList(command.Context(), account, to, s.found); err != nil {
			std.complain(fmt.Errorf("%s was not written: %s", to, wire.ExplainLookup(err)))
			return exitStatus(exitRegionFailed)
		}
		std.say("%d references in %d files are in %s", len(s.found.References), s.files, to)
		return nil
	}
	return command
}

// listLocation is a location for one list; empty if none is given.
func listLocation(text string) (config.Location, error) {
	if text == "" {
		return "", nil
	}
	var locations config.KeepLists
	if err := locations.UnmarshalText([]byte(text)); err != nil {
		return "", fmt.Errorf("--write: %w", err)
	}
	_, key, isObject := locations[0].Object()
	switch {
	case len(locations) > 1:
		return "", fmt.Errorf("--write: %q is more than one location", text)
	case isObject && (key == "" || strings.HasSuffix(key, "/")):
		return "", fmt.Errorf("--write: %q is a prefix; add the name of this list, such as %sweb.txt", text, text)
	}
	return locations[0], nil
}

// scan is what directories say of images, as far as they were read.
type scan struct {
	except    []string
	manifests bool

	found  references.Found
	files  int
	unread []string
}

// mostUnread is how many files an error names.
const mostUnread = 10

// incomplete returns an error if not everything was read, or if there is nothing in the list.
func (s *scan) incomplete(allowEmpty bool) error {
	if unread := slices.Concat(s.unread, s.found.Unread); len(unread) > 0 {
		named := strings.Join(unread[:min(mostUnread, len(unread))], "\n  ")
		if more := len(unread) - mostUnread; more > 0 {
			named += fmt.Sprintf("\n  and %d more", more)
		}
		return fmt.Errorf("not everything can be read, so the list would not be whole; leave a file out with --except:\n  %s", named)
	}
	if len(s.found.References) == 0 && !allowEmpty {
		return fmt.Errorf("no image is named in %d files, so this may be the wrong place; --allow-empty says that it is right", s.files)
	}
	return nil
}

// directory adds the files of a directory: those that git tracks, or all.
func (s *scan) directory(ctx context.Context, directory string) error {
	root, err := os.OpenRoot(directory)
	if err != nil {
		return err
	}
	defer root.Close() //nolint:errcheck // It was only read.
	names, err := filesIn(ctx, directory, root.FS())
	if err != nil {
		return fmt.Errorf("%q: %w", directory, err)
	}
	if len(names) == 0 {
		s.unread = append(s.unread, plain.Printable(directory)+" has no file, or none that git tracks")
	}
	for _, name := range names {
		shown := path.Join(filepath.ToSlash(directory), name)
		if s.leavesOut(name, shown) {
			continue
		}
		content, err := readWhole(root, name)
		if err != nil {
			s.unread = append(s.unread, plain.Printable(fmt.Sprintf("%s: %s", shown, err)))
			continue
		}
		s.files++
		s.found.Add(shown, content)
	}
	return nil
}

func (s *scan) leavesOut(name, shown string) bool {
	if path.Base(name) == packerManifest && !s.manifests {
		return true
	}
	return slices.ContainsFunc(s.except, func(glob string) bool {
		ofPath, _ := path.Match(glob, name) // The globs are good ones.
		ofBase, _ := path.Match(glob, path.Base(name))
		asShown, _ := path.Match(glob, shown)
		return ofPath || ofBase || asShown
	})
}

// readWhole reads a file. A link may lead to another one of the directory.
func readWhole(root *os.Root, name string) ([]byte, error) {
	file, err := root.Open(filepath.FromSlash(name))
	if failed, ok := errors.AsType[*fs.PathError](err); ok {
		return nil, failed.Err // The caller names the file.
	}
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // It was only read.
	info, err := file.Stat()
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, errors.New("is a directory: a submodule that is not checked out, or a link to one")
	case !info.Mode().IsRegular():
		return nil, errors.New("is no regular file")
	}
	return io.ReadAll(file)
}

// filesIn lists the files of a directory, with slashes: of a git work tree those that git tracks.
func filesIn(ctx context.Context, directory string, files fs.FS) ([]string, error) {
	isTracked, err := isWorkTree(directory)
	if err != nil {
		return nil, err
	}
	if isTracked {
		return trackedIn(ctx, directory)
	}
	var names []string
	err = fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			names = append(names, name)
		}
		return err
	})
	return names, err
}

// isWorkTree reports whether a directory is one of git's, or in one.
func isWorkTree(directory string) (bool, error) {
	at, err := filepath.Abs(directory)
	if err == nil {
		at, err = filepath.EvalSymlinks(at)
	}
	for ; err == nil; at = filepath.Dir(at) {
		if _, err := os.Lstat(filepath.Join(at, ".git")); err == nil {
			return true, nil
		}
		if at == filepath.Dir(at) {
			return false, nil
		}
	}
	return false, err
}

// trackedIn lists the files of a work tree that git tracks, those of submodules too. No hook of the
// work tree is run for it.
func trackedIn(ctx context.Context, directory string) ([]string, error) {
	var said bytes.Buffer
	git := exec.CommandContext(ctx, "git", "-c", "core.fsmonitor=false", "-C", directory, "ls-files", "-z", "--cached", "--recurse-submodules") //nolint:gosec // The user names the directory, and no shell reads it.
	git.Stderr = &said
	listed, err := git.Output()
	if err != nil {
		return nil, fmt.Errorf("git cannot list its files: %w: %s", err, plain.Printable(strings.TrimSpace(said.String())))
	}
	names := strings.Split(strings.TrimSuffix(string(listed), "\x00"), "\x00")
	names = slices.DeleteFunc(names, func(name string) bool { return name == "" })
	slices.Sort(names)
	return slices.Compact(names), nil // A file in conflict is listed several times.
}

// writeList writes a list where KEEP_LIST would read it.
func writeList(ctx context.Context, s settings, to config.Location, found references.Found) error {
	bucket, key, isObject := to.Object()
	name, region, isParameter := to.Parameter()
	if !isObject && !isParameter {
		// Others may read it, as they may the sources.
		return replaceFile(string(to), []byte(found.KeepList()), 0o644)
	}
	account, err := s.awsConfig(ctx)
	switch {
	case err != nil:
		return err
	case isObject:
		return wire.OpenBucket(account, bucket).Write(ctx, key, []byte(found.KeepList()))
	case region != "":
		account.Region = region
		if name, err = parameterNameOf(name); err != nil {
			return err
		}
	}
	_, err = ssm.NewFromConfig(account).PutParameter(ctx, &ssm.PutParameterInput{
		Name: &name, Value: aws.String(found.ShortList()), Type: types.ParameterTypeString, Overwrite: aws.Bool(true),
	})
	return err
}

// parameterNameOf is the name of a parameter that has an ARN, which PutParameter does not take. A
// name has a slash before it only if it has several parts.
func parameterNameOf(parameter string) (string, error) {
	parsed, err := arn.Parse(parameter)
	name := strings.TrimPrefix(parsed.Resource, "parameter/")
	if strings.Contains(name, "/") {
		name = "/" + name
	}
	return name, err
}

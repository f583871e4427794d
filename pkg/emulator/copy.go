package emulator

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// What an account directory may hold besides the AWS CLI's output for its home region.
//
// The denied actions are those that whoever made the copy was not allowed to call, as IAM names
// them: a list of texts such as "ec2:DescribeFleets". The account refuses them. Those of the top
// level are denied in each region that has no such file of its own.
const (
	deniedFile = "denied.json"
	exportFile = "export.json" // What ami-janitor export says of its copy.
	// A directory for each further region, like the one for the home region.
	regionsFolder = "regions"
)

// export is what the emulator needs to know of an export.
type export struct {
	Region   string // The region of the files at the top level.
	Complete bool
	Parts    map[string]json.RawMessage // What it has written, by path.
	raw      []byte
}

// readExport returns what an export says of its copy; nil if no export has written the directory.
func readExport(files fs.FS) (*export, error) {
	data, err := fs.ReadFile(files, exportFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	e := &export{raw: data}
	if err == nil {
		err = json.Unmarshal(data, e)
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", exportFile, err)
	case e.Region == "":
		return nil, fmt.Errorf("%s: no Region in it", exportFile)
	case !e.Complete:
		return nil, fmt.Errorf("%s: the export has not come to its end, and evidence of use may be missing; the same ami-janitor export again goes on with it", exportFile)
	}
	for _, name := range slices.Sorted(maps.Keys(e.Parts)) {
		if _, err := fs.Stat(files, name); err != nil {
			return nil, fmt.Errorf("%s: the export has written %s, and it cannot be read any more: %w", exportFile, name, err)
		}
	}
	return e, nil
}

// iamAction is an action as IAM names it, without wildcards.
var iamAction = regexp.MustCompile(`^[a-z0-9-]+:[A-Za-z0-9]+$`)

// readDenied returns the denied actions of a directory, in lower case, because IAM does not mind;
// nil if there is no such file.
func readDenied(files fs.FS) (map[string]bool, error) {
	data, err := fs.ReadFile(files, deniedFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var actions []string
	if err == nil {
		err = json.Unmarshal(data, &actions)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", deniedFile, err)
	}
	denied := map[string]bool{}
	for _, action := range actions {
		if !iamAction.MatchString(action) {
			return nil, fmt.Errorf("%s: %q is no action such as ec2:DescribeFleets", deniedFile, action)
		}
		denied[strings.ToLower(action)] = true
	}
	return denied, nil
}

// denies reports whether an action is denied in the region. Where there is another name for it,
// IAM's counts.
func (r *region) denies(service, action string) bool {
	// Service Authorization Reference, Amazon S3.
	names := map[string]string{
		"ListObjectsV2": "ListBucket", "HeadObject": "GetObject", "ListObjectVersions": "ListBucketVersions",
		"GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
	}
	if name, ok := names[action]; ok && service == s3Service {
		action = name
	}
	return r.denied[strings.ToLower(service+":"+action)]
}

// loadRegions reads the further regions of an account directory, which need not have any.
func (a *Account) loadRegions(files fs.FS) error {
	entries, err := fs.ReadDir(files, regionsFolder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", regionsFolder, err)
	}
	for _, entry := range entries {
		folder := path.Join(regionsFolder, entry.Name())
		if !entry.IsDir() {
			return fmt.Errorf("%s: not a directory of a region", folder)
		}
		region, err := fs.Sub(files, folder)
		if err == nil {
			err = a.AddRegion(entry.Name(), region)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", folder, err)
		}
	}
	return nil
}

// Home returns the region of the files at the top level of the account directory.
func (a *Account) Home() string { return a.home }

// saveCopy writes what Save writes besides the files of the home region and the records.
func (a *Account) saveCopy(dir string) error {
	for name, r := range a.regions {
		folder := dir
		if name != a.home {
			folder = filepath.Join(dir, regionsFolder, name)
		}
		a.settle(r)
		if err := r.save(folder); err != nil {
			return err
		}
	}
	if a.export == nil {
		return nil
	}
	return os.WriteFile(filepath.Join(dir, exportFile), a.export.raw, 0o600)
}

// save writes every file of a region, empty ones too, and the actions that are denied there.
func (r *region) save(dir string) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	for _, f := range formats {
		data, err := r.documents[f.file].format(f)
		if err != nil {
			return fmt.Errorf("%s: %w", f.file, err)
		}
		if err := os.WriteFile(filepath.Join(dir, f.file), data, 0o600); err != nil {
			return err
		}
	}
	if err := r.saveLacking(dir); err != nil {
		return err
	}
	if r.denied == nil {
		return nil
	}
	data, err := json.Marshal(slices.Sorted(maps.Keys(r.denied)))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, deniedFile), append(data, '\n'), 0o600)
}

// shut says why a request is refused that is denied, or that asks about a region which an export
// has left out: of that nobody knows what it holds. One that other directories do not have is
// empty.
func (c *call) shut() error {
	switch {
	case c.region.denies(c.service.name, c.Action), c.account.isHub && !slices.Contains(hubServices, c.service.name):
		return c.service.forbidden()
	case c.account.export != nil && c.account.regions[c.region.name] == nil && c.service.name != "sts":
		return refuse("OptInRequired", "This copy of an account has no region %s", c.region.name)
	default:
		return nil
	}
}

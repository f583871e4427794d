package emulator

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Options are the choices an account directory does not make.
type Options struct {
	Region string           // The region the directory was exported from; "us-east-1" if empty.
	Now    func() time.Time // The emulated clock; required.
}

// Account is an emulated AWS account. It is safe for concurrent use.
type Account struct {
	id        string
	partition string
	identity  object // What STS says.
	home      string
	now       func() time.Time
	export    *export  // Nil unless the account directory is the copy of an export.
	roles     []string // The names of those that can be assumed; nil if any of the janitor's can.

	organization *Organization // Nil unless the account is a member of an emulated one, or its hub.
	isHub        bool

	mu        sync.Mutex
	regions   map[string]*region
	inUseLag  int
	bins      binSettings
	delays    delays
	leavesOut bool // Whether answers leave out empty lists.
	messages  []Message
	calls     []Call
	buckets   map[string]*bucket    // S3's, by name.
	history   map[resource][]change // Oldest first; nil unless somebody sees lags.
}

var _ http.Handler = (*Account)(nil)

// region is what the account holds in one region.
type region struct {
	name      string
	documents map[string]*document // By file name; every known file has one.
	// The ids of the images, snapshots and reports that have been removed.
	gone         map[string]bool
	lags         map[string]*lag     // By snapshot id.
	reportTokens map[string]tokenUse // By client token.
	starts       map[string]start    // Of snapshots, by client token.
	written      map[string]*writing // By snapshot id.
	// Oldest first, by the id of an image or a snapshot; since SetTagDelay.
	retagged map[string][]retagging
	bin      binState
	lacks    []string // See Lacks; without the region.
	notRead  []string // See NotRead; without the region.
	// The actions that are refused, as service:action in lower case; nil if nobody says.
	denied map[string]bool
}

// lag is a snapshot that EC2 still believes to be in use by an image that is gone.
type lag struct {
	imageID string
	calls   int // How many more calls are going to hear so.
}

// Call is one request the account has answered.
type Call struct {
	Service string
	Region  string
	Action  string
	Status  int    // The HTTP status.
	Code    string // AWS's error code; empty for a success.
}

// Load reads an account from a directory of files in the AWS CLI's output format, one per command.
// Only get-caller-identity.json must be there; Lacks says what else is missing. What is in its
// folder records becomes objects of RecordsBucket, what is in its folder s3 those of other buckets,
// and each directory in its folder regions a further region; of a copy that ami-janitor export has
// made, that says itself which region the others are of. Load refuses a copy whose export has not
// come to its end, a file that lacks its list or holds only a part of it, one in another encoding
// than UTF-8 or UTF-16 with a byte order mark, one in which an object has a key twice, and one in
// which a field that is understood has another shape or another case than AWS gives it; a null
// counts as absent. It also refuses a name that is almost that of a file that is known. An error
// names the file and, where there is one, the place in it.
func Load(files fs.FS, o Options) (*Account, error) {
	if o.Now == nil {
		return nil, errors.New("an emulated account needs a clock")
	}
	if o.Region == "" {
		o.Region = "us-east-1"
	}
	exported, err := readExport(files)
	if err != nil {
		return nil, err
	}
	if exported != nil {
		o.Region = exported.Region
	}
	home, err := loadRegion(o.Region, files)
	if err != nil {
		return nil, err
	}
	identity := home.documents[identityFile].fields
	if identity == nil {
		return nil, fmt.Errorf("%s: missing; it says whose account this is", identityFile)
	}
	id := text(identity, "Account")
	if id == "" {
		return nil, fmt.Errorf("%s: no Account in it", identityFile)
	}
	home.addPartly(id)
	account := &Account{
		id:        id,
		partition: partition(text(identity, "Arn")),
		identity:  identity,
		home:      o.Region,
		now:       o.Now,
		export:    exported,
		regions:   map[string]*region{o.Region: home},
	}
	if account.roles, err = readRoles(files); err != nil {
		return nil, err
	}
	if err := account.loadRegions(files); err != nil {
		return nil, err
	}
	if err := account.loadBuckets(files); err != nil {
		return nil, err
	}
	return account, account.loadVersions(files)
}

// partition is the second field of an ARN, "aws" if it has none.
func partition(arn string) string {
	if fields := strings.Split(arn, ":"); len(fields) > 1 && fields[0] == "arn" && fields[1] != "" {
		return fields[1]
	}
	return "aws"
}

// AddRegion reads a further region of the account from a directory like the one Load reads. The
// directory need not say whose account it is; if it does, it must be the same one.
func (a *Account) AddRegion(name string, files fs.FS) error {
	added, err := loadRegion(name, files)
	if err != nil {
		return err
	}
	if other := text(added.documents[identityFile].fields, "Account"); other != "" && other != a.id {
		return fmt.Errorf("%s: region %s is of account %s, not %s", identityFile, name, other, a.id)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.regions[name] != nil {
		return fmt.Errorf("region %s is already there", name)
	}
	added.addPartly(a.id)
	if added.denied == nil {
		added.denied = a.regions[a.home].denied
	}
	a.regions[name] = added
	return nil
}

func loadRegion(name string, files fs.FS) (*region, error) {
	r := emptyRegion(name)
	var err error
	if r.denied, err = readDenied(files); err != nil {
		return nil, err
	}
	if err := r.readDirectory(files); err != nil {
		return nil, err
	}
	return r, nil
}

func emptyRegion(name string) *region {
	r := &region{
		name:         name,
		documents:    make(map[string]*document, len(formats)),
		gone:         make(map[string]bool),
		lags:         make(map[string]*lag),
		reportTokens: make(map[string]tokenUse),
		starts:       make(map[string]start),
		written:      make(map[string]*writing),
		retagged:     make(map[string][]retagging),
		bin:          newBinState(),
	}
	for _, f := range formats {
		r.documents[f.file] = &document{}
	}
	return r
}

// region returns a region by its name. One that the account does not hold is empty: requests to it
// are answered, and find nothing.
func (a *Account) region(name string) *region {
	if r := a.regions[name]; r != nil {
		return r
	}
	r := emptyRegion(name)
	r.denied = a.regions[a.home].denied
	return r
}

// Save writes every file of the account's regions as it is now, empty ones too, and the objects of
// S3, into a directory that Load can read again. Which of the files were missing when it
// was loaded is in lacking.json, so that they go on being so. It creates the directory.
func (a *Account) Save(dir string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := errors.Join(a.saveCopy(dir), a.saveRoles(dir)); err != nil {
		return err
	}
	return errors.Join(a.saveBuckets(dir), a.saveVersions(dir))
}

// SetInUseLag makes EC2 slow to notice deregistrations from now on: after one, the first n calls of
// DeleteSnapshot for each of the image's snapshots still answer that the snapshot is in use.
func (a *Account) SetInUseLag(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.inUseLag = n
}

// Calls returns the requests the account has answered so far, in order.
func (a *Account) Calls() []Call {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.calls)
}

// regionNames returns the names of the regions the account holds, sorted.
func (a *Account) regionNames() []string {
	return slices.Sorted(maps.Keys(a.regions))
}

// items returns the objects of one file.
func (r *region) items(file string) []object {
	return r.documents[file].items
}

// find returns the first object of a file whose key has the given value, or nil.
func (r *region) find(file, key, value string) object {
	if found := r.entries(file, key, value); len(found) > 0 {
		return found[0]
	}
	return nil
}

// entries are all the objects of a file whose key has the given value.
func (r *region) entries(file, key, value string) []object {
	return r.documents[file].with(key, value)
}

// remove takes every object out of a file whose key has the given value.
func (r *region) remove(file, key, value string) {
	r.documents[file].removeWith(key, value)
	r.gone[value] = true
}

package emulator

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// What the directory of an organization holds. The list of accounts is that of the AWS CLI's
// command organizations list-accounts, with the Path of each account and with the Organization that
// describe-organization prints beside it. The Hub is the account of the janitor's functions, the
// management account if it is not given.
const (
	organizationFile = "organization.json"
	accountsFolder   = "accounts"
	// The roles that can be assumed in an account, in its directory: a list of their names under
	// Roles. Without it the account has all roles of the janitor, in every namespace.
	rolesFile = "roles.json"
)

var organizationFormat = format{
	file: organizationFile, list: "Accounts",
	fields: append(all(aString, "Arn", "Email", "Id", "JoinedMethod", "Name", "Path", "State", "Status"), field{"JoinedTimestamp", aTimestamp, nil}),
	beside: append(all(aString, "Hub"), field{"Organization", anObject, all(aString, "Arn", "FeatureSet", "Id", "MasterAccountId")}),
}

// LoadOrganization reads an organization from a directory: organization.json, and for each account
// whose roles can be assumed an account directory accounts/ACCOUNT, or ACCOUNT as Save writes it.
// The folders records and s3 are the hub's. An error names the file and, where there is one, the
// place in it.
func LoadOrganization(files fs.FS, options Options) (*Organization, error) {
	if options.Now == nil {
		return nil, errors.New("an emulated organization needs a clock")
	}
	o := &Organization{
		now:     options.Now,
		members: map[string]*Account{}, denied: map[string]bool{}, sessions: map[string]*session{},
	}
	if err := o.readListing(files); err != nil {
		return nil, err
	}
	if err := o.readAccounts(files, options); err != nil {
		return nil, err
	}
	if err := o.readRest(files); err != nil {
		return nil, err
	}
	return o, o.makeHub(files, options)
}

// readListing reads organization.json.
func (o *Organization) readListing(files fs.FS) error {
	data, err := fs.ReadFile(files, organizationFile)
	if err != nil {
		return fmt.Errorf("%s: %w", organizationFile, err)
	}
	if o.document, err = parse(organizationFormat, data); err != nil {
		return err
	}
	o.listed = o.document.items
	whole := child(o.document.fields, "Organization")
	o.partition = partition(text(whole, "Arn"))
	switch {
	case text(whole, "Id") == "":
		return fmt.Errorf("%s: no Organization.Id in it", organizationFile)
	case !accountNumber.MatchString(text(whole, "MasterAccountId")):
		return fmt.Errorf("%s: Organization.MasterAccountId %q is not the id of an account", organizationFile, text(whole, "MasterAccountId"))
	case !accountNumber.MatchString(o.hubID()):
		return fmt.Errorf("%s: Hub %q is not the id of an account", organizationFile, o.hubID())
	case len(o.listed) == 0:
		return fmt.Errorf("%s: no account in it", organizationFile)
	}
	seen, roots := map[string]bool{}, map[string]bool{}
	for i, account := range o.listed {
		id, units := text(account, "Id"), unitsOf(account)
		fault := ""
		switch {
		case !accountNumber.MatchString(id):
			fault = fmt.Sprintf("Id %q is not the id of an account", id)
		case seen[id]:
			fault = id + " is there twice"
		case !accountPath.MatchString(strings.Join(units, "/")) || units[0] != text(whole, "Id"):
			fault = fmt.Sprintf("Path %q is no path such as %s/r-ab12/", text(account, "Path"), text(whole, "Id"))
		case roots[units[1]] != (len(roots) > 0):
			fault = fmt.Sprintf("Path %q begins at another root than those before it", text(account, "Path"))
		}
		if fault != "" {
			return fmt.Errorf("%s: Accounts[%d]: %s", organizationFile, i, fault)
		}
		seen[id], roots[units[1]] = true, true
	}
	return nil
}

var (
	accountNumber = regexp.MustCompile(`^\d{12}$`)
	// The ids in a path are those of AWS's service model, and a little shorter ones.
	accountPath = regexp.MustCompile(`^o-[a-z0-9]+/r-[a-z0-9]+(?:/ou-[a-z0-9]+-[a-z0-9]+)*$`)
)

// unitsOf are the ids in an account's path, from the organization's down.
func unitsOf(account object) []string {
	return strings.Split(strings.TrimSuffix(text(account, "Path"), "/"), "/")
}

// hubID is the id of the janitor's account.
func (o *Organization) hubID() string {
	if hub := text(o.document.fields, "Hub"); hub != "" {
		return hub
	}
	return o.master()
}

// master is the id of the management account.
func (o *Organization) master() string {
	return text(child(o.document.fields, "Organization"), "MasterAccountId")
}

// readAccounts reads the directories of the accounts in the listing.
func (o *Organization) readAccounts(files fs.FS, options Options) error {
	for _, listed := range o.listed {
		id := text(listed, "Id")
		folder, err := folderOf(files, id)
		if err != nil {
			return err
		}
		if folder == "" {
			continue
		}
		directory, err := fs.Sub(files, folder)
		var account *Account
		if err == nil {
			account, err = Load(directory, options)
		}
		if err != nil {
			return fmt.Errorf("%s/%w", folder, err)
		}
		if account.id != id {
			return fmt.Errorf("%s/%s: is of account %s", folder, identityFile, account.id)
		}
		account.organization = o
		o.members[id] = account
	}
	return nil
}

// folderOf finds the directory of an account; empty if it has none.
func folderOf(files fs.FS, id string) (string, error) {
	var found []string
	for _, folder := range []string{path.Join(accountsFolder, id), id} {
		if _, err := fs.Stat(files, folder); err == nil {
			found = append(found, folder)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	if len(found) == 2 {
		return "", fmt.Errorf("%s: is there as %s, too; which of them counts, nobody can tell", found[0], found[1])
	}
	return strings.Join(found, ""), nil
}

// readRest notes what means nothing in the directory. It refuses the directory of an account that
// is not listed: whoever put it there takes it for read.
func (o *Organization) readRest(files fs.FS) error {
	known := []string{organizationFile, accountsFolder, RecordsBucket, objectsFolder}
	for _, folder := range []string{".", accountsFolder} {
		entries, err := fs.ReadDir(files, folder)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for _, entry := range entries {
			name := path.Join(folder, entry.Name())
			switch {
			case accountNumber.MatchString(entry.Name()):
				if o.account(entry.Name()) == nil {
					return fmt.Errorf("%s: this account is not in %s", name, organizationFile)
				}
			case !slices.Contains(known, name):
				o.notRead = append(o.notRead, name)
			}
		}
	}
	return nil
}

// makeHub makes the janitor's account.
func (o *Organization) makeHub(files fs.FS, options Options) error {
	id, home := o.hubID(), cmp.Or(options.Region, "us-east-1")
	o.hub = &Account{
		id: id, partition: o.partition, home: home, now: o.now, organization: o, isHub: true,
		identity: object{
			"Account": id, "Arn": "arn:" + o.partition + ":sts::" + id + ":assumed-role/ami-janitor-hub/emulated",
			"UserId": "AROAIOSFODNN7EXAMPLE:emulated",
		},
		regions: map[string]*region{home: emptyRegion(home)},
	}
	return o.hub.loadBuckets(files)
}

// readRoles returns the names of an account's roles; nil if there is no such file.
func readRoles(files fs.FS) ([]string, error) {
	data, err := fs.ReadFile(files, rolesFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var content struct{ Roles []string }
	if err == nil {
		err = json.Unmarshal(data, &content)
	}
	if err == nil && content.Roles == nil {
		err = errors.New("no Roles in it")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", rolesFile, err)
	}
	return content.Roles, nil
}

// saveRoles writes the names of the roles, if they were given.
func (a *Account) saveRoles(dir string) error {
	if a.roles == nil {
		return nil
	}
	data, err := json.Marshal(object{"Roles": a.roles})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, rolesFile), append(data, '\n'), 0o600)
}

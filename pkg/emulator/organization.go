package emulator

import (
	"errors"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// Organization is an emulated organization of AWS accounts. It is safe for concurrent use.
//
// The janitor's hub is an account apart from the members, even where it has the id of one: it has
// nothing but S3, SNS, Systems Manager's parameters, STS and AWS Organizations. Members are reached
// through AssumeRole alone.
type Organization struct {
	document  *document // The content of organization.json.
	partition string
	hub       *Account
	members   map[string]*Account // By id; those that have a directory.
	now       func() time.Time
	notRead   []string

	mu       sync.Mutex // Whoever holds it takes no lock of an account.
	listed   []object   // The accounts of the organization, in the order of their listing.
	denied   map[string]bool
	sessions map[string]*session // By access key.
	calls    []MemberCall
	short    int // The most accounts in a page; zero for AWS's own limit.
}

var _ http.Handler = (*Organization)(nil)

// MemberCall is a request that an account of an organization has answered.
type MemberCall struct {
	Call
	Account string
	Role    string // The name of the assumed role; empty for the hub's own credentials.
}

// isActive is the state of an account that can be used, as AWS Organizations spells it.
const isActive = "ACTIVE"

// Hub returns the account in which the organization's functions run.
func (o *Organization) Hub() *Account { return o.hub }

// Accounts returns the accounts that have a directory, by id.
func (o *Organization) Accounts() map[string]*Account { return maps.Clone(o.members) }

// Lacks says for each account which evidence of use its directory lacks, as Account.Lacks does.
// What it says of an account begins with "ACCOUNT/".
func (o *Organization) Lacks() []string { return o.ofMembers((*Account).Lacks) }

// NotRead names the files and folders of the directory that mean nothing here, sorted.
func (o *Organization) NotRead() []string {
	return slices.Sorted(slices.Values(append(o.ofMembers((*Account).NotRead), o.notRead...)))
}

func (o *Organization) ofMembers(files func(*Account) []string) []string {
	var all []string
	for _, id := range slices.Sorted(maps.Keys(o.members)) {
		for _, file := range files(o.members[id]) {
			all = append(all, id+"/"+file)
		}
	}
	return all
}

// Deny makes every role of an account refuse whoever assumes it from now on.
func (o *Organization) Deny(account string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.denied[account] = true
}

// Remove takes an account out of the organization. Sessions that have begun go on.
func (o *Organization) Remove(account string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.listed = slices.DeleteFunc(slices.Clone(o.listed), func(a object) bool { return text(a, "Id") == account })
}

// SetPageSize makes AWS Organizations show no more than n accounts or units at a time.
func (o *Organization) SetPageSize(n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.short = n
}

// Calls returns the requests that the accounts have answered so far, in order.
func (o *Organization) Calls() []MemberCall {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.calls)
}

// note records a request that an account has answered.
func (o *Organization) note(account string, c Call, by caller) {
	o.mu.Lock()
	defer o.mu.Unlock()
	call := MemberCall{Call: c, Account: account}
	if by.session != nil {
		call.Role = by.session.role
	}
	o.calls = append(o.calls, call)
}

// account returns an account as it is listed, nil if it is not.
func (o *Organization) account(id string) object {
	o.mu.Lock()
	defer o.mu.Unlock()
	return first(o.listed, "Id", id)
}

// Client returns an in-process HTTP client of the organization with credentials of its hub. Those
// that AssumeRole gives out lead to the account of the role. It sees the lags of EC2 in every
// account if any are given, as with Account.Client.
func (o *Organization) Client(lags ...Lags) *Client {
	var by caller
	if len(lags) > 0 {
		by.lags = &lags[0]
		for _, account := range o.members {
			account.startHistory()
		}
	}
	return &Client{func(w http.ResponseWriter, r *http.Request) { o.serve(w, r, by) }}
}

// ServeHTTP answers one request to AWS.
func (o *Organization) ServeHTTP(w http.ResponseWriter, r *http.Request) { o.serve(w, r, caller{}) }

func (o *Organization) serve(w http.ResponseWriter, r *http.Request, by caller) {
	account := o.hub
	if by.session = o.session(accessKey(r)); by.session != nil {
		account = o.members[by.session.account]
	}
	account.serve(w, r, by)
}

// AccountOf returns the id of the account that a request reaches.
func (o *Organization) AccountOf(q Request) string {
	if s := o.session(q.Session); s != nil {
		return s.account
	}
	return o.hub.id
}

// Save writes the organization as it is now into a directory that LoadOrganization can read again:
// each account into a folder of its id, and the objects of the hub. It creates the directory.
func (o *Organization) Save(dir string) error {
	for id, account := range o.members {
		if o.account(id) == nil {
			continue
		}
		if err := account.Save(filepath.Join(dir, id)); err != nil {
			return err
		}
	}
	o.mu.Lock()
	now := &document{items: o.listed, fields: o.document.fields}
	o.mu.Unlock()
	data, err := now.format(organizationFormat)
	if err != nil {
		return err
	}
	return errors.Join(os.MkdirAll(dir, 0o750), o.hub.saveObjects(dir), os.WriteFile(filepath.Join(dir, organizationFile), data, 0o600))
}

// saveObjects writes the objects of S3.
func (a *Account) saveObjects(dir string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.saveBuckets(dir)
}

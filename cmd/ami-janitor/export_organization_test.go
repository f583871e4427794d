package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/emulator/middleware"
	"github.com/ami-janitor/ami-janitor/pkg/emulator/sample"
)

// servingOrganization serves the built-in organization to the command line.
func servingOrganization(t *testing.T) *emulator.Organization {
	t.Helper()
	o, err := sample.Organization(emulator.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	lead(t, o.Client())
	return o
}

// lead leads the command line to what answers.
func lead(t *testing.T, doer emulator.Doer) {
	t.Helper()
	server := httptest.NewServer(middleware.Handler(doer))
	t.Cleanup(server.Close)
	leadTo(t, server.URL)
}

var exportRole = []string{"--organization", "--role", "ami-janitor/ami-janitor-default-read", "--ec2-share", "1"}

func exportInto(t *testing.T, dir string) result {
	t.Helper()
	return cli(t, nil, append([]string{"export", dir}, exportRole...)...)
}

func foldersIn(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

// Every account that can be entered is copied, the others are told of, and the copy can be
// rehearsed on.
func TestExportAnOrganization(t *testing.T) {
	o := servingOrganization(t)
	dir := filepath.Join(t.TempDir(), "copies")
	got := exportInto(t, dir)
	if got.status != exitRemovalFailed || !strings.Contains(got.out, dir+": organization o-exampleorgid, 10 of 12 accounts\nRead from 20") {
		t.Errorf("status %d: %s%s", got.status, got.out, got.err)
	}
	for _, want := range []string{
		"666666666666 (acquired): assuming arn:aws:iam::666666666666:role/ami-janitor/ami-janitor-default-read: AccessDenied: User: ",
		"777777777777 (closed-project): the account is SUSPENDED",
	} {
		if !strings.Contains(got.err, want) {
			t.Errorf("it does not tell that %s: %s", want, got.err)
		}
	}
	for _, call := range o.Calls() {
		if !emulator.IsRead(call.Action) && call.Action != "AssumeRole" {
			t.Errorf("%s in %s", call.Action, call.Account)
		}
	}
	if diff := cmp.Diff([]string{"accounts", "organization.json"}, foldersIn(t, dir)); diff != "" {
		t.Error(diff)
	}
	copied, err := emulator.LoadOrganization(os.DirFS(dir), emulator.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]any{10, "210987654321", 0, 0}, []any{len(copied.Accounts()), copied.AccountOf(emulator.Request{}), len(copied.Lacks()), len(copied.NotRead())}); diff != "" {
		t.Error(diff)
	}
	// With the paths of the accounts and what the organization says of itself.
	again := filepath.Join(t.TempDir(), "again")
	lead(t, copied.Client())
	if got := exportInto(t, again); got.status != exitRemovalFailed {
		t.Errorf("status %d: %s%s", got.status, got.out, got.err)
	}
	want, _ := os.ReadFile(filepath.Join(dir, "organization.json"))
	have, err := os.ReadFile(filepath.Join(again, "organization.json"))
	if diff := cmp.Diff(string(want), string(have)); err != nil || diff != "" || !strings.Contains(diff+string(want), "o-exampleorgid/r-ab12/ou-ab12-22222222/ou-ab12-33333333/") {
		t.Errorf("%v: %s", err, diff)
	}
}

// A copy that is not complete stays out of the accounts, and the same export goes on with it.
func TestAnExportOfAnOrganizationGoesOn(t *testing.T) {
	o := servingOrganization(t)
	inOne := func(_ int, q emulator.Request) bool { return o.AccountOf(q) == "222222222222" }
	lead(t, disturb.Fail(o.Client(), "DescribeFleets", inOne, http.StatusBadRequest, "InternalFailure", "example"))
	dir := t.TempDir()
	got := exportInto(t, dir)
	if got.status != exitRegionFailed || !strings.Contains(got.out, "9 of 12 accounts") || !strings.Contains(got.err, "222222222222 (search-staging): the copy is not complete; not read: us-east-1: describe-fleets.json: ") {
		t.Errorf("status %d: %s%s", got.status, got.out, got.err)
	}
	copied, err := emulator.LoadOrganization(os.DirFS(dir), emulator.Options{Now: time.Now})
	if err != nil || copied.Accounts()["222222222222"] != nil || len(copied.Accounts()) != 9 {
		t.Errorf("%v", err)
	}
	lead(t, o.Client())
	before := len(o.Accounts()["333333333333"].Calls())
	if got := exportInto(t, dir); got.status != exitRemovalFailed || !strings.Contains(got.out, "10 of 12 accounts") {
		t.Errorf("status %d: %s%s", got.status, got.out, got.err)
	}
	if calls := len(o.Accounts()["333333333333"].Calls()) - before; calls > 2 {
		t.Errorf("%d calls to an account whose copy is complete", calls)
	}
}

func TestExportOfAnOrganizationRefuses(t *testing.T) {
	servingOrganization(t)
	strange, other := t.TempDir(), t.TempDir()
	write(t, strange, "mine.txt", "")
	write(t, other, "organization.json", `{"Organization": {"Id": "o-other"}}`)
	for says, args := range map[string][]string{
		`holds "mine.txt", which no export of an organization writes`:           append([]string{strange}, exportRole...),
		`it is a copy of the organization "o-other", and not of o-exampleorgid`: append([]string{other}, exportRole...),
		"--role and --external-id: only with --organization":                    {t.TempDir(), "--role", "x"},
		`--role: "" is no name of a role`:                                       {t.TempDir(), "--organization"},
		`--role: "arn:aws:iam::1:role/x" is no name of a role`:                  {t.TempDir(), "--organization", "--role", "arn:aws:iam::1:role/x"},
	} {
		if got := cli(t, nil, append([]string{"export"}, args...)...); got.status != exitUsage || !strings.Contains(got.err, says) {
			t.Errorf("%s: status %d: %s", says, got.status, got.err)
		}
	}
	serving(t, func(doer emulator.Doer) emulator.Doer { return doer })
	if got := exportInto(t, t.TempDir()); got.status != exitRegionFailed || !strings.Contains(got.err, "describing the organization: organizations:DescribeOrganization: AWSOrganizationsNotInUseException") {
		t.Errorf("status %d: %s", got.status, got.err)
	}
}

package report_test

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/report"
)

// organizations are the records of all runs over an organization that the digest is tested with.
func organizations(t *testing.T) map[string]record.Organization {
	t.Helper()
	files, err := filepath.Glob("../digest/testdata/organization/*/record.json")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d records: %v", len(files), err)
	}
	all := map[string]record.Organization{}
	for _, file := range files {
		o, err := record.ParseOrganization(read(t, file))
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.Base(filepath.Dir(file))] = o
	}
	return all
}

func organizationPage(t *testing.T, o record.Organization) string {
	t.Helper()
	var page bytes.Buffer
	if err := report.Organization(&page, o); err != nil {
		t.Fatal(err)
	}
	return page.String()
}

// Each account has one row, and those that could not be counted come first.
func TestEachAccountHasARow(t *testing.T) {
	for name, o := range organizations(t) {
		text := organizationPage(t, o)
		if strings.Contains(text, "ZgotmplZ") || strings.Contains(text, "<!channel>") || strings.Contains(text, "\u202e") {
			t.Errorf("%s: the page shows hostile text", name)
		}
		checkElements(t, text)
		rows := cells(t, elements(t, text), "By account")[1:]
		if len(rows) != len(o.Accounts) {
			t.Fatalf("%s: %d rows for %d accounts", name, len(rows), len(o.Accounts))
		}
		var counted []string
		for _, row := range rows {
			counted = append(counted, row[2])
		}
		if !slices.IsSorted(counted) {
			t.Errorf("%s: %q", name, counted)
		}
		for _, m := range o.Accounts {
			at := slices.IndexFunc(rows, func(row []string) bool { return strings.HasSuffix(row[0], m.Account) })
			if at < 0 || !strings.HasPrefix(rows[at][1], string(o.Standing(m))) || (rows[at][2] == "yes") != m.Counted {
				t.Errorf("%s: %s is not in %q", name, m.Account, rows)
			}
		}
	}
}

// What could not be counted is above the figures.
func TestThePageBeginsWithWhatCouldNotBeCounted(t *testing.T) {
	text := organizationPage(t, organizations(t)["ordinary"])
	at := strings.Index(text, "17 AMIs stay because 4 accounts could not be counted.")
	if cards := strings.Index(text, `class="cards"`); at < 0 || at > cards {
		t.Errorf("%d, and the cards are at %d", at, cards)
	}
}

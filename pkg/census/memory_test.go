package census_test

import (
	"testing"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/census"
)

var night = time.Date(2026, time.November, 1, 2, 0, 0, 0, time.UTC)

// A night without a whole census breaks a series: what ran that night was not seen.
func TestASeriesOfCensusesHasNoHole(t *testing.T) {
	const account, region = "111122223333", "eu-west-1"
	whole := census.Census{Account: account, Regions: []string{region}}
	partial := census.Census{Account: account, Regions: []string{region}, Gaps: []census.Gap{{Account: account, Region: region, Source: "instances"}}}
	elsewhere := census.Census{Account: account, Regions: []string{region, "us-east-1"}, Gaps: []census.Gap{{Account: account, Region: "us-east-1", Source: "instances"}}}
	text := census.Census{Account: account, Regions: []string{region}, Gaps: []census.Gap{{Account: account, Region: "us-east-1", Source: "ssm-text"}}}
	failed := census.Failed("", account, night, "denied")
	old := census.Account{ID: account, State: census.Active}
	made := census.Account{ID: account, State: census.Active, CreatedAt: night.Add(-time.Hour)}
	for name, test := range map[string]struct {
		account census.Account
		nights  []census.Census
		since   time.Time
	}{
		"every_night":                  {old, []census.Census{whole, whole, whole, whole}, night},
		"a_gap":                        {old, []census.Census{whole, whole, partial, whole}, night.AddDate(0, 0, 3)},
		"a_gap_in_another_region":      {old, []census.Census{whole, whole, elsewhere, whole}, night},
		"a_gap_in_texts":               {old, []census.Census{whole, whole, text, whole}, night.AddDate(0, 0, 3)},
		"no_answer":                    {old, []census.Census{whole, whole, failed, whole}, night.AddDate(0, 0, 3)},
		"never":                        {old, []census.Census{failed, failed}, time.Time{}},
		"from_its_first_day_on":        {made, []census.Census{whole, whole}, time.Unix(0, 0).UTC()},
		"from_its_first_day_with_gaps": {made, []census.Census{whole, failed, whole}, night.AddDate(0, 0, 2)},
		"from_its_second_day_on":       {made, []census.Census{failed, failed, whole}, night.AddDate(0, 0, 2)},
	} {
		t.Run(name, func(t *testing.T) {
			var m census.Memory
			for n, taken := range test.nights {
				m = m.Remember([]census.Account{test.account}, []census.Census{taken}, night.AddDate(0, 0, n))
			}
			if got := m.Series[account][region].Since; !got.Equal(test.since) {
				t.Errorf("since %s, and must be since %s", got, test.since)
			}
		})
	}
}

// What was seen is a use on that night; the latest counts, and a copy on the day on which it was
// made.
func TestWhatWasSeenIsRemembered(t *testing.T) {
	use := func(account string) census.Census {
		return census.Census{Account: account, Regions: []string{"eu-west-1"}, Uses: []census.Use{{ImageID: "ami-1", Account: account}}}
	}
	m := census.Memory{}.Remember(nil, []census.Census{use("111122223333")}, night)
	m = m.Remember(nil, []census.Census{use("444455556666")}, night.AddDate(0, 0, 1))
	m = m.Remember(nil, []census.Census{{
		Account: "111122223333", Regions: []string{"eu-west-1"},
		Copies: []census.Copy{{ImageID: "ami-1", Account: "111122223333", At: night.AddDate(-1, 0, 0)}, {ImageID: "ami-2", Account: "111122223333", At: night.AddDate(-1, 0, 0)}},
	}}, night.AddDate(0, 0, 2))
	if got := m.Seen["ami-1"]; got != (census.Sighting{Account: "444455556666", At: night.AddDate(0, 0, 1)}) {
		t.Errorf("ami-1 was seen: %v", got)
	}
	if got := m.Seen["ami-2"]; got != (census.Sighting{Account: "111122223333", At: night.AddDate(-1, 0, 0)}) {
		t.Errorf("ami-2 was seen: %v", got)
	}
	if m = m.Remember(nil, nil, night.AddDate(4, 0, 0)); len(m.Seen)+len(m.Series) > 0 {
		t.Errorf("after four years it remembers %v", m)
	}
}

// Far fewer accounts than in the last run are no sign of an empty organization.
func TestAnOrganizationThatShrinks(t *testing.T) {
	before := census.Memory{Listed: 100, Answered: 90}
	for _, test := range []struct {
		listed, answered int
		is               string
	}{
		{100, 90, ""},
		{90, 81, ""},
		{89, 81, "only 89 accounts are listed, and the last run listed 100"},
		{100, 80, "only 80 accounts have answered, and 90 did in the last run"},
	} {
		if got := (census.Memory{Listed: test.listed, Answered: test.answered}).Shrunk(before); got != test.is {
			t.Errorf("%d listed, %d answered: %q", test.listed, test.answered, got)
		}
	}
}

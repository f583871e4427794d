package record

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// Since are sums over real runs, this one included if it is one: what they have removed, whether or
// not people have restored it since. Empty if the sums could not be read.
type Since struct {
	// Month is of the runs that began in the month in which this one did, in UTC.
	Month *Sum `json:"month,omitempty"`
	First *Sum `json:"first,omitempty"` // Of all runs.
}

// Sum is what runs have removed. A run that was killed before it could add itself is not in it.
type Sum struct {
	From string `json:"from"` // The day from which runs are in it, as 2006-01-02.
	Runs int    `json:"runs"`
	Amount
}

// Sums is the running document from which every run gets Since, and to which real runs add.
type Sums struct {
	SchemaVersion int    `json:"schemaVersion"`
	Account       string `json:"account"`
	Month         *Sum   `json:"month,omitempty"` // Of the latest month.
	First         *Sum   `json:"first,omitempty"`
	// Latest are the runs that were added last. Each counts once.
	Latest []string `json:"latest"`
}

// latestAdditions is how many runs may add something between an attempt whose answer is lost and
// the next one.
const latestAdditions = 20

// ParseSums reads the sums of an account. Without data they are empty; those of another account, or
// from a version that means something else by them, are an error.
func ParseSums(data []byte, account string) (Sums, error) {
	sums := Sums{SchemaVersion: SchemaVersion, Account: account}
	if data == nil {
		return sums, nil
	}
	var read Sums
	if err := json.Unmarshal(data, &read); err != nil {
		return Sums{}, err
	}
	if read.SchemaVersion != sums.SchemaVersion || read.Account != sums.Account {
		return Sums{}, fmt.Errorf("it has schema version %d and account %q, and not %d and %s", read.SchemaVersion, read.Account, sums.SchemaVersion, account)
	}
	return read, nil
}

// Add adds a real run, once.
func (s *Sums) Add(r Run) {
	if slices.Contains(s.Latest, r.Run) {
		return
	}
	s.Latest = append(s.Latest, r.Run)
	s.Latest = s.Latest[max(len(s.Latest)-latestAdditions, 0):]
	day := Date(r.StartedAt)
	if s.First == nil {
		s.First = &Sum{From: day}
	}
	s.First.From = min(s.First.From, day)
	s.First.add(r)
	month := firstOfMonth(r.StartedAt)
	if s.Month == nil || s.Month.From < month {
		s.Month = &Sum{From: max(month, s.First.From)}
	}
	// If they differ, the run began before midnight, and ended after one of the new month.
	if monthOf(s.Month.From) == monthOf(month) {
		s.Month.From = min(s.Month.From, day)
		s.Month.add(r)
	}
}

func (s *Sum) add(r Run) {
	s.Runs++
	s.plus(r.Totals.Amounts.Removed)
}

// Since returns what there is to say in a run that began at a time.
func (s Sums) Since(at time.Time) Since {
	if s.First == nil {
		return Since{}
	}
	since, month := Since{First: s.First}, firstOfMonth(at)
	switch {
	case s.Month == nil || s.Month.From < month:
		since.Month = &Sum{From: month}
	case monthOf(s.Month.From) == monthOf(month):
		since.Month = s.Month
	}
	return since
}

func firstOfMonth(at time.Time) string { return monthOf(Date(at)) + "-01" }

// monthOf cuts the day off a date.
func monthOf(date string) string { return date[:min(len("2006-01"), len(date))] }

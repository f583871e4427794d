package census

import (
	"fmt"
	"maps"
	"time"
)

// Memory is what the censuses of earlier nights have seen.
type Memory struct {
	Organization string `json:"organization"` // Its id.

	// Listed and Answered are how many accounts the last run listed, and how many of them answered.
	Listed   int `json:"listed"`
	Answered int `json:"answered"`

	// LastRun is the last run that has counted the accounts.
	LastRun string `json:"lastRun"`

	// HeldSince is when runs began to be held because far fewer accounts were listed, or answered;
	// zero if the last run was not.
	HeldSince time.Time `json:"heldSince,omitzero"`

	// RealRuns is how many runs have swept.
	RealRuns int `json:"realRuns"`

	// Seen is the last night on which an account used an image of somebody else, by the id of the
	// image.
	Seen map[string]Sighting `json:"seen"`

	// Series are the unbroken series of nightly censuses, by account and region.
	Series map[string]map[string]Series `json:"series"`
}

// Sighting is the last night on which an image was seen in use.
type Sighting struct {
	Account string    `json:"account"`
	At      time.Time `json:"at"`
}

// Series is an unbroken series of nightly censuses.
type Series struct {
	Since time.Time `json:"since"`
	Last  time.Time `json:"last"`
}

const (
	// night is the longest time between two censuses of a series.
	night = 36 * time.Hour

	// memorySpan is how long a sighting is remembered: longer than any idle limit that is of use.
	memorySpan = 3 * 365 * 24 * time.Hour
)

// everSince is when the series of an account begins that was counted from its first day on.
var everSince = time.Unix(0, 0).UTC()

// Remember returns a memory with the censuses of a night.
func (m Memory) Remember(accounts []Account, censuses []Census, now time.Time) Memory {
	next := m
	next.Listed, next.Answered = len(accounts), 0
	next.Seen, next.Series = maps.Clone(m.Seen), map[string]map[string]Series{}
	if next.Seen == nil {
		next.Seen = map[string]Sighting{}
	}
	maps.DeleteFunc(next.Seen, func(_ string, s Sighting) bool { return now.Sub(s.At) > memorySpan })
	maps.Copy(next.Series, m.Series)
	known := map[string]Account{}
	for _, account := range accounts {
		known[account.ID] = account
	}
	for _, census := range censuses {
		next.add(known[census.Account], census, now)
	}
	maps.DeleteFunc(next.Series, func(_ string, regions map[string]Series) bool {
		for _, series := range regions {
			if now.Sub(series.Last) <= memorySpan {
				return false
			}
		}
		return true
	})
	return next
}

func (m *Memory) add(account Account, census Census, now time.Time) {
	if census.Answered() {
		m.Answered++
	}
	for _, use := range census.Uses {
		if !use.MayBeOwn {
			m.see(use.ImageID, use.Account, now)
		}
	}
	for _, made := range census.Copies {
		m.see(made.ImageID, made.Account, made.At)
	}
	before := m.Series[census.Account]
	after := maps.Clone(before)
	if after == nil {
		after = map[string]Series{}
	}
	for _, region := range census.Regions {
		if !census.isComplete(region) {
			continue
		}
		series, known := before[region]
		switch {
		case known && now.Sub(series.Last) <= night && !now.Before(series.Last):
		case len(before) == 0 && !account.CreatedAt.IsZero() && now.Sub(account.CreatedAt) <= night && !now.Before(account.CreatedAt):
			series.Since = everSince // It has launched nothing before.
		default:
			series.Since = now
		}
		series.Last = now
		after[region] = series
	}
	m.Series[census.Account] = after
}

// see notes that an image was in use.
func (m *Memory) see(imageID, account string, at time.Time) {
	if at.After(m.Seen[imageID].At) {
		m.Seen[imageID] = Sighting{account, at}
	}
}

// fewest is the share of the accounts of the last run that must be listed, and must answer.
const fewest = 0.9

// heldFor is for how long the accounts of before count that are no longer listed, or no longer
// answer: three nights, less the time by which a schedule may be early. After that, an organization
// has become smaller. It is no number of runs: whoever starts some by day must not use it up.
const heldFor = 2*24*time.Hour - time.Hour

// hold keeps the number of accounts of before while far fewer are there, so that the next run is
// held as well.
func (m *Memory) hold(before Memory, now time.Time) {
	m.HeldSince = time.Time{}
	if m.Shrunk(before) == "" {
		return
	}
	since := before.HeldSince
	if since.IsZero() {
		since = now
	}
	if now.Sub(since) < heldFor {
		m.HeldSince = since
		m.Listed, m.Answered = max(m.Listed, before.Listed), max(m.Answered, before.Answered)
	}
}

// Shrunk says why nothing may be removed: far fewer accounts were listed, or answered, than in the
// run before. Whoever did not answer may use any image.
func (m Memory) Shrunk(before Memory) string {
	switch {
	case float64(m.Listed) < fewest*float64(before.Listed):
		return fmt.Sprintf("only %d accounts are listed, and the last run listed %d", m.Listed, before.Listed)
	case float64(m.Answered) < fewest*float64(before.Answered):
		return fmt.Sprintf("only %d accounts have answered, and %d did in the last run", m.Answered, before.Answered)
	default:
		return ""
	}
}

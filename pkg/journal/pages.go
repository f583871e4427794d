package journal

import (
	"context"
	"slices"
	"strings"
)

// Pages about the runs are kept with the records, for people. No run reads one.
const (
	pageName  = "/report.html"
	indexName = "index.html"
)

// Recorded is a run with a record.
type Recorded struct {
	Run   string
	Bytes int64  // The size of its record.
	Page  string // The page about it, as seen from the index; empty if there is none.
}

// IsUnfinished reports whether any run has left something unfinished, in any region.
func (j *Journal) IsUnfinished(ctx context.Context) (bool, error) {
	markers, err := j.store.list(ctx, unfinishedPrefix)
	return len(markers) > 0, err
}

// Recorded returns the runs with a record, the newest first.
func (j *Journal) Recorded(ctx context.Context) ([]Recorded, error) {
	documents, err := j.store.list(ctx, runsPrefix)
	if err != nil {
		return nil, err
	}
	pages := map[string]string{}
	var all []Recorded
	for _, d := range documents {
		run, name, _ := strings.Cut(strings.TrimPrefix(d.key, runsPrefix), "/")
		switch {
		case checkRun(run) != nil: // Whoever judges by the journal objects; see Runs.
		case d.key == recordKey(run):
			all = append(all, Recorded{Run: run, Bytes: d.size})
		case "/"+name == pageName:
			pages[run] = d.key
		}
	}
	for n := range all {
		all[n].Page = pages[all[n].Run]
	}
	slices.SortFunc(all, func(a, b Recorded) int { return strings.Compare(b.Run, a.Run) })
	return all, nil
}

// RunOf returns the run whose record is kept in a bucket under a key. It is false for every other
// object, the pages among them.
func (j *Journal) RunOf(bucket, key string) (run string, isRecord bool) {
	run = strings.TrimSuffix(key, recordName)
	run = run[strings.LastIndex(run, "/")+1:]
	return run, checkRun(run) == nil && j.Where(run) == scheme+bucket+"/"+key
}

// SavePage stores the page about a run beside its record, and returns where.
func (j *Journal) SavePage(ctx context.Context, run string, html []byte) (where string, err error) {
	if err := checkRun(run); err != nil {
		return "", err
	}
	key := runsPrefix + run + pageName
	return j.store.where(key), j.store.put(ctx, key, html)
}

// SaveIndex stores the page about all runs at the top of the journal, and returns where.
func (j *Journal) SaveIndex(ctx context.Context, html []byte) (where string, err error) {
	return j.store.where(indexName), j.store.put(ctx, indexName, html)
}

package report

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// Report collects the runs that a page shows: the latest of each account and policy in full, and
// all of them night by night. It keeps one run of each account and policy, however many are added.
type Report struct {
	policies map[policy]*history
	nights   map[string]*night // By day.
}

// policy names whose runs follow one another.
type policy struct{ account, name string }

// history is what is kept of the runs of one policy.
type history struct {
	latest record.Run
	seen   map[string]bool   // The images of the latest run, by region and id.
	first  map[string]amount // The families of the first run that measured all.
	runs   int
}

// amount is a record's amount. Runs of earlier versions have not recorded what kept and due images
// take.
type amount struct {
	record.Amount
	isRecorded bool
}

// isSized reports whether the version that wrote the record measured every image.
func isSized(run record.Run) bool { return run.SchemaVersion > 0 }

// Add adds a run. Runs of one account and policy must come oldest first.
func (r *Report) Add(run record.Run) {
	if r.policies == nil {
		r.policies, r.nights = map[policy]*history{}, map[string]*night{}
	}
	of := policy{run.Account(), run.Policy["policyName"]}
	h := r.policies[of]
	if h == nil {
		h = &history{}
		r.policies[of] = h
	}
	day := record.Date(run.StartedAt)
	if r.nights[day] == nil {
		r.nights[day] = &night{day: day, standing: map[policy]standing{}}
	}
	r.nights[day].add(of, run, h.add(run))
}

// IsEmpty reports whether no run was added.
func (r *Report) IsEmpty() bool { return len(r.policies) == 0 }

// add makes a run the latest, and counts the images that the run before has not seen.
func (h *history) add(run record.Run) (created int) {
	seen := map[string]bool{}
	run.Each(all, func(g record.Region, i record.Image) {
		key := g.Region + i.ImageID
		if h.runs > 0 && !h.seen[key] {
			created++
		}
		seen[key] = true
	})
	for _, g := range run.Regions {
		if g.Error != "" && len(g.Images) == 0 { // Its images are not new tomorrow.
			for key := range h.seen {
				if strings.HasPrefix(key, g.Region+"ami-") {
					seen[key] = true
				}
			}
		}
	}
	h.runs++
	h.latest, h.seen = run, seen
	if h.first == nil && isSized(run) && run.FailedRegions() == 0 {
		h.first = families(run)
	}
	return created
}

// Latest are the latest runs, by account and policy.
func (r *Report) Latest() []record.Run {
	keys := slices.SortedFunc(maps.Keys(r.policies), func(a, b policy) int {
		return cmp.Or(strings.Compare(a.account, b.account), strings.Compare(a.name, b.name))
	})
	var runs []record.Run
	for _, key := range keys {
		runs = append(runs, r.policies[key].latest)
	}
	return runs
}

func all(record.Image) bool { return true }

// families are the sizes of the families of a run.
func families(run record.Run) map[string]amount {
	sizes := map[string]amount{}
	run.Each(all, func(_ record.Region, i record.Image) {
		size := sizes[i.Family]
		size.Images++
		size.GiB += i.SizeGiB
		sizes[i.Family] = size
	})
	return sizes
}

package janitor

import (
	"iter"
	"maps"
	"sync"
)

// watch returns the function that tells how far a stage of the run has come in a region. Watch is
// told the sum over all regions.
func (j *Janitor) watch(stage string) func(region string, done, total int) {
	if j.Watch == nil {
		return func(string, int, int) {}
	}
	var mu sync.Mutex
	dones, totals := map[string]int{}, map[string]int{}
	return func(region string, done, total int) {
		mu.Lock()
		defer mu.Unlock()
		dones[region], totals[region] = done, total
		j.Watch(stage, sum(maps.Values(dones)), sum(maps.Values(totals)))
	}
}

func sum(numbers iter.Seq[int]) int {
	total := 0
	for n := range numbers {
		total += n
	}
	return total
}

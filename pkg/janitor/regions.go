package janitor

import (
	"iter"
	"maps"
	"sync"

	"golang.org/x/sync/errgroup"
)

// atOnce is how many regions are worked on at a time. EC2 limits its requests by region.
const atOnce = 8

// sideBySide does something in several regions at a time, and returns the results in their order.
func sideBySide[T any](regions []string, do func(region string) T) []T {
	results := make([]T, len(regions))
	var group errgroup.Group
	group.SetLimit(atOnce)
	for i, region := range regions {
		group.Go(func() error {
			results[i] = do(region)
			return nil
		})
	}
	_ = group.Wait()
	return results
}

// watch returns the function that tells how far a stage of the run has come in a region. What is told is the sum over the
// regions.
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

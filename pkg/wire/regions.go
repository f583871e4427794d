package wire

import "golang.org/x/sync/errgroup"

// regionsAtOnce is how many regions are worked on at a time. EC2 limits its requests by region.
const regionsAtOnce = 8

// InRegions does something in several regions at a time, and returns the results in their order.
func InRegions[T any](regions []string, do func(region string) T) []T {
	results := make([]T, len(regions))
	var group errgroup.Group
	group.SetLimit(regionsAtOnce)
	for i, region := range regions {
		group.Go(func() error {
			results[i] = do(region)
			return nil
		})
	}
	_ = group.Wait() // No region fails another; what went wrong is in its result.
	return results
}

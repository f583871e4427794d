package usage

import (
	"context"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
)

// Count returns what the resources of a region name, by the id of the image, whosever it is, and
// the lookups that could not be completed. It makes the listings alone: the images and snapshots of
// the lookup do not count.
func Count(ctx context.Context, clients Clients, lookup Lookup) (map[string][]ami.Reference, []ami.Gap) {
	lookup.Images, lookup.Originals, lookup.Snapshots, lookup.Reports, lookup.Abroad = nil, nil, nil, false, nil
	lookup.counts = true
	c := List(ctx, clients, lookup)
	references := make(map[string][]ami.Reference, len(c.found))
	for id, finding := range c.found {
		if len(finding.References) > 0 {
			references[id] = tidyReferences(finding.References)
		}
	}
	return references, tidyGaps(c.ofAll)
}

// SeenByReferences are the listings that see what DescribeImageReferences does, apart from recipes
// of Image Builder.
func SeenByReferences() []string { return []string{"instances", templatesSource, ami.TextSource} }

package sweep

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/inventory"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// named is an image of the account, and the region that it is in.
type named struct {
	ami.Image
	region string
	client *ec2.Client
}

// findNamed returns the images that are given by id, or by name where only one image has the name,
// wherever they are in some regions; each once. A name counts only if every region could be
// searched: another image may have it, too. The error is about what could not be searched for or
// found.
func findNamed(ctx context.Context, account aws.Config, regions, given []string) ([]named, error) {
	var listed []named
	var faults []string
	for _, region := range regions {
		client := wire.EC2(account, region)
		images, err := inventory.ImagesNamed(ctx, client, given)
		if err != nil {
			faults = append(faults, fmt.Sprintf("; %s could not be searched: %s", region, wire.Explain(err)))
		}
		for _, image := range images {
			listed = append(listed, named{image, region, client})
		}
	}
	if len(faults) == len(regions) {
		return nil, fmt.Errorf("no region could be searched%s", strings.Join(faults, ""))
	}
	var missing []string
	var unsure error
	wanted := map[string]bool{}
	for _, name := range given {
		ids := idsOf(listed, name)
		switch len(ids) {
		case 0:
			missing = append(missing, name)
		case 1:
			if len(faults) > 0 && ids[0] != name {
				unsure = errors.Join(unsure, fmt.Errorf("another image may have the name %s, too; give the id: %s is one", name, ids[0]))
				continue
			}
			wanted[ids[0]] = true
		default:
			unsure = errors.Join(unsure, fmt.Errorf("%d images have the name %s; give one of their ids: %s", len(ids), name, strings.Join(ids, ", ")))
		}
	}
	found := slices.DeleteFunc(listed, func(n named) bool { return !wanted[n.ID] })
	switch {
	case len(missing) > 0:
		unsure = errors.Join(fmt.Errorf("not among the account's own images in %s: %s%s",
			strings.Join(regions, ", "), strings.Join(missing, ", "), strings.Join(faults, "")), unsure)
	case unsure != nil && len(faults) > 0:
		unsure = errors.Join(errors.New(strings.TrimPrefix(strings.Join(faults, ""), "; ")), unsure)
	}
	return found, unsure
}

// idsOf returns the ids of the images with an id or a name. The id takes precedence: anybody can
// choose a name.
func idsOf(listed []named, given string) []string {
	var ids []string
	for _, n := range listed {
		if n.ID == given {
			return []string{n.ID}
		}
		if n.Name == given {
			ids = append(ids, n.ID)
		}
	}
	return ids
}

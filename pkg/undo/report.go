package undo

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// Report is what an undo has brought back, and what it has not. The names of its JSON fields are a
// contract.
type Report struct {
	Run     string         `json:"run,omitempty"` // Empty if images were asked for.
	Warning string         `json:"warning,omitempty"`
	Regions []RegionReport `json:"regions"` // By name.

	// Unrecorded means that no record of the run was read. Only the tags of what is in the account
	// and in the bin show what it removed, and it may have removed more.
	Unrecorded bool `json:"unrecorded,omitempty"`

	Gone []Image `json:"gone"` // The images that were asked for and are in no region.
}

// RegionReport is the same for one region. Error is empty unless the region failed, and then
// nothing was tried there.
type RegionReport struct {
	Region string `json:"region"`
	Error  string `json:"error"`
	Result
}

// failedRegion is a region in which nothing was tried.
func failedRegion(region string, err error) RegionReport {
	return RegionReport{Region: region, Error: err.Error(), Result: Result{Images: []Image{}, Snapshots: []Snapshot{}}}
}

// Restorable is what can be brought back. The names of its JSON fields are a contract.
type Restorable struct {
	Warning  string         `json:"warning,omitempty"` // Why records could not be used.
	Removals []Removal      `json:"removals"`          // The latest run first.
	Failed   []UnreadRegion `json:"failed"`            // By region.
}

// UnreadRegion is a region that could not be read.
type UnreadRegion struct {
	Region string `json:"region"`
	Error  string `json:"error"`
}

// IsEmpty reports whether nothing was found, and all regions could be read.
func (r Report) IsEmpty() bool {
	return !slices.ContainsFunc(r.Regions, func(region RegionReport) bool {
		return region.Error != "" || len(region.Images) > 0 || len(region.Snapshots) > 0 || len(region.Bundles) > 0
	})
}

// gather leaves each image to the region that has it. The others are gone.
func (r *Report) gather(ids []string) {
	gone := map[string]Image{}
	for i := range r.Regions {
		r.Regions[i].Images = slices.DeleteFunc(r.Regions[i].Images, func(image Image) bool {
			if image.Status == Gone {
				gone[image.ImageID] = image
			}
			return image.Status == Gone
		})
	}
	for _, id := range ids {
		found := slices.ContainsFunc(r.Regions, func(region RegionReport) bool {
			return slices.ContainsFunc(region.Images, func(image Image) bool { return image.ImageID == id })
		})
		if !found {
			why := cmp.Or(gone[id].Why, "no region could be read")
			r.Gone = append(r.Gone, Image{ImageID: id, Status: Gone, Why: why, Snapshots: []Snapshot{}})
		}
	}
}

// Err returns an error if a region failed.
func (r Report) Err() error {
	var errs []error
	for _, region := range r.Regions {
		if region.Error != "" {
			errs = append(errs, fmt.Errorf("%s: %s", region.Region, region.Error))
		}
	}
	return errors.Join(errs...)
}

// Complete reports whether all is back.
func (r Report) Complete() bool {
	complete := len(r.Gone) == 0
	for _, region := range r.Regions {
		for _, image := range region.Images {
			complete = complete && image.Status.Back()
		}
		for _, snapshot := range region.Snapshots {
			complete = complete && snapshot.Status.Back()
		}
		for _, b := range region.Bundles {
			complete = complete && b.Status.Back()
		}
	}
	return complete
}

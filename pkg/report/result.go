package report

import (
	"ami-janitor/pkg/retention"
)

// Answer is the run record as the Lambda answers it: the kept images are left out, and counted by reason instead.
type Answer struct {
	Run
	Regions   []AnsweredRegion `json:"regions"`             // In place of the run's own.
	Truncated int              `json:"truncated,omitempty"` // How many images had to be left out for want of room.
}

// AnsweredRegion is a Region without its kept images.
type AnsweredRegion struct {
	Account string                 `json:"account"`
	Region  string                 `json:"region"`
	Error   string                 `json:"error"`
	Kept    map[retention.Code]int `json:"kept"`   // By the first reason of each image.
	Images  []Image                `json:"images"` // Stalest first.
}

// answerSize is the size in bytes that an answer stays below. Lambda takes 6,291,556 and ends the process of a function
// that answers more.
const answerSize = 6_000_000

// Result is the Lambda's answer. If it is too large, deferred images are left out first, from the end of the
// record, and others only if that is not enough.
func Result(r Run) Answer {
	answer := Answer{Run: r, Regions: make([]AnsweredRegion, len(r.Regions))}
	answer.Run.Regions = nil
	for i, region := range r.Regions {
		answer.Regions[i] = AnsweredRegion{
			Account: region.Account,
			Region:  region.Region,
			Error:   region.Error,
			Kept:    region.keptBy(),
			Images:  []Image{},
		}
	}
	fits := fitting(r, answerSize-len(mustMarshal(answer))-len(`,"truncated":`)-20)
	for i, region := range r.Regions {
		for j, image := range region.Images {
			switch fit, wanted := fits[position{i, j}]; {
			case fit:
				answer.Regions[i].Images = append(answer.Regions[i].Images, image)
			case wanted:
				answer.Truncated++
			}
		}
	}
	return answer
}

// position is the place of an image in the record: its region's index and its own.
type position struct{ region, image int }

// fitting says of every image that is not kept whether it finds room in so many bytes. What the run meant to act on goes
// first, what it deferred comes after.
func fitting(r Run, room int) map[position]bool {
	fits := map[position]bool{}
	for _, wanted := range []func(Image) bool{due, waiting} {
		for i, region := range r.Regions {
			for j, image := range region.Images {
				if wanted(image) {
					room -= len(mustMarshal(image)) + len(",")
					fits[position{i, j}] = room >= 0
				}
			}
		}
	}
	return fits
}

func due(i Image) bool { return i.Outcome != nil || planned(i) || toBeMarked(i) }

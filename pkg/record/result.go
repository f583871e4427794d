package record

import (
	"cmp"
	"encoding/json"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// Answer is the run record as the Lambda answers it: without the kept images, which are counted by
// reason.
type Answer struct {
	Run
	Regions []AnsweredRegion `json:"regions"` // In place of the run's own.
	// Truncated is how many images had to be left out because there was no room.
	Truncated int `json:"truncated,omitempty"`
}

// AnsweredRegion is a Region without its kept images, and with numbers instead of lists of
// snapshots.
type AnsweredRegion struct {
	Account string                 `json:"account"`
	Region  string                 `json:"region"`
	Error   string                 `json:"error"`
	Hold    string                 `json:"hold,omitempty"`
	Busy    bool                   `json:"busy,omitempty"`
	Kept    map[retention.Code]int `json:"kept"`   // By the first reason of each image.
	Images  []Image                `json:"images"` // Stalest first.

	// What the run made of the leftovers of earlier ones, and how many there are of what else the
	// record lists.
	Leftovers map[ami.SnapshotStatus]int `json:"finished,omitempty"`
	Stale     map[StaleStatus]int        `json:"strays,omitempty"`
	Orphans   int                        `json:"orphans,omitempty"`

	BusyRun    string `json:"busyRun,omitempty"`
	RemainsGap string `json:"remainsGap,omitempty"`
}

// answerSize is the size in bytes that an answer stays below. Lambda takes 6,291,556, and ends the
// process of a function that answers more.
const answerSize = 6_000_000

// Result is the Lambda's answer. If it is too large, it leaves out deferred images first, from the
// end of the record, and others only if it has to.
func Result(r Run) Answer {
	answer := Answer{Run: r, Regions: make([]AnsweredRegion, len(r.Regions))}
	answer.Run.Regions = nil
	for i, region := range r.Regions {
		answer.Regions[i] = AnsweredRegion{
			Account: region.Account,
			Region:  region.Region,
			Error:   region.Error,
			Hold:    region.Hold,
			Busy:    region.Busy,
			Kept:    region.KeptBy(),
			Images:  []Image{},

			Leftovers: numbers(region.Leftovers, func(f Leftover) ami.SnapshotStatus { return f.Status }),
			Stale:     numbers(region.Stale, func(s StaleDeclaration) StaleStatus { return s.Status }),
			Orphans:   len(region.Orphans),

			BusyRun:    region.BusyRun,
			RemainsGap: region.RemainsGap,
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

// numbers counts items by status; in a dry run, where they have none, they are "planned".
func numbers[T any, S ~string](items []T, status func(T) S) map[S]int {
	counts := map[S]int{}
	for _, item := range items {
		counts[cmp.Or(status(item), "planned")]++
	}
	return counts
}

// position is the place of an image in the record: its region's index and its own.
type position struct{ region, image int }

// fitting says of every image that is not kept whether there is room for it. What the run acted on
// goes first, what it deferred comes after.
func fitting(r Run, room int) map[position]bool {
	fits := map[position]bool{}
	var size sizer
	encoder := json.NewEncoder(&size) // Its line break counts for the comma.
	for _, wanted := range []func(Image) bool{due, Image.Deferred} {
		for i, region := range r.Regions {
			for j, image := range region.Images {
				if wanted(image) {
					size = 0
					if err := encoder.Encode(image); err != nil {
						panic(err) // As in mustMarshal.
					}
					room -= int(size)
					fits[position{i, j}] = room >= 0
				}
			}
		}
	}
	return fits
}

// sizer counts the bytes that are written to it.
type sizer int

func (s *sizer) Write(data []byte) (int, error) {
	*s += sizer(len(data))
	return len(data), nil
}

func due(i Image) bool { return i.Outcome != nil || i.Planned() || i.ToBeMarked() }

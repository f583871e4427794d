package record

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/plain"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// Line is the log line of one image that a run acted on. Texts that others wrote are neutralised
// and cut to lineText bytes, so that a line stays far below the 1 MB that a log event may have.
type Line struct {
	Timestamp string `json:"timestamp"`
	Level     string `json:"level"`
	Message   string `json:"message"`
	Run       string `json:"run"`
	Account   string `json:"account"`
	Region    string `json:"region"`
	ImageID   string `json:"imageId"`
	Name      string `json:"name"`
	// DueOn is set for an image that is marked, or should have been.
	DueOn     string               `json:"dueOn,omitempty"`
	Status    ami.Status           `json:"status"`
	Error     string               `json:"error"`
	Reasons   []retention.Reason   `json:"reasons"`
	Snapshots []ami.SnapshotResult `json:"snapshots"`

	// RestorableUntil is until when an undo brings the image back with all that it needs; zero if
	// it cannot, or if that is not known.
	RestorableUntil time.Time `json:"restorableUntil,omitzero"`
	NotRestorable   string    `json:"notRestorable,omitempty"` // Why it does not, if that is known.
}

const lineText = 2000

// Lines returns one line for each image that the run acted on, in the order of the record. A dry
// run has none.
func Lines(r Run) []Line {
	lines := []Line{}
	r.Each(acted, func(region Region, image Image) {
		lines = append(lines, newLine(r, region, image))
	})
	return lines
}

func acted(i Image) bool { return i.Outcome != nil }

func newLine(r Run, region Region, image Image) Line {
	line := Line{
		Timestamp: timestamp(r.FinishedAt),
		Level:     level(image),
		Message:   "image " + string(image.Outcome.Status),
		Run:       r.Run,
		Account:   region.Account,
		Region:    region.Region,
		ImageID:   image.ImageID,
		Name:      plain.Clip(plain.Text(image.Name), lineText),
		DueOn:     image.DueOn,
		Status:    image.Outcome.Status,
		Error:     plain.Clip(plain.Text(image.Outcome.Error), lineText),
		Reasons:   []retention.Reason{},
		Snapshots: []ami.SnapshotResult{},

		RestorableUntil: image.Outcome.RestorableUntil,
		NotRestorable:   plain.Text(image.Outcome.NotRestorable),
	}
	for _, reason := range image.Reasons {
		reason.Detail = plain.Clip(plain.Text(reason.Detail), lineText)
		line.Reasons = append(line.Reasons, reason)
	}
	for _, s := range image.Outcome.Snapshots {
		s.Detail = plain.Clip(plain.Text(s.Detail), lineText)
		line.Snapshots = append(line.Snapshots, s)
	}
	return line
}

// LeftoverLine is the log line of one snapshot that an earlier run has left behind.
type LeftoverLine struct {
	Timestamp       string             `json:"timestamp"`
	Level           string             `json:"level"`
	Message         string             `json:"message"`
	Run             string             `json:"run"`
	Account         string             `json:"account"`
	Region          string             `json:"region"`
	LeftBy          string             `json:"leftBy"` // The earlier run.
	ImageID         string             `json:"imageId"`
	SnapshotID      string             `json:"snapshotId"`
	SizeGiB         int64              `json:"sizeGiB"`
	Status          ami.SnapshotStatus `json:"status"`
	Detail          string             `json:"detail"`
	RestorableUntil time.Time          `json:"restorableUntil,omitzero"`
}

// LeftoverLines returns one line for each snapshot that earlier runs have left behind, in the order
// of the record. A dry run has none.
func LeftoverLines(r Run) []LeftoverLine {
	lines := []LeftoverLine{}
	r.EachLeftover(func(region Region, f Leftover) {
		if f.Status == "" {
			return
		}
		line := LeftoverLine{
			Timestamp:       timestamp(r.FinishedAt),
			Level:           "INFO",
			Message:         "leftover " + string(f.Status),
			Run:             r.Run,
			Account:         region.Account,
			Region:          region.Region,
			LeftBy:          f.Run,
			ImageID:         f.ImageID,
			SnapshotID:      f.SnapshotID,
			SizeGiB:         f.SizeGiB,
			Status:          f.Status,
			Detail:          plain.Clip(plain.Text(f.Detail), lineText),
			RestorableUntil: f.RestorableUntil,
		}
		if f.Status == ami.SnapshotFailed {
			line.Level = "ERROR"
		}
		lines = append(lines, line)
	})
	return lines
}

// level makes the images that a person should look at easy to find.
func level(image Image) string {
	switch {
	case image.Failed() || hasFailedSnapshot(image):
		return "ERROR"
	case image.Skipped():
		return "WARN"
	default:
		return "INFO"
	}
}

func hasFailedSnapshot(image Image) bool {
	return slices.ContainsFunc(image.Outcome.Snapshots, func(s ami.SnapshotResult) bool {
		return s.Status == ami.SnapshotFailed
	})
}

// mustMarshal marshals what consists of texts, numbers and lists only, which cannot fail.
func mustMarshal(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return data
}

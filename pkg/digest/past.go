package digest

import (
	"strings"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/plain"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// Action is what a run did about an image.
type Action struct {
	Run string `json:"run"`
	On  string `json:"on"`  // The day, as 2006-01-02.
	Did string `json:"did"` // A sentence without the run, such as "removed it".
}

// NewAction is what a run did, in words that continue "the run …".
func NewAction(run, did string) Action {
	return Action{Run: run, On: record.Date(ami.RunID(run).Began()), Did: did}
}

// NewGone explains an image that is gone, and that a run of the journal has removed. What is not
// known of it is empty, and so is until when the Recycle Bin has to hold it.
func NewGone(region string, image record.Image, history []Action, until, now time.Time, reader record.Reader) Explanation {
	e := Explanation{
		Region: region, Gone: true, RestorableUntil: record.Date(until), Image: image, History: history,
		Rules: []RuleFinding{}, Sources: []SourceFinding{}, Snapshots: []record.PlannedSnapshot{}, Changes: []string{},
	}
	if until.IsZero() || until.After(now) {
		e.Undo = reader.Command("undo --image " + plain.Text(image.ImageID))
	}
	return e
}

// history is what runs did about the image, the latest first.
func (e Explanation) history() []Item {
	var items []Item
	for _, action := range e.History {
		says := plain.Text(strings.Join(strings.Fields(action.Did), " "))
		items = append(items, Item{Label: action.On + ", run " + plain.Text(action.Run), Says: says})
	}
	return items
}

// past is the section about that; empty if no run did anything.
func (e Explanation) past() Section {
	if len(e.History) == 0 {
		return Section{}
	}
	return Section{Title: "What runs did about it", Groups: []Group{{Items: e.history()}}}
}

// gone are the sections of an image that is gone.
func (e Explanation) gone() []Section {
	why := ""
	if reason := e.Image.MainReason(); reason.Detail != "" {
		why = "It was removed because: " + sentence(plain.Text(reason.Detail))
	}
	back := Section{Title: "How to get it back"}
	switch {
	case e.Undo == "":
		back.Intro = says("The Recycle Bin had to hold it until " + dayOn(e.RestorableUntil) + ".")
	case e.RestorableUntil == "":
		back.Intro = append(says("If the Recycle Bin holds it:"), command(e.Undo))
	default:
		back.Intro = append(says("The Recycle Bin has to hold it until "+dayOn(e.RestorableUntil)+":"), command(e.Undo))
	}
	return []Section{
		{Intro: says(idAndName(e.Image), "It is gone from "+plain.Text(e.Region)+": a run removed it, or may have.", why)},
		e.past(),
		back,
	}
}

package digest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"ami-janitor/pkg/plain"
	"ami-janitor/pkg/record"
)

// The limits of a custom notification of Amazon Q Developer in chat applications, in characters. They are kept in bytes,
// of which there are never fewer.
const (
	slackTitle    = 250
	slackText     = 8000
	slackNextStep = 350
	slackKeyword  = 75
)

// What one message lists at most, and how long its parts may be. What does not fit slackText all the same is cut off at the
// end of a line.
const (
	slackImages   = 10
	slackProblems = 5
	slackPhrase   = 300
	slackCase     = 200
)

// notification is the schema of a custom notification.
type notification struct {
	Version  string   `json:"version"`
	Source   string   `json:"source"`
	ID       string   `json:"id"`
	Content  content  `json:"content"`
	Metadata metadata `json:"metadata"`
}

type content struct {
	TextType    string   `json:"textType"`
	Title       string   `json:"title"`
	Description string   `json:"description"`
	NextSteps   []string `json:"nextSteps,omitempty"`
	Keywords    []string `json:"keywords"`
}

type metadata struct {
	Summary string `json:"summary"`
}

// Slack is the digest as a custom notification of Amazon Q Developer in chat applications, in JSON. It is short: the
// run record has the rest.
func Slack(of record.Run) []byte {
	r := run{of}
	title := plain.Clip(Subject(r.Run), slackTitle)
	data, err := json.Marshal(notification{
		Version: "1.0",
		Source:  "custom",
		ID:      plain.Clip(plain.Printable(r.Run.Run), slackKeyword),
		Content: content{
			TextType:    "client-markdown",
			Title:       title,
			Description: r.asConfigured(whole(r.slackLines(), slackText)),
			NextSteps:   r.slackNextSteps(),
			Keywords:    r.slackKeywords(),
		},
		Metadata: metadata{Summary: title},
	})
	if err != nil {
		panic(err) // Texts alone can always be marshalled.
	}
	return data
}

// whole joins as many lines as a number of bytes has room for, and shows where it leaves some out.
func whole(lines []string, room int) string {
	const sign = "…"
	room -= len(sign)
	for i, line := range lines {
		if room -= len(line) + len("\n"); room < 0 {
			lines = append(lines[:i], sign)
			break
		}
	}
	return strings.Join(lines, "\n")
}

func (r run) slackLines() []string {
	lines := slackOfProblems(r.lead(), true)
	for _, line := range []string{r.headline(), r.others(), r.left(), r.first(), r.savings()} {
		if line != "" && !r.AllFailed() {
			lines = append(lines, plain.Clip(line, slackPhrase))
		}
	}
	lines = append(lines, slackOfProblems(r.problems(), false)...)
	lines = append(lines, r.slackImages("*Removed*", record.Image.Removed, restorableInShort)...)
	lines = append(lines, r.slackImages("*Would be removed*", record.Image.Planned, mainDetail)...)
	lines = append(lines, r.slackImages("*Announced*", record.Image.Marked, dueInShort)...)
	lines = append(lines, r.slackImages("*Would be announced*", record.Image.ToBeMarked, dueInShort)...)
	lines = append(lines, r.slackImages("*Objections heard*", record.Image.Vetoed, objection)...)
	lines = append(lines, r.slackImages("*Back again*", record.Image.IsBack, objection)...)
	if n := r.Totals.LeftoversFinished; n > 0 {
		finished := "*Finished from earlier runs*: " + count(n, "snapshot") + " deleted"
		if undo := r.undoOfLeftovers(); len(undo) > 0 {
			for i := range undo {
				undo[i] = code(undo[i], slackCase)
			}
			finished += "; to bring them back: " + some(undo)
		}
		lines = append(lines, finished)
	}
	if r.Totals.OrphanedSnapshots > 0 {
		lines = append(lines, "*Orphaned snapshots*: "+r.orphansInShort())
	}
	for _, gap := range r.orphansGaps() {
		lines = append(lines, "*Orphaned snapshots* were not looked for: "+code(gap, slackCase))
	}
	if kept := r.slackKept(); kept != "" {
		lines = append(lines, "*Kept*: "+plain.Clip(kept, slackPhrase))
	}
	lines = append(lines, "Run "+code(plain.Text(r.Run.Run), slackKeyword))
	if r.Record != "" {
		lines = append(lines, "The full record: "+code(plain.Location(r.Record), slackPhrase))
	}
	return lines
}

// slackOfProblems says what is wrong, with one case of each. What to do is among the next steps, and here too if these lead.
func slackOfProblems(problems []problem, lead bool) []string {
	var lines []string
	for i, problem := range problems {
		if i == slackProblems {
			return append(lines, moreInRecord(len(problems)-i))
		}
		lines = append(lines, "*"+plain.Clip(problem.what, slackPhrase)+"*", code(problem.cases[0].subjects[0]+": "+problem.cases[0].fault, slackPhrase))
		if lead {
			lines = append(lines, "What to do: "+slackStep(problem.todo))
		}
	}
	return lines
}

func moreInRecord(n int) string {
	return fmt.Sprintf("…and %s more in the run record", thousands(int64(n)))
}

func mainDetail(_ record.Region, i record.Image) string { return plain.Text(i.MainReason().Detail) }

// slackImages lists the images that are as wanted, each with what there is to say of it.
func (r run) slackImages(title string, wanted func(record.Image) bool, say func(record.Region, record.Image) string) []string {
	var lines []string
	r.Each(wanted, func(region record.Region, image record.Image) {
		lines = append(lines, "• "+code(r.label(region, image), slackCase)+" "+code(say(region, image), slackCase))
	})
	if len(lines) == 0 {
		return nil
	}
	if more := len(lines) - slackImages; more > 0 {
		lines = append(lines[:slackImages], moreInRecord(more))
	}
	return append([]string{title}, lines...)
}

func (r run) slackKept() string {
	var counts []string
	for _, k := range r.kept() {
		counts = append(counts, fmt.Sprintf("%s %s", thousands(int64(k.images)), k.code))
	}
	return strings.Join(counts, ", ")
}

// slackNextSteps says what to do, once for each kind of problem.
func (r run) slackNextSteps() []string {
	var steps []string
	for _, problem := range slices.Concat(r.lead(), r.problems()) {
		if step := slackStep(problem.todo); len(steps) < slackProblems && !slices.Contains(steps, step) {
			steps = append(steps, step)
		}
	}
	if r.canTurnOn() {
		steps = append(steps, r.words("To let the function carry out its plan, deploy it with {DRY_RUN}=false."))
	}
	if r.Count(record.Image.Marked)+r.Count(record.Image.Announced) > 0 {
		steps = append(steps, slackStep("To object to a removal that is announced: "+waysToObject+" or run: "+r.Reader.Command("unmark IMAGE_ID")))
	}
	if step := r.restoreInShort(); step != "" {
		steps = append(steps, slackStep(step))
	}
	return steps
}

// slackStep is an advice on one line, with its commands in parentheses.
func slackStep(todo string) string {
	lines := strings.Split(todo, "\n")
	for i := range lines {
		if i%2 == 1 {
			lines[i] = "(" + lines[i] + ")"
		}
	}
	return plain.Clip(strings.Join(lines, " "), slackNextStep)
}

func (r run) slackKeywords() []string {
	keywords := []string{"AMI Janitor"}
	if account := r.account(); account != "" {
		keywords = append(keywords, account)
	}
	if r.DryRun {
		keywords = append(keywords, "dry run")
	}
	return keywords
}

// code shows neutralised text as Slack shows code: an underscore in it is no markup, and it has no backtick left.
func code(text string, limit int) string { return "`" + plain.Clip(text, limit) + "`" }

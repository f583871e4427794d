package digest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/ami-janitor/ami-janitor/pkg/plain"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// The limits of a custom notification of Amazon Q Developer in chat applications, in characters.
// They are kept in bytes, which are never fewer.
const (
	slackTitle    = 250
	slackText     = 8000
	slackNextStep = 350
	slackKeyword  = 75
)

// What one message lists at most, and how long its parts may be. Whatever exceeds slackText is cut
// off at the end of a line.
const (
	slackImages = 10
	slackMost   = 5 // Problems, and next steps.
	slackPhrase = 300
	slackCase   = 200
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

// Slack is the digest as a custom notification of Amazon Q Developer in chat applications, in JSON.
// It is short: the run record has the rest.
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
			Description: r.asConfigured(fitLines(r.slackLines(), slackText)),
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

// fitLines joins as many lines as fit into a number of bytes, and shows that it left some out.
func fitLines(lines []string, room int) string {
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

// slackLines are the lines of the message: the same sections as elsewhere, in short.
func (r run) slackLines() []string {
	lines := slackProblems(r.lead(), true)
	for _, line := range append(r.happened(), r.savings()) {
		if line != "" {
			lines = append(lines, plain.Clip(line, slackPhrase))
		}
	}
	lines = append(lines, slackProblems(r.problems(), false)...)
	for _, s := range []Section{r.removed(), r.wouldBeRemoved(), r.newlyAnnounced(), r.objections(), r.backAgain()} {
		lines = append(lines, slackItems(s)...)
	}
	lines = append(lines, slackLeftovers(r.leftovers())...)
	lines = append(lines, r.slackOrphans()...)
	if kept := slackLabels(r.kept()); kept != "" {
		lines = append(lines, "*Kept*: "+plain.Clip(kept, slackPhrase))
	}
	lines = append(lines, "Run "+code(plain.Text(r.Run.Run), slackKeyword))
	if r.Record != "" {
		lines = append(lines, "The full record: "+code(plain.Location(r.Record), slackPhrase))
	}
	return lines
}

// slackProblems says what is wrong, with one case of each. What to do is among the next steps, and
// here, too, if these problems lead.
func slackProblems(problems []Problem, lead bool) []string {
	var lines []string
	for i, problem := range problems {
		if i == slackMost {
			return append(lines, moreInRecord(len(problems)-i))
		}
		lines = append(lines, "*"+plain.Clip(problem.What, slackPhrase)+"*", code(problem.Cases[0].Subjects[0]+": "+problem.Cases[0].Fault, slackPhrase))
		if lead {
			lines = append(lines, "What to do: "+slackStep(problem.Todo))
		}
	}
	return lines
}

func moreInRecord(n int) string {
	return fmt.Sprintf("…and %s more in the run record", thousands(int64(n)))
}

// slackItems lists the items of a section, each with what there is to say of it in a few words.
func slackItems(s Section) []string {
	var lines []string
	for _, g := range s.Groups {
		for _, i := range g.Items {
			lines = append(lines, "• "+code(i.name(""), slackCase)+" "+code(cmp.Or(i.Brief, i.Says), slackCase))
		}
	}
	if len(lines) == 0 {
		return nil
	}
	if more := len(lines) - slackImages; more > 0 {
		lines = append(lines[:slackImages], moreInRecord(more))
	}
	return append([]string{"*" + s.Title + "*"}, lines...)
}

// slackLeftovers says how many snapshots of earlier runs were deleted, and by which commands they
// come back.
func slackLeftovers(s Section) []string {
	if s.Brief == "" {
		return nil
	}
	var undo []string
	for _, g := range s.Groups {
		for _, line := range g.Intro {
			if line.IsCommand {
				undo = append(undo, code(line.Text, slackCase))
			}
		}
		if g.More > 0 {
			undo = append(undo, thousands(int64(g.More))+" more")
		}
	}
	line := "*" + s.Title + "*: " + s.Brief
	if len(undo) > 0 {
		line += "; to bring them back: " + list(undo)
	}
	return []string{line}
}

// slackOrphans says how many orphans there are, and where they were not looked for.
func (r run) slackOrphans() []string {
	var lines []string
	if s := r.orphans(); s.Brief != "" {
		lines = append(lines, "*"+s.Title+"*: "+s.Brief)
	}
	for _, gap := range r.orphansGaps() {
		lines = append(lines, "*Orphaned snapshots* were not looked for: "+code(gap.Label+": "+gap.Says, slackCase))
	}
	return lines
}

// slackLabels names the items of a section.
func slackLabels(s Section) string {
	var labels []string
	for _, g := range s.Groups {
		for _, i := range g.Items {
			labels = append(labels, i.Label)
		}
	}
	return strings.Join(labels, ", ")
}

// slackNextSteps says what to do, once for each kind of problem.
func (r run) slackNextSteps() []string {
	var steps []string
	for _, problem := range slices.Concat(r.lead(), r.problems()) {
		if step := slackStep(problem.Todo); len(steps) < slackMost && !slices.Contains(steps, step) {
			steps = append(steps, step)
		}
	}
	for _, s := range []Section{r.howToTurnOn(), r.howToObject(), r.howToRestore()} {
		if s.Brief != "" {
			steps = append(steps, slackStep(s.Brief))
		}
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

// code shows neutralised text as Slack shows code: an underscore means nothing there, and the text
// has no backtick.
func code(text string, limit int) string { return "`" + plain.Clip(text, limit) + "`" }

package digest

import (
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

// A message has ten lines at most: the sums, what needs somebody, the largest removals, how to take
// them back, and where the rest is.
const (
	slackProblems = 2
	slackImages   = 3
	slackSteps    = 3
	slackCommands = 3
)

// How long the parts of a message may be, in bytes.
const (
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
	return message{
		run: r.Run.Run, title: Subject(r.Run), text: r.asConfigured(fitLines(r.slackLines(), slackText)),
		steps: r.slackNextSteps(), keywords: r.slackKeywords(),
	}.notification()
}

// message is what a custom notification says.
type message struct {
	run, title, text string
	steps, keywords  []string
}

func (m message) notification() []byte {
	title := plain.Clip(m.title, slackTitle)
	data, err := json.Marshal(notification{
		Version: "1.0",
		Source:  "custom",
		ID:      plain.Clip(plain.Printable(m.run), slackKeyword),
		Content: content{
			TextType:    "client-markdown",
			Title:       title,
			Description: m.text,
			NextSteps:   m.steps,
			Keywords:    m.keywords,
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

// slackLines are the lines of the message: the same things as in the mail, in short.
func (r run) slackLines() []string {
	var lines []string
	add := func(texts ...string) {
		for _, text := range texts {
			if text != "" {
				lines = append(lines, text)
			}
		}
	}
	add(r.slackSums())
	add(slackNeeds(slices.Concat(r.lead(), r.problems()))...)
	add(r.slackNews())
	add(r.slackLargest()...)
	add(r.slackBundles())
	add(r.slackUndo())
	page := r.page()
	switch {
	case page != "": // It names the run, and links to the rest.
		add("The report, about a minute after this message: " + page)
	case r.Record != "":
		add("The full record: " + code(plain.Location(r.Record), slackPhrase))
	default:
		add("Run " + code(plain.Text(r.Run.Run), slackKeyword))
	}
	return lines
}

// slackSums says what was removed, what is due and announced, and what stays.
func (r run) slackSums() string {
	if r.AllFailed() {
		return ""
	}
	return sumsInShort(r.sums())
}

func sumsInShort(sums []sum) string {
	var words []string
	for _, s := range sums {
		words = append(words, "*"+s.label+"* "+count(s.Images, "AMI")+", "+thousands(s.GiB)+" GiB, "+money(s.MonthlyUpTo)+"/mo")
	}
	return strings.Join(words, " · ")
}

// slackNeeds says what is wrong, with one case of each. What to do is among the next steps.
func slackNeeds(problems []Problem) []string {
	var lines []string
	for i, problem := range problems {
		if i == slackProblems {
			return append(lines, moreInRecord(len(problems)-i))
		}
		lines = append(lines, "*"+plain.Clip(problem.What, slackPhrase)+"* "+code(problem.Cases[0].Subjects[0]+": "+problem.Cases[0].Fault, slackPhrase))
	}
	return lines
}

// slackNews says what has changed since the last run.
func (r run) slackNews() string {
	news := slackLabels(r.news())
	if news == "" {
		return ""
	}
	return "*New* " + code(news, slackPhrase)
}

// slackLabels names the items of a section.
func slackLabels(s Section) string {
	var labels []string
	for _, g := range s.Groups {
		for _, i := range g.Items {
			labels = append(labels, i.Label)
		}
	}
	return strings.Join(labels, " ")
}

func moreInRecord(n int) string {
	return fmt.Sprintf("…and %s more in the run record", thousands(int64(n)))
}

// slackLargest names the largest of the images that were removed; where there are none, the next of
// those that are announced.
func (r run) slackLargest() []string {
	var lines []string
	add := func(label string, a record.Amount, what string) {
		if len(lines) < slackImages {
			lines = append(lines, "• "+code(label, slackCase)+" "+thousands(a.GiB)+" GiB, "+money(a.MonthlyUpTo)+"/mo, "+what)
		}
	}
	for _, x := range r.removals() {
		add(r.label(x.region, x.image), x.Amount, strings.TrimSuffix(LastUseInWords(x.image)+", "+r.wayBack(x.image), ", "))
	}
	if len(lines) > 0 {
		return lines
	}
	for _, a := range r.acting().announcements(record.Image.IsNew) {
		add(r.label(a.region, a.image), r.savingsOf([]announcement{a}), code(dueInShort(a.image), slackCase))
	}
	return lines
}

// slackBundles names a bundle that was deleted, and says how many more there are.
func (r run) slackBundles() string {
	lines := r.bundlesInBrief()
	if len(lines) == 0 {
		return ""
	}
	said := code(lines[0], slackPhrase)
	if len(lines) > 1 {
		said += ", and more in the run record"
	}
	return said
}

// slackUndo says by which commands the removals are taken back.
func (r run) slackUndo() string {
	var commands []string
	for _, line := range r.undo() {
		if line.IsCommand && len(commands) < slackCommands {
			commands = append(commands, code(line.Text, slackCase))
		}
	}
	if len(commands) == 0 {
		return ""
	}
	return "To bring them back: " + list(commands)
}

// slackNextSteps says what to do, once for each kind of problem.
func (r run) slackNextSteps() []string {
	var todos []string
	for _, problem := range slices.Concat(r.lead(), r.problems()) {
		todos = append(todos, problem.Todo)
	}
	return slackStepsOf(append(todos, r.howToTurnOn().Brief, r.howToObject().Brief))
}

// slackStepsOf are the first of several advices, each once.
func slackStepsOf(todos []string) []string {
	var steps []string
	for _, todo := range todos {
		if step := slackStep(todo); step != "" && len(steps) < slackSteps && !slices.Contains(steps, step) {
			steps = append(steps, step)
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

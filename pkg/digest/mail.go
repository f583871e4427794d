package digest

import (
	"slices"
	"strings"

	"github.com/ami-janitor/ami-janitor/pkg/plain"
)

// How much a mail lists. The run record has the rest.
const (
	onScreen     = 60  // Lines of a mail, if that leaves enough in its lists,
	mostLines    = 120 // and of the longest of mails.
	fewestRows   = 5   // Images in columns, if a mail has no more than mostLines.
	mostInShort  = 5   // Reasons, and other lists in the mail.
	mostSubjects = 3   // What one error happened to.
	mostCauses   = 3   // Errors with one remedy.
)

// mail is what a person wants to know in half a minute: what was removed, what that saves, what
// needs them, and how to get one back. Full has the rest.
func (r run) mail() []Section { return fitting(r.mailOf) }

// fitting is a mail that lists as much as fits on a screen.
func fitting(mailOf func(room) []Section) []Section {
	room := room{rows: 20, problems: 45, inShort: 56, besides: 20}
	sections := mailOf(room)
	over := linesOf(sections) - onScreen
	if over <= 0 {
		return sections
	}
	// One line says how many more there are.
	room.rows = max(fewestRows, longestColumns(sections)-over-1)
	sections = mailOf(room)
	for room = roomInLongest; linesOf(sections) > mostLines && room.inShort > 0; room.inShort -= linesOf(sections) - mostLines {
		sections = mailOf(room)
	}
	return sections
}

// room is how much a mail lists.
type room struct {
	rows     int // Images in columns.
	problems int // Lines about problems,
	inShort  int // and about those in short that have no room there.
	besides  int // What else there is to say.
}

// roomInLongest is for a night on which everything goes wrong.
var roomInLongest = room{rows: 1, inShort: 56, besides: 2}

func linesOf(sections []Section) int { return strings.Count(text(sections, mailWidth), "\n") }

// longestColumns is how many rows the longest list of images has.
func longestColumns(sections []Section) int {
	longest := 0
	for _, s := range sections {
		rows := 0
		for _, g := range s.Groups {
			rows += len(g.Columns.Rows)
		}
		longest = max(longest, rows)
	}
	return longest
}

func (r run) mailOf(room room) []Section {
	left := room
	lead, causes := left.inBrief(Section{Problems: r.lead()}), left.inBrief(r.needsYou())
	return slices.DeleteFunc([]Section{
		lead,
		{Intro: says(r.opening()...)},
		r.atAGlance(),
		r.aboutTheCopy(),
		causes,
		r.news(),
		r.largestRemoved(room.rows),
		r.announcedByOwner(room.rows),
		{Intro: says(r.howToTurnOn().Brief)},
		r.snapshotsToLookAt(),
		r.besides(room.besides),
		r.uncoveredAtFirst(room),
		r.aboutInBrief(),
	}, Section.isEmpty)
}

// opening says what happened, in a sentence. Where every region failed, the lead says so.
func (r run) opening() []string {
	if r.AllFailed() {
		return nil
	}
	return []string{r.headline(), r.first()}
}

// inBrief leaves out what happened to many, never a problem: one that has no room is told in a few
// lines, with the first of its errors. It takes the room that the problems need.
func (r *room) inBrief(s Section) Section {
	var short, rest []Item
	problems := s.Problems
	s.Problems = nil
	for _, p := range problems {
		inShort := Item{Label: p.inShort()}
		switch lines := linesOf([]Section{{Problems: []Problem{p.inBrief()}}}) + 1; {
		case len(s.Problems) == 0 || lines <= r.problems:
			s.Problems = append(s.Problems, p.inBrief())
			r.problems -= lines
		case r.inShort > 0:
			short = append(short, inShort)
			r.inShort -= linesOf([]Section{{Groups: []Group{{Items: []Item{inShort}}}}})
		default:
			rest = append(rest, Item{Label: p.What})
		}
	}
	if len(short) > 0 {
		shown := min(mostInShort, len(rest))
		s.Groups = append(s.Groups, Group{Intro: says("And:"), Items: append(short, rest[:shown]...), More: len(rest) - shown})
	}
	return s
}

// inShort is a problem in a few lines: what, to whom it happened, the first of its errors, and the
// first thing to do.
func (p Problem) inShort() string {
	var subjects []string
	n := 0
	for _, c := range p.Cases {
		for _, subject := range c.Subjects {
			if n++; n <= mostSubjects {
				subjects = append(subjects, plain.Clip(subject, shortest))
			}
		}
		n += c.More
	}
	if more := n - len(subjects); more > 0 {
		subjects = append(subjects, thousands(int64(more))+" more")
	}
	fault := plain.Clip(strings.TrimSuffix(p.Cases[0].Fault, "."), longestWhy)
	if more := len(p.Cases) - 1 + p.More; more > 0 {
		fault += ", and " + count(more, "more error")
	}
	todo, _, _ := strings.Cut(p.Todo, "\n")
	todo, _, _ = strings.Cut(todo, ". ")
	return strings.TrimSuffix(p.What, ".") + ": " + list(subjects) + ": " + fault + ". What to do: " + strings.TrimRight(todo, ".,:") + "."
}

// inBrief is a problem with its first errors.
func (p Problem) inBrief() Problem {
	p.Cases = slices.Clone(p.Cases)
	p.clip(mostCauses)
	for i := range p.Cases {
		p.Cases[i].clip(mostSubjects)
	}
	return p
}

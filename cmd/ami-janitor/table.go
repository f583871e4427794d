package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/plain"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// sheet is a text for a terminal of some width.
type sheet struct {
	strings.Builder
	width  int
	colour bool
}

// The narrowest sheet in which name and reason have room beside an id, and the narrowest of all.
const (
	besideID = 76
	narrow   = 40
)

func newSheet(width int, colour bool) *sheet {
	return &sheet{width: max(width, narrow), colour: colour}
}

// paint colours a text.
func (s *sheet) paint(colour text.Color, words string) string {
	if !s.colour {
		return words
	}
	return colour.Sprint(words)
}

// paragraph writes a text, wrapped; every line begins with the indent.
func (s *sheet) paragraph(indent, words string) {
	for line := range strings.Lines(wrap(words, s.width-len(indent))) {
		s.WriteString(indent + line)
	}
	s.WriteByte('\n')
}

// withCommand writes a text, and below it the command behind its line break, if there is one.
func (s *sheet) withCommand(words string) {
	words, command, has := strings.Cut(words, "\n")
	s.paragraph("", words)
	if has {
		s.paragraph("    ", command)
	}
}

// heading begins a part of the sheet.
func (s *sheet) heading(words string) {
	if s.Len() > 0 {
		s.WriteByte('\n')
	}
	for line := range strings.Lines(wrap(words, s.width)) {
		s.WriteString(s.paint(text.Bold, strings.TrimSuffix(line, "\n")) + "\n")
	}
}

// layout is how wide the columns of a table are. All but the last two are as wide in all tables of
// a sheet; those two share the remaining width, as each table needs it.
type layout struct {
	id, gib, money, name, why int
	isNarrow                  bool // Name and reason stand below the id.
}

// gap is what is between two columns.
const gap = 2

// whyOfUse is why an image goes: nobody has used it for long.
const whyOfUse = "last use"

// leastWhy is room for the longest word that often comes up: the id of a run, with a comma.
const leastWhy = 24

// longestID is more than any id of AWS has.
const longestID = 32

func (s *sheet) layoutOf(rows []row) layout {
	c := layout{id: len("image"), gib: len("GiB"), money: len("$/month")}
	for _, r := range rows {
		c.id = max(c.id, min(text.StringWidthWithoutEscSequences(r.id), longestID))
		c.gib = max(c.gib, len(digest.Thousands(r.gib)))
		c.money = max(c.money, len(dollars(r)))
	}
	if s.width < besideID {
		c.isNarrow = true
		c.id = s.width - c.gib - c.money - 2*gap
	}
	return c
}

// share gives each of the last two columns what it needs for some rows, as far as there is room.
func (c layout) share(width int, rows []row) layout {
	c.name, c.why = len("name"), len(whyOfUse)
	for _, r := range rows {
		c.name, c.why = max(c.name, text.StringWidthWithoutEscSequences(r.name)), max(c.why, text.StringWidthWithoutEscSequences(r.why))
	}
	rest := width - c.id - c.gib - c.money - 4*gap
	c.name = min(c.name, rest-min(c.why, max(rest*3/5, leastWhy)))
	c.why = rest - c.name
	return c
}

// dollars is what a row's snapshots cost in a month at most.
func dollars(r row) string { return digest.Money(r.monthly) }

// plainTable is a table without lines.
func plainTable() table.Writer {
	t := table.NewWriter()
	style := table.StyleLight
	style.Box.PaddingLeft, style.Box.PaddingRight = "", strings.Repeat(" ", gap)
	style.Options = table.OptionsNoBordersAndSeparators
	style.Format.Header = text.FormatDefault
	t.SetStyle(style)
	t.SuppressTrailingSpaces()
	return t
}

// rows writes rows of one kind and region.
func (s *sheet) rows(c layout, rows []row) {
	t := plainTable()
	if c.isNarrow {
		t.AppendHeader(table.Row{"image", "GiB", "$/month"})
	} else {
		why := "why"
		if k := rows[0].kind; k == kindRemoved || k == kindAnnounced {
			why = whyOfUse
		}
		t.AppendHeader(table.Row{"image", "name", "GiB", "$/month", why})
		c = c.share(s.width, rows)
	}
	for _, r := range rows {
		id, size, money := fit(r.id, c.id), digest.Thousands(r.gib), dollars(r)
		if c.isNarrow {
			below := r.why
			if below == digest.LastUse(r.image) {
				below = digest.LastUseInWords(r.image)
			}
			if r.name != "" {
				below = inTheMiddle(r.name, c.id-gap-1) + ", " + below
			}
			below = wrap(below, c.id-gap) + s.warn(r, c.id-gap)
			t.AppendRow(table.Row{id + "\n  " + strings.ReplaceAll(below, "\n", "\n  "), size, money})
		} else {
			t.AppendRow(table.Row{id, inTheMiddle(r.name, c.name), size, money, wrap(r.why, c.why) + s.warn(r, c.why)})
		}
	}
	t.SetColumnConfigs(c.configs())
	s.WriteString(t.Render() + "\n")
}

func (c layout) configs() []table.ColumnConfig {
	left := func(n, width int) table.ColumnConfig { return table.ColumnConfig{Number: n, WidthMin: width} }
	right := func(n, width int) table.ColumnConfig {
		return table.ColumnConfig{Number: n, WidthMin: width, Align: text.AlignRight, AlignHeader: text.AlignRight}
	}
	if c.isNarrow {
		return []table.ColumnConfig{left(1, c.id), right(2, c.gib), right(3, c.money)}
	}
	return []table.ColumnConfig{left(1, c.id), left(2, c.name), right(3, c.gib), right(4, c.money), left(5, c.why)}
}

// warn is the warning of a row, on lines of its own.
func (s *sheet) warn(r row, width int) string {
	if r.warning == "" {
		return ""
	}
	var lines strings.Builder
	for line := range strings.Lines(wrap(r.warning, width)) {
		lines.WriteString("\n" + s.paint(text.FgRed, strings.TrimSuffix(line, "\n")))
	}
	return lines.String()
}

// tables writes the rows, those of each kind and region below a heading.
func (s *sheet) tables(run record.Run, shown []row) {
	c := s.layoutOf(shown)
	for k := range kinds {
		some := ofKind(shown, kind(k))
		for _, region := range regionsOf(some) {
			here := slices.DeleteFunc(slices.Clone(some), func(r row) bool { return r.region != region })
			s.heading(headingOf(run, kind(k), region, here))
			s.rows(c, here)
		}
	}
}

// regionsOf are the regions of rows, in the order in which they come up.
func regionsOf(rows []row) []string {
	var regions []string
	for _, r := range rows {
		if !slices.Contains(regions, r.region) {
			regions = append(regions, r.region)
		}
	}
	return regions
}

// headingOf names what becomes of some rows, and what that comes to: each snapshot counts once.
func headingOf(run record.Run, k kind, region string, rows []row) string {
	words := k.heading(run.DryRun)
	if len(run.Regions) > 1 {
		words += " in " + plain.Printable(region)
	}
	words += " (" + digest.Thousands(int64(len(rows))) + ")"
	if k == kindRemoved || k == kindAnnounced {
		among := map[string]bool{}
		for _, r := range rows {
			among[r.image.ImageID] = true
		}
		if due := rows[0].image.DueOn; k == kindAnnounced && due != "" {
			words += ", due on " + plain.Printable(due) // What one run announces is due on one day.
		}
		words += ": " + amount(run.Savings(func(g record.Region, i record.Image) bool { return g.Region == region && among[i.ImageID] }))
	}
	return words
}

func amount(a record.Amount) string {
	return fmt.Sprintf("%s, %s GiB, up to %s a month", digest.Count(a.Snapshots, "snapshot"), digest.Thousands(a.GiB), digest.Money(a.MonthlyUpTo))
}

// mostReasons is how many reasons a table counts that does not list what stays.
const mostReasons = 10

// staying writes a table of what stays, by reason.
func (s *sheet) staying(run record.Run, rows []row, all bool) {
	reasons := stayingBy(rows)
	if len(reasons) == 0 {
		return
	}
	if rest := len(reasons) - mostReasons + 1; rest > 1 && !all {
		others := stay{digest.Count(rest, "other reason"), map[string]bool{}}
		for _, reason := range reasons[mostReasons-1:] {
			maps.Copy(others.images, reason.images)
		}
		reasons = append(reasons[:mostReasons-1], others)
	}
	t := plainTable()
	t.AppendHeader(table.Row{"reason", "images", "GiB", "$/month"})
	images := 0
	for _, reason := range reasons {
		images += len(reason.images)
		a := run.Stored(func(g record.Region, i record.Image) bool { return reason.images[g.Region+i.ImageID] })
		t.AppendRow(table.Row{
			plain.Printable(reason.name), digest.Thousands(int64(len(reason.images))), digest.Thousands(a.GiB), digest.Money(a.MonthlyUpTo),
		})
	}
	right := func(n int) table.ColumnConfig {
		return table.ColumnConfig{Number: n, Align: text.AlignRight, AlignHeader: text.AlignRight}
	}
	t.SetColumnConfigs([]table.ColumnConfig{right(2), right(3), right(4)})
	s.heading("Not changed (" + digest.Thousands(int64(images)) + "), by the first reason")
	s.WriteString(t.Render() + "\n")
}

// stay is a reason for which images stay.
type stay struct {
	name   string
	images map[string]bool // By region and id.
}

// stayingBy are the reasons for which images stay, those that wait for a later run first, then that
// of most images.
func stayingBy(rows []row) []stay {
	var reasons []stay
	for _, r := range rows {
		name := ""
		switch r.kind {
		case kindWaiting:
			name = "due, but " + string(last(r.image.Reasons).Code)
			if r.image.Unasked() {
				name = "stale, but " + ami.ReasonNotLookedUp
			}
		case kindKept:
			name = string(r.image.MainReason().Code)
		default:
			continue
		}
		at := slices.IndexFunc(reasons, func(s stay) bool { return s.name == name })
		if at < 0 {
			at = len(reasons)
			reasons = append(reasons, stay{name, map[string]bool{}})
		}
		reasons[at].images[r.region+r.image.ImageID] = true
	}
	rank := func(s stay) int {
		if strings.Contains(s.name, ", but ") {
			return 0
		}
		return 1
	}
	slices.SortFunc(reasons, func(a, b stay) int {
		return cmp.Or(rank(a)-rank(b), len(b.images)-len(a.images), strings.Compare(a.name, b.name))
	})
	return reasons
}

func last(reasons []retention.Reason) retention.Reason {
	if len(reasons) == 0 {
		return retention.Reason{}
	}
	return reasons[len(reasons)-1]
}

// How much is said of one problem: the run record has all.
const (
	mostCases    = 2
	mostSubjects = 3
)

// problems writes what needs a person, and what to do about it in short.
func (s *sheet) problems(run record.Run) {
	problems := digest.Problems(run)
	if len(problems) == 0 {
		return
	}
	s.heading("Needs you (" + digest.Thousands(int64(len(problems))) + ")")
	for _, p := range problems {
		for i, line := range strings.Split(wrap(p.What, s.width-2), "\n") {
			mark := "  "
			if i == 0 {
				mark = s.paint(text.FgRed, "!") + " "
			}
			s.WriteString(mark + line + "\n")
		}
		for _, c := range p.Cases[:min(mostCases, len(p.Cases))] {
			s.paragraph("  ", some(c)+": "+plain.Clip(c.Fault, 160))
		}
		if more := max(0, len(p.Cases)-mostCases) + p.More; more > 0 {
			s.paragraph("  ", "and "+digest.Count(more, "more error")+" of this kind")
		}
		s.paragraph("  ", "What to do: "+inShort(p.Todo))
	}
}

// some names the first of those to whom something happened.
func some(c digest.Case) string {
	shown := min(mostSubjects, len(c.Subjects))
	subjects := slices.Clone(c.Subjects[:shown])
	if more := len(c.Subjects) - shown + c.More; more > 0 {
		subjects = append(subjects, digest.Thousands(int64(more))+" more")
	}
	return digest.List(subjects)
}

// inShort is the first sentence of an advice, with the command that it introduces.
func inShort(advice string) string {
	first, rest, _ := strings.Cut(advice, "\n")
	command, _, _ := strings.Cut(rest, "\n")
	if sentence, _, more := strings.Cut(first, ". "); more {
		return sentence + "."
	}
	if strings.HasSuffix(first, ":") {
		return first + " " + command
	}
	return first
}

// failure says why a run failed in every region, and what to do.
func (s *sheet) failure(run record.Run, heading string) {
	if heading != "" {
		s.paragraph("", strings.TrimSpace(heading))
		s.WriteByte('\n')
	}
	for _, p := range digest.Problems(run) {
		s.paragraph("", p.What)
		s.paragraph("", "What to do: "+strings.ReplaceAll(p.Todo, "\n", " "))
		for _, c := range p.Cases {
			s.paragraph("", some(c)+": "+c.Fault)
		}
	}
	s.outcome(run, "")
}

// outcome says what the run came to: where, and in the last line how much.
func (s *sheet) outcome(run record.Run, heading string) {
	s.WriteByte('\n')
	for line := range strings.Lines(heading + strings.Join(digest.CopyLines(run.Copy), "\n")) {
		if line = strings.TrimSpace(line); line != "" {
			s.paragraph("", line)
		}
	}
	if n := run.Totals.Restorable; n > 0 {
		s.withCommand(digest.Count(n, "image") + " can be restored until " + restorableUntil(run) + " at least:\n" + run.Reader.Command("undo "+plain.Printable(run.Run)))
	}
	if run.Record != "" {
		s.paragraph("", "The full record: "+atSlashes(plain.Printable(run.Record), s.width))
	}
	s.paragraph("", doneWhere(run))
	for line := range strings.Lines(wrap(sum(run), s.width)) {
		s.WriteString(s.paint(text.Bold, strings.TrimSuffix(line, "\n")) + "\n")
	}
}

// restorableUntil is the first day on which the Recycle Bin gives up one of the images.
func restorableUntil(run record.Run) string {
	var first time.Time
	run.Each(record.Image.IsRestorable, func(_ record.Region, i record.Image) {
		if until := i.Outcome.RestorableUntil; first.IsZero() || until.Before(first) {
			first = until
		}
	})
	return first.UTC().Format("2 January 2006")
}

// doneWhere names the account and the regions of a run, and says whether it was dry.
func doneWhere(run record.Run) string {
	words := "Run " + plain.Printable(run.Run) + " on "
	if run.DryRun {
		words = "Dry run on "
	}
	words += accountOf(run) + ", " + digest.List(fewRegions(run))
	if run.DryRun {
		words += "; nothing was changed"
	}
	return words + "."
}

// accountOf names the account of a run, with its alias.
func accountOf(run record.Run) string {
	account := ""
	for _, region := range run.Regions {
		account = cmp.Or(account, region.Account)
	}
	words := "account " + cmp.Or(plain.Printable(account), "unknown")
	if run.AccountAlias != "" {
		words += " (" + plain.Printable(run.AccountAlias) + ")"
	}
	return words
}

// fewRegions names the regions of a run as long as they are few.
func fewRegions(run record.Run) []string {
	const most = 5
	if len(run.Regions) > most {
		return []string{digest.Count(len(run.Regions), "region")}
	}
	names := make([]string, len(run.Regions))
	for i, region := range run.Regions {
		names[i] = plain.Printable(region.Region)
	}
	return names
}

// sum says in a line how many images and snapshots went, or would go, and what that frees.
func sum(run record.Run) string {
	t, a := run.Totals, run.Totals.Amounts.Removed
	images, snapshots, verb, besides := t.Deregistered, t.SnapshotsDeleted, "Removed ", "announced "
	if run.DryRun {
		images, snapshots, a = t.WouldDeregister, t.SnapshotsWouldDelete, t.Amounts.WouldRemove
		verb, besides = "Would remove ", "would announce "
	}
	words := verb + digest.Count(images, "image") + " and " + digest.Count(snapshots, "snapshot")
	words += fmt.Sprintf(": %s GiB, up to %s a month", digest.Thousands(a.GiB), digest.Money(a.MonthlyUpTo))
	add := func(n int, one, what string) {
		if n > 0 {
			words += "; " + what + digest.Count(n, one)
		}
	}
	add(t.Marked, "image", besides)
	add(t.Failed, "image", "failed: ")
	add(t.SnapshotsFailed, "snapshot", "failed: ")
	add(run.FailedRegions(), "region", "failed: ")
	add(run.HeldRegions(), "region", "on hold: ")
	return words + "."
}

// fit shortens a text to a width, as it is displayed.
func fit(words string, width int) string { return text.Snip(words, width, "…") }

// inTheMiddle is fit for a name. Both ends of a name tell it from others.
func inTheMiddle(name string, width int) string {
	if text.StringWidthWithoutEscSequences(name) <= width {
		return name
	}
	runes := []rune(name)
	end := len(runes)
	for room := width / 2; end > 0 && text.RuneWidth(runes[end-1]) <= room; end-- {
		room -= text.RuneWidth(runes[end-1])
	}
	return text.Trim(name, width-1-text.StringWidthWithoutEscSequences(string(runes[end:]))) + "…" + string(runes[end:])
}

// wrap breaks a text between words only. A word that is too long for a line is shortened: if it has
// parts, as an ARN or the name of an action, its end says most.
func wrap(words string, width int) string {
	fields := strings.Fields(words)
	for i, word := range fields {
		switch {
		case text.StringWidthWithoutEscSequences(word) <= width:
		case strings.ContainsAny(word[:len(word)-1], ":/"):
			fields[i] = theEnd(word, width)
		default:
			fields[i] = fit(word, width)
		}
	}
	return wholeWords(strings.Join(fields, " "), width)
}

// theEnd is fit for a word whose end says most.
func theEnd(word string, width int) string {
	runes := []rune(word)
	from := len(runes)
	for room := width - 1; from > 0 && text.RuneWidth(runes[from-1]) <= room; from-- {
		room -= text.RuneWidth(runes[from-1])
	}
	return "…" + string(runes[from:])
}

// atSlashes lets a path that is too long for a line be broken there.
func atSlashes(path string, width int) string {
	var lines strings.Builder
	column := 0
	for part := range strings.SplitAfterSeq(path, "/") {
		size := text.StringWidthWithoutEscSequences(part)
		if column > 0 && column+size > width {
			lines.WriteByte(' ')
			column = 0
		}
		lines.WriteString(part)
		column += size
	}
	return lines.String()
}

// wholeWords breaks a text between words, and leaves those whole that are too long for a line.
func wholeWords(words string, width int) string {
	var wrapped strings.Builder
	column := 0
	for i, word := range strings.Fields(words) {
		size := text.StringWidthWithoutEscSequences(word)
		switch {
		case i == 0:
		case column+1+size > width:
			wrapped.WriteByte('\n')
			column = 0
		default:
			wrapped.WriteByte(' ')
			column++
		}
		wrapped.WriteString(word)
		column += size
	}
	return wrapped.String()
}

package main

import (
	"strconv"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/plain"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// flat is one table of the rows of a run with all columns, for programs and documents. Safe makes
// the text of a cell harmless there.
func flat(run record.Run, rows []row, safe func(string) string) table.Writer {
	t := newFlat()
	addFlat(t, run, rows, safe)
	return t
}

func newFlat() table.Writer {
	t := plainTable()
	t.AppendHeader(table.Row{
		"region", "id", "name", "action", "snapshots", "gib", "usd_a_month", "idle_days", "last_use", "owner", "family", "reason", "due", "restorable_until", "detail", "account", "run",
	})
	return t
}

// addFlat adds the rows of a run. What an earlier version did not record is empty.
func addFlat(t table.Writer, run record.Run, rows []row, safe func(string) string) {
	account, id := safe(plain.Printable(run.Account())), safe(plain.Printable(run.Run))
	for _, region := range run.Regions {
		why := region.Error
		if why == "" && region.IsOnlyPlanned() {
			why = "only planned: " + region.WhyUnreached()
		}
		if why != "" {
			t.AppendRow(table.Row{safe(region.Region), "", "", "REGION", "", "", "", "", "", "", "", "", "", "", safe(plain.Printable(why)), account, id})
		}
	}
	for _, r := range rows {
		var line table.Row
		for _, cell := range flatCells(run, r) {
			line = append(line, safe(plain.Printable(cell)))
		}
		t.AppendRow(append(line, account, id))
	}
}

func flatCells(run record.Run, r row) []string {
	i, outcome := r.image, ami.Outcome{}
	if i.Outcome != nil {
		outcome = *i.Outcome
	}
	idle, code := "", ""
	if i.ImageID != "" {
		idle, code = strconv.Itoa(i.IdleDays), r.code()
	}
	cells := []string{
		r.region, r.id, r.name, r.kind.word(run.DryRun), strconv.Itoa(r.snapshots), strconv.FormatInt(r.gib, 10),
		strconv.FormatFloat(r.monthly, 'f', 2, 64), idle, firstOf(strings.Cut(i.LastUseAt, "T")), i.Owner, i.Family, code, i.DueOn,
		record.Date(outcome.RestorableUntil), r.detail,
	}
	if run.SchemaVersion == 0 {
		cells[7] = ""
		if r.kind != kindRemoved {
			cells[4], cells[5], cells[6] = "", "", ""
		}
	}
	return cells
}

// csvCell makes a text harmless in a spreadsheet, which would take it for a formula: also with
// blanks before it, and with the wide forms of its first character.
func csvCell(cell string) string {
	if first := strings.TrimLeft(cell, " \u00a0\u3000"); first != "" && strings.ContainsRune("=+-@＝＋－＠", []rune(first)[0]) {
		return "'" + cell
	}
	return cell
}

// markdownCell makes a text harmless in Markdown: it is no link, no image, no mention, no code and
// no HTML. The table itself escapes bars.
func markdownCell(cell string) string { return inMarkdown.Replace(plain.Text(cell)) }

var inMarkdown = strings.NewReplacer(`\`, `\\`, "[", `\[`, "]", `\]`, "_", `\_`, "!", `\!`, "#", `\#`, "$", `\$`)

// markdown is a table and what is said of a run besides.
func markdown(run record.Run, rows []row, note string) string {
	t := flat(run, rows, markdownCell)
	right := func(n int) table.ColumnConfig { return table.ColumnConfig{Number: n, Align: text.AlignRight} }
	t.SetColumnConfigs([]table.ColumnConfig{right(5), right(6), right(7), right(8)})
	var page strings.Builder
	page.WriteString(t.RenderMarkdown() + "\n\n")
	for _, sentence := range besides(run, note) {
		page.WriteString(markdownCell(sentence) + "\n\n")
	}
	return strings.TrimSuffix(page.String(), "\n")
}

func firstOf(before, _ string, _ bool) string { return before }

package report_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/ami-janitor/ami-janitor/pkg/report"
)

const runsDirectory = "s3://amzn-s3-demo-bucket/runs/"

func index(t *testing.T, r *report.Report, runs []report.Listed, notices ...string) string {
	t.Helper()
	var page bytes.Buffer
	if err := r.Index(&page, runs, "eu-west-1", notices...); err != nil {
		t.Fatal(err)
	}
	return page.String()
}

// An index leads to every page there is, and shows the trend.
func TestIndex(t *testing.T) {
	var r report.Report
	run := situations(t)["ordinary"]
	for n := range 3 {
		run.StartedAt = run.StartedAt.AddDate(0, 0, n)
		r.Add(run)
	}
	const newer, older = "20261124T020000Z-3f9c1b", "20261123T020000Z-3f9c1a"
	relative, console := "runs/"+newer+"/report.html", "https://console.aws.amazon.com/s3/object/amzn-s3-demo-bucket?region=eu-west-1&prefix=runs/"+newer+"/report.html"
	text := index(t, &r, []report.Listed{
		{Run: newer, Record: runsDirectory + newer + "/record.json", Page: relative}, {Run: older, Record: runsDirectory + older + "/record.json"},
	}, "The record of <b>\u202e is damaged.")
	checkElements(t, text, relative, console)
	all := elements(t, text)
	if title := words(named(all, "title")[0]); title != "AMI Janitor, account 123456789012" {
		t.Error(title)
	}
	rows := cells(t, all, "All runs")
	if len(rows) != 3 || rows[1][0] != "Tuesday 24 November 2026, 02:00 UTC" || rows[1][1] != newer || rows[2][1] != older || rows[2][2] != "none" {
		t.Errorf("%q", rows)
	}
	var links []string
	for _, a := range named(all, "a") {
		links = append(links, attribute(a, "href"))
	}
	if want := "#runs #nights #about " + relative + " " + console; strings.Join(links, " ") != want {
		t.Errorf("%q, want %q", links, want)
	}
	if rows := cells(t, all, "Night by night"); len(rows) != 4 {
		t.Errorf("%q", rows)
	}
	if strings.Contains(text, "<b>") || strings.Contains(text, "\u202e") || !strings.Contains(text, "The record of &lt;b&gt;") || strings.Contains(text, "no run to show") {
		t.Error(text[:min(len(text), 9000)])
	}
}

// An index of years stays small.
func TestIndexOfManyRuns(t *testing.T) {
	var runs []report.Listed
	for n := range 1200 {
		run := fmt.Sprintf("2026%02d%02dT0%d0000Z-3f9c1a", 1+n/100, 1+n/10%28, n%10)
		runs = append(runs, report.Listed{Run: run, Record: runsDirectory + run + "/record.json", Page: "runs/" + run + "/report.html"})
	}
	text := index(t, &report.Report{}, runs)
	if n := strings.Count(text, ">Report</a>"); n != 1000 || !strings.Contains(text, "986 earlier runs") || !strings.Contains(text, "And 200 earlier runs.") || len(text) > 600_000 {
		t.Errorf("%d links, %d bytes", n, len(text))
	}
}

func TestPageOfARecordThatCannotBeShown(t *testing.T) {
	var page bytes.Buffer
	if err := report.Unreadable(&page, "20261123T020000Z-3f9c1a", "it is <script>alert(1)</script>"); err != nil {
		t.Fatal(err)
	}
	checkElements(t, page.String())
	if !strings.Contains(page.String(), "The record of run 20261123T020000Z-3f9c1a cannot be shown: it is &lt;script&gt;") || strings.Contains(page.String(), "no run to show") {
		t.Error(page.String())
	}
}

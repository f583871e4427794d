package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/spf13/cobra"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/config"
	"github.com/ami-janitor/ami-janitor/pkg/journal"
	"github.com/ami-janitor/ami-janitor/pkg/organization"
	"github.com/ami-janitor/ami-janitor/pkg/plain"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/report"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

func reportCommand(std streams, lookup func(string) string) *cobra.Command {
	command := &cobra.Command{
		Use:   "report [RUN...]",
		Short: "Draw a page with pictures from the records of runs",
		Long: `Draws one HTML page, which needs no network, or lists all images as CSV or
Markdown. A RUN is the file of a record, as --output json prints it (- is the
standard input), or the id of a run. Without one it shows the latest run of
each place with records; with --since the runs of that time as well. A run over
an organization has a page of its own, with a row for each account.`,
		Example: examples(
			"report run.json -o report.html",
			"report --records s3://my-records --since 30d",
			"report --records s3://one --records s3://two -o images.csv",
		),
		Args: cobra.ArbitraryArgs,
	}
	var places []string
	command.Flags().StringArrayVar(&places, "records", nil, "directory or s3:// URL with the records of runs; may be given more than once (default: where your sweeps keep them)")
	since := command.Flags().String("since", "", "show the runs of this time, for example 30d")
	out := command.Flags().StringP("out", "o", "report.html", "file to write: .html, .csv or .md")
	profile, region := addAccount(command)
	command.RunE = func(command *cobra.Command, runs []string) error {
		write, err := formatOf(*out)
		isPage := strings.HasPrefix(strings.ToLower(filepath.Ext(*out)), ".htm")
		if err != nil {
			return err
		}
		s := reportSource{settings: settings{lookup: lookup, profile: profile, region: region}, places: places, std: &printer{streams: std}}
		end := s.std.begin(command.Context(), "Reading the records")
		made, err := s.collect(command.Context(), runs, *since)
		if end(); err != nil {
			return err
		}
		var text bytes.Buffer
		switch {
		case s.organization == nil:
			err = write(made, &text)
		case !isPage:
			err = fmt.Errorf("--out: a run over an organization is drawn as .html, and %q is another file", *out)
		default:
			err = report.Organization(&text, *s.organization)
		}
		if err != nil {
			return err
		}
		if err := os.WriteFile(*out, text.Bytes(), 0o600); err != nil {
			return err
		}
		std.say("the report is in %s", *out)
		if s.isIncomplete {
			return exitStatus(exitRegionFailed)
		}
		return nil
	}
	return command
}

// formatOf is how a file is written, by its suffix.
func formatOf(file string) (func(*report.Report, io.Writer) error, error) {
	switch strings.ToLower(filepath.Ext(file)) {
	case ".html", ".htm":
		return (*report.Report).HTML, nil
	case ".csv":
		return writeCSV, nil
	case ".md":
		return writeMarkdown, nil
	default:
		return nil, fmt.Errorf("--out: %q ends neither in .html nor in .csv nor in .md", file)
	}
}

// writeCSV lists all rows of the latest runs in one table.
func writeCSV(of *report.Report, to io.Writer) error {
	t := newFlat()
	for _, run := range of.Latest() {
		addFlat(t, run, rowsOf(run), csvCell)
	}
	_, err := fmt.Fprintln(to, t.RenderCSV())
	return err
}

// writeMarkdown lists all rows of the latest runs, a table each.
func writeMarkdown(of *report.Report, to io.Writer) error {
	for _, run := range of.Latest() {
		title := "# Run " + markdownCell(run.Run) + " of account " + markdownCell(run.Account())
		if _, err := fmt.Fprintf(to, "%s\n\n%s\n", title, markdown(run, rowsOf(run), "")); err != nil {
			return err
		}
	}
	return nil
}

// reportSource is where a report takes its records from.
type reportSource struct {
	settings
	std      *printer
	places   []string
	journals []*journal.Journal
	hubs     []*organization.Hub // The same places, as those of an organization.

	organization *record.Organization // Of a run over an organization, which was found instead.
	isIncomplete bool                 // A record could not be read.
}

// open opens all places, unless all runs are files.
func (s *reportSource) open(ctx context.Context, runs []string) error {
	if len(runs) > 0 && !slices.ContainsFunc(runs, func(run string) bool { return ami.RunID(run).Valid() }) {
		return nil
	}
	if len(s.places) == 0 {
		s.places = s.usualPlaces()
	}
	if len(s.places) == 0 {
		return errors.New("no records: name the file of a record, or with --records the place where runs keep theirs")
	}
	for _, place := range s.places {
		if err := s.openPlace(ctx, place); err != nil {
			return fmt.Errorf("--records: %w", err)
		}
	}
	return nil
}

func (s *reportSource) openPlace(ctx context.Context, place string) error {
	var account aws.Config
	err := journal.Check(place)
	if isBucket := strings.HasPrefix(place, "s3://"); err == nil && isBucket {
		account, err = s.awsConfig(ctx)
	} else if err == nil {
		_, err = os.Stat(place) // A report makes no directory.
	}
	if err != nil {
		return err
	}
	opened, err := journal.Open(place, account)
	s.journals = append(s.journals, opened)
	s.hubs = append(s.hubs, &organization.Hub{Config: config.Config{Records: place}, AWS: account})
	return err
}

// usualPlaces are RECORDS, or else the records of the user's own sweeps.
func (s *reportSource) usualPlaces() []string {
	if place := s.lookup("RECORDS"); place != "" {
		return []string{place}
	}
	if stateDirectory(s.lookup) == "" {
		return nil
	}
	// Only a bad pattern is an error.
	places, _ := filepath.Glob(filepath.Join(stateDirectory(s.lookup), "[0-9]*"))
	return places
}

// collect reads the runs, oldest first.
func (s *reportSource) collect(ctx context.Context, wanted []string, since string) (*report.Report, error) {
	made := &report.Report{}
	if err := s.open(ctx, wanted); err != nil {
		return nil, err
	}
	switch {
	case len(wanted) > 0 && since != "":
		return nil, errors.New("--since is for all runs in --records; a RUN is one of them")
	case len(wanted) > 0:
		return made, s.addNamed(ctx, made, wanted)
	}
	add := s.addLatest
	if since != "" {
		add = s.addAll
	}
	from, err := sinceWhen(since, time.Now())
	if err != nil {
		return nil, err
	}
	found, err := s.find(ctx, from)
	if err == nil {
		err = add(ctx, made, found)
	}
	if err == nil && made.IsEmpty() && since == "" {
		s.organization, err = s.latestOrganization(ctx)
	}
	if err == nil && made.IsEmpty() && s.organization == nil {
		err = errors.New("there is no record of a run there")
	}
	return made, err
}

// latestOrganization returns the record of the latest run over an organization, from the first
// place that has one; nil if none has.
func (s *reportSource) latestOrganization(ctx context.Context) (*record.Organization, error) {
	for _, hub := range s.hubs {
		found, err := hub.Record(ctx, "")
		if !errors.Is(err, journal.ErrNotFound) {
			return &found, err
		}
	}
	return nil, nil //nolint:nilnil // Its caller says that there is no record of any kind.
}

// foundRun is the id of a run, and where its record is.
type foundRun struct {
	run string
	in  *journal.Journal
}

// find returns the runs of all places that have a record, since a time, oldest first.
func (s *reportSource) find(ctx context.Context, from time.Time) ([]foundRun, error) {
	var all []foundRun
	for _, j := range s.journals {
		recorded, err := j.Recorded(ctx)
		if err != nil {
			return nil, err
		}
		for _, r := range recorded {
			if !ami.RunID(r.Run).Began().Before(from) {
				all = append(all, foundRun{r.Run, j})
			}
		}
	}
	slices.SortFunc(all, func(a, b foundRun) int { return strings.Compare(a.run, b.run) })
	return all, nil
}

func (s *reportSource) addAll(ctx context.Context, made *report.Report, all []foundRun) error {
	for _, f := range all {
		if _, err := s.add(ctx, made, f.in, f.run); err != nil {
			return err
		}
	}
	return nil
}

// addLatest adds the latest run of each place that has a record.
func (s *reportSource) addLatest(ctx context.Context, made *report.Report, all []foundRun) error {
	isDone := map[*journal.Journal]bool{}
	for _, f := range slices.Backward(all) {
		if isDone[f.in] {
			continue
		}
		var err error
		if isDone[f.in], err = s.add(ctx, made, f.in, f.run); err != nil {
			return err
		}
	}
	return nil
}

// sinceWhen is the time from which runs are wanted.
func sinceWhen(since string, now time.Time) (time.Time, error) {
	if since == "" {
		return time.Time{}, nil
	}
	days, err := retention.ParseDays(since)
	if err != nil {
		return time.Time{}, fmt.Errorf("--since: %w", err)
	}
	return now.Add(-time.Duration(days)), nil
}

// add adds a run of a place, and reports whether there is a record of it. One that cannot be read
// is told of, and left out.
func (s *reportSource) add(ctx context.Context, made *report.Report, in *journal.Journal, run string) (bool, error) {
	text, err := in.Record(ctx, run)
	if errors.Is(err, journal.ErrNotFound) { // It has expired since.
		return false, nil
	}
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	var read record.Run
	if err == nil {
		read, err = record.Parse(text)
	}
	if err != nil {
		s.isIncomplete = true
		s.std.say("left out: %s", plain.Printable(err.Error()))
		return false, nil
	}
	made.Add(read)
	return true, nil
}

// addNamed adds runs that are named by their id or the file of their record.
func (s *reportSource) addNamed(ctx context.Context, made *report.Report, names []string) error {
	var runs []record.Run
	for _, name := range names {
		run, err := s.parse(ctx, name)
		switch {
		case err != nil:
			return err
		case s.organization != nil && len(names) > 1:
			return fmt.Errorf("%q is a run over an organization, which has a page of its own: name no other run", name)
		case s.organization != nil:
			return nil
		}
		runs = append(runs, run)
	}
	slices.SortStableFunc(runs, func(a, b record.Run) int {
		return cmp.Or(a.StartedAt.Compare(b.StartedAt), strings.Compare(a.Run, b.Run))
	})
	for _, run := range runs {
		made.Add(run)
	}
	return nil
}

// parse reads the record of a run, or that of a run over an organization into s.organization.
func (s *reportSource) parse(ctx context.Context, name string) (record.Run, error) {
	text, err := s.read(ctx, name)
	if errors.Is(err, journal.ErrNotFound) {
		s.organization, err = s.ofOrganization(ctx, name)
		return record.Run{}, err
	}
	if err != nil {
		return record.Run{}, err
	}
	run, err := record.Parse(text)
	if err == nil {
		return run, nil
	}
	if over, notOver := record.ParseOrganization(text); notOver == nil {
		s.organization = &over
		return record.Run{}, nil
	}
	return record.Run{}, fmt.Errorf("%q: %w", name, err)
}

// ofOrganization returns the record of a run over an organization, of an id that no account's run
// has.
func (s *reportSource) ofOrganization(ctx context.Context, run string) (*record.Organization, error) {
	for _, hub := range s.hubs {
		found, err := hub.Record(ctx, run)
		if !errors.Is(err, journal.ErrNotFound) {
			return &found, err
		}
	}
	return nil, fmt.Errorf("there is no record of run %s in %s", run, strings.Join(s.places, ", "))
}

// read reads a record. The error is journal.ErrNotFound if no journal has it.
func (s *reportSource) read(ctx context.Context, name string) ([]byte, error) {
	switch {
	case name == "-":
		return io.ReadAll(s.std.in)
	case !ami.RunID(name).Valid():
		return os.ReadFile(name) //nolint:gosec // The user names the file.
	}
	for _, j := range s.journals {
		text, err := j.Record(ctx, name)
		if !errors.Is(err, journal.ErrNotFound) {
			return text, err
		}
	}
	return nil, journal.ErrNotFound
}

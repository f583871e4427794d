package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/ami-janitor/ami-janitor/pkg/config"
	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/janitor"
	"github.com/ami-janitor/ami-janitor/pkg/plain"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// planFile is a plan that people can approve. Whoever may write it can only take something out of
// what a sweep would do (retention.Approved); all else in it says for what it was made.
type planFile struct {
	Format         string             `json:"format"`
	Version        int                `json:"version"`
	MadeAt         time.Time          `json:"madeAt"`
	Regions        []string           `json:"regions"`
	Policy         map[string]string  `json:"policy"` // The settings that judge.
	PolicySentence string             `json:"policySentence"`
	Approved       retention.Approved `json:"approved"`
}

const (
	planFormat  = "ami-janitor plan"
	planVersion = 1

	planGoodFor  = 7 * 24 * time.Hour
	planFileSize = 16 << 20         // The most that is read.
	clockSkew    = 10 * time.Minute // Clocks of two machines may differ by so much.
)

// judgesNothing are settings on which no verdict depends. Regions are compared by name.
var judgesNothing = []string{"ec2Share", "snapshotPrice", "ownerTag", "regions", "exceptRegions"}

// judging are the settings of a configuration that judge.
func judging(c config.Config) map[string]string {
	settings := c.Describe()
	for _, name := range judgesNothing {
		delete(settings, name)
	}
	return settings
}

// savePlan writes a plan that was made by a janitor, and says until when it is good.
func savePlan(ctx context.Context, j *janitor.Janitor, approved retention.Approved, path string, std streams) error {
	regions, err := j.RegionNames(ctx)
	if err != nil {
		return err
	}
	now := j.Clock().UTC().Truncate(time.Second)
	file := planFile{planFormat, planVersion, now, regions, judging(j.Config), j.Config.Policy.String(), approved}
	text, err := json.MarshalIndent(file, "", "  ")
	if err != nil {
		return err
	}
	if err := replaceFile(path, append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	std.say("the plan is in %s; until %s, and with the same settings, this carries it out: %s",
		path, now.Add(planGoodFor).Format("2 January 2006, 15:04 UTC"), j.Reader.Command("sweep "+path))
	return nil
}

// replaceFile writes a file, all of it or nothing.
func replaceFile(path string, content []byte, mode os.FileMode) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".ami-janitor-*")
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	err = errors.Join(err, file.Chmod(mode), file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		_ = os.Remove(file.Name())
	}
	return err
}

// loadPlan reads what is approved by a plan, if a file is given, and if it was made for what a
// janitor is about to do.
func loadPlan(ctx context.Context, j *janitor.Janitor, files []string) (*retention.Approved, error) {
	if len(files) == 0 {
		return nil, nil // Whatever the policy finds.
	}
	path := files[0]
	file, err := readPlan(path)
	if err == nil {
		err = file.fits(ctx, j)
	}
	if err != nil {
		return nil, fmt.Errorf("the plan in %q: %w; nothing was changed", path, err)
	}
	return &file.Approved, nil
}

func readPlan(path string) (planFile, error) {
	var file planFile
	source, err := os.Open(filepath.Clean(path))
	if err != nil {
		return file, err
	}
	defer func() { _ = source.Close() }()
	text, err := io.ReadAll(io.LimitReader(source, planFileSize+1))
	switch {
	case err != nil:
		return file, err
	case len(text) > planFileSize:
		return file, fmt.Errorf("it has more than %d MiB", planFileSize>>20)
	}
	var kind struct {
		Format  string `json:"format"`
		Version int    `json:"version"`
	}
	if err := json.Unmarshal(text, &kind); err != nil || kind.Format != planFormat {
		return file, errors.New("it is no plan that ami-janitor plan --out has written")
	}
	if kind.Version != planVersion {
		return file, fmt.Errorf("it has version %d of the format, and this ami-janitor reads version %d: make it anew", kind.Version, planVersion)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&file); err != nil {
		return file, fmt.Errorf("it cannot be read: %s", plain.Printable(err.Error()))
	}
	return file, nil // Nothing comes after it: json.Unmarshal would have said so.
}

// changedSince says which images of an approved plan a run leaves alone, because they have changed
// since, and why; empty if there are none.
func changedSince(run record.Run, approved *retention.Approved) string {
	if approved == nil {
		return ""
	}
	total := 0
	var changed []string
	for _, region := range run.Regions {
		if region.Error != "" || region.IsOnlyPlanned() {
			continue
		}
		images := map[string]record.Image{}
		for _, image := range region.Images {
			images[image.ImageID] = image
		}
		of := approved.Regions[region.Region].Images
		for _, id := range slices.Sorted(maps.Keys(of)) {
			image, isThere := images[id]
			switch {
			case !isGoing(of[id].Decision):
				continue
			case !isThere:
				changed = append(changed, plain.Clip(plain.Printable(id), longestID)+" (gone)")
			case !isGoing(image.Verdict):
				changed = append(changed, plain.Printable(cmp.Or(image.Name, id)+" ("+string(image.MainReason().Code)+")"))
			}
			total++
		}
	}
	if len(changed) == 0 {
		return ""
	}
	words := map[bool]string{true: "has changed since, and is", false: "have changed since, and are"}[len(changed) == 1]
	named := changed[:min(mostSubjects, len(changed))]
	if more := len(changed) - len(named); more > 0 {
		named = append(slices.Clone(named), digest.Thousands(int64(more))+" more")
	}
	return fmt.Sprintf("%d of %s %s left alone: %s.", len(changed), digest.Count(total, "approved image"), words, digest.List(named))
}

func isGoing(d retention.Decision) bool { return d == retention.Deregister || d == retention.Mark }

// fits returns an error unless the plan was made for what a janitor is about to do, not long ago.
func (f planFile) fits(ctx context.Context, j *janitor.Janitor) error {
	switch age := j.Clock().Sub(f.MadeAt); {
	case age > planGoodFor:
		return fmt.Errorf("it was made on %s, and is good for seven days: make it anew", f.MadeAt.UTC().Format("2 January 2006"))
	case age < -clockSkew:
		return fmt.Errorf("it was made on %s, which has not come yet", f.MadeAt.UTC().Format("2 January 2006"))
	}
	if err := f.fitsPolicy(j.Config); err != nil {
		return err
	}
	regions, err := j.RegionNames(ctx)
	if err != nil {
		return err
	}
	if !slices.Equal(regions, f.Regions) {
		return fmt.Errorf("it was made for %s, and this sweep is of %s", printable(f.Regions), printable(regions))
	}
	account, err := j.Account(ctx)
	if err != nil {
		return err
	}
	if account != f.Approved.Account {
		return fmt.Errorf("it was made for account %q, and this is %s", f.Approved.Account, account)
	}
	return nil
}

// fitsPolicy returns an error if another policy made the plan, with the settings that differ.
func (f planFile) fitsPolicy(c config.Config) error {
	var differ []string
	settings := judging(c)
	for name, value := range settings {
		if was, known := f.Policy[name]; !known || was != value {
			differ = append(differ, fmt.Sprintf("%s was %q and is %q", flagOf(name), was, value))
		}
	}
	slices.Sort(differ)
	switch {
	case len(differ) > 0:
		return fmt.Errorf("it was made by another policy: %s", strings.Join(differ, ", "))
	case len(f.Policy) != len(settings) || f.PolicySentence != c.Policy.String():
		return errors.New("it was made by a policy of another version: make it anew")
	default:
		return nil
	}
}

// flagOf is the flag of a setting that a record describes: "staleAfter" becomes "--stale-after".
func flagOf(name string) string {
	var flag strings.Builder
	for _, r := range name {
		if unicode.IsUpper(r) {
			flag.WriteByte('-')
		}
		flag.WriteRune(unicode.ToLower(r))
	}
	return "--" + flag.String()
}

func printable(names []string) string { return plain.Printable(strings.Join(names, ", ")) }

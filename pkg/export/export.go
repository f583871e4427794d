// Package export copies everything that the janitor reads in an AWS account into a directory of
// files in the AWS CLI's output format, for rehearsals. It changes nothing in the account.
package export

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/rbin"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"golang.org/x/sync/errgroup"

	"github.com/ami-janitor/ami-janitor/pkg/usage"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// Export is the source and the destination of a copy.
type Export struct {
	// Its region is the copy's top level, if it is one of Regions; otherwise the first of these is.
	AWS       aws.Config
	Regions   []string // At least one, each once.
	Directory string

	Lists       []List              // The keep lists in S3 that a run reads.
	TextObjects []usage.TextObjects // What a run searches for image ids.

	StackTemplates bool // Whether a run searches templates of stacks, too.

	Clock func() time.Time
	// Called during the export, by one goroutine at a time; may be nil.
	Watch func(stage string, done, total int)
}

// Summary is the result of an export.
type Summary struct {
	Account string
	Home    string   // The region of the copy's top level.
	Regions []string // Sorted.
	// The existing files, by their path in the directory, including those of earlier starts.
	Parts map[string]Part

	// What could not be read, in sentences, sorted. Calls that AWS refused because of a missing
	// permission are denied in the copy, too, or null; after a failure the copy is incomplete, and
	// the same export continues it.
	Refused, Failed []string
}

// Part says how a file was read. It is older than the start that wrote it if an earlier start had
// read some of it.
type Part struct {
	Start        int       // The number of the export's start that wrote it, from 1.
	Began, Ended time.Time // When its first call to AWS was sent, and when its last answer arrived.
	Refused      []string  `json:",omitempty"` // What AWS refused, in sentences.
	Denied       []string  `json:",omitempty"` // The refused actions, if others filled the file.
}

// regionsAtOnce is how many regions are read at the same time. EC2 limits its requests by region.
const regionsAtOnce = 8

// Run makes the copy, or continues an unfinished one: existing parts stay, and missing ones are
// read. An error means that nothing could be read; a UsageError that the directory cannot be
// exported into.
func (e *Export) Run(ctx context.Context) (Summary, error) {
	began := e.Clock()
	identity, err := sts.NewFromConfig(e.AWS).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return Summary{}, fmt.Errorf("asking for the account: %s", wire.ExplainLookup(err))
	}
	want := manifest{Account: aws.ToString(identity.Account), Region: e.AWS.Region, Regions: slices.Sorted(slices.Values(e.Regions))}
	if !slices.Contains(want.Regions, want.Region) {
		want.Region = e.Regions[0]
	}
	d, err := openDirectory(e.Directory, want)
	if err != nil {
		return Summary{}, err
	}
	summary := Summary{Account: want.Account, Home: want.Region, Regions: want.Regions}
	if !d.has(identityFile) {
		err = d.put(identityFile, encode(identity), Part{Start: d.start(), Began: began, Ended: e.Clock()})
	}
	if err == nil {
		e.readRegions(ctx, d, &summary)
		e.readObjects(ctx, d, &summary)
		err = d.finish(len(summary.Failed) == 0)
	}
	summary.Parts = d.parts()
	for name, part := range summary.Parts {
		summary.Refused = append(summary.Refused, part.Refused...)
		if path.Base(name) == deniedFile {
			delete(summary.Parts, name) // Each start writes it again, and none reads it.
		}
	}
	slices.Sort(summary.Refused)
	slices.Sort(summary.Failed)
	return summary, err
}

func (e *Export) readRegions(ctx context.Context, d *directory, summary *Summary) {
	progress := &progress{watch: e.Watch}
	regions := make([]*region, len(summary.Regions))
	var reading errgroup.Group
	reading.SetLimit(regionsAtOnce)
	for i, name := range summary.Regions {
		r := &region{
			name: name, directory: d, clock: e.Clock, start: d.start(), progress: progress,
			aws: wire.In(e.AWS, name), ec2: wire.EC2(e.AWS, name), autoScaling: wire.AutoScaling(e.AWS, name), ssm: wire.SSM(e.AWS, name), recycleBin: wire.RecycleBin(e.AWS, name), iam: wire.IAM(e.AWS),
			stackTemplates: e.StackTemplates,
			denied:         map[string][]string{}, absent: map[string]bool{}, refused: map[string][]string{},
		}
		if name != summary.Home {
			r.folder = path.Join("regions", name)
		}
		regions[i] = r
		reading.Go(func() error { r.read(ctx); return nil })
	}
	_ = reading.Wait() // Failures are noted.
	for _, r := range regions {
		summary.Failed = append(summary.Failed, r.failed...)
	}
}

// region is a region that is being copied.
type region struct {
	name, folder string // The folder is a path in the directory.
	directory    *directory

	stackTemplates bool

	clock    func() time.Time
	start    int
	progress *progress

	aws         aws.Config // For clients of further services.
	ec2         *ec2.Client
	autoScaling *autoscaling.Client
	ssm         *ssm.Client
	recycleBin  *rbin.Client
	iam         *iam.Client

	mu      sync.Mutex
	denied  map[string][]string // The actions that AWS has refused, as IAM names them, by file.
	absent  map[string]bool     // The files for which AWS refused everything.
	refused map[string][]string // What AWS refused of each file.
	failed  []string
}

// read reads all parts of the region: first those that need no other, concurrently.
func (r *region) read(ctx context.Context) {
	for _, stage := range stages {
		var parts sync.WaitGroup
		r.progress.expect(len(stage))
		for _, part := range stage {
			if part.ofAccount && r.folder != "" {
				r.progress.step()
				continue
			}
			parts.Go(func() {
				r.readPart(ctx, part)
				r.progress.step()
			})
		}
		parts.Wait()
	}
	now := r.clock()
	denied := Part{Start: r.start, Began: now, Ended: now}
	for file := range r.absent {
		denied.Refused = append(denied.Refused, r.refused[file]...)
	}
	actions := []string{}
	for _, some := range r.denied {
		actions = append(actions, some...)
	}
	slices.Sort(actions)
	if err := r.directory.put(r.path(deniedFile), slices.Compact(actions), denied); err != nil {
		r.failed = append(r.failed, r.name+": "+err.Error())
	}
}

// isRead reports whether a part exists and is up to date. It is not if its list of items was read
// by a later start.
func (r *region) isRead(part part) bool {
	parts := r.directory.parts()
	isLater := func(file string) bool { return parts[r.path(file)].Start > parts[r.path(part.file)].Start }
	return r.directory.has(r.path(part.file)) && !slices.ContainsFunc(part.needs, isLater)
}

// readPart reads one file, unless it exists.
func (r *region) readPart(ctx context.Context, part part) {
	name := r.path(part.file)
	if r.isRead(part) {
		r.note(func() { r.denied[part.file] = r.directory.parts()[name].Denied })
		return
	}
	began := r.clock()
	content, oldest, err := part.read(ctx, r)
	if err == nil {
		if oldest.IsZero() || oldest.After(began) {
			oldest = began
		}
		err = r.directory.put(name, content, Part{Start: r.start, Began: oldest, Ended: r.clock(), Refused: r.refusedOf(part.file), Denied: r.deniedOf(part.file)})
	}
	denial, isDenied := asDenial(err)
	switch {
	case err == nil:
	case isDenied:
		r.deny(part.file, denial)
		r.note(func() { r.absent[part.file] = true })
	case errors.Is(err, errNothingToAsk):
		r.note(func() { r.absent[part.file] = true })
	default:
		r.note(func() { r.failed = append(r.failed, fmt.Sprintf("%s: %s: %s", r.name, part.file, explain(err))) })
	}
}

func (r *region) path(file string) string { return path.Join(r.folder, file) }

func (r *region) note(what func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	what()
}

// deny notes an action that AWS refused, and with it a file or a part of it.
func (r *region) deny(file string, d denial) {
	r.lack(file, d.says)
	r.note(func() { r.denied[file] = append(r.denied[file], d.action) })
}

// lack notes which part of a file could not be read.
func (r *region) lack(file, what string) {
	r.note(func() { r.refused[file] = append(r.refused[file], fmt.Sprintf("%s: %s: %s", r.name, file, what)) })
}

func (r *region) deniedOf(file string) (denied []string) {
	r.note(func() { denied = r.denied[file] })
	return denied
}

func (r *region) refusedOf(file string) (refused []string) {
	r.note(func() { refused = r.refused[file] })
	return refused
}

// progress counts the finished steps, over all regions.
type progress struct {
	watch func(stage string, done, total int)

	mu          sync.Mutex
	done, total int
}

func (p *progress) expect(more int) { p.change(0, more) }
func (p *progress) step()           { p.change(1, 0) }

func (p *progress) change(done, total int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done, p.total = p.done+done, p.total+total
	if p.watch != nil {
		p.watch("Reading", p.done, p.total)
	}
}

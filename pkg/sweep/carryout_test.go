package sweep_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/ami-janitor/ami-janitor/internal/testaccount"
	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/inventory"
	"github.com/ami-janitor/ami-janitor/pkg/journal"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
	"github.com/ami-janitor/ami-janitor/pkg/sweep"
	"github.com/ami-janitor/ami-janitor/pkg/usage"
)

// loaded is the account that a test loaded last. Plans are made from its resources.
var loaded *emulator.Account

// orders say how to carry out a plan. Rechecks, and the Recycle Bin's listings, bypass the faults
// of a test.
type orders struct {
	step       func(done, total int)
	sideBySide bool // As in production; else one removal after the other.
	requireBin bool
	depth      int
	records    string           // The directory of the journal; empty for none.
	clock      func() time.Time // Of the run.

	look, bin emulator.Doer
}

// passing are orders whose recheck finds no objections, without a journal and without a Recycle
// Bin.
func passing(step func(done, total int)) orders { return orders{step: step} }

func quiet(int, int) {}

// run carries out a plan without time limits.
func run(doer emulator.Doer, plan retention.Plan) []ami.Outcome {
	return carryOut(context.Background(), context.Background(), doer, plan, passing(quiet)).Outcomes
}

// carryOut carries out a plan for the account that was loaded last. Images with only an id in the
// plan get their facts from there.
func carryOut(ctx, begin context.Context, doer emulator.Doer, plan retention.Plan, o orders) ami.SweepResult {
	return carryOutOver(ctx, begin, client(o.aside(doer)), plan, o)
}

func carryOutOver(ctx, begin context.Context, api *ec2.Client, plan retention.Plan, o orders) ami.SweepResult {
	held, err := inventory.Read(context.Background(), client(loaded.Client()), accountID, "us-east-1")
	if err != nil {
		panic(err)
	}
	plan.Verdicts = slices.Clone(plan.Verdicts)
	for i, verdict := range plan.Verdicts {
		if at := slices.IndexFunc(held.Images, func(image ami.Image) bool { return image.ID == verdict.Image.ID }); at >= 0 && verdict.Image.Name == "" {
			plan.Verdicts[i].Image = held.Images[at]
		}
	}
	if o.clock == nil {
		o.clock = time.Now
	}
	region := sweep.Region{
		Plan: plan, Inventory: held, Run: runID, Policy: ourPolicy, Now: o.clock(), Clients: usage.Clients{EC2: api},
		Lookup:     usage.Lookup{Account: accountID, Region: "us-east-1", Names: []string{"references"}, TemplateVersions: o.depth},
		RequireBin: o.requireBin, Watchdog: journal.NewWatchdog(o.clock), Step: o.step,
	}
	if o.records != "" {
		region.Journal = o.journal(region.Now)
	}
	if !o.sideBySide {
		region = region.InTurn()
	}
	_, result := sweep.Run(sweep.Limits{Cutoff: begin, Deadline: ctx, Record: context.Background()}, region)
	return result
}

func (o orders) journal(now time.Time) *journal.Region {
	records, err := journal.Open(o.records, testaccount.Config(loaded.Client()))
	if err != nil {
		panic(err)
	}
	region, err := records.Region(context.Background(), "us-east-1", runID, now)
	if err != nil {
		panic(err)
	}
	return region
}

func (o orders) aside(next emulator.Doer) emulator.Doer {
	return emulator.DoerFunc(func(r *httpRequest) (*httpResponse, error) {
		q, err := emulator.Inspect(r)
		switch {
		case err != nil:
			return next.Do(r)
		case isSecondLook(q):
			return orLoaded(o.look).Do(r)
		case strings.HasSuffix(q.Action, "InRecycleBin"):
			return orLoaded(o.bin).Do(r)
		default:
			return next.Do(r)
		}
	})
}

func orLoaded(doer emulator.Doer) emulator.Doer {
	if doer == nil {
		return loaded.Client()
	}
	return doer
}

func isSecondLook(q emulator.Request) bool {
	switch q.Action {
	case "DescribeImages", "DescribeSnapshots":
		return q.Form.Has("Filter.1.Name")
	case "DescribeImageReferences", "DescribeSnapshotAttribute":
		return true
	default:
		return false
	}
}

// listed are the values of a list in a request, such as ImageId.1 and those that follow.
func listed(q emulator.Request, name string) []string {
	var values []string
	for n := 1; q.Form.Has(fmt.Sprint(name, ".", n)); n++ {
		values = append(values, q.Form.Get(fmt.Sprint(name, ".", n)))
	}
	return values
}

// rechecking are orders with a given recheck: it gets images, at most ten of them, and says which
// are in use.
func rechecking(used func(numbers []int) []int) orders {
	o := passing(quiet)
	// Batches are looked at side by side; it is asked about one at a time.
	turn := make(chan struct{}, 1)
	o.look = emulator.DoerFunc(func(r *httpRequest) (*httpResponse, error) {
		q, err := emulator.Inspect(r)
		if err != nil || q.Action != "DescribeImageReferences" {
			return loaded.Client().Do(r)
		}
		var numbers []int
		for _, id := range listed(q, "ImageId") {
			numbers = append(numbers, number(id))
		}
		turn <- struct{}{}
		stay := used(numbers)
		<-turn
		items := ""
		for _, n := range stay {
			items += "<item><imageId>" + imageID(n) + "</imageId><resourceType>ec2:Instance</resourceType><arn>arn:x</arn></item>"
		}
		return reply(r, 200, `<DescribeImageReferencesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>1</requestId><imageReferenceSet>`+
			items+`</imageReferenceSet></DescribeImageReferencesResponse>`), nil
	})
	return o
}

// staying are orders whose recheck finds some images in use.
func staying(used ...int) orders {
	return rechecking(func(numbers []int) []int {
		return slices.DeleteFunc(numbers, func(n int) bool { return !slices.Contains(used, n) })
	})
}

// shortly is when everything leaves the Recycle Bin of these tests.
var shortly = time.Date(2030, 1, 15, 2, 0, 0, 0, time.UTC)

// binOf is a Recycle Bin that shows, from the nth reading on, which of the requested images or
// snapshots are gone.
func binOf(t *testing.T, account *emulator.Account, n int) emulator.Doer {
	var mu sync.Mutex // Images and snapshots are read concurrently.
	looks := map[string]int{}
	all := holdings(t, account)
	return emulator.DoerFunc(func(r *httpRequest) (*httpResponse, error) {
		q, err := emulator.Inspect(r)
		if err != nil {
			return nil, err
		}
		what, prefix := "Image", "ami-"
		if strings.Contains(q.Action, "Snapshot") {
			what, prefix = "Snapshot", "snap-"
		}
		mu.Lock()
		defer mu.Unlock()
		looks[what]++
		items, there := "", holdings(t, account)
		for id := range all {
			asked := listed(q, what+"Id")
			if strings.HasPrefix(id, prefix) && !there[id] && looks[what] >= n && (len(asked) == 0 || slices.Contains(asked, id)) {
				item := strings.ToLower(what) + "Id"
				items += "<item><" + item + ">" + id + "</" + item + "><recycleBinExitTime>" + shortly.Format(time.RFC3339) + "</recycleBinExitTime></item>"
			}
		}
		set := strings.ToLower(what) + "Set"
		return reply(r, 200, "<"+q.Action+`Response xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>1</requestId><`+set+">"+items+"</"+set+"></"+q.Action+"Response>"), nil
	})
}

// withoutSnapshots is a Recycle Bin that receives no snapshots.
func withoutSnapshots(bin emulator.Doer) emulator.Doer {
	return emulator.DoerFunc(func(r *httpRequest) (*httpResponse, error) {
		if q, err := emulator.Inspect(r); err != nil || q.Action == "ListImagesInRecycleBin" {
			return bin.Do(r)
		}
		return reply(r, 200, `<ListSnapshotsInRecycleBinResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>1</requestId><snapshotSet/></ListSnapshotsInRecycleBinResponse>`), nil
	})
}

// noted is what a journal says about the removal of an image.
type noted struct {
	Status    ami.Status           `json:"status"`
	Refused   bool                 `json:"refused"`
	Declared  []string             `json:"declaredSnapshotIds"`
	Snapshots []ami.SnapshotResult `json:"snapshots"`
}

func (n noted) summary() string {
	if n.Status == "" {
		return ""
	}
	if n.Status == "attempted" {
		words := []string{"attempted"}
		for _, id := range n.Declared {
			words = append(words, fmt.Sprint(strings.TrimLeft(strings.TrimPrefix(id, "snap-"), "0"), " declared"))
		}
		return strings.Join(words, "; ")
	}
	return summary(ami.Outcome{Status: n.Status, Snapshots: n.Snapshots})
}

func notedOf(t *testing.T, records string, n int) noted {
	t.Helper()
	var found noted
	data, err := os.ReadFile(filepath.Join(records, "removals", "us-east-1", imageID(n), runID+".json"))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return found
	}
	if err == nil {
		err = json.Unmarshal(data, &found)
	}
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// loseLock writes another run's lock over the one of this run.
func loseLock(t *testing.T, records string) {
	t.Helper()
	lock := fmt.Sprintf(`{"run": %q, "region": "us-east-1", "at": %q, "nonce": "x"}`, theirRun, time.Now().UTC().Format(time.RFC3339))
	if err := os.WriteFile(filepath.Join(records, "locks", "us-east-1.json"), []byte(lock), 0o600); err != nil {
		t.Fatal(err)
	}
}

// before lets something happen before each call of an action.
func before(next emulator.Doer, action string, happen func(q emulator.Request)) emulator.Doer {
	return emulator.DoerFunc(func(r *httpRequest) (*httpResponse, error) {
		if q, err := emulator.Inspect(r); err == nil && q.Action == action {
			happen(q)
		}
		return next.Do(r)
	})
}

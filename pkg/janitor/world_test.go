package janitor_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"pgregory.net/rapid"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/config"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/janitor"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

const accountID = "123456789012"

var now = time.Date(2026, time.November, 23, 2, 0, 0, 0, time.UTC)

type object = map[string]any

func imageID(n int) string    { return fmt.Sprintf("ami-%017x", n) }
func snapshotID(n int) string { return fmt.Sprintf("snap-%017x", n) }

func daysAgo(days int) string { return now.AddDate(0, 0, -days).Format(time.RFC3339) }

// image is a one-off that was made and launched some days ago; never if launched is 0.
func image(n, age, launched int, snapshots ...int) object {
	mappings := []object{}
	for _, s := range snapshots {
		mappings = append(mappings, object{"DeviceName": fmt.Sprint("/dev/sd", s), "Ebs": object{"SnapshotId": snapshotID(s)}})
	}
	o := object{
		"ImageId": imageID(n), "Name": "one-off-" + strings.Repeat("x", n%7), "OwnerId": accountID, "State": "available",
		"CreationDate": daysAgo(age), "BlockDeviceMappings": mappings,
	}
	if launched > 0 {
		o["LastLaunchedTime"] = daysAgo(launched)
	}
	return o
}

// with sets a field of an object.
func with(o object, key string, value any) object {
	o[key] = value
	return o
}

func tagged(o object, key, value string) object {
	return with(o, "Tags", []object{{"Key": key, "Value": value}})
}

func instance(n int, imageID, state string) object {
	return object{"ReservationId": fmt.Sprint("r-", n), "Instances": []object{{
		"InstanceId": fmt.Sprintf("i-%017x", n), "ImageId": imageID, "State": object{"Name": state},
	}}}
}

func templateVersion(n int, imageID string) object {
	return object{
		"LaunchTemplateId": fmt.Sprintf("lt-%017x", n), "LaunchTemplateName": fmt.Sprint("template", n), "VersionNumber": 1, "DefaultVersion": true,
		"LaunchTemplateData": object{"ImageId": imageID},
	}
}

// world is what an account holds in one region. The snapshots that images map need not be listed.
type world struct {
	images, snapshots, reservations, versions, locks []object
	permissions                                      object
	more                                             map[string]object   // Further files, by name.
	answers                                          map[string][]object // Further arrays.
}

// and adds an object to the list of a further file.
func (w world) and(file, list string, o object) world {
	more := maps.Clone(w.more)
	if more == nil {
		more = map[string]object{}
	}
	items, _ := more[file][list].([]object)
	more[file] = object{list: append(slices.Clip(items), o)}
	w.more = more
	return w
}

// answering adds an answer to a further file that is an array of them.
func (w world) answering(file string, o object) world {
	answers := maps.Clone(w.answers)
	if answers == nil {
		answers = map[string][]object{}
	}
	answers[file] = append(slices.Clip(answers[file]), o)
	w.answers = answers
	return w
}

// parameter adds an SSM parameter to a world.
func (w world) parameter(name, value string, fields object) world {
	o := object{"Name": name, "Type": "String", "Value": value, "Version": 1}
	maps.Copy(o, fields)
	return w.and("get-parameters.json", "Parameters", o)
}

func (w world) files(t rapid.TB) fstest.MapFS {
	t.Helper()
	listed := map[any]bool{}
	snapshots := slices.Clone(w.snapshots)
	for _, s := range snapshots {
		listed[s["SnapshotId"]] = true
	}
	for _, image := range w.images {
		for _, mapping := range image["BlockDeviceMappings"].([]object) {
			if id := mapping["Ebs"].(object)["SnapshotId"]; !listed[id] {
				listed[id] = true
				snapshots = append(snapshots, object{
					"SnapshotId": id, "OwnerId": accountID, "State": "completed", "VolumeSize": 10,
					"Description": fmt.Sprintf("Created by CreateImage(i-0123456789abcdef0) for %s", image["ImageId"]),
				})
			}
		}
	}
	templates := []object{}
	for _, v := range w.versions {
		templates = append(templates, object{"LaunchTemplateId": v["LaunchTemplateId"], "LaunchTemplateName": v["LaunchTemplateName"], "DefaultVersionNumber": 1, "LatestVersionNumber": 1})
	}
	list := func(key string, items []object) object { return object{key: append([]object{}, items...)} }
	files := fstest.MapFS{}
	for name, content := range map[string]object{
		"get-caller-identity.json":               {"Account": accountID, "Arn": "arn:aws:iam::" + accountID + ":root"},
		"describe-images.json":                   list("Images", w.images),
		"describe-snapshots.json":                list("Snapshots", snapshots),
		"describe-instances.json":                list("Reservations", w.reservations),
		"describe-launch-templates.json":         list("LaunchTemplates", templates),
		"describe-launch-template-versions.json": list("LaunchTemplateVersions", w.versions),
		"describe-locked-snapshots.json":         list("Snapshots", w.locks),
		"describe-launch-permissions.json":       w.permissions,
	} {
		if content != nil {
			files[name] = file(t, content)
		}
	}
	for name, content := range w.more {
		files[name] = file(t, content)
	}
	for name, content := range w.answers {
		files[name] = file(t, content)
	}
	return files
}

func file(t rapid.TB, content any) *fstest.MapFile {
	t.Helper()
	data, err := json.Marshal(content)
	if err != nil {
		t.Fatal(err)
	}
	return &fstest.MapFile{Data: data}
}

func (w world) load(t rapid.TB) *emulator.Account {
	t.Helper()
	return w.loadAt(t, func() time.Time { return now })
}

// loadAt is load with another clock than one that stands still.
func (w world) loadAt(t rapid.TB, clock func() time.Time) *emulator.Account {
	t.Helper()
	account, err := emulator.Load(w.files(t), emulator.Options{Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	return account
}

// settings are values of the configuration by variable.
type settings map[string]string

func (s settings) parse(t rapid.TB) config.Config {
	t.Helper()
	parsed, err := config.Parse(func(variable string) string { return s[variable] })
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// bare are the settings for a world that has no rules of the Recycle Bin. Those of a test win.
var bare = settings{"REQUIRE_RECYCLE_BIN": "false", "RECYCLE_BIN_DAYS": "0"}

// and adds settings, which win.
func (s settings) and(more settings) settings {
	all := maps.Clone(s)
	maps.Copy(all, more)
	return all
}

// newJanitor is a janitor in us-east-1 at the time now. It asks for a Recycle Bin only if the
// settings do.
func newJanitor(t rapid.TB, doer emulator.Doer, s settings) *janitor.Janitor {
	t.Helper()
	return &janitor.Janitor{
		ReadFile: readFile,
		Config:   bare.and(s).parse(t),
		AWS: aws.Config{
			Region: "us-east-1", HTTPClient: doer,
			Credentials: credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "secret", ""),
		},
		Clock: func() time.Time { return now },
	}
}

func readFile(path string) (text []byte, modified time.Time, err error) {
	if text, err = os.ReadFile(path); err != nil {
		return nil, time.Time{}, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, time.Time{}, err
	}
	return text, info.ModTime(), nil
}

// run carries out a real run, or a dry one.
func run(t rapid.TB, doer emulator.Doer, s settings, dry bool) record.Run {
	t.Helper()
	return newJanitor(t, doer, s).Run(context.Background(), "run", dry)
}

// bubble runs a test in fake time, at the time now. What waits takes no time.
func bubble(t *testing.T, test func(*testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(now))
		test(t)
	})
}

// eachNth is the step from one try to the next of a test with many like ones: 1, or n in a short
// run. make race runs short: what two goroutines share, any of the tries shows.
func eachNth(n int) int {
	if testing.Short() {
		return n
	}
	return 1
}

// thinned keeps each nth of what a test tries in a short run.
func thinned[T any](tries []T, n int) []T {
	var kept []T
	for i := 0; i < len(tries); i += eachNth(n) {
		kept = append(kept, tries[i])
	}
	return kept
}

// inBubble is a test whose deadline nobody asks for, which is forbidden inside of a bubble of
// package synctest.
type inBubble struct{ *testing.T }

// isRead reports whether an action changes nothing. Publishing the digest is no change either.
func isRead(action string) bool {
	return strings.HasPrefix(action, "Describe") || strings.HasPrefix(action, "Get") || strings.HasPrefix(action, "List") || action == "Publish"
}

// writes are the calls that an account has answered and that change something, in their order.
func writes(account *emulator.Account) []string {
	var actions []string
	for _, call := range account.Calls() {
		if !isRead(call.Action) {
			actions = append(actions, call.Action)
		}
	}
	return actions
}

// callsOf counts the calls that an account has answered, by action.
func callsOf(account *emulator.Account) map[string]int {
	counts := map[string]int{}
	for _, call := range account.Calls() {
		counts[call.Action]++
	}
	return counts
}

// calls counts the calls of some actions that an account has answered, of all if none is named.
func calls(account *emulator.Account, actions ...string) int {
	n := 0
	for _, call := range account.Calls() {
		if len(actions) == 0 || slices.Contains(actions, call.Action) {
			n++
		}
	}
	return n
}

// holdings are the ids of what an account holds in its home region.
func holdings(t rapid.TB, account *emulator.Account) map[string]bool {
	t.Helper()
	api := wire.EC2(newJanitor(t, account.Client(), nil).AWS, "us-east-1")
	images, err := api.DescribeImages(context.Background(), &ec2.DescribeImagesInput{IncludeDisabled: aws.Bool(true)})
	if err != nil {
		t.Fatal(err)
	}
	snapshots, err := api.DescribeSnapshots(context.Background(), &ec2.DescribeSnapshotsInput{})
	if err != nil {
		t.Fatal(err)
	}
	left := map[string]bool{}
	for _, i := range images.Images {
		left[*i.ImageId] = true
	}
	for _, s := range snapshots.Snapshots {
		left[*s.SnapshotId] = true
	}
	return left
}

// verdicts are the decisions or outcomes of a record, by image id: "keep", "deregister",
// "deregistered", "failed" and so on.
func verdicts(record record.Run) map[string]string {
	byID := map[string]string{}
	for _, region := range record.Regions {
		for _, i := range region.Images {
			byID[i.ImageID] = string(i.Verdict)
			if i.Outcome != nil {
				byID[i.ImageID] = string(i.Outcome.Status)
			}
		}
	}
	return byID
}

// codes are the reasons of an image.
func codes(record record.Run, imageID string) []retention.Code {
	var found []retention.Code
	for _, region := range record.Regions {
		for _, i := range region.Images {
			for _, reason := range i.Reasons {
				if i.ImageID == imageID {
					found = append(found, reason.Code)
				}
			}
		}
	}
	return found
}

// wantVerdicts compares what a record says of images.
func wantVerdicts(t *testing.T, record record.Run, want map[string]string) {
	t.Helper()
	got := verdicts(record)
	for id, verdict := range want {
		if got[id] != verdict {
			t.Errorf("%s: %q, want %q; %v", id, got[id], verdict, codes(record, id))
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d images in the record, want %d: %v", len(got), len(want), got)
	}
}

// checkRecord checks what holds for every record.
func checkRecord(t rapid.TB, record record.Run, limit int) {
	t.Helper()
	removed, marked := 0, 0
	for _, region := range record.Regions {
		if region.Error != "" && len(region.Images) > 0 {
			t.Errorf("%s failed, and yet has images", region.Region)
		}
		seen := map[string]bool{}
		for _, i := range region.Images {
			if seen[i.ImageID] {
				t.Errorf("%s is in the record twice", i.ImageID)
			}
			seen[i.ImageID] = true
			if len(i.Reasons) == 0 {
				t.Errorf("%s has no reason", i.ImageID)
			}
			checkOutcome(t, i, record.DryRun)
			switch i.Verdict {
			case retention.Deregister:
				removed++
			case retention.Mark:
				marked++
			case retention.Keep, retention.Defer:
			}
		}
	}
	if removed > limit || marked > limit {
		t.Errorf("the plan removes %d images and announces %d, the cap is %d for each", removed, marked, limit)
	}
	c := record.Totals
	if sum := c.Kept + c.Deregistered + c.WouldDeregister + c.Deferred + c.Marked + c.Failed + c.Skipped; sum != c.Images {
		t.Errorf("the counts add up to %d, not %d: %+v", sum, c.Images, c)
	}
	if record.Totals.Images != len(allImages(record)) {
		t.Errorf("%d images counted, %d in the record", record.Totals.Images, len(allImages(record)))
	}
}

// checkOutcome checks that what a plan wanted has an outcome in a real run, of its own kind; of an
// image that is kept only what could not be done is told.
func checkOutcome(t rapid.TB, i record.Image, dry bool) {
	t.Helper()
	todo := i.Verdict == retention.Deregister || i.Verdict == retention.Mark
	switch {
	case i.Outcome == nil && (dry || !todo):
	case i.Outcome == nil || dry, !todo && (i.Verdict != retention.Keep || i.Outcome.Status != ami.Failed),
		i.Verdict == retention.Deregister && i.Outcome.Status == ami.Marked, i.Verdict == retention.Mark && i.Outcome.Status == ami.Deregistered:
		t.Errorf("%s: verdict %s, outcome %+v, dry run %v", i.ImageID, i.Verdict, i.Outcome, dry)
	}
	// Nothing is claimed of what was not announced.
	acts := i.Verdict == retention.Mark && (i.Outcome == nil || i.Outcome.Status == ami.Marked)
	if acts != (i.Action != "") && i.Verdict != retention.Keep || i.Verdict == retention.Mark && i.DueOn == "" {
		t.Errorf("%s: verdict %s, action %q, due on %q", i.ImageID, i.Verdict, i.Action, i.DueOn)
	}
}

// checkState checks that the record of a real run agrees with the images and snapshots left in the
// account.
func checkState(t rapid.TB, run record.Run, before, left map[string]bool) {
	t.Helper()
	named := map[string]bool{}
	for _, i := range allImages(run) {
		named[i.ImageID] = true
		gone := i.Outcome != nil && i.Outcome.Status == ami.Deregistered
		doubtful := i.Outcome != nil && strings.Contains(i.Outcome.Error, "may or may not")
		if left[i.ImageID] == gone && !doubtful {
			t.Errorf("%s is there: %v; the record says %+v", i.ImageID, left[i.ImageID], i.Outcome)
		}
		if i.Outcome == nil {
			continue
		}
		for _, s := range i.Outcome.Snapshots {
			named[s.SnapshotID] = true
			if s.Status == ami.SnapshotDeleted && left[s.SnapshotID] || s.Status == ami.SnapshotKept && before[s.SnapshotID] && !left[s.SnapshotID] {
				t.Errorf("%s is there: %v; the record says %+v", s.SnapshotID, left[s.SnapshotID], s)
			}
		}
	}
	for id := range before {
		if !named[id] && !left[id] {
			t.Errorf("%s is gone, and the record does not say so", id)
		}
	}
}

func allImages(run record.Run) []record.Image {
	var images []record.Image
	for _, region := range run.Regions {
		images = append(images, region.Images...)
	}
	return images
}

// on lets a fault happen to some calls. The matcher is told which call of its action each is, from
// 1, and is asked about one at a time; it may wait.
func on(next emulator.Doer, match func(q emulator.Request, n int) bool, fault func(emulator.Doer, *http.Request) (*http.Response, error)) emulator.Doer {
	// Time would stand still in a bubble in which somebody waits for a mutex.
	turn := make(chan struct{}, 1)
	count := map[string]int{}
	return emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
		q, err := emulator.Inspect(r)
		if err != nil {
			return nil, err
		}
		turn <- struct{}{}
		count[q.Action]++
		matches := match(q, count[q.Action])
		<-turn
		if matches {
			return fault(next, r)
		}
		return next.Do(r)
	})
}

// slow makes the calls of some actions last; a request that is given up ends at once.
func slow(next emulator.Doer, durations map[string]time.Duration) emulator.Doer {
	return emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
		q, err := emulator.Inspect(r)
		if err != nil {
			return nil, err
		}
		select {
		case <-time.After(durations[q.Action]):
			return next.Do(r)
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	})
}

// readFaults are the ways in which a read can go wrong.
var readFaults = map[string]func(emulator.Doer, *http.Request) (*http.Response, error){
	"denied": func(_ emulator.Doer, r *http.Request) (*http.Response, error) {
		return failing(r, http.StatusForbidden, map[string]string{"ec2": "UnauthorizedOperation", "ssm": "AccessDeniedException", "rbin": "AccessDeniedException", "": "AccessDenied"})
	},
	"throttled": func(_ emulator.Doer, r *http.Request) (*http.Response, error) {
		return failing(r, http.StatusServiceUnavailable, map[string]string{"ec2": "RequestLimitExceeded", "ssm": "ThrottlingException", "s3": "SlowDown", "": "Throttling"})
	},
	"broken": func(_ emulator.Doer, r *http.Request) (*http.Response, error) {
		return failing(r, http.StatusInternalServerError, map[string]string{"ec2": "InternalError", "ssm": "InternalServerError", "": "InternalFailure"})
	},
	"not known": func(_ emulator.Doer, r *http.Request) (*http.Response, error) {
		return failing(r, http.StatusBadRequest, map[string]string{"ssm": "UnknownOperationException", "": "InvalidAction"})
	},
	"web page": func(_ emulator.Doer, r *http.Request) (*http.Response, error) {
		return reply(r, http.StatusOK, "<!DOCTYPE html><html><body>Sign in</body></html>"), nil
	},
	"empty": func(_ emulator.Doer, r *http.Request) (*http.Response, error) {
		return reply(r, http.StatusOK, ""), nil
	},
	"unreachable": func(emulator.Doer, *http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF },
	"truncated": func(next emulator.Doer, r *http.Request) (*http.Response, error) {
		response, err := next.Do(r)
		if err != nil {
			return nil, err
		}
		body, err := io.ReadAll(response.Body)
		response.Body = io.NopCloser(bytes.NewReader(body[:len(body)/2]))
		return response, err
	},
}

// failing answers with an error, in the form of the service that was asked; the code is given by
// service.
func failing(r *http.Request, status int, codes map[string]string) (*http.Response, error) {
	q, err := emulator.Inspect(r)
	code := cmp.Or(codes[q.Service], codes[""])
	body := "<Response><Errors><Error><Code>" + code + "</Code><Message>Said so.</Message></Error></Errors><RequestID>1</RequestID></Response>"
	switch q.Service {
	case "ec2":
	case "s3":
		body = "<Error><Code>" + code + "</Code><Message>Said so.</Message></Error>"
	case "ssm", "rbin", "batch", "pcs", "elasticmapreduce", "sagemaker", "imagebuilder":
		body = `{"__type":"` + code + `","message":"Said so."}`
	default:
		body = "<ErrorResponse><Error><Type>Sender</Type><Code>" + code + "</Code><Message>Said so.</Message></Error><RequestId>1</RequestId></ErrorResponse>"
	}
	return reply(r, status, body), err
}

func reply(r *http.Request, status int, body string) *http.Response {
	kind := "text/xml;charset=UTF-8"
	if strings.HasPrefix(body, "{") {
		kind = "application/x-amz-json-1.1"
	}
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {kind}}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}
}

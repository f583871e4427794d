package sweep_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"pgregory.net/rapid"

	"github.com/ami-janitor/ami-janitor/internal/testaccount"
	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

const accountID = "123456789012"

type object = testaccount.Object

var imageID, snapshotID = testaccount.ImageID, testaccount.SnapshotID

// image is DescribeImages's answer for an image that maps some snapshots.
func image(n int, snapshots ...int) object {
	// Not every mapping is a snapshot.
	mappings := []object{{"DeviceName": "/dev/sdz", "VirtualName": "ephemeral0"}}
	for _, s := range snapshots {
		mappings = append(mappings, object{"DeviceName": fmt.Sprintf("/dev/sd%d", s), "Ebs": object{"SnapshotId": snapshotID(s)}})
	}
	return object{
		"ImageId": imageID(n), "Name": fmt.Sprint("image ", n), "OwnerId": accountID, "State": "available",
		"CreationDate": "2020-01-01T00:00:00.000Z", "BlockDeviceMappings": mappings,
	}
}

// load returns an account that holds the images and every snapshot that they map.
func load(t rapid.TB, images ...object) *emulator.Account {
	t.Helper()
	return loadShared(t, object{}, images...)
}

// loadShared is load for images that other accounts may launch, or some of them; a null is a
// permission nobody may see.
func loadShared(t rapid.TB, permissions object, images ...object) *emulator.Account {
	t.Helper()
	snapshots := map[string]object{}
	for _, image := range images {
		for _, mapping := range image["BlockDeviceMappings"].([]object) {
			if ebs, ok := mapping["Ebs"].(object); ok {
				id := ebs["SnapshotId"].(string)
				snapshots[id] = object{"SnapshotId": id, "OwnerId": accountID, "State": "completed", "VolumeSize": 8}
			}
		}
	}
	listed := []object{}
	for _, snapshot := range snapshots {
		listed = append(listed, snapshot)
	}
	loaded = testaccount.Files{
		"describe-images.json":             object{"Images": append([]object{}, images...)},
		"describe-snapshots.json":          object{"Snapshots": listed},
		"describe-launch-permissions.json": permissions,
	}.Load(t, emulator.Options{})
	return loaded
}

// client is the real SDK client, as the janitor makes it.
func client(doer emulator.Doer) *ec2.Client {
	return wire.EC2(testaccount.Config(doer), "us-east-1")
}

// held are the ids of the resources of an account.
type held map[string]bool

// holdings lists the resources of an account, without the faults.
func holdings(t rapid.TB, account *emulator.Account) held {
	t.Helper()
	api := client(account.Client())
	images, err := api.DescribeImages(context.Background(), &ec2.DescribeImagesInput{IncludeDisabled: aws.Bool(true)})
	if err != nil {
		t.Fatal(err)
	}
	snapshots, err := api.DescribeSnapshots(context.Background(), &ec2.DescribeSnapshotsInput{})
	if err != nil {
		t.Fatal(err)
	}
	ids := held{}
	for _, image := range images.Images {
		ids[*image.ImageId] = true
	}
	for _, snapshot := range snapshots.Snapshots {
		ids[*snapshot.SnapshotId] = true
	}
	return ids
}

// due is the verdict on an image to deregister, with the snapshots that are deleted with it.
func due(n int, snapshots ...int) retention.Verdict {
	v := retention.Verdict{Image: ami.Image{ID: imageID(n)}, Decision: retention.Deregister}
	for _, s := range snapshots {
		v.Snapshots = append(v.Snapshots, retention.SnapshotVerdict{SnapshotID: snapshotID(s), Delete: true})
	}
	return v
}

// keeping adds a snapshot that stays to a verdict.
func keeping(v retention.Verdict, s int, why string) retention.Verdict {
	v.Snapshots = append(v.Snapshots, retention.SnapshotVerdict{SnapshotID: snapshotID(s), Why: why})
	return v
}

// planOf is a plan of these verdicts in this order: a snapshot goes with the last of the images
// that map it.
func planOf(verdicts ...retention.Verdict) retention.Plan {
	last := map[string]string{}
	for _, v := range verdicts {
		for _, s := range v.Snapshots {
			last[s.SnapshotID] = v.Image.ID
		}
	}
	for _, v := range verdicts {
		for i := range v.Snapshots {
			if v.Snapshots[i].Delete {
				v.Snapshots[i].LastImageID = last[v.Snapshots[i].SnapshotID]
			}
		}
	}
	return retention.Plan{Account: accountID, Region: "us-east-1", Verdicts: verdicts}
}

const (
	runID      = "20300101T020000Z-3f9c1a" // Of this night.
	earlierRun = "20291218T020000Z-7ab3c9" // Has announced removals two weeks before.
	oldRun     = "20290215T020000Z-0a1b2c" // So long ago that its announcements no longer count.
	theirRun   = "20291219T020000Z-0a1b2c" // Of another policy.

	ourPolicy, theirPolicy = "team-a", "team-b"
)

// tally records every request that is sent, whether it arrives or not.
type tally struct {
	emulator.Doer

	mu       sync.Mutex
	requests []emulator.Request
}

func (c *tally) Do(r *http.Request) (*http.Response, error) {
	q, err := emulator.Inspect(r)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.requests = append(c.requests, q)
	c.mu.Unlock()
	return c.Doer.Do(r)
}

// sent counts the requests of some actions.
func (c *tally) sent(actions ...string) int {
	n := 0
	for _, q := range c.requests {
		if slices.Contains(actions, q.Action) {
			n++
		}
	}
	return n
}

// fault is what happens to one request.
type fault func(emulator.Doer, *http.Request) (*http.Response, error)

// faulty injects faults into the calls of an action, in order; later calls are answered as usual.
func faulty(next emulator.Doer, action string, faults ...fault) emulator.Doer {
	var calls atomic.Int64
	return emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
		q, err := emulator.Inspect(r)
		if err != nil || q.Action != action {
			return next.Do(r)
		}
		n := int(calls.Add(1))
		if n > len(faults) {
			return next.Do(r)
		}
		return faults[n-1](next, r)
	})
}

// always repeats a fault for as long as any test lasts.
func always(f fault) []fault { return slices.Repeat([]fault{f}, 1000) }

// The faults. Those named after… let the request take effect.
func none(next emulator.Doer, r *http.Request) (*http.Response, error) { return next.Do(r) }

func unreachable(_ emulator.Doer, r *http.Request) (*http.Response, error) {
	return nil, &url.Error{Op: r.Method, URL: r.URL.String(), Err: &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}}
}

func afterReset(next emulator.Doer, r *http.Request) (*http.Response, error) {
	if _, err := next.Do(r); err != nil {
		return nil, err
	}
	return nil, &url.Error{Op: r.Method, URL: r.URL.String(), Err: &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}}
}

// refuse answers with an error of EC2; the request has no effect.
func refuse(status int, code string) fault {
	return func(_ emulator.Doer, r *http.Request) (*http.Response, error) {
		return reply(r, status, "<Response><Errors><Error><Code>"+code+"</Code><Message>Said so.</Message></Error></Errors><RequestID>1</RequestID></Response>"), nil
	}
}

// after lets the request take effect and answers with something else.
func after(f fault) fault {
	return func(next emulator.Doer, r *http.Request) (*http.Response, error) {
		if _, err := next.Do(r); err != nil {
			return nil, err
		}
		return f(next, r)
	}
}

var (
	throttled  = refuse(http.StatusServiceUnavailable, "RequestLimitExceeded")
	denied     = refuse(http.StatusForbidden, "UnauthorizedOperation")
	broken     = refuse(http.StatusInternalServerError, "InternalError")
	overloaded = refuse(http.StatusServiceUnavailable, "Unavailable")
)

func webPage(_ emulator.Doer, r *http.Request) (*http.Response, error) {
	return reply(r, http.StatusOK, "<!DOCTYPE html><html><body>Please sign in</body></html>"), nil
}

func empty(_ emulator.Doer, r *http.Request) (*http.Response, error) {
	return reply(r, http.StatusOK, ""), nil
}

// unconfirmed is an answer to DeregisterImage that does not say <return>.
func unconfirmed(_ emulator.Doer, r *http.Request) (*http.Response, error) {
	return reply(r, http.StatusOK, `<DeregisterImageResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>1</requestId></DeregisterImageResponse>`), nil
}

// somebodyElse deregisters the image, snapshots left, just before the request comes.
func somebodyElse(next emulator.Doer, r *http.Request) (*http.Response, error) {
	q, err := emulator.Inspect(r)
	if err != nil {
		return nil, err
	}
	_, _ = client(next).DeregisterImage(r.Context(), &ec2.DeregisterImageInput{ImageId: aws.String(q.Form.Get("ImageId"))})
	return next.Do(r)
}

func deregistration(n int) *ec2.DeregisterImageInput {
	return &ec2.DeregisterImageInput{ImageId: aws.String(imageID(n))}
}

// ignoringFlag is an endpoint that does not know DeleteAssociatedSnapshots.
func ignoringFlag(next emulator.Doer, r *http.Request) (*http.Response, error) {
	return next.Do(without(r, "DeleteAssociatedSnapshots"))
}

// codes deregisters the image, leaves its snapshots and says so with return codes.
func codes(code types.SnapshotReturnCodes, ids ...string) fault {
	return func(next emulator.Doer, r *http.Request) (*http.Response, error) {
		if _, err := next.Do(without(r, "DeleteAssociatedSnapshots")); err != nil {
			return nil, err
		}
		var items strings.Builder
		for _, id := range ids {
			fmt.Fprintf(&items, "<item><snapshotId>%s</snapshotId><returnCode>%s</returnCode></item>", id, code)
		}
		return reply(r, http.StatusOK, `<DeregisterImageResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>1</requestId>`+
			`<return>true</return><deleteSnapshotResultSet>`+items.String()+`</deleteSnapshotResultSet></DeregisterImageResponse>`), nil
	}
}

func reply(r *http.Request, status int, body string) *http.Response {
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"text/xml;charset=UTF-8"}}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}
}

// without takes a parameter out of a request.
func without(r *http.Request, parameter string) *http.Request {
	body, _ := io.ReadAll(r.Body)
	form, _ := url.ParseQuery(string(body))
	form.Del(parameter)
	r = r.Clone(r.Context())
	r.Body = io.NopCloser(bytes.NewReader([]byte(form.Encode())))
	return r
}

// summary is one line on an outcome: "deregistered; snap-…1 deleted; snap-…2 kept".
func summary(outcome ami.Outcome) string {
	words := []string{string(outcome.Status)}
	for _, s := range outcome.Snapshots {
		words = append(words, strings.TrimLeft(strings.TrimPrefix(s.SnapshotID, "snap-"), "0")+" "+string(s.Status))
	}
	return strings.Join(words, "; ")
}

// wantOutcomes compares summaries.
func wantOutcomes(t *testing.T, got []ami.Outcome, want ...string) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			t.Errorf("no outcome %d, want %q", i, want[i])
		case i >= len(want):
			t.Errorf("an outcome too many: %+v", got[i])
		case summary(got[i]) != want[i]:
			t.Errorf("%s: %q, want %q (%+v)", got[i].ImageID, summary(got[i]), want[i], got[i])
		}
	}
}

// wantHeld compares what an account holds with the numbers of images and snapshots, written "image
// 1, snapshot 2".
func wantHeld(t *testing.T, account *emulator.Account, want ...string) {
	t.Helper()
	var got []string
	for id := range holdings(t, account) {
		kind, number, _ := strings.Cut(id, "-")
		kind = map[string]string{"ami": "image", "snap": "snapshot"}[kind]
		got = append(got, kind+" "+cmp.Or(strings.TrimLeft(number, "0"), "0"))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the account holds %q, want %q", got, want)
	}
}

// says checks that a text contains all words.
func says(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, word := range words {
		if !strings.Contains(text, word) {
			t.Errorf("%q does not say %q", text, word)
		}
	}
}

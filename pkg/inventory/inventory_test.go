package inventory_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/google/go-cmp/cmp"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/internal/testaccount"
	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/inventory"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

const (
	owner  = "123456789012"
	region = "eu-west-1"
)

type object = testaccount.Object

// holding loads an account that holds images, snapshots and locks, each one JSON object.
func holding(t *testing.T, images, snapshots, locks []object) *emulator.Account {
	t.Helper()
	return testaccount.Files{
		"describe-images.json":           object{"Images": append([]object{}, images...)},
		"describe-snapshots.json":        object{"Snapshots": append([]object{}, snapshots...)},
		"describe-locked-snapshots.json": object{"Snapshots": append([]object{}, locks...)},
	}.Load(t, emulator.Options{Region: region})
}

// client is the client that the janitor uses.
func client(doer emulator.Doer) *ec2.Client { return wire.EC2(testaccount.Config(doer), region) }

// read reads the inventory through that client.
func read(ctx context.Context, doer emulator.Doer) (ami.Inventory, error) {
	return inventory.Read(ctx, client(doer), owner, region)
}

// mustRead reads the inventory of an account.
func mustRead(t *testing.T, account *emulator.Account) ami.Inventory {
	t.Helper()
	got, err := read(t.Context(), account.Client())
	if err != nil {
		t.Fatal(err)
	}
	return got
}

var imageID, snapshotID = testaccount.ImageID, testaccount.SnapshotID

// image makes an image as EC2 describes it, with some facts changed; a nil value takes a fact away.
func image(n int, facts object) object {
	made := object{
		"ImageId": imageID(n), "Name": fmt.Sprintf("web-%d", n), "OwnerId": owner, "State": "available", "Architecture": "x86_64",
		"Public": false, "RootDeviceType": "ebs", "ImageLocation": owner + "/web", "CreationDate": "2026-01-02T03:04:05.000Z",
	}
	for key, value := range facts {
		if made[key] = value; value == nil {
			delete(made, key)
		}
	}
	return made
}

func snapshot(n int, facts object) object {
	made := object{"SnapshotId": snapshotID(n), "OwnerId": owner, "VolumeSize": 8, "State": "completed"}
	maps.Copy(made, facts)
	return made
}

func many(n int, one func(int, object) object) []object {
	made := make([]object, n)
	for i := range made {
		made[i] = one(i+1, nil)
	}
	return made
}

func lock(n int, facts object) object {
	made := object{"SnapshotId": snapshotID(n), "LockState": "governance"}
	maps.Copy(made, facts)
	return made
}

func ids[T any](items []T, id func(T) string) []string {
	var ids []string
	for _, item := range items {
		ids = append(ids, id(item))
	}
	slices.Sort(ids)
	return ids
}

func ofImage(i ami.Image) string       { return i.ID }
func ofSnapshot(s ami.Snapshot) string { return s.ID }

// Every listing is read to its last page, and an empty page in the middle is not the last one.
func TestEveryPageIsRead(t *testing.T) {
	const n = 2500
	account := holding(t, many(n, image), many(n, snapshot), many(n, lock))
	got := mustRead(t, account)

	if images := slices.Compact(ids(got.Images, ofImage)); len(images) != n || images[0] != imageID(1) || images[n-1] != imageID(n) {
		t.Errorf("%d images, want %d", len(images), n)
	}
	if snapshots := slices.Compact(ids(got.Snapshots, ofSnapshot)); len(snapshots) != n {
		t.Errorf("%d snapshots, want %d", len(snapshots), n)
	}
	locked := slices.DeleteFunc(slices.Clone(got.Snapshots), func(s ami.Snapshot) bool { return !s.Locked() })
	if len(locked) != n {
		t.Errorf("%d locked snapshots, want %d", len(locked), n)
	}
	calls := map[string]int{}
	for _, call := range account.Calls() {
		calls[call.Action]++
	}
	// Three pages, and the empty one.
	if want := map[string]int{"DescribeImages": 4, "DescribeSnapshots": 4, "DescribeLockedSnapshots": 4}; !cmp.Equal(want, calls) {
		t.Errorf("calls %v, want %v", calls, want)
	}
	if got.Account != owner || got.Region != region {
		t.Errorf("of account %s and region %s", got.Account, got.Region)
	}
}

// listings are the actions whose pages the inventory needs completely.
var listings = []string{"DescribeImages", "DescribeSnapshots", "DescribeLockedSnapshots"}

// A failure on any page fails the entire inventory, and nothing is returned.
func TestAPageThatFailsFailsTheInventory(t *testing.T) {
	const n = 1001 // A second page, of one.
	accounts := map[string]*emulator.Account{
		"DescribeImages":          holding(t, many(n, image), nil, nil),
		"DescribeSnapshots":       holding(t, many(1, image), many(n, snapshot), nil),
		"DescribeLockedSnapshots": holding(t, many(1, image), nil, many(n, lock)),
	}
	first := func(_ int, r emulator.Request) bool { return r.Form.Get("NextToken") == "" }
	second := func(_ int, r emulator.Request) bool { return r.Form.Get("NextToken") != "" }
	faults := map[string]struct {
		fault func(emulator.Doer, string, func(int, emulator.Request) bool) emulator.Doer
		says  string
	}{
		"denied": {func(d emulator.Doer, action string, match func(int, emulator.Request) bool) emulator.Doer {
			return disturb.Fail(d, action, match, 403, "UnauthorizedOperation", "You are not authorized to perform this operation.")
		}, "UnauthorizedOperation: You are not authorized to perform this operation."},
		"throttled": {func(d emulator.Doer, action string, match func(int, emulator.Request) bool) emulator.Doer {
			return disturb.Fail(d, action, match, 503, "RequestLimitExceeded", "Request limit exceeded.")
		}, "RequestLimitExceeded: Request limit exceeded."},
		"broken": {func(d emulator.Doer, action string, match func(int, emulator.Request) bool) emulator.Doer {
			return disturb.Fail(d, action, match, 500, "InternalError", "An internal error has occurred.")
		}, "InternalError: An internal error has occurred."},
		"expired": {func(d emulator.Doer, action string, match func(int, emulator.Request) bool) emulator.Doer {
			return disturb.Fail(d, action, match, 400, "InvalidNextToken", "The token is invalid.")
		}, "InvalidNextToken: The token is invalid."},
		"garbled": {disturb.Garble, "not a complete answer"},
		"lost":    {disturb.LoseAnswer, "connection reset by peer"},
	}
	words := map[string]string{
		"DescribeImages": "listing images: ", "DescribeSnapshots": "listing snapshots: ", "DescribeLockedSnapshots": "listing locked snapshots: ",
	}
	for _, action := range listings {
		for page, match := range map[string]func(int, emulator.Request) bool{"first": first, "second": second} {
			for name, fault := range faults {
				t.Run(action+"/"+page+"/"+name, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						got, err := read(t.Context(), fault.fault(accounts[action].Client(), action, match))
						says := words[action] + fault.says
						if name != "garbled" { // That names the action itself.
							says = words[action] + "ec2:" + action + ": " + fault.says
						}
						if err == nil || !strings.HasPrefix(err.Error(), says) {
							t.Errorf("error %v, want %s", err, says)
						}
						if !cmp.Equal(got, ami.Inventory{}) {
							t.Errorf("an inventory with %d images and %d snapshots", len(got.Images), len(got.Snapshots))
						}
					})
				})
			}
		}
	}
}

// A fault that passes does not fail the inventory.
func TestAFaultThatPasses(t *testing.T) {
	account := holding(t, many(3, image), nil, nil)
	synctest.Test(t, func(t *testing.T) {
		flaky := disturb.Fail(account.Client(), "DescribeImages", func(n int, _ emulator.Request) bool { return n < 4 }, 503, "RequestLimitExceeded", "x")
		flaky = disturb.LoseAnswer(flaky, "DescribeSnapshots", func(n int, _ emulator.Request) bool { return n == 1 })
		got, err := read(t.Context(), flaky)
		if err != nil || len(got.Images) != 3 {
			t.Errorf("%d images, %v; want 3", len(got.Images), err)
		}
	})
}

// A run whose time is over has no inventory.
func TestNoTimeNoInventory(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	got, err := read(ctx, holding(t, many(3, image), nil, nil).Client())
	if err == nil || err.Error() != "listing snapshots: interrupted" || !cmp.Equal(got, ami.Inventory{}) {
		t.Errorf("%+v, %v", got, err)
	}
}

var nextToken = regexp.MustCompile(`(<nextToken>[^<]*</nextToken>)?(</Describe[A-Za-z]+Response>)`)

// leading makes an action's answers lead to the pages of the given tokens, round and round,
// whatever page is asked for. It gives up after a hundred, with an answer that leads nowhere.
func leading(t *testing.T, next emulator.Doer, action string, tokens ...string) emulator.Doer {
	t.Helper()
	n := 0
	return emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
		q, err := emulator.Inspect(r)
		if err != nil || q.Action != action {
			return next.Do(r)
		}
		plain := r.Clone(r.Context())
		q.Form.Del("NextToken")
		plain.Body = io.NopCloser(strings.NewReader(q.Form.Encode()))
		response, err := next.Do(plain)
		if err != nil {
			return nil, err
		}
		body, err := io.ReadAll(response.Body)
		if err != nil {
			return nil, err
		}
		link := ""
		if n++; n < 100 {
			link = "<nextToken>" + tokens[(n-1)%len(tokens)] + "</nextToken>"
		} else if n == 100 {
			t.Errorf("%s: a hundred pages of a listing that goes round in circles were read", action)
		}
		body = nextToken.ReplaceAll(body, []byte(link+"$2"))
		response.Body, response.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		return response, nil
	})
}

// A listing that leads back to an earlier page is an error: the remaining pages are never read. The
// SDK's paginators do not notice it, or stop as if all were read.
func TestCircularListings(t *testing.T) {
	account := holding(t, many(3, image), many(3, snapshot), many(3, lock))
	for _, action := range listings {
		for name, tokens := range map[string][]string{"of_one_page": {"a"}, "of_two_pages": {"a", "b"}, "of_three_pages": {"a", "b", "c"}} {
			t.Run(action+"/"+name, func(t *testing.T) {
				got, err := read(t.Context(), leading(t, account.Client(), action, tokens...))
				if err == nil || !strings.Contains(err.Error(), "leads back") {
					t.Errorf("%d images, %d snapshots, %v; want an error", len(got.Images), len(got.Snapshots), err)
				}
			})
		}
	}
}

// asking records the forms of an action's requests.
func asking(next emulator.Doer, forms map[string][]string) emulator.Doer {
	var mu sync.Mutex
	return emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
		if q, err := emulator.Inspect(r); err == nil {
			form := q.Form
			form.Del("Version")
			mu.Lock()
			forms[q.Action] = append(forms[q.Action], form.Encode())
			mu.Unlock()
		}
		return next.Do(r)
	})
}

// What is listed is the account's own. Disabled images are asked for. Nothing is filtered away, and
// nothing is asked for by id.
func TestWhatIsAskedFor(t *testing.T) {
	forms := map[string][]string{}
	if _, err := read(t.Context(), asking(holding(t, nil, nil, nil).Client(), forms)); err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{
		"DescribeImages":          {"Action=DescribeImages&IncludeDisabled=true&MaxResults=1000&Owner.1=self"},
		"DescribeSnapshots":       {"Action=DescribeSnapshots&MaxResults=1000&Owner.1=self"},
		"DescribeLockedSnapshots": {"Action=DescribeLockedSnapshots&MaxResults=1000"},
	}
	if diff := cmp.Diff(want, forms); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

// The facts of images are read last, so that they are the freshest when the images are judged.
func TestImagesAreReadLast(t *testing.T) {
	account := holding(t, nil, nil, nil)
	mustRead(t, account)
	var order []string
	for _, call := range account.Calls() {
		order = append(order, call.Action)
	}
	if order[len(order)-1] != "DescribeImages" {
		t.Errorf("read in the order %v", order)
	}
}

// Shared and public images of others are not in the inventory, nor are deregistered images that are
// still listed; the account's disabled and deprecated images are.
func TestWhatIsListed(t *testing.T) {
	got := mustRead(t, holding(t, []object{
		image(1, nil),
		image(2, object{"OwnerId": "999999999999"}),
		image(3, object{"OwnerId": "999999999999", "Public": true}),
		image(4, object{"OwnerId": "137112412989", "ImageOwnerAlias": "amazon"}),
		image(5, object{"State": "disabled"}),
		image(6, object{"DeprecationTime": "2020-01-01T00:00:00.000Z"}),
		image(7, object{"State": "pending"}),
		image(8, object{"State": "deregistered"}),
	}, []object{snapshot(1, nil), snapshot(2, object{"OwnerId": "999999999999"})}, nil))
	if diff := cmp.Diff([]string{imageID(1), imageID(5), imageID(6), imageID(7)}, ids(got.Images, ofImage)); diff != "" {
		t.Errorf("images (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{snapshotID(1)}, ids(got.Snapshots, ofSnapshot)); diff != "" {
		t.Errorf("snapshots (-want +got):\n%s", diff)
	}
}

// The recorded account is what AWS really answered; it is not part of the repository.
func TestTheRecordedAccount(t *testing.T) {
	const dir = "../../../shared/recorded"
	if _, err := os.Stat(dir); err != nil {
		t.Skip("the recorded account is not here")
	}
	account, err := emulator.Load(os.DirFS(dir), emulator.Options{Region: region, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	got := mustRead(t, account)
	if len(got.Images) != 6 {
		t.Errorf("%d images, want 6", len(got.Images))
	}
	for _, image := range got.Images {
		if len(image.Unreadable) > 0 || image.CreatedAt.IsZero() || image.State != "available" || image.OwnerID == "" || image.Name == "" {
			t.Errorf("%+v", image)
		}
	}
}

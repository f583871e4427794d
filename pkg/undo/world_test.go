package undo_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"pgregory.net/rapid"

	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/undo"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

const (
	accountID = "123456789012"
	run       = "20261123T020000Z-3f9c1a"
	otherRun  = "20261124T020000Z-0a1b2c"
	keptDays  = 14
)

type object = map[string]any

func imageID(n int) string    { return fmt.Sprintf("ami-%017x", n) }
func snapshotID(n int) string { return fmt.Sprintf("snap-%017x", n) }

// picture is an image of a test, with tags of its own.
type picture struct {
	n          int
	snapshots  []int
	state      string            // available if empty.
	tags       map[string]string // Besides its own.
	store      bool              // Its root device is in the instance store.
	deprecated string
}

func (p picture) object() object {
	mappings := []object{}
	for _, s := range p.snapshots {
		mappings = append(mappings, object{"DeviceName": fmt.Sprint("/dev/sd", s), "Ebs": object{"SnapshotId": snapshotID(s)}})
	}
	state := p.state
	if state == "" {
		state = "available"
	}
	o := object{
		"ImageId": imageID(p.n), "Name": fmt.Sprint("image-", p.n), "OwnerId": accountID, "State": state, "RootDeviceType": "ebs",
		"CreationDate": "2025-01-02T03:04:05.000Z", "BlockDeviceMappings": mappings, "Tags": tagList(p.tags, p.n),
	}
	if p.store {
		o["RootDeviceType"], o["ImageLocation"] = "instance-store", "bucket/image.manifest.xml"
	}
	if p.deprecated != "" {
		o["DeprecationTime"] = p.deprecated
	}
	return o
}

// announced are the tags with which another run has announced a removal, and others: keys and
// values in turn.
func announced(others ...string) map[string]string {
	tags := map[string]string{"ami-janitor:due": "2026-11-23", "ami-janitor:announced-by": otherRun + " team-a"}
	for pair := range slices.Chunk(others, 2) {
		tags[pair[0]] = pair[1]
	}
	return tags
}

func tagList(tags map[string]string, n int) []object {
	list := []object{{"Key": "Team", "Value": fmt.Sprint("team-", n)}}
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		list = append(list, object{"Key": key, "Value": tags[key]})
	}
	return list
}

// world is an account with pictures, their snapshots, and more snapshots that have a description of
// their own.
type world struct {
	pictures     []picture
	descriptions map[int]string
	permissions  object
	inBin        []int // Snapshots that are in the bin to begin with.
	unruled      []int // Snapshots that an exclusion tag keeps out of the bin.
	snapshotDays int   // For how many days the bin holds snapshots; keptDays if 0.
}

func (w world) load(t rapid.TB) *emulator.Account {
	t.Helper()
	images, snapshots := []object{}, []object{}
	listed := map[int]bool{}
	add := func(s int, description string) {
		if listed[s] || slices.Contains(w.inBin, s) {
			return
		}
		listed[s] = true
		if own, ok := w.descriptions[s]; ok {
			description = own
		}
		var tags map[string]string
		if slices.Contains(w.unruled, s) {
			tags = map[string]string{"no-bin": "true"}
		}
		snapshots = append(snapshots, object{
			"SnapshotId": snapshotID(s), "OwnerId": accountID, "State": "completed", "VolumeSize": 8, "Description": description, "Tags": tagList(tags, s),
		})
	}
	for _, p := range w.pictures {
		images = append(images, p.object())
		for _, s := range p.snapshots {
			add(s, fmt.Sprintf("Created by CreateImage(i-%017x) for %s", p.n, imageID(p.n)))
		}
	}
	for _, s := range slices.Sorted(maps.Keys(w.descriptions)) {
		add(s, "")
	}
	binned := []object{}
	for _, s := range w.inBin {
		binned = append(binned, object{
			"SnapshotId": snapshotID(s), "Description": "data", "RecycleBinEnterTime": "2026-11-22T02:00:00.000Z", "RecycleBinExitTime": "2026-12-06T02:00:00.000Z",
		})
	}
	rules := []object{}
	if len(w.unruled)+w.snapshotDays > 0 {
		for kind, days := range map[string]int{"EC2_IMAGE": keptDays, "EBS_SNAPSHOT": cmp.Or(w.snapshotDays, keptDays)} {
			rules = append(rules, object{
				"Identifier": kind, "ResourceType": kind, "Status": "available", "ExcludeResourceTags": []object{{"ResourceTagKey": "no-bin", "ResourceTagValue": "true"}},
				"RetentionPeriod": object{"RetentionPeriodValue": days, "RetentionPeriodUnit": "DAYS"},
			})
		}
	}
	files := fstest.MapFS{}
	for name, content := range map[string]object{
		"get-caller-identity.json":         {"Account": accountID, "Arn": "arn:aws:iam::" + accountID + ":root"},
		"describe-images.json":             {"Images": images},
		"describe-snapshots.json":          {"Snapshots": snapshots},
		"describe-launch-permissions.json": w.permissions,

		"list-snapshots-in-recycle-bin.json": {"Snapshots": binned},
		"list-rules.json":                    {"Rules": rules},
	} {
		data, err := json.Marshal(content)
		if err != nil {
			t.Fatal(err)
		}
		if content != nil {
			files[name] = &fstest.MapFile{Data: data}
		}
	}
	account, err := emulator.Load(files, emulator.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	account.KeepRemoved(keptDays)
	return account
}

// client is a client in us-east-1.
func client(doer emulator.Doer) *ec2.Client {
	return wire.EC2(aws.Config{HTTPClient: doer, Credentials: credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "secret", "")}, "us-east-1")
}

// bubble runs a test in fake time: what waits takes no time.
func bubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2026, time.November, 23, 2, 0, 0, 0, time.UTC)))
		test(t)
	})
}

// inBubble is a test whose deadline nobody asks for, which is forbidden inside of a bubble of
// package synctest.
type inBubble struct{ *testing.T }

func must[T any](t rapid.TB) func(T, error) T {
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// declare writes the tags of a run.
func declare(t rapid.TB, api *ec2.Client, run string, ids ...string) {
	t.Helper()
	must[*ec2.CreateTagsOutput](t)(api.CreateTags(context.Background(), &ec2.CreateTagsInput{Resources: ids, Tags: []types.Tag{
		{Key: aws.String("ami-janitor:intent"), Value: aws.String("remove")}, {Key: aws.String("ami-janitor:run"), Value: aws.String(run)},
	}}))
}

func deregister(t rapid.TB, api *ec2.Client, n int) {
	t.Helper()
	must[*ec2.DeregisterImageOutput](t)(api.DeregisterImage(context.Background(), &ec2.DeregisterImageInput{ImageId: aws.String(imageID(n))}))
}

func deleteSnapshot(t rapid.TB, api *ec2.Client, n int) {
	t.Helper()
	must[*ec2.DeleteSnapshotOutput](t)(api.DeleteSnapshot(context.Background(), &ec2.DeleteSnapshotInput{SnapshotId: aws.String(snapshotID(n))}))
}

// remove removes pictures as a run does, and then the snapshots that none of the others needs.
func (w world) remove(t rapid.TB, api *ec2.Client, run string, pictures ...picture) {
	t.Helper()
	for _, step := range w.steps(run, pictures) {
		step(t, api)
	}
}

// steps are the calls by which a run removes pictures.
func (w world) steps(run string, pictures []picture) []func(rapid.TB, *ec2.Client) {
	stays := map[int]bool{}
	for _, p := range w.pictures {
		if !slices.ContainsFunc(pictures, func(removed picture) bool { return removed.n == p.n }) {
			for _, s := range p.snapshots {
				stays[s] = true
			}
		}
	}
	var declared []string
	last := map[int]int{} // The picture with which a snapshot goes.
	for _, p := range pictures {
		declared = append(declared, imageID(p.n))
		for _, s := range p.snapshots {
			if _, ok := last[s]; !ok && !stays[s] {
				declared = append(declared, snapshotID(s))
			}
			last[s] = p.n
		}
	}
	steps := []func(rapid.TB, *ec2.Client){func(t rapid.TB, api *ec2.Client) { declare(t, api, run, declared...) }}
	for _, p := range pictures {
		steps = append(steps, func(t rapid.TB, api *ec2.Client) { deregister(t, api, p.n) })
		for _, s := range p.snapshots {
			if last[s] == p.n && !stays[s] {
				steps = append(steps, func(t rapid.TB, api *ec2.Client) { deleteSnapshot(t, api, s) })
			}
		}
	}
	return steps
}

// undoRun undoes a run by its tags.
func undoRun(t rapid.TB, api undo.API, run string) undo.Result {
	t.Helper()
	return undoWanted(t, api, undo.Request{Run: run})
}

func undoImages(t rapid.TB, api undo.API, ids ...string) undo.Result {
	t.Helper()
	wanted := undo.Request{}
	for _, id := range ids {
		wanted.Images = append(wanted.Images, undo.Removed{ImageID: id})
	}
	return undoWanted(t, api, wanted)
}

func undoWanted(t rapid.TB, api undo.API, wanted undo.Request) undo.Result {
	t.Helper()
	wanted.Today = time.Now()
	bin := must[*undo.Bin](t)(undo.Look(context.Background(), api))
	return must[undo.Result](t)(undo.Run(context.Background(), api, bin, wanted))
}

func today() string { return time.Now().UTC().Format(time.DateOnly) }

// thing is what a test compares of an image or a snapshot.
type thing struct {
	State, Deprecated, Shared string
	Tags                      map[string]string
	Snapshots                 []string
}

// everything is what the account holds, by id, without what is in the bin.
func everything(t rapid.TB, account *emulator.Account) map[string]thing {
	t.Helper()
	api := client(account.Client())
	found := map[string]thing{}
	images := must[*ec2.DescribeImagesOutput](t)(api.DescribeImages(context.Background(), &ec2.DescribeImagesInput{IncludeDisabled: aws.Bool(true)}))
	for _, image := range images.Images {
		permissions := must[*ec2.DescribeImageAttributeOutput](t)(api.DescribeImageAttribute(context.Background(), &ec2.DescribeImageAttributeInput{
			ImageId: image.ImageId, Attribute: types.ImageAttributeNameLaunchPermission,
		}))
		seen := thing{State: string(image.State), Deprecated: aws.ToString(image.DeprecationTime), Tags: tagMap(image.Tags)}
		for _, permission := range permissions.LaunchPermissions {
			seen.Shared += aws.ToString(permission.UserId) + " "
		}
		for _, mapping := range image.BlockDeviceMappings {
			seen.Snapshots = append(seen.Snapshots, *mapping.Ebs.SnapshotId)
		}
		found[*image.ImageId] = seen
	}
	snapshots := must[*ec2.DescribeSnapshotsOutput](t)(api.DescribeSnapshots(context.Background(), &ec2.DescribeSnapshotsInput{}))
	for _, snapshot := range snapshots.Snapshots {
		found[*snapshot.SnapshotId] = thing{State: string(snapshot.State), Tags: tagMap(snapshot.Tags)}
	}
	return found
}

func tagMap(tags []types.Tag) map[string]string {
	found := map[string]string{}
	for _, tag := range tags {
		found[*tag.Key] = *tag.Value
	}
	return found
}

// restored is how things must be once they have been brought back today: ids of images carry the
// day, and all of them lose the tags of their removal.
func restored(things map[string]thing, ids ...string) map[string]thing {
	want := map[string]thing{}
	for id, was := range things {
		was.Tags = maps.Clone(was.Tags)
		if slices.Contains(ids, id) {
			if was.Tags["ami-janitor:disabled"] != "" {
				was.State = "available"
			}
			for _, key := range []string{"due", "announced-by", "run", "disabled", "intent"} {
				delete(was.Tags, "ami-janitor:"+key)
			}
			if strings.HasPrefix(id, "ami-") {
				was.Tags["ami-janitor:restored"] = today()
			}
		}
		want[id] = was
	}
	return want
}

// statuses are the statuses of images and their snapshots by id, and why they are so.
func statuses(result undo.Result) map[string]string {
	found := map[string]string{}
	add := func(id string, status undo.Status, why string) {
		if found[id] = string(status); why != "" {
			found[id] += ": " + why
		}
	}
	for _, image := range result.Images {
		add(image.ImageID, image.Status, image.Why)
		for _, snapshot := range image.Snapshots {
			add(snapshot.SnapshotID, snapshot.Status, snapshot.Why)
		}
	}
	for _, snapshot := range result.Snapshots {
		add(snapshot.SnapshotID, snapshot.Status, snapshot.Why)
	}
	return found
}

func writes(calls []emulator.Call) int {
	n := 0
	for _, call := range calls {
		if !strings.HasPrefix(call.Action, "Describe") && !strings.HasPrefix(call.Action, "List") {
			n++
		}
	}
	return n
}

// kill ends the process at the n-th call: before it takes effect, or before its answer comes.
func kill(next emulator.Doer, n int, after bool, end func()) emulator.Doer {
	var mu sync.Mutex
	calls := 0
	return emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
		mu.Lock()
		defer mu.Unlock()
		if calls++; calls < n {
			return next.Do(r)
		}
		if calls == n && after {
			if response, err := next.Do(r); err == nil {
				_ = response.Body.Close()
			}
		}
		end()
		return nil, context.Canceled
	})
}

// slow lets every call take a while.
func slow(next emulator.Doer, latency time.Duration) emulator.Doer {
	return emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
		time.Sleep(latency)
		return next.Do(r)
	})
}

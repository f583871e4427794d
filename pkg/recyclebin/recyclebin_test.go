package recyclebin_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/google/go-cmp/cmp"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/internal/testaccount"
	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/recyclebin"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

const region = "us-east-1"

var now = time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)

type object = testaccount.Object

var imageID, snapshotID = testaccount.ImageID, testaccount.SnapshotID

// rule is a rule for images or snapshots, by some tags; key=value, or a key alone.
func rule(id, kind, status string, days int, list string, tags ...string) object {
	named := []object{}
	for _, tag := range tags {
		key, value, hasValue := strings.Cut(tag, "=")
		named = append(named, object{"ResourceTagKey": key})
		if hasValue {
			named[len(named)-1]["ResourceTagValue"] = value
		}
	}
	return object{
		"Identifier": id, "ResourceType": kind, "Status": status, list: named,
		"RetentionPeriod": object{"RetentionPeriodValue": days, "RetentionPeriodUnit": "DAYS"},
	}
}

// load returns an account with rules, and with some images, each of one snapshot of the same
// number.
func load(t *testing.T, images int, rules ...object) *emulator.Account {
	t.Helper()
	listed, snapshots := []object{}, []object{}
	for n := range images {
		listed = append(listed, object{
			"ImageId": imageID(n), "OwnerId": "123456789012", "State": "available", "RootDeviceType": "ebs",
			"BlockDeviceMappings": []object{{"DeviceName": "/dev/xvda", "Ebs": object{"SnapshotId": snapshotID(n)}}},
		})
		snapshots = append(snapshots, object{"SnapshotId": snapshotID(n), "OwnerId": "123456789012", "State": "completed", "VolumeSize": 8})
	}
	return testaccount.Files{
		"list-rules.json":         object{"Rules": append([]object{}, rules...)},
		"describe-images.json":    object{"Images": listed},
		"describe-snapshots.json": object{"Snapshots": snapshots},
	}.Load(t, emulator.Options{Now: func() time.Time { return now }})
}

func read(t *testing.T, client emulator.Doer) ami.RecycleBin {
	t.Helper()
	return recyclebin.Read(t.Context(), wire.RecycleBin(testaccount.Config(client), region), wire.EC2(testaccount.Config(client), region))
}

// discard deregisters images and deletes their snapshots.
func discard(t *testing.T, account *emulator.Account, numbers ...int) {
	t.Helper()
	api := wire.EC2(testaccount.Config(account.Client()), region)
	for _, n := range numbers {
		if _, err := api.DeregisterImage(t.Context(), &ec2.DeregisterImageInput{ImageId: aws.String(imageID(n))}); err != nil {
			t.Fatal(err)
		}
		if _, err := api.DeleteSnapshot(t.Context(), &ec2.DeleteSnapshotInput{SnapshotId: aws.String(snapshotID(n))}); err != nil {
			t.Fatal(err)
		}
	}
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// all are two rules for all of the region, which hold images and snapshots for some days.
func all(days int) []object {
	return []object{
		rule("imageRule01", "EC2_IMAGE", "available", days, "ResourceTags"), rule("snapRule001", "EBS_SNAPSHOT", "available", days+1, "ResourceTags"),
	}
}

func TestRead(t *testing.T) {
	account := load(
		t, 3,
		rule("imageRule02", "EC2_IMAGE", "available", 14, "ResourceTags", "ami-janitor:intent=remove", "team"),
		rule("imageRule01", "EC2_IMAGE", "available", 365, "ExcludeResourceTags", "cache", "x="),
		rule("pendingRule", "EC2_IMAGE", "pending", 30, "ResourceTags"),
		rule("volumeRule1", "EBS_VOLUME", "available", 7, "ResourceTags"),
		rule("snapRule001", "EBS_SNAPSHOT", "available", 21, "ResourceTags"),
	)
	discard(t, account, 0, 2)
	equal(t, "bin", read(t, account.Client()), ami.RecycleBin{
		Read: true,
		Rules: []ami.BinRule{
			{ID: "imageRule01", Images: true, Days: 365, Excluded: []ami.Tag{{Key: "cache"}, {Key: "x"}}},
			{ID: "imageRule02", Images: true, Days: 14, Tags: []ami.Tag{{Key: "ami-janitor:intent", Value: "remove"}, {Key: "team"}}},
			{ID: "snapRule001", Days: 21},
		},
		Images:    map[string]time.Time{imageID(0): now.AddDate(0, 0, 365), imageID(2): now.AddDate(0, 0, 365)},
		Snapshots: map[string]time.Time{snapshotID(0): now.AddDate(0, 0, 21), snapshotID(2): now.AddDate(0, 0, 21)},
	})
	equal(t, "an empty bin", read(t, load(t, 1).Client()), ami.RecycleBin{
		Read: true, Images: map[string]time.Time{}, Snapshots: map[string]time.Time{},
	})
}

// A listing of many pages is read to its end.
func TestAllPagesAreRead(t *testing.T) {
	const images = 23
	rules := all(5)[1:]
	for n := range 12 {
		rules = append(rules, rule(fmt.Sprintf("imageRul%03d", n), "EC2_IMAGE", "available", n+1, "ResourceTags"))
	}
	account := load(t, images, rules...)
	discard(t, account, slices.Collect(numbers(images))...)
	bin := read(t, shortPages(account.Client()))
	if len(bin.Rules) != 13 || len(bin.Images) != images || len(bin.Snapshots) != images {
		t.Errorf("%d rules, %d images, %d snapshots; %s", len(bin.Rules), len(bin.Images), len(bin.Snapshots), bin.Err)
	}
	calls := map[string]int{}
	for _, call := range account.Calls() {
		calls[call.Action]++
	}
	for action, least := range map[string]int{"ListRules": 4, "ListImagesInRecycleBin": 5, "ListSnapshotsInRecycleBin": 5} {
		if calls[action] < least {
			t.Errorf("%d pages of %s", calls[action], action)
		}
	}
}

func numbers(n int) func(yield func(int) bool) {
	return func(yield func(int) bool) {
		for i := range n {
			if !yield(i) {
				return
			}
		}
	}
}

// shortPages has pages of five where pages of 1000 are asked for.
func shortPages(next emulator.Doer) emulator.Doer {
	return ask(next, func(body []byte) []byte {
		return replace("MaxResults=1000", "MaxResults=5")(replace(`"MaxResults":1000`, `"MaxResults":5`)(body))
	})
}

// ask alters the bodies of requests.
func ask(next emulator.Doer, alter func([]byte) []byte) emulator.Doer {
	return emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
		if r.Body == nil {
			return next.Do(r)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		body = alter(body)
		r = r.Clone(r.Context())
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		return next.Do(r)
	})
}

var actions = []string{"ListRules", "GetRule", "ListImagesInRecycleBin", "ListSnapshotsInRecycleBin"}

// An unreadable bin is not an empty one, whichever call fails. Err is one line that names the call.
func TestFaults(t *testing.T) {
	for name, fault := range map[string]func(next emulator.Doer, action string, match func(int, emulator.Request) bool) emulator.Doer{
		"denied": func(next emulator.Doer, action string, _ func(int, emulator.Request) bool) emulator.Doer {
			return disturb.Deny(next, action)
		},
		"throttled": func(next emulator.Doer, action string, match func(int, emulator.Request) bool) emulator.Doer {
			return disturb.Fail(next, action, match, 400, "ThrottlingException", "Rate exceeded")
		},
		"broken": func(next emulator.Doer, action string, match func(int, emulator.Request) bool) emulator.Doer {
			return disturb.Fail(next, action, match, 500, "InternalServerException", "Internal error")
		},
		"lost":    disturb.LoseAnswer,
		"garbled": disturb.Garble,
		"cut": func(next emulator.Doer, action string, match func(int, emulator.Request) bool) emulator.Doer {
			return change(next, action, match, func(body []byte) []byte { return body[:len(body)*2/3] })
		},
		"empty": func(next emulator.Doer, action string, match func(int, emulator.Request) bool) emulator.Doer {
			return change(next, action, match, func([]byte) []byte { return nil })
		},
	} {
		for _, action := range actions {
			for _, from := range []int{1, 2} { // Of two of a kind the second one matters as much.
				t.Run(fmt.Sprint(name, "/", action, "/", from), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						account := load(t, 6, all(5)...)
						discard(t, account, slices.Collect(numbers(6))...)
						bin := read(t, fault(shortPages(account.Client()), action, func(n int, _ emulator.Request) bool { return n >= from }))
						if bin.Read || bin.Err == "" || bin.Rules != nil || bin.Images != nil || bin.Snapshots != nil {
							t.Errorf("%+v", bin)
						}
						if !strings.Contains(bin.Err, action) || strings.Contains(bin.Err, "\n") || strings.Contains(bin.Err, "RequestID") || len(bin.Err) > 300 {
							t.Errorf("%q", bin.Err)
						}
					})
				})
			}
		}
	}
}

// A fault that passes is retried without an error.
func TestFaultsThatPass(t *testing.T) {
	for _, action := range actions {
		synctest.Test(t, func(t *testing.T) {
			account := load(t, 1, all(5)...)
			discard(t, account, 0)
			few := func(n int, _ emulator.Request) bool { return n <= 3 }
			bin := read(t, disturb.LoseAnswer(disturb.Fail(account.Client(), action, few, 503, "ServiceUnavailable", "x"), action,
				func(n int, _ emulator.Request) bool { return n == 5 }))
			if !bin.Read || len(bin.Rules) != 2 || len(bin.Images) != 1 || len(bin.Snapshots) != 1 {
				t.Errorf("%s: %+v", action, bin)
			}
		})
	}
}

// change alters the bodies of the answers to an action that match.
func change(next emulator.Doer, action string, match func(int, emulator.Request) bool, alter func([]byte) []byte) emulator.Doer {
	n := 0
	return emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
		q, err := emulator.Inspect(r)
		if err != nil {
			return nil, err
		}
		response, err := next.Do(r)
		if err != nil || q.Action != action {
			return response, err
		}
		if n++; match != nil && !match(n, q) {
			return response, nil
		}
		body, err := io.ReadAll(response.Body)
		if err != nil {
			return nil, err
		}
		body = alter(body)
		response.Body, response.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		response.Header.Del("Content-Length")
		return response, nil
	})
}

func replace(old, with string) func([]byte) []byte {
	return func(body []byte) []byte { return bytes.ReplaceAll(body, []byte(old), []byte(with)) }
}

// A rule with another id, or with half of its facts, is refused.
func TestRulesThatAreNotUnderstood(t *testing.T) {
	for name, alter := range map[string]func([]byte) []byte{
		"another_rule":  replace("imageRule01", "imageRule09"),
		"another_type":  replace("EC2_IMAGE", "EBS_VOLUME"),
		"no_type":       replace(`"ResourceType"`, `"Type"`),
		"no_status":     replace(`"Status"`, `"State"`),
		"no_period":     replace(`"RetentionPeriod"`, `"Period"`),
		"no_days":       replace(`"RetentionPeriodValue"`, `"Value"`),
		"other_units":   replace("DAYS", "HOURS"),
		"too_many_days": replace(":365", ":366"),
	} {
		t.Run(name, func(t *testing.T) {
			account := load(t, 0, rule("imageRule01", "EC2_IMAGE", "available", 365, "ResourceTags"))
			bin := read(t, change(account.Client(), "GetRule", nil, alter))
			if bin.Read || !strings.Contains(bin.Err, "GetRule") || !strings.Contains(bin.Err, "imageRule01") {
				t.Errorf("%+v", bin)
			}
		})
	}
	account := load(t, 0, rule("imageRule01", "EC2_IMAGE", "available", 365, "ResourceTags"))
	if bin := read(t, change(account.Client(), "GetRule", nil, replace(`"available"`, `"paused"`))); !bin.Read || len(bin.Rules) > 0 {
		t.Errorf("a status that nobody knows: %+v", bin)
	}
}

// A circular listing is not read forever, and is an error.
func TestCircularListings(t *testing.T) {
	for action, alter := range map[string]func([]byte) []byte{
		"ListRules":                 replace(`"Rules":[`, `"NextToken":"again","Rules":[`),
		"ListImagesInRecycleBin":    replace("<imageSet", "<nextToken>again</nextToken><imageSet"),
		"ListSnapshotsInRecycleBin": replace("<snapshotSet", "<nextToken>again</nextToken><snapshotSet"),
	} {
		account := load(t, 0)
		forgetful := ask(account.Client(), func(body []byte) []byte {
			return replace(`,"NextToken":"again"`, "")(replace("&NextToken=again", "")(body))
		})
		bin := read(t, change(forgetful, action, nil, alter))
		if bin.Read || !strings.Contains(bin.Err, action) || !strings.Contains(bin.Err, "back to a page") {
			t.Errorf("%s: %+v", action, bin)
		}
	}
}

// A rule that is deleted while the rules are read does not count.
func TestARuleThatIsGoneMeanwhile(t *testing.T) {
	account := load(t, 0, all(5)...)
	gone := disturb.Fail(account.Client(), "GetRule", func(n int, _ emulator.Request) bool { return n == 1 }, 404, "ResourceNotFoundException", "The rule does not exist")
	equal(t, "bin", read(t, gone), ami.RecycleBin{
		Read: true, Rules: []ami.BinRule{{ID: "snapRule001", Days: 6}}, Images: map[string]time.Time{}, Snapshots: map[string]time.Time{},
	})
}

func exits(t *testing.T, client emulator.Doer, images, snapshots []string) map[string]time.Time {
	t.Helper()
	found, err := recyclebin.Exits(t.Context(), wire.EC2(testaccount.Config(client), region), images, snapshots)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// idsOf names what has some numbers.
func idsOf(name func(int) string, numbers ...int) []string {
	var ids []string
	for _, n := range numbers {
		ids = append(ids, name(n))
	}
	return ids
}

var ids = regexp.MustCompile(`&(ImageId|SnapshotId)\.[0-9]+=[^&]*`)

// lenient answers with all contents of the bin, whatever ids are asked for. The emulated EC2
// refuses ids that are not there.
func lenient(next emulator.Doer) emulator.Doer {
	return ask(next, func(body []byte) []byte { return ids.ReplaceAll(body, nil) })
}

// Those that are in the bin are found, however many are asked for, and whatever EC2 answers to the
// others.
func TestExits(t *testing.T) {
	account := load(t, 60, all(5)...)
	binned := []int{1, 3, 5, 40}
	discard(t, account, binned...)
	images, snapshots := now.AddDate(0, 0, 5), now.AddDate(0, 0, 6)
	everything := slices.Collect(numbers(60))
	for name, client := range map[string]emulator.Doer{"strict": account.Client(), "lenient": lenient(account.Client())} {
		for _, test := range []struct{ images, snapshots, wantImages, wantSnapshots []int }{
			{nil, nil, nil, nil},
			{[]int{1}, nil, []int{1}, nil},
			{[]int{2}, []int{2}, nil, nil},
			{nil, []int{3}, nil, []int{3}},
			{[]int{1, 2, 40}, []int{40, 41}, []int{1, 40}, []int{40}},
			{[]int{1, 3, 5}, []int{2}, []int{1, 3, 5}, nil},
			{everything[:20], everything[:20], []int{1, 3, 5}, []int{1, 3, 5}},
			{everything[:21], everything[:21], []int{1, 3, 5}, []int{1, 3, 5}},
			{everything, everything, binned, binned},
		} {
			want := map[string]time.Time{}
			for _, n := range test.wantImages {
				want[imageID(n)] = images
			}
			for _, n := range test.wantSnapshots {
				want[snapshotID(n)] = snapshots
			}
			equal(t, fmt.Sprint(name, test.images, test.snapshots), exits(t, client, idsOf(imageID, test.images...), idsOf(snapshotID, test.snapshots...)), want)
		}
	}
	for _, call := range account.Calls() {
		if call.Code != "" && !strings.HasSuffix(call.Code, ".NotFound") {
			// Too many ids, or ids with the size of a page.
			t.Errorf("%s: %s", call.Action, call.Code)
		}
	}
}

// An unreadable bin says nothing about its contents.
func TestExitsThatCannotBeRead(t *testing.T) {
	for _, action := range actions[2:] {
		for name, client := range map[string]func(emulator.Doer) emulator.Doer{
			"denied":  func(next emulator.Doer) emulator.Doer { return disturb.Deny(next, action) },
			"garbled": func(next emulator.Doer) emulator.Doer { return disturb.Garble(next, action, nil) },
			"the_second_way_denied": func(next emulator.Doer) emulator.Doer {
				return disturb.Fail(next, action, func(_ int, q emulator.Request) bool { return q.Form.Has("MaxResults") }, 403, "UnauthorizedOperation", "no")
			},
		} {
			account := load(t, 60, all(5)...)
			for _, size := range []int{2, 60} {
				found, err := recyclebin.Exits(t.Context(), wire.EC2(testaccount.Config(client(account.Client())), region),
					idsOf(imageID, slices.Collect(numbers(size))...), idsOf(snapshotID, slices.Collect(numbers(size))...))
				if err == nil || found != nil || !strings.Contains(err.Error(), action) {
					t.Errorf("%s %s, %d: %v, %v", action, name, size, found, err)
				}
			}
		}
	}
}

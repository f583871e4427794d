package usage_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/internal/testaccount"
	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/usage"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

const (
	owner  = "123456789012"
	region = "eu-west-1"
)

type object = testaccount.Object

var imageID, snapshotID = testaccount.ImageID, testaccount.SnapshotID

// candidates are n images, each made by Image Builder.
func candidates(n int) []ami.Image {
	images := make([]ami.Image, n)
	for i := range images {
		images[i] = ami.Image{ID: imageID(i + 1), OwnerID: owner, Tags: map[string]string{"Ec2ImageBuilderArn": builtARN(i+1, "1.0.0/1")}}
	}
	return images
}

// holding loads an account with twenty-five images, and what else the files say.
func holding(t *testing.T, files map[string]any) *emulator.Account {
	t.Helper()
	var images []object
	for n := range 25 {
		images = append(images, object{"ImageId": imageID(n + 1), "OwnerId": owner, "State": "available"})
	}
	content := testaccount.Files{"describe-images.json": object{"Images": images}}
	maps.Copy(content, files)
	return content.Load(t, emulator.Options{Region: region})
}

// instances is the file of instances of an image, one in each state.
func instances(imageID string, states ...string) map[string]any {
	var list []object
	for i, state := range states {
		list = append(list, object{"InstanceId": fmt.Sprintf("i-%017x", i+1), "ImageId": imageID, "State": object{"Name": state}})
	}
	return map[string]any{"describe-instances.json": object{"Reservations": []object{{"Instances": list}}}}
}

func instance(n int) ami.Reference {
	return ami.Reference{Source: "references", Type: "ec2:Instance", ARN: fmt.Sprintf("arn:aws:ec2:%s:%s:instance/i-%017x", region, owner, n)}
}

// clients are the clients that the janitor uses.
func clients(doer emulator.Doer) usage.Clients {
	config := testaccount.Config(doer)
	return usage.Clients{AWS: config, EC2: wire.EC2(config, region), AutoScaling: wire.AutoScaling(config, region), SSM: wire.SSM(config, region)}
}

// lookup asks for the use of images, in EC2's own references if no sources are named.
func lookup(images []ami.Image, names ...string) usage.Lookup {
	if len(names) == 0 {
		names = []string{"references"}
	}
	return usage.Lookup{Account: owner, Region: region, Images: images, Names: names, StackTemplates: true}
}

// findings are what is known of images, by id.
type findings = map[string]ami.Finding

func collect(ctx context.Context, doer emulator.Doer, images []ami.Image, names ...string) ami.Evidence {
	return collectFor(ctx, doer, lookup(images, names...))
}

func collectFor(ctx context.Context, doer emulator.Doer, lookup usage.Lookup) ami.Evidence {
	return collectWith(ctx, clients(doer), lookup, func(int, int) {})
}

// collectWith makes the listings, and asks EC2 about all images.
func collectWith(ctx context.Context, clients usage.Clients, lookup usage.Lookup, step func(done, total int)) ami.Evidence {
	c := usage.List(ctx, clients, lookup)
	c.LookUp(ctx, idsOf(lookup.Images), step)
	return whole(c)
}

// whole is the evidence once EC2 was asked about every candidate, without saying so.
func whole(c *usage.Collection) ami.Evidence {
	evidence := c.Evidence()
	for id, finding := range evidence.Images {
		finding.Asked = false
		evidence.Images[id] = finding
	}
	return evidence
}

func idsOf(images []ami.Image) []string {
	ids := make([]string, len(images))
	for i := range images {
		ids[i] = images[i].ID
	}
	return ids
}

// asked records the forms of an action's requests.
type asked struct {
	mu    sync.Mutex
	forms map[string][]url.Values
}

func (a *asked) by(next emulator.Doer) emulator.Doer {
	return emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
		if q, err := emulator.Inspect(r); err == nil {
			a.mu.Lock()
			defer a.mu.Unlock()
			if a.forms == nil {
				a.forms = map[string][]url.Values{}
			}
			a.forms[q.Action] = append(a.forms[q.Action], q.Form)
		}
		return next.Do(r)
	})
}

// idsOf returns the ids that each request of an action names.
func (a *asked) idsOf(action string) [][]string {
	var all [][]string
	for _, form := range a.forms[action] {
		var ids []string
		for key, values := range form {
			if key == "ImageId" || strings.HasPrefix(key, "ImageId.") {
				ids = append(ids, values...)
			}
		}
		slices.Sort(ids)
		all = append(all, ids)
	}
	return all
}

// rewriting changes the bodies of an action's answers; n is the number of the call, from 1.
func rewriting(next emulator.Doer, action string, change func(n int, body string) string) emulator.Doer {
	var calls atomic.Int64
	return emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
		q, err := emulator.Inspect(r)
		if err != nil || q.Action != action {
			return next.Do(r)
		}
		response, err := next.Do(r)
		if err != nil {
			return nil, err
		}
		body, err := io.ReadAll(response.Body)
		if err != nil {
			return nil, err
		}
		changed := []byte(change(int(calls.Add(1)), string(body)))
		response.Body, response.ContentLength = io.NopCloser(bytes.NewReader(changed)), int64(len(changed))
		return response, nil
	})
}

// answered is an answer of DescribeImageReferences with references from an instance to each of the
// images, and a token if it is not empty.
func answered(token string, imageIDs ...string) string {
	var items strings.Builder
	for n, id := range imageIDs {
		fmt.Fprintf(&items, "<item><imageId>%s</imageId><resourceType>ec2:Instance</resourceType><arn>%s</arn></item>", id, instance(n+1).ARN)
	}
	if token != "" {
		token = "<nextToken>" + token + "</nextToken>"
	}
	return `<DescribeImageReferencesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><imageReferenceSet>` +
		items.String() + "</imageReferenceSet>" + token + "</DescribeImageReferencesResponse>"
}

// answering makes an account answer every lookup of references with the n-th of the bodies, and
// then with the last.
func answering(t *testing.T, bodies ...string) emulator.Doer {
	t.Helper()
	var calls atomic.Int64
	next := holding(t, nil).Client()
	return emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
		q, err := emulator.Inspect(r)
		if err != nil || q.Action != "DescribeImageReferences" {
			return next.Do(r)
		}
		n := int(calls.Add(1))
		body := bodies[min(n, len(bodies))-1]
		if n == 100 {
			t.Error("a hundred pages of an answer that goes round in circles were read")
		}
		if n >= 100 {
			body = answered("")
		}
		return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
	})
}

// gap checks that an image is unknown because of a gap of one source alone, which says what is
// given.
func gap(t *testing.T, evidence ami.Evidence, id, source, says string) {
	t.Helper()
	finding, ok := evidence.Images[id]
	if !ok || finding.Use != ami.Unknown || len(finding.Gaps) != 1 || finding.Gaps[0].Source != source || !strings.Contains(finding.Gaps[0].Err, says) {
		t.Errorf("%s: %+v, want unknown with a gap of %s that says %q", id, finding, source, says)
	}
}

// proven checks that images are proven unused.
func proven(t *testing.T, evidence ami.Evidence, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if diff := cmp.Diff(ami.Finding{Use: ami.Unused}, evidence.Images[id]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", id, diff)
		}
	}
}

func TestSources(t *testing.T) {
	names := usage.Sources()
	want := []string{
		"references", "instances", "launch-templates", "launch-configurations", "auto-scaling-groups", "instance-refreshes",
		"spot-fleets", "spot-requests", "ssm-text", "s3-text", "fast-launch", "fast-snapshot-restore", "image-tasks", "cloudformation",
		"batch", "pcs", "rds-custom", "emr", "hyperpod", "image-builder", "elastic-beanstalk",
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("sources (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want[:len(want)-1], usage.DefaultSources()); diff != "" {
		t.Errorf("sources that are on by default (-want +got):\n%s", diff)
	}
	// references is asked about each image, s3-text is told what to read, and both have tests of
	// their own.
	for _, name := range names[1:] {
		if name != usage.S3TextSource && !slices.ContainsFunc(kinds, func(k kind) bool { return k.source == name }) {
			t.Errorf("no case for %s: add what it lists to kinds in sources_test.go", name)
		}
	}
	names[0] = "changed"
	if usage.Sources()[0] != "references" {
		t.Error("a caller can change the sources")
	}
}

// What nothing names is unused, and what something names is used, with its ARN.
func TestUse(t *testing.T) {
	evidence := collect(t.Context(), holding(t, instances(imageID(1), "running", "stopped")).Client(), candidates(2))
	want := findings{
		imageID(1): {Use: ami.Used, References: []ami.Reference{instance(1), instance(2)}},
		imageID(2): {Use: ami.Unused},
	}
	if diff := cmp.Diff(want, evidence.Images); diff != "" {
		t.Errorf("evidence (-want +got):\n%s", diff)
	}
}

// An instance counts in every state, also in one that a list of states would forget: a terminated
// one is seen for an hour, and may be the only sign of a launch.
func TestAnInstanceCountsInEveryState(t *testing.T) {
	for _, state := range []string{"pending", "running", "shutting-down", "terminated", "stopping", "stopped"} {
		t.Run(state, func(t *testing.T) {
			evidence := collect(t.Context(), holding(t, instances(imageID(1), state)).Client(), candidates(1))
			if diff := cmp.Diff(findings{imageID(1): {Use: ami.Used, References: []ami.Reference{instance(1)}}}, evidence.Images); diff != "" {
				t.Errorf("evidence (-want +got):\n%s", diff)
			}
		})
	}
}

// A launch template uses the images of all its versions, not of the newest ten alone.
func TestAnOldVersionOfALaunchTemplateIsAUse(t *testing.T) {
	for _, old := range []int{1, 50, 190, 200} {
		t.Run(fmt.Sprint(old), func(t *testing.T) {
			var versions []object
			for n := range 200 {
				image := imageID(20)
				if n+1 == old {
					image = imageID(1)
				}
				versions = append(versions, object{
					"LaunchTemplateId": "lt-00000000000000001", "LaunchTemplateName": "web", "VersionNumber": n + 1, "DefaultVersion": n == 199,
					"LaunchTemplateData": object{"ImageId": image},
				})
			}
			account := holding(t, map[string]any{
				"describe-launch-templates.json": object{"LaunchTemplates": []object{{
					"LaunchTemplateId": "lt-00000000000000001", "LaunchTemplateName": "web", "DefaultVersionNumber": 200, "LatestVersionNumber": 200,
				}}},
				"describe-launch-template-versions.json": object{"LaunchTemplateVersions": versions},
			})
			evidence := collect(t.Context(), account.Client(), candidates(2))
			want := findings{
				imageID(1): {Use: ami.Used, References: []ami.Reference{{
					Source: "references", Type: "ec2:LaunchTemplate",
					ARN: "arn:aws:ec2:eu-west-1:123456789012:launch-template/lt-00000000000000001",
				}}},
				imageID(2): {Use: ami.Unused},
			}
			if diff := cmp.Diff(want, evidence.Images); diff != "" {
				t.Errorf("evidence (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAParameterIsAUse(t *testing.T) {
	account := holding(t, map[string]any{
		"describe-parameters.json": object{"Parameters": []object{{"Name": "/ami/web", "Type": "String", "DataType": "aws:ec2:image"}}},
		"get-parameters.json":      object{"Parameters": []object{{"Name": "/ami/web", "Value": imageID(1), "DataType": "aws:ec2:image"}}},
	})
	evidence := collect(t.Context(), account.Client(), candidates(1))
	want := []ami.Reference{{Source: "references", Type: "ssm:Parameter", ARN: "arn:aws:ssm:eu-west-1:123456789012:parameter/ami/web"}}
	if diff := cmp.Diff(findings{imageID(1): {Use: ami.Used, References: want}}, evidence.Images); diff != "" {
		t.Errorf("evidence (-want +got):\n%s", diff)
	}
}

// The request asks about all types of resources, with the options that see most: all six states,
// and versions to the greatest depth. At most ten images are asked about at once, every one exactly
// once.
func TestWhatIsAskedFor(t *testing.T) {
	var a asked
	collect(t.Context(), a.by(holding(t, nil).Client()), candidates(25))

	chunks := a.idsOf("DescribeImageReferences")
	var sizes []int
	for _, ids := range chunks {
		sizes = append(sizes, len(ids))
	}
	if slices.Sort(sizes); !slices.Equal(sizes, []int{5, 10, 10}) {
		t.Errorf("ids per call: %v, want 5, 10 and 10", sizes)
	}
	all := slices.Concat(chunks...)
	if slices.Sort(all); len(slices.Compact(all)) != 25 {
		t.Errorf("asked about %d images, want 25", len(slices.Compact(all)))
	}
	for _, form := range a.forms["DescribeImageReferences"] {
		for key := range form {
			if strings.HasPrefix(key, "ImageId.") {
				form.Del(key)
			}
		}
		want := url.Values{
			"Action": {"DescribeImageReferences"}, "Version": {"2016-11-15"}, "IncludeAllResourceTypes": {"true"},
			"ResourceType.1.ResourceType":                       {"ec2:Instance"},
			"ResourceType.1.ResourceTypeOption.1.OptionName":    {"state-name"},
			"ResourceType.1.ResourceTypeOption.1.OptionValue.1": {"pending"},
			"ResourceType.1.ResourceTypeOption.1.OptionValue.2": {"running"},
			"ResourceType.1.ResourceTypeOption.1.OptionValue.3": {"shutting-down"},
			"ResourceType.1.ResourceTypeOption.1.OptionValue.4": {"terminated"},
			"ResourceType.1.ResourceTypeOption.1.OptionValue.5": {"stopping"},
			"ResourceType.1.ResourceTypeOption.1.OptionValue.6": {"stopped"},
			"ResourceType.2.ResourceType":                       {"ec2:LaunchTemplate"},
			"ResourceType.2.ResourceTypeOption.1.OptionName":    {"version-depth"},
			"ResourceType.2.ResourceTypeOption.1.OptionValue.1": {"10000"},
		}
		if diff := cmp.Diff(want, form); diff != "" {
			t.Errorf("request (-want +got):\n%s", diff)
		}
	}
	var attributes []string
	for _, form := range a.forms["DescribeImageAttribute"] {
		attributes = append(attributes, form.Get("Attribute")+" of "+form.Get("ImageId"))
	}
	for i, got := range slices.Sorted(slices.Values(attributes)) {
		if want := "launchPermission of " + imageID(i+1); got != want || len(attributes) != 25 {
			t.Errorf("asked for the %s, want the %s", got, want)
		}
	}
}

// Without candidates nothing is asked about them: a request without ids would be one about
// everything.
func TestNothingIsAskedAboutNothing(t *testing.T) {
	account := holding(t, nil)
	for _, images := range [][]ami.Image{nil, {}} {
		if evidence := collect(t.Context(), account.Client(), images, "references"); len(evidence.Images) != 0 {
			t.Errorf("evidence %v", evidence)
		}
	}
	if calls := account.Calls(); len(calls) > 0 {
		t.Errorf("calls %+v", calls)
	}
}

// A lookup that fails, however it fails, leaves a gap that names it, in every image that it was
// about. Images of another call are not affected, nor are others if EC2 refuses one.
func TestALookupThatFailsIsAGap(t *testing.T) {
	about := func(id string) func(int, emulator.Request) bool {
		return func(_ int, r emulator.Request) bool {
			for key, values := range r.Form {
				if strings.HasPrefix(key, "ImageId") && slices.Contains(values, id) {
					return true
				}
			}
			return false
		}
	}
	faults := map[string]struct {
		fault func(d emulator.Doer, action string, match func(int, emulator.Request) bool) emulator.Doer
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
		}, "InternalError"},
		"unknown": {func(d emulator.Doer, action string, match func(int, emulator.Request) bool) emulator.Doer {
			return disturb.Fail(d, action, match, 400, "InvalidAMIID.NotFound", "The image id does not exist")
		}, "InvalidAMIID.NotFound"},
		"garbled": {disturb.Garble, "not a complete answer"},
		"lost":    {disturb.LoseAnswer, "connection reset by peer"},
	}
	for action, source := range map[string]string{"DescribeImageReferences": "references", "DescribeImageAttribute": "launch permissions"} {
		for name, fault := range faults {
			t.Run(source+"/"+name, func(t *testing.T) {
				account := holding(t, nil)
				synctest.Test(t, func(t *testing.T) {
					// Images 11 to 20 are asked about in one call for references.
					evidence := collect(t.Context(), fault.fault(account.Client(), action, about(imageID(15))), candidates(25))
					if len(evidence.Images) != 25 {
						t.Errorf("evidence for %d images, want 25", len(evidence.Images))
					}
					for n := 1; n <= 25; n++ {
						// After the refusal of an id each is asked about alone.
						isInCall := source == "references" && n > 10 && n <= 20 && name != "unknown"
						if n == 15 || isInCall {
							gap(t, evidence, imageID(n), source, fault.says)
						} else {
							proven(t, evidence, imageID(n))
						}
					}
				})
			})
		}
	}
}

// The gaps of an image are sorted, as Finding says, and both sources and actions are named.
func TestGapsAreSorted(t *testing.T) {
	deaf := disturb.Deny(holding(t, nil).Client(), "DescribeImageReferences", "DescribeImageAttribute")
	finding := collect(t.Context(), deaf, candidates(1)).Images[imageID(1)]
	const denied = ": UnauthorizedOperation: You are not authorized to perform this operation."
	want := ami.Finding{Gaps: []ami.Gap{
		{Source: "launch permissions", Err: "ec2:DescribeImageAttribute" + denied}, {Source: "references", Err: "ec2:DescribeImageReferences" + denied},
	}}
	if diff := cmp.Diff(want, finding); diff != "" {
		t.Errorf("finding (-want +got):\n%s", diff)
	}
}

// A fault that passes leaves no gap.
func TestAFaultThatPasses(t *testing.T) {
	account := holding(t, nil)
	synctest.Test(t, func(t *testing.T) {
		odd := func(n int, _ emulator.Request) bool { return n%2 == 1 }
		flaky := disturb.Fail(account.Client(), "DescribeImageReferences", odd, 503, "RequestLimitExceeded", "x")
		flaky = disturb.LoseAnswer(flaky, "DescribeImageAttribute", odd)
		proven(t, collect(t.Context(), flaky, candidates(2)), imageID(1), imageID(2))
	})
}

// An answer that is cut at its second page still proves the use that its first page shows, and
// nothing else.
func TestAnAnswerThatIsCutAtItsSecondPage(t *testing.T) {
	first := answered("more", imageID(1), imageID(1))
	for name, second := range map[string]string{
		"with_a_web_page": "<html></html>", "with_nothing": "", "in_the_middle": answered("", imageID(2))[:200],
		"with_an_image_nobody_asked_about": answered("", imageID(9)),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				evidence := collect(t.Context(), answering(t, first, second), candidates(2))
				used := evidence.Images[imageID(1)]
				if used.Use != ami.Used || len(used.References) != 2 || len(used.Gaps) != 1 {
					t.Errorf("%+v, want used with two references and a gap", used)
				}
				if got := evidence.Images[imageID(2)]; got.Use != ami.Unknown || len(got.Gaps) != 1 || got.Gaps[0].Source != "references" {
					t.Errorf("%+v, want unknown with a gap of references", got)
				}
			})
		})
	}
}

// All pages are read, also beyond one without references.
func TestEveryPageIsRead(t *testing.T) {
	evidence := collect(t.Context(), answering(t, answered("1"), answered("2", imageID(1)), answered("3"), answered("", imageID(2))), candidates(3))
	if evidence.Images[imageID(1)].Use != ami.Used || evidence.Images[imageID(2)].Use != ami.Used {
		t.Errorf("evidence %+v", evidence)
	}
	proven(t, evidence, imageID(3))
}

// An answer about something that was not asked is no answer to what was.
func TestAnAnswerAboutSomethingElse(t *testing.T) {
	for name, body := range map[string]string{
		"another_image": answered("", imageID(9)), "no_image": answered("", ""), "a_short_id": answered("", "ami-12345678"),
	} {
		t.Run(name, func(t *testing.T) {
			evidence := collect(t.Context(), answering(t, body), candidates(1))
			gap(t, evidence, imageID(1), "references", "which was not asked about")
			if len(evidence.Images) != 1 {
				t.Errorf("evidence %+v", evidence)
			}
		})
	}
}

func TestLaunchPermissionsOfAnotherImage(t *testing.T) {
	for name, change := range map[string]func(int, string) string{
		"another": func(_ int, body string) string { return strings.Replace(body, imageID(1), imageID(9), 1) },
		"none": func(_ int, body string) string {
			return strings.Replace(body, "<imageId>"+imageID(1)+"</imageId>", "", 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			evidence := collect(t.Context(), rewriting(holding(t, nil).Client(), "DescribeImageAttribute", change), candidates(1))
			gap(t, evidence, imageID(1), "launch permissions", "ec2:DescribeImageAttribute: EC2 answered for ")
		})
	}
}

// A reference with hardly any facts is still a use.
func TestAReferenceWithoutAnARN(t *testing.T) {
	for name, test := range map[string]struct{ item, want string }{
		"type_alone": {"<resourceType>batch:Job</resourceType>", "batch:Job"},
		"nothing":    {"", "something"},
	} {
		t.Run(name, func(t *testing.T) {
			body := strings.Replace(answered(""), "<imageReferenceSet>", "<imageReferenceSet><item><imageId>"+imageID(1)+"</imageId>"+test.item+"</item>", 1)
			got := collect(t.Context(), answering(t, body), candidates(1)).Images[imageID(1)]
			if got.Use != ami.Used || len(got.References) != 1 || got.References[0].ARN != test.want {
				t.Errorf("%+v, want used by %s", got, test.want)
			}
		})
	}
}

// An answer that leads back to a page that was read is no complete answer.
func TestCircularAnswers(t *testing.T) {
	for name, tokens := range map[string][]string{"of_one_page": {"a"}, "of_two_pages": {"a", "b"}, "of_three_pages": {"a", "b", "c"}} {
		t.Run(name, func(t *testing.T) {
			bodies := make([]string, 200)
			for n := range bodies {
				bodies[n] = answered(tokens[n%len(tokens)])
			}
			gap(t, collect(t.Context(), answering(t, bodies...), candidates(1)), imageID(1), "references", "leads back")
		})
	}
}

// Everybody besides the account who may launch an image is named, sorted.
func TestSharing(t *testing.T) {
	const org, unit = "arn:aws:organizations::1:organization/o-1", "arn:aws:organizations::1:ou/o-1/ou-1"
	for name, test := range map[string]struct {
		permissions any
		want        []ami.Grantee
		words       []string
	}{
		"with_nobody":    {[]object{}, nil, []string{}},
		"with_accounts":  {[]object{{"UserId": "999999999999"}, {"UserId": "111111111111"}}, []ami.Grantee{{Account: "111111111111"}, {Account: "999999999999"}}, []string{"account 111111111111", "account 999999999999"}},
		"with_all":       {[]object{{"Group": "all"}}, []ami.Grantee{{Everybody: true}}, []string{"all"}},
		"with_an_org":    {[]object{{"OrganizationArn": org}}, []ami.Grantee{{Organization: org}}, []string{org}},
		"with_a_unit":    {[]object{{"OrganizationalUnitArn": unit}}, []ami.Grantee{{Unit: unit}}, []string{unit}},
		"with_something": {[]object{{"Planet": "Mars"}}, []ami.Grantee{{}}, []string{"somebody"}},
		"with_many":      {[]object{{"OrganizationArn": org}, {"Group": "all"}, {"UserId": "999999999999"}}, []ami.Grantee{{Account: "999999999999"}, {Everybody: true}, {Organization: org}}, []string{"account 999999999999", "all", org}},
	} {
		t.Run(name, func(t *testing.T) {
			account := holding(t, map[string]any{"describe-launch-permissions.json": object{imageID(1): test.permissions}})
			want := findings{imageID(1): {Use: ami.Unused, SharedWith: test.want}, imageID(2): {Use: ami.Unused}}
			evidence := collect(t.Context(), account.Client(), candidates(2))
			if diff := cmp.Diff(want, evidence.Images); diff != "" {
				t.Errorf("evidence (-want +got):\n%s", diff)
			}
			if words := ami.Names(evidence.Images[imageID(1)].SharedWith); !slices.Equal(words, test.words) {
				t.Errorf("in words: %q, want %q", words, test.words)
			}
		})
	}
}

// Launch permissions that whoever exported the account was not allowed to see are a gap.
func TestLaunchPermissionsThatCouldNotBeExported(t *testing.T) {
	account := holding(t, map[string]any{"describe-launch-permissions.json": object{imageID(1): nil}})
	evidence := collect(t.Context(), account.Client(), candidates(2))
	gap(t, evidence, imageID(1), "launch permissions", "UnauthorizedOperation")
	proven(t, evidence, imageID(2))
}

// An image that EC2 does not know cannot be proven unused.
func TestAnImageThatIsGone(t *testing.T) {
	evidence := collect(t.Context(), holding(t, nil).Client(), []ami.Image{{ID: imageID(99)}, {ID: imageID(1)}})
	gap(t, evidence, imageID(99), "launch permissions", "InvalidAMIID.NotFound")
	proven(t, evidence, imageID(1))
}

// Without a source that is asked nothing is proven, whatever the launch permissions say.
func TestNoSourceNoProof(t *testing.T) {
	for _, names := range [][]string{{""}, {"nonsense"}, {"launch permissions"}, {"References"}} {
		account := holding(t, nil)
		want := findings{imageID(1): {Use: ami.Unknown}}
		if diff := cmp.Diff(want, collect(t.Context(), account.Client(), candidates(1), names...).Images); diff != "" {
			t.Errorf("sources %q (-want +got):\n%s", names, diff)
		}
		for _, call := range account.Calls() {
			if call.Action == "DescribeImageReferences" {
				t.Errorf("sources %q: the references were asked for", names)
			}
		}
	}
}

// When the time of a run is over, what has not been looked up is unknown.
func TestWhenTimeIsOver(t *testing.T) {
	t.Run("before_the_first_call", func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		stop()
		evidence := collect(ctx, holding(t, nil).Client(), candidates(12))
		for n := 1; n <= 12; n++ {
			if finding, ok := evidence.Images[imageID(n)]; !ok || finding.Use != ami.Unknown || len(finding.Gaps) == 0 || finding.Gaps[0].Err != "interrupted" {
				t.Errorf("%s: %+v, want unknown, interrupted", imageID(n), finding)
			}
		}
	})
	t.Run("in_the_middle", func(t *testing.T) {
		account := holding(t, nil)
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 150*time.Second)
			defer cancel()
			next := account.Client()
			slow := emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
				select { // Every call takes a minute.
				case <-time.After(time.Minute):
					return next.Do(r)
				case <-r.Context().Done():
					return nil, r.Context().Err()
				}
			})
			images := candidates(25) // Three calls for references.
			for n := len(images); n < 100; n++ {
				images = append(images, ami.Image{ID: imageID(1)}) // No time for these.
			}
			images = append(images, ami.Image{ID: imageID(26)})
			start := time.Now()
			evidence := collect(ctx, slow, images)
			for n := 2; n <= 25; n++ {
				proven(t, evidence, imageID(n))
			}
			gap(t, evidence, imageID(26), "launch permissions", ami.NotReached)
			gap(t, evidence, imageID(1), "launch permissions", ami.NotReached)
			if took := time.Since(start); took > 150*time.Second {
				t.Errorf("took %s", took)
			}
		})
	})
	t.Run("while_throttled", func(t *testing.T) {
		account := holding(t, nil)
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			throttled := disturb.Fail(account.Client(), "DescribeImageReferences", nil, 503, "RequestLimitExceeded", "x")
			for id, finding := range collect(ctx, throttled, candidates(12)).Images {
				if finding.Use != ami.Unknown || len(finding.Gaps) == 0 {
					t.Errorf("%s: %+v, want unknown", id, finding)
				}
			}
		})
	})
}

// Progress is told after each image, once, up to the end.
func TestProgress(t *testing.T) {
	var told [][2]int
	deaf := disturb.Deny(holding(t, nil).Client(), "DescribeImageReferences", "DescribeImageAttribute")
	collectWith(t.Context(), clients(deaf), lookup(candidates(3)), func(done, total int) { told = append(told, [2]int{done, total}) })
	if want := [][2]int{{1, 3}, {2, 3}, {3, 3}}; !slices.Equal(told, want) {
		t.Errorf("told %v, want %v", told, want)
	}
}

// Evidence that was lost is not made up from the images: they are only read.
func TestTheImagesAreNotModified(t *testing.T) {
	images := candidates(12)
	collect(t.Context(), holding(t, instances(imageID(1), "running")).Client(), images)
	if diff := cmp.Diff(candidates(12), images); diff != "" {
		t.Errorf("images (-before +after):\n%s", diff)
	}
}

// EC2 is asked about an image once, and only when that is wanted. Until then its use is no more
// than not asked about, whatever the listings say.
func TestImagesAreLookedUpOnce(t *testing.T) {
	account := holding(t, map[string]any{
		"describe-images.json":    object{"Images": []object{}},
		"describe-instances.json": object{"Reservations": []object{{"Instances": []object{{"InstanceId": "i-1", "ImageId": imageID(1)}}}}},
		"describe-image-references.json": object{"ImageReferences": []object{
			{"ImageId": imageID(2), "ResourceType": "imagebuilder:ImageRecipe", "Arn": "arn:recipe"},
			{"ImageId": imageID(4), "ResourceType": "imagebuilder:ImageRecipe", "Arn": "arn:recipe"},
		}},
	})
	wanted := lookup(candidates(5), "references", "instances")
	wanted.Originals = []ami.Image{{ID: imageID(9)}}
	c := usage.List(t.Context(), clients(noPermissions(account.Client())), wanted)
	var asked []string
	uses := func() (uses []string) {
		found := c.Evidence().Images
		for _, n := range []int{1, 2, 3, 4, 5, 9} {
			finding := found[imageID(n)]
			uses = append(uses, finding.Use.String())
			if wasAsked := slices.Contains(asked, imageID(n)) && n != 9; finding.Asked != wasAsked || finding.MayAsk != (!wasAsked && n != 9) {
				t.Errorf("%s: %+v, after %v", imageID(n), finding, asked)
			}
		}
		return uses
	}
	steps := [][2]int{}
	for _, step := range []struct {
		ids  []string
		want []string
	}{
		{nil, []string{"used", "not asked", "not asked", "not asked", "not asked", "unused"}},
		{[]string{imageID(2), imageID(3)}, []string{"used", "used", "unused", "not asked", "not asked", "unused"}},
		{[]string{imageID(3), imageID(9)}, []string{"used", "used", "unused", "not asked", "not asked", "unused"}},
		{[]string{imageID(5), imageID(5), imageID(3)}, []string{"used", "used", "unused", "not asked", "unused", "unused"}},
	} {
		c.LookUp(t.Context(), step.ids, func(done, total int) { steps = append(steps, [2]int{done, total}) })
		asked = append(asked, step.ids...)
		if diff := cmp.Diff(step.want, uses()); diff != "" {
			t.Errorf("after %v (-want +got):\n%s", step.ids, diff)
		}
	}
	if diff := cmp.Diff([][2]int{{1, 2}, {2, 2}, {3, 3}}, steps); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	if n := callsOf(account)["DescribeImageReferences"]; n != 2 {
		t.Errorf("%d calls, want 2", n)
	}
	if asked, incomplete := c.Asked(c.Evidence()); !slices.Equal(asked, []string{"references", "instances"}) || len(incomplete) > 0 {
		t.Errorf("asked %v, incomplete %v", asked, incomplete)
	}
}

// Once EC2 does not answer, it is not asked about later images either.
func TestACircuitBreakerStaysOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		deaf := emulator.DoerFunc(func(*http.Request) (*http.Response, error) {
			calls.Add(1)
			return nil, errors.New("connection reset by peer")
		})
		c := usage.List(t.Context(), clients(deaf), lookup(candidates(200)))
		c.LookUp(t.Context(), idsOf(candidates(100)), func(int, int) {})
		before := calls.Load()
		c.LookUp(t.Context(), idsOf(candidates(200)), func(int, int) {})
		if after := calls.Load(); before == 0 || after != before {
			t.Errorf("%d calls, and then %d", before, after-before)
		}
		if finding := c.Evidence().Images[imageID(200)]; finding.Use != ami.Unknown || len(finding.Gaps) != 2 || !strings.Contains(finding.Gaps[0].Err, "not asked, because AWS did not answer others") {
			t.Errorf("%+v", finding)
		}
	})
}

// EC2 refuses a call about ten images because of one of them. It alone stays unknown.
func TestOneImageThatEC2RefusesToAnswerFor(t *testing.T) {
	account := holding(t, nil)
	refusing := disturb.Fail(account.Client(), "DescribeImageReferences", func(_ int, r emulator.Request) bool {
		return strings.Contains(r.Form.Encode(), imageID(1))
	}, 400, "InvalidAMIID.Unavailable", "The image ID is no longer available")
	evidence := collect(t.Context(), noPermissions(refusing), candidates(12), "references")
	gap(t, evidence, imageID(1), "references", "InvalidAMIID.Unavailable")
	for n := 2; n <= 12; n++ {
		if finding := evidence.Images[imageID(n)]; finding.Use != ami.Unused {
			t.Errorf("%d: %v because of %v", n, finding.Use, finding.Gaps)
		}
	}
}

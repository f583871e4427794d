package template_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
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
	"github.com/aws/aws-sdk-go-v2/service/rbin"
	rbintypes "github.com/aws/aws-sdk-go-v2/service/rbin/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/config"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/emulator/sample"
	"github.com/ami-janitor/ami-janitor/pkg/janitor"
)

// tagKeysKey is IAM's key for the keys of the tags in a request.
const tagKeysKey = "aws:TagKeys"

// requestTag begins IAM's keys for the values of the tags in a request.
const requestTag = "aws:RequestTag/"

// askedFor is what the function asks AWS for, with the template's parameters: in runs that go every
// way through the code, in all regions, with answers and without, on an account in which removals
// were announced before and people objected. The Recycle Bin has the rules of the templates, and no
// other.
func askedFor(t *testing.T, tpl template) []request {
	t.Helper()
	asked := map[string]request{}
	always := func(int, emulator.Request) bool { return true }
	first := func(n int, _ emulator.Request) bool { return n == 1 }
	// Every other image, since it was planned.
	protected := func(n int, _ emulator.Request) bool { return n%2 == 0 }
	ways := []struct {
		lag   int // How often a snapshot is still in use by an image that is gone.
		fault func(emulator.Doer) emulator.Doer
	}{
		{fault: func(account emulator.Doer) emulator.Doer { return account }},
		{lag: 1, fault: func(account emulator.Doer) emulator.Doer {
			return disturb.LoseAnswer(account, "DeregisterImage", first)
		}},
		{lag: 20, fault: func(account emulator.Doer) emulator.Doer {
			return disturb.LoseAnswer(account, "DeregisterImage", always)
		}},
		{lag: 20, fault: func(account emulator.Doer) emulator.Doer {
			return disturb.Fail(account, "DeregisterImage", protected, http.StatusBadRequest, "OperationNotPermitted", "The image is protected.")
		}},
	}
	switch {
	case tpl.chosen["Bundles"] != "":
		// There is one bundle. Whether EC2 refuses its image would depend on the order of calls.
		ways = ways[:1]
	case len(tpl.chosen) > 0:
		ways = ways[len(ways)-1:] // What becomes of lost answers does not depend on the parameters.
	}
	for _, way := range ways {
		synctest.Test(t, func(t *testing.T) {
			clock := clock()
			account := loadSample(t, clock)
			account.SetInUseLag(way.lag)
			makeRules(t, tpl, account.Client())
			announceAndObject(t, clock, account.Client())
			w := &witness{t: t, account: account.Client(), asked: asked}
			variables := map[string]string{}
			for variable, name := range tpl.byVariable() {
				value, isParameter := tpl.parameter(name).(string)
				if _, isPlace := places[variable]; !isPlace && name != "DryRun" {
					variables[variable] = value
					if !isParameter { // A topic that the stack makes.
						variables[variable] = "arn:aws:sns:us-east-1:123456789012:" + name
					}
				}
			}
			maps.Copy(variables, map[string]string{"REGIONS": "all", "NOTIFY_ON": "always"})
			// A report that is asked for in the first run is read in the second; what they announce
			// is due in the third. What that leaves undone the last one finishes.
			touched := 0
			days := []time.Duration{0, 1, 14, 1}
			if variables["ORPHANED_SNAPSHOTS"] == "remove" {
				// What was seen for 30 days is announced, and goes then.
				days = append(days, 14, 14)
			}
			for n, day := range days {
				time.Sleep(day * 24 * time.Hour)
				if n == 5 {
					objectToOrphan(t, account.Client())
				}
				touched += run(t, clock, way.fault(w), variables)
			}
			if touched == 0 {
				t.Fatal("the runs removed nothing")
			}
		})
	}
	return slices.Collect(maps.Values(asked))
}

// loadSample loads the sample account, and the objects that the variants name.
func loadSample(t *testing.T, clock func() time.Time) *emulator.Account {
	t.Helper()
	files := fstest.MapFS{}
	orphans := func(content []byte) []byte {
		var listed struct{ Snapshots []map[string]any }
		if err := json.Unmarshal(content, &listed); err != nil {
			t.Fatal(err)
		}
		for n := range 3 {
			listed.Snapshots = append(listed.Snapshots, map[string]any{
				"SnapshotId": orphan(n), "OwnerId": account, "State": "completed", "VolumeSize": 500, "StartTime": "2025-01-02T03:04:05Z",
				"VolumeId": "vol-0123456789abcdef0", "Description": "Created by CreateImage(i-0123456789abcdef0) for ami-0fedcba9876543210 from vol-0123456789abcdef0",
			})
		}
		content, err := json.Marshal(listed)
		if err != nil {
			t.Fatal(err)
		}
		return content
	}
	original := sample.Files(clock(), "us-east-1")
	err := fs.WalkDir(original, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := fs.ReadFile(original, name)
		if name == "describe-snapshots.json" {
			data = orphans(data)
		}
		files[name] = &fstest.MapFile{Data: data}
		return err
	})
	for name, text := range map[string]string{
		"lists/keep.txt": "nothing-of-that-name", "lists/repos/web": "nothing-of-that-name", "states/prod/a.tfstate": "{}", "more.states/b.tfstate": "{}",
	} {
		files["s3/"+name] = &fstest.MapFile{Data: []byte(text)}
	}
	var loaded *emulator.Account
	if err == nil {
		loaded, err = emulator.Load(files, emulator.Options{Now: clock})
	}
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

// orphan is a snapshot of an image that is gone.
func orphan(n int) string { return fmt.Sprintf("snap-0fedcba987654321%d", n) }

// objectToOrphan takes the day off one of the announced orphans, and tags another one to be kept.
func objectToOrphan(t *testing.T, client emulator.Doer) {
	t.Helper()
	_, err := ec2.NewFromConfig(configuration(client, "us-east-1")).DeleteTags(t.Context(), &ec2.DeleteTagsInput{
		Resources: []string{orphan(0)}, Tags: []types.Tag{{Key: aws.String(ami.DueTag)}},
	})
	if err == nil {
		_, err = ec2.NewFromConfig(configuration(client, "us-east-1")).CreateTags(t.Context(), &ec2.CreateTagsInput{
			Resources: []string{orphan(1)}, Tags: []types.Tag{{Key: aws.String("ami-janitor:keep"), Value: aws.String("true")}},
		})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// makeRules makes the rules of the Recycle Bin: those of the stack in its region, those of
// recycle-bin.yaml in the others; none if the stack has none.
func makeRules(t *testing.T, tpl template, client emulator.Doer) {
	t.Helper()
	out, err := ec2.NewFromConfig(configuration(client, "us-east-1")).DescribeRegions(t.Context(), &ec2.DescribeRegionsInput{})
	if err != nil {
		t.Fatal(err)
	}
	for _, region := range out.Regions {
		from := tpl
		if *region.RegionName != "us-east-1" {
			from = read(t, "recycle-bin.yaml").with(tpl.chosen)
		}
		for _, rule := range from.resources("AWS::Rbin::Rule") {
			if !tpl.holds(at(tpl.section("Resources"), rule.name, "Condition")) {
				continue
			}
			tag := list(rule.properties["ResourceTags"])[0]
			days, err := strconv.ParseInt(fmt.Sprint(from.parameter(target(at(rule.properties["RetentionPeriod"], "RetentionPeriodValue")))), 10, 32)
			if err != nil {
				t.Fatal(err)
			}
			_, err = rbin.NewFromConfig(configuration(client, *region.RegionName)).CreateRule(t.Context(), &rbin.CreateRuleInput{
				ResourceType: rbintypes.ResourceType(rule.properties["ResourceType"].(string)),
				ResourceTags: []rbintypes.ResourceTag{{
					ResourceTagKey:   aws.String(at(tag, "ResourceTagKey").(string)),
					ResourceTagValue: aws.String(at(tag, "ResourceTagValue").(string)),
				}},
				RetentionPeriod: &rbintypes.RetentionPeriod{
					RetentionPeriodUnit:  rbintypes.RetentionPeriodUnitDays,
					RetentionPeriodValue: aws.Int32(int32(days)),
				},
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

// announceAndObject announces the removal of some images, which are deprecated or disabled for the
// time. Then people object: to a deprecation with a tag that keeps, to a disabled image by taking
// the announcement off.
func announceAndObject(t *testing.T, clock func() time.Time, client emulator.Doer) {
	t.Helper()
	api := ec2.NewFromConfig(configuration(client, "us-east-1"))
	for _, action := range []string{"deprecate", "disable"} {
		run(t, clock, client, map[string]string{
			"GRACE": "14d", "GRACE_ACTION": action, "MAX_DEREGISTRATIONS": "2", "REGIONS": "us-east-1",
			"RECORDS": "s3://amzn-s3-demo-bucket", // Those of the stack are still empty.
		})
	}
	carryPlans(t, s3.NewFromConfig(configuration(client, "us-east-1")), "amzn-s3-demo-bucket", strings.TrimPrefix(places["RECORDS"].example, "s3://"))
	deprecated, disabled := 0, 0
	for _, image := range describeImages(t, client, "us-east-1", &ec2.DescribeImagesInput{
		Owners: []string{"self"}, IncludeDisabled: aws.Bool(true),
		Filters: []types.Filter{{Name: aws.String("tag-key"), Values: []string{ami.DueTag}}},
	}) {
		var err error
		switch {
		case image.State == types.ImageStateDisabled:
			disabled++
			_, err = api.DeleteTags(t.Context(), &ec2.DeleteTagsInput{
				Resources: []string{*image.ImageId}, Tags: []types.Tag{{Key: aws.String(ami.DueTag)}},
			})
		case image.DeprecationTime != nil:
			deprecated++
			_, err = api.CreateTags(t.Context(), &ec2.CreateTagsInput{
				Resources: []string{*image.ImageId}, Tags: []types.Tag{{Key: aws.String("ami-janitor:keep"), Value: aws.String("true")}},
			})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if deprecated == 0 || disabled == 0 {
		t.Fatalf("%d images were deprecated, %d disabled", deprecated, disabled)
	}
}

// carryPlans copies what runs have planned from one bucket of records into another.
func carryPlans(t *testing.T, client *s3.Client, from, to string) {
	t.Helper()
	out, err := client.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &from, Prefix: aws.String("runs/")})
	if err != nil {
		t.Fatal(err)
	}
	carried := 0
	for _, listed := range out.Contents {
		if !strings.Contains(*listed.Key, "/plan-") {
			continue
		}
		object, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &from, Key: listed.Key})
		var content []byte
		if err == nil {
			content, err = io.ReadAll(object.Body)
		}
		if err == nil {
			_, err = client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &to, Key: listed.Key, Body: bytes.NewReader(content)})
		}
		if err != nil {
			t.Fatal(err)
		}
		carried++
	}
	if carried == 0 {
		t.Fatal("no run has planned anything")
	}
}

// clock is the bubble's clock, set to a year in which there are AMIs.
func clock() func() time.Time {
	began, now := time.Now(), time.Date(2026, time.November, 23, 2, 0, 0, 0, time.UTC)
	return func() time.Time { return now.Add(time.Since(began)) }
}

// run is a run of the function, in every region, and not a dry one. It returns how many images it
// removed, or tried to.
func run(t *testing.T, clock func() time.Time, client emulator.Doer, chosen map[string]string) int {
	t.Helper()
	variables := map[string]string{
		"REGIONS":        "all",
		"NOTIFY_ON":      "always",
		"TOPIC_ARN":      "arn:aws:sns:us-east-1:123456789012:DigestTopic",
		"CHAT_TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:ChatTopic",
		"RECORDS":        places["RECORDS"].example,
		"POLICY_NAME":    places["POLICY_NAME"].example,
	}
	maps.Copy(variables, chosen)
	parsed, err := config.Parse(func(variable string) string { return variables[variable] })
	if err != nil {
		t.Fatal(err)
	}
	j := janitor.Janitor{Config: parsed, AWS: configuration(client, "us-east-1"), Clock: clock}
	time.Sleep(time.Second) // The ids of runs begin with the second.
	record := j.Run(t.Context(), ami.NewRunID(clock(), strings.NewReader("\x3f\x9c\x1a")), false)
	if err := j.Tell(t.Context(), record); err != nil {
		t.Fatal(err)
	}
	if err := janitor.Err(record); err != nil {
		t.Fatal(err)
	}
	return record.Totals.Deregistered + record.Totals.Failed
}

func configuration(client emulator.Doer, region string) aws.Config {
	return aws.Config{
		Region:      region,
		Credentials: credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", ""),
		HTTPClient:  httpClient{client},
	}
}

// httpClient is a Doer as the SDK takes it.
type httpClient struct{ emulator.Doer }

func (c httpClient) Do(r *http.Request) (*http.Response, error) { return c.Doer.Do(r) }

func describeImages(t *testing.T, client emulator.Doer, region string, input *ec2.DescribeImagesInput) []types.Image {
	t.Helper()
	out, err := ec2.NewFromConfig(configuration(client, region)).DescribeImages(t.Context(), input)
	if err != nil {
		t.Fatal(err)
	}
	return out.Images
}

// witness hands calls on to an account, and notes for each what IAM would have been asked, with the
// tags that the resource has at the time.
type witness struct {
	t       *testing.T
	account emulator.Doer

	mu    sync.Mutex
	asked map[string]request
}

func (w *witness) Do(r *http.Request) (*http.Response, error) {
	q, err := emulator.Inspect(r)
	if err != nil {
		return nil, err
	}
	for _, one := range w.requests(q) {
		w.note(one)
	}
	return w.account.Do(r)
}

func (w *witness) note(one request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked[fmt.Sprint(one)] = one
}

// requests are what IAM decides on when a call is made, one for each resource, and what it knows of
// that (Service Authorization Reference, "Actions, resources, and condition keys for Amazon EC2").
// A missing resource is not checked: EC2 reports it instead.
func (w *witness) requests(q emulator.Request) []request {
	action := q.Service + ":" + q.Action
	switch action {
	case "s3:DeleteObject", "s3:GetBucketLifecycleConfiguration", "s3:GetBucketVersioning", "s3:GetObject", "s3:ListObjectVersions", "s3:ListObjectsV2",
		"s3:PutObject":
		return onRecords(q)
	case "cloudformation:DescribeStacks": // Of all stacks (Service Authorization Reference).
		return []request{{action, "*", nil}, {"cloudformation:ListStacks", "*", nil}}
	case "cloudformation:GetTemplate":
		return []request{{action, q.Form.Get("StackName"), nil}}
	case "pcs:GetComputeNodeGroup", "pcs:ListComputeNodeGroups":
		return []request{{action, "arn:aws:pcs:" + q.Region + ":" + account + ":cluster/" + q.Form.Get("clusterIdentifier"), nil}}
	case "elasticmapreduce:DescribeCluster", "elasticmapreduce:ListInstanceFleets", "elasticmapreduce:ListInstanceGroups":
		return []request{{action, "arn:aws:elasticmapreduce:" + q.Region + ":" + account + ":cluster/" + q.Form.Get("ClusterId"), nil}}
	case "sagemaker:DescribeCluster":
		return []request{{action, "arn:aws:sagemaker:" + q.Region + ":" + account + ":cluster/" + q.Form.Get("ClusterName"), nil}}
	case "rbin:GetRule":
		return []request{{action, "arn:aws:rbin:" + q.Region + ":" + account + ":rule/" + q.Form.Get("Identifier"), nil}}
	case "ec2:DescribeSnapshotAttribute":
		return w.onSnapshot(q, action, q.Form.Get("SnapshotId"))
	case "ec2:DescribeImageAttribute", "ec2:DisableImage", "ec2:DisableImageDeprecation", "ec2:EnableImage", "ec2:EnableImageDeprecation":
		asked, _ := w.onImage(q, action, q.Form.Get("ImageId"))
		return asked
	case "ec2:DeregisterImage":
		asked, snapshots := w.onImage(q, action, q.Form.Get("ImageId"))
		if q.Form.Get("DeleteAssociatedSnapshots") == "true" {
			for _, id := range snapshots {
				asked = append(asked, w.onSnapshot(q, "ec2:DeleteSnapshot", id)...)
			}
		}
		return asked
	case "ec2:DeleteSnapshot":
		return w.onSnapshot(q, action, q.Form.Get("SnapshotId"))
	case "ec2:CreateTags", "ec2:DeleteTags":
		return w.onTagged(q, action)
	case "ec2:CreateImageUsageReport":
		asked, _ := w.onImage(q, action, q.Form.Get("ImageId"))
		arn, keys := arnOfReport(q, "amiur-0123456789abcdef0"), writtenKeys(q)
		return append(asked,
			request{action, arn, map[string]string{tagKeysKey: keys}},
			request{"ec2:CreateTags", arn, map[string]string{tagKeysKey: keys, "ec2:CreateAction": q.Action}})
	case "ec2:DeleteImageUsageReport":
		return w.onReport(q, action, q.Form.Get("ReportId"))
	case "ssm:GetParameters":
		var asked []request
		for name := range texted(q.Form, "Names.") {
			asked = append(asked, request{action, arnOfParameter(q, name), nil})
		}
		return asked
	case "sns:Publish":
		topic := q.Form.Get("TopicArn")
		return []request{{action, "<" + topic[strings.LastIndex(topic, ":")+1:] + ">", nil}}
	default:
		return []request{{action, "*", nil}} // No resource can be named.
	}
}

// onRecords is what is asked for a bucket, that of the records among them, or for an object in it.
// To say that an object is not there, S3 asks whether its key may be listed; to compare it with an
// ETag, whether it may be read (Amazon S3 API Reference, GetObject; Amazon S3 User Guide, "Enforce
// conditional deletes on Amazon S3 buckets").
func onRecords(q emulator.Request) []request {
	bucket := q.Form.Get("Bucket")
	if "s3://"+bucket == places["RECORDS"].example {
		bucket = "<RecordsBucket>"
	} else {
		bucket = "arn:aws:s3:::" + bucket
	}
	key := q.Form.Get("Key")
	lists := func(prefix string) request {
		return request{"s3:ListBucket", bucket, map[string]string{"aws:ResourceAccount": account, "s3:prefix": prefix}}
	}
	onObject := func(action string) request {
		return request{action, bucket + "/" + key, map[string]string{"aws:ResourceAccount": account}}
	}
	switch {
	case q.Action == "ListObjectsV2":
		return []request{lists(q.Form.Get("prefix"))}
	case q.Action == "GetObject":
		return []request{onObject("s3:GetObject"), lists(key)}
	case key == "":
		return []request{{cmp.Or(namedOtherwise["s3:"+q.Action], "s3:"+q.Action), bucket, map[string]string{"aws:ResourceAccount": account}}}
	case q.Form.Get("IfMatch") != "":
		conditional := onObject("s3:" + q.Action)
		conditional.context["s3:if-match"] = q.Form.Get("IfMatch")
		return []request{conditional, onObject("s3:GetObject")}
	default:
		return []request{onObject("s3:" + q.Action)}
	}
}

// onImage is what is asked for an image, and the snapshots that it maps.
func (w *witness) onImage(q emulator.Request, action, id string) (asked []request, snapshots []string) {
	images := describeImages(w.t, w.account, q.Region, &ec2.DescribeImagesInput{
		Filters: []types.Filter{{Name: aws.String("image-id"), Values: []string{id}}}, IncludeDisabled: aws.Bool(true),
	})
	for _, image := range images {
		context := tagged(image.Tags)
		context["ec2:Owner"], context["ec2:Public"] = aws.ToString(image.OwnerId), fmt.Sprint(aws.ToBool(image.Public))
		asked = append(asked, request{action, "arn:aws:ec2:" + q.Region + "::image/" + id, context})
		for _, mapping := range image.BlockDeviceMappings {
			if mapping.Ebs != nil {
				snapshots = append(snapshots, aws.ToString(mapping.Ebs.SnapshotId))
			}
		}
	}
	return asked, snapshots
}

func (w *witness) onSnapshot(q emulator.Request, action, id string) []request {
	out, err := ec2.NewFromConfig(configuration(w.account, q.Region)).DescribeSnapshots(w.t.Context(), &ec2.DescribeSnapshotsInput{
		Filters: []types.Filter{{Name: aws.String("snapshot-id"), Values: []string{id}}},
	})
	if err != nil {
		w.t.Error(err)
		return nil
	}
	var asked []request
	for _, snapshot := range out.Snapshots {
		context := tagged(snapshot.Tags)
		context["ec2:Owner"] = aws.ToString(snapshot.OwnerId)
		asked = append(asked, request{action, "arn:aws:ec2:" + q.Region + "::snapshot/" + id, context})
	}
	return asked
}

func (w *witness) onReport(q emulator.Request, action, id string) []request {
	out, err := ec2.NewFromConfig(configuration(w.account, q.Region)).DescribeImageUsageReports(w.t.Context(), &ec2.DescribeImageUsageReportsInput{
		ReportIds: []string{id},
	})
	if err != nil {
		return nil
	}
	var asked []request
	for _, report := range out.ImageUsageReports {
		asked = append(asked, request{action, arnOfReport(q, id), tagged(report.Tags)})
	}
	return asked
}

// onTagged is what is asked when tags are written or taken off. When they are taken off, IAM knows
// no owner.
func (w *witness) onTagged(q emulator.Request, action string) []request {
	var asked []request
	for id := range texted(q.Form, "ResourceId.") {
		some, _ := w.onImage(q, action, id)
		if strings.HasPrefix(id, "snap-") {
			some = w.onSnapshot(q, action, id)
		}
		for _, one := range some {
			if keys := writtenKeys(q); keys != "" {
				one.context[tagKeysKey] = keys
			}
			if action == "ec2:DeleteTags" {
				delete(one.context, "ec2:Owner")
				delete(one.context, "ec2:Public")
			} else {
				maps.Copy(one.context, writtenTags(q))
			}
			asked = append(asked, one)
		}
	}
	return asked
}

// texted yields the parameters of a request whose names begin alike.
func texted(form url.Values, prefix string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for key := range form {
			if strings.HasPrefix(key, prefix) && !yield(form.Get(key)) {
				return
			}
		}
	}
}

// writtenKeys are the keys of the tags in a request.
func writtenKeys(q emulator.Request) string {
	var keys []string
	for name := range q.Form {
		if strings.Contains(name, "Tag.") && strings.HasSuffix(name, ".Key") {
			keys = append(keys, q.Form.Get(name))
		}
	}
	slices.Sort(keys)
	return tagKeys(keys)
}

// writtenTags are the values of the tags in a request, as IAM knows them.
func writtenTags(q emulator.Request) map[string]string {
	context := map[string]string{}
	for name := range q.Form {
		if numbered, ok := strings.CutSuffix(name, ".Key"); ok && strings.Contains(name, "Tag.") {
			context[requestTag+q.Form.Get(name)] = q.Form.Get(numbered + ".Value")
		}
	}
	return context
}

func tagged(tags []types.Tag) map[string]string {
	context := map[string]string{}
	for _, tag := range tags {
		context["aws:ResourceTag/"+aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	return context
}

func arnOfReport(q emulator.Request, id string) string {
	return "arn:aws:ec2:" + q.Region + ":" + account + ":image-usage-report/" + id
}

// arnOfParameter is the ARN of a parameter that is asked for by name or ARN. AWS's own belong to no
// account.
func arnOfParameter(q emulator.Request, name string) string {
	owner := account
	switch {
	case strings.HasPrefix(name, "arn:"):
		return name
	case strings.HasPrefix(name, "/aws/"):
		owner = ""
	}
	return "arn:aws:ssm:" + q.Region + ":" + owner + ":parameter/" + strings.TrimPrefix(name, "/")
}

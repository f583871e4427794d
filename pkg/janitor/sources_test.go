package janitor_test

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/janitor"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/usage"
)

// blind lets EC2's own lookup of references find nothing, so that what another source finds is all
// there is.
func blind(next emulator.Doer) emulator.Doer {
	return on(next, func(q emulator.Request, _ int) bool { return q.Action == "DescribeImageReferences" }, func(_ emulator.Doer, r *http.Request) (*http.Response, error) {
		return referencesAnswer(r, ""), nil
	})
}

func referencesAnswer(r *http.Request, items string) *http.Response {
	return reply(r, http.StatusOK, `<DescribeImageReferencesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>1</requestId><imageReferenceSet>`+
		items+`</imageReferenceSet></DescribeImageReferencesResponse>`)
}

// recipe lets EC2's own lookup of references find a recipe of Image Builder, which no other source
// can see.
func recipe(imageID string) func(emulator.Doer) emulator.Doer {
	return func(next emulator.Doer) emulator.Doer {
		return on(next, func(q emulator.Request, _ int) bool {
			return q.Action == "DescribeImageReferences" && slices.Contains([]string{q.Form.Get("ImageId.1"), q.Form.Get("ImageId.2")}, imageID)
		}, func(_ emulator.Doer, r *http.Request) (*http.Response, error) {
			return referencesAnswer(r, "<item><imageId>"+imageID+"</imageId><resourceType>imagebuilder:ImageRecipe</resourceType><arn>"+recipeARN+"</arn></item>"), nil
		})
	}
}

const (
	builtARN  = "arn:aws:imagebuilder:us-east-1:123456789012:image/web/" // Without its version.
	recipeARN = "arn:aws:imagebuilder:us-east-1:123456789012:image-recipe/web/1.0.0"
	ofAccount = ":us-east-1:123456789012:"
	beanstalk = "elastic-beanstalk" // The source that is off by default.
)

// namedBy are accounts in which one source alone names the stale image 1, and how.
func namedBy() map[string]struct {
	world world
	wrap  func(emulator.Doer) emulator.Doer
	arn   string
} {
	w := world{images: []object{image(1, 400, 300, 1), image(2, 400, 0, 2)}}
	instances, templates, built := w, w, w
	built.images = []object{with(w.images[0], "Tags", []object{{"Key": "Ec2ImageBuilderArn", "Value": builtARN + "1.0.0/1"}}), w.images[1]}
	instances.reservations = []object{instance(7, imageID(1), "stopped")}
	templates.versions = []object{templateVersion(7, imageID(1))}
	return map[string]struct {
		world world
		wrap  func(emulator.Doer) emulator.Doer
		arn   string
	}{
		"references":       {w, recipe(imageID(1)), recipeARN},
		"instances":        {instances, blind, "arn:aws:ec2" + ofAccount + fmt.Sprintf("instance/i-%017x", 7)},
		"launch-templates": {templates, blind, "arn:aws:ec2" + ofAccount + fmt.Sprintf("launch-template/lt-%017x", 7)},
		"launch-configurations": {
			w.and("describe-launch-configurations.json", "LaunchConfigurations", object{
				"LaunchConfigurationName": "old", "ImageId": imageID(1), "LaunchConfigurationARN": "arn:aws:autoscaling" + ofAccount + "launchConfiguration:1:launchConfigurationName/old",
			}), blind, "arn:aws:autoscaling" + ofAccount + "launchConfiguration:1:launchConfigurationName/old",
		},
		"auto-scaling-groups": {
			w.and("describe-auto-scaling-groups.json", "AutoScalingGroups", object{
				"AutoScalingGroupName": "mixed", "AutoScalingGroupARN": "arn:aws:autoscaling" + ofAccount + "autoScalingGroup:1:autoScalingGroupName/mixed",
				"MixedInstancesPolicy": object{"LaunchTemplate": object{"Overrides": []object{{"InstanceType": "m7g.large", "ImageId": imageID(1)}}}},
			}), blind, "arn:aws:autoscaling" + ofAccount + "autoScalingGroup:1:autoScalingGroupName/mixed",
		},
		"instance-refreshes": {
			w.and("describe-auto-scaling-groups.json", "AutoScalingGroups", object{
				"AutoScalingGroupName": "mixed", "AutoScalingGroupARN": "arn:aws:autoscaling" + ofAccount + "autoScalingGroup:1:autoScalingGroupName/mixed", "DesiredCapacity": 1,
			}).and("describe-instance-refreshes.json", "InstanceRefreshes", refresh("mixed", imageID(1))), blind, "arn:aws:autoscaling" + ofAccount + "autoScalingGroup:1:autoScalingGroupName/mixed",
		},
		"cloudformation": {
			w.and("cloudformation-describe-stacks.json", "Stacks", stack("web", imageID(1))), blind, "arn:aws:cloudformation" + ofAccount + "stack/web/1",
		},
		"batch": {
			w.and("batch-describe-compute-environments.json", "computeEnvironments", environment("nightly", imageID(1))), blind,
			"arn:aws:batch" + ofAccount + "compute-environment/nightly",
		},
		"pcs":        {w.nodeGroup("pcs_7", imageID(1)), blind, "arn:aws:pcs" + ofAccount + "cluster/pcs_7/computenodegroup/group"},
		"rds-custom": {w.and("rds-describe-db-engine-versions.json", "DBEngineVersions", engineVersion(7, imageID(1))), blind, "arn:aws:rds" + ofAccount + "cev:7"},
		"emr":        {w.emrCluster("j-7", imageID(1)), blind, "arn:aws:elasticmapreduce" + ofAccount + "cluster/j-7"},
		"hyperpod":   {w.hyperPod("hp-7", imageID(1)), blind, "arn:aws:sagemaker" + ofAccount + "cluster/hp-7"},
		"image-builder": {
			built.and("imagebuilder-list-image-recipes.json", "imageRecipeSummaryList", object{"arn": recipeARN, "parentImage": builtARN + "x.x.x"}), blind, recipeARN,
		},
		beanstalk: {
			w.and("elasticbeanstalk-describe-applications.json", "Applications", object{"ApplicationName": "web", "ConfigurationTemplates": []string{"large"}}).
				answering("elasticbeanstalk-describe-configuration-settings.json", object{"ConfigurationSettings": []object{{
					"ApplicationName": "web", "TemplateName": "large", "OptionSettings": []object{{"Value": imageID(1)}},
				}}}), blind, "arn:aws:elasticbeanstalk" + ofAccount + "configurationtemplate/web/large",
		},
		"image-tasks": {
			w.and("describe-export-image-tasks.json", "ExportImageTasks", object{"ExportImageTaskId": "export-ami-7", "ImageId": imageID(1), "Status": "active"}), blind,
			"arn:aws:ec2" + ofAccount + "export-image-task/export-ami-7",
		},
		"spot-fleets": {
			w.and("describe-spot-fleet-requests.json", "SpotFleetRequestConfigs", object{
				"SpotFleetRequestId": "sfr-7", "SpotFleetRequestState": "active", "SpotFleetRequestConfig": object{"LaunchSpecifications": []object{{"ImageId": imageID(1)}}},
			}), blind, "arn:aws:ec2" + ofAccount + "spot-fleet-request/sfr-7",
		},
		"spot-requests": {
			w.and("describe-spot-instance-requests.json", "SpotInstanceRequests", object{
				"SpotInstanceRequestId": "sir-7", "State": "open", "LaunchSpecification": object{"ImageId": imageID(1)},
			}), blind, "arn:aws:ec2" + ofAccount + "spot-instances-request/sir-7",
		},
		"ssm-text": {w.parameter("/deploy/web", "web: "+imageID(1)+"\n", nil), blind, "arn:aws:ssm" + ofAccount + "parameter/deploy/web"},
		"s3-text":  {w.and("s3/states/prod.tfstate", "resources", object{"image_id": imageID(1)}), blind, "arn:aws:s3:::states/prod.tfstate"},
		"fast-launch": {
			w.and("describe-fast-launch-images.json", "FastLaunchImages", object{"ImageId": imageID(1), "State": "enabled"}), blind,
			"arn:aws:ec2:us-east-1::image/" + imageID(1),
		},
		"fast-snapshot-restore": {
			w.and("describe-fast-snapshot-restores.json", "FastSnapshotRestores", object{"SnapshotId": snapshotID(1), "State": "enabled", "AvailabilityZone": "us-east-1a"}), blind,
			"arn:aws:ec2:us-east-1::snapshot/" + snapshotID(1),
		},
	}
}

// refresh is an unfinished instance refresh of a group, which brings an image.
func refresh(group, imageID string) object {
	return object{
		"AutoScalingGroupName": group, "InstanceRefreshId": "refresh", "Status": "InProgress",
		"DesiredConfiguration": object{"MixedInstancesPolicy": object{"LaunchTemplate": object{"Overrides": []object{{"ImageId": imageID}}}}},
	}
}

// stack is a stack with an image in a parameter.
func stack(name, imageID string) object {
	return object{
		"StackName": name, "StackId": "arn:aws:cloudformation" + ofAccount + "stack/" + name + "/1", "StackStatus": "CREATE_COMPLETE", "CreationTime": daysAgo(9),
		"Parameters": []object{{"ParameterKey": "Image", "ParameterValue": imageID}},
	}
}

func environment(name, imageID string) object {
	return object{
		"computeEnvironmentName": name, "computeEnvironmentArn": "arn:aws:batch" + ofAccount + "compute-environment/" + name, "status": "VALID",
		"computeResources": object{"ec2Configuration": []object{{"imageIdOverride": imageID}}},
	}
}

func engineVersion(n int, imageID string) object {
	return object{"Engine": "custom-sqlserver-ee", "DBEngineVersionArn": fmt.Sprint("arn:aws:rds", ofAccount, "cev:", n), "Image": object{"ImageId": imageID}}
}

// nodeGroup adds a cluster of Parallel Computing Service with one compute node group.
func (w world) nodeGroup(cluster, imageID string) world {
	return w.and("pcs-list-clusters.json", "clusters", object{"id": cluster}).answering("pcs-get-compute-node-group.json", object{"computeNodeGroup": object{
		"id": "group", "clusterId": cluster, "arn": "arn:aws:pcs" + ofAccount + "cluster/" + cluster + "/computenodegroup/group", "amiId": imageID,
	}})
}

// emrCluster adds a cluster of EMR with one instance group, and one with a fleet.
func (w world) emrCluster(id, imageID string) world {
	const file = "emr-describe-cluster.json"
	for _, cluster := range []string{id, "j-fleets"} {
		w = w.and("emr-list-clusters.json", "Clusters", object{"Id": cluster, "Status": object{"State": "WAITING"}})
	}
	return w.answering(file, object{"Cluster": object{
		"Id": id, "ClusterArn": "arn:aws:elasticmapreduce" + ofAccount + "cluster/" + id, "InstanceCollectionType": "INSTANCE_GROUP",
		"InstanceGroups": []object{{"CustomAmiId": imageID}},
	}}).answering(file, object{"Cluster": object{"Id": "j-fleets", "InstanceCollectionType": "INSTANCE_FLEET", "InstanceFleets": []object{{"Id": "if-1"}}}})
}

// hyperPod adds a cluster of SageMaker HyperPod with one instance group.
func (w world) hyperPod(name, imageID string) world {
	arn := "arn:aws:sagemaker" + ofAccount + "cluster/" + name
	return w.and("sagemaker-list-clusters.json", "ClusterSummaries", object{"ClusterName": name, "ClusterArn": arn}).
		answering("sagemaker-describe-cluster.json", object{"ClusterName": name, "ClusterArn": arn, "InstanceGroups": []object{{"CurrentImageId": imageID}}})
}

// Each source by itself keeps an image, with a reason that names what it has found. Switched off it
// does not, and the digest says that it was.
func TestEverySourceByItself(t *testing.T) {
	cases := namedBy()
	for _, source := range usage.Sources() {
		t.Run(source, func(t *testing.T) {
			c, ok := cases[source]
			if !ok {
				t.Fatalf("no case for %s: add an account to namedBy in sources_test.go", source)
			}
			account := c.world.load(t)
			on := settings{"IMAGE_BUILDER_IMAGES": "judge", "USAGE_SOURCES": "all," + beanstalk}
			if source == usage.S3TextSource {
				on["TEXT_OBJECTS"] = "s3://states/"
			}
			record := run(t, c.wrap(account.Client()), on, false)
			checkRecord(t, record, 100)
			wantVerdicts(t, record, map[string]string{imageID(1): "keep", imageID(2): "deregistered"})
			if got := reasons(record, imageID(1)); got != "in-use: named by "+c.arn {
				t.Errorf("kept for %q, want in-use: named by %s", got, c.arn)
			}
			if strings.Contains(digest.Full(record), "Switched off") {
				t.Errorf("nothing is switched off:\n%s", digest.Text(record))
			}

			account = c.world.load(t)
			others := slices.DeleteFunc(usage.Sources(), func(name string) bool { return name == source })
			off := on.and(settings{"USAGE_SOURCES": strings.Join(others, ",")})
			record = run(t, c.wrap(account.Client()), off, false)
			checkRecord(t, record, 100)
			want := "deregistered"
			wantVerdicts(t, record, map[string]string{imageID(1): want, imageID(2): "deregistered"})
			if source == beanstalk {
				if len(record.Sources.SwitchedOff) > 0 || strings.Contains(digest.Full(record), "Switched off") {
					t.Errorf("what is off by default is called switched off: %q\n%s", record.Sources.SwitchedOff, digest.Full(record))
				}
				return
			}
			for name, text := range map[string]string{"run": digest.Full(record), "plan": digest.Full(run(t, c.world.load(t).Client(), off, true))} {
				if text := strings.Join(strings.Fields(text), " "); !strings.Contains(text, "Switched off, and so not part of the proof: "+source+".") {
					t.Errorf("%s: it does not say that %s is switched off:\n%s", name, source, text)
				}
			}
			if !slices.Equal(record.Sources.SwitchedOff, []string{source}) {
				t.Errorf("switched off: %q", record.Sources.SwitchedOff)
			}
		})
	}
}

// reasons are the reasons of an image in words.
func reasons(record record.Run, imageID string) string {
	var words []string
	for _, i := range allImages(record) {
		for _, reason := range i.Reasons {
			if i.ImageID == imageID {
				words = append(words, string(reason.Code)+": "+reason.Detail)
			}
		}
	}
	return strings.Join(words, "; ")
}

// everything is an account with two regions, in which every read that the janitor knows is made,
// most of them with several pages. In each region images 1 and 2 are free to go, and image 3 is
// shared, and a report proves that nobody uses it. The other region's have 100 more. Images 20 and
// 120 are copies of originals in the other region.
func everything(t rapid.TB) *emulator.Account {
	t.Helper()
	account, err := emulator.Load(region(0).files(t), emulator.Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	if err := account.AddRegion("eu-west-1", region(100).files(t)); err != nil {
		t.Fatal(err)
	}
	account.KeepRemoved(14)
	return account
}

func region(first int) world {
	name, other := "us-east-1", "eu-west-1"
	if first > 0 {
		name, other = other, name
	}
	id := func(n int) string { return imageID(first + n) }
	w := world{images: []object{
		image(first+1, 400, 300, first+1), image(first+2, 500, 0, first+2), image(first+3, 400, 350, first+3),
		with(with(image(first+20, 450, 0, first+20), "SourceImageId", imageID(100-first+21)), "SourceImageRegion", other),
		image(first+21, 440, 0, first+21),
	}, permissions: object{id(3): []object{{"UserId": "111122223333"}}}}
	for n := 4; n < 12; n++ { // In use, and enough for several pages.
		w.images = append(w.images, image(first+n, 20, 5, first+n))
		w.reservations = append(w.reservations, instance(first+n, id(n), "running"))
		w.locks = append(w.locks, object{"SnapshotId": snapshotID(first + n), "LockState": "expired"})
		version := templateVersion(first+n, id(n))
		older := templateVersion(first+n, id(n))
		older["VersionNumber"], older["DefaultVersion"] = 0, false
		w.versions = append(w.versions, version, older)
		w = w.and("describe-launch-configurations.json", "LaunchConfigurations", object{"LaunchConfigurationName": fmt.Sprint("c", n), "ImageId": id(n)})
		w = w.and("describe-auto-scaling-groups.json", "AutoScalingGroups", object{"AutoScalingGroupName": fmt.Sprint("g", n)})
		w = w.and("describe-spot-fleet-requests.json", "SpotFleetRequestConfigs", object{"SpotFleetRequestId": fmt.Sprint("sfr-", n), "SpotFleetRequestState": "active", "SpotFleetRequestConfig": object{"LaunchSpecifications": []object{{"ImageId": id(n)}}}})
		w = w.and("describe-spot-instance-requests.json", "SpotInstanceRequests", object{"SpotInstanceRequestId": fmt.Sprint("sir-", n), "State": "open", "LaunchSpecification": object{"ImageId": id(n)}})
		w = w.and("describe-fleets.json", "Fleets", object{"FleetId": fmt.Sprint("fleet-", n), "Type": "maintain"})
		w = w.and("describe-fast-launch-images.json", "FastLaunchImages", object{"ImageId": id(n), "State": "enabled"})
		w = w.and("describe-fast-snapshot-restores.json", "FastSnapshotRestores", object{"SnapshotId": snapshotID(first + n), "State": "enabled"})
		w = w.and("describe-export-image-tasks.json", "ExportImageTasks", object{"ExportImageTaskId": fmt.Sprint("export-ami-", n), "ImageId": id(n), "Status": "active"})
		w = w.and("describe-store-image-tasks.json", "StoreImageTaskResults", object{"AmiId": id(n), "StoreTaskState": "InProgress"})
		w = w.and("describe-replace-root-volume-tasks.json", "ReplaceRootVolumeTasks", object{"ReplaceRootVolumeTaskId": fmt.Sprint("replacevol-", n), "ImageId": id(n), "TaskState": "pending"})
		w = w.and("cloudformation-describe-stacks.json", "Stacks", stack(fmt.Sprint("web-", n), id(n)))
		w = w.answering("cloudformation-get-template.json", object{"StackName": fmt.Sprint("web-", n), "TemplateBody": "ImageId: " + id(n)})
		w = w.and("batch-describe-compute-environments.json", "computeEnvironments", environment(fmt.Sprint("nightly-", n), id(n)))
		w = w.and("rds-describe-db-engine-versions.json", "DBEngineVersions", engineVersion(n, id(n)))
		w = w.and("imagebuilder-list-image-recipes.json", "imageRecipeSummaryList", object{"arn": fmt.Sprint(recipeARN, n), "parentImage": id(n)})
		w = w.and("imagebuilder-list-container-recipes.json", "containerRecipeSummaryList", object{"arn": fmt.Sprint(recipeARN, n), "instanceImage": id(n)})
		w = w.parameter(fmt.Sprint("/p/", n), id(n), nil)
		w = w.and("describe-image-usage-reports.json", "ImageUsageReports", usageReport(first+n, id(n), 1))
		w = w.and("describe-image-usage-report-entries.json", "ImageUsageReportEntries", object{
			"AccountId": fmt.Sprint(111122220000 + n), "ImageId": id(3), "ReportId": usageReport(first+3, "", 0)["ReportId"], "ResourceType": "ec2:Instance", "UsageCount": 0,
		})
	}
	w = w.nodeGroup("pcs_7", id(7)).emrCluster("j-7", id(7)).hyperPod("hp-7", id(7))
	w.versions = append(w.versions, templateVersion(first+90, "resolve:ssm:/p/5"))
	w = w.and("describe-image-usage-reports.json", "ImageUsageReports", usageReport(first+3, id(3), 1))
	for n := 30; n < 36; n++ { // In the Recycle Bin, removed by somebody else.
		exit := now.AddDate(0, 0, 3).Format(time.RFC3339)
		w = w.and("list-images-in-recycle-bin.json", "Images", object{"ImageId": id(n), "Name": "gone", "RecycleBinEnterTime": daysAgo(4), "RecycleBinExitTime": exit})
		w = w.and("list-snapshots-in-recycle-bin.json", "Snapshots", object{"SnapshotId": snapshotID(first + n), "RecycleBinEnterTime": daysAgo(4), "RecycleBinExitTime": exit})
	}
	if name == "us-east-1" {
		w = w.parameter("/keep", "nothing-of-that-name\n", nil)
		for n := range 4 {
			w = w.and(fmt.Sprint("s3/states/", n), "resources", object{"image_id": id(5)})
		}
	}
	return w
}

// usageReport is a report of the janitor that says of an image all that it can, made some days ago.
func usageReport(n int, imageID string, age int) object {
	return object{
		"ReportId": fmt.Sprintf("amiur-%017x", n), "ImageId": imageID, "State": "available", "CreationTime": daysAgo(age),
		"ResourceTypes": []object{
			{"ResourceType": "ec2:Instance"},
			{"ResourceType": "ec2:LaunchTemplate", "ResourceTypeOptions": []object{{"OptionName": "version-depth", "OptionValues": []string{"10000"}}}},
		},
		"Tags": []object{{"Key": "ami-janitor:run", "Value": "20261120T020000Z-000000"}},
	}
}

var everythingOn = settings{
	"REGIONS": "all", "SHARED_IMAGES": "report", "LAUNCH_TEMPLATE_VERSIONS": "2", "KEEP_LIST": "ssm:/keep", "KEEP_NEWEST": "0", "REQUIRE_RECYCLE_BIN": "true",
	"TEXT_OBJECTS": "s3://states/", "IMAGE_BUILDER_IMAGES": "judge", "CLOUDFORMATION_TEMPLATES": "true",
}

// leastPages are the shortest pages that the listings allow, by action.
var leastPages = map[string]int{
	"DescribeImages": 5, "DescribeSnapshots": 5, "DescribeLockedSnapshots": 5, "DescribeImageReferences": 5, "DescribeInstances": 5, "DescribeSpotInstanceRequests": 5,
	"DescribeLaunchTemplates": 1, "DescribeLaunchTemplateVersions": 1, "DescribeLaunchConfigurations": 1, "DescribeAutoScalingGroups": 1,
	"DescribeSpotFleetRequests": 1, "DescribeFleets": 1, "DescribeParameters": 1, "DescribeFastLaunchImages": 1, "DescribeFastSnapshotRestores": 1,
	"DescribeExportImageTasks": 1, "DescribeStoreImageTasks": 1, "DescribeReplaceRootVolumeTasks": 1, "DescribeInstanceRefreshes": 1,
	"DescribeImageUsageReports": 1, "DescribeImageUsageReportEntries": 1, "DescribeTags": 5, "ListImagesInRecycleBin": 1, "ListSnapshotsInRecycleBin": 5,
}

var maxRecords = regexp.MustCompile(`"MaxResults":[0-9]+`)

// shortPages makes all listings page as finely as they can, whatever they are asked for.
func shortPages(next emulator.Doer) emulator.Doer {
	return emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
		q, err := emulator.Inspect(r)
		least := leastPages[q.Action]
		if err != nil || least == 0 {
			return next.Do(r)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		if q.Service == "ssm" {
			body = maxRecords.ReplaceAll(body, []byte(`"MaxResults":`+strconv.Itoa(least)))
		} else {
			form, err := url.ParseQuery(string(body))
			if err != nil {
				return nil, err
			}
			size := "MaxResults"
			if q.Service == "autoscaling" {
				size = "MaxRecords"
			}
			if !strings.HasPrefix(q.Action, "List") || form.Has(size) { // It is refused beside ids.
				form.Set(size, strconv.Itoa(least))
			}
			body = []byte(form.Encode())
		}
		r = r.Clone(r.Context())
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		return next.Do(r)
	})
}

// readsOf are the reads that a whole run of that account makes, by action: how often, and how many
// of them are not the first page.
func readsOf(t *testing.T) (reads, further map[string]int) {
	t.Helper()
	reads, further = map[string]int{}, map[string]int{}
	account := everything(t)
	doer := on(shortPages(account.Client()), func(q emulator.Request, _ int) bool {
		if isRead(q.Action) {
			reads[q.Action]++
			if q.Form.Get("NextToken") != "" {
				further[q.Action]++
			}
		}
		return false
	}, nil)
	record := run(t, doer, everythingOn, false)
	checkRecord(t, record, 100)
	if record.Failed() {
		t.Fatalf("%+v %v", record.Totals, janitor.Err(record))
	}
	for _, n := range []int{1, 2, 3, 20, 21, 101, 102, 103, 120, 121} {
		if got := verdicts(record)[imageID(n)]; got != "deregistered" {
			t.Fatalf("without any fault, image %d: %s for %s", n, got, reasons(record, imageID(n)))
		}
	}
	return reads, further
}

// Whichever single thing may not be read, is throttled for ever, is cut at its second page, is
// answered by a web page or is not known to the endpoint: nothing goes for which it is a part of
// the proof. What there is to take away is not listed here but seen in the calls of a run.
func TestWithoutAnyOneRead(t *testing.T) {
	t.Parallel()
	var reads, further map[string]int
	bubble(t, func(t *testing.T) { reads, further = readsOf(t) })
	t.Logf("reads %v; further pages %v", reads, further)
	if len(reads) < 26 {
		t.Errorf("a whole run makes only %d kinds of reads", len(reads))
	}
	delete(reads, "ListAccountAliases") // It is no part of the proof.
	anywhere := func(emulator.Request) bool { return true }
	for _, action := range thinned(slices.Sorted(maps.Keys(reads)), 4) {
		for kind, match := range map[string]func(emulator.Request) bool{
			"denied": anywhere, "throttled": anywhere, "web page": anywhere, "not known": anywhere,
			"cut": func(q emulator.Request) bool { return q.Form.Get("NextToken") != "" },
		} {
			fault := readFaults[kind]
			if kind == "cut" {
				if fault = readFaults["broken"]; further[action] == 0 {
					continue
				}
			}
			places := []string{""}
			if kind == "denied" {
				places = []string{"", "us-east-1", "eu-west-1"}
			}
			if isOfS3(action) { // It is asked in the region of the bucket.
				places = []string{""}
			}
			for _, where := range places {
				t.Run(strings.Trim(action+" "+kind+" "+where, " "), func(t *testing.T) {
					bubble(t, func(t *testing.T) { withoutARead(t, action, where, match, fault) })
				})
			}
		}
	}
}

// What is removed need not be restorable unless somebody has asked for that: then a Recycle Bin
// that cannot be read stops nothing. What nobody could see in it is not said to be restorable, and
// no snapshot is said to be orphaned.
func TestWithoutTheRecycleBin(t *testing.T) {
	t.Parallel()
	free := maps.Clone(everythingOn)
	delete(free, "REQUIRE_RECYCLE_BIN")
	for _, action := range []string{"GetRule", "ListImagesInRecycleBin", "ListRules", "ListSnapshotsInRecycleBin"} {
		for _, kind := range []string{"denied", "throttled", "broken", "web page", "not known"} {
			t.Run(action+" "+kind, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					account := everything(t)
					record := run(t, on(account.Client(), func(q emulator.Request, _ int) bool { return q.Action == action }, readFaults[kind]), free, false)
					checkRecord(t, record, 100)
					if record.Totals.Deregistered != 10 || record.Failed() || record.Totals.OrphanedSnapshots > 0 {
						t.Errorf("%+v, %v", record.Totals, janitor.Err(record))
					}
					for _, i := range allImages(record) {
						if i.Outcome != nil && strings.HasPrefix(action, "List") && action != "ListRules" && !i.Outcome.RestorableUntil.IsZero() {
							t.Errorf("%+v", i.Outcome)
						}
					}
				})
			})
		}
	}
}

// A Recycle Bin that nothing has to be restored from is read beside the rest, for the orphans
// alone. A run does not wait for it for longer than a few seconds, and says so; for one that is
// required it does.
func TestARecycleBinIsWaitedForWhereItIsNeeded(t *testing.T) {
	t.Parallel()
	hang := func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	for name, c := range map[string]struct {
		settings settings
		actions  []string // Those that fail.
		fault    func(*http.Request) (*http.Response, error)
		least    time.Duration // How long the run takes at least, and at most.
		most     time.Duration
		gap      string
		removed  int
	}{
		"rules, not needed":        {bare, []string{"ListRules", "GetRule"}, nil, 0, time.Second, "", 5},
		"contents, failing":        {bare, []string{"ListImagesInRecycleBin"}, nil, 5 * time.Second, 6 * time.Second, "did not answer within 5s", 5},
		"contents, not answering":  {bare, []string{"ListImagesInRecycleBin"}, hang, 5 * time.Second, 6 * time.Second, "did not answer within 5s", 5},
		"contents, no orphans":     {settings{"ORPHANED_SNAPSHOTS": "ignore"}, []string{"ListImagesInRecycleBin"}, nil, 0, time.Second, "", 5},
		"rules that are required":  {settings{"REQUIRE_RECYCLE_BIN": "true"}, []string{"ListRules"}, nil, 30 * time.Second, 3 * time.Minute, "ListRules: InternalError", 0},
		"a bin that is in order":   {settings{"REQUIRE_RECYCLE_BIN": "true"}, nil, nil, 0, time.Second, "", 5},
		"a bin that is not needed": {bare, nil, nil, 0, time.Second, "", 5},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				account := stale(5).load(t)
				account.KeepRemoved(30)
				doer := account.Client()
				failing := emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
					q, err := emulator.Inspect(r)
					switch {
					case err != nil || !slices.Contains(c.actions, q.Action):
						return doer.Do(r)
					case c.fault != nil:
						return c.fault(r)
					}
					return disturb.Fail(doer, q.Action, nil, http.StatusInternalServerError, "InternalError", "An internal error has occurred").Do(r)
				})
				began := time.Now()
				record := run(t, failing, c.settings, true)
				if took := time.Since(began); took < c.least || took > c.most {
					t.Errorf("it took %s", took)
				}
				region := record.Regions[0]
				if region.Error != "" || !strings.Contains(region.OrphansGap, c.gap) || (region.OrphansGap == "") != (c.gap == "") || record.Totals.WouldDeregister != c.removed {
					t.Errorf("%+v, %q, gap %q", record.Totals, region.Error, region.OrphansGap)
				}
				if text := strings.Join(strings.Fields(digest.Text(record)), " "); strings.Contains(text, "were not looked for") != (c.gap != "") {
					t.Errorf("%s", digest.Text(record))
				}
				if c.removed > 0 && record.LacksProof() {
					t.Error("what is not needed lacks a proof")
				}
				asked := slices.ContainsFunc(account.Calls(), func(call emulator.Call) bool { return call.Action == "ListRules" })
				if c.settings["REQUIRE_RECYCLE_BIN"] != "true" && asked {
					t.Error("rules that nothing needs were asked for")
				}
			})
		})
	}
}

// If the Recycle Bin cannot be read after the first image has gone there, nothing proves that it
// holds that image: the others stay.
func TestARecycleBinThatGoesSilent(t *testing.T) {
	t.Parallel()
	for _, action := range []string{"ListImagesInRecycleBin", "ListSnapshotsInRecycleBin"} {
		for _, kind := range []string{"denied", "throttled", "broken", "web page", "not known"} {
			t.Run(action+" "+kind, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					account := everything(t)
					removed := map[string]bool{}
					doer := on(account.Client(), func(q emulator.Request, _ int) bool {
						removed[q.Region] = removed[q.Region] || q.Action == "DeregisterImage"
						return q.Action == action && removed[q.Region]
					}, readFaults[kind])
					record := run(t, doer, everythingOn, false)
					checkRecord(t, record, 100)
					if n := calls(account, "DeregisterImage"); n != 2 || record.Totals.Deregistered != 2 || record.Totals.Skipped != 8 {
						t.Errorf("%d calls, one for each region is enough: %+v", n, record.Totals)
					}
					for _, i := range allImages(record) {
						if i.Outcome != nil && i.Outcome.Status == "skipped" && !strings.Contains(i.Outcome.Error, "has not turned up in the Recycle Bin") {
							t.Errorf("%+v", i.Outcome)
						}
					}
				})
			})
		}
	}
}

func withoutARead(t *testing.T, action, where string, match func(emulator.Request) bool, fault func(emulator.Doer, *http.Request) (*http.Response, error)) {
	t.Helper()
	account := everything(t)
	hits := map[string]int{}
	// The images that went before any tag could not be read: their own had been.
	declared := map[string]bool{}
	doer := on(shortPages(account.Client()), func(q emulator.Request, _ int) bool {
		if action == "DescribeTags" && q.Action == "DeregisterImage" && hits[q.Region] == 0 {
			declared[q.Form.Get("ImageId")] = true
		}
		hit := q.Action == action && (where == "" || q.Region == where) && match(q)
		if hit {
			hits[q.Region]++
		}
		return hit
	}, fault)
	recorded := run(t, doer, everythingOn, false)
	checkRecord(t, recorded, 100)
	got := verdicts(recorded)
	for region, first := range map[string]int{"us-east-1": 0, "eu-west-1": 100} {
		hit, failed := hits[region] > 0, false
		for _, r := range recorded.Regions {
			failed = failed || r.Region == region && r.Error != ""
		}
		for n := 1; n < 22; n++ {
			verdict, why := got[imageID(first+n)], reasons(recorded, imageID(first+n))
			if verdict == "deregistered" && hit && !declared[imageID(first+n)] && (n == 3 || !strings.HasPrefix(action, "DescribeImageUsageReport")) {
				t.Errorf("%s in %s: image %d is removed", action, region, first+n)
			}
			if hit && n == 1 && !failed && !isOfTheBin(action) && !strings.HasPrefix(action, "DescribeImageUsageReport") && action != "DescribeTags" && !strings.Contains(why, "unknown-use") {
				t.Errorf("%s in %s: image %d is %s for %s", action, region, first+n, verdict, why)
			}
		}
	}
	for _, r := range recorded.Regions {
		if hits[r.Region] > 0 {
			r.Images = slices.DeleteFunc(slices.Clone(r.Images), func(i record.Image) bool { return declared[i.ImageID] })
			checkWhatIsSaid(t, action, r)
		}
	}
	// The home region's answers are needed for the whole recorded; a copy needs those of the region
	// of its original, too; and text in any region may name an image.
	wide := action == "GetCallerIdentity" || isOfS3(action) || action == "DescribeRegions" || action == "GetParameters" && hits["us-east-1"] > 0
	original := listsUse(action) || slices.Contains([]string{"DescribeImages", "DescribeSnapshots", "DescribeLockedSnapshots"}, action)
	for region, first := range map[string]int{"us-east-1": 0, "eu-west-1": 100} {
		other := map[string]string{"us-east-1": "eu-west-1", "eu-west-1": "us-east-1"}[region]
		if hits[other] == 0 || hits[region] > 0 {
			continue
		}
		for n := 1; n < 22; n++ {
			verdict := got[imageID(first+n)]
			switch {
			case verdict != "deregistered":
			case wide, n == 20 && original, action == "DescribeParameters", action == "GetParameters":
				t.Errorf("%s in %s: image %d of the other region is removed", action, other, first+n)
			}
		}
	}
	if len(hits) == 0 && (where == "" || action != "GetCallerIdentity" && action != "DescribeRegions") {
		t.Errorf("%s was never called", action)
	}
}

func isOfS3(action string) bool { return action == "GetObject" || action == "ListObjectsV2" }

// isOfTheBin reports whether an action reads the Recycle Bin or its rules.
func isOfTheBin(action string) bool {
	return slices.Contains([]string{"GetRule", "ListImagesInRecycleBin", "ListRules", "ListSnapshotsInRecycleBin"}, action)
}

// checkWhatIsSaid checks what the record says of a region in which reads have failed that are no
// evidence of use. Where the Recycle Bin cannot be read, its region is only planned; what cannot be
// seen to be declared is not removed.
func checkWhatIsSaid(t *testing.T, action string, region record.Region) {
	t.Helper()
	saysSo := strings.Contains(region.Hold, "Recycle Bin: ") && strings.Contains(region.Hold, action+": ")
	if (region.Hold != "") != isOfTheBin(action) || saysSo != isOfTheBin(action) {
		t.Errorf("%s in %s: it is held for %q", action, region.Region, region.Hold)
	}
	for _, i := range region.Images {
		if i.Verdict != "deregister" || i.Outcome == nil {
			continue
		}
		switch {
		case isOfTheBin(action) && (i.Outcome.Status != "skipped" || i.Outcome.Error != region.Hold):
			t.Errorf("%s in %s: %+v", action, region.Region, i.Outcome)
		case action == "DescribeTags" && (i.Outcome.Status != "failed" || !strings.Contains(i.Outcome.Error, "could not be declared: ") || !strings.Contains(i.Outcome.Error, "cannot be read back: ")):
			t.Errorf("%s in %s: %+v", action, region.Region, i.Outcome)
		}
	}
}

// listsUse reports whether an action is one of a listing by which the use of an original is looked
// up.
func listsUse(action string) bool {
	return !slices.Contains([]string{
		"DescribeImages", "DescribeSnapshots", "DescribeLockedSnapshots", "DescribeImageReferences", "DescribeImageAttribute", "DescribeFastSnapshotRestores",
		"DescribeImageUsageReports", "DescribeImageUsageReportEntries", "GetCallerIdentity", "DescribeRegions", "DescribeTags", sharingOfSnapshots,
	}, action) && !isOfTheBin(action)
}

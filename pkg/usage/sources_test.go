package usage_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/usage"
)

func arn(service, resource string) string {
	return fmt.Sprintf("arn:aws:%s:%s:%s:%s", service, region, owner, resource)
}

// withSnapshots are n images, each with the snapshot of its number.
func withSnapshots(n int) []ami.Image {
	images := candidates(n)
	for i := range images {
		images[i].SnapshotIDs = []string{snapshotID(i + 1)}
	}
	return images
}

// nobodys is the image that most resources of a long listing name.
const nobodys = 25

// kind is a kind of resource that can name an image, and the listing that finds it.
type kind struct {
	source, action string
	also           []string // Other actions without which the listing is not complete.
	size           int      // The longest page.
	// What comes first says nothing of images, so that nothing is known if there is no more.
	hasNoFirstPage bool
	perCluster     bool // It is called for each cluster, and each resource is in one of its own.
	hasNoPages     bool // One call lists everything.
	awsType        string
	arn            func(n int) string // Of the n-th resource.
	file, list     string
	// The n-th resource, which names an image by the image's number.
	resource func(n, image int) object
	more     func(resources []object) map[string]any
}

var kinds = slices.Concat(resources, services)

var resources = []kind{
	{
		source: "instances", action: "DescribeInstances", size: 1000, awsType: "ec2:Instance",
		arn:  func(n int) string { return arn("ec2", fmt.Sprintf("instance/i-%017x", n)) },
		file: "describe-instances.json", list: "Reservations",
		resource: func(n, image int) object {
			return object{"Instances": []object{{
				"InstanceId": fmt.Sprintf("i-%017x", n), "ImageId": imageID(image), "State": object{"Name": "terminated"},
				"Operator": object{"Managed": true},
			}}}
		},
	},
	templateKind("DescribeLaunchTemplates", true), templateKind("DescribeLaunchTemplateVersions", false),
	{
		source: "launch-configurations", action: "DescribeLaunchConfigurations", size: 100, awsType: "autoscaling:LaunchConfiguration",
		arn: func(n int) string {
			return arn("autoscaling", fmt.Sprintf("launchConfiguration:0:launchConfigurationName/lc-%04d", n))
		},
		file: "describe-launch-configurations.json", list: "LaunchConfigurations",
		resource: func(n, image int) object {
			return object{
				"LaunchConfigurationName": fmt.Sprintf("lc-%04d", n), "ImageId": imageID(image),
				"LaunchConfigurationARN": arn("autoscaling", fmt.Sprintf("launchConfiguration:0:launchConfigurationName/lc-%04d", n)),
			}
		},
	},
	refreshKind("DescribeInstanceRefreshes"), refreshKind("DescribeAutoScalingGroups"),
	{
		source: "auto-scaling-groups", action: "DescribeAutoScalingGroups", size: 100, awsType: "autoscaling:AutoScalingGroup",
		arn: func(n int) string {
			return arn("autoscaling", fmt.Sprintf("autoScalingGroup:0:autoScalingGroupName/asg-%04d", n))
		},
		file: "describe-auto-scaling-groups.json", list: "AutoScalingGroups",
		resource: func(n, image int) object {
			return object{
				"AutoScalingGroupName": fmt.Sprintf("asg-%04d", n),
				"AutoScalingGroupARN":  arn("autoscaling", fmt.Sprintf("autoScalingGroup:0:autoScalingGroupName/asg-%04d", n)),
				"DesiredCapacity":      1 / n, // Only the first has instances.
				"MixedInstancesPolicy": object{"LaunchTemplate": object{
					"LaunchTemplateSpecification": object{"LaunchTemplateName": "web"},
					"Overrides":                   []object{{"InstanceType": "m5.large"}, {"ImageId": imageID(image)}},
				}},
			}
		},
	},
	{
		source: "spot-fleets", action: "DescribeSpotFleetRequests", size: 100, awsType: "ec2:SpotFleetRequest",
		arn:  func(n int) string { return arn("ec2", fmt.Sprintf("spot-fleet-request/sfr-%04d", n)) },
		file: "describe-spot-fleet-requests.json", list: "SpotFleetRequestConfigs",
		resource: func(n, image int) object {
			return object{
				"SpotFleetRequestId": fmt.Sprintf("sfr-%04d", n), "SpotFleetRequestState": "active",
				"SpotFleetRequestConfig": object{"LaunchSpecifications": []object{{"ImageId": imageID(image), "InstanceType": "m5.large"}, {"ImageId": imageID(image)}}},
			}
		},
	},
	{
		source: "spot-requests", action: "DescribeSpotInstanceRequests", size: 100, awsType: "ec2:SpotInstancesRequest",
		arn:  func(n int) string { return arn("ec2", fmt.Sprintf("spot-instances-request/sir-%04d", n)) },
		file: "describe-spot-instance-requests.json", list: "SpotInstanceRequests",
		resource: func(n, image int) object {
			return object{
				"SpotInstanceRequestId": fmt.Sprintf("sir-%04d", n), "State": "open",
				"LaunchSpecification": object{"ImageId": imageID(image)},
			}
		},
	},
	parameterKind("DescribeParameters", 50), parameterKind("GetParameters", 10),
	{
		source: "fast-launch", action: "DescribeFastLaunchImages", size: 200, awsType: "ec2:FastLaunch",
		arn:  nil, // That of the image itself.
		file: "describe-fast-launch-images.json", list: "FastLaunchImages",
		resource: func(_, image int) object {
			return object{"ImageId": imageID(image), "ResourceType": "snapshot", "State": "enabling-failed"}
		},
	},
	{
		source: "fast-snapshot-restore", action: "DescribeFastSnapshotRestores", size: 200, awsType: "ec2:FastSnapshotRestore",
		arn:  nil, // That of the image's snapshot.
		file: "describe-fast-snapshot-restores.json", list: "FastSnapshotRestores",
		resource: func(_, image int) object {
			return object{"SnapshotId": snapshotID(image), "AvailabilityZone": "eu-west-1a", "State": "optimizing"}
		},
	},
	{
		source: "cloudformation", action: "DescribeStacks", size: 100, awsType: "cloudformation:Stack",
		arn:  func(n int) string { return arn("cloudformation", fmt.Sprint("stack/web/", n)) },
		file: "cloudformation-describe-stacks.json", list: "Stacks",
		resource: func(n, image int) object {
			stack := object{"StackId": arn("cloudformation", fmt.Sprint("stack/web/", n)), "StackName": fmt.Sprint("web-", n), "StackStatus": "ROLLBACK_COMPLETE", "CreationTime": "2026-01-02T03:04:05Z"}
			switch n % 3 {
			case 0:
				stack["Outputs"] = []object{{"OutputKey": "Images", "OutputValue": "web: " + strings.ToUpper(imageID(image)) + "."}}
			case 1:
				stack["Parameters"] = []object{{"ParameterKey": "Image", "ParameterValue": imageID(image)}}
			default:
				stack["Parameters"] = []object{{"ParameterKey": "Image", "ParameterValue": "/web/image", "ResolvedValue": imageID(image)}}
			}
			return stack
		},
		also: []string{"GetTemplate"}, more: func(stacks []object) map[string]any {
			templates := []object{}
			for _, stack := range stacks {
				templates = append(templates, object{"StackName": stack["StackName"], "TemplateBody": "Resources: {}"})
			}
			return map[string]any{"cloudformation-get-template.json": templates}
		},
	},
	{
		source: "cloudformation", action: "GetTemplate", also: []string{"DescribeStacks"}, perCluster: true, size: 100, awsType: "cloudformation:Stack",
		arn:  func(n int) string { return arn("cloudformation", fmt.Sprint("stack/web/", n)) },
		file: "cloudformation-get-template.json",
		resource: func(n, image int) object {
			body := any(object{"Resources": object{"Web": object{"Properties": object{"ImageId": imageID(image)}}}})
			if n%2 == 0 {
				body = "Resources: {Web: {Properties: {ImageId: " + imageID(image) + "}}}"
			}
			return object{"StackName": fmt.Sprint("web-", n), "TemplateBody": body}
		},
		more: func(templates []object) map[string]any {
			stacks := []object{}
			for i, template := range templates {
				stacks = append(stacks, object{
					"StackId": arn("cloudformation", fmt.Sprint("stack/web/", i+1)), "StackName": template["StackName"], "StackStatus": "CREATE_COMPLETE", "CreationTime": "2026-01-02T03:04:05Z",
				})
			}
			return map[string]any{"cloudformation-describe-stacks.json": object{"Stacks": stacks}}
		},
	},
	taskKind("DescribeExportImageTasks", 100, "ExportImageTasks", object{"Status": "active"}),
	taskKind("DescribeStoreImageTasks", 200, "StoreImageTaskResults", object{"StoreTaskState": "InProgress"}),
	taskKind("DescribeReplaceRootVolumeTasks", 50, "ReplaceRootVolumeTasks", object{"TaskState": "in-progress"}),
}

// refreshKind are instance refreshes: all of one group, or each of a group of its own.
func refreshKind(action string) kind {
	group := func(n int) string {
		if action == "DescribeInstanceRefreshes" {
			n = 1
		}
		return fmt.Sprintf("asg-%04d", n)
	}
	groupARN := func(name string) string { return arn("autoscaling", "autoScalingGroup:0:autoScalingGroupName/"+name) }
	return kind{
		source: "instance-refreshes", action: action, also: []string{"DescribeAutoScalingGroups", "DescribeInstanceRefreshes"}, size: 100,
		awsType: "autoscaling:InstanceRefresh", arn: func(n int) string { return groupARN(group(n)) },
		file: "describe-instance-refreshes.json", list: "InstanceRefreshes",
		resource: func(n, image int) object {
			return object{
				"AutoScalingGroupName": group(n), "InstanceRefreshId": fmt.Sprint("refresh-", n), "Status": "InProgress",
				"DesiredConfiguration": object{"MixedInstancesPolicy": object{"LaunchTemplate": object{
					"LaunchTemplateSpecification": object{"LaunchTemplateName": "web"}, "Overrides": []object{{"ImageId": imageID(image)}},
				}}},
			}
		},
		more: func(refreshes []object) map[string]any {
			groups, seen := []object{}, map[any]bool{}
			for _, refresh := range refreshes {
				if name := refresh["AutoScalingGroupName"]; !seen[name] {
					groups = append(groups, object{"AutoScalingGroupName": name, "AutoScalingGroupARN": groupARN(name.(string)), "DesiredCapacity": 1})
					seen[name] = true
				}
			}
			return map[string]any{"describe-auto-scaling-groups.json": object{"AutoScalingGroups": groups}}
		},
	}
}

// taskKind are tasks that read an image, and that show so in a state.
func taskKind(action string, size int, list string, state object) kind {
	awsType := strings.TrimSuffix(strings.TrimSuffix(list, "s"), "Result")
	also := slices.DeleteFunc(
		[]string{"DescribeExportImageTasks", "DescribeStoreImageTasks", "DescribeReplaceRootVolumeTasks"},
		func(a string) bool { return a == action })
	id := map[string]string{"ExportImageTasks": "ExportImageTaskId", "StoreImageTaskResults": "AmiId", "ReplaceRootVolumeTasks": "ReplaceRootVolumeTaskId"}[list]
	resources := map[string]string{"ExportImageTasks": "export-image-task", "ReplaceRootVolumeTasks": "replace-root-volume-task"}
	k := kind{
		source: "image-tasks", action: action, also: also, size: size, awsType: "ec2:" + awsType,
		file: "describe-" + map[string]string{
			"ExportImageTasks": "export-image-tasks", "StoreImageTaskResults": "store-image-tasks", "ReplaceRootVolumeTasks": "replace-root-volume-tasks",
		}[list] + ".json", list: list,
		resource: func(n, image int) object {
			task := object{"ImageId": imageID(image), id: fmt.Sprint("task-", n)}
			if id == "AmiId" {
				task = object{id: imageID(image)}
			}
			maps.Copy(task, state)
			return task
		},
	}
	if resource := resources[list]; resource != "" {
		k.arn = func(n int) string { return arn("ec2", resource+"/task-"+fmt.Sprint(n)) }
	}
	return k
}

// templateKind are launch templates of one version. They take two listings.
func templateKind(action string, hasNoFirstPage bool) kind {
	also := slices.DeleteFunc([]string{"DescribeLaunchTemplates", "DescribeLaunchTemplateVersions"}, func(a string) bool { return a == action })
	size := 200
	if action == "DescribeLaunchTemplateVersions" {
		size = 50
	}
	return kind{
		source: "launch-templates", action: action, also: also, size: size, awsType: "ec2:LaunchTemplate", hasNoFirstPage: hasNoFirstPage,
		arn:  func(n int) string { return arn("ec2", fmt.Sprintf("launch-template/lt-%017x", n)) },
		file: "describe-launch-template-versions.json", list: "LaunchTemplateVersions",
		resource: func(n, image int) object {
			return object{
				"LaunchTemplateId": fmt.Sprintf("lt-%017x", n), "LaunchTemplateName": fmt.Sprintf("web-%d", n), "VersionNumber": 1,
				"DefaultVersion": true, "LaunchTemplateData": object{"ImageId": imageID(image)}, "Operator": object{"Managed": true},
			}
		},
		more: func(versions []object) map[string]any {
			var templates []object
			for _, version := range versions {
				templates = append(templates, object{
					"LaunchTemplateId": version["LaunchTemplateId"], "LaunchTemplateName": version["LaunchTemplateName"],
					"LatestVersionNumber": 1, "DefaultVersionNumber": 1, "Operator": object{"Managed": true},
				})
			}
			return map[string]any{"describe-launch-templates.json": object{"LaunchTemplates": templates}}
		},
	}
}

// parameterKind are SSM parameters whose text names an image. They are listed, and then read.
func parameterKind(action string, size int) kind {
	also := slices.DeleteFunc([]string{"DescribeParameters", "GetParameters"}, func(a string) bool { return a == action })
	return kind{
		source: "ssm-text", action: action, also: also, size: size, awsType: "ssm:Parameter",
		arn:  func(n int) string { return arn("ssm", fmt.Sprintf("parameter/web/%04d", n)) },
		file: "get-parameters.json", list: "Parameters",
		resource: func(n, image int) object {
			return object{"Name": fmt.Sprintf("/web/%04d", n), "Type": "String", "DataType": "text", "Value": `{"ami": "` + imageID(image) + `"}`}
		},
		more: func(parameters []object) map[string]any {
			var described []object
			for _, parameter := range parameters {
				described = append(described, object{"Name": parameter["Name"], "Type": parameter["Type"], "DataType": "text"})
			}
			return map[string]any{"describe-parameters.json": object{"Parameters": described}}
		},
	}
}

// holding loads an account with n of the resources. The first names image 2, and the last image 1.
func (k kind) holding(t *testing.T, n int) *emulator.Account {
	t.Helper()
	return holding(t, k.files(n))
}

func (k kind) files(n int) map[string]any {
	resources := []object{}
	for i := range n {
		image := nobodys
		switch i {
		case n - 1:
			image = 1
		case 0:
			image = 2
		}
		resources = append(resources, k.resource(i+1, image))
	}
	return k.of(resources)
}

// of are the files of some resources.
func (k kind) of(resources []object) map[string]any {
	files := map[string]any{k.file: object{k.list: resources}}
	if k.list == "" {
		files[k.file] = resources
	}
	if k.more != nil {
		maps.Copy(files, k.more(resources))
	}
	return files
}

// reference is what the n-th resource is in the evidence, where it names an image.
func (k kind) reference(n, image int) ami.Reference {
	by := ami.Reference{Source: k.source, Type: k.awsType}
	switch {
	case k.arn != nil:
		by.ARN = k.arn(n)
	case k.source == "fast-launch" || k.source == "image-tasks":
		by.ARN = "arn:aws:ec2:eu-west-1::image/" + imageID(image)
	default:
		by.ARN = "arn:aws:ec2:eu-west-1::snapshot/" + snapshotID(image)
	}
	return by
}

func eachKind(t *testing.T, test func(*testing.T, kind)) {
	t.Helper()
	for _, k := range kinds {
		t.Run(k.source+"/"+k.action, func(t *testing.T) { test(t, k) })
	}
}

// callsOf counts the calls of an account by action.
func callsOf(account *emulator.Account) map[string]int {
	calls := map[string]int{}
	for _, call := range account.Calls() {
		calls[call.Action]++
	}
	return calls
}

// wantUsed checks that images are used by the first and the last of n resources, and that others
// are not used.
func (k kind) wantUsed(t *testing.T, evidence ami.Evidence, n int) {
	t.Helper()
	want := findings{
		imageID(1): {Use: ami.Used, References: []ami.Reference{k.reference(n, 1)}},
		imageID(2): {Use: ami.Used, References: []ami.Reference{k.reference(1, 2)}},
		imageID(3): {Use: ami.Unused},
	}
	snapshots := map[string]ami.SnapshotFinding{}
	if k.source == "fast-snapshot-restore" { // It names the snapshots themselves.
		for n := 1; n <= 2; n++ {
			snapshots[snapshotID(n)] = ami.SnapshotFinding{References: want[imageID(n)].References}
		}
	}
	got := maps.Clone(evidence.Images)
	delete(got, imageID(nobodys))
	if diff := cmp.Diff(ami.Evidence{Images: want, Snapshots: snapshots}, ami.Evidence{Images: got, Snapshots: evidence.Snapshots, Gaps: evidence.Gaps}); diff != "" {
		t.Errorf("evidence (-want +got):\n%s", diff)
	}
}

// What a source names is used, and says by what; services' own resources, terminated instances and
// failed preparations count.
func TestEverySourceFindsUse(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		k.wantUsed(t, collect(t.Context(), k.holding(t, 3).Client(), withSnapshots(3), k.source), 3)
	})
}

// A source is read to its last page, with few calls; an empty page in the middle is not the last.
func TestEverySourceIsReadToItsEnd(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		n := 2*k.size + k.size/2
		account := k.holding(t, n)
		k.wantUsed(t, collect(t.Context(), account.Client(), withSnapshots(3), k.source), n)
		calls := callsOf(account)
		delete(calls, "DescribeImageAttribute")
		want := 4 // Three pages, and an empty one.
		switch {
		case k.action == "GetParameters":
			want = 3
		case k.perCluster:
			want = n
		case k.hasNoPages:
			want = 1
		}
		if calls[k.action] != want {
			t.Errorf("%d calls of %s for %d resources, want %d", calls[k.action], k.action, n, want)
		}
		for action := range calls {
			if action != k.action && !slices.Contains(k.also, action) {
				t.Errorf("%s was called", action)
			}
		}
	})
}

// What has been asked and names nothing proves non-use.
func TestEverySourceFindsNonUse(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		proven(t, collect(t.Context(), holding(t, nil).Client(), withSnapshots(2), k.source), imageID(1), imageID(2))
	})
}

// A source that is switched off is not asked, and finds nothing.
func TestASourceThatIsSwitchedOff(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		others := slices.DeleteFunc(usage.Sources(), func(name string) bool { return name == k.source || name == "references" })
		account := k.holding(t, 3)
		evidence := collect(t.Context(), account.Client(), withSnapshots(3), others...)
		proven(t, evidence, imageID(1), imageID(2), imageID(3))
		isShared := k.action == "GetParameters" || k.action == "DescribeAutoScalingGroups"
		service, _, _ := strings.Cut(k.awsType, ":")
		for _, call := range account.Calls() {
			if call.Action == k.action && call.Service == service && !isShared {
				t.Errorf("%s:%s was called", service, k.action)
			}
		}
	})
}

// fault breaks the calls of an action that match.
type fault func(d emulator.Doer, action string, match func(int, emulator.Request) bool) emulator.Doer

func failing(status int, code string) fault {
	return func(d emulator.Doer, action string, match func(int, emulator.Request) bool) emulator.Doer {
		return disturb.Fail(d, action, match, status, code, "x")
	}
}

// answeringWith gives the calls of an action that match the same body with status 200.
func answeringWith(body string) fault {
	return func(d emulator.Doer, action string, match func(int, emulator.Request) bool) emulator.Doer {
		var n atomic.Int64
		return emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
			q, err := emulator.Inspect(r)
			if err != nil || q.Action != action {
				return d.Do(r)
			}
			if this := int(n.Add(1)); match != nil && !match(this, q) {
				return d.Do(r)
			}
			return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
		})
	}
}

// faulty is a fault, and what is said of it. JSON that is no answer for EC2 and Auto Scaling lacks
// something for Systems Manager.
type faulty struct {
	fault fault
	says  string
	lacks bool
}

// of is what is said of a fault of an action.
func (f faulty) of(action string) string {
	if f.lacks && (action == "DescribeParameters" || action == "GetParameters") {
		return "Systems Manager answered " + action + ` without "Parameters"`
	}
	if f.lacks && slices.ContainsFunc(services, func(k kind) bool {
		return k.action == action && k.action != "DescribeDBEngineVersions" && k.source != "elastic-beanstalk"
	}) {
		return " answered " + action + ` without "`
	}
	return f.says
}

var faults = map[string]faulty{
	"denied_by_ec2":       {fault: failing(403, "UnauthorizedOperation"), says: "UnauthorizedOperation"},
	"denied":              {fault: failing(400, "AccessDeniedException"), says: "AccessDenied"},
	"throttled_for_ever":  {fault: failing(503, "RequestLimitExceeded"), says: "RequestLimitExceeded"},
	"throttled_by_ssm":    {fault: failing(400, "ThrottlingException"), says: "ThrottlingException"},
	"unknown_action":      {fault: failing(400, "InvalidAction"), says: "InvalidAction"},
	"unknown_to_ssm":      {fault: failing(400, "UnknownOperationException"), says: "UnknownOperationException"},
	"expired_token":       {fault: failing(400, "InvalidNextToken"), says: "InvalidNextToken"},
	"broken":              {fault: failing(500, "InternalError"), says: "InternalError"},
	"a_web_page":          {fault: disturb.Garble, says: "not a complete answer"},
	"lost":                {fault: disturb.LoseAnswer, says: "connection reset by peer"},
	"an_empty_answer":     {fault: answeringWith(""), says: "not a complete answer"},
	"an_empty_object":     {fault: answeringWith("{}"), says: "not a complete answer", lacks: true},
	"a_list_of_something": {fault: answeringWith(`{"Images": []}`), says: "not a complete answer", lacks: true},
}

// A source that cannot be asked, however that fails, leaves all images unknown, and is named.
func TestASourceThatFails(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		for name, fault := range faults {
			t.Run(name, func(t *testing.T) {
				account := k.holding(t, 3)
				synctest.Test(t, func(t *testing.T) {
					asked := lookup(withSnapshots(2), k.source)
					asked.Originals = []ami.Image{{ID: imageID(7)}}
					evidence := collectFor(t.Context(), fault.fault(account.Client(), k.action, nil), asked)
					for _, id := range []string{imageID(1), imageID(2), imageID(7)} {
						gap(t, evidence, id, k.source, fault.of(k.action))
					}
				})
			})
		}
	})
}

// A source that is cut at its second page still proves the use that its first page shows, and
// nothing else.
func TestASourceThatIsCutAtItsSecondPage(t *testing.T) {
	// Some calls are made side by side. The first is the one about the first resource.
	firsts := map[string]string{
		"StackName": arn("cloudformation", "stack/web/1"), "Names.1": "/web/0001", "clusterIdentifier": "pcs_1", "ClusterId": "j-1", "ClusterName": "hp-1",
		"EnvironmentName": "web-1", "PlatformArn": arn("elasticbeanstalk", "platform/web/1.0.0"),
	}
	later := func(n int, r emulator.Request) bool {
		for key, first := range firsts {
			if asked := r.Form.Get(key); asked != "" {
				return asked != first
			}
		}
		return n > 1
	}
	eachKind(t, func(t *testing.T, k kind) {
		if k.hasNoPages {
			t.Skip("has no pages")
		}
		for name, fault := range faults {
			t.Run(name, func(t *testing.T) {
				n := k.size + 1
				if k.perCluster {
					n = 2 // After three failures the others would not be asked about.
				}
				account := k.holding(t, n)
				synctest.Test(t, func(t *testing.T) {
					evidence := collect(t.Context(), fault.fault(account.Client(), k.action, later), withSnapshots(3), k.source)
					gap(t, evidence, imageID(1), k.source, fault.of(k.action))
					gap(t, evidence, imageID(3), k.source, fault.of(k.action))
					if k.hasNoFirstPage {
						gap(t, evidence, imageID(2), k.source, fault.of(k.action))
						return
					}
					seen := evidence.Images[imageID(2)]
					if seen.Use != ami.Used || !slices.Equal(seen.References, []ami.Reference{k.reference(1, 2)}) || len(seen.Gaps) != 1 {
						t.Errorf("%+v, want used with a gap", seen)
					}
				})
			})
		}
	})
}

// replaying gives every call of an action the answer of the first.
func replaying(next emulator.Doer, action string) emulator.Doer {
	var mu sync.Mutex
	var body []byte
	n := 0
	return emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
		q, err := emulator.Inspect(r)
		if err != nil || q.Action != action {
			return next.Do(r)
		}
		mu.Lock()
		defer mu.Unlock()
		if n++; n > 100 {
			return nil, context.Canceled
		}
		if body != nil {
			return &http.Response{StatusCode: 200, Body: io.NopCloser(bytes.NewReader(body)), Request: r}, nil
		}
		response, err := next.Do(r)
		if err != nil {
			return nil, err
		}
		if body, err = io.ReadAll(response.Body); err != nil {
			return nil, err
		}
		response.Body = io.NopCloser(bytes.NewReader(body))
		return response, nil
	})
}

// A listing that leads back to a page that was read is not complete.
func TestASourceThatGoesRoundInCircles(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		if k.action == "GetParameters" || k.perCluster || k.hasNoPages {
			t.Skip("has no pages, or one for each cluster")
		}
		evidence := collect(t.Context(), replaying(k.holding(t, k.size+1).Client(), k.action), withSnapshots(3), k.source)
		gap(t, evidence, imageID(3), k.source, "leads back")
	})
}

// Without any one of the permissions to read, no image is proven unused, whatever all else says.
func TestEveryPermissionIsNeeded(t *testing.T) {
	others := []kind{{action: "DescribeImageReferences"}, {action: "DescribeImageAttribute"}, {action: "DescribeFleets"}}
	for _, needed := range append(others, kinds...) {
		action := needed.action
		t.Run(needed.source+action, func(t *testing.T) {
			files := map[string]any{}
			for _, k := range kinds {
				maps.Copy(files, k.of([]object{k.resource(1, nobodys)}))
			}
			if needed.resource != nil { // Several kinds may be in one file.
				maps.Copy(files, needed.of([]object{needed.resource(1, nobodys)}))
			}
			account := holding(t, files)
			asked := lookup(withSnapshots(12), usage.Sources()...)
			asked.TemplateVersions = 3
			evidence := collectFor(t.Context(), disturb.Deny(account.Client(), action), asked)
			for _, image := range asked.Images {
				if finding := evidence.Images[image.ID]; finding.Use != ami.Unknown || len(finding.Gaps) == 0 {
					t.Errorf("%s: %+v, want unknown", image.ID, finding)
				}
			}
		})
	}
}

// All sources together: every one has its say, and what is found is sorted.
func TestAllSourcesTogether(t *testing.T) {
	files := map[string]any{}
	want := map[string][]ami.Reference{}
	for _, k := range kinds {
		if k.action != "DescribeLaunchTemplates" && k.action != "DescribeParameters" && k.action != "DescribeApplications" && (k.source != "instance-refreshes" || k.action == "DescribeInstanceRefreshes") {
			maps.Copy(files, k.files(2))
			for n, reference := range map[int]ami.Reference{1: k.reference(2, 1), 2: k.reference(1, 2)} {
				// Several kinds may show the same one.
				if id := imageID(n); !slices.Contains(want[id], reference) {
					want[id] = append(want[id], reference)
				}
			}
		}
	}
	evidence := collect(t.Context(), holding(t, files).Client(), withSnapshots(3), usage.Sources()...)
	for id, references := range want {
		// EC2's own references name the instance and the launch template.
		found := evidence.Images[id].References
		if len(found) != len(references)+2 || !slices.IsSortedFunc(found, func(a, b ami.Reference) int { return strings.Compare(a.ARN, b.ARN) }) {
			t.Errorf("%s: %d references, want %d, sorted: %+v", id, len(found), len(references)+2, found)
		}
		for _, reference := range references {
			if !slices.Contains(found, reference) {
				t.Errorf("%s: no %+v among %+v", id, reference, found)
			}
		}
	}
	proven(t, evidence, imageID(3))
}

// The budget of calls: each listing by its pages, DescribeImageReferences for ten images,
// DescribeImageAttribute for one.
func TestCalls(t *testing.T) {
	const n = 25
	files := map[string]any{}
	for _, k := range kinds {
		maps.Copy(files, k.files(3))
	}
	account := holding(t, files)
	asked := lookup(withSnapshots(n), usage.Sources()...)
	asked.TemplateVersions, asked.Reports = 2, true
	collectFor(t.Context(), account.Client(), asked)
	want := map[string]int{
		"DescribeImageReferences": 3, "DescribeImageAttribute": n, "DescribeFleets": 1, "DescribeImageUsageReports": 1,
	}
	for _, k := range kinds {
		want[k.action] = 1
	}
	delete(want, "ListInstanceGroups") // All clusters have fleets.
	maps.Copy(want, map[string]int{
		"ListClusters": 3, "DescribeCluster": 2 * 3, "ListComputeNodeGroups": 3, "GetComputeNodeGroup": 3, "ListInstanceFleets": 3, "GetTemplate": 3,
		"DescribeConfigurationSettings": 3 + 3, "DescribePlatformVersion": 3,
	})
	if diff := cmp.Diff(want, callsOf(account)); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

// The listings come first, the list of reports among them. The entries of reports are read last,
// once it is known which images others may launch.
func TestTheOrderOfTheCalls(t *testing.T) {
	account := holding(t, reporting([]object{report(1, 1, nil)}, nil))
	asked := withReports(candidates(2), "references", "instances")
	collectFor(t.Context(), account.Client(), asked)
	var order []string
	for _, call := range account.Calls() {
		order = append(order, call.Action)
	}
	slices.Sort(order[min(len(order), 2):max(len(order)-1, 2)])
	want := []string{
		"DescribeInstances", "DescribeImageUsageReports",
		"DescribeImageAttribute", "DescribeImageAttribute", "DescribeImageReferences", "DescribeImageUsageReportEntries",
	}
	if diff := cmp.Diff(want, order); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

// Every listing says how long its pages may be, includes what services manage, and narrows nothing.
func TestWhatListingsAskFor(t *testing.T) {
	var a asked
	asked := lookup(candidates(1), usage.Sources()...)
	asked.TemplateVersions, asked.Reports = 2, true
	collectFor(t.Context(), a.by(holding(t, nil).Client()), asked)
	want := map[string]string{
		"DescribeInstances":              "IncludeManagedResources=true&MaxResults=1000",
		"DescribeLaunchTemplates":        "IncludeManagedResources=true&MaxResults=200",
		"DescribeLaunchTemplateVersions": "IncludeManagedResources=true&LaunchTemplateVersion.1=%24Latest&LaunchTemplateVersion.2=%24Default&MaxResults=50&ResolveAlias=false",
		"DescribeLaunchConfigurations":   "MaxRecords=100",
		"DescribeAutoScalingGroups":      "MaxRecords=100",
		"DescribeStacks":                 "",
		"DescribeComputeEnvironments":    "maxResults=100",
		"DescribeEnvironments":           "IncludeDeleted=false",
		"DescribeApplications":           "",
		"ListPlatformVersions":           "Filters.member.1.Operator=%3D&Filters.member.1.Type=PlatformOwner&Filters.member.1.Values.member.1=self&MaxRecords=100",
		"ListImageRecipes":               "maxResults=25&owner=Self",
		"ListContainerRecipes":           "maxResults=25&owner=Self",
		"DescribeExportImageTasks":       "MaxResults=100",
		"DescribeStoreImageTasks":        "MaxResults=200",
		"DescribeReplaceRootVolumeTasks": "MaxResults=50",
		"DescribeFleets":                 "MaxResults=1000",
		"DescribeSpotFleetRequests":      "MaxResults=100",
		"DescribeSpotInstanceRequests":   "MaxResults=100",
		"DescribeParameters":             "MaxResults=50&ParameterFilters.1.Key=Type&ParameterFilters.1.Option=Equals&ParameterFilters.1.Values.1=String&ParameterFilters.1.Values.2=StringList",
		"DescribeFastLaunchImages":       "MaxResults=200",
		"DescribeFastSnapshotRestores":   "MaxResults=200",
		"DescribeImageUsageReports":      "Filter.1.Name=tag-key&Filter.1.Value.1=ami-janitor%3Arun&MaxResults=200",
	}
	for action, query := range want {
		forms := a.forms[action]
		if len(forms) != 1 {
			t.Errorf("%s: %d calls, want 1", action, len(forms))
			continue
		}
		forms[0].Del("Action")
		forms[0].Del("Version")
		if diff := cmp.Diff(query, forms[0].Encode()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", action, diff)
		}
	}
}

// An image that nobody asked about and that a listing names is in the evidence too: it may be what
// a candidate is a copy of, or the one in its family that is used.
func TestOtherImages(t *testing.T) {
	files := map[string]any{"describe-instances.json": object{"Reservations": []object{{"Instances": []object{
		{"InstanceId": "i-00000000000000001", "ImageId": imageID(9), "LaunchTime": "2026-02-03T04:05:06.000Z", "State": object{"Name": "running"}},
	}}}}}
	evidence := collect(t.Context(), holding(t, files).Client(), candidates(1), "instances")
	want := findings{
		imageID(1): {Use: ami.Unused},
		imageID(9): {
			Use: ami.Used, LaunchedAt: time.Date(2026, time.February, 3, 4, 5, 6, 0, time.UTC),
			References: []ami.Reference{{Source: "instances", Type: "ec2:Instance", ARN: instance(1).ARN}},
		},
	}
	if diff := cmp.Diff(want, evidence.Images); diff != "" {
		t.Errorf("evidence (-want +got):\n%s", diff)
	}
}

// The listings are asked without candidates, too: the text of a parameter may name an image of
// another region.
func TestOtherImagesAlone(t *testing.T) {
	for _, k := range kinds {
		if k.source == "fast-snapshot-restore" || k.source == "image-builder" {
			continue // They know images by the snapshots and the tags of candidates.
		}
		t.Run(k.source+"/"+k.action, func(t *testing.T) {
			want := findings{
				imageID(1): {Use: ami.Used, References: []ami.Reference{k.reference(2, 1)}},
				imageID(2): {Use: ami.Used, References: []ami.Reference{k.reference(1, 2)}},
			}
			if diff := cmp.Diff(want, collect(t.Context(), k.holding(t, 2).Client(), nil, k.source).Images); diff != "" {
				t.Errorf("evidence (-want +got):\n%s", diff)
			}
		})
	}
}

// Originals are looked up in the listings, and in nothing else.
func TestOriginals(t *testing.T) {
	for name, test := range map[string]struct {
		sources []string
		want    ami.Finding
	}{
		"instances":                       {[]string{"instances"}, ami.Finding{Use: ami.Unused}},
		"instances_and_references":        {[]string{"instances", "references"}, ami.Finding{Use: ami.Unused}},
		"references_do_not_speak_of_them": {[]string{"references"}, ami.Finding{Use: ami.Unknown}},
		"nor_do_snapshots":                {[]string{"fast-snapshot-restore"}, ami.Finding{Use: ami.Unknown}},
		"no_source":                       {nil, ami.Finding{Use: ami.Unknown}},
	} {
		t.Run(name, func(t *testing.T) {
			var a asked
			lookup := usage.Lookup{Account: owner, Region: region, Names: test.sources, Originals: []ami.Image{{ID: imageID(5)}}}
			evidence := collectFor(t.Context(), a.by(holding(t, nil).Client()), lookup)
			if diff := cmp.Diff(findings{imageID(5): test.want}, evidence.Images); diff != "" {
				t.Errorf("evidence (-want +got):\n%s", diff)
			}
			if len(a.forms["DescribeImageReferences"])+len(a.forms["DescribeImageAttribute"]) > 0 {
				t.Error("an original was asked about by its id")
			}
		})
	}
}

// What names a snapshot without an image is known once every source has answered that is switched
// on, whichever these are.
func TestSnapshotsWithoutAnImage(t *testing.T) {
	for name, test := range map[string]struct {
		sources []string
		deny    string
		known   bool
	}{
		"references_only":       {[]string{"references"}, "", true},
		"a_listing":             {[]string{"launch-templates", "references"}, "", true},
		"a_listing_that_failed": {[]string{"launch-templates", "references"}, "DescribeLaunchTemplates", false},
		"no_source":             {nil, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			var a asked
			client := disturb.Fail(holding(t, nil).Client(), test.deny, nil, 403, "UnauthorizedOperation", "You are not authorized to perform this operation.")
			evidence := collectFor(t.Context(), a.by(client), usage.Lookup{Account: owner, Region: region, Names: test.sources, Snapshots: []string{snapshotID(5)}})
			found := evidence.Snapshots[snapshotID(5)]
			if (found.LookedUp && len(found.Gaps) == 0) != test.known || (len(found.Gaps) > 0) != (test.deny != "") {
				t.Errorf("%+v", found)
			}
			if len(a.forms["DescribeImageReferences"])+len(a.forms["DescribeImageAttribute"])+len(evidence.Images) > 0 {
				t.Errorf("images were asked about: %+v", evidence.Images)
			}
		})
	}
}

// What names a snapshot without an image is found as well if a candidate is a copy of the image
// that it was made for.
func TestAnOriginalThatIsGone(t *testing.T) {
	account := holding(t, map[string]any{"describe-launch-template-versions.json": object{"LaunchTemplateVersions": []object{{
		"LaunchTemplateId": "lt-00000000000000001", "LaunchTemplateName": "web", "VersionNumber": 1, "DefaultVersion": true,
		"LaunchTemplateData": object{"BlockDeviceMappings": []object{{"Ebs": object{"SnapshotId": snapshotID(99)}}}},
	}}}})
	asked := lookup(candidates(1), "references", "launch-templates")
	asked.Originals = []ami.Image{{ID: imageID(99)}}
	asked.Snapshots = []string{snapshotID(99)}
	evidence := collectFor(t.Context(), account.Client(), asked)
	if found := evidence.Snapshots[snapshotID(99)]; len(found.References) != 1 {
		t.Errorf("%+v", found)
	}
	proven(t, evidence, imageID(99))
}

// An original that is a candidate as well is looked up as a candidate.
func TestAnOriginalThatIsACandidate(t *testing.T) {
	asked := lookup(candidates(1))
	asked.Originals = []ami.Image{{ID: imageID(1)}}
	proven(t, collectFor(t.Context(), holding(t, nil).Client(), asked), imageID(1))
}

// The oldest of the instances that are left says since when the image is in use.
func TestLaunchedAt(t *testing.T) {
	var instances []object
	for n, at := range []any{"2026-03-01T00:00:00.000Z", "2026-01-02T03:04:05.000Z", nil, "2026-02-01T00:00:00.000Z"} {
		instance := object{"InstanceId": fmt.Sprintf("i-%017x", n), "ImageId": imageID(1), "State": object{"Name": "stopped"}}
		if at != nil {
			instance["LaunchTime"] = at
		}
		instances = append(instances, instance)
	}
	account := holding(t, map[string]any{"describe-instances.json": object{"Reservations": []object{{"Instances": instances}}}})
	evidence := collect(t.Context(), account.Client(), candidates(1), "instances")
	if want := time.Date(2026, time.January, 2, 3, 4, 5, 0, time.UTC); !evidence.Images[imageID(1)].LaunchedAt.Equal(want) {
		t.Errorf("launched at %s, want %s", evidence.Images[imageID(1)].LaunchedAt, want)
	}
}

// Only states without further launches are no use. An unknown state is a use.
func TestStates(t *testing.T) {
	finished := map[string][]string{
		"spot-fleets":           {"cancelled", "failed"},
		"spot-requests":         {"closed", "cancelled", "failed"},
		"fast-snapshot-restore": {"disabled"},
		"instance-refreshes":    {"Successful", "Failed", "Cancelled", "RollbackFailed", "RollbackSuccessful"},
		"ExportImageTasks":      {"completed", "deleted"}, "StoreImageTaskResults": {"Completed", "Failed"},
		"ReplaceRootVolumeTasks": {"succeeded", "failed", "failed-detached"},
	}
	fields := map[string]string{
		"spot-fleets": "SpotFleetRequestState", "spot-requests": "State", "fast-launch": "State", "fast-snapshot-restore": "State",
		"instance-refreshes": "Status", "ExportImageTasks": "Status", "StoreImageTaskResults": "StoreTaskState", "ReplaceRootVolumeTasks": "TaskState",
	}
	states := []string{
		"", "submitted", "active", "cancelled", "failed", "cancelled_running", "cancelled_terminating", "modifying", "open", "closed", "disabled",
		"enabling", "optimizing", "enabled", "disabling", "enabling-failed", "disabling-failed", "Cancelled", "hibernating",
		"Pending", "InProgress", "Baking", "RollbackInProgress", "Cancelling", "Successful", "Failed", "RollbackFailed", "RollbackSuccessful",
		"completed", "deleting", "deleted", "Completed", "pending", "in-progress", "failing", "succeeded", "failed-detached",
	}
	for _, k := range kinds {
		name := k.source
		if name == "image-tasks" {
			name = k.list // One state each.
		}
		field, ok := fields[name]
		for _, state := range states {
			if !ok {
				continue
			}
			t.Run(name+"/"+state, func(t *testing.T) {
				resource := k.resource(1, 1)
				resource[field] = state
				account := holding(t, k.of([]object{resource}))
				want := ami.Used
				if slices.Contains(finished[name], state) {
					want = ami.Unused
				}
				if got := collect(t.Context(), account.Client(), withSnapshots(1), k.source).Images[imageID(1)]; got.Use != want {
					t.Errorf("%+v, want %s", got, want)
				}
			})
		}
	}
}

// A block device mapping that names a snapshot of a candidate is evidence of the snapshot, not of
// the image.
func TestSnapshotsThatAreNamed(t *testing.T) {
	mappings := []object{
		{"DeviceName": "/dev/sdb", "VirtualName": "ephemeral0"},
		{"DeviceName": "/dev/sdc", "Ebs": object{"VolumeSize": 8}},
		{"DeviceName": "/dev/sdd", "Ebs": object{"SnapshotId": snapshotID(1)}},
		{"DeviceName": "/dev/sde", "Ebs": object{"SnapshotId": snapshotID(77)}},
	}
	places := map[string]func(object) object{
		"launch-templates":      func(o object) object { return o["LaunchTemplateData"].(object) },
		"launch-configurations": func(o object) object { return o },
		"spot-fleets": func(o object) object {
			return o["SpotFleetRequestConfig"].(object)["LaunchSpecifications"].([]object)[1]
		},
		"spot-requests": func(o object) object { return o["LaunchSpecification"].(object) },
	}
	for _, k := range kinds {
		place, ok := places[k.source]
		if !ok || k.action == "DescribeLaunchTemplates" {
			continue
		}
		t.Run(k.source, func(t *testing.T) {
			resource := k.resource(1, nobodys)
			place(resource)["BlockDeviceMappings"] = mappings
			files := map[string]any{k.file: object{k.list: []object{resource}}}
			if k.more != nil {
				maps.Copy(files, k.more([]object{resource}))
			}
			images := withSnapshots(3)
			// Two images share a snapshot.
			images[1].SnapshotIDs = []string{snapshotID(9), snapshotID(1)}
			evidence := collect(t.Context(), holding(t, files).Client(), images, k.source)
			want := map[string]ami.SnapshotFinding{snapshotID(1): {References: []ami.Reference{k.reference(1, nobodys)}}}
			if diff := cmp.Diff(want, evidence.Snapshots); diff != "" {
				t.Errorf("snapshots (-want +got):\n%s", diff)
			}
			proven(t, evidence, imageID(1), imageID(2), imageID(3))
		})
	}
}

// The ARNs of what EC2 and Auto Scaling show without one are made, in the partition of the region.
func TestPartitions(t *testing.T) {
	for name, partition := range map[string]string{
		"eu-west-1": "aws", "cn-north-1": "aws-cn", "us-gov-west-1": "aws-us-gov", "us-iso-east-1": "aws-iso", "us-isob-east-1": "aws-iso-b",
		"eu-isoe-west-1": "aws-iso-e", "us-isof-south-1": "aws-iso-f", "eusc-de-east-1": "aws-eusc", "ap-southeast-2": "aws",
	} {
		t.Run(name, func(t *testing.T) {
			files := map[string]any{
				"describe-launch-configurations.json": object{"LaunchConfigurations": []object{{"LaunchConfigurationName": "web", "ImageId": imageID(1)}}},
				"describe-auto-scaling-groups.json": object{"AutoScalingGroups": []object{{"AutoScalingGroupName": "web", "MixedInstancesPolicy": object{
					"LaunchTemplate": object{"Overrides": []object{{"ImageId": imageID(1)}}},
				}}}},
				"describe-fast-launch-images.json": object{"FastLaunchImages": []object{{"ImageId": imageID(1)}}},
			}
			asked := lookup(candidates(1), usage.Sources()...)
			asked.Region = name
			var arns []string
			for _, reference := range collectFor(t.Context(), holding(t, files).Client(), asked).Images[imageID(1)].References {
				arns = append(arns, reference.ARN)
			}
			want := []string{
				"arn:" + partition + ":autoscaling:" + name + ":" + owner + ":autoScalingGroup:*:autoScalingGroupName/web",
				"arn:" + partition + ":autoscaling:" + name + ":" + owner + ":launchConfiguration:*:launchConfigurationName/web",
				"arn:" + partition + ":ec2:" + name + "::image/" + imageID(1),
			}
			if diff := cmp.Diff(want, arns); diff != "" {
				t.Errorf("ARNs (-want +got):\n%s", diff)
			}
		})
	}
}

// An original is in use if a snapshot of it is, as a candidate would be.
func TestASnapshotOfAnOriginal(t *testing.T) {
	account := holding(t, map[string]any{"describe-fast-snapshot-restores.json": object{"FastSnapshotRestores": []object{
		{"SnapshotId": "snap-00000000000000001", "State": "enabled", "AvailabilityZone": "eu-west-1a"},
	}}})
	asked := lookup(nil, "fast-snapshot-restore")
	asked.Originals = []ami.Image{{ID: imageID(1), SnapshotIDs: []string{"snap-00000000000000001"}}}
	if found := collectFor(t.Context(), account.Client(), asked).Images[imageID(1)]; found.Use != ami.Used {
		t.Errorf("%+v", found)
	}
}

// The image of an instance counts that the group shows. It may be that of a replaced root volume,
// while EC2 shows the image of the launch.
func TestInstancesOfAGroup(t *testing.T) {
	instances := []object{}
	for n := range 30 {
		instances = append(instances, object{"InstanceId": fmt.Sprintf("i-%017x", n), "ImageId": imageID(1 + n%2)})
	}
	account := holding(t, map[string]any{"describe-auto-scaling-groups.json": object{"AutoScalingGroups": []object{
		{"AutoScalingGroupName": "web", "DesiredCapacity": 30, "Instances": instances},
	}}})
	evidence := collect(t.Context(), account.Client(), candidates(3), "auto-scaling-groups")
	for n := 1; n <= 2; n++ {
		if found := evidence.Images[imageID(n)]; found.Use != ami.Used || len(found.References) != 1 {
			t.Errorf("%s: %+v", imageID(n), found)
		}
	}
	proven(t, evidence, imageID(3))
}

// Groups that cannot have a refresh are not asked about. One that has gone since it was listed has
// none, and one that is refused and still there is a gap.
func TestGroupsWithoutRefreshes(t *testing.T) {
	groups := []object{
		{"AutoScalingGroupName": "empty", "DesiredCapacity": 0}, {"AutoScalingGroupName": "still-there", "DesiredCapacity": 0, "Instances": []object{{"InstanceId": "i-1"}}},
	}
	account := holding(t, map[string]any{"describe-auto-scaling-groups.json": object{"AutoScalingGroups": groups}})
	proven(t, collect(t.Context(), account.Client(), candidates(1), "instance-refreshes"), imageID(1))
	if calls := callsOf(account)["DescribeInstanceRefreshes"]; calls != 1 {
		t.Errorf("%d calls", calls)
	}
	refused := disturb.Fail(account.Client(), "DescribeInstanceRefreshes", nil, 400, "ValidationError", "x")
	gap(t, collect(t.Context(), refused, candidates(1), "instance-refreshes"), imageID(1), "instance-refreshes", "Auto Scaling group still-there: autoscaling:DescribeInstanceRefreshes: ValidationError: x")
	var listings atomic.Int64
	gone := emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
		if q, err := emulator.Inspect(r); err == nil && q.Action == "DescribeAutoScalingGroups" && listings.Add(1) > 1 {
			return holding(t, nil).Client().Do(r)
		}
		return refused.Do(r)
	})
	proven(t, collect(t.Context(), gone, candidates(1), "instance-refreshes"), imageID(1))
}

// A replacement that goes by a snapshot names that, and no image.
func TestAReplacementByASnapshot(t *testing.T) {
	account := holding(t, map[string]any{"describe-replace-root-volume-tasks.json": object{"ReplaceRootVolumeTasks": []object{
		{"ReplaceRootVolumeTaskId": "replacevol-1", "SnapshotId": snapshotID(1), "TaskState": "pending"},
	}}})
	evidence := collect(t.Context(), account.Client(), withSnapshots(2), "image-tasks")
	proven(t, evidence, imageID(1), imageID(2))
	if found := evidence.Snapshots[snapshotID(1)]; len(found.References) != 1 {
		t.Errorf("%+v", found)
	}
}

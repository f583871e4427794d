package usage_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/internal/testaccount"
	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/usage"
)

// services are the kinds of resources of other services than EC2 and Auto Scaling. Of those with
// clusters, each resource is a cluster of its own, and the first action lists them.
var services = []kind{
	{
		source: "batch", action: "DescribeComputeEnvironments", size: 100, awsType: "batch:ComputeEnvironment",
		arn:  func(n int) string { return arn("batch", fmt.Sprint("compute-environment/", n)) },
		file: "batch-describe-compute-environments.json", list: "computeEnvironments",
		resource: func(n, image int) object {
			resources := object{"type": "SPOT", "ec2Configuration": []object{{"imageType": "ECS_AL2"}, {"imageIdOverride": imageID(image)}}}
			if n%2 == 0 {
				resources = object{"imageId": imageID(image)}
			}
			return object{
				"computeEnvironmentName": fmt.Sprint(n), "computeEnvironmentArn": arn("batch", fmt.Sprint("compute-environment/", n)),
				"state": "DISABLED", "status": "INVALID", "computeResources": resources,
			}
		},
	},
	{
		source: "rds-custom", action: "DescribeDBEngineVersions", size: 100, awsType: "rds:CEV",
		arn:  func(n int) string { return arn("rds", fmt.Sprint("cev:custom-oracle-ee/19.", n)) },
		file: "rds-describe-db-engine-versions.json", list: "DBEngineVersions",
		resource: func(n, image int) object {
			return object{
				"Engine": "custom-oracle-ee", "EngineVersion": fmt.Sprint("19.", n), "DBEngineVersionArn": arn("rds", fmt.Sprint("cev:custom-oracle-ee/19.", n)),
				"Status": "inactive-except-restore", "Image": object{"ImageId": imageID(image)},
			}
		},
	},
	recipeKind("ListImageRecipes", "imageRecipeSummaryList", "imagebuilder-list-image-recipes.json", "parentImage"),
	recipeKind("ListContainerRecipes", "containerRecipeSummaryList", "imagebuilder-list-container-recipes.json", "instanceImage"),
	pcsKind("ListClusters"), pcsKind("ListComputeNodeGroups"), pcsKind("GetComputeNodeGroup"),
	emrKind("ListClusters"), emrKind("DescribeCluster"), emrKind("ListInstanceGroups"), emrKind("ListInstanceFleets"),
	hyperPodKind("ListClusters"), hyperPodKind("DescribeCluster"),
	settingsKind("DescribeEnvironments"), settingsKind("DescribeApplications"), settingsKind("DescribeConfigurationSettings"),
	platformKind("ListPlatformVersions"), platformKind("DescribePlatformVersion"),
}

var beanstalkActions = []string{
	"DescribeEnvironments", "DescribeApplications", "DescribeConfigurationSettings", "ListPlatformVersions", "DescribePlatformVersion",
}

// settingsKind are environments of Elastic Beanstalk, or saved configurations.
func settingsKind(action string) kind {
	k := kind{
		source: "elastic-beanstalk", action: action, also: without(beanstalkActions, action), size: 100,
		perCluster: action == "DescribeConfigurationSettings", hasNoPages: action != "DescribeConfigurationSettings",
		awsType: "elasticbeanstalk:Environment", file: "elasticbeanstalk-describe-configuration-settings.json",
		arn: func(n int) string { return arn("elasticbeanstalk", fmt.Sprint("environment/web/web-", n)) },
		resource: func(n, image int) object {
			option := []object{
				{"Namespace": "aws:autoscaling:launchconfiguration", "OptionName": "ImageId", "Value": imageID(image)},
				{"Namespace": "aws:elasticbeanstalk:application:environment", "OptionName": "WORKERS", "Value": "large=" + imageID(image)},
			}[n%2]
			deployed := object{"ApplicationName": "web", "EnvironmentName": fmt.Sprint("web-", n), "DeploymentStatus": "deployed"}
			draft := object{"ApplicationName": "web", "EnvironmentName": fmt.Sprint("web-", n), "DeploymentStatus": "pending", "OptionSettings": []object{{"Value": ""}, option}}
			return object{"ConfigurationSettings": []object{deployed, draft}}
		},
		more: func(settings []object) map[string]any {
			environments := []object{}
			for _, one := range settings {
				name := one["ConfigurationSettings"].([]object)[0]["EnvironmentName"]
				environments = append(environments, object{
					"ApplicationName": "web", "EnvironmentName": name, "EnvironmentArn": arn("elasticbeanstalk", fmt.Sprint("environment/web/", name)), "Status": "Ready",
				})
			}
			return map[string]any{"elasticbeanstalk-describe-environments.json": object{"Environments": environments}}
		},
	}
	if action != "DescribeApplications" {
		return k
	}
	k.awsType = "elasticbeanstalk:ConfigurationTemplate"
	k.arn = func(n int) string { return arn("elasticbeanstalk", fmt.Sprint("configurationtemplate/web/saved-", n)) }
	k.resource = func(n, image int) object {
		return object{"ConfigurationSettings": []object{{
			"ApplicationName": "web", "TemplateName": fmt.Sprint("saved-", n),
			"OptionSettings": []object{{"Namespace": "aws:autoscaling:launchconfiguration", "OptionName": "ImageId", "Value": imageID(image)}},
		}}}
	}
	k.more = func(settings []object) map[string]any {
		var names []any
		for _, one := range settings {
			names = append(names, one["ConfigurationSettings"].([]object)[0]["TemplateName"])
		}
		return map[string]any{"elasticbeanstalk-describe-applications.json": object{"Applications": []object{
			{"ApplicationName": "other"}, {"ApplicationName": "web", "ConfigurationTemplates": names},
		}}}
	}
	return k
}

// platformKind are custom platforms of Elastic Beanstalk.
func platformKind(action string) kind {
	of := func(n int) string { return arn("elasticbeanstalk", fmt.Sprintf("platform/web/%d.0.0", n)) }
	return kind{
		source: "elastic-beanstalk", action: action, also: without(beanstalkActions, action), perCluster: action == "DescribePlatformVersion", size: 100,
		awsType: "elasticbeanstalk:Platform", arn: of, file: "elasticbeanstalk-describe-platform-version.json",
		resource: func(n, image int) object {
			return object{"PlatformDescription": object{"PlatformArn": of(n), "PlatformStatus": "Ready", "CustomAmiList": []object{{"VirtualizationType": "HVM", "ImageId": imageID(image)}}}}
		},
		more: func(platforms []object) map[string]any {
			summaries := []object{}
			for _, platform := range platforms {
				summaries = append(summaries, object{"PlatformArn": platform["PlatformDescription"].(object)["PlatformArn"], "PlatformOwner": "self", "PlatformStatus": "Ready"})
			}
			return map[string]any{"elasticbeanstalk-list-platform-versions.json": object{"PlatformSummaryList": summaries}}
		},
	}
}

func without(actions []string, action string) []string {
	return slices.DeleteFunc(slices.Clone(actions), func(a string) bool { return a == action })
}

// builtARN is the ARN of the image of Image Builder from which an AMI was made, in a version.
func builtARN(image int, version string) string {
	return arn("imagebuilder", fmt.Sprintf("image/web-%d/%s", image, version))
}

// recipeKind are recipes of Image Builder that name an image of Image Builder.
func recipeKind(action, list, file, base string) kind {
	awsType := "imagebuilder:" + strings.TrimSuffix(strings.TrimPrefix(action, "List"), "s")
	of := func(n int) string {
		return arn("imagebuilder", fmt.Sprintf("%s-recipe/web/%d.0.0", strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(action, "List"), "Recipes")), n))
	}
	return kind{
		source: "image-builder", action: action, also: without([]string{"ListImageRecipes", "ListContainerRecipes"}, action), size: 25,
		awsType: awsType, arn: of, file: file, list: list,
		resource: func(n, image int) object {
			return object{"arn": of(n), "name": "web", base: builtARN(image, []string{"x.x.x", "1.0.0/1"}[n%2])}
		},
	}
}

func pcsKind(action string) kind {
	of := func(n int) string { return arn("pcs", fmt.Sprintf("cluster/pcs_%d/computenodegroup/group", n)) }
	return kind{
		source: "pcs", action: action, also: without([]string{"ListClusters", "ListComputeNodeGroups", "GetComputeNodeGroup"}, action),
		perCluster: action != "ListClusters", size: 100, awsType: "pcs:ComputeNodeGroup", arn: of, file: "pcs-get-compute-node-group.json",
		resource: func(n, image int) object {
			return object{"computeNodeGroup": object{"id": "group", "clusterId": fmt.Sprint("pcs_", n), "arn": of(n), "amiId": imageID(image), "status": "SUSPENDED"}}
		},
		more: func(groups []object) map[string]any {
			clusters := []object{}
			for _, group := range groups {
				clusters = append(clusters, object{"id": group["computeNodeGroup"].(object)["clusterId"], "status": "ACTIVE"})
			}
			return map[string]any{"pcs-list-clusters.json": object{"clusters": clusters}}
		},
	}
}

func emrKind(action string) kind {
	of := func(n int) string { return arn("elasticmapreduce", fmt.Sprint("cluster/j-", n)) }
	actions := []string{"ListClusters", "DescribeCluster", "ListInstanceGroups"}
	if action == "ListInstanceFleets" {
		actions[2] = action
	}
	return kind{
		source: "emr", action: action, also: without(actions, action), perCluster: action != "ListClusters", size: 50, awsType: "elasticmapreduce:Cluster", arn: of,
		file: "emr-describe-cluster.json",
		resource: func(n, image int) object {
			cluster := object{"Id": fmt.Sprint("j-", n), "ClusterArn": of(n), "InstanceCollectionType": "INSTANCE_GROUP", "InstanceGroups": []object{{"Id": "ig-1"}, {"CustomAmiId": imageID(image)}}}
			switch action {
			case "ListInstanceFleets":
				cluster["InstanceCollectionType"], cluster["InstanceGroups"] = "INSTANCE_FLEET", nil
				cluster["InstanceFleets"] = []object{{"InstanceTypeSpecifications": []object{{"InstanceType": "m7g.xlarge"}, {"CustomAmiId": imageID(image)}}}}
			case "DescribeCluster":
				cluster["CustomAmiId"], cluster["InstanceGroups"] = imageID(image), []object{}
			}
			return object{"Cluster": cluster}
		},
		more: func(details []object) map[string]any {
			clusters := []object{}
			for _, detail := range details {
				clusters = append(clusters, object{"Id": detail["Cluster"].(object)["Id"], "Status": object{"State": "WAITING"}})
			}
			return map[string]any{"emr-list-clusters.json": object{"Clusters": clusters}}
		},
	}
}

func hyperPodKind(action string) kind {
	of := func(n int) string { return arn("sagemaker", fmt.Sprint("cluster/", n)) }
	return kind{
		source: "hyperpod", action: action, also: without([]string{"ListClusters", "DescribeCluster"}, action), size: 100,
		perCluster: action != "ListClusters", awsType: "sagemaker:Cluster", arn: of, file: "sagemaker-describe-cluster.json",
		resource: func(n, image int) object {
			groups := []object{{"CurrentImageId": "default"}, {"DesiredImageId": imageID(image)}}
			if n%2 == 0 {
				groups = []object{{"CurrentImageId": imageID(image), "DesiredImageId": "default"}}
			}
			return object{"ClusterName": fmt.Sprint("hp-", n), "ClusterArn": of(n), "InstanceGroups": groups}
		},
		more: func(details []object) map[string]any {
			clusters := []object{}
			for _, detail := range details {
				clusters = append(clusters, object{"ClusterName": detail["ClusterName"], "ClusterArn": detail["ClusterArn"]})
			}
			return map[string]any{"sagemaker-list-clusters.json": object{"ClusterSummaries": clusters}}
		},
	}
}

// The name of a host that does not exist says that a region is without the service only where that
// is known. Elsewhere it may be a resolver that knows nothing, and so may any other error.
func TestAServiceThatARegionLacks(t *testing.T) {
	for name, test := range map[string]struct {
		source, region string
		notFound       bool
		unused         bool
	}{
		"lacking":                 {"pcs", "af-south-1", true, true},
		"there":                   {"pcs", "eu-west-1", true, false},
		"lacking, no answer":      {"pcs", "af-south-1", false, false},
		"a service that is known": {"batch", "af-south-1", true, false},
	} {
		t.Run(name, func(t *testing.T) {
			account := holding(t, nil)
			doer := emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
				if q, err := emulator.Inspect(r); err == nil && q.Service == test.source {
					return nil, &net.DNSError{Err: "no such host", Name: r.URL.Host, IsNotFound: test.notFound, IsTemporary: false}
				}
				return account.Client().Do(r)
			})
			asked := lookup(candidates(1), test.source)
			asked.Region = test.region
			synctest.Test(t, func(t *testing.T) { // What may pass is tried for minutes.
				found := collectFor(t.Context(), doer, asked).Images[imageID(1)]
				if isUnused := found.Use == ami.Unused; isUnused != test.unused {
					t.Errorf("%+v", found)
				}
			})
		})
	}
}

// What has gone between the listing and the look at it is no objection.
func TestWhatVanishes(t *testing.T) {
	for name, test := range map[string]struct{ action, code string }{
		"a compute node group": {"GetComputeNodeGroup", "ResourceNotFoundException"}, "a cluster of PCS": {"ListComputeNodeGroups", "ResourceNotFoundException"},
		"a cluster of HyperPod": {"DescribeCluster", "ResourceNotFound"},
	} {
		t.Run(name, func(t *testing.T) {
			i := slices.IndexFunc(services, func(k kind) bool { return k.action == test.action && k.source != "emr" })
			k := services[i]
			gone := disturb.Fail(k.holding(t, 2).Client(), test.action, nil, 400, test.code, "x")
			proven(t, collect(t.Context(), gone, candidates(2), k.source), imageID(1), imageID(2))
		})
	}
}

// A region in which none of these services is used costs ten calls at most. Those that are only
// asked with a setting cost more: Image Builder two, Elastic Beanstalk three.
func TestAnUnusedServiceCostsOneCall(t *testing.T) {
	var names []string
	for _, source := range usage.Table() {
		if slices.ContainsFunc(services, func(k kind) bool {
			return k.source == source.Name && slices.Contains(usage.DefaultSources(), k.source) && k.source != usage.ImageBuilderSource
		}) || source.Name == "cloudformation" || source.Name == "image-tasks" {
			names = append(names, source.Name)
		}
	}
	account := holding(t, nil)
	proven(t, collect(t.Context(), account.Client(), candidates(1), names...), imageID(1))
	// One is for the launch permissions.
	if calls := len(account.Calls()) - 1; calls > 10 || calls < len(names) {
		t.Errorf("%d calls for %q", calls, names)
	}
	for source, want := range map[string]int{usage.ImageBuilderSource: 2, "elastic-beanstalk": 3} {
		account = holding(t, nil)
		collect(t.Context(), account.Client(), candidates(1), source)
		if calls := len(account.Calls()) - 1; calls != want {
			t.Errorf("%d calls for %s, want %d", calls, source, want)
		}
	}
}

// In accounts with holders of any kind, what no holder names is proven unused, and what one names
// is used. If a source fails, no more images are proven unused than if it answers.
func TestHoldersOfEveryKind(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const n = 8
		files, held := map[string]any{}, map[string]bool{}
		var holders []kind
		for _, k := range kinds {
			if k.hasNoFirstPage || !rapid.Bool().Draw(t, k.source+" "+k.action) || overlaps(files, k) {
				continue
			}
			var resources []object
			for i := range rapid.IntRange(1, 3).Draw(t, "resources") {
				image := rapid.IntRange(1, n).Draw(t, "image")
				resources, held[imageID(image)] = append(resources, k.resource(i+1, image)), true
			}
			maps.Copy(files, k.of(resources))
			holders = append(holders, k)
		}
		images := testaccount.Files(files)
		account := images.Load(t, emulator.Options{Region: region})
		asked := lookup(withSnapshots(n), slices.DeleteFunc(usage.Sources(), func(name string) bool { return name == "references" })...)
		whole := collectFor(context.Background(), permitting(account.Client()), asked)
		for _, image := range asked.Images {
			want := ami.Unused
			if held[image.ID] {
				want = ami.Used
			}
			if found := whole.Images[image.ID]; found.Use != want {
				t.Fatalf("%s: %+v, want %s", image.ID, found, want)
			}
		}
		if len(holders) == 0 {
			return
		}
		failing := rapid.SampledFrom(holders).Draw(t, "failing")
		found := collectFor(context.Background(), permitting(disturb.Deny(account.Client(), failing.action)), asked)
		for _, image := range asked.Images {
			if found.Images[image.ID].Use == ami.Unused {
				t.Fatalf("%s is unused although %s:%s is denied", image.ID, failing.source, failing.action)
			}
		}
	})
}

// overlaps reports whether a kind has a file that is there already.
func overlaps(files map[string]any, k kind) bool {
	for name := range k.of([]object{k.resource(1, 1)}) {
		if files[name] != nil {
			return true
		}
	}
	return false
}

// permitting answers each question about launch permissions with none.
func permitting(next emulator.Doer) emulator.Doer {
	return emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
		q, err := emulator.Inspect(r)
		if err != nil || q.Action != "DescribeImageAttribute" {
			return next.Do(r)
		}
		body := "<DescribeImageAttributeResponse><imageId>" + q.Form.Get("ImageId") + "</imageId><launchPermission/></DescribeImageAttributeResponse>"
		return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
	})
}

// A recipe names its base image in one of several ways. Of an Image Builder ARN, what is no number
// stands for all.
func TestWhatRecipesMean(t *testing.T) {
	tagged := func(version string) ami.Image {
		return ami.Image{ID: imageID(1), OwnerID: owner, Tags: map[string]string{"Ec2ImageBuilderArn": builtARN(1, version)}}
	}
	parameter := object{"Name": "/golden", "Type": "String", "DataType": "text", "Value": imageID(1)}
	for name, test := range map[string]struct {
		base string
		of   string // The version of the candidate.
		want ami.Use
		says string // Of a gap.
	}{
		"its id":                   {imageID(1), "1.0.0/1", ami.Used, ""},
		"another id":               {imageID(2), "1.0.0/1", ami.Unused, ""},
		"a parameter":              {"ssm:/golden", "1.0.0/1", ami.Used, ""},
		"a parameter's ARN":        {"ssm:" + arn("ssm", "parameter/golden"), "1.0.0/1", ami.Used, ""},
		"a parameter not shared":   {"ssm:arn:aws:ssm:eu-west-1:111122223333:parameter/golden", "1.0.0/1", ami.Unknown, "names SSM parameter arn:aws:ssm"},
		"its version":              {builtARN(1, "1.0.0"), "1.0.0/1", ami.Used, ""},
		"its build":                {builtARN(1, "1.0.0/1"), "1.0.0/1", ami.Used, ""},
		"another build":            {builtARN(1, "1.0.0/2"), "1.0.0/1", ami.Unused, ""},
		"any build":                {builtARN(1, "1.0.0/x"), "1.0.0/1", ami.Used, ""},
		"another version":          {builtARN(1, "1.0.1"), "1.0.0/1", ami.Unused, ""},
		"a long version":           {builtARN(1, "1.0.0"), "1.0.00/1", ami.Unused, ""},
		"all patches":              {builtARN(1, "1.0.x"), "1.0.7/1", ami.Used, ""},
		"patches of others":        {builtARN(1, "1.0.x"), "1.1.0/1", ami.Unused, ""},
		"all minors":               {builtARN(1, "1.x.x"), "1.4.7/1", ami.Used, ""},
		"all versions":             {builtARN(1, "x.x.x"), "2.4.7/3", ami.Used, ""},
		"a short version":          {builtARN(1, "1"), "1.4.7/3", ami.Used, ""},
		"a word":                   {builtARN(1, "latest"), "2.4.7/3", ami.Used, ""},
		"in capitals":              {strings.ToUpper(builtARN(1, "x.x.x")), "1.0.0/1", ami.Used, ""},
		"another name":             {builtARN(11, "x.x.x"), "1.0.0/1", ami.Unused, ""},
		"an image of AWS's":        {"arn:aws:imagebuilder:eu-west-1:aws:image/web-1/x.x.x", "1.0.0/1", ami.Unused, ""},
		"a product":                {"prod-0123456789abc", "1.0.0/1", ami.Unused, ""},
		"an ARN without a version": {arn("imagebuilder", "image/web-1"), "1.0.0/1", ami.Unknown, "which is no id of an image"},
		"nothing":                  {"", "1.0.0/1", ami.Unused, ""},
	} {
		t.Run(name, func(t *testing.T) {
			account := holding(t, map[string]any{
				"imagebuilder-list-image-recipes.json": object{"imageRecipeSummaryList": []object{{"arn": arn("imagebuilder", "image-recipe/web/1.0.0"), "parentImage": test.base}}},
				"describe-parameters.json":             object{"Parameters": []object{{"Name": "/golden", "Type": "String"}}},
				"get-parameters.json":                  object{"Parameters": []object{parameter}},
			})
			evidence := collect(t.Context(), account.Client(), []ami.Image{tagged(test.of)}, "image-builder")
			if test.want == ami.Unknown {
				gap(t, evidence, imageID(1), "image-builder", test.says)
			} else if found := evidence.Images[imageID(1)]; found.Use != test.want || len(found.Gaps) > 0 {
				t.Errorf("%+v, want %s", found, test.want)
			}
		})
	}
}

// An image without Image Builder's tag was not made by it, whatever it is called.
func TestARecipeDoesNotMeanWhatHasNoTag(t *testing.T) {
	account := holding(t, map[string]any{"imagebuilder-list-image-recipes.json": object{"imageRecipeSummaryList": []object{{"parentImage": builtARN(1, "x.x.x")}}}})
	proven(t, collect(t.Context(), account.Client(), []ami.Image{{ID: imageID(1), Name: "web-1"}}, "image-builder"), imageID(1))
}

// A stack that has gone, or that was only proposed, has no template that could name an image. One
// that cannot be read may name any, unless nobody wants to know.
func TestTemplatesOfStacks(t *testing.T) {
	i := slices.IndexFunc(kinds, func(k kind) bool { return k.action == "GetTemplate" })
	all := kinds[i]
	proposed := all.files(2)
	stacks := proposed["cloudformation-describe-stacks.json"].(object)["Stacks"].([]object)
	for _, stack := range stacks {
		stack["StackStatus"] = "REVIEW_IN_PROGRESS"
	}
	unwanted := lookup(candidates(2), "cloudformation")
	unwanted.StackTemplates = false
	wanted := lookup(candidates(2), "cloudformation")
	for name, test := range map[string]struct {
		files  map[string]any
		asked  usage.Lookup
		says   string // What CloudFormation says of every template.
		unused bool
	}{
		"gone":      {all.files(2), wanted, "Stack with id x does not exist", true},
		"not read":  {all.files(2), wanted, "Something else is wrong", false},
		"proposed":  {proposed, wanted, "There is no template", true},
		"unwanted":  {all.files(2), unwanted, "You may not", true},
		"not there": {map[string]any{"cloudformation-describe-stacks.json": all.files(2)["cloudformation-describe-stacks.json"]}, wanted, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			var doer emulator.Doer = holding(t, test.files).Client()
			if test.says != "" {
				doer = disturb.Fail(doer, "GetTemplate", nil, 400, "ValidationError", test.says)
			}
			found := collectFor(t.Context(), doer, test.asked).Images[imageID(1)]
			if isUnused := found.Use == ami.Unused; isUnused != test.unused {
				t.Errorf("%+v", found)
			}
		})
	}
}

// A parameter of the type List<AWS::EC2::Image::Id> has several ids, and so may an output: each
// image is used.
func TestAStackNamesSeveralImages(t *testing.T) {
	both := imageID(1) + "," + imageID(2)
	for name, holds := range map[string]object{
		"a parameter":          {"Parameters": []object{{"ParameterKey": "Images", "ParameterValue": both}}},
		"a resolved parameter": {"Parameters": []object{{"ParameterKey": "Images", "ParameterValue": "/images", "ResolvedValue": both}}},
		"an output":            {"Outputs": []object{{"OutputKey": "Images", "OutputValue": both}}},
		"several outputs":      {"Outputs": []object{{"OutputKey": "A", "OutputValue": imageID(1)}, {"OutputKey": "B", "OutputValue": imageID(2)}}},
		"several parameters": {"Parameters": []object{
			{"ParameterKey": "A", "ParameterValue": imageID(1)}, {"ParameterKey": "B", "ParameterValue": imageID(2)},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			stack := object{"StackId": arn("cloudformation", "stack/web/1"), "StackName": "web", "StackStatus": "CREATE_COMPLETE", "CreationTime": "2026-01-02T03:04:05Z"}
			maps.Copy(stack, holds)
			found := collect(t.Context(), holding(t, map[string]any{
				"cloudformation-describe-stacks.json": object{"Stacks": []object{stack}},
				"cloudformation-get-template.json":    []object{{"StackName": "web", "TemplateBody": "Resources: {}"}},
			}).Client(), candidates(3), "cloudformation").Images
			for n, want := range []ami.Use{ami.Used, ami.Used, ami.Unused} {
				if got := found[imageID(n+1)]; got.Use != want {
					t.Errorf("image %d: %+v, want %v", n+1, got, want)
				}
			}
		})
	}
}

// A terminated environment and a deleted platform hold nothing. Any answer without settings may
// hide some: Elastic Beanstalk has no code for what has gone since it was listed.
func TestWhatElasticBeanstalkHolds(t *testing.T) {
	environments, templates, platforms := settingsKind("DescribeEnvironments"), settingsKind("DescribeApplications"), platformKind("ListPlatformVersions")
	terminated, deleted := environments.files(2), platforms.files(2)
	for _, environment := range terminated["elasticbeanstalk-describe-environments.json"].(object)["Environments"].([]object) {
		environment["Status"] = "Terminated"
	}
	for _, platform := range deleted["elasticbeanstalk-list-platform-versions.json"].(object)["PlatformSummaryList"].([]object) {
		platform["PlatformStatus"] = "Deleted"
	}
	const settings, platform = "DescribeConfigurationSettings", "DescribePlatformVersion"
	hidden := answeringWith("<DescribeConfigurationSettingsResponse><DescribeConfigurationSettingsResult><ConfigurationSettings/></DescribeConfigurationSettingsResult></DescribeConfigurationSettingsResponse>")
	part := answeringWith("<DescribeEnvironmentsResponse><DescribeEnvironmentsResult><Environments/><NextToken>x</NextToken></DescribeEnvironmentsResult></DescribeEnvironmentsResponse>")
	saying := func(text string) fault {
		return func(d emulator.Doer, action string, match func(int, emulator.Request) bool) emulator.Doer {
			return disturb.Fail(d, action, match, 400, "InvalidParameterValue", text)
		}
	}
	for name, test := range map[string]struct {
		files  map[string]any
		action string
		fault  fault
		unused bool
	}{
		"an environment that is gone":   {environments.files(2), settings, saying("No Environment found for EnvironmentName = 'web-1'."), false},
		"a configuration that is gone":  {templates.files(2), settings, saying("No Configuration Template named 'web/saved-1' found."), false},
		"an application that is gone":   {templates.files(2), settings, saying("No Application named 'web' found."), false},
		"a value that is not taken":     {environments.files(2), settings, saying("The value is not valid."), false},
		"another error":                 {environments.files(2), settings, failing(403, "InsufficientPrivilegesException"), false},
		"no settings":                   {environments.files(2), settings, hidden, false},
		"a part of the environments":    {environments.files(2), "DescribeEnvironments", part, false},
		"a platform that is gone":       {platforms.files(2), platform, saying("No Platform named 'web' found."), false},
		"an environment, terminated":    {terminated, settings, failing(400, "x"), true},
		"a platform, deleted":           {deleted, platform, failing(400, "x"), true},
		"settings that were not copied": {map[string]any{"elasticbeanstalk-describe-environments.json": environments.files(2)["elasticbeanstalk-describe-environments.json"]}, "x", failing(400, "x"), false},
	} {
		t.Run(name, func(t *testing.T) {
			found := collect(t.Context(), test.fault(holding(t, test.files).Client(), test.action, nil), candidates(2), "elastic-beanstalk").Images[imageID(1)]
			if isUnused := found.Use == ami.Unused; isUnused != test.unused {
				t.Errorf("%+v", found)
			}
		})
	}
}

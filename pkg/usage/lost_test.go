package usage_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/usage"
)

// What is always of an image, and is listed with none or with something that is no id, may be of
// any: nothing is proven unused.
func TestWhatIsListedWithoutItsImage(t *testing.T) {
	const nothing = " is listed without its image"
	file := func(name, list string, item object) map[string]any {
		return map[string]any{name: object{list: []object{item}}}
	}
	instance := func(fields object) map[string]any {
		whole := object{"InstanceId": "i-00000000000000001", "State": object{"Name": "running"}, "LaunchTime": "2026-11-01T00:00:00Z"}
		maps.Copy(whole, fields)
		return file("describe-instances.json", "Reservations", object{"Instances": []object{whole}})
	}
	spotFleet := func(fields object) map[string]any {
		whole := object{"SpotFleetRequestId": "sfr-1", "SpotFleetRequestState": "active"}
		maps.Copy(whole, fields)
		return file("describe-spot-fleet-requests.json", "SpotFleetRequestConfigs", whole)
	}
	spotRequest := func(fields object) map[string]any {
		whole := object{"SpotInstanceRequestId": "sir-1", "State": "open"}
		maps.Copy(whole, fields)
		return file("describe-spot-instance-requests.json", "SpotInstanceRequests", whole)
	}
	override := func(image string) map[string]any {
		return file("describe-auto-scaling-groups.json", "AutoScalingGroups", object{
			"AutoScalingGroupName": "web", "MixedInstancesPolicy": object{"LaunchTemplate": object{"Overrides": []object{{"ImageId": image}}}},
		})
	}
	withoutData := naming("")
	delete(withoutData["describe-launch-template-versions.json"].(object)["LaunchTemplateVersions"].([]object)[0], "LaunchTemplateData")
	withoutVersions := naming(imageID(2))
	delete(withoutVersions, "describe-launch-template-versions.json")
	withoutNumbers := naming("")
	withoutNumbers["describe-launch-templates.json"] = object{"LaunchTemplates": []object{{"LaunchTemplateId": "lt-1"}}}
	delete(withoutNumbers, "describe-launch-template-versions.json")

	for name, test := range map[string]struct {
		source string
		files  map[string]any
		says   string // Empty if nothing uses the image.
	}{
		"an instance":                           {"instances", instance(nil), "instance/i-00000000000000001" + nothing},
		"an instance, and a blank":              {"instances", instance(object{"ImageId": " "}), `names its image by " ", which is no id of an image`},
		"an instance, and capitals":             {"instances", instance(object{"ImageId": strings.ToUpper(imageID(1))}), `"AMI-00000000000000001"`},
		"an instance, and spaces":               {"instances", instance(object{"ImageId": " " + imageID(1) + " "}), "which is no id"},
		"an instance, and a word":               {"instances", instance(object{"ImageId": "none"}), "which is no id"},
		"an instance of another image":          {"instances", instance(object{"ImageId": imageID(9)}), ""},
		"a launch configuration":                {"launch-configurations", file("describe-launch-configurations.json", "LaunchConfigurations", object{"LaunchConfigurationName": "lc"}), "launchConfigurationName/lc" + nothing},
		"a Spot fleet's specification":          {"spot-fleets", spotFleet(object{"SpotFleetRequestConfig": object{"LaunchSpecifications": []object{{"InstanceType": "m5.large"}}}}), "sfr-1" + nothing},
		"a Spot fleet with nothing to launch":   {"spot-fleets", spotFleet(object{"SpotFleetRequestConfig": object{"Type": "maintain"}}), "sfr-1" + nothing},
		"a Spot fleet without a configuration":  {"spot-fleets", spotFleet(nil), "sfr-1" + nothing},
		"a Spot fleet that is finished":         {"spot-fleets", spotFleet(object{"SpotFleetRequestState": "cancelled"}), ""},
		"a Spot fleet of launch templates":      {"spot-fleets", spotFleet(object{"SpotFleetRequestConfig": object{"LaunchTemplateConfigs": []object{{}}}}), ""},
		"a Spot request":                        {"spot-requests", spotRequest(object{"LaunchSpecification": object{"InstanceType": "m5.large"}}), "sir-1" + nothing},
		"a Spot request without specification":  {"spot-requests", spotRequest(nil), "sir-1" + nothing},
		"a Spot request that is closed":         {"spot-requests", spotRequest(object{"State": "closed"}), ""},
		"fast launch":                           {"fast-launch", file("describe-fast-launch-images.json", "FastLaunchImages", object{"State": "enabled"}), nothing},
		"fast snapshot restore, of no snapshot": {"fast-snapshot-restore", file("describe-fast-snapshot-restores.json", "FastSnapshotRestores", object{"State": "enabled"}), nothing},
		"fast snapshot restore, disabled":       {"fast-snapshot-restore", file("describe-fast-snapshot-restores.json", "FastSnapshotRestores", object{"State": "disabled"}), ""},
		"an override, and capitals":             {"auto-scaling-groups", override(strings.ToUpper(imageID(1))), "which is no id"},
		"an override of nothing":                {"auto-scaling-groups", override(""), ""},
		"a version without data":                {"launch-templates", withoutData, "launch template lt-00000000000000001 (web-1), version 1," + nothing},
		"a version, and spaces":                 {"launch-templates", naming(imageID(1) + " "), "which is no id"},
		// EC2 could not launch it.
		"a version, and a word":                {"launch-templates", naming("golden-ami"), ""},
		"a template without versions":          {"launch-templates", withoutVersions, "lt-00000000000000001"},
		"a template without versions, numbers": {"launch-templates", withoutNumbers, "lt-1"},
	} {
		t.Run(name, func(t *testing.T) {
			evidence := collect(t.Context(), holding(t, test.files).Client(), candidates(2), test.source)
			for n := 1; n <= 2; n++ {
				if test.says == "" {
					proven(t, evidence, imageID(n))
				} else {
					gap(t, evidence, imageID(n), test.source, test.says)
				}
			}
			// That listing has failed.
			if len(evidence.Gaps) > 0 && test.source != "launch-templates" {
				t.Error("it keeps images that nobody asked about")
			}
		})
	}
}

// The same where AWS answers so, and just before a removal.
func TestAnAnswerWithoutTheImageOfAnInstance(t *testing.T) {
	account := holding(t, instances(imageID(1), "running", "stopped"))
	for name, change := range map[string]func(body string) string{
		"without the id":    func(body string) string { return strings.ReplaceAll(body, "<imageId>"+imageID(1)+"</imageId>", "") },
		"with an empty one": func(body string) string { return strings.ReplaceAll(body, imageID(1), "") },
		"without its instances": func(body string) string {
			return body[:strings.Index(body, "<instancesSet>")] + body[strings.Index(body, "</instancesSet>")+len("</instancesSet>"):]
		},
	} {
		t.Run(name, func(t *testing.T) {
			doer := rewriting(account.Client(), "DescribeInstances", func(_ int, body string) string { return change(body) })
			for _, evidence := range []ami.Evidence{
				collect(t.Context(), doer, candidates(2), "instances"), usage.Recheck(t.Context(), clients(doer), lookup(candidates(2), "instances")),
			} {
				for n := 1; n <= 2; n++ {
					if finding := evidence.Images[imageID(n)]; finding.Use != ami.Unknown || len(finding.Gaps) == 0 || !strings.HasSuffix(finding.Gaps[0].Err, "is listed without its image") {
						t.Errorf("%s: %+v, want unknown", imageID(n), finding)
					}
				}
			}
		})
	}
}

// An image that is asked about is found by its id, whatever that looks like.
func TestAnImageOfAnotherForm(t *testing.T) {
	account := holding(t, instances("image_1", "running"))
	asked := candidates(1)
	asked[0].ID = "image_1"
	if evidence := collect(t.Context(), account.Client(), asked, "instances"); evidence.Images["image_1"].Use != ami.Used {
		t.Errorf("%+v, want used", evidence.Images["image_1"])
	}
}

// Versions that are listed without their numbers are all read, and are not taken for one another.
func TestVersionsWithoutNumbers(t *testing.T) {
	version := func(image int) object {
		return object{"LaunchTemplateId": "lt-1", "LaunchTemplateName": "web", "LaunchTemplateData": object{"ImageId": imageID(image)}}
	}
	files := map[string]any{
		"describe-launch-template-versions.json": object{"LaunchTemplateVersions": []object{version(1), version(2), version(3)}},
	}
	for _, templates := range [][]object{{}, {{"LaunchTemplateId": "lt-1", "LatestVersionNumber": 3, "DefaultVersionNumber": 3}}} {
		files["describe-launch-templates.json"] = object{"LaunchTemplates": templates}
		account := holding(t, files)
		for _, newest := range []int{0, 1} {
			asked := lookup(candidates(4), "launch-templates")
			asked.TemplateVersions = newest
			if got := usedOf(t, collectFor(t.Context(), account.Client(), asked), 4); !slices.Equal(got, []int{1, 2, 3}) {
				t.Errorf("of the newest %d of %v: the images of versions %v are used, want 1, 2, 3", newest, templates, got)
			}
		}
	}
}

package usage_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
)

const (
	templateID   = "lt-01238c059e3466abc" // As in the EC2 API Reference.
	templateName = "my-template"
)

// templateOf is the files of a launch template whose version n names image n; those left out were
// deleted.
func templateOf(versions, defaultNumber int, deleted ...int) map[string]any {
	var list []object
	latest := 0
	for n := 1; n <= versions; n++ {
		if slices.Contains(deleted, n) {
			continue
		}
		latest = n
		list = append(list, object{
			"LaunchTemplateId": templateID, "LaunchTemplateName": templateName, "VersionNumber": n, "DefaultVersion": n == defaultNumber,
			"LaunchTemplateData": object{"ImageId": imageID(n)},
		})
	}
	return map[string]any{
		"describe-launch-templates.json": object{"LaunchTemplates": []object{{
			"LaunchTemplateId": templateID, "LaunchTemplateName": templateName, "LatestVersionNumber": latest, "DefaultVersionNumber": defaultNumber,
		}}},
		"describe-launch-template-versions.json": object{"LaunchTemplateVersions": list},
	}
}

// usedOf are the numbers of the used images among the first n; all others must be proven unused.
func usedOf(t *testing.T, evidence ami.Evidence, n int) []int {
	t.Helper()
	var used []int
	for i := 1; i <= n; i++ {
		finding := evidence.Images[imageID(i)]
		if finding.Use == ami.Used {
			used = append(used, i)
		}
		if finding.Use == ami.Unknown || len(finding.Gaps) > 0 {
			t.Errorf("%s: %+v, want to know", imageID(i), finding)
		}
	}
	return used
}

// All versions count, or the newest of those that are left and the default one. A template has a
// listing of its own only if the two versions that are listed for all do not say everything.
func TestVersionsThatCount(t *testing.T) {
	for name, test := range map[string]struct {
		files  map[string]any
		newest int
		want   []int
		calls  int
	}{
		"all_of_one":                       {templateOf(1, 1), 0, []int{1}, 1},
		"all_of_two":                       {templateOf(2, 1), 0, []int{1, 2}, 1},
		"all_of_two_and_latest_is_default": {templateOf(2, 2), 0, []int{1, 2}, 2},
		"all_of_eight":                     {templateOf(8, 3), 0, []int{1, 2, 3, 4, 5, 6, 7, 8}, 2},
		"all_that_are_left":                {templateOf(8, 3, 1, 2, 7), 0, []int{3, 4, 5, 6, 8}, 2},
		"the_newest":                       {templateOf(8, 3), 1, []int{3, 8}, 1},
		"the_newest_is_the_default":        {templateOf(8, 8), 1, []int{8}, 1},
		"the_newest_two":                   {templateOf(8, 3), 2, []int{3, 7, 8}, 2},
		"the_newest_two_with_the_default":  {templateOf(8, 7), 2, []int{7, 8}, 1},
		"the_newest_four":                  {templateOf(8, 3), 4, []int{3, 5, 6, 7, 8}, 2},
		"the_newest_two_that_are_left":     {templateOf(8, 3, 6, 7), 2, []int{3, 5, 8}, 2},
		"more_than_there_are":              {templateOf(8, 3), 20, []int{1, 2, 3, 4, 5, 6, 7, 8}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			account := holding(t, test.files)
			asked := lookup(candidates(10), "launch-templates")
			asked.TemplateVersions = test.newest
			if got := usedOf(t, collectFor(t.Context(), account.Client(), asked), 10); !slices.Equal(got, test.want) {
				t.Errorf("the images of versions %v are used, want %v", got, test.want)
			}
			if got := callsOf(account)["DescribeLaunchTemplateVersions"]; got != test.calls {
				t.Errorf("%d listings of versions, want %d", got, test.calls)
			}
		})
	}
}

// rewritingVersions changes the listings of versions; n is the number of the call, from 1.
func rewritingVersions(next emulator.Doer, change func(n int, versions []string) []string) emulator.Doer {
	return rewriting(next, "DescribeLaunchTemplateVersions", func(n int, body string) string {
		head, rest, _ := strings.Cut(body, "<launchTemplateVersionSet>")
		list, tail, _ := strings.Cut(rest, "</launchTemplateVersionSet>")
		versions := strings.SplitAfter(list, "</item>")
		versions = change(n, versions[:len(versions)-1])
		return head + "<launchTemplateVersionSet>" + strings.Join(versions, "") + "</launchTemplateVersionSet>" + tail
	})
}

// The order in which EC2 lists versions does not matter.
func TestTheOrderOfVersions(t *testing.T) {
	files := templateOf(8, 3)
	slices.Reverse(files["describe-launch-template-versions.json"].(object)["LaunchTemplateVersions"].([]object))
	backwards := rewritingVersions(holding(t, files).Client(), func(_ int, versions []string) []string {
		slices.Reverse(versions)
		return versions
	})
	asked := lookup(candidates(10), "launch-templates")
	asked.TemplateVersions = 2
	if got := usedOf(t, collectFor(t.Context(), backwards, asked), 10); !slices.Equal(got, []int{3, 7, 8}) {
		t.Errorf("the images of versions %v are used, want 3, 7, 8", got)
	}
}

// A template with more versions than a page holds is read to its end; the image of the very first
// is used.
func TestATemplateWithManyVersions(t *testing.T) {
	files := templateOf(450, 450)
	account := holding(t, files)
	evidence := collect(t.Context(), account.Client(), candidates(20), "launch-templates")
	if got := usedOf(t, evidence, 20); len(got) != 20 {
		t.Errorf("the images of versions %v are used, want all", got)
	}
	// One for all templates; nine pages and an empty one of this.
	if got := callsOf(account)["DescribeLaunchTemplateVersions"]; got != 11 {
		t.Errorf("%d listings of versions, want 11", got)
	}
}

func specification(version string, byName bool) object {
	if byName {
		return object{"LaunchTemplateName": templateName, "Version": version}
	}
	return object{"LaunchTemplateId": templateID, "Version": version}
}

// pinning are the files of what can pin a version of a launch template.
var pinning = map[string]func(specification object) map[string]any{
	"a_group": func(s object) map[string]any {
		return map[string]any{"describe-auto-scaling-groups.json": object{"AutoScalingGroups": []object{
			{"AutoScalingGroupName": "other"}, {"AutoScalingGroupName": "my-asg", "LaunchTemplate": s},
		}}}
	},
	"a_mixed_group": func(s object) map[string]any {
		return map[string]any{"describe-auto-scaling-groups.json": object{"AutoScalingGroups": []object{
			{"AutoScalingGroupName": "my-asg", "MixedInstancesPolicy": object{"LaunchTemplate": object{"LaunchTemplateSpecification": s}}},
		}}}
	},
	"an_override": func(s object) map[string]any {
		return map[string]any{"describe-auto-scaling-groups.json": object{"AutoScalingGroups": []object{
			{"AutoScalingGroupName": "my-asg", "MixedInstancesPolicy": object{"LaunchTemplate": object{
				"LaunchTemplateSpecification": specification("$Latest", false),
				"Overrides":                   []object{{"InstanceType": "c5.large"}, {"LaunchTemplateSpecification": s}},
			}}},
		}}}
	},
	"a_fleet": func(s object) map[string]any {
		return map[string]any{"describe-fleets.json": object{"Fleets": []object{{
			"FleetId": "fleet-12a34b55-67cd-8ef9-ba9b-9208dEXAMPLE", "FleetState": "active", "Type": "maintain",
			"LaunchTemplateConfigs": []object{{"LaunchTemplateSpecification": s}},
		}}}}
	},
	"a_spot_fleet": func(s object) map[string]any {
		return map[string]any{"describe-spot-fleet-requests.json": object{"SpotFleetRequestConfigs": []object{{
			"SpotFleetRequestId": "sfr-73fbd2ce-aa30-494c-8788-1cee4EXAMPLE", "SpotFleetRequestState": "cancelled_running",
			"SpotFleetRequestConfig": object{"LaunchTemplateConfigs": []object{{"LaunchTemplateSpecification": s}}},
		}}}}
	},
}

// A version that a group or a fleet is pinned to by its number counts, however old it is.
func TestPinnedVersions(t *testing.T) {
	for name, files := range pinning {
		for _, byName := range []bool{false, true} {
			for version, want := range map[string][]int{
				"2": {2, 3, 8}, "8": {3, 8}, "3": {3, 8}, "$Latest": {3, 8}, "$Default": {3, 8}, "": {3, 8},
				"77": {3, 8}, // There is no such version.
			} {
				t.Run(name+"/"+version+"/"+strconv.FormatBool(byName), func(t *testing.T) {
					all := templateOf(8, 3)
					maps.Copy(all, files(specification(version, byName)))
					asked := lookup(candidates(10), "launch-templates")
					asked.TemplateVersions = 1
					if got := usedOf(t, collectFor(t.Context(), holding(t, all).Client(), asked), 10); !slices.Equal(got, want) {
						t.Errorf("the images of versions %v are used, want %v", got, want)
					}
				})
			}
		}
	}
}

// What pins versions is read to its end: to the page after an empty one.
func TestPinsAreReadToTheirEnd(t *testing.T) {
	for name, c := range map[string]struct {
		file, list, action string
		size               int
		other              func(n int) object
	}{
		"a_group": {"describe-auto-scaling-groups.json", "AutoScalingGroups", "DescribeAutoScalingGroups", 100, func(n int) object {
			return object{"AutoScalingGroupName": fmt.Sprintf("asg-%04d", n)}
		}},
		"a_fleet": {"describe-fleets.json", "Fleets", "DescribeFleets", 1000, func(n int) object {
			return object{"FleetId": fmt.Sprintf("fleet-%04d", n), "FleetState": "active", "Type": "maintain"}
		}},
		"a_spot_fleet": {"describe-spot-fleet-requests.json", "SpotFleetRequestConfigs", "DescribeSpotFleetRequests", 100, func(n int) object {
			return object{"SpotFleetRequestId": fmt.Sprintf("sfr-%04d", n), "SpotFleetRequestState": "active", "SpotFleetRequestConfig": object{}}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			all := templateOf(8, 3)
			maps.Copy(all, pinning[name](specification("2", false)))
			var others []object
			for n := range 2*c.size + c.size/2 {
				others = append(others, c.other(n))
			}
			all[c.file] = object{c.list: append(others, all[c.file].(object)[c.list].([]object)...)}
			account := holding(t, all)
			asked := lookup(candidates(10), "launch-templates")
			asked.TemplateVersions = 1
			if got := usedOf(t, collectFor(t.Context(), account.Client(), asked), 10); !slices.Equal(got, []int{2, 3, 8}) {
				t.Errorf("the images of versions %v are used, want 2, 3, 8", got)
			}
			if calls := callsOf(account)[c.action]; calls != 4 { // Three pages, and an empty one.
				t.Errorf("%d calls of %s", calls, c.action)
			}
		})
	}
}

// What pins versions is asked for only where it matters, and once, also if a source of its own asks
// for it too.
func TestPinsAreListedOnce(t *testing.T) {
	for newest, want := range map[int]int{0: 0, 1: 1} {
		account := holding(t, templateOf(8, 3))
		asked := lookup(candidates(1), "launch-templates")
		asked.TemplateVersions = newest
		collectFor(t.Context(), account.Client(), asked)
		calls := callsOf(account)
		for _, action := range []string{"DescribeAutoScalingGroups", "DescribeFleets", "DescribeSpotFleetRequests"} {
			if calls[action] != want {
				t.Errorf("the newest %d: %d calls of %s, want %d", newest, calls[action], action, want)
			}
		}
	}
}

// A finished Spot fleet pins nothing.
func TestAFinishedSpotFleetPinsNothing(t *testing.T) {
	for _, state := range []string{"cancelled", "failed"} {
		all := templateOf(8, 3)
		maps.Copy(all, pinning["a_spot_fleet"](specification("2", false)))
		fleets := all["describe-spot-fleet-requests.json"].(object)["SpotFleetRequestConfigs"].([]object)
		fleets[0]["SpotFleetRequestState"] = state
		asked := lookup(candidates(10), "launch-templates")
		asked.TemplateVersions = 1
		if got := usedOf(t, collectFor(t.Context(), holding(t, all).Client(), asked), 10); !slices.Equal(got, []int{3, 8}) {
			t.Errorf("%s: the images of versions %v are used, want 3, 8", state, got)
		}
	}
}

// An EC2 fleet that overrides the image of its launch template uses that.
func TestAnOverriddenImageOfAFleet(t *testing.T) {
	files := map[string]any{"describe-fleets.json": object{"Fleets": []object{{
		"FleetId": "fleet-12a34b55-67cd-8ef9-ba9b-9208dEXAMPLE", "Type": "request",
		"LaunchTemplateConfigs": []object{{"LaunchTemplateSpecification": specification("1", false), "Overrides": []object{{"ImageId": imageID(1)}}}},
	}}}}
	asked := lookup(candidates(1), "launch-templates")
	asked.TemplateVersions = 1
	want := []ami.Reference{{Source: "launch-templates", Type: "ec2:Fleet", ARN: arn("ec2", "fleet/fleet-12a34b55-67cd-8ef9-ba9b-9208dEXAMPLE")}}
	if got := collectFor(t.Context(), holding(t, files).Client(), asked).Images[imageID(1)].References; !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// Without knowing what pins versions nothing is proven; what was found counts.
func TestUnknownPins(t *testing.T) {
	for action, pinnedBy := range map[string]string{
		"DescribeAutoScalingGroups": "a_group", "DescribeFleets": "a_fleet", "DescribeSpotFleetRequests": "a_spot_fleet",
	} {
		t.Run(action, func(t *testing.T) {
			all := templateOf(8, 3)
			maps.Copy(all, pinning[pinnedBy](specification("2", false)))
			asked := lookup(candidates(10), "launch-templates")
			asked.TemplateVersions = 1
			evidence := collectFor(t.Context(), disturb.Deny(holding(t, all).Client(), action), asked)
			gap(t, evidence, imageID(2), "launch-templates", "not authorized")
			gap(t, evidence, imageID(1), "launch-templates", "not authorized")
			if evidence.Images[imageID(8)].Use != ami.Used || evidence.Images[imageID(3)].Use != ami.Used {
				t.Errorf("evidence %+v", evidence)
			}
		})
	}
}

// A template that is deleted, or has lost its versions, between the listings must not prove
// anything.
func TestATemplateThatChangesWhileItIsRead(t *testing.T) {
	for name, test := range map[string]struct {
		fault func(emulator.Doer, string, func(int, emulator.Request) bool) emulator.Doer
		says  string
	}{
		"deleted":     {failing(http.StatusBadRequest, "InvalidLaunchTemplateId.NotFound"), "launch template " + templateID + " (" + templateName + "): ec2:DescribeLaunchTemplateVersions: InvalidLaunchTemplateId.NotFound"},
		"no_versions": {answeringWith("<DescribeLaunchTemplateVersionsResponse><launchTemplateVersionSet/></DescribeLaunchTemplateVersionsResponse>"), "has no versions"},
	} {
		t.Run(name, func(t *testing.T) {
			own := func(_ int, r emulator.Request) bool { return r.Form.Has("LaunchTemplateId") }
			evidence := collect(t.Context(), test.fault(holding(t, templateOf(8, 3)).Client(), "DescribeLaunchTemplateVersions", own), candidates(10), "launch-templates")
			gap(t, evidence, imageID(1), "launch-templates", test.says)
			if evidence.Images[imageID(8)].Use != ami.Used {
				t.Errorf("%+v, want used", evidence.Images[imageID(8)])
			}
		})
	}
}

// The default version counts, whichever of the listings tells of it: another one may become it
// while they are read.
func TestADefaultVersionThatChangesWhileItIsRead(t *testing.T) {
	isVersion := func(n int) func(string) bool {
		return func(version string) bool {
			return strings.Contains(version, fmt.Sprintf("<versionNumber>%d</versionNumber>", n))
		}
	}
	for name, test := range map[string]struct {
		change func(n int, versions []string) []string
		want   []int
	}{
		"it_is_not_in_the_listing_for_all": {func(n int, versions []string) []string {
			if n == 1 {
				versions = slices.DeleteFunc(versions, isVersion(3))
			}
			return versions
		}, []int{3, 7, 8}},
		"it_becomes_another_one": {func(n int, versions []string) []string {
			if i := slices.IndexFunc(versions, isVersion(5)); n == 2 && i >= 0 {
				versions[i] = strings.Replace(versions[i], "<defaultVersion>false", "<defaultVersion>true", 1)
			}
			return versions
		}, []int{3, 5, 7, 8}},
	} {
		t.Run(name, func(t *testing.T) {
			asked := lookup(candidates(10), "launch-templates")
			asked.TemplateVersions = 2
			evidence := collectFor(t.Context(), rewritingVersions(holding(t, templateOf(8, 3)).Client(), test.change), asked)
			if got := usedOf(t, evidence, 10); !slices.Equal(got, test.want) {
				t.Errorf("the images of versions %v are used, want %v", got, test.want)
			}
		})
	}
	// With the newest version alone only one of the two can be missing.
	for _, missing := range []int{3, 8} {
		asked := lookup(candidates(10), "launch-templates")
		asked.TemplateVersions = 1
		lacking := rewritingVersions(holding(t, templateOf(8, 3)).Client(), func(n int, versions []string) []string {
			if n == 1 {
				versions = slices.DeleteFunc(versions, isVersion(missing))
			}
			return versions
		})
		if got := usedOf(t, collectFor(t.Context(), lacking, asked), 10); !slices.Equal(got, []int{3, 8}) {
			t.Errorf("without version %d: the images of versions %v are used, want 3 and 8", missing, got)
		}
	}
}

// A template that is missing in one of the listings is searched, too.
func TestATemplateThatOneListingLacks(t *testing.T) {
	files := templateOf(8, 3)
	delete(files, "describe-launch-templates.json")
	if got := usedOf(t, collect(t.Context(), holding(t, files).Client(), candidates(10), "launch-templates"), 10); len(got) != 8 {
		t.Errorf("without the templates: the images of versions %v are used, want all eight", got)
	}
	unlisted := func(_ int, r emulator.Request) bool { return !r.Form.Has("LaunchTemplateId") }
	empty := answeringWith("<DescribeLaunchTemplateVersionsResponse><launchTemplateVersionSet/></DescribeLaunchTemplateVersionsResponse>")
	evidence := collect(t.Context(), empty(holding(t, templateOf(8, 3)).Client(), "DescribeLaunchTemplateVersions", unlisted), candidates(10), "launch-templates")
	if got := usedOf(t, evidence, 10); len(got) != 8 {
		t.Errorf("without the latest versions: the images of versions %v are used, want all eight", got)
	}
}

// EC2's own lookup of references goes as deep into the versions as they count.
func TestVersionDepth(t *testing.T) {
	for newest, want := range map[int]string{0: "10000", 1: "1", 25: "25", 20000: "10000"} {
		var a asked
		asked := lookup(candidates(1))
		asked.TemplateVersions = newest
		collectFor(t.Context(), a.by(holding(t, nil).Client()), asked)
		if got := a.forms["DescribeImageReferences"][0].Get("ResourceType.2.ResourceTypeOption.1.OptionValue.1"); got != want {
			t.Errorf("the newest %d: depth %s, want %s", newest, got, want)
		}
	}
}

// Many templates with one more version than is listed for all, in two pages: one listing each, and
// every image is found.
func TestManyTemplates(t *testing.T) {
	var templates, versions []object
	for n := range 30 {
		id := fmt.Sprintf("lt-%017x", n+1)
		templates = append(templates, object{"LaunchTemplateId": id, "LaunchTemplateName": id, "LatestVersionNumber": 3, "DefaultVersionNumber": 2})
		for v := 1; v <= 3; v++ {
			image := imageID(nobodys)
			if v == 1 && n == 29 {
				image = imageID(1)
			}
			versions = append(versions, object{
				"LaunchTemplateId": id, "LaunchTemplateName": id, "VersionNumber": v, "DefaultVersion": v == 2, "LaunchTemplateData": object{"ImageId": image},
			})
		}
	}
	account := holding(t, map[string]any{
		"describe-launch-templates.json":         object{"LaunchTemplates": templates},
		"describe-launch-template-versions.json": object{"LaunchTemplateVersions": versions},
	})
	evidence := collect(t.Context(), account.Client(), candidates(2), "launch-templates")
	if got := usedOf(t, evidence, 2); !slices.Equal(got, []int{1}) {
		t.Errorf("used: %v, want 1", got)
	}
	if got := callsOf(account)["DescribeLaunchTemplateVersions"]; got != 2+30 {
		t.Errorf("%d listings of versions, want 32", got)
	}
	if got := len(evidence.Images[imageID(nobodys)].References); got != 30 {
		t.Errorf("%d references to the image of most, want each template once", got)
	}
}

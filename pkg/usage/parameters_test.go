package usage_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/usage"
)

// secret is in the values of parameters, and nowhere else.
const secret = "Qx7-do-not-tell"

// naming are the files of launch templates, each of one version that gives its image in one of the
// ways.
func naming(images ...string) map[string]any {
	var templates, versions []object
	for n, image := range images {
		id := fmt.Sprintf("lt-%017x", n+1)
		templates = append(templates, object{"LaunchTemplateId": id, "LaunchTemplateName": fmt.Sprint("web-", n+1), "LatestVersionNumber": 1, "DefaultVersionNumber": 1})
		versions = append(versions, object{
			"LaunchTemplateId": id, "LaunchTemplateName": fmt.Sprint("web-", n+1), "VersionNumber": 1, "DefaultVersion": true, "LaunchTemplateData": object{"ImageId": image},
		})
	}
	return map[string]any{
		"describe-launch-templates.json":         object{"LaunchTemplates": templates},
		"describe-launch-template-versions.json": object{"LaunchTemplateVersions": versions},
	}
}

// golden is a parameter with three versions. The current one names image 3, and the label
// production is on version 2.
func golden() []object {
	entry := func(selector string, version, image int) object {
		return object{
			"Name": "golden-ami", "Type": "String", "DataType": "aws:ec2:image", "Version": version, "Selector": selector, "Value": imageID(image),
		}
	}
	return []object{
		entry("", 3, 3), entry(":1", 1, 1), entry(":2", 2, 2), entry(":production", 2, 2),
		{"Name": "/aws/service/ami-x/recommended", "Type": "String", "Version": 1, "Value": `{"image_id": "` + imageID(4) + `"}`},
		{
			"Name": "arn:aws:ssm:eu-west-1:111122223333:parameter/shared", "ARN": "arn:aws:ssm:eu-west-1:111122223333:parameter/shared",
			"Type": "String", "Version": 1, "Value": imageID(5),
		},
		{
			"Name": "shared", "ARN": "arn:aws:ssm:eu-west-1:111122223333:parameter/path/shared", "Selector": ":7",
			"Type": "String", "Version": 7, "Value": imageID(6),
		},
		{"Name": "empty", "Type": "String", "Version": 1, "Value": secret},
	}
}

// A launch template names its image by an SSM parameter in any of the ways that EC2 documents, and
// the image that it means is used. What the account does not have is no image; what belongs to
// another account and cannot be read may be one.
func TestImagesThatAreNamedByParameters(t *testing.T) {
	for name, test := range map[string]struct {
		image string
		used  int // The number of the image; 0 if none.
		gap   string
	}{
		"by_name":                      {"resolve:ssm:golden-ami", 3, ""},
		"by_version":                   {"resolve:ssm:golden-ami:1", 1, ""},
		"by_the_current_version":       {"resolve:ssm:golden-ami:3", 3, ""},
		"by_label":                     {"resolve:ssm:golden-ami:production", 2, ""},
		"a_public_parameter":           {"resolve:ssm:/aws/service/ami-x/recommended", 4, ""},
		"by_arn":                       {"resolve:ssm:arn:aws:ssm:eu-west-1:123456789012:parameter/golden-ami", 3, ""},
		"by_arn_and_version":           {"resolve:ssm:arn:aws:ssm:eu-west-1:123456789012:parameter/golden-ami:2", 2, ""},
		"by_arn_and_label":             {"resolve:ssm:arn:aws:ssm:eu-west-1:123456789012:parameter/golden-ami:production", 2, ""},
		"of_another_account":           {"resolve:ssm:arn:aws:ssm:eu-west-1:111122223333:parameter/shared", 5, ""},
		"a_version_of_another_account": {"resolve:ssm:arn:aws:ssm:eu-west-1:111122223333:parameter/path/shared:7", 6, ""},
		"of_another_account_not_shared": {
			"resolve:ssm:arn:aws:ssm:eu-west-1:111122223333:parameter/private", 0, "which is not shared with this account",
		},
		"another_version_of_another_account": {
			"resolve:ssm:arn:aws:ssm:eu-west-1:111122223333:parameter/path/shared:8", 0, "which is not shared with this account",
		},
		"in_another_region": {
			"resolve:ssm:arn:aws:ssm:eu-central-1:123456789012:parameter/golden-ami", 0, "which is not shared with this account",
		},
		"not_there":                {"resolve:ssm:nothing", 0, ""},
		"not_there_by_arn":         {"resolve:ssm:arn:aws:ssm:eu-west-1:123456789012:parameter/nothing", 0, ""},
		"a_version_not_there":      {"resolve:ssm:golden-ami:9", 0, ""},
		"a_public_one_not_there":   {"resolve:ssm:/aws/service/nothing", 0, ""},
		"that_does_not_name_one":   {"resolve:ssm:empty", 0, ""},
		"in_a_form_nobody_knows":   {"resolve:secretsmanager:golden-ami", 0, "which is not understood"},
		"by_its_id":                {imageID(7), 7, ""},
		"by_an_id_that_is_no_id":   {"golden-ami", 0, ""},
		"by_an_empty_id":           {"", 0, ""},
		"by_a_name_with_a_space":   {"resolve:ssm:golden ami", 0, "ValidationException"},
		"by_a_prefix_of_the_name":  {"resolve:ssm:golden", 0, ""},
		"by_nothing_but_the_colon": {"resolve:ssm:golden-ami:", 0, "did not answer"},
	} {
		t.Run(name, func(t *testing.T) {
			files := naming(test.image)
			files["get-parameters.json"] = object{"Parameters": golden()}
			evidence := collect(t.Context(), holding(t, files).Client(), candidates(7), "launch-templates")
			for n := 1; n <= 7; n++ {
				switch {
				case test.gap != "":
					gap(t, evidence, imageID(n), "launch-templates", test.gap)
				case n == test.used:
					want := []ami.Reference{{Source: "launch-templates", Type: "ec2:LaunchTemplate", ARN: arn("ec2", "launch-template/lt-00000000000000001")}}
					if diff := cmp.Diff(ami.Finding{Use: ami.Used, References: want}, evidence.Images[imageID(n)]); diff != "" {
						t.Errorf("%s (-want +got):\n%s", imageID(n), diff)
					}
				default:
					proven(t, evidence, imageID(n))
				}
			}
		})
	}
}

// Parameters are asked for once each, ten at a time, and never decrypted. Each template gets the
// image it names.
func TestParametersAreReadInCallsOfTen(t *testing.T) {
	var names []string
	var parameters []object
	for n := range 24 {
		name := fmt.Sprintf("ami-%02d", n+1)
		names = append(names, "resolve:ssm:"+name, "resolve:ssm:"+name)
		parameters = append(parameters, object{"Name": name, "Type": "String", "Value": imageID(n + 1)})
	}
	files := naming(names...)
	files["get-parameters.json"] = object{"Parameters": parameters}
	var a asked
	evidence := collect(t.Context(), a.by(holding(t, files).Client()), candidates(25), "launch-templates")
	for n := 1; n <= 24; n++ {
		if got := len(evidence.Images[imageID(n)].References); got != 2 {
			t.Errorf("%d references to %s, want 2", got, imageID(n))
		}
	}
	proven(t, evidence, imageID(25))
	var sizes []int
	for _, form := range a.forms["GetParameters"] {
		size := 0
		for key := range form {
			if strings.HasPrefix(key, "Names.") {
				size++
			}
		}
		sizes = append(sizes, size)
		if form.Get("WithDecryption") == "true" {
			t.Error("decryption was asked for")
		}
	}
	if slices.Sort(sizes); !slices.Equal(sizes, []int{4, 10, 10}) {
		t.Errorf("%v names a call, want 4, 10 and 10", sizes)
	}
}

// If a parameter cannot be read, the image that it names is not known, so that none is proven
// unused. The sources that have nothing to do with it are not affected.
func TestParametersThatCannotBeRead(t *testing.T) {
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			files := naming("resolve:ssm:golden-ami", imageID(7))
			files["get-parameters.json"] = object{"Parameters": golden()}
			account := holding(t, files)
			synctest.Test(t, func(t *testing.T) {
				evidence := collect(t.Context(), fault.fault(account.Client(), "GetParameters", nil), candidates(7), "launch-templates", "instances")
				gap(t, evidence, imageID(1), "launch-templates", fault.of("GetParameters"))
				gap(t, evidence, imageID(3), "launch-templates", fault.of("GetParameters"))
				if evidence.Images[imageID(7)].Use != ami.Used {
					t.Errorf("%+v, want used", evidence.Images[imageID(7)])
				}
			})
		})
	}
}

// What SSM says nothing of has not been looked up.
func TestAnAnswerThatLacksAParameter(t *testing.T) {
	for name, source := range map[string]string{"resolved": "launch-templates", "listed": "ssm-text"} {
		t.Run(name, func(t *testing.T) {
			files := naming("resolve:ssm:golden-ami")
			files["get-parameters.json"] = object{"Parameters": golden()[:1]}
			doer := answeringWith(`{"Parameters": [], "InvalidParameters": []}`)(holding(t, files).Client(), "GetParameters", nil)
			gap(t, collect(t.Context(), doer, candidates(1), source), imageID(1), source, "did not answer")
		})
	}
}

// An Auto Scaling group's override by parameter is followed too; what cannot be followed is a gap
// of that source.
func TestAParameterInAnOverride(t *testing.T) {
	override := func(image string) map[string]any {
		return map[string]any{
			"describe-auto-scaling-groups.json": object{"AutoScalingGroups": []object{{
				"AutoScalingGroupName": "my-asg",
				"MixedInstancesPolicy": object{"LaunchTemplate": object{"Overrides": []object{{"ImageId": image}}}},
			}}},
			"get-parameters.json": object{"Parameters": golden()},
		}
	}
	evidence := collect(t.Context(), holding(t, override("resolve:ssm:golden-ami")).Client(), candidates(3), "auto-scaling-groups")
	if evidence.Images[imageID(3)].Use != ami.Used {
		t.Errorf("%+v, want used", evidence.Images[imageID(3)])
	}
	evidence = collect(t.Context(), holding(t, override("resolve:other:x")).Client(), candidates(3), "auto-scaling-groups", "launch-templates")
	gap(t, evidence, imageID(3), "auto-scaling-groups", "which is not understood")
}

// The id of an image counts wherever it stands in the text of a parameter. An id of eight digits is
// not the beginning of one of seventeen.
func TestIDsInText(t *testing.T) {
	const short, long, other = "ami-0a1b2c3d", "ami-0a1b2c3d4e5f60718", "ami-0fedcba9876543210"
	for name, test := range map[string]struct {
		text string
		want []string
	}{
		"alone":                      {long, []string{long}},
		"an_old_one":                 {short, []string{short}},
		"in_a_list":                  {"a," + long + "," + short + ",b", []string{short, long}},
		"in_json":                    {`{"eu-west-1":{"ami":"` + long + `"},"x":["` + other + `"]}`, []string{long, other}},
		"in_a_url":                   {"https://console.aws.amazon.com/ec2/home?region=eu-west-1#ImageDetails:imageId=" + long, []string{long}},
		"in_an_arn":                  {"arn:aws:ec2:eu-west-1::image/" + long, []string{long}},
		"in_a_sentence":              {"We use " + short + ".", []string{short}},
		"on_several_lines":           {"one\n" + long + "\r\n\t" + short, []string{short, long}},
		"in_a_shell_script":          {"AMI_ID=" + long + ";export AMI_ID", []string{long}},
		"in_a_name":                  {"web-" + long + "-v2_" + short + "_x", []string{short, long}},
		"after_a_letter":             {"my" + long, []string{long}},
		"one_after_the_other":        {long + other, []string{long, other}},
		"old_ones_one_after_another": {short + short + long, []string{short, long}},
		"a_long_one_is_no_short_one": {long + "x", []string{long}},
		// Not an id; to keep the image is the safe reading.
		"with_more_digits":            {long + "0", []string{long}},
		"with_fewer_digits":           {long[:len(long)-1], []string{short}},
		"with_too_few_digits":         {"ami-0a1b2c3", nil},
		"in_capitals":                 {strings.ToUpper(long), []string{long}},
		"another_kind_of_id":          {"snap-0a1b2c3d4e5f60718 aki-0a1b2c3d", nil},
		"no_digits":                   {"ami- ami-latest", nil},
		"nothing":                     {"", nil},
		"something_that_is_not_ascii": {"größe=" + long + "…", []string{long}},
	} {
		t.Run(name, func(t *testing.T) {
			images := []ami.Image{{ID: short}, {ID: long}, {ID: other}}
			var listed []object
			for _, image := range images {
				listed = append(listed, object{"ImageId": image.ID, "OwnerId": owner, "State": "available"})
			}
			account := holding(t, map[string]any{
				"describe-images.json": object{"Images": listed},
				"get-parameters.json":  object{"Parameters": []object{{"Name": "/web/ami", "Type": "StringList", "Value": test.text}}},
			})
			evidence := collect(t.Context(), account.Client(), images, "ssm-text")
			var used []string
			for _, image := range images {
				if finding := evidence.Images[image.ID]; finding.Use == ami.Used {
					used = append(used, image.ID)
				} else {
					proven(t, evidence, image.ID)
				}
			}
			if diff := cmp.Diff(test.want, used); diff != "" {
				t.Errorf("used (-want +got):\n%s", diff)
			}
		})
	}
}

// A parameter that a listing repeats, as one can that changes while it is read, is read once: SSM
// may refuse a name that is given twice.
func TestAParameterThatIsListedTwice(t *testing.T) {
	var a asked
	twice := rewriting(holding(t, map[string]any{
		"get-parameters.json": object{"Parameters": []object{{"Name": "a", "Type": "String", "Value": imageID(1)}}},
	}).Client(), "DescribeParameters", func(_ int, body string) string {
		var answer struct{ Parameters []object }
		if err := json.Unmarshal([]byte(body), &answer); err != nil {
			t.Fatal(err)
		}
		answer.Parameters = append(answer.Parameters, answer.Parameters...)
		changed, err := json.Marshal(answer)
		if err != nil {
			t.Fatal(err)
		}
		return string(changed)
	})
	evidence := collect(t.Context(), a.by(twice), candidates(1), "ssm-text")
	if finding := evidence.Images[imageID(1)]; len(finding.References) != 1 {
		t.Errorf("%+v, want one reference", finding)
	}
	if forms := a.forms["GetParameters"]; len(forms) != 1 || forms[0].Has("Names.2") {
		t.Errorf("asked for %v, want for one name", forms)
	}
}

// A parameter that is gone by the time it is read, and no longer listed, names nothing. One that
// SSM goes on listing has a value that nobody has seen, and so has one that is shown without its
// value.
func TestAParameterThatIsListedWithoutAValue(t *testing.T) {
	for name, test := range map[string]struct {
		listed int // How many listings have it.
		says   string
	}{
		"deleted_meanwhile": {1, ""},
		"still_listed":      {2, "SSM parameter gone cannot be read: SSM lists it, and says that it is not there"},
	} {
		t.Run(name, func(t *testing.T) {
			account := holding(t, map[string]any{
				"get-parameters.json": object{"Parameters": []object{{"Name": "there", "Type": "String", "Value": imageID(2)}}},
			})
			var a asked
			listing := rewriting(account.Client(), "DescribeParameters", func(n int, body string) string {
				if n > test.listed {
					return body
				}
				return strings.Replace(body, `"Parameters":[`, `"Parameters":[{"Name":"gone","Type":"String"},`, 1)
			})
			evidence := collect(t.Context(), a.by(listing), candidates(2), "ssm-text")
			if test.says == "" {
				proven(t, evidence, imageID(1))
			} else {
				gap(t, evidence, imageID(1), "ssm-text", test.says)
			}
			if evidence.Images[imageID(2)].Use != ami.Used {
				t.Errorf("%+v, want used", evidence.Images[imageID(2)])
			}
			if n := len(a.forms["DescribeParameters"]); n != 2 {
				t.Errorf("%d listings, want 2", n)
			}
		})
	}

	files := naming("resolve:ssm:golden-ami", "resolve:ssm:golden-ami:2")
	files["describe-parameters.json"] = object{"Parameters": []object{{"Name": "golden-ami", "Type": "String", "Version": 2}}}
	for _, source := range []string{"ssm-text", "launch-templates"} {
		finding := collect(t.Context(), holding(t, files).Client(), candidates(1), source).Images[imageID(1)]
		if finding.Use != ami.Unknown || len(finding.Gaps) == 0 || !strings.Contains(finding.Gaps[0].Err, "SSM answered without its value") {
			t.Errorf("%s: %+v, want unknown", source, finding)
		}
	}
}

// Secret parameters are not read, and the values of the others are neither in the evidence nor in
// an error.
func TestValuesAreNotTold(t *testing.T) {
	files := naming("resolve:ssm:b")
	files["get-parameters.json"] = object{"Parameters": []object{
		{"Name": "a", "Type": "String", "Value": secret + " " + imageID(1)},
		{"Name": "b", "Type": "String", "Value": secret},
		{"Name": "c", "Type": "SecureString", "Value": imageID(2)},
	}}
	told := func(evidence ami.Evidence) {
		t.Helper()
		text, err := json.Marshal(evidence)
		if err != nil || strings.Contains(string(text), secret) {
			t.Errorf("a value is in the evidence (%v): %s", err, text)
		}
	}
	var a asked
	account := holding(t, files)
	evidence := collect(t.Context(), a.by(account.Client()), candidates(2), usage.Sources()...)
	told(evidence)
	proven(t, evidence, imageID(2))
	for _, form := range a.forms["GetParameters"] {
		for _, values := range form {
			if slices.Contains(values, "c") {
				t.Error("a secret parameter was asked for")
			}
		}
	}
	for _, size := range []int{1, 20, 40, 60, 100, 150, 200} {
		cut := rewriting(account.Client(), "GetParameters", func(_ int, body string) string {
			body = strings.Replace(body, `{"`, `{"`+secret+`":[],"`, 1)
			return body[:min(size, len(body)-1)]
		})
		told(collect(t.Context(), cut, candidates(2), "ssm-text", "launch-templates"))
	}
	told(collect(t.Context(), answeringWith(`{"`+secret+`": 1}`)(account.Client(), "GetParameters", nil), candidates(2), "ssm-text"))
	told(collect(t.Context(), failing(http.StatusForbidden, "AccessDeniedException")(account.Client(), "GetParameters", nil), candidates(2), "ssm-text"))
}

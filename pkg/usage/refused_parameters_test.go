package usage_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
)

// refusing refuses, like SSM, every entire call for parameters if one has a text in its name.
func refusing(next emulator.Doer, part, code string) emulator.Doer {
	return disturb.Fail(next, "GetParameters", func(_ int, q emulator.Request) bool {
		for key, values := range q.Form {
			if strings.HasPrefix(key, "Names.") && strings.Contains(strings.Join(values, ""), part) {
				return true
			}
		}
		return false
	}, http.StatusBadRequest, code, "x")
}

// whys are the gaps of an image.
func whys(finding ami.Finding) string {
	var texts []string
	for _, gap := range finding.Gaps {
		texts = append(texts, gap.Source+": "+gap.Err)
	}
	return strings.Join(texts, "\n")
}

// One parameter that SSM refuses, for its name or because a permission is missing, stays unread;
// all others are read and count. The gap names the launch template, its version and the parameter.
func TestOneParameterIsRefused(t *testing.T) {
	for name, test := range map[string]struct{ parameter, part, code string }{
		"malformed":          {"/not valid/%%%:a:b:c", "%%%", "ValidationException"},
		"denied":             {"/secure/golden", "/secure/", "AccessDeniedException"},
		"of_another_account": {"arn:aws:ssm:eu-west-1:111122223333:parameter/golden", "111122223333", "AccessDeniedException"},
	} {
		t.Run(name, func(t *testing.T) {
			images := []string{"resolve:ssm:" + test.parameter}
			var parameters []object
			for n := 1; n <= 23; n++ {
				images = append(images, fmt.Sprintf("resolve:ssm:/golden/%02d", n))
				parameters = append(parameters, object{"Name": fmt.Sprintf("/golden/%02d", n), "Type": "String", "Value": imageID(n)})
			}
			files := naming(images...)
			files["get-parameters.json"] = object{"Parameters": parameters}
			account := holding(t, files)
			evidence := collect(t.Context(), refusing(account.Client(), test.part, test.code), candidates(25), "launch-templates")
			want := "launch-templates: launch template lt-00000000000000001 (web-1), version 1, names SSM parameter " + test.parameter + ", which cannot be read: ssm:GetParameters: " + test.code + ": x"
			for n := 1; n <= 25; n++ {
				finding := evidence.Images[imageID(n)]
				if isUsed := n <= 23; (finding.Use == ami.Used) != isUsed || finding.Use == ami.Unused || whys(finding) != want {
					t.Errorf("%s is %v; gaps:\n%s\nwant:\n%s", imageID(n), finding.Use, whys(finding), want)
				}
			}
			if got := callsOf(account)["GetParameters"]; got > 3+7 {
				t.Errorf("%d calls were answered", got)
			}
		})
	}
}

// So it is with the parameters that are searched for text.
func TestOneTextIsDenied(t *testing.T) {
	var parameters []object
	for n := 1; n <= 24; n++ {
		parameters = append(parameters, object{"Name": fmt.Sprintf("/app/%02d", n), "Type": "String", "Value": imageID(n)})
	}
	parameters = append(parameters, object{"Name": "/secure/db", "Type": "String", "Value": "x"})
	account := holding(t, map[string]any{"get-parameters.json": object{"Parameters": parameters}})
	evidence := collect(t.Context(), refusing(account.Client(), "/secure/", "AccessDeniedException"), candidates(25), "ssm-text")
	for n := 1; n <= 24; n++ {
		if finding := evidence.Images[imageID(n)]; finding.Use != ami.Used {
			t.Errorf("%s is %v", imageID(n), finding.Use)
		}
	}
	const want = "ssm-text: SSM parameter /secure/db cannot be read: ssm:GetParameters: AccessDeniedException: x"
	if finding := evidence.Images[imageID(25)]; finding.Use != ami.Unknown || whys(finding) != want {
		t.Errorf("%s is %v; gaps:\n%s", imageID(25), finding.Use, whys(finding))
	}
	if others := whys(ami.Finding{Gaps: evidence.Gaps}); others != want {
		t.Errorf("gaps of all others:\n%s", others)
	}
}

// Where all is denied, it is not asked for each parameter by itself, and the gaps stay short.
func TestAllParametersAreDenied(t *testing.T) {
	const n = 500
	var images []string
	var parameters []object
	for i := range n {
		images = append(images, fmt.Sprintf("resolve:ssm:/golden/%03d", i))
		parameters = append(parameters, object{"Name": fmt.Sprintf("/golden/%03d", i), "Type": "String", "Value": "x"})
	}
	files := naming(images...)
	files["get-parameters.json"] = object{"Parameters": parameters}
	for source, want := range map[string]string{
		"launch-templates": "launch-templates: launch template lt-00000000000000001 (web-1), version 1, names SSM parameter /golden/000, which cannot be read: ssm:GetParameters: AccessDeniedException: x\n" +
			"launch-templates: launch template lt-00000000000000002 (web-2), version 1, names SSM parameter /golden/001, which cannot be read: ssm:GetParameters: AccessDeniedException: x\n" +
			"launch-templates: the images of 498 more are unknown, too",
		"ssm-text": "ssm-text: SSM parameter /golden/000 cannot be read: ssm:GetParameters: AccessDeniedException: x; SSM parameter /golden/001 cannot be read: ssm:GetParameters: AccessDeniedException: x; " +
			"nor can 498 more",
	} {
		var a asked
		evidence := collect(t.Context(), a.by(refusing(holding(t, files).Client(), "/", "AccessDeniedException")), candidates(1), source)
		if got := whys(evidence.Images[imageID(1)]); got != want {
			t.Errorf("%s\nwant\n%s", got, want)
		}
		if calls := len(a.forms["GetParameters"]); calls > n/10+60 {
			t.Errorf("%d calls", calls)
		}
	}
}

// Several launch templates that name the same parameter have a gap each. Many versions of one have
// one.
func TestGapsOfTemplates(t *testing.T) {
	const foreign = "resolve:ssm:arn:aws:ssm:eu-west-1:111122223333:parameter/golden"
	files := naming(foreign, foreign)
	versions := files["describe-launch-template-versions.json"].(object)["LaunchTemplateVersions"].([]object)
	for n := 2; n <= 9; n++ {
		versions = append(versions, object{
			"LaunchTemplateId": "lt-00000000000000002", "LaunchTemplateName": "web-2", "VersionNumber": n, "DefaultVersion": false,
			"LaunchTemplateData": object{"ImageId": foreign},
		})
	}
	files["describe-launch-template-versions.json"] = object{"LaunchTemplateVersions": versions}
	files["describe-launch-templates.json"].(object)["LaunchTemplates"].([]object)[1]["LatestVersionNumber"] = 9
	const want = "launch-templates: launch template lt-00000000000000001 (web-1), version 1, names SSM parameter arn:aws:ssm:eu-west-1:111122223333:parameter/golden, which is not shared with this account, or not there\n" +
		"launch-templates: launch template lt-00000000000000002 (web-2), version 9 and 8 more, names SSM parameter arn:aws:ssm:eu-west-1:111122223333:parameter/golden, which is not shared with this account, or not there"
	evidence := collect(t.Context(), holding(t, files).Client(), candidates(2), "launch-templates")
	for n := 1; n <= 2; n++ {
		if finding := evidence.Images[imageID(n)]; finding.Use != ami.Unknown || whys(finding) != want {
			t.Errorf("%s is %v; gaps:\n%s", imageID(n), finding.Use, whys(finding))
		}
	}
}

// What befalls all calls is said once, and not for each of the parameters.
func TestParametersThatNobodyAnswersFor(t *testing.T) {
	var images []string
	for i := range 100 {
		images = append(images, fmt.Sprintf("resolve:ssm:/golden/%03d", i))
	}
	account := holding(t, naming(images...))
	synctest.Test(t, func(t *testing.T) {
		doer := disturb.Fail(account.Client(), "GetParameters", nil, http.StatusInternalServerError, "InternalServerError", "x")
		if got := whys(collect(t.Context(), doer, candidates(1), "launch-templates").Images[imageID(1)]); got != "launch-templates: ssm:GetParameters: InternalServerError: x" {
			t.Error(got)
		}
	})
}

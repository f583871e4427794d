package wire_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// An answer of Systems Manager is a JSON object with the list that it is about. What is JSON and
// not that says nothing; the SDK would take it for an empty list.
func TestWhatIsNoJSONAnswerIsAnError(t *testing.T) {
	for name, body := range map[string]string{
		"an_empty_object":       `{}`,
		"null":                  `null`,
		"an_empty_list":         `[]`,
		"a_text":                `"Parameters"`,
		"a_number":              `1`,
		"another_list":          `{"Images": []}`,
		"no_list":               `{"Parameters": null}`,
		"an_object_for_a_list":  `{"Parameters": {}}`,
		"a_text_for_a_list":     `{"Parameters": "[]"}`,
		"in_lower_case":         `{"parameters": []}`,
		"inside_of_another":     `{"Result": {"Parameters": []}}`,
		"only_a_token":          `{"NextToken": "a"}`,
		"something_after_it":    `{"Parameters": []}<p>`,
		"another_object_behind": `{"Parameters": []}{}`,
		"an_error_with_200":     `{"__type": "InternalServerError", "message": "x"}`,
		"cut":                   `{"Parameters": []`,
		"xml":                   `<DescribeParametersResponse><Parameters/></DescribeParametersResponse>`,
	} {
		t.Run(name, func(t *testing.T) {
			for _, action := range []string{"DescribeParameters", "GetParameters"} {
				items, err := actions[action](t.Context(), client(answering(200, body)))
				if err == nil {
					t.Errorf("%s: %d items and no error", action, items)
					continue
				}
				isShort(t, wire.Explain(err))
			}
		})
	}
}

// An empty list is an answer, in each of the three protocols.
func TestAnEmptyListIsAnAnswer(t *testing.T) {
	for action, body := range map[string]string{
		"DescribeInstances": "<DescribeInstancesResponse><requestId>1</requestId><reservationSet/></DescribeInstancesResponse>",
		"DescribeLaunchConfigurations": "<DescribeLaunchConfigurationsResponse><DescribeLaunchConfigurationsResult><LaunchConfigurations/>" +
			"</DescribeLaunchConfigurationsResult></DescribeLaunchConfigurationsResponse>",
		"DescribeParameters": `{"Parameters":[]}`,
		"GetParameters":      "{\n  \"InvalidParameters\": [\"web\"],\n  \"Parameters\": [ ]\n}\n",
	} {
		if items, err := actions[action](t.Context(), client(answering(200, body))); err != nil || items != 0 {
			t.Errorf("%s: %d items, %v; want none", action, items, err)
		}
	}
}

// The value of a parameter is in no error, wherever an answer is cut and whatever comes first in
// it.
func TestNoValueIsInAnError(t *testing.T) {
	const secret = "Qx7"
	for _, body := range []string{
		`{"Parameters":[{"Value":"` + secret + `"}]}`, `{"Value":"` + secret + `"}`, `[{"Value":"` + secret + `"}]`, `{"` + secret + `":1}`,
		`{"Parameters":[{"Value":{"x":"` + secret + `"}}]}`,
		`{"Parameters":[{"Value":["` + secret + `"]}]}`,
	} {
		for length := range len(body) + 1 {
			_, err := actions["GetParameters"](t.Context(), client(answering(200, body[:length])))
			if err != nil && strings.Contains(err.Error(), secret) {
				t.Fatalf("%q: %v", body[:length], err)
			}
		}
	}
}

// changes are the calls that change something, and whose answers say whether it was done.
var changes = map[string]func(context.Context, *ec2.Client) error{
	"CreateTags": func(ctx context.Context, c *ec2.Client) error {
		_, err := c.CreateTags(ctx, &ec2.CreateTagsInput{Resources: []string{imageID}, Tags: []types.Tag{{Key: aws.String("k"), Value: aws.String("v")}}})
		return err
	},
	"DeleteTags": func(ctx context.Context, c *ec2.Client) error {
		_, err := c.DeleteTags(ctx, &ec2.DeleteTagsInput{Resources: []string{imageID}, Tags: []types.Tag{{Key: aws.String("k")}}})
		return err
	},
	"DisableImage": func(ctx context.Context, c *ec2.Client) error {
		_, err := c.DisableImage(ctx, &ec2.DisableImageInput{ImageId: aws.String(imageID)})
		return err
	},
	"EnableImage": func(ctx context.Context, c *ec2.Client) error {
		_, err := c.EnableImage(ctx, &ec2.EnableImageInput{ImageId: aws.String(imageID)})
		return err
	},
	"EnableImageDeprecation": func(ctx context.Context, c *ec2.Client) error {
		_, err := c.EnableImageDeprecation(ctx, &ec2.EnableImageDeprecationInput{
			ImageId: aws.String(imageID), DeprecateAt: aws.Time(time.Now().AddDate(1, 0, 0)),
		})
		return err
	},
	"DisableImageDeprecation": func(ctx context.Context, c *ec2.Client) error {
		_, err := c.DisableImageDeprecation(ctx, &ec2.DisableImageDeprecationInput{ImageId: aws.String(imageID)})
		return err
	},
	"CreateImageUsageReport": func(ctx context.Context, c *ec2.Client) error {
		_, err := c.CreateImageUsageReport(ctx, &ec2.CreateImageUsageReportInput{
			ImageId: aws.String(imageID), ResourceTypes: []types.ImageUsageResourceTypeRequest{{ResourceType: aws.String("ec2:Instance")}},
		})
		return err
	},
	"DeleteImageUsageReport": func(ctx context.Context, c *ec2.Client) error {
		_, err := c.DeleteImageUsageReport(ctx, &ec2.DeleteImageUsageReportInput{ReportId: aws.String("amiur-00000000000000001")})
		return err
	},
}

// A change is done only if EC2 says so: an answer without that, or with the opposite, is an error.
func TestAChangeThatIsNotConfirmed(t *testing.T) {
	for action, call := range changes {
		t.Run(action, func(t *testing.T) {
			for name, body := range map[string]string{
				"nothing":        "",
				"a_web_page":     "<html></html>",
				"not_a_word":     "<" + action + "Response/>",
				"no_result":      "<" + action + "Response><requestId>1</requestId></" + action + "Response>",
				"not_done":       "<" + action + "Response><requestId>1</requestId><return>false</return></" + action + "Response>",
				"not_to_its_end": "<" + action + "Response><requestId>1</requestId><return>true</return>",
			} {
				if err := call(t.Context(), client(answering(200, body)).ec2); err == nil {
					t.Errorf("%s: no error", name)
				}
			}
		})
	}
}

// What the emulated EC2 confirms is confirmed, in whatever order it is asked for.
func TestAChangeThatIsConfirmed(t *testing.T) {
	emulated := account(t)
	for _, action := range []string{
		"CreateTags", "DeleteTags", "EnableImageDeprecation", "DisableImageDeprecation", "DisableImage", "EnableImage",
		"CreateImageUsageReport", "DeleteImageUsageReport",
	} {
		if err := changes[action](t.Context(), client(emulated.Client()).ec2); err != nil {
			t.Errorf("%s: %v", action, err)
		}
	}
	if len(changes) != 8 {
		t.Errorf("%d changes are known, and eight were tried", len(changes))
	}
}

// The errors of Auto Scaling and Systems Manager, modelled in the SDK or not, are explained like
// those of EC2.
func TestExplainErrorsOfOtherServices(t *testing.T) {
	for name, test := range map[string]struct {
		action     string
		status     int
		code, says string
		want       string
	}{
		"auto_scaling_denied":    {"DescribeLaunchConfigurations", 403, "AccessDenied", "User: x is not authorized", "AccessDenied: User: x is not authorized"},
		"auto_scaling_modelled":  {"DescribeAutoScalingGroups", 400, "InvalidNextToken", "The token is invalid.", "InvalidNextToken: The token is invalid."},
		"auto_scaling_throttled": {"DescribeAutoScalingGroups", 400, "Throttling", "Rate exceeded", "Throttling: Rate exceeded"},
		"ssm_denied":             {"GetParameters", 400, "AccessDeniedException", "User: x is not authorized", "AccessDeniedException: User: x is not authorized"},
		"ssm_modelled":           {"DescribeParameters", 400, "InvalidNextToken", "The token is invalid.", "InvalidNextToken: The token is invalid."},
		"ssm_modelled_and_brief": {"DescribeParameters", 400, "InvalidFilterKey", "", "InvalidFilterKey"},
		"ssm_throttled":          {"GetParameters", 400, "ThrottlingException", "Rate exceeded", "ThrottlingException: Rate exceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tries := 0
				failing := disturb.Fail(account(t).Client(), test.action, func(n int, _ emulator.Request) bool {
					tries = n
					return true
				}, test.status, test.code, test.says)
				_, err := actions[test.action](t.Context(), client(failing))
				if got := wire.Explain(err); got != test.want {
					t.Errorf("explained as %q, want %q", got, test.want)
				}
				if got := wire.Code(err); got != test.code {
					t.Errorf("code %q, want %q", got, test.code)
				}
				want := 1
				if strings.Contains(test.code, "Throttling") {
					want = 8
				}
				if tries != want {
					t.Errorf("%d tries, want %d", tries, want)
				}
			})
		})
	}
}

// A refusal that is not AWS's own is named by its status, in each protocol.
func TestExplainWhatIsNoErrorOfAWS(t *testing.T) {
	for _, action := range []string{"DescribeImages", "DescribeLaunchConfigurations", "DescribeParameters"} {
		for name, body := range map[string]string{"a_web_page": "<html><body>Forbidden<br></body></html>", "nothing": "", "json": "{}", "cut": `{"__type": "Acc`} {
			_, err := actions[action](t.Context(), client(answering(http.StatusForbidden, body)))
			if got, want := wire.Explain(err), "HTTP status 403 and no error code of AWS"; got != want {
				t.Errorf("%s, %s: %q, want %q", action, name, got, want)
			}
		}
	}
}

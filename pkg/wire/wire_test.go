package wire_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	autoscalingtypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

const imageID = "ami-00000000000000001"

// account holds one image that is used and shared, its snapshot, and one of everything that can
// name an image.
func account(t *testing.T) *emulator.Account {
	t.Helper()
	files := fstest.MapFS{}
	for name, text := range map[string]string{
		"get-caller-identity.json": `{"Account": "123456789012", "Arn": "arn:aws:iam::123456789012:root"}`,
		"describe-images.json": `{"Images": [{"ImageId": "ami-00000000000000001", "Name": "a<b>&</DescribeImagesResponse>",
			"OwnerId": "123456789012", "State": "available", "BlockDeviceMappings": [{"Ebs": {"SnapshotId": "snap-00000000000000001"}}]}]}`,
		"describe-snapshots.json": `{"Snapshots": [{"SnapshotId": "snap-00000000000000001", "OwnerId": "123456789012", "VolumeSize": 8}]}`,
		"describe-instances.json": `{"Reservations": [{"Instances": [{"InstanceId": "i-00000000000000001",
			"ImageId": "ami-00000000000000001", "State": {"Name": "running"}}]}]}`,
		"describe-launch-permissions.json": `{"ami-00000000000000001": [{"UserId": "999999999999"}]}`,
		"describe-locked-snapshots.json":   `{"Snapshots": [{"SnapshotId": "snap-00000000000000001", "LockState": "governance"}]}`,
		"describe-launch-templates.json": `{"LaunchTemplates": [{"LaunchTemplateId": "lt-00000000000000001", "LaunchTemplateName": "web",
			"DefaultVersionNumber": 1, "LatestVersionNumber": 1}]}`,
		"describe-launch-template-versions.json": `{"LaunchTemplateVersions": [{"LaunchTemplateId": "lt-00000000000000001",
			"LaunchTemplateName": "web", "VersionNumber": 1, "DefaultVersion": true, "LaunchTemplateData": {"ImageId": "resolve:ssm:web"}}]}`,
		"describe-fleets.json":                 `{"Fleets": [{"FleetId": "fleet-12a34b55-67cd-8ef9-ba9b-9208dEXAMPLE", "Type": "maintain"}]}`,
		"describe-spot-fleet-requests.json":    `{"SpotFleetRequestConfigs": [{"SpotFleetRequestId": "sfr-73fbd2ce-aa30-494c-8788-1cee4EXAMPLE"}]}`,
		"describe-spot-instance-requests.json": `{"SpotInstanceRequests": [{"SpotInstanceRequestId": "sir-08b93456"}]}`,
		"describe-fast-launch-images.json":     `{"FastLaunchImages": [{"ImageId": "ami-00000000000000001"}]}`,
		"describe-fast-snapshot-restores.json": `{"FastSnapshotRestores": [{"SnapshotId": "snap-00000000000000001", "State": "enabled"}]}`,
		"describe-launch-configurations.json":  `{"LaunchConfigurations": [{"LaunchConfigurationName": "web"}]}`,
		"describe-auto-scaling-groups.json":    `{"AutoScalingGroups": [{"AutoScalingGroupName": "web"}]}`,
		"get-parameters.json":                  `{"Parameters": [{"Name": "web", "Type": "String", "Value": "ami-00000000000000001 {\"Parameters\": []}"}]}`,
		"describe-image-usage-reports.json":    `{"ImageUsageReports": [{"ReportId": "amiur-00000000000000001", "ImageId": "ami-00000000000000001", "State": "available"}]}`,
		"describe-image-usage-report-entries.json": `{"ImageUsageReportEntries": [{"ReportId": "amiur-00000000000000001",
			"ImageId": "ami-00000000000000001", "AccountId": "999999999999", "UsageCount": 1}]}`,
	} {
		files[name] = &fstest.MapFile{Data: []byte(text)}
	}
	account, err := emulator.Load(files, emulator.Options{Region: "eu-west-1", Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return account
}

// clients are the clients of one region.
type clients struct {
	ec2         *ec2.Client
	autoScaling *autoscaling.Client
	ssm         *ssm.Client
}

func client(doer emulator.Doer) clients {
	config := aws.Config{
		HTTPClient: doer,
		Region:     "us-east-1",
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "secret"}, nil
		}),
	}
	return clients{wire.EC2(config, "eu-west-1"), wire.AutoScaling(config, "eu-west-1"), wire.SSM(config, "eu-west-1")}
}

// action is a call with an answer that holds something, which an answer that was cut would not.
type action func(context.Context, clients) (items int, err error)

// of makes an action of an operation of a client.
func of[Client, In, Out, Item, Option any](
	pick func(clients) Client, call func(Client, context.Context, *In, ...func(*Option)) (*Out, error), input *In, list func(*Out) []Item,
) action {
	return func(ctx context.Context, c clients) (int, error) {
		out, err := call(pick(c), ctx, input)
		if err != nil {
			return 0, err
		}
		return len(list(out)), nil
	}
}

func ofEC2(c clients) *ec2.Client                 { return c.ec2 }
func ofAutoScaling(c clients) *autoscaling.Client { return c.autoScaling }
func ofSSM(c clients) *ssm.Client                 { return c.ssm }

var actions = map[string]action{
	"DescribeImages": of(ofEC2, (*ec2.Client).DescribeImages, &ec2.DescribeImagesInput{Owners: []string{"self"}},
		func(o *ec2.DescribeImagesOutput) []types.Image { return o.Images }),
	"DescribeSnapshots": of(ofEC2, (*ec2.Client).DescribeSnapshots, &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}},
		func(o *ec2.DescribeSnapshotsOutput) []types.Snapshot { return o.Snapshots }),
	"DescribeLockedSnapshots": of(ofEC2, (*ec2.Client).DescribeLockedSnapshots, &ec2.DescribeLockedSnapshotsInput{},
		func(o *ec2.DescribeLockedSnapshotsOutput) []types.LockedSnapshotsInfo { return o.Snapshots }),
	"DescribeRegions": of(ofEC2, (*ec2.Client).DescribeRegions, &ec2.DescribeRegionsInput{},
		func(o *ec2.DescribeRegionsOutput) []types.Region { return o.Regions }),
	"DescribeImageReferences": of(ofEC2, (*ec2.Client).DescribeImageReferences,
		&ec2.DescribeImageReferencesInput{ImageIds: []string{imageID}, ResourceTypes: []types.ResourceTypeRequest{{ResourceType: "ec2:Instance"}}},
		func(o *ec2.DescribeImageReferencesOutput) []types.ImageReference { return o.ImageReferences }),
	"DescribeImageAttribute": of(ofEC2, (*ec2.Client).DescribeImageAttribute,
		&ec2.DescribeImageAttributeInput{ImageId: aws.String(imageID), Attribute: types.ImageAttributeNameLaunchPermission},
		func(o *ec2.DescribeImageAttributeOutput) []types.LaunchPermission { return o.LaunchPermissions }),
	"DescribeInstances": of(ofEC2, (*ec2.Client).DescribeInstances, &ec2.DescribeInstancesInput{},
		func(o *ec2.DescribeInstancesOutput) []types.Reservation { return o.Reservations }),
	"DescribeLaunchTemplates": of(ofEC2, (*ec2.Client).DescribeLaunchTemplates, &ec2.DescribeLaunchTemplatesInput{},
		func(o *ec2.DescribeLaunchTemplatesOutput) []types.LaunchTemplate { return o.LaunchTemplates }),
	"DescribeLaunchTemplateVersions": of(ofEC2, (*ec2.Client).DescribeLaunchTemplateVersions,
		&ec2.DescribeLaunchTemplateVersionsInput{Versions: []string{"$Latest"}},
		func(o *ec2.DescribeLaunchTemplateVersionsOutput) []types.LaunchTemplateVersion {
			return o.LaunchTemplateVersions
		}),
	"DescribeFleets": of(ofEC2, (*ec2.Client).DescribeFleets, &ec2.DescribeFleetsInput{},
		func(o *ec2.DescribeFleetsOutput) []types.FleetData { return o.Fleets }),
	"DescribeSpotFleetRequests": of(ofEC2, (*ec2.Client).DescribeSpotFleetRequests, &ec2.DescribeSpotFleetRequestsInput{},
		func(o *ec2.DescribeSpotFleetRequestsOutput) []types.SpotFleetRequestConfig {
			return o.SpotFleetRequestConfigs
		}),
	"DescribeSpotInstanceRequests": of(ofEC2, (*ec2.Client).DescribeSpotInstanceRequests, &ec2.DescribeSpotInstanceRequestsInput{},
		func(o *ec2.DescribeSpotInstanceRequestsOutput) []types.SpotInstanceRequest {
			return o.SpotInstanceRequests
		}),
	"DescribeFastLaunchImages": of(ofEC2, (*ec2.Client).DescribeFastLaunchImages, &ec2.DescribeFastLaunchImagesInput{},
		func(o *ec2.DescribeFastLaunchImagesOutput) []types.DescribeFastLaunchImagesSuccessItem {
			return o.FastLaunchImages
		}),
	"DescribeFastSnapshotRestores": of(ofEC2, (*ec2.Client).DescribeFastSnapshotRestores, &ec2.DescribeFastSnapshotRestoresInput{},
		func(o *ec2.DescribeFastSnapshotRestoresOutput) []types.DescribeFastSnapshotRestoreSuccessItem {
			return o.FastSnapshotRestores
		}),
	"DescribeImageUsageReports": of(ofEC2, (*ec2.Client).DescribeImageUsageReports, &ec2.DescribeImageUsageReportsInput{},
		func(o *ec2.DescribeImageUsageReportsOutput) []types.ImageUsageReport { return o.ImageUsageReports }),
	"DescribeImageUsageReportEntries": of(ofEC2, (*ec2.Client).DescribeImageUsageReportEntries, &ec2.DescribeImageUsageReportEntriesInput{},
		func(o *ec2.DescribeImageUsageReportEntriesOutput) []types.ImageUsageReportEntry {
			return o.ImageUsageReportEntries
		}),
	"DescribeLaunchConfigurations": of(ofAutoScaling, (*autoscaling.Client).DescribeLaunchConfigurations,
		&autoscaling.DescribeLaunchConfigurationsInput{},
		func(o *autoscaling.DescribeLaunchConfigurationsOutput) []autoscalingtypes.LaunchConfiguration {
			return o.LaunchConfigurations
		}),
	"DescribeAutoScalingGroups": of(ofAutoScaling, (*autoscaling.Client).DescribeAutoScalingGroups, &autoscaling.DescribeAutoScalingGroupsInput{},
		func(o *autoscaling.DescribeAutoScalingGroupsOutput) []autoscalingtypes.AutoScalingGroup {
			return o.AutoScalingGroups
		}),
	"DescribeParameters": of(ofSSM, (*ssm.Client).DescribeParameters, &ssm.DescribeParametersInput{},
		func(o *ssm.DescribeParametersOutput) []ssmtypes.ParameterMetadata { return o.Parameters }),
	"GetParameters": of(ofSSM, (*ssm.Client).GetParameters, &ssm.GetParametersInput{Names: []string{"web"}},
		func(o *ssm.GetParametersOutput) []ssmtypes.Parameter { return o.Parameters }),
}

// answering gives every request the same body with status 200.
func answering(status int, body string) emulator.Doer {
	return emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
		return &http.Response{
			StatusCode: status, Header: http.Header{"Content-Type": {"text/xml"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r,
		}, nil
	})
}

// complete returns what an account answers to a call.
func complete(t *testing.T, call action) string {
	t.Helper()
	next := account(t).Client()
	var body []byte
	items, err := call(t.Context(), client(emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
		response, err := next.Do(r)
		if err != nil {
			return nil, err
		}
		body, err = io.ReadAll(response.Body)
		response.Body = io.NopCloser(bytes.NewReader(body))
		return response, err
	})))
	if err != nil || items != 1 {
		t.Fatalf("%d items, %v; want 1", items, err)
	}
	return string(body)
}

// An answer that is cut, at whatever byte, is an error and never a shorter list: an empty list of
// references would say that nothing uses the image.
func TestNoCutAnswerIsAShorterList(t *testing.T) {
	for name, call := range actions {
		t.Run(name, func(t *testing.T) {
			body := complete(t, call)
			synctest.Test(t, func(t *testing.T) {
				for length := range len(body) {
					if items, err := call(t.Context(), client(answering(200, body[:length]))); err == nil {
						t.Fatalf("cut after %d of %d bytes: %d items and no error; it ends with %q",
							length, len(body), items, body[max(0, length-30):length])
					}
				}
			})
		})
	}
}

// An answer with a piece out of its middle is an error or a whole list, never a shorter one.
func TestNoAnswerWithAHoleIsAShorterList(t *testing.T) {
	for name, call := range actions {
		t.Run(name, func(t *testing.T) {
			body := complete(t, call)
			synctest.Test(t, func(t *testing.T) {
				for at := 0; at < len(body); at += 3 {
					for _, size := range []int{1, 40, 200} {
						holed := body[:at] + body[min(at+size, len(body)):]
						items, err := call(t.Context(), client(answering(200, holed)))
						if err == nil && items != 1 && (wellFormed(holed) == nil || json.Valid([]byte(holed))) {
							continue // A whole element is missing; no client can see that.
						}
						if err == nil && items != 1 {
							t.Fatalf("without %d bytes from %d: %d items and no error:\n%s", size, at, items, holed)
						}
					}
				}
			})
		})
	}
}

// wellFormed says why a text is not whole XML; nil if it is.
func wellFormed(text string) error {
	decoder := xml.NewDecoder(strings.NewReader(text))
	for {
		_, err := decoder.Token()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

func TestWhatIsNoAnswerIsAnError(t *testing.T) {
	for name, test := range map[string]struct {
		status int
		body   string
	}{
		"no_body":                       {200, ""},
		"blanks":                        {200, " \r\n\t"},
		"a_null_byte":                   {200, "\x00"},
		"only_the_xml_declaration":      {200, `<?xml version="1.0" encoding="UTF-8"?>`},
		"an_html_page":                  {200, "<!DOCTYPE html><html><body>Please sign in<br></body></html>"},
		"xhtml":                         {200, `<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><body/></html>`},
		"json":                          {200, `{"Images": []}`},
		"no_content":                    {204, ""},
		"accepted_and_nothing_said":     {202, ""},
		"the_answer_to_another_action":  {200, "<DescribeVolumesResponse></DescribeVolumesResponse>"},
		"an_error_document_with_200":    {200, "<Response><Errors><Error><Code>InternalError</Code><Message>x</Message></Error></Errors></Response>"},
		"a_redirect":                    {302, ""},
		"not_found_with_a_web_page":     {404, "<html><body>404</body></html>"},
		"forbidden_with_a_web_page":     {403, "<html><body>Forbidden by your company's proxy<br></body></html>"},
		"unavailable_with_a_web_page":   {503, "<html><body>503</body></html>"},
		"unavailable_and_nothing_said":  {503, ""},
		"an_informal_status_and_no_xml": {299, "ok"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for action, call := range actions {
					items, err := call(t.Context(), client(answering(test.status, test.body)))
					if err == nil {
						t.Errorf("%s: %d items and no error", action, items)
						continue
					}
					isShort(t, wire.Explain(err))
				}
			})
		})
	}
}

// An answer that lacks its list altogether does not say that the list is empty.
func TestAnAnswerWithoutItsListIsAnError(t *testing.T) {
	for action, call := range actions {
		t.Run(action, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for _, body := range []string{
					"<" + action + "Response><requestId>1</requestId></" + action + "Response>",
					// As Auto Scaling has it.
					"<" + action + "Response><" + action + "Result></" + action + "Result></" + action + "Response>",
					`{"NextToken": "a"}`,
				} {
					if items, err := call(t.Context(), client(answering(200, body))); err == nil {
						t.Errorf("%d items and no error of %s", items, body)
					}
				}
			})
		})
	}
}

// The beginning alone does not make a whole answer, nor does the end.
func TestBothEndsOfAnAnswerCount(t *testing.T) {
	for action, call := range actions {
		for name, body := range map[string]string{
			"an_element_without_content":  "<" + action + "Response/>",
			"something_after_the_answer":  "<" + action + "Response></" + action + "Response><p>",
			"another_answer_after_it":     "<" + action + "Response></" + action + "Response><DescribeVolumesResponse></DescribeVolumesResponse>",
			"a_page_that_quotes_the_end":  "<html></html><!-- </" + action + "Response>",
			"the_end_of_another_as_well":  "<DescribeVolumesResponse></DescribeVolumesResponse></" + action + "Response>",
			"the_beginning_after_a_while": "<!--" + strings.Repeat(" ", 1000) + "--><" + action + "Response></" + action + "Response>",
		} {
			t.Run(action+"/"+name, func(t *testing.T) {
				if items, err := call(t.Context(), client(answering(200, body))); err == nil {
					t.Errorf("%d items and no error", items)
				}
			})
		}
	}
}

// A web page with status 200, as a proxy on the way might send it, is named as what it is.
func TestAGarbledAnswerIsAnError(t *testing.T) {
	for action, call := range actions {
		t.Run(action, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				items, err := call(t.Context(), client(disturb.Garble(account(t).Client(), action, nil)))
				if err == nil {
					t.Fatalf("%d items and no error", items)
				}
				want := "not a complete answer to " + action + `: it begins with "<!DOCTYPE html><html><head><title>Welcom"`
				if got := wire.Explain(err); got != want {
					t.Errorf("got %s, want %s", got, want)
				}
			})
		})
	}
}

// A connection that breaks in the middle of a body is an error, whatever had come until then.
func TestABrokenConnectionIsAnError(t *testing.T) {
	for action, call := range actions {
		t.Run(action, func(t *testing.T) {
			body := complete(t, call)
			synctest.Test(t, func(t *testing.T) {
				for _, length := range []int{0, len(body) / 2, len(body)} {
					items, err := call(t.Context(), client(emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
						broken := io.MultiReader(strings.NewReader(body[:length]), iotest.ErrReader(io.ErrUnexpectedEOF))
						return &http.Response{StatusCode: 200, Body: io.NopCloser(broken), Request: r}, nil
					})))
					if err == nil {
						t.Fatalf("after %d of %d bytes: %d items and no error", length, len(body), items)
					}
					if got := wire.Explain(err); got != "unexpected EOF" {
						t.Errorf("after %d of %d bytes: %s", length, len(body), got)
					}
				}
			})
		})
	}
}

// White space after the answer, and a long beginning, are no fault.
func TestACompleteAnswerIsAnAnswer(t *testing.T) {
	for action, call := range actions {
		body := complete(t, call)
		for _, variant := range []string{body, body + "\n", body + " \r\n\t", strings.Replace(body, "?>", "?>\n\n", 1)} {
			if items, err := call(t.Context(), client(answering(200, variant))); err != nil || items != 1 {
				t.Errorf("%s: %d items, %v; want 1 of %q", action, items, err, variant)
			}
		}
	}
}

// EC2 is asked in the region that was named, not in the one of the configuration.
func TestRegion(t *testing.T) {
	emulated := account(t)
	if _, err := actions["DescribeImages"](t.Context(), client(emulated.Client())); err != nil {
		t.Fatal(err)
	}
	if calls := emulated.Calls(); len(calls) != 1 || calls[0].Region != "eu-west-1" {
		t.Errorf("calls %+v, want one to eu-west-1", calls)
	}
}

// A throttled request is tried eight times, with pauses; the last refusal is what is reported.
func TestRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		emulated := account(t)
		tries := 0
		throttled := disturb.Fail(emulated.Client(), "DescribeImages", func(n int, _ emulator.Request) bool {
			tries = n
			return n <= 7
		}, http.StatusServiceUnavailable, "RequestLimitExceeded", "Request limit exceeded.")
		began := time.Now()
		if items, err := actions["DescribeImages"](t.Context(), client(throttled)); err != nil || items != 1 {
			t.Errorf("throttled seven times: %d items, %v", items, err)
		}
		if tries != 8 || time.Since(began) > 7*20*time.Second {
			t.Errorf("%d tries in %s", tries, time.Since(began))
		}
		always := disturb.Fail(emulated.Client(), "DescribeImages", func(n int, _ emulator.Request) bool {
			tries = n
			return true
		}, http.StatusServiceUnavailable, "RequestLimitExceeded", "Request limit exceeded.")
		_, err := actions["DescribeImages"](t.Context(), client(always))
		if got, want := wire.Explain(err), "RequestLimitExceeded: Request limit exceeded."; got != want || tries != 8 {
			t.Errorf("throttled for ever: %s after %d tries, want %s", got, tries, want)
		}
	})
}

// The budget of retries that the SDK keeps by default must not run dry: it would make every further
// throttling final.
func TestRetriesDoNotRunOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		throttled := disturb.Fail(account(t).Client(), "DescribeImages", func(n int, _ emulator.Request) bool { return n%4 != 0 },
			http.StatusServiceUnavailable, "RequestLimitExceeded", "Request limit exceeded.")
		c := client(throttled)
		for n := range 200 {
			if _, err := actions["DescribeImages"](t.Context(), c); err != nil {
				t.Fatalf("call %d: %s", n, wire.Explain(err))
			}
		}
	})
}

// A denial is final, and tried once.
func TestADenialIsNotRetried(t *testing.T) {
	emulated := account(t)
	tries := 0
	counted := emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
		tries++
		return disturb.Deny(emulated.Client(), "DescribeImages").Do(r)
	})
	_, err := actions["DescribeImages"](t.Context(), client(counted))
	if got, want := wire.Explain(err), "UnauthorizedOperation: You are not authorized to perform this operation."; got != want || tries != 1 {
		t.Errorf("%s after %d tries, want %s", got, tries, want)
	}
	if wire.Code(err) != "UnauthorizedOperation" {
		t.Errorf("code %q", wire.Code(err))
	}
}

var requestID = regexp.MustCompile(`(?i)request ?id|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

// isShort checks an explanation: one short line, free of request ids, and not nothing.
func isShort(t *testing.T, text string) {
	t.Helper()
	switch {
	case text == "" || strings.TrimSpace(text) != text || strings.HasSuffix(text, ":"):
		t.Errorf("%q is no phrase", text)
	case len(text) > 200 || strings.Contains(text, "\n"):
		t.Errorf("%q is not short", text)
	case requestID.MatchString(text):
		t.Errorf("%q holds a request id", text)
	}
}

func TestExplain(t *testing.T) {
	for name, test := range map[string]struct {
		doer func(emulator.Doer) emulator.Doer
		want string
	}{
		"denied": {
			func(d emulator.Doer) emulator.Doer { return disturb.Deny(d, "DescribeImages") },
			"UnauthorizedOperation: You are not authorized to perform this operation.",
		},
		"denied_with_an_encoded_message": {
			func(d emulator.Doer) emulator.Doer {
				return disturb.Fail(d, "DescribeImages", nil, 403, "UnauthorizedOperation",
					"You are not authorized to perform this operation. User: arn:aws:sts::1:assumed-role/x/y is not authorized. "+
						"Encoded authorization failure message: 4GIOHlTkIaWHQD0Q0m6XSnuUMCm")
			},
			"UnauthorizedOperation: You are not authorized to perform this operation. User: arn:aws:sts::1:assumed-role/x/y is not authorized.",
		},
		"throttled": {
			func(d emulator.Doer) emulator.Doer {
				return disturb.Fail(d, "DescribeImages", nil, 503, "RequestLimitExceeded", "Request limit exceeded.")
			},
			"RequestLimitExceeded: Request limit exceeded.",
		},
		"an_error_without_a_message": {
			func(d emulator.Doer) emulator.Doer {
				return disturb.Fail(d, "DescribeImages", nil, 400, "InvalidParameterValue", "")
			},
			"InvalidParameterValue: UnknownError",
		},
		"a_message_of_several_lines": {
			func(d emulator.Doer) emulator.Doer {
				return disturb.Fail(d, "DescribeImages", nil, 400, "Blocked", "one\n  two\r\nthree")
			},
			"Blocked: one two three",
		},
		"lost": {
			func(d emulator.Doer) emulator.Doer { return disturb.LoseAnswer(d, "DescribeImages", nil) },
			"connection reset by peer",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				emulated := account(t)
				for range 3 { // Each has other request ids.
					_, err := actions["DescribeImages"](t.Context(), client(test.doer(emulated.Client())))
					got := wire.Explain(err)
					isShort(t, got)
					if got != test.want {
						t.Errorf("got %q, want %q", got, test.want)
					}
				}
			})
		})
	}
}

func TestExplainTheEndOfTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		throttled := disturb.Fail(account(t).Client(), "DescribeImages", nil, 503, "RequestLimitExceeded", "Request limit exceeded.")
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, err := actions["DescribeImages"](ctx, client(throttled))
		if got := wire.Explain(err); got != "time ran out" {
			t.Errorf("out of time while throttled: %q", got)
		}
		ctx, stop := context.WithCancel(t.Context())
		stop()
		_, err = actions["DescribeImages"](ctx, client(account(t).Client()))
		if got := wire.Explain(err); got != "interrupted" {
			t.Errorf("interrupted: %q", got)
		}
	})
}

// slowConnection is the error of a connection that nobody took up.
func slowConnection() error {
	_, err := net.DialTimeout("tcp", "192.0.2.1:443", time.Nanosecond)
	return err
}

// An error is an answer of AWS if it has a code. The SDK's substitute for a missing code does not
// count.
func TestAnswered(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		want bool
	}{
		"refused":           {fmt.Errorf("outer: %w", &smithy.GenericAPIError{Code: "UnauthorizedOperation"}), true},
		"throttled":         {&smithy.GenericAPIError{Code: "RequestLimitExceeded"}, true},
		"without_a_code":    {&smithy.GenericAPIError{Message: "Bad Gateway"}, false},
		"of_unknown_origin": {&smithy.GenericAPIError{Code: "UnknownError"}, false},
		"lost":              {errors.New("connection reset by peer"), false},
		"out_of_time":       {context.DeadlineExceeded, false},
	} {
		if got := wire.Answered(test.err); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// Errors that do not come from the SDK are explained too.
func TestExplainOtherErrors(t *testing.T) {
	api := &smithy.GenericAPIError{Code: "Throttling", Message: "slow down"}
	for name, test := range map[string]struct {
		err        error
		want, code string
	}{
		"plain":                {errors.New("no"), "no", ""},
		"wrapped":              {fmt.Errorf("outer: %w", fmt.Errorf("inner: %w", errors.New("no"))), "no", ""},
		"an_answer_of_aws":     {fmt.Errorf("outer: %w", api), "Throttling: slow down", "Throttling"},
		"an_answer_among_two":  {errors.Join(errors.New("no"), api), "Throttling: slow down", "Throttling"},
		"joined":               {fmt.Errorf("outer: %w", errors.Join(errors.New("a"), errors.New("b"))), "a b", ""},
		"deadline":             {fmt.Errorf("outer: %w", context.DeadlineExceeded), "time ran out", ""},
		"interrupted":          {fmt.Errorf("outer: %w", context.Canceled), "interrupted", ""},
		"a_slow_connection":    {fmt.Errorf("outer: %w", slowConnection()), "i/o timeout", ""},
		"nothing_but_a_prefix": {fmt.Errorf("outer"), "outer", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := wire.Explain(test.err); got != test.want {
				t.Errorf("explained as %q, want %q", got, test.want)
			}
			if got := wire.Code(test.err); got != test.code {
				t.Errorf("code %q, want %q", got, test.code)
			}
		})
	}
}

package emulator_test

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/emulator/sample"
)

// answers sends a request and wants a well-formed answer. The body of a request to SSM begins with
// the action.
func answers(t *testing.T, a *emulator.Account, service, body string) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	if service != "" {
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=K/20261123/us-east-1/"+service+"/aws4_request, Signature=0")
	}
	if service == "ssm" {
		action, body, _ := strings.Cut(body, " ")
		r.Header.Set("X-Amz-Target", "AmazonSSM."+action)
		r.Body = io.NopCloser(strings.NewReader(body))
	}
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	if w.Code < 200 || w.Code >= 500 {
		t.Errorf("status %d", w.Code)
	}
	if service == "ssm" {
		if !json.Valid(w.Body.Bytes()) {
			t.Fatalf("%s", w.Body)
		}
		return
	}
	d := xml.NewDecoder(w.Body)
	for {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("%v in %s", err, w.Body)
		}
	}
}

// Whatever is in the account, the answer is well-formed.
func TestAnswersAreWellFormed(t *testing.T) {
	a := load(t, directory("describe-images.json", `{"Images": [{"ImageId": "ami-00000001", "Name": "]]>\u0000\u001f\uffff<!--", "<x>": 1, "a b": 2, "": 3, "é": 4,
		"1": 5, "List": [[1], null, true, {"x": []}], "Tags": [{"Key": "</item>", "Value": "&"}], "Snapshots": 1.0e-5}]}`))
	for _, body := range []string{"Action=DescribeImages", "Action=</x>", "Action=DescribeImages&</x>=1", "Action=DescribeImages&ImageId.1=</x>%00"} {
		answers(t, a, "ec2", body)
	}
}

func FuzzServeHTTP(f *testing.F) {
	for _, body := range []string{
		"Action=DescribeImages&MaxResults=5&NextToken=RGVzY3JpYmVJbWFnZXMgNSB0cnVl", "Action=DescribeImages&Filter.1.Name=name&Filter.1.Value.1=*%5C",
		"Action=DeregisterImage&ImageId=ami-0ec0ffeee9243ad26&DeleteAssociatedSnapshots=true", "Action=DescribeSnapshots&Owner.1=self",
		"Action=DescribeImageReferences&ImageId.1=ami-1&IncludeAllResourceTypes=true", "Action=DescribeInstances&Filter.1.Name=image-id&Filter.1.Value.1=a",
		"Action=DescribeLaunchTemplateVersions&LaunchTemplateVersion.1=$Latest&ResolveAlias=true", "Action=CreateTags&ResourceId.1=ami-1&Tag.1.Key=a",
		"Action=Publish&TopicArn=" + topic + "&Message=m&Subject=s", "Action=GetCallerIdentity", "Action=%00<>&Version=2010-03-31", "%", "",
		"Action=CreateImageUsageReport&ImageId=ami-1&ResourceType.1.ResourceType=ec2:LaunchTemplate&ResourceType.1.ResourceTypeOption.1.OptionName=version-depth",
		"Action=EnableImageDeprecation&ImageId=ami-1&DeprecateAt=1e300", "Action=DescribeAutoScalingGroups&AutoScalingGroupNames.member.1=a&MaxRecords=1",
		`DescribeParameters {"ParameterFilters": [{"Key": "Name", "Option": "Contains", "Values": ["a", null]}], "MaxResults": 3}`,
		`GetParameters {"Names": ["arn:x:parameter/:", ":", " :1"], "WithDecryption": "yes"}`, `GetParameters {"Names": {"": [[1]], "1": {}}}`,
		"Action=DescribeImages&Filter.99999999999999999999.Name=x&Filter.-1.Value=y&Owner=.&Owner..1=2",
	} {
		for _, service := range []string{"ec2", "autoscaling", "sns", "ssm", "sts", ""} {
			f.Add(service, body)
		}
	}
	a := load(f, sample.Files(now, "us-east-1"))
	f.Fuzz(func(t *testing.T, service, body string) {
		answers(t, a, service, body)
	})
}

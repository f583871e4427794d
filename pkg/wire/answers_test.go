package wire

import (
	"context"
	"io"
	"maps"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/rbin"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/google/go-cmp/cmp"
)

// Every answer that is expected is in docs/answers.md, with where that comes from, and no other is.
func TestEveryExpectationHasItsSource(t *testing.T) {
	page, err := os.ReadFile("../../docs/answers.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([A-Za-z:]+)` \\| `([^`]+)` \\| (.*) \\|$").FindAllStringSubmatch(string(page), -1) {
		if _, twice := listed[row[1]]; twice || strings.TrimSpace(row[3]) == "" {
			t.Errorf("%s: twice %v, source %q", row[1], twice, row[3])
		}
		listed[row[1]] = row[2]
	}
	if diff := cmp.Diff(maps.Clone(content), listed); diff != "" {
		t.Errorf("pkg/wire expects (-), docs/answers.md says (+):\n%s", diff)
	}
}

type answer string

func (a answer) Do(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(string(a))), Request: r}, nil
}

// What a whole answer lacks is said in words that somebody can report: who answered what, and
// without what.
func TestAnAnswerThatLacksSomething(t *testing.T) {
	config := func(body string) aws.Config {
		return aws.Config{HTTPClient: answer(body), Region: "us-east-1", Credentials: aws.AnonymousCredentials{}}
	}
	ctx := context.Background()
	for want, call := range map[string]func() error{
		"EC2 answered DescribeFleets without <fleetSet>": func() error {
			_, err := EC2(config("<DescribeFleetsResponse><requestId>1</requestId></DescribeFleetsResponse>"), "us-east-1").DescribeFleets(ctx, &ec2.DescribeFleetsInput{})
			return err
		},
		"EC2 answered EnableImage without <return>true</return>": func() error {
			_, err := EC2(config("<EnableImageResponse><requestId>1</requestId></EnableImageResponse>"), "us-east-1").EnableImage(ctx, &ec2.EnableImageInput{ImageId: aws.String("ami-0123456789example")})
			return err
		},
		"Auto Scaling answered DescribeAutoScalingGroups without <AutoScalingGroups>": func() error {
			_, err := AutoScaling(config("<DescribeAutoScalingGroupsResponse></DescribeAutoScalingGroupsResponse>"), "us-east-1").DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{})
			return err
		},
		`Systems Manager answered DescribeParameters without "Parameters"`: func() error {
			_, err := SSM(config(`{"NextToken": "x"}`), "us-east-1").DescribeParameters(ctx, &ssm.DescribeParametersInput{})
			return err
		},
		`Recycle Bin answered ListRules without "Rules"`: func() error {
			_, err := RecycleBin(config(`{}`), "us-east-1").ListRules(ctx, &rbin.ListRulesInput{ResourceType: "EC2_IMAGE"})
			return err
		},
		`not a complete answer to DescribeFleets: it begins with "<DescribeFleetsResponse><fleetSet/>"`: func() error {
			_, err := EC2(config("<DescribeFleetsResponse><fleetSet/>"), "us-east-1").DescribeFleets(ctx, &ec2.DescribeFleetsInput{})
			return err
		},
		`not a complete answer to ListRules: it begins with "{"`: func() error {
			_, err := RecycleBin(config(`{"Rules": null}`), "us-east-1").ListRules(ctx, &rbin.ListRulesInput{ResourceType: "EC2_IMAGE"})
			return err
		},
	} {
		err := call()
		if err == nil {
			t.Errorf("no error, want %q", want)
		} else if got := Explain(err); got != want || ExplainLookup(err) != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

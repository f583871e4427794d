package usage_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/ami-janitor/ami-janitor/internal/testaccount"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/usage"
)

// The texts of SSM, S3 and CloudFormation name snapshots by their ids, in any case of letters, but
// only if that is wanted. What cannot be read is a gap of each snapshot.
func TestSnapshotsInText(t *testing.T) {
	const inParameter, inObject, inStack, inNone = "snap-0123456789abcdef0", "snap-0123456789abcdef1", "snap-0123456789abcdef2", "snap-0123456789abcdef3"
	account := inBuckets(t, map[string]string{"states/a.tfstate": `{"snapshot_ids": ["snap-0fedcba9876543210", "SNAP-0123456789ABCDEF1"], "ami": "ami-0123456789abcdef0"}`})
	objects, err := usage.ParseTextObjects("s3://states/a")
	if err != nil {
		t.Fatal(err)
	}
	doer := textAnswers{
		"DescribeParameters": `{"Parameters": [{"Name": "notes", "Type": "String"}]}`,
		"GetParameters":      `{"Parameters": [{"Name": "notes", "Type": "String", "Value": "xsnap-0fedcba9876543210SNAP-0123456789ABCDEF0y"}]}`,
		"DescribeStacks": `<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackName>s</StackName><StackStatus>CREATE_COMPLETE</StackStatus>` +
			`<Parameters><member><ParameterKey>k</ParameterKey><ParameterValue>snap-0fedcba9876543210,` + inStack + `</ParameterValue></member></Parameters></member></Stacks></DescribeStacksResult></DescribeStacksResponse>`,
	}.over(account.Client())
	for _, wanted := range []bool{true, false} {
		asked := lookup(nil, "ssm-text", usage.S3TextSource, "cloudformation")
		asked.StackTemplates = false
		asked.Snapshots, asked.SnapshotsInText = []string{inParameter, inObject, inStack, inNone}, wanted
		asked.Texts = usage.NewTexts(t.Context(), testaccount.Config(doer), []usage.TextObjects{objects}, wanted)
		found := usage.List(context.Background(), clients(doer), asked).Evidence()
		for id, source := range map[string]string{inParameter: "ssm-text", inObject: usage.S3TextSource, inStack: "cloudformation", inNone: ""} {
			finding := found.Snapshots[id]
			if isNamed := len(finding.References) == 1 && finding.References[0].Source == source; isNamed != (wanted && source != "") || len(finding.References) > 1 || !finding.LookedUp || len(finding.Gaps) > 0 {
				t.Errorf("wanted %v: %s: %+v", wanted, id, finding)
			}
		}
	}
}

// textAnswers are answers, by action.
type textAnswers map[string]string

func (a textAnswers) over(next emulator.Doer) emulator.Doer {
	return emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
		q, err := emulator.Inspect(r)
		if err != nil {
			return nil, err
		}
		text, ok := a[q.Action]
		if !ok {
			return next.Do(r)
		}
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(text)), Request: r}, nil
	})
}

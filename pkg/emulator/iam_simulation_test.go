package emulator_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/smithy-go"

	"github.com/ami-janitor/ami-janitor/internal/testaccount"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
)

// TestSimulatePrincipalPolicy decides by the policies of a user, of its groups and its boundary,
// and pages.
func TestSimulatePrincipalPolicy(t *testing.T) {
	type o = testaccount.Object
	statement := func(effect, action string) o {
		return o{"Statement": []any{o{"Effect": effect, "Action": action, "Resource": "*"}}}
	}
	managed := func(name string, document any) o {
		return o{"PolicyName": name, "Arn": "arn:aws:iam::123456789012:policy/" + name, "PolicyVersionList": []any{
			o{"VersionId": "v1", "IsDefaultVersion": false, "Document": statement("Allow", "*")}, o{"VersionId": "v2", "IsDefaultVersion": true, "Document": document},
		}}
	}
	account := testaccount.Files{"iam-get-account-authorization-details.json": o{
		"RoleDetailList": []any{},
		"UserDetailList": []any{o{
			"UserName": "Alice", "Arn": "arn:aws:iam::123456789012:user/Alice", "GroupList": []any{"readers"},
			"AttachedManagedPolicies": []any{o{"PolicyArn": "arn:aws:iam::123456789012:policy/tags"}},
			"PermissionsBoundary":     o{"PermissionsBoundaryArn": "arn:aws:iam::123456789012:policy/boundary"},
		}},
		"GroupDetailList": []any{o{"GroupName": "readers", "GroupPolicyList": []any{o{"PolicyName": "read", "PolicyDocument": statement("Allow", "*:Describe*")}}}},
		"Policies":        []any{managed("tags", statement("Allow", "ec2:CreateTags")), managed("boundary", statement("Allow", "ec2:Describe*"))},
	}}.Load(t, emulator.Options{})
	client := iam.NewFromConfig(testaccount.Config(account.Client()))
	input := &iam.SimulatePrincipalPolicyInput{
		PolicySourceArn: aws.String("arn:aws:iam::123456789012:user/Alice"), MaxItems: aws.Int32(2),
		ActionNames: []string{"ec2:DescribeImages", "ec2:CreateTags", "batch:DescribeJobs", "ec2:DeregisterImage"},
	}
	got := map[string]string{}
	pages := 0
	for p := iam.NewSimulatePrincipalPolicyPaginator(client, input); p.HasMorePages(); pages++ {
		page, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.EvaluationResults {
			got[*r.EvalActionName] = fmt.Sprintf("%s, boundary %t, %d statements", r.EvalDecision, r.PermissionsBoundaryDecisionDetail.AllowedByPermissionsBoundary, len(r.MatchedStatements))
		}
	}
	want := map[string]string{
		"ec2:DescribeImages": "allowed, boundary true, 1 statements", "ec2:CreateTags": "implicitDeny, boundary false, 0 statements",
		"batch:DescribeJobs": "implicitDeny, boundary false, 0 statements", "ec2:DeregisterImage": "implicitDeny, boundary false, 0 statements",
	}
	equal(t, "decisions", got, want)
	equal(t, "pages", pages, 2)
	for arn, code := range map[string]string{
		"arn:aws:iam::123456789012:user/Bob": "NoSuchEntity", "arn:aws:iam::123456789012:root": "InvalidInput",
	} {
		_, err := client.SimulatePrincipalPolicy(t.Context(), &iam.SimulatePrincipalPolicyInput{PolicySourceArn: &arn, ActionNames: []string{"ec2:DescribeImages"}})
		if refused, ok := errors.AsType[smithy.APIError](err); !ok || refused.ErrorCode() != code {
			t.Errorf("%s: %v", arn, err)
		}
	}
}

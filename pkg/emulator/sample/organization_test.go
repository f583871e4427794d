package sample_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/google/go-cmp/cmp"

	"github.com/ami-janitor/ami-janitor/internal/testaccount"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/emulator/sample"
)

func TestTheOrganizationIsDeterministic(t *testing.T) {
	one, two := sample.OrganizationFiles(now, "us-east-1"), sample.OrganizationFiles(now.In(time.FixedZone("", 3600)), "us-east-1")
	if diff := cmp.Diff(contents(t, one), contents(t, two)); diff != "" {
		t.Error(diff)
	}
}

func organization(t *testing.T) *emulator.Organization {
	t.Helper()
	o, err := sample.Organization(emulator.Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// inAccount is a client with the janitor's role in an account.
func inAccount(t *testing.T, o *emulator.Organization, account string) (*ec2.Client, error) {
	t.Helper()
	config := testaccount.Config(o.Client())
	out, err := sts.NewFromConfig(config).AssumeRole(t.Context(), &sts.AssumeRoleInput{
		RoleArn: aws.String("arn:aws:iam::" + account + ":role/ami-janitor/ami-janitor-default-read"), RoleSessionName: aws.String("ami-janitor-1"),
	})
	if err != nil {
		return nil, err
	}
	config.Credentials = credentials.NewStaticCredentialsProvider(*out.Credentials.AccessKeyId, *out.Credentials.SecretAccessKey, *out.Credentials.SessionToken)
	return ec2.NewFromConfig(config), nil
}

func own(t *testing.T, client *ec2.Client) []types.Image {
	t.Helper()
	out, err := client.DescribeImages(t.Context(), &ec2.DescribeImagesInput{Owners: []string{"self"}})
	if err != nil {
		t.Fatal(err)
	}
	return out.Images
}

// Of twelve accounts, two cannot be entered: one has no role, and one is suspended. Copies lack
// nothing, and no two accounts own the same image.
func TestTheOrganizationHasTwelveAccounts(t *testing.T) {
	o := organization(t)
	if lacks := append(o.Lacks(), o.NotRead()...); len(lacks) > 0 {
		t.Errorf("it lacks, or does not read, %v", lacks)
	}
	out, err := organizations.NewFromConfig(testaccount.Config(o.Client())).ListAccounts(t.Context(), &organizations.ListAccountsInput{})
	if err != nil || len(out.Accounts) != 12 {
		t.Fatalf("%d accounts, %v", len(out.Accounts), err)
	}
	var shut []string
	owners := map[string]string{}
	stale := map[string]int{}
	for _, account := range out.Accounts {
		client, err := inAccount(t, o, *account.Id)
		if err != nil {
			shut = append(shut, *account.Id)
			continue
		}
		stale[*account.Id] = 0
		for _, image := range own(t, client) {
			if other := owners[*image.ImageId]; other != "" || *image.OwnerId != *account.Id {
				t.Errorf("%s of %s is owned by %s, too", *image.ImageId, *account.Id, other+*image.OwnerId)
			}
			owners[*image.ImageId] = *account.Id
			if isStale(image) {
				stale[*account.Id]++
			}
		}
	}
	slices.Sort(shut)
	if diff := cmp.Diff([]string{"666666666666", "777777777777"}, shut); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]int{
		"111111111111": 2, "111122223333": 2, "123456789012": 8, "210987654321": 1, "222222222222": 3, "333333333333": 2, "444455556666": 0,
		"555555555555": 1, "888888888888": 0, "999999999999": 1,
	}, stale); diff != "" {
		t.Errorf("stale images (-want +got):\n%s", diff)
	}
}

// The golden images are shared in each way there is, and accounts use old ones of them.
func TestTheOrganizationSharesImages(t *testing.T) {
	o := organization(t)
	builder, err := inAccount(t, o, "123456789012")
	if err != nil {
		t.Fatal(err)
	}
	shared, ageOf := map[string]int{}, map[string]bool{}
	for _, image := range own(t, builder) {
		ageOf[*image.ImageId] = isStale(image)
		out, err := builder.DescribeImageAttribute(t.Context(), &ec2.DescribeImageAttributeInput{ImageId: image.ImageId, Attribute: types.ImageAttributeNameLaunchPermission})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range out.LaunchPermissions {
			shared[aws.ToString(p.OrganizationArn)+aws.ToString(p.OrganizationalUnitArn)+aws.ToString(p.UserId)]++
		}
	}
	if diff := cmp.Diff(map[string]int{
		"arn:aws:organizations::999999999999:organization/o-exampleorgid":        3,
		"arn:aws:organizations::999999999999:ou/o-exampleorgid/ou-ab12-22222222": 3,
		"333333333333": 2, "666666666666": 2,
	}, shared); diff != "" {
		t.Errorf("shared (-want +got):\n%s", diff)
	}
	shop, err := inAccount(t, o, "111122223333")
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	instances, err := shop.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{})
	if err != nil {
		t.Fatal(err)
	}
	for _, reservation := range instances.Reservations {
		used[*reservation.Instances[0].ImageId] = true
	}
	payments, err := inAccount(t, o, "444455556666")
	if err != nil {
		t.Fatal(err)
	}
	versions, err := payments.DescribeLaunchTemplateVersions(t.Context(), &ec2.DescribeLaunchTemplateVersionsInput{Versions: []string{"$Latest"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, version := range versions.LaunchTemplateVersions {
		used[*version.LaunchTemplateData.ImageId] = true
	}
	maps.DeleteFunc(used, func(id string, _ bool) bool { return !ageOf[id] })
	if len(used) != 2 {
		t.Errorf("other accounts use %d stale images, want 2", len(used))
	}
}

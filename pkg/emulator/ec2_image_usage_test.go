package emulator_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ami-janitor/ami-janitor/pkg/emulator"
)

// shared is an account with images that other accounts use, and its clock.
func shared(t testing.TB) (*emulator.Account, *time.Time) {
	clock := now
	a, err := emulator.Load(directory(
		"describe-images.json", `{"Images": [{"ImageId": "ami-00000001"}, {"ImageId": "ami-00000002"}, {"ImageId": "ami-00000003"},
			{"ImageId": "ami-00000004", "OwnerId": "999988887777"}]}`,
		"describe-image-usage-reports.json", `{"ImageUsageReports": [
			{"ReportId": "amiur-0000000a", "ImageId": "ami-00000003", "State": "available", "CreationTime": "2026-11-01T00:00:00Z", "ExpirationTime": "2026-12-01T00:00:00Z",
			 "Tags": [{"Key": "k", "Value": "v"}]},
			{"ReportId": "amiur-0000000b", "ImageId": "ami-00000002", "State": "pending", "CreationTime": 1795400000.5, "ResourceTypes": [{"ResourceType": "ec2:Instance"}]},
			{"ReportId": "amiur-0000000c", "ImageId": "ami-00000003", "State": "error", "StateReason": "r", "CreationTime": "yesterday"}]}`,
		"describe-image-usage-report-entries.json", `{"ImageUsageReportEntries": [
			{"ImageId": "ami-00000001", "ResourceType": "ec2:Instance", "AccountId": "111122223333", "UsageCount": 3},
			{"ImageId": "ami-00000001", "ResourceType": "ec2:LaunchTemplate", "AccountId": "111122223333", "UsageCount": 1},
			{"ImageId": "ami-00000001", "ResourceType": "ec2:Instance", "AccountId": "999988887777", "UsageCount": 2},
			{"ImageId": "ami-00000002", "ResourceType": "ec2:Instance", "AccountId": "999988887777", "UsageCount": 7},
			{"ImageId": "ami-00000003", "ResourceType": "ec2:Instance", "AccountId": "111122223333", "UsageCount": 5,
			 "ReportId": "amiur-0000000a", "ReportCreationTime": "2026-11-01T00:00:00Z"}]}`,
	), emulator.Options{Now: func() time.Time { return clock }})
	if err != nil {
		t.Fatal(err)
	}
	return a, &clock
}

func kinds(names ...string) []types.ImageUsageResourceTypeRequest {
	var list []types.ImageUsageResourceTypeRequest
	for _, name := range names {
		list = append(list, types.ImageUsageResourceTypeRequest{ResourceType: aws.String(name)})
	}
	return list
}

// found are the entries of a report, or the code of the error.
func found(t *testing.T, client *ec2.Client, input *ec2.DescribeImageUsageReportEntriesInput) string {
	out, err := client.DescribeImageUsageReportEntries(t.Context(), input)
	if err != nil {
		return code(err)
	}
	var entries []string
	for _, e := range out.ImageUsageReportEntries {
		entries = append(entries, fmt.Sprintf("%s %s %d", *e.AccountId, strings.TrimPrefix(*e.ResourceType, "ec2:"), *e.UsageCount))
	}
	return strings.Join(entries, ", ")
}

func TestImageUsageReports(t *testing.T) {
	depth := []types.ImageUsageResourceTypeRequest{{
		ResourceType: aws.String("ec2:LaunchTemplate"),
		ResourceTypeOptions: []types.ImageUsageResourceTypeOptionRequest{
			{OptionName: aws.String("version-depth"), OptionValues: []string{"100"}},
		},
	}}
	tests := []struct {
		name  string
		input ec2.CreateImageUsageReportInput
		want  string
	}{
		{
			"instances and launch templates",
			ec2.CreateImageUsageReportInput{ResourceTypes: kinds("ec2:Instance", "ec2:LaunchTemplate")},
			"111122223333 Instance 3, 111122223333 LaunchTemplate 1, 999988887777 Instance 2",
		},
		{"instances", ec2.CreateImageUsageReportInput{ResourceTypes: kinds("ec2:Instance")}, "111122223333 Instance 3, 999988887777 Instance 2"},
		{"launch templates in depth", ec2.CreateImageUsageReportInput{ResourceTypes: depth}, "111122223333 LaunchTemplate 1"},
		{"one account", ec2.CreateImageUsageReportInput{ResourceTypes: kinds("ec2:Instance"), AccountIds: []string{"999988887777"}}, "999988887777 Instance 2"},
		{"an account without use", ec2.CreateImageUsageReportInput{ResourceTypes: kinds("ec2:Instance"), AccountIds: []string{"444455556666"}}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a, clock := shared(t)
			client := ec2Client(a.Client())
			test.input.ImageId = aws.String("ami-00000001")
			created, err := client.CreateImageUsageReport(t.Context(), &test.input)
			if err != nil {
				t.Fatal(err)
			}
			id := *created.ReportId
			report := func() types.ImageUsageReport {
				out, err := client.DescribeImageUsageReports(t.Context(), &ec2.DescribeImageUsageReportsInput{ReportIds: []string{id}})
				if err != nil || len(out.ImageUsageReports) != 1 {
					t.Fatalf("%v, %v", out, err)
				}
				return out.ImageUsageReports[0]
			}
			entries := &ec2.DescribeImageUsageReportEntriesInput{ReportIds: []string{id}}
			equal(t, "created", report().CreationTime.Equal(now), true)
			equal(t, "expires", report().ExpirationTime.Equal(now.AddDate(0, 0, 30)), true)
			equal(t, "accounts", report().AccountIds, test.input.AccountIds)
			equal(t, "types", len(report().ResourceTypes), len(test.input.ResourceTypes))

			*clock = now.Add(5*time.Minute - time.Second)
			equal(t, "state", *report().State, "pending")
			equal(t, "entries while it is pending", found(t, client, entries), "")
			*clock = now.Add(5 * time.Minute)
			equal(t, "entries", found(t, client, entries), test.want)
			equal(t, "state", *report().State, "available")

			*clock = now.AddDate(0, 0, 30)
			equal(t, "entries after its time", found(t, client, entries), "InvalidImageUsageReportId.NotFound")
		})
	}
}

// What an earlier report has found is no use of today.
func TestImageUsageReportsKnowNothingOfEachOther(t *testing.T) {
	a, clock := shared(t)
	client := ec2Client(a.Client())
	created, err := client.CreateImageUsageReport(t.Context(), &ec2.CreateImageUsageReportInput{
		ImageId: aws.String("ami-00000003"), ResourceTypes: kinds("ec2:Instance"),
	})
	if err != nil {
		t.Fatal(err)
	}
	*clock = now.Add(time.Hour)
	equal(t, "entries of the new report", found(t, client, &ec2.DescribeImageUsageReportEntriesInput{ReportIds: []string{*created.ReportId}}), "")
	equal(t, "entries of the old report", found(t, client, &ec2.DescribeImageUsageReportEntriesInput{ReportIds: []string{"amiur-0000000a"}}), "111122223333 Instance 5")
}

func TestCreateImageUsageReportRefuses(t *testing.T) {
	option := func(kind, name, value string) []types.ImageUsageResourceTypeRequest {
		return []types.ImageUsageResourceTypeRequest{{ResourceType: &kind, ResourceTypeOptions: []types.ImageUsageResourceTypeOptionRequest{
			{OptionName: &name, OptionValues: []string{value}},
		}}}
	}
	const template = "ec2:LaunchTemplate"
	instances := kinds("ec2:Instance")
	tags := func(kind types.ResourceType, key string) []types.TagSpecification {
		return []types.TagSpecification{{ResourceType: kind, Tags: tagList(key, "v")}}
	}
	tests := []struct {
		name, id string
		input    ec2.CreateImageUsageReportInput
		code     string
	}{
		{"another account's image", "ami-00000004", ec2.CreateImageUsageReportInput{ResourceTypes: instances}, "AuthFailure"},
		{"no image", "ami-0000000f", ec2.CreateImageUsageReportInput{ResourceTypes: instances}, "InvalidAMIID.NotFound"},
		{"no types", "ami-00000001", ec2.CreateImageUsageReportInput{ResourceTypes: []types.ImageUsageResourceTypeRequest{}}, "MissingParameter"},
		{"an unknown type", "ami-00000001", ec2.CreateImageUsageReportInput{ResourceTypes: kinds("ssm:Parameter")}, "InvalidParameterValue"},
		{"an unknown option", "ami-00000001", ec2.CreateImageUsageReportInput{ResourceTypes: option(template, "state-name", "running")}, "InvalidParameterValue"},
		{"an option of another type", "ami-00000001", ec2.CreateImageUsageReportInput{ResourceTypes: option("ec2:Instance", "version-depth", "1")}, "InvalidParameterValue"},
		{"no depth", "ami-00000001", ec2.CreateImageUsageReportInput{ResourceTypes: option(template, "version-depth", "0")}, "InvalidParameterValue"},
		{"the greatest depth", "ami-00000001", ec2.CreateImageUsageReportInput{ResourceTypes: option(template, "version-depth", "10000")}, ""},
		{"too great a depth", "ami-00000001", ec2.CreateImageUsageReportInput{ResourceTypes: option(template, "version-depth", "10001")}, "InvalidParameterValue"},
		{"200 accounts", "ami-00000001", ec2.CreateImageUsageReportInput{ResourceTypes: instances, AccountIds: slices.Repeat([]string{other}, 200)}, ""},
		{"201 accounts", "ami-00000001", ec2.CreateImageUsageReportInput{ResourceTypes: instances, AccountIds: slices.Repeat([]string{other}, 201)}, "InvalidParameterValue"},
		{"tags of its own", "ami-00000001", ec2.CreateImageUsageReportInput{ResourceTypes: instances, TagSpecifications: tags("image-usage-report", "k")}, ""},
		{"tags of something else", "ami-00000001", ec2.CreateImageUsageReportInput{ResourceTypes: instances, TagSpecifications: tags("image", "k")}, "InvalidParameterValue"},
		{"a reserved tag", "ami-00000001", ec2.CreateImageUsageReportInput{ResourceTypes: instances, TagSpecifications: tags("image-usage-report", "aws:k")}, "InvalidParameterValue"},
		{"a second pending one", "ami-00000002", ec2.CreateImageUsageReportInput{ResourceTypes: instances}, "ResourceLimitExceeded"},
		{"beside others that are not pending", "ami-00000003", ec2.CreateImageUsageReportInput{ResourceTypes: instances}, ""},
		{"dry run", "ami-00000001", ec2.CreateImageUsageReportInput{ResourceTypes: instances, DryRun: aws.Bool(true)}, "DryRunOperation"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a, clock := shared(t)
			*clock = time.Unix(1795400000, 0) // The pending report has just been begun.
			test.input.ImageId = &test.id
			_, err := ec2Client(a.Client()).CreateImageUsageReport(t.Context(), &test.input)
			equal(t, "error code", code(err), test.code)
		})
	}
}

func TestImageUsageReportsAreIdempotent(t *testing.T) {
	a, _ := shared(t)
	client := ec2Client(a.Client())
	create := func(image, token string) string {
		out, err := client.CreateImageUsageReport(t.Context(), &ec2.CreateImageUsageReportInput{
			ImageId: &image, ClientToken: &token, ResourceTypes: kinds("ec2:Instance"),
		})
		if err != nil {
			return code(err)
		}
		return *out.ReportId
	}
	first := create("ami-00000001", "a")
	equal(t, "again", create("ami-00000001", "a"), first)
	equal(t, "with another token", create("ami-00000001", "b"), "ResourceLimitExceeded")
	equal(t, "for another image", create("ami-00000003", "a"), "IdempotentParameterMismatch")
	if second := create("ami-00000003", "c"); second == first || !strings.HasPrefix(second, "amiur-") {
		t.Errorf("the second report is %s, the first %s", second, first)
	}
}

func TestPendingImageUsageReportsAreLimited(t *testing.T) {
	pending := make([]string, 1999)
	for i := range pending {
		pending[i] = fmt.Sprintf(`{"ReportId": "amiur-%08x", "State": "pending", "CreationTime": %d}`, i, now.Unix())
	}
	client := ec2Client(load(t, directory(
		"describe-images.json", `{"Images": [{"ImageId": "ami-00000001"}, {"ImageId": "ami-00000002"}]}`,
		"describe-image-usage-reports.json", `{"ImageUsageReports": [`+strings.Join(pending, ",")+`]}`,
	)).Client())
	create := func(id string) string {
		_, err := client.CreateImageUsageReport(t.Context(), &ec2.CreateImageUsageReportInput{ImageId: &id, ResourceTypes: kinds("ec2:Instance")})
		return code(err)
	}
	equal(t, "the last", create("ami-00000001"), "")
	equal(t, "one more", create("ami-00000002"), "ResourceLimitExceeded")
}

func TestDescribeImageUsageReports(t *testing.T) {
	a, clock := shared(t)
	client := ec2Client(a.Client())
	*clock = time.Unix(1795400000, 0)
	ids := func(input *ec2.DescribeImageUsageReportsInput) string {
		out, err := client.DescribeImageUsageReports(t.Context(), input)
		if err != nil {
			return code(err)
		}
		var ids []string
		for _, r := range out.ImageUsageReports {
			ids = append(ids, strings.TrimPrefix(*r.ReportId, "amiur-0000000")+" "+*r.State)
		}
		return strings.Join(ids, ", ")
	}
	equal(t, "all", ids(&ec2.DescribeImageUsageReportsInput{}), "a available, b pending, c error")
	equal(t, "by image", ids(&ec2.DescribeImageUsageReportsInput{ImageIds: []string{"ami-00000003", "ami-00000001"}}), "a available, c error")
	equal(t, "by id", ids(&ec2.DescribeImageUsageReportsInput{ReportIds: []string{"amiur-0000000b"}}), "b pending")
	equal(t, "unknown", ids(&ec2.DescribeImageUsageReportsInput{ReportIds: []string{"amiur-0000000f"}}), "InvalidImageUsageReportId.NotFound")
	equal(t, "too many", ids(&ec2.DescribeImageUsageReportsInput{ImageIds: slices.Repeat([]string{"x"}, 201)}), "InvalidParameterValue")
	equal(t, "by state", ids(&ec2.DescribeImageUsageReportsInput{Filters: filters("state", "error")}), "c error")
	equal(t, "by tag", ids(&ec2.DescribeImageUsageReportsInput{Filters: filters("tag:k", "v")}), "a available")
	equal(t, "by time", ids(&ec2.DescribeImageUsageReportsInput{Filters: filters("creation-time", "2026-11-01T*", "tag-key", "*")}), "a available")
	equal(t, "ids and pages", ids(&ec2.DescribeImageUsageReportsInput{ReportIds: []string{"amiur-0000000b"}, MaxResults: aws.Int32(5)}), "InvalidParameterCombination")
	equal(t, "a page", ids(&ec2.DescribeImageUsageReportsInput{MaxResults: aws.Int32(2)}), "a available, b pending")
	equal(t, "no page", ids(&ec2.DescribeImageUsageReportsInput{MaxResults: aws.Int32(0)}), "InvalidParameterValue")

	*clock = clock.Add(6 * time.Minute)
	equal(t, "later", ids(&ec2.DescribeImageUsageReportsInput{}), "a available, b available, c error")
	entries := func(input *ec2.DescribeImageUsageReportEntriesInput) string { return found(t, client, input) }
	equal(t, "entries", entries(&ec2.DescribeImageUsageReportEntriesInput{}), "111122223333 Instance 5, 999988887777 Instance 7")
	equal(t, "entries by image", entries(&ec2.DescribeImageUsageReportEntriesInput{ImageIds: []string{"ami-00000003"}}), "111122223333 Instance 5")
	equal(t, "entries by account", entries(&ec2.DescribeImageUsageReportEntriesInput{Filters: filters("account-id", other)}), "999988887777 Instance 7")
	equal(t, "entries by type", entries(&ec2.DescribeImageUsageReportEntriesInput{Filters: filters("resource-type", "ec2:LaunchTemplate")}), "")
	equal(t, "entries, page by page", entries(&ec2.DescribeImageUsageReportEntriesInput{
		ReportIds: []string{"amiur-0000000a", "amiur-0000000b"}, MaxResults: aws.Int32(1),
	}), "111122223333 Instance 5")
}

func TestImageUsageReportsAreTaggedAndDeleted(t *testing.T) {
	a, clock := shared(t)
	client := ec2Client(a.Client())
	tags := func(id string) string {
		out, err := client.DescribeImageUsageReports(t.Context(), &ec2.DescribeImageUsageReportsInput{ReportIds: []string{id}})
		if err != nil {
			return code(err)
		}
		var tags []string
		for _, tag := range out.ImageUsageReports[0].Tags {
			tags = append(tags, *tag.Key+"="+*tag.Value)
		}
		return strings.Join(tags, " ")
	}
	created, err := client.CreateImageUsageReport(t.Context(), &ec2.CreateImageUsageReportInput{
		ImageId: aws.String("ami-00000001"), ResourceTypes: kinds("ec2:Instance"),
		TagSpecifications: []types.TagSpecification{{ResourceType: "image-usage-report", Tags: tagList("a", "1", "b", "2")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	id := *created.ReportId
	equal(t, "tags", tags(id), "a=1 b=2")
	if _, err := client.CreateTags(t.Context(), &ec2.CreateTagsInput{Resources: []string{id}, Tags: tagList("c", "3")}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.DeleteTags(t.Context(), &ec2.DeleteTagsInput{Resources: []string{id}, Tags: tagList("a", "1")}); err != nil {
		t.Fatal(err)
	}
	equal(t, "tags", tags(id), "b=2 c=3")

	*clock = now.Add(time.Hour)
	isSaved := func() (report, entries bool) {
		saved := save(t, a)
		return strings.Contains(string(content(t, saved, "describe-image-usage-reports.json")), id),
			strings.Contains(string(content(t, saved, "describe-image-usage-report-entries.json")), id)
	}
	equal(t, "entries", found(t, client, &ec2.DescribeImageUsageReportEntriesInput{ReportIds: []string{id}}), "111122223333 Instance 3, 999988887777 Instance 2")
	if report, entries := isSaved(); !report || !entries {
		t.Errorf("saved: report %t, entries %t", report, entries)
	}
	saved := save(t, a)
	remove := func(id string) string {
		out, err := client.DeleteImageUsageReport(t.Context(), &ec2.DeleteImageUsageReportInput{ReportId: &id})
		if err == nil && !aws.ToBool(out.Return) {
			t.Error("no Return")
		}
		return code(err)
	}
	equal(t, "delete", remove(id), "")
	equal(t, "tags", tags(id), "InvalidImageUsageReportId.NotFound")
	if report, entries := isSaved(); report || entries {
		t.Errorf("saved after it was deleted: report %t, entries %t", report, entries)
	}
	equal(t, "delete again", remove(id), "InvalidImageUsageReportId.NotFound")
	equal(t, "entries", found(t, client, &ec2.DescribeImageUsageReportEntriesInput{ImageIds: []string{"ami-00000001"}}), "")
	_, err = client.CreateTags(t.Context(), &ec2.CreateTagsInput{Resources: []string{id}, Tags: tagList("c", "3")})
	equal(t, "tag what is gone", code(err), "InvalidImageUsageReportId.NotFound")

	again := ec2Client(load(t, saved).Client())
	if _, err := again.DeleteImageUsageReport(t.Context(), &ec2.DeleteImageUsageReportInput{ReportId: &id}); err != nil {
		t.Errorf("delete from the saved account: %v", err)
	}
}

package usage_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/usage"
)

func reportID(n int) string { return fmt.Sprintf("amiur-%017x", n) }

// created is when the n-th report was created: on that day of the month, recently enough not to
// have expired.
func created(n int) time.Time {
	return time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, n-28)
}

// report is a complete and available report of the janitor, with some facts changed.
func report(n, image int, facts object) object {
	made := object{
		"ReportId": reportID(n), "ImageId": imageID(image), "State": "available",
		"CreationTime": created(n).Format(time.RFC3339), "ExpirationTime": created(n).AddDate(0, 0, 30).Format(time.RFC3339),
		"ResourceTypes": covering("10000"), "Tags": []object{{"Key": "ami-janitor:run", "Value": "20260101T000000Z-3f9c1a"}},
	}
	maps.Copy(made, facts)
	return made
}

func covering(depth string) []object {
	return []object{
		{"ResourceType": "ec2:Instance"},
		{"ResourceType": "ec2:LaunchTemplate", "ResourceTypeOptions": []object{{"OptionName": "version-depth", "OptionValues": []string{depth}}}},
	}
}

func entry(report, image int, account, kind string, count int) object {
	return object{
		"ReportId": reportID(report), "ImageId": imageID(image), "AccountId": account, "ResourceType": kind, "UsageCount": count,
		"ReportCreationTime": created(report).Format(time.RFC3339),
	}
}

// reporting are the files of reports and their entries, and of image 1 shared with an account.
func reporting(reports, entries []object) map[string]any {
	return map[string]any{
		"describe-image-usage-reports.json":        object{"ImageUsageReports": append([]object{}, reports...)},
		"describe-image-usage-report-entries.json": object{"ImageUsageReportEntries": append([]object{}, entries...)},
		"describe-launch-permissions.json":         object{imageID(1): []object{{"UserId": "111122223333"}}},
	}
}

func withReports(images []ami.Image, names ...string) usage.Lookup {
	asked := lookup(images, names...)
	asked.Reports = true
	return asked
}

// A use that another account makes of a shared image is in its newest report.
func TestUseByOtherAccounts(t *testing.T) {
	account := holding(t, reporting(
		[]object{report(2, 1, nil), report(1, 1, nil), report(3, 2, nil)},
		[]object{
			// The older one does not count.
			entry(1, 1, "555555555555", "ec2:Instance", 7),
			entry(2, 1, "111122223333", "ec2:Instance", 1),
			entry(2, 1, "111122223333", "ec2:LaunchTemplate", 2),
			entry(2, 1, "444455556666", "ec2:Instance", 0),
			entry(3, 2, "444455556666", "ec2:Instance", 1), // An image that is not shared.
		}))
	evidence := collectFor(t.Context(), account.Client(), withReports(candidates(2)))
	want := findings{
		imageID(1): {
			Use: ami.Used, SharedWith: []ami.Grantee{{Account: "111122223333"}},
			References: []ami.Reference{
				{Source: "usage-reports", Type: "ec2:Instance", ARN: "arn:aws:iam::111122223333:root", Account: "111122223333", Count: 1},
				{Source: "usage-reports", Type: "ec2:LaunchTemplate", ARN: "arn:aws:iam::111122223333:root", Account: "111122223333", Count: 2},
			},
			Report: &ami.UsageReport{ID: reportID(2), State: "available", CreatedAt: created(2), Complete: true, Superseded: []string{reportID(1)}},
		},
		imageID(2): {Use: ami.Unused, Report: &ami.UsageReport{ID: reportID(3), State: "available", CreatedAt: created(3), Complete: true}},
	}
	if diff := cmp.Diff(want, evidence.Images); diff != "" {
		t.Errorf("evidence (-want +got):\n%s", diff)
	}
	if calls := callsOf(account); calls["DescribeImageUsageReports"] != 1 || calls["DescribeImageUsageReportEntries"] != 1 {
		t.Errorf("calls %v", calls)
	}
}

// A public image is one that others may launch, whatever its launch permissions say.
func TestThePublicImageOfAReport(t *testing.T) {
	images := candidates(2)
	images[1].Public = true
	account := holding(t, reporting([]object{report(1, 2, nil)}, []object{entry(1, 2, "444455556666", "ec2:Instance", 1)}))
	if got := collectFor(t.Context(), account.Client(), withReports(images)).Images[imageID(2)]; got.Use != ami.Used {
		t.Errorf("%+v, want used", got)
	}
}

// The newest report is the one that counts, in whatever order they are listed. Those it supersedes
// can still be found.
func TestTheNewestReport(t *testing.T) {
	same := object{"CreationTime": created(5).Format(time.RFC3339)}
	for name, test := range map[string]struct {
		reports    []object
		newest     int
		superseded []string
	}{
		"one":            {[]object{report(1, 1, nil)}, 1, nil},
		"newest_first":   {[]object{report(3, 1, nil), report(2, 1, nil), report(1, 1, nil)}, 3, []string{reportID(1), reportID(2)}},
		"newest_last":    {[]object{report(1, 1, nil), report(2, 1, nil), report(3, 1, nil)}, 3, []string{reportID(1), reportID(2)}},
		"one_is_pending": {[]object{report(2, 1, object{"State": "error"}), report(1, 1, nil)}, 2, []string{reportID(1)}},
		"at_once":        {[]object{report(6, 1, same), report(7, 1, same)}, 7, []string{reportID(6)}},
		"without_a_date": {[]object{report(9, 1, object{"CreationTime": nil}), report(1, 1, nil)}, 1, []string{reportID(9)}},
		"listed_twice":   {[]object{report(1, 1, nil), report(2, 1, nil), report(1, 1, nil)}, 2, []string{reportID(1)}},
	} {
		t.Run(name, func(t *testing.T) {
			for range 2 {
				evidence := collectFor(t.Context(), holding(t, reporting(test.reports, nil)).Client(), withReports(candidates(1)))
				got := evidence.Images[imageID(1)].Report
				if got == nil || got.ID != reportID(test.newest) || !slices.Equal(got.Superseded, test.superseded) {
					t.Errorf("%+v, want report %d, which supersedes %v", got, test.newest, test.superseded)
				}
				slices.Reverse(test.reports)
			}
		})
	}
}

// A report about an image that nobody asked about is known, and proves nothing. Reports of others
// are not looked at.
func TestReportsAboutOtherImages(t *testing.T) {
	account := holding(t, reporting([]object{report(1, 9, nil), report(2, 8, object{"Tags": []object{{"Key": "team", "Value": "web"}}})}, nil))
	want := findings{
		imageID(1): {Use: ami.Unused, SharedWith: []ami.Grantee{{Account: "111122223333"}}},
		imageID(9): {Use: ami.Unknown, Report: &ami.UsageReport{ID: reportID(1), State: "available", CreatedAt: created(1), Complete: true}},
	}
	if diff := cmp.Diff(want, collectFor(t.Context(), account.Client(), withReports(candidates(1))).Images); diff != "" {
		t.Errorf("evidence (-want +got):\n%s", diff)
	}
}

// A report proves something only if it covers all accounts, instances, and launch templates as deep
// as they count.
func TestCompleteReports(t *testing.T) {
	instances, templates := object{"ResourceType": "ec2:Instance"}, object{"ResourceType": "ec2:LaunchTemplate"}
	for name, test := range map[string]struct {
		facts  object
		newest int
		want   bool
	}{
		"all":                        {nil, 0, true},
		"some_accounts":              {object{"AccountIds": []string{"111122223333"}}, 0, false},
		"instances_alone":            {object{"ResourceTypes": []object{instances}}, 0, false},
		"launch_templates_alone":     {object{"ResourceTypes": covering("10000")[1:]}, 0, false},
		"nothing":                    {object{"ResourceTypes": []object{}}, 0, false},
		"too_few_versions":           {object{"ResourceTypes": covering("9999")}, 0, false},
		"as_many_versions_as_count":  {object{"ResourceTypes": covering("30")}, 30, true},
		"fewer_versions_than_count":  {object{"ResourceTypes": covering("29")}, 30, false},
		"more_versions_than_count":   {object{"ResourceTypes": covering("31")}, 30, true},
		"the_usual_20_versions":      {object{"ResourceTypes": []object{instances, templates}}, 20, true},
		"the_usual_are_not_enough":   {object{"ResourceTypes": []object{instances, templates}}, 21, false},
		"a_depth_that_is_no_number":  {object{"ResourceTypes": covering("all")}, 1, false},
		"more_than_can_be_asked_for": {nil, 20000, true},
	} {
		t.Run(name, func(t *testing.T) {
			asked := withReports(candidates(1))
			asked.TemplateVersions = test.newest
			got := collectFor(t.Context(), holding(t, reporting([]object{report(1, 1, test.facts)}, nil)).Client(), asked).Images[imageID(1)].Report
			if got == nil || got.Complete != test.want {
				t.Errorf("%+v, want complete %t", got, test.want)
			}
		})
	}
}

// Reports are not read unless they are wanted, and entries only of available reports about shared
// candidates.
func TestReportsThatAreNotRead(t *testing.T) {
	for name, test := range map[string]struct {
		reports []object
		asked   usage.Lookup
		want    map[string]int
	}{
		"not_wanted":    {[]object{report(1, 1, nil)}, lookup(candidates(2)), map[string]int{}},
		"no_candidates": {[]object{report(1, 1, nil)}, withReports(nil), map[string]int{"DescribeImageUsageReports": 1}},
		"none":          {nil, withReports(candidates(2)), map[string]int{"DescribeImageUsageReports": 1}},
		"not_shared":    {[]object{report(1, 2, nil)}, withReports(candidates(2)), map[string]int{"DescribeImageUsageReports": 1}},
		"in_error":      {[]object{report(1, 1, object{"State": "error"})}, withReports(candidates(2)), map[string]int{"DescribeImageUsageReports": 1}},
		"shared":        {[]object{report(1, 1, nil)}, withReports(candidates(2)), map[string]int{"DescribeImageUsageReports": 1, "DescribeImageUsageReportEntries": 1}},
	} {
		t.Run(name, func(t *testing.T) {
			account := holding(t, reporting(test.reports, nil))
			collectFor(t.Context(), account.Client(), test.asked)
			calls := callsOf(account)
			delete(calls, "DescribeImageReferences")
			delete(calls, "DescribeImageAttribute")
			if diff := cmp.Diff(test.want, calls); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
		})
	}
}

// Reports that cannot be read leave the images unknown that others may launch, and no others.
func TestReportsThatCannotBeRead(t *testing.T) {
	for _, action := range []string{"DescribeImageUsageReports", "DescribeImageUsageReportEntries"} {
		for name, fault := range faults {
			t.Run(action+"/"+name, func(t *testing.T) {
				account := holding(t, reporting([]object{report(1, 1, nil), report(2, 2, nil)}, nil))
				synctest.Test(t, func(t *testing.T) {
					evidence := collectFor(t.Context(), fault.fault(account.Client(), action, nil), withReports(candidates(2)))
					gap(t, evidence, imageID(1), "usage-reports", fault.says)
					if got := evidence.Images[imageID(2)]; got.Use != ami.Unused {
						t.Errorf("%+v, want unused", got)
					}
				})
			})
		}
	}
}

// Reports and entries are read to their last pages; at most 200 reports are asked for at once.
func TestManyReports(t *testing.T) {
	const n = 450
	var reports, entries []object
	images := candidates(n)
	var listed []object
	for i := range images {
		images[i].Public = true
		listed = append(listed, object{"ImageId": images[i].ID, "OwnerId": owner, "State": "available", "Public": true})
		reports = append(reports, report(i+1, i+1, object{"CreationTime": created(1).Format(time.RFC3339), "ExpirationTime": created(31).Format(time.RFC3339)}))
		entries = append(entries, entry(i+1, i+1, "111122223333", "ec2:Instance", 1), entry(i+1, i+1, "111122223333", "ec2:LaunchTemplate", 1))
	}
	files := reporting(reports, entries)
	files["describe-images.json"] = object{"Images": listed}
	account := holding(t, files)
	evidence := collectFor(t.Context(), account.Client(), withReports(images))
	for _, image := range images {
		if got := evidence.Images[image.ID]; got.Use != ami.Used || len(got.References) != 2 || got.Report == nil {
			t.Errorf("%s: %+v, want used with two references", image.ID, got)
		}
	}
}

// What the entries leave out is a use, or a gap.
func TestOddEntries(t *testing.T) {
	for name, test := range map[string]struct {
		facts object
		use   ami.Use
	}{
		"no_count":        {object{"UsageCount": nil}, ami.Used},
		"no_image":        {object{"ImageId": nil}, ami.Used},
		"no_account":      {object{"AccountId": nil}, ami.Used},
		"no_count_at_all": {object{"UsageCount": 0}, ami.Unused},
	} {
		t.Run(name, func(t *testing.T) {
			odd := entry(1, 1, "111122223333", "ec2:Instance", 1)
			maps.Copy(odd, test.facts)
			got := collectFor(t.Context(), holding(t, reporting([]object{report(1, 1, nil)}, []object{odd})).Client(), withReports(candidates(1))).Images[imageID(1)]
			if got.Use != test.use {
				t.Errorf("%+v, want %s", got, test.use)
			}
		})
	}
	unasked := answeringWith("<DescribeImageUsageReportEntriesResponse><imageUsageReportEntrySet><item><reportId>" + reportID(9) +
		"</reportId><usageCount>1</usageCount></item></imageUsageReportEntrySet></DescribeImageUsageReportEntriesResponse>")
	account := holding(t, reporting([]object{report(1, 1, nil)}, nil))
	evidence := collectFor(t.Context(), unasked(account.Client(), "DescribeImageUsageReportEntries", nil), withReports(candidates(1)))
	gap(t, evidence, imageID(1), "usage-reports", "ec2:DescribeImageUsageReportEntries: EC2 answered for \""+reportID(9)+"\", which was not asked about")
}

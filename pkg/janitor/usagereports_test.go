package janitor_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

var judgingShared = settings{"SHARED_IMAGES": "report", "KEEP_NEWEST": "0"}

// others are accounts in which image 1, and image 1 alone, may be launched by others. Image 2 is
// stale and in use.
var others = map[string]world{
	"shared": {images: []object{image(1, 400, 300, 1), image(2, 400, 300, 2)}, reservations: []object{instance(2, imageID(2), "stopped")}, permissions: object{imageID(1): []object{{"UserId": "111122223333"}}}},
	"shared with an organization": {images: []object{image(1, 400, 300, 1), image(2, 400, 300, 2)}, reservations: []object{instance(2, imageID(2), "stopped")}, permissions: object{
		imageID(1): []object{{"OrganizationArn": "arn:aws:organizations::111122223333:organization/o-1234567890"}},
	}},
	"public": {images: []object{with(image(1, 400, 300, 1), "Public", true), image(2, 400, 300, 2)}, reservations: []object{instance(2, imageID(2), "stopped")}},
}

// reportsOf are the reports of the saved account.
func (l *life) reports() []object {
	l.t.Helper()
	var content struct{ ImageUsageReports []object }
	readJSON(l.t, l.dir+"/describe-image-usage-reports.json", &content)
	return content.ImageUsageReports
}

// use is what another account really uses of an image.
func (l *life) use(n int, resourceType string, count any) {
	l.t.Helper()
	l.edit("describe-image-usage-report-entries.json", func(content object) {
		entries, _ := content["ImageUsageReportEntries"].([]any)
		content["ImageUsageReportEntries"] = append(entries, object{"AccountId": "111122223333", "ImageId": imageID(n), "ResourceType": resourceType, "UsageCount": count})
	})
}

// A shared image waits for a report; once that has shown no use of it, it goes.
func TestASharedImageGoesAfterItsReport(t *testing.T) {
	for name, w := range others {
		t.Run(name, func(t *testing.T) {
			l := live(t, w, maps.Clone(judgingShared))
			l.want(0, l.run(now, true), "keep", "usage-report-pending")
			record := l.real(0)
			l.want(0, record, "keep", "usage-report-pending")
			if got := writes(l.account); !slices.Equal(got, []string{"CreateImageUsageReport"}) || record.Failed() {
				t.Errorf("%v", got)
			}
			if reports := l.reports(); len(reports) != 1 || reports[0]["State"] != "pending" || !strings.Contains(fmt.Sprint(reports[0]["Tags"]), record.Run) ||
				!strings.Contains(fmt.Sprint(reports[0]["ResourceTypes"]), "10000") {
				t.Errorf("%v", reports)
			}
			// While it is pending, nobody asks for another.
			record = l.run(now.Add(2*time.Minute), false)
			l.want(0, record, "keep", "usage-report-pending")
			if len(writes(l.account)) > 0 {
				t.Errorf("%v", writes(l.account))
			}
			if why := reasons(record, imageID(1)); !strings.Contains(why, "not available yet") {
				t.Errorf("%s", why)
			}
			l.want(1, l.run(night(1), true), "deregister", "stale")
			record = l.real(1)
			l.want(1, record, "deregistered", "stale")
			if !record.Sources.OtherAccounts || strings.Contains(digest.Full(record), "use by other accounts") {
				t.Errorf("%s", digest.Text(record))
			}
			l.real(2)
			if left := l.reports(); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
		})
	}
}

// A use by another account keeps the image, whatever its kind, for as long as it lasts.
func TestUseByAnotherAccount(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"ec2:Instance", "ec2:LaunchTemplate"} {
		for name, w := range others {
			t.Run(name+" "+kind, func(t *testing.T) {
				l := live(t, w, maps.Clone(judgingShared))
				l.use(1, kind, 3)
				used := 0
				for day := range 12 {
					record := l.real(day)
					l.want(day, record, "keep")
					why := reasons(record, imageID(1))
					words := map[string]string{"ec2:Instance": "3 instances", "ec2:LaunchTemplate": "3 launch templates"}[kind]
					if strings.Contains(why, "in-use: used by "+words+" of account 111122223333, as usage report ") && strings.Contains(why, " says") {
						used++
					} else if !strings.HasPrefix(why, "usage-report-pending") {
						t.Errorf("day %d: %s", day, why)
					}
					if n := len(l.reports()); n > 1 {
						t.Errorf("day %d: %d reports", day, n)
					}
				}
				if used < 5 {
					t.Errorf("in 12 nights the use was told %d times", used)
				}
				l.edit("describe-image-usage-report-entries.json", func(content object) { content["ImageUsageReportEntries"] = []object{} })
				gone := false
				for day := 12; day < 15; day++ {
					gone = gone || verdicts(l.real(day))[imageID(1)] == "deregistered"
				}
				if !gone {
					t.Error("it stays, although nobody uses it now")
				}
			})
		}
	}
}

// A report proves nothing that is too old, incomplete, from the future, not the janitor's, or made
// too soon after the last use; another one is asked for.
func TestReportsThatProveNothing(t *testing.T) {
	good := usageReport(7, imageID(1), 1)
	edit := func(change object) object {
		changed := maps.Clone(good)
		maps.Copy(changed, change)
		return changed
	}
	partly := func(kinds ...object) object { return edit(object{"ResourceTypes": kinds}) }
	depth := func(options ...object) object {
		return object{"ResourceType": "ec2:LaunchTemplate", "ResourceTypeOptions": options}
	}
	instances := object{"ResourceType": "ec2:Instance"}
	for name, c := range map[string]struct {
		report   object
		image    object
		settings settings
		says     string
		asks     bool
	}{
		"good":               {report: good},
		"of three days":      {report: edit(object{"CreationTime": daysAgo(3)})},
		"too old":            {report: edit(object{"CreationTime": now.Add(-72*time.Hour - time.Second).Format(time.RFC3339)}), says: "is not of the last 3 days", asks: true},
		"from the future":    {report: edit(object{"CreationTime": daysAgo(-1)}), says: "is not of the last 3 days", asks: true},
		"failed":             {report: edit(object{"State": "error"}), says: `in state "error"`, asks: true},
		"in a new state":     {report: edit(object{"State": "partial"}), says: `in state "partial"`, asks: true},
		"of one account":     {report: edit(object{"AccountIds": []string{"111122223333"}}), says: "leaves out", asks: true},
		"of instances alone": {report: partly(instances), says: "leaves out", asks: true},
		"of templates alone": {report: partly(depth(object{"OptionName": "version-depth", "OptionValues": []string{"10000"}})), says: "leaves out", asks: true},
		"not deep enough":    {report: partly(instances, depth(object{"OptionName": "version-depth", "OptionValues": []string{"9999"}})), says: "leaves out", asks: true},
		"of the usual depth": {report: partly(instances, depth()), says: "leaves out", asks: true},
		"deep enough":        {report: partly(instances, depth(object{"OptionName": "version-depth", "OptionValues": []string{"5"}})), settings: settings{"LAUNCH_TEMPLATE_VERSIONS": "5"}},
		"somebody else's":    {report: edit(object{"Tags": []object{{"Key": "Owner", "Value": "me"}}}), says: "asks for a usage report", asks: true},
		"of another image":   {report: edit(object{"ImageId": imageID(2)}), says: "asks for a usage report", asks: true},
		"too soon":           {report: good, image: with(image(1, 400, 0, 1), "LastLaunchedTime", now.Add(-8*24*time.Hour+time.Second).Format(time.RFC3339)), settings: settings{"STALE_AFTER": "7d"}, says: "less than 7 days after the last use", asks: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := others["shared"]
			if c.image != nil {
				w.images = []object{c.image}
			}
			account := w.and("describe-image-usage-reports.json", "ImageUsageReports", c.report).load(t)
			s := maps.Clone(judgingShared)
			maps.Copy(s, c.settings)
			record := run(t, account.Client(), s, false)
			checkRecord(t, record, 100)
			if got := verdicts(record)[imageID(1)]; (got == "deregistered") != (c.says == "") {
				t.Errorf("%s for %s", got, reasons(record, imageID(1)))
			}
			if c.says != "" && !strings.Contains(reasons(record, imageID(1)), c.says) {
				t.Errorf("kept for %s, want %s", reasons(record, imageID(1)), c.says)
			}
			if asked := slices.Contains(writes(account), "CreateImageUsageReport"); asked != c.asks {
				t.Errorf("asked: %v, want %v: %v", asked, c.asks, writes(account))
			}
		})
	}
}

// A denied permission of any part of it keeps the image. What cannot be asked for is told, and not
// counted as done.
func TestReportsThatAreDenied(t *testing.T) {
	for action, c := range map[string]struct{ first, then, says string }{
		"CreateImageUsageReport":          {"failed", "failed", "no usage report could be asked for"},
		"DescribeImageUsageReports":       {"keep", "keep", "usage-reports: ec2:DescribeImageUsageReports: UnauthorizedOperation"},
		"DescribeImageUsageReportEntries": {"keep", "keep", "usage-reports: ec2:DescribeImageUsageReportEntries: UnauthorizedOperation"},
		"DeleteImageUsageReport":          {"keep", "deregistered", ""},
	} {
		t.Run(action, func(t *testing.T) {
			l := live(t, others["shared"], maps.Clone(judgingShared))
			l.wrap = func(next emulator.Doer) emulator.Doer { return disturb.Deny(next, action) }
			l.want(0, l.real(0), c.first)
			record := l.real(1)
			l.want(1, record, c.then)
			told := reasons(record, imageID(1)) + allOutcomes(record)
			if !strings.Contains(told, c.says) {
				t.Errorf("told %s", told)
			}
			if record.Failed() != (c.then == "failed") || record.LacksProof() != (c.then == "keep") {
				t.Errorf("failed: %v, lacks proof: %v", record.Failed(), record.LacksProof())
			}
		})
	}
}

func allOutcomes(record record.Run) string {
	var words []string
	for _, i := range allImages(record) {
		if i.Outcome != nil {
			words = append(words, i.Outcome.Error)
		}
	}
	return strings.Join(words, "; ")
}

// Announced, waiting, and a report that is fresh on the due day: with a grace period a shared
// image goes as well, and it is never disabled, because that would take it from the others for
// good.
func TestASharedImageWithGrace(t *testing.T) {
	t.Parallel()
	for _, act := range thinned([]string{"announce", "deprecate", "disable"}, 3) {
		for name, w := range others {
			t.Run(name+" "+act, func(t *testing.T) {
				s := settingsOf(act)
				maps.Copy(s, judgingShared)
				l := live(t, w, s)
				gone := 0
				for day := range 22 {
					plan, record := l.run(night(day), true), l.real(day)
					verdict := verdicts(record)[imageID(1)]
					for _, i := range append(allImages(plan), allImages(record)...) {
						if i.Action == "disable" && i.ImageID == imageID(1) {
							t.Errorf("day %d: it is said to be disabled", day)
						}
					}
					if slices.Contains(writes(l.account), "DisableImage") {
						t.Errorf("day %d: it is disabled", day)
					}
					if verdict == "deregistered" {
						gone = day
						break
					}
					if verdict != "keep" && verdict != "marked" {
						t.Errorf("day %d: %s: %s", day, verdict, reasons(record, imageID(1)))
					}
				}
				if gone < 15 || gone > 17 {
					t.Errorf("it goes on day %d", gone)
				}
			})
		}
	}
}

// A shared image that others begin to use while it waits for its day stays.
func TestASharedImageThatOthersBeginToUse(t *testing.T) {
	s := maps.Clone(graceful)
	maps.Copy(s, judgingShared)
	l := live(t, others["shared"], s)
	l.real(0)
	l.want(1, l.real(1), "marked")
	l.use(1, "ec2:Instance", 3)
	for day := 2; day < 40; day++ {
		l.want(day, l.real(day), "keep")
	}
}

// With the setting off nothing of this happens.
func TestSharedImagesAreKept(t *testing.T) {
	for name, w := range others {
		account := w.and("describe-image-usage-reports.json", "ImageUsageReports", usageReport(7, imageID(1), 1)).load(t)
		record := run(t, account.Client(), nil, false)
		code := "shared"
		if name == "public" {
			code = "public"
		}
		if got := reasons(record, imageID(1)); !strings.HasPrefix(got, code+": ") || len(writes(account)) > 0 || calls(account, "DescribeImageUsageReports") > 0 {
			t.Errorf("%s: %s, %v", name, got, callsOf(account))
		}
	}
}

// The cap bounds the reports that a run asks for.
func TestTheCapOfReports(t *testing.T) {
	w := world{permissions: object{}, images: []object{image(9, 400, 300, 9)}, reservations: []object{instance(9, imageID(9), "stopped")}}
	for n := range 5 {
		w.images = append(w.images, image(n, 400, 300-n, n))
		w.permissions[imageID(n)] = []object{{"UserId": "111122223333"}}
	}
	s := maps.Clone(judgingShared)
	s["MAX_DEREGISTRATIONS"] = "2"
	l := live(t, w, s)
	removed := 0
	for day := range 8 {
		record := l.real(day)
		removed += record.Totals.Deregistered
		if n := calls(l.account, "CreateImageUsageReport"); n > 2 {
			t.Errorf("day %d: asks for %d reports", day, n)
		}
	}
	if removed != 5 || len(l.reports()) > 0 {
		t.Errorf("%d removed, reports left: %v", removed, l.reports())
	}
}

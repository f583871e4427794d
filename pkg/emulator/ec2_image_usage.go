package emulator

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// AWS's limits on reports of the use that accounts make of an image (EC2 API Reference,
// CreateImageUsageReport; EC2 User Guide, "View your AMI usage").
const (
	maxReportIDs       = 200
	maxReportAccounts  = 200
	maxPendingReports  = 2000
	defaultReportDepth = 20
	reportLifetime     = 30 * 24 * time.Hour
)

// reportDelay is how long a report is pending. How long that is at AWS is not documented.
const reportDelay = 5 * time.Minute

// usageReportPages is how reports and their entries page (EC2 API Reference,
// DescribeImageUsageReports). How long a page is if no size is given is not documented.
var usageReportPages = paging{least: 1, most: 1000, usual: 100}

// tokenUse is what a client token was first used for.
type tokenUse struct {
	parameters string
	reportID   string
}

// createImageUsageReport begins a report on an image of the account's own.
func createImageUsageReport(c *call) (object, error) {
	c.settleReports()
	if _, err := c.ownImage(""); err != nil {
		return nil, err
	}
	token, parameters := c.text("ClientToken"), c.Form.Encode()
	if use, ok := c.region.reportTokens[token]; ok {
		if use.parameters != parameters {
			return nil, refuse("IdempotentParameterMismatch", "The client token was used with other parameters before")
		}
		return object{"ReportId": use.reportID}, nil
	}
	report, err := c.readReport()
	if err != nil {
		return nil, err
	}
	if err := c.roomForReport(); err != nil {
		return nil, err
	}
	id := c.region.newReportID()
	report["ReportId"] = id
	c.region.documents[usageReportsFile].add(report)
	if token != "" {
		c.region.reportTokens[token] = tokenUse{parameters, id}
	}
	return object{"ReportId": id}, nil
}

// readReport is the report that the request describes.
func (c *call) readReport() (object, error) {
	now := c.account.now().UTC()
	report := object{
		"ImageId": c.text("ImageId"), "State": "pending",
		"CreationTime": now.Format(timestampLayout), "ExpirationTime": now.Add(reportLifetime).Format(timestampLayout),
	}
	kinds, err := c.reportedTypes()
	if err != nil {
		return nil, err
	}
	report["ResourceTypes"] = kinds
	accounts := c.list("AccountId")
	if len(accounts) > maxReportAccounts {
		return nil, c.invalid("At most %d account IDs can be given, not %d", maxReportAccounts, len(accounts))
	}
	if len(accounts) > 0 {
		report["AccountIds"] = anys(accounts)
	}
	for _, m := range members(c.Form, "TagSpecification") {
		if kind := m.Get("ResourceType"); kind != "image-usage-report" {
			return nil, c.invalid("'%s' is not a valid taggable resource type for this operation.", kind)
		}
		tags, err := readTags(m)
		if err != nil {
			return nil, err
		}
		report["Tags"] = anys(tags)
	}
	return report, nil
}

// reportedTypes are the types of the resources that the request wants a report on, with their
// options.
func (c *call) reportedTypes() ([]any, error) {
	var kinds []any
	for _, m := range members(c.Form, "ResourceType") {
		kind := object{"ResourceType": m.Get("ResourceType")}
		switch m.Get("ResourceType") {
		case "ec2:Instance":
			if len(members(m, "ResourceTypeOption")) > 0 {
				return nil, c.invalid("The resource type ec2:Instance has no options")
			}
		case "ec2:LaunchTemplate":
			depth, err := c.reportedDepth(m)
			if err != nil {
				return nil, err
			}
			kind["ResourceTypeOptions"] = []any{object{"OptionName": "version-depth", "OptionValues": []any{strconv.Itoa(depth)}}}
		default:
			return nil, c.invalid("The resource type '%s' is invalid", m.Get("ResourceType"))
		}
		kinds = append(kinds, kind)
	}
	if len(kinds) == 0 {
		return nil, refuse("MissingParameter", "The request must contain the parameter ResourceTypes")
	}
	return kinds, nil
}

// reportedDepth is how many versions of a launch template count.
func (c *call) reportedDepth(form url.Values) (int, error) {
	depth := defaultReportDepth
	for _, option := range members(form, "ResourceTypeOption") {
		if name := option.Get("OptionName"); name != "version-depth" {
			return 0, c.invalid("The option '%s' is invalid", name)
		}
		var err error
		if depth, err = versionDepth(list(option, "OptionValue")); err != nil {
			return 0, err
		}
	}
	return depth, nil
}

// roomForReport refuses a second pending report on an image, and too many in all. The code is not
// documented.
func (c *call) roomForReport() error {
	pending := 0
	for _, report := range c.region.items(usageReportsFile) {
		if text(report, "State") != "pending" {
			continue
		}
		pending++
		if text(report, "ImageId") == c.text("ImageId") {
			return refuse("ResourceLimitExceeded", "The report %s on the image is still pending", text(report, "ReportId"))
		}
	}
	if pending >= maxPendingReports {
		return refuse("ResourceLimitExceeded", "At most %d reports can be pending", maxPendingReports)
	}
	return nil
}

// newReportID is an id that no report has or has had.
func (r *region) newReportID() string {
	for n := len(r.items(usageReportsFile)) + 1; ; n++ {
		id := fmt.Sprintf("amiur-%017x", n)
		if r.find(usageReportsFile, "ReportId", id) == nil && !r.gone[id] {
			return id
		}
	}
}

// settleReports makes reports available that have been pending for long enough, and removes those
// that have expired.
func (c *call) settleReports() {
	now := c.account.now()
	for _, report := range slices.Clone(c.region.items(usageReportsFile)) {
		created, ok := instant(text(report, "CreationTime"))
		if ok && text(report, "State") == "pending" && !now.Before(created.Add(reportDelay)) {
			report["State"] = "available"
			c.region.fill(report)
		}
		if expires, ok := instant(text(report, "ExpirationTime")); ok && !now.Before(expires) {
			c.region.removeReport(text(report, "ReportId"))
		}
	}
}

// fill gives a report its entries. Those in the account directory that are of no report are what
// other accounts really use; a report shows as much of it as it was asked for.
func (r *region) fill(report object) {
	accounts, kinds := values(report, "AccountIds"), values(report, "ResourceTypes.ResourceType")
	d := r.documents[usageEntriesFile]
	for _, use := range slices.Clone(d.items) {
		if text(use, "ReportId") != "" || text(use, "ImageId") != text(report, "ImageId") ||
			!slices.Contains(kinds, text(use, "ResourceType")) ||
			len(accounts) > 0 && !slices.Contains(accounts, text(use, "AccountId")) {
			continue
		}
		entry := maps.Clone(use)
		entry["ReportId"] = report["ReportId"]
		entry["ReportCreationTime"] = report["CreationTime"]
		d.add(entry)
	}
}

// removeReport removes a report, and its entries.
func (r *region) removeReport(id string) {
	r.remove(usageReportsFile, "ReportId", id)
	r.remove(usageEntriesFile, "ReportId", id)
}

// describeImageUsageReports lists reports.
func describeImageUsageReports(c *call) (object, error) {
	if err := c.notBoth("ReportId", "ReportIds"); err != nil {
		return nil, err
	}
	reports, err := c.reported(usageReportsFile)
	if err != nil {
		return nil, err
	}
	reports, err = c.filter(reports, map[string]string{"creation-time": "CreationTime", "state": "State"})
	if err != nil {
		return nil, err
	}
	reports, token, err := page(c, reports, usageReportPages)
	return listing("ImageUsageReports", reports, token), err
}

// describeImageUsageReportEntries lists the entries of the reports that are available.
func describeImageUsageReportEntries(c *call) (object, error) {
	entries, err := c.reported(usageEntriesFile)
	if err != nil {
		return nil, err
	}
	available := map[string]bool{}
	for _, report := range c.region.items(usageReportsFile) {
		available[text(report, "ReportId")] = text(report, "State") == "available"
	}
	entries = slices.DeleteFunc(entries, func(o object) bool { return !available[text(o, "ReportId")] })
	entries, err = c.filter(entries, map[string]string{
		"account-id": "AccountId", "creation-time": "ReportCreationTime", "resource-type": "ResourceType",
	})
	if err != nil {
		return nil, err
	}
	entries, token, err := page(c, entries, usageReportPages)
	return listing("ImageUsageReportEntries", entries, token), err
}

// reported are the objects of a file that are of the request's images and reports, if it names any.
// All the reports must be there.
func (c *call) reported(file string) ([]object, error) {
	c.settleReports()
	images, reports := c.list("ImageId"), c.list("ReportId")
	if len(images) > maxReportIDs || len(reports) > maxReportIDs {
		return nil, c.invalid("At most %d IDs can be given", maxReportIDs)
	}
	for _, id := range reports {
		if err := c.checkReport(id); err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(slices.Clone(c.region.items(file)), func(o object) bool {
		return len(images) > 0 && !slices.Contains(images, text(o, "ImageId")) ||
			len(reports) > 0 && !slices.Contains(reports, text(o, "ReportId"))
	}), nil
}

// checkReport refuses the id of a report that is not there. The code is not documented.
func (c *call) checkReport(id string) error {
	switch {
	case id == "":
		return refuse("MissingParameter", "The request must contain the parameter ReportId")
	case c.region.find(usageReportsFile, "ReportId", id) == nil:
		return refuse("InvalidImageUsageReportId.NotFound", "The image usage report '%s' does not exist", id)
	}
	return nil
}

// deleteImageUsageReport deletes a report, pending or not.
func deleteImageUsageReport(c *call) (object, error) {
	c.settleReports()
	id := c.text("ReportId")
	if err := c.checkReport(id); err != nil {
		return nil, err
	}
	c.region.removeReport(id)
	return object{"Return": true}, nil
}

package digest

import (
	"net/url"
	"regexp"
	"strings"

	"github.com/ami-janitor/ami-janitor/pkg/plain"
)

// links are where a person finds the rest: what each is called, and its address. What the run does
// not know is left out.
func (r run) links() [][]string {
	var links [][]string
	add := func(what, where string) {
		if where != "" {
			links = append(links, []string{what, where})
		}
	}
	if r.Record == "" {
		add("Run", plain.Printable(r.Run.Run))
	}
	if page := r.page(); page != "" {
		add("Report", page+" (about a minute after this message)")
	}
	add("Record", plain.Location(r.Record))
	if home := r.Reader.Home; r.Reader.Stack != "" && !r.Reader.CommandLine {
		add("Dashboard", consoleLink(home, "cloudwatch", "#dashboards/dashboard/"+plain.Text(r.Reader.Stack)+"-"+home))
	}
	if len(r.Regions) == 1 && r.Copy == nil {
		add("Console", consoleLink(r.Regions[0].Region, "ec2", "#Images:"))
	}
	return links
}

// page is the address of the page that another function draws of the record; empty if none does.
func (r run) page() string {
	if !r.Reader.HasPages {
		return ""
	}
	return PageLink(r.Record, r.Reader.Home)
}

// PageLink is where the AWS console shows the page beside a record in a bucket; empty if there is
// no such place.
func PageLink(record, region string) string {
	parts := recordInBucket.FindStringSubmatch(record)
	console := consoleOf(region)
	if parts == nil || console == "" {
		return ""
	}
	key := strings.ReplaceAll(url.QueryEscape(parts[2]), "%2F", "/")
	return console + "/s3/object/" + parts[1] + "?region=" + region + "&prefix=" + key + "report.html"
}

// recordInBucket matches the location of a record, and finds its bucket and what its key has before
// the name of the document.
var recordInBucket = regexp.MustCompile(`^s3://([a-z0-9.-]+)/((?:[0-9A-Za-z!_.*'()-]+/)+)record\.json$`)

// ResourceLink is where the AWS console shows an image or a snapshot of a region; empty if there is
// no such place.
func ResourceLink(region, id string) string {
	switch {
	case !isResource.MatchString(id):
		return ""
	case strings.HasPrefix(id, "ami-"):
		return consoleLink(region, "ec2", "#ImageDetails:imageId="+id)
	default:
		return consoleLink(region, "ec2", "#SnapshotDetails:snapshotId="+id)
	}
}

var isResource = regexp.MustCompile(`^(ami|snap)-[0-9a-z]{1,64}$`)

// consoleLink is the address of a page of the AWS console; empty if that is not known.
func consoleLink(region, service, page string) string {
	console := consoleOf(region)
	if console == "" {
		return ""
	}
	return console + "/" + service + "/home?region=" + region + page
}

// consoleOf is the address of a region's AWS console; empty for what is no region, or in a
// partition whose console is not known.
func consoleOf(region string) string {
	if !isRegion.MatchString(region) {
		return ""
	}
	host := "console.aws.amazon.com"
	switch {
	case strings.HasPrefix(region, "cn-"):
		host = "console.amazonaws.cn"
	case strings.HasPrefix(region, "us-gov-"):
		host = "console.amazonaws-us-gov.com"
	case strings.Contains(region, "iso"):
		return ""
	}
	return "https://" + host
}

var isRegion = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-[0-9]{1,2}$`)

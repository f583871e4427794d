package digest

import (
	"regexp"
	"strings"

	"github.com/ami-janitor/ami-janitor/pkg/plain"
)

// links are where a person finds the rest: what each is called, and its address. What the run does
// not know is left out. A report of the run belongs here, before the record.
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
	add("Record", plain.Location(r.Record))
	if home := r.Reader.Home; r.Reader.Stack != "" && !r.Reader.CommandLine {
		add("Dashboard", consoleLink(home, "cloudwatch", "#dashboards/dashboard/"+plain.Text(r.Reader.Stack)+"-"+home))
	}
	if len(r.Regions) == 1 && r.Copy == nil {
		add("Console", consoleLink(r.Regions[0].Region, "ec2", "#Images:"))
	}
	return links
}

// consoleLink is the address of a page of the AWS console; empty for what is no region, or in a
// partition whose console is not known.
func consoleLink(region, service, page string) string {
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
	return "https://" + host + "/" + service + "/home?region=" + region + page
}

var isRegion = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-[0-9]{1,2}$`)

package report_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/report"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

var (
	update    = flag.Bool("update", false, "rewrite the golden files")
	pagesFlag = flag.String("pages", "", "directory for the golden pages and the records that they are made of")
	keep      = flag.String("keep", "", "file for the page of the benchmark")
)

// situations are the records of all nights that the digest is tested with.
func situations(t *testing.T) map[string]record.Run {
	t.Helper()
	files, err := filepath.Glob("../digest/testdata/*/record.json")
	if err != nil || len(files) < 50 {
		t.Fatalf("%d records: %v", len(files), err)
	}
	runs := map[string]record.Run{}
	for _, file := range files {
		runs[filepath.Base(filepath.Dir(file))] = parsed(t, read(t, file))
	}
	return runs
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func parsed(t *testing.T, text []byte) record.Run {
	t.Helper()
	run, err := record.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return run
}

// page is the HTML about some runs.
func page(t *testing.T, runs ...record.Run) string {
	t.Helper()
	var r report.Report
	for _, run := range runs {
		r.Add(run)
	}
	var page bytes.Buffer
	if err := r.HTML(&page); err != nil {
		t.Fatal(err)
	}
	return page.String()
}

// nights is a night, the same again three days later, and a run of another account.
func nights(run record.Run) []record.Run {
	later, other := run, run
	later.StartedAt = run.StartedAt.AddDate(0, 0, 3)
	other.Regions = slices.Clone(run.Regions)
	for n := range other.Regions {
		other.Regions[n].Account = "111122223333"
	}
	return []record.Run{run, later, other}
}

func elements(t *testing.T, page string) []*html.Node {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	var all []*html.Node
	for n := range root.Descendants() {
		if n.Type == html.ElementNode {
			all = append(all, n)
		}
	}
	return all
}

func attribute(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func words(n *html.Node) string {
	var text strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			text.WriteString(d.Data)
		}
	}
	return text.String()
}

func named(all []*html.Node, name string) []*html.Node {
	return slices.DeleteFunc(slices.Clone(all), func(n *html.Node) bool { return n.Data != name })
}

// pages are the runs of the pages that are compared with golden files and opened in a browser.
func pages(t *testing.T) map[string][]record.Run {
	t.Helper()
	all := situations(t)
	night := parsed(t, read(t, "../janitor/testdata/sample-record.json"))
	return map[string][]record.Run{
		"sample": {night},
		"empty":  {all["no-images"]},
		"failed": {all["every-region-failed"]},
		"nights": {before(night, 5), failing(before(night, 4)), before(night, 2), before(night, 1), night},
		"hostile": nights(replaced(t, read(t, "../digest/testdata/failures/record.json"),
			"\u202e<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"+strings.Repeat("long ", 200))),
		"large": {large(10_000)},
	}
}

// before is a night some days before another: fewer images were there.
func before(run record.Run, days int) record.Run {
	run.StartedAt, run.Regions = run.StartedAt.AddDate(0, 0, -days), slices.Clone(run.Regions)
	run.Run = run.StartedAt.Format("20060102T150405Z") + "-3f9c1a"
	for n := range run.Regions {
		region := &run.Regions[n]
		region.Images = slices.Clone(region.Images)
		for range 2 * days {
			at := slices.IndexFunc(region.Images, func(i record.Image) bool { return i.Verdict == retention.Keep && strings.HasPrefix(i.Family, "w") })
			if at < 0 {
				at = slices.IndexFunc(region.Images, func(i record.Image) bool { return i.Verdict == retention.Keep })
			}
			region.Images = slices.Delete(region.Images, at, at+1)
		}
	}
	run.Finish(run.StartedAt.Add(time.Minute), run.SnapshotPrice)
	return run
}

// failing is a night on which a region could not be read.
func failing(run record.Run) record.Run {
	run.Regions[0].Images, run.Regions[0].Error = nil, "DescribeImages: UnauthorizedOperation: You are not authorized to perform this operation."
	run.Finish(run.StartedAt.Add(time.Minute), run.SnapshotPrice)
	return run
}

// The pages, as browsers get them. With -pages they are written for the browser's checks.
func TestGolden(t *testing.T) {
	all := pages(t)
	for name, runs := range all {
		got := page(t, runs...)
		checkPage(t, name, got)
		if *pagesFlag != "" {
			records, err := json.Marshal(runs)
			if err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(*pagesFlag, name+".json"), records)
		}
	}
	checkPage(t, "organization", organizationPage(t, organizations(t)["ordinary"]))
	var r report.Report
	for _, run := range all["nights"] {
		r.Add(run)
	}
	const run = "20261123T020000Z-3f9c1a"
	checkPage(t, "index", index(t, &r, []report.Listed{{Run: run, Record: runsDirectory + run + "/record.json", Page: "runs/" + run + "/report.html"}}))
}

func checkPage(t *testing.T, name, got string) {
	t.Helper()
	if *pagesFlag != "" {
		write(t, filepath.Join(*pagesFlag, name+".html"), []byte(got))
	}
	if name == "large" || name == "hostile" {
		return // Their bytes say nothing to those who read a change.
	}
	golden := filepath.Join("testdata", name+".html")
	if *update {
		write(t, golden, []byte(got))
	}
	if diff := cmp.Diff(string(read(t, golden)), got); diff != "" {
		t.Errorf("%s (-want +got); make golden rewrites it:\n%s", golden, diff)
	}
}

func write(t *testing.T, file string, content []byte) {
	t.Helper()
	if err := os.WriteFile(file, content, 0o644); err != nil {
		t.Fatal(err)
	}
}

// Every page asks nobody for anything, runs no script but its own, and says in words what a picture
// shows.
func TestEveryPageIsOfOneFile(t *testing.T) {
	for name, run := range situations(t) {
		t.Run(name, func(t *testing.T) {
			text := page(t, nights(run)...)
			if strings.Contains(text, "ZgotmplZ") {
				t.Error("the template refuses a value")
			}
			checkElements(t, text)
		})
	}
}

// toResource matches the links to the AWS console.
var toResource = regexp.MustCompile(`^https://console\.aws\.amazon\.com/ec2/home\?region=[a-z0-9-]+#(ImageDetails:imageId=ami|SnapshotDetails:snapshotId=snap)-[0-9a-z]+$`)

// An id leads to the AWS console, unless the image or the snapshot is gone, or it is no id.
func TestLinksToTheConsole(t *testing.T) {
	const hostile, console = `ami-1"><b>`, "https://console.aws.amazon.com/ec2/home?region=eu-west-1#"
	run := situations(t)["ordinary"]
	run.Regions[0].Images[7].ImageID = hostile
	all, linked := elements(t, page(t, run)), map[string]string{}
	for _, a := range named(all, "a") {
		linked[words(a)] = attribute(a, "href")
	}
	for id, want := range map[string]string{
		"ami-00000001example":  "", // Removed.
		"ami-00000005example":  console + "ImageDetails:imageId=ami-00000005example",
		"ami-00000100example":  console + "ImageDetails:imageId=ami-00000100example",
		hostile:                "",
		"snap-00000001example": "", // Deleted.
		"snap-00000004example": console + "SnapshotDetails:snapshotId=snap-00000004example",
	} {
		if linked[id] != want || !strings.Contains(words(named(all, "main")[0]), id) {
			t.Errorf("%s leads to %q, and not to %q", id, linked[id], want)
		}
	}
}

// checkElements takes the links that lead out of the page.
func checkElements(t *testing.T, text string, links ...string) {
	t.Helper()
	known := strings.Fields("html head meta title style body header h1 h2 h3 nav ul li a main section p strong span div details summary pre code " +
		"table caption thead tbody tr th td svg rect path figure figcaption bdi br footer script")
	ids, counts := map[string]bool{}, map[string]int{}
	all := elements(t, text)
	for _, n := range all {
		counts[n.Data]++
		if !slices.Contains(known, n.Data) {
			t.Errorf("<%s> is no element of the page", n.Data)
		}
		if id := attribute(n, "id"); id != "" && ids[id] {
			t.Errorf("two elements have the id %s", id)
		} else if id != "" {
			ids[id] = true
		}
	}
	for _, n := range all {
		for _, a := range n.Attr {
			switch {
			case a.Key == "href" && toResource.MatchString(a.Val) && attribute(n, "rel") == "noopener" && strings.HasSuffix(a.Val, "="+words(n)):
			case a.Key == "href" && !ids[strings.TrimPrefix(a.Val, "#")] && !slices.Contains(links, a.Val):
				t.Errorf("a link to %q", a.Val)
			case slices.Contains(strings.Fields("src srcset action formaction data poster background ping style xlink:href"), a.Key), strings.HasPrefix(a.Key, "on"):
				t.Errorf("<%s %s=%q>", n.Data, a.Key, a.Val)
			}
		}
		if n.Data == "svg" && (attribute(n, "role") != "img" || n.FirstChild == nil || n.FirstChild.Data != "title" || words(n.FirstChild) == "") {
			t.Error("a picture says nothing to those who do not see it")
		}
		if n.Data == "div" && attribute(n, "class") == "wide" && (attribute(n, "tabindex") != "0" || attribute(n, "aria-label") == "") {
			t.Error("who has no mouse cannot scroll a table")
		}
		if n.Data == "th" && attribute(n, "scope") == "" {
			t.Errorf("the header %q has no scope", words(n))
		}
	}
	if counts["h1"] != 1 || counts["main"] != 1 || counts["script"] != 1 || counts["style"] != 1 {
		t.Errorf("%v", counts)
	}
}

// The policy of the page lets in its own style and script, and nothing else.
func TestContentSecurityPolicy(t *testing.T) {
	all := elements(t, page(t, situations(t)["ordinary"]))
	hash := func(name string) string {
		sum := sha256.Sum256([]byte(words(named(all, name)[0])))
		return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
	}
	want := "default-src 'none'; style-src '" + hash("style") + "'; script-src '" + hash("script") + "'; base-uri 'none'; form-action 'none'"
	got := ""
	for _, n := range named(all, "meta") {
		if attribute(n, "http-equiv") == "Content-Security-Policy" {
			got = attribute(n, "content")
		}
	}
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for _, name := range []string{"style.css", "script.js"} {
		if strings.Contains(string(read(t, name)), "://") {
			t.Errorf("%s has a URL", name)
		}
	}
	if n := bytes.Count(read(t, "script.js"), []byte("\n")); n > 40 {
		t.Errorf("the script has %d lines", n)
	}
}

// replaced is a record in which every text of others is replaced.
func replaced(t *testing.T, text []byte, by string) record.Run {
	t.Helper()
	var tree any
	if err := json.Unmarshal(text, &tree); err != nil {
		t.Fatal(err)
	}
	foreign := strings.Fields("name owner family detail error hold accountAlias version policySentence s3Location orphansGap remainsGap notRestorable")
	var walk func(any)
	walk = func(node any) {
		switch node := node.(type) {
		case map[string]any:
			for key, value := range node {
				if s, isText := value.(string); isText && s != "" && slices.Contains(foreign, key) {
					node[key] = by
				}
				walk(value)
			}
		case []any:
			for _, value := range node {
				walk(value)
			}
		}
	}
	walk(tree)
	text, err := json.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	return parsed(t, text)
}

// No text that others wrote changes what the page consists of, hides anything, or makes it long.
func TestHostileText(t *testing.T) {
	outline := func(text string) []string {
		var names []string
		for _, n := range elements(t, text) {
			name := n.Data
			for _, a := range n.Attr {
				name += " " + a.Key
			}
			names = append(names, name)
		}
		return names
	}
	for _, situation := range []string{"failures", "region-failed", "announcing", "not-restorable"} {
		text := read(t, "../digest/testdata/"+situation+"/record.json")
		want := outline(page(t, replaced(t, text, "harmless")))
		for _, hostile := range []string{
			`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `' onmouseover='alert(1)`, `</title></svg></style></script><b>`,
			"{{.}}", "]]>&lt;&#60;", "\u202egnp.exe", "a\x00b\u2028c\u200bd", "\xff\xfe", strings.Repeat("<b>long", 10_000),
		} {
			got := page(t, replaced(t, text, hostile))
			if diff := cmp.Diff(want, outline(got)); diff != "" {
				t.Errorf("%s with %.20q (-want +got):\n%s", situation, hostile, diff)
			}
			if i := strings.IndexAny(got, "\u202e\u200b\u2028\x00"); i >= 0 {
				t.Errorf("%s with %.20q: %q", situation, hostile, got[max(i-40, 0):i+10])
			}
			if len(got) > 600_000 {
				t.Errorf("%s with %.20q: %d bytes", situation, hostile, len(got))
			}
		}
	}
}

// cells are the texts of the cells of the rows of the table below a title.
func cells(t *testing.T, all []*html.Node, title string) [][]string {
	t.Helper()
	var rows [][]string
	inside := false
	for _, n := range all {
		switch {
		case n.Data == "h3":
			inside = words(n) == title
		case inside && n.Data == "tr":
			var row []string
			for c := range n.ChildNodes() {
				if c.Data == "td" || c.Data == "th" {
					row = append(row, words(c))
				}
			}
			rows = append(rows, row)
		}
	}
	return rows
}

func dollars(t *testing.T, text string) float64 {
	t.Helper()
	var value float64
	if err := json.Unmarshal([]byte(strings.NewReplacer("$", "", ",", "").Replace(text)), &value); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return value
}

// The figures of the page are those of the record, and the waterfall leaves nothing out.
func TestFigures(t *testing.T) {
	waterfalls := 0
	for name, run := range situations(t) {
		all := elements(t, page(t, run))
		checkCards(t, name, run, all)
		rows := cells(t, all, "Where the money is")
		if run.Count(func(record.Image) bool { return true }) == 0 {
			if len(rows) > 0 || !strings.Contains(page(t, run), "No AMI was read.") {
				t.Errorf("%s: %q of no image", name, rows)
			}
			continue
		}
		left := 0.0
		for n, row := range rows[1:] {
			switch {
			case n == 0:
				left = dollars(t, row[3])
			case row[0] == "Nothing keeps them":
				if got := dollars(t, row[3]); got-left > 0.005 || left-got > 0.005 {
					t.Errorf("%s: nothing keeps %v, and %v are left", name, got, left)
				}
			default:
				left -= dollars(t, row[3])
			}
		}
		if left > 0.005 || left < -0.005 {
			t.Errorf("%s: %v are not in the waterfall: %q", name, left, rows)
		}
		checkEnds(t, name, run, rows)
		if len(rows) > 5 {
			waterfalls++
		}
	}
	if waterfalls < 15 {
		t.Error(waterfalls)
	}
}

// checkEnds compares where the waterfall ends with what the cards say.
func checkEnds(t *testing.T, name string, run record.Run, rows [][]string) {
	t.Helper()
	got, kept, isKept := map[string]int{}, 0, true
	for _, row := range rows[2:] {
		if isKept = isKept && row[0] != "Nothing keeps them"; isKept {
			kept += int(dollars(t, row[1]))
		}
		got[row[0]] = int(dollars(t, row[1]))
	}
	sums := run.Totals.Amounts
	if kept != sums.Kept.Images || got["Removed"] != sums.Removed.Images || got["Announced, not yet due"] != sums.Announced.Images ||
		got["Would be removed"] != sums.WouldRemove.Images || got["Still due"] != sums.Due.Images-sums.WouldRemove.Images {
		t.Errorf("%s: the waterfall %q does not end where the cards do: %+v", name, rows, sums)
	}
}

func checkCards(t *testing.T, name string, run record.Run, all []*html.Node) {
	t.Helper()
	sums := run.Totals.Amounts
	want := map[string]record.Amount{"Removed": sums.Removed, "Still due": sums.Due, "Announced": sums.Announced, "Kept": sums.Kept}
	if run.DryRun {
		want = map[string]record.Amount{"Would be removed": sums.WouldRemove, "Due": sums.Due, "Announced": sums.Announced, "Kept": sums.Kept}
	}
	for _, card := range named(all, "li") {
		title := ""
		if strings.HasPrefix(attribute(card, "class"), "card") {
			title = words(card.FirstChild)
		}
		a, is := want[title]
		if !is {
			continue
		}
		delete(want, title)
		text := words(card)
		_, money, _ := strings.Cut(text, "up to ")
		money, _, _ = strings.Cut(money, " a month")
		if !strings.Contains(text, title+figure(a.Images)+" AMI") || !strings.Contains(text, figure(int(a.GiB))+" GiB") || dollars(t, money) != a.MonthlyUpTo {
			t.Errorf("%s: %q, and not %+v", name, text, a)
		}
	}
	delete(want, "Announced") // Shown where there are some.
	if len(want) > 0 {
		t.Errorf("%s: no card for %v", name, slices.Collect(maps.Keys(want)))
	}
}

func figure(n int) string {
	text, _ := json.Marshal(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = slices.Insert(text, i, ',')
	}
	return string(text)
}

// What an earlier version did not record is no zero.
func TestEarlierVersion(t *testing.T) {
	run := situations(t)["ordinary"]
	run.SchemaVersion = 0
	all := elements(t, page(t, run))
	for _, card := range named(all, "li") {
		if class := attribute(card, "class"); class == "card kept" || class == "card due" {
			if text := words(card); !strings.Contains(text, "not recorded") || strings.Contains(text, "0.00") {
				t.Errorf("%q", text)
			}
		}
	}
	if rows := cells(t, all, "Where the money is"); len(rows) > 0 {
		t.Errorf("%q", rows)
	}
	if rows := cells(t, all, "What goes"); len(rows) < 2 || strings.Count(strings.Join(rows[1], " "), "not recorded") != 3 {
		t.Errorf("%q", rows)
	}
}

// Over nights the savings add up, where images stand is what the last run says, and a night without
// a run is no quiet night.
func TestNights(t *testing.T) {
	run, failed := situations(t)["ordinary"], situations(t)["every-region-failed"]
	failed.StartedAt = run.StartedAt.AddDate(0, 0, 1)
	again := run
	again.StartedAt = run.StartedAt.AddDate(0, 0, 3)
	later := again
	later.StartedAt = again.StartedAt.Add(time.Hour)
	rows := cells(t, elements(t, page(t, run, failed, again, later)), "Night by night")
	if len(rows) != 4 {
		t.Fatalf("%q", rows)
	}
	removed, due := run.Totals.Amounts.Removed, run.Totals.Amounts.Due
	if rows[1][1] != figure(2*removed.Images) || dollars(t, rows[1][2]) != 2*removed.MonthlyUpTo || rows[1][3] != figure(due.Images) {
		t.Errorf("%q", rows[1])
	}
	if rows[2][3] != "not known" || rows[2][4] != "not known" || rows[2][5] != "not known" || rows[2][7] == "0" {
		t.Errorf("where images stand is not known of a failed night: %q", rows[2])
	}
	if rows[1][6] != "0" || rows[3][6] != "0" {
		t.Errorf("images are new that were there before: %q", rows)
	}
	if !strings.Contains(page(t, run, failed, again), "1 night without a run") {
		t.Error("it does not say that a night had no run")
	}
}

// large is a night of many images.
func large(images int) record.Run {
	run := record.Run{
		SchemaVersion: record.SchemaVersion, Version: "1.0.0", Run: "20261123T020000Z-3f9c1a", StartedAt: time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC),
		SnapshotPrice: 0.05, Policy: map[string]string{"staleAfter": "180d"}, Regions: []record.Region{{Account: "123456789012", Region: "eu-west-1"}},
	}
	codes := []retention.Code{"in-use", "recently-used", "managed", "keep-tag", "newest-of-family", "shared", "unknown-use", "snapshot-locked"}
	for n := range images {
		id := fmt.Sprintf("%05x", n)
		i := record.Image{
			ImageID: "ami-0" + id, Name: "web-" + id, Owner: fmt.Sprint("team-", n%200), Family: fmt.Sprint("web-", n%3000), Region: "eu-west-1",
			LastUseAt: "2025-11-23T02:00:00Z", IdleDays: n % 900, Verdict: retention.Keep, Storage: record.Storage{SizeGiB: 8, SnapshotCount: 1, FreeableGiB: 8, FreeableCount: 1},
			Reasons: []retention.Reason{{Code: codes[n%len(codes)], Detail: "named by arn:aws:ec2:eu-west-1:123456789012:instance/i-0123456789abcdef0"}},
		}
		if n%4 == 0 {
			i.Verdict, i.Reasons = retention.Defer, []retention.Reason{{Code: "stale", Detail: "last launched 2025-11-23"}, {Code: "over-cap", Detail: "100 a run"}}
		}
		run.Regions[0].Images = append(run.Regions[0].Images, i)
	}
	run.Finish(run.StartedAt.Add(time.Minute), 0.05)
	return run
}

// A page of many images and nights stays small enough for a browser.
func TestLargePage(t *testing.T) {
	text := page(t, large(10_000))
	if len(text) > 1_500_000 || !strings.Contains(text, "more: <code>ami-janitor report</code> writes all rows") {
		t.Errorf("%d bytes", len(text))
	}
}

// BenchmarkPage draws 365 nights of 10,000 images each.
func BenchmarkPage(b *testing.B) {
	run := large(10_000)
	for b.Loop() {
		var r report.Report
		for n := range 365 {
			run.StartedAt = time.Date(2026, 1, 1+n, 2, 0, 0, 0, time.UTC)
			r.Add(run)
		}
		var page bytes.Buffer
		if err := r.HTML(&page); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(page.Len())/1e6, "MB")
		if *keep != "" {
			if err := os.WriteFile(*keep, page.Bytes(), 0o600); err != nil {
				b.Fatal(err)
			}
		}
	}
}

package digest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// anyOrganization draws a finished run over up to four accounts: some are not judged, some have
// failed, some are not counted.
func anyOrganization(t *rapid.T) record.Organization {
	dry := rapid.Bool().Draw(t, "dry")
	o := newOrganization(dry)
	for n := range rapid.IntRange(0, 4).Draw(t, "accounts") {
		m := record.MemberAccount{
			Account: fmt.Sprintf("%012d", 100000000000+n), Name: untrusted(t), State: rapid.SampledFrom([]string{"ACTIVE", "ACTIVE", "SUSPENDED", nasty}).Draw(t, "state"),
			Judged: rapid.IntRange(0, 4).Draw(t, "judged") > 0, Counted: rapid.Bool().Draw(t, "counted"),
		}
		m.Error = rapid.SampledFrom([]string{"", "", "", noRole(m.Account), nasty}).Draw(t, "error")
		if m.Judged && rapid.IntRange(0, 4).Draw(t, "has a record") > 0 {
			r := anyRun(t)
			for i := range r.Regions {
				r.Regions[i].Account = m.Account
			}
			m.Record = &r
		}
		if !m.Counted {
			o.Uncounted = append(o.Uncounted, record.Uncounted{
				Account: m.Account, Region: rapid.SampledFrom([]string{"", "eu-west-1", nasty}).Draw(t, "region"),
				Source: rapid.SampledFrom([]string{"census", "instances", nasty}).Draw(t, "source"), Error: rapid.SampledFrom([]string{noRole(m.Account), nasty}).Draw(t, "why"),
			})
		}
		o.Accounts = append(o.Accounts, m)
	}
	if rapid.IntRange(0, 3).Draw(t, "ends") == 0 {
		o.Error, o.Step = untrusted(t), rapid.SampledFrom([]string{"", "Census", "Sweep", nasty}).Draw(t, "step")
	}
	o.NotSwept = rapid.SampledFrom([]string{"", "", nasty}).Draw(t, "not swept")
	o.Organization = rapid.SampledFrom([]string{"", "o-exampleorgid", nasty}).Draw(t, "organization")
	o.Record = rapid.SampledFrom([]string{"", o.Record, "/srv/<!here>/`@here`/\u202e*\n"}).Draw(t, "record")
	return finished(o)
}

// unwrapped is a text without its line breaks.
func unwrapped(text string) string { return strings.Join(strings.Fields(text), " ") }

var (
	judgedOf  = regexp.MustCompile(`The run judges ([0-9]+) of ([0-9]+) accounts?(?:: ([^.:]*))?\.`)
	inNumbers = regexp.MustCompile(`[0-9]+`)
	actedOf   = regexp.MustCompile(`BY ACCOUNT \(([0-9]+)\)`)
	moreOf    = regexp.MustCompile(`and ([0-9]+) more, with [0-9,]+ AMIs?, `)
)

func numberIn(t rapid.TB, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestEveryJudgedAccountIsCountedOnceInTheText(t *testing.T) {
	check := func(t rapid.TB, o record.Organization) {
		text := digest.OrganizationText(o)
		said := judgedOf.FindStringSubmatch(unwrapped(text))
		if said == nil {
			t.Fatalf("no count in %q", text)
		}
		judged := 0
		for _, m := range o.Accounts {
			if m.Judged {
				judged++
			}
		}
		sum := 0
		for _, n := range inNumbers.FindAllString(said[3], -1) {
			sum += numberIn(t, n)
		}
		if numberIn(t, said[1]) != judged || numberIn(t, said[2]) != len(o.Accounts) || sum != judged {
			t.Fatalf("%d of %d accounts are judged, and it says %q", judged, len(o.Accounts), said[0])
		}
		_, list, _ := strings.Cut(text, "\nBY ACCOUNT")
		list, _, _ = strings.Cut(list, "\n\n")
		rows := 0
		for _, m := range o.Accounts {
			n := len(regexp.MustCompile(`(?m)^ *\$.*  `+m.Account+`(  |$)`).FindAllString(list, -1))
			if rows += n; n > 1 || n == 1 && !m.Judged {
				t.Fatalf("%s is listed %d times in %q", m.Account, n, list)
			}
		}
		if more := moreOf.FindStringSubmatch(unwrapped(list)); more != nil {
			rows += numberIn(t, more[1])
		}
		acted := 0
		if title := actedOf.FindStringSubmatch(text); title != nil {
			acted = numberIn(t, title[1])
		}
		if rows != acted || acted > 0 && !strings.HasPrefix(said[3], fmt.Sprint(acted)+" ") {
			t.Fatalf("%d rows, %d acted, and it says %q", rows, acted, said[0])
		}
	}
	check(t, organizations()["denied everywhere"])
	check(t, sampleOrganization(false))
	rapid.Check(t, func(t *rapid.T) { check(t, anyOrganization(t)) })
}

// What a quiet account has is nothing that a person should look at.
func TestNoAccountWithAProblemIsQuiet(t *testing.T) {
	for name, r := range situations() {
		m := record.MemberAccount{Account: builder, Judged: true, Record: &r}
		standing, problems := newOrganization(r.DryRun, m).Standing(m), len(digest.Problems(r))
		if standing == record.AccountQuiet && problems > 0 || standing == record.AccountNeedsYou && problems == 0 {
			t.Errorf("%s: %s, with %d problems", name, standing, problems)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		o := anyOrganization(t)
		for _, m := range o.Accounts {
			if m.Record != nil && o.Standing(m) == record.AccountQuiet {
				if problems := digest.Problems(*m.Record); len(problems) > 0 || m.Error != "" {
					t.Fatalf("%s is quiet: %+v", m.Account, problems)
				}
			}
		}
	})
}

func TestOrganizationTextIsPlainAndFitsAMail(t *testing.T) {
	check := func(t rapid.TB, o record.Organization) {
		text := digest.OrganizationText(o)
		fitsAMail(t, "organization", text)
		if size := len(text); size > 256<<10 {
			t.Fatalf("%d bytes", size)
		}
		text = withoutLinks(text)
		if root, found := strings.CutSuffix(o.Record, "/org/runs/"+o.Run+"/record.json"); found {
			text = strings.ReplaceAll(text, root, "") // An s3:// URL has to stay one.
		}
		isPlain(t, text)
		if subject := digest.OrganizationSubject(o); !asciiLine.MatchString(subject) {
			t.Fatalf("subject %q", subject)
		}
	}
	for _, o := range organizations() {
		check(t, o)
	}
	check(t, deniedEverywhere(500, 8))
	rapid.Check(t, func(t *rapid.T) { check(t, anyOrganization(t)) })
}

func TestOrganizationSlackIsWithinItsLimitsAndHarmless(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := anyOrganization(t)
		n := notificationOf(t, digest.OrganizationSlack(o))
		if lines := strings.Count(n.Content.Description, "\n") + 1; lines > 12 || len(n.Content.NextSteps) > 3 {
			t.Fatalf("%d lines, %d next steps", lines, len(n.Content.NextSteps))
		}
		for line := range strings.SplitSeq(n.Content.Description, "\n") {
			if strings.Count(line, "`")%2 != 0 {
				t.Fatalf("an open code span: %q", line)
			}
			own := strings.ReplaceAll(bold.ReplaceAllString(line, "$1$2"), "s3://amzn-s3-demo-bucket", "")
			if match := live.FindString(own); match != "" {
				t.Fatalf("%q in %q", match, line)
			}
		}
	})
}

// namesKept matches what names kept images, which the bucket's record leaves out.
var namesKept = regexp.MustCompile(`[0-9] AMIs? \(`)

// The bucket keeps a record without kept images. Nothing that is told of it needs them.
func TestARecordWithoutKeptImagesTellsTheSame(t *testing.T) {
	check := func(t rapid.TB, o record.Organization) {
		dropped := droppedKept(o)
		var kept bytes.Buffer
		if err := dropped.Encode(&kept, ""); err != nil {
			t.Fatal(err)
		}
		read, err := record.ParseOrganization(kept.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		read.Reader = o.Reader
		again := dropped
		again.Finish(finishedAt)
		want := digest.OrganizationText(o)
		if !namesKept.MatchString(unwrapped(want)) {
			for name, other := range map[string]record.Organization{"dropped": dropped, "finished again": again} {
				if got := digest.OrganizationText(other); got != want {
					t.Fatalf("%s:\n%s\n%s", name, want, got)
				}
			}
		}
		totals := string(marshalled(t, o.Totals))
		if string(marshalled(t, again.Totals)) != totals || string(marshalled(t, read.Totals)) != totals || digest.OrganizationSubject(read) != digest.OrganizationSubject(o) {
			t.Fatalf("%+v\n%+v\n%+v", o.Totals, again.Totals, read.Totals)
		}
	}
	check(t, sampleOrganization(false))
	check(t, sampleOrganization(true))
	rapid.Check(t, func(t *rapid.T) { check(t, anyOrganization(t)) })
}

func TestEncodeWritesTheOrganizationAsMarshalDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := anyOrganization(t)
		for _, indent := range []string{"", "  "} {
			want := marshalled(t, o)
			if indent != "" {
				var err error
				if want, err = json.MarshalIndent(o, "", indent); err != nil {
					t.Fatal(err)
				}
			}
			var got bytes.Buffer
			if err := o.Encode(&got, indent); err != nil {
				t.Fatal(err)
			}
			if got.String() != string(want)+"\n" {
				t.Fatalf("indented by %q:\n%s\n%s", indent, got.String(), want)
			}
			if strings.Contains(got.String(), "null") {
				t.Fatalf("null in %s", got.String())
			}
		}
	})
}

// Each image that a missing census keeps counts once, and with each lookup that is missing.
func TestImagesThatStayUncountedCountOnce(t *testing.T) {
	o := sampleOrganization(false)
	want := map[string]int{management: 12, consumer: 2, suspended: 3, outsider: 12}
	for _, u := range o.Uncounted {
		if u.Images != want[u.Account] {
			t.Errorf("%s keeps %d images, want %d", u.Account, u.Images, want[u.Account])
		}
	}
	if o.Totals.Uncounted != 17 || o.Totals.TooYoung != 5 || o.Accounts[0].KeptUncounted+o.Accounts[1].KeptUncounted != 17 {
		t.Errorf("%+v", o.Totals)
	}
	// What something else keeps, too, does not stay because of a census.
	inUse := waitsFor(1, 1, censusGap(outsider, "", "denied"))
	inUse[0].Reasons = append(inUse[0].Reasons, kept(1, "in-use", "named by an instance").Reasons...)
	o = finished(newOrganization(false, member(builder, "golden-images", false, newRegion(plan("eu-west-1", inUse...), nil))))
	if o.Totals.Uncounted != 0 {
		t.Errorf("%+v", o.Totals)
	}
}

func TestTotalsOfAnOrganizationAreTheSumsOfItsAccounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := anyOrganization(t)
		var standings []record.AccountStanding
		sums := map[string]float64{}
		for _, m := range o.Accounts {
			standings = append(standings, o.Standing(m))
			addNumbers(sums, "", reflect.ValueOf(o.TotalsOf(m)))
		}
		got := map[string]float64{}
		addNumbers(got, "", reflect.ValueOf(o.Totals.Totals))
		for name, sum := range sums {
			if diff := got[name] - sum; name != ".NightsNeeded" && (diff > 0.001 || diff < -0.001) {
				t.Fatalf("%s is %v, and the accounts' sum %v", name, got[name], sum)
			}
		}
		c := o.Totals.Totals
		if sum := c.Kept + c.Deregistered + c.WouldDeregister + c.Deferred + c.Marked + c.Failed + c.Skipped; sum != c.Images {
			t.Fatalf("%+v", c)
		}
		quiet := len(slices.DeleteFunc(standings, func(s record.AccountStanding) bool { return s != record.AccountQuiet }))
		if o.Totals.Accounts != len(o.Accounts) || o.Totals.Quiet != quiet {
			t.Fatalf("%d quiet accounts, %+v", quiet, o.Totals)
		}
		if !o.DryRun && c.WouldDeregister+c.SnapshotsWouldDelete+c.Amounts.WouldRemove.Images > 0 {
			t.Fatalf("a real run says what would be: %+v", c)
		}
	})
}

// addNumbers adds the numbers of a structure by their names.
func addNumbers(to map[string]float64, name string, of reflect.Value) {
	switch of.Kind() {
	case reflect.Int, reflect.Int64:
		to[name] += float64(of.Int())
	case reflect.Float64:
		to[name] += of.Float()
	case reflect.Struct:
		for i := range of.NumField() {
			if field := of.Type().Field(i); field.Name != "SavingsFrom" {
				addNumbers(to, name+"."+field.Name, of.Field(i))
			}
		}
	default:
	}
}

// The advice fits the account: no StackSet reaches the management account, and nobody can log in to
// one that is suspended.
func TestTheAdviceFitsTheAccount(t *testing.T) {
	text := unwrapped(digest.OrganizationText(sampleOrganization(false)))
	for _, want := range []string{
		"What to do: It is the management account, which a StackSet does not reach. Deploy member.yaml there as a stack, with the parameters of the StackSet: " +
			`aws cloudformation deploy --template-file member.yaml \ --stack-name ami-janitor-member --capabilities CAPABILITY_NAMED_IAM \ ` +
			"--parameter-overrides KEY=VALUE - " + management + ", root: 12 AMIs: ",
		"What to do: Organizations calls it SUSPENDED",
		"add the account's OU to the targets of the StackSet.",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}

// Errors that differ only by the account and the region are one.
func TestFailuresAreGroupedOverAccountsAndRegions(t *testing.T) {
	text := unwrapped(digest.OrganizationText(organizations()["denied everywhere"]))
	for _, want := range []string{
		"500 accounts: a lookup failed", "- and 497 more; the run record has all of them", "250 accounts: 750 regions failed: ec2:DescribeImages denied.",
		"125 accounts: 125 AMIs could not be removed",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if n := strings.Count(text, "Error: DescribeInstances, "); n != 1 {
		t.Errorf("%d errors of one kind:\n%s", n, text)
	}
}

// A sweep without a record is not said to have changed nothing.
func TestASweepThatHasLeftNoRecord(t *testing.T) {
	for fault, isUnknown := range map[string]bool{record.UnendedSweep: true, record.UnrecordedSweep + "s3:PutObject denied.": true, "ec2:DescribeImages denied.": false} {
		m := record.MemberAccount{Account: builder, Name: "golden-images", State: "ACTIVE", Judged: true, Counted: true, Error: fault}
		text := unwrapped(digest.OrganizationText(finished(newOrganization(false, m))))
		unknown, nothing := strings.Contains(text, "may have changed something there"), strings.Contains(text, "nothing was changed there")
		if unknown != isUnknown || nothing == isUnknown {
			t.Errorf("%s: %s", fault, text)
		}
	}
}

// A plan that a real run did not carry out says what is due, not what would be removed.
func TestAPlanThatWasNotCarriedOutIsDue(t *testing.T) {
	ordinaryPlan, _ := ordinary()
	o := finished(newOrganization(false, member(builder, "golden-images", true, newRegion(ordinaryPlan, nil))))
	if t1 := o.Totals.Totals; t1.WouldDeregister != 0 || t1.Deferred != 6 || t1.Left != 6 || o.Totals.Quiet != 1 || t1.Amounts.Due.Images != 6 {
		t.Errorf("%+v", o.Totals)
	}
	if text := digest.OrganizationText(o); !strings.HasPrefix(text, "Nothing removed in eu-west-1") || !strings.Contains(text, "Still due   6 AMIs") {
		t.Error(text)
	}
}

func TestParseOrganizationRefusesWhatItCannotRead(t *testing.T) {
	for text, want := range map[string]string{
		`[]`: "no record of an organization's run", `{}`: "names no run",
		`{"run":"20261123T020000Z-3f9c1a"}`:                                  "no accounts",
		`{"run":"20261123T020000Z-3f9c1a","accounts":[],"schemaVersion":99}`: "a later version",
	} {
		if _, err := record.ParseOrganization([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestOrganizationMetrics(t *testing.T) {
	values := func(o record.Organization, sent bool) map[string]any {
		var line map[string]any
		if err := json.Unmarshal(record.OrganizationMetrics(o, "tell", sent), &line); err != nil {
			t.Fatal(err)
		}
		return line
	}
	o := sampleOrganization(false)
	line := values(o, true)
	for name, want := range map[string]any{
		"AccountsListed": 8.0, "AccountsCounted": 4.0, "AccountsUncounted": 3.0, "AssumeRoleFailures": 2.0, "AccountsFailed": 1.0,
		"Deregistered": 4.0, "Failed": 1.0, "NotSwept": 0.0, "Runs": 1.0, "Organization": "janitor", "level": "INFO",
	} {
		if line[name] != want {
			t.Errorf("%s is %v, want %v", name, line[name], want)
		}
	}
	if values(o, false)["Runs"] != 0.0 || values(organizations()["ended early"], true)["Runs"] != 0.0 || values(organizations()["not swept"], true)["NotSwept"] != 1.0 {
		t.Error("a run that did not come to its end counts")
	}
	o.Reader.Stack = ""
	if got := values(o, true)["Organization"]; got != "o-exampleorgid" {
		t.Errorf("%v", got)
	}
	if !record.IsAssumeRoleFailure("sts:AssumeRole denied") || record.IsAssumeRoleFailure(denial+ami.NotReached) {
		t.Error("an error is taken for another")
	}
}

package digest_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// The members of the sample organization.
const (
	builder    = "123456789012"
	management = "111122223333"
	consumer   = "444455556666"
	suspended  = "777777777777"
	outsider   = "888888888888"
)

// noRole is what the SDK says where the role cannot be assumed.
func noRole(account string) string {
	return "operation error STS: AssumeRole, https response error StatusCode: 403, RequestID: 59dbff89-35bd-4eac-99ed-be587EXAMPLE, api error AccessDenied: " +
		"User: arn:aws:sts::123456789012:assumed-role/ami-janitor-default-hub-census/run is not authorized to perform: sts:AssumeRole on resource: " +
		"arn:aws:iam::" + account + ":role/ami-janitor/ami-janitor-default-read"
}

// censusGap is why an image stays if an account is not counted.
func censusGap(account, region, fault string) ami.Gap {
	source := "census of " + account
	if region != "" {
		source += " in " + region
	}
	return ami.Gap{Source: source, Err: fault}
}

// waitsFor are images that only the missing censuses keep.
func waitsFor(from, number int, gaps ...ami.Gap) []retention.Verdict {
	var details []string
	for _, gap := range gaps {
		details = append(details, gap.Source+": "+gap.Err)
	}
	return unlooked(keptMany(from, number, ami.ReasonUnknownUse, strings.Join(details, ", ")), gaps...)
}

// inAccount gives a plan to another account.
func inAccount(account string, p retention.Plan) retention.Plan {
	p.Account = account
	return p
}

// member is an account that was judged and counted, with the record of its run.
func member(account, name string, dry bool, regions ...record.Region) record.MemberAccount {
	r := newRun(dry, regions...)
	return record.MemberAccount{Account: account, Name: name, State: "ACTIVE", Judged: true, Counted: true, Record: &r}
}

func newOrganization(dry bool, accounts ...record.MemberAccount) record.Organization {
	return record.Organization{
		Run: "20261123T020000Z-3f9c1a", Version: "1.0.0", DryRun: dry, StartedAt: startedAt,
		Organization: "o-exampleorgid", Management: management,
		Record:         "s3://amzn-s3-demo-bucket/org/runs/20261123T020000Z-3f9c1a/record.json",
		PolicySentence: newRun(dry).PolicySentence,
		Accounts:       accounts,
		Reader:         record.Reader{Stack: "janitor", Home: "eu-west-1"},
	}
}

func finished(o record.Organization) record.Organization {
	o.Finish(finishedAt)
	return o
}

// sampleOrganization has something of everything.
func sampleOrganization(dry bool) record.Organization {
	ordinaryPlan, outcomes := ordinary()
	ordinaryPlan.Verdicts = append(ordinaryPlan.Verdicts, waitsFor(400, 12, censusGap(management, "", noRole(management)), censusGap(outsider, "", noRole(outsider)))...)
	ordinaryPlan.Verdicts = append(ordinaryPlan.Verdicts, waitsFor(420, 3, censusGap(suspended, "", "it is SUSPENDED"))...)
	ordinaryPlan.Verdicts = append(ordinaryPlan.Verdicts, waitsFor(430, 2, censusGap(consumer, "eu-west-1", "instances: RequestLimitExceeded"))...)
	ordinaryPlan.Verdicts = append(ordinaryPlan.Verdicts, keptMany(440, 5, ami.ReasonCensusTooYoung, "looked up on 12 of 30 nights")...)
	marked := []ami.Outcome{outcome(60, ami.Marked, ""), outcome(61, ami.Marked, ""), outcome(62, ami.Failed, strings.ReplaceAll(denial, "DeregisterImage", "CreateTags"))}
	if dry {
		outcomes, marked = nil, nil
	}
	announcing := inAccount("222222222222", plan("eu-west-1", announce(60, "web-1", 14, retention.Announce), announce(61, "web-2", 14, retention.Announce),
		announce(62, "web-3", 14, retention.Announce)))
	quiet := inAccount("333333333333", plan("eu-west-1", keptMany(500, 4, "recently-used", "last launched 2026-11-02, 21 days ago")...))
	o := newOrganization(dry,
		member(builder, "golden-images", dry, newRegion(ordinaryPlan, outcomes)),
		member("222222222222", "payments", dry, newRegion(announcing, marked)),
		member("333333333333", "sandbox", dry, newRegion(quiet, nil)),
		record.MemberAccount{Account: management, Name: "root", State: "ACTIVE", Judged: false, NotJudged: "not in ACCOUNTS"},
		member(consumer, "shop", dry, newRegion(inAccount(consumer, plan("eu-west-1", keptMany(600, 1, "in-use", "named by an instance")...)), nil)),
		record.MemberAccount{Account: suspended, Name: "old-lab", State: "SUSPENDED", NotJudged: "it is SUSPENDED"},
		record.MemberAccount{Account: outsider, Name: "acquired", State: "ACTIVE", Judged: true, Error: noRole(outsider)},
		member("999999999999", "data", dry, record.FailedRegion("999999999999", "eu-west-1", errors.New("listing images: RequestLimitExceeded: Request limit exceeded"))),
	)
	o.Accounts[4].Counted = false
	o.Uncounted = []record.Uncounted{
		{Account: outsider, Source: "census", Error: noRole(outsider)},
		{Account: management, Source: "census", Error: noRole(management)},
		{Account: suspended, Source: "census", Error: "it is SUSPENDED"},
		{Account: consumer, Region: "eu-west-1", Source: "instances", Error: "RequestLimitExceeded: Request limit exceeded."},
	}
	return finished(o)
}

// deniedEverywhere is an organization in whose accounts everything fails, each time a bit
// differently.
func deniedEverywhere(accounts, regions int) record.Organization {
	o := newOrganization(false)
	for n := range accounts {
		id := fmt.Sprintf("%012d", 100000000000+n)
		m := record.MemberAccount{Account: id, Name: strings.Repeat("long-name-", 5), State: "ACTIVE", Judged: true}
		var failed []record.Region
		for r := range regions {
			region := fmt.Sprintf("eu-west-%d", r+1)
			fault := strings.NewReplacer(builder, id, "DeregisterImage", "DescribeImages", "eu-west-1", region).Replace(denial)
			failed = append(failed, record.FailedRegion(id, region, errors.New("listing images: "+fault)))
			o.Uncounted = append(o.Uncounted, record.Uncounted{Account: id, Region: region, Source: "instances", Error: strings.ReplaceAll(fault, "DescribeImages", "DescribeInstances")})
		}
		switch n % 4 {
		case 0:
			m.Error = noRole(id)
		case 1:
			p := inAccount(id, plan("us-east-1", stale(1, nasty, goes(1, 8, 1)), stale(2, "web", goes(2, int64(n), 2))))
			failed = append(failed, newRegion(p, []ami.Outcome{outcome(1, ami.Failed, fmt.Sprintf("refused %d: %s", n, denial)), inBin(2, 14, binned(2, 14))}))
			m.Record = member(id, "", false, failed...).Record
		default:
			m.Record = member(id, "", false, failed...).Record
		}
		o.Accounts = append(o.Accounts, m)
	}
	return finished(o)
}

// organizations are the runs over an organization that the golden files are made of.
var organizations = sync.OnceValue(func() map[string]record.Organization {
	all := map[string]record.Organization{
		"ordinary":          sampleOrganization(false),
		"dry run":           sampleOrganization(true),
		"denied everywhere": deniedEverywhere(500, 3),
	}
	p := inAccount("333333333333", plan("eu-west-1", keptMany(500, 4, "recently-used", "last launched 2026-11-02, 21 days ago")...))
	quiet := func() record.MemberAccount { return member("333333333333", "sandbox", false, newRegion(p, nil)) }
	all["nothing to do"] = finished(newOrganization(false, quiet()))

	ended := newOrganization(false,
		record.MemberAccount{Account: builder, Name: "golden-images", State: "ACTIVE", Judged: true},
		record.MemberAccount{Account: consumer, Name: "shop", State: "ACTIVE", Judged: true})
	ended.Step, ended.Error = "Census", "States.ItemReaderFailed: the reader could not read s3://amzn-s3-demo-bucket/org/runs/20261123T020000Z-3f9c1a/census.json"
	all["ended early"] = finished(ended)

	forgotten := newOrganization(false, quiet())
	forgotten.Step, forgotten.Error = "Tell", "the run is not remembered, and the next one has the cap of a first one: AccessDenied: Access Denied"
	all["not remembered"] = finished(forgotten)

	planned := sampleOrganization(true)
	stopped := newOrganization(false, planned.Accounts...)
	stopped.NotSwept = "3 of 8 accounts answered, of 8 that answered the last time; at least 90 % must"
	stopped.Uncounted = planned.Uncounted
	all["not swept"] = finished(stopped)

	hostile := newOrganization(false, quiet(), member(builder, nasty, false, newRegion(plan("eu-west-1", stale(1, nasty, goes(1, 8, 1)), stale(2, nasty)),
		[]ami.Outcome{outcome(1, ami.Deregistered, "", result(1, ami.SnapshotDeleted, "")), outcome(2, ami.Failed, "refused: "+nasty)})))
	hostile.Organization, hostile.Step, hostile.Error, hostile.NotSwept = nasty, nasty, nasty, nasty
	hostile.Record = ""
	hostile.Accounts[0].Counted, hostile.Accounts[0].State = false, nasty
	hostile.Uncounted = []record.Uncounted{{Account: consumer, Region: nasty, Source: nasty, Error: nasty}}
	all["nasty names"] = finished(hostile)
	return all
})

// droppedKept is a record as the bucket keeps it.
func droppedKept(o record.Organization) record.Organization {
	o.Accounts = slices.Clone(o.Accounts)
	for i := range o.Accounts {
		o.Accounts[i].DropKept()
	}
	return o
}

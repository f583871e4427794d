package emulator_test

import (
	"context"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/batch"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/ami-janitor/ami-janitor/pkg/emulator"
)

// The accounts of the tests' organization.
const (
	hub       = "123456789012"
	builder   = "111122223333"
	roleless  = "444455556666"
	suspended = "777777777777"
	nested    = "888888888888"
)

const organizationJSON = `{"Organization": {"Id": "o-exampleorg", "Arn": "arn:aws:organizations::123456789012:organization/o-exampleorg",
	"MasterAccountId": "123456789012", "FeatureSet": "ALL"}, "Hub": "123456789012", "Note": "kept",
	"Accounts": [
		{"Id": "123456789012", "Name": "management", "State": "ACTIVE", "Path": "o-exampleorg/r-ab12/", "Email": "management@example.com",
			"JoinedTimestamp": "2024-02-29T12:00:00+00:00", "JoinedMethod": "CREATED", "Status": "ACTIVE", "Unknown": [1]},
		{"Id": "111122223333", "Name": "<builder>", "State": "ACTIVE", "Path": "o-exampleorg/r-ab12/ou-ab12-11111111/"},
		{"Id": "444455556666", "Name": "roleless", "State": "ACTIVE", "Path": "o-exampleorg/r-ab12/ou-ab12-11111111/"},
		{"Id": "777777777777", "Name": "suspended", "State": "SUSPENDED", "Path": "o-exampleorg/r-ab12/ou-ab12-22222222/"},
		{"Id": "888888888888", "Name": "nested", "State": "ACTIVE", "Path": "o-exampleorg/r-ab12/ou-ab12-11111111/ou-ab12-33333333/"}]}`

// organizationFiles is the directory of an organization, with the files given as name, content,
// name, content ….
func organizationFiles(files ...string) fstest.MapFS {
	d := fstest.MapFS{}
	put := func(name, content string) { d[name] = &fstest.MapFile{Data: []byte(content)} }
	put("organization.json", organizationJSON)
	put("records/org/seen.json", "{}")
	for _, id := range []string{hub, builder, suspended, nested} {
		put("accounts/"+id+"/get-caller-identity.json", `{"Account": "`+id+`", "Arn": "arn:aws:iam::`+id+`:root", "UserId": "`+id+`"}`)
	}
	put("accounts/"+builder+"/describe-images.json", `{"Images": [{"ImageId": "ami-00000001", "OwnerId": "`+builder+`", "Public": false}]}`)
	put("accounts/"+builder+"/s3/example-bucket/key", "the member's")
	put("accounts/"+nested+"/roles.json", `{"Roles": ["ami-janitor-default-read", "division/admin"]}`)
	for i := 0; i < len(files); i += 2 {
		put(files[i], files[i+1])
		if files[i+1] == "" {
			delete(d, files[i])
		}
	}
	return d
}

func loadOrganization(t testing.TB, files fs.FS, o emulator.Options) *emulator.Organization {
	t.Helper()
	organization, err := emulator.LoadOrganization(files, o)
	if err != nil {
		t.Fatal(err)
	}
	return organization
}

func organizationsClient(client emulator.Doer) *organizations.Client {
	return organizations.NewFromConfig(config(client))
}

func roleOf(account, name string) string {
	return "arn:aws:iam::" + account + ":role/ami-janitor/ami-janitor-default-" + name
}

func assume(ctx context.Context, client emulator.Doer, arn string) (*sts.AssumeRoleOutput, error) {
	return stsClient(client).AssumeRole(ctx, &sts.AssumeRoleInput{
		RoleArn: aws.String(arn), RoleSessionName: aws.String("ami-janitor-20261123T020000Z-3f9c1a"), ExternalId: aws.String("example/1"),
	})
}

// member is the configuration of clients with the credentials of a role.
func member(t testing.TB, client emulator.Doer, arn string) aws.Config {
	t.Helper()
	out, err := assume(t.Context(), client, arn)
	if err != nil {
		t.Fatal(err)
	}
	c := config(client)
	c.Credentials = credentials.NewStaticCredentialsProvider(*out.Credentials.AccessKeyId, *out.Credentials.SecretAccessKey, *out.Credentials.SessionToken)
	return c
}

func TestListAccounts(t *testing.T) {
	o := loadOrganization(t, organizationFiles(), options())
	client := organizationsClient(o.Client())
	described, err := client.DescribeOrganization(t.Context(), &organizations.DescribeOrganizationInput{})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "organization", []string{*described.Organization.Id, *described.Organization.Arn, *described.Organization.MasterAccountId},
		[]string{"o-exampleorg", "arn:aws:organizations::123456789012:organization/o-exampleorg", hub})
	out, err := client.ListAccounts(t.Context(), &organizations.ListAccountsInput{})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "accounts", idsOf(out.Accounts), []string{hub, builder, roleless, suspended, nested})
	first, second := out.Accounts[0], out.Accounts[1]
	equal(t, "first", []string{*first.Name, *first.Email, string(first.State), string(first.Status), string(first.JoinedMethod), first.JoinedTimestamp.Format(time.RFC3339)},
		[]string{"management", "management@example.com", "ACTIVE", "", "CREATED", "2024-02-29T12:00:00Z"})
	equal(t, "second", []string{*second.Name, *second.Arn}, []string{"<builder>", "arn:aws:organizations::123456789012:account/o-exampleorg/111122223333"})
	equal(t, "states", string(out.Accounts[3].State), "SUSPENDED")

	for input, want := range map[organizations.ListAccountsInput]string{
		{MaxResults: aws.Int32(21)}:         "InvalidInputException",
		{NextToken: aws.String("invented")}: "InvalidInputException",
	} {
		_, err := client.ListAccounts(t.Context(), &input)
		equal(t, "code", code(err), want)
	}
	_, err = organizationsClient(load(t, directory()).Client()).ListAccounts(t.Context(), &organizations.ListAccountsInput{})
	equal(t, "without an organization", code(err), "AWSOrganizationsNotInUseException")
	_, err = organizations.NewFromConfig(member(t, o.Client(), roleOf(builder, "read"))).ListAccounts(t.Context(), &organizations.ListAccountsInput{})
	equal(t, "from a member", code(err), "AccessDeniedException")
}

// A member leaves, once. Sessions that have begun there go on; nobody assumes a role there again.
func TestLeaveOrganization(t *testing.T) {
	files := organizationFiles("accounts/"+builder+"/describe-images.json", `{"Images": [{"ImageId": "ami-00000001", "OwnerId": "`+builder+`"}]}`)
	o := loadOrganization(t, files, options())
	leave := func(c aws.Config) string {
		_, err := organizations.NewFromConfig(c).LeaveOrganization(t.Context(), &organizations.LeaveOrganizationInput{})
		return code(err)
	}
	equal(t, "the hub", leave(config(o.Client())), "MasterCannotLeaveOrganizationException")
	equal(t, "an account of its own", leave(config(load(t, directory()).Client())), "AWSOrganizationsNotInUseException")
	leaving := member(t, o.Client(), roleOf(builder, "sweep"))
	equal(t, "a member", leave(leaving), "")
	equal(t, "a member that has left", leave(leaving), "AWSOrganizationsNotInUseException")
	_, err := organizations.NewFromConfig(leaving).ListAccounts(t.Context(), &organizations.ListAccountsInput{})
	equal(t, "what it knows of the organization", code(err), "AWSOrganizationsNotInUseException")
	out, err := organizationsClient(o.Client()).ListAccounts(t.Context(), &organizations.ListAccountsInput{})
	if err != nil || slices.Contains(idsOf(out.Accounts), builder) {
		t.Errorf("listed: %v, %v", idsOf(out.Accounts), err)
	}
	_, err = assume(t.Context(), o.Client(), roleOf(builder, "sweep"))
	equal(t, "its role", code(err), "AccessDenied")
	images, err := ec2.NewFromConfig(leaving).DescribeImages(t.Context(), &ec2.DescribeImagesInput{})
	if err != nil || len(images.Images) != 1 {
		t.Errorf("%+v, %v", images, err)
	}
	files = organizationFiles()
	files["organization.json"] = &fstest.MapFile{Data: []byte(strings.Replace(organizationJSON, `"Hub": "`+hub+`"`, `"Hub": "`+builder+`"`, 1))}
	o = loadOrganization(t, files, options())
	equal(t, "a delegated administrator", leave(config(o.Client())), "ConstraintViolationException")
}

func idsOf(accounts []types.Account) []string {
	ids := []string{}
	for _, a := range accounts {
		ids = append(ids, *a.Id)
	}
	return ids
}

// Pages are short, and one is empty.
func TestListAccountsInPages(t *testing.T) {
	o := loadOrganization(t, organizationFiles(), options())
	o.SetPageSize(2)
	var ids []string
	var sizes []int
	pages := organizations.NewListAccountsPaginator(organizationsClient(o.Client()), &organizations.ListAccountsInput{MaxResults: aws.Int32(20)})
	for pages.HasMorePages() {
		out, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, len(out.Accounts))
		ids = append(ids, idsOf(out.Accounts)...)
	}
	equal(t, "accounts", ids, []string{hub, builder, roleless, suspended, nested})
	equal(t, "pages", sizes, []int{2, 0, 2, 1})
}

func TestUnits(t *testing.T) {
	o := loadOrganization(t, organizationFiles(), options())
	o.Remove(nested)
	client := organizationsClient(o.Client())
	roots, err := client.ListRoots(t.Context(), &organizations.ListRootsInput{})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "root", []string{*roots.Roots[0].Id, *roots.Roots[0].Arn}, []string{"r-ab12", "arn:aws:organizations::123456789012:root/o-exampleorg/r-ab12"})
	for parent, want := range map[string][2][]string{
		"r-ab12":           {{"ou-ab12-11111111", "ou-ab12-22222222"}, {hub}},
		"ou-ab12-11111111": {{"ou-ab12-33333333"}, {builder, roleless}},
		"ou-ab12-22222222": {{}, {suspended}},
		"ou-ab12-33333333": {{}, {}},
	} {
		units, err := client.ListOrganizationalUnitsForParent(t.Context(), &organizations.ListOrganizationalUnitsForParentInput{ParentId: aws.String(parent)})
		if err != nil {
			t.Fatal(err)
		}
		ids := []string{}
		for _, unit := range units.OrganizationalUnits {
			ids = append(ids, *unit.Id)
			equal(t, "ARN", *unit.Arn, "arn:aws:organizations::123456789012:ou/o-exampleorg/"+*unit.Id)
		}
		equal(t, "units of "+parent, ids, want[0])
		accounts, err := client.ListAccountsForParent(t.Context(), &organizations.ListAccountsForParentInput{ParentId: aws.String(parent)})
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "accounts of "+parent, idsOf(accounts.Accounts), want[1])
	}
	for parent, want := range map[string]string{"ou-ab12-44444444": "ParentNotFoundException", "r-zz99": "ParentNotFoundException", "o-exampleorg": "InvalidInputException"} {
		_, err := client.ListAccountsForParent(t.Context(), &organizations.ListAccountsForParentInput{ParentId: aws.String(parent)})
		equal(t, "accounts of "+parent, code(err), want)
		_, err = client.ListOrganizationalUnitsForParent(t.Context(), &organizations.ListOrganizationalUnitsForParentInput{ParentId: aws.String(parent)})
		equal(t, "units of "+parent, code(err), want)
	}
}

// A role leads to its account, and to nothing else.
func TestAssumeRole(t *testing.T) {
	ticking := &clock{now.Add(-time.Second)}
	o := loadOrganization(t, organizationFiles(), emulator.Options{Now: ticking.now})
	earlier := member(t, o.Client(), roleOf(builder, "sweep"))
	ticking.at = now
	out, err := assume(t.Context(), o.Client(), roleOf(builder, "sweep"))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "expires", *out.Credentials.Expiration, now.Add(time.Hour))
	arn := "arn:aws:sts::111122223333:assumed-role/ami-janitor-default-sweep/ami-janitor-20261123T020000Z-3f9c1a"
	equal(t, "ARN", *out.AssumedRoleUser.Arn, arn)
	c := member(t, o.Client(), roleOf(builder, "sweep"))
	before, err := earlier.Credentials.Retrieve(t.Context())
	if err != nil || before.AccessKeyID == *out.Credentials.AccessKeyId {
		t.Errorf("the same credentials at another time, or none: %v", err)
	}
	identity, err := sts.NewFromConfig(c).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "caller", []string{*identity.Account, *identity.Arn}, []string{builder, arn})
	images, err := ec2.NewFromConfig(c).DescribeImages(t.Context(), &ec2.DescribeImagesInput{})
	if err != nil || len(images.Images) != 1 {
		t.Errorf("%+v, %v", images, err)
	}
	_, err = assume(t.Context(), doerWith(c), roleOf(builder, "read"))
	equal(t, "a role that assumes another", code(err), "AccessDenied")

	equal(t, "calls", o.Calls()[3:], []emulator.MemberCall{
		{Account: builder, Role: "ami-janitor-default-sweep", Call: emulator.Call{Service: "sts", Region: "us-east-1", Action: "GetCallerIdentity", Status: 200}},
		{Account: builder, Role: "ami-janitor-default-sweep", Call: emulator.Call{Service: "ec2", Region: "us-east-1", Action: "DescribeImages", Status: 200}},
		{Account: builder, Role: "ami-janitor-default-sweep", Call: emulator.Call{Service: "sts", Region: "us-east-1", Action: "AssumeRole", Status: 403, Code: "AccessDenied"}},
	})
	equal(t, "the first call", o.Calls()[0], emulator.MemberCall{Account: hub, Call: emulator.Call{Service: "sts", Region: "us-east-1", Action: "AssumeRole", Status: 200}})
}

// doerWith sends requests with the credentials of a configuration.
func doerWith(c aws.Config) emulator.Doer {
	return emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
		held, err := c.Credentials.Retrieve(r.Context())
		if err != nil {
			return nil, err
		}
		r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "AKIAIOSFODNN7EXAMPLE", held.AccessKeyID, 1))
		r.Header.Set("X-Amz-Security-Token", held.SessionToken)
		return c.HTTPClient.Do(r)
	})
}

func TestAssumeRoleIsDenied(t *testing.T) {
	o := loadOrganization(t, organizationFiles(), options())
	if _, err := assume(t.Context(), o.Client(), roleOf(nested, "read")); err != nil {
		t.Error(err)
	}
	if _, err := assume(t.Context(), o.Client(), "arn:aws:iam::888888888888:role/division/admin"); err != nil {
		t.Error(err)
	}
	denied := []string{
		roleOf(roleless, "read"), roleOf(suspended, "read"), roleOf("000000000000", "read"), roleOf(nested, "sweep"),
		"arn:aws:iam::111122223333:role/ami-janitor-default-read", "arn:aws:iam::111122223333:role/ami-janitor/other",
		"arn:aws-cn:iam::111122223333:role/ami-janitor/ami-janitor-default-read", "arn:aws:iam::888888888888:role/admin",
	}
	for _, arn := range denied {
		_, err := assume(t.Context(), o.Client(), arn)
		equal(t, arn, code(err), "AccessDenied")
		equal(t, "status", status(err), http.StatusForbidden)
		want := "User: arn:aws:sts::123456789012:assumed-role/ami-janitor-hub/emulated is not authorized to perform: sts:AssumeRole on resource: " + arn
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
	before := member(t, o.Client(), roleOf(builder, "read"))
	o.Deny(builder)
	o.Remove(nested)
	for _, account := range []string{builder, nested} {
		_, err := assume(t.Context(), o.Client(), roleOf(account, "read"))
		equal(t, account, code(err), "AccessDenied")
	}
	if _, err := ec2.NewFromConfig(before).DescribeRegions(t.Context(), &ec2.DescribeRegionsInput{}); err != nil {
		t.Errorf("a session that had begun: %v", err)
	}
	_, err := assume(t.Context(), load(t, directory()).Client(), roleOf(self, "read"))
	equal(t, "without an organization", code(err), "AccessDenied")
}

func TestAssumeRoleChecksItsParameters(t *testing.T) {
	o := loadOrganization(t, organizationFiles(), options())
	good := func() *sts.AssumeRoleInput {
		return &sts.AssumeRoleInput{RoleArn: aws.String(roleOf(builder, "read")), RoleSessionName: aws.String("session")}
	}
	for name, change := range map[string]func(*sts.AssumeRoleInput){
		"no role":         func(i *sts.AssumeRoleInput) { i.RoleArn = aws.String("ami-janitor-default-read") },
		"session name":    func(i *sts.AssumeRoleInput) { i.RoleSessionName = aws.String("a b") },
		"a long name":     func(i *sts.AssumeRoleInput) { i.RoleSessionName = aws.String(strings.Repeat("a", 65)) },
		"external id":     func(i *sts.AssumeRoleInput) { i.ExternalId = aws.String("!") },
		"short session":   func(i *sts.AssumeRoleInput) { i.DurationSeconds = aws.Int32(899) },
		"a session of 2h": func(i *sts.AssumeRoleInput) { i.DurationSeconds = aws.Int32(7200) },
	} {
		input := good()
		change(input)
		_, err := stsClient(o.Client()).AssumeRole(t.Context(), input)
		equal(t, name, code(err), "ValidationError")
	}
	if _, err := stsClient(o.Client()).AssumeRole(t.Context(), good()); err != nil {
		t.Error(err)
	}
}

// asking are a request of each protocol and service.
func asking(c aws.Config) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"ec2": func(ctx context.Context) error {
			_, err := ec2.NewFromConfig(c).DescribeRegions(ctx, &ec2.DescribeRegionsInput{})
			return err
		},
		"autoscaling": func(ctx context.Context) error {
			_, err := autoscaling.NewFromConfig(c).DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{})
			return err
		},
		"batch": func(ctx context.Context) error {
			_, err := batch.NewFromConfig(c).DescribeComputeEnvironments(ctx, &batch.DescribeComputeEnvironmentsInput{})
			return err
		},
		"s3": func(ctx context.Context) error {
			_, err := s3.NewFromConfig(c, func(o *s3.Options) { o.UsePathStyle = true }).ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String("example-bucket")})
			return err
		},
		"sns": func(ctx context.Context) error {
			_, err := sns.NewFromConfig(c).Publish(ctx, &sns.PublishInput{TopicArn: aws.String(topic), Message: aws.String("m")})
			return err
		},
		"ssm": func(ctx context.Context) error {
			_, err := ssm.NewFromConfig(c).DescribeParameters(ctx, &ssm.DescribeParametersInput{})
			return err
		},
		"sts": func(ctx context.Context) error {
			_, err := sts.NewFromConfig(c).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
			return err
		},
	}
}

func TestSessionsExpire(t *testing.T) {
	c := &clock{now}
	o := loadOrganization(t, organizationFiles(), emulator.Options{Now: c.now})
	session := member(t, o.Client(), roleOf(builder, "read"))
	c.at = now.Add(time.Hour - time.Second)
	for service, ask := range asking(session) {
		if err := ask(t.Context()); err != nil {
			t.Errorf("%s: %v", service, err)
		}
	}
	c.at = now.Add(time.Hour)
	for service, want := range map[string]string{
		"ec2": "RequestExpired", "autoscaling": "ExpiredToken", "batch": "ExpiredTokenException", "s3": "ExpiredToken",
		"sns": "ExpiredToken", "ssm": "ExpiredTokenException", "sts": "ExpiredToken",
	} {
		equal(t, service, code(asking(session)[service](t.Context())), want)
	}
	without := session
	held, err := session.Credentials.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	without.Credentials = credentials.NewStaticCredentialsProvider(held.AccessKeyID, held.SecretAccessKey, "")
	for service, want := range map[string]string{
		"ec2": "AuthFailure", "autoscaling": "InvalidClientTokenId", "batch": "UnrecognizedClientException", "s3": "InvalidAccessKeyId",
		"sns": "InvalidClientTokenId", "ssm": "UnrecognizedClientException", "sts": "InvalidClientTokenId",
	} {
		equal(t, service+" without a token", code(asking(without)[service](t.Context())), want)
	}
}

// The hub has its services and nothing else, though a member has its id.
func TestHub(t *testing.T) {
	o := loadOrganization(t, organizationFiles(), options())
	client := config(o.Client())
	for service, want := range map[string]string{
		"ec2": "UnauthorizedOperation", "autoscaling": "AccessDenied", "batch": "AccessDeniedException", "s3": "", "sns": "", "ssm": "", "sts": "",
	} {
		equal(t, service, code(asking(client)[service](t.Context())), want)
	}
	for service, ask := range asking(member(t, o.Client(), roleOf(hub, "read"))) {
		equal(t, service+" by a role", code(ask(t.Context())), "")
	}
	equal(t, "published by the hub", len(o.Hub().Published()), 1)
	equal(t, "published by the member", len(o.Accounts()[hub].Published()), 1)

	parameters := ssm.NewFromConfig(client)
	get := func() (string, error) {
		out, err := parameters.GetParameter(t.Context(), &ssm.GetParameterInput{Name: aws.String("/ami-janitor/run")})
		if err != nil {
			return "", err
		}
		return *out.Parameter.Value, nil
	}
	_, err := get()
	equal(t, "a parameter that is not there", code(err), "ParameterNotFound")
	if _, err := parameters.PutParameter(t.Context(), &ssm.PutParameterInput{Name: aws.String("/ami-janitor/run"), Value: aws.String("stop"), Type: ssmtypes.ParameterTypeString}); err != nil {
		t.Fatal(err)
	}
	value, err := get()
	equal(t, "value", value, "stop")
	equal(t, "code", code(err), "")
}

// A bucket of a name is one thing in the hub, and another in a member.
func TestBucketsAreOfTheirAccounts(t *testing.T) {
	o := loadOrganization(t, organizationFiles(), options())
	of := func(c aws.Config) *s3.Client {
		return s3.NewFromConfig(c, func(o *s3.Options) { o.UsePathStyle = true })
	}
	object := &s3.GetObjectInput{Bucket: aws.String("example-bucket"), Key: aws.String("key")}
	if _, err := of(member(t, o.Client(), roleOf(builder, "read"))).GetObject(t.Context(), object); err != nil {
		t.Error(err)
	}
	_, err := of(config(o.Client())).GetObject(t.Context(), object)
	equal(t, "the member's object, by the hub", code(err), "NoSuchKey")
	seen := &s3.GetObjectInput{Bucket: aws.String(emulator.RecordsBucket), Key: aws.String("org/seen.json")}
	if _, err := of(config(o.Client())).GetObject(t.Context(), seen); err != nil {
		t.Error(err)
	}
	_, err = of(member(t, o.Client(), roleOf(builder, "read"))).GetObject(t.Context(), seen)
	equal(t, "the hub's object, by the member", code(err), "NoSuchKey")
}

// What Save writes is loaded again as it was.
func TestSaveOrganization(t *testing.T) {
	o := loadOrganization(t, organizationFiles(), options())
	c := member(t, o.Client(), roleOf(builder, "sweep"))
	if _, err := ec2.NewFromConfig(c).DeregisterImage(t.Context(), &ec2.DeregisterImageInput{ImageId: aws.String("ami-00000001")}); err != nil {
		t.Fatal(err)
	}
	o.Remove(suspended)
	dir := filepath.Join(t.TempDir(), "after")
	if err := o.Save(dir); err != nil {
		t.Fatal(err)
	}
	again := loadOrganization(t, os.DirFS(dir), options())
	ids := []string{}
	for id := range again.Accounts() {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	equal(t, "accounts", ids, []string{builder, hub, nested})
	images, err := ec2.NewFromConfig(member(t, again.Client(), roleOf(builder, "read"))).DescribeImages(t.Context(), &ec2.DescribeImagesInput{})
	if err != nil || len(images.Images) != 0 {
		t.Errorf("%+v, %v", images, err)
	}
	_, err = assume(t.Context(), again.Client(), roleOf(nested, "sweep"))
	equal(t, "a role that is not there", code(err), "AccessDenied")
	equal(t, "memory", string(again.Hub().Objects(emulator.RecordsBucket)["org/seen.json"]), "{}")
	equal(t, "what means nothing", again.NotRead(), []string(nil))
	text, err := os.ReadFile(filepath.Join(dir, "organization.json"))
	for _, want := range []string{`"Note": "kept"`, `"Status": "ACTIVE"`, `"Name": "<builder>"`, "o-exampleorg/r-ab12/ou-ab12-11111111/ou-ab12-33333333/", "management@example.com"} {
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s is not in %s, %v", want, text, err)
		}
	}
}

func TestOrganizationsThatCannotBeRead(t *testing.T) {
	changed := func(old, with string) string {
		if !strings.Contains(organizationJSON, old) {
			t.Fatal(old)
		}
		return strings.Replace(organizationJSON, old, with, 1)
	}
	const file = "organization.json"
	tests := []struct{ name, file, content, want string }{
		{"no list", file, "", "organization.json: "},
		{"no organization", file, `{"Accounts": []}`, "organization.json: no Organization.Id in it"},
		{"no account", file, `{"Organization": {"Id": "o-1", "MasterAccountId": "123456789012"}, "Accounts": []}`, "organization.json: no account in it"},
		{"a part of a list", file, changed(`"Note": "kept"`, `"NextToken": "x"`), "organization.json:2:"},
		{"another case", file, changed(`"Hub"`, `"hub"`), `organization.json:2:66: has "hub" where the AWS CLI prints "Hub"`},
		{"a number as id", file, changed(`{"Id": "o-exampleorg"`, `{"Id": 5`), `organization.json:1:18: "Organization".Id must be a string`},
		{"a wrong state", file, changed(`"State": "ACTIVE"`, `"State": true`), `organization.json:4:3: Accounts[0].State must be a string`},
		{"a hub that is none", file, changed(`"Hub": "123456789012"`, `"Hub": "hub"`), `organization.json: Hub "hub" is not the id of an account`},
		{"a wrong id", file, changed(`"Id": "111122223333"`, `"Id": "1111-2222-3333"`), `organization.json: Accounts[1]: Id "1111-2222-3333"`},
		{"twice", file, changed(`"Id": "444455556666"`, `"Id": "111122223333"`), "organization.json: Accounts[2]: 111122223333 is there twice"},
		{"no path", file, changed(`, "Path": "o-exampleorg/r-ab12/"`, ""), `organization.json: Accounts[0]: Path "" is no path such as o-exampleorg/r-ab12/`},
		{"a path elsewhere", file, changed("o-exampleorg/r-ab12/ou-ab12-22222222/", "o-other/r-ab12/ou-ab12-22222222/"), "organization.json: Accounts[3]: Path "},
		{"another root", file, changed("o-exampleorg/r-ab12/ou-ab12-22222222/", "o-exampleorg/r-cd34/"), "organization.json: Accounts[3]: Path "},
		{"another account", "accounts/" + builder + "/get-caller-identity.json", `{"Account": "123456789012"}`, "accounts/111122223333/get-caller-identity.json: is of account 123456789012"},
		{"no identity", "accounts/" + builder + "/get-caller-identity.json", "", "accounts/111122223333/get-caller-identity.json: missing"},
		{"a fault in an account", "accounts/" + builder + "/describe-images.json", `{"Images": [5]}`, "accounts/111122223333/describe-images.json:1:13: "},
		{"an unknown account", "accounts/222222222222/get-caller-identity.json", `{"Account": "222222222222"}`, "accounts/222222222222: this account is not in organization.json"},
		{"an unknown account at the top", "222222222222/get-caller-identity.json", `{"Account": "222222222222"}`, "222222222222: this account is not in organization.json"},
		{"an account in two places", builder + "/get-caller-identity.json", `{"Account": "111122223333"}`, "accounts/111122223333: is there as 111122223333, too"},
		{"roles without a list", "accounts/" + builder + "/roles.json", `{"roles": 1}`, "accounts/111122223333/roles.json: "},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := emulator.LoadOrganization(organizationFiles(test.file, test.content), options())
			if err == nil || !strings.HasPrefix(err.Error(), test.want) {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
		})
	}
	if _, err := emulator.LoadOrganization(organizationFiles(), emulator.Options{}); err == nil {
		t.Error("no clock, and no error")
	}
}

// Files that mean nothing are named, and so is what an account lacks.
func TestWhatAnOrganizationLacks(t *testing.T) {
	o := loadOrganization(t, organizationFiles("README", "x", "accounts/notes.txt", "x", "accounts/"+nested+"/notes.txt", "x"), options())
	equal(t, "not read", o.NotRead(), []string{"888888888888/notes.txt", "README", "accounts/notes.txt"})
	if lacks := o.Lacks(); !slices.Contains(lacks, builder+"/describe-instances.json") || slices.Contains(lacks, builder+"/describe-images.json") {
		t.Errorf("%v", lacks)
	}
}

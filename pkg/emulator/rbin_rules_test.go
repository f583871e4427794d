package emulator_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rbin"
	"github.com/aws/aws-sdk-go-v2/service/rbin/types"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
)

func rbinClient(client emulator.Doer) *rbin.Client { return rbin.NewFromConfig(config(client)) }

func ruleTags(pairs ...string) []types.ResourceTag {
	var tags []types.ResourceTag
	for i := 0; i < len(pairs); i += 2 {
		tags = append(tags, types.ResourceTag{ResourceTagKey: &pairs[i], ResourceTagValue: &pairs[i+1]})
	}
	return tags
}

// imageRule asks for a rule for images.
func imageRule(days int32, tags ...types.ResourceTag) *rbin.CreateRuleInput {
	return &rbin.CreateRuleInput{
		ResourceType: types.ResourceTypeEc2Image, ResourceTags: tags,
		RetentionPeriod: &types.RetentionPeriod{RetentionPeriodValue: &days, RetentionPeriodUnit: types.RetentionPeriodUnitDays},
	}
}

func TestARuleIsCreatedShownAndDeleted(t *testing.T) {
	b := binOf(t, "list-rules.json", `{"Rules": []}`)
	client := rbinClient(b.Client())
	input := imageRule(7, ruleTags("intent", "remove", "empty", "")...)
	input.Description = aws.String("what for")
	input.Tags = []types.Tag{{Key: aws.String("Team"), Value: aws.String("platform")}}
	created, err := client.CreateRule(t.Context(), input)
	if err != nil {
		t.Fatal(err)
	}
	const arn = "arn:aws:rbin:us-east-1:123456789012:rule/"
	equal(t, "ARN", *created.RuleArn, arn+*created.Identifier)
	equal(t, "length of the id", len(*created.Identifier), 11)
	equal(t, "status, and what it says", fmt.Sprint(created.Status, *created.Description, *created.Tags[0].Value, len(created.ResourceTags)), "availablewhat forplatform2")

	listed, err := client.ListRules(t.Context(), &rbin.ListRulesInput{ResourceType: types.ResourceTypeEc2Image})
	if err != nil || len(listed.Rules) != 1 {
		t.Fatalf("%v, %v", listed, err)
	}
	equal(t, "listed", fmt.Sprint(*listed.Rules[0].Identifier, *listed.Rules[0].Description, *listed.Rules[0].RetentionPeriod.RetentionPeriodValue, *listed.Rules[0].RuleArn),
		*created.Identifier+"what for"+"7"+*created.RuleArn)

	got, err := client.GetRule(t.Context(), &rbin.GetRuleInput{Identifier: created.Identifier})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "type, status and period", fmt.Sprint(got.ResourceType, got.Status, *got.RetentionPeriod.RetentionPeriodValue, got.RetentionPeriod.RetentionPeriodUnit), "EC2_IMAGEavailable7DAYS")
	equal(t, "tags", fmt.Sprint(*got.ResourceTags[0].ResourceTagKey, *got.ResourceTags[0].ResourceTagValue, *got.ResourceTags[1].ResourceTagKey, *got.ResourceTags[1].ResourceTagValue), "intentremoveempty")
	equal(t, "exclusion tags and lock", fmt.Sprint(len(got.ExcludeResourceTags), got.LockState), "0")

	equal(t, "remove", b.deregister("ami-00000001"), "")
	equal(t, "in the bin", b.listed(), "1 7")
	for _, want := range []string{"", "ResourceNotFoundException"} {
		_, err = client.DeleteRule(t.Context(), &rbin.DeleteRuleInput{Identifier: created.Identifier})
		equal(t, "delete", code(err), want)
	}
	equal(t, "status", status(err), http.StatusNotFound)
	_, err = client.GetRule(t.Context(), &rbin.GetRuleInput{Identifier: created.Identifier})
	equal(t, "get", code(err), "ResourceNotFoundException")
	equal(t, "still in the bin", b.listed(), "1 7")
	equal(t, "remove another", b.deregister("ami-00000002"), "")
	equal(t, "which does not enter it", b.listed(), "1 7")
	again, err := client.CreateRule(t.Context(), imageRule(7))
	if err != nil || *again.Identifier == *created.Identifier {
		t.Errorf("another rule: %v, %v", again, err)
	}
}

func TestRulesThatAreRefused(t *testing.T) {
	with := func(change func(*rbin.CreateRuleInput)) *rbin.CreateRuleInput {
		input := imageRule(7)
		change(input)
		return input
	}
	many := func(n int) (tags []types.ResourceTag) {
		for i := range n {
			tags = append(tags, ruleTags(fmt.Sprint("k", i), "v")...)
		}
		return tags
	}
	client := rbinClient(load(t, directory()).Client())
	for name, test := range map[string]struct {
		input *rbin.CreateRuleInput
		want  string
	}{
		"no day":              {imageRule(0), "ValidationException"},
		"a day":               {imageRule(1), ""},
		"a year":              {imageRule(365), ""},
		"a longer time":       {imageRule(366), "ValidationException"},
		"a volume for a week": {with(func(r *rbin.CreateRuleInput) { r.ResourceType = types.ResourceTypeEbsVolume }), ""},
		"a volume for longer": {with(func(r *rbin.CreateRuleInput) {
			r.ResourceType, r.RetentionPeriod.RetentionPeriodValue = types.ResourceTypeEbsVolume, aws.Int32(8)
		}), "ValidationException"},
		"weeks":               {with(func(r *rbin.CreateRuleInput) { r.RetentionPeriod.RetentionPeriodUnit = "WEEKS" }), "ValidationException"},
		"another type":        {with(func(r *rbin.CreateRuleInput) { r.ResourceType = "EC2_INSTANCE" }), "ValidationException"},
		"50 tags":             {with(func(r *rbin.CreateRuleInput) { r.ResourceTags = many(50) }), ""},
		"51 tags":             {with(func(r *rbin.CreateRuleInput) { r.ResourceTags = many(51) }), "ValidationException"},
		"five exclusions":     {with(func(r *rbin.CreateRuleInput) { r.ExcludeResourceTags = many(5) }), ""},
		"six exclusions":      {with(func(r *rbin.CreateRuleInput) { r.ExcludeResourceTags = many(6) }), "ValidationException"},
		"tags and exclusions": {with(func(r *rbin.CreateRuleInput) { r.ResourceTags, r.ExcludeResourceTags = many(1), many(1) }), "ValidationException"},
		"an empty key":        {with(func(r *rbin.CreateRuleInput) { r.ResourceTags = ruleTags("", "v") }), "ValidationException"},
		"a long value":        {with(func(r *rbin.CreateRuleInput) { r.ResourceTags = ruleTags("k", strings.Repeat("v", 257)) }), "ValidationException"},
		"a long description":  {with(func(r *rbin.CreateRuleInput) { r.Description = aws.String(strings.Repeat("é", 256)) }), "ValidationException"},
		"a whole description": {with(func(r *rbin.CreateRuleInput) { r.Description = aws.String(strings.Repeat("é", 255)) }), ""},
		"two lines":           {with(func(r *rbin.CreateRuleInput) { r.Description = aws.String("a\nb") }), "ValidationException"},
		"a lock, not emulated": {with(func(r *rbin.CreateRuleInput) {
			r.LockConfiguration = &types.LockConfiguration{UnlockDelay: &types.UnlockDelay{UnlockDelayUnit: "DAYS", UnlockDelayValue: aws.Int32(7)}}
		}), "UnknownParameter"},
	} {
		_, err := client.CreateRule(t.Context(), test.input)
		equal(t, name, code(err), test.want)
	}
	for _, id := range []string{"short", "../../../../x", "aaaaaaaaaa/"} {
		_, err := client.GetRule(t.Context(), &rbin.GetRuleInput{Identifier: &id})
		equal(t, "get "+id, code(err), "ValidationException")
	}

	c := config(load(t, directory()).Client())
	c.Region = "eu-west-1"
	_, err := rbin.NewFromConfig(c).CreateRule(t.Context(), imageRule(7))
	equal(t, "in a region that is not there", code(err), "ValidationException")
}

func TestQuotasOfRules(t *testing.T) {
	client := rbinClient(load(t, directory()).Client())
	for i := range 250 {
		want := ""
		tags := ruleTags("a", "1")
		if i >= 5 {
			_, err := client.CreateRule(t.Context(), imageRule(7, tags...))
			equal(t, "the sixth rule with a tag", code(err), "ServiceQuotaExceededException")
			tags = ruleTags("a", fmt.Sprint(i))
		}
		_, err := client.CreateRule(t.Context(), imageRule(7, tags...))
		equal(t, fmt.Sprint("rule ", i), code(err), want)
	}
	_, err := client.CreateRule(t.Context(), imageRule(7))
	equal(t, "rule 251", code(err)+fmt.Sprint(status(err)), "ServiceQuotaExceededException402")

	pages := rbin.NewListRulesPaginator(client, &rbin.ListRulesInput{ResourceType: types.ResourceTypeEc2Image})
	var lengths []int
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		lengths = append(lengths, len(page.Rules))
	}
	equal(t, "pages, one of them empty", lengths, []int{100, 0, 100, 50})
}

const lockedRules = `{"Rules": [
	{"Identifier": "lockedRule1", "ResourceType": "EC2_IMAGE", "Status": "available", "LockState": "locked", "LockConfiguration": {"UnlockDelay": {"UnlockDelayValue": 7, "UnlockDelayUnit": "DAYS"}},
	 "RetentionPeriod": {"RetentionPeriodValue": 3, "RetentionPeriodUnit": "DAYS"}, "ExcludeResourceTags": [{"ResourceTagKey": "k", "ResourceTagValue": "v"}], "Other": {"x": 1}},
	{"Identifier": "lockedRule2", "ResourceType": "EC2_IMAGE", "Status": "pending", "LockState": "pending_unlock", "LockEndTime": 1795398281.939},
	{"Identifier": "openRule001", "ResourceType": "EC2_IMAGE", "LockState": "unlocked", "ResourceTags": [{"ResourceTagKey": "k", "ResourceTagValue": "v"}, {"ResourceTagKey": "l"}]},
	{"Identifier": "otherRule01", "ResourceType": "EBS_SNAPSHOT"}, {"Identifier": "", "RetentionPeriod": {"RetentionPeriodValue": 3}}]}`

func TestListRules(t *testing.T) {
	a := load(t, directory("list-rules.json", lockedRules))
	client := rbinClient(a.Client())
	for _, test := range []struct {
		name  string
		input rbin.ListRulesInput
		want  string
	}{
		{"images", rbin.ListRulesInput{ResourceType: "EC2_IMAGE"}, "lockedRule1 lockedRule2 openRule001"},
		{"snapshots", rbin.ListRulesInput{ResourceType: "EBS_SNAPSHOT"}, "otherRule01"},
		{"volumes", rbin.ListRulesInput{ResourceType: "EBS_VOLUME"}, ""},
		{"another type", rbin.ListRulesInput{ResourceType: "X"}, "ValidationException"},
		{"locked", rbin.ListRulesInput{ResourceType: "EC2_IMAGE", LockState: "locked"}, "lockedRule1"},
		{"by tag", rbin.ListRulesInput{ResourceType: "EC2_IMAGE", ResourceTags: ruleTags("k", "v")}, "openRule001"},
		{"by key", rbin.ListRulesInput{ResourceType: "EC2_IMAGE", ResourceTags: []types.ResourceTag{{ResourceTagKey: aws.String("k")}}}, "openRule001"},
		{"by another value", rbin.ListRulesInput{ResourceType: "EC2_IMAGE", ResourceTags: ruleTags("k", "w")}, ""},
		{"by two tags", rbin.ListRulesInput{ResourceType: "EC2_IMAGE", ResourceTags: append(ruleTags("k", "v"), types.ResourceTag{ResourceTagKey: aws.String("l")})}, "openRule001"},
		{"by exclusion tag", rbin.ListRulesInput{ResourceType: "EC2_IMAGE", ExcludeResourceTags: ruleTags("k", "v")}, "lockedRule1"},
		{"no pages", rbin.ListRulesInput{ResourceType: "EC2_IMAGE", MaxResults: aws.Int32(0)}, "ValidationException"},
		{"pages that are too long", rbin.ListRulesInput{ResourceType: "EC2_IMAGE", MaxResults: aws.Int32(1001)}, "ValidationException"},
		{"a token that is none", rbin.ListRulesInput{ResourceType: "EC2_IMAGE", NextToken: aws.String("x")}, "ValidationException"},
	} {
		out, err := client.ListRules(t.Context(), &test.input)
		got := code(err)
		if err == nil {
			var ids []string
			for _, rule := range out.Rules {
				ids = append(ids, *rule.Identifier)
			}
			got = strings.Join(ids, " ")
		}
		equal(t, test.name, got, test.want)
	}

	got, err := client.GetRule(t.Context(), &rbin.GetRuleInput{Identifier: aws.String("lockedRule2")})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "lock", fmt.Sprint(got.Status, got.LockState, got.LockEndTime.UnixMilli()), "pendingpending_unlock1795398281939")
	got, err = client.GetRule(t.Context(), &rbin.GetRuleInput{Identifier: aws.String("lockedRule1")})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "lock", *got.LockConfiguration.UnlockDelay.UnlockDelayValue, int32(7))
	for id, want := range map[string]string{"lockedRule1": "ConflictException", "lockedRule2": "ConflictException", "openRule001": ""} {
		_, err := client.DeleteRule(t.Context(), &rbin.DeleteRuleInput{Identifier: &id})
		equal(t, "delete "+id, code(err), want)
	}
}

func TestRuleDelay(t *testing.T) {
	b := binOf(t, "list-rules.json", `{"Rules": []}`)
	b.SetRuleDelay(30 * time.Minute)
	client := rbinClient(b.Client())
	created, err := client.CreateRule(t.Context(), imageRule(7))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "status", created.Status, types.RuleStatusPending)
	b.now = b.now.Add(30*time.Minute - 1)
	equal(t, "remove", b.deregister("ami-00000001"), "")
	a, err := emulator.Load(save(t, b.Account), emulator.Options{Now: func() time.Time { return b.now }})
	if err != nil {
		t.Fatal(err)
	}
	b.now = b.now.Add(1)
	equal(t, "remove another", b.deregister("ami-00000002"), "")
	equal(t, "in the bin", b.listed(), "2 7")
	for name, client := range map[string]*rbin.Client{"then": client, "then, saved in between": rbinClient(a.Client())} {
		got, err := client.GetRule(t.Context(), &rbin.GetRuleInput{Identifier: created.Identifier})
		if err != nil {
			t.Fatal(err)
		}
		equal(t, name, got.Status, types.RuleStatusAvailable)
	}
	if rules := string(content(t, save(t, a), "list-rules.json")); strings.Contains(rules, "AvailableTime") {
		t.Errorf("a rule that is in force is saved as one that is to be: %s", rules)
	}
}

func TestKeepRemoved(t *testing.T) {
	a := load(t, directory("list-rules.json", rulesByTag))
	if err := a.AddRegion("eu-west-1", directory("describe-images.json",
		`{"Images": [{"ImageId": "ami-00000001", "Tags": [{"Key": "ami-janitor:intent", "Value": "remove"}], "BlockDeviceMappings": [{"Ebs": {"SnapshotId": "snap-00000001"}}]}]}`,
		"describe-snapshots.json", `{"Snapshots": [{"SnapshotId": "snap-00000001", "Tags": [{"Key": "ami-janitor:intent", "Value": "remove"}]}]}`)); err != nil {
		t.Fatal(err)
	}
	a.KeepRemoved(14)
	a.KeepRemoved(99)
	for region, want := range map[string]string{"us-east-1": "imageRule01 14 snapRule001 20", "eu-west-1": "janitorImgs 14 janitorSnps 14"} {
		c := config(a.Client())
		c.Region = region
		var rules []string
		for _, kind := range []types.ResourceType{types.ResourceTypeEc2Image, types.ResourceTypeEbsSnapshot} {
			out, err := rbin.NewFromConfig(c).ListRules(t.Context(), &rbin.ListRulesInput{ResourceType: kind})
			if err != nil {
				t.Fatal(err)
			}
			for _, rule := range out.Rules {
				rules = append(rules, fmt.Sprint(*rule.Identifier, " ", *rule.RetentionPeriod.RetentionPeriodValue))
			}
		}
		equal(t, region, strings.Join(rules, " "), want)
	}
}

func TestRecycleBinProtocol(t *testing.T) {
	const scope = "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261123/us-east-1/rbin/aws4_request, SignedHeaders=host, Signature=0"
	for _, test := range []struct {
		method, path, body string
		status             int
		errorType, want    string
	}{
		{"POST", "/list-rules", `{"ResourceType": "EBS_VOLUME"}`, 200, "", `{"Rules":[]}`},
		{
			"POST", "/list-rules", `{"ResourceType": "EC2_IMAGE", "LockState": "locked"}`, 200, "", `{"Rules":[{"Identifier":"lockedRule1","LockState":"locked",` +
				`"RetentionPeriod":{"RetentionPeriodUnit":"DAYS","RetentionPeriodValue":3},"RuleArn":"arn:aws:rbin:us-east-1:123456789012:rule/lockedRule1"}]}`,
		},
		{"POST", "/list-rules", ``, 400, "ValidationException", `{"Message":"Invalid resource type: ''","Reason":"INVALID_PARAMETER_VALUE"}`},
		{"POST", "/list-rules", `[]`, 400, "SerializationException", `{"Message":`},
		{"POST", "/list-rules", `{"ResourceType": "EC2_IMAGE", "Colour": {"Red": 1}}`, 400, "UnknownParameter", `{"Message":`},
		{"GET", "/list-rules", ``, 400, "InvalidAction", `{"Message":`},
		{"PATCH", "/rules/openRule001", `{}`, 400, "InvalidAction", `{"Message":`},
		{"GET", "/rules/openRule001", ``, 200, "", `"Identifier":"openRule001"`},
		{"GET", "/rules/open%52ule001", ``, 200, "", `"Identifier":"openRule001"`},
		{"GET", "/rules/openRule001/", ``, 400, "InvalidAction", `{"Message":`},
		{"GET", "/rules/openRule002", ``, 404, "ResourceNotFoundException", `"Reason":"RULE_NOT_FOUND"`},
		{"GET", "/rules/", ``, 400, "ValidationException", `{"Message":`},
		{"DELETE", "/rules/lockedRule1", ``, 409, "ConflictException", `"Reason":"INVALID_RULE_STATE"`},
		{"DELETE", "/rules/openRule001", ``, 204, "", ``},
	} {
		t.Run(test.method+" "+test.path, func(t *testing.T) {
			a := load(t, directory("list-rules.json", lockedRules))
			r := httptest.NewRequest(test.method, test.path, strings.NewReader(test.body))
			r.Header.Set("Authorization", scope)
			w := httptest.NewRecorder()
			a.ServeHTTP(w, r)
			equal(t, "status", w.Code, test.status)
			equal(t, "error type", w.Header().Get("X-Amzn-ErrorType"), test.errorType)
			equal(t, "content type", w.Header().Get("Content-Type"), "application/json")
			if !strings.Contains(w.Body.String(), test.want) || test.want == "" && w.Body.Len() > 0 {
				t.Errorf("got %s\nwant in it %s", w.Body, test.want)
			}
		})
	}
	_, err := rbinClient(disturb.Deny(load(t, directory()).Client(), "ListRules")).ListRules(t.Context(), &rbin.ListRulesInput{ResourceType: "EC2_IMAGE"})
	equal(t, "denied", code(err)+fmt.Sprint(status(err)), "AccessDeniedException403")
}

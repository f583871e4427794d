package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/rbin"
	"github.com/aws/aws-sdk-go-v2/service/rbin/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/google/go-cmp/cmp"
)

// emulating runs the command emulate for the length of a test, and returns the AWS configuration
// that leads to it.
func emulating(t *testing.T, variables []string, args ...string) aws.Config {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	reader, writer := io.Pipe()
	var errs bytes.Buffer
	done := make(chan int, 1)
	lookup := func(name string) string {
		for _, variable := range variables {
			if key, value, _ := strings.Cut(variable, "="); key == name {
				return value
			}
		}
		return ""
	}
	go func() {
		status := run(ctx, append([]string{"emulate"}, args...), streams{strings.NewReader(""), writer, &errs}, lookup)
		_ = writer.Close()
		done <- status
	}()
	t.Cleanup(func() {
		stop()
		if status := <-done; status != 0 {
			t.Errorf("status %d: %s", status, errs.String())
		}
	})
	line := make([]byte, 64)
	n, err := reader.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	return aws.Config{
		Region:       "us-east-1",
		BaseEndpoint: aws.String(strings.TrimSpace(string(line[:n]))),
		Credentials:  credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "secret", ""),
		Retryer:      func() aws.Retryer { return aws.NopRetryer{} },
	}
}

// logged reads the log of the emulator.
func logged(t *testing.T, file string) []map[string]any {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var lines []map[string]any
	for line := range strings.Lines(string(data)) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		lines = append(lines, fields)
	}
	return lines
}

func TestEmulateKeepsALog(t *testing.T) {
	file := filepath.Join(t.TempDir(), "requests.jsonl")
	start := time.Now()
	config := emulating(t, nil, "--now", nightly, "--log", file)
	client := ec2.NewFromConfig(config)
	for _, id := range []string{"ami-0123456789example", "ami-00000000"} {
		_, _ = client.DeregisterImage(t.Context(), &ec2.DeregisterImageInput{ImageId: &id})
		if n := len(logged(t, file)); n == 0 {
			t.Error("the line is not there when the answer is")
		}
	}
	objects := s3.NewFromConfig(config, func(o *s3.Options) { o.UsePathStyle = true })
	if _, err := objects.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("amzn-s3-demo-bucket"), Key: aws.String("runs/1"), Body: strings.NewReader("{}")}); err != nil {
		t.Error(err)
	}
	lines := logged(t, file)
	if len(lines) != 3 {
		t.Fatalf("%v", lines)
	}
	for i, want := range []string{
		`{"action":"DeregisterImage","code":"InvalidAMIID.Malformed","region":"us-east-1","status":400,"svc":"ec2"}`,
		`{"action":"DeregisterImage","code":"InvalidAMIID.NotFound","region":"us-east-1","status":400,"svc":"ec2"}`,
		`{"action":"PutObject","code":"","region":"us-east-1","status":200,"svc":"s3"}`,
	} {
		at, err := time.Parse(time.RFC3339Nano, lines[i]["t"].(string))
		if err != nil || at.Before(start.Truncate(time.Millisecond)) || at.After(time.Now()) {
			t.Errorf("t: %v, %v", lines[i]["t"], err) // The real time, whatever --now says.
		}
		delete(lines[i], "t")
		if got, err := json.Marshal(lines[i]); err != nil || string(got) != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestEmulateThrottlesWhenAsked(t *testing.T) {
	for limits, want := range map[string]int{"off": http.StatusBadRequest, "published": http.StatusServiceUnavailable} {
		config := emulating(t, nil, "--now", nightly, "--limits", limits)
		var last int
		// Of this action, which is not even emulated, EC2 grants one call in ten seconds.
		for range 2 {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, *config.BaseEndpoint+"/?Action=EnableImageBlockPublicAccess", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261123/us-east-1/ec2/aws4_request, SignedHeaders=host, Signature=0")
			response, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(response.Body)
			_ = response.Body.Close()
			last = response.StatusCode
			if last == http.StatusServiceUnavailable && !bytes.Contains(body, []byte("<Code>RequestLimitExceeded</Code>")) {
				t.Errorf("%s", body)
			}
		}
		if last != want {
			t.Errorf("--limits %s: status %d", limits, last)
		}
	}
}

func TestEmulateTakesItsTime(t *testing.T) {
	client := ec2.NewFromConfig(emulating(t, nil, "--now", nightly, "--latency", "200ms"))
	start := time.Now()
	if _, err := client.DescribeRegions(t.Context(), &ec2.DescribeRegionsInput{}); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took < 180*time.Millisecond || took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
}

// What AWS does not document is as the flags say.
func TestEmulateWhereAWSIsSilent(t *testing.T) {
	config := emulating(t, []string{"RECYCLE_BIN_DAYS=14"}, "--now", nightly, "--account", idleAccount(t), "--tags-late=90s", "--bin-late=10m", "--empty-lists=left-out")
	client := ec2.NewFromConfig(config)
	if _, err := client.CreateTags(t.Context(), &ec2.CreateTagsInput{
		Resources: []string{idleImage}, Tags: []ec2types.Tag{{Key: aws.String("ami-janitor:intent"), Value: aws.String("remove")}},
	}); err != nil {
		t.Fatal(err)
	}
	tags, err := client.DescribeTags(t.Context(), &ec2.DescribeTagsInput{})
	if err != nil || tags.Tags != nil {
		t.Errorf("%+v, %v", tags, err)
	}
	_, err = client.DeregisterImage(t.Context(), &ec2.DeregisterImageInput{ImageId: aws.String(idleImage), DryRun: aws.Bool(true)})
	if err == nil || !strings.Contains(err.Error(), "UnauthorizedOperation") {
		t.Error(err)
	}

	dir := idleAccount(t)
	write(t, dir, "list-images-in-recycle-bin.json", `{"Images": [{"ImageId": "ami-0123456789abcdef1", "RecycleBinEnterTime": "`+nightly+`", "RecycleBinExitTime": "2026-12-07T02:00:00Z"}]}`)
	for _, late := range []string{"0s", "10m"} {
		bin, err := ec2.NewFromConfig(emulating(t, nil, "--now", nightly, "--account", dir, "--bin-late", late)).ListImagesInRecycleBin(t.Context(), &ec2.ListImagesInRecycleBinInput{})
		if err != nil || len(bin.Images) == 1 != (late == "0s") || bin.Images == nil {
			t.Errorf("--bin-late=%s: %+v, %v", late, bin, err)
		}
	}
}

// The copy has the rules of the Recycle Bin that the template would make.
func TestTheCopyHasARecycleBin(t *testing.T) {
	for variable, want := range map[string]int{"": 0, "RECYCLE_BIN_DAYS=0": 0, "RECYCLE_BIN_DAYS=14": 1} {
		client := rbin.NewFromConfig(emulating(t, []string{variable}, "--now", nightly, "--account", bareAccount(t)))
		for _, kind := range []types.ResourceType{types.ResourceTypeEc2Image, types.ResourceTypeEbsSnapshot} {
			out, err := client.ListRules(t.Context(), &rbin.ListRulesInput{ResourceType: kind})
			if err != nil {
				t.Fatal(err)
			}
			if len(out.Rules) != want {
				t.Errorf("%q: %d rules for %s", variable, len(out.Rules), kind)
			}
			for _, rule := range out.Rules {
				if *rule.RetentionPeriod.RetentionPeriodValue != 14 {
					t.Errorf("%d days", *rule.RetentionPeriod.RetentionPeriodValue)
				}
			}
		}
	}
	for _, days := range []string{"x", "-1", "366", "1.5"} {
		got := cli(t, []string{"RECYCLE_BIN_DAYS=" + days}, "emulate")
		if got.status != exitUsage || !strings.Contains(got.err, "RECYCLE_BIN_DAYS") {
			t.Errorf("%s: %+v", days, got)
		}
	}
}

// A copy without any rule of the Recycle Bin is rehearsed with those that the stack would make. A
// flag wins over the variable, and the next night goes on with these rules.
func TestARehearsalHasTheRulesOfTheStack(t *testing.T) {
	const assumed = "This copy has no Recycle Bin rules: the stack would make them (30 days), and the rehearsal goes on as if it had."
	dir, state := idleAccount(t), t.TempDir()
	rehearse := func(account string, args ...string) result {
		t.Helper()
		return cli(t, []string{"RECYCLE_BIN_DAYS=7"}, append([]string{"rehearse", "--now", nightly, "--account", account, "--recycle-bin-days=30"}, args...)...)
	}
	got := rehearse(dir, "--state-out", state, "--output=text", "--show=all")
	rules, err := os.ReadFile(filepath.Join(state, "list-rules.json"))
	if err != nil || got.status != 0 || bytes.Count(rules, []byte(`"RetentionPeriodValue": 30`)) != 2 || strings.Count(string(rules), "ami-janitor:intent") != 2 {
		t.Errorf("%+v, %v: %s", got, err, rules)
	}
	if !strings.Contains(got.out, assumed+"\n\nDeregistered 1 AMI") || !strings.Contains(got.out, "Restorable until Wednesday 23 December 2026") {
		t.Errorf("%s", got.out)
	}
	record := rehearse(dir, "--output=json")
	if record.err != "ami-janitor: "+assumed+"\n" || record.record(t).Totals.Restorable != 1 {
		t.Errorf("%q, %+v", record.err, record.record(t).Totals)
	}
	if again := rehearse(state); again.status != 0 || strings.Contains(again.out, "Recycle Bin rules") {
		t.Errorf("%+v", again)
	}
	explained := cli(t, nil, "explain", idleImage, "--now", nightly, "--account", dir)
	if explained.status != 0 || !strings.Contains(explained.out, "To be deregistered") || !strings.Contains(explained.err, "(14 days)") {
		t.Errorf("%+v", explained)
	}
}

// A copy with a rule of its own, even one of another use, is judged as it is, and so is one whose
// rules may not be listed, and any where the stack would make no rules.
func TestARehearsalAddsNoRulesToOthers(t *testing.T) {
	own := idleAccount(t)
	write(t, own, "list-rules.json", `{"Rules": [{"Identifier": "imageRule01", "ResourceType": "EC2_IMAGE", "Status": "available",
		"ResourceTags": [{"ResourceTagKey": "team", "ResourceTagValue": "search"}], "RetentionPeriod": {"RetentionPeriodValue": 7, "RetentionPeriodUnit": "DAYS"}}]}`)
	unlisted := idleAccount(t)
	write(t, unlisted, "denied.json", `["rbin:ListRules"]`)
	for name, args := range map[string][]string{
		"a rule of its own": {"--account", own},
		"nobody may look":   {"--account", unlisted},
		"no rules wanted":   {"--account", idleAccount(t), "--recycle-bin-days=0"},
	} {
		got := cli(t, nil, append([]string{"rehearse", "--now", nightly}, args...)...)
		if got.status != 3 || strings.Contains(got.out+got.err, "the stack would make") || !strings.Contains(got.out, "Recycle Bin") || strings.Contains(got.out, "Deregistered") {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// idleImage is the one image of idleAccount.
const idleImage = "ami-0123456789abcdef0"

// idleAccount is the directory of an account with one image, idle for years, and its snapshot.
func idleAccount(t *testing.T) string {
	t.Helper()
	dir := bareAccount(t)
	write(t, dir, "describe-images.json", `{"Images": [{"ImageId": "`+idleImage+`", "Name": "idle", "OwnerId": "123456789012", "State": "available", "Public": false,
		"CreationDate": "2020-01-01T00:00:00.000Z", "LastLaunchedTime": "2021-01-01T00:00:00Z", "RootDeviceType": "ebs",
		"BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": "snap-0123456789abcdef0"}}]}]}`)
	write(t, dir, "describe-snapshots.json", `{"Snapshots": [{"SnapshotId": "snap-0123456789abcdef0", "OwnerId": "123456789012", "State": "completed", "VolumeSize": 8,
		"StartTime": "2020-01-01T00:00:00.000Z", "StorageTier": "standard", "Description": "Created by CreateImage(i-0123456789abcdef0) for `+idleImage+`"}]}`)
	return dir
}

// bareAccount is the directory of an account that has nothing but its number.
func bareAccount(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "get-caller-identity.json", `{"Account": "123456789012"}`)
	return dir
}

func TestWrongUsageOfTheWay(t *testing.T) {
	for name, test := range map[string][2]string{
		"limits that nobody published": {"--limits=double", "double"},
		"a latency below zero":         {"--latency=-1s", "--latency"},
		"tags seen before":             {"--tags-late=-1s", "--tags-late"},
		"a bin before its time":        {"--bin-late=-1s", "--bin-late"},
		"lists that nobody knows":      {"--empty-lists=null", "null"},
		"a latency without a unit":     {"--latency=80", "80"},
		"a log that is a directory":    {"--log=" + t.TempDir(), "--log"},
	} {
		t.Run(name, func(t *testing.T) {
			got := cli(t, nil, "emulate", "--now", nightly, test[0])
			if got.status != exitUsage || got.out != "" || !strings.Contains(got.err, test[1]) {
				t.Errorf("%+v", got)
			}
		})
	}
}

// organizationDirectory is the directory of an organization of three accounts. The second has no
// role of the janitor's.
func organizationDirectory(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "organization.json", `{"Organization": {"Id": "o-exampleorg", "MasterAccountId": "999999999999"}, "Accounts": [
		{"Id": "123456789012", "Name": "builder", "State": "ACTIVE", "Path": "o-exampleorg/r-ab12/"},
		{"Id": "111122223333", "Name": "roleless", "State": "ACTIVE", "Path": "o-exampleorg/r-ab12/"},
		{"Id": "999999999999", "Name": "management", "State": "ACTIVE", "Path": "o-exampleorg/r-ab12/"}]}`)
	accounts := filepath.Join(dir, "accounts")
	if err := os.MkdirAll(accounts, 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(idleAccount(t), filepath.Join(accounts, "123456789012")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Each request is logged with its account, and each account has limits of its own.
func TestEmulateServesAnOrganization(t *testing.T) {
	file := filepath.Join(t.TempDir(), "requests.jsonl")
	config := emulating(t, []string{"RECYCLE_BIN_DAYS=14"}, "--organization", organizationDirectory(t), "--log", file, "--limits", "published")
	assume := func(account string) (*sts.AssumeRoleOutput, error) {
		return sts.NewFromConfig(config).AssumeRole(t.Context(), &sts.AssumeRoleInput{
			RoleArn: aws.String("arn:aws:iam::" + account + ":role/ami-janitor/ami-janitor-default-read"), RoleSessionName: aws.String("ami-janitor-1"),
		})
	}
	if _, err := assume("111122223333"); err == nil || !strings.Contains(err.Error(), "sts:AssumeRole on resource: arn:aws:iam::111122223333:") {
		t.Error(err)
	}
	out, err := assume("123456789012")
	if err != nil {
		t.Fatal(err)
	}
	member := config
	member.Credentials = credentials.NewStaticCredentialsProvider(*out.Credentials.AccessKeyId, *out.Credentials.SecretAccessKey, *out.Credentials.SessionToken)
	images, err := ec2.NewFromConfig(member).DescribeImages(t.Context(), &ec2.DescribeImagesInput{})
	if err != nil || len(images.Images) != 1 {
		t.Errorf("%+v, %v", images, err)
	}
	rules, err := rbin.NewFromConfig(member).ListRules(t.Context(), &rbin.ListRulesInput{ResourceType: types.ResourceTypeEc2Image})
	if err != nil || len(rules.Rules) != 1 {
		t.Errorf("%+v, %v", rules, err)
	}
	var got []string
	for _, line := range logged(t, file) {
		got = append(got, fmt.Sprint(line["account"], " ", line["action"], " ", line["code"]))
	}
	want := []string{"999999999999 AssumeRole AccessDenied", "999999999999 AssumeRole ", "123456789012 DescribeImages ", "123456789012 ListRules "}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestEmulateRefusesAnOrganization(t *testing.T) {
	dir := organizationDirectory(t)
	write(t, dir, "222222222222", "")
	for says, args := range map[string][]string{
		"222222222222: this account is not in organization.json": {"--organization", dir},
		"organization.json: ":            {"--organization", t.TempDir()},
		"[organization account] are set": {"--organization", dir, "--account", dir},
	} {
		if got := cli(t, nil, append([]string{"emulate"}, args...)...); got.status != exitUsage || !strings.Contains(got.err, says) {
			t.Errorf("%s: %+v", says, got)
		}
	}
}

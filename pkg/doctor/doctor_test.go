package doctor_test

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ami-janitor/ami-janitor/internal/deployment"
	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/internal/testaccount"
	"github.com/ami-janitor/ami-janitor/pkg/config"
	"github.com/ami-janitor/ami-janitor/pkg/doctor"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/janitor"
)

type object = testaccount.Object

const region = "us-east-1"

var now = time.Date(2026, time.November, 30, 9, 0, 0, 0, time.UTC)

func clock() time.Time { return now }

// healthy are the parameters of a deployment that has nothing to complain about.
var healthy = map[string]string{"DigestEmail": "platform@example.com", "AlarmEmail": "oncall@example.com"}

// with are the parameters of a healthy deployment, and others.
func with(parameters ...string) map[string]string {
	all := maps.Clone(healthy)
	for pair := range slices.Chunk(parameters, 2) {
		all[pair[0]] = pair[1]
	}
	return all
}

// deploy are the files of an account with a deployment and one image.
func deploy(t *testing.T, parameters map[string]string) testaccount.Files {
	t.Helper()
	files := deployment.Files(t, "../..", region, parameters, now.Add(-7*time.Hour))
	files["describe-images.json"] = object{"Images": []any{object{
		"ImageId": testaccount.ImageID(1), "Name": "web", "OwnerId": testaccount.ID, "State": "available", "CreationDate": "2026-11-01T10:00:00.000Z",
		"ImageType": "machine", "RootDeviceType": "ebs", "Public": false,
	}}}
	files["describe-launch-permissions.json"] = object{testaccount.ImageID(1): []any{}}
	return files
}

// janitorOf works on the account as the function of the stack does.
func janitorOf(t *testing.T, files testaccount.Files, client emulator.Doer) *janitor.Janitor {
	t.Helper()
	variables := at(files["lambda-get-function-configuration.json"].([]any)[0], "Environment", "Variables")
	parsed, err := config.Parse(func(name string) string {
		value, _ := variables.(object)[name].(string)
		return value
	})
	if err != nil {
		t.Fatal(err)
	}
	return &janitor.Janitor{Config: parsed, AWS: testaccount.Config(client), Clock: clock, BorrowedRecords: true}
}

func at(value any, keys ...string) any {
	for _, key := range keys {
		value = value.(object)[key]
	}
	return value
}

// examine examines the deployment in an account, through a client that may be disturbed.
func examine(t *testing.T, files testaccount.Files, wrap func(emulator.Doer) emulator.Doer) (doctor.Report, *emulator.Account) {
	t.Helper()
	account := files.Load(t, emulator.Options{Now: clock})
	client := emulator.Doer(account.Client())
	if wrap != nil {
		client = wrap(client)
	}
	return doctor.Examine(t.Context(), doctor.Subject{
		Janitor:    janitorOf(t, files, client),
		Deployment: &doctor.Deployment{Stack: deployment.Stack, Region: region, Function: deployment.Function, Role: deployment.Role},
	}), account
}

// bad are the findings that are wrong or not checked.
func bad(report doctor.Report) []doctor.Finding {
	return slices.DeleteFunc(slices.Clone(report.Findings), func(f doctor.Finding) bool { return f.Level == doctor.Good || f.Level == doctor.Note })
}

// TestAHealthyDeployment has nothing to complain about, whatever its parameters are, and is not
// changed.
func TestAHealthyDeployment(t *testing.T) {
	for name, parameters := range map[string]map[string]string{
		"as by default":         healthy,
		"announced, deprecated": with("Grace", "14d", "GraceAction", "deprecate"),
		"disabled, shared":      with("Grace", "14d", "GraceAction", "disable", "SharedImages", "report", "MakeOwnersTopic", "true"),
		"bounded":               with("PermissionsBoundary", deployment.Boundary, "RolePath", "/janitor/"),
		"everything asked":      with("UsageSources", "all,elastic-beanstalk", "CloudFormationTemplates", "true", "ImageBuilderImages", "judge", "LaunchTemplateVersions", "3"),
		"bundles deleted":       with("Bundles", "delete", "BundleBuckets", "example-bundles", "RequireRecycleBin", "false"),
		"orphans removed":       with("OrphanedSnapshots", "remove", "CloudFormationTemplates", "true"),
		"off":                   with("ScheduleState", "DISABLED"),
	} {
		t.Run(name, func(t *testing.T) {
			files := deploy(t, parameters)
			account := files.Load(t, emulator.Options{Now: clock})
			subject := doctor.Subject{
				Janitor:    janitorOf(t, files, account.Client()),
				Deployment: &doctor.Deployment{Stack: deployment.Stack, Region: region, Role: strings.Replace(deployment.Role, ":role/", ":role"+or(parameters["RolePath"], "/"), 1)},
			}
			report := doctor.Examine(t.Context(), subject)
			for _, f := range bad(report) {
				t.Errorf("%+v", f)
			}
			for _, check := range []string{"credentials", "clock", "permissions", "records bucket", "DigestTopic", "AlarmTopic", "alarms", "last run", "Recycle Bin", "lock", "batch", "references", "launch permissions"} {
				if !slices.ContainsFunc(report.Findings, func(f doctor.Finding) bool { return f.Check == check && f.Level == doctor.Good }) {
					t.Errorf("nothing good is said of %s", check)
				}
			}
			for _, call := range account.Calls() {
				if !emulator.IsRead(call.Action) && call.Action != "SimulatePrincipalPolicy" {
					t.Errorf("it calls %s", call.Action)
				}
			}
		})
	}
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// role is the entry of the function's role.
func role(files testaccount.Files) object {
	for _, entry := range at(files["iam-get-account-authorization-details.json"], "RoleDetailList").([]any) {
		if r := entry.(object); r["Arn"] == deployment.Role {
			return r
		}
	}
	panic("there is no such role")
}

// inline is a statement more in the function's role.
func inline(files testaccount.Files, statement object) {
	r := role(files)
	policies, _ := r["RolePolicyList"].([]any)
	r["RolePolicyList"] = append(policies, object{"PolicyName": "more", "PolicyDocument": object{"Statement": []any{statement}}})
}

// only is the one entry of a list in a file.
func entries(files testaccount.Files, file, list string) []any {
	if list == "" {
		return files[file].([]any)
	}
	return at(files[file], list).([]any)
}

// TestWhatIsBroken breaks what each check is about, and wants it found: with a level, a word of
// what was found, and a word of the remedy.
func TestWhatIsBroken(t *testing.T) {
	const pages = "s3/" + deployment.Bucket + "/"
	set := func(file, list, key string, value any) func(testaccount.Files) {
		return func(files testaccount.Files) {
			for _, entry := range entries(files, file, list) {
				entry.(object)[key] = value
			}
		}
	}
	allow := func(actions ...any) func(testaccount.Files) {
		return func(files testaccount.Files) {
			inline(files, object{"Effect": "Allow", "Action": actions, "Resource": "*"})
		}
	}
	without := func(sid string) func(testaccount.Files) {
		return func(files testaccount.Files) {
			for _, policy := range role(files)["RolePolicyList"].([]any) {
				document := at(policy, "PolicyDocument").(object)
				document["Statement"] = slices.DeleteFunc(document["Statement"].([]any), func(s any) bool { return at(s, "Sid") == sid })
			}
		}
	}
	for name, c := range map[string]struct {
		parameters map[string]string
		breaks     func(testaccount.Files)
		wrap       func(emulator.Doer) emulator.Doer

		check         string
		level         doctor.Level
		found, remedy string
	}{
		"a removal without its tags passes": {
			breaks: allow("ec2:DeregisterImage"), check: "permissions", level: doctor.Wrong, found: "ec2:DeregisterImage passes on arn:aws:ec2:us-east-1::image/ami-0123456789abcdef0: it could remove what is not declared", remedy: "Take off the role",
		},
		"a Deny is gone": {
			breaks: without("NeverKeepTagged"), check: "permissions", level: doctor.Wrong, found: "it could remove what a tag keeps", remedy: "Deny statements",
		},
		"a removal is denied": {
			breaks: without("DeleteDeclaredSnapshots"), check: "permissions", level: doctor.Wrong, found: "ec2:DeleteSnapshot is denied", remedy: "sam deploy",
		},
		"a policy denies": {
			breaks: func(files testaccount.Files) {
				inline(files, object{"Effect": "Deny", "Action": "ec2:DescribeInstances", "Resource": "*"})
			}, check: "permissions", level: doctor.Wrong, found: "ec2:DescribeInstances is denied", remedy: "A policy of the role denies it",
		},
		"AWS's policy is not attached": {
			breaks: func(files testaccount.Files) { role(files)["AttachedManagedPolicies"] = []any{} }, check: "permissions", level: doctor.Wrong,
			found: "imagebuilder:GetContainerRecipe is denied", remedy: "sam deploy",
		},
		"the boundary does not allow": {
			breaks: func(files testaccount.Files) {
				role(files)["PermissionsBoundary"] = object{"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}
			}, check: "permissions", level: doctor.Wrong, found: "ec2:DeregisterImage is denied", remedy: "permissions boundary",
		},
		"a service control policy denies": {
			wrap:  replacing("SimulatePrincipalPolicy", "<EvalDecision>allowed</EvalDecision>", "<EvalDecision>implicitDeny</EvalDecision><OrganizationsDecisionDetail><AllowedByOrganizations>false</AllowedByOrganizations></OrganizationsDecisionDetail>"),
			check: "permissions", level: doctor.Wrong, found: "is denied", remedy: "A service control policy",
		},
		"IAM leaves answers out": {
			wrap: replacing("SimulatePrincipalPolicy", "<EvalActionName>ec2:DeregisterImage</EvalActionName>", ""), check: "permissions", level: doctor.Unchecked,
			found: "answered without ec2:DeregisterImage", remedy: "Try again",
		},
		"the simulation is denied": {
			wrap: denying("SimulatePrincipalPolicy"), check: "permissions", level: doctor.Unchecked, found: "iam:SimulatePrincipalPolicy: AccessDenied", remedy: "Allow iam:SimulatePrincipalPolicy to whoever runs doctor",
		},
		"the role is gone": {
			breaks: func(files testaccount.Files) { role(files)["Arn"] = "arn:aws:iam::123456789012:role/other" }, check: "permissions", level: doctor.Unchecked, found: "NoSuchEntity", remedy: "Try again",
		},
		"the alias is denied": {
			wrap: denying("ListAccountAliases"), check: "credentials", level: doctor.Note, found: "its alias cannot be read", remedy: "iam:ListAccountAliases",
		},
		"a source is denied to whoever asks": {
			wrap: denying("DescribeComputeEnvironments"), check: "batch", level: doctor.Unchecked, found: "AccessDenied", remedy: "Allow batch:DescribeComputeEnvironments to whoever runs doctor",
		},
		"a source answers with a web page": {
			wrap: garbling("DescribeFastLaunchImages"), check: "fast-launch", level: doctor.Wrong, found: "not a complete answer to DescribeFastLaunchImages", remedy: "docs/answers.md",
		},
		"a source leaves its list out": {
			wrap: replacing("DescribeFastLaunchImages", "fastLaunchImageSet", "other"), check: "fast-launch", level: doctor.Wrong, found: "EC2 answered DescribeFastLaunchImages without <fastLaunchImageSet>", remedy: "docs/answers.md",
		},
		"references are denied": {
			wrap: denying("DescribeImageReferences"), check: "references", level: doctor.Unchecked, found: "UnauthorizedOperation", remedy: "ec2:DescribeImageReferences",
		},
		"references are garbled": {
			wrap: garbling("DescribeImageReferences"), check: "references", level: doctor.Wrong, found: "not a complete answer", remedy: "docs/answers.md",
		},
		"launch permissions are garbled": {
			wrap: garbling("DescribeImageAttribute"), check: "launch permissions", level: doctor.Wrong, found: "not a complete answer", remedy: "docs/answers.md",
		},
		"the images are denied": {
			wrap: denying("DescribeImages"), check: "images", level: doctor.Unchecked, found: "ec2:DescribeImages", remedy: "Allow ec2:DescribeImages",
		},
		"no rule of the Recycle Bin": {
			breaks: func(files testaccount.Files) { files["list-rules.json"] = object{"Rules": []any{}} }, check: "Recycle Bin", level: doctor.Wrong,
			found: "no time", remedy: "Deploy recycle-bin.yaml in us-east-1, with RecycleBinDays=14",
		},
		"a rule that is too short": {
			breaks: func(files testaccount.Files) {
				at(entries(files, "list-rules.json", "Rules")[0], "RetentionPeriod").(object)["RetentionPeriodValue"] = 7
			}, check: "Recycle Bin", level: doctor.Wrong, found: "images for 7 days and snapshots for 14 days", remedy: "not-restorable",
		},
		"a rule that is pending": {
			breaks: set("list-rules.json", "Rules", "Status", "pending"), check: "Recycle Bin", level: doctor.Wrong, found: "no time", remedy: "runs only plan here",
		},
		"no bin, and none required": {
			parameters: with("RecycleBinDays", "0", "RequireRecycleBin", "false"), check: "Recycle Bin", level: doctor.Note, found: "no time", remedy: "is gone",
		},
		"the rules are denied": {
			wrap: denying("ListRules"), check: "Recycle Bin", level: doctor.Unchecked, found: "ListRules", remedy: "whoever runs doctor",
		},
		"no versions": {
			breaks: set("s3-buckets.json", "Buckets", "Versioning", object{"Status": "Suspended"}), check: "records bucket", level: doctor.Wrong, found: "keeps no versions", remedy: "template.yaml",
		},
		"no encryption": {
			breaks: func(files testaccount.Files) { files["s3api-get-bucket-encryption.json"] = []any{} }, check: "records bucket", level: doctor.Wrong, found: "does not encrypt", remedy: "template.yaml",
		},
		"public": {
			breaks: func(files testaccount.Files) {
				at(entries(files, "s3api-get-public-access-block.json", "")[0], "PublicAccessBlockConfiguration").(object)["BlockPublicPolicy"] = false
			}, check: "records bucket", level: doctor.Wrong, found: "does not block all public access", remedy: "template.yaml",
		},
		"no block at all": {
			breaks: func(files testaccount.Files) { files["s3api-get-public-access-block.json"] = []any{} }, check: "records bucket", level: doctor.Wrong, found: "does not block", remedy: "template.yaml",
		},
		"the bucket's settings are denied": {
			wrap: denying("GetBucketVersioning"), check: "records bucket", level: doctor.Unchecked, found: "s3:GetBucketVersioning", remedy: "whoever runs doctor",
		},
		"the encryption is denied": {
			wrap: denying("GetBucketEncryption"), check: "records bucket", level: doctor.Unchecked, found: "s3:GetEncryptionConfiguration", remedy: "Allow s3:GetEncryptionConfiguration",
		},
		"a lock of the future": {
			breaks: func(files testaccount.Files) {
				files[pages+"locks/us-east-1.json"] = lock(now.Add(48 * time.Hour))
			}, check: "lock", level: doctor.Wrong, found: "the clock of run", remedy: "only plan here",
		},
		"a run at work": {
			breaks: func(files testaccount.Files) { files[pages+"locks/us-east-1.json"] = lock(now.Add(-time.Minute)) },
			check:  "lock", level: doctor.Note, found: "is at work", remedy: "half an hour",
		},
		"a lock that is damaged": {
			breaks: func(files testaccount.Files) { files[pages+"locks/us-east-1.json"] = "{" }, check: "lock", level: doctor.Wrong, found: "locks/us-east-1.json", remedy: "only plan here",
		},
		"no run": {
			breaks: func(files testaccount.Files) {
				maps.DeleteFunc(files, func(name string, _ any) bool { return strings.HasPrefix(name, pages+"runs/") })
			}, check: "last run", level: doctor.Note, found: "no run has been completed", remedy: "RunNow",
		},
		"the last run is long ago": {
			breaks: func(files testaccount.Files) { lastRun(files, pages, "finishedAt", "2026-11-28T02:00:00Z") }, check: "last run", level: doctor.Wrong,
			found: "55 hours ago; AlarmAfterHours is 26", remedy: "runs-missing",
		},
		"the last run failed": {
			breaks: func(files testaccount.Files) {
				lastRun(files, pages, "regions", []any{object{"account": testaccount.ID, "region": region, "error": "it broke", "images": []any{}}})
			}, check: "last run", level: doctor.Wrong, found: "none of the last 1 run", remedy: "FollowLog",
		},
		"the records are denied": {
			wrap: denying("ListObjectsV2"), check: "last run", level: doctor.Unchecked, found: "AccessDenied", remedy: "whoever runs doctor",
		},
		"a subscription is not confirmed": {
			breaks: set("sns-list-subscriptions-by-topic.json", "Subscriptions", "SubscriptionArn", "PendingConfirmation"), check: "DigestTopic", level: doctor.Wrong,
			found: "email platform@example.com is not confirmed", remedy: "Confirm the mail",
		},
		"a subscription is deleted": {
			breaks: set("sns-list-subscriptions-by-topic.json", "Subscriptions", "SubscriptionArn", "Deleted"), check: "AlarmTopic", level: doctor.Wrong,
			found: "nobody is subscribed", remedy: "AlarmEmail",
		},
		"nobody reads digests": {
			parameters: with("DigestEmail", ""), check: "digests", level: doctor.Wrong, found: "nobody reads a digest", remedy: "DigestEmail",
		},
		"a topic is gone": {
			breaks: func(files testaccount.Files) {
				for _, entry := range entries(files, "sns-list-subscriptions-by-topic.json", "Subscriptions") {
					entry.(object)["TopicArn"] = "arn:aws:sns:us-east-1:123456789012:other"
				}
				for _, entry := range entries(files, "cloudformation-describe-stack-resources.json", "StackResources") {
					if r := entry.(object); r["LogicalResourceId"] == "AlarmTopic" {
						r["PhysicalResourceId"] = "arn:aws:sns:us-west-2:123456789012:elsewhere"
					}
				}
			}, check: "AlarmTopic", level: doctor.Unchecked, found: "InvalidParameter", remedy: "Try again",
		},
		"subscriptions are denied": {
			wrap: denying("ListSubscriptionsByTopic"), check: "AlarmTopic", level: doctor.Unchecked, found: "sns:ListSubscriptionsByTopic", remedy: "whoever runs doctor",
		},
		"an alarm has no target": {
			breaks: set("cloudwatch-describe-alarms.json", "MetricAlarms", "AlarmActions", []any{}), check: "alarms", level: doctor.Wrong, found: "has no target", remedy: "AlarmTopic",
		},
		"an alarm's actions are off": {
			breaks: set("cloudwatch-describe-alarms.json", "MetricAlarms", "ActionsEnabled", false), check: "alarms", level: doctor.Wrong, found: "actions disabled", remedy: "enable-alarm-actions",
		},
		"an alarm is red": {
			breaks: set("cloudwatch-describe-alarms.json", "MetricAlarms", "StateValue", "ALARM"), check: "alarms", level: doctor.Wrong, found: "is in ALARM", remedy: "playbooks",
		},
		"an alarm is gone": {
			breaks: func(files testaccount.Files) {
				files["cloudwatch-describe-alarms.json"] = object{"MetricAlarms": entries(files, "cloudwatch-describe-alarms.json", "MetricAlarms")[1:]}
			}, check: "alarms", level: doctor.Wrong, found: "is gone", remedy: "sam deploy",
		},
		"alarms are denied": {
			wrap: denying("DescribeAlarms"), check: "alarms", level: doctor.Unchecked, found: "cloudwatch:DescribeAlarms", remedy: "whoever runs doctor",
		},
		"the schedule is off": {
			breaks: set("scheduler-get-schedule.json", "", "State", "DISABLED"), check: "schedule", level: doctor.Wrong, found: "DISABLED, although ScheduleState is ENABLED", remedy: "Enable it",
		},
		"the schedule is off on purpose": {
			parameters: with("ScheduleState", "DISABLED"), check: "schedule", level: doctor.Note, found: "off, as ScheduleState says", remedy: "ENABLED",
		},
		"the schedule is gone": {
			breaks: func(files testaccount.Files) { files["scheduler-get-schedule.json"] = []any{} }, check: "schedule", level: doctor.Wrong, found: "it is gone", remedy: "sam deploy",
		},
		"the schedule is denied": {
			wrap: denying("GetSchedule"), check: "schedule", level: doctor.Unchecked, found: "scheduler:GetSchedule", remedy: "whoever runs doctor",
		},
		"the keep list is not there": {
			parameters: with("KeepList", "ssm:/amis/keep"), check: "keep list", level: doctor.Wrong, found: "there is no such parameter", remedy: "KeepList",
		},
		"the keep list is not understood": {
			parameters: with("KeepList", "s3://lists/keep.txt"), breaks: func(files testaccount.Files) { files["s3/lists/keep.txt"] = "  \n" },
			check: "keep list", level: doctor.Wrong, found: "is not understood", remedy: "Mend the list",
		},
		"the stack is denied": {
			wrap: denying("DescribeStackResources"), check: "stack", level: doctor.Unchecked, found: "cloudformation:DescribeStackResources", remedy: "whoever runs doctor",
		},
		"the credentials do not work": {
			wrap: denying("GetCallerIdentity"), check: "credentials", level: doctor.Wrong, found: "sts:GetCallerIdentity", remedy: "aws sso login",
		},
		"the clock is wrong": {
			wrap: dated(now.Add(time.Hour)), check: "clock", level: doctor.Wrong, found: "by the clock of this machine", remedy: "NTP",
		},
	} {
		t.Run(name, func(t *testing.T) {
			parameters := c.parameters
			if parameters == nil {
				parameters = healthy
			}
			files := deploy(t, parameters)
			if c.breaks != nil {
				c.breaks(files)
			}
			report, _ := examine(t, files, c.wrap)
			if !slices.ContainsFunc(report.Findings, func(f doctor.Finding) bool {
				return f.Check == c.check && f.Level == c.level && strings.Contains(f.Found, c.found) && strings.Contains(f.Remedy, c.remedy)
			}) {
				var said []string
				for _, f := range report.Findings {
					if f.Check == c.check || f.Level == doctor.Wrong || f.Level == doctor.Unchecked {
						said = append(said, fmt.Sprintf("%+v", f))
					}
				}
				t.Errorf("it is not found:\n%s", strings.Join(said, "\n"))
			}
			for i := 1; i < len(report.Findings); i++ {
				if rank(report.Findings[i]) < rank(report.Findings[i-1]) {
					t.Error("the worst is not first")
				}
			}
		})
	}
}

func rank(f doctor.Finding) int {
	return slices.Index([]doctor.Level{doctor.Wrong, doctor.Unchecked, doctor.Note, doctor.Good}, f.Level)
}

func lock(at time.Time) object {
	return object{"run": "20261130T020000Z-3f9c1a", "account": testaccount.ID, "region": region, "nonce": "0123456789abcdef0123456789abcdef", "at": at.Format(time.RFC3339), "isOver": false}
}

// lastRun changes the record of the only run.
func lastRun(files testaccount.Files, pages, key string, value any) {
	for name, content := range files {
		if strings.HasPrefix(name, pages+"runs/") {
			content.(object)[key] = value
		}
	}
}

func denying(actions ...string) func(emulator.Doer) emulator.Doer {
	return func(next emulator.Doer) emulator.Doer { return disturb.Deny(next, actions...) }
}

func garbling(action string) func(emulator.Doer) emulator.Doer {
	return func(next emulator.Doer) emulator.Doer { return disturb.Garble(next, action, nil) }
}

// replacing changes the text of the answers to an action.
func replacing(action, from, to string) func(emulator.Doer) emulator.Doer {
	return func(next emulator.Doer) emulator.Doer {
		return answering(next, action, func(_ *http.Response, body string) string { return strings.ReplaceAll(body, from, to) })
	}
}

// dated dates the answers otherwise.
func dated(at time.Time) func(emulator.Doer) emulator.Doer {
	return func(next emulator.Doer) emulator.Doer {
		return answering(next, "GetCallerIdentity", func(response *http.Response, body string) string {
			response.Header.Set("Date", at.Format(http.TimeFormat))
			return body
		})
	}
}

// answering changes the answers to an action.
func answering(next emulator.Doer, action string, change func(*http.Response, string) string) emulator.Doer {
	return emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
		q, err := emulator.Inspect(r)
		response, failed := next.Do(r)
		if err != nil || failed != nil || q.Action != action {
			return response, failed
		}
		body, err := io.ReadAll(response.Body)
		if err != nil {
			return nil, err
		}
		changed := change(response, string(body))
		response.Body, response.ContentLength = io.NopCloser(strings.NewReader(changed)), int64(len(changed))
		response.Header.Del("Content-Length")
		return response, nil
	})
}

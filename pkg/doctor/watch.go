package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	scheduling "github.com/aws/aws-sdk-go-v2/service/scheduler/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	messaging "github.com/aws/aws-sdk-go-v2/service/sns/types"

	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// attempts is how often a call is tried that no run makes: somebody waits for the answer.
const attempts = 3

// in is the AWS configuration for clients of a region.
func (e *examination) in(region string) aws.Config {
	c := wire.In(e.Janitor.AWS, region)
	c.RetryMaxAttempts = attempts
	return c
}

// here is in for the stack's region.
func (e *examination) here() aws.Config { return e.in(e.Deployment.Region) }

// checkSchedule looks whether runs begin by themselves.
func (e *examination) checkSchedule(ctx context.Context) {
	const check = "schedule"
	id := e.stack.ofKind("AWS::Scheduler::Schedule")
	if len(id) == 0 {
		e.add(Finding{Level: Wrong, Check: check, Found: "the stack has no schedule", Remedy: "Deploy the template again: sam deploy."})
		return
	}
	out, err := scheduler.NewFromConfig(e.here()).GetSchedule(ctx, &scheduler.GetScheduleInput{Name: &id[0]})
	switch {
	case err != nil && isMissing(err):
		e.add(Finding{Level: Wrong, Check: check, Found: "it is gone: " + wire.ExplainLookup(err), Remedy: "Deploy the template again: sam deploy."})
	case err != nil:
		e.add(notChecked(check, "", err))
	case out.State == scheduling.ScheduleStateEnabled:
		e.add(Finding{Level: Good, Check: check, Found: "on: " + aws.ToString(out.ScheduleExpression)})
	case e.stack.parameters["ScheduleState"] == string(scheduling.ScheduleStateDisabled):
		e.add(Finding{Level: Note, Check: check, Found: "off, as ScheduleState says", Remedy: "To switch it on, deploy with ScheduleState=ENABLED."})
	default:
		e.add(Finding{
			Level: Wrong, Check: check, Found: fmt.Sprintf("it is %s, although ScheduleState is %s: no run begins", out.State, e.stack.parameters["ScheduleState"]),
			Remedy: "Enable it in EventBridge Scheduler, or deploy with ScheduleState=DISABLED.",
		})
	}
}

// isMissing reports whether AWS says that there is no such thing.
func isMissing(err error) bool {
	return slices.Contains([]string{"ResourceNotFoundException", "NotFound", "NoSuchBucket"}, wire.Code(err))
}

// What stands in the place of a subscription's ARN (SNS API Reference, Subscribe).
const (
	pending = "PendingConfirmation"
	deleted = "Deleted"
)

// checkTopics looks whether each topic is there, and whether somebody hears what it is told.
func (e *examination) checkTopics(ctx context.Context) {
	for _, topic := range []struct{ name, says string }{
		{"DigestTopic", "digests by e-mail"}, {"ChatTopic", "digests for chat"}, {"AlarmTopic", "alarms"}, {"OwnersTopic", "what owners get"},
	} {
		if arn := e.stack.id(topic.name); arn != "" {
			e.report.Findings = append(e.report.Findings, e.checkTopic(ctx, topic.name, topic.says, arn)...)
		}
	}
	if e.isUnanswered("DigestTopic") && e.isUnanswered("ChatTopic") {
		e.add(Finding{
			Level: Wrong, Check: "digests", Found: "nobody is subscribed to DigestTopic or ChatTopic: nobody reads a digest",
			Remedy: "Deploy with DigestEmail or a Slack channel, or subscribe to one of the topics.",
		})
	}
}

// unanswered is how a finding about a topic without subscribers begins.
const unanswered = "nobody is subscribed"

func (e *examination) isUnanswered(topic string) bool {
	return slices.ContainsFunc(e.report.Findings, func(f Finding) bool { return f.Check == topic && strings.HasPrefix(f.Found, unanswered) })
}

func (e *examination) checkTopic(ctx context.Context, check, says, arn string) []Finding {
	var all []messaging.Subscription
	pages := sns.NewListSubscriptionsByTopicPaginator(sns.NewFromConfig(e.here()), &sns.ListSubscriptionsByTopicInput{TopicArn: &arn})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		switch {
		case err != nil && isMissing(err):
			return []Finding{{Level: Wrong, Check: check, Found: "it is gone: " + wire.ExplainLookup(err), Remedy: "Deploy the template again: sam deploy."}}
		case err != nil:
			return []Finding{notChecked(check, "", err)}
		}
		all = append(all, page.Subscriptions...)
	}
	var found []Finding
	heard := 0
	for _, s := range all {
		switch who := aws.ToString(s.Protocol) + " " + aws.ToString(s.Endpoint); aws.ToString(s.SubscriptionArn) {
		case pending:
			found = append(found, Finding{
				Level: Wrong, Check: check, Found: who + " is not confirmed: it hears nothing of " + says,
				Remedy: "Confirm the mail that AWS has sent, or subscribe again: SNS drops what nobody confirms.",
			})
		case deleted:
		default:
			heard++
		}
	}
	if heard > 0 {
		return append(found, Finding{Level: Good, Check: check, Found: says + ": " + count(heard, "confirmed subscription")})
	}
	if len(found) > 0 {
		return found
	}
	f := Finding{Level: Note, Check: check, Found: unanswered + ": " + says + " reach nobody this way", Remedy: "Subscribe to it, if somebody is to hear of them here."}
	if check == "AlarmTopic" {
		f.Level, f.Remedy = Wrong, "Deploy with AlarmEmail or a Slack channel, or subscribe to it: a run that fails tells nobody else."
	}
	return []Finding{f}
}

// checkAlarms looks whether each alarm tells somebody.
func (e *examination) checkAlarms(ctx context.Context) {
	const check = "alarms"
	names := e.stack.ofKind("AWS::CloudWatch::Alarm")
	client := cloudwatch.NewFromConfig(e.here())
	found := map[string]types.MetricAlarm{}
	pages := cloudwatch.NewDescribeAlarmsPaginator(client, &cloudwatch.DescribeAlarmsInput{AlarmNames: names})
	for len(names) > 0 && pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			e.add(notChecked(check, "", err))
			return
		}
		for _, alarm := range page.MetricAlarms {
			found[aws.ToString(alarm.AlarmName)] = alarm
		}
	}
	good := 0
	for _, name := range names {
		alarm, isThere := found[name]
		off := Finding{Level: Wrong, Check: check}
		switch {
		case !isThere:
			off.Found, off.Remedy = name+" is gone", "Deploy the template again: sam deploy."
		case len(alarm.AlarmActions) == 0:
			off.Found, off.Remedy = name+" has no target: it tells nobody", "Deploy the template again, which names AlarmTopic."
		case !aws.ToBool(alarm.ActionsEnabled):
			off.Found, off.Remedy = name+" has its actions disabled: it tells nobody", "aws cloudwatch enable-alarm-actions --alarm-names "+name
			if e.stack.parameters["ScheduleState"] == string(scheduling.ScheduleStateDisabled) {
				off.Level = Note
			}
		case alarm.StateValue == types.StateValueAlarm:
			off.Found, off.Remedy = name+" is in ALARM: "+aws.ToString(alarm.StateReason), "docs/playbooks has a page on each alarm."
		default:
			good++
			continue
		}
		e.add(off)
	}
	if good > 0 {
		e.add(Finding{Level: Good, Check: check, Found: count(good, "alarm") + " with a target, not in ALARM"})
	}
}

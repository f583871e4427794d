package template_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// heard walks from every publisher to the subscribers' door: alarm or function, topic, the topic's
// policy, its key, the key's policy. It returns where the way ends too early.
func heard(t template) []string {
	var found []string
	for _, alarm := range t.resources("AWS::CloudWatch::Alarm") {
		if len(list(alarm.properties["AlarmActions"])) == 0 {
			found = append(found, alarm.name+" tells nobody")
		}
		for _, actions := range []string{"AlarmActions", "OKActions"} {
			for _, action := range list(alarm.properties[actions]) {
				topic := target(action)
				found = append(found, t.publishes("cloudwatch.amazonaws.com", topic, alarm.name)...)
				if !t.topicLetsIn(topic, "cloudwatch.amazonaws.com") {
					found = append(found, alarm.name+": "+topic+" does not let CloudWatch in")
				}
			}
		}
	}
	for _, variable := range []string{"TOPIC_ARN", "CHAT_TOPIC_ARN", "OWNERS_TOPIC_ARN"} {
		topic := target(t.decided(at(t.function().properties, "Environment", "Variables", variable)))
		role := target(t.function().properties["Role"])
		found = append(found, t.publishes("<"+role+">", topic, variable)...)
		if !allowed(t.grants(role), request{"sns:Publish", "<" + topic + ">", nil}) {
			found = append(found, variable+": the function may not publish to "+topic)
		}
	}
	for _, topic := range t.resources("AWS::SNS::Topic") {
		if !t.refusesPlainHTTP(topic.name) {
			found = append(found, topic.name+" takes what is not TLS")
		}
	}
	return found
}

// publishes complains if a topic's key does not serve a publisher, given as filled writes it or as
// a service.
func (t template) publishes(who, topic, why string) []string {
	definition, ok := t.section("Resources")[topic].(object)
	if !ok || definition["Type"] != "AWS::SNS::Topic" {
		return []string{why + ": " + topic + " is no topic of this template"}
	}
	key := target(at(definition, "Properties", "KmsMasterKeyId"))
	if key == "" {
		return []string{why + ": " + topic + " has no key of this template"}
	}
	context := map[string]string{"aws:SourceAccount": account}
	if strings.HasPrefix(who, "<") {
		context = map[string]string{"kms:ViaService": "sns." + region + ".amazonaws.com"}
	}
	var found []string
	for _, action := range []string{"kms:Decrypt", "kms:GenerateDataKey"} {
		policy := t.statements(key, t.properties(key)["KeyPolicy"])
		if !admitted(policy, who, request{action, "*", context}) {
			found = append(found, why+": "+key+" does not let "+who+" "+action)
		}
		if admitted(policy, who, request{action, "*", map[string]string{"aws:SourceAccount": "999988887777"}}) {
			found = append(found, why+": "+key+" lets "+who+" of another account "+action)
		}
	}
	return found
}

// isFor reports whether a statement's principal is a service, or a role as filled writes it.
func (s statement) isFor(who string) bool {
	return at(s.principal, "Service") == who || filled(at(s.principal, "AWS")) == who
}

func (t template) topicPolicy(topic string) []statement {
	var found []statement
	for _, policy := range t.resources("AWS::SNS::TopicPolicy") {
		if slices.ContainsFunc(list(policy.properties["Topics"]), func(v any) bool { return target(v) == topic }) {
			found = append(found, t.statements(policy.name, policy.properties["PolicyDocument"])...)
		}
	}
	return found
}

func (t template) topicLetsIn(topic, service string) bool {
	policy := t.topicPolicy(topic)
	may := func(account string) bool {
		context := map[string]string{"aws:SourceAccount": account, "aws:SecureTransport": "true"}
		return admitted(policy, service, request{"sns:Publish", "<" + topic + ">", context})
	}
	return may(account) && !may("999988887777")
}

func (t template) refusesPlainHTTP(topic string) bool {
	everything := statement{effect: "Allow", actions: []string{"*"}, resources: []string{"*"}}
	policy := append(t.topicPolicy(topic), everything)
	context := map[string]string{"aws:SecureTransport": "false", "aws:SourceAccount": account}
	return !allowed(policy, request{"sns:Publish", "<" + topic + ">", context})
}

func TestEveryAlarmAndDigestIsHeard(t *testing.T) {
	if found := heard(load(t).with(variants["owners are told"])); len(found) > 0 {
		t.Errorf("%s", strings.Join(found, "\n"))
	}
}

// TestTheWayIsWalked breaks the way of an alarm, or of a digest, in one place after the other.
func TestTheWayIsWalked(t *testing.T) {
	without := func(document any, sid string) {
		policy := document.(object)
		policy["Statement"] = slices.DeleteFunc(list(policy["Statement"]), func(s any) bool { return at(s, "Sid") == sid })
	}
	breaks := map[string]func(template){
		"an alarm tells nobody":             func(t template) { delete(t.properties("FunctionErrors"), "AlarmActions") },
		"an alarm tells a queue":            func(t template) { t.properties("RunsMissing")["AlarmActions"] = []any{object{"Ref": "FailedRuns"}} },
		"the topic forgets CloudWatch":      func(t template) { without(t.properties("AlarmTopicPolicy")["PolicyDocument"], "Alarms") },
		"the key forgets CloudWatch":        func(t template) { without(t.properties("TopicKey")["KeyPolicy"], "Alarms") },
		"the key forgets the function":      func(t template) { without(t.properties("TopicKey")["KeyPolicy"], "Digests") },
		"the topic has AWS's own key":       func(t template) { t.properties("AlarmTopic")["KmsMasterKeyId"] = "alias/aws/sns" },
		"the topic has no key":              func(t template) { delete(t.properties("ChatTopic"), "KmsMasterKeyId") },
		"the topic's policy is for another": func(t template) { t.properties("AlarmTopicPolicy")["Topics"] = []any{object{"Ref": "ChatTopic"}} },
		"the owners' topic has no key":      func(t template) { delete(t.properties("OwnersTopic"), "KmsMasterKeyId") },
		"the owners' topic takes plain HTTP": func(t template) {
			without(t.properties("OwnersTopicPolicy")["PolicyDocument"], "OnlyTLS")
		},
		"the topic takes plain HTTP":   func(t template) { without(t.properties("DigestTopicPolicy")["PolicyDocument"], "OnlyTLS") },
		"the function may not publish": func(t template) { delete(t.section("Resources"), "JanitorPublishes") },
		"any account's CloudWatch may enter": func(t template) {
			for _, s := range list(at(t.properties("AlarmTopicPolicy")["PolicyDocument"], "Statement")) {
				if at(s, "Sid") == "Alarms" {
					delete(s.(object), "Condition")
				}
			}
		},
	}
	for name, breaks := range breaks {
		changed := load(t).with(variants["owners are told"])
		breaks(changed)
		if len(heard(changed)) == 0 {
			t.Errorf("%s: nobody notices", name)
		}
	}
}

// emitted is what a run writes in CloudWatch's embedded metric format: the metrics, and the keys of
// their dimensions.
func emitted(t *testing.T) (namespace string, metrics, dimensions []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "pkg/digest/testdata/ordinary/metrics.json"))
	if err != nil {
		t.Fatal(err)
	}
	var line struct {
		AWS struct {
			CloudWatchMetrics []struct {
				Namespace  string
				Dimensions [][]string
				Metrics    []struct{ Name string }
			}
		} `json:"_aws"`
	}
	if err := json.Unmarshal(text, &line); err != nil {
		t.Fatal(err)
	}
	directive := line.AWS.CloudWatchMetrics[0]
	for _, metric := range directive.Metrics {
		metrics = append(metrics, metric.Name)
	}
	return directive.Namespace, metrics, directive.Dimensions[0]
}

func TestAlarmsWatchWhatIsEmitted(t *testing.T) {
	namespace, metrics, dimensions := emitted(t)
	watched := 0
	for _, alarm := range load(t).resources("AWS::CloudWatch::Alarm") {
		sources := []any{alarm.properties}
		for _, query := range list(alarm.properties["Metrics"]) {
			sources = append(sources, at(query, "MetricStat", "Metric"))
		}
		for _, source := range sources {
			if at(source, "Namespace") != namespace {
				continue
			}
			watched++
			var keys []string
			for _, dimension := range list(at(source, "Dimensions")) {
				keys = append(keys, at(dimension, "Name").(string))
			}
			if name := at(source, "MetricName").(string); !slices.Contains(metrics, name) {
				t.Errorf("%s watches %s; no run emits it", alarm.name, name)
			}
			if !slices.Equal(keys, dimensions) {
				t.Errorf("%s watches by the dimensions %q; a run emits by %q", alarm.name, keys, dimensions)
			}
		}
	}
	if watched != 6 {
		t.Errorf("%d metrics of the janitor's own are watched, not 6", watched)
	}
}

func TestDashboardShowsWhatIsEmitted(t *testing.T) {
	namespace, metrics, dimensions := emitted(t)
	body := at(load(t).properties("Dashboard")["DashboardBody"], "Fn::Sub").(string)
	var dashboard struct {
		Widgets []struct {
			Type       string
			Properties struct{ Metrics [][]any }
		}
	}
	if err := json.Unmarshal([]byte(body), &dashboard); err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	for _, widget := range dashboard.Widgets {
		var before []any
		for _, row := range widget.Properties.Metrics {
			for i, field := range row { // A point stands for the field above it.
				if field == "." {
					row[i] = before[i]
				}
			}
			before = row
			if row[0] != namespace {
				continue
			}
			name := row[1].(string)
			shown[name] = true
			if !slices.Contains(metrics, name) {
				t.Errorf("the dashboard shows %s; no run emits it", name)
			}
			if len(dimensions) != 1 || row[2] != dimensions[0] {
				t.Errorf("the dashboard shows %s by the dimension %q; a run emits by %q", name, row[2], dimensions)
			}
		}
	}
	for _, name := range metrics {
		if !shown[name] {
			t.Errorf("the dashboard does not show %s", name)
		}
	}
}

func TestDashboardShowsEveryAlarm(t *testing.T) {
	tpl := load(t)
	body := at(tpl.properties("Dashboard")["DashboardBody"], "Fn::Sub").(string)
	for _, alarm := range tpl.resources("AWS::CloudWatch::Alarm") {
		if !strings.Contains(body, "${"+alarm.name+".Arn}") {
			t.Errorf("the dashboard does not show %s", alarm.name)
		}
	}
}

// TestAlarmsAreLegal holds CloudWatch's limits on how far an alarm looks back: seven days, and one
// day where the period is shorter than an hour (CloudWatch API Reference, PutMetricAlarm).
func TestAlarmsAreLegal(t *testing.T) {
	tpl := load(t)
	for _, alarm := range tpl.resources("AWS::CloudWatch::Alarm") {
		period, ok := alarm.properties["Period"].(int)
		for _, query := range list(alarm.properties["Metrics"]) {
			if p, of := at(query, "MetricStat", "Period").(int); of {
				period, ok = max(period, p), true
			}
		}
		periods := []int{}
		switch value := alarm.properties["EvaluationPeriods"].(type) {
		case int:
			periods = append(periods, value)
		case object:
			parameter := tpl.section("Parameters")[target(value)]
			for _, bound := range []string{"MinValue", "MaxValue", "Default"} {
				periods = append(periods, at(parameter, bound).(int))
			}
		}
		for _, n := range periods {
			limit := 86_400
			if period >= 3600 {
				limit = 604_800
			}
			if !ok || n < 1 || n*period > limit {
				t.Errorf("%s looks back %d times %d seconds; the limit is %d", alarm.name, n, period, limit)
			}
		}
		if alarm.properties["TreatMissingData"] == nil {
			t.Errorf("%s does not say what it makes of missing data", alarm.name)
		}
	}
	missing := tpl.properties("RunsMissing")
	if missing["TreatMissingData"] != "breaching" || missing["MetricName"] != "RunCompleted" {
		t.Error("RunsMissing is no dead-man's switch")
	}
	hours := tpl.section("Parameters")["AlarmAfterHours"]
	if at(hours, "Default") != 26 || at(hours, "MaxValue") != 168 {
		t.Errorf("AlarmAfterHours: %v", hours)
	}
}

func TestEveryAlarmHasItsPage(t *testing.T) {
	page := regexp.MustCompile(`docs/playbooks/[a-z-]+\.md`)
	named := map[string]bool{}
	for _, alarm := range load(t).resources("AWS::CloudWatch::Alarm") {
		path := page.FindString(fmt.Sprint(alarm.properties["AlarmDescription"]))
		text, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			t.Errorf("%s: %v", alarm.name, err)
		}
		named[filepath.Base(path)] = true
		for _, heading := range []string{"# " + alarm.name + "\n", "## What it means\n", "## What to look at\n", "## What to do\n"} {
			if !strings.Contains(string(text), heading) {
				t.Errorf("%s has no %s", path, strconv.Quote(heading))
			}
		}
	}
	pages, err := filepath.Glob(filepath.Join(root, "docs/playbooks/*.md"))
	if err != nil {
		t.Fatal(err)
	}
	contents, err := os.ReadFile(filepath.Join(root, "docs/playbooks/README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range pages {
		name := filepath.Base(path)
		if name != "README.md" && !strings.Contains(string(contents), "]("+name+")") {
			t.Errorf("%s is not listed among the pages", name)
		}
		delete(named, name)
	}
	if len(named) > 0 {
		t.Errorf("there are no such pages: %v", named)
	}
}

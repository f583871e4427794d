package template_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/ami-janitor/ami-janitor/pkg/config"
	"github.com/ami-janitor/ami-janitor/pkg/doctor"
)

// examined are the requests that doctor simulates for a deployment, as this package writes them.
func examined(t *testing.T, tpl template) (wanted, forbidden []request) {
	t.Helper()
	variables := map[string]string{}
	for variable, name := range tpl.byVariable() {
		_, isPlace := places[variable]
		if value, isText := tpl.parameter(name).(string); isText && !isPlace {
			variables[variable] = value
		}
	}
	variables["OWNERS_TOPIC_ARN"] = tpl.parameter("OwnersTopicArn").(string)
	parsed, err := config.Parse(func(variable string) string { return variables[variable] })
	if err != nil {
		t.Fatal(err)
	}
	place := doctor.Place{Partition: partition, Account: account, Region: region, Bucket: "records", LogGroup: "log", FailedRuns: "<FailedRuns>"}
	for _, topic := range []string{"DigestTopic", "ChatTopic", "OwnersTopic"} {
		if topic != "OwnersTopic" || tpl.holds("MakesOwnersTopic") {
			place.Topics = append(place.Topics, "<"+topic+">")
		}
	}
	for _, r := range doctor.Requests(place, parsed) {
		r.Resource = inTemplate(r.Resource)
		one := request{r.Action, r.Resource, map[string]string{}}
		for key, values := range r.Context {
			one.context[key] = strings.Join(values, ",")
		}
		if topic := one.context["kms:EncryptionContext:aws:sns:topicArn"]; topic != "" {
			one.context["kms:EncryptionContext:aws:sns:topicArn"] = inTemplate(topic)
		}
		if r.Denied {
			forbidden = append(forbidden, one)
		} else {
			wanted = append(wanted, one)
		}
	}
	return wanted, forbidden
}

// inTemplate is a resource as this package writes it, if it is one of the template's own.
func inTemplate(resource string) string {
	switch {
	case strings.HasPrefix(resource, "arn:aws:s3:::records"):
		return strings.Replace(resource, "arn:aws:s3:::records", "<RecordsBucket>", 1)
	case strings.Contains(resource, ":log-group:"):
		return "<JanitorLog>"
	case resource == "arn:aws:sns:us-east-1:123456789012:OwnersTopicArn":
		return "<OwnersTopicArn>"
	default:
		return resource
	}
}

// TestDoctorSimulatesWhatTheRoleIsFor: whatever the parameters are, doctor simulates a request for
// each action and resource of the function's role, all of them come out as it wants them, and it
// misses each action that is left out, and each Deny.
func TestDoctorSimulatesWhatTheRoleIsFor(t *testing.T) {
	for variant, parameters := range variants {
		t.Run(variant, func(t *testing.T) {
			tpl := load(t).with(parameters)
			wanted, forbidden := examined(t, tpl)
			policy := tpl.grants("JanitorRole")
			// AWS's own policy allows these.
			wanted = slices.DeleteFunc(wanted, func(r request) bool { return r.context["aws:CalledVia"] != "" })
			if found := complaints(allowed, policy, wanted); len(found) > 0 {
				t.Errorf("%s", strings.Join(found, "\n"))
			}
			for _, r := range forbidden {
				if allowed(policy, r) {
					t.Errorf("%s passes on %s, with %v", r.action, r.resource, r.context)
				}
			}
			everyActionCounts(t, tpl, "JanitorRole", wanted)
			for i, s := range policy {
				some := slices.Delete(slices.Clone(policy), i, i+1)
				others := append(some, statement{effect: "Allow", actions: []string{"*"}, resources: []string{"*"}})
				if s.effect == "Deny" && !slices.ContainsFunc(forbidden, func(r request) bool { return s.matches(r) && verdict(others, r) }) {
					t.Errorf("nobody misses %s", s.sid)
				}
			}
		})
	}
}

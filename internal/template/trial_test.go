package template_test

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/trial"
)

// trialTag is the tag of what a trial makes, and trialPage has the policy of whoever runs one.
const (
	trialTag  = "ami-janitor:trial"
	trialPage = "docs/trial.md"
)

// trialPolicy reads the policy in docs/trial.md.
func trialPolicy(t *testing.T) []statement {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, trialPage))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "```json\n")
	document, _, _ := strings.Cut(rest, "```")
	var policy object
	if err := json.Unmarshal([]byte(document), &policy); err != nil {
		t.Fatalf("%s: %v", trialPage, err)
	}
	return statements(trialPage, policy)
}

// ofTrial is the context of a request that concerns an image or a snapshot of a trial, and more of
// it.
func ofTrial(more ...string) map[string]string {
	return own(append([]string{"aws:ResourceTag/" + trialTag, "20261201T090000Z-3f9c1a"}, more...)...)
}

// asMade is the context of a request that makes an image or a snapshot with the tag of a trial.
func asMade(more ...string) map[string]string {
	context := own(append([]string{requestTag + trialTag, "20261201T090000Z-3f9c1a", tagKeysKey, trialTag}, more...)...)
	delete(context, "ec2:Public") // It is not there yet.
	return context
}

// withoutTag is a request about the same resource without the tag of a trial.
func withoutTag(r request) request {
	r.context = maps.Clone(r.context)
	for _, key := range []string{"aws:ResourceTag/" + trialTag, requestTag + trialTag} {
		delete(r.context, key)
	}
	if keys := r.context[tagKeysKey]; keys == trialTag {
		delete(r.context, tagKeysKey)
	}
	return r
}

// trialMay are the requests of a trial that change something, by what they are for.
func trialMay() map[string]request {
	may := map[string]request{
		"start a snapshot":                  {"ebs:StartSnapshot", aSnapshot, asMade()},
		"tag a snapshot that it starts":     {"ec2:CreateTags", aSnapshot, asMade("ec2:CreateAction", "StartSnapshot")},
		"write a block":                     {"ebs:PutSnapshotBlock", aSnapshot, ofTrial()},
		"complete a snapshot":               {"ebs:CompleteSnapshot", aSnapshot, ofTrial()},
		"register an image":                 {"ec2:RegisterImage", anImage, asMade()},
		"register an image of its snapshot": {"ec2:RegisterImage", aSnapshot, ofTrial()},
		"tag an image that it registers":    {"ec2:CreateTags", anImage, asMade("ec2:CreateAction", "RegisterImage")},
		"deregister its image":              {"ec2:DeregisterImage", anImage, ofTrial(intent, "remove")},
		"delete its snapshot":               {"ec2:DeleteSnapshot", aSnapshot, ofTrial(intent, "remove")},
		"restore its snapshot":              {"ec2:RestoreSnapshotFromRecycleBin", aSnapshot, ofTrial()},
	}
	for _, action := range []string{"DisableImage", "EnableImage", "RestoreImageFromRecycleBin"} {
		may[action] = request{"ec2:" + action, anImage, ofTrial()}
	}
	for _, key := range []string{"announced-by", "disabled", "due", "intent", "restored", "run"} {
		for _, resource := range []string{anImage, aSnapshot} {
			for _, action := range []string{"ec2:CreateTags", "ec2:DeleteTags"} {
				may[fmt.Sprint(action, " ", key, " on ", resource)] = request{action, resource, ofTrial(tagKeysKey, "ami-janitor:"+key)}
			}
		}
	}
	return may
}

// TestWhatATrialMayDo compares the policy in docs/trial.md with what a trial does: all of it
// passes, and none of it on an image or a snapshot without the tag.
func TestWhatATrialMayDo(t *testing.T) {
	policy := trialPolicy(t)
	for what, r := range trialMay() {
		if !allowed(policy, r) {
			t.Errorf("%s: refused: %s on %s with %v", what, r.action, r.resource, r.context)
		}
		if without := withoutTag(r); allowed(policy, without) {
			t.Errorf("%s: passes without the tag: %s on %s with %v", what, r.action, r.resource, without.context)
		}
	}
	for _, s := range policy {
		isKnown := func(r string) bool { return r == "arn:aws:ec2:*::image/*" || r == "arn:aws:ec2:*::snapshot/*" }
		if s.effect == "Allow" && !s.onlyReads() && slices.ContainsFunc(s.resources, func(r string) bool { return !isKnown(r) }) {
			t.Errorf("%s changes more than images and snapshots: %v", s.sid, s.resources)
		}
	}
}

// TestWhatATrialMayNeverDo holds twice for the tag that opens the rest: it is not put on what is
// there already, nor taken off, because no statement allows it, and because one denies it to who
// has all other rights.
func TestWhatATrialMayNeverDo(t *testing.T) {
	keys := func(keys ...string) string { return tagKeys(keys) }
	never := map[string]request{
		"tag an image that is there":           {"ec2:CreateTags", anImage, own(requestTag+trialTag, "x", tagKeysKey, trialTag)},
		"tag a snapshot that is there":         {"ec2:CreateTags", aSnapshot, own(requestTag+trialTag, "x", tagKeysKey, trialTag)},
		"tag its image again":                  {"ec2:CreateTags", anImage, ofTrial(requestTag+trialTag, "x", tagKeysKey, trialTag)},
		"tag an image with it and another":     {"ec2:CreateTags", anImage, ofTrial(requestTag+trialTag, "x", tagKeysKey, keys("ami-janitor:run", trialTag))},
		"tag the image that a copy makes":      {"ec2:CreateTags", anImage, asMade("ec2:CreateAction", "CopyImage")},
		"tag the snapshot that a volume makes": {"ec2:CreateTags", aSnapshot, asMade("ec2:CreateAction", "CreateSnapshot")},
		"take the tag off an image":            {"ec2:DeleteTags", anImage, ofTrial(tagKeysKey, trialTag)},
		"take the tag off, with another":       {"ec2:DeleteTags", aSnapshot, ofTrial(tagKeysKey, keys("ami-janitor:run", trialTag))},
		"tag an instance":                      {"ec2:CreateTags", "arn:aws:ec2:us-east-2:123456789012:instance/i-0123456789abcdef0", map[string]string{tagKeysKey: trialTag}},
	}
	policy := trialPolicy(t)
	grants := slices.DeleteFunc(slices.Clone(policy), func(s statement) bool { return s.effect == "Deny" })
	everything := append(slices.Clone(policy), statement{effect: "Allow", actions: []string{"*"}, resources: []string{"*"}})
	for what, r := range never {
		if allowed(grants, r) || allowed(everything, r) {
			t.Errorf("a trial may %s", what)
		}
	}
	for what, r := range map[string]request{
		"register an image of another snapshot": {"ec2:RegisterImage", aSnapshot, own()},
		"start a snapshot without the tag":      {"ebs:StartSnapshot", aSnapshot, own(requestTag+"Team", "search", tagKeysKey, "Team")},
		"take all tags off its image":           {"ec2:DeleteTags", anImage, ofTrial()},
		"tag its image to be kept":              {"ec2:CreateTags", anImage, ofTrial(tagKeysKey, "ami-janitor:keep")},
		"tag its image otherwise":               {"ec2:CreateTags", anImage, ofTrial(tagKeysKey, keys("ami-janitor:run", "Team"))},
		"deprecate its image":                   {"ec2:EnableImageDeprecation", anImage, ofTrial()},
		"share its image":                       {"ec2:ModifyImageAttribute", anImage, ofTrial()},
		"share its snapshot":                    {"ec2:ModifySnapshotAttribute", aSnapshot, ofTrial()},
		"launch its image":                      {"ec2:RunInstances", anImage, ofTrial()},
		"make a volume of its snapshot":         {"ec2:CreateVolume", aSnapshot, ofTrial()},
		"read its snapshot":                     {"ebs:GetSnapshotBlock", aSnapshot, ofTrial()},
		"protect its image":                     {"ec2:EnableImageDeregistrationProtection", anImage, ofTrial()},
		"make a rule of the Recycle Bin":        {"rbin:CreateRule", aRule, nil},
		"delete a rule of the Recycle Bin":      {"rbin:DeleteRule", aRule, nil},
		"deregister what is not declared":       {"ec2:DeregisterImage", anImage, ofTrial()},
		"delete what is not declared":           {"ec2:DeleteSnapshot", aSnapshot, ofTrial()},
		"deregister what is declared otherwise": {"ec2:DeregisterImage", anImage, ofTrial(intent, "keep")},
		"remove what a run has declared":        {"ec2:DeregisterImage", anImage, declared()},
		"delete a snapshot that a run declared": {"ec2:DeleteSnapshot", aSnapshot, declared()},
		"deregister what has a similar tag":     {"ec2:DeregisterImage", anImage, own("aws:ResourceTag/ami-janitor:trials", "x")},
	} {
		if allowed(policy, r) {
			t.Errorf("a trial may %s", what)
		}
	}
}

// TestEveryStatementOfATrialIsNeeded leaves out each action that is allowed: each time something is
// refused that a trial does. Nothing is allowed that it does not do.
func TestEveryStatementOfATrialIsNeeded(t *testing.T) {
	needs := slices.Collect(maps.Values(trialMay()))
	for _, s := range trialPolicy(t) {
		if s.effect == "Allow" && s.onlyReads() {
			needs = append(needs, reading(s)...)
		}
	}
	if found := complaints(allowed, trialPolicy(t), needs); len(found) > 0 {
		t.Errorf("%s", strings.Join(found, "\n"))
	}
	for i, s := range trialPolicy(t) {
		for _, action := range s.actions {
			changed := trialPolicy(t)
			changed[i].actions = slices.DeleteFunc(slices.Clone(s.actions), func(a string) bool { return a == action })
			if s.effect == "Allow" && len(complaints(verdict, changed, needs)) == 0 {
				t.Errorf("nobody misses %s of %s", action, s.sid)
			}
		}
	}
}

// TestATrialTouchesNothingElse asks for each action that changes something, on images and snapshots
// without the tag of a trial, whatever else they carry.
func TestATrialTouchesNothingElse(t *testing.T) {
	policy := trialPolicy(t)
	others := []map[string]string{
		{},
		own(), declared(), own("aws:ResourceTag/ami-janitor:run", "x"), own("aws:ResourceTag/ami-janitor:disabled", "x"),
		own("aws:ResourceTag/trial", "x"), own("aws:ResourceTag/Name", trialTag), own("ec2:Public", "true"), own("ec2:Owner", "999988887777"),
	}
	asked := 0
	for _, s := range policy {
		if s.effect == "Deny" || s.onlyReads() {
			continue
		}
		for _, action := range s.actions {
			for _, resource := range s.resources {
				for _, context := range others {
					r := request{action, strings.TrimSuffix(resource, "*") + "0123456789abcdef0", maps.Clone(context)}
					r.resource = strings.Replace(strings.NewReplacer("image/", "image/ami-", "snapshot/", "snapshot/snap-").Replace(r.resource), "ec2:*", "ec2:us-east-2", 1)
					if strings.HasSuffix(action, "Tags") {
						r.context[tagKeysKey] = "ami-janitor:run"
					}
					asked++
					if allowed(policy, r) {
						t.Errorf("%s passes on %s with %v", r.action, r.resource, r.context)
					}
				}
			}
		}
	}
	if asked < 100 {
		t.Errorf("only %d requests were made", asked)
	}
}

// reading are the requests of the lookups that a statement allows.
func reading(s statement) []request {
	resources := map[string]string{"ec2:DescribeImageAttribute": anImage, "ec2:DescribeSnapshotAttribute": aSnapshot, "rbin:GetRule": aRule}
	var asked []request
	for _, action := range s.actions {
		resource := resources[action]
		if resource == "" {
			resource = "*"
		}
		asked = append(asked, request{action, resource, map[string]string{}})
	}
	return asked
}

// TestATrialUnderItsPolicy takes a whole trial on an account that refuses what the policy does not
// allow: every step is done, IAM refuses what is not declared, and each action that the policy
// allows is asked for.
func TestATrialUnderItsPolicy(t *testing.T) {
	policy := trialPolicy(t)
	w := &witness{asked: map[string]request{}}
	synctest.Test(t, func(t *testing.T) {
		clock := clock()
		w.t, w.account = t, loadSample(t, clock).Client()
		makeRules(t, load(t), w.account)
		guarded := emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
			q, err := emulator.Inspect(r)
			if err != nil {
				return nil, err
			}
			for _, one := range w.ofTrial(q) {
				w.note(one)
				if !allowed(policy, one) {
					return emulator.Refuse(r, q, q.Forbidden()), nil
				}
			}
			return w.account.Do(r)
		})
		tried := trial.Trial{
			AWS: configuration(guarded, "us-east-1"), Account: account, Region: "us-east-1", Dir: t.TempDir(), RequireBin: true, PricePerMonth: 0.05,
			Clock: clock, Random: rand.Reader,
		}
		if estimate, err := tried.Estimate(t.Context()); err != nil || estimate.BinGap != "" || estimate.SnapshotDays == 0 {
			t.Errorf("%v: %+v", err, estimate)
		}
		report, err := tried.Run(t.Context())
		if err != nil || !report.OK() {
			t.Errorf("%v: %+v", err, report)
		}
		if before := report.Measured(trial.MeasureIAMBefore).Answer; !strings.HasPrefix(before, "refused") {
			t.Errorf("IAM on what is not declared: %s", before)
		}
	})
	var needs []request
	for _, one := range w.asked {
		if allowed(policy, one) { // One dry run is refused, as it should be.
			needs = append(needs, one)
		}
	}
	if found := complaints(allowed, policy, needs); len(found) > 0 {
		t.Errorf("%s", strings.Join(found, "\n"))
	}
}

// ofTrial are what IAM decides on when a trial makes a call.
func (w *witness) ofTrial(q emulator.Request) []request {
	action := q.Service + ":" + q.Action
	switch action {
	case "ebs:StartSnapshot":
		return made(q, action, "snapshot/snap-0123456789abcdef0")
	case "ebs:PutSnapshotBlock", "ebs:CompleteSnapshot":
		return w.onSnapshot(q, action, q.Form.Get("SnapshotId"))
	case "ec2:RegisterImage":
		asked := made(q, action, "image/ami-0123456789abcdef0")
		for name := range q.Form {
			if strings.HasSuffix(name, ".SnapshotId") {
				asked = append(asked, w.onSnapshot(q, action, q.Form.Get(name))...)
			}
		}
		return asked
	case "ec2:RestoreImageFromRecycleBin":
		return []request{w.inBin(q, "image/"+q.Form.Get("ImageId"))}
	case "ec2:RestoreSnapshotFromRecycleBin":
		return []request{w.inBin(q, "snapshot/"+q.Form.Get("SnapshotId"))}
	default:
		return w.requests(q)
	}
}

// made is what is asked for something that a call makes, and for its tags (EC2 User Guide, "Grant
// permission to tag Amazon EC2 resources during creation").
func made(q emulator.Request, action, resource string) []request {
	context := map[string]string{}
	var keys []string
	for name := range q.Form {
		if numbered, ok := strings.CutSuffix(name, ".Key"); ok && strings.Contains(name, "Tag") {
			keys = append(keys, q.Form.Get(name))
			context[requestTag+q.Form.Get(name)] = q.Form.Get(numbered + ".Value")
		}
	}
	context[tagKeysKey] = tagKeys(keys)
	tagging := maps.Clone(context)
	tagging["ec2:CreateAction"] = q.Action
	arn := "arn:aws:ec2:" + q.Region + "::" + resource
	return []request{{action, arn, context}, {"ec2:CreateTags", arn, tagging}}
}

// inBin is what is asked for something in the Recycle Bin, whose tags DescribeTags shows.
func (w *witness) inBin(q emulator.Request, resource string) request {
	_, id, _ := strings.Cut(resource, "/")
	out, err := ec2.NewFromConfig(configuration(w.account, q.Region)).DescribeTags(w.t.Context(), &ec2.DescribeTagsInput{
		Filters: []types.Filter{{Name: aws.String("resource-id"), Values: []string{id}}},
	})
	if err != nil {
		w.t.Error(err)
		return request{}
	}
	context := map[string]string{}
	for _, tag := range out.Tags {
		context["aws:ResourceTag/"+aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	return request{q.Service + ":" + q.Action, "arn:aws:ec2:" + q.Region + "::" + resource, context}
}

package doctor

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"golang.org/x/sync/errgroup"
)

// permissions names the check.
const permissions = "permissions"

// simulationsAtOnce is how many simulations run at the same time. IAM's limit is not documented.
const simulationsAtOnce = 4

// notSimulated is what a simulation leaves out: IAM evaluates the policies of the role, its
// boundary and service control policies, with the keys that it is given (IAM API Reference,
// SimulatePrincipalPolicy).
const notSimulated = "not simulated: policies of buckets, topics, keys and endpoints, resource control policies, " +
	"and conditions of service control policies on keys that a simulation does not have"

// checkPermissions simulates the requests of a run: as the role of the function, or as whoever
// asks.
func (e *examination) checkPermissions(ctx context.Context) {
	if !e.settings() {
		e.add(explained(permissions, "", "the settings of the function are not known"))
		return
	}
	who, err := e.principal(ctx)
	switch {
	case err != nil:
		e.add(notChecked(permissions, "", err))
	case who == "":
		e.add(Finding{Level: Unchecked, Check: permissions, Found: "IAM simulates roles and users, and not " + e.report.Caller, Remedy: "Use the credentials of a role, or of a user."})
	default:
		requests := Requests(e.place(), e.Janitor.Config)
		if e.Deployment == nil { // People may do more.
			requests = slices.DeleteFunc(requests, func(r Request) bool { return r.Denied })
		}
		e.compare(who, e.simulate(ctx, who, requests))
	}
}

// compare says which requests come out otherwise than they should.
func (e *examination) compare(who string, all []simulated) {
	good, failed := 0, map[string]bool{}
	changes := map[string]bool{} // That whoever asks may not make.
	for _, s := range all {
		switch {
		case s.err != nil && !failed[s.err.Error()]:
			failed[s.err.Error()] = true
			e.add(notChecked(permissions, "", s.err))
		case s.err != nil:
		case s.isAsItShould():
			good++
		case e.Deployment == nil && isChange(s.Action):
			changes[s.Action] = true
		default:
			e.add(e.complaint(who, s))
		}
	}
	if len(changes) > 0 {
		e.add(Finding{
			Level: Note, Check: permissions, Found: fmt.Sprintf("simulated as %s, these are denied: %s", name(who), strings.Join(slices.Sorted(maps.Keys(changes)), ", ")),
			Remedy: "plan and explain do without them; allow them to whoever is to sweep.",
		})
	}
	if good > 0 {
		e.add(Finding{
			Level: Good, Check: permissions, Found: fmt.Sprintf("%d of %d requests of a run, simulated as %s, come out as they should; %s", good, len(all), name(who), notSimulated),
		})
	}
}

// name is the last part of the ARN of a role or a user.
func name(arn string) string { return arn[strings.LastIndex(arn, "/")+1:] }

// principal is the role of the function, or the role or the user that asks; empty for whoever is
// neither.
func (e *examination) principal(ctx context.Context) (string, error) {
	if e.Deployment != nil {
		return e.Deployment.Role, nil
	}
	resource := part(e.report.Caller, 5)
	switch kind, rest, _ := strings.Cut(resource, "/"); kind {
	case "user":
		return e.report.Caller, nil
	case "assumed-role": // Whose ARN leaves out the path of the role.
		role, _, _ := strings.Cut(rest, "/")
		out, err := e.iam().GetRole(ctx, &iam.GetRoleInput{RoleName: &role})
		if err != nil {
			return "", err
		}
		return aws.ToString(out.Role.Arn), nil
	default:
		return "", nil
	}
}

func (e *examination) iam() *iam.Client {
	return iam.NewFromConfig(e.in(e.Janitor.AWS.Region))
}

// simulated is a request with the answer of a simulation.
type simulated struct {
	Request
	decision types.PolicyEvaluationDecisionType
	// Why a denial may not be one of the role's policies.
	byBoundary, byOrganization bool
	err                        error
}

func (s simulated) isAsItShould() bool {
	return (s.decision == types.PolicyEvaluationDecisionTypeAllowed) != s.Denied
}

// simulate asks IAM about requests, those with the same resource and context together.
func (e *examination) simulate(ctx context.Context, who string, requests []Request) []simulated {
	var groups [][]Request
	at := map[string]int{}
	for _, r := range requests {
		key := r.Resource + fmt.Sprint(r.Context)
		if _, known := at[key]; !known {
			at[key] = len(groups)
			groups = append(groups, nil)
		}
		groups[at[key]] = append(groups[at[key]], r)
	}
	answers := make([][]simulated, len(groups))
	client := e.iam()
	// Where IAM does not answer one, it does not answer the others, after as many attempts.
	answers[0] = simulateGroup(ctx, client, who, groups[0])
	if answers[0][0].err != nil {
		return answers[0]
	}
	var asking errgroup.Group
	asking.SetLimit(simulationsAtOnce)
	for i, group := range groups[1:] {
		asking.Go(func() error {
			answers[i+1] = simulateGroup(ctx, client, who, group)
			return nil
		})
	}
	_ = asking.Wait() // The errors are in the answers.
	return slices.Concat(answers...)
}

// simulateGroup asks about requests with one resource and one context.
func simulateGroup(ctx context.Context, client *iam.Client, who string, group []Request) []simulated {
	input := iam.SimulatePrincipalPolicyInput{PolicySourceArn: &who, ResourceArns: []string{group[0].Resource}, ContextEntries: entries(group[0].Context)}
	for _, r := range group {
		if !slices.Contains(input.ActionNames, r.Action) {
			input.ActionNames = append(input.ActionNames, r.Action)
		}
	}
	results := map[string]types.EvaluationResult{}
	pages := iam.NewSimulatePrincipalPolicyPaginator(client, &input)
	var failed error
	for pages.HasMorePages() && failed == nil {
		page, err := pages.NextPage(ctx)
		if failed = err; err == nil {
			for _, result := range page.EvaluationResults {
				results[aws.ToString(result.EvalActionName)] = result
			}
		}
	}
	all := make([]simulated, len(group))
	for i, r := range group {
		all[i] = simulated{Request: r, err: failed}
		result, isAnswered := results[r.Action]
		switch {
		case failed != nil:
		case !isAnswered || result.EvalDecision == "":
			all[i].err = fmt.Errorf("iam:SimulatePrincipalPolicy answered without %s", r.Action)
		default:
			all[i].decision = result.EvalDecision
			if d := result.PermissionsBoundaryDecisionDetail; d != nil {
				all[i].byBoundary = !d.AllowedByPermissionsBoundary
			}
			if d := result.OrganizationsDecisionDetail; d != nil {
				all[i].byOrganization = !d.AllowedByOrganizations
			}
		}
	}
	return all
}

// entries are the keys of a context as IAM's API takes them.
func entries(context map[string][]string) []types.ContextEntry {
	var all []types.ContextEntry
	for _, key := range slices.Sorted(maps.Keys(context)) {
		entry := types.ContextEntry{ContextKeyName: aws.String(key), ContextKeyType: types.ContextKeyTypeEnumString, ContextKeyValues: context[key]}
		switch key {
		case tagKeysKey, "aws:CalledVia":
			entry.ContextKeyType = types.ContextKeyTypeEnumStringList
		case publicKey:
			entry.ContextKeyType = types.ContextKeyTypeEnumBoolean
		default:
		}
		all = append(all, entry)
	}
	return all
}

// complaint is about a request that comes out otherwise than it should.
func (e *examination) complaint(who string, s simulated) Finding {
	f := Finding{Level: Wrong, Check: permissions, Found: fmt.Sprintf("simulated as %s, %s is denied on %s: it is to %s", name(who), s.Action, s.Resource, s.What)}
	switch {
	case s.Denied:
		f.Found = fmt.Sprintf("simulated as %s, %s passes on %s: it could %s", name(who), s.Action, s.Resource, s.What)
		f.Remedy = "Take off the role what the template does not give it, and see that its Deny statements are there: sam deploy."
	case s.byOrganization:
		f.Remedy = "A service control policy of the organization denies " + s.Action + ": except this role."
	case s.byBoundary:
		f.Remedy = "Allow " + s.Action + " in the permissions boundary of the role."
	case e.Deployment != nil && s.decision == types.PolicyEvaluationDecisionTypeExplicitDeny:
		f.Remedy = "A policy of the role denies it; take that off, or deploy the template again: sam deploy."
	case e.Deployment != nil:
		f.Remedy = "Deploy the template again, which allows it: sam deploy."
	default:
		f.Remedy = "Allow " + s.Action + "."
	}
	return f
}

// isChange reports whether an action changes something, by its name.
func isChange(action string) bool {
	_, verb, _ := strings.Cut(action, ":")
	return verb != "Decrypt" && !slices.ContainsFunc([]string{"Describe", "Get", "List"}, func(read string) bool { return strings.HasPrefix(verb, read) })
}

package emulator

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/ami-janitor/ami-janitor/pkg/emulator/policy"
)

// simulatePrincipalPolicy decides on requests by the policies of a role or a user and by its
// permissions boundary: each action on each resource, with the values of the context that are given
// (IAM API Reference, SimulatePrincipalPolicy). It knows no service control policies, and no
// policies of resources.
func simulatePrincipalPolicy(c *call) (object, error) {
	own, boundary, err := c.policiesOf(c.text("PolicySourceArn"))
	if err != nil {
		return nil, err
	}
	context := map[string][]string{}
	for _, entry := range members(c.Form, "ContextEntries.member") {
		context[entry.Get("ContextKeyName")] = list(entry, "ContextKeyValues.member")
	}
	resources := c.list("ResourceArns.member")
	if len(resources) == 0 {
		resources = []string{"*"}
	}
	actions := c.list("ActionNames.member")
	if len(actions) == 0 {
		return nil, c.invalid("1 validation error detected: Value null at 'actionNames' failed to satisfy constraint: Member must not be null")
	}
	var results []object
	for _, action := range actions {
		if !strings.Contains(action, ":") {
			return nil, invalidInput("Invalid Entity Action: %s", action)
		}
		for _, resource := range resources {
			results = append(results, simulated(own, boundary, policy.Request{Action: action, Resource: resource, Context: context}))
		}
	}
	return c.someResults(results)
}

// invalidInput is IAM's error for what it cannot simulate.
func invalidInput(format string, arguments ...any) error {
	return refuse("InvalidInput", format, arguments...)
}

// simulated is the decision on one request. The boundary is nil if there is none.
func simulated(own, boundary []policy.Statement, r policy.Request) object {
	decision, matched := policy.Decide(own, r)
	result := object{"EvalActionName": r.Action, "EvalResourceName": r.Resource, "MissingContextValues": []any{}}
	if boundary != nil {
		bounded, by := policy.Decide(boundary, r)
		result["PermissionsBoundaryDecisionDetail"] = object{"AllowedByPermissionsBoundary": bounded == policy.Allowed}
		switch {
		case bounded == policy.ExplicitDeny:
			decision, matched = bounded, by
		case bounded == policy.ImplicitDeny && decision == policy.Allowed:
			decision, matched = bounded, nil
		}
	}
	statements := []object{}
	for _, s := range matched {
		statements = append(statements, object{"SourcePolicyId": s.PolicyName, "SourcePolicyType": s.PolicySource})
	}
	result["EvalDecision"], result["MatchedStatements"] = string(decision), statements
	return result
}

// someResults is a page of results (IAM API Reference, SimulatePrincipalPolicy: MaxItems, Marker).
func (c *call) someResults(results []object) (object, error) {
	const usual, most = 100, 1000
	size := usual
	if asked := c.text("MaxItems"); asked != "" {
		var err error
		if size, err = strconv.Atoi(asked); err != nil || size < 1 || size > most {
			return nil, c.invalid("1 validation error detected: Value '%s' at 'maxItems' failed to satisfy constraint", asked)
		}
	}
	from, _, err := c.place(len(results))
	if err != nil {
		return nil, err
	}
	end := min(from+size, len(results))
	answer := object{"EvaluationResults": results[from:end], "IsTruncated": end < len(results)}
	if end < len(results) {
		answer["Marker"] = c.token(end, false)
	}
	return answer, nil
}

// policiesOf are the statements of the policies of a role or a user, with those of a user's groups,
// and those of its boundary, which are nil if it has none.
func (c *call) policiesOf(arn string) (own, boundary []policy.Statement, err error) {
	kind, inline := "RoleDetailList", "RolePolicyList"
	switch {
	case strings.Contains(arn, ":user/"):
		kind, inline = "UserDetailList", "UserPolicyList"
	case !strings.Contains(arn, ":role/"):
		return nil, nil, invalidInput("Invalid Entity Arn: %s does not clearly define entity type and name.", arn)
	}
	found := c.entity(kind, "Arn", arn)
	if found == nil {
		return nil, nil, noSuchEntity("The entity with ARN %s cannot be found.", arn)
	}
	if own, err = c.statementsOf(found, inline); err != nil {
		return nil, nil, err
	}
	groups, _ := found["GroupList"].([]any)
	for _, name := range groups {
		group, _ := name.(string)
		some, err := c.statementsOf(c.entity("GroupDetailList", "GroupName", group), "GroupPolicyList")
		if err != nil {
			return nil, nil, err
		}
		own = append(own, some...)
	}
	if arn := text(child(found, "PermissionsBoundary"), "PermissionsBoundaryArn"); arn != "" {
		some, err := c.managedPolicy(arn)
		return own, append([]policy.Statement{}, some...), err
	}
	return own, nil, nil
}

// entity is an entry of a list of GetAccountAuthorizationDetails; nil if there is none.
func (c *call) entity(list, key, value string) object {
	entries, _ := c.region.documents[authorizationFile].fields[list].([]any)
	if list == authorizationList {
		return c.region.find(authorizationFile, key, value)
	}
	for _, entry := range entries {
		if o, ok := entry.(object); ok && text(o, key) == value {
			return o
		}
	}
	return nil
}

// statementsOf are the statements of the policies that are written into an entity, or attached to
// it.
func (c *call) statementsOf(entity object, inline string) ([]policy.Statement, error) {
	var all []policy.Statement
	written, _ := entity[inline].([]any)
	for _, item := range written {
		o, _ := item.(object)
		some, err := parsePolicy(text(o, "PolicyName"), "IAM Policy", o["PolicyDocument"])
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	attached, _ := entity["AttachedManagedPolicies"].([]any)
	for _, item := range attached {
		o, _ := item.(object)
		some, err := c.managedPolicy(text(o, "PolicyArn"))
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

// managedPolicy are the statements of the default version of a managed policy.
func (c *call) managedPolicy(arn string) ([]policy.Statement, error) {
	found := c.entity("Policies", "Arn", arn)
	versions, _ := found["PolicyVersionList"].([]any)
	for _, item := range versions {
		if version, _ := item.(object); text(version, "IsDefaultVersion") == "true" {
			return parsePolicy(text(found, "PolicyName"), "IAM Policy", version["Document"])
		}
	}
	return nil, noSuchEntity("Policy %s does not exist or is not attachable.", arn)
}

func parsePolicy(name, source string, document any) ([]policy.Statement, error) {
	statements, err := policy.Parse(document)
	if err != nil {
		return nil, invalidInput("The policy %s: %s", name, err)
	}
	for i := range statements {
		statements[i].PolicyName, statements[i].PolicySource = name, source
	}
	return statements, nil
}

func noSuchEntity(format string, arguments ...any) error {
	return &Error{http.StatusNotFound, "NoSuchEntity", fmt.Sprintf(format, arguments...)}
}

// getRole shows a role, without its policies (IAM API Reference, GetRole).
func getRole(c *call) (object, error) {
	role := c.entity(authorizationList, "RoleName", c.text("RoleName"))
	if role == nil {
		return nil, noSuchEntity("The role with name %s cannot be found.", c.text("RoleName"))
	}
	shown := object{}
	for _, key := range []string{"Arn", "CreateDate", "Path", "PermissionsBoundary", "RoleId", "RoleName"} {
		shown[key] = role[key]
	}
	return object{"Role": shown}, nil
}

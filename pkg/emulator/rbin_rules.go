package emulator

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"unicode/utf8"
)

// rbinActions are the emulated actions of the Recycle Bin. Locks are shown and hold, and cannot be
// set.
var rbinActions = map[string]action{
	"CreateRule": {createRule, []string{"Description", "ExcludeResourceTags", "ResourceTags", "ResourceType", "RetentionPeriod", "Tags"}},
	"DeleteRule": {deleteRule, []string{"Identifier"}},
	"GetRule":    {getRule, []string{"Identifier"}},
	"ListRules":  {listRules, []string{"ExcludeResourceTags", "LockState", "MaxResults", "NextToken", "ResourceTags", "ResourceType"}},
}

// rbinRoutes say where its actions are found.
var rbinRoutes = []route{
	{http.MethodPost, "/list-rules", "ListRules", http.StatusOK},
	{http.MethodPost, "/rules", "CreateRule", http.StatusCreated},
	{http.MethodGet, "/rules/{Identifier}", "GetRule", http.StatusOK},
	{http.MethodDelete, "/rules/{Identifier}", "DeleteRule", http.StatusNoContent},
}

// rbinReasons are the reasons that stand beside the Recycle Bin's error codes.
var rbinReasons = map[string]any{
	"ConflictException":             "INVALID_RULE_STATE",
	"ResourceNotFoundException":     "RULE_NOT_FOUND",
	"ServiceQuotaExceededException": "SERVICE_QUOTA_EXCEEDED",
	"ValidationException":           "INVALID_PARAMETER_VALUE",
}

// The Recycle Bin's limits (Amazon EBS User Guide, "Recycle Bin quotas"; Recycle Bin API Reference,
// CreateRule).
const (
	maxRules        = 250
	maxRuleTags     = 50
	maxExcludedTags = 5
	maxRulesOfTag   = 5
)

// maxRetention is for how many days rules can retain resources, by type (Recycle Bin API Reference,
// RetentionPeriod).
var maxRetention = map[string]int{"EBS_SNAPSHOT": 365, "EBS_VOLUME": 7, "EC2_IMAGE": 365}

// The forms of a rule's id and its description (Recycle Bin API Reference, CreateRule).
var (
	ruleID          = regexp.MustCompile(`^[0-9a-zA-Z]{11}$`)
	ruleDescription = regexp.MustCompile(`^[\S ]{0,255}$`)
)

// rulePages is how ListRules pages. How long a page is if no size is given is not documented.
var rulePages = paging{least: 1, most: 1000, usual: 100}

// KeepRemoved adds the two rules to every region of the account that has none, by which the Recycle
// Bin retains for some days, 1 to 365, the images and the snapshots that the janitor removes: those
// tagged ami-janitor:intent=remove.
func (a *Account) KeepRemoved(days int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range a.regions {
		if d := r.documents[rulesFile]; len(d.items) == 0 {
			d.items = JanitorRules(days)
		}
	}
}

// HasRules reports whether any region of the account has a rule of the Recycle Bin, or may have:
// nobody knows of one where the rules may not be listed.
func (a *Account) HasRules() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range a.regions {
		if len(r.documents[rulesFile].items) > 0 || r.denies("rbin", "ListRules") {
			return true
		}
	}
	return false
}

// JanitorRules are the rules by which the Recycle Bin retains what the janitor removes.
func JanitorRules(days int) []map[string]any {
	rule := func(id, kind string) object {
		return object{
			"Identifier": id, "ResourceType": kind, "Status": "available", "Description": "What AMI Janitor removes",
			"ResourceTags": []any{object{"ResourceTagKey": "ami-janitor:intent", "ResourceTagValue": "remove"}},
			"RetentionPeriod": object{
				"RetentionPeriodUnit": "DAYS", "RetentionPeriodValue": json.Number(strconv.Itoa(days)),
			},
		}
	}
	return []object{rule("janitorImgs", "EC2_IMAGE"), rule("janitorSnps", "EBS_SNAPSHOT")}
}

// listRules lists the rules for one type of resource: neither with their tags nor with their
// status.
func listRules(c *call) (object, error) {
	kind := c.text("ResourceType")
	if maxRetention[kind] == 0 {
		return nil, c.invalid("Invalid resource type: '%s'", kind)
	}
	var rules []object
	for _, rule := range c.region.items(rulesFile) {
		if text(rule, "ResourceType") == kind && c.wants(rule) {
			rules = append(rules, c.shownRule(rule, "Description", "Identifier", "LockState", "RetentionPeriod"))
		}
	}
	rules, token, err := page(c, rules, rulePages)
	return listing("Rules", rules, token), err
}

// wants reports whether a rule is among those that the request narrows its listing to. What more
// than one tag means is not documented: the rule has to name all of them.
func (c *call) wants(rule object) bool {
	if state := c.text("LockState"); state != "" && state != text(rule, "LockState") {
		return false
	}
	for _, list := range []string{"ExcludeResourceTags", "ResourceTags"} {
		for _, tag := range members(c.Form, list) {
			key, value := tag.Get("ResourceTagKey"), tag.Get("ResourceTagValue")
			if !slices.ContainsFunc(objects(rule, list), func(o object) bool {
				return text(o, "ResourceTagKey") == key && (!tag.Has("ResourceTagValue") || text(o, "ResourceTagValue") == value)
			}) {
				return false
			}
		}
	}
	return true
}

// shownRule is some of a rule, with its ARN.
func (c *call) shownRule(rule object, keys ...string) object {
	shown := picked(rule, keys...)
	shown["RuleArn"] = c.arn("rbin", "rule/"+text(rule, "Identifier"))
	return shown
}

// getRule shows a rule with all there is of it, but for the tags that it has itself.
func getRule(c *call) (object, error) {
	rule, err := c.rule()
	if err != nil {
		return nil, err
	}
	return c.wholeRule(rule), nil
}

func (c *call) wholeRule(rule object) object {
	shown := object{"ExcludeResourceTags": []any{}, "ResourceTags": []any{}}
	maps.Copy(shown, c.shownRule(rule, "Description", "ExcludeResourceTags", "Identifier", "LockConfiguration", "LockEndTime",
		"LockState", "ResourceTags", "ResourceType", "RetentionPeriod", "Status"))
	return shown
}

// rule finds the request's rule.
func (c *call) rule() (object, error) {
	id := c.text("Identifier")
	rule := c.region.find(rulesFile, "Identifier", id)
	switch {
	case rule != nil && id != "":
		return rule, nil
	case !ruleID.MatchString(id):
		return nil, c.invalid("Invalid rule identifier: '%s'", id)
	}
	return nil, &Error{http.StatusNotFound, "ResourceNotFoundException", fmt.Sprintf("The rule '%s' does not exist", id)}
}

// deleteRule deletes a rule that is not locked. What it has retained stays in the Recycle Bin.
func deleteRule(c *call) (object, error) {
	rule, err := c.rule()
	if err != nil {
		return nil, err
	}
	if state := text(rule, "LockState"); state == "locked" || state == "pending_unlock" {
		return nil, &Error{http.StatusConflict, "ConflictException", fmt.Sprintf("The rule is %s", state)}
	}
	c.region.remove(rulesFile, "Identifier", text(rule, "Identifier"))
	return object{}, nil
}

// createRule creates a rule. A region that the account does not hold takes none.
func createRule(c *call) (object, error) {
	rule, err := c.readRule()
	if err != nil {
		return nil, err
	}
	if err := c.roomForRule(rule); err != nil {
		return nil, err
	}
	rule["Identifier"] = c.region.newRuleID()
	rule["Status"] = "available"
	if delay := c.account.bins.pending; delay > 0 {
		rule["Status"] = "pending"
		rule["AvailableTime"] = c.account.now().Add(delay).UTC().Format(timestampLayout)
	}
	c.region.documents[rulesFile].add(rule)
	shown := c.wholeRule(rule)
	shown["Tags"] = rule["Tags"]
	return shown, nil
}

// readRule is the rule that the request describes.
func (c *call) readRule() (object, error) {
	if err := c.checkRule(); err != nil {
		return nil, err
	}
	days := json.Number(c.text("RetentionPeriod.RetentionPeriodValue"))
	rule := object{
		"ResourceType":    c.text("ResourceType"),
		"RetentionPeriod": object{"RetentionPeriodUnit": "DAYS", "RetentionPeriodValue": days},
	}
	if c.Form.Has("Description") {
		rule["Description"] = c.text("Description")
	}
	for _, list := range []struct{ name, key, value string }{
		{"ExcludeResourceTags", "ResourceTagKey", "ResourceTagValue"}, {"ResourceTags", "ResourceTagKey", "ResourceTagValue"}, {"Tags", "Key", "Value"},
	} {
		tags, err := c.readRuleTags(list.name, list.key, list.value)
		if err != nil {
			return nil, err
		}
		rule[list.name] = tags
	}
	return rule, nil
}

// checkRule checks all but the tags of the rule that the request describes.
func (c *call) checkRule() error {
	kind, description := c.text("ResourceType"), c.text("Description")
	named, excluded := len(members(c.Form, "ResourceTags")), len(members(c.Form, "ExcludeResourceTags"))
	switch {
	case c.account.regions[c.Region] == nil:
		return c.invalid("The account has nothing in %s", c.Region)
	case maxRetention[kind] == 0:
		return c.invalid("Invalid resource type: '%s'", kind)
	case !isRetention(c.text("RetentionPeriod.RetentionPeriodValue"), maxRetention[kind]) || c.text("RetentionPeriod.RetentionPeriodUnit") != "DAYS":
		return c.invalid("The retention period must be between 1 and %d DAYS", maxRetention[kind])
	case !ruleDescription.MatchString(description):
		return c.invalid("Invalid description: '%s'", description)
	case named > 0 && excluded > 0:
		return c.invalid("A tag-level rule takes no exclusion tags")
	case named > maxRuleTags || excluded > maxExcludedTags:
		return c.invalid("A rule takes at most %d tags, and %d exclusion tags", maxRuleTags, maxExcludedTags)
	}
	return nil
}

// isRetention reports whether a text is a number of days, of no more than the most, as JSON spells
// it.
func isRetention(days string, most int) bool {
	n, err := strconv.Atoi(days)
	return err == nil && n >= 1 && n <= most && strconv.Itoa(n) == days
}

// readRuleTags are the tags in a list of the request. A value may be missing.
func (c *call) readRuleTags(list, keyName, valueName string) ([]any, error) {
	tags := []any{}
	for _, m := range members(c.Form, list) {
		key, value := m.Get(keyName), m.Get(valueName)
		if key == "" || utf8.RuneCountInString(key) > maxTagKey || utf8.RuneCountInString(value) > maxTagValue {
			return nil, c.invalid("Invalid tag: '%s'", key)
		}
		tag := object{keyName: key}
		if m.Has(valueName) {
			tag[valueName] = value
		}
		tags = append(tags, tag)
	}
	return tags, nil
}

// roomForRule refuses a rule too many, in the region or for one of its tags.
func (c *call) roomForRule(rule object) error {
	rules := c.region.items(rulesFile)
	for _, tag := range objects(rule, "ResourceTags") {
		same := func(o object) bool {
			return text(o, "ResourceTagKey") == text(tag, "ResourceTagKey") && text(o, "ResourceTagValue") == text(tag, "ResourceTagValue")
		}
		n := 0
		for _, other := range rules {
			if slices.ContainsFunc(objects(other, "ResourceTags"), same) {
				n++
			}
		}
		if n >= maxRulesOfTag {
			return quotaExceeded("A tag can be in %d rules at most", maxRulesOfTag)
		}
	}
	if len(rules) >= maxRules {
		return quotaExceeded("A region can have %d rules at most", maxRules)
	}
	return nil
}

func quotaExceeded(format string, arguments ...any) error {
	return &Error{http.StatusPaymentRequired, "ServiceQuotaExceededException", fmt.Sprintf(format, arguments...)}
}

// newRuleID is an id that no rule has or has had.
func (r *region) newRuleID() string {
	for n := 1; ; n++ {
		id := fmt.Sprintf("rule%07d", n)
		if r.find(rulesFile, "Identifier", id) == nil && !r.gone[id] {
			return id
		}
	}
}

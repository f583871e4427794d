package template_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Whoever is asked in the tests of the organization's templates.
const (
	hubAccount     = "111122223333"
	organizationID = "o-a1b2c3d4e5"
	externalID     = "o-a1b2c3d4e5-default"
	memberRoles    = "role/ami-janitor/ami-janitor-default-"
	undoer         = "arn:aws:iam::444455556666:role/operators/on-call"
)

// loadMember reads member.yaml as it is deployed to an account where everything is allowed.
func loadMember(t *testing.T, parameters map[string]string) template {
	t.Helper()
	chosen := map[string]string{"HubAccount": hubAccount, "OrganizationId": organizationID, "ExternalId": externalID, "Sweep": "true", "UndoPrincipal": undoer}
	maps.Copy(chosen, parameters)
	return read(t, "member.yaml").with(chosen).settled()
}

// ofTheHub are the statements of the single account that the hub's roles have.
var ofTheHub = []string{
	"ListRecords", "ReadAndWriteRecords", "NoteWhatIsUnfinished", "WriteLog", "HandOverFailedRuns", "PublishDigest", "PublishToOwners", "EncryptForOwners",
	"ListObjects", "ReadObjects", "DecryptObjects",
	// An organization's runs remove no orphans.
	"AnnounceSnapshots", "TakeBackOfSnapshots", "ListOrphans", "NoteOrphans",
	// Nor do they delete bundles.
	"LookAtBucketsOfBundles", "ReadBundles", "HideBundles",
}

// onlyReads reports whether a statement lets nobody change anything.
func (s statement) onlyReads() bool {
	return !slices.ContainsFunc(s.actions, func(action string) bool {
		_, name, _ := strings.Cut(action, ":")
		return !slices.ContainsFunc([]string{"Describe", "Get", "List"}, func(verb string) bool { return strings.HasPrefix(name, verb) })
	})
}

func bySid(policy []statement) map[string]statement {
	sorted := map[string]statement{}
	for _, s := range policy {
		s.of = ""
		s.actions, s.resources = slices.Sorted(slices.Values(s.actions)), slices.Sorted(slices.Values(s.resources))
		sorted[s.sid] = s
	}
	return sorted
}

// TestMembersRolesMayDoWhatTheFunctionMay compares the roles of a member with that of the single
// account, whose every action a test knows the reason for: the sweep has all of it, the reader what
// changes nothing.
func TestMembersRolesMayDoWhatTheFunctionMay(t *testing.T) {
	announcing := bySid(load(t).with(map[string]string{"Grace": "14d"}).grants("JanitorRole"))
	for variant, parameters := range variants {
		single := bySid(load(t).with(parameters).grants("JanitorRole"))
		for _, sid := range ofTheHub {
			delete(single, sid)
		}
		reading := map[string]statement{}
		for sid, s := range single {
			if s.effect == "Allow" && s.onlyReads() || sid == "NeverSecrets" {
				reading[sid] = s
			}
		}
		for _, shared := range []string{"", "organization"} {
			chosen, sweeping := maps.Clone(parameters), single
			if shared != "" && chosen["SharedImages"] == "report" {
				chosen["SharedImages"] = shared
				sweeping = maps.Clone(single)
				sweeping["Announce"] = announcing["Announce"] // Shared images are always announced.
			}
			member := loadMember(t, chosen)
			for role, wanted := range map[string]map[string]statement{"ReadRole": reading, "SweepRole": sweeping} {
				if diff := cmp.Diff(wanted, bySid(member.grants(role)), cmp.AllowUnexported(statement{})); diff != "" {
					t.Errorf("%s: the function of the single account (-), %s (+):\n%s", variant, role, diff)
				}
			}
		}
		if len(reading) < 8 || len(single) < len(reading)+10 {
			t.Errorf("%s: %d statements, %d of them read", variant, len(single), len(reading))
		}
	}
	for _, role := range []string{"ReadRole", "SweepRole"} {
		arns := list(loadMember(t, nil).properties(role)["ManagedPolicyArns"])
		if len(arns) != 1 || at(arns[0], "Fn::Sub") != lookers {
			t.Errorf("%s has AWS's policies %v", role, arns)
		}
	}
}

// TestAMemberCannotBeSweptByDefault: neither the role is there, nor anything for it.
func TestAMemberCannotBeSweptByDefault(t *testing.T) {
	tpl := read(t, "member.yaml")
	for _, parameters := range []map[string]string{nil, {"SharedImages": "organization", "Grace": "14d", "GraceAction": "disable"}} {
		chosen := tpl.with(parameters)
		for _, r := range chosen.resources() {
			isThere := chosen.holds(at(chosen.section("Resources"), r.name, "Condition"))
			if isThere && (r.name == "SweepRole" || r.name == "UndoRole") {
				t.Errorf("%s is there", r.name)
			}
			for _, s := range chosen.statements(r.name, chosen.decided(r.properties["PolicyDocument"])) {
				if isThere && s.effect == "Allow" && !s.onlyReads() {
					t.Errorf("%s: %s changes something", r.name, s.sid)
				}
			}
		}
	}
	if at(tpl.section("Parameters"), "Sweep", "Default") != "false" || at(tpl.section("Parameters"), "UndoPrincipal", "Default") != "" {
		t.Error("a member is swept, or has somebody who undoes, by default")
	}
}

// assumer is who asks for a role, and what it says.
type assumer struct{ arn, organization, externalID, session string }

// trusts reports whether the trust of a role lets somebody in.
func (t template) trusts(role string, who assumer) bool {
	context := map[string]string{"aws:PrincipalArn": who.arn, "sts:RoleSessionName": who.session, "aws:PrincipalOrgID": who.organization, "sts:ExternalId": who.externalID}
	maps.DeleteFunc(context, func(_, value string) bool { return value == "" })
	policy := t.statements(role, t.decided(t.properties(role)["AssumeRolePolicyDocument"]))
	for i := range policy {
		policy[i].resources = []string{"*"} // It names none: it is the role's.
	}
	r := resource{role, "", t.properties(role)}
	return admitted(policy, who.arn, request{"sts:AssumeRole", "arn:aws:iam::" + account + ":role" + t.path(r) + t.name(r), context})
}

func TestWhoMayComeIn(t *testing.T) {
	const hub, session = "arn:aws:iam::" + hubAccount + ":" + memberRoles + "hub-", "ami-janitor-20261130T020000Z-3f9c1a"
	member := loadMember(t, nil)
	for role, let := range map[string][]string{"ReadRole": {hub + "census", hub + "plan"}, "SweepRole": {hub + "sweep"}, "UndoRole": {undoer}} {
		for _, arn := range let {
			good := assumer{arn, organizationID, externalID, session}
			if !member.trusts(role, good) {
				t.Errorf("%s does not let %s in", role, arn)
			}
			for what, change := range map[string]func(*assumer){
				"of another organization":      func(a *assumer) { a.organization = "o-zzzzzzzzzz" },
				"of no organization":           func(a *assumer) { a.organization = "" },
				"with another external id":     func(a *assumer) { a.externalID = "o-zzzzzzzzzz-default" },
				"without an external id":       func(a *assumer) { a.externalID = "" },
				"of another account":           func(a *assumer) { a.arn = strings.Replace(a.arn, strings.Split(arn, ":")[4], "999988887777", 1) },
				"that is the account's root":   func(a *assumer) { a.arn = "arn:aws:iam::" + strings.Split(arn, ":")[4] + ":root" },
				"of the same name, elsewhere":  func(a *assumer) { a.arn = strings.Replace(a.arn, ":role/", ":role/other/", 1) },
				"with a longer name":           func(a *assumer) { a.arn += "-2" },
				"of another janitor":           func(a *assumer) { a.arn = strings.Replace(a.arn, "-default-", "-second-", 1) + "/" },
				"that is a user of that name":  func(a *assumer) { a.arn = strings.Replace(a.arn, ":role/", ":user/", 1) },
				"with a session of other name": func(a *assumer) { a.session = "admin" },
				"with a session almost of ours": func(a *assumer) {
					a.session = "x-ami-janitor-20261130T020000Z-3f9c1a"
				},
			} {
				bad := good
				change(&bad)
				isOfPeople := role == "UndoRole" && bad.session != session
				if member.trusts(role, bad) != isOfPeople {
					t.Errorf("%s lets in %s %s: %v", role, arn, what, !isOfPeople)
				}
			}
		}
	}
}

// TestWhichRoleOfTheHubReachesWhich tries every role of the hub on every role of a member, on both
// sides.
func TestWhichRoleOfTheHubReachesWhich(t *testing.T) {
	reaches := map[string]bool{"CensusRole ReadRole": true, "PlanRole ReadRole": true, "SweepRole SweepRole": true}
	hub, member := loadHub(t, nil), loadMember(t, nil)
	for _, from := range hub.resources("AWS::IAM::Role") {
		who := assumer{"arn:aws:iam::" + hubAccount + ":role" + hub.path(from) + hub.name(from), organizationID, externalID, "ami-janitor-20261130T020000Z-3f9c1a"}
		for _, to := range member.resources("AWS::IAM::Role") {
			arn := "arn:aws:iam::999988887777:role" + member.path(to) + member.name(to)
			for organization, is := range map[string]bool{organizationID: true, "o-zzzzzzzzzz": false, "": true} {
				context := map[string]string{"aws:ResourceOrgID": organization}
				maps.DeleteFunc(context, func(_, value string) bool { return value == "" })
				may, let := allowed(hub.grants(from.name), request{"sts:AssumeRole", arn, context}), member.trusts(to.name, who)
				if should := reaches[from.name+" "+to.name]; may != (is && should) || let != should {
					t.Errorf("%s of the hub may assume %s of a member of %q: %v; that lets it in: %v", from.name, to.name, organization, may, let)
				}
			}
		}
		for _, elsewhere := range []string{"arn:aws:iam::999988887777:role/Admin", "arn:aws:iam::999988887777:role/ami-janitor/ami-janitor-second-sweep"} {
			if allowed(hub.grants(from.name), request{"sts:AssumeRole", elsewhere, nil}) {
				t.Errorf("%s of the hub may assume %s", from.name, elsewhere)
			}
		}
	}
}

func (t template) path(role resource) string { return role.properties["Path"].(string) }
func (t template) name(role resource) string { return filled(role.properties["RoleName"]) }

// TestWhoUndoesInAMemberMayDoWhatUndoingTakes compares the role with the policy in
// docs/deploying.md, which a test compares with the code. The records are the hub's.
func TestWhoUndoesInAMemberMayDoWhatUndoingTakes(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "docs/deploying.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "```json\n")
	document, _, _ := strings.Cut(rest, "```")
	var policy object
	if err := json.Unmarshal([]byte(document), &policy); err != nil {
		t.Fatal(err)
	}
	plain := func(policy []statement) []statement {
		policy = slices.DeleteFunc(policy, func(s statement) bool { return strings.HasPrefix(s.actions[0], "s3:") })
		for i := range policy {
			policy[i].sid, policy[i].of = fmt.Sprint(i), "" // Nobody is told one.
			slices.Sort(policy[i].conditions["ForAllValues:StringEquals"][tagKeysKey])
		}
		return policy
	}
	if diff := cmp.Diff(plain(statements("docs/deploying.md", policy)), plain(loadMember(t, nil).grants("UndoRole")), cmp.AllowUnexported(statement{})); diff != "" {
		t.Errorf("what people are told (-), and the role (+):\n%s", diff)
	}
}

func TestPoliciesOfAMemberFitIntoItsRoles(t *testing.T) {
	for variant, parameters := range variants {
		member := loadMember(t, parameters)
		for _, role := range member.resources("AWS::IAM::Role") {
			policiesFit(t, variant, member, role.name)
		}
	}
}

// TestAMemberIsDeployedOnce: in a second region of the account its roles are there, so that it
// fails and changes nothing. A StackSet's service-managed role can run no transform.
func TestAMemberIsDeployedOnce(t *testing.T) {
	tpl := read(t, "member.yaml")
	if tpl.object["Transform"] != nil {
		t.Error("member.yaml has a transform")
	}
	for _, r := range tpl.resources() {
		switch r.kind {
		case "AWS::IAM::Role":
			if r.properties["RoleName"] == nil || r.properties["Path"] != "/ami-janitor/" {
				t.Errorf("%s has no name of its own, and could be there twice", r.name)
			}
		case "AWS::IAM::ManagedPolicy", "AWS::IAM::Policy":
		default:
			t.Errorf("%s is a %s", r.name, r.kind)
		}
	}
}

// TestParametersOfTheOrganizationsTemplatesAgree: what is set in one of them means the same in the
// others.
func TestParametersOfTheOrganizationsTemplatesAgree(t *testing.T) {
	same := func(from, to string, parameter string, details ...string) {
		a, b := read(t, from).section("Parameters")[parameter], read(t, to).section("Parameters")[parameter]
		for _, detail := range details {
			if diff := cmp.Diff(at(a, detail), at(b, detail)); diff != "" {
				t.Errorf("%s: the %s of %s (-) and of %s (+):\n%s", parameter, detail, from, to, diff)
			}
		}
	}
	details := []string{"Type", "Default", "AllowedValues", "AllowedPattern", "ConstraintDescription", "MinValue", "MaxValue"}
	hub := read(t, "organization.yaml").section("Parameters")
	left := map[string]bool{
		"RolePath": true, "ReservedConcurrency": true, "Report": true, "MakeOwnersTopic": true, "OwnersTopicArn": true,
		"OrphanedAfter": true, "MaxOrphanedSnapshots": true, // Its runs remove no orphans.
		"Bundles": true, "BundleBuckets": true, // Nor do they delete bundles.
	}
	for name := range load(t).section("Parameters") {
		switch {
		case hub[name] == nil && !left[name]:
			t.Errorf("organization.yaml has no %s", name)
		case hub[name] == nil:
		case name == "SharedImages":
			if diff := cmp.Diff([]string{"keep", "report", "organization"}, texts(at(hub[name], "AllowedValues"))); diff != "" {
				t.Errorf("SharedImages: %s", diff)
			}
			same("template.yaml", "organization.yaml", name, "Type", "Default")
		case name == "OrphanedSnapshots":
			if diff := cmp.Diff([]string{"report", "ignore"}, texts(at(hub[name], "AllowedValues"))); diff != "" {
				t.Errorf("OrphanedSnapshots: %s", diff)
			}
			same("template.yaml", "organization.yaml", name, "Type", "Default")
		default:
			same("template.yaml", "organization.yaml", name, details...)
		}
	}
	for name := range read(t, "member.yaml").section("Parameters") {
		if hub[name] != nil {
			same("organization.yaml", "member.yaml", name, details...)
		} else if !slices.Contains([]string{"HubAccount", "Sweep", "UndoPrincipal"}, name) {
			t.Errorf("organization.yaml has no %s", name)
		}
	}
}

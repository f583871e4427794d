package digest

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/plain"
)

// keepTag is what keeps an image or a snapshot for good.
const keepTag = ami.KeepTag + "=true"

// advice says what a person can do about an error, with places for the reader's words (Words). It
// is empty if reading the error is the best advice. Permission is the one that is missing if the
// error is a denial that names none.
func advice(fault, permission string) string { return remedyFor(fault).of(fault, permission).advice }

// inShort says an error in a few words of ASCII.
func inShort(fault string) string {
	return cmp.Or(remedyFor(fault).of(fault, "").short, "A lookup failed")
}

// remedy is advice on the errors that show one of some signs, and the cause in short.
type remedy struct {
	signs  []string
	advice string
	short  string
}

// of is a remedy with the permission that an error says is missing, or else the one that is given.
func (r remedy) of(fault, permission string) remedy {
	denied := deniedPermission(fault)
	r.advice = strings.ReplaceAll(r.advice, "{permission}", cmp.Or(denied, permission))
	r.short = strings.ReplaceAll(r.short, "{permission}", cmp.Or(denied, "a permission"))
	return r
}

// remedyFor is the first remedy for an error; empty if there is none.
func remedyFor(fault string) remedy {
	lower := strings.ToLower(fault)
	for _, r := range remedies {
		if slices.ContainsFunc(r.signs, func(sign string) bool { return shows(lower, sign) }) {
			return r
		}
	}
	return remedy{}
}

// shows reports whether a text shows a sign: all of its parts, in order. An ellipsis separates
// them.
func shows(text, sign string) bool {
	for part := range strings.SplitSeq(sign, "…") {
		_, rest, found := strings.Cut(text, part)
		if !found {
			return false
		}
		text = rest
	}
	return true
}

// deniedSigns are what an error says of a denial, in lower case.
var deniedSigns = []string{"unauthorizedoperation", "accessdenied", "not authorized to perform", "authorizationerror", "insufficientprivileges"}

func isDenied(fault string) bool {
	lower := strings.ToLower(fault)
	return slices.ContainsFunc(deniedSigns, func(sign string) bool { return strings.Contains(lower, sign) })
}

// services are the sources that ask other services than EC2, which an account may never use.
var services = []string{"cloudformation", "batch", "pcs", "rds-custom", "emr", "hyperpod", "elastic-beanstalk"}

// deniedServices are the remedies for a service that may not be asked.
func deniedServices() []remedy {
	templates := remedy{
		advice: "Allow cloudformation:GetTemplate to {role}, or set {CLOUDFORMATION_TEMPLATES} to false: then what only a template names is not kept.",
		short:  "{permission} denied",
	}
	for _, sign := range deniedSigns {
		templates.signs = append(templates.signs, "cloudformation: …cloudformation:gettemplate: …"+sign)
	}
	found := []remedy{templates}
	for _, source := range services {
		allow := "Allow {permission} to {role}."
		if source == "cloudformation" { // IAM may name either of the two.
			allow = "Allow cloudformation:DescribeStacks to {role}, and cloudformation:ListStacks, which it needs to see all stacks."
		}
		r := remedy{
			advice: allow + " Or, if this service launches no AMIs of yours, take " + source + " out of {USAGE_SOURCES}: " +
				"then what only it names is not kept.",
			short: "{permission} denied",
		}
		for _, sign := range deniedSigns {
			r.signs = append(r.signs, source+": …"+sign)
		}
		found = append(found, r)
	}
	return found
}

// policyDenies is advice on images for which a policy denies what is allowed for others.
func policyDenies(permission string) string {
	return "A policy denies " + permission + " for these AMIs: a service control policy, a permissions boundary, or another explicit deny. " +
		"If they are meant to stay, tag them " + keepTag + "; else lift the deny."
}

// soAgain begins the advice on what there was no time to look up.
const soAgain = "If it is so again, "

// remedies are tried in order. A command stands on a line of its own. Signs are in lower case;
// errors of AWS carry their code.
var remedies = append(deniedServices(), []remedy{
	{
		[]string{"no aws credentials: "}, // See wire.Explain.
		"Log in (aws sso login), or name a profile (--profile, AWS_PROFILE) or keys (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY). " +
			"aws sts get-caller-identity shows whether they work.",
		"No AWS credentials",
	},
	{
		[]string{"expiredtoken"},
		"Renew the credentials, such as with aws sso login, and try again.",
		"AWS credentials expired",
	},
	{
		[]string{"has disabled it, as its tags say"},
		"If that policy is gone, enable the image and take its tags off:\n{unmark}\nThen it is judged like any other.",
		"Disabled by a policy that is gone",
	},
	{
		[]string{"no record of this policy"},
		whoseTags,
		"Tags that no record confirms",
	},
	{
		[]string{"there are no records that"},
		keepRecords,
		"No records to go by",
	},
	{
		// See lackingAnswerError in pkg/wire.
		[]string{" without <", ` without "`, "which was not asked about", "leads back to a page", "ssm did not answer for it"},
		"Nothing is removed that depends on this answer. Report it, so that the janitor learns to read it: with the error, the region, the version " +
			"of the janitor, and the answer itself, as docs/answers.md says.",
		"An answer lacks its list",
	},
	{
		[]string{"is listed without its image", "which is no id of an image"},
		"On a copy of an account, export that file again, whole and unchanged. If AWS itself answers so, nothing is removed until it names an image: " +
			"delete what nobody needs, or report the answer as docs/answers.md says.",
		"A resource is listed without its image",
	},
	{
		[]string{"ssm answered without its value", "ssm lists it, and says that it is not there"},
		"On a copy of an account, export get-parameters.json again: it lacks the value of that parameter. If SSM itself answers so, the next run asks again.",
		"SSM parameter without its value",
	},
	{
		[]string{"names ssm parameter…not shared with this account"},
		"Delete that version of the launch template if nobody needs it. Else have the parameter shared with this account, and " +
			"allow ssm:GetParameters on it to {role}.",
		"SSM parameter of a launch template unreadable",
	},
	{
		[]string{"names ssm parameter…validation"},
		"Parameter Store does not allow such a name. Delete that version of the launch template if nobody needs it; else make one that " +
			"names the parameter right, and then delete it.",
		"SSM parameter of a launch template unreadable",
	},
	{
		[]string{"names ssm parameter"},
		"Allow ssm:GetParameters on it to the role that the janitor runs with, and if it belongs to another account, have it shared with " +
			"this one. Or delete that version of the launch template if nobody needs it.",
		"SSM parameter of a launch template unreadable",
	},
	{
		[]string{"names its image by resolve:"},
		"Delete that version of the launch template if nobody needs it, or give its image by its id or by resolve:ssm:.",
		"Image of a launch template not understood",
	},
	{
		[]string{"launch template lt-…has no versions", "launch template lt-…invalidlaunchtemplateid"},
		"If it was deleted while the run was reading it, the next run does not list it any more. If it is listed and has no versions every night, " +
			"delete it.",
		"A launch template could not be read",
	},
	{
		[]string{"ssm parameter"},
		"Allow ssm:GetParameters on it to {role}, or take ssm-text out of {USAGE_SOURCES}: then what " +
			"only the text of a parameter names is not kept.",
		"SSM parameter unreadable",
	},
	{
		deniedSigns,
		"Allow {permission} to {role}. If it is allowed there, look for a deny in a " +
			"service control policy, a permissions boundary or the policy of a VPC endpoint.",
		"{permission} denied",
	},
	{
		[]string{"managed by aws backup", "managed by the aws backup"},
		"AWS Backup owns this, and it goes when its recovery point is deleted there. If it is meant to stay, tag it " + keepTag + ".",
		"AWS Backup owns it",
	},
	{
		[]string{"operationnotpermitted"},
		"EC2 does not permit this, whoever asks: it may be protected, or another service may manage it. Take the protection off, or let that " +
			"service delete it; if it is meant to stay, tag it " + keepTag + ".",
		"Not permitted by EC2",
	},
	{
		[]string{"taglimitexceeded"},
		"It has no room for the two tags that a removal takes. Take some off: EC2 allows 50.",
		"No room for tags",
	},
	{
		[]string{"authfailure"},
		"AWS Backup or another account owns this. What AWS Backup owns goes when its recovery point is deleted there.",
		"Owned by another account",
	},
	{
		[]string{"requestlimitexceeded", "throttl", "rate exceeded", "slowdown"},
		"AWS throttled the calls. {quieter}",
		"Lookups throttled",
	},
	{
		[]string{"invalidsnapshot.inuse"},
		"Something, most often another image, still uses the snapshot; it can be deleted once that is gone.",
		"Snapshot in use",
	},
	{
		[]string{"launch-templates: " + ami.NotReached},
		soAgain + "set {LAUNCH_TEMPLATE_VERSIONS} to the number of newest versions that count, or raise {EC2_SHARE}: to read all versions " +
			"of all launch templates takes longer than half of a run.",
		"Not all looked up in time",
	},
	{
		[]string{"launch permissions: " + ami.NotReached, "references: " + ami.NotReached},
		soAgain + "raise {EC2_SHARE}, or narrow {NAMES}: a run judges more AMIs than it can look up.",
		"Not all looked up in time",
	},
	{
		[]string{ami.SharingNotReached},
		soAgain + "raise {EC2_SHARE}, or lower {MAX_DEREGISTRATIONS}: with whom a snapshot is shared takes a call for each that would go.",
		"Not all looked up in time",
	},
	{
		[]string{ami.NotReached},
		soAgain + "raise {EC2_SHARE}: to look up everything takes longer than half of a run.",
		"Not all looked up in time",
	},
	{
		[]string{"deadline exceeded", "time ran out", "time of this run", "the run ended"},
		"If the time runs out again, raise {EC2_SHARE}, or lower {MAX_DEREGISTRATIONS}.",
		"Time ran out",
	},
	{
		[]string{"backed by ebs"}, // An instance store, or no snapshot.
		"Tag those that are to stay " + keepTag + ". The others go only where {REQUIRE_RECYCLE_BIN} is false, and then for good.",
		"Not restorable",
	},
	{
		[]string{"invalidaction", "unknownoperation"},
		"The endpoint of this region does not know this action. If it is a source of which you know that it finds nothing there, take it out of " +
			"{USAGE_SOURCES}; else take the region out with {EXCEPT_REGIONS}.",
		"Action not known to AWS",
	},
	{
		[]string{"no recycle bin rule covers it…excludes"},
		"Take that tag off, or take it out of the exclusion tags of that rule. If they are to stay, tag them " + keepTag + ".",
		"Excluded from the Recycle Bin",
	},
	{
		[]string{"the recycle bin would hold it for"},
		"Let the rules of the Recycle Bin hold images for as long as {RECYCLE_BIN_DAYS} says, and snapshots for no less than images; or lower " +
			"{RECYCLE_BIN_DAYS}.",
		"Recycle Bin rules too short",
	},
	{
		[]string{"no recycle bin rule covers what is to be removed"},
		"Deploy the stack in the region, or recycle-bin.yaml: either makes the two rules, for images and snapshots tagged " + ami.IntentTag + "=" + ami.Intent + ". " +
			"A first rule takes up to 30 minutes to be in force. Or set {REQUIRE_RECYCLE_BIN}=false: then what is removed is gone for good.",
		"Recycle Bin rules missing",
	},
	{
		[]string{"no recycle bin rule covers", "has not turned up in the recycle bin"},
		"Give the region two rules of the Recycle Bin, one for images and one for snapshots, that cover what carries the tag " +
			ami.IntentTag + " with the value remove, the one for snapshots no shorter than the one for images. A first rule takes up to " +
			"30 minutes to be in force.",
		"Recycle Bin rules missing",
	},
	{
		[]string{"no such host", "connection refused", "connection reset", "dial tcp", "i/o timeout", "unexpected eof"},
		"AWS could not be reached. Check the way from {network} to the endpoints of this region, and AWS_ENDPOINT_URL if it is set.",
		"AWS not reached",
	},
	{
		// See wire.Explain.
		[]string{"no error code of aws", "not a complete answer", "is not an account id", "not an answer of aws"},
		"No AWS service answers like this. Check what is between: AWS_ENDPOINT_URL, a proxy (HTTPS_PROXY), a firewall. If nothing is, try again later.",
		"Not AWS that answered",
	},
	{
		[]string{"none is listed, but by its description"}, // See confirmGone in pkg/inventory.
		"If the images of this region are gone for good, delete their snapshots, or take the region out with {EXCEPT_REGIONS}.",
		"Images not listed",
	},
}...)

// deniedPermission names the action that an error says is not allowed; empty if it names none.
func deniedPermission(fault string) string {
	for _, pattern := range []*regexp.Regexp{deniedAction, deniedLookup} {
		if m := pattern.FindStringSubmatch(fault); m != nil {
			return m[1]
		}
	}
	if m := deniedOperation.FindStringSubmatch(fault); m != nil {
		service := strings.ToLower(strings.ReplaceAll(m[1], " ", ""))
		return service + ":" + m[2]
	}
	return ""
}

var (
	deniedAction = regexp.MustCompile(`not authorized to perform: ([a-z0-9-]+:[A-Za-z]+)`)
	// deniedLookup is what wire.ExplainLookup writes.
	deniedLookup    = regexp.MustCompile(`\b([a-z0-9]+:[A-Z][A-Za-z]+): (?:UnauthorizedOperation|AccessDenied|AuthorizationError)`)
	deniedOperation = regexp.MustCompile(`operation error ([A-Za-z0-9 ]+): ([A-Za-z]+)`)
)

// The permissions that are missing where the error does not name one.
const (
	toDeregister  = "ec2:DeregisterImage"
	toMark        = "ec2:CreateTags"
	toUnmark      = "ec2:DeleteTags"
	toAsk         = "ec2:CreateImageUsageReport"
	toDelete      = "ec2:DeleteSnapshot"
	whatWasDenied = "what the error says was denied"
)

// regionTodo says what to do about an error that concerns a whole region.
func regionTodo(fault string) string {
	return cmp.Or(regionRemedy(fault).advice, "The next run looks again. If it fails again, begin with the error.")
}

// notAccepted are codes of AWS for credentials that it does not accept, in lower case: in general,
// or in a region that is not enabled.
var notAccepted = []string{"authfailure", "optinrequired", "unrecognizedclient", "invalidclienttokenid", "signaturedoesnotmatch"}

// regionRemedy is the remedy for an error that concerns a whole region; empty if there is none.
func regionRemedy(fault string) remedy {
	lower := strings.ToLower(fault)
	isRefused := slices.ContainsFunc(notAccepted, func(sign string) bool { return strings.Contains(lower, sign) })
	switch {
	case strings.Contains(lower, "no region is left"):
		return remedy{advice: "Name a region in {REGIONS} that {EXCEPT_REGIONS} does not take out.", short: "No region left"}
	case isRefused && strings.Contains(lower, "asking for the account: "):
		return remedy{
			advice: "See whether the credentials are right (aws sts get-caller-identity), and whether the region is enabled for this account.",
			short:  "AWS credentials not accepted",
		}
	case isRefused:
		return remedy{
			advice: "See whether the region is enabled for this account. If it is not, take it out with {EXCEPT_REGIONS}.",
			short:  "Region not enabled",
		}
	case strings.HasSuffix(lower, "time ran out"):
		return remedy{
			advice: "If the time runs out again, raise {EC2_SHARE}, or {split} ({REGIONS}).",
			short:  "Time ran out",
		}
	}
	return remedyFor(fault).of(fault, whatWasDenied)
}

// faultText words an error for a person, on one line and not too long. It leaves out the
// transport's part, and the encoded message of several thousand characters that EC2 adds to a
// denial.
func faultText(fault string) string {
	const longest = 400
	fault, _, _ = strings.Cut(fault, "Encoded authorization failure message")
	fault = deniedOperation.ReplaceAllString(transport.ReplaceAllString(fault, ""), "$2")
	return strings.TrimSpace(plain.Clip(plain.Text(strings.Join(strings.Fields(fault), " ")), longest))
}

var transport = regexp.MustCompile(`https response error StatusCode: \d+, (?:RequestID: [^,]*, )?|api error `)

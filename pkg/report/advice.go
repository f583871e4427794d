package report

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
)

// advice says what a person can do about an error. It is empty if nothing better is known than to read the error. The
// permission is the one that is missing if the error is a denial that does not name it.
func advice(fault, permission string) string {
	return strings.ReplaceAll(remedyFor(fault).advice, "{permission}", cmp.Or(deniedPermission(fault), permission))
}

// inShort says an error in a few words of ASCII.
func inShort(fault string) string {
	short := cmp.Or(remedyFor(fault).short, "A lookup failed")
	return strings.ReplaceAll(short, "{permission}", cmp.Or(deniedPermission(fault), "a permission"))
}

// remedy is what there is to do about the errors that have one of some signs, and the cause in short.
type remedy struct {
	signs  []string
	advice string
	short  string
}

// remedyFor is the first remedy for an error; empty if there is none.
func remedyFor(fault string) remedy {
	lower := strings.ToLower(fault)
	for _, r := range remedies {
		if slices.ContainsFunc(r.signs, func(sign string) bool { return strings.Contains(lower, sign) }) {
			return r
		}
	}
	return remedy{}
}

// remedies are looked through in order; the signs are in lower case. What an error of AWS carries is its code.
var remedies = []remedy{
	{
		[]string{"unauthorizedoperation", "accessdenied", "not authorized to perform", "authorizationerror"},
		"Allow {permission} to the role that the janitor runs with. If it is allowed there, look for a deny in a " +
			"service control policy, a permissions boundary or the policy of a VPC endpoint.",
		"{permission} denied",
	},
	{
		[]string{"authfailure"},
		"AWS Backup or another account owns this. What AWS Backup owns goes when its recovery point is deleted there.",
		"Owned by another account",
	},
	{
		[]string{"requestlimitexceeded", "throttl", "rate exceeded", "slowdown"},
		"AWS throttled the calls. If it does so every night, move the schedule to a quieter hour.",
		"Lookups throttled",
	},
	{
		[]string{"invalidsnapshot.inuse"},
		"Something, most often another image, still uses the snapshot; it can be deleted once that is gone.",
		"Snapshot in use",
	},
	{
		[]string{"deadline exceeded", "time ran out", "time of this run", "the run ended"},
		"If the time runs out again, give the function a longer timeout, or lower MAX_DEREGISTRATIONS.",
		"Time ran out",
	},
	{
		[]string{" without <", ` without "`}, // See lackingAnswerError in pkg/wire.
		"Nothing is removed that depends on this answer. Report it, so that the janitor learns to read it: with the error, the region, the version " +
			"of the janitor, and the answer itself, as docs/answers.md says.",
		"An answer lacks its list",
	},
	{
		[]string{"backed by ebs"}, // An instance store, or no snapshot.
		"Tag those that are to stay ami-janitor:keep=true. The others go only where REQUIRE_RECYCLE_BIN is false, and then for good.",
		"Not restorable",
	},
	{
		[]string{"the recycle bin would hold it for"},
		"Let the rules of the Recycle Bin hold images for as long as RECYCLE_BIN_DAYS says, and snapshots for no less than images; or lower " +
			"RECYCLE_BIN_DAYS.",
		"Recycle Bin rules too short",
	},
	{
		[]string{"recycle bin"},
		"Give the region two rules of the Recycle Bin, one for images and one for snapshots, that cover what carries the tag " +
			"ami-janitor:intent with the value remove, the one for snapshots no shorter than the one for images. A first rule takes up to " +
			"30 minutes to be in force.",
		"Recycle Bin rules missing",
	},
	{
		[]string{"no such host", "connection refused", "connection reset", "dial tcp", "i/o timeout"},
		"AWS could not be reached. Check the way from the function's network to the endpoints of this region.",
		"AWS not reached",
	},
}

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
	deniedAction    = regexp.MustCompile(`not authorized to perform: ([a-z0-9-]+:[A-Za-z]+)`)
	deniedLookup    = regexp.MustCompile(`\b([a-z0-9]+:[A-Z][A-Za-z]+): (?:UnauthorizedOperation|AccessDenied|AuthorizationError)`) // See wire.ExplainLookup.
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

// regionAdvice is advice on an error that concerns a whole region.
func regionAdvice(fault string) string {
	lower := strings.ToLower(fault)
	for _, sign := range []string{"authfailure", "optinrequired", "unrecognizedclient", "invalidclienttokenid"} {
		if strings.Contains(lower, sign) {
			return "See whether the region is enabled for this account. If it is not, take it out with EXCEPT_REGIONS."
		}
	}
	return advice(fault, whatWasDenied)
}

// faultText words an error for a person, on one line and not too long. It leaves out what says nothing at breakfast: the
// transport's part, and the encoded message of several thousand characters that EC2 adds to a denial.
func faultText(fault string) string {
	const longest = 400
	fault, _, _ = strings.Cut(fault, "Encoded authorization failure message")
	fault = deniedOperation.ReplaceAllString(transport.ReplaceAllString(fault, ""), "$2")
	return strings.TrimSpace(clip(neutralFault(strings.Join(strings.Fields(fault), " ")), longest))
}

var transport = regexp.MustCompile(`https response error StatusCode: \d+, (?:RequestID: [^,]*, )?|api error `)

// Package config is what an operator sets, by environment variables or by flags of the same names.
package config

import (
	"cmp"
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
	"github.com/ami-janitor/ami-janitor/pkg/usage"
)

// Config is the configuration of runs. Its zero value removes nothing.
type Config struct {
	Policy retention.Policy // What it keeps by list is left to the run, which reads KeepLists.

	UsageSources     []string
	TemplateVersions int // How many of a launch template's newest versions are use; 0 for all.
	KeepLists        KeepLists
	KeepListMaxAge   retention.Days      // How old each list may be; 0 for any age.
	StackTemplates   bool                // Whether one of the sources reads templates.
	TextObjects      []usage.TextObjects // Where one of the sources looks.
	OwnerTag         string
	EC2Share         float64
	Records          string // An s3:// URL, or a directory; empty for neither.

	Organization Organization // For runs over an organization.

	Regions       Regions
	ExceptRegions []string
	SnapshotPrice float64 // In US dollars for a GB-month.

	// The rest is for the Lambda function.
	DryRun         bool
	TopicARN       string
	ChatTopicARN   string
	OwnersTopicARN string
	NotifyOn       NotifyOn
	StackName      string
	ReportPages    bool
}

// variable is one variable of a configuration. Its help is what the command line and
// docs/configuration.md show, each with its own words in the place of braces (digest.Words).
type variable struct {
	name, initial string
	value         encoding.TextUnmarshaler // Where it goes, and how it is read.
	help          string
}

// variables are those that the function and the command line read, in the order in which people are
// likely to need them. They are the one source of defaults: the template has the same.
func (c *Config) variables() []variable {
	return []variable{
		{"STALE_AFTER", "180d", (*limit)(&c.Policy.StaleAfter), "idle longer than this is stale; never below the built-in floor of 7 days"},
		{"NEVER_LAUNCHED_AFTER", "", (*limit)(&c.Policy.NeverLaunchedAfter), "idle longer than this is stale for an image with no launch on record; as {STALE_AFTER} if not set"},
		{"ALLOW_SHORTER", "false", (*flag)(&c.Policy.AllowShorter), "let the tag ami-janitor:stale-after make an image's idle time shorter than this policy's"},
		{"KEEP_NEWEST", "1", (*count)(&c.Policy.KeepNewest), "newest usable images of each family that are always kept, counted before anything is removed"},
		{"FAMILY_TAG", "", (*text)(&c.Policy.FamilyTag), "tag whose value names the family; else the name decides"},
		{"KEEP_TAGS", "", &c.Policy.KeepTags, "further tags that keep, as key or key=value, comma-separated"},
		{"ONLY_TAGS", "", &c.Policy.OnlyTags, "judge only images with these tags, as key or key=value, comma-separated: one value of each key"},
		{"NAMES", "", &c.Policy.Names, "judge only images with these names: globs, comma-separated; !glob takes out"},
		{"MAX_DEREGISTRATIONS", "100", (*count)(&c.Policy.MaxDeregistrations), "the most images that a run removes, over all regions; as many again may be announced"},
		{"DELETE_SNAPSHOTS", "true", (*flag)(&c.Policy.DeleteSnapshots), "delete the snapshots of removed images"},
		{"USAGE_SOURCES", "all", (*sources)(&c.UsageSources), "where use is looked up, comma-separated: names of sources, or all, which may add elastic-beanstalk"},
		{"LAUNCH_TEMPLATE_VERSIONS", "all", (*versions)(&c.TemplateVersions), "versions of a launch template that count as use: all, or a number for the newest, the default and those that groups and fleets pin"},
		{"CLOUDFORMATION_TEMPLATES", "false", (*flag)(&c.StackTemplates), "search the templates of CloudFormation's stacks for image ids, too: one call for each stack, two a second"},
		{"TEXT_OBJECTS", "", (*textObjects)(&c.TextObjects), "text in S3 that names images, comma-separated: s3://bucket/prefix or s3://bucket/prefix/*.tfstate"},
		{"KEEP_LIST", "", &c.KeepLists, "lists of image ids and globs for names that are kept, comma-separated: ssm:NAME, the ARN of an SSM parameter, s3://bucket/key, s3://bucket/prefix/ or a file; if one cannot be read, nothing is removed"},
		{"KEEP_LIST_MAX_AGE", "", (*maxAge)(&c.KeepListMaxAge), "how old each keep list may be; an older one counts as unreadable"},
		{"SHARED_IMAGES", "keep", (*sharedImages)(&c.Policy), "public and shared images: keep, report, which judges them by image usage reports, or organization, which takes an organization's run and its censuses, too"},
		{"IMAGE_BUILDER_IMAGES", "keep", (*judged)(&c.Policy.JudgeImageBuilder), "images made by EC2 Image Builder: keep, or judge like the others"},
		{"MARKETPLACE_IMAGES", "keep", (*judged)(&c.Policy.JudgeMarketplace), "own images that carry the product code of an AWS Marketplace product, neither public nor shared: keep, or judge like the others"},
		{"FAILED_IMAGES", "keep", (*judged)(&c.Policy.JudgeFailed), "images that have failed, from 7 days after {NEVER_LAUNCHED_AFTER} has passed since their creation: keep, or judge like the others; of their snapshots only those go that were made for them"},
		{"GRACE", "0d", &c.Policy.Grace, "announce a removal for so long before it is carried out; 0d removes at once"},
		{"GRACE_ACTION", "announce", &c.Policy.GraceAction, "what happens to an image meanwhile: announce, deprecate or disable"},
		{"OWNER_TAG", "", (*text)(&c.OwnerTag), "tag whose value says who owns an image; announcements are grouped by it"},
		{"POLICY_NAME", "cli", (*policyName)(&c.Policy.Name), "name of this policy, which announcements carry: a run takes back and carries out its own policy's alone"},
		{"RECYCLE_BIN_DAYS", "14", (*binDays)(&c.Policy.RecycleBinDays), "days for which the Recycle Bin has to hold what is removed; 0 for any time"},
		{"REQUIRE_RECYCLE_BIN", "true", (*flag)(&c.Policy.RequireRecycleBin), "remove only what the Recycle Bin takes in, so that it can be restored"},
		{"ORPHANED_SNAPSHOTS", "report", (*orphans)(&c.Policy), "snapshots whose image is gone: report, ignore, or remove, which deletes those that have a second sign of that, and that nothing needs, as far as it can see"},
		{"ORPHANED_AFTER", "90d", (*orphanedAfter)(&c.Policy.OrphanedAfter), "how long a run must have seen a snapshot without its image before {ORPHANED_SNAPSHOTS}=remove announces it, 30d or more"},
		{"MAX_ORPHANED_SNAPSHOTS", "20", (*count)(&c.Policy.MaxOrphans), "the most such snapshots that a run deletes, over all regions; as many again may be announced"},
		{"BUNDLES", "keep", (*bundles)(&c.Policy.DeleteBundles), "what instance-store images leave in S3: keep, or delete, which puts delete markers in front of the manifest and the parts that it names, as ec2-delete-bundle deletes them; such an image takes {REQUIRE_RECYCLE_BIN}=false"},
		{"BUNDLE_BUCKETS", "", (*buckets)(&c.Policy.BundleBuckets), "buckets in which {BUNDLES}=delete may do that, comma-separated; each is versioned"},
		{"EC2_SHARE", "0.5", (*share)(&c.EC2Share), "the most of EC2's and Parameter Store's published request rates that a run takes, above 0 and up to 1"},
		{"RECORDS", "", (*records)(&c.Records), "where run records and the journal are kept: s3://bucket/prefix or a directory; if not set, sweep keeps them in the user's state directory, and the function nowhere"},
		{"REGIONS", "", &c.Regions, "regions to judge, comma-separated, or all; if not set, {own}"},
		{"EXCEPT_REGIONS", "", (*regions)(&c.ExceptRegions), "regions to leave out, comma-separated"},
		{"SNAPSHOT_PRICE", "0.05", (*price)(&c.SnapshotPrice), "price of snapshot storage, in US dollars per GB-month"},
	}
}

// functionVariables are those that only the function reads.
func (c *Config) functionVariables() []variable {
	return []variable{
		{"DRY_RUN", "true", (*flag)(&c.DryRun), "plan and report only"},
		{"TOPIC_ARN", "", (*topicARN)(&c.TopicARN), "SNS topic of the digest for e-mail"},
		{"CHAT_TOPIC_ARN", "", (*topicARN)(&c.ChatTopicARN), "SNS topic of the digest for Slack"},
		{"OWNERS_TOPIC_ARN", "", (*topicARN)(&c.OwnersTopicARN), "SNS topic that tells each owner, by {OWNER_TAG}, what is announced or removed of theirs, whatever {NOTIFY_ON} says"},
		{"NOTIFY_ON", "changes", &c.NotifyOn, "when to send the digest: always, changes or failures; the first run, and one that lacked a proof, are always told of"},
		{"STACK_NAME", "", (*policyName)(&c.StackName), "stack that deployed the function; the digest's commands name it, and its parameters"},
		{"REPORT_PAGES", "false", (*flag)(&c.ReportPages), "link to the page that another function draws of each run"},
	}
}

// organizationVariables are those that only a run over an organization reads.
func (c *Config) organizationVariables() []variable {
	o := &c.Organization
	return []variable{
		{"ACCOUNTS", "all", &o.Accounts, "accounts whose images are judged, comma-separated: ids of accounts and organizational units, or all; every account is counted"},
		{"EXCEPT_ACCOUNTS", "", (*accounts)(&o.Except), "accounts whose images are not judged, comma-separated: ids of accounts and organizational units"},
		{"MAX_ORG_DEREGISTRATIONS", "100", (*count)(&o.MaxDeregistrations), "the most images that a run removes, over all accounts; as many again may be announced; 10 until a run has swept"},
		{"SEEN_NIGHTS", "", (*seenNights)(&c.Policy.SeenNights), "nights for which all accounts that may launch a shared image must have been counted without a gap, 30 or more; if not set, as many days as the image's idle limit"},
		{"NAMESPACE", "default", (*namespace)(&o.Namespace), "part of the names of the roles in the accounts: ami-janitor-default-read, -sweep and -undo"},
		{"EXTERNAL_ID", "", (*text)(&o.ExternalID), "external id that the roles in the accounts demand"},
		{"STOP_PARAMETER", "", (*text)(&o.StopParameter), "SSM parameter that stops a run as soon as its value is anything but run; read before each chunk of changes"},
	}
}

// Setting describes one variable of Config.
type Setting struct {
	Variable     string // For example "STALE_AFTER".
	Default      string
	Help         string // For who sets the variable.
	FlagHelp     string // For who sets the flag.
	FunctionOnly bool   // It speaks to the Lambda function, not to the command line.
	Boolean      bool   // It is true or false.
}

// Settings returns every variable of Config.
func Settings() []Setting {
	var c Config
	var settings []Setting
	for _, v := range c.variables() {
		settings = append(settings, v.setting(false))
	}
	for _, v := range c.functionVariables() {
		settings = append(settings, v.setting(true))
	}
	return settings
}

// OrganizationSettings returns the further variables of runs over an organization.
func OrganizationSettings() []Setting {
	var c Config
	var settings []Setting
	for _, v := range c.organizationVariables() {
		settings = append(settings, v.setting(false))
	}
	return settings
}

func (v variable) setting(functionOnly bool) Setting {
	_, isFlag := v.value.(*flag)
	return Setting{
		Variable:     v.name,
		Default:      v.initial,
		Help:         digest.Words(record.Reader{}, v.help),
		FlagHelp:     digest.Words(record.Reader{CommandLine: true}, v.help),
		FunctionOnly: functionOnly,
		Boolean:      isFlag,
	}
}

// Fault is what is wrong with the value of a variable.
type Fault struct {
	Variable string
	Err      error
}

func (f *Fault) Error() string { return f.Variable + ": " + f.Says(record.Reader{}) }

// Says is what is wrong, with the reader's names of other settings.
func (f *Fault) Says(reader record.Reader) string { return digest.Words(reader, f.Err.Error()) }

// Unwrap returns what is wrong with the value.
func (f *Fault) Unwrap() error { return f.Err }

// Parse reads the configuration from a lookup function such as os.Getenv; a blank value is one that
// is not set. It returns all faults at once, joined, each a *Fault.
func Parse(lookup func(variable string) string) (Config, error) {
	var c Config
	return c, c.read(lookup, slices.Concat(c.variables(), c.functionVariables()))
}

// ParseOrganization is Parse for runs over an organization.
func ParseOrganization(lookup func(variable string) string) (Config, error) {
	var c Config
	return c, c.read(lookup, slices.Concat(c.variables(), c.functionVariables(), c.organizationVariables()))
}

func (c *Config) read(lookup func(variable string) string, variables []variable) error {
	var faults []error
	for _, v := range variables {
		text := cmp.Or(strings.TrimSpace(lookup(v.name)), v.initial)
		if text == "" {
			continue
		}
		if err := v.value.UnmarshalText([]byte(text)); err != nil {
			faults = append(faults, &Fault{v.name, err})
		}
	}
	if strings.TrimSpace(lookup("NEVER_LAUNCHED_AFTER")) == "" {
		c.Policy.NeverLaunchedAfter = c.Policy.StaleAfter
	}
	if why := c.refusesBundles(); why != "" {
		faults = append(faults, &Fault{"BUNDLES", errors.New(why)})
	}
	if why := c.refusesOrphans(); why != "" {
		faults = append(faults, &Fault{"ORPHANED_SNAPSHOTS", errors.New(why)})
	}
	return errors.Join(faults...)
}

// FirstRegion returns the first region that the configuration names; empty if it names none.
func (c Config) FirstRegion() string {
	if len(c.Regions.Names) == 0 {
		return ""
	}
	return c.Regions.Names[0]
}

// LocalPaths returns the variables that name files of the machine on which the configuration was
// made.
func (c Config) LocalPaths() []string {
	var variables []string
	if slices.ContainsFunc(c.KeepLists, Location.isFile) {
		variables = append(variables, "KEEP_LIST")
	}
	if c.Records != "" && !strings.HasPrefix(c.Records, "s3://") {
		variables = append(variables, "RECORDS")
	}
	return variables
}

// IsIdle reports whether a source of evidence is neither on nor off, because another setting gives
// it nothing to look at, or because it is off by default and nobody has named it.
func (c Config) IsIdle(source string) bool {
	switch source {
	case usage.S3TextSource:
		return len(c.TextObjects) == 0
	case usage.ImageBuilderSource:
		return !c.Policy.JudgeImageBuilder
	default:
		isOptional := slices.Contains(usage.Sources(), source) && !slices.Contains(usage.DefaultSources(), source)
		return isOptional && !slices.Contains(c.UsageSources, source)
	}
}

// SourcesOff returns the sources of evidence that are switched off.
func (c Config) SourcesOff() []string {
	return slices.DeleteFunc(usage.Sources(), func(name string) bool { return slices.Contains(c.UsageSources, name) || c.IsIdle(name) })
}

// SourcesOn returns the sources of evidence that are asked.
func (c Config) SourcesOn() []string {
	return slices.DeleteFunc(slices.Clone(c.UsageSources), c.IsIdle)
}

// Describe returns what the run record says of the configuration: every variable that the command
// line reads, too, by its name in camel case.
func (c Config) Describe() map[string]string {
	described := map[string]string{}
	for _, v := range c.variables() {
		described[camelCase(v.name)] = fmt.Sprint(reflect.ValueOf(v.value).Elem())
	}
	return described
}

// Changed are the settings of the policy that differ from the defaults. What is the same in every
// run of a stack is left out: its name, and where its records are.
func (c Config) Changed() []record.Setting {
	otherwise, _ := Parse(func(string) string { return "" })
	otherwise.Policy.NeverLaunchedAfter = c.Policy.StaleAfter
	changed, initial := []record.Setting{}, otherwise.Describe()
	for _, v := range c.variables() {
		value := fmt.Sprint(reflect.ValueOf(v.value).Elem())
		if value != initial[camelCase(v.name)] && v.name != "POLICY_NAME" && v.name != "RECORDS" {
			changed = append(changed, record.Setting{Variable: v.name, Value: value})
		}
	}
	return changed
}

func camelCase(variable string) string {
	words := strings.Split(strings.ToLower(variable), "_")
	for i := range words[1:] {
		words[i+1] = strings.ToUpper(words[i+1][:1]) + words[i+1][1:]
	}
	return strings.Join(words, "")
}

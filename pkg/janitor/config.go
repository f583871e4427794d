package janitor

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/caarlos0/env/v11"

	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// Config is what an operator sets, by environment variables or by flags of the same names. Its tags
// are the one source of defaults: the template has the same. The help of each is what the command
// line and docs/configuration.md show, each with its own words in the place of braces
// (record.Reader.Words).
type Config struct {
	StaleAfter         limit           `env:"STALE_AFTER" envDefault:"180d" help:"idle longer than this is stale; never below the built-in floor of 7 days"`
	NeverLaunchedAfter limit           `env:"NEVER_LAUNCHED_AFTER" help:"idle longer than this is stale for an image with no launch on record; as {STALE_AFTER} if not set"`
	AllowShorter       flag            `env:"ALLOW_SHORTER" envDefault:"false" help:"let the tag ami-janitor:stale-after make an image's idle time shorter than this policy's"`
	KeepNewest         count           `env:"KEEP_NEWEST" envDefault:"1" help:"newest usable images of each family that are always kept, counted before anything is removed"`
	FamilyTag          string          `env:"FAMILY_TAG" help:"tag whose value names the family; else the name decides"`
	KeepTags           retention.Tags  `env:"KEEP_TAGS" help:"further tags that keep, as key or key=value, comma-separated"`
	OnlyTags           retention.Tags  `env:"ONLY_TAGS" help:"judge only images with these tags, as key or key=value, comma-separated: one value of each key"`
	Names              retention.Names `env:"NAMES" help:"judge only images with these names: globs, comma-separated; !glob takes out"`
	MaxDeregistrations count           `env:"MAX_DEREGISTRATIONS" envDefault:"100" help:"the most images that a run removes, over all regions; as many again may be announced"`
	DeleteSnapshots    flag            `env:"DELETE_SNAPSHOTS" envDefault:"true" help:"delete the snapshots of removed images"`
	UsageSources       sources         `env:"USAGE_SOURCES" envDefault:"all" help:"where use is looked up, comma-separated, or all"`

	LaunchTemplateVersions versions              `env:"LAUNCH_TEMPLATE_VERSIONS" envDefault:"all" help:"versions of a launch template that count as use: all, or a number for the newest, the default and those that groups and fleets pin"`
	KeepList               keepListLocation      `env:"KEEP_LIST" help:"list of image ids and globs for names that are kept: ssm:NAME, the ARN of an SSM parameter, or a file; if it cannot be read, nothing is removed"`
	SharedImages           sharedImages          `env:"SHARED_IMAGES" envDefault:"keep" help:"public and shared images: keep, or report, which judges them by image usage reports"`
	ImageBuilderImages     imageBuilderImages    `env:"IMAGE_BUILDER_IMAGES" envDefault:"keep" help:"images made by EC2 Image Builder: keep, or judge like the others"`
	Grace                  retention.Days        `env:"GRACE" envDefault:"0d" help:"announce a removal for so long before it is carried out; 0d removes at once"`
	GraceAction            retention.GraceAction `env:"GRACE_ACTION" envDefault:"announce" help:"what happens to an image meanwhile: announce, deprecate or disable"`
	OwnerTag               string                `env:"OWNER_TAG" help:"tag whose value says who owns an image; announcements are grouped by it"`
	PolicyName             policyName            `env:"POLICY_NAME" envDefault:"cli" help:"name of this policy, which announcements carry: a run takes back and carries out its own policy's alone"`

	RecycleBinDays    binDays         `env:"RECYCLE_BIN_DAYS" envDefault:"14" help:"days for which the Recycle Bin has to hold what is removed; 0 for any time"`
	RequireRecycleBin flag            `env:"REQUIRE_RECYCLE_BIN" envDefault:"true" help:"remove only what the Recycle Bin takes in, so that it can be restored"`
	OrphanedSnapshots orphans         `env:"ORPHANED_SNAPSHOTS" envDefault:"report" help:"snapshots whose image is gone: report or ignore; they are never deleted"`
	EC2Share          share           `env:"EC2_SHARE" envDefault:"0.5" help:"the most of EC2's and Parameter Store's published request rates that a run takes, above 0 and up to 1"`
	Records           recordsLocation `env:"RECORDS" help:"where run records and the journal are kept: s3://bucket/prefix or a directory; if not set, sweep keeps them in the user's state directory, and the function nowhere"`

	Regions       regionsOrAll `env:"REGIONS" help:"regions to judge, comma-separated, or all; if not set, {own}"`
	ExceptRegions regions      `env:"EXCEPT_REGIONS" help:"regions to leave out, comma-separated"`
	SnapshotPrice price        `env:"SNAPSHOT_PRICE" envDefault:"0.05" help:"price of snapshot storage, in US dollars per GB-month"`

	DryRun       flag     `env:"DRY_RUN" envDefault:"true" for:"function" help:"plan and report only"`
	TopicARN     topicARN `env:"TOPIC_ARN" for:"function" help:"SNS topic of the digest for e-mail"`
	ChatTopicARN topicARN `env:"CHAT_TOPIC_ARN" for:"function" help:"SNS topic of the digest for Slack"`
	NotifyOn     NotifyOn `env:"NOTIFY_ON" envDefault:"changes" for:"function" help:"when to send the digest: always, changes or failures; the first run, and one that lacked a proof, are always told of"`

	StackName policyName `env:"STACK_NAME" for:"function" help:"stack that deployed the function; the digest's commands name it, and its parameters"`
}

// Setting describes one variable of Config.
type Setting struct {
	Variable     string // For example "STALE_AFTER".
	Default      string
	Help         string // For who sets the variable.
	FlagHelp     string // For who sets the flag.
	FunctionOnly bool   // It speaks to the Lambda function, not to the command line.
}

// Settings returns every variable of Config.
func Settings() []Setting {
	var settings []Setting
	for _, field := range reflect.VisibleFields(reflect.TypeFor[Config]()) {
		settings = append(settings, Setting{
			Variable:     field.Tag.Get("env"),
			Default:      field.Tag.Get("envDefault"),
			Help:         digest.Words(record.Reader{}, field.Tag.Get("help")),
			FlagHelp:     digest.Words(record.Reader{CommandLine: true}, field.Tag.Get("help")),
			FunctionOnly: field.Tag.Get("for") == "function",
		})
	}
	return settings
}

// Fault is what is wrong with the value of a variable.
type Fault struct {
	Variable string
	Err      error
}

func (f *Fault) Error() string { return f.Variable + ": " + f.Err.Error() }

// Unwrap returns what is wrong with the value.
func (f *Fault) Unwrap() error { return f.Err }

// ParseConfig reads the configuration from a lookup function such as os.Getenv; a blank value is one that is not set. It
// returns all faults at once, joined, each a *Fault.
func ParseConfig(lookup func(variable string) string) (Config, error) {
	values, variables := map[string]string{}, map[string]string{}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[Config]()) {
		variable := field.Tag.Get("env")
		values[variable], variables[field.Name] = strings.TrimSpace(lookup(variable)), variable
	}
	var config Config
	err := env.ParseWithOptions(&config, env.Options{Environment: values})
	if values["NEVER_LAUNCHED_AFTER"] == "" {
		config.NeverLaunchedAfter = config.StaleAfter
	}
	return config, byVariable(err, variables)
}

// byVariable names the variable in each fault, where the parser names the field.
func byVariable(err error, variables map[string]string) error {
	var all env.AggregateError
	if !errors.As(err, &all) {
		return err
	}
	faults := make([]error, len(all.Errors))
	for i, err := range all.Errors {
		faults[i] = err
		if fault, ok := errors.AsType[env.ParseError](err); ok {
			faults[i] = &Fault{variables[fault.Name], fault.Err}
		}
	}
	return errors.Join(faults...)
}

// Policy returns the part of the configuration that judges.
func (c Config) Policy() retention.Policy {
	return retention.Policy{
		Name:               string(c.PolicyName),
		StaleAfter:         retention.Days(c.StaleAfter),
		AllowShorter:       bool(c.AllowShorter),
		NeverLaunchedAfter: retention.Days(c.NeverLaunchedAfter),
		KeepNewest:         int(c.KeepNewest),
		FamilyTag:          c.FamilyTag,
		KeepTags:           c.KeepTags,
		OnlyTags:           c.OnlyTags,
		Names:              c.Names,
		MaxDeregistrations: int(c.MaxDeregistrations),
		DeleteSnapshots:    bool(c.DeleteSnapshots),
		JudgeShared:        bool(c.SharedImages),
		JudgeImageBuilder:  bool(c.ImageBuilderImages),
		Grace:              c.Grace,
		GraceAction:        c.GraceAction,
		RequireRecycleBin:  bool(c.RequireRecycleBin),
		RecycleBinDays:     int(c.RecycleBinDays),
		ReportOrphans:      bool(c.OrphanedSnapshots),
	}
}

// FirstRegion returns the first region that the configuration names; empty if it names none.
func (c Config) FirstRegion() string {
	if len(c.Regions.regions) == 0 {
		return ""
	}
	return c.Regions.regions[0]
}

// LocalPaths returns the variables that name files of the machine on which the configuration was made.
func (c Config) LocalPaths() []string {
	var variables []string
	if _, _, isParameter := c.KeepList.parameter(); c.KeepList != "" && !isParameter {
		variables = append(variables, "KEEP_LIST")
	}
	if c.Records != "" && !strings.HasPrefix(string(c.Records), "s3://") {
		variables = append(variables, "RECORDS")
	}
	return variables
}

// describe returns what the run record says of the configuration: every variable that speaks to the command line, too, by
// its name in camel case.
func (c Config) describe() map[string]string {
	described := map[string]string{}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[Config]()) {
		if field.Tag.Get("for") != "function" {
			described[camelCase(field.Tag.Get("env"))] = fmt.Sprint(reflect.ValueOf(c).FieldByIndex(field.Index))
		}
	}
	return described
}

func camelCase(variable string) string {
	words := strings.Split(strings.ToLower(variable), "_")
	for i := range words[1:] {
		words[i+1] = strings.ToUpper(words[i+1][:1]) + words[i+1][1:]
	}
	return strings.Join(words, "")
}

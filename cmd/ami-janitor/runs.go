package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/config"
	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/janitor"
	"github.com/ami-janitor/ami-janitor/pkg/pace"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// settings are the flags of the same names as the variables of the configuration, the function
// whose variables take the place of those of the environment, and the real account.
type settings struct {
	flags           *pflag.FlagSet
	lookup          func(string) string
	stack, function *string
	profile, region *string

	// parseAs is config.Parse if it is nil.
	parseAs func(lookup func(string) string) (config.Config, error)
}

// addSettings adds the flags of all settings, and those that name a function.
func addSettings(command *cobra.Command, lookup func(string) string) settings {
	return addFunction(command, addSome(command, lookup, func(string) bool { return true }))
}

// addFunction adds the flags that name the function whose settings are taken.
func addFunction(command *cobra.Command, s settings) settings {
	s.stack = command.Flags().String("stack", "", "take the policy of the function that this stack has deployed, given by name or ARN; other flags win")
	s.function = command.Flags().String("function", "", "take the policy of this function, given by name or ARN; other flags win")
	command.MarkFlagsMutuallyExclusive("stack", "function")
	group(command.Flag("stack"), flagsWhere)
	group(command.Flag("function"), flagsWhere)
	return s
}

// addSome adds the flags of some settings.
func addSome(command *cobra.Command, lookup func(string) string, wanted func(variable string) bool) settings {
	flags := command.Flags()
	for _, setting := range config.Settings() {
		if setting.FunctionOnly || !wanted(setting.Variable) {
			continue
		}
		name := flagName(setting.Variable)
		if setting.Boolean {
			value := onOff(setting.Default)
			flags.VarPF(&value, name, "", setting.FlagHelp).NoOptDefVal = "true"
		} else {
			flags.String(name, setting.Default, setting.FlagHelp)
		}
		group(flags.Lookup(name), groupOf(setting.Variable))
	}
	return settings{flags: flags, lookup: lookup, stack: new(string), function: new(string), profile: new(string), region: new(string)}
}

// addReal is addSettings for commands that work on the real account.
func addReal(command *cobra.Command, lookup func(string) string) settings {
	profile, region := addAccount(command)
	s := addSettings(command, lookup)
	s.profile, s.region = profile, region
	return s
}

// addAccount adds the flags that say which account is the real one, and where in it to look.
func addAccount(command *cobra.Command) (profile, region *string) {
	flags := command.Flags()
	profile = flags.String("profile", "", "profile of the AWS configuration, instead of AWS_PROFILE")
	region = flags.String("region", "", "region, instead of AWS_REGION; with --stack, that of the stack; --regions takes several")
	group(flags.Lookup("profile"), flagsWhere)
	group(flags.Lookup("region"), flagsWhere)
	return profile, region
}

// loadAWS reads the AWS configuration. A test in fake time has an account in the place of sockets.
var loadAWS = awsconfig.LoadDefaultConfig

var regionName = regexp.MustCompile(`^[a-z0-9-]+$`)

// awsConfig is the AWS configuration of the account that the flags name, or else the default one.
func (s settings) awsConfig(ctx context.Context) (aws.Config, error) {
	var options []func(*awsconfig.LoadOptions) error
	if *s.region != "" {
		if !regionName.MatchString(*s.region) {
			return aws.Config{}, fmt.Errorf("--region: %q is no region such as eu-west-1; --regions takes several", *s.region)
		}
		options = append(options, awsconfig.WithRegion(*s.region))
	}
	if *s.profile != "" {
		options = append(options, awsconfig.WithSharedConfigProfile(*s.profile))
	}
	account, err := loadAWS(ctx, options...)
	if missing, ok := errors.AsType[awsconfig.SharedConfigProfileNotExistError](err); ok {
		named := "AWS_PROFILE"
		if *s.profile != "" {
			named = "--profile"
		}
		return account, fmt.Errorf("%s: the AWS configuration has no profile %q; aws configure list-profiles lists those that it has", named, missing.Profile)
	}
	if err != nil {
		return account, fmt.Errorf("the AWS configuration: %w", err)
	}
	return account, nil
}

func flagName(variable string) string { return strings.TrimPrefix(record.Flag(variable), "--") }

// functionOnly are the variables that speak to the function alone. DRY_RUN is one: a command says
// itself whether it acts.
var functionOnly = func() map[string]bool {
	variables := map[string]bool{}
	for _, setting := range config.Settings() {
		variables[setting.Variable] = setting.FunctionOnly
	}
	return variables
}()

// policy is what a command judges by.
type policy struct {
	config.Config
	reader record.Reader
	from   *deployed // The function whose policy it is, but for the flags; nil if there is none.
}

// parse returns the policy: a flag wins over its variable, and what speaks to the function alone is
// not read. The variables are those of the function, if one is named, which is looked for with the
// AWS configuration; from then on that is in the function's region. It says whose policy it is.
func (s settings) parse(ctx context.Context, account *aws.Config, std streams) (policy, error) {
	p := policy{reader: record.Reader{CommandLine: true, Stack: *s.stack, Function: *s.function}}
	lookup := s.lookup
	if *s.stack+*s.function != "" {
		watched := &printer{streams: std}
		end := watched.begin(ctx, "Asking for the policy of the function")
		from, err := findDeployed(ctx, *account, *s.stack, *s.function)
		end()
		if err != nil {
			return p, err
		}
		p.from, account.Region = from, from.region
		lookup = func(variable string) string { return from.variables[variable] }
	}
	parse := s.parseAs
	if parse == nil {
		parse = config.Parse
	}
	var err error
	p.Config, err = parse(func(variable string) string {
		switch {
		case functionOnly[variable]:
			return ""
		case s.isGiven(variable):
			return s.flags.Lookup(flagName(variable)).Value.String()
		case variable == "REGIONS" && p.from == nil && s.region != nil && *s.region != "":
			return *s.region
		default:
			return lookup(variable)
		}
	})
	if err := errors.Join(s.named(err, p.from), s.elsewhere(p)); err != nil {
		return p, errors.New(strings.ReplaceAll(err.Error(), "\n", "\nami-janitor: "))
	}
	s.announce(p.from, std)
	return p, nil
}

// isGiven reports whether the flag of a variable was given.
func (s settings) isGiven(variable string) bool {
	flag := s.flags.Lookup(flagName(variable))
	return flag != nil && flag.Changed
}

// named names in each fault what a person has set: the flag, the parameter of the stack, or the
// variable.
func (s settings) named(err error, from *deployed) error {
	joined, ok := errors.AsType[interface {
		error
		Unwrap() []error
	}](err)
	if !ok {
		return err
	}
	faults := slices.Clone(joined.Unwrap())
	for i, err := range faults {
		fault, ok := errors.AsType[*config.Fault](err)
		switch {
		case ok && s.isGiven(fault.Variable):
			faults[i] = fmt.Errorf("%s: %s", record.Flag(fault.Variable), fault.Says(record.Reader{CommandLine: true}))
		case ok && from != nil:
			faults[i] = fmt.Errorf("%s of %s: %s", from.setting(fault.Variable), from, fault.Says(record.Reader{Stack: from.stack}))
		}
	}
	return errors.Join(faults...)
}

// elsewhere is an error if a function's settings name files, which are not on this machine.
func (s settings) elsewhere(p policy) error {
	if p.from == nil {
		return nil
	}
	var faults []error
	for _, variable := range p.LocalPaths() {
		if !s.isGiven(variable) {
			faults = append(faults, fmt.Errorf("%s of %s names a file of the function; give %s", p.from.setting(variable), p.from, record.Flag(variable)))
		}
	}
	return errors.Join(faults...)
}

// announce says whose policy a command takes, and what else it goes by.
func (s settings) announce(from *deployed, std streams) {
	if from == nil {
		return
	}
	var own []string
	for _, setting := range config.Settings() {
		if s.isGiven(setting.Variable) && !setting.FunctionOnly {
			own = append(own, record.Flag(setting.Variable))
		}
	}
	words := "the policy is that of " + from.String()
	if len(own) > 0 {
		words += ", except " + strings.Join(own, ", ")
	}
	std.say("%s", words)
	if unknown := from.unknown(); len(unknown) > 0 {
		std.say("this version, %s, does not know the function's %s; a function of another version may judge differently",
			version, strings.Join(unknown, ", "))
	}
}

func planCommand(std streams, lookup func(string) string) *cobra.Command {
	command := &cobra.Command{
		Use:   "plan",
		Short: "Show what a run would do to the real account",
		Long: `Plans a run on the real account, and changes nothing. With --organization it
starts the hub's own state machine, dry, waits for it, and prints what it tells.
That does what a dry night does: it counts and plans all accounts, keeps the
counts and the record in the hub's bucket, and sends the digests. It changes
nothing in any account. Ctrl-C ends only the waiting.`,
		Example: examples(
			"plan --profile prod --region eu-west-1",
			"plan --stack ami-janitor    # by the policy of a stack",
			"plan --stale-after 90d --output json",
			"plan --exit-code            # status 5: there is something to do",
			"plan --organization --stack hub   # by the hub of an organization",
		),
		Args: cobra.NoArgs,
	}
	output, view := addRunOutput(command, std), addView(command)
	complete := addComplete(command)
	exitCode := command.Flags().Bool("exit-code", false, "end with status 5 if there is something to do")
	out := command.Flags().String("out", "", "file for the plan, which sweep FILE carries out within seven days once people have approved it")
	settings := addReal(command, lookup)
	hub := addHub(command)
	command.RunE = func(command *cobra.Command, _ []string) error {
		if err := hub.check(command.Flags()); err != nil {
			return err
		}
		if *hub.organization {
			printer := output.printer(std)
			printer.tellsChanges = *exitCode
			return planOrganization(command.Context(), hub, settings, printer)
		}
		j, _, err := realJanitor(command.Context(), settings, std)
		if err != nil {
			return err
		}
		printer, err := output.viewed(std, view, j.Config)
		if err != nil {
			return err
		}
		printer.tellsChanges, j.Complete = *exitCode, *complete
		var approved retention.Approved
		j.Planned = func(plans []retention.Plan) { approved = retention.Approve(plans) }
		result := carryOut(command.Context(), j, true, printer)
		if *out != "" && approved.Account != "" {
			result = cmp.Or(savePlan(command.Context(), j, approved, *out, std), result)
		}
		return result
	}
	return command
}

// addComplete adds the flag that has every candidate looked up.
func addComplete(command *cobra.Command) *bool {
	return command.Flags().Bool("complete", false, "look up every image that looks stale, and not only as many as a run may remove")
}

func sweepCommand(std streams, lookup func(string) string) *cobra.Command {
	command := &cobra.Command{
		Use:   "sweep [FILE]",
		Short: "Plan, ask, and remove images and snapshots",
		Long: "Plans, asks, and removes images and snapshots from the real account.\n" +
			"With the FILE that plan --out has written it does what is in there, and nothing\n" +
			"else: each image is judged again, and what has changed since stays.",
		Example: examples(
			"sweep --region eu-west-1",
			"sweep --names 'web-*' --max-deregistrations 5",
			"sweep --stack ami-janitor --yes   # without asking",
			"sweep plan.json             # what plan --out plan.json has found",
		),
		Args: cobra.MaximumNArgs(1),
	}
	output, view := addRunOutput(command, std), addView(command)
	yes := command.Flags().Bool("yes", false, "do not ask")
	dryRun := command.Flags().Bool("dry-run", false, "stop after the plan")
	settings := addReal(command, lookup)
	command.RunE = func(command *cobra.Command, files []string) error {
		if !*yes && !*dryRun && !std.canAsk() {
			return errors.New("sweep needs --yes where nobody can be asked; nothing was changed")
		}
		if given := view.filtered(); *yes && len(given) > 0 {
			return fmt.Errorf("%s filter what is shown, and with --yes nobody looks: --only-tags and --names choose what is judged; nothing was changed", digest.List(given))
		}
		j, from, err := realJanitor(command.Context(), settings, std)
		if err != nil {
			return err
		}
		printer, err := output.viewed(std, view, j.Config)
		if err != nil {
			return err
		}
		end := printer.begin(command.Context(), askingAWS)
		j.Approved, err = loadPlan(command.Context(), j, files)
		if end(); err != nil {
			return err
		}
		printer.approved = j.Approved
		if !*dryRun {
			if err := getReady(j, from, printer, lookup); err != nil {
				return err
			}
		}
		if !*yes {
			j.Confirm = func(plan record.Run) bool { return printer.confirm(command.Context(), plan) }
		}
		return carryOut(command.Context(), j, *dryRun, printer)
	}
	return command
}

// getReady is what a sweep sees to before it removes anything.
func getReady(j *janitor.Janitor, from *deployed, std *printer, lookup func(string) string) error {
	if err := keepRecords(j, std, lookup); err != nil {
		return err
	}
	if from != nil && from.onlyPlans() {
		std.say("the function itself only plans (%s=true); this sweep removes", from.setting("DRY_RUN"))
	}
	return nil
}

// stateDirectory is where ami-janitor keeps what has to outlive it: below $XDG_STATE_HOME, or where
// the platform has such files (XDG Base Directory Specification, which ignores relative paths; on
// other systems, where their programs keep data). It is empty where the user has no home.
func stateDirectory(lookup func(string) string) string {
	base, home := lookup("XDG_STATE_HOME"), lookup("HOME")
	switch {
	case filepath.IsAbs(base):
	case runtime.GOOS == "windows":
		base = lookup("LocalAppData")
	case !filepath.IsAbs(home):
		return ""
	case runtime.GOOS == "darwin":
		base = filepath.Join(home, "Library", "Application Support")
	default:
		base = filepath.Join(home, ".local", "state")
	}
	if base == "" {
		return ""
	}
	return filepath.Join(base, "ami-janitor")
}

// ownRecords are those that sweeps have kept of an account where RECORDS named no place; nowhere if
// there are none.
func ownRecords(lookup func(string) string) func(account string) string {
	return func(account string) string {
		directory := filepath.Join(stateDirectory(lookup), account)
		if info, err := os.Stat(directory); stateDirectory(lookup) == "" || err != nil || !info.IsDir() {
			return ""
		}
		return directory
	}
}

// keepRecords lets a sweep keep records where RECORDS names no place: in a directory for the
// account, because a journal belongs to one. It says so once.
func keepRecords(j *janitor.Janitor, std *printer, lookup func(string) string) error {
	if j.Config.Records != "" {
		return nil
	}
	directory := stateDirectory(lookup)
	if directory == "" {
		return errors.New("sweep keeps records, and no home directory is known: say with --records where; nothing was changed")
	}
	var once sync.Once
	j.RecordsOf = func(account string) string {
		records := filepath.Join(directory, account)
		once.Do(func() {
			std.say("records are kept in %s; --records names another place", records)
		})
		return records
	}
	return nil
}

// realJanitor works on the account of the default AWS configuration, and goes by the records that
// earlier sweeps have kept. The function whose policy it takes comes back, if there is one; it says
// whose it is.
func realJanitor(ctx context.Context, settings settings, std streams) (*janitor.Janitor, *deployed, error) {
	account, policy, err := settings.real(ctx, std)
	if err != nil {
		return nil, nil, err
	}
	pace.New(policy.EC2Share).Apply(&account)
	j := newJanitor(policy, account, time.Now)
	j.RecordsOf = ownRecords(settings.lookup)
	j.BorrowedRecords = policy.from != nil && !settings.isGiven("RECORDS")
	return j, policy.from, nil
}

// real returns the AWS configuration and the policy, for a real account.
func (s settings) real(ctx context.Context, std streams) (aws.Config, policy, error) {
	account, err := s.awsConfig(ctx)
	if err != nil {
		return account, policy{}, err
	}
	policy, err := s.parse(ctx, &account, std)
	if err != nil {
		return account, policy, err
	}
	if account.Region == "" {
		account.Region = policy.FirstRegion()
	}
	if account.Region == "" {
		return account, policy, errors.New("no region: give --region or --regions, or set AWS_REGION")
	}
	return account, policy, nil
}

func newJanitor(policy policy, account aws.Config, clock func() time.Time) *janitor.Janitor {
	return &janitor.Janitor{Config: policy.Config, AWS: account, Clock: clock, Version: version, ReadFile: readFile, Reader: policy.reader}
}

// readFile reads a keep list.
func readFile(path string) (text []byte, modified time.Time, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, time.Time{}, err
	}
	text, err = os.ReadFile(path) //nolint:gosec // The user names the file.
	return text, info.ModTime(), err
}

// askingAWS is the stage of a command until the first answer.
const askingAWS = "Asking AWS"

// carryOut runs the janitor, prints the record, and turns it into an exit status.
func carryOut(ctx context.Context, j *janitor.Janitor, dryRun bool, printer *printer) error {
	j.Watch = printer.progress
	end := printer.begin(ctx, askingAWS)
	defer end()
	record := j.Run(ctx, ami.NewRunID(j.Clock(), rand.Reader), dryRun)
	if err := printer.print(record); err != nil {
		printer.say("printing the record: %v", err)
		return exitStatus(exitRegionFailed)
	}
	if changed := changedSince(record, printer.approved); changed != "" && !printer.declined {
		printer.say("%s", changed)
	}
	switch {
	case janitor.Err(record) != nil:
		return exitStatus(exitRegionFailed)
	case printer.declined:
		return exitStatus(exitDeclined)
	case printer.tellsChanges && hasWork(record):
		return exitStatus(exitChanges)
	case record.Failed(), record.LacksProof():
		return exitStatus(exitRemovalFailed)
	default:
		return nil
	}
}

// hasWork reports whether a sweep would change something of a plan.
func hasWork(plan record.Run) bool {
	plan.Regions = slices.DeleteFunc(slices.Clone(plan.Regions), record.Region.IsHeld)
	return plan.Changes()
}

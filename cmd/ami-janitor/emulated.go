package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/config"
	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/emulator/middleware"
	"github.com/ami-janitor/ami-janitor/pkg/emulator/sample"
	"github.com/ami-janitor/ami-janitor/pkg/janitor"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// copied is the choice of an emulated account.
type copied struct {
	flags     *pflag.FlagSet
	directory *string
	now       *string
	lookup    func(string) string
}

func addCopied(command *cobra.Command, lookup func(string) string) copied {
	return copied{
		flags:     command.Flags(),
		directory: command.Flags().String("account", "", "directory of AWS CLI output that describes the account; the built-in sample if not set"),
		now:       command.Flags().String("now", "", "what time it is in the emulated account, in RFC 3339; the real time if not set"),
		lookup:    lookup,
	}
}

// load returns the emulated account and its clock.
func (c copied) load() (*emulator.Account, func() time.Time, error) {
	clock, err := c.clock()
	if err != nil {
		return nil, nil, err
	}
	account, err := c.read(emulator.Options{Region: c.region(), Now: clock})
	return account, clock, err
}

// rehearsal is a janitor that works on an emulated account.
type rehearsal struct {
	*janitor.Janitor
	account *emulator.Account
	assumed string // What the copy lacks and the stack would make, in a sentence; empty if nothing.
}

// rehearsal gives the copy what the stack would make: the rules of the Recycle Bin. Its records are
// those of the copy if RECORDS names no others.
func (c copied) rehearsal(ctx context.Context, settings settings, std streams) (rehearsal, error) {
	account, clock, err := c.load()
	if err != nil {
		return rehearsal{}, err
	}
	copied := emulated(account, c.judged(account))
	policy, err := settings.parse(ctx, &copied, std)
	if err != nil {
		return rehearsal{}, err
	}
	if policy.Records == "" || policy.from != nil && !settings.isGiven("RECORDS") {
		policy.Records = "s3://" + emulator.RecordsBucket
	}
	j := newJanitor(policy, copied, clock)
	if lacks := copyOf(account); len(digest.CopyLines(lacks)) > 0 {
		j.Copy = lacks
	}
	return rehearsal{j, account, makeRules(account, policy.Policy.RecycleBinDays)}, nil
}

// copyOf is what there is to say of an emulated account as a copy of one.
func copyOf(account *emulator.Account) *record.Copy {
	return &record.Copy{Lacks: account.Lacks(), NotRead: account.NotRead()}
}

// warn says on the standard error what a copy lacks, for the commands whose output has no place for
// it.
func warn(std streams, c *record.Copy) {
	for _, line := range digest.CopyLines(c) {
		std.say("%s", line)
	}
}

// makeRules gives an account without any rule of the Recycle Bin those that the stack makes for so
// many days, and says so. For 0 days the stack makes none.
func makeRules(account *emulator.Account, days int) string {
	if days == 0 || account.HasRules() {
		return ""
	}
	account.KeepRemoved(days)
	return fmt.Sprintf("This copy has no Recycle Bin rules: the stack would make them (%d days), and the rehearsal goes on as if it had.", days)
}

func (c copied) read(options emulator.Options) (*emulator.Account, error) {
	if !c.flags.Changed("account") {
		return sample.Load(options)
	}
	account, err := emulator.Load(os.DirFS(*c.directory), options)
	if err != nil {
		err = fmt.Errorf("--account %q: %w", *c.directory, err)
	}
	return account, err
}

func (c copied) region() string {
	if region := c.lookup("AWS_REGION"); region != "" {
		return region
	}
	return "us-east-1"
}

// judged is the region that is judged where none is named. A copy that an export has made knows its
// own.
func (c copied) judged(account *emulator.Account) string {
	return cmp.Or(c.lookup("AWS_REGION"), account.Home())
}

// rehearsalHeading comes before what a rehearsal prints.
const rehearsalHeading = "REHEARSAL on a copy: whatever it says, no real account was changed.\n\n"

func rehearseCommand(std streams, lookup func(string) string) *cobra.Command {
	command := &cobra.Command{
		Use:   "rehearse",
		Short: "Carry out tonight's run on a copy of an account",
		Long: `Carries out tonight's run on a copy of an account, which stays as it is, or on
the built-in sample. No real account is talked to.`,
		Example: examples(
			"rehearse --dry-run",
			"rehearse --account copy --state-out after",
			"rehearse --account after --now 2026-11-24T02:00:00Z",
		),
		Args: cobra.NoArgs,
	}
	copied := addCopied(command, lookup)
	output, view := addRunOutput(command, std), addView(command)
	complete, over := addComplete(command), addOrganization(command)
	dryRun := command.Flags().Bool("dry-run", false, "stop after the plan")
	stateOut := command.Flags().String("state-out", "", "directory for the account as the run leaves it")
	settings := addSettings(command, lookup)
	command.RunE = func(command *cobra.Command, _ []string) error {
		if *stateOut != "" {
			// The directory is the same before the run as after it.
			*stateOut = filepath.Clean(*stateOut)
		}
		if *over.directory != "" {
			p := output.printer(std)
			p.heading = rehearsalHeading
			return over.rehearse(command.Context(), copied, settings, p, *dryRun, *stateOut)
		}
		if err := copied.sparedBy(*stateOut, ""); err != nil {
			return err
		}
		r, err := copied.rehearsal(command.Context(), settings, std)
		if err != nil {
			return err
		}
		err = copied.sparedBy(*stateOut, r.Config.Records)
		if err != nil {
			return err
		}
		printer, err := output.viewed(std, view, r.Config)
		if err != nil {
			return err
		}
		printer.heading = rehearsalHeading
		printer.assume(r.assumed)
		r.Complete = *complete
		result := carryOut(command.Context(), r.Janitor, *dryRun, printer)
		if *stateOut != "" {
			if err := r.account.Save(*stateOut); err != nil {
				std.say("writing the state: %v", err)
				return exitStatus(exitRegionFailed)
			}
		}
		return result
	}
	return command
}

// sparedBy returns an error if writing the state into a directory would overwrite the copy that is
// rehearsed on, or remove the records.
func (c copied) sparedBy(stateOut, records string) error {
	if stateOut == "" {
		return nil
	}
	written := filepath.Join(stateOut, emulator.RecordsBucket) // Nothing else stays in it.
	switch {
	case c.flags.Changed("account") && isSameFile(stateOut, *c.directory):
		return fmt.Errorf("--state-out: %q is the directory of --account, and the copy would be overwritten", stateOut)
	case c.flags.Changed("account") && isIn(*c.directory, written):
		return fmt.Errorf("--state-out: the directory of --account is in %q, where nothing but records stays", written)
	case records != "" && isIn(records, written):
		return fmt.Errorf("--state-out: --records is in %q, where the records of the copy are written", written)
	default:
		return nil
	}
}

// isSameFile reports whether two paths that are there lead to the same file or directory, however
// they are spelled.
func isSameFile(a, b string) bool {
	atA, errA := os.Stat(a)
	atB, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(atA, atB)
}

// isIn reports whether a path leads to a directory or into it. Neither has to be there yet.
func isIn(path, directory string) bool {
	to, err := filepath.Rel(resolved(directory), resolved(path))
	return err == nil && filepath.IsLocal(to)
}

// resolved is a path without symbolic links, as far as it is there.
func resolved(path string) string {
	path, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	if direct, err := filepath.EvalSymlinks(path); err == nil || path == filepath.Dir(path) {
		return direct
	}
	return filepath.Join(resolved(filepath.Dir(path)), filepath.Base(path))
}

// emulated is the AWS configuration of an emulated account, with the credentials of AWS's
// documentation.
func emulated(account *emulator.Account, region string) aws.Config {
	return aws.Config{
		Region:      region,
		HTTPClient:  account.Client(),
		Credentials: credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", ""),
	}
}

const emulateName = "emulate"

func emulateCommand(std streams, lookup func(string) string) *cobra.Command {
	command := &cobra.Command{
		Use:   emulateName,
		Short: "Serve a copy of an account to the AWS CLI and to any SDK",
		Long: `Serves a copy of an account, or the built-in sample, on this machine, and prints
its address. Point the AWS CLI or an SDK at it with AWS_ENDPOINT_URL; any keys
will do. Messages that it was given to publish are at /_ami-janitor/messages.

With --organization it serves the accounts of an organization: any keys are
those of the janitor's own account, and sts assume-role leads to the others.`,
		Example: examples("emulate --listen 127.0.0.1:4566 &") + `
  export AWS_ENDPOINT_URL=http://127.0.0.1:4566
  export AWS_REGION=us-east-1 AWS_DEFAULT_REGION=us-east-1
  export AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any
  aws ec2 describe-images --owners self
  ami-janitor plan`,
		Args: cobra.NoArgs,
	}
	copied := addCopied(command, lookup)
	over, way, silence := addOrganization(command), addWay(command), addSilence(command)
	listen := command.Flags().String("listen", "127.0.0.1:0", "loopback address to listen on; port 0 takes a free one")
	command.RunE = func(command *cobra.Command, _ []string) error {
		if err := silence.check(); err != nil {
			return err
		}
		served, err := copied.served(over, silence.lags()...)
		if err != nil {
			return err
		}
		warn(std, served.lacks)
		if err := served.rulesAsTold(lookup); err != nil {
			return err
		}
		for _, account := range served.accounts {
			silence.tell(account)
		}
		handler, end, err := way.handler(served)
		if err != nil {
			return err
		}
		defer end()
		listener, err := listenOnLoopback(command.Context(), *listen)
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintf(std.out, "http://%s\n", listener.Addr())
		return serve(command.Context(), listener, handler)
	}
	return command
}

// served is what emulate serves.
type served struct {
	client    emulator.Doer
	accounts  []*emulator.Account
	lacks     *record.Copy
	accountOf func(emulator.Request) string // Nil if there is one account.
}

// served loads the organization if one is chosen, or else the account. Its clients see the lags.
func (c copied) served(over organizationFlags, lags ...emulator.Lags) (served, error) {
	if *over.directory == "" {
		account, _, err := c.load()
		if err != nil {
			return served{}, err
		}
		return served{client: account.Client(lags...), accounts: []*emulator.Account{account}, lacks: copyOf(account)}, nil
	}
	o, _, err := over.load(c)
	if err != nil {
		return served{}, err
	}
	accounts := slices.Collect(maps.Values(o.Accounts()))
	return served{o.Client(lags...), accounts, &record.Copy{Lacks: o.Lacks(), NotRead: o.NotRead()}, o.AccountOf}, nil
}

// rulesAsTold gives accounts without rules of the Recycle Bin those of the stack, if
// RECYCLE_BIN_DAYS says for how many days.
func (s served) rulesAsTold(lookup func(string) string) error {
	const variable = "RECYCLE_BIN_DAYS"
	told, err := config.Parse(func(name string) string {
		if name != variable {
			return ""
		}
		return lookup(variable)
	})
	if err != nil || strings.TrimSpace(lookup(variable)) == "" {
		return err
	}
	for _, account := range s.accounts {
		makeRules(account, told.Policy.RecycleBinDays)
	}
	return nil
}

// silence is how the account behaves where AWS's documentation does not say.
type silence struct {
	tagsLate   *time.Duration
	emptyLists *string
	binLate    *time.Duration
}

// The values of --empty-lists.
const (
	emptyListsShown   = "shown"
	emptyListsLeftOut = "left-out"
)

func addSilence(command *cobra.Command) silence {
	return silence{
		tagsLate: command.Flags().Duration("tags-late", 0,
			"how long EC2, IAM and the Recycle Bin's rules see images and snapshots with their former tags, such as 90s; IAM then asks for "+
				ami.IntentTag+"="+ami.Intent+", as the stack's policy does"),
		emptyLists: command.Flags().String("empty-lists", emptyListsShown, "whether answers have an element for an empty list: shown or left-out"),
		binLate:    command.Flags().Duration("bin-late", 0, "how long the Recycle Bin does not list what has entered it, such as 10m"),
	}
}

func (s silence) check() error {
	for name, late := range map[string]time.Duration{"tags-late": *s.tagsLate, "bin-late": *s.binLate} {
		if late < 0 {
			return fmt.Errorf("--%s: %s is less than nothing", name, late)
		}
	}
	if lists := *s.emptyLists; lists != emptyListsShown && lists != emptyListsLeftOut {
		return fmt.Errorf("--empty-lists: %q is neither %s nor %s", lists, emptyListsShown, emptyListsLeftOut)
	}
	return nil
}

// lags are those of a client that IAM judges by the tag that the stack's policy asks for.
func (s silence) lags() []emulator.Lags {
	if *s.tagsLate == 0 {
		return nil
	}
	return []emulator.Lags{{TagKey: ami.IntentTag, TagValue: ami.Intent}}
}

// tell makes an account behave so.
func (s silence) tell(account *emulator.Account) {
	account.SetTagDelay(*s.tagsLate)
	account.SetBinDelay(*s.binLate)
	if *s.emptyLists == emptyListsLeftOut {
		account.LeaveOutEmptyLists()
	}
}

// way is what lies between an emulated account and those who measure themselves on it. Its time is
// the real one.
type way struct {
	latency *time.Duration
	limits  *string
	log     *string
}

func addWay(command *cobra.Command) way {
	return way{
		latency: command.Flags().Duration("latency", 0, "how long a request and its answer take together, such as 80ms; a tenth more or less"),
		limits:  command.Flags().String("limits", "off", "whether requests to EC2 are throttled: published, as EC2 documents it, or off"),
		log:     command.Flags().String("log", "", "file for one line of JSON per request; it is written anew"),
	}
}

// spread is how far a request may be from the latency, as a share of it.
const spread = 0.1

// handler returns what is served at the end of the way, and what closes the log.
func (w way) handler(served served) (http.Handler, func(), error) {
	doer := served.client
	switch *w.limits {
	case "published":
		limits := middleware.NewLimits(time.Now, 0)
		limits.AccountOf = served.accountOf
		doer = limits.Wrap(doer)
	case "off":
	default:
		return nil, nil, fmt.Errorf("--limits: %q is neither published nor off", *w.limits)
	}
	if *w.latency < 0 {
		return nil, nil, fmt.Errorf("--latency: %s is less than nothing", *w.latency)
	}
	network := &middleware.Network{Latency: *w.latency, Spread: spread}
	doer = network.Wrap(doer)
	if *w.log == "" {
		return middleware.Handler(doer), func() {}, nil
	}
	file, err := os.Create(*w.log)
	if err != nil {
		return nil, nil, fmt.Errorf("--log: %w", err)
	}
	// Each line was written when it came.
	return middleware.Handler(middleware.Log(doer, file, time.Now, served.accountOf)), func() { _ = file.Close() }, nil
}

// listenOnLoopback refuses every other address: whoever can reach the emulator can read the
// account.
func listenOnLoopback(ctx context.Context, address string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("--listen: %w", err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("--listen: %s is not a loopback address", host)
	}
	var config net.ListenConfig
	return config.Listen(ctx, "tcp", address)
}

// serve answers until it is interrupted.
func serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ami-janitor/pkg/emulator"
	"ami-janitor/pkg/janitor"
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
	clock := time.Now
	if *c.now != "" {
		now, err := time.Parse(time.RFC3339, *c.now)
		if err != nil {
			return nil, nil, fmt.Errorf("--now: %q is not a time such as 2026-11-23T02:00:00Z", *c.now)
		}
		clock = func() time.Time { return now }
	}
	account, err := c.read(emulator.Options{Region: c.region(), Now: clock})
	if err != nil {
		return nil, nil, err
	}
	return account, clock, c.keepRemoved(account)
}

// janitor works on the emulated account. Its records are those of the copy if RECORDS names no others.
func (c copied) janitor(parsed janitor.Config) (*janitor.Janitor, *emulator.Account, error) {
	account, clock, err := c.load()
	if err != nil {
		return nil, nil, err
	}
	if parsed.Records == "" {
		parsed.Records = "s3://" + emulator.RecordsBucket
	}
	return newJanitor(parsed, emulated(account, c.judged(account)), clock), account, nil
}

func (c copied) read(options emulator.Options) (*emulator.Account, error) {
	if !c.flags.Changed("account") {
		return emulator.LoadSample(options)
	}
	account, err := emulator.Load(os.DirFS(*c.directory), options)
	if err != nil {
		err = fmt.Errorf("--account %q: %w", *c.directory, err)
	}
	return account, err
}

// keepRemoved gives the copy the rules of the Recycle Bin that the template makes for so many days.
func (c copied) keepRemoved(account *emulator.Account) error {
	const variable = "RECYCLE_BIN_DAYS"
	wanted := c.lookup(variable)
	if flag := c.flags.Lookup(flagName(variable)); flag != nil && flag.Changed {
		wanted = flag.Value.String()
	}
	days, err := strconv.Atoi(cmp.Or(wanted, "0"))
	switch {
	case err != nil || days < 0 || days > maxBinDays:
		return fmt.Errorf("%s: %q is not a number of days from 0 to %d", variable, wanted, maxBinDays)
	case days > 0:
		account.KeepRemoved(days)
	}
	return nil
}

// maxBinDays is for how long the Recycle Bin retains anything, at most.
const maxBinDays = 365

func (c copied) region() string {
	if region := c.lookup("AWS_REGION"); region != "" {
		return region
	}
	return "us-east-1"
}

// judged is the region that is judged where none is named. A copy that an export has made knows its own.
func (c copied) judged(account *emulator.Account) string {
	return cmp.Or(c.lookup("AWS_REGION"), account.Home())
}

func rehearseCommand(std streams, lookup func(string) string) *cobra.Command {
	command := &cobra.Command{
		Use:   "rehearse",
		Short: "Carry out tonight's run on a copy of an account; the real one is never talked to",
		Args:  cobra.NoArgs,
	}
	settings := addSettings(command, lookup)
	copied := addCopied(command, lookup)
	output := addOutput(command)
	dryRun := command.Flags().Bool("dry-run", false, "stop after the plan")
	stateOut := command.Flags().String("state-out", "", "directory for the account as the run leaves it")
	command.RunE = func(command *cobra.Command, _ []string) error {
		parsed, err := settings.parse()
		if err != nil {
			return err
		}
		j, account, err := copied.janitor(parsed)
		if err != nil {
			return err
		}
		printer := output.printer(std)
		printer.heading = "REHEARSAL on a copy: whatever it says, no real account was changed.\n\n"
		result := carryOut(command.Context(), j, *dryRun, printer)
		if *stateOut != "" {
			if err := account.Save(*stateOut); err != nil {
				_, _ = fmt.Fprintln(std.err, "ami-janitor: writing the state:", err)
				return exitStatus(exitRegionFailed)
			}
		}
		return result
	}
	return command
}

// emulated is the AWS configuration of an emulated account, with the credentials of AWS's documentation.
func emulated(account *emulator.Account, region string) aws.Config {
	return aws.Config{
		Region:      region,
		HTTPClient:  account.Client(),
		Credentials: credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", ""),
	}
}

func emulateCommand(std streams, lookup func(string) string) *cobra.Command {
	command := &cobra.Command{
		Use:   "emulate",
		Short: "Serve a copy of an account to the AWS CLI and to any SDK",
		Args:  cobra.NoArgs,
	}
	copied := addCopied(command, lookup)
	way := addWay(command)
	listen := command.Flags().String("listen", "127.0.0.1:0", "loopback address to listen on; port 0 takes a free one")
	command.RunE = func(command *cobra.Command, _ []string) error {
		account, _, err := copied.load()
		if err != nil {
			return err
		}
		handler, end, err := way.handler(account)
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

// way is what lies between an emulated account and those who measure themselves on it. Its time is the real one.
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

// handler returns the account at the end of the way, and what closes the log.
func (w way) handler(account *emulator.Account) (http.Handler, func(), error) {
	var doer emulator.Doer = account.Client()
	switch *w.limits {
	case "published":
		doer = emulator.NewLimits(time.Now, 0).Wrap(doer)
	case "off":
	default:
		return nil, nil, fmt.Errorf("--limits: %q is neither published nor off", *w.limits)
	}
	if *w.latency < 0 {
		return nil, nil, fmt.Errorf("--latency: %s is less than nothing", *w.latency)
	}
	network := &emulator.Network{Latency: *w.latency, Spread: spread}
	doer = network.Wrap(doer)
	if *w.log == "" {
		return emulator.Handler(doer), func() {}, nil
	}
	file, err := os.Create(*w.log)
	if err != nil {
		return nil, nil, fmt.Errorf("--log: %w", err)
	}
	return emulator.Handler(emulator.Log(doer, file, time.Now)), func() { _ = file.Close() }, nil // Each line was written when it came.
}

// listenOnLoopback refuses every other address: whoever can reach the emulator can read the account.
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
